//! A search for a network that is good and fits the machine: seeded random trials by successive halving.
//!
//! A trial is a task with another cell, width, depth, window or learning rate, drawn from a [`Space`]. What does not fit
//! the [`Budget`] is drawn again: flash and RAM are those of an exported file, cycles the estimate of
//! [`report`](crate::report). Many trials get a few epochs; the better third goes on, from the start, with three times
//! as many, until the last ones get all epochs of the task. A trial is judged by the validation part, as the engine computes it in
//! the number format asked for.
//!
//! What trials are tried follows from the seed, and what a trial gives does not depend on the others, so the result is
//! the same for any number of threads, and a search that was stopped goes on with what its [`Journal`] has.

mod journal;
mod space;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use kinglet::Model;
use kinglet::format::{Format, Layout, crc32};

pub use self::journal::{Journal, Outcome};
pub use self::space::{Space, Trial, judged};
use crate::answer::Answer;
use crate::budget::{Budget, Cost};
use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::fidelity::{Fidelity, MOST};
use crate::file::{Exported, TestInputs, export_for};
use crate::model_file::format_name;
use crate::net::{Activation, Network};
use crate::package::{Output, Package};
use crate::quant::mixed::{self, Probe};
use crate::quant::{Formats, Ranges, Stream, cut_tails};
use crate::task::{Precision, Task};
use crate::train::init::{Rng, network};
use crate::train::{FitError, Options, evaluate, fit};

/// Draws that may fail to fit before the search gives up on a trial.
const DRAWS: usize = 200;
/// The share that goes on to the next round, and how much longer a round's trials train.
const HALVING: usize = 3;

/// A search.
pub struct Search<'a> {
    /// The text of the task file that trials start from.
    pub text: &'a str,
    /// The same, read.
    pub task: &'a Task,
    /// What may differ.
    pub space: Space,
    /// What a model may take.
    pub budget: Budget,
    /// Number format that trials are measured in; `mixed` is searched for in each, within the budget.
    pub precision: Precision,
    /// Models count whose outputs are not those in f32, which `kinglet train` does not write unasked.
    pub force: bool,
    /// Layout of the file.
    pub layout: Layout,
    /// Trials of the first round.
    pub trials: usize,
    /// What is drawn follows from it.
    pub seed: u64,
    /// Trials at the same time.
    pub threads: usize,
    /// Ends the search between two batches once it is true.
    pub cancel: Option<&'a AtomicBool>,
}

/// A trial in a round.
struct Job {
    number: usize,
    trial: Trial,
    epochs: usize,
}

