//! `kinglet backtest`.

use super::csv_options::CsvOptions;
use super::progress::cancel_on_signal;
use super::{print_json, say, usage, writable};
use anyhow::{Result, bail};
use kinglet::Model;
use kinglet::format::{Input, Output};
use kinglet_trainer::backtest::{
    Counts, Measure, Outcome, Pair, Truth, Wanted, column_names, parquet,
};
use kinglet_trainer::data::Written;
use kinglet_trainer::data::open::open;
use kinglet_trainer::file::save;
use kinglet_trainer::model_file::{ModelFile, input_names, is_of_transcripts, output_names};
use kinglet_trainer::package::Target;
use kinglet_trainer::report::{FleetSubject, page_of_fleet};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

/// Run an old and a new model over the rows of a whole fleet, and tell what changes for every device
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet backtest old.kgl new.kgl --data 'fleet/*.parquet' --group device --time time
  kinglet backtest old.kgl new.kgl --data 'fleet/*.parquet' --group device --out changes.parquet --report fleet.html
  kinglet backtest old.kgl new.kgl --data 'pumps/*.csv'         (a file per device: its name is the device's)
  kinglet backtest old.kgl new.kgl --data 'trials/*.csv' --truth activity
  kinglet backtest old.kgl new.kgl --data 'fleet/*.parquet' --group device --on-error skip

Files are read as they are given, those of a pattern in the order of their names, and the rows of a device, which may stand in several, must be in order of time;
with --time that is checked. All cores are used, and no more is in memory than the state of every device and some hundred
thousand rows. Without --on-error skip a device ends at its first broken row, which is told, and the others go on.
The files are CSV or Parquet; Parquet with plain numbers, text for the device and a timestamp or integer for the time is by far the faster.")]
pub struct Args {
    #[arg(value_name = "OLD.kgl")]
    old: PathBuf,

    #[arg(value_name = "NEW.kgl")]
    new: PathBuf,

    /// Files, or patterns such as 'fleet/*.parquet'
    #[arg(long, value_name = "FILES", required = true, num_args = 1..)]
    data: Vec<String>,

    /// Write a Parquet table with a row per device here
    #[arg(long, value_name = "DEVICES.parquet")]
    out: Option<PathBuf>,

    /// Write a page with the figures here
    #[arg(long, value_name = "PAGE.html")]
    report: Option<PathBuf>,

    /// Column of times; a row that is not later than the one before of its device is broken
    #[arg(long, value_name = "NAME")]
    time: Option<String>,

    /// Column of what is right: the classes, or the number that is predicted [default: of a forecast of the next row its input]
    #[arg(long, value_name = "NAME")]
    truth: Option<String>,

    /// How many rows later that is [default: 1 for a forecast of the next row, N for an output like load+N, else 0]
    #[arg(long, value_name = "N", requires = "truth", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    horizon: Option<u32>,

    /// Numbers that lie no farther apart do not differ
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    tolerance: f32,

    /// Measure meanwhile what the models' steps alone would take, and tell the share
    #[arg(long)]
    throughput: bool,

    /// The figures as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    columns: CsvOptions,
}

pub fn run(args: &Args) -> Result<()> {
    if !args.columns.columns.is_empty() {
        return Err(usage(
            "--columns: a back-test finds columns by the models' names; rename them in the files",
        ));
    }
    if args.tolerance.is_nan() || args.tolerance < 0.0 {
        return Err(usage("--tolerance: expected a number from 0 on"));
    }
    let files = files(&args.data)?;
    let mut inputs: Vec<&Path> = vec![&args.old, &args.new];
    inputs.extend(files.iter().map(PathBuf::as_path));
    for path in args.out.iter().chain(&args.report) {
        writable(path, &inputs)?;
    }
    if args.out.is_some() && args.out == args.report {
        return Err(usage("--out and --report are the same file; give two"));
    }
    let (old, new) = (ModelFile::read(&args.old)?, ModelFile::read(&args.new)?);
    let models = [&old.model()?, &new.model()?];
    let word = |file: &ModelFile| Written::in_model(&file.bytes).and_then(|written| written.wake);
    let words = [word(&old), word(&new)];
    alike(args, models, &words)?;
    let columns = args.columns.of_model(&new);
    written_alike(args, [&args.columns.of_model(&old), &columns], &files)?;
    let (wanted, pair) = plan(args, &columns, &files, (models, words))?;
    let formats = |begin: &[u8]| columns.format(begin);
    let outcome = pair.run(files.clone(), &wanted, &formats, cancel_on_signal())?;
    if outcome.rows() == 0 {
        let fault = outcome
            .devices
            .iter()
            .find_map(|(met, _)| met.fault.as_deref());
        let fault = fault.map(str::to_owned).or(outcome.notes.first().cloned());
        bail!(
            "no row of {} files could be stepped{}",
            files.len(),
            fault.map_or(String::new(), |fault| format!("; the first fault: {fault}"))
        );
    }
    if outcome.stopped {
        bail!(
            "stopped by a signal after {} rows; nothing is written",
            outcome.rows()
        );
    }
    let metric = |counts: &Counts| metric(&pair, counts);
    if let Some(path) = &args.out {
        save(path, &parquet(&outcome, metric)?)?;
    }
    let figures = figures(&pair, &outcome);
    if let Some(path) = &args.report {
        let html = page_of_fleet(&FleetSubject {
            names: [&args.old, &args.new].map(|path| name_of(path)),
            metric: figures.metric,
            value: &metric,
            outcome: &outcome,
        });
        save(path, html.as_bytes())?;
    }
    tell(&outcome, &files);
    if let (Some(truth), Some(_)) = (&wanted.truth, pair.measure) {
        tell_untold(&wanted, truth, &figures.all);
    }
    match args.json {
        true => print_json(&figures.json(&outcome))?,
        false => figures.print(&outcome)?,
    }
    for path in args.out.iter().chain(&args.report) {
        say(&format!("{}: written", path.display()));
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// All files that are named, each once, those of a pattern by their names.
fn files(named: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for named in named {
        let path = Path::new(named);
        if path.is_dir() {
            return Err(usage(format!(
                "--data: {named} is a folder; give its files, such as '{}'",
                path.join("*.parquet").display()
            )));
        }
        if path.is_file() {
            files.push(path.to_owned());
            continue;
        }
        if path.exists() {
            return Err(usage(format!(
                "--data: {named} is no file, and rows are looked at more than once; save them in one"
            )));
        }
        let found = glob::glob(named)
            .map_err(|error| usage(format!("--data: {named:?} is no pattern of files: {error}")))?;
        let before = files.len();
        for path in found {
            let path = path?;
            if path.is_file() {
                files.push(path);
            }
        }
        if files.len() == before {
            bail!("--data: there is no file {named}");
        }
    }
    let mut seen = HashSet::new();
    files.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    Ok(files)
}

/// Whether the answers of two models can be compared.
fn alike(args: &Args, [old, new]: [&Model<'_>; 2], words: &[Option<String>; 2]) -> Result<()> {
    for (path, model) in [(&args.old, old), (&args.new, new)] {
        if matches!(model.header().input, Input::Tokens { .. }) {
            bail!(
                "{}: takes tokens; a back-test is for models of numbers",
                path.display()
            );
        }
        if is_of_transcripts(model) {
            bail!(
                "{}: says transcripts, and a back-test compares row by row; `kinglet report TASK.toml --model OLD.kgl --with NEW.kgl` compares what is said",
                path.display()
            );
        }
    }
    let names = |model| -> Vec<String> {
        let names: Vec<(&str, &str)> = output_names(model);
        names.iter().map(|name| name.0.to_owned()).collect()
    };
    let is_classes = |model: &Model<'_>| matches!(model.header().output, Output::Classes { .. });
    if names(old) != names(new) || is_classes(old) != is_classes(new) {
        bail!(
            "the answers cannot be compared: {} gives {}, and {} gives {}",
            args.old.display(),
            names(old).join(", "),
            args.new.display(),
            names(new).join(", ")
        );
    }
    if let [Some(of_old), Some(of_new)] = words
        && of_old != of_new
    {
        bail!(
            "the alarms cannot be compared: {} waits for {of_old:?}, and {} for {of_new:?}",
            args.old.display(),
            args.new.display()
        );
    }
    Ok(())
}

/// Refuses models whose tables were written otherwise, as one of them would be given other numbers than it was trained on.
fn written_alike(args: &Args, [of_old, of_new]: [&CsvOptions; 2], files: &[PathBuf]) -> Result<()> {
    let format = of_new.format(&[])?;
    // Of a file that cannot be read it is told when its turn comes.
    let begins = files.iter().find_map(|file| {
        let mut opened = open(file, &format).ok()?;
        let begin = opened.text.fill_buf().ok()?.to_vec();
        Some((!opened.printed).then_some(begin))
    });
    let Some(begin) = begins else { return Ok(()) };
    let unlike = of_old.unlike(of_new, begin.as_deref())?;
    if unlike.is_empty() {
        return Ok(());
    }
    let (old, new) = (args.old.display(), args.new.display());
    let each = unlike.iter().map(|(key, [of_old, of_new])| {
        let option = match &key[..] {
            "time" => "time-format".to_owned(),
            key => key.replace('_', "-"),
        };
        format!("{key} is {of_old} for {old} and {of_new} for {new} (--{option})")
    });
    Err(usage(format!(
        "the models were trained on tables that are written otherwise, and both are given the same rows: {}; say how these files are",
        each.collect::<Vec<_>>().join(", ")
    )))
}

/// What is read, and how the models are compared.
fn plan<'a>(
    args: &Args,
    columns: &CsvOptions,
    files: &[PathBuf],
    (models, words): ([&'a Model<'a>; 2], [Option<String>; 2]),
) -> Result<(Wanted, Pair<'a>)> {
    let mut names: Vec<String> = Vec::new();
    let inputs = models.map(|model| {
        let place = |(name, _): (&str, &str)| {
            let found = names.iter().position(|known| known == name);
            found.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        input_names(model)
            .into_iter()
            .map(place)
            .collect::<Vec<_>>()
    });
    let classes = matches!(models[0].header().output, Output::Classes { .. });
    let (truth, measure) = measure(args, models, &names, classes)?;
    let group = match columns.named_group() {
        Some(group) => Some(group.to_owned()),
        None => {
            // Of a file that cannot be read it is told when its turn comes.
            let named = |file: &PathBuf| {
                let names = column_names(file, &|begin| columns.format(begin)).ok()?;
                Some((file.display().to_string(), names))
            };
            let found = files.iter().find_map(named);
            found.and_then(|(file, known)| columns.group_in(&known, &file).map(str::to_owned))
        }
    };
    let wanted = Wanted {
        stride: columns.stride(),
        inputs: names,
        truth,
        group,
        time: args.time.clone(),
    };
    let pair = Pair {
        models,
        words,
        inputs,
        classes,
        measure,
        tolerance: args.tolerance,
        throughput: args.throughput,
    };
    Ok((wanted, pair))
}

/// The input whose next value an output is, where it is one.
fn next_of<'m>(model: &'m Model<'_>, output: usize) -> Option<&'m str> {
    let feeds = model.targets().get(output)?.feeds as usize;
    Some(input_names(model).get(feeds)?.0)
}

/// What there is to say of models of which one alone, or each of another input, predicts the next row.
fn unlike_ahead(args: &Args, new: bool) -> String {
    let (next, other) = match new {
        true => (&args.new, &args.old),
        false => (&args.old, &args.new),
    };
    format!(
        "{} predicts the next row of an input, and {} looks at another row or column",
        next.display(),
        other.display()
    )
}

/// What is compared with what.
fn measure(
    args: &Args,
    models: [&Model<'_>; 2],
    inputs: &[String],
    classes: bool,
) -> Result<(Option<Truth>, Option<Measure>)> {
    let model = models[1];
    let outputs = output_names(model);
    let (output, horizon) = match (&args.truth, classes) {
        (_, true) => (0, 0),
        (Some(column), _) => {
            let of = |name: &str| Target::parts(name).0 == column;
            let output = outputs.iter().position(|(name, _)| of(name)).unwrap_or(0);
            let [of_old, feeds] = models.map(|model| next_of(model, output).is_some());
            let named = Target::parts(outputs[output].0).1;
            if of_old != feeds && named.is_none() && args.horizon.is_none() {
                return Err(usage(format!(
                    "--truth {column}: {}, so no row is right for both; --horizon N measures both by the row N later",
                    unlike_ahead(args, feeds)
                )));
            }
            (output, named.unwrap_or(usize::from(feeds)))
        }
        (None, _) => {
            let fed = models.map(|model| {
                let mut outputs = 0..model.targets().len();
                outputs.find_map(|output| Some((output, next_of(model, output)?)))
            });
            match fed {
                [of_old, of_new] if of_old != of_new => {
                    say(&format!(
                        "note: no metric: {}, so no row is right for both",
                        unlike_ahead(args, of_new.is_some())
                    ));
                    return Ok((None, None));
                }
                [_, Some((output, _))] => (output, 1),
                _ => (0, 0),
            }
        }
    };
    let column = match &args.truth {
        Some(column) => column.clone(),
        None => {
            let feeds = model
                .targets()
                .get(output)
                .map(|target| target.feeds as usize);
            let input = feeds.and_then(|at| input_names(model).get(at).copied());
            match input.filter(|_| !classes) {
                Some((name, _)) => name.to_owned(),
                None => {
                    say(
                        "note: no metric: what is right does not follow from the models; name its column: --truth NAME, \
                         and for a forecast --horizon N",
                    );
                    return Ok((None, None));
                }
            }
        }
    };
    if args.truth.is_some() && args.horizon.is_none() {
        let whose = match horizon {
            0 => "the same row".to_owned(),
            1 => "the next row".to_owned(),
            rows => format!("the row {rows} rows later"),
        };
        say(&format!(
            "note: answers are measured by {column:?} of {whose}, as a model file does not say how far ahead it was trained to look; --horizon N says \
             another distance"
        ));
    }
    let horizon = args.horizon.map_or(horizon, |horizon| horizon as usize);
    let truth = match inputs.iter().position(|name| *name == column) {
        _ if classes => {
            let names = outputs.iter().map(|name| name.0.to_owned());
            Truth::Class(column, names.collect())
        }
        Some(at) => {
            if horizon == 0 {
                return Err(usage(format!(
                    "--truth {column}: an input, so a forecast of it is about a later row: add --horizon N, from 1 on"
                )));
            }
            Truth::Input(at)
        }
        None => Truth::Number(column),
    };
    Ok((Some(truth), Some(Measure { output, horizon })))
}

/// The metric of a device: RMSE, or share of right classes.
fn metric(pair: &Pair<'_>, counts: &Counts) -> Option<[f64; 2]> {
    let measured = counts.measured as f64;
    (counts.measured > 0).then(|| {
        counts.errors.map(|sum| match pair.classes {
            true => 1.0 - sum / measured,
            false => (sum / measured).sqrt(),
        })
    })
}

/// What was left out, broken or guessed.
fn tell(outcome: &Outcome, files: &[PathBuf]) {
    const SHOWN: usize = 10;
    let (all, broken) = (outcome.devices.len(), outcome.broken());
    for (met, _) in broken.iter().take(SHOWN) {
        let fault = met.fault.as_deref().unwrap_or_default();
        let rest = match met.left {
            0 if met.broken == 1 => String::new(),
            0 => format!("; {} rows are broken and left out", met.broken),
            left => format!("; its {left} rows from there on are left out"),
        };
        say(&format!("device {:?}: {fault}{rest}", met.name));
    }
    if !broken.is_empty() {
        let left: u64 = broken.iter().map(|(met, _)| met.broken + met.left).sum();
        let share = 100.0 * left as f64 / (left + outcome.rows()) as f64;
        let more = broken.len().saturating_sub(SHOWN);
        let more = match more {
            0 => String::new(),
            more => format!("; {more} of them are not shown here"),
        };
        say(&format!(
            "warning: {} of {all} devices have broken rows, and {left} rows ({share:.2} %) are left out{more}",
            broken.len()
        ));
    }
    let nameless = outcome.devices.iter().find(|(met, _)| met.name.is_empty());
    if let Some((met, _)) = nameless {
        let (rows, all) = (met.rows, outcome.rows());
        let share = 100.0 * rows as f64 / all as f64;
        say(&format!(
            "warning: {rows} of {all} rows ({share:.2} %) name no device, and are taken for those of one whose name is empty"
        ));
    }
    if outcome.strays > 0 {
        say(&format!(
            "warning: {} broken rows are left out of which nobody knows the device",
            outcome.strays
        ));
    }
    if outcome.unreadable > 0 {
        say(&format!(
            "warning: {} of {} files could not be read to their end",
            outcome.unreadable,
            files.len()
        ));
    }
    for note in outcome.notes.iter().take(SHOWN) {
        say(&format!("note: {note}"));
    }
    if outcome.notes.len() > SHOWN {
        let more = outcome.notes.len() - SHOWN;
        say(&format!("note: {more} more notes like these are not shown"));
    }
    if outcome.printed > 0 {
        say(&format!(
            "note: {} of {} files are read as text, which takes several times as long as Parquet with plain numbers, text for the \
             device and a timestamp or integer for the time",
            outcome.printed,
            files.len()
        ));
    }
}

/// What could not be measured, as the table does not say what was right.
fn tell_untold(wanted: &Wanted, truth: &Truth, all: &Counts) {
    let (column, what) = match truth {
        Truth::Input(at) => (&wanted.inputs[*at], "no number".to_owned()),
        Truth::Number(column) => (column, "no number".to_owned()),
        Truth::Class(column, classes) => (
            column,
            format!(
                "none of the classes {}, by whose names the model file knows them, whatever labels their task gave them,",
                classes.join(", ")
            ),
        ),
    };
    let share = 100.0 * all.untold as f64 / (all.untold + all.measured).max(1) as f64;
    if all.measured == 0 {
        say(&format!(
            "warning: no metric: column {column:?} has {what} for any of the {} answers",
            all.untold
        ));
    } else if all.untold > 0 {
        say(&format!(
            "warning: {} answers ({share:.2} %) are not measured, as column {column:?} has {what} there",
            all.untold
        ));
    }
}

/// Over all devices.
struct Figures {
    metric: Option<&'static str>,
    all: Counts,
    value: Option<[f64; 2]>,
    better: usize,
    worse: usize,
    measured: usize,
    differing: usize,
}

fn figures(pair: &Pair<'_>, outcome: &Outcome) -> Figures {
    let all = outcome.total();
    let (mut better, mut worse, mut measured, mut differing) = (0, 0, 0, 0);
    for (_, counts) in &outcome.devices {
        differing += usize::from(counts.differing > 0);
        if counts.measured > 0 {
            measured += 1;
            better += usize::from(counts.errors[1] < counts.errors[0]);
            worse += usize::from(counts.errors[1] > counts.errors[0]);
        }
    }
    Figures {
        metric: pair.measure.map(|_| match pair.classes {
            true => "accuracy",
            false => "RMSE",
        }),
        value: metric(pair, &all),
        all,
        better,
        worse,
        measured,
        differing,
    }
}

impl Figures {
    fn print(&self, outcome: &Outcome) -> Result<()> {
        let mut out = io::stdout().lock();
        let Counts {
            rows,
            answers,
            alarms,
            gained,
            lost,
            cut,
            differing,
            largest,
            ..
        } = self.all;
        writeln!(out, "devices     {}", outcome.devices.len())?;
        writeln!(
            out,
            "rows        {rows}, of which both models answer {answers}"
        )?;
        if let (Some(metric), Some([old, new])) = (self.metric, self.value) {
            writeln!(
                out,
                "{metric:<12}{old:.6} old, {new:.6} new; better for {} and worse for {} of {} devices",
                self.better, self.worse, self.measured
            )?;
        }
        writeln!(
            out,
            "alarms      {} old, {} new: {gained} gained, {lost} lost",
            alarms[0], alarms[1]
        )?;
        writeln!(
            out,
            "cut         {} values old, {} new, beyond what a model was quantized for",
            cut[0], cut[1]
        )?;
        writeln!(
            out,
            "differ      {differing} answers of {} devices, by {largest} at the most",
            self.differing
        )?;
        for (met, counts) in outcome.most_changed().into_iter().take(10) {
            let Some((row, time)) = &counts.first else {
                continue;
            };
            let time = time
                .as_ref()
                .map_or(String::new(), |time| format!(" ({time})"));
            writeln!(
                out,
                "  {}: {} of {} answers from row {row}{time} on; {} alarms gained, {} lost",
                kinglet_trainer::escape::escape(&met.name),
                counts.differing,
                counts.answers,
                counts.gained,
                counts.lost
            )?;
        }
        writeln!(out, "speed       {}", self.speed(outcome))?;
        Ok(())
    }

    fn speed(&self, outcome: &Outcome) -> String {
        let cores = rayon::current_num_threads();
        let speed = format!(
            "{:.3} million steps a second on {cores} cores, {:.2} s in all, with reading",
            outcome.steps_per_second() / 1e6,
            outcome.elapsed.as_secs_f64()
        );
        match outcome.alone {
            Some(most) => format!(
                "{speed}; steps alone {:.3} million: {:.1} %",
                most / 1e6,
                100.0 * outcome.steps_per_second() / most
            ),
            None => speed,
        }
    }

    fn json(&self, outcome: &Outcome) -> Value {
        let left = outcome.devices.iter().map(|(met, _)| met.broken + met.left);
        let both = |[old, new]: [u64; 2]| json!({ "old": old, "new": new });
        json!({
            "devices": outcome.devices.len(),
            "rows": self.all.rows,
            "answers": self.all.answers,
            "metric": self.metric,
            "value": self.value.map(|[old, new]| json!({ "old": old, "new": new })),
            "devices_better": self.better,
            "devices_worse": self.worse,
            "alarms": both(self.all.alarms),
            "alarms_gained": self.all.gained,
            "alarms_lost": self.all.lost,
            "cut": both(self.all.cut),
            "differing": self.all.differing,
            "devices_differing": self.differing,
            "largest_difference": self.all.largest,
            "devices_broken": outcome.broken().len(),
            "rows_left_out": left.sum::<u64>() + outcome.strays,
            "files_unreadable": outcome.unreadable,
            "seconds": outcome.elapsed.as_secs_f64(),
            "steps_per_second": outcome.steps_per_second(),
            "steps_alone_per_second": outcome.alone,
            "cores": rayon::current_num_threads(),
        })
    }
}
