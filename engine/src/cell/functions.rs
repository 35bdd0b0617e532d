//! Which functions a cell has in place of the logistic one and of tanh.
//!
//! Hard gates are `min(1, max(0, z/4 + 1/2))`, whose slope at 0 is that of the logistic function. What other frameworks call a hard
//! sigmoid has another slope; importing scales weights instead.

use super::layer::curve_q;
use crate::format::LoadError;
use crate::kernel::{Curve, Kernels, Panel};
use crate::num::{Tables, hard_gate, hard_gate_q};

/// The functions of a cell. Where firmware leaves some out, it is `RELU` and `HARD` that say so, and nothing is asked in a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functions<const RELU: bool, const HARD: bool> {
    relu: bool,
    hard: bool,
}

impl<const RELU: bool, const HARD: bool> Functions<RELU, HARD> {
    /// The logistic function and tanh.
    pub(super) const USUAL: Self = Functions {
        relu: false,
        hard: false,
    };

    /// `max(0, ·)` for tanh, by the feature of this name.
    pub(super) const fn relu(name: &'static str) -> Result<Self, LoadError> {
        if RELU {
            Ok(Functions {
                relu: true,
                hard: false,
            })
        } else {
            Err(LoadError::Feature { name })
        }
    }

    /// Hard gates.
    pub(super) const fn hard() -> Result<Self, LoadError> {
        if HARD {
            Ok(Functions {
                relu: false,
                hard: true,
            })
        } else {
            Err(LoadError::Feature { name: "hard-gates" })
        }
    }

    /// With `max(0, ·)` for tanh.
    #[inline(always)]
    pub(super) const fn is_relu(self) -> bool {
        RELU && self.relu
    }

    /// With hard gates.
    #[inline(always)]
    pub(super) const fn is_hard(self) -> bool {
        HARD && self.hard
    }

    /// Both are the usual ones.
    #[inline(always)]
    pub(super) const fn are_usual(self) -> bool {
        !self.is_relu() && !self.is_hard()
    }

    /// Pre-activations to gates.
    #[inline(always)]
    pub(super) fn gates(self, k: &Kernels, z: &mut [Panel<f32>]) {
        if self.is_hard() {
            let each = z.as_flattened_mut().iter_mut();
            each.for_each(|z| *z = hard_gate(*z));
        } else {
            k.curve_f(Curve::Sigmoid, z);
        }
    }

    /// Pre-activations to gates in integers, as many of each.
    #[inline(always)]
    pub(super) fn gates_q<const N: usize>(
        self,
        k: &Kernels,
        gates: &mut [[i32; N]],
        z: &[[i16; N]],
        tables: &Tables,
    ) {
        if self.is_hard() {
            let each = gates.as_flattened_mut().iter_mut().zip(z.as_flattened());
            each.for_each(|(gate, &z)| *gate = hard_gate_q(z));
        } else {
            curve_q(k, Curve::Sigmoid, gates, z, tables);
        }
    }

    /// Pre-activations of candidates to these.
    #[inline(always)]
    pub(super) fn candidates(self, k: &Kernels, z: &mut [Panel<f32>]) {
        if self.is_relu() {
            let each = z.as_flattened_mut().iter_mut();
            each.for_each(|z| *z = z.max(0.0));
        } else {
            k.curve_f(Curve::Tanh, z);
        }
    }
}
