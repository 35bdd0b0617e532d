//! Flash and RAM: what a model file holds, and what a stream's state takes.

use super::Made;
use super::html::{Table, count, number, paragraph, section, titled};
use crate::answer::Answer;
use crate::file::parts;
use crate::net::{Layer, Network};
use anyhow::Result;
use kinglet::Model;

/// Networks by their titles, each in every format.
pub(super) fn memory(networks: &[(&'static str, &Network, &[Made])]) -> Result<String> {
    let mut bodies = Vec::new();
    for (title, net, made) in networks {
        bodies.push((*title, of_network(net, made)?));
    }
    let body = titled(bodies.into_iter())
        + &paragraph(
            "Bytes. The model stays in flash and is read in place; every stream of samples has a state of its own in RAM, \
         of which the second number must outlast a step. MACs are multiplications of weights in a step.",
        );
    Ok(section("memory", "Flash and RAM", &body))
}

/// A row per format, and its share of f32.
fn of_network(net: &Network, made: &[Made]) -> Result<String> {
    let mut head = vec![
        "format",
        "model",
        "weights",
        "head",
        "test steps",
        "of f32",
        "state",
        "that lasts",
        "MACs",
    ];
    let answer = match made.first() {
        Some(made) => Answer::of(&Model::from_bytes(&made.bytes)?),
        None => Answer {
            anew: false,
            steps: 1,
            buffer: 0,
        },
    };
    if answer.buffer > 0 {
        head.insert(8, "window");
    }
    if answer.steps > 1 {
        head.push("MACs of an answer");
    }
    let mut table = Table::new(&head);
    let whole = made.first().map_or(0, |made| made.bytes.len());
    for made in made {
        let model = Model::from_bytes(&made.bytes)?;
        let parts = parts(&made.bytes)?;
        let weights: usize = parts.layers.iter().map(|layer| layer.bytes).sum();
        let mut row = vec![
            made.name.clone(),
            count(made.bytes.len()),
            count(weights),
            count(parts.head + parts.normalisation),
            count(parts.tests),
            format!("{:.0} %", 100.0 * made.bytes.len() as f64 / whole as f64),
            count(model.state_len()),
            count(model.persistent_len()),
            count(model.macs()),
        ];
        if answer.buffer > 0 {
            row.insert(8, count(answer.buffer));
        }
        if answer.steps > 1 {
            row.push(count(answer.steps * model.macs()));
        }
        table.row(&row);
    }
    let layers: Vec<String> = net.layers.iter().map(layer).collect();
    let windows = match answer.repeats() {
        true => paragraph(&format!(
            "Windows overlap and each starts at zero, so an answer takes {} steps, and the samples of the window are kept beside \
             the state. A model that streams, with a step per sample, has to be trained as one: kinglet train --streaming.",
            answer.steps
        )),
        false => String::new(),
    };
    Ok(paragraph(&format!("{}.", layers.join(", then "))) + &table.finish() + &windows)
}

/// Kind and widths of a layer.
pub(super) fn layer(layer: &Layer) -> String {
    match layer {
        Layer::Embedding(e) => format!("embedding of {} tokens in {}", count(e.vocab), e.dim),
        Layer::Recurrent(r) => format!("{} {} → {}", r.cell.title(), r.inputs, r.hidden),
        Layer::Bidirectional(b) => {
            let r = &b.forward;
            let (kind, inputs, hidden) = (r.cell.title(), r.inputs, r.hidden);
            format!("bidirectional {kind} {inputs} → {hidden} + {hidden}")
        }
        Layer::Conv(c) => {
            let (shape, d) = (c.shape, &c.dense);
            let activation = format!("{:?}", d.activation).to_lowercase();
            let [inputs, kernel] = [usize::from(shape.channels), shape.kernel.into()];
            let positions = match shape.positions() {
                1 => String::new(),
                n => format!(" at {n} positions"),
            };
            let pool = match shape.pool {
                None => String::new(),
                Some(pool) if pool.kernel > 1 => format!(
                    ", {} of {} every {}",
                    pool.kind.name(),
                    pool.kernel,
                    pool.every
                ),
                Some(pool) => format!(", every {}", pool.every),
            };
            format!(
                "convolution of {kernel}, {inputs} → {} {activation}{positions}{pool}",
                c.width()
            )
        }
        Layer::Norm(n) => format!("normalisation of {}", n.width()),
        Layer::Keep(width) => format!("{width} kept"),
        Layer::Join(j) => format!("join of {} and {} kept, {}", j.width, j.kept, j.how.name()),
        Layer::Dense(d) => {
            let activation = format!("{:?}", d.activation).to_lowercase();
            format!("dense {} → {} {activation}", d.inputs, d.outputs)
        }
    }
}

/// Bytes with their unit, for a sentence.
pub(super) fn kib(bytes: usize) -> String {
    if bytes < 1024 {
        format!("{bytes} bytes")
    } else {
        format!("{} KiB", number(bytes as f64 / 1024.0))
    }
}
