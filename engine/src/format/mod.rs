//! The model file, as a specification.
//!
//! ```text
//! preamble (64 bytes) | header (postcard) | zeros to a multiple of 16 | tensors
//! ```
//!
//! All numbers are little endian. The [`Preamble`] is at fixed offsets, so that the size of a state
//! is known to `const` code; the [`Header`] says what the layers are; the tensors follow in the one
//! order that the header implies, each starting at a multiple of [`ALIGN`], so no directory can
//! contradict it. [`Tensors`] is that order, used by the loader; the exporter writes the same.
//!
//! A file is checked once, here: after that no offset, index or size in it can be wrong.

#[cfg_attr(not(conv), path = "no_conv.rs")]
mod conv;
mod error;
mod header;
/// `?`, in a `const fn`.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Err(error),
        }
    };
}
pub(crate) use attempt;

mod pool;
mod preamble;
mod read;
mod tensors;

pub use crate::cell::{PackedRows, packed_rows};
#[cfg(conv)]
pub use conv::Source;
pub use conv::{ConvShape, Width};
pub use error::LoadError;
pub use header::{
    Activation, Cell, Combine, Format, Header, Input, Layer, Layers, MAX_KEEPS, MAX_LAYERS, Memory,
    Output, RECORDS, Reset, SLOW, Shape, Tail, TestVectors,
};
pub use pool::{Pool, PoolKind};
pub use preamble::{
    Layout, PREAMBLE_LEN, Preamble, VERSION, crc32, crc32_update, file_crc, state_len,
};
pub use tensors::{Feature, FeatureTransform, Target, TargetRestore, Tensors, pad};

/// Tensors start at multiples of this, and so must the file in memory.
pub const ALIGN: usize = 16;
/// Largest width of anything: inputs, states, outputs.
pub const MAX_WIDTH: usize = 4096;
/// Largest number of tokens or classes.
pub const MAX_VOCAB: usize = 32768;
