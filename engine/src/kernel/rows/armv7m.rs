//! Armv7-M: the sums in `r4` to `r11`, two weights in `r12` and `lr`, an input in `r0`. Four-bit weights have two inputs, the
//! other in the place of their end, `r3`.

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

/// Two columns of a row of four-bit weights; see [`super`].
macro_rules! both {
    ($byte:literal, $row:literal, $sum:literal) => {
        concat!(
            "ldrb r12, [r1, #4*",
            $row,
            "+",
            $byte,
            "]\n",
            "lsr lr, r12, #4\n",
            "mla ",
            $sum,
            ", r12, r0, ",
            $sum,
            "\n",
            "mla ",
            $sum,
            ", lr, r3, ",
            $sum,
            "\n",
        )
    };
}

macro_rules! columns {
    ($load:literal, $size:literal, $byte:literal) => {
        concat!(
            $load,
            " r0, [r2, #",
            $size,
            "*",
            $byte,
            "]\n",
            $load,
            " r3, [r2, #",
            $size,
            "*4+",
            $size,
            "*",
            $byte,
            "]\n",
            "sub r3, r3, r0, lsl #4\n",
            both!($byte, "0", "r4"),
            both!($byte, "1", "r5"),
            both!($byte, "2", "r6"),
            both!($byte, "3", "r7"),
            both!($byte, "4", "r8"),
            both!($byte, "5", "r9"),
            both!($byte, "6", "r10"),
            both!($byte, "7", "r11"),
        )
    };
}

macro_rules! panel {
    ($name:ident, i4, $number:ty, $load:literal, $size:literal) => {
        panel!(
            $name,
            $number,
            $size,
            "8",
            [
                columns!($load, $size, "0"),
                columns!($load, $size, "1"),
                columns!($load, $size, "2"),
                columns!($load, $size, "3"),
                "ldr r3, [sp, #4]",
            ]
        );
    };
    ($name:ident, $byte:literal, $number:ty, $load:literal, $size:literal) => {
        panel!(
            $name,
            $number,
            $size,
            "4",
            [
                column!($byte, $load, $size, "3"),
                column!($byte, $load, $size, "2"),
                column!($byte, $load, $size, "1"),
                column!($byte, $load, $size, "0"),
            ]
        );
    };
    ($name:ident, $number:ty, $size:literal, $columns:literal, [$($product:expr),+ $(,)?]) => {
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
                    "push {{r0, r3-r11, lr}}",
                    "ldm r0, {{r4-r11}}",
                    "2:",
                    $($product,)+
                    concat!("adds r2, #", $columns, "*", $size),
                    "adds r1, #32",
                    "cmp r2, r3",
                    "bne.w 2b",
                    "ldr r0, [sp]",
                    "stm r0, {{r4-r11}}",
                    "mov r0, r1",
                    "pop {{r1, r3-r11, pc}}",
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
panel!(i4_a8, i4, i8, "ldrsb", "1");
panel!(i4_a16, i4, i16, "ldrsh", "2");
