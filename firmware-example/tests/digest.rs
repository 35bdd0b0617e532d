//! The loop of the firmware, as the host runs it.

use kinglet::Digest;
use kinglet::kernel::Kernels;
use kinglet::typed::{Layers, LstmState, W8A8};
use stream::{Meter, Report, States};

struct Free;

impl Meter for Free {
    const UNIT: &'static str = "";

    fn cost(&mut self, work: impl FnOnce()) -> u32 {
        work();
        0
    }
}

fn run(kernels: &'static Kernels) -> (Report, String) {
    let mut text = String::new();
    let report = stream::run(&mut States::new(), kernels, &mut Free, &mut text);
    (
        report.unwrap_or_else(|e| panic!("{}: {e}", kernels.name())),
        text,
    )
}

#[test]
fn every_table_gives_one_digest() {
    let scalar = run(&Kernels::SCALAR);
    let wide = Kernels::available().any(|kernels| kernels.name() == "wide");
    assert!(wide || cfg!(not(target_arch = "x86_64")));
    for kernels in Kernels::available() {
        let (report, text) = run(kernels);
        assert_eq!(report.digest, scalar.0.digest, "{}\n{text}", kernels.name());
        assert!(text.contains(&format!("digest  {:08x}", report.digest)));
    }
}

#[test]
fn predictions_move() {
    let (_, text) = run(&Kernels::SCALAR);
    let predictions: Vec<f32> = text
        .lines()
        .filter_map(|line| line.split_once("prediction ")?.1.parse().ok())
        .collect();
    assert_eq!(predictions.len(), stream::SAMPLES.len() / 50);
    let (low, high) = predictions
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), &p| {
            (low.min(p), high.max(p))
        });
    assert!(high - low > 0.1, "{predictions:?}");
}

/// What `src/bin/smallest.rs` compares with: its digest, here from the portable file.
#[test]
fn smallest_has_the_digest_of_the_portable_file() {
    static MODEL: &[u8] = kinglet::include_model!("../model/pump.kgl");
    let mut layers = Layers::<W8A8>::open(MODEL).unwrap();
    let lstm = layers.lstm::<6, 32>().unwrap();
    let mut state = LstmState::new();
    let (mut h, mut digest) = ([0; 32], Digest::new());
    for step in 0..100 {
        let x = std::array::from_fn(|i| (step * 7 + i as i16 * 3) % 11 * 23 - 115);
        lstm.step_q(&mut state, &x, &mut h);
        digest.add_i16(&h);
    }
    assert_eq!(digest.to_string(), "0d7d3685");
}
