//! Cortex-M with DSP instructions (M4, M7, M33): layers packed as [`crate::kernel::definition::packed`] defines them. Others are done by
//! [`super::plain`].
//!
//! A layer is one function, from the first bias to the last store, because a gate should never leave its register:
//! the sums are in `r0` and up, then weights, then inputs; `r12` walks the inputs and `lr` the rows, and what a record
//! needs besides lies at `sp`, from where one `LDM` fetches it. Products are unrolled; a record enters them where
//! its columns begin (`LDR pc`). All of it is assembler (`cortex_m.s`), because the compiler keeps two of these
//! fourteen registers for itself.
//!
//! Instructions per multiplication: 0.84 in the product of four `A8` rows, 0.90 of a GRU's, 1.14 of `A16` rows, 0.99 of rows of four
//! bits.

use super::plain::PLAIN;
use crate::kernel::table::Table;
use crate::kernel::{CellQ, Columns, FOUR, FourRows, Panel, Units};
use crate::num::{SEGMENTS_256, SEGMENTS_512};
use core::arch::{asm, global_asm};
use core::ptr::{null, null_mut};

global_asm!(
    env!("KINGLET_ASM_CPU"),
    include_str!("cortex_m.s"),
    options(raw)
);

pub(super) const CORTEX_M_DSP: Table = Table {
    name: "cortex-m dsp",
    packed,
    records,
    ..PLAIN
};

/// What a layer's function finds at its stack pointer.
#[repr(C)]
struct Frame {
    sigmoid: *const i32,
    tanh: *const i32,
    /// Of an LSTM the ends of master, `y` and `h`, of the others the next places. Records without units have `z` for `h`.
    master: *mut i32,
    y: *mut i16,
    h: *mut i8,
    /// Minus the number of records that are left.
    left: i32,
    /// Shifts of an LSTM's cell. Of an RNN pairs of 1 and of 16, which round outputs. A GRU keeps two sums here.
    new_shift: i32,
    depth_shift: i32,
    x: *const i32,
    /// A half of an LSTM's output LSB in the product that it is rounded from. Of a GRU the end of the input's columns. Of rows of
    /// four bits 128 times the sum of all columns.
    half_or_split: usize,
    /// Where rounds over the columns end; in `A8` products, those groups or pairs of words ahead of the columns' end that no test is behind.
    x_end: *const i32,
    /// Where a record enters the product, and where it goes on: places in the function's list of entries.
    entry: usize,
    second: usize,
    rows: *const i32,
}

impl Frame {
    #[inline(always)]
    fn new(units: &mut Units<'_>, rows: &[i32], record: usize, columns: &Columns<'_>) -> Self {
        Frame {
            sigmoid: SEGMENTS_256.sigmoid_entries().as_ptr(),
            tanh: SEGMENTS_256.tanh_entries().as_ptr(),
            master: units.master.as_mut_ptr(),
            y: units.y.as_mut_ptr(),
            h: units.h.as_mut().map_or(null_mut(), |h| h.as_mut_ptr()),
            ..Frame::over(rows, rows.len() / record, columns.words)
        }
    }

    /// Of records whose pre-activations are stored.
    #[inline(always)]
    fn of_records(z: &mut [Panel<i16>], rows: &[i32], columns: &[i32]) -> Self {
        let z = z.as_flattened_mut();
        Frame {
            h: z.as_mut_ptr().cast(),
            ..Frame::over(rows, z.len() / FOUR, columns)
        }
    }

    /// Of so many records over these columns, without units.
    #[inline(always)]
    fn over(rows: &[i32], records: usize, columns: &[i32]) -> Self {
        let x = columns.as_ptr_range();
        Frame {
            sigmoid: null(),
            tanh: null(),
            master: null_mut(),
            y: null_mut(),
            h: null_mut(),
            left: -(records as i32),
            new_shift: 0,
            depth_shift: 0,
            x: x.start,
            half_or_split: 0,
            x_end: x.end,
            entry: 0,
            second: 0,
            rows: rows.as_ptr(),
        }
    }

    /// Tables of 512 segments, nothing to narrow to.
    #[inline(always)]
    fn a16(self) -> Self {
        Frame {
            sigmoid: SEGMENTS_512.sigmoid_entries().as_ptr(),
            tanh: SEGMENTS_512.tanh_entries().as_ptr(),
            ..self
        }
    }

