//! A model joined with a state: steps, resets, saving, and feeding outputs back.

use super::normalise::{fill_and_normalise, hold, normalise, restore_units};
use super::pass::{Pass, layer_parts};
use super::stages::{Place, Stage};
use super::{Model, SAVED_HEADER, first_difference};
use crate::format::{Input, Layer, MAX_LAYERS, crc32_update};
use crate::kernel::{Kernels, LANES};
use crate::model::StateError;
use crate::num::{power_of_two, quantize};
use core::ops::Range;

/// Largest difference of a fused table's outputs from those in a file, as part of the largest one.
const FUSED_ERROR: f32 = 1e-3;

const SAVED_MAGIC: [u8; 4] = *b"KGS2";

/// A model with the state of one stream.
#[derive(Debug)]
pub struct Runner<'m, 'a> {
    pub(super) model: &'m Model<'a>,
    pub(super) state: &'m mut [i32],
    pub(super) kernels: &'static Kernels,
    /// The next step in floats goes through its units from the last to the first, see [`FloatState::new`](crate::kernel::FloatState::new).
    pub(super) back: bool,
}

/// What a step takes.
#[derive(Debug, Clone, Copy)]
pub enum StepInput<'x> {
    /// A sample, normalised.
    Sample(&'x [f32]),
    /// A token.
    Token(usize),
}

/// What a layer of an integer model gave in a step.
#[derive(Debug, Clone, Copy)]
pub struct LayerStep<'s> {
    /// Its place in the model.
    pub layer: usize,
    /// Its outputs and padding; with [`Model::output_frac`] fraction bits in the last layer, else 12.
    pub output: &'s [i16],
    /// A recurrent layer's [master state](crate::num) and padding.
    pub master: &'s [i32],
}

