//! Inputs and outputs of any offset and scale, brought to where integers hold them well.
//!
//! A feature is `(x − offset) · scale` in the file before it enters the network. With `u = (x − o) · s` for another offset and
//! scale, `W x + b = (W / s) u + (b + W o)`: the network computes the same, and `o`, `s` become part of the feature's normalisation. `s` is
//! a power of two, so weights change their exponents only; the new bias is summed in f64. Outputs of a linear last layer go
//! the other way.
//!
//! An input stays as it is where its integers are within one per cent of its spread and its weights are of the size of others. Otherwise it is centred and
//! its deviation becomes about 1. What is of the size of others is decided by the others as they are in the end: of a frame of samples, most of which are
//! scaled by 32, the loudest would stay as they are, with weights 32 times as large as the rest of their rows. (Of DTLN's second network the error of the
//! outputs is 20 dB below them so, and 36 dB with all samples scaled.) Where values then lie outside of what the integers hold, heavy tails, there is a choice: a
//! coarser scale keeps the tail, but rounds all other values, and makes the input's weights the largest of their rows, for
//! which all weights are rounded more. Of the scales between the two that one is taken that makes the estimated error of
//! the layer's units least, where a unit is a tanh of what it gets, so that a tail that saturates it may be cut.

use super::column::Column;
use super::ranges::largest;
use super::rescale::multiply;
use super::{LayerRange, Ranges, fine, input_frac, largest_weight};
use crate::net::{Activation, Cell, Combine, Conv, Dense, Layer, Network, Recurrent};
use crate::package::{Input, Output, Package, Restore};
use kinglet::format::Format;

/// Error of an input's integers, in parts of its spread, up to which it stays as it is.
const AT_HOME: f64 = 0.01;
/// Its largest value is at least this then, and its spread at most that: its weights are as large as those of the state.
const SIZES: [f64; 2] = [0.25, 2.0];
/// Below this spread they may be larger, and take digits from all others of their rows: see [`overweight`].
const USUAL: f64 = 0.35;
/// An output's step in parts of its spread, up to which the same is true.
const FINE: f64 = 1.0 / 500.0;
/// Part of what integers hold that values reach at the most, where room costs nothing: other data goes beyond what was met.
const ROOM: f64 = 0.5;
/// What is left of the variance of nearest rounding once weights are rounded together.
const DESCENDED: f64 = 0.25;

/// `u = (x − offset) · scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fold {
    pub offset: f64,
    pub scale: f64,
}

/// What was done to the inputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Folded {
    pub folds: Vec<Fold>,
    /// Those with tails that are partly cut, or could be.
    pub tailed: Vec<usize>,
}

const SAME: Fold = Fold {
    offset: 0.0,
    scale: 1.0,
};

/// Integers of an input: their unit and how far they reach.
#[derive(Debug, Clone, Copy)]
struct Grid {
    lsb: f64,
    limits: [f64; 2],
}

impl Grid {
    fn of(layer: &Layer, format: Format) -> Grid {
        let narrow =
            format.is_a8() && matches!(layer, Layer::Recurrent(_) | Layer::Bidirectional(_));
        let frac = if narrow { input_frac(format) } else { 12 };
        let lsb = 2f64.powi(-frac);
        let (low, high) = kinglet::num::input_limits(frac as i8);
        Grid {
            lsb,
            limits: [low, high].map(|limit| f64::from(limit) * lsb),
        }
    }

    fn round(self, u: f64) -> f64 {
        let q = (u / self.lsb + 0.5).floor() * self.lsb;
        q.clamp(self.limits[0], self.limits[1])
    }

    /// Squared error of an input's integers.
    fn error(self, column: &Column, fold: Fold) -> f64 {
        let each = column.values().map(|(x, weight)| {
            let error = self.round((x - fold.offset) * fold.scale) / fold.scale + fold.offset - x;
            weight * error * error
        });
        each.sum()
    }
}

