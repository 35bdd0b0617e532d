//! Which sequences make which batch: shuffled windows, or streams side by side.
//!
//! Streams are as long as the pieces that a part is in: its groups, and what lies between rows that were left out. Pieces of all
//! lengths run side by side in rounds, and in the first batch of a round the states start from a reset.
//!
//! A batch is cut into shards of [`SHARD`] sequences, whatever the number of threads.

use std::ops::Range;

use super::init::Rng;
use crate::data::{Dataset, Part};
use crate::package::Output;
use crate::task::Task;

/// Sequences that one thread takes at a time.
pub const SHARD: usize = 16;

/// Windows that a lane of the training part has at least, where its piece is so long: a state is carried into all but the first.
pub const LANE_WINDOWS: usize = 16;

/// Which sequences make which batch.
pub(super) struct Plan {
    /// First rows of the sequences.
    pub(super) starts: Vec<usize>,
    /// Places in `starts` of the sequences that run side by side; they are equally long.
    shards: Vec<Range<usize>>,
    /// Shards per batch.
    per_batch: usize,
    /// Streams whose state is carried from batch to batch. Without: windows that start at zero, in any order.
    rounds: Vec<Round>,
}

/// Streams side by side, from a reset on.
struct Round {
    shards: Range<usize>,
    /// Of each stream.
    windows: usize,
}

/// A stretch of rows whose windows follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lane {
    start: usize,
    windows: usize,
}

/// Pieces cut into about `batch` lanes by their length, but of no fewer than `least` windows, and the lanes of similar length put
/// together: those of a round, and how many windows each has in it.
fn rounds(
    pieces: impl Iterator<Item = Range<usize>> + Clone,
    window: usize,
    batch: usize,
    least: usize,
) -> Vec<(Vec<usize>, usize)> {
    let all: usize = pieces.clone().map(|piece| piece.len() / window).sum();
    let mut lanes = Vec::new();
    for piece in pieces.filter(|piece| piece.len() >= window) {
        let windows = piece.len() / window;
        let cuts = (batch * windows / all).min(windows / least).max(1);
        let each = windows / cuts;
        lanes.extend((0..cuts).map(|k| Lane {
            start: piece.start + k * each * window,
            windows: each,
        }));
    }
    let mut rounds = Vec::new();
    while !lanes.is_empty() {
        lanes.sort_by_key(|lane| std::cmp::Reverse(lane.windows));
        // A short lane in a round of long ones would end it early, and their states with it.
        let long = lanes[0].windows;
        let similar = |lane: &&Lane| 2 * lane.windows >= long;
        let count = lanes.iter().take(batch).take_while(similar).count();
        let windows = lanes[count - 1].windows;
        let rest = lanes.split_off(count);
        rounds.push((lanes.iter().map(|lane| lane.start).collect(), windows));
        lanes.retain_mut(|lane| {
            lane.start += windows * window;
            lane.windows -= windows;
            lane.windows > 0
        });
        lanes.extend(rest);
    }
    rounds
}

/// Windows of a lane at least. What an epoch is chosen by runs through whole pieces, as on a device, or so long that how a lane
/// begins makes no difference.
fn least(part: Part) -> usize {
    match part {
        Part::Train => LANE_WINDOWS,
        Part::Valid | Part::Test => 4 * LANE_WINDOWS,
    }
}

/// Streams that are trained side by side where their state is carried: fewer than `train.batch` where there is not enough for
/// [`LANE_WINDOWS`] each.
pub fn lanes(task: &Task, data: &Dataset) -> usize {
    let pieces = data.pieces(Part::Train);
    let rounds = rounds(pieces, data.window(), task.train.batch, least(Part::Train));
    let widths = rounds.iter().map(|(starts, _)| starts.len());
    widths.max().unwrap_or(0)
}

