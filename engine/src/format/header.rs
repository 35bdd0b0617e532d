use super::{ConvShape, Width, pad};
use crate::kernel::BLOCK;
use core::fmt;
use core::ops::{Deref, DerefMut};
#[cfg(feature = "serde")]
use serde::{Serialize, Serializer};

/// Most layers of a model: eight recurrent ones, an embedding before and three dense ones behind.
pub const MAX_LAYERS: usize = 12;

/// Most values that are kept in a step.
pub const MAX_KEEPS: usize = 4;

/// What the file says about itself, in the encoding of [postcard](https://docs.rs/postcard): with the feature `serde` these
/// types can be written by it, and [`Header::read`] reads them.
///
/// Lists of names are one string with U+0000 between the names; a feature's or target's name is
/// followed by U+0001 and its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub struct Header<'a> {
    /// Short name of the model.
    pub name: &'a str,
    /// What a step takes.
    pub input: Input<'a>,
    /// What a step gives.
    pub output: Output<'a>,
    /// When an output counts.
    pub shape: Shape,
    /// More than this is an alarm: of smoothed errors, or of the smoothed probability of a word.
    pub threshold: Option<f32>,
    /// First to last.
    pub layers: Layers,
    /// Steps with known results, at the end of the payload.
    pub test: TestVectors,
}

/// The layers of a model, first to last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// Those behind `len` are all the same.
    all: [Layer; MAX_LAYERS],
    len: u8,
}

impl Layers {
    /// None.
    pub const fn new() -> Self {
        let nothing = Layer::Embedding {
            format: Format::F32,
            vocab: 0,
            dim: 0,
        };
        Layers {
            all: [nothing; MAX_LAYERS],
            len: 0,
        }
    }

    /// One more.
    ///
    /// # Errors
    /// If there are [`MAX_LAYERS`], the layer.
    pub const fn push(&mut self, layer: Layer) -> Result<(), Layer> {
        if self.len as usize == MAX_LAYERS {
            return Err(layer);
        }
        self.all[self.len as usize] = layer;
        self.len += 1;
        Ok(())
    }

    /// All of them.
    #[inline(always)]
    pub const fn as_slice(&self) -> &[Layer] {
        match self.all.split_at_checked(self.len as usize) {
            Some((layers, _)) => layers,
            None => &self.all,
        }
    }
}

impl Default for Layers {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Layers {
    type Target = [Layer];

    fn deref(&self) -> &[Layer] {
        self.as_slice()
    }
}

impl DerefMut for Layers {
    fn deref_mut(&mut self) -> &mut [Layer] {
        &mut self.all[..self.len as usize]
    }
}

impl<'a> IntoIterator for &'a Layers {
    type Item = &'a Layer;
    type IntoIter = core::slice::Iter<'a, Layer>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_slice().iter()
    }
}

/// All of what there is.
///
/// # Panics
/// If that is more than [`MAX_LAYERS`].
impl FromIterator<Layer> for Layers {
    fn from_iter<I: IntoIterator<Item = Layer>>(layers: I) -> Self {
        let mut all = Layers::new();
        for layer in layers {
            assert!(all.push(layer).is_ok(), "more than {MAX_LAYERS} layers");
        }
        all
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(feature = "serde")]
impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

/// What headers have had since files were first written, behind the [`Header`]: a file without it loads, and an older
/// engine does not look there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub struct Tail<'a> {
    /// Weight of the newest error, or probability, in the exponential mean that [`Header::threshold`] is about, above 0 and at most 1.
    pub smoothing: Option<f32>,
    /// All that is behind: how the data was written that the model was trained on, in words of the trainer. The engine does
    /// not look at it.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub data: &'a [u8],
}

/// What a step takes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Input<'a> {
    /// A vector of measurements, whose normalisation is a tensor of [`Feature`](super::Feature)s.
    Features {
        /// How many.
        count: u16,
        /// Their names and units.
        names: &'a str,
    },
    /// The number of a token.
    Tokens {
        /// How many there are.
        count: u16,
        /// Their names.
        names: &'a str,
    },
}

