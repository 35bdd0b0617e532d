//! `kinglet report`.

use super::budget::{BudgetOptions, budget_of};
use super::csv_options::{OnError, overridden};
use super::names::{history_of, pair_of};
use super::{print_json, say, say_notes, usage, writable};
use anyhow::{Context, Result, ensure};
use kinglet_trainer::data::Dataset;
use kinglet_trainer::file::{AlignedBytes, package, save};
use kinglet_trainer::model_file::ModelFile;
use kinglet_trainer::package::Package;
use kinglet_trainer::report::cores::Conditions;
use kinglet_trainer::report::history::Epoch;
use kinglet_trainer::report::{PairSubject, Stretch, Subject, history, page, page_of_pair};
use kinglet_trainer::task::Task;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show a trained network on one HTML page: learning, predictions, errors of every precision, sizes, speed
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet report pump.toml --model pump.f32.kgl --out report.html
  kinglet report pump.toml --model pump.f32.kgl --with pump.kgl --clock 64MHz --power 20mW --out report.html
  kinglet report pump.toml --model pump.f32.kgl --group press-7 --from 2026-03-15 --to 2026-03-16 --out report.html
  kinglet report ett.toml --model ett.f32.kgl --ahead 24 --out report.html
  kinglet report pump.toml --model pump.f32.kgl --core cortex-m4 --max-flash 6K --out report.html

