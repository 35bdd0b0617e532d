//! Columns in a task file: a plain name, or a table where something is to be said about it.

use std::fmt;
use std::iter;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::{Audio, ClassWeights, SplitColumn};
use crate::data::derived::Derived;
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
    /// The texts that the column may hold, where it is not a number: each becomes a feature of its own, 1 where
    /// the column holds it and 0 elsewhere.
    pub categories: Vec<String>,
    /// What it will be is known where it is predicted, as of a plan, a price list or a weather forecast.
    pub known: bool,
}

impl FeatureTask {
    /// This feature, or for `mel*` one for each band of recordings.
    pub fn heard(self, audio: &Audio) -> Vec<FeatureTask> {
        if self.column != "mel*" {
            return vec![self];
        }
        let of = |column| FeatureTask {
            column,
            ..self.clone()
        };
        audio.names().into_iter().map(of).collect()
    }

    /// This feature, or one for each of its categories, or of a known one what it is at each of these horizons.
    pub fn expanded(self, horizons: &[usize]) -> Vec<FeatureTask> {
        if self.known {
            let at = |&horizon: &usize| FeatureTask {
                column: Derived::ahead(&self.column, horizon),
                known: false,
                ..self.clone()
            };
            return horizons.iter().map(at).collect();
        }
        if self.categories.is_empty() {
            return vec![self];
        }
        let of = |category: &String| FeatureTask {
            column: Derived::category(&self.column, category),
            categories: Vec::new(),
            ..self.clone()
        };
        self.categories.iter().map(of).collect()
    }
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
    /// No truth is larger.
    pub cap: Option<f32>,
    /// For `remaining(…)`: a column that says in a group's last row how much remains there, where the group ends
    /// early.
    pub after: Option<String>,
    /// Instead of the section's normalisation.
    pub normalise: Option<Normalise>,
}

impl TargetTask {
    /// `remaining(cycle)`: how far that column is from its value in the group's last row.
    pub fn remaining(&self) -> Option<&str> {
        self.column.strip_prefix("remaining(")?.strip_suffix(')')
    }
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
    #[serde(default)]
    categories: Vec<String>,
    cap: Option<f32>,
    after: Option<String>,
    #[serde(default)]
    known: bool,
}

/// Takes either form. Not serde's `untagged`, whose errors say neither where nor what.
struct EitherForm<T>(PhantomData<T>);

impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for EitherForm<T> {
    type Value = ColumnTable<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a column name or a table { column = \"…\", unit, transform, against, normalise, categories, known, cap, after }",
        )
    }

    fn visit_str<E: de::Error>(self, column: &str) -> Result<Self::Value, E> {
        Ok(ColumnTable {
            column: column.into(),
            unit: String::new(),
            transform: T::default(),
            against: None,
            normalise: None,
            categories: Vec::new(),
            cap: None,
            after: None,
            known: false,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        ColumnTable::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de> Deserialize<'de> for FeatureTask {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let table = input.deserialize_any(EitherForm(PhantomData))?;
        if table.cap.is_some() || table.after.is_some() {
            return Err(de::Error::custom("only a target has cap and after"));
        }
        if table.known && (!table.categories.is_empty() || Derived::parse(&table.column).is_some())
        {
            return Err(de::Error::custom(
                "only a column of numbers is known ahead: write known without categories, and not of a derived column",
            ));
        }
        Ok(FeatureTask {
            known: table.known,
            column: table.column,
            unit: table.unit,
            transform: table.transform,
            against: table.against,
            normalise: table.normalise,
            categories: table.categories,
        })
    }
}

impl<'de> Deserialize<'de> for TargetTask {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let table = input.deserialize_any(EitherForm(PhantomData))?;
        if table.known {
            return Err(de::Error::custom(
                "what is predicted is not known: only a feature has known",
            ));
        }
        if !table.categories.is_empty() {
            return Err(de::Error::custom(
                "a target has no categories; predict classes with label = { column, classes }",
            ));
        }
        Ok(TargetTask {
            column: table.column,
            unit: table.unit,
            transform: table.transform,
            against: table.against,
            cap: table.cap,
            after: table.after,
            normalise: table.normalise,
        })
    }
}

/// A text or a list of texts.
pub fn one_or_more<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMore;

    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.into()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    input.deserialize_any(OneOrMore)
}

/// What a column is called whose parts are, or a table that says what they are called.
pub fn name_or_column<'de, D: Deserializer<'de>>(input: D) -> Result<SplitColumn, D::Error> {
    struct NameOrColumn;

    impl<'de> Visitor<'de> for NameOrColumn {
        type Value = SplitColumn;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name of a column whose rows say \"train\", \"valid\" or \"test\", or a table { name, train, valid, test }")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
            // As a table that says no more.
            SplitColumn::deserialize(MapDeserializer::new(iter::once(("name", name))))
        }

        fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
            SplitColumn::deserialize(MapAccessDeserializer::new(table))
        }
    }

    input.deserialize_any(NameOrColumn)
}

impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct RuleOrList;

        impl<'de> Visitor<'de> for RuleOrList {
            type Value = ClassWeights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"balanced\" or a list of a weight per class, such as [1, 5]")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
                Ok(ClassWeights::Rule(word.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(ClassWeights::Each)
            }
        }

        input.deserialize_any(RuleOrList)
    }
}
