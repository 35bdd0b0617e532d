//! Text to tokens, the same way in training and in use.
//!
//! A model file holds the names of its tokens and nothing else about text, because nothing else is needed:
//! - Letters and their marks are composed (NFC) before anything else, unless the names themselves are decomposed.
//! - Where every name is a single character, text is cut into characters, else into words at white space.
//! - `<unk>` stands for what has no name of its own. A model without it refuses such text.
//! - Where `<unk>` is there and no name has a capital letter, text is read in lower case.
//! - `…ing` stands for a word without a name that ends so, `^…ing` for one that also begins with a capital letter; the
//!   longest ending wins. Digits of an ending are all 0. Part-of-speech taggers need it: an unknown word's ending says
//!   more about its class than that it is unknown.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::csv::composed;
use crate::escape::escape;
use serde::Deserialize;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfd};

/// The token for what has no name of its own.
pub const UNKNOWN: &str = "<unk>";
/// Before an ending.
const ENDING: char = '…';
/// Before the ending of a word that begins with a capital letter.
const CAPITAL: char = '^';

/// What text is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// At white space.
    Words,
    /// Blanks and line ends included.
    #[default]
    Characters,
}

/// Which tokens a vocabulary has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VocabularyTask {
    /// What text is cut into.
    pub unit: Unit,
    /// Capital letters count as small ones.
    pub lowercase: bool,
    /// What occurs less often in the training part is unknown.
    pub min_count: usize,
    /// So many of the most frequent words or characters at the most.
    pub max_tokens: usize,
    /// Letters of the longest ending that stands for unknown words; 0: none does.
    pub endings: usize,
}

impl Default for VocabularyTask {
    fn default() -> Self {
        VocabularyTask {
            unit: Unit::Words,
            lowercase: false,
            min_count: 2,
            max_tokens: 10_000,
            endings: 0,
        }
    }
}

/// The tokens of a model, by name and by what they stand for.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    names: Vec<String>,
    places: HashMap<String, usize>,
    unit: Unit,
    lowercase: bool,
    unknown: Option<usize>,
    /// The names are decomposed, as their training texts were.
    decomposed: bool,
    /// Characters of the longest ending.
    endings: usize,
}

