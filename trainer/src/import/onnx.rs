//! ONNX, opset 7 and later.
//!
//! Operators are brought into one form on the way: attributes that became inputs in a later opset are inputs, `Gemm` is a product
//! and a sum, gates stand in PyTorch's order, a `layout` of batch first is transposed. What depends on constants alone is computed
//! here. Weights may lie in a file beside this one, but nowhere else.

use super::beside::named_file;
use super::graph::{
    self, Binary, Convolution, Dim, Direction, Function, Graph, Input, Kind, Node, Op, Pooling,
    Recurrent, Reduction, Tensor, ValueId, Values, count,
};
use super::interpret;
use crate::net::PoolKind;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rten_onnx::onnx::{
    AttributeProto, DataLocation, DataType, GraphProto, ModelProto, NodeProto, TensorProto,
    ValueInfoProto,
};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The graph of an ONNX model; external data lie in `folder`.
pub(super) fn read(bytes: &[u8], folder: &Path) -> Result<Graph> {
    let damaged = |what: &str| anyhow!("not a whole ONNX model ({} bytes): {what}", bytes.len());
    whole(bytes, Message::Model, 0).map_err(damaged)?;
    let model = ModelProto::parse_buf(bytes).map_err(|e| damaged(&e.to_string()))?;
    let proto = model
        .graph
        .ok_or_else(|| damaged("there is no graph in it"))?;
    let advice = advice(model.producer_name.as_deref().unwrap_or_default(), &proto);
    let opset = (model.opset_import.iter())
        .find(|set| matches!(set.domain.as_deref(), None | Some("" | "ai.onnx")))
        .and_then(|set| set.version)
        .ok_or_else(|| damaged("it does not say which version of the operators it uses"))?;
    ensure!(
        opset >= 7,
        "operators of version {opset}, expected 7 or later: export it again with opset_version=17"
    );
    let mut reader = Reader {
        graph: Graph {
            advice,
            ..Graph::default()
        },
        names: HashMap::new(),
        opset,
        logarithms: Vec::new(),
    };
    for initializer in &proto.initializer {
        let name = initializer.name.clone().unwrap_or_default();
        let tensor =
            tensor(initializer, Some(folder)).with_context(|| format!("tensor `{name}`"))?;
        let id = reader.graph.constant(&name, tensor);
        reader.define(&name, id)?;
        if let Some(location) = outside(initializer) {
            let file = folder.join(location);
            if !reader.graph.files.contains(&file) {
                reader.graph.files.push(file);
            }
        }
    }
    for input in &proto.input {
        reader.input(input)?;
    }
    for node in &proto.node {
        let (name, kind) = reader.title(node);
        let read = reader.node(node, &name, &kind);
        let read = read.with_context(|| format!("node `{name}` ({kind})"));
        graph::advised(read, advice)?;
    }
    for output in &proto.output {
        let name = output.name.clone().unwrap_or_default();
        let id = reader
            .names
            .get(&name)
            .with_context(|| format!("output `{name}` is made by no node"))?;
        reader.graph.outputs.push(*id);
    }
    reader.only_answers_are_logarithms()?;
    reader.without_what_is_cut_off();
    reader.graph.find_tokens();
    Ok(reader.graph)
}

/// Another way than a file in which layers are written out.
fn advice(producer: &str, graph: &GraphProto) -> Option<&'static str> {
    let of_tensorflow = ["tf2onnx", "keras"].iter().any(|p| producer.contains(p));
    let cell = |node: &NodeProto| matches!(node.op_type.as_deref(), Some("LSTM" | "GRU" | "RNN"));
    match (of_tensorflow, graph.node.iter().any(cell)) {
        (true, _) => Some(
            "the file was written by way of TensorFlow, which writes layers of Keras out in pieces: import the Keras model itself, model.save(\"net.keras\")",
        ),
        (false, false) => Some(
            "there is no LSTM, GRU or RNN operator in the file: where cells were written out in pieces, as Keras does in model.export, import what it was made \
             of, Keras' model.save(\"net.keras\") or PyTorch's state dict",
        ),
        (false, true) if is_projected(graph) => Some(
            "PyTorch's newer exporter does not write an nn.LSTM with proj_size as a whole: import the state dict, torch.save(model.state_dict(), \"net.pt\")",
        ),
        (false, true) => None,
    }
}

/// An LSTM whose outputs are narrower than its cells, by the states that it begins with: ONNX has no such.
fn is_projected(graph: &GraphProto) -> bool {
    let width = |name: Option<&String>| {
        let mut all = graph.initializer.iter();
        let state = all.find(|tensor| tensor.name.as_ref() == name && name.is_some())?;
        state.dims.last().copied()
    };
    graph.node.iter().any(|node| {
        let states = [5, 6].map(|k| width(node.input.get(k)));
        node.op_type.as_deref() == Some("LSTM") && matches!(states, [Some(h), Some(c)] if h != c)
    })
}

/// What to do with a file whose operators run in integers.
const QUANTIZED: &str = "import the model as it was before it was quantized, and choose a format of ours with --precision; of weights alone the integers are read";

/// The real numbers that integers with a scale stand for: one for all, or one for each place of an axis.
fn dequantized(x: &Tensor, scale: &Tensor, zero: Option<&Tensor>, axis: i64) -> Result<Tensor> {
    let (numbers, scale) = (x.ints()?, scale.floats()?);
    let zero = zero.map_or_else(|| Ok(&[0][..]), Tensor::ints)?;
    let axis = match scale.len() {
        1 => 0,
        _ => interpret::axis(axis, x.shape.len())?,
    };
    let each: usize = x.shape.iter().skip(axis + 1).product();
    let places = x.shape.get(axis).copied().unwrap_or(1);
    ensure!(
        [1, places].contains(&scale.len()) && [1, scale.len()].contains(&zero.len()),
        "{} scales and {} zeros for {places} places",
        scale.len(),
        zero.len()
    );
    let real = |(k, number): (usize, &i64)| {
        let place = k / each.max(1) % places.max(1);
        number.saturating_sub(zero[place % zero.len()]) as f32 * scale[place % scale.len()]
    };
    Tensor::f32(
        x.shape.clone(),
        numbers.iter().enumerate().map(real).collect(),
    )
}

/// Graphs lie within attributes of nodes of graphs; a real file's go a few deep, and each is a call.
const DEEPEST: usize = 64;

/// Messages that `rten-onnx` reads.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    SequenceType,
    Shape,
    /// Without messages in it.
    Leaf,
}

/// What a field of a message holds.
enum Content {
    Message(Message),
    /// Numbers of so many bytes, one after the other.
    Packed(usize),
    Varints,
    Bytes,
}

impl Message {
    fn content(self, field: u64) -> Content {
        use Content::{Bytes, Packed, Varints};
        Content::Message(match (self, field) {
            (Message::Model, 7) | (Message::Attribute, 6) => Message::Graph,
            (Message::Graph, 1) => Message::Node,
            (Message::Node, 5) => Message::Attribute,
            (Message::Graph | Message::Attribute, 5) => Message::Tensor,
            (Message::Graph, 11..=13) => Message::ValueInfo,
            (Message::ValueInfo, 2) | (Message::SequenceType, 1) => Message::Type,
            (Message::Type, 1) => Message::TensorType,
            (Message::Type, 4) => Message::SequenceType,
            (Message::TensorType, 2) => Message::Shape,
            (Message::Model, 8 | 14) | (Message::Tensor, 13) | (Message::Shape, 1) => Message::Leaf,
            (Message::Tensor, 4) | (Message::Attribute, 7) => return Packed(4),
            (Message::Tensor, 10) => return Packed(8),
            (Message::Tensor, 1 | 5 | 7 | 11) | (Message::Attribute, 8) => return Varints,
            _ => return Bytes,
        })
    }
}

