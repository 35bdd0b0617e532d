//! Rows one after the other.
//!
//! Lines are counted as an editor counts them: by `\n`, `\r\n` or `\r`, blank ones and comments included. A line is a
//! row, unless a quotation mark opens a field that a later line closes. One that is never closed would swallow every
//! row behind it, so a line inside such a field that looks like a row of its own is an error.
//!
//! After an error about a row ([`DataError::is_of_row`]) the next call goes on with the line behind it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, BufRead};

use csv::StringRecord;
use encoding_rs::Encoding;

use super::super::audio::Frames;
use super::super::error::DataError;
use super::super::open::{encoding, guess_encoding};
use super::columns::{Columns, place};
use super::field::{Fields, composed};
use super::format::{Format, Header, Size};

/// The lines of a text.
struct Lines<R> {
    input: R,
    /// Of the last line, from 1.
    number: u64,
    limit: Size,
    /// The last line ended with `\r`, and a `\n` behind it belongs to it.
    after_return: bool,
    /// The rest of a line that was too long is yet to come.
    overlong: bool,
    /// The last line had an end.
    complete: bool,
}

enum Line {
    Whole,
    TooLong,
    End,
}

impl<R: BufRead> Lines<R> {
    /// Reads a line without its end.
    fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        line.clear();
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                let more = !std::mem::take(&mut self.overlong) && !line.is_empty();
                self.complete = false;
                self.number += u64::from(more);
                return Ok(if more { Line::Whole } else { Line::End });
            }
            if std::mem::take(&mut self.after_return) && buffer[0] == b'\n' {
                self.input.consume(1);
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', buffer);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if !self.overlong {
                line.extend_from_slice(part);
            }
            let (used, ended) = (part.len() + usize::from(end.is_some()), end.is_some());
            self.after_return = end.is_some_and(|end| buffer[end] == b'\r');
            self.input.consume(used);
            let was_overlong = self.overlong;
            if ended {
                self.overlong = false;
                if was_overlong {
                    continue;
                }
                self.number += 1;
                self.complete = true;
            }
            if line.len() as u64 > self.limit.0 && !was_overlong {
                self.number += u64::from(!ended);
                self.overlong = !ended;
                return Ok(Line::TooLong);
            }
            if ended {
                return Ok(Line::Whole);
            }
        }
    }
}

/// Where a piece of text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// Behind a field.
    Closed,
    /// Inside a quoted one.
    Open,
    /// Something stands behind a closing quotation mark.
    Stray,
}

/// Follows the quotation marks of a line, from `inside` a quoted field or not.
fn quotes(line: &[u8], delimiter: u8, inside: bool) -> Quotes {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        Quoted,
        Closing,
        Behind,
    }
    let mut at = if inside { At::Quoted } else { At::Start };
    for &byte in line {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Closing,
            (At::Quoted, _) | (At::Closing, b'"') => At::Quoted,
            (At::Start, b'"') => At::Quoted,
            (_, byte) if byte == delimiter => At::Start,
            (At::Closing | At::Behind, b' ' | b'\t') => At::Behind,
            (At::Closing | At::Behind, _) => return Quotes::Stray,
            (At::Start | At::Plain, _) => At::Plain,
        };
    }
    match at {
        At::Quoted => Quotes::Open,
        _ => Quotes::Closed,
    }
}

/// `sep=;`, which Excel reads and writes above a table.
pub fn is_separator_line(line: &[u8]) -> bool {
    line.len() == 5 && line.starts_with(b"sep=")
}

