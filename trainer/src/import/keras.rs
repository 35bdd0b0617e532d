//! Keras: `.keras` (a ZIP archive of a configuration and weights in HDF5) and the older `.h5` with both in one.
//!
//! Layers follow one another, in a Sequential, or take what others gave, in a functional model. Weights are found by the layer's name, which
//! both files keep beside them, and by their own or, in `.keras`, by their place.

use super::archive::Archive;
use super::graph::{
    Binary, Dim, Function, Graph, Input, Kind, Moments, Op, Pooling, Reduction, Tensor, ValueId,
    Values, count,
};
use super::keras_weights::{Setting, activated, function, recurrent};
use super::lower::answers_of_pieces;
use super::{ConvSight, Padding, quoted};
use crate::net::PoolKind;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hdf5_pure::{File, Group};
use serde_json::Value;

/// The graph of a `.keras` file.
pub(super) fn archive(mut archive: Archive<'_>, answer: Option<&str>) -> Result<Graph> {
    let config = archive.read("config.json")?;
    let weights = archive.read("model.weights.h5")?;
    let metadata = archive.read("metadata.json").ok();
    let metadata: Option<Value> = metadata.and_then(|json| serde_json::from_slice(&json).ok());
    let version = metadata
        .as_ref()
        .map(|metadata| text(metadata, "keras_version"));
    let config = serde_json::from_slice(&config)
        .map_err(|e| anyhow!("config.json in it is damaged: {e}"))?;
    let len = weights.len();
    let file =
        File::from_bytes(weights).map_err(|e| anyhow!("model.weights.h5 in it is damaged: {e}"))?;
    graph(
        &config,
        &Weights {
            root: file.root(),
            limit: len,
            flat: false,
            places: places(&config),
            hard: hard_sigmoid(version),
        },
        answer,
    )
}

/// The graph of an `.h5` file.
pub(super) fn hdf5(bytes: &[u8], answer: Option<&str>) -> Result<Graph> {
    let damaged =
        |e: hdf5_pure::Error| anyhow!("not a whole HDF5 file ({} bytes): {e}", bytes.len());
    let file = File::from_bytes(bytes.to_vec()).map_err(damaged)?;
    let root = file.root();
    let attributes = root.attrs().map_err(damaged)?;
    let config = attributes
        .get("model_config")
        .and_then(|value| value.as_str().map(str::to_owned));
    let version = attributes
        .get("keras_version")
        .and_then(|value| value.as_str().map(str::to_owned));
    let config = config.context("there is no `model_config` in it, only weights: save the whole model, model.save(\"model.keras\")")?;
    let config =
        serde_json::from_str(&config).map_err(|e| anyhow!("its `model_config` is damaged: {e}"))?;
    let root = root.group("model_weights").map_err(damaged)?;
    graph(
        &config,
        &Weights {
            root,
            limit: bytes.len(),
            flat: true,
            places: Vec::new(),
            // The oldest did not write it.
            hard: hard_sigmoid(Some(version.as_deref().unwrap_or("1"))),
        },
        answer,
    )
}

/// Where layers keep their weights.
struct Weights {
    root: Group,
    /// Bytes of the file: no weights are much more.
    limit: usize,
    /// In the older file, groups by the layers' names and weights by their own.
    flat: bool,
    /// Of every layer its name, what groups of its class are called, and how many of the class come before it.
    places: Vec<(String, String, usize)>,
    /// The hard sigmoid of the Keras that wrote the file, if it says which.
    hard: Option<Function>,
}

/// `max(0, min(1, 0.2 x + 0.5))` before Keras 3, from then on `relu6(x + 3) / 6`.
fn hard_sigmoid(version: Option<&str>) -> Option<Function> {
    let major: u32 = version?.split('.').next()?.parse().ok()?;
    Some(match major {
        0..=2 => Function::HardSigmoid(0.2, 0.5),
        _ => Function::HardSigmoid(1.0 / 6.0, 0.5),
    })
}

/// The places of a model's layers among those of their classes.
fn places(model: &Value) -> Vec<(String, String, usize)> {
    let layers = model.get("config").and_then(listed).unwrap_or_default();
    let mut places: Vec<(String, String, usize)> = Vec::new();
    for layer in layers {
        let name = text(layer.get("config").unwrap_or(&Value::Null), "name");
        let class = snake_case(text(layer, "class_name"));
        let before = places.iter().filter(|(_, of, _)| *of == class).count();
        places.push((name.to_owned(), class, before));
    }
    places
}

/// What Keras calls a group of a class: `simple_rnn` of SimpleRNN, `conv1d` of Conv1D, `lstm` of LSTM.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (k, letter) in letters.iter().enumerate() {
        let lower = |at: Option<&char>| at.is_some_and(char::is_ascii_lowercase);
        let begins = k > 0 && letter.is_ascii_uppercase();
        if begins && (lower(letters.get(k + 1)) || lower(letters.get(k - 1))) {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// What cannot be read of a layer's weights.
fn damaged(e: hdf5_pure::Error) -> anyhow::Error {
    anyhow!("its weights cannot be read: {e}")
}

/// A layer's weights with the paths below its group.
type Named = Vec<(String, Tensor)>;

impl Weights {
    /// Those of a model among the layers.
    fn inside(&self, model: &Value, name: &str) -> Result<Weights> {
        let root = match self.group(name) {
            // In the older file layers may lie there without a group of their model.
            Err(_) if self.flat => self.root.clone(),
            group => group?,
        };
        // That of a model which TimeDistributed applies lies in its group.
        let root = match root.group("layer") {
            Ok(applied) if !self.flat => applied,
            _ => root,
        };
        Ok(Weights {
            root,
            places: places(model),
            ..*self
        })
    }

    /// Where a layer's weights lie.
    fn group(&self, layer: &str) -> Result<Group> {
        Ok(if self.flat {
            match self.root.group(layer) {
                Ok(group) => group,
                // Layers of a model lie in its group below the names of what they were built in.
                Err(error) => {
                    let mut all = below(&self.root, layer, 0)?;
                    ensure!(
                        all.len() < 2,
                        "there are weights of several layers of this name: save the model as .keras"
                    );
                    all.pop().ok_or_else(|| damaged(error))?
                }
            }
        } else {
            let layers = self.root.group("layers").map_err(damaged)?;
            let names = layers.groups().map_err(damaged)?;
            // A group is called by the layer's class; its own name is an attribute.
            let called = |name: &&String| {
                let attributes = layers
                    .group(name)
                    .and_then(|g| g.group("vars"))
                    .and_then(|g| g.attrs());
                attributes.is_ok_and(|a| a.get("name").and_then(|v| v.as_str()) == Some(layer))
            };
            let found = names
                .iter()
                .find(called)
                .or_else(|| self.by_place(&names, layer));
            let found = found.with_context(|| {
                format!("there are no weights of it in the file, `layers` has {names:?}")
            })?;
            layers.group(found).map_err(damaged)?
        })
    }

    /// The group of a layer where groups do not say whose they are, as before Keras 3.6: those of one class are numbered in the order of the
    /// layers, whatever these are called.
    fn by_place<'n>(&self, names: &'n [String], layer: &str) -> Option<&'n String> {
        let (_, class, before) = self.places.iter().find(|(name, ..)| name == layer)?;
        let number = |name: &str| match name.strip_prefix(class.as_str())? {
            "" => Some(0),
            rest => rest.strip_prefix('_')?.parse::<usize>().ok(),
        };
        let mut of_class: Vec<_> = (names.iter())
            .filter_map(|name| Some((number(name)?, name)))
            .collect();
        of_class.sort();
        let count = self.places.iter().filter(|(_, of, _)| of == class).count();
        // Were it more or fewer, places would say nothing.
        let all = of_class.len() == count;
        of_class.get(*before).filter(|_| all).map(|(_, name)| *name)
    }

    fn of(&self, layer: &str) -> Result<Named> {
        let mut group = self.group(layer)?;
        // A model of the layer's own name has a group around those of all its layers.
        for _ in 0..16 {
            match group.group(layer) {
                Ok(inner) if self.flat => group = inner,
                _ => break,
            }
        }
        let mut named = Vec::new();
        self.collect(&group, "", 0, &mut named)?;
        named.sort_by(|a, b| a.0.cmp(&b.0));
        for forward in [false, true] {
            let kernels = (named.iter().map(|(path, _)| path.as_str()))
                .filter(|path| path.contains("forward_") == forward && leaf(path) == "kernel");
            let kernels: Vec<&str> = kernels.collect();
            ensure!(
                kernels.len() < 2,
                "its weights lie beside those of other layers, {kernels:?}: give every layer and every model a name of its own, or save the model as .keras"
            );
        }
        Ok(named)
    }

    fn collect(&self, group: &Group, path: &str, depth: usize, named: &mut Named) -> Result<()> {
        ensure!(
            depth < 16,
            "groups in its weights are nested without an end"
        );
        for name in group.datasets().map_err(damaged)? {
            let dataset = group.dataset(&name).map_err(damaged)?;
            let shape = dataset.shape().map_err(damaged)?;
            let shape = shape
                .iter()
                .map(|&d| usize::try_from(d).map_err(|_| anyhow!("dimension {d}")));
            let shape = shape.collect::<Result<Vec<_>>>()?;
            let fits = count(&shape).is_some_and(|n| n <= self.limit.saturating_mul(16));
            ensure!(
                fits,
                "weights `{path}{name}` of the shape {shape:?} are more than the file can hold"
            );
            let values = dataset.read_f32().map_err(damaged)?;
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                bail!(
                    "weights `{path}{name}`: {} at index {at}, expected a finite number",
                    values[at]
                );
            }
            named.push((format!("{path}{name}"), Tensor::f32(shape, values)?));
        }
        for name in group.groups().map_err(damaged)? {
            let inner = group.group(&name).map_err(damaged)?;
            self.collect(&inner, &format!("{path}{name}/"), depth + 1, named)?;
        }
        Ok(())
    }
}

