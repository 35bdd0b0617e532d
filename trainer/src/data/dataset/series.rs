//! A time series: rows in order of time, some columns in, some columns a few rows later out.

use std::borrow::Cow;

use super::super::csv::Table;
use super::super::derived::Derived;
use super::super::error::DataError;
use super::super::normalise::{Normalise, goal, transform};
use super::super::split::{Part, Rows};
use super::{Dataset, cut, need_windows, normalise_rows, shape};
use crate::package::{Feature, Input, Output, Restore, Target, Transform};
use crate::task::{FeatureTransform, LabelTask, SeriesTask, TargetTransform, Task};

pub fn load(task: &Task, series: &SeriesTask, table: &Table) -> Result<Dataset, DataError> {
    let table = &*without_gaps(series, table)?;
    let (rows, horizon, window) = (table.rows(), task.shape.horizon, task.shape.window);
    if rows < window + horizon {
        return Err(DataError::TooShort {
            file: table.file().into(),
            rows,
            window,
            horizon,
        });
    }
    let parts = Rows::of_table(&series.split, table)?;
    let names: Vec<&str> = series.features.iter().map(|f| f.column.as_str()).collect();
    let raw = table.columns_named(&names)?;
    let train: Vec<usize> = (0..rows)
        .filter(|&r| parts.contains(r, Part::Train))
        .collect();
    let features = fit_features(series, table, &raw, &train)?;
    let (normal, after_reset) = normalise_rows(&features, &raw);

    // The output at row r is about row r + horizon.
    let outputs = rows - horizon;
    let belongs = |row: usize, part| row < outputs && parts.contains(row + horizon, part);
    let places = cut(task, rows, belongs);
    need_windows(&places, task, table.file(), |part| parts.count(part))?;

    let (output, goals, truth) = match &series.label {
        Some(label) => {
            let classes = class_column(table, label)?;
            let truth: Vec<f32> = classes[horizon..].iter().map(|&c| c as f32).collect();
            (class_output(label), truth.clone(), truth)
        }
        None => {
            let train: Vec<usize> = (0..outputs).filter(|&r| belongs(r, Part::Train)).collect();
            fit_targets(series, table, &raw, horizon, &train)?
        }
    };
    Ok(Dataset {
        name: task.name.clone(),
        shape: shape(task, window),
        width: features.len(),
        goal_width: if series.label.is_some() {
            1
        } else {
            series.targets.len()
        },
        input: Input::Features(features),
        output,
        raw,
        normal,
        after_reset,
        goals,
        truth,
        window,
        windows: places.0,
        streams: places.1,
    })
}

/// The table from the first row on that has all numbers: what is missing before it has nothing to repeat.
fn without_gaps<'t>(series: &SeriesTask, table: &'t Table) -> Result<Cow<'t, Table>, DataError> {
    let targets = series.targets.iter().map(|t| t.column.as_str());
    let features = series.features.iter().map(|f| f.column.as_str());
    let names: Vec<&str> = features.chain(targets).collect();
    let values = table.columns_with_gaps(&names)?;
    let known = |row: usize| {
        let row = &values[row * names.len()..][..names.len()];
        row.iter().all(|x| !x.is_nan())
    };
    if table.groups().iter().all(|group| known(group.start)) {
        return Ok(Cow::Borrowed(table));
    }
    Ok(Cow::Owned(table.select(|group| {
        group.skip_while(|&row| !known(row)).collect()
    })))
}

/// For every row the number of its class.
pub fn class_column(table: &Table, label: &LabelTask) -> Result<Vec<usize>, DataError> {
    let texts = table.text_column(&label.column)?;
    let class = |(row, text): (usize, &&str)| {
        let mut classes = label.classes.iter();
        classes
            .position(|class| class.labels.iter().any(|l| l == text))
            .ok_or_else(|| DataError::UnknownLabel {
                file: table.file().into(),
                line: table.line(row),
                column: label.column.clone(),
                text: (*text).into(),
                known: label
                    .classes
                    .iter()
                    .flat_map(|c| c.labels.clone())
                    .collect(),
            })
    };
    texts.iter().enumerate().map(class).collect()
}

/// The classes by name.
pub fn class_output(label: &LabelTask) -> Output {
    Output::Classes(label.classes.iter().map(|c| c.name.clone()).collect())
}

