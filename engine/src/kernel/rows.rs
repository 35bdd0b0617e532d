//! CPUs without SIMD: Armv6-M, Armv7-M without DSP instructions, RV32IM.
//!
//! A panel's eight rows are summed together, so that an input is loaded once for eight weights; the product is written
//! in assembly, because compilers move loads ahead of sums until these no longer fit the registers. Per
//! multiplication of the product: 2.2 instructions on Armv7-M, 3.2 on RV32IM, 4.4 on Armv6-M, whose signed
//! bytes need an offset in a register.
//!
//! Look-ups know their table, which makes its address and the shifts constants and its bounds check go away.

use super::gates::compose;
use super::{GateRows, Inputs, IntMatrix, Kernels, Panel, Panels, scalar};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables, mulhi_round, saturate16};

#[cfg_attr(target_arch = "riscv32", path = "rows/riscv.rs")]
#[cfg_attr(armv6m, path = "rows/armv6m.rs")]
#[cfg_attr(not(any(target_arch = "riscv32", armv6m)), path = "rows/armv7m.rs")]
mod product;

pub(super) const ROWS: Kernels = Kernels {
    name: product::NAME,
    gemv_a8,
    gemv_a16,
    gates_q,
    tanh_q,
    sigmoid_q,
    lstm_q,
    gru_q,
    ..scalar::SCALAR
};

/// Adds the product of a panel at `w` to its sums; gives where the panel ends.
///
/// # Safety
/// A panel of as many columns lies there.
#[inline(always)]
unsafe fn panel(sums: &mut Panel<i32>, w: *const i8, x: Inputs<'_>) -> *const i8 {
    // SAFETY: as above; columns are whole blocks, one at least.
    unsafe {
        match x {
            Inputs::I8(x) => product::panel_a8(sums, w, x),
            Inputs::I16(x) => product::panel_a16(sums, w, x),
        }
    }
}

unsafe fn gemv_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    // SAFETY: as here.
    unsafe { gemv(sums, w, Inputs::I8(x), panels) }
}

unsafe fn gemv_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    // SAFETY: as here.
    unsafe { gemv(sums, w, Inputs::I16(x), panels) }
}

#[inline(always)]
unsafe fn gemv(sums: &mut [Panel<i32>], w: &[i8], x: Inputs<'_>, panels: Panels) {
    let (mut at, end) = (w.as_ptr(), w.as_ptr_range().end);
    let (mut place, mut left) = (0, panels.group);
    while at != end {
        // SAFETY: the table's method has checked that weights are whole panels over whole blocks of columns.
        at = unsafe { panel(&mut sums[place], at, x) };
        (place, left) = (place + 1, left - 1);
        if left == 0 {
            (place, left) = (place + panels.stride - panels.group, panels.group);
        }
    }
}

unsafe fn gates_q(
    k: &Kernels,
    z: &mut [Panel<i16>],
    gates: GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
) {
    let GateRows { ih, hh, stride, .. } = gates;
    let (IntMatrix::I8(w_ih), IntMatrix::I8(w_hh)) = (gates.w_ih, gates.w_hh) else {
        return compose(k, z, gates, x, h);
    };
    let (mut w_ih, mut w_hh) = (w_ih.as_ptr(), w_hh.as_ptr());
    let mut gate = 0;
    for ((z, bias), m) in z.iter_mut().zip(gates.bias).zip(gates.m) {
        let mut sums = *bias;
        // SAFETY: the table's method has checked that there are whole panels for each gate.
        unsafe {
            if gate < ih {
                w_ih = panel(&mut sums, w_ih, x);
            }
            if gate >= stride - hh {
                w_hh = panel(&mut sums, w_hh, h);
            }
        }
        gate += 1;
        if gate == stride {
            gate = 0;
        }
        for ((z, sum), &m) in z.iter_mut().zip(sums).zip(m) {
            *z = saturate16(mulhi_round(sum.wrapping_shl(gates.shift as u32), m));
        }
    }
}

/// There are two tables; the call is compiled for each.
#[inline(always)]
fn known(tables: &Tables, call: impl FnOnce(&Tables)) {
    if tables.bits == SEGMENTS_256.bits {
        call(&SEGMENTS_256)
    } else {
        call(&SEGMENTS_512)
    }
}

fn tanh_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    known(tables, |tables| scalar::tanh_q(y, z, tables))
}

fn sigmoid_q(y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    known(tables, |tables| scalar::sigmoid_q(y, z, tables))
}

fn lstm_q(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    known(tables, |tables| scalar::lstm_q(c, y, z, tables, cell_shift))
}

fn gru_q(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    known(tables, |tables| scalar::gru_q(h, z, tables))
}
