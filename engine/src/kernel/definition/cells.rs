//! What follows a product: requantization, activations, and the updates of a state.

use crate::kernel::{CellQ, Curve, LANES, Panel, StateF};
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
pub(in crate::kernel) fn curve_q(
    curve: Curve,
    y: &mut [Panel<i32>],
    z: &[Panel<i16>],
    tables: &Tables,
) {
    let each = y.as_flattened_mut().iter_mut().zip(z.as_flattened());
    match curve {
        Curve::Tanh => each.for_each(|(y, &z)| *y = tables.tanh(z)),
        Curve::Sigmoid => each.for_each(|(y, &z)| *y = tables.sigmoid(z)),
    }
}

#[inline(always)]
pub(in crate::kernel) fn update_q(
    cell: CellQ,
    master: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
) {
    let four = z.as_chunks::<4>().0;
    match cell {
        CellQ::Lstm { cell_shift } => {
            for ((c, y), z) in master.iter_mut().zip(y).zip(four) {
                for unit in 0..LANES {
                    let gates = z.each_ref().map(|gate| gate[unit]);
                    y[unit] = lstm_unit(&mut c[unit], gates, tables, cell_shift);
                }
            }
        }
        CellQ::Gru => {
            for (h, z) in master.iter_mut().zip(four) {
                for unit in 0..LANES {
                    let gates = z.each_ref().map(|gate| gate[unit]);
                    gru_unit(&mut h[unit], gates, tables);
                }
            }
        }
        CellQ::Rnn => {
            curve_q(Curve::Tanh, master, z, tables);
            quarter(master);
        }
    }
}

/// Q31 to Q29.
#[inline(always)]
pub(in crate::kernel) fn quarter(master: &mut [Panel<i32>]) {
    for master in master.as_flattened_mut() {
        *master >>= 2;
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
    mix(h, z, n >> 2)
}

/// [`blend`] with `n` in Q29, no further than 4 from `h`.
#[inline(always)]
pub(crate) fn mix(h: i32, z: i32, n: i32) -> i32 {
    n.wrapping_add(mulhi_round(z, h.wrapping_sub(n)).wrapping_mul(2))
}

pub(in crate::kernel) fn curve_f(curve: Curve, z: &mut [Panel<f32>]) {
    let each = z.as_flattened_mut().iter_mut();
    match curve {
        Curve::Tanh => each.for_each(|z| *z = num::tanh(*z)),
        Curve::Sigmoid => each.for_each(|z| *z = num::sigmoid(*z)),
    }
}

pub(in crate::kernel) fn update_f(state: StateF<'_>, y: &mut [Panel<f32>], z: &[Panel<f32>]) {
    match state {
        StateF::Lstm(c) => lstm(c, y, z),
        StateF::Gru(h) => gru(y, h, z),
    }
}

fn lstm(c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
    for ((c, h), z) in c.iter_mut().zip(h).zip(z.as_chunks::<4>().0) {
        for unit in 0..LANES {
            let kept = num::sigmoid(z[1][unit]) * c[unit];
            c[unit] = kept + num::sigmoid(z[0][unit]) * num::tanh(z[2][unit]);
            h[unit] = num::sigmoid(z[3][unit]) * num::tanh(c[unit]);
        }
    }
}

fn gru(next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
    for ((next, h), gates) in next.iter_mut().zip(h).zip(z.as_chunks::<4>().0) {
        for unit in 0..LANES {
            let [nx, r, z, nh] = gates.each_ref().map(|gate| gate[unit]);
            let n = num::tanh(nx + num::sigmoid(r) * nh);
            next[unit] = n + num::sigmoid(z) * (h[unit] - n);
        }
    }
}