/// The records of a CSV file, header included.
pub struct Records<R> {
    lines: Lines<R>,
    file: String,
    delimiter: u8,
    quoting: bool,
    comment: Option<u8>,
    multiline: bool,
    trim: bool,
    /// Lines to read once more, as the quotation mark before them was none.
    again: VecDeque<(u64, Vec<u8>)>,
    /// Empty lines and the one behind them, which makes them rows.
    ready: VecDeque<(u64, Vec<u8>)>,
    /// Empty lines so far, which are rows if another row follows.
    blank: Vec<(u64, Vec<u8>)>,
    /// Fields of the first record.
    width: Option<usize>,
    raw: Vec<u8>,
    line: u64,
    record: StringRecord,
    splitter: csv_core::Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Records of several lines, and where the first is.
    spanning: (u64, u64),
    /// What the text was decoded from, where every byte was a character.
    single_byte: Option<&'static Encoding>,
    /// A line with more than ASCII, which was right.
    beyond_ascii: Option<u64>,
}

impl<R: BufRead> Records<R> {
    /// `file` is what errors call the input.
    pub fn new(input: R, file: &str, format: &Format) -> Self {
        let delimiter = format.delimiter as u8;
        let quoting = format.delimiter != '\t';
        Records {
            lines: Lines {
                input,
                number: 0,
                limit: format.max_field,
                after_return: false,
                overlong: false,
                complete: true,
            },
            file: file.into(),
            delimiter,
            quoting,
            comment: format.comment.map(|c| c as u8),
            multiline: format.multiline,
            trim: true,
            again: VecDeque::new(),
            ready: VecDeque::new(),
            blank: Vec::new(),
            width: match &format.header {
                Header::Names(names) => Some(names.len()),
                _ => None,
            },
            raw: Vec::new(),
            line: 0,
            record: StringRecord::new(),
            splitter: csv_core::ReaderBuilder::new()
                .delimiter(delimiter)
                .quoting(quoting)
                .build(),
            bytes: Vec::new(),
            ends: Vec::new(),
            spanning: (0, 0),
            single_byte: (format.encoding.as_deref().and_then(encoding))
                .filter(|encoding| encoding.is_single_byte()),
            beyond_ascii: None,
        }
    }

    /// Blanks around a field belong to it.
    pub fn untrimmed(mut self) -> Self {
        self.trim = false;
        self
    }

    /// The current record.
    pub fn record(&self) -> &StringRecord {
        &self.record
    }

    /// The line that it begins on, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether the last line had an end: a stream that broke off may have left half a row.
    pub fn is_complete(&self) -> bool {
        self.lines.complete || !self.ready.is_empty() || !self.again.is_empty()
    }

    /// What there is to say about the rows so far.
    pub fn notes(&self) -> Vec<String> {
        let file = &self.file;
        let (count, first) = self.spanning;
        let spanning = (count > 0).then(|| {
            format!("{file}: {count} rows have a quoted field of several lines, the first from line {first} on")
        });
        let gaps = !self.blank.is_empty();
        let trailing = gaps.then(|| {
            let (count, first) = (self.blank.len(), self.blank[0].0);
            format!("{file}: {count} empty lines at the end, from line {first} on, are no rows")
        });
        spanning.into_iter().chain(trailing).collect()
    }

    /// Reads the next record; false at the end.
    ///
    /// # Errors
    /// As described above; and if a line is too long or not UTF-8.
    pub fn advance(&mut self) -> Result<bool, DataError> {
        loop {
            if let Some((line, raw)) = self.ready.pop_front() {
                (self.line, self.raw) = (line, raw);
                break;
            }
            if !self.next_line()? {
                return Ok(false);
            }
            if self.comment.is_some_and(|c| self.raw.first() == Some(&c)) {
                continue;
            }
            // Tells a spreadsheet what stands between fields, and is no row.
            if self.line == 1 && is_separator_line(&self.raw) {
                continue;
            }
            if self.is_blank() {
                if self.width == Some(1) || self.raw.contains(&self.delimiter) {
                    self.blank.push((self.line, self.raw.clone()));
                }
                continue;
            }
            if !self.blank.is_empty() {
                self.ready.extend(self.blank.drain(..));
                self.ready.push_back((self.line, self.raw.clone()));
                continue;
            }
            break;
        }
        self.close_quotes()?;
        self.split()?;
        self.width.get_or_insert(self.record.len());
        Ok(true)
    }

