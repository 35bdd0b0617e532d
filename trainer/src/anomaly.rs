//! Anomalies by forecast, as [`kinglet::Detector`] finds them on a device: the score of a sample is the exponential mean
//! of the absolute errors up to it, and the threshold is what the score reaches on the validation part, where nothing
//! is wrong. Labelled windows, where there are any, tell how good that is.
//!
//! On a device a score has long forgotten that it began at zero. Over a part of the data it would not have, and stay low for as
//! long as it looks back: here it begins at the mean of a group's errors outside of labelled windows.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

use crate::data::{Dataset, Part};
use crate::package::{Alarm, Output};
use crate::task::{AnomalyTask, ThresholdTask};
use crate::train::Predictor;

/// The scores of a part, in order; every group is a stream of its own.
pub(crate) struct Watched {
    pub(crate) scores: Vec<f32>,
    /// The number of each sample's group.
    pub(crate) groups: Vec<Option<usize>>,
    /// Squares of the first watched output's errors.
    squares: Vec<f64>,
    /// The outputs that are watched, and the sum of the absolute errors of each.
    sums: Vec<(String, f64)>,
    /// The labelled window that a sample lies in, from 1; 0: none.
    pub(crate) events: Vec<usize>,
}

/// Runs over a part. Only outputs that are an input's next value count.
pub(crate) fn watch(
    data: &Dataset,
    part: Part,
    predictor: &mut dyn Predictor,
    smoothing: f32,
) -> Watched {
    let Output::Values(targets) = data.output() else {
        return Watched::empty();
    };
    let fed: Vec<usize> = (0..targets.len())
        .filter(|&k| targets[k].feeds.is_some())
        .collect();
    let mut watched = Watched::empty();
    let names = fed.iter().map(|&k| targets[k].name.clone());
    watched.sums = names.map(|name| (name, 0.0)).collect();
    let mut y = vec![0.0; targets.len()];
    let mut errors_of = Vec::new();
    for sequence in data.running(part) {
        predictor.reset();
        let group = sequence.group();
        for t in 0..sequence.steps() {
            predictor.step(sequence.raw(t), &mut y);
            let truth = sequence.truth(t);
            if !sequence.counts(t) || fed.is_empty() {
                continue;
            }
            let errors = fed.iter().map(|&k| (truth[k] - y[k]).abs());
            for (error, (_, sum)) in errors.clone().zip(&mut watched.sums) {
                *sum += f64::from(error);
            }
            errors_of.push(errors.sum::<f32>() / fed.len() as f32);
            let first = f64::from(truth[fed[0]] - y[fed[0]]);
            watched.groups.push(group);
            watched.squares.push(first * first);
            watched.events.push(sequence.event(t));
        }
    }
    let mut at = 0;
    for group in watched.groups.chunk_by(|a, b| a == b) {
        let range = at..at + group.len();
        at = range.end;
        let (errors, events) = (&errors_of[range.clone()], &watched.events[range]);
        let mut score = usual(errors, events);
        watched.scores.extend(errors.iter().map(|error| {
            score += smoothing * (error - score);
            score
        }));
    }
    watched
}

/// The mean error where nothing is said to be wrong, or of all where everything is.
fn usual(errors: &[f32], events: &[usize]) -> f32 {
    let mean = |errors: &mut dyn Iterator<Item = f32>| {
        let (sum, count) = errors.fold((0.0, 0.0), |(sum, count), error| {
            (sum + f64::from(error), count + 1.0)
        });
        (count > 0.0).then(|| (sum / count) as f32)
    };
    let normal = errors.iter().zip(events).filter(|(_, event)| **event == 0);
    let of_normal = mean(&mut normal.map(|(error, _)| *error));
    of_normal
        .or_else(|| mean(&mut errors.iter().copied()))
        .unwrap_or(0.0)
}

impl Watched {
    fn empty() -> Self {
        Watched {
            scores: Vec::new(),
            groups: Vec::new(),
            squares: Vec::new(),
            sums: Vec::new(),
            events: Vec::new(),
        }
    }

    /// What a threshold makes of the scores.
    pub(crate) fn alarms(&self, threshold: f32) -> Alarms {
        let mut hit = BTreeMap::new();
        let (mut false_episodes, mut sum, mut count) = (0, 0.0, 0.0);
        // Whether the run of alarms that goes on has met a labelled window; none while there is no alarm.
        let mut run: Option<bool> = None;
        for (k, &event) in self.events.iter().enumerate() {
            let alarmed = self.scores[k] > threshold;
            if k > 0 && self.groups[k] != self.groups[k - 1] {
                false_episodes += usize::from(run.take() == Some(false));
            }
            if event > 0 {
                *hit.entry(event).or_insert(false) |= alarmed;
            } else {
                sum += self.squares[k];
                count += 1.0;
            }
            if alarmed {
                run = Some(run.unwrap_or(false) || event > 0);
            } else {
                false_episodes += usize::from(run.take() == Some(false));
            }
        }
        false_episodes += usize::from(run == Some(false));
        Alarms {
            hit: hit.into_values().collect(),
            false_episodes,
            rmse_outside: f64::sqrt(sum / count),
        }
    }
}

