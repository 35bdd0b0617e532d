//! A normalisation of the numbers of a sample. With `x̂ = (x − μ) / √(σ² + ε)`, `y = γ x̂ + β` and `g = γ dy`:
//!
//! ```text
//! dγ = Σ dy x̂      dβ = Σ dy      dx = (g − mean(g) − x̂ mean(g x̂)) / √(σ² + ε)
//! ```

use super::super::real::Real;
use super::{Given, Pass, Size, add_row_sums};
use crate::net::Norm;

pub struct NormPass<T> {
    width: usize,
    epsilon: T,
    /// `[steps, lanes, width]`: x̂, and y.
    normalised: Vec<T>,
    y: Vec<T>,
    /// `[steps, lanes]`: 1 / √(σ² + ε).
    scales: Vec<T>,
}

impl<T: Real> NormPass<T> {
    pub fn new(norm: &Norm, max: Size) -> Self {
        let width = norm.width();
        let zeros = |len: usize| vec![T::ZERO; len];
        NormPass {
            width,
            epsilon: T::from_f64(norm.epsilon.into()),
            normalised: zeros(max.rows() * width),
            y: zeros(max.rows() * width),
            scales: zeros(max.rows()),
        }
    }

    fn normalise(&mut self, x: &[T]) {
        let n = T::from_f64(self.width as f64);
        let rows = x.chunks_exact(self.width);
        let places = self.normalised.chunks_exact_mut(self.width);
        for ((x, place), scale) in rows.zip(places).zip(&mut self.scales) {
            let mean = sum(x.iter().copied()) / n;
            let variance = sum(x.iter().map(|&x| (x - mean) * (x - mean))) / n;
            *scale = T::from_f64(1.0 / (variance + self.epsilon).to_f64().sqrt());
            for (place, &x) in place.iter_mut().zip(x) {
                *place = (x - mean) * *scale;
            }
        }
    }
}

fn sum<T: Real>(numbers: impl Iterator<Item = T>) -> T {
    numbers.fold(T::ZERO, |sum, x| sum + x)
}

impl<T: Real> Pass<T> for NormPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], _size: Size) {
        self.normalise(x);
        let (gamma, beta) = p.split_at(self.width);
        let rows = self.normalised.chunks_exact(self.width);
        let used = x.len() / self.width;
        for (y, normalised) in self.y.chunks_exact_mut(self.width).zip(rows).take(used) {
            let terms = gamma.iter().zip(beta);
            for ((y, &x), (&gamma, &beta)) in y.iter_mut().zip(normalised).zip(terms) {
                *y = x * gamma + beta;
            }
        }
    }

    fn follow(&mut self, _p: &[T], x: &[T], given: Given<'_, T>, _size: Size) {
        self.normalise(x);
        self.y[..given.output.len()].copy_from_slice(given.output);
    }

    fn output(&self, size: Size) -> &[T] {
        &self.y[..size.rows() * self.width]
    }

    fn backward(
        &mut self,
        p: &[T],
        _x: &[T],
        dy: &[T],
        g: &mut [T],
        dx: Option<&mut [T]>,
        _size: Size,
    ) {
        let (g_gamma, g_beta) = g.split_at_mut(self.width);
        add_row_sums(dy, g_beta);
        let rows = dy.chunks_exact(self.width);
        for (dy, normalised) in rows.zip(self.normalised.chunks_exact(self.width)) {
            for ((g, &dy), &x) in g_gamma.iter_mut().zip(dy).zip(normalised) {
                *g += dy * x;
            }
        }
        let Some(dx) = dx else { return };
        let (n, gamma) = (T::from_f64(self.width as f64), &p[..self.width]);
        let rows = dy.chunks_exact(self.width).zip(&self.scales);
        let rows = rows.zip(self.normalised.chunks_exact(self.width));
        for (dx, ((dy, &scale), normalised)) in dx.chunks_exact_mut(self.width).zip(rows) {
            for ((dx, &dy), &gamma) in dx.iter_mut().zip(dy).zip(gamma) {
                *dx = dy * gamma;
            }
            let mean = sum(dx.iter().copied()) / n;
            let along = sum(dx.iter().zip(normalised).map(|(&g, &x)| g * x)) / n;
            for (dx, &x) in dx.iter_mut().zip(normalised) {
                *dx = (*dx - mean - x * along) * scale;
            }
        }
    }
}
