//! Products of four-bit weights in the portable layout: the words of a row lie 32 bytes apart, and a gather collects them.
//!
//! The lower halves of a row's words are one vector, the upper halves another, and the inputs are gathered alike: the first
//! four of every eight, the others. `VMLADAVA` multiplies a vector and adds it to a general register. What is behind the last columns is masked,
//! as in [`super`]. Instructions per multiplication: 0.20 by `i8`, 0.45 by `i16`.

use crate::kernel::cpu::plain::excess_i4;
use crate::kernel::{Inputs, LANES, Panel, Panels};
use core::arch::asm;

/// A row's product: its words or bytes loaded into `q2`, `q5` has the mask.
macro_rules! row {
    ($bits:literal, $load:literal, $at:literal, $sum:literal) => {
        concat!(
            concat!($load, " q2, [", $at, "]\n"),
            "vand q3, q2, q5\n",
            concat!("vmladava.s", $bits, " ", $sum, ", q0, q3\n"),
            concat!("vshr.u", $bits, " q2, q2, #4\n"),
            concat!("vmladava.s", $bits, " ", $sum, ", q1, q2\n"),
        )
    };
}

/// Calls the product of four rows for all of them.
#[inline(always)]
fn each_four(
    sums: &mut [Panel<i32>],
    w: &[u8],
    x: Inputs<'_>,
    panels: Panels,
    four: impl Fn(&mut [i32; 4], *const u8),
) {
    let excess = excess_i4(x);
    for (panel, w) in w.chunks_exact(LANES * x.columns() / 2).enumerate() {
        let (fours, _) = sums[panels.place(panel)].as_chunks_mut();
        for (half, sums) in fours.iter_mut().enumerate() {
            *sums = sums.map(|sum| sum.wrapping_sub(excess));
            four(sums, w.as_ptr().wrapping_add(16 * half));
        }
    }
}

pub(super) fn gemv_w4a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    each_four(sums, w, Inputs::I8(x), panels, |[a, b, c, d], w| {
        // SAFETY: there are 32 bytes from one word of the first of these rows to the next, a word for every eight inputs.
        unsafe {
            asm!(
                "vidup.u32 q7, r0, #8",
                "vshl.i32 q6, q7, #2",
                "vadd.i32 q6, q6, {w}",
                "vadd.i32 q7, q7, {x}",
                "vmov.i8 q5, #0x0f",
                "wlstp.32 lr, lr, 3f",
                "2:",
                "vldrw.u32 q0, [q7]",
                "vldrw.u32 q1, [q7, #4]",
                row!("8", "vldrw.u32", "q6", "r4"),
                row!("8", "vldrw.u32", "q6, #4", "r8"),
                row!("8", "vldrw.u32", "q6, #8", "r10"),
                row!("8", "vldrw.u32", "q6, #12", "r12"),
                "vadd.i32 q6, q6, {w_step}",
                "vadd.i32 q7, q7, {x_step}",
                "letp lr, 2b",
                "3:",
                inout("r0") 0 => _,
                w = in(reg) w,
                x = in(reg) x.as_ptr(),
                w_step = in(reg) 128,
                x_step = in(reg) 32,
                inout("r4") *a,
                inout("r8") *b,
                inout("r10") *c,
                inout("r12") *d,
                inout("lr") x.len() / 8 => _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _, out("d15") _,
                options(nostack, readonly),
            );
        }
    });
}

/// Where the bytes of two words lie, and the inputs of the lower ones.
static BYTES: [[u16; 8]; 2] = [[0, 1, 2, 3, 32, 33, 34, 35], [0, 2, 4, 6, 16, 18, 20, 22]];

pub(super) fn gemv_w4a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    each_four(sums, w, Inputs::I16(x), panels, |[a, b, c, d], w| {
        // SAFETY: as `gemv_w4a8`.
        unsafe {
            asm!(
                "vldrh.u16 q6, [r0]",
                "vldrh.u16 q7, [r0, #16]",
                "vmov.i16 q5, #0x0f",
                "add r0, {x}, #8",
                "add r1, {w}, #4",
                "add r2, {w}, #8",
                "add r3, {w}, #12",
                "wlstp.16 lr, lr, 3f",
                "2:",
                "vldrh.u16 q0, [{x}, q7]",
                "vldrh.u16 q1, [r0, q7]",
                "add {x}, {x}, #32",
                "adds r0, #32",
                row!("16", "vldrb.u16", "{w}, q6", "r4"),
                row!("16", "vldrb.u16", "r1, q6", "r8"),
                row!("16", "vldrb.u16", "r2, q6", "r10"),
                row!("16", "vldrb.u16", "r3, q6", "r12"),
                "add {w}, {w}, #64",
                "adds r1, #64",
                "adds r2, #64",
                "adds r3, #64",
                "letp lr, 2b",
                "3:",
                inout("r0") BYTES.as_ptr() => _,
                out("r1") _,
                out("r2") _,
                out("r3") _,
                w = inout(reg) w => _,
                x = inout(reg) x.as_ptr() => _,
                inout("r4") *a,
                inout("r8") *b,
                inout("r10") *c,
                inout("r12") *d,
                inout("lr") x.len() / 2 => _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _, out("d15") _,
                options(nostack, readonly),
            );
        }
    });
}
