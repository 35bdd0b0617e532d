//! Samples beyond what an integer model holds: it goes on with the nearest number that it has, and the user is told.

use super::model_file::input_names;
use super::say;
use kinglet::format::FeatureTransform;
use kinglet::{Model, num};

/// Counts over a stream, for the inputs that enter as they are.
pub struct Beyond<'m> {
    names: Vec<&'m str>,
    /// Least and largest value of each input; what is transformed, and float models, have no such limits.
    limits: Vec<[f32; 2]>,
    cut: Vec<usize>,
    samples: usize,
}

impl<'m> Beyond<'m> {
    pub fn new(model: &Model<'m>) -> Self {
        let (low, high) = num::input_limits(model.input_frac());
        let lsb = 2f32.powi(-i32::from(model.input_frac()));
        let limits = model.features().iter().map(|feature| {
            if !model.is_integer() || feature.tag() != FeatureTransform::None as u32 {
                return [f32::NEG_INFINITY, f32::INFINITY];
            }
            // Half a step farther is still rounded to the last one.
            let ends = [f32::from(low) - 0.5, f32::from(high) + 0.5];
            ends.map(|end| end * lsb / feature.scale + feature.offset)
        });
        let limits: Vec<[f32; 2]> = limits.collect();
        Beyond {
            names: input_names(model).into_iter().map(|name| name.0).collect(),
            cut: vec![0; limits.len()],
            limits,
            samples: 0,
        }
    }

    /// A raw sample.
    pub fn meet(&mut self, sample: &[f32]) {
        self.samples += 1;
        for ((x, limits), cut) in sample.iter().zip(&self.limits).zip(&mut self.cut) {
            *cut += usize::from(*x < limits[0].min(limits[1]) || *x > limits[0].max(limits[1]));
        }
    }

    /// At the end.
    pub fn tell(&self) {
        let inputs = self.names.iter().zip(&self.cut).zip(&self.limits);
        for ((name, &cut), [low, high]) in inputs.filter(|((_, cut), _)| **cut > 0) {
            let share = 100.0 * cut as f64 / self.samples as f64;
            say(&format!(
                "warning: {name}: {cut} of {} values ({share:.2} %) lie beyond what the model was quantized for, {low} to {high}, \
                 and were cut there",
                self.samples
            ));
        }
    }
}
