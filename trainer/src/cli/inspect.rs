//! `kinglet inspect`.

use super::print_json;
use anyhow::Result;
use kinglet::Model;
use kinglet::format::{
    Feature, FeatureTransform, Input, Layer, Output, Pool, Shape, TargetRestore, VERSION,
};
use kinglet_trainer::answer::Answer;
use kinglet_trainer::data::Written;
use kinglet_trainer::escape::escape;
use kinglet_trainer::file::{LayerPart, Parts, parts};
use kinglet_trainer::model_file::{
    ModelFile, format_name, input_names, is_of_transcripts, output_ends, output_names,
};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// Show what is in a model file: layers, sizes, formats, scales, normalisation
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet inspect pump.kgl
  kinglet inspect pump.kgl --json | jq .ram_bytes")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let parts = parts(&file.bytes)?;
    if args.json {
        return print_json(&json(&file, &model, &parts));
    }
    io::stdout().write_all(text(&file, &model, &parts).as_bytes())?;
    Ok(())
}

/// Numbers that layers keep, the first ones first.
fn keeps(layers: &[Layer]) -> Vec<usize> {
    let width = |layer: &Layer| match layer {
        Layer::Keep { width, .. } => Some(width.get()),
        _ => None,
    };
    layers.iter().filter_map(width).collect()
}

/// Kind and widths of a layer, with what all layers keep.
fn kind(layer: &Layer, keeps: &[usize]) -> (String, u16, u16) {
    match *layer {
        Layer::Embedding { vocab, dim, .. } => ("embedding".into(), vocab, dim),
        Layer::Recurrent {
            cell,
            inputs,
            hidden,
            ..
        } => (cell.name().into(), inputs, hidden),
        Layer::Bidirectional {
            cell,
            inputs,
            hidden,
            ..
        } => (format!("bidirectional {}", cell.name()), inputs, 2 * hidden),
        Layer::Dense {
            inputs,
            outputs,
            activation,
            ..
        } => {
            let activation = format!("{activation:?}").to_lowercase();
            (format!("dense {activation}"), inputs, outputs)
        }
        Layer::Conv {
            shape,
            filters,
            activation,
            ..
        } => {
            let outputs = shape.positions() * activation.outputs(filters.into());
            let dilation = match shape.dilation {
                1 => String::new(),
                n => format!(" dilation {n}"),
            };
            let pool = match shape.pool {
                None => String::new(),
                Some(Pool {
                    kind,
                    kernel,
                    first,
                    every,
                }) => {
                    let of = match kernel {
                        1 => String::new(),
                        n => format!(" {} of {n}", kind.name()),
                    };
                    format!("{of} every {every} from {first}")
                }
            };
            let kind = format!(
                "conv {}{dilation} {}{pool}",
                shape.kernel,
                activation.name()
            );
            (kind, shape.inputs() as u16, outputs as u16)
        }
        Layer::Norm { width, .. } => ("norm".to_owned(), width.0, width.0),
        Layer::Keep { width, .. } => ("keep".to_owned(), width.0, width.0),
        Layer::Join {
            width, with, how, ..
        } => {
            let kept = keeps.get(usize::from(with)).copied().unwrap_or(0);
            let outputs = how.outputs(width.get(), kept);
            (
                format!("{} kept {with}", how.name()),
                width.0,
                outputs as u16,
            )
        }
    }
}

fn feature_transform(feature: &Feature) -> &'static str {
    const NAMES: [(FeatureTransform, &str); 5] = [
        (FeatureTransform::None, "none"),
        (FeatureTransform::Log, "log"),
        (FeatureTransform::Difference, "difference"),
        (FeatureTransform::LogRatio, "log-ratio"),
        (FeatureTransform::Missing, "missing"),
    ];
    let named = NAMES.iter().find(|(t, _)| *t as u32 == feature.tag());
    named.map_or("unknown", |n| n.1)
}

fn target_restore(tag: u32) -> &'static str {
    const NAMES: [(TargetRestore, &str); 4] = [
        (TargetRestore::None, "none"),
        (TargetRestore::Exp, "exp"),
        (TargetRestore::AddTo, "add-to"),
        (TargetRestore::TimesExp, "times-exp"),
    ];
    let named = NAMES.iter().find(|(t, _)| *t as u32 == tag);
    named.map_or("unknown", |n| n.1)
}

