//! A fresh network, and the generator behind it and behind the order of the samples.
//!
//! Values as in PyTorch: recurrent and dense parameters uniform within ±1/√fan, where fan is the
//! hidden width of a recurrent layer and the input width of a dense one; embeddings normal(0, 1). A FastGRNN starts as
//! its authors have it: biases 1, ζ = σ(1), ν = σ(−4).
//! The generator is SplitMix64: eight lines, the same numbers on every machine and in every version.

use crate::net::{
    Activation, Bidirectional, Cell, Conv, ConvShape, Dense, Embedding, Layer, Network, Pool,
    Recurrent, extra,
};

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Starts a sequence.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Normal with mean 0 and variance 1 (Box–Muller).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, (self.next_u64() % (i as u64 + 1)) as usize);
        }
    }

    fn within(&mut self, fan: usize, len: usize) -> Vec<f32> {
        let bound = 1.0 / (fan.max(1) as f32).sqrt();
        (0..len)
            .map(|_| (2.0 * self.uniform() - 1.0) * bound)
            .collect()
    }
}

/// A layer to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LayerPlan {
    /// Vectors of this length for the tokens.
    Embedding(usize),
    /// A cell and its hidden width.
    Recurrent(Cell, usize),
    /// A cell for either direction, and the hidden width of one.
    Bidirectional(Cell, usize),
    /// Output width and activation.
    Dense(usize, Activation),
    /// A convolution over a sample and those before it.
    Conv(ConvPlan),
    /// A cell of so many units that follow what is read, and so many more that keep the state that they start with.
    Keep {
        /// Units that follow.
        follow: usize,
        /// Units that keep.
        keep: usize,
    },
}

/// A streaming convolution to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvPlan {
    /// Output width.
    pub filters: usize,
    /// Samples that are seen at once.
    pub kernel: usize,
    /// Samples from one that is seen to the next one seen.
    pub dilation: usize,
    /// What becomes of its answers.
    pub pool: Option<Pool>,
    /// Behind the sums.
    pub activation: Activation,
}

/// Before a logistic function: what leaves 1/400 of the state, or lets 1/400 of something else in.
const SHUT: f32 = 6.0;

/// A network with random parameters; `inputs` is the number of features, or of tokens.
pub fn network(inputs: usize, plan: &[LayerPlan], rng: &mut Rng) -> Network {
    let mut width = inputs;
    let layers = plan
        .iter()
        .map(|&layer| match layer {
            LayerPlan::Embedding(dim) => {
                let vocab = std::mem::replace(&mut width, dim);
                Layer::Embedding(Embedding {
                    vocab,
                    dim,
                    table: (0..vocab * dim).map(|_| rng.normal()).collect(),
                })
            }
            LayerPlan::Recurrent(cell, hidden) => {
                let inputs = std::mem::replace(&mut width, hidden);
                Layer::Recurrent(recurrent(cell, inputs, hidden, rng))
            }
            LayerPlan::Keep { follow, keep } => {
                let inputs = std::mem::replace(&mut width, follow + keep);
                Layer::Recurrent(keeper(inputs, [follow, keep], rng))
            }
            LayerPlan::Bidirectional(cell, hidden) => {
                let inputs = std::mem::replace(&mut width, 2 * hidden);
                Layer::Bidirectional(Bidirectional {
                    forward: recurrent(cell, inputs, hidden, rng),
                    backward: recurrent(cell, inputs, hidden, rng),
                })
            }
            LayerPlan::Dense(outputs, activation) => {
                let inputs = std::mem::replace(&mut width, outputs);
                Layer::Dense(dense([inputs, outputs], activation, rng))
            }
            LayerPlan::Conv(plan) => {
                let channels = std::mem::replace(&mut width, plan.filters);
                let [channels, kernel, dilation] =
                    [channels, plan.kernel, plan.dilation].map(|n| n as u16);
                let shape = ConvShape {
                    pool: plan.pool,
                    ..ConvShape::causal(channels, kernel, dilation)
                };
                let dense = dense([shape.taps(), plan.filters], plan.activation, rng);
                Layer::Conv(Conv { shape, dense })
            }
        })
        .collect();
    Network { layers }
}

