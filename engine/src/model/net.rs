//! A network whose file is a constant: the compiler loads it.

use super::pass::Pass;
use super::stages::Stage;
use super::state::{Memory, sealed};
use super::{Model, Runner, StateError};
use crate::format::{Input, MAX_LAYERS};
use crate::kernel::Kernels;
use crate::window::Stepped;
use core::fmt;
use core::marker::PhantomData;

/// A model that the compiler reads. A file that is damaged, or a state of another size, does not compile.
///
/// ```
/// use kinglet::{Embedded, Net, State, include_model, state_len};
///
/// struct Pump;
///
/// impl Embedded for Pump {
///     const FILE: &'static [u8] = include_model!("../../tests/models/lstm_w8a8.kgl");
///     type State = State<{ state_len(Self::FILE) }>;
/// }
///
/// let mut net = Net::<Pump>::new(); // may be a static
/// let mut prediction = [0.0; 2];
/// net.step(&[0.1, 0.2, 0.3, 0.4, 0.5], &mut prediction);
/// ```
///
/// A file that may lie anywhere, a state of another length and a sample of another length do not compile:
///
/// ```compile_fail,E0080
/// # use kinglet::{Embedded, Net, State, state_len};
/// # struct Pump;
/// impl Embedded for Pump {
///     const FILE: &'static [u8] = include_bytes!("../../tests/models/lstm_w8a8.kgl");
///     type State = State<{ state_len(Self::FILE) }>;
/// }
/// Net::<Pump>::new();
/// ```
///
/// ```compile_fail,E0080
/// # use kinglet::{Embedded, Net, State, include_model};
/// # struct Pump;
/// impl Embedded for Pump {
///     const FILE: &'static [u8] = include_model!("../../tests/models/lstm_w8a8.kgl");
///     type State = State<16>;
/// }
/// Net::<Pump>::new();
/// ```
///
/// ```compile_fail,E0080
/// # use kinglet::{Embedded, Net, State, include_model, state_len};
/// # struct Pump;
/// impl Embedded for Pump {
///     const FILE: &'static [u8] = include_model!("../../tests/models/lstm_w8a8.kgl");
///     type State = State<{ state_len(Self::FILE) }>;
/// }
/// Net::<Pump>::new().step(&[0.0; 4], &mut [0.0; 2]);
/// ```
pub trait Embedded {
    /// The bytes of the model's file, by [`include_model!`](crate::include_model).
    const FILE: &'static [u8];
    /// [`State`](super::State) of the length that the file says.
    type State: Memory;
}

/// What the compiler finds out about a model.
struct Facts<M>(PhantomData<M>);

impl<M: Embedded> Facts<M> {
    const MODEL: Model<'static> = {
        // SAFETY: a constant is evaluated by the compiler.
        match unsafe { Model::in_constant(M::FILE) } {
            Ok(model) => {
                assert!(
                    <M::State as sealed::Memory>::LEN == model.plan.bytes(),
                    "the state has another length than `state_len` says"
                );
                model
            }
            Err(error) => error.stop(),
        }
    };
}

/// The layer with a number, one direction counted as one.
struct Nth<M, const N: usize>(PhantomData<M>);

impl<M: Embedded, const N: usize> Nth<M, N> {
    const STAGE: Option<Stage<'static>> = Facts::<M>::MODEL.stages[N];
}

/// A network with the state of one stream, all of it known to the compiler but the numbers: steps have no error and no
/// panic, and in firmware only what this network does is linked.
///
/// The outputs are those of [`Runner`], whose methods these are.
pub struct Net<M: Embedded> {
    state: M::State,
}

impl<M: Embedded> fmt::Debug for Net<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Net({})", Self::model().header.name)
    }
}

impl<M: Embedded> Clone for Net<M> {
    fn clone(&self) -> Self {
        Net {
            state: self.state.clone(),
        }
    }
}

impl<M: Embedded> Default for Net<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Embedded> Net<M> {
    /// Numbers in a sample, or tokens in the alphabet.
    pub const INPUTS: usize = Facts::<M>::MODEL.header.input.count();
    /// Numbers in an output.
    pub const OUTPUTS: usize = Facts::<M>::MODEL.header.output.count();
    /// Bytes that [`Self::save`] writes.
    pub const SAVED: usize = Facts::<M>::MODEL.saved_len();

    /// The start of a stream.
    pub const fn new() -> Self {
        const {
            let _ = &Facts::<M>::MODEL;
        }
        Net {
            state: <M::State as sealed::Memory>::START,
        }
    }

    /// Goes on where a stream was.
    pub const fn from_state(state: M::State) -> Self {
        Net { state }
    }

    /// Where the stream is.
    pub const fn state(&self) -> &M::State {
        &self.state
    }

    /// The model, loaded by the compiler: it lies in flash, and takes neither memory nor time.
    pub const fn model() -> &'static Model<'static> {
        const { &Facts::<M>::MODEL }
    }

    #[inline(always)]
    fn runner(&mut self) -> Runner<'_, 'static> {
        Runner {
            model: Self::model(),
            state: sealed::Memory::words(&mut self.state),
            kernels: Kernels::detect(),
            back: false,
        }
    }

    /// All layers, each with what the compiler knows of it.
    #[inline(always)]
    fn run(runner: &mut Runner<'_, 'static>, token: Option<usize>) {
        let model = const { &Facts::<M>::MODEL };
        let mut pass = Pass::new(runner.kernels, runner.state, &model.plan, token);
        macro_rules! layers {
            ($($n:literal)*) => {$(
                if let Some(stage) = const { &Nth::<M, $n>::STAGE } {
                    if const { model_is_integer::<M>() } {
                        pass.layer_q::<false>(stage);
                    } else {
                        pass.layer(stage, false);
                    }
                }
            )*};
        }
        const { assert!(MAX_LAYERS == 12) };
        layers!(0 1 2 3 4 5 6 7 8 9 10 11);
        pass.finish(model);
    }

