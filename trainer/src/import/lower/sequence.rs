//! All samples of a sequence together: side by side, their mean, their sum, or the largest. Layers of rectified units remember them.

use super::{Affine, Role, View, Walk, affordable};
use crate::import::graph::{Node, Reduction};
use crate::net::{self, Activation, Bidirectional, Cell, Layer};
use anyhow::{Context, Result, bail, ensure};
use std::ops::Range;

/// Numbers of a flattened sequence that a layer remembers: its weights are the square of it.
const REMEMBERED: usize = 1024;

impl Walk<'_> {
    /// All samples of a sequence side by side, as a flattened sequence has them: a layer that remembers what the one before it gave.
    /// Its rectified units hold numbers from 0 on, so what may be as low as −1 is held 1 higher. At every sample each block of
    /// units takes over from the next, and the last takes the layer's output.
    pub(super) fn remembered(
        &mut self,
        node: &Node,
        view: &View,
        shape: &[usize],
    ) -> Result<Option<View>> {
        let of = |role: Role| view.axes.iter().position(|a| a.0 == role);
        let (Some(time), Some(features)) = (of(Role::Time), of(Role::Features)) else {
            return Ok(None);
        };
        let ((_, n), (_, width)) = (view.axes[time], view.axes[features]);
        let alone = view
            .axes
            .iter()
            .all(|a| a.1 == 1 || matches!(a.0, Role::Time | Role::Features));
        let joined = n.checked_mul(width);
        // One number a sample stays that, unless all of them are multiplied at once.
        if width == 1 && !self.is_multiplied(node.outputs[0]) {
            return Ok(None);
        }
        let flat = shape.last().copied() == joined && shape.iter().rev().skip(1).all(|&d| d == 1);
        let (Some(units), true) = (joined, alone && flat && n > 1 && time < features) else {
            return Ok(None);
        };
        ensure!(
            self.steps.is_none() || self.steps == Some(n),
            "it joins the {n} samples that a convolution or a pool left of a sequence of {}: the engine remembers whole sequences only; train with \
             padding=\"causal\" and without strides and pools, or take the output after the last sample",
            self.steps.unwrap_or_default()
        );
        ensure!(
            self.steps.is_some(),
            "it joins all samples of a sequence of open length: give the input a fixed length, or take the output after the last sample"
        );
        self.at_end(view)?;
        let low = self.lowest(view).filter(|_| view.affine.is_none());
        let low = low.context(
            "it joins all samples of a sequence of what may be any number: the engine can remember what a cell, a tanh, a sigmoid or a relu gave",
        )?;
        ensure!(
            units <= REMEMBERED,
            "it joins all {n} samples of a sequence, {units} numbers, more than the {REMEMBERED} that are remembered in as many units: take the \
             output after the last sample, or shorter sequences"
        );
        let newest = units - width;
        let mut w_ih = vec![0.0; units * width];
        let mut w_hh = vec![0.0; units * units];
        let mut b_ih = vec![0.0; units];
        for k in 0..width {
            w_ih[(newest + k) * width + k] = 1.0;
            b_ih[newest + k] = low;
        }
        for row in 0..newest {
            w_hh[row * units + row + width] = 1.0;
        }
        self.layers.push(Layer::Recurrent(net::Recurrent {
            cell: Cell::RnnRelu,
            inputs: width,
            hidden: units,
            w_ih,
            w_hh,
            b_ih,
            b_hh: vec![0.0; units],
            extra: Vec::new(),
        }));
        self.begun();
        self.notes.push(format!(
            "{}: it joins all {n} samples of a sequence; the engine remembers them in a layer of {units} units, {} weights: a network that takes \
             the output after the last sample (return_sequences=False) needs none of it",
            node.label(),
            units * (units + width)
        ));
        let mut axes: Vec<(Role, usize)> = shape.iter().map(|&d| (Role::Batch, d)).collect();
        if let Some(last) = axes.last_mut() {
            last.0 = Role::Features;
        }
        Ok(Some(View {
            axes,
            stage: self.stage,
            last: true,
            affine: Some((vec![1.0; units], vec![-f64::from(low); units])),
            state_of: None,
            ..view.clone()
        }))
    }

    /// The mean, the sum or the largest of each number of all samples of a sequence. Behind bidirectional layers each direction has half of the numbers.
    pub(super) fn over_time(
        &mut self,
        node: &Node,
        view: View,
        over: &[usize],
        (how, keep): (Reduction, bool),
    ) -> Result<View> {
        let low = self.lowest(&view);
        let mut view = self.brought_whole(node, view)?;
        let time = view.axes.iter().find(|a| a.0 == Role::Time && a.1 > 1);
        let n = time.map_or(1, |a| a.1);
        let wide = |axis: &usize| view.axes[*axis].1 > 1 && view.axes[*axis].0 != Role::Time;
        let places = view.axes.iter().any(|a| a.0 == Role::Positions && a.1 > 1);
        ensure!(
            !places && !over.iter().any(wide),
            "it takes the axes {over:?} of {:?} together: the engine does so with the samples of a sequence alone",
            view.shape()
        );
        ensure!(
            self.steps.is_some()
                || how == Reduction::Max
                || how == Reduction::Sum && low == Some(0.0),
            "it takes the mean or the sum of a sequence of open length, whose number of samples is not known while it runs: give the input a fixed length, or \
             take the output after the last sample"
        );
        let low = low.context(
            "it takes all samples of a sequence together of what may be any number: the engine can do so with what a cell, a tanh, a sigmoid or a relu gave; \
             put a dense layer without an activation behind it, where its mean is the same",
        )?;
        let (share, shift) = match how {
            Reduction::Mean => (1.0 / n as f32, low),
            Reduction::Sum => (1.0, low * n as f32),
            Reduction::Max => (1.0, low),
        };
        let inputs = self.layers.last().map_or(0, Layer::outputs);
        let of = |numbers| gathering(how, (inputs, numbers), share, low);
        let both = (self.layers.iter()).any(|layer| matches!(layer, Layer::Bidirectional(_)));
        let layer = match (both, self.layers.last()) {
            (false, _) => Layer::Recurrent(of(0..inputs)),
            (true, Some(Layer::Bidirectional(_))) => Layer::Bidirectional(Bidirectional {
                forward: of(0..inputs / 2),
                backward: of(inputs / 2..inputs),
            }),
            _ => bail!(
                "it takes all samples of a sequence together behind other layers than bidirectional ones, which the engine has behind one another alone"
            ),
        };
        let units = layer.outputs();
        affordable(units, units)?;
        let (terms, width) = (view.terms(), view.width());
        let without = (vec![1.0; width], vec![0.0; width]);
        let (scale, offset): Affine = view.affine.take().unwrap_or(without);
        ensure!(
            how != Reduction::Max || terms == 1 && scale.iter().all(|&s| s > 0.0),
            "it takes the largest of what is scaled by numbers below 0, or added up, on the way"
        );
        let times = if how == Reduction::Sum { n as f64 } else { 1.0 };
        let offset = scale
            .iter()
            .zip(&offset)
            .map(|(scale, offset)| offset * times - scale * terms as f64 * f64::from(shift));
        let affine: Affine = (scale.clone(), offset.collect());
        let plain = affine.0.iter().all(|&s| s == 1.0) && affine.1.iter().all(|&o| o == 0.0);
        view.affine = (!plain).then_some(affine);
        if how == Reduction::Max {
            let half = if both { inputs / 2 } else { inputs };
            // Of each direction first how far a sample goes beyond the largest, then that.
            let place = |k: usize, which: usize| k / half * 2 * half + which * half + k % half;
            let columns = (0..2).flat_map(|which| (0..inputs).map(move |k| place(k, which)));
            view.part = Some((columns.collect(), units));
        }
        self.notes.push(format!(
            "{}: {} of all samples of a sequence is kept in a layer of {units} units{}",
            node.label(),
            match how {
                Reduction::Mean => "the mean",
                Reduction::Sum => "the sum",
                Reduction::Max => "the largest",
            },
            match self.steps {
                Some(_) => "",
                None => ": it begins anew where the state is reset, and goes on without end where it is not",
            }
        ));
        view.last = true;
        view.state_of = None;
        for axis in (0..view.axes.len())
            .rev()
            .filter(|axis| over.contains(axis))
        {
            match keep {
                true => view.axes[axis] = (Role::Batch, 1),
                false => drop(view.axes.remove(axis)),
            }
        }
        if view.affine.is_none() && view.part.is_none() {
            view.stage = self.push(layer, node, view.roles());
        } else {
            self.layers.push(layer);
            view.stage = self.begun();
        }
        Ok(view)
    }

    /// What a value is at least, without its sign, by the layer that gives it.
    fn lowest(&self, view: &View) -> Option<f32> {
        let layer = self.place_of(view)?.checked_sub(1)?;
        let of_cell = |cell: Cell| match cell {
            Cell::RnnRelu | Cell::GruReluResetBefore | Cell::GruReluResetAfter | Cell::LstmRelu => {
                Some(0.0)
            }
            Cell::Lstm
            | Cell::LstmHard
            | Cell::LstmCoupled
            | Cell::LstmPeephole
            | Cell::GruResetAfter
            | Cell::GruHardResetAfter
            | Cell::GruResetBefore
            | Cell::GruHardResetBefore
            | Cell::RnnTanh => Some(1.0),
            _ => None,
        };
        let of_function = |activation: Activation| match activation {
            Activation::Tanh | Activation::Elu => Some(1.0),
            Activation::Sigmoid | Activation::Relu => Some(0.0),
            _ => None,
        };
        match self.layers.get(layer)? {
            Layer::Recurrent(r) => of_cell(r.cell),
            Layer::Bidirectional(b) => of_cell(b.forward.cell),
            Layer::Dense(dense) => of_function(dense.activation),
            Layer::Conv(conv) => of_function(conv.dense.activation),
            Layer::Embedding(e) => Some(e.table.iter().fold(0.0, |low: f32, x| low.max(-x))),
            _ => None,
        }
    }
}

/// Some of what enters, added up at every sample, or the largest so far: that is the sum of what the sample goes beyond it, and of it.
fn gathering(
    how: Reduction,
    (inputs, numbers): (usize, Range<usize>),
    share: f32,
    low: f32,
) -> net::Recurrent {
    let n = numbers.len();
    let hidden = if how == Reduction::Max { 2 * n } else { n };
    let mut cell = net::Recurrent {
        cell: Cell::RnnRelu,
        inputs,
        hidden,
        w_ih: vec![0.0; hidden * inputs],
        w_hh: vec![0.0; hidden * hidden],
        b_ih: vec![0.0; hidden],
        b_hh: vec![0.0; hidden],
        extra: Vec::new(),
    };
    for k in 0..n {
        cell.w_ih[k * inputs + numbers.start + k] = share;
        cell.b_ih[k] = share * low;
        // Each unit, and of the largest both.
        for unit in (k..hidden).step_by(n) {
            cell.w_hh[k * hidden + unit] = if how == Reduction::Max { -1.0 } else { 1.0 };
            if how == Reduction::Max {
                cell.w_hh[(n + k) * hidden + unit] = 1.0;
            }
        }
    }
    cell
}
