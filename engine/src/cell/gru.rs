//! Gated recurrent unit that resets after the product, as PyTorch, Keras and cuDNN do:
//!
//! ```text
//! r = σ(W_ir x + W_hr h + b_r)
//! z = σ(W_iz x + W_hz h + b_z)
//! n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))
//! h' = n + z ⊙ (h − n)
//! ```
//!
//! The input's and the state's part of `n` need sums of their own: a panel of units has four sums, `n_x, r, z, n_h`; the
//! input's matrix fills the first three, the state's matrix the last three.
//!
//! With `max(0, ·)` in place of the hyperbolic tangent, as Keras' `activation="relu"` has it, a state is a mean of numbers from 0 on. In
//! integers it is held below 4; the exporter scales weights so that the values met in calibration stay inside. Gates may be hard.

use super::functions::Functions;
use super::layer::{Cell, Numbers, UnitsQ};
use super::{Gates, Stream, each_unit};
use crate::kernel::{CellF, CellQ, GateOrder, Kernels, LANES, Panel, blend, mix, update_tile};
use crate::num::{mulhi_round, saturate, saturate16, shift_round, slow};
use core::ops::Range;
use core::slice::from_mut;

/// A GRU that resets after the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gru(pub(super) OfGru);

/// What a GRU may have in place of its usual functions.
pub(super) type OfGru = Functions<{ cfg!(gru_relu) }, { cfg!(hard_gates) }>;

impl Cell for Gru {
    const ORDER: GateOrder = CellQ::Gru.order();

    #[inline(always)]
    fn primitive(&self, _: u8) -> Option<CellQ> {
        self.0.are_usual().then_some(CellQ::Gru)
    }

    #[inline(always)]
    fn primitive_f(&self) -> Option<CellF> {
        self.0.are_usual().then_some(CellF::Gru)
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
            update_tile(k, CellF::Gru, tile, stream.c, stream.h, stream.y, z);
        } else {
            other(k, self.0, stream, tile, z);
        }
    }

    /// Of a slow layer, or one with other functions: the usual one is a primitive.
    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        if !self.0.are_usual() {
            return other_q(k, self.0, numbers, units, z);
        }
        let tables = numbers.tables;
        for (master, [n_x, r, z, n_h]) in units.master.iter_mut().zip(z.as_chunks::<4>().0) {
            each_unit(master, |u, h| {
                let r = tables.sigmoid(slow::double(r[u]));
                // The high product of a Q31 gate is half the product: a pre-activation of 2^-12.
                let reset = mulhi_round(r, (n_h[u] as i32) << 2);
                let n = tables.tanh(saturate16(((n_x[u] as i32) << 1) + reset));
                slow::approach(h, slow::gate(z[u])[1], n)
            });
        }
    }
}

/// A tile of units with other functions in f32.
fn other(
    k: &Kernels,
    functions: OfGru,
    stream: &mut Stream<'_>,
    tile: Range<usize>,
    z: &mut [Panel<f32>],
) {
    for (panel, z) in tile.zip(z.as_chunks_mut::<4>().0) {
        functions.gates(k, &mut z[1..3]);
        let [n, r, z, n_h] = z;
        each_unit(n, |u, n| n + r[u] * n_h[u]);
        functions.candidates(k, from_mut(n));
        let h = &stream.h[panel];
        each_unit(&mut stream.y[panel], |u, _| n[u] + z[u] * (h[u] - n[u]));
    }
}

/// A tile of units with other functions in integers.
fn other_q(k: &Kernels, functions: OfGru, numbers: Numbers, units: UnitsQ<'_>, z: &[Panel<i16>]) {
    let tables = numbers.tables;
    for (master, z) in units.master.iter_mut().zip(z.as_chunks::<4>().0) {
        let mut gates = [[0; LANES]; 2];
        functions.gates_q(k, &mut gates, &z[1..3], tables);
        let ([n_x, _, _, n_h], [r, keep]) = (z, &gates);
        each_unit(master, |u, h| {
            let reset = shift_round((r[u] >> 16) * n_h[u] as i32, 15);
            let n = saturate16(n_x[u] as i32 + reset);
            if functions.is_relu() {
                mix(h, keep[u], saturate::<14>(n.max(0) as i32) << 17)
            } else {
                blend(h, keep[u], tables.tanh(n))
            }
        });
    }
}
