//! What can be wrong with a data file. Every message says where, what was expected, and what to do.

use std::io;

use super::csv::Size;
use super::derived::FUNCTIONS;
use super::normalise::Unfit;
use super::time::Time;
use crate::nearest::{did_you_mean, nearest};

/// Wrong data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error(
        "{file}: cannot read the data file: {source}{}", if source.kind() == io::ErrorKind::NotFound { "; check the path (in a task file it starts from that file's folder)" } else { "" }
    )]
    Read {
        /// Which file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// Not UTF-8.
    #[error(
        "{file}:{line}: not UTF-8{}", match .guess { Some(guess) => format!("; it may be {guess}: give encoding = \"{guess}\" in the format (--encoding {guess}), or convert it: iconv -f {guess} -t utf-8"), None => "; give its encoding in the format (--encoding NAME)".into() }
    )]
    Encoding {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What it may be.
        guess: Option<&'static str>,
    },
    /// Lines in one encoding and lines in another.
    #[error(
        "{file}:{line}: {problem}: the file mixes encodings, so whichever is given, some texts are wrong; bring all lines into one"
    )]
    MixedEncodings {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Which line is in which.
        problem: String,
    },
    /// A quotation mark that opens or closes no field.
    #[error("{file}:{line}: {problem}")]
    Quote {
        /// Which file.
        file: String,
        /// Line of the quotation mark, from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The header once more, and its columns stand otherwise from there on.
    #[error(
        "{file}:{line}: the header line again, with its columns in another order, so the rows below it are not those of the rows above; \
         make two files of it"
    )]
    OtherHeader {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
    },
    /// The header once more, where a row belongs.
    #[error(
        "{file}:{line}: the header line again; remove it, or skip such lines (on_error = \"skip\" in the format, --on-error skip)"
    )]
    RepeatedHeader {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
    },
    /// A field without end.
    #[error(
        "{file}:{line}: a line or quoted field of more than {limit} bytes; raise max_field in the format (--max-field) if it is right"
    )]
    TooLong {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Bytes that it may have.
        limit: Size,
    },
    /// A recording that cannot be heard.
    #[error("{file}:{line}: {recording}: {problem}")]
    Recording {
        /// The table that names it.
        file: String,
        /// Line, from 1.
        line: u64,
        /// As it is named there.
        recording: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A name that stands for several columns.
    #[error("{file}: column {column:?} stands there {} times (places {}); rename all but one", .places.len(), .places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    DuplicateColumn {
        /// Which file.
        file: String,
        /// The name.
        column: String,
        /// Where, from 1.
        places: Vec<usize>,
    },
    /// A column without a single number.
    #[error("{file}: column {column:?} is empty in all {rows} rows; remove it from the features")]
    EmptyColumn {
        /// Which file.
        file: String,
        /// Its name.
        column: String,
        /// Rows looked at.
        rows: usize,
    },
    /// Pairs that all have an empty target.
    #[error(
        "{file}: column {column:?} is empty in all {pairs} pairs, so there is nothing to learn to say; name another column (target in [pairs])"
    )]
    NoTarget {
        /// Which file.
        file: String,
        /// Its name.
        column: String,
        /// Pairs of the training part.
        pairs: usize,
    },
    /// A row with too few or too many fields.
    #[error(
        "{file}:{line}: {have} fields where {need} were expected; check the delimiter, or repair or remove the row"
    )]
    Ragged {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Fields in this row.
        have: usize,
        /// Columns of the file.
        need: usize,
    },
    /// No rows at all.
    #[error("{file}: no data rows; expected a header line and at least one row")]
    Empty {
        /// Which file.
        file: String,
    },
    /// A column that the file does not have.
    #[error("{file}: no column {column:?}{}", meant(.column, .known))]
    UnknownColumn {
        /// Which file.
        file: String,
        /// The name asked for.
        column: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Columns that are not the steps of a sequence.
    #[error("{file}: {problem}")]
    Steps {
        /// Which file.
        file: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Text where a number belongs.
    #[error(
        "{file}:{line}: column {column:?}: {text:?} is not a finite number; {}", .cure.clone().unwrap_or_else(|| instead(.column, .text))
    )]
    NotANumber {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column name.
        column: String,
        /// What stands there.
        text: String,
        /// What to do, where it looks like something else.
        cure: Option<String>,
    },
    /// A line of words where rows of numbers begin.
    #[error(
        "{file}:{line}: {texts} stand where numbers belong, and no column of the line that was asked for holds one; units below the names \
         are no row: leave them out with skip = 1 in the format, or as broken (--on-error skip), or remove the line: sed {line}d; \
         columns of a few texts need categories in the task"
    )]
    Units {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What stands there.
        texts: String,
    },
    /// An empty field, `NA` or `NaN`.
    #[error("{file}:{line}: column {column:?}: a number is missing{}; {remedy}", if .text.is_empty() { String::new() } else { format!(" ({})", .text) })]
    Missing {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column name.
        column: String,
        /// What stands there.
        text: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Not a date and time.
    #[error(
        "{file}:{line}: column {column:?}: {text:?} {}; expected {}", .problem.unwrap_or("is not a time"), match .format { Some(format) => format!("the form {format:?}"), None => "YYYY-MM-DD [HH:MM[:SS]], seconds since 1970, or a format (time = \"%d/%m/%Y %H:%M\" in [csv.format], --time-format)".into() }
    )]
    NotATime {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column name.
        column: String,
        /// What stands there.
        text: String,
        /// The format that was asked for.
        format: Option<String>,
        /// Why, where it could be one.
        problem: Option<&'static str>,
    },
    /// A label that belongs to no class or part.
    #[error("{file}:{line}: column {column:?}: {text:?} is none of {}; {}", .known.join(", "), match .text.is_empty() { true => "fill it in, or leave such rows out of the file", false => "add it in the task file" })]
    UnknownLabel {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column name.
        column: String,
        /// What stands there.
        text: String,
        /// The labels that the task file names.
        known: Vec<String>,
    },
    /// Something else than 0 and 1, or false and true, in a column of anomalies.
    #[error(
        "{file}:{line}: column {column:?}: {text:?} is neither 0 or false (nothing is wrong) nor 1 or true; repair the field, or name another column in anomaly.labels"
    )]
    ZeroOrOne {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// The column of labels.
        column: String,
        /// What stands there.
        text: String,
    },
    /// A file of labelled windows that is none.
    #[error(
        "{file}: {problem}; expected {{ \"data.csv\": {{ \"windows\": [[\"start\", \"end\"], ...] }} }}"
    )]
    Labels {
        /// Which file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Text that is no token of the model.
    #[error("{file}:{line}: {problem}")]
    Token {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What stands there and what was expected.
        problem: String,
    },
    /// A text of a pair that a network which is there already cannot read or say.
    #[error("{place}: column {column:?}: {problem}")]
    PairText {
        /// File and line, or the task that made it up.
        place: String,
        /// The column of the text.
        column: String,
        /// What stands there, what was expected, and what to do.
        problem: String,
    },
    /// Two files that do not fit together.
    #[error("{file}:{line}: column {column:?}: {text:?} {problem}; repair one of the files")]
    Key {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// The column that both have.
        column: String,
        /// What stands there.
        text: String,
        /// "stands there twice" or "has no row in the joined file".
        problem: &'static str,
    },
    /// A tag that the training part does not have.
    #[error(
        "{file}: {word:?} has the tag {tag:?}, which the training part never has; choose the files or tagged.tag anew"
    )]
    NewTag {
        /// Which file.
        file: String,
        /// Whose tag.
        word: String,
        /// The tag.
        tag: String,
    },
    /// A group has two transcripts.
    #[error(
        "{file}:{line}: column {column:?}: {text:?}, where the rows of this group before have {before:?}; a group has one transcript, so \
         repeat it in all of its rows"
    )]
    TwoTranscripts {
        /// Which file.
        file: String,
        /// Where the second one is.
        line: u64,
        /// The column of transcripts.
        column: String,
        /// The second one.
        text: String,
        /// The first one.
        before: String,
    },
    /// No group with a transcript is in a part.
    #[error(
        "{file}: the {part} part has no group that can be used, as a whole and with rows enough for its transcript; change split"
    )]
    NoGroups {
        /// Which file.
        file: String,
        /// Which part.
        part: &'static str,
    },
    /// A transcript has a token that is not learned.
    #[error(
        "{file}:{line}: column {column:?}: {token:?} is in no transcript of the training part, so it is never learned; choose the split \
         anew, or take these rows out"
    )]
    NewToken {
        /// Which file.
        file: String,
        /// Where its group begins.
        line: u64,
        /// The column of transcripts.
        column: String,
        /// The token.
        token: String,
    },
    /// The logarithm of something not positive.
    #[error(
        "{file}:{line}: column {column:?}: the logarithm of {value} is not defined; use a difference instead of a log, or remove the row"
    )]
    NotPositive {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column name.
        column: String,
        /// The value.
        value: f32,
    },
    /// A column without information.
    #[error("{file}: column {column:?} {}", unfit(column, *.used, why))]
    Constant {
        /// Which file.
        file: String,
        /// Column name.
        column: String,
        /// What it is there for.
        used: Used,
        /// What there is of it.
        why: Unfit,
    },
    /// A part of the split without a window.
    #[error(
        "{file}: the {part} part has no window: {rows} rows, and a window of {window} with horizon {horizon} needs its target rows there, following each other in one group; change split, or make {} smaller", in_the_way(*.rows, *.window, *.horizon)
    )]
    EmptyPart {
        /// Which file.
        file: String,
        /// "train", "valid" or "test".
        part: &'static str,
        /// Rows in that part.
        rows: usize,
        /// Samples of a window.
        window: usize,
        /// Rows from a window's last sample to its target.
        horizon: usize,
    },
    /// A date that leaves a part empty.
    #[error(
        "{file}: split.before leaves no row for the {part} part: the times in column {column:?} are from {first} to {last}; \
         choose a date between them, or name another column of times (time = \"…\" in [series])"
    )]
    NothingBefore {
        /// Which file.
        file: String,
        /// "train", "valid" or "test".
        part: &'static str,
        /// The column of times.
        column: String,
        /// The earliest.
        first: String,
        /// The latest.
        last: String,
    },
    /// No column of times.
    #[error(
        "{file}: no column holds times, which split.before needs; name it: time = \"…\" in [series]. The columns are {}", .known.join(", ")
    )]
    NoTimes {
        /// Which file.
        file: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// Fewer rows than one window.
    #[error(
        "{file}: {rows} rows are fewer than a window of {window} with horizon {horizon} needs; shorten {} or bring more data", in_the_way(*.rows, *.window, *.horizon)
    )]
    TooShort {
        /// Which file.
        file: String,
        /// Rows of the file.
        rows: usize,
        /// Samples of a window.
        window: usize,
        /// Rows from a window's last sample to its target.
        horizon: usize,
    },
    /// Row counts that the file does not have.
    #[error(
        "{file}: the split takes {need} rows and the file has {have}; lower the counts or use fractions"
    )]
    SplitTooLong {
        /// Which file.
        file: String,
        /// Rows that the split takes.
        need: usize,
        /// Rows that there are.
        have: usize,
    },
}

