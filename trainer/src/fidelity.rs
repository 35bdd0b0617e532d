//! How far a model in one number format answers like the float one, over raw samples: what is refused when it is too far.

use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::train::pair::{Source, answers_of_pair, begun, pairs_of};
use crate::train::{Metrics, Predictor};
use anyhow::Result;
use kinglet::format::Output;
use kinglet::{Model, argmax};

/// Error in parts of the outputs' spread beyond which a model is not written unasked.
pub const MOST: f64 = 0.05;
/// Steps of a data set that are measured, at the most.
const STEPS: usize = 50_000;

/// Differences of one output, or of all together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Difference {
    /// Root of the mean square, in the output's unit.
    pub rms: f64,
    /// Largest.
    pub max: f64,
    /// Standard deviation of the float model's output.
    pub spread: f64,
    /// Mean of the float model's output.
    pub mean: f64,
}

impl Difference {
    fn of(pairs: impl Iterator<Item = (f32, f32)> + Clone) -> Self {
        let count = pairs.clone().count().max(1) as f64;
        let mean = pairs.clone().map(|(a, _)| f64::from(a)).sum::<f64>() / count;
        let (mut spread, mut squares, mut max) = (0.0, 0.0, 0f64);
        for (a, b) in pairs {
            let difference = f64::from(b) - f64::from(a);
            spread += (f64::from(a) - mean).powi(2);
            squares += difference * difference;
            // Not a number is as far as it gets.
            max = if difference.is_nan() {
                f64::INFINITY
            } else {
                max.max(difference.abs())
            };
        }
        Difference {
            rms: (squares / count).sqrt(),
            max,
            spread: (spread / count).sqrt(),
            mean,
        }
    }

    /// The output never changes but by the last bit of its 32.
    pub fn is_constant(&self) -> bool {
        self.spread <= f64::from(f32::EPSILON) * self.mean.abs()
    }

    /// In parts of the spread, or of the size where the output never changes.
    pub fn share(&self) -> f64 {
        let whole = if self.is_constant() {
            self.mean.abs().max(1e-3)
        } else {
            self.spread
        };
        match self.rms {
            0.0 => 0.0,
            rms if rms.is_finite() => rms / whole,
            _ => f64::INFINITY,
        }
    }
}

/// Of a float model and another one of it, over the same samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Fidelity {
    /// All outputs together.
    pub all: Difference,
    /// Each output apart, where they are values with a unit each.
    pub each: Vec<Difference>,
    /// Number of outputs compared.
    pub count: usize,
    /// Answers whose likeliest class is another one; none where outputs are not classes.
    pub other_classes: Option<usize>,
}

impl Fidelity {
    /// From the answers of both, one step after the other.
    pub fn between(float: &Model<'_>, answers: &[f32], others: &[f32]) -> Self {
        let pairs = answers.iter().copied().zip(others.iter().copied());
        let width = float.outputs();
        let values = matches!(float.header().output, Output::Values { .. });
        let each = (0..width).filter(|_| values);
        let each = each.map(|k| Difference::of(pairs.clone().skip(k).step_by(width)));
        Fidelity {
            all: Difference::of(pairs.clone()),
            each: each.collect(),
            count: answers.len(),
            other_classes: matches!(float.header().output, Output::Classes { .. }).then(|| {
                let pairs = answers.chunks(width).zip(others.chunks(width));
                pairs.filter(|(a, b)| argmax(a) != argmax(b)).count()
            }),
        }
    }

    /// Over a part of a data set.
    pub fn over(float: &Model<'_>, other: &Model<'_>, data: &Dataset, part: Part) -> Self {
        let [a, b] = [float, other].map(|model| answers(model, data, part));
        Fidelity::between(float, &a, &b)
    }