    fn next_line(&mut self) -> Result<bool, DataError> {
        if let Some((line, raw)) = self.again.pop_front() {
            (self.line, self.raw) = (line, raw);
            return Ok(true);
        }
        let found = self.lines.next(&mut self.raw);
        self.line = self.lines.number;
        match found {
            Ok(Line::Whole) => {
                const MARK: &[u8] = "\u{feff}".as_bytes();
                if self.line == 1 && self.raw.starts_with(MARK) {
                    self.raw.drain(..MARK.len());
                }
                Ok(true)
            }
            Ok(Line::End) => Ok(false),
            Ok(Line::TooLong) => Err(DataError::TooLong {
                file: self.file.clone(),
                line: self.line,
                limit: self.lines.limit,
            }),
            Err(source) => Err(DataError::Read {
                file: self.file.clone(),
                source,
            }),
        }
    }

    /// Nothing in it: a line end only, or delimiters only where there has been a row.
    fn is_blank(&self) -> bool {
        if !self.trim {
            return self.raw.is_empty();
        }
        let is_delimiter = |b: u8| b == self.delimiter && self.width.is_some();
        let nothing = |b: u8| is_delimiter(b) || b != self.delimiter && b.is_ascii_whitespace();
        self.raw.iter().all(|&b| nothing(b))
    }

    /// Adds the lines that belong to an open quoted field.
    fn close_quotes(&mut self) -> Result<(), DataError> {
        if !self.quoting || memchr::memchr(b'"', &self.raw).is_none() {
            return Ok(());
        }
        let opened = self.line;
        let wrong = |records: &Self, problem: String| DataError::Quote {
            file: records.file.clone(),
            line: opened,
            problem,
        };
        let mut whole = self.raw.clone();
        let mut swallowed: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut state = quotes(&whole, self.delimiter, false);
        while state == Quotes::Open {
            let more = self.next_line();
            let within = whole.len() as u64 <= self.lines.limit.0;
            let row_of_its_own =
                matches!(more, Ok(true)) && !self.multiline && self.looks_like_row(&whole);
            if !matches!(more, Ok(true)) || row_of_its_own || !within {
                let line = self.line;
                if matches!(more, Ok(true)) {
                    swallowed.push((line, std::mem::take(&mut self.raw)));
                }
                for entry in swallowed.into_iter().rev() {
                    self.again.push_front(entry);
                }
                self.line = opened;
                return match more {
                    Err(error) => Err(error),
                    Ok(true) if within => Err(wrong(
                        self,
                        format!(
                            "a quotation mark opens a field here and does not close it, and line {line} is a row of its own; close or remove the \
                             mark, or set multiline = true in the format (--multiline) if the field has several lines"
                        ),
                    )),
                    Ok(true) => Err(DataError::TooLong {
                        file: self.file.clone(),
                        line: opened,
                        limit: self.lines.limit,
                    }),
                    Ok(false) => Err(wrong(
                        self,
                        "the quotation mark that opens a field here is never closed; close or remove it".into(),
                    )),
                };
            }
            state = quotes(&self.raw, self.delimiter, true);
            whole.push(b'\n');
            whole.extend_from_slice(&self.raw);
            swallowed.push((self.line, std::mem::take(&mut self.raw)));
        }
        self.line = opened;
        if state == Quotes::Stray {
            return Err(wrong(
                self,
                "something stands between a closing quotation mark and the next delimiter; a mark inside a quoted field is written twice (\"\")"
                    .into(),
            ));
        }
        if !swallowed.is_empty() {
            self.spanning.1 = if self.spanning.0 == 0 {
                opened
            } else {
                self.spanning.1
            };
            self.spanning.0 += 1;
        }
        self.raw = whole;
        Ok(())
    }

