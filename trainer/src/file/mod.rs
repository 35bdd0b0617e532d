//! Model files, written and read: the trainer's side of [`kinglet::format`].

mod bytes;
mod doubts;
mod draft;
mod export;
mod layout;
pub(crate) mod packed;
mod parts;
mod payload;
mod quantized;
mod read;
mod tensors;
mod test_steps;

pub use crate::save::save;
pub use bytes::AlignedBytes;
pub use export::{Exported, export, export_for};
pub(crate) use layout::{Sum, stages, unpack, unpack_nibbles};
pub use parts::{LayerPart, Parts, parts};
pub(crate) use quantized::{Quantized, quantized};
pub use read::package;
pub use test_steps::TestInputs;
