//! Integer products with AVX-512 VNNI, four panels at a time, and gates whose sums never leave the registers.
//!
//! `vpdpbusd` wants one unsigned side, so it gets `x + 128`; what that adds, 128 times the row's sum of
//! weights, comes from a second `vpdpbusd` of the same weights with 128. That costs arithmetic where weights are in
//! the first-level cache and nothing where they stream from further away, and no offset has to be in the file.
//!
//! Products come as four registers, one per panel, of partial sums; the panels past the last are zero. Adding the parts
//! up ([`add_halves`], [`add_neighbours`]) leaves two registers of two panels each.

use super::avx512::mulhi_round;
use crate::kernel::gates::{GateRows, Inputs, compose};
use crate::kernel::quads::Weights;
use crate::kernel::{BLOCK, Kernels, LANES, Panel};
use core::arch::x86_64::*;

/// Partial sums of four panels.
type Parts = [__m512i; 4];
/// Sums of four panels, two in a register.
type Sums = [__m512i; 2];

/// Products of `N` panels, which are panels `AT` and on of the four: the lower half of a register has a row's even
/// blocks, the upper half the odd ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_a8<const N: usize, const AT: usize>(w: Weights<'_, i8, N>, x: &[i8]) -> Parts {
    const PAIR: usize = 2 * BLOCK;
    const SIGNS: i64 = i64::from_ne_bytes([0x80; PAIR]);
    let (pairs, rest) = x.as_chunks::<PAIR>();
    let offset = _mm512_set1_epi8(-128);
    // Two blocks of a panel at a time: 512 bits in a row. The lower half takes the first block's inputs.
    let halves = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    let (mut shifted, mut offsets) = ([_mm512_setzero_si512(); N], [_mm512_setzero_si512(); N]);
    for (pair, &x) in pairs.iter().enumerate() {
        let x = i64::from_ne_bytes(x.map(|x| x as u8)) ^ SIGNS;
        let x = _mm512_permutexvar_epi32(halves, _mm512_set1_epi64(x));
        for n in 0..N {
            // SAFETY: a panel has a block for every four inputs, so two for every eight.
            let w: __m512i = bytemuck::cast(unsafe { w.read::<64>(n, pair) });
            shifted[n] = _mm512_dpbusd_epi32(shifted[n], x, w);
            offsets[n] = _mm512_dpbusd_epi32(offsets[n], offset, w);
        }
    }
    if let &[a, b, c, d] = rest {
        let x = i32::from_ne_bytes([a, b, c, d].map(|x| x as u8 ^ 0x80));
        for n in 0..N {
            // SAFETY: the odd block behind the pairs.
            let w: __m256i = bytemuck::cast(unsafe { w.read::<32>(n, 2 * pairs.len()) });
            let w = _mm512_zextsi256_si512(w);
            shifted[n] = _mm512_dpbusd_epi32(shifted[n], _mm512_set1_epi32(x), w);
            offsets[n] = _mm512_dpbusd_epi32(offsets[n], offset, w);
        }
    }
    let mut parts = [_mm512_setzero_si512(); 4];
    for n in 0..N {
        parts[AT + n] = _mm512_sub_epi32(shifted[n], offsets[n]);
    }
    parts
}

/// Products of `N` panels, which are panels `AT` and on of the four: lanes 2r and 2r + 1 each have half of
/// row r's sum.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_a16<const N: usize, const AT: usize>(w: Weights<'_, i8, N>, x: &[i16]) -> Parts {
    let mut parts = [_mm512_setzero_si512(); 4];
    for (block, &x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        let x = _mm512_set1_epi64(bytemuck::cast(x));
        for n in 0..N {
            // SAFETY: a panel has a block for every four inputs.
            let w = _mm512_cvtepi8_epi16(bytemuck::cast(unsafe { w.read::<32>(n, block) }));
            parts[AT + n] = _mm512_dpwssd_epi32(parts[AT + n], w, x);
        }
    }
    parts
}

/// Lower and upper halves.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn add_halves([a, b, c, d]: Parts) -> Sums {
    let both = |a, b| {
        let lower = _mm512_shuffle_i64x2::<0b01_00_01_00>(a, b);
        _mm512_add_epi32(lower, _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b))
    };
    [both(a, b), both(c, d)]
}

