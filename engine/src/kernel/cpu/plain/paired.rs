//! Products of inputs of sixteen bits on Armv7E-M, for layers with many rows and for several inputs: numbers are paired once for all rows, as
//! the weights' pairs lie, and a weight's pair serves both of two inputs.
//!
//! A block of four columns is a pair of the even ones and a pair of the odd ones, as `SXTB16` makes them of a word of weights; of two inputs both
//! even ones lie before both odd ones. `r12` walks these up to `r11`, and `lr` the weights: four rows of one input, with sums in `r0` to `r3`,
//! or two rows of two inputs. Rounds are of four blocks; the first one is entered where it has as many as are over (`LDR pc`).
//!
//! Instructions per multiplication: 1.22 of one input, 0.91 of two, and up to a tenth more to go from rows to rows.

use crate::kernel::definition::products;
use crate::kernel::{BLOCK, Inputs, IntMatrix, Kernels, LANES, Panel};
use core::arch::global_asm;

global_asm!(
    env!("KINGLET_ASM_CPU"),
    include_str!("paired.s"),
    options(raw)
);

/// Columns that are paired at once, on the stack.
const COLUMNS: usize = 64;
/// Words of a block.
const WORDS: usize = BLOCK / 2;

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
    // They do in a file; several words at a time are read from nowhere else.
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
                one(sums, w, x, columns);
            }
        }
    }
}

/// # Safety
/// Weights are a panel over the inputs for each of the sums.
unsafe fn one(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], columns: usize) {
    let mut words = [0; WORDS * COLUMNS / BLOCK];
    for (part, x) in x.chunks(COLUMNS).enumerate() {
        pair(x, &mut words, [0, 1], WORDS);
        let x = words[..x.len() / BLOCK * WORDS].as_ptr_range();
        let mut w = w.as_ptr().wrapping_add(part * COLUMNS * LANES);
        for sums in &mut *sums {
            // SAFETY: the panel's blocks from here on are as many as those of the inputs, or more.
            unsafe { kinglet_paired_one(sums.as_mut_ptr(), w, x.start, x.end) };
            w = w.wrapping_add(columns * LANES);
        }
    }
}

/// # Safety
/// Inputs are twice so many columns, weights a panel over them for half of the sums, which are so many.
unsafe fn two(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], (panels, columns): (usize, usize)) {
    let mut words = [0; 2 * WORDS * COLUMNS / BLOCK];
    let (first, second) = x.split_at(columns);
    let parts = first.chunks(COLUMNS).zip(second.chunks(COLUMNS));
    for (part, (first, second)) in parts.enumerate() {
        pair(first, &mut words, [0, 2], 2 * WORDS);
        pair(second, &mut words, [1, 3], 2 * WORDS);
        let x = words[..first.len() / BLOCK * 2 * WORDS].as_ptr_range();
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

/// The even columns of every block, and the odd ones, to these places of its words.
#[inline(always)]
fn pair(x: &[i16], words: &mut [u32], [even, odd]: [usize; 2], pitch: usize) {
    for (&numbers, words) in x
        .as_chunks::<BLOCK>()
        .0
        .iter()
        .zip(words.chunks_exact_mut(pitch))
    {
        let [a, b]: [u32; 2] = bytemuck::cast(numbers);
        words[even] = (a & 0xffff) | b << 16;
        words[odd] = a >> 16 | (b & 0xffff_0000);
    }
}

unsafe extern "C" {
    fn kinglet_paired_one(sums: *mut i32, w: *const i8, x: *const u32, end: *const u32);
    fn kinglet_paired_two(
        sums: *mut i32,
        pitch: usize,
        w: *const i8,
        x: *const u32,
        end: *const u32,
    );
}
