//! `kinglet generate`: a language model that reads its own answers.

use super::samples::Tokens;
use super::texts::unknown_note;
use super::{kernel_names, kernels, say, usage};
use anyhow::Result;
use kinglet::Sampler;
use kinglet::format::{Activation, Input, Layer, Output};
use kinglet_trainer::data::vocabulary::Vocabulary;
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::model_file::{ModelFile, input_names};
use std::io::{self, Write};
use std::path::PathBuf;

/// Continue a text with a model of tokens
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet generate hello.kgl --prompt hel --length 20
  kinglet generate shakespeare.kgl --prompt 'ROMEO:' --length 500 --temperature 0.8 --seed 7

Tokens that are not single characters stand apart by blanks, in the prompt and in the text.")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// How the text begins
    #[arg(long, value_name = "TEXT")]
    prompt: String,

    /// Tokens to add
    #[arg(long, value_name = "N", default_value_t = 100)]
    length: usize,

    /// 0 always takes the likeliest token, 1 draws by the model's probabilities, more is wilder
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    temperature: f32,

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
    let names: Vec<&str> = input_names(&model).iter().map(|n| n.0).collect();
    let characters = names.iter().all(|name| name.chars().count() == 1);
    let tokens = Tokens::new(&model, false);
    let vocabulary = Vocabulary::new(&names);
    let prompt = vocabulary.composed(&args.prompt);
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
    for &token in before {
        runner.step_token(token, &mut scores);
    }
    // The sampler takes log-scores; a softmax has made probabilities of them.
    let probabilities = matches!(
        header.layers.last(),
        Some(Layer::Dense {
            activation: Activation::Softmax,
            ..
        })
    );
    let mut sampler = Sampler::new(args.temperature, args.seed);
    let mut logits = vec![0.0; scores.len()];
    let mut chosen = Vec::with_capacity(args.length);
    runner.generate(last, &mut scores, args.length, |scores| {
        for (logit, &score) in logits.iter_mut().zip(scores) {
            *logit = if probabilities { score.ln() } else { score };
        }
        let token = sampler.draw(&logits);
        chosen.push(token);
        token
    });
    let text = prompt.iter().chain(&chosen).map(|&token| names[token]);
    let text: Vec<&str> = text.collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.join(if characters { "" } else { " " }))?;
    Ok(())
}
