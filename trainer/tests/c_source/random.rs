//! Random networks of every kind.

use kinglet::format::{Cell, ConvShape, Format, Layout};
use kinglet_trainer::data::Written;
use kinglet_trainer::data::audio::Audio;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export_for};
use kinglet_trainer::net::{
    Activation, Bidirectional, Combine, Conv, Dense, Embedding, Join, Layer, Network, Norm, Pool,
    PoolKind, Recurrent, extra,
};
use kinglet_trainer::package::{
    Alarm, Feature, Input, Output, Package, Restore, Shape, Target, Transform,
};
use kinglet_trainer::quant::{Formats, Ranges};
use kinglet_trainer::transcript::BLANK;
use std::fmt;

pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn word(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 32) as u32
    }

    /// From 0 to `end`, which is left out.
    pub fn below(&mut self, end: usize) -> usize {
        ((u64::from(self.word()) * end as u64) >> 32) as usize
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub fn around_zero(&mut self, reach: f32) -> f32 {
        (self.word() as f32 / u32::MAX as f32 * 2.0 - 1.0) * reach
    }

    fn numbers(&mut self, n: usize, reach: f32) -> Vec<f32> {
        (0..n).map(|_| self.around_zero(reach)).collect()
    }

    /// A raw value of a sensor, or what one gives that is broken.
    pub fn reading(&mut self) -> f32 {
        let usual = self.around_zero(2.0);
        let odd = [
            100.0 * usual,
            0.0,
            f32::NAN,
            f32::INFINITY,
            1e30,
            -1e-40,
            usual.abs() + 0.1,
        ];
        if self.below(6) == 0 {
            self.one_of(&odd)
        } else {
            usual
        }
    }

    pub fn integer(&mut self) -> i16 {
        let word = self.word() as i16;
        self.one_of(&[word, word >> 4, word >> 4, word >> 7, i16::MIN, i16::MAX, 0])
    }
}

pub struct Case {
    package: Package,
    formats: Formats,
    layout: Layout,
    slow: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.package.net.layers.iter().map(|layer| match layer {
            Layer::Embedding(e) => format!("embedding {} {}", e.vocab, e.dim),
            Layer::Recurrent(r) => format!("{} {} {}", r.cell.name(), r.inputs, r.hidden),
            Layer::Dense(d) => format!("dense {} {} {}", d.inputs, d.outputs, d.activation.name()),
            Layer::Norm(n) => format!("norm {}", n.width()),
            Layer::Keep(width) => format!("keep {width}"),
            Layer::Join(j) => format!("{} {}", j.how.name(), j.with),
            Layer::Conv(c) => format!("{:?} {}", c.shape, c.dense.activation.name()),
            Layer::Bidirectional(b) => {
                let r = &b.forward;
                format!("bidirectional {} {} {}", r.cell.name(), r.inputs, r.hidden)
            }
        });
        let layers: Vec<String> = layers.collect();
        write!(
            f,
            "{layers:?} {} {}",
            self.formats.name(),
            self.layout.name()
        )
    }
}

/// Keeps what some layer takes, behind all that is kept already, and joins it at the end.
fn skip(random: &mut Random, layers: &mut Vec<Layer>, with: usize, inputs: usize) {
    let kept = |layer: &Layer| matches!(layer, Layer::Keep(_));
    let first = layers.iter().rposition(kept).map_or(0, |last| last + 1);
    let at = first + random.below(layers.len() - first);
    let kept = at.checked_sub(1).map_or(inputs, |k| layers[k].outputs());
    let width = layers.last().map_or(0, Layer::outputs);
    layers.insert(at, Layer::Keep(kept));
    let mut how = vec![Combine::Append, Combine::Prepend];
    if kept == width {
        how = Combine::ALL.to_vec();
    }
    layers.push(Layer::Join(Join {
        width,
        kept,
        with,
        how: random.one_of(&how),
    }));
}

fn norm(random: &mut Random, width: usize) -> Norm {
    Norm {
        gamma: random.numbers(width, 2.0),
        beta: random.numbers(width, 1.0),
        epsilon: random.one_of(&[1e-5, 1e-3, 1e-12]),
    }
}