    /// Whether the current line has the fields of a row: as many, and numbers where the row before and the row that
    /// was begun with `begun` have numbers.
    fn looks_like_row(&self, begun: &[u8]) -> bool {
        let is_number = |field: &[u8]| {
            let text = field.trim_ascii().trim_ascii_start();
            let text = str::from_utf8(text).unwrap_or("");
            text.replace(',', ".").parse::<f64>().is_ok()
        };
        let fields: Vec<&[u8]> = self.raw.split(|&b| b == self.delimiter).collect();
        if self.width != Some(fields.len()) {
            return false;
        }
        // Up to the quotation mark.
        let first = begun.split(|&b| b == b'"').next().unwrap_or(&[]);
        let mut first: Vec<&[u8]> = first.split(|&b| b == self.delimiter).collect();
        first.pop();
        let before = self.record.iter().map(str::as_bytes);
        let known = first.into_iter().enumerate().chain(before.enumerate());
        let mut numbers = 0;
        for (k, field) in known {
            if is_number(field) && k < fields.len() {
                numbers += 1;
                if !is_number(fields[k]) && !fields[k].trim_ascii().is_empty() {
                    return false;
                }
            }
        }
        numbers > 0
    }

    /// The fields of the current text.
    fn split(&mut self) -> Result<(), DataError> {
        let text = match str::from_utf8(&self.raw) {
            Ok(text) => text,
            Err(error) => {
                let before = &self.raw[..error.valid_up_to()];
                let lines = memchr::memchr_iter(b'\n', before).count() as u64;
                if let Some(other) = self.beyond_ascii {
                    return Err(DataError::MixedEncodings {
                        file: self.file.clone(),
                        line: self.line + lines,
                        problem: format!("not UTF-8, as line {other} is"),
                    });
                }
                return Err(DataError::Encoding {
                    file: self.file.clone(),
                    line: self.line + lines,
                    guess: guess_encoding(&self.raw),
                });
            }
        };
        if !text.is_ascii() {
            // Letters of UTF-8 that were taken for one character a byte: no language puts such characters in such a row.
            if let Some(encoding) = self.single_byte
                && let (bytes, _, false) = encoding.encode(text)
                && str::from_utf8(&bytes).is_ok()
            {
                let problem = format!("UTF-8, and not {} as was said or guessed", encoding.name());
                return Err(DataError::MixedEncodings {
                    file: self.file.clone(),
                    line: self.line,
                    problem,
                });
            }
            self.beyond_ascii.get_or_insert(self.line);
        }
        if let Cow::Owned(text) = composed(text) {
            self.raw = text.into_bytes();
        }
        self.record.clear();
        let mut position = csv::Position::new();
        position.set_line(self.line);
        self.record.set_position(Some(position));
        if self.raw.is_empty() {
            self.record.push_field("");
            return Ok(());
        }
        self.splitter.reset();
        self.bytes.resize(self.raw.len() + 1, 0);
        let most = memchr::memchr_iter(self.delimiter, &self.raw).count() + 2;
        self.ends.resize(most, 0);
        let (mut read, mut written, mut fields) = (0, 0, 0);
        loop {
            let (found, r, w, f) = self.splitter.read_record(
                &self.raw[read..],
                &mut self.bytes[written..],
                &mut self.ends[fields..],
            );
            (read, written, fields) = (read + r, written + w, fields + f);
            // The end of the input ends the record.
            if !matches!(found, csv_core::ReadRecordResult::InputEmpty) {
                break;
            }
        }
        let mut start = 0;
        for &end in &self.ends[..fields] {
            let field = str::from_utf8(&self.bytes[start..end]).unwrap_or("");
            let trimmed = if self.trim { field.trim() } else { field };
            self.record.push_field(trimmed);
            start = end;
        }
        Ok(())
    }
}

/// Rows by column name.
pub struct Reader<R> {
    records: Records<R>,
    pub(super) names: Vec<String>,
    pub(super) fields: Fields,
    /// The header line, where it is one.
    header: Option<StringRecord>,
    /// The first record, where it had to be read to learn the number of columns.
    pending: bool,
    skip: usize,
    /// Of every group the rows that wait for those that are known ahead, where there are such columns.
    waiting: HashMap<String, VecDeque<StringRecord>>,
    /// The row of the last sample, where it had to wait.
    row: Option<StringRecord>,
    turn: Turn,
    /// Rows name recordings, and each frame of those is a row.
    frames: Option<Box<Frames>>,
    /// Columns of the file: all but those of frames.
    width: usize,
}

