//! What the network says and what is true: curves and residuals for values, a confusion matrix for classes, a
//! piece of the text for tokens, transcripts in two columns.

use super::chart::{Axis, Chart, Ink, bounds, histogram};
use super::html::{
    Table, count, figure, heading, number, paragraph, percent, section, text, with_unit,
};
use super::measure::{Measured, Run};
use super::stretch::Shown;
use super::transcripts::transcripts;
use crate::data::Dataset;
use crate::escape::escape;
use crate::package::{Input, Output, Target};
use crate::train::{Metrics, known};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt::Write;

/// Points of the curve against truth.
const DOTS: usize = 1500;
/// Targets that are drawn.
const TARGETS: usize = 4;
/// Classes in the matrix.
const CLASSES: usize = 48;
/// With more classes the matrix is a dense one.
const UPRIGHT: usize = 8;
/// Bytes of what all classes begin with, from which on it takes the room of what tells them apart.
const LONG: usize = 8;
/// Pairs of classes in the list of mistakes.
const MISTAKES: usize = 10;
/// Tokens of the text.
const TOKENS: usize = 600;

pub(super) fn smaller_is_better(data: &Dataset) -> bool {
    !matches!(data.output(), Output::Classes(_))
}

/// `run` is the predictor that is drawn, beside the baseline; of values these steps.
pub(super) fn predictions(
    data: &Dataset,
    measured: &Measured,
    run: &Run,
    baseline: Option<&Run>,
    shown: &Shown,
) -> String {
    match (data.output(), &run.metrics) {
        (Output::Values(targets), _) => {
            let drawn = drawn(data, targets);
            curves(&drawn, measured, (run, baseline), shown)
                + &residuals(&drawn, measured, (run, baseline))
        }
        (Output::Classes(classes), Metrics::Classes(metrics)) => {
            confusion(classes, &metrics.confusion, run)
        }
        (Output::Transcript(tokens), _) => transcripts(data, tokens, measured, run),
        _ => tokens(data, measured, run),
    }
}

/// An output that is drawn.
struct Drawn<'a> {
    name: &'a str,
    unit: &'a str,
    /// Its place among all outputs.
    place: usize,
    /// How many there are.
    width: usize,
    /// The outputs below and above it that the same target's quantiles reach to, and the share that is to lie between them.
    band: Option<([usize; 2], f64)>,
}

/// Every output; of quantiles the middle one of each target.
fn drawn<'a>(data: &Dataset, targets: &'a [Target]) -> Vec<Drawn<'a>> {
    let levels = data.quantiles();
    let each = levels.iter().position(|level| *level > levels[0]);
    let each = match each {
        // They rise up to the next target's lowest.
        Some(_) => {
            1 + levels
                .windows(2)
                .take_while(|pair| pair[0] < pair[1])
                .count()
        }
        None => 1,
    };
    let of = |first: usize| {
        let last = first + each - 1;
        let distance = |k: &usize| ((levels[*k] - 0.5).abs() * 1e9) as u64;
        let place = match levels.is_empty() {
            true => first,
            false => (first..=last).min_by_key(distance).unwrap_or(first),
        };
        Drawn {
            name: match levels.is_empty() {
                true => &targets[place].name,
                false => targets[place].of_quantile(),
            },
            unit: &targets[place].unit,
            place,
            width: targets.len(),
            band: (last > first).then(|| ([first, last], levels[last] - levels[first])),
        }
    };
    (0..targets.len()).step_by(each).map(of).collect()
}

fn column(table: &[f32], k: usize, width: usize) -> impl Iterator<Item = f64> + Clone {
    table.iter().skip(k).step_by(width).map(|&v| f64::from(v))
}