/// The groups of this name within another, not within each other.
fn below(group: &Group, name: &str, depth: usize) -> Result<Vec<Group>> {
    ensure!(
        depth < 16,
        "groups in its weights are nested without an end"
    );
    let mut all = Vec::new();
    for inner in group.groups().map_err(damaged)? {
        let found = group.group(&inner).map_err(damaged)?;
        match inner == name {
            true => all.push(found),
            false => all.extend(below(&found, name, depth + 1)?),
        }
    }
    Ok(all)
}

/// A weight's own name: `kernel` of `lstm/lstm_cell/kernel:0`.
fn leaf(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split(':').next().unwrap_or_default()
}

/// The weight that is called so, or stands at this place.
fn weight<'w>(named: &'w [(String, Tensor)], name: &str, place: usize) -> Option<&'w Tensor> {
    let place = place.to_string();
    let found = named
        .iter()
        .find(|(path, _)| leaf(path) == name || leaf(path) == place);
    found.map(|(_, tensor)| tensor)
}

fn text<'v>(config: &'v Value, key: &str) -> &'v str {
    config.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn flag(config: &Value, key: &str, default: bool) -> bool {
    config.get(key).and_then(Value::as_bool).unwrap_or(default)
}

/// The name of a function: what Keras takes where there is none, and nothing (`null`) for a line.
fn function_name<'v>(config: &'v Value, key: &str, default: &'v str) -> Result<&'v str> {
    match config.get(key) {
        None => Ok(default),
        Some(Value::Null) => Ok("linear"),
        Some(Value::String(name)) => Ok(name),
        Some(other) => {
            let class = text(other, "class_name");
            bail!(
                "attribute `{key}`: {}, expected the name of a function: the engine has tanh, sigmoid, relu, elu, softmax and none; train with one of them",
                if class.is_empty() {
                    other.to_string()
                } else {
                    format!("a {class}")
                }
            )
        }
    }
}

/// Packages whose modules a class of Keras comes from, of all versions.
const PACKAGES: [&str; 4] = ["keras", "tf_keras", "keras_core", "tensorflow"];

/// Where a layer's configuration has layers and functions that it is made of.
const MADE_OF: [&str; 6] = [
    "layer",
    "backward_layer",
    "cell",
    "cells",
    "activation",
    "recurrent_activation",
];

/// An error if it, or what it is made of, is a class of the user's own, which may have the name of one of Keras'.
fn of_keras(value: &Value) -> Result<()> {
    if let Value::Array(all) = value {
        return all.iter().try_for_each(of_keras);
    }
    let (module, registered) = (text(value, "module"), text(value, "registered_name"));
    let config = value.get("config").unwrap_or(&Value::Null);
    let package = module.split('.').next().unwrap_or_default();
    // Keras registers its own classes under no name, or has a module of them.
    let own = match module {
        "" => !registered.is_empty(),
        _ => !PACKAGES.contains(&package),
    };
    ensure!(
        !own && !registered.contains('>'),
        "{} of the user's own ({}), whose code is not in the file",
        if config.is_string() {
            "a function"
        } else {
            "a class"
        },
        match (config.as_str(), registered) {
            (Some(name), _) => name,
            (None, "") => text(value, "class_name"),
            (None, name) => name,
        }
    );
    let parts = MADE_OF.iter().filter_map(|key| config.get(*key));
    parts.into_iter().try_for_each(of_keras)
}

/// What changes a layer's numbers and is not read: a class of the user's own, integers with scales, time before the batch.
fn known(layer: &Value, config: &Value) -> Result<()> {
    of_keras(layer)?;
    ensure!(
        text(layer, "class_name") != "Lambda",
        "a function of Python, whose code is not read: take layers in its place, Rescaling, Activation, return_sequences=False for x[:, -1, :]"
    );
    let function = config.get("function").and_then(Value::as_str);
    ensure!(
        !matches!(text(layer, "class_name"), "TFOpLambda" | "SlicingOpLambda"),
        "a function between layers ({}), which is not read: take layers in its place, return_sequences=False for x[:, -1, :], or save the model with Keras 3",
        function.unwrap_or_default()
    );
    let quantized = config
        .get("quantization_config")
        .is_some_and(|v| !v.is_null())
        || text(config.get("dtype").unwrap_or(&Value::Null), "class_name").contains("Quantized");
    ensure!(
        !quantized,
        "its weights are integers with scales: save the model as it was before `quantize`"
    );
    ensure!(
        !flag(config, "time_major", false),
        "attribute `time_major`: true: expected [batch, time, features]"
    );
    ensure!(
        !flag(config, "lora_enabled", false) && config.get("lora_rank").is_none_or(Value::is_null),
        "attribute `lora_rank`: its weights lie in several parts: merge them before the model is saved"
    );
    Ok(())
}

/// `answer` is the layer whose output is the model's, of a network with several.
fn graph(model: &Value, weights: &Weights, answer: Option<&str>) -> Result<Graph> {
    let (mut graph, rows) = match without_rows(model) {
        None => (Graph::default(), None),
        Some((inner, rows)) => {
            let mut graph = Graph::default();
            match layers(&mut graph, &inner, weights, (None, None)) {
                Ok(flow) if !flow.sequence => (graph, Some((flow, rows))),
                _ => (Graph::default(), None),
            }
        }
    };
    let output = match rows {
        None => layers(&mut graph, model, weights, (None, answer))?,
        Some((flow, rows)) => {
            graph.notes.push(format!(
                "the answer is {rows} in the file (Reshape); the model gives its numbers side by side, row after row"
            ));
            flow
        }
    };
    graph.outputs = vec![output.value];
    let all = model
        .get("config")
        .and_then(listed)
        .map_or(Vec::new(), flat);
    let mut policies = all.iter().filter_map(|layer| policy(layer.get("config")?));
    if let Some(policy) = policies.find(|policy| policy.ends_with("float16")) {
        graph.notes.push(format!(
            "Keras computes it in {policy}, the engine and the proof in f32: what Keras answers is rounded to about {} digits",
            if policy.ends_with("bfloat16") { 2 } else { 3 }
        ));
    }
    Ok(graph)
}

/// A model without the Reshape that it ends with, which parts the answer into rows, one for each step that is answered for.
fn without_rows(model: &Value) -> Option<(Value, String)> {
    let last = listed(model.get("config")?)?.last()?;
    let rows = last.get("config")?.get("target_shape")?;
    let is_rows = text(last, "class_name") == "Reshape" && rows.as_array()?.len() == 2;
    if !is_rows || text(model, "class_name") != "Sequential" {
        return None;
    }
    let rows = rows.to_string();
    let mut inner = model.clone();
    let config = inner.get_mut("config")?;
    let layers = match config.get("layers") {
        Some(_) => config.get_mut("layers")?,
        None => config,
    };
    layers.as_array_mut()?.pop();
    Some((inner, rows))
}

