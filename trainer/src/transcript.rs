//! Transcripts: sequences of tokens that a network says somewhere along a stream, without being told where. Class 0 is the blank.

use std::collections::BTreeMap;

use crate::train::ctc::log_sum;

/// The name of the class that stands for no token, which is the first one of a model of transcripts.
pub const BLANK: &str = "<blank>";

/// Tokens by their names: with blanks between them, where any has more than one character.
pub fn written<S: AsRef<str>>(tokens: &[usize], names: &[S]) -> String {
    let long = |name: &S| name.as_ref() != BLANK && name.as_ref().chars().nth(1).is_some();
    let between = if names.iter().any(long) { " " } else { "" };
    let tokens: Vec<&str> = tokens.iter().map(|&token| names[token].as_ref()).collect();
    tokens.join(between)
}

/// How a transcript differs from what was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// Another token in place of the right one.
    pub wrong: usize,
    /// Tokens that nobody said.
    pub added: usize,
    /// Tokens that are missing.
    pub missed: usize,
}

impl Mistakes {
    /// The fewest that make `heard` out of `said` (Levenshtein 1966).
    pub fn between(said: &[usize], heard: &[usize]) -> Self {
        let mut row: Vec<Mistakes> = (0..=heard.len())
            .map(|added| Mistakes {
                added,
                ..Mistakes::default()
            })
            .collect();
        for &token in said {
            let mut before = row[0];
            row[0].missed += 1;
            for (k, &other) in heard.iter().enumerate() {
                let mut changed = before;
                changed.wrong += usize::from(token != other);
                let (mut missed, mut added) = (row[k + 1], row[k]);
                missed.missed += 1;
                added.added += 1;
                before = row[k + 1];
                let least = if missed.all() < changed.all() {
                    missed
                } else {
                    changed
                };
                row[k + 1] = if added.all() < least.all() {
                    added
                } else {
                    least
                };
            }
        }
        row[heard.len()]
    }

    /// All of them.
    pub fn all(&self) -> usize {
        self.wrong + self.added + self.missed
    }
}

/// The likeliest transcript as far as a beam sees it: that of the most likely alignments together, where a greedy one is that of
/// the likeliest alignment (prefix search, Graves et al. 2006; Hannun et al. 2014).
#[derive(Debug, Clone)]
pub struct Beam {
    width: usize,
    /// Logarithms of the likelihoods of all alignments so far that end with a blank, and of those that end with the last token.
    heard: Vec<(Vec<usize>, [f64; 2])>,
}

impl Beam {
    /// So many beginnings are followed.
    pub fn new(width: usize) -> Self {
        Beam {
            width: width.max(1),
            heard: vec![(Vec::new(), [0.0, f64::NEG_INFINITY])],
        }
    }

    /// How many.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Takes a step's probabilities.
    pub fn push(&mut self, probabilities: &[f32]) {
        let mut next: BTreeMap<Vec<usize>, [f64; 2]> = BTreeMap::new();
        let mut add = |tokens: Vec<usize>, end: usize, log_p: f64| {
            let likelihoods = next.entry(tokens).or_insert([f64::NEG_INFINITY; 2]);
            likelihoods[end] = log_sum(likelihoods[end], log_p);
        };
        for (tokens, [blank, token]) in &self.heard {
            let both = log_sum(*blank, *token);
            for (class, p) in probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                let log_p = f64::from(*p).ln();
                let longer = || tokens.iter().copied().chain([class]).collect();
                match class {
                    0 => add(tokens.clone(), 0, both + log_p),
                    _ if tokens.last() == Some(&class) => {
                        add(tokens.clone(), 1, token + log_p);
                        add(longer(), 1, blank + log_p);
                    }
                    _ => add(longer(), 1, both + log_p),
                }
            }
        }
        let mut heard: Vec<_> = next.into_iter().collect();
        let of = |[blank, token]: [f64; 2]| log_sum(blank, token);
        heard.sort_by(|a, b| of(b.1).total_cmp(&of(a.1)));
        heard.truncate(self.width);
        self.heard = heard;
    }

    /// What is likeliest to have been said so far.
    pub fn best(&self) -> &[usize] {
        self.heard.first().map_or(&[], |(tokens, _)| tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_the_fewest() {
        let of = |said: &[usize], heard: &[usize]| {
            let m = Mistakes::between(said, heard);
            [m.wrong, m.added, m.missed]
        };
        assert_eq!(of(&[1, 2, 3], &[1, 2, 3]), [0, 0, 0]);
        assert_eq!(of(&[1, 2, 3], &[1, 4, 3]), [1, 0, 0]);
        assert_eq!(of(&[1, 2, 3, 4], &[2, 3, 4, 4]), [0, 1, 1]);
        // Of two ways that are as short, the tokens that are wrong.
        assert_eq!(of(&[1, 2, 3], &[2, 3, 3]), [2, 0, 0]);
        assert_eq!(of(&[], &[5, 5]), [0, 2, 0]);
        assert_eq!(of(&[5, 5, 1], &[]), [0, 0, 3]);
    }

    #[test]
    fn a_beam_adds_up_what_a_greedy_choice_counts_apart() {
        // Greedily blank, blank: 0.36. But the alignments of `a` together are 0.4 · 0.6 + 0.6 · 0.4 + 0.4 · 0.4 = 0.64.
        let steps = [[0.6, 0.4], [0.6, 0.4]];
        let mut greedy = kinglet::Greedy::new();
        let heard: Vec<usize> = steps.iter().filter_map(|p| greedy.push(p)).collect();
        assert!(heard.is_empty());
        let mut beam = Beam::new(4);
        steps.iter().for_each(|p| beam.push(p));
        assert_eq!(beam.best(), [1]);
        let [blank, token] = beam.heard[0].1;
        assert!((log_sum(blank, token).exp() - 0.64).abs() < 1e-6);
    }

    #[test]
    fn a_wide_beam_finds_the_likeliest_of_all_transcripts() {
        use crate::train::init::Rng;
        use crate::train::loss::{Loss, Objective};
        let mut rng = Rng::new(3);
        for _ in 0..20 {
            let mut p: Vec<f32> = (0..4 * 3).map(|_| rng.uniform() + 0.05).collect();
            for row in p.chunks_exact_mut(3) {
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= sum);
            }
            let mut beam = Beam::new(1000);
            p.chunks_exact(3).for_each(|row| beam.push(row));
            // Every transcript of up to four tokens, by the loss.
            let loss = |tokens: &[usize]| {
                let goal = (0..4).map(|t| tokens.get(t).map_or(-1.0, |&k| k as f32));
                let goal: Vec<f32> = goal.collect();
                Objective::from(Loss::Ctc).value(&p, &goal, (1, 3))
            };
            let all = (0..3usize.pow(4)).map(|n| {
                let digits = (0..4).map(|k| n / 3usize.pow(k) % 3);
                digits.take_while(|&d| d > 0).collect::<Vec<_>>()
            });
            let best = all.min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
            assert_eq!(beam.best(), best);
        }
    }

    #[test]
    fn words_stand_apart_and_letters_do_not() {
        assert_eq!(written(&[2, 1, 1], &[BLANK, "a", "b"]), "baa");
        assert_eq!(written(&[2, 1], &[BLANK, "one", "b"]), "b one");
    }
}
