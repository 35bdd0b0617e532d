//! For which model the figures at the top of a page stand, and everything that is drawn of one model: the one that is
//! meant for the device, as far as that was said.

use super::Made;
use crate::task::Precision;
use kinglet::format::Format;
use std::fmt;

/// The model's place among those of the page, its name, and why it is this one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Headline {
    pub place: usize,
    name: String,
    because: String,
}

impl Headline {
    /// `made`: what was exported for the page, f32 first, and from `others` on the files that were given beside it. Of these
    /// the first; else the task's precision; else 8 bits.
    pub(super) fn of(made: &[Made], others: usize, asked: Option<Precision>) -> Headline {
        let headline = |place: usize, because: String| Headline {
            place,
            name: made[place].name.clone(),
            because,
        };
        if made.len() > others {
            return headline(others, "the first of --with".to_owned());
        }
        let place = |name: &str| made.iter().position(|made| made.name == name);
        let usual = Format::W8A8.name();
        match asked.map(Precision::name) {
            Some(name) => match place(name) {
                Some(place) => headline(place, "the task's precision".to_owned()),
                None => headline(
                    place(usual).unwrap_or(0),
                    format!("as the task's precision, {name}, is not on this page"),
                ),
            },
            None => match place(usual) {
                Some(place) => headline(
                    place,
                    "as the task names no precision and no model was given --with".to_owned(),
                ),
                None => headline(0, "as it has no form in 8-bit integers".to_owned()),
            },
        }
    }
}

impl fmt::Display for Headline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.name, self.because)
    }
}
