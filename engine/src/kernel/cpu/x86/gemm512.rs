//! Float products for several streams with AVX-512: weights are loaded once for four streams.
//!
//! A register holds the sums of two panels of one stream, so nothing is added across lanes: the weights of both panels for
//! a column go into one register, and a stream's input into all lanes of another. They are multiplied and added in the
//! order of columns, as everywhere.

use crate::kernel::{FloatMatrix, LANES, Panel, Panels, Streams};
use core::arch::x86_64::*;
use half::f16;

/// Streams that share a load of weights.
const SHARE: usize = 4;

/// Weights as they are stored.
trait Stored: Copy {
    /// A column of two panels.
    ///
    /// # Safety
    /// Both have a column; the CPU has AVX-512.
    unsafe fn column(pair: [*const Self; 2]) -> __m512;
}

impl Stored for f32 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn column(pair: [*const f32; 2]) -> __m512 {
        // SAFETY: as the caller promises.
        let [first, second] = pair.map(|w| unsafe { _mm256_loadu_si256(w.cast()) });
        _mm512_castsi512_ps(both(first, second))
    }
}

impl Stored for f16 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn column(pair: [*const f16; 2]) -> __m512 {
        // SAFETY: as the caller promises.
        let [first, second] = pair.map(|w| unsafe { _mm_loadu_si128(w.cast()) });
        _mm512_cvtph_ps(_mm256_set_m128i(second, first))
    }
}

/// Two panels of 256 bits in a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn both(first: __m256i, second: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
}

/// `sums += W x` for `N` pairs of panels and `S` streams.
///
/// # Safety
/// The panels have weights for `columns` columns, and the streams as many inputs; the CPU has AVX-512.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn accumulate<W: Stored, const N: usize, const S: usize>(
    sums: &mut [[__m512; N]; S],
    w: [[*const W; 2]; N],
    x: [*const f32; S],
    columns: usize,
) {
    for column in 0..columns {
        // SAFETY: this column is one of those the caller promises.
        unsafe {
            let w = w.map(|pair| W::column(pair.map(|panel| panel.add(LANES * column))));
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = _mm512_set1_ps(*x.add(column));
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = _mm512_add_ps(*sum, _mm512_mul_ps(w, x));
                }
            }
        }
    }
}

/// A matrix of floats and where its panels add into a stream's sums.
struct Matrix<'a, W> {
    w: &'a [W],
    columns: usize,
    panels: Panels,
}

impl<W: Stored> Matrix<'_, W> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn multiply(&self, sums: &mut [Panel<f32>], streams: Streams<'_>) {
        let count = self.w.len() / (LANES * self.columns);
        let mut at = 0;
        while at < count {
            // With four pairs the sums of four streams did not always stay in registers.
            if count - at > 2 {
                self.pairs::<2>(at, sums, streams);
                at += 4;
            } else {
                self.pairs::<1>(at, sums, streams);
                at += 2;
            }
        }
    }

    /// `N` pairs of panels from `at` on, of which the last may be half a one, for all streams.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn pairs<const N: usize>(&self, at: usize, sums: &mut [Panel<f32>], streams: Streams<'_>) {
        let panel = LANES * self.columns;
        let last = self.w.len() / panel - 1;
        // Where there is no second panel, the first goes twice, and comes out twice.
        let panels: [[usize; 2]; N] =
            core::array::from_fn(|n| [at + 2 * n, (at + 2 * n + 1).min(last)]);
        let w = panels.map(|pair| pair.map(|n| self.w[n * panel..].as_ptr()));
        let places = panels.map(|pair| pair.map(|panel| self.panels.place(panel)));
        let (shared, alone) = streams.x.as_chunks::<SHARE>();
        let pitch = streams.pitch;
        let alone_at = shared.len() * SHARE;
        for (n, x) in shared.iter().enumerate() {
            self.streams(w, places, x, &mut sums[n * SHARE * pitch..], pitch);
        }
        for (n, x) in alone.iter().enumerate() {
            self.streams(w, places, &[*x], &mut sums[(alone_at + n) * pitch..], pitch);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn streams<const N: usize, const S: usize>(
        &self,
        w: [[*const W; 2]; N],
        places: [[usize; 2]; N],
        x: &[&[f32]; S],
        sums: &mut [Panel<f32>],
        pitch: usize,
    ) {
        let mut totals: [[__m512; N]; S] = core::array::from_fn(|stream| {
            places.map(|pair| {
                let [first, second] = pair.map(|place| sums[stream * pitch + place]);
                _mm512_castsi512_ps(both(bytemuck::cast(first), bytemuck::cast(second)))
            })
        });
        // SAFETY: `pairs` stays inside the matrix; the columns of all streams were checked.
        unsafe { accumulate(&mut totals, w, x.map(|x| x.as_ptr()), self.columns) };
        for (stream, totals) in totals.into_iter().enumerate() {
            let sums = &mut sums[stream * pitch..];
            for (total, [first, second]) in totals.into_iter().zip(places) {
                [sums[first], sums[second]] = bytemuck::cast(total);
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn float_product(
    sums: &mut [Panel<f32>],
    w: FloatMatrix<'_>,
    streams: Streams<'_>,
    panels: Panels,
) {
    match (streams.x, w) {
        ([] | [_], w) => super::float_product(sums, w, streams, panels),
        ([x, ..], FloatMatrix::F32(w)) => {
            let columns = x.len();
            Matrix { w, columns, panels }.multiply(sums, streams);
        }
        ([x, ..], FloatMatrix::F16(w)) => {
            let columns = x.len();
            Matrix { w, columns, panels }.multiply(sums, streams);
        }
    }
}
