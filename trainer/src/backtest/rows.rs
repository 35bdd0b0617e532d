//! The rows of a fleet's files, one file after the other, a chunk of them in memory at a time.
//!
//! Parquet whose columns are plain is read as numbers, and everything else (CSV, derived columns, times that are text) as
//! a prediction reads it. What is wrong with a row concerns its device alone; the others go on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};

use crate::causes::InOneLine;
use crate::data::DataError;
use crate::data::csv::{Columns, Format, Header, Memory, Missing, OnError, Reader, place_of};
use crate::data::derived::Derived;
use crate::data::open::open;
use crate::data::parquet::{Column, Kind, NO_NAME, ParquetColumns, Print};
use crate::data::places::Places;
use crate::data::time::Times;

/// Parts of a second that times are compared in: a nanosecond is enough for those of a calendar, and plain numbers may be smaller.
const SECOND: i128 = 1_000_000_000_000_000;

/// Rows whose numbers go from columns into rows together: both are in the first cache then.
const TILE: usize = 64;

/// What is read of every row.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The inputs of both models, each once.
    pub inputs: Vec<String>,
    /// What was right, if that is known.
    pub truth: Option<Truth>,
    /// The column of devices; without one every file is a device, called by its name.
    pub group: Option<String>,
    /// The column of times, in whose order a device's rows must be.
    pub time: Option<String>,
    /// The first of so many rows of a device is taken.
    pub stride: u64,
}

/// Where it stands what was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// In this input.
    Input(usize),
    /// In a column of numbers.
    Number(String),
    /// In a column of names, which are those of the classes.
    Class(String, Vec<String>),
}

impl Wanted {
    /// Numbers of a row: the inputs and, behind them, a truth that is none of them.
    pub fn width(&self) -> usize {
        let apart = matches!(self.truth, Some(Truth::Number(_) | Truth::Class(..)));
        self.inputs.len() + usize::from(apart)
    }

    /// Whether the numbers of a row are the inputs at these places and no others, in order.
    pub fn is_for(&self, inputs: &[usize]) -> bool {
        inputs.iter().copied().eq(0..self.width())
    }

    /// Where in a row the truth is.
    pub fn truth_at(&self) -> Option<usize> {
        match self.truth.as_ref()? {
            Truth::Input(at) => Some(*at),
            Truth::Number(_) | Truth::Class(..) => Some(self.inputs.len()),
        }
    }
}

/// Rows of several devices, those of a device in order.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Which device a row is of, by its place in [`Devices`].
    pub device: Vec<u32>,
    /// [`Wanted::width`] numbers a row.
    pub samples: Vec<f32>,
    /// The same, with NaN where a gap repeats the number before; empty where none does.
    pub measured: Vec<f32>,
    times: When,
}

#[derive(Debug, Default)]
enum When {
    #[default]
    Unknown,
    Whole(Vec<i64>, Print),
    Text(Vec<String>),
}

impl Chunk {
    fn clear(&mut self) {
        self.device.clear();
        self.samples.clear();
        self.measured.clear();
    }

    /// Another row, and what was measured of it where that is not all.
    fn push(&mut self, device: u32, sample: &[f32], measured: Option<&[f32]>) {
        if measured.is_some() && self.measured.is_empty() {
            self.measured.extend_from_slice(&self.samples);
        }
        if measured.is_some() || !self.measured.is_empty() {
            self.measured.extend_from_slice(measured.unwrap_or(sample));
        }
        self.device.push(device);
        self.samples.extend_from_slice(sample);
    }

    /// The time of a row, as it stands in the table.
    pub fn time(&self, row: usize) -> Option<String> {
        match &self.times {
            When::Unknown => None,
            When::Whole(times, print) => Some(print.of(times[row])),
            When::Text(times) => Some(times[row].clone()),
        }
    }
}

/// The devices that were met, in the order of their first rows.
#[derive(Debug, Default)]
pub struct Devices {
    places: Places,
    /// What is known of each.
    pub met: Vec<Met>,
}

