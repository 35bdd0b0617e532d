//! Rows one after the other.

use std::io::Read;

use super::super::error::DataError;
use super::columns::Columns;
use super::format::{Format, Header, Missing};

/// Rows one after the other, as they arrive.
pub struct Reader<R> {
    csv: ::csv::Reader<R>,
    file: String,
    pub(super) names: Vec<String>,
    pub(super) missing: Missing,
    pub(super) time: Option<String>,
    pub(super) record: ::csv::StringRecord,
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

    pub(super) fn advance(&mut self) -> Result<bool, DataError> {
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
pub(super) fn exactly(record: &::csv::StringRecord) -> ::csv::StringRecord {
    let mut copy = ::csv::StringRecord::with_capacity(record.as_slice().len(), record.len());
    record.iter().for_each(|field| copy.push_field(field));
    copy.set_position(record.position().cloned());
    copy
}

pub(super) fn line_of(record: &::csv::StringRecord) -> u64 {
    record.position().map_or(0, |p| p.line())
}
