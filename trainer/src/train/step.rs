//! A step of a layer in float: plain loops over the equations in [`crate::net`], with the exact tanh. Slow and readable.

use kinglet::format::Reset;
use kinglet::num::hard_gate;

use crate::net::{Activation, Cell, Combine, Conv, Dense, Join, Norm, PoolKind, Recurrent};

/// A layer's output, and its cell.
#[derive(Debug, Clone, Default)]
pub(super) struct LayerState {
    /// The state of a recurrent layer too.
    pub(super) y: Vec<f32>,
    pub(super) c: Vec<f32>,
    /// Pre-activations of its gates, one gate after the other; empty before the first step.
    pub(super) z: Vec<f32>,
    /// Samples before, of a convolution.
    past: Vec<f32>,
    /// What it saw, position after position.
    pub(super) seen: Vec<f32>,
    /// What it gave before, as far as a pool looks, and now.
    pub(super) answers: Vec<f32>,
    count: i32,
}

impl LayerState {
    pub(super) fn new(r: &Recurrent) -> Self {
        LayerState {
            y: vec![0.0; r.hidden],
            c: vec![0.0; r.hidden],
            ..LayerState::default()
        }
    }

    /// Of a layer that remembers nothing.
    pub(super) fn of_width(outputs: usize) -> Self {
        LayerState {
            y: vec![0.0; outputs],
            ..LayerState::default()
        }
    }

    pub(super) fn of_conv(c: &Conv) -> Self {
        LayerState {
            y: vec![0.0; c.outputs()],
            past: vec![0.0; c.shape.remembered()],
            seen: vec![0.0; c.shape.positions() * c.shape.taps()],
            answers: vec![0.0; c.shape.pool.map_or(0, |pool| pool.remembered(c.width()))],
            ..LayerState::default()
        }
    }

