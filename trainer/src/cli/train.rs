//! `kinglet train`.

use super::progress::{TrainingBar, cancel_on_ctrl_c};
use super::{Precision, Target, say, say_notes, writable};
use anyhow::Result;
use kinglet::Model;
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{Exported, TestInputs, export_for, save};
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::{self, Task};
use kinglet_trainer::train::{Fitted, LastValue, Majority, Options, Predictor, evaluate, fit};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Train the network that a task file describes, and measure the exported model with the engine
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet train pump.toml --out pump.kgl
  kinglet train pump.toml --data january.csv --precision w8a8 --out pump.kgl

Calibrates the integer formats on the training part. Beside a model that is not f32 the f32 one is written too,
as MODEL.f32.kgl. Prints the metric of every part, as the engine computes it from the written file.")]
pub struct Args {
    /// Data, shape, network and training in one file
    #[arg(value_name = "TASK.toml")]
    task: PathBuf,

    /// Where the model goes
    #[arg(long, value_name = "MODEL.kgl")]
    out: PathBuf,

    /// Read this data file in place of the one that the task names
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// Number format of the model, in place of the task's
    #[arg(long, value_enum)]
    precision: Option<Precision>,

    /// CPU that the weights are laid out for
    #[arg(
        long = "for",
        value_enum,
        value_name = "CPU",
        default_value = "portable"
    )]
    target: Target,

    /// No progress
    #[arg(long)]
    quiet: bool,
}

pub fn run(args: &Args) -> Result<()> {
    writable(&args.out)?;
    let task = Task::load(&args.task)?.with_data(args.data.as_deref());
    let data = Dataset::load(&task)?;
    let precision = args.precision.unwrap_or(match task.output.precision {
        task::Precision::F32 => Precision::F32,
        task::Precision::F16 => Precision::F16,
        task::Precision::W8a16 => Precision::W8a16,
        task::Precision::W8a8 => Precision::W8a8,
    });
    let fitted = with_progress(args, &task, &data)?;

    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&fitted.package.net, &streams);
    let tests = match streams.first() {
        Some(stream) => TestInputs::from_stream(stream, data.inputs()),
        None => TestInputs::synthetic(&fitted.package),
    };
    let mut formats = vec![(Precision::F32, beside(&args.out))];
    if precision != Precision::F32 {
        formats.push((precision, args.out.clone()));
    } else {
        formats[0].1.clone_from(&args.out);
    }
    let mut table = Table::new(&data);
    if let Some(mut last) = LastValue::new(&data) {
        table.row("last value", &mut last, None);
    } else if let Some(mut majority) = Majority::new(&data) {
        table.row("majority", &mut majority, None);
    }
    let mut files = Vec::new();
    for (precision, path) in formats {
        let format = precision.format();
        let exported = export_for(
            args.target.layout(),
            &fitted.package,
            format,
            Some(&ranges),
            &tests,
        )?;
        say_notes(&exported.notes);
        table.engine_row(&exported)?;
        files.push((path, exported));
    }
    write_all(&files)?;
    table.print(&fitted)?;
    for (path, _) in &files {
        say(&format!("{}: written", path.display()));
    }
    Ok(())
}

/// `pump.kgl` becomes `pump.f32.kgl`.
fn beside(out: &Path) -> PathBuf {
    let extension = out.extension().unwrap_or("kgl".as_ref());
    let mut name = out.file_stem().unwrap_or_default().to_owned();
    name.push(".f32.");
    name.push(extension);
    out.with_file_name(name)
}

/// All files, or none that was not there before.
fn write_all(files: &[(PathBuf, Exported)]) -> Result<()> {
    for (path, _) in files {
        writable(path)?;
    }
    for (path, exported) in files {
        save(path, &exported.bytes)?;
    }
    Ok(())
}

fn with_progress(args: &Args, task: &Task, data: &Dataset) -> Result<Fitted> {
    let mut bar = TrainingBar::new(task.train.epochs, args.quiet)?;
    let options = Options {
        cancel: Some(cancel_on_ctrl_c()),
        ..Options::default()
    };
    let fitted = fit(task, data, &options, &mut |now| {
        bar.show(now);
        ControlFlow::Continue(())
    });
    bar.finish();
    let fitted = fitted?;
    if fitted.cancelled {
        say(&format!(
            "stopped after epoch {}: keeping epoch {}",
            fitted.history.len(),
            fitted.best_epoch
        ));
    }
    Ok(fitted)
}

/// Metrics of every part.
struct Table<'d> {
    data: &'d Dataset,
    metric: &'static str,
    rows: Vec<String>,
    /// Everything about the test part.
    tests: Vec<String>,
}

impl<'d> Table<'d> {
    fn new(data: &'d Dataset) -> Self {
        Table {
            data,
            metric: "",
            rows: Vec::new(),
            tests: Vec::new(),
        }
    }

    fn row(&mut self, name: &str, predictor: &mut dyn Predictor, sizes: Option<(usize, usize)>) {
        let mut row = format!("{name:<10}");
        for part in Part::ALL {
            let metrics = evaluate(self.data, part, predictor);
            let (metric, value) = metrics.headline();
            self.metric = metric;
            row += &if value.is_finite() {
                format!("  {value:>9.5}")
            } else {
                format!("  {:>9}", "-")
            };
            if part == Part::Test && value.is_finite() {
                self.tests.push(format!("test, {name}: {metrics}"));
            }
        }
        row += &match sizes {
            Some((file, state)) => format!("  {file:>10}  {state:>11}"),
            None => format!("  {:>10}  {:>11}", "-", "-"),
        };
        self.rows.push(row);
    }

    fn engine_row(&mut self, file: &Exported) -> Result<()> {
        let model = Model::from_bytes(&file.bytes)?;
        let sizes = (file.bytes.len(), model.state_len());
        let name = model.format().name();
        self.row(name, &mut EnginePredictor::new(&model), Some(sizes));
        Ok(())
    }

    fn print(&self, fitted: &Fitted) -> Result<()> {
        let mut out = io::stdout().lock();
        let last = fitted.history.last();
        writeln!(
            out,
            "{}: epoch {} of {} was the best, validation loss {:.5}, {:.1} s",
            fitted.package.name,
            fitted.best_epoch,
            fitted.history.len(),
            fitted.valid_loss,
            last.map_or(0.0, |p| p.seconds)
        )?;
        writeln!(
            out,
            "{:<10}  {:>9}  {:>9}  {:>9}  file bytes  state bytes",
            self.metric, "train", "valid", "test"
        )?;
        for line in self.rows.iter().chain(&self.tests) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
