//! RISC-V with the vector extension (RVV 1.0), detected at run time under feature `std`: the same code for registers of any
//! length, in assembler (`rvv.s`), because stable Rust has no intrinsics for it.
//!
//! A vector is a block of weights. Its 32 bytes are widened to halves and multiplied with the inputs, four halves for each
//! row, and each lane keeps a sum of its own until neighbours are added at the end: four panels together in registers of 256
//! bits and longer, two in those of 128. So a product of `i8` is one of `i16` whose inputs are widened too; weights of four bits
//! are two such vectors, once their halves are apart.
//!
//! Everything behind the sums runs across rows, as it does in the definition: narrowing shifts (`vnclip`) round as it asks for,
//! and a look-up gathers entries by 16-bit offsets. Sums of floats are fused; their weights of 16 bits are widened in
//! integers, since not every CPU has a conversion.

use crate::kernel::definition::{SCALAR, products, steps};
use crate::kernel::table::Table;
use crate::kernel::{
    BLOCK, CellQ, Curve, GateRows, Hidden, Inputs, IntMatrix, Kernels, LANES, LayerState, Panel,
    Panels, StateF,
};
use crate::num::Tables;
use crate::num::float::{TANH, Tanh};
use core::arch::global_asm;
use half::f16;

global_asm!(
    ".option push",
    ".option arch, +v",
    include_str!("rvv.s"),
    ".option pop",
    options(raw)
);

pub(super) const RVV: Table = Table {
    name: "rvv",
    fused: true,
    float_product,
    product,
    requant,
    curve_q,
    update_q,
    step_q,
    curve_f,
    update_f,
    ..SCALAR
};

/// This CPU runs [`RVV`].
pub(super) fn has_rvv() -> bool {
    #[cfg(all(feature = "std", target_os = "linux"))]
    let vectors = {
        use core::ffi::c_ulong;
        unsafe extern "C" {
            safe fn getauxval(kind: c_ulong) -> c_ulong;
        }
        const HWCAP: c_ulong = 16;
        const V: c_ulong = 1 << (b'v' - b'a');
        getauxval(HWCAP) & V != 0
    };
    #[cfg(not(all(feature = "std", target_os = "linux")))]
    let vectors = cfg!(target_rvv);
    // SAFETY: the CPU has the instruction, in some version of the extension.
    vectors && unsafe { kinglet_rvv_bytes() } >= 16
}

float_product! {}

fn gemv_f32(sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
    gemv(sums, w, x, panels, COLUMN, kinglet_rvv_f32);
}

fn gemv_f16(sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
    gemv(sums, w, x, panels, COLUMN, kinglet_rvv_f16);
}

fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv(sums, w, x, panels, I8, kinglet_rvv_i8_a8),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv(sums, w, x, panels, I8, kinglet_rvv_i8_a16),
        (IntMatrix::I4(w), Inputs::I8(x)) => gemv(sums, w, x, panels, I4, kinglet_rvv_i4_a8),
        (IntMatrix::I4(w), Inputs::I16(x)) => gemv(sums, w, x, panels, I4, kinglet_rvv_i4_a16),
        (w, x) => products::product(sums, w, x, panels),
    }
}

/// What a product goes along a panel by: columns, and the numbers that they are stored as.
struct Round {
    columns: usize,
    numbers: usize,
}

const COLUMN: Round = Round {
    columns: 1,
    numbers: LANES,
};
const I8: Round = Round {
    columns: BLOCK,
    numbers: LANES * BLOCK,
};
const I4: Round = Round {
    columns: 2 * BLOCK,
    numbers: LANES * BLOCK,
};

/// Sums, panels one after the other, inputs, rounds over a panel, and panels.
type Product<S, W, X> = unsafe extern "C" fn(*mut Panel<S>, *const W, *const X, usize, usize);

/// `sums += W x`.
fn gemv<S, W, X>(
    sums: &mut [Panel<S>],
    w: &[W],
    x: &[X],
    panels: Panels,
    round: Round,
    product: Product<S, W, X>,
) {
    let rounds = x.len() / round.columns;
    let panel = rounds * round.numbers;
    let Panels { group, stride } = panels.joined(w.len() / panel);
    for (sums, w) in sums.chunks_mut(stride).zip(w.chunks_exact(group * panel)) {
        let sums = &mut sums[..group];
        // SAFETY: there is a sum for each of these panels, and inputs for as many rounds, one at least: a matrix without
        // columns has been refused.
        unsafe { product(sums.as_mut_ptr(), w.as_ptr(), x.as_ptr(), rounds, group) };
    }
}

fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
    let count = LANES * z.len();
    // SAFETY: the table's method has checked that all are of one length.
    unsafe {
        kinglet_rvv_requant(
            z.as_mut_ptr(),
            sums.as_ptr(),
            m.as_ptr(),
            count,
            shift.into(),
        )
    };
}

fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    let (entries, count) = (curve.entries(tables).as_ptr(), LANES * y.len());
    // SAFETY: the table's method has checked that both are of one length, and tables have as many entries as their bits count.
    unsafe { kinglet_rvv_curve(y.as_mut_ptr(), z.as_ptr(), count, entries, tables.bits()) };
}

update_q! {}

fn lstm(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    // SAFETY: the table's method has checked that there are `y` and four of `z` for every cell; tables as in `curve_q`.
    unsafe {
        kinglet_rvv_lstm(
            c.as_mut_ptr(),
            y.as_mut_ptr(),
            z.as_ptr(),
            c.len(),
            tables.sigmoid_entries().as_ptr(),
            tables.tanh_entries().as_ptr(),
            tables.bits(),
            cell_shift.into(),
        );
    }
}

