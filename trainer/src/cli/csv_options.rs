//! How a data file is written, as options of the command line.

use super::{say, usage};
use anyhow::Result;
use clap::ValueEnum;
use kinglet_trainer::data::Written;
use kinglet_trainer::data::audio::Audio;
use kinglet_trainer::data::csv::{self as data, Format, Header, Missing, Size, Unseen};
use kinglet_trainer::data::open::encoding;
use kinglet_trainer::data::steps;
use kinglet_trainer::data::time::format_fault;
use kinglet_trainer::model_file::ModelFile;
use kinglet_trainer::task::Task;
use std::path::Path;

/// How a CSV file is written and which columns count. What is not said is as the model's training data had it.
#[derive(Debug, Clone, clap::Args)]
pub struct CsvOptions {
    /// Columns to use as the inputs, in the model's order; may be given again, and a name with a comma in it in quotes as CSV
    /// has them: --columns '"T, degC",u' [default: those with the model's names; without a header line, all by position]
    #[arg(long, value_name = "NAME,...")]
    pub columns: Vec<String>,

    /// Column that says what a row belongs to, such as a machine or a trial, as `group` in the task: all rows with the same
    /// text are a stream of their own, wherever they stand; '' for none [default: as the model was trained]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Take the first of so many rows of a group, as `every` in the task [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: Option<u64>,

    /// Between two fields; \t is a tab [default: as the model was trained, else ,]
    #[arg(long, value_name = "CHAR", value_parser = one_byte)]
    delimiter: Option<char>,

    /// Whether the first line has the column names [default: unless it is numbers]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub header: Option<HeaderOption>,

    /// Skip lines that begin so
    #[arg(long, value_name = "CHAR", value_parser = one_byte)]
    comment: Option<char>,

    /// The last row of a file is the oldest; with `=false` it is the newest, whatever it was in training
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub newest_first: Option<bool>,

    /// What to do about an empty field, NA or NaN [default: as the model was trained]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub missing: Option<MissingOption>,

    /// What else stands for a missing number, such as -200 [default: as the model was trained]
    #[arg(
        long,
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "TEXT,..."
    )]
    missing_values: Vec<String>,

    /// Before the fraction of a number [default: as the model was trained, else .]
    #[arg(long, value_name = "CHAR")]
    decimal: Option<char>,

    /// Between the thousands of a number [default: as the model was trained]
    #[arg(long, value_name = "CHAR")]
    thousands: Option<char>,

    /// What to do about a category that the model does not know [default: as the model was trained, else error]
    #[arg(long, value_enum, value_name = "WHAT")]
    unseen: Option<UnseenOption>,

    /// How times are written, if not in a common form, as strftime says it: %d/%m/%Y %H:%M; %s for seconds since 1970, excel
    /// for the days of spreadsheets [default: as the model was trained]
    #[arg(long, value_name = "FORMAT", value_parser = time_format)]
    time_format: Option<String>,

    /// How characters are encoded, if not as UTF-8, such as windows-1252 or cp949 [default: as the model was trained]
    #[arg(long, value_name = "NAME", value_parser = encoding_name)]
    encoding: Option<String>,

    /// A quoted field may go on over lines that look like rows of their own
    #[arg(long)]
    multiline: bool,

    /// Longest field [default: 16M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_field: Option<Size>,

    /// What a packed file may unpack to [default: 4G]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_unpacked: Option<Size>,

    /// What to do about a row that is broken or not as expected [default: as the model was trained, else stop]
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,

    /// How the data was written that the model was trained on.
    #[arg(skip)]
    trained: Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeaderOption {
    /// Names
    FirstLine,
    /// A row like all others: columns by position
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum MissingOption {
    /// Stop
    Error,
    /// Repeat the number of the row before
    Hold,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum UnseenOption {
    /// Stop
    Error,
    /// Every category's input is 0
    Zeros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Stop, after what came before it is answered
    Stop,
    /// Leave it out, say so, and go on
    Skip,
}

/// A task with what the command line says in place of it.
pub fn overridden(task: Task, data: Option<&Path>, on_error: Option<OnError>) -> Result<Task> {
    if on_error.is_some() && task.on_error().is_none() {
        return Err(usage(
            "--on-error is about the rows of a table, and the data of this task is none: remove it",
        ));
    }
    let made = task.pairs().is_some_and(|pairs| pairs.made.is_some());
    if data.is_some() && made {
        return Err(usage(
            "--data takes the place of the task's files, and the pairs of this task are made: remove it",
        ));
    }
    Ok(task.with_data(data).with_on_error(on_error.map(Into::into)))
}

fn time_format(text: &str) -> Result<String, String> {
    match format_fault(text) {
        None => Ok(text.into()),
        Some(fault) => Err(fault.into()),
    }
}

pub fn encoding_name(text: &str) -> Result<String, String> {
    match encoding(text) {
        Some(_) => Ok(text.into()),
        None => {
            Err("expected the name of an encoding, like windows-1252, cp949 or utf-16le".into())
        }
    }
}

fn size(text: &str) -> Result<Size, String> {
    Size::parse(text).ok_or_else(|| "expected bytes, as 4096, 16M or 4G".into())
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

impl From<OnError> for data::OnError {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Stop => data::OnError::Stop,
            OnError::Skip => data::OnError::Skip,
        }
    }
}

/// What a file may hold, of which an option says how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Rows of numbers.
    Samples,
    /// Rows whose columns are the steps of a sequence.
    Sequences,
    /// Rows with a token each.
    Tokens,
    /// Rows with a text each.
    Texts,
    /// A text in every line.
    Lines,
    /// One text.
    Text,
}