/// Rows of a layer over its input, and where their sums start.
fn rows(layer: &Layer) -> Vec<&[f32]> {
    match layer {
        Layer::Recurrent(r) => r.w_ih.chunks_exact(r.inputs).collect(),
        Layer::Bidirectional(b) => {
            let halves = b.halves();
            halves
                .into_iter()
                .flat_map(|r| r.w_ih.chunks_exact(r.inputs))
                .collect()
        }
        Layer::Dense(d) => d.weight.chunks_exact(d.inputs).collect(),
        // Of a convolution an input is in several places of a row.
        _ => Vec::new(),
    }
}

/// Largest weight over the state, for every row.
fn over_state(layer: &Layer) -> Vec<f64> {
    let of = |r: &Recurrent| -> Vec<f64> {
        let rows = r.w_hh.chunks_exact(r.hidden);
        let rows = rows.map(|row| f64::from(largest(row)));
        rows.chain(std::iter::repeat(0.0))
            .take(r.b_ih.len())
            .collect()
    };
    match layer {
        Layer::Recurrent(r) => of(r),
        Layer::Bidirectional(b) => b.halves().into_iter().flat_map(of).collect(),
        Layer::Dense(d) => vec![0.0; d.outputs],
        _ => Vec::new(),
    }
}

/// Which inputs are of a small spread and have, in a tenth of the rows, weights of more than twice those over the state and over
/// the inputs of usual spread; in rows without either, of more than twice those over the inputs that are brought to another scale.
fn overweight(
    rows: &[&[f32]],
    over_state: &[f64],
    columns: &[Column],
    folds: &[Fold],
) -> Vec<bool> {
    let is_usual = |column: &Column| (USUAL..=SIZES[1]).contains(&column.deviation());
    let usual = rows.iter().zip(over_state).map(|(row, &state)| {
        let usual = row
            .iter()
            .zip(columns)
            .filter(|(_, column)| is_usual(column));
        let usual = usual.fold(state, |m, (w, _)| m.max(f64::from(w.abs())));
        let scaled = row.iter().zip(folds).filter(|(_, fold)| **fold != SAME);
        let scaled = scaled.map(|(w, fold)| f64::from(w.abs()) / fold.scale);
        match usual > 0.0 {
            true => usual,
            false => scaled.fold(0.0, f64::max),
        }
    });
    let usual: Vec<f64> = usual.collect();
    let of = |(k, column): (usize, &Column)| {
        let weights = rows.iter().map(|row| f64::from(row[k].abs()));
        let larger = weights
            .zip(&usual)
            .filter(|&(w, &usual)| usual > 0.0 && w > 2.0 * usual);
        column.deviation() < USUAL && 10 * larger.count() > rows.len()
    };
    columns.iter().enumerate().map(of).collect()
}

/// A dense layer takes sixteen bits of any input, and where all its inputs are scaled together its weights lose nothing. So if some were brought to
/// another scale, all scales are halved until there is room above what was met of each, as long as the steps of all stay fine.
fn leave_room(folds: &mut [Fold], columns: &[Column], grid: Grid) {
    let full = |(fold, column): (&Fold, &Column)| {
        let ends = column.ends.map(|x| f64::from(x) - fold.offset);
        ends[0].abs().max(ends[1].abs()) * fold.scale > ROOM * grid.limits[1]
    };
    let coarse = |(fold, column): (&Fold, &Column)| {
        column.deviation() > 0.0 && 2.0 * grid.lsb > FINE * column.deviation() * fold.scale
    };
    if folds.iter().all(|fold| *fold == SAME) {
        return;
    }
    while folds.iter().zip(columns).any(full) && !folds.iter().zip(columns).any(coarse) {
        folds.iter_mut().for_each(|fold| fold.scale /= 2.0);
    }
}

/// The largest power of two that is not above.
fn power_below(x: f64) -> f64 {
    2f64.powi(x.log2().floor().clamp(-100.0, 100.0) as i32)
}

/// Folds offset and scale of inputs and outputs into a package for an integer format: normalisation, weights and what was
/// measured of them. Gives what was done to each input, none where nothing was.
pub(crate) fn fold(
    package: &mut Package,
    ranges: &mut Ranges,
    formats: [Format; 2],
) -> Option<Folded> {
    fold_outputs(package, ranges, formats[1]);
    fold_inputs(package, ranges, formats[0])
}

