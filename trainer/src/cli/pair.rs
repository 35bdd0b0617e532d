//! `kinglet train` of a pair, and `kinglet translate`.

use super::calibrate::judge;
use super::csv_options::{CsvOptions, Holds};
use super::names::{float_of, history_of, pair_of};
use super::samples::{Sample, Samples, Tokens, opened};
use super::texts::{next_line, unknown_note};
use super::{kernel_names, kernels, print_json, say, say_notes, usage};
use anyhow::{Context, Result, anyhow, bail};
use kinglet::format::{Format, Input, Layout, Output};
use kinglet::{Model, Runner};
use kinglet_trainer::data::vocabulary::{Unit, Vocabulary};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::fidelity::{Fidelity, MOST};
use kinglet_trainer::file::{AlignedBytes, Exported, save};
use kinglet_trainer::model_file::{ModelFile, input_names};
use kinglet_trainer::report::history::{Phase, epochs, to_csv};
use kinglet_trainer::train::pair::{Pair, Read, answer, evaluate_pair, read_on, translate};
use kinglet_trainer::train::{Fitted, nearest_text};
use serde::Serialize;
use serde_json::json;
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Trains a pair on through the integers of a format.
pub type TrainsOn<'t> = &'t mut dyn FnMut(&Pair, Format) -> Result<(Fitted, Pair)>;

/// Where the models go, and how.
pub struct Finish<'a> {
    pub out: &'a Path,
    pub json: bool,
    /// Write a pair whose answers are not those of the float one.
    pub force: bool,
}

/// Writes both models of a trained pair, in f32 too, and says how good they are; after it has been trained on, where it is.
pub fn finish(
    fitted: &Fitted,
    data: &Dataset,
    Finish { out, json, force }: Finish<'_>,
    (layout, format): (Layout, Format),
    trains_on: Option<TrainsOn<'_>>,
) -> Result<()> {
    let float = Pair::new(&fitted.package, data).context("the task has no pairs")?;
    let mut table = Table {
        data,
        rows: Vec::new(),
    };
    if let Some([valid, test]) = nearest_text(data) {
        table.rows.push(Row {
            name: "nearest text".to_owned(),
            train: None,
            valid,
            test,
            bytes: None,
        });
    }
    let mut history: Vec<_> = epochs(Phase::Float, &fitted.history).collect();
    let mut files = vec![(
        out.to_owned(),
        table.row(&float, (layout, Format::F32), "")?,
    )];
    let mut refused = None;
    if format != Format::F32 {
        files[0].0 = float_of(out);
        let trains_on = trains_on.filter(|_| format.is_integer());
        let rounded = if trains_on.is_some() { " rounded" } else { "" };
        let mut exported = table.row(&float, (layout, format), rounded)?;
        let mut twin = None;
        if let Some(trains_on) = trains_on {
            let (trained, pair) = trains_on(&float, format)?;
            history.extend(epochs(Phase::Quantized, &trained.history));
            exported = table.row(&pair, (layout, format), "")?;
            twin = Some(pair.export(layout, Format::F32)?);
        }
        // Trained through its integers it may say other words, if they are as right.
        let as_right = twin.is_some() && table.excess() <= MOST;
        let float = twin.as_ref().unwrap_or(&files[0].1);
        refused = judged(float, &exported, data, force || as_right)?.err();
        if refused.is_none() {
            files.push((out.to_owned(), exported));
        }
    }
    let history_path = history_of(out);
    save(&history_path, &to_csv(&history)?)?;
    let mut written = Vec::new();
    for (path, files) in &files {
        for (path, file) in pair_of(path).iter().zip(files) {
            say_notes(&file.notes);
            save(path, &file.bytes)?;
            written.push(path.clone());
        }
    }
    written.push(history_path);
    table.print(fitted, json.then_some(&written))?;
    for path in &written {
        say(&format!("{}: written", path.display()));
    }
    refused.map_or(Ok(()), Err)
}

/// Whether a pair answers as its float twin does; the inner error says why it is not to be written.
fn judged(
    float: &[Exported; 2],
    pair: &[Exported; 2],
    data: &Dataset,
    force: bool,
) -> Result<Result<()>> {
    let (float, models) = (models_of(float)?, models_of(pair)?);
    let fidelity = Fidelity::over_pair(float.each_ref(), models.each_ref(), data, Part::Train)?;
    let sides = ["encoder", "decoder"].into_iter().zip(pair);
    let doubts = sides.flat_map(|(side, file)| {
        file.doubts
            .iter()
            .map(move |doubt| format!("{side}, {doubt}"))
    });
    Ok(judge(
        &models[1],
        fidelity.share(),
        &doubts.collect::<Vec<_>>(),
        force,
    ))
}

