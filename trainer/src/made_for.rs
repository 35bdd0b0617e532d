//! What a model was made for, as far as its file says it, against the data that it is to be measured or trained on with.

use kinglet::Model;
use kinglet::format;

use crate::data::{Dataset, Written};
use crate::package::{Input, Output, Package, Shape};

/// When a model answers, and about which row.
#[derive(Debug, Clone, Copy)]
pub struct MadeFor {
    /// Samples of a window; none where the state runs on.
    window: Option<usize>,
    /// Rows ahead; none where nobody said, as of a model that was imported.
    horizon: Option<usize>,
}

/// What is not as the data has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlike {
    /// It answers another question.
    Other(String),
    /// It may.
    Told(String),
}

impl Unlike {
    /// In words.
    pub fn words(&self) -> &str {
        match self {
            Unlike::Other(words) | Unlike::Told(words) => words,
        }
    }
}

impl MadeFor {
    /// Of a package.
    pub fn of(package: &Package) -> Self {
        let window = match package.shape {
            Shape::EveryStep => None,
            Shape::Window { window, .. } => Some(window),
        };
        let next = match &package.output {
            Output::Values(targets) => targets.iter().any(|target| target.feeds.is_some()),
            _ => false,
        };
        Self::with(window, next, &package.written)
    }

    /// Of a model file.
    pub fn of_model(bytes: &[u8], model: &Model<'_>) -> Self {
        let window = match model.header().shape {
            format::Shape::Window { window, .. } => Some(window as usize),
            _ => None,
        };
        let inputs = model.inputs();
        let next = |target: &format::Target| (target.feeds as usize) < inputs;
        let written = Written::in_model(bytes).unwrap_or_default();
        Self::with(window, model.targets().iter().any(next), &written)
    }

    fn with(window: Option<usize>, next: bool, written: &Written) -> Self {
        let horizon = match written.horizon {
            1 => next.then_some(1),
            horizon => Some(horizon),
        };
        MadeFor { window, horizon }
    }

    /// What is not as the data has it.
    pub fn unlike(&self, data: &Dataset) -> Vec<Unlike> {
        let mut unlike = Vec::new();
        // Texts and transcripts are as long as they are.
        if !data.lengths_differ() && matches!(data.input(), Input::Features(_)) {
            let samples = |window: usize| match window {
                1 => "single samples".to_owned(),
                window => format!("windows of {window} samples"),
            };
            unlike.extend(match (self.window, data.shape()) {
                (Some(own), Shape::Window { window, .. }) if own != window => {
                    Some(Unlike::Other(format!(
                        "the model was made for {}, and the task has {} (shape.window)",
                        samples(own),
                        samples(window)
                    )))
                }
                (Some(own), Shape::EveryStep) => Some(Unlike::Told(format!(
                    "the model was made for {}, and with the task's kind its state runs on",
                    samples(own)
                ))),
                (None, Shape::Window { window, .. }) => Some(Unlike::Told(format!(
                    "the model was made for a state that runs on, and the task has {}",
                    samples(window)
                ))),
                _ => None,
            });
        }
        // Several are in the names of outputs.
        let rows = |horizon: usize| match horizon {
            0 => "the row itself".to_owned(),
            1 => "the next row".to_owned(),
            horizon => format!("{horizon} rows ahead"),
        };
        let wanted = data.written().horizon;
        match self.horizon {
            Some(own) if own != wanted => unlike.push(Unlike::Other(format!(
                "the model was made for {}, and the task predicts {} (shape.horizon)",
                rows(own),
                rows(wanted)
            ))),
            None if wanted != 1 => unlike.push(Unlike::Told(format!(
                "the model's file says no horizon, which stands for the next row unless it was imported, and the task predicts {}",
                rows(wanted)
            ))),
            _ => {}
        }
        unlike
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::csv::{Format, Table};
    use crate::net::Network;
    use crate::task::Task;
    use std::path::Path;

    fn data(kind: &str, window: usize, horizon: usize) -> Dataset {
        let csv = (0..60).map(|t| format!("{}\n", t * 7 % 13));
        let csv = "x\n".to_owned() + &csv.collect::<String>();
        let task = format!(
            "name = \"t\"\n[csv]\nfile = \"t.csv\"\n[series]\nfeatures = [\"x\"]\ntargets = [\"x\"]\n[shape]\nkind = \"{kind}\"\n\
             window = {window}\nhorizon = {horizon}\n[network]\nhidden = [2]\n"
        );
        let task = Task::parse(&task, Path::new("t.toml")).unwrap();
        let table = Table::from_reader(csv.as_bytes(), "t.csv", &Format::default()).unwrap();
        Dataset::from_table(&task, &table).unwrap()
    }

    #[test]
    fn another_window_or_horizon_is_another_question() {
        let own = data("many-to-one", 4, 2);
        let made = MadeFor::of(&own.package(Network { layers: Vec::new() }));
        assert_eq!(made.unlike(&own), []);
        let words = |kind, window, horizon| -> Vec<String> {
            let unlike = made.unlike(&data(kind, window, horizon));
            let other = |unlike: &Unlike| matches!(unlike, Unlike::Other(_));
            let told = unlike.iter().map(|u| format!("{} {}", other(u), u.words()));
            told.collect()
        };
        assert_eq!(
            words("many-to-one", 6, 2),
            [
                "true the model was made for windows of 4 samples, and the task has windows of 6 samples (shape.window)"
            ]
        );
        assert_eq!(
            words("many-to-one", 4, 1),
            [
                "true the model was made for 2 rows ahead, and the task predicts the next row (shape.horizon)"
            ]
        );
        assert_eq!(
            words("many-to-many", 4, 2),
            [
                "false the model was made for windows of 4 samples, and with the task's kind its state runs on"
            ]
        );
        // What predicts the next row says so by what it feeds.
        let next = data("many-to-one", 4, 1).package(Network { layers: Vec::new() });
        assert!(matches!(
            MadeFor::of(&next).unlike(&own)[..],
            [Unlike::Other(_)]
        ));
        let imported = Package::of_numbers("t", Network { layers: Vec::new() });
        let horizon = |unlike: &Unlike| unlike.words().contains("says no horizon");
        assert!(MadeFor::of(&imported).unlike(&own).iter().any(horizon));
    }
}
