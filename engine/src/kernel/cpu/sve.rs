//! AArch64 with the Scalable Vector Extension and registers of whole panels (Neoverse V1: 256 bits, A64FX: 512), detected at run time under
//! feature `std`. At 128 bits these products take as many instructions as NEON's, so such a CPU (Neoverse V2, N2) is left to them.
//!
//! Every format has blocks of 32 bytes, or of 16 in f16: a word for each row of a panel, multiplied by one word of the inputs. A register has
//! as many blocks of one panel as it is long, and `sdot` or `fmla` takes a word out of each quadword of another. So one `tbl` for all
//! panels arranges a register of inputs for four of weights: word `i` of the quadwords beside block `j` is word `i n + j`, where registers have
//! `n` blocks. Sums of blocks are added at the end, so a float's last bits depend on the length of the registers too. The code
//! is written for any length, which it asks for at each call, because a process may change its own.
//!
//! An input of 16 bits is two signed bytes, `x = 256 high + low`, where NEON needs a third product for an unsigned one: 255 of 65,536 values do not
//! come apart so, and inputs among which one of these is take NEON's way.
//!
//! A block of four panels, 128 products, takes 10 instructions in i8 and 14 in i16 at 256 bits and half of that at 512; with NEON
//! 14 and 31. All else is NEON's, and so is a batch where `smmla` has twice the products of `sdot`: at 256 bits.
//! SVE alone is no promise of NEON's `sdot`, which A64FX lacks.

use super::i8mm;
use super::neon::{self, NEON};
use super::quads;
use crate::kernel::definition::steps;
use crate::kernel::table::Table;
use crate::kernel::{
    BLOCK, CellQ, Curve, GATES, GateRows, Inputs, IntMatrix, Kernels, LANES, LayerState, Panel,
    Panels,
};
use crate::num::Tables;
use core::arch::{asm, global_asm};
use core::ptr::{null, null_mut};
use half::f16;

global_asm!(include_str!("sve.s"), options(raw));

pub(super) const SVE: Table = Table {
    name: "sve",
    fused: true,
    float_product,
    product,
    curve_q,
    update_q,
    step_q,
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
#[inline]
#[target_feature(enable = "sve")]
fn length() -> Option<usize> {
    let bytes: usize;
    // SAFETY: reads a length, each time anew.
    unsafe {
        asm!("rdvl {}, #1", out(reg) bytes, options(nomem, nostack, preserves_flags));
    }
    const PANEL: usize = size_of::<Panel<i32>>();
    bytes.is_multiple_of(PANEL).then_some(bytes / PANEL)
}

/// The functions of `sve.s`: they add to the sums of so many panels the products of their weights by blocks of inputs, less an offset if
/// weights have four bits.
macro_rules! functions {
    ($($name:ident)*) => {
        unsafe extern "C" {
            $(fn $name(
                sums: *mut u8,
                w: *const u8,
                x: *const u8,
                blocks: usize,
                panels: usize,
                offset: i32,
            );)*
        }
    };
}

functions! {
    kinglet_sve_a8
    kinglet_sve_a16
    kinglet_sve_w4a8
    kinglet_sve_w4a16
    kinglet_sve_f32
    kinglet_sve_f16
}

/// One of these.
type Function = unsafe extern "C" fn(*mut u8, *const u8, *const u8, usize, usize, i32);

/// `sums += W x` by a function whose blocks are so many inputs, and whose panels have so many weights per block.
///
/// # Safety
/// Registers have whole panels, and the function's weights and inputs are of these types and as many.
#[inline]
unsafe fn by_rows<S, W, X>(
    function: Function,
    (sums, panels): (&mut [Panel<S>], Panels),
    (w, per_block): (&[W], usize),
    (x, inputs): (&[X], usize),
    offset: i32,
) {
    let blocks = x.len() / inputs;
    let panel = per_block * blocks;
    let (row, stride) = quads::rows(panels, w.len() / panel);
    for (sums, w) in sums.chunks_mut(stride).zip(w.chunks_exact(row * panel)) {
        let (sums, w, x) = (&mut sums[..row], w.as_ptr().cast(), x.as_ptr().cast());
        // SAFETY: as many panels of sums and of weights, over as many blocks as there are; the rest is the caller's promise.
        unsafe { function(sums.as_mut_ptr().cast(), w, x, blocks, row, offset) };
    }
}

#[target_feature(enable = "neon,sve")]
fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    if length().is_none() {
        return neon::product(sums, w, x, panels);
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
            (w, x) => neon::product(sums.0, w, x, panels),
        }
    }
}

