//! Keyword spotting, as [`kinglet::Spotter`] does it on a device: the score of an answer is the exponential mean of the word's
//! probability up to it. Every recording is a stream of its own, and its score begins at zero. Recordings of the validation part that
//! are not the word say where the threshold is; those of the test part tell what is found, and how often something else is taken for it.

use serde::Serialize;
use std::fmt;

use crate::data::{Dataset, Part};
use crate::package::{Alarm, Output, Shape};
use crate::task::WakeTask;
use crate::train::Predictor;

/// A recording, as it was heard.
struct Recording {
    /// It is the word.
    word: bool,
    scores: Vec<f32>,
}

/// All recordings of a part.
pub(crate) struct Heard {
    recordings: Vec<Recording>,
    /// Of what is not the word.
    hours: f64,
}

/// Runs over a part. Nothing is heard of data without recordings, or without that class.
pub(crate) fn hear(
    data: &Dataset,
    part: Part,
    predictor: &mut dyn Predictor,
    (word, smoothing): (&str, f32),
) -> Heard {
    let mut recordings: Vec<Recording> = Vec::new();
    let (Output::Classes(names), Some(audio)) = (data.output(), &data.written().audio) else {
        return Heard {
            recordings,
            hours: 0.0,
        };
    };
    let class = names.iter().position(|name| name == word);
    let (mut y, mut score, mut before) = (vec![0.0; names.len()], 0f32, None);
    for sequence in data.running(part) {
        predictor.begin(&sequence);
        let group = sequence.group();
        for t in 0..sequence.steps() {
            predictor.step(sequence.raw(t), &mut y);
            if !sequence.counts(t) {
                continue;
            }
            if recordings.is_empty() || before != group {
                (score, before) = (0.0, group);
                recordings.push(Recording {
                    word: class.is_some_and(|class| sequence.truth(t)[0] == class as f32),
                    scores: Vec::new(),
                });
            }
            score += smoothing * (class.map_or(0.0, |class| y[class]) - score);
            let last = recordings.len() - 1;
            recordings[last].scores.push(score);
        }
    }
    let every = match data.shape() {
        Shape::Window { hop, .. } => hop,
        Shape::EveryStep => 1,
    };
    let answers = recordings.iter().filter(|r| !r.word);
    let answers: usize = answers.map(|r| r.scores.len()).sum();
    let samples = answers as f64 * every as f64 * audio.hop as f64;
    Heard {
        recordings,
        hours: samples / f64::from(audio.rate) / 3600.0,
    }
}

impl Heard {
    fn others(&self) -> impl Iterator<Item = &Recording> {
        self.recordings.iter().filter(|recording| !recording.word)
    }

    /// What a threshold makes of the scores.
    pub(crate) fn wakes(&self, threshold: f32) -> Wakes {
        let words = self.recordings.iter().filter(|recording| recording.word);
        let found = words.clone().filter(|r| r.alarms(threshold) > 0);
        Wakes {
            found: found.count(),
            words: words.count(),
            false_alarms: self.others().map(|r| r.alarms(threshold)).sum(),
            hours: self.hours,
        }
    }

    /// The lowest threshold from 0.5 on with so many false alarms an hour at the most.
    fn threshold(&self, hourly: f64) -> f32 {
        let mut peaks: Vec<f32> = self.others().flat_map(Recording::peaks).collect();
        peaks.sort_by(|a, b| b.total_cmp(a));
        peaks.dedup();
        // A lower one has more alarms, until runs of them meet; so the first that has too many ends the search.
        let keeps = |&threshold: &f32| {
            let alarms: usize = self.others().map(|r| r.alarms(threshold)).sum();
            alarms as f64 <= hourly * self.hours
        };
        let lowest = peaks.into_iter().take_while(keeps).last();
        lowest.unwrap_or(1.0).max(0.5)
    }
}

impl Recording {
    /// Unbroken runs above a threshold.
    fn alarms(&self, threshold: f32) -> usize {
        let above = |score: Option<&f32>| score.is_some_and(|&score| score > threshold);
        let rises = |&k: &usize| {
            above(self.scores.get(k)) && !above(k.checked_sub(1).and_then(|k| self.scores.get(k)))
        };
        (0..self.scores.len()).filter(rises).count()
    }

    /// Scores with none higher beside them.
    fn peaks(&self) -> impl Iterator<Item = f32> + '_ {
        let at = |k: usize| self.scores.get(k).copied().unwrap_or(0.0);
        let top = move |&k: &usize| at(k) >= at(k.wrapping_sub(1)) && at(k) >= at(k + 1);
        (0..self.scores.len()).filter(top).map(at)
    }
}

/// The alarm that a task wants.
pub fn alarm(task: &WakeTask, data: &Dataset, predictor: &mut dyn Predictor) -> Alarm {
    let how = (&task.word[..], task.smoothing);
    let heard = hear(data, Part::Valid, predictor, how);
    Alarm {
        smoothing: task.smoothing,
        threshold: heard.threshold(task.false_alarms),
    }
}

/// What alarms were worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wakes {
    /// Recordings of the word with an alarm.
    pub found: usize,
    /// Recordings of the word.
    pub words: usize,
    /// Unbroken runs of alarms in all other recordings.
    pub false_alarms: usize,
    /// How long those are.
    pub hours: f64,
}

impl Wakes {
    /// Of a part. None where no recording of it could have an alarm.
    pub fn over(
        data: &Dataset,
        part: Part,
        predictor: &mut dyn Predictor,
        (word, alarm): (&str, Alarm),
    ) -> Option<Self> {
        let heard = hear(data, part, predictor, (word, alarm.smoothing));
        (!heard.recordings.is_empty()).then(|| heard.wakes(alarm.threshold))
    }

    /// Recordings with an alarm, of those of the word.
    pub fn share(&self) -> f64 {
        self.found as f64 / self.words as f64
    }

    /// False alarms an hour.
    pub fn hourly(&self) -> f64 {
        self.false_alarms as f64 / self.hours
    }
}

impl fmt::Display for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "found in {} of {} recordings ({:.1} %), {} false alarms in {:.2} hours of others ({:.2} an hour)",
            self.found,
            self.words,
            100.0 * self.share(),
            self.false_alarms,
            self.hours,
            self.hourly()
        )
    }
}
