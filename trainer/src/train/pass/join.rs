//! Skips. A kept value is a layer's output like any other; the join takes it from there, and leaves its gradient to be added to what comes
//! back along the chain.

use super::super::real::Real;
use super::{Given, Pass, Size};
use crate::net::{Combine, Join};

/// What is kept goes on as it is.
pub struct KeepPass<T> {
    width: usize,
    y: Vec<T>,
}

impl<T: Real> KeepPass<T> {
    pub fn new(width: usize, max: Size) -> Self {
        KeepPass {
            width,
            y: vec![T::ZERO; max.rows() * width],
        }
    }
}

impl<T: Real> Pass<T> for KeepPass<T> {
    fn forward(&mut self, _p: &[T], x: &[T], _size: Size) {
        self.y[..x.len()].copy_from_slice(x);
    }

    fn follow(&mut self, p: &[T], x: &[T], _given: Given<'_, T>, size: Size) {
        self.forward(p, x, size);
    }

    fn output(&self, size: Size) -> &[T] {
        &self.y[..size.rows() * self.width]
    }

    fn backward(
        &mut self,
        _p: &[T],
        _x: &[T],
        dy: &[T],
        _g: &mut [T],
        dx: Option<&mut [T]>,
        _size: Size,
    ) {
        if let Some(dx) = dx {
            dx.copy_from_slice(dy);
        }
    }
}

/// What arrives, with what was kept.
pub struct JoinPass<T> {
    /// The layer that keeps.
    keep: usize,
    how: Combine,
    /// Numbers that arrive, and that were kept.
    widths: [usize; 2],
    kept: Vec<T>,
    dkept: Vec<T>,
    y: Vec<T>,
}

impl<T: Real> JoinPass<T> {
    pub fn new(join: &Join, keep: usize, max: Size) -> Self {
        let zeros = |width: usize| vec![T::ZERO; max.rows() * width];
        JoinPass {
            keep,
            how: join.how,
            widths: [join.width, join.kept],
            kept: zeros(join.kept),
            dkept: zeros(join.kept),
            y: zeros(join.outputs()),
        }
    }

    /// Where in a row of outputs those of what arrives and of what was kept begin, if they stand side by side.
    fn places(&self) -> [usize; 2] {
        let [width, kept] = self.widths;
        match self.how {
            Combine::Add | Combine::Multiply => [0, 0],
            Combine::Append => [0, width],
            Combine::Prepend => [kept, 0],
        }
    }

    fn outputs(&self) -> usize {
        self.how.outputs(self.widths[0], self.widths[1])
    }
}

impl<T: Real> Pass<T> for JoinPass<T> {
    fn keep(&self) -> Option<usize> {
        Some(self.keep)
    }

    fn take_kept(&mut self, kept: &[T]) {
        self.kept[..kept.len()].copy_from_slice(kept);
    }

    fn kept_gradient(&self, size: Size) -> &[T] {
        &self.dkept[..size.rows() * self.widths[1]]
    }

    fn forward(&mut self, _p: &[T], x: &[T], _size: Size) {
        let ([width, kept], [at, kept_at]) = (self.widths, self.places());
        let outputs = self.outputs();
        let rows = x.chunks_exact(width).zip(self.kept.chunks_exact(kept));
        for (y, (x, k)) in self.y.chunks_exact_mut(outputs).zip(rows) {
            match self.how {
                Combine::Add => (y.iter_mut().zip(x).zip(k)).for_each(|((y, &x), &k)| *y = x + k),
                Combine::Multiply => {
                    (y.iter_mut().zip(x).zip(k)).for_each(|((y, &x), &k)| *y = x * k);
                }
                Combine::Append | Combine::Prepend => {
                    y[at..at + width].copy_from_slice(x);
                    y[kept_at..kept_at + kept].copy_from_slice(k);
                }
            }
        }
    }

    fn follow(&mut self, _p: &[T], _x: &[T], given: Given<'_, T>, _size: Size) {
        self.y[..given.output.len()].copy_from_slice(given.output);
    }

    fn output(&self, size: Size) -> &[T] {
        &self.y[..size.rows() * self.outputs()]
    }

    fn backward(
        &mut self,
        _p: &[T],
        x: &[T],
        dy: &[T],
        _g: &mut [T],
        dx: Option<&mut [T]>,
        _size: Size,
    ) {
        let ([width, kept], [at, kept_at]) = (self.widths, self.places());
        let rows = || dy.chunks_exact(self.how.outputs(width, kept));
        let multiplies = self.how == Combine::Multiply;
        for ((dk, dy), x) in
            (self.dkept.chunks_exact_mut(kept).zip(rows())).zip(x.chunks_exact(width))
        {
            dk.copy_from_slice(&dy[kept_at..kept_at + kept]);
            if multiplies {
                dk.iter_mut().zip(x).for_each(|(dk, &x)| *dk = *dk * x);
            }
        }
        let Some(dx) = dx else { return };
        let rows = rows().zip(self.kept.chunks_exact(kept));
        for (dx, (dy, k)) in dx.chunks_exact_mut(width).zip(rows) {
            dx.copy_from_slice(&dy[at..at + width]);
            if multiplies {
                dx.iter_mut().zip(k).for_each(|(dx, &k)| *dx = *dx * k);
            }
        }
    }
}
