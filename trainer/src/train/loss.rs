//! What training makes small, with its gradient at the network's output.
//!
//! Per output, with `e = y − goal`: MSE `e²`, MAE `|e|`, Huber `½ e²` up to `|e| = 1` and `|e| − ½`
//! beyond; cross-entropy `−ln p[goal]` after a softmax, whose gradient at the sums is `p − onehot`, times the weight of
//! the goal's class where classes are weighed; pinball `max((q − 1) (goal − y), q (goal − y))` for the quantile `q` that the
//! output stands for, which is least in the mean where a share `q` of the goals lies below `y` (Koenker, Bassett 1978);
//! and of transcripts [`super::ctc`]. A goal that is NaN is not known, and an output with such a one costs nothing.

use serde::Deserialize;

use super::ctc;
use super::real::Real;

/// Half of the smallest probability above zero that the engine's integer softmax gives.
pub(super) const LEAST: f32 = 1.0 / 65536.0;

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Mean squared error.
    Mse,
    /// Mean absolute error.
    Mae,
    /// Quadratic up to 1 (in normalised units), linear beyond.
    Huber,
    /// For classes and tokens.
    CrossEntropy,
    /// For quantiles.
    Pinball,
    /// For transcripts.
    Ctc,
}

/// A loss, with what it knows about each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    loss: Loss,
    /// Of cross-entropy the weight of each class, of pinball the quantile of each output; otherwise empty.
    per_output: Vec<f64>,
    /// A probability is no smaller.
    least: f64,
}

impl From<Loss> for Objective {
    /// With classes of equal weight.
    fn from(loss: Loss) -> Self {
        Objective {
            loss,
            per_output: Vec::new(),
            // Keeps one that underflowed from making a sum infinite.
            least: 1e-30,
        }
    }
}

impl Objective {
    /// Cross-entropy times a weight for the class that is right.
    pub fn weighed(weights: Vec<f64>) -> Self {
        Objective {
            per_output: weights,
            ..Loss::CrossEntropy.into()
        }
    }

    /// The pinball loss, with the quantile that each output stands for.
    pub fn quantiles(quantiles: Vec<f64>) -> Self {
        Objective {
            per_output: quantiles,
            ..Loss::Pinball.into()
        }
    }

    /// Of a network in integers, of which a probability of zero says that it is small.
    pub(super) fn of_integers(self) -> Self {
        match self.loss {
            Loss::Ctc => Objective {
                least: LEAST.into(),
                ..self
            },
            _ => self,
        }
    }

    /// It is of whole sequences, not of each of their rows.
    pub(super) fn is_of_sequences(&self) -> bool {
        self.loss == Loss::Ctc
    }

    /// Goals per row of `width` outputs; also the terms that a row adds to the sum.
    pub fn goals(&self, width: usize) -> usize {
        match self.loss {
            Loss::CrossEntropy | Loss::Ctc => 1,
            _ => width,
        }
    }

    fn of_class(&self, class: usize) -> f64 {
        self.per_output.get(class).copied().unwrap_or(1.0)
    }

    /// The quantile of every output, row by row; the median where none is said, and where it is not asked for.
    fn of_outputs(&self) -> impl Iterator<Item = f64> {
        let quantiles = match self.per_output.is_empty() {
            true => &[0.5],
            false => &self.per_output[..],
        };
        quantiles.iter().copied().cycle()
    }

    /// Sum over all rows of `y: [rows, width]`, or over all sequences of `y: [steps, lanes, width]`.
    pub fn value<T: Real>(&self, y: &[T], goal: &[T], (lanes, width): (usize, usize)) -> f64 {
        if self.loss == Loss::Ctc {
            return ctc::value(y, goal, (lanes, width), self.least);
        }
        if self.loss == Loss::CrossEntropy {
            let rows = y.chunks_exact(width).zip(goal);
            let known = rows.filter_map(|(p, &g)| Some((p, class(g)?)));
            return known
                .map(|(p, class)| -self.of_class(class) * p[class].to_f64().max(self.least).ln())
                .sum();
        }
        let errors = y.iter().zip(goal).map(|(&y, &g)| error(y, g).to_f64());
        match self.loss {
            Loss::Mse => errors.map(|e| e * e).sum(),
            Loss::Mae => errors.map(f64::abs).sum(),
            Loss::Pinball => errors
                .zip(self.of_outputs())
                .map(|(e, q)| pinball(e, q))
                .sum(),
            Loss::Huber | Loss::CrossEntropy | Loss::Ctc => errors
                .map(|e| {
                    if e.abs() < 1.0 {
                        0.5 * e * e
                    } else {
                        e.abs() - 0.5
                    }
                })
                .sum(),
        }
    }