/// In which order rows are given.
enum Turn {
    /// That of the file.
    No,
    /// From the last to the first: these have been read.
    Reading(Vec<StringRecord>),
    /// And these are left.
    Giving(Vec<StringRecord>),
}

impl<R: BufRead> Reader<R> {
    /// Reads the header. `file` is what errors call the input. [`Format::newest_first`] is left to
    /// [`Table`](super::Table), which has all rows, and to [`Self::from_the_end`].
    ///
    /// # Errors
    /// If it cannot be read, or there is none.
    pub fn new(input: R, file: &str, format: &Format) -> Result<Self, DataError> {
        let mut records = Records::new(input, file, format);
        if !matches!(format.header, Header::Names(_)) && !records.advance()? {
            return Err(DataError::Empty { file: file.into() });
        }
        Ok(Self::over(records, format))
    }

    /// The same, where the first record has been read already, unless the names are given.
    pub fn over(records: Records<R>, format: &Format) -> Self {
        let first = &records.record;
        let (names, header) = match &format.header {
            Header::Names(names) => (names.clone(), None),
            Header::None => ((1..=first.len()).map(|k| k.to_string()).collect(), None),
            Header::FirstLine => (
                first.iter().map(String::from).collect(),
                Some(first.clone()),
            ),
        };
        let frames = format.audio.as_ref();
        let frames = frames.map(|audio| Box::new(Frames::new(audio, format.decimal)));
        let reader = Reader {
            names: Vec::new(),
            width: 0,
            frames,
            header,
            fields: Fields::new(format),
            pending: format.header == Header::None,
            skip: format.skip,
            waiting: HashMap::new(),
            row: None,
            turn: Turn::No,
            records,
        };
        reader.called(names)
    }

    /// Other names for the columns, as many.
    pub fn called(mut self, names: Vec<String>) -> Self {
        self.width = names.len();
        self.names = names;
        let Some(audio) = self.frames.as_ref().map(|frames| frames.audio()) else {
            return self;
        };
        let mut bands = audio.names();
        if !self.names.contains(&audio.column) {
            bands.retain(|band| !self.names.contains(band));
        }
        // A table that names no recordings and has all their bands is of what was heard elsewhere.
        match bands.is_empty() {
            true => self.frames = None,
            false => self.names.extend(bands),
        }
        self
    }

    /// The last row first, for which the whole file is kept.
    pub fn from_the_end(mut self) -> Self {
        self.turn = Turn::Reading(Vec::new());
        self
    }

    /// The row of the last sample.
    pub fn row(&self) -> &StringRecord {
        self.row.as_ref().unwrap_or(&self.records.record)
    }

    /// Rows that are left without a sample, as what is known ahead of them was not there.
    pub fn left_waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// The column names in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The records that it reads.
    pub fn records(&self) -> &Records<R> {
        &self.records
    }

