//! Floats with AVX-512, for one stream or several.
//!
//! A register of weights is two columns of a panel, as they lie in the file, and one of inputs has the first of two in its
//! lower half and the second in its upper one; the halves are added at the end. Every other pair of columns has a sum
//! of its own, so that an addition need not wait for the one before it. That order is the same for any number of streams.

use super::float_step::{Lanes, step};
use super::float256::{self, Avx2, Product, load, multiply, store};
use crate::kernel::{
    CellF, Curve, FloatMatrix, FloatState, Gates, Kernels, LANES, Panel, Panels, StateF, Streams,
};
use crate::num::float::{TANH_CLAMP, TANH_DENOMINATOR, TANH_NUMERATOR};
use core::arch::x86_64::*;
use half::f16;

/// Streams that share a load of weights.
const SHARE: usize = 2;
/// Columns from which two at a time are worth it: fewer go as with AVX2.
const WIDE: usize = 48;
/// Inputs that are loaded together: as many as a step stores together, since a wider load would have to wait for two stores.
const INPUTS: usize = 8;

/// Weights as they are stored.
trait Stored: Copy {
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

/// `sums += W x` for `N` panels and `S` streams. A row has a sum of even pairs of columns and one of odd pairs, each in
/// two halves. Always inlined, so that sums stay in registers.
///
/// # Safety
/// The panels have weights for `columns` columns, and the streams as many inputs; the CPU has AVX-512.
#[inline(always)]
unsafe fn accumulate<W: Stored, const N: usize, const S: usize>(
    sums: &mut [[[__m512; 2]; N]; S],
    w: [*const W; N],
    x: [*const f32; S],
    columns: usize,
) {
    let mut at = 0;
    // SAFETY: so many columns are left, in each place, of those that the caller promises, and it has the instructions.
    unsafe {
        let mut inputs = [_mm512_setzero_ps(); S];
        while columns - at >= INPUTS {
            for s in 0..S {
                inputs[s] = _mm512_zextps256_ps512(_mm256_loadu_ps(x[s].add(at)));
            }
            for pair in 0..INPUTS / 2 {
                let mut two = [_mm512_setzero_ps(); S];
                for s in 0..S {
                    two[s] = _mm512_permutexvar_ps(lanes(pair), inputs[s]);
                }
                for n in 0..N {
                    let w = W::two(w[n].add(LANES * (at + 2 * pair)));
                    for s in 0..S {
                        let sum = &mut sums[s][n][pair % 2];
                        *sum = _mm512_fmadd_ps(w, two[s], *sum);
                    }
                }
            }
            at += INPUTS;
        }
        // What is left is short, and may have been stored one by one.
        while columns - at >= 2 {
            for s in 0..S {
                let second = _mm512_set1_ps(*x[s].add(at + 1));
                inputs[s] = _mm512_mask_mov_ps(_mm512_set1_ps(*x[s].add(at)), 0xff00, second);
            }
            for n in 0..N {
                let w = W::two(w[n].add(LANES * at));
                for s in 0..S {
                    // Sums take turns.
                    let [even, odd] = sums[s][n];
                    sums[s][n] = [odd, _mm512_fmadd_ps(w, inputs[s], even)];
                }
            }
            at += 2;
        }
        if at < columns {
            // The upper half of its weights is zero, and so is that of the input: its product is no NaN.
            for s in 0..S {
                inputs[s] = _mm512_maskz_mov_ps(0x00ff, _mm512_set1_ps(*x[s].add(at)));
            }
            for n in 0..N {
                let w = W::one(w[n].add(LANES * at));
                for s in 0..S {
                    let sum = &mut sums[s][n][0];
                    *sum = _mm512_fmadd_ps(w, inputs[s], *sum);
                }
            }
        }
    }
}

struct Avx512;

impl<W: Stored + float256::Stored> Product<W> for Avx512 {
    #[inline]
    #[target_feature(enable = "avx512f,f16c")]
    unsafe fn add<const N: usize>(
        sums: &mut [Panel<f32>],
        w: [*const W; N],
        places: [usize; N],
        streams: Streams<'_>,
        columns: usize,
    ) {
        if columns < WIDE {
            // SAFETY: as the caller promises.
            return unsafe { <Avx2 as Product<W>>::add(sums, w, places, streams, columns) };
        }
        let pitch = streams.pitch;
        let (shared, alone) = streams.x.as_chunks::<SHARE>();
        for (n, x) in shared.iter().enumerate() {
            let sums = &mut sums[n * SHARE * pitch..];
            // SAFETY: as the caller promises.
            unsafe { some_streams(sums, pitch, w, places, x, columns) };
        }
        if let [x] = alone {
            let sums = &mut sums[shared.len() * SHARE * pitch..];
            // SAFETY: as the caller promises.
            unsafe { some_streams(sums, pitch, w, places, &[*x], columns) };
        }
    }
}

/// # Safety
/// As of [`accumulate`].
#[inline]
#[target_feature(enable = "avx512f,f16c")]
unsafe fn some_streams<W: Stored, const N: usize, const S: usize>(
    sums: &mut [Panel<f32>],
    pitch: usize,
    w: [*const W; N],
    places: [usize; N],
    x: &[&[f32]; S],
    columns: usize,
) {
    let mut totals: [[[__m512; 2]; N]; S] = core::array::from_fn(|stream| {
        places.map(|place| {
            let sum = load(&sums[stream * pitch + place]);
            [_mm512_zextps256_ps512(sum), _mm512_setzero_ps()]
        })
    });
    let x = x.map(|x| x[..columns].as_ptr());
    // SAFETY: as the caller promises.
    unsafe { accumulate(&mut totals, w, x, columns) };
    for (stream, totals) in totals.into_iter().enumerate() {
        for (parts, place) in totals.into_iter().zip(places) {
            store(&mut sums[stream * pitch + place], total(parts));
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

impl<W: Stored + float256::Stored> Lanes<W> for Avx512 {
    #[inline(always)]
    unsafe fn add<const N: usize>(
        sums: [__m256; N],
        w: *const W,
        x: *const f32,
        columns: usize,
    ) -> [__m256; N] {
        // SAFETY: as the caller promises.
        unsafe {
            let w = core::array::from_fn(|n| w.add(n * LANES * columns));
            if columns < WIDE {
                return float256::accumulate(sums, w, x, columns);
            }
            let mut totals = [[_mm512_setzero_ps(); 2]; N];
            for n in 0..N {
                totals[n][0] = _mm512_zextps256_ps512(sums[n]);
            }
            accumulate(core::array::from_mut(&mut totals), w, [x], columns);
            let mut sums = sums;
            for n in 0..N {
                sums[n] = total(totals[n]);
            }
            sums
        }
    }

    #[inline(always)]
    unsafe fn curve(curve: Curve, x: __m256) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe {
            match curve {
                Curve::Tanh => narrow_tanh(x),
                Curve::Sigmoid => narrow_sigmoid(x),
            }
        }
    }
}

/// A panel's sums, from two registers of two halves.
#[inline]
#[target_feature(enable = "avx512f")]
fn total([even, odd]: [__m512; 2]) -> __m256 {
    let [lower, upper] = halves(_mm512_add_ps(even, odd));
    _mm256_add_ps(lower, upper)
}

/// [`tanh`] of half a register.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,fma")]
fn narrow_tanh(x: __m256) -> __m256 {
    let [p, q] = float256::fraction(x);
    let near = _mm256_rcp14_ps(q);
    let one = _mm256_set1_ps(1.0);
    let reciprocal = _mm256_fmadd_ps(near, _mm256_fnmadd_ps(q, near, one), near);
    _mm256_mul_ps(p, reciprocal)
}

/// [`sigmoid`] of half a register.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,fma")]
fn narrow_sigmoid(x: __m256) -> __m256 {
    let half = _mm256_set1_ps(0.5);
    _mm256_fmadd_ps(half, narrow_tanh(_mm256_mul_ps(half, x)), half)
}

#[target_feature(enable = "avx512f,avx512vl,f16c,fma")]
pub(super) fn step_f(
    _: &Kernels,
    cell: CellF,
    state: FloatState<'_>,
    gates: &Gates<'_>,
    x: &[f32],
) {
    // SAFETY: the method that calls has checked lengths, and this function has the instructions.
    unsafe { step::<Avx512>(cell, state, gates, x) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_two(panels: &[Panel<f32>; 2]) -> __m512 {
    // SAFETY: two panels have 16 numbers.
    unsafe { _mm512_loadu_ps(panels.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_two(panels: &mut [Panel<f32>; 2], x: __m512) {
    // SAFETY: two panels have 16 numbers.
    unsafe { _mm512_storeu_ps(panels.as_mut_ptr().cast(), x) }
}

/// Two panels of a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(x: __m512) -> [__m256; 2] {
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

/// [`crate::num::tanh`], but for rounding.
#[inline]
#[target_feature(enable = "avx512f")]
fn tanh(x: __m512) -> __m512 {
    let set = |a: f32| _mm512_set1_ps(a);
    // A minimum or maximum with a NaN is the second operand: the order lets it pass.
    let x = _mm512_min_ps(set(TANH_CLAMP), _mm512_max_ps(set(-TANH_CLAMP), x));
    let s = _mm512_mul_ps(x, x);
    let s2 = _mm512_mul_ps(s, s);
    let [a1, a3, a5, a7, a9, a11, a13] = TANH_NUMERATOR.map(set);
    let [b0, b2, b4, b6] = TANH_DENOMINATOR.map(set);
    let q = _mm512_fmadd_ps(_mm512_fmadd_ps(b6, s, b4), s2, _mm512_fmadd_ps(b2, s, b0));
    // 1 / q within 2^-14, and a step of Newton's: sooner there than a division.
    let near = _mm512_rcp14_ps(q);
    let reciprocal = _mm512_fmadd_ps(near, _mm512_fnmadd_ps(q, near, set(1.0)), near);
    // Pairs of terms beside each other rather than one after another.
    let high = _mm512_fmadd_ps(a13, s2, _mm512_fmadd_ps(a11, s, a9));
    let middle = _mm512_fmadd_ps(high, s2, _mm512_fmadd_ps(a7, s, a5));
    let p = _mm512_fmadd_ps(middle, s2, _mm512_fmadd_ps(a3, s, a1));
    _mm512_mul_ps(_mm512_mul_ps(x, p), reciprocal)
}

/// `scale · tanh(scale · x) + shift`: with a half and a half the logistic function, with 1 and −0 tanh.
#[inline]
#[target_feature(enable = "avx512f")]
fn scaled(x: __m512, scale: __m512, shift: __m512) -> __m512 {
    _mm512_fmadd_ps(scale, tanh(_mm512_mul_ps(scale, x)), shift)
}

/// [`crate::num::sigmoid`], but for rounding.
#[inline]
#[target_feature(enable = "avx512f")]
fn sigmoid(x: __m512) -> __m512 {
    let half = _mm512_set1_ps(0.5);
    scaled(x, half, half)
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
        let t = _mm512_castps512_ps256(tanh(_mm512_zextps256_ps512(cell)));
        store(h, _mm256_mul_ps(o, t));
        store(c, cell);
    }
}

/// The new cells of a panel by `i, f, g, o`, and its output gates.
#[inline]
#[target_feature(enable = "avx512f,fma")]
fn lstm_panel(c: &Panel<f32>, gates: &[Panel<f32>; 4]) -> (__m256, __m256) {
    let [first, second]: &[[Panel<f32>; 2]; 2] = bytemuck::cast_ref(gates);
    let (half, one) = (_mm512_set1_ps(0.5), _mm512_set1_ps(1.0));
    let [i, f] = halves(scaled(load_two(first), half, half));
    // g is a tanh, o a logistic function. Adding a negative zero changes nothing.
    let scale = _mm512_mask_mov_ps(one, 0xff00, half);
    let shift = _mm512_mask_mov_ps(_mm512_set1_ps(-0.0), 0xff00, half);
    let [g, o] = halves(scaled(load_two(second), scale, shift));
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
        let n = _mm512_castps512_ps256(tanh(_mm512_zextps256_ps512(candidate)));
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
