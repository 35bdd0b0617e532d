//! Integer steps of several streams with the matrix products of Armv8.6 (`smmla`), detected at run time under feature `std`: two rows of
//! weights by two streams, eight columns long, in one instruction.
//!
//! Eight columns of a row are two blocks, which lie 32 bytes apart, so two rows come together in a register by `zip1` or `zip2`. Four
//! streams share these registers, and two panels the inputs: 512 products take 38 instructions, 16 of them `smmla`, where a stream
//! after the other takes 56, 32 of them `sdot`. What has inputs of 16 bits, or weights of four, is multiplied stream by stream.

use super::neon::{NEON_DOTPROD, has_dotprod};
use super::quads::Weights;
use crate::kernel::definition::steps;
use crate::kernel::table::Table;
use crate::kernel::{
    BLOCK, CellQ, GateRows, Inputs, IntMatrix, Kernels, LANES, LayerState, MAX_PANELS, Panel,
    Panels, tiles,
};
use crate::num::Tables;
use core::arch::aarch64::*;
use core::arch::asm;
use core::ops::Range;

pub(super) const NEON_I8MM: Table = Table {
    name: "neon-i8mm",
    step_q,
    ..NEON_DOTPROD
};

/// This CPU runs [`NEON_I8MM`].
pub(super) fn has_i8mm() -> bool {
    #[cfg(feature = "std")]
    let detected = std::arch::is_aarch64_feature_detected!("i8mm");
    #[cfg(not(feature = "std"))]
    let detected = cfg!(target_feature = "i8mm");
    detected && has_dotprod()
}

/// Streams that share a load of weights.
const SHARE: usize = 4;
/// Columns of an instruction.
const COLUMNS: usize = 2 * BLOCK;

/// Sums of a tile, stream by stream.
type Sums = [[Panel<i32>; MAX_PANELS]; SHARE];

#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) fn step_q(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    let (groups, rest) = states.as_chunks_mut();
    let (inputs, rest_inputs) = x.as_chunks();
    for (group, x) in groups.iter_mut().zip(inputs) {
        step_group(k, cell, group, gates, x, tables);
    }
    steps::step_q(k, cell, rest, gates, rest_inputs, tables);
}

#[target_feature(enable = "neon,dotprod,i8mm")]
fn step_group(
    k: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>; SHARE],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>; SHARE],
    tables: &Tables,
) {
    let [ih, hh, stride] = gates.order.panels();
    let mut sums = [[[0; LANES]; MAX_PANELS]; SHARE];
    let mut z = [[0; LANES]; MAX_PANELS];
    for tile in tiles(gates.units) {
        let part = gates.part(&tile);
        let panels = part.bias.len();
        for sums in &mut sums {
            sums[..panels].copy_from_slice(part.bias);
        }
        let all = 0..panels;
        product(k, &mut sums, all, part.w_ih, x, Panels::new(ih, stride));
        if hh > 0 {
            let h = states.each_ref();
            let h = h.map(|state| state.h.inputs(gates.columns[1]));
            let last = stride - hh..panels;
            product(k, &mut sums, last, part.w_hh, &h, Panels::new(hh, stride));
        }
        for (state, sums) in states.iter_mut().zip(&sums) {
            let z = &mut z[..panels];
            k.requant(z, &sums[..panels], part.m, part.shift);
            let (master, y) = (&mut state.master[tile.clone()], &mut state.y[tile.clone()]);
            k.update_q(cell, master, y, z, tables);
        }
    }
    for state in states {
        state.publish_step(cell);
    }
}

