//! Armv6-M multiplies in `r0` to `r7` only, but adds to all: five of the sums lie in `r8` to `r12`, three in `r5` to `r7`.
//!
//! Inputs are addressed from their end, by an offset in `r4` that counts up to zero.

use crate::kernel::Panel;
use core::arch::asm;

pub(super) const NAME: &str = "armv6-m";

/// A weight into `r3`; signed bytes are loaded with an offset in a register.
macro_rules! weight {
    (i8, $column:literal, $row:literal) => {
        concat!("movs r3, #4*", $row, "+", $column, "\nldrsb r3, [r1, r3]\n")
    };
    (u8, $column:literal, $row:literal) => {
        concat!("ldrb r3, [r1, #4*", $row, "+", $column, "]\n")
    };
}

/// To label `2`, which is too far away for a condition where weights take two instructions.
macro_rules! again {
    (i8) => {
        "beq 3f\nb 2b\n3:\n"
    };
    (u8) => {
        "bne 2b\n"
    };
}

macro_rules! row {
    ($byte:ident, $column:literal, $row:literal, $sum:literal) => {
        concat!(
            weight!($byte, $column, $row),
            "muls r3, r0, r3\n",
            "add ",
            $sum,
            ", r3\n",
        )
    };
}

macro_rules! column {
    ($byte:ident, $load:literal, $column:literal) => {
        concat!(
            $load,
            " r0, [r2, r4]\n",
            row!($byte, $column, "0", "r8"),
            row!($byte, $column, "1", "r9"),
            row!($byte, $column, "2", "r10"),
            row!($byte, $column, "3", "r11"),
            row!($byte, $column, "4", "r12"),
            row!($byte, $column, "5", "r5"),
            row!($byte, $column, "6", "r6"),
            row!($byte, $column, "7", "r7"),
        )
    };
}

macro_rules! panel {
    ($name:ident, $byte:ident, $number:ty, $load:literal, $size:literal) => {
        /// # Safety
        /// The panel lies at `w`; columns are whole blocks, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            mut w: *const u8,
            x: &[$number],
        ) -> *const u8 {
            // SAFETY: reads as many blocks as there are of inputs. The compiler keeps `r6` and `r7` for itself: they are saved.
            unsafe {
                asm!(
                    "push {{r0, r6, r7}}",
                    "ldm r0!, {{r3, r5, r6, r7}}",
                    "mov r8, r3",
                    "mov r9, r5",
                    "mov r10, r6",
                    "mov r11, r7",
                    "ldm r0!, {{r3, r5, r6, r7}}",
                    "mov r12, r3",
                    "2:",
                    column!($byte, $load, "0"),
                    concat!("adds r4, #", $size),
                    column!($byte, $load, "1"),
                    concat!("adds r4, #", $size),
                    column!($byte, $load, "2"),
                    concat!("adds r4, #", $size),
                    column!($byte, $load, "3"),
                    "adds r1, #32",
                    concat!("adds r4, #", $size),
                    again!($byte),
                    "pop {{r0}}",
                    "mov r2, r8",
                    "mov r3, r9",
                    "mov r4, r10",
                    "stm r0!, {{r2, r3, r4}}",
                    "mov r2, r11",
                    "mov r3, r12",
                    "stm r0!, {{r2, r3, r5, r6, r7}}",
                    "pop {{r6, r7}}",
                    inout("r0") sums.as_mut_ptr() => _,
                    inout("r1") w,
                    inout("r2") x.as_ptr_range().end => _,
                    out("r3") _,
                    inout("r4") -(size_of_val(x) as i32) => _,
                    out("r5") _,
                    out("r8") _,
                    out("r9") _,
                    out("r10") _,
                    out("r11") _,
                    out("r12") _,
                );
            }
            w
        }
    };
}

panel!(i8_a8, i8, i8, "ldrsb", "1");
panel!(i8_a16, i8, i16, "ldrsh", "2");
panel!(u8_a8, u8, i8, "ldrsb", "1");
panel!(u8_a16, u8, i16, "ldrsh", "2");

/// Two columns of a row of four-bit weights; see [`super`].
macro_rules! both {
    ($byte:literal, $row:literal, $sum:literal) => {
        concat!(
            "ldrb r3, [r1, #4*",
            $row,
            "+",
            $byte,
            "]\n",
            "lsrs r4, r3, #4\n",
            "muls r3, r0, r3\n",
            "add ",
            $sum,
            ", r3\n",
            "muls r4, r5, r4\n",
            "add ",
            $sum,
            ", r4\n",
        )
    };
}

macro_rules! columns {
    (($load:literal, $widen:literal, $size:literal), $byte:literal) => {
        concat!(
            $load,
            " r0, [r2, #",
            $size,
            "*",
            $byte,
            "]\n",
            $widen,
            " r0, r0\n",
            $load,
            " r5, [r2, #",
            $size,
            "*4+",
            $size,
            "*",
            $byte,
            "]\n",
            $widen,
            " r5, r5\n",
            "lsls r3, r0, #4\n",
            "subs r5, r5, r3\n",
            both!($byte, "0", "r8"),
            both!($byte, "1", "r9"),
            both!($byte, "2", "r10"),
            both!($byte, "3", "r11"),
            both!($byte, "4", "r12"),
            both!($byte, "5", "lr"),
            both!($byte, "6", "r6"),
            both!($byte, "7", "r7"),
        )
    };
}

