//! The engine as one more predictor: what is measured here is what a device computes.

use crate::file::AlignedBytes;
use crate::train::Predictor;
use kinglet::format::Input;
use kinglet::kernel::Kernels;
use kinglet::{
    BindError, Digest, Model, Runner, TestFailure, WindowInput, WindowRunner, WindowStep,
};

/// A model with a state of its own, stepped by the engine.
#[derive(Debug, Clone)]
pub struct EnginePredictor<'m> {
    model: &'m Model<'m>,
    state: AlignedBytes,
    kernels: &'static Kernels,
    /// Samples of a bidirectional model's window so far.
    window: Vec<f32>,
}

impl<'m> EnginePredictor<'m> {
    /// From a reset on, with the fastest kernels.
    pub fn new(model: &'m Model<'m>) -> Self {
        let state = AlignedBytes::zeroed(model.state_len());
        EnginePredictor {
            model,
            state,
            kernels: Kernels::detect(),
            window: Vec::new(),
        }
    }

    /// With other kernels.
    pub fn with_kernels(mut self, kernels: &'static Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// The runner over this state.
    ///
    /// # Errors
    /// If the model is bidirectional; the state is as large as it says.
    pub fn runner(&mut self) -> Result<Runner<'_, 'm>, BindError> {
        Ok(self
            .model
            .bind_bytes(&mut self.state)?
            .with_kernels(self.kernels))
    }

    /// The last step had an answer of its own; a window has one.
    pub fn answered(&mut self) -> bool {
        self.runner().map_or(true, |runner| runner.answered())
    }
}

impl Predictor for EnginePredictor<'_> {
    fn reset(&mut self) {
        self.state.fill(0);
        self.window.clear();
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        let tokens = matches!(self.model.header().input, Input::Tokens { .. });
        if self.model.is_bidirectional() {
            self.window.extend_from_slice(raw);
            let Ok(runner) = self.model.bind_window_bytes(&mut self.state) else {
                return;
            };
            let mut runner = runner.with_kernels(self.kernels);
            if self.window.len() == runner.window() * raw.len() {
                if tokens {
                    let tokens: Vec<usize> = self.window.iter().map(|&t| t as usize).collect();
                    runner.run_tokens(&tokens, out);
                } else {
                    runner.run(&self.window, out);
                }
                self.window.clear();
            }
            return;
        }
        if let Ok(mut runner) = self.runner() {
            if tokens {
                runner.step_token(raw[0] as usize, out);
            } else {
                runner.step(raw, out);
            }
        }
    }
}

/// A model with a state, whichever way it takes its samples.
#[derive(Debug)]
pub enum AnyRunner<'m, 'a> {
    /// One by one.
    Steps(Runner<'m, 'a>),
    /// In whole windows.
    Windows(WindowRunner<'m, 'a>),
}

impl<'m, 'a> AnyRunner<'m, 'a> {
    /// Joins a model with its state.
    ///
    /// # Errors
    /// If the state is too small or misaligned.
    pub fn bind(model: &'m Model<'a>, state: &'m mut [u8]) -> Result<Self, BindError> {
        Ok(if model.is_bidirectional() {
            AnyRunner::Windows(model.bind_window_bytes(state)?)
        } else {
            AnyRunner::Steps(model.bind_bytes(state)?)
        })
    }

    /// Uses another table than the best one.
    pub fn with_kernels(self, kernels: &'static Kernels) -> Self {
        match self {
            AnyRunner::Steps(runner) => AnyRunner::Steps(runner.with_kernels(kernels)),
            AnyRunner::Windows(runner) => AnyRunner::Windows(runner.with_kernels(kernels)),
        }
    }

    /// A new stream.
    pub fn reset(&mut self) {
        match self {
            AnyRunner::Steps(runner) => runner.reset(),
            AnyRunner::Windows(runner) => runner.reset(),
        }
    }

    /// A sample as the network sees it.
    pub fn normalise(&mut self, sample: &[f32], store: impl FnMut(f32)) {
        match self {
            AnyRunner::Steps(runner) => runner.normalise(sample, store),
            AnyRunner::Windows(runner) => runner.normalise(sample, store),
        }
    }

    /// As [`Model::self_test`].
    ///
    /// # Errors
    /// As there.
    pub fn self_test(&mut self) -> Result<Digest, TestFailure> {
        match self {
            AnyRunner::Steps(runner) => runner.model().self_test(runner),
            AnyRunner::Windows(runner) => runner.self_test(),
        }
    }
}

/// [`WindowRunner::run_watched`] on normalised samples, or on tokens as numbers.
pub(crate) fn run_watched(
    runner: &mut WindowRunner<'_, '_>,
    tokens: bool,
    rows: &[f32],
    watch: impl FnMut(WindowStep<'_>),
) {
    if tokens {
        let tokens: Vec<usize> = rows.iter().map(|&token| token as usize).collect();
        runner.run_watched(WindowInput::Tokens(&tokens), watch);
    } else {
        runner.run_watched(WindowInput::Samples(rows), watch);
    }
}
