//! Products for several streams with AVX-512: weights are loaded once for four streams.
//!
//! A register holds the sums of two panels of one stream, so nothing is added across lanes: the weights of both panels for
//! the same inputs go into one register, and a stream's inputs into all lanes of another.
//!
//! `vpdpbusd` wants one unsigned side and gets `x + 128`; what that adds, 128 times the row's sum of weights, is computed
//! once for all streams. For `i16` inputs weights are widened and their columns taken in pairs (`vpdpwssd`). Floats are multiplied
//! and added in the order of columns, as everywhere.

use super::avx512::{LOOKUPS_256, LOOKUPS_512, QUAD, mulhi_round};
use super::avx512::{blend, round_states, store_words, tanh_states, update};
use super::step512::{by_gate, narrow, publish};
use crate::kernel::step;
use crate::kernel::{
    BLOCK, GateRows, Hidden, Inputs, IntMatrix, Kernels, LANES, LayerState, Panel, Panels, Streams,
};
use crate::num::Tables;
use core::arch::asm;
use core::arch::x86_64::*;
use half::f16;

/// Streams that share a load of weights.
const SHARE: usize = 4;
/// Streams that share the offsets of their inputs.
const GROUP: usize = 16;

/// A product of weights and inputs, on sixteen rows: two panels.
trait Product {
    type Weight: Copy;
    type Input: Copy;
    type Sum: bytemuck::Pod;

    /// Columns of a step.
    const COLUMNS: usize;
    /// Registers of weights, and as many of inputs, in a step.
    const PARTS: usize = 1;
    /// Inputs are this much too large.
    const OFFSET: bool = false;

    /// Weights of two panels, zeros for one that is not there.
    ///
    /// # Safety
    /// Both have weights from column `at` on for a step; the CPU has AVX-512 BW and VNNI.
    unsafe fn weights(pair: Pair<Self::Weight>, at: usize) -> [__m512i; 2];

    /// The inputs of a step, in all lanes.
    ///
    /// # Safety
    /// The pointer has a step of inputs; the CPU has AVX-512 BW and VNNI.
    unsafe fn inputs(x: *const Self::Input) -> [__m512i; 2];

    /// `sum + w x`.
    ///
    /// # Safety
    /// The CPU has AVX-512 BW and VNNI.
    unsafe fn add(sum: __m512i, w: __m512i, x: __m512i) -> __m512i;
}

/// Two panels of a matrix, and the 64-bit lanes of those that are there.
#[derive(Clone, Copy)]
struct Pair<W> {
    first: *const W,
    second: *const W,
    lanes: __mmask8,
}

impl<W> Pair<W> {
    /// Column `at` and on of both, 256 bits of each.
    ///
    /// # Safety
    /// They have as many; the CPU has AVX-512.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn read(self, at: usize) -> [__m256i; 2] {
        // SAFETY: as the caller promises.
        [self.first, self.second].map(|w| unsafe { _mm256_loadu_si256(w.add(at * LANES).cast()) })
    }
}

/// Two panels of 256 bits in a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn both(first: __m256i, second: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
}

/// A product of integers.
trait Integer: Product<Weight = i8, Sum = i32> {
    /// The first of these inputs, which are of this kind.
    fn pointer(x: Inputs<'_>) -> *const Self::Input {
        match x {
            Inputs::I8(x) => x.as_ptr().cast(),
            Inputs::I16(x) => x.as_ptr().cast(),
        }
    }
}

impl Integer for A8 {}
impl Integer for A16 {}

struct A8;

