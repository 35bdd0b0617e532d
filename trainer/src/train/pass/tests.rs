//! Every backward pass against central differences of its own forward pass, in f64.
//!
//! With a step of 1e-5 the differences are good to about 1e-9, so the tolerance is 1e-7 of the
//! larger of the value and 1e-2 (below which the difference's own rounding shows).

use super::*;
use crate::net::{Activation, Cell, Combine, Conv, ConvShape, Dense, Join, Norm, PoolKind};
use crate::train::init::{ConvPlan, LayerPlan, Rng, network};
use crate::train::loss::Loss;
use crate::train::params::flatten;

const SIZE: Size = Size { steps: 5, lanes: 3 };

fn total_loss(shard: &mut Shard<f64>, params: &[f64], loss: &Objective) -> f64 {
    shard.reset();
    shard.forward(params, SIZE);
    shard.loss(loss, 0.25, SIZE)
}

fn check(inputs: usize, plan: &[LayerPlan], loss: impl Into<Objective>, counted: Counted) {
    let loss = &loss.into();
    let mut rng = Rng::new(7);
    let net = network(inputs, plan, &mut rng);
    check_net(&net, loss, counted, rng);
}

fn check_net(net: &Network, loss: &Objective, counted: Counted, mut rng: Rng) {
    let classes = loss.goals(2) == 1;
    let inputs = net.input_width();
    let mut params: Vec<f64> = flatten(net);
    let mut shard = Shard::new(net, counted, SIZE);
    let tokens = matches!(net.layers[0], Layer::Embedding(_));
    for x in &mut shard.input {
        *x = if tokens {
            (rng.next_u64() % inputs as u64) as f64
        } else {
            f64::from(rng.normal())
        };
    }
    for g in &mut shard.goal {
        *g = if classes {
            (rng.next_u64() % 2) as f64
        } else {
            f64::from(rng.normal())
        };
    }
    if loss.is_of_sequences() {
        // Tokens 1 1, then 2 with a sequence that is two steps shorter, and nothing at all.
        let goals = [
            [1.0, 2.0, -1.0],
            [1.0, -1.0, -1.0],
            [-1.0; 3],
            [-1.0, -2.0, -1.0],
            [-1.0, -2.0, -1.0],
        ];
        shard.goal[..goals.as_flattened().len()].copy_from_slice(goals.as_flattened());
    }
    total_loss(&mut shard, &params, loss);
    shard.backward(&params, loss, 0.25, SIZE);
    // Once more: nothing of a pass may be left in the next.
    total_loss(&mut shard, &params, loss);
    shard.grad.fill(0.0);
    shard.backward(&params, loss, 0.25, SIZE);
    let grad = shard.grad.clone();
    for k in 0..params.len() {
        let (at, step) = (params[k], 1e-5);
        params[k] = at + step;
        let above = total_loss(&mut shard, &params, loss);
        params[k] = at - step;
        let below = total_loss(&mut shard, &params, loss);
        params[k] = at;
        let difference = (above - below) / (2.0 * step);
        let error = (grad[k] - difference).abs() / difference.abs().max(1e-2);
        assert!(
            error < 1e-7,
            "{:?} {loss:?}: parameter {k}: backward {} difference {difference} (seed 7)",
            net.layers,
            grad[k]
        );
    }
}

const HEAD: LayerPlan = LayerPlan::Dense(2, Activation::Identity);
const CLASSES: LayerPlan = LayerPlan::Dense(2, Activation::Softmax);
#[test]
fn every_cell_matches_finite_differences() {
    for &cell in Cell::ALL {
        for counted in [Counted::Last, Counted::Every] {
            check(
                3,
                &[LayerPlan::Recurrent(cell, 5), HEAD],
                Loss::Mse,
                counted,
            );
        }
    }
}

