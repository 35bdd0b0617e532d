//! Which row belongs to which part.

use std::iter;

use super::csv::Table;
use super::error::DataError;
use crate::task::Split;

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

impl Rows {
    /// By counts or fractions of `rows`. A split by column is for tables: see [`Rows::of_table`].
    pub fn in_order(split: &Split, rows: usize, file: &str) -> Result<Self, DataError> {
        let ends = match split {
            Split::Rows([a, b, c]) => [
                *a,
                a.saturating_add(*b),
                a.saturating_add(*b).saturating_add(*c),
            ],
            // The small addend keeps 0.7 + 0.1 of 10 rows from being 7.999….
            Split::Fractions([a, b, c]) => {
                [*a, a + b, a + b + c].map(|f| ((f * rows as f64 + 1e-9) as usize).min(rows))
            }
            Split::Groups(_) | Split::Column(_) | Split::None => {
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
        let rows = table.groups().iter().find(|group| group.test);
        let rows = rows.map_or(table.rows(), |group| group.rows.start);
        let mut parts = Self::of_first_rows(split, table, rows)?;
        parts.0.resize(table.rows(), 1 << Part::Test as u8);
        Ok(parts)
    }

    fn of_first_rows(split: &Split, table: &Table, rows: usize) -> Result<Self, DataError> {
        if let Split::Groups(counts) = split {
            return Self::by_groups(*counts, table);
        }
        let Split::Column(column) = split else {
            return Self::in_order(split, rows, table.file());
        };
        let labels = [&column.train, &column.valid, &column.test];
        let rows = table
            .text_column(&column.name)?
            .iter()
            .take(rows)
            .enumerate()
            .map(|(row, text)| {
                labels
                    .iter()
                    .position(|labels| labels.iter().any(|label| label == text))
                    .map(|p| 1 << p)
                    .ok_or_else(|| DataError::UnknownLabel {
                        file: table.file().into(),
                        line: table.line(row),
                        column: column.name.clone(),
                        text: (*text).into(),
                        known: labels.into_iter().flatten().cloned().collect(),
                    })
            })
            .collect::<Result<_, _>>()?;
        Ok(Rows(rows))
    }

    fn by_groups(counts: [usize; 3], table: &Table) -> Result<Self, DataError> {
        let groups: Vec<_> = table.groups().iter().filter(|group| !group.test).collect();
        let of_groups = Self::in_order(&Split::Rows(counts), groups.len(), table.file())?;
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

    /// How many rows do.
    pub fn count(&self, part: Part) -> usize {
        (0..self.0.len())
            .filter(|&row| self.contains(row, part))
            .count()
    }
}
