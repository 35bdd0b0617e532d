//! LSTM whose input gate is what the forget gate leaves (Greff et al. 2017): three products instead of four.
//!
//! ```text
//! f = σ(W_if x + W_hf h + b_f)      c' = f ⊙ c + (1 − f) ⊙ g
//! g = tanh(W_ig x + W_hg h + b_g)   h' = o ⊙ tanh(c')
//! o = σ(W_io x + W_ho h + b_o)
//! ```
//!
//! The gates of a panel of units lie side by side: `f, g, o`. A cell is a mean of candidates and never leaves ±1,
//! so in integers it is Q29 as a GRU's state, and blended as that one.

use super::{AnyGates, GATES, GateOrder, GatesQ, Spec, TILE, tables, tiles};
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::{Inputs, Kernels, LANES, LayerState, MAX_PANELS, Panel, blend};
use crate::num::slow::{approach, double, gate};
use crate::num::{mulhi_round, shift_round};

const ORDER: GateOrder = GateOrder::new(3, 3, 3);

/// A layer of LSTM units with coupled gates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coupled<'a> {
    format: Format,
    pub(super) hidden: usize,
    gates: AnyGates<'a>,
}

impl<'a> Coupled<'a> {
    #[inline(always)]
    pub(crate) const fn take(t: &mut Tensors<'a>, spec: Spec) -> Result<Self, LoadError> {
        Ok(Coupled {
            format: spec.format,
            hidden: spec.hidden,
            gates: attempt!(AnyGates::take(t, ORDER, spec)),
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
        let AnyGates::Float(gates) = &self.gates else {
            return;
        };
        let mut sums = [[0.0; LANES]; GATES * TILE];
        for tile in tiles(c.len()) {
            let z = gates.sums(k, &tile, x, &h[..self.hidden], &mut sums);
            for (panel, z) in tile.zip(z.as_chunks_mut::<3>().0) {
                let [f, g, o] = z;
                k.sigmoid_f32(core::slice::from_mut(f));
                k.tanh_f32(core::slice::from_mut(g));
                k.sigmoid_f32(core::slice::from_mut(o));
                let c = &mut c[panel];
                *c = core::array::from_fn(|u| g[u] + f[u] * (c[u] - g[u]));
                let mut t = *c;
                k.tanh_f32(core::slice::from_mut(&mut t));
                y[panel] = core::array::from_fn(|u| o[u] * t[u]);
            }
        }
        h.copy_from_slice(y.as_flattened());
    }

    /// One step in integers; the new hidden state goes to `y` (2^-12).
    pub(crate) fn step_q(&self, k: &Kernels, x: Inputs<'_>, state: LayerState<'_>) {
        match &self.gates {
            AnyGates::Integer(gates) => self.step_with::<false>(gates, k, x, state),
            AnyGates::Slow(gates) => self.step_with::<true>(gates, k, x, state),
            AnyGates::Float(_) => {}
        }
    }

    fn step_with<const SLOW: bool>(
        &self,
        gates: &GatesQ<'_>,
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
            for (panel, z) in tile.zip(z.as_chunks_mut::<3>().0) {
                let mut gates = [[0; LANES]; 3];
                let [f, g, o] = &mut gates;
                if SLOW {
                    z[1..]
                        .as_flattened_mut()
                        .iter_mut()
                        .for_each(|z| *z = double(*z));
                } else {
                    k.sigmoid_q(core::slice::from_mut(f), &z[..1], tables);
                }
                k.tanh_q(core::slice::from_mut(g), &z[1..2], tables);
                k.sigmoid_q(core::slice::from_mut(o), &z[2..], tables);
                let c = &mut master[panel];
                *c = core::array::from_fn(|u| {
                    if SLOW {
                        approach(c[u], gate(z[0][u])[1], g[u])
                    } else {
                        blend(c[u], f[u], g[u])
                    }
                });
                // Q29 to 2^-12.
                z[0] = c.map(|c| (c >> 17) as i16);
                let mut t = [[0; LANES]];
                k.tanh_q(&mut t, &z[..1], tables);
                y[panel] =
                    core::array::from_fn(|u| shift_round(mulhi_round(o[u], t[0][u]), 18) as i16);
            }
        }
        state.publish();
    }
}
