//! GRU that resets before the product (Cho et al. 2014), gates stacked `r, z, n`:
//! `r, z = σ(x-part + W_h h)`, `n = tanh(x-part + W_hn (r ⊙ h))`, `h' = (1 − z) ⊙ n + z ⊙ h`.
//!
//! The candidate's product waits for `r`, so a step takes two products: `r, z` together, then `n`.
//! Both biases of a gate are simply added.

use super::super::gemm::{Matrix, MatrixMut};
use super::super::params::{RecurrentParams, RecurrentSize};
use super::super::real::Real;
use super::super::vectorise::vectorised;
use super::{
    Given, Memory, Operands, Pass, Size, add_biases, add_row_sums, input_gradients, input_products,
};

pub struct GruBeforePass<T> {
    of: RecurrentSize,
    /// The candidate's weights and states, `r ⊙ h`, are apart.
    operands: Operands<T>,
    candidate: Operands<T>,
    bias: Vec<T>,
    /// Sums, then gates, then the gradients of the sums.
    z: Vec<T>,
    /// `r ⊙ h` of every step.
    rh: Vec<T>,
    /// State before the first step, then after every step.
    h: Vec<T>,
    dh: Vec<T>,
    drh: Vec<T>,
}

vectorised! {
    /// One sequence, one step: the gates `r, z`, and what the candidate's product reads.
    fn reset_forward(r: &mut [T], z: &mut [T], h_prev: &[T], rh: &mut [T]) {
        let len = rh.len();
        let (r, z, h_prev) = (&mut r[..len], &mut z[..len], &h_prev[..len]);
        for j in 0..len {
            r[j] = r[j].sigmoid();
            z[j] = z[j].sigmoid();
            rh[j] = r[j] * h_prev[j];
        }
    }
}

vectorised! {
    /// One sequence, one step: the candidate and the state.
    fn state_forward(z: &[T], n: &mut [T], h_prev: &[T], h: &mut [T]) {
        let len = h.len();
        let (z, n, h_prev) = (&z[..len], &mut n[..len], &h_prev[..len]);
        for j in 0..len {
            n[j] = n[j].tanh();
            h[j] = n[j] + z[j] * (h_prev[j] - n[j]);
        }
    }
}

vectorised! {
    /// One sequence, one step: gradients of the sums of `z` and `n`.
    fn state_backward(z: &mut [T], n: &mut [T], h_prev: &[T], dy: &[T], dh: &mut [T]) {
        let len = dh.len();
        let (z, n) = (&mut z[..len], &mut n[..len]);
        let (h_prev, dy) = (&h_prev[..len], &dy[..len]);
        for j in 0..len {
            let d = dy[j] + dh[j];
            dh[j] = d * z[j];
            let dn = d * (T::ONE - z[j]) * (T::ONE - n[j] * n[j]);
            z[j] = d * (h_prev[j] - n[j]) * z[j] * (T::ONE - z[j]);
            n[j] = dn;
        }
    }
}

vectorised! {
    /// One sequence, one step: gradient of the sum of `r`, from that of `r ⊙ h`.
    fn reset_backward(r: &mut [T], drh: &[T], h_prev: &[T], dh: &mut [T]) {
        let len = dh.len();
        let (r, drh, h_prev) = (&mut r[..len], &drh[..len], &h_prev[..len]);
        for j in 0..len {
            dh[j] += drh[j] * r[j];
            r[j] = drh[j] * h_prev[j] * r[j] * (T::ONE - r[j]);
        }
    }
}

/// The three gates of one sequence.
fn gates<T>(z: &mut [T], hidden: usize) -> [&mut [T]; 3] {
    let (r, rest) = z.split_at_mut(hidden);
    let (z, n) = rest.split_at_mut(hidden);
    [r, z, n]
}

impl<T: Real> GruBeforePass<T> {
    pub fn new(of: RecurrentSize, max: Size) -> Self {
        GruBeforePass {
            of,
            operands: Operands::default(),
            candidate: Operands::default(),
            bias: vec![T::ZERO; of.rows],
            z: vec![T::ZERO; max.rows() * of.rows],
            rh: vec![T::ZERO; max.rows() * of.hidden],
            h: vec![T::ZERO; (max.rows() + max.lanes) * of.hidden],
            dh: vec![T::ZERO; max.lanes * of.hidden],
            drh: vec![T::ZERO; max.lanes * of.hidden],
        }
    }

    fn set(&mut self, w: RecurrentParams<'_, T>) {
        let (hidden, two) = (self.of.hidden, 2 * self.of.hidden);
        let (gates, candidate) = w.w_hh.split_at(two * hidden);
        let inputs = Matrix::new(w.w_ih, self.of.rows, self.of.inputs);
        self.operands.w_ih.set(inputs.t());
        self.operands.w_hh.set(Matrix::new(gates, two, hidden).t());
        let candidate = Matrix::new(candidate, hidden, hidden);
        self.candidate.w_hh.set(candidate.t());
    }
}

