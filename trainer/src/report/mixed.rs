//! Mixed precision: what every best combination of formats gives for what it takes, and which one a budget chooses.
//! The choice is by the difference from f32 on the validation part, as everywhere; the metric shown beside it is that
//! of the page.

use super::Made;
use super::chart::{Axis, Chart, Ink};
use super::html::{Table, count, figure, number, paragraph, section};
use super::measure::Measured;
use super::predictions::smaller_is_better;
use crate::budget::Budget;
use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::file::{AlignedBytes, TestInputs, export_for};
use crate::package::Package;
use crate::quant::mixed::{Mixed, Probe, search};
use crate::quant::{Formats, Ranges};
use crate::train::evaluate;
use anyhow::Result;
use kinglet::Model;
use kinglet::format::Layout;

/// A float network with its measured ranges.
type Measurable<'a> = (&'a Package, &'a Ranges, &'a TestInputs);

fn layout(budget: &Budget) -> Layout {
    budget.core.map_or(Layout::Portable, |core| core.layout())
}

/// The search over a network, and the file of what was chosen. `watches` gives the package with the alarm that follows
/// from the forecasts of its file.
pub(super) fn search_within(
    budget: &Budget,
    (package, ranges, tests): Measurable<'_>,
    data: &Dataset,
    watches: &impl Fn(&Package, &Model<'_>) -> Option<Package>,
) -> Result<(Mixed, AlignedBytes)> {
    let layout = layout(budget);
    let probes = Probe::of_dataset(data, Part::Valid);
    let found = search(package, ranges, layout, tests, &probes, budget)?;
    let watching = watches(package, &Model::from_bytes(&found.exported.bytes)?);
    let bytes = match watching {
        Some(package) => {
            let each = Formats::Each(found.curve[found.chosen].formats.clone());
            export_for(layout, &package, each, Some(ranges), tests)?.bytes
        }
        None => found.exported.bytes.clone(),
    };
    Ok((found, bytes))
}

/// What a search found, and the models of one format to compare with.
pub(super) fn mixed(
    (package, ranges, tests): Measurable<'_>,
    data: &Dataset,
    measured: &Measured,
    made: &[Made],
    (budget, found): (&Budget, &Mixed),
) -> Result<String> {
    let layout = layout(budget);
    let mut values = Vec::new();
    for point in &found.curve {
        let each = Formats::Each(point.formats.clone());
        let file = export_for(layout, package, each, Some(ranges), tests)?;
        let model = Model::from_bytes(&file.bytes)?;
        let metrics = evaluate(data, measured.part, &mut EnginePredictor::new(&model));
        values.push(metrics.headline().1);
    }
    let metric = measured.runs[0].metrics.headline().0;
    let better = match smaller_is_better(data) {
        true => "less",
        false => "more",
    };
    let core = budget.core.map(|core| core.name);
    let mut body = paragraph(&format!(
        "Every layer may have a format of its own. No combination below is beaten by another in all that it takes and in its \
         difference from f32 on the validation part; chosen is the one that differs least within the budget: {}. The metric \
         is that of the {} part, of which {better} is better; the networks are rounded, not trained on.",
        allowed(budget),
        measured.part.name()
    ));
    let one_format: Vec<(usize, &str, usize, f64)> = made
        .iter()
        .zip(&measured.runs)
        .enumerate()
        .filter(|(_, (made, _))| Model::from_bytes(&made.bytes).is_ok_and(|m| m.is_integer()))
        .map(|(k, (made, run))| {
            let value = run.metrics.headline().1;
            (k - 1, made.name.as_str(), made.bytes.len(), value)
        })
        .collect();
    let against = |what: &str, taken: &dyn Fn(usize) -> f64, limit: Option<usize>, flash: bool| {
        let points: Vec<(f64, f64)> = values
            .iter()
            .enumerate()
            .map(|(k, &value)| (taken(k), value))
            .collect();
        // A layout has a size of its own.
        let others = one_format
            .iter()
            .filter(|_| flash && layout == Layout::Portable);
        let others: Vec<_> = others
            .map(|&(k, name, bytes, y)| (k, name, bytes as f64, y))
            .collect();
        let x = points.iter().map(|p| p.0).chain(others.iter().map(|o| o.2));
        let y = points.iter().map(|p| p.1).chain(others.iter().map(|o| o.3));
        let mut chart = Chart::new(
            &format!("{metric} against {what}"),
            Axis::around(what, x.clone()),
            Axis::around(metric, y),
        );
        let (low, high) = super::chart::bounds(x);
        if let Some(limit) = limit
            .map(|limit| limit as f64)
            .filter(|l| (low..=high).contains(l))
        {
            chart.mark(limit, "budget");
        }
        // Not a line: what is small need not be fast.
        chart.peaks(Ink::Truth, "best combinations", points.iter().copied());
        for (k, name, x, y) in others {
            chart.peaks(Ink::Series(k), name, [(x, y)].into_iter());
        }
        let chosen = [points[found.chosen]].into_iter();
        chart.peaks(Ink::Series(0), "chosen", chosen);
        figure(
            &chart.finish(),
            &format!("{metric} of every combination against its {what}."),
        )
    };
    let flash = |k: usize| found.curve[k].flash as f64;
    body += &against("bytes of flash", &flash, budget.flash, true);
    if let Some(core) = core {
        let cycles = |k: usize| found.curve[k].cycles.map_or(f64::NAN, |c| c as f64);
        let what = format!("instructions per step, {core}");
        body += &against(&what, &cycles, budget.cycles, false);
    }
    body += &table(found, &values, metric, core);
    Ok(section("mixed", "A format for every layer", &body))
}

/// The budget in words.
fn allowed(budget: &Budget) -> String {
    let limits = [
        budget
            .flash
            .map(|most| format!("{} bytes of flash", count(most))),
        budget
            .ram
            .map(|most| format!("{} bytes of state", count(most))),
        budget
            .cycles
            .zip(budget.core)
            .map(|(most, core)| format!("{} instructions per step on {}", count(most), core.name)),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    limits.join(", ")
}

fn table(found: &Mixed, values: &[f64], metric: &str, core: Option<&str>) -> String {
    let mut head = vec!["formats of the layers", "flash"];
    head.extend(core);
    head.extend(["RMS from f32", metric, ""]);
    let mut table = Table::new(&head);
    for (k, (point, &value)) in found.curve.iter().zip(values).enumerate() {
        let mut row = vec![
            Formats::Each(point.formats.clone()).name(),
            count(point.flash),
        ];
        row.extend(core.map(|_| point.cycles.map_or("–".into(), count)));
        let chosen = if k == found.chosen { "chosen" } else { "" };
        row.extend([number(point.error), number(value), chosen.to_owned()]);
        table.row(&row);
    }
    table.finish()
}
