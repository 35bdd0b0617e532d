//! Runs quantized recurrent networks (tanh RNN, LSTM, GRU, FastGRNN, minGRU) one sample at a time, on anything from a
//! Cortex-M0+ to a server, with the same bytes out of every machine. `no_std`, no allocation, no
//! dependency that has either.
//!
//! ```
//! use kinglet::{Model, State, include_model, state_len};
//!
//! static MODEL: &[u8] = include_model!("../tests/models/lstm_w8a8.kgl"); // stays in flash
//!
//! let model = Model::from_bytes(MODEL)?; // checks everything once, copies nothing
//! let mut state = State::<{ state_len(MODEL) }>::new(); // may be a static
//! let mut net = model.bind(&mut state)?;
//!
//! let mut prediction = [0.0; 2];
//! for sample in [[0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.3, 0.4, 0.5, 0.6]] {
//!     net.step(&sample, &mut prediction); // cannot fail; the state is carried along
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a step costs
//! Its instruction count depends on the model alone, not on the data. A step has no error, no allocation,
//! no recursion; everything that could be wrong with a file is found by [`Model::from_bytes`].
//!
//! # Memory
//! Weights are read where the file lies. A [`State`] holds all a stream needs: the recurrent state, and
//! buffers for one step. Its size is a constant of the file, [`state_len`].
//!
//! # Doors
//! - [`Runner::step`] takes a raw sample and gives a prediction in its unit: the file carries the normalisation.
//!   A missing value is NaN, and the stream's last one stands in for it where the file says so.
//! - [`Runner::step_q`] is integers in, integers out, without a float instruction; [`Affine`] normalises integer
//!   readings for it.
//! - [`Runner::step_token`] takes the number of a token, for text.
//! - [`Model::bind_batch`] steps many streams in one call, with the results of single steps.
//! - [`SlidingWindow`] answers once per window, [`Runner::forecast`] and [`Runner::generate`] feed outputs back,
//!   [`Runner::seed_from`] starts a decoder from an encoder's state.
//! - [`Detector`] compares what comes with what was predicted and raises an alarm; [`Spotter`] raises one when a word is said.
//! - `audio::LogMel` (feature `audio`) is what comes before a network that listens: rows of log-mel energies from samples.
//! - [`Net`] is the other door: the compiler loads the file, which is a constant. A step has no check left, firmware links only what
//!   this network does, and a damaged file does not compile.
//!
//! # Accuracy
//! [`num`] describes the integer formats. The scalar kernels define every result; [`kernel`] explains why all
//! others give the same bytes, of float models too but for the rounding of [fused](kernel::Kernels::fused) tables.
#![no_std]
#![cfg_attr(
    cells_left_out,
    allow(
        dead_code,
        unused_variables,
        reason = "what only a cell that is left out needs"
    )
)]

#[cfg(feature = "std")]
extern crate std;

mod affine;
#[cfg(feature = "audio")]
pub mod audio;
mod cell;
mod choose;
mod counter;
mod detect;
mod digest;
pub mod format;
pub mod kernel;
mod model;
pub mod num;
mod spot;
mod window;

pub use affine::Affine;
pub use choose::{Greedy, Sampler, argmax};
pub use counter::Counter;
pub use detect::{Detector, Verdict};
pub use digest::Digest;
pub use format::{LoadError, state_len};
#[cfg(any(feature = "check", test))]
pub use kernel::check;
pub use model::{
    Batch, BindError, Embedded, LayerStep, Model, Net, Runner, State, StateError, StepInput,
    TestFailure, WindowInput, WindowRunner, WindowStep,
};
pub use spot::Spotter;
pub use window::{SlidingWindow, WindowPlace, Windowed, window_len};

/// Includes a model file at compile time, aligned as [`Model::from_bytes`] wants it (which
/// `include_bytes!` does not do). The path is relative to the source file.
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        #[repr(C, align(64))]
        struct Aligned<B: ?Sized>(B);
        static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &ALIGNED.0
    }};
}

/// The README's example, as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The examples of the guide, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/start.md")]
struct Start;

/// And those about windows.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/streaming.md")]
struct Streaming;
