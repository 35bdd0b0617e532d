//! The primitives of a recurrent step, one table of functions per instruction set.
//!
//! Rows come in panels of [`LANES`]: a SIMD lane is an output row, so float sums keep one order
//! whatever the width of the registers, and padding happens in the exporter, never here. A matrix
//! is stored panel by panel. Inside a panel floats are column-major (`[column][8 rows]`), and int8
//! weights go in blocks of [`BLOCK`] columns (`[block][8 rows][4 columns]`), which is what a
//! dot-product instruction consumes. Weights of four bits are stored as `w + 8`, two blocks together: the lower halves
//! of 32 bytes are a block, their upper halves the next. The offset spares kernels the sign: as
//! `Σ w x = Σ (w + 8) x − 8 Σ x`, they multiply what is in the byte and take off a number that all rows share. For a CPU that
//! multiplies along rows the rows of an int8 panel may lie one after the other (`[8 rows][column]`), and for one that loads
//! unsigned bytes more cheaply int8 weights may be stored as `w + 128`.
//!
//! Five places: what a primitive is given are `views` that prove their lengths; `table` is the list of primitives, from
//! which come the table's fields and the checked methods of [`Kernels`]; the scalar table is their `definition`; `cpu` is
//! the list of CPUs that do some of them better; and the module `check` (feature `check`) compares every other table with
//! the scalar one: integers bit for bit, floats too unless the table says that it fuses them.

#[cfg(any(feature = "check", test))]
pub mod check;
mod cpu;
mod definition;
mod table;
mod tiles;
mod views;

#[cfg(target_os = "none")]
use cpu::FIRMWARE;
pub(crate) use definition::cells::{blend, mix};
pub(crate) use definition::packed::{FOUR, FourRows, Record};
pub use definition::packed::{SHIFT_A8, SHIFT_A16};
pub(crate) use definition::steps::update_tile;
use table::Table;
pub(crate) use tiles::{GATES, MAX_PANELS, TILE, tiles};
pub use views::{
    CellF, CellQ, Columns, Curve, FloatMatrix, FloatState, GateOrder, GateRows, Gates, Hidden,
    Inputs, IntMatrix, LayerState, Panels, StateF, Streams, Units,
};

use crate::num::Tables;

/// Rows of a panel.
pub const LANES: usize = 8;
/// Columns of a block of an int8 panel.
pub const BLOCK: usize = 4;

/// One panel's worth of numbers, a row each.
pub type Panel<T> = [T; LANES];

/// The kernels of one instruction set. In firmware there is one such set: this is then no more than a type, so that
/// every call is a direct one, from wherever it comes, and what is not called is not linked. (With feature `check` there
/// are several to compare.)
#[derive(Clone, Copy)]
pub struct Kernels {
    #[cfg(not(one_table))]
    table: Table,
}

impl core::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Kernels({})", self.name())
    }
}

#[cfg(not(one_table))]
impl Kernels {
    /// The definition of every primitive, in plain Rust. Not in firmware, but with feature `check`.
    pub const SCALAR: Kernels = Kernels::of(definition::SCALAR);

    /// The portable SIMD table, where the build has vectors: in wasm with `simd128`, on ARMv7 with `neon`.
    #[cfg(wide_vectors)]
    pub const WIDE: Kernels = Kernels::of(cpu::WIDE);

    const fn of(table: Table) -> Self {
        Kernels { table }
    }

    /// Every table this CPU can run, the scalar one first, the fastest last; in firmware the one that there is.
    pub fn available() -> impl DoubleEndedIterator<Item = &'static Kernels> {
        cpu::TABLES
            .iter()
            .filter(|(_, runs)| runs())
            .map(|(table, _)| table)
    }

    /// The fastest table this CPU can run. CPU features are looked up under feature `std`; without it
    /// they are what the build was compiled for. In firmware the answer is a constant.
    #[inline]
    pub fn detect() -> &'static Kernels {
        #[cfg(target_os = "none")]
        return const { &Kernels::of(FIRMWARE) };
        #[cfg(not(target_os = "none"))]
        Kernels::available().next_back().unwrap_or(&Kernels::SCALAR)
    }

    #[inline(always)]
    const fn table(&self) -> &Table {
        &self.table
    }
}

#[cfg(one_table)]
impl Kernels {
    /// The one table that there is.
    pub fn available() -> impl DoubleEndedIterator<Item = &'static Kernels> {
        core::iter::once(Kernels::detect())
    }

    /// The one table that there is.
    #[inline(always)]
    pub const fn detect() -> &'static Kernels {
        &Kernels {}
    }

    #[inline(always)]
    const fn table(&self) -> &'static Table {
        const { &FIRMWARE }
    }
}

impl Kernels {
    /// As [`Self::step_q`], for a layer that is not known before it is loaded: in firmware composed of primitives, so that
    /// what cells and formats have in common is linked once.
    #[inline(always)]
    pub(crate) fn step_q_apart(
        &self,
        cell: CellQ,
        states: &mut [LayerState<'_>],
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        tables: &Tables,
    ) {
        #[cfg(one_walk)]
        definition::steps::step_q(self, cell, states, gates, x, tables);
        #[cfg(not(one_walk))]
        self.step_q(cell, states, gates, x, tables);
    }

    /// The instruction set's name, as its vendor spells it.
    pub const fn name(&self) -> &'static str {
        self.table().name
    }

    /// Whether float sums are fused or in an order of their own: f32 and f16 models then give what the scalar table gives but
    /// for rounding, where other tables give the same bits. Integer models give the same bits on every table.
    pub const fn fused(&self) -> bool {
        self.table().fused
    }
}

/// Columns of a matrix of four-bit weights at the most: 16 times such a sum still fits in 32 bits.
pub const MAX_W4_COLUMNS: usize = 1 << 16;

/// Largest range of an LSTM cell: ±8 · 2^4.
pub const MAX_CELL_SHIFT: u8 = 4;
