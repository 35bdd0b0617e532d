//! Picking a class, the next token or the tokens of a transcript from scores.

/// Place of the largest score, the first of equals. 0 for no scores.
pub fn argmax<T: PartialOrd>(scores: &[T]) -> usize {
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = i;
        }
    }
    best
}

/// Draws from `softmax(scores / temperature)`; the same seed gives the same draws on every machine, another one others.
#[derive(Debug, Clone)]
pub struct Sampler {
    temperature: f32,
    state: u32,
}

impl Sampler {
    /// `temperature` 0 always picks the largest score, 1 follows the scores, more is wilder.
    pub const fn new(temperature: f32, seed: u32) -> Self {
        // Seeds that are counted up must start far from each other, and xorshift must not start at zero.
        let state = scattered(seed ^ 0x9e37_79b9);
        Sampler {
            temperature,
            state: if state == 0 { 1 } else { state },
        }
    }

    /// The next draw from unnormalised log-scores (logits).
    pub fn draw(&mut self, logits: &[f32]) -> usize {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let temperature = self.temperature;
        self.pick(logits, |logit| libm::expf((logit - max) / temperature))
    }

    /// The next draw from probabilities, such as those of a softmax, or from some of them: they need not sum to one.
    pub fn draw_probable(&mut self, probabilities: &[f32]) -> usize {
        let power = 1.0 / self.temperature;
        self.pick(probabilities, |p| match power == 1.0 {
            true => p,
            false => libm::powf(p, power),
        })
    }

    /// A place, as often as its weight says; that of the largest score where nothing is left to chance.
    fn pick(&mut self, scores: &[f32], weight: impl Fn(f32) -> f32) -> usize {
        if self.temperature <= 0.0 {
            return argmax(scores);
        }
        let total: f32 = scores.iter().map(|&score| weight(score)).sum();
        let mut left = self.uniform() * total;
        for (i, &score) in scores.iter().enumerate() {
            left -= weight(score);
            if left < 0.0 {
                return i;
            }
        }
        argmax(scores)
    }

    /// In 0..1, 24 bits (xorshift32, Marsaglia 2003).
    fn uniform(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        (self.state >> 8) as f32 / (1 << 24) as f32
    }
}

/// A number of its own for every number, of which half the bits change with each of its bits (the finaliser of MurmurHash3).
const fn scattered(mut number: u32) -> u32 {
    number ^= number >> 16;
    number = number.wrapping_mul(0x85eb_ca6b);
    number ^= number >> 13;
    number = number.wrapping_mul(0xc2b2_ae35);
    number ^ number >> 16
}

/// What a network says that was trained on transcripts of which nobody said where in the stream their tokens are (connectionist
/// temporal classification, Graves et al. 2006): class 0 is the blank, no token, and a token is said once for all steps that follow
/// each other and have it as the likeliest class. So it is known with the first of them.
///
/// ```
/// let mut greedy = kinglet::Greedy::new();
/// let scores = [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.3, 0.7, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.1, 0.2, 0.7]];
/// let heard = scores.map(|scores| greedy.push(&scores));
/// assert_eq!(heard, [None, Some(1), None, None, Some(1), Some(2)]);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Greedy {
    /// The likeliest class of the step before.
    before: usize,
}

impl Greedy {
    /// As after a reset of the network: nothing has been said.
    pub const fn new() -> Self {
        Greedy { before: 0 }
    }

    /// Takes a step's scores, one per class; gives the token that begins here.
    pub fn push<T: PartialOrd>(&mut self, scores: &[T]) -> Option<usize> {
        self.push_class(argmax(scores))
    }

    /// Takes a step's likeliest class; gives the token that begins here.
    pub fn push_class(&mut self, class: usize) -> Option<usize> {
        let begins = class != 0 && class != self.before;
        self.before = class;
        begins.then_some(class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_scores() {
        let mut sampler = Sampler::new(1.0, 7);
        let logits = [0.0, libm::logf(3.0), f32::NEG_INFINITY];
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[sampler.draw(&logits)] += 1;
        }
        assert!((7300..7700).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts[2], 0);
        assert_eq!(Sampler::new(0.0, 7).draw(&logits), 1);
    }

    #[test]
    fn seeds_that_follow_each_other_draw_as_one_seed_does() {
        let mut counts = [0; 4];
        let mut same = 0;
        for seed in 0..4_000 {
            let first = |seed| {
                let mut sampler = Sampler::new(1.0, seed);
                core::array::from_fn::<usize, 20, _>(|_| sampler.draw_probable(&[1.0; 4]))
            };
            counts[first(seed)[0]] += 1;
            same += usize::from(first(seed) == first(seed ^ 1));
        }
        assert!(
            counts.iter().all(|n| (900..1_100).contains(n)),
            "{counts:?}"
        );
        assert_eq!(same, 0);
        // The one whose scattered number is zero.
        assert_ne!(Sampler::new(1.0, 0x9e37_79b9).uniform(), 0.0);
    }

    #[test]
    fn draws_follow_the_probabilities_of_some_outcomes() {
        // At temperature 0.5 their squares: 1 to 4.
        let mut sampler = Sampler::new(0.5, 7);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[sampler.draw_probable(&[0.1, 0.2, 0.0])] += 1;
        }
        assert!((7800..8200).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts[2], 0);
        assert_eq!(Sampler::new(0.0, 7).draw_probable(&[0.1, 0.2]), 1);
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[1, 3, 3]), 1);
        assert_eq!(argmax::<f32>(&[]), 0);
    }
}
