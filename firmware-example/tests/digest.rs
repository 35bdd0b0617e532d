//! The loop of the firmware, as the host runs it.

use kinglet::kernel::Kernels;
use kinglet::{Digest, Model, State};
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
fn a_second_of_sound_has_this_digest_on_every_machine() {
    use stream::listen::{DIGESTS, rows, tokens, word};
    let digests = [rows(|hop| hop()), tokens(|hop| hop()), word(|hop| hop())];
    assert_eq!(digests, DIGESTS);
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

#[test]
fn every_table_tells_and_draws_the_same() {
    let made = |kernels| {
        let mut text = String::new();
        let digest = stream::generate::run(kernels, &mut text).unwrap();
        (text, digest)
    };
    let (text, digest) = made(&Kernels::SCALAR);
    for kernels in Kernels::available() {
        assert_eq!(made(kernels), (text.clone(), digest), "{}", kernels.name());
    }
    let told: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("told    "))
        .collect();
    // As the guide's data has it: above 4 it flows, from 25 on it is hot.
    assert_eq!(
        told,
        [
            "stands",
            "flows",
            "stands hot",
            "flows hot",
            "stands",
            "flows hot"
        ]
    );
    let drawn = text.lines().filter(|line| line.starts_with("drawn   "));
    assert!(drawn.count() > stream::generate::PICTURES, "{text}");
}

/// What `src/bin/smallest.rs` compares with: its digest, here from the portable file.
#[test]
fn smallest_has_the_digest_of_the_portable_file() {
    static MODEL: &[u8] = kinglet::include_model!("../model/pump.kgl");
    let model = Model::from_bytes(MODEL).unwrap();
    let mut state = State::<{ kinglet::state_len(MODEL) }>::new();
    let mut net = model.bind(&mut state).unwrap();
    let (mut y, mut digest) = ([0], Digest::new());
    for step in 0..100 {
        let x: [i16; 6] = std::array::from_fn(|i| (step * 7 + i as i16 * 3) % 11 * 23 - 115);
        net.step_q(&x, &mut y);
        digest.add_i16(&y);
    }
    digest.add_bytes(net.layer_state());
    assert_eq!(digest.to_string(), "fb89917f");
}