#[test]
fn stacked_cells_match_finite_differences() {
    for &cell in Cell::ALL {
        let plan = [
            LayerPlan::Recurrent(cell, 4),
            LayerPlan::Recurrent(Cell::Lstm, 3),
            LayerPlan::Recurrent(cell, 2),
            HEAD,
        ];
        check(2, &plan, Loss::Mse, Counted::Every);
    }
}

#[test]
fn transcripts_match_finite_differences() {
    let head = LayerPlan::Dense(4, Activation::Softmax);
    let plan = [LayerPlan::Recurrent(Cell::GruResetAfter, 4), head];
    check(2, &plan, Loss::Ctc, Counted::Every);
}

#[test]
fn embedding_and_cross_entropy_match_finite_differences() {
    let plan = [
        LayerPlan::Embedding(3),
        LayerPlan::Recurrent(Cell::GruResetAfter, 4),
        CLASSES,
    ];
    for counted in [Counted::Last, Counted::Every] {
        check(4, &plan, Loss::CrossEntropy, counted);
    }
}

#[test]
fn weighed_classes_and_quantiles_match_finite_differences() {
    let classes = [LayerPlan::Recurrent(Cell::Lstm, 4), CLASSES];
    let quantiles = [LayerPlan::Recurrent(Cell::Lstm, 4), HEAD];
    for counted in [Counted::Last, Counted::Every] {
        check(3, &classes, Objective::weighed(vec![0.2, 3.0]), counted);
        check(3, &quantiles, Objective::quantiles(vec![0.1, 0.9]), counted);
    }
}

#[test]
fn every_dense_activation_and_loss_matches_finite_differences() {
    for activation in [
        Activation::Identity,
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Elu,
    ] {
        let plan = [
            LayerPlan::Dense(3, Activation::Tanh),
            LayerPlan::Recurrent(Cell::RnnTanh, 4),
            LayerPlan::Dense(6, activation),
            HEAD,
        ];
        for loss in [Loss::Mse, Loss::Mae, Loss::Huber] {
            check(3, &plan, loss, Counted::Last);
        }
    }
}

fn conv(filters: usize, kernel: usize, dilation: usize, activation: Activation) -> LayerPlan {
    LayerPlan::Conv(ConvPlan {
        filters,
        kernel,
        dilation,
        pool: None,
        activation,
    })
}

#[test]
fn streaming_convolutions_match_finite_differences() {
    for activation in [Activation::Identity, Activation::Tanh, Activation::Sigmoid] {
        for counted in [Counted::Last, Counted::Every] {
            let plan = [
                conv(4, 3, 1, activation),
                conv(3, 2, 2, Activation::Relu),
                LayerPlan::Recurrent(Cell::Lstm, 3),
                conv(3, 2, 1, Activation::Tanh),
                HEAD,
            ];
            check(2, &plan, Loss::Mse, counted);
        }
    }
}

/// Positions inside a sample, edges of every kind, and magnitudes.
#[test]
fn convolutions_over_the_rows_of_a_sample_match_finite_differences() {
    for (past, mirror) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut rng = Rng::new(9);
        let mut layer = |shape: ConvShape, filters: usize, activation| {
            let inputs = shape.taps();
            Layer::Conv(Conv {
                shape,
                dense: Dense {
                    inputs,
                    outputs: filters,
                    weight: (0..inputs * filters).map(|_| rng.normal()).collect(),
                    bias: (0..filters).map(|_| rng.normal()).collect(),
                    activation,
                },
            })
        };
        let first = ConvShape {
            rows: 6,
            stride: 2,
            before: 2,
            after: 1,
            past,
            mirror,
            ..ConvShape::causal(2, 3, 1)
        };
        let second = ConvShape {
            rows: first.positions() as u16,
            before: 1,
            after: 1,
            past: false,
            ..ConvShape::causal(3, 3, 1)
        };
        let mut layers = vec![
            layer(first, 6, Activation::Magnitude),
            layer(second, 2, Activation::Tanh),
        ];
        let width = layers[1].outputs();
        layers.extend(network(width, &[HEAD], &mut Rng::new(2)).layers);
        let net = Network { layers };
        check_net(&net, &Loss::Mse.into(), Counted::Every, Rng::new(7));
    }
}

