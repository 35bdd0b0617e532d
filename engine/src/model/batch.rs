//! Many streams of one model in one call, for gateways and back-tests: a layer goes over a group of streams before the
//! next layer does, so that its weights are loaded once for several streams.
//!
//! A stream's bytes are those of a [`State`](super::State), and its results those of single steps, bit for bit: streams
//! may be stepped together and alone in turn. Layers in which a stream cannot wait for the others, packed ones and the GRU that
//! resets before the product, are stepped stream by stream.

use super::pass::{Parts, conv, conv_q_apart, float_layer, layer, leave_mark, parts, plain};
use super::stages::Stage;
use super::{BindError, Model, Runner};
use crate::cell::{Embedding, GROUP, MOST, Stream};
use crate::format::Input;
use crate::kernel::{Inputs, Kernels, LayerState, Panel};
use heapless::Vec;

/// A model with the states of many streams. A state is anything that gives its bytes: a
/// [`State`](super::State), or a slice that is as long as [`Model::state_len`] says.
///
/// ```
/// use kinglet::{Model, State, include_model, state_len};
///
/// static MODEL: &[u8] = include_model!("../../tests/models/lstm_w8a8.kgl");
/// let model = Model::from_bytes(MODEL)?;
/// let mut states = [const { State::<{ state_len(MODEL) }>::new() }; 3];
/// let mut streams = model.bind_batch(&mut states)?;
///
/// let samples = [[0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.3, 0.4, 0.5, 0.6], [0.3, 0.4, 0.5, 0.6, 0.7]];
/// let mut predictions = [[0.0; 2]; 3];
/// streams.step_batch(samples.as_flattened(), predictions.as_flattened_mut());
///
/// streams.stream(1).reset(); // or saved, restored, stepped alone
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Batch<'m, 'a, S> {
    model: &'m Model<'a>,
    states: &'m mut [S],
    kernels: &'static Kernels,
}

impl<'a> Model<'a> {
    /// Joins the model with the states of many streams, each as [`Self::bind_bytes`] takes it.
    ///
    /// # Errors
    /// If a state is too small or misaligned.
    pub fn bind_batch<'m, S: AsMut<[u8]>>(
        &'m self,
        states: &'m mut [S],
    ) -> Result<Batch<'m, 'a, S>, BindError> {
        for state in states.iter_mut() {
            self.bind_bytes(state.as_mut())?;
        }
        Ok(Batch {
            model: self,
            states,
            kernels: Kernels::detect(),
        })
    }
}

