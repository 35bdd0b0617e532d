//! The samples of a stream, read from CSV or text as a model wants them.
//!
//! Columns are found by the model's names, in any order, with derived ones like `hour_sin(date)`. By
//! position they are taken only where names cannot tell: if the file has no header (its first line is
//! numbers), or if the model's names are made up (`x0`, `x1`, …), and then the number of columns must fit.

use super::model_file::input_names;
use super::texts::{Lines, Texts, is_of_texts};
use super::{say, usage};
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use csv::StringRecord;
use kinglet::Model;
use kinglet::format::Input;
use kinglet_trainer::data::DataError;
use kinglet_trainer::data::csv::{Columns, Format, Header, Missing, Reader};
use kinglet_trainer::data::derived::Derived;
use kinglet_trainer::data::open::{open, unpack};
use kinglet_trainer::data::time::Time;
use kinglet_trainer::data::vocabulary::{Unit, Vocabulary};
use kinglet_trainer::escape::{escape, unescape};
use std::collections::HashMap;
use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;

/// How a CSV file is written and which columns count.
#[derive(Debug, Clone, clap::Args)]
pub struct CsvOptions {
    /// Columns to use as the inputs, in the model's order [default: those with the model's names; without
    /// a header line, all by position]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub columns: Vec<String>,

    /// Column that says what a row belongs to, such as a machine or a trial, as `group` in the task: where its text changes
    /// the state starts anew
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,

    /// Between two fields; \t is a tab
    #[arg(long, default_value = ",", value_name = "CHAR", value_parser = one_byte)]
    pub delimiter: char,

    /// Skip lines that begin so
    #[arg(long, value_name = "CHAR", value_parser = one_byte)]
    pub comment: Option<char>,

    /// What to do about an empty field, NA or NaN [default: as the model was trained]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub missing: Option<MissingOption>,

    /// How times are written, if not in a common form, as strftime says it: %d/%m/%Y %H:%M
    #[arg(long, value_name = "FORMAT", value_parser = time_format)]
    pub time_format: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum MissingOption {
    /// Stop
    Error,
    /// Repeat the number of the row before
    Hold,
}

fn time_format(text: &str) -> Result<String, String> {
    if Time::is_format(text) {
        Ok(text.into())
    } else {
        Err("expected a format as of strftime, like %d/%m/%Y %H:%M".into())
    }
}

fn one_byte(text: &str) -> Result<char, String> {
    match text {
        "\\t" => Ok('\t'),
        _ => match *text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(byte.into()),
            _ => Err("expected one ASCII character".into()),
        },
    }
}

type Bytes = Box<dyn Read>;

/// What one step takes.
#[derive(Debug, Clone, Copy)]
pub enum Sample<'a> {
    Features(&'a [f32]),
    Token(usize),
    /// What comes next starts anew.
    EndOfText,
    /// So it does where another group begins.
    NewGroup,
}

/// Samples one after the other.
pub enum Samples {
    Features {
        reader: Box<Reader<Bytes>>,
        columns: Columns,
        sample: Vec<f32>,
        /// The sample has been read, and is the first of its group.
        held: bool,
    },
    Tokens(Box<TokenRows>),
    Text(std::vec::IntoIter<usize>),
    Lines(Box<Lines>),
}

impl Samples {
    /// From a CSV file, or standard input for `-`. Plain tensors (`raw`) have no names of their own.
    pub fn open(path: &Path, model: &Model<'_>, options: &CsvOptions, raw: bool) -> Result<Self> {
        let (mut input, file) = opened(path, options.delimiter)?;
        if is_of_texts(model) {
            if options.group.is_some() {
                return Err(usage("--group: every text starts anew; remove it"));
            }
            let texts = Texts::column(input, &file, options)?;
            return Ok(Samples::Lines(Box::new(Lines::new(texts, file, model))));
        }
        if matches!(model.header().input, Input::Tokens { .. }) {
            let rows = TokenRows::new(input, file, model, options, raw)?;
            return Ok(Samples::Tokens(Box::new(rows)));
        }
        let first = first_lines(&mut input, options.comment)
            .with_context(|| format!("{file}: cannot be read"))?;
        let fields = fields(&first, options);
        let input: Bytes = Box::new(Cursor::new(first).chain(input));
        let numeric = fields.iter().all(|f| f.parse::<f32>().is_ok());
        let names: Vec<&str> = input_names(model).iter().map(|n| n.0).collect();
        let choice = choose(&names, &fields, numeric, options, raw, &file)?;
        let format = Format {
            delimiter: options.delimiter,
            comment: options.comment,
            header: if choice == Choice::Numbers || (choice == Choice::Flag && numeric) {
                Header::None
            } else {
                Header::FirstLine
            },
            missing: match options.missing {
                // The engine repeats the row before by itself, and sees where it had to.
                None | Some(MissingOption::Hold) if model.holds() => Missing::Nan,
                None | Some(MissingOption::Error) => Missing::Error,
                Some(MissingOption::Hold) => Missing::Hold,
            },
            time: options.time_format.clone(),
            ..Format::default()
        };
        let reader = Reader::new(input, &file, &format).map_err(reworded)?;
        let wanted: Vec<&str> = match choice {
            Choice::Names => names,
            Choice::Flag => options.columns.iter().map(String::as_str).collect(),
            Choice::Numbers | Choice::Position => {
                reader.names().iter().map(String::as_str).collect()
            }
        };
        let mut columns = reader.columns(&wanted)?;
        if let Some(group) = &options.group {
            columns = columns.group_by(group, reader.names())?;
        }
        Ok(Samples::Features {
            columns,
            reader: Box::new(reader),
            sample: vec![0.0; model.inputs()],
            held: false,
        })
    }

