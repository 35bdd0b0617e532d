//! A loaded model, its state, and the two together.
//!
//! [`Model::from_bytes`] checks the whole file once and keeps slices into it. A [`State`] belongs to the
//! caller: its persistent part (what [`Runner::save`] writes) comes first, then scratch that one step leaves
//! to the next without meaning. Activations go back and forth between two scratch buffers.

mod batch;
mod bidirectional;
mod load;
mod net;
mod normalise;
mod pass;
mod runner;
mod stages;
mod state;

pub use batch::Batch;
pub use bidirectional::{WindowInput, WindowRunner, WindowStep};
pub use net::{Embedded, Net};
pub use runner::{LayerStep, Runner, StepInput};
pub use state::{BindError, State, StateError, TestFailure};

use crate::digest::Digest;
use crate::format::{
    ALIGN, Feature, Format, Header, Input, Layer, LoadError, MAX_LAYERS, Preamble, Target, Tensors,
    attempt,
};
use crate::kernel::Kernels;
use crate::num::{input_limits, quantize};
use core::mem::MaybeUninit;
use load::answers;
use stages::Stage;

/// What precedes the persistent bytes in a saved state: magic, the model's checksum, the saved state's own.
const SAVED_HEADER: usize = 12;

/// A model, borrowed from the bytes of its file. Shared freely: streams differ only in their [`State`].
#[derive(Debug, Clone)]
pub struct Model<'a> {
    header: Header<'a>,
    smoothing: Option<f32>,
    preamble: Preamble,
    features: &'a [Feature],
    targets: &'a [Target],
    /// An input is a logarithm.
    logs: bool,
    /// An output is an exponential.
    exponentials: bool,
    /// Layers, or directions of them, first to last.
    stages: [Option<Stage<'a>>; MAX_LAYERS],
    plan: Plan,
    tests: Tests<'a>,
}

/// Ranges of a state, in words of four bytes.
#[derive(Debug, Clone)]
struct Plan {
    /// The current raw sample without gaps, behind a word that says whether there is one; empty if no feature holds.
    held: usize,
    /// End of the previous raw sample, which comes next, behind a word that says whether there is one; empty if no transform looks back.
    previous: usize,
    /// End of the layers' states, which come next. Behind them, where not every sample has an answer, a word that says whether the
    /// last one had, and the last answer.
    answer: usize,
    /// End of what outlasts a step.
    persistent: usize,
    /// Length of either activation buffer.
    buffer: usize,
    /// Length of the layers' own scratch.
    work: usize,
    /// First word of the network's output: the layers take turns between the two buffers.
    output: usize,
    /// Samples of a bidirectional model's window; otherwise 0.
    window: usize,
    /// Words of a row, a layer's outputs at one sample of the window.
    row: usize,
    /// Rows that are kept: what a layer reads, and what it writes.
    rows: usize,
    /// A hash of the recurrent layers, never 0. [`Model::bind`] leaves it in the scratch, where nothing else lies between
    /// steps, and looks for it there.
    mark: i32,
}

impl Plan {
    const NOTHING: Plan = Plan {
        held: 0,
        previous: 0,
        answer: 0,
        persistent: 0,
        buffer: 0,
        work: 0,
        output: 0,
        window: 0,
        row: 0,
        rows: 0,
        mark: 1,
    };

    #[inline]
    const fn words(&self) -> usize {
        self.persistent + 2 * self.buffer + self.work + self.rows * self.row
    }

    #[inline]
    const fn bytes(&self) -> usize {
        4 * self.words()
    }

    /// The last step had an answer of its own, by the words of a state.
    #[inline(always)]
    fn answered(&self, words: &[i32]) -> bool {
        let everywhere = cfg!(not(conv)) || self.answer == self.persistent;
        everywhere || words.get(self.answer).is_none_or(|&new| new != 0)
    }

    /// Where in the scratch the mark is: the first word of the buffer that has no output.
    #[inline]
    const fn mark_at(&self) -> usize {
        self.buffer - (self.output - self.persistent)
    }
}

