//! `kinglet predict --wav`: a recording through a model that answers every sample, as those of amplifiers do.
//!
//! Full scale is 1, as all who train such networks have it. A channel is an input, and an output is a channel of the file that is
//! written, which is otherwise of the kind of the one that is read: rate, bits, integers or floats.

use super::{say, usage, writable};
use anyhow::{Context, Result, anyhow, ensure};
use hound::{SampleFormat, WavSpec, WavWriter};
use kinglet::format::{Input, Output, Shape};
use kinglet::kernel::Kernels;
use kinglet_trainer::beyond::Beyond;
use kinglet_trainer::data::Written;
use kinglet_trainer::data::audio::{full_scale, unreadable, values};
use kinglet_trainer::data::riff::Wav;
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::model_file::ModelFile;
use kinglet_trainer::save::save;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

/// Gives every sample of a file to the model, and writes the answers.
pub fn run(file: &ModelFile, [wav, out]: [&Path; 2], kernels: &'static Kernels) -> Result<()> {
    let model = file.model()?;
    let header = model.header();
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let steps = matches!(header.shape, Shape::EveryStep) && !model.is_bidirectional();
    let numbers = matches!(header.input, Input::Features { .. })
        && matches!(header.output, Output::Values { .. });
    let written = Written::in_model(&file.bytes).unwrap_or_default();
    if written.audio.is_some() {
        return Err(usage(format!(
            "--out: {} hears frames of a recording, and its answers are no sound; remove it",
            file.path.display()
        )));
    }
    if !steps || !numbers {
        return Err(usage(format!(
            "--wav is for models that give numbers for every sample of a recording; {} {}",
            file.path.display(),
            match numbers {
                true => "answers whole windows",
                false => "takes tokens or gives classes: give --csv or --text",
            }
        )));
    }
    writable(out, &[wav, &file.path])?;
    let shown = wav.display();
    let reads = |e: hound::Error| anyhow!("{shown}: {}", unreadable(&e));
    let opened = File::open(wav).map_err(|e| reads(e.into()))?;
    let Wav { reader, endless } = Wav::open(BufReader::new(opened)).map_err(reads)?;
    let spec = reader.spec();
    ensure!(
        usize::from(spec.channels) == inputs,
        "{shown}: {} channels, and the model has {inputs} input{}: give a file of as many, such as of `sox IN.wav OUT.wav remix -` (all in one) or \
         `remix 1` (the first)",
        spec.channels,
        if inputs == 1 { "" } else { "s" },
    );
    match written.rate {
        Some(rate) => ensure!(
            rate == spec.sample_rate,
            "{shown}: {} samples a second, and the network was trained on {rate}: at another rate it sounds different; \
             `sox IN.wav -r {rate} OUT.wav` makes a file of it",
            spec.sample_rate
        ),
        None => say(&format!(
            "note: {shown}: {} samples a second of {} bits{}; the model does not say for which rate its network was trained (`import --sample-rate` \
             puts it there), and at another one its answers are others",
            spec.sample_rate,
            spec.bits_per_sample,
            if spec.sample_format == SampleFormat::Float {
                ", floats"
            } else {
                ""
            },
        )),
    }
    let full = match spec.sample_format {
        SampleFormat::Float => 1.0,
        SampleFormat::Int => full_scale(spec.bits_per_sample),
    };
    let spec = WavSpec {
        channels: u16::try_from(outputs).context("more outputs than a WAV file has channels")?,
        ..spec
    };
    let mut beyond = Beyond::new(&model).fitted_to(&written);
    let mut written = Cursor::new(Vec::new());
    let writes = || format!("{}: the answers as a WAV file", out.display());
    let mut writer = WavWriter::new(&mut written, spec).with_context(writes)?;
    let mut predictor = EnginePredictor::new(&model).with_kernels(kernels);
    let mut runner = predictor.runner()?;
    let (mut frames, mut cut) = (0u64, 0u64);
    let (mut x, mut y) = (Vec::with_capacity(inputs), vec![0.0; outputs]);
    for sample in values(reader) {
        let sample = match sample {
            Err(hound::Error::IoError(_)) if endless => break,
            sample => sample.map_err(reads)?,
        };
        ensure!(
            sample.is_finite(),
            "{shown}: frame {}: {sample}, expected a finite number",
            frames + 1
        );
        x.push(sample);
        if x.len() < inputs {
            continue;
        }
        frames += 1;
        beyond.meet(&x);
        runner.step(&x, &mut y);
        x.clear();
        for &y in &y {
            let whole = (f64::from(y) * full).round();
            let held = whole.clamp(-full, full - 1.0);
            match spec.sample_format {
                SampleFormat::Float => {
                    cut += u64::from(y.is_nan() || y.abs() > 1.0);
                    writer.write_sample(y)
                }
                SampleFormat::Int => {
                    cut += u64::from(whole != held);
                    writer.write_sample(held as i32)
                }
            }
            .with_context(writes)?;
        }
    }
    writer.finalize().with_context(writes)?;
    for note in beyond.notes() {
        say(&format!("warning: {note}"));
    }
    let answers = frames * outputs as u64;
    if cut > 0 {
        say(&format!(
            "warning: {cut} of {answers} answers ({:.2} %) lie beyond full scale{}",
            100.0 * cut as f64 / answers as f64,
            match spec.sample_format {
                SampleFormat::Float =>
                    " and are written as they are, which players cut: turn the result down",
                SampleFormat::Int => " and were cut: give a quieter input, or a file of floats",
            }
        ));
    }
    save(out, &written.into_inner())?;
    say(&format!("{}: {frames} samples", out.display()));
    Ok(())
}
