//! From a float network to the bytes of a model file.
//!
//! The file is built twice: first with test inputs only, to be loaded and stepped by the engine, then with
//! the outputs it gave. So a file that leaves here has been loaded, checked and run.

use super::AlignedBytes;
use super::doubts::{beyond_f16, beyond_integers};
use super::draft::Draft;
use super::test_steps::{MOST_TESTS, TestInputs, run_tests};
use crate::engine::AnyRunner;
use crate::package::{Package, Shape};
use crate::quant::{Formats, Ranges, bridge, fold, fold_f16, refine, rescale, take_back};
use anyhow::{Context, Result};
use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet::kernel::Kernels;

/// A model file and what became of the numbers on the way.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The file.
    pub bytes: AlignedBytes,
    /// What a reader should know: ranges that had to be guessed, rows that lost precision.
    pub notes: Vec<String>,
    /// Numbers of the network that this format cannot hold, with their share: its answers may be others.
    pub doubts: Vec<String>,
}

/// Builds the file of a package in one number format, or in one for every layer, in the portable layout.
///
/// Integer formats need the ranges of the network's values over real data; without them the ranges are
/// bounded from the weights, which costs accuracy, and noted.
///
/// # Errors
/// If a size is beyond the engine's limits, or weights cannot be represented.
pub fn export(
    package: &Package,
    formats: impl Into<Formats>,
    ranges: Option<&Ranges>,
    tests: &TestInputs,
) -> Result<Exported> {
    export_for(Layout::Portable, package, formats, ranges, tests)
}

/// As [`export`], in the layout of one CPU. A network that the layout cannot hold becomes a portable file, with
/// a note; what is computed is the same.
///
/// # Errors
/// As [`export`].
pub fn export_for(
    layout: Layout,
    package: &Package,
    formats: impl Into<Formats>,
    ranges: Option<&Ranges>,
    tests: &TestInputs,
) -> Result<Exported> {
    let mut formats = formats.into();
    let integer = formats.is_integer();
    let mut notes = Vec::new();
    let mut package = package.clone();
    let mut ranges = match ranges {
        Some(ranges) => ranges.clone(),
        None => {
            if integer {
                notes.push("no calibration data: ranges were bounded from the weights".to_owned());
            }
            Ranges::bound(&package.net)
        }
    };
    let (first, last) = (formats.of(0), formats.of(package.net.layers.len() - 1));
    let folds = match first {
        _ if ranges.settled => None,
        Format::F16 => fold_f16(&mut package, &ranges),
        _ if integer => fold(&mut package, &mut ranges, [first, last]),
        _ => None,
    };
    let tests = match folds {
        Some(folded) => tests.folded(&folded.folds),
        None => tests.clone(),
    };
    let mut bridges = Vec::new();
    if integer && !ranges.settled {
        bridges = bridge(&mut package.net, &mut ranges, &mut formats);
        for (before, &layer) in bridges.iter().enumerate() {
            notes.push(format!(
                "layer {}: cells in eight bits read what lies within ±1, and what these are given reaches {:.1}; a linear layer before them divides it, {} \
                 multiplications more",
                layer - before,
                ranges.layers[layer].output,
                package.net.layers[layer].outputs().pow(2)
            ));
        }
        rescale(&mut package.net, &mut ranges, &formats);
        take_back(&mut package.net, &ranges, &formats);
        if ranges.fine && formats == Formats::All(Format::W8A16) {
            let macs = package.net.macs();
            refine(&mut package.net, &mut ranges);
            notes.push(format!(
                "eight bits are too few for the weights over the inputs, so they have more: layer 0 is a dense layer that gives every input \
                 {} times, each with its part of the weights. A step has {} multiplications in place of {macs}",
                package.net.layers[0].outputs() / package.net.input_width(),
                package.net.macs()
            ));
        }
    }
    let doubts = match first {
        Format::F16 => beyond_f16(&package.net),
        _ if integer => beyond_integers(&package, (&ranges, &formats), &bridges, &mut notes),
        _ => Vec::new(),
    };
    let mut draft = Draft::new(layout, &package, &formats)?;
    draft.layers(&package.net.layers, &ranges)?;
    if !draft.unpacked.is_empty() {
        notes.extend(draft.unpacked);
        draft = Draft::new(Layout::Portable, &package, &formats)?;
        draft.layers(&package.net.layers, &ranges)?;
    }
    let inputs = package.net.input_width();
    let window = match package.shape {
        Shape::Window { window, .. } if package.net.is_bidirectional() => window,
        _ => 1,
    };
    let [first, every] = package.net.answers();
    // Of answers that are rare there are some, too.
    let rare = first.saturating_add(every.saturating_sub(1).saturating_mul(8));
    let least = window.max(rare.min(MOST_TESTS));
    let tests = &tests.windows(window, least, inputs);
    let answers = tests.steps(inputs) / window;
    let outputs = package.net.output_width();
    let blank = vec![0u8; answers * outputs * if integer { 2 } else { 4 }];
    let first = draft.file(tests, &blank, 0)?;
    let (results, digest) = run_tests(&first, tests)?;
    let bytes = draft.file(tests, &results, digest)?;
    verify(&bytes)?;
    Ok(Exported {
        bytes,
        notes,
        doubts,
    })
}

/// Every table of this machine must give the results in the file; one that fuses floats need not, where a network makes much of
/// a rounding.
fn verify(bytes: &AlignedBytes) -> Result<()> {
    let model = Model::from_bytes(bytes).context("the exported file does not load")?;
    let exact = |kernels: &&'static Kernels| model.is_integer() || !kernels.fused();
    for kernels in Kernels::available().filter(exact) {
        let mut state = AlignedBytes::zeroed(model.state_len());
        let tested = AnyRunner::bind(&model, &mut state)?
            .with_kernels(kernels)
            .self_test();
        tested.with_context(|| format!("{} kernels", kernels.name()))?;
    }
    Ok(())
}
