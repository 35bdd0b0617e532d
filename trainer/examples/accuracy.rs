//! What the integer formats cost on every task: the metric of the test part in f32, and in w8a8 and w4a8 with weights
//! that were only calibrated and rounded, and with weights that were trained on through the engine's integers.
//!
//! `nice cargo run --release -p kinglet-trainer --example accuracy -- --check`
//!
//! takes every file of `trainer/tasks` whose data is there; `accuracy ett pump` takes these two. The rows of
//! `benches/results/accuracy.md` that were not run stay as they are. A task is trained from some seeds, its own and those that follow,
//! and the medians are taken: of one seed the metric of the test part is as much chance as format. F32 models are kept in
//! `target/accuracy`, and trained anew only when the task file has changed.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kinglet::Model;
use kinglet::format::{Format, Layout, crc32};
use kinglet_trainer::alarm::alarm;
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::demo::pump;
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export, package, save};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::spotting::Wakes;
use kinglet_trainer::task::Task;
use kinglet_trainer::train::pair::{Pair, evaluate_pair};
use kinglet_trainer::train::{Options, evaluate, fit, fit_pair_quantized, fit_quantized};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Formats, and how much worse than f32 they may be after training.
const FORMATS: [(Format, f64); 2] = [(Format::W8A8, 0.005), (Format::W4A8, 0.02)];

#[derive(Parser)]
struct Args {
    /// Names of task files; all of them by default
    tasks: Vec<String>,

    /// Where they are
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/tasks"))]
    folder: PathBuf,

    /// The table
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/results/accuracy.md"))]
    out: PathBuf,

    /// Where f32 models are kept
    #[arg(long, default_value = "target/accuracy")]
    cache: PathBuf,

    /// Epochs through integers, where the task does not say
    #[arg(long, default_value_t = 10)]
    epochs: usize,

    /// Seeds of every task
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

    /// Fail if a trained model is more than 0.5 % (w8a8) or 2 % (w4a8) worse than f32
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    fs::create_dir_all(&args.cache).with_context(|| args.cache.display().to_string())?;
    let mut names = args.tasks.clone();
    if names.is_empty() {
        for entry in fs::read_dir(&args.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                names.extend(path.file_stem().map(|name| name.to_string_lossy().into()));
            }
        }
        names.sort();
    }
    let mut table = Table::read(&args.out);
    let mut failures = Vec::new();
    for name in &names {
        let start = Instant::now();
        match measure(&args, name) {
            Ok(row) => {
                println!(
                    "{} ({:.0} s)",
                    row.line(name),
                    start.elapsed().as_secs_f64()
                );
                if args.check {
                    failures.extend(row.failures().map(|failure| format!("{name}: {failure}")));
                }
                table.set(name, row.line(name));
                save(&args.out, table.text().as_bytes())?;
            }
            Err(error) => println!("{name}: left out: {error:#}"),
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

/// What became of a task.
struct Row {
    /// Through integers.
    epochs: usize,
    metric: &'static str,
    runs: Vec<Run>,
}

/// The metric from one seed.
struct Run {
    float: f64,
    /// Per format: rounded and trained.
    integer: [[f64; 2]; FORMATS.len()],
}

impl Row {
    fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let (lower, upper) = ((values.len() - 1) / 2, values.len() / 2);
        (values[lower] + values[upper]) / 2.0
    }

    /// By which part of f32's metric that of a format is worse.
    fn worse(&self, format: usize, trained: usize) -> f64 {
        let mistakes = self.metric == MISTAKES;
        let part = |metric: f64| if mistakes { 1.0 - metric } else { metric };
        let change = self.median(|run| part(run.integer[format][trained]) / part(run.float) - 1.0);
        if mistakes || more_is_better(self.metric) {
            -change
        } else {
            change
        }
    }

    fn failures(&self) -> impl Iterator<Item = String> + '_ {
        let formats = FORMATS.into_iter().enumerate();
        formats.filter_map(|(number, (format, bound))| {
            let worse = self.worse(number, 1);
            let (name, percent) = (format.name(), 100.0 * worse);
            (worse > bound).then(|| format!("{name} is {percent:.2} % worse than f32"))
        })
    }

    fn line(&self, name: &str) -> String {
        let Row { metric, epochs, .. } = self;
        let float = self.median(|run| run.float);
        let mut line = format!("| `{name}` | {epochs} | {metric} | {float:.4} |");
        for format in 0..FORMATS.len() {
            for trained in 0..2 {
                let metric = self.median(|run| run.integer[format][trained]);
                // Plus zero, so that nothing is written as −0.
                let percent = (1e4 * self.worse(format, trained)).round() / 100.0 + 0.0;
                line += &format!(" {metric:.4} ({percent:+.2} %) |");
            }
        }
        line
    }
}

