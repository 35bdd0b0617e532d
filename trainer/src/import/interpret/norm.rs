//! Means, sums and the largest of several numbers, and normalisations of a sample.

use super::axis;
use crate::import::graph::{Reduction, Tensor};
use anyhow::{Context, Result, ensure};

/// The axes that a list names, all of them if there is none.
pub(crate) fn axes(rank: usize, axes: Option<&Tensor>) -> Result<Vec<usize>> {
    match axes {
        Some(list) => list.ints()?.iter().map(|&a| axis(a, rank)).collect(),
        None => Ok((0..rank).collect()),
    }
}

/// The mean, the sum or the largest number over some axes, which are 1 long then, or gone.
pub(super) fn reduce(x: &Tensor, over: &[usize], how: Reduction, keep: bool) -> Result<Tensor> {
    let kept = |i: usize| !over.contains(&i);
    let small: Vec<usize> = (x.shape.iter().enumerate())
        .map(|(i, &d)| if kept(i) { d } else { 1 })
        .collect();
    let count: usize = small.iter().product();
    let whole = x.len().checked_div(count).filter(|&n| n > 0);
    let whole = whole.context("a mean of nothing")?;
    let start = match how {
        Reduction::Max => f32::NEG_INFINITY,
        Reduction::Mean | Reduction::Sum => 0.0,
    };
    let mut all = vec![start; count];
    let mut at = vec![0; x.shape.len()];
    for value in x.floats()? {
        let digits = at.iter().zip(&small);
        let place = digits.fold(0, |place, (&i, &d)| place * d + if d == 1 { 0 } else { i });
        match how {
            Reduction::Mean => all[place] += value / whole as f32,
            Reduction::Sum => all[place] += value,
            Reduction::Max => all[place] = all[place].max(*value),
        }
        for (i, &d) in at.iter_mut().zip(&x.shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    let shape = match keep {
        true => small,
        false => (x.shape.iter().enumerate())
            .filter(|(i, _)| kept(*i))
            .map(|(_, &d)| d)
            .collect(),
    };
    Tensor::f32(shape, all)
}

/// `(x − mean) / √(variance + ε) · γ + β` over the axes from `first` on.
pub(super) fn normalise(
    x: &Tensor,
    first: usize,
    epsilon: f32,
    terms: [Option<&Tensor>; 2],
) -> Result<Tensor> {
    let len: usize = x.shape[first..].iter().product();
    let terms = terms.map(|term| term.map(Tensor::floats).transpose());
    let [gamma, beta] = terms;
    let (gamma, beta) = (gamma?, beta?);
    for term in [gamma, beta].into_iter().flatten() {
        ensure!(
            term.len() == len,
            "a scale or an offset of {} numbers for {len}",
            term.len()
        );
    }
    let mut values = x.floats()?.to_vec();
    for row in values.chunks_mut(len.max(1)) {
        let n = row.len() as f32;
        let mean = row.iter().sum::<f32>() / n;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
        let root = (variance + epsilon).sqrt();
        for (k, x) in row.iter_mut().enumerate() {
            *x = (*x - mean) / root * gamma.map_or(1.0, |g| g[k]) + beta.map_or(0.0, |b| b[k]);
        }
    }
    Tensor::f32(x.shape.clone(), values)
}
