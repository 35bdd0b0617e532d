//! LSTM, gates stacked `i, f, g, o`:
//! `i, f, o = σ(·)`, `g = tanh(·)`, `c' = f ⊙ c + i ⊙ g`, `h' = o ⊙ tanh c'`. With peepholes the sums of `i` and `f` also
//! have `p ⊙ c`, that of `o` has `p ⊙ c'`.
//!
//! Backward, with `dh` and `dc` from above and from the next step:
//! `do = dh ⊙ tanh c'`, `dc += dh ⊙ o ⊙ (1 − tanh² c')`, `di = dc ⊙ g`, `df = dc ⊙ c`, `dg = dc ⊙ i`,
//! each times the derivative of its own nonlinearity; `dc_prev = dc ⊙ f`, `dh_prev = dz W_hh`. Through peepholes
//! `dc += do ⊙ p_o` and `dc_prev += di ⊙ p_i + df ⊙ p_f`.

use super::super::gemm::{Matrix, MatrixMut};
use super::super::params::RecurrentSize;
use super::super::real::Real;
use super::super::vectorise::vectorised;
use super::{
    Given, Memory, Operands, Pass, Size, add_biases, add_row_sums, input_gradients, input_products,
    state_products,
};

pub struct LstmPass<T> {
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
    /// One sequence, one step.
    fn cell_forward(
        i: &mut [T], f: &mut [T], g: &mut [T], o: &mut [T],
        c_prev: &[T], c: &mut [T], tanh_c: &mut [T], h: &mut [T],
    ) {
        let n = h.len();
        let (i, f, g, o) = (&mut i[..n], &mut f[..n], &mut g[..n], &mut o[..n]);
        let (c_prev, c, tanh_c) = (&c_prev[..n], &mut c[..n], &mut tanh_c[..n]);
        for j in 0..n {
            i[j] = i[j].sigmoid();
            f[j] = f[j].sigmoid();
            g[j] = g[j].tanh();
            o[j] = o[j].sigmoid();
            c[j] = f[j] * c_prev[j] + i[j] * g[j];
            tanh_c[j] = c[j].tanh();
            h[j] = o[j] * tanh_c[j];
        }
    }
}

vectorised! {
    /// One sequence, one step, whose cell is known: the gates, and `tanh c'`.
    fn gates_forward(i: &mut [T], f: &mut [T], g: &mut [T], o: &mut [T], c: &[T], tanh_c: &mut [T]) {
        let n = c.len();
        let (i, f, g, o) = (&mut i[..n], &mut f[..n], &mut g[..n], &mut o[..n]);
        let tanh_c = &mut tanh_c[..n];
        for j in 0..n {
            i[j] = i[j].sigmoid();
            f[j] = f[j].sigmoid();
            g[j] = g[j].tanh();
            o[j] = o[j].sigmoid();
            tanh_c[j] = c[j].tanh();
        }
    }
}

vectorised! {
    /// One sequence, one step: gates in, gradients of their sums out.
    fn cell_backward(
        i: &mut [T], f: &mut [T], g: &mut [T], o: &mut [T],
        c_prev: &[T], tanh_c: &[T], dy: &[T], dh: &[T], dc: &mut [T],
    ) {
        let n = dc.len();
        let (i, f, g, o) = (&mut i[..n], &mut f[..n], &mut g[..n], &mut o[..n]);
        let (c_prev, tanh_c, dy, dh) = (&c_prev[..n], &tanh_c[..n], &dy[..n], &dh[..n]);
        for j in 0..n {
            let d = dy[j] + dh[j];
            let dct = dc[j] + d * o[j] * (T::ONE - tanh_c[j] * tanh_c[j]);
            o[j] = d * tanh_c[j] * o[j] * (T::ONE - o[j]);
            dc[j] = dct * f[j];
            f[j] = dct * c_prev[j] * f[j] * (T::ONE - f[j]);
            let di = dct * g[j] * i[j] * (T::ONE - i[j]);
            g[j] = dct * i[j] * (T::ONE - g[j] * g[j]);
            i[j] = di;
        }
    }
}

