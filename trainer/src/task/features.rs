//! Columns in a task file: a plain name, or a table where something is to be said about it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, de};

use crate::data::normalise::Normalise;

/// An input column.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTask {
    /// Its name.
    pub column: String,
    /// Unit of the raw value, or empty.
    pub unit: String,
    /// Applied before scaling.
    pub transform: FeatureTransform,
    /// The column whose previous value a difference or ratio refers to; itself by default.
    pub against: Option<String>,
    /// Instead of the section's normalisation.
    pub normalise: Option<Normalise>,
}

/// What happens to a raw value before it is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureTransform {
    /// Nothing.
    #[default]
    None,
    /// Logarithm.
    Log,
    /// Minus the previous sample's value.
    Difference,
    /// Logarithm of the ratio to the previous sample's value.
    LogRatio,
}

/// A predicted column.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetTask {
    /// Its name.
    pub column: String,
    /// Unit, or empty.
    pub unit: String,
    /// What the network predicts about it.
    pub transform: TargetTransform,
    /// The feature whose current value a difference or log-return refers to; the one of the same
    /// name by default.
    pub against: Option<String>,
    /// Instead of the section's normalisation.
    pub normalise: Option<Normalise>,
}

/// What the network predicts about a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetTransform {
    /// The value.
    #[default]
    None,
    /// Its logarithm.
    Log,
    /// How much it differs from the value now.
    Difference,
    /// The logarithm of its ratio to the value now.
    LogReturn,
}

/// The table form, of features and of targets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnTable<T: Default> {
    column: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    transform: T,
    against: Option<String>,
    normalise: Option<Normalise>,
}

/// Takes either form. Not serde's `untagged`, whose errors say neither where nor what.
struct EitherForm<T>(PhantomData<T>);

impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for EitherForm<T> {
    type Value = ColumnTable<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a column name or a table { column = \"…\", unit, transform, against, normalise }",
        )
    }

    fn visit_str<E: de::Error>(self, column: &str) -> Result<Self::Value, E> {
        Ok(ColumnTable {
            column: column.into(),
            unit: String::new(),
            transform: T::default(),
            against: None,
            normalise: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        ColumnTable::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de> Deserialize<'de> for FeatureTask {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let table = input.deserialize_any(EitherForm(PhantomData))?;
        Ok(FeatureTask {
            column: table.column,
            unit: table.unit,
            transform: table.transform,
            against: table.against,
            normalise: table.normalise,
        })
    }
}

impl<'de> Deserialize<'de> for TargetTask {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let table = input.deserialize_any(EitherForm(PhantomData))?;
        Ok(TargetTask {
            column: table.column,
            unit: table.unit,
            transform: table.transform,
            against: table.against,
            normalise: table.normalise,
        })
    }
}
