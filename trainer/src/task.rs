//! The task file: what to learn, from which data, with which network, how long.
//!
//! A TOML file with one data section (`[series]`: rows of a CSV in order of time; `[sequences]`: one
//! sequence per row; `[text]`: characters; `[documents]`: labelled texts; `[tagged]`: labelled words; `[pairs]`: texts and their translations), `[csv]` for how the file is written, then `[shape]`,
//! `[network]`, `[train]` and `[output]`. Unknown keys are errors, because a misspelt option that is
//! silently ignored costs a training run. `trainer/tasks/` has examples.
//!
//! What TOML can check (types, names) it checks with line and column; what only makes sense together
//! is checked in `check`, and names the line of the key to change.

mod check;
mod documents;
mod features;
mod moved;
mod names;
mod output;
mod sections;
mod words;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

pub use self::documents::{DocumentsTask, FilesTask, Made, MadeTask, PairsTask, TaggedTask};
pub use self::features::{FeatureTask, FeatureTransform, TargetTask, TargetTransform};
pub use self::moved::{from_folder_of, moved};
pub use self::output::{OutputTask, Precision};
pub use self::sections::Sections;
use crate::data::Part;
pub use crate::data::audio::Audio;
pub use crate::data::csv::Format;
use crate::data::csv::{OnError, composed};
pub use crate::data::normalise::Normalise;
use crate::data::open::read_words;
use crate::data::vocabulary::Unit;
use crate::net::{Activation, Cell, Pool, PoolKind};
use crate::train::init::{ConvPlan, LayerPlan};
pub use crate::train::loss::Loss;

/// A task file that makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// It cannot be read.
    #[error("{file}: cannot read the task file: {source}")]
    Read {
        /// Which file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is another file, perhaps the data.
    #[error(
        "{file}: not a task file, which says what to learn from which data; if it is the data, `kinglet init {file}` writes one"
    )]
    NotATask {
        /// Which file.
        file: String,
    },
    /// It is not TOML, a key is unknown or missing, or a value has the wrong type.
    #[error("{file}{problem}")]
    Parse {
        /// Which file.
        file: String,
        /// Line, column, what is wrong and what belongs there.
        problem: String,
    },
    /// A value that cannot be used.
    #[error("{file}{}: {section}.{key}: {problem}", .line.map_or(String::new(), |l| format!(":{l}")))]
    Invalid {
        /// Which file.
        file: String,
        /// Line of the key, where it stands in the file.
        line: Option<usize>,
        /// Section of the key.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What is wrong, what was expected and what to do.
        problem: String,
    },
}

/// A whole task file.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Short name of the model.
    pub name: String,
    /// Where the CSV is and how it is written.
    pub csv: Option<CsvTask>,
    /// What is learned from.
    pub data: Data,
    /// What goes in and what comes out.
    pub shape: ShapeTask,
    /// The network.
    pub network: NetworkTask,
    /// How it is trained.
    pub train: TrainTask,
    /// The model watches a stream: it predicts the next sample and says how odd the one that comes is.
    pub anomaly: Option<AnomalyTask>,
    /// The model waits for a word: it says when that is said.
    pub wake: Option<WakeTask>,
    /// What is written.
    pub output: OutputTask,
    /// What errors call the task file; data paths start from its folder.
    pub origin: PathBuf,
    /// Used in place of the data path in the file.
    pub data_override: Option<PathBuf>,
}

/// What is learned from: the section of a task file that says so.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Rows in order of time.
    Series(SeriesTask),
    /// One sequence per row.
    Sequences(SequencesTask),
    /// Characters.
    Text(TextTask),
    /// Texts with a label each.
    Documents(DocumentsTask),
    /// Sentences with a tag per word.
    Tagged(TaggedTask),
    /// Texts and what becomes of them.
    Pairs(PairsTask),
}

/// Where the CSV is and how it is written: the path and the keys of [`Format`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvTask {
    /// Path, relative to the task file.
    pub file: PathBuf,
    /// How it is written.
    #[serde(default)]
    pub format: Format,
    /// A second file whose columns are added to this one's.
    pub join: Option<JoinTask>,
    /// A file of its own for the test part; the split is then of the first file only.
    pub test: Option<TestTask>,
    /// Rows name recordings, and each frame of those becomes a row.
    pub audio: Option<Audio>,
}

