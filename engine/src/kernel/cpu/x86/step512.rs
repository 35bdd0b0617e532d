//! Whole integer steps on AVX-512 VNNI: from the products to the state without leaving the registers.
//!
//! Sums of two panels of units are taken together, so that each input is made ready once for both and no product waits
//! for the one before. Halves of registers added up, they are a register per gate; two such pairs, requantized and packed,
//! are the gates of four panels in the order of [`super::avx512`], from which cells and outputs follow as there. A tanh
//! layer has one gate: four panels of units are its four panels.
//!
//! Where weights are bytes, their kind and that of the inputs are chosen once a step ([`Product`]): chosen panel by panel,
//! sums would go through memory.

use super::avx512::{LOOKUPS_256, LOOKUPS_512, Lookups, QUAD, mulhi_round};
use super::avx512::{
    blend, first, load_states, round_states, store_bytes, store_words, tanh_states, update,
    update_panel,
};
use super::vnni::{dot_a8, dot_a16, dot_w4a8, dot_w4a16, halves, start};
use crate::kernel::cpu::quads::Weights;
use crate::kernel::definition::products::product;
use crate::kernel::{
    CellQ, GateRows, Hidden, Inputs, IntMatrix, Kernels, LANES, LayerState, Panel, Panels,
};
use crate::num::Tables;
use core::arch::x86_64::*;

/// A matrix and its input.
trait Product: Copy {
    /// Adds the product with the `N` panels from `first` on, and what offsets added to each row.
    ///
    /// # Safety
    /// The CPU has AVX-512 F, BW and VNNI.
    unsafe fn add<const N: usize>(
        self,
        sums: &mut [__m512i; N],
        offset: &mut __m512i,
        first: usize,
    );
}

/// Weights of eight bits.
#[derive(Clone, Copy)]
struct Bytes<'a, X> {
    w: &'a [i8],
    x: &'a [X],
}

impl<'a, X> Bytes<'a, X> {
    #[inline(always)]
    fn panels<const N: usize>(self, first: usize) -> Weights<'a, i8, N> {
        let panel = LANES * self.x.len();
        Weights::new(&self.w[first * panel..(first + N) * panel], panel)
    }
}

impl Product for Bytes<'_, i8> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add<const N: usize>(
        self,
        sums: &mut [__m512i; N],
        offset: &mut __m512i,
        first: usize,
    ) {
        dot_a8(sums, offset, self.panels(first), self.x);
    }
}

impl Product for Bytes<'_, i16> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add<const N: usize>(
        self,
        sums: &mut [__m512i; N],
        offset: &mut __m512i,
        first: usize,
    ) {
        dot_a16(sums, offset, self.panels(first), self.x);
    }
}

/// Whatever there may be.
#[derive(Clone, Copy)]
struct Any<'a> {
    w: IntMatrix<'a>,
    x: Inputs<'a>,
}

impl Product for Any<'_> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add<const N: usize>(
        self,
        sums: &mut [__m512i; N],
        offset: &mut __m512i,
        first: usize,
    ) {
        let panel = LANES * self.x.columns();
        let w = self.w.part(first * panel..(first + N) * panel);
        match (w, self.x) {
            (IntMatrix::I8(w), Inputs::I8(x)) => dot_a8(sums, offset, Weights::new(w, panel), x),
            (IntMatrix::I8(w), Inputs::I16(x)) => dot_a16(sums, offset, Weights::new(w, panel), x),
            (IntMatrix::I4(w), Inputs::I8(x)) => {
                dot_w4a8(sums, offset, Weights::new(w, panel / 2), x);
            }
            (IntMatrix::I4(w), Inputs::I16(x)) => {
                dot_w4a16(sums, offset, Weights::new(w, panel / 2), x);
            }
            // Laid out for another CPU.
            (IntMatrix::Rows(_) | IntMatrix::U8(_), x) => {
                let mut products = [[0; LANES]; N];
                product(&mut products, w, x, Panels::DENSE);
                for (sum, product) in sums.iter_mut().zip(products) {
                    *sum = _mm512_add_epi32(*sum, start(product));
                }
            }
        }
    }
}

