//! A time series: rows in order of time, some columns in, some columns a few rows later out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter::repeat_n;
use std::ops::Range;

use super::super::csv::{self, Table, place_of};
use super::super::derived::Derived;
use super::super::error::{DataError, Used};
use super::super::normalise::{Normalise, Unfit, goal, transform, unit_of};
use super::super::resolution::{exact_steps, rounded};
use super::super::sentinel::{Sentinel, sentinels};
use super::super::split::{Part, Rows};
use super::super::written::Written;
use super::labels::{anomalous, events};
use super::times::{read_times, time_column, times};
use super::{Dataset, Places, cut_group, need_windows, normalise_rows, shape, share};
use crate::package::{Feature, Input, Output, Restore, Shape, Target, Transform};
use crate::task::{
    FeatureTransform, LabelTask, Pad, SeriesTask, Split, TargetTask, TargetTransform, Task,
};

pub fn load(task: &Task, series: &SeriesTask, table: &Table) -> Result<Dataset, DataError> {
    let (table, mut notes) = prepared(task, series, table)?;
    let table = &*table;
    let (rows, window) = (table.rows(), task.shape.window);
    let horizons = horizons(task);
    let (exact, counters) = exact_steps(series, &horizons, table)?;
    let series = &*exact;
    let columns = series.features.iter().map(|feature| &feature.column);
    let columns = columns.chain(series.targets.iter().map(|target| &target.column));
    let stepped = columns.filter_map(|name| match Derived::parse(name) {
        Some((Derived::Diff, column)) if !table.names().contains(name) => Some(column),
        _ => None,
    });
    for column in stepped.collect::<BTreeSet<_>>() {
        if table.is_rounded(column)? {
            notes.push(format!(
                "{}: column {column:?} goes beyond 2^53, from where on 64 bits round numbers, and so its steps: write it as whole numbers, \
                 which are taken with all of their digits, or without its first value",
                table.file()
            ));
        }
    }
    notes.extend(counters.iter().map(|column| {
        format!(
            "{}: column {column:?} is so large that a 32-bit float rounds its steps away, so they are taken in 64 bits: it enters as \
             diff({column}), and what is predicted of it is its change; on a device `kinglet::Counter` takes the steps",
            table.file()
        )
    }));
    let (nearest, farthest) = (horizons[0], horizons[horizons.len() - 1]);
    if rows < window + farthest {
        return Err(DataError::TooShort {
            file: table.file().into(),
            rows,
            window,
            horizon: farthest,
        });
    }
    let parts = parts(series, table)?;
    if let Some((own @ 1.., theirs, file)) =
        table.own_test_rows(|row| parts.contains(row, Part::Test))
    {
        notes.push(format!(
            "the test part is {own} rows of {}, by its split, and {theirs} of {file}: a split without a test part measures the latter alone",
            table.file()
        ));
    }
    notes.extend(parts.unused(&series.split(), table.file(), "rows"));
    let names: Vec<&str> = series.features.iter().map(|f| f.column.as_str()).collect();
    let raw = table.columns_named(&names)?;
    // A first row has no row before it, so its difference says nothing about differences.
    let pieces = table.groups().iter().flat_map(|group| table.pieces(group));
    let pieces: Vec<Range<usize>> = pieces.collect();
    let holes = pieces.len() - table.groups().len();
    if holes > 0 {
        notes.push(format!(
            "{}: rows are left out in {holes} places inside of it; windows, differences and predictions do not reach across these",
            table.file()
        ));
    }
    let longest = pieces.iter().map(Range::len).max().unwrap_or(0);
    notes.extend(series.season.filter(|&season| season >= longest).map(|season| {
        format!(
            "{}: season = {season}: no row has another so many rows before it, of at most {longest} that follow each other; the rule of the last \
             season is left out",
            table.file()
        )
    }));
    let inside = pieces.iter().flat_map(|piece| piece.clone().skip(1));
    let train: Vec<usize> = inside.filter(|&r| parts.contains(r, Part::Train)).collect();
    let odd = |column: &str, values: &[f32], (k, width): (usize, usize)| {
        let of = |part| {
            let rows = (0..rows).filter(|&row| parts.contains(row, part));
            let values = rows.map(|row| values[row * width + k]);
            values.filter(|x| !x.is_nan()).collect()
        };
        let odd = oddities(column, of(Part::Train), of(Part::Test)).into_iter();
        odd.map(|note| format!("{}: {note}", table.file()))
            .collect::<Vec<_>>()
    };
    for (k, feature) in series.features.iter().enumerate() {
        notes.extend(odd(&feature.column, &raw, (k, names.len())));
        notes.extend(never(table, &feature.column, || {
            let mut rows = (0..rows).filter(|&row| parts.contains(row, Part::Train));
            rows.all(|row| raw[row * names.len() + k] == 0.0)
        }));
        notes.extend(held(table, &feature.column)?);
    }
    let features = fit_features(series, table, &raw, &train)?;
    let (normal, after_reset) = normalise_rows(&features, &raw);

    let columns = target_columns(series, table)?;
    notes.extend(untold(series, table, &columns));
    for (k, target) in series.targets.iter().enumerate() {
        if names.contains(&target.column.as_str()) {
            if nearest == 0 {
                notes.push(known_at_once(table, &target.column));
            }
        } else if table.names().contains(&target.column) {
            notes.extend(odd(&target.column, &columns, (k, series.targets.len())));
        }
    }
    if let Some(label) = &series.label
        && farthest == 0
        && names
            .iter()
            .any(|name| Derived::column_of(name) == label.column)
    {
        notes.push(known_at_once(table, &label.column));
    }
    let classes = match &series.label {
        Some(label) => class_column(table, label)?,
        None => Vec::new(),
    };
    if let Some(label) = &series.label {
        notes.extend(unlabelled(table, label, &classes, UNLEARNT));
    }
    // Of none of these rows is a target known that an output at row r is about.
    let nothing_known = |row: usize| {
        if !classes.is_empty() {
            return classes[row + farthest].is_none();
        }
        let width = series.targets.len();
        let about = |horizon: &usize| &columns[(row + horizon) * width..][..width];
        width > 0
            && horizons
                .iter()
                .all(|horizon| about(horizon).iter().all(|x| x.is_nan()))
    };
    // The output at row r is about the rows r + horizon of its piece, which all belong to one part.
    let mut places = Places::default();
    let mut train = Vec::new();
    let answers_last = matches!(shape(task, window), Shape::Window { .. });
    let need = needed(task, series);
    for group in table
        .groups()
        .iter()
        .filter(|group| group.rows.len() >= need)
    {
        let before = places.1[Part::Test as usize].len();
        for piece in table.pieces(group) {
            let belongs = |row: usize, part| {
                let about =
                    |horizon| row + horizon < piece.end && parts.contains(row + horizon, part);
                about(nearest) && about(farthest) && !(answers_last && nothing_known(row))
            };
            cut_group(task, piece.clone(), belongs, &mut places);
            train.extend(piece.clone().filter(|&r| belongs(r, Part::Train)));
        }
        if series.test_last {
            let (windows, streams) = &mut places;
            let last = streams[Part::Test as usize].len().saturating_sub(1);
            windows[Part::Test as usize].drain(before.min(last)..last);
            streams[Part::Test as usize].drain(before.min(last)..last);
        }
    }
    need_windows(&places, task, table.file(), |part| parts.count(part))?;

    let (output, goals, truth) = match &series.label {
        Some(label) => {
            let truth = classes[farthest..].iter().map(|&class| as_truth(class));
            let truth: Vec<f32> = truth.collect();
            (class_output(label), truth.clone(), truth)
        }
        None => fit_targets(
            (series, &counters),
            (table, &columns),
            &raw,
            &horizons,
            &train,
        )?,
    };
    let labels = task.anomaly.as_ref().and_then(|a| a.labels.as_ref());
    let events = match labels {
        Some(labels) => events(task, labels, table)?.split_off(farthest),
        None => Vec::new(),
    };
    let times = match time_column(series, table) {
        // A column that was only guessed may hold something else further down.
        Some(column) if series.time.is_none() => times(table, &column).unwrap_or_default(),
        Some(column) => times(table, &column)?,
        None => Vec::new(),
    };
    let times = times.iter().skip(nearest).map(|time| time.local).collect();
    let group_names = match &series.group {
        Some(column) => {
            let texts = table.text_column(column)?;
            let first = table.groups().iter().map(|group| group.rows.start);
            first.map(|row| texts[row].to_owned()).collect()
        }
        None => Vec::new(),
    };
    let grouped = series.group.is_some();
    let groups = table.groups().iter().filter(|_| grouped);
    Ok(Dataset {
        name: task.name.clone(),
        written: Written::of(task),
        shape: shape(task, window),
        width: features.len(),
        goal_width: if series.label.is_some() {
            1
        } else {
            outputs_of(series, &horizons)
        },
        input: Input::Features(features),
        output,
        raw,
        normal,
        after_reset,
        goals,
        truth,
        window,
        lengths: Vec::new(),
        hidden_as: Vec::new(),
        quantiles: quantiles(series, &horizons),
        steps: steps(series, &counters, &horizons),
        times,
        group_names,
        source: None,
        windows: places.0,
        streams: places.1,
        groups: groups.map(|group| group.rows.start).collect(),
        pieces: pieces.iter().map(|piece| piece.start).collect(),
        events,
        notes,
    })
}

