//! From the fields of a row to numbers: plain columns and derived ones, and what they remember of a group's rows.

use std::collections::HashMap;
use std::mem;

use serde::{Deserialize, Serialize};

use super::super::derived::Derived;
use super::super::error::DataError;
use super::super::order::{Order, Resumed};
use super::super::share;
use super::super::time::{Form, Times};
use super::field::{Fields, is_same};
use super::format::{Missing, Unseen};

/// Some columns of a file, in the order asked for, and what they remember of every group.
#[derive(Debug, Clone)]
pub struct Columns {
    pub(super) file: String,
    pub(super) wanted: Vec<Column>,
    /// Where the column is that says what a row belongs to.
    group: Option<usize>,
    fields: Fields,
    /// The group of the last row.
    key: Option<String>,
    /// Of that group, a place per column.
    past: Vec<Past>,
    /// Of the other groups.
    others: HashMap<String, Vec<Past>>,
    /// What the current row will leave behind, if it is right.
    next: Vec<Past>,
    /// Rows with an unknown category and the first of them.
    unseen: Option<(u64, String)>,
    rows: u64,
    /// Rows whose gap repeats the number before, of each column.
    held: Vec<u64>,
}

/// What a column remembers of a group's last row.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Past {
    /// What a gap repeats.
    last: Option<f32>,
    /// When it was, in seconds; or what it held, for the difference.
    time: Option<f64>,
    /// What it held, where that was written as a whole number: it may have more digits than the above.
    whole: Option<i128>,
    /// When it was in a saved state that is gone on from.
    #[serde(skip)]
    saved: Option<f64>,
    /// The row had a gap there.
    #[serde(skip)]
    gap: bool,
}

/// What [`Columns`] remember, to go on with later.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// What the times of every column are.
    forms: Vec<Option<Form>>,
    /// Of every group; the text is empty where rows are not grouped.
    groups: Vec<(String, Vec<Past>)>,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    name: String,
    pub(super) at: usize,
    derived: Option<Derived>,
    /// The categories of this column that are asked for.
    categories: Vec<String>,
    times: Times,
    /// Of the times, where this is the first feature from their column.
    order: Option<Order>,
    resumed: Resumed,
    /// This is the first feature from its column.
    first: bool,
}

/// Where the one column of this name is.
pub(super) fn place(file: &str, names: &[String], name: &str) -> Result<Option<usize>, DataError> {
    let mut places = (0..names.len()).filter(|&k| names[k] == name);
    match (places.next(), places.next()) {
        (at, None) => Ok(at),
        _ => Err(DataError::DuplicateColumn {
            file: file.into(),
            column: name.into(),
            places: (1..=names.len()).filter(|k| names[k - 1] == name).collect(),
        }),
    }
}

impl Columns {
    pub(super) fn find(
        file: &str,
        names: &[String],
        fields: &Fields,
        wanted: &[&str],
    ) -> Result<Self, DataError> {
        let mut columns: Vec<Column> = Vec::new();
        for &name in wanted {
            let (at, derived) = match (place(file, names, name)?, Derived::parse(name)) {
                (Some(at), _) => (Some(at), None),
                (None, Some((derived, column))) => (place(file, names, column)?, Some(derived)),
                (None, None) => (None, None),
            };
            let at = at.ok_or_else(|| DataError::UnknownColumn {
                file: file.into(),
                column: name.into(),
                known: names.to_vec(),
            })?;
            let first = !columns
                .iter()
                .any(|other| other.at == at && other.derived.is_some());
            let timed = matches!(derived, Some(Derived::Clock(_) | Derived::Elapsed));
            columns.push(Column {
                name: name.into(),
                at,
                order: (timed && first).then(Order::default),
                resumed: Resumed::default(),
                derived,
                categories: Vec::new(),
                times: Times::new(fields.time.as_deref()),
                first,
            });
        }
        for k in 0..columns.len() {
            let asked = columns.iter().filter(|other| other.at == columns[k].at);
            columns[k].categories = asked.filter_map(Column::category).cloned().collect();
        }
        Ok(Columns {
            file: file.into(),
            past: vec![Past::default(); columns.len()],
            next: Vec::new(),
            held: vec![0; columns.len()],
            wanted: columns,
            group: None,
            fields: fields.clone(),
            key: None,
            others: HashMap::new(),
            unseen: None,
            rows: 0,
        })
    }

