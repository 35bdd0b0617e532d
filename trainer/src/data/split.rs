//! Which row belongs to which part.

use std::iter;

use super::csv::{Group, Table};
use super::error::DataError;
use super::share;
use super::time::Time;
use crate::task::{Split, SplitColumn};

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Parameters and normalisation are fitted on it.
    Train,
    /// Decides which epoch is kept and when to stop.
    Valid,
    /// Tells how good the model is; used for nothing else.
    Test,
}

impl Part {
    /// All parts, in the order of their indices.
    pub const ALL: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

    /// "train", "valid" or "test".
    pub fn name(self) -> &'static str {
        ["train", "valid", "test"][self as usize]
    }
}

/// For every row the parts it belongs to: a bit per [`Part`].
#[derive(Debug, Clone)]
pub struct Rows(Vec<u8>);

/// This share of what lies before a test part is for validation, where nothing else is said.
const VALID: usize = 8;

impl Rows {
    /// By counts or fractions of `rows` in their order. What needs a table is for [`Rows::of_table`].
    pub fn in_order(split: &Split, rows: usize, file: &str) -> Result<Self, DataError> {
        let ends = match *split {
            Split::Rows([a, b, c]) => [
                a,
                a.saturating_add(b),
                a.saturating_add(b).saturating_add(c),
            ],
            // The small addend keeps 0.7 + 0.1 of 10 rows from being 7.999….
            Split::Fractions([a, b, c]) | Split::PerGroup([a, b, c]) => {
                [a, a + b, a + b + c].map(|f| ((f * rows as f64 + 1e-9) as usize).min(rows))
            }
            Split::Folds(of) => rolling(rows, of, of),
            Split::Fold { fold, of } => rolling(rows, fold, of),
            Split::Turns([a, b, c]) => {
                let (turn, ends) = (a + b + c, [a, a + b, a + b + c]);
                let part = |row: usize| ends.iter().position(|&end| row % turn < end);
                return Ok(Rows(
                    (0..rows)
                        .map(|row| part(row).map_or(0, |p| 1 << p))
                        .collect(),
                ));
            }
            Split::Groups(_) | Split::Column(_) | Split::Before(_) | Split::None => {
                return Ok(Rows(vec![0b111; rows]));
            }
        };
        if ends[2] > rows {
            return Err(DataError::SplitTooLong {
                file: file.into(),
                need: ends[2],
                have: rows,
            });
        }
        let part = |row| ends.iter().position(|&end| row < end);
        Ok(Rows(
            (0..rows)
                .map(|row| part(row).map_or(0, |p| 1 << p))
                .collect(),
        ))
    }

    /// By whatever the task says. Rows of a test file belong to the test part.
    pub fn of_table(split: &Split, table: &Table) -> Result<Self, DataError> {
        let mut parts = match split {
            Split::Groups(counts) => Self::by_groups(&Split::Rows(*counts), table)?,
            Split::Turns(_) => Self::by_groups(split, table)?,
            Split::PerGroup(_) | Split::Folds(_) | Split::Fold { .. } => {
                let mut parts = Vec::with_capacity(table.rows());
                for group in own_groups(table) {
                    parts.extend(Self::in_order(split, group.rows.len(), table.file())?.0);
                }
                Rows(parts)
            }
            Split::Column(column) => Self::by_column(column, table)?,
            _ => Self::in_order(split, own_rows(table), table.file())?,
        };
        parts.0.resize(table.rows(), 1 << Part::Test as u8);
        Ok(parts)
    }

