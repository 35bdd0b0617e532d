//! Two directions: the passes of two cells, the second on the input turned in time.
//!
//! Between layers the second one's output is turned back. Behind the last layer only the last step counts, and there the
//! second direction's last state is wanted, which it has after the first sample: so its output is left as it comes,
//! and the last row has both last states.

use super::super::real::Real;
use super::{Given, Pass, Size};
use crate::net::Bidirectional;

pub struct BidirectionalPass<T> {
    halves: [Box<dyn Pass<T>>; 2],
    inputs: usize,
    hidden: usize,
    /// Another such layer follows.
    inner: bool,
    turned: Vec<T>,
    output: Vec<T>,
    /// Cells of a direction that are given.
    cell: Vec<T>,
    /// Gradient of a direction's output, and of its input.
    dy: Vec<T>,
    dx: Vec<T>,
}

impl<T: Real> BidirectionalPass<T> {
    pub fn new(
        layer: &Bidirectional,
        halves: [Box<dyn Pass<T>>; 2],
        inner: bool,
        max: Size,
    ) -> Self {
        let (inputs, hidden) = (layer.forward.inputs, layer.forward.hidden);
        let memory = |width: usize| vec![T::ZERO; width * max.rows()];
        BidirectionalPass {
            halves,
            inputs,
            hidden,
            inner,
            turned: memory(inputs),
            output: memory(2 * hidden),
            cell: memory(hidden),
            dy: memory(hidden),
            dx: memory(inputs),
        }
    }

    /// The outputs of both directions side by side.
    fn join(&mut self, size: Size) {
        let (h, n) = (self.hidden, size.lanes);
        for (half, pass) in self.halves.iter().enumerate() {
            let y = pass.output(size);
            for t in 0..size.steps {
                let from = row(t, size, self.inner && half == 1) * n * h;
                let rows = self.output[t * n * 2 * h..].chunks_exact_mut(2 * h);
                for (row, y) in rows.zip(y[from..][..n * h].chunks_exact(h)) {
                    row[half * h..][..h].copy_from_slice(y);
                }
            }
        }
    }
}

/// Last step first.
fn turn<T: Real>(from: &[T], to: &mut [T], size: Size) {
    let step = from.len() / size.steps;
    let steps = from.chunks_exact(step).rev();
    for (from, to) in steps.zip(to.chunks_exact_mut(step)) {
        to.copy_from_slice(from);
    }
}

/// A direction's part of rows that have both, turned or not.
fn part<T: Real>(both: &[T], own: &mut [T], (half, turned): (usize, bool), size: Size) {
    let h = own.len() / size.rows();
    let step = size.lanes * h;
    for t in 0..size.steps {
        let to = row(t, size, turned) * step;
        let rows = both[t * 2 * step..].chunks_exact(2 * h);
        for (row, own) in rows.zip(own[to..][..step].chunks_exact_mut(h)) {
            own.copy_from_slice(&row[half * h..][..h]);
        }
    }
}

/// Where the rows of a step lie in a half's buffers.
fn row(t: usize, size: Size, turned: bool) -> usize {
    if turned { size.steps - 1 - t } else { t }
}

impl<T: Real> Pass<T> for BidirectionalPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let turned = &mut self.turned[..x.len()];
        turn(x, turned, size);
        let (forward, backward) = p.split_at(p.len() / 2);
        self.halves[0].forward(forward, x, size);
        self.halves[1].forward(backward, turned, size);
        self.join(size);
    }

    /// What is given is by sample, in either direction.
    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        let turned = &mut self.turned[..x.len()];
        turn(x, turned, size);
        let h = self.hidden;
        let (forward, backward) = p.split_at(p.len() / 2);
        for (half, p) in [forward, backward].into_iter().enumerate() {
            let x = if half == 1 {
                &self.turned[..x.len()]
            } else {
                x
            };
            let own = &mut self.dy[..size.rows() * h];
            part(given.output, own, (half, half == 1), size);
            let cell = &mut self.cell[..given.cell.len() / 2];
            if !cell.is_empty() {
                part(given.cell, cell, (half, half == 1), size);
            }
            self.halves[half].follow(p, x, Given { output: own, cell }, size);
        }
        self.join(size);
    }

    fn output(&self, size: Size) -> &[T] {
        &self.output[..size.rows() * 2 * self.hidden]
    }

    fn backward(
        &mut self,
        p: &[T],
        x: &[T],
        dy: &[T],
        g: &mut [T],
        mut dx: Option<&mut [T]>,
        size: Size,
    ) {
        let (h, n) = (self.hidden, size.lanes);
        let (g_forward, g_backward) = g.split_at_mut(p.len() / 2);
        let (p_forward, p_backward) = p.split_at(p.len() / 2);
        let halves = [(p_forward, g_forward), (p_backward, g_backward)];
        for (half, (p, g)) in halves.into_iter().enumerate() {
            let turned = half == 1;
            let own = &mut self.dy[..size.rows() * h];
            part(dy, own, (half, self.inner && turned), size);
            let x = if turned { &self.turned[..x.len()] } else { x };
            let pass = &mut self.halves[half];
            let Some(dx) = dx.as_deref_mut() else {
                pass.backward(p, x, own, g, None, size);
                continue;
            };
            if !turned {
                pass.backward(p, x, own, g, Some(dx), size);
                continue;
            }
            let own_dx = &mut self.dx[..dx.len()];
            pass.backward(p, x, own, g, Some(own_dx), size);
            let step = n * self.inputs;
            let steps = own_dx.chunks_exact(step).rev();
            for (dx, own) in dx.chunks_exact_mut(step).zip(steps) {
                for (dx, &own) in dx.iter_mut().zip(own) {
                    *dx += own;
                }
            }
        }
    }

    fn reset(&mut self) {
        self.halves.iter_mut().for_each(|half| half.reset());
    }

    fn begin_backward(&mut self) {
        self.halves
            .iter_mut()
            .for_each(|half| half.begin_backward());
    }
}
