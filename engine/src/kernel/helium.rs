//! Cortex-M55 and M85: Helium, the M-profile vector extension (Armv8.1-M), in vectors of 128 bits.
//!
//! What follows the sums runs across units, four 32-bit lanes at a time. A look-up is five instructions, since the
//! gather takes the words of the definition as they are: `VMULLB` multiplies only the lower halves, an entry's delta and
//! the fraction. `VRMULH` is the one rounding rule.

use super::{Kernels, LANES, Panel, cortex_m};
use crate::num::Tables;
use core::arch::asm;

pub(super) const HELIUM: Kernels = Kernels {
    name: "helium",
    requant,
    tanh_q,
    sigmoid_q,
    lstm_q,
    gru_q,
    ..cortex_m::CORTEX_M_DSP
};

/// Vectors of four lanes in a panel.
const VECTORS: usize = LANES / 4;

fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
    // SAFETY: the table's method has checked that all are of one length, which the loop covers.
    unsafe {
        asm!(
            "wls lr, lr, 3f",
            "2:",
            "vldrw.u32 q0, [{sums}], #16",
            "vldrw.u32 q1, [{m}], #16",
            "vshl.u32 q0, {shift}",
            "vrmulh.s32 q0, q0, q1",
            "vqmovnb.s32 q0, q0",
            "vstrh.32 q0, [r0], #8",
            "le lr, 2b",
            "3:",
            inout("r0") z.as_mut_ptr() => _,
            sums = inout(reg) sums.as_ptr() => _,
            m = inout(reg) m.as_ptr() => _,
            shift = in(reg) shift as u32,
            inout("lr") VECTORS * z.len() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

/// The table's value (Q31) in `$y` for the zero-extended 16-bit numbers in `q0`. `q4` has the shift to the number of a
/// segment, `q5` the bits behind it.
macro_rules! look_up {
    ($entries:literal, $y:literal) => {
        concat!(
            "vshl.u32 q3, q0, q4\nvand q0, q0, q5\n",
            concat!("vldrw.u32 ", $y, ", [{", $entries, "}, q3, uxtw #2]\n"),
            concat!("vmullb.s16 q0, ", $y, ", q0\n"),
            concat!("vmla.s32 ", $y, ", q0, {scale}\n"),
        )
    };
}

/// Numbers in `q1`, saturated to 16 bits, as [`look_up`] wants them.
macro_rules! saturate16 {
    () => {
        "vqmovnb.s32 q0, q1\nvmovlb.u16 q0, q0\n"
    };
}

/// The next four units of four gates: the second half of a panel, or the first half of what follows four panels.
macro_rules! next_units {
    () => {
        "add r0, r0, {step}\neor {step}, {step}, #8 ^ 56\n"
    };
}

fn tanh_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    activation(y, z, tables.tanh, tables.bits);
}

fn sigmoid_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    activation(y, z, tables.sigmoid, tables.bits);
}

