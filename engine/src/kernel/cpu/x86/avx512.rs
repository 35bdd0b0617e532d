//! Integer activations and state updates on AVX-512: 32 units at a time, look-ups without gathers.
//!
//! `vpermi2w` picks 32 words from a table of 64, so a table of 256 segments is four of them and three
//! blends for 32 look-ups, where a gather takes a load per lane. It wants words: the tables' values and deltas are
//! kept apart here.
//!
//! A register of words holds one gate of four panels, in the order in which `vpackssdw` packs two registers of two
//! panels each: half a panel at a time, panels 0 and 2 in turn, then 1 and 3. Widening undoes that, so states are
//! read and written as they lie, and only what comes from or goes to memory as words is brought into order
//! ([`interleave`], [`in_order`]).

use crate::kernel::definition::cells::quarter;
use crate::kernel::{CellQ, Curve, LANES, Panel};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables};
use core::arch::asm;
use core::arch::x86_64::*;

/// Panels in a register of words.
pub(super) const QUAD: usize = 4;

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
        // Look-ups multiply it as an unsigned number.
        assert!(entries[i] as i16 >= 0);
        words.values[i / 32][i % 32] = (entries[i] >> 16) as i16;
        words.deltas[i / 32][i % 32] = entries[i] as i16;
        i += 1;
    }
    words
}

/// The functions of one number of segments.
pub(super) struct Lookups<const N: usize> {
    tanh: Words<N>,
    sigmoid: Words<N>,
    bits: u32,
}

pub(super) static LOOKUPS_256: Lookups<8> = Lookups {
    tanh: words(SEGMENTS_256.tanh_entries()),
    sigmoid: words(SEGMENTS_256.sigmoid_entries()),
    bits: 8,
};
pub(super) static LOOKUPS_512: Lookups<16> = Lookups {
    tanh: words(SEGMENTS_512.tanh_entries()),
    sigmoid: words(SEGMENTS_512.sigmoid_entries()),
    bits: 9,
};

/// 32-bit numbers of four panels.
pub(super) type Halves = [__m512i; 2];

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

/// 32 numbers in Q31, their upper and lower halves apart.
#[derive(Clone, Copy)]
pub(super) struct Q31 {
    low: __m512i,
    high: __m512i,
}

impl Q31 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn zero() -> Self {
        Q31 {
            low: _mm512_setzero_si512(),
            high: _mm512_setzero_si512(),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn halves(self) -> Halves {
        [
            _mm512_unpacklo_epi16(self.low, self.high),
            _mm512_unpackhi_epi16(self.low, self.high),
        ]
    }
}

/// tanh and sigmoid of `P` registers of words.
pub(super) trait Curves<const P: usize> {
    /// # Safety
    /// The CPU has what the look-ups need.
    unsafe fn tanh(&self, z: [__m512i; P]) -> [Q31; P];

    /// # Safety
    /// The CPU has what the look-ups need.
    unsafe fn sigmoid(&self, z: [__m512i; P]) -> [Q31; P];
}

impl<const N: usize, const P: usize> Curves<P> for Lookups<N> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn tanh(&self, z: [__m512i; P]) -> [Q31; P] {
        array!([Q31::zero(); P], |n| lookup(&self.tanh, self.bits, z[n]))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn sigmoid(&self, z: [__m512i; P]) -> [Q31; P] {
        array!([Q31::zero(); P], |n| lookup(&self.sigmoid, self.bits, z[n]))
    }
}

/// Interpolated look-up of 32 words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn lookup<const N: usize>(words: &Words<N>, bits: u32, z: __m512i) -> Q31 {
    let index = _mm512_srl_epi16(z, _mm_cvtsi32_si128(16 - bits as i32));
    let value = pick(&words.values, index);
    let delta = pick(&words.deltas, index);
    interpolate(value, delta, bits, z)
}

