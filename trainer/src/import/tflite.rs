//! TensorFlow Lite: the fused recurrent operators and what stands around them.
//!
//! Integer weights become the real numbers that they stand for. The integer interpreter rounds between its operators too, which
//! the graph here does not: it is the network that was rounded, and its inputs are real values.

use super::flatbuffer::{Table, Vector};
use super::graph::{
    Binary, Dim, Direction, Function, Graph, Input, Kind, Node, Op, Recurrent, Tensor, ValueId,
    Values, count,
};
use anyhow::{Context, Result, bail, ensure};
use half::f16;

/// Operators by their numbers in the schema.
const OPERATORS: &str = "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE \
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC \
LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH \
CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND \
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP \
TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER \
GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT \
SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV \
REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V \
UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH \
IF WHILE";

/// Functions fused behind an operator, by their numbers.
const FUSED: [&str; 6] = ["NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"];

/// Axes of a tensor that is read.
const RANK: usize = 8;

/// Numbers a byte of the file that are made of it at most: constants, and what operators take of them.
const MOST_NUMBERS: usize = 4;

/// The graph of a TensorFlow Lite file.
pub(super) fn read(bytes: &[u8]) -> Result<Graph> {
    let whole = || format!("not a whole TensorFlow Lite model ({} bytes)", bytes.len());
    let model = Table::root(bytes).with_context(whole)?;
    let version = model.int(0).with_context(whole)?;
    ensure!(version == 3, "schema version {version}, expected 3");
    let graphs = model.vector(2, 4).with_context(whole)?;
    let graph = graphs.table(0).with_context(whole)?;
    let tensors = graph.vector(0, 4).with_context(whole)?;
    let mut reader = Reader {
        graph: Graph::default(),
        buffers: model.vector(4, 4).with_context(whole)?,
        tensors,
        values: vec![None; tensors.len()],
        left: bytes.len().saturating_mul(MOST_NUMBERS),
        rounded: 0,
        read: 0,
        states: Vec::new(),
        begins: false,
    };
    let codes = model.vector(1, 4).with_context(whole)?;
    for input in graph.vector(1, 4)?.ints().with_context(whole)? {
        reader.input(input)?;
    }
    for operator in graph.vector(3, 4).with_context(whole)?.tables() {
        let operator = Operator::new(&operator.with_context(whole)?, &codes).with_context(whole)?;
        let name = match operator.outputs.first() {
            Some(&output) => reader.name(output)?,
            None => String::new(),
        };
        reader
            .operator(&operator, &name)
            .with_context(|| format!("operator `{name}` ({})", operator.kind))?;
    }
    for output in graph.vector(2, 4)?.ints().with_context(whole)? {
        let id = reader.value(output)?;
        reader.graph.outputs.push(id);
    }
    reader.graph.outputs.append(&mut reader.states);
    reader.told();
    reader.graph.find_tokens();
    Ok(reader.graph)
}

/// Operators on variables, by their numbers.
const VARIABLES: [(i32, &str); 4] = [
    (129, "CALL_ONCE"),
    (142, "VAR_HANDLE"),
    (143, "READ_VARIABLE"),
    (144, "ASSIGN_VARIABLE"),
];

/// One operator as the file has it.
struct Operator<'a> {
    kind: String,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: Option<Table<'a>>,
}

impl<'a> Operator<'a> {
    fn new(table: &Table<'a>, codes: &Vector<'a>) -> Result<Self> {
        let code = codes.table(usize::try_from(table.int(0)?).unwrap_or(usize::MAX))?;
        // The first 127 stood in a field of one byte.
        let number = code
            .int(3)?
            .max(i32::from(code.byte(0)?.unwrap_or(0) as i8));
        let known = usize::try_from(number)
            .ok()
            .and_then(|n| OPERATORS.split_whitespace().nth(n));
        let kind = match known {
            Some("CUSTOM") => format!("custom {}", short(code.text(1)?)),
            Some(name) => name.to_owned(),
            None => match VARIABLES.iter().find(|(n, _)| *n == number) {
                Some((_, name)) => (*name).to_owned(),
                None => format!("operator number {number}"),
            },
        };
        Ok(Operator {
            kind,
            inputs: table.vector(1, 4)?.ints()?,
            outputs: table.vector(2, 4)?.ints()?,
            options: table.table(4)?,
        })
    }

