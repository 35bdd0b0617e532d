//! Times as data files write them.
//!
//! Without a format these are understood: `2026-11-03`, `2026/11/03`, `20261103T…`, `3.11.2026`, `3 Nov 2026`,
//! `Nov 3, 2026`, `2026-11` or a week (`2026-W45`, its Monday, and `2026-W45-2`), alone or followed by a time of day (`14:05`,
//! `14:05:30.25`, `2:05 PM`, and `24:00` for the midnight at the end of a day) and an offset
//! (`Z`, `+01:00`); dates without anything between their parts (`20161103`, `2016110314`, to `20161103140530`), from
//! 1900 to 2100; and other numbers: seconds, milli-, micro- or nanoseconds since 1970, told apart by their size. A number
//! that may as well be a spreadsheet's day, a year, a date of other digits (`2603041000`), or too early to be a date is refused
//! and not guessed, and so is a year of two digits (`04/03/26`).
//! `3/11/2026` is March in one country and November in another, so it needs a format, as `strftime` has them:
//! `%d/%m/%Y %H:%M`. `%f` is a fraction of a second, as in Python, and not a number of nanoseconds.

use chrono::format::{
    Fixed, Item, Numeric, ParseErrorKind, Parsed, StrftimeItems, parse, parse_and_remainder,
};
use chrono::{NaiveDateTime, NaiveTime};
use serde::{Deserialize, Serialize};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Time {
    /// Seconds since 1970 by the clock on the wall, which is what hours and weekdays are about.
    pub local: f64,
    /// Seconds since 1970 in UTC, which is what lies between two times; without an offset the same.
    pub instant: f64,
}

const DATES: [&str; 9] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%Y%m%dT",
    "%Y-%m",
    "%G-W%V-%u",
    "%G-W%V",
];
const TIMES: [&str; 4] = ["%I:%M:%S %p", "%I:%M %p", "%H:%M:%S%.f", "%H:%M"];

impl Time {
    /// Reads a single time, by a format or as described above.
    pub fn parse(text: &str, format: Option<&str>) -> Option<Time> {
        Times::new(format).read(text, true).ok()
    }
}

/// Days of spreadsheets, from the end of 1899 on.
const SERIAL: &str = "excel";
/// 1970-01-01 as such a day.
const SERIAL_1970: f64 = 25_569.0;

/// Why no time can be read by `format`, if that is so: it is not strftime's, has no date, or wants what nobody can know.
pub fn format_fault(format: &str) -> Option<&'static str> {
    let broken = |item| matches!(item, Item::Error);
    let zone = |item| matches!(item, Item::Fixed(Fixed::TimezoneName));
    let has_date = || {
        let noon = chrono::DateTime::UNIX_EPOCH.fixed_offset();
        let noon = noon + chrono::TimeDelta::hours(12);
        let written = noon.format_with_items(StrftimeItems::new(format));
        Time::parse(&written.to_string(), Some(format)).is_some()
    };
    if format == SERIAL {
        None
    } else if StrftimeItems::new(format).any(zone) {
        // CST is -06:00 and +08:00.
        Some(
            "%Z is the name of a zone, which does not say how far that is from UTC; write offsets (+01:00) and %z",
        )
    } else if StrftimeItems::new(format).any(broken) || !has_date() {
        Some("expected a format as of strftime with a date in it, such as %d/%m/%Y %H:%M, or excel")
    } else {
        None
    }
}

/// Reads the times of a column. Without a format the first one settles what numbers are, and another kind of number
/// is an error from then on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Times {
    format: Option<String>,
    form: Option<Form>,
    /// The first of numbers, in seconds.
    first: Option<f64>,
}

/// What the times of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Dates with something between their parts.
    Text,
    /// Seconds since 1970, or a thousandth of them so many times over, which the size of the first tells.
    Number(u8),
    /// Dates of so many digits, `YYYYMMDD` to `YYYYMMDDHHMMSS`.
    Compact(u8),
}

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotATime {
    /// It does not look like one.
    Unknown,
    /// It is written as one, and the calendar has no such day or the day no such time.
    Impossible,
    /// It may be one of several things.
    Ambiguous(&'static str),
    /// The times before it were written in another way.
    OtherForm,
}

impl NotATime {
    /// What a message says, where the text could be a time.
    pub fn problem(self) -> Option<&'static str> {
        match self {
            NotATime::Unknown => None,
            NotATime::Impossible => Some("is a day or time that does not exist"),
            NotATime::Ambiguous(why) => Some(why),
            NotATime::OtherForm => Some("is written in another way than the times before it"),
        }
    }
}

