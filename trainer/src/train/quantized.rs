//! Quantization-aware training: the forward pass is the engine.
//!
//! For every batch the parameters are quantized as the exporter does it, and the engine loads the result and steps
//! through the sequences: same tables, same rounding, same saturation, so every output the loss sees has the bytes
//! that the exported model gives. [`Shard::follow`] takes over outputs and states, finds the gates that belong to them
//! in float, and the backward pass runs from there as if rounding were the identity (straight-through,
//! Bengio et al. 2013). Its gradient, at the quantized weights, moves the float ones.
//!
//! What the integers of a row stand for is learned along with them (learned step sizes, Esser et al. 2020): of an integer
//! `q = round(w / s)` within its limits the straight-through derivative of `s q` by `ln s` is `s q − w`, and of one that
//! was clipped `s q`; the weight of the latter gets no gradient.

use super::params::{RowPlaces, flatten, row_places, unflatten};
use super::pass::{Shard, Size, Trace};
use crate::engine::AnyRunner;
use crate::file::{AlignedBytes, Quantized, quantized};
use crate::net::Layer;
use crate::package::{Input, Package};
use crate::quant::{Formats, Ranges, bridge, largest_weight, rescale, take_back};
use anyhow::Result;
use kinglet::format as engine;
use kinglet::{LayerStep, Model, StepInput, WindowInput};

/// What a batch is quantized to.
pub(super) struct Quantizer {
    /// Its parameters are replaced by those of the batch.
    package: Package,
    formats: Formats,
    ranges: Ranges,
    /// Scales at the start, layer by layer.
    scales: Vec<Vec<f64>>,
    rows: Vec<Vec<RowPlaces>>,
}

impl Quantizer {
    /// Of a trained network with measured ranges, which stay what they are from here on but for the scales of its rows.
    /// It starts with the integers that [`export`](crate::file::export) makes of these ranges.
    ///
    /// # Errors
    /// If weights cannot be represented.
    pub(super) fn new(package: &Package, mut formats: Formats, ranges: &Ranges) -> Result<Self> {
        let (mut package, mut ranges) = (package.clone(), ranges.clone());
        if !ranges.settled {
            // Whoever has chosen a format for every layer has none for one more.
            if matches!(formats, Formats::All(_)) {
                bridge(&mut package.net, &mut ranges, &mut formats);
            }
            rescale(&mut package.net, &mut ranges, &formats);
            take_back(&mut package.net, &ranges, &formats);
            let start = quantized(&package, &formats, &ranges)?;
            package.net = start.within_reach(&package.net);
            ranges.settle(start.scales);
        }
        Ok(Quantizer {
            rows: row_places(&package.net),
            scales: ranges.layers.iter().map(|l| l.scales.clone()).collect(),
            package,
            formats,
            ranges,
        })
    }

    /// The number of scales that are learned.
    pub(super) fn learned(&self) -> usize {
        self.scales.iter().map(Vec::len).sum()
    }

    pub(super) fn package(&self) -> &Package {
        &self.package
    }

    pub(super) fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// The model file of these parameters, and the network as the file has it. `growth` are the logarithms of the rows'
    /// scales, relative to where these started.
    pub(super) fn quantize(&mut self, params: &[f32], growth: &[f32]) -> Result<Quantized> {
        unflatten(params, &mut self.package.net);
        let scales = self.ranges.layers.iter_mut().flat_map(|l| &mut l.scales);
        let started = self.scales.iter().flatten().zip(growth);
        for (scale, (&started, &growth)) in scales.zip(started) {
            *scale = started * f64::from(growth).exp();
        }
        quantized(&self.package, &self.formats, &self.ranges)
    }

