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

use super::layer::{Cell, Numbers, SHARE, Share, UnitsQ, curve_q, share, with_tables};
use super::lstm::{Lstm, output};
use super::{Gates, Spec, Stream, each_unit, panels};
use crate::format::{LoadError, Tensors, attempt};
use crate::kernel::{Curve, GateOrder, Kernels, LANES, Panel};
use crate::num::slow::{accumulate, double, gate};
use crate::num::{mulhi_round, saturate, saturate16};
use core::ops::Range;
use core::slice::{from_mut, from_ref};

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
            k.curve_f(Curve::Sigmoid, from_mut(i));
            k.curve_f(Curve::Sigmoid, from_mut(f));
            k.curve_f(Curve::Tanh, from_mut(g));
            for u in 0..LANES {
                c[u] = f[u] * c[u] + i[u] * g[u];
                o[u] += p_o[u] * c[u];
            }
            k.curve_f(Curve::Sigmoid, from_mut(o));
            let mut t = *c;
            k.curve_f(Curve::Tanh, from_mut(&mut t));
            stream.y[panel] = core::array::from_fn(|u| o[u] * t[u]);
        }
    }

    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let Peephole::Integer(peepholes) = self else {
            return;
        };
        let (peepholes, cell_shift) = (&peepholes[units.tile.clone()], numbers.cell_shift);
        with_tables!(numbers, (slow, tables) => {
            for (panel, [p_i, p_f, p_o]) in units.panels(z).zip(peepholes) {
                panel.each(|n, c, y, [i, f, g, o]| {
                    let (i, f, mut g) = (see(i, c, p_i, n), see(f, c, p_f, n), *g);
                    let (mut input, mut gates, mut curve) =
                        ([0; SHARE], [0; SHARE], [0; SHARE]);
                    if slow {
                        g = g.map(double);
                    } else {
                        curve_q(k, Curve::Sigmoid, from_mut(&mut input), from_ref(&i), tables);
                        curve_q(k, Curve::Sigmoid, from_mut(&mut gates), from_ref(&f), tables);
                    }
                    curve_q(k, Curve::Tanh, from_mut(&mut curve), from_ref(&g), tables);
                    each_unit(c, |u, c| {
                        if slow {
                            let [[i, _], [f, _]] = [gate(i[u]), gate(f[u])];
                            return accumulate(c, f, i, curve[u], cell_shift);
                        }
                        let kept = mulhi_round(gates[u], c).wrapping_mul(2);
                        let new = mulhi_round(input[u], curve[u]) >> (3 + cell_shift);
                        saturate::<30>(kept.wrapping_add(new))
                    });
                    let mut o = see(o, c, p_o, n);
                    if slow {
                        o = o.map(double);
                    }
                    curve_q(k, Curve::Sigmoid, from_mut(&mut gates), from_ref(&o), tables);
                    each_unit(y, |u, _| saturate16(c[u] >> (15 - cell_shift)));
                    curve_q(k, Curve::Tanh, from_mut(&mut curve), from_ref(y), tables);
                    each_unit(y, |u, _| output(gates[u], curve[u]));
                });
            }
        });
    }
}

/// Pre-activations with what a share's peepholes show of its cells.
#[inline(always)]
fn see(z: &Share<i16>, c: &Share<i32>, p: &Panel<i32>, n: usize) -> Share<i16> {
    let (mut seen, p) = (*z, share(p, n));
    each_unit(&mut seen, |u, z| {
        saturate16(z as i32 + mulhi_round(p[u], c[u]))
    });
    seen
}
