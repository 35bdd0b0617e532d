//! What a float network's values do over data, measured by stepping it: how far they reach, and how the inputs of
//! its matrices vary.
//!
//! The network goes through the streams as it will in use: with the state carried from step to step where
//! it runs on, and from a reset for every window where the windows are exact.

use super::Moments;
use super::column::Column;
use super::narrow::Narrowed;
use crate::data::{Dataset, Part, Sequence};
use crate::net::{Activation, Cell, Combine, Conv, Dense, Layer, Network, Recurrent};
use crate::package::Input;
use crate::train::{FloatRunner, run_window};
use kinglet::format::{Memory, Reset};

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
    /// Of the inputs of its matrices, one for every stage of the cell, of both cells where there are two; empty where rows are
    /// rounded without.
    pub inputs: Vec<Moments>,
    /// What becomes of its states in eight bits, unit by unit, where they stay within ±1.
    pub(super) narrowed: Vec<Narrowed>,
    /// What the steps of a layer's rows stand for, in their order in the file, where training has settled them.
    pub scales: Vec<f64>,
    /// The least that a unit forgets of its state in a step, in the mean; where gates decide it and it is known.
    pub forgets: Option<f64>,
    /// Of its gates' pre-activations.
    pub gates: Gates,
    /// By how much candidates move, as the root of the mean square, if what input and state give to them is cut at ±8 before it is
    /// added up. Only a GRU with reset after the product adds it up later.
    pub candidates: f64,
}

/// How far the pre-activations of a layer's gates reach.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gates {
    /// How many were met.
    pub met: usize,
    /// Of them, beyond ±8 and beyond ±16.
    pub beyond: [usize; 2],
}

/// Largest magnitudes met in every layer of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// In the order of the network's layers.
    pub layers: Vec<LayerRange>,
    /// The network's inputs, as far as they are no tokens, then its outputs.
    pub columns: [Vec<Column>; 2],
    /// Inputs with heavy tails are scaled by these powers of two besides: upwards more of the tail is cut. Of an input without
    /// an entry it is 0.
    pub tails: Vec<i8>,
    /// Weights over the inputs get more than eight bits, in a first layer with a state and in w8a16.
    pub fine: bool,
    /// The network was trained with these ranges, so nothing is rescaled by them any more.
    pub settled: bool,
}

/// Steps to calibrate with at the most.
const STEPS: usize = 100_000;
/// Steps that a part of a longer series has, from a state of zero on.
const PIECE: usize = 10_000;
/// Steps whose inputs enter the moments, at the most.
const MET: usize = 20_000;
/// Widest matrix whose inputs have moments: their number is its square.
pub(super) const WIDEST: usize = 2048;

impl Stream {
    /// The streams to calibrate with: the training part as it is measured too, window by window where the state starts
    /// anew for each, else in whole series. Of more than a hundred thousand steps some are taken, evenly.
    pub fn of_dataset(data: &Dataset) -> Vec<Stream> {
        Stream::some_of_dataset(data, usize::MAX)
    }

    /// A whole sequence, as a network gets it.
    pub(crate) fn of(sequence: &Sequence<'_>) -> Stream {
        Stream::piece(sequence, 0..sequence.steps())
    }

    fn piece(sequence: &Sequence<'_>, steps: std::ops::Range<usize>) -> Stream {
        let rows = steps.flat_map(|t| sequence.normalised(t).iter().copied());
        match sequence.input() {
            Input::Tokens(_) => Stream::Tokens(rows.map(|token| token as usize).collect()),
            Input::Features(_) => Stream::Samples(rows.collect()),
        }
    }

    /// The first of [`Self::of_dataset`].
    pub fn first_of_dataset(data: &Dataset) -> Option<Stream> {
        Stream::some_of_dataset(data, 1).pop()
    }

