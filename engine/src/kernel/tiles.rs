//! Tiles: the panels of units that a step computes together, so that few calls go out on a large machine and little stack
//! is taken on the others. Results do not depend on the size of a tile, but for the last bits of floats on AVX-512, where a row of many has
//! one sum and a row of few two.

#[cfg(not(one_walk))]
use super::LANES;
use super::{GateRows, Inputs, Kernels, Panel};
use core::ops::Range;

/// Sum panels that a step computes together at the most.
pub(crate) const MAX_PANELS: usize = if cfg!(target_pointer_width = "64") {
    16
} else {
    4
};
/// Gates per unit at the most.
pub(crate) const GATES: usize = 4;
/// Panels of units per tile.
pub(crate) const TILE: usize = MAX_PANELS / GATES;

/// The ranges of panels that are computed together.
pub(crate) fn tiles(panels: usize) -> impl Iterator<Item = Range<usize>> {
    (0..panels)
        .step_by(TILE)
        .map(move |start| start..(start + TILE).min(panels))
}

impl GateRows<'_> {
    /// Pre-activations (2^-12) of all units, tile by tile.
    ///
    /// # Panics
    /// If it does not take such inputs.
    #[inline(always)]
    pub(crate) fn each_tile(
        &self,
        k: &Kernels,
        x: Inputs<'_>,
        h: Inputs<'_>,
        mut update: impl FnMut(Range<usize>, &mut [Panel<i16>]),
    ) {
        #[cfg(one_walk)]
        {
            let _ = k;
            super::cpu::walk(self, x, h, &mut |panel, z| update(panel..panel + 1, z));
        }
        #[cfg(not(one_walk))]
        {
            let mut space = [[0; LANES]; MAX_PANELS];
            for tile in tiles(self.units) {
                let gates = self.part(&tile);
                let z = &mut space[..gates.bias.len()];
                k.gates_q(z, gates, x, h);
                update(tile, z);
            }
        }
    }
}
