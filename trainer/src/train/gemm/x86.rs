//! `c = a b + beta c` in single precision by AVX-512 or AVX2, without memory of its own.
//!
//! A vector holds columns of `b` and `c`; an element of `a` is broadcast. A tile of `c` stays in registers over
//! a block of `k`, so each row of `b` is loaded once per tile. The matrices of a step are small and its weights stay in
//! the cache: a general product (`matrixmultiply`) spends as long on packing them anew in every step as on multiplying. Here the
//! caller packs them once per pass ([`Panels`](super::Panels)), where that pays at all.
//!
//! Every element is a chain of fused products in the order of `k`, added to `c` after each [`BLOCK`]: the same
//! bits as `matrixmultiply` gives on a CPU with FMA.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;
use core::ops::Range;

/// A product whose shapes have been checked. The rows of `c`, and of `b` or of its panels, are in one piece.
pub struct Product {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: *const f32,
    pub a_strides: (usize, usize),
    pub b: *const f32,
    pub b_stride: usize,
    /// Columns of `b` that stand together; with fewer than `n`, all rows of a panel come before the next panel.
    pub b_panel: usize,
    pub beta: f32,
    pub c: *mut f32,
    pub c_stride: usize,
}

/// Vectors of columns in a tile.
const WIDE: usize = 2;

/// Elements of `k` before a tile goes back to memory.
const BLOCK: usize = 256;

/// Rows at multiples of this distance would share the same few places of a cache.
const ALIASED: usize = 1024;

/// From this distance on elements along `k` have lines, and soon pages, of their own.
const FAR: usize = 64;

/// Elements along `k` that are asked for before they are copied.
const AHEAD: usize = 16;

/// Distance of two rows where these were copied apart: a line more than a block.
const APART: usize = BLOCK + 16;

impl Product {
    /// The first element of a column of `b`, and the distance to the next.
    ///
    /// # Safety
    /// The column lies inside the shape.
    #[inline]
    unsafe fn column_of_b(&self, column: usize) -> (*const f32, usize) {
        if self.b_panel >= self.n {
            // SAFETY: the caller's column.
            return (unsafe { self.b.add(column) }, self.b_stride);
        }
        let panel = column / self.b_panel * self.b_panel;
        let width = self.b_panel.min(self.n - panel);
        // SAFETY: the panels before are as long as their columns times `k`.
        (
            unsafe { self.b.add(panel * self.k + column - panel) },
            width,
        )
    }
}

/// Does the product, if the CPU can; says whether.
///
/// # Safety
/// The elements of the shapes must be readable, those of `c` writable and apart from the others; a panel must be as
/// wide as a multiple of 16, or `n`.
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

/// A tile of `c`: where its `a`, each vector of its `b` and its `c` begin, and the distances of rows; of `a` along `k` as well.
struct Tile<const VECTORS: usize> {
    a: *const f32,
    a_strides: (usize, usize),
    b: [*const f32; VECTORS],
    b_stride: [usize; VECTORS],
    k: usize,
    beta: f32,
    c: *mut f32,
    c_stride: usize,
    /// Columns that are there.
    columns: usize,
}

