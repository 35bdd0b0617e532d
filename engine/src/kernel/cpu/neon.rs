//! AArch64 tables: NEON, which every such CPU has, and the dot products of Armv8.2 (`sdot`), detected at
//! run time under feature `std`.
//!
//! Without `sdot`, i8 products are made in 16 bits and added in pairs to 32 (`smull`, `sadalp`): two products of
//! −128 · −128 do not fit in 16 bits, so there is no `smlal` between them. i16 inputs take `smlal` after
//! widening the weights.
//!
//! With it, an i16 input is two signed bytes, `x = 256 high + (low − 128) + 128`, so a product takes three `sdot`:
//! the third sums the weights, for the constant.
//!
//! Weights of four bits are bytes from 0 to 15 after a mask or a shift: four products fit in 16 bits, and `sdot` takes
//! them as they are.
//!
//! A block of four panels, 128 products, takes 42 instructions in i8 and 62 in i16; with `sdot` 14 and 31.
//!
//! Multiply and add of floats stay separate. Float activations are those of `wide`, which is NEON here.

use super::quads::{Weights, by_four, by_four_w4};
use super::wide::WIDE;
use crate::kernel::definition::products;
use crate::kernel::table::Table;
use crate::kernel::{BLOCK, Curve, Inputs, IntMatrix, LANES, Panel, Panels};
use crate::num::Tables;
use core::arch::aarch64::*;
use core::arch::asm;
use half::f16;

pub(super) const NEON: Table = Table {
    name: "neon",
    float_product,
    product,
    requant,
    curve_q,
    update_q,
    ..WIDE
};

pub(super) const NEON_DOTPROD: Table = Table {
    name: "neon-dotprod",
    product: product_sdot,
    ..NEON
};

/// This CPU runs [`NEON_DOTPROD`].
pub(super) fn has_dotprod() -> bool {
    #[cfg(feature = "std")]
    {
        std::arch::is_aarch64_feature_detected!("dotprod")
    }
    #[cfg(not(feature = "std"))]
    {
        cfg!(target_feature = "dotprod")
    }
}

float_product! { #[target_feature(enable = "neon")] }

#[target_feature(enable = "neon")]
fn gemv_f32(sums: &mut [Panel<f32>], w: &[f32], x: &[f32], panels: Panels) {
    by_four!(panels_f32, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "neon")]
fn panels_f32<const N: usize>(sums: &mut [Panel<f32>; N], w: Weights<'_, f32, N>, x: &[f32]) {
    let mut total: [[float32x4_t; 2]; N] = sums.map(bytemuck::cast);
    for (column, &x) in x.iter().enumerate() {
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has a column of eight for every input.
            let w: [float32x4_t; 2] = bytemuck::cast(unsafe { w.read::<LANES>(n, column) });
            *total = add_product(*total, w, x);
        }
    }
    *sums = total.map(bytemuck::cast);
}

#[inline]
#[target_feature(enable = "neon")]
fn add_product(total: [float32x4_t; 2], w: [float32x4_t; 2], x: f32) -> [float32x4_t; 2] {
    [
        vaddq_f32(total[0], vmulq_n_f32(w[0], x)),
        vaddq_f32(total[1], vmulq_n_f32(w[1], x)),
    ]
}

#[target_feature(enable = "neon")]
fn gemv_f16(sums: &mut [Panel<f32>], w: &[f16], x: &[f32], panels: Panels) {
    by_four!(panels_f16, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "neon")]
fn panels_f16<const N: usize>(sums: &mut [Panel<f32>; N], w: Weights<'_, f16, N>, x: &[f32]) {
    let mut total: [[float32x4_t; 2]; N] = sums.map(bytemuck::cast);
    for (column, &x) in x.iter().enumerate() {
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has a column of eight for every input.
            let w = bytemuck::cast(unsafe { w.read::<LANES>(n, column) });
            *total = add_product(*total, widen_f16(w), x);
        }
    }
    *sums = total.map(bytemuck::cast);
}

