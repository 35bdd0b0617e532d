//! Tensors grouped into the modules they came from.
//!
//! `nn.RNN`, `nn.LSTM` and `nn.GRU` name their parameters `weight_ih_l0`, `weight_hh_l0`,
//! `bias_ih_l0`, `bias_hh_l0`, and so on for `_l1`; the `Cell` classes leave `_l0` out. `nn.Linear`
//! and `nn.Embedding` both have a `weight`, `[out, in]` and `[vocab, dim]`; only `nn.Linear` may
//! have a `bias`. The `weight` of an `nn.Conv1d` has three dimensions, an `nn.BatchNorm1d` is known by its `running_mean`, and an `nn.LayerNorm`
//! has a `weight` and a `bias` of one dimension.
//! What comes before the last dot is the module's name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use super::graph::{Direction, Function, Kind, Moments, Recurrent};
use super::{
    GruReset, ImportOptions, Nonlinearity, questions::Questions, quoted, state_dict::StateDict,
};

/// A module with its parameters.
#[derive(Debug, Clone)]
pub(super) struct Module {
    /// Prefix of its tensors without the dot; empty for the module that was saved itself.
    pub(super) name: String,
    /// Full name of the matrix that takes the input, for messages.
    pub(super) entry: String,
    pub(super) weights: Weights,
}

#[derive(Debug, Clone)]
pub(super) enum Weights {
    /// `nn.RNN`, `nn.LSTM`, `nn.GRU`: one or more layers.
    Cells { cells: Vec<Recurrent> },
    /// `nn.Linear` or `nn.Embedding`.
    Matrix(Matrix),
    /// `nn.Conv1d`.
    Conv(Filters),
    /// `nn.BatchNorm1d`.
    Norm(Moments),
    /// `nn.LayerNorm`: γ and β.
    LayerNorm([Vec<f32>; 2]),
}

#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// `[filters, channels of a group, kernel]`.
    pub(super) shape: [usize; 3],
    pub(super) weight: Vec<f32>,
    pub(super) bias: Option<Vec<f32>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) weight: Vec<f32>,
    /// If there is one, this is an `nn.Linear`.
    pub(super) bias: Option<Vec<f32>>,
}

impl Module {
    /// Numbers that it takes, as a layer; not known of a convolution, which may have groups.
    pub(super) fn takes(&self) -> Option<usize> {
        match &self.weights {
            Weights::Cells { cells } => cells.first().map(|cell| cell.inputs),
            Weights::Matrix(matrix) => Some(matrix.cols),
            Weights::Norm(moments) => Some(moments.mean.len()),
            Weights::LayerNorm([gamma, _]) => Some(gamma.len()),
            Weights::Conv(_) => None,
        }
    }

    /// The same where it stands first; none of what may be an embedding, which takes tokens.
    pub(super) fn inputs(&self) -> Option<usize> {
        match &self.weights {
            Weights::Matrix(Matrix { bias: None, .. }) => None,
            _ => self.takes(),
        }
    }

    pub(super) fn is_recurrent(&self) -> bool {
        matches!(self.weights, Weights::Cells { .. })
    }

    /// The name as it is written in messages and in `--order`.
    pub(super) fn flag_name(&self) -> &str {
        if self.name.is_empty() {
            "."
        } else {
            &self.name
        }
    }