fn looks_elsewhere(name: &str) -> bool {
    matches!(
        name,
        "difference" | "log-ratio" | "missing" | "add-to" | "times-exp"
    )
}

fn json(file: &ModelFile, model: &Model<'_>, parts: &Parts) -> Value {
    let (header, preamble) = (model.header(), model.preamble());
    let answer = Answer::of(model);
    let inputs = input_names(model);
    let input =
        match header.input {
            Input::Features { .. } => {
                let features = inputs.iter().zip(model.features()).map(|((name, unit), f)| {
                let transform = feature_transform(f);
                let column = looks_elsewhere(transform).then(|| inputs[f.column as usize].0);
                json!({ "name": name, "unit": unit, "transform": transform, "column": column,
                        "offset": f.offset, "scale": f.scale, "hold": f.holds() })
            });
                json!({ "features": features.collect::<Vec<_>>() })
            }
            Input::Tokens { .. } => {
                json!({ "tokens": inputs.iter().map(|n| n.0).collect::<Vec<_>>() })
            }
        };
    let outputs = output_names(model);
    let output = match header.output {
        Output::Values { .. } => {
            let targets = outputs
                .iter()
                .zip(model.targets())
                .map(|((name, unit), t)| {
                    let restore = target_restore(t.restore);
                    let column = looks_elsewhere(restore).then(|| inputs[t.column as usize].0);
                    let feeds = inputs.get(t.feeds as usize).map(|n| n.0);
                    json!({ "name": name, "unit": unit, "restore": restore, "column": column,
                        "scale": t.scale, "offset": t.offset, "feeds": feeds })
                });
            json!({ "values": targets.collect::<Vec<_>>() })
        }
        Output::Classes { .. } => {
            json!({ "classes": outputs.iter().map(|n| n.0).collect::<Vec<_>>() })
        }
        Output::NextToken { .. } => json!("next-token"),
    };
    let keeps = keeps(&header.layers);
    let layers = header
        .layers
        .iter()
        .zip(&parts.layers)
        .map(|(layer, part)| {
            let (kind, inputs, outputs) = kind(layer, &keeps);
            let mut value = json!({ "kind": kind, "format": layer.format().name(), "inputs": inputs,
            "outputs": outputs, "parameters": part.parameters, "flash_bytes": part.bytes,
            "macs": layer.macs() });
            if let Some((low, high)) = part.weight_scale {
                value["weight_scale"] = json!([low, high]);
            }
            match *layer {
                Layer::Recurrent { requant_shift, .. } if model.is_integer() => {
                    value["requant_shift"] = json!(requant_shift);
                    let (shift, slow) = layer.cell_shift();
                    value["cell_range"] = json!(8 << shift);
                    value["slow_gates"] = json!(slow);
                }
                Layer::Bidirectional { requant_shift, .. } if model.is_integer() => {
                    value["requant_shift"] = json!(requant_shift);
                    let (shift, slow) = layer.cell_shift();
                    value["cell_range"] = json!(8 << shift);
                    value["slow_gates"] = json!(slow);
                }
                Layer::Conv {
                    shape,
                    filters,
                    requant_shift,
                    frac,
                    ..
                } => {
                    value["conv"] = json!({ "rows": shape.rows, "channels": shape.channels, "kernel": shape.kernel,
                        "stride": shape.stride, "dilation": shape.dilation, "before": shape.before, "after": shape.after,
                        "past": shape.past, "mirror": shape.mirror, "filters": filters, "positions": shape.positions() });
                    if let Some(pool) = shape.pool {
                        value["conv"]["pool"] = json!({ "kind": pool.kind.name(), "kernel": pool.kernel, "first": pool.first,
                            "every": pool.every });
                    }
                    if model.is_integer() {
                        value["requant_shift"] = json!(requant_shift);
                        value["output_frac"] = json!(frac);
                    }
                }
                Layer::Dense {
                    requant_shift,
                    frac,
                    ..
                } if model.is_integer() => {
                    value["requant_shift"] = json!(requant_shift);
                    value["output_frac"] = json!(frac);
                }
                _ => {}
            }
            value
        });
    let shape = match header.shape {
        Shape::EveryStep => json!("every-step"),
        Shape::Window { window, hop, exact } => {
            json!({ "window": window, "hop": hop, "exact": exact })
        }
    };
    json!({
        "file": file.path.display().to_string(),
        "name": header.name,
        "version": VERSION,
        "layout": preamble.layout.name(),
        "crc": format!("{:08x}", preamble.crc),
        "format": format_name(model),
        "shape": shape,
        "threshold": header.threshold,
        "smoothing": model.smoothing(),
        "input": input,
        "output": output,
        "data": Written::in_model(&file.bytes),
        "layers": layers.collect::<Vec<_>>(),
        "input_frac": model.is_integer().then(|| model.input_frac()),
        "output_frac": model.is_integer().then(|| model.output_frac()),
        "flash_bytes": file.bytes.len(),
        "header_bytes": parts.head,
        "normalisation_bytes": parts.normalisation,
        "test_bytes": parts.tests,
        "ram_bytes": model.state_len(),
        "persistent_bytes": model.persistent_len(),
        "macs": model.macs(),
        "answer": { "steps": answer.steps, "macs": answer.steps * model.macs(), "window_bytes": answer.buffer },
        "test_steps": header.test.steps,
        "test_digest": format!("{:08x}", header.test.digest),
    })
}

