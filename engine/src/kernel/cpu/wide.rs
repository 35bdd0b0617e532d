//! The portable SIMD table, on the `wide` crate: SSE2, AVX2, NEON or simd128, whatever the build
//! was compiled for.
//!
//! Kept out of the corners in which `wide` differs between targets: the rounded 16-bit product never
//! sees MIN · MIN (its left side is a gate, which is not negative), a pair of products never overflows (one
//! factor is an `i8`), and multiply-add is never fused. Table look-ups are scalar, since `wide` has no gather.

use crate::kernel::definition::{SCALAR, products, steps};
use crate::kernel::table::Table;
use crate::kernel::{BLOCK, Curve, Inputs, IntMatrix, LANES, Panel, Panels, StateF};
use crate::num::{self, Tables};
use half::f16;
use wide::{f32x8, i8x16, i16x8, i16x16, i32x8};

pub(in crate::kernel) const WIDE: Table = Table {
    name: "wide",
    product,
    gates_q: steps::gates,
    requant,
    curve_q,
    update_q,
    ..FLOATS
};

/// NEON of ARMv7 flushes subnormal floats to zero, so there the compiler keeps what scalar code gives.
const FLOATS: Table = if cfg!(target_arch = "arm") {
    SCALAR
} else {
    Table {
        float_product,
        curve_f,
        update_f,
        ..SCALAR
    }
};

float_product! {}

fn gemv_f32(sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        let mut total = f32x8::from(*sum);
        for (column, &x) in w.as_chunks().0.iter().zip(x) {
            total += f32x8::from(*column) * f32x8::splat(x);
        }
        *sum = total.to_array();
    }
}

fn gemv_f16(sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        let mut total = f32x8::from(*sum);
        for (column, &x) in w.as_chunks::<LANES>().0.iter().zip(x) {
            total += widen(*column) * f32x8::splat(x);
        }
        *sum = total.to_array();
    }
}

/// [`num::float::widen`] in every lane.
#[inline(always)]
fn widen(halves: [f16; LANES]) -> f32x8 {
    // In the upper half of a lane, where the sign is in place.
    let bits: i32x8 = i32x8::from_i16x8(bytemuck::cast(halves)) << 16;
    let magnitude = bits & i32x8::splat(i32::MAX);
    let bias = i32x8::splat(112 << 23);
    let special = magnitude.simd_gt(i32x8::splat(0x7bff_ffff)) & bias;
    let normal = (magnitude >> 3) + bias + special;
    let half: f32x8 = bytemuck::cast((magnitude >> 16) | i32x8::splat(0x3f00_0000));
    let subnormal = bytemuck::cast(half - f32x8::splat(0.5));
    let is_normal = magnitude.simd_gt(i32x8::splat(0x03ff_ffff));
    bytemuck::cast(is_normal.select(normal, subnormal) | (bits ^ magnitude))
}

/// The four inputs of a block, once per row of half a panel.
#[inline(always)]
fn repeat(x: [i16; BLOCK]) -> i16x16 {
    let [a, b, c, d] = x;
    i16x16::new([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d])
}

pub(super) fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv_int(sums, w, x, panels),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv_int(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I8(x)) => gemv_w4(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I16(x)) => gemv_w4(sums, w, x, panels),
        (w, x) => products::product(sums, w, x, panels),
    }
}

#[inline]
fn gemv_int<X: Copy + Into<i16>>(sums: &mut [Panel<i32>], w: &[i8], x: &[X], panels: Panels) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        // Lanes 2r and 2r + 1 each hold half of row r's sum.
        let (mut upper, mut lower) = (i32x8::ZERO, i32x8::ZERO);
        for (block, x) in w.as_chunks::<16>().0.chunks_exact(2).zip(x.as_chunks().0) {
            let x = repeat(x.map(Into::into));
            upper += i16x16::from_i8x16(i8x16::from(block[0])).dot(x);
            lower += i16x16::from_i8x16(i8x16::from(block[1])).dot(x);
        }
        let sum = &mut sums[panels.place(panel)];
        *sum = (i32x8::from(*sum) + add_pairs(upper, lower)).to_array();
    }
}

