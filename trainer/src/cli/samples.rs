//! The samples of a stream, read from CSV or text as a model wants them.
//!
//! Columns are found by the model's names, in any order, with derived ones like `hour_sin(date)`. By
//! position they are taken only where names cannot tell: if the file has no header (its first line is
//! numbers), or if the model's names are made up (`x0`, `x1`, …), and then the number of columns must fit.
//! A first line of numbers that may as well be a header, as 0,1,2 is, is asked about.

use super::csv_options::{CsvOptions, HeaderOption, Holds, MissingOption, names_in};
use super::live::Live;
use super::progress::cancel_on_signal;
use super::texts::{Lines, Texts, unknown_note};
use super::{say, usage};
use anyhow::{Context, Result, anyhow, bail};
use kinglet::Model;
use kinglet::format::Input;
use kinglet_trainer::data::DataError;
use kinglet_trainer::data::audio::{Audio, Front, Recording};
use kinglet_trainer::data::csv::{
    Columns, Format, Header, Memory, Missing, OnError, Reader, Records, are_numbered,
};
use kinglet_trainer::data::derived::Derived;
use kinglet_trainer::data::open::{open, read_text, unpack};
use kinglet_trainer::data::steps;
use kinglet_trainer::data::vocabulary::{Unit, Vocabulary, no_token};
use kinglet_trainer::escape::unescape;
use kinglet_trainer::model_file::{input_names, text_length};
use kinglet_trainer::nearest::did_you_mean;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Skipped rows that are told one by one; of the others, each that doubles their number.
const TOLD: u64 = 20;

type Bytes = Box<dyn BufRead + Send>;

/// What one step takes.
#[derive(Debug, Clone, Copy)]
pub enum Sample<'a> {
    Features(&'a [f32]),
    Token(usize),
    /// What comes next starts anew.
    EndOfText,
}

/// Samples one after the other.
pub struct Samples {
    source: Source,
    on_error: OnError,
    /// Every how many rows of a group one is taken, and the rows of each group so far.
    stride: u64,
    met: HashMap<String, u64>,
    /// The column of groups.
    group: Option<String>,
    /// Places of the columns that answers repeat.
    kept: Vec<usize>,
    /// Rows that were right, and those that were left out.
    rows: u64,
    skipped: u64,
}

enum Source {
    Features {
        reader: Box<Reader<Bytes>>,
        columns: Box<Columns>,
        sample: Vec<f32>,
        /// What was measured of it, if that is not all.
        measured: Option<Vec<f32>>,
    },
    /// Rows whose columns are the steps of a sequence.
    Sequences {
        reader: Box<Reader<Bytes>>,
        columns: Box<Columns>,
        row: Vec<f32>,
        /// Steps of it that have been given; all but the end of it, if it is longer.
        given: usize,
    },
    Tokens(Box<TokenRows>),
    Text {
        tokens: std::vec::IntoIter<usize>,
        token: usize,
    },
    Lines(Box<Lines>),
    Sound(Box<Sound>),
}

/// What rows of a recording have beside what is heard: when their frame ends.
pub const SECOND: &str = "second";

/// What a front end hears in a recording.
struct Sound {
    recording: Recording<'static>,
    front: Box<Front>,
    /// What messages call it.
    file: String,
    /// Where in a row of the front end the model's inputs are.
    places: Vec<usize>,
    sample: Vec<f32>,
    /// Samples a second.
    rate: f64,
    /// Samples that were heard, and to the millisecond when the last frame ended.
    heard: u64,
    second: String,
}

impl Sound {
    fn open(path: &Path, model: &Model<'_>, audio: &Audio) -> Result<Self> {
        let live = path == Path::new("-");
        let (input, file): (Box<dyn Read>, _) = match live {
            true => (
                Box::new(Live::new(cancel_on_signal())),
                "standard input".into(),
            ),
            false => {
                let file = path.display().to_string();
                let input = File::open(path).with_context(|| format!("{file}: cannot be read"))?;
                (Box::new(input), file)
            }
        };
        let heard = audio.names();
        let place = |(name, _): &(&str, _)| {
            let place = heard.iter().position(|heard| heard == name);
            place.ok_or_else(|| {
                usage(format!(
                    "--wav: the model takes {name} beside what it hears: give --csv, a table with that column and the recordings in {}",
                    audio.column
                ))
            })
        };
        let places: Vec<usize> = input_names(model)
            .iter()
            .map(place)
            .collect::<Result<_>>()?;
        let recording = Recording::new(BufReader::new(input), audio.rate, &file);
        let recording = recording.map_err(|problem| anyhow!("{file}: {problem}"))?;
        Ok(Sound {
            recording: recording.live(live),
            front: audio.front()?,
            file,
            sample: vec![0.0; places.len()],
            places,
            rate: audio.rate.into(),
            heard: 0,
            second: String::new(),
        })
    }

