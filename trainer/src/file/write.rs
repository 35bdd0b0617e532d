//! From a float network to the bytes of a model file.
//!
//! The file is built twice: first with test inputs only, to be loaded and stepped by the engine, then with
//! the outputs it gave. So a file that leaves here has been loaded, checked and run.

use super::layout::{Sum, pack, pack_nibbles, pack_numbers, stages};
use super::{AlignedBytes, packed};
use crate::engine::AnyRunner;
use crate::net::{self, Bidirectional, Dense, Embedding, Layer, Network, Recurrent};
use crate::package::{Feature, Input, Output, Package, Restore, Shape, Target, Transform};
use crate::quant::{
    Fold, Formats, LayerRange, Limits, Ranges, Row, Rows, Spread, Stream, fold, fold_f16,
    input_frac, largest_weight, rescale, watch,
};
use crate::train::params::{flatten, row_places, unflatten};
use anyhow::{Context, Result, bail, ensure};
use bytemuck::{NoUninit, cast_slice};
use half::f16;
use kinglet::format::{
    self as engine, ALIGN, Format, Layout, MAX_LAYERS, PREAMBLE_LEN, Preamble, pad,
};
use kinglet::kernel::{BLOCK, Kernels, MAX_CELL_SHIFT};
use kinglet::{Model, num};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// Steps whose results go into the file.
#[derive(Debug, Clone)]
pub enum TestInputs {
    /// Normalised samples.
    Samples(Vec<f32>),
    /// Tokens.
    Tokens(Vec<u16>),
}

impl TestInputs {
    /// The first steps of a stream.
    pub fn from_stream(stream: &Stream, inputs: usize) -> Self {
        const STEPS: usize = 24;
        match stream {
            Stream::Samples(x) => {
                TestInputs::Samples(x.iter().copied().take(STEPS * inputs).collect())
            }
            Stream::Tokens(t) => {
                TestInputs::Tokens(t.iter().map(|&t| t as u16).take(STEPS).collect())
            }
        }
    }

    /// Made up, for a network without data: a slow wave per input, or tokens in turn.
    pub fn synthetic(package: &Package) -> Self {
        const STEPS: usize = 24;
        let width = package.net.input_width();
        match &package.input {
            Input::Features(_) => TestInputs::Samples(
                (0..STEPS * width)
                    .map(|i| {
                        num::tanh(
                            ((i / width) as f32 * 0.7 + (i % width) as f32).rem_euclid(4.0) - 2.0,
                        )
                    })
                    .collect(),
            ),
            Input::Tokens(tokens) => {
                TestInputs::Tokens((0..STEPS).map(|i| (i * 7 % tokens.len()) as u16).collect())
            }
        }
    }

    /// Whole windows of so many steps: the first ones, or these steps again and again.
    fn windows(&self, window: usize, inputs: usize) -> Self {
        let steps = self.steps(inputs);
        let whole = if steps == 0 {
            0
        } else {
            steps.max(window) / window * window
        };
        match self {
            TestInputs::Samples(x) => {
                TestInputs::Samples(x.iter().copied().cycle().take(whole * inputs).collect())
            }
            TestInputs::Tokens(tokens) => {
                TestInputs::Tokens(tokens.iter().copied().cycle().take(whole).collect())
            }
        }
    }

    /// The same for a network whose inputs have been folded.
    fn folded(&self, folds: &[Fold]) -> Self {
        let TestInputs::Samples(x) = self else {
            return self.clone();
        };
        let folded = x.iter().zip(folds.iter().cycle());
        let folded = folded.map(|(&x, fold)| ((f64::from(x) - fold.offset) * fold.scale) as f32);
        TestInputs::Samples(folded.collect())
    }

    fn steps(&self, inputs: usize) -> usize {
        match self {
            TestInputs::Samples(x) => x.len() / inputs,
            TestInputs::Tokens(t) => t.len(),
        }
    }
}

/// A model file and what became of the numbers on the way.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The file.
    pub bytes: AlignedBytes,
    /// What a reader should know: ranges that had to be guessed, rows that lost precision.
    pub notes: Vec<String>,
    /// Inputs have heavy tails, of which [`Ranges::tails`] says how much is cut.
    pub tailed: bool,
    /// Numbers of the network that this format cannot hold, with their share: its answers may be others.
    pub doubts: Vec<String>,
}

/// Builds the file of a package in one number format, or in one for every layer, in the portable layout.
///
/// Integer formats need the ranges of the network's values over real data; without them the ranges are
/// bounded from the weights, which costs accuracy, and noted.
///
/// # Errors
/// If a size is beyond the engine's limits, or weights cannot be represented.
pub fn export(
    package: &Package,
    formats: impl Into<Formats>,
    ranges: Option<&Ranges>,
    tests: &TestInputs,
) -> Result<Exported> {
    export_for(Layout::Portable, package, formats, ranges, tests)
}

