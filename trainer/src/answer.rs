//! What an answer takes beside a step.
//!
//! A model of windows that overlap starts each of them at zero, as it was trained, so with the last sample of a window all of
//! its samples are stepped through anew, and they have been kept in RAM until then. The figures of a step alone are those of
//! a stream whose state runs on.

use kinglet::format::Shape;
use kinglet::{Model, SlidingWindow};

/// What is due with the sample that has an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Steps at once; 1 where the state runs on.
    pub steps: usize,
    /// Bytes of the samples that a [`SlidingWindow`] keeps, beside the state.
    pub buffer: usize,
    /// The state starts at zero for every window.
    pub anew: bool,
}

impl Answer {
    /// Of a model file.
    pub fn of(model: &Model<'_>) -> Self {
        let shape = model.header().shape;
        let floats = SlidingWindow::needed(shape, model.inputs());
        let at_once = floats > 0 || model.is_bidirectional();
        Answer {
            steps: match shape {
                Shape::Window { window, .. } if at_once => window as usize,
                _ => 1,
            },
            buffer: 4 * floats,
            anew: matches!(shape, Shape::Window { exact: true, .. }),
        }
    }

    /// Whether the samples of a window are stepped through again and again.
    pub fn repeats(self) -> bool {
        self.buffer > 0 && self.steps > 1
    }
}
