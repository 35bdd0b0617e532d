//! Integer steps of several streams with AVX-512: a weight is loaded once for four streams.
//!
//! A register of sums holds eight rows of two streams ([`PAIRS`]). A load repeats a block of weights in both halves at no
//! cost, so that only the inputs, of which there are fewer, have to be brought together. A [`Tile`] is eight sum panels,
//! for two pairs of streams: sixteen sums, which stay in registers, as do the four weights and inputs they need. Two panels
//! of sums of the same gate pack into a register of words as they lie, in which states widen and narrow as in
//! [`super::avx512`], and the eight panels of a tile are four such registers: the gates of two panels of units, or, in a
//! tanh layer, eight panels of units.
//!
//! `vpdpbusd` wants one unsigned side and gets `x + 128`; what that adds, 128 times the row's sum of weights, is computed
//! once for all streams. Inputs of 16 bits are multiplied byte by byte: the upper ones first, whose sums count 256-fold,
//! then the lower ones, which are unsigned as they are. Weights of four bits become bytes on their way into a register.

#[cfg_attr(
    not(has_amx),
    allow(
        dead_code,
        reason = "where nobody asks for the registers, no table has it"
    )
)]
pub(super) mod amx;

use super::avx512::{Halves, blended, cells, mulhi_round, round_words, tanh_words};
use super::step512::{self, publish_all};
use super::vbmi::{BYTES_256, BYTES_512, ByteLookups};
use crate::kernel::{
    BLOCK, CellQ, GateRows, Hidden, Inputs, IntMatrix, Kernels, LANES, LayerState, Panel,
};
use crate::num::Tables;
use core::arch::x86_64::*;
use heapless::Vec;

/// Pairs of streams that share a load of weights.
const PAIRS: usize = 2;
/// Streams that share a load of weights.
const SHARE: usize = 2 * PAIRS;
/// Sum panels of a tile.
const TILE: usize = 8;
/// Registers of words that they pack into.
const WORDS: usize = TILE / 2;

/// Columns of a state at the most, of four-bit weights. Making bytes of them for every four streams takes longer then than
/// a step of each stream, which multiplies them as they are.
const MOST_W4: usize = 64;

/// Panels of weights as they are stored.
trait Stored {
    /// Bytes of a panel.
    fn bytes(columns: usize) -> usize;

    /// The weights of a block of columns as bytes, `[8 rows][4 columns]`, in both halves.
    ///
    /// # Safety
    /// The panel has that block; the CPU has AVX-512 BW.
    unsafe fn block(panel: *const u8, block: usize) -> __m512i;
}

struct W8;

impl Stored for W8 {
    fn bytes(columns: usize) -> usize {
        LANES * columns
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn block(panel: *const u8, block: usize) -> __m512i {
        // SAFETY: as the caller promises.
        let weights = unsafe { _mm256_loadu_si256(panel.add(32 * block).cast()) };
        _mm512_broadcast_i64x4(weights)
    }
}

struct W4;

impl Stored for W4 {
    fn bytes(columns: usize) -> usize {
        LANES * columns / 2
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn block(panel: *const u8, block: usize) -> __m512i {
        // SAFETY: as the caller promises.
        let two = unsafe { _mm256_loadu_si256(panel.add(32 * (block / 2)).cast()) };
        // The lower halves of the bytes are a block, the upper ones the next.
        let shift = _mm_cvtsi32_si128(4 * (block % 2) as i32);
        let one = _mm512_srl_epi16(_mm512_broadcast_i64x4(two), shift);
        let one = _mm512_and_si512(one, _mm512_set1_epi8(15));
        _mm512_sub_epi8(one, _mm512_set1_epi8(8))
    }
}

/// Inputs of one kind.
trait Product {
    type Input;

    /// They have upper bytes, which are multiplied on their own.
    const WIDE: bool = false;

    /// The block that is not part of a chunk.
    ///
    /// # Safety
    /// There is one.
    unsafe fn block(x: *const Self::Input) -> __m128i;

    /// The lower or upper bytes of a block of a chunk in all lanes of its half, with 128 added to what is signed.
    ///
    /// # Safety
    /// The CPU has AVX-512 BW.
    unsafe fn bytes<const UPPER: bool>(chunk: __m512i, block: usize) -> __m512i;
}

/// Bytes of a stream's inputs that are loaded together.
const CHUNK: usize = 16;

/// A chunk of each stream in the quarters of its half.
#[inline]
#[target_feature(enable = "avx512f")]
fn chunk([first, second]: [__m128i; 2]) -> __m512i {
    _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(first), 0xff00, second)
}

struct A8;

impl Product for A8 {
    type Input = i8;

