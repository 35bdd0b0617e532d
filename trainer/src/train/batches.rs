//! Losses and gradients of batches, by shards on all threads.
//!
//! Threads take shards; their gradients are added in the order of the shards. So a seed gives the same bits on one
//! thread and on twenty. Where training goes through integers, the engine is the forward pass.

use std::ops::Range;

use kinglet::Model;
use rayon::prelude::*;

use super::ctc::BEYOND;
use super::error::FitError;
use super::evaluate::evaluate_shortly;
use super::init::Rng;
use super::loss::Objective;
use super::pair::{evaluate_pair, split_pair};
use super::params::flatten;
use super::pass::{Counted, Shard, Size};
use super::plan::{Plan, SHARD};
use super::quantized::{Quantizer, Streams};
use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::file::Quantized;
use crate::net::Network;
use crate::package::Shape;
use crate::task::Task;

/// Parameters whose gradients one thread adds at a time.
const SUM_CHUNK: usize = 16_384;

/// What a task makes small.
fn objective(task: &Task, data: &Dataset) -> Objective {
    match &task.train.class_weights {
        Some(weights) => Objective::weighed(weights.of_classes(&data.class_counts(Part::Train))),
        None if !data.quantiles().is_empty() => Objective::quantiles(data.quantiles().to_vec()),
        None => task.loss().into(),
    }
}

/// Runs batches, in shards on all threads.
pub(super) struct Batches<'a> {
    pub(super) data: &'a Dataset,
    loss: Objective,
    /// Classes have weights.
    weighed: bool,
    counted: Counted,
    batch: usize,
    word_dropout: f32,
    seed: u64,
    /// Gradients so far.
    pub(super) step: u64,
    /// Of the network, of its encoder, and of either how much the scales of integer rows have grown.
    pub(super) params: Vec<f32>,
    /// The same.
    pub(super) grad: Vec<f32>,
    work: Vec<Work>,
    /// Of the network, then of its encoder; none while training is in float.
    pub(super) quantizers: Vec<Quantizer>,
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
    pub(super) fn new(net: &Network, task: &Task, data: &'a Dataset) -> Self {
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
    pub(super) fn quantize_with(&mut self, quantizers: Vec<Quantizer>) -> Result<(), FitError> {
        let learned = quantizers.iter().map(Quantizer::learned).sum::<usize>();
        self.params.resize(self.params.len() + learned, 0.0);
        self.grad.resize(self.params.len(), 0.0);
        self.quantizers = quantizers;
        self.loss = self.loss.clone().of_integers();
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
    pub(super) fn merit(&mut self, valid_loss: f64) -> Result<f64, FitError> {
        if self.weighed {
            // A metric that counts every answer alike is not what was asked for.
            return Ok(valid_loss);
        }
        let quantized = self.quantized()?;
        match &load(&quantized)?[..] {
            [alone] => {
                let mut engine = EnginePredictor::new(&alone.model);
                Ok(evaluate_shortly(self.data, Part::Valid, &mut engine).error())
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
    pub(super) fn quantized(&mut self) -> Result<Vec<Quantized>, FitError> {
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

    /// Outputs of a shard that count; of a loss of whole sequences these.
    fn outputs(&self, plan: &Plan, shard: &Range<usize>) -> usize {
        let size = size_of(self.data, &plan.starts[shard.clone()]);
        match self.counted {
            _ if self.loss.is_of_sequences() => size.lanes,
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
            if plan.is_carried() {
                shard.carry(size);
            }
        });
        let used = shards.len();
        let loss = self.work[..used].iter().map(|work| work.loss).sum();
        (loss, outputs)
    }

    /// Mean loss of some batches, and its gradient in `self.grad`: that of one batch of all their sequences, in the
    /// memory of one of them.
    pub(super) fn gradient(&mut self, plan: &Plan, batches: Range<usize>) -> Result<f64, FitError> {
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
    pub(super) fn loss(&mut self, plan: &Plan) -> Result<f64, FitError> {
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

/// Of sequences side by side.
fn size_of(data: &Dataset, starts: &[usize]) -> Size {
    let lengths = starts.iter().map(|&start| data.length(start));
    Size {
        steps: lengths.max().unwrap_or(0),
        lanes: starts.len(),
    }
}

/// Copies sequences side by side into a shard. One that ends before the others stands still from there on, and has nothing to say.
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
        let last = data.length(start).saturating_sub(1);
        let start = start + offset;
        for t in 0..steps {
            let row = if fresh {
                data.input_row(start, t.min(last))
            } else {
                data.inner_row(start + t)
            };
            let at = (t * lanes + s) * width;
            shard.input[at..at + width].copy_from_slice(row);
        }
        for t in 0..counted {
            let goal = match steps - counted + t {
                t if t > last => &[BEYOND],
                t => data.goal_row(start + t),
            };
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
