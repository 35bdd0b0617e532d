//! Products with weights of eight bits on Armv7E-M: numbers are paired once for all rows, as the weights' pairs lie, and of
//! two inputs a weight's pair serves both.
//!
//! A block of four columns is a pair of the even ones and a pair of the odd ones, as `SXTB16` makes them of a word of weights; of two inputs both
//! even ones lie before both odd ones. `r12` walks these up to `r11`, and `lr` the weights: four rows of one input, with sums in `r0` to `r3`,
//! or two rows of two inputs. Rounds are of four blocks; the first one is entered where it has as many as are over.
//!
//! Instructions per multiplication: 1.22 of one input, 0.91 of two, and up to a tenth more to go from rows to rows.

use crate::kernel::definition::products;
use crate::kernel::{BLOCK, Inputs, IntMatrix, Kernels, LANES, Panel};
use core::arch::{asm, global_asm};
use core::mem::MaybeUninit;
use core::slice;

global_asm!(
    env!("KINGLET_ASM_CPU"),
    include_str!("paired.s"),
    options(raw)
);

/// Columns that are paired at once where they are not paired for a whole step.
const COLUMNS: usize = 64;
/// Words of a block.
const WORDS: usize = BLOCK / 2;

/// Where pairs are written before they are read.
type Words<const N: usize> = [MaybeUninit<u32>; N];

/// Room for the inputs of a layer and its state, which are then paired once for all panels: so many columns altogether.
pub(super) struct Room(Words<{ 256 / BLOCK * WORDS }>);

impl Room {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Room([const { MaybeUninit::uninit() }; _])
    }

    /// What is left of it.
    #[inline(always)]
    pub(super) fn rest(&mut self) -> &mut [MaybeUninit<u32>] {
        &mut self.0
    }
}

/// What panels of a matrix are multiplied with.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a> {
    Paired(&'a [u32]),
    /// There was no room.
    Parts(Inputs<'a>),
    /// Weights do not lie at a word, as they do in a file; or they are not of eight bits.
    Other(Inputs<'a>),
}

impl<'a> Operand<'a> {
    /// For this matrix.
    #[inline(always)]
    pub(super) fn new(
        w: IntMatrix<'_>,
        x: Inputs<'a>,
        room: &mut &'a mut [MaybeUninit<u32>],
    ) -> Self {
        match w {
            IntMatrix::I8(w) if w.as_ptr().cast::<u32>().is_aligned() => {
                paired(x, room).map_or(Operand::Parts(x), Operand::Paired)
            }
            _ => Operand::Other(x),
        }
    }

    /// Inputs for other weights.
    #[inline(always)]
    pub(super) fn other(&self) -> Inputs<'a> {
        match *self {
            Operand::Paired(_) => Inputs::I8(&[]),
            Operand::Parts(x) | Operand::Other(x) => x,
        }
    }

    /// Adds the product of the next panel to its sums, and gives the panel's end. Weights are of eight bits.
    ///
    /// # Safety
    /// It lies at `w`; columns are whole blocks, one at least.
    #[inline(always)]
    pub(super) unsafe fn add(&self, sums: &mut Panel<i32>, w: *const u8) -> *const u8 {
        let columns = match self {
            Operand::Paired(words) => words.len() / WORDS * BLOCK,
            Operand::Parts(x) | Operand::Other(x) => x.columns(),
        };
        // SAFETY: the caller's; weights lie at a word where `new` has found them there.
        unsafe {
            match *self {
                Operand::Paired(words) => one(sums, w, words),
                Operand::Parts(x) => in_parts(slice::from_mut(sums), w, x),
                Operand::Other(x) => apart(sums, w, x),
            }
        }
        w.wrapping_add(columns * LANES)
    }
}

/// Gives pairs of inputs part by part, of so many words at the most, and at which column each begins.
#[inline(always)]
fn parts<const N: usize>(mut x: Inputs<'_>, mut give: impl FnMut(&[u32], usize)) {
    let mut words: Words<N> = [const { MaybeUninit::uninit() }; _];
    let mut at = 0;
    while x.columns() > 0 {
        let part = x.columns().min(N / WORDS * BLOCK);
        let first;
        (first, x) = x.split_at(part);
        let Some(words) = paired(first, &mut &mut words[..]) else {
            return;
        };
        give(words, at);
        at += part;
    }
}

/// A panel that lies anywhere: its weights are copied to where words are aligned.
///
/// # Safety
/// As of [`Operand::add`].
#[inline(never)]
unsafe fn apart(sums: &mut Panel<i32>, w: *const u8, x: Inputs<'_>) {
    const N: usize = 4 * WORDS;
    const WEIGHTS: usize = BLOCK * LANES;
    let mut weights = [0u32; N / WORDS * WEIGHTS / size_of::<u32>()];
    parts::<N>(x, |words, at| {
        let to = weights.as_mut_ptr().cast::<u8>();
        let from = w.wrapping_add(at * LANES);
        // SAFETY: the caller's; there is room for the weights of so many words.
        unsafe {
            from.copy_to_nonoverlapping(to, words.len() / WORDS * WEIGHTS);
            one(sums, to, words);
        }
    });
}

/// Of sixteen bits only: what is multiplied so in a batch of inputs.
pub(super) unsafe fn products(
    k: &Kernels,
    sums: &mut [Panel<i32>],
    w: IntMatrix<'_>,
    x: Inputs<'_>,
    count: usize,
) {
    let (IntMatrix::I8(w), Inputs::I16(x)) = (w, x) else {
        return products::products(k, sums, w, x, count);
    };
    if !w.as_ptr().cast::<u32>().is_aligned() {
        return products::products(k, sums, IntMatrix::I8(w), Inputs::I16(x), count);
    }
    let (panels, columns) = (sums.len() / count, x.len() / count);
    // Of no weights there are no sums.
    let each = sums.chunks_mut((2 * panels).max(1));
    for (x, sums) in x.chunks(2 * columns).zip(each) {
        // SAFETY: the weights lie at a word, and the table's method (`Kernels::products`) has checked that they are as many whole panels over
        // so many columns as an input has sums, no more and no fewer, and that columns are whole blocks, one at least.
        unsafe {
            if x.len() > columns {
                two(sums, w, x, (panels, columns));
            } else {
                in_parts(sums, w.as_ptr().cast(), Inputs::I16(x));
            }
        }
    }
}

/// # Safety
/// A panel's weights for these words of inputs, of one block at least, lie at `w`.
#[inline(always)]
unsafe fn one(sums: &mut Panel<i32>, w: *const u8, words: &[u32]) {
    let x = words.as_ptr_range();
    // SAFETY: the caller's.
    unsafe { kinglet_paired_one(sums.as_mut_ptr(), w, x.start, x.end) };
}

/// # Safety
/// A panel over all columns, which are whole blocks, lies at `w` for each of the sums.
#[inline(never)]
unsafe fn in_parts(sums: &mut [Panel<i32>], w: *const u8, x: Inputs<'_>) {
    let pitch = x.columns() * LANES;
    parts::<{ COLUMNS / BLOCK * WORDS }>(x, |words, at| {
        let mut panel = w.wrapping_add(at * LANES);
        for sums in &mut *sums {
            // SAFETY: the caller's; the part's weights come first.
            unsafe { one(sums, panel, words) };
            panel = panel.wrapping_add(pitch);
        }
    });
}

/// # Safety
/// Inputs are twice so many columns, weights a panel over them for half of the sums, which are so many.
unsafe fn two(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], (panels, columns): (usize, usize)) {
    let mut words: Words<{ 2 * COLUMNS / BLOCK * WORDS }> = [const { MaybeUninit::uninit() }; _];
    let (first, second) = x.split_at(columns);
    let parts = first.chunks(COLUMNS).zip(second.chunks(COLUMNS));
    for (part, (first, second)) in parts.enumerate() {
        let words = &mut words[..first.len() / BLOCK * 2 * WORDS];
        let blocks = words.as_chunks_mut::<{ 2 * WORDS }>().0;
        pair(Inputs::I16(first), blocks, [0, 2]);
        pair(Inputs::I16(second), blocks, [1, 3]);
        // SAFETY: four words for every block of both, and all of them are written.
        let x = unsafe { written(words) }.as_ptr_range();
        let mut w = w.as_ptr().wrapping_add(part * COLUMNS * LANES);
        let mut to = sums.as_mut_ptr();
        let pitch = panels * size_of::<Panel<i32>>();
        for _ in 0..panels {
            // SAFETY: as in `one`; the other input's sums lie as many panels behind these.
            unsafe { kinglet_paired_two(to.cast(), pitch, w, x.start, x.end) };
            to = to.wrapping_add(1);
            w = w.wrapping_add(columns * LANES);
        }
    }
}