/// The name of the policy of numbers that a layer has.
fn policy(config: &Value) -> Option<&str> {
    let dtype = config.get("dtype")?;
    dtype
        .as_str()
        .or_else(|| dtype.get("config")?.get("name")?.as_str())
}

/// What a layer gives.
#[derive(Clone, Copy)]
struct Flow {
    /// `[time, batch, features]`, or `[batch, features]`.
    value: ValueId,
    /// It is there for every sample of a sequence.
    sequence: bool,
}

impl Flow {
    fn of(self, value: ValueId) -> Flow {
        Flow { value, ..self }
    }
}

/// Layers that do the same with every sample, whatever is around it.
const OF_A_SAMPLE: [&str; 16] = [
    "InputLayer",
    "Dense",
    "BatchNormalization",
    "LayerNormalization",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "Softmax",
    "Rescaling",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
];

/// Models within models.
const MODELS: [&str; 3] = ["Sequential", "Functional", "Model"];

/// The layers of a model, whose input is the file's or what a layer before it gives, and whose answer is what a layer of this name gives.
fn layers(
    graph: &mut Graph,
    model: &Value,
    weights: &Weights,
    (entering, asked): (Option<Flow>, Option<&str>),
) -> Result<Flow> {
    let model_class = text(model, "class_name");
    ensure!(
        MODELS.contains(&model_class),
        "a model of the class `{model_class}`, expected Sequential or Functional: its layers are Python code, which is not in the file"
    );
    let config = model.get("config").unwrap_or(&Value::Null);
    let layers = listed(config).context("there are no layers in its configuration")?;
    let outputs = config.get("output_layers").and_then(Value::as_array);
    let several = outputs.filter(|list| list.len() > 1 && list.iter().all(Value::is_array));
    let asked = match several {
        None => None,
        Some(list) => {
            let of_layer =
                |output: &Value| output.get(0).and_then(Value::as_str).map(str::to_owned);
            let names: Vec<String> = list.iter().filter_map(of_layer).collect();
            let at = asked.and_then(|asked| names.iter().position(|name| name == asked));
            let at = at.with_context(|| {
                format!(
                    "a model of several outputs, of which --output NAME takes one by its layer: {}; of a model within another save the one that is \
                     needed, keras.Model(model.input, model.outputs[k])",
                    quoted(&names)
                )
            })?;
            list.get(at)
        }
    };
    let mut x = None;
    // What every layer gave at each of its calls.
    let mut given: Vec<(Origin, Flow)> = Vec::new();
    let mut left: Vec<(Value, usize)> = layers.iter().flat_map(calls).collect();
    while !left.is_empty() {
        // A layer that is shared stands in the list at the first of its calls.
        let ready = |(layer, _): &(Value, usize)| is_ready(layer, &given);
        let (layer, call) = left.remove(left.iter().position(ready).unwrap_or(0));
        let layer = &layer;
        let class = text(layer, "class_name");
        let config = layer.get("config").unwrap_or(&Value::Null);
        let name = text(config, "name");
        known(layer, config).with_context(|| format!("layer `{name}` ({class})"))?;
        let input = match x {
            Some(x) => x,
            None => {
                let input = match entering {
                    Some(entering) => entering,
                    None => input(graph, config, layers)?,
                };
                if class == "InputLayer" {
                    x = Some(input);
                    given.push(((name.to_owned(), call), input));
                    continue;
                }
                input
            }
        };
        let label = || format!("layer `{name}` ({class})");
        let inputs = match model_class {
            "Sequential" => vec![input],
            _ => sources(layer, &given).with_context(label)?,
        };
        let number = match inputs[..] {
            [input] => with_number(graph, layer, (class, name), input),
            _ => None,
        };
        let y = match (joins(class), &inputs[..]) {
            _ if number.is_some() => number.context("no number"),
            (Some(op), all) => joined(graph, (class, op), config, name, all),
            (None, [input]) if MODELS.contains(&class) => weights
                .inside(layer, name)
                .and_then(|weights| self::layers(graph, layer, &weights, (Some(*input), None))),
            (None, [input]) if class == "GetItem" => taken(graph, layer, name, *input),
            (None, [input]) => add(graph, class, config, name, weights, *input),
            _ if class.contains("Attention") => Err(anyhow!(
                "attention over the samples of a sequence: the engine has none, as a stream does not know what comes; take a recurrent layer's last \
                 output in its place"
            )),
            (None, []) => Err(anyhow!(
                "a second input: the engine takes one; give the network one input with all columns side by side, and take its parts from that"
            )),
            (None, all) => Err(anyhow!("it takes {} values, expected one", all.len())),
        };
        let y = y.with_context(label)?;
        if call == 1 {
            ensure!(
                !flag(config, "stateful", false),
                "{}: it is called several times with a state that goes on from one to the next (stateful=True): the engine's layers have one place and one state \
                 each; make a layer for each call, with the same weights",
                label()
            );
            graph.notes.push(format!(
                "{}: it is called several times, and the model has its weights as often",
                label()
            ));
        }
        given.push(((called_by_others(layer).to_owned(), call), y));
        x = Some(y);
    }
    let answer = match asked {
        Some(asked) => asked.as_array(),
        None => outputs.map(|list| match &list[..] {
            [Value::Array(one)] => one,
            _ => list,
        }),
    };
    let named = answer.and_then(|answer| answer.first()?.as_str());
    if let (Some(name), Some(place)) = (named, answer.and_then(|answer| answer.get(2))) {
        first_output(name, place.as_u64())?;
    }
    let call = answer
        .and_then(|answer| answer.get(1)?.as_u64())
        .unwrap_or(0);
    let is_answer = |(name, at): &Origin| Some(name.as_str()) == named && *at as u64 == call;
    let output = given.iter().find(|(origin, _)| is_answer(origin));
    let output = output.map(|(_, flow)| *flow).or(x);
    let output = output.context("there is no layer in it")?;
    if let (Some(_), Some(name)) = (asked, named) {
        // By this it is found again.
        name.clone_into(&mut graph.values[output.value.0].name);
    }
    Ok(output)
}

/// The list in a model's configuration; the oldest files have the list itself.
fn listed(config: &Value) -> Option<&[Value]> {
    Some(config.get("layers").unwrap_or(config).as_array()?)
}

/// All layers in their order, with those of models among them in place of these.
fn flat(layers: &[Value]) -> Vec<&Value> {
    let mut all = Vec::new();
    for layer in layers {
        match MODELS.contains(&text(layer, "class_name")) {
            true => all.extend(
                layer
                    .get("config")
                    .and_then(listed)
                    .map_or(Vec::new(), flat),
            ),
            false => all.push(layer),
        }
    }
    all
}

/// The name by which other layers take what it gives.
fn called_by_others(layer: &Value) -> &str {
    match text(layer, "name") {
        "" => text(layer.get("config").unwrap_or(&Value::Null), "name"),
        name => name,
    }
}

/// The name of a layer, and which of its calls.
type Origin = (String, usize);

/// A layer as often as it is called, each time with that call alone.
fn calls(layer: &Value) -> Vec<(Value, usize)> {
    let inbound = layer.get("inbound_nodes").and_then(Value::as_array);
    let Some(inbound) = inbound.filter(|inbound| inbound.len() > 1) else {
        return vec![(layer.clone(), 0)];
    };
    let called = inbound.iter().map(|call| {
        let mut layer = layer.clone();
        layer["inbound_nodes"] = Value::Array(vec![call.clone()]);
        layer
    });
    called.zip(0..).collect()
}

/// All that it takes is there, or it never will be.
fn is_ready(layer: &Value, given: &[(Origin, Flow)]) -> bool {
    let mut found = Vec::new();
    let inbound = layer.get("inbound_nodes").unwrap_or(&Value::Null);
    let known = |origin: &Origin| given.iter().any(|(given, _)| given == origin);
    origins(inbound, &mut found, 0).is_err() || found.iter().all(known)
}

/// What a layer of a functional model takes.
fn sources(layer: &Value, given: &[(Origin, Flow)]) -> Result<Vec<Flow>> {
    let mut found = Vec::new();
    let inbound = layer.get("inbound_nodes").unwrap_or(&Value::Null);
    origins(inbound, &mut found, 0)?;
    let source = |origin: &Origin| {
        let flow = given.iter().find(|(given, _)| given == origin);
        let flow = flow.map(|(_, flow)| *flow);
        flow.with_context(|| {
            format!(
                "it takes what `{}` gives, which is no layer before it",
                origin.0
            )
        })
    };
    found.iter().map(source).collect()
}

