//! One stream of a model: its state, the samples of a window that is not complete, and what raises the alarm of a model that watches.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::{Block, Loaded, blocks};
use kinglet::format::{Input, Shape};
use kinglet::{BindError, Detector, Model, Runner, SlidingWindow, Spotter, Verdict, WindowRunner};

/// Of a model that steps, or of one that takes windows as a whole.
pub enum AnyRunner<'m, 'a> {
    Steps(Runner<'m, 'a>),
    Windows(WindowRunner<'m, 'a>),
}

impl<'m, 'a> AnyRunner<'m, 'a> {
    pub fn bind(model: &'m Model<'a>, state: &'m mut [u8]) -> Result<Self, BindError> {
        Ok(match model.is_bidirectional() {
            true => AnyRunner::Windows(model.bind_window_bytes(state)?),
            false => AnyRunner::Steps(model.bind_bytes(state)?),
        })
    }
}

pub fn takes_tokens(model: &Model<'_>) -> bool {
    matches!(model.header().input, Input::Tokens { .. })
}

pub struct Stream {
    loaded: Rc<Loaded>,
    state: Vec<Block>,
    windows: SlidingWindow<Vec<f32>>,
    /// Of a bidirectional model's window so far.
    tokens: Vec<usize>,
    y: Vec<f32>,
    /// The last sample had an answer, which foretold the next one.
    foretells: bool,
    /// Of a model that waits for a word.
    spotter: Option<Spotter>,
    /// Of the detector of any other.
    score: f32,
}

impl Stream {
    /// `word` is what the model waits for, if anything.
    pub fn new(loaded: Rc<Loaded>, word: &str) -> Result<Self, BindError> {
        let model = loaded.borrow_dependent();
        let shape = match takes_tokens(model) {
            true => Shape::EveryStep,
            false => model.header().shape,
        };
        let kept = vec![0.0; SlidingWindow::needed(shape, model.inputs())];
        Ok(Stream {
            state: blocks(model.state_len()),
            windows: SlidingWindow::new(shape, model.inputs(), kept)?,
            tokens: Vec::new(),
            y: vec![f32::NAN; model.outputs()],
            foretells: false,
            spotter: Spotter::new(model, word),
            score: 0.0,
            loaded,
        })
    }

    /// Goes on over samples, and gives every answer with the place of its sample. How many there were.
    pub fn run(
        &mut self,
        samples: &[f32],
        mut answer: impl FnMut(usize, &[f32], Option<Verdict>),
    ) -> Result<usize, String> {
        let model = self.loaded.borrow_dependent();
        let tokens = takes_tokens(model);
        let width = if tokens { 1 } else { model.inputs() };
        if samples.len() % width != 0 {
            let len = samples.len();
            return Err(format!(
                "{len} numbers are no samples; the model takes {width} each"
            ));
        }
        let is_token =
            |x: &f32| *x >= 0.0 && *x as usize as f32 == *x && (*x as usize) < model.inputs();
        if tokens && !samples.iter().all(is_token) {
            let most = model.inputs() - 1;
            return Err(format!(
                "not a token of the model; expected whole numbers from 0 to {most}"
            ));
        }
        let mut detector = Detector::new(model);
        if let Some(detector) = &mut detector {
            detector.resume(self.score);
        }
        let state = bytemuck::cast_slice_mut(&mut self.state);
        let mut runner = AnyRunner::bind(model, state).map_err(|error| error.to_string())?;
        let mut answers = 0;
        for (row, x) in samples.chunks_exact(width).enumerate() {
            let foretold = if self.foretells { &self.y[..] } else { &[] };
            let mut verdict = detector.as_mut().map(|d| d.compare(foretold, x));
            let y = &mut self.y;
            let answered = match &mut runner {
                AnyRunner::Steps(runner) if tokens => {
                    runner.step_token(x[0] as usize, y);
                    true
                }
                AnyRunner::Windows(runner) if tokens => {
                    self.tokens.push(x[0] as usize);
                    let complete = self.tokens.len() == runner.window();
                    if complete {
                        runner.run_tokens(&self.tokens, y);
                        self.tokens.clear();
                    }
                    complete
                }
                AnyRunner::Steps(runner) => self.windows.push(runner, x, y),
                AnyRunner::Windows(runner) => self.windows.push(runner, x, y),
            };
            self.foretells = answered;
            if answered {
                if let Some(spotter) = &mut self.spotter {
                    verdict = Some(spotter.push(y));
                }
                answer(row, y, verdict);
                answers += 1;
            }
        }
        self.score = detector.map_or(0.0, |detector| detector.score());
        Ok(answers)
    }

    /// Starts anew.
    pub fn reset(&mut self) -> Result<(), String> {
        self.tokens.clear();
        self.y.fill(f32::NAN);
        self.foretells = false;
        self.score = 0.0;
        self.spotter.iter_mut().for_each(Spotter::reset);
        let state = bytemuck::cast_slice_mut(&mut self.state);
        let runner = AnyRunner::bind(self.loaded.borrow_dependent(), state);
        match runner.map_err(|error| error.to_string())? {
            AnyRunner::Steps(mut runner) => self.windows.reset(&mut runner),
            AnyRunner::Windows(mut runner) => self.windows.reset(&mut runner),
        }
        Ok(())
    }
}
