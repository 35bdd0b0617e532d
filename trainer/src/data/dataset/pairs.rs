//! Pairs, for an encoder that reads a text or samples and a decoder that gives a text. The decoder's data is a language
//! model's: a sequence begins with the token for the end of a line, and every output is about the next token, the last one
//! about the end. What the encoder reads lies beside it, sequence by sequence.

use super::super::csv::{Group, Table};
use super::super::error::DataError;
use super::super::made::{self, Source};
use super::super::split::Part;
use super::super::vocabulary::Vocabulary;
use super::{Dataset, Places, need_windows, normalise_rows, share};
use crate::package::{Feature, Input, Output, Target, Transform};
use crate::task::{PairsTask, Task};
use std::ops::Range;

/// Begins and ends what a decoder gives.
pub const END: &str = "\n";

type Pair = (Source, String);

pub fn load(task: &Task, pairs: &PairsTask) -> Result<Dataset, DataError> {
    let mut notes = Vec::new();
    let mut holds = false;
    let (columns, parts) = match (&pairs.made, &pairs.files) {
        (Some(made), _) => (made::columns(made.kind), made::pairs(made)),
        (None, Some(files)) => {
            let read = |part| {
                let table = Table::read(&task.part_path(files, part), &pairs.format)?;
                holds |= table.holds();
                of_table(table, pairs, &mut notes)
            };
            let parts = Part::ALL.into_iter().map(read);
            let parts = parts.collect::<Result<_, DataError>>()?;
            (pairs.features.clone(), parts)
        }
        (None, None) => Default::default(),
    };
    let of_training = || parts.iter().take(1).flatten();
    if let Some(files) = &pairs.files
        && of_training().all(|(_, said): &Pair| said.trim().is_empty())
    {
        return Err(DataError::NoTarget {
            file: task.part_path(files, Part::Train).display().to_string(),
            column: pairs.target.clone(),
            pairs: of_training().count(),
        });
    }
    let texts = of_training().filter_map(|(read, _)| match read {
        Source::Text(text) => Some(&text[..]),
        Source::Samples(_) => None,
    });
    let sources = Vocabulary::fit(&pairs.vocabulary, texts);
    let targets = Vocabulary::fit(&pairs.vocabulary, of_training().map(|p| &p.1[..]));
    // What is unknown cannot be said: its place is the end's.
    let mut names = targets.names().to_vec();
    names[0] = END.into();
    let input = match columns.is_empty() {
        true => Input::Tokens(sources.names().to_vec()),
        false => {
            let samples = of_training().filter_map(|(read, _)| match read {
                Source::Samples(samples) => Some(&samples[..]),
                Source::Text(_) => None,
            });
            let samples: Vec<&[f32]> = samples.collect();
            Input::Features(features(task, pairs, &columns, &samples, holds)?)
        }
    };

    let window = task.shape.window;
    let hidden = task.network.hidden.last().copied().unwrap_or(0);
    let mut source = Dataset::empty(task, input, states(hidden));
    source.width = columns.len().max(1);
    let mut target = Dataset::empty(task, Input::Tokens(names), Output::NextToken);
    let mut starts = Vec::new();
    for (part, pairs) in Part::ALL.iter().zip(&parts) {
        let (mut cut, mut left_out) = (0, 0);
        for (read, said) in pairs {
            let mut read: Vec<f32> = match read {
                Source::Text(text) => {
                    let tokens = sources.tokens(text).unwrap_or_default();
                    tokens.into_iter().map(|token| token as f32).collect()
                }
                Source::Samples(samples) => samples.clone(),
            };
            let too_long = read.len() > window * source.width;
            read.truncate(window * source.width);
            // What training never saw in an answer is left out of it.
            let said = match said.trim() {
                // Nothing is to be said, which no token stands for.
                "" => Vec::new(),
                said => targets.tokens(said).unwrap_or_default(),
            };
            left_out += said.iter().filter(|&&token| token == 0).count();
            let said: Vec<usize> = said.into_iter().filter(|&token| token > 0).collect();
            cut += usize::from(too_long || said.len() >= window);
            let said = said.into_iter().take(window - 1);
            let said: Vec<f32> = said.map(|token| token as f32).collect();
            let begins = source.goals.len();
            let steps = read.len() / source.width;
            source.push(*part, &read, &vec![0.0; steps]);
            target.push(
                *part,
                &[&[0.0], &said[..]].concat(),
                &[&said[..], &[0.0]].concat(),
            );
            starts.resize(target.raw.len(), begins);
        }
        if cut > 0 {
            let cut = share(cut, pairs.len(), "pairs");
            notes.push(format!(
                "{} part: {cut} are longer than the window and are cut off there",
                part.name()
            ));
        }
        if left_out > 0 {
            let part = part.name();
            notes.push(format!(
                "{part} part: {left_out} words or characters that training never saw are left out of answers"
            ));
        }
    }
    let places: Places = (target.windows.clone(), target.streams.clone());
    need_windows(&places, task, &task.origin.display().to_string(), |_| 0)?;
    if let Input::Features(features) = &source.input {
        (source.normal, source.after_reset) = normalise_rows(features, &source.raw);
    }
    target.notes = notes;
    target.source = Some((Box::new(source), starts));
    Ok(target)
}