impl Search<'_> {
    /// One line that is the same for the same search only.
    pub fn describe(&self, data: &Dataset) -> String {
        let core = self.budget.core.map_or("", |core| core.name);
        let limit = |name: &str, most: Option<usize>| most.map(|most| format!("{name} {most}"));
        let Budget {
            flash, ram, cycles, ..
        } = self.budget;
        let budget = [
            limit("flash", flash),
            limit("ram", ram),
            cycles.map(|most| format!("cycles {most} {core}")),
        ];
        let budget: Vec<String> = budget.into_iter().flatten().collect();
        let all = format!("{}{:?}{budget:?}", self.text, self.space);
        format!(
            "kinglet tune {}: {} trials, seed {}, {}, {:08x}",
            self.task.name,
            self.trials,
            self.seed,
            self.precision.format().map_or("mixed", Format::name),
            data.fingerprint(!crc32(all.as_bytes()))
        )
    }

    /// Runs what the journal does not have yet and gives everything tried, the best first; `watch` sees every outcome. None if
    /// it was cancelled.
    ///
    /// # Errors
    /// If nothing fits the budget, a trial cannot be trained, or the journal cannot be written.
    pub fn run(
        &self,
        journal: &mut Journal,
        watch: &(dyn Fn(&Outcome) + Sync),
    ) -> Result<Option<Vec<Outcome>>> {
        let data = Shelf::default();
        let mut rounds = Vec::new();
        let Some(mut trials) = self.draw(&data)? else {
            return Ok(None);
        };
        let most = self.task.train.epochs.max(1);
        let count = (1..).take_while(|&k| trials.len() >= HALVING.pow(k) && most >= HALVING.pow(k));
        for round in (0..=count.count() as u32).rev() {
            let jobs = trials.iter().map(|&(number, ref trial)| Job {
                number,
                trial: trial.clone(),
                epochs: (most / HALVING.pow(round)).max(1),
            });
            let jobs: Vec<Job> = jobs.collect();
            let Some(mut outcomes) = self.round(&jobs, &data, journal, watch)? else {
                return Ok(None);
            };
            outcomes.sort_by(Outcome::better_first);
            outcomes.truncate(trials.len().div_ceil(if round == 0 { 1 } else { HALVING }));
            trials = outcomes
                .iter()
                .map(|o| (o.number, o.trial.clone()))
                .collect();
            rounds.push(outcomes);
        }
        Ok(rounds.pop())
    }

    /// The trials of the first round, with their numbers; none if cancelled.
    fn draw(&self, data: &Shelf) -> Result<Option<Vec<(usize, Trial)>>> {
        let mut rng = Rng::new(self.seed);
        let mut trials: Vec<(usize, Trial)> = Vec::new();
        let mut smallest: Option<Cost> = None;
        for number in 1..=self.trials {
            for _ in 0..DRAWS {
                let trial = self.space.draw(&mut rng);
                if trials.iter().any(|(_, other)| *other == trial) {
                    continue;
                }
                let cost = self.cost(&trial, data)?;
                if self.budget.allows(cost) {
                    trials.push((number, trial));
                    break;
                }
                if smallest.is_none_or(|s| cost.flash < s.flash) {
                    smallest = Some(cost);
                }
                if self.cancelled() {
                    break;
                }
            }
            if trials.is_empty() || self.cancelled() {
                break;
            }
        }
        if self.cancelled() {
            return Ok(None);
        }
        if trials.is_empty() {
            let smallest = smallest.map_or(String::new(), |cost| {
                let cycles = cost
                    .cycles
                    .map_or(String::new(), |c| format!(", {c:.0} instructions"));
                format!(
                    ": the smallest drawn takes {} bytes, {} bytes of RAM per stream{cycles}",
                    cost.flash, cost.ram
                )
            });
            bail!(
                "none of {DRAWS} networks fits the budget{smallest}; raise it, or allow smaller ones (--hidden)"
            );
        }
        Ok(Some(trials))
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_some_and(|c| c.load(Ordering::Relaxed))
    }

    /// Every job's outcome, from the journal or by training; none if cancelled.
    fn round(
        &self,
        jobs: &[Job],
        data: &Shelf,
        journal: &mut Journal,
        watch: &(dyn Fn(&Outcome) + Sync),
    ) -> Result<Option<Vec<Outcome>>> {
        let known = |job: &Job| journal.find(job.number, job.epochs).cloned();
        let (mut outcomes, mut left) = (Vec::new(), Vec::new());
        for job in jobs {
            match known(job) {
                Some(outcome) => outcomes.push(outcome),
                None => left.push(job),
            }
        }
        let next = AtomicUsize::new(0);
        let shared = Mutex::new((journal, &mut outcomes));
        let work = || -> Result<()> {
            while let Some(job) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some(outcome) = self.train(job, data)? else {
                    return Ok(());
                };
                let mut shared = shared.lock().unwrap_or_else(|e| e.into_inner());
                shared.0.add(&outcome)?;
                watch(&outcome);
                shared.1.push(outcome);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(work))
                .collect();
            let ends = threads.into_iter().map(|t| t.join());
            ends.map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect::<Result<Vec<()>>>()
        })?;
        Ok((outcomes.len() == jobs.len()).then_some(outcomes))
    }

    /// None if cancelled.
    fn train(&self, job: &Job, data: &Shelf) -> Result<Option<Outcome>> {
        let mut task = self.task_of(&job.trial)?;
        task.train.epochs = job.epochs;
        let data = data.of(&task)?;
        let options = Options {
            threads: Some(1),
            cancel: self.cancel,
            ..Options::default()
        };
        let fitted = match fit(&task, &data, &options, &mut |_| ControlFlow::Continue(())) {
            Ok(fitted) if fitted.cancelled => return Ok(None),
            Ok(fitted) => Some(fitted),
            Err(FitError::Cancelled) => return Ok(None),
            Err(FitError::Diverged { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(fitted) = fitted else {
            let cost = self.cost_of(&task, &data)?;
            return Ok(Some(Outcome::new(
                job.number,
                &job.trial,
                job.epochs,
                ("", f64::NAN),
                ("", cost),
            )));
        };
        let (exported, cost) = match self.precision.format() {
            Some(format) => self.in_format(format, &fitted.package, &data, usize::MAX)?,
            None => self.in_best_formats(&fitted.package, &data)?,
        };
        let model = Model::from_bytes(&exported.bytes)?;
        let metrics = evaluate(&data, Part::Valid, &mut EnginePredictor::new(&model));
        let (metric, mut value) = metrics.headline();
        if !(self.force || self.answers_as_float(&fitted.package, &model, &data)?) {
            value = f64::NAN;
        }
        Ok(Some(Outcome::new(
            job.number,
            &job.trial,
            job.epochs,
            (metric, value),
            (format_name(&model), cost),
        )))
    }

    /// Whether `kinglet train` would write it. What it goes on to train through the integers is judged when that is done.
    fn answers_as_float(
        &self,
        package: &Package,
        model: &Model<'_>,
        data: &Dataset,
    ) -> Result<bool> {
        let rounded = self.precision != Precision::One(Format::F32);
        let trains_on = model.is_integer() && self.task.train.quantized.epochs > 0;
        if !rounded || trains_on {
            return Ok(true);
        }
        let (ranges, tests) = calibration(package, data, 1)?;
        let float = export_for(self.layout, package, Format::F32, Some(&ranges), &tests)?;
        let float = Model::from_bytes(&float.bytes)?;
        Ok(Fidelity::over(&float, model, data, Part::Train).share() <= MOST)
    }

    /// The task of a trial, checked.
    fn task_of(&self, trial: &Trial) -> Result<Task> {
        let text = trial.apply(self.text)?;
        let task = Task::parse(&text, &self.task.origin).with_context(|| {
            format!("a trial with {trial} makes no sense; narrow what may differ")
        })?;
        let data = self.task.data_override.as_deref();
        Ok(task.with_data(data).with_on_error(self.task.on_error()))
    }

    fn cost(&self, trial: &Trial, data: &Shelf) -> Result<Cost> {
        let task = self.task_of(trial)?;
        let data = data.of(&task)?;
        self.cost_of(&task, &data)
    }

    /// What a network of this shape takes, whatever its weights.
    fn cost_of(&self, task: &Task, data: &Dataset) -> Result<Cost> {
        let last = match data.output() {
            Output::Values(_) => Activation::Identity,
            _ => Activation::Softmax,
        };
        let plan = task.plan(data.outputs(), last);
        let net = network(data.inputs(), &plan, &mut Rng::new(1));
        let package = data.package(net);
        // What it takes does not depend on the ranges: one stream will do.
        let Some(format) = self.precision.format() else {
            return self.least(&package, data);
        };
        Ok(self.in_format(format, &package, data, 1)?.1)
    }

    /// A model in one format, and what it takes.
    fn in_format(
        &self,
        format: Format,
        package: &Package,
        data: &Dataset,
        most: usize,
    ) -> Result<(Exported, Cost)> {
        let (mut ranges, tests) = calibration(package, data, most)?;
        let probes = match most {
            1 => Vec::new(),
            _ => Probe::of_dataset(data, Part::Train),
        };
        let how = (&format.into(), self.layout);
        let instead = cut_tails(package, how, &mut ranges, &tests, &probes)?;
        let format = instead.unwrap_or(format);
        let exported = export_for(self.layout, package, format, Some(&ranges), &tests)?;
        let cost = self.cost_in(&exported, &package.net, format.into())?;
        Ok((exported, cost))
    }

    /// A model with the formats that err least within the budget.
    fn in_best_formats(&self, package: &Package, data: &Dataset) -> Result<(Exported, Cost)> {
        let (ranges, tests) = calibration(package, data, usize::MAX)?;
        let probes = Probe::of_dataset(data, Part::Valid);
        let found = mixed::search(package, &ranges, self.layout, &tests, &probes, &self.budget)?;
        let formats = found.curve[found.chosen].formats.clone();
        let cost = self.cost_in(&found.exported, &package.net, Formats::Each(formats))?;
        Ok((found.exported, cost))
    }

    /// The cost of the smallest mixed model that keeps to the budget, or of the smallest of all.
    fn least(&self, package: &Package, data: &Dataset) -> Result<Cost> {
        let smallest = self.in_format(Format::W4A8, package, data, 1)?.1;
        let hopeless = self.budget.flash.is_some_and(|most| smallest.flash > most);
        if hopeless || self.budget.allows(smallest) {
            return Ok(smallest);
        }
        let (ranges, tests) = calibration(package, data, 1)?;
        // Without probes no combination errs, so the smallest of those that are allowed is taken.
        let found = mixed::search(package, &ranges, self.layout, &tests, &[], &self.budget);
        Ok(found.map_or(smallest, |found| found.curve[found.chosen].cost()))
    }

    fn cost_in(&self, exported: &Exported, net: &Network, formats: Formats) -> Result<Cost> {
        let cycles = match self.budget.core {
            None => None,
            Some(core) => Some(core.instructions(net, formats.clone()).with_context(|| {
                format!(
                    "there are no counts of this cell in {} on {}",
                    formats.name(),
                    core.name
                )
            })?),
        };
        let model = Model::from_bytes(&exported.bytes)?;
        Ok(Cost {
            flash: exported.bytes.len(),
            ram: model.state_len() + Answer::of(&model).buffer,
            cycles,
        })
    }
}

/// The ranges of a network over so many streams of the data at most, and steps to test a file with.
fn calibration(package: &Package, data: &Dataset, most: usize) -> Result<(Ranges, TestInputs)> {
    let mut streams = Stream::of_dataset(data);
    streams.truncate(most);
    ensure!(!streams.is_empty(), "there is no data to calibrate with");
    let ranges = Ranges::measure(&package.net, &streams);
    Ok((ranges, TestInputs::from_stream(&streams[0], data.inputs())))
}

/// Data by the window that they were cut into.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<usize, Arc<Dataset>>>);

impl Shelf {
    fn of(&self, task: &Task) -> Result<Arc<Dataset>> {
        let mut shelf = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(data) = shelf.get(&task.shape.window) {
            return Ok(data.clone());
        }
        let data = Arc::new(Dataset::load(task)?);
        shelf.insert(task.shape.window, data.clone());
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Core;
    use std::fmt::Write;
    use std::path::Path;

    const TASK: &str = "name = \"waves\"\n[csv]\nfile = \"waves.csv\"\n[series]\nfeatures = [\"a\"]\ntargets = [\"a\"]\n\
        [shape]\nkind = \"many-to-one\"\nwindow = 8\n[network]\ncell = \"gru\"\nhidden = [8]\n[train]\nepochs = 4\n";

    fn search(
        folder: &Path,
        budget: Budget,
        precision: Precision,
        threads: usize,
        journal: &str,
    ) -> Result<Option<Vec<Outcome>>> {
        let mut csv = String::from("a\n");
        (0..200).for_each(|t| writeln!(csv, "{}", (f64::from(t) / 5.0).sin()).unwrap());
        std::fs::write(folder.join("waves.csv"), csv)?;
        let task = Task::parse(TASK, &folder.join("waves.toml"))?;
        let search = Search {
            text: TASK,
            task: &task,
            space: Space {
                cells: vec!["lstm".into(), "rnn".into()],
                hidden: Some(8..=32),
                window: Some(4..=8),
                learning_rate: Some(1e-3..=1e-2),
                ..Space::default()
            },
            budget,
            precision,
            force: false,
            layout: Layout::Portable,
            trials: 6,
            seed: 3,
            threads,
            cancel: None,
        };
        let data = Dataset::load(&task)?;
        let mut journal = Journal::open(&folder.join(journal), &search.describe(&data))?;
        search.run(&mut journal, &|_| {})
    }

    #[test]
    fn a_search_is_the_same_on_two_threads_and_from_its_journal() {
        let folder = tempfile::tempdir().unwrap();
        let run = |threads, journal: &str| {
            search(
                folder.path(),
                Budget::default(),
                Precision::One(Format::W8A8),
                threads,
                journal,
            )
            .unwrap()
            .unwrap()
        };
        let one = run(1, "one.csv");
        assert_eq!(one.len(), 2);
        assert_eq!(one[0].epochs, 4);
        assert!(one[0].value <= one[1].value);
        assert_eq!(run(2, "two.csv"), one);
        // Torn in the middle of the first round.
        let path = folder.path().join("one.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2 + 6 + 2);
        std::fs::write(
            &path,
            text.lines()
                .take(5)
                .map(|l| format!("{l}\n"))
                .collect::<String>(),
        )
        .unwrap();
        assert_eq!(run(2, "one.csv"), one);
    }

    #[test]
    fn what_is_tried_fits_the_budget_or_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let budget = |flash| Budget {
            flash: Some(flash),
            cycles: Some(4000),
            core: Core::named("cortex-m4"),
            ..Budget::default()
        };
        let found = search(
            folder.path(),
            budget(2500),
            Precision::One(Format::W8A8),
            1,
            "fits.csv",
        )
        .unwrap()
        .unwrap();
        for outcome in found {
            assert!(outcome.cost.flash <= 2500, "{outcome:?}");
            assert!(outcome.cost.cycles.unwrap() <= 4000.0, "{outcome:?}");
        }
        let error = search(
            folder.path(),
            budget(300),
            Precision::One(Format::W8A8),
            1,
            "none.csv",
        )
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("fits the budget: the smallest drawn takes"),
            "{error}"
        );
    }

    #[test]
    fn mixed_trials_take_the_formats_that_fit() {
        let folder = tempfile::tempdir().unwrap();
        let found = |budget, precision, journal: &str| {
            let found = search(folder.path(), budget, precision, 1, journal);
            found.unwrap().unwrap()
        };
        let widest = |found: &[Outcome]| found.iter().map(|o| o.trial.hidden).max().unwrap();
        let flash = |most| Budget {
            flash: Some(most),
            ..Budget::default()
        };
        // Where w8a8 has to be narrow, four bits make room.
        let (plain, mixed) = (
            found(flash(1600), Precision::One(Format::W8A8), "plain.csv"),
            found(flash(1600), Precision::Mixed, "mixed.csv"),
        );
        assert!(mixed.iter().all(|o| o.cost.flash <= 1600), "{mixed:?}");
        assert!(widest(&mixed) >= widest(&plain), "{mixed:?} {plain:?}");
        // Every limit at once: 16-bit formats take more state, 4-bit ones more instructions on this core.
        let budget = Budget {
            flash: Some(2500),
            // 250 of state, and up to 56 of seven samples.
            ram: Some(306),
            cycles: Some(4000),
            core: Core::named("cortex-m4"),
        };
        for outcome in found(budget, Precision::Mixed, "all.csv") {
            assert!(budget.allows(outcome.cost), "{outcome:?}");
        }
    }
}
