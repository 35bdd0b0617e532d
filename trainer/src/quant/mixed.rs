//! Mixed precision: a number format for every layer, so that the outputs err least within a budget.
//!
//! The gates of a layer share its format, because they share its matrix inputs, and an embedding has the format of the
//! layer behind it. A recurrent layer can be w4a8, w8a8 or w8a16. A dense layer has 16-bit inputs in all of them, so it is
//! w4a8 or w8a8. Nothing is estimated that can be run: every candidate is exported, its flash is the
//! length of its file, and its error is what the engine answers over streams of raw samples beside what it answers in f32, as an
//! RMS difference in the unit of the output. With few layers all combinations are candidates; with many, the squared errors of
//! single lowered layers are added up to tell which combinations are worth a run.

use super::{Formats, Ranges};
use crate::answer::Answer;
use crate::budget::{Budget, Cost};
use crate::cost::Core;
use crate::data::{Dataset, Part, Sequence};
use crate::engine::EnginePredictor;
use crate::file::{Exported, TestInputs, export, export_for};
use crate::net::{Layer, Network};
use crate::package::{Output, Package};
use crate::train::Predictor;
use anyhow::{Result, bail};
use kinglet::Model;
use kinglet::format::{Format, Layout};
use std::collections::BTreeMap;

/// Candidates that are run, about; more than all combinations of three recurrent layers and a dense one.
const RUNS: usize = 64;

/// A stream of raw samples (or token numbers) from a state of zero.
#[derive(Debug, Clone)]
pub struct Probe {
    /// One sample after the other.
    pub raw: Vec<f32>,
    /// The first step whose output counts.
    pub counted: usize,
}

/// Steps to run a candidate over, at the most.
pub const PROBED: usize = 20_000;

impl Probe {
    /// Sequences of a part, evenly taken; a series that is too long is cut.
    pub fn of_dataset(data: &Dataset, part: Part) -> Vec<Probe> {
        let sequences: Vec<_> = data.sequences(part).collect();
        let steps: usize = sequences.iter().map(|sequence| sequence.steps()).sum();
        let every = steps.div_ceil(PROBED).clamp(1, sequences.len().max(1));
        let taken = sequences.iter().step_by(every);
        let probe = |sequence: &Sequence<'_>| {
            let steps = sequence.steps().min(PROBED);
            let raw = (0..steps).flat_map(|t| sequence.raw(t).iter().copied());
            Probe {
                raw: raw.collect(),
                counted: (0..steps).find(|&t| sequence.counts(t)).unwrap_or(steps),
            }
        };
        taken.map(probe).collect()
    }
}

/// A combination of formats, and what it takes and costs.
#[derive(Debug, Clone)]
pub struct Point {
    /// Of every layer.
    pub formats: Vec<Format>,
    /// Bytes of the file.
    pub flash: usize,
    /// Bytes of a stream's state.
    pub ram: usize,
    /// Estimated instructions of a step, where a core was named.
    pub cycles: Option<usize>,
    /// RMS difference from f32. Outputs in several units are scaled to the first one's.
    pub error: f64,
}

impl Point {
    /// What it takes.
    pub fn cost(&self) -> Cost {
        Cost {
            flash: self.flash,
            ram: self.ram,
            cycles: self.cycles.map(|cycles| cycles as f64),
        }
    }

    fn fits(&self, budget: &Budget) -> bool {
        budget.allows(self.cost())
    }

    /// As good in everything and better in something.
    fn beats(&self, other: &Point) -> bool {
        let pair = |p: &Point| (p.flash, p.cycles.unwrap_or(0), p.error);
        let ((a, b, c), (x, y, z)) = (pair(self), pair(other));
        a <= x && b <= y && c <= z && (a < x || b < y || c < z)
    }
}

/// What a search found.
#[derive(Debug)]
pub struct Mixed {
    /// The trade-off: no point is beaten in flash, cycles and error at once. By flash.
    pub curve: Vec<Point>,
    /// The place in it of the least error within the budget.
    pub chosen: usize,
    /// Its file.
    pub exported: Exported,
    /// So many outputs the errors of the curve are over: of the probes, which are a part of what is measured in the end where that is long.
    pub outputs: usize,
}

