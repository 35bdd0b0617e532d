//! All parameters of a network as one vector, so that an optimiser is one loop and a reduction of
//! gradients one sum.
//!
//! Order: layer by layer; embedding table; recurrent `w_ih, w_hh, b_ih, b_hh, extra`, of a bidirectional
//! layer both directions'; dense and convolution `weight, bias`; normalisation `gamma, beta`.

use std::ops::Range;

use super::real::Real;
use crate::file::stages;
use crate::net::{Conv, Layer, Network, Recurrent};

/// The parameters of a recurrent layer, borrowed from a flat vector.
#[derive(Clone, Copy)]
pub struct RecurrentParams<'a, T> {
    /// `[G * hidden, inputs]`.
    pub w_ih: &'a [T],
    /// `[S * hidden, hidden]`.
    pub w_hh: &'a [T],
    /// `[G * hidden]`.
    pub b_ih: &'a [T],
    /// `[S * hidden]`.
    pub b_hh: &'a [T],
    /// What the cell has besides.
    pub extra: &'a [T],
}

/// The same for gradients.
pub struct RecurrentGrads<'a, T> {
    /// `[G * hidden, inputs]`.
    pub w_ih: &'a mut [T],
    /// `[S * hidden, hidden]`.
    pub w_hh: &'a mut [T],
    /// `[G * hidden]`.
    pub b_ih: &'a mut [T],
    /// `[S * hidden]`.
    pub b_hh: &'a mut [T],
    /// What the cell has besides.
    pub extra: &'a mut [T],
}

/// Sizes of a recurrent layer; `G` and `S` as in [`Recurrent`].
#[derive(Debug, Clone, Copy)]
pub struct RecurrentSize {
    /// `G * hidden`.
    pub rows: usize,
    /// `S * hidden`.
    pub state_rows: usize,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the state.
    pub hidden: usize,
    /// Numbers that the cell has besides.
    pub extra: usize,
}

impl RecurrentSize {
    /// Cuts a layer's flat parameters.
    pub fn params<T>(self, flat: &[T]) -> RecurrentParams<'_, T> {
        let (w_ih, rest) = flat.split_at(self.rows * self.inputs);
        let (w_hh, rest) = rest.split_at(self.state_rows * self.hidden);
        let (b_ih, rest) = rest.split_at(self.rows);
        let (b_hh, extra) = rest.split_at(self.state_rows);
        RecurrentParams {
            extra,
            w_ih,
            w_hh,
            b_ih,
            b_hh,
        }
    }

    /// Cuts a layer's flat gradients.
    pub fn grads<T>(self, flat: &mut [T]) -> RecurrentGrads<'_, T> {
        let (w_ih, rest) = flat.split_at_mut(self.rows * self.inputs);
        let (w_hh, rest) = rest.split_at_mut(self.state_rows * self.hidden);
        let (b_ih, rest) = rest.split_at_mut(self.rows);
        let (b_hh, extra) = rest.split_at_mut(self.state_rows);
        RecurrentGrads {
            extra,
            w_ih,
            w_hh,
            b_ih,
            b_hh,
        }
    }
}

fn recurrent(r: &Recurrent) -> [&Vec<f32>; 5] {
    [&r.w_ih, &r.w_hh, &r.b_ih, &r.b_hh, &r.extra]
}

fn recurrent_mut(r: &mut Recurrent) -> [&mut Vec<f32>; 5] {
    [
        &mut r.w_ih,
        &mut r.w_hh,
        &mut r.b_ih,
        &mut r.b_hh,
        &mut r.extra,
    ]
}

fn tensors(layer: &Layer) -> Vec<&Vec<f32>> {
    match layer {
        Layer::Embedding(e) => vec![&e.table],
        Layer::Recurrent(r) => recurrent(r).into(),
        Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => vec![&d.weight, &d.bias],
        Layer::Norm(n) => vec![&n.gamma, &n.beta],
        Layer::Keep(_) | Layer::Join(_) => Vec::new(),
        Layer::Bidirectional(b) => b.halves().into_iter().flat_map(recurrent).collect(),
    }
}

fn tensors_mut(layer: &mut Layer) -> Vec<&mut Vec<f32>> {
    match layer {
        Layer::Embedding(e) => vec![&mut e.table],
        Layer::Recurrent(r) => recurrent_mut(r).into(),
        Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => {
            vec![&mut d.weight, &mut d.bias]
        }
        Layer::Norm(n) => vec![&mut n.gamma, &mut n.beta],
        Layer::Keep(_) | Layer::Join(_) => Vec::new(),
        Layer::Bidirectional(b) => {
            let halves = [&mut b.forward, &mut b.backward];
            halves.into_iter().flat_map(recurrent_mut).collect()
        }
    }
}

/// Where each layer's parameters lie in the flat vector.
pub fn ranges(net: &Network) -> Vec<Range<usize>> {
    let mut start = 0;
    net.layers
        .iter()
        .map(|layer| {
            let len: usize = tensors(layer).iter().map(|t| t.len()).sum();
            start += len;
            start - len..start
        })
        .collect()
}

/// Where a row's weights lie in the flat vector: over the input and over the state.
pub(crate) type RowPlaces = [Range<usize>; 2];

/// The rows of every layer that integers give a scale each, in the order of the file.
pub(crate) fn row_places(net: &Network) -> Vec<Vec<RowPlaces>> {
    let recurrent = |r: &Recurrent, w_ih: usize| -> Vec<RowPlaces> {
        let w_hh = w_ih + r.w_ih.len();
        let sums = stages(r.cell).concat();
        let rows = sums
            .into_iter()
            .flat_map(|sum| (0..r.hidden).map(move |unit| (sum, unit)));
        let places = rows.map(|(sum, unit)| {
            let row = sum.gate * r.hidden + unit;
            let place = |start: usize, width: usize| start + row * width..start + (row + 1) * width;
            let (x, h) = (place(w_ih, r.inputs), place(w_hh, r.hidden));
            [
                if sum.x { x } else { w_ih..w_ih },
                if sum.h { h } else { w_hh..w_hh },
            ]
        });
        places.collect()
    };
    let layers = net.layers.iter().zip(ranges(net));
    let places = layers.map(|(layer, Range { start, .. })| match layer {
        Layer::Embedding(_) | Layer::Norm(_) | Layer::Keep(_) | Layer::Join(_) => Vec::new(),
        Layer::Recurrent(r) => recurrent(r, start),
        Layer::Bidirectional(b) => {
            let [forward, backward] = b.halves();
            let len: usize = self::recurrent(forward).iter().map(|t| t.len()).sum();
            [recurrent(forward, start), recurrent(backward, start + len)].concat()
        }
        Layer::Dense(d) | Layer::Conv(Conv { dense: d, .. }) => {
            let rows = (0..d.outputs).map(|row| start + row * d.inputs);
            rows.map(|at| [at..at + d.inputs, at..at]).collect()
        }
    });
    places.collect()
}

/// The network's parameters in one vector.
pub fn flatten<T: Real>(net: &Network) -> Vec<T> {
    net.layers
        .iter()
        .flat_map(tensors)
        .flatten()
        .map(|&x| T::from_f64(f64::from(x)))
        .collect()
}

/// Writes a flat vector back into the network.
///
/// # Panics
/// If the vector is shorter than the network.
pub fn unflatten(flat: &[f32], net: &mut Network) {
    let mut rest = flat;
    for tensor in net.layers.iter_mut().flat_map(tensors_mut) {
        let (head, tail) = rest.split_at(tensor.len());
        tensor.copy_from_slice(head);
        rest = tail;
    }
}