/// Which part every row belongs to.
pub(super) fn parts(series: &SeriesTask, table: &Table) -> Result<Rows, DataError> {
    let Split::Before(dates) = series.split() else {
        return Rows::of_table(&series.split(), table);
    };
    let column = time_column(series, table).ok_or_else(|| DataError::NoTimes {
        file: table.file().into(),
        known: table.names().to_vec(),
    })?;
    Rows::before(&dates, (&column, &times(table, &column)?), table)
}

/// Numbers that are predicted about a row.
fn outputs_of(series: &SeriesTask, horizons: &[usize]) -> usize {
    series.targets.len() * horizons.len() * series.quantiles.len().max(1)
}

/// Of every output.
fn quantiles(series: &SeriesTask, horizons: &[usize]) -> Vec<f64> {
    let times = series.targets.len() * horizons.len();
    series.quantiles.repeat(times)
}

/// For every output the feature that has the steps of its counter.
fn steps(series: &SeriesTask, counters: &[String], horizons: &[usize]) -> Vec<Option<usize>> {
    let place = |target: &TargetTask| {
        counter_of(target, counters)?;
        let mut features = series.features.iter();
        features.position(|feature| feature.column == target.column)
    };
    let each = series.targets.iter().map(place);
    let each = each.flat_map(|place| repeat_n(place, series.quantiles.len().max(1)));
    each.collect::<Vec<_>>().repeat(horizons.len())
}

