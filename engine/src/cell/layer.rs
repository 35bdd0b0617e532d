//! A recurrent layer: what all cells share. A cell says where its sums lie and what becomes of a tile of units; products,
//! the walk over tiles, streams and what is published are here, once.

use super::packed::Packed;
#[cfg(not(records))]
use super::packed::no_records;
#[cfg(records)]
use super::records::Records;
use super::{AnyGates, GATES, Gates, Spec, Stream, TILE, tables, tiles};
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::{
    CellF, CellQ, Curve, FloatState, GateOrder, Kernels, LANES, Panel, update_tile,
};
use crate::num::Tables;
use core::fmt::Debug;
use core::hint::black_box;
use core::ops::Range;
use core::slice::{from_mut, from_ref};

/// What a cell is. A value has what its units have besides their gates.
pub(crate) trait Cell: Copy + Debug {
    /// Where its gates have their sums.
    const ORDER: GateOrder;
    /// The units have a cell besides the state: it is the master part in integers, and published are the outputs. Where it
    /// is not, the master part is the state (Q29).
    const CELL: bool = false;
    /// Several streams can step together.
    const TOGETHER: bool = true;

    /// The kernels' own integer step of it, unless its gates are slow.
    #[inline(always)]
    fn primitive(&self, _cell_shift: u8) -> Option<CellQ> {
        None
    }

    /// The kernels' own step of it in f32.
    #[inline(always)]
    fn primitive_f(&self) -> Option<CellF> {
        None
    }

    /// A tile of a stream's units in f32: their sums in, their new outputs, and cells, out.
    #[inline(always)]
    fn update(
        &self,
        k: &Kernels,
        _gates: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        if let Some(cell) = self.primitive_f() {
            update_tile(k, cell, tile, stream.c, stream.h, stream.y, z);
        }
    }

    /// A tile of units in integers, from their pre-activations (2^-12, if slow 2^-11), where that is no primitive.
    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]);

    /// A step in f32, but for the state as a matrix input.
    fn step(
        &self,
        k: &Kernels,
        hidden: usize,
        gates: &Gates<'_>,
        stream: &mut Stream<'_>,
        _work: &mut [i32],
    ) {
        let mut sums = [[0.0; LANES]; GATES * TILE];
        for tile in tiles(stream.y.len()) {
            let h = &stream.h.as_flattened()[..hidden];
            let z = gates.sums(k, &tile, stream.x, h, &mut sums);
            self.update(k, gates, stream, tile, z);
        }
    }
}

/// The numbers of an integer layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub(super) format: Format,
    /// Columns of the state as a matrix input.
    pub(super) columns: usize,
    pub(super) tables: &'static Tables,
    pub(super) cell_shift: u8,
    /// Gates may reach ±16, see [`crate::num`].
    pub(super) slow: bool,
}

/// Does something that asks whether the layer is slow, and for its tables. Where units are updated one after the other, for speed, it is there
/// once for each answer, which is then known, as is the number of segments; a closure would be one for all.
macro_rules! with_tables {
    ($numbers:expr, ($slow:ident, $tables:ident) => $do:expr) => {{
        use $crate::cell::layer::VECTORS;
        use $crate::num::{SEGMENTS_256, SEGMENTS_512};
        if VECTORS || cfg!(small) {
            let ($slow, $tables) = ($numbers.slow, $numbers.tables);
            $do
        } else if $numbers.slow {
            let ($slow, $tables) = (true, $numbers.tables);
            $do
        } else if cfg!(not(w8a16)) || $numbers.format.is_a8() {
            let ($slow, $tables) = (false, &SEGMENTS_256);
            $do
        } else {
            let ($slow, $tables) = (false, &SEGMENTS_512);
            $do
        }
    }};
}
pub(super) use with_tables;

/// A tile of units in integers.
pub(crate) struct UnitsQ<'s> {
    /// Which panels of the layer's units.
    pub(super) tile: Range<usize>,
    /// Their cells, or their states (Q29).
    pub(super) master: &'s mut [Panel<i32>],
    /// Outputs (2^-12), of units with a cell.
    pub(super) y: &'s mut [Panel<i16>],
}

/// Some table of this build has registers of several numbers.
pub(super) const VECTORS: bool = cfg!(any(wide_vectors, cortex_m_helium, rvv));

/// Units that are updated together: a panel, or one where no register holds more, so that what lies between is never stored.
pub(super) const SHARE: usize = if VECTORS { LANES } else { 1 };

/// Numbers of units that are updated together.
pub(super) type Share<T> = [T; SHARE];

/// A panel of units, and `Z` pre-activations of each.
pub(super) struct PanelQ<'s, const Z: usize> {
    master: &'s mut Panel<i32>,
    y: &'s mut Panel<i16>,
    z: &'s [Panel<i16>; Z],
}

impl<'s> UnitsQ<'s> {
    #[inline(always)]
    pub(super) fn panels<const Z: usize>(
        self,
        z: &'s [Panel<i16>],
    ) -> impl Iterator<Item = PanelQ<'s, Z>> {
        let units = self.master.iter_mut().zip(self.y).zip(z.as_chunks().0);
        units.map(|((master, y), z)| PanelQ { master, y, z })
    }
}

/// Shares that are updated together where a unit has one sum, so that those of several panels lie side by side.
pub(super) const SHARES: usize = if VECTORS { TILE } else { 1 };

