//! AArch64 with the Scalable Vector Extension and registers of whole panels (Neoverse V1: 256 bits, A64FX: 512), detected at run time under
//! feature `std`. The assembler is written for any such length, and asks for it at each call, because a thread may change its own.
//!
//! At 128 bits (Neoverse V2 and N2) there is nothing to gain: a register is half a block, as of NEON, which loads two by one instruction. Such a CPU
//! is left to NEON, and so is a thread whose registers are no longer whole panels.
//!
//! Every format has blocks of 32 bytes, or of 16 in f16: a word for each row of a panel, multiplied by one word of the inputs. A register has
//! `n` blocks of one panel, and `sdot` or `fmla` takes a word out of each quadword of another. So one `tbl` arranges a register of inputs
//! for four of weights, and for all panels: word `i` of the quadwords beside block `j` is word `i n + j`. The sums of `n` blocks are added at
//! the end, so that a float's last bits depend on the length.
//!
//! An input of 16 bits is two signed bytes, `x = 256 high + low`, where NEON takes an unsigned one and a third product to make up for it. The
//! upper 128 of 65,536 values do not come apart so: inputs with one of them take NEON's way.
//!
//! A block of four panels, 128 products, takes 10 instructions in i8 and 16 in i16 at 256 bits, and half of that at 512, where NEON with its own
//! `sdot`, which SVE does not promise (A64FX has none), takes 14 and 31. Updates look up by gathers, 70 instructions for a panel of an
//! LSTM's units instead of 210, and have one panel in a register whatever its length. Steps of an LSTM (64, 128):
//!
//! | | NEON with `sdot` | 256 bits | 512 bits |
//! |---|---|---|---|
//! | w8a8 | 19,312 | 14,455 | 10,945 |
//! | w8a16 | 34,107 | 18,938 | 13,412 |
//! | w4a8 | 24,088 | 16,015 | 12,121 |
//! | f32 | 87,792 | 37,160 | 21,896 |
//!
//! Batches are stream after stream, but for 256 bits beside `smmla`, which has as many products in NEON's registers as `sdot` has here, and loads
//! weights for four streams at once.

use super::i8mm;
use super::neon::NEON;
use super::quads;
use crate::kernel::definition::{cells, steps};
use crate::kernel::table::Table;
use crate::kernel::{
    BLOCK, CellQ, Curve, FloatMatrix, GATES, GateRows, Inputs, IntMatrix, Kernels, LANES,
    LayerState, Panel, Panels, StateF, Streams,
};
use crate::num::Tables;
use crate::num::float::{TANH, Tanh};
use core::arch::{asm, global_asm};

global_asm!(include_str!("sve.s"), options(raw));

pub(super) const SVE: Table = Table {
    name: "sve",
    fused: true,
    float_product,
    product,
    curve_q,
    update_q,
    step_q,
    curve_f,
    update_f,
    ..NEON
};

/// This CPU runs [`SVE`], and better than NEON.
pub(super) fn has_sve() -> bool {
    #[cfg(feature = "std")]
    let detected = std::arch::is_aarch64_feature_detected!("sve");
    #[cfg(not(feature = "std"))]
    let detected = cfg!(target_feature = "sve");
    // SAFETY: the CPU has the feature.
    detected && unsafe { length() }.is_some()
}

/// Panels in a register, if it has whole ones.
///
/// No function here is compiled for the feature: a compiler's own loops would rely on a length that is a power of two and stays.
///
/// # Safety
/// The CPU has SVE.
#[inline(always)]
unsafe fn length() -> Option<usize> {
    const PANEL: usize = size_of::<Panel<i32>>();
    let bytes: usize;
    // SAFETY: reads a length, each time anew.
    unsafe {
        asm!(
            ".inst 0x04bf5020 // rdvl x0, #1",
            out("x0") bytes,
            options(nomem, nostack, preserves_flags),
        );
    }
    bytes.is_multiple_of(PANEL).then_some(bytes / PANEL)
}

/// Functions of `sve.s` that take the same.
macro_rules! functions {
    ($type:ident: fn $arguments:tt; $($name:ident)*) => {
        unsafe extern "C" {
            $(fn $name $arguments;)*
        }
        type $type = unsafe extern "C" fn $arguments;
    };
}