/// The inputs only.
pub(crate) fn fold_inputs(
    package: &mut Package,
    ranges: &mut Ranges,
    format: Format,
) -> Option<Folded> {
    let Input::Features(features) = &mut package.input else {
        return None;
    };
    let columns = &ranges.columns[0];
    if columns.len() != features.len() {
        return None;
    }
    let first = &package.net.layers[0];
    if matches!(first, Layer::Keep(_)) {
        return fold_kept(package, ranges);
    }
    // The zeros at a convolution's edges are no samples: they stay zero.
    let edges = matches!(first, Layer::Conv(_));
    let holds = features.iter().map(|feature| feature.hold || edges);
    let holds: Vec<bool> = holds.collect();
    let (mut folds, tailed) = choose(first, ranges, &holds, format);
    match first {
        Layer::Conv(c) if c.shape.rows > 1 => {
            signal(&mut folds, columns, c.shape.channels.into());
        }
        // What it takes may have another scale, all together.
        Layer::Norm(_) => signal(&mut folds, columns, 1),
        _ => {}
    }
    if folds.iter().all(|fold| *fold == SAME) {
        return None;
    }
    for (feature, fold) in features.iter_mut().zip(&folds) {
        let offset = f64::from(feature.offset) + fold.offset / f64::from(feature.scale);
        feature.offset = offset as f32;
        feature.scale *= fold.scale as f32;
    }
    apply(&mut package.net, &folds);
    let seen = match &package.net.layers[0] {
        Layer::Conv(c) => taps(c, &folds),
        _ => folds.clone(),
    };
    for moments in first_moments(&package.net.layers[0], &mut ranges.layers[0]) {
        moments.shift(&seen);
    }
    Some(Folded { folds, tailed })
}

/// Inputs that are kept, for later layers to join: each is divided by a power of two where integers do not reach as far, and whoever takes it
/// can take it so, as rows of weights do and outputs of the network. A sum cannot.
fn fold_kept(package: &mut Package, ranges: &mut Ranges) -> Option<Folded> {
    const REACH: f64 = 7.5;
    let divisor = |column: &Column| (1.0 / power_below(REACH / column.farthest())).max(1.0) as f32;
    let divisors: Vec<f32> = ranges.columns[0].iter().map(divisor).collect();
    if divisors.iter().all(|&divisor| divisor == 1.0) {
        return None;
    }
    let layers = &package.net.layers;
    let has_rows = |layer: &Layer| matches!(layer, Layer::Dense(_) | Layer::Recurrent(_));
    // Layers, and the places of the inputs among theirs; and among the outputs.
    let (mut takers, mut given) = (vec![(1, 0)], None);
    for (place, layer) in layers.iter().enumerate() {
        let Layer::Join(join) = layer else { continue };
        let first = match join.how {
            _ if join.with != 0 => continue,
            Combine::Add => return None,
            Combine::Multiply | Combine::Prepend => 0,
            Combine::Append => join.width,
        };
        match layers.get(place + 1) {
            Some(_) => takers.push((place + 1, first)),
            None => given = Some(first),
        }
    }
    if !takers.iter().all(|(layer, _)| has_rows(&layers[*layer])) {
        return None;
    }
    if let Some(first) = given {
        let Output::Values(targets) = &mut package.output else {
            return None;
        };
        let targets = &mut targets[first..][..divisors.len()];
        if targets.iter().any(|t| t.restore != Restore::None) {
            return None;
        }
        for (target, divisor) in targets.iter_mut().zip(&divisors) {
            target.scale *= divisor;
        }
    }
    let Input::Features(features) = &mut package.input else {
        return None;
    };
    for (feature, divisor) in features.iter_mut().zip(&divisors) {
        feature.scale /= divisor;
    }
    let joined = given.map(|first| (package.net.layers.len(), first));
    for &(layer, first) in takers.iter().chain(&joined) {
        ranges.layers[layer - 1].divide_outputs(first, &divisors);
    }
    for (layer, first) in takers {
        let moments = ranges.layers[layer].inputs.iter_mut();
        moments.for_each(|moments| moments.divide(first, &divisors));
        multiply(&mut package.net.layers[layer], first, &divisors);
    }
    let fold = |divisor: &f32| Fold {
        offset: 0.0,
        scale: 1.0 / f64::from(*divisor),
    };
    Some(Folded {
        folds: divisors.iter().map(fold).collect(),
        tailed: Vec::new(),
    })
}

