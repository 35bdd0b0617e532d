//! Integer products with AVX-512 VNNI, four panels at a time.
//!
//! `vpdpbusd` wants one unsigned side, so it gets `w + 128`, which is one `vpxord` of the weights as they are loaded;
//! what that adds, 128 times the sum of the inputs, is the same for all rows and comes from one more `vpdpbusd`. No
//! offset has to be in the file. Weights of four bits lie there as `w + 8` already; the upper halves of bytes need no
//! shift, they are summed 16-fold.
//!
//! Products come as four registers, one per panel, of partial sums; the panels past the last are zero. Adding the parts
//! up ([`add_halves`], [`add_neighbours`]) leaves two registers of two panels each.

use crate::kernel::quads::Weights;
use crate::kernel::{BLOCK, LANES, Panel};
use core::arch::x86_64::*;

/// Partial sums of four panels.
type Parts = [__m512i; 4];
/// Sums of four panels, two in a register.
pub(super) type Sums = [__m512i; 2];

/// Products of `N` panels, which are panels `AT` and on of the four: the lower half of a register has a row's even
/// blocks, the upper half the odd ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_a8<const N: usize, const AT: usize>(w: Weights<'_, i8, N>, x: &[i8]) -> Parts {
    const PAIR: usize = 2 * BLOCK;
    let signs = _mm512_set1_epi8(-128);
    let (pairs, odd_block) = x.as_chunks::<PAIR>();
    // Two sets of sums, taken in turn, so that a product need not wait for the one before.
    let mut sums = [[_mm512_setzero_si512(); N]; 2];
    let mut offsets = [_mm512_setzero_si512(); 2];
    // Two blocks of a panel at a time: 512 bits in a row. The lower half takes the first block's inputs.
    let halves = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    let mut add_pair = |set: usize, pair: usize, x: [i8; PAIR]| {
        let x = _mm512_permutexvar_epi32(halves, _mm512_set1_epi64(bytemuck::cast(x)));
        offsets[set] = _mm512_dpbusd_epi32(offsets[set], signs, x);
        for (n, sum) in sums[set].iter_mut().enumerate() {
            // SAFETY: a panel has a block for every four inputs, so two for every eight.
            let w = bytemuck::cast(unsafe { w.read::<64>(n, pair) });
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(w, signs), x);
        }
    };
    let (twos, odd_pair) = pairs.as_chunks::<2>();
    for (two, &[first, second]) in twos.iter().enumerate() {
        add_pair(0, 2 * two, first);
        add_pair(1, 2 * two + 1, second);
    }
    if let &[x] = odd_pair {
        add_pair(0, 2 * twos.len(), x);
    }
    if let &[a, b, c, d] = odd_block {
        let x = _mm256_set1_epi32(bytemuck::cast([a, b, c, d]));
        let x = _mm512_zextsi256_si512(x);
        offsets[1] = _mm512_dpbusd_epi32(offsets[1], signs, x);
        for (n, sum) in sums[1].iter_mut().enumerate() {
            // SAFETY: the odd block behind the pairs.
            let w: __m256i = bytemuck::cast(unsafe { w.read::<32>(n, 2 * pairs.len()) });
            let w = _mm512_xor_si512(_mm512_zextsi256_si512(w), signs);
            *sum = _mm512_dpbusd_epi32(*sum, w, x);
        }
    }
    let offset = _mm512_add_epi32(offsets[0], offsets[1]);
    let mut parts = [_mm512_setzero_si512(); 4];
    for n in 0..N {
        let sum = _mm512_add_epi32(sums[0][n], sums[1][n]);
        parts[AT + n] = _mm512_sub_epi32(sum, offset);
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

/// As [`dot_a8`], of four-bit weights. Of four blocks, the first two are in the bytes of the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_w4a8<const N: usize, const AT: usize>(w: Weights<'_, u8, N>, x: &[i8]) -> Parts {
    const TWO: usize = 2 * BLOCK;
    let (low, high) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(-0x10));
    let eights = _mm512_set1_epi8(8);
    let (mut even, mut odd) = ([_mm512_setzero_si512(); N], [_mm512_setzero_si512(); N]);
    let mut offsets = [_mm512_setzero_si512(); 2];
    let mut add = |weights: [__m512i; N], x: [__m512i; 2]| {
        for n in 0..N {
            even[n] = _mm512_dpbusd_epi32(even[n], _mm512_and_si512(weights[n], low), x[0]);
            odd[n] = _mm512_dpbusd_epi32(odd[n], _mm512_and_si512(weights[n], high), x[1]);
        }
        for (offset, x) in offsets.iter_mut().zip(x) {
            *offset = _mm512_dpbusd_epi32(*offset, eights, x);
        }
    };
    let (fours, rest) = x.as_chunks::<{ 2 * TWO }>();
    let blocks = [
        _mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0),
        _mm512_set_epi32(3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1),
    ];
    for (four, &x) in fours.iter().enumerate() {
        let x = _mm512_broadcast_i32x4(bytemuck::cast(x));
        // SAFETY: a panel has 32 bytes for every eight inputs, so 64 for every 16.
        let weights = core::array::from_fn(|n| bytemuck::cast(unsafe { w.read::<64>(n, four) }));
        add(weights, blocks.map(|of| _mm512_permutexvar_epi32(of, x)));
    }
    if let Some(&x) = rest.first_chunk::<TWO>() {
        let x: [i32; 2] = bytemuck::cast(x);
        let weights = core::array::from_fn(|n| {
            // SAFETY: the two blocks behind the fours.
            let w = bytemuck::cast(unsafe { w.read::<32>(n, 2 * fours.len()) });
            _mm512_zextsi256_si512(w)
        });
        add(
            weights,
            x.map(|x| _mm512_zextsi256_si512(_mm256_set1_epi32(x))),
        );
    }
    let offset = _mm512_add_epi32(offsets[0], offsets[1]);
    let mut parts = [_mm512_setzero_si512(); 4];
    for n in 0..N {
        // Exact: for so many columns as there may be, the 16-fold sum has not wrapped.
        let sum = _mm512_add_epi32(even[n], _mm512_srai_epi32::<4>(odd[n]));
        parts[AT + n] = _mm512_sub_epi32(sum, offset);
    }
    parts
}

/// As [`dot_a16`], of four-bit weights.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_w4a16<const N: usize, const AT: usize>(
    w: Weights<'_, u8, N>,
    x: &[i16],
) -> Parts {
    let (mask, eights) = (_mm512_set1_epi16(0x0f), _mm512_set1_epi16(8));
    let mut parts = [_mm512_setzero_si512(); 4];
    let mut offset = _mm512_setzero_si512();
    for (two, &x) in x.as_chunks::<{ 2 * BLOCK }>().0.iter().enumerate() {
        let [even, odd]: [i64; 2] = bytemuck::cast(x);
        let (even, odd) = (_mm512_set1_epi64(even), _mm512_set1_epi64(odd));
        offset = _mm512_dpwssd_epi32(offset, eights, even);
        offset = _mm512_dpwssd_epi32(offset, eights, odd);
        for n in 0..N {
            // SAFETY: a panel has 32 bytes for every eight inputs.
            let w = _mm512_cvtepu8_epi16(bytemuck::cast(unsafe { w.read::<32>(n, two) }));
            let sum = _mm512_dpwssd_epi32(parts[AT + n], _mm512_and_si512(w, mask), even);
            parts[AT + n] = _mm512_dpwssd_epi32(sum, _mm512_srli_epi16::<4>(w), odd);
        }
    }
    for part in &mut parts[AT..AT + N] {
        *part = _mm512_sub_epi32(*part, offset);
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
