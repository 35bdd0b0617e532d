//! Pairs of texts, for an encoder that reads the first and a decoder that gives the second. The decoder's data is a language
//! model's: a sequence begins with the token for the end of a line, and every output is about the next token, the last one
//! about the end. What the encoder reads lies beside it, sequence by sequence.

use super::super::csv::Table;
use super::super::error::DataError;
use super::super::made::{self, Pair};
use super::super::split::Part;
use super::super::vocabulary::Vocabulary;
use super::super::written::Written;
use super::{Dataset, Places, Stream, need_windows, share};
use crate::package::{Input, Output, Shape, Target};
use crate::task::{PairsTask, Task};

/// Begins and ends what a decoder gives.
pub const END: &str = "\n";

pub fn load(task: &Task, pairs: &PairsTask) -> Result<Dataset, DataError> {
    let parts = match (&pairs.made, &pairs.files) {
        (Some(made), _) => made::pairs(made),
        (None, Some(files)) => {
            let read = |part| {
                let table = Table::read(&task.part_path(files, part), &pairs.format)?;
                let column = |name| table.text_column(name);
                let texts = column(&pairs.source)?
                    .into_iter()
                    .zip(column(&pairs.target)?);
                Ok(texts.map(|(a, b)| (a.into(), b.into())).collect())
            };
            Part::ALL
                .into_iter()
                .map(read)
                .collect::<Result<_, DataError>>()?
        }
        (None, None) => Vec::new(),
    };
    let of_training = || parts.iter().take(1).flatten();
    let sources = Vocabulary::fit(&pairs.vocabulary, of_training().map(|p: &Pair| &p.0[..]));
    let targets = Vocabulary::fit(&pairs.vocabulary, of_training().map(|p| &p.1[..]));
    // What is unknown cannot be said: its place is the end's.
    let mut names = targets.names().to_vec();
    names[0] = END.into();

    let window = task.shape.window;
    let hidden = task.network.hidden.last().copied().unwrap_or(0);
    let mut source = empty(
        task,
        Input::Tokens(sources.names().to_vec()),
        states(hidden),
    );
    let mut target = empty(task, Input::Tokens(names), Output::NextToken);
    let mut starts = Vec::new();
    let mut notes = Vec::new();
    for (part, pairs) in Part::ALL.iter().zip(&parts) {
        let (mut cut, mut left_out) = (0, 0);
        for (read, said) in pairs {
            let mut read = sources.tokens(read).unwrap_or_default();
            let too_long = read.len() > window;
            read.truncate(window);
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
            let begins = source.raw.len();
            let read: Vec<f32> = read.into_iter().map(|token| token as f32).collect();
            let said: Vec<f32> = said.map(|token| token as f32).collect();
            push(&mut source, *part, &read, &vec![0.0; read.len()]);
            push(
                &mut target,
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
    target.notes = notes;
    target.source = Some((Box::new(source), starts));
    Ok(target)
}

/// Outputs of an encoder, which nobody asks for: what it has read is in its state.
fn states(hidden: usize) -> Output {
    let target = |k| Target::plain(format!("h{k}"));
    Output::Values((0..hidden).map(target).collect())
}

fn empty(task: &Task, input: Input, output: Output) -> Dataset {
    Dataset {
        name: task.name.clone(),
        written: Written::of(task),
        input,
        output,
        shape: Shape::EveryStep,
        width: 1,
        raw: Vec::new(),
        normal: Vec::new(),
        after_reset: Vec::new(),
        goal_width: 1,
        goals: Vec::new(),
        truth: Vec::new(),
        groups: Vec::new(),
        pieces: Vec::new(),
        events: Vec::new(),
        notes: Vec::new(),
        window: task.shape.window,
        lengths: Vec::new(),
        hidden_as: Vec::new(),
        quantiles: Vec::new(),
        times: Vec::new(),
        group_names: Vec::new(),
        source: None,
        windows: Default::default(),
        streams: Default::default(),
    }
}

fn push(data: &mut Dataset, part: Part, tokens: &[f32], truth: &[f32]) {
    let rows = data.raw.len()..data.raw.len() + tokens.len();
    data.raw.extend(tokens);
    data.normal.extend(tokens);
    data.goals.extend(truth);
    data.truth.extend(truth);
    data.lengths.resize(rows.end, tokens.len());
    data.windows[part as usize].push(rows.start);
    data.streams[part as usize].push(Stream {
        counted: rows.start,
        rows,
    });
}
