//! Networks trained elsewhere, read into [`Package`].
//!
//! Every reader makes a `graph` of operators with weights, as its file has them. `lower` brings the graph into the layers
//! of the engine, or says what it cannot bring there; `interpret` computes the graph itself, plainly and apart from the engine,
//! and `proof` holds the two against each other at every import.
//!
//! What a file leaves open is asked for by a flag ([`ImportOptions`]) and never guessed, because a wrong guess gives a
//! network that runs and predicts nonsense.

mod archive;
mod beside;
mod flatbuffer;
mod graph;
mod interpret;
mod keras;
mod keras_weights;
mod lower;
mod modules;
mod nam;
mod onnx;
mod order;
mod proof;
mod pytorch;
mod questions;
mod rtneural;
mod state_dict;
mod tflite;
mod unrolled;

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};

use crate::data::csv::composed;
use crate::data::normalise::unit_of;
use crate::data::open::read_words;
use crate::escape::unescape;
use crate::filekind;
use crate::net::{Activation, Layer};
use crate::package::{Feature, Input, Output, Package, Restore, Shape, Target};
use archive::Archive;
pub use beside::side_file;
use graph::Graph;
use lower::Lowered;
pub use proof::{LayerProof, MOST, Proof};

/// What is asked of a bidirectional network.
const WINDOW: &str = "a bidirectional module needs the whole window before its output: give --window N, the number of samples";

/// Highest sample rate, of whatever is recorded.
const MOST_RATE: u32 = 100_000_000;

/// What a state dict does not say.
///
/// A flag about something that the network does not have is not an error, as `--between` beside a
/// single `nn.Linear`, but it is told.
#[derive(Debug, Clone, Default, Args)]
pub struct ImportOptions {
    /// Activation inside nn.RNN; required if there is one
    #[arg(long, value_enum)]
    pub nonlinearity: Option<Nonlinearity>,

    /// Where nn.GRU applies its reset gate: after the product with the hidden weights (PyTorch,
    /// Keras default) or before it (original paper) [default: after]
    #[arg(long, value_enum)]
    pub gru_reset: Option<GruReset>,

    /// How each nn.Conv1d sees the samples, first to last, or all of them: its padding (causal, same or valid), then dilation and stride if
    /// they are not 1, as causal:2; required if there is one
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "PADDING[:DILATION[:STRIDE]],..."
    )]
    pub conv: Vec<ConvSight>,

    /// Activation behind every nn.Conv1d; required if there is one
    #[arg(long, value_enum)]
    pub after_conv: Option<AfterConv>,

    /// Where an nn.BatchNorm1d or nn.LayerNorm stands behind an nn.Conv1d or nn.Linear with an activation: before that or after it; one for all, or one
    /// for each, first to last; required if there are both
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PLACE,...")]
    pub batch_norm: Vec<NormPlace>,

    /// Activation behind every nn.Linear that other layers follow, cells or nn.Linear; one for all, or one for each, first to last; required if there
    /// are such
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ACTIVATION,...")]
    pub between: Vec<Between>,

    /// Activation after the last nn.Linear [default: identity]
    #[arg(long, value_enum)]
    pub head: Option<Head>,

    /// All modules, first to last, by their names in the file ("." for the nameless one): needed
    /// where the sizes fit in several orders
    #[arg(long, value_delimiter = ',', value_name = "MODULE,...")]
    pub order: Vec<String>,

    /// Leave out tensors whose names begin so; may be given several times
    #[arg(long, value_name = "PREFIX")]
    pub ignore: Vec<String>,

    /// The part of a checkpoint that is the network, of several copies: model, ema, ...
    #[arg(long, value_name = "NAME")]
    pub part: Option<String>,

    /// Another name for a tensor, as PyTorch would call it: gru_w_ih=gru.weight_ih_l0; may be given several times
    #[arg(long, value_name = "OLD=NEW")]
    pub rename: Vec<String>,

    /// Start states at zero where the file starts them elsewhere
    #[arg(long)]
    pub zero_state: bool,

    /// Names of an embedding's tokens, one a line, with the escapes \n, \r, \t and \\; without it
    /// a token is called by its number
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,

    /// Samples that the network is given, of which it answers the last; required if it is bidirectional
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16384))]
    pub window: Option<u16>,

    /// Names of the inputs, by which a CSV file has them [default: x0, x1, ...]
    #[arg(long, value_name = "NAME,...")]
    pub names: Vec<String>,

    /// Units of the inputs: one, or one for each, of which some may be empty
    #[arg(long, value_name = "UNIT,...")]
    pub units: Vec<String>,

    /// Names of the outputs, or of the classes [default: y0, y1, ...]
    #[arg(long, value_name = "NAME,...")]
    pub output_names: Vec<String>,

    /// Units of the outputs that are values: one, or one for each, of which some may be empty
    #[arg(long, value_name = "UNIT,...")]
    pub output_units: Vec<String>,

    /// What training subtracted from each input: one number, or one for each; the model then takes raw values
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "MEAN,...",
        allow_hyphen_values = true
    )]
    pub input_mean: Vec<f32>,

    /// By what training divided each input after that: one number, or one for each
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "STD,...",
        allow_hyphen_values = true
    )]
    pub input_std: Vec<f32>,

    /// Samples a second of what the network was trained on; `predict --wav` takes recordings of no other
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_RATE)))]
    pub sample_rate: Option<u32>,

    /// The output that is the model's, of a file with several; states aside
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,

    /// What the outputs are [default: classes behind a softmax, else values]
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

