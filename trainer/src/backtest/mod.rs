//! A fleet under an old model and a new one: every row of every device goes through both, and what changes is told per
//! device.
//!
//! While a chunk of rows is stepped, the next one is read. Of a chunk the rows of several devices go through a model
//! together, so that its weights are loaded once for all of them; every device has its own state, wherever its rows stand, and
//! the answers are those of one stream at a time, bit for bit. What is in memory is the state of every device and two chunks,
//! however long the files are.

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

pub use self::device::Counts;
use self::device::Device;
pub use self::results::parquet;
use self::rows::{Chunk, Rows};
pub use self::rows::{Formats, Met, Truth, Wanted, column_names};
use self::together::{Bytes, Turn, Whole};
use crate::beyond::Beyond;
use crate::file::AlignedBytes;

/// Rows of a chunk: enough for many devices to step together where each has its rows in a row.
const ROWS: usize = 1 << 19;
/// Devices that step together, on a core: what their states take is in the first cache.
const TOGETHER: usize = 64;
/// Devices that cost a batch what one less does.
const GROUP: usize = 16;
/// Parts for a core, where there are devices enough, so that none waits long for the last.
const PARTS: usize = 4;

/// Two models, and how they are compared.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The old one and the new one.
    pub models: [&'a Model<'a>; 2],
    /// For each where its inputs are among those that are read.
    pub inputs: [Vec<usize>; 2],
    /// The outputs are classes.
    pub classes: bool,
    /// What is compared with the truth, if it is known.
    pub measure: Option<Measure>,
    /// Numbers that lie no farther apart do not differ.
    pub tolerance: f32,
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
        let start = Instant::now();
        let holds = self.models.iter().all(|model| model.holds());
        let mut rows = Rows::new(files, wanted, holds, formats);
        let beyond = self.models.map(Beyond::new);
        let mut devices: Vec<Option<Box<Device<'a>>>> = Vec::new();
        let mut chunk = rows.next(ROWS, Chunk::default())?;
        let mut done = Chunk::default();
        let mut stopped = false;
        while let Some(now) = chunk {
            if stop.load(Ordering::Relaxed) {
                stopped = true;
                break;
            }
            let known = rows.devices.met.len();
            let (next, stepped) = rayon::join(
                || rows.next(ROWS, done),
                || self.step(&now, wanted, &beyond, (&mut devices, known)),
            );
            stepped?;
            chunk = next?;
            done = now;
        }
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
            elapsed: start.elapsed(),
            stopped,
        })
    }

    /// Steps the rows of a chunk. `known` devices are there.
    fn step(
        &self,
        chunk: &Chunk,
        wanted: &Wanted,
        beyond: &[Beyond<'_>; 2],
        (devices, known): (&mut Vec<Option<Box<Device<'a>>>>, usize),
    ) -> Result<()> {
        devices.resize_with(known, || None);
        let (order, mut active) = by_device(&chunk.device, known);
        // Those with most rows first: as many as have a row left step together, and the others have gone.
        active.sort_by_key(|of| Reverse(of.rows.len()));
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
            chunk,
            order: &order,
            wanted,
            beyond,
        };
        let stepped = dealt.par_iter_mut().map(|part| self.together(&whole, part));
        stepped.collect::<Result<()>>()?;
        for turn in dealt.into_iter().flatten() {
            devices[turn.of.device] = Some(turn.device);
        }
        Ok(())
    }
}

/// The rows of a device, by their places in the order.
struct OfDevice {
    device: usize,
    rows: std::ops::Range<usize>,
}

/// The rows in order of their devices, those of a device in the order in which they are.
fn by_device(device: &[u32], known: usize) -> (Vec<u32>, Vec<OfDevice>) {
    let mut ends = vec![0u32; known];
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
    (order, active)
}

/// Steps of both models in a second by [`step_batch`](kinglet::Batch::step_batch) alone, on all cores, with samples that lie
/// in memory: what a back-test could reach at most.
///
/// # Errors
/// If a model takes tokens.
pub fn ceiling(pair: &Pair<'_>, lasting: Duration) -> Result<f64> {
    let start = Instant::now();
    let steps = rayon::broadcast(|_| -> Result<u64> {
        let mut steps = 0;
        let states = |k: usize| {
            let state = |_| AlignedBytes::zeroed(pair.models[k].state_len());
            (0..TOGETHER).map(state).collect::<Vec<_>>()
        };
        let mut states = [states(0), states(1)];
        let mut states = states
            .each_mut()
            .map(|all| all.iter_mut().map(Bytes).collect::<Vec<_>>());
        let x = [0, 1].map(|k| samples(pair.models[k]));
        let mut y = [0, 1].map(|k| vec![0.0; TOGETHER * pair.models[k].outputs()]);
        while start.elapsed() < lasting {
            for k in 0..2 {
                let mut batch = pair.models[k].bind_batch(&mut states[k])?;
                for _ in 0..64 {
                    batch.step_batch(&x[k], &mut y[k]);
                }
            }
            steps += 2 * 64 * TOGETHER as u64;
        }
        Ok(steps)
    });
    let mut all = 0;
    for steps in steps {
        all += steps?;
    }
    Ok(all as f64 / start.elapsed().as_secs_f64())
}

/// Samples about where a model expects them.
fn samples(model: &Model<'_>) -> Vec<f32> {
    let features = model.features();
    let sample = |stream: usize| {
        let nth = move |(k, feature): (usize, &kinglet::format::Feature)| {
            let unit = ((stream * 7 + k * 3) % 11) as f32 / 5.0 - 1.0;
            feature.offset + unit / feature.scale
        };
        features.iter().enumerate().map(nth)
    };
    (0..TOGETHER).flat_map(sample).collect()
}
