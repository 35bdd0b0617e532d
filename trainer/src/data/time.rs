//! Times as data files write them.
//!
//! Without a format these are understood: `2026-11-03`, `2026/11/03`, `20261103T…`, `3.11.2026`, `3 Nov 2026`,
//! `Nov 3, 2026` or `2026-11`, alone or followed by a time of day (`14:05`, `14:05:30.25`, `2:05 PM`) and an offset
//! (`Z`, `+01:00`); and numbers: seconds, milli-, micro- or nanoseconds since 1970, told apart by their size.
//! `3/11/2026` is March in one country and November in another, so it needs a format, as `strftime` has them:
//! `%d/%m/%Y %H:%M`.

use chrono::format::{Parsed, StrftimeItems, parse, parse_and_remainder};
use chrono::{NaiveDateTime, NaiveTime};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Time {
    /// Seconds since 1970 by the clock on the wall, which is what hours and weekdays are about.
    pub local: f64,
    /// Seconds since 1970 in UTC, which is what lies between two times; without an offset the same.
    pub instant: f64,
}

const DATES: [&str; 7] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%Y%m%dT",
    "%Y-%m",
];
const TIMES: [&str; 4] = ["%I:%M:%S %p", "%I:%M %p", "%H:%M:%S%.f", "%H:%M"];

impl Time {
    /// Reads a time, by a format or as described above.
    pub fn parse(text: &str, format: Option<&str>) -> Option<Time> {
        let text = text.trim();
        let mut parsed = Parsed::new();
        match format {
            Some("%s") => return number(text),
            Some(format) => parse(&mut parsed, text, StrftimeItems::new(format)).ok()?,
            None => match number(text) {
                Some(time) => return Some(time),
                None => guess(&mut parsed, text)?,
            },
        }
        finish(parsed)
    }

    /// Whether `format` is one that a time can be read by.
    pub fn is_format(format: &str) -> bool {
        let broken = |item| matches!(item, chrono::format::Item::Error);
        !StrftimeItems::new(format).any(broken)
    }
}

/// Seconds, or a finer unit: seconds of this form end in the year 5138.
fn number(text: &str) -> Option<Time> {
    let number: f64 = text.parse().ok().filter(|n: &f64| n.is_finite())?;
    let unit = match number.abs() {
        n if n < 1e11 => 1.0,
        n if n < 1e14 => 1e3,
        n if n < 1e17 => 1e6,
        _ => 1e9,
    };
    let seconds = number / unit;
    Some(Time {
        local: seconds,
        instant: seconds,
    })
}

/// Date, then time of day, then offset, each by the first form that fits.
fn guess(parsed: &mut Parsed, text: &str) -> Option<()> {
    let rest = first_of(&DATES, parsed, text)?;
    let rest = rest.strip_prefix('T').unwrap_or(rest).trim_start();
    if rest.is_empty() {
        return Some(());
    }
    let rest = first_of(&TIMES, parsed, rest)?.trim_start();
    match rest {
        "" => Some(()),
        "Z" | "z" | "UTC" | "GMT" => parsed.set_offset(0).ok().map(drop),
        rest => parse(parsed, rest, StrftimeItems::new("%#z")).ok(),
    }
}

fn first_of<'t>(formats: &[&str], parsed: &mut Parsed, text: &'t str) -> Option<&'t str> {
    formats.iter().find_map(|format| {
        let mut attempt = parsed.clone();
        let rest = parse_and_remainder(&mut attempt, text, StrftimeItems::new(format)).ok()?;
        *parsed = attempt;
        Some(rest)
    })
}

/// What is not said is the first: of the month, midnight.
fn finish(mut parsed: Parsed) -> Option<Time> {
    if parsed.day().is_none() && parsed.ordinal().is_none() {
        let _ = parsed.set_day(1);
    }
    let date = parsed.to_naive_date().ok()?;
    let time = if parsed.hour_mod_12().is_some() {
        if parsed.minute().is_none() {
            parsed.set_minute(0).ok()?;
        }
        parsed.to_naive_time().ok()?
    } else {
        NaiveTime::MIN
    };
    let local = NaiveDateTime::new(date, time).and_utc();
    let local = local.timestamp() as f64 + f64::from(local.timestamp_subsec_nanos()) * 1e-9;
    Some(Time {
        local,
        instant: local - f64::from(parsed.offset().unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> Option<f64> {
        Time::parse(text, None).map(|t| t.local)
    }

    #[test]
    fn common_forms_are_seconds_since_1970() {
        assert_eq!(local("1970-01-01"), Some(0.0));
        assert_eq!(local("2000-03-01 00:00:01"), Some(951_868_801.0));
        for noon in [
            "2016-07-01T12:30",
            "2016-07-01 12:30:00",
            "2016-07-01T12:30:00Z",
            "2016-07-01T12:30:00.000+00:00",
            "2016/07/01 12:30",
            "1.7.2016 12:30",
            "1 Jul 2016 12:30",
            "Jul 1, 2016 12:30 PM",
            "20160701T12:30",
            "1467376200",
            "1467376200000",
            "1467376200000000000",
        ] {
            assert_eq!(local(noon), Some(1_467_376_200.0), "{noon:?}");
        }
        assert_eq!(local("1749-01"), Some(-6_974_035_200.0));
        for wrong in [
            "",
            "noon",
            "2016-13-01",
            "2016-07-01 25:00",
            "2016-07-01 12:30 ago",
            "3/11/2026",
            "2016-02-30",
        ] {
            assert_eq!(local(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_offset_moves_the_instant_and_not_the_clock_on_the_wall() {
        let time = Time::parse("2016-07-01T12:30:00+02:00", None).unwrap();
        assert_eq!(time.local, 1_467_376_200.0);
        assert_eq!(time.instant, 1_467_376_200.0 - 7_200.0);
    }

    #[test]
    fn a_format_settles_which_is_the_month() {
        let day = |format| Time::parse("3/11/2026", Some(format)).unwrap().local;
        assert_eq!(Some(day("%d/%m/%Y")), local("2026-11-03"));
        assert_eq!(Some(day("%m/%d/%Y")), local("2026-03-11"));
        assert_eq!(
            Time::parse("5 pm on 3/11/26", Some("%I %p on %d/%m/%y")).map(|t| t.local),
            local("2026-11-03 17:00")
        );
        assert!(!Time::is_format("%Q"));
    }
}
