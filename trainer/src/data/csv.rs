//! CSV files by column name: for training all at once ([`Table`]), for a prediction row by row
//! ([`Reader`]). Both turn a row into numbers through [`Columns`], so what a model was trained on
//! and what it is later given cannot differ.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::derived::Derived;
use super::error::DataError;
use super::open::open;
use super::time::Time;

/// How the file is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Format {
    /// Between two fields. Between tabs a quotation mark is a character like any other, elsewhere it encloses a field.
    pub delimiter: char,
    /// Where the column names come from.
    pub header: Header,
    /// Lines that start with it are skipped.
    pub comment: Option<char>,
    /// Data rows to leave out at the beginning.
    pub skip: usize,
    /// The file is in reverse order of time.
    pub newest_first: bool,
    /// What to do about an empty field, `NA` or `NaN`.
    pub missing: Missing,
    /// How times are written, as `strftime` says it: `%d/%m/%Y %H:%M`. Without it the common forms of
    /// [`Time`] are understood.
    pub time: Option<String>,
}

/// Where the column names come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// The first line that is not a comment.
    FirstLine,
    /// There are none: the columns are called `1`, `2`, ….
    None,
    /// From here; the file has no header line.
    Names(Vec<String>),
}

/// What to do about a missing number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Stop.
    Error,
    /// Use the number of the row before.
    Hold,
    /// Give NaN: to a model that holds its last value itself.
    #[serde(skip)]
    Nan,
}

impl Default for Format {
    fn default() -> Self {
        Format {
            delimiter: ',',
            header: Header::FirstLine,
            comment: None,
            skip: 0,
            newest_first: false,
            missing: Missing::Error,
            time: None,
        }
    }
}

/// Rows one after the other, as they arrive.
pub struct Reader<R> {
    csv: ::csv::Reader<R>,
    file: String,
    names: Vec<String>,
    missing: Missing,
    time: Option<String>,
    record: ::csv::StringRecord,
    /// The first record, where it had to be read to learn the number of columns.
    pending: bool,
    skip: usize,
}

impl<R: Read> Reader<R> {
    /// Reads the header. `file` is what errors call the input. [`Format::newest_first`] is left to
    /// [`Table`], which has all rows.
    pub fn new(input: R, file: &str, format: &Format) -> Result<Self, DataError> {
        let mut csv = ::csv::ReaderBuilder::new()
            .delimiter(format.delimiter as u8)
            .comment(format.comment.map(|c| c as u8))
            .trim(::csv::Trim::All)
            .quoting(format.delimiter != '\t')
            .has_headers(false)
            // Ragged rows are found here, where the message can say what to do.
            .flexible(true)
            .from_reader(input);
        let mut record = ::csv::StringRecord::new();
        let (names, pending) = match &format.header {
            Header::Names(names) => (names.clone(), false),
            header => {
                if !read(&mut csv, &mut record, file)? {
                    return Err(DataError::Empty { file: file.into() });
                }
                if *header == Header::None {
                    ((1..=record.len()).map(|k| k.to_string()).collect(), true)
                } else {
                    let first = record.iter().map(|n| n.trim_start_matches('\u{feff}'));
                    (first.map(String::from).collect(), false)
                }
            }
        };
        Ok(Reader {
            csv,
            file: file.into(),
            names,
            missing: format.missing,
            time: format.time.clone(),
            record,
            pending,
            skip: format.skip,
        })
    }

    /// The column names in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Finds columns, derived ones included, by name.
    pub fn columns(&self, wanted: &[&str]) -> Result<Columns, DataError> {
        Columns::find(
            &self.file,
            &self.names,
            (self.missing, self.time.as_deref()),
            wanted,
        )
    }

    /// Reads the next row into `sample`, one number per wanted column; false at the end.
    ///
    /// # Panics
    /// If `sample` is shorter than the columns asked for.
    pub fn next_sample(
        &mut self,
        columns: &mut Columns,
        sample: &mut [f32],
    ) -> Result<bool, DataError> {
        if !self.advance()? {
            return Ok(false);
        }
        columns.parse(&self.record, line_of(&self.record), sample)?;
        Ok(true)
    }

