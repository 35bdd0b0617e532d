//! A series whose numbers are tokens, so that a language model can draw more of it. Every window is a sequence of its own:
//!
//! ```text
//! reads   walk   x=1.2  y=0   walk   x=1.3  y=0.1
//! says    x=1.2  y=0   walk   x=1.3  y=0.1  end
//! ```
//!
//! Row by row, and in each row column by column, each number as one of the levels of its column. A row begins with its class, because a
//! network forgets over many rows what was said once; in a picture that token also says which row it is. Columns have tokens of their own:
//! the token read last says which column is next, and an answer for one column is drawn among its levels alone. The end is said behind the
//! last row of a group, and only there. Without classes the end's token begins a sequence, and no token a row.

use super::super::csv::Table;
use super::super::error::DataError;
use super::super::split::Part;
use super::pairs::END;
use super::series::{class_column, parts, prepared, unknown_label};
use super::{Dataset, need_windows, share};
use crate::package::{Input, Output};
use crate::task::{LabelTask, SeriesTask, Task};
use std::ops::Range;

pub fn load(
    task: &Task,
    series: &SeriesTask,
    levels: usize,
    table: &Table,
) -> Result<Dataset, DataError> {
    let (table, mut notes) = prepared(task, series, table)?;
    let table = &*table;
    let parts = parts(series, table)?;
    notes.extend(parts.unused(&series.split(), table.file(), "rows"));
    let inputs: Vec<&str> = series.features.iter().map(|f| f.column.as_str()).collect();
    let numbers = table.columns_named(&inputs)?;
    let part_of = |row: usize| {
        let belongs = |part: &Part| parts.contains(row, *part);
        Part::ALL.into_iter().find(belongs)
    };
    let classes = match &series.label {
        Some(label) => known_classes(table, label)?,
        None => Vec::new(),
    };
    let (window, hop) = (
        task.shape.window,
        task.shape.hop.unwrap_or(task.shape.window),
    );

    let mut tokens = vec![END.to_owned()];
    let of_label = series.label.iter().flat_map(|label| &label.classes);
    let mut names: Vec<&str> = of_label.map(|class| &class.name[..]).collect();
    if series.picture && names.is_empty() {
        names.push("picture");
    }
    let kinds = names.len();
    let numbered = if series.picture { window } else { 1 };
    for row in 0..numbered {
        tokens.extend(names.iter().map(|name| match row {
            0 => (*name).to_owned(),
            _ => format!("{name} row {}", row + 1),
        }));
    }
    let mut columns = Vec::new();
    for (k, name) in inputs.iter().enumerate() {
        let of_part = |part: Part| {
            let rows = (0..table.rows()).filter(move |&row| part_of(row) == Some(part));
            rows.map(|row| numbers[row * inputs.len() + k])
        };
        let column = Levels::fit(levels, of_part(Part::Train).collect());
        let all = Part::ALL.map(|part| of_part(part).filter(|x| column.is_beyond(*x)).count());
        notes.extend(column.notes(table.file(), name, (all.iter().sum(), table.rows())));
        let first = tokens.len();
        tokens.extend(column.values.iter().map(|value| format!("{name}={value}")));
        columns.push((first, column));
    }

    let mut data = Dataset::empty(task, Input::Tokens(tokens), Output::NextToken);
    let levels_of = |row: usize| {
        let values = &numbers[row * inputs.len()..][..inputs.len()];
        let pairs = columns.iter().zip(values);
        pairs.map(|((first, column), &value)| (first + column.nearest(value)) as f32)
    };
    let mut push = |part: Part, rows: Range<usize>, ends: bool| {
        let class = classes.get(rows.start).copied().unwrap_or(0);
        let mut said: Vec<f32> = Vec::new();
        if kinds == 0 {
            said.push(0.0);
        }
        for (number, row) in rows.enumerate() {
            let begins = 1 + number % numbered * kinds + class;
            said.extend((kinds > 0).then_some(begins as f32));
            said.extend(levels_of(row));
        }
        said.extend(ends.then_some(0.0));
        data.push(part, &said[..said.len() - 1], &said[1..]);
    };
    for group in table.groups() {
        for piece in table.pieces(group) {
            let mut row = piece.start;
            while row < piece.end {
                let same =
                    |r: &usize| part_of(*r) == part_of(row) && classes.get(*r) == classes.get(row);
                let end = (row..piece.end).find(|r| !same(r)).unwrap_or(piece.end);
                let is_whole = (row..end) == group.rows;
                if let Some(part) = part_of(row) {
                    let starts: Vec<usize> = (row..(end + 1).saturating_sub(window))
                        .step_by(hop)
                        .collect();
                    let last = starts.last().map_or(row, |start| start + window);
                    // What hops leave over is covered by one more window; a whole group may be shorter than one.
                    let rest = match starts.is_empty() {
                        true => is_whole.then_some(row),
                        false => (last < end).then(|| end - window),
                    };
                    for start in starts.into_iter().chain(rest) {
                        let rows = start..(start + window).min(end);
                        let ends = rows.end == group.rows.end;
                        push(part, rows, ends);
                    }
                }
                row = end;
            }
        }
    }
    let places = (data.windows.clone(), data.streams.clone());
    need_windows(&places, task, table.file(), |part| parts.count(part))?;
    data.window = window * (inputs.len() + usize::from(kinds > 0)) + 1;
    data.notes = notes;
    Ok(data)
}

