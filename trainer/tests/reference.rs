//! The reference of the task file (`docs/src/task.md`) against the code: every key that a task file may have stands in it, no other does,
//! every name of a choice is there, every default is the one that applies, every example parses.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kinglet_trainer::task::{FeatureTask, Sections, TargetTask, Task};
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

const PAGE: &str = include_str!("../../docs/src/task.md");

/// Where the keys of a type are described, and a task that has a table of it at this place.
const PLACES: [(&str, &str, &str, &[&str]); 31] = [
    ("Sections", "the whole file", SERIES, &[]),
    ("CsvTask", "csv", SERIES, &["csv"]),
    ("Format", "csv.format", SERIES, &["csv", "format"]),
    ("JoinTask", "csv.join", SERIES, &["csv", "join"]),
    ("TestTask", "csv.test", SERIES, &["csv", "test"]),
    ("Audio", "csv.audio", SERIES, &["csv", "audio"]),
    ("SeriesTask", "series", SERIES, &["series"]),
    ("ColumnTable", "columns", SERIES, &["series", "features"]),
    ("LabelTask", "label", LABELLED, &["series", "label"]),
    (
        "ClassTask",
        "classes",
        LABELLED,
        &["series", "label", "classes"],
    ),
    (
        "SplitColumn",
        "split.column",
        LABELLED,
        &["series", "split", "column"],
    ),
    (
        "TranscriptTask",
        "transcript",
        TRANSCRIBED,
        &["series", "transcript"],
    ),
    ("SequencesTask", "sequences", SEQUENCES, &["sequences"]),
    ("TextTask", "text", TEXT, &["text"]),
    ("DocumentsTask", "documents", DOCUMENTS, &["documents"]),
    ("FilesTask", "files", TAGGED, &["tagged", "files"]),
    (
        "VocabularyTask",
        "vocabulary",
        TAGGED,
        &["tagged", "vocabulary"],
    ),
    ("TaggedTask", "tagged", TAGGED, &["tagged"]),
    ("PairsTask", "pairs", PAIRS, &["pairs"]),
    ("MadeTask", "made", PAIRS, &["pairs", "made"]),
    ("ShapeTask", "shape", LABELLED, &["shape"]),
    ("NetworkTask", "network", SERIES, &["network"]),
    ("ConvTask", "conv", SERIES, &["network", "conv"]),
    ("DenseTask", "dense", SERIES, &["network", "dense"]),
    ("TrainTask", "train", SERIES, &["train"]),
    (
        "QuantizedTask",
        "train.quantized",
        SERIES,
        &["train", "quantized"],
    ),
    ("AnomalyTask", "anomaly", SERIES, &["anomaly"]),
    ("LabelsTask", "labels", SERIES, &["anomaly", "labels"]),
    ("WakeTask", "wake", WAKING, &["wake"]),
    ("OutputTask", "output", SERIES, &["output"]),
    // Its variants are choices of `schedule`, described there.
    ("Schedule", "train", SERIES, &["train"]),
];

const SERIES: &str = r#"
name = "t"
csv = { file = "a.csv", format = {}, join = { file = "b.csv", on = "k" }, test = { file = "c.csv" }, audio = { column = "f" } }
series = { features = [{ column = "x" }], targets = ["x"] }
shape = { kind = "many-to-many", window = 8 }
network = { hidden = [4], conv = [{ filters = 3, kernel = 2 }], dense = [{ units = 3 }] }
train = { quantized = {} }
anomaly = { smoothing = 0.1, labels = { file = "l.json", key = "a.csv", time = "t" } }
output = {}
"#;
const LABELLED: &str = r#"
name = "t"
csv = { file = "a.csv" }
series = { features = ["x"], label = { column = "y", classes = [{ name = "a", labels = ["0"] }, { name = "b", labels = ["1"] }] }, split = { column = { name = "p" } } }
shape = { kind = "many-to-many", window = 8 }
network = { hidden = [4] }
"#;
const WAKING: &str = r#"
name = "t"
csv = { file = "a.csv", audio = { column = "f" } }
series = { features = ["mel*"], group = "f", label = { column = "y", classes = [{ name = "a", labels = ["0"] }, { name = "kinglet", labels = ["1"] }] } }
shape = { kind = "many-to-one", window = 8 }
network = { hidden = [4] }
wake = { word = "kinglet" }
"#;
const TRANSCRIBED: &str = r#"
name = "t"
csv = { file = "a.csv" }
series = { features = ["x"], group = "g", transcript = { column = "y" } }
shape = { kind = "many-to-many" }
network = { hidden = [4] }
"#;
const SEQUENCES: &str = r#"
name = "t"
csv = { file = "a.csv" }
sequences = { steps = ["a", "b"], feature = "x", label = { column = "y", classes = [{ name = "a", labels = ["0"] }, { name = "b", labels = ["1"] }] } }
shape = { kind = "many-to-one" }
network = { hidden = [4] }
"#;
const TEXT: &str = r#"
name = "t"
text = { file = "a.txt" }
shape = { kind = "next-token", window = 8 }
network = { hidden = [4], embedding = 4 }
"#;
const DOCUMENTS: &str = r#"
name = "t"
documents = { file = "a.csv", text = "x", label = { column = "y", classes = [{ name = "a", labels = ["0"] }, { name = "b", labels = ["1"] }] } }
shape = { kind = "many-to-one", window = 8 }
network = { hidden = [4], embedding = 4 }
"#;
const TAGGED: &str = r#"
name = "t"
tagged = { files = { train = "a", valid = "b", test = "c" }, vocabulary = {} }
shape = { kind = "many-to-many", window = 8 }
network = { hidden = [4], embedding = 4 }
"#;
const PAIRS: &str = r#"
name = "t"
pairs = { made = { kind = "dates", pairs = [10, 10, 10] } }
shape = { kind = "next-token", window = 8 }
network = { hidden = [4], embedding = 4 }
"#;

