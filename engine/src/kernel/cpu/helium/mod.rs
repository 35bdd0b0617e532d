//! Cortex-M55 and M85: Helium, the M-profile vector extension (Armv8.1-M), in vectors of 128 bits.
//!
//! A product runs along rows, which lie one after the other ([`IntMatrix::Rows`]): `VMLADAVA` multiplies sixteen `i8` or
//! eight `i16` columns and adds them to a general register. Four rows share the loads of the inputs. The loop masks what
//! is behind the last column (`WLSTP`), so that nothing needs padding; without columns it does nothing.
//!
//! Everything behind the sums runs across units, four 32-bit lanes at a time. `VRMULH` is the one rounding rule. A look-up
//! is five instructions, since the gather takes the words of the definition as they are: `VMULLB` multiplies
//! only the lower halves, an entry's delta and the fraction.
//!
//! Instructions per multiplication: 0.16 in a product by `i8`, 0.31 by `i16`; of four rows besides, 26 from the bias to the
//! pre-activations, and 47 for the update of four LSTM units.

use super::cortex_m::CORTEX_M_DSP;
use crate::kernel::definition::{products, steps};
use crate::kernel::table::Table;
use crate::kernel::{
    CellQ, Curve, GateRows, Inputs, IntMatrix, Kernels, LANES, LayerState, MAX_PANELS, Panel,
    Panels,
};
use crate::num::Tables;
use core::arch::{asm, naked_asm};

mod w4;

pub(super) const HELIUM: Table = Table {
    name: "helium",
    product,
    gates_q,
    requant,
    curve_q,
    update_q,
    step_q,
    ..CORTEX_M_DSP
};

/// A vector of a row's columns at `$at`, by the inputs in `q0`.
macro_rules! row {
    ($bits:literal, $load:literal, $step:literal, $w:literal, $at:literal, $sum:literal) => {
        concat!(
            concat!($load, " ", $w, ", [", $at, "], #", $step, "\n"),
            concat!("vmladava.s", $bits, " ", $sum, ", q0, ", $w, "\n"),
        )
    };
}

/// Four rows that start at `r0` to `r3`, by `lr` columns at `r5`, added to `r4`, `r8`, `r10` and `r12`: loads that widen
/// take only a low register as their address, multiplications only an even one as their sum.
macro_rules! four_rows {
    ($bits:literal, $load_x:literal, $load:literal, $step:literal) => {
        concat!(
            concat!("wlstp.", $bits, " lr, lr, 3f\n2:\n"),
            concat!($load_x, " q0, [r5], #16\n"),
            row!($bits, $load, $step, "q1", "r0", "r4"),
            row!($bits, $load, $step, "q2", "r1", "r8"),
            row!($bits, $load, $step, "q1", "r2", "r10"),
            row!($bits, $load, $step, "q2", "r3", "r12"),
            "letp lr, 2b\n3:\n",
        )
    };
}

macro_rules! four_rows_a8 {
    () => {
        four_rows!("8", "vldrb.u8", "vldrb.u8", "16")
    };
}

macro_rules! four_rows_a16 {
    () => {
        four_rows!("16", "vldrh.u16", "vldrb.s16", "8")
    };
}

macro_rules! gemv_rows {
    ($name:ident, $x:ty, $four_rows:ident) => {
        fn $name(sums: &mut [Panel<i32>], w: &[i8], x: &[$x], panels: Panels) {
            for (panel, w) in w.chunks_exact(LANES * x.len()).enumerate() {
                let (fours, _) = sums[panels.place(panel)].as_chunks_mut();
                for ([a, b, c, d], w) in fours.iter_mut().zip(w.chunks_exact(4 * x.len())) {
                    let row = |row| w.as_ptr().wrapping_add(row * x.len());
                    // SAFETY: there are four rows of as many weights as there are columns.
                    unsafe {
                        asm!(
                            $four_rows!(),
                            inout("r0") row(0) => _,
                            inout("r1") row(1) => _,
                            inout("r2") row(2) => _,
                            inout("r3") row(3) => _,
                            inout("r4") *a,
                            inout("r8") *b,
                            inout("r10") *c,
                            inout("r12") *d,
                            inout("r5") x.as_ptr() => _,
                            inout("lr") x.len() => _,
                            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
                            options(nostack),
                        );
                    }
                }
            }
        }
    };
}