/// For every row the number of its class, which it begins with.
fn known_classes(table: &Table, label: &LabelTask) -> Result<Vec<usize>, DataError> {
    let classes = class_column(table, label)?.into_iter().enumerate();
    let known = |(row, class): (usize, Option<usize>)| {
        class.ok_or_else(|| unknown_label(table, label, (row, "")))
    };
    classes.map(known).collect()
}

/// The levels of a column, from low to high.
struct Levels {
    values: Vec<f32>,
    /// It held more different numbers than this.
    different: usize,
}

impl Levels {
    /// The numbers of the training part themselves where they are so few, else so many in equal steps.
    fn fit(most: usize, mut numbers: Vec<f32>) -> Self {
        numbers.sort_by(f32::total_cmp);
        numbers.dedup();
        let different = numbers.len();
        if let (Some(&low), Some(&high), true) = (numbers.first(), numbers.last(), different > most)
        {
            let step = (f64::from(high) - f64::from(low)) / (most - 1) as f64;
            // As few digits as keep the levels in their places to a hundredth of a step.
            let digits = (2.0 - step.log10().floor()).clamp(0.0, 30.0) as usize;
            let level = |k| format!("{:.digits$}", f64::from(low) + k as f64 * step);
            let parsed = (0..most).map(|k| level(k).parse().unwrap_or(low));
            numbers = parsed.collect();
            numbers.dedup();
        }
        Levels {
            values: numbers,
            different,
        }
    }

    fn nearest(&self, x: f32) -> usize {
        let above = self.values.partition_point(|&value| value < x);
        match (above.checked_sub(1), self.values.get(above)) {
            (Some(below), Some(&high)) if x - self.values[below] < high - x => below,
            (Some(below), None) => below,
            _ => above,
        }
    }

    /// Farther out than half a step beyond the outermost level.
    fn is_beyond(&self, x: f32) -> bool {
        let [.., before, last] = self.values[..] else {
            return self.values.first() != Some(&x);
        };
        let [first, second, ..] = self.values[..] else {
            return false;
        };
        x < first - (second - first) / 2.0 || x > last + (last - before) / 2.0
    }

    fn notes(&self, file: &str, name: &str, (beyond, rows): (usize, usize)) -> Vec<String> {
        let mut notes = Vec::new();
        if let [low, .., high] = self.values[..]
            && self.different > self.values.len()
        {
            notes.push(format!(
                "{file}: column {name:?} holds {} different numbers, which become {} levels from {low} to {high}",
                self.different,
                self.values.len()
            ));
        }
        if beyond > 0 {
            let share = share(beyond, rows, "numbers");
            notes.push(format!(
                "{file}: column {name:?}: {share} lie beyond the levels of the training part, and count as the outermost"
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_their_own_levels_and_many_are_rounded() {
        let few = Levels::fit(4, vec![3.0, 0.0, 0.5, 3.0]);
        assert_eq!(few.values, [0.0, 0.5, 3.0]);
        let at = |x| few.nearest(x);
        assert_eq!(
            [at(-9.0), at(0.2), at(0.3), at(2.0), at(9.0)],
            [0, 0, 1, 2, 2]
        );
        assert!(few.is_beyond(4.3) && !few.is_beyond(4.2) && few.is_beyond(-0.3));
        assert!(few.notes("f", "x", (0, 4)).is_empty());

        let many = Levels::fit(4, (0..100).map(|k| k as f32 / 99.0).collect());
        assert_eq!(many.values, [0.0, 0.333, 0.667, 1.0]);
        assert_eq!(
            many.notes("f", "x", (3, 100)),
            [
                "f: column \"x\" holds 100 different numbers, which become 4 levels from 0 to 1",
                "f: column \"x\": 3 of 100 numbers (3.0 %) lie beyond the levels of the training part, and count as the outermost"
            ]
        );
    }
}
