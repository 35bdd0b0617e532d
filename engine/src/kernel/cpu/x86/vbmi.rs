//! Look-ups by bytes: `vpermi2b` picks 64 bytes from a table of 128, so the four bytes of a segment's value and delta are
//! four tables, and two registers of words are looked up at once with half the instructions of [`super::avx512`].

use super::avx512::{Curves, Q31, interpolate};
use crate::num::{SEGMENTS_256, SEGMENTS_512};
use core::arch::x86_64::*;

/// A byte of every segment, 64 in a register.
type Plane<const N: usize> = [[u8; 64]; N];

/// A table: the lower and upper bytes of its values and of its deltas.
struct Bytes<const N: usize> {
    values: [Plane<N>; 2],
    deltas: [Plane<N>; 2],
}

const fn bytes<const N: usize>(entries: &[i32]) -> Bytes<N> {
    let mut bytes = Bytes {
        values: [[[0; 64]; N]; 2],
        deltas: [[[0; 64]; N]; 2],
    };
    let mut i = 0;
    while i < 64 * N {
        let [low, high, value_low, value_high] = entries[i].to_le_bytes();
        bytes.deltas[0][i / 64][i % 64] = low;
        bytes.deltas[1][i / 64][i % 64] = high;
        bytes.values[0][i / 64][i % 64] = value_low;
        bytes.values[1][i / 64][i % 64] = value_high;
        i += 1;
    }
    bytes
}

/// The functions of one number of segments.
pub(super) struct ByteLookups<const N: usize> {
    tanh: Bytes<N>,
    sigmoid: Bytes<N>,
    bits: u32,
}

pub(super) static BYTES_256: ByteLookups<4> = ByteLookups {
    tanh: bytes(SEGMENTS_256.tanh_entries()),
    sigmoid: bytes(SEGMENTS_256.sigmoid_entries()),
    bits: 8,
};
pub(super) static BYTES_512: ByteLookups<8> = ByteLookups {
    tanh: bytes(SEGMENTS_512.tanh_entries()),
    sigmoid: bytes(SEGMENTS_512.sigmoid_entries()),
    bits: 9,
};

/// The lower or upper bytes of two registers of words, so that unpacking gives the first's words, then the second's.
const fn every_second(from: u8) -> [u8; 64] {
    let mut order = [0; 64];
    let mut i = 0;
    while i < 64 {
        // Eight words of a lane of the first register, then of the second, which starts at 64.
        let (lane, word) = (i / 16, i % 8);
        order[i] = from + (16 * lane + 2 * word + if i % 16 < 8 { 0 } else { 64 }) as u8;
        i += 1;
    }
    order
}

static LOWER: [u8; 64] = every_second(0);
static UPPER: [u8; 64] = every_second(1);

/// Segment numbers: their lower eight bits, and masks of bit 7 and of the bit above.
struct Index {
    low: __m512i,
    masks: [__mmask64; 2],
}

/// Picks bytes from `N` registers of 64.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn pick<const N: usize>(plane: &Plane<N>, index: &Index) -> __m512i {
    // The instruction looks at the lowest seven bits of an index; those above choose between its results.
    let mut results = [_mm512_setzero_si512(); N];
    for pair in 0..N / 2 {
        let (low, high) = (
            bytemuck::cast(plane[2 * pair]),
            bytemuck::cast(plane[2 * pair + 1]),
        );
        results[pair] = _mm512_permutex2var_epi8(low, index.low, high);
    }
    let mut count = N / 2;
    for &high in &index.masks {
        if count > 1 {
            count /= 2;
            for i in 0..count {
                results[i] = _mm512_mask_blend_epi8(high, results[2 * i], results[2 * i + 1]);
            }
        }
    }
    results[0]
}

/// Interpolated look-up of 64 words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn lookup<const N: usize>(bytes: &Bytes<N>, bits: u32, z: [__m512i; 2]) -> [Q31; 2] {
    let gather = |order: [u8; 64], [first, second]: [__m512i; 2]| {
        _mm512_permutex2var_epi8(first, bytemuck::cast(order), second)
    };
    let upper = gather(UPPER, z);
    let index = if bits == 8 {
        Index {
            low: upper,
            masks: [_mm512_movepi8_mask(upper), 0],
        }
    } else {
        let low = gather(
            LOWER,
            [_mm512_srli_epi16::<7>(z[0]), _mm512_srli_epi16::<7>(z[1])],
        );
        Index {
            low,
            masks: [_mm512_movepi8_mask(low), _mm512_movepi8_mask(upper)],
        }
    };
    let picked = |[low, high]: &[Plane<N>; 2]| {
        let (low, high) = (pick(low, &index), pick(high, &index));
        [
            _mm512_unpacklo_epi8(low, high),
            _mm512_unpackhi_epi8(low, high),
        ]
    };
    let (values, deltas) = (picked(&bytes.values), picked(&bytes.deltas));
    [
        interpolate(values[0], deltas[0], bits, z[0]),
        interpolate(values[1], deltas[1], bits, z[1]),
    ]
}

impl<const N: usize> Curves<2> for ByteLookups<N> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    unsafe fn tanh(&self, z: [__m512i; 2]) -> [Q31; 2] {
        lookup(&self.tanh, self.bits, z)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    unsafe fn sigmoid(&self, z: [__m512i; 2]) -> [Q31; 2] {
        lookup(&self.sigmoid, self.bits, z)
    }
}
