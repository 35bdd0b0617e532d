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

/// Streams that a tile register has.
const ROWS: usize = 16;
/// Streams that share weights once they are packed.
pub(super) const MOST: usize = 4 * ROWS;
/// Bytes of a row of a tile register.
const ROW: usize = 64;
/// Bytes of a tile register.
const REGISTER: usize = ROWS * ROW;
/// Tile registers of weights: pairs of the sum panels of a tile.
const PANEL_PAIRS: usize = TILE / 2;
/// Blocks of 64 inputs, of the input and of the state, at the most: what is packed lies on the stack.
const MOST_BLOCKS: usize = 12;

/// Blocks of 64 that so many columns are.
const fn blocks(columns: usize) -> usize {
    columns.div_ceil(ROW)
}

/// Whether there is room for the weights and inputs of so many columns.
pub(super) const fn fits([x, h]: [usize; 2]) -> bool {
    blocks(x) + blocks(h) <= MOST_BLOCKS
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

/// This CPU has the registers, and its system knows of them.
#[cfg(has_amx)]
pub(in super::super) fn is_known() -> bool {
    #[target_feature(enable = "xsave")]
    fn enabled() -> u64 {
        // SAFETY: the feature that it needs is this function's.
        unsafe { _xgetbv(0) }
    }
    const AMX_TILE_AND_INT8: u32 = 0b11 << 24;
    const TILE_CONFIG_AND_DATA: u64 = 0b11 << 17;
    // SAFETY: asked only where the system has enabled the instruction.
    std::arch::is_x86_feature_detected!("xsave")
        && __cpuid_count(7, 0).edx & AMX_TILE_AND_INT8 == AMX_TILE_AND_INT8
        && unsafe { enabled() } & TILE_CONFIG_AND_DATA == TILE_CONFIG_AND_DATA
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
/// Sums of sixteen streams, by pairs of panels and streams: of the bytes of inputs or the lower ones, and of the upper ones.
struct Products {
    lower: Lines<{ PANEL_PAIRS * REGISTER }>,
    upper: Lines<{ PANEL_PAIRS * REGISTER }>,
}

impl Products {
    const fn new() -> Self {
        Products {
            lower: Lines::new(),
            upper: Lines::new(),
        }
    }

    /// Of these sixteen streams with a tile's weights, over so many blocks of the input and of the state.
    ///
    /// # Safety
    /// They have been written, and are of such inputs.
    #[inline]
    unsafe fn multiply<X: Product, H: Product>(
        &mut self,
        configured: &Configured,
        rows: &mut Gathered,
        sixteen: usize,
        weights: &mut Weights,
        [x, h]: [usize; 2],
    ) {
        let (all, place) = (x + h, sixteen * MOST_BLOCKS * REGISTER);
        // A state is never wider than its input.
        let wide = match (X::WIDE, H::WIDE) {
            (false, _) => 0,
            (true, false) => x,
            (true, true) => all,
        };
        let weights = weights.at(0);
        // SAFETY: the caller's.
        unsafe {
            let lower = rows.lower.at(place);
            multiply(
                configured,
                self.lower.at(0),
                lower,
                weights,
                [wide, all - wide],
            );
            if X::WIDE {
                let upper = rows.upper.at(place);
                multiply(configured, self.upper.at(0), upper, weights, [0, wide]);
            }
        }
    }

    /// A panel's sums of a stream and the next one.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn two_rows(&mut self, upper: bool, panel: usize, stream: usize) -> __m512i {
        let sums = if upper {
            &mut self.upper
        } else {
            &mut self.lower
        };
        let place = panel / 2 * REGISTER + stream * ROW + panel % 2 * (ROW / 2);
        let [first, second] = [0, ROW].map(|row| {
            // SAFETY: half a row, which is there, as `at` has seen, and was stored with all the others.
            unsafe { _mm256_load_si256(sums.at(place + row).cast()) }
        });
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
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
            for pair in 0..PANEL_PAIRS {
                let register = ((block + n) * PANEL_PAIRS + pair) * REGISTER;
                for row in 0..ROWS {
                    let four = n * ROWS + row;
                    let [first, second] = [0, 1].map(|half| panel(2 * pair + half, four));
                    let both = _mm512_mask_blend_epi64(0xf0, first, second);
                    // SAFETY: a row of a register.
                    unsafe { _mm512_store_si512(self.at(register + row * ROW).cast(), both) };
                }
            }
        }
    }
}