/// Where an `nn.Conv1d` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSight {
    /// What is put around the samples.
    pub padding: Padding,
    /// Samples from one that is seen to the next one seen.
    pub dilation: usize,
    /// Samples from one answer to the next.
    pub stride: usize,
}

/// What is put around the samples before an `nn.Conv1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Zeros in front, (kernel − 1) · dilation of them.
    Causal,
    /// Half of them in front and half behind.
    Same,
    /// None, PyTorch's default.
    Valid,
}

impl FromStr for ConvSight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let padding = match parts.next() {
            Some("causal") => Padding::Causal,
            Some("same") => Padding::Same,
            Some("valid") => Padding::Valid,
            _ => {
                return Err("expected causal, same or valid, then :DILATION and :STRIDE".to_owned());
            }
        };
        let mut number = |what: &str| match parts.next().map(str::parse) {
            None => Ok(1),
            Some(Ok(n @ 1..=16384)) => Ok(n),
            Some(_) => Err(format!("{what}: expected a number from 1 to 16384")),
        };
        let [dilation, stride] = [number("dilation")?, number("stride")?];
        match parts.next() {
            None => Ok(ConvSight {
                padding,
                dilation,
                stride,
            }),
            Some(more) => Err(format!("`:{more}` behind padding, dilation and stride")),
        }
    }
}

/// What stands behind an `nn.Conv1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AfterConv {
    /// Nothing
    None,
    /// nn.ReLU
    Relu,
    /// nn.ELU
    Elu,
    /// nn.Tanh
    Tanh,
    /// nn.Sigmoid
    Sigmoid,
}

/// Where an `nn.BatchNorm1d` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NormPlace {
    /// Conv1d, BatchNorm1d, activation
    Before,
    /// Conv1d, activation, BatchNorm1d
    After,
}

/// What stands between two `nn.Linear`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Between {
    /// nn.ReLU
    Relu,
    /// nn.ELU
    Elu,
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
    /// nn.ReLU
    Relu,
    /// nn.ELU
    Elu,
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

/// A network of a file, as the engine runs it and as the file has it.
#[derive(Debug)]
pub struct Imported {
    /// What becomes a model file.
    pub package: Package,
    /// What was brought into another form, or left out.
    pub notes: Vec<String>,
    /// Files with weights that the network's own file names, and that were read.
    pub weight_files: Vec<PathBuf>,
    graph: Graph,
    lowered: Lowered,
}

impl Imported {
    /// Layers of the model by their numbers, as the file calls what they are.
    pub fn layer_names(&self) -> impl Iterator<Item = (usize, &str)> {
        let taps = self.lowered.taps.iter();
        taps.map(|tap| (tap.layer, tap.name.as_str()))
    }

