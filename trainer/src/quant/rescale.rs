//! Brings unbounded values inside the range of their integers without changing what the network computes.
//!
//! An embedding, a rectified or a linear layer may be divided by `s` if the next matrix is multiplied by
//! it: `relu(a / s) = relu(a) / s`. For a rectified recurrent layer the state's own matrix is divided and
//! multiplied at once, and only input matrix and bias remain to be divided. Each unit has its own `s`. A FastGRNN's state is
//! linear in ζ and ν: these are divided and the state's own matrix is multiplied, all units by one `s`. That of a minGRU, and of a GRU
//! with rectified candidates, is linear in its candidate, whose rows are divided; so is that of a rectified LSTM, and its cell. A normalisation
//! takes what all units are divided by together: its mean and deviation are so much smaller, and its ε the square of it. What is kept is divided
//! too where every layer behind a join with it takes it so: behind a product, or beside other numbers; not in a sum.

use super::ranges::CELLS_OF_RECTIFIED;
use super::{Formats, Ranges};
use crate::net::{Activation, Cell, Combine, Conv, Layer, Network, Recurrent};

/// Largest value aimed at where the consumer takes i8 (2^-7, below 1).
const NARROW: f32 = 0.96;
/// Largest value aimed at where the consumer takes i16 (2^-12, below 8), in parts of the 4 that a rectified state is held
/// within, or of what another is.
const WIDE: f32 = 0.75;

/// A filter's outputs are held to be no smaller than the largest ones by more than this.
const LEAST: f32 = 64.0;

/// Rescales a network for integers of these formats, by ranges that were measured on it.
pub(crate) fn rescale(net: &mut Network, ranges: &mut Ranges, formats: &Formats) {
    let last = net.layers.len() - 1;
    for at in 0..last {
        let Some(takers) = takers_in_scale(&net.layers, at) else {
            continue;
        };
        let own = cell(&net.layers[at]);
        let narrows = |taker: &Taker| {
            cell(&net.layers[taker.layer]).is_some() && formats.of(taker.layer).is_a8()
        };
        // Its state is an input of its own matrix; vectors of tokens lie in the file as such.
        let is_input = matches!(net.layers[at], Layer::Embedding(_))
            || own.is_some_and(|cell| cell.state_products() > 0);
        let narrow = takers.iter().any(narrows) || (is_input && formats.of(at).is_a8());
        let shared = own == Some(Cell::FastGrnn);
        let aim = if narrow {
            NARROW
        } else {
            WIDE * own.map_or(4, Cell::reach) as f32
        };
        let range = &mut ranges.layers[at];
        let mut reach = match &net.layers[at] {
            // All rows are in the file, whether data met them or not.
            Layer::Embedding(e) => reach_of_rows(&e.table, e.dim),
            _ => range.outputs.clone(),
        };
        share(&mut reach, [&net.layers[at], &net.layers[takers[0].layer]]);
        let mut scales: Vec<f32> = reach
            .iter()
            .map(|max| if *max > 0.0 { max / aim } else { 1.0 })
            .collect();
        if shared {
            // ζ and ν stay below 1.
            scales.fill((range.output / aim).max(1.0));
        }
        let normalises = |taker: &Taker| matches!(net.layers[taker.layer], Layer::Norm(_));
        if takers.iter().any(normalises) && !shared {
            let farthest = reach.iter().copied().fold(range.output, f32::max);
            let whole = farthest.max(f32::MIN_POSITIVE) / aim;
            scales.fill(whole);
        }
        range.divide_outputs(0, &scales);
        if own == Some(Cell::LstmRelu) {
            range.cell = range.cell.min(CELLS_OF_RECTIFIED * aim);
        }
        let own = &mut ranges.layers[at].inputs;
        match &net.layers[at] {
            Layer::Recurrent(r) => own.iter_mut().for_each(|m| m.divide(r.inputs, &scales)),
            Layer::Bidirectional(b) => {
                let half = own.len() / 2;
                let (forward, backward) = own.split_at_mut(half);
                let (inputs, (first, second)) =
                    (b.forward.inputs, scales.split_at(b.forward.hidden));
                forward.iter_mut().for_each(|m| m.divide(inputs, first));
                backward.iter_mut().for_each(|m| m.divide(inputs, second));
            }
            _ => {}
        }
        for Taker { layer, first } in takers {
            let taken = taken(&net.layers[layer], &scales);
            let above = ranges.layers[layer].inputs.iter_mut();
            above.for_each(|moments| moments.divide(first, &taken));
            multiply(&mut net.layers[layer], first, &taken);
            // What is kept, and what joins give.
            if layer > at + 1 {
                ranges.layers[layer - 1].divide_outputs(first, &scales);
            }
        }
        divide(&mut net.layers[at], &scales);
    }
}

