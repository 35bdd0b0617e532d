//! Float functions with the same bits on every machine: only IEEE additions, multiplications and
//! divisions in a fixed order, never fused.

use super::saturate::{greater, saturate16, sign_mask};
use super::shift_round;
use half::f16;

/// Beyond this the rational function is 1 to within a rounding.
pub(crate) const TANH_CLAMP: f32 = 7.905_311;
/// Numerator of tanh, odd powers 1 to 13 (the 13/6 rational minimax function of Eigen's `ptanh`).
pub(crate) const TANH_NUMERATOR: [f32; 7] = [
    4.893_524_6e-3,
    6.372_619_3e-4,
    1.485_722_4e-5,
    5.122_297_1e-8,
    -8.604_672e-11,
    2.000_188e-13,
    -2.760_768_5e-16,
];
/// Denominator of tanh, even powers 0 to 6.
pub(crate) const TANH_DENOMINATOR: [f32; 4] =
    [4.893_525e-3, 2.268_434_6e-3, 1.185_347_1e-4, 1.198_258_4e-6];

/// These numbers as assembler finds them.
#[cfg(any(has_sve, rvv))]
#[repr(C)]
pub(crate) struct Tanh {
    clamp: f32,
    numerator: [f32; 7],
    denominator: [f32; 4],
}

#[cfg(any(has_sve, rvv))]
pub(crate) static TANH: Tanh = Tanh {
    clamp: TANH_CLAMP,
    numerator: TANH_NUMERATOR,
    denominator: TANH_DENOMINATOR,
};

/// Hyperbolic tangent, within 5e-7 of the exact value.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let x = x.clamp(-TANH_CLAMP, TANH_CLAMP);
    let s = x * x;
    let [a1, a3, a5, a7, a9, a11, a13] = TANH_NUMERATOR;
    let p = (((((a13 * s + a11) * s + a9) * s + a7) * s + a5) * s + a3) * s + a1;
    let [b0, b2, b4, b6] = TANH_DENOMINATOR;
    let q = ((b6 * s + b4) * s + b2) * s + b0;
    x * p / q
}

/// Logistic function `1 / (1 + e^-x)`, within 3e-7 of the exact value.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    0.5 * tanh(0.5 * x) + 0.5
}

/// Exactly the value of an f16, in operations that compilers vectorise.
///
/// An exponent moves by the difference of the biases, 112, and that of an infinity or a NaN by as much again. A
/// subnormal is its mantissa · 2^-24: below a one half, then without it.
#[inline(always)]
pub(crate) fn widen(half: f16) -> f32 {
    let bits = half.to_bits() as u32;
    let magnitude = bits & 0x7fff;
    let exponent = if magnitude < 0x7c00 { 112 } else { 224 };
    let value = if magnitude < 0x400 {
        f32::from_bits(magnitude | 0x3f00_0000) - 0.5
    } else {
        f32::from_bits((magnitude << 13) + (exponent << 23))
    };
    f32::from_bits(value.to_bits() | (bits & 0x8000) << 16)
}

/// Smallest and largest sample with `frac` fraction bits: ±16 at 2^-7 and ±8 at 2^-12, for which the exporter
/// proves that sums cannot overflow.
pub const fn input_limits(frac: i8) -> (i16, i16) {
    if frac == 7 {
        (-2048, 2047)
    } else {
        (i16::MIN, i16::MAX)
    }
}

/// `x · 2^frac`, rounded half up and clamped to `low..=high`. NaN gives 0.
#[inline]
pub fn quantize(x: f32, frac: i8, low: i16, high: i16) -> i16 {
    let scaled = x * power_of_two(frac) + 0.5;
    let truncated = scaled as i32;
    // The cast rounds towards zero; a negative fraction needs the floor.
    let floor = truncated.saturating_sub((truncated as f32 > scaled) as i32);
    // Not `clamp`, which panics where `low` is above `high`.
    floor.max(low as i32).min(high as i32) as i16
}

/// 2^n for −126 ≤ n ≤ 127.
pub(crate) fn power_of_two(n: i8) -> f32 {
    f32::from_bits(((127 + n as i32) as u32) << 23)
}

/// `z` from 0 on, below it `e^z − 1`.
pub(crate) fn elu(z: f32) -> f32 {
    if z > 0.0 { z } else { libm::expf(z) - 1.0 }
}

/// [`elu`] of `z` (2^-12), within 1.3 of its units. Its instruction count does not depend on `z`.
#[inline(always)]
pub(crate) fn elu_q(z: i16) -> i16 {
    let positive = greater(z as i32, 0);
    let below = shift_round(exp_q16(positive - z as i32, 12) as i32, 4) - (1 << 12);
    (positive + below) as i16
}

/// Replaces scores by `exp(z_i) / Σ exp(z_j)`.
pub fn softmax(z: &mut [f32]) {
    let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for z in z.iter_mut() {
        *z = libm::expf(*z - max);
        sum += *z;
    }
    for z in z.iter_mut() {
        *z /= sum;
    }
}

/// Replaces scores with `frac` fraction bits by their softmax in Q15 (at most 32767), in integers.
///
/// e^-d is 2^-(d · log2 e): the whole part shifts, the fraction goes through a cubic. Within 3e-4
/// of the exact value. Its instruction count does not depend on the scores. Of at most 65,535 scores: the sum of more may wrap.
pub fn softmax_q15(z: &mut [i16], frac: i8) {
    let max = z.iter().map(|&z| z as i32).fold(-32768, greater);
    let mut sum: u32 = 0;
    for &z in z.iter() {
        sum = sum.wrapping_add(exp_q16(max - z as i32, frac));
    }
    let reciprocal = reciprocal_q47(sum);
    for z in z.iter_mut() {
        let e = exp_q16(max - *z as i32, frac);
        *z = saturate16(((e as u64 * reciprocal) >> 32) as i32);
    }
}