/// Whether every field ends within the message that it lies in, and messages within messages have an end: what `rten-onnx` takes for granted.
fn whole(bytes: &[u8], message: Message, deep: usize) -> Result<(), &'static str> {
    if deep > DEEPEST {
        return Err("messages within messages without an end");
    }
    let mut at = 0;
    while at < bytes.len() {
        let (key, next) = varint(bytes, at).ok_or("a field without a number")?;
        at = next;
        let len = match key & 7 {
            0 => varint(bytes, at).ok_or("a number without an end")?.1 - at,
            1 => 8,
            5 => 4,
            2 => {
                let (len, next) = varint(bytes, at).ok_or("a field without a length")?;
                at = next;
                usize::try_from(len).unwrap_or(usize::MAX)
            }
            _ => return Err("a field of an unknown kind"),
        };
        let field = at.checked_add(len).and_then(|end| bytes.get(at..end));
        let field = field.ok_or("a field is longer than what it lies in")?;
        at += len;
        if key & 7 == 2 {
            match message.content(key >> 3) {
                Content::Message(message) => whole(field, message, deep + 1)?,
                Content::Packed(n) if len % n != 0 => return Err("part of a number"),
                Content::Varints if field.last().is_some_and(|&b| b >= 0x80) => {
                    return Err("a number without an end");
                }
                Content::Packed(_) | Content::Varints | Content::Bytes => {}
            }
        }
    }
    Ok(())
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at));
        }
    }
    None
}

/// A tensor of the file, or beside it.
fn tensor(proto: &TensorProto, folder: Option<&Path>) -> Result<Tensor> {
    let shape = proto
        .dims
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| anyhow!("dimension {d}")));
    let shape = shape.collect::<Result<Vec<_>>>()?;
    let len = count(&shape).with_context(|| format!("shape {shape:?} is too large"))?;
    let kind = proto.data_type.unwrap_or(DataType(0));
    let size = match kind {
        DataType::FLOAT | DataType::INT32 => 4,
        DataType::DOUBLE | DataType::INT64 => 8,
        DataType::FLOAT16 | DataType::BFLOAT16 => 2,
        DataType::BOOL | DataType::INT8 | DataType::UINT8 => 1,
        other => bail!(
            "numbers of the type {other}, expected FLOAT, DOUBLE, FLOAT16, BFLOAT16 or whole ones"
        ),
    };
    let raw = if is_outside(proto) {
        let need = len.checked_mul(size).context("it is too large")?;
        Some(external(
            proto,
            folder.context("it lies in another file")?,
            need,
        )?)
    } else {
        proto.raw_data.as_ref().map(|raw| raw.borrow().clone())
    };
    let values = match raw {
        Some(raw) => {
            ensure!(
                len.checked_mul(size) == Some(raw.len()),
                "{} bytes for the shape {shape:?} of {kind}",
                raw.len()
            );
            numbers(kind, &raw)
        }
        None => match kind {
            DataType::FLOAT => Values::F32(proto.float_data.clone()),
            DataType::DOUBLE => Values::F32(proto.double_data.iter().map(|&x| x as f32).collect()),
            DataType::INT64 => Values::I64(proto.int64_data.clone()),
            DataType::FLOAT16 => {
                let half = |&x: &i32| half::f16::from_bits(x as u16).to_f32();
                Values::F32(proto.int32_data.iter().map(half).collect())
            }
            DataType::BFLOAT16 => {
                let half = |&x: &i32| half::bf16::from_bits(x as u16).to_f32();
                Values::F32(proto.int32_data.iter().map(half).collect())
            }
            _ => Values::I64(proto.int32_data.iter().map(|&x| x.into()).collect()),
        },
    };
    if let Values::F32(v) = &values
        && let Some(at) = v.iter().position(|x| !x.is_finite())
    {
        bail!(
            "{} at index {at} of shape {shape:?}, expected a finite number",
            v[at]
        );
    }
    Tensor::new(shape, values)
}

fn numbers(kind: DataType, raw: &[u8]) -> Values {
    let f32s =
        |f: &dyn Fn(&[u8]) -> f32, size| Values::F32(raw.chunks_exact(size).map(f).collect());
    let i64s =
        |f: &dyn Fn(&[u8]) -> i64, size| Values::I64(raw.chunks_exact(size).map(f).collect());
    fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
        std::array::from_fn(|i| bytes[i])
    }
    match kind {
        DataType::FLOAT => f32s(&|b| f32::from_le_bytes(fixed(b)), 4),
        DataType::DOUBLE => f32s(&|b| f64::from_le_bytes(fixed(b)) as f32, 8),
        DataType::FLOAT16 => f32s(&|b| half::f16::from_le_bytes(fixed(b)).to_f32(), 2),
        DataType::BFLOAT16 => f32s(&|b| half::bf16::from_le_bytes(fixed(b)).to_f32(), 2),
        DataType::INT64 => i64s(&|b| i64::from_le_bytes(fixed(b)), 8),
        DataType::INT32 => i64s(&|b| i32::from_le_bytes(fixed(b)).into(), 4),
        DataType::INT8 => i64s(&|b| i64::from(b[0] as i8), 1),
        _ => i64s(&|b| i64::from(b[0]), 1),
    }
}

/// A tensor's numbers lie in another file.
fn is_outside(proto: &TensorProto) -> bool {
    proto.data_location == Some(DataLocation::EXTERNAL)
}

/// The file that they lie in then.
fn outside(proto: &TensorProto) -> Option<&str> {
    is_outside(proto)
        .then(|| entry(proto, "location"))
        .flatten()
}

/// What is said about numbers in another file.
fn entry<'p>(proto: &'p TensorProto, key: &str) -> Option<&'p str> {
    let mut entries = proto.external_data.iter();
    let found = entries.find(|e| e.key.as_deref() == Some(key))?;
    found.value.as_deref()
}

/// Bytes of a file beside the model.
fn external(proto: &TensorProto, folder: &Path, need: usize) -> Result<Vec<u8>> {
    let location = outside(proto).context("it lies in another file, which is not named")?;
    let path = named_file(folder, location)?;
    let at = path.display();
    let number = |key: &str| match entry(proto, key) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| anyhow!("{key} {text:?} of its data")),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    ensure!(
        length.is_none_or(|length| length == need as u64),
        "{} bytes of data in {at}, expected {need}",
        length.unwrap_or_default()
    );
    let mut file = File::open(&path)
        .map_err(|e| anyhow!("its data lie in {at}, which cannot be read: {e}"))?;
    let have = file
        .metadata()
        .map(|m| m.len())
        .unwrap_or(0)
        .saturating_sub(offset);
    ensure!(
        have >= need as u64,
        "{at} has {have} bytes from {offset} on, expected {need}: the file is not whole"
    );
    let mut bytes = vec![0; need];
    (file
        .seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut bytes)))
    .map_err(|e| anyhow!("its data lie in {at}, which cannot be read: {e}"))?;
    Ok(bytes)
}

