//! minGRU, gate and candidate stacked `z, n`, both of the input alone: `z = σ(·)`, `n = ·` or `tanh(·)`,
//! `h' = h + z ⊙ (n − h)`.
//!
//! Backward, with `d` from above and from the next step: `dz = d ⊙ (n − h)` and `dn = d ⊙ z`, each times the derivative of its
//! own nonlinearity; `dh_prev = d ⊙ (1 − z)`, and nothing else, as no sum is over the state.

use super::{Gradients, Unit, UnitMath, gate, gate_slope};
use crate::train::real::Real;

pub struct MinGru<const TANH: bool, const HARD: bool>;

impl<const TANH: bool, const HARD: bool, T: Real> UnitMath<T> for MinGru<TANH, HARD> {
    const SUMS: usize = 2;
    const RECURS: bool = false;
    const DIRECT: bool = true;

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let [z, n, ..] = &mut unit.z;
        *z = gate::<HARD, T>(*z);
        if TANH {
            *n = n.tanh();
        }
        unit.h = unit.h_prev + *z * (*n - unit.h_prev);
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let [z, n, ..] = unit.z;
        let slope = if TANH { T::ONE - n * n } else { T::ONE };
        unit.z[0] = d.h * (n - unit.h_prev) * gate_slope::<HARD, T>(z);
        unit.z[1] = d.h * z * slope;
        d.h = d.h * (T::ONE - z);
    }
}