/// Which of many things are drawn.
fn first_of_many(targets: &[Drawn<'_>]) -> String {
    if targets.len() > TARGETS {
        paragraph(&format!(
            "The first {TARGETS} of {} targets.",
            targets.len()
        ))
    } else {
        String::new()
    }
}

fn curves(
    targets: &[Drawn<'_>],
    measured: &Measured,
    (run, baseline): (&Run, Option<&Run>),
    shown: &Shown,
) -> String {
    let width = targets.first().map_or(1, |target| target.width);
    let steps = measured.truth.len() / width;
    let (axis, places) = measured.places(&shown.steps);
    let mut body = first_of_many(targets);
    for target in targets.iter().take(TARGETS) {
        let k = target.place;
        if targets.len() > 1 {
            body += &heading(target.name);
        }
        let label = with_unit(target.name, target.unit);
        let truth = column(&measured.truth, k, width);
        let forecast = column(&run.kept, k, width);

        let of_steps = |table: &[f32], k: usize| -> Vec<f64> {
            let value = |&step: &usize| f64::from(table[step * width + k]);
            shown.steps.iter().map(value).collect()
        };
        let points = |values: Vec<f64>| places.iter().copied().zip(values);
        let (seen_truth, seen) = (of_steps(&measured.truth, k), of_steps(&run.kept, k));
        let edges = target
            .band
            .map(|(ends, share)| (ends.map(|k| of_steps(&run.kept, k)), share));
        let reached = edges.iter().flat_map(|(edges, _)| edges.iter().flatten());
        let all = seen_truth.iter().chain(&seen).chain(reached).copied();
        let y = Axis::around(&label, all);
        let mut chart = Chart::new("Prediction and truth", axis.clone(), y);
        if let Some(([low, high], share)) = edges {
            let name = format!("{} between its quantiles, {}", run.name, percent(share));
            let band = places.iter().zip(low.iter().zip(&high));
            chart.band(
                Ink::Series(0),
                &name,
                band.map(|(&t, (&low, &high))| (t, low, high)),
            );
        }
        if let Some(old) = baseline {
            chart.line(Ink::Baseline, &old.name, points(of_steps(&old.kept, k)));
        }
        chart.line(Ink::Truth, "truth", points(seen_truth));
        chart.line(Ink::Series(0), &run.name, points(seen));
        body += &figure(&chart.finish(), &shown.words);

        let every = steps.div_ceil(DOTS).max(1);
        let (low, high) = bounds(truth.clone().chain(forecast.clone()));
        let axis = |what: &str| Axis::around(what, [low, high].into_iter());
        let mut chart = Chart::new(
            "Prediction against truth",
            axis("truth"),
            axis("prediction"),
        );
        chart.guide((low, low), (high, high));
        chart.dots(Ink::Series(0), "", truth.zip(forecast).step_by(every));
        let which = match every {
            1 => "Every step".to_owned(),
            _ => format!("One step in {every}"),
        };
        body += &figure(
            &chart.finish(),
            &format!("{which}, {label}: a perfect prediction lies on the line."),
        );
    }
    section("predictions", "Predictions", &body)
}

fn residuals(
    targets: &[Drawn<'_>],
    measured: &Measured,
    (run, baseline): (&Run, Option<&Run>),
) -> String {
    let all: Vec<usize> = (0..measured.groups.len()).collect();
    let moments = measured.moments(&all);
    let (axis, places) = moments.unwrap_or_else(|| measured.places(&all));
    let width = targets.first().map_or(1, |target| target.width);
    let mut body = first_of_many(targets);
    for target in targets.iter().take(TARGETS) {
        let k = target.place;
        if targets.len() > 1 {
            body += &heading(target.name);
        }
        let residuals = |run: &Run| -> Vec<f32> {
            let pairs = column(&run.kept, k, width).zip(column(&measured.truth, k, width));
            pairs.map(|(y, truth)| (y - truth) as f32).collect()
        };
        let of_network = residuals(run);
        let reach = quantile_of_magnitudes(&of_network, 0.995);
        let label = with_unit("prediction − truth", target.unit);
        let bins = histogram(&of_network, (-reach, reach), 61);
        let old = baseline.map(|run| histogram(&residuals(run), (-reach, reach), 61));
        let shares = bins
            .iter()
            .chain(old.iter().flatten())
            .map(|bar| 100.0 * bar.2);
        let top = bounds(shares).1;
        let y = Axis::new("steps, %", 0.0, top * 1.04);
        let mut chart = Chart::new("Residuals", Axis::new(&label, -reach, reach), y).height(220.0);
        chart.bars(
            Ink::Series(0),
            &run.name,
            bins.into_iter().map(|(a, b, s)| (a, b, 100.0 * s)),
        );
        if let (Some(bins), Some(run)) = (old, baseline) {
            let middles = bins.into_iter().map(|(a, b, s)| ((a + b) / 2.0, 100.0 * s));
            chart.line(Ink::Baseline, &run.name, middles);
        }
        let finite: Vec<f64> = of_network.iter().map(|&r| f64::from(r)).collect();
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        let unit = if target.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", target.unit)
        };
        body += &figure(
            &chart.finish(),
            &format!(
                "Mean {}{unit}; half of the steps are within ±{}{unit}, 95 % within ±{}{unit}. The outermost bars hold what lies beyond.",
                number(mean),
                number(quantile_of_magnitudes(&of_network, 0.5)),
                number(quantile_of_magnitudes(&of_network, 0.95)),
            ),
        );
        let reach = bounds(finite.iter().map(|r| r.abs())).1;
        let every = finite.len().div_ceil(3 * DOTS).max(1);
        let y = Axis::new(&label, -reach, reach);
        let mut chart = Chart::new("Residuals over time", axis.clone(), y).height(200.0);
        let low = places.iter().copied().fold(f64::INFINITY, f64::min);
        let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low <= high {
            chart.guide((low, 0.0), (high, 0.0));
        }
        let dots = places.iter().copied().zip(finite).step_by(every);
        chart.dots(Ink::Series(0), "", dots);
        body += &figure(
            &chart.finish(),
            "Residuals over time: what is left should look like noise.",
        );
    }
    section("residuals", "Residuals", &body)
}

/// The magnitude that a share of the values does not exceed.
fn quantile_of_magnitudes(values: &[f32], share: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().map(|v| f64::from(v.abs())).collect();
    sorted.sort_by(f64::total_cmp);
    let at = (share * sorted.len() as f64) as usize;
    sorted.get(at).or(sorted.last()).copied().unwrap_or(0.0)
}

/// What all names begin with.
fn common_prefix(names: &[String]) -> &str {
    let Some(first) = names.first() else {
        return "";
    };
    let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
    let in_all = |end: &usize| names.iter().all(|name| name.starts_with(&first[..*end]));
    &first[..ends.take_while(in_all).last().unwrap_or(0)]
}

/// A name as it is where there is little room: of several that begin alike, their beginning and their end.
fn told_apart<'n>(name: &'n str, classes: &[String], start: usize) -> Cow<'n, str> {
    const SHOWN: usize = 16;
    const BEGINNING: usize = 4;
    let place = |at: usize| name.char_indices().nth(at).map(|(byte, _)| byte);
    let alike = place(SHOWN).map_or(0, |end| {
        let begins = |class: &&String| class[start..].starts_with(&name[..end]);
        classes.iter().filter(begins).count()
    });
    let length = name.chars().count();
    match (
        place(BEGINNING),
        place(length.saturating_sub(SHOWN - BEGINNING)),
    ) {
        (Some(beginning), Some(end)) if alike > 1 => {
            format!("{}…{}", &name[..beginning], &name[end..]).into()
        }
        _ => name.into(),
    }
}