/// What the rows of a device were like.
#[derive(Debug)]
pub struct Met {
    /// Its name.
    pub name: String,
    /// Rows that were right.
    pub rows: u64,
    /// Rows that were broken.
    pub broken: u64,
    /// Right or not, behind the first broken one, and so not looked at.
    pub left: u64,
    /// What was wrong with the first broken row.
    pub fault: Option<String>,
    /// Of the last row, in parts of [`SECOND`].
    time: i128,
    stopped: bool,
}

impl Devices {
    /// The place of a device.
    fn id(&mut self, name: &str) -> u32 {
        let id = self.places.of(name.as_bytes());
        if id as usize == self.met.len() {
            self.met.push(Met {
                name: name.to_owned(),
                rows: 0,
                broken: 0,
                left: 0,
                fault: None,
                time: i128::MIN,
                stopped: false,
            });
        }
        id
    }
}

impl Met {
    /// Whether a row is taken, of this time, if times count.
    fn takes(&mut self, time: Option<i128>, stride: u64) -> Result<bool, &'static str> {
        if let Some(time) = time {
            // A device's first time may be any.
            if time <= self.time && self.rows > 0 {
                return Err("is not later than the row before of its device");
            }
            self.time = time;
        }
        self.rows += 1;
        Ok((self.rows - 1).is_multiple_of(stride))
    }

    fn broke(&mut self, fault: impl FnOnce() -> String, goes_on: bool) {
        self.broken += 1;
        self.fault.get_or_insert_with(fault);
        self.stopped = !goes_on;
    }
}

/// How a file is written that begins so.
pub type Formats<'a> = dyn Fn(&[u8]) -> Result<Format> + Sync + 'a;

/// What the columns of a file are called.
///
/// # Errors
/// If it cannot be read.
pub fn column_names(path: &Path, formats: &Formats<'_>) -> Result<Vec<String>> {
    let file = path.display().to_string();
    let unreadable = || format!("{file}: cannot be read");
    let mut opened = open(path, &formats(&[])?).with_context(unreadable)?;
    let format = match opened.printed {
        true => formats(&[])?,
        false => formats(opened.text.fill_buf().with_context(unreadable)?)?,
    };
    Ok(Reader::new(opened.text, &file, &format)?.names().to_vec())
}

/// Reads the files.
pub struct Rows<'a> {
    wanted: &'a Wanted,
    formats: &'a Formats<'a>,
    files: VecDeque<PathBuf>,
    open: Option<Open>,
    /// Both models fill gaps by themselves.
    holds: bool,
    /// What features look back on, from file to file.
    memory: Option<Memory>,
    pub devices: Devices,
    /// What was left out or guessed.
    pub notes: Vec<String>,
    /// Broken rows of which nobody knows the device.
    pub strays: u64,
    /// Files that were read by way of text.
    pub printed: usize,
    /// Files that could not be read.
    pub unreadable: usize,
}

/// A file that is being read.
struct Open {
    file: String,
    /// The device, where it is the file.
    device: Option<u32>,
    skips: bool,
    rows: Source,
}

enum Source {
    Numbers(Box<Numbers>),
    Text(Box<Text>),
}

struct Numbers {
    table: ParquetColumns,
    /// Says what is wrong with a row.
    checks: Columns,
    /// Rows so far.
    row: u64,
}

/// How a field is read that holds a number.
type Number = dyn Fn(&str) -> Option<f64> + Send;

struct Text {
    reader: Reader<Box<dyn BufRead + Send>>,
    columns: Columns,
    time: Option<(usize, Times)>,
    truth: Option<usize>,
    number: Box<Number>,
    sentinels: Vec<f64>,
}

impl<'a> Rows<'a> {
    /// From the first file on.
    pub fn new(
        files: impl IntoIterator<Item = PathBuf>,
        wanted: &'a Wanted,
        holds: bool,
        formats: &'a Formats<'a>,
    ) -> Self {
        Rows {
            wanted,
            formats,
            files: files.into_iter().collect(),
            open: None,
            holds,
            memory: None,
            devices: Devices::default(),
            notes: Vec::new(),
            strays: 0,
            printed: 0,
            unreadable: 0,
        }
    }

