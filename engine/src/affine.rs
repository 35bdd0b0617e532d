//! Normalisation without floats: integer readings to the inputs of [`Runner::step_q`], and its outputs back.
//!
//! A sensor driver has integers (ADC counts, hundredths of a degree). What `step` does in float,
//! `(x − offset) · scale` with `x = reading · lsb`, is one multiplication and one addition in fixed point. The constants are
//! computed once, at start-up or at compile time on another machine; [`Affine::apply`] has no float instruction.
//!
//! [`Runner::step_q`]: crate::Runner::step_q

use crate::format::{FeatureTransform, TargetRestore};
use crate::model::Model;
use crate::num::{power_of_two, saturate16};

/// `(m · x + b) >> shift`, rounded, in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affine {
    m: i32,
    b: i64,
    shift: u32,
}

impl Affine {
    /// `slope · x + intercept` with 30 significant bits of slope; readings may have 32.
    fn new(slope: f64, intercept: f64) -> Option<Self> {
        if !slope.is_finite() || !intercept.is_finite() {
            return None;
        }
        let mut shift = 0;
        let mut m = slope;
        while shift < 40 && libm::fabs(m) < (1 << 29) as f64 {
            m *= 2.0;
            shift += 1;
        }
        let one = (1u64 << shift) as f64;
        let b = libm::round(intercept * one);
        // Leaves room for the product of two 31-bit numbers.
        if libm::fabs(m) >= (1u32 << 31) as f64 || libm::fabs(b) >= (1u64 << 61) as f64 {
            return None;
        }
        let half = if shift > 0 { 1i64 << (shift - 1) } else { 0 };
        Some(Affine {
            m: libm::round(m) as i32,
            b: b as i64 + half,
            shift,
        })
    }

    /// The value for a reading.
    #[inline]
    pub const fn apply(self, x: i32) -> i32 {
        let value = (self.m as i64 * x as i64 + self.b) >> self.shift;
        // A clamp, in const.
        if value < i32::MIN as i64 {
            i32::MIN
        } else if value > i32::MAX as i64 {
            i32::MAX
        } else {
            value as i32
        }
    }
}

impl Model<'_> {
    /// From integer readings of an input, where `lsb` is what a reading of 1 means in the input's unit, to
    /// the integer that [`Runner::step_q`](crate::Runner::step_q) takes, see [`Self::clamp_input`].
    ///
    /// None if there is no such input, it has a transform, or the scales are out of range.
    pub fn input_affine(&self, input: usize, lsb: f32) -> Option<Affine> {
        let feature = self.features().get(input)?;
        if feature.tag() != FeatureTransform::None as u32 {
            return None;
        }
        let one = feature.scale as f64 * power_of_two(self.input_frac()) as f64;
        Affine::new(one * lsb as f64, -(feature.offset as f64) * one)
    }

    /// From an integer output of [`Runner::step_q`](crate::Runner::step_q) to an integer prediction, where `lsb` is what
    /// a 1 of it means in the output's unit. For a target that is a change, this is the change.
    ///
    /// None if there is no such output, it is restored by an exponential, or the scales are out of range.
    pub fn output_affine(&self, output: usize, lsb: f32) -> Option<Affine> {
        let target = self.targets().get(output)?;
        let restore = TargetRestore::from_tag(target.restore)?;
        if matches!(restore, TargetRestore::Exp | TargetRestore::TimesExp) {
            return None;
        }
        let unit = 1.0 / lsb as f64;
        let slope = target.scale as f64 * power_of_two(-self.output_frac()) as f64 * unit;
        Affine::new(slope, target.offset as f64 * unit)
    }

    /// The nearest integer that an input may be.
    pub fn clamp_input(&self, q: i32) -> i16 {
        let (low, high) = self.input_limits();
        saturate16(q).clamp(low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affine_is_within_one_of_the_exact_value() {
        for (slope, intercept) in [
            (0.0625, -12.5),
            (3.7e-5, 1e4),
            (-1.9, 0.3),
            (1500.0, -7e5),
            (1e-9, 5.0),
            (0.0, 2.0),
        ] {
            let affine = Affine::new(slope, intercept).unwrap();
            for x in [-2_000_000, -4096, -1, 0, 1, 17, 4095, 1_000_000] {
                let exact = (slope * f64::from(x) + intercept).clamp(-2147483648.0, 2147483647.0);
                let error = (f64::from(affine.apply(x)) - exact).abs();
                assert!(
                    error <= 0.51,
                    "{slope} · {x} + {intercept}: {} for {exact}",
                    affine.apply(x)
                );
            }
        }
        assert_eq!(Affine::new(f64::NAN, 0.0), None);
        assert_eq!(Affine::new(1e12, 0.0), None);
    }
}