impl<'a, S: AsMut<[u8]>> Batch<'_, 'a, S> {
    /// Uses another table than the best one.
    pub fn with_kernels(mut self, kernels: &'static Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// Number of streams.
    pub fn streams(&self) -> usize {
        self.states.len()
    }

    /// One stream: to reset, save or restore it, or to step it alone.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn stream(&mut self, stream: usize) -> Runner<'_, 'a> {
        runner(self.model, self.kernels, &mut self.states[stream])
    }

    /// [`Runner::step`] of every stream: the samples one after the other, and so the outputs.
    ///
    /// # Panics
    /// If the model takes tokens, or the lengths are not [`Model::inputs`] and [`Model::outputs`] per stream.
    pub fn step_batch(&mut self, samples: &[f32], outputs: &mut [f32]) {
        self.step_features(
            samples,
            outputs,
            |runner, x| runner.prepare(x),
            |runner, x, y| runner.finish(x, y),
        );
    }

    /// [`Runner::step_raw`] of every stream.
    ///
    /// # Panics
    /// As [`Self::step_batch`].
    pub fn step_batch_raw(&mut self, samples: &[f32], outputs: &mut [f32]) {
        self.step_features(
            samples,
            outputs,
            |runner, x| runner.load_normalised(x),
            |runner, _, y| runner.copy_output(y),
        );
    }

    /// [`Runner::step_q`] of every stream.
    ///
    /// # Panics
    /// If the model is not integer, and as [`Self::step_batch`].
    pub fn step_batch_q(&mut self, samples: &[i16], outputs: &mut [i16]) {
        assert!(self.model.is_integer(), "step_batch_q on a float model");
        self.step_features(
            samples,
            outputs,
            |runner, x| runner.load_network_input_q(x),
            |runner, _, y| y.copy_from_slice(runner.network_output_q()),
        );
    }

    /// [`Runner::step_token`] of every stream.
    ///
    /// # Panics
    /// If the model takes features, or the outputs are not [`Model::outputs`] per stream.
    pub fn step_batch_tokens(&mut self, tokens: &[usize], outputs: &mut [f32]) {
        assert!(
            matches!(self.model.header.input, Input::Tokens { .. }),
            "token for a model of features"
        );
        self.step_groups(
            1,
            tokens,
            outputs,
            |runner, token| {
                runner.load_token(token[0]);
                Some(token[0])
            },
            |runner, _, y| runner.copy_output(y),
        );
    }

    fn step_features<X, Y>(
        &mut self,
        samples: &[X],
        outputs: &mut [Y],
        load: impl Fn(&mut Runner<'_, '_>, &[X]),
        finish: impl Fn(&Runner<'_, '_>, &[X], &mut [Y]),
    ) {
        assert!(
            matches!(self.model.header.input, Input::Features { .. }),
            "sample for a model of tokens"
        );
        let load = |runner: &mut Runner<'_, '_>, sample: &[X]| {
            load(runner, sample);
            None
        };
        self.step_groups(self.model.inputs(), samples, outputs, load, finish);
    }

    /// A step of all streams, group by group. `load` may give a token.
    fn step_groups<X, Y>(
        &mut self,
        inputs: usize,
        samples: &[X],
        outputs: &mut [Y],
        load: impl Fn(&mut Runner<'_, '_>, &[X]) -> Option<usize>,
        finish: impl Fn(&Runner<'_, '_>, &[X], &mut [Y]),
    ) {
        let (model, streams) = (self.model, self.states.len());
        let results = model.outputs();
        assert!(samples.len() == streams * inputs, "length of the samples");
        assert!(outputs.len() == streams * results, "length of the outputs");
        let most = if model.is_integer() { MOST } else { GROUP };
        let states = self.states.chunks_mut(most);
        let samples = samples.chunks(most * inputs);
        let outputs = outputs.chunks_mut(most * results);
        for ((states, samples), outputs) in states.zip(samples).zip(outputs) {
            let mut group: Group<'_, 'a> = Vec::new();
            let mut tokens = [None; MOST];
            let streams = states.iter_mut().zip(samples.chunks_exact(inputs));
            for ((state, sample), token) in streams.zip(&mut tokens) {
                let mut runner = runner(model, self.kernels, state);
                *token = load(&mut runner, sample);
                // As many as in a group: there is room.
                let _ = group.push(runner);
            }
            if !model.in_batch() {
                group
                    .iter_mut()
                    .zip(tokens)
                    .for_each(|(r, token)| r.run_loaded(token));
            } else if model.is_integer() {
                run_q(model, self.kernels, &mut group, &tokens);
            } else {
                run(model, self.kernels, &mut group, &tokens);
            }
            let pairs = samples
                .chunks_exact(inputs)
                .zip(outputs.chunks_exact_mut(results));
            for (runner, (sample, output)) in group.iter().zip(pairs) {
                finish(runner, sample, output);
            }
        }
    }
}

type Group<'m, 'a> = Vec<Runner<'m, 'a>, MOST>;

#[inline(always)]
fn runner<'m, 'a, S: AsMut<[u8]>>(
    model: &'m Model<'a>,
    kernels: &'static Kernels,
    state: &'m mut S,
) -> Runner<'m, 'a> {
    Runner {
        model,
        state: bytemuck::cast_slice_mut(&mut state.as_mut()[..model.plan.bytes()]),
        kernels,
        back: false,
    }
}

impl Model<'_> {
    /// Whether all layers can go over several streams at once.
    fn in_batch(&self) -> bool {
        self.stages().all(|stage| match stage {
            // Streams need not have their answers at the same samples.
            Stage::Conv(layer, _) => !layer.is_pooled(),
            Stage::Recurrent(layer, _) => layer.in_batch(),
            _ => true,
        })
    }
}

/// The parts of a state, `a` the buffer that the layer reads.
#[inline(always)]
fn turned<'s>(state: &'s mut [i32], model: &Model<'_>, swapped: bool) -> Parts<'s> {
    let mut parts = parts(state, &model.plan);
    if swapped {
        core::mem::swap(&mut parts.a, &mut parts.b);
    }
    parts
}

