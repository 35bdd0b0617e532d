//! When the rows of a series are.

use super::super::csv::Table;
use super::super::derived::Derived;
use super::super::error::DataError;
use super::super::time::{Time, Times};
use crate::task::SeriesTask;

/// The column of times: what the task names, what clocks are derived from, or the first that holds dates.
pub fn time_column(series: &SeriesTask, table: &Table) -> Option<String> {
    let derived = || {
        let columns = series.features.iter().filter_map(|feature| {
            let (derived, column) = Derived::parse(&feature.column)?;
            matches!(derived, Derived::Clock(_) | Derived::Elapsed).then(|| column.to_owned())
        });
        columns.into_iter().next()
    };
    // A number may be anything.
    let is_date =
        |text: &str| text.parse::<f64>().is_err() && Time::parse(text, table.time()).is_some();
    let holds_dates = |name: &&String| {
        let texts = table.text_column(name).unwrap_or_default();
        [texts.first(), texts.last()]
            .iter()
            .all(|text| text.is_some_and(|text| is_date(text)))
    };
    let first = || table.names().iter().find(holds_dates).cloned();
    series.time.clone().or_else(derived).or_else(first)
}

/// The times in a column.
pub fn times(table: &Table, column: &str) -> Result<Vec<Time>, DataError> {
    read_times(table, column)?.collect()
}

/// The same as far as they are times.
pub fn read_times<'t>(
    table: &'t Table,
    column: &'t str,
) -> Result<impl Iterator<Item = Result<Time, DataError>> + 't, DataError> {
    let mut times = Times::new(table.time());
    let time = move |(row, text): (usize, &str)| {
        times.read(text, true).map_err(|error| DataError::NotATime {
            file: table.file_of(row).into(),
            line: table.line(row),
            column: column.into(),
            text: text.into(),
            format: table.time().map(String::from),
            problem: error.problem(),
        })
    };
    let texts = table.text_column(column)?;
    Ok(texts.into_iter().enumerate().map(time))
}
