//! Floats with AVX2: fused multiply-add, and two sums a row, of even columns and of odd ones, so that an addition need not
//! wait for the one before it.

use crate::kernel::{Curve, FloatMatrix, LANES, Panel, Panels, StateF, Streams};
use crate::num::float::{TANH_CLAMP, TANH_DENOMINATOR, TANH_NUMERATOR};
use core::arch::x86_64::*;
use half::f16;

/// A product of `N` panels one behind the other, whose weights are stored as `W`, by some instruction set.
pub(super) trait Product<W> {
    /// Whether it has registers for the sums of eight panels.
    const EIGHT: bool;

    /// Adds it to each stream's sums, which are `pitch` panels apart; `gaps` if the matrix leaves some of them out.
    ///
    /// # Safety
    /// Each panel has weights for `columns` columns, the streams have as many inputs, and the CPU has the instructions.
    unsafe fn add<const N: usize>(
        sums: &mut [Panel<f32>],
        w: *const W,
        places: [usize; N],
        streams: Streams<'_>,
        columns: usize,
        gaps: bool,
    );
}

/// Where the panels of a matrix add into a stream's sums, one after the other.
struct Places {
    panels: Panels,
    next: usize,
    /// Left of this group.
    left: usize,
}

impl Places {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> [usize; N] {
        let mut places = [0; N];
        for place in &mut places {
            *place = self.next;
            self.next += 1;
            self.left -= 1;
            if self.left == 0 {
                self.next += self.panels.stride - self.panels.group;
                self.left = self.panels.group;
            }
        }
        places
    }
}

/// `sums += W x` for all streams, however the weights are stored.
///
/// # Safety
/// The CPU has the product's instructions.
#[inline(always)]
pub(super) unsafe fn multiply<P: Product<f32> + Product<f16>>(
    sums: &mut [Panel<f32>],
    w: FloatMatrix<'_>,
    streams: Streams<'_>,
    panels: Panels,
) {
    // SAFETY: as the caller promises.
    unsafe {
        match w {
            FloatMatrix::F32(w) => each_panel::<_, P>(sums, w, streams, panels),
            FloatMatrix::F16(w) => each_panel::<_, P>(sums, w, streams, panels),
        }
    }
}

/// Panels of so many columns begin at the same place of pages, and where eight of them are read at once their lines are too many for that place
/// in a first cache of eight ways: an LSTM (64, 128) took 13 % longer on a Zen 4 then, a tanh RNN 22 %.
#[inline(always)]
pub(super) const fn is_crowded<W>(columns: usize) -> bool {
    const PAGE: usize = 4096;
    (LANES * columns * size_of::<W>()).is_multiple_of(PAGE)
}

/// All panels, as many at a time as there are registers for.
///
/// # Safety
/// As of [`multiply`].
#[inline(always)]
unsafe fn each_panel<W, P: Product<W>>(
    sums: &mut [Panel<f32>],
    mut w: &[W],
    streams: Streams<'_>,
    panels: Panels,
) {
    let columns = streams.columns();
    if columns == 0 {
        return;
    }
    let panel = LANES * columns;
    let gaps = panels.group < panels.stride;
    let mut places = Places {
        panels,
        next: 0,
        left: panels.group,
    };
    // SAFETY: what is split off is so many panels of these columns, and `Streams::new` has seen that all streams have as many inputs.
    unsafe {
        while P::EIGHT
            && !is_crowded::<W>(columns)
            && let Some((eight, rest)) = w.split_at_checked(8 * panel)
        {
            P::add::<8>(sums, eight.as_ptr(), places.take(), streams, columns, gaps);
            w = rest;
        }
        while let Some((four, rest)) = w.split_at_checked(4 * panel) {
            P::add::<4>(sums, four.as_ptr(), places.take(), streams, columns, gaps);
            w = rest;
        }
        if let Some((two, rest)) = w.split_at_checked(2 * panel) {
            P::add::<2>(sums, two.as_ptr(), places.take(), streams, columns, gaps);
            w = rest;
        }
        if let Some((one, _)) = w.split_at_checked(panel) {
            P::add::<1>(sums, one.as_ptr(), places.take(), streams, columns, gaps);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn float_product(
    sums: &mut [Panel<f32>],
    w: FloatMatrix<'_>,
    streams: Streams<'_>,
    panels: Panels,
) {
    // SAFETY: this function has the instructions.
    unsafe { multiply::<Avx2>(sums, w, streams, panels) }
}

/// Weights as they are stored.
pub(super) trait Stored: Copy {
    /// A column of a panel.
    ///
    /// # Safety
    /// There is one at this place; the CPU has AVX2 and F16C.
    unsafe fn column(w: *const Self) -> __m256;
}

impl Stored for f32 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn column(w: *const f32) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe { _mm256_loadu_ps(w) }
    }
}

impl Stored for f16 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn column(w: *const f16) -> __m256 {
        // SAFETY: as the caller promises.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(w.cast()) })
    }
}

