//! LSTM with peepholes (Gers, Schraudolph and Schmidhuber 2002): the gates see the cell, a weight per unit and gate.
//!
//! ```text
//! i = σ(W_ii x + W_hi h + b_i + p_i ⊙ c)      c' = f ⊙ c + i ⊙ g
//! f = σ(W_if x + W_hf h + b_f + p_f ⊙ c)      h' = o ⊙ tanh(c')
//! g = tanh(W_ig x + W_hg h + b_g)
//! o = σ(W_io x + W_ho h + b_o + p_o ⊙ c')
//! ```
//!
//! The gates of a panel of units lie side by side, `i, f, g, o`, and so do its peepholes, `i, f, o`. In integers
//! a peephole is added to a pre-activation that has been saturated at ±8 by then.

use super::layer::{Cell, Numbers, UnitsQ};
use super::lstm::Lstm;
use super::{Gates, Spec, Stream, each_unit, panels};
use crate::format::{LoadError, Tensors, attempt};
use crate::kernel::{Curve, GateOrder, Kernels, LANES, Panel};
use crate::num::slow::{accumulate, double, gate};
use crate::num::{mulhi_round, saturate, saturate16, shift_round};
use core::ops::Range;

/// The peepholes of a panel of units: `i, f, o`.
type Peepholes<T> = [Panel<T>; 3];

/// An LSTM unit with peepholes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peephole<'a> {
    Float(&'a [Peepholes<f32>]),
    /// Times 2^(17 + `cell_shift`): the high product with a cell is 2^-12. Half of that where the layer is slow.
    Integer(&'a [Peepholes<i32>]),
}

impl<'a> Peephole<'a> {
    /// Tensors: the peepholes.
    #[inline(always)]
    pub(super) const fn take(t: &mut Tensors<'a>, spec: Spec) -> Result<Self, LoadError> {
        let units = panels(spec.hidden);
        Ok(if spec.format.is_integer() {
            Peephole::Integer(attempt!(t.take(units)))
        } else {
            Peephole::Float(attempt!(t.take(units)))
        })
    }
}

impl Cell for Peephole<'_> {
    const ORDER: GateOrder = Lstm::ORDER;
    const CELL: bool = true;

    fn update(
        &self,
        k: &Kernels,
        _: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        let Peephole::Float(peepholes) = self else {
            return;
        };
        for (panel, z) in tile.zip(z.as_chunks_mut::<4>().0) {
            let (c, [p_i, p_f, p_o]) = (&mut stream.c[panel], &peepholes[panel]);
            let [i, f, g, o] = z;
            for u in 0..LANES {
                i[u] += p_i[u] * c[u];
                f[u] += p_f[u] * c[u];
            }
            k.curve_f(Curve::Sigmoid, core::slice::from_mut(i));
            k.curve_f(Curve::Sigmoid, core::slice::from_mut(f));
            k.curve_f(Curve::Tanh, core::slice::from_mut(g));
            for u in 0..LANES {
                c[u] = f[u] * c[u] + i[u] * g[u];
                o[u] += p_o[u] * c[u];
            }
            k.curve_f(Curve::Sigmoid, core::slice::from_mut(o));
            let mut t = *c;
            k.curve_f(Curve::Tanh, core::slice::from_mut(&mut t));
            stream.y[panel] = core::array::from_fn(|u| o[u] * t[u]);
        }
    }

    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let Peephole::Integer(peepholes) = self else {
            return;
        };
        let Numbers {
            tables, cell_shift, ..
        } = numbers;
        let peepholes = &peepholes[units.tile];
        let units = units.master.iter_mut().zip(units.y).zip(peepholes);
        for (((c, y), [p_i, p_f, p_o]), z) in units.zip(z.as_chunks_mut::<4>().0) {
            let see = |z: &mut Panel<i16>, c: &Panel<i32>, p: &Panel<i32>| {
                each_unit(z, |u, z| saturate16(z as i32 + mulhi_round(p[u], c[u])));
            };
            see(&mut z[0], c, p_i);
            see(&mut z[1], c, p_f);
            let mut gates = [[0; LANES]; 4];
            let (input, rest) = gates.split_at_mut(2);
            if numbers.slow {
                z[2] = z[2].map(double);
            } else {
                k.curve_q(Curve::Sigmoid, input, &z[..2], tables);
            }
            k.curve_q(Curve::Tanh, &mut rest[..1], &z[2..3], tables);
            let [i, f, g, _] = &gates;
            each_unit(c, |u, c| {
                if numbers.slow {
                    let [[i, _], [f, _]] = [gate(z[0][u]), gate(z[1][u])];
                    return accumulate(c, f, i, g[u], cell_shift);
                }
                let kept = mulhi_round(f[u], c).wrapping_mul(2);
                let new = mulhi_round(i[u], g[u]) >> (3 + cell_shift);
                saturate::<30>(kept.wrapping_add(new))
            });
            see(&mut z[3], c, p_o);
            if numbers.slow {
                z[3] = z[3].map(double);
            }
            z[2] = c.map(|c| saturate16(c >> (15 - cell_shift)));
            let [t, o, ..] = &mut gates;
            k.curve_q(Curve::Tanh, core::slice::from_mut(t), &z[2..3], tables);
            k.curve_q(Curve::Sigmoid, core::slice::from_mut(o), &z[3..], tables);
            each_unit(y, |u, _| shift_round(mulhi_round(o[u], t[u]), 18) as i16);
        }
    }
}
