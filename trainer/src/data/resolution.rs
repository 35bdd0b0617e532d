//! Columns whose steps an `f32` cannot tell: a counter of 1.8 · 10^9 goes by 128 in it.
//!
//! Of such a column differences are taken in 64 bits, before anything is rounded: the feature `wh` with the transform
//! `difference` becomes the derived column `diff(wh)`, and what is predicted is the change of `wh`, not its level, which no
//! `f32` can hold. The name travels in the file, so `predict` computes it in the same way, and a device with
//! `kinglet::Counter` from the readings as integers.

use std::borrow::Cow;

use super::csv::Table;
use super::error::DataError;
use super::normalise::unit_of;
use super::{Dataset, Part};
use crate::decimals::decimals;
use crate::package::{Feature, Input, Output, Target, Transform};
use crate::task::{FeatureTransform, SeriesTask, TargetTransform};

/// What is lost of a difference, in parts of its size, that is worth a word; and of a column that enters as it is.
const LOST: [f64; 2] = [0.02, 0.5];

/// A series whose differences can be told, and the columns whose differences are therefore taken in 64 bits.
pub(super) fn exact_steps<'s>(
    series: &'s SeriesTask,
    horizons: &[usize],
    table: &Table,
) -> Result<(Cow<'s, SeriesTask>, Vec<String>), DataError> {
    let mut exact = Cow::Borrowed(series);
    let mut columns = Vec::new();
    for feature in &series.features {
        let column = &feature.column;
        let alone = |against: &Option<String>| against.as_ref().is_none_or(|other| other != column);
        let as_difference = series.targets.iter().all(|target| {
            let own = target.column != *column
                || target.transform == TargetTransform::Difference
                    && target.against.is_none()
                    && target.cap.is_none();
            own && alone(&target.against)
        });
        let others = series
            .features
            .iter()
            .filter(|other| !std::ptr::eq(*other, feature));
        let only = others
            .clone()
            .all(|other| other.column != *column && alone(&other.against));
        let candidate = feature.transform == FeatureTransform::Difference
            && feature.against.as_ref().is_none_or(|other| other == column)
            && table.names().contains(column)
            && (!horizons.contains(&0)
                || series.targets.iter().all(|target| target.column != *column));
        if !(candidate && only && as_difference && is_coarse(column, table)?) {
            continue;
        }
        let name = format!("diff({column})");
        let exact = exact.to_mut();
        for feature in exact.features.iter_mut().filter(|f| f.column == *column) {
            feature.column.clone_from(&name);
            (feature.transform, feature.against) = (FeatureTransform::None, None);
        }
        for target in exact.targets.iter_mut().filter(|t| t.column == *column) {
            target.column.clone_from(&name);
            target.transform = TargetTransform::None;
        }
        columns.push(column.clone());
    }
    Ok((exact, columns))
}

/// Whether the steps of a column are rounded away in an `f32`.
fn is_coarse(column: &str, table: &Table) -> Result<bool, DataError> {
    let seen = in_64_bits(column, table)?;
    Ok(seen.lost(LOST[0]).is_some())
}

/// What an `f32` loses of a column that varies in 64 bits, if that is so.
pub(super) fn rounded(column: &str, table: &Table) -> Option<String> {
    let is_there = table.names().iter().any(|name| name == column);
    in_64_bits(column, table)
        .ok()?
        .lost(LOST[0])
        .filter(|_| is_there)
}

fn in_64_bits(column: &str, table: &Table) -> Result<Seen, DataError> {
    let values = table.numbers(column)?;
    let mut seen = Seen::default();
    for group in table.groups() {
        let values = values[group.rows.clone()].iter().filter(|x| !x.is_nan());
        let mut before = None;
        for &x in values {
            seen.step(before.replace(x).unwrap_or(f64::NAN), x);
        }
    }
    Ok(seen)
}

/// A column, as it is gone through.
#[derive(Clone, Default)]
struct Seen {
    largest: f32,
    squares: f64,
    steps: usize,
}

impl Seen {
    fn step(&mut self, before: f64, now: f64) {
        self.largest = self.largest.max(now.abs() as f32);
        let step = now - before;
        if step.is_finite() {
            self.squares += step * step;
            self.steps += 1;
        }
    }

    /// What is lost, where that is more than a part of the steps.
    fn lost(&self, part: f64) -> Option<String> {
        let step = (self.squares / self.steps.max(1) as f64).sqrt();
        let unit = unit_of(self.largest);
        (step > 0.0 && unit > part * step).then(|| {
            format!(
                "its values reach {:.3e}, where 32 bits count by {unit}, and its steps are of about {}: they are rounded away",
                self.largest,
                decimals(step, 3)
            )
        })
    }
}

/// Says of every such feature and target how coarse it is, and what to do.
pub fn coarse_columns(data: &Dataset) -> Vec<String> {
    let Input::Features(features) = data.input() else {
        return Vec::new();
    };
    let targets: &[Target] = match data.output() {
        Output::Values(targets) => targets,
        _ => &[],
    };
    let mut inputs = vec![Seen::default(); features.len()];
    let mut outputs = vec![Seen::default(); targets.len()];
    for sequence in data.sequences(Part::Train) {
        for t in 1..sequence.steps() {
            let pairs = sequence.raw(t - 1).iter().zip(sequence.raw(t));
            for (seen, (&before, &now)) in inputs.iter_mut().zip(pairs) {
                seen.step(before.into(), now.into());
            }
            let pairs = sequence.truth(t - 1).iter().zip(sequence.truth(t));
            for (seen, (&before, &now)) in outputs.iter_mut().zip(pairs) {
                seen.step(before.into(), now.into());
            }
        }
    }
    let input = |(k, (feature, seen)): (usize, (&Feature, &Seen))| {
        let part = match feature.transform {
            Transform::None | Transform::Log => LOST[1],
            Transform::Difference { column } | Transform::LogRatio { column } if column == k => {
                LOST[0]
            }
            _ => return None,
        };
        let name = &feature.name;
        seen.lost(part).map(|lost| {
            format!(
                "{name}: {lost}; take them as the column diff({name}), which is computed in 64 bits"
            )
        })
    };
    let output = |(target, seen): (&Target, &Seen)| {
        // The change of an exact column may be small.
        let column = target.name.split('+').next().unwrap_or_default();
        let lost = seen.lost(LOST[1]).filter(|_| !column.starts_with("diff("));
        lost.map(|lost| {
            format!(
                "what is predicted, {}: {lost}; predict its change as the target diff({column}), which is computed in 64 bits",
                target.name
            )
        })
    };
    let inputs = features.iter().zip(&inputs).enumerate().filter_map(input);
    let outputs = targets.iter().zip(&outputs).filter_map(output);
    inputs.chain(outputs).collect()
}
