//! Devices that step together: some rounds of a row each through one model and then through the other, so that the weights
//! of only one are in the first cache.

use std::ops::Range;

use anyhow::Result;
use kinglet::Batch;

use super::device::{Device, Seen};
use super::rows::{Chunk, Wanted};
use super::{OfDevice, Pair};
use crate::beyond::Beyond;
use crate::file::AlignedBytes;

/// Rounds of one model before those of the other.
const ROUNDS: usize = 32;

/// What all parts of a chunk share.
#[derive(Clone, Copy)]
pub struct Whole<'c, 'b> {
    pub chunk: &'c Chunk,
    /// Its rows, device by device.
    pub order: &'c [u32],
    pub wanted: &'c Wanted,
    pub beyond: &'c [Beyond<'b>; 2],
}

/// A device with rows in a chunk.
pub struct Turn<'a> {
    pub device: Box<Device<'a>>,
    pub of: OfDevice,
}

/// A state in a batch.
pub struct Bytes<'s>(pub &'s mut AlignedBytes);

impl AsMut<[u8]> for Bytes<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0
    }
}

/// The states of one model.
enum Streams<'s, 'b, 'a> {
    Together(Batch<'s, 'a, Bytes<'b>>),
    /// Of a model that answers windows.
    Apart(&'s mut [Bytes<'b>]),
}

impl<'a> Pair<'a> {
    fn streams<'s, 'b>(
        &'s self,
        k: usize,
        states: &'s mut [Bytes<'b>],
    ) -> Result<Streams<'s, 'b, 'a>> {
        Ok(match self.is_plain(k) {
            true => Streams::Together(self.models[k].bind_batch(states)?),
            false => Streams::Apart(states),
        })
    }

    /// Steps the devices of a part, those with most rows first.
    pub(super) fn together(&self, whole: &Whole<'_, '_>, part: &mut [Turn<'a>]) -> Result<()> {
        let turns = part.iter();
        let rows: Vec<&[u32]> = turns
            .map(|turn| &whole.order[turn.of.rows.clone()])
            .collect();
        let mut states = [Vec::new(), Vec::new()];
        let mut seen: Vec<&mut Seen<'_>> = Vec::with_capacity(part.len());
        for Turn { device, .. } in part {
            let device = &mut **device;
            let both = states.iter_mut().zip(&mut device.states);
            both.for_each(|(all, state)| all.push(Bytes(state)));
            seen.push(&mut device.seen);
        }
        let most = ROUNDS * rows.len();
        let mut block = Block {
            pair: self,
            whole,
            rows: &rows,
            read: vec![0.0; most * whole.wanted.width()],
            x: [0, 1].map(|k| match whole.wanted.is_for(&self.inputs[k]) {
                true => Vec::new(),
                false => vec![0.0; most * self.inputs[k].len()],
            }),
            y: self.models.map(|model| vec![0.0; most * model.outputs()]),
            answered: [(); 2].map(|()| vec![true; most]),
        };
        let mut round = 0;
        for n in (1..=rows.len()).rev() {
            // Until the last of these has no row left.
            let until = rows[n - 1].len();
            if round == until {
                continue;
            }
            let [old, new] = &mut states;
            let mut old = self.streams(0, &mut old[..n])?;
            let mut new = self.streams(1, &mut new[..n])?;
            while round < until {
                let rounds = round..until.min(round + ROUNDS);
                round = rounds.end;
                block.gather(n, rounds.clone());
                block.step(0, &mut old, &mut seen[..n], rounds.len())?;
                block.step(1, &mut new, &mut seen[..n], rounds.len())?;
                block.compare(&mut seen[..n], rounds);
            }
        }
        Ok(())
    }
}

/// Some rounds of several devices. What is of a row lies round by round, device by device.
struct Block<'p, 'a, 'c, 'b> {
    pair: &'p Pair<'a>,
    whole: &'p Whole<'c, 'b>,
    /// Of each device.
    rows: &'p [&'c [u32]],
    /// The rows as they were read: from all over the chunk, so they are fetched but once.
    read: Vec<f32>,
    /// What of them is for either model; empty where that is all, in its order.
    x: [Vec<f32>; 2],
    /// Answers of each model, and whether it gave one.
    y: [Vec<f32>; 2],
    answered: [Vec<bool>; 2],
}