/// A table whose columns are added to each row that has the same key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinTask {
    /// Path, relative to the task file.
    pub file: PathBuf,
    /// The column that both files have; here every text stands once.
    pub on: String,
}

/// The file of the test part, written like the first one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestTask {
    /// Path, relative to the task file.
    pub file: PathBuf,
    /// A second file whose columns are added to this one's.
    pub join: Option<JoinTask>,
}

/// A time series.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesTask {
    /// Input columns, in the order in which a sample lists them, or features [derived](crate::data::derived)
    /// from one, such as `hour_sin(date)` and `missing(x)`. A column with categories is a feature for each.
    pub features: Vec<FeatureTask>,
    /// Columns to predict.
    #[serde(default)]
    pub targets: Vec<TargetTask>,
    /// Instead of a mean of each target these of its quantiles, from low to high, such as `[0.1, 0.5, 0.9]`: an interval that
    /// holds 80 % of what comes, and the middle. An output for each, called `y_q10`, `y_q50`, `y_q90`. They are learned one
    /// by one and not sorted, so they can cross; `train` tells how often they do.
    #[serde(default)]
    pub quantiles: Vec<f64>,
    /// Instead of `targets`: a column of class labels to predict.
    pub label: Option<LabelTask>,
    /// Numbers become tokens, at most so many levels of each feature, and what is learned is the next one: for drawing new
    /// rows, each of which begins with the class of the `label`, where there is one.
    pub levels: Option<usize>,
    /// Instead of `targets`: what is said in the rows of a group, nobody knows where.
    pub transcript: Option<TranscriptTask>,
    /// Each group is a picture: the network is told which row of it is next, and the report draws it.
    #[serde(default)]
    pub picture: bool,
    /// A column that says what a row belongs to, such as a machine or a trial: all rows with the same text
    /// are a group, wherever they stand, and nothing reaches from one group into the next.
    pub group: Option<String>,
    /// Keeps the first of so many rows of a group.
    #[serde(default = "one")]
    pub every: usize,
    /// Groups shorter than a window repeat a row; without it they have no window.
    pub pad: Option<Pad>,
    /// The test part is measured at the last window of each group only.
    #[serde(default)]
    pub test_last: bool,
    /// How columns are scaled, unless a column says otherwise.
    #[serde(default = "standard")]
    pub normalise: Normalise,
    /// The column of times, for a split by date and for the axes of a report; without it the column that clock features are
    /// derived from, or the first one that holds times.
    pub time: Option<String>,
    /// Rows after which the series repeats itself, such as 24 where they are hourly, for the rule of the last season that a
    /// network is compared with; looked for in the training part unless it is given.
    pub season: Option<usize>,
    /// Training, validation and test part: in time within each group unless said otherwise.
    pub split: Option<Split>,
}

impl Data {
    /// How the files are written, where it is the section of the data that says so.
    pub(crate) fn format(&self) -> Option<&Format> {
        match self {
            Data::Documents(documents) => Some(&documents.format),
            Data::Pairs(pairs) => Some(&pairs.format),
            Data::Series(_) | Data::Sequences(_) | Data::Text(_) | Data::Tagged(_) => None,
        }
    }
}

impl SeriesTask {
    /// The split that applies.
    pub fn split(&self) -> Split {
        let default = || match &self.group {
            // What is drawn or heard are whole groups.
            Some(_) if self.levels.is_none() && self.transcript.is_none() => Split::PerGroup(PARTS),
            _ => Split::default(),
        };
        self.split.clone().unwrap_or_else(default)
    }
}

/// A column of transcripts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptTask {
    /// The column, in which all rows of a group have the same text.
    pub column: String,
    /// What it is cut into: words at white space, or characters.
    #[serde(default = "words")]
    pub unit: Unit,
}

fn words() -> Unit {
    Unit::Words
}

