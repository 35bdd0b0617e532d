//! How the loss went down: a CSV file that `kinglet train` writes beside the model, and the curves drawn from it.

use super::chart::{Axis, Chart, Ink, bounds};
use super::html::{count, figure, number, paragraph, section};
use crate::train::Progress;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Which part of a training an epoch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The forward pass is in float.
    Float,
    /// The forward pass is the engine's integers.
    Quantized,
}

/// An epoch of a training: a row of the file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Which part of the training.
    pub phase: Phase,
    /// From 1 in each phase.
    pub epoch: usize,
    /// Mean over the epoch's batches.
    pub train_loss: f64,
    /// After the epoch.
    pub valid_loss: f64,
    /// Whether no epoch before was better: the last such epoch is kept.
    pub best: bool,
    /// At the end of the epoch.
    pub learning_rate: f32,
    /// Since the start of the phase.
    pub seconds: f64,
}

/// The epochs of a training.
pub fn epochs(phase: Phase, history: &[Progress]) -> impl Iterator<Item = Epoch> {
    history.iter().map(move |now| Epoch {
        phase,
        epoch: now.epoch,
        train_loss: now.train_loss,
        valid_loss: now.valid_loss,
        best: now.best,
        learning_rate: now.learning_rate,
        seconds: now.seconds,
    })
}

/// As CSV text.
///
/// # Errors
/// Never: everything can be written.
pub fn to_csv(epochs: &[Epoch]) -> Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for epoch in epochs {
        csv.serialize(epoch)?;
    }
    Ok(csv.into_inner()?)
}

/// Reads what [`to_csv`] wrote.
///
/// # Errors
/// If it cannot be read or is something else.
pub fn read(path: &Path) -> Result<Vec<Epoch>> {
    let file = path.display();
    let mut csv =
        csv::Reader::from_path(path).with_context(|| format!("{file}: cannot be read"))?;
    let epochs: Vec<Epoch> = csv
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| {
            format!("{file}: not a training history; expected the file that `kinglet train` wrote")
        })?;
    ensure!(!epochs.is_empty(), "{file}: there are no epochs in it");
    Ok(epochs)
}

/// The curves.
pub(super) fn learning(epochs: &[Epoch]) -> String {
    let mut body = String::new();
    if epochs.is_empty() {
        body += &paragraph(
            "There is no history of the training beside the model: `kinglet train` writes one.",
        );
    }
    for (phase, title) in [
        (Phase::Float, "In float"),
        (Phase::Quantized, "Through the engine's integers"),
    ] {
        let phase: Vec<&Epoch> = epochs.iter().filter(|e| e.phase == phase).collect();
        let Some(last) = phase.last() else {
            continue;
        };
        let losses = || phase.iter().flat_map(|e| [e.train_loss, e.valid_loss]);
        let (low, high) = bounds(losses());
        let y = if low > 0.0 && high > 10.0 * low {
            Axis::log("loss", losses())
        } else {
            Axis::around("loss", losses())
        };
        let x = Axis::whole("epoch", 1, phase.len());
        let mut chart = Chart::new("Loss after every epoch", x, y);
        let curve = |loss: fn(&Epoch) -> f64| phase.iter().map(move |e| (e.epoch as f64, loss(e)));
        chart.line(Ink::Series(0), "training", curve(|e| e.train_loss));
        chart.line(Ink::Series(1), "validation", curve(|e| e.valid_loss));
        let kept = phase.iter().rfind(|e| e.best);
        if let Some(kept) = kept {
            chart.mark(kept.epoch as f64, "kept");
        }
        let kept = kept.map_or(
            "None was better than the network before them, which is kept.".to_owned(),
            |kept| {
                format!(
                    "Epoch {} is kept: validation loss {}, training loss {}.",
                    kept.epoch,
                    number(kept.valid_loss),
                    number(kept.train_loss)
                )
            },
        );
        body += &figure(
            &chart.finish(),
            &format!(
                "{title}: {} epochs in {} s. {kept}",
                count(phase.len()),
                number(last.seconds),
            ),
        );
    }
    section("learning", "Learning", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_epoch_that_was_better_is_kept() {
        let epoch = |epoch: usize, valid_loss: f64, best: bool| Epoch {
            phase: Phase::Quantized,
            epoch,
            train_loss: valid_loss,
            valid_loss,
            best,
            learning_rate: 1e-3,
            seconds: 1.0,
        };
        let page = learning(&[
            epoch(1, 0.5, true),
            epoch(2, 0.25, false),
            epoch(3, 0.375, true),
        ]);
        assert!(page.contains("Epoch 3 is kept"), "{page}");
        let page = learning(&[epoch(1, 0.5, false)]);
        assert!(page.contains("the network before"), "{page}");
    }

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let epoch = Epoch {
            phase: Phase::Quantized,
            epoch: 3,
            train_loss: 0.25,
            valid_loss: 1.0 / 3.0,
            best: true,
            learning_rate: 1e-3,
            seconds: 1.5,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        std::fs::write(&path, to_csv(&[epoch, epoch]).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), [epoch, epoch]);
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("not a training history"), "{error}");
    }
}
