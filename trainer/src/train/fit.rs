//! The training loop: a step per batch, and after every epoch the validation loss, which decides what is kept and when
//! to stop.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kinglet::format::{Format, crc32};

use super::batches::Batches;
use super::checkpoint::{Checkpoint, fingerprint};
use super::error::FitError;
use super::init::{Rng, expect_blanks, network};
use super::optimiser::{Adam, Moments};
use super::pair::{Pair, split_pair};
use super::params::unflatten;
use super::plan::Plan;
use super::progress::{Fitted, Options, Progress};
use super::quantized::Quantizer;
use crate::data::{Dataset, Part};
use crate::net::{Activation, Network};
use crate::package::{Output, Package, Shape};
use crate::quant::{Formats, Ranges, fold_inputs};
use crate::task::Task;

/// Longest work that a crash can undo, beside the current epoch.
const SAVE_EVERY: Duration = Duration::from_secs(5);

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
        Output::Classes(_) | Output::Transcript(_) | Output::NextToken => Activation::Softmax,
    };
    let mut net = network(data.inputs(), &task.plan(data.outputs(), last), &mut rng);
    if let Output::Transcript(_) = data.output() {
        let rows = data.windows(Part::Train).iter();
        let rows = rows.flat_map(|&start| start..start + data.length(start));
        let tokens = rows.clone().filter(|&row| data.goal_row(row)[0] >= 0.0);
        expect_blanks(&mut net, rows.clone().count(), tokens.count());
    }
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
    if task.train.epochs == 0 {
        return Err(FitError::NoEpochs);
    }
    has_answers(&net, data)?;
    has_targets(data)?;
    let mut batches = Batches::new(&net, task, data);
    let course = Course {
        epochs: task.train.epochs,
        learning_rate: task.train.learning_rate,
        start: None,
        phase: "float".to_owned(),
    };
    run(&mut batches, net, course, task, options, progress, rng)
}

/// Trains a network on that is there already, of [`network_for`](super::network_for), or a pair of [`pair_for`](super::pair_for).
/// Epoch 0 is the network as it came, so the result has no larger a loss on the validation part; without epochs it is the result.
///
/// # Panics
/// As [`fit_from`].
pub fn fit_on(
    net: Network,
    task: &Task,
    data: &Dataset,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted, FitError> {
    has_answers(&net, data)?;
    has_targets(data)?;
    let mut batches = Batches::new(&net, task, data);
    let valid_loss = batches.loss(&Plan::new(task, data, Part::Valid))?;
    let course = Course {
        epochs: task.train.epochs,
        learning_rate: task.train.learning_rate,
        start: Some(valid_loss),
        // Another network goes on from no checkpoint of this one.
        phase: format!(
            "float from {:08x}",
            crc32(bytemuck::cast_slice(&batches.params))
        ),
    };
    let mut rng = Rng::new(task.train.seed);
    run(&mut batches, net, course, task, options, progress, &mut rng)
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
    // Inputs that the integers would not hold well enter in other units from here on.
    let (mut package, mut ranges) = (package.clone(), ranges.clone());
    // Weights learn to live with their eight bits.
    ranges.fine = false;
    let folded = match ranges.settled {
        true => None,
        false => fold_inputs(&mut package, &mut ranges, formats.of(0)),
    };
    let data = match folded {
        Some(_) => Cow::Owned(data.clone().normalised_as(&package.input)),
        None => Cow::Borrowed(data),
    };
    let quantizer = Quantizer::new(&package, formats, &ranges).map_err(FitError::Quantize)?;
    let (fitted, [ranges]) = train_on([quantizer], phase, task, &data, options, progress)?;
    Ok((fitted, ranges))
}

/// Trains encoder and decoder on, as [`fit_quantized`] does one network: the engine's encoder hands its state to the
/// engine's decoder. The pair that comes back has the ranges that it was trained with.
///
/// # Errors
/// As there.
pub fn fit_pair_quantized(
    pair: &Pair,
    format: Format,
    task: &Task,
    data: &Dataset,
    options: &Options<'_>,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(Fitted, Pair), FitError> {
    let [of_encoder, of_decoder] = &pair.ranges;
    let sides = [(&pair.decoder, of_decoder), (&pair.encoder, of_encoder)];
    let quantizers = sides.map(|(package, ranges)| Quantizer::new(package, format.into(), ranges));
    let [own, theirs] = quantizers.map(|quantizer| quantizer.map_err(FitError::Quantize));
    let phase = format.name().to_owned();
    let (fitted, [of_decoder, of_encoder]) =
        train_on([own?, theirs?], phase, task, data, options, progress)?;
    let mut pair = pair.clone();
    pair.ranges = [of_encoder, of_decoder];
    [pair.decoder.net, pair.encoder.net] = split_pair(&fitted.package.net);
    Ok((fitted, pair))
}

/// Trains a network on in integers, or a decoder and its encoder; with the ranges they end with.
fn train_on<const N: usize>(
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
    has_answers(&net, data)?;
    has_targets(data)?;
    let mut batches = Batches::new(&net, task, data);
    batches.quantize_with(quantizers.into())?;
    let valid_plan = Plan::new(task, data, Part::Valid);
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

/// An error unless there is an answer in every window of some data.
fn has_answers(net: &Network, data: &Dataset) -> Result<(), FitError> {
    let answers @ [first, _] = net.answers();
    if answers == [0, 1] {
        return Ok(());
    }
    match data.shape() {
        Shape::EveryStep => Err(FitError::Rare),
        Shape::Window { window: steps, .. } if steps <= first => Err(FitError::NoAnswer {
            steps,
            first: first + 1,
        }),
        Shape::Window { .. } => Ok(()),
    }
}

/// An error unless some target of what is learnt from, and of what epochs are chosen by, is known.
fn has_targets(data: &Dataset) -> Result<(), FitError> {
    for (part, what) in [(Part::Train, "learnt"), (Part::Valid, "measured")] {
        let known = data
            .sequences(part)
            .any(|sequence| (0..sequence.steps()).any(|t| sequence.counts(t)));
        if !known {
            let part = part.name();
            return Err(FitError::NoTargets { part, what });
        }
    }
    Ok(())
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
    let mut epoch_plan = Plan::new(task, data, Part::Train);
    let valid_plan = Plan::new(task, data, Part::Valid);
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
    // After the last whole epoch.
    let mut stands = (batches.params.clone(), adam.moments().clone());
    let save =
        |(params, optimiser): &(Vec<f32>, Moments), best: &Option<_>, history: &[Progress]| {
            match options.checkpoint {
                Some(path) => {
                    let checkpoint = Checkpoint {
                        fingerprint,
                        params: params.clone(),
                        optimiser: optimiser.clone(),
                        best: Option::clone(best),
                        history: history.to_vec(),
                    };
                    checkpoint.write(path)
                }
                None => Ok(()),
            }
        };
    if epochs == 0 {
        // What follows goes on from this network and from no other.
        save(&stands, &best, &history)?;
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
            if !history.is_empty() {
                save(&stands, &best, &history)?;
            }
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
        if options.checkpoint.is_some() {
            stands.0.clone_from(&batches.params);
            stands.1.clone_from(adam.moments());
        }
        stopped = progress(&now).is_break();
        if stopped || cancelled() || epoch == epochs || saved.elapsed() >= SAVE_EVERY {
            save(&stands, &best, &history)?;
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