/// By `fcvtl`, which every AArch64 CPU has, but `core::arch` only from a later release on.
#[inline]
#[target_feature(enable = "neon")]
fn widen_f16(halves: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high);
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "fcvtl {low:v}.4s, {halves:v}.4h",
            "fcvtl2 {high:v}.4s, {halves:v}.8h",
            low = out(vreg) low,
            high = lateout(vreg) high,
            halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [low, high]
}

#[target_feature(enable = "neon")]
fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv_a8(sums, w, x, panels),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv_a16(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I8(x)) => gemv_w4a8(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I16(x)) => gemv_w4a16(sums, w, x, panels),
        (w, x) => products::product(sums, w, x, panels),
    }
}

#[target_feature(enable = "neon")]
fn gemv_a8(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    by_four!(panels_a8, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "neon")]
fn panels_a8<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, i8, N>, x: &[i8]) {
    // Two rows in each register: lanes 2r and 2r + 1 hold half of a row's sum.
    let mut total = [[vdupq_n_s32(0); 4]; N];
    for (block, &x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        let x = opaque(repeat(x));
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has a block for every four inputs.
            let w: [int8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(n, block) });
            for half in 0..2 {
                let first = vmull_s8(vget_low_s8(w[half]), vget_low_s8(x));
                let second = vmull_high_s8(w[half], x);
                total[2 * half] = vpadalq_s16(total[2 * half], first);
                total[2 * half + 1] = vpadalq_s16(total[2 * half + 1], second);
            }
        }
    }
    for (sum, [a, b, c, d]) in sums.iter_mut().zip(total) {
        add(sum, [vpaddq_s32(a, b), vpaddq_s32(c, d)]);
    }
}

/// The four inputs of a block, once per row.
#[inline]
#[target_feature(enable = "neon")]
fn repeat(x: [i8; BLOCK]) -> int8x16_t {
    vreinterpretq_s8_s32(vdupq_n_s32(bytemuck::cast(x)))
}

/// Hides that both halves are the same: LLVM would use the lower one twice, and move upper halves of weights
/// down to it instead of multiplying them where they are (`smull2`, `smlal2`).
#[inline]
#[target_feature(enable = "neon")]
fn opaque(mut x: int8x16_t) -> int8x16_t {
    // SAFETY: does nothing.
    unsafe {
        asm!("/* {0:v} */", inlateout(vreg) x, options(pure, nomem, nostack, preserves_flags))
    };
    x
}

#[inline]
#[target_feature(enable = "neon")]
fn add(sum: &mut Panel<i32>, rows: [int32x4_t; 2]) {
    let old: [int32x4_t; 2] = bytemuck::cast(*sum);
    *sum = bytemuck::cast([vaddq_s32(old[0], rows[0]), vaddq_s32(old[1], rows[1])]);
}

#[target_feature(enable = "neon")]
fn gemv_a16(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    by_four!(panels_a16, sums, w, x, panels);
}

/// Two panels at a time: they need sixteen of the 32 registers for sums.
#[inline]
#[target_feature(enable = "neon")]
fn panels_a16<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, i8, N>, x: &[i16]) {
    let (pairs, rest) = sums.as_chunks_mut::<2>();
    for (pair, sums) in pairs.iter_mut().enumerate() {
        rows_a16(sums, w, 2 * pair, x);
    }
    if let [sums] = rest {
        rows_a16(core::array::from_mut(sums), w, N - 1, x);
    }
}

