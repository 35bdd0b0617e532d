//! `h' = φ(W_ih x + b_ih + W_hh h + b_hh)`, φ = tanh or max(0, ·).
//!
//! Backward, from the last step to the first, with `dh` = gradient from above + from the next step:
//! `dz = dh ⊙ φ'(z)`, where φ' follows from the output alone (1 − h², or h > 0); `dh_prev = dz W_hh`.

use super::super::gemm::{Matrix, MatrixMut};
use super::super::params::RecurrentSize;
use super::super::real::Real;
use super::super::vectorise::vectorised;
use super::{
    Given, Memory, Operands, Pass, Size, add_biases, add_row_sums, input_gradients, input_products,
};

/// `h = φ(z)`.
type Forward<T> = fn(&[T], &mut [T]);
/// `dy, dh, h` to `dz`.
type Backward<T> = fn(&[T], &[T], &[T], &mut [T]);

pub struct RnnPass<T> {
    of: RecurrentSize,
    operands: Operands<T>,
    forward: Forward<T>,
    backward: Backward<T>,
    bias: Vec<T>,
    /// Sums, then their gradients.
    z: Vec<T>,
    /// State before the first step, then after every step.
    h: Vec<T>,
    dh: Vec<T>,
}

vectorised! {
    fn tanh_forward(z: &[T], h: &mut [T]) {
        for (h, &z) in h.iter_mut().zip(z) {
            *h = z.tanh();
        }
    }
}

vectorised! {
    fn relu_forward(z: &[T], h: &mut [T]) {
        for (h, &z) in h.iter_mut().zip(z) {
            *h = if z > T::ZERO { z } else { T::ZERO };
        }
    }
}

vectorised! {
    fn tanh_backward(dy: &[T], dh: &[T], h: &[T], dz: &mut [T]) {
        for (((dz, &dy), &dh), &h) in dz.iter_mut().zip(dy).zip(dh).zip(h) {
            *dz = (dy + dh) * (T::ONE - h * h);
        }
    }
}

vectorised! {
    fn relu_backward(dy: &[T], dh: &[T], h: &[T], dz: &mut [T]) {
        for (((dz, &dy), &dh), &h) in dz.iter_mut().zip(dy).zip(dh).zip(h) {
            *dz = if h > T::ZERO { dy + dh } else { T::ZERO };
        }
    }
}

impl<T: Real> RnnPass<T> {
    pub fn tanh(of: RecurrentSize, max: Size) -> Self {
        Self::new(of, max, tanh_forward, tanh_backward)
    }

    pub fn relu(of: RecurrentSize, max: Size) -> Self {
        Self::new(of, max, relu_forward, relu_backward)
    }

    fn new(of: RecurrentSize, max: Size, forward: Forward<T>, backward: Backward<T>) -> Self {
        RnnPass {
            of,
            operands: Operands::default(),
            forward,
            backward,
            bias: vec![T::ZERO; of.rows],
            z: vec![T::ZERO; max.rows() * of.rows],
            h: vec![T::ZERO; (max.rows() + max.lanes) * of.hidden],
            dh: vec![T::ZERO; max.lanes * of.hidden],
        }
    }
}

impl<T: Real> Pass<T> for RnnPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let (w, hidden, n) = (self.of.params(p), self.of.hidden, size.lanes);
        add_biases(w, &mut self.bias);
        self.operands.set(w, self.of);
        let z = &mut self.z[..size.rows() * hidden];
        input_products(&self.operands.w_ih, &self.bias, x, z, self.of);
        for (t, z) in z.chunks_exact_mut(n * hidden).enumerate() {
            let (before, after) = self.h.split_at_mut((t + 1) * n * hidden);
            T::gemm(
                Matrix::new(&before[t * n * hidden..], n, hidden),
                self.operands.w_hh.view(),
                T::ONE,
                MatrixMut::new(z, n, hidden),
            );
            (self.forward)(z, &mut after[..n * hidden]);
        }
    }

    fn follow(&mut self, _p: &[T], _x: &[T], given: Given<'_, T>, size: Size) {
        // The derivative follows from the output alone.
        let step = size.lanes * self.of.hidden;
        self.h[step..][..given.output.len()].copy_from_slice(given.output);
    }

    fn output(&self, size: Size) -> &[T] {
        let step = size.lanes * self.of.hidden;
        &self.h[step..step * (size.steps + 1)]
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
        let (w, g) = (self.of.params(p), self.of.grads(g));
        let (hidden, n) = (self.of.hidden, size.lanes);
        self.operands.set_back(w, self.of);
        let step = n * hidden;
        let z = &mut self.z[..size.steps * step];
        let dh = &mut self.dh[..step];
        for t in (0..size.steps).rev() {
            let dz = &mut z[t * step..][..step];
            (self.backward)(
                &dy[t * step..][..step],
                dh,
                &self.h[(t + 1) * step..][..step],
                dz,
            );
            T::gemm(
                Matrix::new(dz, n, hidden),
                self.operands.back.view(),
                T::ZERO,
                MatrixMut::new(dh, n, hidden),
            );
        }
        self.operands.state_gradients(&self.h, z, g.w_hh, self.of);
        add_row_sums(z, g.b_hh);
        input_gradients(w.w_ih, x, z, (g.w_ih, g.b_ih), dx, self.of);
    }

    fn reset(&mut self) {
        self.h.fill(T::ZERO);
    }

    fn carry(&mut self, size: Size) {
        let step = size.lanes * self.of.hidden;
        self.h
            .copy_within(size.steps * step..(size.steps + 1) * step, 0);
    }

    fn memory(&mut self) -> Option<Memory<'_, T>> {
        Some(Memory {
            hidden: self.of.hidden,
            state: [&mut self.h[..], &mut []],
            gradient: [&mut self.dh[..], &mut []],
        })
    }
}
