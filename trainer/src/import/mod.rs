//! Networks trained elsewhere, read into [`Package`].
//!
//! So far: PyTorch state dicts saved as safetensors. Such a file holds names, shapes and numbers,
//! and nothing else: not the order of the modules, not which activation stands between two
//! `nn.Linear`, not whether an `nn.RNN` used tanh or ReLU. What the sizes leave open is asked for
//! by a flag ([`ImportOptions`]) and never guessed, because a wrong guess gives a network that runs
//! and predicts nonsense.
//!
//! What is derived: the cell from the rows of `weight_hh` (`H`, `3H` or `4H` rows of `H` columns
//! are RNN, GRU, LSTM; no other reading exists), and the order of the modules from their widths,
//! where only one order fits. The steps are `state_dict` (bytes to f32 tensors), `modules`
//! (tensors to modules), `order` (modules to a chain) and, here, the chain to a [`Package`].

mod modules;
mod order;
mod state_dict;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};

use crate::escape::unescape;
use crate::net::{Activation, Bidirectional, Dense, Embedding, Layer, Network};
use crate::package::{Feature, Input, Output, Package, Restore, Shape, Target, Transform};
use modules::{Matrix, Module, Weights};
use state_dict::StateDict;

/// What a state dict does not say.
///
/// A flag about something that the network does not have is not an error: `--between` beside a
/// single `nn.Linear` states nothing.
#[derive(Debug, Clone, Default, Args)]
pub struct ImportOptions {
    /// Activation inside nn.RNN; required if there is one
    #[arg(long, value_enum)]
    pub nonlinearity: Option<Nonlinearity>,

    /// Where nn.GRU applies its reset gate: after the product with the hidden weights (PyTorch,
    /// Keras default) or before it (original paper)
    #[arg(long, value_enum, default_value_t)]
    pub gru_reset: GruReset,

    /// Activation between nn.Linear layers; required if there are several
    #[arg(long, value_enum)]
    pub between: Option<Between>,

    /// Activation after the last nn.Linear
    #[arg(long, value_enum, default_value_t)]
    pub head: Head,

    /// All modules, first to last, by their names in the file ("." for the nameless one): needed
    /// where the sizes fit in several orders
    #[arg(long, value_delimiter = ',', value_name = "MODULE,...")]
    pub order: Vec<String>,

    /// Leave out tensors whose names begin so; may be given several times
    #[arg(long, value_name = "PREFIX")]
    pub ignore: Vec<String>,

    /// Names of an embedding's tokens, one a line, with the escapes \n, \r, \t and \\; without it
    /// a token is called by its number
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,

    /// Samples that the network is given, of which it answers the last; required if it is bidirectional
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16384))]
    pub window: Option<u16>,

    /// What the outputs are [default: classes with --head softmax, else values]
    #[arg(long, value_enum)]
    pub predicts: Option<Predicts>,
}

/// The activation of an `nn.RNN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Nonlinearity {
    /// nn.RNN's default
    Tanh,
    /// nn.RNN(nonlinearity="relu")
    Relu,
}

/// Where a GRU applies its reset gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GruReset {
    /// r ⊙ (W_hn h + b_hn)
    #[default]
    After,
    /// W_hn (r ⊙ h) + b_hn
    Before,
}

/// What stands between two `nn.Linear`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Between {
    /// nn.ReLU
    Relu,
    /// nn.Tanh
    Tanh,
    /// Nothing
    None,
}

/// What follows the last `nn.Linear`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Head {
    /// Nothing
    #[default]
    Identity,
    /// nn.Softmax over the outputs
    Softmax,
    /// nn.Sigmoid
    Sigmoid,
    /// nn.Tanh
    Tanh,
}

/// What the outputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Predicts {
    /// Numbers y0, y1, ...
    Values,
    /// A score per class y0, y1, ...
    Classes,
    /// A score per token of the embedding
    NextToken,
}

