//! The operator graph that every reader makes of a file, and the only thing that [`super::interpret`] and
//! [`super::lower`] know.
//!
//! Tensors flow between nodes as in ONNX, whose operators these are where nothing else is said: sequences of samples,
//! batches, states that enter and leave. Recurrent operators carry their weights, as all formats know their gates in another order;
//! here they have PyTorch's (`i, f, g, o` and `r, z, n`). Every other weight is a constant value. What a format writes in
//! several ways (attributes that became inputs, `Gemm`) its reader brings into one.

use super::{ConvSight, Padding};
use crate::net::PoolKind;
use anyhow::{Result, anyhow, bail, ensure};
use std::path::PathBuf;

/// Numbers with a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

/// Floats, or whole numbers: tokens, shapes, places.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    F32(Vec<f32>),
    I64(Vec<i64>),
}

/// The product of a shape, if there may be so many.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

impl Tensor {
    pub(crate) fn new(shape: Vec<usize>, values: Values) -> Result<Self> {
        let have = match &values {
            Values::F32(v) => v.len(),
            Values::I64(v) => v.len(),
        };
        ensure!(
            count(&shape) == Some(have),
            "{have} numbers for the shape {shape:?}"
        );
        Ok(Tensor { shape, values })
    }

    pub(crate) fn f32(shape: Vec<usize>, values: Vec<f32>) -> Result<Self> {
        Tensor::new(shape, Values::F32(values))
    }

    /// A list of whole numbers.
    pub(crate) fn list(values: Vec<i64>) -> Self {
        Tensor {
            shape: vec![values.len()],
            values: Values::I64(values),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::F32(v) => v.len(),
            Values::I64(v) => v.len(),
        }
    }

    pub(crate) fn floats(&self) -> Result<&[f32]> {
        match &self.values {
            Values::F32(v) => Ok(v),
            Values::I64(_) => bail!("whole numbers where floats are expected"),
        }
    }

    pub(crate) fn ints(&self) -> Result<&[i64]> {
        match &self.values {
            Values::I64(v) => Ok(v),
            Values::F32(_) => bail!("floats where whole numbers are expected"),
        }
    }
}

/// A value's place in [`Graph::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ValueId(pub(crate) usize);

/// A network as a file has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    pub(crate) values: Vec<Value>,
    /// What a caller gives: the samples, and states.
    pub(crate) inputs: Vec<Input>,
    /// What it gets.
    pub(crate) outputs: Vec<ValueId>,
    /// In an order in which they can run.
    pub(crate) nodes: Vec<Node>,
    /// What its reader left out or folded.
    pub(crate) notes: Vec<String>,
    /// Files beside this one that its weights were read from.
    pub(crate) files: Vec<PathBuf>,
    /// Another way, where the file's form is not what its network is best read from.
    pub(crate) advice: Option<&'static str>,
    /// Samples a second, where the file says it.
    pub(crate) rate: Option<u32>,
}

/// An error with another way to go.
pub(crate) fn advised<T>(result: Result<T>, advice: Option<&str>) -> Result<T> {
    result.map_err(|error| match advice {
        Some(advice) => anyhow!("{error:#}; {advice}"),
        None => error,
    })
}

#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) constant: Option<Tensor>,
}

#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) value: ValueId,
    pub(crate) dims: Vec<Dim>,
    /// What the file calls the axes, empty where it does not; none if it calls no axis anything.
    pub(crate) names: Vec<String>,
    /// Tokens, not measurements.
    pub(crate) whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dim {
    Fixed(usize),
    /// The caller decides.
    Open,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Node, module or layer as its file calls it.
    pub(crate) name: String,
    /// Operator as its file calls it.
    pub(crate) kind: String,
    pub(crate) op: Op,
    /// `None` where an optional input is left out.
    pub(crate) inputs: Vec<Option<ValueId>>,
    pub(crate) outputs: Vec<ValueId>,
}

