//! A convolution: what every position of every step sees is gathered into the rows of one tall matrix, over which a dense layer
//! goes forward and backward; the gradient of that matrix is added up where its numbers came from. Rows of the past before the
//! first step of a pass get no gradient, as states do not.

use super::super::real::Real;
use super::dense::DensePass;
use super::{Given, Pass, Size};
use crate::net::{Activation, Conv, ConvShape};
use kinglet::format::Source;

pub struct ConvPass<T> {
    shape: ConvShape,
    dense: DensePass<T>,
    filters: usize,
    magnitude: bool,
    /// `[steps, lanes, positions, taps]`.
    seen: Vec<T>,
    /// Their gradient, where the layer below wants it.
    dseen: Vec<T>,
    /// Magnitudes, `[steps, lanes, positions, filters / 2]`, and the gradient of the sums below them.
    y: Vec<T>,
    dz: Vec<T>,
    /// `[lanes, remembered]`: before the first step, and after the last.
    past: [Vec<T>; 2],
}

impl<T: Real> ConvPass<T> {
    pub fn new(conv: &Conv, max: Size) -> Self {
        let rows = max.rows() * conv.shape.positions();
        let magnitude = conv.dense.activation == Activation::Magnitude;
        let zeros = |len: usize| vec![T::ZERO; len];
        let filters = conv.dense.outputs;
        ConvPass {
            shape: conv.shape,
            dense: DensePass::new(&conv.dense, positions(conv.shape, max)),
            filters,
            magnitude,
            seen: zeros(rows * conv.shape.taps()),
            dseen: zeros(rows * conv.shape.taps()),
            y: zeros(if magnitude { rows * filters / 2 } else { 0 }),
            dz: zeros(if magnitude { rows * filters } else { 0 }),
            past: [0, 1].map(|_| zeros(max.lanes * conv.shape.remembered())),
        }
    }

    fn gather(&mut self, x: &[T], size: Size) {
        let (shape, [inputs, taps]) = (self.shape, [self.shape.inputs(), self.shape.taps()]);
        let remembered = shape.remembered();
        let [before, after] = &mut self.past;
        after.copy_from_slice(before);
        for lane in 0..size.lanes {
            let past = &mut after[lane * remembered..][..remembered];
            for step in 0..size.steps {
                let row = step * size.lanes + lane;
                let x = &x[row * inputs..][..inputs];
                for position in 0..shape.positions() {
                    let place = (row * shape.positions() + position) * taps;
                    shape.gather(position, x, past, &mut self.seen[place..][..taps]);
                }
                shape.remember(x, past);
            }
        }
    }

    /// Adds every number's gradient where it came from.
    fn scatter(&self, dx: &mut [T], size: Size) {
        let (shape, channels) = (self.shape, usize::from(self.shape.channels));
        let [rows, before] = [shape.rows, shape.before].map(usize::from);
        dx.fill(T::ZERO);
        let seen = self.dseen.chunks_exact(shape.taps());
        for (place, gradients) in seen.take(size.rows() * shape.positions()).enumerate() {
            let (row, position) = (place / shape.positions(), place % shape.positions());
            let (step, lane) = (row / size.lanes, row % size.lanes);
            for (tap, gradient) in gradients.chunks_exact(channels).enumerate() {
                // Rows of a lane, from the first step on.
                let at = match shape.source(position, tap) {
                    Source::Sample(row) => step * rows + row,
                    Source::Past(row) if step * rows + row >= before => step * rows + row - before,
                    Source::Past(_) | Source::Zero => continue,
                };
                let sample = (at / rows) * size.lanes + lane;
                let to = &mut dx[(sample * rows + at % rows) * channels..][..channels];
                to.iter_mut().zip(gradient).for_each(|(to, &g)| *to += g);
            }
        }
    }
}

/// The rows of a dense layer.
fn positions(shape: ConvShape, size: Size) -> Size {
    Size {
        steps: size.steps * shape.positions(),
        ..size
    }
}

impl<T: Real> Pass<T> for ConvPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        self.gather(x, size);
        let all = positions(self.shape, size);
        let used = all.rows() * self.shape.taps();
        self.dense.forward(p, &self.seen[..used], all);
        if self.magnitude {
            let half = self.filters / 2;
            let sums = self.dense.output(all).chunks_exact(self.filters);
            for (y, sums) in self.y.chunks_exact_mut(half).zip(sums) {
                let (re, im) = sums.split_at(half);
                for ((y, &re), &im) in y.iter_mut().zip(re).zip(im) {
                    *y = T::from_f64((re * re + im * im).to_f64().sqrt());
                }
            }
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        if self.magnitude {
            // The sums below are not given.
            self.forward(p, x, size);
            self.y[..given.output.len()].copy_from_slice(given.output);
            return;
        }
        self.gather(x, size);
        let all = positions(self.shape, size);
        let used = all.rows() * self.shape.taps();
        self.dense.follow(p, &self.seen[..used], given, all);
    }

    fn output(&self, size: Size) -> &[T] {
        let all = positions(self.shape, size);
        if self.magnitude {
            &self.y[..all.rows() * self.filters / 2]
        } else {
            self.dense.output(all)
        }
    }

    fn backward(
        &mut self,
        p: &[T],
        _x: &[T],
        dy: &[T],
        g: &mut [T],
        dx: Option<&mut [T]>,
        size: Size,
    ) {
        let all = positions(self.shape, size);
        let used = all.rows() * self.shape.taps();
        let mut dz = dy;
        if self.magnitude {
            let half = self.filters / 2;
            let sums = self.dense.output(all).chunks_exact(self.filters);
            let dys = dy.chunks_exact(half).zip(self.y.chunks_exact(half));
            for ((dz, sums), (dy, y)) in self.dz.chunks_exact_mut(self.filters).zip(sums).zip(dys) {
                for (k, (dz, &sum)) in dz.iter_mut().zip(sums).enumerate() {
                    // At zero it has no slope.
                    let y = y[k % half];
                    *dz = if y > T::ZERO {
                        dy[k % half] * sum / y
                    } else {
                        T::ZERO
                    };
                }
            }
            dz = &self.dz[..all.rows() * self.filters];
        }
        let dseen = dx.is_some().then_some(&mut self.dseen[..used]);
        self.dense
            .backward(p, &self.seen[..used], dz, g, dseen, all);
        if let Some(dx) = dx {
            self.scatter(dx, size);
        }
    }

    fn reset(&mut self) {
        self.past[0].fill(T::ZERO);
    }

    fn carry(&mut self, _size: Size) {
        let [before, after] = &mut self.past;
        before.copy_from_slice(after);
    }
}
