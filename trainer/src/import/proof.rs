//! The proof that a network was understood: the interpreter beside the engine, step by step.
//!
//! The graph is interpreted as the file has it, in sequences or sample by sample with its states fed back; the engine runs the
//! lowered network in f32 and carries its own state. Both see the same seeded random samples. What each layer gives is
//! compared too, from the engine's runs of the network cut behind that layer, so that a difference says where it begins.

use super::graph::{self, Graph, Op, Tensor, ValueId, Values};
use super::interpret;
use super::lower::{self, Lowered, Role, Tap};
use crate::engine::EnginePredictor;
use crate::file::{TestInputs, export};
use crate::net::{Layer, Network};
use crate::package::{Input, Package, Shape};
use crate::quant::Ranges;
use crate::train::Predictor;
use crate::train::init::Rng;
use anyhow::{Context, Result, ensure};
use kinglet::Model;
use kinglet::format::Format;
use kinglet::kernel::Kernels;

/// Largest difference, in parts of the outputs' spread, that is still rounding.
pub const MOST: f64 = 1e-4;

/// A network whose outputs move when the last bits of its samples do is held to so many times that.
const SENSITIVE: f64 = 16.0;

/// And one that forgets little in a step to so many times what an `f32` rounds of that.
const FORGETFUL: f64 = 4.0;

/// At most, whatever a gate forgets.
const FORGIVEN: f64 = 0.05;

/// Units in the last place, of the largest output, that two implementations may be apart.
const PLACES: f64 = 4.0;

/// Given samples that are compared at most.
const GIVEN: usize = 2000;

/// Multiplications that a proof may take: a second or so of the interpreter.
const MACS: usize = 300_000_000;

/// What the comparison found.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Of each layer.
    pub layers: Vec<LayerProof>,
    /// Samples that were compared.
    pub samples: usize,
    /// The share that the outputs were held to: [`MOST`], or more of a network that amplifies rounding.
    pub allowed: f64,
}

/// The comparison of one layer's outputs.
#[derive(Debug, Clone)]
pub struct LayerProof {
    /// As the file calls it.
    pub name: String,
    /// Largest difference between engine and interpreter.
    pub difference: f64,
    /// Standard deviation of the interpreter's outputs.
    pub spread: f64,
    /// Their largest magnitude.
    pub largest: f64,
}

impl LayerProof {
    /// The difference in parts of the spread, or of 1 where the outputs never change.
    pub fn share(&self) -> f64 {
        self.difference / self.whole()
    }

    fn whole(&self) -> f64 {
        if self.spread > 0.0 { self.spread } else { 1.0 }
    }

    /// Whether the outputs hardly move over the samples: what an `f32` rounds of them is more than is forgiven of their spread.
    pub fn is_flat(&self) -> bool {
        self.rounding() >= FORGIVEN * self.spread
    }

    fn rounding(&self) -> f64 {
        PLACES * f64::from(f32::EPSILON) * self.largest
    }
}

/// Samples as the network takes them: sequences, from each of whose starts the state is zero.
pub(super) type Samples = Vec<Vec<Vec<f32>>>;

/// Compares, and fails if the outputs differ by more than rounding.
pub(super) fn prove(
    graph: &Graph,
    lowered: &Lowered,
    package: &Package,
    given: Option<Samples>,
) -> Result<Proof> {
    let plan = Plan::new(lowered, package);
    let front: Vec<(f64, f64)> = lowered.normalisation().collect();
    let samples = match given {
        Some(given) => plan.cut(given, &package.net),
        None => plan.random(&package.net, &front),
    };
    ensure!(
        !samples.is_empty(),
        "there are no samples to compare on: the network takes {} at once",
        plan.window.unwrap_or(plan.chunk.min(1 << 16))
    );
    let mut expected = vec![Vec::new(); lowered.taps.len()];
    for sequence in &samples {
        interpreted(graph, lowered, &plan, sequence, &mut expected)?;
    }
    let mut layers = Vec::new();
    // The last layer whose outputs tell something; those behind it may differ in their last places.
    let mut judged = None;
    for (at, (tap, expected)) in lowered.taps.iter().zip(&expected).enumerate() {
        let cut = &package.net.layers[..=tap.layer];
        if matches!(cut, [Layer::Embedding(_)]) {
            continue;
        }
        let every = tap.roles.contains(&Role::Time) && !plan.whole;
        let chunk = if every { 1 } else { plan.chunk };
        let found = engine((package, &front, tap.adds), cut, chunk, &samples)
            .with_context(|| format!("layer `{}` in the engine", tap.name))?;
        let layer = compare(&tap.name, &found, expected)?;
        if judged.is_none() || !layer.is_flat() || layer.difference > layer.rounding() {
            judged = Some((at, layers.len()));
        }
        layers.push(layer);
    }
    let (tap, judged) = judged.context("there is no layer to compare")?;
    let judged = &layers[judged];
    let allowed = match judged.share() <= MOST {
        true => MOST,
        false => MOST
            .max(SENSITIVE * sensitivity(graph, lowered, &plan, &samples, (tap, &expected[tap]))?)
            .max((FORGETFUL * rounded(&package.net)).min(FORGIVEN))
            .max((judged.rounding() / judged.whole()).min(FORGIVEN)),
    };
    ensure!(
        judged.share() <= allowed,
        "the network was not understood: engine and interpreter differ by {:.2e} of the outputs' spread, more than {MOST:.0e} \
         (by layer: {}); {}, and no model is written",
        judged.share(),
        (layers.iter())
            .map(|l| format!("`{}` {:.2e}", l.name, l.share()))
            .collect::<Vec<_>>()
            .join(", "),
        match package.net.is_bidirectional() {
            true =>
                "of a bidirectional layer the output at the last sample is not what it ends with, as one direction has only begun there: let the \
                 network go on from the last states of both, torch.cat([h[-2], h[-1]], 1) in PyTorch. If it does, this is a fault of the import",
            false =>
                "this is a fault of the import, unless states are inputs and outputs of the file and come out in another order than they go in",
        }
    );
    Ok(Proof {
        samples: samples.iter().map(Vec::len).sum(),
        layers,
        allowed,
    })
}