impl Times {
    /// By a format, or as described above.
    pub fn new(format: Option<&str>) -> Self {
        Times {
            format: format.map(String::from),
            form: None,
            first: None,
        }
    }

    /// The format that was asked for.
    pub fn format(&self) -> Option<&str> {
        self.format.as_deref()
    }

    /// What the times so far were, where no format says it.
    pub fn form(&self) -> Option<Form> {
        self.form
    }

    /// Goes on after times of this form.
    pub fn set_form(&mut self, form: Option<Form>) {
        self.form = form;
    }

    /// Whether the times so far may be of a clock on the wall, and are not counted from one point on.
    pub fn are_on_the_wall(&self) -> bool {
        self.format.as_deref() != Some("%s") && !matches!(self.form, Some(Form::Number(_)))
    }

    /// What was guessed about the times of this column.
    pub fn note(&self, file: &str, column: &str) -> Option<String> {
        match self.form? {
            Form::Text => None,
            Form::Compact(digits) => {
                let form = &"YYYYMMDDHHMMSS"[..digits.into()];
                Some(format!(
                    "{file}: column {column:?}: numbers of {digits} digits are read as dates, {form}; time = \"%s\" if they are seconds"
                ))
            }
            // The size of what is no time of these years tells nothing of its unit.
            Form::Number(thousandths) => {
                self.first.filter(|first| !USUAL.contains(first))?;
                let unit = UNITS[usize::from(thousandths)].0;
                Some(format!(
                    "{file}: column {column:?}: numbers are read as {unit} since 1970, all of them, by the size of the first, and that is not of the years \
                     from 2001 to 2039: if they are counted in another unit, or from another day, bring the column to seconds"
                ))
            }
        }
    }

    /// Reads a time. On the `wall` means that the hour or date counts, and not only what lies between two times.
    ///
    /// # Errors
    /// If it is none, may be several, or is unlike those before.
    pub fn read(&mut self, text: &str, wall: bool) -> Result<Time, NotATime> {
        let text = text.trim();
        if let Some(start) = start_of_day(text) {
            let time = self.read(&start, wall)?;
            return Ok(Time {
                local: time.local + DAY,
                instant: time.instant + DAY,
            });
        }
        let mut parsed = Parsed::new();
        match self.format.as_deref() {
            Some("%s") => return number(text).ok_or(NotATime::Unknown),
            Some(SERIAL) => return serial(text).ok_or(NotATime::Unknown),
            Some(format) => {
                by_format(&mut parsed, text, format).ok_or(NotATime::Unknown)?;
                if is_short(&parsed) {
                    return Err(NotATime::Ambiguous(
                        "has a year of two digits, which is %y and not %Y",
                    ));
                }
            }
            None => {
                let (form, time) = match text.parse::<f64>() {
                    Ok(number) => self.of_number(text, number, wall)?,
                    Err(_) => {
                        guess(&mut parsed, text).ok_or_else(|| unlike(text))?;
                        (Form::Text, None)
                    }
                };
                if *self.form.get_or_insert(form) != form {
                    return Err(NotATime::OtherForm);
                }
                if let Some(time) = time {
                    self.first.get_or_insert(time.instant);
                    return Ok(time);
                }
            }
        }
        let why = match parsed.to_naive_date().map_err(|error| error.kind()) {
            Err(ParseErrorKind::Impossible | ParseErrorKind::OutOfRange) => NotATime::Impossible,
            _ => NotATime::Unknown,
        };
        finish(parsed).ok_or(why)
    }

