//! Saturation, and masks from signs.
//!
//! Where a CPU has no conditional moves (Armv6-M, RISC-V), LLVM turns a comparison into a branch, also one that
//! is written as arithmetic, and the number of instructions would depend on the data. There masks go
//! through an empty `asm!`, whose result LLVM knows nothing about.

/// All ones where `x` is negative, otherwise zero.
#[inline(always)]
pub(crate) fn sign_mask(x: i32) -> i32 {
    opaque(opaque(x) >> 31)
}

#[cfg(no_conditional_moves)]
#[inline(always)]
fn opaque(mut x: i32) -> i32 {
    use core::arch::asm;
    // SAFETY: does nothing.
    unsafe { asm!("/* {0} */", inout(reg) x, options(pure, nomem, nostack, preserves_flags)) };
    x
}

#[cfg(not(no_conditional_moves))]
#[inline(always)]
fn opaque(x: i32) -> i32 {
    x
}

/// The nearest number from −2^`BITS` to 2^`BITS` − 1.
#[inline(always)]
pub(crate) fn saturate<const BITS: u32>(x: i32) -> i32 {
    let max = (1 << BITS) - 1;
    if cfg!(no_conditional_moves) {
        saturate_by_mask(x, BITS, max)
    } else {
        x.clamp(!max, max)
    }
}

/// Outside the range, the bits from `bits` up are not all equal to the sign.
#[inline(always)]
fn saturate_by_mask(x: i32, bits: u32, max: i32) -> i32 {
    let sign = x >> 31;
    let outside = (x >> bits) ^ sign;
    x ^ ((x ^ sign ^ max) & sign_mask(-outside))
}

/// The greater of two numbers less than 2^31 apart.
#[inline(always)]
pub(crate) fn greater(a: i32, b: i32) -> i32 {
    let step = b - a;
    a + (step & !sign_mask(step))
}

/// The nearest `i16`.
#[inline(always)]
pub fn saturate16(x: i32) -> i16 {
    saturate::<15>(x) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_saturate_as_comparisons_do() {
        let near = |x: i32| (-3..=3).map(move |d| x.wrapping_add(d));
        let places = [
            i32::MIN,
            -(1 << 30),
            -(1 << 15),
            -(1 << 7),
            0,
            1 << 7,
            1 << 15,
            1 << 30,
        ];
        for x in places.into_iter().flat_map(near) {
            for bits in [7, 14, 15, 30] {
                let max = (1 << bits) - 1;
                assert_eq!(
                    saturate_by_mask(x, bits, max),
                    x.clamp(!max, max),
                    "{x} {bits}"
                );
            }
            assert_eq!(saturate::<15>(x), x.clamp(-32768, 32767), "{x}");
        }
        assert_eq!((greater(-32768, 32767), greater(5, -7)), (32767, 5));
    }
}