/// Whether each is two signed bytes: the upper one of `0x7f80` and on would be 128.
#[inline]
#[target_feature(enable = "neon,sve")]
fn come_apart(x: &[i16]) -> bool {
    x.iter().fold(i16::MIN, |most, &x| most.max(x)) < 0x7f80
}

float_product! { #[target_feature(enable = "neon,sve")] }

#[target_feature(enable = "neon,sve")]
fn gemv_f32(sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
    if length().is_none() {
        return neon::gemv_f32(sums, w, x, panels);
    }
    // SAFETY: registers have whole panels; a column is a weight for each row and an input.
    unsafe { by_rows(kinglet_sve_f32, (sums, panels), (w, LANES), (x, 1), 0) };
}

#[target_feature(enable = "neon,sve")]
fn gemv_f16(sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
    if length().is_none() {
        return neon::gemv_f16(sums, w, x, panels);
    }
    // SAFETY: as in `gemv_f32`.
    unsafe { by_rows(kinglet_sve_f16, (sums, panels), (w, LANES), (x, 1), 0) };
}

unsafe extern "C" {
    fn kinglet_sve_lstm(
        c: *mut Panel<i32>,
        y: *mut Panel<i16>,
        z: *const Panel<i16>,
        panels: usize,
        sigmoid: *const i32,
        tanh: *const i32,
        bits: u32,
        cell_shift: u32,
    );
    fn kinglet_sve_gru(
        h: *mut Panel<i32>,
        y: *mut Panel<i16>,
        z: *const Panel<i16>,
        panels: usize,
        sigmoid: *const i32,
        tanh: *const i32,
        bits: u32,
    );
    fn kinglet_sve_curve(
        y: *mut Panel<i32>,
        _: *mut Panel<i16>,
        z: *const Panel<i16>,
        panels: usize,
        entries: *const i32,
        _: *const i32,
        bits: u32,
    );
}

#[target_feature(enable = "neon,sve")]
fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    if length().is_none() {
        return neon::curve_q(curve, y, z, tables);
    }
    let panels = y.len().min(z.len());
    if panels > 0 {
        let (y, z, entries) = (y.as_mut_ptr(), z.as_ptr(), curve.entries(tables).as_ptr());
        // SAFETY: registers have whole panels, and `Tables::new` has seen an entry for all of these bits.
        unsafe { kinglet_sve_curve(y, null_mut(), z, panels, entries, null(), tables.bits()) };
    }
}

update_q! { #[target_feature(enable = "neon,sve")] }

#[target_feature(enable = "neon,sve")]
fn lstm(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    if length().is_none() {
        return neon::lstm(c, y, z, tables, cell_shift);
    }
    let panels = c.len().min(y.len()).min(z.len() / GATES);
    if panels > 0 {
        // SAFETY: as in `curve_q`; four panels of gates for each of units.
        unsafe {
            kinglet_sve_lstm(
                c.as_mut_ptr(),
                y.as_mut_ptr(),
                z.as_ptr(),
                panels,
                tables.sigmoid_entries().as_ptr(),
                tables.tanh_entries().as_ptr(),
                tables.bits(),
                cell_shift as u32,
            );
        }
    }
}

#[target_feature(enable = "neon,sve")]
fn gru(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    if length().is_none() {
        return neon::gru(h, z, tables);
    }
    let panels = h.len().min(z.len() / GATES);
    if panels > 0 {
        // SAFETY: as in `lstm`.
        unsafe {
            kinglet_sve_gru(
                h.as_mut_ptr(),
                null_mut(),
                z.as_ptr(),
                panels,
                tables.sigmoid_entries().as_ptr(),
                tables.tanh_entries().as_ptr(),
                tables.bits(),
            );
        }
    }
}

#[target_feature(enable = "neon,sve")]
fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    if length() == Some(1) && i8mm::has_i8mm() {
        // SAFETY: the CPU has the features.
        unsafe { i8mm::step_q(k, cell, states, gates, x, tables) };
    } else {
        steps::step_q(k, cell, states, gates, x, tables);
    }
}
