//! What may come, many steps ahead. A model says what the next row may be; of that one thing is drawn and fed back as if it had been
//! measured, again and again, and over many such paths the quantiles of each step are taken.
//!
//! What is drawn of a model with quantiles lies where they say, on straight lines between them, which go on beyond the outermost. Of a
//! model of means it is the prediction and one of the errors that it has made on the rows before, those of all outputs at the same row.
//! So errors count as being as large everywhere, and as having nothing to do with the one before.

use std::collections::VecDeque;

use kinglet::Model;

use crate::model_file::output_names;
use crate::package::Target;
use crate::train::init::Rng;

/// The errors that are kept, the newest.
const ERRORS: usize = 10_000;

/// Draws what may follow a prediction.
#[derive(Debug)]
pub struct Futures {
    drawn: Vec<Drawn>,
    /// Of the model's predictions of inputs, row by row.
    errors: VecDeque<Vec<f32>>,
    rng: Rng,
}

/// A number that is drawn.
#[derive(Debug)]
struct Drawn {
    name: String,
    /// Its outputs, one or a quantile each.
    outputs: Vec<usize>,
    /// The shares that these stand for, from low to high; empty of a mean.
    levels: Vec<f64>,
    /// Where it enters the next sample.
    feeds: Option<usize>,
}

/// A stream that can be gone along again and again from where it is.
pub trait Walk {
    /// To where it was.
    fn back(&mut self);
    /// Takes a sample and gives the prediction after it.
    fn step(&mut self, sample: &[f32], y: &mut [f32]);
}

impl Futures {
    /// Without errors yet.
    pub fn new(model: &Model<'_>, seed: u64) -> Self {
        let names = output_names(model);
        let mut drawn: Vec<Drawn> = Vec::new();
        for (output, (name, target)) in names.iter().zip(model.targets()).enumerate() {
            let feeds = Some(target.feeds as usize).filter(|&place| place < model.inputs());
            let level = Target::quantile_of(name.0);
            let plain = level.map_or(name.0, |(plain, _)| plain);
            let last = drawn
                .last_mut()
                .filter(|last| level.is_some() && last.name == plain);
            match last {
                Some(last) => {
                    last.outputs.push(output);
                    last.levels.extend(level.map(|level| level.1));
                    last.feeds = last.feeds.or(feeds);
                }
                None => drawn.push(Drawn {
                    name: plain.to_owned(),
                    outputs: vec![output],
                    levels: level.map(|level| level.1).into_iter().collect(),
                    feeds,
                }),
            }
        }
        // Of a mean that is no input the truth, and so the error, is not known.
        drawn.retain(|drawn| drawn.levels.len() > 1 || drawn.feeds.is_some());
        Futures {
            drawn,
            errors: VecDeque::new(),
            rng: Rng::new(seed),
        }
    }

    /// What each number of a fan is called, and the model's outputs for its quantiles, with the shares below these; none, of a mean.
    pub fn names(&self) -> impl Iterator<Item = (&str, Vec<(usize, f64)>)> {
        self.drawn.iter().map(|drawn| {
            let outputs = drawn.outputs.iter().copied();
            (
                &drawn.name[..],
                outputs.zip(drawn.levels.iter().copied()).collect(),
            )
        })
    }

    /// The numbers of a fan that are next values of inputs, with the places of these.
    pub fn fed(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let drawn = self.drawn.iter().enumerate();
        drawn.filter_map(|(number, drawn)| Some((number, drawn.feeds?)))
    }

    /// A sample, and what was predicted of it.
    pub fn meet(&mut self, y: &[f32], sample: &[f32]) {
        let means = self.drawn.iter().filter(|drawn| drawn.levels.is_empty());
        let error = |drawn: &Drawn| Some(sample[drawn.feeds?] - y[drawn.outputs[0]]);
        let errors: Vec<f32> = means.filter_map(error).collect();
        if !errors.is_empty() && errors.iter().all(|error| error.is_finite()) {
            self.errors.push_back(errors);
            if self.errors.len() > ERRORS {
                self.errors.pop_front();
            }
        }
    }

