//! Features derived from a time column: where in the day, week or year a row lies, as a point on a
//! circle, so that 23:59 and 00:00 are neighbours.
//!
//! A derived feature is named like a call, `hour_sin(date)`, and that name is all that travels in a
//! model file: whoever has the CSV can compute it. A real column of that name comes first.

use std::f64::consts::TAU;

/// A derived feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    cycle: Cycle,
    cosine: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cycle {
    Day,
    Week,
    Year,
}

/// `(name, cycle, cosine)`
const NAMES: [(&str, Cycle, bool); 6] = [
    ("hour_sin", Cycle::Day, false),
    ("hour_cos", Cycle::Day, true),
    ("weekday_sin", Cycle::Week, false),
    ("weekday_cos", Cycle::Week, true),
    ("yearday_sin", Cycle::Year, false),
    ("yearday_cos", Cycle::Year, true),
];

impl Clock {
    /// Splits `hour_sin(date)` into the feature and the time column's name.
    pub fn parse(name: &str) -> Option<(Clock, &str)> {
        let (function, rest) = name.split_once('(')?;
        let column = rest.strip_suffix(')')?;
        let &(_, cycle, cosine) = NAMES.iter().find(|n| n.0 == function)?;
        Some((Clock { cycle, cosine }, column))
    }

    /// The feature's value in a row whose time column holds `text`.
    pub fn value(self, text: &str) -> Option<f32> {
        let seconds = seconds(text)?;
        let days = seconds / 86_400.0;
        let turn = match self.cycle {
            Cycle::Day => days,
            // 1970-01-01 was a Thursday; the week starts on Monday.
            Cycle::Week => (days + 3.0) / 7.0,
            Cycle::Year => days / 365.2425,
        };
        let angle = TAU * turn.rem_euclid(1.0);
        let (sin, cos) = angle.sin_cos();
        Some((if self.cosine { cos } else { sin }) as f32)
    }
}

/// Seconds since 1970 of `YYYY-MM-DD`, `YYYY-MM-DD HH:MM[:SS]` (or with `T`), or of a number.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches('Z');
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let (date, time) = match text.find([' ', 'T']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, "0:0"),
    };
    let mut date = date.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let hour: f64 = time.next()?.parse().ok()?;
    let minute: f64 = time.next()?.parse().ok()?;
    let second: f64 = time.next().map_or(Some(0.0), |s| s.parse().ok())?;
    let in_range = (0..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0.0..24.0).contains(&hour)
        && (0.0..60.0).contains(&minute)
        && (0.0..61.0).contains(&second);
    in_range.then(|| {
        days_from_civil(year, month, day) as f64 * 86_400.0
            + hour * 3_600.0
            + minute * 60.0
            + second
    })
}

/// Days since 1970-01-01 in the Gregorian calendar (Hinnant, "chrono-compatible low-level date
/// algorithms"): years start in March, so the leap day is the last day.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_seconds_since_1970() {
        assert_eq!(seconds("1970-01-01"), Some(0.0));
        assert_eq!(seconds("2000-03-01 00:00:01"), Some(951_868_801.0));
        assert_eq!(seconds("2016-07-01T12:30"), Some(1_467_376_200.0));
        assert_eq!(seconds("86400"), Some(86_400.0));
        for wrong in ["", "noon", "2016-13-01", "2016-07-01 25:00", "2016-07"] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn six_in_the_morning_is_a_quarter_turn() {
        let (sin, column) = Clock::parse("hour_sin(date)").unwrap();
        let (cos, _) = Clock::parse("hour_cos(date)").unwrap();
        assert_eq!(column, "date");
        assert_eq!(sin.value("2016-07-01 06:00:00"), Some(1.0));
        assert!(cos.value("2016-07-01 06:00:00").unwrap().abs() < 1e-6);
        // 2016-07-04 was a Monday: the week's turn starts there.
        let (weekday, _) = Clock::parse("weekday_cos(date)").unwrap();
        assert!((weekday.value("2016-07-04").unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(Clock::parse("hour_tan(date)"), None);
    }
}
