//! From a graph to the layers that the engine has, or the reason why not.
//!
//! The graph is walked once with concrete shapes. Of every value is known whether it is a constant, a view of what the
//! chain of layers gives so far (which axis is time, which are features), or a state. Operators that only move axes
//! change the view; those that compute become a layer, or are folded into one where that is exact: `x W`, `+ b` and an
//! activation are one dense layer, scales and offsets go into the weights on either side, an LSTM's projection becomes
//! a product with its hidden weights and a dense layer. All else is refused by name: nothing is approximated.
//!
//! Which input is the samples and which of its axes is time is not written in a file; it follows from what reaches the
//! recurrent layers, so every choice is tried. That the reading was right is shown by [`super::proof`].

mod bent;
mod conv;
mod join;
mod norm;
mod sequence;

use super::graph::{
    Binary, Dim, Direction, Function, Graph, Kind, Node, Op, Recurrent, Reduction, Tensor, ValueId,
    Values,
};
use super::interpret;
use crate::net::{self, Activation, Bidirectional, Cell, Dense, Embedding, Layer, Network};
use anyhow::{Context, Result, anyhow, bail, ensure};
use kinglet::format::{MAX_LAYERS, Reset};
use std::collections::BTreeSet;

/// Samples in a sequence whose length the caller decides: a number that no width is mistaken for, and that is left when some are pooled.
const OPEN_STEPS: usize = 1021;

/// What files call an axis along which samples follow one another, and one of sequences side by side.
const TIME: [&str; 13] = [
    "time",
    "times",
    "timestep",
    "timesteps",
    "step",
    "steps",
    "t",
    "seq",
    "sequence",
    "seqlen",
    "length",
    "len",
    "frames",
];
const BATCH: [&str; 5] = ["batch", "batches", "batchsize", "bs", "b"];

/// A network of the engine, and where its layers are in the graph.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) network: Network,
    /// Where each layer's output is.
    pub(crate) taps: Vec<Tap>,
    /// What was brought into another form.
    pub(crate) notes: Vec<String>,
    /// The input that the samples are.
    pub(crate) samples: usize,
    /// The axis of it that is time; none if it takes one sample at a time.
    pub(crate) time: Option<usize>,
    /// Samples at a time, if the file says so.
    pub(crate) steps: Option<usize>,
    /// States: places of an input and of the output that it is next.
    pub(crate) states: Vec<(usize, usize)>,
    /// The output is that after the last sample.
    pub(crate) last: bool,
    /// What a sample becomes before the network: a factor and an offset for each of its numbers.
    pub(crate) front: Option<(Vec<f64>, Vec<f64>)>,
    /// The answer is what the network gives and the sample, of which these numbers are added to it.
    pub(crate) adds: Option<Vec<usize>>,
}

impl Lowered {
    /// What is taken off each number of a sample, and what the rest is multiplied with.
    pub(crate) fn normalisation(&self) -> impl Iterator<Item = (f64, f64)> {
        let front = self.front.iter();
        front.flat_map(|(scale, offset)| scale.iter().zip(offset).map(|(s, o)| (-o / s, *s)))
    }

    /// Its taps are values of the file again, in place of those of operators that stand for several of it: each of one sample.
    pub(crate) fn in_file(&mut self, values: &[(ValueId, ValueId)]) {
        for tap in &mut self.taps {
            if let Some((_, of_file)) = values.iter().find(|(value, _)| *value == tap.value) {
                tap.value = *of_file;
                tap.roles = vec![Role::Batch, Role::Features];
            }
        }
    }
}

/// A value with a layer's output in it.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    pub(crate) layer: usize,
    pub(crate) value: ValueId,
    pub(crate) roles: Vec<Role>,
    /// What the file calls the layer.
    pub(crate) name: String,
    /// The sample has been added to what the layer gives.
    pub(crate) adds: bool,
}

/// What an axis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Time,
    /// Sequences side by side, all alike here, or an axis of one.
    Batch,
    Directions,
    Features,
    /// Places within a sample at which a convolution gave something.
    Positions,
}

/// Lowers a graph whose answer is this output, or the only one that can be. Where a sample may be added to an answer after the network, as the
/// samples are those of the model, it is.
pub(crate) fn lower(graph: &Graph, answer: Option<ValueId>, may_add: bool) -> Result<Lowered> {
    ensure!(!graph.inputs.is_empty(), "there is no input in it");
    // Whether the network itself says that it was none, whether time was an axis that can be one, and how far that reading came.
    let mut furthest: Option<((bool, bool, usize), anyhow::Error)> = None;
    for samples in 0..graph.inputs.len() {
        let dims = &graph.inputs[samples].dims;
        for time in times(dims, graph.inputs[samples].whole) {
            let long = time.is_some_and(|axis| dims[axis] != Dim::Fixed(1));
            for front in [Front::Unknown, Front::None] {
                let mut walk = match Walk::new(graph, samples, time) {
                    Ok(walk) => walk,
                    Err(e) => {
                        furthest.get_or_insert(((false, long, 0), e));
                        break;
                    }
                };
                walk.front = front;
                walk.may_add = may_add;
                // Of a fixed length the last axis is tried for what no other reading is right for, and says nothing of why these are not.
                let rare =
                    matches!(dims.last(), Some(Dim::Fixed(_))) && time == Some(dims.len() - 1);
                walk.misread = rare || !enters_cells(graph, samples);
                let ran = walk.run(answer);
                // What fails with a normalisation of its own may not without.
                let again = matches!(walk.front, Front::Found(_));
                let far = (!walk.misread, long, walk.done);
                let better = |far| furthest.as_ref().is_none_or(|(other, _)| far > *other);
                match ran {
                    Ok(()) => match walk.finish(answer) {
                        Err(_) if again || !better((!rare, long, usize::MAX)) => {}
                        lowered => return lowered,
                    },
                    Err(e) if better(far) => furthest = Some((far, e)),
                    Err(_) => {}
                }
                if !again {
                    break;
                }
            }
        }
    }
    Err(furthest.map_or_else(|| anyhow!("no input of it can be samples"), |(_, e)| e))
}

/// Cells take what is made of this input as their samples, and not as a state alone.
fn enters_cells(graph: &Graph, input: usize) -> bool {
    let mut made = vec![false; graph.values.len()];
    made[graph.inputs[input].value.0] = true;
    let mut enters = false;
    for node in &graph.nodes {
        let of_it = |id: &Option<ValueId>| id.is_some_and(|id| made[id.0]);
        let takes = match node.op {
            Op::Recurrent(_) => node.inputs.first().is_some_and(of_it),
            Op::Shape { .. } => false,
            _ => node.inputs.iter().any(of_it),
        };
        enters |= takes && matches!(node.op, Op::Recurrent(_));
        if takes {
            node.outputs.iter().for_each(|id| made[id.0] = true);
        }
    }
    enters
}

/// The axes that could be time, those of open length first.
fn times(dims: &[Dim], whole: bool) -> Vec<Option<usize>> {
    // The last one is what a sample is made of, unless that is of open length: then a sample is a number.
    let single = dims.last() == Some(&Dim::Open);
    let rank = dims.len() - usize::from(!whole && !single && !dims.is_empty());
    let mut axes: Vec<usize> = (0..rank).collect();
    axes.sort_by_key(|&i| match dims[i] {
        Dim::Open => 0,
        Dim::Fixed(1) => 2,
        Dim::Fixed(_) => 1,
    });
    let channels_first = (dims.len().checked_sub(1))
        .filter(|&last| last >= rank && features_axis(dims, whole, Some(last)).is_some());
    let last = channels_first.map(Some);
    axes.into_iter()
        .map(Some)
        .chain([None])
        .chain(last)
        .collect()
}

/// The axis of the samples that is what one of them is made of: the last one, or of `[batch, channels, time]` that before it; none if a sample is a number.
pub(crate) fn features_axis(dims: &[Dim], whole: bool, time: Option<usize>) -> Option<usize> {
    let last = dims.len().checked_sub(1).filter(|_| !whole)?;
    match dims {
        _ if time != Some(last) => Some(last),
        [_, .., Dim::Fixed(2..), _] => Some(last - 1),
        _ => None,
    }
}

/// The shapes of a graph's inputs, if an axis of the samples is time and that long.
pub(crate) fn shapes(
    graph: &Graph,
    samples: usize,
    time: Option<usize>,
    steps: usize,
) -> Vec<Vec<usize>> {
    let shape = |(k, input): (usize, &super::graph::Input)| {
        let dim = |(i, dim): (usize, &Dim)| match dim {
            Dim::Open if k == samples && Some(i) == time => steps,
            Dim::Open => 1,
            Dim::Fixed(n) => *n,
        };
        input.dims.iter().enumerate().map(dim).collect()
    };
    graph.inputs.iter().enumerate().map(shape).collect()
}

/// What is known of a value.
#[derive(Debug, Clone)]
enum Known {
    Constant(Tensor),
    View(View),
    /// Zeros in the shape of a state that enters.
    StateIn(usize, Tensor),
    /// Zeros in the shape of states that layers end with.
    StateOut(BTreeSet<Part>, Tensor),
    /// States joined along their first axis.
    Stack(Vec<Known>),
    /// The same with the sequences of a batch first, as who puts states side by side turns them.
    Turned(Vec<Known>),
}

/// A layer that only moves or scales numbers is not to be larger than networks are.
fn affordable(inputs: usize, outputs: usize) -> Result<()> {
    const MOST: usize = 1 << 22;
    ensure!(
        inputs.saturating_mul(outputs) <= MOST,
        "it needs a dense layer of {inputs} × {outputs} weights that only moves or scales values: do that before the network, or take fewer"
    );
    Ok(())
}

/// A constant's number for each feature.
fn for_each_feature(view: &View, constant: &Tensor) -> Result<Vec<f32>> {
    let width = view.width();
    let c = constant.floats()?;
    let missing = view.axes.len().checked_sub(constant.shape.len());
    let along_features = |missing: usize| {
        let axes = view.axes.iter().skip(missing).zip(&constant.shape);
        c.len() == 1
            || axes
                .into_iter()
                .all(|(&(role, n), &d)| d == 1 || role == Role::Features && d == n)
    };
    ensure!(
        missing.is_some_and(along_features),
        "a constant of shape {:?}, expected one number for each of {width} values",
        constant.shape
    );
    Ok((0..width)
        .map(|k| c[if c.len() == 1 { 0 } else { k }])
        .collect())
}

/// Some of the features, to be picked by whoever takes them.
fn part(mut view: View, axis: usize, columns: Vec<usize>) -> Result<View> {
    let (role, whole) = view.axes[axis];
    let places = view.axes.iter().any(|a| a.0 == Role::Positions && a.1 > 1);
    let plain = view.open == Open::Nothing && view.direction.is_none() && !view.tokens;
    ensure!(
        role == Role::Features && plain && !places && !columns.is_empty(),
        "it takes {} of {whole} values: the engine has no such layer; of the features of a sample they are picked by a dense one",
        columns.len()
    );
    view.axes[axis].1 = columns.len();
    view.affine = view.affine.map(|(scale, offset)| {
        let [scale, offset] = [scale, offset].map(|all| columns.iter().map(|&k| all[k]).collect());
        (scale, offset)
    });
    view.part = Some(match view.part {
        None => (columns, whole),
        Some((of, all)) => {
            let each = of.chunks(whole);
            let picked = each.flat_map(|of| columns.iter().map(|&k| of[k]));
            (picked.collect(), all)
        }
    });
    view.state_of = None;
    Ok(view)
}

