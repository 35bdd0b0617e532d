//! GRU that resets after the product, gates stacked `r, z, n`; with `u = W_hh h + b_hh`:
//! `r, z = σ(x-part + u)`, `n = tanh(x-part + r ⊙ u_n)`, `h' = (1 − z) ⊙ n + z ⊙ h`.
//!
//! The n rows of the x-part and of `u` have different gradients (`dn` and `r ⊙ dn`), so both sums
//! are kept, where the other cells need one.

use super::super::gemm::{Matrix, MatrixMut};
use super::super::params::RecurrentSize;
use super::super::real::Real;
use super::super::vectorise::vectorised;
use super::{
    Given, Memory, Operands, Pass, Size, add_row_sums, fill_rows, input_gradients, input_products,
    state_products,
};

pub struct GruAfterPass<T> {
    of: RecurrentSize,
    operands: Operands<T>,
    /// x-part, then gates, then the gradients of the x-part.
    z: Vec<T>,
    /// `u`, then its gradients.
    u: Vec<T>,
    /// State before the first step, then after every step.
    h: Vec<T>,
    dh: Vec<T>,
}

vectorised! {
    /// One sequence, one step.
    fn cell_forward(
        r: &mut [T], z: &mut [T], n: &mut [T],
        u_r: &[T], u_z: &[T], u_n: &[T], h_prev: &[T], h: &mut [T],
    ) {
        let len = h.len();
        let (r, z, n) = (&mut r[..len], &mut z[..len], &mut n[..len]);
        let (u_r, u_z, u_n, h_prev) = (&u_r[..len], &u_z[..len], &u_n[..len], &h_prev[..len]);
        for j in 0..len {
            r[j] = (r[j] + u_r[j]).sigmoid();
            z[j] = (z[j] + u_z[j]).sigmoid();
            n[j] = (n[j] + r[j] * u_n[j]).tanh();
            h[j] = n[j] + z[j] * (h_prev[j] - n[j]);
        }
    }
}

vectorised! {
    /// One sequence, one step: gates and `u` in, gradients of both sums out.
    fn cell_backward(
        r: &mut [T], z: &mut [T], n: &mut [T],
        u_r: &mut [T], u_z: &mut [T], u_n: &mut [T], h_prev: &[T], dy: &[T], dh: &mut [T],
    ) {
        let len = dh.len();
        let (r, z, n) = (&mut r[..len], &mut z[..len], &mut n[..len]);
        let (u_r, u_z, u_n) = (&mut u_r[..len], &mut u_z[..len], &mut u_n[..len]);
        let (h_prev, dy) = (&h_prev[..len], &dy[..len]);
        for j in 0..len {
            let d = dy[j] + dh[j];
            dh[j] = d * z[j];
            let dn = d * (T::ONE - z[j]) * (T::ONE - n[j] * n[j]);
            let dz = d * (h_prev[j] - n[j]) * z[j] * (T::ONE - z[j]);
            let dr = dn * u_n[j] * r[j] * (T::ONE - r[j]);
            u_n[j] = dn * r[j];
            u_r[j] = dr;
            u_z[j] = dz;
            r[j] = dr;
            z[j] = dz;
            n[j] = dn;
        }
    }
}

/// The three gates of one sequence.
fn gates<T>(z: &mut [T], hidden: usize) -> [&mut [T]; 3] {
    let (r, rest) = z.split_at_mut(hidden);
    let (z, n) = rest.split_at_mut(hidden);
    [r, z, n]
}

impl<T: Real> GruAfterPass<T> {
    pub fn new(of: RecurrentSize, max: Size) -> Self {
        GruAfterPass {
            of,
            operands: Operands::default(),
            z: vec![T::ZERO; max.rows() * of.rows],
            u: vec![T::ZERO; max.rows() * of.rows],
            h: vec![T::ZERO; (max.rows() + max.lanes) * of.hidden],
            dh: vec![T::ZERO; max.lanes * of.hidden],
        }
    }
}

