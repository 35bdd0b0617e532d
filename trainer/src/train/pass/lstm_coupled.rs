//! LSTM with coupled gates, stacked `f, g, o`: `f, o = σ(·)`, `g = tanh(·)`, `c' = g + f ⊙ (c − g)`, `h' = o ⊙ tanh c'`.
//!
//! Backward as the LSTM's, but for `df = dc ⊙ (c − g)` and `dg = dc ⊙ (1 − f)`.

use super::super::gemm::{Matrix, MatrixMut};
use super::super::params::RecurrentSize;
use super::super::real::Real;
use super::super::vectorise::vectorised;
use super::{
    Given, Memory, Operands, Pass, Size, add_biases, add_row_sums, input_gradients, input_products,
    state_products,
};

pub struct LstmCoupledPass<T> {
    of: RecurrentSize,
    operands: Operands<T>,
    bias: Vec<T>,
    /// Sums, then gates, then the gradients of the sums.
    z: Vec<T>,
    /// State before the first step, then after every step.
    h: Vec<T>,
    /// Cell, likewise.
    c: Vec<T>,
    tanh_c: Vec<T>,
    dh: Vec<T>,
    dc: Vec<T>,
}

vectorised! {
    /// One sequence, one step: the gates.
    fn gates_forward(f: &mut [T], g: &mut [T], o: &mut [T]) {
        let n = f.len();
        let (g, o) = (&mut g[..n], &mut o[..n]);
        for j in 0..n {
            f[j] = f[j].sigmoid();
            g[j] = g[j].tanh();
            o[j] = o[j].sigmoid();
        }
    }
}

vectorised! {
    /// One sequence, one step: cell and state.
    fn state_forward(
        f: &[T], g: &[T], o: &[T], c_prev: &[T], c: &mut [T], tanh_c: &mut [T], h: &mut [T],
    ) {
        let n = h.len();
        let (f, g, o, c_prev) = (&f[..n], &g[..n], &o[..n], &c_prev[..n]);
        let (c, tanh_c) = (&mut c[..n], &mut tanh_c[..n]);
        for j in 0..n {
            c[j] = g[j] + f[j] * (c_prev[j] - g[j]);
            tanh_c[j] = c[j].tanh();
            h[j] = o[j] * tanh_c[j];
        }
    }
}

vectorised! {
    /// One sequence, one step: gates in, gradients of their sums out.
    fn cell_backward(
        f: &mut [T], g: &mut [T], o: &mut [T],
        c_prev: &[T], tanh_c: &[T], dy: &[T], dh: &[T], dc: &mut [T],
    ) {
        let n = dc.len();
        let (f, g, o) = (&mut f[..n], &mut g[..n], &mut o[..n]);
        let (c_prev, tanh_c, dy, dh) = (&c_prev[..n], &tanh_c[..n], &dy[..n], &dh[..n]);
        for j in 0..n {
            let d = dy[j] + dh[j];
            let dct = dc[j] + d * o[j] * (T::ONE - tanh_c[j] * tanh_c[j]);
            o[j] = d * tanh_c[j] * o[j] * (T::ONE - o[j]);
            dc[j] = dct * f[j];
            let left = T::ONE - f[j];
            f[j] = dct * (c_prev[j] - g[j]) * f[j] * left;
            g[j] = dct * left * (T::ONE - g[j] * g[j]);
        }
    }
}

/// The three gates of one sequence.
fn gates<T>(z: &mut [T], hidden: usize) -> [&mut [T]; 3] {
    let (f, rest) = z.split_at_mut(hidden);
    let (g, o) = rest.split_at_mut(hidden);
    [f, g, o]
}

impl<T: Real> LstmCoupledPass<T> {
    pub fn new(of: RecurrentSize, max: Size) -> Self {
        let states = (max.rows() + max.lanes) * of.hidden;
        LstmCoupledPass {
            of,
            operands: Operands::default(),
            bias: vec![T::ZERO; of.rows],
            z: vec![T::ZERO; max.rows() * of.rows],
            h: vec![T::ZERO; states],
            c: vec![T::ZERO; states],
            tanh_c: vec![T::ZERO; max.rows() * of.hidden],
            dh: vec![T::ZERO; max.lanes * of.hidden],
            dc: vec![T::ZERO; max.lanes * of.hidden],
        }
    }
}

