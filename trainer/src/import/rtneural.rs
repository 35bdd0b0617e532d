//! RTNeural's JSON: layers one after another, with weights as Keras has them.

use super::graph::{Binary, Graph, Kind, Op, Tensor, ValueId};
use super::keras_weights::{Setting, activated, recurrent};
use super::pytorch::array;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

/// The graph of such a file.
pub(super) fn read(object: &Map<String, Value>) -> Result<Graph> {
    // The input is added to the output.
    let skip = match object.get("in_skip").map(Value::as_f64) {
        None | Some(Some(0.0)) => false,
        Some(Some(1.0)) => true,
        _ => bail!("attribute `in_skip`: expected 0, or 1 where the input is added to the output"),
    };
    for gain in ["in_gain", "out_gain"] {
        if let Some(db) = object.get(gain).filter(|v| v.as_f64() != Some(0.0)) {
            bail!(
                "attribute `{gain}`: {db}: a gain in decibels, which is no layer; set it to 0 and multiply where the model is called"
            );
        }
    }
    let last = |value: Option<&Value>| value.and_then(Value::as_array)?.last()?.as_u64();
    let inputs = last(object.get("in_shape")).filter(|&n| n > 0 && n <= 1 << 16);
    let inputs =
        inputs.context("`in_shape`: expected a list that ends with the number of inputs")?;
    let layers = object
        .get("layers")
        .and_then(Value::as_array)
        .context("`layers`: expected a list")?;
    let mut graph = Graph::default();
    let mut x = graph.samples(Some(inputs as usize));
    let input = x;
    for (at, layer) in layers.iter().enumerate() {
        let kind = layer.get("type").and_then(Value::as_str).unwrap_or("");
        let name = format!("layer {at}");
        x = add(&mut graph, layer, kind, &name, x).with_context(|| format!("{name} ({kind})"))?;
    }
    if skip {
        x = skipped(&mut graph, ("in_skip", inputs as usize), input, x);
    }
    graph.outputs = vec![x];
    Ok(graph)
}

/// The answer with the first of so many inputs added to it; others are settings, of an amplifier's knobs.
pub(super) fn skipped(
    graph: &mut Graph,
    (name, inputs): (&str, usize),
    input: ValueId,
    y: ValueId,
) -> ValueId {
    let mut first = input;
    if inputs > 1 {
        let bounds = [0, 1, 2].map(|n| graph.constant(name, Tensor::list(vec![n])));
        first = graph.node(name, "slice", Op::Slice, &[&[input], &bounds[..]].concat());
    }
    graph.node(name, "add", Op::Binary(Binary::Add), &[first, y])
}

fn add(graph: &mut Graph, layer: &Value, kind: &str, name: &str, x: ValueId) -> Result<ValueId> {
    let weights = layer
        .get("weights")
        .and_then(Value::as_array)
        .map_or(&[][..], |w| w);
    let tensor = |k: usize| -> Result<Option<Tensor>> {
        let Some(value) = weights.get(k) else {
            return Ok(None);
        };
        let (shape, values) = array(value).with_context(|| format!("weights {k}"))?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            bail!(
                "weights {k}: {} at index {at}, expected a finite number",
                values[at]
            );
        }
        Ok(Some(Tensor::f32(shape, values)?))
    };
    let need = |k: usize| -> Result<Tensor> {
        tensor(k)?.with_context(|| format!("weights {k} are missing"))
    };
    let activation = layer
        .get("activation")
        .and_then(Value::as_str)
        .unwrap_or("");
    let y = match kind {
        "lstm" | "gru" => {
            ensure!(
                matches!(activation, "" | "tanh"),
                "activation `{activation}`: the engine's cells have tanh; train with it"
            );
            let bias = tensor(2)?;
            let kind_of = match kind {
                "lstm" => Kind::Lstm,
                // A bias of two rows is one for each product, which the reset after it needs; RTNeural has no other.
                _ => {
                    ensure!(
                        bias.as_ref().is_some_and(|b| b.shape.len() == 2),
                        "a bias that has not two rows: RTNeural's GRU resets after the product, train with reset_after=True and a bias"
                    );
                    Kind::Gru { after: true }
                }
            };
            let setting = Setting {
                kind: kind_of,
                functions: super::graph::Recurrent::functions(kind_of),
                reverse: false,
            };
            let layer = recurrent(setting, &need(0)?, &need(1)?, bias.as_ref())?;
            return graph.recurrent(name, kind, layer, x, true);
        }
        "dense" | "time-distributed-dense" => {
            let bias = tensor(1)?
                .map(|t| t.floats().map(<[f32]>::to_vec))
                .transpose()?;
            graph.dense(name, kind, need(0)?, bias, x)?
        }
        "activation" => x,
        _ => bail!("the engine has no layer for it; it has dense, lstm and gru"),
    };
    activated(graph, activation, name, y)
}
