//! Cortex-M with DSP instructions (M4, M7, M33): layers packed as [`super::packed`] defines them. Others are done by
//! [`super::rows`].
//!
//! A layer is one function, from the first bias to the last store, because a gate should never leave its register:
//! the sums are in `r0` and up, then weights, then inputs; `r12` walks the inputs and `lr` the rows, and what a record
//! needs besides lies at `sp`, from where one `LDM` fetches it. Products are unrolled; a record enters them where
//! its columns begin (`LDR pc`). The whole function is one assembly text, because the compiler keeps two of these
//! fourteen registers for itself.
//!
//! Instructions per multiplication: 0.84 in the product of four `A8` rows, 0.90 of a GRU's, 1.14 of `A16` rows.

use super::{Columns, Kernels, Units, four_record, gru_a8_record, gru_a16_record, rows, scalar};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables};
use core::arch::{asm, naked_asm};

pub(super) const CORTEX_M_DSP: Kernels = Kernels {
    name: "cortex-m dsp",
    lstm_a8,
    lstm_a16,
    gru_a8,
    gru_a16,
    rnn_a8,
    rnn_a16,
    ..rows::ROWS
};

/// sigmoid, then tanh, with `delta · segment` taken off each entry: then the whole of `z` may be multiplied by the
/// delta, not just the fraction behind the segment's number, and look-up and interpolation are four instructions.
static TABLES_256: [[i32; 256]; 2] = tilted_both(&SEGMENTS_256);
static TABLES_512: [[i32; 512]; 2] = tilted_both(&SEGMENTS_512);

const fn tilted_both<const N: usize>(tables: &Tables) -> [[i32; N]; 2] {
    [
        tilted(tables.sigmoid, tables.bits),
        tilted(tables.tanh, tables.bits),
    ]
}

const fn tilted<const N: usize>(entries: &[i32], bits: u32) -> [i32; N] {
    assert!(entries.len() == N && N == 1 << bits);
    let mut tilted = [0; N];
    let mut i = 0;
    while i < N {
        // The upper half of the indices are the negative numbers.
        let segment = if i < N / 2 {
            i as i32
        } else {
            i as i32 - N as i32
        };
        let delta = entries[i] as i16 as i32;
        tilted[i] = entries[i].wrapping_sub((delta * segment) << 16);
        i += 1;
    }
    tilted
}

/// What a layer's function finds at its stack pointer.
#[repr(C)]
struct Frame {
    sigmoid: *const i32,
    tanh: *const i32,
    /// Of an LSTM the ends of master, `y` and `h`, of the others the next places.
    master: *mut i32,
    y: *mut i16,
    h: *mut i8,
    /// Minus the number of records that are left.
    left: i32,
    /// Shifts of an LSTM's cell. A GRU keeps two sums here.
    new_shift: i32,
    depth_shift: i32,
    x: *const i32,
    /// A half of an LSTM's output LSB in the product that it is rounded from. Of a GRU the end of the input's columns.
    half_or_split: usize,
    /// Where rounds over the columns end; in `A8` products of four rows, eight groups ahead of the columns' end.
    x_end: *const i32,
    /// Where a record enters the product, and where it goes on: bytes from label `2`, plus 1.
    entry: usize,
    second: usize,
    rows: *const i32,
}

impl Frame {
    #[inline(always)]
    fn new(units: &mut Units<'_>, rows: &[i32], record: usize, columns: &Columns<'_>) -> Self {
        let x = columns.words.as_ptr_range();
        Frame {
            sigmoid: TABLES_256[0].as_ptr(),
            tanh: TABLES_256[1].as_ptr(),
            master: units.master.as_mut_ptr(),
            y: units.y.as_mut_ptr(),
            h: units.h.as_mut_ptr(),
            left: -((rows.len() / record) as i32),
            new_shift: 0,
            depth_shift: 0,
            x: x.start,
            half_or_split: 0,
            x_end: x.end,
            entry: 1,
            second: 1,
            rows: rows.as_ptr(),
        }
    }

