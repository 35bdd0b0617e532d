//! PyTorch's state dicts: safetensors, what `torch.save` writes (a ZIP archive, or the older pickle), NumPy's npz and JSON.
//!
//! Such a file holds names, shapes and numbers, and nothing else: not the order of the modules, not which activation stands
//! between two `nn.Linear`, not whether an `nn.RNN` used tanh or ReLU. What the sizes leave open is asked for by a flag. Of a pickle
//! only the tensors are taken; nothing in it is run.
//!
//! What is derived: the cell from the rows of `weight_hh` (`H`, `3H` or `4H` rows of `H` columns are RNN, GRU, LSTM; no other
//! reading exists), and the order of the modules from their widths, where only one order fits. The steps are `state_dict` (names
//! cleaned), `modules` (tensors to modules), `order` (modules to a chain) and, here, the containers and the chain as a graph.

use super::archive::Archive;
use super::beside::named_file;
use super::graph::{Function, Graph, Kind, Op, Tensor, ValueId};
use super::modules::{self, Matrix, Module, Weights};
use super::questions::Questions;
use super::state_dict::{Float, Numbers, StateDict, Stored};
use super::{
    AfterConv, Between, ConvSight, Head, ImportOptions, NormPlace, Padding, WINDOW, order, quoted,
};
use crate::filekind;
use anyhow::{Context, Result, anyhow, bail, ensure};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

/// The graph of a state dict.
pub(super) fn network(dict: StateDict<'_>, options: &ImportOptions) -> Result<Graph> {
    let dict = dict.cleaned(options)?;
    let mut questions = Questions::default();
    // What does not fit together may be several networks.
    let parts = dict.parts();
    let several = |error| match (&options.part, &parts[..]) {
        (None, [_, _, ..]) => anyhow!(
            "{error:#}; the file has the parts {}, of which --part NAME takes one where they are copies of the network, or networks of their own",
            quoted(&parts)
        ),
        _ => error,
    };
    let modules = modules::group(&dict, options, &mut questions).map_err(several)?;
    let chain = order::chain(modules, &options.order, &mut questions).map_err(several)?;
    let mut graph = graph(chain, options, &mut questions)?;
    graph.notes.splice(0..0, dict.notes);
    Ok(graph)
}

/// A file of safetensors.
///
/// Two facts about those written by PyTorch matter here. `save_file` sorts by name, so the order in the file says nothing about the
/// order in the network. `save_model` writes tensors that share memory (an output layer tied to the embedding) once and puts
/// `removed name: kept name` into the metadata; such names are read as if they were there.
pub(super) fn safetensors(bytes: &[u8]) -> Result<StateDict<'static>> {
    // The first bytes of another kind may also begin a header's length: so only if reading fails.
    let broken = |e| match filekind::of(bytes).filter(|_| bytes.get(8) != Some(&b'{')) {
        Some(kind) => anyhow!("this is {}; {}", kind.name, kind.as_model),
        None if bytes.get(8).is_some_and(|&byte| byte != b'{') => anyhow!(
            "no file of a network that is known; expected safetensors, PyTorch (.pt, .pth, .ckpt, .npz, .json), ONNX, Keras (.keras, .h5), \
             TensorFlow Lite or .nam"
        ),
        None => anyhow!("not a whole safetensors file ({} bytes): {e}", bytes.len()),
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut tensors: BTreeMap<String, _> = file.tensors().into_iter().collect();
    for (removed, kept) in header.metadata().iter().flatten() {
        if !tensors.contains_key(removed)
            && let Ok(tensor) = file.tensor(kept)
        {
            tensors.insert(removed.clone(), tensor);
        }
    }
    let stored = |tensor: safetensors::tensor::TensorView<'_>| {
        let float = match tensor.dtype() {
            Dtype::F32 => Some(Float::F32),
            Dtype::F64 => Some(Float::F64),
            Dtype::F16 => Some(Float::F16),
            Dtype::BF16 => Some(Float::Bf16),
            _ => None,
        };
        float.ok_or_else(|| format!("{:?}", tensor.dtype()))
    };
    let tensors = tensors.into_iter().map(|(name, tensor)| {
        let shape = tensor.shape().to_vec();
        let float = stored(tensor.clone());
        let numbers = match float {
            Ok(float) => Numbers::Bytes(float, Cow::Owned(tensor.data().to_vec())),
            Err(other) => Numbers::Other(other),
        };
        (name, Stored { shape, numbers })
    });
    Ok(StateDict {
        tensors: tensors.collect(),
        notes: Vec::new(),
    })
}