    /// Name, kind and widths.
    pub(super) fn label(&self) -> String {
        let name = self.flag_name();
        match &self.weights {
            Weights::Cells { cells } => {
                let (first, last) = (&cells[0], &cells[cells.len() - 1]);
                let kind = kind_name(first.kind);
                let both = match first.directions.len() {
                    1 => "",
                    _ => "bidirectional ",
                };
                let (inputs, hidden) = (first.inputs, last.width());
                format!("`{name}` ({both}{kind} {inputs} → {hidden})")
            }
            Weights::Matrix(Matrix {
                rows,
                cols,
                bias: Some(_),
                ..
            }) => {
                format!("`{name}` (Linear {cols} → {rows})")
            }
            Weights::Matrix(Matrix {
                rows,
                cols,
                bias: None,
                ..
            }) => {
                format!("`{name}` (Linear {cols} → {rows} or Embedding [{rows}, {cols}])")
            }
            Weights::Conv(Filters {
                shape: [filters, channels, kernel],
                ..
            }) => format!("`{name}` (Conv1d {channels} → {filters}, kernel {kernel})"),
            Weights::Norm(moments) => format!("`{name}` (BatchNorm1d {})", moments.mean.len()),
            Weights::LayerNorm([gamma, _]) => format!("`{name}` (LayerNorm {})", gamma.len()),
        }
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Rnn => "RNN",
        Kind::Lstm | Kind::LstmCoupled => "LSTM",
        Kind::Gru { .. } => "GRU",
    }
}

fn tensor_name(module: &str, leaf: &str) -> String {
    if module.is_empty() {
        leaf.to_owned()
    } else {
        format!("{module}.{leaf}")
    }
}

/// The layers found under one prefix: layer number to the suffix of its tensors, `_l0` or nothing.
type Layers = BTreeMap<usize, &'static str>;

