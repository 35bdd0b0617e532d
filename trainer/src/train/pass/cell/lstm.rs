//! LSTM, gates stacked `i, f, g, o`:
//! `i, f, o = σ(·)`, `g = tanh(·)`, `c' = f ⊙ c + i ⊙ g`, `h' = o ⊙ tanh c'`. With peepholes the sums of `i` and `f` also
//! have `p ⊙ c`, that of `o` has `p ⊙ c'`.
//!
//! Backward, with `dh` and `dc` from above and from the next step:
//! `do = dh ⊙ tanh c'`, `dc += dh ⊙ o ⊙ (1 − tanh² c')`, `di = dc ⊙ g`, `df = dc ⊙ c`, `dg = dc ⊙ i`,
//! each times the derivative of its own nonlinearity; `dc_prev = dc ⊙ f`, `dh_prev = dz W_hh`. Through peepholes
//! `dc += do ⊙ p_o` and `dc_prev += di ⊙ p_i + df ⊙ p_f`.

use super::{Gradients, Unit, UnitMath, gate, gate_slope};
use crate::train::real::Real;

pub struct Lstm<const PEEPHOLES: bool, const HARD: bool>;

impl<const PEEPHOLES: bool, const HARD: bool, T: Real> UnitMath<T> for Lstm<PEEPHOLES, HARD> {
    const SUMS: usize = 4;
    const CELL: bool = true;
    const KEEPS: bool = true;
    const PARAMETERS: usize = if PEEPHOLES { 3 } else { 0 };
    const LEARNED: usize = if PEEPHOLES { 3 } else { 0 };

    #[inline(always)]
    fn cell(unit: &mut Unit<T>) {
        let ([i, f, g, _], [p_i, p_f, _]) = (&mut unit.z, unit.p);
        if PEEPHOLES {
            *i += p_i * unit.c_prev;
            *f += p_f * unit.c_prev;
        }
        *i = gate::<HARD, T>(*i);
        *f = gate::<HARD, T>(*f);
        *g = g.tanh();
        unit.c = *f * unit.c_prev + *i * *g;
    }

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let o = &mut unit.z[3];
        if PEEPHOLES {
            *o += unit.p[2] * unit.c;
        }
        *o = gate::<HARD, T>(*o);
        unit.kept = unit.c.tanh();
        unit.h = *o * unit.kept;
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let ([i, f, g, o], [p_i, p_f, p_o], tanh_c) = (unit.z, unit.p, unit.kept);
        let d_o = d.h * tanh_c * gate_slope::<HARD, T>(o);
        let mut dc = d.c + d.h * o * (T::ONE - tanh_c * tanh_c);
        if PEEPHOLES {
            dc += d_o * p_o;
        }
        let d_f = dc * unit.c_prev * gate_slope::<HARD, T>(f);
        let d_i = dc * g * gate_slope::<HARD, T>(i);
        d.c = dc * f;
        if PEEPHOLES {
            d.c = d.c + d_i * p_i + d_f * p_f;
            d.p[0] += d_i * unit.c_prev;
            d.p[1] += d_f * unit.c_prev;
            d.p[2] += d_o * unit.c;
        }
        unit.z = [d_i, d_f, dc * i * (T::ONE - g * g), d_o];
    }
}