    /// What there is to say about the rows so far.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.records.notes();
        let frames = self.frames.as_ref();
        notes.extend(frames.map_or(Vec::new(), |frames| frames.notes(&self.records.file)));
        notes
    }

    /// Why there is no row, if that is as no recording was long enough.
    pub(super) fn unheard(&self) -> Option<DataError> {
        self.frames.as_ref()?.unheard(&self.records.file)
    }

    /// Finds columns, derived ones included, by name.
    ///
    /// # Errors
    /// If one is not there, or more than once.
    pub fn columns(&self, wanted: &[&str]) -> Result<Columns, DataError> {
        Columns::find(&self.records.file, &self.names, &self.fields, wanted)
    }

    /// Reads the next row into `sample`, one number per wanted column; false at the end.
    ///
    /// # Errors
    /// As [`Records::advance`], and if the row does not have the columns, or not what they should hold.
    ///
    /// # Panics
    /// If `sample` is shorter than the columns asked for.
    pub fn next_sample(
        &mut self,
        columns: &mut Columns,
        sample: &mut [f32],
    ) -> Result<bool, DataError> {
        let ahead = columns.ahead();
        loop {
            if !self.advance()? {
                return Ok(false);
            }
            let record = &self.records.record;
            if ahead == 0 {
                columns.parse(record, |_| record, self.records.line, sample)?;
                return Ok(true);
            }
            let group = columns.group_column().map_or("", |at| &record[at]);
            let waiting = match self.waiting.get_mut(group) {
                Some(waiting) => waiting,
                None => self.waiting.entry(group.to_owned()).or_default(),
            };
            waiting.push_back(exactly(record));
            if waiting.len() <= ahead {
                continue;
            }
            if let Some(row) = waiting.pop_front() {
                let row = self.row.insert(row);
                columns.parse(row, |rows| &waiting[rows - 1], line_of(row), sample)?;
                return Ok(true);
            }
        }
    }

    /// Reads the next row; false at the end.
    ///
    /// # Errors
    /// As [`Records::advance`], and if the row does not have the columns.
    pub fn advance(&mut self) -> Result<bool, DataError> {
        if matches!(self.turn, Turn::No) {
            return self.read();
        }
        while let Turn::Reading(_) = &self.turn {
            let more = self.read()?;
            if let Turn::Reading(rows) = &mut self.turn {
                match more {
                    true => rows.push(exactly(&self.records.record)),
                    false => self.turn = Turn::Giving(std::mem::take(rows)),
                }
            }
        }
        let Turn::Giving(rows) = &mut self.turn else {
            return Ok(false);
        };
        let Some(row) = rows.pop() else {
            return Ok(false);
        };
        (self.records.line, self.records.record) = (line_of(&row), row);
        Ok(true)
    }

    /// Reads the next row of the file.
    fn read(&mut self) -> Result<bool, DataError> {
        loop {
            if let Some(frames) = &mut self.frames
                && frames.next(&mut self.records.record)
            {
                return Ok(true);
            }
            if !std::mem::take(&mut self.pending) && !self.records.advance()? {
                return Ok(false);
            }
            let (file, line) = (|| self.records.file.clone(), self.records.line);
            let record = &self.records.record;
            if self
                .header
                .as_ref()
                .is_some_and(|header| *header == *record)
            {
                return Err(DataError::RepeatedHeader { file: file(), line });
            }
            let is_other = |header: &StringRecord| {
                header.len() > 1 && header.len() == record.len() && {
                    let names: BTreeSet<&str> = header.iter().collect();
                    names.len() == record.len() && names == record.iter().collect()
                }
            };
            if self.header.as_ref().is_some_and(is_other) {
                return Err(DataError::OtherHeader { file: file(), line });
            }
            if record.len() != self.width {
                return Err(DataError::Ragged {
                    file: file(),
                    line,
                    have: record.len(),
                    need: self.width,
                });
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let Some(frames) = &mut self.frames else {
                return Ok(true);
            };
            let names = &self.names[..self.width];
            let column = &frames.audio().column;
            let at = place(&self.records.file, names, column)?;
            let at = at.ok_or_else(|| DataError::UnknownColumn {
                file: file(),
                column: column.clone(),
                known: names.to_vec(),
            })?;
            frames.open(record, at, &self.records.file, line)?;
        }
    }
}

/// A copy without the room to grow that the reader's own record has: a long file would hold it once per row.
pub(super) fn exactly(record: &StringRecord) -> StringRecord {
    let mut copy = StringRecord::with_capacity(record.as_slice().len(), record.len());
    record.iter().for_each(|field| copy.push_field(field));
    copy.set_position(record.position().cloned());
    copy
}

pub(super) fn line_of(record: &StringRecord) -> u64 {
    record.position().map_or(0, |p| p.line())
}
