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
//! integers it is held below 4; the exporter scales weights so that the values met in calibration stay inside.

use super::layer::{Cell, Numbers, UnitsQ};
use super::rectified::Rectified;
use super::{Gates, Stream, each_unit};
use crate::kernel::{CellF, CellQ, Curve, GateOrder, Kernels, LANES, Panel, mix, update_tile};
use crate::num::{mulhi_round, saturate, saturate16, shift_round, slow};
use core::ops::Range;

/// A GRU that resets after the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gru(pub(super) Rectified<{ cfg!(gru_relu) }>);

impl Cell for Gru {
    const ORDER: GateOrder = CellQ::Gru.order();

    #[inline(always)]
    fn primitive(&self, _: u8) -> Option<CellQ> {
        (!self.0.get()).then_some(CellQ::Gru)
    }

    #[inline(always)]
    fn primitive_f(&self) -> Option<CellF> {
        (!self.0.get()).then_some(CellF::Gru)
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
        if self.0.get() {
            rectified(k, stream, tile, z);
        } else {
            update_tile(k, CellF::Gru, tile, stream.c, stream.h, stream.y, z);
        }
    }

    /// Of a slow layer, or a rectified one: the other is a primitive.
    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        if self.0.get() {
            return rectified_q(k, numbers, units, z);
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

/// A tile of rectified units in f32.
fn rectified(k: &Kernels, stream: &mut Stream<'_>, tile: Range<usize>, z: &mut [Panel<f32>]) {
    for (panel, z) in tile.zip(z.as_chunks_mut::<4>().0) {
        k.curve_f(Curve::Sigmoid, &mut z[1..3]);
        let [n_x, r, z, n_h] = z;
        let h = &stream.h[panel];
        stream.y[panel] = core::array::from_fn(|u| {
            let n = (n_x[u] + r[u] * n_h[u]).max(0.0);
            n + z[u] * (h[u] - n)
        });
    }
}

/// A tile of rectified units in integers.
fn rectified_q(k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &[Panel<i16>]) {
    for (master, z) in units.master.iter_mut().zip(z.as_chunks::<4>().0) {
        let mut gates = [[0; LANES]; 2];
        k.curve_q(Curve::Sigmoid, &mut gates, &z[1..3], numbers.tables);
        let ([n_x, _, _, n_h], [r, keep]) = (z, &gates);
        each_unit(master, |u, h| {
            let reset = shift_round((r[u] >> 16) * n_h[u] as i32, 15);
            let n = saturate16(n_x[u] as i32 + reset).max(0) as i32;
            mix(h, keep[u], saturate::<14>(n) << 17)
        });
    }
}