/// The alarm that a task wants, from the scores over the validation part; samples in labelled windows do not count.
///
/// # Errors
/// If there are no others.
pub fn alarm(
    task: &AnomalyTask,
    data: &Dataset,
    predictor: &mut dyn Predictor,
) -> anyhow::Result<Alarm> {
    let watched = watch(data, Part::Valid, predictor, task.smoothing);
    let normal = watched.scores.iter().zip(&watched.events);
    let mut normal: Vec<f32> = normal
        .filter(|(_, event)| **event == 0)
        .map(|(score, _)| *score)
        .collect();
    normal.sort_by(f32::total_cmp);
    let share = match task.threshold {
        ThresholdTask::Max => 1.0,
        ThresholdTask::Quantile(share) => share,
    };
    let place = (share * normal.len() as f64).ceil() as usize;
    let Some(&threshold) = normal.get(place.clamp(1, normal.len().max(1)) - 1) else {
        anyhow::bail!(
            "no sample of the validation part lies outside of the labelled windows, so that nothing tells what is normal and a threshold \
             is to be above of: look at the labels ([anomaly] labels), or move the split"
        );
    };
    Ok(Alarm {
        smoothing: task.smoothing,
        threshold,
    })
}

/// So little of its even share of the score is as good as nothing: not even ten times the usual error is seen.
const UNSEEN: f64 = 0.1;

/// So many times as long as a score looks back the validation part should be.
const LONG: f32 = 3.0;

/// What a threshold is not good for: outputs of whose errors next to nothing is in the score, and a part that is soon over.
pub fn doubts(task: &AnomalyTask, data: &Dataset, predictor: &mut dyn Predictor) -> Vec<String> {
    let watched = watch(data, Part::Valid, predictor, task.smoothing);
    [
        unseen(&watched.sums),
        short(task.smoothing, watched.scores.len()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn short(smoothing: f32, samples: usize) -> Option<String> {
    let back = 1.0 / smoothing;
    ((samples as f32) < LONG * back).then(|| {
        format!(
            "with smoothing = {smoothing} a score looks back over about {back:.0} samples, and the validation part has {samples}: what it reaches there \
             hardly tells what is normal; take a longer part, or a larger smoothing"
        )
    })
}

fn unseen(sums: &[(String, f64)]) -> Option<String> {
    let all: f64 = sums.iter().map(|(_, sum)| sum).sum();
    let share = |sum: f64| 100.0 * sum / all;
    let least = UNSEEN * all / sums.len() as f64;
    let (unseen, seen): (Vec<_>, Vec<_>) = sums.iter().partition(|(_, sum)| *sum < least);
    let list = |sums: Vec<&(String, f64)>| {
        let each = sums.into_iter();
        let each = each.map(|(name, sum)| format!("{name} {:.1} %", share(*sum)));
        each.collect::<Vec<_>>().join(", ")
    };
    (!unseen.is_empty()).then(|| {
        format!(
            "the score of an anomaly adds errors in their units, and of it is {}, but {}: what goes wrong there alone is hardly seen; watch it with a \
             model of its own, or bring the columns to like units",
            list(seen),
            list(unseen)
        )
    })
}

/// What alarms were worth, over a part with labelled windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarms {
    /// For each labelled window of the part whether an alarm fell into it.
    pub hit: Vec<bool>,
    /// Unbroken runs of alarms that touch no labelled window.
    pub false_episodes: usize,
    /// Root of the mean squared error of the samples outside all labelled windows.
    pub rmse_outside: f64,
}

/// Compares the alarms of a part with its labels. None without labels.
pub fn alarms(
    alarm: Alarm,
    data: &Dataset,
    part: Part,
    predictor: &mut dyn Predictor,
) -> Option<Alarms> {
    if !data.has_events() {
        return None;
    }
    Some(watch(data, part, predictor, alarm.smoothing).alarms(alarm.threshold))
}

impl fmt::Display for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hit: Vec<&str> = self
            .hit
            .iter()
            .map(|&h| if h { "yes" } else { "no" })
            .collect();
        write!(
            f,
            "labelled windows hit: {}; false alarm episodes: {}; RMSE outside {:.4}",
            hit.join(", "),
            self.false_episodes,
            self.rmse_outside
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_begins_where_it_would_be_on_a_device() {
        assert_eq!(usual(&[1.0, 3.0, 50.0], &[0, 0, 1]), 2.0);
        assert_eq!(usual(&[1.0, 3.0], &[1, 1]), 2.0);
        assert_eq!(usual(&[], &[]), 0.0);
    }

    #[test]
    fn a_part_that_is_soon_over_is_told() {
        assert_eq!(short(0.1, 30), None);
        let told = short(0.01, 100).unwrap();
        assert!(
            told.contains("looks back over about 100 samples, and the validation part has 100"),
            "{told}"
        );
    }
}