    fn some_of_dataset(data: &Dataset, most: usize) -> Vec<Stream> {
        let sequences: Vec<_> = data.sequences(Part::Train).collect();
        let steps: usize = sequences.iter().map(|sequence| sequence.steps()).sum();
        let every = steps.div_ceil(STEPS).max(1);
        // What is not taken whole is taken in pieces.
        let longest = if every > 1 { PIECE } else { usize::MAX };
        let pieces = sequences.iter().flat_map(|sequence| {
            let starts = (0..sequence.steps()).step_by(longest);
            starts.map(move |start| (sequence, start))
        });
        let stream = |(sequence, start): (&Sequence<'_>, usize)| {
            let end = sequence.steps().min(start.saturating_add(longest));
            Stream::piece(sequence, start..end)
        };
        pieces.step_by(every).take(most).map(stream).collect()
    }

    /// Number of steps.
    fn len(&self, net: &Network) -> usize {
        match self {
            Stream::Samples(samples) => samples.len() / net.input_width().max(1),
            Stream::Tokens(tokens) => tokens.len(),
        }
    }

    /// The network's inputs, one step after the other.
    pub(crate) fn steps<'s>(&'s self, net: &Network) -> Box<dyn Iterator<Item = Vec<f32>> + 's> {
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
    /// From here on a network learns to live with them, with these scales of its rows and with the nearest integers.
    pub(crate) fn settle(&mut self, scales: Vec<Vec<f64>>) {
        self.settled = true;
        for (layer, scales) in self.layers.iter_mut().zip(scales) {
            layer.inputs.clear();
            layer.scales = scales;
        }
    }

    /// Steps the network over the streams.
    pub fn measure<'s>(net: &Network, streams: impl IntoIterator<Item = &'s Stream>) -> Ranges {
        Self::measure_from(net, streams, |_, _| {})
    }

    /// As [`Ranges::measure`]; every stream starts from a state of zero, or from what `begin` makes of it.
    pub(crate) fn measure_from<'s>(
        net: &Network,
        streams: impl IntoIterator<Item = &'s Stream>,
        mut begin: impl FnMut(usize, &mut FloatRunner<'_>),
    ) -> Ranges {
        let streams: Vec<&Stream> = streams.into_iter().collect();
        let mut layers: Vec<LayerRange> = net
            .layers
            .iter()
            .map(|layer| LayerRange {
                outputs: vec![0.0; layer.outputs()],
                inputs: moments(layer),
                ..LayerRange::default()
            })
            .collect();
        let steps: usize = streams.iter().map(|s| s.len(net)).sum();
        let every = steps.div_ceil(MET).max(1);
        let samples = matches!(streams.first(), Some(Stream::Samples(_)));
        let inputs = if samples { net.input_width() } else { 0 };
        let mut columns = [inputs, net.output_width()].map(|n| vec![Column::default(); n]);
        let mut forgotten: Vec<Vec<f64>> = vec![Vec::new(); net.layers.len()];
        let mut cut = vec![0.0; net.layers.len()];
        let mut meetings = vec![0; net.layers.len()];
        let mut runner = FloatRunner::new(net);
        let mut step = 0;
        for (k, stream) in streams.into_iter().enumerate() {
            if net.is_bidirectional() {
                let rows: Vec<Vec<f32>> = stream.steps(net).collect();
                for (t, x) in rows.iter().enumerate() {
                    Column::meet_all(&mut columns[0], x, (step + t) % every == 0);
                }
                let last = net.layers.len() - 1;
                run_window(net, rows, |seen| {
                    if seen.layer == last {
                        Column::meet_all(&mut columns[1], seen.y, true);
                    }
                    let range = &mut layers[seen.layer];
                    let layer = &net.layers[seen.layer];
                    range.cell = range.cell.max(largest(seen.cell));
                    match layer {
                        Layer::Dense(d) if d.activation == Activation::Softmax => {
                            range.meet(&scores(d, seen.x), 0);
                        }
                        Layer::Bidirectional(b) if is_linear(b.forward.cell) => {
                            let candidates = candidates(b.halves()[seen.half], seen.x);
                            range.meet(&candidates, seen.half * seen.y.len());
                        }
                        Layer::Bidirectional(b) if b.forward.cell == Cell::LstmRelu => {
                            let r = b.halves()[seen.half];
                            let candidates = sums(r, 2, seen.x, seen.state);
                            let reached = with_inner(seen.y, &candidates, seen.cell);
                            range.meet(&reached, seen.half * seen.y.len());
                        }
                        Layer::Bidirectional(b) if b.forward.cell == Cell::GruReluResetAfter => {
                            let r = b.halves()[seen.half];
                            let parts = parts_of_sums(r, 2, seen.x, seen.state);
                            let open = sums(r, 0, seen.x, seen.state);
                            let (of_input, of_state) = parts.split_at(r.hidden);
                            let pairs = open.iter().zip(of_input.iter().zip(of_state));
                            let n = pairs.map(|(z, (x, h))| x + h / (1.0 + (-z).exp()));
                            let n: Vec<f32> = n.collect();
                            range.meet(&with_parts(&n, &parts), seen.half * seen.y.len());
                        }
                        Layer::Bidirectional(b) if b.forward.cell == Cell::GruReluResetBefore => {
                            let candidates = rectified(b.halves()[seen.half], seen.x, seen.state);
                            range.meet(&candidates, seen.half * seen.y.len());
                        }
                        _ => range.meet(seen.y, seen.half * seen.y.len()),
                    }
                    let dense = matches!(layer, Layer::Dense(_));
                    if dense || (step + seen.sample) % every == 0 {
                        range.meet_inputs(layer, seen.half, seen.x, seen.state);
                    }
                });
                step += stream.len(net);
                continue;
            }
            runner.reset();
            begin(k, &mut runner);
            for x in stream.steps(net) {
                let met = is_met(step, every, net.answers());
                step += 1;
                let states: Vec<Vec<f32>> = if met {
                    (0..net.layers.len())
                        .map(|k| runner.layer_output(k).to_vec())
                        .collect()
                } else {
                    Vec::new()
                };
                let y = runner.step(&x);
                Column::meet_all(&mut columns[0], &x, met);
                let y = y.to_vec();
                if runner.through() == net.layers.len() {
                    Column::meet_all(&mut columns[1], &y, met);
                }
                let layers = net.layers.iter().zip(&mut layers).take(runner.computed());
                for (k, (layer, range)) in layers.enumerate() {
                    let below = match k.checked_sub(1) {
                        Some(below) => runner.layer_output(below),
                        None => &x,
                    };
                    match layer {
                        // A softmax's outputs say nothing about its scores.
                        Layer::Dense(d) if d.activation == Activation::Softmax => {
                            range.meet(&scores(d, below), 0);
                        }
                        Layer::Recurrent(r) if is_linear(r.cell) => {
                            range.meet(&candidates(r, below), 0);
                        }
                        Layer::Recurrent(r) if r.cell == Cell::GruReluResetAfter => {
                            let [n, parts] =
                                [2 * r.hidden..3 * r.hidden, 3 * r.hidden..5 * r.hidden];
                            let z = runner.layer_gates(k);
                            range.meet(&with_parts(&z[n], &z[parts]), 0);
                        }
                        Layer::Recurrent(r) if r.cell == Cell::LstmRelu => {
                            let candidates = &runner.layer_gates(k)[2 * r.hidden..3 * r.hidden];
                            let y = runner.layer_output(k);
                            let cells = runner.layer_cell(k).unwrap_or(&[]);
                            range.meet(&with_inner(y, candidates, cells), 0);
                        }
                        Layer::Recurrent(r) if r.cell == Cell::GruReluResetBefore => {
                            let candidates = &runner.layer_gates(k)[2 * r.hidden..];
                            let rectified = candidates.iter().map(|n| n.max(0.0));
                            range.meet(&rectified.collect::<Vec<f32>>(), 0);
                        }
                        _ => range.meet(runner.layer_bare(k), 0),
                    }
                    let cells = runner.layer_cell(k).unwrap_or(&[]);
                    range.cell = range.cell.max(largest(cells));
                    if met {
                        meetings[k] += 1;
                        match layer {
                            Layer::Conv(c) => {
                                let seen = runner.layer_seen(k).chunks_exact(c.dense.inputs);
                                seen.for_each(|x| range.meet_inputs(layer, 0, x, &[]));
                            }
                            _ => range.meet_inputs(layer, 0, below, &states[k]),
                        }
                        if let Layer::Recurrent(r) = layer {
                            if r.cell.reach() == 1 {
                                range.narrowed.resize(r.hidden, Narrowed::default());
                                let states = runner.layer_output(k).iter();
                                let units = range.narrowed.iter_mut().zip(states);
                                units.for_each(|(unit, &h)| unit.meet(h));
                            }
                            // What is linear or rectified has a scale of its own.
                            let z = runner.layer_gates(k);
                            range.gates.meet(match r.cell {
                                Cell::RnnRelu => &[],
                                Cell::MinGru => &z[..r.hidden],
                                // What saturates a hard gate saturates in integers too.
                                Cell::MinGruHard => &[],
                                Cell::LstmHard
                                | Cell::GruHardResetAfter
                                | Cell::GruHardResetBefore => &z[2 * r.hidden..3 * r.hidden],
                                Cell::GruReluResetBefore
                                | Cell::GruReluResetAfter
                                | Cell::LstmRelu => &z[..2 * r.hidden],
                                _ => z,
                            });
                            if r.cell == Cell::GruResetAfter {
                                cut[k] += cut_candidates(r.hidden, z);
                            }
                            forget(&mut forgotten[k], r, runner.layer_gates(k));
                        }
                    }
                }
            }
        }
        let met = layers.iter_mut().flat_map(|layer| &mut layer.inputs);
        met.for_each(Moments::settle);
        let told = forgotten.iter().zip(&cut).zip(&meetings);
        for (layer, ((forgotten, cut), &met)) in layers.iter_mut().zip(told) {
            if met == 0 && !net.is_bidirectional() {
                // Samples that were too few for an answer tell nothing about what is behind it.
                layer.inputs.clear();
            }
            let counted = f64::from(met.max(1));
            layer.candidates = (cut / counted / layer.outputs.len().max(1) as f64).sqrt();
            layer.forgets = forgotten
                .iter()
                .map(|sum| sum / counted)
                .min_by(f64::total_cmp);
        }
        Ranges {
            layers,
            columns,
            tails: Vec::new(),
            fine: false,
            settled: false,
        }
    }

    /// Weights that are rounded by what they do to a row, times the width of their rows.
    pub(crate) fn rounding(&self, layers: &[Layer]) -> usize {
        let known = self.layers.iter().zip(layers);
        let known = known.filter(|(range, _)| !range.inputs.is_empty());
        let work = |layer: &Layer| match layer {
            Layer::Embedding(_) | Layer::Norm(_) | Layer::Keep(_) | Layer::Join(_) => 0,
            Layer::Recurrent(r) => r.b_ih.len() * (r.inputs + r.hidden).pow(2),
            Layer::Bidirectional(b) => {
                2 * b.forward.b_ih.len() * (b.forward.inputs + b.forward.hidden).pow(2)
            }
            Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => d.outputs * d.inputs.pow(2),
        };
        known.map(|(_, layer)| work(layer)).sum()
    }

    /// Without data: what the weights allow at the most, for states within ±1.
    pub fn bound(net: &Network) -> Ranges {
        let (mut width, mut kept) = (1f32, Vec::new());
        let layers = net.layers.iter().map(|layer| {
            let range = match layer {
                Layer::Embedding(e) => largest(&e.table),
                // A cell rarely leaves ±8; unbounded states must be measured.
                Layer::Recurrent(r) => state_bound(r, width),
                Layer::Bidirectional(b) => {
                    let halves = b.halves().map(|r| state_bound(r, width));
                    halves[0].max(halves[1])
                }
                Layer::Keep(_) => {
                    kept.push(width);
                    width
                }
                Layer::Join(j) => {
                    let kept = kept.get(j.with).copied().unwrap_or(0.0);
                    match j.how {
                        Combine::Add => width + kept,
                        Combine::Multiply => width * kept,
                        Combine::Append | Combine::Prepend => width.max(kept),
                    }
                }
                // One number, where all others are the same.
                Layer::Norm(n) => {
                    let farthest = (n.width() as f32 - 1.0).sqrt();
                    largest(&n.gamma) * farthest + largest(&n.beta)
                }
                Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => {
                    let reach = linear_bound((&d.weight, &d.bias), width);
                    match d.activation {
                        Activation::Tanh | Activation::Sigmoid => 1.0,
                        Activation::Magnitude => reach * std::f32::consts::SQRT_2,
                        _ => reach,
                    }
                }
            };
            width = range;
            // At rest, where the biases say all.
            let mut forgotten = Vec::new();
            if let Layer::Recurrent(r) = layer {
                let second = r.b_hh.iter().copied().chain(std::iter::repeat(0.0));
                let z: Vec<f32> = match r.cell {
                    Cell::FastGrnn => r.b_ih.clone(),
                    _ => r.b_ih.iter().zip(second).map(|(a, b)| a + b).collect(),
                };
                forget(&mut forgotten, r, &z);
            }
            LayerRange {
                output: range,
                outputs: vec![range; layer.outputs()],
                cell: 15.0,
                forgets: forgotten.into_iter().min_by(f64::total_cmp),
                ..LayerRange::default()
            }
        });
        Ranges {
            layers: layers.collect(),
            columns: [Vec::new(), Vec::new()],
            tails: Vec::new(),
            fine: false,
            settled: false,
        }
    }
}