    fn advance(&mut self) -> Result<bool> {
        loop {
            let sample = self.recording.next_sample();
            let Some(sample) = sample.map_err(|problem| anyhow!("{}: {problem}", self.file))?
            else {
                return Ok(false);
            };
            self.heard += 1;
            if let Some(row) = self.front.push(sample) {
                let second = self.heard as f64 / self.rate;
                self.second = ((second * 1000.0).round() / 1000.0).to_string();
                let inputs = self.sample.iter_mut().zip(&self.places);
                inputs.for_each(|(x, &at)| *x = row[at]);
                return Ok(true);
            }
        }
    }

    fn note(&self) -> Option<String> {
        let channels = self.recording.channels;
        (channels > 1).then(|| {
            format!(
                "{}: {channels} channels, of which the mean is taken",
                self.file
            )
        })
    }
}

impl Samples {
    fn new(source: Source, on_error: OnError) -> Self {
        Samples {
            source,
            on_error,
            stride: 1,
            met: HashMap::new(),
            group: None,
            kept: Vec::new(),
            rows: 0,
            skipped: 0,
        }
    }

    /// From a CSV file, or standard input for `-`. Plain tensors (`raw`) have no names of their own.
    pub fn open(path: &Path, model: &Model<'_>, options: &CsvOptions, raw: bool) -> Result<Self> {
        let (mut input, file, mut format, printed) = opened(path, options)?;
        let on_error = format.on_error;
        if let Some(longest) = text_length(model) {
            if options.named_group().is_some() {
                return Err(usage("--group: every text starts anew; remove it"));
            }
            options.fitting(&file, Holds::Texts)?;
            let texts = Texts::column(input, &file, &format, options, longest)?;
            let lines = Source::Lines(Box::new(Lines::new(texts, file, model)));
            return Ok(Samples::new(lines, on_error));
        }
        if matches!(model.header().input, Input::Tokens { .. }) {
            // Neither a table with a column of tokens, nor a token a line.
            let begin = input
                .fill_buf()
                .with_context(|| format!("{file}: cannot be read"))?;
            let first = begin.split(|&b| b == b'\n').next().unwrap_or(&[]);
            let first = String::from_utf8_lossy(first);
            let is_table = || {
                first
                    .split(format.delimiter)
                    .any(|name| name.trim() == "token")
                    || Tokens::new(model, raw).find(first.trim_end()).is_some()
            };
            if let Some(word) = options.was_tagged().filter(|_| !is_table()) {
                options.fitting(&file, Holds::Lines)?;
                let texts = Texts::Tagged { input, word };
                let lines = Source::Lines(Box::new(Lines::new(texts, file, model)));
                return Ok(Samples::new(lines, on_error));
            }
            if options.was_running() && !is_table() {
                options.fitting(&file, Holds::Text)?;
                return Samples::of_text(input, &file, model);
            }
            options.fitting(&file, Holds::Tokens)?;
            let rows = TokenRows::new(input, file, &format, model, options, raw)?;
            let group = rows.group.map(|at| rows.reader.names()[at].clone());
            let mut samples = Samples::new(Source::Tokens(Box::new(rows)), on_error);
            samples.group = group;
            return Ok(samples);
        }
        let header = format.header.clone();
        if matches!(header, Header::Names(_)) {
            format.header = Header::FirstLine;
        }
        let mut records = Records::new(input, &file, &format);
        if !records.advance().map_err(reworded)? {
            return Err(DataError::Empty { file }.into());
        }
        let mut fields: Vec<String> = records.record().iter().map(String::from).collect();
        let names: Vec<&str> = input_names(model).iter().map(|n| n.0).collect();
        // Whoever joins a stream while a line is written gets its end.
        let columns = || {
            let of = names.iter().map(|name| Derived::column_of(name));
            of.collect::<HashSet<&str>>().len()
        };
        let is_torn = path == Path::new("-")
            && on_error == OnError::Skip
            && format.is_numeric(&fields)
            && fields.len() < columns();
        if is_torn {
            say(&format!("{file}:1: the end of a line; skipped"));
            if !records.advance().map_err(reworded)? {
                return Err(DataError::Empty { file }.into());
            }
            fields = records.record().iter().map(String::from).collect();
        }
        // Rows without names, as those of training were. A field may happen to be what a column is called, but not most of them.
        let is_row = |given: &Vec<String>| match header {
            Header::None => fields.len() == 1 || !are_numbered(&fields),
            _ => {
                let named = fields.iter().filter(|field| given.contains(field));
                given.len() == fields.len() && 2 * named.count() <= fields.len()
            }
        };
        let given = options.names_of_rows(&header, fields.len()).filter(is_row);
        if let Some(given) = &given {
            fields.clone_from(given);
        }
        fields.extend(format.audio.iter().flat_map(Audio::names));
        let named = options.named(&fields);
        // Columns of Parquet have names, which may be numbers.
        let has_header =
            given.is_none() && (printed || has_header(&fields, &names, &format, options, &file)?);
        let known = has_header || given.is_some();
        if !has_header {
            format.header = Header::None;
        }
        format.missing = match options.missing {
            // The engine repeats the row before by itself, and sees where it had to.
            None | Some(MissingOption::Hold) if model.holds() => Missing::Nan,
            _ => format.missing,
        };
        let mut reader = Reader::over(records, &format);
        if let Some(names) = given {
            reader = reader.called(names);
        }
        if format.newest_first {
            match path == Path::new("-") {
                true => say(
                    "note: the rows of a stream are taken as they come, from the oldest to the newest",
                ),
                false => {
                    if options.newest_first.is_none() {
                        say(&format!(
                            "note: the model was trained on rows from the newest to the oldest, and {file} is read so too: --newest-first=false \
                             if its first row is the oldest"
                        ));
                    }
                    reader = reader.from_the_end();
                }
            }
        }
        let steps = options.steps().filter(|_| !raw && model.inputs() == 1);
        let lacking = steps.as_ref().map(|it| steps::lacking(reader.names(), it));
        if let (Some(steps), Some(None)) = (&steps, &lacking) {
            options.fitting(&file, Holds::Sequences)?;
            if let Some(note) = steps::beyond(reader.names(), steps) {
                say(&format!("note: {file}: {note}"));
            }
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            let columns = Box::new(reader.columns(&steps)?);
            let (row, given) = (vec![0.0; steps.len()], usize::MAX);
            let reader = Box::new(reader);
            let rows = Source::Sequences {
                reader,
                columns,
                row,
                given,
            };
            return Ok(Samples::new(rows, on_error));
        }
        // One column, or one of the input's name, is a step a row.
        if let Some(lacking) = lacking.flatten().filter(|_| reader.names().len() > 1)
            && !reader.names().iter().any(|name| name == names[0])
        {
            bail!(
                "{file}: {lacking}; nor is there a column {:?}, for rows of one step each",
                names[0]
            );
        }
        let choice = choose(&names, &fields, &named, known, raw, &file)?;
        let wanted: Vec<&str> = match choice {
            Choice::Names => names,
            Choice::Flag => named.iter().map(String::as_str).collect(),
            Choice::Position => reader.names().iter().map(String::as_str).collect(),
        };
        let stride = options.stride();
        let spans = |name: &&&str| Derived::parse(name).is_some_and(|(it, _)| it.spans_rows());
        if stride > 1
            && let Some(name) = wanted.iter().find(spans)
        {
            return Err(usage(format!(
                "--every {stride}: {name:?} is about the row before or behind, which here are rows that would be left out; \
                 give {file} with every {stride}th row alone"
            )));
        }
        let columns = reader.columns(&wanted);
        let mut columns = columns.map_err(|error| match (&error, options.was_joined()) {
            (DataError::UnknownColumn { .. }, Some(joined)) => anyhow!("{error}; {joined}"),
            _ => error.into(),
        })?;
        let group = match raw {
            true => options.named_group(),
            false => options.group_in(reader.names(), &file),
        };
        let group = group.map(str::to_owned);
        if let Some(group) = &group {
            columns = columns.group_by(group, reader.names())?;
        }
        let features = Source::Features {
            columns: Box::new(columns),
            reader: Box::new(reader),
            sample: vec![0.0; model.inputs()],
            measured: None,
        };
        Ok(Samples {
            stride,
            group,
            skipped: u64::from(is_torn),
            ..Samples::new(features, on_error)
        })
    }

