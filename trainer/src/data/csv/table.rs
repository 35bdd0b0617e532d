//! All rows of a file, in groups.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::super::error::DataError;
use super::super::open::open;
use super::columns::{Columns, nothing_to_hold};
use super::format::{Format, Missing};
use super::records::{Reader, exactly, line_of};

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