/// From near to far; at least one.
fn horizons(task: &Task) -> Vec<usize> {
    if task.shape.horizons.is_empty() {
        vec![task.shape.horizon]
    } else {
        task.shape.horizons.clone()
    }
}

/// What should be looked at in a column of numbers before it is believed.
fn oddities(column: &str, mut train: Vec<f32>, test: Vec<f32>) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(stuck(column, &train));
    train.sort_by(f32::total_cmp);
    let (Some(&low), Some(&high)) = (train.first(), train.last()) else {
        return notes;
    };
    for found in sentinels(train.iter().map(|&x| f64::from(x))) {
        let Sentinel { count, .. } = found;
        let share = share(count, train.len(), "rows");
        notes.push(format!("column {column:?} {}", found.told(&share)));
    }
    // Beyond ten times the range of training there is nothing that the network has learnt about.
    let range = high - low;
    let beyond = |x: &&f32| **x < low - 10.0 * range || **x > high + 10.0 * range;
    let beyond = test.iter().filter(beyond).count();
    if beyond > 0 && range > 0.0 {
        let share = share(beyond, test.len(), "rows");
        notes.push(format!(
            "column {column:?} is from {low} to {high} in the training part, and more than ten times as far away in {share} of \
             the test part; a sensor may have been stuck"
        ));
    }
    notes
}

/// A column that stands still for half of the training part or longer, and elsewhere is more than a switch.
fn stuck(column: &str, train: &[f32]) -> Option<String> {
    const STATES: usize = 4;
    let mut from = 0;
    let runs = train.chunk_by(|a, b| a == b).map(|run| {
        from += run.len();
        (run.len(), from - run.len())
    });
    let (length, from) = runs.max_by_key(|&(length, _)| length)?;
    let value = train[from];
    let mut others: Vec<f32> = Vec::new();
    for &x in train {
        if x != value && !others.contains(&x) && others.len() < STATES {
            others.push(x);
        }
    }
    let still = share(length, train.len(), "rows");
    (2 * length >= train.len() && others.len() == STATES).then(|| {
        format!(
            "column {column:?} is {value} without a break in {still} of the training part; a sensor may have been stuck"
        )
    })
}

