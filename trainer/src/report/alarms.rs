//! A model that watches a stream: its score over time with the threshold and the alarms that follow from both, beside
//! the windows in which something is known to be wrong; and what the alarms of every number format are worth.

use super::Made;
use super::chart::{Axis, Chart, Ink, bounds};
use super::html::{Table, count, figure, heading, number, paragraph, percent, section, with_unit};
use super::measure::Measured;
use super::stretch::Stretch;
use crate::anomaly::{Watched, watch};
use crate::data::Dataset;
use crate::engine::EnginePredictor;
use crate::package::{Alarm, Output, Target};
use anyhow::Result;
use kinglet::Model;
use std::ops::Range;

/// Points of a curve: about as many as the chart has pixels.
const POINTS: usize = 640;

/// Groups that are drawn.
const GROUPS: usize = 6;

/// A row for every model that watches; the curves are of the one at `device`, of the stretch that was asked for or of all.
pub(super) fn alarms(
    data: &Dataset,
    measured: &Measured,
    made: &[Made],
    models: &[Model<'_>],
    (device, stretch): (usize, &Stretch),
) -> Result<String> {
    let part = measured.part;
    let labelled = data.has_events();
    let mut head = vec!["format", "threshold", "samples above", "alarms"];
    if labelled {
        head.extend(["labelled windows hit", "false alarms", "RMSE outside"]);
    }
    let mut table = Table::new(&head);
    let mut drawn = String::new();
    for (k, (made, model)) in made.iter().zip(models).enumerate() {
        let Some(alarm) = Alarm::of_model(model) else {
            continue;
        };
        let mut engine = EnginePredictor::new(model);
        let watched = watch(data, part, &mut engine, alarm.smoothing);
        let above = runs(&watched, |k| watched.scores[k] > alarm.threshold);
        let samples: usize = above.iter().map(|(from, to)| to - from).sum();
        let mut row = vec![
            made.name.clone(),
            number(alarm.threshold.into()),
            percent(samples as f64 / watched.scores.len() as f64),
            count(above.len()),
        ];
        if labelled {
            let worth = watched.alarms(alarm.threshold);
            let hit = worth.hit.iter().filter(|hit| **hit).count();
            row.extend([
                format!("{hit} of {}", worth.hit.len()),
                count(worth.false_episodes),
                number(worth.rmse_outside),
            ]);
        }
        table.row(&row);
        if k == device {
            let watching = Watching {
                name: &made.name,
                alarm,
                watched: &watched,
                above: &above,
            };
            drawn = curves(data, measured, &watching, stretch)?;
        }
    }
    let whose = match labelled {
        true => {
            " An alarm that begins and ends without touching a labelled window is a false one; RMSE outside is that of the first \
             watched value outside all of them."
        }
        false => " The data has no labelled windows, so nothing says which alarms are right.",
    };
    let body = paragraph(&format!(
        "The score of a sample is the exponential mean of the absolute errors up to it. The threshold is what the score \
         reaches on the validation part, in every format by its own forecasts; an alarm is a run of samples above it.{whose}"
    ));
    let body = body + &drawn + &table.finish();
    Ok(section("alarms", "Alarms", &body))
}

/// Unbroken runs of samples of a group that are so.
fn runs(watched: &Watched, is: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for k in (0..watched.scores.len()).filter(|&k| is(k)) {
        match runs.last_mut() {
            Some((from, end)) if *end == k && watched.groups[*from] == watched.groups[k] => {
                *end += 1
            }
            _ => runs.push((k, k + 1)),
        }
    }
    runs
}

/// A model with its alarm, and what it gave.
struct Watching<'a> {
    name: &'a str,
    alarm: Alarm,
    watched: &'a Watched,
    above: &'a [(usize, usize)],
}

/// The samples of each group, in the order of the data.
fn groups(watched: &Watched) -> Vec<(Option<usize>, Range<usize>)> {
    let mut groups: Vec<(Option<usize>, Range<usize>)> = Vec::new();
    for (k, &group) in watched.groups.iter().enumerate() {
        match groups.last_mut() {
            Some((last, rows)) if *last == group => rows.end = k + 1,
            _ => groups.push((group, k..k + 1)),
        }
    }
    groups
}

