//! Least squares with a penalty on the weights: `(S + λ) w = c` for the products `S` of the inputs with each other and `c` with a goal.

use rayon::prelude::*;

/// The weights for every goal, by Cholesky's factors; none where the sums overflowed. Only the lower half of `square` is read.
pub(crate) fn solve(square: &[f64], lambda: f64, cross: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = cross.first().map_or(0, Vec::len);
    let mut l = square.to_vec();
    for i in 0..n {
        l[i * n + i] += lambda;
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let rest = l[i * n + j] - dot;
            l[i * n + j] = match i == j {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / l[j * n + j],
            };
        }
    }
    let solve = |cross: &Vec<f64>| {
        let mut w = cross.clone();
        for i in 0..n {
            let dot: f64 = (0..i).map(|k| l[i * n + k] * w[k]).sum();
            w[i] = (w[i] - dot) / l[i * n + i];
        }
        for i in (0..n).rev() {
            // A row of the factors is a column of their transpose.
            let (above, from) = w.split_at_mut(i);
            from[0] /= l[i * n + i];
            let line = l[i * n..].iter();
            above
                .iter_mut()
                .zip(line)
                .for_each(|(w, l)| *w -= l * from[0]);
        }
        w
    };
    Some(cross.par_iter().map(solve).collect())
}