/// As [`export`], in the layout of one CPU. A network that the layout cannot hold becomes a portable file, with
/// a note; what is computed is the same.
///
/// # Errors
/// As [`export`].
pub fn export_for(
    layout: Layout,
    package: &Package,
    formats: impl Into<Formats>,
    ranges: Option<&Ranges>,
    tests: &TestInputs,
) -> Result<Exported> {
    let formats = formats.into();
    let integer = formats.is_integer();
    let mut notes = Vec::new();
    let mut package = package.clone();
    let mut ranges = match ranges {
        Some(ranges) => ranges.clone(),
        None => {
            if integer {
                notes.push("no calibration data: ranges were bounded from the weights".to_owned());
            }
            Ranges::bound(&package.net)
        }
    };
    let (first, last) = (formats.of(0), formats.of(package.net.layers.len() - 1));
    let folds = match first {
        _ if ranges.settled => None,
        Format::F16 => fold_f16(&mut package, &ranges),
        _ if integer => fold(&mut package, &mut ranges, [first, last]),
        _ => None,
    };
    let (tests, tailed) = &match folds {
        Some(folded) => (tests.folded(&folded.folds), folded.tailed),
        None => (tests.clone(), false),
    };
    if integer && !ranges.settled {
        rescale(&mut package.net, &mut ranges, &formats);
    }
    let doubts = match first {
        Format::F16 => beyond_f16(&package.net),
        _ if integer => beyond_integers(&package, &ranges, &formats, &mut notes),
        _ => Vec::new(),
    };
    let mut draft = Draft::new(layout, &package, &formats)?;
    draft.layers(&package.net.layers, &ranges)?;
    if !draft.unpacked.is_empty() {
        notes.extend(draft.unpacked);
        draft = Draft::new(Layout::Portable, &package, &formats)?;
        draft.layers(&package.net.layers, &ranges)?;
    }
    let inputs = package.net.input_width();
    let window = match package.shape {
        Shape::Window { window, .. } if package.net.is_bidirectional() => window,
        _ => 1,
    };
    let tests = &tests.windows(window, inputs);
    let answers = tests.steps(inputs) / window;
    let outputs = package.net.output_width();
    let blank = vec![0u8; answers * outputs * if integer { 2 } else { 4 }];
    let first = draft.file(tests, &blank, 0)?;
    let (results, digest) = run_tests(&first, tests)?;
    let bytes = draft.file(tests, &results, digest)?;
    verify(&bytes)?;
    Ok(Exported {
        bytes,
        notes,
        tailed: *tailed,
        doubts,
    })
}

/// Share of a state that is forgotten in a step, below which a layer is slow: the tables are within 4e-5 of 1.
const FORGETS: f64 = 1.0 / 700.0;
/// Windows up to this length forget nothing that matters.
const SHORT: usize = 500;

/// The layer's integer gates need all the accuracy of what they leave, or its cells a longer reach.
fn is_slow(package: &Package, layer: &Layer, range: &LayerRange, format: Format) -> bool {
    let Layer::Recurrent(r) = layer else {
        return false;
    };
    // A FastGRNN's candidate shares the gate's pre-activation.
    let gated = !matches!(
        r.cell,
        net::Cell::RnnTanh | net::Cell::RnnRelu | net::Cell::FastGrnn
    );
    let short =
        matches!(package.shape, Shape::Window { window, exact: true, .. } if window <= SHORT);
    let forgets = range.forgets.is_some_and(|share| share < FORGETS);
    let far = r.cell.has_cell() && range.cell * 1.25 >= 8.0 * f32::from(1u16 << MAX_CELL_SHIFT);
    format.is_integer() && gated && (far || forgets && !short)
}

/// "2.1 %" of some.
fn share(part: usize, all: usize) -> String {
    format!("{part} ({:.2} %)", 100.0 * part as f64 / all.max(1) as f64)
}

/// What f16 cannot hold of the weights.
fn beyond_f16(net: &Network) -> Vec<String> {
    let mut doubts = Vec::new();
    for (k, layer) in net.layers.iter().enumerate() {
        let weights: Vec<f32> = match layer {
            Layer::Embedding(e) => e.table.clone(),
            Layer::Dense(d) => d.weight.clone(),
            Layer::Recurrent(r) => [&r.w_ih[..], &r.w_hh].concat(),
            Layer::Bidirectional(b) => {
                let halves = b.halves().map(|r| [&r.w_ih[..], &r.w_hh].concat());
                halves.concat()
            }
        };
        let all = weights.len();
        let large = weights.iter().filter(|w| w.abs() > LARGEST_F16);
        let largest = weights.iter().fold(0f32, |m, w| m.max(w.abs()));
        match large.count() {
            0 => {}
            large => doubts.push(format!(
                "layer {k}: {} weights up to {largest} do not fit f16, whose largest number is {LARGEST_F16}",
                share(large, all)
            )),
        }
        // Below the smallest normal number digits go.
        let lost = |w: &&f32| **w != 0.0 && (f16::from_f32(**w).to_f32() / **w - 1.0).abs() > 0.02;
        let lost = weights
            .iter()
            .filter(|w| w.abs() < 6.1e-5)
            .filter(lost)
            .count();
        if 50 * lost > all {
            doubts.push(format!(
                "layer {k}: {} weights are too small for f16, which has no digits below 6e-5",
                share(lost, all)
            ));
        }
    }
    doubts
}

/// What integers cannot hold of the values that were met; and notes about what was done for it.
fn beyond_integers(
    package: &Package,
    ranges: &Ranges,
    formats: &Formats,
    notes: &mut Vec<String>,
) -> Vec<String> {
    let mut doubts = Vec::new();
    let layers = package.net.layers.iter().zip(&ranges.layers).enumerate();
    for (k, (layer, range)) in layers {
        let slow = is_slow(package, layer, range, formats.of(k));
        if slow {
            let memory = range.forgets.filter(|share| *share < FORGETS);
            let memory =
                memory.map(|share| format!("it keeps what it knows for {:.0} steps", 1.0 / share));
            let reach = (range.cell > 100.0).then(|| format!("its cells reach {:.0}", range.cell));
            let reasons: Vec<String> = memory.into_iter().chain(reach).collect();
            notes.push(format!(
                "layer {k} is slow: {}; so its gates go to ±16, and it runs in plain code",
                reasons.join(" and ")
            ));
        }
        let (limit, beyond) = if slow {
            (16, range.gates.beyond[1])
        } else {
            (8, range.gates.beyond[0])
        };
        if 1000 * beyond > range.gates.met {
            doubts.push(format!(
                "layer {k}: {} of the pre-activations of its gates lie beyond ±{limit} and are cut there",
                share(beyond, range.gates.met)
            ));
        }
        if range.cell > MOST_CELL {
            doubts.push(format!(
                "layer {k}: its cells reach {:.0}, and are cut at ±{MOST_CELL}",
                range.cell
            ));
        }
    }
    doubts
}

