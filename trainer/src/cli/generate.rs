//! `kinglet generate`: a language model that reads its own answers, of text or of rows of numbers.

use super::samples::Tokens;
use super::texts::unknown_note;
use super::{kernel_names, kernels, say, usage};
use anyhow::Result;
use kinglet::format::{Activation, Input, Layer, Output};
use kinglet::{Model, Sampler};
use kinglet_trainer::data::Written;
use kinglet_trainer::data::vocabulary::Vocabulary;
use kinglet_trainer::draw::Drawing;
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::model_file::{ModelFile, input_names};
use std::io::{self, Write};
use std::path::PathBuf;

/// Continue a text with a model of tokens, or draw rows with one of levels
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet generate hello.kgl --prompt hel --length 20
  kinglet generate shakespeare.kgl --prompt 'ROMEO:' --length 500 --temperature 0.8 --seed 7
  kinglet generate digits-drawn.kgl --count 100 --temperature 0.7 > drawn.csv
  kinglet generate digits-drawn.kgl --prompt 8

Tokens that are not single characters stand apart by blanks, in the prompt and in the text.
A model of levels (levels in [series]) draws rows, and prints them as CSV: a sequence is of the class of the prompt, or the classes take
turns, and ends by itself or after --length rows.")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// How the text begins; of levels the class that is drawn
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,

    /// Tokens to add; of levels the rows of a sequence at the most
    #[arg(long, value_name = "N", default_value_t = 100)]
    length: usize,

    /// Texts or sequences, one after the other
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: usize,

    /// 0 always takes the likeliest token, 1 draws by the model's probabilities, more is wilder; 0 for texts and 1 for levels unless given
    #[arg(long, value_name = "T", value_parser = temperature)]
    temperature: Option<f32>,

    /// Same seed, same text
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u32,

    /// Kernel table, for comparison; the fastest by default
    #[arg(long, value_name = "NAME", value_parser = kernel_names())]
    kernels: Option<String>,
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(t) if (0.0..=100.0).contains(&t) => Ok(t),
        _ => Err("expected a number from 0 to 100".into()),
    }
}

pub fn run(args: &Args) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let header = model.header();
    let (Input::Tokens { .. }, Output::NextToken { .. }) = (header.input, header.output) else {
        return Err(usage(format!(
            "{} does not predict the next token; to feed numbers back use predict --ahead",
            args.model.display()
        )));
    };
    let written = Written::in_model(&file.bytes).unwrap_or_default();
    if let Some(drawing) = Drawing::of(&model, &written) {
        return rows(args, &model, &written, &drawing);
    }
    let Some(prompt) = &args.prompt else {
        return Err(usage("--prompt is missing; how does the text begin?"));
    };
    let names: Vec<&str> = input_names(&model).iter().map(|n| n.0).collect();
    let characters = names.iter().all(|name| name.chars().count() == 1);
    let tokens = Tokens::new(&model, false);
    let vocabulary = Vocabulary::new(&names);
    let prompt = vocabulary.composed(prompt);
    let parts: Vec<String> = if characters {
        prompt.chars().map(String::from).collect()
    } else {
        prompt.split_whitespace().map(String::from).collect()
    };
    let prompt = parts.iter().map(|part| {
        let token = tokens.find(part).or_else(|| vocabulary.number(part));
        token.ok_or_else(|| usage(format!("--prompt: {}", tokens.unknown(part))))
    });
    let prompt: Vec<usize> = prompt.collect::<Result<_>>()?;
    let strange = prompt.iter().filter(|&&token| vocabulary.is_unknown(token));
    if let Some(note) = unknown_note("--prompt", strange.count() as u64, prompt.len() as u64) {
        say(&format!("note: {note}"));
    }
    let Some((&last, before)) = prompt.split_last() else {
        return Err(usage("--prompt is empty; expected at least one token"));
    };

    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = model
        .bind_bytes(&mut state)?
        .with_kernels(kernels(args.kernels.as_deref()));
    let mut scores = vec![0.0; model.outputs()];
    // Of log-scores a softmax has made probabilities.
    let probabilities = matches!(
        header.layers.last(),
        Some(Layer::Dense {
            activation: Activation::Softmax,
            ..
        })
    );
    let mut sampler = Sampler::new(args.temperature.unwrap_or(0.0), args.seed);
    let mut out = io::stdout().lock();
    for _ in 0..args.count {
        runner.reset();
        for &token in before {
            runner.step_token(token, &mut scores);
        }
        let mut chosen = Vec::with_capacity(args.length);
        runner.generate(last, &mut scores, args.length, |scores| {
            let token = match probabilities {
                true => sampler.draw_probable(scores),
                false => sampler.draw(scores),
            };
            chosen.push(token);
            token
        });
        let text = prompt.iter().chain(&chosen).map(|&token| names[token]);
        let text: Vec<&str> = text.collect();
        writeln!(out, "{}", text.join(if characters { "" } else { " " }))?;
    }
    Ok(())
}

/// Sequences of rows as CSV, in the columns of what was learned from.
fn rows(args: &Args, model: &Model<'_>, written: &Written, drawing: &Drawing) -> Result<()> {
    let classes = match written.label {
        Some(_) => &drawing.classes[..],
        None => &[],
    };
    let asked = match (&args.prompt, classes.is_empty()) {
        (None, _) => None,
        (Some(_), true) => {
            return Err(usage(
                "--prompt: the model draws without classes; remove it",
            ));
        }
        (Some(class), false) => {
            let place = classes.iter().position(|name| name == class.trim());
            let unknown = || {
                let known = classes.join(", ");
                usage(format!(
                    "--prompt: {class:?} is none of the classes; they are {known}"
                ))
            };
            Some(place.ok_or_else(unknown)?)
        }
    };
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = model
        .bind_bytes(&mut state)?
        .with_kernels(kernels(args.kernels.as_deref()));
    let mut sampler = Sampler::new(args.temperature.unwrap_or(1.0), args.seed);
    let mut table = csv::Writer::from_writer(io::stdout().lock());
    let group = written.group.as_deref().unwrap_or("sequence");
    let label = written.label.as_deref();
    let columns = drawing.columns.iter().map(|column| &column.name[..]);
    table.write_record([group].into_iter().chain(label).chain(columns))?;
    for sequence in 0..args.count {
        let class = asked.unwrap_or(sequence % classes.len().max(1));
        let drawn = drawing.sequence(&mut runner, &mut sampler, class, args.length);
        let named = label.map(|_| classes[class].clone());
        for row in drawn.chunks(drawing.columns.len()) {
            let numbers = row.iter().map(f32::to_string);
            let begins = [sequence.to_string()].into_iter().chain(named.clone());
            table.write_record(begins.chain(numbers))?;
        }
    }
    table.flush()?;
    Ok(())
}
