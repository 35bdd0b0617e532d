//! AVX2, AVX-VNNI and AVX-512 tables for x86-64, detected at run time under feature `std`.
//!
//! With inputs of sixteen bits weights are widened to i16 and multiplied in pairs (`vpmaddwd`). `vpmaddubsw` saturates, so inputs of eight bits go
//! through it as magnitudes, see [`panels_a8_avx2`]; with weights of four bits it cannot.
//! Four panels (the gates of an LSTM's units) share each widened input and hide each other's latency.

/// An array of so many values, of which the `n`th is made of `n`. Not by `array::from_fn` or `map`: these are compiled for any CPU, so that
/// they call what only some CPUs can do, and registers go there and back through memory.
macro_rules! array {
    ([$zero:expr; $count:expr], |$n:ident| $value:expr) => {{
        let mut all = [$zero; $count];
        let mut $n = 0;
        while $n < $count {
            all[$n] = $value;
            $n += 1;
        }
        all
    }};
}

mod avx512;
mod batch512;
mod float256;
mod float512;
mod float_step256;
mod float_step512;
mod step256;
mod step512;
mod vbmi;
mod vnni;

use super::quads::{Weights, by_four, by_four_w4};
use crate::kernel::definition::{SCALAR, products, steps};
use crate::kernel::table::Table;
use crate::kernel::{BLOCK, Curve, Inputs, IntMatrix, LANES, Panel, Panels};
use crate::num::Tables;
use core::arch::x86_64::*;

pub(super) const AVX2: Table = Table {
    name: "avx2",
    float_product: float256::float_product,
    product: product_avx2,
    gates_q: steps::gates,
    requant,
    curve_q,
    update_q,
    step_q: step256::avx2::step_q,
    curve_f: float256::curve_f,
    update_f: float256::update_f,
    step_f: float_step256::step_f,
    fused: true,
    ..SCALAR
};

pub(super) const AVXVNNI: Table = Table {
    name: "avxvnni",
    product: product_avxvnni,
    step_q: step256::avxvnni::step_q,
    ..AVX2
};

pub(super) const AVX512VNNI: Table = Table {
    name: "avx512vnni",
    product: product_vnni,
    requant: avx512::requant,
    curve_q: avx512::curve_q,
    update_q: avx512::update_q,
    step_q: step512::step_q,
    float_product: float512::float_product,
    curve_f: float512::curve_f,
    update_f: float512::update_f,
    step_f: float_step512::step_f,
    ..AVX2
};

pub(super) const AVX512VBMI: Table = Table {
    name: "avx512vbmi",
    step_q: batch512::step_q,
    ..AVX512VNNI
};

#[cfg(has_amx)]
pub(super) const AMX: Table = Table {
    name: "amx-int8",
    step_q: batch512::amx::step_q,
    ..AVX512VBMI
};

/// This CPU runs [`AVX2`].
pub(super) fn has_avx2() -> bool {
    #[cfg(feature = "std")]
    {
        std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("f16c")
    }
    #[cfg(not(feature = "std"))]
    {
        cfg!(all(
            target_feature = "avx2",
            target_feature = "fma",
            target_feature = "f16c"
        ))
    }
}

/// This CPU runs [`AVXVNNI`].
pub(super) fn has_avxvnni() -> bool {
    #[cfg(feature = "std")]
    {
        has_avx2() && std::arch::is_x86_feature_detected!("avxvnni")
    }
    #[cfg(not(feature = "std"))]
    {
        has_avx2() && cfg!(target_feature = "avxvnni")
    }
}

/// This CPU runs [`AVX512VNNI`].
pub(super) fn has_avx512vnni() -> bool {
    #[cfg(feature = "std")]
    {
        has_avx2()
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(feature = "std"))]
    {
        cfg!(all(
            target_feature = "avx2",
            target_feature = "fma",
            target_feature = "f16c",
            target_feature = "avx512bw",
            target_feature = "avx512vl",
            target_feature = "avx512vnni"
        ))
    }
}

/// This CPU runs [`AVX512VBMI`].
pub(super) fn has_avx512vbmi() -> bool {
    #[cfg(feature = "std")]
    {
        has_avx512vnni() && std::arch::is_x86_feature_detected!("avx512vbmi")
    }
    #[cfg(not(feature = "std"))]
    {
        has_avx512vnni() && cfg!(target_feature = "avx512vbmi")
    }
}

/// This CPU runs [`AMX`].
#[cfg(has_amx)]
pub(super) fn has_amx() -> bool {
    has_avx512vbmi() && batch512::amx::is_known()
}

