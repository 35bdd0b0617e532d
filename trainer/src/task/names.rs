//! Names that a task file has for what the file format enumerates.

use kinglet::format::{Activation, Cell, PoolKind};
use serde::Deserializer;
use serde::de::{EnumAccess, Error, VariantAccess, Visitor};
use std::fmt;

/// Which of `names` stands there; one that is none of them is an error with all of them.
pub(super) fn choice<'de, D: Deserializer<'de>>(
    from: D,
    what: &'static str,
    names: &'static [&'static str],
) -> Result<usize, D::Error> {
    struct Choice(&'static [&'static str]);

    impl<'de> Visitor<'de> for Choice {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name")
        }

        fn visit_enum<A: EnumAccess<'de>>(self, read: A) -> Result<usize, A::Error> {
            let (name, rest) = read.variant::<String>()?;
            rest.unit_variant()?;
            let found = self.0.iter().position(|known| *known == name);
            found.ok_or_else(|| A::Error::unknown_variant(&name, self.0))
        }
    }

    from.deserialize_enum(what, names, Choice(names))
}

/// A list of names as serde wants it: `deserialize_with` reads one and gives what it stands for.
macro_rules! names {
    ($(#[$doc:meta])* $module:ident: $type:ty { $($name:literal => $value:expr),+ $(,)? }) => {
        $(#[$doc])*
        pub(super) mod $module {
            use super::*;

            pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                const VALUES: &[$type] = &[$($value),+];
                choice(from, stringify!($module), &[$($name),+]).map(|k| VALUES[k])
            }
        }
    };
}

/// `network.cell`
pub(super) mod cell {
    use super::*;

    const NAMES: [&str; Cell::ALL.len()] = {
        let mut names = [""; Cell::ALL.len()];
        let mut k = 0;
        while k < names.len() {
            names[k] = Cell::ALL[k].name();
            k += 1;
        }
        names
    };

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Cell, D::Error> {
        choice(from, "cell", &NAMES).map(|k| Cell::ALL[k])
    }
}

names! {
    /// `network.conv.pool_kind`
    pool_kind: PoolKind {
        "max" => PoolKind::Max,
        "mean" => PoolKind::Mean,
    }
}

names! {
    /// `network.dense.activation`; a softmax is what classes end with.
    activation: Activation {
        "identity" => Activation::Identity,
        "relu" => Activation::Relu,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "elu" => Activation::Elu,
    }
}
