//! Devices that step together: some rounds of a row each through one model and then through the other, so that the weights
//! of only one are in the first cache.

use std::ops::Range;

use anyhow::Result;
use kinglet::{Batch, Model};

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

/// What one model made of a row.
#[derive(Debug, Clone, Copy, Default)]
struct Made {
    alarm: bool,
    answered: bool,
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
        let mut block = Block {
            pair: self,
            whole,
            rows: &rows,
            x: Vec::new(),
            y: self
                .models
                .map(|model| vec![0.0; ROUNDS * rows.len() * model.outputs()]),
            made: [(); 2].map(|()| vec![Made::default(); ROUNDS * rows.len()]),
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
                block.step(0, &mut old, &mut seen[..n], rounds.clone())?;
                block.step(1, &mut new, &mut seen[..n], rounds.clone())?;
                block.compare(&mut seen[..n], rounds);
            }
        }
        Ok(())
    }
}

/// Some rounds of several devices.
struct Block<'p, 'a, 'c, 'b> {
    pair: &'p Pair<'a>,
    whole: &'p Whole<'c, 'b>,
    /// Of each device.
    rows: &'p [&'c [u32]],
    /// Samples of a round.
    x: Vec<f32>,
    /// Answers of each model, and what else it made of the rows: round by round, device by device.
    y: [Vec<f32>; 2],
    made: [Vec<Made>; 2],
}

impl Block<'_, '_, '_, '_> {
    fn row(&self, round: usize, device: usize) -> usize {
        self.rows[device][round] as usize
    }

    fn sample(&self, row: usize) -> &[f32] {
        let width = self.whole.wanted.width();
        &self.whole.chunk.samples[row * width..][..width]
    }

    /// Steps one model.
    fn step(
        &mut self,
        k: usize,
        streams: &mut Streams<'_, '_, '_>,
        seen: &mut [&mut Seen<'_>],
        rounds: Range<usize>,
    ) -> Result<()> {
        let (model, inputs, beyond) = (
            self.pair.models[k],
            &self.pair.inputs[k],
            &self.whole.beyond[k],
        );
        let outputs = model.outputs();
        let mut x = std::mem::take(&mut self.x);
        let (mut answers, mut made) = (
            std::mem::take(&mut self.y[k]),
            std::mem::take(&mut self.made[k]),
        );
        let all = answers
            .chunks_exact_mut(seen.len() * outputs)
            .zip(made.chunks_exact_mut(seen.len()));
        for (round, (y, made)) in rounds.zip(all) {
            x.clear();
            for device in 0..seen.len() {
                let sample = self.sample(self.row(round, device));
                x.extend(inputs.iter().map(|&at| sample[at]));
            }
            let each = x.chunks_exact(inputs.len());
            for ((seen, x), made) in seen.iter_mut().zip(each.clone()).zip(&mut *made) {
                made.alarm = seen.meet(k, beyond, x);
                made.answered = true;
            }
            match streams {
                Streams::Together(batch) => {
                    batch.step_batch(&x, y);
                    let answers = seen.iter_mut().zip(y.chunks_exact(outputs));
                    answers.for_each(|(seen, y)| seen.answer(k, y));
                }
                Streams::Apart(states) => {
                    let answers = y.chunks_exact_mut(outputs).zip(made);
                    for (device, ((x, state), (y, made))) in
                        each.zip(&mut **states).zip(answers).enumerate()
                    {
                        made.answered = seen[device].push(k, model, state.0, x, y)?;
                    }
                }
            }
        }
        (self.x, self.y[k], self.made[k]) = (x, answers, made);
        Ok(())
    }

    /// After both models.
    fn compare(&self, seen: &mut [&mut Seen<'_>], rounds: Range<usize>) {
        let Whole { chunk, wanted, .. } = self.whole;
        let outputs = self.pair.models.map(Model::outputs);
        let truth_at = wanted.truth_at();
        let n = seen.len();
        for (at, round) in rounds.enumerate() {
            for (device, seen) in seen.iter_mut().enumerate() {
                let place = at * n + device;
                let made = [0, 1].map(|k| self.made[k][place]);
                let answers = [0, 1].map(|k| {
                    let y = &self.y[k][place * outputs[k]..][..outputs[k]];
                    made[k].answered.then_some(y)
                });
                let row = self.row(round, device);
                seen.alarms(made.map(|made| made.alarm));
                let truth = truth_at.map_or(f32::NAN, |at| self.sample(row)[at]);
                seen.compare(self.pair, answers, truth, || chunk.time(row));
            }
        }
    }
}
