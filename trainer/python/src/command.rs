//! The command line, which the wheel brings, and what it is given from Python: tables and tasks that are no files.

use anyhow::{Context, Result, anyhow};
use kinglet_trainer::cli::run_with;
use kinglet_trainer::save::save;
use kinglet_trainer::task::{from_folder_of, moved};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::{Error, table, told};

/// What the program `kinglet` does with these arguments; gives its exit code. It writes to the process's own standard output
/// and error, and signals are the program's meanwhile, so it is for a process of its own.
#[pyfunction]
#[pyo3(signature = (arguments, /))]
pub fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    let called = [OsString::from("kinglet")];
    py.detach(|| run_with(called.into_iter().chain(arguments)))
}

/// Writes a table, as `Model.predict` takes them, as the CSV that it would print. Returns whether there are times in it that are
/// no text.
#[pyfunction]
#[pyo3(signature = (frame, path, /))]
pub fn write_csv(frame: &Bound<'_, PyAny>, path: PathBuf) -> PyResult<bool> {
    let Some(table) = table::Table::of(frame)? else {
        return Err(Error::new_err(format!(
            "{} is no table; pass one of pandas, polars or pyarrow, or the path of a file",
            frame.get_type().name()?
        )));
    };
    let rows = table.rows(None)?;
    let write = || {
        let mut text = Vec::new();
        let mut table = table::Text::new(rows, false)?;
        table.read_to_end(&mut text)?;
        save(&path, &text)?;
        Ok(table.has_times())
    };
    frame.py().detach(write).map_err(|error| told(&error))
}

/// What says how a file of text is written. A table is not text.
const OF_TEXT: [&str; 7] = [
    "delimiter",
    "header",
    "comment",
    "decimal",
    "thousands",
    "encoding",
    "multiline",
];

/// The text of a task as it has to be at `to`: of the file at `of`, or of a task as JSON, whose paths start from the working
/// directory. `data` is the CSV of a table, which is read in place of the file that the task names, with `times` that are no text.
#[pyfunction]
#[pyo3(signature = (to, *, of=None, json=None, data=None, times=false))]
pub fn task_text(
    to: PathBuf,
    of: Option<PathBuf>,
    json: Option<&str>,
    data: Option<PathBuf>,
    times: bool,
) -> PyResult<String> {
    let text = || -> Result<String> {
        let (text, from) = match (of, json) {
            (Some(path), _) => {
                let shown = path.display().to_string();
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("{shown}: cannot read the task file"))?;
                (text, path)
            }
            (None, json) => {
                let task: serde_json::Value = serde_json::from_str(json.unwrap_or("{}"))?;
                let text = toml::to_string(&task).map_err(|error| {
                    anyhow!("the task is no TOML: {error}; leave out what is None")
                })?;
                (text, PathBuf::from("task.toml"))
            }
        };
        match data {
            None => moved(&text, &from, &to, None),
            Some(data) => of_table(&moved(&text, &from, &to, None)?, &to, &data, times),
        }
    };
    text().map_err(|error| told(&error))
}

fn of_table(text: &str, to: &Path, data: &Path, times: bool) -> Result<String> {
    let mut task: DocumentMut = text.parse()?;
    let csv = task
        .entry("csv")
        .or_insert_with(|| Item::Table(Table::new()));
    let csv = csv
        .as_table_like_mut()
        .context("csv: expected a table of keys")?;
    csv.insert("file", value(from_folder_of(to, data)));
    if let Some(format) = csv.get_mut("format").and_then(Item::as_table_like_mut) {
        OF_TEXT.iter().for_each(|key| drop(format.remove(key)));
        if times {
            format.remove("time");
        }
    }
    let format = csv
        .entry("format")
        .or_insert_with(|| value(toml_edit::InlineTable::new()));
    let format = format
        .as_table_like_mut()
        .context("csv.format: expected a table of keys")?;
    format.insert("multiline", value(true));
    Ok(task.to_string())
}
