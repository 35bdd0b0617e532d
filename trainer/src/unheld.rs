//! Numbers that are missing before the first one of their column in a stream. Nothing can stand in for them: the engine
//! takes the middle of the column, here as on a device, and what is predicted as a change of such a number is none. Answers that are
//! none all the same come from a state of floats that has grown beyond them. The user is told.

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
    /// Answers that are NaN though all numbers are known, and where the first of them is.
    lost: u64,
    first: Option<(&'static str, u64)>,
}

impl<'m> Unheld<'m> {
    /// Nothing counted yet.
    pub fn new(model: &Model<'m>) -> Self {
        let names: Vec<&str> = input_names(model).iter().map(|name| name.0).collect();
        Unheld {
            missing: vec![0; names.len()],
            names,
            answers: 0,
            lost: 0,
            first: None,
        }
    }

    /// A raw sample of a stream, of which `known` says which columns had a number since it began.
    pub fn meet(&mut self, sample: &[f32], known: &mut [bool]) {
        for ((count, known), x) in self.missing.iter_mut().zip(known).zip(sample) {
            *known |= !x.is_nan();
            *count += u64::from(!*known);
        }
    }

    /// The answer to a sample, of whose stream these columns had a number, in this line or row.
    pub fn answer(&mut self, y: &[f32], known: &[bool], place: (&'static str, u64)) {
        if y.iter().any(|y| y.is_nan()) {
            if known.contains(&false) {
                self.answers += 1;
            } else {
                self.lost += 1;
                self.first.get_or_insert(place);
            }
        }
    }

    /// What there is to say, of so many rows.
    pub fn notes(&self, rows: u64) -> impl Iterator<Item = String> {
        let lost = self.first.map(|(what, place)| {
            format!(
                "{} of the answers are NaN, the first of them in {what} {place}, though all columns have had numbers by then: what the network \
                 remembers has grown beyond 32-bit floats, as a number far from all others (1e38) makes it, and is lost until the \
                 state is reset; repair or leave out such a row, and begin anew behind it",
                self.lost
            )
        });
        self.missing_before(rows).into_iter().chain(lost)
    }

    fn missing_before(&self, rows: u64) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_state_is_told_from_what_was_missing_before() {
        let mut unheld = Unheld {
            names: vec!["p", "q"],
            missing: vec![0; 2],
            answers: 0,
            lost: 0,
            first: None,
        };
        let mut known = [false; 2];
        for (line, sample, y) in [
            (2, [f32::NAN, 1.0], f32::NAN),
            (3, [1.0, f32::NAN], 1.0),
            (4, [1e38, 1.0], f32::NAN),
            (5, [1.0, 1.0], f32::NAN),
        ] {
            unheld.meet(&sample, &mut known);
            unheld.answer(&[y], &known, ("line", line));
        }
        let notes: Vec<String> = unheld.notes(4).collect();
        assert!(notes[0].contains("1 number is missing before"), "{notes:?}");
        assert!(notes[0].contains("; 1 of the answers are NaN"), "{notes:?}");
        assert!(
            notes[1].starts_with("2 of the answers are NaN, the first of them in line 4,"),
            "{notes:?}"
        );
    }
}