    /// All rows with the same text in this column are a group, wherever they stand: what looks back sees its rows only.
    ///
    /// # Errors
    /// If there is no such column, or more than one.
    pub fn group_by(mut self, name: &str, names: &[String]) -> Result<Self, DataError> {
        self.group = place(&self.file, names, name)?;
        match self.group {
            Some(_) => Ok(self),
            None => Err(DataError::UnknownColumn {
                file: self.file,
                column: name.into(),
                known: names.to_vec(),
            }),
        }
    }

    /// Where the column is that says what a row belongs to.
    pub(super) fn group_column(&self) -> Option<usize> {
        self.group
    }

    /// The group of the last row.
    pub fn group(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What is remembered of all groups.
    pub fn memory(&self) -> Memory {
        let current = (self.key.clone().unwrap_or_default(), self.past.clone());
        let others = self
            .others
            .iter()
            .map(|(key, past)| (key.clone(), past.clone()));
        let mut groups: Vec<_> = others.collect();
        if self.group.is_none() || self.key.is_some() {
            groups.push(current);
        }
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        Memory {
            forms: self
                .wanted
                .iter()
                .map(|column| column.times.form())
                .collect(),
            groups,
        }
    }

    /// Goes on from what was remembered; false if that is of other columns.
    pub fn remember(&mut self, memory: Memory) -> bool {
        let width = self.wanted.len();
        let fits = memory.forms.len() == width
            && memory.groups.iter().all(|(_, past)| past.len() == width);
        if !fits {
            return false;
        }
        for (column, form) in self.wanted.iter_mut().zip(memory.forms) {
            column.times.set_form(form);
        }
        self.others = memory.groups.into_iter().collect();
        let pasts = self.others.values_mut().flatten();
        pasts.for_each(|past| past.saved = past.time);
        if self.group.is_none()
            && let Some(past) = self.others.remove("")
        {
            self.past = past;
        }
        true
    }

    /// What there is to say about the rows so far.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for column in &self.wanted {
            let Some(order) = &column.order else { continue };
            let name = Derived::parse(&column.name).map_or(&column.name[..], |(_, name)| name);
            let wall = column.times.are_on_the_wall();
            notes.extend(order.note(&self.file, name, wall));
            notes.extend(column.resumed.notes(&self.file, name));
            notes.extend(column.times.note(&self.file, name));
        }
        notes.extend(self.unseen.iter().map(|(count, first)| {
            format!(
                "{}: {count} of {} rows hold a category that is not known, such as {first}; all of its features are 0 there",
                self.file, self.rows
            )
        }));
        for (k, column) in self.wanted.iter().enumerate() {
            let same = |other: &usize| self.wanted[*other].at == column.at;
            if (0..k).any(|other| same(&other)) {
                continue;
            }
            let gaps = (k..self.wanted.len()).filter(same).map(|k| self.held[k]);
            let name = match &column.derived {
                Some(_) => Derived::column_of(&column.name),
                None => &column.name,
            };
            let gaps = gaps.max().unwrap_or(0) as usize;
            notes.extend(held(&self.file, gaps, self.rows as usize, name));
        }
        notes
    }

    /// What was measured of the last row, if that is not all of its numbers: NaN where one repeats that before it.
    pub fn measured(&self, row: &[f32]) -> Option<Vec<f32>> {
        let columns = || self.past.iter().zip(&self.wanted).enumerate();
        // What is repeated does not change, and that is known.
        let is_held = |k: usize, (past, column): (&Past, &Column)| {
            past.gap && column.derived != Some(Derived::Diff) && !row[k].is_nan()
        };
        let any = columns().any(|(k, column)| is_held(k, column));
        any.then(|| {
            let mut measured = row.to_vec();
            for (k, column) in columns() {
                if is_held(k, column) {
                    measured[k] = f32::NAN;
                }
            }
            measured
        })
    }

    /// The next row has no row before it.
    pub(super) fn forget(&mut self) {
        self.past.fill(Past::default());
    }

    /// The next row is of this group.
    fn turn_to(&mut self, group: &str) {
        if self.key.as_deref() == Some(group) {
            return;
        }
        let fresh = || vec![Past::default(); self.wanted.len()];
        let past = self.others.remove(group).unwrap_or_else(fresh);
        let before = mem::replace(&mut self.past, past);
        if let Some(key) = self.key.replace(group.to_owned()) {
            self.others.insert(key, before);
        }
    }

    /// Whether every column is one of the file's as it is there, and so can be [taken](Self::take) from numbers.
    pub fn are_plain(&self) -> bool {
        self.wanted.iter().all(|column| column.derived.is_none())
    }

    /// Where in a row the wanted columns are.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.wanted.iter().map(|column| column.at)
    }

    /// A row whose fields were numbers and not text, of columns that [are plain](Self::are_plain): one number per wanted column, in
    /// its order, with NaN for a gap. `text` is what the field of a column would print.
    ///
    /// # Errors
    /// If a number is missing or beyond 32 bits.
    ///
    /// # Panics
    /// If there are fewer numbers, or less room in `sample`, than columns asked for.
    pub fn take(
        &mut self,
        group: Option<&str>,
        numbers: &[f32],
        text: impl Fn(usize) -> String,
        line: u64,
        sample: &mut [f32],
    ) -> Result<(), DataError> {
        if let Some(group) = group {
            self.turn_to(group);
        }
        let width = self.wanted.len();
        let (numbers, sample) = (&numbers[..width], &mut sample[..width]);
        sample.copy_from_slice(numbers);
        for (k, out) in sample.iter_mut().enumerate() {
            let column = &self.wanted[k];
            self.past[k].gap = out.is_nan();
            if out.is_nan() {
                let (past, text) = (&self.past[k], || text(k));
                *out = column.gap(past, &self.fields, &self.file, line, text)?;
            } else if out.is_infinite() {
                let text = text(k);
                return Err(DataError::NotANumber {
                    file: self.file.clone(),
                    line,
                    column: column.name.clone(),
                    cure: self.fields.cure(&text),
                    text,
                });
            }
        }
        self.count_held();
        // A row with a fault leaves nothing behind.
        for (past, &value) in self.past.iter_mut().zip(&*sample) {
            if !value.is_nan() {
                past.last = Some(value);
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn count_held(&mut self) {
        for (count, past) in self.held.iter_mut().zip(&self.past) {
            *count += u64::from(past.gap && past.last.is_some());
        }
    }

    /// What the first row is, where none of the numbers that were asked for is one: kW and °C, below the names of the columns.
    fn units(&self, record: &::csv::StringRecord, line: u64) -> Option<DataError> {
        const SHOWN: usize = 6;
        let numbers = self.wanted.iter().filter(|column| {
            matches!(
                column.derived,
                None | Some(Derived::Diff | Derived::Ahead(_))
            )
        });
        let mut places: Vec<usize> = numbers.map(|column| column.at).collect();
        places.dedup();
        let columns = places.len();
        // A unit is left out where there is none.
        let there = places.into_iter().map(|at| &record[at]);
        let texts: Vec<&str> = there.filter(|text| !self.fields.is_missing(text)).collect();
        let is_unit = |text: &&str| {
            let begins = text.trim_start_matches(['-', '+', '.']);
            !begins.starts_with(|c: char| c.is_ascii_digit())
                && self.fields.number::<f64>(text).is_none()
        };
        // One text alone may as well be a row that is torn, unless it can be nothing else.
        let sure = |text: &str| {
            record.len() > 1 && text.chars().count() <= 3
                || text.contains(['°', '%', '/', '[', '(', '²', '³', 'µ'])
        };
        let number = |text: &str| self.fields.number::<f64>(text).is_some();
        let units = !texts.is_empty() && texts.iter().all(is_unit) && !record.iter().any(number);
        let more = match texts.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown: Vec<String> = texts.iter().take(SHOWN).map(|t| format!("{t:?}")).collect();
        (units && (columns > 1 || sure(texts[0]))).then(|| DataError::Units {
            file: self.file.clone(),
            line,
            texts: shown.join(", ") + &more,
        })
    }

    /// Rows of its group that must be there behind a row.
    pub fn ahead(&self) -> usize {
        self.wanted.iter().map(Column::ahead).max().unwrap_or(0)
    }

    /// `later` gives the group's rows after this one by their distance.
    pub(super) fn parse<'r>(
        &mut self,
        record: &'r ::csv::StringRecord,
        later: impl Fn(usize) -> &'r ::csv::StringRecord,
        line: u64,
        sample: &mut [f32],
    ) -> Result<(), DataError> {
        if let Some(at) = self.group {
            self.turn_to(&record[at]);
        }
        // A row with a fault leaves nothing behind.
        self.next.clone_from(&self.past);
        let mut unseen = None;
        let mut fault = None;
        for ((column, past), out) in self.wanted.iter_mut().zip(&mut self.next).zip(sample) {
            let text = match column.ahead() {
                0 => &record[column.at],
                rows => &later(rows)[column.at],
            };
            *out = match column.value(text, past, &self.fields, &self.file, line) {
                Ok(value) => value,
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            };
            if !out.is_nan() {
                past.last = Some(*out);
            }
            if column.is_unseen(text, &self.fields) {
                unseen = unseen.or_else(|| Some(format!("{text:?} in line {line}")));
            }
        }
        if let Some(error) = fault {
            let units = error.is_of_field() && self.rows == 0;
            let units = units.then(|| self.units(record, line)).flatten();
            return Err(units.unwrap_or(error));
        }
        for (column, (before, now)) in self.wanted.iter_mut().zip(self.past.iter().zip(&self.next))
        {
            let (Some(order), Some(now)) = (&mut column.order, now.time) else {
                continue;
            };
            // Behind a saved state the first row has none before it in the file.
            let in_file = before.time.filter(|time| before.saved != Some(*time));
            order.see(in_file, now, line);
            if let (Some(saved), Some(before)) = (before.saved, before.time) {
                column.resumed.see(saved, before, now, line);
            }
        }
        if let Some(text) = unseen {
            self.unseen.get_or_insert((0, text)).0 += 1;
        }
        self.rows += 1;
        mem::swap(&mut self.past, &mut self.next);
        self.count_held();
        Ok(())
    }
}

impl Column {
    fn ahead(&self) -> usize {
        match self.derived {
            Some(Derived::Ahead(rows)) => rows,
            _ => 0,
        }
    }

    fn category(&self) -> Option<&String> {
        match &self.derived {
            Some(Derived::Is(category)) => Some(category),
            _ => None,
        }
    }

    fn is_known(&self, text: &str) -> bool {
        self.categories.iter().any(|known| is_same(known, text))
    }

    /// A category that is not known; counted once for all features of a column.
    fn is_unseen(&self, text: &str, fields: &Fields) -> bool {
        self.first && self.category().is_some() && !fields.is_missing(text) && !self.is_known(text)
    }

    /// The number for a field that holds none.
    fn gap(
        &self,
        past: &Past,
        fields: &Fields,
        file: &str,
        line: u64,
        text: impl Fn() -> String,
    ) -> Result<f32, DataError> {
        let (file, column) = (|| file.to_owned(), || self.name.clone());
        match (fields.missing, past.last) {
            (Missing::Hold, Some(last)) => Ok(last),
            (Missing::Nan, _) => Ok(f32::NAN),
            (Missing::Hold, None) => Err(nothing_to_hold(file(), line, column(), text())),
            (Missing::Error, _) => Err(DataError::Missing {
                file: file(),
                line,
                column: column(),
                text: text(),
                remedy: "fill it in, or set missing = \"hold\" (--missing hold) to repeat the row before",
            }),
        }
    }

    /// The number for a field of this column.
    fn value(
        &mut self,
        text: &str,
        past: &mut Past,
        fields: &Fields,
        file: &str,
        line: u64,
    ) -> Result<f32, DataError> {
        let text_owned = || text.to_owned();
        if self.derived == Some(Derived::Missing) {
            return Ok(f32::from(u8::from(fields.is_missing(text))));
        }
        // A category may be called "none".
        let known = self.is_known(text);
        past.gap = fields.is_missing(text) && !known;
        if past.gap {
            let repeats = matches!(fields.missing, Missing::Hold | Missing::Nan);
            if self.derived == Some(Derived::Diff) && repeats && past.time.is_some() {
                // What is repeated does not change.
                return Ok(0.0);
            }
            return self.gap(past, fields, file, line, text_owned);
        }
        let (file, column) = (|| file.to_owned(), || self.name.clone());
        match &self.derived {
            Some(derived @ (Derived::Clock(_) | Derived::Elapsed)) => {
                let wall = matches!(derived, Derived::Clock(_));
                let time = self.times.read(text, wall);
                let time = time.map_err(|error| DataError::NotATime {
                    file: file(),
                    line,
                    column: column(),
                    text: text_owned(),
                    format: fields.time.clone(),
                    problem: error.problem(),
                })?;
                let before = past.time.replace(time.instant).unwrap_or(time.instant);
                Ok(match derived {
                    Derived::Clock(clock) => clock.value(time),
                    _ => (time.instant - before) as f32,
                })
            }
            Some(Derived::Is(category)) => {
                if !known && fields.unseen == Unseen::Error {
                    return Err(DataError::UnknownLabel {
                        file: file(),
                        line,
                        column: column(),
                        text: text_owned(),
                        known: self.categories.clone(),
                    });
                }
                // Where there are both True and true, they are two.
                let is = match self.categories.iter().any(|known| known == text) {
                    true => text == category,
                    false => is_same(category, text),
                };
                Ok(f32::from(u8::from(is)))
            }
            Some(Derived::Diff) => match fields.number::<f64>(text) {
                Some(now) if now.is_finite() => {
                    let before = past.time.replace(now).unwrap_or(now);
                    let whole = fields.whole(text);
                    let step = whole.zip(mem::replace(&mut past.whole, whole));
                    Ok(
                        match step.and_then(|(now, before)| now.checked_sub(before)) {
                            Some(step) => step as f32,
                            None => (now - before) as f32,
                        },
                    )
                }
                _ => Err(DataError::NotANumber {
                    file: file(),
                    line,
                    column: column(),
                    cure: fields.cure(text),
                    text: text_owned(),
                }),
            },
            Some(Derived::Missing | Derived::Ahead(_)) | None => match fields.number::<f32>(text) {
                Some(value) if value.is_finite() => Ok(value),
                _ => Err(DataError::NotANumber {
                    file: file(),
                    line,
                    column: column(),
                    cure: fields.cure(text),
                    text: text_owned(),
                }),
            },
        }
    }
}

/// What there is to say about gaps of an input that are filled.
pub fn held(file: &str, gaps: usize, rows: usize, column: &str) -> Option<String> {
    (gaps > 0).then(|| {
        format!(
            "{file}: {} have no {column:?} and take the one before them (missing = \"hold\")",
            share(gaps, rows, "rows"),
        )
    })
}

pub(super) fn nothing_to_hold(file: String, line: u64, column: String, text: String) -> DataError {
    DataError::Missing {
        file,
        line,
        column,
        text,
        remedy: "no earlier row has one to hold; fill it in, or leave such rows out (on_error = \"skip\" in the format, --on-error skip)",
    }
}