/// `M` panels from panel `first` on; a register for each row.
#[inline]
#[target_feature(enable = "neon")]
fn rows_a16<const M: usize, const N: usize>(
    sums: &mut [Panel<i32>; M],
    w: Weights<'_, i8, N>,
    first: usize,
    x: &[i16],
) {
    let mut total = [[vdupq_n_s32(0); LANES]; M];
    for (block, &x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        let x = opaque(vreinterpretq_s8_s64(vdupq_n_s64(bytemuck::cast(x))));
        let x = vreinterpretq_s16_s8(x);
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has a block for every four inputs.
            let w: [int8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(first + n, block) });
            for half in 0..2 {
                let pairs = [vmovl_s8(vget_low_s8(w[half])), vmovl_high_s8(w[half])];
                for (pair, w) in pairs.into_iter().enumerate() {
                    let row = 4 * half + 2 * pair;
                    total[row] = vmlal_s16(total[row], vget_low_s16(w), vget_low_s16(x));
                    total[row + 1] = vmlal_high_s16(total[row + 1], w, x);
                }
            }
        }
    }
    for (sum, [a, b, c, d, e, f, g, h]) in sums.iter_mut().zip(total) {
        let upper = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
        let lower = vpaddq_s32(vpaddq_s32(e, f), vpaddq_s32(g, h));
        add(sum, [upper, lower]);
    }
}

/// Lower and upper halves of bytes.
#[inline]
#[target_feature(enable = "neon")]
fn nibbles(w: uint8x16_t) -> [int8x16_t; 2] {
    let low = vandq_u8(w, vdupq_n_u8(0x0f));
    [
        vreinterpretq_s8_u8(low),
        vreinterpretq_s8_u8(vshrq_n_u8::<4>(w)),
    ]
}

#[target_feature(enable = "neon")]
fn gemv_w4a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    by_four_w4!(panels_w4a8, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "neon")]
fn panels_w4a8<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, u8, N>,
    (x, offset): (&[i8], i32),
) {
    // As in `panels_a8`.
    let mut total = [[vdupq_n_s32(0); 4]; N];
    for (two, &x) in x.as_chunks::<{ 2 * BLOCK }>().0.iter().enumerate() {
        let [even, odd]: [[i8; BLOCK]; 2] = bytemuck::cast(x);
        let (even, odd) = (opaque(repeat(even)), opaque(repeat(odd)));
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has 32 bytes for every eight inputs.
            let w: [uint8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(n, two) });
            for half in 0..2 {
                let [low, high] = nibbles(w[half]);
                let first = vmull_s8(vget_low_s8(low), vget_low_s8(even));
                let first = vmlal_s8(first, vget_low_s8(high), vget_low_s8(odd));
                let second = vmlal_high_s8(vmull_high_s8(low, even), high, odd);
                total[2 * half] = vpadalq_s16(total[2 * half], first);
                total[2 * half + 1] = vpadalq_s16(total[2 * half + 1], second);
            }
        }
    }
    let offset = vdupq_n_s32(offset);
    for (sum, [a, b, c, d]) in sums.iter_mut().zip(total) {
        let rows = [vpaddq_s32(a, b), vpaddq_s32(c, d)];
        add(sum, rows.map(|rows| vsubq_s32(rows, offset)));
    }
}

#[target_feature(enable = "neon")]
fn gemv_w4a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    by_four_w4!(panels_w4a16, sums, w, x, panels);
}

/// One panel at a time, a register for each row.
#[inline]
#[target_feature(enable = "neon")]
fn panels_w4a16<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, u8, N>,
    (x, offset): (&[i16], i32),
) {
    for (n, sum) in sums.iter_mut().enumerate() {
        let mut total = [vdupq_n_s32(0); LANES];
        for (two, &x) in x.as_chunks::<{ 2 * BLOCK }>().0.iter().enumerate() {
            let x: int16x8_t = bytemuck::cast(x);
            // SAFETY: a panel has 32 bytes for every eight inputs.
            let w: [uint8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(n, two) });
            for half in 0..2 {
                let [low, high] = nibbles(w[half]);
                let pairs = [
                    (vmovl_s8(vget_low_s8(low)), vmovl_s8(vget_low_s8(high))),
                    (vmovl_high_s8(low), vmovl_high_s8(high)),
                ];
                for (pair, (low, high)) in pairs.into_iter().enumerate() {
                    let row = 4 * half + 2 * pair;
                    let first = vmlal_s16(total[row], vget_low_s16(low), vget_low_s16(x));
                    total[row] = vmlal_s16(first, vget_low_s16(high), vget_high_s16(x));
                    let second = vmlal_s16(total[row + 1], vget_high_s16(low), vget_low_s16(x));
                    total[row + 1] = vmlal_high_s16(second, high, x);
                }
            }
        }
        let [a, b, c, d, e, f, g, h] = total;
        let upper = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
        let lower = vpaddq_s32(vpaddq_s32(e, f), vpaddq_s32(g, h));
        let offset = vdupq_n_s32(offset);
        add(sum, [vsubq_s32(upper, offset), vsubq_s32(lower, offset)]);
    }
}