    /// Tables of 512 segments, nothing to narrow to.
    #[inline(always)]
    fn a16(self) -> Self {
        Frame {
            sigmoid: TABLES_512[0].as_ptr(),
            tanh: TABLES_512[1].as_ptr(),
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

    /// Enters [`sums!`].
    #[inline(always)]
    fn four_a8(self, words: usize) -> Self {
        const PAIR: usize = 32;
        const GROUP: usize = 108;
        /// The jump behind the pairs, and the test behind the groups of a round.
        const JUMP: usize = 4;
        const TEST: usize = 10;
        let (pairs, groups) = (words % 4, words / 4);
        // The last eight groups have no test behind them: up to 70 columns need none.
        let (round, last) = (3 * PAIR + JUMP, 3 * PAIR + JUMP + 4 * GROUP + TEST);
        let second = if groups <= 8 {
            last + (8 - groups) * GROUP
        } else {
            round + skipped(groups) * GROUP
        };
        let entry = if pairs == 0 {
            second
        } else {
            (3 - pairs) * PAIR
        };
        Frame {
            entry: entry + 1,
            second: second + 1,
            x_end: self.x_end.wrapping_sub(8 * 4),
            ..self
        }
    }

    /// Enters [`sums16!`].
    #[inline(always)]
    fn four_a16(self, words: usize) -> Self {
        const QUAD: usize = 72;
        let entry = skipped(words / 2) * QUAD + 1;
        Frame { entry, ..self }
    }

    #[inline(always)]
    fn gru(self, columns: &Columns<'_>) -> Self {
        Frame {
            half_or_split: self.x.wrapping_add(columns.x) as usize,
            ..self
        }
    }
}

/// What [`Columns`] says of `A8` layers.
#[inline(always)]
fn widen(columns: &mut Columns<'_>, h: &[i8]) {
    let start = columns.words.as_mut_ptr().wrapping_add(columns.x);
    let end = columns.words.as_mut_ptr_range().end;
    if start == end {
        return;
    }
    // SAFETY: the table's method has checked that the words are a multiple of four, two for every four of `h`.
    unsafe {
        asm!(
            "2:",
            "ldr r0, [{h}], #4",
            "ldr r2, [{h}], #4",
            "sxtb16 r1, r0, ror #8",
            "sxtb16 r0, r0",
            "sxtb16 r3, r2, ror #8",
            "sxtb16 r2, r2",
            "stm {to}!, {{r0-r3}}",
            "cmp {to}, {end}",
            "bne 2b",
            h = inout(reg) h.as_ptr() => _,
            to = inout(reg) start => _,
            end = in(reg) end,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _,
            options(nostack),
        );
    }
}

/// Blocks to leave out on the first of several rounds over four.
#[inline(always)]
fn skipped(blocks: usize) -> usize {
    blocks.wrapping_neg() % 4
}

#[inline(always)]
unsafe fn lstm_a8(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>, cell_shift: u8) {
    let words = columns.words.len();
    if rows.is_empty() {
        return scalar::SCALAR.lstm_a8(units, rows, columns, cell_shift);
    }
    widen(columns, units.h);
    let frame = Frame::new(units, rows, four_record(words), columns);
    // SAFETY: the table's method has checked that rows are whole records over these columns and that the units have
    // a place for each; there is one record at least.
    unsafe { lstm_a8_units(&frame.lstm(cell_shift).four_a8(words)) }
}

#[inline(always)]
unsafe fn lstm_a16(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>, cell_shift: u8) {
    let words = columns.words.len();
    if rows.is_empty() || words == 0 {
        return scalar::SCALAR.lstm_a16(units, rows, columns, cell_shift);
    }
    let frame = Frame::new(units, rows, four_record(words), columns).a16();
    // SAFETY: as `lstm_a8`, and columns are whole blocks.
    unsafe { lstm_a16_units(&frame.lstm(cell_shift).four_a16(words)) }
}

#[inline(always)]
unsafe fn rnn_a8(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
    let words = columns.words.len();
    if rows.is_empty() {
        return scalar::SCALAR.rnn_a8(units, rows, columns);
    }
    widen(columns, units.h);
    let frame = Frame::new(units, rows, four_record(words), columns);
    // SAFETY: as `lstm_a8`.
    unsafe { rnn_a8_units(&frame.four_a8(words)) }
}

#[inline(always)]
unsafe fn rnn_a16(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
    let words = columns.words.len();
    if rows.is_empty() || words == 0 {
        return scalar::SCALAR.rnn_a16(units, rows, columns);
    }
    let frame = Frame::new(units, rows, four_record(words), columns).a16();
    // SAFETY: as `lstm_a16`.
    unsafe { rnn_a16_units(&frame.four_a16(words)) }
}

#[inline(always)]
unsafe fn gru_a8(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
    const SINGLE: usize = 50;
    const DOUBLE: usize = 84;
    const TURN: usize = 22;
    let (x, words) = (columns.x, columns.words.len());
    if rows.is_empty() || x == 0 || x == words || !(words - x).is_multiple_of(2) {
        return scalar::SCALAR.gru_a8(units, rows, columns);
    }
    widen(columns, units.h);
    let frame = Frame {
        entry: if x.is_multiple_of(2) { SINGLE } else { 0 } + 1,
        second: SINGLE + DOUBLE + TURN + skipped((words - x) / 2) * DOUBLE + 1,
        ..Frame::new(units, rows, gru_a8_record(words), columns).gru(columns)
    };
    // SAFETY: as `lstm_a8`; input and state have columns, those of the state are whole blocks.
    unsafe { gru_a8_units(&frame) }
}

#[inline(always)]
unsafe fn gru_a16(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
    const QUAD: usize = 56;
    const TURN: usize = 20;
    let (x, words) = (columns.x, columns.words.len());
    if rows.is_empty() || x == 0 || x == words {
        return scalar::SCALAR.gru_a16(units, rows, columns);
    }
    let frame = Frame {
        second: QUAD + TURN + skipped((words - x) / 2) * QUAD + 1,
        ..Frame::new(units, rows, gru_a16_record(words), columns)
            .gru(columns)
            .a16()
    };
    // SAFETY: as `gru_a8`.
    unsafe { gru_a16_units(&frame) }
}

/// Two columns of a pair of rows.
macro_rules! pair {
    ($r:literal, $a:literal, $w:literal, $x:literal) => {
        concat!(
            "smlad ", $r, ", ", $w, ", ", $x, ", ", $r, "\n", "sxtb16 ", $w, ", ", $w, "\n",
            "smlad ", $a, ", ", $w, ", ", $x, ", ", $a, "\n",
        )
    };
}

/// Two columns of two pairs of rows: 24 bytes.
macro_rules! two {
    ($p:literal, $q:literal, $x:literal) => {
        concat!(pair!("r0", "r1", $p, $x), pair!("r2", "r3", $q, $x))
    };
}

macro_rules! one_pair {
    () => {
        concat!(
            "ldr r8, [r12], #4\n",
            "ldm lr!, {{r4, r5}}\n",
            two!("r4", "r5", "r8")
        )
    };
}

macro_rules! group {
    () => {
        concat!(
            "ldm r12!, {{r8-r11}}\n",
            "ldm lr!, {{r4-r7}}\n",
            two!("r4", "r5", "r8"),
            two!("r6", "r7", "r9"),
            "ldm lr!, {{r4-r7}}\n",
            two!("r4", "r5", "r10"),
            two!("r6", "r7", "r11"),
        )
    };
}

/// Four columns of a row, inputs in `r8` and `r9`: 16 bytes.
macro_rules! quad {
    ($sum:literal, $w:literal) => {
        concat!(
            "sxtb16 r10, ",
            $w,
            "\n",
            "smlad ",
            $sum,
            ", r10, r8, ",
            $sum,
            "\n",
            "sxtb16 r10, ",
            $w,
            ", ror #8\n",
            "smlad ",
            $sum,
            ", r10, r9, ",
            $sum,
            "\n",
        )
    };
}

macro_rules! four_quads {
    () => {
        concat!(
            "ldm r12!, {{r8, r9}}\n",
            "ldm lr!, {{r4-r7}}\n",
            quad!("r0", "r4"),
            quad!("r1", "r5"),
            quad!("r2", "r6"),
            quad!("r3", "r7"),
        )
    };
}

macro_rules! three_quads {
    ($a:literal, $b:literal, $c:literal) => {
        concat!(
            "ldm r12!, {{r8, r9}}\n",
            "ldm lr!, {{r4-r6}}\n",
            quad!($a, "r4"),
            quad!($b, "r5"),
            quad!($c, "r6"),
        )
    };
}

/// Two columns of three pairs of rows: 40 bytes.
macro_rules! three {
    ($x:literal) => {
        concat!(
            "ldm lr!, {{r6-r8}}\n",
            pair!("r0", "r1", "r6", $x),
            pair!("r2", "r3", "r7", $x),
            pair!("r4", "r5", "r8", $x),
        )
    };
}

macro_rules! double {
    () => {
        concat!("ldm r12!, {{r9, r10}}\n", three!("r9"), three!("r10"))
    };
}

/// From a [`Frame`] at `r0` to the first record: registers saved, the frame at `sp`, entries as addresses.
macro_rules! begin {
    () => {
        concat!(
            "push {{r4-r11, lr}}\n",
            "sub sp, #8\n",
            "ldm r0!, {{r1-r11}}\n",
            "ldm r0, {{r0, r12, lr}}\n",
            "push {{r1-r11}}\n",
            "adr.w r1, 2f\n",
            "add r0, r1\n",
            "add r12, r1\n",
            "strd r0, r12, [sp, #44]\n",
            "ldr r12, [sp, #32]\n",
        )
    };
}

macro_rules! end {
    () => {
        "add sp, #52\npop {{r4-r11, pc}}\n"
    };
}

/// The four sums of an `A8` record, as `256 B + A` in `r0`, `r2` and `A` in `r1`, `r3`.
macro_rules! sums {
    () => {
        concat!(
            "1:\n",
            "ldm lr!, {{r0-r3}}\n",
            "ldr.w pc, [sp, #44]\n",
            ".balign 4\n",
            "2:\n",
            one_pair!(),
            one_pair!(),
            one_pair!(),
            "ldr.w pc, [sp, #48]\n",
            "3:\n",
            group!(),
            group!(),
            group!(),
            group!(),
            "ldr.w r4, [sp, #40]\n",
            "cmp r4, r12\n",
            "bne.w 3b\n",
            group!(),
            group!(),
            group!(),
            group!(),
            group!(),
            group!(),
            group!(),
            group!(),
        )
    };
}

/// Pre-activations, not yet saturated: rows 0 to 3 in `r1`, `r0`, `r3`, `r2`.
macro_rules! requant {
    () => {
        concat!(
            "ldm lr!, {{r4-r7}}\n",
            "sub r0, r0, r1\n",
            "lsl r1, r1, #8\n",
            "sub r2, r2, r3\n",
            "lsl r3, r3, #8\n",
            "smmulr r1, r1, r4\n",
            "smmulr r0, r0, r5\n",
            "smmulr r3, r3, r6\n",
            "smmulr r2, r2, r7\n",
        )
    };
}

/// The four pre-activations of an `A16` record in `r0` to `r3`, not yet saturated.
macro_rules! sums16 {
    () => {
        concat!(
            "1:\n",
            "ldm lr!, {{r0-r3}}\n",
            "ldr.w r11, [sp, #40]\n",
            "ldr.w pc, [sp, #44]\n",
            ".balign 4\n",
            "2:\n",
            four_quads!(),
            four_quads!(),
            four_quads!(),
            four_quads!(),
            "cmp r11, r12\n",
            "bne.w 2b\n",
            "ldm lr!, {{r4-r7}}\n",
            "smmulr r0, r0, r4\n",
            "smmulr r1, r1, r5\n",
            "smmulr r2, r2, r6\n",
            "smmulr r3, r3, r7\n",
        )
    };
}

/// `$z` becomes a gate in Q31, by the table at `$table`.
macro_rules! gate {
    (256, $z:literal, $table:literal, $free:literal) => {
        concat!(
            "ssat ",
            $z,
            ", #16, ",
            $z,
            "\n",
            "uxtb ",
            $free,
            ", ",
            $z,
            ", ror #8\n",
            "ldr ",
            $free,
            ", [",
            $table,
            ", ",
            $free,
            ", lsl #2]\n",
            "smulbb ",
            $z,
            ", ",
            $free,
            ", ",
            $z,
            "\n",
            "add ",
            $z,
            ", ",
            $free,
            ", ",
            $z,
            ", lsl #8\n",
        )
    };
    (512, $z:literal, $table:literal, $free:literal) => {
        concat!(
            "ssat ",
            $z,
            ", #16, ",
            $z,
            "\n",
            "ubfx ",
            $free,
            ", ",
            $z,
            ", #7, #9\n",
            "ldr ",
            $free,
            ", [",
            $table,
            ", ",
            $free,
            ", lsl #2]\n",
            "smulbb ",
            $z,
            ", ",
            $free,
            ", ",
            $z,
            "\n",
            "add ",
            $z,
            ", ",
            $free,
            ", ",
            $z,
            ", lsl #9\n",
        )
    };
}

/// From an LSTM's pre-activations to its output in the register of `$f`, stored as `y`.
macro_rules! lstm {
    ($segments:tt, $i:literal, $f:literal, $g:literal, $o:literal) => {
        concat!(
            // r5 sigmoid, r6 tanh, r7 to r9 the ends of master, y and h, r10 unit, r11 and r12 shifts.
            "ldm sp, {{r5-r12}}\n",
            gate!($segments, $f, "r5", "r4"),
            gate!($segments, $i, "r5", "r4"),
            gate!($segments, $o, "r5", "r4"),
            gate!($segments, $g, "r6", "r4"),
            "ldr r4, [r7, r10, lsl #2]\n",
            "smmulr ", $f, ", ", $f, ", r4\n",
            "smmulr ", $i, ", ", $i, ", ", $g, "\n",
            "asr ", $i, ", ", $i, ", r11\n",
            "add ", $f, ", ", $i, ", ", $f, ", lsl #1\n",
            "ssat ", $f, ", #31, ", $f, "\n",
            "str ", $f, ", [r7, r10, lsl #2]\n",
            "asr ", $f, ", ", $f, ", r12\n",
            gate!($segments, $f, "r6", "r4"),
            // r12 the first column again, r11 a half.
            "ldrd r12, r11, [sp, #32]\n",
            "smmlar ", $f, ", ", $o, ", ", $f, ", r11\n",
            "asr ", $f, ", ", $f, ", #18\n",
            "strh ", $f, ", [r8, r10, lsl #1]\n",
        )
    };
}

macro_rules! next_unit {
    () => {
        concat!("adds r10, r10, #1\n", "str r10, [sp, #20]\n", "bne.w 1b\n",)
    };
}

/// `$y` (2^-12) narrowed to 2^-7.
macro_rules! narrow {
    ($y:literal) => {
        concat!(
            "add ",
            $y,
            ", ",
            $y,
            ", #16\n",
            "ssat ",
            $y,
            ", #8, ",
            $y,
            ", asr #5\n",
        )
    };
}

/// A master state in `$h`, stored at `$master`, becomes the output, stored at `$y`.
macro_rules! round_master {
    ($h:literal, $master:literal, $y:literal) => {
        concat!(
            "str ",
            $h,
            ", [",
            $master,
            "], #4\n",
            "add ",
            $h,
            ", ",
            $h,
            ", #0x10000\n",
            "asr ",
            $h,
            ", ",
            $h,
            ", #17\n",
            "strh ",
            $h,
            ", [",
            $y,
            "], #2\n",
        )
    };
}

/// A tanh unit: tables and places as [`rnn_places!`] loads them.
macro_rules! rnn {
    ($segments:tt, $z:literal) => {
        concat!(
            gate!($segments, $z, "r5", "r4"),
            "asr ",
            $z,
            ", ",
            $z,
            ", #2\n",
            round_master!($z, "r6", "r7"),
        )
    };
}

/// r5 tanh, r6 to r8 the places, r9 what is left, r12 the first column again.
macro_rules! rnn_places {
    () => {
        "ldm sp, {{r4-r12}}\n"
    };
}

macro_rules! rnn_next {
    () => {
        concat!(
            "strd r6, r7, [sp, #8]\n",
            "str r8, [sp, #16]\n",
            "adds r9, r9, #1\n",
            "str r9, [sp, #20]\n",
            "bne.w 1b\n",
        )
    };
}

/// A GRU's unit from its pre-activations to the output in `r12`; `n` starts as its part over the input.
macro_rules! gru {
    ($segments:tt, [$r:literal, $z:literal, $n:literal, $nh:literal], [$sigmoid:literal, $tanh:literal], $master:literal, $y:literal) => {
        concat!(
            gate!($segments, $r, $sigmoid, "r12"),
            "smultb ",
            $r,
            ", ",
            $r,
            ", ",
            $nh,
            "\n",
            "add ",
            $r,
            ", ",
            $r,
            ", #0x4000\n",
            "add ",
            $n,
            ", ",
            $n,
            ", ",
            $r,
            ", asr #15\n",
            gate!($segments, $n, $tanh, "r12"),
            gate!($segments, $z, $sigmoid, "r12"),
            "asr ",
            $n,
            ", ",
            $n,
            ", #2\n",
            "ldr r12, [",
            $master,
            "]\n",
            "sub r12, r12, ",
            $n,
            "\n",
            "smmulr r12, ",
            $z,
            ", r12\n",
            "add r12, ",
            $n,
            ", r12, lsl #1\n",
            round_master!("r12", $master, $y),
        )
    };
}

/// # Safety
/// As the frame says: records at `rows`, columns from `x` to `x_end`, a place for each unit, and entries where the code
/// of its product has them for so many columns. The same holds for the functions below.
#[unsafe(naked)]
unsafe extern "C" fn lstm_a8_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        sums!(),
        requant!(),
        lstm!(256, "r1", "r0", "r3", "r2"),
        narrow!("r0"),
        "strb r0, [r9, r10]",
        next_unit!(),
        end!(),
    )
}