/// Which row a short group repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pad {
    /// Its first, before it.
    Front,
    /// Its last, behind it.
    Back,
}

/// One sequence per row, one number per step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequencesTask {
    /// First and last of the columns that hold the steps.
    pub steps: [String; 2],
    /// What a step's number is called in the model.
    pub feature: FeatureTask,
    /// The column of class labels.
    pub label: LabelTask,
    /// How the numbers are scaled.
    #[serde(default = "standard")]
    pub normalise: Normalise,
    /// Training, validation and test part.
    #[serde(default)]
    pub split: Split,
}

fn standard() -> Normalise {
    Normalise::Standard
}

/// A text, whose characters or words are the tokens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextTask {
    /// The text itself, …
    pub text: Option<String>,
    /// … or a file, relative to the task file.
    pub file: Option<PathBuf>,
    /// What it is cut into: characters, or words at white space.
    #[serde(default)]
    pub unit: Unit,
    /// Training, validation and test part.
    #[serde(default)]
    pub split: Split,
}

/// A column of labels and the classes that they mean.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelTask {
    /// The column.
    pub column: String,
    /// In the order of the model's outputs.
    pub classes: Vec<ClassTask>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTask {
    /// Its name.
    pub name: String,
    /// The labels in the file that mean it.
    pub labels: Vec<String>,
}

/// Which rows are for training, validation and test. A window belongs to the part of its target row
/// and may reach back into the part before.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// So many rows each; the rest is unused.
    Rows([usize; 3]),
    /// Fractions of the rows, in order.
    Fractions([f64; 3]),
    /// The same within each group: every group has its past in the training part and its future in the test part.
    #[serde(rename = "per_group")]
    PerGroup([f64; 3]),
    /// By time: a date, before which is training (its last eighth, within each group, is for validation) and from which
    /// on is test; or two, where validation lies between them.
    #[serde(deserialize_with = "features::one_or_more")]
    Before(Vec<String>),
    /// Rolling origin, so many times: the last of equal blocks of rows, within each group, are the test part one after the
    /// other, and what lies before such a block is training (its last eighth is for validation). `kinglet train` goes
    /// through all of them; elsewhere it is the last one.
    Folds(usize),
    /// One of them, from 1.
    #[serde(skip)]
    Fold {
        /// Which.
        fold: usize,
        /// Of how many.
        of: usize,
    },
    /// So many groups each, in order; the rest is unused.
    Groups([usize; 3]),
    /// Groups in turn: so many for training, then so many for validation, then so many for test, and so on from the start.
    Turns([usize; 3]),
    /// By a column, or what it is called.
    Column(#[serde(deserialize_with = "features::name_or_column")] SplitColumn),
    /// Everything in every part: for learning by heart.
    None,
}

/// Shares of the three parts where nothing is said.
const PARTS: [f64; 3] = [0.7, 0.1, 0.2];

impl Default for Split {
    fn default() -> Self {
        Split::Fractions(PARTS)
    }
}

/// A split written in the data.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitColumn {
    /// The column.
    pub name: String,
    /// What it holds in training rows: a text or a list of them.
    #[serde(default = "train_label", deserialize_with = "features::one_or_more")]
    pub train: Vec<String>,
    /// What it holds in validation rows.
    #[serde(default = "valid_label", deserialize_with = "features::one_or_more")]
    pub valid: Vec<String>,
    /// What it holds in test rows.
    #[serde(default = "test_label", deserialize_with = "features::one_or_more")]
    pub test: Vec<String>,
}

fn train_label() -> Vec<String> {
    vec!["train".into()]
}

fn valid_label() -> Vec<String> {
    vec!["valid".into()]
}

fn test_label() -> Vec<String> {
    vec!["test".into()]
}

