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

use super::lstm::ORDER;
use super::{AnyGates, GATES, GatesQ, Spec, TILE, panels, tables, tiles};
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::{Inputs, Kernels, LANES, LayerState, MAX_PANELS, Panel};
use crate::num::slow::{accumulate, double, gate};
use crate::num::{mulhi_round, saturate, saturate16, shift_round};

/// The peepholes of a panel of units: `i, f, o`.
type Peepholes<T> = [Panel<T>; 3];

#[derive(Debug, Clone, Copy)]
enum Weights<'a> {
    Float(&'a [Peepholes<f32>]),
    /// Times 2^(17 + `cell_shift`): the high product with a cell is 2^-12. Half of that where the layer is slow.
    Integer(&'a [Peepholes<i32>]),
}

/// A layer of LSTM units with peepholes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peephole<'a> {
    format: Format,
    pub(super) hidden: usize,
    cell_shift: u8,
    gates: AnyGates<'a>,
    peepholes: Weights<'a>,
}

impl<'a> Peephole<'a> {
    /// Tensors: the gates' rows, the peepholes.
    #[inline(always)]
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        spec: Spec,
        cell_shift: u8,
    ) -> Result<Self, LoadError> {
        let Spec { format, hidden, .. } = spec;
        let gates = attempt!(AnyGates::take(t, ORDER, spec));
        let units = panels(hidden);
        let peepholes = if format.is_integer() {
            Weights::Integer(attempt!(t.take(units)))
        } else {
            Weights::Float(attempt!(t.take(units)))
        };
        Ok(Peephole {
            format,
            hidden,
            cell_shift,
            gates,
            peepholes,
        })
    }

    /// One step in f32; the new hidden state also goes to `y`.
    pub(crate) fn step(
        &self,
        k: &Kernels,
        x: &[f32],
        c: &mut [Panel<f32>],
        h: &mut [f32],
        y: &mut [Panel<f32>],
    ) {
        let (AnyGates::Float(gates), Weights::Float(peepholes)) = (&self.gates, self.peepholes)
        else {
            return;
        };
        let mut sums = [[0.0; LANES]; GATES * TILE];
        for tile in tiles(c.len()) {
            let z = gates.sums(k, &tile, x, &h[..self.hidden], &mut sums);
            for (panel, z) in tile.zip(z.as_chunks_mut::<4>().0) {
                let (c, [p_i, p_f, p_o]) = (&mut c[panel], &peepholes[panel]);
                let [i, f, g, o] = z;
                for u in 0..LANES {
                    i[u] += p_i[u] * c[u];
                    f[u] += p_f[u] * c[u];
                }
                k.sigmoid_f32(core::slice::from_mut(i));
                k.sigmoid_f32(core::slice::from_mut(f));
                k.tanh_f32(core::slice::from_mut(g));
                for u in 0..LANES {
                    c[u] = f[u] * c[u] + i[u] * g[u];
                    o[u] += p_o[u] * c[u];
                }
                k.sigmoid_f32(core::slice::from_mut(o));
                let mut t = *c;
                k.tanh_f32(core::slice::from_mut(&mut t));
                y[panel] = core::array::from_fn(|u| o[u] * t[u]);
            }
        }
        h.copy_from_slice(y.as_flattened());
    }

    /// One step in integers; the new hidden state goes to `y` (2^-12).
    pub(crate) fn step_q(&self, k: &Kernels, x: Inputs<'_>, state: LayerState<'_>) {
        match (&self.gates, self.peepholes) {
            (AnyGates::Integer(gates), Weights::Integer(peepholes)) => {
                self.step_with::<false>((gates, peepholes), k, x, state);
            }
            (AnyGates::Slow(gates), Weights::Integer(peepholes)) => {
                self.step_with::<true>((gates, peepholes), k, x, state);
            }
            _ => {}
        }
    }

    fn step_with<const SLOW: bool>(
        &self,
        (gates, peepholes): (&GatesQ<'_>, &[Peepholes<i32>]),
        k: &Kernels,
        x: Inputs<'_>,
        mut state: LayerState<'_>,
    ) {
        let tables = tables(self.format);
        let columns = self.format.columns(self.hidden);
        let gates = gates.rows(state.units(), [x.columns(), columns]);
        let (master, old, y) = state.parts(columns);
        let mut space = [[0; LANES]; MAX_PANELS];
        for tile in tiles(master.len()) {
            let z = gates.preactivations(k, &tile, x, old, &mut space);
            for (panel, z) in tile.zip(z.as_chunks_mut::<4>().0) {
                let (c, [p_i, p_f, p_o]) = (&mut master[panel], &peepholes[panel]);
                let see = |z: &mut Panel<i16>, c: &Panel<i32>, p: &Panel<i32>| {
                    *z =
                        core::array::from_fn(|u| saturate16(z[u] as i32 + mulhi_round(p[u], c[u])));
                };
                see(&mut z[0], c, p_i);
                see(&mut z[1], c, p_f);
                let mut gates = [[0; LANES]; 4];
                let (input, rest) = gates.split_at_mut(2);
                if SLOW {
                    z[2] = z[2].map(double);
                } else {
                    k.sigmoid_q(input, &z[..2], tables);
                }
                k.tanh_q(&mut rest[..1], &z[2..3], tables);
                let [i, f, g, _] = &gates;
                *c = core::array::from_fn(|u| {
                    if SLOW {
                        let [[i, _], [f, _]] = [gate(z[0][u]), gate(z[1][u])];
                        return accumulate(c[u], f, i, g[u], self.cell_shift);
                    }
                    let kept = mulhi_round(f[u], c[u]).wrapping_mul(2);
                    let new = mulhi_round(i[u], g[u]) >> (3 + self.cell_shift);
                    saturate::<30>(kept.wrapping_add(new))
                });
                see(&mut z[3], c, p_o);
                if SLOW {
                    z[3] = z[3].map(double);
                }
                z[2] = c.map(|c| saturate16(c >> (15 - self.cell_shift)));
                let [t, o, ..] = &mut gates;
                k.tanh_q(core::slice::from_mut(t), &z[2..3], tables);
                k.sigmoid_q(core::slice::from_mut(o), &z[3..], tables);
                y[panel] =
                    core::array::from_fn(|u| shift_round(mulhi_round(o[u], t[u]), 18) as i16);
            }
        }
        state.publish();
    }
}
