//! How a data file is written: what stands between fields, where the names are, what a gap is.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::super::audio::Audio;
use super::super::time::format_fault;
use super::field::Fields;

/// How the file is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// What else stands for a missing number, such as `-200`; a number in any spelling.
    pub missing_values: Vec<String>,
    /// Before the fraction of a number.
    pub decimal: char,
    /// Between the thousands of a number.
    pub thousands: Option<char>,
    /// What to do about a category that the task or model does not know.
    pub unseen: Unseen,
    /// How times are written, as `strftime` says it: `%d/%m/%Y %H:%M`; `%s` for seconds since 1970, `excel` for the days
    /// of spreadsheets. Without it the common forms of [`Time`](super::super::time::Time) are understood.
    pub time: Option<String>,
    /// How characters are encoded, if not as UTF-8 or with a byte order mark: `windows-1252`, `cp949`.
    pub encoding: Option<String>,
    /// A quoted field may go on over lines that look like rows of their own.
    pub multiline: bool,
    /// Bytes of the longest field.
    pub max_field: Size,
    /// Bytes that a packed file may unpack to.
    pub max_unpacked: Size,
    /// What to do about a row that is broken or not as expected.
    pub on_error: OnError,
    /// Rows name recordings: a table `[csv.audio]` of its own.
    #[serde(skip)]
    pub audio: Option<Audio>,
}

/// Where the column names come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What to do about an unknown category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// Stop.
    #[default]
    Error,
    /// Every category's feature is 0.
    Zeros,
}

/// What to do about a row that is torn, or does not hold what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Stop.
    #[default]
    Stop,
    /// Leave it out, count it, and say so.
    Skip,
}

/// A number of bytes: `"16M"`, or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size(pub u64);

impl Size {
    /// Reads `16M`; K, M and G count by 1024.
    pub fn parse(text: &str) -> Option<Size> {
        let bytes = crate::budget::bytes(text).ok()?;
        (bytes > 0).then_some(Size(bytes as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "G"), (20, "M"), (10, "K")];
        let whole = |&(shift, _): &(u32, &str)| self.0 > 0 && self.0.trailing_zeros() >= shift;
        match units.into_iter().find(|unit| whole(unit)) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes such as \"16M\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
                let positive = u64::try_from(number).ok().filter(|&n| n > 0).map(Size);
                positive.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
        }
        input.deserialize_any(Bytes)
    }
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
            missing_values: Vec::new(),
            decimal: '.',
            thousands: None,
            unseen: Unseen::Error,
            time: None,
            encoding: None,
            multiline: false,
            max_field: Size(16 << 20),
            max_unpacked: Size(4 << 30),
            on_error: OnError::Stop,
            audio: None,
        }
    }
}

/// Whether fields count columns as pandas writes them (`0,1,2`, `,0,1,2`) or are what columns stand for, as 2020,2021 or 100,200,300:
/// whole numbers, each as much beyond the one before. A row is so seldom.
pub fn are_numbered(fields: &[String]) -> bool {
    let index = usize::from(fields.len() > 1 && fields[0].is_empty());
    let whole = |field: &String| field.parse().ok().filter(|x: &f64| x.fract() == 0.0);
    let Some(numbers) = fields[index..]
        .iter()
        .map(whole)
        .collect::<Option<Vec<f64>>>()
    else {
        return false;
    };
    let is_year = |x: &f64| (1900.0..=2100.0).contains(x);
    match numbers[..] {
        [] => false,
        [x] => x == 0.0,
        [a, b] => {
            (a == 0.0 || a == 1.0) && b == a + 1.0
                || is_year(&a) && is_year(&b) && (b - a).abs() == 1.0
        }
        [a, b, ..] => a != b && numbers.windows(2).all(|pair| pair[1] - pair[0] == b - a),
    }
}

impl Format {
    /// Whether these fields are numbers and gaps, as those of a row and not of a header.
    pub fn is_numeric(&self, fields: &[String]) -> bool {
        let read = Fields::new(self);
        let in_row = |field: &String| read.number::<f64>(field).is_some() || read.is_missing(field);
        fields.iter().all(in_row)
    }

    /// How a field is read that holds a finite number.
    pub fn numbers(&self) -> impl Fn(&str) -> Option<f64> + use<> {
        let fields = Fields::new(self);
        move |text| fields.number(text).filter(|x: &f64| x.is_finite())
    }

    /// The numbers that stand for a gap.
    pub fn sentinels(&self) -> Vec<f64> {
        Fields::new(self).sentinels
    }

    /// What does not go together, as the key and the problem.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let (decimal, thousands) = (self.decimal, self.thousands);
        if !self.delimiter.is_ascii() {
            Some((
                "delimiter",
                "expected one ASCII character, such as \",\" or \";\"",
            ))
        } else if self.comment.is_some_and(|c| !c.is_ascii()) {
            Some(("comment", "expected one ASCII character, such as \"#\""))
        } else if decimal.is_alphanumeric() || "+-".contains(decimal) {
            Some(("decimal", "expected \".\" or \",\""))
        } else if thousands.is_some_and(|t| t == decimal || t.is_alphanumeric() || "+-".contains(t))
        {
            Some((
                "thousands",
                "expected another character than decimal, and no digit, such as \",\"",
            ))
        } else if let Some(fault) = self.time.as_deref().and_then(format_fault) {
            Some(("time", fault))
        } else if (self.encoding.as_deref())
            .is_some_and(|e| super::super::open::encoding(e).is_none())
        {
            Some((
                "encoding",
                "expected the name of an encoding, such as \"windows-1252\", \"cp949\" or \"utf-16le\"",
            ))
        } else {
            None
        }
    }
}
