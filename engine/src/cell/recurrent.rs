//! The list of cells.

use super::coupled::Coupled;
use super::fastgrnn::FastGrnn;
use super::gru::Gru;
use super::gru_before::{self, GruBefore};
use super::layer::{Cell, FloatState, Layer, Rows};
use super::lstm::Lstm;
use super::mingru::MinGru;
use super::peephole::Peephole;
use super::rnn::Rnn;
use super::{Spec, Stream, packed};
use crate::format::{self, LoadError, Tensors, attempt};
use crate::kernel::{GateOrder, Inputs, Kernels, LayerState, MAX_CELL_SHIFT};

/// Largest cell shift of a slow layer: ±1,024.
const MAX_SLOW_SHIFT: u8 = 7;

/// Of each kind of cell its type, and of each cell in a file what its units have besides their gates.
macro_rules! cells {
    (
        $tensors:ident, $spec:ident;
        $($kind:ident($cell:ty) { $($name:ident => $own:expr,)+ })+
    ) => {
        #[derive(Debug, Clone, Copy)]
        enum Kind<'a> {
            $($kind($cell),)+
        }

        impl<'a> Kind<'a> {
            const fn take(
                $tensors: &mut Tensors<'a>,
                $spec: Spec,
            ) -> Result<Self, LoadError> {
                Ok(match $spec.cell {
                    $($(format::Cell::$name => Kind::$kind($own),)+)+
                })
            }

            /// Where the gates of a cell have their sums.
            const fn order(cell: format::Cell) -> GateOrder {
                match cell {
                    $($(format::Cell::$name => <$cell>::ORDER,)+)+
                }
            }
        }

        macro_rules! each {
            ($recurrent:expr, $layer:ident => $do:expr) => {
                match &$recurrent.kind {
                    $(Kind::$kind(cell) => {
                        let $layer = Layer { rows: &$recurrent.rows, cell };
                        $do
                    })+
                }
            };
        }
    };
}

cells! {
    t, spec;
    Rnn(Rnn) {
        RnnTanh => Rnn { relu: false },
        RnnRelu => Rnn { relu: true },
    }
    Lstm(Lstm) { Lstm => Lstm, }
    Gru(Gru) { GruResetAfter => Gru, }
    GruBefore(GruBefore<'a>) { GruResetBefore => attempt!(GruBefore::take(t, spec)), }
    FastGrnn(FastGrnn<'a>) { FastGrnn => attempt!(FastGrnn::take(t, spec)), }
    Coupled(Coupled) { LstmCoupled => Coupled, }
    MinGru(MinGru) {
        MinGru => MinGru { tanh: false },
        MinGruTanh => MinGru { tanh: true },
    }
    Peephole(Peephole<'a>) { LstmPeephole => attempt!(Peephole::take(t, spec)), }
}

/// A recurrent layer, of whatever cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recurrent<'a> {
    rows: Rows<'a>,
    kind: Kind<'a>,
}

impl<'a> Recurrent<'a> {
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
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
        let rows = attempt!(Rows::take(t, spec, Kind::order(spec.cell), cell_shift));
        let kind = attempt!(Kind::take(t, spec));
        Ok(Recurrent { rows, kind })
    }

    /// Words of scratch that an integer step needs.
    pub(crate) const fn work(spec: Spec, padded_hidden: usize) -> usize {
        match spec.cell {
            format::Cell::GruResetBefore => gru_before::work(spec.format, padded_hidden),
            _ if spec.packed().is_some() => packed::work(spec.format, spec.inputs, spec.hidden),
            _ => 0,
        }
    }

    /// Width of the state.
    pub(crate) fn hidden(&self) -> usize {
        self.rows.hidden
    }

    /// Has a cell besides the state.
    pub(crate) fn has_cell(&self) -> bool {
        each!(self, layer => layer.has_cell())
    }

    /// One step in f32.
    pub(crate) fn step(&self, k: &Kernels, x: &[f32], state: FloatState<'_>, work: &mut [i32]) {
        each!(self, layer => layer.step(k, x, state, work));
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
        each!(self, layer => layer.step_q(k, x, state, work));
    }

    /// Whether several streams can step together.
    pub(crate) fn in_batch(&self) -> bool {
        each!(self, layer => layer.in_batch())
    }

    /// One step of several streams in f32, but for the state as a matrix input.
    pub(crate) fn step_batch(&self, k: &Kernels, streams: &mut [Stream<'_>]) {
        each!(self, layer => layer.step_batch(k, streams));
    }

    /// One step of several streams in integers.
    pub(crate) fn step_batch_q(
        &self,
        k: &Kernels,
        x: &[Inputs<'_>],
        states: &mut [LayerState<'_>],
    ) {
        each!(self, layer => layer.step_batch_q(k, x, states));
    }
}