functions! {
    // Add the products of so many panels; with weights of four bits less an offset.
    Product: fn(sums: *mut u8, w: *const u8, x: *const u8, blocks: usize, panels: usize, offset: i32);
    kinglet_sve_a8
    kinglet_sve_a16
    kinglet_sve_w4a8
    kinglet_sve_w4a16
    kinglet_sve_f32
    kinglet_sve_f16
}

functions! {
    // Of a panel at least. A GRU writes no outputs.
    UpdateQ: fn(
        master: *mut Panel<i32>,
        y: *mut Panel<i16>,
        z: *const Panel<i16>,
        panels: usize,
        sigmoid: *const i32,
        tanh: *const i32,
        bits: u32,
        cell_shift: u32
    );
    kinglet_sve_lstm
    kinglet_sve_gru
}

functions! {
    // Of a panel at least. A GRU's states are read only.
    UpdateF: fn(
        state: *mut Panel<f32>,
        y: *mut Panel<f32>,
        z: *const Panel<f32>,
        panels: usize,
        numbers: &Tanh
    );
    kinglet_sve_lstm_f
    kinglet_sve_gru_f
}

functions! {
    // Of a panel at least.
    CurveF: fn(z: *mut Panel<f32>, panels: usize, numbers: &Tanh);
    kinglet_sve_tanh
    kinglet_sve_sigmoid
}

unsafe extern "C" {
    // Of a panel at least.
    fn kinglet_sve_curve(
        y: *mut Panel<i32>,
        z: *const Panel<i16>,
        panels: usize,
        entries: *const i32,
        bits: u32,
    );
}

/// `sums += W x` by a function whose blocks are so many inputs, and whose panels have so many weights per block.
///
/// # Safety
/// Registers have whole panels, and the function's weights and inputs are of these types and as many.
#[inline]
unsafe fn by_rows<S, W, X>(
    function: Product,
    (sums, panels): (&mut [Panel<S>], Panels),
    (w, per_block): (&[W], usize),
    (x, inputs): (&[X], usize),
    offset: i32,
) {
    let blocks = x.len() / inputs;
    let panel = per_block * blocks;
    let Panels { group, stride } = panels.joined(w.len() / panel);
    for (sums, w) in sums.chunks_mut(stride).zip(w.chunks_exact(group * panel)) {
        let (sums, w, x) = (&mut sums[..group], w.as_ptr().cast(), x.as_ptr().cast());
        // SAFETY: as many panels of sums and of weights, over as many blocks as there are; the rest is the caller's promise.
        unsafe { function(sums.as_mut_ptr().cast(), w, x, blocks, group, offset) };
    }
}

unsafe fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    // SAFETY: a CPU that runs the table, and so NEON's.
    unsafe {
        if length().is_none() {
            return (NEON.product)(sums, w, x, panels);
        }
    }
    let sums = (sums, panels);
    const BYTES: usize = LANES * BLOCK;
    const TWO: usize = 2 * BLOCK;
    // SAFETY: registers have whole panels; the numbers are those of the format.
    unsafe {
        match (w, x) {
            (IntMatrix::I8(w), Inputs::I8(x)) => {
                by_rows(kinglet_sve_a8, sums, (w, BYTES), (x, BLOCK), 0);
            }
            (IntMatrix::I8(w), Inputs::I16(x)) if come_apart(x) => {
                by_rows(kinglet_sve_a16, sums, (w, BYTES), (x, BLOCK), 0);
            }
            (IntMatrix::I4(w), Inputs::I8(x)) => {
                let offset = quads::offset(x);
                by_rows(kinglet_sve_w4a8, sums, (w, BYTES), (x, TWO), offset);
            }
            (IntMatrix::I4(w), Inputs::I16(x)) if come_apart(x) => {
                let offset = quads::offset(x);
                by_rows(kinglet_sve_w4a16, sums, (w, BYTES), (x, TWO), offset);
            }
            (w, x) => (NEON.product)(sums.0, w, x, panels),
        }
    }
}

/// Whether each is two signed bytes: the upper one of `0x7f80` and on would be 128.
fn come_apart(x: &[i16]) -> bool {
    x.iter().fold(i16::MIN, |most, &x| most.max(x)) < 0x7f80
}