fn gru(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    // SAFETY: the table's method has checked that there are four of `z` for every state; tables as in `curve_q`.
    unsafe {
        kinglet_rvv_gru(
            h.as_mut_ptr(),
            z.as_ptr(),
            h.len(),
            tables.sigmoid_entries().as_ptr(),
            tables.tanh_entries().as_ptr(),
            tables.bits(),
        );
    }
}

fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    for (state, &x) in states.iter_mut().zip(x) {
        steps::update(k, cell, state, gates, x, tables);
        publish(cell, state);
    }
}

/// As [`LayerState::publish_step`].
fn publish(cell: CellQ, state: &mut LayerState<'_>) {
    let LayerState { master, h, y } = state;
    let (to, count) = (y.as_mut_ptr(), LANES * y.len());
    // SAFETY: `LayerState::new` has seen that all three are of as many units.
    unsafe {
        if let CellQ::Gru | CellQ::Rnn = cell {
            kinglet_rvv_outputs(to, master.as_ptr(), count);
        }
        match h {
            Hidden::I8(h) => kinglet_rvv_narrow(h.as_mut_ptr(), to, count),
            Hidden::I16(h) => h.copy_from_slice(y.as_flattened()),
        }
    }
}

fn curve_f(curve: Curve, z: &mut [Panel<f32>]) {
    let curve = match curve {
        Curve::Tanh => kinglet_rvv_tanh_f,
        Curve::Sigmoid => kinglet_rvv_sigmoid_f,
    };
    // SAFETY: of a slice.
    unsafe { curve(z.as_mut_ptr(), LANES * z.len(), &TANH) };
}

fn update_f(state: StateF<'_>, y: &mut [Panel<f32>], z: &[Panel<f32>]) {
    let (to, z, panels) = (y.as_mut_ptr(), z.as_ptr(), y.len());
    // SAFETY: the table's method has checked that there are a state and four of `z` for every `y`.
    unsafe {
        match state {
            StateF::Lstm(c) => kinglet_rvv_lstm_f(c.as_mut_ptr(), to, z, panels, &TANH),
            StateF::Gru(h) => kinglet_rvv_gru_f(to, h.as_ptr(), z, panels, &TANH),
        }
    }
}

// They keep to the calling convention: vector registers, their type and their rounding are the caller's to save, so no code
// around a call has anything in them.
unsafe extern "C" {
    /// Bytes of a register, or 0 in versions of the extension before 1.0.
    fn kinglet_rvv_bytes() -> usize;
    fn kinglet_rvv_i8_a8(
        sums: *mut Panel<i32>,
        w: *const i8,
        x: *const i8,
        rounds: usize,
        panels: usize,
    );
    fn kinglet_rvv_i8_a16(
        sums: *mut Panel<i32>,
        w: *const i8,
        x: *const i16,
        rounds: usize,
        panels: usize,
    );
    fn kinglet_rvv_i4_a8(
        sums: *mut Panel<i32>,
        w: *const u8,
        x: *const i8,
        rounds: usize,
        panels: usize,
    );
    fn kinglet_rvv_i4_a16(
        sums: *mut Panel<i32>,
        w: *const u8,
        x: *const i16,
        rounds: usize,
        panels: usize,
    );
    fn kinglet_rvv_f32(
        sums: *mut Panel<f32>,
        w: *const f32,
        x: *const f32,
        rounds: usize,
        panels: usize,
    );
    fn kinglet_rvv_f16(
        sums: *mut Panel<f32>,
        w: *const f16,
        x: *const f32,
        rounds: usize,
        panels: usize,
    );
    fn kinglet_rvv_requant(
        z: *mut Panel<i16>,
        sums: *const Panel<i32>,
        m: *const Panel<i32>,
        count: usize,
        shift: u32,
    );
    fn kinglet_rvv_curve(
        y: *mut Panel<i32>,
        z: *const Panel<i16>,
        count: usize,
        entries: *const i32,
        bits: u32,
    );
    fn kinglet_rvv_outputs(y: *mut Panel<i16>, master: *const Panel<i32>, count: usize);
    fn kinglet_rvv_narrow(h: *mut i8, y: *const Panel<i16>, count: usize);
    fn kinglet_rvv_lstm(
        c: *mut Panel<i32>,
        y: *mut Panel<i16>,
        z: *const Panel<i16>,
        panels: usize,
        sigmoid: *const i32,
        tanh: *const i32,
        bits: u32,
        cell_shift: u32,
    );
    fn kinglet_rvv_gru(
        h: *mut Panel<i32>,
        z: *const Panel<i16>,
        panels: usize,
        sigmoid: *const i32,
        tanh: *const i32,
        bits: u32,
    );
    fn kinglet_rvv_tanh_f(z: *mut Panel<f32>, count: usize, numbers: &Tanh);
    fn kinglet_rvv_sigmoid_f(z: *mut Panel<f32>, count: usize, numbers: &Tanh);
    fn kinglet_rvv_lstm_f(
        c: *mut Panel<f32>,
        y: *mut Panel<f32>,
        z: *const Panel<f32>,
        panels: usize,
        numbers: &Tanh,
    );
    fn kinglet_rvv_gru_f(
        next: *mut Panel<f32>,
        h: *const Panel<f32>,
        z: *const Panel<f32>,
        panels: usize,
        numbers: &Tanh,
    );
}
