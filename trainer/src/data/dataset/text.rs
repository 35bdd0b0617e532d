//! A text whose characters (or words) are the tokens: the output after each is about the next one.

use std::collections::BTreeSet;

use super::super::csv::Format;
use super::super::csv::composed;
use super::super::error::DataError;
use super::super::open::{open, read_text};
use super::super::split::Rows;
use super::super::vocabulary::units;
use super::{Dataset, cut, need_windows, shape};
use crate::package::{Input, Output};
use crate::task::Task;

pub fn load(task: &Task) -> Result<Dataset, DataError> {
    let (file, text) = read(task)?;
    let text = composed(&text);
    let unit = task.text().map(|t| t.unit).unwrap_or_default();
    // Sorted, so that the same tokens always get the same numbers.
    let alphabet: BTreeSet<&str> = units(unit, &text).collect();
    let alphabet: Vec<&str> = alphabet.into_iter().collect();
    let tokens: Vec<f32> = units(unit, &text)
        .map(|token| alphabet.partition_point(|&a| a < token) as f32)
        .collect();
    let (rows, window, horizon) = (tokens.len(), task.shape.window, task.shape.horizon);
    if rows < window + horizon {
        return Err(DataError::TooShort {
            file,
            rows,
            window,
            horizon,
        });
    }
    let split = task.text().map(|t| t.split.clone()).unwrap_or_default();
    let parts = Rows::in_order(&split, rows, &file)?;
    let notes = parts.unused(&split, &file, "tokens").into_iter().collect();
    let belongs = |row, part| row + horizon < rows && parts.contains(row + horizon, part);
    let places = cut(task, rows, belongs);
    need_windows(&places, task, &file, |part| parts.count(part))?;
    let goals = tokens[horizon..].to_vec();
    Ok(Dataset {
        shape: shape(task, window),
        raw: tokens.clone(),
        normal: tokens,
        truth: goals.clone(),
        goals,
        window,
        windows: places.0,
        streams: places.1,
        notes,
        ..Dataset::empty(
            task,
            Input::Tokens(alphabet.iter().map(|&token| token.into()).collect()),
            Output::NextToken,
        )
    })
}

fn read(task: &Task) -> Result<(String, String), DataError> {
    let inline = task.text().and_then(|t| t.text.clone());
    match (task.data_path(), inline) {
        (Some(path), _) => {
            let file = path.display().to_string();
            let text = open(&path, &Format::default()).and_then(|opened| read_text(opened.text));
            match text {
                Ok(text) => Ok((file, text)),
                Err(source) => Err(DataError::Read { file, source }),
            }
        }
        (None, text) => Ok((task.origin.display().to_string(), text.unwrap_or_default())),
    }
}
