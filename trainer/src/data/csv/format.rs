//! How a data file is written: what stands between fields, where the names are, what a gap is.

use serde::Deserialize;

/// How the file is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Format {
    /// Between two fields. Between tabs a quotation mark is a character like any other, elsewhere it encloses a field.
    pub delimiter: char,
    /// Where the column names come from.
    pub header: Header,
    /// Lines that start with it are skipped.
    pub comment: Option<char>,
    /// Data rows to leave out at the beginning.
    pub skip: usize,
    /// The file is in reverse order of time.
    pub newest_first: bool,
    /// What to do about an empty field, `NA` or `NaN`.
    pub missing: Missing,
    /// How times are written, as `strftime` says it: `%d/%m/%Y %H:%M`. Without it the common forms of
    /// [`Time`] are understood.
    pub time: Option<String>,
}

/// Where the column names come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// The first line that is not a comment.
    FirstLine,
    /// There are none: the columns are called `1`, `2`, ….
    None,
    /// From here; the file has no header line.
    Names(Vec<String>),
}

/// What to do about a missing number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Stop.
    Error,
    /// Use the number of the row before.
    Hold,
    /// Give NaN: to a model that holds its last value itself.
    #[serde(skip)]
    Nan,
}

impl Default for Format {
    fn default() -> Self {
        Format {
            delimiter: ',',
            header: Header::FirstLine,
            comment: None,
            skip: 0,
            newest_first: false,
            missing: Missing::Error,
            time: None,
        }
    }
}
