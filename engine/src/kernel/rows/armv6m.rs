//! Armv6-M multiplies in `r0` to `r7` only, but adds to all: half of the sums lie in `r4` to `r7`, half in `r8` to `r11`.

use crate::kernel::Panel;
use core::arch::naked_asm;

pub(super) const NAME: &str = "armv6-m";

/// A column of a row; signed bytes are loaded with an offset in a register.
macro_rules! one {
    ($column:literal, $row:literal, $sum:literal) => {
        concat!(
            "movs r3, #4*",
            $row,
            "+",
            $column,
            "\n",
            "ldrsb r3, [r1, r3]\n",
            "muls r3, r0, r3\n",
            "add ",
            $sum,
            ", r3\n",
        )
    };
}

macro_rules! column {
    (($load:literal, $widen:literal, $size:literal), $column:literal) => {
        concat!(
            $load,
            " r0, [r2, #",
            $size,
            "*",
            $column,
            "]\n",
            $widen,
            " r0, r0\n",
            one!($column, "0", "r4"),
            one!($column, "1", "r5"),
            one!($column, "2", "r6"),
            one!($column, "3", "r7"),
            one!($column, "4", "r8"),
            one!($column, "5", "r9"),
            one!($column, "6", "r10"),
            one!($column, "7", "r11"),
        )
    };
}

macro_rules! panel {
    ($name:ident, $number:ty, $size:literal, $load:tt) => {
        /// # Safety
        /// The panel lies at `w`; columns are whole blocks, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            w: *const i8,
            x: &[$number],
        ) -> *const i8 {
            #[unsafe(naked)]
            unsafe extern "C" fn blocks(
                sums: *mut i32,
                w: *const i8,
                x: *const $number,
                end: *const $number,
            ) -> *const i8 {
                naked_asm!(
                    "push {{r0, r4-r7, lr}}",
                    "mov r4, r8",
                    "mov r5, r9",
                    "mov r6, r10",
                    "mov r7, r11",
                    "push {{r4-r7}}",
                    "mov r12, r3",
                    "adds r0, #16",
                    "ldm r0!, {{r4-r7}}",
                    "mov r8, r4",
                    "mov r9, r5",
                    "mov r10, r6",
                    "mov r11, r7",
                    "subs r0, #32",
                    "ldm r0!, {{r4-r7}}",
                    "2:",
                    column!($load, "0"),
                    column!($load, "1"),
                    column!($load, "2"),
                    column!($load, "3"),
                    concat!("adds r2, #4*", $size),
                    "adds r1, #32",
                    "cmp r2, r12",
                    "beq 3f",
                    "b 2b",
                    "3:",
                    "ldr r0, [sp, #16]",
                    "stm r0!, {{r4-r7}}",
                    "mov r4, r8",
                    "mov r5, r9",
                    "mov r6, r10",
                    "mov r7, r11",
                    "stm r0!, {{r4-r7}}",
                    "pop {{r4-r7}}",
                    "mov r8, r4",
                    "mov r9, r5",
                    "mov r10, r6",
                    "mov r11, r7",
                    "mov r0, r1",
                    "pop {{r1, r4-r7, pc}}",
                )
            }
            let x = x.as_ptr_range();
            // SAFETY: reads as many blocks as there are of inputs.
            unsafe { blocks(sums.as_mut_ptr(), w, x.start, x.end) }
        }
    };
}

panel!(panel_a8, i8, "1", ("ldrb", "sxtb", "1"));
panel!(panel_a16, i16, "2", ("ldrh", "sxth", "2"));
