//! Rows of a group as the frames of one sequence, and a transcript for all of it: which tokens were said, drawn or signed in this order,
//! and not where. The output after each row is a score per token and one for none, the [blank](BLANK).
//!
//! A group is in one part as a whole, and a sequence of its own from a reset on. Sequences differ in length, and those of similar length
//! run side by side; what lies behind the end of the shorter ones does not count.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::csv::Table;
use super::super::csv::composed;
use super::super::error::DataError;
use super::super::split::Part;
use super::super::vocabulary::units;
use super::series::{fit_features, parts, prepared};
use super::{Dataset, Stream, normalise_rows, share};
use crate::package::{Input, Output};
use crate::task::{SeriesTask, Task, TranscriptTask};
use crate::train::ctc::{NOTHING, steps_needed};
use crate::transcript::BLANK;

/// Rows that are a sequence, with what is said in them.
struct Said {
    rows: Range<usize>,
    part: Part,
    tokens: Vec<String>,
}

pub fn load(
    task: &Task,
    series: &SeriesTask,
    transcript: &TranscriptTask,
    table: &Table,
) -> Result<Dataset, DataError> {
    let (table, mut notes) = prepared(task, series, table)?;
    let table = &*table;
    let parts = parts(series, table)?;
    notes.extend(parts.unused(&series.split(), table.file(), "rows"));
    let names: Vec<&str> = series.features.iter().map(|f| f.column.as_str()).collect();
    let raw = table.columns_named(&names)?;
    let texts = table.text_column(&transcript.column)?;

    let (mut said, mut in_two, mut holed, mut long) = (Vec::new(), 0, 0, 0);
    for group in table.groups() {
        let rows = group.rows.clone();
        let text = texts[rows.start];
        if let Some(row) = rows.clone().find(|&row| texts[row] != text) {
            return Err(DataError::TwoTranscripts {
                file: table.file_of(row).into(),
                line: table.line(row),
                column: transcript.column.clone(),
                text: texts[row].into(),
                before: text.into(),
            });
        }
        let part_of = |row: usize| {
            let belongs = |part: &Part| parts.contains(row, *part);
            Part::ALL.into_iter().find(belongs)
        };
        let part = part_of(rows.start);
        let whole = rows.clone().all(|row| part_of(row) == part);
        in_two += usize::from(!whole);
        holed += usize::from(whole && table.pieces(group).len() > 1);
        let is_long = task.shape.window > 0 && rows.len() > task.shape.window;
        long += usize::from(is_long);
        if let (Some(part), true, 1, false) = (part, whole, table.pieces(group).len(), is_long) {
            let text = composed(text.trim());
            let tokens = units(transcript.unit, &text).map(str::to_owned).collect();
            said.push(Said { rows, part, tokens });
        }
    }
    let of_training = said.iter().filter(|said| said.part == Part::Train);
    let known: BTreeSet<&String> = of_training.flat_map(|said| &said.tokens).collect();
    let known: Vec<String> = known.into_iter().cloned().collect();

    let mut data = Dataset::empty(
        task,
        Input::Features(Vec::new()),
        Output::Transcript(
            [BLANK.to_owned()]
                .into_iter()
                .chain(known.clone())
                .collect(),
        ),
    );
    data.width = series.features.len();
    data.window = 0;
    data.goals = vec![NOTHING; table.rows()];
    data.lengths = vec![0; table.rows()];
    let (mut train, mut short) = (Vec::new(), 0);
    for Said { rows, part, tokens } in said {
        let number = |token: &String| {
            let place = known.binary_search(token);
            place
                .map(|place| place + 1)
                .map_err(|_| DataError::NewToken {
                    file: table.file_of(rows.start).into(),
                    line: table.line(rows.start),
                    column: transcript.column.clone(),
                    token: token.clone(),
                })
        };
        let numbers = tokens.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        if steps_needed(&numbers) > rows.len() {
            short += 1;
            continue;
        }
        for (goal, &number) in data.goals[rows.clone()].iter_mut().zip(&numbers) {
            *goal = number as f32;
        }
        data.lengths[rows.clone()].fill(rows.len());
        data.window = data.window.max(rows.len());
        data.windows[part as usize].push(rows.start);
        data.groups.push(rows.start);
        if let Some(column) = &series.group {
            let name = table.text_column(column)?[rows.start].to_owned();
            data.group_names.push(name);
        }
        if part == Part::Train {
            // A first row has no row before it, so its difference says nothing about differences.
            train.extend(rows.clone().skip(1));
        }
        let counted = rows.start;
        data.streams[part as usize].push(Stream::from_reset(rows, counted));
    }
    for part in [Part::Train, Part::Valid] {
        if data.windows[part as usize].is_empty() {
            return Err(DataError::NoGroups {
                file: table.file().into(),
                part: part.name(),
            });
        }
    }
    let features = fit_features(series, table, &raw, &train)?;
    (data.normal, data.after_reset) = normalise_rows(&features, &raw);
    data.input = Input::Features(features);
    data.truth = data.goals.clone();
    data.raw = raw;
    let all = table.groups().len();
    let left_out = [
        (in_two, "lie in two parts".to_owned()),
        (holed, "have rows that are left out".to_owned()),
        (
            long,
            format!("are longer than the window of {} rows", task.shape.window),
        ),
        (
            short,
            "have fewer rows than their transcripts have tokens".to_owned(),
        ),
    ];
    notes.extend(
        left_out
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, why)| {
                let groups = share(count, all, "groups");
                format!("{}: {groups} {why}, and are not used", table.file())
            }),
    );
    data.notes = notes;
    Ok(data)
}