    #[inline]
    unsafe fn block(x: *const i8) -> __m128i {
        // SAFETY: the caller's.
        unsafe { _mm_loadu_si32(x.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    unsafe fn bytes<const UPPER: bool>(chunk: __m512i, block: usize) -> __m512i {
        // For a whole chunk at once.
        let chunk = _mm512_xor_si512(chunk, _mm512_set1_epi8(-128));
        match block {
            0 => _mm512_shuffle_epi32::<0b00_00_00_00>(chunk),
            1 => _mm512_shuffle_epi32::<0b01_01_01_01>(chunk),
            2 => _mm512_shuffle_epi32::<0b10_10_10_10>(chunk),
            _ => _mm512_shuffle_epi32::<0b11_11_11_11>(chunk),
        }
    }
}

struct A16;

impl Product for A16 {
    type Input = i16;
    const WIDE: bool = true;

    #[inline]
    unsafe fn block(x: *const i16) -> __m128i {
        // SAFETY: the caller's.
        unsafe { _mm_loadu_si64(x.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    unsafe fn bytes<const UPPER: bool>(chunk: __m512i, block: usize) -> __m512i {
        let sign = if UPPER { -128 } else { 0 };
        let chunk = _mm512_xor_si512(chunk, _mm512_set1_epi8(sign));
        let first = i32::from(UPPER) + 2 * (BLOCK * block) as i32;
        let order = _mm512_set1_epi32(0x06_04_02_00 + 0x01_01_01_01 * first);
        _mm512_shuffle_epi8(chunk, order)
    }
}

/// Where a matrix has a panel for a sum panel: `COUNT` of each `STRIDE`, from `FROM` on.
struct Order<const FROM: usize, const COUNT: usize, const STRIDE: usize>;

impl<const FROM: usize, const COUNT: usize, const STRIDE: usize> Order<FROM, COUNT, STRIDE> {
    /// Whether it has one for this panel of a tile.
    const fn has(panel: usize) -> bool {
        let gate = panel % STRIDE;
        gate >= FROM && gate < FROM + COUNT
    }

    /// Which one; of those that it has not, some other.
    fn place(panel: usize) -> usize {
        let gate = (panel % STRIDE).clamp(FROM, FROM + COUNT - 1);
        panel / STRIDE * COUNT + gate - FROM
    }

    /// `sums += W x` for the first `N` panels of a tile and pairs of streams, with the lower or upper bytes of `x`.
    ///
    /// # Safety
    /// The panels have weights for `columns` columns, and the streams as many inputs; the CPU has AVX-512 BW and VNNI.
    // Always part of its caller, which has the features that it needs: as a call it would have the sums in memory, a
    // quarter of a step.
    #[inline(always)]
    unsafe fn accumulate<W: Stored, P: Product, const N: usize, const UPPER: bool>(
        sums: &mut Sums,
        w: [*const u8; TILE],
        x: [*const P::Input; SHARE],
        columns: usize,
    ) {
        let per_chunk = CHUNK / (BLOCK * size_of::<P::Input>());
        let (blocks, chunked) = (columns / BLOCK, columns / BLOCK / per_chunk * per_chunk);
        for first in (0..chunked).step_by(per_chunk) {
            // SAFETY: these blocks are among those the caller promises.
            unsafe {
                let [a, b, c, d] = array!([_mm_setzero_si128(); SHARE], |n| _mm_loadu_si128(
                    x[n].add(BLOCK * first).cast()
                ));
                let chunks = [chunk([a, b]), chunk([c, d])];
                for block in 0..per_chunk {
                    let x = [
                        P::bytes::<UPPER>(chunks[0], block),
                        P::bytes::<UPPER>(chunks[1], block),
                    ];
                    Self::add_block::<W, N>(sums, w, x, first + block);
                }
            }
        }
        for block in chunked..blocks {
            // SAFETY: this block is one of those the caller promises.
            unsafe {
                let [a, b, c, d] = array!([_mm_setzero_si128(); SHARE], |n| P::block(
                    x[n].add(BLOCK * block)
                ));
                let x = [
                    P::bytes::<UPPER>(chunk([a, b]), 0),
                    P::bytes::<UPPER>(chunk([c, d]), 0),
                ];
                Self::add_block::<W, N>(sums, w, x, block);
            }
        }
    }

    /// Adds a block's products.
    ///
    /// # Safety
    /// The panels have that block; the CPU has AVX-512 BW and VNNI.
    #[inline(always)]
    unsafe fn add_block<W: Stored, const N: usize>(
        sums: &mut Sums,
        w: [*const u8; TILE],
        x: [__m512i; PAIRS],
        block: usize,
    ) {
        for panel in 0..N {
            if Self::has(panel) {
                // SAFETY: the caller's.
                let w = unsafe { W::block(w[panel], block) };
                for pair in 0..PAIRS {
                    // SAFETY: the caller's.
                    sums[panel][pair] =
                        unsafe { _mm512_dpbusd_epi32(sums[panel][pair], x[pair], w) };
                }
            }
        }
    }

    /// What the offset of the inputs adds to each row of the first `N` panels.
    ///
    /// # Safety
    /// As [`Self::accumulate`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    unsafe fn offsets<W: Stored, P: Product, const N: usize>(
        w: [*const u8; TILE],
        columns: usize,
    ) -> [__m512i; TILE] {
        let mut sums = [_mm512_setzero_si512(); TILE];
        for block in 0..columns / BLOCK {
            for panel in 0..N {
                if Self::has(panel) {
                    // SAFETY: this block is one of those the caller promises.
                    let w = unsafe { W::block(w[panel], block) };
                    sums[panel] = _mm512_dpbusd_epi32(sums[panel], _mm512_set1_epi8(-128), w);
                }
            }
        }
        match P::WIDE {
            true => array!([_mm512_setzero_si512(); TILE], |n| _mm512_slli_epi32::<8>(
                sums[n]
            )),
            false => sums,
        }
    }
}

/// Sums of a tile, of both pairs of streams.
type Sums = [[__m512i; PAIRS]; TILE];
/// Pre-activations of a tile: sum panels `n` and `n + WORDS` of each pair of streams in a register.
type Words = [[__m512i; PAIRS]; WORDS];
/// New masters of two panels of units, and the outputs.
type Updated = ([Halves; PAIRS], [__m512i; PAIRS]);

/// A layer of a cell whose sum panels are `IH` with weights for the input, `HH` with weights for the state from `AT`
/// on, of each `STRIDE`.
struct Layer<'a, const IH: usize, const HH: usize, const AT: usize, const STRIDE: usize> {
    rows: &'a GateRows<'a>,
    w_ih: *const u8,
    w_hh: *const u8,
    x: usize,
    h: usize,
    /// Its products are those of [`amx`].
    amx: bool,
}

/// Eight sum panels of a layer.
#[derive(Clone, Copy)]
struct Tile {
    w_x: [*const u8; TILE],
    w_h: [*const u8; TILE],
    bias: [__m512i; TILE],
    m: [__m512i; TILE],
}

impl<const IH: usize, const HH: usize, const AT: usize, const STRIDE: usize>
    Layer<'_, IH, HH, AT, STRIDE>
{
    /// The tile from sum panel `first` on. What is behind the last panel of units is a copy of the tile's first.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn tile<W: Stored>(&self, first: usize) -> Tile {
        let panels: [usize; TILE] = core::array::from_fn(|n| match first + n {
            panel if panel < self.rows.bias.len() => panel,
            _ => first + n % STRIDE,
        });
        // SAFETY: these panels are inside the matrices, whose lengths were checked.
        let (w_x, w_h) = unsafe {
            let place = |n: usize| Order::<0, IH, STRIDE>::place(n) * W::bytes(self.x);
            let w_x = panels.map(|n| self.w_ih.add(place(n)));
            let place = |n: usize| Order::<AT, HH, STRIDE>::place(n) * W::bytes(self.h);
            (w_x, panels.map(|n| self.w_hh.add(place(n))))
        };
        let twice = |panel: Panel<i32>| _mm512_broadcast_i64x4(bytemuck::cast::<_, __m256i>(panel));
        Tile {
            w_x,
            w_h,
            bias: array!([_mm512_setzero_si512(); TILE], |n| twice(
                self.rows.bias[panels[n]]
            )),
            m: array!([_mm512_setzero_si512(); TILE], |n| twice(
                self.rows.m[panels[n]]
            )),
        }
    }

    /// What the sums of the first `N` panels begin with: bias, less what the offsets of the inputs add.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    fn start<W: Stored, X: Product, H: Product, const N: usize>(
        &self,
        tile: &Tile,
    ) -> [__m512i; TILE] {
        // SAFETY: `tile` stays inside the matrices.
        let (from_x, from_h) = unsafe {
            (
                Order::<0, IH, STRIDE>::offsets::<W, X, N>(tile.w_x, self.x),
                Order::<AT, HH, STRIDE>::offsets::<W, H, N>(tile.w_h, self.h),
            )
        };
        array!([_mm512_setzero_si512(); TILE], |n| _mm512_sub_epi32(
            tile.bias[n],
            _mm512_add_epi32(from_x[n], from_h[n])
        ))
    }

    /// Sums of the first `N` panels of a tile for a group.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    fn sums<W: Stored, X: Product, H: Product, const N: usize>(
        &self,
        tile: &Tile,
        start: &[__m512i; TILE],
        group: &Group,
    ) -> Sums {
        let (x, h) = (group.map(|s| s.x.cast()), group.map(|s| s.h.cast()));
        let mut sums: Sums = array!([[start[0]; PAIRS]; TILE], |n| [start[n]; PAIRS]);
        // SAFETY: `tile` stays inside the matrices; the columns of all streams were checked.
        unsafe {
            if X::WIDE || H::WIDE {
                let mut upper: Sums = [[_mm512_setzero_si512(); PAIRS]; TILE];
                if X::WIDE {
                    let w = tile.w_x;
                    Order::<0, IH, STRIDE>::accumulate::<W, X, N, true>(&mut upper, w, x, self.x);
                }
                if H::WIDE {
                    let w = tile.w_h;
                    Order::<AT, HH, STRIDE>::accumulate::<W, H, N, true>(&mut upper, w, h, self.h);
                }
                for (sums, upper) in sums.iter_mut().zip(upper) {
                    for (sum, upper) in sums.iter_mut().zip(upper) {
                        *sum = _mm512_add_epi32(*sum, _mm512_slli_epi32::<8>(upper));
                    }
                }
            }
            Order::<0, IH, STRIDE>::accumulate::<W, X, N, false>(&mut sums, tile.w_x, x, self.x);
            Order::<AT, HH, STRIDE>::accumulate::<W, H, N, false>(&mut sums, tile.w_h, h, self.h);
        }
        sums
    }

    /// New states of a group in a tile's panels of units, from `first` on, by the sums. With half a tile (`N`), the other half
    /// is a copy. `update` turns the words of a tile into the states of its panels of units `n` and `n + WORDS / STRIDE`, pair
    /// by pair, and gives their outputs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    fn update_tile<const N: usize>(
        &self,
        first: usize,
        tile: &Tile,
        sums: &Sums,
        group: &Group,
        update: &impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
    ) {
        let shift = _mm_cvtsi32_si128(self.rows.shift as i32);
        let [a, b, c, d, e, f, g, h] =
            array!([(sums[0], tile.m[0]); TILE], |n| (sums[n], tile.m[n]));
        let seconds = if N > WORDS {
            [e, f, g, h]
        } else {
            [a, b, c, d]
        };
        let [i, j, k, l] = seconds;
        // Not a loop over arrays: they would be in memory.
        let words = [
            requant(a, i, shift),
            requant(b, j, shift),
            requant(c, k, shift),
            requant(d, l, shift),
        ];
        let (units, apart) = (self.rows.units, WORDS / STRIDE);
        for n in 0..apart.min(units - first) {
            let (unit, other) = (first + n, first + n + apart);
            let panels = [unit, if other < units { other } else { unit }];
            // SAFETY: `check_batch` has seen that every stream has all panels of units.
            unsafe { store(group, panels, update(&words, n, load(group, panels))) };
        }
    }

