//! Bidirectional models: one cell goes over a window from its first sample on, another from its last. Such a model
//! cannot be stepped; it takes whole windows, and has an output for each.
//!
//! A layer is run over all samples before the next one, twice, each direction with its state at zero. The rows between
//! layers are part of the [`State`], one row per sample: what a layer reads, and what it writes. Behind the last
//! layer there is one row: the first direction's state after the last sample, then the second one's after the first sample,
//! as PyTorch's `h_n` has them. Dense layers follow on that.

use super::pass::{Parts, float_layer, layer, layer_parts, parts};
use super::runner::LayerStep;
use super::stages::{Place, Stage};
use super::{BindError, Model, Runner, State, StateError, TestFailure, Tests, first_difference};
use crate::cell::Recurrent;
use crate::digest::Digest;
use crate::format::{Input, Layer, crc32_update};
use crate::kernel::{Inputs, Kernels, Panel};
use crate::window::Stepped;

/// A bidirectional model with the memory of a stream.
///
/// ```
/// use kinglet::{Model, State, include_model, state_len};
///
/// static MODEL: &[u8] = include_model!("../../tests/models/bidirectional_w8a8.kgl");
/// let model = Model::from_bytes(MODEL)?;
/// let mut state = State::<{ state_len(MODEL) }>::new();
/// let mut net = model.bind_window(&mut state)?;
///
/// let window = [[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5], [0.4, 0.5, 0.6], [0.5, 0.6, 0.7]];
/// let mut prediction = [0.0; 2];
/// net.run(window.as_flattened(), &mut prediction);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WindowRunner<'m, 'a> {
    runner: Runner<'m, 'a>,
    /// Samples of the window so far.
    taken: usize,
}

/// A window of what a model takes.
#[derive(Debug, Clone, Copy)]
pub enum WindowInput<'x> {
    /// Samples one after the other, normalised.
    Samples(&'x [f32]),
    /// Tokens.
    Tokens(&'x [usize]),
}

impl<'a> Model<'a> {
    /// The model takes whole windows, by [`Self::bind_window`].
    pub fn is_bidirectional(&self) -> bool {
        self.plan.window > 0
    }

    /// Joins a bidirectional model with the memory of a stream.
    ///
    /// # Errors
    /// If the state is too small, or the model is not bidirectional.
    pub fn bind_window<'m, const N: usize>(
        &'m self,
        state: &'m mut State<N>,
    ) -> Result<WindowRunner<'m, 'a>, BindError> {
        self.bind_window_bytes(&mut state.bytes)
    }

    /// As [`Self::bind_window`], for a state whose size is only known at run time, and which must start at a
    /// multiple of 16 and be zero at first.
    ///
    /// # Errors
    /// If the state is too small or misaligned, or the model is not bidirectional.
    pub fn bind_window_bytes<'m>(
        &'m self,
        state: &'m mut [u8],
    ) -> Result<WindowRunner<'m, 'a>, BindError> {
        if !self.is_bidirectional() {
            return Err(BindError::NotBidirectional);
        }
        Ok(WindowRunner {
            runner: self.runner(state)?,
            taken: 0,
        })
    }
}

impl<'m, 'a> WindowRunner<'m, 'a> {
    /// Uses another table than the best one.
    pub fn with_kernels(mut self, kernels: &'static Kernels) -> Self {
        self.runner = self.runner.with_kernels(kernels);
        self
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'a> {
        self.runner.model
    }

    /// Samples of a window.
    pub fn window(&self) -> usize {
        self.runner.model.plan.window
    }

    /// A window of raw samples, one after the other: normalise, run, and give the prediction in its unit. Nothing is known
    /// of what was before the window.
    ///
    /// # Panics
    /// If the model takes tokens, or the lengths are not a window of [`Model::inputs`] and [`Model::outputs`].
    pub fn run(&mut self, samples: &[f32], output: &mut [f32]) {
        let last = self.each(samples, |runner, sample| runner.prepare(sample));
        self.layers(None);
        self.runner.finish(last, output);
    }