/// A channel of a signal has one scale in all rows of a sample: the largest power of two with which half of what integers hold
/// is reached at the most. Signals are quiet most of the time, so their spread says little.
fn signal(folds: &mut [Fold], columns: &[Column], channels: usize) {
    const REACH: f64 = 4.0;
    for k in 0..channels {
        let rows = columns.iter().skip(k).step_by(channels);
        let farthest = rows.map(Column::farthest).fold(0.0, f64::max);
        let scale = match farthest > 0.0 {
            true => power_below(REACH / farthest),
            false => 1.0,
        };
        for fold in folds.iter_mut().skip(k).step_by(channels) {
            *fold = Fold { offset: 0.0, scale };
        }
    }
}

/// What was done to the inputs that a convolution sees at a position.
fn taps(c: &Conv, folds: &[Fold]) -> Vec<Fold> {
    folds[..usize::from(c.shape.channels)].repeat(c.shape.kernel.into())
}

/// Those of the stages of the first layer; all of them see its input.
fn first_moments<'r>(
    layer: &Layer,
    range: &'r mut LayerRange,
) -> impl Iterator<Item = &'r mut super::Moments> {
    let sees = !matches!(layer, Layer::Embedding(_));
    range.inputs.iter_mut().filter(move |_| sees)
}

fn choose(
    layer: &Layer,
    ranges: &Ranges,
    holds: &[bool],
    format: Format,
) -> (Vec<Fold>, Vec<usize>) {
    let columns = &ranges.columns[0][..];
    let mut tailed = Vec::new();
    let grid = Grid::of(layer, format);
    if ranges.fine {
        let each = columns.iter().zip(holds);
        let whole = each.map(|(column, &holds)| fine::whole(column, holds, grid.limits[1]));
        return (whole.collect(), tailed);
    }
    let rows = rows(layer);
    let over_state = over_state(layer);
    let centred = |k: usize, overweight: bool| {
        let column = &columns[k];
        let (centre, spread) = column.middle();
        let error = grid.error(column, SAME);
        let sized = column.farthest() >= SIZES[0] && column.deviation() <= SIZES[1] && !overweight;
        if error <= (AT_HOME * column.deviation()).powi(2) && (sized || column.farthest() == 0.0) {
            return SAME;
        }
        // A gap at the start of a stream stands for the offset: that stays what it was in training.
        let offset = f64::from(if holds[k] { 0.0 } else { centre as f32 });
        let scale = if spread > 0.0 {
            power_below(std::f64::consts::SQRT_2 / spread)
        } else {
            1.0
        };
        Fold { offset, scale }
    };
    let each = 0..columns.len();
    let mut folds: Vec<Fold> = each.clone().map(|k| centred(k, false)).collect();
    let overweight = overweight(&rows, &over_state, columns, &folds);
    for k in each.filter(|&k| overweight[k]) {
        folds[k] = centred(k, true);
    }
    let levels = f64::from(largest_weight(format));
    // Of the state as a matrix input.
    let state: f64 = match ranges.layers[0].inputs.first() {
        Some(moments) if moments.width() > columns.len() => {
            let state = columns.len()..moments.width();
            moments.variances(state).into_iter().sum()
        }
        _ => over_state.len() as f64 / 16.0,
    };
    for k in 0..columns.len() {
        let column = &columns[k];
        let reach = |fold: Fold| {
            let ends = column
                .ends
                .map(|x| (f64::from(x) - fold.offset) * fold.scale);
            ends[0] >= grid.limits[0] && ends[1] <= grid.limits[1]
        };
        if folds[k] == SAME || reach(folds[k]) {
            continue;
        }
        let errs = |fold: Fold| {
            let every = rows.len().div_ceil(64).max(1);
            let samples: Vec<(f64, f64, f64)> = column
                .values()
                .map(|(x, weight)| {
                    let u = grid.round((x - fold.offset) * fold.scale) / fold.scale;
                    (x - fold.offset, u, weight)
                })
                .collect();
            let mut error = 0.0;
            for (row, &over_state) in rows.iter().zip(&over_state).step_by(every) {
                let w = f64::from(row[k]);
                let cut = samples
                    .iter()
                    .map(|&(x, u, weight)| weight * ((w * x).tanh() - (w * u).tanh()).powi(2));
                error += cut.sum::<f64>();
                let scaled = |j: usize| if j == k { fold } else { folds[j] };
                let weights = row.iter().enumerate();
                let largest = weights.fold(over_state, |m, (j, w)| {
                    m.max(f64::from(w.abs()) / scaled(j).scale)
                });
                let inputs = columns.iter().enumerate();
                let power: f64 = inputs
                    .map(|(j, c)| (c.deviation() * scaled(j).scale).powi(2))
                    .sum();
                error += DESCENDED * (largest / levels).powi(2) / 12.0 * (power + state);
            }
            error
        };
        let mut best = (errs(folds[k]), folds[k]);
        let mut next = folds[k];
        while !reach(next) && next.scale > 1e-30 {
            next.scale /= 2.0;
            let error = errs(next);
            // Without rows to estimate by nothing is cut.
            if error < best.0 || rows.is_empty() {
                best = (error, next);
            }
        }
        let most = folds[k].scale;
        folds[k] = best.1;
        let power = ranges.tails.get(k).copied().unwrap_or(0);
        folds[k].scale = (best.1.scale * 2f64.powi(power.into())).min(most);
        tailed.push(k);
    }
    if matches!(layer, Layer::Dense(_)) {
        leave_room(&mut folds, columns, grid);
    }
    (folds, tailed)
}

