//! Ticks of an axis of time: at whole seconds, minutes, hours, days, months or years, six or so of them.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime};

/// Ticks at the most.
const MOST: f64 = 7.0;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;
/// Steps of equal length, in seconds.
const STEPS: [f64; 22] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    MINUTE,
    2.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    15.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    4.0 * DAY,
    7.0 * DAY,
    14.0 * DAY,
];
/// Then calendars count: steps in months.
const MONTHS: [u32; 12] = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000];
const MONTH: f64 = 30.44 * DAY;

/// What lies between two ticks.
enum Step {
    Seconds(f64),
    Months(u32),
}

fn step(low: f64, high: f64) -> Step {
    let rough = (high - low) / MOST;
    if let Some(&seconds) = STEPS.iter().find(|step| **step >= rough) {
        return Step::Seconds(seconds);
    }
    let months = MONTHS
        .iter()
        .find(|step| f64::from(**step) * MONTH >= rough);
    Step::Months(*months.unwrap_or(&MONTHS[11]))
}

fn moment(seconds: f64) -> NaiveDateTime {
    DateTime::from_timestamp(seconds.floor() as i64, 0)
        .unwrap_or_default()
        .naive_utc()
}

pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    match step(low, high) {
        Step::Seconds(step) => {
            let first = (low / step).ceil() as i64;
            let last = (high / step).floor() as i64;
            (first..=last).map(|k| k as f64 * step).collect()
        }
        Step::Months(step) => {
            let from = moment(low).date();
            // Whole multiples of the step since the year 0.
            let months = from.year() * 12 + from.month0() as i32;
            let first = months.div_euclid(step as i32) * step as i32;
            let date =
                NaiveDate::from_ymd_opt(first.div_euclid(12), first.rem_euclid(12) as u32 + 1, 1);
            let dates =
                std::iter::successors(date, |date| date.checked_add_months(Months::new(step)));
            let seconds = dates
                .map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() as f64);
            let seconds = seconds.take_while(|&seconds| seconds <= high);
            seconds.filter(|&seconds| seconds >= low).collect()
        }
    }
}

pub(super) fn tick_label(value: f64, low: f64, high: f64) -> String {
    let format = match step(low, high) {
        Step::Months(months) if months >= 12 => "%Y",
        Step::Months(_) => "%Y-%m",
        Step::Seconds(step) if step >= DAY => "%Y-%m-%d",
        Step::Seconds(step) if step < MINUTE => "%H:%M:%S",
        // A day is told where it begins.
        Step::Seconds(_) if value.rem_euclid(DAY) == 0.0 => "%m-%d",
        Step::Seconds(_) => "%H:%M",
    };
    moment(value).format(format).to_string()
}

/// What the axis is called: with the day where its ticks do not say it.
pub(super) fn label(low: f64, high: f64) -> String {
    match step(low, high) {
        Step::Seconds(step) if step < DAY => {
            let (from, to) = (moment(low).date(), moment(high).date());
            match from == to {
                true => format!("time, {from}"),
                false => format!("time, {from} to {to}"),
            }
        }
        _ => "time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::time::Time;

    fn labels(low: &str, high: &str) -> (Vec<String>, String) {
        let seconds = |text: &str| Time::parse(text, None).unwrap().local;
        let (low, high) = (seconds(low), seconds(high));
        let ticks = ticks(low, high).into_iter();
        let ticks = ticks.map(|tick| tick_label(tick, low, high)).collect();
        (ticks, label(low, high))
    }

    #[test]
    fn ticks_are_where_clocks_and_calendars_turn() {
        let (ticks, label) = labels("2026-03-14 20:10", "2026-03-15 08:10");
        assert_eq!(
            ticks,
            ["22:00", "03-15", "02:00", "04:00", "06:00", "08:00"]
        );
        assert_eq!(label, "time, 2026-03-14 to 2026-03-15");
        let (ticks, label) = labels("2026-02-26", "2026-03-05");
        assert_eq!(ticks[..3], ["2026-02-26", "2026-02-27", "2026-02-28"]);
        assert_eq!((ticks.len(), label.as_str()), (8, "time"));
        assert_eq!(
            labels("2025-11-15", "2026-04-02").0,
            ["2025-12", "2026-01", "2026-02", "2026-03", "2026-04"]
        );
        assert_eq!(
            labels("1951-01", "1983-12").0,
            ["1955", "1960", "1965", "1970", "1975", "1980"]
        );
        let (ticks, label) = labels("2026-03-14 20:10:01", "2026-03-14 20:10:06");
        assert_eq!((ticks[0].as_str(), ticks.len()), ("20:10:01", 6));
        assert_eq!(label, "time, 2026-03-14");
    }
}