/// Adds the products of four bytes to each lane: 16 of `w` by those in lane `LANE` of `x`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const LANE: usize>(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    let result;
    // SAFETY: arithmetic on registers, by an instruction of the feature that the function enables.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            sum = inlateout(vreg) sum => result,
            w = in(vreg) w,
            x = in(vreg) x,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
}

#[target_feature(enable = "neon,dotprod")]
fn product_sdot(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv_a8_sdot(sums, w, x, panels),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv_a16_sdot(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I8(x)) => gemv_w4a8_sdot(sums, w, x, panels),
        (IntMatrix::I4(w), Inputs::I16(x)) => gemv_w4a16_sdot(sums, w, x, panels),
        (w, x) => products::product(sums, w, x, panels),
    }
}

#[target_feature(enable = "neon,dotprod")]
fn gemv_a8_sdot(sums: &mut [Panel<i32>], w: &[i8], x: &[i8], panels: Panels) {
    by_four!(panels_a8_sdot, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn panels_a8_sdot<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, i8, N>, x: &[i8]) {
    let mut total: [[int32x4_t; 2]; N] = sums.map(bytemuck::cast);
    let (fours, rest) = x.as_chunks::<{ 4 * BLOCK }>();
    for (four, &x) in fours.iter().enumerate() {
        let x: int8x16_t = bytemuck::cast(x);
        // SAFETY: a panel has a block for every four inputs, so four for every 16.
        unsafe {
            block_a8::<0, N>(&mut total, w, 4 * four, x);
            block_a8::<1, N>(&mut total, w, 4 * four + 1, x);
            block_a8::<2, N>(&mut total, w, 4 * four + 2, x);
            block_a8::<3, N>(&mut total, w, 4 * four + 3, x);
        }
    }
    for (block, &x) in rest.as_chunks::<BLOCK>().0.iter().enumerate() {
        // SAFETY: the blocks behind the fours.
        unsafe { block_a8::<0, N>(&mut total, w, 4 * fours.len() + block, repeat(x)) };
    }
    *sums = total.map(bytemuck::cast);
}

/// # Safety
/// The panels have a block of that number.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn block_a8<const LANE: usize, const N: usize>(
    total: &mut [[int32x4_t; 2]; N],
    w: Weights<'_, i8, N>,
    block: usize,
    x: int8x16_t,
) {
    for (n, total) in total.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let w: [int8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(n, block) });
        *total = [
            sdot::<LANE>(total[0], w[0], x),
            sdot::<LANE>(total[1], w[1], x),
        ];
    }
}

#[target_feature(enable = "neon,dotprod")]
fn gemv_a16_sdot(sums: &mut [Panel<i32>], w: &[i8], x: &[i16], panels: Panels) {
    by_four!(panels_a16_sdot, sums, w, x, panels);
}