/// The first layer of a network that computes the same from folded inputs.
pub(crate) fn apply(net: &mut Network, folds: &[Fold]) {
    let fold_rows = |folds: &[Fold], weights: &mut [f32], biases: &mut [&mut [f32]]| {
        for (number, row) in weights.chunks_exact_mut(folds.len()).enumerate() {
            let start = row
                .iter()
                .zip(folds)
                .map(|(&w, fold)| f64::from(w) * fold.offset);
            let start: f64 = start.sum();
            for bias in biases.iter_mut() {
                bias[number] = (f64::from(bias[number]) + start) as f32;
            }
            for (w, fold) in row.iter_mut().zip(folds) {
                *w = (f64::from(*w) / fold.scale) as f32;
            }
        }
    };
    let recurrent = |r: &mut Recurrent| match r.cell {
        // Gate and candidate have one product and a bias each.
        Cell::FastGrnn => fold_rows(folds, &mut r.w_ih, &mut [&mut r.b_ih, &mut r.b_hh]),
        _ => fold_rows(folds, &mut r.w_ih, &mut [&mut r.b_ih]),
    };
    match net.layers.first_mut() {
        Some(Layer::Recurrent(r)) => recurrent(r),
        Some(Layer::Bidirectional(b)) => {
            recurrent(&mut b.forward);
            recurrent(&mut b.backward);
        }
        Some(Layer::Dense(d)) => fold_rows(folds, &mut d.weight, &mut [&mut d.bias]),
        Some(Layer::Conv(c)) => {
            let taps = taps(c, folds);
            fold_rows(&taps, &mut c.dense.weight, &mut [&mut c.dense.bias]);
        }
        // All have one offset and one scale.
        Some(Layer::Norm(n)) => n.epsilon *= (folds[0].scale as f32).powi(2),
        _ => {}
    }
}

