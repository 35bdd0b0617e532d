//! The layers: equations, then code, side by side.
//!
//! A recurrent layer works in tiles of units. For a tile the sums start at the bias, take the products
//! with the input and with the old state, become pre-activations, and update the tile's part of the
//! state; the new matrix input is published only after the last tile, since every tile reads the old
//! one. Results do not depend on the size of a tile. In integers such a step is one primitive of the kernels.

mod batch;
mod conv;
mod coupled;
mod dense;
mod embedding;
mod fastgrnn;
mod functions;
mod gru;
mod gru_before;
mod join;
mod layer;
mod lstm;
mod lstm_other;
mod mingru;
mod norm;
mod packed;
mod peephole;
#[cfg(records)]
mod records;
mod recurrent;
mod rnn;

pub(crate) use batch::{GROUP, MOST, Stream};
pub(crate) use conv::{Conv, Rows};
pub(crate) use dense::{Dense, DenseSpec};
pub(crate) use embedding::Embedding;
pub(crate) use join::{Join, Keep};
pub(crate) use norm::Norm;
pub use packed::{PackedRows, packed_rows};
pub(crate) use recurrent::Recurrent;

use crate::format::{Cell, Format, Layout, LoadError, Tensors, attempt};
use crate::kernel::{
    CellQ, FloatMatrix, GATES, GateOrder, GateRows, Gates, IntMatrix, LANES, TILE, tiles,
};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables};

/// Panels that hold `n` rows.
pub(crate) const fn panels(n: usize) -> usize {
    n.div_ceil(LANES)
}

/// Gives every one of some units what becomes of its number and of what it has. In place: a panel that is made first and then
/// copied is a call in an image that is built small.
#[inline(always)]
fn each_unit<T: Copy, const N: usize>(units: &mut [T; N], mut becomes: impl FnMut(usize, T) -> T) {
    for (number, unit) in units.iter_mut().enumerate() {
        *unit = becomes(number, *unit);
    }
}

/// Sizes of a recurrent layer, as the header has them, and how its rows lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) cell: Cell,
    pub(crate) format: Format,
    pub(crate) layout: Layout,
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
    pub(crate) requant_shift: u8,
    /// Integer gates up to ±16, see [`crate::num`].
    pub(crate) slow: bool,
    /// Rows are packed four a record.
    pub(crate) records: bool,
}

impl Spec {
    /// What its rows are in the layout of Cortex-M4, where this is that layout and it has such rows.
    #[inline(always)]
    const fn packed(&self) -> Option<CellQ> {
        match self.layout {
            Layout::CortexM4 if !self.slow => CellQ::packed(self.cell, self.format),
            _ => None,
        }
    }
}

/// Activation tables of an integer format.
fn tables(format: Format) -> &'static Tables {
    if cfg!(not(w8a16)) || format.is_a8() {
        &SEGMENTS_256
    } else {
        &SEGMENTS_512
    }
}

impl<'a> FloatMatrix<'a> {
    const fn take(t: &mut Tensors<'a>, format: Format, len: usize) -> Result<Self, LoadError> {
        Ok(match format {
            Format::F16 => FloatMatrix::F16(attempt!(t.take(len))),
            _ => FloatMatrix::F32(attempt!(t.take(len))),
        })
    }
}

/// Which [`IntMatrix`] an integer matrix is.
#[derive(Debug, Clone, Copy)]
enum IntForm {
    I8,
    I4,
    Rows,
    U8,
}

impl IntForm {
    /// Of a dense layer, in every layout.
    const fn dense(format: Format) -> Self {
        match format {
            Format::W4A8 => IntForm::I4,
            _ => IntForm::I8,
        }
    }

    /// Of a recurrent layer.
    const fn recurrent(format: Format, layout: Layout) -> Self {
        match (format, layout) {
            (Format::W8A8 | Format::W8A16, Layout::CortexM55) => IntForm::Rows,
            (Format::W8A8 | Format::W8A16, Layout::CortexM0) => IntForm::U8,
            _ => IntForm::dense(format),
        }
    }
}

/// Weights of an integer matrix.
const fn take_int<'a>(
    t: &mut Tensors<'a>,
    form: IntForm,
    weights: usize,
) -> Result<IntMatrix<'a>, LoadError> {
    Ok(match form {
        IntForm::I8 => IntMatrix::I8(attempt!(t.take(weights))),
        IntForm::I4 => IntMatrix::I4(attempt!(t.take(weights / 2))),
        IntForm::Rows => IntMatrix::Rows(attempt!(t.take(weights))),
        IntForm::U8 => IntMatrix::U8(attempt!(t.take(weights))),
    })
}

/// The gates of a float layer. Tensors: `w_ih`, `w_hh`, bias.
const fn take_gates<'a>(
    t: &mut Tensors<'a>,
    order: GateOrder,
    spec: Spec,
) -> Result<Gates<'a>, LoadError> {
    let Spec {
        format,
        inputs,
        hidden,
        ..
    } = spec;
    let units = panels(hidden);
    let [ih, hh, stride] = order.panels();
    let w_ih = attempt!(FloatMatrix::take(t, format, units * ih * LANES * inputs));
    let w_hh = attempt!(FloatMatrix::take(t, format, units * hh * LANES * hidden));
    let bias = attempt!(t.take(units * stride));
    Ok(Gates::new(
        order,
        units,
        (w_ih, inputs),
        (w_hh, hidden),
        bias,
    ))
}

/// The gates of an integer layer. Tensors: `w_ih`, `w_hh`, bias, row multipliers.
const fn take_rows<'a>(
    t: &mut Tensors<'a>,
    order: GateOrder,
    spec: Spec,
) -> Result<GateRows<'a>, LoadError> {
    let Spec {
        format,
        layout,
        inputs,
        hidden,
        requant_shift: shift,
        ..
    } = spec;
    let form = IntForm::recurrent(format, layout);
    let units = panels(hidden);
    let [ih, hh, stride] = order.panels();
    if shift > 31 {
        return Err(LoadError::Size {
            what: "requantization shift",
            found: shift as usize,
            max: 31,
        });
    }
    let (x, h) = (format.columns(inputs), format.columns(hidden));
    let w_ih = attempt!(take_int(t, form, units * ih * LANES * x));
    let w_hh = attempt!(take_int(t, form, units * hh * LANES * h));
    let bias = attempt!(t.take(units * stride));
    let m = attempt!(t.take(units * stride));
    let (w_ih, w_hh) = ((w_ih, x), (w_hh, h));
    Ok(GateRows::new(order, units, w_ih, w_hh, (bias, m), shift))
}

/// The gates of a layer whose rows lie in panels in every layout.
#[derive(Debug, Clone, Copy)]
enum AnyGates<'a> {
    Float(Gates<'a>),
    Integer(GateRows<'a>),
}

impl<'a> AnyGates<'a> {
    // Once in an image, for all cells.
    #[inline(never)]
    const fn take(t: &mut Tensors<'a>, order: GateOrder, spec: Spec) -> Result<Self, LoadError> {
        if !spec.format.is_integer() {
            return Ok(AnyGates::Float(attempt!(take_gates(t, order, spec))));
        }
        Ok(AnyGates::Integer(attempt!(take_rows(t, order, spec))))
    }
}
