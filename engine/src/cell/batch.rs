//! A float layer for a group of streams: for a tile of units the products of all streams, so that weights are loaded
//! once for several of them, then each stream's state. An integer layer is one primitive, as for a single stream.

use super::{GATES, Gates, TILE, tiles};
use crate::kernel::{Kernels, LANES, Panel, Streams};
use core::ops::Range;
use heapless::Vec;

/// Streams that go through a float layer together: enough to load weights rarely, few enough that their sums stay in the
/// first-level cache and, on a small machine, on the stack.
pub(crate) const GROUP: usize = if cfg!(target_pointer_width = "64") {
    16
} else {
    4
};

/// Streams that go through a layer together at the most: as many as integer kernels share weights among.
pub(crate) const MOST: usize = if cfg!(has_amx) { 64 } else { GROUP };

/// A float layer's part of a stream. An LSTM has a cell besides the state; the new state goes to `y` only.
pub(crate) struct Stream<'s> {
    pub(crate) x: &'s [f32],
    pub(crate) h: &'s [Panel<f32>],
    pub(crate) c: &'s mut [Panel<f32>],
    pub(crate) y: &'s mut [Panel<f32>],
}

impl Gates<'_> {
    /// A step of all streams; `update` turns the sums of a tile into a stream's new states.
    pub(super) fn step_batch(
        &self,
        k: &Kernels,
        hidden: usize,
        streams: &mut [Stream<'_>],
        update: impl Fn(&mut Stream<'_>, Range<usize>, &mut [Panel<f32>]),
    ) {
        let units = streams.first().map_or(0, |stream| stream.y.len());
        let x: Vec<&[f32], GROUP> = streams.iter().map(|stream| stream.x).collect();
        let states = streams.iter().map(|stream| stream.h);
        let h: Vec<&[f32], GROUP> = states.map(|h| &h.as_flattened()[..hidden]).collect();
        let mut sums = [[0.0; LANES]; GROUP * GATES * TILE];
        for tile in tiles(units) {
            let pitch = self.panels(&tile);
            let sums = &mut sums[..pitch * streams.len()];
            let (x, h) = (Streams::new(&x, pitch), Streams::new(&h, pitch));
            self.streams(k, &tile, x, h, sums);
            for (stream, sums) in streams.iter_mut().zip(sums.chunks_exact_mut(pitch)) {
                update(stream, tile.clone(), sums);
            }
        }
    }
}
