//! Armv7-M: the sums in `r4` to `r11`, two weights in `r12` and `lr`, an input in `r0`.

use crate::kernel::Panel;
use core::arch::naked_asm;

pub(super) const NAME: &str = "armv7-m";

/// A column of two rows.
macro_rules! two {
    ($byte:literal, $column:literal, $row:literal, $sum:literal, $next:literal) => {
        concat!(
            $byte,
            " r12, [r1, #4*",
            $row,
            "+",
            $column,
            "]\n",
            $byte,
            " lr, [r1, #4*",
            $row,
            "+4+",
            $column,
            "]\n",
            "mla ",
            $sum,
            ", r12, r0, ",
            $sum,
            "\n",
            "mla ",
            $next,
            ", lr, r0, ",
            $next,
            "\n",
        )
    };
}

macro_rules! column {
    ($byte:literal, $load:literal, $size:literal, $column:literal) => {
        concat!(
            $load,
            " r0, [r2, #",
            $size,
            "*",
            $column,
            "]\n",
            two!($byte, $column, "0", "r4", "r5"),
            two!($byte, $column, "2", "r6", "r7"),
            two!($byte, $column, "4", "r8", "r9"),
            two!($byte, $column, "6", "r10", "r11"),
        )
    };
}

macro_rules! panel {
    ($name:ident, $byte:literal, $number:ty, $load:literal, $size:literal) => {
        /// # Safety
        /// The panel lies at `w`; columns are whole blocks, one at least.
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
                    "push {{r0, r4-r11, lr}}",
                    "ldm r0, {{r4-r11}}",
                    "2:",
                    column!($byte, $load, $size, "3"),
                    column!($byte, $load, $size, "2"),
                    column!($byte, $load, $size, "1"),
                    column!($byte, $load, $size, "0"),
                    concat!("adds r2, #4*", $size),
                    "adds r1, #32",
                    "cmp r2, r3",
                    "bne.w 2b",
                    "ldr r0, [sp]",
                    "stm r0, {{r4-r11}}",
                    "mov r0, r1",
                    "pop {{r1, r4-r11, pc}}",
                )
            }
            let x = x.as_ptr_range();
            // SAFETY: reads as many blocks as there are of inputs.
            unsafe { blocks(sums.as_mut_ptr(), w, x.start, x.end) }
        }
    };
}

panel!(i8_a8, "ldrsb", i8, "ldrsb", "1");
panel!(i8_a16, "ldrsb", i16, "ldrsh", "2");
panel!(u8_a8, "ldrb", i8, "ldrsb", "1");
panel!(u8_a16, "ldrb", i16, "ldrsh", "2");
