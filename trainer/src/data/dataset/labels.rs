//! Labelled windows of time: runs of ones in a column, or as the Numenta Anomaly Benchmark writes them, a JSON object with an
//! entry per data file, `{ "windows": [["start", "end"], …] }` or just the list.

use serde_json::Value;

use super::super::csv::{Table, is_same};
use super::super::error::DataError;
use super::super::open::read_words;
use super::super::time::Time;
use super::times::times;
use crate::task::{LabelsTask, Task};

/// For every row the number of the window that it lies in, from 1; 0: none.
pub fn events(task: &Task, labels: &LabelsTask, table: &Table) -> Result<Vec<usize>, DataError> {
    let (path, key, time) = match (&labels.column, &labels.file, &labels.key, &labels.time) {
        (Some(column), ..) => return runs(column, table),
        (None, Some(file), Some(key), Some(time)) => (task.path(file), key, time),
        // Which a task that was checked does not say.
        _ => return Ok(vec![0; table.rows()]),
    };
    let file = path.display().to_string();
    let text = read_words(&path).map_err(|source| DataError::Read {
        file: file.clone(),
        source,
    })?;
    let broken = |problem: String| DataError::Labels {
        file: file.clone(),
        problem,
    };
    let all: Value = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
    let entry = all
        .get(key)
        .ok_or_else(|| broken(format!("no entry {key:?}")))?;
    let list = entry.get("windows").unwrap_or(entry).as_array();
    let list = list.ok_or_else(|| broken(format!("{key:?} holds no list of windows")))?;
    let seconds = |value: &Value| {
        let text = value.as_str();
        let time = text.and_then(|text| Time::parse(text, None));
        time.map(|time| time.instant)
            .ok_or_else(|| broken(format!("{value} is not a time")))
    };
    let windows = list
        .iter()
        .map(|window| match window.as_array().map(Vec::as_slice) {
            Some([start, end]) => Ok((seconds(start)?, seconds(end)?)),
            _ => Err(broken(format!("{window} is not a window [start, end]"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let event = |time: &Time| {
        let inside = |(start, end): &(f64, f64)| (*start..=*end).contains(&time.instant);
        windows.iter().position(inside).map_or(0, |k| k + 1)
    };
    Ok(times(table, time)?.iter().map(event).collect())
}

/// Unbroken runs of ones in a column, within each group.
fn runs(column: &str, table: &Table) -> Result<Vec<usize>, DataError> {
    let wrong = anomalous(column, table)?.collect::<Result<Vec<bool>, _>>()?;
    let mut events = Vec::with_capacity(wrong.len());
    let mut runs = 0;
    for group in table.groups() {
        let mut before = false;
        for &wrong in &wrong[group.rows.clone()] {
            runs += usize::from(wrong && !before);
            before = wrong;
            events.push(if wrong { runs } else { 0 });
        }
    }
    Ok(events)
}

/// Whether something is wrong in a row, by the column that says so.
pub fn anomalous<'t>(
    column: &'t str,
    table: &'t Table,
) -> Result<impl Iterator<Item = Result<bool, DataError>> + 't, DataError> {
    let wrong = move |(row, text): (usize, &str)| match text.parse::<f64>() {
        Ok(0.0) => Ok(false),
        Ok(1.0) => Ok(true),
        _ if is_same("false", text) => Ok(false),
        _ if is_same("true", text) => Ok(true),
        _ => Err(DataError::ZeroOrOne {
            file: table.file_of(row).into(),
            line: table.line(row),
            column: column.into(),
            text: text.into(),
        }),
    };
    let texts = table.text_column(column)?;
    Ok(texts.into_iter().enumerate().map(wrong))
}
