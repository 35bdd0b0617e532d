//! From the inputs of a recurrent layer to the pre-activations of its gates, in integers: bias, product with
//! the input, product with the state, requantization.
//!
//! The definition is the composition of the primitives. A table may compute the same in one go, so that sums stay
//! in registers.

use super::{BLOCK, Kernels, LANES, MAX_W4_COLUMNS, Panel, Panels};
use core::ops::Range;

/// Sum panels that a step computes together at the most.
pub(crate) const MAX_PANELS: usize = if cfg!(target_pointer_width = "64") {
    16
} else {
    4
};
/// Gates per unit at the most.
pub(crate) const GATES: usize = 4;
/// Panels of units per tile: few calls on a large machine, little stack on the others.
pub(crate) const TILE: usize = MAX_PANELS / GATES;

/// The ranges of panels that are computed together.
pub(crate) fn tiles(panels: usize) -> impl Iterator<Item = Range<usize>> {
    (0..panels)
        .step_by(TILE)
        .map(move |start| start..(start + TILE).min(panels))
}

/// The weights of a tile.
pub(crate) fn weights(tile: &Range<usize>, panels: Panels, columns: usize) -> Range<usize> {
    let per_panel = panels.group * LANES * columns;
    tile.start * per_panel..tile.end * per_panel
}

/// Weights of an integer layer, panel by panel.
#[derive(Debug, Clone, Copy)]
pub enum IntMatrix<'a> {
    /// A byte each.
    I8(&'a [i8]),
    /// A byte each, as `w + 128`.
    U8(&'a [u8]),
    /// Half a byte each, as [`Kernels::gemv_w4a8`] takes them.
    I4(&'a [u8]),
    /// A byte each, row after row, as [`Kernels::gemv_rows_a8`] takes them.
    Rows(&'a [i8]),
}

impl<'a> IntMatrix<'a> {
    /// Number of weights.
    pub fn weights(self) -> usize {
        match self {
            IntMatrix::I8(w) | IntMatrix::Rows(w) => w.len(),
            IntMatrix::U8(w) => w.len(),
            IntMatrix::I4(w) => 2 * w.len(),
        }
    }

    /// Some of the weights; `range` has whole panels.
    #[inline(always)]
    pub(crate) fn part(self, range: Range<usize>) -> IntMatrix<'a> {
        match self {
            IntMatrix::I8(w) => IntMatrix::I8(&w[range]),
            IntMatrix::U8(w) => IntMatrix::U8(&w[range]),
            IntMatrix::I4(w) => IntMatrix::I4(&w[range.start / 2..range.end / 2]),
            IntMatrix::Rows(w) => IntMatrix::Rows(&w[range]),
        }
    }

    /// Panics unless columns are whole blocks.
    #[inline(always)]
    pub(super) fn check_columns(self, columns: usize) {
        let block = match self {
            IntMatrix::I8(_) | IntMatrix::U8(_) | IntMatrix::Rows(_) => BLOCK,
            IntMatrix::I4(_) => 2 * BLOCK,
        };
        assert!(
            columns >= 1 && columns.is_multiple_of(block),
            "columns are not whole blocks"
        );
        assert!(
            columns <= MAX_W4_COLUMNS || block == BLOCK,
            "too many columns"
        );
    }
}

/// What an integer layer multiplies its matrix with: the sample of the first layer of a `W8A8` or `W4A8` model
/// and everything in `W8A16` is `i16`, the rest `i8`.
#[derive(Debug, Clone, Copy)]
pub enum Inputs<'a> {
    /// In units of 2^-7.
    I8(&'a [i8]),
    /// In units of 2^-7 or 2^-12.
    I16(&'a [i16]),
}

impl Inputs<'_> {
    /// Number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Inputs::I8(x) => x.len(),
            Inputs::I16(x) => x.len(),
        }
    }

    /// Where they start, of whatever kind.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn bytes(&self) -> *const u8 {
        match self {
            Inputs::I8(x) => x.as_ptr().cast(),
            Inputs::I16(x) => x.as_ptr().cast(),
        }
    }

    /// Of the same kind and length.
    #[inline(always)]
    pub(super) fn is_like(&self, other: &Inputs<'_>) -> bool {
        matches!(self, Inputs::I8(_)) == matches!(other, Inputs::I8(_))
            && self.columns() == other.columns()
    }
}

/// Gates of some panels of units. A panel of units has `stride` sum panels, of which the input's matrix fills the
/// first `ih` and the state's matrix the last `hh`.
#[derive(Debug, Clone, Copy)]
pub struct GateRows<'a> {
    /// Panels of units.
    pub units: usize,
    /// Sum panels of a panel of units that have weights for the input.
    pub ih: usize,
    /// Sum panels of a panel of units that have weights for the state.
    pub hh: usize,
    /// Sum panels of a panel of units.
    pub stride: usize,
    /// Weights for the input.
    pub w_ih: IntMatrix<'a>,
    /// Weights for the state.
    pub w_hh: IntMatrix<'a>,
    /// What sums start at.
    pub bias: &'a [Panel<i32>],
    /// Row multipliers of the requantization.
    pub m: &'a [Panel<i32>],
    /// Shift of the requantization.
    pub shift: u8,
}

impl GateRows<'_> {
    /// Panics unless all lengths belong together.
    #[inline(always)]
    pub(super) fn check(&self, z: usize, x: usize, h: usize) {
        let GateRows {
            units,
            ih,
            hh,
            stride,
            ..
        } = *self;
        assert!(
            (1..=stride).contains(&ih) && (1..=stride).contains(&hh),
            "gates outside the stride"
        );
        assert!(
            z == units * stride && self.bias.len() == z && self.m.len() == z && self.shift < 32,
            "gate rows"
        );
        assert!(
            self.w_ih.weights() == units * ih * LANES * x
                && self.w_hh.weights() == units * hh * LANES * h,
            "gate weights"
        );
        self.w_ih.check_columns(x);
        self.w_hh.check_columns(h);
    }

    /// Pre-activations (2^-12) of a tile.
    pub(crate) fn preactivations<'z>(
        &self,
        k: &Kernels,
        tile: &Range<usize>,
        x: Inputs<'_>,
        h: Inputs<'_>,
        z: &'z mut [Panel<i16>; MAX_PANELS],
    ) -> &'z mut [Panel<i16>] {
        let GateRows { ih, hh, stride, .. } = *self;
        let rows = stride * tile.start..stride * tile.end;
        let z = &mut z[..rows.len()];
        let from_x = weights(tile, Panels { group: ih, stride }, x.columns());
        let from_h = weights(tile, Panels { group: hh, stride }, h.columns());
        let gates = GateRows {
            units: tile.len(),
            w_ih: self.w_ih.part(from_x),
            w_hh: self.w_hh.part(from_h),
            bias: &self.bias[rows.clone()],
            m: &self.m[rows],
            ..*self
        };
        k.gates_q(z, gates, x, h);
        z
    }
}

/// The definition, with the primitives of a table.
pub(super) fn compose(
    k: &Kernels,
    z: &mut [Panel<i16>],
    gates: GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
) {
    let GateRows { ih, hh, stride, .. } = gates;
    let mut sums = [[0; LANES]; MAX_PANELS];
    let sums = &mut sums[..z.len()];
    sums.copy_from_slice(gates.bias);
    k.product_q(sums, gates.w_ih, x, Panels { group: ih, stride });
    k.product_q(
        &mut sums[stride - hh..],
        gates.w_hh,
        h,
        Panels { group: hh, stride },
    );
    k.requant(z, sums, gates.m, gates.shift);
}
