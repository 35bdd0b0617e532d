//! `kinglet predict`: a stream through the engine.

use super::csv_options::CsvOptions;
use super::progress::cancel_on_signal;
use super::samples::{SECOND, Sample, Samples};
use super::streams::{How, SavedStream, Stream, Streams};
use super::texts::is_of_texts;
use super::{kernel_names, kernels, say, usage, wav, writable};
use anyhow::{Result, anyhow, bail};
use kinglet::format::{Input, Output, Shape, crc32};
use kinglet::{Model, Verdict, argmax};
use kinglet_trainer::ahead::{Futures, Walk, quantile};
use kinglet_trainer::beyond::Beyond;
use kinglet_trainer::data::Written;
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::escape::escape;
use kinglet_trainer::model_file::{ModelFile, input_names, is_of_transcripts, output_names};
use kinglet_trainer::package::Target;
use kinglet_trainer::transcript::written;
use kinglet_trainer::unheld::Unheld;
use kinglet_trainer::watch::Watch;
use serde_json::{Map, Value};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use typed_arena::Arena;

/// Stream samples through a model: one line of outputs per step or, for a model of windows, per window
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet predict pump.kgl --csv test.csv > predictions.csv
  sensor-reader | kinglet predict pump.kgl --csv -          (answers every line as it arrives)
  kinglet predict pump.kgl --csv monday.csv --state-out s.bin
  kinglet predict pump.kgl --csv tuesday.csv --state-in s.bin
  kinglet predict ett.kgl --csv today.csv --ahead 24
  kinglet predict ett.kgl --csv today.csv --ahead 24 --paths 500
  kinglet predict beats.kgl --csv beats.csv --reset-every 140
  kinglet predict activity.kgl --csv trials.csv --group trial
  kinglet predict pump.kgl --csv test.csv --keep timestamp,machine --json
  kinglet predict sentiment.kgl --lines reviews.txt
  kinglet predict letters.kgl --csv strokes.csv --group sheet --beam 8
  kinglet predict digits.kgl --wav spoken.wav
  arecord -q -r 8000 -f S16_LE -t wav | kinglet predict keyword.kgl --wav -
  kinglet predict amp.kgl --wav guitar.wav --out amped.wav
  kinglet predict sentiment.kgl --csv reviews.tsv --delimiter '\\t' --columns text

Columns are found by the model's names (`kinglet inspect` shows them). A classifier gives the best class, then
a score per class; a model that watches for anomalies adds the smoothed error of its predictions so far and 1 where
that is an alarm; one that waits for a word adds the smoothed probability of that likewise, and of a recording gives a line whenever it is said; a
model of transcripts gives what is said in all rows (of a group), and from `--csv -` every token with the number of the row at
which it is known; with --group a line begins with the group, and every group is a stream of its own, whose rows may stand anywhere; a language model takes a column `token` (or --text) and gives a score per next token. Text is cut into tokens as in
training: in lower case if the model's tokens are, with `<unk>` or an ending for a word that has no token.")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// Samples, a row each; - reads standard input
    #[arg(long, value_name = "IN.csv", required_unless_present_any = ["text", "lines", "wav"])]
    csv: Option<PathBuf>,

    /// One text, cut into the model's characters or words
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    text: Option<PathBuf>,

    /// Texts, a line each, every one from a reset on
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "text"])]
    lines: Option<PathBuf>,

    /// A recording, for a model that listens through a front end ([csv.audio] in its task); - reads standard input. Or, with --out, for one
    /// that answers every sample: a channel for every input, from full scale as 1
    #[arg(long, value_name = "IN.wav", conflicts_with_all = ["csv", "text", "lines", "raw", "ahead", "paths", "keep", "CsvOptions"])]
    wav: Option<PathBuf>,

    /// Where the answers to all samples of --wav go: a file of the same kind
    // What conflicts with --wav would otherwise make up for it.
    #[arg(long, value_name = "OUT.wav", requires = "wav",
          conflicts_with_all = ["csv", "text", "lines", "every_step", "reset_every", "state_in", "state_out", "json", "beam"])]
    out: Option<PathBuf>,

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

    /// With --ahead: go so many paths of what may come, and give quantiles of them. On each path something is drawn and fed back, row by
    /// row: of a model of quantiles from where these say, of a model of means the prediction and one of the errors that it has made
    /// on the rows given
    #[arg(long, value_name = "N", requires = "ahead", value_parser = clap::value_parser!(u32).range(10..=100_000))]
    paths: Option<u32>,

    /// Shares below the quantiles that --paths gives for a model of means
    #[arg(long, value_name = "Q,...", requires = "paths", value_delimiter = ',', default_values_t = [0.1, 0.5, 0.9], value_parser = share)]
    quantiles: Vec<f64>,

    /// Same seed, same paths
    #[arg(long, value_name = "S", requires = "paths", default_value_t = 1)]
    seed: u64,

    /// Of a model of transcripts: follow so many beginnings of what may have been said, and give the likeliest in the end. Without it,
    /// as on a device, what is likeliest at each step is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "raw")]
    beam: Option<u16>,

    /// Go on from this saved state
    #[arg(long, value_name = "FILE")]
    state_in: Option<PathBuf>,

    /// Save the state after the last row, or after the last that was answered when something goes wrong, or a signal or a closed
    /// pipe ends it
    #[arg(long, value_name = "FILE")]
    state_out: Option<PathBuf>,

    /// Begin every line with these columns of its row; a prediction of the same name is then called "predicted NAME"
    #[arg(long, value_name = "NAME,...")]
    keep: Vec<String>,

    /// A JSON object per line in place of CSV; what is no number is null
    #[arg(long)]
    json: bool,

    /// Kernel table, for comparison; the fastest by default
    #[arg(long, value_name = "NAME", value_parser = kernel_names())]
    kernels: Option<String>,

    #[command(flatten)]
    columns: CsvOptions,
}

