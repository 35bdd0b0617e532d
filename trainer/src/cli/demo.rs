//! `kinglet demo`.

use super::progress::{Shown, TrainingBar, cancel_on_signal};
use super::say;
use anyhow::Result;
use kinglet_trainer::demo::{self, DemoOptions, Stage};
use std::io::{self, Write};
use std::path::PathBuf;

/// Train, quantize and export a network on made-up pump data, then stream held-out samples through the engine
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet demo
  kinglet demo --out /tmp/pump --seed 2
  kinglet predict kinglet-demo/pump-w8a8.kgl --csv kinglet-demo/held-out.csv | head

Writes the data (pump.csv, held-out.csv), the model in three formats, the predictions of each, a plot and a
report. With the data there, `kinglet train trainer/tasks/pump.toml --data kinglet-demo/pump.csv --out pump.kgl` does the same by hand.")]
pub struct Args {
    /// Folder for what is written
    #[arg(long, value_name = "DIR", default_value = "kinglet-demo")]
    out: PathBuf,

    /// Of the data and of the training
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Minutes of data
    #[arg(long, default_value_t = 28 * 1440, value_parser = clap::value_parser!(u32).range(2000..=10_000_000))]
    rows: u32,

    /// Passes over the training part
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    epochs: u32,
}

impl Default for Args {
    fn default() -> Self {
        Args {
            out: "kinglet-demo".into(),
            seed: 1,
            rows: 28 * 1440,
            epochs: 60,
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let options = DemoOptions {
        out: &args.out,
        seed: args.seed,
        rows: args.rows as usize,
        epochs: args.epochs as usize,
        cancel: Some(cancel_on_signal()),
    };
    let mut bar = None;
    let report = demo::run(options, &mut |stage| match stage {
        Stage::Data(rows) => {
            say(&format!(
                "pump station: {rows} minutes, six sensors; the last fifth is held out"
            ));
            say("training an LSTM(6 -> 32) to forecast the bearing temperature 15 minutes ahead");
            bar = TrainingBar::new(options.epochs, Shown::Bar).ok();
        }
        Stage::Training(progress) => {
            if let Some(bar) = &mut bar {
                bar.show(progress);
            }
        }
        Stage::Streaming(format) => {
            if let Some(bar) = bar.take() {
                bar.finish();
            }
            say(&format!(
                "streaming the held-out minutes through the engine: {}",
                format.name()
            ));
        }
    })?;
    let (epochs, seconds) = report.training;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "trained {epochs} epochs in {seconds:.1} s; {} held-out minutes\n",
        report.steps
    )?;
    writeln!(out, "{report}")?;
    for file in &report.files {
        writeln!(out, "wrote {}", file.display())?;
    }
    Ok(())
}