    /// From the gradient by the quantized weights, `rounded`, to those by the float ones of the last
    /// [`Quantizer::quantize`] and by the growth of their scales.
    pub(super) fn pass_through(&self, rounded: &[f32], grad: &mut [f32], growth: &mut [f32]) {
        let float: Vec<f32> = flatten(&self.package.net);
        let layers = self.rows.iter().zip(&self.ranges.layers).enumerate();
        let rows = layers.flat_map(|(k, (rows, range))| {
            let limit = f64::from(largest_weight(self.formats.of(k))) + 0.5;
            let reach = range.scales.iter().map(move |scale| (limit * scale) as f32);
            rows.iter().zip(reach)
        });
        for ((row, reach), growth) in rows.zip(growth) {
            *growth = 0.0;
            for weights in row {
                let grad = &mut grad[weights.clone()];
                let pairs = float[weights.clone()].iter().zip(&rounded[weights.clone()]);
                for (grad, (&float, &rounded)) in grad.iter_mut().zip(pairs) {
                    if float.abs() < reach {
                        *growth += *grad * (rounded - float);
                    } else {
                        *growth += *grad * rounded;
                        *grad = 0.0;
                    }
                }
            }
        }
    }
}

/// The engine's side of a shard: a state for every sequence, and what it computes.
pub(super) struct Streams {
    states: Vec<AlignedBytes>,
    trace: Trace<f32>,
}

impl Streams {
    /// Memory for passes up to `max`.
    pub(super) fn new(package: &Package, state_len: usize, max: Size) -> Self {
        Streams {
            states: vec![AlignedBytes::zeroed(state_len); max.lanes],
            trace: Trace::new(&package.net, max),
        }
    }

    /// All states start at zero.
    pub(super) fn reset(&mut self) {
        self.states.iter_mut().for_each(|state| state.fill(0));
    }

    /// The first states become those that the streams of an encoder have come to.
    ///
    /// # Errors
    /// If the models are no pair.
    pub(super) fn seed_from(
        &mut self,
        encoder: &mut Streams,
        [own, theirs]: [&Model<'_>; 2],
        lanes: usize,
    ) -> Result<()> {
        let states = self.states.iter_mut().zip(&mut encoder.states);
        for (state, encoder) in states.take(lanes) {
            let mut decoder = own.bind_bytes(state)?;
            decoder.seed_from(&theirs.bind_bytes(encoder)?)?;
        }
        Ok(())
    }

    /// The forward pass over [`Shard::input`].
    pub(super) fn forward(
        &mut self,
        package: &Package,
        model: &Model<'_>,
        params: &[f32],
        shard: &mut Shard<f32>,
        size: Size,
    ) {
        let tokens = matches!(package.input, Input::Tokens(_));
        let embedded = matches!(package.net.layers.first(), Some(Layer::Embedding(_)));
        let width = shard.input_width();
        let last = package.net.layers.len() - 1;
        let lsb = |frac: i32| 2f32.powi(-frac);
        let trace = &mut self.trace;
        let mut store = |row: usize, half: usize, seen: LayerStep<'_>| {
            let frac = if seen.layer == last {
                model.output_frac().into()
            } else {
                12
            };
            let layer = &package.net.layers[seen.layer];
            let (all, units) = match layer {
                Layer::Bidirectional(b) => (layer.outputs(), b.forward.hidden),
                layer => (layer.outputs(), layer.outputs()),
            };
            let place = row * all + half * units..row * all + (half + 1) * units;
            let outputs = &mut trace.outputs[seen.layer][place.clone()];
            scaled(outputs, seen.output.iter().map(|&y| y.into()), lsb(frac));
            let layer = &model.header().layers[seen.layer];
            let (engine::Layer::Recurrent { cell, .. } | engine::Layer::Bidirectional { cell, .. }) =
                *layer
            else {
                return;
            };
            let (shift, _) = layer.cell_shift();
            if cell.has_cell() {
                let lsb = lsb(match cell {
                    engine::Cell::LstmCoupled => 29,
                    _ => 27 - i32::from(shift),
                });
                let cells = &mut trace.cells[seen.layer][place];
                scaled(cells, seen.master.iter().copied(), lsb);
            }
        };
        for (lane, state) in self.states[..size.lanes].iter_mut().enumerate() {
            // The model says how large its state is, and it has been asked.
            let Ok(mut runner) = AnyRunner::bind(model, state) else {
                return;
            };
            let rows = (0..size.steps).map(|step| step * size.lanes + lane);
            let input = |row: usize| {
                let x = &shard.input[row * width..(row + 1) * width];
                match (tokens, embedded) {
                    (false, _) => StepInput::Sample(x),
                    (true, true) => StepInput::Token(x[0] as usize),
                    (true, false) => {
                        StepInput::Token(x.iter().position(|&x| x != 0.0).unwrap_or(usize::MAX))
                    }
                }
            };
            match &mut runner {
                AnyRunner::Steps(runner) => {
                    for row in rows {
                        runner.step_watched(input(row), |seen| store(row, 0, seen));
                    }
                }
                AnyRunner::Windows(runner) => {
                    let (mut window, mut named) = (Vec::new(), Vec::new());
                    for row in rows {
                        match input(row) {
                            StepInput::Sample(x) => window.extend_from_slice(x),
                            StepInput::Token(token) => named.push(token),
                        }
                    }
                    let window = if tokens {
                        WindowInput::Tokens(&named)
                    } else {
                        WindowInput::Samples(&window)
                    };
                    runner.run_watched(window, |seen| {
                        store(seen.sample * size.lanes + lane, seen.half, seen.step);
                    });
                }
            }
        }
        shard.follow(params, &self.trace, size);
    }
}

