//! Between raw samples and what a network takes and gives: gaps are filled, values transformed and normalised, and outputs brought
//! back into their units.
//!
//! Which function a column needs is in the file; where no column has a logarithm and no output an exponential, the
//! model says so, and a network that the compiler loads links neither. They are the one part of a step whose
//! instructions depend on the data.

use super::Model;
use crate::format::{FeatureTransform, Input, TargetRestore};

/// Network outputs to predictions in their units, relative to the current raw sample.
#[inline(always)]
pub(super) fn restore_units(model: &Model<'_>, sample: &[f32], output: &mut [f32]) {
    for (target, y) in model.targets.iter().zip(output) {
        let value = *y * target.scale + target.offset;
        let now = || sample.get(target.column as usize).copied().unwrap_or(0.0);
        *y = match TargetRestore::from_tag(target.restore) {
            Some(TargetRestore::Exp) if model.exponentials => libm::expf(value),
            Some(TargetRestore::AddTo) => now() + value,
            Some(TargetRestore::TimesExp) if model.exponentials => now() * libm::expf(value),
            _ => value,
        };
    }
}

/// Fills the gaps of a raw sample where the file says so, then normalises it.
#[inline(always)]
pub(super) fn fill_and_normalise(
    model: &Model<'_>,
    persistent: &mut [i32],
    sample: &[f32],
    store: impl FnMut(usize, f32),
) {
    let (held, rest) = persistent.split_at_mut(model.plan.held);
    let previous = &mut rest[..model.plan.previous - model.plan.held];
    match held {
        [] => normalise(model, previous, sample, store),
        held => {
            hold(model, held, sample);
            normalise(model, previous, bytemuck::cast_slice(&held[1..]), store);
        }
    }
}

/// Replaces `held` by the sample, but for the gaps that hold. Values are chosen by masks, so that the work does not
/// depend on what is missing.
#[inline(always)]
pub(super) fn hold(model: &Model<'_>, held: &mut [i32], sample: &[f32]) {
    assert!(sample.len() == model.inputs(), "length of the sample");
    let Some((known, held)) = held.split_first_mut() else {
        return;
    };
    // Before the first sample there is nothing to hold.
    let nothing = f32::NAN.to_bits() as i32;
    for (feature, (held, &x)) in model.features.iter().zip(held.iter_mut().zip(sample)) {
        let last = select(*known != 0, *held, nothing);
        let masked = feature.tag() == FeatureTransform::Missing as u32
            && sample
                .get(feature.column as usize)
                .is_some_and(|x| x.is_nan());
        let x = select(masked, 1f32.to_bits() as i32, x.to_bits() as i32);
        let gap = feature.holds() && f32::from_bits(x as u32).is_nan();
        *held = select(gap, last, x);
    }
    *known = 1;
}

#[inline(always)]
fn select(condition: bool, yes: i32, no: i32) -> i32 {
    let mask = -(condition as i32);
    (yes & mask) | (no & !mask)
}

/// Transforms and normalises a raw sample, and remembers it where a transform looks back.
#[inline(always)]
pub(super) fn normalise(
    model: &Model<'_>,
    previous: &mut [i32],
    sample: &[f32],
    mut store: impl FnMut(usize, f32),
) {
    assert!(
        matches!(model.header.input, Input::Features { .. }),
        "sample for a model of tokens"
    );
    assert!(sample.len() == model.inputs(), "length of the sample");
    let words: &mut [f32] = bytemuck::cast_slice_mut(previous);
    let previous = match words.split_first_mut() {
        Some((known, previous)) => {
            if *known == 0.0 {
                *known = 1.0;
                previous.copy_from_slice(sample);
            }
            previous
        }
        None => &mut [],
    };
    for (i, (feature, &x)) in model.features.iter().zip(sample).enumerate() {
        let before = || previous.get(feature.column as usize).copied().unwrap_or(x);
        let value = match FeatureTransform::from_tag(feature.tag()) {
            Some(FeatureTransform::Log) if model.logs => libm::logf(x),
            Some(FeatureTransform::Difference) => x - before(),
            Some(FeatureTransform::LogRatio) if model.logs => libm::logf(x / before()),
            _ => x,
        };
        let value = (value - feature.offset) * feature.scale;
        store(i, if value.is_finite() { value } else { 0.0 });
    }
    if !previous.is_empty() {
        previous.copy_from_slice(sample);
    }
}