/// A name with its unit.
fn with_unit((name, unit): &(&str, &str)) -> String {
    if unit.is_empty() {
        escape(name)
    } else {
        format!("{} [{unit}]", escape(name))
    }
}

fn text(file: &ModelFile, model: &Model<'_>, parts: &Parts) -> String {
    let (header, preamble) = (model.header(), model.preamble());
    let (inputs, outputs) = (input_names(model), output_names(model));
    let answer = Answer::of(model);
    let mut lines = vec![
        format!("{}: {:?}", file.path.display(), header.name),
        format!(
            "format    {}, file version {VERSION}, {} layout, CRC {:08x}",
            format_name(model),
            preamble.layout.name(),
            preamble.crc
        ),
        match header.shape {
            Shape::EveryStep => "shape     an output per step".into(),
            Shape::Window { window, hop, exact } => format!(
                "shape     an output per window of {window}, every {hop} samples; the state {}",
                if exact {
                    "starts anew for each"
                } else {
                    "runs on"
                }
            ),
        },
        format!(
            "flash     {} bytes: header {}, normalisation {}, layers {}, test steps {}",
            file.bytes.len(),
            parts.head,
            parts.normalisation,
            parts.layers.iter().map(|l| l.bytes).sum::<usize>(),
            parts.tests
        ),
        format!(
            "RAM       {} bytes of state per stream, {} of them outlast a step{}",
            model.state_len(),
            model.persistent_len(),
            match answer.buffer {
                0 => String::new(),
                bytes => format!("; {bytes} more for the samples of the window"),
            }
        ),
        match answer.steps {
            1 => format!("work      {} MACs per step", model.macs()),
            steps => format!(
                "work      {} MACs per answer: {steps} steps of {}",
                steps * model.macs(),
                model.macs()
            ),
        },
        format!(
            "tests     {} steps, digest {:08x}",
            header.test.steps, header.test.digest
        ),
    ];
    if answer.anew && !answer.repeats() && !model.is_bidirectional() {
        lines.push(
            "streamed  reset the state before every window, as it was trained from a zero state: one that runs on gives other numbers"
                .into(),
        );
    }
    if answer.repeats() && !model.is_bidirectional() {
        lines.push(format!(
            "streamed  {} MACs per sample and no window, but other numbers: it was trained from a zero state; `kinglet train \
             --streaming` makes one whose state runs on",
            model.macs()
        ));
    }
    if model.is_integer() {
        lines.push(format!(
            "integers  sample 2^-{}, output 2^-{}",
            model.input_frac(),
            model.output_frac()
        ));
    }
    let written = Written::in_model(&file.bytes).unwrap_or_default();
    if let Some(audio) = written.audio {
        let hears = audio.settings();
        lines.push(format!(
            "listens   to {} samples a second, frames of {} every {}: {} mel bands from {} to {} Hz",
            hears.rate, hears.frame, hears.hop, hears.bands, hears.low, hears.high
        ));
    }
    lines.extend(header.threshold.map(|t| match written.wake {
        Some(word) => format!("wakes     on {word:?}, where its smoothed probability is above {t}"),
        None => format!("alarm     above {t}"),
    }));
    lines.push(String::new());
    lines.push("layer                    in   out  format  parameters     flash      MACs  scale of a weight".into());
    let keeps = keeps(&header.layers);
    for (layer, part) in header.layers.iter().zip(&parts.layers) {
        lines.push(layer_line(layer, part, &keeps));
    }
    lines.push(String::new());
    match header.input {
        Input::Tokens { .. } => lines.push(format!("tokens    {}", listed(&inputs))),
        Input::Features { .. } => {
            let mut formulas = Vec::new();
            for (name, f) in inputs.iter().zip(model.features()) {
                let transform = feature_transform(f);
                let column = inputs[f.column as usize].0;
                let x = match transform {
                    "log" => "ln x".into(),
                    "difference" => format!("x - previous {column}"),
                    "log-ratio" => format!("ln(x / previous {column})"),
                    "missing" => format!("1 without {column}, else x"),
                    _ => "x".to_owned(),
                };
                let held = if f.holds() { ", held over gaps" } else { "" };
                let (offset, scale) = (f.offset, f.scale);
                formulas.push((*name, format!("({x} - {offset}) * {scale}{held}")));
            }
            lines.extend(in_short("input ", &formulas));
        }
    }
    match header.output {
        Output::Classes { .. } if is_of_transcripts(model) => lines.push(format!(
            "output    transcripts of {}",
            listed(&outputs[1..])
        )),
        Output::Classes { .. } => lines.push(format!("classes   {}", listed(&outputs))),
        Output::NextToken { .. } => lines.push("output    a score per next token".into()),
        Output::Values { .. } => {
            let mut formulas = Vec::new();
            let ends = output_ends(model);
            for ((name, t), ends) in outputs.iter().zip(model.targets()).zip(ends) {
                let column = inputs.get(t.column as usize).map_or("", |n| n.0);
                let v = format!("y * {} + {}", t.scale, t.offset);
                let value = match target_restore(t.restore) {
                    "exp" => format!("exp({v})"),
                    "add-to" => format!("{column} + {v}"),
                    "times-exp" => format!("{column} * exp({v})"),
                    _ => v,
                };
                let feeds = inputs.get(t.feeds as usize);
                let feeds = feeds.map_or(String::new(), |n| format!(", a later {}", n.0));
                let ends = ends.map_or(String::new(), |[least, most]| {
                    format!(", cut at {least} and {most}")
                });
                formulas.push((*name, format!("{value}{feeds}{ends}")));
            }
            lines.extend(in_short("output", &formulas));
        }
    }
    // As the task had it.
    let data = Written::in_model(&file.bytes).and_then(|written| written.to_text().ok());
    let data = data.unwrap_or_default();
    let data = data.lines().filter(|line| !line.is_empty());
    lines.extend(data.map(|line| format!("data      {line}")));
    lines.join("\n") + "\n"
}

