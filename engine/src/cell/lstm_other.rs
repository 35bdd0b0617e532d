//! LSTM with other [`Functions`]. With `max(0, ·)` in place of both hyperbolic tangents, as Keras' `activation="relu"` has it:
//!
//! ```text
//! i = σ(W_ii x + W_hi h + b_i)           c' = f ⊙ c + i ⊙ g
//! f = σ(W_if x + W_hf h + b_f)           h' = o ⊙ max(0, c')
//! g = max(0, W_ig x + W_hg h + b_g)
//! o = σ(W_io x + W_ho h + b_o)
//! ```
//!
//! Nothing bounds its cells and states but the weights. In integers a state is held below 4 and a candidate below 8; the exporter scales
//! weights so that the values met in calibration stay inside. With hard gates all else is as in an LSTM.
//!
//! The gates of a panel of units lie side by side, `i, f, g, o`. These are variants of [`Lstm`](super::lstm::Lstm), so that all but
//! their units is there once.

use super::functions::Functions;
use super::layer::{Numbers, UnitsQ};
use super::lstm::output;
use super::{Stream, each_unit};
use crate::kernel::{Kernels, LANES, Panel};
use crate::num::{mulhi_round, saturate, saturate16, shift_round};
use core::ops::Range;
use core::slice::from_mut;

/// A tile of units in f32.
pub(super) fn update<const RELU: bool, const HARD: bool>(
    k: &Kernels,
    functions: Functions<RELU, HARD>,
    stream: &mut Stream<'_>,
    tile: Range<usize>,
    z: &mut [Panel<f32>],
) {
    for (panel, z) in tile.zip(z.as_chunks_mut::<4>().0) {
        functions.gates(k, &mut z[..2]);
        functions.candidates(k, &mut z[2..3]);
        functions.gates(k, &mut z[3..]);
        let [i, f, g, o] = z;
        let c = &mut stream.c[panel];
        each_unit(c, |u, c| f[u] * c + i[u] * g[u]);
        let mut t = *c;
        functions.candidates(k, from_mut(&mut t));
        each_unit(&mut stream.y[panel], |u, _| o[u] * t[u]);
    }
}

/// A tile of units in integers.
pub(super) fn update_q<const RELU: bool, const HARD: bool>(
    k: &Kernels,
    functions: Functions<RELU, HARD>,
    numbers: Numbers,
    units: UnitsQ<'_>,
    z: &[Panel<i16>],
) {
    let Numbers {
        tables, cell_shift, ..
    } = numbers;
    let units = units.master.iter_mut().zip(units.y);
    for ((c, y), z) in units.zip(z.as_chunks::<4>().0) {
        let mut gates = [[0; LANES]; 3];
        let (both, last) = gates.split_at_mut(2);
        functions.gates_q(k, both, &z[..2], tables);
        functions.gates_q(k, last, &z[3..], tables);
        let [i, f, o] = &gates;
        each_unit(c, |u, c| {
            let kept = mulhi_round(f[u], c).wrapping_mul(2);
            let new = if functions.is_relu() {
                // 2^-28, so that its product with a gate has the unit of the smallest cells.
                let g = (z[2][u].max(0) as i32) << 16;
                mulhi_round(i[u], g) >> cell_shift
            } else {
                mulhi_round(i[u], tables.tanh(z[2][u])) >> (3 + cell_shift)
            };
            saturate::<30>(kept.wrapping_add(new))
        });
        each_unit(y, |u, _| {
            if functions.is_relu() {
                let open = mulhi_round(o[u], c[u].max(0));
                return saturate::<14>(shift_round(open, 14 - cell_shift as u32)) as i16;
            }
            let t = tables.tanh(saturate16(c[u] >> (15 - cell_shift)));
            output(o[u], t)
        });
    }
}
