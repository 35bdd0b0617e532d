//! The float network one sample at a time: plain loops over the equations in [`crate::net`], with the
//! exact tanh. Slow and readable; what the trainer's passes and the quantized engine are held against,
//! and where calibration looks at the values inside.

use super::evaluate::Predictor;
use super::window::run_window;
use crate::data::normalise::{hold, normalise, restore};
use crate::net::{Activation, Cell, Dense, Layer, Network, Recurrent};
use crate::package::{Input, Output, Package, Shape};

/// Steps a float network.
#[derive(Debug, Clone)]
pub struct FloatRunner<'a> {
    net: &'a Network,
    layers: Vec<LayerState>,
    /// Samples of a bidirectional network's window; otherwise 0.
    window: usize,
    /// Those of them that are here.
    rows: Vec<Vec<f32>>,
}

/// A layer's output, and its cell.
#[derive(Debug, Clone, Default)]
pub(super) struct LayerState {
    /// The state of a recurrent layer too.
    pub(super) y: Vec<f32>,
    pub(super) c: Vec<f32>,
    /// Pre-activations of its gates, one gate after the other; empty before the first step.
    pub(super) z: Vec<f32>,
}

impl LayerState {
    pub(super) fn new(r: &Recurrent) -> Self {
        LayerState {
            y: vec![0.0; r.hidden],
            c: vec![0.0; r.hidden],
            z: Vec::new(),
        }
    }
}

impl<'a> FloatRunner<'a> {
    /// All states zero.
    pub fn new(net: &'a Network) -> Self {
        let layers = net.layers.iter().map(|layer| match layer {
            Layer::Recurrent(r) => LayerState::new(r),
            layer => LayerState {
                y: vec![0.0; layer.outputs()],
                ..LayerState::default()
            },
        });
        FloatRunner {
            net,
            layers: layers.collect(),
            window: 0,
            rows: Vec::new(),
        }
    }

    /// As many samples make the window of a bidirectional network.
    pub fn with_window(mut self, samples: usize) -> Self {
        self.window = if self.net.is_bidirectional() {
            samples
        } else {
            0
        };
        self
    }

    /// All states become zero.
    pub fn reset(&mut self) {
        self.rows.clear();
        for layer in &mut self.layers {
            layer.y.fill(0.0);
            layer.c.fill(0.0);
        }
    }

    /// Starts from the final states of an encoder's recurrent layers, which are as many and as wide.
    pub fn seed_from(&mut self, encoder: &FloatRunner<'_>) {
        let recurrent = |layer: &Layer| matches!(layer, Layer::Recurrent(_));
        let theirs = encoder.net.layers.iter().zip(&encoder.layers);
        let mut theirs = theirs.filter(|(layer, _)| recurrent(layer));
        let ours = self.net.layers.iter().zip(&mut self.layers);
        for (_, ours) in ours.filter(|(layer, _)| recurrent(layer)) {
            if let Some((_, state)) = theirs.next() {
                *ours = state.clone();
            }
        }
    }

    /// One step: the normalised sample in (or one token's number), the output of the last layer out. A bidirectional
    /// network gives a new output when its window is complete.
    ///
    /// # Panics
    /// If the sample is shorter than the first layer's input, or a token outside its table.
    pub fn step(&mut self, x: &[f32]) -> &[f32] {
        if self.window > 0 {
            self.rows.push(x.to_vec());
            if self.rows.len() == self.window {
                let y = run_window(self.net, std::mem::take(&mut self.rows), |_| ());
                if let Some(last) = self.layers.last_mut() {
                    last.y = y;
                }
            }
            return self.layers.last().map_or(&[], |layer| &layer.y);
        }
        for (k, layer) in self.net.layers.iter().enumerate() {
            let (below, rest) = self.layers.split_at_mut(k);
            let x = below.last().map_or(x, |l| l.y.as_slice());
            let state = &mut rest[0];
            match layer {
                Layer::Embedding(e) => {
                    let at = x[0] as usize * e.dim;
                    state.y.copy_from_slice(&e.table[at..at + e.dim]);
                }
                Layer::Recurrent(r) => step_recurrent(r, x, state),
                Layer::Dense(d) => step_dense(d, x, &mut state.y),
                // Without a window there is nothing to step over.
                Layer::Bidirectional(_) => {}
            }
        }
        self.layers.last().map_or(&[], |l| &l.y)
    }

    /// The output of layer `k` (a recurrent layer's state) after the last step.
    pub fn layer_output(&self, k: usize) -> &[f32] {
        &self.layers[k].y
    }

    /// What went into the gates of layer `k` in the last step, one gate after the other; empty where it has none.
    pub fn layer_gates(&self, k: usize) -> &[f32] {
        &self.layers[k].z
    }