/// Groups every tensor, or says which ones do not belong.
pub(super) fn group(
    dict: &StateDict<'_>,
    options: &ImportOptions,
    questions: &mut Questions,
) -> Result<Vec<Module>> {
    let mut recurrent: BTreeMap<&str, Layers> = BTreeMap::new();
    let mut bidirectional: BTreeSet<&str> = BTreeSet::new();
    let mut matrices: Vec<&str> = Vec::new();
    let mut convs: Vec<&str> = Vec::new();
    let mut norms: Vec<&str> = Vec::new();
    let mut layer_norms: Vec<&str> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();

    for name in dict.names() {
        let (prefix, leaf) = name.rsplit_once('.').unwrap_or(("", name));
        if let Some((layer, suffix)) = recurrent_leaf(leaf) {
            if leaf.ends_with(REVERSE) {
                bidirectional.insert(prefix);
            }
            let known = recurrent.entry(prefix).or_default().insert(layer, suffix);
            ensure!(
                known.is_none_or(|known| known == suffix),
                "tensor `{name}`: its module has layer 0 as `_l0` too, expected one spelling: \
                 leave one out with --ignore"
            );
        } else if leaf == "weight" && dict.shape(name).len() == 2 {
            matrices.push(prefix);
        } else if leaf == "weight" && dict.shape(name).len() == 3 {
            convs.push(prefix);
        } else if leaf == "running_mean" {
            norms.push(prefix);
        } else if leaf == "weight" && is_layer_norm(dict, prefix) {
            layer_norms.push(prefix);
        } else if !belongs(dict, prefix, leaf) {
            unknown.push(format!("`{name}` {:?}", dict.shape(name)));
        }
    }
    ensure!(
        unknown.is_empty(),
        "{} not part of an nn.RNN, nn.LSTM, nn.GRU, nn.Embedding, nn.Linear, nn.Conv1d, nn.BatchNorm1d or nn.LayerNorm: {}{}; if the outputs \
         do not depend on {}, give --ignore PREFIX; what is taken from the inputs and divided by goes in as --input-mean and --input-std",
        if unknown.len() == 1 {
            "a tensor is"
        } else {
            "these tensors are"
        },
        unknown.join(", "),
        match dict.names().any(is_initial) {
            true =>
                "; a state that was trained to begin with (h0) cannot be held, as the engine begins with zeros: train without it",
            false => "",
        },
        if unknown.len() == 1 { "it" } else { "them" },
    );
    ensure!(
        !recurrent.is_empty(),
        "there is no nn.RNN, nn.LSTM or nn.GRU: expected a tensor named weight_ih_l0, found {}",
        quoted(dict.names())
    );

    let mut modules = Vec::new();
    for (name, layers) in recurrent {
        let both = bidirectional.contains(name);
        let reverse = match both {
            true => cells(dict, name, &layers, (options, questions), Some(REVERSE))?,
            false => Vec::new(),
        };
        let direction = both.then_some("");
        let mut cells = cells(dict, name, &layers, (options, questions), direction)?;
        for (cell, reverse) in cells.iter_mut().zip(reverse) {
            cell.directions.extend(reverse.directions);
        }
        let first = if layers[&0].is_empty() {
            "weight_ih"
        } else {
            "weight_ih_l0"
        };
        modules.push(Module {
            name: name.to_owned(),
            entry: tensor_name(name, first),
            weights: Weights::Cells { cells },
        });
    }
    for name in matrices {
        let entry = tensor_name(name, "weight");
        let &[rows, cols] = dict.shape(&entry) else {
            unreachable!("matrices are 2-D")
        };
        ensure!(
            rows > 0 && cols > 0,
            "tensor `{entry}`: shape [{rows}, {cols}], expected no empty dimension"
        );
        let bias = optional(dict, &tensor_name(name, "bias"), rows, &entry)?;
        let weight = dict.read(&entry, &[rows, cols], "")?;
        modules.push(Module {
            name: name.to_owned(),
            entry,
            weights: Weights::Matrix(Matrix {
                rows,
                cols,
                weight,
                bias,
            }),
        });
    }
    for name in convs {
        let entry = tensor_name(name, "weight");
        let &[filters, channels, kernel] = dict.shape(&entry) else {
            unreachable!("filters are 3-D")
        };
        let shape = [filters, channels, kernel];
        ensure!(
            shape.iter().all(|&n| n > 0),
            "tensor `{entry}`: shape {shape:?}, expected no empty dimension"
        );
        modules.push(Module {
            name: name.to_owned(),
            weights: Weights::Conv(Filters {
                shape,
                weight: dict.read(&entry, &shape, "")?,
                bias: optional(dict, &tensor_name(name, "bias"), filters, &entry)?,
            }),
            entry,
        });
    }
    for name in norms {
        let entry = tensor_name(name, "running_mean");
        let &[width] = dict.shape(&entry) else {
            bail!(
                "tensor `{entry}`: shape {:?}, expected one dimension",
                dict.shape(&entry)
            )
        };
        ensure!(width > 0, "tensor `{entry}` is empty");
        let variance = tensor_name(name, "running_var");
        ensure!(
            dict.contains(&variance),
            "tensor `{variance}` is missing, though `{entry}` is there: the state dict is not whole"
        );
        let term = |leaf: &str, without: f32| -> Result<Vec<f32>> {
            let found = optional(dict, &tensor_name(name, leaf), width, &entry)?;
            Ok(found.unwrap_or_else(|| vec![without; width]))
        };
        modules.push(Module {
            name: name.to_owned(),
            weights: Weights::Norm(Moments {
                mean: dict.read(&entry, &[width], "")?,
                variance: dict.read(&variance, &[width], &format!("like `{entry}`"))?,
                gamma: term("weight", 1.0)?,
                beta: term("bias", 0.0)?,
            }),
            entry,
        });
    }
    for name in layer_norms {
        let entry = tensor_name(name, "weight");
        let width = dict.shape(&entry).iter().product();
        ensure!(width > 0, "tensor `{entry}` is empty");
        let beta = dict.read(
            &tensor_name(name, "bias"),
            &[width],
            &format!("like `{entry}`"),
        )?;
        modules.push(Module {
            name: name.to_owned(),
            weights: Weights::LayerNorm([dict.read(&entry, &[width], "")?, beta]),
            entry,
        });
    }
    Ok(modules)
}

