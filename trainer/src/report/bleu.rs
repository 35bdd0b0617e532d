//! BLEU (Papineni et al. 2002): how many runs of one to four tokens a text has in common with the right one.

use std::collections::HashMap;

/// Longest runs that are counted.
const LONGEST: usize = 4;

/// Of all texts together, each with one that is right: the geometric mean of the precisions of runs of one to four tokens, of
/// those lengths that any text has, times exp(1 − r / c) where the c tokens that were said are fewer than the r that are right.
/// From 0 to 1.
pub fn bleu<'t>(texts: impl Iterator<Item = (&'t [usize], &'t [usize])>) -> f64 {
    let (mut right, mut all) = ([0usize; LONGEST], [0usize; LONGEST]);
    let (mut said_tokens, mut true_tokens) = (0, 0);
    for (said, truth) in texts {
        said_tokens += said.len();
        true_tokens += truth.len();
        for (n, (right, all)) in right.iter_mut().zip(&mut all).enumerate() {
            let mut known: HashMap<&[usize], usize> = HashMap::new();
            for run in truth.windows(n + 1) {
                *known.entry(run).or_default() += 1;
            }
            for run in said.windows(n + 1) {
                *all += 1;
                // Said twice, it has to be right twice.
                if let Some(left) = known.get_mut(run).filter(|left| **left > 0) {
                    *left -= 1;
                    *right += 1;
                }
            }
        }
    }
    let precisions = right.iter().zip(&all).filter(|(_, all)| **all > 0);
    let logs: Vec<f64> = precisions
        .map(|(&right, &all)| (right as f64 / all as f64).ln())
        .collect();
    if logs.is_empty() {
        return 0.0;
    }
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let brevity = (1.0 - true_tokens as f64 / said_tokens as f64).min(0.0);
    (mean + brevity).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &'static str, truth: &'static str) -> f64 {
        let mut numbers = HashMap::new();
        let [said, truth] = [said, truth].map(|text| {
            let number = |word| {
                let next = numbers.len();
                *numbers.entry(word).or_insert(next)
            };
            text.split(' ').map(number).collect::<Vec<usize>>()
        });
        bleu([(&said[..], &truth[..])].into_iter())
    }

    /// As sacrebleu 2.6 has them, `corpus_bleu(…, smooth_method="none", tokenize="none")` over 100.
    #[test]
    fn it_is_what_is_known() {
        for (said, truth, known) in [
            ("a b c d e", "a b c d e", 1.0),
            (
                "the cat sat on the mat today",
                "the cat sat on the mat",
                0.809_106_7,
            ),
            ("the cat sat on", "the cat sat on the mat", 0.606_530_7),
            ("a b", "c d", 0.0),
        ] {
            let found = of(said, truth);
            assert!((found - known).abs() < 1e-6, "{said}: {found}, not {known}");
        }
    }
}