    /// A step of some groups for a tile's panels of units, from `first` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    fn step_tile<W: Stored, X: Product, H: Product, const N: usize>(
        &self,
        first: usize,
        groups: &[Group],
        update: &impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
    ) {
        let tile = self.tile::<W>(first * STRIDE);
        let start = self.start::<W, X, H, N>(&tile);
        for group in groups {
            let sums = self.sums::<W, X, H, N>(&tile, &start, group);
            self.update_tile::<N>(first, &tile, &sums, group, update);
        }
    }

    /// A step of several streams.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    fn step<W: Stored, X: Product, H: Product>(
        &self,
        states: &mut [LayerState<'_>],
        x: &[Inputs<'_>],
        update: impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
    ) {
        let units = self.rows.units;
        let most = if self.amx { amx::MOST } else { MOST };
        for (states, x) in states.chunks_mut(most).zip(x.chunks(most)) {
            let mut groups: Vec<Group, { amx::MOST / SHARE }> = Vec::new();
            for (states, x) in states.chunks_mut(SHARE).zip(x.chunks(SHARE)) {
                let _ = groups.push(group(self.h, states, x));
            }
            if self.amx {
                // SAFETY: `steps` has seen that this layer fits, and its caller has the registers.
                unsafe { self.step_rows::<W, X, H>(&groups, &update) };
            } else {
                for first in (0..units).step_by(TILE / STRIDE) {
                    match (units - first) * STRIDE <= WORDS {
                        true => self.step_tile::<W, X, H, WORDS>(first, &groups, &update),
                        false => self.step_tile::<W, X, H, TILE>(first, &groups, &update),
                    }
                }
            }
            for state in states {
                publish_all(state);
            }
        }
    }
}

/// Words of two sum panels by their sums and multipliers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn requant(
    (first, first_m): ([__m512i; PAIRS], __m512i),
    (second, second_m): ([__m512i; PAIRS], __m512i),
    shift: __m128i,
) -> [__m512i; PAIRS] {
    let scale = |sum, m| mulhi_round(_mm512_sll_epi32(sum, shift), m);
    array!([first_m; PAIRS], |pair| _mm512_packs_epi32(
        scale(first[pair], first_m),
        scale(second[pair], second_m)
    ))
}

