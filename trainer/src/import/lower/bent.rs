//! Functions of straight lines that the engine has no activation for, as layers of relus: exactly, but for rounding.
//!
//! ```text
//! z below 0 times a slope a      max(0, z) − a max(0, −z)
//! z held within a and b          b − max(0, b − a − max(0, z − a))
//! z not below a                  a + max(0, z − a)
//! z not above b                  b − max(0, b − z)
//! ```
//!
//! The second one holds in integers too, where a layer's outputs end at 8, if b − a is not more: from there on it is b.

use super::super::graph::Node;
use super::{View, Walk};
use crate::net::{Activation, Conv, ConvShape, Dense, Layer};
use anyhow::{Context, Result, ensure};

/// Where a layer's outputs end in integers.
const MOST_IN_INTEGERS: f32 = 8.0;

impl Walk<'_> {
    /// `z`, and below 0 `slope · z`, with a slope for each.
    pub(super) fn leaky(&mut self, node: &Node, view: View, slopes: &[f32]) -> Result<View> {
        let mut view = self.linear(node, view)?;
        let dense = self.bare().context("no layer gives it as a sum")?;
        let n = dense.outputs;
        ensure!(n == slopes.len(), "{} slopes for {n} values", slopes.len());
        dense.weight.extend_from_within(..);
        dense.bias.extend_from_within(..);
        let negated = dense.weight[n * dense.inputs..].iter_mut();
        negated.chain(&mut dense.bias[n..]).for_each(|w| *w = -*w);
        dense.outputs = 2 * n;
        dense.activation = Activation::Relu;
        let both = |row: usize, column: usize| match column.checked_sub(n) {
            None if row == column => 1.0,
            Some(column) if row == column => -slopes[row],
            _ => 0.0,
        };
        let slope = match slopes.iter().all(|slope| *slope == slopes[0]) {
            true => format!("the slope {}", slopes[0]),
            false => "slopes of its own".to_owned(),
        };
        self.notes.push(format!(
            "{}: below 0 it has {slope}: {} relus, and behind them a layer {} × {n}",
            node.label(),
            2 * n,
            2 * n
        ));
        view.stage = self.mix(node, &view, (2 * n, n), both, 0.0, Activation::Identity);
        Ok(view)
    }

    /// `slope · z + middle`, held within two ends, of which one may be infinite.
    pub(super) fn held(
        &mut self,
        node: &Node,
        view: View,
        [slope, middle]: [f32; 2],
        [low, high]: [f32; 2],
    ) -> Result<View> {
        let mut view = self.linear(node, view)?;
        let dense = self.bare().context("no layer gives it as a sum")?;
        let n = dense.outputs;
        // The relu ends at the lower of the two, or at the only one.
        let (sign, end) = match low.is_finite() {
            true => (1.0, low),
            false => (-1.0, high),
        };
        dense.weight.iter_mut().for_each(|w| *w *= sign * slope);
        let moved = |b: &mut f32| *b = sign * (*b * slope + middle - end);
        dense.bias.iter_mut().for_each(moved);
        dense.activation = Activation::Relu;
        let diagonal =
            |factor: f32| move |row: usize, column: usize| if row == column { factor } else { 0.0 };
        let two = low.is_finite() && high.is_finite();
        let (what, layers) = match two {
            true => (format!("within {low} and {high}"), "two more layers"),
            false if low.is_finite() => (format!("from {low} on"), "one more layer"),
            false => (format!("up to {high}"), "one more layer"),
        };
        let cut = match two && high - low > MOST_IN_INTEGERS {
            true => ", and in integers it is cut, as layers end at 8 there",
            false => "",
        };
        self.notes.push(format!(
            "{}: what is held {what} becomes relus and {layers}, {n} × {n}{cut}",
            node.label()
        ));
        let mut last = (diagonal(sign), end);
        if two {
            let (weight, span) = (diagonal(-1.0), high - low);
            self.mix(node, &view, (n, n), weight, span, Activation::Relu);
            last = (diagonal(-1.0), high);
        }
        view.stage = self.mix(node, &view, (n, n), last.0, last.1, Activation::Identity);
        Ok(view)
    }

    /// A value that a layer gives as a sum.
    fn linear(&mut self, node: &Node, view: View) -> Result<View> {
        let mut view = self.brought(node, view)?;
        if self.bare().is_some() && view.affine.is_none() && !self.is_shared(node) {
            view.stage = self.changed();
            Ok(view)
        } else {
            self.settled(node, view)
        }
    }

    /// Adds a layer of sums of what the last one gives, at each of its positions. What that gives is no value of the file.
    fn mix(
        &mut self,
        node: &Node,
        view: &View,
        (inputs, outputs): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: f32,
        activation: Activation,
    ) -> usize {
        let rows = (0..outputs).flat_map(|row| (0..inputs).map(move |column| (row, column)));
        let dense = Dense {
            inputs,
            outputs,
            weight: rows.map(|(row, column)| weight(row, column)).collect(),
            bias: vec![bias; outputs],
            activation,
        };
        let positions = match self.layers.last() {
            Some(Layer::Conv(conv)) => conv.shape.positions(),
            _ => 1,
        };
        let layer = match (u16::try_from(positions), u16::try_from(inputs)) {
            (Ok(positions @ 2..), Ok(channels)) => Layer::Conv(Conv {
                shape: ConvShape {
                    rows: positions,
                    past: false,
                    ..ConvShape::causal(channels, 1, 1)
                },
                dense,
            }),
            _ => Layer::Dense(dense),
        };
        self.taps.pop();
        self.push(layer, node, view.roles())
    }
}