/// Weights of four bits: two of them and two inputs take a register of the sums and that of the offset; the inputs' end is at `sp`.
macro_rules! panel_i4 {
    ($name:ident, $number:ty, $size:literal, $load:tt) => {
        /// # Safety
        /// The panel lies at `w`; columns are whole double blocks, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            mut w: *const u8,
            x: &[$number],
        ) -> *const u8 {
            let x = x.as_ptr_range();
            // SAFETY: reads as many double blocks as there are of inputs. The compiler keeps `r6` and `r7` for itself: they are saved.
            unsafe {
                asm!(
                    "push {{r0, r3, r6, r7}}",
                    "ldm r0!, {{r3-r6}}",
                    "mov r8, r3",
                    "mov r9, r4",
                    "mov r10, r5",
                    "mov r11, r6",
                    "ldm r0!, {{r3, r4, r6, r7}}",
                    "mov r12, r3",
                    "mov lr, r4",
                    "2:",
                    columns!($load, "0"),
                    columns!($load, "1"),
                    columns!($load, "2"),
                    columns!($load, "3"),
                    "adds r1, #32",
                    concat!("adds r2, #", "8*", $size),
                    "ldr r3, [sp, #4]",
                    "cmp r2, r3",
                    "beq 3f",
                    "b 2b",
                    "3:",
                    "pop {{r0, r3}}",
                    "mov r2, r8",
                    "mov r3, r9",
                    "mov r4, r10",
                    "mov r5, r11",
                    "stm r0!, {{r2-r5}}",
                    "mov r2, r12",
                    "mov r3, lr",
                    "stm r0!, {{r2, r3, r6, r7}}",
                    "pop {{r6, r7}}",
                    inout("r0") sums.as_mut_ptr() => _,
                    inout("r1") w,
                    inout("r2") x.start => _,
                    inout("r3") x.end => _,
                    out("r4") _,
                    out("r5") _,
                    out("r8") _,
                    out("r9") _,
                    out("r10") _,
                    out("r11") _,
                    out("r12") _,
                    out("lr") _,
                );
            }
            w
        }
    };
}

panel_i4!(i4_a8, i8, "1", ("ldrb", "sxtb", "1"));
panel_i4!(i4_a16, i16, "2", ("ldrh", "sxth", "2"));

/// A row from its sum and multiplier: the rounded high product as [`mulhi_round`](crate::num::mulhi_round) has it, then
/// saturation, for which it is shifted to 0 to 2^16 − 1; the product is within ±2^30.
macro_rules! requant {
    ($row:literal) => {
        concat!(
            "ldr r3, [r0, #4*",
            $row,
            "]\n",
            "add r3, r8\n",
            "mov r4, r9\n",
            "lsls r3, r4\n",
            "ldr r4, [r1, #4*",
            $row,
            "]\n",
            "uxth r5, r3\n",
            "asrs r3, r3, #16\n",
            "uxth r6, r4\n",
            "asrs r4, r4, #16\n",
            "mov r7, r5\n",
            "muls r7, r6, r7\n",
            "muls r5, r4, r5\n",
            "muls r6, r3, r6\n",
            "muls r3, r4, r3\n",
            "lsrs r7, r7, #16\n",
            "adds r6, r6, r7\n",
            "uxth r4, r6\n",
            "adds r5, r5, r4\n",
            "asrs r6, r6, #16\n",
            "asrs r5, r5, #16\n",
            "adcs r3, r5\n",
            "adds r3, r3, r6\n",
            "add r3, r10\n",
            "asrs r4, r3, #31\n",
            "bics r3, r4\n",
            "lsrs r4, r3, #16\n",
            // No carry if it is too large: then minus one.
            "rsbs r4, r4, #0\n",
            "sbcs r4, r4\n",
            "orrs r3, r4\n",
            "add r3, r11\n",
            "strh r3, [r2, #2*",
            $row,
            "]\n",
        )
    };
}

/// A panel of pre-activations from its sums, which exceed what they should be.
#[inline(always)]
pub(super) fn requant(
    z: &mut Panel<i16>,
    sums: &Panel<i32>,
    m: &Panel<i32>,
    (excess, shift): (i32, u8),
) {
    // SAFETY: reads and writes these panels. The compiler keeps `r6` and `r7` for itself: they are saved.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "mov r8, r3",
            "mov r9, r4",
            "movs r3, #1",
            "lsls r3, r3, #15",
            "mov r10, r3",
            "rsbs r3, r3, #0",
            "mov r11, r3",
            requant!("0"),
            requant!("1"),
            requant!("2"),
            requant!("3"),
            requant!("4"),
            requant!("5"),
            requant!("6"),
            requant!("7"),
            "pop {{r6, r7}}",
            in("r0") sums.as_ptr(),
            in("r1") m.as_ptr(),
            in("r2") z.as_mut_ptr(),
            inout("r3") excess.wrapping_neg() => _,
            inout("r4") (shift & 31) as u32 => _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
}
