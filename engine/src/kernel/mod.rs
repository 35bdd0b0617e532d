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
//! The scalar table is the definition. What a primitive is given are `views` that prove their lengths; `table` is the
//! list of primitives, from which come the table's fields, the checked methods of [`Kernels`] and the entries of the
//! module `check` (feature `check`), which compares every other table with the scalar one bit for bit.

#[cfg(armv7_neon)]
mod armv7;
#[cfg(any(feature = "check", test))]
pub mod check;
#[cfg(cortex_m_dsp)]
mod cortex_m;
mod gates;
mod gemm;
#[cfg(cortex_m_helium)]
mod helium;
mod packed;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
))]
mod quads;
#[cfg(any(no_simd, cortex_m_dsp))]
mod rows;
mod scalar;
mod step;
mod table;
mod views;
#[cfg(wide_vectors)]
mod wide;

pub(crate) use gates::{GATES, MAX_PANELS, TILE, tiles};
pub(crate) use packed::FOUR;
pub use packed::{SHIFT_A8, SHIFT_A16, four_record, gru_a8_record, gru_a16_record};
pub(crate) use scalar::blend;
use table::Table;
pub use views::{
    Columns, GateOrder, GateRows, Hidden, Inputs, IntMatrix, LayerState, Panels, Streams, Units,
};

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::num::Tables;
use half::f16;

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

/// Sum panels of a panel of units in an LSTM, in a GRU that resets after the product, and in a tanh layer.
const LSTM: GateOrder = GateOrder::new(4, 4, 4);
const GRU: GateOrder = GateOrder::new(3, 3, 4);
const RNN: GateOrder = GateOrder::new(1, 1, 1);

/// A table, and whether this CPU runs it.
#[cfg(not(one_table))]
struct Candidate(Kernels, fn() -> bool);

/// The table that firmware uses.
#[cfg(target_os = "none")]
const FIRMWARE: Table = {
    #[cfg(cortex_m_helium)]
    {
        helium::HELIUM
    }
    #[cfg(all(cortex_m_dsp, not(cortex_m_helium)))]
    {
        cortex_m::CORTEX_M_DSP
    }
    #[cfg(no_simd)]
    {
        rows::ROWS
    }
    #[cfg(not(any(cortex_m_dsp, no_simd)))]
    {
        scalar::SCALAR
    }
};

#[cfg(not(one_table))]
impl Kernels {
    /// The definition of every primitive, in plain Rust. Not in firmware, but with feature `check`.
    pub const SCALAR: Kernels = Kernels::of(scalar::SCALAR);

    /// The portable SIMD table, where the build has vectors: in wasm with `simd128`, on ARMv7 with `neon`.
    #[cfg(wide_vectors)]
    pub const WIDE: Kernels = Kernels::of(wide::WIDE);

    const fn of(table: Table) -> Self {
        Kernels { table }
    }

    /// Every table of this build: the scalar one first, then each faster than those before it.
    const TABLES: &'static [Candidate] = &[
        Candidate(Kernels::SCALAR, || true),
        #[cfg(no_simd)]
        Candidate(Kernels::of(rows::ROWS), || true),
        #[cfg(wide_vectors)]
        Candidate(Kernels::WIDE, || true),
        #[cfg(target_arch = "x86_64")]
        Candidate(Kernels::of(x86::AVX2), x86::has_avx2),
        #[cfg(target_arch = "x86_64")]
        Candidate(Kernels::of(x86::AVXVNNI), x86::has_avxvnni),
        #[cfg(target_arch = "x86_64")]
        Candidate(Kernels::of(x86::AVX512VNNI), x86::has_avx512vnni),
        #[cfg(target_arch = "x86_64")]
        Candidate(Kernels::of(x86::AVX512VBMI), x86::has_avx512vbmi),
        #[cfg(armv7_neon)]
        Candidate(Kernels::of(armv7::ARMV7_NEON), || true),
        #[cfg(cortex_m_dsp)]
        Candidate(Kernels::of(cortex_m::CORTEX_M_DSP), || true),
        #[cfg(cortex_m_helium)]
        Candidate(Kernels::of(helium::HELIUM), || true),
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        Candidate(Kernels::of(neon::NEON), || true),
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        Candidate(Kernels::of(neon::NEON_DOTPROD), neon::has_dotprod),
    ];

    /// Every table this CPU can run, the scalar one first, the fastest last; in firmware the one that there is.
    pub fn available() -> impl DoubleEndedIterator<Item = &'static Kernels> {
        Kernels::TABLES
            .iter()
            .filter(|Candidate(_, runs)| runs())
            .map(|Candidate(table, _)| table)
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
    /// The instruction set's name, as its vendor spells it.
    pub const fn name(&self) -> &'static str {
        self.table().name
    }

    /// The integer product of these weights and inputs.
    ///
    /// # Panics
    /// As [`Self::gemv_a8`] or [`Self::gemv_w4a8`].
    #[cfg_attr(one_table, inline(always))]
    pub fn product_q(
        &self,
        sums: &mut [Panel<i32>],
        w: IntMatrix<'_>,
        x: Inputs<'_>,
        panels: Panels,
    ) {
        match (w, x) {
            (IntMatrix::I8(w), Inputs::I8(x)) => self.gemv_a8(sums, w, x, panels),
            (IntMatrix::I8(w), Inputs::I16(x)) => self.gemv_a16(sums, w, x, panels),
            (IntMatrix::U8(w), Inputs::I8(x)) => self.gemv_u8a8(sums, w, x, panels),
            (IntMatrix::U8(w), Inputs::I16(x)) => self.gemv_u8a16(sums, w, x, panels),
            (IntMatrix::I4(w), Inputs::I8(x)) => self.gemv_w4a8(sums, w, x, panels),
            (IntMatrix::I4(w), Inputs::I16(x)) => self.gemv_w4a16(sums, w, x, panels),
            (IntMatrix::Rows(w), Inputs::I8(x)) => self.gemv_rows_a8(sums, w, x, panels),
            (IntMatrix::Rows(w), Inputs::I16(x)) => self.gemv_rows_a16(sums, w, x, panels),
        }
    }
}

/// Columns of a matrix of four-bit weights at the most: 16 times such a sum still fits in 32 bits.
pub const MAX_W4_COLUMNS: usize = 1 << 16;

/// Largest range of an LSTM cell: ±8 · 2^4.
pub const MAX_CELL_SHIFT: u8 = 4;
