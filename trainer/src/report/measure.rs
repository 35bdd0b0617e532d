//! All predictors over the same samples, side by side: what each gives is compared with the truth and with f32 at
//! every step, so nothing but a number per step has to be kept, however large the alphabet.

use crate::data::{Dataset, Part};
use crate::package::Output;
use crate::train::{Metrics, Predictor, Score};
use kinglet::argmax;

/// What a predictor did.
pub(super) struct Run {
    pub name: String,
    pub metrics: Metrics,
    /// Values: all outputs of every step. Transcripts: the likeliest class. Otherwise: the probability that it gave to what was right.
    pub kept: Vec<f32>,
    /// How far the outputs of every step are from those of the first predictor: values in units of the truth's spread
    /// (RMS over the targets), probabilities as the share that lies elsewhere.
    pub gap: Vec<f32>,
}

impl Run {
    /// RMS of the gap.
    pub(super) fn rms_gap(&self) -> f64 {
        rms(&self.gap)
    }

    pub(super) fn max_gap(&self) -> f64 {
        self.gap
            .iter()
            .fold(0.0, |max, &gap| max.max(f64::from(gap)))
    }
}

pub(super) fn rms(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
    (squares / values.len() as f64).sqrt()
}

/// A part of the data, run through.
pub(super) struct Measured {
    pub part: Part,
    /// Of every step that counts: the values, or the number of the class or token.
    pub truth: Vec<f32>,
    /// Of every step the number of its group, and when its target is.
    pub groups: Vec<Option<usize>>,
    pub times: Vec<Option<f64>>,
    /// In the order of the predictors.
    pub runs: Vec<Run>,
}

impl Measured {
    /// Steps that count.
    pub(super) fn steps(&self, data: &Dataset) -> usize {
        self.truth.len() / truth_width(data)
    }
}

fn truth_width(data: &Dataset) -> usize {
    match data.output() {
        Output::Values(targets) => targets.len(),
        Output::Classes(_) | Output::Transcript(_) | Output::NextToken => 1,
    }
}

/// The test part; without one the validation part.
pub(super) fn part(data: &Dataset) -> Part {
    if data.sequences(Part::Test).next().is_some() {
        Part::Test
    } else {
        Part::Valid
    }
}

/// Runs all predictors; gaps are to the first.
pub(super) fn measure(
    data: &Dataset,
    part: Part,
    predictors: &mut [(String, Box<dyn Predictor + '_>)],
) -> Measured {
    let truth = truths(data, part);
    let spread = spreads(&truth, truth_width(data));
    let values = matches!(data.output(), Output::Values(_));
    let mut outputs = vec![vec![0.0; data.outputs()]; predictors.len()];
    let mut scores: Vec<Score> = predictors.iter().map(|_| Score::new(data)).collect();
    let (mut groups, mut times) = (Vec::new(), Vec::new());
    let mut kept = vec![Vec::new(); predictors.len()];
    let mut gaps = vec![Vec::new(); predictors.len()];
    for sequence in data.running(part) {
        for (_, predictor) in predictors.iter_mut() {
            predictor.begin(&sequence);
        }
        scores.iter_mut().for_each(|score| score.start(&sequence));
        for t in 0..sequence.steps() {
            for ((_, predictor), out) in predictors.iter_mut().zip(&mut outputs) {
                predictor.step(sequence.raw(t), out);
            }
            if !sequence.counts(t) {
                continue;
            }
            groups.push(sequence.group());
            times.push(sequence.time(t));
            let truth = sequence.truth(t);
            for (k, out) in outputs.iter().enumerate() {
                scores[k].add(out, truth);
                if values {
                    kept[k].extend_from_slice(out);
                    gaps[k].push(values_gap(out, &outputs[0], &spread));
                } else {
                    kept[k].push(match data.output() {
                        Output::Transcript(_) => argmax(out) as f32,
                        _ => out[truth[0] as usize],
                    });
                    gaps[k].push(probabilities_gap(out, &outputs[0]));
                }
            }
        }
    }
    let runs = predictors
        .iter()
        .zip(scores)
        .zip(kept.into_iter().zip(gaps));
    let run = |(((name, _), score), (kept, gap)): ((&(String, _), Score), (_, _))| Run {
        name: name.clone(),
        metrics: score.metrics(data.output()),
        kept,
        gap,
    };
    Measured {
        part,
        truth,
        groups,
        times,
        runs: runs.map(run).collect(),
    }
}

fn truths(data: &Dataset, part: Part) -> Vec<f32> {
    let mut truth = Vec::new();
    for sequence in data.sequences(part) {
        for t in (0..sequence.steps()).filter(|&t| sequence.counts(t)) {
            truth.extend_from_slice(sequence.truth(t));
        }
    }
    truth
}

/// Standard deviation of every column.
fn spreads(table: &[f32], width: usize) -> Vec<f64> {
    let column = |k| table.iter().skip(k).step_by(width).map(|&v| f64::from(v));
    let spread = |k| {
        let count = column(k).count() as f64;
        let mean = column(k).sum::<f64>() / count;
        (column(k).map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt()
    };
    (0..width).map(spread).collect()
}

fn values_gap(y: &[f32], reference: &[f32], spread: &[f64]) -> f32 {
    let differences = y.iter().zip(reference).zip(spread);
    let squares: f64 = differences
        .map(|((y, r), spread)| ((f64::from(*y) - f64::from(*r)) / spread.max(1e-30)).powi(2))
        .sum();
    (squares / y.len() as f64).sqrt() as f32
}

fn probabilities_gap(p: &[f32], reference: &[f32]) -> f32 {
    p.iter()
        .zip(reference)
        .map(|(p, r)| (p - r).abs())
        .sum::<f32>()
        / 2.0
}
