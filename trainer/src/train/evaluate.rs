//! How good a predictor is on a part of the data, in original units.
//!
//! Anything that takes raw samples and gives predictions is a [`Predictor`]: the float network, the
//! engine with a quantized model, the rule "as it was last time". All are measured by the same code
//! over the same sequences, so their numbers can stand in one table.

use serde::Serialize;
use std::fmt;

use super::loss::{LEAST, pinball};
use crate::data::{Dataset, Part, Sequence};
use crate::decimals::decimals;
use crate::package::{Input, Output, Target};
use crate::transcript::Mistakes;
use kinglet::Greedy;

/// Something that steps over raw samples.
pub trait Predictor {
    /// The next sample starts a new sequence.
    fn reset(&mut self);

    /// The next samples are those of this sequence. For a rule that looks at what lies before them.
    fn begin(&mut self, _sequence: &Sequence<'_>) {
        self.reset();
    }

    /// `raw`: a sample in original units, or one token's number. `out`: predictions in original
    /// units, or a probability per class or token.
    fn step(&mut self, raw: &[f32], out: &mut [f32]);
}

/// How good it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Metrics {
    /// One entry per target.
    Values(Vec<ValueMetrics>),
    /// One entry per target whose quantiles are predicted.
    Quantiles(Vec<QuantileMetrics>),
    /// Over all sequences.
    Classes(ClassMetrics),
    /// Over all counted tokens.
    Tokens(TokenMetrics),
    /// Over all sequences.
    Transcripts(TranscriptMetrics),
}

/// Errors of one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueMetrics {
    /// The target.
    pub name: String,
    /// Its unit, or empty.
    pub unit: String,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// For a remaining life: the score of the PHM 2008 challenge, a sum over all predictions in which those that are
    /// too late count more than those too early (Saxena et al. 2008).
    pub phm: Option<f64>,
    /// Predictions.
    pub count: usize,
}

/// Quantiles of one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantileMetrics {
    /// The target.
    pub name: String,
    /// Its unit, or empty.
    pub unit: String,
    /// Mean of the pinball loss over all quantiles, in the unit.
    pub pinball: f64,
    /// Quantiles, and the share of truths that do not lie above the prediction: the nearer to the quantile the better.
    pub below: Vec<(f64, f64)>,
    /// Share of the truths from the lowest to the highest prediction, both included.
    pub inside: f64,
    /// Mean distance from the lowest to the highest.
    pub width: f64,
    /// Share of the predictions in which a higher quantile lies below a lower one.
    pub crossed: f64,
    /// Predictions.
    pub count: usize,
}

/// Right and wrong classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Share of right answers.
    pub accuracy: f64,
    /// Mean over the classes that occur of the harmonic mean of precision and recall.
    pub macro_f1: f64,
    /// Where rows are grouped: share of the groups that are right when the log-probabilities of a group's outputs are
    /// added up.
    pub by_group: Option<f64>,
    /// `confusion[truth][answer]`.
    pub confusion: Vec<Vec<usize>>,
}

/// How well the next token is foreseen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenMetrics {
    /// Mean of −log₂ p(next token), of which each is 16 at the most: an integer softmax tells no smaller p from zero.
    pub bits: f64,
    /// Share of right first guesses.
    pub accuracy: f64,
    /// Predictions.
    pub count: usize,
}

/// How well transcripts are heard, as a device says them: [greedily](kinglet::Greedy).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TranscriptMetrics {
    /// Mistakes, of all tokens that were said.
    pub error_rate: f64,
    /// Share of the sequences without a mistake.
    pub exact: f64,
    /// Other tokens in place of the right ones, tokens that nobody said, and tokens that are missing.
    pub mistakes: [usize; 3],
    /// Tokens that were said.
    pub count: usize,
    /// Sequences.
    pub sequences: usize,
}

impl fmt::Display for TranscriptMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [wrong, added, missed] = self.mistakes;
        write!(
            f,
            "token error rate {:.4} ({wrong} wrong, {added} added, {missed} missed of {}), {:.1} % of {} sequences without a mistake",
            self.error_rate,
            self.count,
            100.0 * self.exact,
            self.sequences
        )
    }
}