/// How far rows of a matrix reach from inputs within ± `width`.
fn linear_bound((weight, bias): (&[f32], &[f32]), width: f32) -> f32 {
    let rows = weight.chunks_exact(weight.len() / bias.len().max(1));
    let rows = rows.zip(bias);
    let reach = rows.map(|(row, b)| row.iter().map(|w| w.abs()).sum::<f32>() * width + b.abs());
    reach.fold(0.0, f32::max)
}

/// Candidates are sums as they are.
fn is_linear(cell: Cell) -> bool {
    matches!(cell, Cell::MinGru | Cell::MinGruHard)
}

/// The same of a state.
fn state_bound(r: &Recurrent, width: f32) -> f32 {
    match r.cell {
        // A mean of linear candidates.
        cell if is_linear(cell) => {
            let (w, b) = (&r.w_ih[r.hidden * r.inputs..], &r.b_ih[r.hidden..]);
            linear_bound((w, b), width)
        }
        cell => cell.reach() as f32,
    }
}

/// Adds what every unit forgets in a step with these pre-activations, where a gate decides it.
fn forget(forgotten: &mut Vec<f64>, r: &Recurrent, z: &[f32]) {
    let (gate, sign) = match r.cell.memory() {
        Memory::Mixed => return,
        Memory::Kept { gate } => (gate, 1.0),
        Memory::Replaced { gate } => (gate, -1.0),
    };
    forgotten.resize(r.hidden, 0.0);
    let z = &z[gate * r.hidden..][..r.hidden];
    for (forgotten, &z) in forgotten.iter_mut().zip(z) {
        *forgotten += 1.0 / (1.0 + (sign * f64::from(z)).exp());
    }
}

