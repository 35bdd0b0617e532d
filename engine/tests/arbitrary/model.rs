//! Random models. What is generated here is valid: a loader that refuses one is wrong.
//!
//! How long the tensors are is the loader's business: it says what it needs, and gets it, until it is content.

use super::{Choices, File};
use kinglet::format::{
    Activation, Cell, Combine, ConvShape, Feature, Format, Header, Input, Layer, Layers, Layout,
    LoadError, MAX_KEEPS, MAX_LAYERS, Output, PREAMBLE_LEN, Pool, PoolKind, Preamble, RECORDS,
    SLOW, Shape, Tail, Target, TestVectors, Width, packed_rows, pad,
};

const INTEGER: [Format; 3] = [Format::W8A8, Format::W8A16, Format::W4A8];
const FLOAT: [Format; 2] = [Format::F32, Format::F16];
const LAYOUTS: [Layout; 4] = [
    Layout::Portable,
    Layout::CortexM4,
    Layout::CortexM55,
    Layout::CortexM0,
];
const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Elu,
    Activation::Softmax,
];

/// `count` empty names.
fn names(count: usize) -> &'static str {
    static ZEROS: [u8; 4096] = [0; 4096];
    std::str::from_utf8(&ZEROS[..count - 1]).unwrap()
}

/// What a model is made of.
pub struct Spec {
    pub header: Header<'static>,
    pub layout: Layout,
    pub tail: Option<Tail<'static>>,
}

/// Few numbers, most of them on either side of a panel.
fn width(any: &mut Choices<'_>) -> u16 {
    match any.below(8) {
        0 => 1,
        1..=4 => 1 + any.below(20) as u16,
        5 | 6 => any.one_of(&[7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40]),
        _ => 1 + any.below(90) as u16,
    }
}

fn recurrent(
    any: &mut Choices<'_>,
    layout: Layout,
    (format, inputs): (Format, u16),
    bidirectional: bool,
) -> Layer {
    let cell = any.one_of(Cell::ALL);
    let hidden = width(any);
    let slow = format.is_integer() && cell.may_be_slow() && any.once_in(4);
    let packed = packed_rows(cell, format, slow, inputs.into(), hidden.into())
        .filter(|_| layout == Layout::CortexM4)
        // Either form of those is good.
        .filter(|packed| !packed.records || any.below(2) == 0);
    let mut shift = || match packed {
        Some(packed) => {
            let shift = if format.is_a8() { 8 } else { 0 };
            shift | if packed.records { RECORDS } else { 0 }
        }
        None => any.one_of(&[0, 1, 3, 8, 15, 31]),
    };
    let requant_shift = [shift(), shift()];
    let cell_shift = match slow {
        true => SLOW | any.below(8) as u8,
        false => any.below(5) as u8,
    };
    if bidirectional {
        Layer::Bidirectional {
            format,
            cell,
            inputs,
            hidden,
            requant_shift,
            cell_shift,
        }
    } else {
        Layer::Recurrent {
            format,
            cell,
            inputs,
            hidden,
            requant_shift: requant_shift[0],
            cell_shift,
        }
    }
}

fn dense(
    any: &mut Choices<'_>,
    format: Format,
    (inputs, outputs): (u16, u16),
    last: bool,
) -> Layer {
    let activations = if last { 6 } else { 5 };
    let activation = any.one_of(&ACTIVATIONS[..activations]);
    let free = last && matches!(activation, Activation::Identity | Activation::Softmax);
    Layer::Dense {
        format,
        inputs,
        outputs,
        activation,
        requant_shift: any.one_of(&[0, 1, 4, 9, 31]),
        frac: if free { any.below(32) as i8 - 16 } else { 12 },
    }
}