vectorised! {
    /// One sequence, one step, with peepholes.
    fn peephole_forward(
        i: &mut [T], f: &mut [T], g: &mut [T], o: &mut [T], p_i: &[T], p_f: &[T], p_o: &[T],
        c_prev: &[T], c: &mut [T], tanh_c: &mut [T], h: &mut [T],
    ) {
        let n = h.len();
        let (i, f, g, o) = (&mut i[..n], &mut f[..n], &mut g[..n], &mut o[..n]);
        let (p_i, p_f, p_o) = (&p_i[..n], &p_f[..n], &p_o[..n]);
        let (c_prev, c, tanh_c) = (&c_prev[..n], &mut c[..n], &mut tanh_c[..n]);
        for j in 0..n {
            i[j] = (i[j] + p_i[j] * c_prev[j]).sigmoid();
            f[j] = (f[j] + p_f[j] * c_prev[j]).sigmoid();
            g[j] = g[j].tanh();
            c[j] = f[j] * c_prev[j] + i[j] * g[j];
            o[j] = (o[j] + p_o[j] * c[j]).sigmoid();
            tanh_c[j] = c[j].tanh();
            h[j] = o[j] * tanh_c[j];
        }
    }
}

vectorised! {
    /// One sequence, one step: what the gates see of cells that are known.
    fn see(i: &mut [T], f: &mut [T], o: &mut [T], p_i: &[T], p_f: &[T], p_o: &[T], c_prev: &[T], c: &[T]) {
        let n = c.len();
        let (i, f, o) = (&mut i[..n], &mut f[..n], &mut o[..n]);
        let (p_i, p_f, p_o, c_prev) = (&p_i[..n], &p_f[..n], &p_o[..n], &c_prev[..n]);
        for j in 0..n {
            i[j] += p_i[j] * c_prev[j];
            f[j] += p_f[j] * c_prev[j];
            o[j] += p_o[j] * c[j];
        }
    }
}

vectorised! {
    /// One sequence, one step, with peepholes: gates in, gradients of their sums out.
    fn peephole_backward(
        i: &mut [T], f: &mut [T], g: &mut [T], o: &mut [T], p_i: &[T], p_f: &[T], p_o: &[T],
        c_prev: &[T], c: &[T], tanh_c: &[T], dy: &[T], dh: &[T], dc: &mut [T],
        dp_i: &mut [T], dp_f: &mut [T], dp_o: &mut [T],
    ) {
        let n = dc.len();
        let (i, f, g, o) = (&mut i[..n], &mut f[..n], &mut g[..n], &mut o[..n]);
        let (p_i, p_f, p_o) = (&p_i[..n], &p_f[..n], &p_o[..n]);
        let (c_prev, c, tanh_c) = (&c_prev[..n], &c[..n], &tanh_c[..n]);
        let (dy, dh) = (&dy[..n], &dh[..n]);
        let (dp_i, dp_f, dp_o) = (&mut dp_i[..n], &mut dp_f[..n], &mut dp_o[..n]);
        for j in 0..n {
            let d = dy[j] + dh[j];
            let d_o = d * tanh_c[j] * o[j] * (T::ONE - o[j]);
            let dct = dc[j] + d * o[j] * (T::ONE - tanh_c[j] * tanh_c[j]) + d_o * p_o[j];
            let d_f = dct * c_prev[j] * f[j] * (T::ONE - f[j]);
            let d_i = dct * g[j] * i[j] * (T::ONE - i[j]);
            dc[j] = dct * f[j] + d_i * p_i[j] + d_f * p_f[j];
            g[j] = dct * i[j] * (T::ONE - g[j] * g[j]);
            dp_i[j] += d_i * c_prev[j];
            dp_f[j] += d_f * c_prev[j];
            dp_o[j] += d_o * c[j];
            (i[j], f[j], o[j]) = (d_i, d_f, d_o);
        }
    }
}