    /// The next rows, about so many, in the memory of a chunk that is done with; none at the end.
    ///
    /// # Errors
    /// If a file cannot be read or lacks a column, and broken rows are not to be skipped.
    pub fn next(&mut self, rows: usize, mut chunk: Chunk) -> Result<Option<Chunk>> {
        chunk.clear();
        while chunk.device.len() < rows {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => {
                    let Some(path) = self.files.pop_front() else {
                        break;
                    };
                    match self.opened(&path) {
                        Ok(open) => open,
                        Err(error) => {
                            self.unread(&path, error)?;
                            continue;
                        }
                    }
                }
            };
            if chunk.device.is_empty() {
                chunk.times = When::Unknown;
            } else if !chunk.times.continues(&open, self.wanted) {
                self.open = Some(open);
                break;
            }
            let left = rows - chunk.device.len();
            let more = match &mut open.rows {
                Source::Numbers(_) => self.numbers(&mut open, &mut chunk, left),
                Source::Text(_) => self.text(&mut open, &mut chunk, left),
            };
            match more {
                Ok(true) => self.open = Some(open),
                Ok(false) => self.closed(open),
                Err(error) if open.skips => self.leave(&open.file, &error),
                Err(error) => return Err(error),
            }
        }
        Ok((!chunk.device.is_empty()).then_some(chunk))
    }

    /// A file that cannot be opened.
    fn unread(&mut self, path: &Path, error: anyhow::Error) -> Result<()> {
        let skips = (self.formats)(&[]).is_ok_and(|format| format.on_error == OnError::Skip);
        let others = !self.files.is_empty() || !self.devices.met.is_empty();
        if !skips {
            return Err(match others {
                true => anyhow!("{}; --on-error skip goes on without it", InOneLine(&error)),
                false => error,
            });
        }
        self.leave(&path.display().to_string(), &error);
        Ok(())
    }

    fn leave(&mut self, file: &str, error: &anyhow::Error) {
        self.unreadable += 1;
        let error = InOneLine(error).to_string();
        self.notes.push(match error.contains(file) {
            true => format!("{error}; the rest of the file is left out"),
            false => format!("{file}: {error}; the rest of the file is left out"),
        });
    }

    fn closed(&mut self, open: Open) {
        let Source::Text(text) = open.rows else {
            return;
        };
        self.notes.extend(text.reader.notes());
        self.notes.extend(text.columns.notes());
        let (left, ahead) = (text.reader.left_waiting(), text.columns.ahead());
        if left > 0 {
            self.notes.push(format!(
                "{}: {left} rows have no answer, as what is known {ahead} rows ahead of them is not there",
                open.file
            ));
        }
        if self.wanted.group.is_some() {
            self.memory = Some(text.columns.memory());
        }
    }

    fn opened(&mut self, path: &Path) -> Result<Open> {
        let file = path.display().to_string();
        let unreadable = || format!("{file}: cannot be read");
        let mut format = (self.formats)(&[])?;
        let by_columns = self
            .by_columns(path, &file, &format)
            .with_context(unreadable)?;
        let skips = format.on_error == OnError::Skip;
        let rows = match by_columns {
            Some(numbers) => Source::Numbers(Box::new(numbers)),
            None => {
                let mut opened = open(path, &format).with_context(unreadable)?;
                if opened.printed {
                    (format.decimal, format.thousands) = ('.', None);
                } else {
                    let begin = opened.text.fill_buf().with_context(unreadable)?;
                    format = (self.formats)(begin)?;
                }
                let notes = opened.notes.iter().map(|note| format!("{file}: {note}"));
                self.notes.extend(notes);
                self.printed += 1;
                Source::Text(Box::new(self.by_text(opened.text, &file, &format)?))
            }
        };
        let device = match self.wanted.group {
            Some(_) => None,
            None => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                // Files of one name in several folders are several devices.
                Some(
                    self.devices
                        .id(match self.devices.places.has(stem.as_bytes()) {
                            true => &file,
                            false => &stem,
                        }),
                )
            }
        };
        Ok(Open {
            device,
            skips,
            rows,
            file,
        })
    }

    /// Finds the columns of a file with these names.
    fn columns<R: BufRead>(&self, reader: &Reader<R>) -> Result<Columns> {
        let inputs: Vec<&str> = self.wanted.inputs.iter().map(String::as_str).collect();
        let columns = reader.columns(&inputs)?;
        let spans = |name: &&String| {
            !reader.names().contains(name)
                && Derived::parse(name).is_some_and(|(it, _)| it.spans_rows())
        };
        if self.wanted.stride > 1
            && let Some(name) = self.wanted.inputs.iter().find(spans)
        {
            return Err(anyhow!(
                "--every {}: {name:?} is about the row before or behind, which here are rows that would be left out",
                self.wanted.stride
            ));
        }
        Ok(columns)
    }

    fn holding(&self, format: &Format) -> Format {
        let mut format = format.clone();
        if self.holds {
            format.missing = Missing::Nan;
        }
        format
    }

    /// Of Parquet whose columns are plain, where nothing but nothing stands for a gap.
    fn by_columns(&self, path: &Path, file: &str, format: &Format) -> Result<Option<Numbers>> {
        let mut input = File::open(path)?;
        let mut magic = [0; 4];
        if input.read(&mut magic)? < 4 || magic != *b"PAR1" {
            return Ok(None);
        }
        input.rewind()?;
        let format = self.holding(format);
        if format.audio.is_some() {
            return Ok(None);
        }
        let gaps = format.missing != Missing::Hold && format.missing_values.is_empty();
        let names = ParquetColumns::names(&input)?;
        let header = Format {
            delimiter: ',',
            decimal: '.',
            thousands: None,
            header: Header::Names(names),
            ..format
        };
        let reader = Reader::new(Cursor::new(Vec::new()), file, &header)?;
        let checks = self.columns(&reader)?;
        if !checks.are_plain() || !gaps || header.skip > 0 {
            return Ok(None);
        }
        let number = |name: &'a String| (&**name, Kind::Number);
        let mut columns: Vec<(&str, Kind)> = self.wanted.inputs.iter().map(number).collect();
        match &self.wanted.truth {
            Some(Truth::Number(name)) => columns.push((name, Kind::Number)),
            Some(Truth::Class(name, _)) => columns.push((name, Kind::Key)),
            Some(Truth::Input(_)) | None => {}
        }
        let keys = self.wanted.group.iter().chain(&self.wanted.time);
        columns.extend(keys.map(|name| (&**name, Kind::Key)));
        let mut table = ParquetColumns::open(input, &columns)?;
        if let (Some(_), Some(open)) = (&self.wanted.time, &table)
            && !open.is_whole(columns.len() - 1)
        {
            table = None;
        }
        Ok(table.map(|table| Numbers {
            table,
            checks,
            row: 0,
        }))
    }

    fn by_text(
        &mut self,
        input: Box<dyn BufRead + Send>,
        file: &str,
        format: &Format,
    ) -> Result<Text> {
        let format = self.holding(format);
        ensure!(
            !format.newest_first,
            "{file}: the model was trained on rows from the newest to the oldest; a back-test takes them from the oldest on: sort the \
             file, and give --newest-first=false"
        );
        let reader = Reader::new(input, file, &format)?;
        let mut columns = self.columns(&reader)?;
        if let Some(group) = &self.wanted.group {
            columns = columns.group_by(group, reader.names())?;
            if let Some(memory) = self.memory.take() {
                columns.remember(memory);
            }
        }
        // Errors as for any other column.
        let place = |name: &str| {
            let found = reader.columns(&[name])?;
            found.places().next().context("a column has a place")
        };
        let time = self.wanted.time.as_deref().map(place).transpose()?;
        let truth = match &self.wanted.truth {
            Some(Truth::Number(name) | Truth::Class(name, _)) => Some(place(name)?),
            Some(Truth::Input(_)) | None => None,
        };
        let number = format.numbers();
        let sentinels = format.missing_values.iter().filter_map(|text| number(text));
        Ok(Text {
            time: time.map(|at| (at, Times::new(format.time.as_deref()))),
            sentinels: sentinels.collect(),
            number: Box::new(number),
            columns,
            truth,
            reader,
        })
    }

    /// Some rows of a table of numbers; false at its end.
    fn numbers(&mut self, open: &mut Open, chunk: &mut Chunk, rows: usize) -> Result<bool> {
        let Source::Numbers(source) = &mut open.rows else {
            return Ok(false);
        };
        let wanted = self.wanted;
        let unreadable = || format!("{}: cannot be read", open.file);
        let read = source.table.read(rows).with_context(unreadable)?;
        if read.is_empty() {
            return Ok(false);
        }
        let (inputs, width) = (wanted.inputs.len(), wanted.width());
        let length = read[0].len();
        let numbers: Vec<&[f32]> = read.iter().map_while(Column::numbers).collect();
        let label = match (&wanted.truth, read.get(inputs)) {
            (Some(Truth::Class(_, classes)), Some(column)) => Some((column, classes)),
            _ => None,
        };
        let key = |at: Option<usize>| at.map(|at| &read[at]);
        let group = key(wanted.group.as_ref().map(|_| width));
        let time_at = wanted.time.as_ref().map(|_| read.len() - 1);
        let times = key(time_at).and_then(Column::whole);
        // In files of other units, or as text, times are compared all the same.
        let unit = time_at.map_or(0, |at| source.table.print_of(at).nanoseconds());
        let unit = i128::from(unit) * (SECOND / 1_000_000_000);
        if let (When::Unknown, Some(at)) = (&chunk.times, time_at) {
            chunk.times = When::Whole(Vec::with_capacity(length), source.table.print_of(at));
        }
        chunk.device.reserve(length);
        chunk.samples.reserve(length * width);
        let mut tile = vec![0f32; TILE * width];
        let mut finite = true;
        // Devices are numbered by their first rows.
        let mut ids: Vec<Option<u32>> = match group {
            Some(Column::Names(names, _)) => vec![None; names.len()],
            _ => Vec::new(),
        };
        for row in 0..length {
            source.row += 1;
            let of_tile = row % TILE;
            if of_tile == 0 {
                finite = turned(&numbers, row, &mut tile, (inputs, width));
            }
            let place = &mut tile[of_tile * width..][..width];
            let device = match (open.device, group) {
                (Some(device), _) => device,
                (None, Some(Column::Names(names, places))) => match places[row] {
                    NO_NAME => self.devices.id(""),
                    place => *ids[place as usize]
                        .get_or_insert_with(|| self.devices.id(names[place as usize].trim())),
                },
                (None, Some(column)) => self.devices.id(&column.text(row)),
                (None, None) => continue,
            };
            let met = &mut self.devices.met[device as usize];
            if met.stopped {
                met.left += 1;
                continue;
            }
            // The header is line 1 of the print.
            let line = source.row + 1;
            if !finite && !place[..inputs].iter().all(|x| x.is_finite()) {
                let raw = place.to_vec();
                let text = |k: usize| match raw[k].is_nan() {
                    true => String::new(),
                    false => raw[k].to_string(),
                };
                let checked = source.checks.take(None, &raw, text, line, place);
                if let Err(error) = checked {
                    met.broke(|| error.to_string(), open.skips);
                    continue;
                }
            }
            let time = times.map(|times| times[row]);
            if let Some(None) = time {
                let fault = || format!("{}:{line}: no time", open.file);
                met.broke(fault, open.skips);
                continue;
            }
            let at = time.flatten().map(|time| i128::from(time) * unit);
            match met.takes(at, wanted.stride) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(problem) => {
                    met.broke(|| format!("{}:{line}: {problem}", open.file), open.skips);
                    continue;
                }
            }
            if let Some((column, classes)) = label {
                place[inputs] = class_of(&column.text(row), classes);
            }
            if let (When::Whole(all, _), Some(Some(time))) = (&mut chunk.times, time) {
                all.push(time);
            }
            chunk.push(device, place, None);
        }
        Ok(true)
    }

    /// Some rows that are read as text; false at the end.
    fn text(&mut self, open: &mut Open, chunk: &mut Chunk, rows: usize) -> Result<bool> {
        let Source::Text(source) = &mut open.rows else {
            return Ok(false);
        };
        let Text {
            reader,
            columns,
            time,
            truth,
            number,
            sentinels,
        } = &mut **source;
        let (inputs, wanted) = (self.wanted.inputs.len(), self.wanted);
        if let (When::Unknown, Some(_)) = (&chunk.times, &time) {
            chunk.times = When::Text(Vec::new());
        }
        let mut place = vec![0f32; wanted.width()];
        for _ in 0..rows {
            let read = reader.next_sample(columns, &mut place);
            let error = match read {
                Ok(false) => return Ok(false),
                Ok(true) => None,
                Err(error) if error.is_of_row() => Some(error),
                Err(error) => return Err(error.into()),
            };
            // Where a row is no row, nobody knows whose it is.
            let of_field = error.as_ref().is_none_or(DataError::is_of_field);
            let device = match (open.device, columns.group()) {
                (Some(device), _) => device,
                (None, Some(group)) if of_field => self.devices.id(group),
                _ => {
                    let Some(error) = error else { continue };
                    if !open.skips {
                        return Err(anyhow!(
                            "{error}; nobody knows whose row that is: mend it, or --on-error skip leaves it out"
                        ));
                    }
                    self.strays += 1;
                    if self.strays == 1 {
                        self.notes
                            .push(format!("left out, as its device is not known: {error}"));
                    }
                    continue;
                }
            };
            let met = &mut self.devices.met[device as usize];
            if met.stopped {
                met.left += 1;
                continue;
            }
            if let Some(error) = error {
                met.broke(|| error.to_string(), open.skips);
                continue;
            }
            let row = reader.row();
            let line = reader.records().line();
            let mut at = None;
            if let Some((place, times)) = time {
                match times.read(&row[*place], false) {
                    Ok(time) => at = Some(in_parts(time.instant)),
                    Err(problem) => {
                        let why = problem.problem().unwrap_or("is not a time");
                        let text = &row[*place];
                        let fault = || format!("{}:{line}: {text:?} {why}", open.file);
                        met.broke(fault, open.skips);
                        continue;
                    }
                }
            }
            match met.takes(at, wanted.stride) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(problem) => {
                    met.broke(|| format!("{}:{line}: {problem}", open.file), open.skips);
                    continue;
                }
            }
            if let Some(at) = *truth {
                place[inputs] = match &wanted.truth {
                    Some(Truth::Class(_, classes)) => class_of(&row[at], classes),
                    _ => {
                        let found = number(&row[at]).filter(|x| !sentinels.contains(x));
                        found.map_or(f32::NAN, |x| x as f32)
                    }
                };
            }
            if let (When::Text(all), Some((at, _))) = (&mut chunk.times, &time) {
                all.push(row[*at].to_owned());
            }
            let measured = columns.measured(&place);
            chunk.push(device, &place, measured.as_deref());
        }
        Ok(true)
    }
}

