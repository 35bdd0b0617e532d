//! One stream of a model: its state, and the samples of a window that is not complete.

use anyhow::{Result, anyhow, ensure};
use engine::format::{Input, Shape, crc32};
use engine::{Model, SlidingWindow, WindowPlace};
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::model_file::text_length;
use std::sync::Arc;

use crate::loaded::Loaded;

/// Steps, in multiplications, that are done between two looks for a signal.
const SLICE: usize = 1 << 27;

/// How samples are taken and answered, as the flags of `kinglet predict` say it.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Plain tensors: no normalisation, no windows.
    pub raw: bool,
    /// An output per step from a model of windows too.
    pub every_step: bool,
}

impl How {
    /// What a model cannot do is an error, however many streams there are.
    pub fn suits(self, model: &Model<'_>) -> Result<()> {
        ensure!(
            !model.is_bidirectional() || !(self.raw || self.every_step),
            "the model is bidirectional: it answers whole windows, so raw and every_step are not for it"
        );
        ensure!(
            !takes_tokens(model) || !self.raw,
            "raw is for models of numbers; this one takes tokens"
        );
        Ok(())
    }
}

/// Samples, one after the other.
#[derive(Debug, Clone, Copy)]
pub enum Samples<'x> {
    Features(&'x [f32]),
    Tokens(&'x [usize]),
}

impl<'x> Samples<'x> {
    /// Numbers, of all samples.
    pub fn len(self) -> usize {
        match self {
            Samples::Features(x) => x.len(),
            Samples::Tokens(x) => x.len(),
        }
    }

    /// Some of the numbers.
    pub fn part(self, range: std::ops::Range<usize>) -> Self {
        match self {
            Samples::Features(x) => Samples::Features(&x[range]),
            Samples::Tokens(x) => Samples::Tokens(&x[range]),
        }
    }
}

/// Around a step.
pub enum Moment<'y> {
    /// With what the last sample said of this one; nothing where it had no answer.
    Before(&'y [f32]),
    Answered(&'y [f32]),
}

#[derive(Clone)]
pub struct Session {
    loaded: Arc<Loaded>,
    how: How,
    state: AlignedBytes,
    windows: SlidingWindow<Vec<f32>>,
    /// The last answer, and anything within a window.
    y: Vec<f32>,
    /// The last sample had an answer, which foretold the next one.
    foretells: bool,
    /// Of a bidirectional model's window so far.
    tokens: Vec<usize>,
}

impl AsMut<[u8]> for Session {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.state
    }
}

/// Whether the model takes tokens.
pub fn takes_tokens(model: &Model<'_>) -> bool {
    matches!(model.header().input, Input::Tokens { .. })
}

/// Numbers in a sample: one of a token.
pub fn width(model: &Model<'_>) -> usize {
    match takes_tokens(model) {
        true => 1,
        false => model.inputs(),
    }
}

/// Samples that are taken between two looks for a signal.
pub fn slice(model: &Model<'_>) -> usize {
    let per_answer = match model.header().shape {
        Shape::Window {
            window,
            exact: true,
            ..
        } => window as usize,
        _ => 1,
    };
    (SLICE / model.macs().saturating_mul(per_answer).max(1)).clamp(1, 1 << 20)
}

/// When there is an answer.
fn shape(model: &Model<'_>, how: How) -> Shape {
    match how.raw || how.every_step || takes_tokens(model) {
        true => Shape::EveryStep,
        false => model.header().shape,
    }
}

/// Takes a sample; true if there is an answer.
fn take(
    runner: &mut AnyRunner<'_, '_>,
    how: How,
    windows: &mut SlidingWindow<Vec<f32>>,
    tokens: &mut Vec<usize>,
    sample: Samples<'_>,
    y: &mut [f32],
) -> bool {
    match (sample, runner) {
        (Samples::Features(x), AnyRunner::Steps(runner)) if how.raw => {
            runner.step_raw(x, y);
            true
        }
        (Samples::Features(x), AnyRunner::Steps(runner)) => windows.push(runner, x, y),
        (Samples::Features(x), AnyRunner::Windows(runner)) => windows.push(runner, x, y),
        (Samples::Tokens(token), AnyRunner::Steps(runner)) => {
            runner.step_token(token[0], y);
            true
        }
        (Samples::Tokens(token), AnyRunner::Windows(runner)) => {
            tokens.push(token[0]);
            let complete = tokens.len() == runner.window();
            if complete {
                runner.run_tokens(tokens, y);
                tokens.clear();
            }
            complete
        }
    }
}

impl Session {
    /// From a reset on.
    pub fn new(loaded: Arc<Loaded>, how: How) -> Result<Self> {
        let model = loaded.model();
        how.suits(model)?;
        let shape = shape(model, how);
        let kept = vec![0.0; SlidingWindow::needed(shape, model.inputs())];
        Ok(Session {
            state: AlignedBytes::zeroed(model.state_len()),
            windows: SlidingWindow::new(shape, model.inputs(), kept)?,
            y: vec![f32::NAN; model.outputs()],
            foretells: false,
            tokens: Vec::new(),
            how,
            loaded,
        })
    }

    pub fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }

    pub fn how(&self) -> How {
        self.how
    }

    /// Every sample is a step, and has an answer.
    pub fn is_plain(&self) -> bool {
        let model = self.loaded.model();
        shape(model, self.how) == Shape::EveryStep && !model.is_bidirectional()
    }

    /// Whether the last answer is the only one: that of a whole text.
    pub fn is_of_a_text(&self) -> bool {
        let model = self.loaded.model();
        text_length(model).is_some() && !self.how.every_step && !model.is_bidirectional()
    }

    /// Runs on over samples, and appends the answers.
    pub fn run(&mut self, samples: Samples<'_>, answers: &mut Vec<f32>) -> Result<()> {
        let model = self.loaded.model();
        let mut runner = AnyRunner::bind(model, &mut self.state)?;
        let (width, outputs) = (width(model), model.outputs());
        for at in (0..samples.len()).step_by(width) {
            let sample = samples.part(at..at + width);
            let end = answers.len();
            answers.resize(end + outputs, f32::NAN);
            let y = &mut answers[end..];
            if !take(
                &mut runner,
                self.how,
                &mut self.windows,
                &mut self.tokens,
                sample,
                y,
            ) {
                answers.truncate(end);
            }
        }
        Ok(())
    }

    /// Runs on over samples, and says before each what the answer so far is, and after it what was answered, if anything was.
    pub fn each(
        &mut self,
        samples: Samples<'_>,
        mut seen: impl FnMut(usize, Moment<'_>),
    ) -> Result<()> {
        let model = self.loaded.model();
        let mut runner = AnyRunner::bind(model, &mut self.state)?;
        let width = width(model);
        for n in 0..samples.len() / width {
            let sample = samples.part(n * width..(n + 1) * width);
            let foretold = if self.foretells { &self.y[..] } else { &[] };
            seen(n, Moment::Before(foretold));
            if take(
                &mut runner,
                self.how,
                &mut self.windows,
                &mut self.tokens,
                sample,
                &mut self.y,
            ) {
                self.foretells = true;
                seen(n, Moment::Answered(&self.y));
            } else {
                self.foretells = false;
            }
        }
        Ok(())
    }

    /// One sample, and its answer if there is one.
    pub fn step(&mut self, sample: Samples<'_>) -> Result<Option<&[f32]>> {
        let mut runner = AnyRunner::bind(self.loaded.model(), &mut self.state)?;
        let y = &mut self.y;
        let answered = take(
            &mut runner,
            self.how,
            &mut self.windows,
            &mut self.tokens,
            sample,
            y,
        );
        Ok(answered.then_some(&self.y[..]))
    }

    /// Starts anew.
    pub fn reset(&mut self) -> Result<()> {
        self.tokens.clear();
        self.y.fill(f32::NAN);
        self.foretells = false;
        match AnyRunner::bind(self.loaded.model(), &mut self.state)? {
            AnyRunner::Steps(mut runner) => self.windows.reset(&mut runner),
            AnyRunner::Windows(mut runner) => self.windows.reset(&mut runner),
        }
        Ok(())
    }

    /// What the engine saves: of a model that answers every step, all there is. Behind it the place in the windows, the samples
    /// that are kept for them and a checksum.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        let mut bytes;
        match AnyRunner::bind(self.loaded.model(), &mut self.state)? {
            AnyRunner::Steps(runner) => {
                bytes = vec![0; runner.model().saved_len()];
                runner.save(&mut bytes)?;
            }
            AnyRunner::Windows(mut runner) => {
                bytes = vec![0; runner.saved_len()];
                runner.save(&mut bytes)?;
            }
        }
        if self.is_plain() {
            return Ok(bytes);
        }
        let WindowPlace {
            oldest,
            seen,
            until,
        } = self.windows.place();
        for word in [oldest, seen, until] {
            bytes.extend(word.to_le_bytes());
        }
        for value in self.windows.kept() {
            bytes.extend(value.to_le_bytes());
        }
        for &token in &self.tokens {
            bytes.extend((token as u32).to_le_bytes());
        }
        bytes.extend(crc32(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Goes on from what [`Self::save`] gave; nothing is changed if that is not possible.
    pub fn restore(&mut self, saved: &[u8]) -> Result<()> {
        let damaged = || {
            anyhow!(
                "the saved state is damaged, or is of other windows; expected what save() gave for this very model"
            )
        };
        let plain = self.is_plain();
        let of_engine = match AnyRunner::bind(self.loaded.model(), &mut self.state)? {
            AnyRunner::Steps(mut runner) if plain => return Ok(runner.restore(saved)?),
            AnyRunner::Steps(runner) => runner.model().saved_len(),
            AnyRunner::Windows(runner) => runner.saved_len(),
        };
        let (state, rest) = saved.split_at_checked(of_engine).ok_or_else(damaged)?;
        let (words, crc) = rest.split_last_chunk::<4>().ok_or_else(damaged)?;
        let sum = crc32(&saved[..saved.len() - 4]);
        ensure!(sum.to_le_bytes() == *crc, damaged());
        let (words, odd) = words.as_chunks::<4>();
        let (place, rest) = words.split_first_chunk::<3>().ok_or_else(damaged)?;
        let kept = self.windows.kept().len();
        ensure!(odd.is_empty() && rest.len() >= kept, damaged());
        let [oldest, seen, until] = place.map(u32::from_le_bytes);
        let (kept, tokens) = rest.split_at(kept);
        let kept: Vec<f32> = kept.iter().map(|&word| f32::from_le_bytes(word)).collect();
        let tokens = tokens.iter().map(|&word| u32::from_le_bytes(word) as usize);
        let tokens: Vec<usize> = tokens.collect();
        let mut windows = self.windows.clone();
        let fits = windows.restore(
            WindowPlace {
                oldest,
                seen,
                until,
            },
            &kept,
        );
        let alphabet = self.loaded.model().inputs();
        ensure!(
            fits && tokens.iter().all(|&token| token < alphabet),
            damaged()
        );
        match AnyRunner::bind(self.loaded.model(), &mut self.state)? {
            AnyRunner::Steps(mut runner) => {
                ensure!(tokens.is_empty(), damaged());
                runner.restore(state)?;
            }
            AnyRunner::Windows(mut runner) => {
                ensure!(tokens.len() < runner.window(), damaged());
                runner.restore(state)?;
            }
        }
        (self.windows, self.tokens) = (windows, tokens);
        Ok(())
    }
}
