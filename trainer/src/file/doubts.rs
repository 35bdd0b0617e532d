//! What a number format cannot hold of a network, and what is done for it.

use crate::net::{Activation, Combine, Conv, Layer, Network, keeper};
use crate::package::{Package, Shape};
use crate::quant::{Formats, LayerRange, Ranges, is_cut};
use half::f16;
use kinglet::format::Format;
use kinglet::kernel::MAX_CELL_SHIFT;

/// Share of a state that is forgotten in a step, below which a layer is slow: the tables are within 4e-5 of 1.
const FORGETS: f64 = 1.0 / 700.0;
/// Less than this is nothing.
const LEAST: f64 = 1e-9;
/// What candidates may move, in the root of the mean square, by a cut of their parts: half a unit of a state in eight bits.
const MOVED: f64 = 1.0 / 256.0;
/// Windows up to this length forget nothing that matters.
const SHORT: usize = 500;

/// The layer's integer gates need all the accuracy of what they leave, or its cells a longer reach.
pub(super) fn is_slow(
    package: &Package,
    layer: &Layer,
    range: &LayerRange,
    format: Format,
) -> bool {
    let Layer::Recurrent(r) = layer else {
        return false;
    };
    let forgets = range.forgets.is_some_and(|share| share < FORGETS);
    let far = r.cell.has_cell() && range.cell * 1.25 >= 8.0 * f32::from(1u16 << MAX_CELL_SHIFT);
    let wide = range.candidates > MOVED;
    format.is_integer() && r.cell.may_be_slow() && (far || wide || forgets && !short(package))
}

/// Windows start anew before anything is forgotten.
fn short(package: &Package) -> bool {
    matches!(package.shape, Shape::Window { window, exact: true, .. } if window <= SHORT)
}

/// "2.1 %" of some.
fn share(part: usize, all: usize) -> String {
    format!("{part} ({:.2} %)", 100.0 * part as f64 / all.max(1) as f64)
}

/// What f16 cannot hold of the weights.
pub(super) fn beyond_f16(net: &Network) -> Vec<String> {
    let mut doubts = Vec::new();
    for (k, layer) in net.layers.iter().enumerate() {
        let weights: Vec<f32> = match layer {
            Layer::Embedding(e) => e.table.clone(),
            Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => d.weight.clone(),
            Layer::Recurrent(r) => [&r.w_ih[..], &r.w_hh].concat(),
            Layer::Bidirectional(b) => {
                let halves = b.halves().map(|r| [&r.w_ih[..], &r.w_hh].concat());
                halves.concat()
            }
            // They stay f32.
            Layer::Norm(_) | Layer::Keep(_) | Layer::Join(_) => continue,
        };
        let all = weights.len();
        let large = weights.iter().filter(|w| w.abs() > LARGEST_F16);
        let largest = weights.iter().fold(0f32, |m, w| m.max(w.abs()));
        match large.count() {
            0 => {}
            large => doubts.push(format!(
                "layer {k}: {} weights up to {largest} do not fit f16, whose largest number is {LARGEST_F16}",
                share(large, all)
            )),
        }
        // Below the smallest normal number digits go.
        let lost = |w: &&f32| **w != 0.0 && (f16::from_f32(**w).to_f32() / **w - 1.0).abs() > 0.02;
        let lost = weights
            .iter()
            .filter(|w| w.abs() < 6.1e-5)
            .filter(lost)
            .count();
        if 50 * lost > all {
            doubts.push(format!(
                "layer {k}: {} weights are too small for f16, which has no digits below 6e-5",
                share(lost, all)
            ));
        }
    }
    doubts
}

/// What integers cannot hold of the values that were met; and notes about what was done for it.
pub(super) fn beyond_integers(
    package: &Package,
    (ranges, formats): (&Ranges, &Formats),
    bridges: &[usize],
    notes: &mut Vec<String>,
) -> Vec<String> {
    let mut doubts = Vec::new();
    let layers = package.net.layers.iter().zip(&ranges.layers).enumerate();
    for (at, (layer, range)) in layers {
        // As the network had it before linear layers were put in.
        let k = at - bridges.iter().filter(|&&bridge| bridge <= at).count();
        let slow = is_slow(package, layer, range, formats.of(at));
        if slow {
            let memory = range.forgets.filter(|share| *share < FORGETS);
            let memory = memory.map(|share| match share > LEAST {
                true => format!("it keeps what it knows for {:.0} steps", 1.0 / share),
                false => "it never forgets".to_owned(),
            });
            let reach = (range.cell > 100.0).then(|| format!("its cells reach {:.0}", range.cell));
            let parts = (range.candidates > MOVED).then(|| {
                "what input and state give to its candidates reaches beyond ±8".to_owned()
            });
            let reasons: Vec<String> = memory.into_iter().chain(reach).chain(parts).collect();
            notes.push(format!(
                "layer {k} is slow: {}; so its gates go to ±16, and it runs in plain code",
                reasons.join(" and ")
            ));
        }
        let (limit, beyond) = if slow {
            (16, range.gates.beyond[1])
        } else {
            (8, range.gates.beyond[0])
        };
        if 1000 * beyond > range.gates.met {
            doubts.push(format!(
                "layer {k}: {} of the pre-activations of its gates lie beyond ±{limit} and are cut there",
                share(beyond, range.gates.met)
            ));
        }
        // What is kept or joined is not brought to another scale.
        if matches!(layer, Layer::Keep(_) | Layer::Join(_)) && range.output >= 8.0 {
            doubts.push(format!(
                "layer {k} ({}): what is kept or joined reaches {:.1}, and is cut at ±8, in w8a16 as in w8a8: take --precision f32 or f16, or train with a \
                 normalisation or smaller weights before it",
                joining(package, layer),
                range.output
            ));
        }
        if at > 0 && is_cut(&package.net, ranges, formats, at) {
            doubts.push(format!(
                "layer {k}: its cells read what lies within ±1 in eight bits, and what they are given reaches {:.1} and is cut: take --precision w8a16, or mixed",
                ranges.layers[at - 1].output
            ));
        }
        if let Layer::Dense(dense) | Layer::Conv(Conv { dense, .. }) = layer
            && dense.activation == Activation::Elu
            && range.output >= 8.0
        {
            doubts.push(format!(
                "layer {k}: its ELU reaches {:.1}, and is cut at ±8, in w8a16 as in w8a8: take --precision f32 or f16, or train with relu, which is brought to \
                 another scale",
                range.output
            ));
        }
        if range.cell > MOST_CELL {
            doubts.push(format!(
                "layer {k}: its cells reach {:.0}, and are cut at ±{MOST_CELL}",
                range.cell
            ));
        }
    }
    doubts
}

/// What a layer that keeps or joins does.
fn joining(package: &Package, layer: &Layer) -> String {
    let Layer::Join(join) = layer else {
        return "it keeps what goes in".to_owned();
    };
    let keeper = keeper(&package.net.layers, join.with).unwrap_or_default();
    let how = match join.how {
        Combine::Add => "adds",
        Combine::Multiply => "multiplies by",
        Combine::Append | Combine::Prepend => "puts beside it",
    };
    format!("it {how} what layer {keeper} keeps")
}

/// Largest finite number of an f16.
pub(super) const LARGEST_F16: f32 = 65504.0;
/// What a cell can be in integers.
const MOST_CELL: f32 = 1024.0;