#[target_feature(enable = "neon,dotprod")]
fn gemv_w4a8_sdot(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    by_four_w4!(panels_w4a8_sdot, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn panels_w4a8_sdot<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, u8, N>,
    (x, offset): (&[i8], i32),
) {
    let mut total = [[vdupq_n_s32(offset.wrapping_neg()); 2]; N];
    let (fours, rest) = x.as_chunks::<{ 4 * BLOCK }>();
    for (four, &x) in fours.iter().enumerate() {
        let x: int8x16_t = bytemuck::cast(x);
        // SAFETY: a panel has 32 bytes for every eight inputs, so twice as many for every 16.
        unsafe {
            blocks_w4a8::<0, 1, N>(&mut total, w, 2 * four, x);
            blocks_w4a8::<2, 3, N>(&mut total, w, 2 * four + 1, x);
        }
    }
    if let Some(&x) = rest.first_chunk::<{ 2 * BLOCK }>() {
        let x = vreinterpretq_s8_s64(vdupq_n_s64(bytemuck::cast(x)));
        // SAFETY: the two blocks behind the fours.
        unsafe { blocks_w4a8::<0, 1, N>(&mut total, w, 2 * fours.len(), x) };
    }
    for (sum, total) in sums.iter_mut().zip(total) {
        add(sum, total);
    }
}

/// # Safety
/// The panels have two blocks of that number.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn blocks_w4a8<const EVEN: usize, const ODD: usize, const N: usize>(
    total: &mut [[int32x4_t; 2]; N],
    w: Weights<'_, u8, N>,
    two: usize,
    x: int8x16_t,
) {
    for (n, total) in total.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let w: [uint8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(n, two) });
        for (total, w) in total.iter_mut().zip(w) {
            let [low, high] = nibbles(w);
            *total = sdot::<ODD>(sdot::<EVEN>(*total, low, x), high, x);
        }
    }
}

#[target_feature(enable = "neon,dotprod")]
fn gemv_w4a16_sdot(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    by_four_w4!(panels_w4a16_sdot, sums, w, x, panels);
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn panels_w4a16_sdot<const N: usize>(
    sums: &mut [Panel<i32>; N],
    w: Weights<'_, u8, N>,
    (x, offset): (&[i16], i32),
) {
    let ones = vdupq_n_s8(1);
    let mut total: [[Parts; 2]; N] = [[[vdupq_n_s32(0); 3]; 2]; N];
    for (two, &x) in x.as_chunks::<{ 2 * BLOCK }>().0.iter().enumerate() {
        let x: int8x16_t = bytemuck::cast(x);
        let [high, low] = bytes([x, x]);
        for (n, total) in total.iter_mut().enumerate() {
            // SAFETY: a panel has 32 bytes for every eight inputs.
            let w: [uint8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(n, two) });
            for (total, w) in total.iter_mut().zip(w) {
                let [even, odd] = nibbles(w);
                // The sum of two weights still fits in a byte.
                *total = [
                    sdot::<1>(sdot::<0>(total[0], even, high), odd, high),
                    sdot::<1>(sdot::<0>(total[1], even, low), odd, low),
                    sdot::<0>(total[2], vaddq_s8(even, odd), ones),
                ];
            }
        }
    }
    let offset = vdupq_n_s32(offset);
    for (sum, total) in sums.iter_mut().zip(total) {
        add(sum, total.map(|parts| vsubq_s32(whole(parts), offset)));
    }
}