impl Product for A8 {
    type Weight = i8;
    type Input = i8;
    type Sum = i32;
    const COLUMNS: usize = BLOCK;
    const OFFSET: bool = true;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn weights(pair: Pair<i8>, at: usize) -> [__m512i; 2] {
        // SAFETY: a block of each.
        let [first, second] = unsafe { pair.read(at) };
        let first = _mm512_castsi256_si512(first);
        [_mm512_maskz_inserti64x4::<1>(pair.lanes, first, second); 2]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn inputs(x: *const i8) -> [__m512i; 2] {
        let offset = _mm512_set1_epi8(-128);
        let shifted: __m512i;
        // From intrinsics a scalar XOR and a broadcast out of a general register would come, which takes the ports of
        // the products.
        // SAFETY: reads a block.
        unsafe {
            asm!(
                "vpxord {shifted}, {offset}, dword ptr [{x}]{{1to16}}",
                shifted = lateout(zmm_reg) shifted,
                offset = in(zmm_reg) offset,
                x = in(reg) x,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        [shifted; 2]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add(sum: __m512i, w: __m512i, x: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sum, x, w)
    }
}

struct A16;

impl Product for A16 {
    type Weight = i8;
    type Input = i16;
    type Sum = i32;
    const COLUMNS: usize = BLOCK;
    const PARTS: usize = 2;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn weights(pair: Pair<i8>, at: usize) -> [__m512i; 2] {
        let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
        let odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
        // SAFETY: a block of each.
        let [first, second] = unsafe { pair.read(at) }.map(|w| _mm512_cvtepi8_epi16(w));
        // The same in 32-bit lanes: each half of the mask is all ones or none.
        let lanes =
            ((pair.lanes & 0x0f) as __mmask16 * 0x11) | ((pair.lanes >> 4) as __mmask16 * 0x1100);
        [
            _mm512_maskz_permutex2var_epi32(lanes, first, even, second),
            _mm512_maskz_permutex2var_epi32(lanes, first, odd, second),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn inputs(x: *const i16) -> [__m512i; 2] {
        let pairs: *const i32 = x.cast();
        // SAFETY: two pairs.
        [0, 1].map(|n| _mm512_set1_epi32(unsafe { pairs.add(n).read_unaligned() }))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add(sum: __m512i, w: __m512i, x: __m512i) -> __m512i {
        _mm512_dpwssd_epi32(sum, w, x)
    }
}

struct F32;

impl Product for F32 {
    type Weight = f32;
    type Input = f32;
    type Sum = f32;
    const COLUMNS: usize = 1;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn weights(pair: Pair<f32>, at: usize) -> [__m512i; 2] {
        // SAFETY: a column of each.
        let [first, second] = unsafe { pair.read(at) };
        [both(first, second); 2]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn inputs(x: *const f32) -> [__m512i; 2] {
        // SAFETY: one.
        [_mm512_castps_si512(_mm512_set1_ps(unsafe { *x })); 2]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add(sum: __m512i, w: __m512i, x: __m512i) -> __m512i {
        let product = _mm512_mul_ps(_mm512_castsi512_ps(w), _mm512_castsi512_ps(x));
        _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(sum), product))
    }
}

struct F16;

impl Product for F16 {
    type Weight = f16;
    type Input = f32;
    type Sum = f32;
    const COLUMNS: usize = 1;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn weights(pair: Pair<f16>, at: usize) -> [__m512i; 2] {
        // SAFETY: a column of each.
        let [first, second] =
            [pair.first, pair.second].map(|w| unsafe { _mm_loadu_si128(w.add(at * LANES).cast()) });
        let columns = _mm256_set_m128i(second, first);
        [_mm512_castps_si512(_mm512_cvtph_ps(columns)); 2]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn inputs(x: *const f32) -> [__m512i; 2] {
        // SAFETY: as the caller promises.
        unsafe { F32::inputs(x) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add(sum: __m512i, w: __m512i, x: __m512i) -> __m512i {
        // SAFETY: as the caller promises.
        unsafe { F32::add(sum, w, x) }
    }
}

/// Of two panels, those that are there.
const fn lanes(first: bool, second: bool) -> __mmask8 {
    (first as __mmask8 * 0x0f) | (second as __mmask8 * 0xf0)
}

/// `sums += W x` for `N` pairs of panels and `S` streams.
///
/// # Safety
/// The panels have weights for `columns` columns, and the streams as many inputs; the CPU has AVX-512 BW and VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn accumulate<P: Product, const N: usize, const S: usize>(
    sums: &mut [[__m512i; N]; S],
    w: [Pair<P::Weight>; N],
    x: [*const P::Input; S],
    columns: usize,
) {
    for column in (0..columns).step_by(P::COLUMNS) {
        // SAFETY: this column is one of those the caller promises.
        unsafe {
            let w = w.map(|pair| P::weights(pair, column));
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = P::inputs(x.add(column));
                for (sum, w) in sums.iter_mut().zip(w) {
                    for part in 0..P::PARTS {
                        *sum = P::add(*sum, w[part], x[part]);
                    }
                }
            }
        }
    }
}

/// What the offset of the inputs adds to each row.
///
/// # Safety
/// As [`accumulate`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn offsets<P: Product, const N: usize>(
    w: [Pair<P::Weight>; N],
    columns: usize,
) -> [__m512i; N] {
    let mut sums = [_mm512_setzero_si512(); N];
    if P::OFFSET {
        for column in (0..columns).step_by(P::COLUMNS) {
            for (sum, pair) in sums.iter_mut().zip(w) {
                // SAFETY: this column is one of those the caller promises.
                *sum = unsafe {
                    let [w, _] = P::weights(pair, column);
                    P::add(*sum, w, _mm512_set1_epi8(-128))
                };
            }
        }
    }
    sums
}

/// The sum panels of a layer, in pairs: a pair is a register of sums.
struct Gates<'a> {
    rows: &'a GateRows<'a>,
    w_ih: &'a [i8],
    w_hh: &'a [i8],
    x: usize,
    h: usize,
}

/// `N` pairs of sum panels.
struct Rows<const N: usize> {
    w_x: [Pair<i8>; N],
    w_h: [Pair<i8>; N],
    /// Bias, less what the offsets of the inputs add.
    start: [__m512i; N],
    m: [__m512i; N],
}

/// Pre-activations of each stream: four sum panels in a register, in the order of [`super::avx512`].
type Words = [[__m512i; QUAD]; GROUP];

impl Gates<'_> {
    /// Two sum panels from `at` on in one of the matrices, which has `group` of each `stride`, from `from` on.
    #[inline(always)]
    fn pair(&self, at: usize, w: &[i8], (group, from): (usize, usize), columns: usize) -> Pair<i8> {
        let GateRows { units, stride, .. } = *self.rows;
        let place = |panel: usize| {
            // A stride is 1 or 4, and a division takes as long as ten products.
            let (unit, gate) = (panel >> stride.trailing_zeros(), panel & (stride - 1));
            let there = unit < units && (from..from + group).contains(&gate);
            there.then(|| w[(unit * group + gate - from) * LANES * columns..].as_ptr())
        };
        let (first, second) = (place(at), place(at + 1));
        // What is not there is read from somewhere else, and masked.
        Pair {
            first: first.or(second).unwrap_or(w.as_ptr()),
            second: second.or(first).unwrap_or(w.as_ptr()),
            lanes: lanes(first.is_some(), second.is_some()),
        }
    }

    /// `N` pairs from sum panel `at` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn rows<X: Integer, H: Integer, const N: usize>(&self, at: usize) -> Rows<N> {
        let Gates { w_ih, w_hh, .. } = *self;
        let GateRows {
            ih,
            hh,
            stride,
            bias,
            m,
            ..
        } = *self.rows;
        let w_x = core::array::from_fn(|n| self.pair(at + 2 * n, w_ih, (ih, 0), self.x));
        let w_h = core::array::from_fn(|n| self.pair(at + 2 * n, w_hh, (hh, stride - hh), self.h));
        // SAFETY: `pair` stays inside the matrices, whose lengths were checked.
        let (from_x, from_h) =
            unsafe { (offsets::<X, N>(w_x, self.x), offsets::<H, N>(w_h, self.h)) };
        let two = |panels: &[Panel<i32>], n: usize| {
            let panel = |at: usize| panels.get(at).copied().unwrap_or_default();
            let at = at + 2 * n;
            both(bytemuck::cast(panel(at)), bytemuck::cast(panel(at + 1)))
        };
        Rows {
            w_x,
            w_h,
            start: core::array::from_fn(|n| {
                let offset = _mm512_add_epi32(from_x[n], from_h[n]);
                _mm512_sub_epi32(two(bias, n), offset)
            }),
            m: core::array::from_fn(|n| two(m, n)),
        }
    }

    /// Requantized sums of `N` pairs for `S` streams.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn sums<X: Integer, H: Integer, const N: usize, const S: usize>(
        &self,
        rows: &Rows<N>,
        states: &[LayerState<'_>; S],
        x: &[Inputs<'_>; S],
    ) -> [[__m512i; N]; S] {
        let mut sums = [rows.start; S];
        let x = x.map(|x| X::pointer(x));
        let h = core::array::from_fn(|n| H::pointer(states[n].h.inputs(self.h)));
        // SAFETY: as above; the columns of all streams were checked.
        unsafe {
            accumulate::<X, N, S>(&mut sums, rows.w_x, x, self.x);
            accumulate::<H, N, S>(&mut sums, rows.w_h, h, self.h);
        }
        let shift = _mm_cvtsi32_si128(self.rows.shift as i32);
        sums.map(|mut sums| {
            for (sum, m) in sums.iter_mut().zip(rows.m) {
                *sum = mulhi_round(_mm512_sll_epi32(*sum, shift), m);
            }
            sums
        })
    }

    /// One or two words of pre-activations (`N` pairs of sum panels) of all streams.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn block<X: Integer, H: Integer, const N: usize>(
        &self,
        at: usize,
        word: usize,
        z: &mut Words,
        states: &[LayerState<'_>],
        x: &[Inputs<'_>],
    ) {
        let rows = self.rows::<X, H, N>(at);
        let (shared, alone) = states.as_chunks::<SHARE>();
        let (shared_x, alone_x) = x.as_chunks::<SHARE>();
        let (shared_z, alone_z) = z.split_at_mut(shared.len() * SHARE);
        let shared_z = shared_z.as_chunks_mut::<SHARE>().0;
        for (z, (states, x)) in shared_z.iter_mut().zip(shared.iter().zip(shared_x)) {
            let sums = self.sums::<X, H, N, SHARE>(&rows, states, x);
            for stream in 0..SHARE {
                for n in 0..N / 2 {
                    let [lower, upper] = [sums[stream][2 * n], sums[stream][2 * n + 1]];
                    z[stream][word + n] = _mm512_packs_epi32(lower, upper);
                }
            }
        }
        let alone = alone
            .as_chunks::<1>()
            .0
            .iter()
            .zip(alone_x.as_chunks::<1>().0);
        for (z, (states, x)) in alone_z.iter_mut().zip(alone) {
            let [sums] = self.sums::<X, H, N, 1>(&rows, states, x);
            for n in 0..N / 2 {
                z[word + n] = _mm512_packs_epi32(sums[2 * n], sums[2 * n + 1]);
            }
        }
    }

    /// `count` words of pre-activations from sum panel `at` on, of all streams.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn words<X: Integer, H: Integer>(
        &self,
        at: usize,
        count: usize,
        z: &mut Words,
        states: &[LayerState<'_>],
        x: &[Inputs<'_>],
    ) {
        for word in (0..count - count % 2).step_by(2) {
            self.block::<X, H, 4>(at + 4 * word, word, z, states, x);
        }
        if count % 2 == 1 {
            self.block::<X, H, 2>(at + 4 * (count - 1), count - 1, z, states, x);
        }
    }
}

/// A step of several streams: `update` turns the words of up to four panels of units into their new states and gives
/// their outputs. Gives whether it could: not for four-bit weights, nor for `i8` inputs beside an `i16` state, which no
/// model has.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn steps(
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: &[Inputs<'_>],
    update: impl Fn(&[__m512i; QUAD], &mut [Panel<i32>]) -> __m512i,
) -> bool {
    let (Some(first), Some(state)) = (x.first(), states.first()) else {
        return true;
    };
    let units = rows.units;
    if units == 0 {
        return true;
    }
    let (IntMatrix::I8(w_ih), IntMatrix::I8(w_hh)) = (rows.w_ih, rows.w_hh) else {
        return false;
    };
    let gates = Gates {
        rows,
        w_ih,
        w_hh,
        x: first.columns(),
        h: state.columns,
    };
    let words = match (first, &state.h) {
        (Inputs::I8(_), Hidden::I8(_)) => Gates::words::<A8, A8>,
        (Inputs::I16(_), Hidden::I8(_)) => Gates::words::<A16, A8>,
        (Inputs::I16(_), Hidden::I16(_)) => Gates::words::<A16, A16>,
        (Inputs::I8(_), Hidden::I16(_)) => return false,
    };
    // Panels of units that one word has all gates of.
    let per_word = QUAD / rows.stride;
    // Streams that fill a register between them.
    let together = (QUAD / units).max(1);
    for (states, x) in states.chunks_mut(GROUP).zip(x.chunks(GROUP)) {
        let mut z = [[_mm512_setzero_si512(); QUAD]; GROUP];
        for quad in (0..units).step_by(QUAD) {
            let count = (units - quad).min(QUAD);
            let at = quad * rows.stride;
            words(&gates, at, count.div_ceil(per_word), &mut z, states, x);
            if together == 1 || per_word > 1 {
                for (state, z) in states.iter_mut().zip(&z) {
                    let outputs = update(z, &mut state.master[quad..quad + count]);
                    let y = &mut state.y[quad..quad + count];
                    store_words(y.as_flattened_mut(), outputs);
                    if units <= QUAD {
                        publish(state, outputs);
                    }
                }
            } else {
                for (states, z) in states.chunks_mut(together).zip(z.chunks(together)) {
                    share(states, z, units, &update);
                }
            }
        }
        if units > QUAD {
            for state in states {
                publish(state, _mm512_setzero_si512());
            }
        }
    }
    true
}

/// Streams of one or two panels of units fill registers between them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn share(
    states: &mut [LayerState<'_>],
    z: &[[__m512i; QUAD]],
    units: usize,
    update: impl Fn(&[__m512i; QUAD], &mut [Panel<i32>]) -> __m512i,
) {
    let mut words = [_mm512_setzero_si512(); QUAD];
    let mut masters = [[0; LANES]; QUAD];
    for (stream, (state, z)) in states.iter().zip(z).enumerate() {
        for n in 0..units {
            words[stream * units + n] = z[n];
            masters[stream * units + n] = state.master[n];
        }
    }
    let outputs = update(&words, &mut masters);
    let narrowed: [[i8; LANES]; QUAD] = bytemuck::cast(narrow(outputs));
    let outputs: [Panel<i16>; QUAD] = bytemuck::cast(outputs);
    for (stream, state) in states.iter_mut().enumerate() {
        let range = stream * units..(stream + 1) * units;
        for (n, panel) in range.enumerate() {
            state.master[n] = masters[panel];
            state.y[n] = outputs[panel];
            match &mut state.h {
                Hidden::I8(h) => h.as_chunks_mut().0[n] = narrowed[panel],
                Hidden::I16(h) => h.as_chunks_mut().0[n] = outputs[panel],
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn lstm_batch_q(
    k: &Kernels,
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
    cell_shift: u8,
) {
    let done = if tables.bits == 8 {
        steps(states, rows, x, |z, c| {
            update(&LOOKUPS_256, by_gate(c.len(), |n| z[n]), c, cell_shift)
        })
    } else {
        steps(states, rows, x, |z, c| {
            update(&LOOKUPS_512, by_gate(c.len(), |n| z[n]), c, cell_shift)
        })
    };
    if !done {
        step::lstm_batch(k, states, rows, x, tables, cell_shift);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn gru_batch_q(
    k: &Kernels,
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    let done = if tables.bits == 8 {
        steps(states, rows, x, |z, h| {
            round_states(blend(&LOOKUPS_256, by_gate(h.len(), |n| z[n]), h))
        })
    } else {
        steps(states, rows, x, |z, h| {
            round_states(blend(&LOOKUPS_512, by_gate(h.len(), |n| z[n]), h))
        })
    };
    if !done {
        step::gru_batch(k, states, rows, x, tables);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn rnn_batch_q(
    k: &Kernels,
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    let done = if tables.bits == 8 {
        steps(states, rows, x, |z, h| {
            round_states(tanh_states(&LOOKUPS_256, z[0], h))
        })
    } else {
        steps(states, rows, x, |z, h| {
            round_states(tanh_states(&LOOKUPS_512, z[0], h))
        })
    };
    if !done {
        step::rnn_batch(k, states, rows, x, tables);
    }
}

/// A matrix of floats and where its panels add into a stream's sums.
struct Matrix<'a, P: Product> {
    w: &'a [P::Weight],
    columns: usize,
    panels: Panels,
}

impl<P: Product<Input = f32, Sum = f32>> Matrix<'_, P> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn pairs<const N: usize>(&self, at: usize, sums: &mut [Panel<f32>], streams: Streams<'_>) {
        let panel = LANES * self.columns;
        let last = self.w.len() / panel - 1;
        // Where there is no second panel, the first goes twice, and comes out twice.
        let panels: [[usize; 2]; N] =
            core::array::from_fn(|n| [at + 2 * n, (at + 2 * n + 1).min(last)]);
        let w = panels.map(|pair| {
            let [first, second] = pair.map(|n| self.w[n * panel..].as_ptr());
            Pair {
                first,
                second,
                lanes: lanes(true, true),
            }
        });
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
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn streams<const N: usize, const S: usize>(
        &self,
        w: [Pair<P::Weight>; N],
        places: [[usize; 2]; N],
        x: &[&[f32]; S],
        sums: &mut [Panel<f32>],
        pitch: usize,
    ) {
        let mut totals: [[__m512i; N]; S] = core::array::from_fn(|stream| {
            places.map(|pair| {
                let [first, second] = pair.map(|place| sums[stream * pitch + place]);
                both(bytemuck::cast(first), bytemuck::cast(second))
            })
        });
        // SAFETY: `pairs` stays inside the matrix; the columns of all streams were checked.
        unsafe { accumulate::<P, N, S>(&mut totals, w, x.map(|x| x.as_ptr()), self.columns) };
        for (stream, totals) in totals.into_iter().enumerate() {
            let sums = &mut sums[stream * pitch..];
            for (total, [first, second]) in totals.into_iter().zip(places) {
                [sums[first], sums[second]] = bytemuck::cast(total);
            }
        }
    }
}

/// A float product.
macro_rules! gemm {
    ($name:ident, $product:ident, $weight:ty) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        pub(super) fn $name(
            _: &Kernels,
            sums: &mut [Panel<f32>],
            w: &[$weight],
            streams: Streams<'_>,
            panels: Panels,
        ) {
            if let Some(x) = streams.x.first() {
                let columns = x.len();
                Matrix::<$product> { w, columns, panels }.multiply(sums, streams);
            }
        }
    };
}

gemm!(gemm_f32, F32, f32);
gemm!(gemm_f16, F16, f16);