    /// From a recording.
    pub fn sound(path: &Path, model: &Model<'_>, audio: &Audio) -> Result<Self> {
        let sound = Sound::open(path, model, audio)?;
        Ok(Samples::new(Source::Sound(Box::new(sound)), OnError::Stop))
    }

    /// From texts, a line each.
    pub fn lines(path: &Path, model: &Model<'_>, options: &CsvOptions) -> Result<Self> {
        let (input, file, format, _) = opened(path, options)?;
        options.fitting(&file, Holds::Lines)?;
        let lines = Lines::new(Texts::Lines(input), file, model);
        Ok(Samples::new(
            Source::Lines(Box::new(lines)),
            format.on_error,
        ))
    }

    /// From one text.
    pub fn text(path: &Path, model: &Model<'_>, options: &CsvOptions) -> Result<Self> {
        let (input, file, ..) = opened(path, options)?;
        options.fitting(&file, Holds::Text)?;
        Samples::of_text(input, &file, model)
    }

    fn of_text(input: Bytes, file: &str, model: &Model<'_>) -> Result<Self> {
        let text = read_text(input).with_context(|| format!("{file}: cannot be read"))?;
        let names: Vec<&str> = input_names(model).iter().map(|n| n.0).collect();
        let vocabulary = Vocabulary::new(&names);
        let text = vocabulary.composed(&text);
        let tokens = Tokens::new(model, false);
        let of = |found: Vec<usize>| {
            let strange = found.iter().filter(|&&token| vocabulary.is_unknown(token));
            let note = unknown_note(file, strange.count() as u64, found.len() as u64);
            note.iter().for_each(|note| say(&format!("note: {note}")));
            let (tokens, token) = (found.into_iter(), 0);
            Samples::new(Source::Text { tokens, token }, OnError::Stop)
        };
        if vocabulary.unit() == Unit::Words {
            let found = vocabulary.tokens(&text);
            let found = found.map_err(|word| anyhow!("{file}: {}", tokens.unknown(&word)))?;
            return Ok(of(found));
        }
        let mut found = Vec::new();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            for (column, c) in line.chars().enumerate() {
                let token = vocabulary.number(c.encode_utf8(&mut [0; 4]));
                // The end of the last line need not belong to the text.
                if token.is_none() && c == '\n' && number + 1 == text.lines().count() {
                    continue;
                }
                found.push(token.ok_or_else(|| {
                    let (line, column) = (number + 1, column + 1);
                    anyhow!(
                        "{file}:{line}: column {column}: {}",
                        tokens.unknown(&c.to_string())
                    )
                })?);
            }
        }
        Ok(of(found))
    }

    /// Goes on to the next one; false at the end.
    pub fn next(&mut self) -> Result<bool> {
        loop {
            if !self.next_row()? {
                return Ok(false);
            }
            if self.stride == 1 {
                return Ok(true);
            }
            let group = self.group().unwrap_or("").to_owned();
            let met = self.met.entry(group).or_default();
            *met += 1;
            if (*met - 1).is_multiple_of(self.stride) {
                return Ok(true);
            }
        }
    }

    fn next_row(&mut self) -> Result<bool> {
        loop {
            let more = match &mut self.source {
                Source::Features {
                    reader,
                    columns,
                    sample,
                    measured,
                } => {
                    let more = reader.next_sample(columns, sample);
                    *measured = columns.measured(sample);
                    more
                }
                Source::Sequences {
                    reader,
                    columns,
                    row,
                    given,
                } => {
                    *given = given.saturating_add(1);
                    match *given > row.len() + 1 {
                        true => {
                            let more = reader.next_sample(columns, row);
                            *given = if matches!(more, Ok(true)) {
                                1
                            } else {
                                usize::MAX
                            };
                            more
                        }
                        false => Ok(true),
                    }
                }
                Source::Tokens(rows) => rows.advance(),
                Source::Lines(lines) => lines.advance(),
                Source::Sound(sound) => Ok(sound.advance()?),
                Source::Text { tokens, token } => {
                    let next = tokens.next();
                    *token = next.unwrap_or(*token);
                    Ok(next.is_some())
                }
            };
            match more {
                Ok(false) => return Ok(false),
                Ok(true) => break,
                Err(error) if self.on_error == OnError::Skip && error.is_of_row() => {
                    self.skipped += 1;
                    let skipped = self.skipped;
                    if skipped <= TOLD || skipped.is_power_of_two() {
                        say(&format!("skipped ({skipped}): {error}"));
                    }
                }
                Err(error) => return Err(reworded(error)),
            }
        }
        // A row that is a sequence counts once.
        if !matches!(self.source, Source::Sequences { given: 2.., .. }) {
            self.rows += 1;
        }
        Ok(true)
    }

    /// The one that [`Self::next`] came to.
    pub fn current(&self) -> Sample<'_> {
        match &self.source {
            Source::Features { sample, .. } => Sample::Features(sample),
            Source::Sequences { row, given, .. } => match row.get(given.wrapping_sub(1)) {
                Some(step) => Sample::Features(std::slice::from_ref(step)),
                None => Sample::EndOfText,
            },
            Source::Tokens(rows) => Sample::Token(rows.token),
            Source::Text { token, .. } => Sample::Token(*token),
            Source::Lines(lines) => lines.current(),
            Source::Sound(sound) => Sample::Features(&sound.sample),
        }
    }

    /// What was measured of the last sample: NaN where a gap repeats the number before. Empty where it is no row of numbers.
    pub fn measured(&self) -> &[f32] {
        match &self.source {
            Source::Features {
                measured: Some(measured),
                ..
            } => measured,
            _ => match self.current() {
                Sample::Features(sample) => sample,
                Sample::Token(_) | Sample::EndOfText => &[],
            },
        }
    }

    /// The group of the last sample, if there are groups.
    pub fn group(&self) -> Option<&str> {
        match &self.source {
            Source::Features { columns, .. } => columns.group(),
            Source::Tokens(rows) => rows.group.map(|at| &rows.reader.records().record()[at]),
            Source::Text { .. }
            | Source::Lines(_)
            | Source::Sequences { .. }
            | Source::Sound(_) => None,
        }
    }

    /// The column of groups, if there are groups.
    pub fn group_column(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Answers repeat these columns of their row; gives their names.
    pub fn keep(&mut self, wanted: &[String]) -> Result<Vec<String>> {
        let reader = self
            .reader()
            .ok_or_else(|| usage("--keep repeats columns of --csv; remove it"))?;
        let known = reader.names();
        let mut named = names_in(wanted, known);
        // The group stands before every answer anyway.
        named.retain(|name| self.group.as_ref() != Some(name));
        let place = |name: &String| {
            let mut places = (0..known.len()).filter(|&at| known[at] == *name);
            let Some(place) = places.next() else {
                let meant = did_you_mean(name, known.iter().map(String::as_str));
                return Err(usage(format!(
                    "--keep: no column {name:?}{meant}{} are {}",
                    if meant.is_empty() {
                        "; the columns"
                    } else {
                        " The columns"
                    },
                    known.join(", ")
                )));
            };
            match places.next() {
                None => Ok(place),
                Some(_) => Err(usage(format!(
                    "--keep: several columns are called {name:?}; rename all but one"
                ))),
            }
        };
        self.kept = named.iter().map(place).collect::<Result<_>>()?;
        Ok(named)
    }

    /// What stands in the columns to keep, in the current row; of a recording, its [`SECOND`].
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        let record = self.reader().map(Reader::row);
        let second = match &self.source {
            Source::Sound(sound) => Some(&sound.second[..]),
            _ => None,
        };
        self.kept
            .iter()
            .map(move |&at| record.map_or("", |record| &record[at]))
            .chain(second)
    }

    /// Of rows, if there are any.
    fn reader(&self) -> Option<&Reader<Bytes>> {
        match &self.source {
            Source::Features { reader, .. } | Source::Sequences { reader, .. } => Some(reader),
            Source::Tokens(rows) => Some(&rows.reader),
            Source::Lines(lines) => lines.reader(),
            Source::Text { .. } | Source::Sound(_) => None,
        }
    }

    /// The line of the current row, where rows have lines.
    pub fn line(&self) -> Option<u64> {
        let position = self.reader()?.row().position();
        position.map(::csv::Position::line)
    }

    /// Whether the last line had an end: what a stream left behind that was stopped may be half a row.
    pub fn is_complete(&self) -> bool {
        match &self.source {
            Source::Features { reader, .. } | Source::Sequences { reader, .. } => {
                reader.records().is_complete()
            }
            Source::Tokens(rows) => rows.reader.records().is_complete(),
            Source::Lines(lines) => lines.is_complete(),
            Source::Text { .. } | Source::Sound(_) => true,
        }
    }

    /// What features look back on.
    pub fn memory(&self) -> Remembered {
        let columns = match &self.source {
            Source::Features { columns, .. } => columns.memory(),
            _ => Memory::default(),
        };
        let heard = match &self.source {
            Source::Sound(sound) => {
                let (heard, until) = sound.front.heard();
                Some((heard.collect(), until))
            }
            _ => None,
        };
        let met = self.met.iter().map(|(group, &met)| (group.clone(), met));
        Remembered {
            columns,
            heard,
            met: met.collect(),
        }
    }

    /// Goes on from there; false if it is of other columns.
    pub fn remember(&mut self, remembered: Remembered) -> bool {
        let Remembered {
            columns: memory,
            heard,
            met,
        } = remembered;
        self.met = met.into_iter().collect();
        match &mut self.source {
            Source::Features { columns, .. } => columns.remember(memory),
            Source::Sound(sound) => {
                heard.is_some_and(|(heard, until)| sound.front.resume(&heard, until))
            }
            _ => memory == Memory::default(),
        }
    }

    /// Of so many rows one is answered.
    pub fn stride(&self) -> u64 {
        self.stride
    }

    /// How many there have been.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Says what was skipped, guessed or not known.
    pub fn tell(&self) {
        let mut notes = Vec::new();
        match &self.source {
            Source::Features {
                reader, columns, ..
            } => {
                notes.extend(reader.notes());
                notes.extend(columns.notes());
                let (left, ahead) = (reader.left_waiting(), columns.ahead());
                if left > 0 {
                    let have = if left == 1 { "row has" } else { "rows have" };
                    let rows = if ahead == 1 { "row" } else { "rows" };
                    notes.push(format!(
                        "{left} {have} no answer, as what is known {ahead} {rows} ahead is not there"
                    ));
                }
            }
            Source::Sequences { reader, .. } => notes.extend(reader.records().notes()),
            Source::Tokens(rows) => notes.extend(rows.reader.records().notes()),
            Source::Lines(lines) => notes.extend(lines.notes()),
            Source::Text { .. } => {}
            Source::Sound(sound) => notes.extend(sound.note()),
        }
        if self.skipped > 0 {
            let (skipped, all) = (self.skipped, self.rows + self.skipped);
            let share = 100.0 * skipped as f64 / all as f64;
            let joined = match self.source {
                Source::Features { .. } | Source::Tokens(_) => {
                    "; what looks back went on behind them as if they had not been there"
                }
                Source::Sequences { .. }
                | Source::Text { .. }
                | Source::Lines(_)
                | Source::Sound(_) => "",
            };
            notes.push(format!(
                "{skipped} of {all} rows were skipped ({share:.2} %){joined}"
            ));
        }
        notes.iter().for_each(|note| say(&format!("note: {note}")));
    }
}

