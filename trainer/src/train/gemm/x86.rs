//! `c = a b + beta c` in single precision by AVX-512 or AVX2, without packing and without memory of its own.
//!
//! A vector holds columns of `b` and `c`; an element of `a` is broadcast. A tile of `c` stays in registers over
//! a block of `k`, so each row of `b` is loaded once per tile. The matrices of a step are small and its weights stay in
//! the cache: a general product (`matrixmultiply`) spends as long on packing them anew in every step as on multiplying.
//!
//! Every element is a chain of fused products in the order of `k`, added to `c` after each [`BLOCK`]: the same
//! bits as `matrixmultiply` gives on a CPU with FMA.

use core::arch::x86_64::*;
use core::ops::Range;

/// A product whose shapes have been checked. `b` and `c` are row-major: of them the distance of two rows is enough.
pub struct Product {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: *const f32,
    pub a_strides: (usize, usize),
    pub b: *const f32,
    pub b_stride: usize,
    pub beta: f32,
    pub c: *mut f32,
    pub c_stride: usize,
}

/// Elements of `k` before a tile goes back to memory.
const BLOCK: usize = 256;

/// Distance of two elements along `k`, from which on gathering pays.
const GATHERED: usize = 128;

/// Does the product, if the CPU can; says whether.
///
/// # Safety
/// The elements of the shapes must be readable, those of `c` writable and apart from the others.
pub unsafe fn product(p: &Product) -> bool {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has the feature; the rest is the caller's promise.
        unsafe { avx512::product(p) };
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: as above.
        unsafe { avx2::product(p) };
    } else {
        return false;
    }
    true
}

/// The loops, around a vector's operations.
macro_rules! tiles {
    ($features:literal, $lanes:literal, $rows:literal) => {
        /// The whole product.
        ///
        /// # Safety
        /// As of [`super::product`].
        #[target_feature(enable = $features)]
        pub unsafe fn product(p: &Product) {
            // An `a` that stands across (a gradient's) is a line of the cache per `k` and tile: worth gathering once
            // where many tiles of columns use it.
            if p.a_strides.0 == 1 && p.a_strides.1 >= GATHERED && p.n > 4 * $lanes && p.m >= $rows {
                // SAFETY: the caller's promise.
                return unsafe { gathered(p) };
            }
            for start in (0..p.k).step_by(BLOCK) {
                let k = start..p.k.min(start + BLOCK);
                for column in (0..p.n).step_by($lanes) {
                    let mask = mask(p.n - column);
                    let mut row = 0;
                    while row < p.m {
                        let at = (row, column);
                        // SAFETY: the tile's rows are left, and the mask has the columns that are.
                        row += unsafe {
                            match p.m - row {
                                left if left >= $rows => tile::<$rows>(p, at, k.clone(), mask),
                                left if left >= 4 => tile::<4>(p, at, k.clone(), mask),
                                _ => tile::<1>(p, at, k.clone(), mask),
                            }
                        };
                    }
                }
            }
        }

        /// The same row by row of tiles, with the tile's rows of `a` side by side.
        ///
        /// # Safety
        /// As of [`super::product`].
        #[target_feature(enable = $features)]
        unsafe fn gathered(p: &Product) {
            let mut rows = [0.0; BLOCK * $rows];
            let whole = p.m / $rows * $rows;
            for start in (0..p.k).step_by(BLOCK) {
                let k = start..p.k.min(start + BLOCK);
                for row in (0..whole).step_by($rows) {
                    for (to, k) in rows.chunks_exact_mut($rows).zip(k.clone()) {
                        // SAFETY: the tile's rows are side by side in `a`, and lie inside.
                        let from = unsafe { p.a.add(row + k * p.a_strides.1) };
                        // SAFETY: as above.
                        unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, $rows) };
                    }
                    let own = Product {
                        a: rows.as_ptr(),
                        a_strides: (1, $rows),
                        // SAFETY: the block's first row of `b` and the tile's of `c` lie inside.
                        b: unsafe { p.b.add(start * p.b_stride) },
                        // SAFETY: as above.
                        c: unsafe { p.c.add(row * p.c_stride) },
                        beta: if start == 0 { p.beta } else { 1.0 },
                        ..*p
                    };
                    for column in (0..p.n).step_by($lanes) {
                        let mask = mask(p.n - column);
                        // SAFETY: the tile's rows were gathered, and the mask has the columns that are.
                        unsafe { tile::<$rows>(&own, (0, column), 0..k.len(), mask) };
                    }
                }
            }
            if whole < p.m {
                let rest = Product {
                    m: p.m - whole,
                    // SAFETY: some rows are left.
                    a: unsafe { p.a.add(whole) },
                    // SAFETY: as above.
                    c: unsafe { p.c.add(whole * p.c_stride) },
                    ..*p
                };
                // SAFETY: a part of the caller's product.
                unsafe { product(&rest) };
            }
        }

        /// `ROWS` rows of `c`, and how many these are.
        #[target_feature(enable = $features)]
        unsafe fn tile<const ROWS: usize>(
            p: &Product,
            (row, column): (usize, usize),
            k: Range<usize>,
            mask: Mask,
        ) -> usize {
            let (down, along) = p.a_strides;
            let beta = if k.start == 0 { p.beta } else { 1.0 };
            let mut sums = [zero(); ROWS];
            for k in k {
                // SAFETY: the caller's rows and `k` lie inside the shapes; the mask hides columns that do not.
                let b = unsafe { load(p.b.add(k * p.b_stride + column), mask) };
                for (i, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let a = unsafe { *p.a.add((row + i) * down + k * along) };
                    *sum = fused(broadcast(a), b, *sum);
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                // SAFETY: as above, and `c` is writable.
                unsafe {
                    let c = p.c.add((row + i) * p.c_stride + column);
                    // What is overwritten may be NaN.
                    let sum = match beta {
                        0.0 => sum,
                        _ => fused(broadcast(beta), load(c, mask), sum),
                    };
                    store(c, mask, sum);
                }
            }
            ROWS
        }
    };
}

