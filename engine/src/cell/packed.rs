//! Layers whose rows are packed for Cortex-M4 ([`Layout::CortexM4`](crate::format::Layout)), on input and state side by side:
//! of LSTM, GRU and tanh layers with weights of eight bits the whole step is one primitive; others have records of four rows, and
//! update their units from pre-activations as everywhere.

use super::{Recurrent, Spec, panels};
use crate::format::{Cell, Format, LoadError, Reset, Tensors, attempt, pad};
use crate::kernel::{
    BLOCK, CellQ, Columns, FOUR, FourRows, GateOrder, Hidden, Inputs, Kernels, LANES, LayerState,
    SHIFT_A8, SHIFT_A16, Units,
};

impl CellQ {
    /// The cell of a layer that has records, of whatever range.
    pub(super) const fn packed(cell: Cell, format: Format) -> Option<CellQ> {
        match (format, cell) {
            (Format::W8A8 | Format::W8A16, Cell::Lstm) => Some(CellQ::Lstm { cell_shift: 0 }),
            (Format::W8A8 | Format::W8A16, Cell::RnnTanh) => Some(CellQ::Rnn),
            (Format::W8A8 | Format::W8A16, Cell::GruResetAfter) => Some(CellQ::Gru),
            _ => None,
        }
    }

    /// Words of all records of a layer. Units of padding have rows as well: they are part of a state, which is the same in
    /// every layout.
    const fn rows(self, format: Format, inputs: usize, hidden: usize) -> usize {
        let (_, words) = words(format, inputs, hidden);
        let record = self.record(matches!(format, Format::W8A8), words);
        pad(hidden, LANES) / record.units * record.words
    }
}

/// How a layer is packed in [`Layout::CortexM4`](crate::format::Layout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedRows {
    /// Words (`i32`) of the one tensor that its rows are.
    pub words: usize,
    /// In records of four rows, of whatever cell: a layer that has them says so by [`RECORDS`](crate::format::RECORDS), one
    /// without it has the tensors of the portable layout.
    pub records: bool,
}

/// The packed rows of a layer, whose gates may be [`SLOW`](crate::format::SLOW); none for cells and formats that keep the
/// tensors of the portable layout.
pub const fn packed_rows(
    cell: Cell,
    format: Format,
    slow: bool,
    inputs: usize,
    hidden: usize,
) -> Option<PackedRows> {
    match CellQ::packed(cell, format) {
        Some(cell) if !slow => Some(PackedRows {
            words: cell.rows(format, inputs, hidden),
            records: false,
        }),
        _ => match four_rows(cell, format) {
            Some(form) => {
                let (x, all) = record_words(cell, format, inputs, hidden);
                let mut words = 0;
                let runs = Recurrent::order(cell).runs(x, all);
                let mut left = runs.as_slice();
                while let [[sums, from, to], others @ ..] = left {
                    words += *sums * (LANES / FOUR) * form.record(*to - *from);
                    left = others;
                }
                Some(PackedRows {
                    words: panels(hidden) * words,
                    records: true,
                })
            }
            None => None,
        },
    }
}

/// What the records of a layer are, if it may have them: cells that do not reset before the product.
pub(super) const fn four_rows(cell: Cell, format: Format) -> Option<FourRows> {
    match (format, cell.resets()) {
        (_, Some(Reset::Before)) => None,
        (Format::W8A8, _) => Some(FourRows::W8A8),
        (Format::W8A16, _) => Some(FourRows::W8A16),
        (Format::W4A8, _) => Some(FourRows::W4A8),
        (Format::F32 | Format::F16, _) => None,
    }
}

impl GateOrder {
    /// How many sums of a unit see the same columns, and which of so many words of two columns, of which the first are the
    /// input's: the input's alone, all, the state's alone.
    pub(super) const fn runs(self, x: usize, words: usize) -> [[usize; 3]; 3] {
        let [of_x, of_h, all] = self.panels();
        [
            [all - of_h, 0, x],
            [of_x + of_h - all, 0, words],
            [all - of_x, x, words],
        ]
    }
}

/// The packed rows of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    rows: &'a [i32],
    /// Words of two columns that the input takes.
    x: usize,
    /// Words that input and state take.
    words: usize,
}

/// Words of two columns: of the input, of input and state.
const fn words(format: Format, inputs: usize, hidden: usize) -> (usize, usize) {
    let (of_x, of_h) = if format.is_a8() {
        (2, LANES)
    } else {
        (BLOCK, BLOCK)
    };
    let x = pad(inputs, of_x) / 2;
    (x, x + pad(hidden, of_h) / 2)
}

