//! The contract between a CPU and all that runs on it: one list of primitives, and one promise that makes each safe.
//!
//! An entry of the list is a primitive's arguments, what must hold between them, and how the checker draws them. From it
//! come the table's field, the method of [`Kernels`] that proves the lengths before the one unsafe call, and the
//! comparison with the scalar table: a primitive that is not checked cannot be written down.

#[cfg(any(feature = "check", test))]
use super::check::{FLOAT_COLUMNS, INT_COLUMNS, Mismatch, Run, STREAMS, W4, W4_COLUMNS};
#[cfg(any(feature = "check", test))]
use super::definition::SCALAR;
use super::views::check_batch;
use super::*;

macro_rules! kernels {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident$([$kernels:ty])?($($argument:ident: $type:ty),*) $check:block => $draw:ident($($how:expr),*);
    )*) => {
        /// The functions of one instruction set. All pointers are `unsafe fn` because some need CPU features; a
        /// table is only handed out where the CPU has them, and lengths are checked by the methods of [`Kernels`].
        #[derive(Clone, Copy)]
        pub(super) struct Table {
            pub(super) name: &'static str,
            $(pub(super) $name: unsafe fn($($kernels,)? $($type),*),)*
        }

        /// All lengths are in panels or elements of the slices given. In firmware the checks are compiled into the caller, where
        /// lengths are often known: a network that the compiler loads is then left without them.
        impl Kernels {
            $(
                $(#[$attribute])*
                #[cfg_attr(one_table, inline(always))]
                pub fn $name(&self, $($argument: $type),*) {
                    $check
                    // SAFETY: what the entry asks of lengths has been checked, views have proved theirs when they were
                    // made, and the CPU runs every table that it was handed.
                    unsafe {
                        (self.table().$name)(
                            $({
                                let kernels: $kernels = self;
                                kernels
                            },)?
                            $($argument),*
                        )
                    }
                }
            )*
        }

        /// A round of comparisons: each primitive through the checked method of a table that is scalar otherwise.
        #[cfg(any(feature = "check", test))]
        pub(super) fn check_each(run: &mut Run, table: &Table) -> Result<(), Mismatch> {
            $(
                let one = Kernels::of(Table { $name: table.$name, ..SCALAR });
                run.$draw(stringify!($name), &one $(, $how)*)?;
            )*
            Ok(())
        }
    };
}

