//! Float products for several streams at once: one matrix, a column of inputs and a column of sums per stream.
//!
//! The definition is the product of each stream by itself, so that a stream's sums do not depend on its neighbours. A
//! table may load a weight once for several streams instead.

use super::{Kernels, LANES, Panel, Panels};
use half::f16;

/// The inputs of several streams, and where their sums lie.
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    /// Inputs of each stream, all of one length.
    pub x: &'a [&'a [f32]],
    /// Panels of sums from one stream to the next.
    pub pitch: usize,
}

impl Streams<'_> {
    /// Panics unless the matrix has whole groups of whole panels and every stream's sums have a place for each.
    #[inline(always)]
    pub(super) fn check(&self, sums: usize, weights: usize, panels: Panels) {
        let columns = self.x.first().map_or(1, |x| x.len());
        assert!(
            self.x.iter().all(|x| x.len() == columns),
            "streams of different lengths"
        );
        let before = self.x.len().saturating_sub(1) * self.pitch;
        assert!(before <= sums, "too few sums");
        super::check_gemv(sums - before, weights, columns, panels);
        // The sums of one stream end before those of the next.
        let groups = weights / (panels.group * LANES * columns);
        let end = groups.saturating_sub(1) * panels.stride + panels.group;
        assert!(
            self.x.len() <= 1 || groups == 0 || end <= self.pitch,
            "streams overlap"
        );
    }
}

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