impl DataError {
    /// Whether it is about a single row, and the next one may be right.
    pub fn is_of_row(&self) -> bool {
        self.is_of_field()
            || matches!(
                self,
                DataError::Ragged { .. }
                    | DataError::Recording { .. }
                    | DataError::Encoding { .. }
                    | DataError::MixedEncodings { .. }
                    | DataError::Quote { .. }
                    | DataError::RepeatedHeader { .. }
                    | DataError::TooLong { .. }
                    | DataError::Token { .. }
                    | DataError::Units { .. }
            )
    }

    /// Whether it is about a field of a row whose other fields stand where they should.
    pub fn is_of_field(&self) -> bool {
        matches!(
            self,
            DataError::NotANumber { .. }
                | DataError::Missing { .. }
                | DataError::NotATime { .. }
                | DataError::UnknownLabel { .. }
                | DataError::ZeroOrOne { .. }
        )
    }
}

impl DataError {
    /// Says of a text where numbers are predicted what can be predicted of it.
    pub(crate) fn of_targets<'t>(mut self, mut targets: impl Iterator<Item = &'t str>) -> Self {
        if let DataError::NotANumber {
            column, text, cure, ..
        } = &mut self
            && targets.any(|target| target == column)
            && text.parse::<f64>().is_err()
            && cure.is_none()
        {
            *cure = Some(match Time::parse(text, None) {
                Some(_) => "it is a time, and what is predicted is a number: name another column in targets".into(),
                None => format!(
                    "what is predicted is a number; if the column holds a few texts, they are classes: in place of targets, label = {{ \
                     column = {column:?}, classes = [{{ name = {text:?}, labels = [{text:?}] }}, …] }}; otherwise repair the field, or \
                     leave it empty and set missing = \"hold\" (--missing hold)"
                ),
            });
        }
        self
    }
}