Exports the float model in every precision, calibrated on the task's training part, and runs all of them over the test
part with the engine. The figures at the top are for the first model --with, else for the task's precision, else for w8a8. The page needs no network and no script. Learning curves come from the history that `kinglet
train` writes beside the model, as MODEL.history.csv. Of a task with [pairs] a name stands for two models: --model dates.f32.kgl for
dates.f32.encoder.kgl and dates.f32.decoder.kgl. With a budget, in the task or as an option, it shows what a format for every layer gives for
what it takes.")]
pub struct Args {
    /// The task that the model was trained for
    #[arg(value_name = "TASK.toml")]
    task: PathBuf,

    /// The float model
    #[arg(long, value_name = "MODEL.kgl")]
    model: PathBuf,

    /// Where the page goes
    #[arg(long, value_name = "PAGE.html")]
    out: PathBuf,

    /// Read this data file in place of the one that the task names; of a task with files for every part, their folder
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// What to do about a row of the data that is broken or not as expected, in place of the task's
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,

    /// Another model of the task, shown as it is; may be given again. For one that was trained in its precision
    #[arg(long, value_name = "MODEL.kgl")]
    with: Vec<PathBuf>,

    /// The training's history, if it is not beside the model
    #[arg(long, value_name = "HISTORY.csv")]
    history: Option<PathBuf>,

    /// Clock of the microcontroller, such as 64MHz
    #[arg(long, value_name = "CLOCK", default_value = "48MHz", value_parser = hertz)]
    clock: f64,

    /// What it draws while it runs, such as 20mW
    #[arg(long, value_name = "POWER", value_parser = watts)]
    power: Option<f64>,

    /// Group that is drawn, where the task has groups [default: the first of the test part]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Draw from this time on; where times are not known, from this step on
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Draw up to this time or step
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    /// Draw what may come so many rows ahead, as a fan of paths beside what came; for models that predict the next value of an input
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    ahead: Option<u32>,

    #[command(flatten)]
    budget: BudgetOptions,

    /// The figures as JSON, beside the page
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let task = overridden(Task::load(&args.task)?, args.data.as_deref(), args.on_error)?;
    let mut inputs = task.inputs();
    inputs.push(args.model.clone());
    inputs.extend(args.with.iter().chain(&args.history).cloned());
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    writable(&args.out, &inputs)?;
    let conditions = Conditions {
        clock: args.clock,
        power: args.power,
    };
    let budget = args.budget.limited(budget_of(&task)?)?;
    let limited = budget.flash.is_some() || budget.cycles.is_some();
    let stretch = Stretch {
        group: args.group.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        ahead: args.ahead.unwrap_or(0) as usize,
    };
    let page = if task.pairs().is_some() {
        if [&args.group, &args.from, &args.to]
            .iter()
            .any(|asked| asked.is_some())
            || args.ahead.is_some()
        {
            return Err(usage(
                "--group, --from, --to and --ahead are for predicted numbers, not for a pair",
            ));
        }
        if limited {
            return Err(usage(
                "a pair has one format in all layers: leave out the budget",
            ));
        }
        let [encoder, decoder] = float_pair(&args.model)?;
        let others = of_pairs(&args.with)?;
        let data = Dataset::load(&task)?;
        say_notes(data.notes());
        page_of_pair(&PairSubject {
            task: &task,
            encoder: &encoder,
            decoder: &decoder,
            data: &data,
            history: &losses(args)?,
            others,
            conditions,
        })
    } else {
        let package = float(&args.model)?;
        let others = args.with.iter().map(|path| {
            let file = ModelFile::read(path)?;
            file.model()?;
            Ok((name(path), file.bytes))
        });
        let others = others.collect::<Result<_>>()?;
        let data = Dataset::load(&task)?;
        say_notes(data.notes());
        page(&Subject {
            task: &task,
            package: &package,
            data: &data,
            history: &losses(args)?,
            others,
            conditions,
            stretch,
            budget: limited.then_some(budget),
        })
    };
    let page = page?;
    say_notes(&page.notes);
    save(&args.out, page.html.as_bytes())?;
    if args.json {
        print_json(
            &json!({ "page": args.out, "part": page.part, "headline": page.headline, "figures": page.figures }),
        )?;
    }
    say(&format!(
        "{}: written; the figures at its top are for {}",
        args.out.display(),
        page.headline
    ));
    Ok(())
}

/// Of the training, where there is one.
fn losses(args: &Args) -> Result<Vec<Epoch>> {
    match &args.history {
        Some(path) => history::read(path),
        None => {
            let beside = history_of(&args.model);
            if beside.exists() {
                history::read(&beside)
            } else {
                say(&format!(
                    "note: no learning curves: there is no {}",
                    beside.display()
                ));
                Ok(Vec::new())
            }
        }
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn float(path: &Path) -> Result<Package> {
    let file = ModelFile::read(path)?;
    file.model()?;
    package(&file.bytes).with_context(|| path.display().to_string())
}

/// What stands for both files of a pair, if they are there.
fn files_of_pair(path: &Path) -> Result<[PathBuf; 2]> {
    let files = pair_of(path);
    for file in &files {
        ensure!(
            file.exists(),
            "{} stands for the two models of a pair, and there is no {}; give the name that `kinglet train` had with --out, \
             for the float pair with .f32 before its ending",
            path.display(),
            file.display()
        );
    }
    Ok(files)
}

fn float_pair(path: &Path) -> Result<[Package; 2]> {
    let [encoder, decoder] = files_of_pair(path)?;
    Ok([float(&encoder)?, float(&decoder)?])
}

fn of_pairs(given: &[PathBuf]) -> Result<Vec<(String, [AlignedBytes; 2])>> {
    let mut pairs = Vec::new();
    for path in given {
        let [encoder, decoder] = files_of_pair(path)?;
        let files = [ModelFile::read(&encoder)?, ModelFile::read(&decoder)?];
        pairs.push((name(path), files.map(|file| file.bytes)));
    }
    Ok(pairs)
}

fn hertz(text: &str) -> Result<f64, String> {
    with_prefix(text, "Hz", "48MHz")
}

fn watts(text: &str) -> Result<f64, String> {
    with_prefix(text, "W", "20mW")
}

/// A number with an SI prefix and a unit.
fn with_prefix(text: &str, unit: &str, example: &str) -> Result<f64, String> {
    let wrong = || format!("expected a positive number with a unit, such as {example}");
    let rest = text.trim().strip_suffix(unit).ok_or_else(wrong)?.trim_end();
    let factors = [
        ("G", 1e9),
        ("M", 1e6),
        ("k", 1e3),
        ("m", 1e-3),
        ("u", 1e-6),
        ("µ", 1e-6),
    ];
    let prefixed = factors
        .iter()
        .find_map(|(prefix, f)| Some((rest.strip_suffix(prefix)?, *f)));
    let (digits, factor) = prefixed.unwrap_or((rest, 1.0));
    let value: f64 = digits.trim().parse().map_err(|_| wrong())?;
    if value.is_finite() && value > 0.0 {
        Ok(value * factor)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_powers_need_units() {
        assert_eq!(hertz("48MHz"), Ok(48e6));
        assert_eq!(hertz("32.768 kHz"), Ok(32_768.0));
        assert_eq!(watts("20mW"), Ok(0.02));
        assert_eq!(watts("500uW"), Ok(5e-4));
        for wrong in ["48", "MHz", "-1MHz", "0Hz", "infHz", "1mW"] {
            assert!(hertz(wrong).unwrap_err().contains("48MHz"), "{wrong}");
        }
    }
}