/// The three sums of four rows: by high bytes, by low bytes − 128, and of the weights.
type Parts = [int32x4_t; 3];

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn panels_a16_sdot<const N: usize>(sums: &mut [Panel<i32>; N], w: Weights<'_, i8, N>, x: &[i16]) {
    let mut total: [[Parts; 2]; N] = [[[vdupq_n_s32(0); 3]; 2]; N];
    let (fours, rest) = x.as_chunks::<{ 4 * BLOCK }>();
    for (four, &x) in fours.iter().enumerate() {
        let x = bytes(bytemuck::cast(x));
        // SAFETY: a panel has a block for every four inputs, so four for every 16.
        unsafe {
            block_a16::<0, N>(&mut total, w, 4 * four, x);
            block_a16::<1, N>(&mut total, w, 4 * four + 1, x);
            block_a16::<2, N>(&mut total, w, 4 * four + 2, x);
            block_a16::<3, N>(&mut total, w, 4 * four + 3, x);
        }
    }
    for (block, &x) in rest.as_chunks::<BLOCK>().0.iter().enumerate() {
        let x = vreinterpretq_s8_s64(vdupq_n_s64(bytemuck::cast(x)));
        // SAFETY: the blocks behind the fours.
        unsafe { block_a16::<0, N>(&mut total, w, 4 * fours.len() + block, bytes([x, x])) };
    }
    for (sum, total) in sums.iter_mut().zip(total) {
        add(sum, [whole(total[0]), whole(total[1])]);
    }
}

/// High bytes, and low bytes − 128, of 16 words.
#[inline]
#[target_feature(enable = "neon")]
fn bytes([a, b]: [int8x16_t; 2]) -> [int8x16_t; 2] {
    [vuzp2q_s8(a, b), veorq_s8(vuzp1q_s8(a, b), vdupq_n_s8(-128))]
}

/// # Safety
/// The panels have a block of that number.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn block_a16<const LANE: usize, const N: usize>(
    total: &mut [[Parts; 2]; N],
    w: Weights<'_, i8, N>,
    block: usize,
    [high, low]: [int8x16_t; 2],
) {
    let ones = vdupq_n_s8(1);
    for (n, total) in total.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let w: [int8x16_t; 2] = bytemuck::cast(unsafe { w.read::<32>(n, block) });
        for (total, w) in total.iter_mut().zip(w) {
            *total = [
                sdot::<LANE>(total[0], w, high),
                sdot::<LANE>(total[1], w, low),
                sdot::<LANE>(total[2], w, ones),
            ];
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn whole([high, low, weights]: Parts) -> int32x4_t {
    let low = vaddq_s32(low, vshlq_n_s32::<7>(weights));
    vaddq_s32(low, vshlq_n_s32::<8>(high))
}

/// [`crate::num::mulhi_round`] in every lane.
#[inline]
#[target_feature(enable = "neon")]
fn mulhi_round(a: int32x4_t, b: int32x4_t) -> int32x4_t {
    let low = vmull_s32(vget_low_s32(a), vget_low_s32(b));
    vrshrn_high_n_s64::<32>(vrshrn_n_s64::<32>(low), vmull_high_s32(a, b))
}

/// Eight i32 to i16, saturated.
#[inline]
#[target_feature(enable = "neon")]
fn saturate16([low, high]: [int32x4_t; 2]) -> int16x8_t {
    vqmovn_high_s32(vqmovn_s32(low), high)
}

#[target_feature(enable = "neon")]
fn requant(z: &mut [Panel<i16>], sums: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
    let shift = vdupq_n_s32(shift as i32);
    for ((z, &sum), &m) in z.iter_mut().zip(sums).zip(m) {
        let (sum, m): ([int32x4_t; 2], [int32x4_t; 2]) = (bytemuck::cast(sum), bytemuck::cast(m));
        let product = [
            mulhi_round(vshlq_s32(sum[0], shift), m[0]),
            mulhi_round(vshlq_s32(sum[1], shift), m[1]),
        ];
        *z = bytemuck::cast(saturate16(product));
    }
}

/// Interpolated look-up of eight lanes, in Q31.
#[inline]
#[target_feature(enable = "neon")]
fn lookup(entries: &[i32], bits: u32, z: int16x8_t) -> [int32x4_t; 2] {
    assert!(bits < 16 && entries.len() == 1 << bits);
    let z = vreinterpretq_u16_s16(z);
    let index = vshlq_u16(z, vdupq_n_s16(bits as i16 - 16));
    let index: [u16; LANES] = bytemuck::cast(index);
    // SAFETY: an index has `bits` bits, and the table that many entries.
    let entry = index.map(|index| unsafe { *entries.get_unchecked(index as usize) });
    let [low, high]: [int32x4_t; 2] = bytemuck::cast(entry);
    let delta = vuzp1q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high));
    // Half of the fraction in Q16: `sqdmlal` doubles the product, and nothing here comes near its saturation.
    let fraction = vshrq_n_u16::<1>(vshlq_u16(z, vdupq_n_s16(bits as i16)));
    let fraction = vreinterpretq_s16_u16(fraction);
    [
        vqdmlal_s16(low, vget_low_s16(delta), vget_low_s16(fraction)),
        vqdmlal_high_s16(high, delta, fraction),
    ]
}