/// The operator of a layer that joins others.
fn joins(class: &str) -> Option<Op> {
    Some(match class {
        "Add" => Op::Binary(Binary::Add),
        "Subtract" => Op::Binary(Binary::Sub),
        "Multiply" => Op::Binary(Binary::Mul),
        "Average" => Op::Binary(Binary::Add),
        "Concatenate" => Op::Concat { axis: -1 },
        _ => return None,
    })
}

/// A value and a number, as in `2 * x + 1`; none if that is not it.
fn with_number(
    graph: &mut Graph,
    layer: &Value,
    (class, name): (&str, &str),
    x: Flow,
) -> Option<Flow> {
    let call = layer.get("inbound_nodes")?.get(0)?;
    let [a, b] = &call.get("args")?.as_array()?[..] else {
        return None;
    };
    let (number, first) = match (a.as_f64(), b.as_f64()) {
        (None, Some(number)) => (number as f32, false),
        (Some(number), None) => (number as f32, true),
        _ => return None,
    };
    let (scale, offset) = match (class, first) {
        ("Add", _) => (1.0, number),
        ("Subtract", false) => (1.0, -number),
        ("Subtract", true) => (-1.0, number),
        ("Multiply", _) => (number, 0.0),
        ("Divide" | "TrueDivide", false) => (1.0 / number, 0.0),
        _ => return None,
    };
    let function = Function::Affine(scale, offset);
    Some(x.of(graph.node(name, class, Op::Unary(function), &[x.value])))
}

fn joined(
    graph: &mut Graph,
    (class, op): (&str, Op),
    config: &Value,
    name: &str,
    inputs: &[Flow],
) -> Result<Flow> {
    ensure!(
        inputs.len() > 1,
        "it joins {} values, expected two or more: of a number, such as 2 * x + 1, make a Rescaling layer",
        inputs.len()
    );
    let values: Vec<ValueId> = inputs.iter().map(|input| input.value).collect();
    let first = inputs[0];
    if let Op::Concat { .. } = op {
        let axis = config.get("axis").and_then(Value::as_i64).unwrap_or(-1);
        let last = 1 + i64::from(first.sequence);
        ensure!(
            axis == -1 || axis == last,
            "attribute `axis`: {axis}, expected the features, -1"
        );
        return Ok(first.of(graph.node(name, class, op, &values)));
    }
    let mut sum = first.value;
    for &value in &values[1..] {
        sum = graph.node(name, class, op.clone(), &[sum, value]);
    }
    if class == "Average" {
        let mean = Function::Affine(1.0 / values.len() as f32, 0.0);
        sum = graph.node(name, class, Op::Unary(mean), &[sum]);
    }
    Ok(first.of(sum))
}

/// The layers named in an entry of `inbound_nodes`, of both versions of Keras.
fn origins(value: &Value, found: &mut Vec<Origin>, depth: usize) -> Result<()> {
    ensure!(depth <= 16, "its call is nested without an end");
    match value {
        Value::Array(list) => match &list[..] {
            [
                Value::String(name),
                Value::Number(call),
                Value::Number(place),
                rest @ ..,
            ] => {
                first_output(name, place.as_u64())?;
                let call = call.as_u64().and_then(|call| usize::try_from(call).ok());
                found.push((name.clone(), call.context("a call without a number")?));
                rest.iter().try_for_each(called)
            }
            _ => list.iter().try_for_each(|v| origins(v, found, depth + 1)),
        },
        Value::Object(object) => object.iter().try_for_each(|(key, v)| match key.as_str() {
            "kwargs" => called(v),
            _ => origins(v, found, depth + 1),
        }),
        _ => Ok(()),
    }
}

/// What a layer gives first are its outputs; states come behind.
fn first_output(layer: &str, place: Option<u64>) -> Result<()> {
    ensure!(
        place == Some(0),
        "it takes a state that `{layer}` gives beside its outputs (return_state=True), which the engine keeps to itself: take its outputs, of which the \
         last is the hidden state"
    );
    Ok(())
}

/// Arguments of a call beside the samples: none may change what it gives.
fn called(arguments: &Value) -> Result<()> {
    let Value::Object(arguments) = arguments else {
        return Ok(());
    };
    for (key, value) in arguments {
        let plain = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            _ => false,
        };
        ensure!(
            plain,
            "it is called with `{key}`, which the engine has nothing for: call it with the samples alone"
        );
    }
    Ok(())
}

/// The samples, as the first layer's configuration has them.
fn input(graph: &mut Graph, config: &Value, layers: &[Value]) -> Result<Flow> {
    let layers = flat(layers);
    let shape = ["batch_shape", "batch_input_shape"]
        .iter()
        .find_map(|key| config.get(*key)?.as_array());
    let first = layers
        .iter()
        .find(|l| text(l, "class_name") != "InputLayer");
    let embedded = first.is_some_and(|l| text(l, "class_name") == "Embedding");
    // A list of numbers that is made a sequence of them.
    let single = first
        .and_then(|l| l.get("config")?.get("target_shape")?.as_array())
        .is_some_and(|target| target.len() == 2 && target[1].as_i64() == Some(1));
    let shape = match shape {
        Some(shape) => &shape[..],
        None if embedded => &[Value::Null, Value::Null],
        None => {
            bail!("its first layer has no shape of the input: build the model before it is saved")
        }
    };
    let stateful = layers
        .iter()
        .any(|l| flag(l.get("config").unwrap_or(&Value::Null), "stateful", false));
    let dims = shape.iter().skip(1).map(|d| match d.as_u64() {
        Some(n) if n > 0 => usize::try_from(n)
            .map(Dim::Fixed)
            .map_err(|_| anyhow!("dimension {n}")),
        Some(n) => bail!("an input with a dimension of {n}"),
        None => Ok(Dim::Open),
    });
    let dims = dims.collect::<Result<Vec<_>>>()?;
    let (time, width) = match (&dims[..], embedded) {
        (&[time], true) => (time, None),
        (&[time, Dim::Fixed(width)], false) => (time, Some(width)),
        (&[time], false) if single => (time, Some(1)),
        _ => {
            let shown = |d: &Value| d.as_u64().map_or("any".to_owned(), |n| n.to_string());
            let shown: Vec<String> = shape.iter().skip(1).map(shown).collect();
            bail!(
                "an input of the shape [batch, {}], expected [batch, time, features], or [batch, time] before an Embedding or a Reshape((-1, 1))",
                shown.join(", ")
            )
        }
    };
    let global = |l: &&Value| text(l, "class_name").starts_with("Global");
    ensure!(
        !stateful || !layers.iter().any(global),
        "a layer over all samples of a sequence (GlobalAveragePooling1D, GlobalMaxPooling1D) beside one with a state that goes on (stateful=True): the first \
         begins anew with every call, and the engine's layers go on or begin anew together; save the model with stateful=False"
    );
    let sequences = |l: &&Value| l.get("config")?.get("return_sequences")?.as_bool();
    let to_the_end = layers.iter().rev().find_map(sequences);
    if let (true, Dim::Fixed(n @ 2..), Some(false)) = (stateful, time, to_the_end) {
        graph.notes.push(answers_of_pieces(n));
    }
    // A layer with a state of its own goes on where it was, however long its pieces are.
    let time = if stateful { Dim::Open } else { time };
    let value = graph.value("input");
    let mut dims = vec![time, Dim::Fixed(1)];
    dims.extend(width.map(Dim::Fixed));
    graph.inputs.push(Input {
        value,
        dims,
        names: Vec::new(),
        whole: embedded,
    });
    Ok(Flow {
        value,
        sequence: true,
    })
}

/// `[batch, time, features]` as the graph has it, or back.
fn turned(graph: &mut Graph, name: &str, class: &str, x: ValueId) -> ValueId {
    let perm = Some(vec![1, 0, 2]);
    graph.node(name, class, Op::Transpose { perm }, &[x])
}

