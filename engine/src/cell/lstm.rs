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

use super::layer::{Cell, Numbers, UnitsQ, walk_q};
use super::packed::Record;
use super::{Gates, Stream};
use crate::kernel::{GateOrder, GateRows, Inputs, Kernels, LANES, LayerState, Panel};
use crate::num::slow::{accumulate, double, gate};
use crate::num::{mulhi_round, saturate16, shift_round};
use core::ops::Range;

/// An LSTM unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lstm;

impl Cell for Lstm {
    const ORDER: GateOrder = GateOrder::new(4, 4, 4);
    const CELL: bool = true;
    const RECORD: Option<Record> = Some(Record::Lstm);

    fn update(
        &self,
        k: &Kernels,
        _: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        k.lstm_f32(&mut stream.c[tile.clone()], &mut stream.y[tile], z);
    }

    /// Of a slow layer: the other is a primitive.
    fn update_q(&self, _: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let Numbers {
            tables, cell_shift, ..
        } = numbers;
        let units = units.master.iter_mut().zip(units.y);
        for ((c, y), [i, f, g, o]) in units.zip(z.as_chunks::<4>().0) {
            for u in 0..LANES {
                let [[i, _], [f, _], [o, _]] = [i, f, o].map(|z| gate(z[u]));
                let g = tables.tanh(double(g[u]));
                c[u] = accumulate(c[u], f, i, g, cell_shift);
                let t = tables.tanh(saturate16(c[u] >> (15 - cell_shift)));
                y[u] = shift_round(mulhi_round(o, t), 18) as i16;
            }
        }
    }

    #[inline(always)]
    fn step_q(
        &self,
        k: &Kernels,
        numbers: Numbers,
        gates: &GateRows<'_>,
        x: Inputs<'_>,
        state: &mut LayerState<'_>,
        _: &mut [i32],
    ) {
        if numbers.slow {
            return walk_q(self, k, numbers, gates, x, state);
        }
        k.lstm_step_q(state, gates, x, numbers.tables, numbers.cell_shift);
    }

    fn batch_q(
        &self,
        k: &Kernels,
        numbers: Numbers,
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        states: &mut [LayerState<'_>],
    ) {
        if !numbers.slow {
            return k.lstm_batch_q(states, gates, x, numbers.tables, numbers.cell_shift);
        }
        for (state, &x) in states.iter_mut().zip(x) {
            walk_q(self, k, numbers, gates, x, state);
        }
    }
}