/// Of texts that an encoder and a decoder give.
const WITHOUT_MISTAKE: &str = "without a mistake";

/// Of transcripts: what is lost is told of what is right, as six mistakes in a hundred are no fifth worse than five.
const MISTAKES: &str = "token error rate";

/// Of a word that wakes: 0 where it does so for something else more often than the task allows.
const FOUND: &str = "found";

fn more_is_better(metric: &str) -> bool {
    ["accuracy", WITHOUT_MISTAKE, FOUND].contains(&metric)
}

fn measure(args: &Args, name: &str) -> Result<Row> {
    let mut row = None;
    for seed in 0..args.seeds {
        let (epochs, metric, run) = measure_from(args, name, seed)?;
        let row = row.get_or_insert(Row {
            epochs,
            metric,
            runs: Vec::new(),
        });
        row.runs.push(run);
    }
    row.context("no seed")
}

/// From a seed so many after the task's own: epochs through integers, the metric's name, and what it is.
fn measure_from(args: &Args, name: &str, seed: u64) -> Result<(usize, &'static str, Run)> {
    let path = args.folder.join(name).with_extension("toml");
    let mut task = Task::load(&path)?;
    // The demo's data is made, not kept.
    if task
        .data_path()
        .is_some_and(|path| path.ends_with("pump.csv"))
    {
        let csv = args.cache.join("pump.csv");
        save(&csv, pump::csv(28 * 1440, 1).as_bytes())?;
        task = task.with_data(Some(&csv));
    }
    if task.train.quantized.epochs == 0 {
        task.train.quantized.epochs = args.epochs;
    }
    task.train.seed += seed;
    let seed = task.train.seed;
    let data = Dataset::load(&task)?;
    if data.source().is_some() {
        let run = measure_pair(&task, &data)?;
        return Ok((task.train.quantized.epochs, WITHOUT_MISTAKE, run));
    }
    let text = fs::read(&path)?;
    let kept = args
        .cache
        .join(format!("{name}-{:08x}-{seed}.kgl", crc32(&text)));
    let float = match AlignedBytes::read(&kept) {
        Ok(bytes) => package(&bytes)?,
        Err(_) => {
            let fitted = fit(&task, &data, &Options::default(), &mut |_| {
                ControlFlow::Continue(())
            })?;
            let tests = TestInputs::synthetic(&fitted.package);
            save(
                &kept,
                &export(&fitted.package, Format::F32, None, &tests)?.bytes,
            )?;
            fitted.package
        }
    };
    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&float.net, &streams);
    // On the validation and on the test part.
    let metrics =
        |package: &Package, format, ranges: &Ranges| -> Result<[(&'static str, f64); 2]> {
            let tests = TestInputs::synthetic(package);
            let file = export(package, format, Some(ranges), &tests)?;
            let model = Model::from_bytes(&file.bytes)?;
            let mut engine = EnginePredictor::new(&model);
            let parts = [Part::Valid, Part::Test];
            let Some(wake) = &task.wake else {
                return Ok(parts.map(|part| evaluate(&data, part, &mut engine).headline()));
            };
            let alarm = alarm(&task, &data, &mut engine)?.context("the task has no threshold")?;
            Ok(parts.map(|part| {
                let wakes = Wakes::over(&data, part, &mut engine, (&wake.word, alarm));
                let kept = wakes.filter(|wakes| wakes.hourly() <= wake.false_alarms);
                (FOUND, kept.map_or(0.0, |wakes| wakes.share()))
            }))
        };
    let (metric, float_value) = metrics(&float, Format::F32, &ranges)?[1];
    let mut run = Run {
        float: float_value,
        integer: Default::default(),
    };
    for ((format, _), place) in FORMATS.into_iter().zip(&mut run.integer) {
        let (trained, settled) = fit_quantized(
            &float,
            (format, &ranges),
            &task,
            &data,
            &Options::default(),
            &mut |_| ControlFlow::Continue(()),
        )?;
        let rounded = metrics(&float, format, &ranges)?.map(|(_, value)| value);
        let trained = metrics(&trained.package, format, &settled)?.map(|(_, value)| value);
        // The loss of windows chose the epoch; over whole series rounded weights may still be the better ones.
        *place = chosen(rounded, trained, more_is_better(metric));
    }
    Ok((task.train.quantized.epochs, metric, run))
}

