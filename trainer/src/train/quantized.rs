//! Quantization-aware training: the forward pass is the engine.
//!
//! For every batch the parameters are quantized as the exporter does it, and the engine loads the result and steps
//! through the sequences: same tables, same rounding, same saturation, so every output the loss sees has the bytes
//! that the exported model gives. [`Shard::follow`] takes over outputs and states, finds the gates that belong to them
//! in float, and the backward pass runs from there as if rounding were the identity (straight-through,
//! Bengio et al. 2013). Its gradient, at the quantized weights, moves the float ones.

use super::params::unflatten;
use super::pass::{Shard, Size, Trace};
use crate::engine::AnyRunner;
use crate::file::{AlignedBytes, Quantized, quantized};
use crate::net::Layer;
use crate::package::{Input, Package};
use crate::quant::{Formats, Ranges, rescale};
use anyhow::Result;
use kinglet::format as engine;
use kinglet::{LayerStep, Model, StepInput, WindowInput};

/// What a batch is quantized to.
pub(super) struct Quantizer {
    /// Its parameters are replaced by those of the batch.
    package: Package,
    formats: Formats,
    ranges: Ranges,
}

impl Quantizer {
    /// Of a trained network with measured ranges, which stay what they are from here on, as do the scales of its rows.
    /// It starts with the integers that [`export`](crate::file::export) makes of these ranges.
    ///
    /// # Errors
    /// If weights cannot be represented.
    pub(super) fn new(package: &Package, formats: Formats, ranges: &Ranges) -> Result<Self> {
        let (mut package, mut ranges) = (package.clone(), ranges.clone());
        if !ranges.settled {
            rescale(&mut package.net, &mut ranges, &formats);
            let start = quantized(&package, &formats, &ranges)?;
            package.net = start.within_reach(&package.net);
            ranges.settle(start.scales);
        }
        Ok(Quantizer {
            package,
            formats,
            ranges,
        })
    }

    pub(super) fn package(&self) -> &Package {
        &self.package
    }

    pub(super) fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// The model file of these parameters, and the network as the file has it.
    pub(super) fn quantize(&mut self, params: &[f32]) -> Result<Quantized> {
        unflatten(params, &mut self.package.net);
        quantized(&self.package, &self.formats, &self.ranges)
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
            let (cell, shift) = match model.header().layers[seen.layer] {
                engine::Layer::Recurrent {
                    cell, cell_shift, ..
                }
                | engine::Layer::Bidirectional {
                    cell, cell_shift, ..
                } => (cell, cell_shift),
                _ => return,
            };
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
