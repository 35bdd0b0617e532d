//! One device under two models: their states, and what has been seen of it so far.

use std::collections::VecDeque;

use anyhow::Result;
use kinglet::format::Shape;
use kinglet::{Model, SlidingWindow, argmax};

use super::Pair;
use crate::beyond::Beyond;
use crate::engine::AnyRunner;
use crate::file::AlignedBytes;
use crate::watch::Watch;

/// A device.
pub struct Device<'a> {
    /// Of the old model and of the new.
    pub states: [AlignedBytes; 2],
    pub seen: Seen<'a>,
}

/// What was seen of a device.
pub struct Seen<'a> {
    /// Where a model answers windows.
    windows: [Option<SlidingWindow<Vec<f32>>>; 2],
    /// What the last row said of the next one; NaN where it had no answer.
    y: [Vec<f32>; 2],
    watches: [Option<Watch<'a>>; 2],
    /// Whether either has an alarm.
    alarm: [bool; 2],
    /// An alarm that goes on, and whether the other model has had one since it began.
    runs: [Option<bool>; 2],
    /// Predictions of what is not there yet.
    waiting: VecDeque<[f32; 2]>,
    pub counts: Counts,
}

/// The figures of a device.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Rows that were stepped.
    pub rows: u64,
    /// Rows that both models answered.
    pub answers: u64,
    /// Answers that could be compared with what was right.
    pub measured: u64,
    /// Answers of both models for which the table does not say what was right.
    pub untold: u64,
    /// Sums of the squared errors, or wrong classes.
    pub errors: [f64; 2],
    /// Alarms: unbroken runs of rows above the threshold.
    pub alarms: [u64; 2],
    /// Alarms of the new model that touch none of the old.
    pub gained: u64,
    /// Alarms of the old model that touch none of the new.
    pub lost: u64,
    /// Values of inputs beyond what a model was quantized for, which were cut there.
    pub cut: [u64; 2],
    /// Answers that differ.
    pub differing: u64,
    /// The largest difference between two answers.
    pub largest: f32,
    /// The first row whose answers differ, from 1, and its time.
    pub first: Option<(u64, Option<String>)>,
}

impl Counts {
    /// Those of another device too. First differences are of one device and do not add up.
    pub fn add(&mut self, other: &Counts) {
        self.rows += other.rows;
        self.answers += other.answers;
        self.measured += other.measured;
        self.untold += other.untold;
        for k in 0..2 {
            self.errors[k] += other.errors[k];
            self.alarms[k] += other.alarms[k];
            self.cut[k] += other.cut[k];
        }
        self.gained += other.gained;
        self.lost += other.lost;
        self.differing += other.differing;
        self.largest = self.largest.max(other.largest);
    }
}

impl<'a> Device<'a> {
    /// From a reset on.
    pub fn new(pair: &Pair<'a>) -> Result<Self> {
        let of = |k: usize| pair.models[k];
        let window = |k: usize| -> Result<_> {
            let model = of(k);
            if pair.is_plain(k) {
                return Ok(None);
            }
            let shape: Shape = model.header().shape;
            let kept = vec![0.0; SlidingWindow::needed(shape, model.inputs())];
            Ok(Some(SlidingWindow::new(shape, model.inputs(), kept)?))
        };
        Ok(Device {
            states: [0, 1].map(|k| AlignedBytes::zeroed(of(k).state_len())),
            seen: Seen {
                windows: [window(0)?, window(1)?],
                y: [0, 1].map(|k| vec![f32::NAN; of(k).outputs()]),
                watches: [0, 1].map(|k| Watch::new(of(k), pair.words[k].as_deref())),
                alarm: [false; 2],
                runs: [None; 2],
                waiting: VecDeque::new(),
                counts: Counts::default(),
            },
        })
    }
}

