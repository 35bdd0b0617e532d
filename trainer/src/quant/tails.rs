//! How much of the heavy tails of inputs is cut: what that does to the answers, measured.
//!
//! The scale of an input with a heavy tail is an estimate at first, made layer by layer. Of a small network the answers decide: files
//! with other scales are run beside the float model over raw samples, all such inputs together at first, then one after the other.

use super::mixed::{Probe, Reference};
use super::{Formats, Ranges, fold};
use crate::file::{TestInputs, export_for};
use crate::package::Package;
use anyhow::Result;
use kinglet::Model;
use kinglet::format::{Format, Layout};

/// Multiplications of a step up to which it is worth the time.
const SMALL: usize = 200_000;
/// Powers of two that all are tried with.
const TOGETHER: [i8; 9] = [-5, -3, -2, -1, 1, 2, 3, 5, 8];
/// Inputs that are looked at alone, at the most.
const ALONE: usize = 8;

/// Sets [`Ranges::tails`] for a format.
///
/// # Errors
/// If the package cannot be exported.
pub fn cut_tails(
    package: &Package,
    (formats, layout): (&Formats, Layout),
    ranges: &mut Ranges,
    tests: &TestInputs,
    probes: &[Probe],
) -> Result<()> {
    if !formats.is_integer() || ranges.settled || probes.is_empty() {
        return Ok(());
    }
    let inputs = package.net.input_width();
    let export = |ranges: &Ranges, formats: &Formats| {
        export_for(layout, package, formats.clone(), Some(ranges), tests)
    };
    ranges.tails = vec![0; inputs];
    let ends = [0, package.net.layers.len() - 1].map(|layer| formats.of(layer));
    let folded = fold(&mut package.clone(), &mut ranges.clone(), ends);
    let tailed = folded.map_or(Vec::new(), |folded| folded.tailed);
    if tailed.is_empty() || package.net.macs() > SMALL {
        return Ok(());
    }
    let first = export(ranges, formats)?;
    let model = Model::from_bytes(&first.bytes)?;
    let float = export(ranges, &Format::F32.into())?;
    let reference = Reference::new(package, &Model::from_bytes(&float.bytes)?, probes);
    let mut least = reference.error(&model);
    let mut attempt = |tails: Vec<i8>, ranges: &mut Ranges| -> Result<bool> {
        let before = std::mem::replace(&mut ranges.tails, tails);
        let other = export(ranges, formats)?;
        let error = reference.error(&Model::from_bytes(&other.bytes)?);
        let better = error < least;
        if better {
            least = error;
        } else {
            ranges.tails = before;
        }
        Ok(better)
    };
    for power in TOGETHER {
        attempt(vec![power; inputs], ranges)?;
    }
    if tailed.len() < 2 {
        return Ok(());
    }
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
    Ok(())
}