impl Node {
    /// For messages.
    pub(crate) fn label(&self) -> String {
        format!("`{}` ({})", self.name, self.kind)
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// `x [T, B, I], h₀ [D, B, H]?, c₀? → y [T, D, B, H], h [D, B, H], c [D, B, H]`.
    Recurrent(Box<Recurrent>),
    /// `[.., I] · [I, O]`.
    MatMul,
    Binary(Binary),
    Unary(Function),
    /// `data, slopes`: below 0 times a slope.
    Leaky,
    Softmax {
        axis: i64,
    },
    /// `x [B, C, L], weights [F, C / groups, K], bias [F]? → [B, F, P]`.
    Conv(Convolution),
    /// `x [B, C, L] → [B, C, P]`.
    Pool(Pooling),
    /// `data, pads, value?, axes?`: zeros around it, or itself mirrored at its ends without them.
    Pad {
        mirror: bool,
    },
    /// `x · scale + offset` along axis 1, as normalisations over a batch have it.
    Channels {
        scale: Vec<f32>,
        offset: Vec<f32>,
    },
    /// `data, γ?, β?`: over the axes from this one on, a mean of 0 and a deviation of 1.
    Norm {
        axis: i64,
        epsilon: f32,
    },
    /// `data, axes?`.
    Reduce {
        how: Reduction,
        /// They stay, 1 long.
        keep: bool,
    },
    /// `data, indices`.
    Gather {
        axis: i64,
    },
    Concat {
        axis: i64,
    },
    /// `data, lengths?`.
    Split {
        axis: i64,
    },
    /// `data, starts, ends, axes?, steps?`.
    Slice,
    /// `data, axes?`.
    Squeeze,
    /// `data, axes`.
    Unsqueeze,
    Transpose {
        perm: Option<Vec<usize>>,
    },
    /// `data, shape`, in which 0 is the dimension as it was unless `zero` is one.
    Reshape {
        zero: bool,
    },
    Flatten {
        axis: i64,
    },
    /// `data, shape`.
    Expand,
    /// `data, repeats`.
    Tile,
    /// `a, b`: 1 where they are the same.
    Equal,
    /// `condition, a, b`: of `a` where it is not 0, else of `b`.
    Where,
    Shape {
        start: i64,
        end: Option<i64>,
    },
    /// `shape`; the value that fills it.
    Fill(Tensor),
    Cast {
        whole: bool,
    },
    Identity,
}

impl Op {
    /// It gives numbers of its first operand as they are, in another shape or fewer of them.
    pub(crate) fn moves(&self) -> bool {
        matches!(
            self,
            Op::Identity
                | Op::Gather { .. }
                | Op::Split { .. }
                | Op::Slice
                | Op::Squeeze
                | Op::Unsqueeze
                | Op::Transpose { .. }
                | Op::Reshape { .. }
                | Op::Flatten { .. }
                | Op::Expand
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
}

/// What is applied to a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    Identity,
    Tanh,
    Sigmoid,
    Relu,
    /// `a·x + b`.
    Affine(f32, f32),
    LeakyRelu(f32),
    ThresholdedRelu(f32),
    /// `a·tanh(b·x)`.
    ScaledTanh(f32, f32),
    /// `clamp(a·x + b, 0, 1)`.
    HardSigmoid(f32, f32),
    /// Held within two ends, of which either may be infinite.
    Clip(f32, f32),
    Elu(f32),
    Softsign,
    Softplus,
    Sqrt,
    Reciprocal,
}

/// What becomes of all numbers along some axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    Mean,
    Sum,
    Max,
}

/// Several numbers along the last axis become one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pooling {
    pub(crate) kind: PoolKind,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
}

/// Where a convolution along one axis looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// Zeros in front and behind.
    pub(crate) pads: [usize; 2],
    pub(crate) groups: usize,
}

impl Convolution {
    /// Positions along an axis of this length.
    pub(crate) fn positions(&self, len: usize, kernel: usize) -> Result<usize> {
        let span = kernel
            .checked_sub(1)
            .and_then(|k| k.checked_mul(self.dilation));
        let all = len
            .checked_add(self.pads[0])
            .and_then(|n| n.checked_add(self.pads[1]));
        match (span, all) {
            (Some(span), Some(all)) if all > span && self.stride > 0 => {
                Ok((all - span - 1) / self.stride + 1)
            }
            _ => bail!("a kernel of {kernel} over {len} numbers"),
        }
    }
}

