//! Integer products with AVX-512 VNNI, some panels at a time.
//!
//! `vpdpbusd` wants one unsigned side. Inputs of eight bits get it from the weights, as `w + 128`, which is one `vpxord` of
//! the weights as they are loaded; what that adds, 128 times the sum of the inputs, is the same for all rows and comes
//! from one more `vpdpbusd`. No offset has to be in the file. Of inputs of 16 bits the lower bytes are unsigned as they
//! are, and the upper ones are inputs of eight bits. Weights of four bits lie there as `w + 8` already; the upper halves
//! of bytes need no shift, they are summed 16-fold.
//!
//! A register takes the partial sums of a panel: its lower half a row's even blocks, the upper half the odd ones. [`start`]
//! puts a panel into one, [`halves`] and [`finish`] add the two up and take off what offsets have added.

use crate::kernel::cpu::quads::Weights;
use crate::kernel::{BLOCK, LANES, Panel};
use core::arch::x86_64::*;

/// Partial sums of a panel that start at these.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn start(panel: Panel<i32>) -> __m512i {
    _mm512_zextsi256_si512(bytemuck::cast(panel))
}

/// Sums of two panels.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn halves(a: __m512i, b: __m512i) -> __m512i {
    let lower = _mm512_shuffle_i64x2::<0b01_00_01_00>(a, b);
    _mm512_add_epi32(lower, _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b))
}

/// Sums of panels, with `offset` taken off.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn finish<const N: usize>(sums: [__m512i; N], offset: __m512i) -> [Panel<i32>; N] {
    array!([[0; LANES]; N], |n| {
        let sum = _mm512_sub_epi32(sums[n], offset);
        let upper = _mm512_extracti64x4_epi64::<1>(sum);
        bytemuck::cast(_mm256_add_epi32(_mm512_castsi512_si256(sum), upper))
    })
}

/// Adds products of eight-bit inputs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_a8<const N: usize>(
    sums: &mut [__m512i; N],
    offset: &mut __m512i,
    w: Weights<'_, i8, N>,
    x: &[i8],
) {
    const PAIR: usize = 2 * BLOCK;
    let signs = _mm512_set1_epi8(-128);
    let (pairs, odd_block) = x.as_chunks::<PAIR>();
    // A product need not wait for the one before: few panels take two sets of sums in turn.
    let mut others = [_mm512_setzero_si512(); N];
    // Two blocks of a panel at a time: 512 bits in a row. The lower half takes the first block's inputs.
    let blocks = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    let mut add_pair = |sums: &mut [__m512i; N], pair: usize, x: [i8; PAIR]| {
        let x = _mm512_permutexvar_epi32(blocks, _mm512_set1_epi64(bytemuck::cast(x)));
        *offset = _mm512_dpbusd_epi32(*offset, signs, x);
        for (n, sum) in sums.iter_mut().enumerate() {
            // SAFETY: a panel has a block for every four inputs, so two for every eight.
            let w = bytemuck::cast(unsafe { w.read::<64>(n, pair) });
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(w, signs), x);
        }
    };
    let (twos, odd_pair) = pairs.as_chunks::<2>();
    for (two, &[first, second]) in twos.iter().enumerate() {
        add_pair(sums, 2 * two, first);
        let sums = if N > 4 { &mut *sums } else { &mut others };
        add_pair(sums, 2 * two + 1, second);
    }
    if let &[x] = odd_pair {
        add_pair(sums, 2 * twos.len(), x);
    }
    if let &[a, b, c, d] = odd_block {
        let x = _mm512_zextsi256_si512(_mm256_set1_epi32(bytemuck::cast([a, b, c, d])));
        *offset = _mm512_dpbusd_epi32(*offset, signs, x);
        for (n, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the odd block behind the pairs.
            let w: __m256i = bytemuck::cast(unsafe { w.read::<32>(n, 2 * pairs.len()) });
            let w = _mm512_xor_si512(_mm512_zextsi256_si512(w), signs);
            *sum = _mm512_dpbusd_epi32(*sum, w, x);
        }
    }
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum = _mm512_add_epi32(*sum, other);
    }
}

/// Adds products of 16-bit inputs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_a16<const N: usize>(
    sums: &mut [__m512i; N],
    offset: &mut __m512i,
    w: Weights<'_, i8, N>,
    x: &[i16],
) {
    const PAIR: usize = 2 * BLOCK;
    let signs = _mm512_set1_epi8(-128);
    // Lower bytes of a block's inputs, all over the half of the register that takes the block.
    let lower = _mm512_set_epi64(
        0x0e0c_0a08_0e0c_0a08,
        0x0e0c_0a08_0e0c_0a08,
        0x0e0c_0a08_0e0c_0a08,
        0x0e0c_0a08_0e0c_0a08,
        0x0604_0200_0604_0200,
        0x0604_0200_0604_0200,
        0x0604_0200_0604_0200,
        0x0604_0200_0604_0200,
    );
    let upper = _mm512_or_si512(lower, _mm512_set1_epi8(1));
    let mut upper_sums = [_mm512_setzero_si512(); N];
    let mut upper_offset = _mm512_setzero_si512();
    let mut add = |x: __m128i, weights: [__m512i; N]| {
        let x = _mm512_broadcast_i32x4(x);
        let (low, high) = (_mm512_shuffle_epi8(x, lower), _mm512_shuffle_epi8(x, upper));
        upper_offset = _mm512_dpbusd_epi32(upper_offset, signs, high);
        for (n, &w) in weights.iter().enumerate() {
            sums[n] = _mm512_dpbusd_epi32(sums[n], low, w);
            upper_sums[n] = _mm512_dpbusd_epi32(upper_sums[n], _mm512_xor_si512(w, signs), high);
        }
    };
    let zero = _mm512_setzero_si512();
    let (pairs, odd_block) = x.as_chunks::<PAIR>();
    for (pair, &x) in pairs.iter().enumerate() {
        let weights = array!([zero; N], |n| {
            // SAFETY: a panel has a block for every four inputs, so two for every eight.
            bytemuck::cast(unsafe { w.read::<64>(n, pair) })
        });
        add(bytemuck::cast(x), weights);
    }
    if let &[a, b, c, d] = odd_block {
        let weights = array!([zero; N], |n| {
            // SAFETY: the odd block behind the pairs.
            let w = bytemuck::cast(unsafe { w.read::<32>(n, 2 * pairs.len()) });
            _mm512_zextsi256_si512(w)
        });
        add(bytemuck::cast([a, b, c, d, 0, 0, 0, 0]), weights);
    }
    let times_256 = |sum| _mm512_slli_epi32::<8>(sum);
    *offset = _mm512_add_epi32(*offset, times_256(upper_offset));
    for (sum, upper) in sums.iter_mut().zip(upper_sums) {
        *sum = _mm512_add_epi32(*sum, times_256(upper));
    }
}