/// Lets the blank of transcripts be as likely from the start as it is. From classes that are all alike training first learns that nearly
/// every row is blank, by weights on whatever a row may hold, and then has to unlearn them: after six epochs of spoken digits a GRU(64)
/// had 0.8 mistakes a token so, and with this bias 0.04 (of 3 in place of 5.5: 0.05; in PyTorch).
pub fn expect_blanks(net: &mut Network, rows: usize, tokens: usize) {
    if let Some(Layer::Dense(last)) = net.layers.last_mut() {
        let blanks = rows.saturating_sub(tokens).max(1) as f32;
        let each = tokens.max(1) as f32 / (last.outputs - 1) as f32;
        last.bias[0] += (blanks / each).ln().max(0.0);
    }
}

fn dense([inputs, outputs]: [usize; 2], activation: Activation, rng: &mut Rng) -> Dense {
    Dense {
        inputs,
        outputs,
        weight: rng.within(inputs, outputs * inputs),
        bias: rng.within(inputs, outputs),
        activation,
    }
}

/// `h ← (1 − z) h + z n` with a gate that, to begin with, is open in units that follow, closed in those that keep, and looks at
/// nothing. Training may change that.
fn keeper(inputs: usize, [follow, keep]: [usize; 2], rng: &mut Rng) -> Recurrent {
    let mut cell = recurrent(Cell::MinGruTanh, inputs, follow + keep, rng);
    let gates = follow + keep;
    cell.w_ih[..gates * inputs].fill(0.0);
    cell.b_ih[..follow].fill(SHUT);
    cell.b_ih[follow..gates].fill(-SHUT);
    cell
}

fn recurrent(cell: Cell, inputs: usize, hidden: usize, rng: &mut Rng) -> Recurrent {
    let [rows, state_rows] = [cell.products(), cell.state_products()].map(|n| n * hidden);
    // A cell without products with the state is a linear layer of its inputs.
    let fan = if state_rows > 0 { hidden } else { inputs };
    let mut recurrent = Recurrent {
        cell,
        inputs,
        hidden,
        w_ih: rng.within(fan, rows * inputs),
        w_hh: rng.within(fan, state_rows * hidden),
        b_ih: rng.within(fan, rows),
        b_hh: rng.within(fan, state_rows),
        extra: rng.within(hidden, extra(cell, hidden)),
    };
    if cell == Cell::FastGrnn {
        recurrent.b_ih.fill(1.0);
        recurrent.b_hh.fill(1.0);
        recurrent.extra = vec![1.0, -4.0];
    }
    recurrent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::FloatRunner;

    #[test]
    fn what_an_encoder_leaves_stays_while_a_decoder_reads() {
        let (follow, keep) = (3, 5);
        let mut rng = Rng::new(1);
        let all = LayerPlan::Keep {
            follow: follow + keep,
            keep: 0,
        };
        let encoder = network(2, &[all], &mut rng);
        let token = LayerPlan::Embedding(follow);
        let decoder = network(7, &[token, LayerPlan::Keep { follow, keep }], &mut rng);
        let (mut reader, mut speaker) = (FloatRunner::new(&encoder), FloatRunner::new(&decoder));
        let left = reader.step(&[2.0, -1.0]).to_vec();
        assert!(left.iter().any(|x| x.abs() > 0.3), "{left:?}");
        speaker.seed_from(&reader);
        let mut heads = Vec::new();
        for token in [0.0, 3.0, 5.0, 1.0, 6.0, 2.0, 4.0, 0.0] {
            let (head, kept) = speaker.step(&[token]).split_at(follow);
            heads.push(head.to_vec());
            for (now, left) in kept.iter().zip(&left[follow..]) {
                assert!((now - left).abs() < 0.03, "{kept:?} of {left:?}");
            }
        }
        // A token is told apart, whatever came before it.
        let far = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max)
        };
        assert!(far(&heads[0], &heads[7]) < 0.01, "{heads:?}");
        assert!(far(&heads[0], &heads[1]) > 0.1, "{heads:?}");
    }
}