/// Largest finite number of an f16.
const LARGEST_F16: f32 = 65504.0;
/// What a cell can be in integers.
const MOST_CELL: f32 = 1024.0;

/// A network after quantization.
pub(crate) struct Quantized {
    /// Its file, without test steps.
    pub bytes: AlignedBytes,
    /// Its weights in float, each a multiple of its row's scale.
    pub net: Network,
    /// These scales, layer by layer.
    pub scales: Vec<Vec<f64>>,
}

/// Quantizes with these ranges as they are, for training to learn from the result: what [`export`]
/// makes of settled ranges.
///
/// # Errors
/// As [`export`].
pub(crate) fn quantized(
    package: &Package,
    formats: &Formats,
    ranges: &Ranges,
) -> Result<Quantized> {
    let mut draft = Draft::new(Layout::Portable, package, formats)?;
    draft.layers(&package.net.layers, ranges)?;
    let none = match package.input {
        Input::Features(_) => TestInputs::Samples(Vec::new()),
        Input::Tokens(_) => TestInputs::Tokens(Vec::new()),
    };
    let bytes = draft.file(&none, &[], 0)?;
    let (layers, scales) = draft.dequantized.into_iter().unzip();
    Ok(Quantized {
        bytes,
        net: Network { layers },
        scales,
    })
}

impl Quantized {
    /// The float weights that are nearest to those of `net` and still round to these integers. A weight that was rounded
    /// to its farther side comes to lie just inside, so training can turn it with a small step, either way.
    pub(crate) fn within_reach(&self, net: &Network) -> Network {
        let mut near = self.net.clone();
        let (mut flat, float): (Vec<f32>, Vec<f32>) = (flatten(&near), flatten(net));
        let layers = row_places(net).into_iter().zip(&self.scales);
        for (row, &scale) in layers.flat_map(|(rows, scales)| rows.into_iter().zip(scales)) {
            for weights in row {
                approach(&mut flat[weights.clone()], &float[weights], scale);
            }
        }
        unflatten(&flat, &mut near);
        for (near, float) in near.layers.iter_mut().zip(&net.layers) {
            // Rounded to the nearest anyway.
            if let (Layer::Embedding(near), Layer::Embedding(float)) = (near, float) {
                near.table.clone_from(&float.table);
            }
        }
        near
    }
}

/// Moves weights from their integers towards what they were, by less than half a step.
fn approach(near: &mut [f32], float: &[f32], scale: f64) {
    let reach = 0.45 * scale as f32;
    for (near, float) in near.iter_mut().zip(float) {
        *near += (float - *near).clamp(-reach, reach);
    }
}

/// Writes a file whole or not at all: to a temporary name beside it, then renamed.
///
/// # Errors
/// If the folder cannot be written.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let context = || format!("cannot write {}", path.display());
    let mut file = temporary().tempfile_in(folder).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(())
}

/// Readable by whom the user's mask lets read, as any new file is.
fn temporary() -> tempfile::Builder<'static, 'static> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Every table of this machine must give the results in the file.
fn verify(bytes: &AlignedBytes) -> Result<()> {
    let model = Model::from_bytes(bytes).context("the exported file does not load")?;
    for kernels in Kernels::available() {
        let mut state = AlignedBytes::zeroed(model.state_len());
        let tested = AnyRunner::bind(&model, &mut state)?
            .with_kernels(kernels)
            .self_test();
        tested.with_context(|| format!("{} kernels", kernels.name()))?;
    }
    Ok(())
}

/// Outputs of the test steps as they go into the file, and the digest.
fn run_tests(bytes: &AlignedBytes, tests: &TestInputs) -> Result<(Vec<u8>, u32)> {
    let model = Model::from_bytes(bytes).context("the exported file does not load")?;
    if model.is_bidirectional() {
        return run_test_windows(&model, tests);
    }
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = model.bind_bytes(&mut state)?.with_kernels(&Kernels::SCALAR);
    let mut digest = kinglet::Digest::new();
    let mut results = Vec::new();
    let inputs = model.inputs();
    let (mut y, mut q) = (vec![0.0; model.outputs()], vec![0; model.outputs()]);
    for step in 0..tests.steps(inputs) {
        match tests {
            TestInputs::Samples(x) => {
                let x = &x[step * inputs..(step + 1) * inputs];
                if model.is_integer() {
                    runner.step_q(&quantize_sample(&model, x), &mut q);
                } else {
                    runner.step_raw(x, &mut y);
                }
            }
            TestInputs::Tokens(tokens) => {
                if model.is_integer() {
                    runner.step_token_q(tokens[step] as usize, &mut q);
                } else {
                    runner.step_token(tokens[step] as usize, &mut y);
                }
            }
        }
        if model.is_integer() {
            digest.add_i16(&q);
            results.extend_from_slice(cast_slice(&q));
        } else {
            digest.add_f32(&y);
            results.extend_from_slice(cast_slice(&y));
        }
    }
    digest.add_bytes(runner.layer_state());
    Ok((results, digest.value()))
}

/// The same of a model that answers once a window.
fn run_test_windows(model: &Model<'_>, tests: &TestInputs) -> Result<(Vec<u8>, u32)> {
    let mut state = AlignedBytes::zeroed(model.state_len());
    let runner = model.bind_window_bytes(&mut state)?;
    let mut runner = runner.with_kernels(&Kernels::SCALAR);
    let mut digest = kinglet::Digest::new();
    let mut results = Vec::new();
    let (inputs, window) = (model.inputs(), runner.window());
    let (mut y, mut q) = (vec![0.0; model.outputs()], vec![0; model.outputs()]);
    for first in (0..tests.steps(inputs)).step_by(window) {
        match tests {
            TestInputs::Samples(x) => {
                let x = &x[first * inputs..(first + window) * inputs];
                if model.is_integer() {
                    let x: Vec<i16> = x
                        .chunks_exact(inputs)
                        .flat_map(|x| quantize_sample(model, x))
                        .collect();
                    runner.run_q(&x, &mut q);
                } else {
                    runner.run_raw(x, &mut y);
                }
            }
            TestInputs::Tokens(tokens) => {
                let tokens = tokens[first..first + window].iter();
                let tokens: Vec<usize> = tokens.map(|&token| token.into()).collect();
                if model.is_integer() {
                    runner.run_tokens_q(&tokens, &mut q);
                } else {
                    runner.run_tokens(&tokens, &mut y);
                }
            }
        }
        runner.add_output(&mut digest);
        if model.is_integer() {
            results.extend_from_slice(cast_slice(&q));
        } else {
            results.extend_from_slice(cast_slice(&y));
        }
    }
    Ok((results, digest.value()))
}