/// The four gates of one sequence.
fn gates<T>(z: &mut [T], hidden: usize) -> [&mut [T]; 4] {
    let (i, z) = z.split_at_mut(hidden);
    let (f, z) = z.split_at_mut(hidden);
    let (g, o) = z.split_at_mut(hidden);
    [i, f, g, o]
}

/// The peepholes of `i, f, o`, where there are any.
fn peepholes<T>(extra: &[T], hidden: usize) -> Option<[&[T]; 3]> {
    let (p_i, rest) = extra.split_at_checked(hidden)?;
    let (p_f, p_o) = rest.split_at_checked(hidden)?;
    Some([p_i, p_f, p_o])
}

impl<T: Real> LstmPass<T> {
    pub fn new(of: RecurrentSize, max: Size) -> Self {
        let states = (max.rows() + max.lanes) * of.hidden;
        LstmPass {
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

impl<T: Real> Pass<T> for LstmPass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let (w, of, n) = (self.of.params(p), self.of, size.lanes);
        add_biases(w, &mut self.bias);
        self.operands.set(w, of);
        let z = &mut self.z[..size.rows() * of.rows];
        input_products(&self.operands.w_ih, &self.bias, x, z, of);
        let peepholes = peepholes(w.extra, of.hidden);
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
                let [i, f, g, o] = gates(z, of.hidden);
                let at = s * of.hidden..(s + 1) * of.hidden;
                let c_prev = &c_prev[t * step..][at.clone()];
                let tanh_c = &mut self.tanh_c[t * step..][at.clone()];
                let (c, h) = (&mut c[at.clone()], &mut h[at]);
                match peepholes {
                    None => cell_forward(i, f, g, o, c_prev, c, tanh_c, h),
                    Some([p_i, p_f, p_o]) => {
                        peephole_forward(i, f, g, o, p_i, p_f, p_o, c_prev, c, tanh_c, h);
                    }
                }
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
        let peepholes = peepholes(w.extra, of.hidden);
        let units = given.cell.chunks_exact(of.hidden);
        let units = units.zip(self.tanh_c.chunks_exact_mut(of.hidden));
        let units = units.zip(self.c.chunks_exact(of.hidden));
        for (z, ((c, tanh_c), c_prev)) in z.chunks_exact_mut(of.rows).zip(units) {
            let [i, f, g, o] = gates(z, of.hidden);
            if let Some([p_i, p_f, p_o]) = peepholes {
                see(i, f, o, p_i, p_f, p_o, c_prev, c);
            }
            gates_forward(i, f, g, o, c, tanh_c);
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
        let peepholes = peepholes(w.extra, of.hidden);
        self.operands.set_back(w, of);
        let step = n * of.hidden;
        let z = &mut self.z[..size.rows() * of.rows];
        let (dh, dc) = (&mut self.dh[..step], &mut self.dc[..step]);
        for t in (0..size.steps).rev() {
            let dz = &mut z[t * n * of.rows..][..n * of.rows];
            for (s, z) in dz.chunks_exact_mut(of.rows).enumerate() {
                let [i, f, g, o] = gates(z, of.hidden);
                let at = s * of.hidden..(s + 1) * of.hidden;
                let c_prev = &self.c[t * step..][at.clone()];
                let tanh_c = &self.tanh_c[t * step..][at.clone()];
                let (dy, dh) = (&dy[t * step..][at.clone()], &dh[at.clone()]);
                let Some([p_i, p_f, p_o]) = peepholes else {
                    cell_backward(i, f, g, o, c_prev, tanh_c, dy, dh, &mut dc[at]);
                    continue;
                };
                let c = &self.c[(t + 1) * step..][at.clone()];
                let (dp_i, rest) = grads.extra.split_at_mut(of.hidden);
                let (dp_f, dp_o) = rest.split_at_mut(of.hidden);
                peephole_backward(
                    i,
                    f,
                    g,
                    o,
                    p_i,
                    p_f,
                    p_o,
                    c_prev,
                    c,
                    tanh_c,
                    dy,
                    dh,
                    &mut dc[at],
                    dp_i,
                    dp_f,
                    dp_o,
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