/// The mean or the sum of the directions of a layer.
fn both_directions(mut view: View, over: &[usize], (how, keep): (Reduction, bool)) -> Result<View> {
    let is = |role: Role| view.axes.iter().position(|a| a.0 == role);
    let (Some(directions), Some(features)) = (is(Role::Directions), is(Role::Features)) else {
        bail!("it takes the directions of a layer together whose features are gone")
    };
    ensure!(
        over == [directions] && view.open == Open::Nothing && how != Reduction::Max,
        "it takes the larger of two directions, or the axes {over:?} of {:?} together: the engine adds directions up, or has them side by side",
        view.shape()
    );
    let n = view.axes[features].1;
    view = summed(view, n);
    if how == Reduction::Mean {
        view.affine = Some((vec![0.5; n], vec![0.0; n]));
    }
    match keep {
        true => view.axes[directions] = (Role::Batch, 1),
        false => drop(view.axes.remove(directions)),
    }
    Ok(view)
}

/// The sum of a value's first `n` numbers and its last.
fn summed(view: View, n: usize) -> View {
    View {
        direction: None,
        part: Some(((0..2 * n).collect(), 2 * n)),
        state_of: None,
        ..view
    }
}

/// The directions of a layer added up, or its halves; none if it is something else.
fn halves(a: &View, b: &View) -> Option<View> {
    let same = (a.stage, a.last, a.open, &a.axes) == (b.stage, b.last, b.open, &b.axes);
    let plain = a.stage > 0 && a.affine.is_none() && b.affine.is_none();
    let n = a.width();
    let directions = match (a.direction, b.direction) {
        (Some(a), Some(b)) => a != b && a.max(b) == 1,
        _ => false,
    };
    let parts = match (&a.part, &b.part) {
        (Some((a, of_a)), Some((b, of_b))) => {
            let both = || a.iter().chain(b).copied();
            let other = || b.iter().chain(a).copied();
            of_a == of_b && *of_a == 2 * n && (both().eq(0..2 * n) || other().eq(0..2 * n))
        }
        _ => false,
    };
    (same && plain && a.open == Open::Nothing && (directions || parts))
        .then(|| summed(a.clone(), n))
}

/// A half that is no part of a magnitude is some of the features.
fn unhalve(view: &mut View) {
    if let Open::Half {
        second,
        squared: false,
        skipped: 0,
    } = view.open
    {
        let n = view.width();
        let first = if second { n } else { 0 };
        view.open = Open::Nothing;
        view.part = Some(((first..first + n).collect(), 2 * n));
    }
}

/// Whether it may be a part of a magnitude: a square, or the sum of two.
fn squares(node: &Node, operands: &[Option<Known>]) -> bool {
    match (&node.op, operands) {
        (Op::Binary(Binary::Pow), _) => true,
        (Op::Binary(_), [Some(Known::View(a)), Some(Known::View(b))]) => a.open == b.open,
        _ => false,
    }
}

/// Only the features are parted, into rows.
fn parts_features(view: &View, shape: &[usize]) -> bool {
    let wide = |all: &[usize]| all.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    let (axes, rows) = (wide(&view.shape()), wide(shape));
    let Some((Role::Features, width)) = view.axes.last() else {
        return false;
    };
    let before = axes.len().saturating_sub(1);
    rows.len() > axes.len()
        && rows[..before] == axes[..before]
        && rows[before..].iter().product::<usize>() == *width
}

/// It goes into weights, or into another sum.
fn takes_sums(node: &Node) -> bool {
    let adds_up = matches!(&node.op, Op::Reduce { how, .. } if *how != Reduction::Max);
    adds_up || matches!(node.op, Op::MatMul | Op::Recurrent(_))
}

/// Weights for values in another order, or added up, as those of what the layer before gives.
fn of_terms(weight: &[f32], width: usize, (columns, whole): &(Vec<usize>, usize)) -> Vec<f32> {
    let mut all = vec![0.0; weight.len() / width.max(1) * whole];
    for (row, all) in weight.chunks(width).zip(all.chunks_mut(*whole)) {
        for (k, column) in columns.iter().enumerate() {
            all[*column] += row[k % width];
        }
    }
    all
}

/// It changes nothing, but for factors and offsets.
fn passes(node: &Node, operands: &[Option<Known>]) -> bool {
    let constant = |operand: &Option<Known>| matches!(operand, Some(Known::Constant(_)));
    match node.op {
        Op::Binary(Binary::Add | Binary::Sub | Binary::Mul) => operands.iter().any(constant),
        Op::Binary(Binary::Div) => operands.get(1).is_some_and(constant),
        Op::Unary(Function::Identity | Function::Affine(..)) => true,
        Op::Cast { .. } | Op::Shape { .. } | Op::Channels { .. } => true,
        ref op => op.moves(),
    }
}

fn is_uniform((scale, offset): &Affine) -> bool {
    [scale, offset]
        .iter()
        .all(|all| all.iter().all(|x| *x == all[0]))
        && !scale.is_empty()
}

/// Whether there is a normalisation of a model that does the same.
fn invertible((scale, offset): &Affine) -> bool {
    let fits = |(scale, offset): (&f64, &f64)| {
        let above = *scale > 0.0 && (*scale as f32).is_normal();
        above && ((-offset / scale) as f32).is_finite()
    };
    scale.iter().zip(offset).all(fits)
}

/// A layer's hidden state, or its cell.
type Part = (usize, bool);

/// The samples that the layer behind an input keeps, as a part.
fn kept_in(input: usize) -> Part {
    // There are not that many layers.
    (usize::MAX - input, false)
}

/// A factor and an offset for each of some numbers.
type Affine = (Vec<f64>, Vec<f64>);

type Axes = Vec<(Role, usize)>;

/// What the chain of layers gave, seen with these axes.
#[derive(Debug, Clone)]
struct View {
    axes: Axes,
    /// How far the chain was; whoever takes it must find it there.
    stage: usize,
    /// After the last sample only.
    last: bool,
    /// One direction of a bidirectional layer.
    direction: Option<usize>,
    /// Still to be applied: `x · scale + offset`.
    affine: Option<Affine>,
    /// Of samples: what is to be applied goes on from what the model's normalisation gives.
    normalised: bool,
    /// It is some of this many features, which are still to be picked from them; where several are added up, the first of each sum, then the second ones.
    part: Option<(Vec<usize>, usize)>,
    tokens: bool,
    /// It is this layer's hidden state and no more.
    state_of: Option<usize>,
    open: Open,
}

/// What was begun with a value, which only what belongs to it may take.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Open {
    Nothing,
    /// There is something around an axis of this kind.
    Padded {
        role: Role,
        pads: [usize; 2],
        mirror: bool,
        /// It is what this input holds of the samples before.
        kept: Option<usize>,
    },
    /// One half of the features, without the first positions.
    Half {
        second: bool,
        squared: bool,
        skipped: usize,
    },
    /// The squares of both halves, added up.
    Power {
        skipped: usize,
    },
    /// On the way to a normalisation.
    Moment(norm::Moment),
}

impl View {
    fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|a| a.1).collect()
    }

    fn roles(&self) -> Vec<Role> {
        self.axes.iter().map(|a| a.0).collect()
    }

    /// The width of its features, whose axis may be gone if it was 1.
    fn width(&self) -> usize {
        self.axes
            .iter()
            .find(|a| a.0 == Role::Features)
            .map_or(1, |a| a.1)
    }

    /// Nothing is left out of what it is some of, but in another order or added up, so that weights may take all of it.
    fn is_all(&self) -> bool {
        (self.part.as_ref()).is_some_and(|(columns, whole)| columns.len() == *whole)
    }

    /// How many features are added up to one.
    fn terms(&self) -> usize {
        let columns = self.part.as_ref().map(|(columns, _)| columns.len());
        columns.map_or(1, |n| n / self.width().max(1))
    }

    /// The features are the last axis.
    fn features_last(&self) -> Result<usize> {
        match self.axes.last() {
            Some(&(Role::Features, width)) => Ok(width),
            _ => bail!(
                "its last axis is not the features of a sample, as a layer takes them; one of them alone keeps its axis: y[..., :1] in place of y[..., 0]"
            ),
        }
    }
}

struct Walk<'g> {
    graph: &'g Graph,
    known: Vec<Option<Known>>,
    samples: usize,
    time: Option<usize>,
    steps: Option<usize>,
    layers: Vec<Layer>,
    /// Of every layer the stage that it came with, and that of its last change.
    marks: Vec<[usize; 2]>,
    /// After how many layers something is kept, to be joined later.
    keeps: Vec<usize>,
    taps: Vec<Tap>,
    notes: Vec<String>,
    /// Changes of the chain so far.
    stage: usize,
    /// The answer is known, and no more layers come.
    closed: bool,
    /// Nodes so far.
    done: usize,
    /// What stopped it shows that samples or time are elsewhere, and not what the network has that the engine has not.
    misread: bool,
    /// Layers that take a state: which input, which part.
    taken: Vec<(usize, Part)>,
    /// The outputs that are asked for, and the nodes that they depend on.
    wanted: Vec<ValueId>,
    needed: Vec<bool>,
    /// A value was brought back, for a branch of its own.
    branched: bool,
    /// What becomes of samples before all else, which the model's normalisation does; of one for all, one of each.
    front: Front,
    /// Layers that pick some features for a node, and give what that does unless others follow.
    picks: Vec<usize>,
    /// Samples may be added to the answer after the network, and are.
    may_add: bool,
    adds: Option<Vec<usize>>,
}

/// The normalisation that a network begins with.
#[derive(Debug, Clone, PartialEq)]
enum Front {
    /// It may still be found.
    Unknown,
    /// Samples are taken as they are.
    None,
    Found(Affine),
}

impl<'g> Walk<'g> {
    fn new(graph: &'g Graph, samples: usize, time: Option<usize>) -> Result<Self> {
        let mut known: Vec<Option<Known>> = Vec::with_capacity(graph.values.len());
        known.extend(
            graph
                .values
                .iter()
                .map(|v| v.constant.clone().map(Known::Constant)),
        );
        let shapes = shapes(graph, samples, time, OPEN_STEPS);
        ensure!(
            shapes.iter().flatten().all(|&d| d > 0),
            "an input has a dimension of 0"
        );
        for (k, (input, shape)) in graph.inputs.iter().zip(&shapes).enumerate() {
            let known_as = zeros(shape)?;
            known[input.value.0] = Some(if k == samples {
                let features = features_axis(&input.dims, input.whole, time);
                let role = |i| match i {
                    _ if Some(i) == time => Role::Time,
                    _ if Some(i) == features => Role::Features,
                    _ => Role::Batch,
                };
                Known::View(View {
                    axes: shape
                        .iter()
                        .enumerate()
                        .map(|(i, &d)| (role(i), d))
                        .collect(),
                    stage: 0,
                    last: false,
                    direction: None,
                    affine: None,
                    normalised: false,
                    part: None,
                    tokens: input.whole,
                    state_of: None,
                    open: Open::Nothing,
                })
            } else {
                Known::StateIn(k, known_as)
            });
        }
        let steps = time.and_then(|axis| match graph.inputs[samples].dims[axis] {
            Dim::Fixed(n) => Some(n),
            Dim::Open => None,
        });
        Ok(Walk {
            graph,
            known,
            samples,
            time,
            steps: if time.is_none() { Some(1) } else { steps },
            layers: Vec::new(),
            marks: Vec::new(),
            keeps: Vec::new(),
            taps: Vec::new(),
            notes: Vec::new(),
            stage: 0,
            closed: false,
            done: 0,
            misread: false,
            taken: Vec::new(),
            wanted: Vec::new(),
            needed: Vec::new(),
            branched: false,
            front: Front::Unknown,
            picks: Vec::new(),
            may_add: false,
            adds: None,
        })
    }

