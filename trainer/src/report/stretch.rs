//! Which steps are drawn, and where they stand on the axis: in time where that is known.

use super::chart::Axis;
use super::html::count;
use super::measure::Measured;
use crate::data::Dataset;
use crate::data::time::Time;
use anyhow::{Result, anyhow, bail, ensure};

/// Steps that are drawn unless more are asked for.
const SHOWN: usize = 360;
/// Points of a curve at the most.
const POINTS: usize = 4_000;
/// Names in a message.
const NAMED: usize = 20;

/// What was asked for; by default the first steps of the first group.
#[derive(Debug, Clone, Default)]
pub struct Stretch {
    /// A group by its name.
    pub group: Option<String>,
    /// From this time on; where there are no times, from this step on.
    pub from: Option<String>,
    /// Up to this time or step.
    pub to: Option<String>,
    /// Rows ahead that paths of what may come are drawn; 0: none are.
    pub ahead: usize,
}

/// The steps that are drawn.
pub(super) struct Shown {
    pub(super) steps: Vec<usize>,
    /// Which those are, for a caption.
    pub(super) words: String,
}

impl Shown {
    pub(super) fn nothing() -> Self {
        Shown {
            steps: Vec::new(),
            words: String::new(),
        }
    }
}

impl Stretch {
    /// # Errors
    /// If there is no such group, or nothing in it from there to there.
    pub(super) fn shown(&self, data: &Dataset, measured: &Measured) -> Result<Shown> {
        let part = measured.part.name();
        let group = self.group(data, measured)?;
        let of_group = (0..measured.groups.len()).filter(|&k| {
            let of_step = measured.groups[k];
            group.is_none() || of_step == group
        });
        let of_group: Vec<usize> = of_group.collect();
        let mut steps = of_group.clone();
        if self.is_cut() {
            let times: Vec<_> = of_group.iter().map(|&k| measured.times[k]).collect();
            let inside = self.inside(&times)?;
            let chosen = of_group.iter().zip(inside).filter(|(_, inside)| *inside);
            steps = chosen.map(|(&k, _)| k).collect();
            ensure!(
                !steps.is_empty(),
                "--from and --to: nothing of the {part} part lies between them{}",
                span(measured, &of_group)
            );
        } else {
            steps.truncate(SHOWN);
        }
        let (chosen, all) = (steps.len(), of_group.len());
        let every = chosen.div_ceil(POINTS).max(1);
        let steps: Vec<usize> = steps.into_iter().step_by(every).collect();
        let mut words = match () {
            () if chosen == all => format!("All {} steps", count(all)),
            () if self.is_cut() => {
                format!("{} of {} steps", count(chosen), count(all))
            }
            () => format!("The first {} of {} steps", count(chosen), count(all)),
        };
        if every > 1 {
            words += &format!(", one in {every}");
        }
        words += &format!(" of the {part} part");
        if let Some(group) = group {
            let name = data.group_names().get(group).map_or("", String::as_str);
            words += &format!(", group {name}");
        }
        if self.group.is_none()
            && self.from.is_none()
            && self.to.is_none()
            && chosen < measured.groups.len()
        {
            words += match group {
                Some(_) => "; --group, --from and --to show others",
                None => "; --from and --to show others",
            };
        }
        words.push('.');
        Ok(Shown { steps, words })
    }

    /// Only what lies between two times or steps is drawn.
    pub(super) fn is_cut(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// Which steps of a group, that are at these times, lie there. Without all of the times their numbers count.
    ///
    /// # Errors
    /// If what was asked for is no time, or no number of a step.
    pub(super) fn inside(&self, times: &[Option<f64>]) -> Result<Vec<bool>> {
        let timed = times.iter().all(Option::is_some);
        let bound = |text: &Option<String>, option: &str| -> Result<Option<f64>> {
            let Some(text) = text else { return Ok(None) };
            let value = match timed {
                true => Time::parse(text, None).map(|time| time.local),
                false => text.parse().ok(),
            };
            let expected = match timed {
                true => "a time, such as 2026-03-15 or \"2026-03-15 06:00\"",
                false => "the number of a step: the data has no column of times that is known",
            };
            value
                .map(Some)
                .ok_or_else(|| anyhow!("{option} {text:?}: expected {expected}"))
        };
        let (from, to) = (bound(&self.from, "--from")?, bound(&self.to, "--to")?);
        let inside = |(n, time): (usize, &Option<f64>)| {
            let at = time.filter(|_| timed).unwrap_or(n as f64);
            from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to)
        };
        Ok(times.iter().enumerate().map(inside).collect())
    }

    /// The group that is drawn: the one asked for, or the first.
    fn group(&self, data: &Dataset, measured: &Measured) -> Result<Option<usize>> {
        let names = data.group_names();
        let Some(wanted) = &self.group else {
            return Ok(measured.groups.first().copied().flatten());
        };
        if names.is_empty() {
            bail!(
                "--group {wanted:?}: the task has no groups; it would name their column, group = \"...\""
            );
        }
        let mut there: Vec<usize> = measured.groups.iter().copied().flatten().collect();
        there.dedup();
        let found = there.iter().find(|&&group| names[group] == *wanted);
        let known = || {
            let shown: Vec<&str> = there
                .iter()
                .take(NAMED)
                .map(|&g| names[g].as_str())
                .collect();
            let more = match there.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{}{more}", shown.join(", "))
        };
        found.copied().map(Some).ok_or_else(|| {
            let part = measured.part.name();
            anyhow!(
                "--group {wanted:?}: not in the {part} part, whose groups are {}",
                known()
            )
        })
    }
}

/// From when to when some steps are.
fn span(measured: &Measured, steps: &[usize]) -> String {
    let times = steps.iter().filter_map(|&k| measured.times[k]);
    let (low, high) = super::chart::bounds(times);
    let written = |time: f64| {
        let time = chrono::DateTime::from_timestamp(time as i64, 0);
        time.map_or(String::new(), |t| t.format("%Y-%m-%d %H:%M:%S").to_string())
    };
    match low.is_finite() {
        true => format!(", which is from {} to {}", written(low), written(high)),
        false => format!(", which has {} steps", count(steps.len())),
    }
}

impl Measured {
    /// An axis for some steps, and the place of each of them: in time, where that is known and goes forward.
    pub(super) fn places(&self, steps: &[usize]) -> (Axis, Vec<f64>) {
        match self.moments(steps) {
            Some((axis, times)) if times.is_sorted() => (axis, times),
            _ => {
                let places = (0..steps.len()).map(|k| k as f64);
                (Axis::whole("step", 0, steps.len()), places.collect())
            }
        }
    }

    /// When steps were, in whatever order they stand: groups that ran at the same time are at the same place.
    pub(super) fn moments(&self, steps: &[usize]) -> Option<(Axis, Vec<f64>)> {
        let times: Option<Vec<f64>> = steps.iter().map(|&k| self.times[k]).collect();
        let times = times?;
        let (first, last) = (times.iter())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &t| {
                (a.min(t), b.max(t))
            });
        (first < last).then(|| (Axis::time(first, last), times))
    }
}
