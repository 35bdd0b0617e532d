//! Layers whose rows are packed for Cortex-M4 ([`Layout::CortexM4`](crate::format::Layout)): the whole step is
//! one primitive, on input and state side by side.

use super::Spec;
use crate::format::{Cell, Format, LoadError, Tensors, attempt, pad};
use crate::kernel::{
    BLOCK, CellQ, Columns, FOUR, Hidden, Inputs, Kernels, LANES, LayerState, SHIFT_A8, SHIFT_A16,
    Units,
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

/// Words (`i32`) of the one tensor that a layer of [`Layout::CortexM4`](crate::format::Layout) has; none for
/// cells and formats that keep the tensors of the portable layout.
pub const fn packed_rows(
    cell: Cell,
    format: Format,
    inputs: usize,
    hidden: usize,
) -> Option<usize> {
    match CellQ::packed(cell, format) {
        Some(cell) => Some(cell.rows(format, inputs, hidden)),
        None => None,
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
    let (x_unit, h_unit) = if matches!(format, Format::W8A8) {
        (2, LANES)
    } else {
        (BLOCK, BLOCK)
    };
    let x = pad(inputs, x_unit) / 2;
    (x, x + pad(hidden, h_unit) / 2)
}

/// Scratch of a packed layer, in words: input and state as `i16`.
pub(crate) const fn work(format: Format, inputs: usize, hidden: usize) -> usize {
    words(format, inputs, hidden).1
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
            requant_shift,
            ..
        } = spec;
        let narrow = matches!(format, Format::W8A8);
        if requant_shift != if narrow { SHIFT_A8 } else { SHIFT_A16 } {
            return Err(LoadError::Value {
                what: "requantization shift of a packed layer:",
                index: requant_shift as usize,
            });
        }
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
fn widen(words: &mut [i32], x: &[i8]) {
    for (to, x) in words.iter_mut().zip(x.as_chunks().0) {
        let [low, high] = *x;
        *to = word(low as i16, high as i16);
    }
}

/// An odd column stands beside a zero.
#[inline(always)]
fn copy(words: &mut [i32], x: &[i16]) {
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