/// Charts of every group: of the one that was asked for, or of those whose scores are highest; from when to when was asked for.
fn curves(
    data: &Dataset,
    measured: &Measured,
    watching: &Watching<'_>,
    stretch: &Stretch,
) -> Result<String> {
    let asked = stretch.group.as_deref();
    let name = |group: Option<usize>| {
        let name = group.and_then(|group| data.group_names().get(group));
        name.map_or("", String::as_str)
    };
    let mut shown = groups(watching.watched);
    let all = shown.len();
    let steps = watching.watched.scores.len();
    if stretch.is_cut() {
        let known = measured.groups.len() == steps;
        for (_, rows) in &mut shown {
            let times: Vec<Option<f64>> = match known {
                true => rows.clone().map(|k| measured.times[k]).collect(),
                false => vec![None; rows.len()],
            };
            let inside = stretch.inside(&times)?;
            let first = inside.iter().position(|inside| *inside);
            let last = inside.iter().rposition(|inside| *inside);
            *rows = match (first, last) {
                (Some(first), Some(last)) => rows.start + first..rows.start + last + 1,
                _ => 0..0,
            };
        }
        shown.retain(|(_, rows)| !rows.is_empty());
    }
    let uncut = shown.len();
    if let Some(asked) = asked {
        shown.retain(|(group, _)| name(*group) == asked);
    } else if uncut > GROUPS {
        let highest = |rows: &Range<usize>| highest(&watching.watched.scores[rows.clone()]);
        shown.sort_by(|a, b| highest(&b.1).total_cmp(&highest(&a.1)));
        shown.truncate(GROUPS);
        shown.sort_by_key(|(_, rows)| rows.start);
    }
    let drawn: usize = shown.iter().map(|(_, rows)| rows.len()).sum();
    let mut words = match asked {
        Some(asked) if all > 1 => format!(
            "Drawn is the group {asked}; the table is of all {}.",
            count(all)
        ),
        None if shown.len() < uncut => format!(
            "Drawn are the {} of {} groups whose scores are highest; --group shows another.",
            shown.len(),
            count(uncut)
        ),
        _ => String::new(),
    };
    if stretch.is_cut() {
        words += &format!(
            " Of the {} watched samples {} lie from --from to --to and are drawn; the table is of all.",
            count(steps),
            count(drawn)
        );
    }
    let mut body = match words.is_empty() {
        true => words,
        false => paragraph(words.trim_start()),
    };
    // Groups that ran at the same time stand below one another in it.
    let steps: Vec<usize> = shown.iter().flat_map(|(_, rows)| rows.clone()).collect();
    let together = match measured.groups.len() == watching.watched.scores.len() {
        true => measured.moments(&steps),
        false => None,
    };
    let top = steps.iter().map(|&k| f64::from(watching.watched.scores[k]));
    let top = top.fold(f64::from(watching.alarm.threshold), f64::max);
    let mut behind = 0;
    for (group, rows) in shown {
        let steps: Vec<usize> = rows.clone().collect();
        let times = (together.as_ref()).map(|(_, times)| &times[behind..behind + steps.len()]);
        behind += steps.len();
        let (axis, places) = match (&together, times) {
            (Some((axis, _)), Some(times)) if times.is_sorted() => (axis.clone(), times.to_vec()),
            _ => (
                Axis::whole("step", 0, steps.len()),
                (0..steps.len()).map(|k| k as f64).collect(),
            ),
        };
        if all > 1 {
            body += &heading(&format!("Group {}", name(group)));
        }
        let drawn = Drawn {
            rows,
            axis,
            places,
            top,
        };
        body += &drawn.curves(data, measured, watching);
    }
    Ok(body)
}

fn highest(scores: &[f32]) -> f32 {
    scores.iter().fold(0f32, |max, &s| max.max(s))
}

