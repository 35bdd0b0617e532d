//! Task sections for text with labels (whole texts, or every word of them), and for pairs of texts.

use std::path::PathBuf;

use serde::Deserialize;

use super::{DenseTask, LabelTask, Split};
use crate::data::Part;
use crate::data::csv::Format;
use crate::data::normalise::Normalise;
use crate::data::vocabulary::VocabularyTask;

/// Texts with a label each: a row per text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsTask {
    /// Where they are: a file for every part, …
    pub files: Option<FilesTask>,
    /// … or one, relative to the task file, …
    pub file: Option<PathBuf>,
    /// … of which these rows are for training, validation and test.
    #[serde(default)]
    pub split: Split,
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

/// Pairs: an encoder reads a text or samples, a decoder gives a text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsTask {
    /// Where they are, a row per pair, …
    pub files: Option<FilesTask>,
    /// … or what is made up.
    pub made: Option<MadeTask>,
    /// How the files are written.
    #[serde(default)]
    pub format: Format,
    /// The column of what is read.
    #[serde(default = "source")]
    pub source: String,
    /// Instead of `source`: columns of numbers, which are the encoder's samples. A row is a sequence of one sample, whose
    /// state the decoder starts from, …
    #[serde(default)]
    pub features: Vec<String>,
    /// … unless a column says which rows belong together: those with the same text in it are one sequence, and what is given
    /// stands in one of them or in all.
    pub group: Option<String>,
    /// How samples are scaled.
    #[serde(default = "super::standard")]
    pub normalise: Normalise,
    /// Dense layers between the samples and the encoder's recurrent layers.
    #[serde(default)]
    pub dense: Vec<DenseTask>,
    /// So many numbers of what was read stand beside every token that the decoder reads.
    pub joined: Option<usize>,
    /// The column of what is given.
    #[serde(default = "target")]
    pub target: String,
    /// What texts are cut into.
    #[serde(default)]
    pub vocabulary: VocabularyTask,
}

impl PairsTask {
    /// The encoder takes samples, not a text.
    pub fn has_samples(&self) -> bool {
        let made = self.made.as_ref();
        !self.features.is_empty() || made.is_some_and(|made| made.kind.is_measured())
    }

    /// The column that says which rows belong together; of what is made up it is what a file of such rows would have.
    pub fn group(&self) -> Option<&str> {
        match &self.made {
            Some(made) => (made.kind == Made::Clips).then_some("clip"),
            None => self.group.as_deref(),
        }
    }
}

fn source() -> String {
    "source".into()
}

fn target() -> String {
    "target".into()
}

/// Pairs that are made up.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeTask {
    /// Which.
    pub kind: Made,
    /// How many for training, validation and test, all different.
    pub pairs: [usize; 3],
    /// They follow from it.
    #[serde(default = "first")]
    pub seed: u64,
}

fn first() -> u64 {
    1
}

/// What can be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// Words of three to six letters, and the same backwards.
    Reversal,
    /// `3 Nov 2026` or `November 3, 2026`, and `2026-11-03`.
    Dates,
    /// Two facts and a question, such as `mary went to the garden`, `where is mary`; and the answer.
    Stories,
    /// Small talk and commands, turn by turn: `set the pump to 40 percent` and `set pump 40`. What means nothing has an empty answer.
    Commands,
    /// Measurements of two coloured shapes, and a sentence about them.
    Scenes,
    /// The same of one shape frame by frame, and how it moves.
    Clips,
}

impl Made {
    /// Its encoder takes samples, not a text.
    pub fn is_measured(self) -> bool {
        matches!(self, Made::Scenes | Made::Clips)
    }

    /// So many different pairs there are at the least.
    pub fn most(self) -> usize {
        match self {
            Made::Reversal => 20_000,
            Made::Dates => 50_000,
            Made::Stories | Made::Commands | Made::Scenes | Made::Clips => 100_000,
        }
    }
}
