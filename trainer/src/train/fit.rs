//! The training loop: shuffled windows, or streams side by side; a step per batch; after every epoch
//! the validation loss, which decides what is kept and when to stop.
//!
//! A batch is cut into shards of [`SHARD`] sequences, whatever the number of threads. Threads take
//! shards; their gradients are added in the order of the shards. So a seed gives the same bits on one
//! thread and on twenty.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CheckpointError, fingerprint};
use super::evaluate::evaluate;
use super::init::{Rng, network};
use super::loss::Objective;
use super::optimiser::Adam;
use super::pair::{evaluate_pair, split_pair};
use super::params::{flatten, unflatten};
use super::pass::{Counted, Shard, Size};
use super::quantized::{Quantizer, Streams};
use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::file::Quantized;
use crate::net::{Activation, Network};
use crate::package::{Output, Package, Shape};
use crate::quant::{Formats, Ranges};
use crate::task::Task;
use kinglet::Model;

/// Sequences that one thread takes at a time.
pub const SHARD: usize = 16;
/// Parameters whose gradients one thread adds at a time.
const SUM_CHUNK: usize = 16_384;
/// Longest work that a crash can undo, beside the current epoch.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// What does not belong to the task.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Threads; one per core by default. The result does not depend on it.
    pub threads: Option<usize>,
    /// Training stops after the current batch once this is true.
    pub cancel: Option<&'a AtomicBool>,
    /// Where training is kept every few seconds, between two epochs.
    pub checkpoint: Option<&'a Path>,
    /// Training goes on from the checkpoint, if there is one, to the same result as if it had not stopped.
    pub resume: bool,
}

/// Where training is, after every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 1.
    pub epoch: usize,
    /// As the task says; early stopping may end before.
    pub epochs: usize,
    /// Mean over the epoch's batches, each before its step.
    pub train_loss: f64,
    /// After the epoch.
    pub valid_loss: f64,
    /// Whether this is the best epoch so far: by the validation loss, or in integers by the metric of the validation part.
    pub best: bool,
    /// At the end of the epoch.
    pub learning_rate: f32,
    /// Spent on training so far.
    pub seconds: f64,
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The parameters of the best epoch, with what a prediction needs.
    pub package: Package,
    /// The epoch they come from, from 1.
    pub best_epoch: usize,
    /// Its validation loss.
    pub valid_loss: f64,
    /// Every epoch.
    pub history: Vec<Progress>,
    /// Whether the caller stopped it.
    pub cancelled: bool,
}

/// Why there is no trained network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} in epoch {epoch}; lower train.learning_rate, or set train.clip"
    )]
    Diverged {
        /// From 1.
        epoch: usize,
        /// Infinite or NaN.
        loss: f64,
    },
    /// Carried state, but the rows of a part do not follow each other.
    #[error("shape.stateful needs the {part} part in one piece; split by rows or fractions")]
    Scattered {
        /// "train" or "valid".
        part: &'static str,
    },
    /// Stopped before the first epoch ended.
    #[error("cancelled before the first epoch was complete")]
    Cancelled,
    /// Weights cannot be represented in the format.
    #[error("{0:#}")]
    Quantize(anyhow::Error),
    /// A checkpoint that does not fit, or a disk that is full.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Trains the network that a task describes.
