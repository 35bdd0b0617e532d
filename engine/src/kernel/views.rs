//! What a kernel is given: matrices, inputs, sums and states as views of their parts.
//!
//! Kernels read and write by pointers and lengths, so a view that could lie about a length has private fields, and a
//! constructor that compares them once; a product of lengths is compared without wrapping. What remains for the
//! methods of [`Kernels`](super::Kernels) is to see that the views of a call belong together.

use super::{BLOCK, GATES, LANES, MAX_CELL_SHIFT, MAX_W4_COLUMNS, Panel, Record};
use crate::num::{Tables, narrow, shift_round};
use core::ops::Range;
use half::f16;

/// `a · b`, or None where it does not fit. Where both are small, as on the machines that multiply slowly they are, it
/// is a plain product.
#[inline(always)]
pub(super) const fn product(a: usize, b: usize) -> Option<usize> {
    if (a | b) >> (usize::BITS / 2) == 0 {
        Some(a * b)
    } else {
        a.checked_mul(b)
    }
}

/// Where the panels of a matrix add into the sums: the matrix fills `group` panels, skips
/// `stride − group`, and so on. A cell whose sums lie as `i, f, g, o, i, f, g, o, …` has `group = stride = 4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panels {
    pub(super) group: usize,
    pub(super) stride: usize,
}

impl Panels {
    /// One after the other.
    pub const DENSE: Panels = Panels::new(1, 1);

    /// So many panels filled in a row, and so many from one group to the next.
    ///
    /// # Panics
    /// If a group is empty, or exceeds the stride.
    #[inline(always)]
    pub const fn new(group: usize, stride: usize) -> Panels {
        assert!(
            group >= 1 && group <= stride,
            "panel group exceeds its stride"
        );
        Panels { group, stride }
    }

    /// The weights of a tile of units.
    #[inline(always)]
    pub(crate) fn weights(self, tile: &Range<usize>, columns: usize) -> Range<usize> {
        let per_panel = self.group * LANES * columns;
        tile.start * per_panel..tile.end * per_panel
    }

    /// Without gaps between the groups, so many panels are one.
    #[cfg(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon"),
        rvv
    ))]
    #[inline(always)]
    pub(super) fn joined(self, panels: usize) -> Panels {
        if self.group == self.stride {
            Panels::new(panels.max(1), panels.max(1))
        } else {
            self
        }
    }

    #[inline(always)]
    pub(super) fn place(self, panel: usize) -> usize {
        panel / self.group * self.stride + panel % self.group
    }

    /// Panics unless `weights` over `inputs` are whole groups of whole panels and there are places for all; gives the
    /// first place behind the last.
    #[inline(always)]
    pub(super) fn check(self, sums: usize, weights: usize, inputs: usize) -> usize {
        let group = product(self.group, LANES).and_then(|rows| product(rows, inputs));
        let Some(group @ 1..) = group else {
            panic!("weights are not whole panels");
        };
        assert!(
            weights.is_multiple_of(group),
            "weights are not whole panels"
        );
        let groups = weights / group;
        if groups == 0 {
            return 0;
        }
        let before = product(groups - 1, self.stride);
        match before.and_then(|before| before.checked_add(self.group)) {
            Some(end) if end <= sums => end,
            _ => panic!("too few sums"),
        }
    }
}

/// Weights of a float layer, panel by panel.
#[derive(Debug, Clone, Copy)]
pub enum FloatMatrix<'a> {
    /// As they are multiplied.
    F32(&'a [f32]),
    /// Widened where they are multiplied.
    F16(&'a [f16]),
}

impl<'a> FloatMatrix<'a> {
    /// Number of weights.
    #[inline(always)]
    pub const fn weights(self) -> usize {
        match self {
            FloatMatrix::F32(w) => w.len(),
            FloatMatrix::F16(w) => w.len(),
        }
    }

    /// Some of the weights.
    #[inline(always)]
    pub(crate) fn part(self, range: Range<usize>) -> FloatMatrix<'a> {
        match self {
            FloatMatrix::F32(w) => FloatMatrix::F32(&w[range]),
            FloatMatrix::F16(w) => FloatMatrix::F16(&w[range]),
        }
    }
}