fn recurrent(random: &mut Random, cell: Cell, inputs: usize, hidden: usize) -> Recurrent {
    let rows = cell.products() * hidden;
    // Some reach the ends of their tables.
    let reach = random.one_of(&[0.3, 0.8, 3.0]);
    let mut layer = Recurrent {
        cell,
        inputs,
        hidden,
        w_ih: random.numbers(rows * inputs, reach),
        w_hh: random.numbers(rows * hidden, reach * 0.5),
        b_ih: random.numbers(rows, 1.0),
        b_hh: random.numbers(rows, 1.0),
        extra: random.numbers(extra(cell, hidden), 0.5),
    };
    if cell == Cell::FastGrnn {
        layer.set_mix([0.9, 0.05]);
    }
    layer
}

fn dense(random: &mut Random, [inputs, outputs]: [usize; 2], activation: Activation) -> Dense {
    Dense {
        inputs,
        outputs,
        weight: random.numbers(inputs * outputs, 0.7),
        bias: random.numbers(outputs, 0.5),
        activation,
    }
}

/// Names that are none in C, and would end a comment.
fn feature(random: &mut Random, i: usize, inputs: usize, plain: bool) -> Feature {
    let column = random.below(inputs);
    let transforms = [
        Transform::None,
        Transform::Log,
        Transform::Difference { column },
        Transform::LogRatio { column },
        Transform::Missing { column },
    ];
    Feature {
        name: format!("x{i} */ \\"),
        unit: "°C".to_owned(),
        hold: !plain && random.below(2) == 0,
        transform: if plain {
            Transform::None
        } else {
            random.one_of(&transforms)
        },
        offset: random.around_zero(0.5),
        scale: random.one_of(&[1.0, 0.7, -1.3]),
    }
}

fn target(random: &mut Random, i: usize, inputs: usize) -> Target {
    let column = random.below(inputs.max(1));
    let mut restores = vec![Restore::None, Restore::Exp];
    if inputs > 0 {
        restores.extend([Restore::AddTo { column }, Restore::TimesExp { column }]);
    }
    Target {
        name: format!("y{i}"),
        unit: String::new(),
        scale: random.one_of(&[1.0, 2.5, 0.01]),
        offset: random.around_zero(3.0),
        restore: random.one_of(&restores),
        feeds: None,
    }
}

impl Case {
    /// A cell in a format, and whatever may be around it.
    pub fn of(cell: Cell, format: Format, random: &mut Random) -> Case {
        Case::around(cell, format, Shape::EveryStep, random)
    }

    /// The same over windows from both ends.
    pub fn bidirectional(
        cell: Cell,
        format: Format,
        (window, hop): (usize, usize),
        random: &mut Random,
    ) -> Case {
        let exact = true;
        Case::around(cell, format, Shape::Window { window, hop, exact }, random)
    }