/// A streaming one, or one over the rows of a sample; none where its output would be too wide.
fn conv(any: &mut Choices<'_>, format: Format, inputs: u16, last: bool) -> Option<Layer> {
    let kernel = 1 + any.below(5) as u16;
    let dilation = 1 + any.below(3) as u16;
    let mut shape = ConvShape::causal(inputs, kernel, dilation);
    if any.bool() {
        let divides = |rows: &u16| inputs.is_multiple_of(*rows);
        let rows: Vec<u16> = (1..=inputs).filter(divides).collect();
        shape.rows = any.one_of(&rows);
        shape.channels = inputs / shape.rows;
        shape.stride = 1 + any.below(3) as u16;
        shape.past = any.bool();
        shape.mirror = any.bool();
        shape.before = any.below(9) as u16;
        shape.after = any.below(5) as u16;
        if shape.mirror {
            let most = shape.rows - 1;
            shape.after = shape.after.min(most);
            if !shape.past {
                shape.before = shape.before.min(most);
            }
        }
    } else if any.bool() {
        let kernel = 1 + any.below(4) as u16;
        shape.pool = Some(Pool {
            kind: any.one_of(PoolKind::ALL),
            kernel,
            first: kernel - 1 + any.below(4) as u16,
            every: 1 + any.below(4) as u16,
        });
    }
    let activation = any.one_of(&[
        Activation::Identity,
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Magnitude,
        Activation::Elu,
    ]);
    let mut filters = width(any);
    if activation == Activation::Magnitude {
        filters += filters % 2;
    }
    let outputs = shape.positions() * activation.outputs(filters.into());
    let free = last && activation == Activation::Identity;
    (1..=1000).contains(&outputs).then_some(Layer::Conv {
        format,
        shape,
        filters,
        activation,
        requant_shift: any.one_of(&[0, 1, 4, 9, 31]),
        frac: if free { any.below(32) as i8 - 16 } else { 12 },
    })
}

/// Numbers that a layer takes, and gives.
fn widths(layer: Layer) -> [u16; 2] {
    match layer {
        Layer::Embedding { vocab, dim, .. } => [vocab, dim],
        Layer::Recurrent { inputs, hidden, .. } => [inputs, hidden],
        Layer::Bidirectional { inputs, hidden, .. } => [inputs, 2 * hidden],
        Layer::Dense {
            inputs, outputs, ..
        } => [inputs, outputs],
        Layer::Conv {
            shape,
            filters,
            activation,
            ..
        } => {
            let outputs = shape.positions() * activation.outputs(filters.into());
            [shape.inputs() as u16, outputs as u16]
        }
        Layer::Norm { width, .. } | Layer::Keep { width, .. } => [width.get() as u16; 2],
        Layer::Join { .. } => unreachable!("what was kept says how wide it is"),
    }
}

impl Spec {
    /// Any at all.
    pub fn any(any: &mut Choices<'_>) -> Self {
        let layout = any.one_of(&LAYOUTS);
        let integer = !any.once_in(4);
        let formats = if integer { &INTEGER[..] } else { &FLOAT };
        let tokens = any.once_in(3);
        let bidirectional = any.once_in(4);
        let mixed = any.once_in(3);
        let whole = any.one_of(formats);
        let format = |any: &mut Choices<'_>| if mixed { any.one_of(formats) } else { whole };

        let inputs = width(any);
        let mut now = inputs;
        let mut layers = Layers::new();
        // What an integer embedding asks of the layer behind it.
        let mut like = None;
        if tokens && any.bool() {
            let format = format(any);
            now = width(any);
            let embedding = Layer::Embedding {
                format,
                vocab: inputs,
                dim: now,
            };
            layers.push(embedding).unwrap();
            like = integer.then_some(format);
        }
        let room = MAX_LAYERS - layers.len();
        let count = if any.once_in(8) {
            room
        } else {
            1 + any.below(3)
        };
        // A bidirectional layer counts twice.
        let count = if bidirectional {
            count.max(2) / 2
        } else {
            count
        };
        let mut kept: Vec<u16> = Vec::new();
        for number in 0..count {
            let last = number + 1 == count;
            let plain = like.is_none() && !bidirectional;
            let recurs = like.is_some() || bidirectional || !any.once_in(4);
            let format = like.take().unwrap_or_else(|| format(any));
            if plain && !last && kept.len() < MAX_KEEPS && any.once_in(3) {
                let width = Width(now);
                layers.push(Layer::Keep { format, width }).unwrap();
                kept.push(now);
                continue;
            }
            if plain && !kept.is_empty() && any.bool() {
                let with = any.below(kept.len());
                let same = kept[with] == now;
                let how = any.one_of(if same {
                    Combine::ALL
                } else {
                    &Combine::ALL[2..]
                });
                let joined = how.outputs(now.into(), kept[with].into());
                if joined <= 1000 {
                    layers
                        .push(Layer::Join {
                            format,
                            width: Width(now),
                            with: with as u8,
                            how,
                        })
                        .unwrap();
                    now = joined as u16;
                    continue;
                }
            }
            let norms = !recurs && any.once_in(4);
            let convolves = !recurs && any.bool();
            let convolved = convolves.then(|| conv(any, format, now, last)).flatten();
            let layer = if norms {
                Layer::Norm {
                    format,
                    width: Width(now),
                }
            } else if let Some(conv) = convolved {
                conv
            } else if recurs {
                recurrent(any, layout, (format, now), bidirectional)
            } else {
                let outputs = if last && any.bool() {
                    inputs
                } else {
                    width(any)
                };
                dense(any, format, (now, outputs), last)
            };
            now = widths(layer)[1];
            layers.push(layer).unwrap();
        }
        if bidirectional && any.bool() && 2 * count < room {
            let outputs = if any.bool() { inputs } else { width(any) };
            let format = format(any);
            layers
                .push(dense(any, format, (now, outputs), true))
                .unwrap();
            now = outputs;
        }

        let (count, names) = (now, names(now.into()));
        let output = match any.below(3) {
            0 if tokens && now == inputs => Output::NextToken { count },
            1 => Output::Classes { count, names },
            _ => Output::Values { count, names },
        };
        let window = 1 + any.below(5) as u32;
        let hop = 1 + any.below(7) as u32;
        // In a window there is an answer.
        let [first, _] = layers
            .iter()
            .rev()
            .fold([0, 1], |behind, layer| match layer {
                Layer::Conv { shape, .. } => shape.answers(behind),
                _ => behind,
            });
        let window = window.max(first as u32 + 1);
        let shape = if bidirectional {
            let exact = true;
            Shape::Window { window, hop, exact }
        } else if any.bool() {
            let exact = any.bool();
            Shape::Window { window, hop, exact }
        } else {
            Shape::EveryStep
        };
        let steps = any.below(3) as u16 * if bidirectional { window as u16 } else { 1 };
        let mut spec = Spec::new(inputs, tokens, layers, output);
        spec.layout = layout;
        spec.header.shape = shape;
        spec.header.test.steps = steps;
        spec.header.threshold = any.bool().then_some(0.5);
        spec.tail = any.bool().then_some(Tail {
            smoothing: any.bool().then_some(0.25),
            data: &[],
        });
        spec
    }

