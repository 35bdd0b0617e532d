//! Floats with AVX-512, for one stream or several.
//!
//! A register of weights is two columns of a panel, as they lie in the file, and one of inputs has the first of two in its
//! lower half and the second in its upper one; the halves are added at the end. Where few panels are gone through together, every
//! other pair of columns has a sum of its own. That order is the same for any number of streams.

use super::float256::{Product, load, multiply, store};
use crate::kernel::{Curve, FloatMatrix, LANES, Panel, Panels, StateF, Streams};
use crate::num::float::{TANH_CLAMP, TANH_DENOMINATOR, TANH_NUMERATOR};
use core::arch::x86_64::*;
use half::f16;

/// Streams that share a load of weights.
const SHARE: usize = 2;
/// Panels that have too few rows to keep the CPU busy, where they are gone through by themselves: a row has two sums then.
const FEW: usize = 4;
/// Inputs that are loaded together: as many as a step stores together, since a wider load would have to wait for two stores.
const INPUTS: usize = 8;

/// Weights as they are stored.
pub(super) trait Stored: Copy {
    /// Two columns.
    ///
    /// # Safety
    /// There are two at this place; the CPU has AVX-512.
    unsafe fn two(w: *const Self) -> __m512;

    /// A column, and zeros in the upper half.
    ///
    /// # Safety
    /// There is one at this place; the CPU has AVX-512.
    unsafe fn one(w: *const Self) -> __m512;
}

impl Stored for f32 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn two(w: *const f32) -> __m512 {
        // SAFETY: as the caller promises.
        unsafe { _mm512_loadu_ps(w) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn one(w: *const f32) -> __m512 {
        // SAFETY: as the caller promises.
        _mm512_zextps256_ps512(unsafe { _mm256_loadu_ps(w) })
    }
}

impl Stored for f16 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn two(w: *const f16) -> __m512 {
        // SAFETY: as the caller promises.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(w.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,f16c")]
    unsafe fn one(w: *const f16) -> __m512 {
        // SAFETY: as the caller promises.
        _mm512_zextps256_ps512(_mm256_cvtph_ps(unsafe { _mm_loadu_si128(w.cast()) }))
    }
}

/// The lanes of a register of inputs that a pair of columns is multiplied with: those of `pair`.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(pair: usize) -> __m512i {
    let (first, second) = (2 * pair as i32, 2 * pair as i32 + 1);
    _mm512_mask_mov_epi32(_mm512_set1_epi32(first), 0xff00, _mm512_set1_epi32(second))
}

/// `sums += W x` for `N` panels, one behind the other, and `S` streams. A row has `K` sums, of every `K`th pair of columns, each in two
/// halves, of even columns and of odd ones. An addition has to wait for the one before it, so it takes eight sums to keep the CPU busy.
/// Always inlined, so that sums stay in registers.
///
/// # Safety
/// The panels have weights for `columns` columns, and the streams as many inputs; the CPU has AVX-512.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "a row's number is that of its weights too"
)]
pub(super) unsafe fn accumulate<W: Stored, const N: usize, const S: usize, const K: usize>(
    sums: &mut [[[__m512; N]; S]; K],
    mut w: *const W,
    mut x: [*const f32; S],
    columns: usize,
) {
    let mut left = columns;
    // SAFETY: so many columns are left, in each place, of those that the caller promises, and it has the instructions.
    unsafe {
        let mut inputs = [_mm512_setzero_ps(); S];
        while left >= INPUTS {
            for s in 0..S {
                inputs[s] = _mm512_zextps256_ps512(_mm256_loadu_ps(x[s]));
                x[s] = x[s].add(INPUTS);
            }
            for pair in 0..INPUTS / 2 {
                let mut two = [_mm512_setzero_ps(); S];
                for s in 0..S {
                    two[s] = _mm512_permutexvar_ps(lanes(pair), inputs[s]);
                }
                for n in 0..N {
                    let w = W::two(w.add(LANES * (n * columns + 2 * pair)));
                    for s in 0..S {
                        let sum = &mut sums[pair % K][s][n];
                        *sum = _mm512_fmadd_ps(w, two[s], *sum);
                    }
                }
            }
            w = w.add(LANES * INPUTS);
            left -= INPUTS;
        }
        // What is left is short, and may have been stored one by one.
        while left >= 2 {
            for s in 0..S {
                let second = _mm512_set1_ps(*x[s].add(1));
                inputs[s] = _mm512_mask_mov_ps(_mm512_set1_ps(*x[s]), 0xff00, second);
                x[s] = x[s].add(2);
            }
            for n in 0..N {
                let w = W::two(w.add(LANES * n * columns));
                for s in 0..S {
                    let sum = _mm512_fmadd_ps(w, inputs[s], sums[0][s][n]);
                    // Sums take turns.
                    for k in 1..K {
                        sums[k - 1][s][n] = sums[k][s][n];
                    }
                    sums[K - 1][s][n] = sum;
                }
            }
            w = w.add(LANES * 2);
            left -= 2;
        }
        if left == 1 {
            // The upper half of its weights is zero, and so is that of the input: its product is no NaN.
            for s in 0..S {
                inputs[s] = _mm512_maskz_mov_ps(0x00ff, _mm512_set1_ps(*x[s]));
            }
            for n in 0..N {
                let w = W::one(w.add(LANES * n * columns));
                for s in 0..S {
                    let sum = &mut sums[0][s][n];
                    *sum = _mm512_fmadd_ps(w, inputs[s], *sum);
                }
            }
        }
        let [first, others @ ..] = &mut sums[..] else {
            return;
        };
        let first = first.as_flattened_mut();
        for other in others {
            for (sum, &other) in first.iter_mut().zip(other.as_flattened()) {
                *sum = _mm512_add_ps(*sum, other);
            }
        }
    }
}

