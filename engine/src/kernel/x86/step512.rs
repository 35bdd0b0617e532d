//! Whole integer steps on AVX-512 VNNI: from the products to the state without leaving the registers.
//!
//! Sums of a panel of units are four panels, requantized they are one register of words
//! ([`preactivations`]). Four panels of units give four such registers, which [`by_gate`] turns into a register per gate;
//! then cells and outputs follow as in [`super::avx512`]. A tanh layer has one gate: four panels of units are its four
//! panels.

use super::avx512::{LOOKUPS_256, LOOKUPS_512, Lookups, QUAD, mulhi_round};
use super::avx512::{
    blend, first, load_states, round_states, store_words, tanh_states, update, update_panel,
};
use super::vnni::{Sums, add_halves, add_neighbours, dot_a8, dot_a16, dot_w4a8, dot_w4a16};
use crate::kernel::quads::Weights;
use crate::kernel::{GateRows, Hidden, Inputs, IntMatrix, Kernels, LANES, LayerState, Panels};
use crate::num::Tables;
use core::arch::x86_64::*;

/// Pre-activations of the `N` sum panels from a panel of units on, in the order of [`super::avx512`]. `IH` of them
/// have weights for the input, `HH` from panel `AT` on for the state.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn preactivations<const IH: usize, const HH: usize, const AT: usize, const N: usize>(
    gates: &GateRows<'_>,
    unit: usize,
    x: Inputs<'_>,
    h: Inputs<'_>,
) -> __m512i {
    let from_x = product::<IH, 0>(gates.w_ih, unit * gates.ih, x);
    let from_h = product::<HH, AT>(gates.w_hh, unit * gates.hh, h);
    let rows = unit * gates.stride;
    let rows = rows..rows + N;
    let (bias, m) = (
        load_states(&gates.bias[rows.clone()]),
        load_states(&gates.m[rows]),
    );
    let shift = _mm_cvtsi32_si128(gates.shift as i32);
    let [lower, upper] = [0, 1].map(|half| {
        let sum = _mm512_add_epi32(bias[half], _mm512_add_epi32(from_x[half], from_h[half]));
        mulhi_round(_mm512_sll_epi32(sum, shift), m[half])
    });
    _mm512_packs_epi32(lower, upper)
}

/// Sums of `N` panels of a matrix, which are panels `AT` and on of the four.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn product<const N: usize, const AT: usize>(w: IntMatrix<'_>, first: usize, x: Inputs<'_>) -> Sums {
    let panel = LANES * x.columns();
    let w = w.part(first * panel..(first + N) * panel);
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => add_halves(dot_a8::<N, AT>(Weights::new(w, panel), x)),
        (IntMatrix::I8(w), Inputs::I16(x)) => {
            add_neighbours(dot_a16::<N, AT>(Weights::new(w, panel), x))
        }
        (IntMatrix::I4(w), Inputs::I8(x)) => {
            add_halves(dot_w4a8::<N, AT>(Weights::new(w, panel / 2), x))
        }
        (IntMatrix::I4(w), Inputs::I16(x)) => {
            add_neighbours(dot_w4a16::<N, AT>(Weights::new(w, panel / 2), x))
        }
        // Laid out for another CPU.
        (IntMatrix::Rows(_) | IntMatrix::U8(_), _) => {
            let mut sums = [[0; LANES]; QUAD];
            Kernels::SCALAR.product_q(&mut sums[AT..], w, x, Panels::DENSE);
            load_states(&sums)
        }
    }
}

/// The gates of up to four panels of units: from a register per panel to a register per gate.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn by_gate(count: usize, mut panel: impl FnMut(usize) -> __m512i) -> [__m512i; 4] {
    let mut z = [_mm512_setzero_si512(); QUAD];
    for (n, z) in z[..count].iter_mut().enumerate() {
        *z = panel(n);
    }
    let [a, b, c, d] = z;
    let even = [_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c)];
    let odd = [_mm512_unpacklo_epi64(b, d), _mm512_unpackhi_epi64(b, d)];
    [
        _mm512_shuffle_i64x2::<0b01_00_01_00>(even[0], odd[0]),
        _mm512_shuffle_i64x2::<0b11_10_11_10>(even[0], odd[0]),
        _mm512_shuffle_i64x2::<0b01_00_01_00>(even[1], odd[1]),
        _mm512_shuffle_i64x2::<0b11_10_11_10>(even[1], odd[1]),
    ]
}