fn fit_features(
    series: &SeriesTask,
    table: &Table,
    raw: &[f32],
    train: &[usize],
) -> Result<Vec<Feature>, DataError> {
    let width = series.features.len();
    let place = |name: &str| series.features.iter().position(|f| f.column == name);
    let mut features = Vec::with_capacity(width);
    for (k, feature) in series.features.iter().enumerate() {
        let column = feature.against.as_deref().and_then(place).unwrap_or(k);
        let how = match feature.transform {
            FeatureTransform::None => Transform::None,
            FeatureTransform::Log => Transform::Log,
            FeatureTransform::Difference => Transform::Difference { column },
            FeatureTransform::LogRatio => Transform::LogRatio { column },
        };
        if matches!(how, Transform::Log | Transform::LogRatio { .. }) {
            for k in [k, column] {
                all_positive(
                    table,
                    &series.features[k].column,
                    raw.iter().skip(k).step_by(width),
                )?;
            }
        }
        let derived = Derived::parse(&feature.column);
        let is_derived = !table.names().contains(&feature.column);
        let how = match &derived {
            Some((Derived::Missing, column)) if is_derived => {
                place(column).map_or(how, |column| Transform::Missing { column })
            }
            _ => how,
        };
        // Points on a circle and zeros and ones are already between −1 and 1, and their centre means something.
        let is_scaled = is_derived && derived.is_some_and(|(derived, _)| derived.is_scaled());
        let normalise = feature.normalise.unwrap_or(if is_scaled {
            Normalise::None
        } else {
            series.normalise
        });
        let sample = |row: usize| &raw[row * width..(row + 1) * width];
        // The first row has no row before it, so its difference says nothing about differences.
        let values = train
            .iter()
            .filter(|&&r| r > 0)
            .map(|&r| transform(how, k, sample(r), sample(r - 1)));
        let (offset, spread) = fit(normalise, values, table, &feature.column)?;
        features.push(Feature {
            name: feature.column.clone(),
            unit: feature.unit.clone(),
            hold: table.holds(),
            transform: how,
            offset: offset as f32,
            scale: (1.0 / spread) as f32,
        });
    }
    Ok(features)
}

fn fit(
    normalise: Normalise,
    values: impl Iterator<Item = f32> + Clone,
    table: &Table,
    column: &str,
) -> Result<(f64, f64), DataError> {
    normalise.fit(values).map_err(|value| DataError::Constant {
        file: table.file().into(),
        column: column.into(),
        value,
    })
}

fn all_positive<'a>(
    table: &Table,
    column: &str,
    values: impl Iterator<Item = &'a f32>,
) -> Result<(), DataError> {
    for (row, &value) in values.enumerate() {
        if value <= 0.0 {
            return Err(DataError::NotPositive {
                file: table.file().into(),
                line: table.line(row),
                column: column.into(),
                value,
            });
        }
    }
    Ok(())
}

/// Output, goals and truth for every row that has a target.
fn fit_targets(
    series: &SeriesTask,
    table: &Table,
    raw: &[f32],
    horizon: usize,
    train: &[usize],
) -> Result<(Output, Vec<f32>, Vec<f32>), DataError> {
    let (width, count) = (series.features.len(), series.targets.len());
    let names: Vec<&str> = series.targets.iter().map(|t| t.column.as_str()).collect();
    let truth = table.columns_named(&names)?[horizon * count..].to_vec();
    let mut goals = vec![0.0; truth.len()];
    let mut targets = Vec::with_capacity(count);
    for (k, target) in series.targets.iter().enumerate() {
        let place = |name: &String| series.features.iter().position(|f| f.column == *name);
        let present = place(&target.column);
        // Only a prediction of the next row can stand in for it.
        let feeds = present.filter(|_| horizon == 1);
        let now = target.against.as_ref().and_then(place).or(present);
        let column = || {
            now.ok_or_else(|| DataError::UnknownColumn {
                file: format!(
                    "{}: the features (a target relative to now must be one)",
                    table.file()
                ),
                column: target.column.clone(),
                known: series.features.iter().map(|f| f.column.clone()).collect(),
            })
        };
        let restore = match target.transform {
            TargetTransform::None => Restore::None,
            TargetTransform::Log => Restore::Exp,
            TargetTransform::Difference => Restore::AddTo { column: column()? },
            TargetTransform::LogReturn => Restore::TimesExp { column: column()? },
        };
        if matches!(restore, Restore::Exp | Restore::TimesExp { .. }) {
            all_positive(
                table,
                &target.column,
                table.columns_named(&[&target.column])?.iter(),
            )?;
            if let Restore::TimesExp { column } = restore {
                let name = &series.features[column].column;
                all_positive(table, name, raw.iter().skip(column).step_by(width))?;
            }
        }
        let sample = |row: usize| &raw[row * width..(row + 1) * width];
        let wanted = |row: usize| goal(restore, sample(row), truth[row * count + k]);
        let normalise = target.normalise.unwrap_or(series.normalise);
        let (offset, spread) = fit(
            normalise,
            train.iter().map(|&r| wanted(r)),
            table,
            &target.column,
        )?;
        for row in 0..truth.len() / count {
            goals[row * count + k] = ((f64::from(wanted(row)) - offset) / spread) as f32;
        }
        targets.push(Target {
            name: target.column.clone(),
            unit: target.unit.clone(),
            scale: spread as f32,
            offset: offset as f32,
            restore,
            feeds,
        });
    }
    Ok((Output::Values(targets), goals, truth))
}
