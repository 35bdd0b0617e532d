//! `kinglet train`.

use super::budget::{BudgetOptions, budget_of};
use super::calibrate::{judge, say_instead};
use super::csv_options::{OnError, overridden};
use super::folds::Folds;
use super::names::{float_of, history_of, pair_of};
use super::progress::{Shown, TrainingBar, cancel_on_signal};
use super::{layout, mixed, pair, precision, print_json, say, say_notes, usage, writable};
use anyhow::{Context, Result};
use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet_trainer::alarm::alarm;
use kinglet_trainer::anomaly::{Alarms, alarms, doubts};
use kinglet_trainer::answer::Answer;
use kinglet_trainer::data::{Dataset, Part, coarse_columns};
use kinglet_trainer::decimals::decimals;
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::fidelity::{Fidelity, MOST, excess};
use kinglet_trainer::file::{Exported, TestInputs, export_for, package, save};
use kinglet_trainer::model_file::{ModelFile, format_name};
use kinglet_trainer::net::Network;
use kinglet_trainer::package::{Alarm, Feature, Input, Package};
use kinglet_trainer::quant::mixed::{Probe, search};
use kinglet_trainer::quant::{Formats, Ranges, Stream, cut_tails};
use kinglet_trainer::report::history::{Phase, epochs, to_csv};
use kinglet_trainer::spotting::Wakes;
use kinglet_trainer::task::{Precision, Split, Task};
use kinglet_trainer::train::pair::Pair;
use kinglet_trainer::train::{
    FitError, Fitted, LANE_WINDOWS, Metrics, Options, Predictor, Progress, baselines, evaluate,
    evaluate_parts, fit, fit_on, fit_pair_quantized, fit_quantized, lanes, network_for, pair_for,
    rule_wins,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Train the network that a task file describes, and measure the exported model with the engine
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet train pump.toml --out pump.kgl
  kinglet train pump.toml --data january.csv --precision w8a8 --out pump.kgl
  kinglet train pump.toml --precision w4a8 --quantized-epochs 20 --out pump.kgl
  kinglet train pump.toml --precision mixed --max-flash 6K --out pump.kgl
  kinglet train pump.toml --out pump.kgl --resume
  kinglet train pump.toml --folds 5 --out pump.kgl
  kinglet train pump.toml --from imported.kgl --precision w8a8 --quantized-epochs 20 --out pump.kgl
  kinglet train words.toml --from enc.kgl --decoder dec.kgl --precision w8a8 --quantized-epochs 4 --out words.kgl
  kinglet train ett.toml --streaming --out ett.kgl

Calibrates the integer formats on the training part; with quantized epochs it then trains on with the engine's own
integers in the forward pass, and keeps the result only if it is better on the validation part. Beside a model that is not f32 the f32 one is written too,
as MODEL.f32.kgl, and the losses of every epoch as MODEL.history.csv.

Ctrl-C ends the training and exports the best epoch so far; MODEL.kgl.checkpoint stays then, and after a crash, and with --resume the same command goes on from it
to the model that an undisturbed training gives. Of a task with [pairs] there are two models, MODEL.encoder.kgl and MODEL.decoder.kgl, which `kinglet translate` runs;
they are trained on together, from --from ENCODER.kgl --decoder DECODER.kgl in the tokens that these have.
With --folds 5 (or split = { folds = 5 } in the task) the training is back-tested from rolling origins first: of six equal blocks of rows, within each
group, the last five are the test part one after the other, with everything before as training part. The model that is
written is that of the last fold.
Prints the metric of every part beside that of rules that need no network, as the engine computes it from the written file.")]
pub struct Args {
    /// Data, shape, network and training in one file
    #[arg(value_name = "TASK.toml")]
    task: PathBuf,

    /// Where the model goes
    #[arg(long, value_name = "MODEL.kgl")]
    out: PathBuf,

    /// Go on from the network of an f32 model, imported or trained, in place of the task's network: with inputs and outputs as the
    /// task has them, in any units; of a task with [pairs] from this encoder
    #[arg(long, value_name = "MODEL.kgl")]
    from: Option<PathBuf>,

    /// The decoder of --from: the texts of the pairs are read in the tokens of these two models, whatever `vocabulary` says
    #[arg(long, value_name = "DECODER.kgl", requires = "from")]
    decoder: Option<PathBuf>,

    /// Read this data file in place of the one that the task names; of a task with files for every part, their folder
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// What to do about a row of the data that is broken or not as expected, in place of the task's
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,

    /// Number format of the model, in place of the task's
    #[arg(long, value_parser = precision(|_| true))]
    precision: Option<Precision>,

    #[command(flatten)]
    budget: BudgetOptions,

    /// Epochs of training on through the integers of the number format, in place of the task's
    #[arg(long, value_name = "EPOCHS")]
    quantized_epochs: Option<usize>,

    /// Back-test from so many rolling origins, with mean and spread, in place of the task's split
    #[arg(long, value_name = "N")]
    folds: Option<usize>,

    /// For a device that answers every sample with a step and keeps no window: in place of the task's shape, many-to-many with the
    /// state carried along
    #[arg(long)]
    streaming: bool,

    /// CPU that the weights are laid out for
    #[arg(
        long = "for",
        value_parser = layout(),
        value_name = "CPU",
        default_value = "portable"
    )]
    layout: Layout,

    /// Write the model even where its outputs differ from those in f32 by more than 5 % of their spread
    #[arg(long)]
    force: bool,

    /// Go on with the training that wrote MODEL.kgl.checkpoint and was stopped
    #[arg(long)]
    resume: bool,

    /// How it shows where it is
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    progress: Shown,

    /// The same as --progress none
    #[arg(long, conflicts_with = "progress")]
    quiet: bool,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    fn shown(&self) -> Shown {
        if self.quiet {
            Shown::None
        } else {
            self.progress
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let mut task = overridden(Task::load(&args.task)?, args.data.as_deref(), args.on_error)?;
    let kept = Kept::new(&args.out);
    let inputs = task.inputs();
    let models = args.from.iter().chain(&args.decoder);
    let inputs: Vec<&Path> = (inputs.iter().chain(models))
        .map(PathBuf::as_path)
        .collect();
    let mut others = vec![float_of(&args.out), history_of(&args.out)];
    if task.pairs().is_some() {
        others.extend([&args.out, &others[0]].map(|out| pair_of(out)).concat());
    }
    for path in [&args.out, &kept.float, &kept.quantized]
        .into_iter()
        .chain(&others)
    {
        writable(path, &inputs)?;
    }
    if let Some(folds) = args.folds {
        task = task.with_split(Split::Folds(folds))?;
    }
    if args.streaming {
        task = task.streamed()?;
    }
    let models = models_of(args, &task)?;
    let mut data = match &models[..] {
        [encoder, decoder] => Dataset::load_for_pair(&task, [encoder, decoder])?,
        _ => Dataset::load(&task)?,
    };
    say_notes(data.notes());
    say_pieces(&task, &data);
    for coarse in coarse_columns(&data) {
        say(&format!("warning: {coarse}"));
    }
    let precision = args.precision.or(task.output.precision).unwrap_or_default();
    let mixed = precision == Precision::Mixed;
    let budget = args.budget.of_mixed(mixed, budget_of(&task)?)?;
    let layout = match budget.core {
        Some(core) if mixed => core.laid_out(args.layout).map_err(usage)?,
        _ => args.layout,
    };
    if let Some(epochs) = args.quantized_epochs {
        task.train.quantized.epochs = epochs;
    }
    if precision
        .format()
        .is_some_and(|format| !format.is_integer())
        && task.train.quantized.epochs > 0
    {
        let name = precision.name();
        if args.quantized_epochs.is_some() {
            return Err(usage(format!(
                "--quantized-epochs train on through the integers of a format, and {name} has none: give --precision w8a8 or another"
            )));
        }
        say(&format!(
            "note: the task's epochs through integers, train.quantized, are left out, as {name} has none"
        ));
    }
    if mixed && task.pairs().is_some() {
        return Err(usage(
            "a pair has one format in all layers: give another --precision",
        ));
    }
    if args.resume && !kept.float.exists() {
        let file = kept.float.display();
        say(&format!(
            "note: there is no {file} to resume from: training starts anew"
        ));
    }
    let start = start(&models, &mut data).with_context(|| {
        let flags = flags(args).map(|(flag, path)| format!("{flag} {}", path.display()));
        flags.collect::<Vec<_>>().join(" ")
    })?;
    let folds = task.folds().map(|folds| {
        let options = Options {
            cancel: Some(cancel_on_signal()),
            ..Options::default()
        };
        Folds::run(&task, folds, args.shown(), &options)
    });
    let mut folds = folds.transpose()?;
    let fitted = with_progress(args, &kept, &task, &data, start)?;
    let mut cancelled = fitted.cancelled;
    if let Some(folds) = &mut folds {
        folds.add(&task, &data, &fitted.package)?;
    }

    if let (Some(_), Some(format)) = (data.source(), precision.format()) {
        let epochs = task.train.quantized.epochs;
        let mut trains_on = |pair: &Pair, format: Format| {
            let options = options(args, &kept.quantized);
            let fitted = shown(args, epochs, |progress| {
                fit_pair_quantized(pair, format, &task, &data, &options, progress)
            })?;
            say_if_cancelled(&fitted.0);
            cancelled |= fitted.0.cancelled;
            Ok(fitted)
        };
        let trains_on = (epochs > 0).then_some(&mut trains_on as _);
        let format = (args.layout, format);
        let finish = pair::Finish {
            out: &args.out,
            json: args.json,
            force: args.force,
        };
        pair::finish(&fitted, &data, finish, format, trains_on)?;
        if !cancelled {
            kept.remove();
        }
        return Ok(());
    }
    let streams = Stream::of_dataset(&data);
    let mut ranges = Ranges::measure(&fitted.package.net, &streams);
    let tests = test_inputs(&fitted.package, &data);
    let mut table = Table::new(&data);
    for (name, mut rule) in baselines(&task, &data) {
        table.row(&name, &mut *rule, None);
    }
    let formats = match precision.format() {
        Some(format) => {
            let probes = Probe::of_dataset(&data, Part::Train);
            let how = (&format.into(), layout);
            let instead = cut_tails(&fitted.package, how, &mut ranges, &tests, &probes)?;
            say_instead(format, instead).into()
        }
        None => {
            let probes = Probe::of_dataset(&data, Part::Valid);
            let found = search(&fitted.package, &ranges, layout, &tests, &probes, &budget)?;
            if args.json {
                table.curve = Some(mixed::json(&found));
            } else {
                mixed::print(&found, &fitted.package, budget.core)?;
            }
            Formats::Each(found.curve[found.chosen].formats.clone())
        }
    };
    let mut export = |formats: &Formats, package: &Package, ranges: &Ranges, name: Option<&str>| {
        let tests = test_inputs(package, &data);
        let write =
            |package: &Package| export_for(layout, package, formats.clone(), Some(ranges), &tests);
        let mut exported = write(package)?;
        // The threshold is of the numbers that a device computes.
        let draft = Model::from_bytes(&exported.bytes)?;
        if let Some(alarm) = alarm(&task, &data, &mut EnginePredictor::new(&draft))? {
            exported = write(&Package {
                alarm: Some(alarm),
                ..package.clone()
            })?;
        }
        table.engine_row(&exported, name)?;
        anyhow::Ok(exported)
    };
    let float = export(&Format::F32.into(), &fitted.package, &ranges, None)?;
    if let Some(watched) = &task.anomaly {
        let model = Model::from_bytes(&float.bytes)?;
        let doubts = doubts(watched, &data, &mut EnginePredictor::new(&model));
        doubts
            .iter()
            .for_each(|doubt| say(&format!("warning: {doubt}")));
    }
    let mut history: Vec<_> = epochs(Phase::Float, &fitted.history).collect();
    let mut files = vec![(args.out.clone(), float)];
    let mut refused = None;
    if formats != Formats::All(Format::F32) {
        let trains_on = formats.is_integer() && task.train.quantized.epochs > 0;
        let rounded = trains_on.then(|| match &formats {
            Formats::All(format) => format!("{} rounded", format.name()),
            Formats::Each(_) => "mixed rounded".to_owned(),
        });
        let mut exported = export(&formats, &fitted.package, &ranges, rounded.as_deref())?;
        let mut twin = None;
        if trains_on {
            let format = (formats.clone(), &ranges);
            let (trained, ranges) =
                quantized_with_progress(args, &kept, &task, &data, &fitted, format)?;
            cancelled |= trained.cancelled;
            history.extend(epochs(Phase::Quantized, &trained.history));
            exported = export(&formats, &trained.package, &ranges, None)?;
            // It gives its own answers now, and no longer those of the float network that it began from.
            twin = Some(export_for(
                layout,
                &trained.package,
                Format::F32,
                Some(&ranges),
                &tests,
            )?);
        }
        say_notes(&exported.notes);
        refused = {
            let float = Model::from_bytes(&twin.as_ref().unwrap_or(&files[0].1).bytes)?;
            let model = Model::from_bytes(&exported.bytes)?;
            let share = Fidelity::over(&float, &model, &data, Part::Train).share();
            let as_right = trains_on && table.excess() <= MOST;
            judge(&model, share, &exported.doubts, args.force || as_right).err()
        };
        files[0].0 = float_of(&args.out);
        if refused.is_none() {
            files.push((args.out.clone(), exported));
        }
    }
    let history = to_csv(&history)?;
    let history_path = history_of(&args.out);
    let model_files = files;
    let mut files: Vec<(&Path, &[u8])> = model_files
        .iter()
        .map(|(path, exported)| (path.as_path(), &exported.bytes[..]))
        .collect();
    files.push((&history_path, &history));
    write_all(&files).map_err(|error| match kept.float.exists() {
        true => error.context(format!(
            "what was learned stays in {}, and the same command with --resume goes on from it",
            kept.float.display()
        )),
        false => error,
    })?;
    if !cancelled {
        kept.remove();
    }
    if let Some((_, last)) = model_files.last() {
        table.windows(&task, last)?;
    }
    let written: Vec<&Path> = files.iter().map(|file| file.0).collect();
    match args.json {
        true => table.print_json(&fitted, folds.as_ref(), &written)?,
        false => table.print(&fitted, folds.as_ref())?,
    }
    for (path, _) in &files {
        say(&format!("{}: written", path.display()));
    }
    refused.map_or(Ok(()), Err)
}

/// The first samples of the training part, as they enter the network.
fn test_inputs(package: &Package, data: &Dataset) -> TestInputs {
    let data = match data.input() == &package.input {
        true => Cow::Borrowed(data),
        false => Cow::Owned(data.clone().normalised_as(&package.input)),
    };
    TestInputs::of(package, Stream::first_of_dataset(&data).as_slice())
}

/// All files, or none that was not there before.
fn write_all(files: &[(&Path, &[u8])]) -> Result<()> {
    for (path, _) in files {
        writable(path, &[])?;
    }
    for (path, bytes) in files {
        save(path, bytes)?;
    }
    Ok(())
}

/// Where a training that is not over is kept, one file per phase.
struct Kept {
    float: PathBuf,
    quantized: PathBuf,
}

impl Kept {
    fn new(out: &Path) -> Self {
        // With the whole name of the model, so that no two models share one.
        let named = |ending| kinglet_trainer::save::beside(out, "", ending);
        Kept {
            float: named("checkpoint"),
            quantized: named("quantized.checkpoint"),
        }
    }

    fn remove(&self) {
        for path in [&self.float, &self.quantized] {
            // Not there if the training was too short to be kept.
            let _ = fs::remove_file(path);
        }
    }
}

/// Runs a training with a bar that shows where it is.
fn shown<T>(
    args: &Args,
    epochs: usize,
    train: impl FnOnce(&mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Result<T, FitError>,
) -> Result<T> {
    let mut bar = TrainingBar::new(epochs, args.shown())?;
    let fitted = train(&mut |now| {
        bar.show(now);
        ControlFlow::Continue(())
    });
    bar.finish();
    Ok(fitted?)
}

/// What is gone on from, with the flag that names it.
fn flags(args: &Args) -> impl Iterator<Item = (&'static str, &Path)> {
    let flags = [("--from", &args.from), ("--decoder", &args.decoder)];
    let flags = flags.into_iter();
    flags.filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
}

/// The model of --from, or encoder and decoder.
fn models_of(args: &Args, task: &Task) -> Result<Vec<Package>> {
    if args.from.is_some() && task.folds().is_some() {
        return Err(usage(
            "--from goes on from a network in one training: leave out folds",
        ));
    }
    match (&args.from, &args.decoder, task.pairs()) {
        (Some(_), None, Some(_)) => {
            return Err(usage(
                "--from of a task with [pairs] is the encoder: give its decoder too, --decoder DECODER.kgl",
            ));
        }
        (_, Some(_), None) => {
            return Err(usage(
                "--decoder is for a task with [pairs], and this one has a single network: leave it out",
            ));
        }
        _ => {}
    }
    let model = |(flag, path): (&str, &Path)| {
        let file = ModelFile::read(path)?;
        file.model()?;
        package(&file.bytes).with_context(|| format!("{flag} {}", path.display()))
    };
    flags(args).map(model).collect()
}

/// The inputs of some data with the normalisation of a model, if it has one for such inputs.
fn own_inputs(model: &Package, data: &Dataset) -> Option<Input> {
    let (Input::Features(own), Input::Features(inputs)) = (&model.input, data.input()) else {
        return None;
    };
    let alike = own.len() == inputs.len()
        && (own.iter().zip(inputs)).all(|(own, input)| own.transform == input.transform);
    let normalises = |f: &Feature| (f.offset, f.scale) != (0.0, 1.0);
    (alike && own.iter().any(normalises)).then(|| {
        let as_own = |(own, input): (&Feature, &Feature)| Feature {
            offset: own.offset,
            scale: own.scale,
            ..input.clone()
        };
        Input::Features(own.iter().zip(inputs).map(as_own).collect())
    })
}

/// The network of --from, or of a pair both, in the units of the task.
fn start(models: &[Package], data: &mut Dataset) -> Result<Option<Network>> {
    let (network, notes) = match models {
        [] => return Ok(None),
        [model] => match (network_for(model, data), own_inputs(model, data)) {
            (Ok(found), _) => found,
            (Err(error), None) => return Err(error),
            (Err(_), Some(input)) => {
                let normalised = data.clone().normalised_as(&input);
                let found = network_for(model, &normalised)?;
                *data = normalised;
                say_notes(&[
                    "the inputs are normalised as the model's are, and not by the training part: its first layer takes those of a sample together, \
                     keeps them, or pads them with zeros".to_owned(),
                ]);
                found
            }
        },
        [encoder, decoder, ..] => pair_for([encoder, decoder], data)?,
    };
    say_notes(&notes);
    Ok(Some(network))
}

fn with_progress(
    args: &Args,
    kept: &Kept,
    task: &Task,
    data: &Dataset,
    start: Option<Network>,
) -> Result<Fitted> {
    let options = options(args, &kept.float);
    let fitted = shown(args, task.train.epochs, |progress| match start {
        Some(net) => fit_on(net, task, data, &options, progress),
        None => fit(task, data, &options, progress),
    })?;
    say_if_cancelled(&fitted);
    Ok(fitted)
}

fn quantized_with_progress(
    args: &Args,
    kept: &Kept,
    task: &Task,
    data: &Dataset,
    float: &Fitted,
    format: (Formats, &Ranges),
) -> Result<(Fitted, Ranges)> {
    let options = options(args, &kept.quantized);
    let (fitted, ranges) = shown(args, task.train.quantized.epochs, |progress| {
        fit_quantized(&float.package, format, task, data, &options, progress)
    })?;
    say_if_cancelled(&fitted);
    Ok((fitted, ranges))
}

fn options<'a>(args: &Args, checkpoint: &'a Path) -> Options<'a> {
    Options {
        cancel: Some(cancel_on_signal()),
        checkpoint: Some(checkpoint),
        resume: args.resume,
        ..Options::default()
    }
}

