//! A training in progress: a bar on the terminal, and nothing where standard error is not one, or a line per epoch. Ctrl-C or SIGTERM ends the training,
//! and what has been learnt so far is kept.

use super::say;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kinglet_trainer::train::Progress;
use std::sync::atomic::{AtomicBool, Ordering};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Becomes true at the first Ctrl-C, SIGTERM or SIGHUP; the second ends the program.
pub fn cancel_on_signal() -> &'static AtomicBool {
    // Fails only where a handler is there already, and then it is this one.
    let _ = ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    &CANCELLED
}

/// Epochs that the sparkline shows.
const SPARKS: usize = 20;

/// One block per value, from the lowest to the highest of them.
fn sparkline(values: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let height = |value: &f64| (value - low) / (high - low).max(f64::MIN_POSITIVE) * 7.0;
    let block = |value| BLOCKS[(height(value).round() as usize).min(7)];
    values.iter().map(block).collect()
}

/// How a training shows where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Shown {
    /// A bar, on a terminal
    #[default]
    Bar,
    /// A line per epoch, for logs
    Lines,
    /// Nothing
    None,
}

/// Where a training is in its epochs.
pub struct TrainingBar {
    bar: ProgressBar,
    lines: bool,
    best: f64,
    /// Validation losses of the last epochs.
    recent: Vec<f64>,
}

impl TrainingBar {
    pub fn new(epochs: usize, shown: Shown) -> Result<Self> {
        let target = match shown {
            Shown::Bar => ProgressDrawTarget::stderr(),
            Shown::Lines | Shown::None => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(epochs as u64), target);
        let template = "training [{bar:20}] {pos}/{len}, {eta} left; {msg}";
        bar.set_style(ProgressStyle::with_template(template)?);
        Ok(TrainingBar {
            bar,
            lines: shown == Shown::Lines,
            best: f64::INFINITY,
            recent: Vec::new(),
        })
    }

    pub fn show(&mut self, now: &Progress) {
        self.best = self.best.min(now.valid_loss);
        let (loss, valid, best, rate) =
            (now.train_loss, now.valid_loss, self.best, now.learning_rate);
        if self.lines {
            let epochs = self.bar.length().unwrap_or_default();
            say(&format!(
                "epoch {} of {epochs}: loss {loss:.5}, valid {valid:.5}, best {best:.5}, rate {rate:.1e}, {:.1} s",
                now.epoch, now.seconds
            ));
            return;
        }
        if self.recent.len() == SPARKS {
            self.recent.remove(0);
        }
        self.recent.push(valid);
        self.bar.set_position(now.epoch as u64);
        self.bar.set_message(format!(
            "loss {loss:.5}, valid {valid:.5} {}, best {best:.5}, rate {rate:.1e}",
            sparkline(&self.recent)
        ));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_goes_from_lowest_to_highest() {
        assert_eq!(sparkline(&[3.0, 2.0, 1.0, 1.5]), "█▅▁▃");
        assert_eq!(sparkline(&[1.0, 1.0]), "▁▁");
        assert_eq!(sparkline(&[]), "");
    }
}