fn scaled(to: &mut [f32], from: impl Iterator<Item = i32>, lsb: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from as f32 * lsb;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Activation, Cell};
    use crate::package::{Output, Shape};
    use crate::train::init::{LayerPlan, Rng, network};
    use kinglet::format::Format;

    fn package(bidirectional: bool) -> Package {
        let plan = if bidirectional {
            LayerPlan::Bidirectional(Cell::Lstm, 8)
        } else {
            LayerPlan::Recurrent(Cell::GruResetAfter, 8)
        };
        let head = LayerPlan::Dense(2, Activation::Softmax);
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Package {
            name: "letters".to_owned(),
            net: network(3, &[plan, head], &mut Rng::new(7)),
            input: Input::Tokens(names(&["a", "b", "c"])),
            output: Output::Classes(names(&["odd", "even"])),
            shape: Shape::Window {
                window: 4,
                hop: 4,
                exact: true,
            },
            alarm: None,
            written: Default::default(),
        }
    }

    /// Once every weight is clipped, a row is its signs times its scale, so the slope by the scale is a difference that can be
    /// measured; and no weight has a gradient.
    #[test]
    fn scales_of_clipped_rows_have_the_slope_of_the_rounded_weights() {
        for bidirectional in [false, true] {
            let package = package(bidirectional);
            let ranges = Ranges::bound(&package.net);
            let formats = Formats::All(Format::W4A8);
            let mut quantizer = Quantizer::new(&package, formats, &ranges).unwrap();
            let params: Vec<f32> = flatten(&quantizer.package.net);
            let rows = quantizer.rows.concat();
            let weights: Vec<usize> = rows.iter().flatten().cloned().flatten().collect();
            let mut rng = Rng::new(8);
            let slopes: Vec<f32> = params.iter().map(|_| rng.normal()).collect();
            let mut rounded = |growth: f32| {
                let growth = vec![growth; quantizer.learned()];
                let mut grad = slopes.clone();
                let mut by_growth = growth.clone();
                let quantized = quantizer.quantize(&params, &growth).unwrap();
                let rounded: Vec<f32> = flatten(&quantized.net);
                quantizer.pass_through(&rounded, &mut grad, &mut by_growth);
                (rounded, grad, by_growth)
            };
            // A thousandth of the scales, and a little less.
            let (above, grad, by_growth) = rounded(-6.9);
            let (below, ..) = rounded(-6.9 - 1e-3);
            assert!(
                weights
                    .iter()
                    .all(|&w| grad[w] == 0.0 || params[w].abs() < 1e-3)
            );
            for (row, slope) in rows.iter().zip(by_growth) {
                let places = row.iter().cloned().flatten();
                let difference: f32 = places.map(|w| slopes[w] * (above[w] - below[w])).sum();
                let error = (difference / 1e-3 - slope).abs();
                assert!(error < 0.01 * slope.abs() + 1e-4, "{difference} {slope}");
            }
            // Where they started, hardly a weight is.
            let (_, grad, by_growth) = rounded(0.0);
            let kept = weights.iter().filter(|&&w| grad[w] == slopes[w]).count();
            assert!(10 * kept > 9 * weights.len(), "{kept} of {}", weights.len());
            assert!(by_growth.iter().any(|&g| g != 0.0));
        }
    }
}