#[target_feature(enable = "neon")]
fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    let (entries, bits) = (curve.entries(tables), tables.bits());
    for (y, &z) in y.iter_mut().zip(z) {
        *y = bytemuck::cast(lookup(entries, bits, bytemuck::cast(z)));
    }
}

update_q! { #[target_feature(enable = "neon")] }

#[inline]
#[target_feature(enable = "neon")]
fn lstm(
    c: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
    cell_shift: u8,
) {
    let (low, high) = (vdupq_n_s32(-(1 << 30)), vdupq_n_s32((1 << 30) - 1));
    // A negative shift to the left is one to the right.
    let new_shift = vdupq_n_s32(-3 - cell_shift as i32);
    let depth_shift = vdupq_n_s32(cell_shift as i32 - 15);
    for ((c, y), z) in c.iter_mut().zip(y).zip(z.as_chunks::<4>().0) {
        let [i, f, g, o] = z.map(bytemuck::cast);
        let i = lookup(tables.sigmoid_entries(), tables.bits(), i);
        let f = lookup(tables.sigmoid_entries(), tables.bits(), f);
        let g = lookup(tables.tanh_entries(), tables.bits(), g);
        let o = lookup(tables.sigmoid_entries(), tables.bits(), o);
        let mut cell: [int32x4_t; 2] = bytemuck::cast(*c);
        for half in 0..2 {
            let kept = vshlq_n_s32::<1>(mulhi_round(f[half], cell[half]));
            let new = vshlq_s32(mulhi_round(i[half], g[half]), new_shift);
            cell[half] = vminq_s32(vmaxq_s32(vaddq_s32(kept, new), low), high);
        }
        *c = bytemuck::cast(cell);
        let depth = saturate16(cell.map(|cell| vshlq_s32(cell, depth_shift)));
        let t = lookup(tables.tanh_entries(), tables.bits(), depth);
        // At most 2^12: the low halves are all there is.
        let out = [0, 1].map(|half| vrshrq_n_s32::<18>(mulhi_round(o[half], t[half])));
        *y = bytemuck::cast(vmovn_high_s32(vmovn_s32(out[0]), out[1]));
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn gru(h: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    for (h, z) in h.iter_mut().zip(z.as_chunks::<4>().0) {
        let [nx, r, z, nh] = z.map(bytemuck::cast);
        let r = lookup(tables.sigmoid_entries(), tables.bits(), r);
        let r = vshrn_high_n_s32::<16>(vshrn_n_s32::<16>(r[0]), r[1]);
        // (a b + 2^14) >> 15; a gate is not negative, so MIN · MIN cannot occur.
        let candidate = vqaddq_s16(nx, vqrdmulhq_s16(r, nh));
        let n = lookup(tables.tanh_entries(), tables.bits(), candidate);
        let z = lookup(tables.sigmoid_entries(), tables.bits(), z);
        let mut state: [int32x4_t; 2] = bytemuck::cast(*h);
        for half in 0..2 {
            let n = vshrq_n_s32::<2>(n[half]);
            let difference = vsubq_s32(state[half], n);
            let kept = vshlq_n_s32::<1>(mulhi_round(z[half], difference));
            state[half] = vaddq_s32(n, kept);
        }
        *h = bytemuck::cast(state);
    }
}