/// `value << 16 | delta`, and `delta · fraction << bits` added: the same as `delta · (fraction << bits | 1)` added to the
/// value, where the factor is an unsigned word, and no delta is negative.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn interpolate(value: __m512i, delta: __m512i, bits: u32, z: __m512i) -> Q31 {
    let fraction = _mm512_sll_epi16(z, _mm_cvtsi32_si128(bits as i32));
    let factor = _mm512_or_si512(fraction, _mm512_set1_epi16(1));
    let carry: __m512i;
    // The intrinsic is a product of 32-bit lanes to the compiler, which is then not always found to be this instruction.
    // SAFETY: reads registers only.
    unsafe {
        asm!(
            "vpmulhuw {carry}, {delta}, {factor}",
            carry = lateout(zmm_reg) carry,
            delta = in(zmm_reg) delta,
            factor = in(zmm_reg) factor,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    Q31 {
        low: _mm512_mullo_epi16(delta, factor),
        high: _mm512_add_epi16(value, carry),
    }
}

/// Four panels of words into the order of this module.
#[inline]
#[target_feature(enable = "avx512f")]
fn interleave(panels: [Panel<i16>; QUAD]) -> __m512i {
    let order = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
    _mm512_permutexvar_epi64(order, bytemuck::cast(panels))
}

/// Four panels of words from the order of this module.
#[inline]
#[target_feature(enable = "avx512f")]
fn in_order(words: __m512i) -> __m512i {
    _mm512_permutexvar_epi64(_mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0), words)
}

/// Up to four panels, and zeros behind them. From registers the parts would be gathered on the stack, where a wide
/// load has to wait for narrow stores; a masked one has not.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_states(panels: &[Panel<i32>]) -> Halves {
    let states = panels.as_flattened();
    let [lower, upper] = halves(states.len());
    let at = states.as_ptr();
    // SAFETY: the masks leave out what lies behind the end.
    unsafe {
        [
            _mm512_maskz_loadu_epi32(lower, at),
            _mm512_maskz_loadu_epi32(upper, at.wrapping_add(16)),
        ]
    }
}

/// As many of four panels as there are places.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_states(panels: &mut [Panel<i32>], states: Halves) {
    let places = panels.as_flattened_mut();
    let [lower, upper] = halves(places.len());
    let at = places.as_mut_ptr();
    // SAFETY: the masks leave out what lies behind the end.
    unsafe {
        _mm512_mask_storeu_epi32(at, lower, states[0]);
        _mm512_mask_storeu_epi32(at.wrapping_add(16), upper, states[1]);
    }
}

/// As many of four panels as there are places. What is stored here is soon loaded again, as a step's output or in the next
/// step: such a load would have to wait until a masked store has left the queue, so none is masked.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn store_words(places: &mut [i16], words: __m512i) {
    let at = places.as_mut_ptr();
    let lower = _mm512_castsi512_si256(words);
    // SAFETY: as many as there are places.
    unsafe {
        match places.len() / LANES {
            0 => {}
            1 => _mm_storeu_si128(at.cast(), _mm256_castsi256_si128(lower)),
            2 => _mm256_storeu_si256(at.cast(), lower),
            3 => {
                _mm256_storeu_si256(at.cast(), lower);
                let third = _mm512_extracti32x4_epi32::<2>(words);
                _mm_storeu_si128(at.add(2 * LANES).cast(), third);
            }
            _ => _mm512_storeu_si512(at.cast(), words),
        }
    }
}

/// The same of bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn store_bytes(places: &mut [i8], bytes: __m256i) {
    let at = places.as_mut_ptr();
    let lower = _mm256_castsi256_si128(bytes);
    // SAFETY: as many as there are places.
    unsafe {
        match places.len() / LANES {
            0 => {}
            1 => _mm_storel_epi64(at.cast(), lower),
            2 => _mm_storeu_si128(at.cast(), lower),
            3 => {
                _mm_storeu_si128(at.cast(), lower);
                let third = _mm256_extracti128_si256::<1>(bytes);
                _mm_storel_epi64(at.add(2 * LANES).cast(), third);
            }
            _ => _mm256_storeu_si256(at.cast(), bytes),
        }
    }
}

