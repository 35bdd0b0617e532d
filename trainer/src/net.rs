//! The network in float: what training produces, importers fill, quantization reads.
//!
//! Parameters have PyTorch's shapes and gate orders, row-major: LSTM gates `i, f, g, o`, GRU gates
//! `r, z, n`. Both bias vectors are kept, because a GRU that resets after the product needs
//! `b_hn` apart from `b_in`, and a FastGRNN has two biases for one sum; for the other cells only their sum matters.

pub use kinglet::format::{Activation, Cell, Combine, ConvShape, Pool, PoolKind};

/// A stack of layers, first to last.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The layers in the order in which data passes them.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Token number to vector.
    Embedding(Embedding),
    /// A cell with a state, stepped once per sample.
    Recurrent(Recurrent),
    /// `activation(W x + b)`.
    Dense(Dense),
    /// Two cells over a whole window.
    Bidirectional(Bidirectional),
    /// A dense layer over neighbouring rows of a sample or of a stream.
    Conv(Conv),
    /// The numbers of a sample, with a mean of 0 and a deviation of 1.
    Norm(Norm),
    /// So many numbers go on as they are, and are kept until the end of the step.
    Keep(usize),
    /// What arrives, with what was kept.
    Join(Join),
}

/// What arrives, joined with what an earlier [`Layer::Keep`] has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// Numbers that arrive.
    pub width: usize,
    /// Numbers that were kept.
    pub kept: usize,
    /// Which layer keeps them, counted from 0 among those that keep.
    pub with: usize,
    /// What becomes of both.
    pub how: Combine,
}

impl Join {
    /// Numbers that it gives.
    pub fn outputs(&self) -> usize {
        self.how.outputs(self.width, self.kept)
    }
}

/// The place of the layer that keeps as the `number`-th of those that do.
pub fn keeper(layers: &[Layer], number: usize) -> Option<usize> {
    let keeps = layers.iter().enumerate();
    let mut keeps = keeps.filter(|(_, layer)| matches!(layer, Layer::Keep(_)));
    keeps.nth(number).map(|(at, _)| at)
}

/// `(x − mean) / √(variance + ε) · γ + β` of the numbers of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// γ, one for each number.
    pub gamma: Vec<f32>,
    /// β, as many.
    pub beta: Vec<f32>,
    /// ε, above 0; it is not trained.
    pub epsilon: f32,
}

impl Norm {
    /// Numbers that it takes and gives.
    pub fn width(&self) -> usize {
        self.gamma.len()
    }
}

/// A dense layer that is applied at every position of a shape; the outputs of one position lie behind those of the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// What is seen at each position.
    pub shape: ConvShape,
    /// Over [`ConvShape::taps`] inputs, row after row; its outputs are the filters.
    pub dense: Dense,
}

impl Conv {
    /// Outputs at a position.
    pub fn width(&self) -> usize {
        self.dense.activation.outputs(self.dense.outputs)
    }

    /// Outputs at all of them.
    pub fn outputs(&self) -> usize {
        self.shape.positions() * self.width()
    }
}

/// One cell over a window from its first sample on, another from its last, of one kind and one size. At each sample the
/// output is the first one's state, then the second one's. Behind the last such layer of a network there is one output,
/// as PyTorch's `h_n` has it: the first one's state after the last sample, then the second one's after the first sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Bidirectional {
    /// From the first sample on.
    pub forward: Recurrent,
    /// From the last sample on.
    pub backward: Recurrent,
}

impl Bidirectional {
    /// Both directions.
    pub fn halves(&self) -> [&Recurrent; 2] {
        [&self.forward, &self.backward]
    }
}

/// A table of vectors, one per token.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Number of tokens.
    pub vocab: usize,
    /// Length of each vector.
    pub dim: usize,
    /// `[vocab, dim]`.
    pub table: Vec<f32>,
}

/// A recurrent layer. `G` is [`Cell::products`], `S` is [`Cell::state_products`].
#[derive(Debug, Clone, PartialEq)]
pub struct Recurrent {
    /// Which recurrence.
    pub cell: Cell,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the state and of the output.
    pub hidden: usize,
    /// `[G * hidden, inputs]`.
    pub w_ih: Vec<f32>,
    /// `[S * hidden, hidden]`.
    pub w_hh: Vec<f32>,
    /// `[G * hidden]`.
    pub b_ih: Vec<f32>,
    /// `[S * hidden]`.
    pub b_hh: Vec<f32>,
    /// What a cell has besides, [`extra`] numbers: of a FastGRNN ζ and ν before a logistic function, of peepholes the weights of
    /// `i, f, o`, a number per unit each.
    pub extra: Vec<f32>,
}

