//! What may come, many rows ahead: fans of paths at some places of the part, beside what came, and how often it lay within.

use super::chart::{Axis, Chart, Ink};
use super::html::{Table, figure, heading, number, paragraph, percent, section};
use crate::ahead::{Futures, Walk, quantile};
use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::model_file::input_names;
use crate::package::Shape;
use crate::train::Predictor;
use anyhow::{Result, ensure};
use kinglet::Model;
use std::collections::VecDeque;

const SEED: u64 = 1;
const PATHS: usize = 200;
/// Places that count.
const PLACES: usize = 40;
/// Of these the ones that are drawn.
const SHOWN: usize = 3;
/// Rows whose errors are drawn from.
const ERRORS: usize = 1000;
/// Ends of the band, and the middle.
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

pub(super) fn fan(
    (data, part): (&Dataset, Part),
    (name, model): (&str, &Model<'_>),
    steps: usize,
) -> Result<String> {
    let mut futures = Futures::new(model, SEED);
    let fed: Vec<(usize, usize, String)> = futures
        .fed()
        .map(|(number, place)| (number, place, input_names(model)[place].0.to_owned()))
        .collect();
    ensure!(
        !fed.is_empty() && !model.is_bidirectional(),
        "--ahead feeds outputs back, and no output of this model is the next value of an input"
    );
    let mut walker = Walker::new(data, model);
    for row in walker.places(Part::Valid, 1, ERRORS) {
        let y = walker.run_to(row);
        if let Some(next) = data.earlier(row + 1, 0) {
            futures.meet(&y, next);
        }
    }
    let places = walker.places(part, steps, PLACES);
    ensure!(
        !places.is_empty() && futures.errors() != Some(0),
        "--ahead {steps}: no place of the {} part has a window before it and so many rows behind it, or the validation part has none",
        part.name()
    );
    let mut fans = Vec::new();
    for &row in &places {
        let y = walker.run_to(row);
        let sample = data.earlier(row, 0).unwrap_or_default();
        fans.push((row, futures.fan(&mut walker, (&y, sample), (steps, PATHS))));
    }

    let held = input_names(model).into_iter().enumerate();
    let held = held.filter(|(place, _)| fed.iter().all(|(_, fed, _)| fed != place));
    let held: Vec<&str> = held.map(|(_, name)| name.0).collect();
    let source = match futures.errors() {
        None => "what its own quantiles say of the next row".to_owned(),
        Some(errors) => format!(
            "its prediction and one of its {errors} errors on the validation part, as if they were equally large everywhere"
        ),
    };
    let mut body = paragraph(&format!(
        "{name} goes {PATHS} paths from a row of the {} part on: on each path {source} is drawn and fed back, {steps} rows far. It sees nothing \
         of what came.",
        part.name()
    ));
    if !held.is_empty() {
        body += &paragraph(&format!(
            "What is not predicted stays as it was: {}.",
            held.join(", ")
        ));
    }
    for (number_of, place, name) in &fed {
        body += &heading(name);
        let came = |row: usize| data.earlier(row, 0).map(|sample| f64::from(sample[*place]));
        for (row, fan) in fans.iter().step_by(fans.len().div_ceil(SHOWN)) {
            let at = |step: usize, level| f64::from(quantile(&fan[step][*number_of], level));
            let before = 2 * steps.min(*row / 2);
            let truth = (row - before..=row + steps)
                .filter_map(|r| Some((r as f64 - *row as f64, came(r)?)));
            let truth: Vec<(f64, f64)> = truth.collect();
            let ends = (0..steps).flat_map(|step| [at(step, LEVELS[0]), at(step, LEVELS[2])]);
            let y = Axis::around(name, truth.iter().map(|point| point.1).chain(ends));
            let x = Axis::new("rows ahead", -(before as f64), steps as f64);
            let mut chart = Chart::new(&format!("Fan of {name}"), x, y).height(220.0);
            let band = (0..steps).map(|s| (s as f64 + 1.0, at(s, LEVELS[0]), at(s, LEVELS[2])));
            chart.band(Ink::Series(0), "80 % of the paths", band);
            chart.line(Ink::Truth, "truth", truth.into_iter());
            let middle = (0..steps).map(|s| (s as f64 + 1.0, at(s, LEVELS[1])));
            chart.line(Ink::Series(0), "middle of the paths", middle);
            body += &figure(
                &chart.finish(),
                &format!("From row {row} of those that are used."),
            );
        }
        let mut table = Table::new(&[
            "rows ahead",
            "came within 80 % of the paths",
            "mean width",
            "mean error of the middle",
            "of the last value",
        ]);
        for step in [0, steps.div_ceil(2) - 1, steps - 1] {
            let mut sums = [0.0; 4];
            for (row, fan) in &fans {
                let [low, middle, high] =
                    LEVELS.map(|level| f64::from(quantile(&fan[step][*number_of], level)));
                let (Some(now), Some(truth)) = (came(*row), came(row + step + 1)) else {
                    continue;
                };
                sums[0] += f64::from(u8::from((low..=high).contains(&truth)));
                sums[1] += high - low;
                sums[2] += (middle - truth).abs();
                sums[3] += (now - truth).abs();
            }
            let [within, width, error, last] = sums.map(|sum| sum / fans.len() as f64);
            table.row(&[
                (step + 1).to_string(),
                percent(within),
                number(width),
                number(error),
                number(last),
            ]);
        }
        body += &table.finish();
    }
    Ok(section("ahead", "Ahead", &body))
}

/// A model along the rows of its data, from a window before any of them.
struct Walker<'d, 'm> {
    data: &'d Dataset,
    predictor: EnginePredictor<'m>,
    /// Of a model whose windows each start at zero, the samples of the last one.
    recent: Option<VecDeque<Vec<f32>>>,
    mark: (EnginePredictor<'m>, Option<VecDeque<Vec<f32>>>),
}

impl<'d, 'm> Walker<'d, 'm> {
    fn new(data: &'d Dataset, model: &'m Model<'m>) -> Self {
        let predictor = EnginePredictor::new(model);
        let exact = matches!(data.shape(), Shape::Window { exact: true, .. });
        let recent = exact.then(VecDeque::new);
        Walker {
            data,
            mark: (predictor.clone(), recent.clone()),
            predictor,
            recent,
        }
    }

    /// Rows of a part with a window before them and so many rows behind them, at most so many, evenly chosen.
    fn places(&self, part: Part, steps: usize, most: usize) -> Vec<usize> {
        let pieces = || self.data.pieces(part);
        let first = pieces().map(|piece| piece.start).min().unwrap_or(0);
        let end = pieces().map(|piece| piece.end).max().unwrap_or(0);
        let back = steps + self.data.window() - 1;
        let all = (first..end).filter(|row| self.data.earlier(row + steps, back).is_some());
        let all: Vec<usize> = all.collect();
        let each = all.len().div_ceil(most).max(1);
        all.into_iter().step_by(each).collect()
    }

    /// The prediction at a row, after the window that ends with it.
    fn run_to(&mut self, row: usize) -> Vec<f32> {
        let mut y = vec![0.0; self.data.outputs()];
        self.predictor.reset();
        let samples = (0..self.data.window()).rev();
        let samples = samples.filter_map(|back| self.data.earlier(row, back));
        for sample in samples.clone() {
            self.predictor.step(sample, &mut y);
        }
        if let Some(recent) = &mut self.recent {
            *recent = samples.map(<[f32]>::to_vec).collect();
        }
        self.mark = (self.predictor.clone(), self.recent.clone());
        y
    }
}

impl Walk for Walker<'_, '_> {
    fn back(&mut self) {
        (self.predictor, self.recent) = self.mark.clone();
    }

    fn step(&mut self, sample: &[f32], y: &mut [f32]) {
        match &mut self.recent {
            None => self.predictor.step(sample, y),
            Some(recent) => {
                recent.pop_front();
                recent.push_back(sample.to_vec());
                self.predictor.reset();
                recent
                    .iter()
                    .for_each(|sample| self.predictor.step(sample, y));
            }
        }
    }
}