/// The tensors of an index, each in the file that it names beside it, and these files.
pub(super) fn in_parts(
    places: &Map<String, Value>,
    folder: &Path,
) -> Result<(StateDict<'static>, Vec<PathBuf>)> {
    let mut parts: BTreeMap<&str, StateDict<'_>> = BTreeMap::new();
    let (mut all, mut files) = (StateDict::default(), Vec::new());
    for (name, place) in places {
        let place = place
            .as_str()
            .with_context(|| format!("`weight_map`: {place} for `{name}`, expected a file"))?;
        let part = match parts.entry(place) {
            Entry::Occupied(part) => part.into_mut(),
            Entry::Vacant(new) => {
                let path = named_file(folder, place)?;
                let bytes =
                    fs::read(&path).map_err(|e| anyhow!("its part {place} cannot be read: {e}"))?;
                files.push(path);
                let part = match bytes.get(8) {
                    Some(b'{') => safetensors(&bytes),
                    _ => checkpoint(&bytes),
                };
                new.insert(part.with_context(|| format!("its part {place}"))?)
            }
        };
        let tensor = part.tensors.remove(name);
        let tensor = tensor.with_context(|| {
            format!("its part {place} has no tensor `{name}`, which the index says it has")
        })?;
        all.tensors.insert(name.clone(), tensor);
    }
    for (place, part) in parts {
        if let Some(name) = part.names().next() {
            bail!(
                "its part {place} has a tensor `{name}`, of which the index says nothing: the parts are of another one"
            );
        }
        all.notes.extend(part.notes);
    }
    files.sort();
    Ok((all, files))
}

/// What `torch.save` wrote.
pub(super) fn checkpoint(bytes: &[u8]) -> Result<StateDict<'static>> {
    // What torch.jit.trace and torch.jit.script wrote.
    let has_code = Archive::open(bytes).is_ok_and(|archive| {
        let mut names = archive.names().into_iter();
        names.any(|name| name.contains("/code/"))
    });
    ensure!(
        !has_code,
        "a network of TorchScript, which holds code: save its state dict, torch.save(torch.jit.load(\"net.pt\").state_dict(), \"state.pt\")"
    );
    let whole = |e: &dyn std::fmt::Display| match e.to_string() {
        e if e.contains("QInt8Storage") || e.contains("QUInt8Storage") => anyhow!(
            "its tensors are quantized by PyTorch: save the state dict of the module as it was before torch.ao.quantization (quantize_dynamic), and quantize \
             the model with `kinglet quantize`"
        ),
        e => anyhow!(
            "not a whole PyTorch file of tensors ({} bytes): {e}: save the state dict, torch.save(model.state_dict(), ...)",
            bytes.len()
        ),
    };
    let reader = PytorchReader::from_bytes(bytes.to_vec(), None).map_err(|e| whole(&e))?;
    let mut dict = StateDict::default();
    // Views may show the same bytes many times over, and archives may be packed.
    let limit = bytes.len().saturating_mul(8).saturating_add(1 << 16);
    let all = reader
        .tensors()
        .values()
        .try_fold(0usize, |n, t| n.checked_add(t.byte_len()));
    ensure!(
        all.is_some_and(|all| all <= limit),
        "its tensors are more than eight times as large as the file: save it anew without views, {{k: v.clone() for k, v in \
         model.state_dict().items()}}"
    );
    for (name, tensor) in reader.into_tensors() {
        let float = match tensor.dtype() {
            DType::F32 => Ok(Float::F32),
            DType::F64 => Ok(Float::F64),
            DType::F16 => Ok(Float::F16),
            DType::BF16 => Ok(Float::Bf16),
            other => Err(format!("{other:?}")),
        };
        let numbers = match float {
            Ok(float) => Numbers::Bytes(float, Cow::Owned(tensor.read().map_err(|e| whole(&e))?)),
            Err(other) => Numbers::Other(other),
        };
        dict.tensors.insert(
            name,
            Stored {
                shape: tensor.shape().to_vec(),
                numbers,
            },
        );
    }
    let beside = beside_tensors(bytes, &dict);
    if !beside.is_empty() {
        dict.notes.push(format!(
            "the file also has {}, which are no tensors and are not taken: if inputs are normalised by them before they reach the network, give \
             --input-mean and --input-std",
            beside.join(", ")
        ));
    }
    Ok(dict)
}

/// Words in the names of what inputs are normalised by.
const NORMALISING: [&str; 10] = [
    "mean",
    "means",
    "std",
    "stds",
    "stddev",
    "scaler",
    "normalizer",
    "normaliser",
    "normalization",
    "standardizer",
];

