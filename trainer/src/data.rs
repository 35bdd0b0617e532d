//! From files to sequences: what the file is ([`open`]), CSV by column name ([`csv`]), derived features ([`derived`], [`clock`]),
//! normalisation ([`normalise`]), text to tokens ([`vocabulary`]), and the [`Dataset`] that training and evaluation read.

pub mod audio;
pub mod clock;
pub mod csv;
mod dataset;
pub mod derived;
pub(crate) mod error;
mod made;
pub mod normalise;
pub mod open;
pub mod order;
pub(crate) mod parquet;
pub(crate) mod places;
mod resolution;
pub mod riff;
pub mod sentinel;
mod split;
pub mod steps;
pub mod time;
pub mod vocabulary;
mod written;

pub(crate) use self::dataset::share;
pub use self::dataset::{Dataset, Sequence, word_of};
pub use self::error::DataError;
pub use self::resolution::coarse_columns;
pub use self::split::Part;
pub use self::written::Written;