    /// Walks what the answer depends on, then what other outputs do.
    fn run(&mut self, answer: Option<ValueId>) -> Result<()> {
        let graph = self.graph;
        self.wanted = answer.map_or_else(|| graph.outputs.clone(), |a| vec![a]);
        let first = needed(graph, &self.wanted);
        self.needed.clone_from(&first);
        let rest = needed(graph, &graph.outputs);
        for (node, _) in graph
            .nodes
            .iter()
            .zip(&first)
            .filter(|(_, needed)| **needed)
        {
            self.node(node).with_context(|| node.label())?;
            self.done += 1;
        }
        let (stage, layers) = (self.stage, self.layers.len());
        self.closed = true;
        for (k, node) in graph.nodes.iter().enumerate() {
            // What no answer needs may be beyond the engine, but it changes nothing.
            if rest[k] && !first[k] && self.plumbing(node) {
                let _ = self.node(node);
            }
        }
        debug_assert_eq!((stage, layers), (self.stage, self.layers.len()));
        ensure!(
            (self.layers.iter())
                .any(|l| matches!(l, Layer::Recurrent(_) | Layer::Bidirectional(_))),
            "there is no recurrent layer in it, of which the engine's networks have at least one: a network of convolutions and dense layers alone does not run in it"
        );
        Ok(())
    }

    /// The operator cannot become a layer.
    fn plumbing(&self, node: &Node) -> bool {
        !matches!(
            node.op,
            Op::Recurrent(_)
                | Op::MatMul
                | Op::Binary(_)
                | Op::Unary(_)
                | Op::Leaky
                | Op::Softmax { .. }
                | Op::Channels { .. }
                | Op::Conv(_)
                | Op::Pool(_)
                | Op::Norm { .. }
                | Op::Reduce { .. }
        ) && !matches!(node.op, Op::Gather { .. } if self.constant(node, 0).is_some())
    }

    fn operand(&self, node: &Node, k: usize) -> Option<&Known> {
        let id = node.inputs.get(k).copied().flatten()?;
        self.known[id.0].as_ref()
    }

    fn constant(&self, node: &Node, k: usize) -> Option<&Tensor> {
        match self.operand(node, k)? {
            Known::Constant(tensor) => Some(tensor),
            _ => None,
        }
    }

    fn set(&mut self, node: &Node, results: Vec<Known>) {
        for (&id, result) in node.outputs.iter().zip(results) {
            self.known[id.0] = Some(result);
        }
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        self.operator(node)?;
        let (picks, layers) = (std::mem::take(&mut self.picks), self.layers.len());
        self.taps
            .retain(|tap| tap.layer + 1 == layers || !picks.contains(&tap.layer));
        Ok(())
    }

    fn operator(&mut self, node: &Node) -> Result<()> {
        for id in node.inputs.iter().flatten() {
            let name = &self.graph.values[id.0].name;
            ensure!(
                self.known[id.0].is_some(),
                "value `{name}` is used before it is there"
            );
        }
        let mut operands: Vec<Option<Known>> = (0..node.inputs.len())
            .map(|k| self.operand(node, k).cloned())
            .collect();
        if !passes(node, &operands) && !self.closed {
            if let (Op::Binary(Binary::Add), [Some(Known::View(a)), Some(Known::View(b))]) =
                (&node.op, &operands[..])
                && let Some(view) = self.added(node, [a, b])?
            {
                self.set(node, vec![Known::View(view)]);
                return Ok(());
            }
            if let (Op::Binary(Binary::Add), [Some(Known::View(a)), Some(Known::View(b))]) =
                (&node.op, &operands[..])
            {
                let [mut a, mut b] = [a.clone(), b.clone()];
                unhalve(&mut a);
                unhalve(&mut b);
                if let Some(sum) = halves(&a, &b) {
                    self.set(node, vec![Known::View(sum)]);
                    return Ok(());
                }
            }
            let squares = squares(node, &operands);
            for operand in operands.iter_mut().flatten() {
                let Known::View(view) = operand else { continue };
                if !squares {
                    unhalve(view);
                }
                let all = view.is_all() && view.stage == self.stage;
                match view.part {
                    // These take it into their own weights.
                    Some(_) if all && takes_sums(node) => {}
                    Some(_) => *view = self.picked(node, view.clone(), false)?,
                    None => self.normalise(view)?,
                }
            }
        }
        // Of constants alone, and of shapes, the value itself is known.
        let known = |o: &Option<Known>| matches!(o, None | Some(Known::Constant(_)));
        if operands.iter().all(known) && !matches!(node.op, Op::Recurrent(_)) {
            let tensors: Vec<Option<&Tensor>> = (operands.iter())
                .map(|o| match o {
                    Some(Known::Constant(t)) => Some(t),
                    _ => None,
                })
                .collect();
            let results = interpret::apply(node, &tensors)?;
            self.set(node, results.into_iter().map(Known::Constant).collect());
            return Ok(());
        }
        if let (
            Op::Shape { .. },
            Some(Some(Known::StateIn(_, shape) | Known::StateOut(_, shape))),
        ) = (&node.op, operands.first())
        {
            let results = interpret::apply(node, &[Some(shape)])?;
            self.set(node, results.into_iter().map(Known::Constant).collect());
            return Ok(());
        }
        if let Op::Recurrent(recurrent) = &node.op {
            return self.recurrent(node, recurrent, &operands);
        }
        if let Op::Concat { axis } = node.op
            && let Some(view) = self.side_by_side(node, &operands, axis)?
        {
            self.set(node, vec![Known::View(view)]);
            return Ok(());
        }
        if let Op::Concat { axis } = node.op {
            let joined = self.concat(node, &operands, axis)?;
            self.set(node, vec![joined]);
            return Ok(());
        }
        if let (
            Op::Gather { axis },
            Some(Some(Known::Constant(table))),
            Some(Some(Known::View(view))),
        ) = (&node.op, operands.first(), operands.get(1))
        {
            let embedded = self.embedding(node, table, *axis, view)?;
            self.set(node, vec![Known::View(embedded)]);
            return Ok(());
        }
        if let Op::Binary(binary) = node.op {
            let result = self.binary(node, binary, &operands)?;
            self.set(node, vec![Known::View(result)]);
            return Ok(());
        }
        for constant in operands.iter().skip(1).flatten() {
            ensure!(
                matches!(constant, Known::Constant(_)),
                "an operand that depends on the samples, where one of the file is expected: the engine has no layer that does this"
            );
        }
        let constants = operands.iter().map(|o| match o {
            Some(Known::Constant(t)) => Some(t),
            _ => None,
        });
        let constants: &[Option<&Tensor>] = &constants.collect::<Vec<_>>();
        let results = match operands.first() {
            Some(Some(Known::View(view))) => self.view(node, view.clone(), constants)?,
            Some(Some(Known::StateIn(input, shape))) => {
                let results = state(node, shape, constants)?;
                results
                    .into_iter()
                    .map(|t| Known::StateIn(*input, t))
                    .collect()
            }
            Some(Some(Known::StateOut(parts, shape))) => {
                let results = state(node, shape, constants)?;
                results
                    .into_iter()
                    .map(|t| Known::StateOut(parts.clone(), t))
                    .collect()
            }
            Some(Some(Known::Stack(pieces))) => match &node.op {
                Op::Transpose { perm } if perm.as_deref() == Some(&[1, 0, 2]) => {
                    vec![Known::Turned(pieces.clone())]
                }
                _ => vec![unstack(node, pieces, constants)?],
            },
            Some(Some(Known::Turned(pieces))) => {
                vec![self.flattened(node, pieces, constants)?]
            }
            _ => bail!("a form of it that is not known here"),
        };
        self.set(node, results);
        Ok(())
    }

    /// Samples, seen from what the model's normalisation gives: the first factors and offsets that all of them are given become that.
    fn normalise(&mut self, view: &mut View) -> Result<()> {
        if view.stage > 0 || view.tokens || view.normalised {
            return Ok(());
        }
        let whole = view.open == Open::Nothing && view.direction.is_none();
        if self.front == Front::Unknown {
            self.front = match view.affine.take_if(|affine| whole && invertible(affine)) {
                Some(affine) if is_uniform(&affine) => {
                    Front::Found((vec![affine.0[0]], vec![affine.1[0]]))
                }
                Some(affine) => Front::Found(affine),
                None => Front::None,
            };
            view.normalised = self.front != Front::None;
            return Ok(());
        }
        let Front::Found((scale, offset)) = &self.front else {
            return Ok(());
        };
        let n = view.width();
        ensure!(
            whole && [1, n].contains(&scale.len()),
            "it takes a part of samples that are normalised elsewhere"
        );
        let (a, b) = view.affine.take().unwrap_or((vec![1.0; n], vec![0.0; n]));
        let of = |k: usize| (scale[k % scale.len()], offset[k % offset.len()]);
        let mut same = true;
        let (factors, offsets) = (a.iter().zip(&b).enumerate())
            .map(|(k, (a, b))| {
                let (scale, offset) = of(k);
                let (factor, rest) = (a / scale, b - a * offset / scale);
                same &= (factor - 1.0).abs() < 1e-9 && rest.abs() <= 1e-9 * (1.0 + offset.abs());
                (factor, rest)
            })
            .unzip();
        view.affine = (!same).then_some((factors, offsets));
        view.normalised = true;
        Ok(())
    }

    /// Some features by a dense layer, which gives what the node does if it is there for that.
    fn picked(&mut self, node: &Node, mut view: View, for_itself: bool) -> Result<View> {
        let Some((columns, whole)) = view.part.take() else {
            return Ok(view);
        };
        let n = view.features_last()?;
        let (scale, offset) = (view.affine.take()).unwrap_or((vec![1.0; n], vec![0.0; n]));
        let mut all = view;
        if let Some(last) = all.axes.last_mut() {
            last.1 = whole;
        }
        self.normalise(&mut all)?;
        affordable(whole, n)?;
        let mut weight = vec![0.0; whole * n];
        for (k, column) in columns.iter().enumerate() {
            weight[column * n + k % n] = scale[k % n] as f32;
        }
        let picked = self.dense(node, all, &Tensor::f32(vec![whole, n], weight)?)?;
        if let Some(dense) = self.bare() {
            for (bias, offset) in dense.bias.iter_mut().zip(&offset) {
                *bias = (f64::from(*bias) + offset) as f32;
            }
        }
        if !for_itself {
            self.picks.push(self.layers.len() - 1);
        }
        self.notes.push(format!(
            "{}: {n} of {whole} values are {} by a dense layer, {whole} × {n}",
            node.label(),
            match columns.len() {
                all if all > n => "added up",
                _ if n == whole => "brought into another order",
                _ => "picked",
            }
        ));
        Ok(picked)
    }

    /// What takes a view must find the chain as the view left it.
    fn at_end(&self, view: &View) -> Result<()> {
        self.whole(view)?;
        ensure!(
            view.stage == self.stage,
            "it takes a value from which another branch went on: the engine's layers are a chain, which may add, multiply or put beside \
             it what it had before, but has no second chain"
        );
        self.goes_on()
    }