/// Streams whose places are looked up together.
const MOST: usize = 4 * SHARE;

/// Where the numbers of a stream are.
#[derive(Clone, Copy)]
struct Stream {
    x: *const u8,
    h: *const u8,
    master: *mut Panel<i32>,
    y: *mut Panel<i16>,
}

/// Streams that share a load of weights: where there are not so many, the last one more than once.
type Group = [Stream; SHARE];

#[inline(always)]
fn group(columns: usize, states: &mut [LayerState<'_>], x: &[Inputs<'_>]) -> Group {
    // Each state is borrowed once: a second borrow would end the pointers of the first.
    let mut streams = states.iter_mut().zip(x).map(|(state, x)| Stream {
        x: x.bytes(),
        h: state.h.inputs(columns).bytes(),
        master: state.master.as_mut_ptr(),
        y: state.y.as_mut_ptr(),
    });
    let mut last = None;
    core::array::from_fn(|_| {
        last = streams.next().or(last);
        last.expect("a group has a stream")
    })
}

/// The masters of two panels of units.
///
/// # Safety
/// Every stream has these panels; the CPU has AVX-512.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn load(&[a, b, c, d]: &Group, panels: [usize; 2]) -> [Halves; PAIRS] {
    // SAFETY: the caller's.
    let panel =
        |stream: Stream, panel| unsafe { _mm256_loadu_si256(stream.master.add(panel).cast()) };
    let pairs = [[a, b], [c, d]];
    array!([[_mm512_setzero_si512(); 2]; PAIRS], |pair| {
        let [first, second] = pairs[pair];
        array!([_mm512_setzero_si512(); 2], |n| _mm512_inserti64x4::<1>(
            _mm512_castsi256_si512(panel(first, panels[n])),
            panel(second, panels[n])
        ))
    })
}

