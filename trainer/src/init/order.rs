//! In which order the rows of a table stand: by which time, in which groups.

use std::collections::{HashMap, HashSet};

use super::column::{Column, Holds};
use crate::data::csv::is_missing;
use crate::data::order::is_clock_change;

/// A group is at least so many rows on average; what changes more often is a value.
const LEAST_GROUP: usize = 4;
/// Parts of a date repeat as groups do, and are none.
pub const DATE_PARTS: [&str; 12] = [
    "year", "yr", "month", "mon", "day", "hour", "hr", "minute", "min", "second", "weekday", "week",
];
const GROUP_NAMES: [&str; 26] = [
    "id",
    "unit",
    "machine",
    "device",
    "sensor",
    "station",
    "trial",
    "subject",
    "user",
    "session",
    "group",
    "engine",
    "batch",
    "patient",
    "run",
    "episode",
    "asset",
    "serial",
    "pump",
    "motor",
    "node",
    "site",
    "sequence",
    "seq",
    "household",
    "vehicle",
];
const INDEX_NAMES: [&str; 7] = ["id", "index", "no", "row", "nr", "number", "unnamed"];

/// What is known about the order of rows.
#[derive(Debug, Default, PartialEq)]
pub struct Order {
    /// The column of times.
    pub time: Option<usize>,
    /// Times go down.
    pub newest_first: bool,
    /// The column that says what a row belongs to.
    pub group: Option<usize>,
    /// The number of groups.
    pub groups: usize,
    /// Rows of a group do not stand together.
    pub interleaved: bool,
    /// Columns that count rows and say nothing else.
    pub counters: Vec<usize>,
    /// Seconds between two times, as a rule.
    pub interval: Option<f64>,
    /// Most rows have the time of the row before, as where a date stands apart from the time of day.
    pub shared: bool,
    /// Share of the intervals that are others.
    pub uneven: f64,
    /// Seconds from the first time to the last.
    pub span: f64,
    /// Share of the rows whose time is not after the one before.
    pub unsorted: f64,
    /// All of these are where clocks are set back.
    pub clocks_set_back: bool,
}

/// How often a sequence goes up, down and stays.
#[derive(Default)]
pub struct Steps {
    pub up: usize,
    pub down: usize,
    same: usize,
}

impl Steps {
    fn count(&mut self, from: f64, to: f64) {
        if to > from {
            self.up += 1;
        } else if to < from {
            self.down += 1;
        } else if to == from {
            self.same += 1;
        }
    }

    /// Against the rule.
    fn wrong(&self) -> usize {
        self.same + self.up.min(self.down)
    }
}

/// Within each key; and what lies between two values.
pub fn steps(keys: Option<&[&str]>, values: &[f64]) -> (Steps, Vec<f64>) {
    let (mut steps, mut between) = (Steps::default(), Vec::new());
    for (before, value) in pairs(keys, values) {
        steps.count(before, value);
        between.push(value - before);
    }
    (steps, between)
}

/// Each value and the one before it, within each key.
fn pairs<'v>(keys: Option<&'v [&str]>, values: &'v [f64]) -> impl Iterator<Item = (f64, f64)> + 'v {
    let mut last: HashMap<&str, f64> = HashMap::new();
    let there = values.iter().enumerate().filter(|(_, x)| !x.is_nan());
    there.filter_map(move |(row, &value)| {
        let before = last.insert(keys.map_or("", |k| k[row]), value)?;
        Some((before, value))
    })
}

fn runs(texts: &[&str]) -> usize {
    1 + texts.windows(2).filter(|w| w[0] != w[1]).count()
}

/// Whether the rows of each time are of all keys, turn by turn or so many of one key after the other: a clock too coarse for the
/// rows of several machines.
fn alternates(keys: &[&str], times: &[&str], groups: usize) -> bool {
    let (mut blocks, mut full, mut rows) = (0usize, 0usize, 0usize);
    for block in times.chunk_by(|a, b| a == b) {
        let keys = &keys[rows..rows + block.len()];
        rows += block.len();
        blocks += 1;
        let mut of_key: HashMap<&str, usize> = HashMap::new();
        keys.iter()
            .for_each(|key| *of_key.entry(key).or_default() += 1);
        let each = keys.len() / groups;
        let runs = runs(keys);
        // One row each is a matter of their order; many that stand together may be the parts of a day.
        let turns = each == 2 || each > 2 && runs == keys.len();
        let all = of_key.len() == groups && of_key.values().all(|&n| n == each);
        full += usize::from(all && turns);
    }
    blocks > 4 && full * 10 >= blocks * 9
}