struct Avx512;

impl<W: Stored> Product<W> for Avx512 {
    const EIGHT: bool = true;

    #[inline]
    #[target_feature(enable = "avx512f,f16c")]
    unsafe fn add<const N: usize>(
        sums: &mut [Panel<f32>],
        w: *const W,
        places: [usize; N],
        streams: Streams<'_>,
        columns: usize,
        gaps: bool,
    ) {
        // Rows have the sums that they have in a whole step, where those of a GRU, whose sums have gaps, come in threes.
        // SAFETY: as the caller promises.
        unsafe {
            match N <= FEW && !gaps {
                true => all_streams::<W, N, 2>(sums, w, places, streams, columns),
                false => all_streams::<W, N, 1>(sums, w, places, streams, columns),
            }
        }
    }
}

/// # Safety
/// As of [`accumulate`].
#[inline]
#[target_feature(enable = "avx512f,f16c")]
unsafe fn all_streams<W: Stored, const N: usize, const K: usize>(
    sums: &mut [Panel<f32>],
    w: *const W,
    places: [usize; N],
    streams: Streams<'_>,
    columns: usize,
) {
    let pitch = streams.pitch;
    let (shared, alone) = streams.x.as_chunks::<SHARE>();
    // SAFETY: as the caller promises.
    unsafe {
        for (n, x) in shared.iter().enumerate() {
            let sums = &mut sums[n * SHARE * pitch..];
            some_streams::<W, N, SHARE, K>(sums, pitch, w, places, x, columns);
        }
        if let [x] = alone {
            let sums = &mut sums[shared.len() * SHARE * pitch..];
            some_streams::<W, N, 1, K>(sums, pitch, w, places, &[*x], columns);
        }
    }
}

/// # Safety
/// As of [`accumulate`].
#[inline]
#[target_feature(enable = "avx512f,f16c")]
unsafe fn some_streams<W: Stored, const N: usize, const S: usize, const K: usize>(
    sums: &mut [Panel<f32>],
    pitch: usize,
    w: *const W,
    places: [usize; N],
    x: &[&[f32]; S],
    columns: usize,
) {
    let mut totals = [[[_mm512_setzero_ps(); N]; S]; K];
    for (stream, totals) in totals[0].iter_mut().enumerate() {
        for (total, place) in totals.iter_mut().zip(places) {
            *total = first_half(load(&sums[stream * pitch + place]));
        }
    }
    let x = x.map(|x| x[..columns].as_ptr());
    // SAFETY: as the caller promises.
    unsafe { accumulate(&mut totals, w, x, columns) };
    for (stream, totals) in totals[0].iter().enumerate() {
        for (&halves, place) in totals.iter().zip(places) {
            store(&mut sums[stream * pitch + place], total(halves));
        }
    }
}

#[target_feature(enable = "avx512f,f16c")]
pub(super) fn float_product(
    sums: &mut [Panel<f32>],
    w: FloatMatrix<'_>,
    streams: Streams<'_>,
    panels: Panels,
) {
    // SAFETY: this function has the instructions.
    unsafe { multiply::<Avx512>(sums, w, streams, panels) }
}

/// What a sum starts at.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn first_half(sum: __m256) -> __m512 {
    _mm512_zextps256_ps512(sum)
}

/// A panel's sums, from their halves.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn total(sums: __m512) -> __m256 {
    let [lower, upper] = halves(sums);
    _mm256_add_ps(lower, upper)
}

