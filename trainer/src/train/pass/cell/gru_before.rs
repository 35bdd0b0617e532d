//! GRU that resets before the product (Cho et al. 2014), gates stacked `r, z, n`:
//! `r, z = σ(x-part + W_h h)`, `n = tanh(x-part + W_hn (r ⊙ h))` or `max(0, ·)` of that, `h' = (1 − z) ⊙ n + z ⊙ h`.
//!
//! The candidate's product waits for `r`, so a step takes two products: `r, z` together, then `n`.
//! Both biases of a gate are simply added.

use super::{Gradients, Unit, UnitMath, gate, gate_slope};
use crate::train::real::Real;

pub struct GruBefore<const RELU: bool, const HARD: bool>;

impl<const RELU: bool, const HARD: bool, T: Real> UnitMath<T> for GruBefore<RELU, HARD> {
    const SUMS: usize = 3;
    const KEEPS: bool = true;
    const RESETS: bool = true;
    const DIRECT: bool = true;

    #[inline(always)]
    fn reset(unit: &mut Unit<T>) {
        let [r, z, ..] = &mut unit.z;
        *r = gate::<HARD, T>(*r);
        *z = gate::<HARD, T>(*z);
        unit.kept = *r * unit.h_prev;
    }

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let [_, z, n, _] = &mut unit.z;
        *n = match RELU {
            true if *n > T::ZERO => *n,
            true => T::ZERO,
            false => n.tanh(),
        };
        unit.h = *n + *z * (unit.h_prev - *n);
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let [_, z, n, _] = unit.z;
        unit.z[1] = d.h * (unit.h_prev - n) * gate_slope::<HARD, T>(z);
        let slope = match RELU {
            true if n > T::ZERO => T::ONE,
            true => T::ZERO,
            false => T::ONE - n * n,
        };
        unit.z[2] = d.h * (T::ONE - z) * slope;
        d.h = d.h * z;
    }

    #[inline(always)]
    fn reset_backward(unit: &mut Unit<T>, d_kept: T, d: &mut Gradients<T>) {
        let r = unit.z[0];
        d.h += d_kept * r;
        unit.z[0] = d_kept * unit.h_prev * gate_slope::<HARD, T>(r);
    }
}
