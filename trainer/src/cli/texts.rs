//! Texts as sequences of their own: a line of a file, or a field of a row, cut into tokens as in training.

use super::model_file::input_names;
use super::samples::{CsvOptions, Sample, Tokens};
use super::usage;
use anyhow::{Context, Result, anyhow, bail};
use csv::StringRecord;
use kinglet::Model;
use kinglet::format::{Input, Shape};
use kinglet_trainer::data::vocabulary::Vocabulary;
use std::io::BufRead;

/// Whether the model says something about a whole text: about the tokens of its window at the most.
pub fn is_of_texts(model: &Model<'_>) -> bool {
    text_length(model).is_some()
}

/// Tokens that such a model reads of a text.
fn text_length(model: &Model<'_>) -> Option<usize> {
    match (model.header().input, model.header().shape) {
        (Input::Tokens { .. }, Shape::Window { window, .. }) => Some(window as usize),
        _ => None,
    }
}

/// One text after the other.
pub enum Texts {
    /// A line each.
    Lines(Box<dyn BufRead>),
    /// A row each.
    Column {
        reader: csv::Reader<Box<dyn BufRead>>,
        column: usize,
        record: StringRecord,
    },
}

impl Texts {
    /// From the column that the options name; else `text`, or the only one.
    pub fn column(input: Box<dyn BufRead>, file: &str, options: &CsvOptions) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(options.delimiter as u8)
            .quoting(options.delimiter != '\t')
            .comment(options.comment.map(|c| c as u8))
            .trim(csv::Trim::All)
            .from_reader(input);
        let malformed = || format!("{file}: not a CSV file");
        let names = reader.headers().with_context(malformed)?;
        let wanted = match &options.columns[..] {
            [] => "text",
            [column] => column,
            more => {
                return Err(usage(format!(
                    "--columns names {} columns, the model takes one, of texts",
                    more.len()
                )));
            }
        };
        let place = names.iter().position(|name| name == wanted);
        let only = (names.len() == 1 && options.columns.is_empty()).then_some(0);
        let Some(column) = place.or(only) else {
            bail!(
                "{file}: no column {wanted:?}; the columns are {}; choose one with --columns",
                names.iter().collect::<Vec<_>>().join(", ")
            );
        };
        Ok(Texts::Column {
            reader,
            column,
            record: StringRecord::new(),
        })
    }

    /// The next text and the line that it ends on.
    fn next(&mut self, before: u64, file: &str) -> Result<Option<(String, u64)>> {
        match self {
            Texts::Lines(input) => {
                let mut line = String::new();
                let read = input.read_line(&mut line);
                let read = read.with_context(|| format!("{file}: cannot be read"))?;
                let text = line.trim_end_matches(['\n', '\r']);
                Ok((read > 0).then(|| (text.to_owned(), before + 1)))
            }
            Texts::Column {
                reader,
                column,
                record,
            } => {
                let more = reader.read_record(record);
                let more = more.with_context(|| format!("{file}: not a CSV file"))?;
                let line = record.position().map_or(0, |p| p.line());
                Ok(more.then(|| (record[*column].to_owned(), line)))
            }
        }
    }
}

/// The tokens of texts, with an end behind each.
pub struct Lines {
    texts: Texts,
    file: String,
    line: u64,
    vocabulary: Vocabulary,
    names: Tokens,
    longest: usize,
    /// Of the current text.
    tokens: std::vec::IntoIter<usize>,
    inside: bool,
}

impl Lines {
    pub fn new(texts: Texts, file: String, model: &Model<'_>) -> Self {
        let names: Vec<&str> = input_names(model).iter().map(|n| n.0).collect();
        Lines {
            texts,
            file,
            line: 0,
            vocabulary: Vocabulary::new(&names),
            names: Tokens::new(model, false),
            longest: text_length(model).unwrap_or(usize::MAX),
            tokens: Vec::new().into_iter(),
            inside: false,
        }
    }

    pub fn next(&mut self) -> Result<Option<Sample<'static>>> {
        if let Some(token) = self.tokens.next() {
            return Ok(Some(Sample::Token(token)));
        }
        if std::mem::take(&mut self.inside) {
            return Ok(Some(Sample::EndOfText));
        }
        let Some((text, line)) = self.texts.next(self.line, &self.file)? else {
            return Ok(None);
        };
        self.line = line;
        let mut tokens = self.vocabulary.tokens(text.trim()).map_err(|unit| {
            let unknown = self.names.unknown(unit);
            anyhow!("{}:{line}: {unknown}", self.file)
        })?;
        tokens.truncate(self.longest);
        self.tokens = tokens.into_iter();
        self.inside = true;
        self.next()
    }
}
