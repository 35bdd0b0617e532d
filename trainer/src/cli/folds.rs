//! The back-test of `kinglet train`: the same training from every origin, each measured on what came next.

use super::progress::{Shown, TrainingBar};
use super::say;
use anyhow::{Context, Result, bail};
use kinglet::Model;
use kinglet::format::Format;
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::decimals::decimals;
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{TestInputs, export};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::{Split, Task};
use kinglet_trainer::train::{Options, baselines, evaluate, fit};
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// What a fold's test part says about every rule and about the network in f32.
pub struct Folds {
    metric: &'static str,
    /// By name, in the order of the first fold; of every fold, if it has a row of that name.
    rows: Vec<(String, Vec<Option<f64>>)>,
    folds: usize,
}

impl Folds {
    /// Trains and measures all folds but the last, which is the training of the model itself: [`Folds::add`] it.
    pub fn run(task: &Task, folds: usize, shown: Shown, options: &Options<'_>) -> Result<Self> {
        let mut measured = Folds {
            metric: "",
            rows: Vec::new(),
            folds: 0,
        };
        for fold in 1..folds {
            let task = task.clone().with_split(Split::Fold { fold, of: folds })?;
            let of_fold = || format!("fold {fold} of {folds}");
            let data = Dataset::load(&task).with_context(of_fold)?;
            if shown != Shown::None {
                say(&of_fold());
            }
            let mut bar = TrainingBar::new(task.train.epochs, shown)?;
            let fitted = fit(&task, &data, options, &mut |now| {
                bar.show(now);
                ControlFlow::Continue(())
            });
            bar.finish();
            let fitted = fitted.with_context(of_fold)?;
            if fitted.cancelled {
                bail!("stopped in {}: nothing is written", of_fold());
            }
            measured.add(&task, &data, &fitted.package)?;
        }
        Ok(measured)
    }

    /// The figures of one more fold.
    pub fn add(&mut self, task: &Task, data: &Dataset, package: &Package) -> Result<()> {
        let streams = Stream::of_dataset(data);
        let ranges = Ranges::measure(&package.net, &streams);
        let tests = TestInputs::synthetic(package);
        let exported = export(package, Format::F32, Some(&ranges), &tests)?;
        let model = Model::from_bytes(&exported.bytes)?;
        let mut predictors = baselines(task, data);
        predictors.push(("f32".to_owned(), Box::new(EnginePredictor::new(&model))));
        self.folds += 1;
        for (name, predictor) in &mut predictors {
            let metrics = evaluate(data, Part::Test, &mut **predictor);
            let (metric, value) = metrics.headline();
            self.metric = metric;
            // Every fold finds a season of its own.
            let name = match name.ends_with("rows ago") {
                true => "last season",
                false => name,
            };
            let row = match self.rows.iter().position(|row| row.0 == name) {
                Some(row) => &mut self.rows[row].1,
                None => {
                    self.rows.push((name.to_owned(), Vec::new()));
                    &mut self.rows.last_mut().context("a row was added")?.1
                }
            };
            row.resize(self.folds - 1, None);
            row.push(Some(value));
        }
        Ok(())
    }

    /// The same as [`Folds::lines`] for programs.
    pub fn json(&self) -> Value {
        let row = |(name, values): &(String, Vec<Option<f64>>)| {
            let values = self.of_all(values);
            let whole: Option<Vec<f64>> = values.iter().copied().collect();
            let about = whole.map(|values| mean_and_spread(&values));
            json!({
                "name": name,
                "folds": values,
                "mean": about.map(|[mean, _]| mean),
                "spread": about.map(|[_, spread]| spread),
            })
        };
        json!({ "metric": self.metric, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }

    /// A row up to the last fold, which may have none of that name.
    fn of_all(&self, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let mut values = values.to_vec();
        values.resize(self.folds, None);
        values
    }

    /// A line per rule and for the network: every fold, their mean and spread.
    pub fn lines(&self) -> Vec<String> {
        let width = self.rows.iter().map(|row| row.0.len()).max();
        let width = width.unwrap_or(0).max(13);
        let names = (1..=self.folds).map(|fold| format!("fold {fold}"));
        let names = names.chain(["mean".to_owned(), "spread".to_owned()]);
        let names: String = names.map(|name| format!("  {name:>9}")).collect();
        let mut lines = vec![format!("back-test, {} of the test parts", self.metric)];
        lines.push(format!("{:<width$}{names}", ""));
        for (name, values) in &self.rows {
            let mut numbers = self.of_all(values);
            // What only some folds have a row for has no mean over all of them.
            let whole: Option<Vec<f64>> = numbers.iter().copied().collect();
            numbers.extend(
                whole
                    .iter()
                    .flat_map(|values| mean_and_spread(values))
                    .map(Some),
            );
            let shown = |v: &Option<f64>| v.map_or("-".to_owned(), |v| decimals(v, 5));
            let numbers: String = numbers
                .iter()
                .map(|v| format!("  {:>9}", shown(v)))
                .collect();
            lines.push(format!("{name:<width$}{numbers}"));
        }
        lines
    }
}

/// The mean, and the standard deviation of a sample.
fn mean_and_spread(values: &[f64]) -> [f64; 2] {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    [mean, (squares / (count - 1.0)).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_a_fold_does_not_have_leaves_its_place_empty() {
        let row = |name: &str, values: &[Option<f64>]| (name.to_owned(), values.to_vec());
        let folds = Folds {
            metric: "RMSE",
            rows: vec![
                row("f32", &[Some(1.0), Some(2.0), Some(3.0)]),
                row("last season", &[None, Some(4.0)]),
            ],
            folds: 3,
        };
        let lines = folds.lines();
        let words: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(words, ["last", "season", "-", "4.00000", "-"]);
        assert!(
            lines[2].contains("2.00000    3.00000    2.00000    1.00000"),
            "{}",
            lines[2]
        );
    }

    /// `numpy.mean` and `numpy.std(ddof=1)`.
    #[test]
    fn the_spread_is_that_of_a_sample() {
        let [mean, spread] = mean_and_spread(&[0.5, 0.7, 0.4, 0.9]);
        assert!((mean - 0.625).abs() < 1e-12);
        assert!((spread - 0.22173557826083453).abs() < 1e-12);
    }
}