    /// The cell `c` of layer `k`, where it has one.
    pub fn layer_cell(&self, k: usize) -> Option<&[f32]> {
        match &self.net.layers[k] {
            Layer::Recurrent(r) if r.cell.has_cell() => Some(&self.layers[k].c),
            _ => None,
        }
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
    let early = match r.cell {
        Cell::GruResetBefore => 2 * hidden * hidden,
        _ => r.w_hh.len(),
    };
    let of_h = product(&r.w_hh[..early], &h);
    let from_x = |row: usize| of_x[row] + r.b_ih[row];
    let from_h = |row: usize| of_h[row] + r.b_hh[row];
    // Of both products, but for the candidate of a GRU that resets before the product.
    let sum = |row: usize| from_x(row) + if row < of_h.len() { from_h(row) } else { 0.0 };
    let mut z: Vec<f32> = (0..of_x.len()).map(sum).collect();
    let (y, c) = (&mut state.y, &mut state.c);
    match r.cell {
        Cell::RnnTanh => (0..hidden).for_each(|j| y[j] = z[j].tanh()),
        Cell::RnnRelu => (0..hidden).for_each(|j| y[j] = z[j].max(0.0)),
        Cell::Lstm => {
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
        Cell::FastGrnn => {
            let [zeta, nu] = r.mix();
            for (j, &h_prev) in h.iter().enumerate() {
                let a = of_x[j] + of_h[j];
                z[j] = a + r.b_ih[j];
                let (gate, n) = (sigmoid(z[j]), (a + r.b_hh[j]).tanh());
                y[j] = (zeta * (1.0 - gate) + nu) * n + gate * h_prev;
            }
        }
        Cell::GruResetAfter => {
            for (j, &h_prev) in h.iter().enumerate() {
                let (r_gate, update) = (sigmoid(z[j]), sigmoid(z[hidden + j]));
                let row = 2 * hidden + j;
                z[row] = from_x(row) + r_gate * from_h(row);
                y[j] = (1.0 - update) * z[row].tanh() + update * h_prev;
            }
        }
        Cell::GruResetBefore => {
            let reset: Vec<f32> = (0..hidden).map(|j| sigmoid(z[j]) * h[j]).collect();
            let of_reset = product(&r.w_hh[early..], &reset);
            for (j, &h_prev) in h.iter().enumerate() {
                let update = sigmoid(z[hidden + j]);
                let row = 2 * hidden + j;
                z[row] += of_reset[j] + r.b_hh[row];
                y[j] = (1.0 - update) * z[row].tanh() + update * h_prev;
            }
        }
    }
    state.z = z;
}

pub(super) fn step_dense(d: &Dense, x: &[f32], y: &mut [f32]) {
    for ((y, sum), bias) in y.iter_mut().zip(product(&d.weight, x)).zip(&d.bias) {
        let z = sum + bias;
        *y = match d.activation {
            Activation::Identity | Activation::Softmax => z,
            Activation::Relu => z.max(0.0),
            Activation::Tanh => z.tanh(),
            Activation::Sigmoid => sigmoid(z),
        };
    }
    if d.activation == Activation::Softmax {
        let max = y.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        y.iter_mut().for_each(|z| *z = (*z - max).exp());
        let sum: f32 = y.iter().sum();
        y.iter_mut().for_each(|p| *p /= sum);
    }
}

/// Raw samples in, predictions in original units out: the float counterpart of a device.
#[derive(Debug, Clone)]
pub struct FloatPredictor<'a> {
    package: &'a Package,
    runner: FloatRunner<'a>,
    /// This sample without gaps; empty after a reset.
    held: Vec<f32>,
    /// The sample before; empty after a reset.
    previous: Vec<f32>,
    normalised: Vec<f32>,
}

impl<'a> FloatPredictor<'a> {
    /// From a reset on.
    pub fn new(package: &'a Package) -> Self {
        let window = match package.shape {
            Shape::Window { window, .. } => window,
            Shape::EveryStep => 0,
        };
        FloatPredictor {
            package,
            runner: FloatRunner::new(&package.net).with_window(window),
            held: Vec::new(),
            previous: Vec::new(),
            normalised: Vec::new(),
        }
    }

    /// The network inside, for its layers' values.
    pub fn runner(&self) -> &FloatRunner<'a> {
        &self.runner
    }
}

impl Predictor for FloatPredictor<'_> {
    fn reset(&mut self) {
        self.runner.reset();
        self.held.clear();
        self.previous.clear();
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        let mut raw = raw;
        let x = match &self.package.input {
            Input::Tokens(_) => raw,
            Input::Features(features) => {
                hold(features, raw, &mut self.held);
                raw = &self.held;
                if self.previous.is_empty() {
                    self.previous.extend_from_slice(raw);
                }
                self.normalised.resize(features.len(), 0.0);
                normalise(features, raw, &self.previous, &mut self.normalised);
                self.previous.copy_from_slice(raw);
                &self.normalised
            }
        };
        out.copy_from_slice(self.runner.step(x));
        if let Output::Values(targets) = &self.package.output {
            restore(targets, raw, out);
        }
    }
}

/// Feeds a language model its own answers: runs over `prompt`, then appends the likeliest next token
/// `count` times.
///
/// # Panics
/// If a token is not in the model's alphabet of `vocab` tokens.
pub fn generate(
    predictor: &mut dyn Predictor,
    vocab: usize,
    prompt: &[usize],
    count: usize,
) -> Vec<usize> {
    let mut scores = vec![0.0; vocab];
    let mut tokens = prompt.to_vec();
    predictor.reset();
    for k in 0..prompt.len() + count.saturating_sub(1) {
        assert!(tokens[k] < vocab, "token {} of {vocab}", tokens[k]);
        predictor.step(&[tokens[k] as f32], &mut scores);
        if k + 1 == tokens.len() {
            tokens.push(kinglet::argmax(&scores));
        }
    }
    tokens
}