/// Even and odd lanes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn add_neighbours([a, b, c, d]: Parts) -> Sums {
    let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    let odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    let both = |a, b| {
        let evens = _mm512_permutex2var_epi32(a, even, b);
        _mm512_add_epi32(evens, _mm512_permutex2var_epi32(a, odd, b))
    };
    [both(a, b), both(c, d)]
}

/// The panels, and zeros behind them.
#[inline(always)]
fn four<const N: usize>(panels: [Panel<i32>; N]) -> [Panel<i32>; 4] {
    core::array::from_fn(|n| panels.get(n).copied().unwrap_or([0; LANES]))
}

/// Adds the first `N` of four panels.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn add<const N: usize>(sums: &mut [Panel<i32>; N], [first, second]: Sums) {
    let [a, b]: [__m512i; 2] = bytemuck::cast(four(*sums));
    let all: [Panel<i32>; 4] =
        bytemuck::cast([_mm512_add_epi32(a, first), _mm512_add_epi32(b, second)]);
    sums.copy_from_slice(&all[..N]);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn gates_q(
    k: &Kernels,
    z: &mut [Panel<i16>],
    gates: GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
) {
    match (gates.ih, gates.hh, gates.stride, z.len()) {
        (4, 4, 4, _) => panels_of_units::<4, 4, 0, 4>(z, gates, x, h),
        (3, 3, 4, _) => panels_of_units::<3, 3, 1, 4>(z, gates, x, h),
        // A tanh layer's panels of units are as good as the gates of one panel.
        (1, 1, 1, 4) => panels_of_units::<4, 4, 0, 4>(z, gates, x, h),
        (1, 1, 1, 3) => panels_of_units::<3, 3, 0, 3>(z, gates, x, h),
        (1, 1, 1, 2) => panels_of_units::<2, 2, 0, 2>(z, gates, x, h),
        (1, 1, 1, 1) => panels_of_units::<1, 1, 0, 1>(z, gates, x, h),
        _ => compose(k, z, gates, x, h),
    }
}

/// All `N` sum panels of a panel of units at a time. The state's matrix fills the panels from `AT` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn panels_of_units<const IH: usize, const HH: usize, const AT: usize, const N: usize>(
    z: &mut [Panel<i16>],
    gates: GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
) {
    let shift = _mm_cvtsi32_si128(gates.shift as i32);
    let (ih_panel, hh_panel) = (LANES * x.columns(), LANES * h.columns());
    let numbers = gates
        .bias
        .as_chunks::<N>()
        .0
        .iter()
        .zip(gates.m.as_chunks::<N>().0);
    let z = z.as_chunks_mut::<N>().0.iter_mut();
    for (unit, (z, (&bias, &m))) in z.zip(numbers).enumerate() {
        let w_ih = &gates.w_ih[unit * IH * ih_panel..(unit + 1) * IH * ih_panel];
        let w_hh = &gates.w_hh[unit * HH * hh_panel..(unit + 1) * HH * hh_panel];
        let w_ih = Weights::<_, IH>::new(w_ih, ih_panel);
        let w_hh = Weights::<_, HH>::new(w_hh, hh_panel);
        let from_x = match x {
            Inputs::I8(x) => add_halves(dot_a8::<IH, 0>(w_ih, x)),
            Inputs::I16(x) => add_neighbours(dot_a16::<IH, 0>(w_ih, x)),
        };
        let from_h = match h {
            Inputs::I8(h) => add_halves(dot_a8::<HH, AT>(w_hh, h)),
            Inputs::I16(h) => add_neighbours(dot_a16::<HH, AT>(w_hh, h)),
        };
        let (bias, m): (Sums, Sums) = (bytemuck::cast(four(bias)), bytemuck::cast(four(m)));
        let z_of = |half: usize| {
            let sum = _mm512_add_epi32(bias[half], _mm512_add_epi32(from_x[half], from_h[half]));
            _mm512_cvtsepi32_epi16(mulhi_round(_mm512_sll_epi32(sum, shift), m[half]))
        };
        let all: [Panel<i16>; 4] = bytemuck::cast([z_of(0), z_of(1)]);
        z.copy_from_slice(&all[..N]);
    }
}
