//! What may differ between trials, and how a task file is changed to be one.

use std::fmt;
use std::ops::RangeInclusive;

use anyhow::{Context, Result};
use toml_edit::{Array, DocumentMut, Item, Table, value};

use crate::budget::Budget;
use crate::train::init::Rng;

/// The kernels compute eight units at a time, so other widths would waste some.
const UNITS: usize = 8;

/// What may differ; what is not named stays as in the task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Space {
    /// Cells, as task files name them.
    pub cells: Vec<String>,
    /// Width of the recurrent layers, drawn evenly by its logarithm, a multiple of 8 where there is one in the range.
    pub hidden: Option<RangeInclusive<usize>>,
    /// Number of recurrent layers, all of the same width.
    pub layers: Option<RangeInclusive<usize>>,
    /// Samples of a window, by its logarithm.
    pub window: Option<RangeInclusive<usize>>,
    /// By its logarithm, two digits of it.
    pub learning_rate: Option<RangeInclusive<f64>>,
}

/// One choice; what is none stays as in the task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trial {
    /// The cell.
    pub cell: Option<String>,
    /// Width of each layer.
    pub hidden: Option<usize>,
    /// Number of layers.
    pub layers: Option<usize>,
    /// Samples.
    pub window: Option<usize>,
    /// Step size at the start.
    pub learning_rate: Option<f64>,
}

impl Space {
    /// One of the trials that are possible.
    pub fn draw(&self, rng: &mut Rng) -> Trial {
        let mut place = || f64::from(rng.uniform());
        let cell = (!self.cells.is_empty())
            .then(|| self.cells[(place() * self.cells.len() as f64) as usize].clone());
        let mut whole = |range: &Option<RangeInclusive<usize>>| {
            range.as_ref().map(|range| {
                // Up to the next number, so that the last one is as likely as the others.
                let (low, high) = (*range.start() as f64, *range.end() as f64 + 1.0);
                (by_logarithm(low, high, place()) as usize).min(*range.end())
            })
        };
        let (hidden, layers, window) = (
            whole(&self.hidden),
            whole(&self.layers),
            whole(&self.window),
        );
        let rounded = |hidden: usize| {
            let near = (hidden + UNITS / 2) / UNITS * UNITS;
            // Of a short range all numbers count.
            let wide = |range: &&RangeInclusive<usize>| {
                range.end() - range.start() >= 2 * UNITS && range.contains(&near)
            };
            self.hidden.as_ref().filter(wide).map_or(hidden, |_| near)
        };
        let learning_rate = self.learning_rate.as_ref().map(|range| {
            let rate = by_logarithm(*range.start(), *range.end(), place());
            let digit = 10f64.powf(rate.log10().floor() - 1.0);
            let rate = (rate / digit).round() * digit;
            // As it is printed, so that a file and a trial agree.
            format!("{:.1e}", rate.clamp(*range.start(), *range.end()))
                .parse()
                .unwrap_or(rate)
        });
        Trial {
            cell,
            hidden: hidden.map(rounded),
            layers,
            window,
            learning_rate,
        }
    }
}

fn by_logarithm(low: f64, high: f64, place: f64) -> f64 {
    low * (high / low).powf(place)
}

impl Trial {
    /// The task file's text with this trial's choices in it, comments and all.
    ///
    /// # Errors
    /// If it is not TOML.
    pub fn apply(&self, text: &str) -> Result<String> {
        let mut document: DocumentMut = text.parse().context("not a task file")?;
        let mut set = |section: &str, key: &str, new: Item| {
            let section = document.entry(section).or_insert(Item::Table(Table::new()));
            let old = section
                .get(key)
                .and_then(Item::as_value)
                .map(|v| v.decor().clone());
            section[key] = new;
            if let (Some(decor), Some(new)) = (old, section[key].as_value_mut()) {
                *new.decor_mut() = decor;
            }
        };
        if let Some(cell) = &self.cell {
            set("network", "cell", value(cell));
        }
        if self.hidden.is_some() || self.layers.is_some() {
            let old: Vec<i64> = hidden_of(text)?;
            let width = self
                .hidden
                .map_or(old.first().copied().unwrap_or(1), |h| h as i64);
            let widths = match self.layers {
                Some(layers) => vec![width; layers],
                None => vec![width; old.len().max(1)],
            };
            set("network", "hidden", value(Array::from_iter(widths)));
        }
        if let Some(window) = self.window {
            set("shape", "window", value(window as i64));
        }
        if let Some(rate) = self.learning_rate {
            set("train", "learning_rate", value(rate));
        }
        Ok(document.to_string())
    }
}

