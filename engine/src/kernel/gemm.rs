//! Float products for several streams at once: one matrix, a column of inputs and a column of sums per stream.
//!
//! The definition is the product of each stream by itself, so that a stream's sums do not depend on its neighbours. A
//! table may load a weight once for several streams instead.

use super::{Kernels, Panel, Panels, Streams};
use half::f16;

/// One stream after the other.
macro_rules! by_stream {
    ($gemm:ident, $gemv:ident, $weight:ty) => {
        pub(super) fn $gemm(
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
