//! Tiles: the panels of units that a step computes together, so that few calls go out on a large machine and little stack
//! is taken on the others. Results do not depend on the size of a tile.

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
    /// Pre-activations (2^-12) of a tile.
    pub(crate) fn preactivations<'z>(
        &self,
        k: &Kernels,
        tile: &Range<usize>,
        x: Inputs<'_>,
        h: Inputs<'_>,
        z: &'z mut [Panel<i16>; MAX_PANELS],
    ) -> &'z mut [Panel<i16>] {
        let gates = self.part(tile);
        let z = &mut z[..gates.bias.len()];
        k.gates_q(z, gates, x, h);
        z
    }
}
