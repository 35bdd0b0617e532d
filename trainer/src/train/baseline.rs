//! What a network has to beat: rules that need no network, for every kind of task.
//!
//! | task | rules |
//! |---|---|
//! | numbers that are there now | the last value; the value a season ago, where there is one |
//! | numbers | ridge regression on the last samples |
//! | a label per text | naive Bayes over its tokens |
//! | an output per token | what this token had most often in training |
//! | a transcript | the commonest one |
//! | a text to say | what belongs to the training text with the most words in common |
//! | other labels | the commonest |
//!
//! Where quantiles are predicted, a rule has those of its own errors on the training part around it.

mod commonest;
mod nearest;
mod ridge;
mod seasonal;

use std::collections::BTreeMap;

use self::commonest::Commonest;
pub use self::nearest::nearest_text;
use self::ridge::Ridge;
use self::seasonal::{Seasonal, season};
use super::evaluate::{LastValue, Majority, Metrics, Predictor};
use crate::data::{Dataset, Part, Sequence};
use crate::package::{Input, Output, Shape};
use crate::task::Task;

/// A rule and its name.
pub type Baseline<'d> = (String, Box<dyn Predictor + 'd>);

/// The rules for this kind of data, fitted on its training part; the simplest first.
pub fn baselines<'d>(task: &Task, data: &'d Dataset) -> Vec<Baseline<'d>> {
    let tokens = matches!(data.input(), Input::Tokens(_));
    let rule: Option<(&str, Box<dyn Predictor>)> = match (data.output(), data.shape()) {
        (Output::Values(_), _) => return of_values(task, data),
        (Output::Transcript(_), _) => {
            Some(("commonest transcript", Box::new(Commonest::new(data))))
        }
        (_, Shape::EveryStep) if tokens => Some(("this token", Box::new(ThisToken::new(data)))),
        (_, Shape::Window { .. }) if tokens => {
            Some(("naive Bayes", Box::new(NaiveBayes::new(data))))
        }
        _ => Majority::new(data).map(|rule| ("majority", Box::new(rule) as _)),
    };
    rule.map(|(name, rule)| (name.to_owned(), rule))
        .into_iter()
        .collect()
}

fn of_values<'d>(task: &Task, data: &'d Dataset) -> Vec<Baseline<'d>> {
    let mut rules: Vec<Baseline<'d>> = Vec::new();
    if let Some(last) = LastValue::new(data) {
        let given = task.series().and_then(|series| series.season);
        let found = || season(data, *last.places().first()?);
        rules.push(("last value".to_owned(), Box::new(last.clone())));
        if let Some(season) = given.or_else(found) {
            let horizons = task.output_horizons(data.outputs());
            let rule = Seasonal::new(data, season, &horizons);
            let rule = rule.map(|rule| (format!("{season} rows ago"), Box::new(rule) as _));
            rules.extend(rule);
        }
    }
    if let Some(ridge) = Ridge::fit(data) {
        let name = match ridge.samples() {
            1 => "ridge on 1 sample".to_owned(),
            samples => format!("ridge on {samples} samples"),
        };
        rules.push((name, Box::new(ridge)));
    }
    if !data.quantiles().is_empty() {
        let around = |(name, rule)| (name, Box::new(Around::fit(data, rule)) as _);
        rules = rules.into_iter().map(around).collect();
    }
    rules
}

/// A rule with the quantiles of its errors on the training part around it.
struct Around<'d> {
    rule: Box<dyn Predictor + 'd>,
    /// Added to every output.
    errors: Vec<f32>,
}

impl<'d> Around<'d> {
    fn fit(data: &Dataset, mut rule: Box<dyn Predictor + 'd>) -> Self {
        let mut errors = vec![Vec::new(); data.outputs()];
        let mut out = vec![0.0; data.outputs()];
        for sequence in data.sequences(Part::Train) {
            rule.begin(&sequence);
            for t in 0..sequence.steps() {
                rule.step(sequence.raw(t), &mut out);
                if sequence.counts(t) {
                    let pairs = sequence.truth(t).iter().zip(&out);
                    for (errors, (truth, y)) in errors.iter_mut().zip(pairs) {
                        errors.push(truth - y);
                    }
                }
            }
        }
        let quantile = |(errors, &quantile): (&mut Vec<f32>, &f64)| {
            errors.sort_by(f32::total_cmp);
            let place = (quantile * errors.len() as f64) as usize;
            errors.get(place).or(errors.last()).copied().unwrap_or(0.0)
        };
        let errors = errors.iter_mut().zip(data.quantiles()).map(quantile);
        Around {
            errors: errors.collect(),
            rule,
        }
    }
}

