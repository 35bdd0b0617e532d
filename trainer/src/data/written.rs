//! How the data was written that a model was trained on: a part of its file, so that what it predicts later is read in the same
//! way without being told again.

use kinglet::format::Header;
use serde::{Deserialize, Serialize};

use super::audio::Audio;
use super::csv::Format;
use crate::task::{Data, Task};
use std::path::Path;
use toml::{Table, Value};

/// What a task says about its tables that predicting has to know too. In a model file it is TOML, of what is not as usual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// The column that says what a row belongs to.
    pub group: Option<String>,
    /// Columns came from another file as well: its name, and the column by which it was joined.
    pub joined: Option<[String; 2]>,
    /// Of a group the first of so many rows was taken.
    pub every: usize,
    /// Rows from the last sample to the one that is predicted, where it is one; several are in the names of outputs.
    pub horizon: usize,
    /// The column of texts.
    pub text: Option<String>,
    /// It is no table but one text.
    pub running: bool,
    /// It is no table but words with tags, a line each; the words are in this column.
    pub tagged: Option<usize>,
    /// A row is a sequence, of these [steps](super::steps).
    pub steps: Vec<String>,
    /// Tokens are levels of these columns, one after the other.
    pub levels: Vec<String>,
    /// The column of classes that their rows begin with.
    pub label: Option<String>,
    /// Rows of a picture, each of which begins with a token of its own; 1: all rows begin alike.
    pub rows: usize,
    /// A column names recordings, which are rows of what the front end hears in them.
    pub audio: Option<Audio>,
    /// The class that is waited for.
    pub wake: Option<String>,
    /// Samples a second of the recordings whose samples it takes.
    pub rate: Option<u32>,
    /// Least and largest value of each input, or of all of them, over the samples that the integers inside were fitted to; of a network that bounds what
    /// is inside by itself, nothing.
    pub seen: Vec<[f64; 2]>,
    /// How the file is written.
    pub format: Format,
}

impl Default for Written {
    fn default() -> Self {
        Written {
            group: None,
            joined: None,
            every: 1,
            horizon: 1,
            text: None,
            running: false,
            tagged: None,
            steps: Vec::new(),
            levels: Vec::new(),
            label: None,
            rows: 1,
            audio: None,
            wake: None,
            rate: None,
            seen: Vec::new(),
            format: Format::default(),
        }
    }
}

impl Written {
    /// As a task has it.
    pub fn of(task: &Task) -> Self {
        let series = task.series();
        let drawn = series.filter(|series| series.levels.is_some());
        // Of texts in pairs only the texts are read later, a line each.
        let pairs = task.pairs().filter(|pairs| pairs.has_samples());
        let format = match (&task.csv, &task.data, pairs) {
            (Some(csv), ..) => csv.format.clone(),
            (_, Data::Documents(documents), _) => documents.format.clone(),
            (.., Some(pairs)) => pairs.format.clone(),
            _ => Format::default(),
        };
        Written {
            group: match pairs {
                Some(pairs) => pairs.group().map(str::to_owned),
                None => series.and_then(|series| series.group.clone()),
            },
            joined: task.csv.as_ref().and_then(|csv| {
                let join = csv.join.as_ref()?;
                let name = Path::new(&join.file).file_name().unwrap_or_default();
                Some([name.to_string_lossy().into_owned(), join.on.clone()])
            }),
            every: series.map_or(1, |series| series.every),
            horizon: match series {
                Some(series) if series.levels.is_none() && series.transcript.is_none() => {
                    match task.shape.horizons.is_empty() {
                        true => task.shape.horizon,
                        false => 1,
                    }
                }
                _ => 1,
            },
            text: task.documents().map(|texts| texts.text.clone()),
            running: task.text().is_some(),
            tagged: task.tagged().map(|tagged| tagged.word),
            // Only the table knows those between.
            steps: Vec::new(),
            levels: drawn.map_or(Vec::new(), |series| {
                let columns = series.features.iter();
                columns.map(|feature| feature.column.clone()).collect()
            }),
            rows: match drawn {
                Some(series) if series.picture => task.shape.window,
                _ => 1,
            },
            audio: task.csv.as_ref().and_then(|csv| csv.audio.clone()),
            wake: task.wake.as_ref().map(|wake| wake.word.clone()),
            rate: None,
            seen: Vec::new(),
            label: drawn.and_then(|series| Some(series.label.as_ref()?.column.clone())),
            // Rows at the beginning were left out of that file, not of others.
            format: Format { skip: 0, ..format },
        }
    }

    /// As a model file has it: nothing where all is as usual.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        let (all, usual) = (Table::try_from(self)?, Table::try_from(Written::default())?);
        toml::to_string(&apart_from(all, &usual))
    }

    /// From the bytes of a model. None, where a later version has words in it that this one does not know.
    pub fn in_model(bytes: &[u8]) -> Option<Self> {
        let (_, tail) = Header::in_file(bytes).ok()?;
        toml::from_str(str::from_utf8(tail.data).ok()?).ok()
    }
}

/// What of a table is not as in another one.
fn apart_from(table: Table, usual: &Table) -> Table {
    let differs = |(key, value): (String, Value)| match (value, usual.get(&key)) {
        (Value::Table(table), Some(Value::Table(usual))) => {
            let rest = apart_from(table, usual);
            (!rest.is_empty()).then_some((key, Value::Table(rest)))
        }
        (value, usual) => (usual != Some(&value)).then_some((key, value)),
    };
    table.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::super::csv::{Header, Missing};
    use super::*;

    #[test]
    fn what_is_not_as_usual_is_written_and_read() {
        assert_eq!(Written::default().to_text().unwrap(), "");
        let written = Written {
            group: Some("press".into()),
            joined: Some(["plan.csv".into(), "day".into()]),
            every: 2,
            horizon: 24,
            text: Some("review".into()),
            running: true,
            tagged: Some(2),
            steps: vec!["t0".into(), "t9".into()],
            levels: vec!["x".into(), "y".into()],
            label: Some("kind".into()),
            rows: 8,
            audio: Some(toml::from_str("column = \"file\"\nlow = 50.0").unwrap()),
            wake: Some("kinglet".into()),
            rate: Some(48_000),
            seen: vec![[-1.5, 20.25], [0.0, f64::INFINITY]],
            format: Format {
                delimiter: ';',
                decimal: ',',
                thousands: Some('.'),
                header: Header::Names(vec!["a".into(), "b, c".into()]),
                missing: Missing::Hold,
                missing_values: vec!["-200".into(), "n/a".into()],
                time: Some("%d/%m/%Y".into()),
                newest_first: true,
                ..Format::default()
            },
        };
        let text = written.to_text().unwrap();
        assert!(!text.contains("max_field"), "{text}");
        assert_eq!(toml::from_str::<Written>(&text).unwrap(), written);
    }
}