    fn of_number(
        &self,
        text: &str,
        value: f64,
        wall: bool,
    ) -> Result<(Form, Option<Time>), NotATime> {
        // As pandas writes integers beside gaps.
        let digits =
            text.split_once('.')
                .map_or(text, |(whole, rest)| match rest.trim_end_matches('0') {
                    "" => whole,
                    _ => text,
                });
        let compact = compact(digits).map(|time| (Form::Compact(digits.len() as u8), Some(time)));
        let thousandths = match self.form {
            Some(Form::Number(thousandths)) => thousandths,
            _ => unit_of(value),
        };
        if !value.is_finite() {
            return Err(NotATime::Unknown);
        }
        let seconds = (Form::Number(thousandths), Some(counted(value, thousandths)));
        match (self.form, compact) {
            (Some(Form::Number(_)), _) => return Ok(seconds),
            (Some(Form::Compact(_)), None) => return Err(NotATime::OtherForm),
            (_, Some(compact)) => return Ok(compact),
            _ => {}
        }
        let whole = value.fract() == 0.0;
        let month = (value / 100.0).floor();
        let ambiguous = if (20_000.0..80_000.0).contains(&value) {
            "is a time in more than one way: it may be a day of a spreadsheet (time = \"excel\") or seconds (time = \"%s\")"
        } else if (719_529.0..770_000.0).contains(&value)
            || (2_440_587.0..2_500_000.0).contains(&value)
        {
            "is a time in more than one way: it may be a day number or seconds (time = \"%s\")"
        } else if whole && (1_900.0..=2_100.0).contains(&value)
            || whole
                && (1_900.0..=2_100.0).contains(&month)
                && (1.0..=12.0).contains(&(value - 100.0 * month))
        {
            "is a time in more than one way: it may be a year or month (time = \"%Y\", \"%Y%m\") or seconds (time = \"%s\")"
        } else if is_other_date(digits) && !USUAL.contains(&seconds.1.map_or(0.0, |t| t.instant)) {
            "is a time in more than one way: it may be a date, whose format says where the year is (time = \"%y%m%d%H%M\", \"%d%m%Y%H%M\"), or seconds (time = \"%s\")"
        } else if wall && value.abs() < 1e8 {
            "is no certain time: as seconds since 1970 it would be before 1974; time = \"%s\" says that it is"
        } else {
            return Ok(seconds);
        };
        Err(NotATime::Ambiguous(ambiguous))
    }
}

/// What numbers count, and how many of these are a second.
const UNITS: [(&str, f64); 4] = [
    ("seconds", 1.0),
    ("milliseconds", 1e3),
    ("microseconds", 1e6),
    ("nanoseconds", 1e9),
];

/// Which of these, by a number's size.
fn unit_of(number: f64) -> u8 {
    match number.abs() {
        n if n < 1e11 => 0,
        n if n < 1e14 => 1,
        n if n < 1e17 => 2,
        _ => 3,
    }
}

/// So many of them since 1970.
fn counted(number: f64, thousandths: u8) -> Time {
    let seconds = number / UNITS[usize::from(thousandths)].1;
    Time {
        local: seconds,
        instant: seconds,
    }
}

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// With 00:00 where there is 24:00, which is the same midnight of the day after.
fn start_of_day(text: &str) -> Option<String> {
    let at = [" 24:00", "T24:00"]
        .iter()
        .find_map(|midnight| text.find(midnight))?;
    // 24:00:01 is none.
    let behind = text[at + 6..].trim_start_matches([':', '0', '.']);
    let digit = behind.starts_with(|c: char| c.is_ascii_digit());
    (!digit).then(|| format!("{}00{}", &text[..=at], &text[at + 3..]))
}

/// Dates without anything between their parts, by their number of digits.
pub(crate) const COMPACT: [(usize, &str); 4] = [
    (8, "%Y%m%d"),
    (10, "%Y%m%d%H"),
    (12, "%Y%m%d%H%M"),
    (14, "%Y%m%d%H%M%S"),
];
/// And those whose year has two digits or comes last, where the number of seconds would be of another age.
pub(crate) const OTHER_COMPACT: [(usize, &str); 8] = [
    (6, "%y%m%d"),
    (8, "%d%m%Y"),
    (8, "%y%m%d%H"),
    (10, "%y%m%d%H%M"),
    (10, "%d%m%Y%H"),
    (12, "%y%m%d%H%M%S"),
    (12, "%d%m%Y%H%M"),
    (14, "%d%m%Y%H%M%S"),
];

/// `2016070100` and the like.
fn compact(text: &str) -> Option<Time> {
    let (_, format) = COMPACT.iter().find(|(digits, _)| *digits == text.len())?;
    if !text.bytes().all(|b| b.is_ascii_digit()) || !("1900".."2101").contains(&&text[..4]) {
        return None;
    }
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, StrftimeItems::new(format)).ok()?;
    finish(parsed)
}