/// A row of a table: key, default, text.
type Row = (String, String, String);

/// The rows below each heading.
fn sections() -> BTreeMap<String, Vec<Row>> {
    let mut sections: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let (mut heading, mut in_keys) = (String::new(), false);
    for line in PAGE.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text.to_lowercase();
        }
        in_keys = line.starts_with('|') && (in_keys || line.starts_with("| key | default |"));
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let (true, [_, key, default, text @ .., _]) = (in_keys, &cells[..])
            && let Some(key) = key.strip_prefix('`').and_then(|k| k.strip_suffix('`'))
        {
            let row = (key.into(), (*default).into(), text.join("|"));
            sections.entry(heading.clone()).or_default().push(row);
        }
    }
    sections
}

/// What types ask for when they are read: the keys of tables and the names of choices.
#[derive(Default)]
struct Asked {
    tables: BTreeMap<String, BTreeSet<String>>,
    choices: BTreeMap<String, BTreeSet<String>>,
    /// Which choice is taken this time.
    turn: usize,
}

/// Reads any type from nothing, to see what it asks for.
#[derive(Clone, Copy)]
struct Trace<'a>(&'a RefCell<Asked>);

impl<'de> Deserializer<'de> for Trace<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("1")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Times(self, 1))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Times(self, len))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let keys = fields.iter().map(|f| f.to_string());
        self.0
            .borrow_mut()
            .tables
            .entry(name.into())
            .or_default()
            .extend(keys);
        visitor.visit_map(Fields(self, fields, 0))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut asked = self.0.borrow_mut();
        let names = variants.iter().map(|v| v.to_string());
        asked.choices.entry(name.into()).or_default().extend(names);
        let variant = variants[asked.turn.min(variants.len() - 1)];
        drop(asked);
        visitor.visit_enum(Variant(self, name, variant))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! { char str string bytes byte_buf unit unit_struct tuple_struct map identifier ignored_any i8 i16 i32 i64 i128 u128 }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }
}

struct Times<'a>(Trace<'a>, usize);

impl<'de> SeqAccess<'de> for Times<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.1 == 0 {
            return Ok(None);
        }
        self.1 -= 1;
        seed.deserialize(self.0).map(Some)
    }
}

struct Fields<'a>(Trace<'a>, &'static [&'static str], usize);

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some(key) = self.1.get(self.2) else {
            return Ok(None);
        };
        self.2 += 1;
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.0)
    }
}

struct Variant<'a>(Trace<'a>, &'static str, &'static str);

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.2.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let keys = fields.iter().map(|f| f.to_string());
        let mut asked = self.0.0.borrow_mut();
        asked.choices.entry(self.1.into()).or_default().extend(keys);
        drop(asked);
        visitor.visit_map(Fields(self.0, fields, 0))
    }
}