impl<'m, 'a> Runner<'m, 'a> {
    /// Uses another table than the best one.
    pub fn with_kernels(mut self, kernels: &'static Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'a> {
        self.model
    }

    /// One step on a raw sample: normalise, step, and give the prediction in its unit.
    ///
    /// A missing value is NaN. Where the file says so ([`Model::holds`]) the stream's last value stands in for it, and
    /// its mask, if the model takes one, is set; what the caller passes for a mask only counts where nothing is missing.
    /// Before the first value, and where the file does not say so, it enters as 0, the middle of its column, as does
    /// any value that is not finite after normalisation; a prediction relative to it is then NaN.
    ///
    /// # Panics
    /// If the model takes tokens, or the lengths are not [`Model::inputs`] and [`Model::outputs`].
    pub fn step(&mut self, sample: &[f32], output: &mut [f32]) {
        self.prepare(sample);
        self.run_loaded(None);
        self.finish(sample, output);
    }

    /// A step on a sample whose gaps were filled before, see [`Self::hold`].
    pub(crate) fn step_held(&mut self, sample: &[f32], output: &mut [f32]) {
        self.prepare_held(sample);
        self.run_loaded(None);
        self.copy_output(output);
        self.restore_units(sample, output);
    }

    /// Remembers a sample for its gaps and the next ones', without a step.
    ///
    /// # Panics
    /// If the model takes tokens, or the length is not [`Model::inputs`].
    pub(crate) fn hold(&mut self, sample: &[f32]) {
        hold(self.model, &mut self.state[..self.model.plan.held], sample);
    }

    /// The sample that was remembered last, without gaps; `sample` itself where the model fills none.
    #[inline(always)]
    pub(crate) fn held<'s>(&'s self, sample: &'s [f32]) -> &'s [f32] {
        match &self.state[..self.model.plan.held] {
            [] => sample,
            [_, held @ ..] => bytemuck::cast_slice(held),
        }
    }

    /// One step without normalisation: plain tensors in and out.
    ///
    /// # Panics
    /// As [`Self::step`].
    pub fn step_raw(&mut self, sample: &[f32], output: &mut [f32]) {
        assert!(
            matches!(self.model.header.input, Input::Features { .. }),
            "sample for a model of tokens"
        );
        assert!(sample.len() == self.model.inputs(), "length of the sample");
        if self.model.is_integer() {
            self.load_normalised(sample);
            self.run_q(None);
            return self.copy_output_q(output);
        }
        let scratch = &mut self.state[self.model.plan.persistent..];
        InputBuffer::Float(bytemuck::cast_slice_mut(scratch)).fill(sample);
        self.run(None);
        assert!(output.len() == self.model.outputs(), "length of the output");
        output.copy_from_slice(self.network_output());
    }

    /// One step on integers with [`Model::input_frac`] and [`Model::output_frac`] fraction bits, without
    /// any float instruction.
    ///
    /// # Panics
    /// If the model is not integer or takes tokens, or the lengths do not fit.
    pub fn step_q(&mut self, sample: &[i16], output: &mut [i16]) {
        assert!(self.model.is_integer(), "step_q on a float model");
        assert!(
            matches!(self.model.header.input, Input::Features { .. }),
            "sample for a model of tokens"
        );
        assert!(sample.len() == self.model.inputs(), "length of the sample");
        self.load_network_input_q(sample);
        self.run_q(None);
        output.copy_from_slice(self.network_output_q());
    }

    /// One step on a token. A number that is no token enters as a vector of zeros.
    ///
    /// # Panics
    /// If the model takes features, or the output's length does not fit.
    pub fn step_token(&mut self, token: usize, output: &mut [f32]) {
        assert!(
            matches!(self.model.header.input, Input::Tokens { .. }),
            "token for a model of features"
        );
        self.run_token(token);
        self.copy_output(output);
    }

    /// As [`Self::step_token`], with the outputs as integers.
    ///
    /// # Panics
    /// If the model is not integer or takes features, or the output's length does not fit.
    pub fn step_token_q(&mut self, token: usize, output: &mut [i16]) {
        assert!(self.model.is_integer(), "step_token_q on a float model");
        assert!(
            matches!(self.model.header.input, Input::Tokens { .. }),
            "token for a model of features"
        );
        self.run_token(token);
        output.copy_from_slice(self.network_output_q());
    }

    /// One step of an integer model that shows what every layer but an embedding gave: training learns from it
    /// what the quantized network computes. The network's output is the last layer's.
    ///
    /// # Panics
    /// If the model is not integer, or the input is not what it takes.
    pub fn step_watched(&mut self, input: StepInput<'_>, mut watch: impl FnMut(LayerStep<'_>)) {
        assert!(self.model.is_integer(), "step_watched on a float model");
        let watch =
            |layer: usize, output: &[i16], persistent: &mut [i32], place: Option<&Place>| {
                let master = place.map(|place| layer_parts(persistent, place).0.as_flattened());
                watch(LayerStep {
                    layer,
                    output,
                    master: master.unwrap_or(&[]),
                });
            };
        let tokens = matches!(self.model.header.input, Input::Tokens { .. });
        match input {
            StepInput::Sample(sample) => {
                assert!(!tokens, "sample for a model of tokens");
                assert!(sample.len() == self.model.inputs(), "length of the sample");
                self.load_normalised(sample);
                self.run_q_watched(None, watch);
            }
            StepInput::Token(token) => {
                assert!(tokens, "token for a model of features");
                self.load_token(token);
                self.run_q_watched(Some(token), watch);
            }
        }
    }

    /// The last step had an answer of its own. Where [not every sample has one](Model::answers) it gives the last one again, and before the
    /// first one what an answer of zeros stands for.
    pub fn answered(&self) -> bool {
        self.model.plan.answered(self.state)
    }

