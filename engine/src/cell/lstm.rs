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

use super::functions::Functions;
use super::layer::{Cell, Numbers, UnitsQ};
use super::{Gates, Stream, lstm_other};
use crate::kernel::{CellF, CellQ, GateOrder, Kernels, LANES, Panel, update_tile};
use crate::num::slow::{accumulate, double, gate};
use crate::num::{mulhi_round, saturate16, shift_round};
use core::ops::Range;

/// An LSTM unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lstm(pub(super) Functions<{ cfg!(lstm_relu) }, { cfg!(hard_gates) }>);

impl Cell for Lstm {
    const ORDER: GateOrder = CellQ::Lstm { cell_shift: 0 }.order();
    const CELL: bool = true;

    #[inline(always)]
    fn primitive(&self, cell_shift: u8) -> Option<CellQ> {
        self.0.are_usual().then_some(CellQ::Lstm { cell_shift })
    }

    #[inline(always)]
    fn primitive_f(&self) -> Option<CellF> {
        self.0.are_usual().then_some(CellF::Lstm)
    }

    #[inline(always)]
    fn update(
        &self,
        k: &Kernels,
        _: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        if self.0.are_usual() {
            update_tile(k, CellF::Lstm, tile, stream.c, stream.h, stream.y, z);
        } else {
            lstm_other::update(k, self.0, stream, tile, z);
        }
    }

    /// Of a slow layer, or one with other functions: the usual one is a primitive.
    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        if !self.0.are_usual() {
            return lstm_other::update_q(k, self.0, numbers, units, z);
        }
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
                y[u] = output(o, t);
            }
        }
    }
}

/// `o t` of two numbers of Q31, as 2^-12.
#[inline(always)]
pub(super) fn output(o: i32, t: i32) -> i16 {
    shift_round(mulhi_round(o, t), 18) as i16
}