/// A file of rows, what messages call it, and how it is written.
pub fn opened(path: &Path, options: &CsvOptions) -> Result<(Bytes, String, Format, bool)> {
    let format = options.format(&[])?;
    let (opened, file) = if path == Path::new("-") {
        let input = BufReader::new(Live::new(cancel_on_signal()));
        (unpack(input, &format), "standard input".into())
    } else {
        (open(path, &format), path.display().to_string())
    };
    let unreadable = || format!("{file}: cannot be read");
    let mut opened = opened.with_context(unreadable)?;
    let mut format = match opened.printed {
        true => format,
        false => options.format(opened.text.fill_buf().with_context(unreadable)?)?,
    };
    if opened.printed {
        (format.decimal, format.thousands) = ('.', None);
    }
    let left_out = opened.notes.iter();
    left_out.for_each(|note| say(&format!("note: {file}: {note}")));
    Ok((opened.text, file, format, opened.printed))
}

/// The words of a task file do not fit here.
fn reworded(error: DataError) -> anyhow::Error {
    match error {
        DataError::Read { file, source } => {
            anyhow::Error::new(source).context(format!("{file}: cannot be read"))
        }
        other => other.into(),
    }
}

/// Whether the first line has names. A row of numbers has none, unless it counts its columns.
fn has_header(
    fields: &[String],
    names: &[&str],
    format: &Format,
    options: &CsvOptions,
    file: &str,
) -> Result<bool> {
    if let Some(header) = options.header {
        return Ok(header == HeaderOption::FirstLine);
    }
    if !format.is_numeric(fields) {
        return Ok(true);
    }
    // The names of the model, which a row of numbers would not be by chance.
    let named = |name: &&str| fields.iter().any(|field| field == Derived::column_of(name));
    if format.header == Header::FirstLine && names.iter().all(named) {
        return Ok(true);
    }
    if are_numbered(fields) {
        return Err(usage(format!(
            "{file}: the first line, {}, may be a row or the names of the columns, as pandas writes them; say which: \
             --header first-line or --header none",
            fields.join(format.delimiter.to_string().as_str())
        )));
    }
    Ok(false)
}

