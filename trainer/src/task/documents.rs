//! Task sections for text with labels: whole texts, or every word of them.

use std::path::PathBuf;

use serde::Deserialize;

use super::LabelTask;
use crate::data::Part;
use crate::data::csv::Format;
use crate::data::vocabulary::VocabularyTask;

/// Texts with a label each: a row per text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsTask {
    /// Where they are.
    pub files: FilesTask,
    /// How the files are written.
    #[serde(default)]
    pub format: Format,
    /// The column of texts.
    pub text: String,
    /// The column of class labels.
    pub label: LabelTask,
    /// What text is cut into, and what has a token of its own.
    #[serde(default)]
    pub vocabulary: VocabularyTask,
}

/// A file for every part. With `--data FOLDER` files of these names are read from that folder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesTask {
    /// Parameters and vocabulary are fitted on it.
    pub train: PathBuf,
    /// Decides which epoch is kept.
    pub valid: PathBuf,
    /// Tells how good the model is.
    pub test: PathBuf,
}

impl FilesTask {
    /// The file of a part, as the task names it.
    pub fn of(&self, part: Part) -> &PathBuf {
        [&self.train, &self.valid, &self.test][part as usize]
    }
}

/// Sentences with a tag per word: a line per word, columns between tabs, a blank line behind every sentence.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggedTask {
    /// Where they are.
    pub files: FilesTask,
    /// The column of words, from 1; as CoNLL-U has it unless said otherwise.
    #[serde(default = "form")]
    pub word: usize,
    /// The column of tags, likewise.
    #[serde(default = "upos")]
    pub tag: usize,
    /// Which words have a token of their own, and which endings stand for the others.
    #[serde(default)]
    pub vocabulary: VocabularyTask,
}

fn form() -> usize {
    2
}

fn upos() -> usize {
    4
}
