//! What the benchmarks share: the shapes, and models of them with random weights.

pub mod roofline;

use anyhow::Result;
use kinglet::format::Format;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export};
use kinglet_trainer::net::{Cell, Network};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use std::time::Instant;

/// Rounds of [`microseconds`].
pub const ROUNDS: usize = 25;

/// (inputs, hidden) of every layer that is measured.
pub const SHAPES: [(usize, usize); 8] = [
    (1, 8),
    (3, 16),
    (7, 32),
    (6, 64),
    (16, 64),
    (64, 128),
    (64, 256),
    (128, 512),
];

/// The cells, by the names of the criterion groups.
pub const CELLS: [(&str, Cell); 3] = [
    ("lstm", Cell::Lstm),
    ("gru", Cell::GruResetAfter),
    ("rnn", Cell::RnnTanh),
];

/// The number formats.
pub const FORMATS: [Format; 5] = [
    Format::F32,
    Format::F16,
    Format::W8A16,
    Format::W8A8,
    Format::W4A8,
];

/// A slow wave per input, within ±1.
pub fn samples(inputs: usize, steps: usize) -> Vec<f32> {
    let wave = |i: usize| ((i / inputs) as f32 * 0.37 + (i % inputs) as f32).sin();
    (0..steps * inputs).map(wave).collect()
}

/// One recurrent layer with random weights.
pub fn net(cell: Cell, (inputs, hidden): (usize, usize)) -> Network {
    let mut rng = Rng::new(hidden as u64);
    network(inputs, &[LayerPlan::Recurrent(cell, hidden)], &mut rng)
}

/// The file of [`net`], whose output is its state, calibrated on [`samples`].
pub fn model(cell: Cell, (inputs, hidden): (usize, usize), format: Format) -> AlignedBytes {
    let net = net(cell, (inputs, hidden));
    let stream = Stream::Samples(samples(inputs, 64));
    let ranges = Ranges::measure(&net, [&stream]);
    let package = Package::of_numbers("bench", net);
    let tests = TestInputs::from_stream(&stream, inputs);
    export(&package, format, Some(&ranges), &tests)
        .expect("every shape here can be exported")
        .bytes
}

/// The file of a part of some network, from what the part was given, sample after sample; in f32 nothing need be known of that.
///
/// # Errors
/// If it cannot be written in that format.
pub fn part(package: &Package, format: Format, given: Option<&[f32]>) -> Result<AlignedBytes> {
    let stream = given.map(|given| Stream::Samples(given.to_vec()));
    let ranges = stream.as_ref().map(|s| Ranges::measure(&package.net, [s]));
    let tests = match &stream {
        Some(stream) => TestInputs::from_stream(stream, package.net.input_width()),
        None => TestInputs::Samples(Vec::new()),
    };
    Ok(export(package, format, ranges.as_ref(), &tests)?.bytes)
}

/// Microseconds that one of `count` things takes which `round` does, in the quickest of some rounds.
pub fn microseconds(count: usize, mut round: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        round();
        start.elapsed().as_secs_f64()
    };
    let least = (0..ROUNDS).map(once).fold(f64::INFINITY, f64::min);
    1e6 * least / count as f64
}