fn models_of(files: &[Exported; 2]) -> Result<[Model<'_>; 2]> {
    let [encoder, decoder] = files;
    Ok([
        Model::from_bytes(&encoder.bytes)?,
        Model::from_bytes(&decoder.bytes)?,
    ])
}

/// What a pair in a format reaches.
#[derive(Serialize)]
struct Row {
    name: String,
    /// Shares of the texts of every part that come out without a mistake.
    #[serde(skip_serializing_if = "Option::is_none")]
    train: Option<f64>,
    valid: f64,
    test: f64,
    /// Of encoder and decoder.
    #[serde(flatten)]
    bytes: Option<Sizes>,
}

#[derive(Serialize)]
struct Sizes {
    encoder_bytes: usize,
    decoder_bytes: usize,
}

struct Table<'d> {
    data: &'d Dataset,
    rows: Vec<Row>,
}

impl Table<'_> {
    /// A row for a pair in a format, and its files.
    fn row(
        &mut self,
        pair: &Pair,
        (layout, format): (Layout, Format),
        how: &str,
    ) -> Result<[Exported; 2]> {
        let files = pair.export(layout, format)?;
        let [train, valid, test] = without_mistake(self.data, [&files[0].bytes, &files[1].bytes])?;
        let [encoder_bytes, decoder_bytes] = [0, 1].map(|side: usize| files[side].bytes.len());
        self.rows.push(Row {
            name: format!("{}{how}", format.name()),
            train: Some(train),
            valid,
            test,
            bytes: Some(Sizes {
                encoder_bytes,
                decoder_bytes,
            }),
        });
        Ok(files)
    }

    /// How many more texts of the validation part come out with a mistake in the last format than in the first.
    fn excess(&self) -> f64 {
        match &self.rows[..] {
            [float, .., last] => float.valid - last.valid,
            _ => f64::NAN,
        }
    }

    /// As JSON where it gets the files that were written.
    fn print(&self, fitted: &Fitted, files: Option<&Vec<PathBuf>>) -> Result<()> {
        let (epoch, all, loss) = (fitted.best_epoch, fitted.history.len(), fitted.valid_loss);
        if let Some(files) = files {
            return print_json(&json!({
                "name": fitted.package.name,
                "metric": "share without a mistake",
                "best_epoch": epoch,
                "epochs": all,
                "valid_loss": loss,
                "models": self.rows,
                "files": files,
            }));
        }
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{}: epoch {epoch} of {all} was the best, validation loss {loss:.5}\n\
             without a mistake  train    valid     test  bytes of encoder  of decoder",
            fitted.package.name
        )?;
        for row in &self.rows {
            let nothing = || "-".to_owned();
            let train = row
                .train
                .map_or_else(nothing, |share| format!("{share:.5}"));
            let bytes = row.bytes.as_ref();
            let [encoder, decoder] = [
                bytes.map(|sizes| sizes.encoder_bytes),
                bytes.map(|sizes| sizes.decoder_bytes),
            ]
            .map(|bytes| bytes.map_or_else(nothing, |bytes| bytes.to_string()));
            writeln!(
                out,
                "{:<15}  {train:>7}  {:>7.5}  {:>7.5}  {encoder:>16}  {decoder:>10}",
                row.name, row.valid, row.test
            )?;
        }
        Ok(())
    }
}

/// Share of every part.
fn without_mistake(data: &Dataset, files: [&[u8]; 2]) -> Result<[f64; 3]> {
    let (encoder, decoder) = (Model::from_bytes(files[0])?, Model::from_bytes(files[1])?);
    let mut shares = [0.0; 3];
    for (share, part) in shares.iter_mut().zip(Part::ALL) {
        *share = evaluate_pair(data, part, [&encoder, &decoder])?.1;
    }
    Ok(shares)
}

/// Read texts or samples with an encoder, and print what its decoder says to each
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet train dates.toml --out dates.kgl
  kinglet translate dates.encoder.kgl dates.decoder.kgl --lines letters.txt
  echo '3 Nov 2026' | kinglet translate dates.encoder.kgl dates.decoder.kgl --lines -
  kinglet translate captions.encoder.kgl captions.decoder.kgl --csv scenes.csv
  kinglet translate video.encoder.kgl video.decoder.kgl --csv frames.csv --group clip")]
