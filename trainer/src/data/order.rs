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

#[cfg(test)]
mod tests {
    use super::*;

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