/// `x[:, -1, :]`, whose indices are arguments of its call.
fn taken(graph: &mut Graph, layer: &Value, name: &str, x: Flow) -> Result<Flow> {
    let class = "GetItem";
    let call = layer.get("inbound_nodes").and_then(|calls| calls.get(0));
    let key = call.and_then(|call| call.get("args")?.get(1));
    let key = key.context("its indices are missing")?;
    let mut keys: Vec<Option<&Value>> = match key {
        Value::Array(keys) => keys.iter().map(Some).collect(),
        one => vec![Some(one)],
    };
    let rank = if x.sequence { 3 } else { 2 };
    let is_rest =
        |key: &Option<&Value>| key.is_some_and(|key| text(key, "class_name").contains("ellipsis"));
    let rest = keys.iter().position(is_rest);
    if let Some(at) = rest {
        keys.remove(at);
    }
    ensure!(keys.len() <= rank, "{} indices of {rank} axes", keys.len());
    // Axes that are not named are taken whole.
    let (at, left) = (rest.unwrap_or(keys.len()), rank - keys.len());
    keys.splice(at..at, vec![None; left]);
    // Time comes first here.
    let axes: &[i64] = if x.sequence { &[1, 0, 2] } else { &[0, 1] };
    let (mut value, mut sequence) = (x.value, x.sequence);
    // The last axis of ours first: those before it keep their places when it is gone.
    let mut all: Vec<(i64, Option<&Value>)> = axes.iter().copied().zip(keys).collect();
    all.sort_by_key(|(axis, _)| -axis);
    for (axis, key) in all {
        let Some(key) = key else { continue };
        let bound = |which: &str| key.get("config").and_then(|slice| slice.get(which));
        let bound = |which: &str| bound(which).filter(|bound| !bound.is_null());
        if let Some(index) = key.as_i64() {
            let time = x.sequence && axis == 0;
            ensure!(
                time,
                "it takes place {index} of an axis that is not time: the engine goes on from all features of a sample, x[:, -1, :]"
            );
            let index = Tensor::new(Vec::new(), Values::I64(vec![index]))?;
            let index = graph.constant(format!("{name} index"), index);
            value = graph.node(name, class, Op::Gather { axis }, &[value, index]);
            sequence = false;
        } else if text(key, "class_name").contains("slice") {
            let number = |which: &str, without: i64| match bound(which) {
                None => Ok(without),
                Some(bound) => bound
                    .as_i64()
                    .with_context(|| format!("`{which}` of a slice: {bound}, expected a number")),
            };
            let step = number("step", 1)?;
            let [from, to] = match step {
                1.. => [0, i64::MAX],
                _ => [i64::MAX, i64::MIN],
            };
            let (start, stop) = (number("start", from)?, number("stop", to)?);
            if (start, stop, step) == (0, i64::MAX, 1) {
                continue;
            }
            let list = [start, stop, axis, step].map(|n| Tensor::list(vec![n]));
            let list = list.map(|list| graph.constant(format!("{name} slice"), list));
            value = graph.node(name, class, Op::Slice, &[&[value], &list[..]].concat());
        } else {
            bail!("an index {key}, expected numbers and slices, as in x[:, -1, :]");
        }
    }
    Ok(Flow { value, sequence })
}

/// All that a sequence or a sample holds, in another shape; an error if a dimension is no number.
fn reshaped(graph: &mut Graph, config: &Value, name: &str, x: Flow) -> Result<Flow> {
    let class = "Reshape";
    let shape = config.get("target_shape").and_then(Value::as_array);
    let shape = shape.context("attribute `target_shape` is missing")?;
    // The batch stays.
    let mut dims = vec![0];
    for d in shape {
        // An open dimension is the rest.
        let d = if d.is_null() { Some(-1) } else { d.as_i64() };
        dims.push(d.with_context(|| format!("attribute `target_shape`: {shape:?}"))?);
    }
    let sequence = match shape.len() {
        1 => false,
        2 => true,
        n => bail!(
            "attribute `target_shape`: {n} dimensions, expected [time, features] or [features]"
        ),
    };
    let whole = match x.sequence {
        true => turned(graph, name, class, x.value),
        false => x.value,
    };
    let dims = graph.constant(format!("{name} shape"), Tensor::list(dims));
    let y = graph.node(name, class, Op::Reshape { zero: false }, &[whole, dims]);
    let value = match sequence {
        true => turned(graph, name, class, y),
        false => y,
    };
    Ok(Flow { value, sequence })
}