/// Sum of the squared differences that it makes to the candidates of a GRU with reset after the product if both their parts are cut.
fn cut_candidates(hidden: usize, z: &[f32]) -> f64 {
    let [r, n_x, n_h] = [0, 3, 4].map(|part| &z[part * hidden..][..hidden]);
    let parts = r.iter().zip(n_x).zip(n_h);
    let beyond = parts.filter(|((_, x), h)| x.abs() > 8.0 || h.abs() > 8.0);
    let squares = beyond.map(|((&r, &x), &h)| {
        let r = 1.0 / (1.0 + (-f64::from(r)).exp());
        let candidate = |x: f32, h: f32| (f64::from(x) + r * f64::from(h)).tanh();
        (candidate(x.clamp(-8.0, 8.0), h.clamp(-8.0, 8.0)) - candidate(x, h)).powi(2)
    });
    squares.sum()
}

impl Gates {
    fn meet(&mut self, z: &[f32]) {
        self.met += z.len();
        for (beyond, limit) in self.beyond.iter_mut().zip([8.0, 16.0]) {
            *beyond += z.iter().filter(|z| z.abs() > limit).count();
        }
    }
}

/// The largest magnitude.
pub(super) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |max, v| max.max(v.abs()))
}

impl LayerRange {
    /// The outputs from one on are divided by these scales.
    pub(super) fn divide_outputs(&mut self, first: usize, scales: &[f32]) {
        for (output, scale) in self.outputs.iter_mut().skip(first).zip(scales) {
            *output /= scale;
        }
        self.output = self.outputs.iter().copied().fold(0.0, f32::max);
    }