struct Reader {
    graph: Graph,
    names: HashMap<String, ValueId>,
    opset: i64,
    /// Softmaxes in place of their logarithms.
    logarithms: Vec<ValueId>,
}

impl Reader {
    fn define(&mut self, name: &str, id: ValueId) -> Result<()> {
        let known = self.names.insert(name.to_owned(), id);
        self.graph.values[id.0].name = name.to_owned();
        ensure!(known.is_none(), "value `{name}` is made twice");
        Ok(())
    }

    fn input(&mut self, info: &ValueInfoProto) -> Result<()> {
        let name = info.name.clone().unwrap_or_default();
        if self.names.contains_key(&name) {
            return Ok(());
        }
        let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let tensor = tensor.with_context(|| format!("input `{name}` is not a tensor"))?;
        let shape = tensor.shape.as_ref();
        let shape =
            shape.with_context(|| format!("input `{name}` has no shape: export it with one"))?;
        let dim = |d: &rten_onnx::onnx::Dimension| match d.dim_value {
            Some(n) if n > 0 => usize::try_from(n)
                .map(Dim::Fixed)
                .map_err(|_| anyhow!("dimension {n}")),
            Some(n) => bail!("input `{name}` has a dimension of {n}"),
            None => Ok(Dim::Open),
        };
        let dims = shape.dim.iter().map(dim).collect::<Result<_>>()?;
        let named = |d: &rten_onnx::onnx::Dimension| d.dim_param.clone().unwrap_or_default();
        let names = shape.dim.iter().map(named).collect();
        let kind = tensor.elem_type.unwrap_or(DataType(0));
        let whole = match kind {
            DataType::FLOAT | DataType::DOUBLE | DataType::FLOAT16 | DataType::BFLOAT16 => false,
            DataType::INT64 | DataType::INT32 => true,
            other => bail!(
                "input `{name}` is of the type {other}, expected floats or tokens as INT64 or INT32"
            ),
        };
        let value = self.graph.value(&name);
        self.graph.inputs.push(Input {
            value,
            dims,
            names,
            whole,
        });
        self.define(&name, value)
    }

    /// Name and kind; a node without a name is called by what it makes.
    fn title(&self, node: &NodeProto) -> (String, String) {
        let name = node.name.clone().filter(|name| !name.is_empty());
        let name = name.or_else(|| node.output.iter().find(|o| !o.is_empty()).cloned());
        (
            name.unwrap_or_default(),
            node.op_type.clone().unwrap_or_default(),
        )
    }

    fn value(&self, name: &str) -> Result<Option<ValueId>> {
        if name.is_empty() {
            return Ok(None);
        }
        let id = self.names.get(name);
        Ok(Some(*id.with_context(|| {
            format!("its input `{name}` is made by no node before it")
        })?))
    }

    fn constant(&self, id: Option<ValueId>) -> Option<&Tensor> {
        self.graph.values[id?.0].constant.as_ref()
    }

    /// Adds a node, or its results where they are known.
    fn add(
        &mut self,
        name: &str,
        kind: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        outputs: usize,
    ) -> Result<Vec<ValueId>> {
        let outputs: Vec<ValueId> = (0..outputs).map(|_| self.graph.value(name)).collect();
        let node = Node {
            name: name.to_owned(),
            kind: kind.to_owned(),
            op,
            inputs,
            outputs: outputs.clone(),
        };
        let operands: Vec<_> = node.inputs.iter().map(|&id| self.constant(id)).collect();
        let known = node
            .inputs
            .iter()
            .zip(&operands)
            .all(|(id, c)| id.is_none() || c.is_some());
        if known && !matches!(node.op, Op::Recurrent(_)) {
            let results = interpret::evaluate(&node, &operands)?;
            for (id, result) in outputs.iter().zip(results) {
                self.graph.values[id.0].constant = Some(result);
            }
        } else {
            self.graph.nodes.push(node);
        }
        Ok(outputs)
    }

    fn list(&mut self, name: &str, values: Vec<i64>) -> Option<ValueId> {
        Some(self.graph.constant(name, Tensor::list(values)))
    }

