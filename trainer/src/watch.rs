//! What says in a stream whether there is an alarm: the engine's [`Detector`] or [`Spotter`], by what the model is for.

use kinglet::{Detector, Model, Spotter, Verdict};

/// Watches one stream.
#[derive(Debug, Clone)]
pub enum Watch<'a> {
    /// By how far a sample is from its prediction.
    Forecast(Detector<'a>),
    /// By how probable an answer says the word is.
    Word(Spotter),
}

impl<'a> Watch<'a> {
    /// Of a model, and the word that it waits for if it does. None if it has no alarm.
    pub fn new(model: &Model<'a>, word: Option<&str>) -> Option<Self> {
        match word {
            Some(word) => Spotter::new(model, word).map(Watch::Word),
            None => Detector::new(model).map(Watch::Forecast),
        }
    }

    /// Takes a sample and the answer to the one before it, which foretold it; NaN where that had none. None where it is answers that are watched.
    pub fn sample(&mut self, foretold: &[f32], sample: &[f32]) -> Option<Verdict> {
        match self {
            Watch::Forecast(detector) => Some(detector.compare(foretold, sample)),
            Watch::Word(_) => None,
        }
    }

    /// Takes an answer. None where it is samples that are watched.
    pub fn answer(&mut self, answer: &[f32]) -> Option<Verdict> {
        match self {
            Watch::Forecast(_) => None,
            Watch::Word(spotter) => Some(spotter.push(answer)),
        }
    }

    /// The score so far, to go on from later with [`Self::resume`].
    pub fn score(&self) -> f32 {
        match self {
            Watch::Forecast(detector) => detector.score(),
            Watch::Word(spotter) => spotter.score(),
        }
    }

    /// Goes on from a score.
    pub fn resume(&mut self, score: f32) {
        match self {
            Watch::Forecast(detector) => detector.resume(score),
            Watch::Word(spotter) => spotter.resume(score),
        }
    }
}