pub fn fit(
    task: &Task,
    data: &Dataset,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted, FitError> {
    let mut rng = Rng::new(task.train.seed);
    let last = match data.output() {
        Output::Values(_) => Activation::Identity,
        Output::Classes(_) | Output::NextToken => Activation::Softmax,
    };
    let mut net = network(data.inputs(), &task.plan(data.outputs(), last), &mut rng);
    if let Some(source) = data.source() {
        let encoder = network(source.inputs(), &task.encoder_plan(), &mut rng);
        net.layers.extend(encoder.layers);
    }
    fit_from(net, task, data, options, progress, &mut rng)
}

/// Trains a network from the parameters that it has. The generator orders the samples; [`fit`] has made its network
/// with the same one before.
///
/// # Panics
/// If the network's inputs or outputs are not those of the data.
pub fn fit_from(
    net: Network,
    task: &Task,
    data: &Dataset,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    rng: &mut Rng,
) -> Result<Fitted, FitError> {
    let mut batches = Batches::new(&net, task, data);
    let course = Course {
        epochs: task.train.epochs,
        learning_rate: task.train.learning_rate,
        start: None,
        phase: "float".to_owned(),
    };
    run(&mut batches, net, course, task, options, progress, rng)
}

/// Trains a network on with the integers of a format over the epochs of `train.quantized`: the engine is the forward
/// pass, and gradients pass straight through its rounding. The ranges that come back belong to the network: exported
/// with them, it is what was trained. Epoch 0 is the network as it came, so the result
/// has at least as good a metric on the validation part.
pub fn fit_quantized(
    package: &Package,
    (formats, ranges): (impl Into<Formats>, &Ranges),
    task: &Task,
    data: &Dataset,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(Fitted, Ranges), FitError> {
    let formats = formats.into();
    let phase = formats.name();
    let quantizer = Quantizer::new(package, formats, ranges).map_err(FitError::Quantize)?;
    let (fitted, [ranges]) = train_on([quantizer], phase, task, data, options, progress)?;
    Ok((fitted, ranges))
}

/// Trains a network on in integers, or a decoder and its encoder; with the ranges they end with.
pub(super) fn train_on<const N: usize>(
    quantizers: [Quantizer; N],
    phase: String,
    task: &Task,
    data: &Dataset,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(Fitted, [Ranges; N]), FitError> {
    let layers = quantizers.iter().flat_map(|q| &q.package().net.layers);
    let net = Network {
        layers: layers.cloned().collect(),
    };
    let mut batches = Batches::new(&net, task, data);
    batches.quantize_with(quantizers.into())?;
    let valid_plan = Plan::new(task, data, Part::Valid)?;
    let valid_loss = batches.loss(&valid_plan)?;
    let quantized = task.train.quantized;
    let course = Course {
        epochs: quantized.epochs,
        learning_rate: quantized
            .learning_rate
            .unwrap_or(task.train.learning_rate / 10.0),
        start: Some(valid_loss),
        phase,
    };
    let mut rng = Rng::new(task.train.seed);
    let fitted = run(&mut batches, net, course, task, options, progress, &mut rng)?;
    let ranges = |side: usize| batches.quantizers[side].ranges().clone();
    Ok((fitted, std::array::from_fn(ranges)))
}

/// How long and how fast.
struct Course {
    epochs: usize,
    learning_rate: f32,
    /// Validation loss of the parameters at the start, if they may be the best.
    start: Option<f64>,
    /// Tells checkpoints apart.
    phase: String,
}

impl Course {
    /// The validation loss after an epoch; 0 is the start.
    fn loss_after(&self, epoch: usize, history: &[Progress]) -> f64 {
        match epoch.checked_sub(1) {
            Some(place) => history[place].valid_loss,
            None => self.start.unwrap_or(f64::INFINITY),
        }
    }
}

/// Leaves the parameters that were chosen.
fn run(
    batches: &mut Batches<'_>,
    mut net: Network,
    course: Course,
    task: &Task,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    rng: &mut Rng,
) -> Result<Fitted, FitError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.unwrap_or(0))
        .build()?;
    let data = batches.data;
    let mut epoch_plan = Plan::new(task, data, Part::Train)?;
    let valid_plan = Plan::new(task, data, Part::Valid)?;
    let mut adam = Adam::new(&task.train, batches.params.len());
    let (epochs, per_epoch) = (course.epochs, epoch_plan.batches());
    let steps = per_epoch.div_ceil(task.train.accumulate);
    let cancelled = || options.cancel.is_some_and(|c| c.load(Ordering::Relaxed));
    let mut history: Vec<Progress> = Vec::new();
    let mut best: Option<(usize, f64, Vec<f32>)> = match course.start {
        Some(loss) => Some((0, batches.merit(loss)?, batches.params.clone())),
        None => None,
    };
    let fingerprint = fingerprint(task, data, &course.phase);
    let resumed = match options.checkpoint {
        Some(path) if options.resume => Checkpoint::read(path, fingerprint, batches.params.len())?,
        _ => None,
    };
    if let Some(checkpoint) = resumed {
        (batches.params, *adam.moments()) = (checkpoint.params, checkpoint.optimiser);
        (best, history) = (checkpoint.best, checkpoint.history);
        for _ in &history {
            epoch_plan.shuffle(task.train.batch, data, rng);
        }
        batches.step = (history.len() * per_epoch) as u64;
    }
    let before = history.last().map_or(0.0, |p| p.seconds);
    let (start, mut saved) = (Instant::now(), Instant::now());
    let enough = |epoch: usize, best: usize| {
        task.train.patience > 0 && epoch.saturating_sub(best) >= task.train.patience
    };
    let mut stopped = false;
    for epoch in history.len() + 1..=epochs {
        if enough(epoch - 1, best.as_ref().map_or(0, |b| b.0)) {
            break;
        }
        epoch_plan.shuffle(task.train.batch, data, rng);
        let (mut sum, mut learning_rate) = (0.0, 0.0);
        for step in 0..steps {
            let done = (epoch - 1) * steps + step;
            let factor = task.train.schedule.factor(epoch - 1, done, epochs * steps);
            learning_rate = course.learning_rate * factor;
            let first = step * task.train.accumulate;
            let batch = first..(first + task.train.accumulate).min(per_epoch);
            let count = batch.len() as f64;
            sum += count * pool.install(|| batches.gradient(&epoch_plan, batch))?;
            adam.step(&mut batches.params, &batches.grad, learning_rate);
            if cancelled() {
                stopped = true;
                break;
            }
        }
        if stopped {
            break;
        }
        let train_loss = sum / per_epoch as f64;
        let valid_loss = pool.install(|| batches.loss(&valid_plan))?;
        if !(train_loss.is_finite() && valid_loss.is_finite()) {
            return Err(FitError::Diverged {
                epoch,
                loss: train_loss + valid_loss,
            });
        }
        let merit = batches.merit(valid_loss)?;
        // Of two that are right equally often, the more certain one.
        let better = best.as_ref().is_none_or(|&(at, best, _)| {
            merit < best || merit == best && valid_loss < course.loss_after(at, &history)
        });
        if better {
            best = Some((epoch, merit, batches.params.clone()));
        }
        let now = Progress {
            epoch,
            epochs,
            train_loss,
            valid_loss,
            best: better,
            learning_rate,
            seconds: before + start.elapsed().as_secs_f64(),
        };
        history.push(now);
        stopped = progress(&now).is_break();
        if let Some(path) = options.checkpoint
            && (stopped || cancelled() || epoch == epochs || saved.elapsed() >= SAVE_EVERY)
        {
            let checkpoint = Checkpoint {
                fingerprint,
                params: batches.params.clone(),
                optimiser: adam.moments().clone(),
                best: best.clone(),
                history: history.clone(),
            };
            checkpoint.write(path)?;
            saved = Instant::now();
        }
        if stopped {
            break;
        }
    }
    let (best_epoch, _, params) = best.ok_or(FitError::Cancelled)?;
    let valid_loss = course.loss_after(best_epoch, &history);
    unflatten(&params, &mut net);
    batches.params = params;
    // With the scales that belong to them.
    batches.quantized()?;
    Ok(Fitted {
        package: data.package(net),
        best_epoch,
        valid_loss,
        history,
        cancelled: stopped,
    })
}

/// What a task makes small.
fn objective(task: &Task, data: &Dataset) -> Objective {
    match &task.train.class_weights {
        Some(weights) => Objective::weighed(weights.of_classes(&data.class_counts(Part::Train))),
        None => task.loss().into(),
    }
}

/// Which sequences make which batch.
struct Plan {
    /// First rows of the sequences.
    starts: Vec<usize>,
    /// Places in `starts` of the sequences that run side by side; they are equally long.
    shards: Vec<Range<usize>>,
    /// Shards per batch.
    per_batch: usize,
    /// Streams whose state is carried from batch to batch have so many windows. Without: windows that start at zero, in
    /// any order.
    carried: Option<usize>,
}

impl Plan {
    fn new(task: &Task, data: &Dataset, part: Part) -> Result<Self, FitError> {
        let (batch, window) = (task.train.batch, data.window());
        let mut plan = Plan {
            starts: data.windows(part).to_vec(),
            shards: Vec::new(),
            per_batch: batch.div_ceil(SHARD),
            carried: None,
        };
        if task.shape.stateful {
            let run: Range<usize> = data
                .run(part)
                .ok_or(FitError::Scattered { part: part.name() })?;
            let lanes = batch.min(run.len() / window).max(1);
            let chunks = run.len() / window / lanes;
            let first = |lane| run.start + lane * chunks * window;
            plan.starts = (0..lanes).map(first).collect();
            plan.carried = Some(chunks);
        }
        plan.shard(batch, data);
        Ok(plan)
    }

    /// Puts sequences of one length together, in the order in which they stand.
    fn shard(&mut self, batch: usize, data: &Dataset) {
        self.starts.sort_by_key(|&start| data.lengths_at(start));
        self.shards.clear();
        let mut at = 0;
        let alike = |a: &usize, b: &usize| data.lengths_at(*a) == data.lengths_at(*b);
        for sequences in self.starts.chunk_by(alike) {
            for shard in sequences.chunks(batch).flat_map(|b| b.chunks(SHARD)) {
                self.shards.push(at..at + shard.len());
                at += shard.len();
            }
        }
    }

    fn shuffle(&mut self, batch: usize, data: &Dataset, rng: &mut Rng) {
        if self.carried.is_some() {
            return;
        }
        rng.shuffle(&mut self.starts);
        if data.lengths_differ() {
            self.shard(batch, data);
            rng.shuffle(&mut self.shards);
        }
    }

    fn batches(&self) -> usize {
        self.carried
            .unwrap_or(self.shards.len().div_ceil(self.per_batch))
    }

    /// The shards of a batch, how far their sequences have come, and whether they start from a reset.
    fn batch(&self, k: usize, window: usize) -> (&[Range<usize>], usize, bool) {
        if self.carried.is_some() {
            return (&self.shards, k * window, k == 0);
        }
        let end = ((k + 1) * self.per_batch).min(self.shards.len());
        (&self.shards[k * self.per_batch..end], 0, true)
    }
}

/// Runs batches, in shards on all threads.
struct Batches<'a> {
    data: &'a Dataset,
    loss: Objective,
    /// Classes have weights.
    weighed: bool,
    counted: Counted,
    batch: usize,
    word_dropout: f32,
    seed: u64,
    /// Gradients so far.
    step: u64,
    /// Of the network, of its encoder, and of either how much the scales of integer rows have grown.
    params: Vec<f32>,
    /// The same.
    grad: Vec<f32>,
    work: Vec<Work>,
    /// Of the network, then of its encoder; none while training is in float.
    quantizers: Vec<Quantizer>,
}