    #[inline(always)]
    fn lstm(self, cell_shift: u8) -> Self {
        let units = self.left.unsigned_abs() as usize;
        Frame {
            master: self.master.wrapping_add(units),
            y: self.y.wrapping_add(units),
            h: self.h.wrapping_add(units),
            new_shift: 3 + cell_shift as i32,
            depth_shift: 15 - cell_shift as i32,
            half_or_split: 1 << 17,
            ..self
        }
    }

    /// By `entries_sums`. Eight groups at the end have no test behind them, so that up to 70 columns need none.
    #[inline(always)]
    fn four_a8(self, words: usize) -> Self {
        const ROUND: usize = 3;
        const LAST: usize = ROUND + 4;
        const GROUPS: usize = 8;
        let (pairs, groups) = (words % 4, words / 4);
        let second = if groups <= GROUPS {
            LAST + GROUPS - groups
        } else {
            ROUND + skipped(groups)
        };
        Frame {
            entry: if pairs == 0 { second } else { 3 - pairs },
            second,
            x_end: self.x_end.wrapping_sub(4 * GROUPS),
            ..self
        }
    }

    /// By `entries_sums16`.
    #[inline(always)]
    fn four_a16(self, words: usize) -> Self {
        let entry = skipped(words / 2);
        Frame { entry, ..self }
    }

    /// By `entries_sums4`.
    #[inline(always)]
    fn four_w4(self, columns: &[i32]) -> Self {
        const ROUND: usize = 3;
        const NONE: usize = ROUND + 4;
        let (words, fours) = (columns.len() % 4, columns.len() / 4);
        let second = if fours == 0 {
            NONE
        } else {
            ROUND + skipped(fours)
        };
        Frame {
            entry: if words == 0 { second } else { 3 - words },
            second,
            half_or_split: (ones(columns) << 7) as usize,
            ..self
        }
    }

    #[inline(always)]
    fn rnn(self) -> Self {
        Frame {
            new_shift: 0x0001_0001,
            depth_shift: 0x0010_0010,
            ..self
        }
    }

    /// By the list of entries of `kinglet_gru_a8`.
    #[inline(always)]
    fn gru_a8(self, columns: &Columns<'_>) -> Self {
        // Places in that list.
        const MANY_INPUTS: usize = FEW_INPUTS;
        const ROUND: usize = MANY_INPUTS + 2;
        const LAST: usize = ROUND + 4;
        /// Words of input and pairs of words of state that need no test.
        const FEW_INPUTS: usize = 4;
        const FEW_PAIRS: usize = 8;
        let (x, pairs) = (columns.x, (columns.words.len() - columns.x) / 2);
        Frame {
            entry: if x <= FEW_INPUTS {
                FEW_INPUTS - x
            } else {
                MANY_INPUTS + (1 - x % 2)
            },
            second: if pairs <= FEW_PAIRS {
                LAST + FEW_PAIRS - pairs
            } else {
                ROUND + skipped(pairs)
            },
            half_or_split: self.x.wrapping_add(x) as usize,
            x_end: self.x_end.wrapping_sub(2 * FEW_PAIRS),
            ..self
        }
    }

    /// By that of `kinglet_gru_a16`, behind that of the input.
    #[inline(always)]
    fn gru_a16(self, columns: &Columns<'_>) -> Self {
        const ROUND: usize = 1;
        let x = columns.x;
        Frame {
            second: ROUND + skipped((columns.words.len() - x) / 2),
            half_or_split: self.x.wrapping_add(x) as usize,
            ..self
        }
    }
}

/// What [`Columns`] says of `A8` layers.
#[inline(always)]
fn widen(columns: &mut Columns<'_>, h: &[i8]) {
    let words = &mut columns.words[columns.x..];
    let (mut from, mut to) = (h.as_ptr(), words.as_mut_ptr());
    // Counted here, so that few are unrolled where sizes are known.
    for _ in 0..words.len() / 4 {
        // SAFETY: the table's method has checked that the words are a multiple of four, two for every four of `h`.
        unsafe {
            asm!(
                "ldr r0, [{from}], #4",
                "ldr r2, [{from}], #4",
                "sxtb16 r1, r0, ror #8",
                "sxtb16 r0, r0",
                "sxtb16 r3, r2, ror #8",
                "sxtb16 r2, r2",
                "stm {to}!, {{r0-r3}}",
                from = inout(reg) from,
                to = inout(reg) to,
                out("r0") _, out("r1") _, out("r2") _, out("r3") _,
                options(nostack),
            );
        }
    }
}