#[unsafe(naked)]
unsafe extern "C" fn lstm_a16_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        sums16!(),
        lstm!(512, "r0", "r1", "r2", "r3"),
        next_unit!(),
        end!(),
    )
}

#[unsafe(naked)]
unsafe extern "C" fn rnn_a8_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        sums!(),
        requant!(),
        rnn_places!(),
        rnn!(256, "r1"),
        narrow!("r1"),
        "strb r1, [r8], #1",
        rnn!(256, "r0"),
        narrow!("r0"),
        "strb r0, [r8], #1",
        rnn!(256, "r3"),
        narrow!("r3"),
        "strb r3, [r8], #1",
        rnn!(256, "r2"),
        narrow!("r2"),
        "strb r2, [r8], #1",
        rnn_next!(),
        end!(),
    )
}

#[unsafe(naked)]
unsafe extern "C" fn rnn_a16_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        sums16!(),
        rnn_places!(),
        rnn!(512, "r0"),
        rnn!(512, "r1"),
        rnn!(512, "r2"),
        rnn!(512, "r3"),
        rnn_next!(),
        end!(),
    )
}

#[unsafe(naked)]
unsafe extern "C" fn gru_a8_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        "1:",
        "ldm lr!, {{r0-r5}}",
        "ldr.w r11, [sp, #36]",
        "ldr.w pc, [sp, #44]",
        ".balign 4",
        "2:",
        "ldr r9, [r12], #4",
        three!("r9"),
        "cmp r12, r11",
        "beq.w 4f",
        "3:",
        double!(),
        "cmp r12, r11",
        "bne.w 3b",
        "4:",
        // n over the input waits for n over the state.
        "strd r4, r5, [sp, #24]",
        "ldm lr!, {{r4, r5}}",
        "ldr.w r11, [sp, #40]",
        "ldr.w pc, [sp, #48]",
        "5:",
        double!(),
        double!(),
        double!(),
        double!(),
        "cmp r12, r11",
        "bne.w 5b",
        "ldm lr!, {{r6-r9}}",
        "sub r0, r0, r1",
        "lsl r1, r1, #8",
        "sub r2, r2, r3",
        "lsl r3, r3, #8",
        "sub r4, r4, r5",
        "lsl r5, r5, #8",
        "smmulr r1, r1, r6",
        "smmulr r0, r0, r7",
        "smmulr r3, r3, r8",
        "smmulr r2, r2, r9",
        "ldm lr!, {{r6-r9}}",
        "ldrd r10, r11, [sp, #24]",
        "sub r10, r10, r11",
        "lsl r11, r11, #8",
        "smmulr r11, r11, r6",
        "smmulr r10, r10, r7",
        "smmulr r5, r5, r8",
        "smmulr r4, r4, r9",
        "ssat r11, #16, r11",
        "ssat r10, #16, r10",
        "ssat r5, #16, r5",
        "ssat r4, #16, r4",
        // r6 sigmoid, r7 tanh, r8 master, r9 y.
        "ldm sp, {{r6-r9}}",
        gru!(256, ["r1", "r0", "r11", "r5"], ["r6", "r7"], "r8", "r9"),
        narrow!("r12"),
        "ldr r5, [sp, #16]",
        "strb r12, [r5], #1",
        gru!(256, ["r3", "r2", "r10", "r4"], ["r6", "r7"], "r8", "r9"),
        narrow!("r12"),
        "strb r12, [r5], #1",
        "strd r8, r9, [sp, #8]",
        "ldr r10, [sp, #20]",
        "ldr r12, [sp, #32]",
        "str r5, [sp, #16]",
        next_unit!(),
        end!(),
    )
}