/// How far each column of a table reaches.
fn reach_of_rows(table: &[f32], width: usize) -> Vec<f32> {
    let column = |k: usize| table.iter().skip(k).step_by(width);
    (0..width)
        .map(|k| column(k).fold(0f32, |most, w| most.max(w.abs())))
        .collect()
}

/// The layers that take what layer `at` gives, where it may give that in another scale.
pub(super) fn takers_in_scale(layers: &[Layer], at: usize) -> Option<Vec<Taker>> {
    let unbounded = match &layers[at] {
        Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => matches!(
            d.activation,
            Activation::Relu | Activation::Identity | Activation::Magnitude
        ),
        layer => cell(layer).is_none_or(|cell| cell.reach() > 1),
    };
    takers(layers, at).filter(|_| unbounded)
}

/// A layer that takes what another gives.
pub(super) struct Taker {
    layer: usize,
    /// The place of the first of it among its inputs.
    first: usize,
}

/// The layers that take what layer `at` gives: the next one, or where it is kept the one behind that and those behind joins. None
/// where one of them cannot take it in another scale: in a sum all have one, and so has what is kept or joined again.
fn takers(layers: &[Layer], at: usize) -> Option<Vec<Taker>> {
    let skips = |layer: &Layer| matches!(layer, Layer::Keep(_) | Layer::Join(_));
    let kept = matches!(layers[at + 1], Layer::Keep(_));
    let next = at + 1 + usize::from(kept);
    let mut takers = vec![Taker {
        layer: next,
        first: 0,
    }];
    if kept {
        let number = layers[..at + 1]
            .iter()
            .filter(|l| matches!(l, Layer::Keep(_)));
        let number = number.count();
        for (place, layer) in layers.iter().enumerate() {
            let Layer::Join(join) = layer else { continue };
            let first = match join.how {
                _ if join.with != number => continue,
                Combine::Add => return None,
                Combine::Multiply | Combine::Prepend => 0,
                Combine::Append => join.width,
            };
            let behind = layers.get(place + 1)?;
            let whole = matches!(behind, Layer::Norm(_)) && join.how == Combine::Multiply;
            let columns = matches!(behind, Layer::Dense(_) | Layer::Recurrent(_));
            takers.push(Taker {
                layer: (whole || columns).then_some(place + 1)?,
                first,
            });
        }
        // Places of a sample share their weights.
        if matches!(layers[next], Layer::Conv(_)) {
            return None;
        }
    }
    (!skips(&layers[at]) && !skips(layers.get(next)?)).then_some(takers)
}

/// Outputs that have one scale together reach equally far: those of a filter at every position, and of a channel in every row. Where the two do
/// not have one period, it is all of them.
fn share(reach: &mut [f32], [from, to]: [&Layer; 2]) {
    let of_filters = match from {
        Layer::Conv(c) => c.width(),
        _ => reach.len(),
    };
    let of_channels = match to {
        Layer::Conv(c) => usize::from(c.shape.channels),
        _ => reach.len(),
    };
    let period = match (of_filters, of_channels) {
        (a, b) if a == b || b == reach.len() => a,
        (a, b) if a == reach.len() => b,
        _ => 1,
    };
    for k in 0..period {
        let shared = reach.iter().skip(k).step_by(period);
        let largest = shared.copied().fold(0.0, f32::max);
        let shared = reach.iter_mut().skip(k).step_by(period);
        shared.for_each(|reach| *reach = largest);
    }
    if matches!(from, Layer::Conv(_)) {
        // A filter that hardly ever gives anything would have rows so much larger than the others that the shift, which all
        // rows share, left those without digits.
        let least = reach.iter().copied().fold(0.0, f32::max) / LEAST;
        for reach in reach.iter_mut().filter(|reach| **reach > 0.0) {
            *reach = reach.max(least);
        }
    }
}

/// The scales of what a layer's rows are multiplied with.
fn taken(layer: &Layer, scales: &[f32]) -> Vec<f32> {
    match layer {
        Layer::Conv(c) => {
            let channels = &scales[..usize::from(c.shape.channels)];
            channels.repeat(c.shape.kernel.into())
        }
        _ => scales.to_vec(),
    }
}

/// Of a layer that has one.
fn cell(layer: &Layer) -> Option<Cell> {
    match layer {
        Layer::Recurrent(r) => Some(r.cell),
        Layer::Bidirectional(b) => Some(b.forward.cell),
        _ => None,
    }
}