impl Predictor for Around<'_> {
    fn reset(&mut self) {
        self.rule.reset();
    }

    fn begin(&mut self, sequence: &Sequence<'_>) {
        self.rule.begin(sequence);
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        self.rule.step(raw, out);
        for (out, error) in out.iter_mut().zip(&self.errors) {
            *out += error;
        }
    }
}

/// Whether a rule is as good as a network or better; not where there is nothing to compare.
pub fn rule_wins(rule: &Metrics, network: &Metrics) -> bool {
    rule.error() <= network.error()
}

/// `p(class) Π p(token | class)`, with one added to every count: order does not matter.
struct NaiveBayes {
    /// `ln p(class)`.
    prior: Vec<f64>,
    /// `ln p(token | class)`: `[tokens, classes]`.
    likelihood: Vec<f64>,
    /// Sum so far.
    score: Vec<f64>,
}

impl NaiveBayes {
    fn new(data: &Dataset) -> Self {
        let (vocabulary, classes) = (data.inputs(), data.outputs());
        let mut texts = vec![1.0; classes];
        let mut counts = vec![1.0; vocabulary * classes];
        let mut tokens = vec![vocabulary as f64; classes];
        for sequence in data.sequences(Part::Train) {
            let last = sequence.steps() - 1;
            let class = sequence.truth(last)[0] as usize;
            texts[class] += 1.0;
            tokens[class] += sequence.steps() as f64;
            for t in 0..=last {
                counts[sequence.raw(t)[0] as usize * classes + class] += 1.0;
            }
        }
        let all: f64 = texts.iter().sum();
        for row in counts.chunks_exact_mut(classes) {
            for (count, tokens) in row.iter_mut().zip(&tokens) {
                *count = (*count / tokens).ln();
            }
        }
        let prior: Vec<f64> = texts.iter().map(|n: &f64| (n / all).ln()).collect();
        NaiveBayes {
            score: prior.clone(),
            prior,
            likelihood: counts,
        }
    }
}

impl Predictor for NaiveBayes {
    fn reset(&mut self) {
        self.score.copy_from_slice(&self.prior);
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        let row = &self.likelihood[raw[0] as usize * self.score.len()..];
        for (score, likelihood) in self.score.iter_mut().zip(row) {
            *score += likelihood;
        }
        let most = self.score.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.score.iter().map(|score| (score - most).exp()).sum();
        for (out, score) in out.iter_mut().zip(&self.score) {
            *out = ((score - most).exp() / sum) as f32;
        }
    }
}

/// `p(output | this token)` as counted; the fewer outputs a token had, the surer (Witten, Bell 1991). The most frequent
/// tag of a word, or a bigram model of a text.
struct ThisToken {
    /// `p(output)`.
    prior: Vec<f32>,
    /// How often a token had which output.
    counts: Vec<BTreeMap<usize, f32>>,
}

impl ThisToken {
    fn new(data: &Dataset) -> Self {
        let mut prior = vec![1.0; data.outputs()];
        let mut counts = vec![BTreeMap::new(); data.inputs()];
        for sequence in data.sequences(Part::Train) {
            for t in (0..sequence.steps()).filter(|&t| sequence.counts(t)) {
                let (token, output) = (sequence.raw(t)[0] as usize, sequence.truth(t)[0] as usize);
                prior[output] += 1.0;
                *counts[token].entry(output).or_insert(0.0) += 1.0;
            }
        }
        let all: f32 = prior.iter().sum();
        prior.iter_mut().for_each(|count| *count /= all);
        ThisToken { prior, counts }
    }
}

