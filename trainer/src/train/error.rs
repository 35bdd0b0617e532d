//! Why a training ends without a network.

use super::checkpoint::CheckpointError;

/// Why there is no trained network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} in epoch {epoch}; lower train.learning_rate, or set train.clip"
    )]
    Diverged {
        /// From 1.
        epoch: usize,
        /// Infinite or NaN.
        loss: f64,
    },
    /// Carried state, but the rows of a part do not follow each other.
    #[error(
        "shape.stateful needs the {part} part in one piece; split by rows or fractions, and repair broken rows, as each that is left out ends a piece"
    )]
    Scattered {
        /// "train" or "valid".
        part: &'static str,
    },
    /// Stopped before the first epoch ended.
    #[error("cancelled before the first epoch was complete")]
    Cancelled,
    /// Weights cannot be represented in the format.
    #[error("{0:#}")]
    Quantize(anyhow::Error),
    /// A checkpoint that does not fit, or a disk that is full.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