/// [`crate::num::narrow`] in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn narrow(y: __m512i) -> __m256i {
    // Saturates twice: what saturates at 16 bits does so at 8.
    let y = _mm512_adds_epi16(y, _mm512_set1_epi16(1 << 4));
    _mm512_cvtsepi16_epi8(_mm512_srai_epi16::<5>(y))
}

/// [`Hidden::publish`], four panels at a time. If there are no more, they are still in a register: `last`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn publish(state: &mut LayerState<'_>, last: __m512i) {
    let quads = state.y.as_flattened().chunks(QUAD * LANES);
    let outputs = |y: &[i16]| {
        if state.y.len() <= QUAD {
            return last;
        }
        // SAFETY: the mask leaves out what lies behind the end.
        unsafe { _mm512_maskz_loadu_epi16(first(y.len()), y.as_ptr()) }
    };
    match &mut state.h {
        Hidden::I8(h) => {
            for (h, y) in h.chunks_mut(QUAD * LANES).zip(quads) {
                let narrowed = _mm512_castsi256_si512(narrow(outputs(y)));
                let mask = first(h.len()).into();
                // SAFETY: the mask leaves out what lies behind the end.
                unsafe { _mm512_mask_storeu_epi8(h.as_mut_ptr(), mask, narrowed) }
            }
        }
        Hidden::I16(h) => {
            for (h, y) in h.chunks_mut(QUAD * LANES).zip(quads) {
                store_words(h, outputs(y));
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn lstm_step_q(
    _: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
    cell_shift: u8,
) {
    if tables.bits == 8 {
        lstm(&LOOKUPS_256, state, gates, x, cell_shift);
    } else {
        lstm(&LOOKUPS_512, state, gates, x, cell_shift);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn lstm<const N: usize>(
    lookups: &Lookups<N>,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    cell_shift: u8,
) {
    let h = state.h.inputs(state.columns);
    let mut outputs = _mm512_setzero_si512();
    let quads = state.master.chunks_mut(QUAD).zip(state.y.chunks_mut(QUAD));
    for (quad, (c, y)) in quads.enumerate() {
        let panel = |n| preactivations::<4, 4, 0, 4>(gates, QUAD * quad + n, x, h);
        outputs = if c.len() == 1 {
            update_panel(lookups, panel(0), c, cell_shift)
        } else {
            update(lookups, by_gate(c.len(), panel), c, cell_shift)
        };
        store_words(y.as_flattened_mut(), outputs);
    }
    publish(state, outputs);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn gru_step_q(
    _: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
) {
    if tables.bits == 8 {
        gru(&LOOKUPS_256, state, gates, x);
    } else {
        gru(&LOOKUPS_512, state, gates, x);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gru<const N: usize>(
    lookups: &Lookups<N>,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
) {
    let h = state.h.inputs(state.columns);
    let mut outputs = _mm512_setzero_si512();
    let quads = state.master.chunks_mut(QUAD).zip(state.y.chunks_mut(QUAD));
    for (quad, (master, y)) in quads.enumerate() {
        let panel = |n| preactivations::<3, 3, 1, 4>(gates, QUAD * quad + n, x, h);
        outputs = round_states(blend(lookups, by_gate(y.len(), panel), master));
        store_words(y.as_flattened_mut(), outputs);
    }
    publish(state, outputs);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn rnn_step_q(
    _: &Kernels,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    tables: &Tables,
) {
    if tables.bits == 8 {
        rnn(&LOOKUPS_256, state, gates, x);
    } else {
        rnn(&LOOKUPS_512, state, gates, x);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn rnn<const N: usize>(
    lookups: &Lookups<N>,
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
) {
    let h = state.h.inputs(state.columns);
    let mut outputs = _mm512_setzero_si512();
    let quads = state.master.chunks_mut(QUAD).zip(state.y.chunks_mut(QUAD));
    for (quad, (master, y)) in quads.enumerate() {
        let first = QUAD * quad;
        let z = match y.len() {
            4 => preactivations::<4, 4, 0, 4>(gates, first, x, h),
            3 => preactivations::<3, 3, 0, 3>(gates, first, x, h),
            2 => preactivations::<2, 2, 0, 2>(gates, first, x, h),
            _ => preactivations::<1, 1, 0, 1>(gates, first, x, h),
        };
        outputs = round_states(tanh_states(lookups, z, master));
        store_words(y.as_flattened_mut(), outputs);
    }
    publish(state, outputs);
}