/// Outputs of a linear last layer whose integers would be too coarse become numbers with a mean of 0 and a spread of about 1.
fn fold_outputs(package: &mut Package, ranges: &mut Ranges, format: Format) {
    let Output::Values(targets) = &mut package.output else {
        return;
    };
    let columns = &ranges.columns[1];
    let Some(Layer::Dense(Dense {
        inputs,
        weight,
        bias,
        activation: Activation::Identity,
        ..
    })) = package.net.layers.last_mut()
    else {
        return;
    };
    if !format.is_integer() || columns.len() != targets.len() {
        return;
    }
    let reach = |column: &Column| f64::from(column.ends[0].abs().max(column.ends[1].abs()));
    let farthest = columns.iter().map(reach).fold(0.0, f64::max);
    // All outputs have the step of the farthest.
    let lsb = (farthest * 1.5 / 32767.0).max(2f64.powi(-15));
    let fine = |column: &Column| column.deviation() == 0.0 || lsb <= FINE * column.deviation();
    if farthest <= 1e4 && columns.iter().all(fine) {
        return;
    }
    let rows = weight.chunks_exact_mut(*inputs).zip(bias);
    let range = ranges.layers.last_mut();
    let mut outputs = Vec::new();
    for (((row, bias), target), column) in rows.zip(targets).zip(columns) {
        let spread = column.deviation();
        let scale = if spread > 0.0 {
            power_below(std::f64::consts::SQRT_2 / spread)
        } else {
            1.0
        };
        let offset = f64::from(column.mean() as f32);
        *bias = ((f64::from(*bias) - offset) * scale) as f32;
        row.iter_mut()
            .for_each(|w| *w = (f64::from(*w) * scale) as f32);
        target.offset = (f64::from(target.offset) + f64::from(target.scale) * offset) as f32;
        target.scale /= scale as f32;
        let ends = column
            .ends
            .map(|y| ((f64::from(y) - offset) * scale).abs() as f32);
        outputs.push(ends[0].max(ends[1]));
    }
    if let Some(range) = range {
        range.output = outputs.iter().copied().fold(0.0, f32::max);
        range.outputs = outputs;
    }
}

/// What f16 would not hold of the first layer's weights over its input, and of a linear last layer's, brought to where it has
/// digits by powers of two, which needs no data. With data, inputs far from zero are centred too: there rounded weights
/// would count for more than what the input says.
pub(crate) fn fold_f16(package: &mut Package, ranges: &Ranges) -> Option<Folded> {
    const COMFORT: [f64; 2] = [1.0 / 256.0, 32768.0];
    let scale = |row: &mut dyn Iterator<Item = f32>| {
        let largest = row.fold(0.0, |m: f64, w| m.max(f64::from(w.abs())));
        let comfortable = (COMFORT[0]..=COMFORT[1]).contains(&largest);
        if largest == 0.0 || comfortable {
            1.0
        } else {
            power_below(largest)
        }
    };
    if let (
        Output::Values(targets),
        Some(Layer::Dense(Dense {
            inputs,
            weight,
            bias,
            activation: Activation::Identity,
            ..
        })),
    ) = (&mut package.output, package.net.layers.last_mut())
    {
        for ((row, bias), target) in weight.chunks_exact_mut(*inputs).zip(bias).zip(targets) {
            let scale = scale(&mut row.iter().copied()) as f32;
            row.iter_mut().for_each(|w| *w /= scale);
            *bias /= scale;
            target.scale *= scale;
        }
    }
    let Input::Features(features) = &mut package.input else {
        return None;
    };
    let first = &package.net.layers[0];
    if matches!(first, Layer::Norm(_) | Layer::Keep(_) | Layer::Join(_)) {
        return None;
    }
    let rows = match first {
        Layer::Conv(c) => {
            let taps = c.dense.weight.chunks_exact(c.shape.channels.into());
            taps.map(|taps| taps.repeat(c.shape.rows.into())).collect()
        }
        layer => rows(layer)
            .into_iter()
            .map(<[f32]>::to_vec)
            .collect::<Vec<_>>(),
    };
    let edges = matches!(first, Layer::Conv(_));
    let folds = features.iter().enumerate().map(|(k, feature)| {
        let column = ranges.columns[0].get(k).filter(|_| !feature.hold && !edges);
        let far = column.filter(|column| column.mean().abs() > 4.0 * column.deviation());
        Fold {
            offset: far.map_or(0.0, |column| f64::from(column.mean() as f32)),
            scale: scale(&mut rows.iter().map(|row| row[k])),
        }
    });
    let folds: Vec<Fold> = folds.collect();
    if folds.iter().all(|fold| *fold == SAME) {
        return None;
    }
    for (feature, fold) in features.iter_mut().zip(&folds) {
        let offset = f64::from(feature.offset) + fold.offset / f64::from(feature.scale);
        feature.offset = offset as f32;
        feature.scale *= fold.scale as f32;
    }
    apply(&mut package.net, &folds);
    Some(Folded {
        folds,
        tailed: Vec::new(),
    })
}