    /// These layers, and no more than that.
    pub fn new(inputs: u16, tokens: bool, layers: Layers, output: Output<'static>) -> Self {
        let (count, names) = (inputs, names(inputs.into()));
        Spec {
            header: Header {
                name: "any",
                input: if tokens {
                    Input::Tokens { count, names }
                } else {
                    Input::Features { count, names }
                },
                output,
                shape: Shape::EveryStep,
                threshold: None,
                layers,
                test: TestVectors {
                    steps: 0,
                    digest: 0,
                },
            },
            layout: Layout::Portable,
            tail: None,
        }
    }

    /// `layers` in one format over features, values out.
    pub fn plain(layout: Layout, layers: &[Layer]) -> Self {
        let tokens = matches!(layers[0], Layer::Embedding { .. });
        let [inputs, _] = widths(layers[0]);
        let [_, count] = widths(layers[layers.len() - 1]);
        let output = Output::Values {
            count,
            names: names(count.into()),
        };
        let layers = layers.iter().copied().collect();
        Spec {
            layout,
            ..Spec::new(inputs, tokens, layers, output)
        }
    }

    /// With tensors of random numbers.
    pub fn build(&self, any: &mut Choices<'_>) -> File {
        let mut payload = Vec::new();
        self.features(any, &mut payload);
        self.targets(any, &mut payload);
        let fill = Fill::any(self.header.layers[0].format(), any);
        let (tokens, tests) = (self.header.input.count(), self.header.test.steps as usize);
        let mut state_len = 0;
        loop {
            let file = self.assemble(&payload, state_len);
            match file.load().map(|_| ()) {
                Ok(()) => return file,
                Err(LoadError::Payload { need, have }) if need > have => {
                    fill.extend(any, &mut payload, need);
                }
                Err(LoadError::StateSize { need, .. }) => state_len = need,
                // What was just taken is at the end. These are a half as floats, and within bounds as integers.
                Err(LoadError::Value {
                    what: "zeta or nu of a fastgrnn:",
                    ..
                }) => {
                    let at = payload.len() - 8;
                    for number in payload[at..].chunks_exact_mut(4) {
                        let half = 0x3f00_0000 | any.below(1 << 20) as u32;
                        number.copy_from_slice(&half.to_le_bytes());
                    }
                }
                Err(LoadError::Value {
                    what: "epsilon of a normalisation:",
                    ..
                }) => {
                    // A small float, as an integer too.
                    let at = payload.len() - 8;
                    let number = [0x3a00_0000 | any.below(1 << 20) as u32, 0];
                    payload[at..].copy_from_slice(bytemuck::cast_slice(&number));
                }
                Err(LoadError::Value {
                    what: "token of test step",
                    ..
                }) => {
                    let at = payload.len() - 2 * tests;
                    for token in payload[at..].chunks_exact_mut(2) {
                        let valid = any.below(tokens) as u16;
                        token.copy_from_slice(&valid.to_le_bytes());
                    }
                }
                Err(e) => panic!("{e}: {:?} {:?}", self.layout, self.header),
            }
        }
    }

