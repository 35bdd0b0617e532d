//! Samples beyond what a model holds: an integer one goes on with the nearest number that it has, of large numbers a
//! 32-bit float rounds the differences away, and what is not above 0 has no logarithm. The user is told.

use crate::model_file::{input_names, output_ends, output_names};
use kinglet::format::{Feature, FeatureTransform};
use kinglet::{Model, num};

/// Counts over a stream, for the inputs that enter as they are.
#[derive(Debug)]
pub struct Beyond<'m> {
    names: Vec<&'m str>,
    /// Least and largest value of each input; but for logarithms, what is transformed, and float models, have no such limits.
    limits: Vec<[f32; 2]>,
    /// Its logarithm is taken.
    logarithms: Vec<bool>,
    cut: Vec<usize>,
    /// Usual size of the differences that are taken of an input.
    steps: Vec<Option<f32>>,
    coarse: Vec<usize>,
    samples: usize,
    outputs: Vec<&'m str>,
    /// Least and largest value of each output, where it has such.
    ends: Vec<Option<[f32; 2]>>,
    ended: Vec<usize>,
    answers: usize,
}

/// What is lost of a difference, in parts of its usual size, that is worth a word.
const LOST: f32 = 0.05;

impl<'m> Beyond<'m> {
    /// Nothing counted yet.
    pub fn new(model: &Model<'m>) -> Self {
        let (low, high) = num::input_limits(model.input_frac());
        let lsb = 2f32.powi(-i32::from(model.input_frac()));
        let limits = model.features().iter().map(|feature| {
            if takes_logarithm(feature) {
                return [f32::from_bits(1), f32::INFINITY];
            }
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
            logarithms: model.features().iter().map(takes_logarithm).collect(),
            limits,
            samples: 0,
            outputs: output_names(model).into_iter().map(|name| name.0).collect(),
            ended: vec![0; model.outputs()],
            ends: output_ends(model),
            answers: 0,
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

    /// An answer, in the units of the outputs.
    pub fn answer(&mut self, y: &[f32]) {
        self.answers += 1;
        for ((y, ends), ended) in y.iter().zip(&self.ends).zip(&mut self.ended) {
            let at_end = |[least, most]: [f32; 2]| (*y <= least) | (*y >= most);
            *ended += usize::from(ends.is_some_and(at_end));
        }
    }

    /// What was met.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let inputs = self.names.iter().zip(&self.cut).zip(&self.limits);
        let inputs = inputs.zip(&self.logarithms);
        for (((name, &cut), [low, high]), is_log) in inputs.filter(|(((_, cut), _), _)| **cut > 0) {
            let share = 100.0 * cut as f64 / self.samples as f64;
            if *is_log {
                notes.push(format!(
                    "{name}: {cut} of {} values ({share:.2} %) are not above 0 and so have no logarithm, which the model takes; they \
                     were taken for values that are missing",
                    self.samples
                ));
                continue;
            }
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
        let outputs = self.outputs.iter().zip(&self.ended).zip(&self.ends);
        for ((name, &ended), ends) in outputs.filter(|((_, ended), _)| **ended > 0) {
            let share = 100.0 * ended as f64 / self.answers as f64;
            let [least, most] = ends.unwrap_or_default();
            notes.push(format!(
                "{name}: {ended} of {} answers ({share:.2} %) lie at an end of what the model's integers hold, {least} to {most}, and may have been \
                 cut there; calibrate it with data in which {name} goes as far",
                self.answers
            ));
        }
        notes
    }
}

/// Whether an input enters by its logarithm, or that of a ratio.
fn takes_logarithm(feature: &Feature) -> bool {
    let logarithms = [FeatureTransform::Log, FeatureTransform::LogRatio];
    logarithms.iter().any(|&log| feature.tag() == log as u32)
}

fn is_beyond(x: f32, [least, largest]: [f32; 2]) -> bool {
    // Both are looked at: a branch would cost more.
    (x < least) | (x > largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_at_an_end_or_has_no_logarithm_is_told() {
        let bytes = include_bytes!("../../engine/tests/models/lstm_w8a8.kgl");
        let file = crate::file::AlignedBytes::from(&bytes[..]);
        let model = Model::from_bytes(&file).unwrap();
        let mut beyond = Beyond::new(&model);
        let [least, most] = output_ends(&model)[0].unwrap();
        assert!(least < most);
        let mut y = vec![0.5 * (least + most); model.outputs()];
        beyond.answer(&y);
        assert!(beyond.notes().is_empty());
        y[0] = most;
        beyond.answer(&y);
        assert!(beyond.notes()[0].contains("1 of 2 answers (50.00 %) lie at an end"));

        let bytes = include_bytes!("../../engine/tests/models/window_f32.kgl");
        let file = crate::file::AlignedBytes::from(&bytes[..]);
        let model = Model::from_bytes(&file).unwrap();
        let mut beyond = Beyond::new(&model);
        for x in [3.0, 0.0, -1.0, 2.0] {
            beyond.meet(&[x]);
        }
        assert!(beyond.notes()[0].contains("2 of 4 values (50.00 %) are not above 0"));
    }
}