/// The samples of a group, and where they stand.
struct Drawn {
    rows: Range<usize>,
    axis: Axis,
    places: Vec<f64>,
    /// The highest score of all that is drawn, or the threshold.
    top: f64,
}

impl Drawn {
    /// Of a sample. A run ends before one that may be none.
    fn place(&self, k: usize) -> f64 {
        let place = self.places.get(k - self.rows.start);
        place.or(self.places.last()).copied().unwrap_or(0.0)
    }

    /// What was watched, and below it the score.
    fn curves(&self, data: &Dataset, measured: &Measured, watching: &Watching<'_>) -> String {
        let Watching {
            name,
            alarm,
            watched,
            above,
        } = watching;
        let steps = self.rows.len();
        let bin = steps.div_ceil(POINTS).max(1);
        let wrong = runs(watched, |k| self.rows.contains(&k) && watched.events[k] > 0);
        let spans = || {
            wrong
                .iter()
                .map(|&(from, to)| (self.place(from), self.place(to)))
        };
        let fed = |targets: &[Target]| targets.iter().position(|t| t.feeds.is_some());
        let mut figures = String::new();
        if let Output::Values(targets) = data.output()
            && let Some(first) = fed(targets)
            && measured.truth.len() == watched.scores.len() * targets.len()
        {
            let value = |k: usize| f64::from(measured.truth[k * targets.len() + first]);
            let values: Vec<f64> = self.rows.clone().map(value).collect();
            let points: Vec<(f64, f64)> = match bin {
                1 => self.places.iter().copied().zip(values).collect(),
                // The lowest and the highest of a bin, so that no peak is lost.
                _ => {
                    let bins = values.chunks(2 * bin).enumerate();
                    bins.flat_map(|(n, values)| {
                        let (low, high) = bounds(values.iter().copied());
                        let at = self.rows.start + 2 * bin * n;
                        [(self.place(at), low), (self.place(at + bin), high)]
                    })
                    .collect()
                }
            };
            let label = with_unit(targets[first].column(), &targets[first].unit);
            let y = Axis::around(&label, points.iter().map(|p| p.1));
            let mut chart = Chart::new("What is watched", self.axis.clone(), y).height(190.0);
            chart.shades("labelled window", spans());
            chart.line(Ink::Truth, "what came", points.into_iter());
            figures += &figure(
                &chart.finish(),
                &format!(
                    "{} steps of the {} part.",
                    count(steps),
                    measured.part.name()
                ),
            );
        }
        let scores = &watched.scores[self.rows.clone()];
        let points: Vec<(f64, f64)> = scores
            .chunks(bin)
            .enumerate()
            .map(|(n, scores)| {
                (
                    self.place(self.rows.start + n * bin),
                    highest(scores).into(),
                )
            })
            .collect();
        let threshold = f64::from(alarm.threshold);
        let y = Axis::new("score", 0.0, self.top * 1.1);
        let mut chart = Chart::new("Score and threshold", self.axis.clone(), y);
        chart.shades("labelled window", spans());
        chart.line(
            Ink::Series(1),
            &format!("score, {name}"),
            points.into_iter(),
        );
        chart.level(threshold, &format!("threshold {}", number(threshold)));
        let cut = |&(from, to): &(usize, usize)| {
            let cut = (from.max(self.rows.start), to.min(self.rows.end));
            (cut.0 < cut.1).then_some(cut)
        };
        let alarmed = above.iter().filter_map(cut).map(|(from, to)| {
            let peak = f64::from(highest(&watched.scores[from..to]));
            let at = (from..to).find(|&k| f64::from(watched.scores[k]) >= peak);
            (self.place(at.unwrap_or(from)), peak)
        });
        chart.peaks(Ink::Series(0), "alarm, at its height", alarmed);
        let points = match bin {
            1 => "every step".to_owned(),
            _ => format!("the highest of {bin} steps a point"),
        };
        figures
            + &figure(
                &chart.finish(),
                &format!("The score in {name}, {points}. Above the line it is an alarm."),
            )
    }
}
