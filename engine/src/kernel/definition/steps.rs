//! Whole steps of a layer: gates, state update and publishing in one call.
//!
//! The definition is the composition of the primitives, in tiles of units. Every tile reads the old state, so the
//! new matrix input is published only after the last one. Results do not depend on the size of a tile, and a table
//! may compute a step in one go: pre-activations then stay in registers. Several streams step one after the other,
//! so that none depends on its neighbours; a table may load weights once for several.

use crate::kernel::{
    CellF, CellQ, Curve, FloatMatrix, FloatState, GATES, GateRows, Gates, Inputs, Kernels, LANES,
    LayerState, MAX_PANELS, Panel, Panels, StateF, Streams, TILE, tiles,
};
use crate::num::Tables;
use core::ops::Range;

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
    update(k, cell, state, gates, x, tables);
    state.publish_step(cell);
}

/// A step of one stream up to what it publishes.
#[inline(always)]
pub(in crate::kernel) fn update(
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
}

impl FloatMatrix<'_> {
    /// `sums += W x` for the panels of a tile.
    pub(crate) fn multiply(
        self,
        k: &Kernels,
        sums: &mut [Panel<f32>],
        tile: &Range<usize>,
        x: Streams<'_>,
        panels: Panels,
    ) {
        let rows = panels.weights(tile, x.columns());
        k.float_product(sums, self.part(rows), x, panels);
    }
}

impl Gates<'_> {
    /// Sum panels of a tile.
    #[inline(always)]
    pub(crate) fn panels(&self, tile: &Range<usize>) -> usize {
        let [_, _, stride] = self.order.panels();
        stride * tile.len()
    }

    /// Pre-activations of a tile.
    pub(crate) fn sums<'s>(
        &self,
        k: &Kernels,
        tile: &Range<usize>,
        x: &[f32],
        h: &[f32],
        sums: &'s mut [Panel<f32>; GATES * TILE],
    ) -> &'s mut [Panel<f32>] {
        let sums = &mut sums[..self.panels(tile)];
        self.streams(k, tile, Streams::new(&[x], 0), Streams::new(&[h], 0), sums);
        sums
    }

    /// Pre-activations of a tile for several streams.
    pub(crate) fn streams(
        &self,
        k: &Kernels,
        tile: &Range<usize>,
        x: Streams<'_>,
        h: Streams<'_>,
        sums: &mut [Panel<f32>],
    ) {
        let [ih, hh, stride] = self.order.panels();
        let bias = &self.bias[stride * tile.start..stride * tile.end];
        for sums in sums.chunks_exact_mut(bias.len()) {
            sums.copy_from_slice(bias);
        }
        self.w_ih
            .multiply(k, sums, tile, x, Panels::new(ih, stride));
        if hh > 0 {
            let sums = &mut sums[stride - hh..];
            self.w_hh
                .multiply(k, sums, tile, h, Panels::new(hh, stride));
        }
    }
}

/// The units of a tile in f32, from the sums of their gates.
#[inline(always)]
pub(crate) fn update_tile(
    k: &Kernels,
    cell: CellF,
    tile: Range<usize>,
    c: &mut [Panel<f32>],
    h: &[Panel<f32>],
    y: &mut [Panel<f32>],
    z: &mut [Panel<f32>],
) {
    let y = &mut y[tile.clone()];
    match cell {
        CellF::Lstm => k.update_f(StateF::Lstm(&mut c[tile]), y, z),
        CellF::Gru => k.update_f(StateF::Gru(&h[tile]), y, z),
        CellF::Rnn => {
            k.curve_f(Curve::Tanh, z);
            y.copy_from_slice(z);
        }
    }
}

pub(in crate::kernel) fn step_f(
    k: &Kernels,
    cell: CellF,
    state: FloatState<'_>,
    gates: &Gates<'_>,
    x: &[f32],
) {
    let FloatState { c, h, y, .. } = state;
    let [_, columns] = gates.columns;
    let mut sums = [[0.0; LANES]; GATES * TILE];
    for tile in tiles(gates.units) {
        let z = gates.sums(k, &tile, x, &h.as_flattened()[..columns], &mut sums);
        update_tile(k, cell, tile, c, h, y, z);
    }
    h.copy_from_slice(y);
}
