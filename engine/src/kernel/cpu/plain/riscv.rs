//! RV32IM: eight sums, two weights and an input in registers, every offset in its load. Four-bit weights have two inputs.
//!
//! Weights are at `a0`, inputs from `a1` to `a2`, the sums in `a3` to `a7` and `t0` to `t2`, weights and inputs in `t3` to `t6`:
//! all the registers that a called function need not save. The functions are called with operands of their own choice, because
//! sums come from registers and go on in them.

use crate::kernel::Panel;
use core::arch::{asm, global_asm};

pub(super) const NAME: &str = "rv32im";

// With LTO the assembler is not told what the target has.
#[cfg(not(target_feature = "c"))]
global_asm!(
    ".option push",
    ".option arch, +m",
    include_str!("riscv.s"),
    ".option pop",
    options(raw)
);
#[cfg(target_feature = "c")]
global_asm!(
    ".option push",
    ".option arch, +m, +c",
    include_str!("riscv.s"),
    ".option pop",
    options(raw)
);

macro_rules! panel {
    ($($name:ident = $symbol:ident($number:ty);)+) => {
        unsafe extern "C" {
            $(fn $symbol();)+
        }
        $(/// # Safety
        /// The panel lies at `w`; columns are whole blocks, double ones of four bits, one at least.
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
                    "call {product}",
                    product = sym $symbol,
                    inout("a0") w,
                    inout("a1") x.start => _,
                    in("a2") x.end,
                    inout("a3") sums[0],
                    inout("a4") sums[1],
                    inout("a5") sums[2],
                    inout("a6") sums[3],
                    inout("a7") sums[4],
                    inout("t0") sums[5],
                    inout("t1") sums[6],
                    inout("t2") sums[7],
                    out("t3") _,
                    out("t4") _,
                    out("t5") _,
                    out("t6") _,
                    out("ra") _,
                    options(readonly),
                );
            }
            w
        })+
    };
}

panel! {
    i8_a8 = kinglet_i8_a8(i8);
    i8_a16 = kinglet_i8_a16(i16);
    u8_a8 = kinglet_u8_a8(i8);
    u8_a16 = kinglet_u8_a16(i16);
    i4_a8 = kinglet_i4_a8(i8);
    i4_a16 = kinglet_i4_a16(i16);
}
