//! The contract between a CPU and all that runs on it: one list of primitives, and one promise that makes each safe.
//!
//! An entry of the list is a primitive's arguments, and what must hold between them. From it come the table's field, the
//! method of [`Kernels`] that proves the lengths before the one unsafe call, and the comparison with the scalar table: a
//! primitive that is not checked cannot be written down.
//!
//! There are few of them: which cell, weights, inputs or curve is an argument, and one stream is a batch of one. In firmware,
//! where the table is a type, such an argument is known and folds away: images with an RNN, a GRU or an LSTM and a dense
//! layer on Cortex-M0 and M4 were of the same size or smaller than with a primitive for each, and as free of panics. Where a
//! table is called through pointers, the choice takes up to 100 instructions a step on a Cortex-M0 (5 % of the smallest RNN,
//! less than 1 % of (7, 32)), 20 on an M4.

#[cfg(any(feature = "check", test))]
use super::check::{Mismatch, Run};
#[cfg(any(feature = "check", test))]
use super::definition::SCALAR;
use super::views::check_batch;
use super::*;

macro_rules! kernels {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident$([$kernels:ty])?($($argument:ident: $type:ty),*) $check:block
    )*) => {
        /// The functions of one instruction set. All pointers are `unsafe fn` because some need CPU features; a
        /// table is only handed out where the CPU has them, and lengths are checked by the methods of [`Kernels`].
        #[derive(Clone, Copy)]
        pub(super) struct Table {
            pub(super) name: &'static str,
            /// Floats are multiplied and added in one rounding, or in another order: they differ from the scalar table's in
            /// their last bits. Integers never do.
            pub(super) fused: bool,
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
                run.primitive = stringify!($name);
                run.$name(&one)?;
            )*
            Ok(())
        }
    };
}