    /// As [`Runner::step`]. Arrays of other lengths than [`Self::INPUTS`] and [`Self::OUTPUTS`] do not compile, nor does this
    /// for tokens.
    #[inline(always)]
    pub fn step<const I: usize, const O: usize>(
        &mut self,
        sample: &[f32; I],
        output: &mut [f32; O],
    ) {
        const { takes_samples::<M>(I, O) };
        let mut runner = self.runner();
        runner.prepare(sample);
        Self::run(&mut runner, None);
        runner.finish(sample, output);
    }

    /// As [`Runner::step_q`].
    #[inline(always)]
    pub fn step_q<const I: usize, const O: usize>(
        &mut self,
        sample: &[i16; I],
        output: &mut [i16; O],
    ) {
        const {
            takes_samples::<M>(I, O);
            assert!(model_is_integer::<M>(), "step_q on a float model");
        };
        let mut runner = self.runner();
        runner.load_network_input_q(sample);
        Self::run(&mut runner, None);
        output.copy_from_slice(runner.network_output_q());
    }

    /// As [`Runner::step_token`].
    #[inline(always)]
    pub fn step_token<const O: usize>(&mut self, token: usize, output: &mut [f32; O]) {
        const { takes_tokens::<M>(O) };
        let mut runner = self.runner();
        runner.load_token(token);
        Self::run(&mut runner, Some(token));
        runner.copy_output(output);
    }

    /// As [`Runner::step_token_q`].
    #[inline(always)]
    pub fn step_token_q<const O: usize>(&mut self, token: usize, output: &mut [i16; O]) {
        const {
            takes_tokens::<M>(O);
            assert!(model_is_integer::<M>(), "step_token_q on a float model");
        };
        let mut runner = self.runner();
        runner.load_token(token);
        Self::run(&mut runner, Some(token));
        output.copy_from_slice(runner.network_output_q());
    }

    /// As [`Runner::answered`].
    pub fn answered(&self) -> bool {
        let plan = const { &Facts::<M>::MODEL.plan };
        plan.answered(sealed::Memory::as_words(&self.state))
    }

    /// Starts anew: every state zero, no previous sample.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.runner().reset();
    }

    /// Writes the state into the first [`Self::SAVED`] bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn save(&mut self, bytes: &mut [u8]) -> Result<usize, StateError> {
        self.runner().save(bytes)
    }

    /// Takes over a state written by [`Self::save`] or [`Runner::save`].
    ///
    /// # Errors
    /// If the bytes are not one, or belong to another model; the state is then unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.runner().restore(bytes)
    }

    /// The recurrent layers' states, as they enter a digest.
    pub fn layer_state(&self) -> &[u8] {
        let plan = const { &Facts::<M>::MODEL.plan };
        bytemuck::cast_slice(&sealed::Memory::as_words(&self.state)[plan.previous..plan.persistent])
    }
}

/// A window's samples one by one.
impl<M: Embedded> Stepped for Net<M> {
    fn reset(&mut self) {
        self.reset();
    }

    fn restart(&mut self) {
        self.runner().restart();
    }

    fn hold(&mut self, sample: &[f32]) {
        self.runner().hold(sample);
    }

    fn held<'s>(&'s self, sample: &'s [f32]) -> &'s [f32] {
        match &sealed::Memory::as_words(&self.state)[..Self::model().plan.held] {
            [] => sample,
            [_, held @ ..] => bytemuck::cast_slice(held),
        }
    }

    fn step(&mut self, sample: &[f32], output: &mut [f32]) {
        const { takes_samples::<M>(Self::INPUTS, Self::OUTPUTS) };
        let mut runner = self.runner();
        runner.prepare(sample);
        Self::run(&mut runner, None);
        runner.finish(sample, output);
    }

    fn step_held(&mut self, sample: &[f32], output: &mut [f32]) {
        const { takes_samples::<M>(Self::INPUTS, Self::OUTPUTS) };
        let mut runner = self.runner();
        runner.prepare_held(sample);
        Self::run(&mut runner, None);
        runner.copy_output(output);
        runner.restore_units(sample, output);
    }

    fn answered(&self) -> bool {
        self.answered()
    }
}

const fn model_is_integer<M: Embedded>() -> bool {
    Facts::<M>::MODEL.is_integer()
}

/// Does not compile for arrays of other lengths than the model's.
const fn takes_samples<M: Embedded>(inputs: usize, outputs: usize) {
    let model = &Facts::<M>::MODEL;
    assert!(
        matches!(model.header.input, Input::Features { .. }),
        "sample for a model of tokens"
    );
    assert!(inputs == Net::<M>::INPUTS, "length of the sample");
    takes::<M>(outputs);
}

const fn takes_tokens<M: Embedded>(outputs: usize) {
    let model = &Facts::<M>::MODEL;
    assert!(
        matches!(model.header.input, Input::Tokens { .. }),
        "token for a model of features"
    );
    takes::<M>(outputs);
}

const fn takes<M: Embedded>(outputs: usize) {
    assert!(
        !Facts::<M>::MODEL.has_bidirectional_layers(),
        "the model is bidirectional: it takes whole windows and cannot be stepped"
    );
    assert!(outputs == Net::<M>::OUTPUTS, "length of the output");
}