/// `sums += W x` for these sums of every stream.
#[target_feature(enable = "neon,dotprod,i8mm")]
fn product(
    k: &Kernels,
    sums: &mut Sums,
    range: Range<usize>,
    w: IntMatrix<'_>,
    x: &[Inputs<'_>; SHARE],
    panels: Panels,
) {
    let (IntMatrix::I8(w), [Inputs::I8(a), Inputs::I8(b), Inputs::I8(c), Inputs::I8(d)]) = (w, x)
    else {
        for (sums, &x) in sums.iter_mut().zip(x) {
            k.product(&mut sums[range.clone()], w, x, panels);
        }
        return;
    };
    let x: [&[i8]; SHARE] = [a, b, c, d];
    let panel = LANES * a.len();
    let firsts = range.step_by(panels.stride);
    for (first, w) in firsts.zip(w.chunks_exact(panels.group * panel)) {
        for (two, w) in w.chunks(2 * panel).enumerate() {
            let first = first + 2 * two;
            match w.len() / panel {
                2 => add_panels::<2>(sums, first, w, x),
                _ => add_panels::<1>(sums, first, w, x),
            }
        }
    }
}

/// Adds the rows of some panels by every stream to the sums from `first` on.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
fn add_panels<const N: usize>(sums: &mut Sums, first: usize, w: &[i8], x: [&[i8]; SHARE]) {
    let w = Weights::<_, N>::new(w, LANES * x[0].len());
    let mut total = [[[vdupq_n_s32(0); SHARE / 2]; LANES / 2]; N];
    let [a, b, c, d] = x.map(|x| x.as_chunks::<COLUMNS>());
    let columns = a.0.iter().zip(b.0).zip(c.0.iter().zip(d.0));
    for (at, ((&a, &b), (&c, &d))) in columns.enumerate() {
        let x = bytemuck::cast([[a, b], [c, d]]);
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: `Weights::new` has seen eight weights for every input, so two blocks for every eight inputs.
            let w: [i8; LANES * COLUMNS] = unsafe { w.read(n, at) };
            add_products(total, bytemuck::cast(w), x);
        }
    }
    if !a.1.is_empty() {
        // The second block is zeros.
        let wide = |(_, x): (_, &[i8])| {
            let mut both = [0; COLUMNS];
            both[..BLOCK].copy_from_slice(x);
            both
        };
        let x = bytemuck::cast([[wide(a), wide(b)], [wide(c), wide(d)]]);
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: as above; columns are whole blocks, so one is left behind the twos.
            let w: [i8; LANES * BLOCK] = unsafe { w.read(n, 2 * a.0.len()) };
            let [upper, lower] = bytemuck::cast(w);
            let none = vdupq_n_s32(0);
            add_products(total, [upper, lower, none, none], x);
        }
    }
    for (n, [[r0, s0], [r1, s1], [r2, s2], [r3, s3]]) in total.into_iter().enumerate() {
        let streams: [Panel<i32>; SHARE] = bytemuck::cast([
            [vuzp1q_s32(r0, r1), vuzp1q_s32(r2, r3)],
            [vuzp2q_s32(r0, r1), vuzp2q_s32(r2, r3)],
            [vuzp1q_s32(s0, s1), vuzp1q_s32(s2, s3)],
            [vuzp2q_s32(s0, s1), vuzp2q_s32(s2, s3)],
        ]);
        for (sums, products) in sums.iter_mut().zip(streams) {
            for (sum, product) in sums[first + n].iter_mut().zip(products) {
                *sum = sum.wrapping_add(product);
            }
        }
    }
}

/// Adds products of eight columns, whose weights are two blocks of two registers each, to pairs of rows by pairs of streams.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
fn add_products(
    total: &mut [[int32x4_t; SHARE / 2]; LANES / 2],
    [a, b, c, d]: [int32x4_t; 4],
    x: [int8x16_t; SHARE / 2],
) {
    let rows = [
        vzip1q_s32(a, c),
        vzip2q_s32(a, c),
        vzip1q_s32(b, d),
        vzip2q_s32(b, d),
    ];
    for (total, rows) in total.iter_mut().zip(rows) {
        for (total, x) in total.iter_mut().zip(x) {
            *total = smmla(*total, vreinterpretq_s8_s32(rows), x);
        }
    }
}

/// Adds the products of two rows of `w` by two of `x`, of eight bytes each.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
fn smmla(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    let result;
    // SAFETY: arithmetic on registers, by an instruction of the feature that the function enables.
    unsafe {
        asm!(
            "smmla {sum:v}.4s, {w:v}.16b, {x:v}.16b",
            sum = inlateout(vreg) sum => result,
            w = in(vreg) w,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
}