    fn advance(&mut self) -> Result<bool, DataError> {
        loop {
            if !std::mem::take(&mut self.pending)
                && !read(&mut self.csv, &mut self.record, &self.file)?
            {
                return Ok(false);
            }
            if self.record.len() != self.names.len() {
                return Err(DataError::Ragged {
                    file: self.file.clone(),
                    line: line_of(&self.record),
                    have: self.record.len(),
                    need: self.names.len(),
                });
            }
            if self.skip == 0 {
                return Ok(true);
            }
            self.skip -= 1;
        }
    }
}

fn read<R: Read>(
    csv: &mut ::csv::Reader<R>,
    record: &mut ::csv::StringRecord,
    file: &str,
) -> Result<bool, DataError> {
    csv.read_record(record)
        .map_err(|error| match error.into_kind() {
            ::csv::ErrorKind::Io(source) => DataError::Read {
                file: file.into(),
                source,
            },
            ::csv::ErrorKind::Utf8 { pos, err } => DataError::Malformed {
                file: file.into(),
                problem: match pos {
                    Some(pos) => format!("line {}: {err}", pos.line()),
                    None => err.to_string(),
                },
            },
            other => DataError::Malformed {
                file: file.into(),
                problem: format!("{other:?}"),
            },
        })
}

/// A copy without the room to grow that the reader's own record has: a long file would hold it once per row.
fn exactly(record: &::csv::StringRecord) -> ::csv::StringRecord {
    let mut copy = ::csv::StringRecord::with_capacity(record.as_slice().len(), record.len());
    record.iter().for_each(|field| copy.push_field(field));
    copy.set_position(record.position().cloned());
    copy
}

fn line_of(record: &::csv::StringRecord) -> u64 {
    record.position().map_or(0, |p| p.line())
}

/// Some columns of a file, in the order asked for, and the numbers that a gap repeats.
#[derive(Debug, Clone)]
pub struct Columns {
    file: String,
    wanted: Vec<Column>,
    group: Option<GroupColumn>,
    missing: Missing,
    time: Option<String>,
}

/// The column that says what a row belongs to.
#[derive(Debug, Clone)]
struct GroupColumn {
    at: usize,
    /// Of the last row.
    text: Option<String>,
    /// The last row is of another group than the one before it.
    begins: bool,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    at: usize,
    derived: Option<Derived>,
    /// The categories of this column that are asked for: what is none of them is an error.
    categories: Vec<String>,
    last: Option<f32>,
    /// When the row before was, for the time since.
    time: Option<f64>,
}