    /// Starts anew: every state zero, no previous sample.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.state[..self.model.plan.persistent].fill(0);
    }

    /// As [`Self::reset`], but what stands in for missing values stays: a new window of the same stream.
    pub(crate) fn restart(&mut self) {
        self.state[self.model.plan.held..self.model.plan.persistent].fill(0);
    }

    /// Writes the state into the first [`Model::saved_len`] bytes of `bytes`: `KGS2`, the model's checksum, one of
    /// what else is written, and what outlasts a step, all little endian.
    ///
    /// # Errors
    /// If there are fewer bytes, or the state of a float layer is NaN.
    pub fn save(&self, bytes: &mut [u8]) -> Result<usize, StateError> {
        let need = self.model.saved_len();
        let have = bytes.len();
        let bytes = bytes
            .get_mut(..need)
            .ok_or(StateError::Length { need, have })?;
        let state = &self.state[..self.model.plan.persistent];
        self.model.check_numbers(state.iter().copied())?;
        bytes[..4].copy_from_slice(&SAVED_MAGIC);
        bytes[4..8].copy_from_slice(&self.model.preamble.crc.to_le_bytes());
        bytes[SAVED_HEADER..].copy_from_slice(bytemuck::cast_slice(state));
        let crc = saved_crc(bytes);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        Ok(need)
    }

    /// Takes over a state written by [`Self::save`].
    ///
    /// # Errors
    /// If the bytes are not one, have changed since, belong to another model, or hold a NaN where a float layer has its
    /// state; this state is then unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        if bytes.get(..4) != Some(&SAVED_MAGIC[..]) {
            return Err(StateError::NotAState);
        }
        let (need, have) = (self.model.saved_len(), bytes.len());
        if have < SAVED_HEADER {
            return Err(StateError::Length { need, have });
        }
        let word =
            |at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (stored, computed) = (word(8), saved_crc(bytes));
        // A state of another model is whole, one that was cut is not: which of the two is said by its own checksum.
        if stored == computed {
            let (saved, this) = (word(4), self.model.preamble.crc);
            if saved != this {
                return Err(StateError::OtherModel { saved, this });
            }
        }
        if need != have {
            return Err(StateError::Length { need, have });
        }
        if stored != computed {
            return Err(StateError::Checksum { stored, computed });
        }
        // The bytes may lie anywhere, so their words are looked at one by one.
        let words = bytes[SAVED_HEADER..].as_chunks().0.iter();
        let words = words.map(|&word| i32::from_le_bytes(word));
        self.model.check_numbers(words.clone())?;
        for (state, word) in self.state.iter_mut().zip(words) {
            *state = word;
        }
        Ok(())
    }

    /// Starts from the final states of another model's recurrent layers, and from what its convolutions remember: an encoder's,
    /// for a decoder.
    ///
    /// # Errors
    /// If the recurrent layers of the two differ in number, cell, hidden size or format, or the convolutions in what they remember.
    pub fn seed_from(&mut self, encoder: &Runner<'_, '_>) -> Result<(), StateError> {
        let recurrent = |model: &Model<'_>, n: usize| {
            let layers = model.header.layers.iter();
            let mut layers = layers.filter_map(|layer| match *layer {
                Layer::Recurrent {
                    cell,
                    hidden,
                    format,
                    cell_shift,
                    ..
                } => Some((Some(cell), hidden as usize, format, cell_shift, None)),
                Layer::Conv { format, shape, .. }
                    if shape.remembered() > 0 || shape.pool().is_some() =>
                {
                    Some((None, shape.remembered(), format, 0, shape.pool()))
                }
                _ => None,
            });
            layers.nth(n)
        };
        for index in 0..=MAX_LAYERS {
            match (
                recurrent(self.model, index),
                recurrent(encoder.model, index),
            ) {
                (None, None) => break,
                (mine, theirs) if mine != theirs => return Err(StateError::Layer { index }),
                _ => {}
            }
        }
        let plan = &self.model.plan;
        let theirs = &encoder.model.plan;
        self.state[..plan.persistent].fill(0);
        self.state[plan.previous..plan.answer]
            .copy_from_slice(&encoder.state[theirs.previous..theirs.answer]);
        Ok(())
    }

    /// The recurrent layers' states, as they enter a digest.
    pub fn layer_state(&self) -> &[u8] {
        let plan = &self.model.plan;
        bytemuck::cast_slice(&self.state[plan.previous..plan.persistent])
    }

    /// Puts a prediction into the places of the next sample that it predicts, for a forecast of many steps;
    /// the other places keep their values.
    pub fn feed_back(&self, output: &[f32], sample: &mut [f32]) {
        for (target, &value) in self.model.targets.iter().zip(output) {
            if let Some(place) = sample.get_mut(target.feeds as usize) {
                *place = value;
            }
        }
    }

    /// Multi-step forecast: steps on `sample`, reports the output, feeds it back into `sample`, `steps` times.
    ///
    /// # Panics
    /// As [`Self::step`].
    pub fn forecast(
        &mut self,
        sample: &mut [f32],
        output: &mut [f32],
        steps: usize,
        mut report: impl FnMut(usize, &[f32]),
    ) {
        for step in 0..steps {
            self.step(sample, output);
            report(step, output);
            self.feed_back(output, sample);
        }
    }

    /// Generation: steps on `token`, lets `choose` pick the next one from the scores, `steps` times. The
    /// picked tokens are all that `choose` has seen itself return.
    ///
    /// # Panics
    /// As [`Self::step_token`].
    pub fn generate(
        &mut self,
        mut token: usize,
        scores: &mut [f32],
        steps: usize,
        mut choose: impl FnMut(&[f32]) -> usize,
    ) {
        for _ in 0..steps {
            self.step_token(token, scores);
            token = choose(scores);
        }
    }

    /// Normalises a raw sample into the network's input.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(super) fn prepare(&mut self, sample: &[f32]) {
        let model = self.model;
        let (persistent, scratch) = self.state.split_at_mut(model.plan.persistent);
        let mut buffer = InputBuffer::new(model, scratch);
        fill_and_normalise(model, persistent, sample, |i, value| buffer.store(i, value));
    }

    /// Normalises a sample whose gaps were filled before into the network's input.
    pub(super) fn prepare_held(&mut self, sample: &[f32]) {
        let model = self.model;
        let (persistent, scratch) = self.state.split_at_mut(model.plan.persistent);
        let previous = &mut persistent[model.plan.held..model.plan.previous];
        let mut buffer = InputBuffer::new(model, scratch);
        normalise(model, previous, sample, |i, value| buffer.store(i, value));
    }

    /// The network's output as predictions in their units, relative to the sample of [`Self::prepare`].
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(super) fn finish(&self, sample: &[f32], output: &mut [f32]) {
        self.copy_output(output);
        self.restore_units(self.held(sample), output);
    }

    /// Normalises a raw sample as [`Self::step`] does and remembers it for the next one, without a step:
    /// for calibration, which needs to see what a network is given.
    ///
    /// # Panics
    /// If the model takes tokens, or the length is not [`Model::inputs`].
    pub fn normalise(&mut self, sample: &[f32], mut store: impl FnMut(f32)) {
        fill_and_normalise(self.model, self.state, sample, |_, value| store(value));
    }

    pub(super) fn load_normalised(&mut self, normalised: &[f32]) {
        let scratch = &mut self.state[self.model.plan.persistent..];
        InputBuffer::new(self.model, scratch).fill(normalised);
    }

    pub(super) fn load_network_input(&mut self, input: &[f32]) {
        let at = self.model.plan.persistent;
        let place = &mut self.state[at..at + input.len()];
        bytemuck::cast_slice_mut(place).copy_from_slice(input);
    }

    #[inline(always)]
    pub(super) fn load_network_input_q(&mut self, input: &[i16]) {
        let at = self.model.plan.persistent;
        let buffer: &mut [i16] = bytemuck::cast_slice_mut(&mut self.state[at..]);
        buffer[..input.len()].copy_from_slice(input);
    }

    /// Steps on a token: through the embedding, or as a one-hot vector.
    pub(super) fn run_token(&mut self, token: usize) {
        self.load_token(token);
        self.run_loaded(Some(token));
    }

    /// A one-hot vector into the first buffer, where no embedding looks the token up.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(super) fn load_token(&mut self, token: usize) {
        let model = self.model;
        if !matches!(model.header.layers.first(), Some(Layer::Embedding { .. })) {
            let scratch = &mut self.state[model.plan.persistent..];
            InputBuffer::new(model, scratch).one_hot(token, model.inputs());
        }
    }

    /// All layers, from the first buffer or a token.
    pub(super) fn run_loaded(&mut self, token: Option<usize>) {
        if self.model.is_integer() {
            self.run_q(token)
        } else {
            self.run(token)
        }
    }

    /// The network's output as floats.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(super) fn copy_output(&self, output: &mut [f32]) {
        if self.model.is_integer() {
            self.copy_output_q(output);
        } else {
            assert!(output.len() == self.model.outputs(), "length of the output");
            output.copy_from_slice(self.network_output());
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn copy_output_q(&self, output: &mut [f32]) {
        assert!(output.len() == self.model.outputs(), "length of the output");
        let lsb = power_of_two(-self.model.output_frac());
        for (output, &q) in output.iter_mut().zip(self.network_output_q()) {
            *output = q as f32 * lsb;
        }
    }

    /// Network outputs to predictions in their units, relative to the current raw sample.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(super) fn restore_units(&self, sample: &[f32], output: &mut [f32]) {
        restore_units(self.model, sample, output);
    }

    #[inline(always)]
    pub(super) fn network_output(&self) -> &[f32] {
        let at = self.model.plan.output;
        bytemuck::cast_slice(&self.state[at..at + self.model.outputs()])
    }

    /// Outputs are floats that may differ from the scalar table's by rounding.
    pub(super) fn rounds(&self) -> bool {
        self.kernels.fused() && !self.model.is_integer()
    }

    /// Place and values of the first output that is not the one wanted in this step.
    pub(super) fn first_difference(
        &self,
        wanted: &[f32],
        step: Range<usize>,
    ) -> Option<(usize, f32, f32)> {
        let (found, want) = (self.network_output(), &wanted[step]);
        if !self.rounds() {
            return first_difference(found, want, f32::eq);
        }
        let largest = wanted.iter().fold(1.0, |most: f32, y| most.max(y.abs()));
        first_difference(found, want, |found, want| {
            found == want || (found - want).abs() <= FUSED_ERROR * largest
        })
    }

    #[inline(always)]
    pub(super) fn network_output_q(&self) -> &[i16] {
        let at = self.model.plan.output;
        let buffer: &[i16] = bytemuck::cast_slice(&self.state[at..]);
        &buffer[..self.model.outputs()]
    }

    /// All layers in f32, from the first buffer or a token.
    pub(super) fn run(&mut self, token: Option<usize>) {
        let mut pass = Pass::new(self.kernels, self.state, &self.model.plan, token);
        for stage in self.model.stages() {
            pass.layer(stage, self.back);
        }
        self.back = !self.back;
        pass.finish(self.model);
    }

    /// All layers in integers, from the first buffer or a token.
    #[inline]
    pub(super) fn run_q(&mut self, token: Option<usize>) {
        let mut pass = Pass::new(self.kernels, self.state, &self.model.plan, token);
        for stage in self.model.stages() {
            pass.layer_q::<true>(stage);
        }
        pass.finish(self.model);
    }

    /// `watch` gets a layer's number and outputs, all states, and where its own is.
    fn run_q_watched(
        &mut self,
        token: Option<usize>,
        mut watch: impl FnMut(usize, &[i16], &mut [i32], Option<&Place>),
    ) {
        let mut pass = Pass::new(self.kernels, self.state, &self.model.plan, token);
        for (number, stage) in self.model.stages().enumerate() {
            pass.layer_q::<true>(stage);
            if pass.waits {
                continue;
            }
            let (panels, place) = match stage {
                Stage::Embedding(_) => continue,
                Stage::Recurrent(_, place) => (place.units, Some(place)),
                Stage::Dense(_, panels) => (*panels, None),
                Stage::Conv(_, place) => (place.outputs.div_ceil(LANES), None),
                Stage::Norm(layer) => (layer.width().div_ceil(LANES), None),
                Stage::Keep(keep) => (keep.width().div_ceil(LANES), None),
                Stage::Join(join) => (join.outputs().div_ceil(LANES), None),
            };
            let y: &[i16] = bytemuck::cast_slice(pass.parts.a);
            watch(number, &y[..panels * LANES], pass.parts.persistent, place);
        }
        pass.finish(self.model);
    }
}

