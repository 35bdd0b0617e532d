//! The products of [`Layer`]s by AMX: sixteen streams at a time through all weights of a tile.
//!
//! `tdpbssd` multiplies sixteen rows of 64 inputs, a row for each stream, by sixteen rows of weights, which lie as in a panel:
//! four columns of each row together. Two panels are one tile register, so they are brought together first, by [`Weights::pack`],
//! once for up to [`MOST`] streams; weights of four bits become bytes on that way. What is summed is [`super::Layer`]'s to round.
//! Inputs of 16 bits are multiplied byte by byte: the upper ones signed, the lower ones, by `tdpbusd`, unsigned. No offset is needed.
//!
//! The instructions are written in assembler, as stable Rust has no others for them. Linux grants a process their registers when it
//! asks ([`granted`]).

use super::{
    BLOCK, Group, Layer, Order, PAIRS, Product, SHARE, Stored, TILE, Tile, Updated, Words,
};
use crate::kernel::cpu::x86::avx512::Halves;
use crate::kernel::{CellQ, GateRows, Inputs, Kernels, LayerState};
use crate::num::Tables;
use core::arch::asm;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Streams that a tile register has.
const ROWS: usize = 16;
/// Streams that share weights once they are packed.
pub(super) const MOST: usize = 4 * ROWS;
/// Bytes of a row of a tile register.
const ROW: usize = 64;
/// Bytes of a tile register.
const REGISTER: usize = ROWS * ROW;
/// Tile registers of weights: pairs of the sum panels of a tile, those of the same gate where it has several.
const PANEL_PAIRS: usize = TILE / 2;
/// Blocks of 64 inputs, of the input and of the state, at the most: what is packed lies on the stack.
const MOST_BLOCKS: usize = 12;

/// Blocks of 64 that so many columns are.
const fn blocks(columns: usize) -> usize {
    columns.div_ceil(ROW)
}

/// Whether there is room for so many columns of the input and of the state, and enough of the latter that it is quicker than by
/// AVX-512, on a Xeon of Emerald Rapids. `HALF` of the streams or more, of four-bit weights or states of 16 bits (`heavy`), need fewer columns.
pub(super) const fn pays([x, h]: [usize; 2], streams: usize, heavy: bool) -> bool {
    const HALF: usize = MOST / 2;
    let least = if heavy && streams >= HALF { 64 } else { 128 };
    h >= least && blocks(x) + blocks(h) <= MOST_BLOCKS
}

/// A step of several streams: sixteen together, and half as many that are left over.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
pub(in super::super) fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    rows: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    if x.len() < ROWS / 2 {
        return super::step_q(k, cell, states, rows, x, tables);
    }
    let rest = x.len() % ROWS;
    let alone = if rest < ROWS / 2 { rest } else { 0 };
    let (shared, alone) = states.split_at_mut(x.len() - alone);
    let (shared_x, alone_x) = x.split_at(shared.len());
    let done = !shared.is_empty()
        && granted()
        && super::by_tables(cell, shared, rows, (shared_x, true), tables);
    if !done {
        super::step_q(k, cell, shared, rows, shared_x, tables);
    }
    super::step_q(k, cell, alone, rows, alone_x, tables);
}

/// This CPU has the registers, and its system knows of them. Looked up once: under a hypervisor `cpuid` takes tens of microseconds, and
/// every [`bind`](crate::Model::bind) asks.
#[cfg(has_amx)]
pub(in super::super) fn is_known() -> bool {
    #[target_feature(enable = "xsave")]
    fn enabled() -> u64 {
        // SAFETY: the feature that it needs is this function's.
        unsafe { _xgetbv(0) }
    }
    const AMX_TILE_AND_INT8: u32 = 0b11 << 24;
    const TILE_CONFIG_AND_DATA: u64 = 0b11 << 17;
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| {
        // SAFETY: asked only where the system has enabled the instruction.
        std::arch::is_x86_feature_detected!("xsave")
            && __cpuid_count(7, 0).edx & AMX_TILE_AND_INT8 == AMX_TILE_AND_INT8
            && unsafe { enabled() } & TILE_CONFIG_AND_DATA == TILE_CONFIG_AND_DATA
    })
}

/// Asks Linux for the registers, as a process has to before it uses them. Only once there is something to multiply: signals need
/// more stack from then on.
fn granted() -> bool {
    #[cfg(not(has_amx))]
    return false;
    #[cfg(has_amx)]
    {
        static GRANTED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *GRANTED.get_or_init(|| {
            const ARCH_PRCTL: i64 = 158;
            const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
            const XTILEDATA: u64 = 18;
            let answer: i64;
            // SAFETY: this system call reads and writes no memory; where it is not known, the answer is an error.
            unsafe {
                asm!("syscall", inlateout("rax") ARCH_PRCTL => answer, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XTILEDATA,
                    out("rcx") _, out("r11") _, options(nostack));
            }
            answer == 0
        })
    }
}