unsafe fn float_product(
    sums: &mut [Panel<f32>],
    w: FloatMatrix<'_>,
    streams: Streams<'_>,
    panels: Panels,
) {
    // SAFETY: a CPU that runs the table, and so NEON's.
    unsafe {
        if length().is_none() {
            return (NEON.float_product)(sums, w, streams, panels);
        }
    }
    for (stream, x) in streams.x.iter().enumerate() {
        let sums = (&mut sums[stream * streams.pitch..], panels);
        // SAFETY: registers have whole panels; a column is a weight for each row and an input.
        unsafe {
            match w {
                FloatMatrix::F32(w) => by_rows(kinglet_sve_f32, sums, (w, LANES), (x, 1), 0),
                FloatMatrix::F16(w) => by_rows(kinglet_sve_f16, sums, (w, LANES), (x, 1), 0),
            }
        }
    }
}

unsafe fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    // SAFETY: a CPU that runs the table, and so NEON's.
    unsafe {
        if length().is_none() {
            return (NEON.curve_q)(curve, y, z, tables);
        }
    }
    let panels = y.len().min(z.len());
    if panels > 0 {
        let (y, z, entries) = (y.as_mut_ptr(), z.as_ptr(), curve.entries(tables).as_ptr());
        // SAFETY: registers have whole panels, and `Tables::new` has seen an entry for all of these bits.
        unsafe { kinglet_sve_curve(y, z, panels, entries, tables.bits()) };
    }
}

unsafe fn update_q(
    cell: CellQ,
    master: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
) {
    // SAFETY: a CPU that runs the table, and so NEON's.
    unsafe {
        if length().is_none() {
            return (NEON.update_q)(cell, master, y, z, tables);
        }
    }
    let (function, cell_shift): (UpdateQ, _) = match cell {
        CellQ::Lstm { cell_shift } => (kinglet_sve_lstm, cell_shift),
        CellQ::Gru => (kinglet_sve_gru, 0),
        CellQ::Rnn => {
            // SAFETY: a CPU that runs the table.
            unsafe { curve_q(Curve::Tanh, master, z, tables) };
            return cells::quarter(master);
        }
    };
    let panels = master.len().min(y.len()).min(z.len() / GATES);
    if panels > 0 {
        let [sigmoid, tanh] = [tables.sigmoid_entries(), tables.tanh_entries()];
        // SAFETY: as in `curve_q`; there are as many panels of all, and of gates four times as many.
        unsafe {
            function(
                master.as_mut_ptr(),
                y.as_mut_ptr(),
                z.as_ptr(),
                panels,
                sigmoid.as_ptr(),
                tanh.as_ptr(),
                tables.bits(),
                cell_shift as u32,
            );
        }
    }
}

unsafe fn curve_f(curve: Curve, z: &mut [Panel<f32>]) {
    // SAFETY: a CPU that runs the table, and so NEON's.
    unsafe {
        if length().is_none() {
            return (NEON.curve_f)(curve, z);
        }
    }
    let function: CurveF = match curve {
        Curve::Tanh => kinglet_sve_tanh,
        Curve::Sigmoid => kinglet_sve_sigmoid,
    };
    if !z.is_empty() {
        // SAFETY: registers have whole panels.
        unsafe { function(z.as_mut_ptr(), z.len(), &TANH) };
    }
}

unsafe fn update_f(state: StateF<'_>, y: &mut [Panel<f32>], z: &[Panel<f32>]) {
    // SAFETY: a CPU that runs the table, and so NEON's.
    unsafe {
        if length().is_none() {
            return (NEON.update_f)(state, y, z);
        }
    }
    let panels = state.units().min(y.len()).min(z.len() / GATES);
    let (function, state): (UpdateF, _) = match state {
        StateF::Lstm(c) => (kinglet_sve_lstm_f, c.as_mut_ptr()),
        StateF::Gru(h) => (kinglet_sve_gru_f, h.as_ptr().cast_mut()),
    };
    if panels > 0 {
        // SAFETY: as in `update_q`.
        unsafe { function(state, y.as_mut_ptr(), z.as_ptr(), panels, &TANH) };
    }
}

unsafe fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    // SAFETY: a CPU that runs the table.
    if unsafe { length() } == Some(1) && i8mm::has_i8mm() {
        // SAFETY: the CPU has the features.
        unsafe { i8mm::step_q(k, cell, states, gates, x, tables) };
    } else {
        steps::step_q(k, cell, states, gates, x, tables);
    }
}
