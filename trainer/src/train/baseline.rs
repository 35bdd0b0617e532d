//! What a network has to beat: the best rule that needs no network, for every kind of task.
//!
//! | task | rule |
//! |---|---|
//! | numbers that are there now | the last value |
//! | a label per text | naive Bayes over its tokens |
//! | an output per token | what this token had most often in training |
//! | other labels | the commonest |

use std::collections::BTreeMap;

use super::evaluate::{LastValue, Majority, Predictor};
use crate::data::{Dataset, Part};
use crate::package::{Input, Output, Shape};

/// The rule for this kind of data, fitted on its training part, and its name.
pub fn baseline(data: &Dataset) -> Option<(&'static str, Box<dyn Predictor>)> {
    let tokens = matches!(data.input(), Input::Tokens(_));
    let (name, rule): (_, Box<dyn Predictor>) = match (data.output(), data.shape()) {
        (Output::Values(_), _) => ("last value", Box::new(LastValue::new(data)?)),
        (_, Shape::EveryStep) if tokens => ("this token", Box::new(ThisToken::new(data))),
        (_, Shape::Window { .. }) if tokens => ("naive Bayes", Box::new(NaiveBayes::new(data))),
        _ => ("majority", Box::new(Majority::new(data)?)),
    };
    Some((name, rule))
}

/// `p(class) Π p(token | class)`, with one added to every count: order does not matter.
struct NaiveBayes {
    /// `ln p(class)`.
    prior: Vec<f64>,
    /// `ln p(token | class)`: `[tokens, classes]`.
    likelihood: Vec<f64>,
    /// Sum so far.
    score: Vec<f64>,
}

impl NaiveBayes {
    fn new(data: &Dataset) -> Self {
        let (vocabulary, classes) = (data.inputs(), data.outputs());
        let mut texts = vec![1.0; classes];
        let mut counts = vec![1.0; vocabulary * classes];
        let mut tokens = vec![vocabulary as f64; classes];
        for sequence in data.sequences(Part::Train) {
            let last = sequence.steps() - 1;
            let class = sequence.truth(last)[0] as usize;
            texts[class] += 1.0;
            tokens[class] += sequence.steps() as f64;
            for t in 0..=last {
                counts[sequence.raw(t)[0] as usize * classes + class] += 1.0;
            }
        }
        let all: f64 = texts.iter().sum();
        for row in counts.chunks_exact_mut(classes) {
            for (count, tokens) in row.iter_mut().zip(&tokens) {
                *count = (*count / tokens).ln();
            }
        }
        let prior: Vec<f64> = texts.iter().map(|n: &f64| (n / all).ln()).collect();
        NaiveBayes {
            score: prior.clone(),
            prior,
            likelihood: counts,
        }
    }
}

impl Predictor for NaiveBayes {
    fn reset(&mut self) {
        self.score.copy_from_slice(&self.prior);
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        let row = &self.likelihood[raw[0] as usize * self.score.len()..];
        for (score, likelihood) in self.score.iter_mut().zip(row) {
            *score += likelihood;
        }
        let most = self.score.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.score.iter().map(|score| (score - most).exp()).sum();
        for (out, score) in out.iter_mut().zip(&self.score) {
            *out = ((score - most).exp() / sum) as f32;
        }
    }
}

/// `p(output | this token)` as counted; the fewer outputs a token had, the surer (Witten, Bell 1991). The most frequent
/// tag of a word, or a bigram model of a text.
struct ThisToken {
    /// `p(output)`.
    prior: Vec<f32>,
    /// How often a token had which output.
    counts: Vec<BTreeMap<usize, f32>>,
}

impl ThisToken {
    fn new(data: &Dataset) -> Self {
        let mut prior = vec![1.0; data.outputs()];
        let mut counts = vec![BTreeMap::new(); data.inputs()];
        for sequence in data.sequences(Part::Train) {
            for t in (0..sequence.steps()).filter(|&t| sequence.counts(t)) {
                let (token, output) = (sequence.raw(t)[0] as usize, sequence.truth(t)[0] as usize);
                prior[output] += 1.0;
                *counts[token].entry(output).or_insert(0.0) += 1.0;
            }
        }
        let all: f32 = prior.iter().sum();
        prior.iter_mut().for_each(|count| *count /= all);
        ThisToken { prior, counts }
    }
}

impl Predictor for ThisToken {
    fn reset(&mut self) {}

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        let counts = &self.counts[raw[0] as usize];
        // A token never met leaves the prior alone.
        let unseen = counts.len().max(1) as f32;
        let all = counts.values().sum::<f32>() + unseen;
        for (out, prior) in out.iter_mut().zip(&self.prior) {
            *out = prior * unseen / all;
        }
        for (&output, count) in counts {
            out[output] += count / all;
        }
    }
}
