//! A convolution whose answers are pooled over time: what it gives at every step, of which the largest of several, or their
//! mean, go on, and not at every step. So there are fewer steps behind it than before it.
//!
//! Backward, the gradient of a largest number is that of the answer it came from, the first of several that are as large, and
//! that of a mean is shared.

use super::super::real::Real;
use super::{Given, Pass, Size};
use crate::net::{Pool, PoolKind};

/// Steps that are left of so many from a reset on.
pub(super) fn left(pool: Pool, steps: usize) -> usize {
    let (first, every) = (usize::from(pool.first), usize::from(pool.every));
    match steps.checked_sub(first + 1) {
        Some(behind) => behind / every + 1,
        None => 0,
    }
}

pub struct PoolPass<T> {
    conv: Box<dyn Pass<T>>,
    pool: Pool,
    width: usize,
    /// `[steps that are left, lanes, width]`.
    y: Vec<T>,
    /// Of the convolution's outputs, `[steps, lanes, width]`.
    dy: Vec<T>,
}

impl<T: Real> PoolPass<T> {
    pub fn new(conv: Box<dyn Pass<T>>, pool: Pool, width: usize, max: Size) -> Self {
        PoolPass {
            conv,
            pool,
            width,
            y: vec![T::ZERO; left(pool, max.steps) * max.lanes * width],
            dy: vec![T::ZERO; max.rows() * width],
        }
    }

    fn behind(&self, size: Size) -> Size {
        Size {
            steps: left(self.pool, size.steps),
            ..size
        }
    }

    /// For each number that is left, where the answers begin that it is made of, a sequence's are so far apart.
    fn places(&self, size: Size) -> impl Iterator<Item = usize> + use<T> {
        let Pool {
            kernel,
            first,
            every,
            ..
        } = self.pool;
        let row = size.lanes * self.width;
        let oldest = usize::from(first) + 1 - usize::from(kernel);
        let steps = (0..left(self.pool, size.steps)).map(move |n| oldest + n * usize::from(every));
        steps.flat_map(move |step| (0..row).map(move |k| step * row + k))
    }
}

impl<T: Real> Pass<T> for PoolPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        self.conv.forward(p, x, size);
        let (kernel, apart) = (usize::from(self.pool.kernel), size.lanes * self.width);
        let answers = self.conv.output(size);
        for (place, y) in self.places(size).zip(&mut self.y) {
            let mut numbers = (0..kernel).map(|k| answers[place + k * apart]);
            let oldest = numbers.next().unwrap_or(T::ZERO);
            *y = match self.pool.kind {
                PoolKind::Max => numbers.fold(oldest, |most, x| if x > most { x } else { most }),
                PoolKind::Mean => {
                    let sum = numbers.fold(oldest, |sum, x| sum + x);
                    sum / T::from_f64(kernel as f64)
                }
            };
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        // What was pooled is not given.
        self.forward(p, x, size);
        self.y[..given.output.len()].copy_from_slice(given.output);
    }

    fn output(&self, size: Size) -> &[T] {
        &self.y[..self.behind(size).rows() * self.width]
    }

    fn backward(
        &mut self,
        p: &[T],
        x: &[T],
        dy: &[T],
        g: &mut [T],
        dx: Option<&mut [T]>,
        size: Size,
    ) {
        let (kernel, apart) = (usize::from(self.pool.kernel), size.lanes * self.width);
        let places = self.places(size);
        let to = &mut self.dy[..size.rows() * self.width];
        to.fill(T::ZERO);
        let answers = self.conv.output(size);
        for (place, &d) in places.zip(dy) {
            match self.pool.kind {
                PoolKind::Max => {
                    let largest = (1..kernel).fold(place, |most, k| {
                        let at = place + k * apart;
                        if answers[at] > answers[most] {
                            at
                        } else {
                            most
                        }
                    });
                    to[largest] += d;
                }
                PoolKind::Mean => {
                    let share = d / T::from_f64(kernel as f64);
                    (0..kernel).for_each(|k| to[place + k * apart] += share);
                }
            }
        }
        self.conv.backward(p, x, to, g, dx, size);
    }

    fn reset(&mut self) {
        self.conv.reset();
    }
}
