//! `kinglet chat`: an encoder that reads on from turn to turn, and what its decoder says to all of it.

use super::csv_options::encoding_name;
use super::pair::{Languages, are_pair, with_pair};
use super::texts::next_line;
use super::{kernel_names, say};
use anyhow::Result;
use kinglet::Runner;
use kinglet_trainer::data::DataError;
use kinglet_trainer::data::open::encoding;
use kinglet_trainer::train::pair::{Read, answer, read_on};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// What stands for an answer that is not given.
const UNCLEAR: &str = "not understood";

/// Talk with an encoder and a decoder: a line in, an answer out, and what was said before is remembered
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet train commands.toml --out commands.kgl
  kinglet chat commands.encoder.kgl commands.decoder.kgl
  printf 'set the pump to 40 percent\\nnow turn it off\\n' | kinglet chat commands.encoder.kgl commands.decoder.kgl --probabilities

Reads standard input, a turn per line; an empty line begins a new conversation. The encoder's state goes on from turn to turn, so a pair
should be trained on what was said so far, and the answer to the last of it. Where the decoder says nothing, or its answer's probability is
below the threshold, the answer is \"not understood\" and the turn is forgotten.")]
pub struct Args {
    #[arg(value_name = "ENCODER.kgl")]
    encoder: PathBuf,

    #[arg(value_name = "DECODER.kgl")]
    decoder: PathBuf,

    /// Least probability of an answer that is given, from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.5, value_parser = probability)]
    threshold: f64,

    /// Print how probable each answer is behind it, after a tab
    #[arg(long)]
    probabilities: bool,

    /// Tokens that an answer has at the most
    #[arg(long, value_name = "N", default_value_t = 100)]
    length: usize,

    /// How what is typed is encoded, if not as UTF-8: windows-1252, cp949
    #[arg(long, value_name = "NAME", value_parser = encoding_name)]
    encoding: Option<String>,

    /// Kernel table, for comparison; the fastest by default
    #[arg(long, value_name = "NAME", value_parser = kernel_names())]
    kernels: Option<String>,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

pub fn run(args: &Args) -> Result<()> {
    with_pair(
        [&args.encoder, &args.decoder],
        args.kernels.as_deref(),
        |_, reader, speaker| talk(args, reader, speaker),
    )
}

fn talk(args: &Args, mut reader: Runner<'_, '_>, mut speaker: Runner<'_, '_>) -> Result<()> {
    let languages = Languages::new(reader.model(), speaker.model())?;
    are_pair([&args.encoder, &args.decoder], &reader, &mut speaker)?;
    let mut before = vec![0; reader.model().saved_len()];
    let somebody = io::stdin().is_terminal();
    let mut out = io::stdout().lock();
    let mut input = io::stdin().lock();
    let encoding = args.encoding.as_deref().and_then(encoding);
    for number in 1.. {
        if somebody {
            write!(out, "> ")?;
            out.flush()?;
        }
        let line = match next_line(&mut input, "standard input", number, encoding) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            // Whoever writes so can be told: the conversation goes on.
            Err(error @ DataError::Encoding { .. }) => {
                say(&format!("note: {error}"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if line.trim().is_empty() {
            reader.reset();
            continue;
        }
        let mut said = UNCLEAR.to_owned();
        let mut probability = 0.0;
        match languages.tokens(&line) {
            Ok((turn, _)) => {
                reader.save(&mut before)?;
                read_on(&mut reader, Read::Tokens(&turn));
                let answer = answer(&reader, &mut speaker, args.length)?;
                probability = answer.probability;
                if answer.tokens.is_empty() || probability < args.threshold {
                    reader.restore(&before)?;
                } else {
                    said = languages.text(&answer.tokens);
                }
            }
            // A character that the model has not: the conversation goes on.
            Err(error) => say(&format!("note: {error:#}")),
        }
        match args.probabilities {
            true => writeln!(out, "{said}\t{probability:.4}")?,
            false => writeln!(out, "{said}")?,
        }
        out.flush()?;
    }
    Ok(())
}