/// Searches the formats of a package's layers.
///
/// # Errors
/// If no combination keeps to the budget, the core has no counts for a cell, or the package cannot be exported.
pub fn search(
    package: &Package,
    ranges: &Ranges,
    layout: Layout,
    tests: &TestInputs,
    probes: &[Probe],
    budget: &Budget,
) -> Result<Mixed> {
    if let (Some(core), Some(layer)) = (budget.core, uncounted(&package.net, budget.core)) {
        bail!(
            "no instructions are counted for layer {layer} on {}; leave out the core and give a budget of flash",
            core.name
        );
    }
    let float = export(package, Format::F32, Some(ranges), tests)?;
    let reference = Reference::new(package, &Model::from_bytes(&float.bytes)?, probes);
    let mut runs = Runs {
        package,
        ranges,
        layout,
        tests,
        core: budget.core,
        reference,
        points: BTreeMap::new(),
    };
    let layers = choices(&package.net);
    for choice in candidates(&layers, &mut runs, budget)? {
        runs.point(&layers, &choice)?;
    }
    // RAM is a limit and no part of the trade-off.
    let enough = |point: &&Point| budget.ram.is_none_or(|most| point.ram <= most);
    let points: Vec<Point> = runs.points.values().filter(enough).cloned().collect();
    if points.is_empty() {
        let least = runs.points.values().map(|point| point.ram).min();
        bail!(
            "a budget of {} bytes of state is too small: the smallest takes {}",
            budget.ram.unwrap_or(0),
            least.unwrap_or(0)
        );
    }
    let mut curve: Vec<Point> = points.clone();
    curve.retain(|point| !points.iter().any(|other| other.beats(point)));
    curve.sort_by_key(|point| (point.flash, point.cycles));
    curve.dedup_by(|a, b| (a.flash, a.cycles) == (b.flash, b.cycles));
    let within = curve.iter().enumerate().filter(|(_, p)| p.fits(budget));
    let best = within.min_by(|(_, a), (_, b)| a.error.total_cmp(&b.error));
    let Some((chosen, point)) = best else {
        bail!("{}", too_small(&points, budget));
    };
    let exported = export_for(
        layout,
        package,
        Formats::Each(point.formats.clone()),
        Some(ranges),
        tests,
    )?;
    Ok(Mixed {
        curve,
        chosen,
        exported,
        outputs: runs.reference.outputs.len(),
    })
}

fn too_small(points: &[Point], budget: &Budget) -> String {
    let least = |value: fn(&Point) -> usize| points.iter().map(value).min().unwrap_or(0);
    let (flash, cycles) = (least(|p| p.flash), least(|p| p.cycles.unwrap_or(0)));
    match *budget {
        Budget {
            flash: Some(most), ..
        } if most < flash => {
            format!(
                "a budget of {most} bytes of flash is too small: the smallest model takes {flash}"
            )
        }
        Budget {
            cycles: Some(most), ..
        } if most < cycles => format!(
            "a budget of {most} instructions a step is too small: the fastest model takes {cycles}"
        ),
        _ => format!(
            "no model keeps to both budgets: the smallest takes {flash} bytes of flash, the fastest {cycles} instructions a step, \
             but not at once"
        ),
    }
}

/// A layer without counts on a core.
fn uncounted(net: &Network, core: Option<&Core>) -> Option<usize> {
    let core = core?;
    let alone = |layer: &Layer| Network {
        layers: vec![layer.clone()],
    };
    let counted = |layer| core.instructions(&alone(layer), Format::W8A8).is_some();
    net.layers.iter().position(|layer| !counted(layer))
}

/// The formats that each layer can have, the widest last. An embedding has none of its own.
fn choices(net: &Network) -> Vec<&'static [Format]> {
    let choices = net.layers.iter().map(|layer| match layer {
        Layer::Embedding(_) => &[][..],
        Layer::Recurrent(_) | Layer::Bidirectional(_) => {
            &[Format::W4A8, Format::W8A8, Format::W8A16][..]
        }
        Layer::Dense(_) | Layer::Conv(_) => &[Format::W4A8, Format::W8A8][..],
        // They are the same in all.
        Layer::Norm(_) | Layer::Keep(_) | Layer::Join(_) => &[Format::W8A8][..],
    });
    choices.collect()
}

