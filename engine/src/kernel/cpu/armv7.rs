//! ARMv7-A with NEON. `core::arch` has no such intrinsics in stable Rust, and `wide` is arrays here: the compiler
//! makes vectors of them for requantization, but not for the products, which are written out.
//!
//! `vld4.8` takes a block of eight rows and four columns apart into a register per column; a column is widened
//! and multiplied with one number of the input (`vmlal.s16`): 14 instructions for 32 products.

use super::wide::{self, WIDE};
use crate::kernel::table::Table;
use crate::kernel::{BLOCK, Inputs, IntMatrix, LANES, Panel, Panels};
use core::arch::asm;

pub(super) const ARMV7_NEON: Table = Table {
    name: "armv7-neon",
    product,
    ..WIDE
};

/// All blocks of a panel, the input's four numbers loaded into `d0` by the instructions given.
macro_rules! panel {
    ($sum:expr, $w:expr, $x:expr, $($load:literal),+) => {
        // SAFETY: a panel has `LANES * BLOCK` weights for each `BLOCK` numbers of the input, of which there is a
        // block at least; the sums are eight words.
        unsafe {
            asm!(
                "vld1.32 {{q14, q15}}, [{sum}]",
                "vmov.i32 q2, #0",
                "vmov.i32 q3, #0",
                "2:",
                $($load,)+
                "vld4.8 {{d16, d17, d18, d19}}, [{w}]!",
                "vmovl.s8 q10, d16",
                "vmovl.s8 q11, d17",
                "vmovl.s8 q12, d18",
                "vmovl.s8 q13, d19",
                "vmlal.s16 q14, d20, d0[0]",
                "vmlal.s16 q15, d21, d0[0]",
                "vmlal.s16 q2, d22, d0[1]",
                "vmlal.s16 q3, d23, d0[1]",
                "vmlal.s16 q14, d24, d0[2]",
                "vmlal.s16 q15, d25, d0[2]",
                "vmlal.s16 q2, d26, d0[3]",
                "vmlal.s16 q3, d27, d0[3]",
                "subs {blocks}, {blocks}, #1",
                "bne 2b",
                "vadd.i32 q14, q14, q2",
                "vadd.i32 q15, q15, q3",
                "vst1.32 {{q14, q15}}, [{sum}]",
                sum = in(reg) $sum.as_mut_ptr(),
                w = inout(reg) $w.as_ptr() => _,
                x = inout(reg) $x.as_ptr() => _,
                blocks = inout(reg) $x.len() / BLOCK => _,
                out("q0") _, out("q2") _, out("q3") _,
                out("q8") _, out("q9") _, out("q10") _, out("q11") _,
                out("q12") _, out("q13") _, out("q14") _, out("q15") _,
                options(nostack),
            );
        }
    };
}

fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv_a8(sums, w, x, panels),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv_a16(sums, w, x, panels),
        (w, x) => wide::product(sums, w, x, panels),
    }
}

fn gemv_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        panel!(sum, w, x, "vld1.32 {{d0[0]}}, [{x}]!", "vmovl.s8 q0, d0");
    }
}

fn gemv_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
        let sum = &mut sums[panels.place(panel)];
        panel!(sum, w, x, "vld1.16 {{d0}}, [{x}]!");
    }
}
