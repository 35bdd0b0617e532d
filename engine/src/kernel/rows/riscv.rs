//! RV32IM: eight sums, two weights and an input in registers, every offset in its load.

use crate::kernel::Panel;
use core::arch::asm;

pub(super) const NAME: &str = "rv32im";

/// A column of two rows.
macro_rules! two {
    ($byte:literal, $column:literal, $row:literal, $next:literal) => {
        concat!(
            $byte,
            " {v}, 4*",
            $row,
            "+",
            $column,
            "({w})\n",
            $byte,
            " {u}, 4*",
            $next,
            "+",
            $column,
            "({w})\n",
            "mul {v}, {v}, {i}\n",
            "mul {u}, {u}, {i}\n",
            "add {s",
            $row,
            "}, {s",
            $row,
            "}, {v}\n",
            "add {s",
            $next,
            "}, {s",
            $next,
            "}, {u}\n",
        )
    };
}

macro_rules! column {
    ($byte:literal, $load:literal, $size:literal, $column:literal) => {
        concat!(
            $load,
            " {i}, ",
            $size,
            "*",
            $column,
            "({x})\n",
            two!($byte, $column, "0", "1"),
            two!($byte, $column, "2", "3"),
            two!($byte, $column, "4", "5"),
            two!($byte, $column, "6", "7"),
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
            mut w: *const u8,
            x: &[$number],
        ) -> *const u8 {
            let x = x.as_ptr_range();
            // SAFETY: reads as many blocks as there are of inputs.
            unsafe {
                asm!(
                    "2:",
                    column!($byte, $load, $size, "0"),
                    column!($byte, $load, $size, "1"),
                    column!($byte, $load, $size, "2"),
                    column!($byte, $load, $size, "3"),
                    concat!("addi {x}, {x}, 4*", $size),
                    "addi {w}, {w}, 32",
                    "bne {x}, {end}, 2b",
                    x = inout(reg) x.start => _,
                    end = in(reg) x.end,
                    w = inout(reg) w,
                    v = out(reg) _,
                    u = out(reg) _,
                    i = out(reg) _,
                    s0 = inout(reg) sums[0],
                    s1 = inout(reg) sums[1],
                    s2 = inout(reg) sums[2],
                    s3 = inout(reg) sums[3],
                    s4 = inout(reg) sums[4],
                    s5 = inout(reg) sums[5],
                    s6 = inout(reg) sums[6],
                    s7 = inout(reg) sums[7],
                    options(nostack, readonly),
                );
            }
            w
        }
    };
}

panel!(i8_a8, "lb", i8, "lb", "1");
panel!(i8_a16, "lb", i16, "lh", "2");
panel!(u8_a8, "lbu", i8, "lb", "1");
panel!(u8_a16, "lbu", i16, "lh", "2");