impl Seen<'_> {
    /// What a model was given, what of it was measured, and what the model made of it, if it answered: what it foretold before is compared
    /// with what was measured, or its answer with the word that it waits for. True if there is an alarm.
    pub fn meet(
        &mut self,
        k: usize,
        beyond: &Beyond<'_>,
        (sample, measured, answer): (&[f32], &[f32], Option<&[f32]>),
    ) -> bool {
        self.counts.cut[k] += beyond.count(sample);
        let Some(watch) = &mut self.watches[k] else {
            return false;
        };
        let y = &mut self.y[k];
        let mut verdict = watch.sample(y, measured);
        match answer {
            Some(answer) => {
                verdict = verdict.or(watch.answer(answer));
                y.copy_from_slice(answer);
            }
            None => y.fill(f32::NAN),
        }
        if let Some(verdict) = verdict {
            self.alarm[k] = verdict.alarm;
        }
        self.alarm[k]
    }

    /// Whether both models have an alarm in this row.
    pub fn alarms(&mut self, alarms: [bool; 2]) {
        for (k, &alarm) in alarms.iter().enumerate() {
            match (alarm, self.runs[k]) {
                (true, None) => {
                    self.counts.alarms[k] += 1;
                    self.runs[k] = Some(alarms[1 - k]);
                }
                (true, Some(touched)) => self.runs[k] = Some(touched || alarms[1 - k]),
                (false, _) => self.end_run(k),
            }
        }
    }

    fn end_run(&mut self, k: usize) {
        if self.runs[k].take() == Some(false) {
            match k {
                0 => self.counts.lost += 1,
                _ => self.counts.gained += 1,
            }
        }
    }

    /// Steps a model that answers windows. False where it has no answer yet.
    pub fn push(
        &mut self,
        k: usize,
        model: &Model<'_>,
        state: &mut [u8],
        sample: &[f32],
        answer: &mut [f32],
    ) -> Result<bool> {
        let Some(windows) = &mut self.windows[k] else {
            return Ok(false);
        };
        Ok(match AnyRunner::bind(model, state)? {
            AnyRunner::Steps(mut runner) => windows.push(&mut runner, sample, answer),
            AnyRunner::Windows(mut runner) => windows.push(&mut runner, sample, answer),
        })
    }

    /// After both have stepped. `truth` is NaN where nothing is known.
    pub fn compare(
        &mut self,
        pair: &Pair<'_>,
        answers: [Option<&[f32]>; 2],
        truth: f32,
        time: impl FnOnce() -> Option<String>,
    ) {
        let counts = &mut self.counts;
        counts.rows += 1;
        let both = match answers {
            [Some(old), Some(new)] => Some([old, new]),
            _ => None,
        };
        if let Some([old, new]) = both {
            counts.answers += 1;
            let mut differs = false;
            for (&a, &b) in old.iter().zip(new) {
                let gap = (a - b).abs();
                // What is no number in both is the same.
                let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                differs |= !same && (gap.is_nan() || gap > pair.tolerance);
                counts.largest = counts.largest.max(gap);
            }
            if pair.classes {
                differs = argmax(old) != argmax(new);
            }
            if differs {
                counts.differing += 1;
                if counts.first.is_none() {
                    counts.first = Some((counts.rows, time()));
                }
            }
        }
        let Some(measure) = pair.measure else {
            return;
        };
        let now = match both {
            Some(both) if pair.classes => both.map(|y| argmax(y) as f32),
            Some(both) => both.map(|y| y[measure.output]),
            None => [f32::NAN; 2],
        };
        self.waiting.push_back(now);
        if self.waiting.len() <= measure.horizon {
            return;
        }
        let Some(said) = self.waiting.pop_front() else {
            return;
        };
        if !said.iter().all(|y| y.is_finite()) {
            return;
        }
        if !truth.is_finite() {
            self.counts.untold += 1;
        } else {
            self.counts.measured += 1;
            for (error, y) in self.counts.errors.iter_mut().zip(said) {
                let gap = f64::from(y) - f64::from(truth);
                *error += match pair.classes {
                    true => f64::from(u8::from(y != truth)),
                    false => gap * gap,
                };
            }
        }
    }

    /// The figures, after the last row.
    pub fn finish(mut self) -> Counts {
        self.end_run(0);
        self.end_run(1);
        self.counts
    }
}