/// The task with the number format, and of `mixed` the budget, that its trials were judged by.
///
/// # Errors
/// If it is not TOML.
pub fn judged(text: &str, precision: &str, budget: &Budget) -> Result<String> {
    let mut document: DocumentMut = text.parse().context("not a task file")?;
    let output = document
        .entry("output")
        .or_insert_with(|| Item::Table(Table::new()));
    let output = output.as_table_like_mut().context("output is a table")?;
    let mut set = |key: &str, to: Option<toml_edit::Value>| match (to, output.get_mut(key)) {
        (Some(to), Some(item)) => {
            let decor = item.as_value().map(|v| v.decor().clone());
            *item = value(to);
            if let (Some(value), Some(decor)) = (item.as_value_mut(), decor) {
                *value.decor_mut() = decor;
            }
        }
        (Some(to), None) => {
            output.insert(key, value(to));
        }
        (None, _) => {
            output.remove(key);
        }
    };
    let mixed = precision == "mixed";
    let of_mixed = |to: Option<toml_edit::Value>| to.filter(|_| mixed);
    set("precision", Some(precision.into()));
    set(
        "max_flash",
        of_mixed(budget.flash.map(|bytes| bytes.to_string().into())),
    );
    set(
        "max_cycles",
        of_mixed(budget.cycles.map(|cycles| (cycles as i64).into())),
    );
    set("core", of_mixed(budget.core.map(|core| core.key().into())));
    Ok(document.to_string())
}

fn hidden_of(text: &str) -> Result<Vec<i64>> {
    let document: DocumentMut = text.parse().context("not a task file")?;
    let hidden = document.get("network").and_then(|n| n.get("hidden"));
    let hidden = hidden.and_then(Item::as_array).into_iter().flatten();
    Ok(hidden.filter_map(toml_edit::Value::as_integer).collect())
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |name: &str, value: Option<usize>| value.map(|v| format!("{name} {v}"));
        let parts = [
            self.cell.clone(),
            number("hidden", self.hidden),
            number("layers", self.layers),
            number("window", self.window),
            self.learning_rate.map(|rate| format!("rate {rate}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space {
            cells: vec!["lstm".into(), "gru".into()],
            hidden: Some(4..=64),
            layers: Some(1..=2),
            window: Some(6..=48),
            learning_rate: Some(1e-3..=1e-2),
        }
    }

    #[test]
    fn draws_stay_within_the_space_and_reach_its_ends() {
        let mut rng = Rng::new(1);
        let trials: Vec<Trial> = (0..2000).map(|_| space().draw(&mut rng)).collect();
        for trial in &trials {
            assert!((4..=64).contains(&trial.hidden.unwrap()), "{trial}");
            assert!(
                (1e-3..=1e-2).contains(&trial.learning_rate.unwrap()),
                "{trial}"
            );
        }
        let windows = |w| trials.iter().any(|t| t.window == Some(w));
        assert!(windows(6) && windows(48));
        let gru = trials
            .iter()
            .filter(|t| t.cell.as_deref() == Some("gru"))
            .count();
        assert!((900..1100).contains(&gru), "{gru}");
        let odd = |t: &&Trial| !t.hidden.unwrap().is_multiple_of(8) && t.hidden.unwrap() > 4;
        assert_eq!(trials.iter().find(odd), None);
    }

    #[test]
    fn a_trial_changes_its_keys_and_nothing_else() {
        let text =
            "# why\n[shape]\nwindow = 7 # a week\n[network]\ncell = \"rnn\"\nhidden = [16, 8]\n";
        let trial = Trial {
            cell: Some("lstm".into()),
            hidden: Some(24),
            window: Some(14),
            learning_rate: Some(0.002),
            ..Trial::default()
        };
        assert_eq!(
            trial.apply(text).unwrap(),
            "# why\n[shape]\nwindow = 14 # a week\n[network]\ncell = \"lstm\"\nhidden = [24, 24]\n\n[train]\nlearning_rate = 0.002\n"
        );
        assert_eq!(Trial::default().apply(text).unwrap(), text);
    }
}