/// Names with units and what becomes of their numbers, a line each; of many in a row that differ by their names only, one for
/// all, and of what is left the first ones.
fn in_short(what: &str, formulas: &[((&str, &str), String)]) -> Vec<String> {
    const FEW: usize = 8;
    const SHOWN: usize = 32;
    let alike = formulas.chunk_by(|a, b| a.0.1 == b.0.1 && a.1 == b.1);
    let lines = alike.flat_map(|run| match run {
        [(first, formula), .., (last, _)] if run.len() > FEW => {
            let [first, last] = [first, last].map(with_unit);
            let count = run.len();
            vec![format!(
                "{what}    {first} to {last}, {count} alike: {formula}"
            )]
        }
        few => few
            .iter()
            .map(|(name, formula)| format!("{what}    {}: {formula}", with_unit(name)))
            .collect(),
    });
    let mut lines: Vec<String> = lines.collect();
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.truncate(SHOWN);
        lines.push(format!("{what}    and {more} more lines (--json has all)"));
    }
    lines
}

fn layer_line(layer: &Layer, part: &LayerPart, keeps: &[usize]) -> String {
    let (kind, inputs, outputs) = kind(layer, keeps);
    let scale = match part.weight_scale {
        Some((low, high)) => format!("{low:.2e} to {high:.2e}"),
        None => "-".into(),
    };
    format!(
        "{kind:<20}  {inputs:>5} {outputs:>5}  {:<6}  {:>10}  {:>8}  {:>8}  {scale}",
        layer.format().name(),
        part.parameters,
        part.bytes,
        layer.macs()
    )
}

fn listed(names: &[(&str, &str)]) -> String {
    const SHOWN: usize = 100;
    let shown: Vec<String> = names.iter().take(SHOWN).map(with_unit).collect();
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(" ") + &more
}
