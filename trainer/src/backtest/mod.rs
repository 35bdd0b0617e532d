//! A fleet under an old model and a new one: every row of every device goes through both, and what changes is told per
//! device.
//!
//! While a chunk of rows is stepped, the next one is read. Of a chunk the rows of several devices go through a model
//! together, so that its weights are loaded once for all of them; every device has its own state, wherever its rows stand, and
//! the answers are those of one stream at a time, bit for bit. What is in memory is the state of every device and two chunks,
//! however long the files are.

mod alone;
mod device;
mod results;
mod rows;
mod together;

use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kinglet::Model;
use kinglet::format::{Input, Shape};
use rayon::prelude::*;

use self::alone::Alone;
pub use self::device::Counts;
use self::device::Device;
pub use self::results::parquet;
use self::rows::{Chunk, Rows};
pub use self::rows::{Formats, Met, Truth, Wanted, column_names};
use self::together::{Turn, Whole};
use crate::beyond::Beyond;

/// Rows of a chunk: enough for many devices to step together where each has its rows in a row.
const ROWS: usize = 1 << 19;
/// Rows of the first chunk, for which all cores wait.
const FIRST_ROWS: usize = 1 << 16;
/// Devices that step together, on a core: what their states take is in the first cache.
const TOGETHER: usize = 64;
/// Devices that cost a batch what one less does.
const GROUP: usize = 16;
/// Parts for a core, where there are devices enough, so that none waits long for the last.
const PARTS: usize = 8;

/// Two models, and how they are compared.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The old one and the new one.
    pub models: [&'a Model<'a>; 2],
    /// The word that each waits for, if it does.
    pub words: [Option<String>; 2],
    /// For each where its inputs are among those that are read.
    pub inputs: [Vec<usize>; 2],
    /// The outputs are classes.
    pub classes: bool,
    /// What is compared with the truth, if it is known.
    pub measure: Option<Measure>,
    /// Numbers that lie no farther apart do not differ.
    pub tolerance: f32,
    /// Between the chunks it is measured what the models' steps alone take.
    pub throughput: bool,
}

/// What is compared with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Which output.
    pub output: usize,
    /// It is about so many rows later.
    pub horizon: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Outcome {
    /// A device each, in the order of their first rows.
    pub devices: Vec<(Met, Counts)>,
    /// What was guessed or left out.
    pub notes: Vec<String>,
    /// Broken rows of which nobody knows the device.
    pub strays: u64,
    /// Files that were read by way of text, which takes longer.
    pub printed: usize,
    /// Files that could not be read to their end.
    pub unreadable: usize,
    /// From the first row to the last.
    pub elapsed: Duration,
    /// Steps of both models in a second without all else, if that was measured.
    pub alone: Option<f64>,
    /// A signal came before the last row.
    pub stopped: bool,
}

impl Outcome {
    /// Rows that were stepped, through each of the models.
    pub fn rows(&self) -> u64 {
        self.devices.iter().map(|(_, counts)| counts.rows).sum()
    }

    /// The figures of all devices together.
    pub fn total(&self) -> Counts {
        let mut all = Counts::default();
        self.devices.iter().for_each(|(_, counts)| all.add(counts));
        all
    }

    /// The devices, those with most changed first.
    pub fn most_changed(&self) -> Vec<&(Met, Counts)> {
        let mut all: Vec<_> = self.devices.iter().collect();
        all.sort_by_key(|(_, counts)| Reverse((counts.gained + counts.lost, counts.differing)));
        all
    }

    /// The devices that have broken rows.
    pub fn broken(&self) -> Vec<&(Met, Counts)> {
        let all = self.devices.iter();
        all.filter(|(met, _)| met.broken > 0).collect()
    }