/// Rows that a group must have to be used.
fn needed(task: &Task, series: &SeriesTask) -> usize {
    match series.levels {
        // A sequence may be shorter than a window.
        Some(_) => 1,
        None if series.transcript.is_some() => 1,
        None => task.shape.window + horizons(task).last().copied().unwrap_or(0),
    }
}

/// The rows that are used, in groups: every so many, from the first on that has all numbers, and enough for a window;
/// and what is not used.
pub(super) fn prepared<'t>(
    task: &Task,
    series: &SeriesTask,
    table: &'t Table,
) -> Result<(Cow<'t, Table>, Vec<String>), DataError> {
    let mut table = Cow::Borrowed(table);
    if let Some(column) = &series.group {
        table.to_mut().group_by(column)?;
    }
    let timed: Vec<&str> = series
        .features
        .iter()
        .filter(|feature| !table.names().contains(&feature.column))
        .filter_map(|feature| match Derived::parse(&feature.column) {
            Some((Derived::Clock(_) | Derived::Elapsed, column)) => Some(column),
            _ => None,
        })
        .collect();
    let targets = series.targets.iter().filter(|t| t.remaining().is_none());
    let targets = targets.map(|t| t.column.as_str());
    let features = series.features.iter().map(|f| f.column.as_str());
    let names: Vec<&str> = features.chain(targets).collect();
    table.has_in_each_file(&names)?;
    if let Some(whole) = table.without_broken(&names, |table| unusable(task, series, table))? {
        table = Cow::Owned(whole);
    }
    let ordered = series.time.as_deref().or(timed.first().copied());
    table.to_mut().check_order(ordered)?;
    let mut notes = table.notes().to_vec();
    if series.every > 1 {
        table = Cow::Owned(table.select(|rows| rows.step_by(series.every).collect()));
    }
    if table.holds() {
        // What is missing before the first number has nothing to repeat.
        let values = table.columns_with_gaps(&names)?;
        let known = |row: usize| {
            let row = &values[row * names.len()..][..names.len()];
            row.iter().all(|x| !x.is_nan())
        };
        for (k, name) in names.iter().enumerate() {
            if (0..table.rows()).all(|row| values[row * names.len() + k].is_nan()) {
                return Err(DataError::EmptyColumn {
                    file: table.file().into(),
                    column: (*name).into(),
                    rows: table.rows(),
                });
            }
        }
        if !table.groups().iter().all(|group| known(group.rows.start)) {
            let before = (table.rows(), table.groups().len());
            table = Cow::Owned(table.without_first(known));
            let left_out = share(before.0 - table.rows(), before.0, "rows");
            notes.push(format!(
                "{}: {left_out} at the beginning of groups have gaps with nothing before them to hold, and are left out",
                table.file()
            ));
            if table.groups().len() < before.1 {
                let gone = share(before.1 - table.groups().len(), before.1, "groups");
                notes.push(format!(
                    "{}: {gone} have a column without any number, and are left out",
                    table.file()
                ));
            }
        }
    }
    let need = needed(task, series);
    let is_short = |rows: &Range<usize>| rows.len() < need;
    if let Some(pad) = series.pad
        && table.groups().iter().any(|group| is_short(&group.rows))
    {
        table = Cow::Owned(table.select(|rows| {
            let lacking = need.saturating_sub(rows.len());
            match pad {
                Pad::Front => repeat_n(rows.start, lacking).chain(rows).collect(),
                Pad::Back => {
                    let last = rows.end - 1;
                    rows.chain(repeat_n(last, lacking)).collect()
                }
            }
        }));
    } else {
        for (test, file) in [(false, Some(table.file())), (true, table.test_file())] {
            let groups = table.groups().iter().filter(|group| group.test == test);
            let (all, short) = (groups.clone(), groups.filter(|group| is_short(&group.rows)));
            let (all, short) = (all.map(|group| group.rows.len()), short.count());
            let (count, rows) = (all.clone().count(), all.sum::<usize>());
            let Some(file) = file.filter(|_| short > 0 && (test || short < count)) else {
                continue;
            };
            notes.push(match series.group {
                Some(_) => format!(
                    "{file}: {} have fewer than the {need} rows of a window and its horizon, and are not used; pad = \"front\" uses them",
                    share(short, count, "groups")
                ),
                None => format!(
                    "{file}: its {rows} rows are fewer than the {need} of a window and its horizon, and are not used; pad = \"front\" uses them"
                ),
            });
        }
    }
    Ok((table, notes))
}

