//! Many-to-one: an output for every window of samples.
//!
//! Three ways, decided by the file's [`Shape::Window`]:
//! the state runs on and a window only says when to look (no recomputation, no memory); exact windows that
//! do not overlap (the state starts anew between them, no memory); exact windows that overlap (the last
//! samples are kept, normalised, and each window is computed anew).

use crate::format::Shape;
use crate::model::{BindError, Runner};
use heapless::Deque;

/// Collects samples into windows for one stream. `N` is the number of floats it can keep:
/// [`SlidingWindow::needed`], which is 0 unless exact windows overlap.
#[derive(Debug, Clone)]
pub struct SlidingWindow<const N: usize> {
    kept: Deque<f32, N>,
    window: usize,
    hop: usize,
    exact: bool,
    /// Samples since the window began; for a running state, capped by the first output.
    seen: usize,
}

impl<const N: usize> SlidingWindow<N> {
    /// For a model's shape; a model with an output per step has windows of one.
    ///
    /// # Errors
    /// If `N` is less than [`Self::needed`].
    pub fn new(shape: Shape, inputs: usize) -> Result<Self, BindError> {
        let need = Self::needed(shape, inputs);
        if N < need {
            return Err(BindError::TooSmall { need, have: N });
        }
        let (window, hop, exact) = match shape {
            Shape::EveryStep => (1, 1, false),
            Shape::Window { window, hop, exact } => (window as usize, hop as usize, exact),
        };
        Ok(SlidingWindow {
            kept: Deque::new(),
            window,
            hop,
            exact,
            seen: 0,
        })
    }

    /// Floats that must be kept between samples.
    pub const fn needed(shape: Shape, inputs: usize) -> usize {
        match shape {
            Shape::Window {
                window,
                hop,
                exact: true,
            } if hop < window => window as usize * inputs,
            _ => 0,
        }
    }

    /// Takes a raw sample. True if a window ended with it: then `output` holds the prediction.
    ///
    /// # Panics
    /// As [`Runner::step`].
    pub fn push(
        &mut self,
        runner: &mut Runner<'_, '_>,
        sample: &[f32],
        output: &mut [f32],
    ) -> bool {
        self.seen += 1;
        if self.exact && self.hop < self.window {
            return self.push_overlapping(runner, sample, output);
        }
        if self.exact && self.seen == 1 {
            runner.reset_network();
        }
        if self.seen <= self.window {
            runner.step(sample, output);
        } else {
            // Between exact windows that leave gaps.
            runner.skip(sample);
        }
        let complete = self.seen == self.window;
        if self.exact {
            if self.seen == self.hop.max(self.window) {
                self.seen = 0;
            }
        } else if complete {
            // The next output is a hop away, and every sample until then is a step.
            self.seen -= self.hop.min(self.seen);
            self.window = self.seen + self.hop;
        }
        complete
    }

    fn push_overlapping(
        &mut self,
        runner: &mut Runner<'_, '_>,
        sample: &[f32],
        output: &mut [f32],
    ) -> bool {
        let width = sample.len();
        if self.kept.len() == self.window * width {
            for _ in 0..width {
                self.kept.pop_front();
            }
        }
        runner.normalise(sample, |value| {
            // Never full: a window's worth was made room for.
            let _ = self.kept.push_back(value);
        });
        if self.seen < self.window {
            return false;
        }
        self.seen = self.window - self.hop;
        runner.reset_network();
        let mut values = self.kept.iter().copied();
        for _ in 0..self.window {
            runner.step_normalised(&mut values, output);
        }
        runner.restore_units(sample, output);
        true
    }

    /// Starts anew.
    pub fn reset(&mut self, runner: &mut Runner<'_, '_>) {
        self.kept.clear();
        self.seen = 0;
        runner.reset();
    }
}
