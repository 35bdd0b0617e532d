//! `kinglet predict`: a stream through the engine.

use super::beyond::Beyond;
use super::model_file::{ModelFile, input_names, output_names};
use super::samples::{CsvOptions, Sample, Samples};
use super::texts::is_of_texts;
use super::{kernel_names, kernels, say, usage, writable};
use anyhow::{Context, Result, anyhow};
use kinglet::format::{Input, Output, Shape};
use kinglet::{Detector, Model, Runner, SlidingWindow, Verdict, argmax};
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::escape::escape;
use kinglet_trainer::file::{AlignedBytes, save};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};

/// Stream samples through a model: one line of outputs per step or, for a model of windows, per window
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet predict pump.kgl --csv test.csv > predictions.csv
  sensor-reader | kinglet predict pump.kgl --csv -          (answers every line as it arrives)
  kinglet predict pump.kgl --csv monday.csv --state-out s.bin
  kinglet predict pump.kgl --csv tuesday.csv --state-in s.bin
  kinglet predict ett.kgl --csv today.csv --ahead 24
  kinglet predict beats.kgl --csv beats.csv --reset-every 140
  kinglet predict activity.kgl --csv trials.csv --group trial
  kinglet predict sentiment.kgl --lines reviews.txt
  kinglet predict sentiment.kgl --csv reviews.tsv --delimiter '\\t' --columns text

Columns are found by the model's names (`kinglet inspect` shows them). A classifier gives the best class, then
a score per class; a model that watches for anomalies adds the smoothed error of its predictions so far and 1 where
that is an alarm; with --group a line begins with the group; a language model takes a column `token` (or --text) and gives a score per next token. Text is cut into tokens as in
training: in lower case if the model's tokens are, with `<unk>` or an ending for a word that has no token.")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// Samples, a row each; - reads standard input
    #[arg(long, value_name = "IN.csv", required_unless_present_any = ["text", "lines"])]
    csv: Option<PathBuf>,

    /// One text, cut into the model's characters or words
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    text: Option<PathBuf>,

    /// Texts, a line each, every one from a reset on
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "text"])]
    lines: Option<PathBuf>,

    /// Plain tensors in and out, an output per step: no normalisation, no windows
    #[arg(long)]
    raw: bool,

    /// An output per step from a model of windows too; its state runs on
    #[arg(long)]
    every_step: bool,

    /// Start anew every N rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    reset_every: Option<u64>,

    /// After the last row predict N more, each from the predictions before it
    #[arg(long, value_name = "N", conflicts_with = "raw")]
    ahead: Option<u32>,

    /// Go on from this saved state
    #[arg(long, value_name = "FILE")]
    state_in: Option<PathBuf>,

    /// Save the state after the last row
    #[arg(long, value_name = "FILE")]
    state_out: Option<PathBuf>,

    /// Kernel table, for comparison; the fastest by default
    #[arg(long, value_name = "NAME", value_parser = kernel_names())]
    kernels: Option<String>,

    #[command(flatten)]
    columns: CsvOptions,
}

