//! What a model of levels draws, beside what is real: pictures on a contact sheet, or curves; and how alike their numbers are.

use super::chart::{Axis, Chart, Ink};
use super::html::{Table, figure, heading, number, paragraph, percent, section, text};
use crate::data::{Dataset, Part};
use crate::draw::{Beside, Drawing, Likeness};
use crate::file::AlignedBytes;
use crate::task::Task;
use anyhow::Result;
use kinglet::{Model, Sampler};
use std::fmt::Write;

/// Sequences that are compared.
const SEQUENCES: usize = 1000;
const SEED: u32 = 1;
/// Of pictures, which look better with less chance; numbers are compared at 1.
const TEMPERATURE: f32 = 0.7;
/// Classes that are shown.
const CLASSES: usize = 10;
/// Real and drawn pictures of a class.
const PICTURES: [usize; 2] = [5, 10];
/// Shades of grey beside white.
const SHADES: usize = 16;
/// Columns whose curves and numbers are shown.
const COLUMNS: usize = 6;

pub(super) fn drawn(
    task: &Task,
    (data, part): (&Dataset, Part),
    drawing: &Drawing,
    (name, model): (&str, &Model<'_>),
) -> Result<String> {
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = model.bind_bytes(&mut state)?;
    let picture = task.series().is_some_and(|series| series.picture);
    let temperature = if picture { TEMPERATURE } else { 1.0 };
    let mut sampler = Sampler::new(temperature, SEED);
    let pairs = drawing.beside_real(data, part, SEQUENCES, (&mut runner, &mut sampler));
    let mut body = paragraph(&format!(
        "For each of {} sequences of the {} part {name} drew one of the same class and length, at temperature {temperature} from seed {SEED}.",
        pairs.len(),
        part.name()
    ));
    body += &match picture {
        true => contact_sheet(drawing, &pairs),
        false => curves(drawing, &pairs) + &likeness(drawing, &pairs),
    };
    Ok(section("drawn", "Drawn beside real", &body))
}

/// The classes that are shown, with their sequences; one without a name where there are none.
fn by_class<'p>(drawing: &Drawing, pairs: &'p [Beside]) -> Vec<(String, Vec<&'p Beside>)> {
    let unnamed = drawing.classes.is_empty().then(String::new);
    let names = drawing.classes.iter().cloned().chain(unnamed);
    let of = |(class, name)| {
        let own = pairs.iter().filter(|pair| pair.class == class);
        (name, own.collect())
    };
    names.enumerate().take(CLASSES).map(of).collect()
}

/// Pictures of every class: real ones, and behind a gap drawn ones. A path for every shade.
fn contact_sheet(drawing: &Drawing, pairs: &[Beside]) -> String {
    let width = drawing.columns.len();
    let rows = pairs
        .iter()
        .map(|pair| pair.real.len().max(pair.drawn.len()) / width);
    let height = rows.max().unwrap_or(0);
    let values = || pairs.iter().flat_map(|pair| &pair.real);
    let low = values().copied().fold(f32::INFINITY, f32::min);
    let high = values().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shades = vec![String::new(); SHADES + 1];
    let mut names = String::new();
    let classes = by_class(drawing, pairs);
    // Points of a picture and the gap behind it; the class' name is to the left.
    let (wide, tall, left) = (width + 2, height + 2, 2 * width);
    for (class, (name, own)) in classes.iter().enumerate() {
        let top = class * tall;
        let _ = writeln!(
            names,
            "<text x=\"0\" y=\"{}\" style=\"font-size:{}px\">{}</text>",
            top + height * 3 / 4,
            (height / 2).max(2),
            text(name)
        );
        let real = own.iter().take(PICTURES[0]).map(|pair| &pair.real);
        let drawn = own.iter().take(PICTURES[1]).map(|pair| &pair.drawn);
        let places = (0..).map(|n| left + n * wide);
        let behind = (PICTURES[0]..).map(|n| left + width + n * wide);
        for (x, picture) in places.zip(real).chain(behind.zip(drawn)) {
            for (k, &value) in picture.iter().enumerate() {
                let shade = (value - low) / (high - low).max(f32::MIN_POSITIVE);
                let path = &mut shades[(shade * SHADES as f32).round() as usize];
                // Writing to a string cannot fail.
                let _ = write!(path, "M{} {}h1v1h-1z", x + k % width, top + k / width);
            }
        }
    }
    let all = left + width + (PICTURES[0] + PICTURES[1]) * wide;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {all} {}\">\n{names}",
        classes.len() * tall
    );
    for (shade, path) in shades
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.is_empty())
    {
        let share = shade as f64 / SHADES as f64;
        let _ = writeln!(
            svg,
            "<path class=\"shade truth\" style=\"fill-opacity:{share:.3}\" d=\"{path}\"/>"
        );
    }
    svg += "</svg>\n";
    let caption = "A row per class: real ones on the left, drawn ones on the right.";
    figure(&svg, caption)
}

