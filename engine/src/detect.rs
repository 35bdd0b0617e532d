//! Anomaly detection by forecast: how far the world is from what the model foretold, smoothed, and an alarm where
//! that is more than it ever was on data without anomalies.
//!
//! With the error `e` of a step, `score' = score + α (e − score)`, an exponential mean: α = 0.05 remembers about
//! twenty steps, so that one odd sample is no alarm and a lasting change is. α and the threshold are in the model file,
//! where the trainer puts them.

use crate::format::Target;
use crate::model::Model;

/// Watches one stream: compares every sample with what was predicted for it.
///
/// ```no_run
/// # use kinglet::{Detector, Runner, Model};
/// # fn watch(model: &Model<'_>, net: &mut Runner<'_, '_>, samples: &[[f32; 1]]) {
/// let mut detector = Detector::new(model).unwrap();
/// let mut prediction = [f32::NAN]; // nothing was foretold for the first sample
/// for sample in samples {
///     let verdict = detector.compare(&prediction, sample);
///     if verdict.alarm {
///         // verdict.score says how bad it is
///     }
///     net.step(sample, &mut prediction);
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Detector<'a> {
    targets: &'a [Target],
    score: Score,
}

/// An exponential mean, and where it is an alarm.
#[derive(Debug, Clone)]
pub(crate) struct Score {
    pub(crate) smoothing: f32,
    pub(crate) threshold: f32,
    pub(crate) mean: f32,
}

impl Score {
    /// As the file has it. None if it has no threshold.
    pub(crate) const fn new(model: &Model<'_>) -> Option<Self> {
        match (model.smoothing(), model.header().threshold) {
            (Some(smoothing), Some(threshold)) => Some(Score {
                smoothing,
                threshold,
                mean: 0.0,
            }),
            _ => None,
        }
    }

    /// With the newest value; without one, or with one that is no finite number, the mean stays.
    pub(crate) fn add(&mut self, value: Option<f32>) -> Verdict {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.mean += self.smoothing * (value - self.mean);
        }
        Verdict {
            score: self.mean,
            alarm: self.mean > self.threshold,
        }
    }
}

/// What a [`Detector`] says after a sample, and a [`Spotter`](crate::Spotter) after an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The smoothed absolute error, in the unit of the outputs; or the smoothed probability of the word.
    pub score: f32,
    /// It is above the model's threshold.
    pub alarm: bool,
}

impl<'a> Detector<'a> {
    /// For the outputs that are an input's next value. None if the model has no threshold, or no such output.
    pub fn new(model: &Model<'a>) -> Option<Self> {
        let targets = model.targets();
        let score = Score::new(model)?;
        let inputs = model.inputs();
        let feeds = |target: &Target| (target.feeds as usize) < inputs;
        let watches = targets.iter().any(feeds);
        watches.then_some(Detector { targets, score })
    }

    /// Takes a raw sample and what was predicted for it in the step before; NaN, or nothing, where that step had no answer, as within a window. Where either is missing the error
    /// of that output is left out; where all are, and where their sum is beyond `f32`, the score stays.
    pub fn compare(&mut self, prediction: &[f32], sample: &[f32]) -> Verdict {
        let (mut sum, mut count) = (0.0, 0.0);
        for (target, &predicted) in self.targets.iter().zip(prediction) {
            let found = sample.get(target.feeds as usize);
            let error = found.map_or(f32::NAN, |&x| libm::fabsf(x - predicted));
            if error.is_finite() {
                sum += error;
                count += 1.0;
            }
        }
        self.score.add((count > 0.0).then_some(sum / count))
    }

    /// The smoothed error so far, to go on from later with [`Self::resume`].
    pub fn score(&self) -> f32 {
        self.score.mean
    }

    /// Goes on from a score; from what is no finite number calmly.
    pub fn resume(&mut self, score: f32) {
        self.score.mean = if score.is_finite() { score } else { 0.0 };
    }

    /// Starts anew, calm.
    pub fn reset(&mut self) {
        self.score.mean = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_beyond_all_numbers_do_not_end_the_watch() {
        let targets = [0, 1].map(|feeds| Target {
            restore: 0,
            column: 0,
            feeds,
            scale: 1.0,
            offset: 0.0,
        });
        let mut detector = Detector {
            targets: &targets,
            score: Score {
                smoothing: 0.5,
                threshold: 1.0,
                mean: 0.0,
            },
        };
        assert!(!detector.compare(&[0.0, 0.0], &[0.5, 0.5]).alarm);
        // Each is a number, their sum is none.
        let calm = detector.compare(&[0.0, 0.0], &[f32::MAX, f32::MAX]);
        assert_eq!((calm.score, calm.alarm), (0.25, false));
        assert!(detector.compare(&[0.0, 0.0], &[50.0, 50.0]).alarm);
        detector.resume(f32::NAN);
        assert_eq!(detector.score(), 0.0);
    }
}