impl Block<'_, '_, '_, '_> {
    /// Fetches the rows of some rounds.
    fn gather(&mut self, devices: usize, rounds: Range<usize>) {
        let width = self.whole.wanted.width();
        let samples = &self.whole.chunk.samples;
        for (device, rows) in self.rows[..devices].iter().enumerate() {
            for (at, &row) in rows[rounds.clone()].iter().enumerate() {
                let place = (at * devices + device) * width;
                let row = &samples[row as usize * width..][..width];
                self.read[place..place + width].copy_from_slice(row);
            }
        }
        for (x, inputs) in self.x.iter_mut().zip(&self.pair.inputs) {
            let rows = self.read.chunks_exact(width);
            for (x, row) in x.chunks_exact_mut(inputs.len()).zip(rows) {
                for (x, &at) in x.iter_mut().zip(inputs) {
                    *x = row[at];
                }
            }
        }
    }

    /// What a model takes of all rows.
    fn samples(&self, k: usize) -> &[f32] {
        match self.x[k].is_empty() {
            true => &self.read,
            false => &self.x[k],
        }
    }

    /// Steps one model.
    fn step(
        &mut self,
        k: usize,
        streams: &mut Streams<'_, '_, '_>,
        seen: &mut [&mut Seen<'_>],
        rounds: usize,
    ) -> Result<()> {
        let (model, n) = (self.pair.models[k], seen.len());
        let (inputs, outputs) = (model.inputs(), model.outputs());
        let mut answers = std::mem::take(&mut self.y[k]);
        let mut answered = std::mem::take(&mut self.answered[k]);
        let each = self.samples(k).chunks_exact(n * inputs);
        let each = each.zip(answers.chunks_exact_mut(n * outputs));
        for (round, (x, y)) in each.take(rounds).enumerate() {
            match streams {
                Streams::Together(batch) => batch.step_batch(x, y),
                Streams::Apart(states) => {
                    let samples = x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs));
                    let each = seen.iter_mut().zip(&mut **states).zip(samples);
                    let answered = &mut answered[round * n..][..n];
                    for (((seen, state), (x, y)), answered) in each.zip(answered) {
                        *answered = seen.push(k, model, state.0, x, y)?;
                    }
                }
            }
        }
        (self.y[k], self.answered[k]) = (answers, answered);
        Ok(())
    }

    /// After both models, device by device.
    fn compare(&self, seen: &mut [&mut Seen<'_>], rounds: Range<usize>) {
        let Whole {
            chunk,
            wanted,
            beyond,
            ..
        } = self.whole;
        let models = self.pair.models;
        let mut told = self.pair.inputs.each_ref().map(|at| vec![0.0; at.len()]);
        let (truth_at, width, n) = (wanted.truth_at(), wanted.width(), seen.len());
        for (device, seen) in seen.iter_mut().enumerate() {
            for (at, &row) in self.rows[device][rounds.clone()].iter().enumerate() {
                let place = at * n + device;
                let of = |k: usize| {
                    let (inputs, outputs) = (models[k].inputs(), models[k].outputs());
                    let x = &self.samples(k)[place * inputs..][..inputs];
                    let y = &self.y[k][place * outputs..][..outputs];
                    (x, self.answered[k][place].then_some(y))
                };
                let made = [of(0), of(1)];
                let all = chunk.measured.is_empty();
                let measured = match all {
                    true => &self.read[place * width..][..width],
                    false => &chunk.measured[row as usize * width..][..width],
                };
                let alarms = [0, 1].map(|k| {
                    let (x, y) = made[k];
                    if all {
                        return seen.meet(k, &beyond[k], (x, x, y));
                    }
                    let inputs = told[k].iter_mut().zip(&self.pair.inputs[k]);
                    inputs.for_each(|(x, &at)| *x = measured[at]);
                    seen.meet(k, &beyond[k], (x, &told[k], y))
                });
                seen.alarms(alarms);
                let truth = truth_at.map_or(f32::NAN, |at| measured[at]);
                let answers = made.map(|(_, y)| y);
                seen.compare(self.pair, answers, truth, || chunk.time(row as usize));
            }
        }
    }
}
