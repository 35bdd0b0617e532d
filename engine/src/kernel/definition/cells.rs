//! What follows a product: requantization, activations, and the updates of a state.

use crate::kernel::{LANES, Panel};
use crate::num::{self, Tables, mulhi_round, saturate, saturate16, shift_round};

pub(in crate::kernel) fn requant(
    z: &mut [Panel<i16>],
    sums: &[Panel<i32>],
    m: &[Panel<i32>],
    shift: u8,
) {
    let lanes = sums.as_flattened().iter().zip(m.as_flattened());
    for (z, (&sum, &m)) in z.as_flattened_mut().iter_mut().zip(lanes) {
        *z = saturate16(mulhi_round(sum.wrapping_shl(shift as u32), m));
    }
}

#[inline(always)]
pub(in crate::kernel) fn tanh_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (y, &z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
        *y = tables.tanh(z);
    }
}

#[inline(always)]
pub(in crate::kernel) fn sigmoid_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (y, &z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
        *y = tables.sigmoid(z);
    }
}

#[inline(always)]
pub(in crate::kernel) fn lstm_q(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    for ((c, y), z) in c.iter_mut().zip(y).zip(z.as_chunks::<4>().0) {
        for unit in 0..LANES {
            let gates = z.each_ref().map(|gate| gate[unit]);
            y[unit] = lstm_unit(&mut c[unit], gates, tables, cell_shift);
        }
    }
}

/// Updates a cell by its gates `i, f, g, o`; gives the output (2^-12).
#[inline(always)]
pub(in crate::kernel) fn lstm_unit(
    c: &mut i32,
    gates: [i16; 4],
    tables: &Tables,
    cell_shift: u8,
) -> i16 {
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
pub(in crate::kernel) fn gru_q(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (h, z) in h.iter_mut().zip(z.as_chunks::<4>().0) {
        for unit in 0..LANES {
            let gates = z.each_ref().map(|gate| gate[unit]);
            gru_unit(&mut h[unit], gates, tables);
        }
    }
}

/// Updates a state (Q29) by `nx, r, z, nh`.
#[inline(always)]
pub(in crate::kernel) fn gru_unit(h: &mut i32, [nx, r, z, nh]: [i16; 4], tables: &Tables) {
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

pub(in crate::kernel) fn tanh_f32(z: &mut [Panel<f32>]) {
    for z in z.as_flattened_mut() {
        *z = num::tanh(*z);
    }
}

pub(in crate::kernel) fn sigmoid_f32(z: &mut [Panel<f32>]) {
    for z in z.as_flattened_mut() {
        *z = num::sigmoid(*z);
    }
}

pub(in crate::kernel) fn lstm_f32(c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
    for ((c, h), z) in c.iter_mut().zip(h).zip(z.as_chunks::<4>().0) {
        for unit in 0..LANES {
            let kept = num::sigmoid(z[1][unit]) * c[unit];
            c[unit] = kept + num::sigmoid(z[0][unit]) * num::tanh(z[2][unit]);
            h[unit] = num::sigmoid(z[3][unit]) * num::tanh(c[unit]);
        }
    }
}

pub(in crate::kernel) fn gru_f32(next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
    for ((next, h), gates) in next.iter_mut().zip(h).zip(z.as_chunks::<4>().0) {
        for unit in 0..LANES {
            let [nx, r, z, nh] = gates.each_ref().map(|gate| gate[unit]);
            let n = num::tanh(nx + num::sigmoid(r) * nh);
            next[unit] = n + num::sigmoid(z) * (h[unit] - n);
        }
    }
}