fn divide_rows(matrix: &mut [f32], columns: usize, scales: &[f32]) {
    for (row, scale) in matrix.chunks_exact_mut(columns).zip(scales) {
        row.iter_mut().for_each(|w| *w /= scale);
    }
}

fn divide_recurrent(r: &mut Recurrent, scales: &[f32]) {
    match r.cell {
        Cell::FastGrnn => r.set_mix(r.mix().map(|x| x / scales[0])),
        Cell::MinGru | Cell::MinGruHard => {
            divide_rows(&mut r.w_ih[r.hidden * r.inputs..], r.inputs, scales);
            divide_rows(&mut r.b_ih[r.hidden..], 1, scales);
        }
        Cell::LstmRelu => {
            let candidate = 2 * r.hidden..3 * r.hidden;
            let of = |columns: usize| candidate.start * columns..candidate.end * columns;
            divide_rows(&mut r.w_ih[of(r.inputs)], r.inputs, scales);
            divide_rows(&mut r.w_hh[of(r.hidden)], r.hidden, scales);
            divide_rows(&mut r.b_ih[of(1)], 1, scales);
            divide_rows(&mut r.b_hh[of(1)], 1, scales);
        }
        Cell::GruReluResetBefore | Cell::GruReluResetAfter => {
            let gates = 2 * r.hidden;
            divide_rows(&mut r.w_ih[gates * r.inputs..], r.inputs, scales);
            divide_rows(&mut r.w_hh[gates * r.hidden..], r.hidden, scales);
            divide_rows(&mut r.b_ih[gates..], 1, scales);
            divide_rows(&mut r.b_hh[gates..], 1, scales);
        }
        _ => {
            divide_rows(&mut r.w_ih, r.inputs, scales);
            divide_rows(&mut r.w_hh, r.hidden, scales);
            divide_rows(&mut r.b_ih, 1, scales);
            divide_rows(&mut r.b_hh, 1, scales);
        }
    }
    columns(&mut r.w_hh, scales);
}

fn divide(layer: &mut Layer, scales: &[f32]) {
    match layer {
        Layer::Embedding(e) => {
            for row in e.table.chunks_exact_mut(e.dim) {
                row.iter_mut()
                    .zip(scales)
                    .for_each(|(w, scale)| *w /= scale);
            }
        }
        Layer::Recurrent(r) => divide_recurrent(r, scales),
        Layer::Bidirectional(b) => {
            let (forward, backward) = scales.split_at(b.forward.hidden);
            divide_recurrent(&mut b.forward, forward);
            divide_recurrent(&mut b.backward, backward);
        }
        Layer::Dense(d) => {
            divide_rows(&mut d.weight, d.inputs, scales);
            divide_rows(&mut d.bias, 1, scales);
        }
        Layer::Conv(c) => {
            // Both halves of a magnitude.
            let width = c.width();
            let scales = scales[..width].repeat(c.dense.outputs / width.max(1));
            divide_rows(&mut c.dense.weight, c.dense.inputs, &scales);
            divide_rows(&mut c.dense.bias, 1, &scales);
        }
        Layer::Norm(n) => {
            divide_rows(&mut n.gamma, 1, scales);
            divide_rows(&mut n.beta, 1, scales);
        }
        Layer::Keep(_) | Layer::Join(_) => {}
    }
}

/// The columns of rows from `first` on, as many as there are scales.
fn some_columns(matrix: &mut [f32], width: usize, first: usize, scales: &[f32]) {
    for row in matrix.chunks_exact_mut(width) {
        row[first..]
            .iter_mut()
            .zip(scales)
            .for_each(|(w, scale)| *w *= scale);
    }
}

fn columns(matrix: &mut [f32], scales: &[f32]) {
    some_columns(matrix, scales.len(), 0, scales);
}

/// What a layer takes from its input `first` on comes divided by these scales.
pub(super) fn multiply(layer: &mut Layer, first: usize, scales: &[f32]) {
    let recurrent = |r: &mut Recurrent| some_columns(&mut r.w_ih, r.inputs, first, scales);
    match layer {
        Layer::Embedding(_) | Layer::Keep(_) | Layer::Join(_) => {}
        Layer::Recurrent(r) => recurrent(r),
        Layer::Bidirectional(b) => {
            recurrent(&mut b.forward);
            recurrent(&mut b.backward);
        }
        Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => {
            some_columns(&mut d.weight, d.inputs, first, scales);
        }
        // All are the same.
        Layer::Norm(n) => n.epsilon /= scales[0].powi(2),
    }
}
