//! `kinglet train` of a pair, and `kinglet translate`.

use super::model_file::{ModelFile, input_names};
use super::report::history_of;
use super::samples::Tokens;
use super::{kernel_names, kernels, say, say_notes, usage};
use anyhow::{Context, Result, anyhow};
use kinglet::Model;
use kinglet::format::{Format, Layout, Output};
use kinglet_trainer::data::vocabulary::{Unit, Vocabulary};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::file::{AlignedBytes, save};
use kinglet_trainer::report::history::{Phase, epochs, to_csv};
use kinglet_trainer::train::Fitted;
use kinglet_trainer::train::pair::{Pair, evaluate_pair, translate};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// `dates.kgl` becomes `dates.encoder.kgl` and `dates.decoder.kgl`.
pub fn paths(out: &Path) -> [PathBuf; 2] {
    ["encoder", "decoder"].map(|side| {
        let extension = out.extension().unwrap_or("kgl".as_ref());
        let mut name = out.file_stem().unwrap_or_default().to_owned();
        name.push(format!(".{side}."));
        name.push(extension);
        out.with_file_name(name)
    })
}

/// Writes both models of a trained pair, and says how good they are in f32 and in the format of the files.
pub fn finish(
    fitted: &Fitted,
    data: &Dataset,
    out: &Path,
    (layout, format): (Layout, Format),
) -> Result<()> {
    let pair = Pair::new(&fitted.package, data).context("the task has no pairs")?;
    let mut table = io::stdout().lock();
    let (epoch, all, loss) = (fitted.best_epoch, fitted.history.len(), fitted.valid_loss);
    writeln!(
        table,
        "{}: epoch {epoch} of {all} was the best, validation loss {loss:.5}",
        fitted.package.name
    )?;
    writeln!(
        table,
        "without a mistake  train    valid     test  bytes of encoder  of decoder"
    )?;
    let mut files = Vec::new();
    for format in [Some(Format::F32), (format != Format::F32).then_some(format)] {
        let Some(format) = format else { continue };
        files = pair.export(layout, format)?.to_vec();
        let models = [
            Model::from_bytes(&files[0].bytes)?,
            Model::from_bytes(&files[1].bytes)?,
        ];
        write!(table, "{:<13}", format.name())?;
        for part in Part::ALL {
            let (_, right) = evaluate_pair(data, part, [&models[0], &models[1]])?;
            write!(table, "  {right:>7.5}")?;
        }
        let [encoder, decoder] = [&files[0], &files[1]].map(|file| file.bytes.len());
        writeln!(table, "  {encoder:>16}  {decoder:>10}")?;
    }
    let history = to_csv(&epochs(Phase::Float, &fitted.history).collect::<Vec<_>>())?;
    let history_path = history_of(out);
    for (path, file) in paths(out).iter().zip(&files) {
        say_notes(&file.notes);
        save(path, &file.bytes)?;
        say(&format!("{}: written", path.display()));
    }
    save(&history_path, &history)?;
    say(&format!("{}: written", history_path.display()));
    Ok(())
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

pub fn run(args: &Args) -> Result<()> {
    let files = [
        ModelFile::read(&args.encoder)?,
        ModelFile::read(&args.decoder)?,
    ];
    let (encoder, decoder) = (files[0].model()?, files[1].model()?);
    let tokens =
        |model: &Model<'_>| matches!(model.header().input, kinglet::format::Input::Tokens { .. });
    let gives = matches!(decoder.header().output, Output::NextToken { .. });
    if !(tokens(&encoder) && tokens(&decoder) && gives) {
        return Err(usage(
            "expected an encoder and a decoder of tokens, as `kinglet train` makes them of a task with [pairs]",
        ));
    }
    let mut states = [&encoder, &decoder].map(|model| AlignedBytes::zeroed(model.state_len()));
    let [a, b] = &mut states;
    let kernels = kernels(args.kernels.as_deref());
    let mut reader = encoder.bind_bytes(a)?.with_kernels(kernels);
    let mut speaker = decoder.bind_bytes(b)?.with_kernels(kernels);
    let names: Vec<&str> = input_names(&decoder).iter().map(|n| n.0).collect();
    let reads: Vec<&str> = input_names(&encoder).iter().map(|n| n.0).collect();
    let vocabulary = Vocabulary::new(&reads);
    let unknown = Tokens::new(&encoder, false);
    let separator = match Vocabulary::new(&names).unit() {
        Unit::Characters => "",
        Unit::Words => " ",
    };
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
    for (number, line) in input.lines().enumerate() {
        let line = line.with_context(|| format!("{file}: cannot be read"))?;
        let read = vocabulary.tokens(line.trim());
        let read =
            read.map_err(|unit| anyhow!("{file}:{}: {}", number + 1, unknown.unknown(unit)))?;
        let said = translate(&mut reader, &mut speaker, &read, args.length);
        let said = said.map_err(|error| {
            let decoder = args.decoder.display();
            anyhow!(
                "{decoder} is not the decoder of {}: {error}",
                args.encoder.display()
            )
        })?;
        let said: Vec<&str> = said.iter().map(|&token| names[token]).collect();
        writeln!(out, "{}", said.join(separator))?;
        out.flush()?;
    }
    Ok(())
}
