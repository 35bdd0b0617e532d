//! Many-to-one: an output for every window of samples.
//!
//! Three ways, decided by the file's [`Shape::Window`]:
//! the state runs on and a window only says when to look (no recomputation, no memory); exact windows that
//! do not overlap (the state starts anew between them, no memory); exact windows that overlap (the last
//! samples are kept, and each window is computed anew).
//!
//! An exact window gives what [`Runner::reset`] and its samples one by one give, bit for bit: that is what
//! the network was trained and measured with. So a transform that looks back sees nothing before the
//! window, and the samples are kept raw. Only what stands in for missing values comes from before the window, as it
//! does in training.
//!
//! A bidirectional model, whose [`WindowRunner`] only takes whole windows, keeps the samples in its state as they arrive,
//! normalised, and is run with the last one.

use crate::format::{Header, Shape};
use crate::model::{BindError, Embedded, Net, Runner, WindowRunner};

/// What runs over windows: a [`Runner`] or, for a bidirectional model, a [`WindowRunner`].
pub trait Windowed: Stepped {}

impl Windowed for Runner<'_, '_> {}
impl Windowed for WindowRunner<'_, '_> {}
impl<M: Embedded> Windowed for Net<M> {}

pub(crate) use stepped::Stepped;

/// Apart, so that nobody else implements it.
mod stepped {
    /// Takes the samples of a window one by one; with the last one of it there is an output.
    pub trait Stepped {
        /// A new stream.
        fn reset(&mut self);
        /// A new window of the same stream.
        fn restart(&mut self);
        /// So many samples of the window have been taken, maybe by another runner on this state.
        fn resume(&mut self, _taken: usize) {}
        /// Remembers a sample for gaps, without a step.
        fn hold(&mut self, sample: &[f32]);
        /// The sample that was remembered last, without gaps.
        fn held<'s>(&'s self, sample: &'s [f32]) -> &'s [f32];
        /// A raw sample.
        fn step(&mut self, sample: &[f32], output: &mut [f32]);
        /// A sample without gaps.
        fn step_held(&mut self, sample: &[f32], output: &mut [f32]);
        /// The last step had an answer of its own.
        fn answered(&self) -> bool;
    }
}

impl Stepped for Runner<'_, '_> {
    fn reset(&mut self) {
        self.reset();
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn hold(&mut self, sample: &[f32]) {
        self.hold(sample);
    }

    fn held<'s>(&'s self, sample: &'s [f32]) -> &'s [f32] {
        self.held(sample)
    }

    fn step(&mut self, sample: &[f32], output: &mut [f32]) {
        self.step(sample, output);
    }

    fn step_held(&mut self, sample: &[f32], output: &mut [f32]) {
        self.step_held(sample, output);
    }

    fn answered(&self) -> bool {
        self.answered()
    }
}

/// Collects samples into windows for one stream. The samples of overlapping exact windows are kept in `B`,
/// an array, a vector or a lent slice of [`SlidingWindow::needed`] floats; the other ways need none.
///
/// Where exact windows overlap, an answer costs the steps of its whole window, at once: [`Model::macs`](crate::Model::macs) is
/// of one step. A model trained as many-to-many with its state carried along answers every sample with one step and needs
/// no buffer.
///
/// ```
/// use kinglet::{Model, SlidingWindow, State, include_model, state_len};
///
/// static MODEL: &[u8] = include_model!("../tests/models/window_f32.kgl");
/// // Samples of a window times numbers of a sample, as `kinglet inspect` shows them.
/// const FLOATS: usize = 4 * 1;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Model::from_bytes(MODEL)?;
/// let mut state = State::<{ state_len(MODEL) }>::new();
/// let mut net = model.bind(&mut state)?;
/// let mut windows = SlidingWindow::new(model.header().shape, model.inputs(), [0.0; FLOATS])?;
///
/// let mut forecast = [0.0];
/// let mut answers = 0;
/// for price in [100.0, 101.5, 99.0, 100.5, 102.0, 101.0] {
///     // Raw values in; every second sample from the fourth on ends a window of four.
///     if windows.push(&mut net, &[price], &mut forecast) {
///         assert!(forecast[0].is_finite());
///         answers += 1;
///     }
/// }
/// assert_eq!(answers, 2);
/// // A new stream: nothing of this one is left in its first window.
/// windows.reset(&mut net);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SlidingWindow<B> {
    /// A ring of samples.
    kept: B,
    /// Place of the oldest sample in the ring, where the next one goes.
    oldest: usize,
    /// Samples of the first window.
    first: usize,
    /// Samples with which the window is complete; where the state runs on, those up to the next output.
    window: usize,
    hop: usize,
    exact: bool,
    /// Samples since the window began; for a running state, capped by the first output.
    seen: usize,
}

/// Where in its windows a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPlace {
    /// Place of the oldest sample in the ring.
    pub oldest: u32,
    /// Samples since the window began.
    pub seen: u32,
    /// With how many of them it is complete.
    pub until: u32,
}