    /// As it was before the first step.
    pub(super) fn reset(&mut self) {
        self.y.fill(0.0);
        self.c.fill(0.0);
        self.past.fill(0.0);
        self.answers.fill(0.0);
        self.count = 0;
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Rows times `x`. Eight rows go side by side: a sum is one chain of additions, and waits for each of them.
fn product(rows: &[f32], x: &[f32]) -> Vec<f32> {
    const SIDE: usize = 8;
    let width = x.len().max(1);
    let mut sums = vec![0.0; rows.len() / width];
    let (eights, rest) = sums.as_chunks_mut::<SIDE>();
    for (sums, rows) in eights.iter_mut().zip(rows.chunks_exact(SIDE * width)) {
        let rows: [&[f32]; SIDE] = std::array::from_fn(|k| &rows[k * width..][..width]);
        for (at, x) in x.iter().enumerate() {
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum += row[at] * x;
            }
        }
    }
    let left = rows.chunks_exact(width).skip(eights.len() * SIDE);
    for (sum, row) in rest.iter_mut().zip(left) {
        *sum = dot(row, x);
    }
    sums
}

pub(super) fn step_recurrent(r: &Recurrent, x: &[f32], state: &mut LayerState) {
    let hidden = r.hidden;
    let h = state.y.clone();
    let of_x = product(&r.w_ih, x);
    // A GRU that resets before the product has other inputs for its candidate.
    let early = match r.cell.resets() {
        Some(Reset::Before) => 2 * hidden * hidden,
        _ => r.w_hh.len(),
    };
    let of_h = product(&r.w_hh[..early], &h);
    let from_x = |row: usize| of_x[row] + r.b_ih[row];
    let from_h = |row: usize| of_h[row] + r.b_hh[row];
    // Of both products, but for the candidate of a GRU that resets before the product.
    let sum = |row: usize| from_x(row) + if row < of_h.len() { from_h(row) } else { 0.0 };
    let mut z: Vec<f32> = (0..of_x.len()).map(sum).collect();
    let (y, c) = (&mut state.y, &mut state.c);
    let sigmoid = |x: f32| match r.cell.hard_gates() {
        true => hard_gate(x),
        false => sigmoid(x),
    };
    match r.cell {
        Cell::RnnTanh => (0..hidden).for_each(|j| y[j] = z[j].tanh()),
        Cell::RnnRelu => (0..hidden).for_each(|j| y[j] = z[j].max(0.0)),
        Cell::Lstm | Cell::LstmHard => {
            for j in 0..hidden {
                let (i, f) = (sigmoid(z[j]), sigmoid(z[hidden + j]));
                let (g, o) = (z[2 * hidden + j].tanh(), sigmoid(z[3 * hidden + j]));
                c[j] = f * c[j] + i * g;
                y[j] = o * c[j].tanh();
            }
        }
        Cell::LstmCoupled => {
            for j in 0..hidden {
                let (f, g) = (sigmoid(z[j]), z[hidden + j].tanh());
                c[j] = f * c[j] + (1.0 - f) * g;
                y[j] = sigmoid(z[2 * hidden + j]) * c[j].tanh();
            }
        }
        Cell::LstmPeephole => {
            let (p_i, rest) = r.extra.split_at(hidden);
            let (p_f, p_o) = rest.split_at(hidden);
            for j in 0..hidden {
                z[j] += p_i[j] * c[j];
                z[hidden + j] += p_f[j] * c[j];
                c[j] = sigmoid(z[hidden + j]) * c[j] + sigmoid(z[j]) * z[2 * hidden + j].tanh();
                z[3 * hidden + j] += p_o[j] * c[j];
                y[j] = sigmoid(z[3 * hidden + j]) * c[j].tanh();
            }
        }
        Cell::LstmRelu => {
            for j in 0..hidden {
                let g = z[2 * hidden + j].max(0.0);
                c[j] = sigmoid(z[hidden + j]) * c[j] + sigmoid(z[j]) * g;
                y[j] = sigmoid(z[3 * hidden + j]) * c[j].max(0.0);
            }
        }
        Cell::FastGrnn => {
            let [zeta, nu] = r.mix();
            for (j, &h_prev) in h.iter().enumerate() {
                let a = of_x[j] + of_h[j];
                z[j] = a + r.b_ih[j];
                let (gate, n) = (sigmoid(z[j]), (a + r.b_hh[j]).tanh());
                y[j] = (zeta * (1.0 - gate) + nu) * n + gate * h_prev;
            }
        }
        Cell::GruResetAfter | Cell::GruReluResetAfter | Cell::GruHardResetAfter => {
            let relu = r.cell == Cell::GruReluResetAfter;
            for (j, &h_prev) in h.iter().enumerate() {
                let (r_gate, update) = (sigmoid(z[j]), sigmoid(z[hidden + j]));
                let row = 2 * hidden + j;
                z[row] = from_x(row) + r_gate * from_h(row);
                let n = if relu { z[row].max(0.0) } else { z[row].tanh() };
                y[j] = (1.0 - update) * n + update * h_prev;
            }
            // Integers hold the two parts of a candidate apart.
            let candidates = 2 * hidden..3 * hidden;
            z.extend(candidates.clone().map(from_x).chain(candidates.map(from_h)));
        }
        Cell::MinGru | Cell::MinGruTanh | Cell::MinGruHard => {
            for (j, &h_prev) in h.iter().enumerate() {
                let (gate, n) = (sigmoid(z[j]), z[hidden + j]);
                let n = if r.cell == Cell::MinGruTanh {
                    n.tanh()
                } else {
                    n
                };
                y[j] = (1.0 - gate) * h_prev + gate * n;
            }
        }
        Cell::GruResetBefore | Cell::GruReluResetBefore | Cell::GruHardResetBefore => {
            let relu = r.cell == Cell::GruReluResetBefore;
            let reset: Vec<f32> = (0..hidden).map(|j| sigmoid(z[j]) * h[j]).collect();
            let of_reset = product(&r.w_hh[early..], &reset);
            for (j, &h_prev) in h.iter().enumerate() {
                let update = sigmoid(z[hidden + j]);
                let row = 2 * hidden + j;
                z[row] += of_reset[j] + r.b_hh[row];
                let n = if relu { z[row].max(0.0) } else { z[row].tanh() };
                y[j] = (1.0 - update) * n + update * h_prev;
            }
        }
    }
    state.z = z;
}

pub(super) fn step_dense(d: &Dense, x: &[f32], y: &mut [f32]) {
    for ((y, sum), bias) in y.iter_mut().zip(product(&d.weight, x)).zip(&d.bias) {
        let z = sum + bias;
        *y = match d.activation {
            Activation::Identity | Activation::Softmax | Activation::Magnitude => z,
            Activation::Relu => z.max(0.0),
            Activation::Tanh => z.tanh(),
            Activation::Sigmoid => sigmoid(z),
            Activation::Elu if z > 0.0 => z,
            Activation::Elu => z.exp_m1(),
        };
    }
    if d.activation == Activation::Softmax {
        let max = y.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        y.iter_mut().for_each(|z| *z = (*z - max).exp());
        let sum: f32 = y.iter().sum();
        y.iter_mut().for_each(|p| *p /= sum);
    }
}

/// Whether there is an answer.
pub(super) fn step_conv(c: &Conv, x: &[f32], state: &mut LayerState) -> bool {
    let x = &x[..c.shape.inputs()];
    let due = c.shape.pool.is_none_or(|pool| pool.due(&mut state.count));
    if !due && state.answers.is_empty() {
        c.shape.remember(x, &mut state.past);
        return false;
    }
    let held = if due { Vec::new() } else { state.y.clone() };
    let seen = state.seen.chunks_exact_mut(c.shape.taps());
    let mut sums = vec![0.0; c.dense.outputs];
    for (position, (seen, y)) in seen.zip(state.y.chunks_exact_mut(c.width())).enumerate() {
        c.shape.gather(position, x, &state.past, seen);
        step_dense(&c.dense, seen, &mut sums);
        if c.dense.activation == Activation::Magnitude {
            let (re, im) = sums.split_at(c.width());
            for ((y, re), im) in y.iter_mut().zip(re).zip(im) {
                *y = (re * re + im * im).sqrt();
            }
        } else {
            y.copy_from_slice(&sums);
        }
    }
    c.shape.remember(x, &mut state.past);
    if let Some(pool) = c.shape.pool
        && !state.answers.is_empty()
    {
        let width = c.width();
        state.answers.copy_within(width.., 0);
        let newest = state.answers.len() - width;
        state.answers[newest..].copy_from_slice(&state.y);
        for (unit, y) in state.y.iter_mut().enumerate() {
            let numbers = state.answers.iter().skip(unit).step_by(width);
            *y = match pool.kind {
                PoolKind::Max => numbers.copied().fold(f32::NEG_INFINITY, f32::max),
                PoolKind::Mean => numbers.sum::<f32>() / f32::from(pool.kernel),
            };
        }
    }
    if !due {
        state.y = held;
    }
    due
}

pub(super) fn step_norm(norm: &Norm, x: &[f32], y: &mut [f32]) {
    let n = norm.width() as f32;
    let mean = x.iter().sum::<f32>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n;
    let deviation = (variance + norm.epsilon).sqrt();
    let terms = norm.gamma.iter().zip(&norm.beta);
    for ((y, x), (gamma, beta)) in y.iter_mut().zip(x).zip(terms) {
        *y = (x - mean) / deviation * gamma + beta;
    }
}

pub(super) fn step_join(join: &Join, x: &[f32], kept: &[f32], y: &mut [f32]) {
    let pairs = x.iter().zip(kept);
    match join.how {
        Combine::Add => y.iter_mut().zip(pairs).for_each(|(y, (x, k))| *y = x + k),
        Combine::Multiply => y.iter_mut().zip(pairs).for_each(|(y, (x, k))| *y = x * k),
        Combine::Append => (y.iter_mut().zip(x.iter().chain(kept))).for_each(|(y, x)| *y = *x),
        Combine::Prepend => (y.iter_mut().zip(kept.iter().chain(x))).for_each(|(y, x)| *y = *x),
    }
}