/// Masks of the first `lanes` of two registers of 16.
#[inline(always)]
fn halves(lanes: usize) -> [__mmask16; 2] {
    let lanes = first(lanes);
    [lanes as u16, (lanes >> 16) as u16]
}

/// Mask of the first `lanes` of 32.
#[inline(always)]
pub(super) fn first(lanes: usize) -> __mmask32 {
    ((1_u64 << lanes.min(32)) - 1) as u32
}

/// [`crate::num::mulhi_round`] in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn mulhi_round(a: __m512i, b: __m512i) -> __m512i {
    let half = _mm512_set1_epi64(1 << 31);
    let even = _mm512_add_epi64(_mm512_mul_epi32(a, b), half);
    let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
    let odd = _mm512_add_epi64(odd, half);
    // The upper halves: of the odd ones in place, of the even ones moved down.
    let mut result = odd;
    // The intrinsic becomes a permutation of both, which takes five cycles instead of two and a register for its order.
    // SAFETY: works on registers only.
    unsafe {
        asm!(
            "vmovshdup {result} {{{lower}}}, {even}",
            result = inout(zmm_reg) result,
            lower = in(kreg) 0x5555u16,
            even = in(zmm_reg) even,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
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
        if $tables.bits() == 8 {
            $kernel(&LOOKUPS_256, $($argument),*)
        } else {
            $kernel(&LOOKUPS_512, $($argument),*)
        }
    };
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    match (curve, tables.bits()) {
        (Curve::Tanh, 8) => activate(&LOOKUPS_256.tanh, 8, y, z),
        (Curve::Tanh, _) => activate(&LOOKUPS_512.tanh, 9, y, z),
        (Curve::Sigmoid, 8) => activate(&LOOKUPS_256.sigmoid, 8, y, z),
        (Curve::Sigmoid, _) => activate(&LOOKUPS_512.sigmoid, 9, y, z),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn activate<const N: usize>(words: &Words<N>, bits: u32, y: &mut [Panel<i32>], z: &[Panel<i16>]) {
    for (y, z) in y.chunks_mut(QUAD).zip(z.chunks(QUAD)) {
        let z = core::array::from_fn(|n| z.get(n).copied().unwrap_or_default());
        store_states(y, lookup(words, bits, interleave(z)).halves());
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn update_q(
    cell: CellQ,
    master: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
) {
    match cell {
        CellQ::Lstm { cell_shift } => with_lookups!(tables, lstm(master, y, z, cell_shift)),
        CellQ::Gru => with_lookups!(tables, gru(master, z)),
        CellQ::Rnn => {
            curve_q(Curve::Tanh, master, z, tables);
            quarter(master);
        }
    }
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
        if let &[i, f, g, o] = z {
            let outputs = update_panel(lookups, interleave([i, f, g, o]), c, cell_shift);
            store_words(y.as_flattened_mut(), outputs);
            continue;
        }
        let gate = |gate: usize| {
            let panel = |n: usize| z.get(4 * n + gate).copied().unwrap_or_default();
            interleave(core::array::from_fn(panel))
        };
        let gates = [gate(0), gate(1), gate(2), gate(3)];
        let outputs = update(lookups, gates, c, cell_shift);
        store_words(y.as_flattened_mut(), outputs);
    }
}

/// Up to four panels of units, by a register for each gate; gives their outputs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn update<const N: usize>(
    lookups: &Lookups<N>,
    [i, f, g, o]: [__m512i; 4],
    c: &mut [Panel<i32>],
    cell_shift: u8,
) -> __m512i {
    let gates = [[i], [f], [g], [o]];
    // SAFETY: this function's CPU is enough.
    let ([cells], [outputs]) = unsafe { cells(lookups, gates, [load_states(c)], cell_shift) };
    store_states(c, cells);
    in_order(outputs)
}

/// New cells and the outputs, which are in the order of this module.
///
/// # Safety
/// The CPU has what the look-ups need.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn cells<const P: usize>(
    curves: &impl Curves<P>,
    [i, f, g, o]: [[__m512i; P]; 4],
    old: [Halves; P],
    cell_shift: u8,
) -> ([Halves; P], [__m512i; P]) {
    // SAFETY: the caller's.
    let (i, f, o, g) = unsafe {
        (
            curves.sigmoid(i),
            curves.sigmoid(f),
            curves.sigmoid(o),
            curves.tanh(g),
        )
    };
    let zero = _mm512_setzero_si512();
    let cells = array!([[zero; 2]; P], |n| {
        let (i, f, g) = (i[n].halves(), f[n].halves(), g[n].halves());
        [
            cell(i[0], f[0], g[0], old[n][0], cell_shift),
            cell(i[1], f[1], g[1], old[n][1], cell_shift),
        ]
    });
    let depths = array!([zero; P], |n| depth(cells[n], cell_shift));
    // SAFETY: the caller's.
    let t = unsafe { curves.tanh(depths) };
    let outputs = array!([zero; P], |n| {
        let (o, t) = (o[n].halves(), t[n].halves());
        _mm512_packs_epi32(output(o[0], t[0]), output(o[1], t[1]))
    });
    (cells, outputs)
}

/// One panel of units, whose four gates fill a register; gives its outputs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn update_panel<const N: usize>(
    lookups: &Lookups<N>,
    gates: __m512i,
    c: &mut [Panel<i32>],
    cell_shift: u8,
) -> __m512i {
    let zero = _mm512_setzero_si512();
    // A panel of 32-bit numbers is half a register: i and f, g and o.
    let [i_f, g_o] = lookup(&lookups.sigmoid, lookups.bits, gates).halves();
    let [_, g] = lookup(&lookups.tanh, lookups.bits, gates).halves();
    let f = _mm512_shuffle_i64x2::<0b11_10_11_10>(i_f, zero);
    let o = _mm512_shuffle_i64x2::<0b11_10_11_10>(g_o, zero);
    let [old, _] = load_states(c);
    let new = cell(i_f, f, g, old, cell_shift);
    let depth = depth([new, zero], cell_shift);
    let [t, _] = lookup(&lookups.tanh, lookups.bits, depth).halves();
    store_states(c, [new, zero]);
    in_order(_mm512_packs_epi32(output(o, t), zero))
}