    /// Whether errors are drawn from, and from how many.
    pub fn errors(&self) -> Option<usize> {
        let means = self.drawn.iter().any(|drawn| drawn.levels.is_empty());
        means.then_some(self.errors.len())
    }

    /// What may follow a prediction: a number each, which the next sample then holds.
    fn draw(&mut self, y: &[f32], sample: &mut [f32]) -> Vec<f32> {
        let row = self.rng.next_u64() % self.errors.len().max(1) as u64;
        let mut errors = self.errors.get(row as usize).into_iter().flatten();
        let mut numbers = Vec::with_capacity(self.drawn.len());
        for drawn in &self.drawn {
            let number = match drawn.levels.is_empty() {
                true => y[drawn.outputs[0]] + errors.next().unwrap_or(&0.0),
                false => {
                    let quantiles: Vec<f32> = drawn.outputs.iter().map(|&k| y[k]).collect();
                    between(&drawn.levels, &quantiles, f64::from(self.rng.uniform()))
                }
            };
            if let Some(place) = drawn.feeds {
                sample[place] = number;
            }
            numbers.push(number);
        }
        numbers
    }

    /// Goes so many paths of so many steps from a prediction and the sample before it. Of each step, for each number, what was drawn, from
    /// low to high; the first step is what the prediction is about.
    pub fn fan(
        &mut self,
        walk: &mut dyn Walk,
        (y, sample): (&[f32], &[f32]),
        (steps, paths): (usize, usize),
    ) -> Vec<Vec<Vec<f32>>> {
        let mut fan = vec![vec![Vec::with_capacity(paths); self.drawn.len()]; steps];
        for _ in 0..paths {
            walk.back();
            let (mut y, mut sample) = (y.to_vec(), sample.to_vec());
            for (step, numbers) in fan.iter_mut().enumerate() {
                if step > 0 {
                    walk.step(&sample, &mut y);
                }
                let drawn = self.draw(&y, &mut sample);
                numbers
                    .iter_mut()
                    .zip(drawn)
                    .for_each(|(all, x)| all.push(x));
            }
        }
        walk.back();
        let numbers = fan.iter_mut().flatten();
        numbers.for_each(|numbers| numbers.sort_by(f32::total_cmp));
        fan
    }
}

/// The quantile of what is sorted, between its neighbours.
pub fn quantile(sorted: &[f32], level: f64) -> f32 {
    let place = level * sorted.len().saturating_sub(1) as f64;
    let (below, share) = (place.floor() as usize, place.fract() as f32);
    match (sorted.get(below), sorted.get(below + 1)) {
        (Some(a), Some(b)) => a + share * (b - a),
        (Some(a), None) => *a,
        _ => f32::NAN,
    }
}

/// The quantile at `level`, on straight lines through those at `levels`.
fn between(levels: &[f64], quantiles: &[f32], level: f64) -> f32 {
    let mut quantiles = quantiles.to_vec();
    // They are learned one by one, so they may cross.
    quantiles.sort_by(f32::total_cmp);
    let above = levels.partition_point(|&l| l < level);
    let k = above.clamp(1, levels.len() - 1);
    let share = (level - levels[k - 1]) / (levels[k] - levels[k - 1]);
    quantiles[k - 1] + share as f32 * (quantiles[k] - quantiles[k - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_on_straight_lines() {
        let levels = [0.1, 0.5, 0.9];
        let at = |level| between(&levels, &[1.0, 3.0, 11.0], level);
        for (level, expected) in [
            (0.1, 1.0),
            (0.3, 2.0),
            (0.7, 7.0),
            (0.95, 12.0),
            (0.02, 0.6),
        ] {
            assert!(
                (at(level) - expected).abs() < 1e-5,
                "{level}: {}",
                at(level)
            );
        }
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