/// What goes in and what comes out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeTask {
    /// Which steps have an output.
    pub kind: Kind,
    /// Samples per window, or steps of back-propagation where every step has an output; tokens of a labelled text at
    /// the most, the rest is cut off.
    #[serde(default)]
    pub window: usize,
    /// Samples from one window's start to the next one's; 1, or the window where every step has an
    /// output.
    pub hop: Option<usize>,
    /// Rows from the last sample to the one predicted.
    #[serde(default = "one")]
    pub horizon: usize,
    /// Instead of `horizon`, several: each target is predicted at each of them.
    #[serde(default)]
    pub horizons: Vec<usize>,
    /// Training carries the state from one window to the next (truncated back-propagation) instead
    /// of starting each at zero.
    #[serde(default)]
    pub stateful: bool,
}

fn one() -> usize {
    1
}

/// Which steps have an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One for every row, from that row alone: no memory, and no recurrent layer needed. It is many-to-one with windows
    /// of one sample and a horizon of 0, which is what a task that was read says.
    OneToOne,
    /// The last of a window.
    ManyToOne,
    /// Every one.
    ManyToMany,
    /// Every one, and it is the next token: such a model can generate (one-to-many).
    NextToken,
}

/// The network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkTask {
    /// The recurrence of every recurrent layer.
    #[serde(default = "lstm", deserialize_with = "names::cell::deserialize")]
    pub cell: Cell,
    /// One recurrent layer per entry, its hidden width; only one-to-one can do without.
    pub hidden: Vec<usize>,
    /// Every recurrent layer runs over the window from both ends; `hidden` is the width of one direction. The last one gives
    /// the first direction's state after the last sample, then the second one's after the first.
    #[serde(default)]
    pub bidirectional: bool,
    /// Length of the tokens' vectors.
    pub embedding: Option<usize>,
    /// Convolutions over the samples, before the first recurrent layer.
    #[serde(default)]
    pub conv: Vec<ConvTask>,
    /// Dense layers between the last recurrent layer and the output layer.
    #[serde(default)]
    pub dense: Vec<DenseTask>,
}

fn lstm() -> Cell {
    Cell::Lstm
}

/// A convolution over a sample and those before it, in front of the recurrent layers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTask {
    /// Output width.
    pub filters: usize,
    /// Samples that are seen at once, the newest included.
    pub kernel: usize,
    /// Samples from one that is seen to the next one seen.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Samples from one answer to the next.
    #[serde(default = "one")]
    pub stride: usize,
    /// Answers of neighbouring samples that become one; what is behind steps only then.
    #[serde(default = "one")]
    pub pool: usize,
    /// What becomes of them.
    #[serde(
        default = "largest",
        deserialize_with = "names::pool_kind::deserialize"
    )]
    pub pool_kind: PoolKind,
    /// What follows the sum.
    #[serde(default = "relu", deserialize_with = "names::activation::deserialize")]
    pub activation: Activation,
}

impl ConvTask {
    /// What becomes of its answers. The last sample of as many as there are from one answer to the next has one.
    pub fn pool(&self) -> Option<Pool> {
        let (kernel, every) = (self.pool as u16, (self.pool * self.stride) as u16);
        (every > 1).then_some(Pool {
            kind: self.pool_kind,
            kernel,
            first: every - 1,
            every,
        })
    }
}

fn largest() -> PoolKind {
    PoolKind::Max
}

/// A hidden dense layer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseTask {
    /// Output width.
    pub units: usize,
    /// What follows the sum.
    #[serde(default = "relu", deserialize_with = "names::activation::deserialize")]
    pub activation: Activation,
}

fn relu() -> Activation {
    Activation::Relu
}

/// How the network is trained.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainTask {
    /// What becomes small; `mse` for numbers and `cross-entropy` for classes unless said otherwise.
    pub loss: Option<Loss>,
    /// Of a classifier: how much a mistake about each class counts. `"balanced"`: the rarer a class is in the training part the
    /// more; or a list, a weight per class in their order. Only their ratios matter: the mean over the training part is made 1.
    pub class_weights: Option<ClassWeights>,
    /// The rule of a step.
    pub optimiser: OptimiserName,
    /// Step size at the start.
    pub learning_rate: f32,
    /// How it falls.
    pub schedule: Schedule,
    /// Pull towards zero: added to the gradient by `adam`, applied directly by `adamw`.
    pub weight_decay: f32,
    /// Largest norm of a gradient; 0: no limit.
    pub clip: f32,
    /// Windows (or streams side by side) per step.
    pub batch: usize,
    /// Batches per step: their gradients are those of one large batch, in the memory of a small one.
    pub accumulate: usize,
    /// Share of the tokens that training sees as unknown, drawn anew for every batch.
    pub word_dropout: f32,
    /// Passes over the training part.
    pub epochs: usize,
    /// Stop after so many epochs without a better validation loss; 0: never.
    pub patience: usize,
    /// First parameters and order of the windows follow from it.
    pub seed: u64,
    /// Training on through the integers of the exported format.
    pub quantized: QuantizedTask,
}