/// Weights of an integer layer, panel by panel.
#[derive(Debug, Clone, Copy)]
pub enum IntMatrix<'a> {
    /// A byte each.
    I8(&'a [i8]),
    /// A byte each, as `w + 128`.
    U8(&'a [u8]),
    /// Half a byte each, as `w + 8`, two blocks of columns together.
    I4(&'a [u8]),
    /// A byte each, the rows of a panel one after the other.
    Rows(&'a [i8]),
}

impl<'a> IntMatrix<'a> {
    /// Number of weights.
    #[inline(always)]
    pub const fn weights(self) -> usize {
        match self {
            IntMatrix::I8(w) | IntMatrix::Rows(w) => w.len(),
            IntMatrix::U8(w) => w.len(),
            // No slice has more than half as many bytes as a `usize` counts.
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
    pub(super) const fn check_columns(self, columns: usize) {
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

impl<'a> Inputs<'a> {
    /// Number of columns.
    #[inline(always)]
    pub fn columns(&self) -> usize {
        match self {
            Inputs::I8(x) => x.len(),
            Inputs::I16(x) => x.len(),
        }
    }

    /// The first so many, and the others.
    ///
    /// # Panics
    /// If there are fewer.
    #[cfg(cortex_m_dsp)]
    #[inline(always)]
    pub(super) fn split_at(self, columns: usize) -> (Self, Self) {
        match self {
            Inputs::I8(x) => {
                let (first, rest) = x.split_at(columns);
                (Inputs::I8(first), Inputs::I8(rest))
            }
            Inputs::I16(x) => {
                let (first, rest) = x.split_at(columns);
                (Inputs::I16(first), Inputs::I16(rest))
            }
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

/// Where the gates of a cell have their sums: a panel of units has `stride` sum panels, of which the input's matrix
/// fills the first `ih` and the state's matrix the last `hh`; a cell may have none of the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateOrder {
    ih: u8,
    hh: u8,
    stride: u8,
}

impl GateOrder {
    /// With so many sum panels.
    ///
    /// # Panics
    /// If the input's matrix fills none, a matrix more than there are, or if there are more than four.
    #[inline(always)]
    pub const fn new(ih: usize, hh: usize, stride: usize) -> Self {
        assert!(
            ih >= 1 && ih <= stride && hh <= stride && stride <= GATES,
            "gates outside the stride"
        );
        GateOrder {
            ih: ih as u8,
            hh: hh as u8,
            stride: stride as u8,
        }
    }

    /// `ih`, `hh`, `stride`.
    #[inline(always)]
    pub const fn panels(self) -> [usize; 3] {
        [self.ih as usize, self.hh as usize, self.stride as usize]
    }
}

/// What an activation looks up or computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
}

impl Curve {
    /// Its entries in a table.
    #[inline(always)]
    #[cfg_attr(
        not(any(wide_vectors, cortex_m_helium, rvv)),
        expect(dead_code, reason = "the definition looks up by itself")
    )]
    pub(super) fn entries(self, tables: &Tables) -> &[i32] {
        match self {
            Curve::Tanh => tables.tanh_entries(),
            Curve::Sigmoid => tables.sigmoid_entries(),
        }
    }
}

/// What a state update in floats starts from.
#[derive(Debug)]
pub enum StateF<'s> {
    /// Cells of an LSTM, which it also writes.
    Lstm(&'s mut [Panel<f32>]),
    /// States of a GRU, which other units still need.
    Gru(&'s [Panel<f32>]),
}

impl StateF<'_> {
    /// Panels of units.
    #[inline(always)]
    pub(super) fn units(&self) -> usize {
        match self {
            StateF::Lstm(c) => c.len(),
            StateF::Gru(h) => h.len(),
        }
    }
}

/// Cells whose integer step is a primitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellQ {
    /// Long short-term memory.
    Lstm {
        /// The cell lies within ±8 · 2^shift.
        cell_shift: u8,
    },
    /// Gated recurrent unit that resets after the product.
    Gru,
    /// tanh layer.
    Rnn,
}

impl CellQ {
    /// Where its gates have their sums: `i, f, g, o` of an LSTM, `nx, r, z, nh` of a GRU.
    #[inline(always)]
    pub(crate) const fn order(self) -> GateOrder {
        match self {
            CellQ::Lstm { .. } => GateOrder::new(4, 4, 4),
            CellQ::Gru => GateOrder::new(3, 3, 4),
            CellQ::Rnn => GateOrder::new(1, 1, 1),
        }
    }

    /// Panics if the cell's range is too large.
    #[inline(always)]
    pub(super) fn check(self) {
        if let CellQ::Lstm { cell_shift } = self {
            assert!(cell_shift <= MAX_CELL_SHIFT, "cell shift");
        }
    }
}

/// Gates of some panels of units.
#[derive(Debug, Clone, Copy)]
pub struct GateRows<'a> {
    pub(super) order: GateOrder,
    /// Panels of units.
    pub(super) units: usize,
    /// Columns of the input's matrix and of the state's.
    pub(super) columns: [usize; 2],
    pub(super) w_ih: IntMatrix<'a>,
    pub(super) w_hh: IntMatrix<'a>,
    pub(super) bias: &'a [Panel<i32>],
    pub(super) m: &'a [Panel<i32>],
    pub(super) shift: u8,
}

impl<'a> GateRows<'a> {
    /// Of `units` panels of units: each matrix with its columns, what sums start at, row multipliers and shift of the
    /// requantization.
    ///
    /// # Panics
    /// If lengths do not belong together, columns are not whole blocks, or the shift exceeds 31.
    #[inline(always)]
    pub const fn new(
        order: GateOrder,
        units: usize,
        (w_ih, x): (IntMatrix<'a>, usize),
        (w_hh, h): (IntMatrix<'a>, usize),
        (bias, m): (&'a [Panel<i32>], &'a [Panel<i32>]),
        shift: u8,
    ) -> Self {
        let [ih, hh, stride] = order.panels();
        // A panel has 32 bytes and an order four panels at the most: with as many units as panels or fewer, neither
        // this product nor the rows of all gates wrap.
        assert!(
            units <= bias.len()
                && bias.len() == units * stride
                && m.len() == bias.len()
                && shift < 32,
            "gate rows"
        );
        assert!(
            matches!(product(units * ih * LANES, x), Some(all) if all == w_ih.weights())
                && matches!(product(units * hh * LANES, h), Some(all) if all == w_hh.weights()),
            "gate weights"
        );
        w_ih.check_columns(x);
        w_hh.check_columns(h);
        GateRows {
            order,
            units,
            columns: [x, h],
            w_ih,
            w_hh,
            bias,
            m,
            shift,
        }
    }

    /// The gates of a tile's units.
    #[cfg(not(one_walk))]
    #[inline(always)]
    pub(super) fn part(&self, tile: &Range<usize>) -> GateRows<'a> {
        let ([ih, hh, stride], [x, h]) = (self.order.panels(), self.columns);
        let of = |per_unit: usize| per_unit * tile.start..per_unit * tile.end;
        GateRows {
            units: tile.len(),
            w_ih: self.w_ih.part(of(ih * LANES * x)),
            w_hh: self.w_hh.part(of(hh * LANES * h)),
            bias: &self.bias[of(stride)],
            m: &self.m[of(stride)],
            ..*self
        }
    }

    /// Panics unless it takes such inputs.
    #[inline(always)]
    pub(super) fn check(&self, x: Inputs<'_>, h: usize) {
        assert!(self.columns == [x.columns(), h], "columns of a layer");
    }
}

/// Cells whose step in floats is a primitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellF {
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit that resets after the product.
    Gru,
    /// tanh layer.
    Rnn,
}

impl CellF {
    /// Where its gates have their sums: as those of [`CellQ`].
    #[inline(always)]
    pub(crate) const fn order(self) -> GateOrder {
        match self {
            CellF::Lstm => CellQ::Lstm { cell_shift: 0 }.order(),
            CellF::Gru => CellQ::Gru.order(),
            CellF::Rnn => CellQ::Rnn.order(),
        }
    }
}

/// Gates of all units of a float layer.
#[derive(Debug, Clone, Copy)]
pub struct Gates<'a> {
    pub(super) order: GateOrder,
    /// Panels of units.
    pub(super) units: usize,
    /// Columns of the input's matrix and of the state's.
    pub(super) columns: [usize; 2],
    pub(super) w_ih: FloatMatrix<'a>,
    pub(super) w_hh: FloatMatrix<'a>,
    pub(super) bias: &'a [Panel<f32>],
}

impl<'a> Gates<'a> {
    /// Of `units` panels of units: each matrix with its columns, and what sums start at.
    ///
    /// # Panics
    /// If lengths do not belong together, or weights are not stored alike.
    #[inline(always)]
    pub const fn new(
        order: GateOrder,
        units: usize,
        (w_ih, x): (FloatMatrix<'a>, usize),
        (w_hh, h): (FloatMatrix<'a>, usize),
        bias: &'a [Panel<f32>],
    ) -> Self {
        let [ih, hh, stride] = order.panels();
        // As of `GateRows::new`.
        assert!(
            units <= bias.len() && bias.len() == units * stride,
            "gate rows"
        );
        assert!(
            matches!(product(units * ih * LANES, x), Some(all) if all == w_ih.weights())
                && matches!(product(units * hh * LANES, h), Some(all) if all == w_hh.weights()),
            "gate weights"
        );
        assert!(
            matches!(
                (w_ih, w_hh),
                (FloatMatrix::F32(_), FloatMatrix::F32(_))
                    | (FloatMatrix::F16(_), FloatMatrix::F16(_))
            ),
            "weights of two kinds"
        );
        Gates {
            order,
            units,
            columns: [x, h],
            w_ih,
            w_hh,
            bias,
        }
    }

    /// Whether all weights stay in a cache that is near enough for several streams to be sooner done one after the other.
    pub(crate) fn are_near(&self) -> bool {
        const NEAR: usize = 32 << 10;
        self.w_ih.weights() + self.w_hh.weights() <= NEAR
    }

    /// What sums start at.
    #[inline(always)]
    pub(crate) fn bias(&self) -> &'a [Panel<f32>] {
        self.bias
    }
}

/// The state of a float layer, and its outputs.
#[derive(Debug)]
pub struct FloatState<'s> {
    pub(super) c: &'s mut [Panel<f32>],
    pub(super) h: &'s mut [Panel<f32>],
    pub(super) y: &'s mut [Panel<f32>],
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "caches that large are elsewhere")
    )]
    pub(super) back: bool,
}

