//! Numbers that are missing before the first one of their column in a stream. Nothing can stand in for them: the engine
//! takes the middle of the column, here as on a device, and what is predicted as a change of such a number is none. The
//! user is told.

use crate::escape::escape;
use crate::model_file::input_names;
use kinglet::Model;

/// Names in the note.
const NAMED: usize = 5;

/// Counts over all streams.
#[derive(Debug)]
pub struct Unheld<'m> {
    names: Vec<&'m str>,
    missing: Vec<u64>,
    answers: u64,
}

impl<'m> Unheld<'m> {
    /// Nothing counted yet.
    pub fn new(model: &Model<'m>) -> Self {
        let names: Vec<&str> = input_names(model).iter().map(|name| name.0).collect();
        Unheld {
            missing: vec![0; names.len()],
            names,
            answers: 0,
        }
    }

    /// A raw sample of a stream, of which `known` says which columns had a number since it began.
    pub fn meet(&mut self, sample: &[f32], known: &mut [bool]) {
        for ((count, known), x) in self.missing.iter_mut().zip(known).zip(sample) {
            *known |= !x.is_nan();
            *count += u64::from(!*known);
        }
    }

    /// The answer to a sample.
    pub fn answer(&mut self, y: &[f32]) {
        self.answers += u64::from(y.iter().any(|y| y.is_nan()));
    }

    /// What there is to say, of so many rows.
    pub fn note(&self, rows: u64) -> Option<String> {
        let all: u64 = self.missing.iter().sum();
        if all == 0 {
            return None;
        }
        let named = self.names.iter().zip(&self.missing);
        let named = named.filter(|(_, count)| **count > 0);
        let mut named: Vec<String> = named
            .map(|(name, count)| format!("{}: {count}", escape(name)))
            .collect();
        if named.len() > NAMED {
            named.truncate(NAMED);
            named.push("…".to_owned());
        }
        let answers = match self.answers {
            0 => String::new(),
            count => format!(
                "; {count} of the answers are NaN, as they are changes of a number that is not known"
            ),
        };
        let are = match all {
            1 => "number is",
            _ => "numbers are",
        };
        Some(format!(
            "of {rows} rows, {all} {are} missing before the first one of their column ({}), so there is nothing to hold, and \
             the model takes the middle of the column, as on a device{answers}",
            named.join(", ")
        ))
    }
}