fn add(
    graph: &mut Graph,
    class: &str,
    config: &Value,
    name: &str,
    weights: &Weights,
    flow: Flow,
) -> Result<Flow> {
    let x = flow.value;
    if let Some(value) = function_layer(graph, class, config, (name, weights.hard), x)? {
        return Ok(flow.of(value));
    }
    let recurrent = |graph: &mut Graph, class: &str, layer, config: &Value| {
        let sequence = flag(config, "return_sequences", false);
        let value = graph.recurrent(name, class, layer, x, sequence)?;
        anyhow::Ok(Flow { value, sequence })
    };
    let value = match class {
        "Flatten" if flow.sequence => {
            channels_last(config)?;
            let whole = turned(graph, name, class, x);
            let value = graph.node(name, class, Op::Flatten { axis: 1 }, &[whole]);
            let sequence = false;
            return Ok(Flow { value, sequence });
        }
        "Flatten" => x,
        "Reshape" => return reshaped(graph, config, name, flow),
        "Dropout"
        | "SpatialDropout1D"
        | "GaussianDropout"
        | "GaussianNoise"
        | "AlphaDropout"
        | "ActivityRegularization" => x,
        "Rescaling" => {
            let scale = numbers(config, "scale")?.unwrap_or(vec![1.0]);
            let offset = numbers(config, "offset")?.unwrap_or(vec![0.0]);
            match (&scale[..], &offset[..]) {
                (&[scale], &[offset]) => {
                    let function = Function::Affine(scale, offset);
                    graph.node(name, class, Op::Unary(function), &[x])
                }
                _ => {
                    let y = graph.by_each((name, class), ("scale", Binary::Mul), scale, x)?;
                    graph.by_each((name, class), ("offset", Binary::Add), offset, y)?
                }
            }
        }
        "PReLU" => {
            let named = weights.of(name)?;
            let slopes = weight(&named, "alpha", 0).context("its slopes are missing")?;
            let width = slopes.shape.last().copied().unwrap_or(1);
            ensure!(
                slopes.len() == width,
                "slopes of the shape {:?}: expected one for each feature, and not for each sample of a sequence; train with shared_axes=[1]",
                slopes.shape
            );
            let slopes = Tensor::f32(vec![width], slopes.floats()?.to_vec())?;
            let slopes = graph.constant(format!("{name} slopes"), slopes);
            graph.node(name, class, Op::Leaky, &[x, slopes])
        }
        "Embedding" => {
            ensure!(
                !flag(config, "mask_zero", false),
                "attribute `mask_zero`: true: a stream has no samples that are there and do not count; give it none of token 0, which changes no other answer, and save the \
                 model with model.get_layer({name:?}).mask_zero = False"
            );
            let named = weights.of(name)?;
            let table = weight(&named, "embeddings", 0).context("its table is missing")?;
            graph.embedding(name, class, table.clone(), x)
        }
        "TimeDistributed" => {
            let inner = config.get("layer").unwrap_or(&Value::Null);
            let class = text(inner, "class_name");
            let config = inner.get("config").unwrap_or(&Value::Null);
            let model = MODELS.contains(&class);
            let applied = match model {
                true => listed(config).map_or(Vec::new(), flat),
                false => vec![inner],
            };
            let mut classes = applied.iter().map(|layer| text(layer, "class_name"));
            if let Some(other) = classes.find(|class| !OF_A_SAMPLE.contains(class)) {
                bail!(
                    "it applies a {other} to every sample, expected Dense, BatchNormalization, LayerNormalization, an activation, Rescaling or Dropout"
                );
            }
            return match model {
                true => layers(
                    graph,
                    inner,
                    &weights.inside(inner, name)?,
                    (Some(flow), None),
                ),
                false => add(graph, class, config, name, weights, flow),
            };
        }
        "Dense" => dense(graph, config, (name, weights.hard), &weights.of(name)?, x)?,
        "Conv1D" => convolution(graph, config, (name, weights.hard), &weights.of(name)?, x)?,
        "ZeroPadding1D" => {
            let pads = match config.get("padding") {
                Some(Value::Array(list)) => list.iter().map(Value::as_i64).collect(),
                one => Some(vec![one.and_then(Value::as_i64).unwrap_or(1); 2]),
            };
            let Some(&[before, after]) = pads.as_deref() else {
                bail!("attribute `padding`: expected two whole numbers");
            };
            let pads = Tensor::list(vec![before, 0, 0, after, 0, 0]);
            let pads = graph.constant(format!("{name} padding"), pads);
            graph.node(name, class, Op::Pad { mirror: false }, &[x, pads])
        }
        "DepthwiseConv1D" | "SeparableConv1D" => {
            let named = weights.of(name)?;
            depthwise(graph, (class, config), (name, weights.hard), &named, x)?
        }
        "MaxPooling1D" | "AveragePooling1D" => pooled(graph, config, (name, class), x)?,
        "GlobalAveragePooling1D" | "GlobalMaxPooling1D" => {
            channels_last(config)?;
            ensure!(
                flow.sequence && !flag(config, "keepdims", false),
                "attribute `keepdims`: true, or no sequence before it: expected [batch, time, features], of which time goes"
            );
            let how = match class {
                "GlobalMaxPooling1D" => Reduction::Max,
                _ => Reduction::Mean,
            };
            return Ok(Flow {
                value: graph.reduced((name, class), how, 0, x),
                sequence: false,
            });
        }
        "LayerNormalization" => layer_norm(graph, config, name, &weights.of(name)?, x)?,
        "BatchNormalization" => normalised(graph, config, name, &weights.of(name)?, x)?,
        "Normalization" => standardised(graph, config, name, weights, x)?,
        "SimpleRNN" | "LSTM" | "GRU" | "CuDNNLSTM" | "CuDNNGRU" => {
            let layer = recurrent_layer(class, config, config, &weights.of(name)?, weights.hard)?;
            return recurrent(graph, class, layer, config);
        }
        "RNN" => {
            let cell = config.get("cell").unwrap_or(&Value::Null);
            let class = text(cell, "class_name");
            let layer = recurrent_layer(
                class,
                cell.get("config").unwrap_or(&Value::Null),
                config,
                &weights.of(name)?,
                weights.hard,
            )?;
            return recurrent(graph, class, layer, config);
        }
        "Bidirectional" => {
            let merged = match text(config, "merge_mode") {
                "concat" => None,
                "sum" => Some(Reduction::Sum),
                "ave" => Some(Reduction::Mean),
                mode => bail!(
                    "attribute `merge_mode`: {mode:?}: the engine's directions stand side by side (\"concat\") or are added up (\"sum\", \"ave\"); train with one of these"
                ),
            };
            let inner = config.get("layer").unwrap_or(&Value::Null);
            let (class, inner) = (
                text(inner, "class_name"),
                inner.get("config").unwrap_or(&Value::Null),
            );
            let named = weights.of(name)?;
            let (forward, backward): (Named, Named) = named
                .into_iter()
                .partition(|(path, _)| path.contains("forward_"));
            let mut layer = recurrent_layer(class, inner, inner, &forward, weights.hard)?;
            // A layer of its own may run backward, and that is its direction here.
            let other = config.get("backward_layer").and_then(|l| l.get("config"));
            let backward = recurrent_layer(
                class,
                other.unwrap_or(inner),
                inner,
                &backward,
                weights.hard,
            )?;
            ensure!(
                backward.hidden == layer.hidden && backward.inputs == layer.inputs,
                "its two directions have several widths"
            );
            let back = backward.directions.into_iter();
            layer
                .directions
                .extend(back.map(|d| super::graph::Direction { reverse: true, ..d }));
            let Some(how) = merged else {
                return recurrent(graph, class, layer, inner);
            };
            let sequence = flag(inner, "return_sequences", false);
            let value = graph.merged((name, class), layer, x, sequence, how)?;
            return Ok(Flow { value, sequence });
        }
        "Masking" => bail!(
            "a stream has no samples that are there and do not count; give it none of those that are masked, which changes no other answer, and save the model without \
             this layer: keras.Sequential([keras.Input(model.input_shape[1:]), *(layer for layer in model.layers if not isinstance(layer, keras.layers.Masking))]) has the same weights"
        ),
        "RepeatVector" => bail!(
            "it goes on from what a layer ended with, as the decoder of an autoencoder does, and the engine answers when its last sample has come; save two models, \
             keras.Model(model.input, layer.output) of the layer before it, and one of the layers behind it, which takes that answer as each of its samples"
        ),
        _ => bail!(
            "the engine has no layer for it; it has Embedding, SimpleRNN, LSTM, GRU, Bidirectional, Dense, TimeDistributed, Conv1D, DepthwiseConv1D, SeparableConv1D, ZeroPadding1D, MaxPooling1D, AveragePooling1D, GlobalMaxPooling1D, GlobalAveragePooling1D, \
             BatchNormalization, LayerNormalization, Normalization, Rescaling, Add, Subtract, Multiply, Average, Concatenate, Flatten, Reshape, ELU, LeakyReLU, PReLU and the activations tanh, \
             sigmoid, relu, elu, softmax, leaky_relu, relu6, hard_tanh and hard_sigmoid"
        ),
    };
    Ok(flow.of(value))
}

/// A layer that is a function of each number, or of those of a sample; none if it is another.
fn function_layer(
    graph: &mut Graph,
    class: &str,
    config: &Value,
    (name, hard): (&str, Option<Function>),
    x: ValueId,
) -> Result<Option<ValueId>> {
    Ok(Some(match class {
        "Activation" => activation(graph, config, (name, hard), x)?,
        "ReLU" | "LeakyReLU" => {
            let number = |key: &str| config.get(key).and_then(Value::as_f64);
            ensure!(
                number("threshold").unwrap_or(0.0) == 0.0,
                "a ReLU with a threshold: the engine has the plain one, one with a slope below 0 and one that ends"
            );
            // As Keras 3 calls it, and as those before did.
            let slope = number("negative_slope").or_else(|| number("alpha"));
            let slope = slope.unwrap_or(if class == "ReLU" { 0.0 } else { 0.3 });
            let function = match (slope, number("max_value")) {
                (0.0, None) => Function::Relu,
                (slope, None) => Function::LeakyRelu(slope as f32),
                (0.0, Some(most)) => Function::Clip(0.0, most as f32),
                _ => bail!(
                    "a ReLU that ends and has a slope below 0: the engine has one or the other"
                ),
            };
            graph.activation(name, function, x)
        }
        "ELU" => {
            let alpha = config.get("alpha").and_then(Value::as_f64);
            graph.activation(name, Function::Elu(alpha.unwrap_or(1.0) as f32), x)
        }
        "Softmax" => {
            over_features(config)?;
            activated(graph, "softmax", name, x)?
        }
        // Of keras.ops, called between layers.
        "Tanh" | "Sigmoid" | "Relu" => activated(graph, &class.to_ascii_lowercase(), name, x)?,
        _ => return Ok(None),
    }))
}

/// A layer's own activation: the name of a function, or a layer that is one.
fn activation(
    graph: &mut Graph,
    config: &Value,
    (name, hard): (&str, Option<Function>),
    x: ValueId,
) -> Result<ValueId> {
    let key = "activation";
    if let Some(layer) = config.get(key).filter(|layer| layer.is_object()) {
        let own = layer.get("config").unwrap_or(&Value::Null);
        let class = text(layer, "class_name");
        if let Some(y) = function_layer(graph, class, own, (name, hard), x)? {
            return Ok(y);
        }
    }
    match function_name(config, key, "linear")? {
        "hard_sigmoid" => Ok(graph.activation(name, which_hard(hard, key)?, x)),
        other => activated(graph, other, name, x),
    }
}

/// A hard sigmoid as the Keras that wrote the file has it.
fn which_hard(hard: Option<Function>, key: &str) -> Result<Function> {
    hard.with_context(|| {
        format!("attribute `{key}`: hard_sigmoid, which Keras 3 made another function, and the file does not say which Keras wrote it")
    })
}

/// Of a layer that may do without.
fn bias<'n>(config: &Value, named: &'n Named, place: usize) -> Result<Option<&'n Tensor>> {
    (flag(config, "use_bias", true))
        .then(|| weight(named, "bias", place).context("its bias is missing"))
        .transpose()
}

