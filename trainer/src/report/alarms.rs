//! A model that watches a stream: its score over time with the threshold and the alarms that follow from both, beside
//! the windows in which something is known to be wrong; and what the alarms of every number format are worth.

use super::Made;
use super::chart::{Axis, Chart, Ink, bounds};
use super::html::{Table, count, figure, number, paragraph, percent, section, with_unit};
use super::measure::Measured;
use crate::anomaly::{Watched, watch};
use crate::data::Dataset;
use crate::engine::EnginePredictor;
use crate::package::{Alarm, Output};
use kinglet::Model;

/// Points of a curve: about as many as the chart has pixels.
const POINTS: usize = 640;

/// The alarm in a model file.
pub(super) fn of_model(model: &Model<'_>) -> Option<Alarm> {
    Some(Alarm {
        smoothing: model.smoothing()?,
        threshold: model.header().threshold?,
    })
}

/// A row for every model that watches; the curves are of the one at `device`.
pub(super) fn alarms(
    data: &Dataset,
    measured: &Measured,
    made: &[Made],
    models: &[Model<'_>],
    device: usize,
) -> String {
    let part = measured.part;
    let labelled = data.has_events();
    let mut head = vec!["format", "threshold", "samples above", "alarms"];
    if labelled {
        head.extend(["labelled windows hit", "false alarms", "RMSE outside"]);
    }
    let mut table = Table::new(&head);
    let mut curves = String::new();
    for (k, (made, model)) in made.iter().zip(models).enumerate() {
        let Some(alarm) = of_model(model) else {
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
            curves = curve(data, measured, (&made.name, alarm), &watched, &above);
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
    section("alarms", "Alarms", &(body + &curves + &table.finish()))
}

/// Unbroken runs of samples that are so.
fn runs(watched: &Watched, is: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for k in (0..watched.scores.len()).filter(|&k| is(k)) {
        match runs.last_mut() {
            Some((_, end)) if *end == k => *end += 1,
            _ => runs.push((k, k + 1)),
        }
    }
    runs
}

/// What was watched, and below it the score.
fn curve(
    data: &Dataset,
    measured: &Measured,
    (name, alarm): (&str, Alarm),
    watched: &Watched,
    above: &[(usize, usize)],
) -> String {
    let steps = watched.scores.len();
    let bin = steps.div_ceil(POINTS).max(1);
    let wrong = runs(watched, |k| watched.events[k] > 0);
    let all: Vec<usize> = (0..steps).collect();
    let (axis, places) = match measured.groups.len() == steps {
        true => measured.places(&all),
        false => (
            Axis::whole("step", 0, steps),
            all.iter().map(|&k| k as f64).collect(),
        ),
    };
    // A run ends before a step that may be none.
    let place = |k: usize| places.get(k).or(places.last()).copied().unwrap_or(0.0);
    let spans = || {
        let span = |&(from, to): &(usize, usize)| (place(from), place(to));
        wrong.iter().map(span)
    };
    let x = || axis.clone();
    let groups =
        match measured.groups.is_sorted() && measured.groups.first() == measured.groups.last() {
            true => "",
            false => ", one group behind the other",
        };
    let mut figures = String::new();
    let fed = |targets: &[crate::package::Target]| targets.iter().position(|t| t.feeds.is_some());
    if let Output::Values(targets) = data.output()
        && let Some(first) = fed(targets)
        && measured.truth.len() == steps * targets.len()
    {
        let values: Vec<f64> = measured.truth[first..]
            .iter()
            .step_by(targets.len())
            .map(|&v| f64::from(v))
            .collect();
        // The lowest and the highest of a bin, so that no peak is lost.
        let points: Vec<(f64, f64)> = values
            .chunks(2 * bin)
            .enumerate()
            .flat_map(|(n, values)| {
                let (low, high) = bounds(values.iter().copied());
                let at = 2 * bin * n;
                [(place(at), low), (place(at + bin), high)]
            })
            .collect();
        let label = with_unit(targets[first].column(), &targets[first].unit);
        let y = Axis::around(&label, points.iter().map(|p| p.1));
        let mut chart = Chart::new("What is watched", x(), y).height(190.0);
        chart.shades("labelled window", spans());
        let points = match bin {
            1 => places.iter().copied().zip(values).collect(),
            _ => points,
        };
        chart.line(Ink::Truth, "what came", points.into_iter());
        figures += &figure(
            &chart.finish(),
            &format!(
                "The {} steps of the {} part{groups}.",
                count(steps),
                measured.part.name()
            ),
        );
    }
    let highest = |scores: &[f32]| scores.iter().fold(0f32, |max, &s| max.max(s));
    let points: Vec<(f64, f64)> = watched
        .scores
        .chunks(bin)
        .enumerate()
        .map(|(n, scores)| (place(n * bin), f64::from(highest(scores))))
        .collect();
    let threshold = f64::from(alarm.threshold);
    let top = f64::from(highest(&watched.scores)).max(threshold);
    let y = Axis::new("score", 0.0, top * 1.1);
    let mut chart = Chart::new("Score and threshold", x(), y);
    chart.shades("labelled window", spans());
    chart.line(
        Ink::Series(1),
        &format!("score, {name}"),
        points.into_iter(),
    );
    chart.level(threshold, &format!("threshold {}", number(threshold)));
    let alarmed = above.iter().map(|&(from, to)| {
        let peak = f64::from(highest(&watched.scores[from..to]));
        let at = (from..to).find(|&k| f64::from(watched.scores[k]) >= peak);
        (place(at.unwrap_or(from)), peak)
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
