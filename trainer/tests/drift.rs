//! Integer models beside their f32 original over 100,000 steps: the error must not grow.

#[allow(dead_code, reason = "only the flags are needed here")]
mod shown;

use kinglet::Model;
use kinglet::format::Format;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export};
use kinglet_trainer::import::safetensors;
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use std::path::Path;

const STEPS: usize = 100_000;
const ENDS: usize = 1000;

fn golden(name: &str) -> Package {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/golden");
    let flags = match name {
        name if name.starts_with("rnn_tanh") => "--ignore __ --nonlinearity tanh",
        name if name.starts_with("gru_before") => "--ignore __ --gru-reset before",
        _ => "--ignore __",
    };
    let path = folder.join(name).with_extension("safetensors");
    safetensors(&path, &shown::options(flags)).unwrap()
}

/// Slow and fast waves with noise, as a sensor gives them, within about ±2.
fn signal(width: usize) -> Vec<f32> {
    let mut noise = 1u32;
    let mut samples = Vec::with_capacity(STEPS * width);
    for t in 0..STEPS {
        for channel in 0..width {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (noise >> 8) as f32 / (1 << 24) as f32 - 0.5;
            let phase = t as f32 * (0.003 + 0.002 * channel as f32);
            samples.push(phase.sin() + 0.4 * (17.0 * phase).sin() + 0.6 * white);
        }
    }
    samples
}

/// Outputs at every step.
fn run(bytes: &[u8], samples: &[f32]) -> Vec<f32> {
    let model = Model::from_bytes(bytes).unwrap();
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = model.bind_bytes(&mut state).unwrap();
    let mut y = vec![0.0; model.outputs()];
    let mut all = Vec::with_capacity(STEPS * y.len());
    for sample in samples.chunks_exact(model.inputs()) {
        runner.step_raw(sample, &mut y);
        all.extend_from_slice(&y);
    }
    all
}

fn rms(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

#[test]
fn integer_models_do_not_drift_from_f32() {
    let cases = [
        "rnn_tanh_1_5x17",
        "lstm_1_5x17",
        "lstm_2_7x13",
        "gru_1_5x17",
        "gru_2_7x13",
        "gru_before_1_5x17",
    ];
    for name in cases {
        let package = golden(name);
        let width = package.net.input_width();
        let samples = signal(width);
        let calibration = Stream::Samples(samples[..2000 * width].to_vec());
        let ranges = Ranges::measure(&package.net, [&calibration]);
        let tests = TestInputs::synthetic(&package);
        let file = |format| {
            export(&package, format, Some(&ranges), &tests)
                .unwrap()
                .bytes
        };
        let float = run(&file(Format::F32), &samples);
        let spread = {
            let mean = float.iter().sum::<f32>() / float.len() as f32;
            rms(&float, &vec![mean; float.len()])
        };
        for (format, bound) in [
            (Format::W8A16, 0.02),
            (Format::W8A8, 0.08),
            (Format::W4A8, 0.25),
        ] {
            let integer = run(&file(format), &samples);
            let ends = ENDS * package.net.output_width();
            let tail = float.len() - ends;
            let (first, last) = (
                rms(&float[..ends], &integer[..ends]),
                rms(&float[tail..], &integer[tail..]),
            );
            let whole = rms(&float, &integer);
            println!(
                "{name:20} {:6} rms error {:.5} of the outputs' spread: first {ENDS} steps {:.5}, last {ENDS} {:.5}",
                format.name(),
                whole / spread,
                first / spread,
                last / spread
            );
            assert!(
                last <= 1.2 * first,
                "{name} {}: {first} grew to {last}",
                format.name()
            );
            assert!(
                whole <= bound * spread,
                "{name} {}: {whole} of {spread}",
                format.name()
            );
        }
    }
}