    /// From texts, a line each.
    pub fn lines(path: &Path, model: &Model<'_>) -> Result<Self> {
        let (input, file) = opened(path, ',')?;
        let lines = Lines::new(Texts::Lines(input), file, model);
        Ok(Samples::Lines(Box::new(lines)))
    }

    /// From one text.
    pub fn text(path: &Path, model: &Model<'_>) -> Result<Self> {
        let (input, file) = opened(path, ',')?;
        let text = io::read_to_string(input);
        let text = text.with_context(|| format!("{file}: cannot be read"))?;
        let names: Vec<&str> = input_names(model).iter().map(|n| n.0).collect();
        let vocabulary = Vocabulary::new(&names);
        let tokens = Tokens::new(model, false);
        if vocabulary.unit() == Unit::Words {
            let found = vocabulary.tokens(&text);
            let found = found.map_err(|word| anyhow!("{file}: {}", tokens.unknown(word)))?;
            return Ok(Samples::Text(found.into_iter()));
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
        Ok(Samples::Text(found.into_iter()))
    }

    /// The next one; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Sample<'_>>> {
        Ok(match self {
            Samples::Features {
                reader,
                columns,
                sample,
                held,
            } => {
                if !std::mem::take(held) {
                    if !reader.next_sample(columns, sample).map_err(reworded)? {
                        return Ok(None);
                    }
                    *held = columns.begins_group();
                }
                Some(if *held {
                    Sample::NewGroup
                } else {
                    Sample::Features(sample)
                })
            }
            Samples::Tokens(rows) => rows.next()?,
            Samples::Text(tokens) => tokens.next().map(Sample::Token),
            Samples::Lines(lines) => lines.next()?,
        })
    }

    /// The group of the last sample, if there are groups.
    pub fn group(&self) -> Option<&str> {
        match self {
            Samples::Features { columns, .. } => columns.group(),
            Samples::Tokens(rows) => rows.group.as_ref()?.1.as_deref(),
            Samples::Text(_) | Samples::Lines(_) => None,
        }
    }
}

fn opened(path: &Path, delimiter: char) -> Result<(Box<dyn BufRead>, String)> {
    let (input, file) = if path == Path::new("-") {
        (unpack(io::stdin().lock()), "standard input".into())
    } else {
        (open(path, delimiter), path.display().to_string())
    };
    let input = input.with_context(|| format!("{file}: cannot be read"))?;
    Ok((input, file))
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

/// How columns are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// By the model's names.
    Names,
    /// By `--columns`.
    Flag,
    /// All, by position; there is no header.
    Numbers,
    /// All, by position, below a header.
    Position,
}

