//! What a matrix is multiplied with, as far as rounding its rows needs to know.
//!
//! A row `w` that becomes `ŵ` errs by `(ŵ − w) · u` on an input `u`. Its mean, `(ŵ − w) · E[u]`, goes into the bias,
//! and what remains has the variance `dᵀ C d` with `d = ŵ − w` and the covariance `C` of the inputs. So mean and
//! covariance are all that the data has to say, however long the streams are.

use super::descent::add_scaled;
use super::fold::Fold;
use super::planes::Planes;
use rayon::prelude::*;
use std::ops::Range;

/// What is added to every variance, in parts of their mean: inputs will vary in ways that this data did not show.
const UNSEEN: f64 = 0.01;

/// Sums over inputs of a matrix: those of the layer, then the state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    count: f64,
    sums: Vec<f64>,
    /// Of products, row-major; only from the diagonal on.
    products: Vec<f64>,
    /// Inputs that have not entered the products yet, one after the other.
    pending: Vec<f64>,
}

/// Inputs that enter the products together, for which each of them is then read once.
const BATCH: usize = 32;

impl Moments {
    /// None met yet of this width.
    pub(super) fn new(width: usize) -> Self {
        Moments {
            count: 0.0,
            sums: vec![0.0; width],
            products: vec![0.0; width * width],
            pending: Vec::new(),
        }
    }

    pub(super) fn meet(&mut self, inputs: &[f32]) {
        self.count += 1.0;
        for (sum, &u) in self.sums.iter_mut().zip(inputs) {
            *sum += f64::from(u);
        }
        self.pending.extend(inputs.iter().map(|&u| f64::from(u)));
        if self.pending.len() >= BATCH * inputs.len() {
            self.settle();
        }
    }

    /// All that was met is in the products from here on.
    pub(super) fn settle(&mut self) {
        let width = self.sums.len();
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        let rows = self.products.par_chunks_exact_mut(width).enumerate();
        rows.with_min_len(16).for_each(|(i, products)| {
            for inputs in pending.chunks_exact(width) {
                // Tokens and rectified states are mostly zeros.
                if inputs[i] != 0.0 {
                    add_scaled(&mut products[i..], &inputs[i..], inputs[i]);
                }
            }
        });
    }

    /// The inputs from `first` on were divided by `scales`.
    pub(super) fn divide(&mut self, first: usize, scales: &[f32]) {
        self.settle();
        let width = self.sums.len();
        for (i, &scale) in (first..).zip(scales) {
            let scale = f64::from(scale);
            self.sums[i] /= scale;
            for j in 0..width {
                let at = i.min(j) * width + i.max(j);
                self.products[at] /= if i == j { scale * scale } else { scale };
            }
        }
    }

    /// The first inputs became `(u − offset) · scale`.
    pub(super) fn shift(&mut self, folds: &[Fold]) {
        self.settle();
        let width = self.sums.len();
        let fold = |k: usize| {
            folds
                .get(k)
                .map_or((0.0, 1.0), |fold| (fold.offset, fold.scale))
        };
        for i in 0..width {
            for j in i..width {
                let ((a, s), (b, t)) = (fold(i), fold(j));
                let product = &mut self.products[i * width + j];
                *product -= a * self.sums[j] + b * self.sums[i] - self.count * a * b;
                *product *= s * t;
            }
        }
        for (k, sum) in self.sums.iter_mut().enumerate() {
            let (offset, scale) = fold(k);
            *sum = (*sum - self.count * offset) * scale;
        }
    }

    /// The first inputs come `copies` times, one after the other, and then divided by `parts`.
    pub(super) fn repeated(&self, inputs: usize, copies: usize, parts: f64) -> Moments {
        let width = self.width() + copies * inputs;
        let from = |k: usize| match k {
            k if k < copies * inputs => (k % inputs, 1.0),
            k if k < (copies + 1) * inputs => (k % inputs, parts),
            k => (k - copies * inputs, 1.0),
        };
        let product = |(i, a): (usize, f64), (j, b): (usize, f64)| {
            self.products[i.min(j) * self.width() + i.max(j)] / (a * b)
        };
        let pairs = (0..width).flat_map(|i| (0..width).map(move |j| (i, j)));
        Moments {
            count: self.count,
            sums: (0..width)
                .map(|k| self.sums[from(k).0] / from(k).1)
                .collect(),
            products: pairs.map(|(i, j)| product(from(i), from(j))).collect(),
            pending: Vec::new(),
        }
    }

    /// Number of inputs.
    pub(super) fn width(&self) -> usize {
        self.sums.len()
    }

    fn mean(&self, i: usize) -> f64 {
        self.sums[i] / self.count
    }