    /// Another layer may follow.
    fn goes_on(&self) -> Result<()> {
        if let Some(Layer::Dense(dense)) = self.layers.last() {
            ensure!(
                dense.activation != Activation::Softmax,
                "it follows a softmax, which the engine has behind the last layer only"
            );
        }
        Ok(())
    }

    /// All that a layer gave, with nothing begun.
    fn whole(&self, view: &View) -> Result<()> {
        match view.open {
            Open::Nothing => {}
            Open::Padded { .. } => {
                bail!("it takes what is padded: the engine pads only what a convolution sees")
            }
            Open::Moment(_) => bail!(
                "it takes a mean, a variance or what is left without them: the engine has these only within a layer normalisation, (x − mean) / \
                 √(variance + ε)"
            ),
            Open::Half { .. } | Open::Power { .. } => {
                bail!(
                    "it takes a part of what a layer gave: the engine does so only for a magnitude, √(re² + im²)"
                )
            }
        }
        ensure!(
            view.direction.is_none(),
            "it takes one direction of a bidirectional layer alone"
        );
        Ok(())
    }

    /// What is done with a value, in whatever shape it is taken: the operators that take it there, with the place at which they do, and
    /// the values that it is handed on as. Operators that pass it on are no takers.
    fn takers(
        &self,
        id: ValueId,
        passes: impl Fn(&Op) -> bool,
    ) -> (Vec<(&'g Node, usize)>, Vec<ValueId>) {
        let (mut takers, mut values) = (Vec::new(), vec![id]);
        let needed = self.graph.nodes.iter().zip(&self.needed);
        for (node, _) in needed.filter(|(_, needed)| **needed) {
            let Some(place) = (node.inputs.iter().flatten()).position(|id| values.contains(id))
            else {
                continue;
            };
            if passes(&node.op) {
                values.extend(&node.outputs);
            } else {
                takers.push((node, place));
            }
        }
        (takers, values)
    }

    /// What the chain ends with is taken by other operators than this one, so nothing may be folded into it for this one.
    fn is_shared(&self, node: &Node) -> bool {
        let end = |id: &ValueId| matches!(&self.known[id.0], Some(Known::View(view)) if view.stage == self.stage);
        let mut ends = node.inputs.iter().flatten().copied().filter(end);
        ends.any(|id| {
            let (takers, _) = self.takers(id, Op::moves);
            let takers = takers
                .iter()
                .filter(|(taker, _)| !matches!(taker.op, Op::Shape { .. }));
            takers.count() > 1
        })
    }

    /// A product with weights takes this value, or what is made of each of its numbers.
    fn is_multiplied(&self, id: ValueId) -> bool {
        let alone = |op: &Op| op.moves() || matches!(op, Op::Unary(_) | Op::Binary(_));
        let (takers, _) = self.takers(id, alone);
        takers.iter().any(|(node, _)| matches!(node.op, Op::MatMul))
    }

    /// States side by side are more than the state that a layer begins with next: a layer takes them, or they are the answer.
    fn is_computed_with(&self, id: ValueId) -> bool {
        let (takers, values) = self.takers(id, |op| op.moves() || matches!(op, Op::Concat { .. }));
        let as_state = |(node, place): &(&Node, usize)| {
            matches!(node.op, Op::Shape { .. }) || matches!(node.op, Op::Recurrent(_)) && *place > 0
        };
        let answer = self.graph.inputs.len() == 1
            && matches!(self.wanted[..], [only] if values.contains(&only));
        answer || !takers.iter().all(as_state)
    }

    /// Adds a layer, which the value of this node is the output of.
    fn push(&mut self, layer: Layer, node: &Node, roles: Vec<Role>) -> usize {
        self.layers.push(layer);
        self.taps.push(Tap {
            layer: self.layers.len() - 1,
            value: node.outputs[0],
            roles,
            name: node.name.clone(),
            adds: false,
        });
        self.begun()
    }

    /// There is one more layer.
    fn begun(&mut self) -> usize {
        self.stage += 1;
        self.marks.push([self.stage; 2]);
        self.stage
    }

    /// The last layer is now computed by this node.
    fn grown(&mut self, node: &Node, roles: Vec<Role>) -> usize {
        if let Some(tap) = self.taps.last_mut() {
            tap.value = node.outputs[0];
            tap.roles = roles;
        }
        self.changed()
    }

    /// The last layer gives something else now.
    fn changed(&mut self) -> usize {
        self.stage += 1;
        if let Some(mark) = self.marks.last_mut() {
            mark[1] = self.stage;
        }
        self.stage
    }

    fn view(
        &mut self,
        node: &Node,
        view: View,
        constants: &[Option<&Tensor>],
    ) -> Result<Vec<Known>> {
        let operand = |k: usize| constants.get(k).copied().flatten();
        let one = |view: View| Ok(vec![Known::View(view)]);
        match &node.op {
            Op::Identity => one(view),
            Op::Cast { whole } => {
                ensure!(
                    *whole == view.tokens,
                    "{}",
                    match whole {
                        true =>
                            "it makes whole numbers of samples, as before an nn.Embedding of a category in a column: the engine embeds only what takes tokens \
                             alone; give the network a column of 0 and 1 for each category in its place",
                        false =>
                            "it makes numbers of tokens: the engine takes tokens into an nn.Embedding alone; give the network columns of floats",
                    }
                );
                one(view)
            }
            Op::Shape { .. } => {
                let results = interpret::apply(node, &[Some(&zeros(&view.shape())?)])?;
                Ok(results.into_iter().map(Known::Constant).collect())
            }
            Op::Expand => {
                let results = interpret::apply(node, &[Some(&zeros(&view.shape())?), operand(1)])?;
                let shape = &results[0].shape;
                ensure!(
                    *shape == view.shape(),
                    "shape {:?} spread to {shape:?}: it repeats samples",
                    view.shape()
                );
                one(view)
            }
            Op::Transpose { perm } => {
                let perm = interpret::permutation(view.axes.len(), perm.as_deref())?;
                let axes = perm.iter().map(|&p| view.axes[p]).collect();
                one(View { axes, ..view })
            }
            op @ (Op::Squeeze | Op::Unsqueeze | Op::Reshape { .. } | Op::Flatten { .. }) => {
                let shape = interpret::reshaped(op, &view.shape(), operand(1));
                // Only what reads a file over one axis leaves another out by this name.
                let of_kernel = matches!(node.kind.as_str(), "Conv" | "MaxPool" | "AveragePool");
                let shape = shape.map_err(|e| match self.steps {
                    _ if of_kernel => anyhow!(
                        "a kernel that is 1 along an axis of several (Conv2d): the engine goes along one axis, time or the rows of a sample; train with Conv1d"
                    ),
                    None => anyhow!(
                        "{e}, where {OPEN_STEPS} stands for a length that is open: it is a number here, so write -1 for it \
                         (x.reshape(x.shape[0], -1, n) in PyTorch), or export with a fixed length"
                    ),
                    Some(_) => e,
                })?;
                if let Some(view) = self.remembered(node, &view, &shape)? {
                    return one(view);
                }
                if self.is_answer_in_rows(node, &view, &shape) {
                    self.notes.push(format!(
                        "{}: the answer is {:?} in the file; the model gives its numbers side by side, row after row",
                        node.label(),
                        shape
                    ));
                    return one(view);
                }
                self.no_rows_turned(node, &view, &shape)?;
                let (mut axes, joined) = regroup(&view.axes, &shape).map_err(|error| {
                    match self.takers(node.outputs[0], |_| false).0[..] {
                        [(norm, _)] if matches!(norm.op, Op::Norm { .. }) => anyhow!(
                            "what {} normalises are all samples of a sequence together (nn.GroupNorm, nn.InstanceNorm1d): the engine normalises the features of one \
                             sample, nn.LayerNorm",
                            norm.label()
                        ),
                        _ => error,
                    }
                })?;
                let view = match joined {
                    Some(joined) => side_by_side(view, joined)?,
                    None => view,
                };
                // Features of 1 that were squeezed away come back as the last axis.
                let gone = !view.tokens && view.axes.iter().all(|a| a.0 != Role::Features);
                if let Some(last) = axes.last_mut().filter(|a| gone && a.1 == 1) {
                    last.0 = Role::Features;
                }
                one(View { axes, ..view })
            }
            Op::Split { axis } => {
                let axis = interpret::axis(*axis, view.axes.len())?;
                let lengths =
                    interpret::split_lengths(view.axes[axis].1, operand(1), node.outputs.len())?;
                if let &[a, b] = &lengths[..] {
                    let halves = [(0, a), (a as i64, b)];
                    let halves = halves.map(|(start, len)| self.half(&view, axis, start, len));
                    if let [Some(a), Some(b)] = halves {
                        return Ok(vec![Known::View(a), Known::View(b)]);
                    }
                }
                if lengths.len() == 1 {
                    return one(view);
                }
                let ends = lengths.iter().scan(0, |end, &len| {
                    *end += len;
                    Some((*end - len)..*end)
                });
                if view.axes[axis].0 == Role::Time {
                    // Of its samples one by one those that nothing takes are of no matter.
                    let sample = |(at, &id): (std::ops::Range<usize>, &ValueId)| {
                        let idle =
                            self.takers(id, |_| false).0.is_empty() && !self.wanted.contains(&id);
                        let sample = match idle {
                            true => view.clone(),
                            false => taken(view.clone(), axis, at.start as i64, at.len())?,
                        };
                        Ok(Known::View(sample))
                    };
                    return ends.zip(&node.outputs).map(sample).collect();
                }
                let part = |columns: std::ops::Range<usize>| {
                    let part = part(view.clone(), axis, columns.collect())?;
                    Ok(Known::View(part))
                };
                ends.map(part).collect()
            }
            Op::Gather { axis } => {
                let axis = interpret::axis(*axis, view.axes.len())?;
                let indices = operand(1).context("the index is missing")?;
                let (role, width) = view.axes[axis];
                let features = role == Role::Features && width > 1;
                let mut view = match (indices.ints()?, features) {
                    (all, true) => {
                        let columns = all.iter().map(|&index| interpret::axis(index, width));
                        part(view, axis, columns.collect::<Result<_>>()?)?
                    }
                    (&[index], false) => {
                        let each = view.axes.iter().any(|a| a.0 == Role::Time && a.1 > 1);
                        let of_batch = role == Role::Batch && axis + 1 < view.axes.len();
                        if index == -1 && each && of_batch {
                            // Behind a cell the reading has been right so far.
                            self.misread |= !(self.layers.iter()).any(|l| {
                                matches!(l, Layer::Recurrent(_) | Layer::Bidirectional(_))
                            });
                            bail!(
                                "it takes the last sequence of a batch, at every sample (y[:, -1] of [time, batch, features]): for the last sample an nn.LSTM or nn.GRU \
                                 needs batch_first=True, or it is y[-1]; for a batch of one write y[:, 0]"
                            );
                        }
                        taken(view, axis, index, 1)?
                    }
                    _ => bail!("it takes several places of an axis: the engine has no such layer"),
                };
                match indices.shape.len() {
                    0 => drop(view.axes.remove(axis)),
                    1 => {}
                    _ => bail!("an index of shape {:?}", indices.shape),
                }
                one(view)
            }
            Op::Slice => {
                let x = zeros(&view.shape())?;
                let [starts, ends] = [1, 2].map(|k| operand(k).context("a bound is missing"));
                let mut slices = interpret::slices(&x, starts?, ends?, operand(3), operand(4))?;
                if let Some(kept) = conv::kept(&view, &slices)? {
                    return Ok(vec![kept]);
                }
                // Of a spectrum the half is taken first, then its positions.
                slices.sort_by_key(|slice| slice.axis);
                let mut view = view;
                for slice in slices {
                    let len = view.axes[slice.axis].1;
                    if slice.len == len && (slice.step == 1 || len == 1) {
                        continue;
                    }
                    let half = match slice.step {
                        1 => (self.half(&view, slice.axis, slice.start, slice.len))
                            .or_else(|| self.behind(&view, slice.axis, slice.start, slice.len))
                            .or_else(|| {
                                self.later(node, &view, slice.axis, slice.start, slice.len)
                            }),
                        _ => None,
                    };
                    view = match half {
                        Some(half) => half,
                        None if view.axes[slice.axis].0 == Role::Features => {
                            let place = |k: usize| slice.start + k as i64 * slice.step;
                            let columns = (0..slice.len).map(|k| usize::try_from(place(k)));
                            let columns = columns.collect::<Result<_, _>>()?;
                            part(view, slice.axis, columns)?
                        }
                        None => {
                            // Nobody takes several of a batch.
                            self.misread |= view.axes[slice.axis].0 == Role::Batch && slice.len > 1;
                            ensure!(
                                slice.step > 0 || view.axes[slice.axis].0 != Role::Time,
                                "it turns the samples of a sequence around: the engine goes over them forward, and backward only beside that; reverse the samples \
                                 before they enter"
                            );
                            taken(view, slice.axis, slice.start, slice.len)?
                        }
                    };
                }
                one(view)
            }
            Op::Conv(of) => {
                let weight = operand(1).context("the weights are missing")?;
                one(self.conv(node, view, of, (weight, operand(2)))?)
            }
            Op::Pool(of) => one(self.pool(node, view, *of)?),
            Op::Pad { mirror } => one(self.padded(view, *mirror, [1, 2, 3].map(operand))?),
            Op::Unary(Function::Sqrt) if matches!(view.open, Open::Power { .. }) => {
                one(self.magnitude(node, view)?)
            }
            Op::Norm { axis, epsilon } => {
                let first = interpret::axis(*axis, view.axes.len())?;
                let terms = [1, 2].map(operand);
                one(self.whole_norm(node, view, first, *epsilon, terms)?)
            }
            Op::Reduce { how, keep } => {
                let over = norm::axes(&view, operand(1))?;
                let takes = |role: Role| {
                    over.iter()
                        .any(|&a| view.axes[a].0 == role && view.axes[a].1 > 1)
                };
                if takes(Role::Time) {
                    return one(self.over_time(node, view, &over, (*how, *keep))?);
                }
                if takes(Role::Directions) {
                    return one(both_directions(view, &over, (*how, *keep))?);
                }
                ensure!(
                    *how == Reduction::Mean,
                    "it takes the sum or the largest of several values at each sample, for which the engine has no layer: of the outputs do it with the answers"
                );
                one(self.mean(view, &over, *keep)?)
            }
            Op::MatMul => {
                let weight = operand(1).context("the weights are missing")?;
                one(self.dense(node, view, weight)?)
            }
            Op::Unary(function) => {
                if let Some(view) = norm::rooted(&view, *function) {
                    return one(view);
                }
                if matches!(view.open, Open::Moment(_)) {
                    self.at_end(&view)?;
                }
                let activation = match function {
                    Function::Identity => return one(view),
                    Function::Affine(a, b) => {
                        let n = view.width();
                        let [a, b] = [*a, *b].map(|x| vec![f64::from(x); n]);
                        return one(self.scaled(node, view, (a, b))?);
                    }
                    Function::Tanh => Activation::Tanh,
                    Function::Sigmoid => Activation::Sigmoid,
                    Function::Relu => Activation::Relu,
                    Function::Elu(1.0) => Activation::Elu,
                    Function::LeakyRelu(slope) => {
                        let slopes = vec![*slope; view.width()];
                        return one(self.leaky(node, view, &slopes)?);
                    }
                    Function::HardSigmoid(slope, middle) => {
                        return one(self.held(node, view, [*slope, *middle], [0.0, 1.0])?);
                    }
                    Function::Clip(low, high) => {
                        return one(self.held(node, view, [1.0, 0.0], [*low, *high])?);
                    }
                    other => bail!(
                        "the function {other:?}: the engine has tanh, sigmoid, relu, Elu(1.0) and softmax, and what straight lines can be made of (LeakyRelu, HardSigmoid, Clip); train with one \
                         of them, Elu(1.0) or LeakyRelu in place of what is bent below 0"
                    ),
                };
                one(self.activated(node, view, activation)?)
            }
            Op::Leaky => {
                let slopes = operand(1).context("its slopes are missing")?;
                let slopes = for_each_feature(&view, slopes)?;
                one(self.leaky(node, view, &slopes)?)
            }
            Op::Channels { scale, offset } => {
                ensure!(
                    view.axes.get(1) == Some(&(Role::Features, scale.len())),
                    "it normalises an axis that is not the features of a sample"
                );
                let [scale, offset] =
                    [scale, offset].map(|all| all.iter().map(|&x| f64::from(x)).collect());
                one(self.scaled(node, view, (scale, offset))?)
            }
            Op::Softmax { axis } => {
                let axis = interpret::axis(*axis, view.axes.len())?;
                ensure!(
                    view.axes[axis].0 == Role::Features,
                    "a softmax over an axis that is not the outputs"
                );
                one(self.activated(node, view, Activation::Softmax)?)
            }
            _ => bail!("the engine has no layer for it"),
        }
    }

    /// It only parts the features of an answer into rows, as networks do that answer for several steps.
    fn is_answer_in_rows(&self, node: &Node, view: &View, shape: &[usize]) -> bool {
        let id = node.outputs[0];
        parts_features(view, shape)
            && self.graph.outputs.contains(&id)
            && self.takers(id, |_| false).0.is_empty()
    }

    /// Nor are such rows turned around after that.
    fn no_rows_turned(&self, node: &Node, view: &View, shape: &[usize]) -> Result<()> {
        if let [(turn, _)] = self.takers(node.outputs[0], |_| false).0[..] {
            ensure!(
                !parts_features(view, shape)
                    || !matches!(turn.op, Op::Transpose { .. })
                    || !self.graph.outputs.contains(&turn.outputs[0]),
                "{} turns the rows of the answer around: the model gives the numbers of an answer side by side, in the order in which its last layer does; export \
                 the network without the Transpose, and turn its answers",
                turn.label()
            );
        }
        Ok(())
    }

    fn embedding(&mut self, node: &Node, table: &Tensor, axis: i64, view: &View) -> Result<View> {
        ensure!(
            view.tokens && self.stage == view.stage && self.layers.is_empty(),
            "it looks up something other than the tokens that enter"
        );
        let &[vocab, dim] = &table.shape[..] else {
            bail!(
                "a table of shape {:?}, expected [tokens, width]",
                table.shape
            )
        };
        ensure!(
            interpret::axis(axis, 2)? == 0,
            "attribute `axis`: {axis}, expected 0"
        );
        ensure!(vocab > 0 && dim > 0, "an empty table");
        let mut axes = view.axes.clone();
        axes.push((Role::Features, dim));
        let layer = Layer::Embedding(Embedding {
            vocab,
            dim,
            table: table.floats()?.to_vec(),
        });
        let roles = axes.iter().map(|a| a.0).collect();
        let stage = self.push(layer, node, roles);
        Ok(View {
            axes,
            stage,
            tokens: false,
            ..view.clone()
        })
    }

    fn dense(&mut self, node: &Node, view: View, weight: &Tensor) -> Result<View> {
        ensure!(!view.tokens, "tokens are multiplied as numbers");
        let before = self.layers.len();
        let mut view = self.brought_whole(node, view)?;
        // What brought it back is a dense layer too, and one does what both do.
        let pick = (self.layers.len() > before)
            .then(|| self.unpicked())
            .flatten();
        let inputs = view.features_last()?;
        let &[rows, outputs] = &weight.shape[..] else {
            bail!("weights of shape {:?}, expected a matrix", weight.shape)
        };
        ensure!(
            rows == inputs && outputs > 0,
            "weights of shape {:?} for {inputs} values",
            weight.shape
        );
        let w = weight.floats()?;
        let (scale, offset) = view
            .affine
            .take()
            .unwrap_or((vec![1.0; inputs], vec![0.0; inputs]));
        let at = |k: usize, o: usize| f64::from(w[k * outputs + o]);
        let sum = |o: usize| (0..inputs).map(|k| offset[k] * at(k, o)).sum::<f64>() as f32;
        let dense = Dense {
            inputs,
            outputs,
            weight: (0..outputs)
                .flat_map(|o| (0..inputs).map(move |k| (o, k)))
                .map(|(o, k)| (scale[k] * at(k, o)) as f32)
                .collect(),
            bias: (0..outputs).map(sum).collect(),
            activation: Activation::Identity,
        };
        let dense = match view.part.take() {
            Some(part) => Dense {
                inputs: part.1,
                weight: of_terms(&dense.weight, inputs, &part),
                ..dense
            },
            None => dense,
        };
        let layer = Layer::Dense(match pick {
            Some(pick) => join::behind(&pick, &dense),
            None => dense,
        });
        if let Some(last) = view.axes.last_mut() {
            last.1 = outputs;
        }
        view.stage = self.push(layer, node, view.roles());
        view.state_of = None;
        Ok(view)
    }

    fn binary(&mut self, node: &Node, binary: Binary, operands: &[Option<Known>]) -> Result<View> {
        if let [Some(Known::View(a)), Some(b)] = operands
            && let Some(view) = norm::operand(b).and_then(|b| self.power(binary, a, b))
        {
            return Ok(view);
        }
        if let Some(view) = self.moment(node, binary, operands)? {
            return Ok(view);
        }
        let (view, constant, reversed) = match operands {
            [Some(Known::View(view)), Some(Known::Constant(c))] => (view, c, false),
            [Some(Known::Constant(c)), Some(Known::View(view))] => (view, c, true),
            [Some(Known::View(a)), Some(Known::View(b))] => {
                return self.joined(node, binary, [a, b]);
            }
            _ if matches!(
                operands[..],
                [Some(Known::StateIn(..)), _] | [_, Some(Known::StateIn(..))]
            ) =>
            {
                bail!(
                    "it changes a state before a layer takes it: the engine's states go on as they are, from sample to sample; export the network without that"
                )
            }
            _ => bail!(
                "it computes with states of layers: the engine keeps its states to itself, and joins only what its layers give"
            ),
        };
        let c = for_each_feature(view, constant)?;
        let c: Vec<f64> = c.into_iter().map(f64::from).collect();
        let n = c.len();
        let all = |x: f64| vec![x; n];
        let affine = match (binary, reversed) {
            (Binary::Add, _) => (all(1.0), c),
            (Binary::Sub, false) => (all(1.0), c.iter().map(|c| -c).collect()),
            (Binary::Sub, true) => (all(-1.0), c),
            (Binary::Mul, _) => (c, all(0.0)),
            (Binary::Div, false) => (c.iter().map(|c| 1.0 / c).collect(), all(0.0)),
            (Binary::Div, true) => {
                bail!("a number divided by what a layer gave: the engine has no such layer")
            }
            (Binary::Pow, false) if c.iter().all(|&c| c == 2.0) => {
                return self.joined(node, Binary::Mul, [view, view]);
            }
            (Binary::Pow, _) => bail!(
                "a power of what a layer gave: the engine multiplies what layers give, so that it has squares and no other power"
            ),
        };
        self.scaled(node, view.clone(), affine)
    }

    /// Scales and offsets go into a dense layer that just ended, or wait for what comes.
    fn scaled(&mut self, node: &Node, view: View, (scale, offset): Affine) -> Result<View> {
        ensure!(!view.tokens, "tokens are scaled as numbers");
        let mut view = match view.part {
            Some(_) => view,
            None => self.brought(node, view)?,
        };
        view.state_of = None;
        let roles = view.roles();
        let whole = view.affine.is_none() && view.part.is_none() && !self.is_shared(node);
        if whole && self.fold_into_norm(&scale, &offset) {
            view.stage = self.grown(node, roles);
            return Ok(view);
        }
        if let Some(dense) = self.bare().filter(|_| whole) {
            for (row, scale) in dense.weight.chunks_mut(dense.inputs).zip(&scale) {
                row.iter_mut()
                    .for_each(|w| *w = (f64::from(*w) * scale) as f32);
            }
            for ((b, scale), offset) in dense.bias.iter_mut().zip(&scale).zip(&offset) {
                *b = (f64::from(*b) * scale + offset) as f32;
            }
            view.stage = self.grown(node, roles);
            return Ok(view);
        }
        let (s, o) = view
            .affine
            .take()
            .unwrap_or((vec![1.0; scale.len()], vec![0.0; scale.len()]));
        let joined = s.iter().zip(&o).zip(scale.iter().zip(&offset));
        view.affine = Some(
            joined
                .map(|((s, o), (scale, offset))| (s * scale, o * scale + offset))
                .unzip(),
        );
        Ok(view)
    }

    /// A dense layer that only scales, for what no layer took into its weights.
    fn settled(&mut self, node: &Node, view: View) -> Result<View> {
        let n = view.width();
        self.notes.push(format!(
            "{}: behind it the engine needs a dense layer, {n} × {n}",
            node.label()
        ));
        self.as_it_is(node, view)
    }

    /// The same, which others tell of.
    fn as_it_is(&mut self, node: &Node, mut view: View) -> Result<View> {
        // Of a convolution's answers the features are not the last axis, as a dense layer takes them.
        let axes = view.axes.iter();
        let (at, last) = (axes.clone().position(|a| a.0 == Role::Features), axes.len());
        let turn = at.map(|at| [at, last - 1]).unwrap_or_default();
        view.axes.swap(turn[0], turn[1]);
        let n = view.features_last()?;
        affordable(n, n)?;
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|k| identity[k * n + k] = 1.0);
        let mut view = self.dense(node, view, &Tensor::f32(vec![n, n], identity)?)?;
        view.axes.swap(turn[0], turn[1]);
        if let Some(tap) = self.taps.last_mut() {
            tap.roles = view.roles();
        }
        Ok(view)
    }

