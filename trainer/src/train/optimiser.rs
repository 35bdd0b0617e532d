//! Adam and AdamW over the flat parameter vector, with the norm limit and the learning rate's course.
//!
//! `m = β₁ m + (1 − β₁) g`, `v = β₂ v + (1 − β₂) g²`,
//! `w −= η m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)`, β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
//! Adam adds `decay · w` to `g`; AdamW takes `η decay w` off the parameter directly.

use serde::{Deserialize, Serialize};

use super::real::Real;
use super::vectorise::vectorised;
use crate::task::{OptimiserName, Schedule, TrainTask};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Moments of every parameter's gradient, after so many steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub steps: i32,
}

/// The optimiser.
pub struct Adam {
    moments: Moments,
    /// Added to the gradient.
    l2: f32,
    /// Taken off the parameter.
    decay: f32,
    clip: f32,
}

vectorised! {
    /// `rates`: η/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), the gradient's scale, L2, what remains of a parameter.
    fn update(w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], sqrt: fn(T) -> T, rates: [T; 5]) {
        let n = w.len();
        let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
        let [rate, correction, scale, l2, keep] = rates;
        let (b1, b2) = (T::from_f64(f64::from(BETA_1)), T::from_f64(f64::from(BETA_2)));
        let epsilon = T::from_f64(f64::from(EPSILON));
        for j in 0..n {
            let g = g[j] * scale + l2 * w[j];
            m[j] = b1 * m[j] + (T::ONE - b1) * g;
            v[j] = b2 * v[j] + (T::ONE - b2) * g * g;
            w[j] = w[j] * keep - rate * m[j] / (sqrt(v[j] * correction) + epsilon);
        }
    }
}

impl Adam {
    /// For this many parameters.
    pub fn new(task: &TrainTask, parameters: usize) -> Self {
        let decoupled = task.optimiser == OptimiserName::Adamw;
        Adam {
            moments: Moments {
                m: vec![0.0; parameters],
                v: vec![0.0; parameters],
                steps: 0,
            },
            l2: if decoupled { 0.0 } else { task.weight_decay },
            decay: if decoupled { task.weight_decay } else { 0.0 },
            clip: task.clip,
        }
    }

    /// What the steps so far have left.
    pub(super) fn moments(&mut self) -> &mut Moments {
        &mut self.moments
    }

    /// One step along `grad`, shortened to the norm limit.
    ///
    /// # Panics
    /// If the vectors' lengths differ from the number of parameters.
    pub fn step(&mut self, params: &mut [f32], grad: &[f32], learning_rate: f32) {
        let Moments { m, v, steps } = &mut self.moments;
        *steps = steps.saturating_add(1);
        let norm = grad
            .iter()
            .map(|&g| f64::from(g) * f64::from(g))
            .sum::<f64>()
            .sqrt() as f32;
        let scale = if self.clip > 0.0 && norm > self.clip {
            self.clip / norm
        } else {
            1.0
        };
        let rates = [
            learning_rate / (1.0 - BETA_1.powi(*steps)),
            1.0 / (1.0 - BETA_2.powi(*steps)),
            scale,
            self.l2,
            1.0 - learning_rate * self.decay,
        ];
        update(params, grad, m, v, f32::sqrt, rates);
    }
}

impl Schedule {
    /// The factor on the learning rate at step `step` of `steps` in epoch `epoch` (from 0).
    pub fn factor(self, epoch: usize, step: usize, steps: usize) -> f32 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let done = step as f32 / steps.max(1) as f32;
                0.5 + 0.5 * (std::f32::consts::PI * done).cos()
            }
            Schedule::Step { every, factor } => factor.powi((epoch / every.max(1)) as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_along_the_sign() {
        let mut adam = Adam::new(&TrainTask::default(), 2);
        let mut w = [1.0f32, -1.0];
        adam.step(&mut w, &[0.5, -0.25], 0.1);
        assert!(
            (w[0] - 0.9).abs() < 1e-5 && (w[1] + 0.9).abs() < 1e-5,
            "{w:?}"
        );
    }

    #[test]
    fn adamw_decays_without_a_gradient_and_adam_follows_it() {
        for (optimiser, expected) in [(OptimiserName::Adamw, 0.95), (OptimiserName::Adam, 0.9)] {
            let task = TrainTask {
                optimiser,
                weight_decay: 0.5,
                ..TrainTask::default()
            };
            let mut w = [1.0f32];
            Adam::new(&task, 1).step(&mut w, &[0.0], 0.1);
            assert!((w[0] - expected).abs() < 1e-5, "{optimiser:?}: {w:?}");
        }
    }

    #[test]
    fn schedules_fall_as_they_say() {
        assert_eq!(Schedule::Cosine.factor(0, 0, 10), 1.0);
        assert!((Schedule::Cosine.factor(0, 5, 10) - 0.5).abs() < 1e-6);
        let step = Schedule::Step {
            every: 2,
            factor: 0.1,
        };
        assert_eq!(step.factor(1, 9, 10), 1.0);
        assert!((step.factor(4, 9, 10) - 0.01).abs() < 1e-8);
    }
}