fn confusion(classes: &[String], confusion: &[Vec<usize>], run: &Run) -> String {
    let mut body = paragraph(&format!(
        "{}: {}. A row per true class, a column per answer; the shade is the share of the row.",
        run.name, run.metrics
    ));
    let shown = classes.len().min(CLASSES);
    if shown < classes.len() {
        body += &paragraph(&format!("The first {shown} of {} classes.", classes.len()));
    }
    let prefix = common_prefix(classes);
    let (start, cut) = match prefix.len() > LONG {
        true => (prefix.len(), "…"),
        false => (0, ""),
    };
    if start > 0 {
        let prefix = escape(prefix);
        body += &paragraph(&format!(
            "… stands for {prefix}, with which all classes begin."
        ));
    }
    let names = classes
        .iter()
        .map(|class| cut.to_owned() + &text(&escape(&told_apart(&class[start..], classes, start))));
    let names: Vec<String> = names.collect();
    let whole: Vec<String> = classes.iter().map(|class| text(&escape(class))).collect();
    // With many classes their names stand upright, and a column is as wide as its numbers.
    let dense = if shown > UPRIGHT { " dense" } else { "" };
    let _ = write!(
        body,
        "<div class=\"wide\"><table class=\"matrix{dense}\">\n<thead><tr><th>truth \\ answer</th>"
    );
    for name in &names[..shown] {
        // Writing to a string cannot fail, here and below.
        let _ = match dense {
            "" => write!(body, "<th>{name}</th>"),
            _ => write!(body, "<th><span>{name}</span></th>"),
        };
    }
    body += "</tr></thead>\n<tbody>\n";
    for (truth, row) in confusion.iter().enumerate().take(shown) {
        let all = row.iter().sum::<usize>().max(1);
        let _ = write!(body, "<tr><th>{}</th>", names[truth]);
        for (answer, &cell) in row.iter().enumerate().take(shown) {
            let share = cell as f64 / all as f64;
            let ink = if answer == truth { "right" } else { "wrong" };
            // So many zeros hide what matters.
            let number = match cell {
                0 if shown > UPRIGHT => String::new(),
                cell => count(cell),
            };
            let _ = write!(
                body,
                "<td class=\"{ink}\" style=\"--share:{share:.3}\" title=\"{} as {}: {}\">{number}</td>",
                whole[truth],
                whole[answer],
                count(cell)
            );
        }
        body += "</tr>\n";
    }
    body += "</tbody>\n</table></div>\n";
    body += &mistakes(classes, confusion);
    let mut table = Table::new(&["class", "occurs", "found", "right when said"]);
    for (k, class) in classes.iter().enumerate().take(shown) {
        let truths: usize = confusion[k].iter().sum();
        let answers: usize = confusion.iter().map(|row| row[k]).sum();
        table.row(&[
            escape(class),
            count(truths),
            percent(confusion[k][k] as f64 / truths as f64),
            percent(confusion[k][k] as f64 / answers as f64),
        ]);
    }
    section("confusion", "Confusion matrix", &(body + &table.finish()))
}