    fn activated(&mut self, node: &Node, view: View, activation: Activation) -> Result<View> {
        let view = self.brought(node, view)?;
        // What grows with its argument may as well come before the largest of several as behind it.
        let bare = self.rising().is_some() && !self.is_shared(node);
        let mut view = if bare && view.affine.is_none() {
            view
        } else {
            self.settled(node, view)?
        };
        let roles = view.roles();
        if let Some(dense) = self.rising() {
            dense.activation = activation;
        }
        ensure!(
            activation != Activation::Softmax
                || !matches!(self.layers.last(), Some(Layer::Conv(_))),
            "a softmax behind a convolution: the engine has it behind a dense layer only"
        );
        view.stage = self.grown(node, roles);
        Ok(view)
    }

    fn concat(&self, node: &Node, operands: &[Option<Known>], axis: i64) -> Result<Known> {
        let parts: Vec<&Known> = operands.iter().flatten().collect();
        if let [one] = parts[..] {
            return Ok(one.clone());
        }
        if let [Known::StateIn(input, before), Known::View(view)] = parts[..]
            && let Some(view) = self.behind_kept((*input, before), view, axis)
        {
            return Ok(Known::View(view));
        }
        if let [Known::View(a), Known::View(b)] = parts[..] {
            let at = interpret::axis(axis, a.axes.len())?;
            let halves = a.stage == b.stage && a.last == b.last && a.axes == b.axes;
            if halves
                && (a.direction, b.direction) == (Some(0), Some(1))
                && a.axes[at].0 == Role::Features
            {
                let mut both = a.clone();
                both.axes[at].1 *= 2;
                both.direction = None;
                return Ok(Known::View(both));
            }
        }
        let state = |k: &Known| match k {
            Known::View(view) => view.state_of.is_some(),
            Known::StateOut(..) | Known::StateIn(..) | Known::Stack(_) | Known::Turned(_) => true,
            Known::Constant(_) => false,
        };
        if axis != 0 && parts.iter().all(|k| state(k)) {
            let both = |k: &&Known| matches!(k, Known::View(view) if view.direction.is_some());
            let input = |k: &&Known| matches!(k, Known::StateIn(..));
            ensure!(
                !self.is_computed_with(node.outputs[0]) || self.closed || !parts.iter().any(input),
                "it puts another input of the file beside what layers gave: the engine has one input; make it columns of the samples, each with the same \
                 numbers, where the network was trained so"
            );
            ensure!(
                !self.is_computed_with(node.outputs[0]) || self.closed,
                "{}",
                match parts.iter().any(both) {
                    true =>
                        "it puts last states of bidirectional layers side by side, of which the engine gives only the two of the last layer, forward first: \
                         torch.cat([h_n[-2], h_n[-1]], 1)",
                    false =>
                        "it puts the cells of an LSTM (c_n) or joined states beside others, which the engine keeps to itself: take its hidden states one by one, \
                         torch.cat([h_n[-2], h_n[-1]], 1)",
                }
            );
            let shape = |known: &&Known| match known {
                Known::View(view) => zeros(&view.shape()),
                Known::StateOut(_, shape) | Known::StateIn(_, shape) => Ok(shape.clone()),
                _ => bail!("it joins states of layers in a way that is not known here"),
            };
            let shapes = parts.iter().map(shape).collect::<Result<Vec<_>>>()?;
            let shapes: Vec<Option<&Tensor>> = shapes.iter().map(Some).collect();
            let joined = interpret::apply(node, &shapes)?.pop();
            let all = parts.iter().flat_map(|known| parts_of(known)).collect();
            return Ok(Known::StateOut(all, joined.context("nothing is joined")?));
        }
        ensure!(
            axis == 0 && parts.iter().all(|k| state(k)),
            "it joins what the engine keeps apart: several inputs of the file (join them before the network, as columns of one), values along \
             another axis than the features, or values with states or constants"
        );
        let pieces = parts.into_iter().flat_map(|k| match k {
            Known::Stack(pieces) => pieces.clone(),
            other => vec![other.clone()],
        });
        Ok(Known::Stack(pieces.collect()))
    }