    /// A window without normalisation: plain tensors in and out.
    ///
    /// # Panics
    /// As [`Self::run`].
    pub fn run_raw(&mut self, samples: &[f32], output: &mut [f32]) {
        self.each(samples, |runner, sample| runner.load_normalised(sample));
        self.layers(None);
        self.runner.copy_output(output);
    }

    /// A window of integers with [`Model::input_frac`] and [`Model::output_frac`] fraction bits, without any float
    /// instruction.
    ///
    /// # Panics
    /// If the model is not integer, and as [`Self::run`].
    pub fn run_q(&mut self, samples: &[i16], output: &mut [i16]) {
        assert!(self.model().is_integer(), "run_q on a float model");
        self.each(samples, |runner, sample| {
            runner.load_network_input_q(sample)
        });
        self.layers(None);
        output.copy_from_slice(self.runner.network_output_q());
    }

    /// A window of tokens. A number that is no token enters as a vector of zeros.
    ///
    /// # Panics
    /// If the model takes features, or there are not as many tokens as in a window, or the output's length does not fit.
    pub fn run_tokens(&mut self, tokens: &[usize], output: &mut [f32]) {
        self.token_window(tokens);
        self.runner.copy_output(output);
    }

    /// As [`Self::run_tokens`], with the outputs as integers.
    ///
    /// # Panics
    /// If the model is not integer, and as there.
    pub fn run_tokens_q(&mut self, tokens: &[usize], output: &mut [i16]) {
        assert!(self.model().is_integer(), "run_tokens_q on a float model");
        self.token_window(tokens);
        output.copy_from_slice(self.runner.network_output_q());
    }

    fn token_window<T: Copy + Into<usize>>(&mut self, tokens: &[T]) {
        self.load_tokens(tokens);
        self.layers(Some(&|t| tokens[t].into()));
    }

    fn load_tokens<T: Copy + Into<usize>>(&mut self, tokens: &[T]) {
        let model = self.model();
        assert!(
            matches!(model.header.input, Input::Tokens { .. }),
            "token for a model of features"
        );
        assert!(tokens.len() == self.window(), "length of the window");
        for (t, &token) in tokens.iter().enumerate() {
            self.runner.load_token(token.into());
            self.keep(t);
        }
    }