/// Sums of `N` panels and what offsets added to each gate. The matrices have `P` of them: all, or each three in a row of
/// four, the input's the first and the state's the last.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sums<const N: usize, const P: usize>(
    gates: &GateRows<'_>,
    unit: usize,
    (x, h): (impl Product, impl Product),
) -> ([__m512i; N], [__m512i; 4]) {
    let [ih, _, stride] = gates.order.panels();
    let bias = &gates.bias[unit * stride..][..N];
    let mut sums: [__m512i; N] = array!([_mm512_setzero_si512(); N], |n| start(bias[n]));
    let mut offsets = [_mm512_setzero_si512(); 2];
    let (gaps, first) = (N > P, unit * ih);
    let place = |p| if gaps { p + p / 3 } else { p };
    let mut part = array!([_mm512_setzero_si512(); P], |p| sums[place(p)]);
    // SAFETY: this function needs the same features.
    unsafe { x.add(&mut part, &mut offsets[0], first) };
    for (p, part) in part.into_iter().enumerate() {
        sums[place(p)] = part;
    }
    let place = |p| place(p) + usize::from(gaps);
    let mut part = array!([_mm512_setzero_si512(); P], |p| sums[place(p)]);
    // SAFETY: this function needs the same features.
    unsafe { h.add(&mut part, &mut offsets[1], first) };
    for (p, part) in part.into_iter().enumerate() {
        sums[place(p)] = part;
    }
    let [x, h] = offsets;
    let (x, h) = (halves(x, x), halves(h, h));
    let both = _mm512_add_epi32(x, h);
    let offsets = if gaps { [x, both, both, h] } else { [both; 4] };
    (sums, offsets)
}

/// Pre-activations of two panels, whose multipliers are `m`.
#[inline]
#[target_feature(enable = "avx512f")]
fn requant(a: __m512i, b: __m512i, offset: __m512i, m: __m512i, shift: u8) -> __m512i {
    let sum = _mm512_sub_epi32(halves(a, b), offset);
    mulhi_round(_mm512_sll_epi32(sum, _mm_cvtsi32_si128(shift as i32)), m)
}

/// Pre-activations of `N` sum panels, up to four, in the order of [`super::avx512`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn panels<const N: usize>(
    gates: &GateRows<'_>,
    unit: usize,
    products: (impl Product, impl Product),
) -> __m512i {
    let (sums, [offset, ..]) = sums::<N, N>(gates, unit, products);
    let [_, _, stride] = gates.order.panels();
    let m = load_states(&gates.m[unit * stride..][..N]);
    let [a, b, c, d] = array!([_mm512_setzero_si512(); 4], |n| match n < N {
        true => sums[n % N],
        false => _mm512_setzero_si512(),
    });
    let lower = requant(a, b, offset, m[0], gates.shift);
    let upper = requant(c, d, offset, m[1], gates.shift);
    _mm512_packs_epi32(lower, upper)
}

/// Pre-activations of one or two panels of units by gate; `N` are their sum panels, `P` those of either matrix.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn pair<const N: usize, const P: usize>(
    gates: &GateRows<'_>,
    unit: usize,
    products: (impl Product, impl Product),
) -> [__m512i; 4] {
    let (sums, offsets) = sums::<N, P>(gates, unit, products);
    let [_, _, stride] = gates.order.panels();
    let m = &gates.m[unit * stride..][..N];
    array!([_mm512_setzero_si512(); 4], |gate| {
        let (second, second_m) = match sums.get(4 + gate) {
            Some(&sum) => (sum, m[4 + gate]),
            None => (_mm512_setzero_si512(), [0; LANES]),
        };
        let m = _mm512_castsi256_si512(bytemuck::cast(m[gate]));
        let m = _mm512_inserti64x4::<1>(m, bytemuck::cast(second_m));
        requant(sums[gate], second, offsets[gate], m, gates.shift)
    })
}

