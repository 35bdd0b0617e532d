//! Embedding: a token's row of a table. Integer rows are a recurrent layer's inputs as they lie in the file, so a
//! look-up copies nothing; other layers read a buffer, into which the row is widened.

use super::FloatMatrix;
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::Inputs;
use core::ops::Range;

#[derive(Debug, Clone, Copy)]
enum Table<'a> {
    Float(FloatMatrix<'a>),
    I8(&'a [i8]),
    I16(&'a [i16]),
}

/// An embedding layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Embedding<'a> {
    vocab: usize,
    dim: usize,
    row: usize,
    table: Table<'a>,
    /// An integer row goes into a buffer: in firmware with feature `conv`.
    widens: bool,
}

impl<'a> Embedding<'a> {
    /// Tensor: `[vocab + 1, columns]`; the last row is zero, for what is no token.
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        format: Format,
        vocab: usize,
        dim: usize,
        widens: bool,
    ) -> Result<Self, LoadError> {
        let row = format.columns(dim);
        let len = (vocab + 1) * row;
        let table = match format {
            Format::F32 | Format::F16 => Table::Float(attempt!(FloatMatrix::take(t, format, len))),
            Format::W8A8 | Format::W4A8 => Table::I8(attempt!(t.take(len))),
            Format::W8A16 => Table::I16(attempt!(t.take(len))),
        };
        Ok(Embedding {
            vocab,
            dim,
            row,
            table,
            widens,
        })
    }

    /// Puts the vector into a buffer as activations, of 2^-12; false if it is read where it lies.
    #[cfg_attr(one_table, inline(always))]
    #[cfg_attr(not(one_table), inline(never))]
    pub(crate) fn widen(&self, token: Option<usize>, x: &mut [i16]) -> bool {
        let widens = cfg!(conv) && self.widens;
        if widens {
            match self.row(token) {
                Inputs::I8(row) => {
                    for (x, &w) in x.iter_mut().zip(row) {
                        *x = i16::from(w) << 5;
                    }
                }
                Inputs::I16(row) => {
                    for (x, &w) in x.iter_mut().zip(row) {
                        *x = w;
                    }
                }
            }
        }
        widens
    }

    /// The table's row of a token; the last row, of zeros, for a number that is no token.
    #[inline(always)]
    fn range(&self, token: Option<usize>) -> Range<usize> {
        let token = token.map_or(self.vocab, |token| token.min(self.vocab));
        token * self.row..(token + 1) * self.row
    }

    /// The vector in f32. Where layers are known when the code is compiled, part of the walk over them; else a call, for which
    /// layers of other kinds prepare nothing.
    #[cfg_attr(one_table, inline(always))]
    #[cfg_attr(not(one_table), inline(never))]
    pub(crate) fn look_up(&self, token: Option<usize>, x: &mut [f32]) {
        let range = self.range(token);
        match self.table {
            Table::Float(FloatMatrix::F32(table)) => x[..self.dim].copy_from_slice(&table[range]),
            Table::Float(FloatMatrix::F16(table)) => {
                for (x, w) in x.iter_mut().zip(&table[range]) {
                    *x = w.to_f32_const();
                }
            }
            Table::I8(_) | Table::I16(_) => {}
        }
    }

    /// The vector as a matrix input.
    #[inline(always)]
    pub(crate) fn row(&self, token: Option<usize>) -> Inputs<'a> {
        let range = self.range(token);
        match self.table {
            Table::I8(table) => Inputs::I8(&table[range]),
            Table::I16(table) => Inputs::I16(&table[range]),
            Table::Float(_) => Inputs::I8(&[]),
        }
    }
}