impl<T: Real> Pass<T> for LstmCoupledPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let (w, of, n) = (self.of.params(p), self.of, size.lanes);
        add_biases(w, &mut self.bias);
        self.operands.set(w, of);
        let z = &mut self.z[..size.rows() * of.rows];
        input_products(&self.operands.w_ih, &self.bias, x, z, of);
        let step = n * of.hidden;
        for (t, z) in z.chunks_exact_mut(n * of.rows).enumerate() {
            let (h_prev, h) = self.h.split_at_mut((t + 1) * step);
            let (c_prev, c) = self.c.split_at_mut((t + 1) * step);
            T::gemm(
                Matrix::new(&h_prev[t * step..], n, of.hidden),
                self.operands.w_hh.view(),
                T::ONE,
                MatrixMut::new(z, n, of.rows),
            );
            for (s, z) in z.chunks_exact_mut(of.rows).enumerate() {
                let [f, g, o] = gates(z, of.hidden);
                let at = s * of.hidden..(s + 1) * of.hidden;
                let c_prev = &c_prev[t * step..][at.clone()];
                let tanh_c = &mut self.tanh_c[t * step..][at.clone()];
                gates_forward(f, g, o);
                state_forward(f, g, o, c_prev, &mut c[at.clone()], tanh_c, &mut h[at]);
            }
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        let (w, of) = (self.of.params(p), self.of);
        let step = size.lanes * of.hidden;
        self.h[step..][..given.output.len()].copy_from_slice(given.output);
        self.c[step..][..given.cell.len()].copy_from_slice(given.cell);
        add_biases(w, &mut self.bias);
        self.operands.set(w, of);
        let z = &mut self.z[..size.rows() * of.rows];
        input_products(&self.operands.w_ih, &self.bias, x, z, of);
        state_products(&self.operands.w_hh, &self.h, z, of);
        for z in z.chunks_exact_mut(of.rows) {
            let [f, g, o] = gates(z, of.hidden);
            gates_forward(f, g, o);
        }
        for (tanh_c, &c) in self.tanh_c.iter_mut().zip(given.cell) {
            *tanh_c = c.tanh();
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
        let (w, grads, of, n) = (self.of.params(p), self.of.grads(g), self.of, size.lanes);
        self.operands.set_back(w, of);
        let step = n * of.hidden;
        let z = &mut self.z[..size.rows() * of.rows];
        let (dh, dc) = (&mut self.dh[..step], &mut self.dc[..step]);
        for t in (0..size.steps).rev() {
            let dz = &mut z[t * n * of.rows..][..n * of.rows];
            for (s, z) in dz.chunks_exact_mut(of.rows).enumerate() {
                let [f, g, o] = gates(z, of.hidden);
                let at = s * of.hidden..(s + 1) * of.hidden;
                cell_backward(
                    f,
                    g,
                    o,
                    &self.c[t * step..][at.clone()],
                    &self.tanh_c[t * step..][at.clone()],
                    &dy[t * step..][at.clone()],
                    &dh[at.clone()],
                    &mut dc[at],
                );
            }
            T::gemm(
                Matrix::new(dz, n, of.rows),
                self.operands.back.view(),
                T::ZERO,
                MatrixMut::new(dh, n, of.hidden),
            );
        }
        self.operands.state_gradients(&self.h, z, grads.w_hh, of);
        add_row_sums(z, grads.b_hh);
        input_gradients(w.w_ih, x, z, (grads.w_ih, grads.b_ih), dx, of);
    }

    fn reset(&mut self) {
        self.h.fill(T::ZERO);
        self.c.fill(T::ZERO);
    }

    fn carry(&mut self, size: Size) {
        let step = size.lanes * self.of.hidden;
        let last = size.steps * step..(size.steps + 1) * step;
        self.h.copy_within(last.clone(), 0);
        self.c.copy_within(last, 0);
    }

    fn memory(&mut self) -> Option<Memory<'_, T>> {
        Some(Memory {
            hidden: self.of.hidden,
            state: [&mut self.h[..], &mut self.c[..]],
            gradient: [&mut self.dh[..], &mut self.dc[..]],
        })
    }
}