    /// Two layers that hand their state over are to hold it alike, and both be slow if one is.
    pub(crate) fn hold_with(&mut self, other: &mut LayerRange) {
        let forgets = [self.forgets, other.forgets].into_iter().flatten();
        let forgets = forgets.reduce(f64::min);
        let (cell, candidates) = (
            self.cell.max(other.cell),
            self.candidates.max(other.candidates),
        );
        for range in [self, other] {
            (range.cell, range.forgets, range.candidates) = (cell, forgets, candidates);
        }
    }

    /// Outputs, and the place of the first of them.
    fn meet(&mut self, outputs: &[f32], at: usize) {
        for (range, y) in self.outputs[at..].iter_mut().zip(outputs) {
            *range = range.max(y.abs());
        }
        self.output = self.output.max(largest(outputs));
    }

    /// What the layer's matrices were multiplied with: the input, and the state before the step.
    fn meet_inputs(&mut self, layer: &Layer, half: usize, x: &[f32], state: &[f32]) {
        let cell = match layer {
            Layer::Recurrent(r) => r,
            Layer::Bidirectional(b) => b.halves()[half],
            _ => {
                self.inputs.iter_mut().for_each(|moments| moments.meet(x));
                return;
            }
        };
        let stages = stages(cell);
        let own = self.inputs.iter_mut().skip(half * stages).take(stages);
        for (stage, moments) in own.enumerate() {
            if stage == 0 {
                moments.meet(&[x, state].concat());
            } else {
                moments.meet(&[x, &reset(cell, x, state)[..]].concat());
            }
        }
    }

