//! Keyword spotting: how probable it is that a word has just been said, smoothed, and an alarm where that is more than what
//! anything else reached.
//!
//! With the probability `p` of the word's class in an answer, `score' = score + α (p − score)`, the smoothing of posteriors of Chen,
//! Parada, Heigold (*Small-footprint keyword spotting using deep neural networks*, 2014) by an exponential mean: one odd
//! answer wakes nobody. α and the threshold are in the model file, where the trainer puts them.

use crate::detect::{Score, Verdict};
use crate::format::Output;
use crate::model::Model;

/// Waits for one word in one stream. Of a [`Net`](crate::Net) it may be a constant: `Spotter::new(Net::<M>::model(), "kinglet")`.
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
    score: Score,
}

impl Spotter {
    /// For the class of that name. None if the model has no such class, or no threshold.
    pub const fn new(model: &Model<'_>, word: &str) -> Option<Self> {
        let Output::Classes { names, .. } = model.header().output else {
            return None;
        };
        match (place(names.as_bytes(), word.as_bytes()), Score::new(model)) {
            (Some(class), Some(score)) => Some(Spotter { class, score }),
            _ => None,
        }
    }

    /// Takes an answer of the model, a probability per class. One that is none (NaN) leaves the score as it is.
    pub fn push(&mut self, scores: &[f32]) -> Verdict {
        let probability = scores.get(self.class).copied();
        self.score.add(probability.filter(|p| p.is_finite()))
    }

    /// The smoothed probability so far, to go on from later with [`Self::resume`].
    pub fn score(&self) -> f32 {
        self.score.mean
    }

    /// Goes on from a score.
    pub fn resume(&mut self, score: f32) {
        self.score.mean = score;
    }

    /// Starts anew: nothing was said.
    pub fn reset(&mut self) {
        self.score.mean = 0.0;
    }
}

/// The number of a name in a list of names with zeros between them.
const fn place(names: &[u8], name: &[u8]) -> Option<usize> {
    let (mut number, mut start, mut at) = (0, 0, 0);
    while at <= names.len() {
        if at == names.len() || names[at] == 0 {
            if same(names, start, at, name) {
                return Some(number);
            }
            (number, start) = (number + 1, at + 1);
        }
        at += 1;
    }
    None
}

/// Whether a part of the names is this one.
const fn same(names: &[u8], from: usize, to: usize, name: &[u8]) -> bool {
    if to - from != name.len() {
        return false;
    }
    let mut k = 0;
    while k < name.len() {
        if names[from + k] != name[k] {
            return false;
        }
        k += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whole() {
        let names = b"silence\0unknown\0kin\0kinglet";
        let places = [&b"silence"[..], b"unknown", b"kin", b"kinglet"];
        for (number, name) in places.into_iter().enumerate() {
            assert_eq!(place(names, name), Some(number));
        }
        for name in [&b""[..], b"king", b"kinglets", b"unknown\0kin"] {
            assert_eq!(place(names, name), None);
        }
        assert_eq!(place(b"", b"a"), None);
    }

    #[test]
    fn a_score_rises_and_falls_and_is_never_lost() {
        let mut spotter = Spotter {
            class: 1,
            score: Score {
                smoothing: 0.5,
                threshold: 0.7,
                mean: 0.0,
            },
        };
        let mut push = |p: f32| spotter.push(&[1.0 - p, p]);
        let rising = [1.0, 1.0, f32::NAN, 1.0].map(|p| push(p).score);
        assert_eq!(rising, [0.5, 0.75, 0.75, 0.875]);
        let falling = [0.0, 1.0].map(|p| push(p).alarm);
        assert_eq!(falling, [false, true]);
        // Too few scores are none.
        assert_eq!(spotter.push(&[0.0]).score, spotter.score());
        spotter.reset();
        assert_eq!(spotter.push(&[]).score, 0.0);
        spotter.resume(0.9);
        assert!(spotter.push(&[0.0, 0.9]).alarm);
    }
}
