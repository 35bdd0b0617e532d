//! FastGRNN: `a = W x + U h`, `z = σ(a + b_z)`, `n = tanh(a + b_n)`, `h' = (ζ (1 − z) + ν) ⊙ n + z ⊙ h`, with ζ and ν
//! themselves logistic functions of what is trained.
//!
//! Backward, with `d` from above and from the next step: `dz = d ⊙ (h − ζ n)`, `dn = d ⊙ (ζ (1 − z) + ν)`, each times the
//! derivative of its own nonlinearity; their sum is the gradient of `a`. `dζ = Σ d (1 − z) n`, `dν = Σ d n`.

use super::super::gemm::{Matrix, MatrixMut};
use super::super::params::{RecurrentParams, RecurrentSize};
use super::super::real::Real;
use super::super::vectorise::vectorised;
use super::{
    Given, Memory, Operands, Pass, Size, add_row_sums, input_gradients, input_products,
    state_products,
};

pub struct FastGrnnPass<T> {
    of: RecurrentSize,
    operands: Operands<T>,
    /// `b_n − b_z`.
    apart: Vec<T>,
    /// The gate's sums, then the gate, then the gradients of `a`.
    z: Vec<T>,
    /// The candidate, then the gradients of its sums.
    n: Vec<T>,
    /// State before the first step, then after every step.
    h: Vec<T>,
    dh: Vec<T>,
    /// Gradients of ζ and ν, by unit.
    d_zeta: Vec<T>,
    d_nu: Vec<T>,
}

vectorised! {
    /// One sequence, one step: from the gate's sums.
    fn cell_forward(
        z: &mut [T], n: &mut [T], apart: &[T], zeta: T, nu: T, h_prev: &[T], h: &mut [T],
    ) {
        let len = h.len();
        let (z, n, apart, h_prev) = (&mut z[..len], &mut n[..len], &apart[..len], &h_prev[..len]);
        for j in 0..len {
            n[j] = (z[j] + apart[j]).tanh();
            z[j] = z[j].sigmoid();
            h[j] = (zeta * (T::ONE - z[j]) + nu) * n[j] + z[j] * h_prev[j];
        }
    }
}

vectorised! {
    /// One sequence, one step: gate and candidate in, the gradients of `a` and of the candidate's sums out.
    fn cell_backward(
        z: &mut [T], n: &mut [T], zeta: T, nu: T, h_prev: &[T], dy: &[T], dh: &mut [T],
        d_zeta: &mut [T], d_nu: &mut [T],
    ) {
        let len = dh.len();
        let (z, n, h_prev, dy) = (&mut z[..len], &mut n[..len], &h_prev[..len], &dy[..len]);
        let (d_zeta, d_nu) = (&mut d_zeta[..len], &mut d_nu[..len]);
        for j in 0..len {
            let d = dy[j] + dh[j];
            let left = T::ONE - z[j];
            d_zeta[j] += d * left * n[j];
            d_nu[j] += d * n[j];
            dh[j] = d * z[j];
            let dz = d * (h_prev[j] - zeta * n[j]) * z[j] * left;
            n[j] = d * (zeta * left + nu) * (T::ONE - n[j] * n[j]);
            z[j] = dz + n[j];
        }
    }
}

impl<T: Real> FastGrnnPass<T> {
    pub fn new(of: RecurrentSize, max: Size) -> Self {
        let units = || vec![T::ZERO; of.hidden];
        FastGrnnPass {
            of,
            operands: Operands::default(),
            apart: units(),
            z: vec![T::ZERO; max.rows() * of.hidden],
            n: vec![T::ZERO; max.rows() * of.hidden],
            h: vec![T::ZERO; (max.rows() + max.lanes) * of.hidden],
            dh: vec![T::ZERO; max.lanes * of.hidden],
            d_zeta: units(),
            d_nu: units(),
        }
    }

    /// The gate's sums over the input, and how far the candidate's are from the gate's.
    fn start(&mut self, w: RecurrentParams<'_, T>, x: &[T], size: Size) {
        for (apart, (&b_z, &b_n)) in self.apart.iter_mut().zip(w.b_ih.iter().zip(w.b_hh)) {
            *apart = b_n - b_z;
        }
        self.operands.set(w, self.of);
        let z = &mut self.z[..size.rows() * self.of.hidden];
        input_products(&self.operands.w_ih, w.b_ih, x, z, self.of);
    }
}