/// Gates of four panels from those of two pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pack([lower, upper]: [[__m512i; 4]; 2]) -> [__m512i; 4] {
    array!([_mm512_setzero_si512(); 4], |gate| _mm512_packs_epi32(
        lower[gate],
        upper[gate]
    ))
}

/// Runs a cell with the tables of the number of segments, and the kind of its products.
macro_rules! by_kind {
    ($cell:ident($tables:ident, $state:ident, $gates:ident, $x:ident $(, $shift:ident)?)) => {{
        // The state's matrix input is read through all of the step, and published behind it.
        let LayerState { master, h, y } = $state;
        let h = h.inputs($gates.columns[1]);
        match ($tables.bits(), $gates.w_ih, $gates.w_hh, $x, h) {
            (8, IntMatrix::I8(w_ih), IntMatrix::I8(w_hh), Inputs::I16(x), Inputs::I8(h)) => {
                let products = (Bytes { w: w_ih, x }, Bytes { w: w_hh, x: h });
                $cell(&LOOKUPS_256, (master, y), $gates, products $(, $shift)?)
            }
            (8, IntMatrix::I8(w_ih), IntMatrix::I8(w_hh), Inputs::I8(x), Inputs::I8(h)) => {
                let products = (Bytes { w: w_ih, x }, Bytes { w: w_hh, x: h });
                $cell(&LOOKUPS_256, (master, y), $gates, products $(, $shift)?)
            }
            (9, IntMatrix::I8(w_ih), IntMatrix::I8(w_hh), Inputs::I16(x), Inputs::I16(h)) => {
                let products = (Bytes { w: w_ih, x }, Bytes { w: w_hh, x: h });
                $cell(&LOOKUPS_512, (master, y), $gates, products $(, $shift)?)
            }
            (bits, w_ih, w_hh, x, h) => {
                let products = (Any { w: w_ih, x }, Any { w: w_hh, x: h });
                if bits == 8 {
                    $cell(&LOOKUPS_256, (master, y), $gates, products $(, $shift)?)
                } else {
                    $cell(&LOOKUPS_512, (master, y), $gates, products $(, $shift)?)
                }
            }
        }
    }};
}

/// Rows of four panels.
const QUAD_ROWS: usize = QUAD * LANES;

/// [`crate::num::narrow`] in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn narrow(y: __m512i) -> __m256i {
    // Saturates twice: what saturates at 16 bits does so at 8.
    let y = _mm512_adds_epi16(y, _mm512_set1_epi16(1 << 4));
    _mm512_cvtsepi16_epi8(_mm512_srai_epi16::<5>(y))
}

/// [`Hidden::publish`]. If there are no more than four panels of outputs, they are still in a register: `last`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn publish(state: &mut LayerState<'_>, last: __m512i) {
    match &mut state.h {
        Hidden::I8(h) if h.len() <= QUAD_ROWS => store_bytes(h, narrow(last)),
        Hidden::I16(h) if h.len() <= QUAD_ROWS => store_words(h, last),
        _ => publish_all(state),
    }
}

/// [`Hidden::publish`], four panels at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn publish_all(state: &mut LayerState<'_>) {
    let quads = state.y.as_flattened().chunks(QUAD_ROWS);
    // SAFETY: the mask leaves out what lies behind the end.
    let outputs = |y: &[i16]| unsafe { _mm512_maskz_loadu_epi16(first(y.len()), y.as_ptr()) };
    match &mut state.h {
        Hidden::I8(h) => {
            for (h, y) in h.chunks_mut(QUAD_ROWS).zip(quads) {
                store_bytes(h, narrow(outputs(y)));
            }
        }
        Hidden::I16(h) => {
            for (h, y) in h.chunks_mut(QUAD_ROWS).zip(quads) {
                store_words(h, outputs(y));
            }
        }
    }
}