/// Goes by one number from row to row within each key, but for a few rows.
pub fn counts(keys: Option<&[&str]>, column: &Column<'_>) -> bool {
    let (_, between) = steps(keys, &column.values);
    let usual = between.first().copied().unwrap_or(0.0);
    let largest = column
        .values
        .iter()
        .fold(0.0, |most: f64, x| most.max(x.abs()));
    // Decimal fractions are rounded, each to within half a step of 64 bits; what a large number differs by beyond that is no error.
    let error = 2.0 * f64::EPSILON * largest;
    let is_usual = |b: &&f64| (**b - usual).abs() <= 1e-6 * usual.abs() + error;
    let same = between.iter().filter(is_usual).count();
    usual != 0.0 && between.len() > 8 && same as f64 >= 0.99 * between.len() as f64
}

impl Order {
    /// Seconds between two rows, as a rule.
    pub fn step(&self) -> Option<f64> {
        self.interval.filter(|_| !self.shared && !self.is_uneven())
    }

    /// No step is usual.
    pub fn is_uneven(&self) -> bool {
        self.uneven > 0.5
    }

    /// So many that stand together that each can belong to one part.
    pub fn has_many_groups(&self) -> bool {
        self.groups >= 10 && !self.interleaved
    }

    /// `taken` columns have another role; `group` says what a row belongs to, if that is known.
    pub fn find(columns: &[Column<'_>], taken: &[usize], group: Option<usize>) -> Self {
        let is_time = |c: &Column<'_>| matches!(c.holds, Holds::Times(_));
        let different = |k: usize| columns[k].texts.iter().collect::<HashSet<_>>().len();
        let rows = columns.first().map_or(0, |c| c.texts.len());
        let time = (0..columns.len())
            .filter(|k| is_time(&columns[*k]) && !taken.contains(k))
            .max_by_key(|&k| (different(k), columns.len() - k));
        let mut order = Order {
            time,
            ..Order::default()
        };
        let whole = time.map(|t| steps(None, &columns[t].values).0);
        let mut best: Option<(usize, usize, usize)> = None;
        if let Some(k) = group {
            best = Some((0, different(k), k));
        }
        let others = (0..columns.len()).filter(|_| group.is_none());
        for k in others.filter(|k| !taken.contains(k)) {
            let column = &columns[k];
            let may =
                matches!(column.holds, Holds::Categories(_) | Holds::Text) || column.is_whole();
            if !may || column.is_called(&DATE_PARTS) || is_clock(column) || column.missing > 0 {
                continue;
            }
            let groups = different(k);
            if groups < 2 || groups * LEAST_GROUP > rows {
                continue;
            }
            let named = column.is_called(&GROUP_NAMES);
            let together = runs(&column.texts) == groups;
            let resets = || {
                let counter = |c: &Column<'_>| {
                    c.is_whole()
                        && c.name != column.name
                        && !counts(None, c)
                        && counts(Some(&column.texts), c)
                };
                together && columns.iter().any(counter)
            };
            let many = |t: usize| alternates(&column.texts, &columns[t].texts, groups);
            // Machines that take turns, each with a time of its own.
            let mixed = named && runs(&column.texts) * 2 > rows;
            let wrong = match (&whole, time) {
                (Some(_), Some(t)) if many(t) => Some(0),
                _ if mixed => Some(1),
                (Some(whole), Some(t)) => {
                    let within = steps(Some(&column.texts), &columns[t].values).0.wrong();
                    let orders = whole.wrong() * 2 + 2 > groups
                        && within * 5 <= whole.wrong()
                        && whole.wrong() > 0;
                    orders.then_some(within)
                }
                _ => (resets() || named && together).then_some(usize::from(!named)),
            };
            if let Some(wrong) = wrong {
                best = best
                    .min(Some((wrong, groups, k)))
                    .or(Some((wrong, groups, k)));
            }
        }
        if let Some((_, groups, k)) = best {
            order.group = Some(k);
            order.groups = groups;
            order.interleaved = runs(&columns[k].texts) > groups;
        }
        let keys = order.group.map(|k| &columns[k].texts[..]);
        for k in (0..columns.len()).filter(|k| !taken.contains(k) && Some(*k) != order.group) {
            let column = &columns[k];
            let named = column.is_called(&INDEX_NAMES) || column.name.is_empty();
            let rises = || steps(None, &column.values).0.wrong() == 0;
            let even = || counts(keys, column) || counts(None, column);
            if column.is_number() && even() || column.is_whole() && named && rises() {
                order.counters.push(k);
            }
        }
        if let Some(t) = time {
            let (steps, between) = steps(keys, &columns[t].values);
            // Rows in no order go up as often as down.
            order.newest_first = steps.down > 4 * steps.up;
            order.shared = steps.same * 2 > between.len();
            let wrong = if order.shared {
                steps.wrong() - steps.same
            } else {
                steps.wrong()
            };
            order.unsorted = wrong as f64 / between.len().max(1) as f64;
            let mut back = pairs(keys, &columns[t].values).filter(|(before, now)| now <= before);
            let counted = |text: &&str| text.parse::<f64>().is_ok();
            let wall = match &columns[t].holds {
                Holds::Times(Some(format)) => format != "%s",
                _ => !columns[t].texts.iter().any(counted),
            };
            order.clocks_set_back = wall && back.all(|(before, now)| is_clock_change(before, now));
            let mut intervals: Vec<f64> = between
                .iter()
                .map(|b| b.abs())
                .filter(|&b| b > 0.0)
                .collect();
            intervals.sort_by(f64::total_cmp);
            if let Some(&usual) = intervals.get(intervals.len() / 2) {
                let other = intervals
                    .iter()
                    .filter(|&&b| (b / usual - 1.0).abs() > 0.15)
                    .count();
                order.interval = Some(usual);
                order.uneven = other as f64 / intervals.len() as f64;
            }
            let times = columns[t].values.iter().filter(|x| !x.is_nan());
            let first = times.clone().copied().fold(f64::INFINITY, f64::min);
            order.span = times.copied().fold(f64::NEG_INFINITY, f64::max) - first;
        }
        order
    }
}