impl Input<'_> {
    /// Numbers in a sample, or tokens in the alphabet.
    #[inline]
    pub const fn count(&self) -> usize {
        match *self {
            Input::Features { count, .. } | Input::Tokens { count, .. } => count as usize,
        }
    }
}

/// What a step gives.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Output<'a> {
    /// Numbers, whose scale is a tensor of [`Target`](super::Target)s.
    Values {
        /// How many.
        count: u16,
        /// Their names and units.
        names: &'a str,
    },
    /// One score per class.
    Classes {
        /// How many.
        count: u16,
        /// Their names.
        names: &'a str,
    },
    /// One score per token of the input alphabet.
    NextToken {
        /// How many.
        count: u16,
    },
}

impl Output<'_> {
    /// Numbers per output.
    #[inline]
    pub const fn count(&self) -> usize {
        match *self {
            Output::Values { count, .. }
            | Output::Classes { count, .. }
            | Output::NextToken { count } => count as usize,
        }
    }
}

/// When an output counts, and when the state starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Shape {
    /// Many-to-many: after every step.
    EveryStep,
    /// Many-to-one: after the last of `window` samples, then every `hop` samples. Of tokens: after the last of a text
    /// that has `window` tokens at the most, from a reset on.
    Window {
        /// Samples per output.
        window: u32,
        /// Samples from one output to the next.
        hop: u32,
        /// The state starts at zero for every window, as in training.
        exact: bool,
    },
}

/// Number format of a layer; [`crate::num`] has the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Format {
    /// Weights and activations in f32.
    F32,
    /// Weights in f16, activations in f32.
    F16,
    /// Weights i8, recurrent inputs and states as matrix inputs i8 (2^-7).
    W8A8,
    /// Weights i8, matrix inputs i16 (2^-12).
    W8A16,
    /// As `W8A8` with weights of four bits, −7 to 7, two in a byte. An embedding's vectors are activations: they
    /// stay i8.
    W4A8,
}

impl Format {
    /// All of them, in the order of their numbers in a file.
    pub const ALL: &'static [Format] = &[
        Format::F32,
        Format::F16,
        Format::W8A8,
        Format::W8A16,
        Format::W4A8,
    ];

    /// No float instruction inside a step.
    pub const fn is_integer(self) -> bool {
        matches!(self, Format::W8A8 | Format::W8A16 | Format::W4A8)
    }

    /// Recurrent inputs and states as matrix inputs are i8 (2^-7).
    pub const fn is_a8(self) -> bool {
        matches!(self, Format::W8A8 | Format::W4A8)
    }

    /// Columns that `inputs` inputs take in a matrix.
    pub const fn columns(self, inputs: usize) -> usize {
        match self {
            Format::F32 | Format::F16 => inputs,
            Format::W8A8 | Format::W8A16 => pad(inputs, BLOCK),
            Format::W4A8 => pad(inputs, 2 * BLOCK),
        }
    }

    /// As the command line writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Format::F32 => "f32",
            Format::F16 => "f16",
            Format::W8A8 => "w8a8",
            Format::W8A16 => "w8a16",
            Format::W4A8 => "w4a8",
        }
    }
}

/// Added to a layer's `cell_shift` where its gates reach ±16 with all their relative accuracy, for memories of tens of
/// thousands of steps (integer formats).
pub const SLOW: u8 = 0x80;

/// Added to a layer's `requant_shift` where its rows are packed four a record, as
/// [`packed_rows`](crate::format::packed_rows) tells ([`Layout::CortexM4`](crate::format::Layout)).
pub const RECORDS: u8 = 0x80;