/// The two halves of each row's sum: neighbours, rows 0 to 3 in `upper` and 4 to 7 in `lower`.
#[inline(always)]
fn add_pairs(upper: i32x8, lower: i32x8) -> i32x8 {
    let halves = [upper, lower].map(i32x8::to_array);
    let half = |odd: usize| -> Panel<i32> {
        core::array::from_fn(|row| halves[row / 4][2 * (row % 4) + odd])
    };
    i32x8::from(half(0)) + i32x8::from(half(1))
}

#[inline]
fn gemv_w4<X: Copy + Into<i16>>(sums: &mut [Panel<i32>], w: &[u8], x: &[X], panels: Panels) {
    let (mask, eight) = (i16x16::splat(0x0f), i16x16::splat(8));
    for (panel, w) in w.chunks_exact(LANES * x.len() / 2).enumerate() {
        // As in `gemv_int`.
        let (mut upper, mut lower) = (i32x8::ZERO, i32x8::ZERO);
        let halves = w.as_chunks::<16>().0.as_chunks::<2>().0;
        for (halves, x) in halves
            .iter()
            .zip(x.as_chunks::<BLOCK>().0.as_chunks::<2>().0)
        {
            let [even, odd] = x.map(|x| repeat(x.map(Into::into)));
            for (half, total) in halves.iter().zip([&mut upper, &mut lower]) {
                let w = i16x16::from_i8x16(bytemuck::cast(*half));
                let high: i16x16 = w >> 4;
                *total += ((w & mask) - eight).dot(even);
                *total += ((high & mask) - eight).dot(odd);
            }
        }
        let sum = &mut sums[panels.place(panel)];
        *sum = (i32x8::from(*sum) + add_pairs(upper, lower)).to_array();
    }
}

/// [`num::mulhi_round`] in every lane: rounding carries exactly when the top bit of the low half is set.
#[inline(always)]
fn mulhi_round(a: i32x8, b: i32x8) -> i32x8 {
    let (low, high) = a.mul_keep_low_high(b);
    let carry = low >> 31;
    high + bytemuck::cast::<_, i32x8>(carry)
}

fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
    for (z, (&sum, &m)) in z.iter_mut().zip(sums.iter().zip(m)) {
        let product = mulhi_round(i32x8::from(sum) << shift as u32, i32x8::from(m));
        *z = i16x8::from_i32x8_saturate(product).to_array();
    }
}

/// Interpolated look-up of eight lanes, in Q31.
#[inline(always)]
fn lookup(entries: &[i32], bits: u32, z: &Panel<i16>) -> i32x8 {
    let entry = i32x8::from(z.map(|z| entries[(z as u16 >> (16 - bits)) as usize]));
    let delta = (entry << 16) >> 16;
    let fraction = i32x8::from_i16x8(i16x8::from(*z)) & i32x8::splat((1 << (16 - bits)) - 1);
    entry + ((delta * fraction) << bits)
}

fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    let (entries, bits) = (curve.entries(tables), tables.bits());
    for (y, z) in y.iter_mut().zip(z) {
        *y = lookup(entries, bits, z).to_array();
    }
}

update_q! {}

fn lstm(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    let (low, high) = (i32x8::splat(-(1 << 30)), i32x8::splat((1 << 30) - 1));
    for ((c, y), z) in c.iter_mut().zip(y).zip(z.as_chunks::<4>().0) {
        let i = lookup(tables.sigmoid_entries(), tables.bits(), &z[0]);
        let f = lookup(tables.sigmoid_entries(), tables.bits(), &z[1]);
        let g = lookup(tables.tanh_entries(), tables.bits(), &z[2]);
        let o = lookup(tables.sigmoid_entries(), tables.bits(), &z[3]);
        let kept: i32x8 = mulhi_round(f, i32x8::from(*c)) << 1;
        let new: i32x8 = mulhi_round(i, g) >> (3 + cell_shift as u32);
        let cell = (kept + new).max(low).min(high);
        let depth = i16x8::from_i32x8_saturate(cell >> (15 - cell_shift as u32));
        let t = lookup(tables.tanh_entries(), tables.bits(), &depth.to_array());
        let out = (mulhi_round(o, t) + i32x8::splat(1 << 17)) >> 18;
        *c = cell.to_array();
        *y = i16x8::from_i32x8_saturate(out).to_array();
    }
}