/// What a saved state keeps of the rows before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    columns: Memory,
    /// Of a recording the last samples, and how many are left to the end of the next frame.
    heard: Option<(Vec<f32>, usize)>,
    /// Rows of every group, where most are left out.
    met: BTreeMap<String, u64>,
}

/// How columns are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// By the model's names.
    Names,
    /// By `--columns`.
    Flag,
    /// All, by position.
    Position,
}

fn choose(
    names: &[&str],
    fields: &[String],
    named: &[String],
    has_header: bool,
    raw: bool,
    file: &str,
) -> Result<Choice> {
    let computed = names.iter().find_map(|&name| {
        let (_, column) = Derived::parse(name).filter(|_| !raw)?;
        Some((name, column))
    });
    if !named.is_empty() {
        let (need, have) = (names.len(), named.len());
        if need != have {
            return Err(usage(format!(
                "--columns names {have} columns ({}), the model takes {need}: {}; a name with a comma in it is put in quotes: \
                 --columns '\"T, degC\",u'",
                named.join("; "),
                names.join(", ")
            )));
        }
        for (&name, given) in names.iter().zip(named).filter(|_| !raw) {
            let plain = Derived::parse(given).is_none() && given != name;
            if let Some((_, column)) = Derived::parse(name).filter(|_| plain) {
                return Err(usage(format!(
                    "--columns: the model takes {name}, which is computed from a column, and {given:?} would be taken as it is; \
                     write {:?}",
                    name.replace(column, given)
                )));
            }
        }
        return Ok(Choice::Flag);
    }
    let there = |name: &str| has_header && fields.iter().any(|f| f == name);
    let derived = |name: &str| Derived::parse(name).is_some_and(|(_, column)| there(column));
    if names.iter().all(|name| there(name) || derived(name)) {
        return Ok(Choice::Names);
    }
    let made_up = names
        .iter()
        .enumerate()
        .all(|(i, name)| *name == format!("x{i}"));
    let by_position = !has_header || ((raw || made_up) && !names.iter().any(|name| there(name)));
    if !by_position {
        return Ok(Choice::Names);
    }
    if let Some((name, column)) = computed {
        bail!(
            "{file}: {name} is computed from a column {column:?} and cannot be taken from a file without names; add a \
             header line"
        );
    }
    if fields.len() != names.len() {
        bail!(
            "{file}: {} columns{}, the model takes {}: {}; expected a header line with these names, or \
             choose with --columns",
            fields.len(),
            if has_header { "" } else { " without a header" },
            names.len(),
            names.join(", ")
        );
    }
    if !made_up && !raw {
        say(&format!(
            "note: {file} has no header line; its columns are taken to be {}",
            names.join(", ")
        ));
    }
    Ok(Choice::Position)
}