#[unsafe(naked)]
unsafe extern "C" fn gru_a16_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        "1:",
        "ldm lr!, {{r0-r2}}",
        "ldr.w r11, [sp, #36]",
        ".balign 4",
        "2:",
        three_quads!("r0", "r1", "r2"),
        "cmp r12, r11",
        "bne.w 2b",
        // n over the input waits for n over the state.
        "mov r7, r0",
        "ldr r0, [lr], #4",
        "ldr.w r11, [sp, #40]",
        "ldr.w pc, [sp, #48]",
        "5:",
        three_quads!("r1", "r2", "r0"),
        three_quads!("r1", "r2", "r0"),
        three_quads!("r1", "r2", "r0"),
        three_quads!("r1", "r2", "r0"),
        "cmp r12, r11",
        "bne.w 5b",
        "ldm lr!, {{r3-r6}}",
        "smmulr r7, r7, r3",
        "smmulr r1, r1, r4",
        "smmulr r2, r2, r5",
        "smmulr r0, r0, r6",
        "ssat r7, #16, r7",
        "ssat r0, #16, r0",
        // r8 sigmoid, r9 tanh, r10 master, r11 y.
        "ldm sp, {{r8-r11}}",
        gru!(512, ["r1", "r2", "r7", "r0"], ["r8", "r9"], "r10", "r11"),
        "strd r10, r11, [sp, #8]",
        "ldr r10, [sp, #20]",
        "ldr r12, [sp, #32]",
        next_unit!(),
        end!(),
    )
}