/// The pairs of classes that are taken for each other most often, where there are many classes.
fn mistakes(classes: &[String], confusion: &[Vec<usize>]) -> String {
    if classes.len() <= UPRIGHT {
        return String::new();
    }
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    for (truth, row) in confusion.iter().enumerate() {
        let wrong = row
            .iter()
            .enumerate()
            .filter(|&(answer, &n)| answer != truth && n > 0);
        pairs.extend(wrong.map(|(answer, &n)| (n, truth, answer)));
    }
    pairs.sort_by_key(|pair| Reverse(pair.0));
    let mut table = Table::new(&[
        "most frequent mistakes",
        "taken for",
        "times",
        "of its class",
    ]);
    for &(n, truth, answer) in pairs.iter().take(MISTAKES) {
        let all: usize = confusion[truth].iter().sum();
        table.row(&[
            escape(&classes[truth]),
            escape(&classes[answer]),
            count(n),
            percent(n as f64 / all as f64),
        ]);
    }
    match pairs.is_empty() {
        true => String::new(),
        false => table.finish(),
    }
}

fn tokens(data: &Dataset, measured: &Measured, run: &Run) -> String {
    let Input::Tokens(names) = data.input() else {
        return String::new();
    };
    let mut body = paragraph(&format!(
        "{}: {}. The darker a token is marked, the less the network expected it.",
        run.name, run.metrics
    ));
    // Words and levels stand apart.
    let apart = match names.iter().all(|name| name.chars().count() == 1) {
        true => "",
        false => " ",
    };
    body += "<p class=\"tokens\">";
    for (truth, p) in measured.truth.iter().zip(&run.kept).take(TOKENS) {
        let bits = -f64::from(p.max(1e-9)).log2();
        let name = names
            .get(*truth as usize)
            .map_or(String::new(), |name| escape(name));
        let share = (bits / 10.0).min(1.0);
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<span style=\"--share:{share:.3}\" title=\"{bits:.1} bits\">{}</span>{apart}",
            text(&name)
        );
        if name == "\\n" {
            body += "<br/>";
        }
    }
    body += "</p>\n";
    let bin = run.kept.len().div_ceil(90).max(1);
    let bits = |p: &f32| -known(*p).log2();
    let points: Vec<(f64, f64)> = run
        .kept
        .chunks(bin)
        .enumerate()
        .map(|(n, p)| {
            let mean = p.iter().map(bits).sum::<f64>() / p.len() as f64;
            ((n * bin) as f64 + p.len() as f64 / 2.0, mean)
        })
        .collect();
    let x = Axis::whole("token", 0, run.kept.len());
    let y = Axis::around("bits per token", points.iter().map(|p| p.1));
    let mut chart = Chart::new("Bits per token along the text", x, y);
    chart.line(Ink::Series(0), &run.name, points.into_iter());
    body += &figure(&chart.finish(), &format!("Mean of {bin} tokens a point."));
    section("predictions", "Predictions", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_classes_begin_with_is_found_at_whole_characters() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
            common_prefix(&names).to_owned()
        };
        assert_eq!(of(&["state_run", "state_idle", "state_"]), "state_");
        assert_eq!(of(&["온도", "온실"]), "온");
        assert_eq!(of(&["a", "b"]), "");
        assert_eq!(of(&[]), "");
    }
}