fn say_if_cancelled(fitted: &Fitted) {
    if fitted.cancelled {
        say(&format!(
            "stopped after epoch {}: keeping epoch {}; --resume goes on",
            fitted.history.len(),
            fitted.best_epoch
        ));
    }
}

/// What a rule or a model file reaches.
#[derive(Serialize)]
struct Row {
    name: String,
    train: Metrics,
    valid: Metrics,
    test: Metrics,
    /// Of a file.
    file_bytes: Option<usize>,
    state_bytes: Option<usize>,
    alarms: Option<Alarms>,
    wakes: Option<Wakes>,
}

impl Row {
    /// The last part that has outputs.
    fn last(&self) -> &Metrics {
        match self.test.error().is_finite() {
            true => &self.test,
            false => &self.valid,
        }
    }
}

/// By how much a running state errs more than windows do, that is worth a word.
const WORSE: f64 = 1.1;

/// Metrics of every part.
struct Table<'d> {
    data: &'d Dataset,
    rows: Vec<Row>,
    /// What windows cost.
    windows: Vec<String>,
    /// The trade-off of formats layer by layer, for programs.
    curve: Option<Value>,
}

impl<'d> Table<'d> {
    fn new(data: &'d Dataset) -> Self {
        Table {
            data,
            rows: Vec::new(),
            windows: Vec::new(),
            curve: None,
        }
    }

