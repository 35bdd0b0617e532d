//! RV32IM: eight sums, two weights and an input in registers, every offset in its load.

use crate::kernel::Panel;
use core::arch::asm;

pub(super) const NAME: &str = "rv32im";

/// A column of two rows.
macro_rules! two {
    ($column:literal, $row:literal, $next:literal) => {
        concat!(
            "lb {v}, 4*",
            $row,
            "+",
            $column,
            "({w})\n",
            "lb {u}, 4*",
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
    ($load:literal, $size:literal, $column:literal) => {
        concat!(
            $load,
            " {i}, ",
            $size,
            "*",
            $column,
            "({x})\n",
            two!($column, "0", "1"),
            two!($column, "2", "3"),
            two!($column, "4", "5"),
            two!($column, "6", "7"),
        )
    };
}

macro_rules! panel {
    ($name:ident, $number:ty, $load:literal, $size:literal) => {
        /// # Safety
        /// The panel lies at `w`; columns are whole blocks, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            mut w: *const i8,
            x: &[$number],
        ) -> *const i8 {
            let x = x.as_ptr_range();
            // SAFETY: reads as many blocks as there are of inputs.
            unsafe {
                asm!(
                    "2:",
                    column!($load, $size, "0"),
                    column!($load, $size, "1"),
                    column!($load, $size, "2"),
                    column!($load, $size, "3"),
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

panel!(panel_a8, i8, "lb", "1");
panel!(panel_a16, i16, "lh", "2");