/// For every row the number of its class; none where its field is empty and no class is called so.
pub fn class_column(table: &Table, label: &LabelTask) -> Result<Vec<Option<usize>>, DataError> {
    classes(table, label)?.collect()
}

/// The same as far as they are known.
pub fn classes<'t>(
    table: &'t Table,
    label: &'t LabelTask,
) -> Result<impl Iterator<Item = Result<Option<usize>, DataError>> + 't, DataError> {
    let texts = table.text_column(&label.column)?;
    let class = move |(row, text): (usize, &str)| match place_of(labels(label), text) {
        None if table.is_missing(text) => Ok(None),
        None => Err(unknown_label(table, label, (row, text))),
        class => Ok(class),
    };
    Ok(texts.into_iter().enumerate().map(class))
}

/// All labels, each with the number of its class.
fn labels(label: &LabelTask) -> impl Iterator<Item = (usize, &str)> + Clone {
    let classes = label.classes.iter().enumerate();
    classes.flat_map(|(k, class)| class.labels.iter().map(move |label| (k, label.as_str())))
}

/// A row whose label is none.
pub(super) fn unknown_label(
    table: &Table,
    label: &LabelTask,
    (row, text): (usize, &str),
) -> DataError {
    DataError::UnknownLabel {
        file: table.file_of(row).into(),
        line: table.line(row),
        column: label.column.clone(),
        text: text.into(),
        known: labels(label).map(|(_, label)| label.into()).collect(),
    }
}

/// The rows that have something else than a label or a part where there should be one.
pub fn mislabelled(
    label: Option<&LabelTask>,
    split: &Split,
    table: &Table,
) -> Result<Vec<(usize, DataError)>, DataError> {
    let mut found = Vec::new();
    if let Some(label) = label {
        found.extend(wrong(classes(table, label)?));
    }
    if let Split::Column(column) = split {
        found.extend(wrong(Rows::in_column(column, table)?));
    }
    Ok(found)
}

/// Those rows that are wrong.
fn wrong<T>(
    rows: impl Iterator<Item = Result<T, DataError>>,
) -> impl Iterator<Item = (usize, DataError)> {
    let error = |(row, read): (usize, Result<T, DataError>)| Some((row, read.err()?));
    rows.enumerate().filter_map(error)
}

/// The same of a series, whose rows have times and anomalies too.
fn unusable(
    task: &Task,
    series: &SeriesTask,
    table: &Table,
) -> Result<Vec<(usize, DataError)>, DataError> {
    let split = series.split();
    let mut found = mislabelled(series.label.as_ref(), &split, table)?;
    let labels = task.anomaly.as_ref().and_then(|it| it.labels.as_ref());
    if let Some(column) = labels.and_then(|labels| labels.column.as_deref()) {
        found.extend(wrong(anomalous(column, table)?));
    }
    let of_rows = match split {
        Split::Before(_) => time_column(series, table),
        _ => series.time.clone(),
    };
    let of_labels = labels.and_then(|labels| labels.time.clone());
    for column in [of_rows, of_labels].into_iter().flatten() {
        found.extend(wrong(read_times(table, &column)?));
    }
    Ok(found)
}

/// What becomes of rows that are a sequence of which nobody knows the class.
pub(super) const NOT_USED: &str = "they are not used";

/// How many rows have no class.
pub(super) fn unlabelled(
    table: &Table,
    label: &LabelTask,
    classes: &[Option<usize>],
    then: &str,
) -> Option<String> {
    let gaps = classes.iter().filter(|class| class.is_none()).count();
    without(table, gaps, &label.column, then)
}

/// How many rows have nothing in a column.
fn without(table: &Table, gaps: usize, column: &str, then: &str) -> Option<String> {
    (gaps > 0).then(|| {
        format!(
            "{}: {} have no {column:?}; {then}",
            table.file(),
            share(gaps, table.rows(), "rows")
        )
    })
}

/// The number of a class, as goals and truths have it.
pub(super) fn as_truth(class: Option<usize>) -> f32 {
    class.map_or(f32::NAN, |class| class as f32)
}