impl<'s> FloatState<'s> {
    /// The cells, none where a layer has no cell, the states, and the outputs. `back` if the units may as well be gone
    /// through from the last to the first: results are the same, and if every other step does, it begins with the weights
    /// that the step before has left in the caches.
    ///
    /// # Panics
    /// If they are not of as many units.
    #[inline(always)]
    pub fn new(
        c: &'s mut [Panel<f32>],
        h: &'s mut [Panel<f32>],
        y: &'s mut [Panel<f32>],
        back: bool,
    ) -> Self {
        assert!(
            y.len() == h.len() && (c.is_empty() || c.len() == h.len()),
            "state of a layer"
        );
        FloatState { c, h, y, back }
    }

    /// Cells, states and outputs.
    #[inline(always)]
    pub(crate) fn parts(&mut self) -> [&mut [Panel<f32>]; 3] {
        [self.c, self.h, self.y]
    }

    /// Panics unless it is the state of a layer of such cells with these gates and inputs.
    #[inline(always)]
    pub(super) fn check(&self, cell: CellF, gates: &Gates<'_>, x: &[f32]) {
        assert!(gates.order == cell.order(), "gates of a cell");
        let [columns, state] = gates.columns;
        assert!(
            self.h.len() == gates.units
                && state <= gates.units * LANES
                && (cell != CellF::Lstm || self.c.len() == gates.units),
            "state of a layer"
        );
        assert!(x.len() == columns, "columns of a layer");
    }
}