pub struct Args {
    #[arg(value_name = "ENCODER.kgl")]
    encoder: PathBuf,

    #[arg(value_name = "DECODER.kgl")]
    decoder: PathBuf,

    /// Texts, a line each; - reads standard input
    #[arg(long, value_name = "FILE", required_unless_present = "csv")]
    lines: Option<PathBuf>,

    /// Samples for an encoder of numbers, a row each; - reads standard input. There is an answer to every row, or to the rows
    /// with the same text in the column of --group
    #[arg(long, value_name = "IN.csv", conflicts_with = "lines")]
    csv: Option<PathBuf>,

    /// Tokens that an answer has at the most
    #[arg(long, value_name = "N", default_value_t = 100)]
    length: usize,

    /// Kernel table, for comparison; the fastest by default
    #[arg(long, value_name = "NAME", value_parser = kernel_names())]
    kernels: Option<String>,

    #[command(flatten)]
    columns: CsvOptions,
}

fn has_tokens(model: &Model<'_>) -> bool {
    matches!(model.header().input, Input::Tokens { .. })
}

fn is_decoder(model: &Model<'_>) -> bool {
    has_tokens(model) && matches!(model.header().output, Output::NextToken { .. })
}

/// How texts become an encoder's tokens, and a decoder's tokens texts.
pub struct Languages<'m> {
    reads: Vocabulary,
    unknown: Tokens,
    unsaid: Tokens,
    said: Said<'m>,
}

impl<'m> Languages<'m> {
    /// # Errors
    /// If these are no encoder of tokens and no decoder.
    pub fn new(encoder: &Model<'_>, decoder: &'m Model<'_>) -> Result<Self> {
        if !(has_tokens(encoder) && is_decoder(decoder)) {
            return Err(usage(
                "expected an encoder and a decoder of tokens, as `kinglet train` makes them of a task with [pairs]",
            ));
        }
        let reads: Vec<&str> = input_names(encoder).iter().map(|n| n.0).collect();
        Ok(Languages {
            reads: Vocabulary::new(&reads),
            unknown: Tokens::new(encoder, false),
            unsaid: Tokens::new(decoder, false),
            said: Said::new(decoder),
        })
    }

    /// The tokens of a text, and how many of them stand for what has none.
    ///
    /// # Errors
    /// If the encoder has no token for something, and none for that.
    pub fn tokens(&self, text: &str) -> Result<(Vec<usize>, u64)> {
        let tokens = self.reads.tokens(text.trim());
        let tokens = tokens.map_err(|unit| anyhow!("{}", self.unknown.unknown(&unit)))?;
        let strange = tokens.iter().filter(|&&t| self.reads.is_unknown(t)).count();
        Ok((tokens, strange as u64))
    }

    /// The tokens of what a decoder should say.
    ///
    /// # Errors
    /// If the decoder has no token for something.
    pub fn shown(&self, text: &str) -> Result<Vec<usize>> {
        let tokens = Vocabulary::new(&self.said.names).tokens(text.trim());
        tokens.map_err(|unit| anyhow!("{}", self.unsaid.unknown(&unit)))
    }

    /// The text of an answer.
    pub fn text(&self, tokens: &[usize]) -> String {
        self.said.text(tokens)
    }
}

/// How a decoder's tokens become texts.
struct Said<'m> {
    names: Vec<&'m str>,
    separator: &'static str,
}

impl<'m> Said<'m> {
    fn new(decoder: &'m Model<'_>) -> Self {
        let names: Vec<&str> = input_names(decoder).iter().map(|n| n.0).collect();
        let separator = match Vocabulary::new(&names).unit() {
            Unit::Characters => "",
            Unit::Words => " ",
        };
        Said { names, separator }
    }

    fn text(&self, tokens: &[usize]) -> String {
        let said: Vec<&str> = tokens.iter().map(|&token| self.names[token]).collect();
        said.join(self.separator)
    }
}

/// Tells before anything is read that two models are no pair.
pub fn are_pair(
    files: [&Path; 2],
    encoder: &Runner<'_, '_>,
    decoder: &mut Runner<'_, '_>,
) -> Result<()> {
    let [of_encoder, of_decoder] = files.map(Path::display);
    decoder.seed_from(encoder).map_err(|error| anyhow!(
        "{of_decoder} is not the decoder of {of_encoder}: {error}; two that were quantized apart may hold their states otherwise: \
         quantize them together with --decoder"
    ))
}