/// Seconds since 1970 of what is measured nowadays, September 2001 to 2039.
pub(crate) const USUAL: std::ops::Range<f64> = 1e9..2.2e9;

/// Digits that are a date and time if the year has two of them, or comes last.
fn is_other_date(digits: &str) -> bool {
    // What is counted has no zero in front, and is seldom as long as these.
    let is_long = digits.len() > 8 || digits.len() == 8 && digits.starts_with('0');
    let formats = OTHER_COMPACT
        .iter()
        .filter(|(count, _)| *count == digits.len());
    let is_date = |format: &str| {
        let mut parsed = Parsed::new();
        let read = parse(&mut parsed, digits, StrftimeItems::new(format)).is_ok();
        let usual = parsed.year().is_none_or(|y| (1900..=2100).contains(&y));
        read && usual && finish(parsed).is_some()
    };
    is_long
        && formats
            .map(|(_, format)| format)
            .any(|format| is_date(format))
}

/// The year is said, and has two digits.
fn is_short(parsed: &Parsed) -> bool {
    parsed.year().is_some_and(|year| (0..100).contains(&year))
}

fn serial(text: &str) -> Option<Time> {
    let days: f64 = text.replacen(',', ".", 1).parse().ok()?;
    if !days.is_finite() {
        return None;
    }
    let seconds = (days - SERIAL_1970) * 86_400.0;
    // Six digits of a day are a tenth of a second: what is so close to a whole second is one.
    let whole = seconds.round();
    let seconds = if (seconds - whole).abs() < 0.05 {
        whole
    } else {
        seconds
    };
    Some(Time {
        local: seconds,
        instant: seconds,
    })
}

/// Seconds, or a finer unit: seconds of this form end in the year 5138.
fn number(text: &str) -> Option<Time> {
    let number: f64 = text.parse().ok().filter(|n: &f64| n.is_finite())?;
    Some(counted(number, unit_of(number)))
}

/// As `strftime` has it, but for `%f`: chrono takes its digits for nanoseconds, where `.35` is 350 milliseconds.
fn by_format(parsed: &mut Parsed, text: &str, format: &str) -> Option<()> {
    let mut items = StrftimeItems::new(format);
    let mut rest = text;
    loop {
        let mut is_fraction = false;
        let before = items.by_ref().take_while(|item| {
            is_fraction = matches!(item, Item::Numeric(Numeric::Nanosecond, _));
            !is_fraction
        });
        rest = parse_and_remainder(parsed, rest, before).ok()?;
        if !is_fraction {
            return rest.is_empty().then_some(());
        }
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let digits = &rest[..end.unwrap_or(rest.len())];
        rest = &rest[digits.len()..];
        // As many as there are nanoseconds; what is finer is cut off.
        let nanoseconds = format!("{:0<9.9}", Some(digits).filter(|d| !d.is_empty())?);
        parsed.set_nanosecond(nanoseconds.parse().ok()?).ok()?;
    }
}

