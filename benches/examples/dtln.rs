//! Denoises a recording by the two networks of DTLN (Westhausen and Meyer 2020), 128 samples at a time.
//!
//! The first network makes a mask for the magnitudes of a frame's spectrum, the second one works on the frame that this leaves. What is
//! around them, the Fourier transforms and the frames that overlap, is here.
//!
//! ```sh
//! kinglet import livekit/plugins/dtln/models/model_1.onnx --out dtln_1.kgl
//! kinglet import livekit/plugins/dtln/models/model_2.onnx --out dtln_2.kgl
//! cargo run --release -p kinglet-benches --example dtln -- dtln_1.kgl dtln_2.kgl noisy.wav denoised.wav
//! ```
//!
//! Recordings are mono, of 16 kHz and 16 bits. The networks may be in any format (`kinglet quantize`).

use anyhow::{Context, Result, ensure};
use hound::{WavReader, WavSpec, WavWriter};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::model_file::ModelFile;
use kinglet_trainer::train::Predictor;
use realfft::RealFftPlanner;

const FRAME: usize = 512;
const HOP: usize = 128;
/// Magnitudes of a frame's spectrum.
const BANDS: usize = FRAME / 2 + 1;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, second, from, to] = &arguments[..] else {
        anyhow::bail!("expected MODEL_1 MODEL_2 NOISY.wav DENOISED.wav");
    };
    let (first, second) = (
        ModelFile::read(first.as_ref())?,
        ModelFile::read(second.as_ref())?,
    );
    let (masks, frames) = (first.model()?, second.model()?);
    for (model, width) in [(&masks, BANDS), (&frames, FRAME)] {
        ensure!(
            (model.inputs(), model.outputs()) == (width, width),
            "a network of {} inputs and {} outputs, expected {width} of both",
            model.inputs(),
            model.outputs()
        );
    }
    let mut networks = [EnginePredictor::new(&masks), EnginePredictor::new(&frames)];

    let mut noisy = WavReader::open(from).with_context(|| from.clone())?;
    let spec = noisy.spec();
    let expected = WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    ensure!(spec == expected, "{from}: {spec:?}, expected {expected:?}");
    let samples = noisy.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    let mut denoised = WavWriter::create(to, spec).with_context(|| to.clone())?;

    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (
        planner.plan_fft_forward(FRAME),
        planner.plan_fft_inverse(FRAME),
    );
    let (mut spectrum, mut work) = (forward.make_output_vec(), forward.make_input_vec());
    let (mut heard, mut said) = ([0.0f32; FRAME], [0.0f32; FRAME]);
    let (mut mask, mut frame) = ([0.0f32; BANDS], [0.0f32; FRAME]);
    for hop in samples.chunks(HOP) {
        heard.copy_within(HOP.., 0);
        heard[FRAME - HOP..].fill(0.0);
        for (place, &sample) in heard[FRAME - HOP..].iter_mut().zip(hop) {
            *place = f32::from(sample) / 32768.0;
        }
        work.copy_from_slice(&heard);
        forward.process(&mut work, &mut spectrum)?;
        let magnitudes: Vec<f32> = spectrum.iter().map(|bin| bin.norm()).collect();
        networks[0].step(&magnitudes, &mut mask);
        for (bin, mask) in spectrum.iter_mut().zip(mask) {
            *bin *= mask;
        }
        // Of a real signal they are real.
        (spectrum[0].im, spectrum[BANDS - 1].im) = (0.0, 0.0);
        inverse.process(&mut spectrum, &mut work)?;
        let masked: Vec<f32> = work.iter().map(|x| x / FRAME as f32).collect();
        networks[1].step(&masked, &mut frame);
        said.copy_within(HOP.., 0);
        said[FRAME - HOP..].fill(0.0);
        said.iter_mut().zip(frame).for_each(|(said, x)| *said += x);
        for sample in &said[..hop.len()] {
            denoised.write_sample((sample * 32768.0).clamp(-32768.0, 32767.0) as i16)?;
        }
    }
    denoised.finalize()?;
    Ok(())
}
