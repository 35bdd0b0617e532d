//! Labels that lie in another file: one row for each machine, trial or patient there, with the key that their many rows
//! have here.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::column::{Column, Holds, Marks};
use super::series::{LABEL_NAMES, is_split};
use crate::data::csv::{Format, Table, is_missing};
use crate::data::open::open;

/// Files of a folder that are looked into, and bytes that one may have.
const FILES: usize = 32;
const LARGEST: u64 = 16 << 20;
const FIRST_LINE: u64 = 1 << 16;
/// Rows of a key, on average: fewer are no sequence.
const LEAST_ROWS: usize = 4;
const MOST_CLASSES: usize = 24;

/// A file with labels.
pub struct Beside {
    pub file: PathBuf,
    pub table: Table,
    /// The column that both have.
    pub on: String,
    pub label: String,
    /// Other columns of it, which are the same over all rows of a key.
    pub others: Vec<String>,
    /// Keys that it has no row for.
    pub without: usize,
    /// All keys.
    pub keys: usize,
}

impl Beside {
    /// Its name.
    pub fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// The only file beside `data` that has one row with a label for every key of it; or for most, which is told.
pub fn find(data: &Path, table: &Table, format: &Format, target: Option<&str>) -> Option<Beside> {
    if target.is_some_and(|target| table.names().iter().any(|name| name == target)) {
        return None;
    }
    let folder = data
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let files = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let mut files: Vec<PathBuf> = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|file| file.extension() == data.extension() && file.file_name() != data.file_name())
        .filter(|file| fs::metadata(file).is_ok_and(|m| m.is_file() && m.len() <= LARGEST))
        .collect();
    files.sort();
    let found = files.into_iter().take(FILES);
    let mut found: Vec<Beside> = found
        .filter_map(|file| labels(file, table, format, target))
        .collect();
    if found.iter().any(|beside| beside.without == 0) {
        found.retain(|beside| beside.without == 0);
    }
    // Which of two is meant nobody knows.
    found.pop().filter(|_| found.is_empty())
}

/// How many names of a table the first line of a file has; a folder may hold many large ones.
fn shared_names(file: &Path, table: &Table, format: &Format) -> Option<usize> {
    let mut line = Vec::new();
    let opened = open(file, format).ok()?;
    opened
        .text
        .take(FIRST_LINE)
        .read_until(b'\n', &mut line)
        .ok()?;
    let line = String::from_utf8_lossy(&line);
    let fields = line
        .trim_start_matches('\u{feff}')
        .trim()
        .split(format.delimiter);
    let names = fields.map(|name| name.trim().trim_matches('"'));
    Some(
        names
            .filter(|name| table.names().iter().any(|n| n == name))
            .count(),
    )
}

fn labels(file: PathBuf, table: &Table, format: &Format, target: Option<&str>) -> Option<Beside> {
    if shared_names(&file, table, format)? != 1 {
        return None;
    }
    // As a task reads both.
    let other = Table::read(&file, format).ok()?;
    let here = |name: &&String| !name.is_empty() && table.names().contains(name);
    let shared: Vec<&String> = other.names().iter().filter(here).collect();
    let [on] = shared[..] else { return None };
    let keys = other.text_column(on).ok()?;
    let known: HashSet<&str> = keys.iter().copied().collect();
    let rows = table.text_column(on).ok()?;
    let wanted: HashSet<&str> = rows.iter().copied().collect();
    let without = wanted.iter().filter(|key| !known.contains(*key)).count();
    let one_each = known.len() == keys.len() && !known.iter().any(|key| is_missing(key));
    if !one_each
        || wanted.len() < 2
        || wanted.len() * LEAST_ROWS > rows.len()
        || 2 * without > wanted.len()
    {
        return None;
    }
    let number = |text: &str| text.parse::<f64>().ok();
    let names = other.names().iter().filter(|name| *name != on);
    let columns = names.filter_map(|name| {
        let texts = other.text_column(name).ok()?;
        Some(Column::new(name, texts, &number, &Marks::default()))
    });
    let columns: Vec<Column<'_>> = columns.collect();
    let few = |column: &&Column<'_>| {
        let classes = column.different(MOST_CLASSES).len();
        let kind = matches!(column.holds, Holds::Categories(_)) || column.is_whole();
        kind && column.missing == 0 && (2..=MOST_CLASSES).contains(&classes) && !is_split(column)
    };
    let candidates: Vec<&Column<'_>> = columns.iter().filter(few).collect();
    let called = candidates.iter().find(|column| match target {
        Some(target) => column.name == target,
        None => column.is_called(&LABEL_NAMES),
    });
    let label = match (called, &candidates[..]) {
        (Some(label), _) => label.name.clone(),
        (None, [only]) if target.is_none() => only.name.clone(),
        _ => return None,
    };
    let others = columns.iter().filter(|c| c.name != label && !is_split(c));
    let (on, others) = (on.clone(), others.map(|c| c.name.clone()).collect());
    let keys = wanted.len();
    Some(Beside {
        table: other,
        file,
        on,
        label,
        others,
        without,
        keys,
    })
}
