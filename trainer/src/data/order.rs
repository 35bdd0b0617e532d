//! Whether rows stand in the order of their times: what looks back takes the row above for the row before.

use chrono::Datelike;

/// What to do about times without an offset in autumn.
pub const CLOCK_CHANGE: &str = "that is where clocks are set back at the end of summer time: do not sort the file, which would mix its two \
                                hours, but write times with their offset (+02:00, then +01:00) or in UTC";

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
    /// Of those, steps that clocks make when summer time ends.
    changes: [u64; 2],
}

/// Whether clocks may have been set back between two rows that are not in order, less than an hour apart: in a night from Saturday to
/// Sunday, in the months in which summer ends somewhere. Times with offsets do not go back then.
pub fn is_clock_change(before: f64, now: f64) -> bool {
    const HOUR: f64 = 3_600.0;
    const DAY: f64 = 24.0 * HOUR;
    let gone = before - now;
    let (day, hour) = ((now / DAY).floor(), now.rem_euclid(DAY) / HOUR);
    let date = chrono::DateTime::from_timestamp(now as i64, 0);
    let months = [3, 4, 9, 10, 11];
    (0.0..HOUR).contains(&gone)
        // The first day of 1970 was a Thursday.
        && (day + 4.0).rem_euclid(7.0) == 0.0
        && hour < 3.0
        && date.is_some_and(|date| months.contains(&date.month()))
}

impl Order {
    /// A row's time, and that of the row before it in its group.
    pub fn see(&mut self, before: Option<f64>, now: f64, line: u64) {
        self.rows += 1;
        let Some(before) = before else { return };
        self.on += u64::from(now > before);
        if now <= before && is_clock_change(before, now) {
            self.changes[usize::from(now == before)] += 1;
        }
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

    /// What to tell, if anything; whether times are of a clock on the `wall`.
    pub fn note(&self, file: &str, column: &str, wall: bool) -> Option<String> {
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
            } else if wall && self.changes[0] == back {
                CLOCK_CHANGE
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
            let cure = match wall && self.changes[1] == again {
                true => format!("; {CLOCK_CHANGE}"),
                false => String::new(),
            };
            parts.push(format!(
                "repeats the row before in {}, first in line {first}{cure}",
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

/// A step that is so many times as long as the others is told.
const FAR: f64 = 10.0;

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

/// The times of rows that go on from a saved state.
#[derive(Debug, Clone, Default)]
pub struct Resumed {
    /// Rows that are not later than the last of their group in that state, and the first of them.
    older: u64,
    first_older: u64,
    /// Seconds from that state to the next row, the most of all groups, and the line of that.
    leap: (f64, u64),
    /// Some steps from row to row.
    steps: Vec<f64>,
}

impl Resumed {
    /// The last time in the saved state, that of the row before, and a row's own.
    pub fn see(&mut self, saved: f64, before: f64, now: f64, line: u64) {
        const ENOUGH: usize = 1000;
        if now <= saved {
            self.older += 1;
            if self.older == 1 {
                self.first_older = line;
            }
        }
        if before == saved {
            if now - saved > self.leap.0 {
                self.leap = (now - saved, line);
            }
        } else if self.steps.len() < ENOUGH {
            self.steps.push(now - before);
        }
    }

    /// What to tell, if anything.
    pub fn notes(&self, file: &str, column: &str) -> Vec<String> {
        let (older, first) = (self.older, self.first_older);
        let late = (older > 0).then(|| {
            format!(
                "{file}: column {column:?}: {older} rows, first in line {first}, are not later than those that the saved state has seen: it may have \
                 taken them already, so give the rows behind it, or the state of an earlier time"
            )
        });
        let mut steps = self.steps.clone();
        steps.sort_by(f64::total_cmp);
        let usual = steps.get(steps.len() / 2).copied().unwrap_or(f64::NAN);
        let (leap, line) = self.leap;
        let hole = (usual > 0.0 && leap > FAR * usual).then(|| {
            format!(
                "{file}: column {column:?}: {leap} s lie between the saved state and line {line}, and {usual} s between most rows: rows are missing \
                 before it, or it is of another stretch"
            )
        });
        late.into_iter().chain(hole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::time::Time;

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

    #[test]
    fn clocks_that_are_set_back_are_no_rows_out_of_order() {
        let at = |text: &str| Time::parse(text, None).unwrap().instant;
        let ten = 600.0;
        let (from, to) = (at("2026-10-25 00:00"), at("2026-10-25 02:00"));
        let mut times: Vec<f64> = (0..18).map(|k| from + ten * f64::from(k)).collect();
        times.extend((0..18).map(|k| to + ten * f64::from(k)));
        let told = note(&times);
        assert!(
            told.contains("goes back in 1 of 36 rows") && told.contains("clocks are set back"),
            "{told}"
        );
        let hourly = [at("2026-11-01 00:00"), at("2026-11-01 01:00")];
        let told = note(&[hourly[0], hourly[1], hourly[1], hourly[1] + 3600.0]);
        assert!(
            told.contains("repeats") && told.contains("clocks are set back"),
            "{told}"
        );
        let monday: Vec<f64> = times.iter().map(|t| t + 86_400.0).collect();
        assert!(note(&monday).contains("sort the file"));
    }

    #[test]
    fn rows_that_a_saved_state_has_seen_or_is_far_from_are_told() {
        let notes = |times: &[f64]| {
            let mut resumed = Resumed::default();
            let mut before = 100.0;
            for (&now, line) in times.iter().zip(2..) {
                resumed.see(100.0, before, now, line);
                before = now;
            }
            resumed.notes("a.csv", "t").join("\n")
        };
        assert_eq!(notes(&[110.0, 120.0, 130.0]), "");
        assert!(notes(&[90.0, 100.0, 110.0]).contains("2 rows, first in line 2, are not later"));
        assert!(
            notes(&[300.0, 310.0, 320.0]).contains("200 s lie between the saved state and line 2")
        );
    }

    fn note(times: &[f64]) -> String {
        let mut order = Order::default();
        let mut before = None;
        for (&now, line) in times.iter().zip(2..) {
            order.see(before.replace(now), now, line);
        }
        order.note("a.csv", "t", true).unwrap_or_default()
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
