//! For pairs of texts: the answer that belongs to the training text which is most like what is read.

use crate::data::{Dataset, Part, Sequence};

/// Training texts that are looked at, and texts of a part that are answered, at the most.
const MOST: [usize; 2] = [10_000, 1_000];

/// Share of the validation and of the test part that the rule says without a mistake; `None` if the data has no pairs.
/// Likeness is 2 |A ∩ B| / (|A| + |B|) of the tokens with their repetitions (Dice 1945); the first of equals wins.
pub fn nearest_text(data: &Dataset) -> Option<[f64; 2]> {
    let source = data.source()?;
    let counted = |sequence: Sequence<'_>| {
        let mut tokens = tokens(&sequence);
        tokens.sort_unstable();
        tokens
    };
    let known: Vec<Vec<u32>> = source
        .sequences(Part::Train)
        .take(MOST[0])
        .map(counted)
        .collect();
    let answers: Vec<Sequence<'_>> = data.sequences(Part::Train).take(MOST[0]).collect();
    let share = |part| {
        let reads = source.sequences(part).map(counted);
        let (mut right, mut all) = (0, 0);
        for (read, target) in reads.zip(data.sequences(part)).take(MOST[1]) {
            let mut best = (0, -1.0);
            for (k, text) in known.iter().enumerate() {
                let likeness = 2.0 * common(text, &read) as f64 / (text.len() + read.len()) as f64;
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
