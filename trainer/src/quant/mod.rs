//! From float to integers: what values do over real data, then scale, weights and bias of every row by what they do to its sums.
//!
//! Numbers and formats are those of [`kinglet::num`]. Per row the weights over input and state share one
//! scale, so one accumulator and one requantization serve both. `Rows` proves for each row, from its own
//! weights, that the accumulator cannot overflow for any input; a row for which that fails is scaled down.

mod bridge;
mod column;
mod descent;
mod fine;
mod fold;
pub mod mixed;
mod moments;
mod narrow;
mod planes;
mod ranges;
mod rescale;
mod rows;
mod tails;
mod tokens;
pub mod watch;

pub(crate) use bridge::{bridge, is_cut};
pub use column::Column;
pub(crate) use fine::refine;
pub(crate) use fold::{Fold, apply as fold_first, fold, fold_f16, fold_inputs};
pub use moments::Moments;
pub(crate) use moments::Spread;
pub use ranges::{Gates, LayerRange, Ranges, Stream};
pub(crate) use rescale::rescale;
pub(crate) use rows::{Row, Rows};
pub use tails::{cut_tails, kept_in};
pub(crate) use tokens::token_integer;

use crate::net::Network;
use kinglet::format::Format;

/// Weights make up for what eight bits do to the numbers that they see, as far as it is known beforehand.
pub(crate) fn take_back(net: &mut Network, ranges: &Ranges, formats: &Formats) {
    tokens::take_back_tokens(net, formats);
    narrow::take_back_states(net, ranges, formats);
}

/// The number format of every layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formats {
    /// The same for all.
    All(Format),
    /// One for each; all of them integer. The gates of a layer share it, and an embedding has that of the layer behind it.
    Each(Vec<Format>),
}

impl Formats {
    /// Of a layer.
    ///
    /// # Panics
    /// If there is none for this layer.
    pub fn of(&self, layer: usize) -> Format {
        match self {
            Formats::All(format) => *format,
            Formats::Each(formats) => formats[layer],
        }
    }

    /// "w8a8", or one layer after the other: "w8a16 w4a8 w8a8".
    pub fn name(&self) -> String {
        match self {
            Formats::All(format) => format.name().to_owned(),
            Formats::Each(formats) => {
                let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
                names.join(" ")
            }
        }
    }

    /// No float instruction inside a step.
    pub fn is_integer(&self) -> bool {
        self.of(0).is_integer()
    }
}

impl From<Format> for Formats {
    fn from(format: Format) -> Self {
        Formats::All(format)
    }
}

/// Largest magnitudes in a layer's products, in units of their LSB: of weights, and of matrix inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub w: i8,
    pub x: i64,
    pub h: i64,
}

/// log2 of 1 / LSB of the matrix inputs.
pub(crate) fn input_frac(format: Format) -> i32 {
    if format.is_a8() { 7 } else { 12 }
}

/// Largest magnitude of an integer weight.
pub(crate) fn largest_weight(format: Format) -> i8 {
    if format == Format::W4A8 { 7 } else { 127 }
}