    fn recurrent(
        &mut self,
        node: &Node,
        recurrent: &Recurrent,
        operands: &[Option<Known>],
    ) -> Result<()> {
        let Some(Some(Known::View(view))) = operands.first() else {
            bail!("its input is not the samples or what a layer made of them")
        };
        ensure!(!view.tokens, "tokens enter it as numbers");
        let view = &self.brought_whole(node, view.clone())?;
        ensure!(
            !view.last,
            "it goes over what a layer ended with: the engine has no layer that repeats a value"
        );
        let open = self.steps != Some(1);
        let &[
            (time, steps),
            (Role::Batch | Role::Time, batch),
            (Role::Features, inputs),
        ] = &view.axes[..]
        else {
            bail!(
                "its input has the axes {:?}, expected time, batch, features: what goes into the network has to be [batch, time, features] (or time first), with \
                 the features last; transpose or unsqueeze before it, and not in it",
                view.roles()
            )
        };
        let along = time == Role::Time || !open && steps == 1;
        // It has made another axis than the file's first one time.
        self.misread |= !along && self.time == Some(0);
        ensure!(
            along,
            "its first axis is not the time of the samples: an nn.LSTM or nn.GRU takes [time, batch, features] unless it has batch_first=True, and samples that \
             lie as [batch, features, time] are to be transposed before it, x.transpose(1, 2)"
        );
        ensure!(
            inputs == recurrent.inputs,
            "{inputs} values enter it, expected {}",
            recurrent.inputs
        );
        if let Some(clip) = recurrent.cell_clip {
            // A cell grows by less than 1 at every sample.
            let bounded = self.steps.is_some_and(|n| n as f32 <= clip)
                && recurrent.directions[0].functions[1] == Function::Tanh;
            if !bounded || operands.iter().skip(1).any(Option::is_some) {
                self.notes.push(format!(
                    "{}: the file cuts cells at ±{clip}, the engine does not: answers differ where a cell goes beyond, which the proof would show \
                     on the samples that it is given (--calibrate)",
                    node.label()
                ));
            }
        }
        let index = self.layers.len();
        for (k, cell) in [(1, false), (2, true)] {
            match operands.get(k) {
                None | Some(None) => {}
                Some(Some(Known::Constant(start))) => ensure!(
                    start.floats()?.iter().all(|&x| x == 0.0),
                    "its initial state is not zero: the engine starts with zeros and cannot hold a state that was trained; train it without, or export it without an \
                     initial state where that is of no matter"
                ),
                Some(Some(Known::StateIn(input, _))) => self.taken.push((*input, (index, cell))),
                Some(Some(_)) => bail!(
                    "its initial state is made by another layer: the engine starts with zeros; import both networks and let \
                     one start from the other (`seed_from`)"
                ),
            }
        }
        let cells = recurrent
            .directions
            .iter()
            .map(|direction| cell(recurrent, direction, view.affine.as_ref()));
        let mut cells = cells.collect::<Result<Vec<_>>>()?;
        if let Some(part) = &view.part {
            for cell in &mut cells {
                cell.w_ih = of_terms(&cell.w_ih, inputs, part);
                cell.inputs = part.1;
            }
        }
        let backward = (cells.len() > 1).then(|| cells.pop()).flatten();
        let both = backward.is_some();
        match (cells.pop(), backward) {
            (Some(forward), Some(backward)) => {
                let directions = [false, true].map(Some);
                let found = [0, 1].map(|k| recurrent.directions.get(k).map(|d| d.reverse));
                ensure!(
                    found == directions,
                    "its directions are not forward, then backward"
                );
                let first = self
                    .layers
                    .iter()
                    .all(|layer| matches!(layer, Layer::Embedding(_) | Layer::Bidirectional(_)));
                ensure!(
                    first,
                    "other layers stand before it: the engine has bidirectional layers first, or behind an embedding or one another; give the cells the samples \
                     themselves, or train it in one direction"
                );
                let pair = Layer::Bidirectional(Bidirectional { forward, backward });
                self.push(pair, node, Vec::new());
            }
            (Some(one), None) => {
                ensure!(
                    !recurrent.directions[0].reverse,
                    "attribute `direction`: reverse: the engine runs backward only beside a forward direction; reverse the samples"
                );
                self.push(Layer::Recurrent(one), node, Vec::new());
            }
            _ => bail!("it has no direction"),
        }
        let projection = recurrent.directions[0].projection.as_ref();
        let width = recurrent.width();
        if let Some(projection) = projection {
            self.notes.push(format!(
                "{}: its projection becomes a dense layer {} → {width}, and a factor of its hidden weights",
                node.label(),
                recurrent.hidden
            ));
            self.push(
                Layer::Dense(Dense {
                    inputs: recurrent.hidden,
                    outputs: width,
                    weight: projection.clone(),
                    bias: vec![0.0; width],
                    activation: Activation::Identity,
                }),
                node,
                Vec::new(),
            );
            // Before the projection the state is not a value of the graph.
            let place = self.taps.len() - 2;
            self.taps.remove(place);
        }
        let directions = (
            if both { Role::Directions } else { Role::Batch },
            recurrent.directions.len(),
        );
        let y = View {
            axes: vec![
                (Role::Time, steps),
                directions,
                (Role::Batch, batch),
                (Role::Features, width),
            ],
            stage: self.stage,
            last: false,
            direction: None,
            affine: None,
            normalised: false,
            part: None,
            tokens: false,
            state_of: Some(index),
            open: Open::Nothing,
        };
        if let Some(tap) = self.taps.last_mut() {
            tap.roles = y.roles();
        }
        let h = View {
            axes: y.axes[1..].to_vec(),
            last: self.steps != Some(1),
            ..y.clone()
        };
        let c = zeros(&[directions.1, batch, recurrent.hidden])?;
        let c = Known::StateOut(BTreeSet::from([(index, true)]), c);
        self.set(node, vec![Known::View(y), Known::View(h), c]);
        Ok(())
    }

