//! Inside the network: how its weights are spread and what rounding does to them, which values its layers give in
//! integers, and how many of them are at the end of their range.

use super::chart::{Axis, Chart, Ink, bounds, histogram};
use super::html::{Table, count, figure, number, paragraph, percent, section, titled};
use super::measure::rms;
use super::memory::layer as describe;
use crate::data::{Dataset, Part};
use crate::engine::{AnyRunner, run_watched};
use crate::file::{AlignedBytes, quantized};
use crate::net::{Conv, Layer, Network, Recurrent};
use crate::package::{Input, Package};
use crate::quant::{Ranges, rescale};
use anyhow::Result;
use kinglet::format::{self as engine, Format};
use kinglet::{LayerStep, Model, Runner, StepInput, num};
use std::borrow::Cow;

/// Steps that are looked at.
const STEPS: usize = 4000;
const BINS: usize = 61;
/// 127/128 of 2^12: where eight bits of a recurrent output end.
const RECURRENT_END: i16 = 4064;

fn recurrent_rows(r: &Recurrent) -> Vec<Vec<f32>> {
    let of_state = r.w_hh.chunks(r.hidden.max(1));
    let rows = r.w_ih.chunks(r.inputs.max(1));
    let pairs = rows.zip(of_state.chain(std::iter::repeat(&[][..])));
    pairs.map(|(x, h)| [x, h].concat()).collect()
}

/// Rows of a layer's matrices: weights that share a scale.
fn rows(layer: &Layer) -> Vec<Vec<f32>> {
    match layer {
        Layer::Embedding(e) => e.table.chunks(e.dim.max(1)).map(<[f32]>::to_vec).collect(),
        Layer::Recurrent(r) => recurrent_rows(r),
        Layer::Bidirectional(b) => b.halves().into_iter().flat_map(recurrent_rows).collect(),
        Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => d
            .weight
            .chunks(d.inputs.max(1))
            .map(<[f32]>::to_vec)
            .collect(),
        Layer::Norm(n) => vec![n.gamma.clone()],
        Layer::Keep(_) | Layer::Join(_) => Vec::new(),
    }
}

/// What rounding does to the weights of a layer: RMS error relative to their RMS, and the share that is clipped.
fn rounding(float: &Layer, rounded: &Layer) -> (f64, f64) {
    let (mut weights, mut errors, mut clipped) = (Vec::new(), Vec::new(), 0);
    for (float, rounded) in rows(float).iter().zip(&rows(rounded)) {
        let largest = rounded.iter().fold(0f32, |max, w| max.max(w.abs()));
        for (w, q) in float.iter().zip(rounded) {
            weights.push(*w);
            errors.push(w - q);
            // More than rounding to the last of at least seven steps can explain.
            clipped += usize::from(w.abs() > largest * (1.0 + 0.5 / 7.0));
        }
    }
    (
        rms(&errors) / rms(&weights),
        clipped as f64 / weights.len().max(1) as f64,
    )
}

/// The network that a format stands for, and the float one that it was rounded from.
fn rounded(package: &Package, ranges: &Ranges, format: Format) -> Result<(Network, Network)> {
    let (mut package, mut ranges) = (package.clone(), ranges.clone());
    if !ranges.settled {
        rescale(&mut package.net, &mut ranges, &format.into());
    }
    let net = quantized(&package, &format.into(), &ranges)?.net;
    Ok((package.net, net))
}