/// A layer's kind and sizes. Of a model's layers all are integer or none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Layer {
    /// Token to vector; first layer only.
    Embedding {
        /// Number format.
        format: Format,
        /// Number of tokens.
        vocab: u16,
        /// Length of a vector.
        dim: u16,
    },
    /// A cell with a state.
    Recurrent {
        /// Number format.
        format: Format,
        /// Which recurrence.
        cell: Cell,
        /// Width of the input.
        inputs: u16,
        /// Width of the state and of the output.
        hidden: u16,
        /// Sums are shifted left by this before they are scaled (integer formats). With [`RECORDS`] where rows are packed so.
        requant_shift: u8,
        /// The range of an LSTM's cell is ±8 · 2^this (integer formats); where gates are coupled ±1, whatever this is. With
        /// [`SLOW`] where the layer is slow.
        cell_shift: u8,
    },
    /// `activation(W x + b)`.
    Dense {
        /// Number format.
        format: Format,
        /// Width of the input.
        inputs: u16,
        /// Width of the output.
        outputs: u16,
        /// Applied to the sum.
        activation: Activation,
        /// Sums are shifted left by this before they are scaled (integer formats).
        requant_shift: u8,
        /// Fraction bits of the scaled sum (integer formats): 12, but for an identity or softmax at the end.
        frac: i8,
    },
    /// Two cells over a whole window, one from its first sample on, one from its last, which see the same input. At each
    /// sample the output is the first one's state, then the second one's; behind the last such layer there is
    /// only one output: either one's state after all samples. Of a model's recurrent layers all are bidirectional or none is.
    Bidirectional {
        /// Number format.
        format: Format,
        /// Which recurrence.
        cell: Cell,
        /// Width of the input.
        inputs: u16,
        /// Width of either state; the output has twice that.
        hidden: u16,
        /// As of a recurrent layer, either cell's.
        requant_shift: [u8; 2],
        /// As of a recurrent layer, of both cells.
        cell_shift: u8,
    },
    /// `activation(W x + b)` at each position of a sample, `x` being the rows that are seen there, one after the other. The
    /// output is that of the first position, then that of the second, and so on.
    Conv {
        /// Number format.
        format: Format,
        /// What is seen at a position.
        shape: ConvShape,
        /// Sums at a position.
        filters: u16,
        /// Applied to the sums; no softmax.
        activation: Activation,
        /// As of a dense layer.
        requant_shift: u8,
        /// As of a dense layer.
        frac: i8,
    },
    /// `(x − mean) / √(variance + ε) · γ + β` of the numbers of a sample, with a γ and a β for each of them.
    Norm {
        /// Number format.
        format: Format,
        /// Numbers that it takes, and gives.
        width: Width,
    },
    /// What arrives goes on as it is, and is kept until the end of the step. Not the last layer.
    Keep {
        /// Number format.
        format: Format,
        /// Numbers that it takes, and gives.
        width: Width,
    },
    /// What arrives, with what an earlier [`Layer::Keep`] has kept.
    Join {
        /// Number format.
        format: Format,
        /// Numbers that arrive.
        width: Width,
        /// The number of the `Keep`, counted from 0 among them.
        with: u8,
        /// What becomes of both.
        how: Combine,
    },
}

impl Layer {
    /// Number format.
    pub const fn format(&self) -> Format {
        match *self {
            Layer::Embedding { format, .. }
            | Layer::Recurrent { format, .. }
            | Layer::Dense { format, .. }
            | Layer::Bidirectional { format, .. }
            | Layer::Conv { format, .. }
            | Layer::Norm { format, .. }
            | Layer::Keep { format, .. }
            | Layer::Join { format, .. } => format,
        }
    }

    /// log2 of what a cell's range is more than ±8, and whether the layer is slow.
    pub const fn cell_shift(&self) -> (u8, bool) {
        match *self {
            Layer::Recurrent { cell_shift, .. } | Layer::Bidirectional { cell_shift, .. } => {
                (cell_shift & !SLOW, cell_shift & SLOW != 0)
            }
            _ => (0, false),
        }
    }

    /// Cells one after the other: the directions of a bidirectional layer.
    pub(crate) const fn stages(&self) -> usize {
        match self {
            Layer::Bidirectional { .. } => 2,
            _ => 1,
        }
    }