/// How far a tap's outputs in the interpreter go, in parts of their spread, when samples and weights change in their last bits: a network that makes
/// that much of rounding gives no two implementations the same numbers.
fn sensitivity(
    graph: &Graph,
    lowered: &Lowered,
    plan: &Plan,
    samples: &Samples,
    (tap, expected): (usize, &[Vec<f32>]),
) -> Result<f64> {
    let mut changed = samples.clone();
    if !graph.inputs[lowered.samples].whole {
        shake(changed.iter_mut().flatten().flatten());
    }
    let graph = shaken(graph);
    let mut rows = vec![Vec::new(); lowered.taps.len()];
    for sequence in &changed {
        interpreted(&graph, lowered, plan, sequence, &mut rows)?;
    }
    Ok(compare("", &rows[tap], expected)?.share())
}

/// What an `f32` rounds of the share that a unit forgets in a step, in parts of it: a gate of 1 − 1 / 30,000 has 1 / 30,000 to
/// within 0.4 %, whoever computes it, and as far apart is what two implementations forget.
fn rounded(net: &Network) -> f64 {
    let layers = Ranges::bound(net).layers;
    let shares = layers.iter().filter_map(|range| range.forgets);
    shares.fold(0.0, |most, share| most.max(f64::from(f32::EPSILON) / share))
}

/// Changes numbers in their last bits, up and down by turns.
fn shake<'x>(values: impl IntoIterator<Item = &'x mut f32>) {
    for (k, x) in values.into_iter().enumerate() {
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        *x *= 1.0 + 2.0 * sign * f32::EPSILON;
    }
}

/// The graph with other last bits in its weights.
fn shaken(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    for value in &mut graph.values {
        if let Some(Values::F32(values)) = value.constant.as_mut().map(|t| &mut t.values) {
            shake(values);
        }
    }
    for node in &mut graph.nodes {
        if let Op::Recurrent(recurrent) = &mut node.op {
            for direction in &mut recurrent.directions {
                let (b_ih, b_hh) = (&mut direction.b_ih, &mut direction.b_hh);
                for numbers in [&mut direction.w_ih, &mut direction.w_hh, b_ih, b_hh] {
                    shake(numbers);
                }
                shake(direction.peephole.iter_mut().flatten());
                shake(direction.projection.iter_mut().flatten());
            }
        }
    }
    graph
}

/// How the graph is run.
struct Plan {
    /// Samples at a time.
    chunk: usize,
    /// Sequences of exactly so many, of a file or a model made for them.
    window: Option<usize>,
    /// The outputs that count are those after the last sample of a call.
    last: bool,
    /// One output for a window.
    whole: bool,
    /// Samples before the first answer, and from one to the next.
    answers: [usize; 2],
}

impl Plan {
    fn new(lowered: &Lowered, package: &Package) -> Self {
        let whole = package.net.is_bidirectional();
        let window = match (lowered.steps, &package.shape) {
            (Some(n), _) if lowered.states.is_empty() => Some(n),
            (_, Shape::Window { window, .. }) if whole => Some(*window),
            _ => None,
        };
        let chunk = match (lowered.steps, lowered.states.is_empty()) {
            (Some(n), false) => n,
            (None, false) => 1,
            (_, true) => window.unwrap_or(usize::MAX),
        };
        Plan {
            chunk,
            window,
            last: lowered.last,
            whole,
            answers: package.net.answers(),
        }
    }