impl Metrics {
    /// The one number to compare by, and its name: RMSE or pinball loss of the first target, accuracy, bits, or token error rate.
    pub fn headline(&self) -> (&'static str, f64) {
        match self {
            Metrics::Values(_) => ("RMSE", self.error_of(0)),
            Metrics::Quantiles(_) => ("pinball loss", self.error_of(0)),
            Metrics::Classes(classes) => ("accuracy", classes.accuracy),
            Metrics::Tokens(tokens) => ("bits per token", tokens.bits),
            Metrics::Transcripts(heard) => ("token error rate", heard.error_rate),
        }
    }

    /// What is predicted, where that is numbers.
    pub fn names(&self) -> Vec<String> {
        match self {
            Metrics::Values(values) => values.iter().map(|v| v.name.clone()).collect(),
            Metrics::Quantiles(targets) => targets.iter().map(|t| t.name.clone()).collect(),
            Metrics::Classes(_) | Metrics::Tokens(_) | Metrics::Transcripts(_) => Vec::new(),
        }
    }

    /// [`Self::error`] of one of [`Self::names`]; NaN where there is none.
    pub fn error_of(&self, target: usize) -> f64 {
        match self {
            Metrics::Values(values) => values.get(target).map_or(f64::NAN, |v| v.rmse),
            Metrics::Quantiles(targets) => targets.get(target).map_or(f64::NAN, |t| t.pinball),
            Metrics::Classes(_) | Metrics::Tokens(_) | Metrics::Transcripts(_) => f64::NAN,
        }
    }

    /// [`Self::headline`] where less is better: of accuracy the share that is wrong.
    pub fn error(&self) -> f64 {
        match self {
            Metrics::Classes(classes) => 1.0 - classes.accuracy,
            Metrics::Values(_)
            | Metrics::Quantiles(_)
            | Metrics::Tokens(_)
            | Metrics::Transcripts(_) => self.headline().1,
        }
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metrics::Values(values) => {
                for (k, v) in values.iter().enumerate() {
                    let separator = if k == 0 { "" } else { "; " };
                    let unit = if v.unit.is_empty() {
                        String::new()
                    } else {
                        format!(" {}", v.unit)
                    };
                    write!(
                        f,
                        "{separator}{}: RMSE {}{unit}, MAE {}{unit}",
                        v.name,
                        decimals(v.rmse, 4),
                        decimals(v.mae, 4)
                    )?;
                    if let Some(phm) = v.phm {
                        write!(f, ", PHM score {phm:.0}")?;
                    }
                }
                Ok(())
            }
            Metrics::Quantiles(targets) => {
                for (k, t) in targets.iter().enumerate() {
                    let separator = if k == 0 { "" } else { "; " };
                    write!(f, "{separator}{t}")?;
                }
                Ok(())
            }
            Metrics::Classes(c) => {
                write!(f, "accuracy {:.4}, macro F1 {:.4}", c.accuracy, c.macro_f1)?;
                match c.by_group {
                    Some(share) => write!(f, ", accuracy by group {share:.4}"),
                    None => Ok(()),
                }
            }
            Metrics::Tokens(t) => write!(
                f,
                "{:.4} bits per token, accuracy {:.4}",
                t.bits, t.accuracy
            ),
            Metrics::Transcripts(heard) => heard.fmt(f),
        }
    }
}

impl fmt::Display for QuantileMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit.as_str() {
            "" => String::new(),
            unit => format!(" {unit}"),
        };
        let pinball = decimals(self.pinball, 4);
        write!(f, "{}: pinball loss {pinball}{unit}", self.name)?;
        if let [lowest, .., highest] = &self.below[..] {
            write!(
                f,
                ", {:.1} % inside an interval for {:.1} %, {}{unit} wide, crossed in {:.2} %",
                100.0 * self.inside,
                100.0 * (highest.0 - lowest.0),
                decimals(self.width, 4),
                100.0 * self.crossed
            )?;
        }
        for (quantile, share) in &self.below {
            write!(
                f,
                ", below {}: {:.1} %",
                Target::at_quantile("", *quantile).trim_start_matches('_'),
                100.0 * share
            )?;
        }
        Ok(())
    }
}

