//! Anomalies by forecast, as [`kinglet::Detector`] finds them on a device: the score of a sample is the exponential mean
//! of the absolute errors up to it, and the threshold is what the score reaches on the validation part, where nothing
//! is wrong. Labelled windows, where there are any, tell how good that is.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

use crate::data::{Dataset, Part};
use crate::package::{Alarm, Output};
use crate::task::{AnomalyTask, ThresholdTask};
use crate::train::Predictor;

/// The scores of a part, in order; every group is a stream of its own, and its score begins at zero.
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
    let (mut y, mut score) = (vec![0.0; targets.len()], 0f32);
    for sequence in data.sequences(part) {
        predictor.reset();
        let group = sequence.group();
        if watched.groups.last().is_some_and(|last| *last != group) {
            score = 0.0;
        }
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
            let error = errors.sum::<f32>() / fed.len() as f32;
            score += smoothing * (error - score);
            let first = f64::from(truth[fed[0]] - y[fed[0]]);
            watched.scores.push(score);
            watched.groups.push(group);
            watched.squares.push(first * first);
            watched.events.push(sequence.event(t));
        }
    }
    watched
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
pub fn alarm(task: &AnomalyTask, data: &Dataset, predictor: &mut dyn Predictor) -> Alarm {
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
    let threshold = normal.get(place.clamp(1, normal.len().max(1)) - 1);
    Alarm {
        smoothing: task.smoothing,
        threshold: threshold.copied().unwrap_or(f32::MAX),
    }
}

/// So little of its even share of the score is as good as nothing: not even ten times the usual error is seen.
const UNSEEN: f64 = 0.1;

/// Outputs of whose errors next to nothing is in the score, which adds them in their units.
pub fn unseen(task: &AnomalyTask, data: &Dataset, predictor: &mut dyn Predictor) -> Option<String> {
    let sums = watch(data, Part::Valid, predictor, task.smoothing).sums;
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