    fn features(&self, any: &mut Choices<'_>, payload: &mut Vec<u8>) {
        let Input::Features { count, .. } = self.header.input else {
            return;
        };
        let (holds, looks_back) = (any.once_in(3), any.once_in(3));
        for _ in 0..count {
            let mut transform = any.one_of(&[0, 0, 1]);
            if looks_back {
                transform = any.one_of(&[0, 1, 2, 3]);
            }
            if holds {
                transform = any.one_of(&[transform, 4]);
                transform += any.one_of(&[0, Feature::HOLD]);
            }
            let feature = Feature {
                transform,
                column: any.below(count.into()) as u32,
                offset: any.one_of(&[0.0, -3.5, 100.0]),
                scale: any.one_of(&[1.0, 0.01, -7.0, 0.0]),
            };
            payload.extend_from_slice(bytemuck::bytes_of(&feature));
        }
    }

    fn targets(&self, any: &mut Choices<'_>, payload: &mut Vec<u8>) {
        let Output::Values { count, .. } = self.header.output else {
            return;
        };
        let features = match self.header.input {
            Input::Features { count, .. } => count.into(),
            Input::Tokens { .. } => 0,
        };
        payload.resize(pad(payload.len(), 16), 0);
        for _ in 0..count {
            let (restores, feeds) = if features > 0 {
                (4, any.bool())
            } else {
                (2, false)
            };
            let mut column = || any.below(features.max(1)) as u32;
            let (column, fed) = (column(), column());
            let target = Target {
                restore: any.below(restores) as u32,
                column,
                feeds: if feeds { fed } else { u32::MAX },
                scale: any.one_of(&[1.0, 0.5, -20.0]),
                offset: any.one_of(&[0.0, 5.0]),
            };
            payload.extend_from_slice(bytemuck::bytes_of(&target));
        }
    }

    fn assemble(&self, payload: &[u8], state_len: usize) -> File {
        let names = self.header.input.count() + self.header.output.count();
        let mut space = vec![0; 512 + names];
        let used = postcard::to_slice(&self.header, &mut space).unwrap().len();
        let tail = match &self.tail {
            Some(tail) => postcard::to_slice(tail, &mut space[used..]).unwrap().len(),
            None => 0,
        };
        let header = &space[..used + tail];
        let preamble = Preamble {
            layout: self.layout,
            header_len: header.len(),
            payload_offset: pad(PREAMBLE_LEN + header.len(), 16),
            payload_len: payload.len(),
            state_len,
            crc: 0,
        };
        let mut file = File::zeroed(preamble.payload_offset + payload.len());
        let bytes = file.bytes();
        bytes[..PREAMBLE_LEN].copy_from_slice(&preamble.write());
        bytes[PREAMBLE_LEN..][..header.len()].copy_from_slice(header);
        bytes[preamble.payload_offset..].copy_from_slice(payload);
        file.sign();
        file
    }
}

/// Numbers of which tensors are made.
enum Fill {
    /// Integers of at most this many bits.
    Integers(u32),
    /// Half floats; two of them are a small float too.
    Halves,
    Floats,
}

impl Fill {
    fn any(format: Format, any: &mut Choices<'_>) -> Self {
        match format {
            Format::F32 => any.one_of(&[true, false]).then_some(Fill::Floats),
            Format::F16 => None,
            Format::W8A8 | Format::W8A16 | Format::W4A8 => {
                Some(Fill::Integers(any.one_of(&[32, 24, 20, 32])))
            }
        }
        .unwrap_or(Fill::Halves)
    }

    fn extend(&self, any: &mut Choices<'_>, payload: &mut Vec<u8>, len: usize) {
        while payload.len() < len {
            let word = any.word();
            let word = match *self {
                Fill::Integers(32) => word,
                Fill::Integers(bits) => (word as i32 >> (32 - bits)) as u32,
                Fill::Halves => word & 0x83ff_83ff | 0x3800_3400,
                Fill::Floats => word & 0x807f_ffff | 0x3e00_0000,
            };
            payload.extend_from_slice(&word.to_le_bytes());
        }
        payload.truncate(len);
    }
}