pub fn run(args: &Args) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let shape = shape(args, &model)?;
    args.state_out.as_deref().map_or(Ok(()), writable)?;
    let mut state = AlignedBytes::zeroed(model.state_len());
    let runner = AnyRunner::bind(&model, &mut state)?;
    let mut runner = runner.with_kernels(kernels(args.kernels.as_deref()));
    if let (AnyRunner::Steps(runner), Some(path)) = (&mut runner, &args.state_in) {
        restore(runner, path)?;
    }
    let mut samples = match (&args.csv, &args.text, &args.lines) {
        (Some(path), ..) => Samples::open(path, &model, &args.columns, args.raw)?,
        (_, Some(path), _) => Samples::text(path, &model)?,
        (_, _, Some(path)) => Samples::lines(path, &model)?,
        (None, None, None) => return Err(usage("give --csv, --text or --lines")),
    };
    if args.csv.is_none() && args.columns.group.is_some() {
        return Err(usage("--group is a column of --csv"));
    }
    let input = args.csv.as_deref().or(args.lines.as_deref());
    let live = input == Some(Path::new("-"));
    let mut detector = Detector::new(&model).filter(|_| !args.raw);
    let mut table = Table::new(
        &model,
        args.raw,
        live,
        detector.is_some(),
        args.columns.group.as_deref(),
    )?;
    let kept = vec![0.0; SlidingWindow::needed(shape, model.inputs())];
    let mut windows = SlidingWindow::new(shape, model.inputs(), kept)?;
    // Nothing was foretold for the first sample.
    let mut y = vec![f32::NAN; model.outputs()];
    let mut beyond = Beyond::new(&model);
    let mut verdict = None;
    let mut last = Vec::new();
    let mut tokens = Vec::new();
    let (mut row, mut answered) = (0, false);
    let at_the_end = is_of_texts(&model) && !args.every_step && !model.is_bidirectional();
    loop {
        let sample = match samples.next() {
            Ok(Some(sample)) => sample,
            Ok(None) => break,
            Err(error) => {
                // What came before the bad row stands.
                table.flush()?;
                return Err(error);
            }
        };
        if matches!(sample, Sample::EndOfText) {
            if at_the_end {
                table.line(&y, None, None)?;
            }
            runner.reset();
            tokens.clear();
            continue;
        }
        let new_group = matches!(sample, Sample::NewGroup);
        if new_group || row > 0 && args.reset_every.is_some_and(|n| row % n == 0) {
            match &mut runner {
                AnyRunner::Steps(runner) => windows.reset(runner),
                AnyRunner::Windows(runner) => windows.reset(runner),
            }
            tokens.clear();
            detector.iter_mut().for_each(Detector::reset);
            y.fill(f32::NAN);
        }
        if new_group {
            row = 0;
            continue;
        }
        row += 1;
        answered = match (sample, &mut runner) {
            (Sample::Token(token), AnyRunner::Steps(runner)) => {
                runner.step_token(token, &mut y);
                !at_the_end
            }
            (Sample::EndOfText | Sample::NewGroup, _) => false,
            (Sample::Token(token), AnyRunner::Windows(runner)) => {
                tokens.push(token);
                let complete = tokens.len() == runner.window();
                if complete {
                    runner.run_tokens(&tokens, &mut y);
                    tokens.clear();
                }
                complete
            }
            (Sample::Features(x), AnyRunner::Steps(runner)) if args.raw => {
                runner.step_raw(x, &mut y);
                true
            }
            (Sample::Features(x), runner) => {
                beyond.meet(x);
                if args.ahead.is_some() {
                    last.clear();
                    last.extend_from_slice(x);
                }
                verdict = detector.as_mut().map(|detector| detector.compare(&y, x));
                push(&mut windows, runner, x, &mut y)
            }
        };
        if answered {
            table.line(&y, verdict, samples.group())?;
        }
    }
    if let (AnyRunner::Steps(runner), Some(path)) = (&runner, &args.state_out) {
        let mut saved = vec![0; model.saved_len()];
        runner.save(&mut saved)?;
        save(path, &saved)?;
    }
    if let Some(steps) = args.ahead {
        if !answered {
            table.flush()?;
            return Err(anyhow!(
                "--ahead goes on from the last row, and no window ends there ({row} rows)"
            ));
        }
        for _ in 0..steps {
            if let AnyRunner::Steps(runner) = &runner {
                runner.feed_back(&y, &mut last);
            }
            push(&mut windows, &mut runner, &last, &mut y);
            // What was predicted says nothing about what is odd.
            table.line(&y, None, samples.group())?;
        }
    }
    table.flush()?;
    beyond.tell();
    Ok(())
}

/// Takes a raw sample; true if there is an answer.
fn push(
    windows: &mut SlidingWindow<Vec<f32>>,
    runner: &mut AnyRunner<'_, '_>,
    sample: &[f32],
    y: &mut [f32],
) -> bool {
    match runner {
        AnyRunner::Steps(runner) => windows.push(runner, sample, y),
        AnyRunner::Windows(runner) => windows.push(runner, sample, y),
    }
}

