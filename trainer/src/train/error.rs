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
    /// A stride or a pool, and an answer asked for at every sample.
    #[error(
        "not every sample has an answer of the network, as a convolution of it has a stride, a pool or no padding: it is trained in windows \
         only, kind = \"many-to-one\""
    )]
    Rare,
    /// Strides and pools that leave nothing.
    #[error(
        "the windows have {steps} samples, and the network's first answer comes with sample {first}: take longer windows, or smaller strides and pools"
    )]
    NoAnswer {
        /// Samples of one.
        steps: usize,
        /// From 1.
        first: usize,
    },
    /// A new network is to be trained for nothing.
    #[error(
        "train.epochs = 0 leaves a new network as it is: give it epochs, or a model to go on from (--from)"
    )]
    NoEpochs,
    /// Nothing is known of what the network should answer in a part.
    #[error(
        "no target of the {part} part is known, so nothing there can be {what}: look for gaps in the targets' columns, or move the split"
    )]
    NoTargets {
        /// Its name.
        part: &'static str,
        /// What it is for.
        what: &'static str,
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
