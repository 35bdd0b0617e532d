//! A fleet under an old model and a new one: all devices in a few figures, and those by name that change most.

use super::chart::{Axis, Chart, Ink, histogram};
use super::document;
use super::html::{Table, count, figure, number, paragraph, percent, section, text};
use crate::backtest::{Counts, Met, Outcome};

/// Devices by name in a table.
const SHOWN: usize = 20;
/// Bars of the histogram.
const BINS: usize = 40;

/// What a page is about.
pub struct FleetSubject<'a> {
    /// Of the old model and of the new.
    pub names: [String; 2],
    /// What is measured, if anything is.
    pub metric: Option<&'static str>,
    /// That of a device by its figures.
    pub value: &'a dyn Fn(&Counts) -> Option<[f64; 2]>,
    /// What was found.
    pub outcome: &'a Outcome,
}

/// The page.
pub fn page_of_fleet(subject: &FleetSubject<'_>) -> String {
    let [old, new] = &subject.names;
    let name = format!("{old} and {new}");
    let all = subject.outcome.total();
    let devices = &subject.outcome.devices;
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"quiet\">{}</p>\n",
        text(&name),
        text(&format!(
            "A back-test of {} devices: {} rows through both models",
            count(devices.len()),
            count(all.rows as usize)
        ))
    );
    body += &overview(subject, &all);
    body += &metrics(subject);
    body += &changed(subject);
    body += &broken(subject.outcome);
    document(&name, &body)
}

fn overview(subject: &FleetSubject<'_>, all: &Counts) -> String {
    let [old, new] = &subject.names;
    let mut table = Table::new(&["", old, new]);
    if let (Some(metric), Some(values)) = (subject.metric, (subject.value)(all)) {
        let [a, b] = values.map(number);
        table.row(&[format!("{metric} over all rows"), a, b]);
    }
    let both = |[a, b]: [u64; 2]| [a, b].map(|n| count(n as usize));
    let [a, b] = both(all.alarms);
    table.row(&["alarms".to_owned(), a, b]);
    let [a, b] = both([all.lost, all.gained]);
    table.row(&["alarms that the other has not".to_owned(), a, b]);
    let [a, b] = both(all.cut);
    table.row(&["values cut at the model's range".to_owned(), a, b]);
    let devices = &subject.outcome.devices;
    let differing = devices.iter().filter(|(_, counts)| counts.differing > 0);
    let answers = paragraph(&format!(
        "{} of {} answers differ ({}), on {} of {} devices, by {} at the most. An alarm is an unbroken run of rows above a \
         model's threshold; it is lost or gained if the other model has none in any of its rows.",
        count(all.differing as usize),
        count(all.answers as usize),
        percent(all.differing as f64 / all.answers.max(1) as f64),
        count(differing.count()),
        count(devices.len()),
        number(all.largest.into())
    ));
    section("fleet", "The fleet", &(table.finish() + &answers))
}

