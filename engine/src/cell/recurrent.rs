//! The list of cells.

use super::coupled::Coupled;
use super::fastgrnn::FastGrnn;
#[cfg(any(
    cell = "lstm",
    cell = "gru",
    cell = "gru-reset-before",
    cell = "mingru"
))]
use super::functions::Functions;
use super::gru::Gru;
use super::gru_before::{self, GruBefore};
use super::layer::{Cell, Numbers, Rows, UnitsQ, Weights};
use super::lstm::Lstm;
use super::mingru::MinGru;
use super::peephole::Peephole;
#[cfg(records)]
use super::records::Records;
use super::rnn::Rnn;
use super::{AnyGates, Spec, Stream, packed};
use crate::format::{self, LoadError, Tensors, attempt};
use crate::kernel::{
    CellF, CellQ, FloatState, GateOrder, GateRows, Gates, Inputs, Kernels, LayerState,
    MAX_CELL_SHIFT, Panel,
};
use core::convert::Infallible;
use core::marker::PhantomData;
use core::ops::Range;
use core::slice::from_mut;

/// Largest cell shift of a slow layer: ±1,024.
const MAX_SLOW_SHIFT: u8 = 7;

/// Of each kind of cell its type and the feature that it is, and of each cell in a file what its units have besides their
/// gates. A cell that firmware leaves out is no variant, so the compiler leaves out all that is done with it.
macro_rules! cells {
    (
        $tensors:ident, $spec:ident;
        $($kind:ident($cell:ty) in $feature:literal { $($name:ident => $own:expr,)+ })+
    ) => {
        #[derive(Debug, Clone, Copy)]
        enum Kind<'a> {
            $(#[cfg(cell = $feature)] $kind($cell),)+
            #[expect(dead_code, reason = "there may be no cells")]
            None(Infallible, PhantomData<&'a ()>),
        }

        impl<'a> Kind<'a> {
            const fn take(
                $tensors: &mut Tensors<'a>,
                $spec: Spec,
            ) -> Result<Self, LoadError> {
                match $spec.cell {
                    $($(
                        #[cfg(cell = $feature)]
                        format::Cell::$name => Ok(Kind::$kind($own)),
                        #[cfg(not(cell = $feature))]
                        format::Cell::$name => Err(LoadError::Feature { name: $feature }),
                    )+)+
                }
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
                    $(
                        #[cfg(cell = $feature)]
                        Kind::$kind(cell) => {
                            let $layer = $crate::cell::layer::Layer { rows: &$recurrent.rows, cell };
                            $do
                        }
                    )+
                    Kind::None(never, _) => match *never {},
                }
            };
        }
    };
}