/// `2^16 · e^(-d · 2^-frac)` for `d` ≥ 0.
#[cfg_attr(target_os = "none", inline(never))]
fn exp_q16(d: i32, frac: i8) -> u32 {
    const LOG2_E_Q30: i64 = 1_549_082_005;
    // d < 2^16 and frac ≥ −16: the product stays below 2^63 and the shift between 0 and 46.
    let exponent = (d as i64 * LOG2_E_Q30) >> (14 + frac as i32).clamp(0, 62);
    // At most 31.
    const MAX: u32 = 31 << 16;
    let exceeds = sign_mask(((MAX as i64 - exponent) >> 32) as i32) as u32;
    let exponent = exponent as u32 & !exceeds | MAX & exceeds;
    let (whole, f) = (exponent >> 16, (exponent & 0xffff) as i64);
    // 2^-f on [0, 1) in Q16, cubic with fitted coefficients (error 1.8e-4).
    let cubic = 65536 - ((f * (45_455 - ((f * (15_540 - ((f * 2_865) >> 16))) >> 16))) >> 16);
    cubic as u32 >> whole
}

/// `2^47 / x`, by long division with a fixed number of rounds: hardware without a divider would
/// otherwise take a data-dependent time.
fn reciprocal_q47(x: u32) -> u64 {
    let (mut remainder, mut quotient) = (0u64, 0u64);
    for bit in (0..48).rev() {
        remainder = remainder << 1 | (bit == 47) as u64;
        let less = remainder.wrapping_sub(x as u64);
        let too_much = sign_mask((less >> 32) as i32);
        remainder = less.wrapping_add((x & too_much as u32) as u64);
        quotient = quotient << 1 | (too_much + 1) as u64;
    }
    quotient
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{vec, vec::Vec};

    #[test]
    fn float_functions_stay_within_their_stated_error() {
        let (mut worst_tanh, mut worst_sigmoid) = (0f64, 0f64);
        for i in -2_000_000..=2_000_000 {
            let x = i as f32 * 1e-5;
            worst_tanh = worst_tanh.max((tanh(x) as f64 - (x as f64).tanh()).abs());
            let exact = 1.0 / (1.0 + (-x as f64).exp());
            worst_sigmoid = worst_sigmoid.max((sigmoid(x) as f64 - exact).abs());
        }
        assert!(worst_tanh < 5e-7, "{worst_tanh}");
        assert!(worst_sigmoid < 3e-7, "{worst_sigmoid}");
    }

    #[test]
    fn widening_is_exact() {
        for half in (0..=u16::MAX).map(f16::from_bits) {
            let (got, want) = (widen(half), half.to_f32_const());
            assert!(
                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                "{half:?}: {got}"
            );
        }
    }

    #[test]
    fn quantize_rounds_half_up_and_saturates() {
        for (x, want) in [
            (0.0, 0),
            (0.5 / 128.0, 1),
            (-0.5 / 128.0, 0),
            (-0.51 / 128.0, -1),
            (1.0, 128),
            (1e30, 2047),
            (-1e30, -2048),
            (f32::NAN, 0),
        ] {
            assert_eq!(quantize(x, 7, -2048, 2047), want, "{x}");
        }
    }

    #[test]
    fn elu_stays_within_its_stated_error() {
        let (mut worst, mut worst_q) = (0f64, 0f64);
        for q in i16::MIN..=i16::MAX {
            let z = f64::from(q) / 4096.0;
            let exact = if z > 0.0 { z } else { z.exp_m1() };
            worst = worst.max((f64::from(elu(z as f32)) - exact).abs());
            worst_q = worst_q.max((f64::from(elu_q(q)) - exact * 4096.0).abs());
        }
        assert!(worst < 2e-7, "{worst}");
        assert!(worst_q < 1.3, "{worst_q}");
        assert_eq!([elu_q(0), elu_q(i16::MAX)], [0, i16::MAX]);
        assert!(elu(f32::NAN).is_nan());
    }

    #[test]
    fn integer_softmax_is_near_the_float_one() {
        let mut seed = 1u32;
        let mut worst = 0f64;
        for round in 0..2000 {
            let frac = [12, 10, 8, 4, 0, -3][round % 6];
            let n = 1 + round % 40;
            let scores: Vec<i16> = (0..n)
                .map(|_| {
                    seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                    (seed >> 16) as i16
                })
                .collect();
            let lsb = 2f64.powi(-(frac as i32));
            let max = scores.iter().copied().max().unwrap() as f64;
            let exact: Vec<f64> = scores
                .iter()
                .map(|&z| ((z as f64 - max) * lsb).exp())
                .collect();
            let sum: f64 = exact.iter().sum();
            let mut got = scores.clone();
            softmax_q15(&mut got, frac);
            for (got, exact) in got.iter().zip(&exact) {
                worst = worst.max((*got as f64 / 32768.0 - exact / sum).abs());
            }
        }
        assert!(worst < 3e-4, "{worst}");
        let mut one = vec![5i16];
        softmax_q15(&mut one, 3);
        assert_eq!(one, [32767]);
    }
}