gemv_rows!(gemv_rows_a8, i8, four_rows_a8);
gemv_rows!(gemv_rows_a16, i16, four_rows_a16);

/// Of weights in blocks plain loops become vectors here, and those are faster than `SMLAD`.
#[cfg_attr(one_table, inline(always))]
fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::Rows(w), Inputs::I8(x)) => gemv_rows_a8(sums, w, x, panels),
        (IntMatrix::Rows(w), Inputs::I16(x)) => gemv_rows_a16(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I8(x)) => w4::gemv_w4a8(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I16(x)) => w4::gemv_w4a16(sums, w, x, panels),
        (w, x) => products::product(sums, w, x, panels),
    }
}

/// Rows of gates on the way from the first to the last.
#[repr(C)]
struct Walk {
    w_ih: *const i8,
    x: *const u8,
    x_columns: usize,
    w_hh: *const i8,
    h: *const u8,
    h_columns: usize,
    m: *const i32,
    shift: u32,
    end: *const i16,
    bias: *const i32,
    z: *mut i16,
}

/// Pre-activations of the next rows: those of a [`Walk`] from `z` to `end`, four at a time, with sums in registers from
/// the bias on.
macro_rules! walk {
    ($name:ident, $x:ident, $h:ident) => {
        /// # Safety
        /// From `z` to `end` there are rows, a multiple of four and one four at least; there are bias, multiplier and
        /// weights for each, and as many columns as the walk says.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(walk: &mut Walk) {
            naked_asm!(
                env!("KINGLET_ASM_CPU"),
                "push {{r4-r11, lr}}",
                "mov r11, r0",
                "ldrd r7, r6, [r11, #36]",
                "1:",
                "ldm r7!, {{r4, r8, r10, r12}}",
                "ldm r11!, {{r0, r5, lr}}",
                "add r1, r0, lr",
                "add r2, r1, lr",
                "add r3, r2, lr",
                "add r9, r3, lr",
                "str r9, [r11, #-12]",
                $x!(),
                "ldm r11!, {{r0, r5, lr}}",
                "add r1, r0, lr",
                "add r2, r1, lr",
                "add r3, r2, lr",
                "add r9, r3, lr",
                "str r9, [r11, #-12]",
                $h!(),
                "ldm r11, {{r0, r1, r2}}",
                "vmov q0[2], q0[0], r4, r10",
                "vmov q0[3], q0[1], r8, r12",
                "vldrw.u32 q1, [r0], #16",
                "vshl.u32 q0, r1",
                "vrmulh.s32 q0, q0, q1",
                "vqmovnb.s32 q0, q0",
                "vstrh.32 q0, [r6], #8",
                "str r0, [r11], #-24",
                "cmp r6, r2",
                "bne.w 1b",
                "strd r7, r6, [r11, #36]",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

walk!(walk_a8, four_rows_a8, four_rows_a8);
walk!(walk_x16, four_rows_a16, four_rows_a8);
walk!(walk_a16, four_rows_a16, four_rows_a16);

/// Pre-activations of all units; those of some panels of units at a time go to `update`, with the number of the first.
/// False where weights do not lie in rows.
#[inline(always)]
fn each_gates(
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
    mut update: impl FnMut(usize, &[Panel<i16>]),
) -> bool {
    let [ih, hh, stride] = gates.order.panels();
    let (IntMatrix::Rows(w_ih), IntMatrix::Rows(w_hh)) = (gates.w_ih, gates.w_hh) else {
        return false;
    };
    let (next, x_start, h_start): (unsafe extern "C" fn(&mut Walk), _, _) = match (x, h) {
        (Inputs::I8(x), Inputs::I8(h)) => (walk_a8, x.as_ptr().cast(), h.as_ptr().cast()),
        (Inputs::I16(x), Inputs::I8(h)) => (walk_x16, x.as_ptr().cast(), h.as_ptr().cast()),
        (Inputs::I16(x), Inputs::I16(h)) => (walk_a16, x.as_ptr().cast(), h.as_ptr().cast()),
        (Inputs::I8(_), Inputs::I16(_)) => return false,
    };
    let mut walk = Walk {
        w_ih: w_ih.as_ptr(),
        x: x_start,
        x_columns: 0,
        w_hh: w_hh.as_ptr(),
        h: h_start,
        h_columns: 0,
        m: gates.m.as_ptr().cast(),
        shift: gates.shift as u32,
        end: core::ptr::null(),
        bias: gates.bias.as_ptr().cast(),
        z: core::ptr::null_mut(),
    };
    // The panels of a panel of units, by the matrices that they have weights in.
    let (only_x, only_h) = (ih.min(stride - hh), hh.min(stride - ih));
    let middle = stride - only_x - only_h;
    let (x, h) = (x.columns(), h.columns());
    let of_middle = if ih + hh > stride { (x, h) } else { (0, 0) };
    let mut z = [[0; LANES]; MAX_PANELS];
    for first in (0..gates.units).step_by(MAX_PANELS / stride) {
        let units = (MAX_PANELS / stride).min(gates.units - first);
        walk.z = z.as_mut_ptr().cast();
        walk.end = walk.z;
        let mut rows = |panels: usize, (x_columns, h_columns)| {
            if panels == 0 {
                return;
            }
            (walk.x_columns, walk.h_columns) = (x_columns, h_columns);
            walk.end = walk.end.wrapping_add(panels * LANES);
            // SAFETY: rows follow one another in all that the walk goes along, and have been checked to be as many as
            // all units have gates; `z` has a place for those of this round.
            unsafe { next(&mut walk) };
        };
        if middle == stride {
            rows(units * stride, of_middle);
        } else {
            for _ in 0..units {
                rows(only_x, (x, 0));
                rows(middle, of_middle);
                rows(only_h, (0, h));
            }
        }
        update(first, &z[..units * stride]);
    }
    true
}

fn gates_q(k: &Kernels, z: &mut [Panel<i16>], gates: GateRows<'_>, x: Inputs<'_>, h: Inputs<'_>) {
    let [_, _, stride] = gates.order.panels();
    let by_rows = each_gates(&gates, x, h, |first, rows| {
        z[first * stride..][..rows.len()].copy_from_slice(rows);
    });
    if !by_rows {
        steps::gates(k, z, gates, x, h);
    }
}

#[cfg_attr(one_table, inline(always))]
fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    let [_, _, stride] = cell.order().panels();
    for (state, &x) in states.iter_mut().zip(x) {
        let old = state.h.inputs(gates.columns[1]);
        let by_rows = each_gates(gates, x, old, |first, z| {
            let units = first..first + z.len() / stride;
            let (master, y) = (&mut state.master[units.clone()], &mut state.y[units]);
            update_q(cell, master, y, z, tables);
        });
        if by_rows {
            state.publish_step(cell);
        } else {
            steps::step(k, cell, state, gates, x, tables);
        }
    }
}

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
/// segment.
macro_rules! look_up {
    ($entries:literal, $y:literal) => {
        concat!(
            "vshl.u32 q3, q0, q4\n",
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

fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    let (entries, bits) = (curve.entries(tables), tables.bits());
    // SAFETY: the table's method has checked that `y` and `z` are of one length, which the loop covers; there are as
    // many entries as numbers of `bits` bits.
    unsafe {
        asm!(
            "vdup.32 q4, {shift}",
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
            scale = in(reg) 1_u32 << bits,
            inout("lr") VECTORS * y.len() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _,
            options(nostack),
        );
    }
}

update_q! { #[cfg_attr(one_table, inline(always))] }

fn lstm(
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
            sigmoid = in(reg) tables.sigmoid_entries().as_ptr(),
            tanh = in(reg) tables.tanh_entries().as_ptr(),
            shift = in(reg) tables.bits() as i32 - 16,
            scale = in(reg) 1_u32 << tables.bits(),
            new_shift = in(reg) -(3 + cell_shift as i32),
            depth_shift = in(reg) cell_shift as i32 - 15,
            inout("lr") VECTORS * c.len() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _,
            options(nostack),
        );
    }
}

fn gru(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    // SAFETY: the table's method has checked that `z` has four times as many panels as `h`, which the loop covers;
    // there are as many entries as numbers of `bits` bits.
    unsafe {
        asm!(
            "vdup.32 q4, {shift}",
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
            sigmoid = in(reg) tables.sigmoid_entries().as_ptr(),
            tanh = in(reg) tables.tanh_entries().as_ptr(),
            shift = in(reg) tables.bits() as i32 - 16,
            scale = in(reg) 1_u32 << tables.bits(),
            inout("lr") VECTORS * h.len() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _,
            options(nostack),
        );
    }
}
