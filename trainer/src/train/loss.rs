//! What training makes small, with its gradient at the network's output.
//!
//! Per output, with `e = y − goal`: MSE `e²`, MAE `|e|`, Huber `½ e²` up to `|e| = 1` and `|e| − ½`
//! beyond; cross-entropy `−ln p[goal]` after a softmax, whose gradient at the sums is `p − onehot`.

use serde::Deserialize;

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
}

impl Loss {
    /// Goals per row of `width` outputs; also the terms that a row adds to the sum.
    pub fn goals(self, width: usize) -> usize {
        match self {
            Loss::CrossEntropy => 1,
            _ => width,
        }
    }

    /// Sum over all rows of `y: [rows, width]`.
    pub fn value<T: Real>(self, y: &[T], goal: &[T], width: usize) -> f64 {
        if self == Loss::CrossEntropy {
            let rows = y.chunks_exact(width).zip(goal);
            // The floor keeps a probability that underflowed from making the sum infinite.
            return rows
                .map(|(p, g)| -p[g.to_f64() as usize].to_f64().max(1e-30).ln())
                .sum();
        }
        let errors = y.iter().zip(goal).map(|(&y, &g)| (y - g).to_f64());
        match self {
            Loss::Mse => errors.map(|e| e * e).sum(),
            Loss::Mae => errors.map(f64::abs).sum(),
            _ => errors
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
    pub fn gradient<T: Real>(self, y: &[T], goal: &[T], width: usize, scale: T, dy: &mut [T]) {
        if self == Loss::CrossEntropy {
            let rows = dy.chunks_exact_mut(width).zip(y.chunks_exact(width));
            for ((dy, p), g) in rows.zip(goal) {
                for (d, &p) in dy.iter_mut().zip(p) {
                    *d = p * scale;
                }
                dy[g.to_f64() as usize] += -scale;
            }
            return;
        }
        for ((d, &y), &g) in dy.iter_mut().zip(y).zip(goal) {
            let e = y - g;
            let sign = if e > T::ZERO {
                T::ONE
            } else if e < T::ZERO {
                -T::ONE
            } else {
                T::ZERO
            };
            *d = scale
                * match self {
                    Loss::Mse => e + e,
                    Loss::Mae => sign,
                    _ if e * sign < T::ONE => e,
                    _ => sign,
                };
        }
    }
}
