//! Ranges of a float network's values over data, measured by stepping it.

use crate::data::{Dataset, Part};
use crate::net::{Activation, Cell, Dense, Layer, Network};
use crate::package::Input;
use crate::train::FloatRunner;

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
    /// Of its cells, where it has some.
    pub cell: f32,
}

/// Largest magnitudes met in every layer of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// In the order of the network's layers.
    pub layers: Vec<LayerRange>,
    /// The network was trained with these ranges, so nothing is rescaled by them any more.
    pub settled: bool,
}

impl Stream {
    /// The streams to calibrate with: the windows of a data set's training part, a thousand at the most.
    pub fn of_dataset(data: &Dataset) -> Vec<Stream> {
        const STREAMS: usize = 1000;
        let starts = data.windows(Part::Train);
        let spread = starts.iter().step_by(starts.len().div_ceil(STREAMS).max(1));
        let tokens = matches!(data.input(), Input::Tokens(_));
        spread
            .map(|&start| {
                let rows =
                    (0..data.window()).flat_map(|t| data.input_row(start, t).iter().copied());
                if tokens {
                    Stream::Tokens(rows.map(|token| token as usize).collect())
                } else {
                    Stream::Samples(rows.collect())
                }
            })
            .collect()
    }

    /// The network's inputs, one step after the other.
    fn steps<'s>(&'s self, net: &Network) -> Box<dyn Iterator<Item = Vec<f32>> + 's> {
        let width = net.input_width().max(1);
        let embeds = matches!(net.layers.first(), Some(Layer::Embedding(_)));
        match self {
            Stream::Samples(samples) => Box::new(samples.chunks_exact(width).map(<[f32]>::to_vec)),
            Stream::Tokens(tokens) if embeds => {
                Box::new(tokens.iter().map(|&token| vec![token as f32]))
            }
            Stream::Tokens(tokens) => Box::new(tokens.iter().map(move |&token| {
                let mut one_hot = vec![0.0; width];
                one_hot[token] = 1.0;
                one_hot
            })),
        }
    }
}

impl Ranges {
    /// Steps the network over the streams.
    pub fn measure<'s>(net: &Network, streams: impl IntoIterator<Item = &'s Stream>) -> Ranges {
        let mut layers: Vec<LayerRange> = net
            .layers
            .iter()
            .map(|layer| LayerRange {
                outputs: vec![0.0; layer.outputs()],
                ..LayerRange::default()
            })
            .collect();
        let mut runner = FloatRunner::new(net);
        for stream in streams {
            runner.reset();
            for x in stream.steps(net) {
                runner.step(&x);
                for (k, (layer, range)) in net.layers.iter().zip(&mut layers).enumerate() {
                    match layer {
                        // A softmax's outputs say nothing about its scores.
                        Layer::Dense(d) if d.activation == Activation::Softmax => {
                            let below = if k == 0 {
                                &x
                            } else {
                                runner.layer_output(k - 1)
                            };
                            range.meet(&scores(d, below));
                        }
                        _ => range.meet(runner.layer_output(k)),
                    }
                    let cells = runner.layer_cell(k).unwrap_or(&[]);
                    range.cell = range.cell.max(largest(cells));
                }
            }
        }
        Ranges {
            layers,
            settled: false,
        }
    }

    /// Without data: what the weights allow at the most, for states within ±1.
    pub fn bound(net: &Network) -> Ranges {
        let mut width = 1f32;
        let layers = net.layers.iter().map(|layer| {
            let range = match layer {
                Layer::Embedding(e) => largest(&e.table),
                // A cell rarely leaves ±8; unbounded states must be measured.
                Layer::Recurrent(r) if r.cell == Cell::RnnRelu => 4.0,
                Layer::Recurrent(r) if r.cell == Cell::FastGrnn => 2.0,
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
            settled: false,
        }
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |max, v| max.max(v.abs()))
}

impl LayerRange {
    fn meet(&mut self, outputs: &[f32]) {
        for (range, y) in self.outputs.iter_mut().zip(outputs) {
            *range = range.max(y.abs());
        }
        self.output = self.output.max(largest(outputs));
    }
}

fn scores(d: &Dense, x: &[f32]) -> Vec<f32> {
    let rows = d.weight.chunks_exact(d.inputs).zip(&d.bias);
    rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b)
        .collect()
}
