//! The float network one sample at a time: what the trainer's passes and the quantized engine are held against,
//! and where calibration looks at the values inside.

use super::evaluate::Predictor;
use super::step::{LayerState, step_conv, step_dense, step_join, step_norm, step_recurrent};
use super::window::run_window;
use crate::data::normalise::{hold, normalise, restore};
use crate::net::{Layer, Network, keeper};
use crate::package::{Input, Output, Package, Shape};

/// Steps a float network.
#[derive(Debug, Clone)]
pub struct FloatRunner<'a> {
    net: &'a Network,
    layers: Vec<LayerState>,
    /// Layers that the last step got through.
    through: usize,
    /// Samples of a bidirectional network's window; otherwise 0.
    window: usize,
    /// Those of them that are here.
    rows: Vec<Vec<f32>>,
}

impl<'a> FloatRunner<'a> {
    /// All states zero.
    pub fn new(net: &'a Network) -> Self {
        let layers = net.layers.iter().map(|layer| match layer {
            Layer::Recurrent(r) => LayerState::new(r),
            Layer::Conv(c) => LayerState::of_conv(c),
            layer => LayerState::of_width(layer.outputs()),
        });
        FloatRunner {
            net,
            layers: layers.collect(),
            through: 0,
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
        self.layers.iter_mut().for_each(LayerState::reset);
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
    /// network gives a new output when its window is complete, one with a pool when there is one, see [`Self::through`].
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
        self.through = self.net.layers.len();
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
                Layer::Conv(c) => {
                    if !step_conv(c, x, state) {
                        self.through = k;
                        break;
                    }
                }
                Layer::Norm(n) => step_norm(n, x, &mut state.y),
                Layer::Keep(_) => state.y.copy_from_slice(x),
                Layer::Join(j) => {
                    let kept = keeper(&self.net.layers[..k], j.with).map(|keep| &*below[keep].y);
                    step_join(j, x, kept.unwrap_or(&[]), &mut state.y);
                }
                // Without a window there is nothing to step over.
                Layer::Bidirectional(_) => {}
            }
        }
        self.layers.last().map_or(&[], |l| &l.y)
    }

    /// Layers that gave something new in the last step: all of them, or those before a convolution whose pool had no answer.
    pub fn through(&self) -> usize {
        self.through
    }

    /// Layers that computed something in the last step: with those that got through, a convolution whose pool waits for more of it.
    pub fn computed(&self) -> usize {
        let waits = self.layers.get(self.through);
        self.through + usize::from(waits.is_some_and(|layer| !layer.answers.is_empty()))
    }

    /// What a convolution gave before it was pooled; of another layer its output.
    pub fn layer_bare(&self, k: usize) -> &[f32] {
        let layer = &self.layers[k];
        match layer.answers.len().checked_sub(layer.y.len()) {
            Some(newest) => &layer.answers[newest..],
            None => &layer.y,
        }
    }

    /// The output of layer `k` (a recurrent layer's state) after the last step.
    pub fn layer_output(&self, k: usize) -> &[f32] {
        &self.layers[k].y
    }

    /// What went into the gates of layer `k` in the last step, one gate after the other; empty where it has none. Behind those of a GRU
    /// with reset after the product, what input and state gave to its candidate.
    pub fn layer_gates(&self, k: usize) -> &[f32] {
        &self.layers[k].z
    }

    /// What layer `k`, a convolution, saw in the last step, position after position; empty of another layer.
    pub fn layer_seen(&self, k: usize) -> &[f32] {
        &self.layers[k].seen
    }

    /// The cell `c` of layer `k`, where it has one.
    pub fn layer_cell(&self, k: usize) -> Option<&[f32]> {
        match &self.net.layers[k] {
            Layer::Recurrent(r) if r.cell.has_cell() => Some(&self.layers[k].c),
            _ => None,
        }
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