    /// An input that may be left out.
    fn optional(&self, k: usize) -> Option<i32> {
        self.inputs.get(k).copied().filter(|&i| i >= 0)
    }

    fn input(&self, k: usize) -> Result<i32> {
        self.optional(k)
            .with_context(|| format!("input {k} is missing"))
    }

    /// A whole number or a float of its options, by number.
    fn int(&self, number: usize) -> Result<i32> {
        self.options.map_or(Ok(0), |o| o.int(number))
    }

    fn float(&self, number: usize) -> Result<f32> {
        self.options.map_or(Ok(0.0), |o| o.float(number))
    }

    fn is(&self, number: usize) -> Result<bool> {
        self.options.map_or(Ok(false), |o| o.is(number))
    }

    /// The name of a function fused behind it.
    fn fused(&self, number: usize) -> Result<&'static str> {
        let code = self
            .options
            .map_or(Ok(None), |o| o.byte(number))?
            .unwrap_or(0);
        let name = FUSED.get(usize::from(code)).copied();
        name.with_context(|| format!("attribute `fused_activation_function`: {code} is not known"))
    }
}

/// Names are for messages.
fn short(name: String) -> String {
    name.chars().take(200).collect()
}

/// A function by its name in [`FUSED`].
fn function(name: &str) -> Result<Function> {
    Ok(match name {
        "NONE" => Function::Identity,
        "RELU" => Function::Relu,
        "TANH" => Function::Tanh,
        "RELU6" => Function::Clip(0.0, 6.0),
        "RELU_N1_TO_1" => Function::Clip(-1.0, 1.0),
        other => bail!(
            "attribute `fused_activation_function`: {other}: the engine has tanh and relu; train with one of them"
        ),
    })
}

struct Reader<'a> {
    graph: Graph,
    buffers: Vector<'a>,
    tensors: Vector<'a>,
    /// Of each tensor, once it is there.
    values: Vec<Option<ValueId>>,
    /// Numbers that may still be read: tensors can share their bytes, and are copies here.
    left: usize,
    /// Numbers of the file's weights that were integers with a scale, and all.
    rounded: usize,
    read: usize,
    /// What the states are next, where they go on from call to call.
    states: Vec<ValueId>,
    /// Some states begin anew with every sequence.
    begins: bool,
}