/// The checksum of a saved state, of all but itself.
fn saved_crc(bytes: &[u8]) -> u32 {
    let crc = crc32_update(!0, &bytes[..8]);
    !crc32_update(crc, &bytes[SAVED_HEADER..])
}

impl Model<'_> {
    /// An error if a float layer's state is NaN, in the words of a state that outlast a step.
    fn check_numbers(&self, words: impl IntoIterator<Item = i32>) -> Result<(), StateError> {
        if self.is_integer() {
            return Ok(());
        }
        // What comes before are samples, in which a gap is NaN.
        let states = words.into_iter().skip(self.plan.previous);
        let mut numbers = states.map(|word| f32::from_bits(word as u32));
        match numbers.position(|number| number.is_nan()) {
            Some(index) => Err(StateError::NotANumber { index }),
            None => Ok(()),
        }
    }
}

/// The first activation buffer as the network's input, float or integer.
enum InputBuffer<'s> {
    Float(&'s mut [f32]),
    Integer {
        x: &'s mut [i16],
        frac: i8,
        low: i16,
        high: i16,
    },
}

impl<'s> InputBuffer<'s> {
    #[inline(always)]
    fn new(model: &Model<'_>, scratch: &'s mut [i32]) -> Self {
        let buffer = &mut scratch[..model.plan.buffer];
        if !model.is_integer() {
            return InputBuffer::Float(bytemuck::cast_slice_mut(buffer));
        }
        let frac = model.input_frac();
        let (low, high) = model.input_limits();
        InputBuffer::Integer {
            x: bytemuck::cast_slice_mut(buffer),
            frac,
            low,
            high,
        }
    }