    /// A window of an integer model, normalised samples or tokens, that shows what every layer but an embedding gave: training
    /// learns from it what the quantized network computes.
    ///
    /// # Panics
    /// If the model is not integer, or the inputs are not a window of what it takes.
    pub fn run_watched(&mut self, inputs: WindowInput<'_>, mut watch: impl FnMut(WindowStep<'_>)) {
        assert!(self.model().is_integer(), "run_watched on a float model");
        let watch = |at: At, y: &[i32], (persistent, place): (&mut [i32], Option<&Place>)| {
            let master = place.map(|place| layer_parts(persistent, place).0.as_flattened());
            watch(WindowStep {
                half: at.half,
                sample: at.sample,
                step: LayerStep {
                    layer: at.layer,
                    output: bytemuck::cast_slice(y),
                    master: master.unwrap_or(&[]),
                },
            });
        };
        match inputs {
            WindowInput::Samples(samples) => {
                self.each(samples, |runner, sample| runner.load_normalised(sample));
                self.layers_watched(None, watch);
            }
            WindowInput::Tokens(tokens) => {
                self.load_tokens(tokens);
                self.layers_watched(Some(&|t| tokens[t]), watch);
            }
        }
    }

    /// Bytes of a saved state: that of the model, how many samples the window has, a checksum of what follows and of that, and the
    /// samples of the window so far.
    pub fn saved_len(&self) -> usize {
        let plan = &self.runner.model.plan;
        self.runner.model.saved_len() + 8 + 4 * plan.rows * plan.row
    }

    /// Writes the state and the samples of the window so far into the first [`Self::saved_len`] bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn save(&mut self, bytes: &mut [u8]) -> Result<usize, StateError> {
        let (need, have) = (self.saved_len(), bytes.len());
        let whole = bytes.get_mut(..need);
        let whole = whole.ok_or(StateError::Length { need, have })?;
        let (state, rest) = whole.split_at_mut(self.runner.model.saved_len());
        self.runner.save(state)?;
        let (taken, samples) = rest.split_at_mut(8);
        taken[..4].copy_from_slice(&(self.taken as u32).to_le_bytes());
        let (_, rows) = split(self.runner.state, self.runner.model);
        samples.copy_from_slice(bytemuck::cast_slice(rows));
        let crc = window_crc(&taken[..4], samples);
        taken[4..].copy_from_slice(&crc.to_le_bytes());
        Ok(need)
    }

    /// Takes over what [`Self::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that, or of another model; the state is then unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (need, have) = (self.saved_len(), bytes.len());
        if need != have {
            return Err(StateError::Length { need, have });
        }
        let (state, rest) = bytes.split_at(self.runner.model.saved_len());
        let (head, samples) = rest.split_at(8);
        let word = |at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (stored, computed) = (word(4), window_crc(&head[..4], samples));
        if stored != computed {
            return Err(StateError::Checksum { stored, computed });
        }
        let taken = word(0) as usize;
        if taken >= self.window() {
            return Err(StateError::NotAState);
        }
        self.runner.restore(state)?;
        self.taken = taken;
        let (_, rows) = split(self.runner.state, self.runner.model);
        bytemuck::cast_slice_mut(rows).copy_from_slice(samples);
        Ok(())
    }

    /// Starts anew, also with what stands in for missing values.
    pub fn reset(&mut self) {
        self.taken = 0;
        self.runner.reset();
    }

    /// As [`Runner::normalise`].
    ///
    /// # Panics
    /// As there.
    pub fn normalise(&mut self, sample: &[f32], store: impl FnMut(f32)) {
        self.runner.normalise(sample, store);
    }

    /// Runs the windows with known results that every exported file carries.
    ///
    /// # Errors
    /// The first window whose output differs, or a final digest that does.
    pub fn self_test(&mut self) -> Result<Digest, TestFailure> {
        let model = self.model();
        let mut digest = Digest::new();
        let mut failure = None;
        let (inputs, outputs, window) = (model.inputs(), model.outputs(), self.window());
        for number in 0..model.header.test.steps as usize / window {
            let steps = number * window..(number + 1) * window;
            let samples = steps.start * inputs..steps.end * inputs;
            let result = number * outputs..(number + 1) * outputs;
            let differs = match model.tests {
                Tests::Float {
                    inputs,
                    outputs: want,
                } => {
                    self.each(&inputs[samples], |runner, x| runner.load_network_input(x));
                    self.layers(None);
                    self.runner.first_difference(want, result)
                }
                Tests::Integer {
                    inputs,
                    outputs: want,
                } => {
                    self.each(&inputs[samples], |runner, x| runner.load_network_input_q(x));
                    self.layers(None);
                    first_difference(self.runner.network_output_q(), &want[result], i16::eq)
                }
                Tests::FloatTokens {
                    inputs,
                    outputs: want,
                } => {
                    self.token_window(&inputs[steps]);
                    self.runner.first_difference(want, result)
                }
                Tests::IntegerTokens {
                    inputs,
                    outputs: want,
                } => {
                    self.token_window(&inputs[steps]);
                    first_difference(self.runner.network_output_q(), &want[result], i16::eq)
                }
            };
            self.add_output(&mut digest);
            let output = |(index, found, want)| TestFailure::Output {
                step: (number + 1) * window - 1,
                index,
                found,
                want,
            };
            failure = failure.or(differs.map(output));
        }
        self.runner.reset();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let (found, want) = (digest.value(), model.header.test.digest);
        if model.header.test.steps > 0 && found != want && !self.runner.rounds() {
            return Err(TestFailure::State { found, want });
        }
        Ok(digest)
    }

    /// The network's output as it enters a digest.
    pub fn add_output(&self, digest: &mut Digest) {
        if self.model().is_integer() {
            digest.add_i16(self.runner.network_output_q());
        } else {
            digest.add_f32(self.runner.network_output());
        }
    }

    /// Loads the samples of a window after a reset; gives the last one.
    fn each<'x, X>(
        &mut self,
        samples: &'x [X],
        mut load: impl FnMut(&mut Runner<'_, '_>, &[X]),
    ) -> &'x [X] {
        let model = self.model();
        assert!(
            matches!(model.header.input, Input::Features { .. }),
            "sample for a model of tokens"
        );
        let inputs = model.inputs();
        assert!(
            samples.len() == self.window() * inputs,
            "length of the window"
        );
        self.runner.reset();
        for (t, sample) in samples.chunks_exact(inputs).enumerate() {
            load(&mut self.runner, sample);
            self.keep(t);
        }
        &samples[samples.len() - inputs..]
    }

    /// Takes what was loaded for the window's next sample; true if that was the last one, and the window was run.
    fn take(&mut self) -> bool {
        self.keep(self.taken);
        self.taken += 1;
        let complete = self.taken == self.window();
        if complete {
            self.taken = 0;
            self.layers(None);
        }
        complete
    }

    /// Puts what was loaded into the window's row `t`.
    fn keep(&mut self, t: usize) {
        let plan = &self.runner.model.plan;
        let (state, rows) = split(self.runner.state, self.runner.model);
        let len = plan.row.min(plan.buffer);
        let row = &mut rows[t * plan.row..][..len];
        row.copy_from_slice(&state[plan.persistent..][..len]);
    }

    /// All layers, over the rows or over tokens. Once in an image, whatever tokens are.
    #[inline(never)]
    fn layers(&mut self, tokens: Option<&dyn Fn(usize) -> usize>) {
        self.layers_watched(tokens, |_, _, _| ());
    }

    /// `watch` gets where a step was, its outputs in the second buffer, and what is persistent with the layer's place in it.
    fn layers_watched(
        &mut self,
        tokens: Option<&dyn Fn(usize) -> usize>,
        mut watch: impl FnMut(At, &[i32], (&mut [i32], Option<&Place>)),
    ) {
        let (model, k) = (self.runner.model, self.runner.kernels);
        let plan = &model.plan;
        let (state, rows) = split(self.runner.state, model);
        let (mut from, mut to) = rows.split_at_mut(plan.window * plan.row);
        let layers = model.header.layers.iter();
        let bidirectional = layers.filter(|layer| matches!(layer, Layer::Bidirectional { .. }));
        let mut left = bidirectional.count();
        let (mut embedding, mut number, mut half) = (None, 0, 0);
        let mut stages = model.stages();
        let mut next = stages.next();
        while let Some(stage) = next {
            let (recurrent, place) = match stage {
                Stage::Embedding(layer) => {
                    embedding = Some(layer);
                    number += 1;
                    next = stages.next();
                    continue;
                }
                Stage::Recurrent(recurrent, place) => (recurrent, place),
                _ => break,
            };
            if half == 0 {
                left -= 1;
            }
            state[plan.previous..plan.persistent].fill(0);
            for step in 0..plan.window {
                let t = if half == 0 {
                    step
                } else {
                    plan.window - 1 - step
                };
                let parts = parts(state, plan);
                let mut embedded = None;
                match (embedding, tokens) {
                    (Some(embedding), Some(tokens)) if model.is_integer() => {
                        embedded = Some(embedding.row(Some(tokens(t))));
                    }
                    (Some(embedding), Some(tokens)) => {
                        let x: &mut [f32] = bytemuck::cast_slice_mut(parts.a);
                        embedding.look_up(Some(tokens(t)), x);
                    }
                    _ => {
                        let len = plan.row.min(parts.a.len());
                        parts.a[..len].copy_from_slice(&from[t * plan.row..][..len]);
                    }
                }
                // A last layer's rows are one, which its last step leaves.
                let row = if left == 0 { 0 } else { t };
                let row = &mut to[row * plan.row..][..plan.row];
                step_half(k, (recurrent, place), parts, embedded, (row, half));
                let parts = self::parts(state, plan);
                let at = At {
                    layer: number,
                    half,
                    sample: t,
                };
                watch(at, parts.b, (parts.persistent, Some(place)));
            }
            if half == 1 {
                embedding = None;
                number += 1;
                core::mem::swap(&mut from, &mut to);
            }
            half = 1 - half;
            next = stages.next();
        }
        let Parts {
            persistent,
            mut a,
            mut b,
            ..
        } = parts(state, plan);
        let len = plan.row.min(a.len());
        a[..len].copy_from_slice(&from[..len]);
        while let Some(stage) = next {
            if let Stage::Dense(dense, rows) = stage {
                if model.is_integer() {
                    let y: &mut [i16] = bytemuck::cast_slice_mut(b);
                    let y: &mut [Panel<i16>] = y.as_chunks_mut().0;
                    dense.apply_q(k, bytemuck::cast_slice(a), &mut y[..*rows]);
                } else {
                    let y: &mut [f32] = bytemuck::cast_slice_mut(b);
                    let y: &mut [Panel<f32>] = y.as_chunks_mut().0;
                    dense.apply(k, bytemuck::cast_slice(a), &mut y[..*rows]);
                }
                let at = At {
                    layer: number,
                    half: 0,
                    sample: plan.window - 1,
                };
                watch(at, b, (&mut *persistent, None));
                number += 1;
                core::mem::swap(&mut a, &mut b);
            }
            next = stages.next();
        }
    }
}

