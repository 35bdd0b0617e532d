//! Row `token` of a table. Backward: the output's gradient is added to that row.

use super::super::real::Real;
use super::{Given, Pass, Size};
use crate::net::Embedding;

pub struct EmbeddingPass<T> {
    dim: usize,
    y: Vec<T>,
}

impl<T: Real> EmbeddingPass<T> {
    pub fn new(embedding: &Embedding, max: Size) -> Self {
        EmbeddingPass {
            dim: embedding.dim,
            y: vec![T::ZERO; max.rows() * embedding.dim],
        }
    }
}

impl<T: Real> Pass<T> for EmbeddingPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let rows = self.y.chunks_exact_mut(self.dim);
        for (y, token) in rows.zip(&x[..size.rows()]) {
            let at = token.to_f64() as usize * self.dim;
            y.copy_from_slice(&p[at..at + self.dim]);
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], _given: Given<'_, T>, size: Size) {
        // The parameters are the quantized ones, so their rows are what the engine looks up.
        self.forward(p, x, size);
    }

    fn output(&self, size: Size) -> &[T] {
        &self.y[..size.rows() * self.dim]
    }

    fn backward(
        &mut self,
        _p: &[T],
        x: &[T],
        dy: &[T],
        g: &mut [T],
        _dx: Option<&mut [T]>,
        size: Size,
    ) {
        for (dy, token) in dy.chunks_exact(self.dim).zip(&x[..size.rows()]) {
            let at = token.to_f64() as usize * self.dim;
            for (g, &d) in g[at..at + self.dim].iter_mut().zip(dy) {
                *g += d;
            }
        }
    }
}
