//! Text: as it runs, with a label each, or with a tag per word.

use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use super::InitError;
use super::column::{Column, Holds};
use super::draft::{Draft, Size, count, list, names, quoted};
use crate::data::csv::Format;
use crate::data::open::{open, read_text};

const MOST_CLASSES: usize = 24;
/// A sentence is longer than a name (characters on average).
const SENTENCE: usize = 20;

/// The files of training, validation and test beside each other, where names say so.
pub struct Parts {
    pub train: PathBuf,
    pub valid: PathBuf,
    pub test: PathBuf,
}

impl Parts {
    /// `reviews-train.tsv` has brothers called `reviews-dev.tsv` and `reviews-test.tsv`.
    pub fn beside(path: &Path) -> Option<Parts> {
        let name = path.file_name()?.to_str()?;
        let at = name.to_lowercase().rfind("train")?;
        let brother = |words: &[&str]| {
            let with = |word: &&str| {
                path.with_file_name(format!("{}{word}{}", &name[..at], &name[at + 5..]))
            };
            words.iter().map(with).find(|path| path.exists())
        };
        Some(Parts {
            train: path.into(),
            valid: brother(&["valid", "dev", "val", "validation"])?,
            test: brother(&["test"])?,
        })
    }

    fn lines(&self, draft: &mut Draft, shown: &dyn Fn(&Path) -> String) {
        for (key, path) in [
            ("train", &self.train),
            ("valid", &self.valid),
            ("test", &self.test),
        ] {
            draft.line(&format!("{key} = {}", quoted(&shown(path))));
        }
    }
}