/// All eight tile registers whole, from here to the end of its life.
struct Configured;

impl Configured {
    /// # Safety
    /// The process was [`granted`] the registers.
    unsafe fn new() -> Self {
        #[repr(C, align(64))]
        struct Config([u8; 64]);
        const CONFIG: Config = {
            let mut config = [0; 64];
            config[0] = 1; // palette
            let mut register = 0;
            while register < 8 {
                config[16 + 2 * register] = ROW as u8;
                config[48 + register] = ROWS as u8;
                register += 1;
            }
            Config(config)
        };
        // SAFETY: the caller's; no other code has these registers.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIG, options(nostack, readonly)) };
        Configured
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: they were configured.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Aligned to a line of the cache.
#[repr(C, align(64))]
struct Lines<const N: usize>(MaybeUninit<[u8; N]>);

impl<const N: usize> Lines<N> {
    const fn new() -> Self {
        Lines(MaybeUninit::uninit())
    }

    fn at(&mut self, place: usize) -> *mut u8 {
        assert!(place < N);
        // SAFETY: inside, as was just seen.
        unsafe { self.0.as_mut_ptr().cast::<u8>().add(place) }
    }
}

/// Inputs of up to [`MOST`] streams, by sixteen streams and by blocks.
type Rows = Lines<{ MOST / ROWS * MOST_BLOCKS * REGISTER }>;
/// Weights of a tile, by blocks and by pairs of panels.
type Weights = Lines<{ MOST_BLOCKS * PANEL_PAIRS * REGISTER }>;

/// Adds the products of the block of inputs in `tmm4` with a pair of panels.
macro_rules! multiply {
    ($dot:literal, $sums:literal, $space:literal, $weights:expr) => {
        asm!(
            concat!("tileloadd ", $space, ", [{weights} + {row}]"),
            concat!($dot, " ", $sums, ", tmm4, ", $space),
            weights = in(reg) $weights,
            row = in(reg) ROW,
            options(nostack, readonly),
        )
    };
}

/// Sums of sixteen streams, by pairs of panels and streams.
type Sums16 = Lines<{ PANEL_PAIRS * REGISTER }>;

/// Sums of the bytes of inputs, or of the lower ones and of the upper ones.
struct Products {
    lower: Sums16,
    upper: Sums16,
}

impl Products {
    const fn new() -> Self {
        Products {
            lower: Lines::new(),
            upper: Lines::new(),
        }
    }
}

/// Products that are on their way: of sixteen streams with a tile's weights.
struct Multiplication {
    rows: [*const u8; 2],
    weights: *const u8,
    sums: [*mut u8; 2],
    /// Blocks of inputs that have upper bytes, which are the first ones, and of all.
    wide: usize,
    all: usize,
    /// Blocks of the input; those behind it are of the state.
    of_input: usize,
    /// Pairs of panels that have weights for the input, and for the state.
    has: [[bool; PANEL_PAIRS]; 2],
}

impl Multiplication {
    /// How many [`steps`](Self::steps) it takes: the upper bytes and the lower ones.
    const fn count(&self) -> usize {
        self.wide + self.all
    }

    /// Some of its steps, one for each block. Between them other instructions may be at work, which wait for none of these.
    ///
    /// # Safety
    /// Those before have been taken, in this order; all blocks of both sides are there, and the registers are [`Configured`].
    #[inline]
    unsafe fn steps(&self, steps: Range<usize>) {
        for step in steps {
            let (upper, block) = match step.checked_sub(self.wide) {
                None => (true, step),
                Some(block) => (false, block),
            };
            let plane = usize::from(upper);
            // SAFETY: the caller's.
            unsafe {
                let rows = self.rows[plane].add(block * REGISTER);
                let weights = self.weights.add(block * PANEL_PAIRS * REGISTER);
                if block == 0 {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        options(nostack, nomem)
                    );
                }
                asm!("tileloadd tmm4, [{} + {}]", in(reg) rows, in(reg) ROW, options(nostack, readonly));
                let has = self.has[usize::from(block >= self.of_input)];
                macro_rules! each_pair {
                    ($dot:literal) => {
                        each_pair!($dot, 0 "tmm0" "tmm5", 1 "tmm1" "tmm6", 2 "tmm2" "tmm7", 3 "tmm3" "tmm5")
                    };
                    ($dot:literal, $($pair:literal $sums:literal $space:literal),*) => {
                        $(if has[$pair] {
                            multiply!($dot, $sums, $space, weights.add($pair * REGISTER));
                        })*
                    };
                }
                // Upper bytes have a sign.
                if upper || block >= self.wide {
                    each_pair!("tdpbssd");
                } else {
                    each_pair!("tdpbusd");
                }
                let last = if upper { self.wide } else { self.all };
                if block + 1 == last {
                    asm!(
                        "tilestored [{sums} + {row}], tmm0",
                        "tilestored [{sums} + {row} + 1024], tmm1",
                        "tilestored [{sums} + {row} + 2048], tmm2",
                        "tilestored [{sums} + {row} + 3072], tmm3",
                        sums = in(reg) self.sums[plane],
                        row = in(reg) ROW,
                        options(nostack),
                    );
                }
            }
        }
    }
}

/// The inputs and states of streams: their bytes, or the lower ones, and the upper ones.
struct Gathered {
    lower: Rows,
    upper: Rows,
}

impl Gathered {
    /// Of a stream, from `block` on; its row is filled up with zeros.
    ///
    /// # Safety
    /// It has as many inputs at `x`; the CPU has AVX-512 BW.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn row<P: Product>(
        &mut self,
        stream: usize,
        block: usize,
        x: *const u8,
        columns: usize,
    ) {
        for n in 0..blocks(columns) {
            let (first, count) = (n * ROW, (columns - n * ROW).min(ROW));
            let mask = u64::MAX >> (ROW - count);
            let place =
                ((stream / ROWS * MOST_BLOCKS) + block + n) * REGISTER + stream % ROWS * ROW;
            // SAFETY: the masks leave out what is behind the last column, and the rows are whole.
            unsafe {
                if P::WIDE {
                    let x = x.cast::<i16>().add(first);
                    let half = |from: usize| {
                        _mm512_maskz_loadu_epi16((mask >> from) as u32, x.wrapping_add(from))
                    };
                    let [a, b] = [half(0), half(ROW / 2)];
                    let joined = |a, b| {
                        _mm512_inserti64x4::<1>(
                            _mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)),
                            _mm512_cvtepi16_epi8(b),
                        )
                    };
                    let (lower, upper) = (
                        joined(a, b),
                        joined(_mm512_srli_epi16::<8>(a), _mm512_srli_epi16::<8>(b)),
                    );
                    _mm512_store_si512(self.lower.at(place).cast(), lower);
                    _mm512_store_si512(self.upper.at(place).cast(), upper);
                } else {
                    let x = _mm512_maskz_loadu_epi8(mask, x.add(first).cast());
                    _mm512_store_si512(self.lower.at(place).cast(), x);
                }
            }
        }
    }
}