/// All layers in f32, each for the whole group.
fn run(model: &Model<'_>, k: &Kernels, group: &mut Group<'_, '_>, tokens: &[Option<usize>]) {
    let mut swapped = false;
    for stage in model.stages() {
        let (recurrent, place) = match stage {
            Stage::Embedding(layer) => {
                for (runner, token) in group.iter_mut().zip(tokens) {
                    let Parts { a, .. } = turned(runner.state, model, swapped);
                    layer.look_up(*token, bytemuck::cast_slice_mut(a));
                }
                continue;
            }
            Stage::Dense(layer, rows) => {
                for runner in group.iter_mut() {
                    let Parts { a, b, .. } = turned(runner.state, model, swapped);
                    let y: &mut [f32] = bytemuck::cast_slice_mut(b);
                    let y: &mut [Panel<f32>] = y.as_chunks_mut().0;
                    layer.apply(k, bytemuck::cast_slice(a), &mut y[..*rows]);
                }
                swapped = !swapped;
                continue;
            }
            Stage::Conv(layer, place) => {
                for runner in group.iter_mut() {
                    conv(k, (layer, place), turned(runner.state, model, swapped));
                }
                swapped = !swapped;
                continue;
            }
            Stage::Norm(_) | Stage::Keep(_) | Stage::Join(_) => {
                let mut turns = false;
                for runner in group.iter_mut() {
                    turns = plain::<false>(stage, turned(runner.state, model, swapped));
                }
                swapped ^= turns;
                continue;
            }
            Stage::Recurrent(recurrent, place) if recurrent.is_quicker_alone() => {
                for (number, runner) in group.iter_mut().enumerate() {
                    // Each begins with the weights that the one before has left in the first cache.
                    let parts = turned(runner.state, model, swapped);
                    float_layer(k, (recurrent, place), parts, number % 2 == 1);
                }
                swapped = !swapped;
                continue;
            }
            Stage::Recurrent(recurrent, place) => (recurrent, place),
        };
        // An LSTM has a cell before its state.
        let cell = if recurrent.has_cell() {
            place.master()
        } else {
            0
        };
        let streams = group.iter_mut().map(|runner| {
            let Parts {
                persistent, a, b, ..
            } = turned(runner.state, model, swapped);
            let (c, h) = persistent[place.at..].split_at_mut(cell);
            let (c, y): (&mut [f32], &mut [f32]) =
                (bytemuck::cast_slice_mut(c), bytemuck::cast_slice_mut(b));
            let (x, h): (&[f32], &[f32]) = (
                bytemuck::cast_slice(a),
                bytemuck::cast_slice(&h[..place.master()]),
            );
            Stream {
                x: &x[..place.columns],
                h: h.as_chunks().0,
                c: c.as_chunks_mut().0,
                y: &mut y.as_chunks_mut().0[..place.units],
            }
        });
        let mut streams: Vec<Stream<'_>, GROUP> = streams.collect();
        recurrent.step_batch(k, &mut streams);
        drop(streams);
        for runner in group.iter_mut() {
            let Parts { persistent, b, .. } = turned(runner.state, model, swapped);
            let h = &mut persistent[place.at + cell..][..place.master()];
            h.copy_from_slice(&b[..place.master()]);
        }
        swapped = !swapped;
    }
    leave_marks(model, group, swapped);
}

/// All layers in integers, each for the whole group.
fn run_q(model: &Model<'_>, k: &Kernels, group: &mut Group<'_, '_>, tokens: &[Option<usize>]) {
    let mut swapped = false;
    let mut embedding = None;
    for stage in model.stages() {
        let (recurrent, place) = match stage {
            Stage::Embedding(layer) => {
                let mut widens = false;
                for (runner, token) in group.iter_mut().zip(tokens) {
                    let Parts { a, .. } = turned(runner.state, model, swapped);
                    widens = layer.widen(*token, bytemuck::cast_slice_mut(a));
                }
                embedding = (!widens).then_some(*layer);
                continue;
            }
            Stage::Dense(layer, rows) => {
                for runner in group.iter_mut() {
                    let Parts { a, b, .. } = turned(runner.state, model, swapped);
                    let y: &mut [i16] = bytemuck::cast_slice_mut(b);
                    let y: &mut [Panel<i16>] = y.as_chunks_mut().0;
                    layer.apply_q(k, bytemuck::cast_slice(a), &mut y[..*rows]);
                }
                swapped = !swapped;
                continue;
            }
            Stage::Conv(layer, place) => {
                for runner in group.iter_mut() {
                    conv_q_apart(k, (layer, place), turned(runner.state, model, swapped));
                }
                swapped = !swapped;
                continue;
            }
            Stage::Norm(_) | Stage::Keep(_) | Stage::Join(_) => {
                let mut turns = false;
                for runner in group.iter_mut() {
                    turns = plain::<true>(stage, turned(runner.state, model, swapped));
                }
                swapped ^= turns;
                continue;
            }
            Stage::Recurrent(recurrent, place) => (recurrent, place),
        };
        let embedding = embedding.take();
        let mut inputs: Vec<Inputs<'_>, MOST> = Vec::new();
        let mut states: Vec<LayerState<'_>, MOST> = Vec::new();
        for (runner, token) in group.iter_mut().zip(tokens) {
            let row = embedding.map(|embedding: Embedding<'_>| embedding.row(*token));
            let parts = turned(runner.state, model, swapped);
            let (x, state, _) = layer(parts, place, row);
            // As many of either as runners: there is room. Collected, they would be moved once more.
            let _ = (inputs.push(x), states.push(state));
        }
        recurrent.step_batch_q(k, &inputs, &mut states);
        swapped = !swapped;
    }
    leave_marks(model, group, swapped);
}

fn leave_marks(model: &Model<'_>, group: &mut Group<'_, '_>, swapped: bool) {
    for runner in group.iter_mut() {
        leave_mark(model, turned(runner.state, model, swapped).b);
    }
}