fn share(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected shares above 0 and below 1, such as 0.1,0.5,0.9".into()),
    }
}

pub fn run(args: &Args) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    if let (Some(wav), Some(out)) = (&args.wav, &args.out) {
        return wav::run(&file, [wav, out], kernels(args.kernels.as_deref()));
    }
    let model = file.model()?;
    let shape = shape(args, &model)?;
    let input = args
        .csv
        .as_ref()
        .or(args.text.as_ref())
        .or(args.lines.as_ref())
        .or(args.wav.as_ref());
    let inputs: Vec<&Path> = [Some(&args.model), input]
        .into_iter()
        .flatten()
        .map(|p| &**p)
        .collect();
    if let Some(path) = &args.state_out {
        writable(path, &inputs)?;
    }
    let live = input.is_some_and(|path| path == Path::new("-"));
    if is_of_transcripts(&model) && !args.raw {
        fits_transcripts(args, live)?;
    } else if args.beam.is_some() {
        return Err(usage("--beam is for models of transcripts"));
    }
    let columns = args.columns.of_model(&file);
    let audio = columns.audio().filter(|_| args.wav.is_some());
    if let (Some(_), None) = (&args.wav, audio) {
        return Err(usage(format!(
            "--wav alone is for models that listen through a front end ([csv.audio] in their task), which {} has not: add --out OUT.wav for \
             one that answers every sample",
            args.model.display()
        )));
    }
    let sound = args.wav.as_ref().zip(audio);
    let mut samples = match (sound, &args.csv, &args.text, &args.lines) {
        (Some((path, audio)), ..) => Samples::sound(path, &model, audio)?,
        (_, Some(path), ..) => Samples::open(path, &model, &columns, args.raw)?,
        (_, _, Some(path), _) => Samples::text(path, &model, &columns)?,
        (.., Some(path)) => Samples::lines(path, &model, &columns)?,
        (None, None, None, None) => return Err(usage("give --csv, --text, --lines or --wav")),
    };
    // What --beam gives is about all of a recording.
    let timed = sound.is_some() && args.beam.is_none();
    let kept = match (timed, args.keep.is_empty()) {
        (true, _) => vec![SECOND.to_owned()],
        (false, true) => Vec::new(),
        (false, false) => samples.keep(&args.keep)?,
    };
    let how = How {
        group: samples.group_column().map(str::to_owned),
        every: samples.stride(),
        raw: args.raw,
        every_step: args.every_step,
        reset_every: args.reset_every,
    };
    let (states, crc) = (Arena::new(), crc32(&file.bytes));
    let kernels = kernels(args.kernels.as_deref());
    let watch = Watch::new(&model, columns.wake()).filter(|_| !args.raw);
    let watched = watch.is_some();
    let mut streams = Streams::new(&model, &states, kernels, shape, how, watch);
    streams.beam = args.beam.map(usize::from);
    if let Some(path) = &args.state_in {
        let memory = streams.open(path, crc)?;
        if !samples.remember(memory) {
            bail!(
                "{}: the state was saved with other --columns, or not of a recording",
                path.display()
            );
        }
    }
    let group = samples.group_column().map(str::to_owned);
    let mut futures = args.paths.map(|_| Futures::new(&model, args.seed));
    let fan = futures
        .as_ref()
        .map_or(Vec::new(), |futures| fan_names(args, futures));
    let mut table = Table::new(&model, args, (group, kept), live, (watched, fan));
    if timed {
        table.listens(args, columns.wake());
    }
    let written = Written::in_model(&file.bytes).unwrap_or_default();
    let mut beyond = Beyond::new(&model).fitted_to(&written);
    let mut unheld = Unheld::new(&model);
    let mut out = (&mut table, &mut beyond, &mut unheld, futures.as_mut());
    let read = answer(args, &model, &mut samples, &mut streams, &mut out);
    if table.hears == Some(Hears::Whole) {
        for (group, stream) in streams.all().filter(|(_, stream)| stream.rows > 0) {
            table.whole(Some(group), stream)?;
        }
    }
    // Whatever ended it: what was answered stands, and the state is that of the last whole row.
    let flushed = table.flush();
    let saved = match &args.state_out {
        Some(path) => streams.save(path, crc, samples.memory()),
        None => Ok(()),
    };
    samples.tell();
    if let (Ok(End::Input), Some(file), 0) = (&read, input, samples.rows()) {
        say(&format!(
            "note: {}: no rows, so there is no answer",
            file.display()
        ));
    }
    if let (Ok(End::Input), 1.., 0) = (&read, samples.rows(), table.lines)
        && let Some(note) = no_answer(args, &model, samples.rows(), table.word)
    {
        say(&format!("note: {note}"));
    }
    if table.short > 0 {
        say(&format!(
            "warning: {} of {} texts are too short for an answer, and have NaN",
            table.short, table.lines
        ));
    }
    let silent = (streams.all()).filter(|(_, stream)| stream.rows > 0 && !stream.spoke[1]);
    let silent = silent.count();
    if silent > 0 && table.lines > 0 && streams.how.group.is_some() {
        let all = streams.all().count();
        say(&format!(
            "note: {silent} of {all} groups have no answer: their rows are fewer than the model needs for its first one"
        ));
    }
    let cut = beyond.notes();
    cut.iter().for_each(|note| say(&format!("warning: {note}")));
    for note in unheld.notes(samples.rows()) {
        say(&format!("note: {note}"));
    }
    streams
        .note()
        .iter()
        .for_each(|note| say(&format!("note: {note}")));
    if let (Err(_), Ok(()), Some(path)) = (&read, &saved, &args.state_out) {
        say(&format!(
            "{}: written, after the last row that was answered",
            path.display()
        ));
    }
    saved?;
    if let End::Stopped(rows) = read? {
        let stopped = format!("stopped by a signal after {rows} rows");
        if !live {
            bail!("{stopped}; the rest of the file has no answer");
        }
        say(&format!("note: {stopped}"));
    }
    flushed?;
    if let Some(steps) = args.ahead {
        let futures = futures.as_mut().zip(args.paths);
        ahead_of(steps, &mut streams, &mut table, futures, &args.quantiles)?;
    }
    table.flush()?;
    Ok(())
}

