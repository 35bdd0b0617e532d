//! The definition of every primitive: plain loops, no tricks.
//!
//! Sums wrap. A file from the exporter cannot overflow (it proves so from the weights), and for any
//! other file wrapping is the same everywhere and never a panic.

use super::{BLOCK, LANES, Panel, Panels, Table, gemm, packed, step};
use crate::num::{self, Tables, mulhi_round, saturate, saturate16, shift_round};
use half::f16;

pub(super) const SCALAR: Table = Table {
    name: "scalar",
    gemv_f32,
    gemv_f16,
    gemv_a8,
    gemv_a16,
    gemv_u8a8,
    gemv_u8a16,
    gemv_w4a8,
    gemv_w4a16,
    gemv_rows_a8,
    gemv_rows_a16,
    gates_q: super::gates::compose,
    requant,
    tanh_q,
    sigmoid_q,
    lstm_q,
    gru_q,
    lstm_step_q: step::lstm,
    gru_step_q: step::gru,
    rnn_step_q: step::rnn,
    lstm_batch_q: step::lstm_batch,
    gru_batch_q: step::gru_batch,
    rnn_batch_q: step::rnn_batch,
    gemm_f32: gemm::gemm_f32,
    gemm_f16: gemm::gemm_f16,
    lstm_a8: packed::lstm_a8,
    lstm_a16: packed::lstm_a16,
    gru_a8: packed::gru_a8,
    gru_a16: packed::gru_a16,
    rnn_a8: packed::rnn_a8,
    rnn_a16: packed::rnn_a16,
    tanh_f32,
    sigmoid_f32,
    lstm_f32,
    gru_f32,
};

pub(super) fn gemv_f32(sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
    gemv_float(sums, w, x, panels, |w| w);
}

pub(super) fn gemv_f16(sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
    gemv_float(sums, w, x, panels, num::float::widen);
}

fn gemv_float<W: Copy>(
    sums: &mut [Panel<f32>],
    w: &[W],
    x: &[f32],
    panels: Panels,
    widen: impl Fn(W) -> f32,
) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        for (column, &x) in w.chunks_exact(LANES).zip(x) {
            for (sum, &w) in sum.iter_mut().zip(column) {
                *sum += widen(w) * x;
            }
        }
    }
}

fn gemv_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    gemv_int(sums, w, x, panels, i32::from);
}

fn gemv_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    gemv_int(sums, w, x, panels, i32::from);
}

fn gemv_u8a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    gemv_int(sums, w, x, panels, |w| w as i32 - 128);
}

fn gemv_u8a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    gemv_int(sums, w, x, panels, |w| w as i32 - 128);
}

fn gemv_int<W: Copy, X: Copy + Into<i32>>(
    sums: &mut [Panel<i32>],
    w: &[W],
    x: &[X],
    panels: Panels,
    value: impl Fn(W) -> i32,
) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        for (block, x) in w.chunks_exact(LANES * BLOCK).zip(x.chunks_exact(BLOCK)) {
            for (sum, row) in sum.iter_mut().zip(block.chunks_exact(BLOCK)) {
                for (&w, &x) in row.iter().zip(x) {
                    *sum = sum.wrapping_add(value(w) * x.into());
                }
            }
        }
    }
}

fn gemv_w4a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    gemv_w4(sums, w, x, panels);
}

fn gemv_w4a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    gemv_w4(sums, w, x, panels);
}

fn gemv_w4<X: Copy + Into<i32>>(sums: &mut [Panel<i32>], w: &[u8], x: &[X], panels: Panels) {
    for (panel, w) in w.chunks_exact(LANES * x.len() / 2).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        let blocks = x.chunks_exact(2 * BLOCK).map(|x| x.split_at(BLOCK));
        for (bytes, (even, odd)) in w.chunks_exact(LANES * BLOCK).zip(blocks) {
            for (sum, row) in sum.iter_mut().zip(bytes.chunks_exact(BLOCK)) {
                for (&w, (&even, &odd)) in row.iter().zip(even.iter().zip(odd)) {
                    let (low, high) = ((w & 15) as i32 - 8, (w >> 4) as i32 - 8);
                    *sum = sum.wrapping_add(low * even.into() + high * odd.into());
                }
            }
        }
    }
}

fn gemv_rows_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    gemv_rows(sums, w, x, panels);
}

fn gemv_rows_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    gemv_rows(sums, w, x, panels);
}