    fn covariance(&self, i: usize, j: usize) -> f64 {
        let product = self.products[i.min(j) * self.width() + i.max(j)] / self.count;
        product - self.mean(i) * self.mean(j)
    }

    /// Variances of some inputs, with that of what was not seen.
    ///
    /// # Panics
    /// If not all that was met has been settled.
    pub(super) fn variances(&self, inputs: Range<usize>) -> Vec<f64> {
        assert!(
            self.pending.is_empty(),
            "moments are read while they are met"
        );
        let variances = inputs.map(|i| self.covariance(i, i));
        let variances: Vec<f64> = variances.collect();
        let all: f64 = variances.iter().sum();
        let unseen = UNSEEN * all / variances.len().max(1) as f64 + f64::MIN_POSITIVE;
        variances.iter().map(|variance| variance + unseen).collect()
    }

    /// Mean and covariance of some inputs.
    ///
    /// # Panics
    /// As [`Self::variances`].
    pub(crate) fn of(&self, inputs: Range<usize>) -> Spread {
        let variances = self.variances(inputs.clone());
        let pairs = inputs
            .clone()
            .flat_map(|i| inputs.clone().map(move |j| (i, j)));
        let covariance = pairs.map(|(i, j)| match i == j {
            true => variances[i - inputs.start],
            false => self.covariance(i, j),
        });
        let covariance: Vec<f64> = covariance.collect();
        let mean = inputs.clone().map(|i| self.mean(i)).collect();
        Spread {
            planes: Planes::new(&covariance, inputs.len()),
            covariance,
            mean,
        }
    }
}

/// Mean and covariance.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    pub mean: Vec<f64>,
    /// Row-major.
    pub covariance: Vec<f64>,
    /// Where rounding begins; `None`: with the nearest integers.
    pub planes: Option<Planes>,
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_covariance_of_four_inputs() {
        let mut moments = Moments::new(3);
        for (a, b) in [(1.0, 2.0), (3.0, 2.0), (1.0, 6.0), (3.0, 6.0)] {
            moments.meet(&[a, b, a + b]);
        }
        moments.settle();
        let Spread {
            mean, covariance, ..
        } = moments.of(1..3);
        assert_eq!(mean, [4.0, 6.0]);
        let unseen = UNSEEN * (4.0 + 5.0) / 2.0;
        let want = [4.0 + unseen, 4.0, 4.0, 5.0 + unseen];
        for (found, want) in covariance.iter().zip(want) {
            assert!((found - want).abs() < 1e-12, "{covariance:?}");
        }
    }

    #[test]
    fn shifted_inputs_have_the_moments_of_shifted_inputs() {
        let samples = [[1e3, -2.0, 0.5], [1001.0, 4.0, 8.0], [1003.0, 0.0, 1.0]];
        let (mut shifted, mut met) = (Moments::new(3), Moments::new(3));
        for [a, b, c] in samples {
            shifted.meet(&[a, b, c]);
            met.meet(&[(a - 1000.0) * 2.0, b * 0.25, c]);
        }
        met.settle();
        let folds = [(1000.0, 2.0), (0.0, 0.25)];
        shifted.shift(&folds.map(|(offset, scale)| Fold { offset, scale }));
        assert_eq!(shifted.of(0..3).mean, met.of(0..3).mean);
        let covariances = [&shifted, &met].map(|moments| moments.of(0..3).covariance);
        for (a, b) in covariances[0].iter().zip(&covariances[1]) {
            assert!((a - b).abs() < 1e-9, "{covariances:?}");
        }
    }

    #[test]
    fn inputs_that_come_several_times_have_the_moments_of_all() {
        let (mut once, mut often) = (Moments::new(3), Moments::new(7));
        for [a, b, h] in [[1.0, -2.0, 0.5], [0.25, 4.0, 8.0], [-3.0, 0.0, 1.0]] {
            once.meet(&[a, b, h]);
            often.meet(&[a, b, a, b, a / 4.0, b / 4.0, h]);
        }
        once.settle();
        often.settle();
        let [found, want] = [once.repeated(2, 2, 4.0), often].map(|moments| moments.of(0..7));
        assert_eq!(found.mean, want.mean);
        assert_eq!(found.covariance, want.covariance);
    }

    #[test]
    fn divided_inputs_have_the_moments_of_divided_inputs() {
        let samples = [[1.0, -2.0, 0.5], [0.25, 4.0, 8.0], [-3.0, 0.0, 1.0]];
        let (mut divided, mut met) = (Moments::new(3), Moments::new(3));
        for [a, b, c] in samples {
            divided.meet(&[a, b, c]);
            met.meet(&[a, b / 4.0, c / 0.5]);
        }
        divided.divide(1, &[4.0, 0.5]);
        met.settle();
        assert_eq!(divided, met);
    }
}
