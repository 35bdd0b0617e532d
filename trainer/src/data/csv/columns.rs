//! From the fields of a row to numbers: plain columns and derived ones.

use super::super::derived::Derived;
use super::super::error::DataError;
use super::super::time::Time;
use super::format::Missing;

/// Some columns of a file, in the order asked for, and the numbers that a gap repeats.
#[derive(Debug, Clone)]
pub struct Columns {
    pub(super) file: String,
    pub(super) wanted: Vec<Column>,
    group: Option<GroupColumn>,
    missing: Missing,
    time: Option<String>,
}

/// The column that says what a row belongs to.
#[derive(Debug, Clone)]
struct GroupColumn {
    pub(super) at: usize,
    /// Of the last row.
    text: Option<String>,
    /// The last row is of another group than the one before it.
    begins: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    name: String,
    pub(super) at: usize,
    derived: Option<Derived>,
    /// The categories of this column that are asked for: what is none of them is an error.
    categories: Vec<String>,
    last: Option<f32>,
    /// When the row before was, for the time since; or what it held, for the difference.
    time: Option<f64>,
}

impl Columns {
    pub(super) fn find(
        file: &str,
        names: &[String],
        (missing, time): (Missing, Option<&str>),
        wanted: &[&str],
    ) -> Result<Self, DataError> {
        let place = |name: &str| names.iter().position(|n| n == name);
        let mut wanted = wanted
            .iter()
            .map(|&name| {
                let found = place(name).map(|at| (at, None)).or_else(|| {
                    let (derived, column) = Derived::parse(name)?;
                    Some((place(column)?, Some(derived)))
                });
                let (at, derived) = found.ok_or_else(|| DataError::UnknownColumn {
                    file: file.into(),
                    column: name.into(),
                    known: names.to_vec(),
                })?;
                Ok(Column {
                    name: name.into(),
                    at,
                    derived,
                    categories: Vec::new(),
                    last: None,
                    time: None,
                })
            })
            .collect::<Result<Vec<Column>, DataError>>()?;
        for k in 0..wanted.len() {
            let asked = wanted.iter().filter(|other| other.at == wanted[k].at);
            wanted[k].categories = asked.filter_map(Column::category).cloned().collect();
        }
        Ok(Columns {
            file: file.into(),
            wanted,
            group: None,
            missing,
            time: time.map(String::from),
        })
    }

    /// Rows that follow each other with the same text in this column are a group: a gap is not filled from another one.
    pub fn group_by(mut self, name: &str, names: &[String]) -> Result<Self, DataError> {
        let unknown = || DataError::UnknownColumn {
            file: self.file.clone(),
            column: name.into(),
            known: names.to_vec(),
        };
        let at = names.iter().position(|n| n == name).ok_or_else(unknown)?;
        self.group = Some(GroupColumn {
            at,
            text: None,
            begins: false,
        });
        Ok(self)
    }

    /// The group of the last row.
    pub fn group(&self) -> Option<&str> {
        self.group.as_ref()?.text.as_deref()
    }

    /// Whether the last row began a group after another one.
    pub fn begins_group(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.begins)
    }

    /// The next row has no row before it.
    pub(super) fn forget(&mut self) {
        for column in &mut self.wanted {
            (column.last, column.time) = (None, None);
        }
    }

    pub(super) fn parse(
        &mut self,
        record: &::csv::StringRecord,
        line: u64,
        sample: &mut [f32],
    ) -> Result<(), DataError> {
        if let Some(group) = &mut self.group {
            let text = &record[group.at];
            let same = group.text.as_deref() == Some(text);
            group.begins = !same && group.text.is_some();
            if !same {
                group.text = Some(text.to_owned());
                self.forget();
            }
        }
        let how = (self.missing, self.time.as_deref());
        for (column, out) in self.wanted.iter_mut().zip(sample) {
            *out = column.value(&record[column.at], how, &self.file, line)?;
            if !out.is_nan() {
                column.last = Some(*out);
            }
        }
        Ok(())
    }
}

impl Column {
    fn category(&self) -> Option<&String> {
        match &self.derived {
            Some(Derived::Is(category)) => Some(category),
            _ => None,
        }
    }

    /// The number for a field of this column.
    fn value(
        &mut self,
        text: &str,
        (missing, format): (Missing, Option<&str>),
        file: &str,
        line: u64,
    ) -> Result<f32, DataError> {
        let (file, column) = (|| file.to_owned(), || self.name.clone());
        let text_owned = || text.to_owned();
        if self.derived == Some(Derived::Missing) {
            return Ok(f32::from(u8::from(is_missing(text))));
        }
        if is_missing(text) {
            if self.derived == Some(Derived::Diff)
                && missing == Missing::Hold
                && self.time.is_some()
            {
                // What is repeated does not change.
                return Ok(0.0);
            }
            return match (missing, self.last) {
                (Missing::Hold, Some(last)) => Ok(last),
                (Missing::Nan, _) => Ok(f32::NAN),
                (Missing::Hold, None) => Err(nothing_to_hold(file(), line, column(), text_owned())),
                (Missing::Error, _) => Err(DataError::Missing {
                    file: file(),
                    line,
                    column: column(),
                    text: text_owned(),
                    remedy: "fill it in, or set missing = \"hold\" (--missing hold) to repeat the row before",
                }),
            };
        }
        let not_a_time = || DataError::NotATime {
            file: file(),
            line,
            column: column(),
            text: text_owned(),
            format: format.map(String::from),
        };
        let time = || Time::parse(text, format).ok_or_else(not_a_time);
        match &self.derived {
            Some(Derived::Clock(clock)) => Ok(clock.value(time()?)),
            Some(Derived::Elapsed) => {
                let now = time()?.instant;
                let before = self.time.replace(now).unwrap_or(now);
                Ok((now - before) as f32)
            }
            Some(Derived::Is(category)) => {
                if !self.categories.iter().any(|known| known == text) {
                    return Err(DataError::UnknownLabel {
                        file: file(),
                        line,
                        column: column(),
                        text: text_owned(),
                        known: self.categories.clone(),
                    });
                }
                Ok(f32::from(u8::from(text == category)))
            }
            Some(Derived::Diff) => match text.parse::<f64>() {
                Ok(now) if now.is_finite() => {
                    let before = self.time.replace(now).unwrap_or(now);
                    Ok((now - before) as f32)
                }
                _ => Err(DataError::NotANumber {
                    file: file(),
                    line,
                    column: column(),
                    text: text_owned(),
                }),
            },
            Some(Derived::Missing) | None => match text.parse::<f32>() {
                Ok(value) if value.is_finite() => Ok(value),
                _ => Err(DataError::NotANumber {
                    file: file(),
                    line,
                    column: column(),
                    text: text_owned(),
                }),
            },
        }
    }
}

pub(super) fn nothing_to_hold(file: String, line: u64, column: String, text: String) -> DataError {
    DataError::Missing {
        file,
        line,
        column,
        text,
        remedy: "no earlier row has one to hold, so skip the first rows (csv.skip)",
    }
}

/// An empty field, or what says that there is no number.
pub(crate) fn is_missing(text: &str) -> bool {
    ["", "na", "n/a", "nan", "null", "none", "?"]
        .iter()
        .any(|m| text.eq_ignore_ascii_case(m))
}
