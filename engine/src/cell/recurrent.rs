//! A layer with a state, of whatever cell.

use super::coupled::Coupled;
use super::fastgrnn::FastGrnn;
use super::gru::{self, Gru};
use super::lstm::Lstm;
use super::peephole::Peephole;
use super::rnn::Rnn;
use super::{Spec, Stream, packed};
use crate::format::{Cell, LoadError, Tensors, attempt};
use crate::kernel::{Inputs, Kernels, LayerState, MAX_CELL_SHIFT, Panel};

/// Largest cell shift of a slow layer: ±1,024.
const MAX_SLOW_SHIFT: u8 = 7;

/// A recurrent layer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Recurrent<'a> {
    Rnn(Rnn<'a>),
    Lstm(Lstm<'a>),
    Gru(Gru<'a>),
    FastGrnn(FastGrnn<'a>),
    Coupled(Coupled<'a>),
    Peephole(Peephole<'a>),
}

/// A float layer's state and where its outputs go. `c` is empty where a layer has no cell.
pub(crate) struct FloatState<'s> {
    pub(crate) c: &'s mut [Panel<f32>],
    pub(crate) h: &'s mut [Panel<f32>],
    pub(crate) y: &'s mut [Panel<f32>],
}

impl<'a> Recurrent<'a> {
    #[inline(always)]
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        cell: Cell,
        spec: Spec,
        cell_shift: u8,
    ) -> Result<Self, LoadError> {
        let max = if spec.slow {
            MAX_SLOW_SHIFT
        } else {
            MAX_CELL_SHIFT
        };
        if cell_shift > max {
            return Err(LoadError::Size {
                what: "cell shift",
                found: cell_shift as usize,
                max: max as usize,
            });
        }
        Ok(match cell {
            Cell::RnnTanh => Recurrent::Rnn(attempt!(Rnn::take(t, spec, false))),
            Cell::RnnRelu => Recurrent::Rnn(attempt!(Rnn::take(t, spec, true))),
            Cell::Lstm => Recurrent::Lstm(attempt!(Lstm::take(t, spec, cell_shift))),
            Cell::GruResetAfter => Recurrent::Gru(attempt!(Gru::take(t, spec, true))),
            Cell::GruResetBefore => Recurrent::Gru(attempt!(Gru::take(t, spec, false))),
            Cell::FastGrnn => Recurrent::FastGrnn(attempt!(FastGrnn::take(t, spec))),
            Cell::LstmCoupled => Recurrent::Coupled(attempt!(Coupled::take(t, spec))),
            Cell::LstmPeephole => {
                Recurrent::Peephole(attempt!(Peephole::take(t, spec, cell_shift)))
            }
        })
    }

    /// Width of the state.
    pub(crate) fn hidden(&self) -> usize {
        match self {
            Recurrent::Rnn(layer) => layer.hidden,
            Recurrent::Lstm(layer) => layer.hidden,
            Recurrent::Gru(layer) => layer.hidden,
            Recurrent::FastGrnn(layer) => layer.hidden,
            Recurrent::Coupled(layer) => layer.hidden,
            Recurrent::Peephole(layer) => layer.hidden,
        }
    }

    /// Has a cell besides the state.
    pub(crate) fn has_cell(&self) -> bool {
        matches!(
            self,
            Recurrent::Lstm(_) | Recurrent::Coupled(_) | Recurrent::Peephole(_)
        )
    }

    /// Words of scratch that an integer step needs.
    pub(crate) const fn work(cell: Cell, spec: Spec, padded_hidden: usize) -> usize {
        match cell {
            Cell::GruResetBefore => gru::work(spec.format, padded_hidden),
            Cell::RnnTanh | Cell::Lstm | Cell::GruResetAfter if spec.is_packed() => {
                packed::work(spec.format, spec.inputs, spec.hidden)
            }
            _ => 0,
        }
    }

    /// One step in f32.
    pub(crate) fn step(&self, k: &Kernels, x: &[f32], state: FloatState<'_>, work: &mut [i32]) {
        let FloatState { c, h, y } = state;
        match self {
            Recurrent::Rnn(layer) => layer.step(k, x, h.as_flattened_mut(), y),
            Recurrent::Lstm(layer) => layer.step(k, x, c, h.as_flattened_mut(), y),
            Recurrent::Gru(layer) => layer.step(k, x, h, y, work),
            Recurrent::FastGrnn(layer) => layer.step(k, x, h, y),
            Recurrent::Coupled(layer) => layer.step(k, x, c, h.as_flattened_mut(), y),
            Recurrent::Peephole(layer) => layer.step(k, x, c, h.as_flattened_mut(), y),
        }
    }

    /// One step in integers.
    #[inline(always)]
    pub(crate) fn step_q(
        &self,
        k: &Kernels,
        x: Inputs<'_>,
        state: LayerState<'_>,
        work: &mut [i32],
    ) {
        match self {
            Recurrent::Rnn(layer) => layer.step_q(k, x, state, work),
            Recurrent::Lstm(layer) => layer.step_q(k, x, state, work),
            Recurrent::Gru(layer) => layer.step_q(k, x, state, work),
            Recurrent::FastGrnn(layer) => layer.step_q(k, x, state),
            Recurrent::Coupled(layer) => layer.step_q(k, x, state),
            Recurrent::Peephole(layer) => layer.step_q(k, x, state),
        }
    }

    /// Whether several streams can step together.
    pub(crate) fn in_batch(&self) -> bool {
        match self {
            Recurrent::Rnn(layer) => layer.in_batch(),
            Recurrent::Lstm(layer) => layer.in_batch(),
            Recurrent::Gru(layer) => layer.in_batch(),
            Recurrent::FastGrnn(_) | Recurrent::Coupled(_) | Recurrent::Peephole(_) => false,
        }
    }

    /// One step of several streams in f32, but for the state as a matrix input.
    pub(crate) fn step_batch(&self, k: &Kernels, streams: &mut [Stream<'_>]) {
        match self {
            Recurrent::Rnn(layer) => layer.step_batch(k, streams),
            Recurrent::Lstm(layer) => layer.step_batch(k, streams),
            Recurrent::Gru(layer) => layer.step_batch(k, streams),
            Recurrent::FastGrnn(_) | Recurrent::Coupled(_) | Recurrent::Peephole(_) => {}
        }
    }

    /// One step of several streams in integers.
    pub(crate) fn step_batch_q(
        &self,
        k: &Kernels,
        x: &[Inputs<'_>],
        states: &mut [LayerState<'_>],
    ) {
        match self {
            Recurrent::Rnn(layer) => layer.step_batch_q(k, x, states),
            Recurrent::Lstm(layer) => layer.step_batch_q(k, x, states),
            Recurrent::Gru(layer) => layer.step_batch_q(k, x, states),
            Recurrent::FastGrnn(_) | Recurrent::Coupled(_) | Recurrent::Peephole(_) => {}
        }
    }
}
