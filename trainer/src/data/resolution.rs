//! Columns whose steps an `f32` cannot tell: a counter of 1.8 · 10^9 goes by 128 in it.
//!
//! Of such a column differences are taken in 64 bits, before anything is rounded: the feature `wh` with the transform
//! `difference` becomes the derived column `diff(wh)`, and what is predicted is the change of `wh`, not its level, which no
//! `f32` can hold. The name travels in the file, so `predict` computes it in the same way, and a device with
//! `kinglet::Counter` from the readings as integers.

use std::borrow::Cow;

use super::csv::Table;
use super::error::DataError;
use super::{Dataset, Part};
use crate::package::{Input, Transform};
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
            && !horizons.contains(&0);
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
    let values = table.numbers(column)?;
    let (mut squares, mut steps, mut largest) = (0.0, 0usize, 0f32);
    for group in table.groups() {
        let values = values[group.rows.clone()].iter().filter(|x| !x.is_nan());
        let mut before = None;
        for &x in values {
            largest = largest.max(x.abs() as f32);
            if let Some(before) = before.replace(x) {
                squares += (x - before) * (x - before);
                steps += 1;
            }
        }
    }
    let step = (squares / steps.max(1) as f64).sqrt();
    let unit = f64::from(largest.next_up() - largest);
    Ok(step > 0.0 && unit > LOST[0] * step)
}

/// Says of every such feature how coarse it is, and what to do.
pub fn coarse_columns(data: &Dataset) -> Vec<String> {
    let Input::Features(features) = data.input() else {
        return Vec::new();
    };
    let mut largest = vec![0f32; features.len()];
    // Squared steps, and how many.
    let mut steps = vec![(0.0, 0usize); features.len()];
    for sequence in data.sequences(Part::Train) {
        for t in 1..sequence.steps() {
            let (before, now) = (sequence.raw(t - 1), sequence.raw(t));
            for k in 0..features.len() {
                largest[k] = largest[k].max(now[k].abs());
                let step = f64::from(now[k]) - f64::from(before[k]);
                if step.is_finite() {
                    steps[k] = (steps[k].0 + step * step, steps[k].1 + 1);
                }
            }
        }
    }
    let of = |k: usize| {
        let feature = &features[k];
        let lost = match feature.transform {
            Transform::Difference { column } if column == k => LOST[0],
            Transform::None => LOST[1],
            _ => return None,
        };
        let step = (steps[k].0 / steps[k].1.max(1) as f64).sqrt();
        let unit = f64::from(largest[k].next_up() - largest[k]);
        (step > 0.0 && unit > lost * step).then(|| {
            format!(
                "{}: its values reach {:.3e}, where 32 bits count by {unit}, and its steps are of about {step:.3}: they are rounded \
                 away; take them as the column diff({}), which is computed in 64 bits",
                feature.name, largest[k], feature.name
            )
        })
    };
    (0..features.len()).filter_map(of).collect()
}
