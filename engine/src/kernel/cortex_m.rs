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
    /// Shifts of an LSTM's cell. Of an RNN pairs of 1 and of 16, which round outputs. A GRU keeps two sums here.
    new_shift: i32,
    depth_shift: i32,
    x: *const i32,
    /// A half of an LSTM's output LSB in the product that it is rounded from. Of a GRU the end of the input's columns.
    half_or_split: usize,
    /// Where rounds over the columns end; in `A8` products, eight groups or pairs of words ahead of the columns' end.
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
    fn rnn(self) -> Self {
        Frame {
            new_shift: 0x0001_0001,
            depth_shift: 0x0010_0010,
            ..self
        }
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
    unsafe { rnn_a8_units(&frame.rnn().four_a8(words)) }
}

#[inline(always)]
unsafe fn rnn_a16(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
    let words = columns.words.len();
    if rows.is_empty() || words == 0 {
        return scalar::SCALAR.rnn_a16(units, rows, columns);
    }
    let frame = Frame::new(units, rows, four_record(words), columns).a16();
    // SAFETY: as `lstm_a16`.
    unsafe { rnn_a16_units(&frame.rnn().four_a16(words)) }
}

#[inline(always)]
unsafe fn gru_a8(units: &mut Units<'_>, rows: &[i32], columns: &mut Columns<'_>) {
    const SINGLE: usize = 44;
    const DOUBLE: usize = 84;
    /// What lies between the products: the end's address, the test, the branch, the way from input to state, the test.
    const END: usize = 4;
    const TEST: usize = 6;
    const BRANCH: usize = 4;
    const TURN: usize = 12;
    const TEST_STATE: usize = 10;
    /// Words of input and pairs of words of state that need no test.
    const FEW_INPUTS: usize = 4;
    const FEW_PAIRS: usize = 8;
    let (x, words) = (columns.x, columns.words.len());
    if rows.is_empty() || x == 0 || x == words || !(words - x).is_multiple_of(2) {
        return scalar::SCALAR.gru_a8(units, rows, columns);
    }
    widen(columns, units.h);
    let few = SINGLE + END + DOUBLE + TEST + BRANCH;
    let entry = if x <= FEW_INPUTS {
        few + (FEW_INPUTS - x) * SINGLE
    } else {
        (1 - x % 2) * SINGLE
    };
    let (pairs, state) = ((words - x) / 2, few + FEW_INPUTS * SINGLE + TURN);
    let second = if pairs <= FEW_PAIRS {
        state + 4 * DOUBLE + TEST_STATE + (FEW_PAIRS - pairs) * DOUBLE
    } else {
        state + skipped(pairs) * DOUBLE
    };
    let frame = Frame {
        entry: entry + 1,
        second: second + 1,
        x_end: columns.words.as_ptr_range().end.wrapping_sub(2 * FEW_PAIRS),
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

macro_rules! single {
    () => {
        concat!("ldr r9, [r12], #4\n", three!("r9"))
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

/// The four pre-activations of an `A8` record in `r0` to `r3`, not yet saturated.
macro_rules! requant {
    () => {
        concat!(
            "ldm lr!, {{r4-r7}}\n",
            "sub r8, r0, r1\n",
            "lsl r0, r1, #8\n",
            "sub r9, r2, r3\n",
            "lsl r2, r3, #8\n",
            "smmulr r0, r0, r4\n",
            "smmulr r1, r8, r5\n",
            "smmulr r2, r2, r6\n",
            "smmulr r3, r9, r7\n",
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

/// Four tanh units from their pre-activations in `r0` to `r3`: master states and outputs are stored, outputs 0 and 2
/// are left in `r4`, 1 and 3 in `r3`. As a state's 16 lower bits do not matter to its output, `y = (upper half + 1) / 2`.
macro_rules! rnn {
    ($segments:tt) => {
        concat!(
            // r5 tanh, r6 master, r7 y, r8 h, r9 what is left, r10 and r11 pairs of 1 and 16, r12 the first column again.
            "ldm sp, {{r4-r12}}\n",
            gate!($segments, "r0", "r5", "r4"),
            gate!($segments, "r1", "r5", "r4"),
            gate!($segments, "r2", "r5", "r4"),
            gate!($segments, "r3", "r5", "r4"),
            "asr r0, r0, #2\n",
            "asr r1, r1, #2\n",
            "asr r2, r2, #2\n",
            "asr r3, r3, #2\n",
            "stm r6!, {{r0-r3}}\n",
            "pkhtb r4, r2, r0, asr #16\n",
            "pkhtb r3, r3, r1, asr #16\n",
            "shadd16 r4, r4, r10\n",
            "shadd16 r3, r3, r10\n",
            "pkhbt r0, r4, r3, lsl #16\n",
            "pkhtb r1, r3, r4, asr #16\n",
            "str r0, [r7], #4\n",
            "str r1, [r7], #4\n",
        )
    };
}

macro_rules! rnn_next {
    () => {
        concat!("adds r9, r9, #1\n", "stm sp, {{r4-r9}}\n", "bne.w 1b\n",)
    };
}

/// The gates of a GRU's unit from its pre-activations; `n` starts as its part over the input. `$half` is 2^14.
macro_rules! gru_gates {
    ($segments:tt, [$r:literal, $z:literal, $n:literal, $nh:literal], [$sigmoid:literal, $tanh:literal], $half:literal) => {
        concat!(
            gate!($segments, $r, $sigmoid, "r12"),
            "smlatb ",
            $r,
            ", ",
            $r,
            ", ",
            $nh,
            ", ",
            $half,
            "\n",
            "add ",
            $n,
            ", ",
            $n,
            ", ",
            $r,
            ", asr #15\n",
            gate!($segments, $n, $tanh, "r12"),
            gate!($segments, $z, $sigmoid, "r12"),
        )
    };
}

/// The master state in `$h` by a GRU's gates.
macro_rules! blend {
    ($h:literal, $z:literal, $n:literal) => {
        concat!(
            "asr ",
            $n,
            ", ",
            $n,
            ", #2\n",
            "sub ",
            $h,
            ", ",
            $h,
            ", ",
            $n,
            "\n",
            "smmulr ",
            $h,
            ", ",
            $z,
            ", ",
            $h,
            "\n",
            "add ",
            $h,
            ", ",
            $n,
            ", ",
            $h,
            ", lsl #1\n",
        )
    };
}

/// The output of a GRU's unit in the register of its master state, stored at `$y`. Not by `SMMULR`: a state that was
/// put there may be any number, and the sum wraps.
macro_rules! output {
    ($h:literal, $y:literal) => {
        concat!(
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

/// # Safety
/// As the frame says: records at `rows`, columns from `x` to `x_end`, a place for each unit, and entries where the code
/// of its product has them for so many columns. The same holds for the functions below.
#[unsafe(naked)]
unsafe extern "C" fn lstm_a8_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        sums!(),
        requant!(),
        lstm!(256, "r0", "r1", "r2", "r3"),
        narrow!("r1"),
        "strb r1, [r9, r10]",
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
        // From here on `SEL` takes bytes 0 and 2 of the first operand: nothing below sets these flags.
        "mov r0, #0x50000",
        "msr APSR_g, r0",
        sums!(),
        requant!(),
        rnn!(256),
        // Four outputs narrowed at once.
        "qadd16 r4, r4, r11",
        "qadd16 r3, r3, r11",
        "ssat16 r4, #13, r4",
        "ssat16 r3, #13, r3",
        "lsr r4, r4, #5",
        "lsl r3, r3, #3",
        "sel r4, r4, r3",
        "str r4, [r8], #4",
        rnn_next!(),
        end!(),
    )
}

#[unsafe(naked)]
unsafe extern "C" fn rnn_a16_units(frame: &Frame) {
    naked_asm!(begin!(), sums16!(), rnn!(512), rnn_next!(), end!())
}

#[unsafe(naked)]
unsafe extern "C" fn gru_a8_units(frame: &Frame) {
    naked_asm!(
        begin!(),
        "1:",
        "ldm lr!, {{r0-r5}}",
        "ldr.w pc, [sp, #44]",
        ".balign 4",
        "2:",
        single!(),
        "ldr.w r11, [sp, #36]",
        "3:",
        double!(),
        "cmp r12, r11",
        "bne.w 3b",
        "b.w 4f",
        // Few inputs: no test.
        single!(),
        single!(),
        single!(),
        single!(),
        "4:",
        // n over the input waits for n over the state.
        "strd r4, r5, [sp, #24]",
        "ldm lr!, {{r4, r5}}",
        "ldr.w pc, [sp, #48]",
        "5:",
        double!(),
        double!(),
        double!(),
        double!(),
        "ldr.w r6, [sp, #40]",
        "cmp r6, r12",
        "bne.w 5b",
        double!(),
        double!(),
        double!(),
        double!(),
        double!(),
        double!(),
        double!(),
        double!(),
        "ldm lr!, {{r6-r9}}",
        "sub r0, r0, r1",
        "lsl r1, r1, #8",
        "sub r2, r2, r3",
        "lsl r3, r3, #8",
        "smmulr r1, r1, r6",
        "smmulr r0, r0, r7",
        "smmulr r3, r3, r8",
        "smmulr r2, r2, r9",
        "ldm lr!, {{r6-r9}}",
        "ldrd r10, r11, [sp, #24]",
        "sub r10, r10, r11",
        "lsl r11, r11, #8",
        "sub r4, r4, r5",
        "lsl r5, r5, #8",
        "smmulr r6, r11, r6",
        "smmulr r7, r10, r7",
        "smmulr r5, r5, r8",
        "smmulr r4, r4, r9",
        "ssat r6, #16, r6",
        "ssat r7, #16, r7",
        "ssat r5, #16, r5",
        "ssat r4, #16, r4",
        "ldrd r8, r9, [sp]",
        "mov r10, #0x4000",
        gru_gates!(256, ["r1", "r0", "r6", "r5"], ["r8", "r9"], "r10"),
        gru_gates!(256, ["r3", "r2", "r7", "r4"], ["r8", "r9"], "r10"),
        // r4 master, r5 y, r8 h, r9 what is left, r12 the first column again.
        "ldm sp, {{r1, r3-r5, r8-r12}}",
        "ldrd r10, r11, [r4]",
        blend!("r10", "r0", "r6"),
        blend!("r11", "r2", "r7"),
        "strd r10, r11, [r4], #8",
        output!("r10", "r5"),
        output!("r11", "r5"),
        narrow!("r10"),
        narrow!("r11"),
        "strb r10, [r8], #1",
        "strb r11, [r8], #1",
        "adds r9, r9, #1",
        "stm sp, {{r1, r3-r5, r8, r9}}",
        "bne.w 1b",
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
        "ldrd r8, r9, [sp]",
        "mov r10, #0x4000",
        gru_gates!(512, ["r1", "r2", "r7", "r0"], ["r8", "r9"], "r10"),
        // r4 master, r5 y, r9 what is left, r12 the first column again.
        "ldm sp, {{r1, r3-r5, r8-r12}}",
        "ldr r10, [r4]",
        blend!("r10", "r2", "r7"),
        "str r10, [r4], #4",
        output!("r10", "r5"),
        "adds r9, r9, #1",
        "stm sp, {{r1, r3-r5, r8, r9}}",
        "bne.w 1b",
        end!(),
    )
}