/// Tokens by name, by escaped name, and by number where no token is itself called by a number.
pub struct Tokens {
    by_name: HashMap<String, usize>,
    names: Vec<String>,
    numbers: bool,
}

impl Tokens {
    pub fn new(model: &Model<'_>, numbers: bool) -> Self {
        let names: Vec<String> = input_names(model).iter().map(|n| n.0.to_owned()).collect();
        Tokens {
            numbers: numbers || !names.iter().any(|name| name.parse::<usize>().is_ok()),
            by_name: names.iter().cloned().zip(0..).collect(),
            names,
        }
    }

    pub fn find(&self, text: &str) -> Option<usize> {
        let name = |text: &str| self.by_name.get(text).copied();
        let number = || text.trim().parse().ok().filter(|&n| n < self.names.len());
        name(text)
            .or_else(|| name(&unescape(text)?))
            .or_else(|| number().filter(|_| self.numbers))
    }

    /// What a message says about text that is no token.
    pub fn unknown(&self, text: &str) -> String {
        no_token(text, "model", &self.names)
    }
}

/// Tokens from a column of their names.
struct TokenRows {
    reader: Reader<Bytes>,
    file: String,
    tokens: Tokens,
    column: usize,
    /// The column of groups.
    group: Option<usize>,
    /// Of the current row.
    token: usize,
}