/// How much mistakes about each class count.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassWeights {
    /// By a rule, and there is one: `balanced`, all classes alike, however rare.
    Rule(String),
    /// As listed, in the order of the classes.
    Each(Vec<f64>),
}

impl ClassWeights {
    /// A factor for every class, from how often it occurs: of mean 1 over all of them.
    pub fn of_classes(&self, counts: &[usize]) -> Vec<f64> {
        let weights: Vec<f64> = match self {
            ClassWeights::Rule(_) => counts.iter().map(|&n| 1.0 / n.max(1) as f64).collect(),
            ClassWeights::Each(weights) => weights.clone(),
        };
        let sum: f64 = weights.iter().zip(counts).map(|(w, &n)| w * n as f64).sum();
        let all: usize = counts.iter().sum();
        weights.iter().map(|w| w * all as f64 / sum).collect()
    }
}

/// Quantization-aware training, after the float one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizedTask {
    /// Passes over the training part; 0: weights are only rounded.
    pub epochs: usize,
    /// Step size at the start; a tenth of the float one's unless said otherwise.
    pub learning_rate: Option<f32>,
}

impl Default for TrainTask {
    fn default() -> Self {
        TrainTask {
            loss: None,
            class_weights: None,
            optimiser: OptimiserName::Adam,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            clip: 1.0,
            batch: 64,
            accumulate: 1,
            word_dropout: 0.0,
            epochs: 50,
            patience: 0,
            seed: 1,
            quantized: QuantizedTask::default(),
        }
    }
}

/// The rule of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserName {
    /// Adam (Kingma, Ba 2015).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov, Hutter 2019).
    Adamw,
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Half a cosine to zero over all epochs.
    Cosine,
    /// By a factor every so many epochs.
    Step {
        /// Epochs between two falls.
        every: usize,
        /// Multiplied each time.
        factor: f32,
    },
}

/// When the error of a prediction is an alarm.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyTask {
    /// Weight of the newest absolute error in the exponential mean, above 0 and at most 1.
    pub smoothing: f32,
    /// What the mean has to exceed.
    #[serde(default)]
    pub threshold: ThresholdTask,
    /// Windows of time in which something is known to be wrong.
    pub labels: Option<LabelsTask>,
}

/// An alarm's threshold, from the scores over the validation part.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdTask {
    /// The largest.
    #[default]
    Max,
    /// What this share of them does not exceed.
    Quantile(f64),
}

/// What is known to be wrong: `column = "…"`, or `file`, `key` and `time`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsTask {
    /// A column of the data that holds 1 where something is wrong and 0 elsewhere; each unbroken run of ones is a labelled
    /// window.
    pub column: Option<String>,
    /// Instead, a JSON file of labelled windows, as the Numenta Anomaly Benchmark has it; a path relative to the task file.
    pub file: Option<PathBuf>,
    /// The entry of this data file in it.
    pub key: Option<String>,
    /// The column of times that its windows are about.
    pub time: Option<String>,
}

/// When the probability of a word is an alarm.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WakeTask {
    /// The class that is waited for.
    pub word: String,
    /// Weight of the newest probability in the exponential mean, above 0 and at most 1.
    #[serde(default = "newest")]
    pub smoothing: f32,
    /// The most an hour over what in the validation part is not the word; the threshold is the lowest that keeps to it.
    #[serde(default = "hourly")]
    pub false_alarms: f64,
}

fn newest() -> f32 {
    0.6
}