/// What is too long for so few rows.
fn in_the_way(rows: usize, window: usize, horizon: usize) -> &'static str {
    match (rows < window || horizon <= window, horizon > window) {
        (true, true) => "shape.window and the horizon",
        (false, true) => "the horizon",
        _ => "shape.window",
    }
}

/// What a column is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// An input; whether it enters by a transform.
    Feature {
        /// Not as it is.
        transformed: bool,
    },
    /// What is predicted; whether by a transform.
    Target {
        /// Not as it is.
        transformed: bool,
    },
}

/// Why a column cannot be scaled.
fn unfit(column: &str, used: Used, why: &Unfit) -> String {
    let (is_target, transformed) = match used {
        Used::Feature { transformed } => (false, transformed),
        Used::Target { transformed } => (true, transformed),
    };
    match why {
        Unfit::Tiny => {
            let cure = match is_target {
                true => "",
                false => "remove it from the features, or ",
            };
            format!(
                "varies by less than 1e-37 over the training part, which 32 bits cannot scale; {cure}write it in a smaller unit"
            )
        }
        Unfit::Empty => "has no number in the training part, where no row is left in a window: groups, and the pieces of them between rows that \
                are left out as broken, are too short for shape.window and its horizon; make the window shorter, or repair such rows"
            .into(),
        Unfit::Rounded(lost) => {
            let instead = match is_target {
                true => "predict its change as the target",
                false => "take them as the column",
            };
            format!(
                "varies over the training part, but not in 32 bits: {lost}; {instead} diff({column}), which is computed in 64 bits, or write the \
                 column less a number near its values"
            )
        }
        Unfit::Constant(value) => {
            let what = match transformed {
                true => ", as its transform gives it,",
                false => "",
            };
            let cure = match is_target {
                true => "nothing can be learnt of it: predict another column, or choose a split in which it varies",
                false => "remove it from the features, or set normalise = \"none\" for it",
            };
            // Without the sign of a zero.
            let value = value + 0.0;
            format!("is constant ({value}){what} over the training part; {cure}")
        }
    }
}