    /// Measures all parts.
    fn row(
        &mut self,
        name: &str,
        predictor: &mut dyn Predictor,
        sizes: Option<(usize, usize)>,
    ) -> &mut Row {
        let [train, valid, test] = evaluate_parts(self.data, predictor);
        self.rows.push(Row {
            name: name.to_owned(),
            train,
            valid,
            test,
            file_bytes: sizes.map(|sizes| sizes.0),
            state_bytes: sizes.map(|sizes| sizes.1),
            alarms: None,
            wakes: None,
        });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// A row for a file, called as its format unless there is another name.
    fn engine_row(&mut self, file: &Exported, name: Option<&str>) -> Result<()> {
        let model = Model::from_bytes(&file.bytes)?;
        let sizes = (file.bytes.len(), model.state_len());
        let name = name.unwrap_or(format_name(&model));
        let mut engine = EnginePredictor::new(&model);
        let data = self.data;
        let row = self.row(name, &mut engine, Some(sizes));
        if let Some(alarm) = Alarm::of_model(&model) {
            row.alarms = alarms(alarm, data, Part::Test, &mut engine);
            if let Some(word) = &data.written().wake {
                row.wakes = Wakes::over(data, Part::Test, &mut engine, (word, alarm));
            }
        }
        Ok(())
    }

    /// The last model file.
    fn network(&self) -> Option<&Row> {
        self.rows.iter().rfind(|row| row.file_bytes.is_some())
    }

    /// By how much the last model file errs more than the first one, over the validation part.
    fn excess(&self) -> f64 {
        let files = || self.rows.iter().filter(|row| row.file_bytes.is_some());
        match (files().next(), files().next_back()) {
            (Some(float), Some(last)) => excess(&float.valid, &last.valid),
            _ => f64::NAN,
        }
    }

    /// Rules that are as good as the last model file or better, with what both reach.
    fn winners(&self) -> impl Iterator<Item = (&Row, &Row)> {
        let rules = self.rows.iter().filter(|row| row.file_bytes.is_none());
        let pairs = rules.filter_map(|rule| Some((rule, self.network()?)));
        pairs.filter(|(rule, network)| rule_wins(rule.last(), network.last()))
    }

    /// What windows cost, and what becomes of the model where its state runs on instead.
    fn windows(&mut self, task: &Task, file: &Exported) -> Result<()> {
        let model = Model::from_bytes(&file.bytes)?;
        let answer = Answer::of(&model);
        if answer.steps > 1 {
            let (steps, macs) = (answer.steps, model.macs());
            let ram = match answer.buffer {
                0 => String::new(),
                bytes => format!(", and {bytes} bytes of RAM for the window beside the state"),
            };
            self.windows.push(format!(
                "an answer takes {steps} steps of {macs} MACs: {}{ram}",
                steps * macs
            ));
        }
        if model.is_bidirectional() {
            return Ok(());
        }
        if !answer.anew {
            let told = self.of_running_state(task, &model);
            self.windows.extend(told);
            return Ok(());
        }
        // Not every task can be streamed, and then there is nothing to say.
        let Ok(streamed) = task.clone().streamed() else {
            return Ok(());
        };
        // Nor can parts whose pieces are shorter than a window.
        let Ok(data) = Dataset::load(&streamed) else {
            return Ok(());
        };
        let data = data.normalised_as(self.data.input());
        let metrics = evaluate(&data, Part::Test, &mut EnginePredictor::new(&model));
        let (metric, value) = metrics.headline();
        let own = self.network().map(|row| row.last().headline().1);
        let shown = own.filter(|_| value.is_finite());
        let shown = shown.map(|own| [value, own].map(|value| decimals(value, 5)));
        if let Some([value, own]) = shown.filter(|[value, own]| value != own) {
            self.windows.push(format!(
                "streamed, a step per sample with the state running on, it gives other numbers: {metric} {value} on the test \
                 part, not {own}; --streaming trains a model that streams"
            ));
        }
        Ok(())
    }

    /// What a model that streams, but was trained on windows, gives over windows, where that is better than the state running on.
    fn of_running_state(&self, task: &Task, model: &Model<'_>) -> Option<String> {
        let own = self.network()?.last();
        if task.shape.stateful {
            return None;
        }
        let part = match self.network()?.test.error().is_finite() {
            true => Part::Test,
            false => Part::Valid,
        };
        let windows = self.data.clone().in_windows();
        let windows = evaluate(&windows, part, &mut EnginePredictor::new(model));
        (own.error() > WORSE * windows.error()).then(|| {
            let [of_windows, own] = [&windows, own].map(|m| decimals(m.headline().1, 5));
            format!(
                "over windows that begin from a reset, which it was trained and its epoch was chosen on, it gives other numbers: {} {of_windows} \
                 on the {} part, not {own} as with the state running on; with stateful = true in [shape], or a longer window, it \
                 is trained as it runs",
                windows.headline().0,
                part.name()
            )
        })
    }

    fn print(&self, fitted: &Fitted, folds: Option<&Folds>) -> Result<()> {
        let mut out = io::stdout().lock();
        let last = fitted.history.last();
        let targets = self.rows.last().map_or(Vec::new(), |row| row.test.names());
        writeln!(
            out,
            "{}: epoch {} of {} was the best, validation loss {:.5}, {:.1} s",
            fitted.package.name,
            fitted.best_epoch,
            fitted.history.len(),
            fitted.valid_loss,
            last.map_or(0.0, |p| p.seconds)
        )?;
        let names = self.rows.iter().map(|row| row.name.len());
        let width = names.chain([13]).max().unwrap_or_default();
        writeln!(
            out,
            "{:<width$}  {:>9}  {:>9}  {:>9}  file bytes  state bytes",
            self.metric(),
            "train",
            "valid",
            "test"
        )?;
        for row in &self.rows {
            write!(out, "{:<width$}", row.name)?;
            for value in [&row.train, &row.valid, &row.test].map(|part| part.headline().1) {
                match value.is_finite() {
                    true => write!(out, "  {:>9}", decimals(value, 5))?,
                    false => write!(out, "  {:>9}", "-")?,
                }
            }
            let size = |bytes: Option<usize>| bytes.map_or("-".into(), |bytes| bytes.to_string());
            let sizes = [row.file_bytes, row.state_bytes].map(size);
            writeln!(out, "  {:>10}  {:>11}", sizes[0], sizes[1])?;
        }
        if let [first, others @ ..] = &*targets
            && !others.is_empty()
        {
            writeln!(
                out,
                "these are of {first}, the first of {} outputs; the others stand below: {}",
                targets.len(),
                others.join(", ")
            )?;
        }
        for row in self.rows.iter().filter(|row| row.test.error().is_finite()) {
            writeln!(out, "test, {}: {}", row.name, row.test)?;
            if let Some(alarms) = &row.alarms {
                writeln!(out, "test, {}: {alarms}", row.name)?;
            }
            if let Some(wakes) = &row.wakes {
                writeln!(out, "test, {}: {wakes}", row.name)?;
            }
        }
        for line in &self.windows {
            writeln!(out, "{line}")?;
        }
        for line in folds.iter().flat_map(|folds| folds.lines()) {
            writeln!(out, "{line}")?;
        }
        for (rule, network) in self.winners() {
            let name = &rule.name;
            let (metric, rule) = rule.last().headline();
            let network = network.last().headline().1;
            let [rule, network] = [rule, network].map(|value| decimals(value, 5));
            writeln!(
                out,
                "the rule {name:?} is as good as this network or better: {metric} {rule} against {network}; as it \
                 is, the network is not worth its flash"
            )?;
        }
        for (target, name) in targets.iter().enumerate().skip(1) {
            let of = |row: &Row| row.last().error_of(target);
            let rules = self.rows.iter().filter(|row| row.file_bytes.is_none());
            let best = rules.min_by(|a, b| of(a).total_cmp(&of(b)));
            if let (Some(rule), Some(network)) = (best, self.network())
                && of(rule) <= of(network)
            {
                let [at_best, own] = [rule, network].map(|row| decimals(of(row), 5));
                writeln!(
                    out,
                    "the rule {:?} is as good as this network or better at {}: {} {at_best} against {own}",
                    rule.name,
                    name,
                    self.metric()
                )?;
            }
        }
        Ok(())
    }

    /// What the headline of all metrics is called.
    fn metric(&self) -> &'static str {
        self.rows.last().map_or("", |row| row.test.headline().0)
    }