/// Runs a predictor over a part, as a device that has been running, and compares. A part without outputs gives NaN.
pub fn evaluate(data: &Dataset, part: Part, predictor: &mut dyn Predictor) -> Metrics {
    let [metrics] = over(data, [data.running(part)], predictor);
    metrics
}

/// The same, where states run in over one window alone: less of the data is gone through.
pub(super) fn evaluate_shortly(
    data: &Dataset,
    part: Part,
    predictor: &mut dyn Predictor,
) -> Metrics {
    let [metrics] = over(data, [data.sequences(part)], predictor);
    metrics
}

/// [`evaluate`] for every part.
pub fn evaluate_parts(data: &Dataset, predictor: &mut dyn Predictor) -> [Metrics; 3] {
    over(data, Part::ALL.map(|part| data.running(part)), predictor)
}

/// Runs a predictor over the sequences of some parts. What begins at the same row is run through once.
fn over<'d, const PARTS: usize>(
    data: &'d Dataset,
    parts: [impl Iterator<Item = Sequence<'d>>; PARTS],
    predictor: &mut dyn Predictor,
) -> [Metrics; PARTS] {
    let parts = parts.into_iter().enumerate();
    let of = |(part, sequences)| Iterator::map(sequences, move |sequence| (part, sequence));
    let mut sequences: Vec<(usize, Sequence<'_>)> = parts.flat_map(of).collect();
    sequences.sort_by_key(|(_, sequence)| sequence.first_row());
    let mut out = vec![0.0; data.outputs()];
    let mut scores: [Score; PARTS] = std::array::from_fn(|_| Score::new(data));
    for together in sequences.chunk_by(|(_, a), (_, b)| a.first_row() == b.first_row()) {
        for (part, sequence) in together {
            scores[*part].start(sequence);
        }
        let Some((_, longest)) = together.iter().max_by_key(|(_, s)| s.steps()) else {
            continue;
        };
        predictor.begin(longest);
        for t in 0..longest.steps() {
            predictor.step(longest.raw(t), &mut out);
            for (part, sequence) in together {
                if t < sequence.steps() && sequence.counts(t) {
                    scores[*part].add(&out, sequence.truth(t));
                }
            }
        }
    }
    scores.map(|score| score.metrics(data.output()))
}

/// Running sums of all metrics.
pub(crate) struct Score {
    values: bool,
    squares: Vec<f64>,
    absolutes: Vec<f64>,
    phm: Vec<f64>,
    /// Empty where outputs are means.
    quantiles: Vec<f64>,
    pinball: Vec<f64>,
    below: Vec<usize>,
    /// For every target: truths inside, widths, crossings.
    intervals: Vec<Interval>,
    groups: Option<Groups>,
    heard: Option<Heard>,
    confusion: Vec<Vec<usize>>,
    bits: f64,
    count: usize,
}

/// Sums over the intervals of a target.
#[derive(Clone, Default)]
struct Interval {
    inside: usize,
    width: f64,
    crossed: usize,
}

/// Quantiles of a target, of all quantiles of all targets.
fn levels(quantiles: &[f64]) -> usize {
    let rises = quantiles.windows(2).take_while(|pair| pair[0] < pair[1]);
    (1 + rises.count()).min(quantiles.len().max(1))
}

/// Answers of whole groups.
#[derive(Default)]
struct Groups {
    /// The one that the outputs belong to now.
    current: Option<usize>,
    /// Sum of the log-probabilities of each class.
    votes: Vec<f64>,
    truth: usize,
    right: usize,
    count: usize,
}

impl Groups {
    fn start(&mut self, group: usize) {
        if self.current != Some(group) {
            self.close();
            self.current = Some(group);
        }
    }

    fn add(&mut self, out: &[f32], truth: usize) {
        self.votes.resize(out.len(), 0.0);
        for (vote, &p) in self.votes.iter_mut().zip(out) {
            *vote += known(p).ln();
        }
        self.truth = truth;
    }

    /// Counts the current group, if it had outputs.
    fn close(&mut self) {
        let votes = std::mem::take(&mut self.votes);
        let best = (0..votes.len()).max_by(|&a, &b| votes[a].total_cmp(&votes[b]));
        self.count += usize::from(best.is_some());
        self.right += usize::from(best == Some(self.truth));
    }

    fn share(mut self) -> f64 {
        self.close();
        self.right as f64 / self.count as f64
    }
}

/// What is heard, sequence by sequence.
#[derive(Default)]
struct Heard {
    /// The sequence that is heard now, if any.
    greedy: Option<Greedy>,
    tokens: Vec<usize>,
    said: Vec<usize>,
    mistakes: [usize; 3],
    exact: usize,
    count: usize,
    sequences: usize,
}

impl Heard {
    fn add(&mut self, out: &[f32], truth: f32) {
        let token = self.greedy.get_or_insert_default().push(out);
        self.tokens.extend(token);
        self.said.extend((truth >= 0.0).then_some(truth as usize));
    }

    /// Counts the current sequence, if there is one.
    fn close(&mut self) {
        if self.greedy.take().is_none() {
            return;
        }
        let Mistakes {
            wrong,
            added,
            missed,
        } = Mistakes::between(&self.said, &self.tokens);
        for (sum, mistakes) in self.mistakes.iter_mut().zip([wrong, added, missed]) {
            *sum += mistakes;
        }
        self.exact += usize::from(self.said == self.tokens);
        self.count += self.said.len();
        self.sequences += 1;
        self.tokens.clear();
        self.said.clear();
    }

    fn metrics(mut self) -> TranscriptMetrics {
        self.close();
        TranscriptMetrics {
            error_rate: self.mistakes.iter().sum::<usize>() as f64 / self.count as f64,
            exact: self.exact as f64 / self.sequences as f64,
            mistakes: self.mistakes,
            count: self.count,
            sequences: self.sequences,
        }
    }
}

/// A probability as far as it is known. The integer formats answer in Q15, where zero stands for anything below 2^-15,
/// not for the impossible: taken at its word, one such answer in three thousand would cost 0.03 bits in the mean. So in
/// every format the least is the middle of that range.
pub(crate) fn known(p: f32) -> f64 {
    f64::from(p.max(LEAST))
}

/// What a prediction adds to the PHM score.
fn phm(error: f64) -> f64 {
    let scale = if error < 0.0 { -13.0 } else { 10.0 };
    (error / scale).exp() - 1.0
}

impl Score {
    pub(crate) fn new(data: &Dataset) -> Self {
        let outputs = data.outputs();
        Score {
            values: matches!(data.output(), Output::Values(_)),
            squares: vec![0.0; outputs],
            absolutes: vec![0.0; outputs],
            phm: vec![0.0; outputs],
            quantiles: data.quantiles().to_vec(),
            pinball: vec![0.0; outputs],
            below: vec![0; outputs],
            intervals: vec![Interval::default(); outputs / levels(data.quantiles())],
            groups: None,
            heard: matches!(data.output(), Output::Transcript(_)).then(Heard::default),
            confusion: vec![vec![0; outputs]; outputs],
            bits: 0.0,
            count: 0,
        }
    }

    /// The outputs that come are of this sequence.
    pub(crate) fn start(&mut self, sequence: &Sequence<'_>) {
        if let Some(heard) = &mut self.heard {
            heard.close();
        } else if let Some(group) = sequence.group() {
            self.groups.get_or_insert_default().start(group);
        }
    }

    pub(crate) fn add(&mut self, out: &[f32], truth: &[f32]) {
        self.count += 1;
        if let Some(heard) = &mut self.heard {
            heard.add(out, truth[0]);
        } else if self.values {
            for (k, (&y, &truth)) in out.iter().zip(truth).enumerate() {
                let error = f64::from(y) - f64::from(truth);
                self.squares[k] += error * error;
                self.absolutes[k] += error.abs();
                self.phm[k] += phm(error);
                if let Some(&quantile) = self.quantiles.get(k) {
                    self.pinball[k] += pinball(error, quantile);
                    self.below[k] += usize::from(error >= 0.0);
                }
            }
            if !self.quantiles.is_empty() {
                self.add_intervals(out, truth);
            }
        } else {
            let class = truth[0] as usize;
            self.confusion[class][kinglet::argmax(out)] += 1;
            self.bits -= known(out[class]).log2();
            if let Some(groups) = &mut self.groups {
                groups.add(out, class);
            }
        }
    }

    fn add_intervals(&mut self, out: &[f32], truth: &[f32]) {
        let levels = levels(&self.quantiles);
        let targets = out.chunks(levels).zip(truth.chunks(levels));
        for (interval, (out, truth)) in self.intervals.iter_mut().zip(targets) {
            let (low, high) = (out[0], out[out.len() - 1]);
            interval.inside += usize::from((low..=high).contains(&truth[0]));
            interval.width += f64::from(high) - f64::from(low);
            interval.crossed += usize::from(!out.is_sorted());
        }
    }

    fn quantile_metrics(&self, targets: &[Target]) -> Metrics {
        let (levels, count) = (levels(&self.quantiles), self.count as f64);
        let of = |(k, target): (usize, &Target)| {
            let outputs = k * levels..(k + 1) * levels;
            let interval = &self.intervals[k];
            QuantileMetrics {
                name: target.of_quantile().to_owned(),
                unit: target.unit.clone(),
                pinball: self.pinball[outputs.clone()].iter().sum::<f64>() / levels as f64 / count,
                below: outputs
                    .map(|k| (self.quantiles[k], self.below[k] as f64 / count))
                    .collect(),
                inside: interval.inside as f64 / count,
                width: interval.width / count,
                crossed: interval.crossed as f64 / count,
                count: self.count,
            }
        };
        Metrics::Quantiles(targets.iter().step_by(levels).enumerate().map(of).collect())
    }

    pub(crate) fn metrics(self, output: &Output) -> Metrics {
        let count = self.count as f64;
        let right: usize = (0..self.confusion.len())
            .map(|k| self.confusion[k][k])
            .sum();
        let accuracy = right as f64 / count;
        match output {
            Output::Values(targets) if !self.quantiles.is_empty() => self.quantile_metrics(targets),
            Output::Values(targets) => Metrics::Values(
                targets
                    .iter()
                    .enumerate()
                    .map(|(k, target)| ValueMetrics {
                        name: target.name.clone(),
                        unit: target.unit.clone(),
                        rmse: (self.squares[k] / count).sqrt(),
                        mae: self.absolutes[k] / count,
                        phm: target.name.starts_with("remaining(").then_some(self.phm[k]),
                        count: self.count,
                    })
                    .collect(),
            ),
            Output::Classes(_) => Metrics::Classes(ClassMetrics {
                accuracy,
                macro_f1: macro_f1(&self.confusion),
                by_group: self.groups.map(Groups::share),
                confusion: self.confusion,
            }),
            Output::Transcript(_) => Metrics::Transcripts(self.heard.unwrap_or_default().metrics()),
            Output::NextToken => Metrics::Tokens(TokenMetrics {
                bits: self.bits / count,
                accuracy,
                count: self.count,
            }),
        }
    }
}

fn macro_f1(confusion: &[Vec<usize>]) -> f64 {
    let (mut sum, mut present) = (0.0, 0);
    for k in 0..confusion.len() {
        let truths: usize = confusion[k].iter().sum();
        let answers: usize = confusion.iter().map(|row| row[k]).sum();
        if truths + answers > 0 {
            sum += 2.0 * confusion[k][k] as f64 / (truths + answers) as f64;
            present += 1;
        }
    }
    sum / f64::from(present)
}

/// "Always the class that most training sequences have": the baseline that a classifier has to beat.
pub struct Majority {
    class: usize,
}

impl Majority {
    /// None where the outputs are not classes.
    pub fn new(data: &Dataset) -> Option<Self> {
        let Output::Classes(_) = data.output() else {
            return None;
        };
        let counts = data.class_counts(Part::Train);
        let most = counts.iter().copied().max()?;
        let class = counts.iter().position(|&count| count == most)?;
        Some(Majority { class })
    }
}

impl Predictor for Majority {
    fn reset(&mut self) {}

    fn step(&mut self, _raw: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        out[self.class] = 1.0;
    }
}

/// "As it is now": the baseline that a forecast has to beat. Only where every target is a feature.
#[derive(Debug, Clone)]
pub struct LastValue {
    places: Vec<Now>,
}

/// What a target is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// The number in this column.
    Value(usize),
    /// This column has its steps, and what is predicted is how far it goes from here.
    Steps(usize),
}

