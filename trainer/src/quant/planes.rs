//! Where coordinate descent begins: Babai's nearest plane, which is GPTQ (Frantar et al. 2023).
//!
//! With `C = L Lᵀ` the error `dᵀ C d` is `|Lᵀ d|²`, whose entry `j` knows the differences from `j` on only. So weights are rounded
//! from the last to the first, each to where its entry is nearest to zero: it takes back what those before it did. The inputs that
//! vary most come first, as theirs is the most to be taken back.

use super::descent::add_scaled;
use rayon::prelude::*;

/// The covariance of some inputs, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Planes {
    /// Inputs by their variance, the least first.
    order: Vec<usize>,
    /// `L`, row-major, in that order.
    lower: Vec<f64>,
}

impl Planes {
    /// `None` if rounding has left a covariance that is none.
    pub(super) fn new(covariance: &[f64], width: usize) -> Option<Self> {
        let at = |i: usize, j: usize| covariance[i * width + j];
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&i, &j| at(i, i).total_cmp(&at(j, j)));
        let pairs = order
            .iter()
            .flat_map(|&i| order.iter().map(move |&j| at(i, j)));
        // Lᵀ, a row after the other, each of which is taken from those below it.
        let mut upper: Vec<f64> = pairs.collect();
        for k in 0..width {
            let (done, below) = upper.split_at_mut((k + 1) * width);
            let row = &mut done[k * width..];
            let pivot = row[k].sqrt();
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            row[k..].iter_mut().for_each(|entry| *entry /= pivot);
            let row = &*row;
            let below = below.par_chunks_exact_mut(width).enumerate();
            below.with_min_len(64).for_each(|(i, below)| {
                let i = k + 1 + i;
                add_scaled(&mut below[i..], &row[i..], -row[i]);
            });
        }
        let lower = (0..width).flat_map(|i| {
            let column = upper.iter().skip(i).step_by(width);
            column.take(i + 1).copied().chain(vec![0.0; width - i - 1])
        });
        Some(Planes {
            lower: lower.collect(),
            order,
        })
    }

    /// Rounds rows together: of each its weights, what one step of them is, and its integers within ± `limit`.
    pub(super) fn round<'r>(
        &self,
        rows: impl Iterator<Item = (&'r [f64], f64, &'r mut [f64])>,
        limit: f64,
    ) {
        let width = self.order.len();
        let mut rows: Vec<_> = rows.map(|row| (row, vec![0.0; width])).collect();
        let lines = self.order.iter().zip(self.lower.chunks_exact(width));
        for (i, (&at, lower)) in lines.enumerate().rev() {
            for ((weights, scale, integers), left) in &mut rows {
                let aim = weights[at] - left[i] / lower[i];
                let integer = (aim / *scale).round().clamp(-limit, limit);
                integers[at] = integer;
                add_scaled(&mut left[..i], &lower[..i], integer * *scale - weights[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_has_the_covariance_for_its_square() {
        // The second input varies least, the third most.
        let covariance = [4.0, 1.0, 2.0, 1.0, 3.0, 0.5, 2.0, 0.5, 9.0];
        let planes = Planes::new(&covariance, 3).unwrap();
        assert_eq!(planes.order, [1, 0, 2]);
        for i in 0..3 {
            for j in 0..3 {
                let rows = [i, j].map(|i| &planes.lower[3 * i..][..3]);
                let product: f64 = rows[0].iter().zip(rows[1]).map(|(a, b)| a * b).sum();
                let want = covariance[3 * planes.order[i] + planes.order[j]];
                assert!(
                    (product - want).abs() < 1e-12,
                    "{i}, {j}: {product} for {want}"
                );
            }
        }
        assert!(Planes::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }

    #[test]
    fn a_weight_takes_back_what_the_one_before_it_did() {
        // Two inputs that are almost one: what counts is the sum of their weights, 0.8.
        let planes = Planes::new(&[1.0, 0.99, 0.99, 1.01], 2).unwrap();
        let mut integers = [0.0, 0.0];
        planes.round([(&[0.4, 0.4][..], 1.0, &mut integers[..])].into_iter(), 7.0);
        assert_eq!(integers, [1.0, 0.0]);
    }
}