    /// Runs the file's network in an interpreter beside the engine, on seeded random samples, and compares what every layer
    /// gives.
    ///
    /// # Errors
    /// If the outputs differ by more than rounding, [`MOST`] of their spread.
    pub fn prove(&self) -> Result<Proof> {
        proof::prove(&self.graph, &self.lowered, &self.package, None)
    }

    /// The same on sequences of samples, normalised as the model does it.
    ///
    /// # Errors
    /// As [`Self::prove`].
    pub fn prove_on(&self, sequences: Vec<Vec<Vec<f32>>>) -> Result<Proof> {
        let mut sequences = sequences;
        let normalisation: Vec<(f64, f64)> = self.lowered.normalisation().collect();
        for sample in sequences.iter_mut().flatten() {
            for (x, (mean, scale)) in sample.iter_mut().zip(&normalisation) {
                *x = (f64::from(*x) / scale + mean) as f32;
            }
        }
        proof::prove(&self.graph, &self.lowered, &self.package, Some(sequences))
    }
}

/// Reads a network.
///
/// The file is an ONNX model, a model of Keras or of TensorFlow Lite, a state dict of PyTorch (safetensors, `torch.save`, npz or JSON),
/// RTNeural's JSON or a Neural Amp Modeler's LSTM. Of a state dict: `nn.Embedding`, or `nn.Conv1d` with `nn.BatchNorm1d`, then `nn.RNN`,
/// `nn.LSTM`, `nn.GRU` (or their `Cell` forms), stacked or one after another, then `nn.Linear`, under any prefixes, in f64, f32, f16 or bf16. Inputs are named `x0`.. and outputs `y0`.., without
/// normalisation.
///
/// # Errors
///
/// If the file cannot be read, holds anything else, or leaves open what a flag has to say. The
/// message begins with the path and says what was found, what was expected and what to do.
///
/// `net.onnx.toml` beside `net.onnx` may say what flags say about inputs, outputs and the sample rate.
pub fn read(path: &Path, options: &ImportOptions) -> Result<Imported> {
    ensure!(
        !path.is_dir(),
        "{}: is a folder; give the file of the network in it. A SavedModel of TensorFlow becomes one by tf.lite.TFLiteConverter or tf2onnx",
        path.display()
    );
    let bytes = fs::read(path).map_err(|e| anyhow!("{}: cannot be read: {e}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let (options, said) = beside::with_beside(path, options)?;
    let mut imported = imported(name.into_owned(), path, &bytes, &options)
        .map_err(|e| anyhow!("{}: {e:#}", path.display()))?;
    imported.notes.splice(..0, said);
    Ok(imported)
}

fn imported(name: String, path: &Path, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
    let graph = graph(path, bytes, options)?;
    let answer = match &options.output {
        None => None,
        Some(name) => Some(output(&graph, name)?),
    };
    // What is given besides comes before the network's own samples.
    let own = options.input_mean.is_empty() && options.input_std.is_empty();
    let own = own && matches!(options.predicts, None | Some(Predicts::Values));
    let lowered = match unrolled::roll(&graph) {
        None => lower::lower(&graph, answer, own),
        Some(rolled) => lower::lower(&rolled.graph, answer, own).map(|mut lowered| {
            lowered.in_file(&rolled.states);
            lowered
        }),
    };
    let lowered = match (&options.output, graph.outputs.len()) {
        (None, 2..) => lowered.with_context(|| {
            format!(
                "the file has the outputs {}, of which --output NAME takes one; of all together",
                output_names(&graph)
            )
        }),
        _ => lowered,
    };
    let lowered = graph::advised(lowered, graph.advice)?;
    let mut package = package(name, &lowered, options)?;
    package.written.rate = match (graph.rate, options.sample_rate) {
        (Some(of_file), Some(given)) if of_file != given => {
            bail!("--sample-rate {given}: the file says {of_file}")
        }
        (of_file, given) => of_file.or(given),
    };
    let mut notes: Vec<String> = graph.notes.iter().chain(&lowered.notes).cloned().collect();
    if options.zero_state && !notes.iter().any(|note| note.starts_with("--zero-state")) {
        notes.push(
            "--zero-state says nothing here: no state of the file starts elsewhere".to_owned(),
        );
    }
    if let (Some(steps), true, Shape::EveryStep) =
        (lowered.steps, lowered.states.is_empty(), package.shape)
        && steps > 1
    {
        notes.push(format!(
            "the file's network begins anew every {steps} samples and answers at each of them; the model goes on without end, and \
             gives other answers after the first {steps} unless its state is reset"
        ));
    }
    if let (Some(steps), Shape::Window { window, .. }) = (lowered.steps, package.shape)
        && steps > 1
        && options.window.is_none()
        && !package.net.is_bidirectional()
    {
        notes.push(format!(
            "the file's sequences have a length, so the model answers windows of {window} samples, each from a state of zero; with an open length it would \
             be a stream"
        ));
    }
    if let (Some(_), Input::Features(features)) = (&lowered.front, &package.input) {
        notes.extend(features.iter().filter_map(coarse));
    }
    Ok(Imported {
        package,
        notes,
        weight_files: graph.files.clone(),
        graph,
        lowered,
    })
}

/// The graph of a file, whose kind its first bytes say; ONNX has none of its own.
fn graph(path: &Path, bytes: &[u8], options: &ImportOptions) -> Result<Graph> {
    let ending = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    ensure!(
        !bytes.is_empty(),
        "the file is empty: save it again, or copy it again"
    );
    let onnx = filekind::of(bytes).is_some_and(|kind| kind.name == filekind::ONNX);
    if onnx && bytes.get(8) != Some(&b'{') || ending.as_deref() == Some("onnx") {
        options.only_of_state_dicts()?;
        return onnx::read(bytes, path.parent().unwrap_or(Path::new("")));
    }
    let begins = |start: &[u8]| bytes.starts_with(start);
    if bytes.get(4..8) == Some(b"TFL3") {
        options.only_of_state_dicts()?;
        return tflite::read(bytes);
    }
    if let Some(all) = parts_of(path) {
        bail!(
            "one of {all} parts of a network, as its name says: name the index beside them, which says what lies where (model.safetensors.index.json), or \
             save it as one file, torch.save(model.state_dict(), \"net.pt\")"
        );
    }
    if bytes.get(8) == Some(&b'{') {
        return pytorch::network(pytorch::safetensors(bytes)?, options);
    }
    if begins(b"PK\x03\x04") {
        let archive = Archive::open(bytes)?;
        let has = |end: &str| archive.names().iter().any(|name| name.ends_with(end));
        if has("config.json") && has("model.weights.h5") {
            options.only_of_state_dicts()?;
            return keras::archive(archive, options.output.as_deref());
        }
        if has("data.pkl") {
            return pytorch::network(pytorch::checkpoint(bytes)?, options);
        }
        if has(".npy") {
            return pytorch::network(pytorch::npz(archive)?, options);
        }
        let names = archive.names();
        ensure!(
            ending.as_deref() != Some("pt2") && !has("data/weights/weight_0"),
            "a program of torch.export, which is not read: export the module to ONNX, torch.onnx.export, or save torch.export.load(...).state_dict() with torch.save"
        );
        bail!(
            "a ZIP archive without a network that is read (config.json and model.weights.h5 of Keras, data.pkl of PyTorch or .npy \
             arrays); it holds {}: unpack it and name the file inside",
            names
                .iter()
                .take(5)
                .map(|n| format!("{n:?}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    if begins(b"\x89HDF\r\n\x1a\n") {
        options.only_of_state_dicts()?;
        return keras::hdf5(bytes, options.output.as_deref());
    }
    if begins(b"\x80\x02") || begins(b"\x80\x03") || begins(b"\x80\x04") || begins(b"\x80\x05") {
        return pytorch::network(pytorch::checkpoint(bytes)?, options);
    }
    let text = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    if text.first() == Some(&b'{') {
        return json(text, path.parent().unwrap_or(Path::new("")), options);
    }
    let kind = match ending.as_deref() {
        Some("keras") => "a Keras model, which is a ZIP archive",
        Some("h5" | "hdf5") => "an HDF5 file",
        Some("tflite") => "a TensorFlow Lite model",
        _ => return pytorch::network(pytorch::safetensors(bytes)?, options),
    };
    bail!("not {kind}, as its name says: save it again, or copy it again")
}

/// How many parts a network has of which this is one, by the name that it has in Hugging Face's form: `model-00001-of-00002.safetensors`.
fn parts_of(path: &Path) -> Option<usize> {
    let (before, all) = path.file_stem()?.to_str()?.rsplit_once("-of-")?;
    let (_, number) = before.rsplit_once('-')?;
    let _: usize = number.parse().ok()?;
    all.parse().ok().filter(|&all| all > 1)
}

/// JSON is RTNeural's, Neural Amp Modeler's, a state dict, or the index of one in parts.
fn json(text: &[u8], folder: &Path, options: &ImportOptions) -> Result<Graph> {
    let value: serde_json::Value =
        serde_json::from_slice(text).map_err(|e| anyhow!("not a whole JSON file: {e}"))?;
    let object = value.as_object().context("JSON without a network in it")?;
    if object.contains_key("architecture") {
        options.only_of_state_dicts()?;
        return nam::read(object, options);
    }
    if object.contains_key("layers") {
        options.only_of_state_dicts()?;
        return rtneural::read(object);
    }
    if let Some(places) = object.get("weight_map") {
        let places = places
            .as_object()
            .context("`weight_map`: expected the file of each tensor")?;
        let (dict, files) = pytorch::in_parts(places, folder)?;
        let mut graph = pytorch::network(dict, options)?;
        graph.files = files;
        return Ok(graph);
    }
    let skip = object.get("model_data").and_then(|data| data.get("skip"));
    let skip = match skip.map(|skip| skip.as_f64()) {
        None | Some(Some(0.0)) => false,
        Some(Some(1.0)) => true,
        _ => bail!(
            "`model_data` `skip`: expected 0, or 1 where the first input is added to the output"
        ),
    };
    let dict = object
        .get("state_dict")
        .and_then(serde_json::Value::as_object)
        .unwrap_or(object);
    let mut graph = pytorch::network(pytorch::json(dict)?, options)?;
    if let (true, Some(input), [y]) = (skip, graph.inputs.first(), &graph.outputs[..]) {
        let inputs = match input.dims.last() {
            Some(&graph::Dim::Fixed(n)) => n,
            _ => 1,
        };
        let (input, y) = (input.value, *y);
        graph.outputs = vec![rtneural::skipped(&mut graph, ("skip", inputs), input, y)];
    }
    Ok(graph)
}

/// The output that `--output` names.
fn output(graph: &Graph, name: &str) -> Result<graph::ValueId> {
    let named = |id: &&graph::ValueId| graph.values[id.0].name == name;
    let found = graph.outputs.iter().find(named).copied();
    found.with_context(|| {
        format!(
            "--output: there is no output `{name}`, expected one of {}",
            output_names(graph)
        )
    })
}

fn output_names(graph: &Graph) -> String {
    let outputs = graph.outputs.iter();
    quoted(outputs.map(|id| &graph.values[id.0].name))
}

/// Names as a message lists them.
fn quoted<N: Display>(names: impl IntoIterator<Item = N>) -> String {
    let names = names.into_iter().map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

impl ImportOptions {
    /// A file that says it all is not to be contradicted.
    fn only_of_state_dicts(&self) -> Result<()> {
        let given = [
            ("--nonlinearity", self.nonlinearity.is_some()),
            ("--gru-reset", self.gru_reset.is_some()),
            ("--conv", !self.conv.is_empty()),
            ("--after-conv", self.after_conv.is_some()),
            ("--batch-norm", !self.batch_norm.is_empty()),
            ("--between", !self.between.is_empty()),
            ("--head", self.head.is_some()),
            ("--order", !self.order.is_empty()),
            ("--ignore", !self.ignore.is_empty()),
            ("--part", self.part.is_some()),
            ("--rename", !self.rename.is_empty()),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
            bail!(
                "{flag} is for state dicts of PyTorch, which do not say it: this file does, so leave the flag out"
            );
        }
        Ok(())
    }
}

/// What goes into a model file besides the layers.
fn package(name: String, lowered: &Lowered, options: &ImportOptions) -> Result<Package> {
    let net = lowered.network.clone();
    let input = match net.layers.first() {
        Some(Layer::Embedding(e)) => Input::Tokens(token_names(e.vocab, options)?),
        _ => {
            ensure!(
                options.tokens.is_none(),
                "--tokens names the rows of an nn.Embedding, and there is none"
            );
            let mut features = features(net.input_width(), options)?;
            // A sample is normalised by what was given, and then by the network's own.
            for (feature, (mean, scale)) in features.iter_mut().zip(lowered.normalisation()) {
                let given = f64::from(feature.scale);
                feature.offset = (f64::from(feature.offset) + mean / given) as f32;
                feature.scale = (given * scale) as f32;
            }
            Input::Features(features)
        }
    };
    if matches!(input, Input::Tokens(_)) {
        ensure!(
            options.names.is_empty()
                && options.units.is_empty()
                && options.input_mean.is_empty()
                && options.input_std.is_empty(),
            "--names, --units, --input-mean and --input-std are for measurements, and this network takes tokens: give --tokens"
        );
    }
    let outputs = net.output_width();
    let output_names = names(&options.output_names, "--output-names", outputs, "y")?;
    let default = match net.layers.last() {
        _ if lowered.adds.is_some() => Predicts::Values,
        Some(Layer::Dense(dense)) if dense.activation == Activation::Softmax => Predicts::Classes,
        _ => Predicts::Values,
    };
    let predicts = options.predicts.unwrap_or(default);
    ensure!(
        options.output_units.is_empty() || predicts == Predicts::Values,
        "--output-units is for values, and the outputs are scores"
    );
    let output = match predicts {
        Predicts::Values => {
            let units = units(&options.output_units, "--output-units", outputs)?;
            let target = |(column, (name, unit)): (usize, (String, String))| Target {
                unit,
                restore: match &lowered.adds {
                    Some(columns) => Restore::AddTo {
                        column: columns[column],
                    },
                    None => Restore::None,
                },
                ..Target::plain(name)
            };
            let named = output_names.into_iter().zip(units);
            Output::Values(named.enumerate().map(target).collect())
        }
        Predicts::Classes => Output::Classes(output_names),
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
    let from_file = lowered
        .steps
        .filter(|_| lowered.states.is_empty() && lowered.last);
    if let (Some(file), Some(window)) = (from_file, options.window) {
        ensure!(
            usize::from(window) == file,
            "--window {window}: the network of the file takes {file} samples"
        );
    }
    let shape = match options.window.map(usize::from).or(from_file) {
        Some(window) => Shape::Window {
            window,
            hop: 1,
            exact: true,
        },
        None => Shape::EveryStep,
    };
    if net.is_bidirectional() {
        ensure!(shape != Shape::EveryStep, "{WINDOW}");
    }
    Ok(Package {
        name,
        net,
        input,
        output,
        shape,
        alarm: None,
        written: Default::default(),
    })
}

/// A single text with names and commas between them, as a line of CSV is: names with commas stand in quotes.
fn split_names(text: &str) -> Option<Vec<String>> {
    let mut line = csv::ReaderBuilder::new();
    line.has_headers(false).trim(csv::Trim::All);
    let first = line.from_reader(text.as_bytes()).into_records().next();
    Some(first?.ok()?.iter().map(String::from).collect())
}

/// Names that were given one by one, or in a single text.
fn split(given: &[String]) -> Vec<String> {
    let split = match given {
        [text] => split_names(text),
        _ => None,
    };
    split.unwrap_or_else(|| given.to_vec())
}

/// Given names, or a letter with numbers.
fn names(given: &[String], flag: &str, count: usize, letter: &str) -> Result<Vec<String>> {
    let given = split(given);
    if given.is_empty() {
        return Ok((0..count).map(|i| format!("{letter}{i}")).collect());
    }
    ensure!(
        given.len() == count,
        "{flag}: {} names, expected {count}",
        given.len()
    );
    for (i, name) in given.iter().enumerate() {
        ensure!(!name.is_empty(), "{flag}: name {} is empty", i + 1);
        ensure!(
            !given[..i].contains(name),
            "{flag}: {name:?} is there twice"
        );
    }
    Ok(given)
}

/// Given units, or none.
fn units(given: &[String], flag: &str, count: usize) -> Result<Vec<String>> {
    each(&split(given), flag, "units", (count, String::new()))
}

/// A number or text for each of so many: one for all, or what stands for none.
fn each<T: Clone>(
    given: &[T],
    flag: &str,
    what: &str,
    (count, default): (usize, T),
) -> Result<Vec<T>> {
    match given {
        [] => Ok(vec![default; count]),
        [all] => Ok(vec![all.clone(); count]),
        each if each.len() == count => Ok(each.to_vec()),
        each => bail!("{flag}: {} {what}, expected one or {count}", each.len()),
    }
}

/// What rounding may take of an input's spread.
const ROUNDED: f64 = 0.01;

/// What rounding takes of an input whose normalisation is the file's own, if that is much.
fn coarse(feature: &Feature) -> Option<String> {
    let unit = unit_of(feature.offset);
    let rounded = unit / 12f64.sqrt() * f64::from(feature.scale.abs());
    (rounded > ROUNDED).then(|| {
        format!(
            "{}: near {}, which the network takes off first, numbers of 32 bits go by {unit}: rounding alone is {:.1} % of what it takes for a spread",
            feature.name,
            feature.offset,
            100.0 * rounded
        )
    })
}

/// Inputs with their names and what training did to them.
fn features(count: usize, options: &ImportOptions) -> Result<Vec<Feature>> {
    let numbers = |given: &[f32], flag: &str, default: f32| -> Result<Vec<f32>> {
        ensure!(
            given.iter().all(|x| x.is_finite()),
            "{flag}: expected finite numbers"
        );
        each(given, flag, "numbers", (count, default))
    };
    let names = names(&options.names, "--names", count, "x")?;
    let units = units(&options.units, "--units", count)?;
    let mean = numbers(&options.input_mean, "--input-mean", 0.0)?;
    let std = numbers(&options.input_std, "--input-std", 1.0)?;
    ensure!(
        std.iter().all(|&s| s > 0.0 && (1.0 / s).is_finite()),
        "--input-std: expected numbers above 0"
    );
    for (name, (mean, std)) in names.iter().zip(mean.iter().zip(&std)) {
        // The error of rounding, of numbers near the mean.
        let unit = unit_of(*mean);
        let rounded = unit / 12f64.sqrt() / f64::from(*std);
        ensure!(
            rounded <= ROUNDED,
            "--input-mean {mean} with --input-std {std}: near {mean} numbers of 32 bits go by {unit}, so {name} would be off by {:.0} % of its \
             spread; subtract the mean before, where it is known exactly, and leave it out here",
            100.0 * rounded
        );
    }
    let named = names.into_iter().zip(units);
    let all = named.zip(mean.into_iter().zip(std));
    Ok(all
        .map(|((name, unit), (offset, std))| Feature {
            unit,
            offset,
            scale: 1.0 / std,
            ..Feature::plain(name)
        })
        .collect())
}

fn token_names(vocab: usize, options: &ImportOptions) -> Result<Vec<String>> {
    let Some(path) = &options.tokens else {
        return Ok((0..vocab).map(|i| i.to_string()).collect());
    };
    let at = path.display();
    let text = read_words(path).map_err(|e| anyhow!("--tokens {at}: cannot be read: {e}"))?;
    let mut names: Vec<String> = Vec::new();
    for (line, raw) in text.lines().enumerate() {
        // As texts are, of which they are cut.
        let name = unescape(&composed(raw)).with_context(|| {
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