cells! {
    t, spec;
    Rnn(Rnn) in "rnn" {
        RnnTanh => Rnn { relu: false },
        RnnRelu => Rnn { relu: true },
    }
    Lstm(Lstm) in "lstm" {
        Lstm => Lstm(Functions::USUAL),
        LstmRelu => Lstm(attempt!(Functions::relu("lstm-relu"))),
        LstmHard => Lstm(attempt!(Functions::hard())),
    }
    Gru(Gru) in "gru" {
        GruResetAfter => Gru(Functions::USUAL),
        GruReluResetAfter => Gru(attempt!(Functions::relu("gru-relu"))),
        GruHardResetAfter => Gru(attempt!(Functions::hard())),
    }
    GruBefore(GruBefore<'a>) in "gru-reset-before" {
        GruResetBefore => attempt!(GruBefore::take(t, spec, Functions::USUAL)),
        GruReluResetBefore => {
            let functions = attempt!(Functions::relu("gru-relu"));
            attempt!(GruBefore::take(t, spec, functions))
        },
        GruHardResetBefore => {
            let functions = attempt!(Functions::hard());
            attempt!(GruBefore::take(t, spec, functions))
        },
    }
    FastGrnn(FastGrnn<'a>) in "fastgrnn" { FastGrnn => attempt!(FastGrnn::take(t, spec)), }
    Coupled(Coupled) in "lstm-coupled" { LstmCoupled => Coupled, }
    MinGru(MinGru) in "mingru" {
        MinGru => MinGru { tanh: false, functions: Functions::USUAL },
        MinGruTanh => MinGru { tanh: true, functions: Functions::USUAL },
        MinGruHard => MinGru { tanh: false, functions: attempt!(Functions::hard()) },
    }
    Peephole(Peephole<'a>) in "lstm-peephole" { LstmPeephole => attempt!(Peephole::take(t, spec)), }
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

    /// Where the gates of a cell have their sums.
    pub(super) const fn order(cell: format::Cell) -> GateOrder {
        Kind::order(cell)
    }

    /// Words of scratch that an integer step needs.
    pub(crate) const fn work(spec: Spec, padded_hidden: usize) -> usize {
        match spec.cell.resets() {
            Some(format::Reset::Before) => gru_before::work(spec.format, padded_hidden),
            _ if (cfg!(records) && spec.records) || spec.packed().is_some() => packed::work(spec),
            _ => 0,
        }
    }

    /// Width of the state.
    pub(crate) fn hidden(&self) -> usize {
        self.rows.hidden
    }

    /// Has a cell besides the state.
    #[inline(always)]
    pub(crate) fn has_cell(&self) -> bool {
        each!(self, layer => layer.has_cell())
    }

    /// One step in f32.
    #[inline]
    pub(crate) fn step(&self, k: &Kernels, x: &[f32], state: FloatState<'_>, work: &mut [i32]) {
        let Weights::Panels(AnyGates::Float(gates)) = &self.rows.weights else {
            return;
        };
        match self.primitive_f() {
            Some(cell) => k.step_f(cell, state, gates, x),
            None => self.step_apart(k, gates, x, state, work),
        }
    }

    /// One step in f32 of a cell for which the kernels have none.
    #[cfg_attr(not(one_table), inline(never))]
    fn step_apart(
        &self,
        k: &Kernels,
        gates: &Gates<'_>,
        x: &[f32],
        state: FloatState<'_>,
        work: &mut [i32],
    ) {
        each!(self, layer => layer.step(k, gates, x, state, work));
    }

    /// The kernels' own step of its cell in f32.
    #[inline(always)]
    fn primitive_f(&self) -> Option<CellF> {
        each!(self, layer => layer.cell.primitive_f())
    }

    /// The kernels' own integer step of its cell.
    #[inline(always)]
    fn primitive(&self) -> Option<CellQ> {
        each!(self, layer => layer.cell.primitive(self.rows.cell_shift))
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
        self.step_q_of::<false>(k, x, state, work);
    }

    /// As [`Self::step_q`], of a layer that is not known before it is loaded: where layers share a walk, once in an image.
    #[cfg_attr(one_walk, inline(never))]
    #[cfg_attr(not(one_walk), inline(always))]
    pub(crate) fn step_q_apart(
        &self,
        k: &Kernels,
        x: Inputs<'_>,
        state: LayerState<'_>,
        work: &mut [i32],
    ) {
        self.step_q_of::<true>(k, x, state, work);
    }

    #[inline(always)]
    fn step_q_of<const APART: bool>(
        &self,
        k: &Kernels,
        x: Inputs<'_>,
        mut state: LayerState<'_>,
        work: &mut [i32],
    ) {
        match &self.rows.weights {
            Weights::Packed(rows) => {
                if let Some(cell) = self.primitive() {
                    rows.step(k, cell, x, state, work);
                }
            }
            Weights::Panels(AnyGates::Integer(gates)) => {
                self.steps_q::<APART>(k, gates, &[x], from_mut(&mut state), work);
            }
            #[cfg(records)]
            Weights::Records(rows) => self.records_q(k, rows, x, &mut state, work),
            Weights::Panels(_) => {}
        }
    }

    /// One step of streams of one kind in integers.
    #[inline(always)]
    fn steps_q<const APART: bool>(
        &self,
        k: &Kernels,
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        states: &mut [LayerState<'_>],
        work: &mut [i32],
    ) {
        let numbers = self.rows.numbers();
        match self.primitive() {
            Some(cell) if !numbers.slow && APART => {
                k.step_q_apart(cell, states, gates, x, numbers.tables);
            }
            Some(cell) if !numbers.slow => k.step_q(cell, states, gates, x, numbers.tables),
            _ => {
                for (state, &x) in states.iter_mut().zip(x) {
                    self.walk_q(k, numbers, gates, x, state, work);
                }
            }
        }
    }

    /// All units, tile by tile. Every tile reads the old state, so the new one is published after the last.
    #[inline(always)]
    fn walk_q(
        &self,
        k: &Kernels,
        numbers: Numbers,
        gates: &GateRows<'_>,
        x: Inputs<'_>,
        state: &mut LayerState<'_>,
        work: &mut [i32],
    ) {
        #[cfg(cell = "gru-reset-before")]
        if let Kind::GruBefore(cell) = &self.kind {
            return cell.step_q(k, numbers, gates, x, state, work);
        }
        let (master, old, y) = state.parts(numbers.columns);
        gates.each_tile(k, x, old, |tile, z| {
            self.update_q(k, numbers, tile, master, y, z);
        });
        self.publish(state);
    }

    /// As [`Self::walk_q`], over records.
    #[cfg(records)]
    #[cfg_attr(one_walk, inline(never))]
    #[cfg_attr(not(one_walk), inline(always))]
    fn records_q(
        &self,
        k: &Kernels,
        rows: &Records<'_>,
        x: Inputs<'_>,
        state: &mut LayerState<'_>,
        work: &mut [i32],
    ) {
        let numbers = self.rows.numbers();
        let (master, old, y) = state.parts(numbers.columns);
        rows.each_tile(k, x, old, work, |tile, z| {
            self.update_q(k, numbers, tile, master, y, z);
        });
        self.publish(state);
    }

    /// A tile of the layer's units, from their pre-activations. Once in an image where two call it.
    #[cfg_attr(all(any(one_walk, small), records), inline(never))]
    #[cfg_attr(not(all(any(one_walk, small), records)), inline(always))]
    fn update_q(
        &self,
        k: &Kernels,
        numbers: Numbers,
        tile: Range<usize>,
        master: &mut [Panel<i32>],
        y: &mut [Panel<i16>],
        z: &mut [Panel<i16>],
    ) {
        let (master, y) = (&mut master[tile.clone()], &mut y[tile.clone()]);
        // The sums of records are those of any layer; of others this is the primitive's.
        #[cfg(records)]
        if let Some(cell) = self.primitive().filter(|_| !numbers.slow) {
            return k.update_q(cell, master, y, z, numbers.tables);
        }
        let units = UnitsQ { tile, master, y };
        each!(self, layer => layer.cell.update_q(k, numbers, units, z));
    }

    /// What all updates have left, as outputs and as the next matrix input.
    #[inline(always)]
    fn publish(&self, state: &mut LayerState<'_>) {
        if self.has_cell() {
            state.publish();
        } else {
            state.publish_master();
        }
    }

    /// Whether several streams can step together.
    pub(crate) fn in_batch(&self) -> bool {
        each!(self, layer => layer.in_batch())
    }

    /// Whether streams are sooner done one after the other: the kernels have the whole step, in which sums stay in registers, and all
    /// weights stay in a cache that is near enough. Measured with AVX-512: an LSTM (16, 64) with 80 KB takes 0.9 of
    /// the time of 64 streams together, (64, 128) with 384 KB 1.7 times.
    pub(crate) fn is_quicker_alone(&self) -> bool {
        let Weights::Panels(AnyGates::Float(gates)) = &self.rows.weights else {
            return false;
        };
        cfg!(target_arch = "x86_64") && gates.are_near() && self.primitive_f().is_some()
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
        if let Weights::Panels(AnyGates::Integer(gates)) = &self.rows.weights {
            self.steps_q::<false>(k, gates, x, states, &mut []);
        }
    }
}
