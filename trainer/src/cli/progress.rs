//! A training in progress on the terminal; nothing where standard error is not one. Ctrl-C ends the training,
//! and what has been learnt so far is kept.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kinglet_trainer::train::Progress;
use std::sync::atomic::{AtomicBool, Ordering};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Becomes true at the first Ctrl-C; the second ends the program.
pub fn cancel_on_ctrl_c() -> &'static AtomicBool {
    // Fails only where a handler is there already, and then it is this one.
    let _ = ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    &CANCELLED
}

/// A bar over the epochs.
pub struct TrainingBar {
    bar: ProgressBar,
    best: f64,
}

impl TrainingBar {
    pub fn new(epochs: usize, quiet: bool) -> Result<Self> {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(epochs as u64), target);
        let template = "training [{bar:30}] {pos}/{len}, {eta} left; {msg}";
        bar.set_style(ProgressStyle::with_template(template)?);
        Ok(TrainingBar {
            bar,
            best: f64::INFINITY,
        })
    }

    pub fn show(&mut self, now: &Progress) {
        self.best = self.best.min(now.valid_loss);
        self.bar.set_position(now.epoch as u64);
        self.bar.set_message(format!(
            "loss {:.5}, valid {:.5}, best {:.5}",
            now.train_loss, now.valid_loss, self.best
        ));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
