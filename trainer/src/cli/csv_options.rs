//! How a data file is written, as options of the command line.

use super::usage;
use anyhow::Result;
use clap::ValueEnum;
use kinglet_trainer::data::csv::{Format, Header, Missing, Size, Unseen};
use kinglet_trainer::data::open::encoding;
use kinglet_trainer::data::time::is_format;

/// How a CSV file is written and which columns count.
#[derive(Debug, Clone, clap::Args)]
pub struct CsvOptions {
    /// Columns to use as the inputs, in the model's order; may be given again, and a name with a comma in it in quotes as CSV
    /// has them: --columns '"T, degC",u' [default: those with the model's names; without a header line, all by position]
    #[arg(long, value_name = "NAME,...")]
    pub columns: Vec<String>,

    /// Column that says what a row belongs to, such as a machine or a trial, as `group` in the task: all rows with the same
    /// text are a stream of their own, wherever they stand
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,

    /// Between two fields; \t is a tab
    #[arg(long, default_value = ",", value_name = "CHAR", value_parser = one_byte)]
    pub delimiter: char,

    /// Whether the first line has the column names [default: unless it is numbers]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub header: Option<HeaderOption>,

    /// Skip lines that begin so
    #[arg(long, value_name = "CHAR", value_parser = one_byte)]
    pub comment: Option<char>,

    /// What to do about an empty field, NA or NaN [default: as the model was trained]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub missing: Option<MissingOption>,

    /// What else stands for a missing number, such as -200
    #[arg(
        long,
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "TEXT,..."
    )]
    pub missing_values: Vec<String>,

    /// Before the fraction of a number
    #[arg(long, default_value = ".", value_name = "CHAR")]
    pub decimal: char,

    /// Between the thousands of a number
    #[arg(long, value_name = "CHAR")]
    pub thousands: Option<char>,

    /// What to do about a category that the model does not know
    #[arg(long, value_enum, default_value = "error", value_name = "WHAT")]
    pub unseen: UnseenOption,

    /// How times are written, if not in a common form, as strftime says it: %d/%m/%Y %H:%M; %s for seconds since 1970, excel
    /// for the days of spreadsheets
    #[arg(long, value_name = "FORMAT", value_parser = time_format)]
    pub time_format: Option<String>,

    /// How characters are encoded, if not as UTF-8, such as windows-1252 or cp949
    #[arg(long, value_name = "NAME", value_parser = encoding_name)]
    pub encoding: Option<String>,

    /// A quoted field may go on over lines that look like rows of their own
    #[arg(long)]
    pub multiline: bool,

    /// Longest field
    #[arg(long, default_value = "16M", value_name = "BYTES", value_parser = size)]
    pub max_field: Size,

    /// What a packed file may unpack to
    #[arg(long, default_value = "4G", value_name = "BYTES", value_parser = size)]
    pub max_unpacked: Size,

    /// What to do about a row that is broken or not as expected
    #[arg(long, value_enum, default_value = "stop", value_name = "WHAT")]
    pub on_error: OnError,
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

fn time_format(text: &str) -> Result<String, String> {
    if is_format(text) {
        Ok(text.into())
    } else {
        Err("expected a format as of strftime, like %d/%m/%Y %H:%M, or excel".into())
    }
}

fn encoding_name(text: &str) -> Result<String, String> {
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

impl CsvOptions {
    /// As a task file would say it. Where the names are and what is done about gaps depends on the model.
    pub fn format(&self) -> Result<Format> {
        let format = Format {
            delimiter: self.delimiter,
            header: match self.header {
                Some(HeaderOption::None) => Header::None,
                _ => Header::FirstLine,
            },
            comment: self.comment,
            missing: match self.missing {
                Some(MissingOption::Hold) => Missing::Hold,
                _ => Missing::Error,
            },
            missing_values: self.missing_values.clone(),
            decimal: self.decimal,
            thousands: self.thousands,
            unseen: match self.unseen {
                UnseenOption::Error => Unseen::Error,
                UnseenOption::Zeros => Unseen::Zeros,
            },
            time: self.time_format.clone(),
            encoding: self.encoding.clone(),
            multiline: self.multiline,
            max_field: self.max_field,
            max_unpacked: self.max_unpacked,
            ..Format::default()
        };
        match format.fault() {
            Some((key, problem)) => Err(usage(format!("--{key}: {problem}"))),
            None => Ok(format),
        }
    }

    /// The names in `--columns`.
    pub fn named(&self, known: &[String]) -> Vec<String> {
        names_in(&self.columns, known)
    }
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