/// Why rows have no answer, if they might have had one.
fn no_answer(args: &Args, model: &Model<'_>, rows: u64, word: Option<&str>) -> Option<String> {
    let Shape::Window { window, .. } = model.header().shape else {
        return None;
    };
    Some(match (word, args.reset_every) {
        (Some(word), _) if rows >= window.into() => format!("{word:?} was not said"),
        (_, Some(every)) if every < window.into() => format!(
            "there is no answer: the model answers after {window} rows, and --reset-every {every} starts anew before"
        ),
        _ => {
            format!("{rows} rows, and no answer: the model answers after {window} rows of a stream")
        }
    })
}

/// How a stream ended.
enum End {
    Input,
    /// By a signal, after so many rows.
    Stopped(u64),
}

/// Answers all samples.
fn answer(
    args: &Args,
    model: &Model<'_>,
    samples: &mut Samples,
    streams: &mut Streams<'_, '_>,
    (table, beyond, unheld, futures): &mut (
        &mut Table<'_>,
        &mut Beyond<'_>,
        &mut Unheld<'_>,
        Option<&mut Futures>,
    ),
) -> Result<End> {
    let stopped = cancel_on_signal();
    let at_the_end = is_of_texts(model) && !args.every_step && !model.is_bidirectional();
    let mut rows = 0;
    table.begin()?;
    loop {
        if stopped.load(Ordering::Relaxed) {
            return Ok(End::Stopped(rows));
        }
        let more = samples.next();
        // Half a row may have been on its way.
        if stopped.load(Ordering::Relaxed) && !samples.is_complete() {
            return Ok(End::Stopped(rows));
        }
        if !more? {
            return Ok(match stopped.load(Ordering::Relaxed) {
                true => End::Stopped(rows),
                false => End::Input,
            });
        }
        let (sample, group) = (samples.current(), samples.group());
        let stream = streams.of(group.unwrap_or(""))?;
        if matches!(sample, Sample::EndOfText) {
            if at_the_end {
                if !stream.spoke[0] {
                    // What lies there is no answer.
                    stream.y.fill(f32::NAN);
                    table.short += 1;
                }
                table.line(&stream.y, None, None, samples.kept())?;
            }
            stream.reset();
            continue;
        }
        if stream.rows > 0
            && args
                .reset_every
                .is_some_and(|n| stream.rows.is_multiple_of(n))
        {
            if table.hears == Some(Hears::Whole) {
                table.whole(group, stream)?;
            }
            stream.reset();
        }
        rows += 1;
        stream.rows += 1;
        if let Sample::Features(x) = sample
            && !args.raw
        {
            beyond.meet(x);
            if let Some(futures) = futures.as_mut().filter(|_| stream.answered) {
                futures.meet(&stream.y, samples.measured());
            }
            unheld.meet(x, &mut stream.known);
        }
        let woken = stream.verdict.is_some_and(|verdict| verdict.alarm);
        let answered = step(args, stream, sample, samples.measured());
        stream.spoke = stream.spoke.map(|spoke| spoke | answered);
        stream.answered = answered && !at_the_end;
        if stream.answered {
            if !args.raw {
                let place = samples.line().map_or(("row", rows), |line| ("line", line));
                unheld.answer(&stream.y, &stream.known, place);
                beyond.answer(&stream.y);
            }
            if let (Some(word), Some(verdict)) = (table.word, stream.verdict) {
                if verdict.alarm && !woken {
                    let cells = [word.into(), number(verdict.score)];
                    table.said(group, samples.kept(), cells)?;
                }
                continue;
            }
            if let Some(hears) = table.hears {
                let token = stream.said.push(&stream.y);
                if let (Hears::Tokens, Some(token)) = (hears, token) {
                    let row = (!table.timed).then(|| stream.rows.into());
                    let token = table.classes()[token].into();
                    table.said(group, samples.kept(), row.into_iter().chain([token]))?;
                }
                continue;
            }
            table.line(&stream.y, stream.verdict, group, samples.kept())?;
        }
    }
}