/// For every layer the place of its format among its choices.
type Choice = Vec<usize>;

fn formats(layers: &[&[Format]], choice: &Choice) -> Vec<Format> {
    let mut formats: Vec<Format> = Vec::with_capacity(layers.len());
    for (k, place) in choice.iter().enumerate().rev() {
        formats.push(match layers[k].get(*place) {
            Some(format) => *format,
            // What the layer behind the embedding has.
            None => formats.last().copied().unwrap_or(Format::W8A8),
        });
    }
    formats.reverse();
    formats
}

/// Combinations to run: all of them, or those that should be best.
fn candidates(layers: &[&[Format]], runs: &mut Runs<'_>, budget: &Budget) -> Result<Vec<Choice>> {
    let mut all: Vec<Choice> = vec![Vec::new()];
    for layer in layers {
        let places = 0..layer.len().max(1);
        let longer = all.iter().flat_map(|choice| {
            places.clone().map(|place| {
                let mut longer = choice.clone();
                longer.push(place);
                longer
            })
        });
        all = longer.collect();
    }
    if all.len() <= RUNS {
        return Ok(all);
    }
    // What it changes to lower a single layer, from the widest of all.
    let widest: Choice = layers.iter().map(|l| l.len().saturating_sub(1)).collect();
    let base = runs.point(layers, &widest)?;
    let mut changes: Vec<Vec<Change>> = Vec::new();
    for (k, layer) in layers.iter().enumerate() {
        let mut of_layer = vec![Change::default(); layer.len().max(1)];
        for (place, change) in of_layer.iter_mut().enumerate() {
            if place != widest[k] {
                let mut lowered = widest.clone();
                lowered[k] = place;
                *change = Change::between(&base, &runs.point(layers, &lowered)?);
            }
        }
        changes.push(of_layer);
    }
    let mut predicted: Vec<(Point, Choice)> = all
        .into_iter()
        .map(|choice| {
            let changes = choice.iter().zip(&changes).map(|(&place, of)| &of[place]);
            (Change::sum(&base, changes), choice)
        })
        .collect();
    // The predicted curve: of rising flash, what errs less than anything smaller and as fast.
    predicted.sort_by(|(a, _), (b, _)| {
        (a.flash, a.error)
            .partial_cmp(&(b.flash, b.error))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut front: Vec<&(Point, Choice)> = Vec::new();
    for candidate in &predicted {
        if !front.iter().any(|(point, _)| point.beats(&candidate.0)) {
            front.push(candidate);
        }
    }
    let every = front.len().div_ceil(RUNS / 2).max(1);
    let mut chosen: Vec<Choice> = front
        .iter()
        .step_by(every)
        .map(|(_, c)| c.clone())
        .collect();
    // The smallest, and what is best within the budget.
    chosen.push(vec![0; layers.len()]);
    let mut within: Vec<_> = predicted.iter().filter(|(p, _)| p.fits(budget)).collect();
    within.sort_by(|(a, _), (b, _)| a.error.total_cmp(&b.error));
    chosen.extend(within.iter().take(RUNS / 2).map(|(_, c)| c.clone()));
    Ok(chosen)
}

/// What another format of a layer adds.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    flash: i64,
    ram: i64,
    cycles: i64,
    square: f64,
}

impl Change {
    fn between(base: &Point, other: &Point) -> Change {
        let cycles = |point: &Point| point.cycles.unwrap_or(0) as i64;
        Change {
            flash: other.flash as i64 - base.flash as i64,
            ram: other.ram as i64 - base.ram as i64,
            cycles: cycles(other) - cycles(base),
            square: other.error.powi(2) - base.error.powi(2),
        }
    }

    /// Errors of different layers have nothing to do with each other, so their squares add up.
    fn sum<'c>(base: &Point, changes: impl Iterator<Item = &'c Change>) -> Point {
        let mut sum = Change::default();
        for change in changes {
            sum.flash += change.flash;
            sum.ram += change.ram;
            sum.cycles += change.cycles;
            sum.square += change.square;
        }
        let moved = |from: usize, by: i64| (from as i64 + by).max(0) as usize;
        Point {
            formats: Vec::new(),
            flash: moved(base.flash, sum.flash),
            ram: moved(base.ram, sum.ram),
            cycles: base.cycles.map(|cycles| moved(cycles, sum.cycles)),
            error: (base.error.powi(2) + sum.square).max(0.0).sqrt(),
        }
    }
}