impl Columns {
    fn find(
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
    fn forget(&mut self) {
        for column in &mut self.wanted {
            (column.last, column.time) = (None, None);
        }
    }

    fn parse(
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

fn nothing_to_hold(file: String, line: u64, column: String, text: String) -> DataError {
    DataError::Missing {
        file,
        line,
        column,
        text,
        remedy: "no earlier row has one to hold, so skip the first rows (csv.skip)",
    }
}

fn is_missing(text: &str) -> bool {
    ["", "na", "n/a", "nan", "null", "none", "?"]
        .iter()
        .any(|m| text.eq_ignore_ascii_case(m))
}

/// Rows that belong together; nothing reaches from one group into the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub rows: Range<usize>,
    /// They come from a [test file](Table::append_test).
    pub test: bool,
}

/// A whole file, oldest row first.
#[derive(Debug, Clone)]
pub struct Table {
    file: String,
    names: Vec<String>,
    missing: Missing,
    time: Option<String>,
    records: Vec<::csv::StringRecord>,
    groups: Vec<Group>,
    /// What errors call the test file.
    test_file: Option<String>,
}

impl Table {
    /// Reads all rows of a CSV file, packed by gzip or not, or of a Parquet file.
    pub fn read(path: &Path, format: &Format) -> Result<Self, DataError> {
        let file = path.display().to_string();
        let input = open(path, format.delimiter).map_err(|source| DataError::Read {
            file: file.clone(),
            source,
        })?;
        Self::from_reader(input, &file, format)
    }

    /// The same from anything that can be read.
    pub fn from_reader(input: impl Read, file: &str, format: &Format) -> Result<Self, DataError> {
        let mut reader = Reader::new(input, file, format)?;
        let mut records = Vec::new();
        while reader.advance()? {
            records.push(exactly(&reader.record));
        }
        if records.is_empty() {
            return Err(DataError::Empty { file: file.into() });
        }
        if format.newest_first {
            records.reverse();
        }
        Ok(Table {
            file: file.into(),
            names: reader.names,
            missing: reader.missing,
            groups: vec![Group {
                rows: 0..records.len(),
                test: false,
            }],
            test_file: None,
            time: reader.time,
            records,
        })
    }

    /// What errors call the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What errors call the file that a row came from.
    pub fn file_of(&self, row: usize) -> &str {
        let test = self.groups.iter().any(|g| g.test && g.rows.contains(&row));
        let test = self.test_file.as_ref().filter(|_| test);
        test.unwrap_or(&self.file)
    }

    /// The column names in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.records.len()
    }

    /// The line of the file that a row came from, from 1.
    pub fn line(&self, row: usize) -> u64 {
        line_of(&self.records[row])
    }

    /// Rows that follow each other with the same text in this column are a group of their own from here on.
    pub fn group_by(&mut self, column: &str) -> Result<(), DataError> {
        let texts = self.text_column(column)?;
        let mut groups: Vec<Group> = Vec::new();
        for Group { rows, test } in &self.groups {
            let mut start = rows.start;
            for end in rows.start + 1..=rows.end {
                if end == rows.end || texts[end] != texts[start] {
                    groups.push(Group {
                        rows: start..end,
                        test: *test,
                    });
                    start = end;
                }
            }
        }
        self.groups = groups;
        Ok(())
    }

    /// Adds the columns of `other` to the rows with the same text in `on`.
    pub fn join(&mut self, other: &Table, on: &str) -> Result<(), DataError> {
        let keys = other.text_column(on)?;
        let mut places = HashMap::new();
        for (row, &key) in keys.iter().enumerate() {
            if places.insert(key, row).is_some() {
                return Err(DataError::Key {
                    file: other.file.clone(),
                    line: other.line(row),
                    column: on.into(),
                    text: key.into(),
                    problem: "stands there twice",
                });
            }
        }
        let added: Vec<usize> = (0..other.names.len())
            .filter(|&k| !self.names.contains(&other.names[k]))
            .collect();
        let rows: Vec<usize> = self
            .text_column(on)?
            .iter()
            .enumerate()
            .map(|(row, key)| {
                places.get(key).copied().ok_or_else(|| DataError::Key {
                    file: self.file.clone(),
                    line: self.line(row),
                    column: on.into(),
                    text: (*key).into(),
                    problem: "has no row in the joined file",
                })
            })
            .collect::<Result<_, _>>()?;
        for (record, row) in self.records.iter_mut().zip(rows) {
            added
                .iter()
                .for_each(|&k| record.push_field(&other.records[row][k]));
        }
        self.names
            .extend(added.iter().map(|&k| other.names[k].clone()));
        Ok(())
    }

    /// Adds the rows of `other` as the test part. Columns that only one of the two has are empty in the other's rows.
    pub fn append_test(&mut self, other: &Table) {
        let fresh: Vec<String> = other
            .names
            .iter()
            .filter(|name| !self.names.contains(name))
            .cloned()
            .collect();
        for record in &mut self.records {
            fresh.iter().for_each(|_| record.push_field(""));
        }
        self.names.extend(fresh);
        let place = |name: &String| other.names.iter().position(|n| n == name);
        let places: Vec<Option<usize>> = self.names.iter().map(place).collect();
        let start = self.rows();
        for record in &other.records {
            let fields = places.iter().map(|place| place.map_or("", |k| &record[k]));
            let mut row: ::csv::StringRecord = fields.collect();
            row.set_position(record.position().cloned());
            self.records.push(row);
        }
        self.groups.push(Group {
            rows: start..self.rows(),
            test: true,
        });
        self.test_file = Some(other.file.clone());
    }

    /// The groups in order; one, of all rows, unless the table was grouped.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// These rows of each group, which may be fewer or repeat; a group without any is gone.
    pub fn select(&self, rows_of: impl Fn(Range<usize>) -> Vec<usize>) -> Self {
        let (mut records, mut groups) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let start = records.len();
            let rows = rows_of(group.rows.clone());
            records.extend(rows.iter().map(|&row| self.records[row].clone()));
            if records.len() > start {
                groups.push(Group {
                    rows: start..records.len(),
                    test: group.test,
                });
            }
        }
        Table {
            file: self.file.clone(),
            names: self.names.clone(),
            missing: self.missing,
            records,
            groups,
            test_file: self.test_file.clone(),
            time: self.time.clone(),
        }
    }