mod avx512 {
    use super::*;
    use core::arch::x86_64::{
        _mm512_fmadd_ps as fused, _mm512_set1_ps as broadcast, _mm512_setzero_ps as zero,
    };

    type Mask = __mmask16;

    #[inline]
    fn mask(columns: usize) -> Mask {
        u16::MAX >> (16 - columns.min(16))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(at: *const f32, mask: Mask) -> __m512 {
        // SAFETY: the caller's.
        unsafe { _mm512_maskz_loadu_ps(mask, at) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store(at: *mut f32, mask: Mask, values: __m512) {
        // SAFETY: the caller's.
        unsafe { _mm512_mask_storeu_ps(at, mask, values) }
    }

    // A step has 16 sequences; 16 sums hide the latency of the products.
    tiles!("avx512f", 16, 16);
}

mod avx2 {
    use super::*;
    use core::arch::x86_64::{
        _mm256_fmadd_ps as fused, _mm256_set1_ps as broadcast, _mm256_setzero_ps as zero,
    };

    type Mask = __m256i;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn mask(columns: usize) -> Mask {
        let columns = _mm256_set1_epi32(columns.min(8) as i32);
        _mm256_cmpgt_epi32(columns, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(at: *const f32, mask: Mask) -> __m256 {
        // SAFETY: the caller's.
        unsafe { _mm256_maskload_ps(at, mask) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store(at: *mut f32, mask: Mask, values: __m256) {
        // SAFETY: the caller's.
        unsafe { _mm256_maskstore_ps(at, mask, values) }
    }

    // 16 registers: 8 sums, a row of `b`, an element of `a`.
    tiles!("avx2,fma", 8, 8);
}
