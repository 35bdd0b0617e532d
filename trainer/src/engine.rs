//! The engine as one more predictor: what is measured here is what a device computes.

use crate::file::AlignedBytes;
use crate::train::Predictor;
use kinglet::format::Input;
use kinglet::kernel::Kernels;
use kinglet::{BindError, Model, Runner};

/// A model with a state of its own, stepped by the engine.
#[derive(Debug)]
pub struct EnginePredictor<'m> {
    model: &'m Model<'m>,
    state: AlignedBytes,
    kernels: &'static Kernels,
}

impl<'m> EnginePredictor<'m> {
    /// From a reset on, with the fastest kernels.
    pub fn new(model: &'m Model<'m>) -> Self {
        let state = AlignedBytes::zeroed(model.state_len());
        EnginePredictor {
            model,
            state,
            kernels: Kernels::detect(),
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
    /// Never: the state is as large as the model says.
    pub fn runner(&mut self) -> Result<Runner<'_, 'm>, BindError> {
        Ok(self
            .model
            .bind_bytes(&mut self.state)?
            .with_kernels(self.kernels))
    }
}

impl Predictor for EnginePredictor<'_> {
    fn reset(&mut self) {
        self.state.fill(0);
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        let tokens = matches!(self.model.header().input, Input::Tokens { .. });
        if let Ok(mut runner) = self.runner() {
            if tokens {
                runner.step_token(raw[0] as usize, out);
            } else {
                runner.step(raw, out);
            }
        }
    }
}
