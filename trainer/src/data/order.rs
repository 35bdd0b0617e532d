//! Whether rows stand in the order of their times: what looks back takes the row above for the row before.

/// What was seen of the times of a file, group by group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Order {
    rows: u64,
    on: u64,
    back: u64,
    again: u64,
    /// The first line that goes back, else the first that repeats.
    first_back: u64,
    first_again: u64,
}

impl Order {
    /// A row's time, and that of the row before it in its group.
    pub fn see(&mut self, before: Option<f64>, now: f64, line: u64) {
        self.rows += 1;
        let Some(before) = before else { return };
        self.on += u64::from(now > before);
        if now < before {
            self.back += 1;
            self.first_back = if self.back == 1 {
                line
            } else {
                self.first_back
            };
        } else if now == before {
            self.again += 1;
            self.first_again = if self.again == 1 {
                line
            } else {
                self.first_again
            };
        }
    }

    /// Most rows have the time of the row before.
    pub fn stands_still(&self) -> bool {
        2 * self.again > self.rows
    }

    /// What to tell, if anything.
    pub fn note(&self, file: &str, column: &str) -> Option<String> {
        let Order {
            rows, back, again, ..
        } = *self;
        let share = |count: u64| {
            format!(
                "{count} of {rows} rows ({:.1} %)",
                100.0 * count as f64 / rows as f64
            )
        };
        let mut parts = Vec::new();
        if back > 0 {
            // Rows in no order go back in half of them.
            let cure = if back > 4 * self.on {
                "the newest row seems to come first: set newest_first = true"
            } else {
                "sort the file, or name the column that tells series apart as group"
            };
            let first = self.first_back;
            parts.push(format!(
                "goes back in {}, first in line {first}; {cure}",
                share(back)
            ));
        }
        if again > 0 {
            let first = self.first_again;
            parts.push(format!(
                "repeats the row before in {}, first in line {first}",
                share(again)
            ));
        }
        (!parts.is_empty()).then(|| {
            format!(
                "{file}: column {column:?}: the time {}",
                parts.join("; it ")
            )
        })
    }
}

/// Steps from row to row, to find those over which rows are missing.
#[derive(Debug, Clone, Default)]
pub struct Leaps {
    /// Seconds, and the line that they lead to.
    steps: Vec<(f64, u64)>,
}

impl Leaps {
    /// As [`Order::see`].
    pub fn see(&mut self, before: Option<f64>, now: f64, line: u64) {
        let step = before.map(|before| now - before);
        self.steps
            .extend(step.filter(|step| *step > 0.0).map(|step| (step, line)));
    }

    /// What to tell of a series whose rows stand at even distances but for a few.
    pub fn note(mut self, file: &str, column: &str) -> Option<String> {
        const FEW: usize = 20;
        const FAR: f64 = 10.0;
        let last = self.steps.len().checked_sub(1)?;
        let longest = *self.steps.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        let mut place = |at: usize| {
            let (_, step, _) = self
                .steps
                .select_nth_unstable_by(at, |a, b| a.0.total_cmp(&b.0));
            step.0
        };
        let (usual, most) = (place(last / 2), place(last * 9 / 10));
        // Where rows come as they like, far is nothing to tell.
        let even = self.steps.len() >= FEW && most < 2.0 * usual;
        let leaps = self.steps.iter().filter(|step| step.0 > FAR * usual);
        let leaps = leaps.count();
        (even && leaps > 0).then(|| {
            let places = if leaps == 1 { "place" } else { "places" };
            format!(
                "{file}: column {column:?}: {usual} s lie between most rows, and more than {FAR} times as many in {leaps} {places}, at most {} s before \
                 line {}; windows and predictions reach across it; a group for each stretch keeps them apart",
                longest.0, longest.1
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_missing_are_told_where_the_others_stand_even() {
        let note = |times: &[f64]| {
            let mut leaps = Leaps::default();
            let mut before = None;
            for (&now, line) in times.iter().zip(2..) {
                leaps.see(before.replace(now), now, line);
            }
            leaps.note("a.csv", "t")
        };
        let hourly = |row: usize| 3600.0 * row as f64;
        let mut times: Vec<f64> = (0..60).map(hourly).collect();
        assert_eq!(note(&times), None);
        times.drain(20..45);
        let told = note(&times).unwrap();
        assert!(told.contains("3600 s lie between most rows"), "{told}");
        assert!(
            told.contains("in 1 place, at most 93600 s before line 22"),
            "{told}"
        );
        // As they happened.
        let bursts: Vec<f64> = (0..60).map(|row| f64::from(row * row * row)).collect();
        assert_eq!(note(&bursts), None);
    }

    fn note(times: &[f64]) -> String {
        let mut order = Order::default();
        let mut before = None;
        for (&now, line) in times.iter().zip(2..) {
            order.see(before.replace(now), now, line);
        }
        order.note("a.csv", "t").unwrap_or_default()
    }

    #[test]
    fn what_goes_back_or_stands_still_is_told_with_its_share() {
        assert_eq!(note(&[1.0, 2.0, 3.0]), "");
        let unsorted = note(&[1.0, 3.0, 2.0, 2.0]);
        assert!(
            unsorted.contains("goes back in 1 of 4 rows (25.0 %), first in line 4; sort"),
            "{unsorted}"
        );
        assert!(
            unsorted.contains("repeats the row before in 1 of 4 rows (25.0 %), first in line 5")
        );
        assert!(note(&[3.0, 2.0, 1.0]).contains("newest_first"));
    }
}