impl TokenRows {
    fn new(
        input: Bytes,
        file: String,
        format: &Format,
        model: &Model<'_>,
        options: &CsvOptions,
        raw: bool,
    ) -> Result<Self> {
        // A blank may be a token.
        let mut records = Records::new(input, &file, format).untrimmed();
        if !records.advance().map_err(reworded)? {
            return Err(DataError::Empty { file }.into());
        }
        let names: Vec<String> = records.record().iter().map(|n| n.trim().into()).collect();
        let named = options.named(&names);
        let wanted = match &named[..] {
            [] => "token",
            [column] => column,
            more => {
                return Err(usage(format!(
                    "--columns names {} columns, the model takes one, of tokens",
                    more.len()
                )));
            }
        };
        let mut header = format.clone();
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let missing = |wanted: &str| DataError::UnknownColumn {
            file: file.clone(),
            column: wanted.into(),
            known: names.clone(),
        };
        let group = options.group_in(&names, &file);
        let group = group.map(|g| place(g).ok_or_else(|| missing(g)));
        let group = group.transpose()?;
        let column = match place(wanted) {
            Some(column) if options.header != Some(HeaderOption::None) => column,
            _ if names.len() == 1 && named.is_empty() => {
                header.header = Header::None;
                0
            }
            _ => {
                let way = match options.was_levels() {
                    [] => "choose one with --columns".into(),
                    columns => format!(
                        "the model takes tokens, which are levels of {}: `kinglet generate` draws such rows; of a table it takes a \
                         column of tokens, which --columns names",
                        columns.join(", ")
                    ),
                };
                return Err(anyhow::Error::new(missing(wanted)).context(way));
            }
        };
        Ok(TokenRows {
            reader: Reader::over(records, &header),
            tokens: Tokens::new(model, raw),
            column,
            group,
            token: 0,
            file,
        })
    }

    fn advance(&mut self) -> Result<bool, DataError> {
        if !self.reader.advance()? {
            return Ok(false);
        }
        let records = self.reader.records();
        let text = &records.record()[self.column];
        let line = records.line();
        self.token = self.tokens.find(text).ok_or_else(|| {
            let header = if line == 1 {
                " (a header line would say \"token\")"
            } else {
                ""
            };
            DataError::Token {
                file: self.file.clone(),
                line,
                problem: format!("{}{header}", self.tokens.unknown(text)),
            }
        })?;
        Ok(true)
    }
}