/// What a state that cells begin with is called.
fn is_initial(name: &str) -> bool {
    let leaf = name.rsplit('.').next().unwrap_or_default();
    let letters: String = leaf.chars().filter(|c| *c != '_').collect();
    const NAMES: [&str; 12] = [
        "h0",
        "c0",
        "hx0",
        "inith",
        "initc",
        "hinit",
        "cinit",
        "h0param",
        "initstate",
        "initialstate",
        "inithidden",
        "initialhidden",
    ];
    NAMES.contains(&&*letters.to_ascii_lowercase())
}

/// A weight and a bias of one dimension, and nothing that was learnt of batches.
fn is_layer_norm(dict: &StateDict<'_>, prefix: &str) -> bool {
    let one = |leaf: &str| {
        let name = tensor_name(prefix, leaf);
        dict.contains(&name) && dict.shape(&name).len() == 1
    };
    one("weight") && one("bias") && !dict.contains(&tensor_name(prefix, "running_mean"))
}

/// A tensor of one dimension, if it is there.
fn optional(dict: &StateDict<'_>, name: &str, len: usize, like: &str) -> Result<Option<Vec<f32>>> {
    let found = dict.contains(name);
    found
        .then(|| dict.read(name, &[len], &format!("like the rows of `{like}`")))
        .transpose()
}

/// A tensor beside the one that its module is known by.
fn belongs(dict: &StateDict<'_>, prefix: &str, leaf: &str) -> bool {
    let weight = tensor_name(prefix, "weight");
    let mapped = dict.contains(&weight) && matches!(dict.shape(&weight).len(), 2 | 3);
    let normed = dict.contains(&tensor_name(prefix, "running_mean"));
    match leaf {
        "bias" => mapped || normed || is_layer_norm(dict, prefix),
        "weight" | "running_var" => normed,
        _ => false,
    }
}

/// What the tensors of a bidirectional module's other direction end with.
const REVERSE: &str = "_reverse";

/// The layer of a recurrent module's tensor and its suffix; `None` for any other tensor.
fn recurrent_leaf(leaf: &str) -> Option<(usize, &'static str)> {
    const PARTS: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];
    let rest = PARTS.iter().find_map(|part| leaf.strip_prefix(part))?;
    let number = rest.strip_suffix(REVERSE).unwrap_or(rest);
    let place = match number.strip_prefix("_l") {
        None if number.is_empty() => (0, ""),
        // The number in any other spelling would name another tensor.
        Some(digits) => match digits.parse::<usize>() {
            Ok(layer) if layer.to_string() == digits => (layer, "_l"),
            _ => return None,
        },
        None => return None,
    };
    Some(place)
}

