//! Functions of straight lines that the engine has no activation for, as layers of relus: exactly, but for rounding.
//!
//! ```text
//! z below 0 times a slope a      max(0, z) − a max(0, −z)
//! z held within 0 and 1          1 − max(0, 1 − max(0, z))
//! ```
//!
//! The second one holds in integers too, where a layer's outputs end at 8: from there on it is 1.

use super::super::graph::Node;
use super::{View, Walk};
use crate::net::{Activation, Conv, ConvShape, Dense, Layer};
use anyhow::{Context, Result};

impl Walk<'_> {
    /// `z`, and below 0 `slope · z`.
    pub(super) fn leaky(&mut self, node: &Node, view: View, slope: f32) -> Result<View> {
        let mut view = self.linear(node, view)?;
        let dense = self.bare().context("no layer gives it as a sum")?;
        let n = dense.outputs;
        dense.weight.extend_from_within(..);
        dense.bias.extend_from_within(..);
        let negated = dense.weight[n * dense.inputs..].iter_mut();
        negated.chain(&mut dense.bias[n..]).for_each(|w| *w = -*w);
        dense.outputs = 2 * n;
        dense.activation = Activation::Relu;
        let both = |row: usize, column: usize| match column.checked_sub(n) {
            None if row == column => 1.0,
            Some(column) if row == column => -slope,
            _ => 0.0,
        };
        self.notes.push(format!(
            "{}: below 0 it has the slope {slope}: {} relus, and behind them a layer {} × {n}",
            node.label(),
            2 * n,
            2 * n
        ));
        view.stage = self.mix(node, &view, (2 * n, n), both, 0.0, Activation::Identity);
        Ok(view)
    }

    /// `slope · z + middle`, held within 0 and 1.
    pub(super) fn hard(
        &mut self,
        node: &Node,
        view: View,
        [slope, middle]: [f32; 2],
    ) -> Result<View> {
        let mut view = self.linear(node, view)?;
        let dense = self.bare().context("no layer gives it as a sum")?;
        let n = dense.outputs;
        dense.weight.iter_mut().for_each(|w| *w *= slope);
        dense.bias.iter_mut().for_each(|b| *b = *b * slope + middle);
        dense.activation = Activation::Relu;
        let mirrored = |row: usize, column: usize| if row == column { -1.0 } else { 0.0 };
        self.notes.push(format!(
            "{}: what is held within 0 and 1 becomes relus and two more layers, {n} × {n}",
            node.label()
        ));
        self.mix(node, &view, (n, n), mirrored, 1.0, Activation::Relu);
        view.stage = self.mix(node, &view, (n, n), mirrored, 1.0, Activation::Identity);
        Ok(view)
    }

    /// A value that a layer gives as a sum.
    fn linear(&mut self, node: &Node, view: View) -> Result<View> {
        self.at_end(&view)?;
        if self.bare().is_some() && view.affine.is_none() {
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