/// The sums of two panels beside each other, from the halves of both.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn totals(one: __m512, other: __m512) -> __m512 {
    let lower = _mm512_shuffle_f32x4::<0b01_00_01_00>(one, other);
    let upper = _mm512_shuffle_f32x4::<0b11_10_11_10>(one, other);
    _mm512_add_ps(lower, upper)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_two(panels: &[Panel<f32>; 2]) -> __m512 {
    // SAFETY: two panels have 16 numbers.
    unsafe { _mm512_loadu_ps(panels.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_two(panels: &mut [Panel<f32>; 2], x: __m512) {
    // SAFETY: two panels have 16 numbers.
    unsafe { _mm512_storeu_ps(panels.as_mut_ptr().cast(), x) }
}

/// Two panels of a register.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn halves(x: __m512) -> [__m256; 2] {
    let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x));
    [_mm512_castps512_ps256(x), _mm256_castpd_ps(upper)]
}

/// A register of two panels.
#[inline]
#[target_feature(enable = "avx512f")]
fn both(lower: __m256, upper: __m256) -> __m512 {
    let lower = _mm512_castpd256_pd512(_mm256_castps_pd(lower));
    _mm512_castpd_ps(_mm512_insertf64x4::<1>(lower, _mm256_castps_pd(upper)))
}

/// `x P(x²) / Q(x²) + shift`, where `x` is at most `clamp`.
#[derive(Clone, Copy)]
struct Rational {
    numerator: [f32; 7],
    denominator: [f32; 4],
    clamp: f32,
    shift: f32,
}

/// Of the hyperbolic tangent. Adding a negative zero changes nothing.
const TANH: Rational = Rational {
    numerator: TANH_NUMERATOR,
    denominator: TANH_DENOMINATOR,
    clamp: TANH_CLAMP,
    shift: -0.0,
};

/// Of the logistic function, `½ tanh(½ x) + ½`: the halves are in the coefficients, which they leave exact.
const SIGMOID: Rational = {
    let (mut numerator, mut denominator) = (TANH_NUMERATOR, TANH_DENOMINATOR);
    let mut quarter = 1.0;
    let mut power = 0;
    while power < 7 {
        numerator[power] *= 0.25 * quarter;
        if power < 4 {
            denominator[power] *= quarter;
        }
        quarter *= 0.25;
        power += 1;
    }
    Rational {
        numerator,
        denominator,
        clamp: 2.0 * TANH_CLAMP,
        shift: 0.5,
    }
};

/// One curve in the lower half of a register and another in the upper one.
#[inline]
#[target_feature(enable = "avx512f")]
fn set_two(lower: f32, upper: f32) -> __m512 {
    _mm512_mask_mov_ps(_mm512_set1_ps(lower), 0xff00, _mm512_set1_ps(upper))
}

/// `lower` of the first eight numbers and `upper` of the others, but for rounding the curves of [`crate::num`].
#[inline]
#[target_feature(enable = "avx512f")]
fn curves(x: __m512, lower: Rational, upper: Rational) -> __m512 {
    let limit = |k: Rational| k.clamp * k.clamp;
    let (clamp, low) = (
        set_two(lower.clamp, upper.clamp),
        set_two(-lower.clamp, -upper.clamp),
    );
    // A minimum or maximum with a NaN is the second operand: the order lets it pass. All that follows waits for the square,
    // which therefore has a limit of its own.
    let s = _mm512_min_ps(set_two(limit(lower), limit(upper)), _mm512_mul_ps(x, x));
    let x = _mm512_min_ps(clamp, _mm512_max_ps(low, x));
    let s2 = _mm512_mul_ps(s, s);
    let [b0, b2, b4, b6] = array!([clamp; 4], |n| set_two(
        lower.denominator[n],
        upper.denominator[n]
    ));
    let [a1, a3, a5, a7, a9, a11, a13] = array!([clamp; 7], |n| set_two(
        lower.numerator[n],
        upper.numerator[n]
    ));
    let q = _mm512_fmadd_ps(_mm512_fmadd_ps(b6, s, b4), s2, _mm512_fmadd_ps(b2, s, b0));
    // 1 / q within 2^-14, and a step of Newton's: sooner there than a division.
    let near = _mm512_rcp14_ps(q);
    let error = _mm512_fnmadd_ps(q, near, _mm512_set1_ps(1.0));
    // Pairs of terms beside each other rather than one after another.
    let high = _mm512_fmadd_ps(a13, s2, _mm512_fmadd_ps(a11, s, a9));
    let middle = _mm512_fmadd_ps(high, s2, _mm512_fmadd_ps(a7, s, a5));
    let p = _mm512_fmadd_ps(middle, s2, _mm512_fmadd_ps(a3, s, a1));
    let y = _mm512_mul_ps(_mm512_mul_ps(x, p), near);
    let shifted = _mm512_add_ps(y, set_two(lower.shift, upper.shift));
    _mm512_fmadd_ps(y, error, shifted)
}