fn quantize_sample(model: &Model<'_>, x: &[f32]) -> Vec<i16> {
    let mut q = vec![0; x.len()];
    model.quantize_input(x, &mut q);
    q
}

/// A file in the making: header fields and tensors so far.
struct Draft<'p> {
    layout: Layout,
    /// Why layers cannot be packed as the layout wants it.
    unpacked: Vec<String>,
    package: &'p Package,
    formats: &'p Formats,
    /// Of the layer that is written.
    format: Format,
    input_names: String,
    output_names: String,
    layers: heapless::Vec<engine::Layer, MAX_LAYERS>,
    payload: Payload,
    /// The layers as integers have them, and the scales of their rows.
    dequantized: Vec<(Layer, Vec<f64>)>,
}

/// Bytes of a cache line, and of the widest vectors.
const LINE: usize = 64;

/// Tensors one after the other, each from a multiple of 16.
#[derive(Debug, Clone, Default)]
struct Payload {
    bytes: Vec<u8>,
    /// Where the largest tensor lies.
    largest: Range<usize>,
}

impl Payload {
    fn push<T: NoUninit>(&mut self, tensor: &[T]) {
        let start = pad(self.bytes.len(), ALIGN);
        self.bytes.resize(start, 0);
        self.bytes.extend_from_slice(cast_slice(tensor));
        if self.bytes.len() - start > self.largest.len() {
            self.largest = start..self.bytes.len();
        }
    }

    /// Integer weights, in the width of the format.
    fn push_int(&mut self, format: Format, tensor: &[i8]) {
        if format == Format::W4A8 {
            self.push(&pack_nibbles(tensor));
        } else {
            self.push(tensor);
        }
    }

    /// Float weights, in the width of the format.
    fn push_float(&mut self, format: Format, tensor: &[f32]) {
        if format == Format::F16 {
            self.push(
                &tensor
                    .iter()
                    .map(|&w| f16::from_f32(w.clamp(-LARGEST_F16, LARGEST_F16)).to_bits())
                    .collect::<Vec<u16>>(),
            );
        } else {
            self.push(tensor);
        }
    }
}

/// A name that can stand in a list of names.
fn listed(name: &str, unit: Option<&str>) -> Result<String> {
    ensure!(
        !name.contains(['\0', '\u{1}']) && !unit.unwrap_or("").contains(['\0', '\u{1}']),
        "a name contains U+0000 or U+0001: {name:?}"
    );
    Ok(match unit {
        Some(unit) => format!("{name}\u{1}{unit}"),
        None => name.to_owned(),
    })
}

fn list(names: impl Iterator<Item = Result<String>>) -> Result<String> {
    Ok(names.collect::<Result<Vec<_>>>()?.join("\0"))
}

fn width(what: &str, n: usize, max: usize) -> Result<u16> {
    ensure!(n >= 1 && n <= max, "{what} is {n}, must be 1 to {max}");
    Ok(n as u16)
}

impl<'p> Draft<'p> {
    fn new(layout: Layout, package: &'p Package, formats: &'p Formats) -> Result<Self> {
        let mut payload = Payload::default();
        let input_names = match &package.input {
            Input::Features(features) => {
                ensure!(
                    features.len() == package.net.input_width(),
                    "{} features are described, the network takes {}",
                    features.len(),
                    package.net.input_width()
                );
                payload.push(&features.iter().map(feature).collect::<Vec<_>>());
                list(features.iter().map(|f| listed(&f.name, Some(&f.unit))))?
            }
            Input::Tokens(tokens) => list(tokens.iter().map(|t| listed(t, None)))?,
        };
        let outputs = package.net.output_width();
        let output_names = match &package.output {
            Output::Values(targets) => {
                ensure!(
                    targets.len() == outputs,
                    "{} outputs are described, the network gives {outputs}",
                    targets.len()
                );
                payload.push(&targets.iter().map(target).collect::<Vec<_>>());
                list(targets.iter().map(|t| listed(&t.name, Some(&t.unit))))?
            }
            Output::Classes(classes) => {
                ensure!(
                    classes.len() == outputs,
                    "{} classes are described, the network gives {outputs}",
                    classes.len()
                );
                list(classes.iter().map(|c| listed(c, None)))?
            }
            Output::NextToken => String::new(),
        };
        let layers = heapless::Vec::new();
        Ok(Draft {
            layout,
            unpacked: Vec::new(),
            package,
            formats,
            format: formats.of(0),
            input_names,
            output_names,
            layers,
            payload,
            dequantized: Vec::new(),
        })
    }