/// A layer's state as a matrix input, whole panels of it.
#[derive(Debug)]
pub enum Hidden<'a> {
    /// In units of 2^-7.
    I8(&'a mut [i8]),
    /// In units of 2^-12.
    I16(&'a mut [i16]),
}

impl Hidden<'_> {
    /// The first `columns` of it.
    #[inline(always)]
    pub(crate) fn inputs(&self, columns: usize) -> Inputs<'_> {
        match self {
            Hidden::I8(h) => Inputs::I8(&h[..columns]),
            Hidden::I16(h) => Inputs::I16(&h[..columns]),
        }
    }

    /// Takes over the outputs of this step (2^-12).
    pub(super) fn publish(&mut self, y: &[Panel<i16>]) {
        match self {
            Hidden::I8(h) => {
                for (h, &y) in h.iter_mut().zip(y.as_flattened()) {
                    *h = narrow(y);
                }
            }
            // They are as many, which a copy would ask again.
            Hidden::I16(h) => {
                for (h, &y) in h.iter_mut().zip(y.as_flattened()) {
                    *h = y;
                }
            }
        }
    }

    /// Of the same kind and length.
    #[inline(always)]
    fn is_like(&self, other: &Hidden<'_>) -> bool {
        matches!(self, Hidden::I8(_)) == matches!(other, Hidden::I8(_)) && self.len() == other.len()
    }

    fn len(&self) -> usize {
        match self {
            Hidden::I8(h) => h.len(),
            Hidden::I16(h) => h.len(),
        }
    }
}

