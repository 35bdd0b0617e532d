//! Keyword spotting: how probable it is that a word has just been said, smoothed, and an alarm where that is more than what
//! anything else reached.
//!
//! With the probability `p` of the word's class in an answer, `score' = score + α (p − score)`, the smoothing of posteriors of Chen,
//! Parada, Heigold (*Small-footprint keyword spotting using deep neural networks*, 2014) by an exponential mean: one odd
//! answer wakes nobody. α and the threshold are in the model file, where the trainer puts them.

use crate::detect::Verdict;
use crate::format::Output;
use crate::model::Model;

/// Waits for one word in one stream.
///
/// ```no_run
/// # use kinglet::{Model, Runner, SlidingWindow, Spotter};
/// # fn listen(model: &Model<'_>, net: &mut Runner<'_, '_>, rows: &[[f32; 12]], kept: [f32; 384]) -> Option<()> {
/// let mut spotter = Spotter::new(model, "kinglet")?;
/// let mut windows = SlidingWindow::new(model.header().shape, model.inputs(), kept).ok()?;
/// let (mut scores, mut before) = ([0.0; 3], false);
/// for row in rows {
///     if windows.push(net, row, &mut scores) {
///         let alarm = spotter.push(&scores).alarm;
///         if alarm && !before {
///             // The word was said.
///         }
///         before = alarm;
///     }
/// }
/// # Some(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Spotter {
    class: usize,
    smoothing: f32,
    threshold: f32,
    score: f32,
}

impl Spotter {
    /// For the class of that name. None if the model has no such class, or no threshold.
    pub fn new(model: &Model<'_>, word: &str) -> Option<Self> {
        let Output::Classes { names, .. } = model.header().output else {
            return None;
        };
        Some(Spotter {
            class: names.split('\0').position(|name| name == word)?,
            smoothing: model.smoothing()?,
            threshold: model.header().threshold?,
            score: 0.0,
        })
    }

    /// Takes an answer of the model, a probability per class. One that is none (NaN) leaves the score as it is.
    pub fn push(&mut self, scores: &[f32]) -> Verdict {
        let probability = scores.get(self.class).copied();
        if let Some(probability) = probability.filter(|p| p.is_finite()) {
            self.score += self.smoothing * (probability - self.score);
        }
        Verdict {
            score: self.score,
            alarm: self.score > self.threshold,
        }
    }

    /// The smoothed probability so far, to go on from later with [`Self::resume`].
    pub fn score(&self) -> f32 {
        self.score
    }

    /// Goes on from a score.
    pub fn resume(&mut self, score: f32) {
        self.score = score;
    }

    /// Starts anew: nothing was said.
    pub fn reset(&mut self) {
        self.score = 0.0;
    }
}
