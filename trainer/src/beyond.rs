//! Samples beyond what a model holds: an integer one goes on with the nearest number that it has, and of large numbers a
//! 32-bit float rounds the differences away. The user is told.

use crate::model_file::input_names;
use kinglet::format::FeatureTransform;
use kinglet::{Model, num};

/// Counts over a stream, for the inputs that enter as they are.
#[derive(Debug)]
pub struct Beyond<'m> {
    names: Vec<&'m str>,
    /// Least and largest value of each input; what is transformed, and float models, have no such limits.
    limits: Vec<[f32; 2]>,
    cut: Vec<usize>,
    /// Usual size of the differences that are taken of an input.
    steps: Vec<Option<f32>>,
    coarse: Vec<usize>,
    samples: usize,
}

/// What is lost of a difference, in parts of its usual size, that is worth a word.
const LOST: f32 = 0.05;

impl<'m> Beyond<'m> {
    /// Nothing counted yet.
    pub fn new(model: &Model<'m>) -> Self {
        let (low, high) = num::input_limits(model.input_frac());
        let lsb = 2f32.powi(-i32::from(model.input_frac()));
        let limits = model.features().iter().map(|feature| {
            if !model.is_integer() || feature.tag() != FeatureTransform::None as u32 {
                return [f32::NEG_INFINITY, f32::INFINITY];
            }
            // Half a step farther is still rounded to the last one.
            let ends = [f32::from(low) - 0.5, f32::from(high) + 0.5];
            let [a, b] = ends.map(|end| end * lsb / feature.scale + feature.offset);
            [a.min(b), a.max(b)]
        });
        let limits: Vec<[f32; 2]> = limits.collect();
        let steps = model.features().iter().map(|feature| {
            let difference = feature.tag() == FeatureTransform::Difference as u32;
            difference.then(|| 1.0 / feature.scale.abs())
        });
        Beyond {
            names: input_names(model).into_iter().map(|name| name.0).collect(),
            cut: vec![0; limits.len()],
            coarse: vec![0; limits.len()],
            steps: steps.collect(),
            limits,
            samples: 0,
        }
    }

    /// Values of a raw sample that are cut.
    pub fn count(&self, sample: &[f32]) -> u64 {
        // Counted in 32 bits, several are compared at once.
        let pairs = sample.iter().zip(&self.limits);
        let cut = pairs.map(|(&x, &limits)| u32::from(is_beyond(x, limits)));
        u64::from(cut.sum::<u32>())
    }

    /// A raw sample.
    pub fn meet(&mut self, sample: &[f32]) {
        self.samples += 1;
        for ((x, limits), cut) in sample.iter().zip(&self.limits).zip(&mut self.cut) {
            *cut += usize::from(is_beyond(*x, *limits));
        }
        for ((x, step), coarse) in sample.iter().zip(&self.steps).zip(&mut self.coarse) {
            let unit = x.abs().next_up() - x.abs();
            *coarse += usize::from(step.is_some_and(|step| unit > LOST * step));
        }
    }

    /// What was met.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let inputs = self.names.iter().zip(&self.cut).zip(&self.limits);
        for ((name, &cut), [low, high]) in inputs.filter(|((_, cut), _)| **cut > 0) {
            let share = 100.0 * cut as f64 / self.samples as f64;
            notes.push(format!(
                "{name}: {cut} of {} values ({share:.2} %) lie beyond what the model was quantized for, {low} to {high}, \
                 and were cut there",
                self.samples
            ));
        }
        for (name, &coarse) in self
            .names
            .iter()
            .zip(&self.coarse)
            .filter(|(_, coarse)| **coarse > 0)
        {
            let share = 100.0 * coarse as f64 / self.samples as f64;
            notes.push(format!(
                "{name}: {coarse} of {} values ({share:.2} %) are so large that a 32-bit float rounds their differences away; \
                 train a model of diff({name}), whose differences are taken in 64 bits",
                self.samples
            ));
        }
        notes
    }
}

fn is_beyond(x: f32, [least, largest]: [f32; 2]) -> bool {
    // Both are looked at: a branch would cost more.
    (x < least) | (x > largest)
}
