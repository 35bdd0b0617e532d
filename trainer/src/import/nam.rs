//! Neural Amp Modeler's LSTMs: one flat list of weights, layer by layer `[W | U]` in rows of gates `i, f, g, o`, the bias, the
//! state and the cell that it starts with; then the head.

use super::graph::{Direction, Graph, Kind, Recurrent, Tensor};
use super::pytorch::array;
use super::{ImportOptions, MOST_RATE};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

/// The graph of such a file, and its sample rate.
pub(super) fn read(object: &Map<String, Value>, options: &ImportOptions) -> Result<Graph> {
    let architecture = object
        .get("architecture")
        .and_then(Value::as_str)
        .unwrap_or("");
    ensure!(
        architecture == "LSTM",
        "architecture `{architecture}`: the engine has layers for LSTM only; train an LSTM"
    );
    let config = object.get("config");
    let number = |key: &str| -> Result<usize> {
        let value = config.and_then(|c| c.get(key)).and_then(Value::as_u64);
        let value = value.filter(|&n| n > 0 && n <= 1 << 12);
        Ok(
            value.with_context(|| format!("config `{key}`: expected a number from 1 to 4096"))?
                as usize,
        )
    };
    let (inputs, hidden, layers) = (
        number("input_size")?,
        number("hidden_size")?,
        number("num_layers")?,
    );
    if let Some(outputs) = config
        .and_then(|c| c.get("out_channels"))
        .and_then(Value::as_u64)
    {
        ensure!(outputs == 1, "config `out_channels`: {outputs}, expected 1");
    }
    let (_, weights) = array(
        object
            .get("weights")
            .context("there are no `weights` in it")?,
    )
    .context("weights")?;
    if let Some(at) = weights.iter().position(|w| !w.is_finite()) {
        bail!(
            "weights: {} at index {at}, expected a finite number",
            weights[at]
        );
    }
    let layer = |inputs: usize| 4 * hidden * (inputs + hidden) + 6 * hidden;
    let need = layer(inputs) + (layers - 1) * layer(hidden) + hidden + 1;
    ensure!(
        weights.len() == need,
        "{} weights, expected {need} for {layers} layers of {inputs} inputs and {hidden} units and a head",
        weights.len()
    );
    let mut rest = &weights[..];
    let mut take = |n: usize| {
        let (front, back) = rest.split_at(n);
        rest = back;
        front.to_vec()
    };
    let rate = object.get("sample_rate").and_then(Value::as_f64);
    let rate =
        rate.filter(|rate| (1.0..=f64::from(MOST_RATE)).contains(rate) && rate.fract() == 0.0);
    let mut graph = Graph {
        rate: rate.map(|rate| rate as u32),
        ..Graph::default()
    };
    let mut x = graph.samples(Some(inputs));
    let mut start = 0f32;
    for at in 0..layers {
        let inputs = if at == 0 { inputs } else { hidden };
        let width = inputs + hidden;
        let both = take(4 * hidden * width);
        let part = |from: usize, to: usize| {
            both.chunks(width)
                .flat_map(|row| row[from..to].to_vec())
                .collect()
        };
        let b_ih = take(4 * hidden);
        let states = take(2 * hidden);
        start = states.iter().fold(start, |most, x| most.max(x.abs()));
        let recurrent = Recurrent {
            kind: Kind::Lstm,
            inputs,
            hidden,
            directions: vec![Direction {
                reverse: false,
                w_ih: part(0, inputs),
                w_hh: part(inputs, width),
                b_ih,
                b_hh: vec![0.0; 4 * hidden],
                peephole: None,
                projection: None,
                functions: Recurrent::functions(Kind::Lstm),
            }],
            clip: None,
            cell_clip: None,
        };
        x = graph.recurrent(&format!("layer {at}"), "LSTM", recurrent, x, true)?;
    }
    if start > 0.0 {
        ensure!(
            options.zero_state,
            "its LSTM starts from a trained state (up to {start:.3}), and the engine's from zeros: the first moments of the output would \
             be others; give --zero-state to have it so"
        );
        graph.notes.push(format!(
            "--zero-state: the states start at zero instead of the file's (up to {start:.3})"
        ));
    }
    let head = Tensor::f32(vec![hidden, 1], take(hidden))?;
    let bias = take(1);
    x = graph.dense("head", "dense", head, Some(bias), x)?;
    graph.outputs = vec![x];
    Ok(graph)
}
