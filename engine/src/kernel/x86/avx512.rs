//! Integer activations and state updates on AVX-512: 32 units at a time, look-ups without gathers.
//!
//! `vpermi2w` picks 32 words from a table of 64, so a table of 256 segments is four of them and three
//! blends for 32 look-ups, where a gather takes a load per lane. It wants words: the tables' values and deltas are
//! kept apart here.
//!
//! A register of words holds one gate of four panels, a panel in each 128-bit lane. Widening interleaves inside the
//! lanes, so 32-bit numbers come as the lower and the upper halves of the four panels; [`load`] and [`store`]
//! bring states into that order.

use crate::kernel::{LANES, Panel};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables};
use core::arch::x86_64::*;

/// Panels in a register of words.
const QUAD: usize = 4;

/// A table with values and deltas apart, 32 words in a register.
struct Words<const N: usize> {
    values: [[i16; 32]; N],
    deltas: [[i16; 32]; N],
}

const fn words<const N: usize>(entries: &[i32]) -> Words<N> {
    let mut words = Words {
        values: [[0; 32]; N],
        deltas: [[0; 32]; N],
    };
    let mut i = 0;
    while i < 32 * N {
        words.values[i / 32][i % 32] = (entries[i] >> 16) as i16;
        words.deltas[i / 32][i % 32] = entries[i] as i16;
        i += 1;
    }
    words
}

/// The functions of one number of segments.
struct Lookups<const N: usize> {
    tanh: Words<N>,
    sigmoid: Words<N>,
    bits: u32,
}

static LOOKUPS_256: Lookups<8> = Lookups {
    tanh: words(SEGMENTS_256.tanh),
    sigmoid: words(SEGMENTS_256.sigmoid),
    bits: 8,
};
static LOOKUPS_512: Lookups<16> = Lookups {
    tanh: words(SEGMENTS_512.tanh),
    sigmoid: words(SEGMENTS_512.sigmoid),
    bits: 9,
};

/// 32-bit numbers of four panels: the lower halves, and the upper halves.
type Halves = [__m512i; 2];

/// Picks words by the top bits of `z` from `N` registers of 32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pick<const N: usize>(table: &[[i16; 32]; N], index: __m512i) -> __m512i {
    // The instruction looks at the lowest six bits of an index; the bits above choose between its results.
    let mut results = [_mm512_setzero_si512(); N];
    for pair in 0..N / 2 {
        let (low, high) = (
            bytemuck::cast(table[2 * pair]),
            bytemuck::cast(table[2 * pair + 1]),
        );
        results[pair] = _mm512_permutex2var_epi16(low, index, high);
    }
    let mut count = N / 2;
    let mut bit = 6;
    while count > 1 {
        count /= 2;
        let high = _mm512_test_epi16_mask(index, _mm512_set1_epi16(1 << bit));
        for i in 0..count {
            results[i] = _mm512_mask_blend_epi16(high, results[2 * i], results[2 * i + 1]);
        }
        bit += 1;
    }
    results[0]
}

/// Interpolated look-up of 32 words, in Q31.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn lookup<const N: usize>(words: &Words<N>, bits: u32, z: __m512i) -> Halves {
    let index = _mm512_srl_epi16(z, _mm_cvtsi32_si128(16 - bits as i32));
    let value = pick(&words.values, index);
    let delta = pick(&words.deltas, index);
    let fraction = _mm512_and_si512(z, _mm512_set1_epi16((1 << (16 - bits)) - 1));
    let low = _mm512_mullo_epi16(delta, fraction);
    let high = _mm512_mulhi_epi16(delta, fraction);
    let shift = _mm_cvtsi32_si128(bits as i32);
    let lower = _mm512_sll_epi32(_mm512_unpacklo_epi16(low, high), shift);
    let upper = _mm512_sll_epi32(_mm512_unpackhi_epi16(low, high), shift);
    [
        _mm512_add_epi32(_mm512_unpacklo_epi16(delta, value), lower),
        _mm512_add_epi32(_mm512_unpackhi_epi16(delta, value), upper),
    ]
}