/// Reads a PyTorch state dict from a safetensors file.
///
/// It may hold `nn.Embedding`, then `nn.RNN`, `nn.LSTM`, `nn.GRU` (or their `Cell` forms), stacked
/// or one after another, then `nn.Linear`, under any prefixes, in f64, f32, f16 or bf16. Inputs are
/// named `x0`.. and outputs `y0`.., without normalisation; there is an output after every step.
///
/// # Errors
///
/// If the file cannot be read, holds anything else, or leaves open what a flag has to say. The
/// message begins with the path and says what was found, what was expected and what to do.
pub fn safetensors(path: &Path, options: &ImportOptions) -> Result<Package> {
    let bytes = fs::read(path).map_err(|e| anyhow!("{}: cannot be read: {e}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    package(name.into_owned(), &bytes, options).map_err(|e| anyhow!("{}: {e:#}", path.display()))
}

fn package(name: String, bytes: &[u8], options: &ImportOptions) -> Result<Package> {
    let dict = StateDict::parse(bytes, &options.ignore)?;
    let modules = modules::group(&dict, options)?;
    let chain = order::chain(modules, &options.order)?;
    let net = network(chain, options)?;

    let input = match net.layers.first() {
        Some(Layer::Embedding(e)) => Input::Tokens(token_names(e.vocab, options)?),
        _ => {
            ensure!(
                options.tokens.is_none(),
                "--tokens names the rows of an nn.Embedding, and there is none"
            );
            Input::Features((0..net.input_width()).map(feature).collect())
        }
    };
    let outputs = net.output_width();
    let default = match options.head {
        Head::Softmax => Predicts::Classes,
        _ => Predicts::Values,
    };
    let output = match options.predicts.unwrap_or(default) {
        Predicts::Values => Output::Values((0..outputs).map(target).collect()),
        Predicts::Classes => Output::Classes((0..outputs).map(|i| format!("y{i}")).collect()),
        Predicts::NextToken => match &input {
            Input::Tokens(tokens) if tokens.len() == outputs => Output::NextToken,
            Input::Tokens(tokens) => bail!(
                "--predicts next-token needs an output per token: there are {} tokens and \
                 {outputs} outputs",
                tokens.len()
            ),
            Input::Features(_) => bail!(
                "--predicts next-token needs an nn.Embedding, and there is none: use values or \
                 classes"
            ),
        },
    };
    let one_direction = |layer: &Layer| matches!(layer, Layer::Recurrent(_));
    let shape = match options.window {
        Some(window) => Shape::Window {
            window: window.into(),
            hop: 1,
            exact: true,
        },
        None => Shape::EveryStep,
    };
    if net.is_bidirectional() {
        ensure!(
            !net.layers.iter().any(one_direction),
            "some modules are bidirectional and some are not, which is not supported: train all of them alike"
        );
        ensure!(
            shape != Shape::EveryStep,
            "a bidirectional module needs the whole window before its output: give --window N, the number of samples"
        );
    }
    Ok(Package {
        name,
        net,
        input,
        output,
        shape,
        alarm: None,
    })
}

/// Gives the matrices their roles: before the cells an embedding, after them dense layers.
fn network(chain: Vec<Module>, options: &ImportOptions) -> Result<Network> {
    let first_cell = chain
        .iter()
        .position(|m| m.is_recurrent())
        .context("order without a cell")?;
    let dense: Vec<String> = chain
        .iter()
        .skip(first_cell)
        .filter(|m| !m.is_recurrent())
        .map(|m| m.label())
        .collect();
    let between = match options.between {
        _ if dense.len() < 2 => Activation::Identity,
        Some(Between::None) => Activation::Identity,
        Some(Between::Relu) => Activation::Relu,
        Some(Between::Tanh) => Activation::Tanh,
        None => bail!(
            "{} nn.Linear follow one another ({}), and a state dict does not say what stands \
             between them: give --between relu, tanh or none",
            dense.len(),
            dense.join(", ")
        ),
    };
    let head = match options.head {
        Head::Identity => Activation::Identity,
        Head::Softmax => Activation::Softmax,
        Head::Sigmoid => Activation::Sigmoid,
        Head::Tanh => Activation::Tanh,
    };
    ensure!(
        !dense.is_empty() || head == Activation::Identity,
        "--head needs an nn.Linear to follow, and there is none"
    );

    let mut layers = Vec::new();
    let last = chain.len() - 1;
    for (place, module) in chain.into_iter().enumerate() {
        match module.weights {
            Weights::Cells { cells, reverse } if reverse.is_empty() => {
                layers.extend(cells.into_iter().map(Layer::Recurrent));
            }
            Weights::Cells { cells, reverse } => {
                let pairs = cells.into_iter().zip(reverse);
                layers.extend(pairs.map(|(forward, backward)| {
                    Layer::Bidirectional(Bidirectional { forward, backward })
                }));
            }
            Weights::Matrix(Matrix {
                rows, cols, weight, ..
            }) if place < first_cell => {
                layers.push(Layer::Embedding(Embedding {
                    vocab: rows,
                    dim: cols,
                    table: weight,
                }));
            }
            Weights::Matrix(Matrix {
                rows,
                cols,
                weight,
                bias,
            }) => {
                layers.push(Layer::Dense(Dense {
                    inputs: cols,
                    outputs: rows,
                    weight,
                    bias: bias.unwrap_or_else(|| vec![0.0; rows]),
                    activation: if place == last { head } else { between },
                }));
            }
        }
    }
    Ok(Network { layers })
}

fn feature(i: usize) -> Feature {
    Feature {
        name: format!("x{i}"),
        unit: String::new(),
        hold: false,
        transform: Transform::None,
        offset: 0.0,
        scale: 1.0,
    }
}

fn target(i: usize) -> Target {
    Target {
        name: format!("y{i}"),
        unit: String::new(),
        scale: 1.0,
        offset: 0.0,
        restore: Restore::None,
        feeds: None,
    }
}

fn token_names(vocab: usize, options: &ImportOptions) -> Result<Vec<String>> {
    let Some(path) = &options.tokens else {
        return Ok((0..vocab).map(|i| i.to_string()).collect());
    };
    let at = path.display();
    let text =
        fs::read_to_string(path).map_err(|e| anyhow!("--tokens {at}: cannot be read: {e}"))?;
    let mut names: Vec<String> = Vec::new();
    for (line, raw) in text.lines().enumerate() {
        let name = unescape(raw).with_context(|| {
            format!(
                "--tokens {at}: line {}: expected \\n, \\r, \\t or \\\\ after a backslash",
                line + 1
            )
        })?;
        if let Some(first) = names.iter().position(|n| *n == name) {
            bail!(
                "--tokens {at}: line {}: token {name:?} again, first on line {}: each line must \
                 name another token",
                line + 1,
                first + 1
            );
        }
        names.push(name);
    }
    ensure!(
        names.len() == vocab,
        "--tokens {at}: {} lines, expected {vocab}: one for each row of the nn.Embedding",
        names.len()
    );
    Ok(names)
}