/// The state of an integer layer, and its outputs.
#[derive(Debug)]
pub struct LayerState<'a> {
    pub(super) master: &'a mut [Panel<i32>],
    pub(super) h: Hidden<'a>,
    pub(super) y: &'a mut [Panel<i16>],
}

impl<'a> LayerState<'a> {
    /// The cells of an LSTM or the states (Q29) of the other layers, the state as a matrix input, and the outputs
    /// (2^-12).
    ///
    /// # Panics
    /// If they are not of as many units.
    #[inline(always)]
    pub fn new(master: &'a mut [Panel<i32>], h: Hidden<'a>, y: &'a mut [Panel<i16>]) -> Self {
        assert!(
            y.len() == master.len() && h.len() == master.len() * LANES,
            "state of a layer"
        );
        LayerState { master, h, y }
    }

    /// Panels of units.
    #[inline(always)]
    pub(crate) fn units(&self) -> usize {
        self.master.len()
    }

    /// Masters, `columns` of the state as a matrix input, and outputs.
    #[inline(always)]
    pub(crate) fn parts(
        &mut self,
        columns: usize,
    ) -> (&mut [Panel<i32>], Inputs<'_>, &mut [Panel<i16>]) {
        (self.master, self.h.inputs(columns), self.y)
    }

    /// What it was made of.
    #[inline(always)]
    pub(crate) fn into_parts(self) -> (&'a mut [Panel<i32>], Hidden<'a>, &'a mut [Panel<i16>]) {
        (self.master, self.h, self.y)
    }

    /// The outputs as the next matrix input.
    pub(crate) fn publish(&mut self) {
        self.h.publish(self.y);
    }

    /// What an update of all units has left, as outputs and as the next matrix input.
    #[inline(always)]
    pub(super) fn publish_step(&mut self, cell: CellQ) {
        match cell {
            CellQ::Lstm { .. } => self.publish(),
            CellQ::Gru | CellQ::Rnn => self.publish_master(),
        }
    }

    /// Master states (Q29) as outputs (2^-12) and as the next matrix input.
    pub(crate) fn publish_master(&mut self) {
        let master = self.master.as_flattened();
        for (y, &master) in self.y.as_flattened_mut().iter_mut().zip(master) {
            *y = shift_round(master, 17) as i16;
        }
        self.publish();
    }

    /// Panics unless it is the state of a layer with these gates.
    #[inline(always)]
    pub(super) fn check(&self, gates: &GateRows<'_>, x: Inputs<'_>, order: GateOrder) {
        assert!(gates.order == order, "gates of a cell");
        let [_, columns] = gates.columns;
        assert!(
            self.units() == gates.units && columns <= self.units() * LANES,
            "state of a layer"
        );
        gates.check(x, columns);
    }
}

/// Panics unless every stream is of the same layer, and all of the same kind.
#[inline(always)]
pub(super) fn check_batch(
    states: &[LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    order: GateOrder,
) {
    assert!(states.len() == x.len(), "an input for each stream");
    let (Some((first, states)), Some((&x0, x))) = (states.split_first(), x.split_first()) else {
        return;
    };
    first.check(gates, x0, order);
    let mut others = states.iter().zip(x);
    assert!(
        others.all(|(state, x)| state.h.is_like(&first.h) && x.is_like(&x0)),
        "streams differ"
    );
}

/// The inputs of several streams, and where their sums lie.
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    pub(super) x: &'a [&'a [f32]],
    pub(super) pitch: usize,
}