impl Function {
    pub(crate) fn of(self, x: f32) -> f32 {
        match self {
            Function::Identity => x,
            Function::Tanh => x.tanh(),
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Function::Relu => x.max(0.0),
            Function::Affine(a, b) => a * x + b,
            Function::LeakyRelu(a) if x < 0.0 => a * x,
            Function::LeakyRelu(_) => x,
            Function::ThresholdedRelu(a) if x <= a => 0.0,
            Function::ThresholdedRelu(_) => x,
            Function::ScaledTanh(a, b) => a * (b * x).tanh(),
            Function::HardSigmoid(a, b) => (a * x + b).clamp(0.0, 1.0),
            Function::Clip(low, high) => x.max(low).min(high),
            Function::Elu(a) if x < 0.0 => a * x.exp_m1(),
            Function::Elu(_) => x,
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Sqrt => x.sqrt(),
            Function::Reciprocal => 1.0 / x,
            Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        }
    }
}

/// What a normalisation over batches has learnt of each feature.
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f32>,
    pub(crate) variance: Vec<f32>,
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
}

/// The recurrence of a [`Recurrent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rnn,
    Gru {
        /// The reset gate is applied to the product with the hidden weights, not before it.
        after: bool,
    },
    Lstm,
    /// The input gate is `1 − f`; rows `f, g, o`.
    LstmCoupled,
}