/// As [`dot_a8`], of four-bit weights. Of four blocks, the first two are in the bytes of the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_w4a8<const N: usize>(
    sums: &mut [__m512i; N],
    offset: &mut __m512i,
    w: Weights<'_, u8, N>,
    x: &[i8],
) {
    const TWO: usize = 2 * BLOCK;
    let (low, high) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(-0x10));
    let eights = _mm512_set1_epi8(8);
    let (mut even, mut odd) = ([_mm512_setzero_si512(); N], [_mm512_setzero_si512(); N]);
    let mut odd_offset = _mm512_setzero_si512();
    let mut add = |weights: [__m512i; N], x: [__m512i; 2]| {
        for n in 0..N {
            even[n] = _mm512_dpbusd_epi32(even[n], _mm512_and_si512(weights[n], low), x[0]);
            odd[n] = _mm512_dpbusd_epi32(odd[n], _mm512_and_si512(weights[n], high), x[1]);
        }
        *offset = _mm512_dpbusd_epi32(*offset, eights, x[0]);
        odd_offset = _mm512_dpbusd_epi32(odd_offset, eights, x[1]);
    };
    let (fours, rest) = x.as_chunks::<{ 2 * TWO }>();
    let blocks = [
        _mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0),
        _mm512_set_epi32(3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1),
    ];
    let zero = _mm512_setzero_si512();
    for (four, &x) in fours.iter().enumerate() {
        let x = _mm512_broadcast_i32x4(bytemuck::cast(x));
        // SAFETY: a panel has 32 bytes for every eight inputs, so 64 for every 16.
        let weights = array!([zero; N], |n| bytemuck::cast(unsafe {
            w.read::<64>(n, four)
        }));
        let x = array!([zero; 2], |n| _mm512_permutexvar_epi32(blocks[n], x));
        add(weights, x);
    }
    if let Some(&x) = rest.first_chunk::<TWO>() {
        let x: [i32; 2] = bytemuck::cast(x);
        let weights = array!([zero; N], |n| {
            // SAFETY: the two blocks behind the fours.
            let w = bytemuck::cast(unsafe { w.read::<32>(n, 2 * fours.len()) });
            _mm512_zextsi256_si512(w)
        });
        let x = array!([zero; 2], |n| _mm512_zextsi256_si512(_mm256_set1_epi32(
            x[n]
        )));
        add(weights, x);
    }
    *offset = _mm512_add_epi32(*offset, odd_offset);
    for n in 0..N {
        // Exact: for so many columns as there may be, the 16-fold sum has not wrapped.
        let sum = _mm512_add_epi32(even[n], _mm512_srai_epi32::<4>(odd[n]));
        sums[n] = _mm512_add_epi32(sums[n], sum);
    }
}

/// As [`dot_a16`], of four-bit weights.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_w4a16<const N: usize>(
    sums: &mut [__m512i; N],
    offset: &mut __m512i,
    w: Weights<'_, u8, N>,
    x: &[i16],
) {
    let (mask, eights) = (_mm512_set1_epi16(0x0f), _mm512_set1_epi16(8));
    // Lanes 2r and 2r + 1 each have half of row r's sum.
    let (mut parts, mut eightfold) = ([_mm512_setzero_si512(); N], _mm512_setzero_si512());
    for (two, &x) in x.as_chunks::<{ 2 * BLOCK }>().0.iter().enumerate() {
        let [even, odd]: [i64; 2] = bytemuck::cast(x);
        let (even, odd) = (_mm512_set1_epi64(even), _mm512_set1_epi64(odd));
        eightfold = _mm512_dpwssd_epi32(eightfold, eights, even);
        eightfold = _mm512_dpwssd_epi32(eightfold, eights, odd);
        for (n, part) in parts.iter_mut().enumerate() {
            // SAFETY: a panel has 32 bytes for every eight inputs.
            let w = _mm512_cvtepu8_epi16(bytemuck::cast(unsafe { w.read::<32>(n, two) }));
            let sum = _mm512_dpwssd_epi32(*part, _mm512_and_si512(w, mask), even);
            *part = _mm512_dpwssd_epi32(sum, _mm512_srli_epi16::<4>(w), odd);
        }
    }
    let order = _mm512_set_epi32(15, 13, 11, 9, 7, 5, 3, 1, 14, 12, 10, 8, 6, 4, 2, 0);
    let apart = |part| _mm512_permutexvar_epi32(order, part);
    *offset = _mm512_add_epi32(*offset, apart(eightfold));
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum = _mm512_add_epi32(*sum, apart(part));
    }
}
