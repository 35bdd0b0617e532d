//! Texts with a label each. All tokens of all texts lie one after the other; a text is a sequence of its own, from a reset
//! to its last token, whose output counts.
//!
//! Texts differ in length, and nothing is padded: a pad would be one more thing that training has and a device has not.
//! Training runs texts of one length side by side instead. What is longer than the window is cut off behind it, since a
//! device that reads along has seen the beginning.

use super::super::csv::Table;
use super::super::error::DataError;
use super::super::split::{Part, Rows};
use super::super::vocabulary::Vocabulary;
use super::series::{NOT_USED, class_column, class_output, mislabelled, unlabelled};
use super::{Dataset, Places, Stream, share};
use crate::package::{Input, Shape};
use crate::task::{DocumentsTask, Split, Task};

pub fn load(task: &Task, documents: &DocumentsTask) -> Result<Dataset, DataError> {
    let tables: Vec<Table> = match &documents.files {
        Some(files) => Part::ALL
            .iter()
            .map(|&part| {
                let table = Table::read(&task.part_path(files, part), &documents.format)?;
                labelled(table, documents, &Split::None)
            })
            .collect::<Result<_, _>>()?,
        None => parts(task, documents)?,
    };
    let texts: Vec<Vec<&str>> = tables
        .iter()
        .map(|table| table.text_column(&documents.text))
        .collect::<Result<_, _>>()?;
    let of_training = texts[Part::Train as usize].iter().copied();
    let vocabulary = Vocabulary::fit(&documents.vocabulary, of_training);
    let window = task.shape.window;
    let mut places = Places::default();
    let (mut tokens, mut truth, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    let mut notes = Vec::new();
    for (part, (table, texts)) in Part::ALL.iter().zip(tables.iter().zip(&texts)) {
        let classes = class_column(table, &documents.label)?;
        notes.extend(unlabelled(table, &documents.label, &classes, NOT_USED));
        let (mut cut, mut unknown, first) = (0, 0, tokens.len());
        let labelled = texts.iter().zip(classes);
        for (text, class) in labelled.filter_map(|(text, class)| Some((text, class?))) {
            // There is a token for what is unknown, so every text has tokens.
            let mut numbers = vocabulary.tokens(text).unwrap_or_default();
            cut += usize::from(numbers.len() > window);
            numbers.truncate(window);
            unknown += numbers
                .iter()
                .filter(|&&t| vocabulary.is_unknown(t))
                .count();
            let rows = tokens.len()..tokens.len() + numbers.len();
            lengths.resize(rows.end, numbers.len());
            truth.resize(rows.end, class as f32);
            tokens.extend(numbers.iter().map(|&token| token as f32));
            places.0[*part as usize].push(rows.start);
            let counted = rows.end - 1;
            places.1[*part as usize].push(Stream::from_reset(rows, counted));
        }
        notes.extend(table.notes().iter().cloned());
        let (file, all) = (table.file(), tokens.len() - first);
        if unknown > 0 {
            let unknown = share(unknown, all, "words or characters");
            notes.push(format!(
                "{file}: {unknown} have no token and enter as unknown"
            ));
        }
        if cut > 0 {
            let cut = share(cut, texts.len(), "texts");
            notes.push(format!(
                "{file}: {cut} are longer than the window of {window} tokens and are cut off there"
            ));
        }
    }
    let hidden_as = (0..vocabulary.names().len())
        .map(|token| vocabulary.instead_of(token) as f32)
        .collect();
    Ok(Dataset {
        shape: Shape::Window {
            window,
            hop: window,
            exact: true,
        },
        raw: tokens.clone(),
        normal: tokens,
        goals: truth.clone(),
        truth,
        notes,
        window,
        lengths,
        hidden_as,
        windows: places.0,
        streams: places.1,
        ..Dataset::empty(
            task,
            Input::Tokens(vocabulary.names().to_vec()),
            class_output(&documents.label),
        )
    })
}

/// The rows that have a label and a part, where others are to be left out.
fn labelled(table: Table, documents: &DocumentsTask, split: &Split) -> Result<Table, DataError> {
    let mislabelled = |table: &Table| mislabelled(Some(&documents.label), split, table);
    Ok(table.without_broken(&[], mislabelled)?.unwrap_or(table))
}

/// The rows of one file as a table for every part.
fn parts(task: &Task, documents: &DocumentsTask) -> Result<Vec<Table>, DataError> {
    let path = task.data_path().unwrap_or_default();
    let table = Table::read(&path, &documents.format)?;
    let table = labelled(table, documents, &documents.split)?;
    let rows = Rows::of_table(&documents.split, &table)?;
    let part = |part: Part| {
        if rows.count(part) == 0 {
            return Err(DataError::EmptyPart {
                file: table.file().into(),
                part: part.name(),
                rows: 0,
                window: task.shape.window,
                horizon: 0,
            });
        }
        Ok(table.select(|all| all.filter(|&row| rows.contains(row, part)).collect()))
    };
    let mut parts = Part::ALL
        .into_iter()
        .map(part)
        .collect::<Result<Vec<_>, _>>()?;
    let unused = rows.unused(&documents.split, table.file(), "rows");
    if let (Some(first), Some(unused)) = (parts.first_mut(), unused) {
        first.note(unused);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Options, fit};
    use std::fs;
    use std::ops::ControlFlow;

    const TASK: &str = "name = \"t\"\n[documents]\ntext = \"text\"\nformat = { delimiter = \"\\t\" }\n\
        files = { train = \"a.tsv\", valid = \"b.tsv\", test = \"c.tsv\" }\n\
        label = { column = \"label\", classes = [{ name = \"no\", labels = [\"0\"] }, { name = \"yes\", labels = [\"1\"] }] }\n\
        [shape]\nkind = \"many-to-one\"\nwindow = 3\n[network]\ncell = \"rnn\"\nhidden = [2]\nembedding = 2\n";

    #[test]
    fn a_text_is_a_sequence_of_its_own_length() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: &str| {
            fs::write(folder.path().join(name), format!("label\ttext\n{rows}")).unwrap();
        };
        write("a.tsv", "1\tyes \"oh yes\n0\tno\n0\t\n1\tyes no yes no\n");
        write("b.tsv", "0\tmaybe\n");
        write("c.tsv", "1\tno no\n");
        let mut task = Task::parse(TASK, &folder.path().join("t.toml")).unwrap();
        let data = Dataset::load(&task).unwrap();
        assert_eq!(
            *data.input(),
            Input::Tokens(["<unk>", "yes", "no"].map(String::from).to_vec())
        );
        let sequences = |part| -> Vec<(Vec<f32>, f32)> {
            let sequences = data.sequences(part).map(|s| {
                let tokens = (0..s.steps()).map(|t| s.raw(t)[0]).collect();
                assert!((0..s.steps()).all(|t| s.counts(t) == (t + 1 == s.steps())));
                (tokens, s.truth(s.steps() - 1)[0])
            });
            sequences.collect()
        };
        // A quotation mark between tabs is nothing special, a text of nothing is unknown, a long one is cut.
        assert_eq!(
            sequences(Part::Train),
            [
                (vec![1.0, 0.0, 1.0], 1.0),
                (vec![2.0], 0.0),
                (vec![0.0], 0.0),
                (vec![1.0, 2.0, 1.0], 1.0)
            ]
        );
        assert_eq!(sequences(Part::Valid), [(vec![0.0], 0.0)]);
        assert_eq!(sequences(Part::Test), [(vec![2.0, 2.0], 1.0)]);

        // The same texts from one file, cut by counts.
        write(
            "all.tsv",
            "1\tyes \"oh yes\n0\tno\n0\t\n1\tyes no yes no\n0\tmaybe\n1\tno no\n",
        );
        let one = TASK.replacen(
            "files = { train = \"a.tsv\", valid = \"b.tsv\", test = \"c.tsv\" }",
            "file = \"all.tsv\"\nsplit = { rows = [4, 1, 1] }",
            1,
        );
        let one = Task::parse(&one, &folder.path().join("t.toml")).unwrap();
        let one = Dataset::load(&one).unwrap();
        assert_eq!(
            (&one.raw, &one.truth, &one.windows),
            (&data.raw, &data.truth, &data.windows)
        );

        write("b.tsv", "2\tmaybe\n");
        task.data_override = Some(folder.path().to_path_buf());
        let error = Dataset::load(&task).unwrap_err().to_string();
        assert!(
            error.contains("b.tsv:2: column \"label\": \"2\" is none of 0, 1"),
            "{error}"
        );
    }

    #[test]
    fn texts_of_many_lengths_train_to_the_same_bits_on_any_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = String::from("label\ttext\n");
        for k in 0..90 {
            let word = ["no ", "yes "][k % 2];
            rows += &format!("{}\t{}\n", k % 2, word.repeat(1 + k % 7 % 3));
        }
        for name in ["a.tsv", "b.tsv", "c.tsv"] {
            fs::write(folder.path().join(name), &rows).unwrap();
        }
        let keys = "[train]\nepochs = 10\nbatch = 40\nword_dropout = 0.2\nlearning_rate = 0.02\n";
        let task = Task::parse(&format!("{TASK}{keys}"), &folder.path().join("t.toml")).unwrap();
        let data = Dataset::load(&task).unwrap();
        let trained = |threads| {
            let options = Options {
                threads: Some(threads),
                ..Options::default()
            };
            fit(&task, &data, &options, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let (one, three) = (trained(1), trained(3));
        assert_eq!(one.package, three.package);
        assert!(
            one.valid_loss < one.history[0].valid_loss,
            "{:?}",
            one.history
        );
    }
}
