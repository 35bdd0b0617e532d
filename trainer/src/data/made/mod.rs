//! Pairs that are made up, from a seed: small tasks for an encoder and a decoder whose answers are known.
//!
//! What is read in one part is read in no other. Which part it belongs to is decided by its checksum, or, of commands, by that
//! of their phrasing, so that a part holds phrasings which training never saw.

mod commands;
mod dates;
mod reversal;
mod scenes;
mod stories;

use std::collections::HashSet;

use kinglet::format::crc32;

use super::split::Part;
use crate::task::{Made, MadeTask};
use crate::train::init::Rng;

/// A text that is read, and what should be said to it.
type Pair = (String, String);

/// What an encoder reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A text.
    Text(String),
    /// Samples, one behind the other.
    Samples(Vec<f32>),
}

impl Source {
    fn bytes(&self) -> &[u8] {
        match self {
            Source::Text(text) => text.as_bytes(),
            Source::Samples(samples) => bytemuck::cast_slice(samples),
        }
    }
}

/// What the columns of samples are called; none where a kind has texts.
pub fn columns(kind: Made) -> Vec<String> {
    match kind {
        Made::Scenes => scenes::columns(),
        Made::Clips => scenes::SHAPE.map(str::to_owned).into(),
        Made::Reversal | Made::Dates | Made::Stories | Made::Commands => Vec::new(),
    }
}

/// The pairs of training, validation and test part, all different.
pub fn pairs(made: &MadeTask) -> Vec<Vec<(Source, String)>> {
    let mut rng = Rng::new(made.seed);
    let mut seen = HashSet::new();
    let mut of_part = |part: Part| {
        let mut pairs = Vec::new();
        while pairs.len() < made.pairs[part as usize] {
            let pair = draw(made, part, &mut rng);
            if seen.insert(pair.0.bytes().to_vec()) {
                pairs.push(pair);
            }
        }
        pairs
    };
    Part::ALL.into_iter().map(&mut of_part).collect()
}

fn draw(made: &MadeTask, part: Part, rng: &mut Rng) -> (Source, String) {
    let belongs = |read: &[u8]| part_of(read, made.pairs) == part;
    let text = |(read, said): Pair| (Source::Text(read), said);
    let samples = |(read, said): (Vec<f32>, String)| (Source::Samples(read), said);
    loop {
        let pair = match made.kind {
            Made::Reversal => text(reversal::draw(rng)),
            Made::Dates => text(dates::draw(rng)),
            Made::Stories => text(stories::draw(rng, part)),
            // Every phrasing in it belongs to the part.
            Made::Commands => {
                return text(commands::draw(rng, &|said: &str| belongs(said.as_bytes())));
            }
            Made::Scenes => samples(scenes::scene(rng)),
            Made::Clips => samples(scenes::clip(rng)),
        };
        if belongs(pair.0.bytes()) {
            return pair;
        }
    }
}

/// Parts have shares of all that can be read as they have of the pairs.
fn part_of(read: &[u8], pairs: [usize; 3]) -> Part {
    let all: u64 = pairs.iter().map(|&count| count as u64).sum();
    let place = (u64::from(crc32(read)) * all) >> 32;
    let [train, valid, _] = pairs.map(|count| count as u64);
    match place {
        _ if place < train => Part::Train,
        _ if place < train + valid => Part::Valid,
        _ => Part::Test,
    }
}

fn below(rng: &mut Rng, n: usize) -> usize {
    (rng.next_u64() % n as u64) as usize
}

/// Any of them.
fn one_of<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[below(rng, of.len())]
}

/// True so many times in a hundred.
fn percent(rng: &mut Rng, percent: usize) -> bool {
    below(rng, 100) < percent
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Made; 6] = [
        Made::Reversal,
        Made::Dates,
        Made::Stories,
        Made::Commands,
        Made::Scenes,
        Made::Clips,
    ];

    fn made(kind: Made) -> Vec<Vec<(Source, String)>> {
        pairs(&MadeTask {
            kind,
            pairs: [800, 100, 100],
            seed: 3,
        })
    }

    #[test]
    fn parts_have_their_sizes_and_no_text_in_common() {
        for kind in ALL {
            let parts = made(kind);
            assert_eq!(
                parts.iter().map(Vec::len).collect::<Vec<_>>(),
                [800, 100, 100]
            );
            let texts: HashSet<&[u8]> = parts.iter().flatten().map(|pair| pair.0.bytes()).collect();
            assert_eq!(texts.len(), 1000, "{kind:?}");
            assert_eq!(parts, made(kind), "{kind:?}: another time, other pairs");
        }
    }

    #[test]
    fn a_part_without_pairs_is_empty() {
        let task = MadeTask {
            kind: Made::Commands,
            pairs: [50, 50, 0],
            seed: 1,
        };
        assert_eq!(
            pairs(&task).iter().map(Vec::len).collect::<Vec<_>>(),
            [50, 50, 0]
        );
    }
}