    fn layers(&mut self, layers: &[Layer], ranges: &Ranges) -> Result<()> {
        watch::begin(ranges.rounding(layers));
        for (at, layer) in layers.iter().enumerate() {
            self.format = self.formats.of(at);
            let first = at == 0;
            let behind_embedding = at == 1 && matches!(layers[0], Layer::Embedding(_));
            let spec = match layer {
                Layer::Embedding(e) => self.embedding(e),
                Layer::Recurrent(r) => {
                    let limits = self.limits(r, first, behind_embedding);
                    let slow = is_slow(self.package, layer, &ranges.layers[at], self.format);
                    self.recurrent(r, limits, &ranges.layers[at], slow)
                }
                Layer::Dense(d) => self.dense(d, at + 1 == layers.len(), &ranges.layers[at]),
                Layer::Bidirectional(b) => {
                    let limits = self.limits(&b.forward, first, behind_embedding);
                    self.bidirectional(b, limits, &ranges.layers[at])
                }
            };
            let spec = spec.with_context(|| format!("layer {at}"))?;
            if self.layers.push(spec).is_err() {
                bail!("more than {MAX_LAYERS} layers");
            }
        }
        Ok(())
    }

    fn limits(&self, r: &Recurrent, first: bool, behind_embedding: bool) -> Limits {
        let w = largest_weight(self.format);
        if self.format.is_a8() {
            // A sample within ±16; everything else is i8.
            Limits {
                w,
                x: if first && !behind_embedding {
                    2048
                } else {
                    128
                },
                h: 128,
            }
        } else {
            let state = match r.cell {
                net::Cell::RnnRelu => 1 << 14,
                net::Cell::FastGrnn => 1 << 13,
                _ => 4097,
            };
            Limits {
                w,
                x: 1 << 15,
                h: state,
            }
        }
    }

    fn embedding(&mut self, e: &Embedding) -> Result<engine::Layer> {
        let format = self.format;
        let vocab = width("the number of tokens", e.vocab, engine::MAX_VOCAB)?;
        let dim = width("the embedding length", e.dim, engine::MAX_WIDTH)?;
        let columns = format.columns(e.dim);
        // One more row than tokens, of zeros, for what is no token.
        let mut table = vec![0.0; (e.vocab + 1) * columns];
        for (place, row) in table
            .chunks_exact_mut(columns)
            .zip(e.table.chunks_exact(e.dim))
        {
            place[..e.dim].copy_from_slice(row);
        }
        let round = |w: f32, frac: i32| (w * 2f32.powi(frac)).round();
        match format {
            Format::W8A8 | Format::W4A8 => {
                self.payload
                    .push(&table.iter().map(|&w| round(w, 7) as i8).collect::<Vec<_>>());
            }
            Format::W8A16 => {
                self.payload.push(
                    &table
                        .iter()
                        .map(|&w| round(w, 12) as i16)
                        .collect::<Vec<_>>(),
                );
            }
            _ => self.payload.push_float(format, &table),
        }
        let frac = input_frac(format);
        let (low, high) = if frac == 7 {
            (-128.0, 127.0)
        } else {
            (-32768.0, 32767.0)
        };
        let value = |&w: &f32| round(w, frac).clamp(low, high) * 2f32.powi(-frac);
        let layer = Layer::Embedding(Embedding {
            table: e.table.iter().map(value).collect(),
            ..*e
        });
        self.dequantized.push((layer, Vec::new()));
        Ok(engine::Layer::Embedding { format, vocab, dim })
    }

    fn recurrent(
        &mut self,
        r: &Recurrent,
        limits: Limits,
        range: &LayerRange,
        slow: bool,
    ) -> Result<engine::Layer> {
        let format = self.format;
        let inputs = width("the input width", r.inputs, engine::MAX_WIDTH)?;
        let hidden = width("the hidden size", r.hidden, engine::MAX_WIDTH)?;
        let (mut requant_shift, mut shift) = (0, 0);
        if format.is_integer() {
            requant_shift = self.recurrent_q(r, limits, range, slow)?;
            shift = cell_shift(range.cell, slow);
            self.extra_q(r, shift, slow);
            if slow {
                shift |= engine::SLOW;
            }
        } else {
            for sums in stages(r.cell) {
                self.float_stage(r, sums);
            }
            self.extra(r);
        }
        Ok(engine::Layer::Recurrent {
            format,
            cell: engine_cell(r.cell),
            inputs,
            hidden,
            requant_shift,
            cell_shift: shift,
        })
    }

    /// The first direction's tensors, then the second one's.
    fn bidirectional(
        &mut self,
        b: &Bidirectional,
        limits: Limits,
        range: &LayerRange,
    ) -> Result<engine::Layer> {
        let [forward, backward] = b.halves();
        let [of_forward, of_backward] = range.halves();
        let halves = [
            self.recurrent(forward, limits, &of_forward, false)?,
            self.recurrent(backward, limits, &of_backward, false)?,
        ];
        if let (
            Some((Layer::Recurrent(backward), second)),
            Some((Layer::Recurrent(forward), first)),
        ) = (self.dequantized.pop(), self.dequantized.pop())
        {
            let both = Layer::Bidirectional(Bidirectional { forward, backward });
            self.dequantized.push((both, [first, second].concat()));
        }
        let shifts = halves.map(|half| match half {
            engine::Layer::Recurrent {
                requant_shift,
                cell_shift,
                ..
            } => (requant_shift, cell_shift),
            _ => (0, 0),
        });
        // Both cells have one range, and so one shift.
        let (requant_shift, cell_shift) = (shifts.map(|half| half.0), shifts[0].1);
        Ok(engine::Layer::Bidirectional {
            format: self.format,
            cell: engine_cell(forward.cell),
            inputs: width("the input width", forward.inputs, engine::MAX_WIDTH)?,
            hidden: width("the hidden size", forward.hidden, engine::MAX_WIDTH / 2)?,
            requant_shift,
            cell_shift,
        })
    }

    /// What a float layer has behind its rows.
    fn extra(&mut self, r: &Recurrent) {
        match r.cell {
            net::Cell::FastGrnn => {
                self.payload
                    .push(&pack_numbers(r.hidden, 1, |unit, _| r.b_hh[unit]));
                self.payload.push(&r.mix());
            }
            net::Cell::LstmPeephole => {
                let peephole = |unit: usize, gate: usize| r.extra[gate * r.hidden + unit];
                self.payload.push(&pack_numbers(r.hidden, 3, peephole));
            }
            _ => {}
        }
    }