fn dense(
    graph: &mut Graph,
    config: &Value,
    (name, hard): (&str, Option<Function>),
    named: &Named,
    x: ValueId,
) -> Result<ValueId> {
    let kernel = weight(named, "kernel", 0).context("its kernel is missing")?;
    let bias = bias(config, named, 1)?;
    let bias = bias.map(|bias| anyhow::Ok(bias.floats()?.to_vec()));
    let y = graph.dense(name, "Dense", kernel.clone(), bias.transpose()?, x)?;
    activation(graph, config, (name, hard), y)
}

/// A size along one axis, which may be a list of one.
fn size(config: &Value, key: &str, default: usize) -> Result<usize> {
    let value = config.get(key).unwrap_or(&Value::Null);
    let value = value
        .as_array()
        .and_then(|list| list.first())
        .unwrap_or(value);
    match value {
        Value::Null => Ok(default),
        value => (value.as_u64().and_then(|n| usize::try_from(n).ok()))
            .filter(|&n| n > 0)
            .with_context(|| format!("attribute `{key}`: {value}, expected a number from 1")),
    }
}

/// An error unless channels are the last axis.
fn channels_last(config: &Value) -> Result<()> {
    let format = text(config, "data_format");
    ensure!(
        matches!(format, "" | "channels_last"),
        "attribute `data_format`: {format}, expected channels_last"
    );
    Ok(())
}

/// Samples along time, as of a [`convolution`].
fn pooled(
    graph: &mut Graph,
    config: &Value,
    (name, class): (&str, &str),
    x: ValueId,
) -> Result<ValueId> {
    channels_last(config)?;
    let padding = text(config, "padding");
    let kernel = size(config, "pool_size", 2)?;
    ensure!(
        kernel == 1 || matches!(padding, "" | "valid"),
        "attribute `padding`: {padding:?}: it may see samples that are still to come; train with \"valid\""
    );
    let of = Pooling {
        kind: match class {
            "MaxPooling1D" => PoolKind::Max,
            _ => PoolKind::Mean,
        },
        kernel,
        stride: size(config, "strides", kernel)?,
    };
    Ok(graph.pooled((name, class), of, x))
}

/// Along time. Samples come as `[time, batch, channels]`, and the operator takes `[batch, channels, time]`.
fn convolution(
    graph: &mut Graph,
    config: &Value,
    (name, hard): (&str, Option<Function>),
    named: &Named,
    x: ValueId,
) -> Result<ValueId> {
    channels_last(config)?;
    let kernel = weight(named, "kernel", 0).context("its kernel is missing")?;
    let &[width, channels, filters] = &kernel.shape[..] else {
        bail!(
            "a kernel of shape {:?}, expected [length, channels, filters]",
            kernel.shape
        )
    };
    let w = kernel.floats()?;
    let at = |f: usize, c: usize, j: usize| w[(j * channels + c) * filters + f];
    let turned = (0..filters)
        .flat_map(|f| (0..channels).flat_map(move |c| (0..width).map(move |j| at(f, c, j))));
    let turned = Tensor::f32(vec![filters, channels, width], turned.collect())?;
    let bias = bias(config, named, 1)?.cloned();
    let sight = (sight(config)?, size(config, "groups", 1)?);
    let y = graph.along_time((name, "Conv1D"), sight, turned, bias, x)?;
    activation(graph, config, (name, hard), y)
}

/// Where a convolution over time looks.
fn sight(config: &Value) -> Result<ConvSight> {
    Ok(ConvSight {
        padding: match text(config, "padding") {
            "causal" => Padding::Causal,
            "same" => Padding::Same,
            "valid" | "" => Padding::Valid,
            other => bail!("attribute `padding`: {other:?}, expected causal"),
        },
        dilation: size(config, "dilation_rate", 1)?,
        stride: size(config, "strides", 1)?,
    })
}

/// A convolution of every channel by itself, and of a separable one the product that mixes what these give.
fn depthwise(
    graph: &mut Graph,
    (class, config): (&str, &Value),
    (name, hard): (&str, Option<Function>),
    named: &Named,
    x: ValueId,
) -> Result<ValueId> {
    let mixed = match class {
        "SeparableConv1D" => {
            Some(weight(named, "pointwise_kernel", 1).context("its pointwise kernel is missing")?)
        }
        _ => None,
    };
    let kernel = ["depthwise_kernel", "kernel"]
        .iter()
        .find_map(|key| weight(named, key, 0))
        .context("its kernel is missing")?;
    let &[width, channels, each] = &kernel.shape[..] else {
        bail!(
            "a kernel of shape {:?}, expected [length, channels, filters of each]",
            kernel.shape
        )
    };
    let w = kernel.floats()?;
    let at = |f: usize, j: usize| w[(j * channels + f / each) * each + f % each];
    let filters = channels * each;
    let turned = (0..filters).flat_map(|f| (0..width).map(move |j| at(f, j)));
    let turned = Tensor::f32(vec![filters, 1, width], turned.collect())?;
    let sight = (sight(config)?, channels);
    let bias = bias(config, named, if mixed.is_some() { 2 } else { 1 })?.cloned();
    let y = match mixed {
        None => graph.along_time((name, class), sight, turned, bias, x)?,
        Some(mixed) => {
            let y = graph.along_time((name, class), sight, turned, None, x)?;
            let &[1, inputs, outputs] = &mixed.shape[..] else {
                bail!("a pointwise kernel of shape {:?}", mixed.shape)
            };
            let product = Tensor::f32(vec![inputs, outputs], mixed.floats()?.to_vec())?;
            let bias = bias.map(|bias| bias.floats().map(<[f32]>::to_vec));
            graph.dense(name, class, product, bias.transpose()?, y)?
        }
    };
    activation(graph, config, (name, hard), y)
}

/// What an attribute says, a number or one for each feature; none if it says nothing.
fn numbers(config: &Value, key: &str) -> Result<Option<Vec<f32>>> {
    let mut value = config.get(key).unwrap_or(&Value::Null);
    // A mean of [1, 1, features] is one of the features.
    while let Some([Value::Array(_)]) = value.as_array().map(Vec::as_slice) {
        value = &value[0];
    }
    let number = |value: &Value| {
        let number = value.as_f64().with_context(|| {
            format!("attribute `{key}`: {value}, expected a number for every feature")
        })?;
        Ok(number as f32)
    };
    match value {
        Value::Null => Ok(None),
        Value::Array(list) => Ok(Some(list.iter().map(number).collect::<Result<_>>()?)),
        one => Ok(Some(vec![number(one)?])),
    }
}

/// A layer whose axis is the last one, by itself, which it is where none is given.
fn over_features(config: &Value) -> Result<()> {
    let axis = config.get("axis").unwrap_or(&Value::Null);
    let only = match axis {
        Value::Array(list) if list.len() == 1 => &list[0],
        axis => axis,
    };
    ensure!(
        only.is_null() || matches!(only.as_i64(), Some(-1 | 2)),
        "attribute `axis`: {axis}, expected the features, -1"
    );
    Ok(())
}

fn normalised(
    graph: &mut Graph,
    config: &Value,
    name: &str,
    named: &Named,
    x: ValueId,
) -> Result<ValueId> {
    over_features(config)?;
    let (scaled, centred) = (flag(config, "scale", true), flag(config, "center", true));
    let first = usize::from(scaled) + usize::from(centred);
    let need = |key: &str, place: usize| -> Result<Vec<f32>> {
        let tensor =
            weight(named, key, place).with_context(|| format!("its `{key}` is missing"))?;
        Ok(tensor.floats()?.to_vec())
    };
    let (mean, variance) = (
        need("moving_mean", first)?,
        need("moving_variance", first + 1)?,
    );
    let width = mean.len();
    let gamma = if scaled {
        need("gamma", 0)?
    } else {
        vec![1.0; width]
    };
    let beta = if centred {
        need("beta", usize::from(scaled))?
    } else {
        vec![0.0; width]
    };
    let epsilon = config
        .get("epsilon")
        .and_then(Value::as_f64)
        .unwrap_or(1e-3) as f32;
    let moments = Moments {
        mean,
        variance,
        gamma,
        beta,
    };
    graph.normalised(name, "BatchNormalization", &moments, epsilon, x)
}

