//! From the inputs of a recurrent layer to the pre-activations of its gates, in integers: bias, product with
//! the input, product with the state, requantization.
//!
//! The definition is the composition of the primitives. A table may compute the same in one go, so that sums stay
//! in registers.

use super::{GateRows, Inputs, Kernels, LANES, Panel, Panels};
use core::ops::Range;

/// Sum panels that a step computes together at the most.
pub(crate) const MAX_PANELS: usize = if cfg!(target_pointer_width = "64") {
    16
} else {
    4
};
/// Gates per unit at the most.
pub(crate) const GATES: usize = 4;
/// Panels of units per tile: few calls on a large machine, little stack on the others.
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

/// The definition, with the primitives of a table.
pub(super) fn compose(
    k: &Kernels,
    z: &mut [Panel<i16>],
    gates: GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
) {
    let [ih, hh, stride] = gates.order.panels();
    let mut sums = [[0; LANES]; MAX_PANELS];
    let sums = &mut sums[..z.len()];
    sums.copy_from_slice(gates.bias);
    k.product_q(sums, gates.w_ih, x, Panels::new(ih, stride));
    if hh > 0 {
        let sums = &mut sums[stride - hh..];
        k.product_q(sums, gates.w_hh, h, Panels::new(hh, stride));
    }
    k.requant(z, sums, gates.m, gates.shift);
}