    fn around(cell: Cell, format: Format, shape: Shape, random: &mut Random) -> Case {
        let both = matches!(shape, Shape::Window { .. });
        let sizes = [1, 3, 5, 8, 11, 16, 19];
        let tokens = random.below(3) == 0;
        let inputs = random.one_of(&sizes);
        let mut layers = Vec::new();
        let mut width = inputs;
        let embeds = tokens && random.below(2) == 0;
        if embeds {
            width = random.one_of(&sizes);
            let table = random.numbers(inputs * width, 1.0);
            layers.push(Layer::Embedding(Embedding {
                vocab: inputs,
                dim: width,
                table,
            }));
        }
        for _ in 0..1 + random.below(if both { 3 } else { 2 }) {
            let hidden = random.one_of(&sizes);
            let forward = recurrent(random, cell, width, hidden);
            layers.push(if both {
                let mut backward = recurrent(random, cell, width, hidden);
                if cell == Cell::FastGrnn {
                    backward.set_mix([0.7, 0.2]);
                }
                Layer::Bidirectional(Bidirectional { forward, backward })
            } else {
                Layer::Recurrent(forward)
            });
            width = layers[layers.len() - 1].outputs();
        }
        for last in [false, true] {
            if random.below(3) > 0 {
                let activations = [
                    Activation::Identity,
                    Activation::Relu,
                    Activation::Tanh,
                    Activation::Sigmoid,
                    Activation::Elu,
                    Activation::Softmax,
                ];
                let activation = random.one_of(&activations[..if last { 6 } else { 5 }]);
                let outputs = random.one_of(&sizes);
                layers.push(Layer::Dense(dense(random, [width, outputs], activation)));
                width = outputs;
            }
        }
        let formats = if format.is_integer() && !embeds && random.below(3) == 0 {
            let mut each = vec![format];
            let others = [Format::W8A8, Format::W8A16, Format::W4A8];
            each.extend(layers.iter().skip(1).map(|_| random.one_of(&others)));
            Formats::Each(each)
        } else {
            Formats::All(format)
        };
        let layouts = [
            Layout::Portable,
            Layout::CortexM4,
            Layout::CortexM55,
            Layout::CortexM0,
        ];
        let plain = random.below(2) == 0;
        let input = if tokens {
            Input::Tokens((0..inputs).map(|i| format!("t{i}")).collect())
        } else {
            Input::Features(
                (0..inputs)
                    .map(|i| feature(random, i, inputs, plain))
                    .collect(),
            )
        };
        let features = if tokens { 0 } else { inputs };
        let output = match random.below(3) {
            0 => Output::Classes((0..width).map(|i| format!("class {i}")).collect()),
            _ if tokens => Output::Classes((0..width).map(|i| format!("class {i}")).collect()),
            _ => Output::Values((0..width).map(|i| target(random, i, features)).collect()),
        };
        Case {
            package: Package {
                name: "any".to_owned(),
                net: Network { layers },
                input,
                output,
                shape,
                alarm: None,
                written: Default::default(),
            },
            formats,
            layout: random.one_of(&layouts),
            slow: false,
        }
    }

    /// In a layout for Cortex-M4.
    pub fn packed(mut self, format: Format) -> Case {
        self.formats = Formats::All(format);
        self.layout = Layout::CortexM4;
        for layer in &mut self.package.net.layers {
            let cells = match layer {
                Layer::Recurrent(r) => vec![r],
                Layer::Bidirectional(b) => vec![&mut b.forward, &mut b.backward],
                _ => vec![],
            };
            for r in cells {
                // Rows that fit.
                let all = [&mut r.w_ih, &mut r.w_hh, &mut r.b_ih, &mut r.b_hh];
                all.into_iter().flatten().for_each(|w| *w *= 0.3);
            }
        }
        self
    }

    pub fn windowed(
        format: Format,
        (window, hop, exact): (usize, usize, bool),
        random: &mut Random,
    ) -> Case {
        let mut case = Case::of(Cell::Lstm, format, random);
        let inputs = 3;
        let plain = random.below(3) == 0;
        let features = (0..inputs).map(|i| feature(random, i, inputs, plain));
        case.package.input = Input::Features(features.collect());
        let layers = vec![
            Layer::Recurrent(recurrent(random, Cell::GruResetAfter, inputs, 7)),
            Layer::Dense(dense(random, [7, 2], Activation::Identity)),
        ];
        case.package.net = Network { layers };
        case.package.output = Output::Values((0..2).map(|i| target(random, i, inputs)).collect());
        case.package.shape = Shape::Window { window, hop, exact };
        case.formats = Formats::All(format);
        case
    }