    /// By the times in a column: before the first date, before the second one, and from there on; with one date the last
    /// of what lies before it is for validation.
    pub fn before(
        dates: &[String],
        (column, times): (&str, &[Time]),
        table: &Table,
    ) -> Result<Self, DataError> {
        // A date with an offset is an instant, one without is by the clock on the wall.
        let date = |text: &String| {
            let time = Time::parse(text, table.time()).or_else(|| Time::parse(text, None));
            let time = time.map_or([f64::NAN; 2], |time| [time.local, time.instant]);
            (time, text.ends_with('Z') || time[0] != time[1])
        };
        let dates: Vec<([f64; 2], bool)> = dates.iter().map(date).collect();
        let is_before = |time: &Time, &([local, instant], is_instant): &([f64; 2], bool)| {
            if is_instant {
                time.instant < instant
            } else {
                time.local < local
            }
        };
        let times = &times[..own_rows(table)];
        let mut parts = vec![0; times.len()];
        for group in own_groups(table) {
            let early = group
                .rows
                .clone()
                .filter(|&row| is_before(&times[row], &dates[0]));
            let early = early.count();
            let train = early - early.div_ceil(VALID);
            let mut seen = 0;
            for row in group.rows.clone() {
                let before = |date: &&_| is_before(&times[row], date);
                let after = dates.len() - dates.iter().filter(before).count();
                seen += usize::from(after == 0);
                let part = match (dates.len(), after) {
                    (1, 0) if seen > train => Part::Valid,
                    (_, 0) => Part::Train,
                    (2, 1) => Part::Valid,
                    _ => Part::Test,
                };
                parts[row] = 1 << part as u8;
            }
        }
        let mut parts = Rows(parts);
        let needed = &Part::ALL[..if own_rows(table) < table.rows() { 2 } else { 3 }];
        if let Some(&part) = needed.iter().find(|&&part| parts.count(part) == 0) {
            let texts = table.text_column(column)?;
            let of = |row: Option<usize>| row.map_or(String::new(), |row| texts[row].to_owned());
            let rows = || 0..times.len();
            let earlier = |&a: &usize, &b: &usize| times[a].local.total_cmp(&times[b].local);
            return Err(DataError::NothingBefore {
                file: table.file().into(),
                part: part.name(),
                column: column.into(),
                first: of(rows().min_by(earlier)),
                last: of(rows().max_by(earlier)),
            });
        }
        parts.0.resize(table.rows(), 1 << Part::Test as u8);
        Ok(parts)
    }

    fn by_column(column: &SplitColumn, table: &Table) -> Result<Self, DataError> {
        Ok(Rows(
            Self::in_column(column, table)?.collect::<Result<_, _>>()?,
        ))
    }

    /// The part of every row that is not of a test file, as far as its column names one.
    pub fn in_column<'t>(
        column: &'t SplitColumn,
        table: &'t Table,
    ) -> Result<impl Iterator<Item = Result<u8, DataError>> + 't, DataError> {
        let labels = [&column.train, &column.valid, &column.test];
        let part = move |(row, text): (usize, &str)| {
            labels
                .iter()
                .position(|labels| labels.iter().any(|label| label == text))
                .map(|p| 1 << p)
                .ok_or_else(|| DataError::UnknownLabel {
                    file: table.file().into(),
                    line: table.line(row),
                    column: column.name.clone(),
                    text: text.into(),
                    known: labels.into_iter().flatten().cloned().collect(),
                })
        };
        let texts = table.text_column(&column.name)?.into_iter();
        Ok(texts.take(own_rows(table)).enumerate().map(part))
    }

    /// As if every group were a row.
    fn by_groups(split: &Split, table: &Table) -> Result<Self, DataError> {
        let groups: Vec<_> = own_groups(table).collect();
        let of_groups = Self::in_order(split, groups.len(), table.file())?;
        let parts = groups.iter().zip(of_groups.0);
        Ok(Rows(
            parts
                .flat_map(|(group, part)| iter::repeat_n(part, group.rows.len()))
                .collect(),
        ))
    }

    /// Whether a row belongs to a part.
    pub fn contains(&self, row: usize, part: Part) -> bool {
        self.0[row] >> part as u8 & 1 == 1
    }

    /// What there is to say where fractions leave rows to no part.
    pub fn unused(&self, split: &Split, file: &str, what: &str) -> Option<String> {
        let unused = self.0.iter().filter(|parts| **parts == 0).count();
        let fractions = matches!(split, Split::Fractions(_) | Split::PerGroup(_));
        (fractions && unused > 0).then(|| {
            format!(
                "{file}: {} are in no part and not used, as the fractions of the split add up to less than 1",
                share(unused, self.0.len(), what)
            )
        })
    }

    /// How many rows do.
    pub fn count(&self, part: Part) -> usize {
        (0..self.0.len())
            .filter(|&row| self.contains(row, part))
            .count()
    }
}

/// Where training, validation and test part end in a fold: of `of + 1` equal blocks the last `of` are test parts.
fn rolling(rows: usize, fold: usize, of: usize) -> [usize; 3] {
    let block = rows / (of + 1);
    let start = rows - (of + 1 - fold) * block;
    [start - start.div_ceil(VALID), start, start + block]
}

/// The groups that are not from a test file.
fn own_groups(table: &Table) -> impl Iterator<Item = &Group> {
    table.groups().iter().filter(|group| !group.test)
}

/// Rows that are not from a test file, which come first.
fn own_rows(table: &Table) -> usize {
    own_groups(table).map(|group| group.rows.len()).sum()
}
