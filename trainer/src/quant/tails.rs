//! How much of the heavy tails of inputs is cut: what that does to the answers, measured.
//!
//! The scale of an input with a heavy tail is an estimate at first, made layer by layer. Of a small network the answers decide: files
//! with other scales are run beside the float model over raw samples, all such inputs together at first, then one after the other.
//! They decide too whether [finer weights](super::fine) over the inputs are worth a layer more.

use super::mixed::{Probe, Reference};
use super::{Formats, Ranges, fine, fold};
use crate::file::{TestInputs, export_for};
use crate::package::Package;
use anyhow::Result;
use kinglet::Model;
use kinglet::format::{Format, Layout};

/// Multiplications of a step up to which it is worth the time.
const SMALL: usize = 200_000;
/// Multiplications that a file is measured with, of a large network.
const MACS: usize = 4_000_000_000;
/// Powers of two that all are tried with.
const TOGETHER: [i8; 9] = [-5, -3, -2, -1, 1, 2, 3, 5, 8];
/// Part of the error that finer weights leave at the most, where they are taken.
const FINER: f64 = 0.5;
/// Inputs that are looked at alone, at the most.
const ALONE: usize = 8;

/// Sets [`Ranges::tails`] and [`Ranges::fine`] for a format. Gives the format to take in place of that one, if there is such a format: inputs of w8a8
/// reach ±16 and those of w8a16 ±8, so of the heaviest tails eight bits may keep more than sixteen.
///
/// # Errors
/// If the package cannot be exported.
pub fn cut_tails(
    package: &Package,
    (formats, layout): (&Formats, Layout),
    ranges: &mut Ranges,
    tests: &TestInputs,
    probes: &[Probe],
) -> Result<Option<Format>> {
    if !formats.is_integer() || ranges.settled || probes.is_empty() {
        return Ok(None);
    }
    ranges.tails = vec![0; package.net.input_width()];
    let macs = package.net.macs();
    let other = (*formats == Formats::All(Format::W8A16)).then_some(Format::W8A8);
    let (_, tailed) = folded(package, formats, ranges);
    let mut finer = ranges.clone();
    finer.fine = true;
    let may_be_fine =
        other.is_some() && fine::copies(&folded(package, formats, &finer).0.net).is_some();
    if !may_be_fine && (tailed.is_empty() || macs > SMALL && other.is_none()) {
        return Ok(None);
    }
    let probes = &first_steps(probes, package.net.input_width(), MACS / macs.max(1));
    let float = export_for(layout, package, Format::F32, Some(ranges), tests)?;
    let search = Search {
        package,
        layout,
        tests,
        reference: Reference::new(package, &Model::from_bytes(&float.bytes)?, probes),
    };
    let mut least = search.settle(formats, ranges)?;
    if may_be_fine {
        let error = search.settle(formats, &mut finer)?;
        if error < FINER * least {
            (least, *ranges) = (error, finer);
        }
    }
    let Some(other) = other.filter(|_| !tailed.is_empty()) else {
        return Ok(None);
    };
    let mut of_other = ranges.clone();
    of_other.tails.fill(0);
    of_other.fine = false;
    if search.settle(&other.into(), &mut of_other)? < least {
        *ranges = of_other;
        return Ok(Some(other));
    }
    Ok(None)
}

/// Says that one format was asked for and another is taken.
pub fn kept_in(asked: Format, taken: Format) -> String {
    let [asked, taken] = [asked, taken].map(Format::name);
    format!(
        "inputs have tails so heavy that {taken}, which holds them twice as far, errs less than {asked}: the model is in {taken}"
    )
}

/// A package with its inputs folded, and those whose tails are cut or could be.
fn folded(package: &Package, formats: &Formats, ranges: &Ranges) -> (Package, Vec<usize>) {
    let ends = [0, package.net.layers.len() - 1].map(|layer| formats.of(layer));
    let mut package = package.clone();
    let folded = fold(&mut package, &mut ranges.clone(), ends);
    (package, folded.map_or(Vec::new(), |folded| folded.tailed))
}

/// Probes of so many steps together; the first one has at least an answer.
fn first_steps(probes: &[Probe], width: usize, most: usize) -> Vec<Probe> {
    let mut left = most;
    let mut taken = Vec::new();
    for probe in probes {
        if left == 0 {
            break;
        }
        let steps = probe.raw.len() / width.max(1);
        let kept = steps.min(left.max(probe.counted + 1));
        left = left.saturating_sub(kept);
        taken.push(Probe {
            raw: probe.raw[..kept * width].to_vec(),
            counted: probe.counted,
        });
    }
    taken
}

/// Files with other scales beside the float model.
struct Search<'s> {
    package: &'s Package,
    layout: Layout,
    tests: &'s TestInputs,
    reference: Reference<'s>,
}

impl Search<'_> {
    fn error(&self, formats: &Formats, ranges: &Ranges) -> Result<f64> {
        let file = export_for(
            self.layout,
            self.package,
            formats.clone(),
            Some(ranges),
            self.tests,
        )?;
        Ok(self.reference.error(&Model::from_bytes(&file.bytes)?))
    }

    /// Of a small network tries other scales, and leaves the best ones in the ranges. The error of what is left.
    fn settle(&self, formats: &Formats, ranges: &mut Ranges) -> Result<f64> {
        let mut least = self.error(formats, ranges)?;
        let (_, tailed) = folded(self.package, formats, ranges);
        if self.package.net.macs() > SMALL || tailed.is_empty() {
            return Ok(least);
        }
        let mut attempt = |tails: Vec<i8>, ranges: &mut Ranges| -> Result<bool> {
            let before = std::mem::replace(&mut ranges.tails, tails);
            let error = self.error(formats, ranges)?;
            let better = error < least;
            if better {
                least = error;
            } else {
                ranges.tails = before;
            }
            Ok(better)
        };
        for power in TOGETHER {
            attempt(vec![power; ranges.tails.len()], ranges)?;
        }
        if tailed.len() > 1 {
            for &input in tailed.iter().take(ALONE) {
                for step in [-1, 1] {
                    let mut tails = ranges.tails.clone();
                    loop {
                        tails[input] += step;
                        if !attempt(tails.clone(), ranges)? {
                            break;
                        }
                    }
                }
            }
        }
        Ok(least)
    }
}