/// When to answer; refuses what does not go together.
fn shape(args: &Args, model: &Model<'_>) -> Result<Shape> {
    let tokens = matches!(model.header().input, Input::Tokens { .. });
    let unfit = args.raw || args.every_step || args.ahead.is_some() || args.lines.is_some();
    if model.is_bidirectional() && unfit {
        return Err(usage(
            "the model is bidirectional: it answers whole windows, so --raw, --every-step, --ahead and --lines are \
             not for it",
        ));
    }
    if args.text.is_some() && !tokens {
        return Err(usage(format!(
            "--text is for models of tokens; this one takes {} numbers: give --csv",
            model.inputs()
        )));
    }
    if args.lines.is_some() && !tokens {
        return Err(usage("--lines is for models of tokens: give --csv"));
    }
    if is_of_texts(model) && args.text.is_some() && !args.every_step && !model.is_bidirectional() {
        return Err(usage(
            "the model has one answer for a whole text: give texts as --lines, or add --every-step",
        ));
    }
    let shape = if args.raw || args.every_step || tokens {
        Shape::EveryStep
    } else {
        model.header().shape
    };
    if let (
        true,
        Shape::Window {
            window,
            exact: true,
            ..
        },
    ) = (args.every_step, model.header().shape)
        && window > 1
        && !tokens
    {
        say(&format!(
            "note: the model was trained on windows of {window} samples from a zero state; with --every-step its state runs on, \
             so its numbers are other ones than those it was measured with, but for the first {window} after a reset. `kinglet \
             train --streaming` makes a model for this"
        ));
    }
    let Shape::Window { window, hop, exact } = shape else {
        return ahead(args, model).map(|()| shape);
    };
    if args.state_in.is_some() || args.state_out.is_some() {
        return Err(usage(format!(
            "the model answers once per window of {window} samples, which a saved state does not hold; \
             add --every-step, or cut the files where windows end"
        )));
    }
    if args.ahead.is_some() && (hop != 1 || (exact && window == 1)) {
        return Err(usage(format!(
            "--ahead needs an output for every sample, and the model answers every {hop} samples; \
             add --every-step"
        )));
    }
    ahead(args, model).map(|()| shape)
}

/// Whether predictions can be fed back.
fn ahead(args: &Args, model: &Model<'_>) -> Result<()> {
    if args.ahead.is_none() {
        return Ok(());
    }
    let inputs = input_names(model);
    let fed: Vec<usize> = model.targets().iter().map(|t| t.feeds as usize).collect();
    let held = (0..inputs.len()).filter(|i| !fed.contains(i));
    let held: Vec<&str> = held.map(|i| inputs[i].0).collect();
    if held.len() == inputs.len() {
        return Err(usage(
            "--ahead feeds outputs back, and no output of this model is a later value of an input",
        ));
    }
    if !held.is_empty() {
        say(&format!(
            "note: --ahead holds what is not predicted at its last value: {}",
            held.join(", ")
        ));
    }
    Ok(())
}

fn restore(runner: &mut Runner<'_, '_>, path: &Path) -> Result<()> {
    let bytes = std::fs::read(path);
    let bytes = bytes.with_context(|| format!("{}: cannot be read", path.display()))?;
    runner.restore(&bytes).map_err(|error| {
        anyhow!(
            "{}: {error}; expected a file written by --state-out with this very model",
            path.display()
        )
    })
}

/// Lines of outputs on standard output.
struct Table<'a> {
    out: BufWriter<StdoutLock<'static>>,
    /// Names, if the best one is told first.
    classes: Option<Vec<&'a str>>,
    /// Every line is waited for.
    live: bool,
    /// Lines end with a score and whether it is an alarm.
    watched: bool,
}

impl<'a> Table<'a> {
    fn new(
        model: &Model<'a>,
        raw: bool,
        live: bool,
        watched: bool,
        group: Option<&str>,
    ) -> Result<Self> {
        let names: Vec<&str> = output_names(model).iter().map(|n| n.0).collect();
        let classes = matches!(model.header().output, Output::Classes { .. }) && !raw;
        let mut table = Table {
            out: BufWriter::new(io::stdout().lock()),
            live,
            watched,
            classes: None,
        };
        let header = classes.then_some("class").into_iter().chain(names.clone());
        let header = group.into_iter().chain(header);
        let mut header: Vec<String> = header.map(field).collect();
        if watched {
            header.extend(["score".into(), "alarm".into()]);
        }
        writeln!(table.out, "{}", header.join(","))?;
        table.classes = classes.then_some(names);
        table.end_line()?;
        Ok(table)
    }

    fn line(&mut self, y: &[f32], verdict: Option<Verdict>, group: Option<&str>) -> Result<()> {
        if let Some(group) = group {
            write!(self.out, "{},", field(group))?;
        }
        if let Some(classes) = &self.classes {
            write!(self.out, "{},", field(classes[argmax(y)]))?;
        }
        for (k, y) in y.iter().enumerate() {
            write!(self.out, "{}{y}", if k == 0 { "" } else { "," })?;
        }
        match verdict {
            Some(Verdict { score, alarm }) => write!(self.out, ",{score},{}", u8::from(alarm))?,
            None if self.watched => write!(self.out, ",,")?,
            None => {}
        }
        writeln!(self.out)?;
        self.end_line()
    }

    fn end_line(&mut self) -> Result<()> {
        if self.live { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

/// A name as a CSV field.
fn field(name: &str) -> String {
    let name = escape(name);
    if name.contains([',', '"']) || name != name.trim() {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name
    }
}