#[derive(Debug, Clone, Copy)]
enum Tests<'a> {
    Float {
        inputs: &'a [f32],
        outputs: &'a [f32],
    },
    FloatTokens {
        inputs: &'a [u16],
        outputs: &'a [f32],
    },
    Integer {
        inputs: &'a [i16],
        outputs: &'a [i16],
    },
    IntegerTokens {
        inputs: &'a [u16],
        outputs: &'a [i16],
    },
}

impl<'a> Model<'a> {
    /// Checks a whole model file and borrows it. The bytes must start at a multiple of 16 in memory, as
    /// [`include_model!`](crate::include_model) and allocators arrange.
    ///
    /// # Errors
    /// A [`LoadError`] that names what is wrong, with the numbers.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let mut model = Model::blank();
        model.open(bytes)?;
        Ok(model)
    }

    /// As [`Self::from_bytes`], into memory of the caller's, which may be a static. What a function gives back goes over the stack, more than once: on
    /// a Cortex-M that takes 5.5 KB for a model of 2 KB, and this 1.7 KB besides the place.
    ///
    /// ```no_run
    /// # static MODEL: &[u8] = &[];
    /// use core::mem::MaybeUninit;
    /// use kinglet::Model;
    ///
    /// let mut place = MaybeUninit::uninit();
    /// let model: &Model = Model::from_bytes_in(MODEL, &mut place)?;
    /// # Ok::<(), kinglet::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes_in<'p>(
        bytes: &'a [u8],
        place: &'p mut MaybeUninit<Self>,
    ) -> Result<&'p Self, LoadError> {
        let model = place.write(Model::blank());
        model.open(bytes)?;
        Ok(model)
    }

    /// Loads a blank model.
    #[inline(never)]
    fn open(&mut self, bytes: &'a [u8]) -> Result<(), LoadError> {
        let (preamble, header, payload) = Preamble::split(bytes)?;
        let remainder = bytes.as_ptr() as usize % ALIGN;
        if remainder != 0 {
            return Err(LoadError::Misaligned {
                need: ALIGN,
                remainder,
            });
        }
        preamble.check(bytes)?;
        self.load(preamble, header, Tensors::new(payload))
    }

    /// A model whose file is a constant, while the compiler runs: an address is no number then, so a file that does not lie
    /// where it should is found by reading it.
    ///
    /// # Safety
    /// To be evaluated by the compiler.
    const unsafe fn in_constant(bytes: &'static [u8]) -> Result<Model<'static>, LoadError> {
        #[repr(C, align(16))]
        struct Block([u8; ALIGN]);
        const { assert!(align_of::<Block>() == ALIGN) };
        let (preamble, header, payload) = attempt!(Preamble::split(bytes));
        attempt!(preamble.check(bytes));
        // SAFETY: a file has that many bytes, and at another place the compiler refuses to read them.
        let Block(_) = unsafe { bytes.as_ptr().cast::<Block>().read() };
        // SAFETY: the file starts at a multiple of `ALIGN`, and so does its payload in it.
        let tensors = unsafe { Tensors::aligned(payload) };
        let mut model = Model::blank();
        attempt!(model.load(preamble, header, tensors));
        Ok(model)
    }

    #[inline(always)]
    fn stages(&self) -> impl Iterator<Item = &Stage<'a>> {
        self.stages.iter().map_while(Option::as_ref)
    }

    const fn has_bidirectional_layers(&self) -> bool {
        let mut layers = self.header.layers.as_slice();
        while let Some((layer, rest)) = layers.split_first() {
            if matches!(layer, Layer::Bidirectional { .. }) {
                return true;
            }
            layers = rest;
        }
        false
    }

    /// Joins the model with a state, whose contents are kept: a state that was bound to this model before
    /// goes on where it was, a new one starts at zero.
    ///
    /// A state of another model is noticed where the recurrent layers of the two differ in cell, size or format: a state
    /// that is bound carries a hash of them in its scratch.
    ///
    /// # Errors
    /// If the state is too small, or was another model's, or the model is bidirectional.
    pub fn bind<'m, const N: usize>(
        &'m self,
        state: &'m mut State<N>,
    ) -> Result<Runner<'m, 'a>, BindError> {
        self.bind_bytes(&mut state.bytes)
    }

    /// As [`Self::bind`], for a state whose size is only known at run time. The bytes must start at a
    /// multiple of 16 and be zero at first.
    ///
    /// # Errors
    /// If the state is too small or misaligned, or was another model's, or the model is bidirectional.
    pub fn bind_bytes<'m>(&'m self, state: &'m mut [u8]) -> Result<Runner<'m, 'a>, BindError> {
        if self.is_bidirectional() {
            return Err(BindError::Bidirectional);
        }
        let runner = self.runner(state)?;
        let (persistent, scratch) = runner.state.split_at_mut(self.plan.persistent);
        let mark = &mut scratch[self.plan.mark_at()];
        if *mark != self.plan.mark {
            if *mark != 0 || persistent.iter().any(|&word| word != 0) {
                return Err(BindError::OtherModel);
            }
            *mark = self.plan.mark;
        }
        Ok(runner)
    }

    fn runner<'m>(&'m self, state: &'m mut [u8]) -> Result<Runner<'m, 'a>, BindError> {
        let need = self.plan.bytes();
        if state.len() < need {
            return Err(BindError::TooSmall {
                need,
                have: state.len(),
            });
        }
        let remainder = state.as_ptr() as usize % ALIGN;
        if remainder != 0 {
            return Err(BindError::Misaligned {
                need: ALIGN,
                remainder,
            });
        }
        Ok(Runner {
            model: self,
            state: bytemuck::cast_slice_mut(&mut state[..need]),
            kernels: Kernels::detect(),
            back: false,
        })
    }

    /// What the file says about itself.
    pub const fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Weight of the newest error in an anomaly score, or of the newest probability of a word; see [`Detector`](crate::Detector) and
    /// [`Spotter`](crate::Spotter).
    pub const fn smoothing(&self) -> Option<f32> {
        self.smoothing
    }

    /// The fixed part of the file.
    pub fn preamble(&self) -> &Preamble {
        &self.preamble
    }

    /// Normalisation of each input; empty for tokens.
    pub fn features(&self) -> &'a [Feature] {
        self.features
    }

    /// The engine fills gaps: a NaN in a raw sample is the stream's last value, where the feature
    /// [holds](Feature::holds).
    pub fn holds(&self) -> bool {
        self.plan.held > 0
    }

    /// Meaning of each output; empty for classes and tokens.
    pub fn targets(&self) -> &'a [Target] {
        self.targets
    }

    /// Numbers in a sample (or tokens in the alphabet).
    #[inline]
    pub fn inputs(&self) -> usize {
        self.header.input.count()
    }

    /// Numbers in an output.
    #[inline]
    pub fn outputs(&self) -> usize {
        self.header.output.count()
    }

    /// Bytes of a state.
    pub fn state_len(&self) -> usize {
        self.plan.bytes()
    }

    /// Bytes of a state that outlast a step.
    pub const fn persistent_len(&self) -> usize {
        4 * self.plan.persistent
    }

    /// Bytes that [`Runner::save`] writes.
    pub const fn saved_len(&self) -> usize {
        SAVED_HEADER + self.persistent_len()
    }

    /// The layers are integer: [`Runner::step_q`] runs without floats.
    #[inline]
    pub const fn is_integer(&self) -> bool {
        self.format().is_integer()
    }

    /// Format of the first layer.
    #[inline]
    pub const fn format(&self) -> Format {
        match self.header.layers.as_slice().first() {
            Some(layer) => layer.format(),
            None => Format::F32,
        }
    }

    /// Fraction bits of the sample in [`Runner::step_q`]: the integer `q` stands for `q · 2^-frac`.
    pub fn input_frac(&self) -> i8 {
        match self.header.layers.first() {
            Some(Layer::Recurrent { format, .. } | Layer::Bidirectional { format, .. })
                if format.is_a8() =>
            {
                7
            }
            _ => 12,
        }
    }

    /// Fraction bits of the output in [`Runner::step_q`].
    pub fn output_frac(&self) -> i8 {
        match self.header.layers.last() {
            Some(
                &Layer::Dense {
                    activation, frac, ..
                }
                | &Layer::Conv {
                    activation, frac, ..
                },
            ) => activation.output_frac(frac, true),
            _ => 12,
        }
    }

    /// Quantizes a normalised sample as [`Runner::step`] does, for [`Runner::step_q`].
    pub fn quantize_input(&self, normalised: &[f32], quantized: &mut [i16]) {
        let (low, high) = self.input_limits();
        for (q, &x) in quantized.iter_mut().zip(normalised) {
            *q = quantize(x, self.input_frac(), low, high);
        }
    }

    pub(crate) fn input_limits(&self) -> (i16, i16) {
        input_limits(self.input_frac())
    }

    /// Multiplications of weights in one step; in one that has an answer, where not every sample [has one](Self::answers).
    pub fn macs(&self) -> usize {
        self.header.layers.iter().map(Layer::macs).sum()
    }

    /// Samples before the one that the first answer comes with, from a reset on, and samples from one answer to the next: 0 and 1, but for
    /// convolutions whose answers are [pooled](crate::format::ConvShape::pool).
    pub const fn answers(&self) -> [usize; 2] {
        answers(self.header.layers.as_slice())
    }

    /// The number of a token.
    pub fn token(&self, name: &str) -> Option<usize> {
        match self.header.input {
            Input::Tokens { names, .. } => names.split('\0').position(|token| token == name),
            Input::Features { .. } => None,
        }
    }

    /// Runs the steps with known results that every exported file carries, in the state given, which is
    /// reset before and after. Gives a digest of the outputs and the final state.
    ///
    /// Outputs must be those in the file, to the bit. Of an f32 or f16 model on a [fused](Kernels::fused) table they may differ
    /// by a thousandth of the largest (or of 1, if that is less), and the digest is this table's own.
    ///
    /// # Errors
    /// The first step whose output differs, or a final digest that does.
    ///
    /// # Panics
    /// If the runner is one of another model, whose samples are not as long.
    pub fn self_test(&self, runner: &mut Runner<'_, '_>) -> Result<Digest, TestFailure> {
        runner.reset();
        let mut digest = Digest::new();
        let steps = self.header.test.steps as usize;
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let mut failure = None;
        for step in 0..steps {
            let sample = step * inputs..(step + 1) * inputs;
            let result = step * outputs..(step + 1) * outputs;
            let differs = match self.tests {
                Tests::Float { inputs, outputs } => {
                    runner.load_network_input(&inputs[sample]);
                    runner.run(None);
                    digest.add_f32(runner.network_output());
                    runner.first_difference(outputs, result)
                }
                Tests::FloatTokens { inputs, outputs } => {
                    runner.run_token(inputs[step] as usize);
                    digest.add_f32(runner.network_output());
                    runner.first_difference(outputs, result)
                }
                Tests::Integer { inputs, outputs } => {
                    runner.load_network_input_q(&inputs[sample]);
                    runner.run_q(None);
                    digest.add_i16(runner.network_output_q());
                    first_difference(runner.network_output_q(), &outputs[result], i16::eq)
                }
                Tests::IntegerTokens { inputs, outputs } => {
                    runner.run_token(inputs[step] as usize);
                    digest.add_i16(runner.network_output_q());
                    first_difference(runner.network_output_q(), &outputs[result], i16::eq)
                }
            };
            let output = |(index, found, want)| TestFailure::Output {
                step,
                index,
                found,
                want,
            };
            failure = failure.or(differs.map(output));
        }
        digest.add_bytes(runner.layer_state());
        runner.reset();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let want = self.header.test.digest;
        if steps > 0 && digest.value() != want && !runner.rounds() {
            return Err(TestFailure::State {
                found: digest.value(),
                want,
            });
        }
        Ok(digest)
    }
}

/// Place and values of the first pair that is not the same.
fn first_difference<T: Copy + Into<f32>>(
    found: &[T],
    want: &[T],
    same: impl Fn(&T, &T) -> bool,
) -> Option<(usize, f32, f32)> {
    let mut pairs = found.iter().zip(want).enumerate();
    pairs
        .find(|(_, (found, want))| !same(found, want))
        .map(|(index, (&found, &want))| (index, found.into(), want.into()))
}