impl Vocabulary {
    /// Of a model's token names.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Self {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let places: HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
        let unknown = places.get(UNKNOWN).copied();
        let single = |name: &String| name == UNKNOWN || name.chars().count() == 1;
        let small = |name: &String| !name.chars().any(char::is_uppercase);
        let endings = names.iter().filter_map(|name| ending_of(name));
        Vocabulary {
            unit: if names.iter().all(single) {
                Unit::Characters
            } else {
                Unit::Words
            },
            lowercase: unknown.is_some() && names.iter().all(small),
            endings: endings
                .map(|ending| ending.chars().count())
                .max()
                .unwrap_or(0),
            unknown,
            // Letters apart from their marks, and none with them.
            decomposed: names
                .iter()
                .any(|name| !is_nfc(name) || name.chars().any(is_part))
                && names.iter().all(|name| is_nfd(name)),
            places,
            names,
        }
    }

    /// Of the words or characters of training texts: `<unk>`, then the most frequent first, then endings.
    pub fn fit<'t>(task: &VocabularyTask, texts: impl Iterator<Item = &'t str>) -> Self {
        let mut written: BTreeMap<String, usize> = BTreeMap::new();
        for text in texts {
            for unit in units(task.unit, &composed(text)) {
                match written.get_mut(unit) {
                    Some(count) => *count += 1,
                    None => drop(written.insert(unit.to_owned(), 1)),
                }
            }
        }
        let mut counts: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
        for (unit, count) in &written {
            *counts.entry(case(task.lowercase, unit)).or_default() += count;
        }
        let mut ranked: Vec<(Cow<'_, str>, usize)> = counts.into_iter().collect();
        ranked.retain(|(unit, count)| *count >= task.min_count && unit != UNKNOWN);
        ranked.sort_by_key(|(_, count)| Reverse(*count));
        ranked.truncate(task.max_tokens);
        let known: HashSet<&str> = ranked.iter().map(|(unit, _)| unit.as_ref()).collect();
        // An ending is learnt from the words that it stands for, as they are written.
        let mut endings: BTreeMap<String, usize> = BTreeMap::new();
        for (unit, count) in &written {
            if known.contains(case(task.lowercase, unit).as_ref()) {
                continue;
            }
            for ending in ending_names(unit, task.endings) {
                *endings.entry(ending).or_default() += count;
            }
        }
        let often = |(ending, count): (String, usize)| (count >= task.min_count).then_some(ending);
        let mut names = vec![UNKNOWN.to_owned()];
        names.extend(ranked.iter().map(|(unit, _)| unit.to_string()));
        names.extend(endings.into_iter().filter_map(often));
        Vocabulary::new(&names)
    }

    /// The names, in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What text is cut into.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// A text as the names are written: the same text typed on another system is the same text.
    pub fn composed<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.decomposed {
            false => composed(text),
            true => text.nfd().collect::<String>().into(),
        }
    }

    /// Whether this token stands for what has no name.
    pub fn is_unknown(&self, token: usize) -> bool {
        self.unknown == Some(token)
    }

    /// The number of a word or character; `None` if it has none and there is no `<unk>`.
    pub fn number(&self, unit: &str) -> Option<usize> {
        let place = |name: &str| self.places.get(name).copied();
        place(&case(self.lowercase, unit)).or_else(|| {
            ending_names(unit, self.endings)
                .find_map(|ending| place(&ending))
                .or(self.unknown)
        })
    }

    /// The tokens of a text: one per word or character, `<unk>` if there is none of them.
    ///
    /// # Errors
    /// With the word or character that is no token.
    pub fn tokens(&self, text: &str) -> Result<Vec<usize>, String> {
        let text = self.composed(text);
        let number = |unit: &str| self.number(unit).ok_or_else(|| unit.to_owned());
        let tokens = units(self.unit, &text).map(number);
        let tokens: Vec<usize> = tokens.collect::<Result<_, _>>()?;
        match (tokens.is_empty(), self.unknown) {
            (true, Some(unknown)) => Ok(vec![unknown]),
            _ => Ok(tokens),
        }
    }

    /// The token that would stand for this one if it had no name.
    pub fn instead_of(&self, token: usize) -> usize {
        let name = &self.names[token];
        let ending = match ending_of(name) {
            Some(_) => None,
            None => ending_names(name, self.endings).find_map(|e| self.places.get(&e)),
        };
        ending.copied().or(self.unknown).unwrap_or(token)
    }
}

/// What a message says about text that is none of a network's tokens.
pub fn no_token(text: &str, network: &str, names: &[String]) -> String {
    const SHOWN: usize = 40;
    let known: Vec<String> = names.iter().take(SHOWN).map(|n| escape(n)).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!(
        "{text:?} is no token of the {network}; expected one of {}{more}",
        known.join(", ")
    )
}

/// A mark, or a part of a Hangul syllable.
fn is_part(c: char) -> bool {
    canonical_combining_class(c) != 0 || ('\u{1100}'..='\u{11ff}').contains(&c)
}

/// A text, cut.
pub(super) fn units(unit: Unit, text: &str) -> Box<dyn Iterator<Item = &str> + '_> {
    match unit {
        Unit::Words => Box::new(text.split_whitespace()),
        Unit::Characters => Box::new(
            text.char_indices()
                .map(|(at, c)| &text[at..at + c.len_utf8()]),
        ),
    }
}

fn case(lower: bool, unit: &str) -> Cow<'_, str> {
    if lower {
        unit.to_lowercase().into()
    } else {
        unit.into()
    }
}

/// The ending that a token's name stands for.
fn ending_of(name: &str) -> Option<&str> {
    name.strip_prefix(CAPITAL)
        .unwrap_or(name)
        .strip_prefix(ENDING)
}