/// Floats that a [`SlidingWindow`] keeps for a model, beside its [`state_len`](crate::state_len):
/// `SlidingWindow::new(shape, inputs, [0.0; window_len(MODEL)])`.
///
/// # Panics
/// If the bytes are no model; in a constant that is a compile error.
pub const fn window_len(model: &[u8]) -> usize {
    match Header::in_file(model) {
        Ok((header, _)) => SlidingWindow::needed(header.shape, header.input.count()),
        Err(error) => error.stop(),
    }
}

impl SlidingWindow<()> {
    /// Floats that must be kept between samples: 0 unless exact windows overlap.
    pub const fn needed(shape: Shape, inputs: usize) -> usize {
        match shape {
            Shape::Window {
                window,
                hop,
                exact: true,
            } if hop < window => (window as usize).saturating_mul(inputs),
            _ => 0,
        }
    }
}

impl<B: AsRef<[f32]> + AsMut<[f32]>> SlidingWindow<B> {
    /// For a model's shape; a model with an output per step has windows of one.
    ///
    /// # Errors
    /// If the buffer is shorter than [`SlidingWindow::needed`]; sizes are in bytes.
    pub fn new(shape: Shape, inputs: usize, buffer: B) -> Result<Self, BindError> {
        let (need, have) = (SlidingWindow::needed(shape, inputs), buffer.as_ref().len());
        if have < need {
            let (need, have) = (need.saturating_mul(4), 4 * have);
            return Err(BindError::TooSmall { need, have });
        }
        let (window, hop, exact) = match shape {
            Shape::EveryStep => (1, 1, false),
            Shape::Window { window, hop, exact } => (window as usize, hop as usize, exact),
        };
        Ok(SlidingWindow {
            kept: buffer,
            oldest: 0,
            first: window,
            window,
            hop,
            exact,
            seen: 0,
        })
    }

    /// Takes a raw sample. True if a window ended with it: then `output` holds the prediction.
    ///
    /// # Panics
    /// As [`Runner::step`].
    pub fn push(&mut self, runner: &mut impl Windowed, sample: &[f32], output: &mut [f32]) -> bool {
        self.seen += 1;
        if self.exact && self.hop < self.window {
            return self.push_overlapping(runner, sample, output);
        }
        if self.exact && self.seen == 1 {
            runner.restart();
        }
        if self.seen <= self.window {
            runner.resume(self.seen - 1);
            runner.step(sample, output);
        } else {
            // Between exact windows that leave gaps.
            runner.hold(sample);
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
        // Where every sample would have an answer, those that a pool leaves out have none.
        complete && (self.exact || self.hop > 1 || runner.answered())
    }

    fn push_overlapping(
        &mut self,
        runner: &mut impl Windowed,
        sample: &[f32],
        output: &mut [f32],
    ) -> bool {
        let width = sample.len();
        let place = self.oldest * width;
        runner.hold(sample);
        self.kept.as_mut()[place..place + width].copy_from_slice(runner.held(sample));
        self.oldest = (self.oldest + 1) % self.window;
        if self.seen < self.window {
            return false;
        }
        self.seen = self.window - self.hop;
        runner.restart();
        let ring = &self.kept.as_ref()[..self.window * width];
        let (newer, older) = ring.split_at(self.oldest * width);
        for part in [older, newer] {
            for sample in part.chunks_exact(width) {
                runner.step_held(sample, output);
            }
        }
        true
    }

    /// Where in its windows the stream is, to go on from later beside the runner's saved state; see [`Self::restore`].
    pub fn place(&self) -> WindowPlace {
        WindowPlace {
            oldest: self.oldest as u32,
            seen: self.seen as u32,
            until: self.window as u32,
        }
    }

    /// The samples that are kept, a ring.
    pub fn kept(&self) -> &[f32] {
        self.kept.as_ref()
    }

    /// Goes on from a place, with the samples that were kept there. False, and nothing is changed, if they are not of
    /// such windows.
    pub fn restore(&mut self, place: WindowPlace, kept: &[f32]) -> bool {
        let (oldest, seen, until) = (
            place.oldest as usize,
            place.seen as usize,
            place.until as usize,
        );
        let fits = if self.exact {
            until == self.window && seen < self.hop.max(self.window)
        } else {
            until <= self.window.saturating_add(self.hop) && seen < until
        };
        if !fits || oldest >= self.window || kept.len() != self.kept.as_ref().len() {
            return false;
        }
        self.kept.as_mut().copy_from_slice(kept);
        (self.oldest, self.seen, self.window) = (oldest, seen, until);
        true
    }

    /// Starts anew.
    pub fn reset(&mut self, runner: &mut impl Windowed) {
        self.seen = 0;
        self.oldest = 0;
        self.window = self.first;
        runner.reset();
    }
}
