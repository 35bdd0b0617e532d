//! A model taken elsewhere: what `kinglet export` writes. Model files themselves are written by [`crate::file`].

mod c_library;
mod c_source;
mod names;
mod packages;
mod portable;
mod values;

pub use c_library::{HOST, build_library, c_library, check_rust};
pub use c_source::{Around, CSource, around, c_source};
pub use names::{LONGEST, c_name};
pub use packages::{File, Platform, header, package, rust};