/// [`crate::num::tanh`], but for rounding.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn tanh(x: __m512) -> __m512 {
    curves(x, TANH, TANH)
}

/// [`crate::num::sigmoid`], but for rounding.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn sigmoid(x: __m512) -> __m512 {
    curves(x, SIGMOID, SIGMOID)
}

/// [`tanh`] of the lower half, [`sigmoid`] of the upper one.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn tanh_sigmoid(x: __m512) -> __m512 {
    curves(x, TANH, SIGMOID)
}

/// [`tanh`] of half a register: as quick as in one of its own width.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn narrow_tanh(x: __m256) -> __m256 {
    _mm512_castps512_ps256(tanh(_mm512_zextps256_ps512(x)))
}

#[target_feature(enable = "avx512f")]
pub(super) fn curve_f(curve: Curve, z: &mut [Panel<f32>]) {
    let (pairs, last) = z.as_chunks_mut::<2>();
    for z in pairs {
        store_two(z, one_curve(curve, load_two(z)));
    }
    if let [z] = last {
        let y = one_curve(curve, _mm512_zextps256_ps512(load(z)));
        store(z, _mm512_castps512_ps256(y));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn one_curve(curve: Curve, z: __m512) -> __m512 {
    match curve {
        Curve::Tanh => tanh(z),
        Curve::Sigmoid => sigmoid(z),
    }
}

#[target_feature(enable = "avx512f,fma")]
pub(super) fn update_f(state: StateF<'_>, y: &mut [Panel<f32>], z: &[Panel<f32>]) {
    match state {
        StateF::Lstm(c) => lstm(c, y, z),
        StateF::Gru(h) => gru(y, h, z),
    }
}

#[inline]
#[target_feature(enable = "avx512f,fma")]
fn lstm(c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
    let (c, last_c) = c.as_chunks_mut::<2>();
    let (h, last_h) = h.as_chunks_mut::<2>();
    let (gates, last) = z.as_chunks::<4>().0.as_chunks::<2>();
    for ((c, h), gates) in c.iter_mut().zip(h).zip(gates) {
        let ((first, o1), (second, o2)) =
            (lstm_panel(&c[0], &gates[0]), lstm_panel(&c[1], &gates[1]));
        let cell = both(first, second);
        store_two(h, _mm512_mul_ps(both(o1, o2), tanh(cell)));
        store_two(c, cell);
    }
    if let ([c], [h], [gates]) = (last_c, last_h, last) {
        let (cell, o) = lstm_panel(c, gates);
        let t = narrow_tanh(cell);
        store(h, _mm256_mul_ps(o, t));
        store(c, cell);
    }
}

/// The new cells of a panel by `i, f, g, o`, and its output gates.
#[inline]
#[target_feature(enable = "avx512f,fma")]
fn lstm_panel(c: &Panel<f32>, gates: &[Panel<f32>; 4]) -> (__m256, __m256) {
    let [first, second]: &[[Panel<f32>; 2]; 2] = bytemuck::cast_ref(gates);
    let [i, f] = halves(sigmoid(load_two(first)));
    let [g, o] = halves(tanh_sigmoid(load_two(second)));
    let cell = _mm256_fmadd_ps(f, load(c), _mm256_mul_ps(i, g));
    (cell, o)
}

#[inline]
#[target_feature(enable = "avx512f,fma")]
fn gru(next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
    let (next, last_next) = next.as_chunks_mut::<2>();
    let (h, last_h) = h.as_chunks::<2>();
    let (gates, last) = z.as_chunks::<4>().0.as_chunks::<2>();
    for ((next, h), gates) in next.iter_mut().zip(h).zip(gates) {
        let ((n1, z1), (n2, z2)) = (gru_gates(&gates[0]), gru_gates(&gates[1]));
        let n = tanh(both(n1, n2));
        let difference = _mm512_sub_ps(load_two(h), n);
        store_two(next, _mm512_fmadd_ps(both(z1, z2), difference, n));
    }
    if let ([next], [h], [gates]) = (last_next, last_h, last) {
        let (candidate, z) = gru_gates(gates);
        let n = narrow_tanh(candidate);
        let difference = _mm256_sub_ps(load(h), n);
        store(next, _mm256_fmadd_ps(z, difference, n));
    }
}

/// A panel's candidates before their tanh, and its update gates, by `nx, r, z, nh`.
#[inline]
#[target_feature(enable = "avx512f,fma")]
fn gru_gates([nx, rz @ .., nh]: &[Panel<f32>; 4]) -> (__m256, __m256) {
    let [r, z] = halves(sigmoid(load_two(rz)));
    let candidate = _mm256_fmadd_ps(r, load(nh), load(nx));
    (candidate, z)
}