/// The pairs of a file.
fn of_table(
    mut table: Table,
    pairs: &PairsTask,
    notes: &mut Vec<String>,
) -> Result<Vec<Pair>, DataError> {
    if pairs.features.is_empty() {
        notes.extend(table.notes().iter().cloned());
        let sources = table.text_column(&pairs.source)?.into_iter();
        let targets = table.text_column(&pairs.target)?;
        let text = |(read, said): (&str, &str)| (Source::Text(read.into()), said.into());
        return Ok(sources.zip(targets).map(text).collect());
    }
    if let Some(column) = &pairs.group {
        table.group_by(column)?;
    }
    let names: Vec<&str> = pairs.features.iter().map(String::as_str).collect();
    if let Some(whole) = table.without_broken(&names)? {
        table = whole;
    }
    notes.extend(table.notes().iter().cloned());
    let samples = table.columns_named(&names)?;
    let targets = table.text_column(&pairs.target)?;
    let samples_of = |rows: Range<usize>| {
        Source::Samples(samples[rows.start * names.len()..rows.end * names.len()].into())
    };
    if pairs.group.is_none() {
        let rows = targets.iter().enumerate();
        let pair = |(row, said): (usize, &&str)| (samples_of(row..row + 1), (*said).into());
        return Ok(rows.map(pair).collect());
    }
    let of_group = |group: &Group| {
        let mut said = group.rows.clone().filter(|&row| !targets[row].is_empty());
        let first = said.next().unwrap_or(group.rows.start);
        match said.find(|&row| targets[row] != targets[first]) {
            None => Ok((samples_of(group.rows.clone()), targets[first].into())),
            Some(row) => Err(DataError::Token {
                file: table.file().into(),
                line: table.line(row),
                problem: format!(
                    "column {:?}: {:?}, where line {} of the same group has {:?}; a group has one text, in one of its rows or in all",
                    pairs.target,
                    targets[row],
                    table.line(first),
                    targets[first]
                ),
            }),
        }
    };
    table.groups().iter().map(of_group).collect()
}

/// The columns of samples, scaled as the training part needs it.
fn features(
    task: &Task,
    pairs: &PairsTask,
    columns: &[String],
    samples: &[&[f32]],
    hold: bool,
) -> Result<Vec<Feature>, DataError> {
    let of = |(k, name): (usize, &String)| {
        let of_column = |s: &&[f32]| -> Vec<f32> {
            let values = s.iter().skip(k).step_by(columns.len());
            values.copied().collect()
        };
        let values: Vec<f32> = samples.iter().flat_map(of_column).collect();
        let fitted = pairs.normalise.fit(values.into_iter(), 0.0);
        let (offset, spread) = fitted.map_err(|value| DataError::Constant {
            file: task.origin.display().to_string(),
            column: name.clone(),
            value,
        })?;
        Ok(Feature {
            name: name.clone(),
            unit: String::new(),
            hold,
            transform: Transform::None,
            offset: offset as f32,
            scale: (1.0 / spread) as f32,
        })
    };
    columns.iter().enumerate().map(of).collect()
}

/// Outputs of an encoder, which nobody asks for: what it has read is in its state.
fn states(hidden: usize) -> Output {
    let target = |k| Target::plain(format!("h{k}"));
    Output::Values((0..hidden).map(target).collect())
}