impl Weights {
    /// Brings a tile's panels together, from `block` on. A panel that the matrix has not is zeros.
    ///
    /// # Safety
    /// The panels that it has are of as many columns; the CPU has AVX-512 BW.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn pack<W: Stored, const FROM: usize, const COUNT: usize, const STRIDE: usize>(
        &mut self,
        w: [*const u8; TILE],
        block: usize,
        columns: usize,
    ) {
        let panel = |n: usize, four: usize| match Order::<FROM, COUNT, STRIDE>::has(n)
            && four < columns / BLOCK
        {
            // SAFETY: the caller's.
            true => unsafe { W::block(w[n], four) },
            false => _mm512_setzero_si512(),
        };
        for n in 0..blocks(columns) {
            for pair in (0..PANEL_PAIRS).filter(|pair| Order::<FROM, COUNT, STRIDE>::has(*pair)) {
                let register = ((block + n) * PANEL_PAIRS + pair) * REGISTER;
                for row in 0..ROWS {
                    let four = n * ROWS + row;
                    let [first, second] = [pair, pair + PANEL_PAIRS].map(|n| panel(n, four));
                    let both = _mm512_mask_blend_epi64(0xf0, first, second);
                    // SAFETY: a row of a register.
                    unsafe { _mm512_store_si512(self.at(register + row * ROW).cast(), both) };
                }
            }
        }
    }
}

