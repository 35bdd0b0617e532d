//! Names that a task file has for what the file format enumerates.

use kinglet::format::{Activation, Cell};

/// A list of names as serde wants it: read by its name, and a name that is none of them is an error with all of them.
macro_rules! names {
    ($(#[$doc:meta])* $module:ident: $type:ty { $($name:literal => $value:expr),+ $(,)? }) => {
        $(#[$doc])*
        pub(super) mod $module {
            use super::*;
            use serde::de::{Deserialize, Deserializer, Error};

            const NAMES: &[&str] = &[$($name),+];

            pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let name = String::deserialize(from)?;
                match name.as_str() {
                    $($name => Ok($value),)+
                    _ => Err(D::Error::unknown_variant(&name, NAMES)),
                }
            }
        }
    };
}

names! {
    /// `network.cell`
    cell: Cell {
        "rnn" => Cell::RnnTanh,
        "rnn-relu" => Cell::RnnRelu,
        "lstm" => Cell::Lstm,
        "gru" => Cell::GruResetAfter,
        "gru-reset-before" => Cell::GruResetBefore,
        "fastgrnn" => Cell::FastGrnn,
        "lstm-coupled" => Cell::LstmCoupled,
        "lstm-peephole" => Cell::LstmPeephole,
    }
}

names! {
    /// `network.dense.activation`; a softmax is what classes end with.
    activation: Activation {
        "identity" => Activation::Identity,
        "relu" => Activation::Relu,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
    }
}