pub(super) fn gemv_rows<X: Copy + Into<i32>>(
    sums: &mut [Panel<i32>],
    w: &[i8],
    x: &[X],
    panels: Panels,
) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        for (sum, row) in sum.iter_mut().zip(w.chunks_exact(x.len())) {
            for (&w, &x) in row.iter().zip(x) {
                *sum = sum.wrapping_add(w as i32 * x.into());
            }
        }
    }
}

fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
    let lanes = sums.as_flattened().iter().zip(m.as_flattened());
    for (z, (&sum, &m)) in z.as_flattened_mut().iter_mut().zip(lanes) {
        *z = saturate16(mulhi_round(sum.wrapping_shl(shift as u32), m));
    }
}

#[inline(always)]
pub(super) fn tanh_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (y, &z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
        *y = tables.tanh(z);
    }
}

#[inline(always)]
pub(super) fn sigmoid_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (y, &z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
        *y = tables.sigmoid(z);
    }
}

#[inline(always)]
pub(super) fn lstm_q(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    for ((c, y), z) in c.iter_mut().zip(y).zip(z.chunks_exact(4)) {
        for unit in 0..LANES {
            let gates = [0, 1, 2, 3].map(|gate| z[gate][unit]);
            y[unit] = lstm_unit(&mut c[unit], gates, tables, cell_shift);
        }
    }
}

/// Updates a cell by its gates `i, f, g, o`; gives the output (2^-12).
#[inline(always)]
pub(super) fn lstm_unit(c: &mut i32, gates: [i16; 4], tables: &Tables, cell_shift: u8) -> i16 {
    let i = tables.sigmoid(gates[0]);
    let f = tables.sigmoid(gates[1]);
    let g = tables.tanh(gates[2]);
    let o = tables.sigmoid(gates[3]);
    // The high product of a Q31 gate is half the product.
    let kept = mulhi_round(f, *c).wrapping_mul(2);
    let new = mulhi_round(i, g) >> (3 + cell_shift);
    *c = saturate::<30>(kept.wrapping_add(new));
    let t = tables.tanh(saturate16(*c >> (15 - cell_shift)));
    shift_round(mulhi_round(o, t), 18) as i16
}

#[inline(always)]
pub(super) fn gru_q(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (h, z) in h.iter_mut().zip(z.chunks_exact(4)) {
        for unit in 0..LANES {
            let gates = [0, 1, 2, 3].map(|gate| z[gate][unit]);
            gru_unit(&mut h[unit], gates, tables);
        }
    }
}

/// Updates a state (Q29) by `nx, r, z, nh`.
#[inline(always)]
pub(super) fn gru_unit(h: &mut i32, [nx, r, z, nh]: [i16; 4], tables: &Tables) {
    let r = tables.sigmoid(r) >> 16;
    let n = tables.tanh(saturate16(nx as i32 + shift_round(r * nh as i32, 15)));
    *h = blend(*h, tables.sigmoid(z), n);
}

/// `n + z (h − n)`: gates `z`, `n` in Q31, state in Q29.
#[inline(always)]
pub(crate) fn blend(h: i32, z: i32, n: i32) -> i32 {
    let n = n >> 2;
    n.wrapping_add(mulhi_round(z, h.wrapping_sub(n)).wrapping_mul(2))
}

pub(super) fn tanh_f32(z: &mut [Panel<f32>]) {
    for z in z.as_flattened_mut() {
        *z = num::tanh(*z);
    }
}

pub(super) fn sigmoid_f32(z: &mut [Panel<f32>]) {
    for z in z.as_flattened_mut() {
        *z = num::sigmoid(*z);
    }
}

fn lstm_f32(c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
    for ((c, h), z) in c.iter_mut().zip(h).zip(z.chunks_exact(4)) {
        for unit in 0..LANES {
            let kept = num::sigmoid(z[1][unit]) * c[unit];
            c[unit] = kept + num::sigmoid(z[0][unit]) * num::tanh(z[2][unit]);
            h[unit] = num::sigmoid(z[3][unit]) * num::tanh(c[unit]);
        }
    }
}

fn gru_f32(next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
    for ((next, h), gates) in next.iter_mut().zip(h).zip(z.chunks_exact(4)) {
        for unit in 0..LANES {
            let [nx, r, z, nh] = [0, 1, 2, 3].map(|gate| gates[gate][unit]);
            let n = num::tanh(nx + num::sigmoid(r) * nh);
            next[unit] = n + num::sigmoid(z) * (h[unit] - n);
        }
    }
}