/// Names of the endings of a word, the longest first.
fn ending_names(word: &str, longest: usize) -> impl Iterator<Item = String> + use<> {
    let capital = word.starts_with(char::is_uppercase);
    let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let letters: Vec<char> = word.to_lowercase().chars().map(digit).collect();
    // Nothing is left of a word whose capital is all that is known.
    let (longest, shortest) = match longest {
        0 => (0, 1),
        _ => (longest.min(letters.len()), usize::from(!capital)),
    };
    (shortest..=longest).rev().map(move |length| {
        let mark = capital.then_some(CAPITAL);
        let ending = &letters[letters.len() - length..];
        mark.into_iter()
            .chain([ENDING])
            .chain(ending.iter().copied())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(names: &[&str], text: &str) -> Vec<String> {
        let vocabulary = Vocabulary::new(names);
        let tokens = vocabulary.tokens(text).unwrap();
        tokens.into_iter().map(|t| names[t].to_owned()).collect()
    }

    #[test]
    fn the_names_say_how_text_is_cut() {
        assert_eq!(
            words(&["<unk>", "a", "b"], "ab ba"),
            ["a", "b", "<unk>", "b", "a"]
        );
        assert_eq!(
            words(&["<unk>", "good", "a"], "A good  one"),
            ["a", "good", "<unk>"]
        );
        assert_eq!(words(&["<unk>", "Good", "a"], "A Good"), ["<unk>", "Good"]);
        assert_eq!(Vocabulary::new(&["h", "e"]).tokens("hex"), Err("x".into()));
    }

    #[test]
    fn a_text_of_nothing_is_one_unknown_token() {
        assert_eq!(words(&["<unk>", "good"], "  "), ["<unk>"]);
    }

    #[test]
    fn unknown_words_fall_back_on_their_longest_ending() {
        let names = ["<unk>", "sing", "…ing", "…g", "^…ing", "^…", "…00"];
        assert_eq!(
            words(&names, "sing ring bag Ring Bag 1987 man"),
            ["sing", "…ing", "…g", "^…ing", "^…", "…00", "<unk>"]
        );
        let vocabulary = Vocabulary::new(&names);
        let instead: Vec<usize> = (0..names.len()).map(|t| vocabulary.instead_of(t)).collect();
        assert_eq!(instead, [0, 2, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_fitted_vocabulary_has_the_frequent_words_first() {
        let task = VocabularyTask {
            lowercase: true,
            endings: 2,
            max_tokens: 2,
            ..VocabularyTask::default()
        };
        let texts = ["the cat the dog", "The cat the hat a bat"];
        let vocabulary = Vocabulary::fit(&task, texts.into_iter());
        assert_eq!(vocabulary.names(), ["<unk>", "the", "cat", "…at", "…t"]);
    }

    #[test]
    fn decomposed_text_is_the_same_text() {
        let (composed, decomposed) = (
            "영화 café",
            "\u{110b}\u{1167}\u{11bc}\u{1112}\u{116a} cafe\u{301}",
        );
        let task = VocabularyTask {
            unit: Unit::Characters,
            min_count: 1,
            ..VocabularyTask::default()
        };
        for trained in [composed, decomposed] {
            let vocabulary = Vocabulary::fit(&task, [trained].into_iter());
            assert!(vocabulary.names().contains(&"영".to_owned()));
            let tokens = vocabulary.tokens(composed).unwrap();
            assert_eq!(vocabulary.tokens(decomposed), Ok(tokens.clone()));
            assert!(!tokens.iter().any(|&token| vocabulary.is_unknown(token)));
        }
        // A model whose characters were decomposed reads text so.
        let old = Vocabulary::new(&["<unk>", "\u{110b}", "\u{1167}", "\u{11bc}"]);
        assert_eq!(old.tokens("영"), Ok(vec![1, 2, 3]));
    }
}
