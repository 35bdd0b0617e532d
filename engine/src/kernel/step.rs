//! Whole steps of an integer layer: gates, state update and publishing in one call.
//!
//! The definition is the composition of the primitives, in tiles of units. Every tile reads the old state, so the
//! new matrix input is published only after the last one. Results do not depend on the size of a tile, and a table
//! may compute a step in one go: pre-activations then stay in registers. Several streams step one after the other,
//! so that none depends on its neighbours; a table may load weights once for several.

use super::gates::{MAX_PANELS, tiles};
use super::{GateRows, Inputs, Kernels, LANES, Panel};
use crate::num::{Tables, narrow, shift_round};

/// A layer's state as a matrix input, whole panels of it.
#[derive(Debug)]
pub enum Hidden<'a> {
    /// In units of 2^-7.
    I8(&'a mut [i8]),
    /// In units of 2^-12.
    I16(&'a mut [i16]),
}

impl Hidden<'_> {
    /// The first `columns` of it.
    #[inline(always)]
    pub(crate) fn inputs(&self, columns: usize) -> Inputs<'_> {
        match self {
            Hidden::I8(h) => Inputs::I8(&h[..columns]),
            Hidden::I16(h) => Inputs::I16(&h[..columns]),
        }
    }

    /// Takes over the outputs of this step (2^-12).
    pub(crate) fn publish(&mut self, y: &[Panel<i16>]) {
        match self {
            Hidden::I8(h) => {
                for (h, &y) in h.iter_mut().zip(y.as_flattened()) {
                    *h = narrow(y);
                }
            }
            Hidden::I16(h) => h.copy_from_slice(y.as_flattened()),
        }
    }

    /// Of the same kind and length.
    #[inline(always)]
    fn is_like(&self, other: &Hidden<'_>) -> bool {
        matches!(self, Hidden::I8(_)) == matches!(other, Hidden::I8(_)) && self.len() == other.len()
    }

    fn len(&self) -> usize {
        match self {
            Hidden::I8(h) => h.len(),
            Hidden::I16(h) => h.len(),
        }
    }
}

/// The state of an integer layer, and its outputs.
#[derive(Debug)]
pub struct LayerState<'a> {
    /// The cells of an LSTM, the states (Q29) of the other layers.
    pub master: &'a mut [Panel<i32>],
    /// The state as a matrix input.
    pub h: Hidden<'a>,
    /// Columns of the state's matrix.
    pub columns: usize,
    /// Outputs (2^-12).
    pub y: &'a mut [Panel<i16>],
}

impl LayerState<'_> {
    /// Panics unless all lengths belong together.
    #[inline(always)]
    pub(super) fn check(&self, gates: &GateRows<'_>, x: Inputs<'_>, order: (usize, usize, usize)) {
        let units = gates.units;
        assert!(
            (gates.ih, gates.hh, gates.stride) == order,
            "gates of a cell"
        );
        assert!(
            self.master.len() == units
                && self.y.len() == units
                && self.h.len() == units * LANES
                && self.columns <= units * LANES,
            "state of a layer"
        );
        gates.check(units * gates.stride, x.columns(), self.columns);
    }
}

/// Panics unless every stream is of the same layer, and all of the same kind.
#[inline(always)]
pub(super) fn check_batch(
    states: &[LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    order: (usize, usize, usize),
) {
    assert!(states.len() == x.len(), "an input for each stream");
    let (Some(first), Some(&x0)) = (states.first(), x.first()) else {
        return;
    };
    first.check(gates, x0, order);
    let alike = |state: &LayerState<'_>, x: &Inputs<'_>| {
        state.h.is_like(&first.h)
            && state.columns == first.columns
            && state.master.len() == first.master.len()
            && state.y.len() == first.y.len()
            && x.is_like(&x0)
    };
    let mut streams = states.iter().zip(x);
    assert!(streams.all(|(state, x)| alike(state, x)), "streams differ");
}

pub(super) fn lstm(
    k: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
    cell_shift: u8,
) {
    let mut space = [[0; LANES]; MAX_PANELS];
    let old = state.h.inputs(state.columns);
    for tile in tiles(gates.units) {
        let z = gates.preactivations(k, &tile, x, old, &mut space);
        let (c, y) = (&mut state.master[tile.clone()], &mut state.y[tile]);
        k.lstm_q(c, y, z, tables, cell_shift);
    }
    state.h.publish(state.y);
}

pub(super) fn gru(
    k: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
) {
    let mut space = [[0; LANES]; MAX_PANELS];
    let old = state.h.inputs(state.columns);
    for tile in tiles(gates.units) {
        let z = gates.preactivations(k, &tile, x, old, &mut space);
        k.gru_q(&mut state.master[tile], z, tables);
    }
    publish_master(state);
}

pub(super) fn rnn(
    k: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
) {
    let mut space = [[0; LANES]; MAX_PANELS];
    let old = state.h.inputs(state.columns);
    for tile in tiles(gates.units) {
        let z = gates.preactivations(k, &tile, x, old, &mut space);
        let master = &mut state.master[tile];
        k.tanh_q(master, z, tables);
        for master in master.as_flattened_mut() {
            *master >>= 2;
        }
    }
    publish_master(state);
}

/// Master states (Q29) as outputs (2^-12) and as the next matrix input.
pub(crate) fn publish_master(state: &mut LayerState<'_>) {
    let master = state.master.as_flattened();
    for (y, &master) in state.y.as_flattened_mut().iter_mut().zip(master) {
        *y = shift_round(master, 17) as i16;
    }
    state.h.publish(state.y);
}

pub(super) fn lstm_batch(
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

pub(super) fn gru_batch(
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

pub(super) fn rnn_batch(
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