/// A quantized network as the passes want it, for as many batches as its parameters stay what they are.
struct Loaded<'q> {
    model: Model<'q>,
    /// Its weights in float, in the order of [`super::params`].
    params: Vec<f32>,
}

impl<'q> Loaded<'q> {
    fn new(quantized: &'q Quantized) -> Result<Self, FitError> {
        let model = Model::from_bytes(&quantized.bytes);
        Ok(Loaded {
            model: model.map_err(|e| FitError::Quantize(e.into()))?,
            params: flatten(&quantized.net),
        })
    }
}

fn load(quantized: &[Quantized]) -> Result<Vec<Loaded<'_>>, FitError> {
    quantized.iter().map(Loaded::new).collect()
}

/// A shard, the loss it found, and the engine's side of it where training goes through integers.
struct Work {
    shard: Shard<f32>,
    /// Runs before a decoder, over what it is to translate.
    encoder: Option<Shard<f32>>,
    loss: f64,
    /// Of the shard and of the encoder.
    streams: [Option<Streams>; 2],
}

impl Work {
    /// Parameters of the network and of its encoder.
    fn sizes(&self) -> [usize; 2] {
        let encoder = self.encoder.as_ref();
        [
            self.shard.grad.len(),
            encoder.map_or(0, |encoder| encoder.grad.len()),
        ]
    }
}