/// Exports and runs, each combination once.
struct Runs<'r> {
    package: &'r Package,
    ranges: &'r Ranges,
    layout: Layout,
    tests: &'r TestInputs,
    core: Option<&'static Core>,
    reference: Reference<'r>,
    points: BTreeMap<Choice, Point>,
}

impl Runs<'_> {
    fn point(&mut self, layers: &[&[Format]], choice: &Choice) -> Result<Point> {
        if let Some(point) = self.points.get(choice) {
            return Ok(point.clone());
        }
        let formats = formats(layers, choice);
        let each = Formats::Each(formats.clone());
        let net = &self.package.net;
        let cycles = self
            .core
            .and_then(|core| core.instructions(net, each.clone()));
        let exported = export_for(
            self.layout,
            self.package,
            each,
            Some(self.ranges),
            self.tests,
        )?;
        let model = Model::from_bytes(&exported.bytes)?;
        let point = Point {
            formats,
            flash: exported.bytes.len(),
            ram: model.state_len() + Answer::of(&model).buffer,
            cycles: cycles.map(|cycles| cycles.ceil() as usize),
            error: self.reference.error(&model),
        };
        self.points.insert(choice.clone(), point.clone());
        Ok(point)
    }
}

/// What the float model answers.
pub(super) struct Reference<'p> {
    probes: &'p [Probe],
    /// Of all counted steps.
    outputs: Vec<f32>,
    /// What a difference of each output is multiplied by, to be one in the unit of the first.
    scales: Vec<f64>,
}

impl<'p> Reference<'p> {
    pub(super) fn new(package: &Package, float: &Model<'_>, probes: &'p [Probe]) -> Self {
        let scales = match &package.output {
            Output::Values(targets) => {
                let scale = |k: usize| f64::from(targets[k].scale);
                (0..targets.len()).map(|k| scale(0) / scale(k)).collect()
            }
            _ => vec![1.0; package.net.output_width()],
        };
        Reference {
            probes,
            outputs: answers(float, probes),
            scales,
        }
    }

    /// RMS difference of a model's outputs.
    pub(super) fn error(&self, model: &Model<'_>) -> f64 {
        let answers = answers(model, self.probes);
        let pairs = answers
            .iter()
            .zip(&self.outputs)
            .zip(self.scales.iter().cycle());
        let squares =
            pairs.map(|((&a, &b), scale)| ((f64::from(a) - f64::from(b)) * scale).powi(2));
        (squares.sum::<f64>() / answers.len().max(1) as f64).sqrt()
    }
}