impl Holds {
    /// In a message.
    fn words(self) -> &'static str {
        match self {
            Holds::Samples => "rows of numbers",
            Holds::Sequences => "rows that are sequences",
            Holds::Tokens => "rows with a token each",
            Holds::Texts => "a column of texts",
            Holds::Lines => "texts, a line each",
            Holds::Text => "one text",
        }
    }

    const ALL: &'static [Holds] = &[
        Holds::Samples,
        Holds::Sequences,
        Holds::Tokens,
        Holds::Texts,
        Holds::Lines,
        Holds::Text,
    ];
    const TABLES: &'static [Holds] = Holds::ALL.split_at(4).0;
    const IN_LINES: &'static [Holds] = Holds::ALL.split_at(5).0;
}

impl CsvOptions {
    /// The options that were given, with what they say something about.
    fn given(&self) -> impl Iterator<Item = (&'static str, &'static [Holds])> + use<> {
        use Holds::{Samples, Sequences, Tokens};
        // Every one has to be told here.
        let CsvOptions {
            columns,
            group,
            every,
            delimiter,
            header,
            comment,
            newest_first,
            missing,
            missing_values,
            decimal,
            thousands,
            unseen,
            time_format,
            encoding,
            multiline,
            max_field,
            max_unpacked,
            on_error,
            trained: _,
        } = self;
        let (all, rows, in_lines) = (Holds::ALL, Holds::TABLES, Holds::IN_LINES);
        let given: [(_, _, &'static [Holds]); 18] = [
            ("--columns", !columns.is_empty(), rows),
            (
                "--group",
                group.as_ref().is_some_and(|name| !name.is_empty()),
                &[Samples, Tokens],
            ),
            ("--every", every.is_some(), &[Samples]),
            ("--delimiter", delimiter.is_some(), rows),
            ("--header", header.is_some(), rows),
            ("--comment", comment.is_some(), rows),
            (
                "--newest-first",
                newest_first.is_some(),
                &[Samples, Sequences],
            ),
            ("--missing", missing.is_some(), &[Samples, Sequences]),
            (
                "--missing-values",
                !missing_values.is_empty(),
                &[Samples, Sequences],
            ),
            ("--decimal", decimal.is_some(), &[Samples, Sequences]),
            ("--thousands", thousands.is_some(), &[Samples, Sequences]),
            ("--unseen", unseen.is_some(), &[Samples]),
            ("--time-format", time_format.is_some(), &[Samples]),
            ("--encoding", encoding.is_some(), all),
            ("--multiline", *multiline, rows),
            ("--max-field", max_field.is_some(), rows),
            ("--max-unpacked", max_unpacked.is_some(), all),
            ("--on-error", on_error.is_some(), in_lines),
        ];
        let given = given.into_iter().filter(|(_, given, _)| *given);
        given.map(|(option, _, of)| (option, of))
    }

    /// Refuses what says nothing about a file that holds this.
    pub fn fitting(&self, file: &str, holds: Holds) -> Result<()> {
        match self.given().find(|(_, of)| !of.contains(&holds)) {
            Some((option, _)) => Err(usage(format!(
                "{option} says nothing about {file}, which is read as {}: remove it",
                holds.words()
            ))),
            None => Ok(()),
        }
    }

    /// Refuses all of them, where no file is read that they say something about.
    pub fn without(&self, option: &str) -> Result<()> {
        match self.given().next() {
            Some((given, _)) => Err(usage(format!(
                "{given} says how to read {option}, which is missing"
            ))),
            None => Ok(()),
        }
    }

    /// For a model of this file, whose training data says what the options leave open.
    pub fn of_model(&self, file: &ModelFile) -> Self {
        let trained = Written::in_model(&file.bytes).unwrap_or_else(|| {
            say(&format!(
                "note: {}: what it says about the data that it was trained on is of a later version, and is not known here",
                file.path.display()
            ));
            Written::default()
        });
        CsvOptions {
            trained,
            ..self.clone()
        }
    }

    /// As a task file would say it, of text that begins so. Where the names are and what is done about gaps depends on the model
    /// too.
    pub fn format(&self, begin: &[u8]) -> Result<Format> {
        let trained = self.trained.format.clone();
        let found = self.delimiter.unwrap_or_else(|| delimiter(&trained, begin));
        // Who puts something else between fields may put something else between digits.
        if let (Some(mark), None, None, None) = (
            trained.thousands,
            self.delimiter,
            self.thousands,
            self.decimal,
        ) && found != trained.delimiter
        {
            let decimal = trained.decimal;
            return Err(usage(format!(
                "{found:?} stands between the fields here and {:?} in the training data, which had {decimal:?} before fractions and {mark:?} between \
                 thousands: these numbers may be written otherwise as well, and 1{mark}234 means one or the other; say which: --decimal {decimal} \
                 --thousands {mark}, or --decimal {mark}",
                trained.delimiter
            )));
        }
        let format = Format {
            delimiter: found,
            header: match (self.header, trained.header) {
                (Some(HeaderOption::None), Header::FirstLine) => Header::None,
                (Some(HeaderOption::FirstLine), _) => Header::FirstLine,
                (_, trained) => trained,
            },
            comment: self.comment.or(trained.comment),
            newest_first: self.newest_first.unwrap_or(trained.newest_first),
            missing: match self.missing {
                Some(MissingOption::Hold) => Missing::Hold,
                Some(MissingOption::Error) => Missing::Error,
                None => trained.missing,
            },
            missing_values: match self.missing_values.is_empty() {
                true => trained.missing_values,
                false => self.missing_values.clone(),
            },
            decimal: self.decimal.unwrap_or(trained.decimal),
            // A decimal point that is given takes the place of what was between thousands.
            thousands: (self.thousands).or(trained
                .thousands
                .filter(|&point| self.decimal != Some(point))),
            unseen: match self.unseen {
                Some(UnseenOption::Error) => Unseen::Error,
                Some(UnseenOption::Zeros) => Unseen::Zeros,
                None => trained.unseen,
            },
            time: self.time_format.clone().or(trained.time),
            encoding: self.encoding.clone().or(trained.encoding),
            multiline: self.multiline || trained.multiline,
            max_field: self.max_field.unwrap_or(trained.max_field),
            max_unpacked: self.max_unpacked.unwrap_or(trained.max_unpacked),
            on_error: self.on_error.map_or(trained.on_error, Into::into),
            audio: self.trained.audio.clone(),
            ..Format::default()
        };
        match format.fault() {
            Some((key, problem)) => Err(usage(format!("--{key}: {problem}"))),
            None => Ok(format),
        }
    }

    /// The keys of how rows are written that another model's training data had otherwise, as far as no option says them, with what is so
    /// for the one and for the other: of text that begins so, or of Parquet. Where that would be an error about a row it is left to it.
    pub fn unlike(&self, other: &Self, begin: Option<&[u8]>) -> Result<Vec<(String, [String; 2])>> {
        const OF_TEXT: [&str; 7] = [
            "missing_values",
            "newest_first",
            "time",
            "delimiter",
            "decimal",
            "thousands",
            "comment",
        ];
        const OF_PARQUET: &[&str] = OF_TEXT.split_at(3).0;
        let keys = begin.map_or(OF_PARQUET, |_| &OF_TEXT);
        let of = |options: &Self| -> Result<toml::Table> {
            let mut written = toml::Table::try_from(options.format(begin.unwrap_or_default())?)?;
            let every = options.every.unwrap_or(options.trained.every as u64);
            written.insert("every".into(), (every as i64).into());
            Ok(written)
        };
        let (one, two) = (of(self)?, of(other)?);
        let shown = |table: &toml::Table, key: &str| {
            let value = table.get(key);
            value.map_or("not set".to_owned(), ToString::to_string)
        };
        let differ = keys.iter().copied().chain(["every"]);
        let differ = differ.filter(|key| one.get(*key) != two.get(*key));
        let both = |key: &str| (key.to_owned(), [shown(&one, key), shown(&two, key)]);
        Ok(differ.map(both).collect())
    }

    /// What front end the model listens through.
    pub fn audio(&self) -> Option<&Audio> {
        self.trained.audio.as_ref()
    }

    /// The class that the model waits for.
    pub fn wake(&self) -> Option<&str> {
        self.trained.wake.as_deref()
    }

    /// The column of groups that was asked for.
    pub fn named_group(&self) -> Option<&str> {
        self.group.as_deref().filter(|group| !group.is_empty())
    }

    /// The column of groups among these: the one that was asked for, or that of the training data.
    pub fn group_in(&self, names: &[String], file: &str) -> Option<&str> {
        if self.group.is_some() {
            return self.named_group();
        }
        let group = self.trained.group.as_deref()?;
        if !names.iter().any(|name| name == group) {
            say(&format!(
                "note: {file} has no column {group:?}, which said in training what a row belongs to; all rows are taken as one stream"
            ));
            return None;
        }
        Some(group)
    }

    /// What columns of training came from beside its file, in a message about one that is not there.
    pub fn was_joined(&self) -> Option<String> {
        let [file, on] = self.trained.joined.as_ref()?;
        Some(format!(
            "the training data was joined with {file} by the column {on:?}, so join these rows with such a table too"
        ))
    }

    /// Rows of training belonged together.
    pub fn was_grouped(&self) -> bool {
        self.trained.group.is_some()
    }

    /// The steps of rows that are sequences, in training.
    pub fn steps(&self) -> Option<Vec<String>> {
        let steps = &self.trained.steps;
        (!steps.is_empty() && self.columns.is_empty()).then(|| steps::all(steps))
    }

    /// What the columns are called of a file without names, as that of training was.
    pub fn names_of_rows(&self, header: &Header, columns: usize) -> Option<Vec<String>> {
        match header {
            Header::Names(names) => Some(names.clone()),
            Header::None if self.header.is_none() => {
                Some((1..=columns).map(|k| k.to_string()).collect())
            }
            _ => None,
        }
    }

    /// The columns whose levels are the model's tokens, if they are.
    pub fn was_levels(&self) -> &[String] {
        &self.trained.levels
    }

    /// The data of training was one text.
    pub fn was_running(&self) -> bool {
        self.trained.running && self.columns.is_empty()
    }

    /// The data of training was words with tags, the words in this column.
    pub fn was_tagged(&self) -> Option<usize> {
        self.trained.tagged.filter(|_| self.columns.is_empty())
    }

    /// The column of texts, in training.
    pub fn text_column(&self) -> &str {
        self.trained.text.as_deref().unwrap_or("text")
    }

    /// Every how many rows of a group one is taken; says so where training took fewer.
    pub fn stride(&self) -> u64 {
        let trained = self.trained.every as u64;
        if self.every.is_none() && trained > 1 {
            say(&format!(
                "note: the model was trained on the first of every {trained} rows of its data; if these rows are as close as those were, add --every {trained}, else --every 1"
            ));
        }
        self.every.unwrap_or(1)
    }

    /// The names in `--columns`.
    pub fn named(&self, known: &[String]) -> Vec<String> {
        names_in(&self.columns, known)
    }
}

/// Between the fields of a text that begins so: what was so in training, or what else stands between fields where the first line
/// has none of those.
fn delimiter(trained: &Format, begin: &[u8]) -> char {
    let comment = trained.comment.map(|c| c as u8);
    let mut lines = begin.split_inclusive(|&b| b == b'\n');
    let first = lines.find(|line| comment.is_none() || line.first().copied() != comment);
    let first = first.filter(|line| line.ends_with(b"\n"));
    let parts = |delimiter: char| {
        let fields = first.unwrap_or(&[]).split(|&b| b == delimiter as u8);
        fields
            .filter(|field| !field.trim_ascii().is_empty())
            .count()
    };
    if parts(trained.delimiter) > 1 {
        return trained.delimiter;
    }
    let others = [',', ';', '\t', '|'].into_iter();
    let other = others
        .filter(|&other| parts(other) > 1)
        .max_by_key(|&other| parts(other));
    other.unwrap_or(trained.delimiter)
}

/// The names of columns in an option. Where commas are both in names and between them, the names of the file tell.
pub fn names_in(option: &[String], known: &[String]) -> Vec<String> {
    let named = |text: &String| {
        if known.contains(text) {
            return vec![text.clone()];
        }
        if text.contains('"') {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .trim(csv::Trim::All)
                .from_reader(text.as_bytes());
            let mut record = csv::StringRecord::new();
            let _ = reader.read_record(&mut record);
            return record.iter().map(String::from).collect();
        }
        let pieces: Vec<&str> = text.split(',').collect();
        let (mut names, mut at) = (Vec::new(), 0);
        while at < pieces.len() {
            let joined = |end: usize| pieces[at..end].join(",").trim().to_owned();
            let longest = (at + 2..=pieces.len()).rev();
            let mut longest = longest.filter(|&end| known.contains(&joined(end)));
            let end = longest.next().unwrap_or(at + 1);
            names.push(joined(end));
            at = end;
        }
        names
    };
    option.iter().flat_map(named).collect()
}
