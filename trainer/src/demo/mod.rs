//! The whole path in one run, on data made here: train, quantize, export, and stream the held-out part
//! through the engine in every format.

mod plot;
pub mod pump;

use crate::data::csv::{Format as CsvFormat, Table};
use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::file::{AlignedBytes, TestInputs, export, export_for, save};
use crate::quant::{Ranges, Stream};
use crate::report::cores::Conditions;
use crate::report::history::{Phase, epochs};
use crate::report::{Stretch, Subject, page};
use crate::task::Task;
use crate::train::{LastValue, Options, Predictor, Progress, evaluate, fit};
use anyhow::{Context, Result};
use kinglet::Model;
use kinglet::format::{Format, Layout};
use std::fmt;
use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The task that the demo trains.
const TASK: &str = include_str!("../../tasks/pump.toml");

/// What a caller decides.
#[derive(Debug, Clone, Copy)]
pub struct DemoOptions<'a> {
    /// Folder for the files; made if it is not there.
    pub out: &'a Path,
    /// Of the data and of the training.
    pub seed: u64,
    /// Minutes of data.
    pub rows: usize,
    /// Passes over the training part.
    pub epochs: usize,
    /// Stops the training early; what has been learnt so far is used.
    pub cancel: Option<&'a AtomicBool>,
}

impl<'a> DemoOptions<'a> {
    /// Four weeks of data, trained for a few seconds.
    pub fn new(out: &'a Path) -> Self {
        DemoOptions {
            out,
            seed: 1,
            rows: 28 * 1440,
            epochs: 60,
            cancel: None,
        }
    }
}

/// What is going on, for a progress display.
#[derive(Debug, Clone, Copy)]
pub enum Stage<'a> {
    /// So many rows were made.
    Data(usize),
    /// An epoch ended.
    Training(&'a Progress),
    /// The held-out rows go through the engine in this format.
    Streaming(Format),
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Number format, or the baseline.
    pub name: &'static str,
    /// In °C, over the held-out part.
    pub rmse: f64,
    /// Size of the file.
    pub model_bytes: usize,
    /// Size of a stream's state.
    pub state_bytes: usize,
    /// Multiplications per step.
    pub macs: usize,
    /// Time per step here.
    pub ns_per_step: f64,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Baseline first, then f32 and the integer formats.
    pub lines: Vec<Line>,
    /// What was written.
    pub files: Vec<PathBuf>,
    /// Epochs trained, and the seconds that took.
    pub training: (usize, f64),
    /// Held-out rows.
    pub steps: usize,
}

/// Runs the demo.
///
/// # Errors
/// If a file cannot be written.
pub fn run(options: DemoOptions<'_>, watch: &mut dyn FnMut(Stage<'_>)) -> Result<Report> {
    fs::create_dir_all(options.out)
        .with_context(|| format!("cannot make the folder {}", options.out.display()))?;
    let mut files = Vec::new();
    let mut write = |name: &str, bytes: &[u8]| -> Result<()> {
        let path = options.out.join(name);
        save(&path, bytes)?;
        files.push(path);
        Ok(())
    };

    let csv = pump::csv(options.rows, options.seed);
    write("pump.csv", csv.as_bytes())?;
    watch(Stage::Data(options.rows));
    let mut task = Task::parse(TASK, Path::new("pump.toml"))?;
    task.train.seed = options.seed;
    task.train.epochs = options.epochs;
    let table = Table::from_reader(csv.as_bytes(), "pump.csv", &CsvFormat::default())?;
    let data = Dataset::from_table(&task, &table)?;

    let start = Instant::now();
    let training = Options {
        cancel: options.cancel,
        ..Options::default()
    };
    let fitted = fit(&task, &data, &training, &mut |progress| {
        watch(Stage::Training(progress));
        ControlFlow::Continue(())
    })?;
    let training = (fitted.history.len(), start.elapsed().as_secs_f64());

    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&fitted.package.net, &streams);
    let tests = TestInputs::from_stream(&streams[0], data.inputs());
    let mut lines = Vec::new();
    let mut forecasts: Vec<(&'static str, Vec<f32>)> = Vec::new();
    if let Some(mut baseline) = LastValue::new(&data) {
        let rmse = evaluate(&data, Part::Test, &mut baseline).headline().1;
        let name = "last value";
        lines.push(Line {
            name,
            rmse,
            model_bytes: 0,
            state_bytes: 0,
            macs: 0,
            ns_per_step: 0.0,
        });
        forecasts.push((name, stream(&data, &mut baseline)));
    }
    for format in [Format::F32, Format::W8A16, Format::W8A8] {
        watch(Stage::Streaming(format));
        let bytes: AlignedBytes = export(&fitted.package, format, Some(&ranges), &tests)?.bytes;
        write(&format!("pump-{}.kgl", format.name()), &bytes)?;
        let model = Model::from_bytes(&bytes)?;
        let mut engine = EnginePredictor::new(&model);
        let rmse = evaluate(&data, Part::Test, &mut engine).headline().1;
        forecasts.push((format.name(), stream(&data, &mut engine)));
        lines.push(Line {
            name: format.name(),
            rmse,
            model_bytes: bytes.len(),
            state_bytes: model.state_len(),
            macs: model.macs(),
            ns_per_step: time(&data, &mut engine)?,
        });
    }

    for (layout, cpu) in [(Layout::CortexM4, "m4"), (Layout::CortexM55, "m55")] {
        let (package, ranges) = (&fitted.package, Some(&ranges));
        let exported = export_for(layout, package, Format::W8A8, ranges, &tests)?;
        write(&format!("pump-w8a8-cortex-{cpu}.kgl"), &exported.bytes)?;
    }

    let truth = truths(&data);
    write("held-out.csv", held_out(&data).as_bytes())?;
    write(
        "predictions.csv",
        predictions(&truth, &forecasts).as_bytes(),
    )?;
    let svg = plot::forecast(
        &truth,
        &forecasts,
        lines.last().map_or(0.0, |line| line.rmse),
    )?;
    write("forecast.svg", svg.as_bytes())?;
    let history: Vec<_> = epochs(Phase::Float, &fitted.history).collect();
    let page = page(&Subject {
        task: &task,
        package: &fitted.package,
        data: &data,
        history: &history,
        others: Vec::new(),
        conditions: Conditions::default(),
        stretch: Stretch::default(),
        budget: None,
    })?;
    write("report.html", page.html.as_bytes())?;
    Ok(Report {
        lines,
        files,
        training,
        steps: truth.len(),
    })
}

