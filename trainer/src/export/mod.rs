//! A model taken elsewhere: what `kinglet export` writes. Model files themselves are written by [`crate::file`].

mod c_source;
mod names;
mod portable;

pub use c_source::{CSource, c_source};
pub use names::c_name;