impl Predictor for ThisToken {
    fn reset(&mut self) {}

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        let counts = &self.counts[raw[0] as usize];
        // A token never met leaves the prior alone.
        let unseen = counts.len().max(1) as f32;
        let all = counts.values().sum::<f32>() + unseen;
        for (out, prior) in out.iter_mut().zip(&self.prior) {
            *out = prior * unseen / all;
        }
        for (&output, count) in counts {
            out[output] += count / all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::csv::{Format, Table};
    use crate::train::evaluate;
    use crate::train::evaluate::Now;
    use crate::train::init::Rng;
    use std::fmt::Write;
    use std::path::Path;

    /// `rows` of `value(t)`, and the task that predicts it `horizon` rows ahead.
    fn series(
        rows: usize,
        horizon: usize,
        keys: &str,
        value: impl Fn(usize) -> f64,
    ) -> (Task, Dataset) {
        let mut csv = String::from("x\n");
        for t in 0..rows {
            writeln!(csv, "{}", value(t)).unwrap();
        }
        let task = format!(
            "name = \"t\"\n[csv]\nfile = \"t.csv\"\n[series]\nfeatures = [\"x\"]\ntargets = [\"x\"]\n{keys}\n\
             [shape]\nkind = \"many-to-one\"\nwindow = 3\nhorizon = {horizon}\n[network]\nhidden = [2]\n"
        );
        let task = Task::parse(&task, Path::new("t.toml")).unwrap();
        let table = Table::from_reader(csv.as_bytes(), "t.csv", &Format::default()).unwrap();
        let data = Dataset::from_table(&task, &table).unwrap();
        (task, data)
    }

    fn noise(t: usize) -> f64 {
        f64::from(Rng::new(t as u64).uniform()) - 0.5
    }

    #[test]
    fn a_season_is_found_where_there_is_one() {
        let daily = |t: usize| [0.0, 3.0, 9.0, 4.0, 1.0, 7.0, 2.0][t % 7] + 0.5 * noise(t);
        let wave = |t: usize| (t as f64 * std::f64::consts::TAU / 24.0).sin() + 0.1 * noise(t);
        let walk = |t: usize| (0..t).map(noise).sum::<f64>();
        let now = Now::Value(0);
        assert_eq!(season(&series(400, 1, "", daily).1, now), Some(7));
        assert_eq!(season(&series(600, 1, "", wave).1, now), Some(24));
        assert_eq!(season(&series(400, 1, "", walk).1, now), None);
        assert_eq!(season(&series(400, 1, "", |t| t as f64).1, now), None);
    }

    #[test]
    fn the_last_season_reaches_back_beyond_the_window() {
        // Exactly repeated, so the rule is never wrong, ten rows ahead and with a window of three.
        let weekly = |t: usize| [0.0, 3.0, 9.0, 4.0, 1.0, 7.0, 2.0][t % 7];
        for horizon in [1, 7, 10] {
            for keys in ["", "season = 14"] {
                let (task, data) = series(200, horizon, keys, weekly);
                let mut rules = baselines(&task, &data);
                let names: Vec<&str> = rules.iter().map(|rule| rule.0.as_str()).collect();
                let expected = if keys.is_empty() {
                    "7 rows ago"
                } else {
                    "14 rows ago"
                };
                assert_eq!(names, ["last value", expected, "ridge on 3 samples"]);
                let season = evaluate(&data, Part::Test, &mut *rules[1].1).headline().1;
                assert_eq!(season, 0.0, "{horizon} {keys}");
                let last = evaluate(&data, Part::Test, &mut *rules[0].1).headline().1;
                assert_eq!(last == 0.0, horizon == 7, "{horizon}: {last}");
            }
        }
    }

    /// The same series with and without thirty million on top, whose steps are then taken in 64 bits.
    #[test]
    fn rules_are_the_same_where_steps_are_taken_in_64_bits() {
        let weekly = |t: usize| [0.0, 0.3, 0.9, 0.4, 0.1, 0.7, 0.2][t % 7] + 0.05 * noise(t);
        for horizon in [1, 3] {
            let of = |offset: f64| {
                let mut csv = String::from("x\n");
                for t in 0..400 {
                    writeln!(csv, "{:.4}", offset + weekly(t)).unwrap();
                }
                let change = "[{ column = \"x\", transform = \"difference\" }]";
                let task = format!(
                    "name = \"t\"\n[csv]\nfile = \"t.csv\"\n[series]\nfeatures = {change}\ntargets = {change}\n\
                     [shape]\nkind = \"many-to-one\"\nwindow = 3\nhorizon = {horizon}\n[network]\nhidden = [2]\n"
                );
                let task = Task::parse(&task, Path::new("t.toml")).unwrap();
                let table =
                    Table::from_reader(csv.as_bytes(), "t.csv", &Format::default()).unwrap();
                let data = Dataset::from_table(&task, &table).unwrap();
                assert_eq!(data.steps_of(0).is_some(), offset > 0.0);
                let rules = baselines(&task, &data).into_iter().take(2);
                let measured = rules.map(|(name, mut rule)| {
                    let metrics = evaluate(&data, Part::Test, &mut *rule);
                    (name, metrics.headline().1)
                });
                measured.collect::<Vec<_>>()
            };
            let (low, high) = (of(0.0), of(3e7));
            assert_eq!(low[1].0, "7 rows ago");
            for (low, high) in low.iter().zip(&high) {
                assert_eq!(low.0, high.0);
                assert!((low.1 - high.1).abs() < 1e-4, "{low:?} {high:?}");
            }
        }
    }

    #[test]
    fn what_is_linear_is_found_by_ridge() {
        // x(t + 1) = 2 cos(w) x(t) − x(t − 1), which three samples say exactly.
        let (task, data) = series(300, 1, "", |t| (t as f64 * 0.9).sin());
        let (name, mut ridge) = baselines(&task, &data).pop().unwrap();
        assert_eq!(name, "ridge on 3 samples");
        let rmse = evaluate(&data, Part::Test, &mut *ridge).headline().1;
        assert!(rmse < 1e-3, "{rmse}");
    }
}