    /// Given sequences as this graph can take them, the first ones of many.
    fn cut(&self, given: Samples, net: &Network) -> Samples {
        let mut all = Vec::new();
        let mut left = (MACS / net.macs().max(1)).clamp(64, GIVEN);
        for mut sequence in given {
            sequence.truncate(left);
            left -= sequence.len();
            match self.window {
                Some(n) => all.extend(sequence.chunks_exact(n).map(<[_]>::to_vec)),
                None if self.chunk < usize::MAX => {
                    let whole = sequence.len() / self.chunk * self.chunk;
                    all.push(sequence[..whole].to_vec());
                }
                None => all.push(sequence),
            }
        }
        // What is shorter has no answer.
        all.retain(|sequence| sequence.len() > self.answers[0]);
        all
    }

    /// About as many as the network takes for usual where it normalises them.
    fn random(&self, net: &Network, front: &[(f64, f64)]) -> Samples {
        let mut rng = Rng::new(0x6b69_6e67_6c65_7421);
        let affordable = MACS / net.macs().max(1);
        let [first, every] = self.answers;
        let lengths = match self.window {
            Some(n) => vec![n; (affordable / n.max(1)).clamp(1, 8)],
            None if self.chunk < usize::MAX => {
                let chunks = (affordable / self.chunk.max(1)).clamp(2, 64);
                vec![self.chunk * chunks.min(64 / self.chunk + 2)]
            }
            // An answer after the last sample only is asked for after one sample, two, three ...
            None if self.last => (1 + first..=first + affordable.clamp(3, 24) + every).collect(),
            None => vec![first + affordable.clamp(4, 48) + 8 * (every - 1); 2],
        };
        let mut sample = || match net.layers.first() {
            Some(Layer::Embedding(e)) => vec![(rng.next_u64() % e.vocab as u64) as f32],
            _ => {
                let each = (0..net.input_width()).map(|k| front.get(k).unwrap_or(&(0.0, 1.0)));
                let around = |(mean, scale): &(f64, f64)| f64::from(rng.normal()) / scale + mean;
                each.map(around).map(|x| x as f32).collect()
            }
        };
        let sequence = |n: usize| (0..n).map(|_| sample()).collect();
        lengths.into_iter().map(sequence).collect()
    }
}

/// The rows of every tap over one sequence.
fn interpreted(
    graph: &Graph,
    lowered: &Lowered,
    plan: &Plan,
    sequence: &[Vec<f32>],
    expected: &mut [Vec<Vec<f32>>],
) -> Result<()> {
    let wanted: Vec<ValueId> = (lowered.taps.iter().map(|t| t.value))
        .chain(lowered.states.iter().map(|s| graph.outputs[s.1]))
        .collect();
    let mut states: Vec<Option<Tensor>> = vec![None; lowered.states.len()];
    for chunk in sequence.chunks(plan.chunk.min(sequence.len())) {
        let shapes = lower::shapes(graph, lowered.samples, lowered.time, chunk.len());
        let mut inputs = Vec::new();
        for (k, shape) in shapes.into_iter().enumerate() {
            let state = lowered.states.iter().position(|s| s.0 == k);
            let carried = state.and_then(|s| states[s].clone());
            inputs.push(match carried {
                _ if k == lowered.samples => samples(graph, lowered, &shape, chunk)?,
                Some(state) => Tensor::new(shape, state.values)?,
                None => {
                    let len = shape.iter().product();
                    Tensor::f32(shape, vec![0.0; len])?
                }
            });
        }
        let mut results = interpret::run(graph, &inputs, &wanted)?;
        let next = results.split_off(lowered.taps.len());
        states = next.into_iter().map(Some).collect();
        for ((tap, rows), tensor) in lowered.taps.iter().zip(&mut *expected).zip(&results) {
            rows.extend(tap_rows(tap, tensor, plan.whole)?);
        }
    }
    Ok(())
}

/// A chunk of samples in the shape of the graph's input; sequences side by side are all the same.
fn samples(
    graph: &Graph,
    lowered: &Lowered,
    shape: &[usize],
    chunk: &[Vec<f32>],
) -> Result<Tensor> {
    let width = chunk.first().map_or(0, Vec::len);
    let graph::Input { dims, whole, .. } = &graph.inputs[lowered.samples];
    let features = lower::features_axis(dims, *whole, lowered.time);
    let strides = shape.iter().rev().scan(1, |n, &d| {
        let stride = *n;
        *n *= d;
        Some(stride)
    });
    let mut strides: Vec<usize> = strides.collect();
    strides.reverse();
    let len: usize = shape.iter().product();
    let value = |at: usize| {
        let digit = |axis: usize| at / strides[axis] % shape[axis];
        let row = &chunk[lowered.time.map_or(0, digit).min(chunk.len() - 1)];
        row[features.map_or(0, digit).min(width - 1)]
    };
    let values = (0..len).map(value);
    Tensor::new(
        shape.to_vec(),
        match *whole {
            true => Values::I64(values.map(|x| x as i64).collect()),
            false => Values::F32(values.collect()),
        },
    )
}