/// Where a step was.
struct At {
    layer: usize,
    half: usize,
    sample: usize,
}

/// What a layer of an integer model gave at a sample of a window.
#[derive(Debug, Clone, Copy)]
pub struct WindowStep<'s> {
    /// Which direction: 0 from the first sample on, 1 from the last.
    pub half: usize,
    /// Which sample; the last one in dense layers.
    pub sample: usize,
    /// Layer, outputs and padding, and master state, of this direction.
    pub step: LayerStep<'s>,
}

/// A window's samples one by one, as they arrive; with the last one it is run.
impl Stepped for WindowRunner<'_, '_> {
    fn reset(&mut self) {
        self.reset();
    }

    fn restart(&mut self) {
        self.taken = 0;
        self.runner.restart();
    }

    fn resume(&mut self, taken: usize) {
        // Windows of another model may be longer.
        self.taken = taken % self.window();
    }

    fn hold(&mut self, sample: &[f32]) {
        self.runner.hold(sample);
    }

    fn held<'s>(&'s self, sample: &'s [f32]) -> &'s [f32] {
        self.runner.held(sample)
    }

    fn step(&mut self, sample: &[f32], output: &mut [f32]) {
        self.runner.prepare(sample);
        if self.take() {
            self.runner.finish(sample, output);
        }
    }

