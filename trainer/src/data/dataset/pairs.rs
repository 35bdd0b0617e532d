//! Pairs, for an encoder that reads a text or samples and a decoder that gives a text. The decoder's data is a language
//! model's: a sequence begins with the token for the end of a line, and every output is about the next token, the last one
//! about the end. What the encoder reads lies beside it, sequence by sequence.

use super::super::csv::{Group, Table};
use super::super::error::{DataError, Used};
use super::super::made::{self, Source};
use super::super::split::Part;
use super::super::vocabulary::{UNKNOWN, Vocabulary, no_token};
use super::{Dataset, Places, need_windows, normalise_rows, share};
use crate::package::{Feature, Input, Output, Package, Target, Transform};
use crate::task::{PairsTask, Task};
use std::ops::Range;

/// Begins and ends what a decoder gives.
pub const END: &str = "\n";

/// What is read, what is said to it, and where that stands.
struct Pair {
    read: Source,
    said: String,
    /// 0 where it is made up.
    line: u64,
}

/// With the tokens of these models, or with tokens made of the training part.
pub fn load(
    task: &Task,
    pairs: &PairsTask,
    models: Option<[&Package; 2]>,
) -> Result<Dataset, DataError> {
    let mut notes = Vec::new();
    let mut holds = false;
    let (columns, parts) = match (&pairs.made, &pairs.files) {
        (Some(made), _) => {
            let of_part = |part: Vec<_>| -> Vec<Pair> {
                let pairs = part.into_iter();
                let pair = |(read, said)| Pair {
                    read,
                    said,
                    line: 0,
                };
                pairs.map(pair).collect()
            };
            let parts = made::pairs(made).into_iter().map(of_part);
            (made::columns(made.kind), parts.collect())
        }
        (None, Some(files)) => {
            let read = |part| {
                let table = Table::read(&task.part_path(files, part), &pairs.format)?;
                holds |= table.holds();
                of_table(table, pairs, &mut notes)
            };
            let parts = Part::ALL.into_iter().map(read);
            let parts = parts.collect::<Result<Vec<_>, DataError>>()?;
            (pairs.features.clone(), parts)
        }
        (None, None) => Default::default(),
    };
    let of_training = || parts.iter().take(1).flatten();
    if let Some(files) = &pairs.files
        && of_training().all(|pair: &Pair| pair.said.trim().is_empty())
    {
        return Err(DataError::NoTarget {
            file: task.part_path(files, Part::Train).display().to_string(),
            column: pairs.target.clone(),
            pairs: of_training().count(),
        });
    }
    let [of_encoder, of_decoder] = [0, 1].map(|side: usize| match models?[side].input {
        Input::Tokens(ref names) => Some(names),
        Input::Features(_) => None,
    });
    let texts = of_training().filter_map(|pair| match &pair.read {
        Source::Text(text) => Some(&text[..]),
        Source::Samples(_) => None,
    });
    let sources = match of_encoder {
        Some(names) => Vocabulary::new(names),
        None => Vocabulary::fit(&pairs.vocabulary, texts),
    };
    // What is unknown cannot be said: its place is the end's.
    let (targets, names) = match of_decoder {
        Some(names) => {
            let unknown = |name: &String| match name == END {
                true => UNKNOWN.to_owned(),
                false => name.clone(),
            };
            let own: Vec<String> = names.iter().map(unknown).collect();
            (Vocabulary::new(&own), names.clone())
        }
        None => {
            let said = of_training().map(|pair| &pair.said[..]);
            let targets = Vocabulary::fit(&pairs.vocabulary, said);
            let mut names = targets.names().to_vec();
            names[0] = END.into();
            (targets, names)
        }
    };
    let input = match columns.is_empty() {
        true => Input::Tokens(sources.names().to_vec()),
        false => {
            let samples = of_training().filter_map(|pair| match &pair.read {
                Source::Samples(samples) => Some(&samples[..]),
                Source::Text(_) => None,
            });
            let samples: Vec<&[f32]> = samples.collect();
            Input::Features(features(task, pairs, &columns, &samples, holds)?)
        }
    };

    let window = task.shape.window;
    let hidden = task.network.hidden.last().copied().unwrap_or(0);
    let output = models.map_or_else(|| states(hidden), |[encoder, _]| encoder.output.clone());
    let mut source = Dataset::empty(task, input, output);
    source.width = columns.len().max(1);
    let mut target = Dataset::empty(task, Input::Tokens(names.clone()), Output::NextToken);
    let mut starts = Vec::new();
    for (part, all) in Part::ALL.iter().zip(&parts) {
        let (mut cut, mut left_out) = (0, 0);
        for Pair { read, said, line } in all {
            let wrong = |side: usize, problem| DataError::PairText {
                place: match &pairs.files {
                    Some(files) => format!("{}:{line}", task.part_path(files, *part).display()),
                    None => task.origin.display().to_string(),
                },
                column: [&pairs.source, &pairs.target][side].clone(),
                problem,
            };
            let strange = |side: usize, text: &str, unit: &str| {
                let names = [sources.names(), &names][side];
                let problem = no_token(unit, ["encoder", "decoder"][side], names);
                wrong(
                    side,
                    format!("{problem}; write {text:?} in these, or take the pair out"),
                )
            };
            let mut read: Vec<f32> = match read {
                Source::Text(text) => {
                    let tokens = sources.tokens(text);
                    let tokens = tokens.map_err(|unit| strange(0, text, &unit))?;
                    if tokens.is_empty() {
                        let problem = "there is nothing to read; take the pair out";
                        return Err(wrong(0, problem.into()));
                    }
                    tokens.into_iter().map(|token| token as f32).collect()
                }
                Source::Samples(samples) => samples.clone(),
            };
            let too_long = read.len() > window * source.width;
            read.truncate(window * source.width);
            // What has no token in an answer is left out of it, where the decoder was trained so.
            let said = match said.trim() {
                // Nothing is to be said, which no token stands for.
                "" => Vec::new(),
                said => {
                    let tokens = targets.tokens(said);
                    tokens.map_err(|unit| strange(1, said, &unit))?
                }
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
            let cut = share(cut, all.len(), "pairs");
            notes.push(format!(
                "{} part: {cut} are longer than the window and are cut off there",
                part.name()
            ));
        }
        if left_out > 0 {
            let (part, why) = (
                part.name(),
                match of_decoder {
                    Some(_) => "that the decoder cannot say",
                    None => "that training never saw",
                },
            );
            notes.push(format!(
                "{part} part: {left_out} words or characters {why} are left out of answers"
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
        let text = |(row, (read, said)): (usize, (&str, &str))| Pair {
            read: Source::Text(read.into()),
            said: said.into(),
            line: table.line(row),
        };
        return Ok(sources.zip(targets).enumerate().map(text).collect());
    }
    if let Some(column) = &pairs.group {
        table.group_by(column)?;
    }
    let names: Vec<&str> = pairs.features.iter().map(String::as_str).collect();
    if let Some(whole) = table.without_broken(&names, |_| Ok([]))? {
        table = whole;
    }
    notes.extend(table.notes().iter().cloned());
    let samples = table.columns_named(&names)?;
    let targets = table.text_column(&pairs.target)?;
    let pair_of = |rows: Range<usize>, said: &str| Pair {
        line: table.line(rows.start),
        read: Source::Samples(samples[rows.start * names.len()..rows.end * names.len()].into()),
        said: said.into(),
    };
    if pairs.group.is_none() {
        let rows = targets.iter().enumerate();
        let pair = |(row, said): (usize, &&str)| pair_of(row..row + 1, said);
        return Ok(rows.map(pair).collect());
    }
    let of_group = |group: &Group| {
        let mut said = group.rows.clone().filter(|&row| !targets[row].is_empty());
        let first = said.next().unwrap_or(group.rows.start);
        match said.find(|&row| targets[row] != targets[first]) {
            None => Ok(pair_of(group.rows.clone(), targets[first])),
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
        let (offset, spread) = fitted.map_err(|why| DataError::Constant {
            file: task.origin.display().to_string(),
            column: name.clone(),
            used: Used::Feature { transformed: false },
            why,
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