/// Words that are in other names too, and say as much where nothing but what is normalised stands beside them: `data_min_`, `x_scale`, but
/// not `max_grad_norm`.
const MAYBE: [&str; 17] = [
    "mu",
    "sigma",
    "min",
    "max",
    "mins",
    "maxs",
    "scale",
    "scales",
    "offset",
    "offsets",
    "shift",
    "norm",
    "minmax",
    "normalize",
    "normalise",
    "var",
    "variance",
];
const NORMALISED: [&str; 24] = [
    "", "data", "x", "y", "in", "out", "input", "inputs", "output", "outputs", "target", "targets",
    "feature", "features", "train", "obs", "state", "stats", "params", "range", "val", "values",
    "ds", "df",
];

/// Whether a name may be that of what inputs are normalised by.
fn normalises(name: &str, all: &[&str]) -> bool {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
        .collect();
    let is = |list: &[&str], word: &String| list.contains(&&**word);
    // MinMaxScaler and the like, by their class.
    let scales = |word: &String| word.ends_with("scaler") || is(&NORMALISING, word);
    if words.iter().any(scales) {
        return true;
    }
    // What a loss is scaled by; and the mode of a schedule, which is one of the two.
    let of_training = match name {
        "scale" => all.contains(&"growth_factor"),
        "min" | "max" => !(all.contains(&"min") && all.contains(&"max")),
        _ => false,
    };
    !of_training
        && words.iter().any(|word| is(&MAYBE, word))
        && words
            .iter()
            .all(|word| is(&MAYBE, word) || is(&NORMALISED, word))
}

/// Names beside the tensors under which such numbers may stand: lists, numbers and NumPy's arrays.
fn beside_tensors(bytes: &[u8], dict: &StateDict<'_>) -> Vec<String> {
    let Ok(mut archive) = Archive::open(bytes) else {
        return Vec::new();
    };
    let mut names = archive.names().into_iter();
    let pickle = names.find(|name| name.ends_with("/data.pkl"));
    let Some(Ok(pickle)) = pickle.map(|name| archive.read(&name)) else {
        return Vec::new();
    };
    let is_of_tensor = |text: &str| {
        let mut tensors = dict.tensors.keys();
        tensors.any(|name| name == text || name.split('.').any(|part| part == text))
    };
    let mut found = Vec::new();
    let all: Vec<&str> = texts(&pickle).collect();
    for text in all.iter().copied() {
        let shown = format!("`{text}`");
        if normalises(text, &all)
            && !text.contains(['/', ' '])
            && !is_of_tensor(text)
            && !found.contains(&shown)
        {
            found.push(shown);
        }
    }
    found
}

/// The texts in a pickle: an opcode, a length, and so many bytes; and the names of classes, which end with a line.
fn texts(pickle: &[u8]) -> impl Iterator<Item = &str> {
    (0..pickle.len()).filter_map(|at| {
        let (&opcode, rest) = pickle[at..].split_first()?;
        let (len, rest) = match opcode {
            b'X' => {
                let (len, rest) = rest.split_first_chunk()?;
                (u32::from_le_bytes(*len) as usize, rest)
            }
            0x8c => {
                let (&len, rest) = rest.split_first()?;
                (usize::from(len), rest)
            }
            b'c' => {
                let mut lines = rest.split(|&byte| byte == b'\n');
                let (module, class) = (lines.next()?, lines.next()?);
                let is_path = |c: &u8| c.is_ascii_alphanumeric() || b"._".contains(c);
                if module.is_empty() || !module.iter().all(is_path) {
                    return None;
                }
                (class.len(), &rest[module.len() + 1..])
            }
            _ => return None,
        };
        let text = std::str::from_utf8(rest.get(..len)?).ok()?;
        let is_name = len > 0 && len < 80 && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        is_name.then_some(text)
    })
}