    /// What an integer layer has behind its rows, with what becomes of the numbers.
    fn extra_q(&mut self, r: &Recurrent, cell_shift: u8, slow: bool) {
        // Fraction bits of pre-activations.
        let frac = gate_frac(slow);
        let Some((Layer::Recurrent(values), _)) = self.dequantized.last_mut() else {
            return;
        };
        match r.cell {
            net::Cell::FastGrnn => {
                let apart = |unit: usize| {
                    let apart = (r.b_hh[unit] - r.b_ih[unit]) * 4096.0;
                    // Saturates.
                    apart.round() as i16
                };
                for unit in 0..r.hidden {
                    values.b_hh[unit] = values.b_ih[unit] + f32::from(apart(unit)) / 4096.0;
                }
                let [zeta, nu] = r.mix().map(f64::from);
                self.payload
                    .push(&pack_numbers(r.hidden, 1, |unit, _| apart(unit)));
                let (q31, q30) = (2f64.powi(31), 2f64.powi(30));
                let mix = [(zeta * q31).round() as i32, (nu * q30).round() as i32];
                self.payload.push(&mix);
            }
            net::Cell::LstmPeephole => {
                let one = 2f64.powi(5 + frac + i32::from(cell_shift));
                // Saturates: at 1024 with the largest cell.
                let rounded = |w: f32| (f64::from(w) * one).round() as i32;
                for w in &mut values.extra {
                    *w = (f64::from(rounded(*w)) / one) as f32;
                }
                let peephole = |unit: usize, gate: usize| rounded(r.extra[gate * r.hidden + unit]);
                self.payload.push(&pack_numbers(r.hidden, 3, peephole));
            }
            _ => {}
        }
    }

    fn float_stage(&mut self, r: &Recurrent, sums: &[Sum]) {
        let (x, h) = split(sums);
        let w_ih = pack(r.hidden, x.len(), r.inputs, 1, |unit, sum| {
            r.x_row(x[sum], unit)
        });
        let w_hh = pack(r.hidden, h.len(), r.hidden, 1, |unit, sum| {
            r.h_row(h[sum], unit)
        });
        let bias = pack_numbers(r.hidden, sums.len(), |unit, sum| {
            r.sum_bias(sums[sum], unit)
        });
        self.payload.push_float(self.format, &w_ih);
        self.payload.push_float(self.format, &w_hh);
        self.payload.push(&bias);
    }

