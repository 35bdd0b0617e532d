//! `kinglet tune`.

use super::budget::{BudgetOptions, budget_of, range};
use super::csv_options::{OnError, overridden};
use super::progress::cancel_on_signal;
use super::{precision, print_json, say, say_notes, usage, writable};
use anyhow::{Context, Result, bail};
use kinglet::format::{Format, Layout};
use kinglet_trainer::budget::{Budget, bytes};
use kinglet_trainer::cost::Core;
use kinglet_trainer::data::Dataset;
use kinglet_trainer::data::open::read_words;
use kinglet_trainer::decimals::decimals;
use kinglet_trainer::file::save;
use kinglet_trainer::init::shell_word;
use kinglet_trainer::quant::kept_in;
use kinglet_trainer::save::beside;
use kinglet_trainer::task::moved;
use kinglet_trainer::task::{Kind, Precision, Task};
use kinglet_trainer::tune::{Journal, Outcome, Search, Space, judged};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::thread;

/// Search for a good network that fits a machine
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet tune pump.toml --hidden 8..64 --learning-rate 0.001..0.01 --max-flash 8K --out pump-8k.toml
  kinglet tune pump.toml --cells lstm,gru,fastgrnn --hidden 8..64 --max-cycles 20000 --core cortex-m4 --out best.toml
  kinglet tune pump.toml --precision mixed --hidden 8..64 --max-flash 8K --out best.toml

Draws networks from the ranges given (what has none stays as in the task), trains them for a few epochs, and goes on with the better third three
times as long, until the last ones get the epochs of the task. They are judged on the validation part, as the engine computes it in
the number format of the model (of `mixed`: in the formats that err least within the budget); the test part is not looked at. Several are trained at once, one per core. The result does not depend on how many, only on
the seed. Writes the task of the best one, with the comments of the one it came from, and keeps every trial in a journal (CSV): after Ctrl-C or a
crash the same command goes on where it was.")]
pub struct Args {
    /// The task to start from
    #[arg(value_name = "TASK.toml")]
    task: PathBuf,

    /// Where the best task goes
    #[arg(long, value_name = "BEST.toml")]
    out: PathBuf,

    /// Read this data file in place of the one that the task names
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// What to do about a row of the data that is broken or not as expected, in place of the task's
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,

    /// Networks to try
    #[arg(long, default_value_t = 27, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: u32,

    /// What is drawn follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Cells to choose from
    #[arg(long, value_delimiter = ',', value_name = "CELL,...")]
    cells: Vec<String>,

    /// Width of the recurrent layers
    #[arg(long, value_name = "FROM..TO", value_parser = range::<usize>)]
    hidden: Option<RangeInclusive<usize>>,

    /// Number of recurrent layers
    #[arg(long, value_name = "FROM..TO", value_parser = range::<usize>)]
    layers: Option<RangeInclusive<usize>>,

    /// Samples of a window
    #[arg(long, value_name = "FROM..TO", value_parser = range::<usize>)]
    window: Option<RangeInclusive<usize>>,

    /// Step size at the start
    #[arg(long, value_name = "FROM..TO", value_parser = range::<f64>)]
    learning_rate: Option<RangeInclusive<f64>>,

    /// Number format to judge by, in place of the task's
    #[arg(long, value_parser = precision(|_| true))]
    precision: Option<Precision>,

    #[command(flatten)]
    budget: BudgetOptions,

    /// Most bytes of a stream's state and of the samples that its windows keep, as 512 or 1K
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_ram: Option<usize>,

    /// Networks to train at the same time [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,

    /// Take models too whose outputs differ from those in f32 by more than 5 % of their spread
    #[arg(long)]
    force: bool,

    /// The result as JSON
    #[arg(long)]
    json: bool,