/// The same of a cell with records of four rows, which may not see the state.
pub(super) const fn record_words(
    cell: Cell,
    format: Format,
    inputs: usize,
    hidden: usize,
) -> (usize, usize) {
    let (x, words) = words(format, inputs, hidden);
    let [_, state, _] = Recurrent::order(cell).panels();
    (x, if state == 0 { x } else { words })
}

/// Scratch of a packed layer, in words: input and state as `i16`.
pub(crate) const fn work(spec: Spec) -> usize {
    if cfg!(records) && spec.records {
        return record_words(spec.cell, spec.format, spec.inputs, spec.hidden).1;
    }
    words(spec.format, spec.inputs, spec.hidden).1
}

/// A layer that says of rows in records what its cell has not.
pub(super) const fn no_records(spec: Spec) -> LoadError {
    LoadError::Value {
        what: "records of rows in a layer without:",
        index: spec.cell as usize,
    }
}

/// Refuses a shift that sums of packed rows do not have.
pub(super) const fn check_shift(spec: Spec) -> Result<(), LoadError> {
    let shift = if spec.format.is_a8() {
        SHIFT_A8
    } else {
        SHIFT_A16
    };
    if spec.requant_shift != shift {
        return Err(LoadError::Value {
            what: "requantization shift of a packed layer:",
            index: spec.requant_shift as usize,
        });
    }
    Ok(())
}

impl<'a> Packed<'a> {
    /// Tensor: the records.
    pub(super) const fn take(
        t: &mut Tensors<'a>,
        spec: Spec,
        cell: CellQ,
    ) -> Result<Self, LoadError> {
        let Spec {
            format,
            inputs,
            hidden,
            ..
        } = spec;
        attempt!(check_shift(spec));
        let (x, words) = words(format, inputs, hidden);
        let rows = attempt!(t.take(cell.rows(format, inputs, hidden)));
        Ok(Packed { rows, x, words })
    }

    /// One step of a layer of this cell. In `A8` layers `x` need not be whole blocks.
    #[inline(always)]
    pub(super) fn step(
        &self,
        k: &Kernels,
        cell: CellQ,
        x: Inputs<'_>,
        state: LayerState<'_>,
        work: &mut [i32],
    ) {
        let (master, h, y) = state.into_parts();
        let words = &mut work[..self.words];
        let (x_words, h_words) = words.split_at_mut(self.x);
        match x {
            Inputs::I8(x) => widen(x_words, x),
            Inputs::I16(x) => copy(x_words, x),
        }
        if let Hidden::I16(h) = &h {
            copy(h_words, h);
        }
        let columns = &mut Columns::new(words, self.x);
        let (master, y_flat) = (master.as_flattened_mut(), y.as_flattened_mut());
        match h {
            Hidden::I8(h) => {
                let units = &mut Units::new(master, y_flat, Some(h));
                k.packed(cell, units, self.rows, columns);
            }
            // What the loader refused: no kernel for it is linked.
            Hidden::I16(_) if cfg!(not(w8a16)) => {}
            Hidden::I16(h) => {
                let units = &mut Units::new(master, y_flat, None);
                k.packed(cell, units, self.rows, columns);
                let done = y_flat.len().min(h.len());
                h[..done].copy_from_slice(&y_flat[..done]);
            }
        }
    }
}

const fn word(low: i16, high: i16) -> i32 {
    low as u16 as i32 | (high as i32) << 16
}

#[inline(always)]
pub(super) fn widen(words: &mut [i32], x: &[i8]) {
    for (to, x) in words.iter_mut().zip(x.as_chunks().0) {
        let [low, high] = *x;
        *to = word(low as i16, high as i16);
    }
}

/// An odd column stands beside a zero.
#[inline(always)]
pub(super) fn copy(words: &mut [i32], x: &[i16]) {
    let (pairs, odd) = x.as_chunks();
    let mut words = words.iter_mut();
    for (&[low, high], to) in pairs.iter().zip(words.by_ref()) {
        *to = word(low, high);
    }
    if let (&[last], Some(to)) = (odd, words.next()) {
        *to = word(last, 0);
    }
}

// A state is read in whole blocks, and eight at a time.
const _: () = assert!(LANES == 8 && LANES.is_multiple_of(BLOCK) && LANES.is_multiple_of(FOUR));