    /// Integer weights of a recurrent layer, in panels.
    fn push_matrix<'r>(
        &mut self,
        (units, sums): (usize, usize),
        inputs: usize,
        row: impl Fn(usize, usize) -> &'r [i8],
    ) {
        let columns = self.format.columns(inputs);
        // Row after row is one block of all columns.
        let block = match self.layout {
            Layout::CortexM55 if self.format != Format::W4A8 => columns,
            _ => BLOCK,
        };
        let weights = pack(units, sums, columns, block, row);
        if self.layout == Layout::CortexM0 && self.format != Format::W4A8 {
            let offset: Vec<u8> = weights.iter().map(|&w| w as u8 ^ 0x80).collect();
            self.payload.push(&offset);
        } else {
            self.payload.push_int(self.format, &weights);
        }
    }

    fn recurrent_q(
        &mut self,
        r: &Recurrent,
        limits: Limits,
        range: &LayerRange,
        slow: bool,
    ) -> Result<u8> {
        // All rows of the layer together, since they share the shift.
        let sums: Vec<Sum> = stages(r.cell).concat();
        // Gates that see the same have one spread.
        let mut spreads: Vec<((usize, Range<usize>), Spread)> = Vec::new();
        let mut seen: Vec<Option<usize>> = Vec::new();
        for (stage, sums) in stages(r.cell).iter().enumerate() {
            for sum in sums.iter() {
                let first = if sum.x { 0 } else { r.inputs };
                let end = r.inputs + if sum.h { r.hidden } else { 0 };
                let place = (stage, first..end);
                seen.push(range.inputs.get(stage).map(|moments| {
                    let known = spreads.iter().position(|(seen, _)| *seen == place);
                    known.unwrap_or_else(|| {
                        spreads.push((place, moments.of(first..end)));
                        spreads.len() - 1
                    })
                }));
            }
        }
        let rows: Vec<Row<'_>> = sums
            .iter()
            .zip(&seen)
            .enumerate()
            .flat_map(|(number, (&sum, seen))| {
                let inputs = seen.map(|seen| &spreads[seen].1);
                (0..r.hidden).map(move |unit| Row {
                    x: r.x_row(sum, unit),
                    h: r.h_row(sum, unit),
                    bias: r.sum_bias(sum, unit),
                    inputs,
                    scale: range.scales.get(number * r.hidden + unit).copied(),
                })
            })
            .collect();
        let rows = Rows::quantize(&rows, input_frac(self.format), gate_frac(slow), limits)?;
        let layer = Layer::Recurrent(dequantized(r, &sums, &rows));
        self.dequantized.push((layer, rows.scale.clone()));
        let (cell, format) = (engine_cell(r.cell), self.format);
        let packed_form = engine::packed_rows(cell, format, r.inputs, r.hidden).is_some();
        if self.layout == Layout::CortexM4 && packed_form && !slow {
            let layer = packed::Layer {
                cell: r.cell,
                format: self.format,
                inputs: r.inputs,
                hidden: r.hidden,
                rows: &rows,
            };
            if rows.shift != packed::shift(self.format) {
                self.unpacked.push(format!(
                    "layer {} stays in the portable layout, as does the file: its sums or weights are too large to be packed",
                    self.layers.len()
                ));
            }
            self.payload.push(&layer.pack());
            return Ok(rows.shift);
        }
        let mut before = 0;
        for stage in stages(r.cell) {
            let (x, h) = split(stage);
            let x_at = before;
            let h_at = before + stage.len() - h.len();
            let at = |from: usize, sum: usize, unit: usize| (from + sum) * r.hidden + unit;
            self.push_matrix((r.hidden, x.len()), r.inputs, |u, s| {
                &rows.x[at(x_at, s, u)]
            });
            self.push_matrix((r.hidden, h.len()), r.hidden, |u, s| {
                &rows.h[at(h_at, s, u)]
            });
            self.payload
                .push(&pack_numbers(r.hidden, stage.len(), |u, s| {
                    rows.bias[at(before, s, u)]
                }));
            self.payload
                .push(&pack_numbers(r.hidden, stage.len(), |u, s| {
                    rows.m[at(before, s, u)]
                }));
            before += stage.len();
        }
        Ok(rows.shift)
    }

    fn dense(&mut self, d: &Dense, last: bool, range: &LayerRange) -> Result<engine::Layer> {
        let format = self.format;
        let inputs = width("the input width", d.inputs, engine::MAX_WIDTH)?;
        let outputs = width("the output width", d.outputs, engine::MAX_VOCAB)?;
        let row = |unit: usize| &d.weight[unit * d.inputs..(unit + 1) * d.inputs];
        let free = matches!(
            d.activation,
            net::Activation::Identity | net::Activation::Softmax
        );
        let scaled = format.is_integer() && last && free;
        let frac = if scaled {
            output_frac(range.output)
        } else {
            12
        };
        let mut requant_shift = 0;
        if format.is_integer() {
            let moments = range.inputs.first();
            let spread = moments.map(|moments| moments.of(0..d.inputs));
            let rows: Vec<Row<'_>> = (0..d.outputs)
                .map(|unit| Row {
                    x: row(unit),
                    h: &[],
                    bias: d.bias[unit],
                    inputs: spread.as_ref(),
                    scale: range.scales.get(unit).copied(),
                })
                .collect();
            let limits = Limits {
                w: largest_weight(format),
                x: 1 << 15,
                h: 0,
            };
            let rows = Rows::quantize(&rows, 12, frac, limits)?;
            let layer = Layer::Dense(Dense {
                weight: (0..d.outputs).flat_map(|row| rows.x_row(row)).collect(),
                bias: (0..d.outputs).map(|row| rows.bias(row)).collect(),
                ..*d
            });
            self.dequantized.push((layer, rows.scale.clone()));
            let columns = format.columns(d.inputs);
            let w = pack(d.outputs, 1, columns, BLOCK, |unit, _| &rows.x[unit][..]);
            self.payload.push_int(format, &w);
            self.payload
                .push(&pack_numbers(d.outputs, 1, |unit, _| rows.bias[unit]));
            self.payload
                .push(&pack_numbers(d.outputs, 1, |unit, _| rows.m[unit]));
            requant_shift = rows.shift;
        } else {
            self.payload.push_float(
                format,
                &pack(d.outputs, 1, d.inputs, 1, |unit, _| row(unit)),
            );
            self.payload
                .push(&pack_numbers(d.outputs, 1, |unit, _| d.bias[unit]));
        }
        let activation = engine_activation(d.activation);
        let frac = frac as i8;
        Ok(engine::Layer::Dense {
            format,
            inputs,
            outputs,
            activation,
            requant_shift,
            frac,
        })
    }

    /// The whole file with these test results.
    fn file(&self, tests: &TestInputs, results: &[u8], digest: u32) -> Result<AlignedBytes> {
        let inputs = self.package.net.input_width();
        let header = engine::Header {
            name: &self.package.name,
            input: match &self.package.input {
                Input::Features(features) => engine::Input::Features {
                    count: width("the number of features", features.len(), engine::MAX_WIDTH)?,
                    names: &self.input_names,
                },
                Input::Tokens(tokens) => engine::Input::Tokens {
                    count: width("the number of tokens", tokens.len(), engine::MAX_VOCAB)?,
                    names: &self.input_names,
                },
            },
            output: {
                let count = width(
                    "the output width",
                    self.package.net.output_width(),
                    engine::MAX_VOCAB,
                )?;
                let names = &self.output_names;
                match &self.package.output {
                    Output::Values(_) => engine::Output::Values { count, names },
                    Output::Classes(_) => engine::Output::Classes { count, names },
                    Output::NextToken => engine::Output::NextToken { count },
                }
            },
            shape: match self.package.shape {
                Shape::EveryStep => engine::Shape::EveryStep,
                Shape::Window { window, hop, exact } => engine::Shape::Window {
                    window: window as u32,
                    hop: hop as u32,
                    exact,
                },
            },
            threshold: self.package.alarm.map(|alarm| alarm.threshold),
            layers: self.layers.clone(),
            test: engine::TestVectors {
                steps: tests.steps(inputs) as u16,
                digest,
            },
        };
        let mut header = postcard::to_allocvec(&header).context("the header does not encode")?;
        if let Some(alarm) = self.package.alarm {
            let tail = engine::Tail {
                smoothing: Some(alarm.smoothing),
            };
            header = postcard::to_extend(&tail, header).context("the header does not encode")?;
        }
        let mut payload = self.payload.clone();
        match tests {
            TestInputs::Samples(x) if self.formats.is_integer() => {
                let frac = if matches!(
                    self.layers[0],
                    engine::Layer::Recurrent { .. } | engine::Layer::Bidirectional { .. }
                ) {
                    input_frac(self.formats.of(0))
                } else {
                    12
                };
                let q = x
                    .iter()
                    .map(|&x| quantize_one(x, frac))
                    .collect::<Vec<i16>>();
                payload.push(&q);
            }
            TestInputs::Samples(x) => payload.push(x),
            TestInputs::Tokens(tokens) => payload.push(tokens),
        }
        payload.push(results);
        let mut payload_offset = pad(PREAMBLE_LEN + header.len(), ALIGN);
        if self.layout == Layout::Portable {
            // Loads of whole lines that lie across two cost a third of a step on x86.
            let largest = payload_offset + self.payload.largest.start;
            payload_offset += pad(largest, LINE) - largest;
        }
        let mut preamble = Preamble {
            layout: self.layout,
            header_len: header.len(),
            payload_offset,
            payload_len: payload.bytes.len(),
            state_len: 0,
            crc: 0,
        };
        let mut bytes = AlignedBytes::zeroed(payload_offset + payload.bytes.len());
        bytes[PREAMBLE_LEN..PREAMBLE_LEN + header.len()].copy_from_slice(&header);
        bytes[payload_offset..].copy_from_slice(&payload.bytes);
        // The engine plans the state; a first load tells its size.
        for _ in 0..2 {
            preamble.crc = 0;
            bytes[..PREAMBLE_LEN].copy_from_slice(&preamble.write());
            preamble.crc = engine::file_crc(&bytes);
            bytes[..PREAMBLE_LEN].copy_from_slice(&preamble.write());
            match Model::from_bytes(&bytes).map(|_| ()) {
                Err(kinglet::LoadError::StateSize { need, .. }) => preamble.state_len = need,
                Err(error) => bail!("the exported file does not load: {error}"),
                Ok(()) => return Ok(bytes),
            }
        }
        bail!("the engine did not settle on a state size")
    }
}