/// Pairs of inputs one after the other, where there is room. Once in an image.
#[inline(never)]
fn paired<'w>(x: Inputs<'_>, room: &mut &'w mut [MaybeUninit<u32>]) -> Option<&'w [u32]> {
    let words = room.split_off_mut(..x.columns() / BLOCK * WORDS)?;
    pair(x, words.as_chunks_mut::<WORDS>().0, [0, 1]);
    // SAFETY: two words for every block, and both are written.
    Some(unsafe { written(words) })
}

/// # Safety
/// They are.
#[inline(always)]
unsafe fn written(words: &[MaybeUninit<u32>]) -> &[u32] {
    // SAFETY: the caller's.
    unsafe { slice::from_raw_parts(words.as_ptr().cast(), words.len()) }
}

/// The even columns of every block, and the odd ones, to these places of its words.
#[inline(always)]
fn pair<const N: usize>(
    x: Inputs<'_>,
    words: &mut [[MaybeUninit<u32>; N]],
    [even, odd]: [usize; 2],
) {
    match x {
        Inputs::I8(x) => {
            for (&numbers, words) in x.as_chunks::<BLOCK>().0.iter().zip(words) {
                let word: u32 = bytemuck::cast(numbers);
                words[even].write(sxtb16(word));
                words[odd].write(sxtb16(word.rotate_right(8)));
            }
        }
        Inputs::I16(x) => {
            for (&numbers, words) in x.as_chunks::<BLOCK>().0.iter().zip(words) {
                let [a, b]: [u32; 2] = bytemuck::cast(numbers);
                words[even].write((a & 0xffff) | b << 16);
                words[odd].write(a >> 16 | (b & 0xffff_0000));
            }
        }
    }
}

/// Bytes 0 and 2, widened to the halves of a word.
#[inline(always)]
fn sxtb16(word: u32) -> u32 {
    let halves;
    // SAFETY: changes nothing else.
    unsafe {
        asm!("sxtb16 {}, {}", out(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags));
    }
    halves
}

unsafe extern "C" {
    fn kinglet_paired_one(sums: *mut i32, w: *const u8, x: *const u32, end: *const u32);
    fn kinglet_paired_two(
        sums: *mut i32,
        pitch: usize,
        w: *const i8,
        x: *const u32,
        end: *const u32,
    );
}