impl<'a> Streams<'a> {
    /// The inputs of each, and panels of sums from one stream to the next.
    ///
    /// # Panics
    /// If the inputs are not all of one length.
    #[inline(always)]
    pub fn new(x: &'a [&'a [f32]], pitch: usize) -> Self {
        let streams = Streams { x, pitch };
        let columns = streams.columns();
        assert!(
            x.iter().all(|x| x.len() == columns),
            "streams of different lengths"
        );
        streams
    }

    /// Columns of each; 0 without streams.
    #[inline(always)]
    pub fn columns(&self) -> usize {
        self.x.first().map_or(0, |x| x.len())
    }

    /// Panics unless the matrix has whole groups of whole panels and every stream's sums have a place for each.
    #[inline(always)]
    pub(super) fn check(&self, sums: usize, weights: usize, panels: Panels) {
        let Some(others) = self.x.len().checked_sub(1) else {
            return;
        };
        let before = product(others, self.pitch).filter(|&before| before <= sums);
        let Some(before) = before else {
            panic!("too few sums");
        };
        let end = panels.check(sums - before, weights, self.columns());
        // The sums of one stream end before those of the next.
        assert!(others == 0 || end <= self.pitch, "streams overlap");
    }
}

/// What a packed layer updates, a number per unit.
#[derive(Debug)]
pub struct Units<'s> {
    pub(super) master: &'s mut [i32],
    pub(super) y: &'s mut [i16],
    pub(super) h: Option<&'s mut [i8]>,
}

impl<'s> Units<'s> {
    /// LSTM cell or master state, outputs (2^-12), and outputs as matrix inputs (2^-7), of the step before and then of
    /// this one; the last only in `A8` layers.
    #[inline(always)]
    pub fn new(master: &'s mut [i32], y: &'s mut [i16], h: Option<&'s mut [i8]>) -> Self {
        Units { master, y, h }
    }

    /// Panics unless there is a place for each unit of whole records.
    #[inline(always)]
    pub(super) fn check(&self, rows: usize, record: Record) {
        let count = rows / record.words;
        assert!(rows == count * record.words, "rows are not whole records");
        // A record has more words than units, and a word four bytes.
        let count = count * record.units;
        assert!(
            self.master.len() >= count && self.y.len() >= count,
            "too few units"
        );
    }
}

/// What a packed layer multiplies its rows with: words of two columns.
///
/// Like all of these views it cannot be put together from parts that do not belong together:
///
/// ```compile_fail
/// let columns = kinglet::kernel::Columns { words: &mut [0; 4], x: 5 };
/// ```
#[derive(Debug)]
pub struct Columns<'s> {
    pub(super) words: &'s mut [i32],
    /// How many words are the input's: one at least, and fewer than there are.
    pub(super) x: usize,
}

impl<'s> Columns<'s> {
    /// The input's columns, `x` words of them, then the state's. An `A8` layer fills the latter itself: eight units a
    /// time, of every four 0 and 2 in a word, 1 and 3 in the next, which is how `SXTB16` widens them.
    ///
    /// # Panics
    /// If there are not so many words, or either has none.
    #[inline(always)]
    pub fn new(words: &'s mut [i32], x: usize) -> Self {
        assert!(
            1 <= x && x < words.len(),
            "columns of the input and of the state"
        );
        Columns { words, x }
    }

