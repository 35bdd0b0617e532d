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
//! The scalar table is the definition. The module `check` (feature `check`) compares every other table
//! with it bit for bit; it takes a table apart without `..`, so a primitive that is not checked does
//! not compile.

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
mod views;
#[cfg(wide_vectors)]
mod wide;

pub(crate) use gates::{GATES, MAX_PANELS, TILE, tiles};
pub(crate) use packed::FOUR;
pub use packed::{SHIFT_A8, SHIFT_A16, four_record, gru_a8_record, gru_a16_record};
pub(crate) use scalar::blend;
use views::check_batch;
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

/// The functions of one instruction set. All pointers are `unsafe fn` because some need CPU features; a
/// table is only handed out where the CPU has them, and lengths are checked by the methods of [`Kernels`].
#[derive(Clone, Copy)]
#[expect(
    clippy::type_complexity,
    reason = "each field is the signature of one primitive, spelled out"
)]
struct Table {
    name: &'static str,
    gemv_f32: unsafe fn(&mut [Panel<f32>], &[f32], &[f32], Panels),
    gemv_f16: unsafe fn(&mut [Panel<f32>], &[f16], &[f32], Panels),
    gemv_a8: unsafe fn(&mut [Panel<i32>], &[i8], &[i8], Panels),
    gemv_a16: unsafe fn(&mut [Panel<i32>], &[i8], &[i16], Panels),
    gemv_u8a8: unsafe fn(&mut [Panel<i32>], &[u8], &[i8], Panels),
    gemv_u8a16: unsafe fn(&mut [Panel<i32>], &[u8], &[i16], Panels),
    gemv_w4a8: unsafe fn(&mut [Panel<i32>], &[u8], &[i8], Panels),
    gemv_w4a16: unsafe fn(&mut [Panel<i32>], &[u8], &[i16], Panels),
    gemv_rows_a8: unsafe fn(&mut [Panel<i32>], &[i8], &[i8], Panels),
    gemv_rows_a16: unsafe fn(&mut [Panel<i32>], &[i8], &[i16], Panels),
    gates_q: unsafe fn(&Kernels, &mut [Panel<i16>], GateRows<'_>, Inputs<'_>, Inputs<'_>),
    requant: unsafe fn(&mut [Panel<i16>], &[Panel<i32>], &[Panel<i32>], u8),
    tanh_q: unsafe fn(&mut [Panel<i32>], &[Panel<i16>], &Tables),
    sigmoid_q: unsafe fn(&mut [Panel<i32>], &[Panel<i16>], &Tables),
    lstm_q: unsafe fn(&mut [Panel<i32>], &mut [Panel<i16>], &[Panel<i16>], &Tables, u8),
    gru_q: unsafe fn(&mut [Panel<i32>], &[Panel<i16>], &Tables),
    lstm_step_q: unsafe fn(&Kernels, &mut LayerState<'_>, &GateRows<'_>, Inputs<'_>, &Tables, u8),
    gru_step_q: unsafe fn(&Kernels, &mut LayerState<'_>, &GateRows<'_>, Inputs<'_>, &Tables),
    rnn_step_q: unsafe fn(&Kernels, &mut LayerState<'_>, &GateRows<'_>, Inputs<'_>, &Tables),
    lstm_batch_q:
        unsafe fn(&Kernels, &mut [LayerState<'_>], &GateRows<'_>, &[Inputs<'_>], &Tables, u8),
    gru_batch_q: unsafe fn(&Kernels, &mut [LayerState<'_>], &GateRows<'_>, &[Inputs<'_>], &Tables),
    rnn_batch_q: unsafe fn(&Kernels, &mut [LayerState<'_>], &GateRows<'_>, &[Inputs<'_>], &Tables),
    gemm_f32: unsafe fn(&Kernels, &mut [Panel<f32>], &[f32], Streams<'_>, Panels),
    gemm_f16: unsafe fn(&Kernels, &mut [Panel<f32>], &[f16], Streams<'_>, Panels),
    lstm_a8: unsafe fn(&mut Units<'_>, &[i32], &mut Columns<'_>, u8),
    lstm_a16: unsafe fn(&mut Units<'_>, &[i32], &mut Columns<'_>, u8),
    gru_a8: unsafe fn(&mut Units<'_>, &[i32], &mut Columns<'_>),
    gru_a16: unsafe fn(&mut Units<'_>, &[i32], &mut Columns<'_>),
    rnn_a8: unsafe fn(&mut Units<'_>, &[i32], &mut Columns<'_>),
    rnn_a16: unsafe fn(&mut Units<'_>, &[i32], &mut Columns<'_>),
    tanh_f32: unsafe fn(&mut [Panel<f32>]),
    sigmoid_f32: unsafe fn(&mut [Panel<f32>]),
    lstm_f32: unsafe fn(&mut [Panel<f32>], &mut [Panel<f32>], &[Panel<f32>]),
    gru_f32: unsafe fn(&mut [Panel<f32>], &[Panel<f32>], &[Panel<f32>]),
}

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

/// All lengths are in panels or elements of the slices given.
impl Kernels {
    /// The instruction set's name, as its vendor spells it.
    pub const fn name(&self) -> &'static str {
        self.table().name
    }

    /// `sums += W x` in f32, column by column.
    ///
    /// # Panics
    /// If the weights are not whole groups of panels of `x.len()` columns, or the sums are too few.
    pub fn gemv_f32(&self, sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_f32)(sums, w, x, panels) }
    }

    /// `sums += W x` with weights in f16, arithmetic in f32.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`].
    pub fn gemv_f16(&self, sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_f16)(sums, w, x, panels) }
    }

    /// `sums += W x`, i8 by i8 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`], and if `x.len()` is no multiple of [`BLOCK`].
    pub fn gemv_a8(&self, sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        assert!(
            x.len().is_multiple_of(BLOCK),
            "columns are not whole blocks"
        );
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_a8)(sums, w, x, panels) }
    }

    /// `sums += W x`, i8 by i16 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_a8`].
    pub fn gemv_a16(&self, sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        assert!(
            x.len().is_multiple_of(BLOCK),
            "columns are not whole blocks"
        );
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_a16)(sums, w, x, panels) }
    }

    /// `sums += W x`, weights stored as `w + 128` by i8 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_a8`].
    pub fn gemv_u8a8(&self, sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        IntMatrix::U8(w).check_columns(x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_u8a8)(sums, w, x, panels) }
    }

    /// `sums += W x`, weights stored as `w + 128` by i16 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_a8`].
    pub fn gemv_u8a16(&self, sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        IntMatrix::U8(w).check_columns(x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_u8a16)(sums, w, x, panels) }
    }

    /// `sums += W x`, weights of four bits (`w + 8`, two in a byte) by i8 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`], and if `x.len()` is no multiple of two blocks, or exceeds [`MAX_W4_COLUMNS`].
    pub fn gemv_w4a8(&self, sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), 2 * w.len(), x.len());
        IntMatrix::I4(w).check_columns(x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_w4a8)(sums, w, x, panels) }
    }

    /// `sums += W x`, weights of four bits by i16 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_w4a8`].
    pub fn gemv_w4a16(&self, sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), 2 * w.len(), x.len());
        IntMatrix::I4(w).check_columns(x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_w4a16)(sums, w, x, panels) }
    }

    /// [`Self::gemv_a8`] of panels whose rows lie one after the other.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`].
    pub fn gemv_rows_a8(&self, sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_rows_a8)(sums, w, x, panels) }
    }

    /// [`Self::gemv_a16`] of panels whose rows lie one after the other.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`].
    pub fn gemv_rows_a16(&self, sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemv_rows_a16)(sums, w, x, panels) }
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

    /// Pre-activations of a recurrent layer's gates: `z = requant(bias + W_ih x + W_hh h)`.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or there are more gates than a step
    /// computes together.
    pub fn gates_q(&self, z: &mut [Panel<i16>], gates: GateRows<'_>, x: Inputs<'_>, h: Inputs<'_>) {
        gates.check(x, h.columns());
        assert!(z.len() == gates.bias.len(), "gate rows");
        assert!(z.len() <= MAX_PANELS, "too many gates at once");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gates_q)(self, z, gates, x, h) }
    }

    /// `z = saturate16(mulhi_round(sum << shift, m))`.
    ///
    /// # Panics
    /// If the lengths differ or `shift` exceeds 31.
    pub fn requant(&self, z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
        assert!(
            z.len() == sums.len() && z.len() == m.len() && shift < 32,
            "requant lengths"
        );
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().requant)(z, sums, m, shift) }
    }

    /// `y = tanh(z)` in Q31.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn tanh_q(&self, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        assert!(y.len() == z.len(), "activation lengths");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().tanh_q)(y, z, tables) }
    }

    /// `y = sigmoid(z)` in Q31.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn sigmoid_q(&self, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        assert!(y.len() == z.len(), "activation lengths");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().sigmoid_q)(y, z, tables) }
    }

    /// LSTM state update: `z` holds `i, f, g, o` per panel of units; `c' = f c + i g`, `y = o tanh(c')` (2^-12).
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `c`, or `y` differs in length from `c`, or
    /// `cell_shift` exceeds [`MAX_CELL_SHIFT`].
    pub fn lstm_q(
        &self,
        c: &mut [Panel<i32>],
        y: &mut [Panel<i16>],
        z: &[Panel<i16>],
        tables: &Tables,
        cell_shift: u8,
    ) {
        assert!(z.len() == 4 * c.len() && y.len() == c.len(), "lstm lengths");
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().lstm_q)(c, y, z, tables, cell_shift) }
    }

    /// GRU state update, reset after the product: `z` holds `nx, r, z, nh` per panel of units;
    /// `n = tanh(nx + r nh)`, `h' = n + z (h − n)` in Q29.
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `h`.
    pub fn gru_q(&self, h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        assert!(z.len() == 4 * h.len(), "gru lengths");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gru_q)(h, z, tables) }
    }

    /// A step of an LSTM layer.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, a panel of units has not four sum panels,
    /// or `cell_shift` exceeds [`MAX_CELL_SHIFT`].
    #[cfg_attr(one_table, inline(always))]
    #[cfg_attr(not(one_table), inline)]
    pub fn lstm_step_q(
        &self,
        state: &mut LayerState<'_>,
        gates: &GateRows<'_>,
        x: Inputs<'_>,
        tables: &Tables,
        cell_shift: u8,
    ) {
        state.check(gates, x, LSTM);
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().lstm_step_q)(self, state, gates, x, tables, cell_shift) }
    }

    /// A step of a GRU layer, reset after the product.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or a panel of units has not four sum
    /// panels, three for each matrix.
    #[cfg_attr(one_table, inline(always))]
    #[cfg_attr(not(one_table), inline)]
    pub fn gru_step_q(
        &self,
        state: &mut LayerState<'_>,
        gates: &GateRows<'_>,
        x: Inputs<'_>,
        tables: &Tables,
    ) {
        state.check(gates, x, GRU);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gru_step_q)(self, state, gates, x, tables) }
    }

    /// A step of a tanh layer.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or a panel of units has not one sum panel.
    #[cfg_attr(one_table, inline(always))]
    #[cfg_attr(not(one_table), inline)]
    pub fn rnn_step_q(
        &self,
        state: &mut LayerState<'_>,
        gates: &GateRows<'_>,
        x: Inputs<'_>,
        tables: &Tables,
    ) {
        state.check(gates, x, RNN);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().rnn_step_q)(self, state, gates, x, tables) }
    }

    /// A step of an LSTM layer for several streams, an input for each.
    ///
    /// # Panics
    /// As [`Self::lstm_step_q`], and if the streams are not of one kind.
    pub fn lstm_batch_q(
        &self,
        states: &mut [LayerState<'_>],
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        tables: &Tables,
        cell_shift: u8,
    ) {
        check_batch(states, gates, x, LSTM);
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().lstm_batch_q)(self, states, gates, x, tables, cell_shift) }
    }

    /// A step of a GRU layer for several streams, an input for each.
    ///
    /// # Panics
    /// As [`Self::gru_step_q`], and if the streams are not of one kind.
    pub fn gru_batch_q(
        &self,
        states: &mut [LayerState<'_>],
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        tables: &Tables,
    ) {
        check_batch(states, gates, x, GRU);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gru_batch_q)(self, states, gates, x, tables) }
    }

    /// A step of a tanh layer for several streams, an input for each.
    ///
    /// # Panics
    /// As [`Self::rnn_step_q`], and if the streams are not of one kind.
    pub fn rnn_batch_q(
        &self,
        states: &mut [LayerState<'_>],
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        tables: &Tables,
    ) {
        check_batch(states, gates, x, RNN);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().rnn_batch_q)(self, states, gates, x, tables) }
    }

    /// [`Self::gemv_f32`] for several streams.
    ///
    /// # Panics
    /// As that, if the streams differ in length, or their sums overlap.
    pub fn gemm_f32(
        &self,
        sums: &mut [Panel<f32>],
        w: &[f32],
        streams: Streams<'_>,
        panels: Panels,
    ) {
        streams.check(sums.len(), w.len(), panels);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemm_f32)(self, sums, w, streams, panels) }
    }

    /// [`Self::gemv_f16`] for several streams.
    ///
    /// # Panics
    /// As [`Self::gemm_f32`].
    pub fn gemm_f16(
        &self,
        sums: &mut [Panel<f32>],
        w: &[f16],
        streams: Streams<'_>,
        panels: Panels,
    ) {
        streams.check(sums.len(), w.len(), panels);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gemm_f16)(self, sums, w, streams, panels) }
    }

    /// A step of a packed LSTM layer: a record is a unit's `i, f, g, o`.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`), or `cell_shift` exceeds
    /// [`MAX_CELL_SHIFT`].
    #[inline(always)]
    pub fn lstm_a8(
        &self,
        units: &mut Units<'_>,
        rows: &[i32],
        columns: &mut Columns<'_>,
        cell_shift: u8,
    ) {
        units.check(rows.len(), four_record(columns.words.len()), 1);
        columns.check_a8(units);
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().lstm_a8)(units, rows, columns, cell_shift) }
    }

    /// A step of a packed LSTM layer: a record is a unit's `i, f, g, o`.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`), or `cell_shift` exceeds
    /// [`MAX_CELL_SHIFT`].
    #[inline(always)]
    pub fn lstm_a16(
        &self,
        units: &mut Units<'_>,
        rows: &[i32],
        columns: &mut Columns<'_>,
        cell_shift: u8,
    ) {
        units.check(rows.len(), four_record(columns.words.len()), 1);
        columns.check_a16();
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().lstm_a16)(units, rows, columns, cell_shift) }
    }

    /// A step of a packed GRU layer that resets after the product.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[inline(always)]
    pub fn gru_a8(&self, units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), gru_a8_record(columns.words.len()), 2);
        columns.check_a8(units);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gru_a8)(units, rows, columns) }
    }

    /// A step of a packed GRU layer that resets after the product.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[inline(always)]
    pub fn gru_a16(&self, units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), gru_a16_record(columns.words.len()), 1);
        columns.check_a16();
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gru_a16)(units, rows, columns) }
    }

    /// A step of a packed tanh layer: a record is four units.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[inline(always)]
    pub fn rnn_a8(&self, units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), four_record(columns.words.len()), 4);
        columns.check_a8(units);
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().rnn_a8)(units, rows, columns) }
    }

    /// A step of a packed tanh layer: a record is four units.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[inline(always)]
    pub fn rnn_a16(&self, units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), four_record(columns.words.len()), 4);
        columns.check_a16();
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().rnn_a16)(units, rows, columns) }
    }

    /// `z = tanh(z)`.
    pub fn tanh_f32(&self, z: &mut [Panel<f32>]) {
        // SAFETY: the CPU runs every table it was handed.
        unsafe { (self.table().tanh_f32)(z) }
    }

    /// `z = sigmoid(z)`.
    pub fn sigmoid_f32(&self, z: &mut [Panel<f32>]) {
        // SAFETY: the CPU runs every table it was handed.
        unsafe { (self.table().sigmoid_f32)(z) }
    }

    /// LSTM state update in f32, panels as in [`Self::lstm_q`].
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `c`, or `h` differs in length from `c`.
    pub fn lstm_f32(&self, c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
        assert!(z.len() == 4 * c.len() && h.len() == c.len(), "lstm lengths");
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().lstm_f32)(c, h, z) }
    }

    /// GRU state update in f32, panels as in [`Self::gru_q`]; `next` may not alias `h`, which other
    /// units still need.
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `h`, or `next` differs in length from `h`.
    pub fn gru_f32(&self, next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
        assert!(
            z.len() == 4 * h.len() && next.len() == h.len(),
            "gru lengths"
        );
        // SAFETY: lengths checked; the CPU runs every table it was handed.
        unsafe { (self.table().gru_f32)(next, h, z) }
    }
}

/// Columns of a matrix of four-bit weights at the most: 16 times such a sum still fits in 32 bits.
pub const MAX_W4_COLUMNS: usize = 1 << 16;

/// The fastest table, found once; in firmware no more than the type, so that calls are direct and whatever is not
/// called is not linked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detected {
    #[cfg(not(target_os = "none"))]
    table: &'static Kernels,
}

impl Detected {
    #[inline]
    pub(crate) fn new() -> Self {
        Detected {
            #[cfg(not(target_os = "none"))]
            table: Kernels::detect(),
        }
    }

    #[inline(always)]
    pub(crate) fn table(self) -> &'static Kernels {
        #[cfg(not(target_os = "none"))]
        return self.table;
        #[cfg(target_os = "none")]
        Kernels::detect()
    }
}

/// Largest range of an LSTM cell: ±8 · 2^4.
pub const MAX_CELL_SHIFT: u8 = 4;
