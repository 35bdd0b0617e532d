//! A task file that is written somewhere else still finds its data.

use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, TableLike, Value};

/// The keys of paths, which start from the folder of the task file.
const PATHS: [&[&str]; 15] = [
    &["csv", "file"],
    &["csv", "join", "file"],
    &["csv", "test", "file"],
    &["csv", "test", "join", "file"],
    &["text", "file"],
    &["documents", "file"],
    &["documents", "files", "train"],
    &["documents", "files", "valid"],
    &["documents", "files", "test"],
    &["tagged", "files", "train"],
    &["tagged", "files", "valid"],
    &["tagged", "files", "test"],
    &["pairs", "files", "train"],
    &["pairs", "files", "valid"],
    &["pairs", "files", "test"],
];
const LABELS: &[&str] = &["anomaly", "labels", "file"];

/// The text of the task file at `from` as it has to be at `to`, with comments and all. `data` is read in place of what the
/// task names, as by `--data`.
///
/// # Errors
/// If it is not TOML.
pub fn moved(text: &str, from: &Path, to: &Path, data: Option<&Path>) -> Result<String> {
    let mut document: DocumentMut = text.parse().context("not a task file")?;
    let folder = from.parent().unwrap_or(Path::new(""));
    for path in PATHS.into_iter().chain([LABELS]) {
        let Some(value) = value_at(document.as_table_mut(), path) else {
            continue;
        };
        let Some(named) = value.as_str().map(PathBuf::from) else {
            continue;
        };
        let is_part = path.contains(&"files");
        let is_data = matches!(path, ["csv" | "text" | "documents", "file"]);
        let file = match data {
            Some(data) if is_data => data.to_path_buf(),
            Some(data) if is_part => data.join(named.file_name().unwrap_or_default()),
            _ => folder.join(named),
        };
        let decor = value.decor().clone();
        *value = Value::from(from_folder_of(to, &file));
        *value.decor_mut() = decor;
    }
    Ok(document.to_string())
}

fn value_at<'d>(table: &'d mut dyn TableLike, path: &[&str]) -> Option<&'d mut Value> {
    let (key, rest) = path.split_first()?;
    let item = table.get_mut(key)?;
    if rest.is_empty() {
        return item.as_value_mut();
    }
    value_at(item.as_table_like_mut()?, rest)
}

/// How a task file at `out` names a data file: from its own folder where it lies there or below, else in full.
pub fn from_folder_of(out: &Path, data: &Path) -> String {
    let folder = |path: &Path| -> Option<PathBuf> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).canonicalize().ok()
    };
    let (Some(from), Some(at), Some(name)) = (folder(out), folder(data), data.file_name()) else {
        return absolute(data).unwrap_or(data.into()).display().to_string();
    };
    let full = at.join(name);
    full.strip_prefix(&from)
        .unwrap_or(&full)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_task_that_moves_finds_its_data() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        fs::create_dir(at("tasks")).unwrap();
        let text =
            "[csv] # rows\nfile = \"a.csv\" # here\njoin = { file = \"b.csv\", on = \"k\" }\n";
        let moved_to = |to: &str, data: Option<&Path>| {
            moved(text, &at("tasks/t.toml"), &at(to), data).unwrap()
        };
        assert_eq!(moved_to("tasks/best.toml", None), text);
        let up = moved_to("best.toml", None);
        assert!(up.contains("file = \"tasks/a.csv\" # here"), "{up}");
        assert!(up.contains("{ file = \"tasks/b.csv\", on"), "{up}");
        let other = moved_to("best.toml", Some(&at("x.csv")));
        assert!(other.contains("file = \"x.csv\" # here"), "{other}");
        let parts = "[tagged.files]\ntrain = \"d/a\"\n";
        let with = moved(parts, &at("t.toml"), &at("t.toml"), Some(&at("e"))).unwrap();
        assert!(
            with.contains("train = ") && with.contains("e/a\""),
            "{with}"
        );
    }
}