    /// How times are written, if that was said.
    pub fn time(&self) -> Option<&str> {
        self.time.as_deref()
    }

    /// Gaps repeat the row before.
    pub fn holds(&self) -> bool {
        self.missing == Missing::Hold
    }

    /// `[rows, names.len()]`: samples with the columns in the order asked for. A name that is not a
    /// column may be [derived](super::derived) from one, as `hour_sin(date)` is.
    pub fn columns_named(&self, names: &[&str]) -> Result<Vec<f32>, DataError> {
        let samples = self.columns_with_gaps(names)?;
        if let Some(at) = samples.iter().position(|x| x.is_nan()) {
            let (row, column) = (at / names.len(), names[at % names.len()]);
            return Err(nothing_to_hold(
                self.file.clone(),
                self.line(row),
                column.into(),
                String::new(),
            ));
        }
        Ok(samples)
    }

    /// The same, but where gaps repeat the row before and there is none in the group, the number is NaN.
    pub fn columns_with_gaps(&self, names: &[&str]) -> Result<Vec<f32>, DataError> {
        let hold = self.missing == Missing::Hold;
        let missing = if hold { Missing::Nan } else { self.missing };
        let how = (missing, self.time.as_deref());
        let mut columns = Columns::find(&self.file, &self.names, how, names)?;
        let mut samples = vec![0.0; self.rows() * names.len()];
        if names.is_empty() {
            return Ok(samples);
        }
        let width = names.len();
        for group in &self.groups {
            columns.forget();
            if let Some(file) = self.test_file.as_ref().filter(|_| group.test) {
                columns.file.clone_from(file);
            }
            let group = group.rows.clone();
            for row in group.clone() {
                let (before, rest) = samples.split_at_mut(row * width);
                let sample = &mut rest[..width];
                let record = &self.records[row];
                columns.parse(record, line_of(record), sample)?;
                if hold && row > group.start {
                    let before = &before[(row - 1) * width..];
                    for (x, &before) in sample.iter_mut().zip(before) {
                        *x = if x.is_nan() { before } else { *x };
                    }
                }
            }
        }
        Ok(samples)
    }

    fn find(&self, wanted: &[&str]) -> Result<Columns, DataError> {
        let how = (self.missing, self.time.as_deref());
        Columns::find(&self.file, &self.names, how, wanted)
    }

    /// The fields of a column as they stand.
    pub fn text_column(&self, name: &str) -> Result<Vec<&str>, DataError> {
        let columns = self.find(&[name])?;
        let at = columns.wanted[0].at;
        Ok(self.records.iter().map(|r| &r[at]).collect())
    }

    /// The names of all columns from `first` to `last`, in the order of the file.
    pub fn names_between(&self, first: &str, last: &str) -> Result<&[String], DataError> {
        let columns = self.find(&[first, last])?;
        let (a, b) = (columns.wanted[0].at, columns.wanted[1].at);
        Ok(&self.names[a.min(b)..=a.max(b)])
    }
}

#[cfg(test)]
mod tests;