/// The masters and outputs of two panels of units.
///
/// # Safety
/// Every stream has these panels; the CPU has AVX-512.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn store(&[a, b, c, d]: &Group, panels: [usize; 2], (masters, outputs): Updated) {
    for (pair, (masters, outputs)) in [[a, b], [c, d]]
        .into_iter()
        .zip(masters.into_iter().zip(outputs))
    {
        // From half a panel of each in turn.
        let outputs = _mm512_permutex_epi64::<0b11_01_10_00>(outputs);
        let masters = array!([[_mm256_setzero_si256(); 2]; 2], |n| [
            _mm512_castsi512_si256(masters[n]),
            _mm512_extracti64x4_epi64::<1>(masters[n])
        ]);
        let outputs = [
            _mm512_castsi512_si256(outputs),
            _mm512_extracti64x4_epi64::<1>(outputs),
        ];
        for (half, stream) in pair.into_iter().enumerate() {
            let output = [
                _mm256_castsi256_si128(outputs[half]),
                _mm256_extracti128_si256::<1>(outputs[half]),
            ];
            // The second panel first: where there is none, the first takes its place.
            for n in [1, 0] {
                // SAFETY: the caller's.
                unsafe {
                    _mm256_storeu_si256(stream.master.add(panels[n]).cast(), masters[n][half]);
                    _mm_storeu_si128(stream.y.add(panels[n]).cast(), output[n]);
                }
            }
        }
    }
}

