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

use super::layer::{Cell, Numbers, UnitsQ};
use crate::kernel::{CellF, CellQ, GateOrder, Kernels, Panel};
use crate::num::{mulhi_round, saturate16, slow};

/// A GRU that resets after the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gru;

impl Cell for Gru {
    const ORDER: GateOrder = CellQ::Gru.order();

    #[inline(always)]
    fn primitive(&self, _: u8) -> Option<CellQ> {
        Some(CellQ::Gru)
    }

    #[inline(always)]
    fn primitive_f(&self) -> Option<CellF> {
        Some(CellF::Gru)
    }

    /// Of a slow layer: the other is a primitive.
    fn update_q(&self, _: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let tables = numbers.tables;
        for (master, [n_x, r, z, n_h]) in units.master.iter_mut().zip(z.as_chunks::<4>().0) {
            *master = core::array::from_fn(|u| {
                let r = tables.sigmoid(slow::double(r[u]));
                // The high product of a Q31 gate is half the product: a pre-activation of 2^-12.
                let reset = mulhi_round(r, (n_h[u] as i32) << 2);
                let n = tables.tanh(saturate16(((n_x[u] as i32) << 1) + reset));
                slow::approach(master[u], slow::gate(z[u])[1], n)
            });
        }
    }
}
