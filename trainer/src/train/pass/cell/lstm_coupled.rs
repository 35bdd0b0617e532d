//! LSTM with coupled gates, stacked `f, g, o`: `f, o = σ(·)`, `g = tanh(·)`, `c' = g + f ⊙ (c − g)`, `h' = o ⊙ tanh c'`.
//!
//! Backward as the LSTM's, but for `df = dc ⊙ (c − g)` and `dg = dc ⊙ (1 − f)`.

use super::{Gradients, Unit, UnitMath};
use crate::train::real::Real;

pub struct LstmCoupled;

impl<T: Real> UnitMath<T> for LstmCoupled {
    const SUMS: usize = 3;
    const CELL: bool = true;
    const KEEPS: bool = true;

    #[inline(always)]
    fn cell(unit: &mut Unit<T>) {
        let [f, g, ..] = &mut unit.z;
        *f = f.sigmoid();
        *g = g.tanh();
        unit.c = *g + *f * (unit.c_prev - *g);
    }

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let o = &mut unit.z[2];
        *o = o.sigmoid();
        unit.kept = unit.c.tanh();
        unit.h = *o * unit.kept;
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let ([f, g, o, _], tanh_c) = (unit.z, unit.kept);
        let dc = d.c + d.h * o * (T::ONE - tanh_c * tanh_c);
        let left = T::ONE - f;
        unit.z[0] = dc * (unit.c_prev - g) * f * left;
        unit.z[1] = dc * left * (T::ONE - g * g);
        unit.z[2] = d.h * tanh_c * o * (T::ONE - o);
        d.c = dc * f;
    }
}
