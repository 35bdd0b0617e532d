//! Products: `sums += W x`.
//!
//! Streams are multiplied one after the other, so that the sums of one do not depend on its neighbours. A table may load a
//! weight once for several instead.

use crate::kernel::{
    BLOCK, FloatMatrix, Inputs, IntMatrix, Kernels, LANES, Panel, Panels, Streams,
};
use crate::num::float::widen;

pub(in crate::kernel) fn float_product(
    sums: &mut [Panel<f32>],
    w: FloatMatrix<'_>,
    streams: Streams<'_>,
    panels: Panels,
) {
    for (stream, x) in streams.x.iter().enumerate() {
        let sums = &mut sums[stream * streams.pitch..];
        match w {
            FloatMatrix::F32(w) => by_columns(sums, w, x, panels, |w| w),
            FloatMatrix::F16(w) => by_columns(sums, w, x, panels, widen),
        }
    }
}

fn by_columns<W: Copy>(
    sums: &mut [Panel<f32>],
    w: &[W],
    x: &[f32],
    panels: Panels,
    value: impl Fn(W) -> f32,
) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        for (column, &x) in w.chunks_exact(LANES).zip(x) {
            for (sum, &w) in sum.iter_mut().zip(column) {
                *sum += value(w) * x;
            }
        }
    }
}

#[cfg_attr(one_table, inline(always))]
pub(in crate::kernel) fn product(
    sums: &mut [Panel<i32>],
    w: IntMatrix<'_>,
    x: Inputs<'_>,
    panels: Panels,
) {
    match x {
        Inputs::I8(x) => product_of(sums, w, x, panels),
        Inputs::I16(x) => product_of(sums, w, x, panels),
    }
}

pub(in crate::kernel) fn products(
    k: &Kernels,
    sums: &mut [Panel<i32>],
    w: IntMatrix<'_>,
    x: Inputs<'_>,
    count: usize,
) {
    let (panels, columns) = (sums.len() / count, x.columns() / count);
    for (n, sums) in sums.chunks_exact_mut(panels.max(1)).enumerate() {
        let columns = n * columns..(n + 1) * columns;
        let x = match x {
            Inputs::I8(x) => Inputs::I8(&x[columns]),
            Inputs::I16(x) => Inputs::I16(&x[columns]),
        };
        k.product(sums, w, x, Panels::DENSE);
    }
}

#[cfg_attr(one_table, inline(always))]
fn product_of<X: Copy + Into<i32>>(
    sums: &mut [Panel<i32>],
    w: IntMatrix<'_>,
    x: &[X],
    panels: Panels,
) {
    match w {
        IntMatrix::I8(w) => by_blocks(sums, w, x, panels, i32::from),
        IntMatrix::U8(w) => by_blocks(sums, w, x, panels, |w| w as i32 - 128),
        IntMatrix::I4(w) => by_double_blocks(sums, w, x, panels),
        IntMatrix::Rows(w) => by_rows(sums, w, x, panels),
    }
}

// By itself, so that loops become vectors on an M55: as a part of [`product`] they were 30 % slower there.
#[inline(never)]
fn by_blocks<W: Copy, X: Copy + Into<i32>>(
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

// As [`by_blocks`].
#[inline(never)]
fn by_double_blocks<X: Copy + Into<i32>>(
    sums: &mut [Panel<i32>],
    w: &[u8],
    x: &[X],
    panels: Panels,
) {
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

pub(in crate::kernel) fn by_rows<X: Copy + Into<i32>>(
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