    /// Of two pairs of encoder and decoder, over the next tokens after the right ones.
    ///
    /// # Errors
    /// If an encoder and its decoder are no pair.
    pub fn over_pair(
        float: [&Model<'_>; 2],
        other: [&Model<'_>; 2],
        data: &Dataset,
        part: Part,
    ) -> Result<Self> {
        Self::over_pairs(float, other, || pairs_of(data, part))
    }

    /// The same over texts that are read and said, as tokens without an end.
    ///
    /// # Errors
    /// If an encoder and its decoder are no pair.
    pub fn over_texts(
        float: [&Model<'_>; 2],
        other: [&Model<'_>; 2],
        texts: &[[Vec<usize>; 2]],
    ) -> Result<Self> {
        let pair = |[read, said]: &[Vec<usize>; 2]| (Source::Tokens(read.clone()), begun(said));
        Self::over_pairs(float, other, || texts.iter().map(pair))
    }

    fn over_pairs<P: Iterator<Item = (Source, Vec<usize>)>>(
        float: [&Model<'_>; 2],
        other: [&Model<'_>; 2],
        pairs: impl Fn() -> P,
    ) -> Result<Self> {
        let answers = |models| answers_of_pair(models, pairs(), STEPS);
        Ok(Fidelity::between(
            float[1],
            &answers(float)?,
            &answers(other)?,
        ))
    }

    /// Error in parts of the spread: of values the root of the mean over the outputs' squares, as their units may differ.
    pub fn share(&self) -> f64 {
        if self.each.is_empty() {
            return self.all.share();
        }
        let squares: f64 = self.each.iter().map(|one| one.share().powi(2)).sum();
        (squares / self.each.len() as f64).sqrt()
    }
}

/// By how much a network that was trained through its integers errs more than the float one it began from, in parts of the
/// float one's error; of classes and tokens that are heard, how many more of them are wrong.
///
/// Such a network gives answers of its own, so what counts is not whether they are the float ones but whether they are as right.
pub fn excess(float: &Metrics, other: &Metrics) -> f64 {
    let more = other.error() - float.error();
    match float {
        Metrics::Classes(_) | Metrics::Transcripts(_) => more,
        Metrics::Values(_) | Metrics::Quantiles(_) | Metrics::Tokens(_) => more / float.error(),
    }
}

fn answers(model: &Model<'_>, data: &Dataset, part: Part) -> Vec<f32> {
    let mut predictor = EnginePredictor::new(model);
    let mut y = vec![0.0; model.outputs()];
    let (mut all, mut steps) = (Vec::new(), 0);
    for sequence in data.sequences(part) {
        predictor.reset();
        for t in 0..sequence.steps() {
            predictor.step(sequence.raw(t), &mut y);
            if sequence.counts(t) {
                all.extend_from_slice(&y);
            }
        }
        steps += sequence.steps();
        if steps >= STEPS {
            break;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{ClassMetrics, TokenMetrics};

    #[test]
    fn a_share_is_of_the_spread_and_nothing_of_nothing() {
        let of = |a: [f32; 4], b: [f32; 4]| Difference::of(a.into_iter().zip(b));
        let known = of([1.0, 3.0, 1.0, 3.0], [1.5, 3.5, 1.5, 3.5]);
        assert_eq!((known.rms, known.max, known.spread), (0.5, 0.5, 1.0));
        assert_eq!(known.share(), 0.5);
        assert_eq!(of([2.0; 4], [2.0; 4]).share(), 0.0);
        assert_eq!(of([2.0; 4], [2.5; 4]).share(), 0.25);
        // A small spread far from zero is one.
        let far = of([1000.0, 1000.0, 1000.5, 1000.5], [1000.25; 4]);
        assert!(!far.is_constant() && far.share() == 1.0, "{far:?}");
        assert_eq!(of([2.0; 4], [f32::NAN; 4]).share(), f64::INFINITY);
    }

    #[test]
    fn what_a_network_errs_more_is_a_part_of_the_error_or_of_the_answers() {
        let bits = |bits| {
            Metrics::Tokens(TokenMetrics {
                bits,
                accuracy: 0.5,
                count: 1,
            })
        };
        assert_eq!(excess(&bits(2.0), &bits(2.5)), 0.25);
        assert_eq!(excess(&bits(2.0), &bits(1.0)), -0.5);
        let right = |accuracy| {
            Metrics::Classes(ClassMetrics {
                accuracy,
                macro_f1: accuracy,
                by_group: None,
                confusion: Vec::new(),
            })
        };
        assert!((excess(&right(0.9), &right(0.8)) - 0.1).abs() < 1e-12);
    }
}