    fn step_held(&mut self, sample: &[f32], output: &mut [f32]) {
        self.runner.prepare_held(sample);
        if self.take() {
            self.runner.copy_output(output);
            self.runner.restore_units(sample, output);
        }
    }

    fn answered(&self) -> bool {
        true
    }
}

/// One step of one direction, on what is in the first buffer or embedded. Its state goes to its half of the row.
fn step_half(
    k: &Kernels,
    (recurrent, place): (&Recurrent<'_>, &Place),
    parts: Parts<'_>,
    embedded: Option<Inputs<'_>>,
    (row, half): (&mut [i32], usize),
) {
    let hidden = recurrent.hidden();
    let Parts {
        persistent,
        a,
        b,
        work,
    } = parts;
    let parts = Parts {
        persistent,
        a,
        b: &mut *b,
        work,
    };
    if place.format.is_integer() {
        let (x, state, work) = layer(parts, place, embedded);
        recurrent.step_q_apart(k, x, state, work);
        let (row, y): (&mut [i16], &[i16]) =
            (bytemuck::cast_slice_mut(row), bytemuck::cast_slice(b));
        row[half * hidden..][..hidden].copy_from_slice(&y[..hidden]);
    } else {
        float_layer(k, (recurrent, place), parts, false);
        row[half * hidden..][..hidden].copy_from_slice(&b[..hidden]);
    }
}

/// The state of a step, and the rows behind it.
fn split<'s>(state: &'s mut [i32], model: &Model<'_>) -> (&'s mut [i32], &'s mut [i32]) {
    let plan = &model.plan;
    state.split_at_mut(plan.words() - plan.rows * plan.row)
}

/// The checksum of a saved window: how many samples it has, and these.
fn window_crc(taken: &[u8], samples: &[u8]) -> u32 {
    !crc32_update(crc32_update(!0, taken), samples)
}