fn hourly() -> f64 {
    1.0
}

/// By its name.
fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

fn not_a_task(path: &Path) -> TaskError {
    TaskError::NotATask {
        file: path.display().to_string(),
    }
}

impl Task {
    /// Reads and checks a task file.
    pub fn load(path: &Path) -> Result<Self, TaskError> {
        let text = read_words(path).map_err(|source| match source.kind() {
            ErrorKind::InvalidData if !is_toml(path) => not_a_task(path),
            _ => TaskError::Read {
                file: path.display().to_string(),
                source,
            },
        })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a task file that lies at `origin`.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, TaskError> {
        // As the fields of the data are.
        let text = &*composed(text);
        let wrong = |error| match is_toml(origin) || text.parse::<toml::Table>().is_ok() {
            true => TaskError::Parse {
                file: origin.display().to_string(),
                problem: words::problem(&error, text),
            },
            false => not_a_task(origin),
        };
        let sections: Sections = toml::from_str(text).map_err(wrong)?;
        let task = sections.task(origin.to_path_buf());
        let mut task = task.map_err(|problem| check::invalid(problem, origin, text))?;
        check::check(&mut task, text)?;
        Ok(task)
    }

    /// Reads this file in place of the one that the task names.
    pub fn with_data(mut self, data: Option<&Path>) -> Self {
        self.data_override = data.map(Path::to_path_buf);
        self
    }

    /// Does this about broken rows, in place of what the task says.
    pub fn with_on_error(mut self, on_error: Option<OnError>) -> Self {
        let of_csv = self.csv.as_mut().map(|csv| &mut csv.format);
        let of_data = match &mut self.data {
            Data::Documents(documents) => Some(&mut documents.format),
            Data::Pairs(pairs) => Some(&mut pairs.format),
            _ => None,
        };
        for format in of_csv.into_iter().chain(of_data) {
            format.on_error = on_error.unwrap_or(format.on_error);
        }
        self
    }

    /// What is done about broken rows, of a task whose data has rows.
    pub fn on_error(&self) -> Option<OnError> {
        let of_csv = self.csv.as_ref().map(|csv| &csv.format);
        let format = of_csv.or(self.data.format())?;
        Some(format.on_error)
    }

    /// For a model that answers every sample with a step, its state running on: many-to-many, and stateful where the rows of
    /// each part follow each other.
    ///
    /// # Errors
    /// As of a task file; only a `[series]` whose layers go forward streams.
    pub fn streamed(mut self) -> Result<Self, TaskError> {
        let scattered = self.series().is_none_or(|series| {
            let in_order = matches!(
                series.split(),
                Split::Rows(_)
                    | Split::Fractions(_)
                    | Split::Folds(_)
                    | Split::Fold { .. }
                    | Split::None
            );
            series.group.is_some() || !in_order
        });
        if self.series().is_none() || self.shape.window < 2 {
            return Err(TaskError::Invalid {
                file: self.origin.display().to_string(),
                line: None,
                section: "shape",
                key: "kind",
                problem: "only a [series] with windows can be streamed in another way than it is"
                    .into(),
            });
        }
        let shape = &mut self.shape;
        (shape.kind, shape.hop, shape.stateful) = (Kind::ManyToMany, None, !scattered);
        check::check(&mut self, "")?;
        Ok(self)
    }

    /// How many rows ahead each output of a series is.
    pub fn output_horizons(&self, outputs: usize) -> Vec<usize> {
        let shape = &self.shape;
        let horizons = match shape.horizons.is_empty() {
            true => std::slice::from_ref(&shape.horizon),
            false => &shape.horizons[..],
        };
        let each = (outputs / horizons.len()).max(1);
        horizons
            .iter()
            .flat_map(|&h| std::iter::repeat_n(h, each))
            .collect()
    }

    /// How many folds a back-test goes through; none where the split is another.
    pub fn folds(&self) -> Option<usize> {
        let split = match &self.data {
            Data::Series(series) => series.split.as_ref(),
            Data::Sequences(sequences) => Some(&sequences.split),
            Data::Text(text) => Some(&text.split),
            Data::Documents(documents) => Some(&documents.split),
            Data::Tagged(_) | Data::Pairs(_) => None,
        };
        match split {
            Some(&Split::Folds(folds)) => Some(folds),
            _ => None,
        }
    }

    /// Splits in another way.
    ///
    /// # Errors
    /// As of a task file; data with files of their own for every part has no split.
    pub fn with_split(mut self, split: Split) -> Result<Self, TaskError> {
        match &mut self.data {
            Data::Series(series) => series.split = Some(split),
            Data::Sequences(sequences) => sequences.split = split,
            Data::Text(text) => text.split = split,
            Data::Documents(documents) if documents.files.is_none() => documents.split = split,
            Data::Documents(_) | Data::Tagged(_) | Data::Pairs(_) => {
                return Err(TaskError::Invalid {
                    file: self.origin.display().to_string(),
                    line: None,
                    section: "task",
                    key: "split",
                    problem: "this data has a file for every part, which is its split".into(),
                });
            }
        }
        check::check(&mut self, "")?;
        Ok(self)
    }

    /// Where the data is: the override, or the task's path relative to the task file.
    pub fn data_path(&self) -> Option<PathBuf> {
        let named = self.csv.as_ref().map(|c| &c.file);
        let of_data = match &self.data {
            Data::Text(text) => text.file.as_ref(),
            Data::Documents(documents) => documents.file.as_ref(),
            _ => None,
        };
        let own = || named.or(of_data).map(|file| self.path(file));
        self.data_override.clone().or_else(own)
    }

    /// A path of the task file, which starts from its folder.
    pub fn path(&self, file: &Path) -> PathBuf {
        let folder = self.origin.parent().unwrap_or(Path::new(""));
        let composed = folder.join(file);
        // The file's name may be written otherwise than the task's words, which are composed.
        let apart = || folder.join(file.to_string_lossy().nfd().collect::<String>());
        match composed.exists() {
            true => composed,
            false => Some(apart())
                .filter(|path| path.exists())
                .unwrap_or(composed),
        }
    }

    /// Where a part's file is: in the override, or relative to the task file.
    pub fn part_path(&self, files: &FilesTask, part: Part) -> PathBuf {
        let named = files.of(part);
        match (&self.data_override, named.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => self.path(named),
        }
    }

    /// All files that it is made of, itself included.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let mut files = vec![self.origin.clone()];
        files.extend(self.data_path());
        if let Some(csv) = &self.csv {
            let test = csv.test.as_ref();
            let joins = [&csv.join, &test.and_then(|test| test.join.clone())];
            let joins = joins.map(|join| join.as_ref().map(|join| self.path(&join.file)));
            files.extend(joins.into_iter().flatten());
            files.extend(test.map(|test| self.path(&test.file)));
        }
        let labels = self
            .anomaly
            .as_ref()
            .and_then(|anomaly| anomaly.labels.as_ref());
        let labels = labels.and_then(|labels| labels.file.as_ref());
        files.extend(labels.map(|file| self.path(file)));
        let of_parts = match &self.data {
            Data::Documents(documents) => documents.files.as_ref(),
            Data::Tagged(tagged) => Some(&tagged.files),
            Data::Pairs(pairs) => pairs.files.as_ref(),
            Data::Series(_) | Data::Sequences(_) | Data::Text(_) => None,
        };
        if let Some(parts) = of_parts {
            files.extend(Part::ALL.map(|part| self.part_path(parts, part)));
        }
        files
    }

