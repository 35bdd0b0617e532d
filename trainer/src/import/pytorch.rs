//! PyTorch's state dicts.
//!
//! Such a file holds names, shapes and numbers, and nothing else: not the order of the modules, not which activation stands
//! between two `nn.Linear`, not whether an `nn.RNN` used tanh or ReLU. What the sizes leave open is asked for by a flag.
//!
//! What is derived: the cell from the rows of `weight_hh` (`H`, `3H` or `4H` rows of `H` columns are RNN, GRU, LSTM; no other
//! reading exists), and the order of the modules from their widths, where only one order fits. The steps are `state_dict` (bytes to
//! f32 tensors), `modules` (tensors to modules), `order` (modules to a chain) and, here, the chain to a graph.

use super::graph::{Function, Graph, Op, Tensor};
use super::modules::{self, Matrix, Module, Weights};
use super::{Between, Head, ImportOptions, order, state_dict::StateDict};
use anyhow::{Context, Result, bail, ensure};

/// The graph of a state dict saved as safetensors.
pub(super) fn safetensors(bytes: &[u8], options: &ImportOptions) -> Result<Graph> {
    let dict = StateDict::parse(bytes, &options.ignore)?;
    let modules = modules::group(&dict, options)?;
    graph(order::chain(modules, &options.order)?, options)
}

/// Gives the matrices their roles: before the cells an embedding, after them dense layers.
fn graph(chain: Vec<Module>, options: &ImportOptions) -> Result<Graph> {
    let first_cell = chain
        .iter()
        .position(|m| m.is_recurrent())
        .context("order without a cell")?;
    let last_cell = chain.iter().rposition(|m| m.is_recurrent());
    let dense: Vec<String> = chain
        .iter()
        .skip(first_cell)
        .filter(|m| !m.is_recurrent())
        .map(|m| m.label())
        .collect();
    let between = match options.between {
        _ if dense.len() < 2 => Function::Identity,
        Some(Between::None) => Function::Identity,
        Some(Between::Relu) => Function::Relu,
        Some(Between::Tanh) => Function::Tanh,
        None => bail!(
            "{} nn.Linear follow one another ({}), and a state dict does not say what stands \
             between them: give --between relu, tanh or none",
            dense.len(),
            dense.join(", ")
        ),
    };
    let head = options.head.unwrap_or_default();
    ensure!(
        !dense.is_empty() || head == Head::Identity,
        "--head needs an nn.Linear to follow, and there is none"
    );

    let mut graph = Graph::default();
    let width = match &chain[0].weights {
        Weights::Cells { cells, .. } => Some(cells[0].inputs),
        Weights::Matrix(_) => None,
    };
    let mut x = graph.samples(width);
    let last = chain.len() - 1;
    for (place, module) in chain.into_iter().enumerate() {
        let name = module.flag_name().to_owned();
        match module.weights {
            Weights::Cells { cells } => {
                let count = cells.len();
                for (layer, cell) in cells.into_iter().enumerate() {
                    let name = if count > 1 {
                        format!("{name} layer {layer}")
                    } else {
                        name.clone()
                    };
                    // Behind the last bidirectional layer there is what both directions end with.
                    let ends =
                        cell.directions.len() > 1 && Some(place) == last_cell && layer + 1 == count;
                    x = graph.recurrent(&name, modules::kind_name(cell.kind), cell, x, !ends)?;
                }
            }
            Weights::Matrix(Matrix {
                rows, cols, weight, ..
            }) if place < first_cell => {
                x = graph.embedding(
                    &name,
                    "nn.Embedding",
                    Tensor::f32(vec![rows, cols], weight)?,
                    x,
                );
            }
            Weights::Matrix(Matrix {
                rows,
                cols,
                weight,
                bias,
            }) => {
                let transposed = (0..cols).flat_map(|k| (0..rows).map(move |o| o * cols + k));
                let weight = transposed.map(|at| weight[at]).collect();
                x = graph.dense(
                    &name,
                    "nn.Linear",
                    Tensor::f32(vec![cols, rows], weight)?,
                    bias,
                    x,
                )?;
                x = match head {
                    _ if place != last => graph.activation(&name, between, x),
                    Head::Identity => x,
                    Head::Relu => graph.activation(&name, Function::Relu, x),
                    Head::Sigmoid => graph.activation(&name, Function::Sigmoid, x),
                    Head::Tanh => graph.activation(&name, Function::Tanh, x),
                    Head::Softmax => graph.node(&name, "softmax", Op::Softmax { axis: -1 }, &[x]),
                };
            }
        }
    }
    graph.outputs = vec![x];
    Ok(graph)
}