    /// Multiplications of weights in one step.
    pub const fn macs(&self) -> usize {
        let (cell, inputs, hidden, cells) = match *self {
            Layer::Embedding { .. } => return 0,
            Layer::Recurrent {
                cell,
                inputs,
                hidden,
                ..
            } => (cell, inputs as usize, hidden as usize, 1),
            Layer::Bidirectional {
                cell,
                inputs,
                hidden,
                ..
            } => (cell, inputs as usize, hidden as usize, 2),
            Layer::Dense {
                inputs, outputs, ..
            } => return inputs as usize * outputs as usize,
            Layer::Conv { shape, filters, .. } => {
                return shape.positions() * shape.taps() * filters as usize;
            }
            Layer::Norm { width, .. } => return width.get(),
            Layer::Keep { .. } | Layer::Join { .. } => return 0,
        };
        let of_unit = cell.products() * inputs + cell.state_products() * hidden + cell.peepholes();
        cells * hidden * of_unit
    }
}

/// What a [`Layer::Join`] makes of what arrives, `x`, and what was kept, `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Combine {
    /// `x + k`, of one width.
    Add,
    /// `x · k`, each number with its own, of one width.
    Multiply,
    /// The numbers of `x`, then those of `k`.
    Append,
    /// The numbers of `k`, then those of `x`.
    Prepend,
}

impl Combine {
    /// All of them, in the order of their numbers in a file.
    pub const ALL: &'static [Combine] = &[
        Combine::Add,
        Combine::Multiply,
        Combine::Append,
        Combine::Prepend,
    ];

    /// As listings write it.
    pub const fn name(self) -> &'static str {
        match self {
            Combine::Add => "add",
            Combine::Multiply => "multiply",
            Combine::Append => "append",
            Combine::Prepend => "prepend",
        }
    }

    /// Numbers that so many and so many kept become.
    pub const fn outputs(self, arrive: usize, kept: usize) -> usize {
        match self {
            Combine::Add | Combine::Multiply => arrive,
            Combine::Append | Combine::Prepend => arrive + kept,
        }
    }
}

/// Which recurrence a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Cell {
    /// `h' = tanh(W_ih x + W_hh h + b)`.
    RnnTanh,
    /// The same with `max(0, ·)`.
    RnnRelu,
    /// Gates `i, f, g, o`.
    Lstm,
    /// Reset after the product: PyTorch, Keras default.
    GruResetAfter,
    /// Reset before the product: Cho et al. 2014.
    GruResetBefore,
    /// One matrix product for gate and candidate: Kusupati et al. 2018.
    FastGrnn,
    /// Gates `f, g, o`; the input gate is `1 − f`.
    LstmCoupled,
    /// Gates `i, f, g, o`, which see the cell.
    LstmPeephole,
    /// Gate and linear candidate `z, n` of the input alone: Feng et al. 2024.
    MinGru,
    /// The same with a tanh of the candidate.
    MinGruTanh,
    /// [`Cell::GruResetBefore`] with `max(0, ·)` for its candidate's tanh.
    GruReluResetBefore,
    /// [`Cell::Lstm`] with `max(0, ·)` for both its tanhs.
    LstmRelu,
    /// [`Cell::GruResetAfter`] with `max(0, ·)` for its candidate's tanh.
    GruReluResetAfter,
    /// [`Cell::Lstm`] with hard gates: `min(1, max(0, z/4 + 1/2))` in place of the logistic function.
    LstmHard,
    /// [`Cell::GruResetAfter`] with such gates.
    GruHardResetAfter,
    /// [`Cell::GruResetBefore`] with such gates.
    GruHardResetBefore,
    /// [`Cell::MinGru`] with such gates.
    MinGruHard,
}