#[target_feature(enable = "avx2")]
fn product_avx2(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv_a8_avx2(sums, w, x, panels),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv_a16_avx2(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I8(x)) => gemv_w4a8_avx2(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I16(x)) => gemv_w4a16_avx2(sums, w, x, panels),
        (w, x) => products::product(sums, w, x, panels),
    }
}

#[target_feature(enable = "avx2")]
fn gemv_a8_avx2(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    let inputs = (x, beyond_avx2(x));
    by_four!(panels_a8_avx2, sums, w, inputs, panels, LANES * x.len());
}

/// By how much the products of [`panels_a8_avx2`] go beyond every sum: the magnitudes of what is negative, less than nothing.
#[inline]
#[target_feature(enable = "avx2")]
fn beyond_avx2(x: &[i8]) -> i32 {
    x.iter().map(|&x| i32::from(x.min(0))).sum()
}

/// `vpmaddubsw` wants one unsigned side, and sums of two within 16 bits: magnitudes `|x|` are at most 128, and where `x` is negative
/// `|x| · !w = x w − |x|`, so that no sum leaves −2^15 to 2^15 − 1 whatever the weights are. What is `beyond` is one number for all rows.
#[inline]
#[target_feature(enable = "avx2")]
fn panels_a8_avx2<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, i8, N>,
    (x, beyond): (&[i8], i32),
) {
    let (zero, ones) = (_mm256_setzero_si256(), _mm256_set1_epi16(1));
    let mut total = array!([zero; N], |n| bytemuck::cast(sums[n]));
    for (block, &x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        let x = _mm256_set1_epi32(bytemuck::cast(x));
        let (negative, magnitude) = (_mm256_cmpgt_epi8(zero, x), _mm256_abs_epi8(x));
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has a block for every four inputs.
            let w = bytemuck::cast(unsafe { w.read::<32>(n, block) });
            let pairs = _mm256_maddubs_epi16(magnitude, _mm256_xor_si256(w, negative));
            *total = _mm256_add_epi32(*total, _mm256_madd_epi16(pairs, ones));
        }
    }
    let beyond = _mm256_set1_epi32(beyond);
    for n in 0..N {
        sums[n] = bytemuck::cast(_mm256_sub_epi32(total[n], beyond));
    }
}

#[target_feature(enable = "avx2")]
fn gemv_a16_avx2(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    by_four!(panels_a16_avx2, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "avx2")]
fn panels_a16_avx2<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, i8, N>, x: &[i16]) {
    let inputs = x.as_chunks::<BLOCK>().0.iter();
    let inputs = inputs.map(|&x| _mm256_set1_epi64x(bytemuck::cast(x)));
    pairs_avx2(sums, w, inputs);
}

/// `inputs` gives, block by block, the four i16 of a block repeated in every 64 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs_avx2<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, i8, N>,
    inputs: impl Iterator<Item = __m256i>,
) {
    let (mut upper, mut lower) = ([_mm256_setzero_si256(); N], [_mm256_setzero_si256(); N]);
    for (block, x) in inputs.enumerate() {
        for n in 0..N {
            // SAFETY: a panel has a block for every four inputs.
            let [first, second]: [__m128i; 2] = bytemuck::cast(unsafe { w.read::<32>(n, block) });
            let first = _mm256_madd_epi16(_mm256_cvtepi8_epi16(first), x);
            let second = _mm256_madd_epi16(_mm256_cvtepi8_epi16(second), x);
            upper[n] = _mm256_add_epi32(upper[n], first);
            lower[n] = _mm256_add_epi32(lower[n], second);
        }
    }
    add_pairs(sums, upper, lower);
}

/// Adds the two halves of each row's sum: neighbours, rows 0 to 3 in `upper` and 4 to 7 in `lower`.
#[inline]
#[target_feature(enable = "avx2")]
fn add_pairs<const N: usize>(sums: &mut [Panel<i32>; N], upper: [__m256i; N], lower: [__m256i; N]) {
    for n in 0..N {
        // Rows come out as 0 1 4 5 2 3 6 7.
        let rows = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(upper[n], lower[n]));
        let sum = &mut sums[n];
        *sum = bytemuck::cast(_mm256_add_epi32(bytemuck::cast(*sum), rows));
    }
}