/// Runs a stream on a sample, of which so much was measured; true if there is an answer.
fn step(args: &Args, stream: &mut Stream<'_, '_>, sample: Sample<'_>, measured: &[f32]) -> bool {
    match (sample, &mut stream.runner) {
        (Sample::EndOfText, _) => false,
        (Sample::Token(token), AnyRunner::Steps(runner)) => {
            runner.step_token(token, &mut stream.y);
            runner.answered()
        }
        (Sample::Token(token), AnyRunner::Windows(runner)) => {
            stream.tokens.push(token);
            let complete = stream.tokens.len() == runner.window();
            if complete {
                runner.run_tokens(&stream.tokens, &mut stream.y);
                stream.tokens.clear();
            }
            complete
        }
        (Sample::Features(x), AnyRunner::Steps(runner)) if args.raw => {
            runner.step_raw(x, &mut stream.y);
            runner.answered()
        }
        (Sample::Features(x), _) => {
            if args.ahead.is_some() {
                stream.sample.clear();
                stream.sample.extend_from_slice(x);
            }
            let watch = stream.watch.as_mut();
            let foretold = if stream.foretells { &stream.y[..] } else { &[] };
            let verdict = watch.and_then(|watch| watch.sample(foretold, measured));
            let answered = stream.push(x);
            stream.foretells = answered;
            let watch = stream.watch.as_mut().filter(|_| answered);
            let verdict = verdict.or(watch.and_then(|watch| watch.answer(&stream.y)));
            stream.verdict = verdict.or(stream.verdict);
            answered
        }
    }
}

