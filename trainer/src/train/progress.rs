//! What a caller says of a training besides its task, and what it is told.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::package::Package;

/// What does not belong to the task.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Threads; one per core by default. The result does not depend on it.
    pub threads: Option<usize>,
    /// Training stops after the current batch once this is true.
    pub cancel: Option<&'a AtomicBool>,
    /// Where training is kept every few seconds, between two epochs.
    pub checkpoint: Option<&'a Path>,
    /// Training goes on from the checkpoint, if there is one, to the same result as if it had not stopped.
    pub resume: bool,
}

/// Where training is, after every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 1.
    pub epoch: usize,
    /// As the task says; early stopping may end before.
    pub epochs: usize,
    /// Mean over the epoch's batches, each before its step.
    pub train_loss: f64,
    /// After the epoch.
    pub valid_loss: f64,
    /// Whether this is the best epoch so far: by the validation loss, or in integers by the metric of the validation part.
    pub best: bool,
    /// At the end of the epoch.
    pub learning_rate: f32,
    /// Spent on training so far.
    pub seconds: f64,
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The parameters of the best epoch, with what a prediction needs.
    pub package: Package,
    /// The epoch they come from, from 1.
    pub best_epoch: usize,
    /// Its validation loss.
    pub valid_loss: f64,
    /// Every epoch.
    pub history: Vec<Progress>,
    /// Whether the caller stopped it.
    pub cancelled: bool,
}