impl Cell {
    /// All of them, in the order of their numbers in a file.
    pub const ALL: &'static [Cell] = &[
        Cell::RnnTanh,
        Cell::RnnRelu,
        Cell::Lstm,
        Cell::GruResetAfter,
        Cell::GruResetBefore,
        Cell::FastGrnn,
        Cell::LstmCoupled,
        Cell::LstmPeephole,
        Cell::MinGru,
        Cell::MinGruTanh,
        Cell::GruReluResetBefore,
        Cell::LstmRelu,
        Cell::GruReluResetAfter,
        Cell::LstmHard,
        Cell::GruHardResetAfter,
        Cell::GruHardResetBefore,
        Cell::MinGruHard,
    ];

    /// What is said of a cell, once.
    #[inline(always)]
    const fn facts(self) -> Facts {
        match self {
            Cell::RnnTanh => Facts {
                name: "rnn",
                title: "tanh RNN",
                ..PLAIN
            },
            Cell::RnnRelu => Facts {
                name: "rnn-relu",
                title: "rectified RNN",
                reach: 4,
                ..PLAIN
            },
            Cell::Lstm => LSTM,
            Cell::GruResetAfter => GRU,
            Cell::GruResetBefore => Facts {
                name: "gru-reset-before",
                title: "reset-before GRU",
                ..GRU
            },
            Cell::FastGrnn => Facts {
                name: "fastgrnn",
                title: "FastGRNN",
                may_be_slow: true,
                memory: Memory::Kept { gate: 0 },
                reach: 2,
                ..PLAIN
            },
            Cell::LstmCoupled => Facts {
                name: "lstm-coupled",
                title: "coupled LSTM",
                products: [3, 3],
                memory: Memory::Kept { gate: 0 },
                ..LSTM
            },
            Cell::LstmPeephole => Facts {
                name: "lstm-peephole",
                title: "peephole LSTM",
                peepholes: 3,
                ..LSTM
            },
            Cell::MinGru => Facts {
                name: "mingru",
                title: "minGRU",
                reach: 2,
                ..MIN_GRU
            },
            Cell::MinGruTanh => MIN_GRU,
            Cell::GruReluResetBefore => Facts {
                name: "gru-relu-reset-before",
                title: "rectified reset-before GRU",
                reach: 4,
                ..GRU
            },
            Cell::GruReluResetAfter => Facts {
                name: "gru-relu",
                title: "rectified GRU",
                may_be_slow: false,
                reach: 4,
                ..GRU
            },
            Cell::LstmRelu => Facts {
                name: "lstm-relu",
                title: "rectified LSTM",
                may_be_slow: false,
                reach: 4,
                ..LSTM
            },
            Cell::LstmHard => Facts {
                name: "lstm-hard",
                title: "LSTM with hard gates",
                may_be_slow: false,
                hard_gates: true,
                ..LSTM
            },
            Cell::GruHardResetAfter => Facts {
                name: "gru-hard",
                title: "GRU with hard gates",
                may_be_slow: false,
                hard_gates: true,
                ..GRU
            },
            Cell::GruHardResetBefore => Facts {
                name: "gru-hard-reset-before",
                title: "reset-before GRU with hard gates",
                may_be_slow: false,
                hard_gates: true,
                ..GRU
            },
            Cell::MinGruHard => Facts {
                name: "mingru-hard",
                title: "minGRU with hard gates",
                may_be_slow: false,
                hard_gates: true,
                reach: 2,
                ..MIN_GRU
            },
        }
    }

    /// As task files and errors write it.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// As sentences write it.
    pub const fn title(self) -> &'static str {
        self.facts().title
    }

    /// Matrix products of a step with the input.
    pub const fn products(self) -> usize {
        self.facts().products[0]
    }

    /// Matrix products of a step with the state.
    pub const fn state_products(self) -> usize {
        self.facts().products[1]
    }

    /// Weights per unit that multiply its cell.
    pub const fn peepholes(self) -> usize {
        self.facts().peepholes
    }

    /// Has a cell besides the state.
    pub const fn has_cell(self) -> bool {
        self.facts().has_cell
    }

    /// Its gates may be [`SLOW`].
    pub const fn may_be_slow(self) -> bool {
        self.facts().may_be_slow
    }

    /// Its gates are `min(1, max(0, z/4 + 1/2))`.
    pub const fn hard_gates(self) -> bool {
        self.facts().hard_gates
    }

    /// Of a GRU where it resets.
    pub const fn resets(self) -> Option<Reset> {
        match self {
            Cell::GruResetAfter | Cell::GruReluResetAfter | Cell::GruHardResetAfter => {
                Some(Reset::After)
            }
            Cell::GruResetBefore | Cell::GruReluResetBefore | Cell::GruHardResetBefore => {
                Some(Reset::Before)
            }
            _ => None,
        }
    }

    /// How long it remembers.
    pub const fn memory(self) -> Memory {
        self.facts().memory
    }

    /// Integers hold its state within ± this. Beyond 1 it is not bounded otherwise, and the exporter scales it.
    pub const fn reach(self) -> usize {
        self.facts().reach
    }
}

