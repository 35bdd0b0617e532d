//! Connectionist temporal classification (Graves et al. 2006): the loss of a transcript of which nobody says where in a sequence its
//! tokens are.
//!
//! An alignment has a class at every step, of which 0 is the blank. It stands for what is left when steps of one class that follow each
//! other are taken as one and the blanks are left out: `- a a - b` for `a b`. The likelihood of a transcript is that of all its
//! alignments, and with `l = - l₁ - l₂ … -`, which has `S` places, it is counted place by place:
//!
//! ```text
//! α(t, s) = (α(t−1, s) + α(t−1, s−1) + [l_s ≠ -, l_s ≠ l_(s−2)] α(t−1, s−2)) p(t, l_s)
//! β(t, s) = the same from the end, without p(t, l_s)
//! p       = α(T, S) + α(T, S−1)
//! ```
//!
//! The loss is `−ln p`, and its gradient at the sums of the softmax `p(t, k) − Σ_(s: l_s = k) α(t, s) β(t, s) / p`. All of it is in
//! logarithms and in f64, as the likelihood of a second of speech is far below the smallest float.
//!
//! The goals of a sequence are its transcript, a token per row from its first row on, then [`NOTHING`]; and [`BEYOND`] in the rows behind its end, where
//! sequences that run side by side are longer. A transcript always fits, as it needs a step per token at the least.

use super::real::Real;

/// The goal of a row behind the transcript.
pub const NOTHING: f32 = -1.0;
/// The goal of a row behind the sequence.
pub const BEYOND: f32 = -2.0;

/// Steps that a transcript takes at the least: one per token, and a blank between two that are alike.
pub fn steps_needed(tokens: &[usize]) -> usize {
    let alike = tokens.windows(2).filter(|pair| pair[0] == pair[1]);
    tokens.len() + alike.count()
}

/// `ln(e^a + e^b)`.
pub(crate) fn log_sum(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    match low == f64::NEG_INFINITY {
        true => high,
        false => high + (low - high).exp().ln_1p(),
    }
}

/// A sequence among those that run side by side.
struct Lane {
    steps: usize,
    /// The transcript with blanks around all tokens.
    places: Vec<usize>,
}

impl Lane {
    fn new<T: Real>(goal: &[T], (lane, lanes): (usize, usize)) -> Self {
        let goals = goal.iter().skip(lane).step_by(lanes).map(|g| g.to_f64());
        let goals = goals.take_while(|&goal| goal != f64::from(BEYOND));
        let mut places = vec![0];
        let mut steps = 0;
        for goal in goals {
            steps += 1;
            if goal >= 0.0 {
                places.extend([goal as usize, 0]);
            }
        }
        Lane { steps, places }
    }

    /// Places from which a step leads to `place`, beside itself and the one before.
    fn skips(&self, place: usize) -> bool {
        place >= 2 && self.places[place] != 0 && self.places[place] != self.places[place - 2]
    }

    /// `[steps, places]` of `ln α`; `log_p(t, class)`.
    fn forward(&self, log_p: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let width = self.places.len();
        let mut alpha = vec![f64::NEG_INFINITY; self.steps * width];
        for (alpha, &class) in alpha.iter_mut().zip(&self.places).take(2) {
            *alpha = log_p(0, class);
        }
        for t in 1..self.steps {
            let (before, now) = alpha[(t - 1) * width..(t + 1) * width].split_at_mut(width);
            for place in 0..width {
                let mut sum = before[place];
                if place >= 1 {
                    sum = log_sum(sum, before[place - 1]);
                }
                if self.skips(place) {
                    sum = log_sum(sum, before[place - 2]);
                }
                now[place] = sum + log_p(t, self.places[place]);
            }
        }
        alpha
    }

    /// `[steps, places]` of `ln β`.
    fn backward(&self, log_p: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let width = self.places.len();
        let mut beta = vec![f64::NEG_INFINITY; self.steps * width];
        let last = (self.steps - 1) * width;
        for place in width.saturating_sub(2)..width {
            beta[last + place] = 0.0;
        }
        for t in (0..self.steps - 1).rev() {
            let (now, after) = beta[t * width..(t + 2) * width].split_at_mut(width);
            let after_of = |place: usize| after[place] + log_p(t + 1, self.places[place]);
            for (place, now) in now.iter_mut().enumerate() {
                let mut sum = after_of(place);
                if place + 1 < width {
                    sum = log_sum(sum, after_of(place + 1));
                }
                if place + 2 < width && self.skips(place + 2) {
                    sum = log_sum(sum, after_of(place + 2));
                }
                *now = sum;
            }
        }
        beta
    }

    fn log_likelihood(&self, alpha: &[f64]) -> f64 {
        let ends = &alpha[(self.steps - 1) * self.places.len()..];
        let last = ends.len() - 1;
        match last {
            0 => ends[0],
            _ => log_sum(ends[last], ends[last - 1]),
        }
    }
}

/// Logarithms of the probabilities of one sequence; what is below `least` counts as much.
fn logarithms<T: Real>(
    p: &[T],
    (lane, lanes, width): (usize, usize, usize),
    least: f64,
) -> impl Fn(usize, usize) -> f64 {
    move |t, class| {
        p[(t * lanes + lane) * width + class]
            .to_f64()
            .max(least)
            .ln()
    }
}

/// Sum of the losses of all sequences; `p: [steps, lanes, width]`, `goal: [steps, lanes]`.
pub(super) fn value<T: Real>(
    p: &[T],
    goal: &[T],
    (lanes, width): (usize, usize),
    least: f64,
) -> f64 {
    let goal = &goal[..p.len() / width];
    let loss = |lane| {
        let sequence = Lane::new(goal, (lane, lanes));
        match sequence.steps {
            0 => 0.0,
            _ => {
                let log_p = logarithms(p, (lane, lanes, width), least);
                -sequence.log_likelihood(&sequence.forward(log_p))
            }
        }
    };
    (0..lanes).map(loss).sum()
}

/// Its gradient at the sums of the softmax, times `scale`. A transcript that takes more steps than there are has none.
pub(super) fn gradient<T: Real>(
    (p, goal): (&[T], &[T]),
    (lanes, width): (usize, usize),
    least: f64,
    scale: T,
    dy: &mut [T],
) {
    let goal = &goal[..p.len() / width];
    dy.fill(T::ZERO);
    for lane in 0..lanes {
        let sequence = Lane::new(goal, (lane, lanes));
        if sequence.steps == 0 {
            continue;
        }
        let log_p = logarithms(p, (lane, lanes, width), least);
        let alpha = sequence.forward(&log_p);
        let beta = sequence.backward(&log_p);
        let all = sequence.log_likelihood(&alpha);
        if all == f64::NEG_INFINITY {
            continue;
        }
        let places = sequence.places.len();
        let mut passes = vec![0.0; width];
        for t in 0..sequence.steps {
            passes.fill(0.0);
            for (s, &class) in sequence.places.iter().enumerate() {
                passes[class] += (alpha[t * places + s] + beta[t * places + s] - all).exp();
            }
            let at = (t * lanes + lane) * width;
            let rows = dy[at..at + width].iter_mut().zip(&p[at..at + width]);
            for ((d, &p), &passes) in rows.zip(&passes) {
                *d = (p - T::from_f64(passes)) * scale;
            }
        }
    }
}