/// What the new model does to the metric, device by device.
fn metrics(subject: &FleetSubject<'_>) -> String {
    let Some(metric) = subject.metric else {
        return section(
            "metric",
            "Better or worse",
            &paragraph("Nothing says what would have been right: see --truth."),
        );
    };
    let accuracy = metric == "accuracy";
    let change = |[old, new]: [f64; 2]| match accuracy {
        true => new - old,
        false => new / old - 1.0,
    };
    let devices = &subject.outcome.devices;
    let measured = devices.iter().filter_map(|device| {
        let values = (subject.value)(&device.1)?;
        let change = change(values);
        change.is_finite().then_some((device, values, change))
    });
    let mut measured: Vec<_> = measured.collect();
    let worse = |change: f64| if accuracy { -change } else { change };
    measured.sort_by(|a, b| worse(b.2).total_cmp(&worse(a.2)));
    let unit = match accuracy {
        true => "points of accuracy",
        false => "% of the RMSE",
    };
    let changes: Vec<f32> = measured.iter().map(|(_, _, c)| 100.0 * *c as f32).collect();
    let far = changes.iter().fold(0f32, |far, c| far.max(c.abs()));
    // What is not even a hundredth of a percent is drawn as that.
    let far = f64::from(far).clamp(0.01, 100.0);
    let bars = histogram(&changes, (-far, far), BINS);
    let high = bars.iter().fold(0.0, |high: f64, bar| high.max(bar.2));
    let mut chart = Chart::new(
        "Change of the devices",
        Axis::new(&format!("change, {unit}"), -far, far),
        Axis::new("share of devices", 0.0, high),
    );
    chart.bars(Ink::Series(0), "", bars.into_iter());
    chart.mark(0.0, "as before");
    let drawn = figure(
        &chart.finish(),
        "Devices by what the new model changes; what lies outside counts in the last bars.",
    );
    let mut table = Table::new(&["device", "rows compared", "old", "new", "change"]);
    let row = |(device, values, change): &(&(Met, Counts), [f64; 2], f64)| {
        let [old, new] = values.map(number);
        let change = format!("{change:+.2}", change = 100.0 * change).replace('-', "−");
        [
            device.0.name.clone(),
            count(device.1.measured as usize),
            old,
            new,
            format!("{change} {}", if accuracy { "points" } else { "%" }),
        ]
    };
    let lost = measured.iter().filter(|of| worse(of.2) > 0.0);
    let lost: Vec<_> = lost.collect();
    lost.iter().take(SHOWN).for_each(|of| table.row(&row(of)));
    let better = measured.iter().filter(|of| worse(of.2) < 0.0).count();
    let words = paragraph(&format!(
        "By {metric} the new model is better for {} and worse for {} of {} devices.",
        count(better),
        count(lost.len()),
        count(measured.len())
    ));
    let named = match lost.is_empty() {
        true => String::new(),
        false => table.finish() + &shown(lost.len(), "worse for"),
    };
    section("metric", "Better or worse", &(words + &drawn + &named))
}

/// Devices whose alarms or answers change most.
fn changed(subject: &FleetSubject<'_>) -> String {
    let mut changed = subject.outcome.most_changed();
    changed.retain(|(_, counts)| counts.differing > 0);
    if changed.is_empty() {
        return section("changes", "What changes", &paragraph("No answer differs."));
    }
    let mut table = Table::new(&[
        "device",
        "alarms gained",
        "alarms lost",
        "answers that differ",
        "largest difference",
        "from row",
        "its time",
    ]);
    for (met, counts) in changed.iter().take(SHOWN) {
        let (row, time) = counts.first.clone().unwrap_or_default();
        table.row(&[
            met.name.clone(),
            count(counts.gained as usize),
            count(counts.lost as usize),
            format!(
                "{} of {}",
                count(counts.differing as usize),
                count(counts.answers as usize)
            ),
            number(counts.largest.into()),
            count(row as usize),
            time.unwrap_or("–".into()),
        ]);
    }
    let body = table.finish() + &shown(changed.len(), "changed for");
    section("changes", "What changes", &body)
}

fn broken(outcome: &Outcome) -> String {
    let broken = outcome.broken();
    if broken.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "device",
        "rows stepped",
        "broken",
        "left out behind",
        "the first fault",
    ]);
    for (met, counts) in broken.iter().take(SHOWN) {
        table.row(&[
            met.name.clone(),
            count(counts.rows as usize),
            count(met.broken as usize),
            count(met.left as usize),
            met.fault.clone().unwrap_or_default(),
        ]);
    }
    let body = table.finish() + &shown(broken.len(), "broken for");
    section("broken", "Broken rows", &body)
}

fn shown(all: usize, how: &str) -> String {
    match all > SHOWN {
        true => paragraph(&format!(
            "It is {how} {} devices; these are the first {SHOWN}, and the table that --out writes has all.",
            count(all)
        )),
        false => String::new(),
    }
}
