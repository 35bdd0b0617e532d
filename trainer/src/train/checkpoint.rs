//! Where a training stood after an epoch, in a file: enough to go on as if it had never been stopped.
//!
//! The order of the windows is not in it. It follows from the seed, so it is dealt again, epoch by epoch,
//! when a training is resumed. What must be the same for that, and for the rest to make sense, is in the
//! fingerprint: the task (but for the number of epochs, which may grow), the data and the format trained through.

use std::fs;
use std::io;
use std::path::Path;

use kinglet::format::{crc32, crc32_update};
use serde::{Deserialize, Serialize};

use super::optimiser::Moments;
use super::progress::Progress;
use crate::data::Dataset;
use crate::file::save;
use crate::task::Task;

/// Changes with what is in the file. Behind it come the CRC-32 of the rest, and the rest.
const MAGIC: &[u8; 16] = b"kinglet-training";

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
    /// Bytes of it have changed, or are missing.
    #[error("{file}: the checkpoint is damaged; remove it to train from the start")]
    Damaged {
        /// Which file.
        file: String,
    },
    /// Some other file.
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
        if !bytes.starts_with(MAGIC) {
            return Err(CheckpointError::Foreign { file });
        }
        let Some(checkpoint) = decode(&bytes) else {
            return Err(CheckpointError::Damaged { file });
        };
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
        let content = postcard::to_allocvec(self);
        let content = content.map_err(|e| CheckpointError::Write(e.into()))?;
        let crc = crc32(&content).to_le_bytes();
        save(path, &[&MAGIC[..], &crc, &content].concat()).map_err(CheckpointError::Write)
    }
}

/// Whether these are the bytes of a whole checkpoint, of whatever training.
pub fn is_checkpoint(bytes: &[u8]) -> bool {
    decode(bytes).is_some()
}

fn decode(bytes: &[u8]) -> Option<Checkpoint> {
    let (crc, content) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    if u32::from_le_bytes(*crc) != crc32(content) {
        return None;
    }
    postcard::from_bytes(content).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_or_a_missing_byte_is_damage() {
        let checkpoint = Checkpoint {
            fingerprint: 7,
            params: vec![0.5, -1.0],
            optimiser: Moments {
                m: vec![0.0, 1.0],
                v: vec![2.0, 3.0],
                steps: 9,
            },
            best: Some((1, 0.25, vec![0.1, 0.2])),
            history: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        checkpoint.write(&path).unwrap();
        let read = || Checkpoint::read(&path, 7, 2);
        assert_eq!(read().unwrap(), Some(checkpoint));
        let whole = fs::read(&path).unwrap();
        for bit in 0..8 * whole.len() {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, changed).unwrap();
            let error = read().unwrap_err();
            let named = if bit < 8 * MAGIC.len() {
                matches!(error, CheckpointError::Foreign { .. })
            } else {
                matches!(error, CheckpointError::Damaged { .. })
            };
            assert!(named, "bit {bit}");
        }
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert!(read().is_err(), "{len} bytes");
        }
        fs::write(&path, &whole).unwrap();
        assert!(matches!(
            Checkpoint::read(&path, 8, 2),
            Err(CheckpointError::Other { .. })
        ));
    }
}