/// A layer with the values of its rows, which lie sum by sum.
fn dequantized(r: &Recurrent, sums: &[Sum], rows: &Rows) -> Recurrent {
    let mut values = r.clone();
    values.b_ih.fill(0.0);
    values.b_hh.fill(0.0);
    for (number, sum) in sums.iter().enumerate() {
        for unit in 0..r.hidden {
            let (row, to) = (number * r.hidden + unit, sum.gate * r.hidden + unit);
            if sum.x {
                let place = &mut values.w_ih[to * r.inputs..(to + 1) * r.inputs];
                place.copy_from_slice(&rows.x_row(row));
            }
            if sum.h {
                let place = &mut values.w_hh[to * r.hidden..(to + 1) * r.hidden];
                place.copy_from_slice(&rows.h_row(row));
            }
            // Where both biases are added up the sum is kept as the input's.
            let side = if sum.x {
                &mut values.b_ih
            } else {
                &mut values.b_hh
            };
            side[to] = rows.bias(row);
        }
    }
    values
}

/// Sums over the input, and sums over the state.
fn split(sums: &[Sum]) -> (Vec<Sum>, Vec<Sum>) {
    (
        sums.iter().copied().filter(|sum| sum.x).collect(),
        sums.iter().copied().filter(|sum| sum.h).collect(),
    )
}

/// As the engine quantizes samples.
fn quantize_one(x: f32, frac: i32) -> i16 {
    let (low, high) = num::input_limits(frac as i8);
    num::quantize(x, frac as i8, low, high)
}

/// Smallest range of an LSTM's cell that leaves a quarter above what was met.
fn cell_shift(range: f32, slow: bool) -> u8 {
    let fits = |shift: &u8| range * 1.25 < 8.0 * (1u32 << shift) as f32;
    let most = if slow { 7 } else { MAX_CELL_SHIFT };
    (0..=most).find(fits).unwrap_or(most)
}

/// Fraction bits of the gates' pre-activations.
fn gate_frac(slow: bool) -> i32 {
    if slow { 11 } else { 12 }
}

/// Fraction bits of an output that reaches `range`: half as much again fits.
fn output_frac(range: f32) -> i32 {
    let room = (32767.0 / (range.max(1e-6) * 1.5)).log2().floor() as i32;
    room.clamp(-16, 15)
}

fn feature(f: &Feature) -> engine::Feature {
    use engine::FeatureTransform as T;
    let (transform, column) = match f.transform {
        Transform::None => (T::None, 0),
        Transform::Log => (T::Log, 0),
        Transform::Difference { column } => (T::Difference, column),
        Transform::LogRatio { column } => (T::LogRatio, column),
        Transform::Missing { column } => (T::Missing, column),
    };
    let hold = if f.hold { engine::Feature::HOLD } else { 0 };
    engine::Feature {
        transform: transform as u32 | hold,
        column: column as u32,
        offset: f.offset,
        scale: f.scale,
    }
}

fn target(t: &Target) -> engine::Target {
    use engine::TargetRestore as R;
    let (restore, column) = match t.restore {
        Restore::None => (R::None, 0),
        Restore::Exp => (R::Exp, 0),
        Restore::AddTo { column } => (R::AddTo, column),
        Restore::TimesExp { column } => (R::TimesExp, column),
    };
    engine::Target {
        restore: restore as u32,
        column: column as u32,
        feeds: t.feeds.map_or(u32::MAX, |feature| feature as u32),
        scale: t.scale,
        offset: t.offset,
    }
}

fn engine_cell(cell: net::Cell) -> engine::Cell {
    match cell {
        net::Cell::RnnTanh => engine::Cell::RnnTanh,
        net::Cell::RnnRelu => engine::Cell::RnnRelu,
        net::Cell::Lstm => engine::Cell::Lstm,
        net::Cell::GruResetAfter => engine::Cell::GruResetAfter,
        net::Cell::GruResetBefore => engine::Cell::GruResetBefore,
        net::Cell::FastGrnn => engine::Cell::FastGrnn,
        net::Cell::LstmCoupled => engine::Cell::LstmCoupled,
        net::Cell::LstmPeephole => engine::Cell::LstmPeephole,
    }
}

fn engine_activation(activation: net::Activation) -> engine::Activation {
    match activation {
        net::Activation::Identity => engine::Activation::Identity,
        net::Activation::Relu => engine::Activation::Relu,
        net::Activation::Tanh => engine::Activation::Tanh,
        net::Activation::Sigmoid => engine::Activation::Sigmoid,
        net::Activation::Softmax => engine::Activation::Softmax,
    }
}