fn norm(rng: &mut Rng, width: usize) -> Layer {
    Layer::Norm(Norm {
        gamma: (0..width).map(|_| rng.normal()).collect(),
        beta: (0..width).map(|_| rng.normal()).collect(),
        epsilon: 1e-3,
    })
}

#[test]
fn normalisations_match_finite_differences() {
    let plan = [
        LayerPlan::Dense(4, Activation::Identity),
        LayerPlan::Recurrent(Cell::Lstm, 5),
        HEAD,
    ];
    for counted in [Counted::Last, Counted::Every] {
        let mut rng = Rng::new(4);
        let mut net = network(3, &plan, &mut rng);
        net.layers.insert(2, norm(&mut rng, 5));
        net.layers.insert(1, norm(&mut rng, 4));
        net.layers.insert(0, norm(&mut rng, 3));
        check_net(&net, &Loss::Mse.into(), counted, rng);
    }
}

#[test]
fn pools_over_time_match_finite_differences() {
    let pool = |kind, kernel, first, every| {
        Some(Pool {
            kind,
            kernel,
            first,
            every,
        })
    };
    for pools in [
        [pool(PoolKind::Max, 2, 1, 2), None],
        [pool(PoolKind::Mean, 3, 2, 1), pool(PoolKind::Max, 1, 0, 2)],
        [pool(PoolKind::Max, 1, 1, 1), pool(PoolKind::Mean, 2, 1, 2)],
        [None, pool(PoolKind::Max, 3, 2, 2)],
    ] {
        let plan = [
            conv(4, 2, 1, Activation::Tanh),
            conv(3, 2, 1, Activation::Identity),
            LayerPlan::Recurrent(Cell::Lstm, 4),
            HEAD,
        ];
        let mut net = network(2, &plan, &mut Rng::new(5));
        for (layer, pool) in net.layers.iter_mut().zip(pools) {
            if let Layer::Conv(conv) = layer {
                conv.shape.pool = pool;
            }
        }
        check_net(&net, &Loss::Mse.into(), Counted::Last, Rng::new(7));
    }
}

#[test]
fn joins_match_finite_differences() {
    let plan = [
        LayerPlan::Dense(4, Activation::Tanh),
        LayerPlan::Recurrent(Cell::Lstm, 4),
        LayerPlan::Dense(4, Activation::Sigmoid),
        HEAD,
    ];
    for (how, counted) in Combine::ALL
        .iter()
        .flat_map(|how| [Counted::Last, Counted::Every].map(|counted| (*how, counted)))
    {
        let mut rng = Rng::new(11);
        let mut net = network(3, &plan, &mut rng);
        let join = |width, kept, with, how| {
            Layer::Join(Join {
                width,
                kept,
                with,
                how,
            })
        };
        // Input, first layer and cell are kept; the second is joined twice.
        let wide = how.outputs(4, 4);
        let skips = [
            (3, join(wide + 4, 3, 0, Combine::Append)),
            (3, join(wide, 4, 1, Combine::Prepend)),
            (3, join(4, 4, 1, how)),
            (2, Layer::Keep(4)),
            (1, Layer::Keep(4)),
            (0, Layer::Keep(3)),
        ];
        net.layers.truncate(3);
        for (at, layer) in skips {
            net.layers.insert(at, layer);
        }
        let width = net.output_width();
        net.layers.extend(network(width, &[HEAD], &mut rng).layers);
        check_net(&net, &Loss::Mse.into(), counted, rng);
    }
}