/// What the engine needs for a forward pass.
type Rounded<'l, 'q> = (&'l Quantizer, &'l Loaded<'q>);

/// Runs the engine where training goes through it, else the float pass.
fn forward(
    shard: &mut Shard<f32>,
    params: &[f32],
    rounded: Option<Rounded<'_, '_>>,
    streams: &mut Option<Streams>,
    size: Size,
) {
    match (rounded, streams) {
        (Some((quantizer, loaded)), Some(streams)) => {
            streams.forward(quantizer.package(), &loaded.model, params, shard, size);
        }
        _ => shard.forward(params, size),
    }
}

impl<'a> Batches<'a> {
    fn new(net: &Network, task: &Task, data: &'a Dataset) -> Self {
        let counted = match data.shape() {
            Shape::EveryStep => Counted::Every,
            Shape::Window { .. } => Counted::Last,
        };
        let params: Vec<f32> = flatten(net);
        let batch = task.train.batch;
        let max = Self::shard_size(data, batch);
        let encoder = data.source().map(|source| {
            let [_, encoder] = split_pair(net);
            (encoder, Self::shard_size(source, batch))
        });
        let own = match &encoder {
            Some(_) => &split_pair(net)[0],
            None => net,
        };
        let work = (0..batch.div_ceil(SHARD)).map(|_| Work {
            shard: Shard::new(own, counted, max),
            encoder: encoder
                .as_ref()
                .map(|(net, max)| Shard::new(net, Counted::Every, *max)),
            loss: 0.0,
            streams: [None, None],
        });
        Batches {
            data,
            loss: objective(task, data),
            weighed: task.train.class_weights.is_some(),
            counted,
            batch,
            word_dropout: task.train.word_dropout,
            seed: task.train.seed,
            step: 0,
            grad: vec![0.0; params.len()],
            work: work.collect(),
            params,
            quantizers: Vec::new(),
        }
    }

    fn shard_size(data: &Dataset, batch: usize) -> Size {
        Size {
            steps: data.window(),
            lanes: SHARD.min(batch),
        }
    }

    /// From here on the forward passes are the engine's.
    fn quantize_with(&mut self, quantizers: Vec<Quantizer>) -> Result<(), FitError> {
        let learned = quantizers.iter().map(Quantizer::learned).sum::<usize>();
        self.params.resize(self.params.len() + learned, 0.0);
        self.grad.resize(self.params.len(), 0.0);
        self.quantizers = quantizers;
        let quantized = self.quantized()?;
        let loaded = load(&quantized)?;
        let sides = [Some(self.data), self.data.source()];
        for work in &mut self.work {
            let known = self.quantizers.iter().zip(&loaded).zip(sides);
            for (((quantizer, loaded), data), streams) in known.zip(&mut work.streams) {
                let max = Self::shard_size(data.unwrap_or(self.data), self.batch);
                let state_len = loaded.model.state_len();
                *streams = Some(Streams::new(quantizer.package(), state_len, max));
            }
        }
        if let [decoder, encoder] = &loaded[..]
            && let Some(Work {
                streams: [Some(own), Some(theirs)],
                ..
            }) = self.work.first_mut()
        {
            // They stay a pair, because formats and scales are settled.
            let seeded = own.seed_from(theirs, [&decoder.model, &encoder.model], 1);
            seeded.map_err(FitError::Quantize)?;
        }
        Ok(())
    }

    /// What the parameters of now are chosen by, less for better ones: the loss, or in integers the metric that is told of
    /// the exported model. The engine measures it over the validation part as a device would run, where the loss is of
    /// windows; of a pair the metric is the share of texts with a mistake.
    fn merit(&mut self, valid_loss: f64) -> Result<f64, FitError> {
        if self.weighed {
            // A metric that counts every answer alike is not what was asked for.
            return Ok(valid_loss);
        }
        let quantized = self.quantized()?;
        match &load(&quantized)?[..] {
            [alone] => {
                let mut engine = EnginePredictor::new(&alone.model);
                Ok(evaluate(self.data, Part::Valid, &mut engine).error())
            }
            [decoder, encoder] => {
                let models = [&encoder.model, &decoder.model];
                let right = evaluate_pair(self.data, Part::Valid, models);
                Ok(1.0 - right.map_err(FitError::Quantize)?.1)
            }
            _ => Ok(valid_loss),
        }
    }

    /// The parameters of now in integers, network by network, if training goes through them.
    fn quantized(&mut self) -> Result<Vec<Quantized>, FitError> {
        let [own, of_encoder] = self.work[0].sizes();
        let (own, rest) = self.params.split_at(own);
        let (of_encoder, mut growth) = rest.split_at(of_encoder);
        let quantizers = self.quantizers.iter_mut().zip([own, of_encoder]);
        let quantized = quantizers.map(|(quantizer, params)| {
            let (own, rest) = growth.split_at(quantizer.learned());
            growth = rest;
            quantizer.quantize(params, own)
        });
        quantized
            .collect::<Result<_, _>>()
            .map_err(FitError::Quantize)
    }

    /// Outputs of a shard that count.
    fn outputs(&self, plan: &Plan, shard: &Range<usize>) -> usize {
        let size = size_of(self.data, &plan.starts[shard.clone()]);
        match self.counted {
            Counted::Last => size.lanes,
            Counted::Every => size.lanes * size.steps,
        }
    }

    /// Runs every shard of a batch; the mean loss, and over how many outputs.
    fn run(
        &mut self,
        plan: &Plan,
        batch: usize,
        loaded: &[Loaded<'_>],
        backward: bool,
    ) -> (f64, usize) {
        let (data, loss) = (self.data, &self.loss);
        let (shards, offset, fresh) = plan.batch(batch, data.window());
        let outputs = shards.iter().map(|shard| self.outputs(plan, shard)).sum();
        let terms = self.loss.goals(data.outputs());
        let scale = 1.0 / (outputs * terms) as f64;
        let every = self.counted == Counted::Every;
        let rounded = |side: usize| self.quantizers.get(side).zip(loaded.get(side));
        let rounded = [rounded(0), rounded(1)];
        let (own, of_encoder) = self.params.split_at(self.work[0].shard.grad.len());
        let [params, of_encoder] = [(own, rounded[0]), (of_encoder, rounded[1])]
            .map(|(float, rounded)| rounded.map_or(float, |(_, loaded)| &loaded.params[..]));
        let hidden = Some((self.word_dropout, self.step)).filter(|h| backward && h.0 > 0.0);
        let work = shards.par_iter().zip(&mut self.work).enumerate();
        work.for_each(|(k, (shard, work))| {
            let starts = &plan.starts[shard.clone()];
            let size = size_of(data, starts);
            let counted = if every { size.steps } else { 1 };
            let shard = &mut work.shard;
            gather(data, starts, offset, fresh, (size.steps, counted), shard);
            if let Some((share, step)) = hidden {
                let noise = Rng::new(self.seed ^ (step << 20 | k as u64));
                hide(
                    data,
                    share,
                    noise,
                    &mut shard.input[..size.steps * size.lanes],
                );
            }
            if fresh {
                shard.reset();
            }
            let [streams, encoder_streams] = &mut work.streams;
            if fresh && let Some(streams) = streams {
                streams.reset();
            }
            let mut encoder = data.source().zip(work.encoder.as_mut());
            let mut source_starts = Vec::new();
            if let Some((source, encoder)) = &mut encoder {
                source_starts.extend(starts.iter().map(|&start| data.source_of(start)));
                let size = size_of(source, &source_starts);
                gather(source, &source_starts, 0, true, (size.steps, 0), encoder);
                encoder.reset();
                if let Some(streams) = encoder_streams {
                    streams.reset();
                }
                forward(encoder, of_encoder, rounded[1], encoder_streams, size);
                shard.seed_from(encoder, size);
                if let ([Some((_, own)), Some((_, theirs))], Some(ours), Some(streams)) =
                    (rounded, &mut *streams, encoder_streams)
                {
                    // That they are a pair has been seen at the start.
                    let _ = ours.seed_from(streams, [&own.model, &theirs.model], size.lanes);
                }
            }
            forward(shard, params, rounded[0], streams, size);
            work.loss = shard.loss(loss, scale, size);
            if backward {
                shard.grad.fill(0.0);
                shard.backward(params, loss, scale, size);
                if let Some((source, encoder)) = &mut encoder {
                    encoder.grad.fill(0.0);
                    encoder.backward_from(shard, of_encoder, size_of(source, &source_starts));
                }
            }
            if plan.carried.is_some() {
                shard.carry(size);
            }
        });
        let used = shards.len();
        let loss = self.work[..used].iter().map(|work| work.loss).sum();
        (loss, outputs)
    }

    /// Mean loss of some batches, and its gradient in `self.grad`: that of one batch of all their sequences, in the
    /// memory of one of them.
    fn gradient(&mut self, plan: &Plan, batches: Range<usize>) -> Result<f64, FitError> {
        let quantized = self.quantized()?;
        let loaded = load(&quantized)?;
        let outputs = |batches: &Self, batch| {
            let (shards, ..) = plan.batch(batch, batches.data.window());
            shards
                .iter()
                .map(|shard| batches.outputs(plan, shard))
                .sum::<usize>()
        };
        let all: usize = batches.clone().map(|batch| outputs(self, batch)).sum();
        let mut mean = 0.0;
        for batch in batches.clone() {
            let share = outputs(self, batch) as f64 / all as f64;
            mean += share * self.run(plan, batch, &loaded, true).0;
            self.step += 1;
            let work = &self.work[..plan.batch(batch, self.data.window()).0.len()];
            let first = batch == batches.start;
            let [own, of_encoder] = work[0].sizes();
            let (own, rest) = self.grad.split_at_mut(own);
            let of_encoder = &mut rest[..of_encoder];
            let share = share as f32;
            add(own, first, share, work, |work| &work.shard.grad);
            add(of_encoder, first, share, work, |work| {
                work.encoder.as_ref().map_or(&[], |encoder| &encoder.grad)
            });
        }
        let [own, of_encoder] = self.work[0].sizes();
        let (own, rest) = self.grad.split_at_mut(own);
        let (of_encoder, mut growth) = rest.split_at_mut(of_encoder);
        let quantizers = self.quantizers.iter().zip(&loaded);
        for ((quantizer, loaded), grad) in quantizers.zip([own, of_encoder]) {
            let (own, rest) = growth.split_at_mut(quantizer.learned());
            growth = rest;
            quantizer.pass_through(&loaded.params, grad, own);
        }
        Ok(mean)
    }

    /// Mean loss over all batches.
    fn loss(&mut self, plan: &Plan) -> Result<f64, FitError> {
        let quantized = self.quantized()?;
        let loaded = load(&quantized)?;
        let (mut sum, mut outputs) = (0.0, 0);
        for batch in 0..plan.batches() {
            let (loss, count) = self.run(plan, batch, &loaded, false);
            sum += loss * count as f64;
            outputs += count;
        }
        Ok(sum / outputs as f64)
    }
}

/// Adds the gradients of all shards, in their order, chunk by chunk on all threads.
fn add(
    sum: &mut [f32],
    first: bool,
    share: f32,
    work: &[Work],
    grad: impl Fn(&Work) -> &[f32] + Sync,
) {
    let chunks = sum.par_chunks_mut(SUM_CHUNK).enumerate();
    chunks.for_each(|(k, sum)| {
        if first {
            sum.fill(0.0);
        }
        for work in work {
            for (s, &g) in sum.iter_mut().zip(&grad(work)[k * SUM_CHUNK..]) {
                *s += share * g;
            }
        }
    });
}

/// Of sequences that are equally long.
fn size_of(data: &Dataset, starts: &[usize]) -> Size {
    Size {
        steps: starts.first().map_or(0, |&start| data.length(start)),
        lanes: starts.len(),
    }
}

/// Copies sequences side by side into a shard.
fn gather(
    data: &Dataset,
    starts: &[usize],
    offset: usize,
    fresh: bool,
    (steps, counted): (usize, usize),
    shard: &mut Shard<f32>,
) {
    let (width, lanes) = (data.input_width(), starts.len());
    for (s, &start) in starts.iter().enumerate() {
        let start = start + offset;
        for t in 0..steps {
            let row = if fresh {
                data.input_row(start, t)
            } else {
                data.inner_row(start + t)
            };
            let at = (t * lanes + s) * width;
            shard.input[at..at + width].copy_from_slice(row);
        }
        for t in 0..counted {
            let goal = data.goal_row(start + steps - counted + t);
            let at = (t * lanes + s) * goal.len();
            shard.goal[at..at + goal.len()].copy_from_slice(goal);
        }
    }
}

/// Puts what stands for unknown tokens in place of a share of the tokens.
fn hide(data: &Dataset, share: f32, mut noise: Rng, tokens: &mut [f32]) {
    for token in tokens {
        if noise.uniform() < share {
            *token = data.hidden_as(*token);
        }
    }
}
