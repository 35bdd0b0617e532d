//! From a raw sample to the network's input and from its output to a prediction, exactly as
//! [`crate::package`] defines both, and the fitting of the constants in them.

use serde::Deserialize;

use crate::package::{Feature, Restore, Target, Transform};

/// How offset and scale of a column are chosen, from the training part only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// Mean 0, standard deviation 1.
    Standard,
    /// 0 to 1.
    MinMax,
    /// As it is.
    None,
}

/// Its reciprocal is a number of 32 bits.
const SMALLEST: f64 = 1e-37;
/// So many steps of a number of 32 bits, from lowest to highest, may come of rounding alone.
const NOISE: f64 = 2.5;

/// By which numbers of 32 bits go around this one.
pub fn unit_of(x: f32) -> f64 {
    f64::from(x.abs().next_up() - x.abs())
}

/// Why a column cannot be scaled by what the training part has of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Unfit {
    /// There is nothing.
    Empty,
    /// It is this throughout.
    Constant(f64),
    /// It varies by less than a scale of 32 bits can make up for.
    Tiny,
    /// It varies in 64 bits, and not in 32; how far they are apart.
    Rounded(String),
}

impl Normalise {
    /// `(offset, spread)` so that `(x − offset) / spread` is normalised. Numbers that go by `unit` are what the values were computed of; 0 where they are as they were read.
    pub fn fit(
        self,
        values: impl Iterator<Item = f32> + Clone,
        unit: f64,
    ) -> Result<(f64, f64), Unfit> {
        if self == Normalise::None {
            return Ok((0.0, 1.0));
        }
        let (mut lo, mut hi, mut sum, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0);
        for x in values.clone().map(f64::from) {
            lo = lo.min(x);
            hi = hi.max(x);
            sum += x;
            count += 1.0;
        }
        if lo > hi {
            return Err(Unfit::Empty);
        }
        if lo == hi {
            return Err(Unfit::Constant(lo));
        }
        if hi - lo < SMALLEST {
            return Err(Unfit::Tiny);
        }
        // All of it may be rounding.
        if hi - lo < NOISE * unit.max(unit_of(lo.abs().max(hi.abs()) as f32)) {
            return Err(Unfit::Constant(lo));
        }
        if self == Normalise::MinMax {
            return Ok((lo, hi - lo));
        }
        let mean = sum / count;
        let square: f64 = values.map(|x| (f64::from(x) - mean).powi(2)).sum();
        Ok((mean, (square / count).sqrt()))
    }
}

/// What enters the scaling: the transform of column `k` of `raw`, given the sample before.
pub fn transform(transform: Transform, k: usize, raw: &[f32], previous: &[f32]) -> f32 {
    match transform {
        Transform::None | Transform::Missing { .. } => raw[k],
        Transform::Log => raw[k].ln(),
        Transform::Difference { column } => raw[k] - previous[column],
        Transform::LogRatio { column } => (raw[k] / previous[column]).ln(),
    }
}

/// Fills the gaps of a raw sample: `held` is the stream's last sample without gaps, empty before the first, and
/// becomes this one. A mask is 1 where its column is NaN.
///
/// # Panics
/// If the sample is shorter than the features.
pub fn hold(features: &[Feature], raw: &[f32], held: &mut Vec<f32>) {
    held.resize(features.len(), f32::NAN);
    for (k, feature) in features.iter().enumerate() {
        let x = match feature.transform {
            Transform::Missing { column } if raw[column].is_nan() => 1.0,
            _ => raw[k],
        };
        if !(x.is_nan() && feature.hold) {
            held[k] = x;
        }
    }
}

/// The network's input for a raw sample. After a reset, `previous` is the sample itself.
///
/// # Panics
/// If a slice is shorter than the features.
pub fn normalise(features: &[Feature], raw: &[f32], previous: &[f32], out: &mut [f32]) {
    for (k, feature) in features.iter().enumerate() {
        let x = transform(feature.transform, k, raw, previous);
        out[k] = (x - feature.offset) * feature.scale;
    }
}

/// What a network's outputs mean, given the raw sample of the same step.
///
/// # Panics
/// If `y` is shorter than the targets.
pub fn restore(targets: &[Target], raw: &[f32], y: &mut [f32]) {
    for (target, y) in targets.iter().zip(y) {
        let v = *y * target.scale + target.offset;
        *y = match target.restore {
            Restore::None => v,
            Restore::Exp => v.exp(),
            Restore::AddTo { column } => raw[column] + v,
            Restore::TimesExp { column } => raw[column] * v.exp(),
        };
    }
}

/// The inverse of [`restore`] before scaling: the `v` that would restore to `truth`.
pub fn goal(restore: Restore, raw: &[f32], truth: f32) -> f32 {
    match restore {
        Restore::None => truth,
        Restore::Exp => truth.ln(),
        Restore::AddTo { column } => truth - raw[column],
        Restore::TimesExp { column } => (truth / raw[column]).ln(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_are_mean_and_deviation_or_range() {
        let values = [1.0f32, 2.0, 3.0, 6.0];
        let (mean, deviation) = Normalise::Standard.fit(values.into_iter(), 0.0).unwrap();
        assert_eq!((mean, deviation), (3.0, 3.5f64.sqrt()));
        assert_eq!(
            Normalise::MinMax.fit(values.into_iter(), 0.0),
            Ok((1.0, 5.0))
        );
        assert_eq!(
            Normalise::Standard.fit([4.0, 4.0].into_iter(), 0.0),
            Err(Unfit::Constant(4.0))
        );
        assert_eq!(
            Normalise::None.fit([4.0, 4.0].into_iter(), 0.0),
            Ok((0.0, 1.0))
        );
        // Its scale would be infinite.
        let tiny = Normalise::Standard.fit([0.0, 1e-40].into_iter(), 0.0);
        assert_eq!(tiny.unwrap_err(), Unfit::Tiny);
    }

    #[test]
    fn restoring_a_goal_gives_the_truth_back() {
        let raw = [2.0f32, 8.0];
        for restore_as in [
            Restore::None,
            Restore::Exp,
            Restore::AddTo { column: 1 },
            Restore::TimesExp { column: 0 },
        ] {
            let target = Target {
                name: "t".into(),
                unit: String::new(),
                scale: 2.0,
                offset: -1.0,
                restore: restore_as,
                feeds: None,
            };
            let mut y = [(goal(restore_as, &raw, 5.0) - target.offset) / target.scale];
            restore(&[target], &raw, &mut y);
            assert!((y[0] - 5.0).abs() < 1e-5, "{restore_as:?}: {}", y[0]);
        }
    }

    #[test]
    fn transforms_use_the_sample_before() {
        let (raw, previous) = ([6.0f32, 5.0], [3.0f32, 4.0]);
        let ratio = transform(Transform::LogRatio { column: 0 }, 0, &raw, &previous);
        assert!((ratio - 2f32.ln()).abs() < 1e-6);
        let difference = transform(Transform::Difference { column: 1 }, 0, &raw, &previous);
        assert_eq!(difference, 2.0);
        assert_eq!(transform(Transform::Log, 1, &raw, &previous), 5f32.ln());
    }
}