/// `f c + i g`
#[inline]
#[target_feature(enable = "avx512f")]
fn cell(i: __m512i, f: __m512i, g: __m512i, c: __m512i, cell_shift: u8) -> __m512i {
    let (low, high) = (
        _mm512_set1_epi32(-(1 << 30)),
        _mm512_set1_epi32((1 << 30) - 1),
    );
    let kept = _mm512_slli_epi32::<1>(mulhi_round(f, c));
    let shift = _mm_cvtsi32_si128(3 + cell_shift as i32);
    let new = _mm512_sra_epi32(mulhi_round(i, g), shift);
    _mm512_min_epi32(_mm512_max_epi32(_mm512_add_epi32(kept, new), low), high)
}

/// Cells as arguments of tanh.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn depth([lower, upper]: Halves, cell_shift: u8) -> __m512i {
    let shift = _mm_cvtsi32_si128(15 - cell_shift as i32);
    _mm512_packs_epi32(
        _mm512_sra_epi32(lower, shift),
        _mm512_sra_epi32(upper, shift),
    )
}

/// `o t` (2^-12)
#[inline]
#[target_feature(enable = "avx512f")]
fn output(o: __m512i, t: __m512i) -> __m512i {
    let product = mulhi_round(o, t);
    _mm512_srai_epi32::<18>(_mm512_add_epi32(product, _mm512_set1_epi32(1 << 17)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn gru<const N: usize>(lookups: &Lookups<N>, h: &mut [Panel<i32>], z: &[Panel<i16>]) {
    for (h, z) in h.chunks_mut(QUAD).zip(z.chunks(4 * QUAD)) {
        let gate = |gate: usize| {
            let panel = |n: usize| z.get(4 * n + gate).copied().unwrap_or_default();
            interleave(core::array::from_fn(panel))
        };
        blend(lookups, [gate(0), gate(1), gate(2), gate(3)], h);
    }
}

/// Up to four panels of units, by a register for each gate; gives the new states, also of the panels that there are
/// not.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn blend<const N: usize>(
    lookups: &Lookups<N>,
    [nx, r, z, nh]: [__m512i; 4],
    h: &mut [Panel<i32>],
) -> Halves {
    let gates = [[nx], [r], [z], [nh]];
    // SAFETY: this function's CPU is enough.
    let [states] = unsafe { blended(lookups, gates, [load_states(h)]) };
    store_states(h, states);
    states
}

/// New states, by a register for each of `nx, r, z, nh`.
///
/// # Safety
/// The CPU has what the look-ups need.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn blended<const P: usize>(
    curves: &impl Curves<P>,
    [nx, r, z, nh]: [[__m512i; P]; 4],
    old: [Halves; P],
) -> [Halves; P] {
    // SAFETY: the caller's.
    let (r, z) = unsafe { (curves.sigmoid(r), curves.sigmoid(z)) };
    // (a b + 2^14) >> 15; a gate is not negative, so MIN · MIN cannot occur.
    let zero = _mm512_setzero_si512();
    let candidates = array!([zero; P], |n| _mm512_adds_epi16(
        nx[n],
        _mm512_mulhrs_epi16(r[n].high, nh[n])
    ));
    // SAFETY: the caller's.
    let candidates = unsafe { curves.tanh(candidates) };
    array!([[zero; 2]; P], |n| {
        let (candidate, z) = (candidates[n].halves(), z[n].halves());
        array!([zero; 2], |half| {
            let candidate = _mm512_srai_epi32::<2>(candidate[half]);
            let kept = mulhi_round(z[half], _mm512_sub_epi32(old[n][half], candidate));
            _mm512_add_epi32(candidate, _mm512_slli_epi32::<1>(kept))
        })
    })
}

/// tanh of up to four panels, as states of a tanh layer.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn tanh_states<const N: usize>(
    lookups: &Lookups<N>,
    z: __m512i,
    h: &mut [Panel<i32>],
) -> Halves {
    // SAFETY: this function's CPU is enough.
    let [states] = unsafe { tanh_words(lookups, [z]) };
    store_states(h, states);
    states
}