impl Plan {
    pub(super) fn new(task: &Task, data: &Dataset, part: Part) -> Self {
        let (batch, window) = (task.train.batch, data.window());
        let mut plan = Plan {
            starts: data.windows(part).to_vec(),
            shards: Vec::new(),
            per_batch: batch.div_ceil(SHARD),
            rounds: Vec::new(),
        };
        if task.shape.stateful {
            plan.starts.clear();
            for (starts, windows) in rounds(data.pieces(part), window, batch, least(part)) {
                let (first, at) = (plan.shards.len(), plan.starts.len());
                let ends = (0..starts.len()).step_by(SHARD);
                let shard = |k: usize| at + k..at + (k + SHARD).min(starts.len());
                plan.shards.extend(ends.map(shard));
                plan.starts.extend(starts);
                plan.rounds.push(Round {
                    shards: first..plan.shards.len(),
                    windows,
                });
            }
        } else {
            plan.shard(batch, data);
        }
        plan
    }

    /// Whether states go on from batch to batch.
    pub(super) fn is_carried(&self) -> bool {
        !self.rounds.is_empty()
    }

    /// Puts sequences of one length together, in the order in which they stand; of similar length, where what lies behind their ends
    /// does not count.
    fn shard(&mut self, batch: usize, data: &Dataset) {
        self.starts.sort_by_key(|&start| data.lengths_at(start));
        self.shards.clear();
        let mut at = 0;
        let similar = matches!(data.output(), Output::Transcript(_));
        let alike = |a: &usize, b: &usize| similar || data.lengths_at(*a) == data.lengths_at(*b);
        for sequences in self.starts.chunk_by(alike) {
            for shard in sequences.chunks(batch).flat_map(|b| b.chunks(SHARD)) {
                self.shards.push(at..at + shard.len());
                at += shard.len();
            }
        }
    }

    pub(super) fn shuffle(&mut self, batch: usize, data: &Dataset, rng: &mut Rng) {
        if self.is_carried() {
            return;
        }
        rng.shuffle(&mut self.starts);
        if data.lengths_differ() {
            self.shard(batch, data);
            rng.shuffle(&mut self.shards);
        }
    }

    pub(super) fn batches(&self) -> usize {
        match self.is_carried() {
            true => self.rounds.iter().map(|round| round.windows).sum(),
            false => self.shards.len().div_ceil(self.per_batch),
        }
    }

    /// The shards of a batch, how far their sequences have come, and whether they start from a reset.
    pub(super) fn batch(&self, k: usize, window: usize) -> (&[Range<usize>], usize, bool) {
        let mut left = k;
        for round in &self.rounds {
            if left < round.windows {
                return (&self.shards[round.shards.clone()], left * window, left == 0);
            }
            left -= round.windows;
        }
        let end = ((k + 1) * self.per_batch).min(self.shards.len());
        (&self.shards[k * self.per_batch..end], 0, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_piece_is_cut_into_lanes_of_one_length() {
        let whole = 10..10 + 4 * 103;
        assert_eq!(
            rounds(std::iter::once(whole), 4, 5, 16),
            [(vec![10, 90, 170, 250, 330], 20)]
        );
    }

    #[test]
    fn a_piece_with_fewer_windows_than_the_batch_still_carries_its_state() {
        let rounds = |rows, least| rounds(std::iter::once(0..rows), 4, 64, least);
        assert_eq!(rounds(9, 16), [(vec![0], 2)]);
        assert_eq!(rounds(4 * 63, 16), [(vec![0, 84, 168], 21)]);
        assert_eq!(rounds(4 * 63, least(Part::Valid)), [(vec![0], 63)]);
    }

    #[test]
    fn pieces_of_all_lengths_are_covered_and_long_ones_keep_their_state() {
        let pieces = [0..403, 410..2411, 2420..2423, 2430..2438, 3000..3100];
        let rounds = rounds(pieces.iter().cloned(), 4, 8, 16);
        let mut seen = std::collections::HashSet::new();
        for (starts, windows) in &rounds {
            assert!(starts.len() <= 8, "{starts:?}");
            for start in starts {
                let rows = *start..start + 4 * windows;
                let of = |piece: &&Range<usize>| piece.start <= rows.start && rows.end <= piece.end;
                assert!(pieces.iter().any(|piece| of(&piece)), "{rows:?}");
                rows.for_each(|row| assert!(seen.insert(row), "{row} twice"));
            }
        }
        // But for what a lane leaves over: less than a window, and a window a lane.
        assert!(seen.len() > 2450, "{}", seen.len());
        assert!(rounds[0].1 >= 50 && rounds[0].0.len() > 6, "{rounds:?}");
    }
}
