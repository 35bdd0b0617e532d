//! Which sequences make which batch: shuffled windows, or streams side by side.
//!
//! A batch is cut into shards of [`SHARD`] sequences, whatever the number of threads.

use std::ops::Range;

use super::error::FitError;
use super::init::Rng;
use crate::data::{Dataset, Part};
use crate::task::Task;

/// Sequences that one thread takes at a time.
pub const SHARD: usize = 16;

/// Which sequences make which batch.
pub(super) struct Plan {
    /// First rows of the sequences.
    pub(super) starts: Vec<usize>,
    /// Places in `starts` of the sequences that run side by side; they are equally long.
    shards: Vec<Range<usize>>,
    /// Shards per batch.
    per_batch: usize,
    /// Streams whose state is carried from batch to batch have so many windows. Without: windows that start at zero, in
    /// any order.
    pub(super) carried: Option<usize>,
}

impl Plan {
    pub(super) fn new(task: &Task, data: &Dataset, part: Part) -> Result<Self, FitError> {
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

    pub(super) fn shuffle(&mut self, batch: usize, data: &Dataset, rng: &mut Rng) {
        if self.carried.is_some() {
            return;
        }
        rng.shuffle(&mut self.starts);
        if data.lengths_differ() {
            self.shard(batch, data);
            rng.shuffle(&mut self.shards);
        }
    }

    pub(super) fn batches(&self) -> usize {
        self.carried
            .unwrap_or(self.shards.len().div_ceil(self.per_batch))
    }

    /// The shards of a batch, how far their sequences have come, and whether they start from a reset.
    pub(super) fn batch(&self, k: usize, window: usize) -> (&[Range<usize>], usize, bool) {
        if self.carried.is_some() {
            return (&self.shards, k * window, k == 0);
        }
        let end = ((k + 1) * self.per_batch).min(self.shards.len());
        (&self.shards[k * self.per_batch..end], 0, true)
    }
}