/// tanh as states of a tanh layer.
///
/// # Safety
/// The CPU has what the look-ups need.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn tanh_words<const P: usize>(
    curves: &impl Curves<P>,
    z: [__m512i; P],
) -> [Halves; P] {
    // SAFETY: the caller's.
    let states = unsafe { curves.tanh(z) };
    array!([[_mm512_setzero_si512(); 2]; P], |n| {
        let [lower, upper] = states[n].halves();
        [_mm512_srai_epi32::<2>(lower), _mm512_srai_epi32::<2>(upper)]
    })
}

/// States (Q29) as outputs (2^-12).
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn round_states(states: Halves) -> __m512i {
    in_order(round_words(states))
}

/// The same in the order of this module.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn round_words([lower, upper]: Halves) -> __m512i {
    let half = _mm512_set1_epi32(1 << 16);
    _mm512_packs_epi32(
        _mm512_srai_epi32::<17>(_mm512_add_epi32(lower, half)),
        _mm512_srai_epi32::<17>(_mm512_add_epi32(upper, half)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_as_many_lanes_as_asked_for() {
        for lanes in 0..=40 {
            assert_eq!(first(lanes).count_ones() as usize, lanes.min(32));
            assert_eq!(first(lanes).trailing_ones() as usize, lanes.min(32));
        }
        assert_eq!(halves(0), [0, 0]);
    }
}
