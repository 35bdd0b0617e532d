//! GRU that resets after the product, gates stacked `r, z, n`; with `u = W_hh h + b_hh`:
//! `r, z = σ(x-part + u)`, `n = tanh(x-part + r ⊙ u_n)` or `max(0, ·)` of that, `h' = (1 − z) ⊙ n + z ⊙ h`.
//!
//! The n rows of the x-part and of `u` have different gradients (`dn` and `r ⊙ dn`), so both sums
//! are kept, where the other cells need one.

use super::{Gradients, Unit, UnitMath, gate, gate_slope};
use crate::train::real::Real;

pub struct GruAfter<const RELU: bool, const HARD: bool>;

impl<const RELU: bool, const HARD: bool, T: Real> UnitMath<T> for GruAfter<RELU, HARD> {
    const SUMS: usize = 3;
    const APART: bool = true;
    const DIRECT: bool = true;

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let ([r, z, n, _], [u_r, u_z, u_n]) = (&mut unit.z, unit.u);
        *r = gate::<HARD, T>(*r + u_r);
        *z = gate::<HARD, T>(*z + u_z);
        *n += *r * u_n;
        *n = match RELU {
            true if *n > T::ZERO => *n,
            true => T::ZERO,
            false => n.tanh(),
        };
        unit.h = *n + *z * (unit.h_prev - *n);
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let [r, z, n, _] = unit.z;
        let slope = match RELU {
            true if n > T::ZERO => T::ONE,
            true => T::ZERO,
            false => T::ONE - n * n,
        };
        let dn = d.h * (T::ONE - z) * slope;
        let dz = d.h * (unit.h_prev - n) * gate_slope::<HARD, T>(z);
        let dr = dn * unit.u[2] * gate_slope::<HARD, T>(r);
        unit.z = [dr, dz, dn, T::ZERO];
        unit.u = [dr, dz, dn * r];
        d.h = d.h * z;
    }
}