impl<T: Real> Pass<T> for GruBeforePass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let (w, of, n) = (self.of.params(p), self.of, size.lanes);
        let (hidden, two) = (of.hidden, 2 * of.hidden);
        add_biases(w, &mut self.bias);
        self.set(w);
        let z = &mut self.z[..size.rows() * of.rows];
        input_products(&self.operands.w_ih, &self.bias, x, z, of);
        let step = n * hidden;
        for (t, z) in z.chunks_exact_mut(n * of.rows).enumerate() {
            let (h_prev, h) = self.h.split_at_mut((t + 1) * step);
            let h_prev = &h_prev[t * step..];
            let rh = &mut self.rh[t * step..][..step];
            T::gemm(
                Matrix::new(h_prev, n, hidden),
                self.operands.w_hh.view(),
                T::ONE,
                MatrixMut::block(z, n, two, of.rows),
            );
            for (s, z) in z.chunks_exact_mut(of.rows).enumerate() {
                let [r, z, _] = gates(z, hidden);
                let at = s * hidden..(s + 1) * hidden;
                reset_forward(r, z, &h_prev[at.clone()], &mut rh[at]);
            }
            T::gemm(
                Matrix::new(rh, n, hidden),
                self.candidate.w_hh.view(),
                T::ONE,
                MatrixMut::block(&mut z[two..], n, hidden, of.rows),
            );
            for (s, z) in z.chunks_exact_mut(of.rows).enumerate() {
                let [_, z, n] = gates(z, hidden);
                let at = s * hidden..(s + 1) * hidden;
                state_forward(z, n, &h_prev[at.clone()], &mut h[at]);
            }
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        let (w, of) = (self.of.params(p), self.of);
        let (hidden, two, rows) = (of.hidden, 2 * of.hidden, size.rows());
        let step = size.lanes * hidden;
        self.h[step..][..given.output.len()].copy_from_slice(given.output);
        add_biases(w, &mut self.bias);
        self.set(w);
        let z = &mut self.z[..rows * of.rows];
        input_products(&self.operands.w_ih, &self.bias, x, z, of);
        T::gemm(
            Matrix::new(&self.h, rows, hidden),
            self.operands.w_hh.view(),
            T::ONE,
            MatrixMut::block(z, rows, two, of.rows),
        );
        let states = self.h.chunks_exact(hidden);
        let states = states.zip(self.rh.chunks_exact_mut(hidden));
        for (z, (h_prev, rh)) in z.chunks_exact_mut(of.rows).zip(states) {
            let [r, z, _] = gates(z, hidden);
            reset_forward(r, z, h_prev, rh);
        }
        T::gemm(
            Matrix::new(&self.rh, rows, hidden),
            self.candidate.w_hh.view(),
            T::ONE,
            MatrixMut::block(&mut z[two..], rows, hidden, of.rows),
        );
        // Only the gates are wanted.
        let unused = &mut self.dh[..hidden];
        let states = self.h.chunks_exact(hidden);
        for (z, h_prev) in z.chunks_exact_mut(of.rows).zip(states) {
            let [_, z, n] = gates(z, hidden);
            state_forward(z, n, h_prev, unused);
        }
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
        let (w, g, of, n) = (self.of.params(p), self.of.grads(g), self.of, size.lanes);
        let (hidden, two) = (of.hidden, 2 * of.hidden);
        let (of_gates, of_candidate) = w.w_hh.split_at(two * hidden);
        self.operands.back.set(Matrix::new(of_gates, two, hidden));
        self.candidate
            .back
            .set(Matrix::new(of_candidate, hidden, hidden));
        let step = n * hidden;
        let z = &mut self.z[..size.rows() * of.rows];
        let (dh, drh) = (&mut self.dh[..step], &mut self.drh[..step]);
        for t in (0..size.steps).rev() {
            let dz = &mut z[t * n * of.rows..][..n * of.rows];
            let h_prev = &self.h[t * step..][..step];
            for (s, z) in dz.chunks_exact_mut(of.rows).enumerate() {
                let [_, z, n] = gates(z, hidden);
                let at = s * hidden..(s + 1) * hidden;
                state_backward(
                    z,
                    n,
                    &h_prev[at.clone()],
                    &dy[t * step..][at.clone()],
                    &mut dh[at],
                );
            }
            T::gemm(
                Matrix::block(&dz[two..], n, hidden, of.rows),
                self.candidate.back.view(),
                T::ZERO,
                MatrixMut::new(drh, n, hidden),
            );
            for (s, z) in dz.chunks_exact_mut(of.rows).enumerate() {
                let [r, _, _] = gates(z, hidden);
                let at = s * hidden..(s + 1) * hidden;
                reset_backward(r, &drh[at.clone()], &h_prev[at.clone()], &mut dh[at]);
            }
            T::gemm(
                Matrix::block(dz, n, two, of.rows),
                self.operands.back.view(),
                T::ONE,
                MatrixMut::new(dh, n, hidden),
            );
        }
        let rows = size.rows();
        self.operands.h.set(Matrix::new(&self.h, rows, hidden));
        self.candidate.h.set(Matrix::new(&self.rh, rows, hidden));
        let (g_gates, g_candidate) = g.w_hh.split_at_mut(two * hidden);
        T::gemm(
            Matrix::block(z, size.rows(), two, of.rows).t(),
            self.operands.h.view(),
            T::ONE,
            MatrixMut::new(g_gates, two, hidden),
        );
        T::gemm(
            Matrix::block(&z[two..], size.rows(), hidden, of.rows).t(),
            self.candidate.h.view(),
            T::ONE,
            MatrixMut::new(g_candidate, hidden, hidden),
        );
        add_row_sums(z, g.b_hh);
        input_gradients(w.w_ih, x, z, (g.w_ih, g.b_ih), dx, of);
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
