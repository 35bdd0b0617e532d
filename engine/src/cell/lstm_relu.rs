//! LSTM with `max(0, ·)` in place of both hyperbolic tangents, as Keras' `activation="relu"` has it:
//!
//! ```text
//! i = σ(W_ii x + W_hi h + b_i)           c' = f ⊙ c + i ⊙ g
//! f = σ(W_if x + W_hf h + b_f)           h' = o ⊙ max(0, c')
//! g = max(0, W_ig x + W_hg h + b_g)
//! o = σ(W_io x + W_ho h + b_o)
//! ```
//!
//! The gates of a panel of units lie side by side, `i, f, g, o`. Nothing bounds cells and states but the weights. In integers a state
//! is held below 4 and a candidate below 8; the exporter scales weights so that the values met in calibration stay inside.

//!
//! It is a variant of [`Lstm`](super::lstm::Lstm), so that all but its units is there once.

use super::layer::{Numbers, UnitsQ};
use super::{Stream, each_unit};
use crate::kernel::{Curve, Kernels, LANES, Panel};
use crate::num::{mulhi_round, saturate, shift_round};
use core::ops::Range;

/// A tile of units in f32.
pub(super) fn update(
    k: &Kernels,
    stream: &mut Stream<'_>,
    tile: Range<usize>,
    z: &mut [Panel<f32>],
) {
    for (panel, z) in tile.zip(z.as_chunks_mut::<4>().0) {
        let [i, f, g, o] = z;
        for gate in [&mut *i, &mut *f, &mut *o] {
            k.curve_f(Curve::Sigmoid, core::slice::from_mut(gate));
        }
        let c = &mut stream.c[panel];
        *c = core::array::from_fn(|u| f[u] * c[u] + i[u] * g[u].max(0.0));
        stream.y[panel] = core::array::from_fn(|u| o[u] * c[u].max(0.0));
    }
}

/// A tile of units in integers.
pub(super) fn update_q(k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &[Panel<i16>]) {
    let Numbers {
        tables, cell_shift, ..
    } = numbers;
    let units = units.master.iter_mut().zip(units.y);
    for ((c, y), z) in units.zip(z.as_chunks::<4>().0) {
        let mut gates = [[0; LANES]; 3];
        let (both, last) = gates.split_at_mut(2);
        k.curve_q(Curve::Sigmoid, both, &z[..2], tables);
        k.curve_q(Curve::Sigmoid, last, &z[3..], tables);
        let [i, f, o] = &gates;
        each_unit(c, |u, c| {
            // 2^-28, so that its product with a gate has the unit of the smallest cells.
            let g = (z[2][u].max(0) as i32) << 16;
            let kept = mulhi_round(f[u], c).wrapping_mul(2);
            saturate::<30>(kept.wrapping_add(mulhi_round(i[u], g) >> cell_shift))
        });
        each_unit(y, |u, _| {
            let open = mulhi_round(o[u], c[u].max(0));
            saturate::<14>(shift_round(open, 14 - cell_shift as u32)) as i16
        });
    }
}