fn choose(
    names: &[&str],
    fields: &[String],
    numeric: bool,
    options: &CsvOptions,
    raw: bool,
    file: &str,
) -> Result<Choice> {
    if !options.columns.is_empty() {
        let (need, have) = (names.len(), options.columns.len());
        if need != have {
            return Err(usage(format!(
                "--columns names {have} columns, the model takes {need}: {}",
                names.join(", ")
            )));
        }
        return Ok(Choice::Flag);
    }
    let there = |name: &str| fields.iter().any(|f| f == name);
    let derived = |name: &str| Derived::parse(name).is_some_and(|(_, column)| there(column));
    if names.iter().all(|name| there(name) || derived(name)) || fields.is_empty() {
        return Ok(Choice::Names);
    }
    let made_up = names
        .iter()
        .enumerate()
        .all(|(i, name)| *name == format!("x{i}"));
    let by_position = numeric || ((raw || made_up) && !names.iter().any(|name| there(name)));
    if !by_position {
        return Ok(Choice::Names);
    }
    if fields.len() != names.len() {
        bail!(
            "{file}: {} columns{}, the model takes {}: {}; expected a header line with these names, or \
             choose with --columns",
            fields.len(),
            if numeric { " without a header" } else { "" },
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
    Ok(if numeric {
        Choice::Numbers
    } else {
        Choice::Position
    })
}

/// Reads up to the end of the first line that says something.
fn first_lines(input: &mut impl BufRead, comment: Option<char>) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    loop {
        let start = lines.len();
        if input.read_until(b'\n', &mut lines)? == 0 {
            return Ok(lines);
        }
        let line = lines[start..].trim_ascii();
        if !line.is_empty() && !comment.is_some_and(|c| line.starts_with(&[c as u8])) {
            return Ok(lines);
        }
    }
}

/// The fields of the first record.
fn fields(lines: &[u8], options: &CsvOptions) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(options.delimiter as u8)
        .comment(options.comment.map(|c| c as u8))
        .trim(csv::Trim::All)
        .has_headers(false)
        .flexible(true)
        .from_reader(lines);
    let mut record = csv::ByteRecord::new();
    let _ = reader.read_byte_record(&mut record);
    let text = record
        .iter()
        .map(|f| String::from_utf8_lossy(f).into_owned());
    text.map(|f| f.trim_start_matches('\u{feff}').to_owned())
        .collect()
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
        const SHOWN: usize = 40;
        let known: Vec<String> = self.names.iter().take(SHOWN).map(|n| escape(n)).collect();
        let more = if self.names.len() > SHOWN {
            ", …"
        } else {
            ""
        };
        format!(
            "{text:?} is no token of the model; expected one of {}{more}",
            known.join(", ")
        )
    }
}

/// Tokens from a column of their names.
pub struct TokenRows {
    reader: csv::Reader<Bytes>,
    record: StringRecord,
    file: String,
    tokens: Tokens,
    column: usize,
    width: usize,
    /// The current record has been read already: it is no header, or the first of its group.
    pending: bool,
    /// The column of groups, and its text in the last row.
    group: Option<(usize, Option<String>)>,
}

impl TokenRows {
    fn new(
        input: impl Read + 'static,
        file: String,
        model: &Model<'_>,
        options: &CsvOptions,
        raw: bool,
    ) -> Result<Self> {
        // Not trimmed: a blank may be a token.
        let reader = csv::ReaderBuilder::new()
            .delimiter(options.delimiter as u8)
            .comment(options.comment.map(|c| c as u8))
            .has_headers(false)
            .flexible(true)
            .from_reader(Box::new(input) as Bytes);
        let mut rows = TokenRows {
            reader,
            record: StringRecord::new(),
            tokens: Tokens::new(model, raw),
            column: 0,
            width: 0,
            pending: false,
            group: None,
            file,
        };
        let wanted = match &options.columns[..] {
            [] => "token",
            [column] => column,
            more => {
                return Err(usage(format!(
                    "--columns names {} columns, the model takes one, of tokens",
                    more.len()
                )));
            }
        };
        if !rows.read()? {
            return Ok(rows);
        }
        rows.width = rows.record.len();
        let place = |wanted: &str| rows.record.iter().position(|name| name.trim() == wanted);
        if let Some(group) = &options.group {
            let Some(at) = place(group) else {
                bail!(
                    "{}: no column {group:?}; the columns are {}",
                    rows.file,
                    rows.record.iter().collect::<Vec<_>>().join(", ")
                );
            };
            rows.group = Some((at, None));
        }
        match place(wanted) {
            Some(column) => rows.column = column,
            None if rows.width == 1 && options.columns.is_empty() => rows.pending = true,
            None => bail!(
                "{}: no column {wanted:?}; the columns are {}; choose one with --columns",
                rows.file,
                rows.record.iter().collect::<Vec<_>>().join(", ")
            ),
        }
        Ok(rows)
    }

    fn read(&mut self) -> Result<bool> {
        let read = self.reader.read_record(&mut self.record);
        read.with_context(|| format!("{}: not a CSV file", self.file))
    }

    fn next(&mut self) -> Result<Option<Sample<'static>>> {
        if !std::mem::take(&mut self.pending) && !self.read()? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, |p| p.line());
        if self.record.len() != self.width {
            bail!(
                "{}:{line}: {} fields where {} were expected; repair or remove the row",
                self.file,
                self.record.len(),
                self.width
            );
        }
        if let Some((at, last)) = &mut self.group
            && last.as_deref() != Some(&self.record[*at])
        {
            let begins = last.replace(self.record[*at].to_owned()).is_some();
            if begins {
                self.pending = true;
                return Ok(Some(Sample::NewGroup));
            }
        }
        let text = &self.record[self.column];
        let token = self.tokens.find(text).ok_or_else(|| {
            let header = if line == 1 {
                " (a header line would say \"token\")"
            } else {
                ""
            };
            anyhow!(
                "{}:{line}: {}{header}",
                self.file,
                self.tokens.unknown(text)
            )
        })?;
        Ok(Some(Sample::Token(token)))
    }
}