    /// What the file calls the axes of its samples says that time is another one than that along which layers go.
    fn along_what_is_called_time(&self) -> Result<()> {
        let input = &self.graph.inputs[self.samples];
        let Some(time) = self.time else {
            return Ok(());
        };
        let says = |axis: usize, words: &[&str]| {
            let name = input.names.get(axis).map_or("", String::as_str);
            let mut parts = name.split(|c: char| !c.is_alphabetic());
            parts.any(|part| words.contains(&&*part.to_ascii_lowercase()))
        };
        let other = (0..input.dims.len()).any(|axis| axis != time && says(axis, &TIME));
        let called = |(name, dim): (&String, &Dim)| match dim {
            Dim::Fixed(n) => n.to_string(),
            Dim::Open => name.clone(),
        };
        ensure!(
            says(time, &TIME) || !other && !says(time, &BATCH),
            "its layers go along axis {time} of the input `{}` [{}], which its name says is not time: is batch_first=True missing in an nn.LSTM or nn.GRU? If only the \
             names are wrong, export it with others",
            self.graph.values[input.value.0].name,
            input
                .names
                .iter()
                .zip(&input.dims)
                .map(called)
                .collect::<Vec<_>>()
                .join(", ")
        );
        Ok(())
    }

    fn finish(mut self, answer: Option<ValueId>) -> Result<Lowered> {
        let outputs = self.graph.outputs.clone();
        let name = |id: ValueId| &self.graph.values[id.0].name;
        // The answer is what the chain ends with; the first of several such outputs, as the others are states.
        let ends = |id: &&ValueId| match &self.known[id.0] {
            Some(Known::View(view)) => {
                view.stage == self.stage && view.direction.is_none() && view.open == Open::Nothing
            }
            _ => false,
        };
        let found = match &answer {
            Some(id) => Some(id).filter(ends),
            None => outputs.iter().find(ends),
        };
        let Some(&found) = found else {
            bail!(
                "no output of it is what its last layer gives: expected a chain of layers whose end is an output"
            )
        };
        let Some(Known::View(mut view)) = self.known[found.0].clone() else {
            bail!("output `{}` is not known", name(found))
        };
        self.along_what_is_called_time()?;
        let mut states = Vec::new();
        let parts = |id: ValueId| self.known[id.0].as_ref().map(parts_of).unwrap_or_default();
        let others = || {
            outputs
                .iter()
                .filter(|id| **id != found && parts(**id).is_empty())
        };
        ensure!(
            !self.branched || answer.is_some() || others().count() == 0,
            "its outputs are made by branches of their own, of which the engine's chain has one answer"
        );
        for (input, _) in self
            .graph
            .inputs
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != self.samples)
        {
            let label = name(self.graph.inputs[input].value);
            let takes: BTreeSet<Part> = self
                .taken
                .iter()
                .filter(|(i, _)| *i == input)
                .map(|(_, part)| *part)
                .collect();
            ensure!(
                !takes.is_empty(),
                "input `{label}` is neither the samples nor a state of a recurrent layer: the engine has one input"
            );
            let next = outputs
                .iter()
                .rposition(|&id| id != found && parts(id) == takes);
            let next = next.or_else(|| outputs.iter().rposition(|&id| parts(id) == takes));
            states.push((
                input,
                next.with_context(|| {
                    format!("input `{label}` is a state, and no output is what it is next: export the states as outputs too")
                })?,
            ));
        }
        for (k, &id) in outputs.iter().enumerate() {
            if id != found && !states.iter().any(|s| s.1 == k) {
                let what = match parts(id).is_empty() {
                    true => "another output",
                    false => "a state that the engine keeps itself",
                };
                self.notes
                    .push(format!("output `{}` is left out: {what}", name(id)));
            }
        }
        let entering: BTreeSet<Part> = self.taken.iter().map(|(_, part)| *part).collect();
        if !entering.is_empty() {
            for (index, layer) in self.layers.iter().enumerate() {
                let Layer::Recurrent(r) = layer else { continue };
                let lstm = r.cell.has_cell();
                let all = entering.contains(&(index, false))
                    && (!lstm || entering.contains(&(index, true)));
                ensure!(
                    all,
                    "layer {index} starts anew at every call, and others take their state from an input: export all states"
                );
            }
        }
        let single = self.steps == Some(1) && states.is_empty();
        ensure!(
            !single,
            "it takes one sample at a time and has no states as inputs, so it forgets everything after each: export it with a \
             length of the sequence that is open, or with the states as inputs and outputs"
        );
        if view.affine.is_some() || view.part.is_some() {
            let node = Node {
                name: name(found).clone(),
                kind: "output".to_owned(),
                op: Op::Identity,
                inputs: Vec::new(),
                outputs: vec![found],
            };
            view = self.picked(&node, view, true)?;
            if view.affine.is_some() {
                view = self.settled(&node, view)?;
            }
        }
        self.note_answers();
        let bidirectional = self
            .layers
            .iter()
            .any(|l| matches!(l, Layer::Bidirectional(_)));
        ensure!(
            !bidirectional
                || !(self.layers.iter()).any(|l| matches!(l, Layer::Norm(_) | Layer::Join(_))),
            "a layer normalisation or a join beside bidirectional layers, which the engine does not have: train without it, or one \
             direction only"
        );
        ensure!(
            !bidirectional || !self.layers.iter().any(|l| matches!(l, Layer::Recurrent(_))),
            "some modules are bidirectional and some are not, which is not supported: train all of them alike"
        );
        ensure!(
            view.last || !bidirectional,
            "a bidirectional layer gives an output for every sample of a window: the engine gives one for the window, what both \
             directions end with; take the layer's last state (h_n) instead of its outputs"
        );
        let networks: Vec<String> = self.layers.iter().filter_map(reset).collect();
        self.notes.extend(networks);
        let places = self.put_in_keeps();
        ensure!(
            self.layers.len() <= MAX_LAYERS,
            "it becomes {} layers, and the engine has {MAX_LAYERS}: every value that is kept, every join, every branch and every function made of relus takes one or \
             more of its own",
            self.layers.len()
        );
        for tap in &mut self.taps {
            tap.layer = places[tap.layer];
        }
        let network = Network {
            layers: self.layers,
        };
        let front = match self.front {
            Front::Found((scale, offset)) => {
                let n = network.input_width();
                ensure!(
                    [1, n].contains(&scale.len()),
                    "it normalises {} numbers of the {n} of a sample",
                    scale.len()
                );
                self.notes.push(
                    "the scales and offsets that it gives its samples first are the model's normalisation".to_owned(),
                );
                let each = |all: Vec<f64>| (0..n).map(|k| all[k % all.len()]).collect();
                Some((each(scale), each(offset)))
            }
            Front::Unknown | Front::None => None,
        };
        if let (Some(n @ 2..), true, true) = (self.steps, view.last, !states.is_empty()) {
            self.notes.push(answers_of_pieces(n));
        }
        Ok(Lowered {
            network,
            taps: self.taps,
            notes: self.notes,
            samples: self.samples,
            time: self.time,
            steps: self.steps,
            states,
            last: view.last,
            front,
            adds: self.adds,
        })
    }
}

/// What is told of a file that goes over pieces of a stream and answers after each, as the model has no pieces.
pub(crate) fn answers_of_pieces(n: usize) -> String {
    format!(
        "the file goes over {n} samples at a time and answers after the last of them; the model answers after every sample, and at every {n}th as the file does"
    )
}

/// A GRU says which reset it has.
fn reset(layer: &Layer) -> Option<String> {
    let (cell, inputs, hidden) = match layer {
        Layer::Recurrent(r) => (r.cell, r.inputs, r.hidden),
        Layer::Bidirectional(b) => (b.forward.cell, b.forward.inputs, b.forward.hidden),
        _ => return None,
    };
    let how = match cell.resets()? {
        Reset::After => "after the product with the hidden weights, as in PyTorch",
        Reset::Before => "before the product with the hidden weights, as in the first paper",
    };
    Some(format!(
        "GRU {inputs} → {hidden} applies its reset gate {how}"
    ))
}

fn zeros(shape: &[usize]) -> Result<Tensor> {
    let len = super::graph::count(shape).filter(|&n| n <= 1 << 22);
    let len = len.with_context(|| format!("shape {shape:?} is too large"))?;
    Tensor::new(shape.to_vec(), Values::F32(vec![0.0; len]))
}

/// The nodes that these values depend on.
fn needed(graph: &Graph, wanted: &[ValueId]) -> Vec<bool> {
    let mut values = vec![false; graph.values.len()];
    wanted.iter().for_each(|id| values[id.0] = true);
    let mut nodes = vec![false; graph.nodes.len()];
    for (k, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|id| values[id.0]) {
            nodes[k] = true;
            node.inputs
                .iter()
                .flatten()
                .for_each(|id| values[id.0] = true);
        }
    }
    nodes
}

/// The layers whose states these are.
fn parts_of(known: &Known) -> BTreeSet<Part> {
    match known {
        Known::View(view) => {
            let kept = match view.open {
                Open::Padded { kept, .. } => kept.map(kept_in),
                _ => None,
            };
            let state = view.state_of.map(|layer| (layer, false));
            state.into_iter().chain(kept).collect()
        }
        Known::StateOut(parts, _) => parts.clone(),
        Known::Stack(pieces) | Known::Turned(pieces) => pieces.iter().flat_map(parts_of).collect(),
        Known::Constant(_) | Known::StateIn(..) => BTreeSet::new(),
    }
}