    /// Steps of both models in a second, on all cores, with all reading.
    pub fn steps_per_second(&self) -> f64 {
        2.0 * self.rows() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl<'a> Pair<'a> {
    /// Whether a model answers every step, so that devices step together.
    fn is_plain(&self, k: usize) -> bool {
        let model = self.models[k];
        model.header().shape == Shape::EveryStep && !model.is_bidirectional()
    }

    /// Runs over the files, in their order.
    ///
    /// # Errors
    /// If a model takes tokens, or a file cannot be read and broken rows are not to be skipped.
    pub fn run(
        &self,
        files: Vec<PathBuf>,
        wanted: &Wanted,
        formats: &Formats<'_>,
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        for model in self.models {
            if matches!(model.header().input, Input::Tokens { .. }) {
                bail!("a back-test of a fleet is for models of numbers, and this one takes tokens");
            }
        }
        let holds = self.models.iter().all(|model| model.holds());
        let mut rows = Rows::new(files, wanted, holds, formats);
        let beyond = self.models.map(Beyond::new);
        let mut devices: Vec<Option<Box<Device<'a>>>> = Vec::new();
        let mut read = |most: usize, done: Chunk| -> Result<Option<Ordered>> {
            let chunk = rows.next(most, done)?;
            Ok(chunk.map(|chunk| Ordered::of(chunk, rows.devices.met.len())))
        };
        let mut alone = Alone::new(self);
        let start = Instant::now();
        let mut chunk = read(FIRST_ROWS, Chunk::default())?;
        let mut done = Chunk::default();
        let mut stopped = false;
        while let Some(now) = chunk {
            if stop.load(Ordering::Relaxed) {
                stopped = true;
                break;
            }
            let (next, stepped) = rayon::join(
                || read(ROWS, done),
                || self.step(now, wanted, &beyond, &mut devices),
            );
            done = stepped?;
            chunk = next?;
            if self.throughput {
                alone.measure()?;
            }
        }
        let elapsed = start.elapsed() - alone.elapsed;
        let mut counts = devices
            .into_iter()
            .map(|device| device.map(|d| d.seen.finish()));
        let mut of = || counts.next().flatten().unwrap_or_default();
        let met = std::mem::take(&mut rows.devices.met);
        Ok(Outcome {
            devices: met.into_iter().map(|met| (met, of())).collect(),
            notes: rows.notes,
            strays: rows.strays,
            printed: rows.printed,
            unreadable: rows.unreadable,
            elapsed,
            alone: self.throughput.then(|| alone.steps_per_second()),
            stopped,
        })
    }

    /// Steps the rows of a chunk, which is done with then.
    fn step(
        &self,
        now: Ordered,
        wanted: &Wanted,
        beyond: &[Beyond<'_>; 2],
        devices: &mut Vec<Option<Box<Device<'a>>>>,
    ) -> Result<Chunk> {
        let Ordered {
            chunk,
            order,
            active,
        } = now;
        let known = active.iter().map(|of| of.device + 1).max();
        devices.resize_with(devices.len().max(known.unwrap_or(0)), || None);
        let cores = rayon::current_num_threads();
        let share = active.len().div_ceil(PARTS * cores);
        let together = share.next_multiple_of(GROUP).min(TOGETHER);
        let mut dealt: Vec<Vec<Turn<'a>>> = Vec::new();
        for (k, of) in active.into_iter().enumerate() {
            let device = match devices[of.device].take() {
                Some(device) => device,
                None => Box::new(Device::new(self)?),
            };
            if k % together == 0 {
                dealt.push(Vec::with_capacity(together));
            }
            if let Some(part) = dealt.last_mut() {
                part.push(Turn { device, of });
            }
        }
        let whole = Whole {
            chunk: &chunk,
            order: &order,
            wanted,
            beyond,
        };
        // A part each for whoever is free, not half of them each for two.
        let parts = dealt.par_iter_mut().with_max_len(1);
        let stepped = parts.map(|part| self.together(&whole, part));
        stepped.collect::<Result<()>>()?;
        for turn in dealt.into_iter().flatten() {
            devices[turn.of.device] = Some(turn.device);
        }
        Ok(chunk)
    }
}

/// The rows of a device, by their places in the order.
struct OfDevice {
    device: usize,
    rows: std::ops::Range<usize>,
}

/// A chunk, and its rows in order of their devices, those of a device in the order in which they are.
struct Ordered {
    chunk: Chunk,
    order: Vec<u32>,
    /// Those with most rows first: as many as have a row left step together, and the others have gone.
    active: Vec<OfDevice>,
}

impl Ordered {
    /// Where this many devices are known.
    fn of(chunk: Chunk, known: usize) -> Self {
        let mut ends = vec![0u32; known];
        let device = &chunk.device;
        device.iter().for_each(|&id| ends[id as usize] += 1);
        let mut active = Vec::new();
        let mut start = 0;
        for (id, end) in ends.iter_mut().enumerate() {
            let rows = *end as usize;
            if rows > 0 {
                active.push(OfDevice {
                    device: id,
                    rows: start..start + rows,
                });
            }
            *end = start as u32;
            start += rows;
        }
        let mut order = vec![0; device.len()];
        for (row, &id) in device.iter().enumerate() {
            let place = &mut ends[id as usize];
            order[*place as usize] = row as u32;
            *place += 1;
        }
        active.sort_by_key(|of| Reverse(of.rows.len()));
        Ordered {
            chunk,
            order,
            active,
        }
    }
}
