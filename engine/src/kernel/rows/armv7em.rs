//! Armv7E-M: `SMLAD` adds two products of halves. Four rows at a time, since inputs are paired once for all of them.
//!
//! `SXTB16` makes halves of the even bytes of a word, and of the odd ones. A word of four-bit weights has eight columns. Masked by
//! `0x000f_000f` it is columns 0 and 2, from 8 bits further up 1 and 3, from 4 bits 4 and 6, from 12 bits 5 and 7; the shift is a part of
//! the `AND`.
//!
//! The sums are in `r0` to `r3`, pairs of inputs in `r4` to `r7`, a word and its part in `r8` and `r9`, the mask in `r10`; `r12` walks the
//! inputs up to `r11`, and `lr` the weights. Words may lie at any address, so there is no `LDM` of them.

use crate::kernel::Panel;
use core::arch::naked_asm;

pub(super) const NAME: &str = "armv7e-m";

macro_rules! part {
    ($part:expr, $sum:literal, $x:literal) => {
        concat!($part, "smlad ", $sum, ", r9, ", $x, ", ", $sum, "\n")
    };
}

/// All columns of the word of a row, at `lr`.
macro_rules! row {
    (i4, $sum:literal, $at:literal) => {
        concat!(
            concat!("ldr r8, [lr", $at, "\n"),
            part!("and r9, r10, r8\n", $sum, "r4"),
            part!("and r9, r10, r8, lsr #8\n", $sum, "r5"),
            part!("and r9, r10, r8, lsr #4\n", $sum, "r6"),
            part!("and r9, r10, r8, lsr #12\n", $sum, "r7"),
        )
    };
    ($halves:literal, $sum:literal, $at:literal) => {
        concat!(
            concat!("ldr r8, [lr", $at, "\n"),
            part!(concat!($halves, " r9, r8\n"), $sum, "r4"),
            part!(concat!($halves, " r9, r8, ror #8\n"), $sum, "r5"),
        )
    };
}

/// The next four inputs as pairs: the even ones, the odd ones.
macro_rules! pairs {
    (i8, $even:literal, $odd:literal) => {
        concat!(
            "ldr r8, [r12], #4\n",
            concat!("sxtb16 ", $even, ", r8\n"),
            concat!("sxtb16 ", $odd, ", r8, ror #8\n"),
        )
    };
    (i16, $even:literal, $odd:literal) => {
        concat!(
            "ldr r9, [r12, #4]\n",
            "ldr r8, [r12], #8\n",
            concat!("pkhbt ", $even, ", r8, r9, lsl #16\n"),
            concat!("pkhtb ", $odd, ", r9, r8, asr #16\n"),
        )
    };
}

macro_rules! inputs {
    (i4, $number:ident) => {
        concat!(pairs!($number, "r4", "r5"), pairs!($number, "r6", "r7"))
    };
    ($halves:literal, $number:ident) => {
        pairs!($number, "r4", "r5")
    };
}

macro_rules! panel {
    ($name:ident, $byte:tt, $number:ident) => {
        /// # Safety
        /// The panel lies at `w`; columns are whole blocks, double ones of four bits, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            w: *const u8,
            x: &[$number],
        ) -> *const u8 {
            #[unsafe(naked)]
            unsafe extern "C" fn blocks(
                sums: *mut i32,
                w: *const u8,
                x: *const $number,
                end: *const $number,
            ) -> *const u8 {
                naked_asm!(
                    "push {{r4-r11, lr}}",
                    "mov r4, r0",
                    "mov lr, r1",
                    // The other rows, which come second; then zero.
                    "add r5, r1, #16",
                    "push {{r2, r4, r5}}",
                    "mov r12, r2",
                    "mov r11, r3",
                    "mov r10, #0x000f000f",
                    "2:",
                    "ldm r4, {{r0-r3}}",
                    "3:",
                    inputs!($byte, $number),
                    row!($byte, "r1", ", #4]"),
                    row!($byte, "r2", ", #8]"),
                    row!($byte, "r3", ", #12]"),
                    row!($byte, "r0", "], #32"),
                    "cmp r12, r11",
                    "bne 3b",
                    "ldm sp, {{r4-r6}}",
                    "stm r5!, {{r0-r3}}",
                    "cbz r6, 4f",
                    "mov r12, r4",
                    "mov lr, r6",
                    "mov r4, r5",
                    "movs r6, #0",
                    "strd r5, r6, [sp, #4]",
                    "b 2b",
                    "4:",
                    "sub r0, lr, #16",
                    "add sp, #12",
                    "pop {{r4-r11, pc}}",
                )
            }
            let x = x.as_ptr_range();
            // SAFETY: reads as many blocks as there are of inputs.
            unsafe { blocks(sums.as_mut_ptr(), w, x.start, x.end) }
        }
    };
}

panel!(i8_a8, "sxtb16", i8);
panel!(i8_a16, "sxtb16", i16);
panel!(u8_a8, "uxtb16", i8);
panel!(u8_a16, "uxtb16", i16);
panel!(i4_a8, i4, i8);
panel!(i4_a16, i4, i16);
