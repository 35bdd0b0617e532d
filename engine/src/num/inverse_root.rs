//! The inverse of a square root, in integers and with an instruction count that does not depend on the number.

use super::mulhi_round;
use super::saturate::{greater, sign_mask};

/// `1 / √w`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InverseRoot {
    /// At 2^-29, from 1 to 2: of `w` times a power of four, as a part of 2^64.
    mantissa: i32,
    /// Bits by which a number is shifted to the left before it is multiplied, and to the right.
    shifts: [u32; 2],
}

impl InverseRoot {
    /// Of a number from 1 to 2^56. Newton's iteration `y (3 − w y²) / 2` doubles the digits each time; four of them come from a
    /// straight line to within 2^-27.
    pub(crate) fn of(w: u64) -> Self {
        let (mut w, mut half, mut shift) = (w, 0, 32);
        while shift > 1 {
            // All ones where the upper bits are not empty; they stay then.
            let top = (w >> (64 - shift)) as u32;
            let stays = sign_mask((top | top.wrapping_neg()) as i32);
            let stays_wide = i64::from(stays) as u64;
            w = (w & stays_wide) | ((w << shift) & !stays_wide);
            shift /= 2;
            half += shift & !stays;
        }
        // From 1/4 to 1.
        let w = (w >> 32) as u32;
        let high = |a: u32, b: u32| ((u64::from(a) * u64::from(b)) >> 32) as u32;
        // 2.2 − 1.25 w at 2^-30, within a tenth.
        let mut y = 2_362_232_012 - (w / 4 + w / 16);
        for _ in 0..4 {
            // w y² at 2^-28, about 1.
            let one = high(high(y, y), w);
            y = ((u64::from(y) * u64::from((3 << 28) - one)) >> 29) as u32;
        }
        let left = half - 7;
        InverseRoot {
            mantissa: (y >> 1) as i32,
            shifts: [greater(left, 0) as u32, greater(-left, 0) as u32],
        }
    }

    /// `d / √w` at 2^-22, for `d² < 2^12 w`.
    #[inline(always)]
    pub(crate) fn times(self, d: i32) -> i32 {
        let [left, right] = self.shifts;
        mulhi_round((d << left) >> right, self.mantissa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_with_an_inverse_root_are_within_a_millionth() {
        let mut seed = 7u64;
        let mut draw = || {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            seed >> 8
        };
        for turn in 0..300_000 {
            let w = match turn {
                0..56 => 1 << turn,
                56..112 => (1 << (turn - 55)) - 1,
                112 => 1 << 56,
                _ => draw() >> (draw() % 56),
            }
            .max(1);
            let most = (w as f64).sqrt().min((1u64 << 24) as f64);
            let d = (most * (draw() % 2001) as f64 / 1000.0 * 31.9 - most * 31.9) as i32;
            let exact = f64::from(d) / (w as f64).sqrt();
            let found = f64::from(InverseRoot::of(w).times(d)) / f64::from(1 << 22);
            let error = (found - exact).abs() / exact.abs().max(1.0);
            assert!(error < 1e-6, "{d} / √{w}: {found} and {exact}");
        }
    }
}