/// The loops, around a vector's operations. A tile has `$rows` rows and two vectors of columns: as many sums as there are
/// registers for, since a row of `b` is loaded for all of the tile's rows and an element of `a` for all of its columns.
macro_rules! tiles {
    ($features:literal, $lanes:literal, $rows:literal) => {
        /// The whole product.
        ///
        /// # Safety
        /// As of [`super::product`].
        #[target_feature(enable = $features)]
        pub unsafe fn product(p: &Product) {
            for start in (0..p.k).step_by(BLOCK) {
                let k = start..p.k.min(start + BLOCK);
                // SAFETY: the caller's promise.
                let done = unsafe { copied(p, k.clone()) };
                for column in (0..p.n).step_by($lanes * WIDE) {
                    let mut row = done;
                    while row < p.m {
                        let rows = match p.m - row {
                            left if left >= $rows => $rows,
                            left if left >= 4 => 4,
                            _ => 1,
                        };
                        // SAFETY: the row, the column and `k` lie inside the shapes, and so do the tile's rows.
                        unsafe {
                            let a = p.a.add(row * p.a_strides.0 + start * p.a_strides.1);
                            let a = (a, p.a_strides);
                            match rows {
                                $rows => tile::<$rows>(p, a, (row, column), k.clone()),
                                4 => tile::<4>(p, a, (row, column), k.clone()),
                                _ => tile::<1>(p, a, (row, column), k.clone()),
                            }
                        }
                        row += rows;
                    }
                }
            }
        }

        /// The tile of `c` at a row and a column; the last may have columns for one vector only.
        ///
        /// # Safety
        /// They lie inside the shape, and so do `ROWS` rows and `k`.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn tile<const ROWS: usize>(
            p: &Product,
            a: (*const f32, (usize, usize)),
            at: (usize, usize),
            k: Range<usize>,
        ) {
            // SAFETY: the caller's promise; with fewer vectors the columns end in the last.
            unsafe {
                match (p.n - at.1).div_ceil($lanes) {
                    1 => multiply::<ROWS, 1>(&part(p, a, at, k)),
                    _ => multiply::<ROWS, WIDE>(&part(p, a, at, k)),
                }
            }
        }

        /// # Safety
        /// As of [`tile`]; there are columns in every vector.
        #[inline]
        unsafe fn part<const VECTORS: usize>(
            p: &Product,
            (a, a_strides): (*const f32, (usize, usize)),
            (row, column): (usize, usize),
            k: Range<usize>,
        ) -> Tile<VECTORS> {
            let columns: [(*const f32, usize); VECTORS] = core::array::from_fn(|v| {
                // SAFETY: the caller's promise.
                unsafe { p.column_of_b(column + v * $lanes) }
            });
            Tile {
                a,
                a_strides,
                // SAFETY: as above.
                b: columns.map(|(b, stride)| unsafe { b.add(k.start * stride) }),
                b_stride: columns.map(|(_, stride)| stride),
                k: k.len(),
                beta: if k.start == 0 { p.beta } else { 1.0 },
                // SAFETY: as above.
                c: unsafe { p.c.add(row * p.c_stride + column) },
                c_stride: p.c_stride,
                columns: p.n - column,
            }
        }

        /// Tile by tile, with a copy of the tile's rows of `a` for all its columns, where `k` is far apart or rows at a power of
        /// two would push each other out of the cache; returns how many rows.
        ///
        /// # Safety
        /// As of [`super::product`]; `k` is a block of its `k`.
        #[target_feature(enable = $features)]
        unsafe fn copied(p: &Product, k: Range<usize>) -> usize {
            let (down, along) = p.a_strides;
            let aliased = along == 1 && down % ALIASED == 0;
            let turned = down == 1 && along >= FAR;
            if !(aliased || turned) || p.n <= 4 * $lanes {
                return 0;
            }
            let mut rows = [const { MaybeUninit::<f32>::uninit() }; APART * $rows];
            let rows = rows.as_mut_ptr().cast::<f32>();
            let strides = if turned { (1, $rows) } else { (APART, 1) };
            let whole = p.m / $rows * $rows;
            for row in (0..whole).step_by($rows) {
                // SAFETY: the tile's rows lie inside `a`; `rows` has room for a block of each.
                unsafe {
                    let from = p.a.add(row * down + k.start * along);
                    if turned {
                        for k in 0..k.len() {
                            // So far apart that the CPU does not see what comes next.
                            _mm_prefetch::<_MM_HINT_T0>(
                                from.wrapping_add((k + AHEAD) * along).cast(),
                            );
                            let to = rows.add(k * $rows);
                            to.copy_from_nonoverlapping(from.add(k * along), $rows);
                        }
                    } else {
                        for i in 0..$rows {
                            let to = rows.add(i * APART);
                            to.copy_from_nonoverlapping(from.add(i * down), k.len());
                        }
                    }
                }
                for column in (0..p.n).step_by($lanes * WIDE) {
                    // SAFETY: the tile's rows were copied.
                    unsafe { tile::<$rows>(p, (rows, strides), (row, column), k.clone()) };
                }
            }
            whole
        }

        /// A tile of `ROWS` rows.
        ///
        /// # Safety
        /// Its elements of `a` and `b` are readable, of `c` writable, as many columns as there are.
        #[target_feature(enable = $features)]
        unsafe fn multiply<const ROWS: usize, const VECTORS: usize>(tile: &Tile<VECTORS>) {
            let (down, along) = tile.a_strides;
            let masks: [Mask; VECTORS] = core::array::from_fn(|v| mask(tile.columns - v * $lanes));
            let mut sums = [[zero(); VECTORS]; ROWS];
            for k in 0..tile.k {
                let mut b = [zero(); VECTORS];
                for v in 0..VECTORS {
                    // SAFETY: the caller's promise; the mask hides columns that are not there.
                    b[v] = unsafe { load(tile.b[v].add(k * tile.b_stride[v]), masks[v]) };
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let a = broadcast(unsafe { *tile.a.add(i * down + k * along) });
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = fused(a, b, *sum);
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    // SAFETY: as above, and `c` is writable.
                    unsafe {
                        let c = tile.c.add(i * tile.c_stride + v * $lanes);
                        // What is overwritten may be NaN.
                        let sum = match tile.beta {
                            0.0 => sum,
                            beta => fused(broadcast(beta), load(c, masks[v]), sum),
                        };
                        store(c, masks[v], sum);
                    }
                }
            }
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

    // A step has 16 sequences. 32 registers: 24 sums, a row of `b`, an element of `a`.
    tiles!("avx512f", 16, 12);
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

    // 16 registers: 12 sums, a row of `b`, an element of `a`.
    tiles!("avx2,fma", 8, 6);
}