/// The columns of texts and labels, if rows are labelled texts.
pub fn find(columns: &[Column<'_>], target: Option<&str>) -> Option<(usize, usize)> {
    let is_text = |k: &usize| {
        let column = &columns[*k];
        let characters: usize = column.texts.iter().map(|t| t.chars().count()).sum();
        column.holds == Holds::Text && characters >= SENTENCE * column.texts.len()
    };
    let is_label = |k: &usize| {
        let column = &columns[*k];
        let kind = column.is_whole() || matches!(column.holds, Holds::Categories(_));
        kind && column.different(MOST_CLASSES).len() <= MOST_CLASSES
    };
    let all = || 0..columns.len();
    let mut texts = all().filter(is_text);
    let text = texts.next()?;
    // Beside many numbers a text is a note.
    if texts.next().is_some()
        || columns.len() > 5
        || columns.iter().any(|c| matches!(c.holds, Holds::Times(_)))
    {
        return None;
    }
    let label = match target {
        Some(name) => all().find(|&k| columns[k].name == name && is_label(&k)),
        None => all().find(is_label),
    };
    Some((text, label?))
}

/// Languages without blanks between words, and those whose words change too much to be counted whole.
fn is_of_syllables(texts: &[&str]) -> bool {
    let (mut letters, mut syllables) = (0, 0);
    for c in texts
        .iter()
        .take(1000)
        .flat_map(|t| t.chars())
        .filter(|c| c.is_alphabetic())
    {
        letters += 1;
        syllables += usize::from(
            matches!(c as u32, 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17ff | 0x3040..=0x9fff | 0xac00..=0xd7af),
        );
    }
    syllables * 3 > letters
}

/// Labelled texts.
pub fn documents(
    columns: &[Column<'_>],
    (text, label): (usize, usize),
    format: &Format,
    path: &Path,
    shown: &dyn Fn(&Path) -> String,
    draft: &mut Draft,
) {
    let texts = &columns[text].texts;
    let syllables = is_of_syllables(texts);
    let tokens = |t: &&str| {
        if syllables {
            t.chars().count()
        } else {
            t.split_whitespace().count()
        }
    };
    let mut lengths: Vec<usize> = texts.iter().map(tokens).collect();
    lengths.sort_unstable();
    let window = lengths[(lengths.len() - 1) * 98 / 100].clamp(4, 256);
    let mean = lengths.iter().map(|&n| n.min(window)).sum::<usize>() / lengths.len();
    let mut classes = columns[label].different(MOST_CLASSES);
    classes.sort_unstable();
    let parts = Parts::beside(path);
    draft.section("documents");
    if parts.is_none() {
        draft.line(&format!("file = {}", quoted(&shown(path))));
        draft.line("split = { fractions = [0.7, 0.1, 0.2] }");
    }
    draft.line(&format!("text = {}", quoted(&columns[text].name)));
    let unit = if syllables { "characters" } else { "words" };
    let capitals = !syllables && texts.iter().any(|t| t.chars().any(char::is_uppercase));
    draft.comment("What occurs once in the training part teaches nothing: it counts as unknown.");
    draft.line(&format!(
        "vocabulary = {{ unit = \"{unit}\", min_count = 2, max_tokens = 5000{} }}",
        if capitals { ", lowercase = true" } else { "" }
    ));
    if let Some(parts) = &parts {
        draft.section("documents.files");
        parts.lines(draft, shown);
    }
    draft.line("\n[documents.label]");
    draft.line(&format!("column = {}", quoted(&columns[label].name)));
    draft.line("classes = [");
    for class in &classes {
        draft.line(&format!(
            "    {{ name = {0}, labels = [{0}] }},",
            quoted(class)
        ));
    }
    draft.line("]");
    draft.format("documents.format", format);
    draft.section("shape");
    draft.line("kind = \"many-to-one\"");
    draft.comment(&format!("Longer texts are cut off behind so many {unit}."));
    draft.line(&format!("window = {window}"));
    draft.tell(
        "rows",
        format!(
            "a text each, in the column {}, read by {unit}",
            columns[text].name
        ),
    );
    draft.tell(
        "target",
        format!(
            "{}: {} classes, {}",
            columns[label].name,
            classes.len(),
            names(classes.iter().copied())
        ),
    );
    draft.tell(
        "parts",
        match &parts {
            Some(parts) => format!(
                "three files: {}",
                list(
                    [&parts.train, &parts.valid, &parts.test]
                        .into_iter()
                        .filter_map(|p| p.file_name()?.to_str())
                )
            ),
            None => {
                "the first 70 % of the rows for training, 10 % for validation, 20 % for the test"
                    .into()
            }
        },
    );
    let training = if parts.is_some() {
        texts.len()
    } else {
        texts.len() * 7 / 10
    };
    draft.network(&Size {
        inputs: 0,
        outputs: classes.len(),
        hidden: 24,
        embedding: Some(24),
        word_dropout: Some(0.3),
        windows: training,
        window: mean,
    });
}

/// Text as it runs: what comes next? Gives how it begins.
pub fn running(
    path: &Path,
    shown: &dyn Fn(&Path) -> String,
    draft: &mut Draft,
) -> Result<String, InitError> {
    let read = |source: io::Error| InitError::Read {
        file: path.display().to_string(),
        source,
    };
    let text = open(path, &Format::default())
        .and_then(|opened| read_text(opened.text))
        .map_err(read)?;
    let characters = text.chars().count();
    let different = text.chars().collect::<std::collections::HashSet<_>>().len();
    if characters < 200 || different < 2 {
        return Err(InitError::TooShort { characters });
    }
    let training = characters * 8 / 10;
    draft.section("text");
    draft.line(&format!("file = {}", quoted(&shown(path))));
    draft.line("unit = \"characters\"");
    draft.line("split = { fractions = [0.8, 0.1, 0.1] }");
    draft.section("shape");
    draft.comment(
        "The next character, from all before it: such a model can write (`kinglet generate`).",
    );
    draft.line("kind = \"next-token\"");
    draft.line("window = 32");
    draft.comment("The state goes on from window to window.");
    draft.line("stateful = true");
    draft.tell(
        "text",
        format!(
            "{} characters, {different} different ones",
            count(characters)
        ),
    );
    draft.tell("target", "the next character, at every character");
    draft.tell(
        "parts",
        "the first 80 % of the text for training, 10 % for validation, 10 % for the test",
    );
    draft.network(&Size {
        inputs: 0,
        outputs: different,
        hidden: 48,
        embedding: Some(16),
        word_dropout: None,
        windows: training / 32,
        window: 32,
    });
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let first = first.unwrap_or(&text).split_inclusive(' ').take(3);
    Ok(first.collect::<String>().trim().to_owned())
}

/// A tag per word.
pub fn tagged(
    path: &Path,
    shown: &dyn Fn(&Path) -> String,
    draft: &mut Draft,
) -> Result<(), InitError> {
    let file = path.display().to_string();
    let Some(parts) = Parts::beside(path) else {
        return Err(InitError::NoParts { file });
    };
    let read = |source: io::Error| InitError::Read {
        file: file.clone(),
        source,
    };
    let (mut words, mut sentences, mut in_sentence) = (0, 0, false);
    for line in io::BufReader::new(File::open(path).map_err(read)?).lines() {
        let line = line.map_err(read)?;
        let is_word = line.contains('\t');
        words += usize::from(is_word);
        sentences += usize::from(is_word && !in_sentence);
        in_sentence = is_word;
    }
    draft.section("tagged");
    draft.comment(
        "Words that occur once count as unknown; endings of up to three letters stand for them.",
    );
    draft.line("vocabulary = { min_count = 2, endings = 3, lowercase = true }");
    draft.section("tagged.files");
    parts.lines(draft, shown);
    draft.section("shape");
    draft.line("kind = \"many-to-many\"");
    draft.line("window = 40");
    draft.tell(
        "text",
        format!(
            "CoNLL-U: {} words in {} sentences of the training file",
            count(words),
            count(sentences)
        ),
    );
    draft.tell(
        "target",
        "the tag in column 4 (UPOS), for every word as it comes",
    );
    draft.network(&Size {
        inputs: 0,
        outputs: 20,
        hidden: 32,
        embedding: Some(24),
        word_dropout: Some(0.1),
        windows: sentences,
        window: words / sentences.max(1),
    });
    Ok(())
}