impl When {
    /// Whether the rows of this file have times of the same kind.
    fn continues(&self, open: &Open, wanted: &Wanted) -> bool {
        match (self, &open.rows) {
            (When::Unknown, _) => wanted.time.is_none(),
            (When::Whole(_, print), Source::Numbers(numbers)) => {
                numbers.table.print_of(numbers.table.wanted() - 1) == *print
            }
            (When::Text(_), Source::Text(_)) => true,
            _ => false,
        }
    }
}

/// The numbers of some rows from `first` on, side by side in place of column by column. False if one of their inputs, the first columns, is no
/// number.
fn turned(
    columns: &[&[f32]],
    first: usize,
    rows: &mut [f32],
    (inputs, width): (usize, usize),
) -> bool {
    let mut finite = true;
    for (at, column) in columns.iter().enumerate() {
        let values = column[first..].iter().take(TILE);
        for (row, &x) in rows.chunks_exact_mut(width).zip(values.clone()) {
            row[at] = x;
        }
        finite &= at >= inputs || values.fold(true, |all, x| all & x.is_finite());
    }
    finite
}

/// The number of a class; NaN for what is none.
fn class_of(name: &str, classes: &[String]) -> f32 {
    let names = classes.iter().map(String::as_str).enumerate();
    place_of(names, name.trim()).map_or(f32::NAN, |place| place as f32)
}

/// A time of so many seconds, or a plain number.
fn in_parts(time: f64) -> i128 {
    (time * SECOND as f64) as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_order_as_whole_numbers() {
        let times = [f64::NEG_INFINITY, -2.5, -1e-9, 0.0, 1e-9, 3.0, 1.7e18];
        assert!(times.map(in_parts).is_sorted_by(|a, b| a < b));
    }
}