    /// Those of both cells of a bidirectional layer.
    pub(crate) fn halves(&self) -> [LayerRange; 2] {
        let (inputs, scales) = (self.inputs.len() / 2, self.scales.len() / 2);
        let half = |inputs: &[Moments], scales: &[f64]| LayerRange {
            inputs: inputs.to_vec(),
            scales: scales.to_vec(),
            ..self.clone()
        };
        [
            half(&self.inputs[..inputs], &self.scales[..scales]),
            half(&self.inputs[inputs..], &self.scales[scales..]),
        ]
    }
}

/// Products that follow one another in a step.
fn stages(r: &Recurrent) -> usize {
    match r.cell.resets() {
        Some(Reset::Before) => 2,
        _ => 1,
    }
}

/// Cells of a rectified LSTM whose state reaches 1, at most; integers hold 128 where a state is held within 4.
pub(super) const CELLS_OF_RECTIFIED: f32 = 32.0;
/// And candidates, and their parts: integers hold 8.
const CANDIDATES_OF_RECTIFIED: f32 = 2.5;

/// What a rectified LSTM's unit reaches, as its outputs count it: they have one scale with its candidates and cells.
fn with_inner(y: &[f32], candidates: &[f32], cells: &[f32]) -> Vec<f32> {
    let units = y.iter().zip(candidates).zip(cells);
    units
        .map(|((y, g), c)| {
            y.max(g / CANDIDATES_OF_RECTIFIED)
                .max(c / CELLS_OF_RECTIFIED)
        })
        .collect()
}

/// What a rectified GRU's unit reaches that resets after the product, from its candidate and what input and state give to it.
fn with_parts(n: &[f32], parts: &[f32]) -> Vec<f32> {
    let (of_input, of_state) = parts.split_at(n.len());
    let units = n.iter().zip(of_input.iter().zip(of_state));
    units
        .map(|(n, (x, h))| n.max(x.abs().max(h.abs()) / CANDIDATES_OF_RECTIFIED))
        .collect()
}

/// Whether a step is one of those whose inputs enter the moments. Where answers are rare it is all steps up to one, and not at even distances: windows
/// could have none among them.
fn is_met(step: usize, every: usize, [first, period]: [usize; 2]) -> bool {
    match (first, period) {
        (0, 1) => step.is_multiple_of(every),
        _ => {
            let scattered = (step / period).wrapping_mul(0x9e37_79b9) >> 8;
            scattered.is_multiple_of(every)
        }
    }
}

