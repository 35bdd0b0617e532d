//! Labelled windows of time, as the Numenta Anomaly Benchmark writes them: a JSON object with an entry per data file,
//! `{ "windows": [["start", "end"], …] }` or just the list.

use std::fs;

use serde_json::Value;

use super::super::csv::Table;
use super::super::error::DataError;
use super::super::time::Time;
use crate::task::{LabelsTask, Task};

/// For every row the number of the window that it lies in, from 1; 0: none.
pub fn events(task: &Task, labels: &LabelsTask, table: &Table) -> Result<Vec<usize>, DataError> {
    let path = task.path(&labels.file);
    let file = path.display().to_string();
    let text = fs::read_to_string(&path).map_err(|source| DataError::Read {
        file: file.clone(),
        source,
    })?;
    let broken = |problem: String| DataError::Labels {
        file: file.clone(),
        problem,
    };
    let all: Value = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
    let entry = all
        .get(&labels.key)
        .ok_or_else(|| broken(format!("no entry {:?}", labels.key)))?;
    let list = entry.get("windows").unwrap_or(entry).as_array();
    let list = list.ok_or_else(|| broken(format!("{:?} holds no list of windows", labels.key)))?;
    let seconds = |value: &Value| {
        let time = value.as_str().and_then(|text| Time::parse(text, None));
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
    let event = |(row, text): (usize, &&str)| {
        let time = Time::parse(text, table.time()).ok_or_else(|| DataError::NotATime {
            file: table.file_of(row).into(),
            line: table.line(row),
            column: labels.time.clone(),
            text: (*text).into(),
            format: table.time().map(String::from),
        })?;
        let inside = |(start, end): &(f64, f64)| (*start..=*end).contains(&time.instant);
        Ok(windows.iter().position(inside).map_or(0, |k| k + 1))
    };
    let times = table.text_column(&labels.time)?;
    times.iter().enumerate().map(event).collect()
}
