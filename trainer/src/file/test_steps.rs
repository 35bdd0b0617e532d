//! Steps with known results: a file carries them, and every kernel table must give them back.

use super::AlignedBytes;
use crate::package::{Input, Package};
use crate::quant::{Fold, Stream};
use anyhow::{Context, Result};
use bytemuck::cast_slice;
use kinglet::kernel::Kernels;
use kinglet::{Model, num};

/// Most steps that a file carries for the sake of rare answers.
pub(super) const MOST_TESTS: usize = 4096;

/// Steps whose results go into the file.
#[derive(Debug, Clone)]
pub enum TestInputs {
    /// Normalised samples.
    Samples(Vec<f32>),
    /// Tokens.
    Tokens(Vec<u16>),
}

impl TestInputs {
    /// The first steps of a stream.
    pub fn from_stream(stream: &Stream, inputs: usize) -> Self {
        const STEPS: usize = 24;
        match stream {
            Stream::Samples(x) => {
                TestInputs::Samples(x.iter().copied().take(STEPS * inputs).collect())
            }
            Stream::Tokens(t) => {
                TestInputs::Tokens(t.iter().map(|&t| t as u16).take(STEPS).collect())
            }
        }
    }

    /// From the first of a network's streams, or made up where there is none.
    pub fn of(package: &Package, streams: &[Stream]) -> Self {
        match streams.first() {
            Some(stream) => TestInputs::from_stream(stream, package.net.input_width()),
            None => TestInputs::synthetic(package),
        }
    }

    /// Made up, for a network without data: a slow wave per input, or tokens in turn.
    pub fn synthetic(package: &Package) -> Self {
        const STEPS: usize = 24;
        let width = package.net.input_width();
        match &package.input {
            Input::Features(_) => TestInputs::Samples(
                (0..STEPS * width)
                    .map(|i| {
                        num::tanh(
                            ((i / width) as f32 * 0.7 + (i % width) as f32).rem_euclid(4.0) - 2.0,
                        )
                    })
                    .collect(),
            ),
            Input::Tokens(tokens) => {
                TestInputs::Tokens((0..STEPS).map(|i| (i * 7 % tokens.len()) as u16).collect())
            }
        }
    }

    /// Whole windows of so many steps, and as many steps at least: the first ones, or these steps again and again.
    pub(super) fn windows(&self, window: usize, least: usize, inputs: usize) -> Self {
        let steps = self.steps(inputs);
        let whole = if steps == 0 {
            0
        } else {
            steps.max(least) / window * window
        };
        match self {
            TestInputs::Samples(x) => {
                TestInputs::Samples(x.iter().copied().cycle().take(whole * inputs).collect())
            }
            TestInputs::Tokens(tokens) => {
                TestInputs::Tokens(tokens.iter().copied().cycle().take(whole).collect())
            }
        }
    }

    /// The same for a network whose inputs have been folded.
    pub(super) fn folded(&self, folds: &[Fold]) -> Self {
        let TestInputs::Samples(x) = self else {
            return self.clone();
        };
        let folded = x.iter().zip(folds.iter().cycle());
        let folded = folded.map(|(&x, fold)| ((f64::from(x) - fold.offset) * fold.scale) as f32);
        TestInputs::Samples(folded.collect())
    }

    pub(super) fn steps(&self, inputs: usize) -> usize {
        match self {
            TestInputs::Samples(x) => x.len() / inputs,
            TestInputs::Tokens(t) => t.len(),
        }
    }
}

/// Outputs of the test steps as they go into the file, and the digest.
pub(super) fn run_tests(bytes: &AlignedBytes, tests: &TestInputs) -> Result<(Vec<u8>, u32)> {
    let model = Model::from_bytes(bytes).context("the exported file does not load")?;
    if model.is_bidirectional() {
        return run_test_windows(&model, tests);
    }
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = model.bind_bytes(&mut state)?.with_kernels(&Kernels::SCALAR);
    let mut digest = kinglet::Digest::new();
    let mut results = Vec::new();
    let inputs = model.inputs();
    let (mut y, mut q) = (vec![0.0; model.outputs()], vec![0; model.outputs()]);
    for step in 0..tests.steps(inputs) {
        match tests {
            TestInputs::Samples(x) => {
                let x = &x[step * inputs..(step + 1) * inputs];
                if model.is_integer() {
                    runner.step_q(&quantize_sample(&model, x), &mut q);
                } else {
                    runner.step_raw(x, &mut y);
                }
            }
            TestInputs::Tokens(tokens) => {
                if model.is_integer() {
                    runner.step_token_q(tokens[step] as usize, &mut q);
                } else {
                    runner.step_token(tokens[step] as usize, &mut y);
                }
            }
        }
        if model.is_integer() {
            digest.add_i16(&q);
            results.extend_from_slice(cast_slice(&q));
        } else {
            digest.add_f32(&y);
            results.extend_from_slice(cast_slice(&y));
        }
    }
    digest.add_bytes(runner.layer_state());
    Ok((results, digest.value()))
}

/// The same of a model that answers once a window.
fn run_test_windows(model: &Model<'_>, tests: &TestInputs) -> Result<(Vec<u8>, u32)> {
    let mut state = AlignedBytes::zeroed(model.state_len());
    let runner = model.bind_window_bytes(&mut state)?;
    let mut runner = runner.with_kernels(&Kernels::SCALAR);
    let mut digest = kinglet::Digest::new();
    let mut results = Vec::new();
    let (inputs, window) = (model.inputs(), runner.window());
    let (mut y, mut q) = (vec![0.0; model.outputs()], vec![0; model.outputs()]);
    for first in (0..tests.steps(inputs)).step_by(window) {
        match tests {
            TestInputs::Samples(x) => {
                let x = &x[first * inputs..(first + window) * inputs];
                if model.is_integer() {
                    let x: Vec<i16> = x
                        .chunks_exact(inputs)
                        .flat_map(|x| quantize_sample(model, x))
                        .collect();
                    runner.run_q(&x, &mut q);
                } else {
                    runner.run_raw(x, &mut y);
                }
            }
            TestInputs::Tokens(tokens) => {
                let tokens = tokens[first..first + window].iter();
                let tokens: Vec<usize> = tokens.map(|&token| token.into()).collect();
                if model.is_integer() {
                    runner.run_tokens_q(&tokens, &mut q);
                } else {
                    runner.run_tokens(&tokens, &mut y);
                }
            }
        }
        runner.add_output(&mut digest);
        if model.is_integer() {
            results.extend_from_slice(cast_slice(&q));
        } else {
            results.extend_from_slice(cast_slice(&y));
        }
    }
    Ok((results, digest.value()))
}

fn quantize_sample(model: &Model<'_>, x: &[f32]) -> Vec<i16> {
    let mut q = vec![0; x.len()];
    model.quantize_input(x, &mut q);
    q
}