    /// Where trials are kept [default: BEST.trials.csv]
    #[arg(long, value_name = "FILE.csv")]
    journal: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let journal_path = match &args.journal {
        Some(path) => path.clone(),
        None => beside(&args.out, "toml", "trials.csv"),
    };
    let space = Space {
        cells: args.cells.clone(),
        hidden: args.hidden.clone(),
        layers: args.layers.clone(),
        window: args.window.clone(),
        learning_rate: args.learning_rate.clone(),
    };
    if space == Space::default() {
        return Err(usage(
            "nothing may differ; give at least one of --cells, --hidden, --layers, --window, --learning-rate",
        ));
    }
    let name = args.task.display();
    let text = read_words(&args.task).with_context(|| format!("{name}: cannot be read"))?;
    let task = Task::parse(&text, &args.task)?;
    let task = overridden(task, args.data.as_deref(), args.on_error)?;
    let inputs = task.inputs();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    writable(&args.out, &inputs)?;
    writable(&journal_path, &inputs)?;
    if journal_path == args.out {
        return Err(usage("--journal and --out are one file: give another name"));
    }
    let precision = args.precision.or(task.output.precision).unwrap_or_default();
    let budget = Budget {
        ram: args.max_ram,
        ..if precision == Precision::Mixed {
            args.budget.of_mixed(true, budget_of(&task)?)?
        } else {
            args.budget.over(Budget::default())?
        }
    };
    let format = precision.format();
    if let (Some(format), Some(_)) = (format, budget.core)
        && !format.is_integer()
    {
        return Err(usage(format!(
            "instructions are known for integer formats, not for {}; give --precision w8a8 or another",
            format.name()
        )));
    }
    let data = Dataset::load(&task)?;
    say_notes(data.notes());
    let search = Search {
        text: &text,
        task: &task,
        space,
        budget,
        precision,
        force: args.force,
        layout: budget.core.map_or(Layout::Portable, Core::layout),
        trials: args.trials as usize,
        seed: args.seed,
        threads: args
            .jobs
            .map(|jobs| jobs as usize)
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)),
        cancel: Some(cancel_on_signal()),
    };
    let mut journal = Journal::open(&journal_path, &search.describe(&data))?;
    drop(data);
    let resumed = journal.outcomes().len();
    if resumed > 0 {
        let are = match resumed {
            1 => "training is",
            _ => "trainings are",
        };
        say(&format!(
            "going on with {}: {resumed} {are} in it",
            journal_path.display()
        ));
    }
    let watch = |outcome: &Outcome| say(&line(outcome, precision));
    let Some(best) = search.run(&mut journal, &watch)? else {
        bail!(
            "stopped; the same command goes on with {}",
            journal_path.display()
        );
    };
    let [first, ..] = &best[..] else {
        bail!("no trial was trained");
    };
    if first.value.is_nan() {
        bail!(
            "every trial diverged, or answers in {} by more than 5 % of the spread other than in f32; lower --learning-rate, \
             take another --precision, or --force",
            precision.name()
        );
    }
    let taken = Precision::named(&first.format).and_then(Precision::format);
    if let Some((asked, taken)) = format.zip(taken)
        && asked != taken
    {
        say(&format!("note: {}", kept_in(asked, taken)));
    }
    let name = format.map_or("mixed formats", Format::name);
    let best_task = found(args, &text, first, precision, &search.budget)?;
    save(&args.out, best_task.as_bytes())?;
    if args.json {
        let trials: Vec<Value> = best.iter().map(json).collect();
        return print_json(
            &json!({ "task": args.out, "precision": precision.name(), "best": trials }),
        );
    }
    let mut out = io::stdout().lock();
    writeln!(out, "best by the validation part, in {name}:")?;
    for outcome in &best {
        writeln!(out, "{}", line(outcome, precision))?;
    }
    let shape = Task::parse(&first.trial.apply(&text)?, &args.task)?.shape;
    let overlaps = shape.kind == Kind::ManyToOne && shape.hop.unwrap_or(1) < shape.window;
    if overlaps {
        let steps = shape.window;
        let instructions = first.cost.cycles.map_or(String::new(), |cycles| {
            format!(": {:.0} instructions", cycles * steps as f64)
        });
        writeln!(
            out,
            "an answer of the best takes {steps} steps, for its windows overlap{instructions}; `kinglet train --streaming` makes \
             a model with a step per answer"
        )?;
    }
    let layout = match search.budget.core {
        // A mixed model takes the layout of the task's core by itself.
        Some(core) if precision != Precision::Mixed && core.layout() != Layout::Portable => {
            format!(" --for {}", core.layout().name())
        }
        _ => String::new(),
    };
    let force = if args.force { " --force" } else { "" };
    let skip = match args.on_error {
        Some(OnError::Skip) => " --on-error skip",
        _ => "",
    };
    let [task, model] = [args.out.clone(), args.out.with_extension("kgl")];
    let [task, model] = [task, model].map(|path| shell_word(&path.display().to_string()));
    say(&format!(
        "{task}: written; train it with: kinglet train {task}{layout}{skip} --out {model}{force}"
    ));
    Ok(())
}

/// The task of the best trial, as it trains from where it lies: its data, number format and budget.
fn found(
    args: &Args,
    text: &str,
    best: &Outcome,
    precision: Precision,
    budget: &Budget,
) -> Result<String> {
    let task = judged(&best.trial.apply(text)?, precision.name(), budget)?;
    let task = moved(&task, &args.task, &args.out, args.data.as_deref())?;
    let limits = [
        budget
            .flash
            .map(|bytes| format!("at most {bytes} bytes of flash")),
        args.max_ram
            .map(|bytes| format!("at most {bytes} bytes of state")),
        budget
            .cycles
            .zip(budget.core)
            .map(|(cycles, core)| format!("at most {cycles} instructions on {}", core.name)),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    let within = if limits.is_empty() {
        String::new()
    } else {
        format!(", {}", limits.join(", "))
    };
    let (metric, value) = (best.metric.as_str(), best.value);
    let head = format!(
        "# Found by `kinglet tune` in {}{within}: {metric} {} on the validation part.\n",
        precision.name(),
        decimals(value, 5)
    );
    // Of the comments at the beginning, that of an earlier search goes.
    let rest = task
        .split_once('\n')
        .filter(|(first, _)| first.starts_with("# Found by `kinglet tune`"));
    let task = head + rest.map_or(task.as_str(), |(_, rest)| rest);
    Task::parse(&task, &args.out)?;
    Ok(task)
}

fn json(outcome: &Outcome) -> Value {
    let cost = outcome.cost;
    json!({
        "trial": outcome.number,
        "epochs": outcome.epochs,
        "metric": outcome.metric,
        "value": outcome.value,
        "format": outcome.format,
        "network": outcome.trial.to_string(),
        "flash_bytes": cost.flash,
        "state_bytes": cost.ram,
        "instructions": cost.cycles,
    })
}

fn line(outcome: &Outcome, asked: Precision) -> String {
    let value = match outcome.value {
        value if value.is_nan() => {
            "no use, as it diverged or does not answer as in f32".to_string()
        }
        value if outcome.format != asked.name() => {
            format!(
                "{} {} in {}",
                outcome.metric,
                decimals(value, 5),
                outcome.format
            )
        }
        value => format!("{} {}", outcome.metric, decimals(value, 5)),
    };
    let cost = outcome.cost;
    let cycles = cost
        .cycles
        .map_or(String::new(), |c| format!(", {c:.0} instructions"));
    format!(
        "trial {}, {} epochs: {value}; {}; {} bytes, RAM {}{cycles}",
        outcome.number, outcome.epochs, outcome.trial, cost.flash, cost.ram
    )
}
