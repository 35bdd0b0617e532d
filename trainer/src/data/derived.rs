//! Features that are computed from a column and not read from it.
//!
//! A derived feature is named like a call or a comparison, and that name is all that travels in a model
//! file: whoever has the CSV can compute it. A real column of that name comes first.
//!
//! | name | value |
//! |---|---|
//! | `hour_sin(date)` and the like | a point on a circle, see [`clock`](super::clock) |
//! | `elapsed(date)` | seconds since the row before; 0 in the first |
//! | `diff(wh)` | `wh` less that of the row before, taken in 64 bits; 0 in the first: steps of a counter that is too large for an `f32` |
//! | `load+24` | `load` in the group's 24th row after this one: what is known ahead, such as a plan or a forecast |
//! | `missing(x)` | 1 where `x` is missing, else 0 |
//! | `wind=NE` | 1 where `wind` is `NE`, else 0 |

use super::clock::Clock;

/// What a column can be computed by; of a target there is `remaining` too.
pub const FUNCTIONS: [&str; 10] = [
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "yearday_sin",
    "yearday_cos",
    "elapsed",
    "diff",
    "missing",
    "remaining",
];

/// Rows that a column can be known ahead.
pub const MOST_AHEAD: usize = 100_000;

/// What is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derived {
    /// A place in the day, week or year.
    Clock(Clock),
    /// Seconds since the row before.
    Elapsed,
    /// The number less that of the row before.
    Diff,
    /// The number so many rows later.
    Ahead(usize),
    /// Whether there is no number.
    Missing,
    /// Whether the column holds this text.
    Is(String),
}

impl Derived {
    /// Splits `hour_sin(date)` into the feature and the name of its column.
    pub fn parse(name: &str) -> Option<(Derived, &str)> {
        if let Some((clock, column)) = Clock::parse(name) {
            return Some((Derived::Clock(clock), column));
        }
        let call = |function: &str| name.strip_prefix(function)?.strip_suffix(')');
        if let Some(column) = call("elapsed(") {
            return Some((Derived::Elapsed, column));
        }
        if let Some(column) = call("diff(") {
            return Some((Derived::Diff, column));
        }
        if let Some(column) = call("missing(") {
            return Some((Derived::Missing, column));
        }
        if let Some((column, rows)) = name.rsplit_once('+')
            && let Some(rows) = rows
                .parse()
                .ok()
                .filter(|&rows: &usize| rows > 0 && rows <= MOST_AHEAD)
        {
            return Some((Derived::Ahead(rows), column));
        }
        let (column, category) = name.rsplit_once('=')?;
        Some((Derived::Is(category.into()), column))
    }

    /// The column that a feature is computed from, or is.
    pub fn column_of(name: &str) -> &str {
        Self::parse(name).map_or(name, |(_, column)| column)
    }

    /// The name of the feature that holds `column` so many rows later.
    pub fn ahead(column: &str, rows: usize) -> String {
        format!("{column}+{rows}")
    }

    /// The name of the feature that says whether `column` holds `category`.
    pub fn category(column: &str, category: &str) -> String {
        format!("{column}={category}")
    }

    /// The name of the feature that says where `column` has no number.
    pub fn missing(column: &str) -> String {
        format!("missing({column})")
    }

    /// About other rows as well: which there are makes a difference.
    pub fn spans_rows(&self) -> bool {
        matches!(self, Derived::Elapsed | Derived::Diff | Derived::Ahead(_))
    }

    /// Between −1 and 1 as it is, with a centre that means something: not to be scaled.
    pub fn is_scaled(&self) -> bool {
        !matches!(self, Derived::Elapsed | Derived::Diff | Derived::Ahead(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_computed_from_which_column() {
        fn parse(name: &str) -> Option<(Derived, &str)> {
            Derived::parse(name)
        }
        assert_eq!(parse("elapsed(date)"), Some((Derived::Elapsed, "date")));
        assert_eq!(parse("diff(wh)"), Some((Derived::Diff, "wh")));
        assert_eq!(parse("missing(pm2.5)"), Some((Derived::Missing, "pm2.5")));
        assert_eq!(parse("load+24"), Some((Derived::Ahead(24), "load")));
        assert_eq!(parse("load+0"), None);
        let north = Derived::Is("NE".into());
        assert_eq!(parse("cbwd=NE"), Some((north, "cbwd")));
        assert!(matches!(
            parse("hour_cos(t)"),
            Some((Derived::Clock(_), "t"))
        ));
        for function in FUNCTIONS.iter().filter(|f| **f != "remaining") {
            let name = format!("{function}(x)");
            assert!(matches!(parse(&name), Some((_, "x"))), "{name}");
        }
        assert_eq!(parse("missing(x"), None);
        assert_eq!(parse("temperature"), None);
    }
}