    fn node(&mut self, proto: &NodeProto, name: &str, kind: &str) -> Result<()> {
        let domain = proto.domain.as_deref().unwrap_or("");
        ensure!(
            matches!(domain, "" | "ai.onnx"),
            "an operator of `{domain}`, expected ONNX's own: {}",
            match kind.contains("Quantize")
                || kind.contains("Integer")
                || kind.starts_with("QLinear")
            {
                true => QUANTIZED,
                false => "export it without the optimizer that put it there",
            }
        );
        let attributes = Attributes(&proto.attribute);
        let inputs = proto
            .input
            .iter()
            .map(|name| self.value(name))
            .collect::<Result<Vec<_>>>()?;
        let input = |k: usize| inputs.get(k).copied().flatten();
        let need = |k: usize| input(k).with_context(|| format!("its input {k} is missing"));
        let mut outputs = proto.output.len();
        let one = |op: Op| Ok::<_, anyhow::Error>((op, inputs.clone()));
        let unary = |f: Function| one(Op::Unary(f));
        let (op, operands) = match kind {
            "Identity" => one(Op::Identity)?,
            "Dropout" => {
                let training = match input(2) {
                    None => Some(false),
                    Some(id) => self.constant(Some(id)).map(|t| match &t.values {
                        Values::I64(v) => v.iter().any(|&x| x != 0),
                        Values::F32(v) => v.iter().any(|&x| x != 0.0),
                    }),
                };
                ensure!(
                    training == Some(false),
                    "input `training_mode`: it drops values while it runs: export the model with model.eval()"
                );
                outputs = 1;
                (Op::Identity, vec![Some(need(0)?)])
            }
            "Constant" => {
                let value = attributes.constant()?;
                let id = self.graph.constant(name, value);
                return self.define(proto.output.first().map_or("", |s| s), id);
            }
            "Transpose" => {
                let perm = attributes
                    .ints("perm")
                    .map(|p| p.iter().map(|&a| a as usize).collect());
                one(Op::Transpose { perm })?
            }
            "Reshape" => one(Op::Reshape {
                zero: attributes.int("allowzero", 0) != 0,
            })?,
            "Flatten" => one(Op::Flatten {
                axis: attributes.int("axis", 1),
            })?,
            "Squeeze" | "Unsqueeze" => {
                let op = if kind == "Squeeze" {
                    Op::Squeeze
                } else {
                    Op::Unsqueeze
                };
                let axes = match attributes.ints("axes") {
                    Some(axes) => self.list(name, axes.to_vec()),
                    None => input(1),
                };
                (op, vec![Some(need(0)?), axes])
            }
            "Slice" => match (attributes.ints("starts"), attributes.ints("ends")) {
                (Some(starts), Some(ends)) => {
                    let [starts, ends] = [starts, ends].map(|list| self.list(name, list.to_vec()));
                    let axes = attributes
                        .ints("axes")
                        .and_then(|axes| self.list(name, axes.to_vec()));
                    (Op::Slice, vec![Some(need(0)?), starts, ends, axes])
                }
                _ => one(Op::Slice)?,
            },
            "Gather" => one(Op::Gather {
                axis: attributes.int("axis", 0),
            })?,
            "Concat" => one(Op::Concat {
                axis: attributes.int("axis", 0),
            })?,
            "Split" => {
                let lengths = match attributes.ints("split") {
                    Some(lengths) => self.list(name, lengths.to_vec()),
                    None => input(1),
                };
                (
                    Op::Split {
                        axis: attributes.int("axis", 0),
                    },
                    vec![Some(need(0)?), lengths],
                )
            }
            "Expand" => one(Op::Expand)?,
            "Tile" => one(Op::Tile)?,
            "Equal" => one(Op::Equal)?,
            "Where" => one(Op::Where)?,
            "Shape" => one(Op::Shape {
                start: attributes.int("start", 0),
                end: attributes.get("end").and_then(|a| a.i),
            })?,
            "ConstantOfShape" => {
                let zero = || Tensor::f32(vec![1], vec![0.0]);
                let value = attributes.get("value").and_then(|a| a.t.as_ref());
                one(Op::Fill(value.map_or_else(zero, |t| tensor(t, None))?))?
            }
            "Cast" => {
                let to = DataType(i32::try_from(attributes.int("to", 0)).unwrap_or(0));
                let whole = match to {
                    DataType::FLOAT | DataType::DOUBLE | DataType::FLOAT16 | DataType::BFLOAT16 => {
                        false
                    }
                    DataType::INT64 | DataType::INT32 => true,
                    other => bail!("attribute `to`: {other}, expected floats or whole numbers"),
                };
                one(Op::Cast { whole })?
            }
            "Add" => one(Op::Binary(Binary::Add))?,
            "Sub" => one(Op::Binary(Binary::Sub))?,
            "Mul" => one(Op::Binary(Binary::Mul))?,
            "Div" => one(Op::Binary(Binary::Div))?,
            "Pow" => one(Op::Binary(Binary::Pow))?,
            "DequantizeLinear" => {
                let [x, scale, zero] = [0, 1, 2].map(|k| self.constant(input(k)));
                let (Some(x), Some(scale)) = (x, scale) else {
                    bail!("it rounds numbers while it runs: {QUANTIZED}")
                };
                ensure!(
                    attributes.int("block_size", 0) == 0,
                    "attribute `block_size`: a scale for each block of an axis: {QUANTIZED}"
                );
                let real = dequantized(x, scale, zero, attributes.int("axis", 1))?;
                let id = self.graph.constant(name, real);
                let note = "weights that are integers with a scale are the real numbers that they stand for; choose a format of ours with --precision";
                if !self.graph.notes.iter().any(|known| known == note) {
                    self.graph.notes.push(note.to_owned());
                }
                return self.define(proto.output.first().map_or("", |s| s), id);
            }
            "QuantizeLinear"
            | "DynamicQuantizeLinear"
            | "MatMulInteger"
            | "ConvInteger"
            | "QLinearMatMul"
            | "QLinearConv" => {
                bail!("it rounds numbers while it runs: {QUANTIZED}")
            }
            "InstanceNormalization" => {
                let [scale, offset] = [1, 2].map(|k| match self.constant(input(k))?.floats() {
                    Ok(&[one]) => Some(one),
                    _ => None,
                });
                let (Some(scale), Some(offset)) = (scale, offset) else {
                    bail!(
                        "it normalises each of several channels over the length of what it sees: the engine normalises the features of a sample together \
                         (nn.LayerNorm, or an nn.GroupNorm of one group on samples [batch, features])"
                    )
                };
                let op = Op::Norm {
                    axis: 2,
                    epsilon: attributes.float("epsilon", 1e-5),
                };
                let normalised = self.add(name, kind, op, vec![Some(need(0)?)], 1)?[0];
                let function = Function::Affine(scale, offset);
                (Op::Unary(function), vec![Some(normalised)])
            }
            "Sqrt" => unary(Function::Sqrt)?,
            "Reciprocal" => unary(Function::Reciprocal)?,
            "Neg" => unary(Function::Affine(-1.0, 0.0))?,
            "LayerNormalization" => {
                ensure!(
                    proto.output.iter().skip(1).all(String::is_empty),
                    "more outputs than the normalised values: the engine has no layer for a mean or a deviation alone"
                );
                outputs = 1;
                one(Op::Norm {
                    axis: attributes.int("axis", -1),
                    epsilon: attributes.float("epsilon", 1e-5),
                })?
            }
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceL2" => {
                let axes = match attributes.ints("axes") {
                    Some(axes) => self.list(name, axes.to_vec()),
                    None => input(1),
                };
                let keep = attributes.int("keepdims", 1) != 0;
                let x = Some(need(0)?);
                let how = match kind {
                    "ReduceMean" => Reduction::Mean,
                    "ReduceMax" => Reduction::Max,
                    _ => Reduction::Sum,
                };
                let op = Op::Reduce { how, keep };
                match kind {
                    _ if axes.is_none() && attributes.int("noop_with_empty_axes", 0) != 0 => {
                        ensure!(
                            kind != "ReduceL2",
                            "attribute `noop_with_empty_axes`: 1, without axes"
                        );
                        (Op::Identity, vec![x])
                    }
                    // The root of a sum of squares, as an nn.utils.weight_norm takes it.
                    "ReduceL2" => {
                        let squares =
                            self.add(name, kind, Op::Binary(Binary::Mul), vec![x; 2], 1)?[0];
                        let sum = self.add(name, kind, op, vec![Some(squares), axes], 1)?[0];
                        (Op::Unary(Function::Sqrt), vec![Some(sum)])
                    }
                    _ => (op, vec![x, axes]),
                }
            }
            "GlobalAveragePool" | "GlobalMaxPool" => {
                // All axes behind the channels as one.
                let shape = self.list(name, vec![0, 0, -1]);
                let op = Op::Reshape { zero: false };
                let flat = self.add(name, kind, op, vec![Some(need(0)?), shape], 1)?[0];
                let how = match kind {
                    "GlobalMaxPool" => Reduction::Max,
                    _ => Reduction::Mean,
                };
                let axes = self.list(name, vec![2]);
                (Op::Reduce { how, keep: true }, vec![Some(flat), axes])
            }
            "Conv" | "MaxPool" | "AveragePool" => {
                let of_weights = self.constant(input(1)).filter(|_| kind == "Conv");
                let of_weights = of_weights.and_then(|w| {
                    let sizes = w.shape.get(2..)?.iter();
                    sizes.map(|&n| i64::try_from(n).ok()).collect()
                });
                let stated = attributes.ints("kernel_shape").map(<[i64]>::to_vec);
                let kernel: Vec<i64> = of_weights.or(stated).unwrap_or_default();
                if let &[high, wide] = &kernel[..] {
                    return self.along_one(proto, (name, kind), &attributes, &inputs, [high, wide]);
                }
                one(seeing(kind, &attributes, kernel.last().copied(), None)?)?
            }
            "Pad" => {
                let mirror = match attributes.text("mode")?.as_deref() {
                    None | Some("constant") => false,
                    Some("reflect") => true,
                    Some(other) => bail!("attribute `mode`: {other}, expected constant or reflect"),
                };
                let operands = match attributes.ints("pads") {
                    // Before opset 11.
                    Some(pads) => {
                        let value = attributes.float("value", 0.0);
                        ensure!(mirror || value == 0.0, "it pads with {value}, expected 0");
                        vec![Some(need(0)?), self.list(name, pads.to_vec())]
                    }
                    None => inputs.clone(),
                };
                (Op::Pad { mirror }, operands)
            }
            "MatMul" => {
                let lists =
                    [0, 1].map(|k| self.constant(input(k)).is_some_and(|t| t.shape.len() == 1));
                if lists != [false, false] {
                    return self.product_of_lists(proto, (name, kind), [need(0)?, need(1)?], lists);
                }
                one(Op::MatMul)?
            }
            "Gemm" => return self.gemm(proto, name, &attributes, [input(0), input(1), input(2)]),
            "Tanh" => unary(Function::Tanh)?,
            "Sigmoid" => unary(Function::Sigmoid)?,
            "Relu" => unary(Function::Relu)?,
            "LeakyRelu" => unary(Function::LeakyRelu(attributes.float("alpha", 0.01)))?,
            "Elu" => unary(Function::Elu(attributes.float("alpha", 1.0)))?,
            "HardSigmoid" => unary(Function::HardSigmoid(
                attributes.float("alpha", 0.2),
                attributes.float("beta", 0.5),
            ))?,
            "Clip" => {
                let end = |k: usize, name: &str, without: f32| {
                    let constant = input(k).map(|id| {
                        let end = self.constant(Some(id)).and_then(|t| t.floats().ok()?.first());
                        end.copied().with_context(|| {
                            format!("input `{name}` is computed while it runs, expected a number of the file")
                        })
                    });
                    constant.unwrap_or_else(|| Ok(attributes.float(name, without)))
                };
                let (low, high) = (
                    end(1, "min", f32::NEG_INFINITY)?,
                    end(2, "max", f32::INFINITY)?,
                );
                ensure!(low < high, "it holds values within {low} and {high}");
                let ends = [low, high].map(|end| end.abs() < f32::MAX);
                let function = match (low, ends) {
                    (_, [false, false]) => Function::Identity,
                    (0.0, [true, false]) => Function::Relu,
                    (_, [true, false]) => Function::Clip(low, f32::INFINITY),
                    (_, [false, true]) => Function::Clip(f32::NEG_INFINITY, high),
                    (_, [true, true]) => Function::Clip(low, high),
                };
                (Op::Unary(function), vec![Some(need(0)?)])
            }
            "Min" | "Max" => {
                let number = |k: usize| {
                    let tensor = self.constant(input(k)).filter(|t| t.len() == 1)?;
                    tensor.floats().ok()?.first().copied()
                };
                let (x, end) = match (inputs.len(), number(0), number(1)) {
                    (2, None, Some(end)) => (need(0)?, end),
                    (2, Some(end), None) => (need(1)?, end),
                    _ => bail!(
                        "the engine has no layer that takes the larger or the smaller of two values; of a value and a number of the file it has"
                    ),
                };
                let function = match kind {
                    "Max" if end == 0.0 => Function::Relu,
                    "Max" => Function::Clip(end, f32::INFINITY),
                    _ => Function::Clip(f32::NEG_INFINITY, end),
                };
                (Op::Unary(function), vec![Some(x)])
            }
            // Below 0 it has the slope −1.
            "Abs" => unary(Function::LeakyRelu(-1.0))?,
            "PRelu" => {
                let slopes = self.constant(input(1));
                let slopes = slopes.context("its slopes are not in the file")?.floats()?;
                match slopes {
                    &[slope] => (Op::Unary(Function::LeakyRelu(slope)), vec![Some(need(0)?)]),
                    _ => one(Op::Leaky)?,
                }
            }
            "Softplus" => unary(Function::Softplus)?,
            "Softsign" => unary(Function::Softsign)?,
            "LogSoftmax" | "Softmax" if self.opset < 13 => {
                // Over all axes from this one on, as if they were one.
                let axis = attributes.int("axis", 1);
                let x = Some(need(0)?);
                let shape = self.add(
                    name,
                    kind,
                    Op::Shape {
                        start: 0,
                        end: None,
                    },
                    vec![x],
                    1,
                )?[0];
                let flat = self.add(name, kind, Op::Flatten { axis }, vec![x], 1)?[0];
                let y = self.add(name, kind, Op::Softmax { axis: -1 }, vec![Some(flat)], 1)?[0];
                self.logarithm(kind, y);
                (Op::Reshape { zero: true }, vec![Some(y), Some(shape)])
            }
            "LogSoftmax" | "Softmax" => one(Op::Softmax {
                axis: attributes.int("axis", -1),
            })?,
            "BatchNormalization" => {
                ensure!(
                    attributes.int("training_mode", 0) == 0,
                    "attribute `training_mode`: 1: export the model with model.eval()"
                );
                ensure!(
                    self.opset >= 14 || proto.output.iter().skip(1).all(String::is_empty),
                    "more than one output, which trains: export the model with model.eval()"
                );
                ensure!(
                    attributes.int("spatial", 1) != 0,
                    "attribute `spatial`: 0: a mean for every element, expected one for every feature"
                );
                let terms = [1, 2, 3, 4].map(|k| {
                    self.constant(input(k))
                        .and_then(|t| t.floats().ok().map(<[f32]>::to_vec))
                });
                let [Some(scale), Some(bias), Some(mean), Some(variance)] = terms else {
                    bail!("its scale, bias, mean and variance are not all in the file")
                };
                let n = scale.len();
                ensure!(
                    [bias.len(), mean.len(), variance.len()] == [n; 3],
                    "its terms have several lengths"
                );
                let epsilon = attributes.float("epsilon", 1e-5);
                let scale: Vec<f32> = scale
                    .iter()
                    .zip(&variance)
                    .map(|(s, v)| s / (v + epsilon).sqrt())
                    .collect();
                let offset = bias
                    .iter()
                    .zip(&mean)
                    .zip(&scale)
                    .map(|((b, m), s)| b - m * s)
                    .collect();
                outputs = 1;
                (Op::Channels { scale, offset }, vec![Some(need(0)?)])
            }
            "LSTM" | "GRU" | "RNN" => {
                return self.recurrent(proto, name, kind, &attributes, &inputs);
            }
            "If" => bail!(
                "branches that are chosen while it runs: export the model without them, or take a file of the same network that has \
                 none (of Silero VAD silero_vad_16k_op15.onnx or the copy in faster-whisper)"
            ),
            "Loop" | "Scan" => bail!(
                "a loop written out: export it with the LSTM, GRU or RNN operator (tf2onnx of a Keras layer with \
                 unroll=False and the default activations; of PyTorch torch.onnx.export)"
            ),
            "SplitToSequence" | "ConcatFromSequence" | "SequenceAt" => bail!(
                "a recurrence written out step by step: export it with torch.onnx.export(..., dynamo=False), or import the state dict"
            ),
            "GatherND" => bail!(
                "it picks places by several lists of them: for x[:, :, [2, 0, 1]] write torch.index_select(x, 2, torch.tensor([2, 0, 1])), or export it with \
                 torch.onnx.export(..., dynamo=False)"
            ),
            "Erf" => bail!(
                "a Gelu written out, or another use of Erf: the engine has no such activation; train with ELU() in its place"
            ),
            "ArgMax" | "Log" => bail!(
                "the engine has no layer for it: export the network without it, and do it with the answers, where the order of classes is the same"
            ),
            "TopK" => bail!(
                "it takes the largest of several values, for which the engine has no layer: among the outputs do it with the answers; over the samples of a \
                 sequence take x.amax(1), or the output after the last sample (x[:, -1])"
            ),
            "NonZero" => bail!(
                "it looks at all samples of a sequence together, which a stream does not know; take the output after the last sample (x[:, -1]), and \
                 export without packed sequences"
            ),
            "Attention" | "MultiHeadAttention" | "Einsum" | "Trilu" | "Mod" | "ScatterND" => bail!(
                "the engine has no layer for it, nor attention, of which it is often a part; it has recurrent layers, dense ones and convolutions"
            ),
            _ => bail!(
                "this operator is not read: the engine has no layer for it; `kinglet help importing` lists those that are"
            ),
        };
        let ids = self.add(name, kind, op, operands, outputs)?;
        for &id in &ids {
            self.logarithm(kind, id);
        }
        for (output, id) in proto
            .output
            .iter()
            .zip(ids)
            .filter(|(output, _)| !output.is_empty())
        {
            self.define(output, id)?;
        }
        Ok(())
    }

    /// A product with a list of the file, which is a row on the left and a column on the right.
    fn product_of_lists(
        &mut self,
        proto: &NodeProto,
        (name, kind): (&str, &str),
        operands: [ValueId; 2],
        lists: [bool; 2],
    ) -> Result<()> {
        let mut sides = operands.map(Some);
        let axes = [-2, -1].map(|axis| self.list(name, vec![axis]));
        for k in (0..2).filter(|&k| lists[k]) {
            // A list has no axis before its own yet.
            let axes = self.list(name, vec![k as i64]);
            sides[k] = Some(self.add(name, kind, Op::Unsqueeze, vec![sides[k], axes], 1)?[0]);
        }
        let mut y = self.add(name, kind, Op::MatMul, sides.to_vec(), 1)?[0];
        // The last axis first, so that the one before it keeps its place.
        if lists[1] {
            y = self.add(name, kind, Op::Squeeze, vec![Some(y), axes[1]], 1)?[0];
        }
        if lists[0] {
            let axis = if lists[1] { axes[1] } else { axes[0] };
            y = self.add(name, kind, Op::Squeeze, vec![Some(y), axis], 1)?[0];
        }
        self.define(proto.output.first().map_or("", |s| s), y)
    }

    /// Of a softmax whose logarithm the file takes.
    fn logarithm(&mut self, kind: &str, softmax: ValueId) {
        if kind == "LogSoftmax" && !self.logarithms.contains(&softmax) {
            self.logarithms.push(softmax);
        }
    }

    /// The softmax stands for its logarithm where that is an answer, and nothing is computed with it.
    fn only_answers_are_logarithms(&mut self) -> Result<()> {
        let mut values = self.logarithms.clone();
        for node in &self.graph.nodes {
            if node.inputs.iter().flatten().any(|id| values.contains(id)) {
                ensure!(
                    node.op.moves(),
                    "{}: it computes with what a LogSoftmax gave, and the engine has none: export the network without it, and do it with the answers",
                    node.label()
                );
                values.extend(&node.outputs);
            }
        }
        if !values.is_empty() {
            self.graph.notes.push(
                "LogSoftmax: the model gives the softmax, probabilities, of which the file gives the logarithms; the order of the classes is the same"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Zeros behind the samples whose answers are cut off again (the Chomp1d of temporal convolutional networks) were never seen.
    fn without_what_is_cut_off(&mut self) {
        let graph = &mut self.graph;
        for at in 0..graph.nodes.len() {
            let (Op::Conv(of), [y]) = (&graph.nodes[at].op, &graph.nodes[at].outputs[..]) else {
                continue;
            };
            let (y, behind) = (*y, of.pads[1]);
            let takes = |node: &&Node| node.inputs.contains(&Some(y));
            let takers: Vec<usize> = (at + 1..graph.nodes.len())
                .filter(|&k| takes(&&graph.nodes[k]))
                .collect();
            let (&[cut], 1, false) = (&takers[..], of.stride, graph.outputs.contains(&y)) else {
                continue;
            };
            let operands = &graph.nodes[cut].inputs;
            let number = |k: usize| {
                let id = operands.get(k).copied().flatten()?;
                let list = graph.values[id.0].constant.as_ref()?.ints().ok()?;
                (list.len() == 1).then(|| list[0])
            };
            let step = match operands.get(4) {
                None | Some(None) => Some(1),
                Some(_) => number(4),
            };
            let (Op::Slice, [Some(0), Some(end), Some(2 | -1), Some(1)]) = (
                &graph.nodes[cut].op,
                [number(1), number(2), number(3), step],
            ) else {
                continue;
            };
            let Some(left) = (end < 0)
                .then(|| behind as i64 + end)
                .filter(|left| *left >= 0)
            else {
                continue;
            };
            if let Op::Conv(of) = &mut graph.nodes[at].op {
                of.pads[1] = left as usize;
            }
            let cut = &mut graph.nodes[cut];
            cut.op = Op::Identity;
            cut.inputs.truncate(1);
        }
    }

    /// A convolution or a pool over two axes that leaves one of them as it is, 1 long, as TensorFlow has those over time.
    fn along_one(
        &mut self,
        proto: &NodeProto,
        (name, kind): (&str, &str),
        attributes: &Attributes<'_>,
        inputs: &[Option<ValueId>],
        kernel: [i64; 2],
    ) -> Result<()> {
        let at = |name: &str, place: usize, without: i64| {
            let list = attributes.ints(name);
            list.and_then(|list| list.get(place).copied())
                .unwrap_or(without)
        };
        let plain = |axis: &usize| {
            let pads = [at("pads", *axis, 0), at("pads", axis + 2, 0)];
            (kernel[*axis], at("strides", *axis, 1), pads) == (1, 1, [0, 0])
        };
        let left = (0..2).find(plain).with_context(|| {
            format!(
                "a kernel over two axes, {} × {} (Conv2d, MaxPool2d): the engine goes along one, time or the rows of a sample; train with Conv1d, or with a \
                 kernel of 1 × n over an axis that is 1 long",
                kernel[0], kernel[1]
            )
        })?;
        let axes = self.list(name, vec![2 + left as i64]);
        let along = 1 - left;
        let op = seeing(kind, attributes, Some(kernel[along]), Some(along))?;
        let mut operands = inputs.to_vec();
        let squeezed = if kind == "Conv" { 2 } else { 1 };
        for operand in operands.iter_mut().take(squeezed) {
            let inputs = vec![*operand, axes];
            *operand = Some(self.add(name, kind, Op::Squeeze, inputs, 1)?[0]);
        }
        let y = self.add(name, kind, op, operands, 1)?[0];
        let y = self.add(name, kind, Op::Unsqueeze, vec![Some(y), axes], 1)?[0];
        self.define(proto.output.first().map_or("", |s| s), y)
    }

    /// `alpha · A' B' + beta · C`.
    fn gemm(
        &mut self,
        proto: &NodeProto,
        name: &str,
        attributes: &Attributes<'_>,
        terms: [Option<ValueId>; 3],
    ) -> Result<()> {
        let kind = "Gemm";
        let [Some(mut a), Some(mut b), c] = terms else {
            bail!("an input is missing")
        };
        let (alpha, beta) = (
            attributes.float("alpha", 1.0),
            attributes.float("beta", 1.0),
        );
        for (matrix, flag) in [(&mut a, "transA"), (&mut b, "transB")] {
            if attributes.int(flag, 0) != 0 {
                *matrix = self.add(
                    name,
                    kind,
                    Op::Transpose {
                        perm: Some(vec![1, 0]),
                    },
                    vec![Some(*matrix)],
                    1,
                )?[0];
            }
        }
        let mut y = self.add(name, kind, Op::MatMul, vec![Some(a), Some(b)], 1)?[0];
        if alpha != 1.0 {
            y = self.add(
                name,
                kind,
                Op::Unary(Function::Affine(alpha, 0.0)),
                vec![Some(y)],
                1,
            )?[0];
        }
        if let Some(mut c) = c {
            if beta != 1.0 {
                c = self.add(
                    name,
                    kind,
                    Op::Unary(Function::Affine(beta, 0.0)),
                    vec![Some(c)],
                    1,
                )?[0];
            }
            y = self.add(
                name,
                kind,
                Op::Binary(Binary::Add),
                vec![Some(y), Some(c)],
                1,
            )?[0];
        }
        self.define(proto.output.first().map_or("", |s| s), y)
    }

    fn recurrent(
        &mut self,
        proto: &NodeProto,
        name: &str,
        kind: &str,
        attributes: &Attributes<'_>,
        inputs: &[Option<ValueId>],
    ) -> Result<()> {
        let input = |k: usize| inputs.get(k).copied().flatten();
        ensure!(
            input(4).is_none(),
            "input `sequence_lens`: sequences of several lengths side by side: the engine runs one stream; export without it"
        );
        let recurrent = self.cells(kind, attributes, inputs)?;
        let batch_first = attributes.int("layout", 0) != 0;
        let mut turned = |id: Option<ValueId>, perm: &[usize]| -> Result<Option<ValueId>> {
            let Some(id) = id.filter(|_| batch_first) else {
                return Ok(id);
            };
            let op = Op::Transpose {
                perm: Some(perm.to_vec()),
            };
            Ok(Some(self.add(name, kind, op, vec![Some(id)], 1)?[0]))
        };
        let operands = vec![
            turned(input(0), &[1, 0, 2])?,
            turned(input(5), &[1, 0, 2])?,
            turned(input(6).filter(|_| kind == "LSTM"), &[1, 0, 2])?,
        ];
        let outputs = self.add(name, kind, Op::Recurrent(Box::new(recurrent)), operands, 3)?;
        let perms: [&[usize]; 3] = [&[2, 0, 1, 3], &[1, 0, 2], &[1, 0, 2]];
        for ((output, id), perm) in proto.output.iter().zip(outputs).zip(perms) {
            if !output.is_empty() {
                let id = match batch_first {
                    true => self.add(
                        name,
                        kind,
                        Op::Transpose {
                            perm: Some(perm.to_vec()),
                        },
                        vec![Some(id)],
                        1,
                    )?[0],
                    false => id,
                };
                self.define(output, id)?;
            }
        }
        Ok(())
    }

    /// Weights with their gates in another order.
    fn cells(
        &self,
        name: &str,
        attributes: &Attributes<'_>,
        inputs: &[Option<ValueId>],
    ) -> Result<Recurrent> {
        let weights = |k: usize, what: &str| -> Result<Option<&Tensor>> {
            let Some(id) = inputs.get(k).copied().flatten() else {
                return Ok(None);
            };
            let tensor = self.constant(Some(id));
            let tensor = tensor.with_context(|| {
                format!("input `{what}` is computed while it runs, expected weights of the file")
            })?;
            Ok(Some(tensor))
        };
        let w = weights(1, "W")?.context("input `W` is missing")?;
        let r = weights(2, "R")?.context("input `R` is missing")?;
        let (&[directions, rows, inputs], &[_, _, hidden]) = (&w.shape[..], &r.shape[..]) else {
            bail!("`W` and `R` of the shapes {:?} and {:?}", w.shape, r.shape)
        };
        // Where each of our blocks of rows lies among ONNX's.
        let coupled = name == "LSTM" && attributes.int("input_forget", 0) != 0;
        let (kind, blocks, gates): (Kind, &[usize], usize) = match name {
            "RNN" => (Kind::Rnn, &[0], 1),
            "GRU" => (
                Kind::Gru {
                    after: attributes.int("linear_before_reset", 0) != 0,
                },
                &[1, 0, 2],
                3,
            ),
            // f = 1 − i, and 1 − σ(z) = σ(−z): the block of i, negated, is that of f.
            _ if coupled => (Kind::LstmCoupled, &[0, 3, 1], 4),
            _ => (Kind::Lstm, &[0, 2, 3, 1], 4),
        };
        let stated = attributes.int("hidden_size", hidden as i64);
        ensure!(
            hidden > 0
                && inputs > 0
                && stated == hidden as i64
                && gates.checked_mul(hidden) == Some(rows),
            "`W` {:?} and `R` {:?} with hidden_size {stated}, expected [directions, {gates} × hidden, ..]",
            w.shape,
            r.shape
        );
        let reverse: &[bool] = match attributes.text("direction")?.as_deref() {
            None | Some("forward") => &[false],
            Some("reverse") => &[true],
            Some("bidirectional") => &[false, true],
            Some(other) => bail!("attribute `direction`: {other:?}"),
        };
        ensure!(
            directions == reverse.len(),
            "weights for {directions} directions, expected {}",
            reverse.len()
        );
        ensure!(
            r.shape == [directions, rows, hidden],
            "`R` of the shape {:?}, expected [{directions}, {rows}, {hidden}]",
            r.shape
        );
        let b = weights(3, "B")?;
        if let Some(b) = b {
            ensure!(
                b.shape == [directions, 2 * rows],
                "`B` of the shape {:?}, expected [{directions}, {}]",
                b.shape,
                2 * rows
            );
        }
        let p = if name == "LSTM" {
            weights(7, "P")?
        } else {
            None
        };
        ensure!(
            p.is_none() || !coupled,
            "attribute `input_forget` and input `P`: the engine has coupled gates or peepholes, not both"
        );
        if let Some(p) = p {
            ensure!(
                p.shape == [directions, 3 * hidden],
                "`P` of the shape {:?}, expected [{directions}, {}]",
                p.shape,
                3 * hidden
            );
        }
        let functions = attributes.functions(kind, directions)?;
        let order = |values: &[f32], blocks: &[usize], width: usize| -> Vec<f32> {
            let size = hidden * width;
            let mut rows: Vec<f32> = (blocks.iter())
                .flat_map(|&k| values[k * size..(k + 1) * size].iter().copied())
                .collect();
            if coupled {
                rows[..size].iter_mut().for_each(|x| *x = -*x);
            }
            rows
        };
        let direction = |d: usize| -> Result<Direction> {
            let part = |t: &Tensor| -> Result<Vec<f32>> {
                let n = t.len() / directions;
                Ok(t.floats()?[d * n..(d + 1) * n].to_vec())
            };
            let b = b.map_or_else(|| Ok(vec![0.0; 2 * rows]), part)?;
            Ok(Direction {
                reverse: reverse[d],
                w_ih: order(&part(w)?, blocks, inputs),
                w_hh: order(&part(r)?, blocks, hidden),
                b_ih: order(&b[..rows], blocks, 1),
                b_hh: order(&b[rows..], blocks, 1),
                // ONNX has them as i, o, f.
                peephole: match p {
                    Some(p) => Some(order(&part(p)?, &[0, 2, 1], 1)),
                    None => None,
                },
                projection: None,
                functions: functions[d],
            })
        };
        let recurrent = Recurrent {
            kind,
            inputs,
            hidden,
            directions: (0..directions).map(direction).collect::<Result<_>>()?,
            clip: attributes.get("clip").and_then(|a| a.f),
            cell_clip: None,
        };
        recurrent.check()?;
        Ok(recurrent)
    }
}

/// What a `Conv`, a `MaxPool` or an `AveragePool` with a kernel so long does along one axis: the only one, or that of two.
fn seeing(
    kind: &str,
    attributes: &Attributes<'_>,
    kernel: Option<i64>,
    along: Option<usize>,
) -> Result<Op> {
    let of = convolution(attributes, kernel, along)?;
    let kind = match kind {
        "MaxPool" => PoolKind::Max,
        "AveragePool" => PoolKind::Mean,
        _ => return Ok(Op::Conv(of)),
    };
    let kernel = kernel
        .and_then(|n| usize::try_from(n).ok())
        .filter(|&n| n > 0);
    let kernel = kernel.context("attribute `kernel_shape`: it is missing, or below 1")?;
    ensure!(
        of.pads == [0, 0],
        "attribute `pads`: {:?}: it pools what is padded, and sees samples that are still to come; train with padding=0 (padding=\"valid\" in Keras)",
        of.pads
    );
    ensure!(
        of.dilation == 1,
        "attribute `dilations`: {}: the engine pools neighbours",
        of.dilation
    );
    ensure!(
        attributes.int("ceil_mode", 0) == 0,
        "attribute `ceil_mode`: 1: its last answer is of fewer samples; train with ceil_mode=False"
    );
    Ok(Op::Pool(Pooling {
        kind,
        kernel,
        stride: of.stride,
    }))
}

/// Where a kernel looks along one axis, if it is known how long it is.
fn convolution(
    attributes: &Attributes<'_>,
    kernel: Option<i64>,
    along: Option<usize>,
) -> Result<Convolution> {
    let list = |name: &str, default: &[i64]| {
        let list: Vec<i64> = match (attributes.ints(name), along) {
            (None, _) => default.to_vec(),
            (Some(list), None) => list.to_vec(),
            // Those of both axes stand in turns.
            (Some(list), Some(axis)) => list.iter().skip(axis).step_by(2).copied().collect(),
        };
        ensure!(
            list.len() == default.len(),
            "attribute `{name}`: {list:?}: the engine convolves along one axis"
        );
        let sizes = list.iter().map(|&n| usize::try_from(n).ok());
        let sizes: Option<Vec<usize>> = sizes.collect();
        sizes.with_context(|| format!("attribute `{name}`: {list:?}"))
    };
    let (stride, dilation) = (list("strides", &[1])?, list("dilations", &[1])?);
    let mut pads = list("pads", &[0, 0])?;
    let auto = attributes.text("auto_pad")?;
    let kernel = kernel.and_then(|n| usize::try_from(n).ok());
    // With a stride the zeros depend on the length too.
    let around = kernel
        .and_then(|n| n.checked_sub(1)?.checked_mul(dilation[0]))
        .filter(|_| stride[0] == 1);
    match (auto.as_deref(), around) {
        (None | Some("NOTSET" | "VALID"), _) => {}
        (Some("SAME_UPPER"), Some(n)) => pads = vec![n / 2, n - n / 2],
        (Some("SAME_LOWER"), Some(n)) => pads = vec![n - n / 2, n / 2],
        (Some(other), _) => bail!(
            "attribute `auto_pad`: {other}: export it with explicit `pads`; over time they have to be on the left alone, (kernel − 1) · dilation of them or none"
        ),
    }
    let groups = usize::try_from(attributes.int("group", 1)).unwrap_or(0);
    ensure!(
        stride[0] > 0 && dilation[0] > 0 && groups > 0,
        "a stride, dilation or number of groups of 0"
    );
    Ok(Convolution {
        stride: stride[0],
        dilation: dilation[0],
        pads: [pads[0], pads[1]],
        groups,
    })
}

/// A node's attributes by name.
struct Attributes<'a>(&'a [AttributeProto]);

impl Attributes<'_> {
    fn get(&self, name: &str) -> Option<&AttributeProto> {
        self.0.iter().find(|a| a.name.as_deref() == Some(name))
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).and_then(|a| a.i).unwrap_or(default)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.get(name).and_then(|a| a.f).unwrap_or(default)
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.get(name).map(|a| &a.ints[..])
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.get(name).and_then(|a| a.s.clone()))
    }

    fn constant(&self) -> Result<Tensor> {
        let attribute = self.0.first().context("it has no value")?;
        Ok(match attribute.name.as_deref().unwrap_or("") {
            "value" => tensor(attribute.t.as_ref().context("it has no value")?, None)?,
            "value_float" => Tensor::f32(vec![], vec![attribute.f.unwrap_or_default()])?,
            "value_floats" => Tensor::f32(vec![attribute.floats.len()], attribute.floats.clone())?,
            "value_int" => Tensor::new(vec![], Values::I64(vec![attribute.i.unwrap_or_default()]))?,
            "value_ints" => Tensor::list(attribute.ints.clone()),
            other => bail!("attribute `{other}`: expected numbers"),
        })
    }

    /// Activations of each direction, with alpha and beta in the order in which they are needed.
    fn functions(&self, kind: Kind, directions: usize) -> Result<Vec<[Function; 3]>> {
        let Some(names) = self
            .get("activations")
            .map(|a| &a.strings)
            .filter(|s| !s.is_empty())
        else {
            return Ok(vec![Recurrent::functions(kind); directions]);
        };
        let each = match kind {
            Kind::Rnn => 1,
            Kind::Gru { .. } => 2,
            _ => 3,
        };
        ensure!(
            names.len() == each * directions,
            "attribute `activations`: {names:?}, expected {}",
            each * directions
        );
        let list = |name: &str| {
            self.get(name)
                .map(|a| a.floats.clone())
                .unwrap_or_default()
                .into_iter()
        };
        let (mut alphas, mut betas) = (list("activation_alpha"), list("activation_beta"));
        let mut function = |name: &String| -> Result<Function> {
            let mut alpha = |default: f32| alphas.next().unwrap_or(default);
            Ok(match name.to_ascii_lowercase().as_str() {
                "tanh" => Function::Tanh,
                "sigmoid" => Function::Sigmoid,
                "relu" => Function::Relu,
                "softsign" => Function::Softsign,
                "softplus" => Function::Softplus,
                "leakyrelu" => Function::LeakyRelu(alpha(0.01)),
                "thresholdedrelu" => Function::ThresholdedRelu(alpha(1.0)),
                "elu" => Function::Elu(alpha(1.0)),
                "affine" => Function::Affine(alpha(1.0), betas.next().unwrap_or(0.0)),
                "scaledtanh" => Function::ScaledTanh(alpha(1.0), betas.next().unwrap_or(1.0)),
                "hardsigmoid" => Function::HardSigmoid(alpha(0.2), betas.next().unwrap_or(0.5)),
                _ => bail!("attribute `activations`: {name:?} is not known"),
            })
        };
        let all = names
            .iter()
            .map(&mut function)
            .collect::<Result<Vec<_>>>()?;
        let one = |part: &[Function]| {
            let last = part[part.len() - 1];
            [
                part[0],
                *part.get(1).unwrap_or(&last),
                *part.get(2).unwrap_or(&last),
            ]
        };
        Ok(all.chunks_exact(each).map(one).collect())
    }
}