/// The sum of all columns.
#[inline(always)]
fn ones(words: &[i32]) -> i32 {
    let mut sum = 0;
    let (fours, rest) = words.as_chunks::<4>();
    for four in fours {
        // SAFETY: reads these four words, and needs the instructions of these CPUs alone.
        unsafe {
            asm!(
                "ldm {four}, {{r0-r3}}",
                "smlad {sum}, r0, {one}, {sum}",
                "smlad {sum}, r1, {one}, {sum}",
                "smlad {sum}, r2, {one}, {sum}",
                "smlad {sum}, r3, {one}, {sum}",
                four = in(reg) four,
                sum = inout(reg) sum,
                one = in(reg) 0x0001_0001,
                out("r0") _, out("r1") _, out("r2") _, out("r3") _,
                options(pure, readonly, nostack),
            );
        }
    }
    rest.iter().fold(sum, |sum: i32, &word| {
        sum.wrapping_add(word as i16 as i32)
            .wrapping_add(word >> 16)
    })
}

/// Blocks to leave out on the first of several rounds over four.
#[inline(always)]
fn skipped(blocks: usize) -> usize {
    blocks.wrapping_neg() % 4
}

#[inline(always)]
unsafe fn packed(cell: CellQ, units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
    if rows.is_empty() {
        return;
    }
    let (words, a8) = (columns.words.len(), units.h.is_some());
    if let Some(h) = &units.h {
        widen(columns, h);
    }
    let frame = Frame::new(units, rows, cell.record(a8, words).words, columns);
    // SAFETY: the table's method has checked that rows are whole records over these columns, which are whole blocks, and
    // that the units have a place for each; there is one record at least.
    unsafe {
        match (cell, a8) {
            (CellQ::Lstm { cell_shift }, true) => {
                kinglet_lstm_a8(&frame.lstm(cell_shift).four_a8(words));
            }
            (CellQ::Lstm { cell_shift }, false) => {
                kinglet_lstm_a16(&frame.a16().lstm(cell_shift).four_a16(words));
            }
            (CellQ::Rnn, true) => kinglet_rnn_a8(&frame.rnn().four_a8(words)),
            (CellQ::Rnn, false) => kinglet_rnn_a16(&frame.a16().rnn().four_a16(words)),
            (CellQ::Gru, true) => kinglet_gru_a8(&frame.gru_a8(columns)),
            (CellQ::Gru, false) => kinglet_gru_a16(&frame.a16().gru_a16(columns)),
        }
    }
}

#[inline(always)]
unsafe fn records(z: &mut [Panel<i16>], rows: &[i32], columns: &[i32], form: FourRows) {
    if z.is_empty() {
        return;
    }
    let words = columns.len();
    let frame = Frame::of_records(z, rows, columns);
    // SAFETY: the table's method has checked that rows are whole records over these columns, of which there are some, in `W8A16`
    // whole blocks, and that there is a record for every four of `z`; there are two records at least.
    unsafe {
        match form {
            FourRows::W8A8 => kinglet_records_a8(&frame.four_a8(words)),
            FourRows::W8A16 if cfg!(w8a16) => kinglet_records_a16(&frame.four_a16(words)),
            FourRows::W4A8 if cfg!(w4a8) => kinglet_records_w4(&frame.four_w4(columns)),
            // What the loader refused: no kernel for it is linked.
            _ => {}
        }
    }
}

// As the frame says: records at `rows`, columns from `x` to `x_end`, a place for each unit, and entries where the code of
// a product has them for so many columns.
unsafe extern "C" {
    fn kinglet_lstm_a8(frame: &Frame);
    fn kinglet_lstm_a16(frame: &Frame);
    fn kinglet_gru_a8(frame: &Frame);
    fn kinglet_gru_a16(frame: &Frame);
    fn kinglet_rnn_a8(frame: &Frame);
    fn kinglet_rnn_a16(frame: &Frame);
    fn kinglet_records_a8(frame: &Frame);
    fn kinglet_records_a16(frame: &Frame);
    fn kinglet_records_w4(frame: &Frame);
}
