//! Model files, written and read: the trainer's side of [`kinglet::format`].

mod bytes;
mod layout;
mod packed;
mod parts;
mod read;
mod write;

pub use bytes::AlignedBytes;
pub(crate) use layout::stages;
pub use parts::{LayerPart, Parts, parts};
pub use read::package;
pub use write::{Exported, TestInputs, export, export_for, save};
pub(crate) use write::{Quantized, quantized};
