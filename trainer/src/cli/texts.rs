//! Texts as sequences of their own: a line of a file, or a field of a row, cut into tokens as in training.

use super::csv_options::CsvOptions;
use super::samples::{Sample, Tokens};
use super::usage;
use anyhow::{Result, bail};
use encoding_rs::Encoding;
use kinglet::Model;
use kinglet_trainer::data::csv::{Format, Reader};
use kinglet_trainer::data::open::line_text;
use kinglet_trainer::data::vocabulary::Vocabulary;
use kinglet_trainer::data::{DataError, word_of};
use kinglet_trainer::model_file::{input_names, text_length};
use std::io::BufRead;

/// Whether the model says something about a whole text: about the tokens of its window at the most.
pub fn is_of_texts(model: &Model<'_>) -> bool {
    text_length(model).is_some()
}

fn share(count: u64, of: u64) -> String {
    format!(
        "{count} of {of} ({:.1} %)",
        100.0 * count as f64 / of as f64
    )
}

/// Of so many tokens those that stand for what has none.
pub fn unknown_note(file: &str, unknown: u64, tokens: u64) -> Option<String> {
    let share = (unknown > 0).then(|| share(unknown, tokens))?;
    Some(format!(
        "{file}: {share} words or characters have no token in the model"
    ))
}

/// The next line without its end, by its number from 1; nothing behind the last.
pub fn next_line(
    input: &mut dyn BufRead,
    file: &str,
    line: u64,
    encoding: Option<&'static Encoding>,
) -> Result<Option<String>, DataError> {
    let mut bytes = Vec::new();
    let read = input.read_until(b'\n', &mut bytes);
    let read = read.map_err(|source| DataError::Read {
        file: file.into(),
        source,
    })?;
    let text = line_text(bytes, encoding).map_err(|guess| DataError::Encoding {
        file: file.into(),
        line,
        guess,
    })?;
    Ok((read > 0).then_some(text))
}

/// One text after the other.
pub enum Texts {
    /// A line each.
    Lines(Box<dyn BufRead + Send>),
    /// Words with tags, a line each, and a blank line behind every sentence.
    Tagged {
        input: Box<dyn BufRead + Send>,
        /// The column of words, from 1.
        word: usize,
    },
    /// A row each.
    Column {
        reader: Box<Reader<Box<dyn BufRead + Send>>>,
        column: usize,
    },
}

impl Texts {
    /// From the column that the options name; else `text`, or the only one.
    pub fn column(
        input: Box<dyn BufRead + Send>,
        file: &str,
        format: &Format,
        options: &CsvOptions,
        longest: usize,
    ) -> Result<Self> {
        let reader = Reader::new(input, file, format)?;
        let names = reader.names();
        let named = options.named(names);
        let wanted = match &named[..] {
            [] => options.text_column(),
            [column] => column,
            more => {
                return Err(usage(format!(
                    "--columns names {} columns, the model takes one, of texts",
                    more.len()
                )));
            }
        };
        let places: Vec<usize> = (0..names.len()).filter(|&k| names[k] == wanted).collect();
        let column = match places[..] {
            [column] => column,
            [] if named.is_empty() && names.len() == 1 && names[0] == "token" => bail!(
                "{file}: its only column is called \"token\", and a row of it is a whole text to this model, of up to {longest} words or characters. \
                 Put a text into a row; of rows that are texts say so with --columns token"
            ),
            [] if names.len() == 1 && named.is_empty() => 0,
            [] => bail!(
                "{file}: no column {wanted:?}; the columns are {}; choose one with --columns",
                names.join(", ")
            ),
            _ => {
                let places = places.iter().map(|at| at + 1).collect();
                let (file, column) = (file.into(), wanted.into());
                return Err(DataError::DuplicateColumn {
                    file,
                    column,
                    places,
                }
                .into());
            }
        };
        Ok(Texts::Column {
            reader: Box::new(reader),
            column,
        })
    }

