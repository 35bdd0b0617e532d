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

/// Two columns of a row of four-bit weights; see [`super`].
macro_rules! both {
    ($byte:literal, $row:literal) => {
        concat!(
            "lbu {v}, 4*",
            $row,
            "+",
            $byte,
            "({w})\n",
            "srli {u}, {v}, 4\n",
            "mul {v}, {v}, {i}\n",
            "mul {u}, {u}, {j}\n",
            "add {s",
            $row,
            "}, {s",
            $row,
            "}, {v}\n",
            "add {s",
            $row,
            "}, {s",
            $row,
            "}, {u}\n",
        )
    };
}

macro_rules! columns {
    ($load:literal, $size:literal, $byte:literal) => {
        concat!(
            $load,
            " {i}, ",
            $size,
            "*",
            $byte,
            "({x})\n",
            $load,
            " {j}, ",
            $size,
            "*4+",
            $size,
            "*",
            $byte,
            "({x})\n",
            "slli {u}, {i}, 4\n",
            "sub {j}, {j}, {u}\n",
            both!($byte, "0"),
            both!($byte, "1"),
            both!($byte, "2"),
            both!($byte, "3"),
            both!($byte, "4"),
            both!($byte, "5"),
            both!($byte, "6"),
            both!($byte, "7"),
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
            ],
            j = out(reg) _,
        );
    };
    ($name:ident, $byte:literal, $number:ty, $load:literal, $size:literal) => {
        panel!(
            $name,
            $number,
            $size,
            "4",
            [
                column!($byte, $load, $size, "0"),
                column!($byte, $load, $size, "1"),
                column!($byte, $load, $size, "2"),
                column!($byte, $load, $size, "3"),
            ],
        );
    };
    ($name:ident, $number:ty, $size:literal, $columns:literal, [$($product:expr),+ $(,)?], $($more:tt)*) => {
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
                    $($product,)+
                    concat!("addi {x}, {x}, ", $columns, "*", $size),
                    "addi {w}, {w}, 32",
                    "bne {x}, {end}, 2b",
                    x = inout(reg) x.start => _,
                    end = in(reg) x.end,
                    w = inout(reg) w,
                    v = out(reg) _,
                    u = out(reg) _,
                    i = out(reg) _,
                    $($more)*
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
panel!(i4_a8, i4, i8, "lb", "1");
panel!(i4_a16, i4, i16, "lh", "2");