impl<const IH: usize, const HH: usize, const AT: usize, const STRIDE: usize>
    Layer<'_, IH, HH, AT, STRIDE>
{
    /// A step of up to [`MOST`] streams, as [`Layer::step_tile`] takes it for its groups; the products are those of all at once.
    ///
    /// # Safety
    /// The process was [`granted`] the registers, and there is room for the layer's columns, as [`pays`] says.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    pub(super) unsafe fn step_rows<W: Stored, X: Product, H: Product>(
        &self,
        groups: &[Group],
        update: &impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
    ) {
        // SAFETY: the caller's.
        let _configured = unsafe { Configured::new() };
        let [x, h] = [blocks(self.x), blocks(self.h)];
        let mut rows = Gathered {
            lower: Rows::new(),
            upper: Rows::new(),
        };
        for (n, stream) in groups.as_flattened().iter().enumerate() {
            // SAFETY: the columns of all streams were checked.
            unsafe {
                rows.row::<X>(n, 0, stream.x, self.x);
                rows.row::<H>(n, x, stream.h, self.h);
            }
        }
        // An input is at least as wide as its state.
        let wide = usize::from(X::WIDE) * x + usize::from(H::WIDE) * h;
        let mut weights = Weights::new();
        let mut products = [const { Products::new() }; 2];
        let [mut done, mut next] = products.each_mut();
        // What is multiplied is rounded one turn later, while the registers are at work for the turn that follows.
        let mut last: Option<(usize, Tile, &[Group])> = None;
        for first in (0..self.rows.units).step_by(TILE / STRIDE) {
            let tile = self.tile::<W>(first * STRIDE);
            // SAFETY: `tile` stays inside the matrices, whose blocks have room.
            unsafe {
                weights.pack::<W, 0, IH, STRIDE>(tile.w_x, 0, self.x);
                weights.pack::<W, AT, HH, STRIDE>(tile.w_h, x, self.h);
            }
            for (n, groups) in groups.chunks(ROWS / SHARE).enumerate() {
                let place = n * MOST_BLOCKS * REGISTER;
                let multiplication = Multiplication {
                    rows: [rows.lower.at(place), rows.upper.at(place)],
                    weights: weights.at(0),
                    sums: [next.lower.at(0), next.upper.at(0)],
                    wide,
                    all: x + h,
                    of_input: x,
                    has: [
                        core::array::from_fn(Order::<0, IH, STRIDE>::has),
                        core::array::from_fn(Order::<AT, HH, STRIDE>::has),
                    ],
                };
                // SAFETY: all blocks of these streams and of the weights have been written.
                let multiply = |steps| unsafe { multiplication.steps(steps) };
                match last.replace((first, tile, groups)) {
                    Some((first, tile, groups)) => {
                        self.update_rows::<X>(first, &tile, groups, done, update, |n| {
                            let until = |n| multiplication.count() * n / groups.len();
                            multiply(until(n)..until(n + 1));
                        });
                    }
                    None => multiply(0..multiplication.count()),
                }
                core::mem::swap(&mut done, &mut next);
            }
        }
        if let Some((first, tile, groups)) = last {
            self.update_rows::<X>(first, &tile, groups, done, update, |_| ());
        }
    }

    /// New states of sixteen streams in a tile's panels of units, from `first` on; `meanwhile` comes before each group.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    fn update_rows<X: Product>(
        &self,
        first: usize,
        tile: &Tile,
        groups: &[Group],
        products: &mut Products,
        update: &impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
        meanwhile: impl Fn(usize),
    ) {
        let (lower, upper) = (products.lower.at(0), products.upper.at(0));
        for (n, group) in groups.iter().enumerate() {
            meanwhile(n);
            let sums = core::array::from_fn(|panel| {
                core::array::from_fn(|pair| {
                    let stream = n * SHARE + 2 * pair;
                    let half = panel / PANEL_PAIRS * (ROW / 2);
                    let place = panel % PANEL_PAIRS * REGISTER + stream * ROW + half;
                    // SAFETY: sums of a panel, of this stream and the next, have been stored there.
                    unsafe {
                        let sum = two_rows(lower.add(place));
                        let sum = match X::WIDE {
                            true => _mm512_add_epi32(
                                sum,
                                _mm512_slli_epi32::<8>(two_rows(upper.add(place))),
                            ),
                            false => sum,
                        };
                        _mm512_add_epi32(sum, tile.bias[panel])
                    }
                })
            });
            self.update_tile::<TILE>(first, tile, &sums, group, update);
        }
    }
}

/// Half a row each of a stream and the next one.
///
/// # Safety
/// They are there; the CPU has AVX-512.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn two_rows(sums: *const u8) -> __m512i {
    // SAFETY: the caller's.
    let [first, second] = unsafe { [sums, sums.add(ROW)].map(|row| _mm256_load_si256(row.cast())) };
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
}