/// Four panels of words in a register, the first `panels.len()` of them real.
#[inline]
#[target_feature(enable = "avx512f")]
fn gather_panels(panel: impl Fn(usize) -> Panel<i16>) -> __m512i {
    bytemuck::cast([panel(0), panel(1), panel(2), panel(3)])
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(panels: [Panel<i32>; QUAD]) -> Halves {
    let [a, b]: [__m512i; 2] = bytemuck::cast(panels);
    [
        _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(halves: Halves) -> [Panel<i32>; QUAD] {
    let [lower, upper] = halves;
    let first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
    let second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    bytemuck::cast([
        _mm512_permutex2var_epi64(lower, first, upper),
        _mm512_permutex2var_epi64(lower, second, upper),
    ])
}

/// [`crate::num::mulhi_round`] in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn mulhi_round(a: __m512i, b: __m512i) -> __m512i {
    let half = _mm512_set1_epi64(1 << 31);
    let even = _mm512_add_epi64(_mm512_mul_epi32(a, b), half);
    let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
    let odd = _mm512_add_epi64(odd, half);
    _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd)
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
    let shift = _mm_cvtsi32_si128(shift as i32);
    let (sums, last_sums) = sums.as_chunks::<2>();
    let (m, last_m) = m.as_chunks::<2>();
    let (z, last_z) = z.as_chunks_mut::<2>();
    for ((z, &sums), &m) in z.iter_mut().zip(sums).zip(m) {
        let sums = _mm512_sll_epi32(bytemuck::cast(sums), shift);
        *z = bytemuck::cast(_mm512_cvtsepi32_epi16(mulhi_round(sums, bytemuck::cast(m))));
    }
    if let ([z], &[sums], &[m]) = (last_z, last_sums, last_m) {
        let sums = _mm512_sll_epi32(bytemuck::cast([sums, [0; LANES]]), shift);
        let both = _mm512_cvtsepi32_epi16(mulhi_round(sums, bytemuck::cast([m, [0; LANES]])));
        [*z, _] = bytemuck::cast(both);
    }
}

/// The same through the tables of a number of segments.
macro_rules! with_lookups {
    ($tables:ident, $kernel:ident($($argument:expr),*)) => {
        if $tables.bits == 8 {
            $kernel(&LOOKUPS_256, $($argument),*)
        } else {
            $kernel(&LOOKUPS_512, $($argument),*)
        }
    };
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn tanh_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    if tables.bits == 8 {
        activate(&LOOKUPS_256.tanh, 8, y, z);
    } else {
        activate(&LOOKUPS_512.tanh, 9, y, z);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn sigmoid_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    if tables.bits == 8 {
        activate(&LOOKUPS_256.sigmoid, 8, y, z);
    } else {
        activate(&LOOKUPS_512.sigmoid, 9, y, z);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn activate<const N: usize>(words: &Words<N>, bits: u32, y: &mut [Panel<i32>], z: &[Panel<i16>]) {
    for (y, z) in y.chunks_mut(QUAD).zip(z.chunks(QUAD)) {
        let z = gather_panels(|n| z.get(n).copied().unwrap_or([0; LANES]));
        let result = store(lookup(words, bits, z));
        y.copy_from_slice(&result[..y.len()]);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn lstm_q(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    with_lookups!(tables, lstm(c, y, z, cell_shift));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn lstm<const N: usize>(
    lookups: &Lookups<N>,
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    cell_shift: u8,
) {
    let units = c.chunks_mut(QUAD).zip(y.chunks_mut(QUAD));
    for ((c, y), z) in units.zip(z.chunks(4 * QUAD)) {
        if let ([c], [y], &[i, f, g, o]) = (&mut *c, &mut *y, z) {
            // One panel of units: its four gates fill a register.
            let gates = bytemuck::cast([i, f, g, o]);
            let [lower, upper] = lookup(&lookups.sigmoid, lookups.bits, gates);
            let tanh = lookup(&lookups.tanh, lookups.bits, gates);
            // Each 128-bit lane is half a panel: put the gates of a unit into the same lane of registers.
            let panel = |gate: usize, [lower, upper]: Halves| -> Halves {
                let (low, high): ([__m128i; 4], [__m128i; 4]) =
                    (bytemuck::cast(lower), bytemuck::cast(upper));
                [
                    _mm512_castsi128_si512(low[gate]),
                    _mm512_castsi128_si512(high[gate]),
                ]
            };
            let sigmoid = [lower, upper];
            let gates = [
                panel(0, sigmoid),
                panel(1, sigmoid),
                panel(2, tanh),
                panel(3, sigmoid),
            ];
            let mut cells = [[0; LANES]; QUAD];
            cells[0] = *c;
            let (cells, outputs) = update(lookups, gates, cells, cell_shift);
            (*c, *y) = (cells[0], outputs[0]);
            continue;
        }
        let gate =
            |gate: usize| gather_panels(|n| z.get(4 * n + gate).copied().unwrap_or([0; LANES]));
        let gates = [
            lookup(&lookups.sigmoid, lookups.bits, gate(0)),
            lookup(&lookups.sigmoid, lookups.bits, gate(1)),
            lookup(&lookups.tanh, lookups.bits, gate(2)),
            lookup(&lookups.sigmoid, lookups.bits, gate(3)),
        ];
        let cells = core::array::from_fn(|n| c.get(n).copied().unwrap_or([0; LANES]));
        let (cells, outputs) = update(lookups, gates, cells, cell_shift);
        c.copy_from_slice(&cells[..c.len()]);
        y.copy_from_slice(&outputs[..y.len()]);
    }
}

/// Cells and outputs of four panels of units from their gates.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn update<const N: usize>(
    lookups: &Lookups<N>,
    [i, f, g, o]: [Halves; 4],
    cells: [Panel<i32>; QUAD],
    cell_shift: u8,
) -> ([Panel<i32>; QUAD], [Panel<i16>; QUAD]) {
    let (low, high) = (
        _mm512_set1_epi32(-(1 << 30)),
        _mm512_set1_epi32((1 << 30) - 1),
    );
    let new_shift = _mm_cvtsi32_si128(3 + cell_shift as i32);
    let depth_shift = _mm_cvtsi32_si128(15 - cell_shift as i32);
    let old = load(cells);
    let cell = |half: usize| {
        let kept = _mm512_slli_epi32::<1>(mulhi_round(f[half], old[half]));
        let new = _mm512_sra_epi32(mulhi_round(i[half], g[half]), new_shift);
        _mm512_min_epi32(_mm512_max_epi32(_mm512_add_epi32(kept, new), low), high)
    };
    let cells = [cell(0), cell(1)];
    // Packing two registers interleaves their lanes as widening did, so this is in the order of words.
    let depth = _mm512_packs_epi32(
        _mm512_sra_epi32(cells[0], depth_shift),
        _mm512_sra_epi32(cells[1], depth_shift),
    );
    let t = lookup(&lookups.tanh, lookups.bits, depth);
    let output = |half: usize| {
        let product = mulhi_round(o[half], t[half]);
        _mm512_srai_epi32::<18>(_mm512_add_epi32(product, _mm512_set1_epi32(1 << 17)))
    };
    let outputs = _mm512_packs_epi32(output(0), output(1));
    (store(cells), bytemuck::cast(outputs))
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn gru_q(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    with_lookups!(tables, gru(h, z));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn gru<const N: usize>(lookups: &Lookups<N>, h: &mut [Panel<i32>], z: &[Panel<i16>]) {
    for (h, z) in h.chunks_mut(QUAD).zip(z.chunks(4 * QUAD)) {
        let gate =
            |gate: usize| gather_panels(|n| z.get(4 * n + gate).copied().unwrap_or([0; LANES]));
        let r = lookup(&lookups.sigmoid, lookups.bits, gate(1));
        let update = lookup(&lookups.sigmoid, lookups.bits, gate(2));
        let r = _mm512_packs_epi32(_mm512_srai_epi32::<16>(r[0]), _mm512_srai_epi32::<16>(r[1]));
        // (a b + 2^14) >> 15; a gate is not negative, so MIN · MIN cannot occur.
        let recurrent = _mm512_mulhrs_epi16(r, gate(3));
        let candidate = _mm512_adds_epi16(gate(0), recurrent);
        let n = lookup(&lookups.tanh, lookups.bits, candidate);
        let old = load(core::array::from_fn(|n| {
            h.get(n).copied().unwrap_or([0; LANES])
        }));
        let new = |half: usize| {
            let n = _mm512_srai_epi32::<2>(n[half]);
            let difference = _mm512_sub_epi32(old[half], n);
            let kept = mulhi_round(update[half], difference);
            _mm512_add_epi32(n, _mm512_slli_epi32::<1>(kept))
        };
        let states = store([new(0), new(1)]);
        h.copy_from_slice(&states[..h.len()]);
    }
}