    /// Convolutions over samples and over the rows of one, normalisations and skips, around a recurrent layer.
    pub fn convolution(format: Format, random: &mut Random) -> Case {
        let mut case = Case::of(Cell::Lstm, format, random);
        let mut shape = ConvShape {
            rows: 7,
            stride: random.one_of(&[1, 2]),
            dilation: random.one_of(&[1, 2]),
            before: random.one_of(&[0, 2, 5]),
            after: random.one_of(&[0, 1, 3]),
            past: random.below(2) == 0,
            mirror: random.below(2) == 0,
            ..ConvShape::causal(random.one_of(&[1, 3]), 3, 1)
        };
        if random.below(3) == 0 {
            shape = ConvShape::causal(5, random.one_of(&[1, 3, 4]), random.one_of(&[1, 3]));
        }
        let inputs = shape.inputs();
        let mut layers = Vec::new();
        let mut width = inputs;
        for _ in 0..2 {
            let activation = random.one_of(&[
                Activation::Magnitude,
                Activation::Magnitude,
                Activation::Relu,
                Activation::Tanh,
                Activation::Elu,
                Activation::Identity,
            ]);
            if shape.rows == 1 && random.below(2) == 0 {
                let kernel = random.one_of(&[1, 2, 3]);
                shape.pool = Some(Pool {
                    kind: random.one_of(&[PoolKind::Max, PoolKind::Mean]),
                    kernel,
                    first: kernel - 1 + random.below(3) as u16,
                    every: random.one_of(&[1, 2, 3]),
                });
            }
            let conv = Conv {
                shape,
                dense: dense(random, [shape.taps(), 6], activation),
            };
            width = conv.outputs();
            layers.push(Layer::Conv(conv));
            shape = ConvShape::causal(width as u16, 3, random.one_of(&[1, 2]));
        }
        if random.below(2) == 0 {
            layers.push(Layer::Norm(norm(random, width)));
        }
        layers.push(Layer::Recurrent(recurrent(random, Cell::Lstm, width, 5)));
        match random.below(4) {
            0 => layers.truncate(1),
            1 => layers.push(Layer::Norm(norm(random, 5))),
            _ => {}
        }
        if random.below(4) == 0 {
            layers.insert(0, Layer::Norm(norm(random, inputs)));
        }
        for with in 0..random.below(3) {
            skip(random, &mut layers, with, inputs);
        }
        width = layers.last().map_or(0, Layer::outputs);
        case.package.net = Network { layers };
        let features = (0..inputs).map(|i| feature(random, i, inputs, true));
        case.package.input = Input::Features(features.collect());
        let targets = (0..width).map(|i| target(random, i, inputs));
        case.package.output = Output::Values(targets.collect());
        case.formats = Formats::All(format);
        case
    }

    /// An embedding before layers that are not recurrent.
    pub fn embedding(format: Format, random: &mut Random) -> Case {
        let mut case = Case::of(Cell::Lstm, format, random);
        let (vocab, dim) = (5, random.one_of(&[1, 3, 8, 11]));
        let table = random.numbers(vocab * dim, 3.0);
        let mut layers = vec![Layer::Embedding(Embedding { vocab, dim, table })];
        let relu = |dense| Conv {
            shape: ConvShape::causal(dim as u16, 3, 1),
            dense,
        };
        match random.below(4) {
            0 => layers.push(Layer::Dense(dense(random, [dim, 6], Activation::Relu))),
            1 => layers.push(Layer::Norm(norm(random, dim))),
            2 => layers.push(Layer::Keep(dim)),
            _ => {
                let dense = dense(random, [3 * dim, 6], Activation::Relu);
                layers.push(Layer::Conv(relu(dense)));
            }
        }
        if matches!(layers[1], Layer::Keep(_)) {
            let dense = dense(random, [3 * dim, dim], Activation::Relu);
            layers.push(Layer::Conv(relu(dense)));
            layers.push(Layer::Join(Join {
                width: dim,
                kept: dim,
                with: 0,
                how: random.one_of(Combine::ALL),
            }));
        }
        let width = layers.last().map_or(0, Layer::outputs);
        let cell = recurrent(random, Cell::GruResetAfter, width, 5);
        layers.push(Layer::Recurrent(cell));
        case.package.net = Network { layers };
        case.package.input = Input::Tokens((0..vocab).map(|i| format!("t{i}")).collect());
        case.package.output = Output::Classes((0..5).map(|i| format!("class {i}")).collect());
        case.formats = Formats::All(format);
        case
    }