struct Avx2;

impl<W: Stored> Product<W> for Avx2 {
    const EIGHT: bool = false;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add<const N: usize>(
        sums: &mut [Panel<f32>],
        w: *const W,
        places: [usize; N],
        streams: Streams<'_>,
        columns: usize,
        _: bool,
    ) {
        for (stream, x) in streams.x.iter().enumerate() {
            let sums = &mut sums[stream * streams.pitch..];
            let totals = array!([_mm256_setzero_ps(); N], |n| load(&sums[places[n]]));
            // SAFETY: as the caller promises.
            let totals = unsafe { accumulate(totals, w, x[..columns].as_ptr(), columns) };
            for (total, place) in totals.into_iter().zip(places) {
                store(&mut sums[place], total);
            }
        }
    }
}

/// `sums += W x` for `N` panels, one behind the other. A row has a sum of even columns and one of odd ones. Always inlined, so that sums stay in
/// registers.
///
/// # Safety
/// The panels have weights for `columns` columns, as many inputs there are, and the CPU has AVX2.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "a row's number is that of its weights too"
)]
pub(super) unsafe fn accumulate<W: Stored, const N: usize>(
    mut even: [__m256; N],
    w: *const W,
    x: *const f32,
    columns: usize,
) -> [__m256; N] {
    let mut at = 0;
    // SAFETY: so many columns are left, in each place, of those that the caller promises, and it has the instructions.
    unsafe {
        let mut odd = [_mm256_setzero_ps(); N];
        while columns - at >= 4 {
            for at in [at, at + 2] {
                let (first, second) = (_mm256_set1_ps(*x.add(at)), _mm256_set1_ps(*x.add(at + 1)));
                for n in 0..N {
                    let w = w.add(LANES * (n * columns + at));
                    even[n] = _mm256_fmadd_ps(W::column(w), first, even[n]);
                    odd[n] = _mm256_fmadd_ps(W::column(w.add(LANES)), second, odd[n]);
                }
            }
            at += 4;
        }
        if columns - at >= 2 {
            let (first, second) = (_mm256_set1_ps(*x.add(at)), _mm256_set1_ps(*x.add(at + 1)));
            for n in 0..N {
                let w = w.add(LANES * (n * columns + at));
                even[n] = _mm256_fmadd_ps(W::column(w), first, even[n]);
                odd[n] = _mm256_fmadd_ps(W::column(w.add(LANES)), second, odd[n]);
            }
            at += 2;
        }
        if at < columns {
            let x = _mm256_set1_ps(*x.add(at));
            for n in 0..N {
                even[n] = _mm256_fmadd_ps(W::column(w.add(LANES * (n * columns + at))), x, even[n]);
            }
        }
        for n in 0..N {
            even[n] = _mm256_add_ps(even[n], odd[n]);
        }
    }
    even
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(panel: &Panel<f32>) -> __m256 {
    // SAFETY: a panel has eight numbers.
    unsafe { _mm256_loadu_ps(panel.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store(panel: &mut Panel<f32>, x: __m256) {
    // SAFETY: a panel has eight numbers.
    unsafe { _mm256_storeu_ps(panel.as_mut_ptr(), x) }
}

/// Numerator and denominator of [`crate::num::tanh`], but for rounding.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fraction(x: __m256) -> [__m256; 2] {
    let set = |a: f32| _mm256_set1_ps(a);
    // A minimum or maximum with a NaN is the second operand: the order lets it pass. All that follows waits for the square, which
    // therefore has a limit of its own.
    let s = _mm256_min_ps(set(TANH_CLAMP * TANH_CLAMP), _mm256_mul_ps(x, x));
    let x = _mm256_min_ps(set(TANH_CLAMP), _mm256_max_ps(set(-TANH_CLAMP), x));
    let s2 = _mm256_mul_ps(s, s);
    let [a1, a3, a5, a7, a9, a11, a13] = array!([x; 7], |n| set(TANH_NUMERATOR[n]));
    let [b0, b2, b4, b6] = array!([x; 4], |n| set(TANH_DENOMINATOR[n]));
    // Pairs of terms beside each other rather than one after another.
    let high = _mm256_fmadd_ps(a13, s2, _mm256_fmadd_ps(a11, s, a9));
    let middle = _mm256_fmadd_ps(high, s2, _mm256_fmadd_ps(a7, s, a5));
    let p = _mm256_fmadd_ps(middle, s2, _mm256_fmadd_ps(a3, s, a1));
    let q = _mm256_fmadd_ps(_mm256_fmadd_ps(b6, s, b4), s2, _mm256_fmadd_ps(b2, s, b0));
    [_mm256_mul_ps(x, p), q]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn tanh(x: __m256) -> __m256 {
    let [p, q] = fraction(x);
    _mm256_div_ps(p, q)
}

/// [`crate::num::sigmoid`], but for rounding.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sigmoid(x: __m256) -> __m256 {
    let half = _mm256_set1_ps(0.5);
    _mm256_fmadd_ps(half, tanh(_mm256_mul_ps(half, x)), half)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn curve_f(curve: Curve, z: &mut [Panel<f32>]) {
    match curve {
        Curve::Tanh => z
            .iter_mut()
            .for_each(|z| *z = bytemuck::cast(tanh(bytemuck::cast(*z)))),
        Curve::Sigmoid => z
            .iter_mut()
            .for_each(|z| *z = bytemuck::cast(sigmoid(bytemuck::cast(*z)))),
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn update_f(state: StateF<'_>, y: &mut [Panel<f32>], z: &[Panel<f32>]) {
    match state {
        StateF::Lstm(c) => lstm(c, y, z),
        StateF::Gru(h) => gru(y, h, z),
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn lstm(c: &mut [Panel<f32>], h: &mut [Panel<f32>], z: &[Panel<f32>]) {
    for ((c, h), &[i, f, g, o]) in c.iter_mut().zip(h).zip(z.as_chunks().0) {
        let new = _mm256_mul_ps(sigmoid(bytemuck::cast(i)), tanh(bytemuck::cast(g)));
        let cell = _mm256_fmadd_ps(sigmoid(bytemuck::cast(f)), bytemuck::cast(*c), new);
        *h = bytemuck::cast(_mm256_mul_ps(sigmoid(bytemuck::cast(o)), tanh(cell)));
        *c = bytemuck::cast(cell);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn gru(next: &mut [Panel<f32>], h: &[Panel<f32>], z: &[Panel<f32>]) {
    for ((next, &h), &[nx, r, z, nh]) in next.iter_mut().zip(h).zip(z.as_chunks().0) {
        let r = sigmoid(bytemuck::cast(r));
        let n = tanh(_mm256_fmadd_ps(r, bytemuck::cast(nh), bytemuck::cast(nx)));
        let difference = _mm256_sub_ps(bytemuck::cast(h), n);
        *next = bytemuck::cast(_mm256_fmadd_ps(sigmoid(bytemuck::cast(z)), difference, n));
    }
}
