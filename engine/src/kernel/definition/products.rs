//! Products: `sums += W x`.
//!
//! Float products come for one stream and for several: one matrix, a column of inputs and a column of sums per stream.
//! The definition of the latter is the product of each stream by itself, so that a stream's sums do not depend on its
//! neighbours. A table may load a weight once for several streams instead.

use crate::kernel::{BLOCK, Kernels, LANES, Panel, Panels, Streams};
use crate::num;
use half::f16;

pub(in crate::kernel) fn gemv_f32(sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
    gemv_float(sums, w, x, panels, |w| w);
}

pub(in crate::kernel) fn gemv_f16(sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
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

pub(in crate::kernel) fn gemv_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    gemv_int(sums, w, x, panels, i32::from);
}

pub(in crate::kernel) fn gemv_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    gemv_int(sums, w, x, panels, i32::from);
}

pub(in crate::kernel) fn gemv_u8a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    gemv_int(sums, w, x, panels, |w| w as i32 - 128);
}

pub(in crate::kernel) fn gemv_u8a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
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

pub(in crate::kernel) fn gemv_w4a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    gemv_w4(sums, w, x, panels);
}

pub(in crate::kernel) fn gemv_w4a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
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

pub(in crate::kernel) fn gemv_rows_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    gemv_rows(sums, w, x, panels);
}

pub(in crate::kernel) fn gemv_rows_a16(
    sums: &mut [Panel<i32>],
    w: &[i8],
    x: &[i16],
    panels: Panels,
) {
    gemv_rows(sums, w, x, panels);
}

pub(in crate::kernel) fn gemv_rows<X: Copy + Into<i32>>(
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

/// One stream after the other.
macro_rules! by_stream {
    ($gemm:ident, $gemv:ident, $weight:ty) => {
        pub(in crate::kernel) fn $gemm(
            k: &Kernels,
            sums: &mut [Panel<f32>],
            w: &[$weight],
            streams: Streams<'_>,
            panels: Panels,
        ) {
            for (stream, x) in streams.x.iter().enumerate() {
                k.$gemv(&mut sums[stream * streams.pitch..], w, x, panels);
            }
        }
    };
}

by_stream!(gemm_f32, gemv_f32, f32);
by_stream!(gemm_f16, gemv_f16, f16);
