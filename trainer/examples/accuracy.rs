//! What the integer formats cost on every task: the metric of the test part in f32, and in w8a8 and w4a8 with weights
//! that were only calibrated and rounded, and with weights that were trained on through the engine's integers.
//!
//! `nice cargo run --release -p kinglet-trainer --example accuracy -- --check`
//!
//! takes every file of `trainer/tasks` whose data is there; `accuracy ett pump` takes these two. The rows of
//! `benches/results/accuracy.md` that were not run stay as they are. A task's f32 model is kept in `target/accuracy`, and trained
//! anew only when the task file has changed.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kinglet::Model;
use kinglet::format::{Format, crc32};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::demo::pump;
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export, package, save};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::{Metrics, Options, evaluate, fit, fit_quantized};
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
    float: f64,
    /// Per format: rounded and trained.
    integer: [[f64; 2]; FORMATS.len()],
}

impl Row {
    /// By which part of f32's metric this one is worse.
    fn worse(&self, metric: f64) -> f64 {
        let change = metric / self.float - 1.0;
        if self.metric == "accuracy" {
            -change
        } else {
            change
        }
    }

    fn failures(&self) -> impl Iterator<Item = String> + '_ {
        let pairs = FORMATS.into_iter().zip(self.integer);
        pairs.filter_map(|((format, bound), [_, trained])| {
            let worse = self.worse(trained);
            let (name, percent) = (format.name(), 100.0 * worse);
            (worse > bound).then(|| format!("{name} is {percent:.2} % worse than f32"))
        })
    }

    fn line(&self, name: &str) -> String {
        let Row { metric, float, .. } = self;
        let mut line = format!("| `{name}` | {} | {metric} | {float:.4} |", self.epochs);
        for metric in self.integer.as_flattened() {
            // Plus zero, so that nothing is written as −0.
            let percent = (1e4 * self.worse(*metric)).round() / 100.0 + 0.0;
            line += &format!(" {metric:.4} ({percent:+.2} %) |");
        }
        line
    }
}

fn measure(args: &Args, name: &str) -> Result<Row> {
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
    let data = Dataset::load(&task)?;
    let text = fs::read(&path)?;
    let kept = args.cache.join(format!("{name}-{:08x}.kgl", crc32(&text)));
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
    let metrics = |package: &Package, format, ranges: &Ranges| -> Result<[Metrics; 2]> {
        let tests = TestInputs::synthetic(package);
        let file = export(package, format, Some(ranges), &tests)?;
        let model = Model::from_bytes(&file.bytes)?;
        let mut engine = EnginePredictor::new(&model);
        Ok([Part::Valid, Part::Test].map(|part| evaluate(&data, part, &mut engine)))
    };
    let (metric, value) = metrics(&float, Format::F32, &ranges)?[1].headline();
    let mut row = Row {
        epochs: task.train.quantized.epochs,
        metric,
        float: value,
        integer: Default::default(),
    };
    for ((format, _), place) in FORMATS.into_iter().zip(&mut row.integer) {
        let (trained, settled) = fit_quantized(
            &float,
            (format, &ranges),
            &task,
            &data,
            &Options::default(),
            &mut |_| ControlFlow::Continue(()),
        )?;
        let rounded = metrics(&float, format, &ranges)?.map(|m| m.headline().1);
        let trained = metrics(&trained.package, format, &settled)?.map(|m| m.headline().1);
        // The loss of windows chose the epoch; over whole series rounded weights may still be the better ones.
        let higher = metric == "accuracy";
        let keeps = (trained[0] > rounded[0]) == higher || trained[0] == rounded[0];
        *place = [rounded[1], if keeps { trained[1] } else { rounded[1] }];
    }
    Ok(row)
}

/// The committed table, by task.
struct Table {
    rows: Vec<(String, String)>,
}

const HEAD: &str = "\
# What integers cost on every task

`cargo run --release -p kinglet-trainer --example accuracy -- --check`: the metric on the test part, of the engine. *Rounded* weights were only
calibrated, *trained* ones went through so many epochs of quantization-aware training, of which the best by the validation part is kept, or the rounded ones
where these are better on the validation part. One seed, that of the task file. In parentheses: by how much the metric is worse than that of f32, so a negative number is an improvement. A trained w8a8 model is to be within 0.5 %, w4a8 within 2 %.

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