#[target_feature(enable = "avx2")]
fn gemv_w4a8_avx2(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    by_four_w4!(panels_w4a8_avx2, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "avx2")]
fn panels_w4a8_avx2<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, u8, N>,
    (x, offset): (&[i8], i32),
) {
    let mask = _mm256_set1_epi8(0x0f);
    let mut total = [_mm256_set1_epi32(offset.wrapping_neg()); N];
    for (two, &x) in x.as_chunks::<{ 2 * BLOCK }>().0.iter().enumerate() {
        let [even, odd]: [i32; 2] = bytemuck::cast(x);
        let (even, odd) = (_mm256_set1_epi32(even), _mm256_set1_epi32(odd));
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has 32 bytes for every eight inputs.
            let w: __m256i = bytemuck::cast(unsafe { w.read::<32>(n, two) });
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), mask);
            // Four products of at most 15 · 128: far from the ends of i16.
            let pairs = _mm256_add_epi16(
                _mm256_maddubs_epi16(_mm256_and_si256(w, mask), even),
                _mm256_maddubs_epi16(high, odd),
            );
            let rows = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            *total = _mm256_add_epi32(*total, rows);
        }
    }
    for (sum, total) in sums.iter_mut().zip(total) {
        *sum = bytemuck::cast(_mm256_add_epi32(bytemuck::cast(*sum), total));
    }
}

#[target_feature(enable = "avx2")]
fn gemv_w4a16_avx2(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    by_four_w4!(panels_w4a16_avx2, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "avx2")]
fn panels_w4a16_avx2<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, u8, N>,
    (x, offset): (&[i16], i32),
) {
    let mask = _mm256_set1_epi16(0x0f);
    // Lanes as in `pairs_avx2`; the offset is in one half of each row's sum.
    let start = _mm256_set1_epi64x(offset.wrapping_neg() as u32 as i64);
    let (mut upper, mut lower) = ([start; N], [start; N]);
    for (two, &x) in x.as_chunks::<{ 2 * BLOCK }>().0.iter().enumerate() {
        let [even, odd]: [i64; 2] = bytemuck::cast(x);
        let (even, odd) = (_mm256_set1_epi64x(even), _mm256_set1_epi64x(odd));
        for n in 0..N {
            // SAFETY: a panel has 32 bytes for every eight inputs.
            let halves: [__m128i; 2] = bytemuck::cast(unsafe { w.read::<32>(n, two) });
            for (w, total) in halves.into_iter().zip([&mut upper[n], &mut lower[n]]) {
                let w = _mm256_cvtepu8_epi16(w);
                let low = _mm256_madd_epi16(_mm256_and_si256(w, mask), even);
                let high = _mm256_madd_epi16(_mm256_srli_epi16::<4>(w), odd);
                *total = _mm256_add_epi32(*total, _mm256_add_epi32(low, high));
            }
        }
    }
    add_pairs(sums, upper, lower);
}

#[target_feature(enable = "avx2,avxvnni")]
fn product_avxvnni(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv_a8_avxvnni(sums, w, x, panels),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv_a16_avxvnni(sums, w, x, panels),
        (w, x) => product_avx2(sums, w, x, panels),
    }
}

#[target_feature(enable = "avx2,avxvnni")]
fn gemv_a8_avxvnni(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    let inputs = (x, beyond_avxvnni(x));
    by_four!(panels_a8_avxvnni, sums, w, inputs, panels, LANES * x.len());
}

/// By how much the products of [`panels_a8_avxvnni`] go beyond every sum.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn beyond_avxvnni(x: &[i8]) -> i32 {
    x.iter().map(|&x| i32::from(x) << 7).sum()
}

/// `vpdpbusd` wants one unsigned side: see [`vnni`].
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn panels_a8_avxvnni<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, i8, N>,
    (x, beyond): (&[i8], i32),
) {
    let signs = _mm256_set1_epi8(-128);
    let zero = _mm256_setzero_si256();
    let mut total = array!([zero; N], |n| bytemuck::cast(sums[n]));
    // Every other block has sums of its own, so that a product need not wait for the one before.
    let mut others = [zero; N];
    let add = |total: &mut [__m256i; N], block: usize, x: [i8; BLOCK]| {
        let x = _mm256_set1_epi32(bytemuck::cast(x));
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has a block for every four inputs.
            let w = bytemuck::cast(unsafe { w.read::<32>(n, block) });
            *total = _mm256_dpbusd_avx_epi32(*total, _mm256_xor_si256(w, signs), x);
        }
    };
    let (twos, odd) = x.as_chunks::<BLOCK>().0.as_chunks::<2>();
    for (two, &[first, second]) in twos.iter().enumerate() {
        add(&mut total, 2 * two, first);
        add(&mut others, 2 * two + 1, second);
    }
    if let &[x] = odd {
        add(&mut total, 2 * twos.len(), x);
    }
    let beyond = _mm256_set1_epi32(beyond);
    for n in 0..N {
        let sum = _mm256_add_epi32(total[n], others[n]);
        sums[n] = bytemuck::cast(_mm256_sub_epi32(sum, beyond));
    }
}

