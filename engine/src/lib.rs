//! Kinglet's engine.
#![no_std]

mod cell;
mod choose;
mod digest;
pub mod format;
pub mod kernel;
mod model;
pub mod num;
mod window;

pub use choose::{Sampler, argmax};
pub use digest::Digest;
pub use format::{LoadError, state_len};
pub use model::{BindError, Model, Runner, State, StateError, TestFailure};
pub use window::SlidingWindow;

/// Includes a model file at compile time, aligned as [`Model::from_bytes`] wants it (which
/// `include_bytes!` does not do).
///
/// ```ignore
/// static MODEL: &[u8] = kinglet::include_model!("pump.kgl");
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        #[repr(C, align(64))]
        struct Aligned<B: ?Sized>(B);
        static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &ALIGNED.0
    }};
}