/// Two passes with the state carried between them are one long pass.
#[test]
fn a_carried_state_continues_the_sequence() {
    for &cell in Cell::ALL {
        let mut rng = Rng::new(3);
        let plan = [
            conv(3, 4, 2, Activation::Tanh),
            LayerPlan::Recurrent(cell, 4),
            HEAD,
        ];
        let net = network(2, &plan, &mut rng);
        let params: Vec<f64> = flatten(&net);
        let long = Size {
            steps: 10,
            lanes: 3,
        };
        let mut whole = Shard::new(&net, Counted::Last, long);
        whole
            .input
            .iter_mut()
            .for_each(|x| *x = f64::from(rng.normal()));
        whole.forward(&params, long);
        let mut parts = Shard::new(&net, Counted::Last, SIZE);
        let half = whole.input.len() / 2;
        parts.input.copy_from_slice(&whole.input[..half]);
        parts.forward(&params, SIZE);
        parts.carry(SIZE);
        parts.input.copy_from_slice(&whole.input[half..]);
        parts.forward(&params, SIZE);
        for (a, b) in whole.output(long).iter().zip(parts.output(SIZE)) {
            assert!((a - b).abs() < 1e-12, "{cell:?}: {a} and {b}");
        }
    }
}

#[test]
fn both_directions_match_finite_differences() {
    for &cell in Cell::ALL {
        let one = [LayerPlan::Bidirectional(cell, 3), HEAD];
        check(2, &one, Loss::Mse, Counted::Last);
        let stacked = [
            LayerPlan::Bidirectional(cell, 3),
            LayerPlan::Bidirectional(Cell::Lstm, 2),
            LayerPlan::Bidirectional(cell, 2),
            HEAD,
        ];
        check(2, &stacked, Loss::Mse, Counted::Last);
    }
    let tokens = [
        LayerPlan::Embedding(3),
        LayerPlan::Bidirectional(Cell::GruResetAfter, 4),
        CLASSES,
    ];
    check(4, &tokens, Loss::CrossEntropy, Counted::Last);
}

/// An encoder's parameters are found through the decoder that starts where it ended.
#[test]
fn a_pair_matches_finite_differences() {
    for &cell in Cell::ALL {
        let mut rng = Rng::new(5);
        let vector = LayerPlan::Embedding(3);
        let encoder = network(4, &[vector, LayerPlan::Recurrent(cell, 4)], &mut rng);
        let decoder = network(
            2,
            &[vector, LayerPlan::Recurrent(cell, 4), CLASSES],
            &mut rng,
        );
        let long = Size { steps: 7, lanes: 3 };
        let mut source = Shard::new(&encoder, Counted::Every, long);
        let mut target = Shard::new(&decoder, Counted::Every, SIZE);
        for (shard, count) in [(&mut source, 4), (&mut target, 2)] {
            for x in shard.input.iter_mut().chain(&mut shard.goal) {
                *x = (rng.next_u64() % count) as f64;
            }
        }
        let mut params: Vec<f64> = flatten(&encoder);
        let of_decoder: Vec<f64> = flatten(&decoder);
        let mut forward = |params: &[f64], source: &mut Shard<f64>| {
            source.reset();
            source.forward(params, long);
            target.seed_from(source, long);
            target.forward(&of_decoder, SIZE);
            let loss = target.loss(&Loss::CrossEntropy.into(), 0.25, SIZE);
            target.backward(&of_decoder, &Loss::CrossEntropy.into(), 0.25, SIZE);
            source.grad.fill(0.0);
            source.backward_from(&mut target, params, long);
            loss
        };
        forward(&params, &mut source);
        let grad = source.grad.clone();
        for k in 0..params.len() {
            let (at, step) = (params[k], 1e-5);
            params[k] = at + step;
            let above = forward(&params, &mut source);
            params[k] = at - step;
            let below = forward(&params, &mut source);
            params[k] = at;
            let difference = (above - below) / (2.0 * step);
            let error = (grad[k] - difference).abs() / difference.abs().max(1e-2);
            assert!(
                error < 1e-7,
                "{cell:?}: parameter {k}: {} and {difference}",
                grad[k]
            );
        }
    }
}
