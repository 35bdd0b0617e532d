//! Whole steps of an integer layer: gates, state update and publishing in one call.
//!
//! The definition is the composition of the primitives, in tiles of units. Every tile reads the old state, so the
//! new matrix input is published only after the last one. Results do not depend on the size of a tile, and a table
//! may compute a step in one go: pre-activations then stay in registers. Several streams step one after the other,
//! so that none depends on its neighbours; a table may load weights once for several.

use crate::kernel::{
    CellQ, GateRows, Inputs, Kernels, LANES, LayerState, MAX_PANELS, Panel, Panels,
};
use crate::num::Tables;

/// From the inputs of a layer to the pre-activations of its gates: bias, product with the input, product with the state,
/// requantization. A table may compute the same in one go, so that sums stay in registers.
pub(in crate::kernel) fn gates(
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
    k.product(sums, gates.w_ih, x, Panels::new(ih, stride));
    if hh > 0 {
        let sums = &mut sums[stride - hh..];
        k.product(sums, gates.w_hh, h, Panels::new(hh, stride));
    }
    k.requant(z, sums, gates.m, gates.shift);
}

pub(in crate::kernel) fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    for (state, &x) in states.iter_mut().zip(x) {
        step(k, cell, state, gates, x, tables);
    }
}

/// A step of one stream.
pub(in crate::kernel) fn step(
    k: &Kernels,
    cell: CellQ,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
) {
    let old = state.h.inputs(gates.columns[1]);
    gates.each_tile(k, x, old, |tile, z| {
        let (master, y) = (&mut state.master[tile.clone()], &mut state.y[tile]);
        k.update_q(cell, master, y, z, tables);
    });
    state.publish_step(cell);
}
