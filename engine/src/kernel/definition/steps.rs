//! Whole steps of an integer layer: gates, state update and publishing in one call.
//!
//! The definition is the composition of the primitives, in tiles of units. Every tile reads the old state, so the
//! new matrix input is published only after the last one. Results do not depend on the size of a tile, and a table
//! may compute a step in one go: pre-activations then stay in registers. Several streams step one after the other,
//! so that none depends on its neighbours; a table may load weights once for several.

use crate::kernel::{
    GateRows, Inputs, Kernels, LANES, LayerState, MAX_PANELS, Panel, Panels, tiles,
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
    k.product_q(sums, gates.w_ih, x, Panels::new(ih, stride));
    if hh > 0 {
        let sums = &mut sums[stride - hh..];
        k.product_q(sums, gates.w_hh, h, Panels::new(hh, stride));
    }
    k.requant(z, sums, gates.m, gates.shift);
}

pub(in crate::kernel) fn lstm(
    k: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
    cell_shift: u8,
) {
    let mut space = [[0; LANES]; MAX_PANELS];
    let old = state.h.inputs(gates.columns[1]);
    for tile in tiles(gates.units) {
        let z = gates.preactivations(k, &tile, x, old, &mut space);
        let (c, y) = (&mut state.master[tile.clone()], &mut state.y[tile]);
        k.lstm_q(c, y, z, tables, cell_shift);
    }
    state.publish();
}

pub(in crate::kernel) fn gru(
    k: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
) {
    let mut space = [[0; LANES]; MAX_PANELS];
    let old = state.h.inputs(gates.columns[1]);
    for tile in tiles(gates.units) {
        let z = gates.preactivations(k, &tile, x, old, &mut space);
        k.gru_q(&mut state.master[tile], z, tables);
    }
    state.publish_master();
}

pub(in crate::kernel) fn rnn(
    k: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
) {
    let mut space = [[0; LANES]; MAX_PANELS];
    let old = state.h.inputs(gates.columns[1]);
    for tile in tiles(gates.units) {
        let z = gates.preactivations(k, &tile, x, old, &mut space);
        let master = &mut state.master[tile];
        k.tanh_q(master, z, tables);
        for master in master.as_flattened_mut() {
            *master >>= 2;
        }
    }
    state.publish_master();
}

pub(in crate::kernel) fn lstm_batch(
    k: &Kernels,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
    cell_shift: u8,
) {
    for (state, &x) in states.iter_mut().zip(x) {
        k.lstm_step_q(state, gates, x, tables, cell_shift);
    }
}

pub(in crate::kernel) fn gru_batch(
    k: &Kernels,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    for (state, &x) in states.iter_mut().zip(x) {
        k.gru_step_q(state, gates, x, tables);
    }
}

pub(in crate::kernel) fn rnn_batch(
    k: &Kernels,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    for (state, &x) in states.iter_mut().zip(x) {
        k.rnn_step_q(state, gates, x, tables);
    }
}