    /// Gradient of the sum times `scale`.
    pub fn gradient<T: Real>(
        &self,
        (y, goal): (&[T], &[T]),
        (lanes, width): (usize, usize),
        scale: T,
        dy: &mut [T],
    ) {
        if self.loss == Loss::Ctc {
            return ctc::gradient((y, goal), (lanes, width), self.least, scale, dy);
        }
        if self.loss == Loss::CrossEntropy {
            let rows = dy.chunks_exact_mut(width).zip(y.chunks_exact(width));
            for ((dy, p), g) in rows.zip(goal) {
                let Some(class) = class(*g) else {
                    dy.fill(T::ZERO);
                    continue;
                };
                let scale = match self.per_output.is_empty() {
                    true => scale,
                    false => scale * T::from_f64(self.of_class(class)),
                };
                for (d, &p) in dy.iter_mut().zip(p) {
                    *d = p * scale;
                }
                dy[class] += -scale;
            }
            return;
        }
        let outputs = dy.iter_mut().zip(y).zip(goal).zip(self.of_outputs());
        for (((d, &y), &g), quantile) in outputs {
            let e = error(y, g);
            let sign = if e > T::ZERO {
                T::ONE
            } else if e < T::ZERO {
                -T::ONE
            } else {
                T::ZERO
            };
            *d = scale
                * match self.loss {
                    Loss::Mse => e + e,
                    Loss::Mae => sign,
                    Loss::Pinball if e > T::ZERO => T::from_f64(1.0 - quantile),
                    Loss::Pinball if e < T::ZERO => T::from_f64(-quantile),
                    _ if e * sign < T::ONE => e,
                    _ => sign,
                };
        }
    }
}

/// None where the goal is not known.
fn class<T: Real>(goal: T) -> Option<usize> {
    let goal = goal.to_f64();
    (!goal.is_nan()).then_some(goal as usize)
}

/// None where the goal is not known.
#[inline(always)]
fn error<T: Real>(y: T, goal: T) -> T {
    // Only NaN differs from itself.
    #[expect(clippy::eq_op, reason = "Real has no other way to ask")]
    if goal == goal { y - goal } else { T::ZERO }
}

/// The pinball loss of an error, prediction minus truth, at a quantile.
pub(crate) fn pinball(error: f64, quantile: f64) -> f64 {
    ((1.0 - quantile) * error).max(-quantile * error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sklearn.utils.class_weight.compute_class_weight("balanced")` and `sklearn.metrics.log_loss(sample_weight=…)`.
    #[test]
    fn weighed_classes_cost_what_scikit_learn_says() {
        let balanced = crate::task::ClassWeights::Rule("balanced".into()).of_classes(&[6, 3, 1]);
        for (weight, expected) in balanced.iter().zip([5.0 / 9.0, 10.0 / 9.0, 10.0 / 3.0]) {
            assert!((weight - expected).abs() < 1e-12, "{balanced:?}");
        }
        // A list is scaled to the same mean: (2 · 1 + 1 · 4) / 3 = 2 becomes 1.
        let listed = crate::task::ClassWeights::Each(vec![1.0, 4.0]).of_classes(&[2, 1]);
        assert_eq!(listed, [0.5, 2.0]);
        let p = [0.7, 0.3, 0.6, 0.4, 0.2, 0.8];
        let loss = Objective::weighed(listed).value(&p, &[0.0, 0.0, 1.0], (1, 2));
        assert!((loss - 0.880037386480781).abs() < 1e-12, "{loss}");
    }

    #[test]
    fn a_class_that_nobody_knows_costs_nothing() {
        let objective = Objective::from(Loss::CrossEntropy);
        let p = [0.75, 0.25, 0.4, 0.6];
        let loss = objective.value(&p, &[f64::NAN, 1.0], (1, 2));
        assert!((loss + 0.6f64.ln()).abs() < 1e-12, "{loss}");
        let mut dy = [9.0; 4];
        objective.gradient((&p, &[f64::NAN, 1.0]), (1, 2), 1.0, &mut dy);
        assert_eq!(dy, [0.0, 0.0, 0.4, -0.4]);
    }

    /// `sklearn.metrics.mean_pinball_loss(truth, y, alpha=…)`.
    #[test]
    fn quantiles_cost_what_scikit_learn_says() {
        let (truth, y) = ([1.0, 2.0, 3.0, -1.0], [1.5, 1.0, 3.0, 0.5]);
        for (quantile, expected) in [(0.1, 0.475), (0.5, 0.375), (0.9, 0.275)] {
            let loss = Objective::quantiles(vec![quantile]).value(&y, &truth, (1, 1)) / 4.0;
            assert!((loss - expected).abs() < 1e-12, "{quantile}: {loss}");
        }
    }
}