impl<T: Real> Pass<T> for GruAfterPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let (w, of, n) = (self.of.params(p), self.of, size.lanes);
        self.operands.set(w, of);
        let z = &mut self.z[..size.rows() * of.rows];
        input_products(&self.operands.w_ih, w.b_ih, x, z, of);
        let u = &mut self.u[..size.rows() * of.rows];
        fill_rows(u, w.b_hh);
        let step = n * of.hidden;
        let gate_steps = z.chunks_exact_mut(n * of.rows);
        for (t, (z, u)) in gate_steps.zip(u.chunks_exact_mut(n * of.rows)).enumerate() {
            let (h_prev, h) = self.h.split_at_mut((t + 1) * step);
            let h_prev = &h_prev[t * step..];
            T::gemm(
                Matrix::new(h_prev, n, of.hidden),
                self.operands.w_hh.view(),
                T::ONE,
                MatrixMut::new(u, n, of.rows),
            );
            let rows = z.chunks_exact_mut(of.rows);
            for (s, (z, u)) in rows.zip(u.chunks_exact_mut(of.rows)).enumerate() {
                let [r, z, n] = gates(z, of.hidden);
                let [u_r, u_z, u_n] = gates(u, of.hidden);
                let at = s * of.hidden..(s + 1) * of.hidden;
                cell_forward(r, z, n, u_r, u_z, u_n, &h_prev[at.clone()], &mut h[at]);
            }
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        let (w, of) = (self.of.params(p), self.of);
        let step = size.lanes * of.hidden;
        self.h[step..][..given.output.len()].copy_from_slice(given.output);
        self.operands.set(w, of);
        let z = &mut self.z[..size.rows() * of.rows];
        input_products(&self.operands.w_ih, w.b_ih, x, z, of);
        let u = &mut self.u[..size.rows() * of.rows];
        fill_rows(u, w.b_hh);
        state_products(&self.operands.w_hh, &self.h, u, of);
        // Only the gates are wanted.
        let unused = &mut self.dh[..of.hidden];
        let rows = z.chunks_exact_mut(of.rows).zip(u.chunks_exact_mut(of.rows));
        for ((z, u), h_prev) in rows.zip(self.h.chunks_exact(of.hidden)) {
            let [r, z, n] = gates(z, of.hidden);
            let [u_r, u_z, u_n] = gates(u, of.hidden);
            cell_forward(r, z, n, u_r, u_z, u_n, h_prev, unused);
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
        self.operands.set_back(w, of);
        let step = n * of.hidden;
        let z = &mut self.z[..size.rows() * of.rows];
        let u = &mut self.u[..size.rows() * of.rows];
        let dh = &mut self.dh[..step];
        for t in (0..size.steps).rev() {
            let dz = &mut z[t * n * of.rows..][..n * of.rows];
            let du = &mut u[t * n * of.rows..][..n * of.rows];
            let rows = dz.chunks_exact_mut(of.rows);
            for (s, (z, u)) in rows.zip(du.chunks_exact_mut(of.rows)).enumerate() {
                let [r, z, n] = gates(z, of.hidden);
                let [u_r, u_z, u_n] = gates(u, of.hidden);
                let at = s * of.hidden..(s + 1) * of.hidden;
                cell_backward(
                    r,
                    z,
                    n,
                    u_r,
                    u_z,
                    u_n,
                    &self.h[t * step..][at.clone()],
                    &dy[t * step..][at.clone()],
                    &mut dh[at],
                );
            }
            T::gemm(
                Matrix::new(du, n, of.rows),
                self.operands.back.view(),
                T::ONE,
                MatrixMut::new(dh, n, of.hidden),
            );
        }
        self.operands.state_gradients(&self.h, u, g.w_hh, of);
        add_row_sums(u, g.b_hh);
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