/// Numbers of [`Recurrent::extra`].
pub fn extra(cell: Cell, hidden: usize) -> usize {
    let mix = if cell == Cell::FastGrnn { 2 } else { 0 };
    mix + cell.peepholes() * hidden
}

impl Recurrent {
    /// ζ and ν of a FastGRNN.
    pub fn mix(&self) -> [f32; 2] {
        [0, 1].map(|i| {
            self.extra
                .get(i)
                .map_or(0.0, |raw| 1.0 / (1.0 + (-raw).exp()))
        })
    }

    /// Makes them these, which lie between 0 and 1.
    pub fn set_mix(&mut self, mix: [f32; 2]) {
        self.extra = mix
            .map(|x| {
                let x = f64::from(x).clamp(1e-12, 1.0 - 1e-7);
                (x / (1.0 - x)).ln() as f32
            })
            .to_vec();
    }
}

/// A dense layer, applied to every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// `[outputs, inputs]`.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
    /// Applied to the sum.
    pub activation: Activation,
}

impl Network {
    /// Width of the first layer's input: features, or tokens.
    pub fn input_width(&self) -> usize {
        self.layers.first().map_or(0, |layer| match layer {
            Layer::Embedding(e) => e.vocab,
            Layer::Recurrent(r) => r.inputs,
            Layer::Dense(d) => d.inputs,
            Layer::Bidirectional(b) => b.forward.inputs,
            Layer::Conv(c) => c.shape.inputs(),
            Layer::Norm(n) => n.width(),
            Layer::Keep(width) => *width,
            Layer::Join(j) => j.width,
        })
    }

    /// It takes whole windows.
    pub fn is_bidirectional(&self) -> bool {
        let mut layers = self.layers.iter();
        layers.any(|layer| matches!(layer, Layer::Bidirectional(_)))
    }

    /// Samples before the first answer, and from one to the next, as of [`kinglet::Model::answers`].
    pub fn answers(&self) -> [usize; 2] {
        answers(self.layers.iter().map(Layer::pool))
    }

    /// Width of the last layer's output.
    pub fn output_width(&self) -> usize {
        self.layers.last().map_or(0, Layer::outputs)
    }

    /// Multiplications of a step by weights.
    pub fn macs(&self) -> usize {
        let cell = |r: &Recurrent| r.w_ih.len() + r.w_hh.len();
        let layer = |layer: &Layer| match layer {
            Layer::Embedding(_) => 0,
            Layer::Recurrent(r) => cell(r),
            Layer::Bidirectional(b) => b.halves().into_iter().map(cell).sum(),
            Layer::Dense(d) => d.weight.len(),
            Layer::Conv(c) => c.shape.positions() * c.dense.weight.len(),
            Layer::Norm(n) => n.width(),
            Layer::Keep(_) | Layer::Join(_) => 0,
        };
        self.layers.iter().map(layer).sum()
    }
}

/// Steps before the first that these pools, one behind the other, leave, and from one to the next.
pub(crate) fn answers(pools: impl DoubleEndedIterator<Item = Option<Pool>>) -> [usize; 2] {
    let pools = pools.rev().flatten();
    pools.fold([0, 1], |behind, pool| pool.answers(behind))
}

impl Layer {
    /// What becomes of its answers, where that is not to go on one by one.
    pub(crate) fn pool(&self) -> Option<Pool> {
        match self {
            Layer::Conv(c) => c.shape.pool,
            _ => None,
        }
    }

    /// Width of the output.
    pub fn outputs(&self) -> usize {
        match self {
            Layer::Embedding(e) => e.dim,
            Layer::Recurrent(r) => r.hidden,
            Layer::Dense(d) => d.outputs,
            Layer::Bidirectional(b) => 2 * b.forward.hidden,
            Layer::Conv(c) => c.outputs(),
            Layer::Norm(n) => n.width(),
            Layer::Keep(width) => *width,
            Layer::Join(j) => j.outputs(),
        }
    }
}