/// Where a GRU's reset gate is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// To the product with the state.
    After,
    /// To the state, before the product.
    Before,
}

/// What decides how much of its memory a unit keeps in a step: of its cell, or of its state where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// All its weights.
    Mixed,
    /// It keeps the share that this gate is.
    Kept {
        /// Which of its products.
        gate: usize,
    },
    /// It replaces the share that this gate is.
    Replaced {
        /// Which of its products.
        gate: usize,
    },
}

/// What is known of a cell besides its equations; the methods of [`Cell`] say what each is.
struct Facts {
    name: &'static str,
    title: &'static str,
    /// With the input, with the state.
    products: [usize; 2],
    peepholes: usize,
    has_cell: bool,
    may_be_slow: bool,
    hard_gates: bool,
    memory: Memory,
    reach: usize,
}

const PLAIN: Facts = Facts {
    name: "",
    title: "",
    products: [1, 1],
    peepholes: 0,
    has_cell: false,
    may_be_slow: false,
    hard_gates: false,
    memory: Memory::Mixed,
    reach: 1,
};
const LSTM: Facts = Facts {
    name: "lstm",
    title: "LSTM",
    products: [4, 4],
    has_cell: true,
    may_be_slow: true,
    memory: Memory::Kept { gate: 1 },
    ..PLAIN
};
const MIN_GRU: Facts = Facts {
    name: "mingru-tanh",
    title: "tanh minGRU",
    products: [2, 0],
    may_be_slow: true,
    memory: Memory::Replaced { gate: 0 },
    ..PLAIN
};
const GRU: Facts = Facts {
    name: "gru",
    title: "GRU",
    products: [3, 3],
    has_cell: false,
    ..LSTM
};

/// What follows the sums of a dense layer or a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum Activation {
    /// The sum itself.
    Identity,
    /// `max(0, ·)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
    /// `exp(z_i) / Σ exp(z_j)`; last layer only.
    Softmax,
    /// `√(z_i² + z_{i+n}²)`, of `2 n` sums: half as many outputs; of a convolution only.
    Magnitude,
    /// `z` from 0 on, below it `e^z − 1`.
    Elu,
}

impl Activation {
    /// All of them, in the order of their numbers in a file.
    pub const ALL: &'static [Activation] = &[
        Activation::Identity,
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softmax,
        Activation::Magnitude,
        Activation::Elu,
    ];

    /// As errors write it.
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Softmax => "softmax",
            Activation::Magnitude => "magnitude",
            Activation::Elu => "elu",
        }
    }
}

impl Activation {
    /// Outputs that so many sums become.
    pub const fn outputs(self, sums: usize) -> usize {
        match self {
            Activation::Magnitude => sums / 2,
            _ => sums,
        }
    }

    /// Fraction bits of a dense layer's outputs in integers, if its sums are scaled to `frac`.
    pub(crate) const fn output_frac(self, frac: i8, last: bool) -> i8 {
        match self {
            Activation::Identity | Activation::Relu | Activation::Magnitude | Activation::Elu => {
                frac
            }
            _ if !last => 12,
            Activation::Tanh | Activation::Sigmoid | Activation::Softmax => 15,
        }
    }
}

/// Steps with known results: inputs and outputs as the network sees them, in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub struct TestVectors {
    /// How many steps.
    pub steps: u16,
    /// [`Digest`](crate::Digest) of the outputs and the final state.
    pub digest: u32,
}