/// A real sequence of every class, and the one that was drawn beside it.
fn curves(drawing: &Drawing, pairs: &[Beside]) -> String {
    let width = drawing.columns.len();
    let mut body = String::new();
    if width > COLUMNS {
        body += &paragraph(&format!("The first {COLUMNS} of {width} columns."));
    }
    for (name, own) in by_class(drawing, pairs) {
        let Some(pair) = own.first() else { continue };
        if !name.is_empty() {
            body += &heading(&name);
        }
        let y = pair.real.iter().chain(&pair.drawn).map(|&x| f64::from(x));
        let y = Axis::around("level", y);
        for (what, rows) in [("real", &pair.real), ("drawn", &pair.drawn)] {
            let x = Axis::whole("row", 0, pair.real.len() / width);
            let mut chart = Chart::new(&format!("{what} {name}"), x, y.clone()).height(170.0);
            for (k, column) in drawing.columns.iter().enumerate().take(COLUMNS) {
                let values = rows.iter().skip(k).step_by(width).enumerate();
                let points = values.map(|(t, &x)| (t as f64, f64::from(x)));
                chart.line(Ink::Series(k), &column.name, points);
            }
            body += &figure(&chart.finish(), &format!("{what}."));
        }
    }
    body
}

/// Means, variances and spectra of the columns.
fn likeness(drawing: &Drawing, pairs: &[Beside]) -> String {
    let width = drawing.columns.len();
    let mut table = Table::new(&[
        "column",
        "mean, real",
        "drawn",
        "variance, real",
        "drawn",
        "off by",
        "spectrum off by",
    ]);
    let mut charts = String::new();
    for (k, column) in drawing.columns.iter().enumerate().take(COLUMNS) {
        let likeness = Likeness::of(pairs, (k, width));
        table.row(&[
            column.name.clone(),
            number(likeness.mean[0]),
            number(likeness.mean[1]),
            number(likeness.variance[0]),
            number(likeness.variance[1]),
            percent(likeness.variance_gap()),
            percent(likeness.spectrum_gap()),
        ]);
        let periods = likeness.spectrum.iter().map(|band| band.0);
        let powers = likeness.spectrum.iter().flat_map(|band| band.1);
        let x = Axis::log("shortest period of an octave, rows", periods);
        let y = Axis::log(&format!("power of {}", column.name), powers);
        let mut chart = Chart::new(&format!("Spectrum of {}", column.name), x, y).height(200.0);
        for (which, (ink, name)) in [(Ink::Truth, "real"), (Ink::Series(0), "drawn")]
            .into_iter()
            .enumerate()
        {
            let points = likeness
                .spectrum
                .iter()
                .map(|(period, power)| (*period, power[which]));
            chart.line(ink, name, points);
        }
        charts += &figure(&chart.finish(), "Mean power of what changes in an octave.");
    }
    heading("Numbers") + &table.finish() + &charts
}