/// Operands with another first one.
fn instead<'t>(first: &'t Tensor, constants: &[Option<&'t Tensor>]) -> Vec<Option<&'t Tensor>> {
    let rest = constants.iter().skip(1).copied();
    [Some(first)].into_iter().chain(rest).collect()
}

/// A state through an operator that moves it.
fn state(node: &Node, shape: &Tensor, constants: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    ensure!(
        node.op.moves(),
        "it computes with states that the engine keeps to itself: of a cell that is written out in a way of its own import the state dict in place of \
         ONNX; in place of the cells of an LSTM (c_n), or of states of several layers at once, take what layers give, the outputs or hidden states one by \
         one (h_n[-1])"
    );
    interpret::apply(node, &instead(shape, constants))
}

/// One of joined states.
fn unstack(node: &Node, pieces: &[Known], constants: &[Option<&Tensor>]) -> Result<Known> {
    let all = pieces.iter().flat_map(|piece| {
        let rows = match piece {
            Known::View(view) => view.axes.first().map_or(0, |a| a.1),
            Known::StateOut(_, t) | Known::StateIn(_, t) => t.shape.first().copied().unwrap_or(0),
            _ => 0,
        };
        (0..rows).map(move |row| (piece, row, rows))
    });
    let all: Vec<_> = all.collect();
    let numbers = Tensor::list((0..all.len() as i64).collect());
    if matches!(node.op, Op::Identity) {
        return Ok(Known::Stack(pieces.to_vec()));
    }
    ensure!(
        matches!(node.op, Op::Gather { axis: 0 } | Op::Slice),
        "it changes the joined states of several layers: take them one by one, torch.cat([h_n[-2], h_n[-1]], 1) in PyTorch"
    );
    let picked = interpret::apply(node, &instead(&numbers, constants))?;
    let picked = picked.first().context("nothing is taken")?;
    let rows = picked.ints()?;
    let first = rows.first().and_then(|&row| all.get(row as usize));
    let Some(&(Known::View(view), row, of)) = first else {
        bail!("it takes a part of the joined states that is not a hidden state")
    };
    let mut view = view.clone();
    let whole = rows.len() == of && row == 0;
    if !whole {
        ensure!(rows.len() == 1, "it takes states of several layers");
        view = taken(view, 0, row as i64, 1)?;
    }
    if picked.shape.is_empty() {
        view.axes.remove(0);
    }
    Ok(Known::View(view))
}

/// Why the last sample of a bidirectional layer is none that is taken.
const ONE_SAMPLE_ONLY: &str = "it takes the outputs of a bidirectional layer at the last sample, where the backward direction has seen one sample \
                               only: the engine gives what both directions end with; take the layer's last state (h_n)";

/// A place of an axis.
fn taken(mut view: View, axis: usize, index: i64, len: usize) -> Result<View> {
    let (role, whole) = view.axes[axis];
    let index = interpret::axis(index, whole).map_err(|_| anyhow!("place {index} of {whole}"))?;
    ensure!(
        len <= 1 || role != Role::Time,
        "it takes {len} of {whole} samples of a sequence: the engine takes them all. What cuts off the end of a convolution, so that it sees nothing to \
         come, pads before it instead with the same weights, nn.functional.pad(x, (before, 0))"
    );
    ensure!(
        len <= 1,
        "it takes {len} of {whole} values: the engine has no such layer"
    );
    ensure!(len == 1, "it takes nothing");
    if whole == 1 {
        return Ok(view);
    }
    match role {
        // The backward direction ends with the first sample.
        Role::Time if view.direction == Some(1) => {
            ensure!(index == 0, ONE_SAMPLE_ONLY);
            view.last = true;
        }
        Role::Time => {
            ensure!(
                index + 1 == whole,
                "it takes one sample of a sequence, and not the last: the engine answers after that"
            );
            view.last = true;
        }
        Role::Directions => view.direction = Some(index),
        Role::Features | Role::Positions => {
            bail!("it takes one of {whole} values: the engine has no such layer")
        }
        Role::Batch => {}
    }
    let backward = view.axes.iter().any(|a| a.0 == Role::Directions);
    ensure!(role != Role::Time || !backward, ONE_SAMPLE_ONLY);
    view.axes[axis].1 = 1;
    if matches!(role, Role::Directions | Role::Time) {
        view.axes[axis].0 = Role::Batch;
    }
    Ok(view)
}

/// The axes after a change of shape that keeps the order of numbers.
fn regroup(axes: &[(Role, usize)], shape: &[usize]) -> Result<(Axes, Option<Joined>)> {
    let wide: Vec<(Role, usize)> = axes.iter().copied().filter(|a| a.1 != 1).collect();
    let mut rest = &wide[..];
    let mut new = Vec::with_capacity(shape.len());
    let mut joined = None;
    for &dim in shape {
        let (role, used) = match rest {
            _ if dim == 1 => (Role::Batch, 0),
            [(role, len), ..] if *len == dim => (*role, 1),
            [
                (Role::Directions | Role::Positions, n),
                (Role::Features, width),
                ..,
            ] if n * width == dim => {
                joined = Some(Joined::Places(*n));
                (Role::Features, 2)
            }
            [(Role::Features, _), (Role::Positions, n), ..] if n * rest[0].1 == dim => {
                joined = Some(Joined::Channels(*n));
                (Role::Features, 2)
            }
            _ => bail!(
                "it mixes axes: {:?} becomes {shape:?}; the engine's layers take the features of one sample, all of them side by side \
                 (y.flatten(1) behind an nn.Conv1d within a sample)",
                axes.iter().map(|a| a.1).collect::<Vec<_>>()
            ),
        };
        rest = &rest[used..];
        new.push((role, dim));
    }
    // A feature alone or one sample alone is an axis of one, wherever it comes to stand.
    if axes.contains(&(Role::Features, 1))
        && let Some(last) = new.last_mut().filter(|a| a.1 == 1)
    {
        last.0 = Role::Features;
    }
    Ok((new, joined))
}

/// How features at so many places became one axis.
enum Joined {
    /// All features of one place after the other, or both directions.
    Places(usize),
    /// All places of one feature after the other.
    Channels(usize),
}

/// A view whose features are those of all places.
fn side_by_side(mut view: View, joined: Joined) -> Result<View> {
    let width = view.width();
    ensure!(
        view.part.is_none(),
        "it joins what is picked or added up at several places: let a layer take that first"
    );
    let of = |k: usize| match joined {
        Joined::Places(_) => k % width,
        Joined::Channels(n) => k / n,
    };
    let (Joined::Places(n) | Joined::Channels(n)) = joined;
    view.affine = view.affine.map(|(scale, offset)| {
        let [scale, offset] =
            [scale, offset].map(|all| (0..n * width).map(|k| all[of(k)]).collect());
        (scale, offset)
    });
    if let Joined::Channels(n) = joined {
        // The engine has the features of a place side by side.
        let columns = (0..n * width).map(|k| k % n * width + k / n);
        view.part = Some((columns.collect(), n * width));
        view.state_of = None;
    }
    Ok(view)
}

/// A direction as a cell of the engine, with what still scales its input.
fn cell(
    recurrent: &Recurrent,
    direction: &Direction,
    affine: Option<&Affine>,
) -> Result<net::Recurrent> {
    let (n, inputs, width) = (recurrent.hidden, recurrent.inputs, recurrent.width());
    ensure!(
        recurrent.clip.is_none(),
        "attribute `clip`: {}: the engine does not clip; export without it",
        recurrent.clip.unwrap_or_default()
    );
    let usual = Recurrent::functions(recurrent.kind);
    let used = if recurrent.kind == Kind::Rnn { 1 } else { 3 };
    let used = if matches!(recurrent.kind, Kind::Gru { .. }) {
        2
    } else {
        used
    };
    let same = direction.functions[..used] == usual[..used];
    let hard = match direction.functions[0] {
        Function::HardSigmoid(slope, middle) => Some((slope, middle)),
        _ => None,
    };
    let cell = match (recurrent.kind, &direction.peephole) {
        (Kind::Rnn, _) if direction.functions[0] == Function::Relu => Cell::RnnRelu,
        (Kind::Lstm, None)
            if direction.functions == [Function::Sigmoid, Function::Relu, Function::Relu] =>
        {
            Cell::LstmRelu
        }
        (Kind::Gru { after }, _)
            if direction.functions[..2] == [Function::Sigmoid, Function::Relu] =>
        {
            if after {
                Cell::GruReluResetAfter
            } else {
                Cell::GruReluResetBefore
            }
        }
        (Kind::Lstm, None)
            if hard.is_some() && direction.functions[1..] == [Function::Tanh, Function::Tanh] =>
        {
            Cell::LstmHard
        }
        (Kind::Gru { after }, _) if hard.is_some() && direction.functions[1] == Function::Tanh => {
            if after {
                Cell::GruHardResetAfter
            } else {
                Cell::GruHardResetBefore
            }
        }
        _ if direction.functions[..used].contains(&Function::Identity) => bail!(
            "activation `linear` in a recurrent layer: the engine's cells have tanh, or relu in RNN, GRU and LSTM; train with one of them"
        ),
        _ if !same => bail!(
            "attribute `activations`: {:?}, expected {:?}: the engine's cells have no others; train with those",
            &direction.functions[..used],
            &usual[..used]
        ),
        (Kind::Rnn, _) => Cell::RnnTanh,
        (Kind::Gru { after: true }, _) => Cell::GruResetAfter,
        (Kind::Gru { after: false }, _) => Cell::GruResetBefore,
        (Kind::Lstm, None) => Cell::Lstm,
        (Kind::Lstm, Some(_)) => Cell::LstmPeephole,
        (Kind::LstmCoupled, None) => Cell::LstmCoupled,
        (Kind::LstmCoupled, Some(_)) => {
            bail!("a coupled input gate with peepholes: the engine has one or the other")
        }
    };
    let rows = recurrent.kind.gates() * n;
    let (mut w_ih, mut b_ih) = (direction.w_ih.clone(), direction.b_ih.clone());
    if let Some((scale, offset)) = affine {
        for (row, b) in w_ih.chunks_mut(inputs).zip(&mut b_ih) {
            let sum: f64 = row.iter().zip(offset).map(|(w, o)| f64::from(*w) * o).sum();
            *b = (f64::from(*b) + sum) as f32;
            let scaled = row.iter_mut().zip(scale);
            scaled.for_each(|(w, s)| *w = (f64::from(*w) * s) as f32);
        }
    }
    let w_hh = match &direction.projection {
        None => direction.w_hh.clone(),
        Some(projection) => {
            ensure!(
                recurrent.directions.len() == 1,
                "a projection in a bidirectional layer: train it without"
            );
            let entry = |(row, j): (usize, usize)| {
                let hidden = &direction.w_hh[row * width..(row + 1) * width];
                let sum = hidden.iter().zip(projection.iter().skip(j).step_by(n));
                sum.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
            };
            (0..rows)
                .flat_map(|row| (0..n).map(move |j| (row, j)))
                .map(entry)
                .collect()
        }
    };
    let mut cell = net::Recurrent {
        cell,
        inputs,
        hidden: n,
        w_ih,
        w_hh,
        b_ih,
        b_hh: direction.b_hh.clone(),
        extra: direction.peephole.clone().unwrap_or_default(),
    };
    if let (Some((slope, middle)), true) = (hard, cell.cell.hard_gates()) {
        scale_hard_gates(&mut cell, slope, middle);
    }
    Ok(cell)
}

/// Gates `slope · z + middle`, held within 0 and 1, become the engine's, `z / 4 + 1 / 2`.
fn scale_hard_gates(r: &mut net::Recurrent, slope: f32, middle: f32) {
    let n = r.hidden;
    let gates: &[usize] = match r.cell {
        Cell::LstmHard => &[0, 1, 3],
        _ => &[0, 1],
    };
    for gate in gates {
        let rows = gate * n..(gate + 1) * n;
        let of = |width: usize| rows.start * width..rows.end * width;
        let scaled = |x: &mut f32| *x *= 4.0 * slope;
        r.w_ih[of(r.inputs)].iter_mut().for_each(scaled);
        r.w_hh[of(n)].iter_mut().for_each(scaled);
        r.b_hh[of(1)].iter_mut().for_each(scaled);
        let middle = |b: &mut f32| *b = *b * 4.0 * slope + (4.0 * middle - 2.0);
        r.b_ih[of(1)].iter_mut().for_each(middle);
    }
}