kernels! {
    /// `sums += W x` in f32, column by column.
    ///
    /// # Panics
    /// If the weights are not whole groups of panels of `x.len()` columns, or the sums are too few.
    fn gemv_f32(sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
    } => gemv(Kernels::gemv_f32, 1, FLOAT_COLUMNS);

    /// `sums += W x` with weights in f16, arithmetic in f32.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`].
    fn gemv_f16(sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
    } => gemv(Kernels::gemv_f16, 1, FLOAT_COLUMNS);

    /// `sums += W x`, i8 by i8 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`], and if `x.len()` is no multiple of [`BLOCK`].
    fn gemv_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        assert!(
            x.len().is_multiple_of(BLOCK),
            "columns are not whole blocks"
        );
    } => gemv(Kernels::gemv_a8, BLOCK, INT_COLUMNS);

    /// `sums += W x`, i8 by i16 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_a8`].
    fn gemv_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        assert!(
            x.len().is_multiple_of(BLOCK),
            "columns are not whole blocks"
        );
    } => gemv(Kernels::gemv_a16, BLOCK, INT_COLUMNS);

    /// `sums += W x`, weights stored as `w + 128` by i8 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_a8`].
    fn gemv_u8a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        IntMatrix::U8(w).check_columns(x.len());
    } => gemv(Kernels::gemv_u8a8, BLOCK, INT_COLUMNS);

    /// `sums += W x`, weights stored as `w + 128` by i16 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_a8`].
    fn gemv_u8a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
        IntMatrix::U8(w).check_columns(x.len());
    } => gemv(Kernels::gemv_u8a16, BLOCK, INT_COLUMNS);

    /// `sums += W x`, weights of four bits (`w + 8`, two in a byte) by i8 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`], and if `x.len()` is no multiple of two blocks, or exceeds [`MAX_W4_COLUMNS`].
    fn gemv_w4a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), 2 * w.len(), x.len());
        IntMatrix::I4(w).check_columns(x.len());
    } => gemv(Kernels::gemv_w4a8, W4, W4_COLUMNS);

    /// `sums += W x`, weights of four bits by i16 into wrapping i32.
    ///
    /// # Panics
    /// As [`Self::gemv_w4a8`].
    fn gemv_w4a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), 2 * w.len(), x.len());
        IntMatrix::I4(w).check_columns(x.len());
    } => gemv(Kernels::gemv_w4a16, W4, W4_COLUMNS);

    /// [`Self::gemv_a8`] of panels whose rows lie one after the other.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`].
    fn gemv_rows_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
    } => gemv(Kernels::gemv_rows_a8, 1, INT_COLUMNS);

    /// [`Self::gemv_a16`] of panels whose rows lie one after the other.
    ///
    /// # Panics
    /// As [`Self::gemv_f32`].
    fn gemv_rows_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
        panels.check(sums.len(), w.len(), x.len());
    } => gemv(Kernels::gemv_rows_a16, 1, INT_COLUMNS);

    /// Pre-activations of a recurrent layer's gates: `z = requant(bias + W_ih x + W_hh h)`.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or there are more gates than a step
    /// computes together.
    fn gates_q[&Kernels](z: &mut [Panel<i16>], gates: GateRows<'_>, x: Inputs<'_>, h: Inputs<'_>) {
        gates.check(x, h.columns());
        assert!(z.len() == gates.bias.len(), "gate rows");
        assert!(z.len() <= MAX_PANELS, "too many gates at once");
    } => gates_q();

    /// `z = saturate16(mulhi_round(sum << shift, m))`.
    ///
    /// # Panics
    /// If the lengths differ or `shift` exceeds 31.
    fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
        assert!(
            z.len() == sums.len() && z.len() == m.len() && shift < 32,
            "requant lengths"
        );
    } => requant();

    /// `y = tanh(z)` in Q31.
    ///
    /// # Panics
    /// If the lengths differ.
    fn tanh_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        assert!(y.len() == z.len(), "activation lengths");
    } => activation(Kernels::tanh_q);

    /// `y = sigmoid(z)` in Q31.
    ///
    /// # Panics
    /// If the lengths differ.
    fn sigmoid_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        assert!(y.len() == z.len(), "activation lengths");
    } => activation(Kernels::sigmoid_q);

    /// LSTM state update: `z` holds `i, f, g, o` per panel of units; `c' = f c + i g`, `y = o tanh(c')` (2^-12).
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `c`, or `y` differs in length from `c`, or
    /// `cell_shift` exceeds [`MAX_CELL_SHIFT`].
    fn lstm_q(c: &mut [Panel<i32>], y: &mut [Panel<i16>], z: &[Panel<i16>], tables: &Tables, cell_shift: u8) {
        assert!(z.len() == 4 * c.len() && y.len() == c.len(), "lstm lengths");
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
    } => lstm_q();

    /// GRU state update, reset after the product: `z` holds `nx, r, z, nh` per panel of units;
    /// `n = tanh(nx + r nh)`, `h' = n + z (h − n)` in Q29.
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `h`.
    fn gru_q(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        assert!(z.len() == 4 * h.len(), "gru lengths");
    } => gru_q();

    /// A step of an LSTM layer.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, a panel of units has not four sum panels,
    /// or `cell_shift` exceeds [`MAX_CELL_SHIFT`].
    #[cfg_attr(not(one_table), inline)]
    fn lstm_step_q[&Kernels](state: &mut LayerState<'_>, gates: &GateRows<'_>, x: Inputs<'_>, tables: &Tables, cell_shift: u8) {
        state.check(gates, x, LSTM);
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
    } => step_q(1, LSTM, |k, s, g, x, t, c| k.lstm_step_q(&mut s[0], g, x[0], t, c));

    /// A step of a GRU layer, reset after the product.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or a panel of units has not four sum
    /// panels, three for each matrix.
    #[cfg_attr(not(one_table), inline)]
    fn gru_step_q[&Kernels](state: &mut LayerState<'_>, gates: &GateRows<'_>, x: Inputs<'_>, tables: &Tables) {
        state.check(gates, x, GRU);
    } => step_q(1, GRU, |k, s, g, x, t, _| k.gru_step_q(&mut s[0], g, x[0], t));

    /// A step of a tanh layer.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or a panel of units has not one sum panel.
    #[cfg_attr(not(one_table), inline)]
    fn rnn_step_q[&Kernels](state: &mut LayerState<'_>, gates: &GateRows<'_>, x: Inputs<'_>, tables: &Tables) {
        state.check(gates, x, RNN);
    } => step_q(1, RNN, |k, s, g, x, t, _| k.rnn_step_q(&mut s[0], g, x[0], t));

    /// A step of an LSTM layer for several streams, an input for each.
    ///
    /// # Panics
    /// As [`Self::lstm_step_q`], and if the streams are not of one kind.
    fn lstm_batch_q[&Kernels](states: &mut [LayerState<'_>], gates: &GateRows<'_>, x: &[Inputs<'_>], tables: &Tables, cell_shift: u8) {
        check_batch(states, gates, x, LSTM);
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
    } => step_q(STREAMS, LSTM, Kernels::lstm_batch_q);

    /// A step of a GRU layer for several streams, an input for each.
    ///
    /// # Panics
    /// As [`Self::gru_step_q`], and if the streams are not of one kind.
    fn gru_batch_q[&Kernels](states: &mut [LayerState<'_>], gates: &GateRows<'_>, x: &[Inputs<'_>], tables: &Tables) {
        check_batch(states, gates, x, GRU);
    } => step_q(STREAMS, GRU, |k, s, g, x, t, _| k.gru_batch_q(s, g, x, t));

    /// A step of a tanh layer for several streams, an input for each.
    ///
    /// # Panics
    /// As [`Self::rnn_step_q`], and if the streams are not of one kind.
    fn rnn_batch_q[&Kernels](states: &mut [LayerState<'_>], gates: &GateRows<'_>, x: &[Inputs<'_>], tables: &Tables) {
        check_batch(states, gates, x, RNN);
    } => step_q(STREAMS, RNN, |k, s, g, x, t, _| k.rnn_batch_q(s, g, x, t));

    /// [`Self::gemv_f32`] for several streams.
    ///
    /// # Panics
    /// As that, if the streams differ in length, or their sums overlap.
    fn gemm_f32[&Kernels](sums: &mut [Panel<f32>], w: &[f32], streams: Streams<'_>, panels: Panels) {
        streams.check(sums.len(), w.len(), panels);
    } => gemm(Kernels::gemm_f32);

    /// [`Self::gemv_f16`] for several streams.
    ///
    /// # Panics
    /// As [`Self::gemm_f32`].
    fn gemm_f16[&Kernels](sums: &mut [Panel<f32>], w: &[f16], streams: Streams<'_>, panels: Panels) {
        streams.check(sums.len(), w.len(), panels);
    } => gemm(Kernels::gemm_f16);

    /// A step of a packed LSTM layer: a record is a unit's `i, f, g, o`.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`), or `cell_shift` exceeds
    /// [`MAX_CELL_SHIFT`].
    #[cfg_attr(not(one_table), inline(always))]
    fn lstm_a8(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>, cell_shift: u8) {
        units.check(rows.len(), four_record(columns.words.len()), 1);
        columns.check_a8(units);
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
    } => packed((four_record, 1), |k, u, w, x, s| k.lstm_a8(u, w, x, s));

    /// A step of a packed LSTM layer: a record is a unit's `i, f, g, o`.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`), or `cell_shift` exceeds
    /// [`MAX_CELL_SHIFT`].
    #[cfg_attr(not(one_table), inline(always))]
    fn lstm_a16(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>, cell_shift: u8) {
        units.check(rows.len(), four_record(columns.words.len()), 1);
        columns.check_a16();
        assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
    } => packed((four_record, 1), |k, u, w, x, s| k.lstm_a16(u, w, x, s));

    /// A step of a packed GRU layer that resets after the product.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[cfg_attr(not(one_table), inline(always))]
    fn gru_a8(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), gru_a8_record(columns.words.len()), 2);
        columns.check_a8(units);
    } => packed((gru_a8_record, 2), |k, u, w, x, _| k.gru_a8(u, w, x));

    /// A step of a packed GRU layer that resets after the product.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[cfg_attr(not(one_table), inline(always))]
    fn gru_a16(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), gru_a16_record(columns.words.len()), 1);
        columns.check_a16();
    } => packed((gru_a16_record, 1), |k, u, w, x, _| k.gru_a16(u, w, x));

    /// A step of a packed tanh layer: a record is four units.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[cfg_attr(not(one_table), inline(always))]
    fn rnn_a8(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), four_record(columns.words.len()), 4);
        columns.check_a8(units);
    } => packed((four_record, 4), |k, u, w, x, _| k.rnn_a8(u, w, x));

    /// A step of a packed tanh layer: a record is four units.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, or columns are not whole
    /// blocks (of eight for the state of `A8` layers, of four in `A16`).
    #[cfg_attr(not(one_table), inline(always))]
    fn rnn_a16(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), four_record(columns.words.len()), 4);
        columns.check_a16();
    } => packed((four_record, 4), |k, u, w, x, _| k.rnn_a16(u, w, x));

    /// `z = tanh(z)`.
    fn tanh_f32(z: &mut [Panel<f32>]) {} => in_place(Kernels::tanh_f32);

    /// `z = sigmoid(z)`.
    fn sigmoid_f32(z: &mut [Panel<f32>]) {} => in_place(Kernels::sigmoid_f32);

    /// LSTM state update in f32, panels as in [`Self::lstm_q`].
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `c`, or `h` differs in length from `c`.
    fn lstm_f32(c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
        assert!(z.len() == 4 * c.len() && h.len() == c.len(), "lstm lengths");
    } => lstm_f32();

    /// GRU state update in f32, panels as in [`Self::gru_q`]; `next` may not alias `h`, which other
    /// units still need.
    ///
    /// # Panics
    /// If `z` is not four panels per panel of `h`, or `next` differs in length from `h`.
    fn gru_f32(next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
        assert!(
            z.len() == 4 * h.len() && next.len() == h.len(),
            "gru lengths"
        );
    } => gru_f32();
}