    /// The section of a series, where that is what is learned from.
    pub fn series(&self) -> Option<&SeriesTask> {
        match &self.data {
            Data::Series(series) => Some(series),
            _ => None,
        }
    }

    /// The section of sequences, where that is what is learned from.
    pub fn sequences(&self) -> Option<&SequencesTask> {
        match &self.data {
            Data::Sequences(sequences) => Some(sequences),
            _ => None,
        }
    }

    /// The section of a text, where that is what is learned from.
    pub fn text(&self) -> Option<&TextTask> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The section of documents, where that is what is learned from.
    pub fn documents(&self) -> Option<&DocumentsTask> {
        match &self.data {
            Data::Documents(documents) => Some(documents),
            _ => None,
        }
    }

    /// The section of tagged sentences, where that is what is learned from.
    pub fn tagged(&self) -> Option<&TaggedTask> {
        match &self.data {
            Data::Tagged(tagged) => Some(tagged),
            _ => None,
        }
    }

    /// The section of pairs, where that is what is learned from.
    pub fn pairs(&self) -> Option<&PairsTask> {
        match &self.data {
            Data::Pairs(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Levels of each feature of a series that is drawn.
    pub fn levels(&self) -> Option<usize> {
        self.series().and_then(|series| series.levels)
    }

    /// What is said in a series, nobody knows where.
    pub fn transcript(&self) -> Option<&TranscriptTask> {
        self.series()?.transcript.as_ref()
    }

    /// Whether a step takes a token.
    pub fn has_tokens(&self) -> bool {
        match &self.data {
            Data::Series(series) => series.levels.is_some(),
            Data::Sequences(_) => false,
            Data::Text(_) | Data::Documents(_) | Data::Tagged(_) | Data::Pairs(_) => true,
        }
    }

    /// Widths of the layer through which a decoder reads, where it has one: of a token, and of what stays beside every token.
    fn joined(&self) -> Option<[usize; 2]> {
        Some([self.network.embedding?, self.pairs()?.joined?])
    }

    /// The layers for a network with this many outputs.
    pub fn plan(&self, outputs: usize, last: Activation) -> Vec<LayerPlan> {
        let net = &self.network;
        let embedding = net.embedding.map(LayerPlan::Embedding);
        let conv = net.conv.iter().map(|c| {
            LayerPlan::Conv(ConvPlan {
                filters: c.filters,
                kernel: c.kernel,
                dilation: c.dilation,
                pool: c.pool(),
                activation: c.activation,
            })
        });
        let recurrent = net.hidden.iter().map(|&h| match net.bidirectional {
            true => LayerPlan::Bidirectional(net.cell, h),
            false => LayerPlan::Recurrent(net.cell, h),
        });
        let dense = net
            .dense
            .iter()
            .map(|d| LayerPlan::Dense(d.units, d.activation));
        let joined = self
            .joined()
            .map(|[follow, keep]| LayerPlan::Keep { follow, keep });
        embedding
            .into_iter()
            .chain(joined)
            .chain(conv)
            .chain(recurrent)
            .chain(dense)
            .chain([LayerPlan::Dense(outputs, last)])
            .collect()
    }

    /// The layers of an encoder: what it has read is in its state, so it has no head.
    pub fn encoder_plan(&self) -> Vec<LayerPlan> {
        let net = &self.network;
        let measured = self.pairs().filter(|pairs| pairs.has_samples());
        let embedding = net.embedding.map(LayerPlan::Embedding);
        let dense = measured.into_iter().flat_map(|pairs| &pairs.dense);
        let dense = dense.map(|d| LayerPlan::Dense(d.units, d.activation));
        // Of a vector that is to stay the encoder follows all.
        let joined = self.joined().map(|[follow, keep]| LayerPlan::Keep {
            follow: follow + keep,
            keep: 0,
        });
        let recurrent = |&h| LayerPlan::Recurrent(net.cell, h);
        embedding
            .filter(|_| measured.is_none())
            .into_iter()
            .chain(dense)
            .chain(joined)
            .chain(net.hidden.iter().map(recurrent))
            .collect()
    }

    /// The loss that applies.
    pub fn loss(&self) -> Loss {
        let has_quantiles = self.series().is_some_and(|s| !s.quantiles.is_empty());
        self.train.loss.unwrap_or(if self.transcript().is_some() {
            Loss::Ctc
        } else if self.is_classification() {
            Loss::CrossEntropy
        } else if has_quantiles {
            Loss::Pinball
        } else {
            Loss::Mse
        })
    }

    fn is_classification(&self) -> bool {
        match &self.data {
            Data::Series(series) => series.levels.is_some() || series.label.is_some(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