/// Opens an encoder and a decoder, and lets `work` read with the one and speak with the other. It gets the encoder's file too.
pub fn with_pair(
    [encoder, decoder]: [&Path; 2],
    table: Option<&str>,
    work: impl FnOnce(&ModelFile, Runner<'_, '_>, Runner<'_, '_>) -> Result<()>,
) -> Result<()> {
    let files = [ModelFile::read(encoder)?, ModelFile::read(decoder)?];
    let (encoder, decoder) = (files[0].model()?, files[1].model()?);
    let mut states = [&encoder, &decoder].map(|model| AlignedBytes::zeroed(model.state_len()));
    let [a, b] = &mut states;
    let kernels = kernels(table);
    let reader = encoder.bind_bytes(a)?.with_kernels(kernels);
    let speaker = decoder.bind_bytes(b)?.with_kernels(kernels);
    work(&files[0], reader, speaker)
}

pub fn run(args: &Args) -> Result<()> {
    with_pair(
        [&args.encoder, &args.decoder],
        args.kernels.as_deref(),
        |encoder, reader, speaker| match (&args.lines, &args.csv) {
            (Some(lines), _) => translate_lines(args, lines, reader, speaker),
            (None, csv) => {
                let csv = csv.as_deref().unwrap_or(Path::new("-"));
                translate_samples(args, csv, encoder, reader, speaker)
            }
        },
    )
}

fn translate_lines(
    args: &Args,
    lines: &Path,
    mut reader: Runner<'_, '_>,
    mut speaker: Runner<'_, '_>,
) -> Result<()> {
    let languages = Languages::new(reader.model(), speaker.model())?;
    are_pair([&args.encoder, &args.decoder], &reader, &mut speaker)?;
    let (mut input, file, ..) = opened(lines, &args.columns)?;
    args.columns.fitting(&file, Holds::Lines)?;
    let mut out = io::stdout().lock();
    let (mut all, mut strange) = (0, 0);
    let mut number = 1;
    while let Some(line) = next_line(&mut *input, &file, number, None)? {
        let read = languages.tokens(&line);
        let (read, unknown) = read.with_context(|| format!("{file}:{number}"))?;
        number += 1;
        all += read.len() as u64;
        strange += unknown;
        let said = translate(&mut reader, &mut speaker, Read::Tokens(&read), args.length)?;
        writeln!(out, "{}", languages.text(&said.tokens))?;
        out.flush()?;
    }
    if let Some(note) = unknown_note(&file, strange, all) {
        say(&format!("note: {note}"));
    }
    Ok(())
}

/// Every row of a file is a sequence, or every run of rows with the same text in a column, or all of them are one.
fn translate_samples(
    args: &Args,
    csv: &Path,
    file: &ModelFile,
    mut encoder: Runner<'_, '_>,
    mut decoder: Runner<'_, '_>,
) -> Result<()> {
    if has_tokens(encoder.model()) || !is_decoder(decoder.model()) {
        return Err(usage(
            "--csv: expected an encoder of numbers and a decoder of tokens; an encoder of texts takes --lines",
        ));
    }
    are_pair([&args.encoder, &args.decoder], &encoder, &mut decoder)?;
    let columns = args.columns.of_model(file);
    let mut samples = Samples::open(csv, encoder.model(), &columns, false)?;
    let said = Said::new(decoder.model());
    let mut out = io::stdout().lock();
    let mut tell = |encoder: &Runner<'_, '_>| -> Result<()> {
        let answer = answer(encoder, &mut decoder, args.length)?;
        writeln!(out, "{}", said.text(&answer.tokens))?;
        Ok(out.flush()?)
    };
    let alone = samples.group_column().is_none() && !columns.was_grouped();
    let mut groups = HashSet::new();
    let mut group: Option<String> = None;
    while samples.next()? {
        let now = samples.group().unwrap_or("");
        if group.as_deref() != Some(now) {
            if group.is_some() {
                tell(&encoder)?;
            }
            encoder.reset();
            group = Some(now.to_owned()).filter(|_| !alone);
            if !alone && !groups.insert(now.to_owned()) {
                bail!(
                    "{}: row {}: {now:?} comes again in column {:?}, and what was read before is answered; put the rows of a group \
                     together",
                    csv.display(),
                    samples.rows(),
                    samples.group_column().unwrap_or("")
                );
            }
        }
        if let Sample::Features(sample) = samples.current() {
            read_on(&mut encoder, Read::Samples(sample));
        }
        if alone {
            tell(&encoder)?;
        }
    }
    if group.is_some() {
        tell(&encoder)?;
    }
    samples.tell();
    Ok(())
}
