//! `kinglet train` of a pair, and `kinglet translate`.

use super::calibrate::judge;
use super::names::{float_of, history_of, pair_of};
use super::samples::Tokens;
use super::texts::unknown_note;
use super::{kernel_names, kernels, print_json, say, say_notes, usage};
use anyhow::{Context, Result, anyhow};
use kinglet::format::{Format, Input, Layout, Output};
use kinglet::{Model, Runner, StateError};
use kinglet_trainer::data::vocabulary::{Unit, Vocabulary};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::fidelity::{Fidelity, MOST};
use kinglet_trainer::file::{AlignedBytes, Exported, save};
use kinglet_trainer::model_file::{ModelFile, input_names};
use kinglet_trainer::report::history::{Phase, epochs, to_csv};
use kinglet_trainer::train::pair::{Pair, evaluate_pair, translate};
use kinglet_trainer::train::{Fitted, nearest_text};
use serde::Serialize;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
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

/// Read texts with an encoder, and print what its decoder says to each
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet train dates.toml --out dates.kgl
  kinglet translate dates.encoder.kgl dates.decoder.kgl --lines letters.txt
  echo '3 Nov 2026' | kinglet translate dates.encoder.kgl dates.decoder.kgl --lines -")]
pub struct Args {
    #[arg(value_name = "ENCODER.kgl")]
    encoder: PathBuf,

    #[arg(value_name = "DECODER.kgl")]
    decoder: PathBuf,

    /// Texts, a line each; - reads standard input
    #[arg(long, value_name = "FILE")]
    lines: PathBuf,

    /// Tokens that an answer has at the most
    #[arg(long, value_name = "N", default_value_t = 100)]
    length: usize,

    /// Kernel table, for comparison; the fastest by default
    #[arg(long, value_name = "NAME", value_parser = kernel_names())]
    kernels: Option<String>,
}

/// How texts become an encoder's tokens, and a decoder's tokens texts.
pub struct Languages<'m> {
    reads: Vocabulary,
    unknown: Tokens,
    said: Vec<&'m str>,
    separator: &'static str,
}

impl<'m> Languages<'m> {
    /// # Errors
    /// If these are no encoder and decoder of tokens.
    pub fn new(encoder: &Model<'_>, decoder: &'m Model<'_>) -> Result<Self> {
        let tokens = |model: &Model<'_>| matches!(model.header().input, Input::Tokens { .. });
        let gives = matches!(decoder.header().output, Output::NextToken { .. });
        if !(tokens(encoder) && tokens(decoder) && gives) {
            return Err(usage(
                "expected an encoder and a decoder of tokens, as `kinglet train` makes them of a task with [pairs]",
            ));
        }
        let said: Vec<&str> = input_names(decoder).iter().map(|n| n.0).collect();
        let reads: Vec<&str> = input_names(encoder).iter().map(|n| n.0).collect();
        Ok(Languages {
            reads: Vocabulary::new(&reads),
            unknown: Tokens::new(encoder, false),
            separator: match Vocabulary::new(&said).unit() {
                Unit::Characters => "",
                Unit::Words => " ",
            },
            said,
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

    /// The text of an answer.
    pub fn text(&self, tokens: &[usize]) -> String {
        let said: Vec<&str> = tokens.iter().map(|&token| self.said[token]).collect();
        said.join(self.separator)
    }
}

/// That two models are no pair.
pub fn no_pair(encoder: &Path, decoder: &Path, error: StateError) -> anyhow::Error {
    let (encoder, decoder) = (encoder.display(), decoder.display());
    anyhow!("{decoder} is not the decoder of {encoder}: {error}")
}

/// Opens an encoder and a decoder, and lets `work` read with the one and speak with the other.
pub fn with_pair(
    [encoder, decoder]: [&Path; 2],
    table: Option<&str>,
    work: impl FnOnce(&Languages<'_>, Runner<'_, '_>, Runner<'_, '_>) -> Result<()>,
) -> Result<()> {
    let files = [ModelFile::read(encoder)?, ModelFile::read(decoder)?];
    let (encoder, decoder) = (files[0].model()?, files[1].model()?);
    let languages = Languages::new(&encoder, &decoder)?;
    let mut states = [&encoder, &decoder].map(|model| AlignedBytes::zeroed(model.state_len()));
    let [a, b] = &mut states;
    let kernels = kernels(table);
    let reader = encoder.bind_bytes(a)?.with_kernels(kernels);
    let speaker = decoder.bind_bytes(b)?.with_kernels(kernels);
    work(&languages, reader, speaker)
}

pub fn run(args: &Args) -> Result<()> {
    with_pair(
        [&args.encoder, &args.decoder],
        args.kernels.as_deref(),
        |languages, reader, speaker| translate_lines(args, languages, reader, speaker),
    )
}

fn translate_lines(
    args: &Args,
    languages: &Languages<'_>,
    mut reader: Runner<'_, '_>,
    mut speaker: Runner<'_, '_>,
) -> Result<()> {
    let file = args.lines.display();
    let input: Box<dyn BufRead> = if args.lines == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(&args.lines);
        Box::new(BufReader::new(
            opened.with_context(|| format!("{file}: cannot be read"))?,
        ))
    };
    let mut out = io::stdout().lock();
    let (mut all, mut strange) = (0, 0);
    for (number, line) in input.lines().enumerate() {
        let line = line.with_context(|| format!("{file}: cannot be read"))?;
        let read = languages.tokens(&line);
        let (read, unknown) = read.with_context(|| format!("{file}:{}", number + 1))?;
        all += read.len() as u64;
        strange += unknown;
        let said = translate(&mut reader, &mut speaker, &read, args.length)
            .map_err(|error| no_pair(&args.encoder, &args.decoder, error))?;
        writeln!(out, "{}", languages.text(&said.tokens))?;
        out.flush()?;
    }
    if let Some(note) = unknown_note(&file.to_string(), strange, all) {
        say(&format!("note: {note}"));
    }
    Ok(())
}