#[target_feature(enable = "avx2,avxvnni")]
fn gemv_a16_avxvnni(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    by_four!(panels_a16_avxvnni, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn panels_a16_avxvnni<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, i8, N>,
    x: &[i16],
) {
    let (mut upper, mut lower) = ([_mm256_setzero_si256(); N], [_mm256_setzero_si256(); N]);
    for (block, &x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        let x = _mm256_set1_epi64x(bytemuck::cast(x));
        for n in 0..N {
            // SAFETY: a panel has a block for every four inputs.
            let [first, second]: [__m128i; 2] = bytemuck::cast(unsafe { w.read::<32>(n, block) });
            upper[n] = _mm256_dpwssd_avx_epi32(upper[n], _mm256_cvtepi8_epi16(first), x);
            lower[n] = _mm256_dpwssd_avx_epi32(lower[n], _mm256_cvtepi8_epi16(second), x);
        }
    }
    add_pairs(sums, upper, lower);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn product_vnni(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv_a8_vnni(sums, w, x, panels),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv_a16_vnni(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I8(x)) => gemv_w4a8_vnni(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I16(x)) => gemv_w4a16_vnni(sums, w, x, panels),
        (w, x) => products::product(sums, w, x, panels),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gemv_a8_vnni(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    by_four!(panels_a8_vnni, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn panels_a8_vnni<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, i8, N>, x: &[i8]) {
    let mut offset = _mm512_setzero_si512();
    let mut parts = array!([offset; N], |n| vnni::start(sums[n]));
    vnni::dot_a8(&mut parts, &mut offset, w, x);
    *sums = vnni::finish(parts, offset);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gemv_a16_vnni(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    by_four!(panels_a16_vnni, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn panels_a16_vnni<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, i8, N>, x: &[i16]) {
    let mut offset = _mm512_setzero_si512();
    let mut parts = array!([offset; N], |n| vnni::start(sums[n]));
    vnni::dot_a16(&mut parts, &mut offset, w, x);
    *sums = vnni::finish(parts, offset);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gemv_w4a8_vnni(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    by_four!(panels_w4a8_vnni, sums, w, x, panels, LANES * x.len() / 2);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn panels_w4a8_vnni<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, u8, N>, x: &[i8]) {
    let mut offset = _mm512_setzero_si512();
    let mut parts = array!([offset; N], |n| vnni::start(sums[n]));
    vnni::dot_w4a8(&mut parts, &mut offset, w, x);
    *sums = vnni::finish(parts, offset);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn gemv_w4a16_vnni(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    by_four!(panels_w4a16_vnni, sums, w, x, panels, LANES * x.len() / 2);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn panels_w4a16_vnni<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, u8, N>, x: &[i16]) {
    let mut offset = _mm512_setzero_si512();
    let mut parts = array!([offset; N], |n| vnni::start(sums[n]));
    vnni::dot_w4a16(&mut parts, &mut offset, w, x);
    *sums = vnni::finish(parts, offset);
}

/// [`crate::num::mulhi_round`] in every lane.
#[inline]
#[target_feature(enable = "avx2")]
fn mulhi_round(a: __m256i, b: __m256i) -> __m256i {
    let half = _mm256_set1_epi64x(1 << 31);
    let even = _mm256_add_epi64(_mm256_mul_epi32(a, b), half);
    let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
    let odd = _mm256_add_epi64(odd, half);
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd)
}

/// Eight i32 to i16, saturated.
#[inline]
#[target_feature(enable = "avx2")]
fn saturate16(x: __m256i) -> Panel<i16> {
    let packed = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    bytemuck::cast(packed)
}

#[target_feature(enable = "avx2")]
fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
    let shift = _mm_cvtsi32_si128(shift as i32);
    for ((z, &sum), &m) in z.iter_mut().zip(sums).zip(m) {
        let sum = _mm256_sll_epi32(bytemuck::cast(sum), shift);
        *z = saturate16(mulhi_round(sum, bytemuck::cast(m)));
    }
}

/// Interpolated look-up of eight lanes, in Q31.
#[inline]
#[target_feature(enable = "avx2")]
fn lookup(entries: &[i32], bits: u32, z: Panel<i16>) -> __m256i {
    let z = _mm256_cvtepi16_epi32(bytemuck::cast(z));
    let fraction_bits = _mm_cvtsi32_si128(16 - bits as i32);
    let index = _mm256_srl_epi32(
        _mm256_and_si256(z, _mm256_set1_epi32(0xffff)),
        fraction_bits,
    );
    assert!(entries.len() == 1 << bits);
    // SAFETY: an index has `bits` bits, and the table that many entries.
    let entry = unsafe { _mm256_i32gather_epi32::<4>(entries.as_ptr(), index) };
    let delta = _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(entry));
    let fraction = _mm256_and_si256(z, _mm256_set1_epi32((1 << (16 - bits)) - 1));
    // A pair's other half is zero, so this is the product of two 16-bit numbers.
    let product = _mm256_mullo_epi32(delta, fraction);
    _mm256_add_epi32(
        entry,
        _mm256_sll_epi32(product, _mm_cvtsi32_si128(bits as i32)),
    )
}

#[target_feature(enable = "avx2")]
fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    let (entries, bits) = (curve.entries(tables), tables.bits());
    for (y, &z) in y.iter_mut().zip(z) {
        *y = bytemuck::cast(lookup(entries, bits, z));
    }
}

update_q! { #[target_feature(enable = "avx2")] }

#[inline]
#[target_feature(enable = "avx2")]
fn lstm(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    for ((c, y), &z) in c.iter_mut().zip(y).zip(z.as_chunks().0) {
        *y = lstm_panel(c, z, tables, cell_shift);
    }
}

/// A panel of cells by their gates `i, f, g, o`; gives the outputs.
#[inline]
#[target_feature(enable = "avx2")]
fn lstm_panel(
    c: &mut Panel<i32>,
    [i, f, g, o]: [Panel<i16>; 4],
    tables: &Tables,
    cell_shift: u8,
) -> Panel<i16> {
    let (low, high) = (
        _mm256_set1_epi32(-(1 << 30)),
        _mm256_set1_epi32((1 << 30) - 1),
    );
    let new_shift = _mm_cvtsi32_si128(3 + cell_shift as i32);
    let depth_shift = _mm_cvtsi32_si128(15 - cell_shift as i32);
    let i = lookup(tables.sigmoid_entries(), tables.bits(), i);
    let f = lookup(tables.sigmoid_entries(), tables.bits(), f);
    let g = lookup(tables.tanh_entries(), tables.bits(), g);
    let o = lookup(tables.sigmoid_entries(), tables.bits(), o);
    let kept = _mm256_slli_epi32::<1>(mulhi_round(f, bytemuck::cast(*c)));
    let new = _mm256_sra_epi32(mulhi_round(i, g), new_shift);
    let cell = _mm256_min_epi32(_mm256_max_epi32(_mm256_add_epi32(kept, new), low), high);
    let depth = saturate16(_mm256_sra_epi32(cell, depth_shift));
    let out = mulhi_round(o, lookup(tables.tanh_entries(), tables.bits(), depth));
    *c = bytemuck::cast(cell);
    saturate16(_mm256_srai_epi32::<18>(_mm256_add_epi32(
        out,
        _mm256_set1_epi32(1 << 17),
    )))
}

#[inline]
#[target_feature(enable = "avx2")]
fn gru(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (h, &z) in h.iter_mut().zip(z.as_chunks().0) {
        gru_panel(h, z, tables);
    }
}

/// A panel of states by `nx, r, z, nh`.
#[inline]
#[target_feature(enable = "avx2")]
fn gru_panel(h: &mut Panel<i32>, [nx, r, z, nh]: [Panel<i16>; 4], tables: &Tables) {
    let r = lookup(tables.sigmoid_entries(), tables.bits(), r);
    let r = saturate16(_mm256_srai_epi32::<16>(r));
    // (a b + 2^14) >> 15; a gate is not negative, so MIN · MIN cannot occur.
    let recurrent = _mm_mulhrs_epi16(bytemuck::cast(r), bytemuck::cast(nh));
    let candidate = _mm_adds_epi16(bytemuck::cast(nx), recurrent);
    let n = lookup(
        tables.tanh_entries(),
        tables.bits(),
        bytemuck::cast(candidate),
    );
    let n = _mm256_srai_epi32::<2>(n);
    let z = lookup(tables.sigmoid_entries(), tables.bits(), z);
    let difference = _mm256_sub_epi32(bytemuck::cast(*h), n);
    let kept = _mm256_slli_epi32::<1>(mulhi_round(z, difference));
    *h = bytemuck::cast(_mm256_add_epi32(n, kept));
}
