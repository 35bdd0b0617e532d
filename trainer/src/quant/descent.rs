//! Where the weights of a row go among the integers, many rows at a time.
//!
//! For one scale that is coordinate descent on `dᵀ C d`, from what [`Planes`](super::planes::Planes) make of it on, with `C d` kept up to date: a weight
//! that moves costs one row of `C`. A block of rows goes through the coordinates together, so a row of `C` is read from
//! memory once for all of them, and blocks are shared among the threads. That is quadratic in the width for a row and a scale.
//!
//! The scale is searched for between half of what the largest weight asks for and all of it, in twenty steps. A wide row
//! tries every fourth and then the neighbours of the best, ten instead of 21: its error over the scales is smooth, as
//! many weights have a part in it.

use super::moments::{Spread, dot};
use super::rows::{MIN_SCALE, Row};
use super::watch;
use crate::train::{real::Real, vectorise::vectorised};
use rayon::prelude::*;

/// Times that descent goes over a row at the most.
const PASSES: usize = 8;
/// Rows that go through the coordinates together: their slopes stay in the second cache.
const BLOCK: usize = 16;
/// Steps from half of the largest scale to all of it.
const STEPS: usize = 20;
/// Widest row for which every step is tried.
const NARROW: usize = 256;

vectorised! {
    /// `to += by · from`.
    pub(super) fn add_scaled(to: &mut [T], from: &[T], by: T) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to += by * from;
        }
    }
}

/// A row among the integers.
#[derive(Debug, Clone)]
pub(super) struct Rounded {
    /// What one step of a weight stands for.
    pub scale: f64,
    pub integers: Vec<f64>,
    /// Mean of the squared error of the row's product.
    error: f64,
}

/// Every row at the scale that is best for it, or at its own.
pub(super) fn round_rows(rows: &[Row<'_>], limit: i8) -> Vec<Rounded> {
    let blocks = rows.par_chunks(BLOCK).flat_map_iter(|block| {
        let alike = block.chunk_by(|a, b| same(a.inputs, b.inputs));
        alike.flat_map(move |rows| {
            let block = Block::new(rows, limit);
            let rounded = block.best(block.width() <= NARROW);
            if let Some(inputs) = rows[0].inputs {
                watch::done(rows.len() * inputs.mean.len().pow(2));
            }
            rounded
        })
    });
    blocks.collect()
}

/// A row at this scale.
pub(super) fn round_at(row: &Row<'_>, limit: i8, scale: f64) -> Rounded {
    let block = Block::new(std::slice::from_ref(row), limit);
    block.descend([(0, scale)]).swap_remove(0)
}

fn same(a: Option<&Spread>, b: Option<&Spread>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Rows with the same inputs.
struct Block<'a> {
    rows: &'a [Row<'a>],
    weights: Vec<Vec<f64>>,
    inputs: Option<&'a Spread>,
    limit: i8,
}

/// A row on its way down.
struct Descending<'w> {
    weights: &'w [f64],
    scale: f64,
    integers: Vec<f64>,
    /// Half the error's derivative by the weights.
    slope: Vec<f64>,
    moved: bool,
}