/// `(x − mean) / √variance`, adapted to data or given.
fn standardised(
    graph: &mut Graph,
    config: &Value,
    name: &str,
    weights: &Weights,
    x: ValueId,
) -> Result<ValueId> {
    // Without an axis there is one mean of all numbers.
    let axis = config.get("axis").unwrap_or(&Value::Null);
    if !matches!(axis.as_array().map(Vec::as_slice), Some([])) {
        over_features(config)?;
    }
    let [mean, variance] = match [numbers(config, "mean")?, numbers(config, "variance")?] {
        [Some(mean), Some(variance)] => [mean, variance],
        _ => {
            let named = weights.of(name)?;
            let need = |key: &str, place: usize| -> Result<Vec<f32>> {
                let tensor = weight(&named, key, place).with_context(|| {
                    format!("its `{key}` is missing: it was not adapted to data")
                })?;
                Ok(tensor.floats()?.to_vec())
            };
            [need("mean", 0)?, need("variance", 1)?]
        }
    };
    let width = mean.len();
    // As Keras has it: a deviation is at least 1e-7.
    let variance: Vec<f32> = variance.iter().map(|v| v.max(1e-14)).collect();
    let [zeros, ones] = [vec![0.0; width], vec![1.0; width]];
    let moments = match flag(config, "invert", false) {
        false => Moments {
            mean,
            variance,
            gamma: ones,
            beta: zeros,
        },
        // The other way round: times the deviation, plus the mean.
        true => Moments {
            mean: zeros,
            variance: ones,
            gamma: variance.iter().map(|v| v.sqrt()).collect(),
            beta: mean,
        },
    };
    graph.normalised(name, "Normalization", &moments, 0.0, x)
}

fn layer_norm(
    graph: &mut Graph,
    config: &Value,
    name: &str,
    named: &Named,
    x: ValueId,
) -> Result<ValueId> {
    over_features(config)?;
    ensure!(
        !flag(config, "rms_scaling", false),
        "attribute `rms_scaling`: true: it divides by the root of the mean square and leaves the mean, which the engine has no layer for"
    );
    let (scaled, centred) = (flag(config, "scale", true), flag(config, "center", true));
    let term = |there: bool, key: &str, place: usize| -> Result<Option<Vec<f32>>> {
        let found = || weight(named, key, place).with_context(|| format!("its `{key}` is missing"));
        there.then(|| Ok(found()?.floats()?.to_vec())).transpose()
    };
    let gamma = term(scaled, "gamma", 0)?;
    let beta = term(centred, "beta", scaled.into())?;
    let epsilon = config
        .get("epsilon")
        .and_then(Value::as_f64)
        .unwrap_or(1e-3) as f32;
    graph.layer_norm(name, "LayerNormalization", (gamma, beta), epsilon, x)
}

/// A cell by its configuration, in a layer by another (the same, where they are one).
fn recurrent_layer(
    class: &str,
    config: &Value,
    layer: &Value,
    named: &Named,
    hard: Option<Function>,
) -> Result<super::graph::Recurrent> {
    ensure!(
        !flag(layer, "go_backwards", false),
        "attribute `go_backwards`: true: the engine runs backward only beside a forward direction; reverse the samples"
    );
    let activation = function(function_name(config, "activation", "tanh")?)?;
    let gate = match function_name(config, "recurrent_activation", "sigmoid")? {
        "hard_sigmoid" => which_hard(hard, "recurrent_activation")?,
        other => function(other)?,
    };
    let kind = match class {
        "SimpleRNN" | "SimpleRNNCell" => Kind::Rnn,
        "LSTM" | "LSTMCell" => Kind::Lstm,
        "GRU" | "GRUCell" => Kind::Gru {
            // Keras 1 had no other than the first paper's.
            after: flag(config, "reset_after", false),
        },
        "CuDNNLSTM" | "CuDNNGRU" => {
            let plain = match class {
                "CuDNNLSTM" => "LSTM(units)",
                _ => "GRU(units, reset_after=True)",
            };
            bail!(
                "a {class}, whose weights lie in the order of NVIDIA's library: build the same model with keras.layers.{plain} in its place, load the \
                 weights into that (load_weights converts them), and save it anew"
            )
        }
        "StackedRNNCells" => bail!(
            "several cells in one layer (StackedRNNCells): write a layer for each, LSTM(..., return_sequences=True) and then LSTM(...), with the same weights"
        ),
        _ => bail!("a cell of the class `{class}`, expected SimpleRNN, LSTM or GRU"),
    };
    let functions = match kind {
        Kind::Rnn => [activation; 3],
        _ => [gate, activation, activation],
    };
    let setting = Setting {
        kind,
        functions,
        reverse: false,
    };
    let kernel = weight(named, "kernel", 0).context("its kernel is missing")?;
    let hidden = weight(named, "recurrent_kernel", 1).context("its recurrent kernel is missing")?;
    recurrent(setting, kernel, hidden, bias(config, named, 2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_function_is_a_name_or_an_error() {
        let config =
            json!({"a": null, "b": "relu", "c": {"class_name": "LeakyReLU", "config": {}}});
        assert_eq!(function_name(&config, "a", "tanh").unwrap(), "linear");
        assert_eq!(function_name(&config, "b", "tanh").unwrap(), "relu");
        assert_eq!(function_name(&config, "none", "tanh").unwrap(), "tanh");
        let error = function_name(&config, "c", "tanh").unwrap_err().to_string();
        assert!(error.contains("a LeakyReLU"), "{error}");
    }

    #[test]
    fn layers_of_cudnn_are_to_be_converted_by_keras() {
        for (class, plain) in [
            ("CuDNNLSTM", "keras.layers.LSTM(units)"),
            ("CuDNNGRU", "keras.layers.GRU(units, reset_after=True)"),
        ] {
            let config = json!({});
            let layer = recurrent_layer(class, &config, &config, &Vec::new(), None);
            let error = layer.unwrap_err().to_string();
            assert!(error.contains(plain), "{error}");
        }
    }

    #[test]
    fn arguments_of_a_call_are_refused_in_both_versions() {
        let sources = |value: Value| {
            let mut found = Vec::new();
            origins(&value, &mut found, 0).map(|()| found)
        };
        let tensor =
            json!({"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}});
        for (inbound, takes) in [
            (
                json!([{"args": [tensor], "kwargs": {"training": false, "mask": null}}]),
                true,
            ),
            (
                json!([{"args": [tensor], "kwargs": {"training": true}}]),
                false,
            ),
            (
                json!([{"args": [tensor], "kwargs": {"initial_state": [1.0]}}]),
                false,
            ),
            (json!([[["x", 0, 0, {}]]]), true),
            (json!([[["x", 0, 0, {"training": true}]]]), false),
        ] {
            let text = inbound.to_string();
            match sources(inbound) {
                Ok(found) => assert!(takes && found == [("x".to_owned(), 0)], "{text}: {found:?}"),
                Err(error) => assert!(
                    !takes && error.to_string().contains("it is called with"),
                    "{text}: {error}"
                ),
            }
        }
    }

    #[test]
    fn integers_and_classes_of_ones_own_are_refused() {
        for (layer, config) in [
            (
                json!({}),
                json!({"quantization_config": {"class_name": "Int8QuantizationConfig"}}),
            ),
            (
                json!({}),
                json!({"dtype": {"class_name": "QuantizedDTypePolicy"}}),
            ),
            (json!({"registered_name": "mine>LSTM"}), json!({})),
            (json!({"module": "my.layers"}), json!({})),
            (json!({"module": "my_keras.layers"}), json!({})),
            (
                json!({"class_name": "Dense", "module": null, "registered_name": "Dense"}),
                json!({}),
            ),
            (
                json!({"class_name": "Bidirectional", "module": "keras.layers", "config": {
                    "layer": {"class_name": "LSTM", "module": null, "registered_name": "LSTM"}}}),
                json!({}),
            ),
            (json!({"class_name": "Lambda"}), json!({"function": {}})),
            (
                json!({"class_name": "SlicingOpLambda"}),
                json!({"function": "__operators__.getitem"}),
            ),
            (json!({}), json!({"time_major": true})),
        ] {
            assert!(known(&layer, &config).is_err(), "{layer} {config}");
        }
        // As Keras 3 has them, Keras 2 in both of its files, and models within models.
        for plain in [
            json!({"module": "keras.layers", "registered_name": null}),
            json!({"module": "keras.src.engine.functional", "registered_name": "Functional"}),
            json!({"module": "tensorflow.python.keras", "registered_name": "LSTM"}),
            json!({"class_name": "LSTM"}),
        ] {
            known(&plain, &json!({"dtype": {"class_name": "DTypePolicy"}})).unwrap();
        }
    }
}
