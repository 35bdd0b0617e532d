//! What the network was trained with: the data file, the hyperparameters that the task gives, and what came of it on the
//! parts that training has seen.

use super::counted;
use super::html::{Table, count, number, section};
use crate::data::{Dataset, Part};
use crate::task::{ClassWeights, Split, Task};
use crate::train::{Predictor, evaluate_parts};
use std::fmt::Debug;

/// `parts`: predictors by name, to be measured on every part.
pub(super) fn setup(
    task: &Task,
    data: &Dataset,
    parts: &mut [(&str, &mut (dyn Predictor + '_))],
) -> String {
    let mut body = metrics(data, parts);
    let mut table = Table::new(&["task", ""]);
    for (name, value) in keys(task, data) {
        table.row(&[name, &value]);
    }
    body += &table
        .finish()
        .replacen("<table", "<table class=\"keys\"", 1);
    section("setup", "Data and training", &body)
}

fn metrics(data: &Dataset, parts: &mut [(&str, &mut (dyn Predictor + '_))]) -> String {
    let outputs = |part| {
        let sequences = data.sequences(part);
        let counted = sequences.map(|s| (0..s.steps()).filter(|&t| s.counts(t)).count());
        counted.sum::<usize>()
    };
    let mut rows = Vec::new();
    let mut metric = "";
    for (name, predictor) in parts {
        let mut row = vec![(*name).to_owned()];
        for metrics in evaluate_parts(data, &mut **predictor) {
            let (of, value) = metrics.headline();
            metric = of;
            row.push(number(value));
        }
        rows.push(row);
    }
    let mut table = Table::new(&[metric, "train", "valid", "test"]);
    for row in &rows {
        table.row(row);
    }
    let counts = Part::ALL.map(|part| count(outputs(part)));
    let [train, valid, test] = &counts;
    table.row(&[counted(data), train, valid, test]);
    table.finish()
}

/// Keys of the task with what they say, or what applies where they say nothing.
fn keys(task: &Task, data: &Dataset) -> Vec<(&'static str, String)> {
    let (shape, net, train) = (&task.shape, &task.network, &task.train);
    let word = |debug: String| debug.to_lowercase();
    let path = task.data_path().map(|path| path.display().to_string());
    let mut keys = Vec::new();
    let mut key = |name, value: String| keys.push((name, value));
    if let Some(path) = path {
        key("data file", path);
    }
    if let Some(series) = task.series() {
        key("split", split(&series.split()));
        if let Some(group) = &series.group {
            key(
                "groups",
                format!("by {group}: {}", count(data.group_names().len())),
            );
        }
        if series.every > 1 {
            key("rows", format!("the first of every {}", series.every));
        }
        key("scaling", word(format!("{:?}", series.normalise)));
        let inputs = series.features.iter().map(|f| (&f.column, f.transform));
        let targets = series.targets.iter().map(|t| (&t.column, t.transform));
        let transforms = [
            ("inputs", transformed(inputs)),
            ("targets", transformed(targets)),
        ];
        for (name, columns) in transforms.into_iter().filter(|(_, c)| !c.is_empty()) {
            key(name, columns);
        }
        if !series.quantiles.is_empty() {
            key("quantiles", format!("{:?}", series.quantiles));
        }
    }
    let kind = match shape.stateful {
        true => format!("{}, stateful", hyphened(&format!("{:?}", shape.kind))),
        false => hyphened(&format!("{:?}", shape.kind)),
    };
    key("shape", kind);
    let hop = match shape.hop {
        Some(hop) => format!(", a new one every {}", count(hop)),
        None => String::new(),
    };
    key("window", format!("{} samples{hop}", count(data.window())));
    key(
        "horizon",
        match shape.horizons.is_empty() {
            true => count(shape.horizon),
            false => format!("{:?}", shape.horizons),
        },
    );
    let directions = if net.bidirectional {
        ", from both ends"
    } else {
        ""
    };
    key("cell", hyphened(&format!("{:?}", net.cell)));
    key("hidden", format!("{:?}{directions}", net.hidden));
    if let Some(embedding) = net.embedding {
        key("embedding", count(embedding));
    }
    for conv in &net.conv {
        let dilation = match conv.dilation {
            1 => String::new(),
            n => format!(", dilation {n}"),
        };
        key(
            "conv",
            format!(
                "{} filters of {}{dilation}, {}",
                conv.filters,
                conv.kernel,
                word(format!("{:?}", conv.activation))
            ),
        );
    }
    for dense in &net.dense {
        key(
            "dense",
            format!(
                "{} {}",
                dense.units,
                word(format!("{:?}", dense.activation))
            ),
        );
    }
    key("loss", hyphened(&format!("{:?}", task.loss())));
    if let Some(weights) = &train.class_weights {
        let weights = match weights {
            ClassWeights::Rule(rule) => rule.clone(),
            ClassWeights::Each(weights) => format!("{weights:?}"),
        };
        key("class weights", weights);
    }
    key(
        "optimiser",
        format!(
            "{}, learning rate {}, {}",
            word(format!("{:?}", train.optimiser)),
            train.learning_rate,
            word(format!("{:?}", train.schedule))
        ),
    );
    key(
        "weight decay, clip",
        format!("{}, {}", train.weight_decay, train.clip),
    );
    key(
        "batch",
        match train.accumulate {
            1 => count(train.batch),
            times => format!("{} times {times}", count(train.batch)),
        },
    );
    let quantized = match train.quantized.epochs {
        0 => String::new(),
        epochs => format!(", then {epochs} through integers"),
    };
    let patience = match train.patience {
        0 => String::new(),
        epochs => format!(", fewer if {epochs} bring nothing better"),
    };
    key("epochs", format!("{}{patience}{quantized}", train.epochs));
    key("seed", train.seed.to_string());
    keys
}

/// The columns that are not taken as they are, each with its transform.
fn transformed<'c, T: Debug + Default + PartialEq>(
    columns: impl Iterator<Item = (&'c String, T)>,
) -> String {
    let columns = columns.filter(|(_, transform)| *transform != T::default());
    let told = |(column, transform): (&String, T)| {
        let transform = hyphened(&format!("{transform:?}")).replace('-', " ");
        format!("{column}: {transform}")
    };
    columns.map(told).collect::<Vec<_>>().join(", ")
}

/// `ManyToOne` as task files write it: `many-to-one`.
fn hyphened(name: &str) -> String {
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

fn split(split: &Split) -> String {
    match split {
        Split::Rows(rows) => format!("rows {rows:?}"),
        Split::Fractions(shares) => format!("fractions {shares:?}"),
        Split::PerGroup(shares) => format!("in time within each group, {shares:?}"),
        Split::Before(dates) => format!("before {}", dates.join(" and ")),
        Split::Folds(of) => format!("the last of {of} folds"),
        Split::Fold { fold, of } => format!("fold {fold} of {of}"),
        Split::Turns(groups) => format!("of the groups in turn {groups:?}"),
        Split::Groups(groups) => format!("groups {groups:?}"),
        Split::Column(column) => format!("by the column {}", column.name),
        Split::None => "none: everything in every part".into(),
    }
}
