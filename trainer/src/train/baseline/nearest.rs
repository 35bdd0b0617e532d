//! For pairs: the answer that belongs to what is most like what is read, of the training part.

use crate::data::{Dataset, Part, Sequence};
use crate::package::Input;

/// Training texts that are looked at, and texts of a part that are answered, at the most.
const MOST: [usize; 2] = [10_000, 1_000];

/// Share of the validation and of the test part that the rule says without a mistake; `None` if the data has no pairs.
/// Of texts likeness is 2 |A ∩ B| / (|A| + |B|) of the tokens with their repetitions (Dice 1945), of samples the least distance
/// of their normalised values, step by step; the first of equals wins.
pub fn nearest_text(data: &Dataset) -> Option<[f64; 2]> {
    let source = data.source()?;
    let read = |sequence: Sequence<'_>| match source.input() {
        Input::Tokens(_) => {
            let mut tokens = tokens(&sequence);
            tokens.sort_unstable();
            Read::Tokens(tokens)
        }
        Input::Features(_) => {
            let rows = (0..sequence.steps()).flat_map(|t| sequence.normalised(t).iter().copied());
            Read::Samples(rows.collect())
        }
    };
    let known: Vec<Read> = source
        .sequences(Part::Train)
        .take(MOST[0])
        .map(read)
        .collect();
    let answers: Vec<Sequence<'_>> = data.sequences(Part::Train).take(MOST[0]).collect();
    let share = |part| {
        let reads = source.sequences(part).map(read);
        let (mut right, mut all) = (0, 0);
        for (read, target) in reads.zip(data.sequences(part)).take(MOST[1]) {
            let mut best = (0, f64::NEG_INFINITY);
            for (k, other) in known.iter().enumerate() {
                let likeness = other.likeness(&read);
                if likeness > best.1 {
                    best = (k, likeness);
                }
            }
            all += 1;
            let said = answers.get(best.0).map(tokens);
            right += usize::from(said.is_some_and(|said| said == tokens(&target)));
        }
        right as f64 / f64::from(all)
    };
    Some([Part::Valid, Part::Test].map(share))
}

enum Read {
    /// In order of their numbers.
    Tokens(Vec<u32>),
    Samples(Vec<f32>),
}

impl Read {
    fn likeness(&self, other: &Read) -> f64 {
        match (self, other) {
            (Read::Tokens(a), Read::Tokens(b)) => {
                2.0 * common(a, b) as f64 / (a.len() + b.len()) as f64
            }
            (Read::Samples(a), Read::Samples(b)) => {
                let missing = a.len().abs_diff(b.len()) as f32;
                let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
                -f64::from(squares + missing)
            }
            _ => f64::NEG_INFINITY,
        }
    }
}

fn tokens(sequence: &Sequence<'_>) -> Vec<u32> {
    (0..sequence.steps())
        .map(|t| sequence.raw(t)[0] as u32)
        .collect()
}

/// How many tokens two sorted texts have in common.
fn common(mut a: &[u32], mut b: &[u32]) -> usize {
    let mut count = 0;
    while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b) {
        count += usize::from(x == y);
        a = if x <= y { rest_a } else { a };
        b = if y <= x { rest_b } else { b };
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_common_count_as_often_as_both_have_them() {
        assert_eq!(common(&[1, 1, 2, 5], &[1, 1, 1, 5, 6]), 3);
        assert_eq!(common(&[], &[1]), 0);
    }
}