impl<'a> Block<'a> {
    fn new(rows: &'a [Row<'a>], limit: i8) -> Self {
        Block {
            rows,
            weights: rows.iter().map(Row::weights).collect(),
            inputs: rows.first().and_then(|row| row.inputs),
            limit,
        }
    }

    /// One of the scales of a row, or its own.
    fn scale(&self, row: usize, step: usize) -> f64 {
        let whole = self.rows[row].largest() / f64::from(self.limit);
        let part = 0.5 + step as f64 / (2 * STEPS) as f64;
        self.rows[row].scale.unwrap_or(whole * part).max(MIN_SCALE)
    }

    fn width(&self) -> usize {
        self.weights.first().map_or(0, Vec::len)
    }

    /// Each row at the best of its scales: of every one, or of those near the best of some.
    fn best(&self, every: bool) -> Vec<Rounded> {
        let whole = self.descend((0..self.rows.len()).map(|row| (row, self.scale(row, STEPS))));
        let mut best: Vec<(usize, Rounded)> = whole.into_iter().map(|row| (STEPS, row)).collect();
        // In eight bits a row of which nothing is known keeps its largest weight.
        let clips = self.limit < 127 || self.inputs.is_some();
        let searched = |row: &usize| clips && self.rows[*row].scale.is_none();
        let searched: Vec<usize> = (0..self.rows.len()).filter(searched).collect();
        let all_at = |step| searched.iter().map(move |&row| (row, step)).collect();
        if every {
            for step in (0..STEPS).rev() {
                self.improve(&mut best, all_at(step));
            }
            return best.into_iter().map(|(_, row)| row).collect();
        }
        for step in (0..STEPS).step_by(4) {
            self.improve(&mut best, all_at(step));
        }
        for aside in [2, 1] {
            let at = |row: &usize| (*row, best[*row].0);
            let around: Vec<(usize, usize)> = searched.iter().map(at).collect();
            let below = around.iter().filter(|(_, step)| *step >= aside);
            let below = below.map(|(row, step)| (*row, step - aside)).collect();
            let above = around.iter().filter(|(_, step)| step + aside <= STEPS);
            let above = above.map(|(row, step)| (*row, step + aside)).collect();
            self.improve(&mut best, below);
            self.improve(&mut best, above);
        }
        best.into_iter().map(|(_, row)| row).collect()
    }

    /// Tries rows at steps, and keeps what is better.
    fn improve(&self, best: &mut [(usize, Rounded)], tries: Vec<(usize, usize)>) {
        let scales = tries
            .iter()
            .map(|&(row, step)| (row, self.scale(row, step)));
        for ((row, step), found) in tries.iter().zip(self.descend(scales)) {
            if found.error < best[*row].1.error {
                best[*row] = (*step, found);
            }
        }
    }

    /// Rows with these scales. Where the inputs are known, weights are rounded to whichever side makes the row's error
    /// least together with the others.
    fn descend(&self, tries: impl IntoIterator<Item = (usize, f64)>) -> Vec<Rounded> {
        let limit = f64::from(self.limit);
        let nearest = |(row, scale): (usize, f64)| {
            let weights = &self.weights[row][..];
            let round = |w: &f64| (w / scale).round().clamp(-limit, limit);
            Descending {
                weights,
                scale,
                integers: weights.iter().map(round).collect(),
                slope: vec![0.0; weights.len()],
                moved: true,
            }
        };
        let mut rows: Vec<Descending<'_>> = tries.into_iter().map(nearest).collect();
        let Some(inputs) = self.inputs else {
            return rows.into_iter().map(|row| row.rounded(false)).collect();
        };
        let width = inputs.mean.len();
        if let Some(planes) = &inputs.planes {
            let each = rows.iter_mut();
            let each = each.map(|row| (row.weights, row.scale, &mut row.integers[..]));
            planes.round(each, limit);
        }
        let columns = || inputs.covariance.chunks_exact(width).enumerate();
        for (j, c) in columns() {
            for row in &mut rows {
                let d = row.integers[j] * row.scale - row.weights[j];
                add_scaled(&mut row.slope, c, d);
            }
        }
        for _ in 0..PASSES {
            let mut moving: Vec<&mut Descending<'_>> =
                rows.iter_mut().filter(|row| row.moved).collect();
            moving.iter_mut().for_each(|row| row.moved = false);
            for (j, c) in columns() {
                for row in &mut moving {
                    let best = (row.integers[j] - row.slope[j] / (c[j] * row.scale)).round();
                    let step = best.clamp(-limit, limit) - row.integers[j];
                    if step != 0.0 {
                        row.integers[j] += step;
                        row.moved = true;
                        add_scaled(&mut row.slope, c, step * row.scale);
                    }
                }
            }
        }
        rows.into_iter().map(|row| row.rounded(true)).collect()
    }
}

impl Descending<'_> {
    fn rounded(self, known: bool) -> Rounded {
        let pairs = self.integers.iter().zip(self.weights);
        let d: Vec<f64> = pairs.map(|(q, w)| q * self.scale - w).collect();
        Rounded {
            error: dot(&d, if known { &self.slope } else { &d }),
            scale: self.scale,
            integers: self.integers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Moments;
    use super::*;

    #[test]
    fn ten_scales_do_as_well_as_twenty_one() {
        const WIDTH: usize = 120;
        let mut noise = 11u32;
        let mut white = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut moments = Moments::new(WIDTH);
        for _ in 0..600 {
            let common = [white(), white(), white()];
            let sample: Vec<f32> = (0..WIDTH).map(|k| 0.3 * white() + common[k % 3]).collect();
            moments.meet(&sample);
        }
        moments.settle();
        let spread = moments.of(0..WIDTH);
        // Some rows have a few large weights.
        let weights: Vec<f32> = (0..32 * WIDTH)
            .map(|k| {
                white()
                    * if k % 37 == 0 {
                        1.0 + (k % 5) as f32
                    } else {
                        0.5
                    }
            })
            .collect();
        let row = |x| Row {
            x,
            h: &[],
            bias: 0.0,
            inputs: Some(&spread),
            scale: None,
        };
        let rows: Vec<Row<'_>> = weights.chunks_exact(WIDTH).map(row).collect();
        for limit in [127, 7] {
            let block = Block::new(&rows, limit);
            let [ten, all] = [false, true]
                .map(|every| block.best(every).iter().map(|row| row.error).sum::<f64>());
            assert!(ten < 1.03 * all, "{limit}: {ten} for {all}");
        }
    }
}