/// A step of several streams of a cell, as [`Layer`] takes it. Gives whether it could: not for weights laid out for
/// another CPU, where `amx` does not pay, for many of four bits without, nor for formats that no model has.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
fn steps<const IH: usize, const HH: usize, const AT: usize, const STRIDE: usize>(
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    (x, amx): (&[Inputs<'_>], bool),
    update: impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
) -> bool {
    let (Some(first), Some(state)) = (x.first(), states.first()) else {
        return true;
    };
    let layer = |w_ih: *const u8, w_hh: *const u8| Layer::<'_, IH, HH, AT, STRIDE> {
        rows,
        w_ih,
        w_hh,
        x: rows.columns[0],
        h: rows.columns[1],
        amx,
    };
    let heavy = matches!(rows.w_ih, IntMatrix::I4(_)) || matches!(state.h, Hidden::I16(_));
    if amx && !amx::pays(rows.columns, x.len(), heavy) {
        return false;
    }
    match (rows.w_ih, rows.w_hh, first, &state.h) {
        (IntMatrix::I8(w_ih), IntMatrix::I8(w_hh), first, h) => {
            let layer = layer(w_ih.as_ptr().cast(), w_hh.as_ptr().cast());
            match (first, h) {
                (Inputs::I16(_), Hidden::I8(_)) => layer.step::<W8, A16, A8>(states, x, update),
                (Inputs::I8(_), Hidden::I8(_)) => layer.step::<W8, A8, A8>(states, x, update),
                (Inputs::I16(_), Hidden::I16(_)) => layer.step::<W8, A16, A16>(states, x, update),
                (Inputs::I8(_), Hidden::I16(_)) => return false,
            }
        }
        (IntMatrix::I4(w_ih), IntMatrix::I4(w_hh), first, Hidden::I8(_))
            if amx || rows.columns[1] <= MOST_W4 =>
        {
            let layer = layer(w_ih.as_ptr(), w_hh.as_ptr());
            match first {
                Inputs::I16(_) => layer.step::<W4, A16, A8>(states, x, update),
                Inputs::I8(_) => layer.step::<W4, A8, A8>(states, x, update),
            }
        }
        _ => return false,
    }
    true
}

/// How many streams step together: a stream alone in the last tile is quicker by itself.
const fn together(streams: usize) -> usize {
    if streams % SHARE == 1 {
        streams - 1
    } else {
        streams
    }
}

/// With the outputs of layers whose states are what they give.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounded(states: [Halves; PAIRS]) -> Updated {
    (
        states,
        array!([_mm512_setzero_si512(); PAIRS], |n| round_words(states[n])),
    )
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
fn by_cell<const N: usize>(
    curves: &ByteLookups<N>,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: (&[Inputs<'_>], bool),
) -> bool {
    match cell {
        CellQ::Lstm { cell_shift } => steps::<4, 4, 0, 4>(states, rows, x, |z, _, c| {
            // SAFETY: this function's CPU has what the look-ups need.
            unsafe { cells(curves, *z, c, cell_shift) }
        }),
        CellQ::Gru => steps::<3, 3, 1, 4>(states, rows, x, |z, _, h| {
            // SAFETY: as above.
            rounded(unsafe { blended(curves, *z, h) })
        }),
        CellQ::Rnn => steps::<1, 1, 0, 1>(states, rows, x, |z, n, _| {
            // SAFETY: as above.
            rounded(unsafe { tanh_words(curves, z[n]) })
        }),
    }
}

/// A step of several streams, if [`steps`] takes it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
fn by_tables(
    cell: CellQ,
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: (&[Inputs<'_>], bool),
    tables: &Tables,
) -> bool {
    if tables.bits() == 8 {
        by_cell(&BYTES_256, cell, states, rows, x)
    } else {
        by_cell(&BYTES_512, cell, states, rows, x)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
pub(super) fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    let together = together(x.len());
    if together == 0 {
        return step512::step_q(k, cell, states, rows, x, tables);
    }
    let (shared, alone) = states.split_at_mut(together);
    let (shared_x, alone_x) = x.split_at(together);
    if !by_tables(cell, shared, rows, (shared_x, false), tables) {
        step512::step_q(k, cell, shared, rows, shared_x, tables);
    }
    step512::step_q(k, cell, alone, rows, alone_x, tables);
}