/// Predictions at every held-out row that has an outcome.
fn stream(data: &Dataset, predictor: &mut dyn Predictor) -> Vec<f32> {
    let mut y = vec![0.0; data.outputs()];
    let mut all = Vec::new();
    for sequence in data.sequences(Part::Test) {
        predictor.reset();
        for t in 0..sequence.steps() {
            predictor.step(sequence.raw(t), &mut y);
            if sequence.counts(t) {
                all.push(y[0]);
            }
        }
    }
    all
}

fn truths(data: &Dataset) -> Vec<f32> {
    let sequences = data.sequences(Part::Test);
    let counted = sequences.flat_map(|s| {
        (0..s.steps())
            .filter(move |&t| s.counts(t))
            .map(move |t| s.truth(t)[0])
    });
    counted.collect()
}

/// The samples of the held-out part, as a device would read them.
fn held_out(data: &Dataset) -> String {
    let mut text = pump::COLUMNS.join(",") + "\n";
    for sequence in data.sequences(Part::Test) {
        for t in (0..sequence.steps()).filter(|&t| sequence.counts(t)) {
            let fields: Vec<String> = sequence.raw(t).iter().map(|x| format!("{x:.3}")).collect();
            text += &(fields.join(",") + "\n");
        }
    }
    text
}

/// Nanoseconds per step, raw sample to prediction: the best of several passes, since machines are shared.
fn time(data: &Dataset, engine: &mut EnginePredictor<'_>) -> Result<f64> {
    let Some(sequence) = data.sequences(Part::Test).next() else {
        return Ok(f64::NAN);
    };
    let steps = sequence.steps().min(2000);
    let mut runner = engine.runner()?;
    let mut y = vec![0.0; data.outputs()];
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for t in 0..steps {
            runner.step(black_box(sequence.raw(t)), &mut y);
            black_box(&y);
        }
        best = best.min(start.elapsed());
    }
    Ok(best.as_nanos() as f64 / steps as f64)
}

fn predictions(truth: &[f32], forecasts: &[(&'static str, Vec<f32>)]) -> String {
    let names: Vec<String> = forecasts
        .iter()
        .map(|(name, _)| name.replace(' ', "_"))
        .collect();
    let mut text = format!("minute,outcome,{}\n", names.join(","));
    for (minute, outcome) in truth.iter().enumerate() {
        let values = forecasts.iter().map(|(_, y)| format!("{:.3}", y[minute]));
        text += &format!(
            "{minute},{outcome:.3},{}\n",
            values.collect::<Vec<_>>().join(",")
        );
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<11} {:>10} {:>12} {:>12} {:>10} {:>9}",
            "format", "RMSE degC", "model bytes", "state bytes", "MACs/step", "ns/step"
        )?;
        for line in &self.lines {
            if line.model_bytes == 0 {
                writeln!(
                    f,
                    "{:<11} {:>10.4} {:>12} {:>12} {:>10} {:>9}",
                    line.name, line.rmse, "-", "-", "-", "-"
                )?;
            } else {
                writeln!(
                    f,
                    "{:<11} {:>10.4} {:>12} {:>12} {:>10} {:>9.0}",
                    line.name,
                    line.rmse,
                    line.model_bytes,
                    line.state_bytes,
                    line.macs,
                    line.ns_per_step
                )?;
            }
        }
        Ok(())
    }
}
