//! Ranges of a float network's values over data, measured by stepping it.

use crate::net::{Activation, Cell, Dense, Layer, Network, Recurrent};

/// One stream of network inputs, which starts at a state of zero.
#[derive(Debug, Clone)]
pub enum Stream {
    /// Normalised samples, one after the other.
    Samples(Vec<f32>),
    /// Tokens.
    Tokens(Vec<usize>),
}

/// Largest magnitudes met in a layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerRange {
    /// Of the outputs (before a softmax).
    pub output: f32,
    /// Of each output apart.
    pub outputs: Vec<f32>,
    /// Of an LSTM's cells.
    pub cell: f32,
}

/// Largest magnitudes met in every layer of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// In the order of the network's layers.
    pub layers: Vec<LayerRange>,
}

/// A layer's state in float.
#[derive(Debug, Clone, Default)]
struct FloatState {
    h: Vec<f32>,
    c: Vec<f32>,
}

impl Ranges {
    /// Steps the network over the streams.
    pub fn measure<'s>(net: &Network, streams: impl IntoIterator<Item = &'s Stream>) -> Ranges {
        let mut layers = vec![LayerRange::default(); net.layers.len()];
        for stream in streams {
            let mut states: Vec<FloatState> = net.layers.iter().map(FloatState::new).collect();
            match stream {
                Stream::Samples(samples) => {
                    let width = net.input_width().max(1);
                    for sample in samples.chunks_exact(width) {
                        step(net, sample.to_vec(), None, &mut states, &mut layers);
                    }
                }
                Stream::Tokens(tokens) => {
                    for &token in tokens {
                        let mut one_hot = vec![0.0; net.input_width()];
                        if let Some(place) = one_hot.get_mut(token) {
                            *place = 1.0;
                        }
                        step(net, one_hot, Some(token), &mut states, &mut layers);
                    }
                }
            }
        }
        Ranges { layers }
    }

    /// Without data: what the weights allow at the most, for states within ±1.
    pub fn bound(net: &Network) -> Ranges {
        let mut width = 1f32;
        let layers = net.layers.iter().map(|layer| {
            let range = match layer {
                Layer::Embedding(e) => largest(&e.table),
                // A cell rarely leaves ±8; an unbounded rectified state must be measured.
                Layer::Recurrent(r) if r.cell == Cell::RnnRelu => 4.0,
                Layer::Recurrent(_) => 1.0,
                Layer::Dense(d) => {
                    let rows = d.weight.chunks_exact(d.inputs).zip(&d.bias);
                    let reach = rows
                        .map(|(row, b)| row.iter().map(|w| w.abs()).sum::<f32>() * width + b.abs());
                    let reach = reach.fold(0.0, f32::max);
                    match d.activation {
                        Activation::Tanh | Activation::Sigmoid => 1.0,
                        _ => reach,
                    }
                }
            };
            width = range;
            LayerRange {
                output: range,
                outputs: vec![range; layer.outputs()],
                cell: 15.0,
            }
        });
        Ranges {
            layers: layers.collect(),
        }
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |max, v| max.max(v.abs()))
}

impl FloatState {
    fn new(layer: &Layer) -> Self {
        match layer {
            Layer::Recurrent(r) => FloatState {
                h: vec![0.0; r.hidden],
                c: vec![0.0; r.hidden],
            },
            _ => FloatState::default(),
        }
    }
}

fn step(
    net: &Network,
    mut x: Vec<f32>,
    token: Option<usize>,
    states: &mut [FloatState],
    ranges: &mut [LayerRange],
) {
    for ((layer, state), range) in net.layers.iter().zip(states).zip(ranges) {
        x = match layer {
            Layer::Embedding(e) => {
                let token = token.unwrap_or(0).min(e.vocab.saturating_sub(1));
                e.table[token * e.dim..(token + 1) * e.dim].to_vec()
            }
            Layer::Recurrent(r) => {
                r.step(&x, &mut state.h, &mut state.c);
                range.cell = range.cell.max(largest(&state.c));
                state.h.clone()
            }
            Layer::Dense(d) => d.apply(&x),
        };
        range.outputs.resize(x.len(), 0.0);
        for (range, x) in range.outputs.iter_mut().zip(&x) {
            *range = range.max(x.abs());
        }
        range.output = range.output.max(largest(&x));
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl Recurrent {
    /// One step of the equations, plainly.
    fn step(&self, x: &[f32], h: &mut [f32], c: &mut [f32]) {
        let dot = |w: &[f32], v: &[f32]| w.iter().zip(v).map(|(w, v)| w * v).sum::<f32>();
        let from_x = |gate: usize, unit: usize| {
            let row = gate * self.hidden + unit;
            dot(&self.w_ih[row * self.inputs..(row + 1) * self.inputs], x) + self.b_ih[row]
        };
        let from_h = |gate: usize, unit: usize, h: &[f32]| {
            let row = gate * self.hidden + unit;
            dot(&self.w_hh[row * self.hidden..(row + 1) * self.hidden], h) + self.b_hh[row]
        };
        let old = h.to_vec();
        let sum = |gate: usize, unit: usize| from_x(gate, unit) + from_h(gate, unit, &old);
        match self.cell {
            Cell::RnnTanh => (0..self.hidden).for_each(|u| h[u] = sum(0, u).tanh()),
            Cell::RnnRelu => (0..self.hidden).for_each(|u| h[u] = sum(0, u).max(0.0)),
            Cell::Lstm => {
                for u in 0..self.hidden {
                    c[u] = sigmoid(sum(1, u)) * c[u] + sigmoid(sum(0, u)) * sum(2, u).tanh();
                    h[u] = sigmoid(sum(3, u)) * c[u].tanh();
                }
            }
            Cell::GruResetAfter | Cell::GruResetBefore => {
                let r: Vec<f32> = (0..self.hidden).map(|u| sigmoid(sum(0, u))).collect();
                let reset: Vec<f32> = r.iter().zip(&old).map(|(r, h)| r * h).collect();
                for u in 0..self.hidden {
                    let recurrent = if self.cell == Cell::GruResetAfter {
                        r[u] * from_h(2, u, &old)
                    } else {
                        from_h(2, u, &reset)
                    };
                    let n = (from_x(2, u) + recurrent).tanh();
                    h[u] = n + sigmoid(sum(1, u)) * (old[u] - n);
                }
            }
        }
    }
}

impl Dense {
    /// The layer's outputs; the scores, for a softmax.
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(self.inputs).zip(&self.bias);
        let sums = rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b);
        let activation = |z: f32| match self.activation {
            Activation::Identity | Activation::Softmax => z,
            Activation::Relu => z.max(0.0),
            Activation::Tanh => z.tanh(),
            Activation::Sigmoid => sigmoid(z),
        };
        sums.map(activation).collect()
    }
}
