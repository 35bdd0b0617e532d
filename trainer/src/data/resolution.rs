//! Columns whose steps an `f32` cannot tell: a counter of 1.8 · 10^9 goes by 128 in it.

use super::{Dataset, Part};
use crate::package::{Input, Transform};

/// What is lost of a difference, in parts of its size, that is worth a word; and of a column that enters as it is.
const LOST: [f64; 2] = [0.02, 0.5];

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