/// An archive of NumPy's arrays.
pub(super) fn npz(mut archive: Archive<'_>) -> Result<StateDict<'static>> {
    let mut dict = StateDict::default();
    for name in archive.names() {
        let Some(tensor) = name.strip_suffix(".npy") else {
            continue;
        };
        let bytes = archive.read(&name)?;
        let stored = npy(&bytes).with_context(|| format!("array `{tensor}`"))?;
        dict.tensors.insert(tensor.to_owned(), stored);
    }
    Ok(dict)
}

/// One array: a line of Python that describes it, then its numbers.
fn npy(bytes: &[u8]) -> Result<Stored<'static>> {
    let damaged = || anyhow!("not a whole npy file ({} bytes)", bytes.len());
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(damaged)?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
    let (len, rest) = if major == 1 {
        let (len, rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
        (usize::from(u16::from_le_bytes(*len)), rest)
    } else {
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        (u32::from_le_bytes(*len) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(len).ok_or_else(damaged)?;
    let header = std::str::from_utf8(header).map_err(|_| damaged())?;
    let field = |key: &str| {
        let rest = header.split_once(&format!("'{key}':"))?.1.trim_start();
        Some(rest)
    };
    let kind = field("descr")
        .and_then(|rest| rest.split('\'').nth(1))
        .ok_or_else(damaged)?;
    let columns_first = field("fortran_order").is_some_and(|rest| rest.starts_with("True"));
    let list = field("shape")
        .and_then(|rest| rest.strip_prefix('(')?.split_once(')'))
        .ok_or_else(damaged)?
        .0;
    let dims = list.split(',').map(str::trim).filter(|d| !d.is_empty());
    let shape = dims
        .map(|d| d.parse().map_err(|_| damaged()))
        .collect::<Result<Vec<usize>>>()?;
    let (float, size) = match kind {
        "<f4" => (Float::F32, 4),
        "<f8" => (Float::F64, 8),
        "<f2" => (Float::F16, 2),
        other if other.starts_with('>') => bail!(
            "its numbers have their bytes in the other order ({other}): save a.astype(\"<f4\")"
        ),
        other => {
            let numbers = Numbers::Other(other.to_owned());
            return Ok(Stored { shape, numbers });
        }
    };
    let count = super::graph::count(&shape)
        .and_then(|n| n.checked_mul(size))
        .ok_or_else(damaged)?;
    ensure!(
        data.len() == count,
        "{} bytes for the shape {shape:?} of {kind}, expected {count}",
        data.len()
    );
    let data = match (columns_first, &shape[..]) {
        (true, &[rows, columns]) => {
            let places = (0..rows).flat_map(|r| (0..columns).map(move |c| (c * rows + r) * size));
            places
                .flat_map(|at| data[at..at + size].iter().copied())
                .collect()
        }
        (true, dims) if dims.len() > 1 => bail!(
            "an array of {} dimensions in Fortran's order, expected C's",
            dims.len()
        ),
        _ => data.to_vec(),
    };
    Ok(Stored {
        shape,
        numbers: Numbers::Bytes(float, Cow::Owned(data)),
    })
}

/// Names with nested lists of numbers.
pub(super) fn json(object: &Map<String, Value>) -> Result<StateDict<'static>> {
    let mut dict = StateDict::default();
    for (name, value) in object {
        if value.is_array() {
            let (shape, values) = array(value).with_context(|| format!("tensor `{name}`"))?;
            dict.tensors.insert(
                name.clone(),
                Stored {
                    shape,
                    numbers: Numbers::F32(values),
                },
            );
        } else {
            dict.notes
                .push(format!("`{name}` is no tensor and left out"));
        }
    }
    Ok(dict)
}

/// Nested lists of numbers, all of one length at each depth.
pub(super) fn array(value: &Value) -> Result<(Vec<usize>, Vec<f32>)> {
    let mut shape = Vec::new();
    let mut first = value;
    while let Value::Array(list) = first {
        shape.push(list.len());
        first = list.first().unwrap_or(&Value::Null);
    }
    fn collect(value: &Value, shape: &[usize], values: &mut Vec<f32>) -> Result<()> {
        match (value, shape) {
            (Value::Array(list), [len, inner @ ..]) if list.len() == *len => {
                list.iter().try_for_each(|v| collect(v, inner, values))
            }
            (Value::Number(number), []) => {
                values.push(number.as_f64().unwrap_or(f64::NAN) as f32);
                Ok(())
            }
            _ => bail!("lists of several lengths, or something other than numbers in them"),
        }
    }
    let mut values = Vec::new();
    collect(value, &shape, &mut values)?;
    Ok((shape, values))
}

/// The variance that PyTorch adds, unless told otherwise.
const EPSILON: f32 = 1e-5;

/// What the flags say about the convolutions.
struct Sights {
    each: Vec<ConvSight>,
    function: Function,
}

impl Sights {
    fn of(chain: &[Module], options: &ImportOptions, questions: &mut Questions) -> Result<Self> {
        let convs = || {
            chain
                .iter()
                .filter(|m| matches!(m.weights, Weights::Conv(_)))
        };
        let count = convs().count();
        let shown = || convs().map(Module::label).collect::<Vec<_>>().join(", ");
        let each = one_for_each("--conv", &options.conv, count, shown)?;
        let each = match each {
            Some(each) => each,
            None => {
                questions.ask(format!(
                    "there are {}, and a state dict says neither how they are padded nor their dilation and stride: give --conv causal, or \
                     causal:2 for a dilation of 2, for all or one for each",
                    shown()
                ));
                let sight = ConvSight {
                    padding: Padding::Causal,
                    dilation: 1,
                    stride: 1,
                };
                vec![sight; count]
            }
        };
        let function = match options.after_conv {
            _ if count == 0 => Function::Identity,
            Some(AfterConv::None) => Function::Identity,
            Some(AfterConv::Relu) => Function::Relu,
            Some(AfterConv::Elu) => Function::Elu(1.0),
            Some(AfterConv::Tanh) => Function::Tanh,
            Some(AfterConv::Sigmoid) => Function::Sigmoid,
            None => {
                questions.ask(format!(
                    "there are {}, and a state dict does not say what stands behind them: give --after-conv relu, elu, tanh, sigmoid or none",
                    shown()
                ));
                Function::Relu
            }
        };
        Ok(Sights { each, function })
    }
}

/// What stands behind a convolution or a dense layer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behind {
    Function(Function),
    Softmax,
}

impl Behind {
    const NOTHING: Behind = Behind::Function(Function::Identity);

    fn of_head(head: Head) -> Behind {
        Behind::Function(match head {
            Head::Identity => Function::Identity,
            Head::Relu => Function::Relu,
            Head::Elu => Function::Elu(1.0),
            Head::Sigmoid => Function::Sigmoid,
            Head::Tanh => Function::Tanh,
            Head::Softmax => return Behind::Softmax,
        })
    }

    fn add(self, graph: &mut Graph, name: &str, x: ValueId) -> ValueId {
        match self {
            Behind::Function(Function::Identity) => x,
            Behind::Function(function) => graph.activation(name, function, x),
            Behind::Softmax => graph.node(name, "softmax", Op::Softmax { axis: -1 }, &[x]),
        }
    }
}

/// For each module whether the normalisation behind it stands before its activation: asked where there are both.
fn norm_places(
    chain: &[Module],
    behind: &[Behind],
    options: &ImportOptions,
    questions: &mut Questions,
) -> Result<Vec<bool>> {
    // Behind a convolution and behind a dense layer; a cell has its own activations.
    let normed = |place: &usize| {
        let norm = matches!(
            chain.get(place + 1).map(|module| &module.weights),
            Some(Weights::Norm(_) | Weights::LayerNorm(_))
        );
        norm && behind[*place] != Behind::NOTHING
    };
    let normed: Vec<usize> = (0..chain.len()).filter(normed).collect();
    let shown = || {
        let pair = |&place: &usize| {
            let [layer, norm] = [0, 1].map(|k| chain[place + k].label());
            format!("{norm} stands before the activation behind {layer}")
        };
        normed
            .iter()
            .map(pair)
            .collect::<Vec<_>>()
            .join(", and whether ")
    };
    let mut before = vec![false; chain.len()];
    let places = one_for_each("--batch-norm", &options.batch_norm, normed.len(), shown)?;
    if let Some(places) = places {
        for (&at, place) in normed.iter().zip(places) {
            before[at] = place == NormPlace::Before;
        }
    } else {
        questions.ask(format!(
            "a state dict does not say whether {} or after it: give --batch-norm before or after, for all or one for each",
            shown()
        ));
    }
    Ok(before)
}

/// As many as there are places for, from one for all or one for each; none if nothing is given and something is asked for. `flag` has them, and
/// `places` tells what they are for.
fn one_for_each<T: Clone>(
    flag: &str,
    given: &[T],
    count: usize,
    places: impl Fn() -> String,
) -> Result<Option<Vec<T>>> {
    Ok(match given {
        _ if count == 0 => Some(Vec::new()),
        [] => None,
        [one] => Some(vec![one.clone(); count]),
        each if each.len() == count => Some(each.to_vec()),
        each => bail!(
            "{flag}: {} of them, expected one or {count}: {}",
            each.len(),
            places()
        ),
    })
}

/// Flags about what the network does not have, so that they say nothing.
fn idle(chain: &[Module], inner: usize, options: &ImportOptions) -> Vec<String> {
    let any = |is: &dyn Fn(&Weights) -> bool| chain.iter().any(|module| is(&module.weights));
    let cells = |is: &dyn Fn(Kind) -> bool| {
        any(&|weights| match weights {
            Weights::Cells { cells } => cells.iter().any(|cell| is(cell.kind)),
            _ => false,
        })
    };
    let conv = any(&|weights| matches!(weights, Weights::Conv(_)));
    let norm = any(&|weights| matches!(weights, Weights::Norm(_) | Weights::LayerNorm(_)));
    let rnn = cells(&|kind| kind == Kind::Rnn);
    let gru = cells(&|kind| matches!(kind, Kind::Gru { .. }));
    let there = "no nn.Linear that another layer follows";
    [
        ("--conv", options.conv.is_empty() || conv, "no nn.Conv1d"),
        (
            "--after-conv",
            options.after_conv.is_none() || conv,
            "no nn.Conv1d",
        ),
        (
            "--batch-norm",
            options.batch_norm.is_empty() || norm,
            "no nn.BatchNorm1d or nn.LayerNorm",
        ),
        ("--between", options.between.is_empty() || inner > 0, there),
        (
            "--nonlinearity",
            options.nonlinearity.is_none() || rnn,
            "no nn.RNN",
        ),
        (
            "--gru-reset",
            options.gru_reset.is_none() || gru,
            "no nn.GRU",
        ),
    ]
    .into_iter()
    .filter(|(_, fits, _)| !fits)
    .map(|(flag, _, none)| format!("{flag} says nothing here: there is {none}"))
    .collect()
}

/// Gives the matrices their roles: one without a bias before the cells is an embedding, others are dense layers.
fn graph(chain: Vec<Module>, options: &ImportOptions, questions: &mut Questions) -> Result<Graph> {
    let first_cell = chain
        .iter()
        .position(|m| m.is_recurrent())
        .context("order without a cell")?;
    let last_cell = chain.iter().rposition(|m| m.is_recurrent());
    let last_cell = last_cell.unwrap_or(first_cell);
    let is_dense = |place: usize| match &chain[place].weights {
        Weights::Matrix(matrix) => {
            let embeds = place == 0
                && matrix.bias.is_none()
                && !chain.get(1).is_some_and(|next| {
                    next.takes() == Some(matrix.rows) && matrix.rows != matrix.cols
                });
            !embeds
        }
        _ => false,
    };
    let dense: Vec<usize> = (0..chain.len()).filter(|&place| is_dense(place)).collect();
    // What `--head` stands behind.
    let last = dense.last().copied().filter(|&place| place > last_cell);
    let inner: Vec<usize> = dense
        .iter()
        .copied()
        .filter(|&place| Some(place) != last)
        .collect();
    let labels = || {
        let labels = inner.iter().map(|&place| chain[place].label());
        labels.collect::<Vec<_>>().join(", ")
    };
    let between = one_for_each("--between", &options.between, inner.len(), labels)?;
    if between.is_none() {
        questions.ask(format!(
            "a state dict does not say what stands behind {}, which other layers follow: give --between relu, elu, tanh or none, for all or one for each; \
             where they are heads side by side, and not one behind the other, leave out all but one: --ignore PREFIX",
            labels()
        ));
    }
    let between = between.unwrap_or_else(|| vec![Between::None; inner.len()]);
    let sights = Sights::of(&chain, options, questions)?;
    let both = |module: &Module| match &module.weights {
        Weights::Cells { cells } => cells.iter().any(|cell| cell.directions.len() > 1),
        _ => false,
    };
    if chain.iter().any(both) && options.window.is_none() {
        questions.ask(WINDOW.to_owned());
    }
    let head = options.head.unwrap_or_default();
    let behind: Vec<Behind> = (0..chain.len())
        .map(|place| match chain[place].weights {
            Weights::Conv(_) => Behind::Function(sights.function),
            _ if Some(place) == last => Behind::of_head(head),
            _ => match inner.iter().position(|&inner| inner == place) {
                Some(k) => Behind::Function(match between[k] {
                    Between::None => Function::Identity,
                    Between::Relu => Function::Relu,
                    Between::Elu => Function::Elu(1.0),
                    Between::Tanh => Function::Tanh,
                }),
                None => Behind::NOTHING,
            },
        })
        .collect();
    for place in 1..chain.len() {
        let [layer, norm] = [&chain[place - 1], &chain[place]];
        let is_cell = layer.is_recurrent() && !layer.entry.ends_with("_l0");
        let is_norm = matches!(norm.weights, Weights::Norm(_) | Weights::LayerNorm(_));
        if is_cell && is_norm && options.order.is_empty() {
            let names = chain.iter().map(|module| module.flag_name());
            questions.ask(format!(
                "{} stands in a loop of its own, and a state dict does not say whether {} normalises what that gives, or its gates or the state \
                 that goes into the next step, which is another cell: --order {} says the first; otherwise export the network to ONNX",
                layer.label(),
                norm.label(),
                names.collect::<Vec<_>>().join(",")
            ));
        }
    }
    let waits = norm_places(&chain, &behind, options, questions)?;
    questions.none()?;
    ensure!(
        last.is_some() || head == Head::Identity,
        "--head needs an nn.Linear behind the cells to follow, and there is none"
    );

    let mut graph = Graph::default();
    graph.notes.extend(idle(&chain, inner.len(), options));
    let head_begins = dense.iter().find(|&&place| place > last_cell);
    if let Some(&place) = head_begins {
        let ends = match options.head {
            None => "behind the last layer (--head NAME gives an activation), nor ",
            Some(_) => "",
        };
        graph.notes.push(format!(
            "nothing is taken to stand {ends}between the cells and {}: no activation, no pooling over time, no attention; a state dict does not say, \
             and where there is any, export the network to ONNX",
            chain[place].label()
        ));
    }
    if chain
        .iter()
        .any(|module| matches!(module.weights, Weights::Conv(_)))
    {
        graph.notes.push(
            "no pooling is taken to stand between the convolutions and the cells: a state dict does not say; where there is an nn.MaxPool1d or \
             nn.AvgPool1d, export the network to ONNX"
                .to_owned(),
        );
    }
    if let ([first, .., end], true, Some(_)) = (&chain[..], options.order.is_empty(), last)
        && let Weights::Matrix(matrix) = &end.weights
        && first.is_recurrent()
        && first.takes() == Some(matrix.rows)
        && matrix.rows > 1
    {
        graph.notes.push(format!(
            "{} is taken to stand behind the cells, and would fit before them too: a state dict does not say; --order {},... begins with it",
            end.label(),
            end.flag_name()
        ));
    }
    for &place in dense.iter().filter(|&&place| place < last_cell) {
        graph.notes.push(format!(
            "{} stands before a cell{}",
            chain[place].label(),
            match behind[place] {
                Behind::Function(Function::Identity) | Behind::Softmax => String::new(),
                Behind::Function(function) => format!(", and behind it {function:?} (--between)"),
            }
        ));
    }
    let heads: Vec<String> = (dense.iter().filter(|&&place| place > last_cell))
        .map(|&place| chain[place].label())
        .collect();
    if heads.len() > 1 {
        graph.notes.push(format!(
            "behind the cells each of {} reads what the one before gives: a state dict does not say; of heads side by side leave out all but one, --ignore \
             PREFIX",
            heads.join(", ")
        ));
    }
    let cells: Vec<_> = chain
        .iter()
        .filter(|module| module.is_recurrent())
        .collect();
    if let [first, .., last] = cells[..] {
        graph.notes.push(format!(
            "from {} to {} each sees what the one before gives at every sample, with no activation, residual or normalisation between them that has no weights: \
             a state dict does not say, and of an encoder and its decoder, where only the last state goes on, or is repeated for every sample, either has to be \
             imported alone",
            first.label(),
            last.label()
        ));
    }
    let width = match &chain[0].weights {
        Weights::Conv(filters) => Some(filters.shape[1]),
        // Tokens.
        Weights::Matrix(_) if !dense.contains(&0) => None,
        _ => chain[0].takes(),
    };
    if let Weights::Conv(filters) = &chain[0].weights {
        graph.notes.push(format!(
            "{} is taken for an nn.Conv1d of one group, with {} inputs: a state dict does not say, and an nn.ConvTranspose1d or a depthwise one would give \
             other answers; export ONNX if it is one",
            chain[0].label(),
            filters.shape[1]
        ));
    }
    let mut sight = sights.each.iter().copied();
    let behind_cells = |place: usize, name: &str, class: &str| {
        let before = place.checked_sub(1)?;
        (first_cell <= before && !dense.contains(&before)).then(|| {
            format!(
                "{name} ({class}) is taken to stand right behind the cells before it, whose width it has: a state dict does not say; where it \
                 normalises other numbers, as the gates or the state within a cell, export the network to ONNX"
            )
        })
    };
    // What a sample has by now.
    let mut channels = width.unwrap_or_default();
    let mut x = graph.samples(width);
    for (place, module) in chain.into_iter().enumerate() {
        let name = module.flag_name().to_owned();
        match module.weights {
            Weights::Cells { cells } => {
                let count = cells.len();
                for (layer, cell) in cells.into_iter().enumerate() {
                    let name = if count > 1 {
                        format!("{name} layer {layer}")
                    } else {
                        name.clone()
                    };
                    // Behind the last bidirectional layer there is what both directions end with.
                    let ends =
                        cell.directions.len() > 1 && place == last_cell && layer + 1 == count;
                    if ends {
                        graph.notes.push(format!(
                            "behind {name} there is what both directions end with (h_n), which a state dict does not say: not the last \
                             output (y[:, -1]), where the backward direction has just begun"
                        ));
                    }
                    x = graph.recurrent(&name, modules::kind_name(cell.kind), cell, x, !ends)?;
                }
            }
            Weights::Conv(filters) => {
                let sight = sight.next().context("a convolution too many")?;
                let [count, seen, _] = filters.shape;
                let weight = Tensor::f32(filters.shape.to_vec(), filters.weight)?;
                let bias = filters.bias.map(|bias| Tensor::f32(vec![count], bias));
                let sight = (sight, channels / seen);
                x = graph
                    .along_time((&name, "nn.Conv1d"), sight, weight, bias.transpose()?, x)
                    .with_context(|| format!("`{name}` (nn.Conv1d)"))?;
                channels = count;
                if !waits[place] {
                    x = behind[place].add(&mut graph, &name, x);
                }
            }
            Weights::Norm(moments) => {
                graph.notes.push(format!(
                    "{name} is folded with PyTorch's eps of {EPSILON:.0e}: a state dict does not say, and an nn.InstanceNorm1d that tracks its statistics \
                     would give other answers; export ONNX if it is one"
                ));
                x = graph.normalised(&name, "nn.BatchNorm1d", &moments, EPSILON, x)?;
                graph
                    .notes
                    .extend(behind_cells(place, &name, "nn.BatchNorm1d"));
                if let Some(before) = place.checked_sub(1).filter(|&before| waits[before]) {
                    x = behind[before].add(&mut graph, &name, x);
                }
            }
            Weights::LayerNorm([gamma, beta]) => {
                graph.notes.push(format!(
                    "{name} is taken for an nn.LayerNorm with PyTorch's eps of {EPSILON:.0e}: a state dict does not say, and an nn.GroupNorm, \
                     nn.InstanceNorm1d or nn.BatchNorm1d(track_running_stats=False), whose tensors are the same, would give other answers; export ONNX if it is one"
                ));
                graph
                    .notes
                    .extend(behind_cells(place, &name, "nn.LayerNorm"));
                let terms = (Some(gamma), Some(beta));
                x = graph.layer_norm(&name, "nn.LayerNorm", terms, EPSILON, x)?;
                if let Some(before) = place.checked_sub(1).filter(|&before| waits[before]) {
                    x = behind[before].add(&mut graph, &name, x);
                }
            }
            Weights::Matrix(Matrix {
                rows, cols, weight, ..
            }) if !dense.contains(&place) => {
                channels = cols;
                if rows == cols {
                    graph.notes.push(format!(
                        "{name} is square and without a bias: taken for an nn.Embedding of {rows} tokens, not for an nn.Linear"
                    ));
                }
                x = graph.embedding(
                    &name,
                    "nn.Embedding",
                    Tensor::f32(vec![rows, cols], weight)?,
                    x,
                );
            }
            Weights::Matrix(Matrix {
                rows,
                cols,
                weight,
                bias,
            }) => {
                let transposed = (0..cols).flat_map(|k| (0..rows).map(move |o| o * cols + k));
                let weight = transposed.map(|at| weight[at]).collect();
                x = graph.dense(
                    &name,
                    "nn.Linear",
                    Tensor::f32(vec![cols, rows], weight)?,
                    bias,
                    x,
                )?;
                channels = rows;
                if !waits[place] {
                    x = behind[place].add(&mut graph, &name, x);
                }
            }
        }
    }
    graph.outputs = vec![x];
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_pickle_are_found() {
        let pickle = b"\x80\x02}q\x00X\x0b\x00\x00\x00scaler_meanq\x01\x8c\x03stdX\xff\xff\xff\xffX\x02\x00\x00\x00\xff\xfe.";
        let found: Vec<&str> = texts(pickle).collect();
        assert_eq!(found, ["scaler_mean", "std"]);
        let pickle = b"\x80\x02csklearn.preprocessing._data\nMinMaxScaler\nq\x00)R.";
        // Once for every c in the name of its module.
        let mut found: Vec<&str> = texts(pickle).collect();
        found.dedup();
        assert_eq!(found, ["MinMaxScaler"]);
    }

    #[test]
    fn what_has_code_is_a_network_of_torchscript() {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for name in ["net/code/__torch__.py", "net/data.pkl"] {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name, options).unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        let error = checkpoint(&bytes).map(drop).unwrap_err().to_string();
        assert!(
            error.contains("torch.jit.load(\"net.pt\").state_dict()"),
            "{error}"
        );
    }

    #[test]
    fn what_normalises_is_known_by_its_name_and_what_trains_is_not() {
        for name in [
            "sigma",
            "mu",
            "x_min",
            "data_min_",
            "data_max_",
            "input_scale",
            "x_offset",
            "norm",
            "MinMaxScaler",
            "train_mean",
        ] {
            assert!(normalises(name, &[name]), "{name}");
        }
        assert!(normalises("min", &["min", "max"]));
        for name in [
            "max_exp_avg_sq",
            "max_epochs",
            "min",
            "min_lr",
            "max_grad_norm",
            "maximize",
            "loss_scale",
            "state",
            "params",
        ] {
            assert!(!normalises(name, &[name]), "{name}");
        }
        assert!(!normalises("scale", &["scale", "growth_factor"]));
    }
}
