//! CSV files by column name: for training all at once ([`Table`]), for a prediction row by row
//! ([`Reader`]). Both turn a row into numbers through [`Columns`], so what a model was trained on
//! and what it is later given cannot differ.

mod columns;
mod field;
mod format;
mod records;
mod table;

pub use self::columns::{Columns, Memory, held};
pub(crate) use self::field::is_missing;
pub use self::field::{composed, is_same, place_of};
pub use self::format::{Format, Header, Missing, OnError, Size, Unseen, are_numbered};
pub use self::records::{Reader, Records, is_separator_line};
pub use self::table::{Group, LEFT_OUT, Table};

#[cfg(test)]
mod tests;
