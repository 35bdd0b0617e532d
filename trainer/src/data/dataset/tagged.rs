//! Sentences with a tag per word, as CoNLL-U and its relatives have them: a line per word, columns between tabs, a blank line
//! behind every sentence, `#` before a comment. A sentence is a sequence of its own, from a reset on.

use std::collections::BTreeSet;

use super::super::csv::Format;
use super::super::error::DataError;
use super::super::open::{open, read_text};
use super::super::split::Part;
use super::super::vocabulary::Vocabulary;
use super::{Dataset, Places, Stream, need_windows, share};
use crate::package::{Input, Output};
use crate::task::{TaggedTask, Task};

/// Word and tag.
type Sentence = Vec<(String, String)>;

pub fn load(task: &Task, tagged: &TaggedTask) -> Result<Dataset, DataError> {
    let mut parts: Vec<Vec<Sentence>> = Vec::new();
    for part in Part::ALL {
        let path = task.part_path(&tagged.files, part);
        let file = path.display().to_string();
        let text = open(&path, &Format::default()).and_then(|opened| read_text(opened.text));
        let text = text.map_err(|source| DataError::Read {
            file: file.clone(),
            source,
        })?;
        parts.push(sentences(&text, tagged, &file)?);
    }
    let of_training = || parts[Part::Train as usize].iter().flatten();
    let vocabulary = Vocabulary::fit(&tagged.vocabulary, of_training().map(|(word, _)| &word[..]));
    let tags: BTreeSet<&String> = of_training().map(|(_, tag)| tag).collect();
    let tags: Vec<String> = tags.into_iter().cloned().collect();

    let window = task.shape.window;
    let mut places = Places::default();
    let (mut tokens, mut truth, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    let mut notes = Vec::new();
    for (part, sentences) in Part::ALL.iter().zip(&parts) {
        let (first, mut unknown) = (tokens.len(), 0);
        for sentence in sentences {
            let rows = tokens.len()..tokens.len() + sentence.len();
            lengths.resize(rows.end, window.min(sentence.len()));
            for (word, tag) in sentence {
                // There is a token for what is unknown.
                let token = vocabulary.number(word).unwrap_or_default();
                unknown += usize::from(vocabulary.is_unknown(token));
                tokens.push(token as f32);
                let class = tags.binary_search(tag).map_err(|_| DataError::NewTag {
                    file: tagged.files.of(*part).display().to_string(),
                    word: word.clone(),
                    tag: tag.clone(),
                });
                truth.push(class? as f32);
            }
            places.0[*part as usize].push(rows.start);
            let counted = rows.start;
            places.1[*part as usize].push(Stream::from_reset(rows, counted));
        }
        if unknown > 0 {
            let file = tagged.files.of(*part).display();
            let unknown = share(unknown, tokens.len() - first, "words");
            notes.push(format!(
                "{file}: {unknown} have no token and enter as unknown"
            ));
        }
    }
    need_windows(&places, task, &task.origin.display().to_string(), |_| 0)?;
    let hidden_as = (0..vocabulary.names().len())
        .map(|token| vocabulary.instead_of(token) as f32)
        .collect();
    Ok(Dataset {
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
            Output::Classes(tags),
        )
    })
}

/// A comment; or words that were drawn together (3-4) or are only implied (3.1), which are no words of the sentence.
fn is_no_word(line: &str, word: usize) -> bool {
    let number = line.split('\t').next().unwrap_or("");
    line.starts_with('#') || word > 1 && number.contains(['-', '.'])
}

/// The word of a line with its tag, if it has one.
pub fn word_of(line: &str, word: usize) -> Option<&str> {
    let field = line.split('\t').nth(word.checked_sub(1)?)?.trim();
    (!is_no_word(line, word) && !field.is_empty()).then_some(field)
}

fn sentences(text: &str, tagged: &TaggedTask, file: &str) -> Result<Vec<Sentence>, DataError> {
    let mut sentences = vec![Sentence::new()];
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            sentences.push(Sentence::new());
            continue;
        }
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        if is_no_word(line, tagged.word) {
            continue;
        }
        let need = tagged.word.max(tagged.tag);
        if fields.len() < need {
            return Err(DataError::Ragged {
                file: file.into(),
                line: number as u64 + 1,
                have: fields.len(),
                need,
            });
        }
        let word = (
            fields[tagged.word - 1].into(),
            fields[tagged.tag - 1].into(),
        );
        if let Some(sentence) = sentences.last_mut() {
            sentence.push(word);
        }
    }
    sentences.retain(|sentence| !sentence.is_empty());
    Ok(sentences)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "name = \"t\"\n[tagged]\nfiles = { train = \"a\", valid = \"b\", test = \"b\" }\n\
        vocabulary = { endings = 2 }\n[shape]\nkind = \"many-to-many\"\nwindow = 2\n\
        [network]\ncell = \"rnn\"\nhidden = [2]\nembedding = 2\n";

    #[test]
    fn a_sentence_is_a_sequence_with_a_tag_per_word() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let train = "# text\n1\tthe\t_\tDET\n2\thats\t_\tNOUN\n\n\n1-2\tthe cat\t_\t_\n1\tthe\t_\tDET\n2\tcats\t_\tNOUN\n3\tran\t_\tVERB\n";
        write("a", train);
        write("b", "1\tbats\t_\tNOUN\n2\tthe\t_\tDET\n\n");
        let task = Task::parse(TASK, &folder.path().join("t.toml")).unwrap();
        let data = Dataset::load(&task).unwrap();
        let names = ["<unk>", "the", "…s", "…ts"].map(String::from);
        assert_eq!(*data.input(), Input::Tokens(names.to_vec()));
        let tags = ["DET", "NOUN", "VERB"].map(String::from);
        assert_eq!(*data.output(), Output::Classes(tags.to_vec()));
        let rows = |part| -> Vec<Vec<(f32, f32)>> {
            let rows = data.sequences(part).map(|s| {
                let row = |t| (s.raw(t)[0], s.truth(t)[0]);
                (0..s.steps()).map(row).collect()
            });
            rows.collect()
        };
        assert_eq!(
            rows(Part::Train),
            [
                vec![(1.0, 0.0), (3.0, 1.0)],
                vec![(1.0, 0.0), (3.0, 1.0), (0.0, 2.0)]
            ]
        );
        assert_eq!(rows(Part::Valid), [[(3.0, 1.0), (1.0, 0.0)]]);
        // Training looks at windows, which begin where sentences do.
        assert_eq!(data.windows(Part::Train), [0, 2]);
        assert_eq!(data.length(2), 2);

        write("b", "1\tbats\t_\tX\n");
        let error = Dataset::load(&task).unwrap_err().to_string();
        assert!(error.contains("b: \"bats\" has the tag \"X\""), "{error}");
        write("b", "1\tbats\n");
        let error = Dataset::load(&task).unwrap_err().to_string();
        assert!(
            error.contains("b:1: 2 fields where 4 were expected"),
            "{error}"
        );
    }
}