/// The keys that a table of columns accepts, from its own words about one that it does not.
fn column_keys() -> BTreeSet<String> {
    let unknown = "column = \"a\"\nno_such_key = 1\n";
    let errors = [
        toml::from_str::<FeatureTask>(unknown)
            .unwrap_err()
            .to_string(),
        toml::from_str::<TargetTask>(unknown)
            .unwrap_err()
            .to_string(),
    ];
    let listed = |error: &String| -> Vec<String> {
        let (_, list) = error
            .split_once("expected")
            .unwrap_or_else(|| panic!("{error}"));
        list.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    errors.iter().flat_map(listed).collect()
}

fn asked() -> Asked {
    let asked = RefCell::new(Asked::default());
    // More turns than any choice has variants.
    for turn in 0..16 {
        asked.borrow_mut().turn = turn;
        let read = Sections::deserialize(Trace(&asked));
        // A character, a name and a size are all read from "1": nothing asks for what is not there.
        assert!(read.is_ok(), "{read:?}");
    }
    let mut asked = asked.into_inner();
    asked.tables.insert("ColumnTable".into(), column_keys());
    asked
}

#[test]
fn every_key_of_a_task_file_is_described_and_no_other() {
    let sections = sections();
    for (name, keys) in asked().tables {
        let place = PLACES.iter().find(|place| place.0 == name);
        let (_, heading, ..) = place.unwrap_or_else(|| panic!("{name} is a new table of the task file: give it a heading in docs/src/task.md and a line in PLACES"));
        let rows = sections
            .get(*heading)
            .unwrap_or_else(|| panic!("docs/src/task.md has no table of keys below ## {heading}"));
        let described: BTreeSet<String> = rows.iter().map(|row| row.0.clone()).collect();
        let lacking: Vec<_> = keys.difference(&described).collect();
        let invented: Vec<_> = described.difference(&keys).collect();
        assert!(
            lacking.is_empty(),
            "docs/src/task.md, ## {heading}: describe {lacking:?}"
        );
        assert!(
            invented.is_empty(),
            "docs/src/task.md, ## {heading}: there is no {invented:?}"
        );
    }
}

#[test]
fn every_choice_is_named() {
    for (name, choices) in asked().choices {
        for choice in choices {
            let named = PAGE.contains(&format!("\"{choice}\""))
                || PAGE.contains(&format!("{{ {choice} = "))
                || PAGE.contains(&format!(", {choice} = "));
            assert!(
                named,
                "docs/src/task.md names no {choice:?}, which {name} may be"
            );
        }
    }
}

fn parse(table: &toml::Table) -> Result<Task, String> {
    let text = toml::to_string(table).unwrap();
    Task::parse(&text, Path::new("t.toml")).map_err(|error| format!("{error}\nin\n{text}"))
}

/// The table at a place; of a list of tables the first.
fn at<'t>(table: &'t mut toml::Table, path: &[&str]) -> &'t mut toml::Table {
    let mut table = table;
    for key in path {
        let value = table.get_mut(*key).unwrap_or_else(|| panic!("no {key}"));
        let value = if value.is_array() {
            &mut value.as_array_mut().unwrap()[0]
        } else {
            value
        };
        table = value.as_table_mut().unwrap();
    }
    table
}

#[test]
fn every_default_is_the_one_that_applies() {
    let sections = sections();
    for (_, heading, base, path) in PLACES {
        for (key, default, _) in &sections[heading] {
            let mut table: toml::Table = toml::from_str(base).unwrap();
            at(&mut table, path).remove(key);
            let without = parse(&table);
            if default == "*required*" {
                assert!(without.is_err(), "## {heading}: {key} is not required");
                continue;
            }
            let Some(value) = default.strip_prefix('`').and_then(|d| d.strip_suffix('`')) else {
                assert!(
                    ["—", "as usual", "all defaults"].contains(&&**default),
                    "## {heading}: {key}: {default:?} is no default"
                );
                continue;
            };
            let value: toml::Table = toml::from_str(&format!("value = {value}")).unwrap();
            at(&mut table, path).insert(key.clone(), value["value"].clone());
            // What a task cannot do without has no default that can be asked for in this task.
            if without.is_err() && parse(&table).is_err() {
                continue;
            }
            assert_eq!(
                without,
                parse(&table),
                "## {heading}: the default of {key} is not {default}"
            );
        }
    }
}

#[test]
fn every_example_is_a_task_or_a_part_of_one() {
    let mut examples = 0;
    for block in PAGE.split("```toml\n").skip(1) {
        let example: toml::Table = toml::from_str(block.split("```").next().unwrap()).unwrap();
        examples += 1;
        // What is lacking comes from a task that has the example's data section.
        let bases = [
            SERIES, LABELLED, WAKING, SEQUENCES, TEXT, DOCUMENTS, TAGGED, PAIRS,
        ];
        let fits = bases.iter().any(|base| {
            let mut whole: toml::Table = toml::from_str(base).unwrap();
            whole.remove("anomaly");
            merge(&mut whole, &example);
            parse(&whole).is_ok()
        });
        assert!(fits, "{example}");
    }
    assert!(examples > 8);
}

fn merge(into: &mut toml::Table, from: &toml::Table) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}