/// Of the metrics of validation and test part those of the test part: rounded, and trained on where that is no worse.
fn chosen(rounded: [f64; 2], trained: [f64; 2], higher: bool) -> [f64; 2] {
    let keeps = (trained[0] > rounded[0]) == higher || trained[0] == rounded[0];
    [rounded[1], if keeps { trained[1] } else { rounded[1] }]
}

/// An encoder and its decoder.
fn measure_pair(task: &Task, data: &Dataset) -> Result<Run> {
    let mut go_on = |_: &_| ControlFlow::Continue(());
    let fitted = fit(task, data, &Options::default(), &mut go_on)?;
    let float = Pair::new(&fitted.package, data).context("the task has no pairs")?;
    let shares = |pair: &Pair, format| -> Result<[f64; 2]> {
        let [encoder, decoder] = pair.export(Layout::Portable, format)?;
        let encoder = Model::from_bytes(&encoder.bytes)?;
        let decoder = Model::from_bytes(&decoder.bytes)?;
        let mut shares = [0.0; 2];
        for (share, part) in shares.iter_mut().zip([Part::Valid, Part::Test]) {
            *share = evaluate_pair(data, part, [&encoder, &decoder])?.1;
        }
        Ok(shares)
    };
    let mut run = Run {
        float: shares(&float, Format::F32)?[1],
        integer: Default::default(),
    };
    for ((format, _), place) in FORMATS.into_iter().zip(&mut run.integer) {
        let options = Options::default();
        let (_, trained) = fit_pair_quantized(&float, format, task, data, &options, &mut go_on)?;
        *place = chosen(shares(&float, format)?, shares(&trained, format)?, true);
    }
    Ok(run)
}

/// The committed table, by task.
struct Table {
    rows: Vec<(String, String)>,
}

const HEAD: &str = "\
# What integers cost on every task

`cargo run --release -p kinglet-trainer --example accuracy -- --check`: the metric on the test part, of the engine. *Rounded* weights were only
calibrated, *trained* ones went through so many epochs of quantization-aware training, of which the best by the validation part is kept, or the rounded ones
where these are better on the validation part. Medians of three seeds, of `dance` and the two of digits one. In parentheses: by how much the metric is worse than that of f32 from the same seed, so a negative number is an improvement; of a token error rate it is of the tokens that are right, and *found* are the recordings of a word that wakes, at no more false alarms an hour than its task allows. A trained w8a8 model is to be within 0.5 %, w4a8 within 2 %.

| task | epochs | metric | f32 | w8a8 rounded | w8a8 trained | w4a8 rounded | w4a8 trained |
|---|---|---|---|---|---|---|---|
";

impl Table {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let rows = text.lines().filter_map(|line| {
            let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
            Some((name.to_owned(), line.to_owned()))
        });
        Table {
            rows: rows.collect(),
        }
    }

    fn set(&mut self, name: &str, line: String) {
        self.rows.retain(|(task, _)| task != name);
        self.rows.push((name.to_owned(), line));
        self.rows.sort();
    }

    fn text(&self) -> String {
        let rows = self.rows.iter().map(|(_, line)| format!("{line}\n"));
        HEAD.to_owned() + &rows.collect::<String>()
    }
}