kernels! {
    /// `sums += W x` in f32 for several streams, each column by column.
    ///
    /// # Panics
    /// If the weights are not whole groups of panels of as many columns as the streams have, the sums are too few, or those of
    /// streams overlap.
    fn float_product(sums: &mut [Panel<f32>], w: FloatMatrix<'_>, streams: Streams<'_>, panels: Panels) {
        streams.check(sums.len(), w.weights(), panels);
    }

    /// `sums += W x` in wrapping i32.
    ///
    /// # Panics
    /// If the weights are not whole groups of panels of so many columns, the sums are too few, or columns are not whole
    /// blocks (of four-bit weights double ones, and at most [`MAX_W4_COLUMNS`]).
    #[cfg_attr(not(one_table), inline)]
    fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
        panels.check(sums.len(), w.weights(), x.columns());
        w.check_columns(x.columns());
    }

    /// `sums += W x` in wrapping i32 for so many inputs of one length, one behind the other, as their sums are.
    ///
    /// # Panics
    /// If inputs and sums cannot be divided so, the weights are not as many panels over these columns as an input has sums, or as
    /// [`Self::product`].
    #[cfg_attr(not(one_table), inline)]
    fn products[&Kernels](sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, count: usize) {
        let whole = count > 0 && sums.len().is_multiple_of(count) && x.columns().is_multiple_of(count);
        assert!(whole, "inputs are not of one length");
        let (panels, columns) = (sums.len() / count, x.columns() / count);
        // A table may go from sum to sum, and read weights for each.
        let rows = Panels::DENSE.check(panels, w.weights(), columns);
        assert!(rows == panels, "not as many panels as sums");
        w.check_columns(columns);
    }

    /// Pre-activations of a recurrent layer's gates: `z = requant(bias + W_ih x + W_hh h)`.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or there are more gates than a step
    /// computes together.
    fn gates_q[&Kernels](z: &mut [Panel<i16>], gates: GateRows<'_>, x: Inputs<'_>, h: Inputs<'_>) {
        gates.check(x, h.columns());
        assert!(z.len() == gates.bias.len(), "gate rows");
        assert!(z.len() <= MAX_PANELS, "too many gates at once");
    }

    /// `z = saturate16(mulhi_round(sum << shift, m))`.
    ///
    /// # Panics
    /// If the lengths differ or `shift` exceeds 31.
    fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
        assert!(
            z.len() == sums.len() && z.len() == m.len() && shift < 32,
            "requant lengths"
        );
    }

    /// `y = f(z)` in Q31.
    ///
    /// # Panics
    /// If the lengths differ.
    fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        assert!(y.len() == z.len(), "activation lengths");
    }

    /// Update of a cell's state by its gates, as many panels of `z` per panel of units as its order says: of an LSTM
    /// `i, f, g, o`, `c' = f c + i g` and `y = o tanh(c')` (2^-12); of a GRU `nx, r, z, nh`, `n = tanh(nx + r nh)` and
    /// `h' = n + z (h − n)` in Q29; of a tanh layer `h' = tanh(z)` in Q29. The outputs of the latter two are their states,
    /// rounded, and `y` is left alone.
    ///
    /// # Panics
    /// If `z` is not as many panels, `y` differs in length from `master`, or a cell's shift exceeds [`MAX_CELL_SHIFT`].
    fn update_q(cell: CellQ, master: &mut [Panel<i32>], y: &mut [Panel<i16>], z: &[Panel<i16>], tables: &Tables) {
        let [_, _, stride] = cell.order().panels();
        assert!(z.len() == stride * master.len() && y.len() == master.len(), "lengths of an update");
        cell.check();
    }

    /// A step of a layer for several streams of one kind, an input for each.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, the gates are not those of the cell, the streams
    /// are not of one kind, or a cell's shift exceeds [`MAX_CELL_SHIFT`].
    #[cfg_attr(not(one_table), inline)]
    fn step_q[&Kernels](cell: CellQ, states: &mut [LayerState<'_>], gates: &GateRows<'_>, x: &[Inputs<'_>], tables: &Tables) {
        check_batch(states, gates, x, cell.order());
        cell.check();
    }

    /// A step of a packed layer: `A8` if the units have a state of eight bits, `A16` if not.
    ///
    /// # Panics
    /// If the rows are not whole records over these columns, there are too few units, columns are not whole blocks (of eight
    /// for the state of `A8` layers, of four in `A16`), or a cell's shift exceeds [`MAX_CELL_SHIFT`].
    #[cfg_attr(not(one_table), inline(always))]
    fn packed(cell: CellQ, units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
        units.check(rows.len(), cell.record(units.h.is_some(), columns.words.len()));
        columns.check(units);
        cell.check();
    }

    /// Pre-activations of packed rows whose units are updated by their cell: a record of four for every four of `z`, over words
    /// of two columns.
    ///
    /// # Panics
    /// If the rows are not so many records over these columns, there are no columns, or those of `W8A16` are not whole blocks
    /// of four.
    fn records(z: &mut [Panel<i16>], rows: &[i32], columns: &[i32], form: FourRows) {
        let whole = form != FourRows::W8A16 || columns.len().is_multiple_of(2);
        assert!(!columns.is_empty() && whole, "columns of records");
        let rows_of_z = z.as_flattened().len() / FOUR;
        assert!(rows_of_z.checked_mul(form.record(columns.len())) == Some(rows.len()), "rows are not a record for every four");
    }

    /// `z = f(z)`.
    fn curve_f(curve: Curve, z: &mut [Panel<f32>]) {}

    /// A step of a layer in f32.
    ///
    /// # Panics
    /// If lengths do not belong together, or the gates are not those of the cell.
    #[cfg_attr(not(one_table), inline)]
    fn step_f[&Kernels](cell: CellF, state: FloatState<'_>, gates: &Gates<'_>, x: &[f32]) {
        state.check(cell, gates, x);
    }

    /// Update of a cell's state in f32 and its outputs `y`, gates as in [`Self::update_q`].
    ///
    /// # Panics
    /// If `z` is not four panels per panel of units, or `y` differs in length from the state.
    fn update_f(state: StateF<'_>, y: &mut [Panel<f32>], z: &[Panel<f32>]) {
        let units = state.units();
        assert!(z.len() == 4 * units && y.len() == units, "lengths of an update");
    }
}