/// Date, then time of day, then offset, each by the first form that fits.
fn guess(parsed: &mut Parsed, text: &str) -> Option<()> {
    let rest = first_of(&DATES, parsed, text).filter(|_| !is_short(parsed))?;
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

/// Why a text that begins with year, month and day, or with day, month and year, could not be read.
fn unlike(text: &str) -> NotATime {
    let digits = |c: char| c.is_ascii_digit();
    let end = text.find(|c: char| !digits(c) && !"-/.".contains(c));
    let (date, rest) = text.split_at(end.unwrap_or(text.len()));
    let parts = |mark: char| -> Option<[&str; 3]> {
        let parts: Vec<&str> = date.split(mark).collect();
        parts.try_into().ok()
    };
    let date = match (parts('-').or_else(|| parts('/')), parts('.')) {
        (Some([year, month, day]), _) | (_, Some([day, month, year])) => [year, month, day],
        _ => return NotATime::Unknown,
    };
    let short = |text: &str| (1..=2).contains(&text.len());
    let [Ok(year), Ok(month), Ok(day)] = date.map(str::parse::<i32>) else {
        return NotATime::Unknown;
    };
    let is_day =
        |month, day| chrono::NaiveDate::from_ymd_opt(2000, month as u32, day as u32).is_some();
    if date.into_iter().all(short) {
        // Nobody writes the month first with dots.
        let orders = [(month, day), (month, year), (year, month)];
        let orders = if parts('.').is_some() {
            &orders[..1]
        } else {
            &orders[..]
        };
        return match orders.iter().any(|&(month, day)| is_day(month, day)) {
            true => {
                NotATime::Ambiguous("has a year of two digits, and may be read in several orders")
            }
            false => NotATime::Unknown,
        };
    }
    if !(date[0].len() == 4 && short(date[1]) && short(date[2])) {
        return NotATime::Unknown;
    }
    if chrono::NaiveDate::from_ymd_opt(year, month as u32, day as u32).is_none() {
        return NotATime::Impossible;
    }
    // The day is right, so it is the time of day.
    let mut parts = rest.trim_start_matches(['T', ' ']).split(':');
    let two = |part: Option<&str>| part.and_then(|p| p.get(..2)?.parse::<u32>().ok());
    match (two(parts.next()), two(parts.next())) {
        (Some(hour), Some(minute)) if hour > 23 || minute > 59 => NotATime::Impossible,
        _ => NotATime::Unknown,
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

/// What is not said is the first: of the month or week, midnight.
fn finish(mut parsed: Parsed) -> Option<Time> {
    if parsed.isoweek().is_some() {
        if parsed.weekday().is_none() {
            parsed.set_weekday(chrono::Weekday::Mon).ok()?;
        }
    } else if parsed.day().is_none() && parsed.ordinal().is_none() {
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
    fn the_first_number_settles_the_unit_of_its_column() {
        // Nanoseconds since a machine was switched on; by their sizes they would be seconds, then milliseconds.
        let mut times = Times::new(None);
        let mut read = |text: &str| times.read(text, false).unwrap().instant;
        assert_eq!(read("99000000000"), 99e9);
        assert_eq!(read("100000000000"), 100e9);
        let note = times.note("a.csv", "t").unwrap();
        assert!(
            note.contains("read as seconds since 1970, all of them"),
            "{note}"
        );
        // As they mostly are.
        let mut times = Times::new(None);
        assert_eq!(
            times.read("1467376200000", false).unwrap().instant,
            1_467_376_200.0
        );
        assert_eq!(times.note("a.csv", "t"), None);
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
        // The Monday of the first week of 2026 is in 2025.
        assert_eq!(local("2026-W01"), local("2025-12-29"));
        assert_eq!(local("2026-W53-7 12:00"), local("2027-01-03 12:00"));
        for midnight in ["2016-02-28 24:00", "2016-02-28T24:00:00", "28.2.2016 24:00"] {
            assert_eq!(local(midnight), local("2016-02-29"), "{midnight:?}");
        }
        for wrong in [
            "",
            "26/03/04",
            "04/03/26 12:30",
            "04.03.26",
            "noon",
            "2016-13-01",
            "2016-07-01 25:00",
            "2016-07-01 24:01",
            "2016-07-01 24:00:01",
            "2016-W54",
            "2016-07-01 12:30 ago",
            "3/11/2026",
            "2016-02-30",
        ] {
            assert_eq!(local(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_the_calendar_does_not_have_is_told_from_what_is_no_time() {
        let why = |text: &str, format| Times::new(format).read(text, true).unwrap_err();
        for text in [
            "2026-02-30",
            "2026-13-01 12:00",
            "31.04.2026",
            "2026/11/31",
            "2026-11-03 25:00",
            "2026-11-03T12:60:00",
        ] {
            assert_eq!(why(text, None), NotATime::Impossible, "{text}");
        }
        assert_eq!(why("30/02/2026", Some("%d/%m/%Y")), NotATime::Impossible);
        for text in [
            "10.20.30.40",
            "10.20.30",
            "2026-11-03 noon",
            "3/11/2026",
            "a-b-c",
        ] {
            assert_eq!(why(text, None), NotATime::Unknown, "{text}");
        }
        assert_eq!(why("3/11", Some("%d/%m")), NotATime::Unknown);
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
        let is_format = |format| format_fault(format).is_none();
        assert!(!is_format("%Q") && is_format("excel"));
        assert!(!is_format("%H:%M") && is_format("%d/%m/%y %H:%M %z"));
        assert!(!is_format("%d/%m/%y %H:%M %Z"));
        for short in ["04/03/26", "04.03.26", "26-03-04 10:00"] {
            let why = Times::new(None).read(short, false);
            assert!(
                matches!(why, Err(NotATime::Ambiguous(_))),
                "{short}: {why:?}"
            );
        }
        let why = Times::new(Some("%d/%m/%Y")).read("04/03/26", false);
        assert!(matches!(why, Err(NotATime::Ambiguous(_))), "{why:?}");
    }

    #[test]
    fn digits_of_a_fraction_are_no_nanoseconds() {
        let second = |text, format| Some(Time::parse(text, Some(format))?.local % 60.0);
        for (text, format) in [
            ("3/11/2026 14:05:30.350", "%d/%m/%Y %H:%M:%S.%f"),
            ("3/11/2026 14:05:30.350000", "%d/%m/%Y %T.%f"),
            ("3/11/2026 14:05:30,35", "%d/%m/%Y %H:%M:%S,%f"),
            ("3/11/2026 14:05:30.3500000001", "%d/%m/%Y %H:%M:%S.%f"),
            ("3/11/2026 14:05:30.35", "%d/%m/%Y %H:%M:%S%.f"),
            ("20261103140530350", "%Y%m%d%H%M%S%f"),
            ("2026-11-03 14:05:30.350 +0100", "%Y-%m-%d %H:%M:%S.%f %z"),
        ] {
            let read = second(text, format).unwrap_or(f64::NAN);
            assert!((read - 30.35).abs() < 1e-5, "{text}: {read}");
            assert_eq!(format_fault(format), None, "{format}");
        }
        let format = "%d/%m/%Y %H:%M:%S.%f";
        for wrong in ["3/11/2026 14:05:30.", "3/11/2026 14:05:30.5x"] {
            assert_eq!(second(wrong, format), None, "{wrong}");
        }
    }

    #[test]
    fn compact_dates_are_dates() {
        let midnight = local("2016-07-01");
        for text in [
            "20160701",
            "2016070100",
            "2016070100.0",
            "201607010000",
            "20160701000000",
        ] {
            assert_eq!(local(text), midnight, "{text}");
        }
        // Read as seconds they would be of 2052, 1978, 1982 and 3247.
        for text in ["2603041000", "260304100000", "0403202610", "040320261000"] {
            let why = Times::new(None).read(text, false);
            assert!(
                matches!(why, Err(NotATime::Ambiguous(_))),
                "{text}: {why:?}"
            );
        }
        assert!(
            local("1712012345").is_some(),
            "of April 2024, though a date by its digits"
        );
        // No such hour, month or century: seconds.
        for text in ["2016070125", "1467331200"] {
            assert_eq!(local(text), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn days_of_spreadsheets_are_asked_about() {
        let mut times = Times::new(None);
        for text in [
            "42552.041667",
            "42552",
            "736512.5",
            "2457570.5",
            "201607",
            "2016",
        ] {
            for wall in [true, false] {
                let wrong = times.read(text, wall);
                assert!(
                    matches!(wrong, Err(NotATime::Ambiguous(_))),
                    "{text}: {wrong:?}"
                );
            }
        }
        // A stopwatch has no hour, but what lies between two of its times is known.
        assert!(times.read("0", true).is_err());
        assert_eq!(times.read("0", false).map(|t| t.instant), Ok(0.0));
        assert_eq!(
            times.read("42552.5", false).map(|t| t.instant),
            Ok(42_552.5)
        );
        for text in ["42552.041667", "42552,041667"] {
            let hour = Time::parse(text, Some("excel")).map(|t| t.local);
            assert_eq!(hour, local("2016-07-01 01:00"));
        }
    }

    #[test]
    fn one_column_has_one_kind_of_time() {
        let mut times = Times::new(None);
        assert!(times.read("2016070123", true).is_ok());
        assert_eq!(times.read("2016070124", true), Err(NotATime::OtherForm));
        assert_eq!(times.read("1467331200", true), Err(NotATime::OtherForm));
        assert_eq!(times.read("2016-07-02", true), Err(NotATime::OtherForm));
        assert!(times.read("2016070200", true).is_ok());
    }
}
