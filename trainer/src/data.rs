//! From files to sequences: CSV by column name ([`csv`]), derived features ([`derived`], [`clock`]),
//! normalisation ([`normalise`]), and the [`Dataset`] that training and evaluation read.

pub mod clock;
pub mod csv;
mod dataset;
pub mod derived;
mod error;
pub mod normalise;
mod split;

pub use self::dataset::{Dataset, Sequence};
pub use self::error::DataError;
pub use self::split::Part;