    /// One that listens through such a front end, and waits for a word.
    pub fn listening(format: Format, audio: Audio, random: &mut Random) -> Case {
        let mut case = Case::of(Cell::GruResetAfter, format, random);
        let names = audio.names();
        case.package.net = Network {
            layers: vec![
                Layer::Recurrent(recurrent(random, Cell::GruResetAfter, names.len(), 5)),
                Layer::Dense(dense(random, [5, 3], Activation::Softmax)),
            ],
        };
        let features = names.into_iter().map(|name| Feature {
            name,
            ..feature(random, 0, 1, true)
        });
        case.package.input = Input::Features(features.collect());
        let classes = ["none", "wake */ up", "other"].map(str::to_owned);
        case.package.written = Written {
            audio: Some(audio),
            wake: Some(classes[1].clone()),
            ..Written::default()
        };
        case.package.output = Output::Classes(classes.to_vec());
        case.formats = Formats::All(format);
        case.with_alarm(random)
    }

    /// One that watches what it foretells.
    pub fn watching(format: Format, random: &mut Random) -> Case {
        let mut case = Case::of(Cell::Lstm, format, random);
        let inputs = 4;
        case.package.net = Network {
            layers: vec![Layer::Recurrent(recurrent(random, Cell::Lstm, inputs, 3))],
        };
        let features = (0..inputs).map(|i| feature(random, i, inputs, false));
        case.package.input = Input::Features(features.collect());
        let feeds = [Some(2), None, Some(0)].into_iter().enumerate();
        let targets = feeds.map(|(i, feeds)| Target {
            feeds,
            ..target(random, i, inputs)
        });
        case.package.output = Output::Values(targets.collect());
        case.formats = Formats::All(format);
        case.with_alarm(random)
    }

    /// One that says tokens, if any.
    pub fn saying(format: Format, random: &mut Random) -> Case {
        let mut case = Case::watching(format, random);
        let names = [BLANK, "a", "b"].map(str::to_owned);
        case.package.output = Output::Classes(names.to_vec());
        case.package.alarm = None;
        case
    }

    /// An encoder and its decoder, which both read tokens.
    pub fn pair(format: Format, random: &mut Random) -> [Case; 2] {
        [(6, None), (4, Some(4))].map(|(vocab, says)| {
            let mut case = Case::of(Cell::Lstm, format, random);
            let table = random.numbers(vocab * 3, 1.0);
            let mut layers = vec![
                Layer::Embedding(Embedding {
                    vocab,
                    dim: 3,
                    table,
                }),
                Layer::Recurrent(recurrent(random, Cell::GruResetAfter, 3, 5)),
                Layer::Recurrent(recurrent(random, Cell::RnnTanh, 5, 7)),
            ];
            let head = says.map(|says| dense(random, [7, says], Activation::Identity));
            layers.extend(head.map(Layer::Dense));
            case.package.net = Network { layers };
            case.package.input = Input::Tokens((0..vocab).map(|i| format!("t{i}")).collect());
            case.package.output = match says {
                Some(_) => Output::NextToken,
                None => Output::Classes((0..7).map(|i| format!("class {i}")).collect()),
            };
            case.formats = Formats::All(format);
            case
        })
    }

    fn with_alarm(mut self, random: &mut Random) -> Case {
        self.package.alarm = Some(Alarm {
            smoothing: random.one_of(&[0.1, 0.3, 1.0]),
            threshold: 0.4,
        });
        self
    }

    /// With gates that reach ±16.
    pub fn slow(mut self) -> Case {
        self.slow = true;
        self
    }

    pub fn is_windowed(&self) -> bool {
        matches!(self.package.shape, Shape::Window { .. })
    }

    pub fn export(&self) -> AlignedBytes {
        let mut ranges = Ranges::bound(&self.package.net);
        if self.slow {
            ranges
                .layers
                .iter_mut()
                .for_each(|range| range.forgets = Some(1e-5));
        }
        let tests = TestInputs::synthetic(&self.package);
        let formats = self.formats.clone();
        let exported = export_for(self.layout, &self.package, formats, Some(&ranges), &tests);
        exported.unwrap_or_else(|e| panic!("{self}: {e:#}")).bytes
    }
}