/// The classes by name.
pub fn class_output(label: &LabelTask) -> Output {
    Output::Classes(label.classes.iter().map(|c| c.name.clone()).collect())
}

/// The features of a series, normalised by these rows.
pub(super) fn fit_features(
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
        let values = train
            .iter()
            .map(|&r| transform(how, k, sample(r), sample(r - 1)));
        let unit = match how {
            Transform::Difference { column } => {
                let levels = train
                    .iter()
                    .flat_map(|&r| [sample(r)[k], sample(r - 1)[column]]);
                levels.map(unit_of).fold(0.0, f64::max)
            }
            _ => 0.0,
        };
        let used = Used::Feature {
            transformed: how != Transform::None,
        };
        let (offset, spread) = fit(normalise, (values, unit), table, (&feature.column, used))?;
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
    (values, unit): (impl Iterator<Item = f32> + Clone, f64),
    table: &Table,
    (column, used): (&str, Used),
) -> Result<(f64, f64), DataError> {
    normalise.fit(values, unit).map_err(|why| {
        let lost = match why {
            Unfit::Constant(_) => rounded(column, table),
            _ => None,
        };
        DataError::Constant {
            file: table.file().into(),
            column: column.into(),
            used,
            why: lost.map_or(why, Unfit::Rounded),
        }
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

/// How much of a column remains to a group's end, for every row.
fn remaining(target: &TargetTask, column: &str, table: &Table) -> Result<Vec<f32>, DataError> {
    let values = table.columns_named(&[column])?;
    let after = target.after.as_deref();
    let after = after.map(|after| table.text_column(after)).transpose()?;
    let mut remaining = Vec::with_capacity(values.len());
    for group in table.groups() {
        let last = group.rows.end - 1;
        let after = match after.as_ref().map(|after| after[last]) {
            // The group ends with its last row.
            None | Some("") => 0.0,
            Some(text) if table.is_missing(text) => 0.0,
            Some(text) => table.number(text).ok_or_else(|| DataError::NotANumber {
                file: table.file_of(last).into(),
                line: table.line(last),
                column: target.after.clone().unwrap_or_default(),
                text: text.into(),
                cure: None,
            })?,
        };
        remaining.extend(
            values[group.rows.clone()]
                .iter()
                .map(|v| values[last] - v + after),
        );
    }
    Ok(remaining)
}

/// `[rows, targets]`: NaN where gaps repeat the row before, for nobody measured that.
fn target_columns(series: &SeriesTask, table: &Table) -> Result<Vec<f32>, DataError> {
    let count = series.targets.len();
    let mut columns = vec![0.0; table.rows() * count];
    for (k, target) in series.targets.iter().enumerate() {
        let gaps = match table.holds() && table.names().contains(&target.column) {
            true => table.columns_named(&[&Derived::missing(&target.column)])?,
            false => Vec::new(),
        };
        let values = match target.remaining() {
            Some(column) if !table.names().contains(&target.column) => {
                remaining(target, column, table)?
            }
            _ => table.columns_named(&[&target.column])?,
        };
        let cap = target.cap.unwrap_or(f32::INFINITY);
        for (row, value) in values.into_iter().enumerate() {
            let is_gap = gaps.get(row).is_some_and(|&gap| gap != 0.0);
            columns[row * count + k] = if is_gap { f32::NAN } else { value.min(cap) };
        }
    }
    Ok(columns)
}

/// What becomes of rows whose truth nobody knows.
const UNLEARNT: &str =
    "where it is predicted nothing is learnt from them, and no answer about them is measured";

/// What is not known of the targets.
fn untold(series: &SeriesTask, table: &Table, columns: &[f32]) -> Vec<String> {
    let count = series.targets.len();
    let each = series.targets.iter().enumerate();
    each.filter_map(|(k, target)| {
        let gaps = columns.iter().skip(k).step_by(count.max(1));
        let gaps = gaps.filter(|x| x.is_nan()).count();
        without(table, gaps, &target.column, UNLEARNT)
    })
    .collect()
}

/// What is to be found is given.
fn known_at_once(table: &Table, column: &str) -> String {
    format!(
        "{}: column {column:?} is an input and, in the same row, what is to be found: the network need only pass it on, and a device that \
         has it need not ask; take it out of the features, or set a horizon",
        table.file()
    )
}

/// A category that no row of training has.
fn never(table: &Table, feature: &str, absent: impl FnOnce() -> bool) -> Option<String> {
    let Some((Derived::Is(category), column)) = Derived::parse(feature) else {
        return None;
    };
    (!table.names().iter().any(|name| name == feature) && absent()).then(|| {
        format!(
            "{}: no row of the training part has {category:?} in column {column:?}: what the network makes of it elsewhere is left to chance; leave it \
             out of the categories, or move the split",
            table.file()
        )
    })
}

/// Gaps of an input that are filled.
fn held(table: &Table, column: &str) -> Result<Option<String>, DataError> {
    if !table.holds() || !table.names().iter().any(|name| name == column) {
        return Ok(None);
    }
    let gaps = table.columns_named(&[&Derived::missing(column)])?;
    let gaps = gaps.into_iter().filter(|&gap| gap != 0.0).count();
    Ok(csv::held(table.file(), gaps, table.rows(), column))
}

/// But for gaps.
fn known(values: impl Iterator<Item = f32> + Clone) -> impl Iterator<Item = f32> + Clone {
    values.filter(|x| !x.is_nan())
}

/// The counter whose change is predicted.
fn counter_of<'c>(target: &TargetTask, counters: &'c [String]) -> Option<&'c String> {
    let column = target.column.strip_prefix("diff(")?.strip_suffix(')')?;
    counters.iter().find(|counter| *counter == column)
}

/// Output, goals and truth for every row that has a target: all targets at the nearest horizon, then at the next. A target is
/// there once for each of its quantiles. Of a counter the target is the sum of its steps to the horizon.
fn fit_targets(
    (series, counters): (&SeriesTask, &[String]),
    (table, columns): (&Table, &[f32]),
    raw: &[f32],
    horizons: &[usize],
    train: &[usize],
) -> Result<(Output, Vec<f32>, Vec<f32>), DataError> {
    let (width, count) = (series.features.len(), outputs_of(series, horizons));
    let levels: Vec<Option<f64>> = match series.quantiles.is_empty() {
        true => vec![None],
        false => series.quantiles.iter().copied().map(Some).collect(),
    };
    let farthest = horizons.last().copied().unwrap_or(0);
    let outputs = table.rows() - farthest;
    let mut truth = Vec::with_capacity(outputs * count);
    for row in 0..outputs {
        for &horizon in horizons {
            for (k, target) in series.targets.iter().enumerate() {
                let at = |row: usize| columns[row * series.targets.len() + k];
                let steps = (row + 1..=row + horizon).map(|row| f64::from(at(row)));
                let value = match counter_of(target, counters) {
                    Some(_) => steps.sum::<f64>() as f32,
                    None => at(row + horizon),
                };
                truth.extend(levels.iter().map(|_| value));
            }
        }
    }
    let mut goals = vec![0.0; truth.len()];
    let mut targets = Vec::with_capacity(count);
    let each = horizons
        .iter()
        .flat_map(|&horizon| series.targets.iter().map(move |target| (horizon, target)))
        .flat_map(|(horizon, target)| levels.iter().map(move |&level| (horizon, target, level)));
    for (k, (horizon, target, level)) in each.enumerate() {
        let place = |name: &String| series.features.iter().position(|f| f.column == *name);
        let present = place(&target.column);
        // Only a prediction of the next row can stand in for it, and of its quantiles the middle one.
        let feeds = present.filter(|_| horizon == 1 && level.is_none_or(|level| level == 0.5));
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
        let used = Used::Target {
            transformed: restore != Restore::None,
        };
        let (offset, spread) = fit(
            normalise,
            (known(train.iter().map(|&r| wanted(r))), 0.0),
            table,
            (&target.column, used),
        )?;
        for row in 0..truth.len() / count {
            goals[row * count + k] = ((f64::from(wanted(row)) - offset) / spread) as f32;
        }
        let name = match horizons {
            _ if horizon > 1 && counter_of(target, counters).is_some() => {
                format!("{} over {horizon}", target.column)
            }
            [_] => target.column.clone(),
            _ => Target::at_horizon(&target.column, horizon),
        };
        targets.push(Target {
            name: level.map_or(name.clone(), |level| Target::at_quantile(&name, level)),
            unit: target.unit.clone(),
            scale: spread as f32,
            offset: offset as f32,
            restore,
            feeds,
        });
    }
    Ok((Output::Values(targets), goals, truth))
}
