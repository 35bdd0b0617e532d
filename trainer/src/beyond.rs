//! Samples beyond what a model holds: an integer one goes on with the nearest number that it has, of large numbers a
//! 32-bit float rounds the differences away, and what is not above 0 has no logarithm. The user is told.

use crate::data::Written;
use crate::model_file::{input_names, output_ends, output_names};
use crate::net::{Layer, Network};
use crate::package::{Input, Package, Transform};
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
    /// What integers inside were fitted to, and a margin; where the file says that.
    seen: Vec<[f32; 2]>,
    unseen: Vec<usize>,
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

/// So much farther than calibration went, in parts of its range, is not worth a word.
const MARGIN: f32 = 0.1;
/// Inputs of which each has its own range in a file.
const EACH: usize = 32;

/// The range of each input of an integer model over samples that it is fitted to, for [`Written::seen`]: where a network begins with a layer
/// whose numbers can be any, what lies beyond the samples' is cut inside.
pub fn seen<'r>(package: &Package, rows: impl Iterator<Item = &'r [f32]>) -> Vec<[f64; 2]> {
    let Input::Features(features) = &package.input else {
        return Vec::new();
    };
    if !is_open(&package.net) {
        return Vec::new();
    }
    let none = [f32::INFINITY, f32::NEG_INFINITY];
    let mut seen = vec![none; features.len()];
    for row in rows {
        for (seen, &x) in seen.iter_mut().zip(row) {
            *seen = [seen[0].min(x), seen[1].max(x)];
        }
    }
    for (seen, feature) in seen.iter_mut().zip(features) {
        if feature.transform != Transform::None || seen[0] > seen[1] {
            *seen = [f32::NEG_INFINITY, f32::INFINITY];
        }
    }
    if seen.len() > EACH {
        let all = |all: [f32; 2], one: [f32; 2]| [all[0].min(one[0]), all[1].max(one[1])];
        seen = vec![seen.into_iter().fold(none, all)];
    }
    seen.into_iter().map(|ends| ends.map(short)).collect()
}

/// Four digits.
fn short(x: f32) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(f64::from(x))
}

/// What the first layer gives can be any number.
fn is_open(net: &Network) -> bool {
    let mut layers = net.layers.iter();
    let first = layers.find(|layer| !matches!(layer, Layer::Keep(_)));
    matches!(first, Some(Layer::Dense(_) | Layer::Conv(_)))
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
            seen: Vec::new(),
            unseen: vec![0; limits.len()],
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

    /// With what the model's file says of samples that it was fitted to.
    pub fn fitted_to(mut self, written: &Written) -> Self {
        let widened = |ends: [f64; 2]| {
            let [low, high] = ends.map(|end| end as f32);
            let margin = MARGIN * (high - low) + f32::EPSILON * high.abs().max(low.abs());
            match margin.is_finite() {
                true => [low - margin, high + margin],
                false => [low, high],
            }
        };
        self.seen = match written.seen[..] {
            [all] => vec![widened(all); self.cut.len()],
            ref each => each.iter().copied().map(widened).collect(),
        };
        self
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
        for ((x, seen), unseen) in sample.iter().zip(&self.seen).zip(&mut self.unseen) {
            *unseen += usize::from(is_beyond(*x, *seen));
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
        let fitted = self.names.iter().zip(&self.unseen).zip(&self.seen);
        for ((name, &unseen), [low, high]) in fitted.filter(|((_, unseen), _)| **unseen > 0) {
            let share = 100.0 * unseen as f64 / self.samples as f64;
            notes.push(format!(
                "{name}: {unseen} of {} values ({share:.2} %) lie well beyond what the integers were fitted to, {} to {} with a margin, and what \
                 becomes of them inside may have been cut; calibrate with data in which {name} goes as far",
                self.samples,
                short(*low),
                short(*high)
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

    #[test]
    fn what_lies_beyond_what_integers_were_fitted_to_is_told() {
        let bytes = include_bytes!("../../engine/tests/models/lstm_w8a8.kgl");
        let file = crate::file::AlignedBytes::from(&bytes[..]);
        let model = Model::from_bytes(&file).unwrap();
        let rows = [[1.0, 20.0, 5.0], [3.0, 10.00049, 5.0]];
        let dense = |inputs| Network {
            layers: vec![Layer::Dense(crate::net::Dense {
                inputs,
                outputs: 1,
                activation: crate::net::Activation::Identity,
                weight: vec![0.0; inputs],
                bias: vec![0.0],
            })],
        };
        let package = Package::of_numbers("t", dense(3));
        let of_rows = seen(&package, rows.iter().map(|row| &row[..]));
        assert_eq!(of_rows, [[1.0, 3.0], [10.0, 20.0], [5.0, 5.0]]);
        let many = Package::of_numbers("t", dense(EACH + 1));
        let row: Vec<f32> = (0..EACH + 1).map(|x| x as f32).collect();
        assert_eq!(seen(&many, [&row[..]].into_iter()), [[0.0, EACH as f64]]);

        let written = Written {
            seen: vec![[-1.0, 1.0]],
            ..Written::default()
        };
        let mut beyond = Beyond::new(&model).fitted_to(&written);
        let mut x = vec![0.0; model.inputs()];
        for value in [1.1, -1.0, 1.3] {
            x[0] = value;
            beyond.meet(&x);
        }
        let told = beyond.notes();
        assert!(
            told[0].contains(
                "1 of 3 values (33.33 %) lie well beyond what the integers were fitted to"
            )
        );
    }
}