/// Nothing met yet by any stage of a layer.
fn moments(layer: &Layer) -> Vec<Moments> {
    let (stages, width) = match layer {
        Layer::Embedding(_) | Layer::Norm(_) | Layer::Keep(_) | Layer::Join(_) => (0, 0),
        Layer::Recurrent(r) => (stages(r), r.inputs + r.hidden),
        Layer::Bidirectional(b) => (2 * stages(&b.forward), b.forward.inputs + b.forward.hidden),
        Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => (1, d.inputs),
    };
    if width > WIDEST {
        return Vec::new();
    }
    vec![Moments::new(width); stages]
}

/// `r ⊙ h` of a GRU that resets before the product.
fn reset(layer: &Recurrent, x: &[f32], h: &[f32]) -> Vec<f32> {
    let dot = |w: &[f32], u: &[f32]| w.iter().zip(u).map(|(w, u)| w * u).sum::<f32>();
    let gate = |unit: usize| {
        let from_x = dot(&layer.w_ih[unit * layer.inputs..][..layer.inputs], x);
        let from_h = dot(&layer.w_hh[unit * layer.hidden..][..layer.hidden], h);
        let sum = from_x + from_h + layer.b_ih[unit] + layer.b_hh[unit];
        1.0 / (1.0 + (-sum).exp())
    };
    h.iter()
        .enumerate()
        .map(|(unit, h)| gate(unit) * h)
        .collect()
}

/// Linear candidates of a minGRU. Its state is a mean of them, and integers must hold both.
fn candidates(r: &Recurrent, x: &[f32]) -> Vec<f32> {
    let rows = r.w_ih.chunks_exact(r.inputs).zip(&r.b_ih).skip(r.hidden);
    rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b)
        .collect()
}

/// Those of a GRU that resets before the product.
fn rectified(r: &Recurrent, x: &[f32], h: &[f32]) -> Vec<f32> {
    let gates = sums(r, 0, x, h);
    let reset = h.iter().zip(gates).map(|(h, z)| h / (1.0 + (-z).exp()));
    let reset: Vec<f32> = reset.collect();
    let candidates = sums(r, 2, x, &reset);
    candidates.into_iter().map(|n| n.max(0.0)).collect()
}

/// What goes into one gate of all units.
fn sums(r: &Recurrent, gate: usize, x: &[f32], h: &[f32]) -> Vec<f32> {
    let parts = parts_of_sums(r, gate, x, h);
    let (of_input, of_state) = parts.split_at(r.hidden);
    of_input.iter().zip(of_state).map(|(x, h)| x + h).collect()
}

/// What the input gives to a gate of all units, then what the state does.
fn parts_of_sums(r: &Recurrent, gate: usize, x: &[f32], h: &[f32]) -> Vec<f32> {
    let rows = gate * r.hidden..(gate + 1) * r.hidden;
    let of = |w: &[f32], b: &[f32], x: &[f32]| -> Vec<f32> {
        let sum = |row: usize| {
            let weights = w[row * x.len()..][..x.len()].iter();
            weights.zip(x).map(|(w, x)| w * x).sum::<f32>() + b[row]
        };
        rows.clone().map(sum).collect()
    };
    [
        of(&r.w_ih, &r.b_ih, &x[..r.inputs]),
        of(&r.w_hh, &r.b_hh, &h[..r.hidden]),
    ]
    .concat()
}

fn scores(d: &Dense, x: &[f32]) -> Vec<f32> {
    let rows = d.weight.chunks_exact(d.inputs).zip(&d.bias);
    rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_candidates_beyond_eight_count_by_what_their_cut_does() {
        // Two units: r, z, n, then what input and state give. The first one's state gives 12, of which half is let through.
        let z = [0.0, 5.0, 0.0, 0.0, 9.0, 9.0, -5.5, 1.0, 12.0, -7.0];
        let want = (0.5f64.tanh() - (-1.5f64).tanh()).powi(2);
        assert!((cut_candidates(2, &z) - want).abs() < 1e-9);
        assert_eq!(cut_candidates(2, &[0.0; 10]), 0.0);
    }
}