/// Times of day without a date: `14:05`, `2:05 PM`, `14h05`, or 1405 where that is no other number.
pub fn is_clock(column: &Column<'_>) -> bool {
    let clock = |text: &&str| {
        let of_half = half_of_day(text);
        let text = of_half.unwrap_or(text);
        let hours = text.strip_suffix(['h', 'H']);
        let parts: Vec<&str> = hours.unwrap_or(text).split([':', '.', 'h', 'H']).collect();
        let least = if of_half.or(hours).is_some() { 1 } else { 2 };
        (least..=4).contains(&parts.len())
            && parts
                .iter()
                .all(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    match column.holds {
        Holds::Categories(_) | Holds::Text => {
            let different = column.different(24);
            let mut there = different.iter().filter(|text| !is_missing(text)).peekable();
            there.peek().is_some() && there.all(clock)
        }
        Holds::Numbers => is_clock_of_digits(column),
        _ => false,
    }
}

/// A time of day without what says that it is before or after noon.
fn half_of_day(text: &str) -> Option<&str> {
    let halves = ["am", "pm", "a.m.", "p.m.", "a", "p"];
    let mut cut = halves.iter().filter_map(|half| {
        let (time, end) = text.split_at_checked(text.len().checked_sub(half.len())?)?;
        let time = time.trim_end();
        (end.eq_ignore_ascii_case(half) && time.ends_with(|c: char| c.is_ascii_digit()))
            .then_some(time)
    });
    let korean = || {
        ["오전", "오후"]
            .iter()
            .find_map(|half| text.strip_prefix(half))
    };
    cut.next().or_else(|| korean().map(str::trim_start))
}

/// Numbers that are hours and minutes (and seconds): the column is called so, they begin with zeros, or they are as far from each
/// other as times are and numbers are not, 0950 and 1000.
fn is_clock_of_digits(column: &Column<'_>) -> bool {
    const NAMES: [&str; 9] = [
        "time", "hhmm", "hhmmss", "hour", "clock", "zeit", "uhrzeit", "heure", "hora",
    ];
    // Of a day there are no more minutes; where there are seconds the first ones will do.
    let different = column.different(24 * 60);
    let there = || different.iter().filter(|text| !is_missing(text));
    let digits = there().map(|text| text.len()).max().unwrap_or(0);
    let seconds = |text: &&str| -> Option<i64> {
        let number: i64 = text.parse().ok().filter(|x| *x >= 0)?;
        let (minutes, seconds) = match digits {
            3..=4 => (number, 0),
            5..=6 => (number / 100, number % 100),
            _ => return None,
        };
        let (hour, minute) = (minutes / 100, minutes % 100);
        (hour < 24 && minute < 60 && seconds < 60).then_some(hour * 3600 + minute * 60 + seconds)
    };
    let Some(mut times) = there().map(seconds).collect::<Option<Vec<i64>>>() else {
        return false;
    };
    times.sort_unstable();
    let number = |text: &&str| text.parse().unwrap_or(0.0);
    let mut numbers: Vec<f64> = there().map(number).collect();
    numbers.sort_by(f64::total_cmp);
    let even = times.len() > 4 && times.windows(3).all(|w| w[2] - w[1] == w[1] - w[0]);
    let counts = numbers.windows(3).all(|w| w[2] - w[1] == w[1] - w[0]);
    let padded = there().all(|text| text.len() == digits) && numbers.first() < Some(&100.0);
    column.is_called(&NAMES) || padded || even && !counts
}

#[cfg(test)]
mod tests {
    use super::super::column::Marks;
    use super::*;

    fn order(names: &[&str], rows: &[Vec<String>]) -> Order {
        let columns: Vec<Column<'_>> = names
            .iter()
            .enumerate()
            .map(|(k, name)| {
                let texts = rows.iter().map(|row| row[k].as_str()).collect();
                Column::new(name, texts, &|t| t.parse().ok(), &Marks::default())
            })
            .collect();
        Order::find(&columns, &[], None)
    }

    fn row(fields: &[&dyn std::fmt::Display]) -> Vec<String> {
        fields.iter().map(|field| field.to_string()).collect()
    }

    #[test]
    fn machines_sorted_by_time_are_groups() {
        let rows: Vec<_> = (0..60)
            .map(|k| {
                row(&[
                    &format!("2026-01-01 00:{:02}", k / 3),
                    &["a", "b", "c"][k % 3],
                    &(k * 7 % 11),
                ])
            })
            .collect();
        let order = order(&["t", "m", "x"], &rows);
        assert_eq!(
            (order.time, order.group, order.groups),
            (Some(0), Some(1), 3)
        );
        assert!(order.interleaved);
        assert_eq!(
            (order.interval, order.uneven, order.unsorted),
            (Some(60.0), 0.0, 0.0)
        );
    }

    #[test]
    fn machines_whose_clock_is_coarser_than_their_rows_are_groups() {
        let of = |each: usize, key: &dyn Fn(usize) -> usize| {
            let rows: Vec<_> = (0..20 * 3 * each)
                .map(|k| {
                    let time = format!("2026-01-01 00:{:02}", k / (3 * each));
                    row(&[&time, &["a", "b", "c"][key(k)], &(k * 7 % 11)])
                })
                .collect();
            order(&["t", "m", "x"], &rows).group
        };
        assert_eq!(of(2, &|k| k % 3), Some(1));
        assert_eq!(of(2, &|k| k / 2 % 3), Some(1));
        assert_eq!(of(10, &|k| k % 3), Some(1));
        // Shifts of a day, not machines.
        assert_eq!(of(8, &|k| k / 8 % 3), None);
    }

    #[test]
    fn machines_that_take_turns_are_groups() {
        let time = |k: usize| format!("2026-01-01 00:{:02}:{:02}", k / 60, k % 60);
        let rows: Vec<_> = (0..60)
            .map(|k| row(&[&time(k), &format!("press-{}", k % 3), &(k * 7 % 11)]))
            .collect();
        let order = order(&["time", "machine", "x"], &rows);
        assert_eq!(
            (order.group, order.groups, order.interleaved),
            (Some(1), 3, true)
        );
    }

    #[test]
    fn engines_that_count_their_cycles_are_groups() {
        let rows: Vec<_> = (0..60)
            .map(|k| row(&[&(k / 20), &(k % 20), &(k * 7 % 11)]))
            .collect();
        let order = order(&["nr", "cycle", "x"], &rows);
        assert_eq!(
            (order.group, order.groups, order.interleaved),
            (Some(0), 3, false)
        );
        assert_eq!(order.counters, [1]);
    }

    #[test]
    fn days_are_no_groups_and_rows_may_stand_newest_first() {
        let rows: Vec<_> = (0..72)
            .rev()
            .map(|k| {
                row(&[
                    &k,
                    &format!("2026-01-{:02} {:02}:00", 1 + k / 24, k % 24),
                    &(1 + k / 24),
                    &(k % 7),
                ])
            })
            .collect();
        let order = order(&["No", "date", "day", "x"], &rows);
        assert_eq!(
            (order.time, order.group, order.newest_first),
            (Some(1), None, true)
        );
        assert_eq!(order.counters, [0]);
        assert_eq!((order.interval, order.span), (Some(3600.0), 71.0 * 3600.0));
    }

    #[test]
    fn a_time_of_day_is_no_group_in_any_form() {
        let group = |name: &str, clock: &dyn Fn(usize, usize) -> String| {
            let rows: Vec<_> = (0..6 * 144)
                .map(|k| {
                    let date = format!("2026-01-{:02}", 1 + k / 144);
                    row(&[&date, &clock(k / 6 % 24, k % 6 * 10), &(k * 7 % 11)])
                })
                .collect();
            order(&["date", name, "x"], &rows).group
        };
        let twelve = |hour: usize| (hour + 11) % 12 + 1;
        let half = |hour: usize| if hour < 12 { "AM" } else { "PM" };
        assert_eq!(group("time", &|h, m| format!("{h:02}:{m:02}")), None);
        assert_eq!(
            group("time", &|h, m| format!(
                "{}:{m:02}:00 {}",
                twelve(h),
                half(h)
            )),
            None
        );
        assert_eq!(
            group("time", &|h, m| format!("{}:{m:02}{}", twelve(h), half(h))),
            None
        );
        assert_eq!(group("t2", &|h, m| format!("{h}h{m:02}")), None);
        assert_eq!(group("t2", &|h, m| format!("{h:02}{m:02}")), None);
        assert_eq!(group("t2", &|h, m| format!("{}", 100 * h + m)), None);
        assert_eq!(group("t2", &|h, m| format!("{h:02}{m:02}00")), None);
        // As many machines.
        assert_eq!(
            group("machine", &|h, m| format!("m{}", 6 * h + m / 10)),
            Some(1)
        );
        assert_eq!(
            group("machine", &|h, m| format!("{}", 100 + 6 * h + m / 10)),
            Some(1)
        );
    }

    #[test]
    fn a_large_number_whose_steps_differ_counts_no_rows() {
        let counters = |step: &dyn Fn(usize) -> usize| {
            let mut wh = 100_000_000_000_000;
            let rows: Vec<_> = (0..60)
                .map(|k| {
                    wh += step(k);
                    row(&[&format!("2026-01-01 00:{k:02}"), &wh, &(k * 7 % 11)])
                })
                .collect();
            order(&["t", "wh", "x"], &rows).counters
        };
        assert!(counters(&|k| 70 + k * 13 % 29).is_empty());
        assert_eq!(counters(&|_| 70), [1]);
    }

    #[test]
    fn a_date_that_rows_share_says_nothing_about_the_step() {
        let rows: Vec<_> = (0..96)
            .map(|k| {
                row(&[
                    &format!("2026-01-{:02}", 1 + k / 24),
                    &format!("{:02}:00", k % 24),
                    &(k * 7 % 11),
                ])
            })
            .collect();
        let order = order(&["date", "clock", "x"], &rows);
        assert_eq!((order.time, order.group), (Some(0), None));
        assert_eq!(
            (order.shared, order.step(), order.unsorted),
            (true, None, 0.0)
        );
        assert_eq!(order.interval, Some(86_400.0));
    }
}