    /// Panics unless columns are whole blocks on either side, or in an `A8` layer the state's are as many as it fills, eight
    /// at a time, and `h` has them and the units.
    #[inline(always)]
    pub(super) fn check(&self, units: &Units<'_>) {
        let state = self.words.len() - self.x;
        match &units.h {
            Some(h) => assert!(
                state.is_multiple_of(4) && h.len() >= 2 * state && h.len() >= units.y.len(),
                "columns of the state"
            ),
            None => assert!(
                state.is_multiple_of(2) && self.x.is_multiple_of(2),
                "columns are not whole blocks"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn refuses(call: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(call)).is_err()
    }

    #[test]
    fn a_product_that_wraps_is_none() {
        const HALF: usize = 1 << (usize::BITS / 2);
        assert_eq!(product(HALF - 1, HALF - 1), Some((HALF - 1) * (HALF - 1)));
        assert_eq!(product(HALF, HALF - 1), Some(HALF * (HALF - 1)));
        assert_eq!(product(HALF, HALF), None);
        assert_eq!(product(0, usize::MAX), Some(0));
    }

    /// Lengths whose product wraps to that of a matrix without weights.
    #[test]
    fn wrapping_lengths_are_no_match_for_empty_slices() {
        let many = 1 << (usize::BITS - 5);
        let order = GateOrder::new(4, 4, 4);
        let empty = (IntMatrix::I8(&[]), 4);
        assert!(refuses(|| {
            GateRows::new(order, many, empty, empty, (&[], &[]), 0);
        }));
        let panels = [[0; LANES]; 4];
        let wide = (IntMatrix::I8(&[]), many);
        assert!(refuses(|| {
            GateRows::new(order, 1, wide, wide, (&panels, &panels), 0);
        }));
        assert!(refuses(|| {
            Panels::new(1 << (usize::BITS - 4), usize::MAX).check(0, 0, 2);
        }));
        // Two groups of one panel, the second of which is no stride but a whole address space away.
        assert!(refuses(|| {
            Panels::new(1, usize::MAX).check(1, 2 * LANES, 1);
        }));
        let x = [&[0.0_f32][..]; 3];
        assert!(refuses(|| {
            Streams::new(&x, 1 << (usize::BITS - 1)).check(1, LANES, Panels::DENSE);
        }));
    }

    /// A table may go from sum to sum.
    #[test]
    fn products_have_weights_for_every_sum_and_no_others() {
        let (w, x) = ([1i8; 2 * LANES * 4], [1i16; 8]);
        let products = |sums: usize, weights: usize, count: usize| {
            let (w, x) = (IntMatrix::I8(&w[..weights]), Inputs::I16(&x[..4 * count]));
            let mut sums = [[0; LANES]; 6][..sums].to_vec();
            refuses(|| crate::kernel::Kernels::SCALAR.products(&mut sums, w, x, count))
        };
        assert!(!products(2, 2 * LANES * 4, 1) && !products(4, 2 * LANES * 4, 2));
        assert!(!products(0, 0, 1) && !products(0, 0, 2));
        for sums in [0, 1, 3] {
            assert!(products(sums, 2 * LANES * 4, 1), "{sums}");
        }
        assert!(products(6, 2 * LANES * 4, 2) && products(2, 0, 1) && products(3, LANES * 4, 2));
        assert!(products(2, 2 * LANES * 4, 0));
    }

    #[test]
    fn a_view_whose_parts_differ_is_refused() {
        let word = &mut [0];
        assert!(refuses(|| {
            Columns::new(word, 2);
        }));
        assert!(refuses(|| {
            Columns::new(&mut [0; 4], 4);
        }));
        assert!(refuses(|| {
            Columns::new(&mut [0; 4], 0);
        }));
        let (master, y) = (&mut [[0; LANES]; 2], &mut [[0; LANES]; 2]);
        assert!(refuses(|| {
            LayerState::new(master, Hidden::I8(&mut [0; 15]), y);
        }));
        assert!(refuses(|| {
            LayerState::new(master, Hidden::I8(&mut [0; 16]), &mut y[..1]);
        }));
        assert!(refuses(|| {
            Streams::new(&[&[0.0], &[0.0, 0.0]], 1);
        }));
        for (ih, hh, stride) in [(0, 1, 1), (0, 0, 0), (2, 1, 1), (1, 2, 1), (4, 4, 5)] {
            assert!(refuses(|| {
                GateOrder::new(ih, hh, stride);
            }));
        }
        let (bias, w) = ([[0; LANES]; 4], [0; 32 * 4]);
        let order = GateOrder::new(4, 4, 4);
        let rows = |x, shift| {
            let (w, panels) = (IntMatrix::I8(&w), (&bias[..], &bias[..]));
            GateRows::new(order, 1, (w, 4), (w, x), panels, shift)
        };
        assert!(!refuses(|| {
            rows(4, 31);
        }));
        assert!(refuses(|| {
            rows(8, 31);
        }));
        assert!(refuses(|| {
            rows(4, 32);
        }));
    }
}