fn gru(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (h, [nx, r, z, nh]) in h.iter_mut().zip(z.as_chunks().0) {
        let r = lookup(tables.sigmoid_entries(), tables.bits(), r) >> 16;
        let r = i16x8::from_i32x8_saturate(r);
        let recurrent = r.mul_scale_round(i16x8::from(*nh));
        let candidate = i16x8::from(*nx).saturating_add(recurrent);
        let n: i32x8 = lookup(tables.tanh_entries(), tables.bits(), &candidate.to_array()) >> 2;
        let z = lookup(tables.sigmoid_entries(), tables.bits(), z);
        let difference = i32x8::from(*h) - n;
        let kept: i32x8 = mulhi_round(z, difference) << 1;
        *h = (n + kept).to_array();
    }
}

/// `x` within ±`limit`; NaN stays NaN, as in `f32::clamp`. On x86 a minimum or maximum with a NaN is the
/// second operand, in wasm the first, on NEON NaN: the order spares the NaN tests of `min` and `max`.
#[inline(always)]
fn clamp(x: f32x8, limit: f32x8) -> f32x8 {
    if cfg!(target_arch = "wasm32") {
        x.fast_max(-limit).fast_min(limit)
    } else {
        limit.fast_min((-limit).fast_max(x))
    }
}

/// [`num::tanh`], operation by operation.
#[inline(always)]
fn tanh(x: f32x8) -> f32x8 {
    let x = clamp(x, f32x8::splat(num::float::TANH_CLAMP));
    let s = x * x;
    let [a1, a3, a5, a7, a9, a11, a13] = num::float::TANH_NUMERATOR.map(f32x8::splat);
    let p = (((((a13 * s + a11) * s + a9) * s + a7) * s + a5) * s + a3) * s + a1;
    let [b0, b2, b4, b6] = num::float::TANH_DENOMINATOR.map(f32x8::splat);
    let q = ((b6 * s + b4) * s + b2) * s + b0;
    x * p / q
}

#[inline(always)]
fn sigmoid(x: f32x8) -> f32x8 {
    let half = f32x8::splat(0.5);
    half * tanh(half * x) + half
}

fn curve_f(curve: Curve, z: &mut [Panel<f32>]) {
    match curve {
        Curve::Tanh => z
            .iter_mut()
            .for_each(|z| *z = tanh(f32x8::from(*z)).to_array()),
        Curve::Sigmoid => z
            .iter_mut()
            .for_each(|z| *z = sigmoid(f32x8::from(*z)).to_array()),
    }
}

fn update_f(state: StateF<'_>, y: &mut [Panel<f32>], z: &[Panel<f32>]) {
    match state {
        StateF::Lstm(c) => lstm_f(c, y, z),
        StateF::Gru(h) => gru_f(y, h, z),
    }
}

fn lstm_f(c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
    for ((c, h), z) in c.iter_mut().zip(h).zip(z.as_chunks().0) {
        let [i, f, g, o] = z.map(f32x8::from);
        let cell = sigmoid(f) * f32x8::from(*c) + sigmoid(i) * tanh(g);
        *h = (sigmoid(o) * tanh(cell)).to_array();
        *c = cell.to_array();
    }
}

fn gru_f(next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
    for ((next, h), z) in next.iter_mut().zip(h).zip(z.as_chunks().0) {
        let [nx, r, z, nh] = z.map(f32x8::from);
        let n = tanh(nx + sigmoid(r) * nh);
        *next = (n + sigmoid(z) * (f32x8::from(*h) - n)).to_array();
    }
}