/// Networks by their titles.
pub(super) fn weights(networks: &[(&'static str, &Package, &Ranges)]) -> String {
    let each = networks.iter();
    let body = paragraph(
        "Errors are those of rounding to 8 and to 4 bits, relative to the RMS of the weights. In 4 bits the few largest \
         weights of a row are clipped where that makes the others finer.",
    ) + &titled(
        each.map(|&(title, package, ranges)| (title, weights_of(package, ranges))),
    );
    section("weights", "Weights", &body)
}

fn weights_of(package: &Package, ranges: &Ranges) -> String {
    let formats = [Format::W8A8, Format::W4A8];
    let pairs = formats.map(|format| rounded(package, ranges, format).ok());
    let mut table = Table::new(&[
        "layer",
        "weights",
        "RMS",
        "largest",
        "error in 8 bits",
        "in 4 bits",
        "clipped",
    ]);
    let mut charts = String::new();
    for (k, layer) in package.net.layers.iter().enumerate() {
        let weights = rows(layer).concat();
        let (low, high) = bounds(weights.iter().map(|&w| f64::from(w)));
        let errors = [0, 1].map(|f| {
            let pair = pairs[f].as_ref();
            pair.map(|(float, rounded)| rounding(&float.layers[k], &rounded.layers[k]))
        });
        let [eight, four] = errors.map(|error| error.unwrap_or((f64::NAN, f64::NAN)));
        let name = format!("{}. {}", k + 1, describe(layer));
        table.row(&[
            name.clone(),
            count(weights.len()),
            number(rms(&weights)),
            number(low.abs().max(high.abs())),
            percent(eight.0),
            percent(four.0),
            percent(four.1),
        ]);
        let reach = low.abs().max(high.abs());
        charts += &bars(&histogram(&weights, (-reach, reach), BINS), "weight", &name);
    }
    table.finish() + &charts
}

fn bars(bins: &[(f64, f64, f64)], label: &str, caption: &str) -> String {
    let (low, high) = (
        bins.first().map_or(0.0, |b| b.0),
        bins.last().map_or(1.0, |b| b.1),
    );
    let top = bounds(bins.iter().map(|bar| 100.0 * bar.2)).1;
    let y = Axis::new("share, %", 0.0, top * 1.04);
    let mut chart = Chart::new(caption, Axis::new(label, low, high), y).height(170.0);
    chart.bars(
        Ink::Series(0),
        "",
        bins.iter().map(|&(a, b, s)| (a, b, 100.0 * s)),
    );
    figure(&chart.finish(), caption)
}

/// What was seen of a layer.
#[derive(Default, Clone)]
struct Seen {
    outputs: Vec<f32>,
    /// Outputs at an end of what the layer can give.
    at_ends: usize,
    /// LSTM cells at their clamp, of so many.
    clamped: (usize, usize),
}

/// An integer model that is stepped over a part of its data.
pub(super) struct Stepped<'s> {
    pub package: &'s Package,
    pub data: &'s Dataset,
    pub part: Part,
    pub bytes: &'s [u8],
}

/// The section of models by their titles.
pub(super) fn activations(bodies: Vec<(&'static str, String)>) -> String {
    section("activations", "Activations", &titled(bodies.into_iter()))
}

impl Stepped<'_> {
    /// What its layers give. Sequences start from a state of zero, or from what `begin` makes of it for the sequence of
    /// this number.
    pub(super) fn activations(
        &self,
        begin: impl FnMut(usize, &mut Runner<'_, '_>) -> Result<()>,
    ) -> Result<String> {
        let (package, part) = (self.package, self.part);
        let model = Model::from_bytes(self.bytes)?;
        let (seen, steps, inputs_cut) = watch(&model, self, begin)?;
        let mut table = Table::new(&[
            "layer",
            "RMS",
            "largest",
            "outputs at an end",
            "cells clamped",
        ]);
        let mut charts = String::new();
        for (k, (layer, seen)) in package.net.layers.iter().zip(&seen).enumerate() {
            if seen.outputs.is_empty() {
                continue;
            }
            let (low, high) = bounds(seen.outputs.iter().map(|&y| f64::from(y)));
            let reach = low.abs().max(high.abs());
            let name = format!("{}. {}", k + 1, describe(layer));
            table.row(&[
                name.clone(),
                number(rms(&seen.outputs)),
                number(reach),
                percent(seen.at_ends as f64 / seen.outputs.len() as f64),
                match seen.clamped.1 {
                    0 => "–".into(),
                    cells => percent(seen.clamped.0 as f64 / cells as f64),
                },
            ]);
            let range = match layer {
                Layer::Recurrent(_) | Layer::Bidirectional(_) => (-reach.max(1.0), reach.max(1.0)),
                _ => (low, high.max(low + 1e-6)),
            };
            charts += &bars(&histogram(&seen.outputs, range, BINS), "output", &name);
        }
        let name = model.format().name();
        let mut body = paragraph(&format!(
            "The outputs of every layer in {name}, over {} steps of the {} part. A recurrent output is at an end beyond \
         ±127/128, any other where its integers end. Many outputs at an end mean gates that no longer move; clamped \
         cells lose what they should remember.",
            count(steps),
            part.name(),
        ));
        if let Some(share) = inputs_cut {
            body += &paragraph(&format!(
                "Of the normalised inputs, {} are outside the range of {name}.",
                percent(share)
            ));
        }
        Ok(body + &table.finish() + &charts)
    }
}

/// The data with the normalisation of a model file, which quantizing may have changed.
fn as_seen<'d>(data: &'d Dataset, model: &Model<'_>) -> Cow<'d, Dataset> {
    let Input::Features(features) = data.input() else {
        return Cow::Borrowed(data);
    };
    let mut theirs = features.clone();
    for (feature, of_model) in theirs.iter_mut().zip(model.features()) {
        (feature.offset, feature.scale) = (of_model.offset, of_model.scale);
    }
    if theirs == *features {
        return Cow::Borrowed(data);
    }
    Cow::Owned(data.clone().normalised_as(&Input::Features(theirs)))
}

/// For each layer of a model which one of the network it is; none of those that quantizing has put in front of cells.
fn own_layers(model: &Model<'_>, layers: &[Layer]) -> Vec<Option<usize>> {
    let mut at = 0;
    let own = model.header().layers.iter().map(|layer| {
        let put_in = matches!(layer, engine::Layer::Dense { .. })
            && !matches!(layers.get(at), Some(Layer::Dense(_)));
        at += usize::from(!put_in);
        (!put_in).then(|| at - 1)
    });
    own.collect()
}

fn watch(
    model: &Model<'_>,
    stepped: &Stepped<'_>,
    mut begin: impl FnMut(usize, &mut Runner<'_, '_>) -> Result<()>,
) -> Result<(Vec<Seen>, usize, Option<f64>)> {
    let Stepped {
        package,
        data,
        part,
        ..
    } = *stepped;
    let data = &*as_seen(data, model);
    let tokens = matches!(package.input, Input::Tokens(_));
    let layers = &package.net.layers;
    let own = own_layers(model, layers);
    let mut seen = vec![Seen::default(); layers.len()];
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = AnyRunner::bind(model, &mut state)?;
    let limits = num::input_limits(model.input_frac());
    let (mut steps, mut cut) = (0, 0);
    let mut integers = vec![0; model.inputs()];
    let mut take = |half: usize, step: LayerStep<'_>| {
        let Some(at) = own[step.layer] else {
            return;
        };
        let frac = if at + 1 == layers.len() {
            model.output_frac().into()
        } else {
            12
        };
        let (end, units) = match &layers[at] {
            Layer::Recurrent(r) => (RECURRENT_END, r.hidden),
            Layer::Bidirectional(b) => (RECURRENT_END, b.halves()[half].hidden),
            layer => (i16::MAX, layer.outputs()),
        };
        let seen = &mut seen[at];
        for &y in &step.output[..units] {
            seen.outputs.push(f32::from(y) * 2f32.powi(-frac));
            seen.at_ends += usize::from(y.unsigned_abs() >= end.unsigned_abs());
        }
        let (engine::Layer::Recurrent { cell, .. } | engine::Layer::Bidirectional { cell, .. }) =
            model.header().layers[step.layer]
        else {
            return;
        };
        if matches!(
            cell,
            engine::Cell::Lstm | engine::Cell::LstmHard | engine::Cell::LstmPeephole
        ) {
            // ±8 · 2^cell_shift in units of 2^-(27 - cell_shift).
            let at_clamp = step.master[..units]
                .iter()
                .filter(|c| c.unsigned_abs() >= (1 << 30) - 1);
            seen.clamped.0 += at_clamp.count();
            seen.clamped.1 += units;
        }
    };
    for (k, sequence) in data.sequences(part).enumerate() {
        let whole = sequence.steps();
        let here = match &runner {
            AnyRunner::Steps(_) => whole.min(STEPS - steps),
            // Windows stay whole.
            AnyRunner::Windows(_) => whole,
        };
        for t in (0..here).filter(|_| !tokens) {
            model.quantize_input(sequence.normalised(t), &mut integers);
            let at_ends = integers.iter().filter(|&&q| q <= limits.0 || q >= limits.1);
            cut += at_ends.count();
        }
        steps += here;
        match &mut runner {
            AnyRunner::Steps(runner) => {
                runner.reset();
                begin(k, runner)?;
                for t in 0..here {
                    let x = sequence.normalised(t);
                    let input = if tokens {
                        StepInput::Token(x[0] as usize)
                    } else {
                        StepInput::Sample(x)
                    };
                    runner.step_watched(input, |step| take(0, step));
                }
            }
            AnyRunner::Windows(runner) => {
                let rows = (0..here).flat_map(|t| sequence.normalised(t).iter().copied());
                let rows: Vec<f32> = rows.collect();
                run_watched(runner, tokens, &rows, |seen| take(seen.half, seen.step));
            }
        }
        if steps >= STEPS {
            break;
        }
    }
    let values = steps * model.inputs();
    let cut = (!tokens).then(|| cut as f64 / values as f64);
    Ok((seen, steps, cut))
}
