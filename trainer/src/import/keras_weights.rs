//! Layers as Keras keeps their weights, in its own files and in those of RTNeural.
//!
//! Kernels are `[inputs, gates · units]`; the gates of an LSTM stand as ours, `i, f, c, o`, those of a GRU as `z, r, h`. A GRU with
//! `reset_after` has a bias of two rows, one for each product.

use super::graph::{Binary, Direction, Function, Graph, Kind, Op, Recurrent, Tensor, ValueId};
use anyhow::{Result, bail, ensure};

/// What a recurrent layer's configuration says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) kind: Kind,
    /// Of the output, and of the gates.
    pub(super) functions: [Function; 3],
    pub(super) reverse: bool,
}

/// A recurrent layer of one direction, from its kernels and bias.
pub(super) fn recurrent(
    setting: Setting,
    kernel: &Tensor,
    hidden: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Recurrent> {
    let (&[inputs, rows], &[units, hidden_rows]) = (&kernel.shape[..], &hidden.shape[..]) else {
        bail!(
            "kernels of the shapes {:?} and {:?}, expected matrices",
            kernel.shape,
            hidden.shape
        )
    };
    let gates = setting.kind.gates();
    ensure!(
        rows == hidden_rows && gates.checked_mul(units) == Some(rows),
        "kernels of the shapes {:?} and {:?}, expected [inputs, {gates} × units] and [units, {gates} × units]",
        kernel.shape,
        hidden.shape
    );
    // Ours are r, z, n.
    let blocks: &[usize] = if gates == 3 {
        &[1, 0, 2]
    } else {
        &[0, 1, 2, 3][..gates]
    };
    let place = |row: usize| blocks[row / units] * units + row % units;
    let matrix = |t: &Tensor, width: usize| -> Result<Vec<f32>> {
        let values = t.floats()?;
        let entries = (0..rows).flat_map(|row| (0..width).map(move |k| (row, k)));
        Ok(entries
            .map(|(row, k)| values[k * rows + place(row)])
            .collect())
    };
    let vector = |values: &[f32]| {
        (0..rows)
            .map(|row| values[place(row)])
            .collect::<Vec<f32>>()
    };
    let (b_ih, b_hh) = match bias {
        None => (vec![0.0; rows], vec![0.0; rows]),
        Some(bias) if bias.shape == [rows] => (vector(bias.floats()?), vec![0.0; rows]),
        Some(bias) if bias.shape == [2, rows] && setting.kind == (Kind::Gru { after: true }) => {
            let (input, hidden) = bias.floats()?.split_at(rows);
            (vector(input), vector(hidden))
        }
        Some(bias) => bail!("a bias of the shape {:?}, expected [{rows}]", bias.shape),
    };
    let recurrent = Recurrent {
        kind: setting.kind,
        inputs,
        hidden: units,
        directions: vec![Direction {
            reverse: setting.reverse,
            w_ih: matrix(kernel, inputs)?,
            w_hh: matrix(hidden, units)?,
            b_ih,
            b_hh,
            peephole: None,
            projection: None,
            functions: setting.functions,
        }],
        clip: None,
        cell_clip: None,
    };
    recurrent.check()?;
    Ok(recurrent)
}

/// A value's activation by Keras's name; softmax is an operator of its own.
pub(super) fn activated(
    graph: &mut Graph,
    activation: &str,
    name: &str,
    x: ValueId,
) -> Result<ValueId> {
    Ok(match activation {
        "softmax" => graph.node(name, "softmax", Op::Softmax { axis: -1 }, &[x]),
        // x σ(x).
        "silu" | "swish" => {
            let gate = graph.activation(name, Function::Sigmoid, x);
            graph.node(name, activation, Op::Binary(Binary::Mul), &[x, gate])
        }
        other => graph.activation(name, function(other)?, x),
    })
}

/// An activation by Keras's name.
pub(super) fn function(name: &str) -> Result<Function> {
    Ok(match name {
        "" | "linear" => Function::Identity,
        "tanh" => Function::Tanh,
        "sigmoid" => Function::Sigmoid,
        "relu" => Function::Relu,
        "leaky_relu" => Function::LeakyRelu(0.2),
        "relu6" => Function::Clip(0.0, 6.0),
        "hard_tanh" => Function::Clip(-1.0, 1.0),
        "elu" => Function::Elu(1.0),
        "softplus" => Function::Softplus,
        "softsign" => Function::Softsign,
        other => bail!(
            "activation `{other}`: the engine has tanh, sigmoid, relu, elu, softmax and none, of straight lines leaky_relu, relu6, hard_tanh and \
             hard_sigmoid, and silu; train with one of them"
        ),
    })
}