/// The columns of quantiles that answers get where a model has none of its own.
fn fan_names(args: &Args, futures: &Futures) -> Vec<String> {
    let means = futures.names().filter(|(_, outputs)| outputs.is_empty());
    let of = |(name, _): (&str, _)| {
        let levels = args.quantiles.iter();
        let names = levels.map(|&level| Target::at_quantile(name, level));
        names.collect::<Vec<_>>()
    };
    means.flat_map(of).collect()
}

/// A stream that goes on from where it was saved.
struct Paths<'p, 's, 'a> {
    stream: &'p mut Stream<'s, 'a>,
    saved: SavedStream,
}

impl Walk for Paths<'_, '_, '_> {
    fn back(&mut self) {
        // It was saved from this very stream, so it fits.
        let _ = self.stream.restore(&self.saved);
    }

    fn step(&mut self, sample: &[f32], y: &mut [f32]) {
        self.stream.push(sample);
        y.copy_from_slice(&self.stream.y);
    }
}

/// Predicts on from the last row of every stream.
fn ahead_of(
    steps: u32,
    streams: &mut Streams<'_, '_>,
    table: &mut Table<'_>,
    mut futures: Option<(&mut Futures, u32)>,
    levels: &[f64],
) -> Result<()> {
    let grouped = streams.how.group.is_some();
    let (mut all, mut without) = (0, 0);
    if let Some((futures, paths)) = &futures {
        match futures.errors() {
            None => say(&format!(
                "note: quantiles --ahead are those of {paths} paths: on each what the model's own quantiles say of the next row is drawn and fed back"
            )),
            Some(0) => {
                return Err(anyhow!(
                    "--paths draws from the errors of the model on the rows before, and there are none: give more rows"
                ));
            }
            Some(errors) => say(&format!(
                "note: quantiles --ahead are those of {paths} paths: on each one of the model's last {errors} errors on these rows is drawn and fed back \
                 with the prediction. They are as good as those errors are typical: rows that training has seen make them too narrow"
            )),
        }
    }
    for (group, stream) in streams.all() {
        all += 1;
        if !stream.answered {
            without += 1;
            continue;
        }
        let mut last = std::mem::take(&mut stream.sample);
        let mut fan = Vec::new();
        if let Some((futures, paths)) = &mut futures {
            let saved = stream.saved()?;
            let y = stream.y.clone();
            let mut walk = Paths { stream, saved };
            // The first step is what the last row's answer was about.
            let reach = (steps as usize + 1, *paths as usize);
            fan = futures.fan(&mut walk, (&y, &last), reach);
        }
        let mut fan = fan.into_iter().skip(1);
        for _ in 0..steps {
            if let AnyRunner::Steps(runner) = &stream.runner {
                runner.feed_back(&stream.y, &mut last);
            }
            stream.push(&last);
            let mut y = stream.y.clone();
            if let (Some((futures, _)), Some(numbers)) = (&futures, fan.next()) {
                for ((_, outputs), sorted) in futures.names().zip(&numbers) {
                    match outputs.is_empty() {
                        true => y.extend(levels.iter().map(|&level| quantile(sorted, level))),
                        false => outputs.iter().for_each(|&(output, level)| {
                            y[output] = quantile(sorted, level);
                        }),
                    }
                }
            }
            // What was predicted says nothing about what is odd.
            table.line(&y, None, grouped.then_some(group), std::iter::empty())?;
        }
    }
    table.flush()?;
    if without == all {
        return Err(anyhow!(
            "--ahead goes on from the last row, and no window ends there"
        ));
    }
    if without > 0 {
        say(&format!(
            "note: {without} of {all} groups have no --ahead, as no window ends with their last row"
        ));
    }
    Ok(())
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
    if is_of_texts(model) && (args.state_in.is_some() || args.state_out.is_some()) {
        return Err(usage(
            "every text starts anew, so there is no state to go on from; remove --state-in and --state-out",
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
    if args.ahead.is_some() && (hop != 1 || (exact && window == 1)) {
        return Err(usage(format!(
            "--ahead needs an output for every sample, and the model answers every {hop} samples; \
             add --every-step"
        )));
    }
    ahead(args, model).map(|()| shape)
}

/// Refuses what goes with answers for every row.
fn fits_transcripts(args: &Args, live: bool) -> Result<()> {
    if args.state_in.is_some() || args.state_out.is_some() {
        return Err(usage(
            "a token may be going on at the end of a file, and a saved state does not say so: give all rows at once, in place of --state-in \
             and --state-out",
        ));
    }
    if live && args.beam.is_some() {
        return Err(usage(
            "--beam knows its tokens at the end only, and rows of standard input are answered as they arrive; remove it, or give a file",
        ));
    }
    if !live && !args.keep.is_empty() {
        return Err(usage(
            "a transcript is of all rows, and --keep of one; the rows of --csv - are answered one by one",
        ));
    }
    Ok(())
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

/// Lines of outputs on standard output.
struct Table<'a> {
    out: BufWriter<StdoutLock<'static>>,
    /// Columns of a row that stand before its answer: the group, then those to keep.
    own: Vec<String>,
    grouped: bool,
    /// Of the answer: `class` where there are classes, the outputs, then `score` and `alarm` where it is watched.
    names: Vec<String>,
    /// The best output is told by its name first.
    classes: Option<Vec<&'a str>>,
    /// Objects, not fields.
    json: bool,
    /// Every line is waited for.
    live: bool,
    /// Lines end with a score and whether it is an alarm.
    watched: bool,
    /// The numbers of an answer; behind those of a row, which are fewer, there are empty fields.
    numbers: usize,
    /// Answers so far.
    lines: u64,
    /// Of texts that are too short for an answer.
    short: u64,
    /// What is told of a model of transcripts.
    hears: Option<Hears>,
    /// Rows are frames of a recording, and begin with the second of it.
    timed: bool,
    /// What alone is told of them.
    word: Option<&'a str>,
}

/// What is told of transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hears {
    /// All of one, at its end.
    Whole,
    /// Every token, when it is known.
    Tokens,
}

impl<'a> Table<'a> {
    fn new(
        model: &Model<'a>,
        args: &Args,
        (group, kept): (Option<String>, Vec<String>),
        live: bool,
        (watched, fan): (bool, Vec<String>),
    ) -> Self {
        let grouped = group.is_some();
        let outputs: Vec<&str> = output_names(model).iter().map(|n| n.0).collect();
        let hears = match (is_of_transcripts(model) && !args.raw, live) {
            (false, _) => None,
            (true, true) => Some(Hears::Tokens),
            (true, false) => Some(Hears::Whole),
        };
        let classes = matches!(model.header().output, Output::Classes { .. }) && !args.raw;
        let own: Vec<String> = group.into_iter().chain(kept).collect();
        let first = classes.then_some("class");
        let last = if watched {
            &["score", "alarm"][..]
        } else {
            &[]
        };
        let numbers = outputs.len() + fan.len();
        let names = first
            .into_iter()
            .chain(outputs.iter().copied())
            .chain(fan.iter().map(String::as_str))
            .chain(last.iter().copied());
        let names: Vec<&str> = match hears {
            None => names.collect(),
            Some(Hears::Whole) => vec!["transcript"],
            Some(Hears::Tokens) => vec!["row", "token"],
        };
        let names = names
            .into_iter()
            .map(|name| match own.iter().any(|own| own == name) {
                true => format!("predicted {name}"),
                false => name.to_owned(),
            });
        let mut names: Vec<String> = names.collect();
        // A class may be called "class", and an output "score".
        for k in 1..names.len() {
            while names[..k].contains(&names[k]) {
                names[k].push('_');
            }
        }
        Table {
            out: BufWriter::new(io::stdout().lock()),
            names,
            grouped,
            own,
            hears,
            classes: classes.then_some(outputs),
            json: args.json,
            live,
            watched,
            numbers,
            lines: 0,
            short: 0,
            timed: false,
            word: None,
        }
    }

    /// Of a recording tokens are told when they are heard, and of a model that waits for a word only when that is.
    fn listens(&mut self, args: &Args, word: Option<&'a str>) {
        self.timed = true;
        if self.hears.is_some() {
            self.hears = Some(Hears::Tokens);
            self.names = vec!["token".into()];
        } else if word.is_some() && !args.every_step {
            self.word = word;
            self.names = vec!["word".into(), "score".into()];
        }
    }

    /// The names of the columns.
    fn begin(&mut self) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let header: Vec<String> = self
            .own
            .iter()
            .chain(&self.names)
            .map(|name| field(name))
            .collect();
        writeln!(self.out, "{}", header.join(","))?;
        self.end_line()
    }

    /// An answer. After the last row there is none whose columns could be kept.
    fn line<'k>(
        &mut self,
        y: &[f32],
        verdict: Option<Verdict>,
        group: Option<&'k str>,
        kept: impl Iterator<Item = &'k str>,
    ) -> Result<()> {
        self.lines += 1;
        let own = group.filter(|_| self.grouped).into_iter().chain(kept);
        let class = self.classes.as_ref().map(|classes| classes[argmax(y)]);
        if self.json {
            let mut own = own.fuse();
            let own = self
                .own
                .iter()
                .map(|name| (name, self.own_value(own.next())));
            let class = class.map(Value::from);
            let verdict = verdict.map(|v| [number(v.score), v.alarm.into()]);
            let missing = std::iter::repeat_n(Value::Null, self.numbers - y.len());
            let answer = class
                .into_iter()
                .chain(y.iter().map(|&y| number(y)))
                .chain(missing);
            let answer = answer.chain(verdict.into_iter().flatten());
            let object: Map<String, Value> = own
                .chain(self.names.iter().zip(answer))
                .map(|(name, value)| (name.clone(), value))
                .collect();
            writeln!(self.out, "{}", Value::Object(object))?;
            return self.end_line();
        }
        let empty = std::iter::repeat("");
        for text in own.chain(empty).take(self.own.len()) {
            write!(self.out, "{},", field(text))?;
        }
        if let Some(class) = class {
            write!(self.out, "{},", field(class))?;
        }
        for (k, y) in y.iter().enumerate() {
            write!(self.out, "{}{y}", if k == 0 { "" } else { "," })?;
        }
        for _ in y.len()..self.numbers {
            write!(self.out, ",")?;
        }
        match verdict {
            Some(Verdict { score, alarm }) => write!(self.out, ",{score},{}", u8::from(alarm))?,
            None if self.watched => write!(self.out, ",,")?,
            None => {}
        }
        writeln!(self.out)?;
        self.end_line()
    }

    /// What stands before an answer; the second of a recording is a number.
    fn own_value(&self, text: Option<&str>) -> Value {
        match text.and_then(|text| text.parse::<f64>().ok()) {
            Some(second) if self.timed => second.into(),
            _ => text.into(),
        }
    }

    /// The names of the classes.
    fn classes(&self) -> &[&'a str] {
        self.classes.as_deref().unwrap_or_default()
    }

    /// A line about what is said.
    fn said<'k>(
        &mut self,
        group: Option<&'k str>,
        kept: impl Iterator<Item = &'k str>,
        cells: impl IntoIterator<Item = Value>,
    ) -> Result<()> {
        self.lines += 1;
        let own = group.filter(|_| self.grouped).into_iter().chain(kept);
        let own: Vec<Value> = own.map(|own| self.own_value(Some(own))).collect();
        let cells = own.into_iter().chain(cells);
        if self.json {
            let names = self.own.iter().chain(&self.names).cloned();
            let object: Map<String, Value> = names.zip(cells).collect();
            writeln!(self.out, "{}", Value::Object(object))?;
        } else {
            let cells = cells.map(|cell| match cell {
                Value::String(text) => field(&text),
                other => other.to_string(),
            });
            writeln!(self.out, "{}", cells.collect::<Vec<_>>().join(","))?;
        }
        self.end_line()
    }

    /// All that a stream has said.
    fn whole(&mut self, group: Option<&str>, stream: &Stream<'_, '_>) -> Result<()> {
        let text = written(stream.said.tokens(), self.classes());
        self.said(group, std::iter::empty(), [text.into()])
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

/// A number as it is printed: the shortest digits that read back the same. What is none is null.
fn number(y: f32) -> Value {
    y.to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}
