//! The sections of a task file, as TOML knows them: any may be there. Of those that say what the data is there has to be one.

use super::check::{Problem, wrong};
use super::{
    AnomalyTask, CsvTask, Data, DocumentsTask, NetworkTask, OutputTask, PairsTask, SequencesTask,
    SeriesTask, ShapeTask, TaggedTask, Task, TextTask, TrainTask, WakeTask,
};
use serde::Deserialize;
use std::path::PathBuf;

/// A whole task file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sections {
    name: String,
    csv: Option<CsvTask>,
    series: Option<SeriesTask>,
    sequences: Option<SequencesTask>,
    text: Option<TextTask>,
    documents: Option<DocumentsTask>,
    tagged: Option<TaggedTask>,
    pairs: Option<PairsTask>,
    shape: ShapeTask,
    network: NetworkTask,
    #[serde(default)]
    train: TrainTask,
    anomaly: Option<AnomalyTask>,
    wake: Option<WakeTask>,
    #[serde(default)]
    output: OutputTask,
}

impl Sections {
    /// The task of a file that lies at `origin`.
    pub(super) fn task(self, origin: PathBuf) -> Result<Task, Problem> {
        let given = [
            self.series.map(Data::Series),
            self.sequences.map(Data::Sequences),
            self.text.map(Data::Text),
            self.documents.map(Data::Documents),
            self.tagged.map(Data::Tagged),
            self.pairs.map(Data::Pairs),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(data), None) = (given.next(), given.next()) else {
            return wrong(
                "task",
                "series",
                "a task needs exactly one of [series], [sequences], [text], [documents], [tagged] and [pairs]",
            );
        };
        Ok(Task {
            name: self.name,
            csv: self.csv,
            data,
            shape: self.shape,
            network: self.network,
            train: self.train,
            anomaly: self.anomaly,
            wake: self.wake,
            output: self.output,
            origin,
            data_override: None,
        })
    }
}