impl Kind {
    pub(crate) fn gates(self) -> usize {
        match self {
            Kind::Rnn => 1,
            Kind::Gru { .. } | Kind::LstmCoupled => 3,
            Kind::Lstm => 4,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Recurrent {
    pub(crate) kind: Kind,
    pub(crate) inputs: usize,
    /// Width of the gates; that of the state too, unless there is a projection.
    pub(crate) hidden: usize,
    /// One, or forward and backward.
    pub(crate) directions: Vec<Direction>,
    /// Pre-activations are cut to this size.
    pub(crate) clip: Option<f32>,
    /// The cells of an LSTM are cut to this size.
    pub(crate) cell_clip: Option<f32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Direction {
    /// From the last sample on.
    pub(crate) reverse: bool,
    /// `[gates · hidden, inputs]`.
    pub(crate) w_ih: Vec<f32>,
    /// `[gates · hidden, width of the state]`.
    pub(crate) w_hh: Vec<f32>,
    pub(crate) b_ih: Vec<f32>,
    pub(crate) b_hh: Vec<f32>,
    /// Of an LSTM the weights by which `i, f, o` see the cell; those of `f, o` if it is coupled.
    pub(crate) peephole: Option<Vec<f32>>,
    /// Of an LSTM `[width of the state, hidden]`.
    pub(crate) projection: Option<Vec<f32>>,
    /// Of the gates, the candidate, and the cell as it is given out; of an RNN the first alone.
    pub(crate) functions: [Function; 3],
}

impl Recurrent {
    /// Width of the state.
    pub(crate) fn width(&self) -> usize {
        match self.directions.first().map(|d| &d.projection) {
            Some(Some(projection)) => projection.len() / self.hidden.max(1),
            _ => self.hidden,
        }
    }

    /// What a cell is without further attributes.
    pub(crate) fn functions(kind: Kind) -> [Function; 3] {
        match kind {
            Kind::Rnn => [Function::Tanh; 3],
            _ => [Function::Sigmoid, Function::Tanh, Function::Tanh],
        }
    }

    /// That all lengths fit, on which the interpreter and the lowering lean.
    pub(crate) fn check(&self) -> Result<()> {
        let rows = self.kind.gates().checked_mul(self.hidden);
        let (rows, width) = (rows.unwrap_or(usize::MAX), self.width());
        ensure!(
            self.inputs > 0 && self.hidden > 0 && width > 0,
            "a width is 0"
        );
        ensure!(
            matches!(self.directions.len(), 1 | 2),
            "{} directions, expected 1 or 2",
            self.directions.len()
        );
        let lstm = matches!(self.kind, Kind::Lstm | Kind::LstmCoupled);
        for direction in &self.directions {
            let parts = [
                (
                    "input weights",
                    direction.w_ih.len(),
                    rows.checked_mul(self.inputs),
                ),
                (
                    "hidden weights",
                    direction.w_hh.len(),
                    rows.checked_mul(width),
                ),
                ("input biases", direction.b_ih.len(), Some(rows)),
                ("hidden biases", direction.b_hh.len(), Some(rows)),
            ];
            let peephole = direction.peephole.as_ref().map(|p| {
                let gates = self.kind.gates() - 1;
                ("peephole weights", p.len(), Some(gates * self.hidden))
            });
            let projection = direction.projection.as_ref();
            let projection = projection.map(|p| {
                (
                    "projection weights",
                    p.len(),
                    width.checked_mul(self.hidden),
                )
            });
            ensure!(
                lstm || peephole.is_none() && projection.is_none(),
                "peepholes or a projection without an LSTM"
            );
            for (what, have, need) in parts.into_iter().chain(peephole).chain(projection) {
                ensure!(
                    need == Some(have),
                    "{have} {what}, expected {} for {} inputs and {} units",
                    need.map_or("more than there can be".to_owned(), |n| n.to_string()),
                    self.inputs,
                    self.hidden
                );
            }
        }
        Ok(())
    }
}

impl Graph {
    /// A value that a node will give, or a caller.
    pub(crate) fn value(&mut self, name: impl Into<String>) -> ValueId {
        self.values.push(Value {
            name: name.into(),
            constant: None,
        });
        ValueId(self.values.len() - 1)
    }

    pub(crate) fn constant(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        let id = self.value(name);
        self.values[id.0].constant = Some(tensor);
        id
    }

    /// The samples of a network whose file has only layers: `[T, 1, width]`, or tokens `[T, 1]`.
    pub(crate) fn samples(&mut self, width: Option<usize>) -> ValueId {
        let value = self.value("input");
        let mut dims = vec![Dim::Open, Dim::Fixed(1)];
        dims.extend(width.map(Dim::Fixed));
        self.inputs.push(Input {
            value,
            dims,
            names: Vec::new(),
            whole: width.is_none(),
        });
        value
    }

    /// Floats that become whole numbers before all else are tokens.
    pub(crate) fn find_tokens(&mut self) {
        for input in self.inputs.iter_mut().filter(|input| !input.whole) {
            let takes = |node: &&Node| node.inputs.contains(&Some(input.value));
            let mut takers = self.nodes.iter().filter(takes).peekable();
            let taken = takers.peek().is_some();
            // Shapes are the same.
            let whole =
                |node: &Node| matches!(node.op, Op::Cast { whole: true } | Op::Shape { .. });
            input.whole = taken && takers.all(whole);
        }
    }

    /// A node of one output.
    pub(crate) fn node(&mut self, name: &str, kind: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        let output = self.value(name);
        self.nodes.push(Node {
            name: name.to_owned(),
            kind: kind.to_owned(),
            op,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![output],
        });
        output
    }

    /// A table's rows by tokens.
    pub(crate) fn embedding(
        &mut self,
        name: &str,
        kind: &str,
        table: Tensor,
        tokens: ValueId,
    ) -> ValueId {
        let table = self.constant(format!("{name} table"), table);
        self.node(name, kind, Op::Gather { axis: 0 }, &[table, tokens])
    }

    /// `x W + b`; the weights are `[inputs, outputs]`.
    pub(crate) fn dense(
        &mut self,
        name: &str,
        kind: &str,
        weight: Tensor,
        bias: Option<Vec<f32>>,
        x: ValueId,
    ) -> Result<ValueId> {
        let weight = self.constant(format!("{name} weight"), weight);
        let sum = self.node(name, kind, Op::MatMul, &[x, weight]);
        let Some(bias) = bias else { return Ok(sum) };
        let bias = Tensor::f32(vec![bias.len()], bias)?;
        let bias = self.constant(format!("{name} bias"), bias);
        Ok(self.node(name, kind, Op::Binary(Binary::Add), &[sum, bias]))
    }

    /// A convolution of samples `[T, 1, C]` along their time, as a stream can have it; weights and bias as [`Op::Conv`] takes them.
    pub(crate) fn along_time(
        &mut self,
        (name, kind): (&str, &str),
        (sight, groups): (ConvSight, usize),
        weight: Tensor,
        bias: Option<Tensor>,
        x: ValueId,
    ) -> Result<ValueId> {
        let ConvSight {
            padding,
            dilation,
            stride,
        } = sight;
        let kernel = weight.shape.last().map_or(0, |k| k.saturating_sub(1));
        let before = kernel.saturating_mul(dilation);
        ensure!(
            before == 0 || padding != Padding::Same,
            "padding \"same\" sees samples that are still to come; pad it causally, by {before} zeros on the left: padding=\"causal\" in Keras, \
             nn.functional.pad(x, ({before}, 0)) in PyTorch, or not at all (\"valid\")"
        );
        let of = Convolution {
            stride,
            dilation,
            pads: match padding {
                Padding::Causal => [before, 0],
                _ => [0, 0],
            },
            groups,
        };
        let weight = self.constant(format!("{name} weight"), weight);
        let bias = bias.map(|bias| self.constant(format!("{name} bias"), bias));
        let terms: Vec<ValueId> = [weight].into_iter().chain(bias).collect();
        Ok(self.time_last((name, kind), Op::Conv(of), x, &terms))
    }

    /// Pools samples that come as `[time, batch, channels]`.
    pub(crate) fn pooled(
        &mut self,
        (name, kind): (&str, &str),
        of: Pooling,
        x: ValueId,
    ) -> ValueId {
        self.time_last((name, kind), Op::Pool(of), x, &[])
    }

    /// An operator along the last axis of `[batch, channels, time]` on samples that come as `[time, batch, channels]`.
    fn time_last(
        &mut self,
        (name, kind): (&str, &str),
        op: Op,
        x: ValueId,
        terms: &[ValueId],
    ) -> ValueId {
        let turned = |perm: [usize; 3]| Op::Transpose {
            perm: Some(perm.to_vec()),
        };
        let x = self.node(name, kind, turned([1, 2, 0]), &[x]);
        let y = self.node(name, kind, op, &[&[x], terms].concat());
        self.node(name, kind, turned([2, 0, 1]), &[y])
    }

    /// The state after every sample, `[T, 1, D · H]`, from samples of that form; or only what the layer ends with,
    /// `[1, D · H]`: the forward direction's state after the last sample, the backward one's after the first.
    pub(crate) fn recurrent(
        &mut self,
        name: &str,
        kind: &str,
        recurrent: Recurrent,
        x: ValueId,
        every_step: bool,
    ) -> Result<ValueId> {
        let width = recurrent.directions.len() * recurrent.width();
        let [y, last] = self.directions(name, kind, recurrent, x)?;
        let (from, perm, shape) = match every_step {
            true => (y, vec![0, 2, 1, 3], vec![0, 0, width as i64]),
            false => (last, vec![1, 0, 2], vec![0, width as i64]),
        };
        let side_by_side = Op::Transpose { perm: Some(perm) };
        let y = self.node(name, kind, side_by_side, &[from]);
        let shape = self.constant(format!("{name} shape"), Tensor::list(shape));
        Ok(self.node(name, kind, Op::Reshape { zero: false }, &[y, shape]))
    }

    /// The same with the mean or the sum of both directions, `[T, 1, H]` or `[1, H]`.
    pub(crate) fn merged(
        &mut self,
        (name, kind): (&str, &str),
        recurrent: Recurrent,
        x: ValueId,
        every_step: bool,
        how: Reduction,
    ) -> Result<ValueId> {
        let [y, last] = self.directions(name, kind, recurrent, x)?;
        let (from, axis) = if every_step { (y, 1) } else { (last, 0) };
        Ok(self.reduced((name, kind), how, axis, from))
    }

    /// The states after every sample, `[T, D, 1, H]`, and those that its directions end with, `[D, 1, H]`.
    fn directions(
        &mut self,
        name: &str,
        kind: &str,
        recurrent: Recurrent,
        x: ValueId,
    ) -> Result<[ValueId; 2]> {
        recurrent.check()?;
        let outputs = [self.value(name), self.value(format!("{name} state"))];
        self.nodes.push(Node {
            name: name.to_owned(),
            kind: kind.to_owned(),
            op: Op::Recurrent(Box::new(recurrent)),
            inputs: vec![Some(x)],
            outputs: outputs.to_vec(),
        });
        Ok(outputs)
    }

    /// An axis less.
    pub(crate) fn reduced(
        &mut self,
        (name, kind): (&str, &str),
        how: Reduction,
        axis: i64,
        x: ValueId,
    ) -> ValueId {
        let axes = self.constant(format!("{name} axis"), Tensor::list(vec![axis]));
        self.node(name, kind, Op::Reduce { how, keep: false }, &[x, axes])
    }

    /// `(x − mean) / √(variance + ε) · γ + β` of every feature.
    pub(crate) fn normalised(
        &mut self,
        name: &str,
        kind: &str,
        moments: &Moments,
        epsilon: f32,
        x: ValueId,
    ) -> Result<ValueId> {
        let Moments {
            mean,
            variance,
            gamma,
            beta,
        } = moments;
        let width = mean.len();
        ensure!(
            [variance.len(), gamma.len(), beta.len()] == [width; 3],
            "its terms have several lengths"
        );
        let scale = gamma.iter().zip(variance);
        let scale: Vec<f32> = scale.map(|(g, v)| g / (v + epsilon).sqrt()).collect();
        // One after the other: of a large mean and a small deviation, one offset for both would be rounded away.
        let terms = [
            ("mean", Binary::Sub, mean.clone(), 0.0),
            ("scale", Binary::Mul, scale, 1.0),
            ("beta", Binary::Add, beta.clone(), 0.0),
        ];
        let mut y = x;
        for (what, binary, numbers, none) in terms {
            if numbers.iter().any(|&x| x != none) {
                y = self.by_each((name, kind), (what, binary), numbers, y)?;
            }
        }
        Ok(y)
    }

    /// Computes with a number for each feature, or with one for all.
    pub(crate) fn by_each(
        &mut self,
        (name, kind): (&str, &str),
        (what, binary): (&str, Binary),
        numbers: Vec<f32>,
        x: ValueId,
    ) -> Result<ValueId> {
        let tensor = Tensor::f32(vec![numbers.len()], numbers)?;
        let numbers = self.constant(format!("{name} {what}"), tensor);
        Ok(self.node(name, kind, Op::Binary(binary), &[x, numbers]))
    }

    /// A layer normalisation over the features.
    pub(crate) fn layer_norm(
        &mut self,
        name: &str,
        kind: &str,
        terms: (Option<Vec<f32>>, Option<Vec<f32>>),
        epsilon: f32,
        x: ValueId,
    ) -> Result<ValueId> {
        let op = Op::Norm { axis: -1, epsilon };
        let y = self.node(name, kind, op, &[x]);
        let terms = [("scale", terms.0), ("offset", terms.1)].map(|(what, term)| {
            let tensor = term.map(|term| Tensor::f32(vec![term.len()], term));
            let id = |tensor| self.constant(format!("{name} {what}"), tensor);
            tensor.map(|tensor| tensor.map(id)).transpose()
        });
        for term in terms {
            let term = term?;
            if let Some(node) = self.nodes.last_mut() {
                node.inputs.push(term);
            }
        }
        Ok(y)
    }

    /// A function after a layer.
    pub(crate) fn activation(&mut self, name: &str, function: Function, x: ValueId) -> ValueId {
        match function {
            Function::Identity => x,
            _ => self.node(name, "activation", Op::Unary(function), &[x]),
        }
    }
}