/// The layers of one module, checked against each other. Of a bidirectional module those of one direction, whose tensors
/// end so.
fn cells(
    dict: &StateDict<'_>,
    module: &str,
    layers: &Layers,
    (options, questions): (&ImportOptions, &mut Questions),
    direction: Option<&str>,
) -> Result<Vec<Recurrent>> {
    let directions = 1 + usize::from(direction.is_some());
    let end = direction.unwrap_or_default();
    let mut cells: Vec<Recurrent> = Vec::new();
    for (place, (&layer, &suffix)) in layers.iter().enumerate() {
        let suffix = if suffix.is_empty() {
            String::new()
        } else {
            format!("{suffix}{layer}")
        };
        let [w_ih, w_hh, b_ih, b_hh] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
            .map(|part| tensor_name(module, &format!("{part}{suffix}{end}")));
        ensure!(
            layer == place,
            "there is no layer {place} in `{module}`, though `{w_hh}` is of layer {layer}: the \
             state dict is not whole"
        );
        for weight in [&w_ih, &w_hh] {
            ensure!(
                dict.contains(weight),
                "tensor `{weight}` is missing, though others of its layer are there: the state \
                 dict is not whole"
            );
        }

        let &[rows, width] = dict.shape(&w_hh) else {
            bail!(
                "tensor `{w_hh}`: shape {:?}, expected [gates × hidden, hidden]",
                dict.shape(&w_hh)
            );
        };
        // With a projection the state is narrower than the gates.
        let w_hr = tensor_name(module, &format!("weight_hr{suffix}{end}"));
        let projection = match dict.contains(&w_hr) {
            false => None,
            true => match *dict.shape(&w_hr) {
                [p, hidden] if p == width && rows == 4 * hidden && p > 0 => {
                    Some((hidden, dict.read(&w_hr, &[p, hidden], "")?))
                }
                ref other => bail!(
                    "tensor `{w_hr}`: shape {other:?}, expected [{width}, {}] with `{w_hh}` [{rows}, {width}], as an nn.LSTM \
                     with proj_size has it",
                    rows / 4
                ),
            },
        };
        let hidden = projection.as_ref().map_or(width, |(hidden, _)| *hidden);
        let mut activation = Function::Tanh;
        let kind = match (rows, hidden) {
            (0, _) | (_, 0) => {
                bail!("tensor `{w_hh}`: shape [{rows}, {hidden}], expected no empty dimension")
            }
            _ if rows == hidden => {
                activation = match options.nonlinearity {
                    Some(Nonlinearity::Tanh) => Function::Tanh,
                    Some(Nonlinearity::Relu) => Function::Relu,
                    None => {
                        questions.ask(format!(
                            "tensor `{w_hh}`: shape [{rows}, {hidden}] is an nn.RNN, and a state dict does \
                             not say whether it used tanh or ReLU: give --nonlinearity tanh or relu"
                        ));
                        Function::Tanh
                    }
                };
                Kind::Rnn
            }
            _ if rows == 4 * hidden => Kind::Lstm,
            _ if rows == 3 * hidden => Kind::Gru {
                after: options.gru_reset.unwrap_or_default() == GruReset::After,
            },
            _ => bail!(
                "tensor `{w_hh}`: shape [{rows}, {hidden}], expected {hidden} (RNN), {} (GRU) or {} \
                 (LSTM) rows for {hidden} columns: other cells are not supported",
                3 * hidden,
                4 * hidden
            ),
        };
        let inputs = match dict.shape(&w_ih) {
            &[_, inputs] if inputs > 0 => inputs,
            other => bail!("tensor `{w_ih}`: shape {other:?}, expected [{rows}, inputs]"),
        };
        if let Some(below) = cells.last() {
            ensure!(
                kind == below.kind && hidden == below.hidden && width == below.width(),
                "tensor `{w_hh}`: shape [{rows}, {width}], expected [{} × {}, {}] like the \
                 layer before it: layers of one module have one kind and width",
                below.kind.gates(),
                below.hidden,
                below.width()
            );
        }
        let expected = cells
            .last()
            .map_or(inputs, |below| directions * below.width());
        let why = if place == 0 {
            format!("with the rows of `{w_hh}`")
        } else {
            format!("with the rows of `{w_hh}` and the width of the layer before it")
        };

        // PyTorch has both bias vectors or neither.
        let bias = |name: &str, other: &str| match dict.contains(name) {
            true => dict.read(name, &[rows], &format!("like the rows of `{w_hh}`")),
            false if dict.contains(other) => bail!(
                "tensor `{name}` is missing, though `{other}` is there: the state dict is not whole"
            ),
            false => Ok(vec![0.0; rows]),
        };
        let direction = Direction {
            reverse: end == REVERSE,
            b_ih: bias(&b_ih, &b_hh)?,
            b_hh: bias(&b_hh, &b_ih)?,
            w_ih: dict.read(&w_ih, &[rows, expected], &why)?,
            w_hh: dict.read(&w_hh, &[rows, width], "")?,
            peephole: None,
            projection: projection.map(|(_, projection)| projection),
            functions: match kind {
                Kind::Rnn => [activation; 3],
                _ => Recurrent::functions(kind),
            },
        };
        cells.push(Recurrent {
            kind,
            inputs,
            hidden,
            directions: vec![direction],
            clip: None,
            cell_clip: None,
        });
    }
    Ok(cells)
}
