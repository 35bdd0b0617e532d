//! Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate):
//!
//! ```text
//! i = σ(W_ii x + W_hi h + b_i)      c' = f ⊙ c + i ⊙ g
//! f = σ(W_if x + W_hf h + b_f)      h' = o ⊙ tanh(c')
//! g = tanh(W_ig x + W_hg h + b_g)
//! o = σ(W_io x + W_ho h + b_o)
//! ```
//!
//! The four gates of a panel of units lie side by side: `i, f, g, o`.

use super::packed::{Packed, Record};
use super::{GATES, GateOrder, Gates, GatesQ, Spec, Stream, TILE, tables, tiles};
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::{Inputs, Kernels, LANES, LayerState, MAX_PANELS, Panel};
use crate::num::slow::{accumulate, double, gate};
use crate::num::{mulhi_round, saturate16, shift_round};

pub(super) const ORDER: GateOrder = GateOrder::new(4, 4, 4);

#[derive(Debug, Clone, Copy)]
enum Weights<'a> {
    Float(Gates<'a>),
    Integer(GatesQ<'a>),
    Slow(GatesQ<'a>),
    Packed(Packed<'a>),
}

/// An LSTM layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lstm<'a> {
    format: Format,
    pub(super) hidden: usize,
    cell_shift: u8,
    weights: Weights<'a>,
}

impl<'a> Lstm<'a> {
    #[inline(always)]
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        spec: Spec,
        cell_shift: u8,
    ) -> Result<Self, LoadError> {
        let weights = if spec.is_packed() {
            Weights::Packed(attempt!(Packed::take(t, spec, Record::Lstm)))
        } else if spec.format.is_integer() && spec.slow {
            Weights::Slow(attempt!(GatesQ::take(t, ORDER, spec)))
        } else if spec.format.is_integer() {
            Weights::Integer(attempt!(GatesQ::take(t, ORDER, spec)))
        } else {
            Weights::Float(attempt!(Gates::take(t, ORDER, spec)))
        };
        Ok(Lstm {
            format: spec.format,
            hidden: spec.hidden,
            cell_shift,
            weights,
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
        let Weights::Float(gates) = &self.weights else {
            return;
        };
        let mut sums = [[0.0; LANES]; GATES * TILE];
        for tile in tiles(c.len()) {
            let z = gates.sums(k, &tile, x, &h[..self.hidden], &mut sums);
            k.lstm_f32(&mut c[tile.clone()], &mut y[tile], z);
        }
        h.copy_from_slice(y.as_flattened());
    }

    /// One step in integers; the new hidden state goes to `y` (2^-12).
    #[inline(always)]
    pub(crate) fn step_q(
        &self,
        k: &Kernels,
        x: Inputs<'_>,
        mut state: LayerState<'_>,
        work: &mut [i32],
    ) {
        let gates = match &self.weights {
            Weights::Integer(gates) => gates,
            Weights::Packed(rows) => {
                let shift = self.cell_shift;
                return rows.step(k, Record::Lstm, x, state, (work, shift));
            }
            Weights::Slow(gates) => return self.step_slow(gates, k, x, state),
            Weights::Float(_) => return,
        };
        let columns = self.format.columns(self.hidden);
        let gates = &gates.rows(state.units(), [x.columns(), columns]);
        k.lstm_step_q(&mut state, gates, x, tables(self.format), self.cell_shift);
    }

    /// [`Self::step_q`] with gates up to ±16 (2^-11).
    fn step_slow(&self, gates: &GatesQ<'_>, k: &Kernels, x: Inputs<'_>, mut state: LayerState<'_>) {
        let tables = tables(self.format);
        let columns = self.format.columns(self.hidden);
        let gates = gates.rows(state.units(), [x.columns(), columns]);
        let (master, old, y) = state.parts(columns);
        let mut space = [[0; LANES]; MAX_PANELS];
        for tile in tiles(master.len()) {
            let z = gates.preactivations(k, &tile, x, old, &mut space);
            for (panel, [i, f, g, o]) in tile.zip(z.as_chunks::<4>().0) {
                let (c, y) = (&mut master[panel], &mut y[panel]);
                for u in 0..LANES {
                    let [[i, _], [f, _], [o, _]] = [i, f, o].map(|z| gate(z[u]));
                    let g = tables.tanh(double(g[u]));
                    c[u] = accumulate(c[u], f, i, g, self.cell_shift);
                    let t = tables.tanh(saturate16(c[u] >> (15 - self.cell_shift)));
                    y[u] = shift_round(mulhi_round(o, t), 18) as i16;
                }
            }
        }
        state.publish();
    }

    /// Whether [`Self::step_batch`] or [`Self::step_batch_q`] does this layer.
    pub(crate) fn in_batch(&self) -> bool {
        !matches!(self.weights, Weights::Packed(_) | Weights::Slow(_))
    }

    /// [`Self::step`] of several streams, but for the state as a matrix input.
    pub(crate) fn step_batch(&self, k: &Kernels, streams: &mut [Stream<'_>]) {
        if let Weights::Float(gates) = &self.weights {
            gates.step_batch(k, self.hidden, streams, |stream, tile, z| {
                k.lstm_f32(&mut stream.c[tile.clone()], &mut stream.y[tile], z);
            });
        }
    }

    /// [`Self::step_q`] of several streams.
    pub(crate) fn step_batch_q(
        &self,
        k: &Kernels,
        x: &[Inputs<'_>],
        states: &mut [LayerState<'_>],
    ) {
        if let Weights::Integer(gates) = &self.weights {
            let (Some(state), Some(first)) = (states.first(), x.first()) else {
                return;
            };
            let columns = self.format.columns(self.hidden);
            let gates = gates.rows(state.units(), [first.columns(), columns]);
            let tables = tables(self.format);
            k.lstm_batch_q(states, &gates, x, tables, self.cell_shift);
        }
    }
}