impl Now {
    /// The column.
    pub fn column(self) -> usize {
        match self {
            Now::Value(column) | Now::Steps(column) => column,
        }
    }
}

impl LastValue {
    /// None where a target has no current value.
    pub fn new(data: &Dataset) -> Option<Self> {
        let (Output::Values(targets), Input::Features(features)) = (data.output(), data.input())
        else {
            return None;
        };
        let place = |(k, target): (usize, &Target)| {
            let place = |name: &str| features.iter().position(|f| f.name == name);
            let value = || place(&target.name).or_else(|| place(target.column()));
            data.steps_of(k)
                .map(Now::Steps)
                .or_else(|| value().map(Now::Value))
        };
        let places = targets.iter().enumerate().map(place);
        Some(LastValue {
            places: places.collect::<Option<_>>()?,
        })
    }

    /// Where each output is now.
    pub fn places(&self) -> &[Now] {
        &self.places
    }
}

impl Predictor for LastValue {
    fn reset(&mut self) {}

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        for (out, place) in out.iter_mut().zip(&self.places) {
            *out = match *place {
                Now::Value(column) => raw[column],
                Now::Steps(_) => 0.0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy: `np.mean`, and `sklearn.metrics.mean_pinball_loss`.
    #[test]
    fn intervals_are_measured_target_by_target() {
        let names = ["a_q10", "a_q50", "a_q90"];
        let target = |name: &&str| Target {
            unit: "W".into(),
            ..Target::plain(*name)
        };
        let targets: Vec<Target> = names.iter().map(target).collect();
        let mut score = Score {
            values: true,
            squares: vec![0.0; 3],
            absolutes: vec![0.0; 3],
            phm: vec![0.0; 3],
            quantiles: vec![0.1, 0.5, 0.9],
            pinball: vec![0.0; 3],
            below: vec![0; 3],
            intervals: vec![Interval::default()],
            groups: None,
            heard: None,
            confusion: Vec::new(),
            bits: 0.0,
            count: 0,
        };
        for (out, truth) in [
            ([0.0, 1.0, 2.0], 1.5),
            ([1.0, 2.0, 4.0], 4.5),
            ([2.0, 1.0, 3.0], 0.5),
            ([0.0, 2.0, 5.0], 5.0),
        ] {
            score.add(&out, &[truth; 3]);
        }
        let Metrics::Quantiles(metrics) = score.metrics(&Output::Values(targets)) else {
            panic!("quantiles expected");
        };
        let m = &metrics[0];
        // 0.1: (0.15 + 0.35 + 1.35 + 0.5) / 4, 0.5: (0.25 + 1.25 + 0.25 + 1.5) / 4, 0.9: (0.05 + 0.45 + 0.25 + 0) / 4.
        let expected = (2.35 + 3.25 + 0.75) / 12.0;
        assert!((m.pinball - expected).abs() < 1e-6, "{}", m.pinball);
        assert_eq!(m.below, [(0.1, 0.25), (0.5, 0.25), (0.9, 0.75)]);
        assert_eq!((m.inside, m.width, m.crossed), (0.5, 2.75, 0.25));
        assert_eq!(
            m.to_string(),
            "a: pinball loss 0.5292 W, 50.0 % inside an interval for 80.0 %, 2.7500 W wide, crossed in 25.00 %, below q10: 25.0 %, \
             below q50: 25.0 %, below q90: 75.0 %"
        );
    }

    #[test]
    fn a_zero_of_the_integer_softmax_costs_sixteen_bits() {
        assert_eq!(-known(0.0).log2(), 16.0);
        assert_eq!(known(1.0 / 32768.0), 1.0 / 32768.0);
    }
}
