//! Where a training stood after an epoch, in a file: enough to go on as if it had never been stopped.
//!
//! The order of the windows is not in it. It follows from the seed, so it is dealt again, epoch by epoch,
//! when a training is resumed. What must be the same for that, and for the rest to make sense, is in the
//! fingerprint: the task (but for the number of epochs, which may grow), the data and the format trained through.

use std::fs;
use std::io;
use std::path::Path;

use kinglet::format::crc32_update;
use serde::{Deserialize, Serialize};

use super::fit::Progress;
use crate::data::Dataset;
use crate::file::save;
use crate::task::Task;

/// Changes with what is in the file.
const MAGIC: &[u8; 16] = b"kinglet training";

/// The state of a training between two epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub fingerprint: u32,
    /// Of the last epoch.
    pub params: Vec<f32>,
    pub optimiser: Moments,
    /// Epoch, what it was chosen by and parameters.
    pub best: Option<(usize, f64, Vec<f32>)>,
    /// Every epoch so far.
    pub history: Vec<Progress>,
}

/// The optimiser's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub steps: i32,
}

/// A checkpoint that cannot be gone on from, or not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Reading failed.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// Which file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Some other file, or half a checkpoint.
    #[error(
        "{file}: not a checkpoint of this version of kinglet; remove it to train from the start"
    )]
    Foreign {
        /// Which file.
        file: String,
    },
    /// Another task, other data or another network.
    #[error(
        "{file}: belongs to another training: the task or its data has changed; restore them, or train from the start without --resume"
    )]
    Other {
        /// Which file.
        file: String,
    },
    /// Writing failed.
    #[error("{0:#}")]
    Write(anyhow::Error),
}

impl Checkpoint {
    /// Reads one, if there is a file; it must have this fingerprint and so many parameters.
    pub(super) fn read(
        path: &Path,
        fingerprint: u32,
        params: usize,
    ) -> Result<Option<Self>, CheckpointError> {
        let file = path.display().to_string();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CheckpointError::Read { file, source }),
        };
        let content = bytes.strip_prefix(MAGIC);
        let read = content.and_then(|bytes| postcard::from_bytes::<Checkpoint>(bytes).ok());
        let checkpoint = read.ok_or_else(|| CheckpointError::Foreign { file: file.clone() })?;
        let lengths = [
            &checkpoint.params,
            &checkpoint.optimiser.m,
            &checkpoint.optimiser.v,
        ];
        let best = checkpoint.best.iter().map(|(_, _, best)| best);
        if checkpoint.fingerprint != fingerprint
            || lengths.into_iter().chain(best).any(|v| v.len() != params)
        {
            return Err(CheckpointError::Other { file });
        }
        Ok(Some(checkpoint))
    }

    /// Writes it in place of the one before.
    pub(super) fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let encoded = postcard::to_extend(self, MAGIC.to_vec());
        let bytes = encoded.map_err(|e| CheckpointError::Write(e.into()))?;
        save(path, &bytes).map_err(CheckpointError::Write)
    }
}

/// Tells one training from another.
pub(super) fn fingerprint(task: &Task, data: &Dataset, phase: &str) -> u32 {
    let mut task = task.clone();
    task.train.epochs = 0;
    task.train.quantized.epochs = 0;
    // Where files lie says nothing about what is in them.
    (task.origin, task.data_override) = Default::default();
    if let Some(csv) = &mut task.csv {
        csv.file = Default::default();
    }
    let crc = crc32_update(!0, format!("{task:?}{phase}").as_bytes());
    data.fingerprint(crc)
}
