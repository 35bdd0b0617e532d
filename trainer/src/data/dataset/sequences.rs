//! One sequence per row of a table: the steps lie side by side in columns, a label says what it is.
//! The rows become pieces of one long series of a single feature, so nothing else is special.

use super::super::csv::Table;
use super::super::error::{DataError, Used};
use super::super::normalise::transform;
use super::super::split::{Part, Rows};
use super::super::steps;
use super::super::written::Written;
use super::series::{NOT_USED, as_truth, class_column, class_output, mislabelled, unlabelled};
use super::{Dataset, Places, Stream, need_windows, normalise_rows, shape};
use crate::package::{Feature, Input, Shape, Transform};
use crate::task::{FeatureTransform, Kind, SequencesTask, Task};

pub fn load(task: &Task, sequences: &SequencesTask, table: &Table) -> Result<Dataset, DataError> {
    let (columns, note) = table.steps(&sequences.steps[0], &sequences.steps[1])?;
    let width = columns.len();
    if task.shape.window > width {
        return Err(DataError::TooShort {
            file: format!(
                "{} (steps {} to {} of a row)",
                table.file(),
                columns[0],
                columns[width - 1]
            ),
            rows: width,
            window: task.shape.window,
            horizon: 0,
        });
    }
    // A shorter window looks at the end of every row.
    let window = if task.shape.window == 0 {
        width
    } else {
        task.shape.window
    };
    let names: Vec<&str> = columns[width - window..]
        .iter()
        .map(String::as_str)
        .collect();
    let whole = table.without_broken(&names, |table| {
        mislabelled(Some(&sequences.label), &sequences.split, table)
    })?;
    let table = whole.as_ref().unwrap_or(table);
    let raw = table.columns_named(&names)?;
    let parts = Rows::of_table(&sequences.split, table)?;
    let mut notes = table.notes().to_vec();
    notes.extend(note.map(|note| format!("{}: {note}", table.file())));
    notes.extend(parts.unused(&sequences.split, table.file(), "rows"));
    let classes = class_column(table, &sequences.label)?;
    notes.extend(unlabelled(table, &sequences.label, &classes, NOT_USED));

    let mut places = Places::default();
    for part in Part::ALL {
        for row in (0..table.rows()).filter(|&r| parts.contains(r, part) && classes[r].is_some()) {
            let (start, end) = (row * window, (row + 1) * window);
            places.0[part as usize].push(start);
            let counted = match task.shape.kind {
                Kind::ManyToOne => end - 1,
                _ => start,
            };
            places.1[part as usize].push(Stream::from_reset(start..end, counted));
        }
    }
    need_windows(&places, task, table.file(), |part| parts.count(part))?;

    let column = 0;
    let how = match sequences.feature.transform {
        FeatureTransform::None => Transform::None,
        FeatureTransform::Log => Transform::Log,
        FeatureTransform::Difference => Transform::Difference { column },
        FeatureTransform::LogRatio => Transform::LogRatio { column },
    };
    if matches!(how, Transform::Log | Transform::LogRatio { .. })
        && let Some(at) = raw.iter().position(|&x| x <= 0.0)
    {
        return Err(DataError::NotPositive {
            file: table.file().into(),
            line: table.line(at / window),
            column: names[at % window].into(),
            value: raw[at],
        });
    }
    let inside = |start: &usize| {
        let at = *start;
        (1..window).map(move |t| at + t)
    };
    let values = places.0[Part::Train as usize]
        .iter()
        .flat_map(inside)
        .map(|r| transform(how, 0, &raw[r..=r], &raw[r - 1..r]));
    let normalise = sequences.feature.normalise.unwrap_or(sequences.normalise);
    let (offset, spread) = normalise
        .fit(values, 0.0)
        .map_err(|why| DataError::Constant {
            file: table.file().into(),
            column: sequences.feature.column.clone(),
            used: Used::Feature {
                transformed: how != Transform::None,
            },
            why,
        })?;
    let features = vec![Feature {
        name: sequences.feature.column.clone(),
        unit: sequences.feature.unit.clone(),
        hold: false,
        transform: how,
        offset: offset as f32,
        scale: (1.0 / spread) as f32,
    }];
    let (normal, after_reset) = normalise_rows(&features, &raw);
    let truth: Vec<f32> = classes
        .iter()
        .flat_map(|&class| std::iter::repeat_n(as_truth(class), window))
        .collect();
    Ok(Dataset {
        written: Written {
            // Of a longer row only these are seen.
            steps: steps::short(&names),
            ..Written::of(task)
        },
        shape: match shape(task, window) {
            // A row is a sequence of its own: the next one starts behind it.
            Shape::Window { window, exact, .. } => Shape::Window {
                window,
                hop: window,
                exact,
            },
            every_step => every_step,
        },
        raw,
        normal,
        after_reset,
        goals: truth.clone(),
        truth,
        window,
        windows: places.0,
        streams: places.1,
        notes,
        ..Dataset::empty(
            task,
            Input::Features(features),
            class_output(&sequences.label),
        )
    })
}