/// ζ and ν.
fn mix<T: Real>(w: RecurrentParams<'_, T>) -> (T, T) {
    (w.extra[0].sigmoid(), w.extra[1].sigmoid())
}

impl<T: Real> Pass<T> for FastGrnnPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let (w, of, n) = (self.of.params(p), self.of, size.lanes);
        let (zeta, nu) = mix(w);
        self.start(w, x, size);
        let step = n * of.hidden;
        let gates = self.z.chunks_exact_mut(step);
        let gates = gates.zip(self.n.chunks_exact_mut(step));
        for (t, (z, candidate)) in gates.take(size.steps).enumerate() {
            let (h_prev, h) = self.h.split_at_mut((t + 1) * step);
            let h_prev = &h_prev[t * step..];
            T::gemm(
                Matrix::new(h_prev, n, of.hidden),
                self.operands.w_hh.view(),
                T::ONE,
                MatrixMut::new(z, n, of.hidden),
            );
            for s in 0..n {
                let at = s * of.hidden..(s + 1) * of.hidden;
                let (z, n) = (&mut z[at.clone()], &mut candidate[at.clone()]);
                let h_prev = &h_prev[at.clone()];
                cell_forward(z, n, &self.apart, zeta, nu, h_prev, &mut h[at]);
            }
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        let (w, of) = (self.of.params(p), self.of);
        let (zeta, nu) = mix(w);
        self.h[size.lanes * of.hidden..][..given.output.len()].copy_from_slice(given.output);
        self.start(w, x, size);
        let z = &mut self.z[..size.rows() * of.hidden];
        state_products(&self.operands.w_hh, &self.h, z, of);
        // Only the gates are wanted.
        let unused = &mut self.dh[..of.hidden];
        let gates = z.chunks_exact_mut(of.hidden);
        let gates = gates.zip(self.n.chunks_exact_mut(of.hidden));
        for ((z, n), h_prev) in gates.zip(self.h.chunks_exact(of.hidden)) {
            cell_forward(z, n, &self.apart, zeta, nu, h_prev, unused);
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
        let (w, g, of, lanes) = (self.of.params(p), self.of.grads(g), self.of, size.lanes);
        let (zeta, nu) = mix(w);
        self.operands.set_back(w, of);
        let (step, all) = (lanes * of.hidden, size.rows() * of.hidden);
        let (z, n) = (&mut self.z[..all], &mut self.n[..all]);
        let dh = &mut self.dh[..step];
        self.d_zeta.fill(T::ZERO);
        self.d_nu.fill(T::ZERO);
        for t in (0..size.steps).rev() {
            for s in 0..lanes {
                let at = s * of.hidden..(s + 1) * of.hidden;
                let now = t * step + at.start..t * step + at.end;
                cell_backward(
                    &mut z[now.clone()],
                    &mut n[now.clone()],
                    zeta,
                    nu,
                    &self.h[now.clone()],
                    &dy[now],
                    &mut dh[at],
                    &mut self.d_zeta,
                    &mut self.d_nu,
                );
            }
            T::gemm(
                Matrix::new(&z[t * step..][..step], lanes, of.hidden),
                self.operands.back.view(),
                T::ONE,
                MatrixMut::new(dh, lanes, of.hidden),
            );
        }
        self.operands.state_gradients(&self.h, z, g.w_hh, of);
        let shares = [(&self.d_zeta, zeta), (&self.d_nu, nu)];
        for (g, (by_unit, share)) in g.extra.iter_mut().zip(shares) {
            let sum = by_unit.iter().fold(T::ZERO, |sum, &d| sum + d);
            *g += sum * share * (T::ONE - share);
        }
        // The gradients of `a` are those of the gate's sums and of the candidate's.
        let g_b_z = &mut *g.b_ih;
        for row in n.chunks_exact(of.hidden) {
            for (g, &d) in g_b_z.iter_mut().zip(row) {
                *g += -d;
            }
        }
        add_row_sums(n, g.b_hh);
        input_gradients(w.w_ih, x, z, (g.w_ih, g_b_z), dx, of);
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