/// The outputs that count, one after the other.
fn answers(model: &Model<'_>, probes: &[Probe]) -> Vec<f32> {
    let tokens = matches!(model.header().input, kinglet::format::Input::Tokens { .. });
    let width = if tokens { 1 } else { model.inputs() };
    let mut predictor = EnginePredictor::new(model);
    let mut y = vec![0.0; model.outputs()];
    let mut all = Vec::new();
    for probe in probes {
        predictor.reset();
        for (step, sample) in probe.raw.chunks_exact(width).enumerate() {
            predictor.step(sample, &mut y);
            if step >= probe.counted {
                all.extend_from_slice(&y);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Activation, Cell};
    use crate::package::Target;
    use crate::quant::Stream;
    use crate::train::init::{LayerPlan, Rng, network};

    /// Recurrent layers of these widths and a dense one, and waves to run them on.
    fn example(hidden: &[usize]) -> (Package, Ranges, Vec<Probe>) {
        let recurrent = hidden.iter().map(|&h| LayerPlan::Recurrent(Cell::Lstm, h));
        let plan: Vec<LayerPlan> = recurrent
            .chain([LayerPlan::Dense(1, Activation::Identity)])
            .collect();
        let target = Target {
            unit: "degC".into(),
            scale: 10.0,
            ..Target::plain("y")
        };
        let net = network(2, &plan, &mut Rng::new(5));
        let package = Package {
            output: Output::Values(vec![target]),
            ..Package::of_numbers("example", net)
        };
        let raw: Vec<f32> = (0..600)
            .map(|i| (i as f32 * 0.37).sin() + (i as f32 * 0.05).cos())
            .collect();
        let ranges = Ranges::measure(&package.net, [&Stream::Samples(raw.clone())]);
        (package, ranges, vec![Probe { raw, counted: 0 }])
    }

    fn found(hidden: &[usize], budget: Budget) -> Result<Mixed> {
        let (package, ranges, probes) = example(hidden);
        let tests = TestInputs::synthetic(&package);
        search(
            &package,
            &ranges,
            Layout::Portable,
            &tests,
            &probes,
            &budget,
        )
    }

    #[test]
    fn the_curve_falls_from_the_smallest_model_to_the_most_exact() {
        let budget = Budget {
            flash: Some(usize::MAX),
            ..Budget::default()
        };
        let Mixed { curve, chosen, .. } = found(&[12, 12], budget).unwrap();
        assert!(curve.len() >= 4, "{curve:?}");
        assert_eq!(chosen, curve.len() - 1);
        for pair in curve.windows(2) {
            assert!(pair[0].flash < pair[1].flash && pair[0].error > pair[1].error);
        }
        assert_eq!(curve[0].formats, [Format::W4A8; 3]);
        let last = &curve[chosen].formats;
        assert_eq!(last[..2], [Format::W8A16; 2]);
    }

    #[test]
    fn the_choice_is_the_best_within_the_budget() {
        let all = Budget {
            flash: Some(usize::MAX),
            core: Core::named("cortex-m4"),
            ..Budget::default()
        };
        let curve = found(&[12, 12], all).unwrap().curve;
        for limit in curve.iter().map(|point| point.flash) {
            let budget = Budget {
                flash: Some(limit),
                ..all
            };
            let mixed = found(&[12, 12], budget).unwrap();
            let best = &mixed.curve[mixed.chosen];
            let within = curve.iter().filter(|point| point.flash <= limit);
            assert!(within.clone().all(|point| best.error <= point.error));
            assert!(best.flash <= limit && mixed.exported.bytes.len() == best.flash);
        }
        let fastest = curve.iter().filter_map(|point| point.cycles).min().unwrap();
        let budget = Budget {
            flash: None,
            cycles: Some(fastest),
            ..all
        };
        let mixed = found(&[12, 12], budget).unwrap();
        assert_eq!(mixed.curve[mixed.chosen].cycles, Some(fastest));
    }

    #[test]
    fn many_layers_are_searched_by_what_each_costs_alone() {
        let flash = |of: &Mixed| of.curve[of.chosen].flash;
        let all = Budget {
            flash: Some(usize::MAX),
            ..Budget::default()
        };
        let whole = found(&[6; 5], all).unwrap();
        let (small, large) = (whole.curve[0].flash, flash(&whole));
        let budget = Budget {
            flash: Some((small + large) / 2),
            ..all
        };
        let mixed = found(&[6; 5], budget).unwrap();
        let best = &mixed.curve[mixed.chosen];
        assert!(
            best.flash <= (small + large) / 2 && best.flash > small,
            "{best:?}"
        );
        assert!(best.error < whole.curve[0].error, "{best:?}");
        assert!(
            best.formats.iter().any(|format| *format != best.formats[0]),
            "{best:?}"
        );
    }

    #[test]
    fn a_budget_that_cannot_be_kept_names_what_is_needed() {
        let flash = Budget {
            flash: Some(100),
            ..Budget::default()
        };
        let error = found(&[12], flash).unwrap_err().to_string();
        assert!(
            error.contains("100 bytes of flash is too small: the smallest model takes "),
            "{error}"
        );
        let cycles = Budget {
            cycles: Some(10),
            core: Core::named("cortex-m0plus"),
            ..Budget::default()
        };
        let error = found(&[12], cycles).unwrap_err().to_string();
        assert!(
            error.contains("10 instructions a step is too small: the fastest model takes "),
            "{error}"
        );
    }
}
