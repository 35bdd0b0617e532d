//! Features derived from a time column: where in the day, week or year a row lies, as a point on a
//! circle, so that 23:59 and 00:00 are neighbours.
//!
//! A derived feature is named like a call, `hour_sin(date)`, and that name is all that travels in a
//! model file: whoever has the CSV can compute it. A real column of that name comes first.

use std::f64::consts::TAU;

use super::time::Time;

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

    /// The feature's value in a row with this time.
    pub fn value(self, time: Time) -> f32 {
        let days = time.local / 86_400.0;
        let turn = match self.cycle {
            Cycle::Day => days,
            // 1970-01-01 was a Thursday; the week starts on Monday.
            Cycle::Week => (days + 3.0) / 7.0,
            Cycle::Year => days / 365.2425,
        };
        let angle = TAU * turn.rem_euclid(1.0);
        let (sin, cos) = angle.sin_cos();
        (if self.cosine { cos } else { sin }) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_in_the_morning_is_a_quarter_turn() {
        let (sin, column) = Clock::parse("hour_sin(date)").unwrap();
        let (cos, _) = Clock::parse("hour_cos(date)").unwrap();
        assert_eq!(column, "date");
        let time = |text| Time::parse(text, None).unwrap();
        assert_eq!(sin.value(time("2016-07-01 06:00:00")), 1.0);
        assert!(cos.value(time("2016-07-01 06:00:00")).abs() < 1e-6);
        // 2016-07-04 was a Monday: the week's turn starts there.
        let (weekday, _) = Clock::parse("weekday_cos(date)").unwrap();
        assert!((weekday.value(time("2016-07-04")) - 1.0).abs() < 1e-6);
        assert_eq!(Clock::parse("hour_tan(date)"), None);
    }
}