    /// The next text and the line that it begins on.
    fn next(&mut self, before: u64, file: &str) -> Result<Option<(String, u64)>, DataError> {
        match self {
            Texts::Lines(input) => {
                let line = before + 1;
                let text = next_line(input, file, line, None)?;
                Ok(text.map(|text| (text, line)))
            }
            Texts::Tagged { input, word } => {
                let (mut words, mut number) = (Vec::new(), before);
                loop {
                    number += 1;
                    let line = next_line(input, file, number, None)?;
                    let text = line.as_deref().unwrap_or("");
                    if text.trim().is_empty() && (line.is_none() || !words.is_empty()) {
                        return Ok((!words.is_empty()).then(|| (words.join(" "), number)));
                    }
                    words.extend(word_of(text, *word).map(str::to_owned));
                }
            }
            Texts::Column { reader, column } => {
                let more = reader.advance()?;
                let records = reader.records();
                Ok(more.then(|| (records.record()[*column].to_owned(), records.line())))
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
    /// So many tokens have to be there: from both ends a text is read at once.
    exact: bool,
    /// Of the current text.
    tokens: std::vec::IntoIter<usize>,
    current: Option<usize>,
    inside: bool,
    /// Texts, and those that are cut; tokens, and those without a name.
    seen: [u64; 2],
    cut: u64,
    unknown: u64,
}

impl Lines {
    /// Of rows, where the texts are fields.
    pub fn reader(&self) -> Option<&Reader<Box<dyn BufRead + Send>>> {
        match &self.texts {
            Texts::Lines(_) | Texts::Tagged { .. } => None,
            Texts::Column { reader, .. } => Some(reader),
        }
    }

    pub fn new(texts: Texts, file: String, model: &Model<'_>) -> Self {
        let names: Vec<&str> = input_names(model).iter().map(|n| n.0).collect();
        Lines {
            texts,
            file,
            line: 0,
            vocabulary: Vocabulary::new(&names),
            names: Tokens::new(model, false),
            longest: text_length(model).unwrap_or(usize::MAX),
            exact: model.is_bidirectional(),
            tokens: Vec::new().into_iter(),
            current: None,
            inside: false,
            seen: [0; 2],
            cut: 0,
            unknown: 0,
        }
    }

    /// Goes on to the next token or end.
    pub fn advance(&mut self) -> Result<bool, DataError> {
        loop {
            self.current = self.tokens.next();
            if self.current.is_some() || std::mem::take(&mut self.inside) {
                return Ok(true);
            }
            let next = self.texts.next(self.line, &self.file);
            // A broken line is a line.
            self.line += 1;
            let Some((text, line)) = next? else {
                return Ok(false);
            };
            self.line = line;
            let tokens = self.vocabulary.tokens(text.trim());
            let mut tokens = tokens.map_err(|unit| DataError::Token {
                file: self.file.clone(),
                line,
                problem: self.names.unknown(&unit),
            })?;
            self.seen[0] += 1;
            if self.exact && tokens.len() < self.longest {
                return Err(DataError::Token {
                    file: self.file.clone(),
                    line,
                    problem: format!(
                        "a text of {} words or characters, and the model reads {} at once, from both ends: bring longer texts, or leave it out \
                         with --on-error skip",
                        tokens.len(),
                        self.longest
                    ),
                });
            }
            self.cut += u64::from(tokens.len() > self.longest);
            tokens.truncate(self.longest);
            self.seen[1] += tokens.len() as u64;
            let unknown = tokens.iter().filter(|&&t| self.vocabulary.is_unknown(t));
            self.unknown += unknown.count() as u64;
            self.tokens = tokens.into_iter();
            self.inside = true;
        }
    }

    /// What [`Self::advance`] came to.
    pub fn current(&self) -> Sample<'static> {
        self.current.map_or(Sample::EndOfText, Sample::Token)
    }

    /// Whether the last line had an end, as far as that can be known.
    pub fn is_complete(&self) -> bool {
        match &self.texts {
            Texts::Lines(_) | Texts::Tagged { .. } => true,
            Texts::Column { reader, .. } => reader.records().is_complete(),
        }
    }

    /// What there is to say about the texts so far.
    pub fn notes(&self) -> Vec<String> {
        let (file, [texts, tokens]) = (&self.file, self.seen);
        let mut notes: Vec<String> = unknown_note(file, self.unknown, tokens)
            .into_iter()
            .collect();
        if self.cut > 0 {
            let (share, longest) = (share(self.cut, texts), self.longest);
            notes.push(format!(
                "{file}: {share} texts are longer than {longest} tokens and are cut off there"
            ));
        }
        if let Texts::Column { reader, .. } = &self.texts {
            notes.extend(reader.records().notes());
        }
        notes
    }
}