impl Reader<'_> {
    fn tensor(&self, k: i32) -> Result<Table<'_>> {
        let k = usize::try_from(k).unwrap_or(usize::MAX);
        self.tensors
            .table(k)
            .with_context(|| format!("tensor {k} of {}", self.tensors.len()))
    }

    fn name(&self, k: i32) -> Result<String> {
        Ok(short(self.tensor(k)?.text(3)?))
    }

    /// The dimensions, those open too that the file has as −1.
    fn dims(&self, k: i32) -> Result<Vec<Dim>> {
        let tensor = self.tensor(k)?;
        let (shape, signature) = (tensor.vector(0, 4)?, tensor.vector(7, 4)?);
        ensure!(
            shape.len() <= RANK && signature.len() <= RANK,
            "tensor {k}: {} dimensions, expected at most {RANK}",
            shape.len().max(signature.len())
        );
        let dims = if signature.len() == shape.len() {
            signature
        } else {
            shape
        };
        let dim = |d: i32| match usize::try_from(d) {
            Ok(d) => Ok(Dim::Fixed(d)),
            Err(_) if d == -1 => Ok(Dim::Open),
            Err(_) => bail!("tensor {k}: dimension {d}"),
        };
        dims.ints()?.into_iter().map(dim).collect()
    }

    /// The bytes of a tensor that the file holds.
    fn data(&self, k: i32) -> Result<Option<&[u8]>> {
        let number = self.tensor(k)?.int(2)?;
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        // Buffer 0 is that of tensors without data.
        if number == 0 {
            return Ok(None);
        }
        let buffer = self
            .buffers
            .table(number)
            .with_context(|| format!("buffer {number}"))?;
        ensure!(
            buffer.int(1)? == 0,
            "tensor {k}: its numbers lie behind the model, as in files of more than 2 GB"
        );
        let bytes = buffer.vector(0, 1)?.whole();
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// The numbers of a tensor that the file holds, real ones if it has a scale.
    fn constant(&mut self, k: i32) -> Result<Tensor> {
        let (tensor, read, rounded) = self.decoded(k).with_context(|| format!("tensor {k}"))?;
        self.charge(read)?;
        if matches!(tensor.values, Values::F32(_)) {
            self.read += read;
            self.rounded += if rounded { read } else { 0 };
        }
        Ok(tensor)
    }

    /// Also how many numbers that are, and whether they were integers with a scale.
    fn decoded(&self, k: i32) -> Result<(Tensor, usize, bool)> {
        let tensor = self.tensor(k)?;
        let dims = self.dims(k)?;
        let shape: Vec<usize> = dims
            .iter()
            .map(|d| match d {
                Dim::Fixed(n) => Ok(*n),
                Dim::Open => bail!("a constant of open length"),
            })
            .collect::<Result<_>>()?;
        let data = self.data(k)?;
        let data =
            data.context("its numbers are in no buffer, and no operator before it makes them")?;
        ensure!(
            tensor.table(6)?.is_none(),
            "it is sparse: convert the network without sparsity"
        );
        let kind = tensor.byte(1)?.unwrap_or(0);
        let size = match kind {
            0 | 2 => 4,
            1 | 7 => 2,
            3 | 9 => 1,
            4 => 8,
            _ => {
                bail!("type number {kind}: expected floats of 32 or 16 bits or integers of 8 to 64")
            }
        };
        let len = count(&shape).filter(|&n| n.checked_mul(size) == Some(data.len()));
        let len = len.with_context(|| format!("{} bytes for the shape {shape:?}", data.len()))?;
        ensure!(
            len <= self.left,
            "its tensors hold more numbers than a file of this size can: they share their data"
        );
        let each = data.chunks_exact(size);
        let wide = |c: &[u8]| -> i64 {
            // Little-endian, with the sign of the last byte.
            let sign = if kind != 3 && c.last().is_some_and(|&b| b > 127) {
                0xff
            } else {
                0
            };
            let mut bytes = [sign; 8];
            bytes[..c.len()].copy_from_slice(c);
            i64::from_le_bytes(bytes)
        };
        let quantization = tensor.table(4)?;
        let scale = match &quantization {
            Some(q) => q.vector(2, 4)?.floats()?,
            None => Vec::new(),
        };
        let finite = |values: Vec<f32>| -> Result<Values> {
            match values.iter().position(|v| !v.is_finite()) {
                Some(at) => bail!("{} at index {at}, expected a finite number", values[at]),
                None => Ok(Values::F32(values)),
            }
        };
        let values = match kind {
            0 => finite(
                each.map(|c| f32::from_bits(wide(c) as u32))
                    .collect::<Vec<_>>(),
            )?,
            1 => finite(
                each.map(|c| f16::from_bits(wide(c) as u16).to_f32())
                    .collect::<Vec<_>>(),
            )?,
            2 | 4 if scale.is_empty() => Values::I64(each.map(wide).collect()),
            _ => {
                let quantization = quantization.filter(|_| !scale.is_empty());
                let quantization = quantization.context("integers without a scale")?;
                let zero = quantization.vector(3, 8)?.longs()?;
                let axis = usize::try_from(quantization.int(6)?).unwrap_or(usize::MAX);
                let (along, inner) = if scale.len() == 1 {
                    (1, len.max(1))
                } else {
                    let along = shape.get(axis).copied().unwrap_or(0);
                    let inner: usize = shape.iter().skip(axis.saturating_add(1)).product();
                    (along, inner.max(1))
                };
                ensure!(
                    scale.len() == along && (zero.is_empty() || zero.len() == along),
                    "{} scales and {} zero points along axis {axis} of the shape {shape:?}",
                    scale.len(),
                    zero.len()
                );
                ensure!(
                    kind != 3 || len == 1 || zero.iter().any(|&zero| zero != 0),
                    "integers of 8 bits without a sign about a zero point of 0: converters of before 2019 meant signed ones by that, \
                     others do not; convert the network anew"
                );
                let real = |(at, c): (usize, &[u8])| {
                    let channel = at / inner % along;
                    let zero = zero.get(channel).copied().unwrap_or(0);
                    let steps = wide(c).saturating_sub(zero) as f64;
                    (steps * f64::from(scale[channel])) as f32
                };
                finite(each.enumerate().map(real).collect())?
            }
        };
        let rounded = !scale.is_empty() && matches!(values, Values::F32(_)) && kind > 1;
        Ok((Tensor::new(shape, values)?, len, rounded))
    }

    fn input(&mut self, k: i32) -> Result<()> {
        let (name, dims) = (self.name(k)?, self.dims(k)?);
        let tensor = self.tensor(k)?;
        let kind = tensor.byte(1)?.unwrap_or(0);
        let (scale, zero) = match tensor.table(4)? {
            Some(q) => (q.vector(2, 4)?.floats()?, q.vector(3, 8)?.longs()?),
            None => (Vec::new(), Vec::new()),
        };
        let whole = matches!(kind, 2 | 4) && scale.is_empty();
        if let ([scale], 3 | 7 | 9) = (&scale[..], kind) {
            let zero = zero.first().copied().unwrap_or(0);
            let [low, high] = match kind {
                3 => [0, 255],
                7 => [-32768, 32767],
                _ => [-128, 127],
            };
            let [low, high] = [low, high].map(|q: i64| q.saturating_sub(zero) as f32 * scale);
            self.graph.notes.push(format!(
                "input `{name}` takes the real values that its integers stand for, {scale} × (q {:+}): {low:.4} to {high:.4}",
                zero.saturating_neg()
            ));
        } else {
            ensure!(
                whole || kind == 0,
                "input `{name}`: type number {kind}: expected floats, integers with one scale, or tokens"
            );
        }
        let value = self.graph.value(name);
        self.define(k, value)?;
        self.graph.inputs.push(Input {
            value,
            dims,
            names: Vec::new(),
            whole,
        });
        Ok(())
    }

    fn define(&mut self, k: i32, id: ValueId) -> Result<()> {
        let place = usize::try_from(k)
            .ok()
            .and_then(|k| self.values.get_mut(k))
            .with_context(|| format!("tensor {k} of {}", self.tensors.len()))?;
        ensure!(
            place.replace(id).is_none(),
            "tensor {k} is made a second time"
        );
        Ok(())
    }

    fn value(&mut self, k: i32) -> Result<ValueId> {
        let there = usize::try_from(k)
            .ok()
            .and_then(|k| self.values.get(k).copied());
        if let Some(id) = there.with_context(|| format!("tensor {k} of {}", self.tensors.len()))? {
            return Ok(id);
        }
        let name = self.name(k)?;
        let tensor = self.constant(k)?;
        let id = self.graph.constant(name, tensor);
        self.define(k, id)?;
        Ok(id)
    }

    /// Takes so many numbers from those that a file of this size may hold: tensors, and lists of operands, can share their bytes.
    fn charge(&mut self, numbers: usize) -> Result<()> {
        let left = self.left.checked_sub(numbers);
        self.left = left.context("its operators take more numbers than a file of this size can hold: they share their data")?;
        Ok(())
    }

    /// A tensor that must be known beforehand.
    fn weight(&mut self, k: i32) -> Result<Tensor> {
        let there = usize::try_from(k).ok().and_then(|k| *self.values.get(k)?);
        match there {
            Some(id) => {
                let tensor = self.graph.values[id.0].constant.clone().context(
                    "an operand that depends on the samples, where one of the file is expected",
                )?;
                self.charge(tensor.len())?;
                Ok(tensor)
            }
            None => self.constant(k),
        }
    }

    fn list(&mut self, name: &str, values: Vec<i64>) -> ValueId {
        self.graph.constant(name, Tensor::list(values))
    }

    fn operator(&mut self, operator: &Operator, name: &str) -> Result<()> {
        let kind = operator.kind.as_str();
        self.charge(operator.inputs.len())?;
        let written_out = match kind {
            "WHILE" => "a loop, as newer converters write a recurrent layer out",
            "UNPACK" => {
                "single samples, as converters write a recurrent layer with unroll=True out"
            }
            _ if VARIABLES.iter().any(|(_, name)| *name == kind) => {
                "states that are kept in variables from call to call (a layer with stateful=True)"
            }
            "REVERSE_V2" => "samples turned around, as converters write a bidirectional layer out",
            _ => "",
        };
        ensure!(
            written_out.is_empty(),
            "{written_out}: import the .keras or .h5 file that it was converted from"
        );
        let &[output] = &operator.outputs[..] else {
            bail!("{} outputs, expected one", operator.outputs.len())
        };
        let y = match kind {
            "UNIDIRECTIONAL_SEQUENCE_LSTM" => self.lstm(operator, name)?,
            "UNIDIRECTIONAL_SEQUENCE_RNN" => self.rnn(operator, name)?,
            "FULLY_CONNECTED" => self.fully_connected(operator, name)?,
            "STRIDED_SLICE" => self.strided_slice(operator, name)?,
            // Weights of half floats and of integers have been made real.
            "QUANTIZE" | "DEQUANTIZE" => self.value(operator.input(0)?)?,
            "LOGISTIC" | "TANH" | "RELU" | "RELU6" | "RELU_N1_TO_1" | "ELU" | "LEAKY_RELU" => {
                let function = match kind {
                    "LOGISTIC" => Function::Sigmoid,
                    "ELU" => Function::Elu(1.0),
                    "LEAKY_RELU" => Function::LeakyRelu(operator.float(0)?),
                    fused => function(fused)?,
                };
                self.unary(operator, name, Op::Unary(function))?
            }
            "SOFTMAX" => {
                let beta = operator.float(0)?;
                ensure!(
                    beta == 1.0,
                    "attribute `beta`: {beta}: the engine's softmax has 1; scale the weights before it"
                );
                self.unary(operator, name, Op::Softmax { axis: -1 })?
            }
            "SHAPE" => {
                let all = Op::Shape {
                    start: 0,
                    end: None,
                };
                self.unary(operator, name, all)?
            }
            "CAST" => {
                let whole = matches!(self.tensor(output)?.byte(1)?, Some(2 | 4));
                self.unary(operator, name, Op::Cast { whole })?
            }
            "RESHAPE" => {
                let x = self.value(operator.input(0)?)?;
                let shape = match operator.optional(1) {
                    Some(k) => self.value(k)?,
                    None => {
                        let options = operator.options.context("there is no shape")?;
                        let shape = options.vector(0, 4)?.ints()?;
                        self.list(name, shape.into_iter().map(i64::from).collect())
                    }
                };
                let op = Op::Reshape { zero: true };
                self.graph.node(name, kind, op, &[x, shape])
            }
            "TRANSPOSE" => {
                let perm = self.weight(operator.input(1)?)?;
                let perm = perm.ints()?.iter().map(|&p| usize::try_from(p));
                let perm = perm.collect::<Result<_, _>>().context("its axes")?;
                self.unary(operator, name, Op::Transpose { perm: Some(perm) })?
            }
            "EXPAND_DIMS" => {
                let (x, axis) = (
                    self.value(operator.input(0)?)?,
                    self.value(operator.input(1)?)?,
                );
                self.graph.node(name, kind, Op::Unsqueeze, &[x, axis])
            }
            "SQUEEZE" => {
                let x = self.value(operator.input(0)?)?;
                let axes = match operator.options {
                    Some(options) => options.vector(0, 4)?.ints()?,
                    None => Vec::new(),
                };
                match axes.is_empty() {
                    true => self.graph.node(name, kind, Op::Squeeze, &[x]),
                    false => self.squeezed(name, kind, x, &axes),
                }
            }
            "PACK" | "CONCATENATION" => {
                let (pack, mut parts) = (kind == "PACK", Vec::new());
                let axis = operator.int(usize::from(pack))?;
                for &k in &operator.inputs {
                    let part = self.value(k)?;
                    parts.push(if pack {
                        let axes = self.list(name, vec![i64::from(axis)]);
                        self.graph.node(name, kind, Op::Unsqueeze, &[part, axes])
                    } else {
                        part
                    });
                }
                let op = Op::Concat {
                    axis: i64::from(axis),
                };
                let y = self.graph.node(name, kind, op, &parts);
                if pack {
                    y
                } else {
                    self.fused(operator, 1, name, y)?
                }
            }
            "GATHER" => {
                ensure!(
                    operator.int(1)? == 0,
                    "attribute `batch_dims`: {}, expected 0",
                    operator.int(1)?
                );
                let (table, tokens) = (
                    self.value(operator.input(0)?)?,
                    self.value(operator.input(1)?)?,
                );
                let op = Op::Gather {
                    axis: i64::from(operator.int(0)?),
                };
                self.graph.node(name, kind, op, &[table, tokens])
            }
            "ADD" | "SUB" | "MUL" | "DIV" => {
                let binary = match kind {
                    "ADD" => Binary::Add,
                    "SUB" => Binary::Sub,
                    "MUL" => Binary::Mul,
                    _ => Binary::Div,
                };
                let (a, b) = (
                    self.value(operator.input(0)?)?,
                    self.value(operator.input(1)?)?,
                );
                let y = self.graph.node(name, kind, Op::Binary(binary), &[a, b]);
                self.fused(operator, 0, name, y)?
            }
            "IF" => bail!(
                "a branch: import the .keras or .h5 file that it was converted from, or convert an LSTM without `recurrent_dropout`"
            ),
            _ => bail!(
                "the engine has no layer for it; read are UNIDIRECTIONAL_SEQUENCE_LSTM and _RNN, FULLY_CONNECTED, embeddings (GATHER), \
                 LOGISTIC, TANH, RELU, SOFTMAX and what moves axes"
            ),
        };
        self.define(output, y)
    }

    /// An operator of one operand.
    fn unary(&mut self, operator: &Operator, name: &str, op: Op) -> Result<ValueId> {
        let x = self.value(operator.input(0)?)?;
        Ok(self.graph.node(name, &operator.kind, op, &[x]))
    }

    fn squeezed(&mut self, name: &str, kind: &str, x: ValueId, axes: &[i32]) -> ValueId {
        let axes = self.list(name, axes.iter().copied().map(i64::from).collect());
        self.graph.node(name, kind, Op::Squeeze, &[x, axes])
    }

    fn fused(
        &mut self,
        operator: &Operator,
        number: usize,
        name: &str,
        x: ValueId,
    ) -> Result<ValueId> {
        let function = function(operator.fused(number)?)?;
        Ok(self.graph.activation(name, function, x))
    }

    fn fully_connected(&mut self, operator: &Operator, name: &str) -> Result<ValueId> {
        let kind = &operator.kind;
        let format = operator.options.map_or(Ok(None), |o| o.byte(1))?;
        ensure!(
            matches!(format, None | Some(0)),
            "attribute `weights_format`: shuffled weights are not read"
        );
        let from = operator.input(0)?;
        let mut x = self.value(from)?;
        let weight = self.weight(operator.input(1)?)?;
        let &[outputs, inputs] = &weight.shape[..] else {
            bail!("weights of shape {:?}, expected a matrix", weight.shape)
        };
        if !operator.is(2)? && self.dims(from)?.len() != 2 {
            let rows = self.list(name, vec![-1, inputs as i64]);
            let op = Op::Reshape { zero: true };
            x = self.graph.node(name, kind, op, &[x, rows]);
        }
        let w = weight.floats()?;
        let turned = (0..inputs).flat_map(|k| (0..outputs).map(move |o| (o, k)));
        let turned = turned.map(|(o, k)| w[o * inputs + k]).collect();
        let bias = match operator.optional(2) {
            Some(k) => Some(self.weight(k)?.floats()?.to_vec()),
            None => None,
        };
        let turned = Tensor::f32(vec![inputs, outputs], turned)?;
        let y = self.graph.dense(name, kind, turned, bias, x)?;
        self.fused(operator, 0, name, y)
    }

    fn strided_slice(&mut self, operator: &Operator, name: &str) -> Result<ValueId> {
        let kind = &operator.kind;
        let x = self.value(operator.input(0)?)?;
        let mut bounds = Vec::new();
        for k in 1..4 {
            bounds.push(self.weight(operator.input(k)?)?.ints()?.to_vec());
        }
        let [mut starts, mut ends, steps] = <[Vec<i64>; 3]>::try_from(bounds).unwrap_or_default();
        ensure!(
            starts.len() <= RANK && starts.len() == ends.len() && starts.len() == steps.len(),
            "{} starts, {} ends and {} steps",
            starts.len(),
            ends.len(),
            steps.len()
        );
        let [from_start, to_end, ellipsis, new, shrink] = {
            let mut masks = [0; 5];
            for (k, mask) in masks.iter_mut().enumerate() {
                *mask = operator.int(k)?;
            }
            masks
        };
        ensure!(
            ellipsis == 0 && new == 0 && !operator.is(5)?,
            "attributes `ellipsis_mask`, `new_axis_mask` and `offset` are not read"
        );
        let (mut steps, mut gone) = (steps, Vec::new());
        for k in 0..starts.len() {
            let masked = |mask: i32| mask >> k & 1 == 1;
            if masked(shrink) {
                (ends[k], steps[k]) = (starts[k].saturating_add(1), 1);
                if ends[k] == 0 {
                    ends[k] = i64::MAX;
                }
                gone.push(k as i32);
                continue;
            }
            let forward = steps[k] > 0;
            if masked(from_start) {
                starts[k] = if forward { 0 } else { i64::MAX };
            }
            if masked(to_end) {
                ends[k] = if forward { i64::MAX } else { i64::MIN };
            }
        }
        let axes = (0..starts.len() as i64).collect();
        let bounds = [starts, ends, axes, steps].map(|list| self.list(name, list));
        let inputs: Vec<ValueId> = [x].into_iter().chain(bounds).collect();
        let y = self.graph.node(name, kind, Op::Slice, &inputs);
        Ok(match gone.is_empty() {
            true => y,
            false => self.squeezed(name, kind, y, &gone),
        })
    }

    fn lstm(&mut self, operator: &Operator, name: &str) -> Result<ValueId> {
        ensure!(
            (20..24).all(|k| operator.optional(k).is_none()),
            "layer normalisation within the cell (inputs 20 to 23), which the engine's cells do not have; train without it"
        );
        ensure!(
            !operator.is(5)?,
            "attribute `diagonal_recurrent_tensors`: the engine's cells have whole matrices"
        );
        let clip = operator.float(1)?;
        let projection_clip = operator.float(2)?;
        ensure!(
            projection_clip == 0.0,
            "attribute `proj_clip`: {projection_clip}: the engine does not clip; convert without it"
        );
        // Without an input gate it is 1 − f.
        let coupled = operator.optional(1).is_none();
        let kind = if coupled {
            Kind::LstmCoupled
        } else {
            Kind::Lstm
        };
        let first = usize::from(coupled);
        let [inputs, hidden] = self.matrix(operator.input(2)?)?;
        let mut joined = |from: usize, gates: std::ops::Range<usize>| -> Result<Vec<f32>> {
            let mut all = Vec::new();
            for gate in gates {
                let part = self.weight(operator.input(from + gate)?)?;
                all.extend_from_slice(part.floats()?);
            }
            Ok(all)
        };
        let w_ih = joined(1, first..4)?;
        let w_hh = joined(5, first..4)?;
        let b_ih = joined(12, first..4)?;
        let peephole = match operator.optional(10) {
            Some(_) => Some(joined(9, first..3)?),
            None => None,
        };
        let projection = match operator.optional(16) {
            Some(_) => Some(joined(16, 0..1)?),
            None => None,
        };
        if operator.optional(17).is_some() {
            ensure!(
                joined(17, 0..1)?.iter().all(|&b| b == 0.0),
                "a bias of the projection, which no layer here has; train without it"
            );
        }
        let shown = function(operator.fused(0)?)?;
        let direction = Direction {
            reverse: false,
            w_ih,
            w_hh,
            b_hh: vec![0.0; b_ih.len()],
            b_ih,
            peephole,
            projection,
            functions: [Function::Sigmoid, shown, shown],
        };
        let recurrent = Recurrent {
            kind,
            inputs,
            hidden,
            directions: vec![direction],
            clip: None,
            cell_clip: Some(clip).filter(|&clip| clip > 0.0),
        };
        let states = [operator.optional(18), operator.optional(19)];
        self.recurrent(operator, name, recurrent, &states, operator.is(3)?)
    }

    fn rnn(&mut self, operator: &Operator, name: &str) -> Result<ValueId> {
        let [inputs, hidden] = self.matrix(operator.input(1)?)?;
        let mut weights = |k: usize| -> Result<Vec<f32>> {
            Ok(self.weight(operator.input(k)?)?.floats()?.to_vec())
        };
        let direction = Direction {
            reverse: false,
            w_ih: weights(1)?,
            w_hh: weights(2)?,
            b_ih: weights(3)?,
            b_hh: vec![0.0; hidden],
            peephole: None,
            projection: None,
            functions: [function(operator.fused(1)?)?; 3],
        };
        let recurrent = Recurrent {
            kind: Kind::Rnn,
            inputs,
            hidden,
            directions: vec![direction],
            clip: None,
            cell_clip: None,
        };
        let states = [operator.optional(4)];
        self.recurrent(operator, name, recurrent, &states, operator.is(0)?)
    }

    /// The inputs and the units of a gate's weights.
    fn matrix(&self, k: i32) -> Result<[usize; 2]> {
        match self.dims(k)?[..] {
            [Dim::Fixed(units), Dim::Fixed(inputs)] => Ok([inputs, units]),
            _ => bail!("tensor {k}: weights that are no matrix"),
        }
    }

    /// A recurrent operator with its states. Those are variables of the interpreter, which go on from call to call until they are
    /// reset: where a call is one sample they are a stream's, and a longer sequence begins anew.
    fn recurrent(
        &mut self,
        operator: &Operator,
        name: &str,
        recurrent: Recurrent,
        states: &[Option<i32>],
        time_major: bool,
    ) -> Result<ValueId> {
        recurrent.check()?;
        let kind = operator.kind.as_str();
        let from = operator.input(0)?;
        let dims = self.dims(from)?;
        ensure!(
            dims.len() == 3,
            "an input of {} dimensions, expected 3",
            dims.len()
        );
        let single = dims[usize::from(!time_major)] == Dim::Fixed(1);
        let mut x = self.value(from)?;
        let turn = || Op::Transpose {
            perm: Some(vec![1, 0, 2]),
        };
        if !time_major {
            x = self.graph.node(name, kind, turn(), &[x]);
        }
        let mut inputs = vec![Some(x)];
        let mut carried = Vec::new();
        for (part, state) in states.iter().enumerate() {
            let Some(k) = *state else {
                inputs.push(None);
                continue;
            };
            let variable = self.tensor(k)?.is(5)? && self.data(k)?.is_none();
            let start = match (variable, single) {
                (true, false) => {
                    self.begins = true;
                    inputs.push(None);
                    continue;
                }
                (true, true) => {
                    let (label, dims) = (self.name(k)?, self.dims(k)?);
                    let value = self.graph.value(label);
                    self.graph.inputs.push(Input {
                        value,
                        dims,
                        names: Vec::new(),
                        whole: false,
                    });
                    carried.push(part + 1);
                    value
                }
                (false, _) => self.value(k)?,
            };
            let axes = self.list(name, vec![0]);
            let start = self.graph.node(name, kind, Op::Unsqueeze, &[start, axes]);
            inputs.push(Some(start));
        }
        let outputs = [
            name.to_owned(),
            format!("{name} state"),
            format!("{name} cell"),
        ];
        let outputs = outputs.map(|name| self.graph.value(name));
        self.graph.nodes.push(Node {
            name: name.to_owned(),
            kind: kind.to_owned(),
            op: Op::Recurrent(Box::new(recurrent)),
            inputs,
            outputs: outputs.to_vec(),
        });
        for part in carried {
            let next = self.squeezed(name, kind, outputs[part], &[0]);
            self.states.push(next);
        }
        let y = self.squeezed(name, kind, outputs[0], &[1]);
        Ok(match time_major {
            true => y,
            false => self.graph.node(name, kind, turn(), &[y]),
        })
    }

    /// What became of integers and of states.
    fn told(&mut self) {
        if self.rounded > 0 {
            let share = 100.0 * self.rounded as f64 / self.read.max(1) as f64;
            self.graph.notes.push(format!(
                "{} of {} weights ({share:.0} %) were integers with a scale and became the real numbers that they stand for; what the file's \
                 interpreter rounds between its operators is not rounded here",
                self.rounded, self.read
            ));
        }
        if self.begins {
            self.graph.notes.push(
                "the interpreter of the file carries states from call to call unless they are reset; here every sequence begins with zeros"
                    .to_owned(),
            );
        }
    }
}
