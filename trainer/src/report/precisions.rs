//! What each number format costs: the metric on data that was not learnt from, and how far the outputs are from f32's
//! as the stream goes on. A difference that grows with time would be drift.

use super::chart::{Axis, Chart, Ink};
use super::html::{Table, figure, number, paragraph, percent, section, with_unit};
use super::measure::{Measured, Run, rms};
use super::predictions::smaller_is_better;
use crate::data::Dataset;
use crate::package::Output;
use crate::train::Metrics;

/// Points of a curve.
const BINS: usize = 90;

/// The first `networks` runs are of the network, the others of rules.
pub(super) fn precisions(data: &Dataset, measured: &Measured, networks: usize) -> String {
    let metric = measured.runs[0].metrics.headline();
    let mut table = Table::new(&[
        "format",
        metric.0,
        "change from f32",
        "mean difference (RMS)",
        "largest difference",
    ]);
    for (k, run) in measured.runs.iter().enumerate() {
        let value = run.metrics.headline().1;
        let change = value / metric.1 - 1.0;
        let of_network = k < networks;
        table.row(&[
            run.name.clone(),
            number(value),
            match k {
                0 => "–".into(),
                _ => signed_percent(change),
            },
            match k > 0 && of_network {
                true => percent(run.rms_gap()),
                false => "–".into(),
            },
            match k > 0 && of_network {
                true => percent(run.max_gap()),
                false => "–".into(),
            },
        ]);
    }
    let what = match data.output() {
        Output::Values(_) => {
            "Differences are between outputs, relative to the spread of the true values."
        }
        Output::Classes(_) | Output::Transcript(_) | Output::NextToken => {
            "Differences are the share of the probability that lies on another answer than in f32."
        }
    };
    let better = if smaller_is_better(data) {
        "less"
    } else {
        "more"
    };
    let mut body = paragraph(&format!(
        "Every row was computed by the engine from the bytes of a model file, so it is what a device gives. Of {}, {better} is \
         better. {what}",
        metric.0
    ));
    body += &table.finish();
    body += &every_target(measured);

    let steps = measured.steps(data);
    let bin = steps.div_ceil(BINS).max(1);
    let all: Vec<usize> = (0..steps).collect();
    // Groups that ran at the same time are taken together, in the order of time.
    let (x, places, order) = match measured.moments(&all) {
        Some((axis, times)) => {
            let mut order = all;
            order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
            let places = order.iter().map(|&k| times[k]).collect();
            (axis, places, order)
        }
        None => {
            let (axis, places) = measured.places(&all);
            (axis, places, all)
        }
    };
    let curves: Vec<(usize, Vec<(f64, f64)>)> = (1..networks)
        .map(|k| {
            let gap: Vec<f32> = order
                .iter()
                .map(|&step| measured.runs[k].gap[step])
                .collect();
            let middle = |n: usize, len: usize| places[n * bin + len / 2];
            let bins = gap.chunks(bin).enumerate();
            let points = bins.map(|(n, gap)| (middle(n, gap.len()), 100.0 * rms(gap)));
            // None at all has no place on the axis.
            (
                k,
                points
                    .map(|(x, y)| (x, if y > 0.0 { y } else { f64::NAN }))
                    .collect(),
            )
        })
        .collect();
    let all = curves
        .iter()
        .flat_map(|(_, points)| points.iter().map(|p| p.1));
    let mut chart = Chart::new(
        "Difference from f32 over time",
        x,
        Axis::log("difference, %", all),
    );
    for (k, points) in curves {
        chart.line(
            Ink::Series(k - 1),
            &measured.runs[k].name,
            points.into_iter(),
        );
    }
    body += &figure(
        &chart.finish(),
        &format!("Difference from f32 along the data, RMS of {bin} steps a point."),
    );
    section("precisions", "Precisions", &body)
}

/// Errors of each target, where there are several.
fn every_target(measured: &Measured) -> String {
    let of = |run: &Run| match &run.metrics {
        Metrics::Values(values) if values.len() > 1 => values.clone(),
        _ => Vec::new(),
    };
    let targets = of(&measured.runs[0]);
    if targets.is_empty() {
        return String::new();
    }
    let names = targets.iter().map(|t| with_unit(&t.name, &t.unit));
    let head: Vec<String> = ["RMSE".to_owned()].into_iter().chain(names).collect();
    let mut table = Table::new(&head);
    for run in &measured.runs {
        let errors = of(run).into_iter().map(|target| number(target.rmse));
        let row: Vec<String> = [run.name.clone()].into_iter().chain(errors).collect();
        table.row(&row);
    }
    table.finish()
}

/// With a sign, unless it is nothing.
fn signed_percent(share: f64) -> String {
    let shown = format!("{:+.2} %", share * 100.0);
    match shown.as_str() {
        "+0.00 %" | "-0.00 %" => "0.00 %".into(),
        _ => shown.replace('-', "−"),
    }
}