fn activation(y: &mut [Panel<i32>], z: &[Panel<i16>], entries: &[i32], bits: u32) {
    // SAFETY: the table's method has checked that `y` and `z` are of one length, which the loop covers; there are as
    // many entries as numbers of `bits` bits.
    unsafe {
        asm!(
            "vdup.32 q4, {shift}",
            "vdup.32 q5, {fraction}",
            "wls lr, lr, 3f",
            "2:",
            "vldrh.u32 q0, [r0], #8",
            look_up!("entries", "q1"),
            "vstrw.32 q1, [r1], #16",
            "le lr, 2b",
            "3:",
            inout("r1") y.as_mut_ptr() => _,
            inout("r0") z.as_ptr() => _,
            entries = in(reg) entries.as_ptr(),
            shift = in(reg) bits as i32 - 16,
            fraction = in(reg) 0xffff_u32 >> bits,
            scale = in(reg) 1_u32 << bits,
            inout("lr") VECTORS * y.len() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}

fn lstm_q(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    // SAFETY: the table's method has checked that `y` has as many panels as `c` and `z` four times as many, which the
    // loop covers; there are as many entries as numbers of `bits` bits.
    unsafe {
        asm!(
            "vdup.32 q4, {shift}",
            "vdup.32 q5, {fraction}",
            "wls lr, lr, 3f",
            "2:",
            "vldrh.u32 q0, [r0]",
            look_up!("sigmoid", "q1"),
            "vldrh.u32 q0, [r0, #32]",
            look_up!("tanh", "q2"),
            "vrmulh.s32 q1, q1, q2",
            "vshl.s32 q1, {new_shift}",
            "vldrh.u32 q0, [r0, #16]",
            look_up!("sigmoid", "q2"),
            "vldrw.u32 q0, [{c}]",
            "vrmulh.s32 q2, q2, q0",
            "vadd.i32 q2, q2, q2",
            "vadd.i32 q1, q1, q2",
            // To 31 bits: saturated one to the left.
            "vqshl.s32 q1, q1, #1",
            "vshr.s32 q1, q1, #1",
            "vstrw.32 q1, [{c}], #16",
            "vshl.s32 q1, {depth_shift}",
            saturate16!(),
            look_up!("tanh", "q2"),
            "vldrh.u32 q0, [r0, #48]",
            look_up!("sigmoid", "q1"),
            "vrmulh.s32 q1, q1, q2",
            "vrshr.s32 q1, q1, #18",
            "vstrh.32 q1, [r1], #8",
            next_units!(),
            "le lr, 2b",
            "3:",
            c = inout(reg) c.as_mut_ptr() => _,
            inout("r1") y.as_mut_ptr() => _,
            inout("r0") z.as_ptr() => _,
            step = inout(reg) 8 => _,
            sigmoid = in(reg) tables.sigmoid.as_ptr(),
            tanh = in(reg) tables.tanh.as_ptr(),
            shift = in(reg) tables.bits as i32 - 16,
            fraction = in(reg) 0xffff_u32 >> tables.bits,
            scale = in(reg) 1_u32 << tables.bits,
            new_shift = in(reg) -(3 + cell_shift as i32),
            depth_shift = in(reg) cell_shift as i32 - 15,
            inout("lr") VECTORS * c.len() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}

fn gru_q(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    // SAFETY: the table's method has checked that `z` has four times as many panels as `h`, which the loop covers;
    // there are as many entries as numbers of `bits` bits.
    unsafe {
        asm!(
            "vdup.32 q4, {shift}",
            "vdup.32 q5, {fraction}",
            "wls lr, lr, 3f",
            "2:",
            "vldrh.u32 q0, [r0, #16]",
            look_up!("sigmoid", "q1"),
            "vshr.s32 q1, q1, #16",
            "vldrh.s32 q0, [r0, #48]",
            "vmul.i32 q1, q1, q0",
            "vrshr.s32 q1, q1, #15",
            "vldrh.s32 q0, [r0]",
            "vadd.i32 q1, q1, q0",
            saturate16!(),
            look_up!("tanh", "q2"),
            "vshr.s32 q2, q2, #2",
            "vldrh.u32 q0, [r0, #32]",
            look_up!("sigmoid", "q1"),
            "vldrw.u32 q0, [{h}]",
            "vsub.i32 q0, q0, q2",
            "vrmulh.s32 q1, q1, q0",
            "vadd.i32 q1, q1, q1",
            "vadd.i32 q1, q1, q2",
            "vstrw.32 q1, [{h}], #16",
            next_units!(),
            "le lr, 2b",
            "3:",
            h = inout(reg) h.as_mut_ptr() => _,
            inout("r0") z.as_ptr() => _,
            step = inout(reg) 8 => _,
            sigmoid = in(reg) tables.sigmoid.as_ptr(),
            tanh = in(reg) tables.tanh.as_ptr(),
            shift = in(reg) tables.bits as i32 - 16,
            fraction = in(reg) 0xffff_u32 >> tables.bits,
            scale = in(reg) 1_u32 << tables.bits,
            inout("lr") VECTORS * h.len() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}