impl UnitsQ<'_> {
    /// Updates units of one sum: what they have, their sums, and of each what stands at its place.
    #[inline(always)]
    pub(super) fn each_sum<T>(
        self,
        z: &mut [Panel<i16>],
        own: &[Panel<T>],
        mut update: impl FnMut(&mut [Share<i32>], &mut [Share<i16>], &[Share<T>]),
    ) {
        let master = self.master.as_flattened_mut().as_chunks_mut().0;
        let z = z.as_flattened_mut().as_chunks_mut().0;
        let own = own.as_flattened().as_chunks().0;
        if SHARES == 1 {
            // Said so, because the length of chunks of one is not known to be one.
            for ((master, z), own) in master.iter_mut().zip(z).zip(own) {
                update(from_mut(master), from_mut(z), from_ref(own));
            }
            return;
        }
        let own = own.chunks(SHARES);
        for ((master, z), own) in master.chunks_mut(SHARES).zip(z.chunks_mut(SHARES)).zip(own) {
            update(master, z, own);
        }
    }
}

impl<const Z: usize> PanelQ<'_, Z> {
    /// Updates all: which share of the panel they are, what they have, and their pre-activations.
    #[inline(always)]
    pub(super) fn each(
        self,
        mut update: impl FnMut(usize, &mut Share<i32>, &mut Share<i16>, [&Share<i16>; Z]),
    ) {
        let (master, y) = (self.master.as_chunks_mut().0, self.y.as_chunks_mut().0);
        // Unrolled, units side by side would have more numbers than there are registers.
        let shares = if VECTORS {
            1
        } else {
            black_box(LANES).min(LANES)
        };
        for (n, (master, y)) in master[..shares].iter_mut().zip(y).enumerate() {
            update(n, master, y, self.z.each_ref().map(|z| share(z, n)));
        }
    }
}

/// A share of a panel.
#[inline(always)]
pub(super) fn share<T>(panel: &Panel<T>, n: usize) -> &Share<T> {
    let shares = panel.as_chunks().0;
    &shares[n & (shares.len() - 1)]
}

/// `y = f(z)` in Q31: by the kernels where that is done for panels.
#[inline(always)]
pub(super) fn curve_q<const N: usize>(
    k: &Kernels,
    curve: Curve,
    y: &mut [[i32; N]],
    z: &[[i16; N]],
    tables: &Tables,
) {
    let (y, z) = (y.as_flattened_mut(), z.as_flattened());
    if N == LANES {
        return k.curve_q(curve, y.as_chunks_mut().0, z.as_chunks().0, tables);
    }
    let each = y.iter_mut().zip(z);
    match curve {
        Curve::Tanh => each.for_each(|(y, &z)| *y = tables.tanh(z)),
        Curve::Sigmoid => each.for_each(|(y, &z)| *y = tables.sigmoid(z)),
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Weights<'a> {
    Panels(AnyGates<'a>),
    Packed(Packed<'a>),
    #[cfg(records)]
    Records(Records<'a>),
}

/// The gates of a layer, which come first in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    format: Format,
    pub(super) hidden: usize,
    pub(super) cell_shift: u8,
    slow: bool,
    pub(super) weights: Weights<'a>,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub(super) const fn take(
        t: &mut Tensors<'a>,
        spec: Spec,
        order: GateOrder,
        cell_shift: u8,
    ) -> Result<Self, LoadError> {
        let weights = match spec.packed() {
            #[cfg(records)]
            _ if spec.records => Weights::Records(attempt!(Records::take(t, spec))),
            #[cfg(not(records))]
            _ if spec.records => return Err(no_records(spec)),
            Some(cell) => Weights::Packed(attempt!(Packed::take(t, spec, cell))),
            None => Weights::Panels(attempt!(AnyGates::take(t, order, spec))),
        };
        Ok(Rows {
            format: spec.format,
            hidden: spec.hidden,
            cell_shift,
            slow: spec.slow,
            weights,
        })
    }

    /// What an integer layer works with.
    #[inline(always)]
    pub(super) fn numbers(&self) -> Numbers {
        let Rows {
            format,
            hidden,
            cell_shift,
            slow,
            ..
        } = *self;
        Numbers {
            format,
            columns: format.columns(hidden),
            tables: tables(format),
            cell_shift,
            slow: cfg!(long_memory) && slow,
        }
    }
}

/// A layer of some cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer<'l, 'a, C> {
    pub(super) rows: &'l Rows<'a>,
    pub(super) cell: &'l C,
}

impl<C: Cell> Layer<'_, '_, C> {
    #[inline(always)]
    pub(super) fn has_cell(&self) -> bool {
        C::CELL
    }

    /// One step in f32.
    pub(super) fn step(
        &self,
        k: &Kernels,
        gates: &Gates<'_>,
        x: &[f32],
        mut state: FloatState<'_>,
        work: &mut [i32],
    ) {
        let [c, h, y] = state.parts();
        let stream = &mut Stream { x, h, c, y };
        self.cell.step(k, self.rows.hidden, gates, stream, work);
        h.copy_from_slice(y);
    }

    /// Whether several streams can step together.
    pub(super) fn in_batch(&self) -> bool {
        C::TOGETHER && matches!(self.rows.weights, Weights::Panels(_))
    }

    /// One step of several streams in f32, but for the state as a matrix input.
    pub(super) fn step_batch(&self, k: &Kernels, streams: &mut [Stream<'_>]) {
        if let Weights::Panels(AnyGates::Float(gates)) = &self.rows.weights {
            gates.step_batch(k, self.rows.hidden, streams, |stream, tile, z| {
                self.cell.update(k, gates, stream, tile, z);
            });
        }
    }
}