/// What to do about a text that is no number.
fn instead(column: &str, text: &str) -> String {
    if Time::parse(text, None).is_some() {
        return format!(
            "it is a time, whose features are hour_sin({column}), weekday_sin({column}) or elapsed({column})"
        );
    }
    let repair = "repair the field, or leave it empty and set missing = \"hold\" (--missing hold)";
    if text.parse::<f64>().is_ok() {
        return format!(
            "{repair}; if it stands for no value, missing_values = [{text:?}] in the format (--missing-values {text}) says so"
        );
    }
    if text.chars().any(char::is_alphabetic) {
        return format!(
            "{repair}; a column of a few texts is {{ column = {column:?}, categories = [{text:?}, \"…\"] }}; what stands for no value \
             is named in missing_values = [{text:?}] (--missing-values {text})"
        );
    }
    repair.into()
}

/// What may have been meant by a column that is not there: another name, or another function of a column.
pub(crate) fn meant(column: &str, known: &[String]) -> String {
    const SHOWN: usize = 30;
    let names = || known.iter().map(String::as_str);
    let call = column
        .split_once('(')
        .and_then(|(f, of)| Some((f, of.strip_suffix(')')?)));
    let meant = match call {
        None => did_you_mean(column, names()),
        Some((function, of)) => {
            let known_function = FUNCTIONS.contains(&function);
            let function = nearest(function, FUNCTIONS).filter(|_| !known_function);
            let meant = nearest(of, names());
            match function {
                Some(function) => {
                    format!("; did you mean \"{function}({})\"?", meant.unwrap_or(of))
                }
                None if known_function => match meant {
                    Some(meant) => {
                        let (function, _) = column.split_at(column.len() - of.len() - 1);
                        format!("; did you mean \"{function}{meant})\"?")
                    }
                    None => format!("; {column:?} is computed from a column {of:?}."),
                },
                None => format!("; columns are computed by {}.", FUNCTIONS.join(", ")),
            }
        }
    };
    let shown: Vec<&str> = names().take(SHOWN).collect();
    let more = match known.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let begin = if meant.is_empty() { "; the" } else { " The" };
    format!("{meant}{begin} columns are {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_not_there_is_answered_with_the_nearest() {
        let known: Vec<String> = ["date", "load", "wind"].map(String::from).into();
        let said = |column: &str| meant(column, &known);
        assert_eq!(
            said("laod"),
            "; did you mean \"load\"? The columns are date, load, wind"
        );
        assert_eq!(said("x"), "; the columns are date, load, wind");
        assert!(said("hour_sine(date)").starts_with("; did you mean \"hour_sin(date)\"?"));
        assert!(said("hour_sin(dat)").starts_with("; did you mean \"hour_sin(date)\"?"));
        assert!(
            said("hour_sin(t)")
                .starts_with("; \"hour_sin(t)\" is computed from a column \"t\". The")
        );
        assert!(said("minute(date)").starts_with("; columns are computed by hour_sin, "));
        let many: Vec<String> = (0..140).map(|k| format!("t{k}")).collect();
        assert!(meant("x", &many).ends_with("t29 and 110 more"));
    }
}