    /// 1 for the token, 0 for all others; without floats in an integer model.
    #[inline(always)]
    fn one_hot(&mut self, token: usize, tokens: usize) {
        match self {
            InputBuffer::Float(x) => {
                for (i, x) in x[..tokens].iter_mut().enumerate() {
                    *x = if i == token { 1.0 } else { 0.0 };
                }
            }
            InputBuffer::Integer { x, frac, .. } => {
                for (i, x) in x[..tokens].iter_mut().enumerate() {
                    *x = ((i == token) as i16) << *frac;
                }
            }
        }
    }

    /// The first places, with what is finite of `values` and 0 for the rest.
    #[inline(always)]
    fn fill(self, values: &[f32]) {
        let values = values
            .iter()
            .map(|&value| if value.is_finite() { value } else { 0.0 });
        match self {
            InputBuffer::Float(x) => x.iter_mut().zip(values).for_each(|(x, value)| *x = value),
            InputBuffer::Integer { x, frac, low, high } => {
                for (x, value) in x.iter_mut().zip(values) {
                    *x = quantize(value, frac, low, high);
                }
            }
        }
    }

    #[inline(always)]
    fn store(&mut self, i: usize, value: f32) {
        // There is a place for each: no reason to link a panic.
        match self {
            InputBuffer::Float(x) => {
                if let Some(x) = x.get_mut(i) {
                    *x = value;
                }
            }
            InputBuffer::Integer { x, frac, low, high } => {
                if let Some(x) = x.get_mut(i) {
                    *x = quantize(value, *frac, *low, *high);
                }
            }
        }
    }
}
