//! LSTM with `max(0, ·)` in place of both hyperbolic tangents, gates stacked `i, f, g, o`:
//! `i, f, o = σ(·)`, `g = max(0, ·)`, `c' = f ⊙ c + i ⊙ g`, `h' = o ⊙ max(0, c')`.
//!
//! Backward as of an LSTM, where the slopes of `g` and of `max(0, c')` are 1 above zero and 0 elsewhere.

use super::{Gradients, Unit, UnitMath};
use crate::train::real::Real;

pub struct LstmRelu;

fn rectified<T: Real>(x: T) -> T {
    if x > T::ZERO { x } else { T::ZERO }
}

impl<T: Real> UnitMath<T> for LstmRelu {
    const SUMS: usize = 4;
    const CELL: bool = true;

    #[inline(always)]
    fn cell(unit: &mut Unit<T>) {
        let [i, f, g, _] = &mut unit.z;
        *i = i.sigmoid();
        *f = f.sigmoid();
        *g = rectified(*g);
        unit.c = *f * unit.c_prev + *i * *g;
    }

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let o = &mut unit.z[3];
        *o = o.sigmoid();
        unit.h = *o * rectified(unit.c);
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let [i, f, g, o] = unit.z;
        let through = |slope: bool, d: T| if slope { d } else { T::ZERO };
        let d_o = d.h * rectified(unit.c) * o * (T::ONE - o);
        let dc = d.c + through(unit.c > T::ZERO, d.h * o);
        let d_f = dc * unit.c_prev * f * (T::ONE - f);
        let d_i = dc * g * i * (T::ONE - i);
        d.c = dc * f;
        unit.z = [d_i, d_f, through(g > T::ZERO, dc * i), d_o];
    }
}