/// Sums of the products of so many blocks of sixteen streams' inputs, of which the first ones are unsigned.
///
/// # Safety
/// Both sides have as many blocks, and the registers are [`Configured`].
#[inline]
unsafe fn multiply(
    _: &Configured,
    sums: *mut u8,
    rows: *const u8,
    weights: *const u8,
    [unsigned, signed]: [usize; 2],
) {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            "test {unsigned}, {unsigned}",
            "jz 3f",
            "2:",
            "tileloadd tmm4, [{rows} + {row}]",
            "tileloadd tmm5, [{weights} + {row}]",
            "tdpbusd tmm0, tmm4, tmm5",
            "tileloadd tmm6, [{weights} + {row} + 1024]",
            "tdpbusd tmm1, tmm4, tmm6",
            "tileloadd tmm7, [{weights} + {row} + 2048]",
            "tdpbusd tmm2, tmm4, tmm7",
            "tileloadd tmm5, [{weights} + {row} + 3072]",
            "tdpbusd tmm3, tmm4, tmm5",
            "add {rows}, 1024",
            "add {weights}, 4096",
            "dec {unsigned}",
            "jnz 2b",
            "3:",
            "test {signed}, {signed}",
            "jz 5f",
            "4:",
            "tileloadd tmm4, [{rows} + {row}]",
            "tileloadd tmm5, [{weights} + {row}]",
            "tdpbssd tmm0, tmm4, tmm5",
            "tileloadd tmm6, [{weights} + {row} + 1024]",
            "tdpbssd tmm1, tmm4, tmm6",
            "tileloadd tmm7, [{weights} + {row} + 2048]",
            "tdpbssd tmm2, tmm4, tmm7",
            "tileloadd tmm5, [{weights} + {row} + 3072]",
            "tdpbssd tmm3, tmm4, tmm5",
            "add {rows}, 1024",
            "add {weights}, 4096",
            "dec {signed}",
            "jnz 4b",
            "5:",
            "tilestored [{sums} + {row}], tmm0",
            "tilestored [{sums} + {row} + 1024], tmm1",
            "tilestored [{sums} + {row} + 2048], tmm2",
            "tilestored [{sums} + {row} + 3072], tmm3",
            rows = inout(reg) rows => _,
            weights = inout(reg) weights => _,
            unsigned = inout(reg) unsigned => _,
            signed = inout(reg) signed => _,
            sums = in(reg) sums,
            row = in(reg) ROW,
            options(nostack),
        );
    }
}

impl<const IH: usize, const HH: usize, const AT: usize, const STRIDE: usize>
    Layer<'_, IH, HH, AT, STRIDE>
{
    /// A step of up to [`MOST`] streams, as [`Layer::step_tile`] takes it for its groups; the products are those of all at once.
    ///
    /// # Safety
    /// The process was [`granted`] the registers, and the layer's columns [`fits`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    pub(super) unsafe fn step_rows<W: Stored, X: Product, H: Product>(
        &self,
        groups: &[Group],
        update: &impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
    ) {
        // SAFETY: the caller's.
        let configured = unsafe { Configured::new() };
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
        let mut weights = Weights::new();
        let mut sums = [const { Products::new() }; 2];
        let [mut done, mut next] = sums.each_mut();
        // What is multiplied is rounded one turn later: the registers are at work meanwhile, and what they store has arrived.
        let mut last: Option<(usize, Tile, &[Group])> = None;
        for first in (0..self.rows.units).step_by(TILE / STRIDE) {
            let tile = self.tile::<W>(first * STRIDE);
            // SAFETY: `tile` stays inside the matrices, whose blocks have room.
            unsafe {
                weights.pack::<W, 0, IH, STRIDE>(tile.w_x, 0, self.x);
                weights.pack::<W, AT, HH, STRIDE>(tile.w_h, x, self.h);
            }
            for (n, groups) in groups.chunks(ROWS / SHARE).enumerate() {
                // SAFETY: all blocks of these streams and of the weights have been written.
                unsafe {
                    next.multiply::<X, H>(&configured, &mut rows, n, &mut weights, [x, h]);
                }
                if let Some((first, tile, groups)) = last.replace((first, tile, groups)) {
                    self.update_rows::<X>(first, &tile, groups, done, update);
                }
                core::mem::swap(&mut done, &mut next);
            }
        }
        if let Some((first, tile, groups)) = last {
            self.update_rows::<X>(first, &tile, groups, done, update);
        }
    }

    /// New states of sixteen streams in a tile's panels of units, from `first` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    fn update_rows<X: Product>(
        &self,
        first: usize,
        tile: &Tile,
        groups: &[Group],
        products: &mut Products,
        update: &impl Fn(&Words, usize, [Halves; PAIRS]) -> Updated,
    ) {
        for (n, group) in groups.iter().enumerate() {
            let sums = core::array::from_fn(|panel| {
                core::array::from_fn(|pair| {
                    let stream = n * SHARE + 2 * pair;
                    let sum = products.two_rows(false, panel, stream);
                    let sum = match X::WIDE {
                        true => {
                            let upper = products.two_rows(true, panel, stream);
                            _mm512_add_epi32(sum, _mm512_slli_epi32::<8>(upper))
                        }
                        false => sum,
                    };
                    _mm512_add_epi32(sum, tile.bias[panel])
                })
            });
            self.update_tile::<TILE>(first, tile, &sums, group, update);
        }
    }
}