/// Master states and outputs of a layer.
type Master<'a> = (&'a mut [Panel<i32>], &'a mut [Panel<i16>]);

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn step_q(
    _: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    for (state, &x) in states.iter_mut().zip(x) {
        match cell {
            CellQ::Lstm { cell_shift } => lstm_step(state, gates, x, tables, cell_shift),
            CellQ::Gru => gru_step(state, gates, x, tables),
            CellQ::Rnn => rnn_step(state, gates, x, tables),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn lstm_step(
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
    cell_shift: u8,
) {
    let last = by_kind!(lstm(tables, state, gates, x, cell_shift));
    publish(state, last);
}

/// Gives the last outputs; so do the others.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn lstm<const N: usize>(
    lookups: &Lookups<N>,
    (c, y): Master<'_>,
    gates: &GateRows<'_>,
    products: (impl Product, impl Product),
    cell_shift: u8,
) -> __m512i {
    let mut outputs = _mm512_setzero_si512();
    for (n, (c, y)) in c.chunks_mut(QUAD).zip(y.chunks_mut(QUAD)).enumerate() {
        outputs = if c.len() == 1 {
            let gates = panels::<4>(gates, QUAD * n, products);
            update_panel(lookups, gates, c, cell_shift)
        } else {
            // One call for both pairs, so that it becomes part of the loop: up to a tenth of the step.
            let mut pairs = [[_mm512_setzero_si512(); 4]; 2];
            for (half, z) in pairs.iter_mut().enumerate() {
                let unit = QUAD * n + 2 * half;
                *z = match c.len().saturating_sub(2 * half) {
                    0 => break,
                    1 => pair::<4, 4>(gates, unit, products),
                    _ => pair::<8, 8>(gates, unit, products),
                };
            }
            update(lookups, pack(pairs), c, cell_shift)
        };
        store_words(y.as_flattened_mut(), outputs);
    }
    outputs
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gru_step(state: &mut LayerState<'_>, gates: &GateRows<'_>, x: Inputs<'_>, tables: &Tables) {
    let last = by_kind!(gru(tables, state, gates, x));
    publish(state, last);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gru<const N: usize>(
    lookups: &Lookups<N>,
    (h, y): Master<'_>,
    gates: &GateRows<'_>,
    products: (impl Product, impl Product),
) -> __m512i {
    let mut outputs = _mm512_setzero_si512();
    for (n, (h, y)) in h.chunks_mut(QUAD).zip(y.chunks_mut(QUAD)).enumerate() {
        // With six sums for either matrix, a loop as in [`lstm`] was 4 percent slower.
        let unit = QUAD * n;
        let lower = match h.len() {
            1 => pair::<4, 3>(gates, unit, products),
            _ => pair::<8, 6>(gates, unit, products),
        };
        let upper = match h.len() {
            4 => pair::<8, 6>(gates, unit + 2, products),
            3 => pair::<4, 3>(gates, unit + 2, products),
            _ => [_mm512_setzero_si512(); 4],
        };
        outputs = round_states(blend(lookups, pack([lower, upper]), h));
        store_words(y.as_flattened_mut(), outputs);
    }
    outputs
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn rnn_step(state: &mut LayerState<'_>, gates: &GateRows<'_>, x: Inputs<'_>, tables: &Tables) {
    let last = by_kind!(rnn(tables, state, gates, x));
    publish(state, last);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn rnn<const N: usize>(
    lookups: &Lookups<N>,
    (h, y): Master<'_>,
    gates: &GateRows<'_>,
    products: (impl Product, impl Product),
) -> __m512i {
    let mut outputs = _mm512_setzero_si512();
    for (n, (h, y)) in h.chunks_mut(QUAD).zip(y.chunks_mut(QUAD)).enumerate() {
        let first = QUAD * n;
        let z = match h.len() {
            4 => panels::<4>(gates, first, products),
            3 => panels::<3>(gates, first, products),
            2 => panels::<2>(gates, first, products),
            _ => panels::<1>(gates, first, products),
        };
        outputs = round_states(tanh_states(lookups, z, h));
        store_words(y.as_flattened_mut(), outputs);
    }
    outputs
}