/// A layer's output at every sample, or after the last.
fn tap_rows(tap: &Tap, tensor: &Tensor, whole: bool) -> Result<Vec<Vec<f32>>> {
    let values = tensor.floats()?;
    let dims = &tensor.shape;
    ensure!(
        dims.len() == tap.roles.len(),
        "a value of shape {dims:?} where {:?} is expected",
        tap.roles
    );
    let of = |role: Role| tap.roles.iter().position(|&r| r == role);
    let len = |axis: Option<usize>| axis.map_or(1, |axis| dims[axis]);
    let (time, directions, features) = (of(Role::Time), of(Role::Directions), of(Role::Features));
    let positions = of(Role::Positions);
    let at = |t: usize, p: usize, d: usize, f: usize| {
        let digit = |axis: usize| match Some(axis) {
            a if a == time => t,
            a if a == directions => d,
            a if a == positions => p,
            a if a == features => f,
            _ => 0,
        };
        values[(0..dims.len()).fold(0, |place, axis| place * dims[axis] + digit(axis))]
    };
    let steps = len(time);
    let row = |place: &dyn Fn(usize) -> usize| -> Vec<f32> {
        let places = 0..len(positions) * len(directions);
        places
            .flat_map(|k| (0..len(features)).map(move |f| (k, f)))
            .map(|(k, f)| {
                let (p, d) = (k / len(directions), k % len(directions));
                at(place(d), p, d, f)
            })
            .collect()
    };
    Ok(match whole {
        // What both directions end with, and what is made of it.
        true => vec![row(&|d| if d == 0 { steps - 1 } else { 0 })],
        false => (0..steps).map(|t| row(&|_| t)).collect(),
    })
}

/// The engine's outputs of the network cut behind a layer, after so many samples each.
fn engine(
    (package, front, adds): (&Package, &[(f64, f64)], bool),
    layers: &[Layer],
    chunk: usize,
    samples: &Samples,
) -> Result<Vec<Vec<f32>>> {
    let net = Network {
        layers: layers.to_vec(),
    };
    let outputs = net.output_width();
    let mut cut = Package::of_numbers(&package.name[..], net);
    match &mut cut.input {
        _ if matches!(package.input, Input::Tokens(_)) => cut.input = package.input.clone(),
        Input::Features(features) => {
            for (feature, (mean, scale)) in features.iter_mut().zip(front) {
                (feature.offset, feature.scale) = (*mean as f32, *scale as f32);
            }
        }
        Input::Tokens(_) => {}
    }
    if adds {
        cut.output = package.output.clone();
    }
    if cut.net.is_bidirectional() {
        cut.shape = package.shape;
    }
    let file = export(&cut, Format::F32, None, &TestInputs::synthetic(&cut))?;
    let model = Model::from_bytes(&file.bytes)?;
    // By the definition of all kernels, so that no rounding but a layer's own stands between the two, on any machine.
    let mut predictor = EnginePredictor::new(&model).with_kernels(&Kernels::SCALAR);
    let mut found = Vec::new();
    let mut y = vec![0.0; outputs];
    for sequence in samples {
        predictor.reset();
        for (t, sample) in sequence.iter().enumerate() {
            predictor.step(sample, &mut y);
            let counts = match chunk {
                1 => predictor.answered(),
                _ => (t + 1) % chunk == 0 || t + 1 == sequence.len(),
            };
            if counts {
                found.push(y.clone());
            }
        }
    }
    Ok(found)
}

fn compare(name: &str, found: &[Vec<f32>], expected: &[Vec<f32>]) -> Result<LayerProof> {
    ensure!(
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| a.len() == b.len()),
        "layer `{name}`: {} outputs of the engine and {} of the interpreter",
        found.len(),
        expected.len()
    );
    let all = || expected.iter().flatten().map(|&x| f64::from(x));
    let count = all().count().max(1) as f64;
    let mean = all().sum::<f64>() / count;
    let spread = (all().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    let difference = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    Ok(LayerProof {
        name: name.to_owned(),
        // Not a number is as far as it gets.
        difference: difference.fold(0.0, |most, d| {
            if d.is_nan() {
                f64::INFINITY
            } else {
                most.max(d)
            }
        }),
        spread,
        largest: all().fold(0.0, |most, x| most.max(x.abs())),
    })
}