    /// The same for programs.
    fn print_json(&self, fitted: &Fitted, folds: Option<&Folds>, files: &[&Path]) -> Result<()> {
        let (models, rules): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.file_bytes.is_some());
        let winners: Vec<&str> = self.winners().map(|(rule, _)| &*rule.name).collect();
        print_json(&json!({
            "name": fitted.package.name,
            "metric": self.metric(),
            "best_epoch": fitted.best_epoch,
            "epochs": fitted.history.len(),
            "valid_loss": fitted.valid_loss,
            "seconds": fitted.history.last().map_or(0.0, |last| last.seconds),
            "models": models,
            "rules": rules,
            "rules_that_win": winners,
            "back_test": folds.map(Folds::json),
            "formats": self.curve,
            "notes": self.windows,
            "files": files,
        }))
    }
}

/// How far states go on, and where they have to start anew.
fn say_pieces(task: &Task, data: &Dataset) {
    let (pieces, window) = (data.pieces(Part::Train), data.window());
    let count = pieces.clone().count();
    if !task.shape.stateful {
        return;
    }
    let (lanes, batch) = (lanes(task, data), task.train.batch);
    if lanes < batch {
        say(&format!(
            "note: the training part is run through as {lanes} streams side by side, and not as the {batch} of train.batch: where it is long \
             enough, a state is carried through at least {LANE_WINDOWS} windows"
        ));
    }
    if count < 2 {
        return;
    }
    let rows: usize = pieces.clone().map(|piece| piece.len()).sum();
    let short = pieces.filter(|piece| piece.len() < window);
    let short: usize = short.map(|piece| piece.len()).sum();
    say(&format!(
        "note: the training part is in {count} pieces, its groups and what lies between rows that were left out: the carried state starts anew \
         with each; {short} of {rows} rows ({:.1} %) are in pieces shorter than the window of {window} and are not trained on",
        100.0 * short as f64 / rows as f64
    ));
}
