//! Charts as SVG text inside the page: axes with round ticks, lines, dots, bars. Colours are classes of the page's
//! style sheet, so a chart follows light and dark mode, which a chart with colours of its own could not.

use super::html::text;
use super::times;
use std::borrow::Cow;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
/// Space for tick labels and the axis' name.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// What a mark stands for; the style sheet has a colour for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// What really happened.
    Truth,
    /// The naive rule.
    Baseline,
    /// One of several things, in the order of the page.
    Series(usize),
}

impl Ink {
    fn class(self) -> String {
        match self {
            Ink::Truth => "truth".into(),
            Ink::Baseline => "baseline".into(),
            Ink::Series(k) => format!("s{}", k % 6),
        }
    }
}

/// A range of values, and how they are spread over it.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    label: String,
    low: f64,
    high: f64,
    log: bool,
    /// Its values are whole numbers.
    whole: bool,
    /// Its values are seconds since 1970.
    time: bool,
}

impl Axis {
    pub(super) fn new(label: &str, low: f64, high: f64) -> Self {
        let (low, high) = if low.is_finite() && high > low {
            (low, high)
        } else if low.is_finite() {
            (low - 0.5, low + 0.5)
        } else {
            (0.0, 1.0)
        };
        Axis {
            label: label.to_owned(),
            low,
            high,
            log: false,
            whole: false,
            time: false,
        }
    }

    /// Of moments, in seconds since 1970 by the clock on the wall.
    pub(super) fn time(low: f64, high: f64) -> Self {
        Axis {
            time: true,
            ..Axis::new(&times::label(low, high), low, high)
        }
    }

    /// Of things that are counted.
    pub(super) fn whole(label: &str, low: usize, high: usize) -> Self {
        Axis {
            whole: true,
            ..Axis::new(label, low as f64, high as f64)
        }
    }

    /// From the smallest to the largest value, with a little room.
    pub(super) fn around(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values);
        let room = (high - low) * 0.04;
        Axis::new(label, low - room, high + room)
    }

    /// In steps of equal ratio over the positive values.
    pub(super) fn log(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values.filter(|&v| v > 0.0));
        if !low.is_finite() {
            return Axis::new(label, 0.0, 1.0);
        }
        Axis {
            label: label.to_owned(),
            low: low / 1.15,
            high: high * 1.15,
            log: true,
            whole: false,
            time: false,
        }
    }

    /// Its place from 0 to 1; values outside are moved to the edge.
    fn place(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.time {
            return times::ticks(self.low, self.high);
        }
        if self.log {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let inside = |v: &f64| (self.low..=self.high).contains(v);
            let ticks = |of: &[f64]| -> Vec<f64> {
                let all = decades
                    .clone()
                    .flat_map(|d| of.iter().map(move |m| m * 10f64.powi(d)));
                all.filter(inside).collect()
            };
            let whole = ticks(&[1.0]);
            return if whole.len() > 2 {
                whole
            } else {
                ticks(&[1.0, 2.0, 5.0])
            };
        }
        let least = if self.whole { 1.0 } else { 0.0 };
        let rough = f64::max((self.high - self.low) / 6.0, least);
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().find(|m| *m * power >= rough);
        let step = step.unwrap_or(&10.0) * power;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }
}

/// The smallest and the largest of the finite values.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|v| v.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    })
}

impl Axis {
    fn tick_label(&self, value: f64, ticks: &[f64]) -> String {
        match self.time {
            true => times::tick_label(value, self.low, self.high),
            false => tick_label(value, ticks, self.log),
        }
    }
}

/// As short as its neighbours allow.
fn tick_label(value: f64, ticks: &[f64], log: bool) -> String {
    let largest = ticks.iter().fold(0f64, |max, tick| max.max(tick.abs()));
    let steps = ticks.windows(2).map(|pair| pair[1] - pair[0]);
    // Of 1, 2 or 5 times a power of ten, in as many digits as it has.
    let step = match log {
        true => value,
        false => steps.fold(largest, f64::min),
    };
    let plain = if log {
        (1e-4..1e6).contains(&value)
    } else {
        (1e-3..1e6).contains(&largest)
    };
    let label = match plain || largest == 0.0 {
        true => format!(
            "{value:.*}",
            (-step.log10().floor()).clamp(0.0, 6.0) as usize
        ),
        false => format!("{value:.0e}"),
    };
    label.replace('-', "−")
}

/// A chart that is being drawn.
pub(super) struct Chart {
    title: String,
    x: Axis,
    y: Axis,
    height: f64,
    marks: String,
    legend: Vec<(Ink, String)>,
}

impl Chart {
    pub(super) fn new(title: &str, x: Axis, y: Axis) -> Self {
        Chart {
            title: title.to_owned(),
            x,
            y,
            height: 268.0,
            marks: String::new(),
            legend: Vec::new(),
        }
    }

    /// In place of 268.
    pub(super) fn height(mut self, height: f64) -> Self {
        self.height = height;
        self
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (
            LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT),
            self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM),
        )
    }

    fn name(&mut self, ink: Ink, name: &str) {
        if !name.is_empty() {
            self.legend.push((ink, name.to_owned()));
        }
    }

    /// A line through points; it breaks where a value is none.
    pub(super) fn line(&mut self, ink: Ink, name: &str, points: impl Iterator<Item = (f64, f64)>) {
        let (mut path, mut pen) = (String::new(), 'M');
        for (x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                pen = 'M';
                continue;
            }
            let (x, y) = self.at(x, y);
            // Writing to a string cannot fail, here and below.
            let _ = write!(path, "{pen}{x:.1} {y:.1}");
            pen = 'L';
        }
        if !path.is_empty() {
            let _ = writeln!(
                self.marks,
                "<path class=\"line {}\" d=\"{path}\"/>",
                ink.class()
            );
        }
        self.name(ink, name);
    }

    /// The area between two values at each place: (place, low, high).
    pub(super) fn band(
        &mut self,
        ink: Ink,
        name: &str,
        points: impl Iterator<Item = (f64, f64, f64)>,
    ) {
        let finite = |p: &(f64, f64, f64)| p.0.is_finite() && p.1.is_finite() && p.2.is_finite();
        let points: Vec<_> = points.filter(finite).collect();
        let above = points.iter().map(|&(x, _, high)| (x, high));
        let below = points.iter().rev().map(|&(x, low, _)| (x, low));
        let mut path = String::new();
        for (x, y) in above.chain(below) {
            let (x, y) = self.at(x, y);
            let pen = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{pen}{x:.1} {y:.1}");
        }
        if !path.is_empty() {
            let _ = writeln!(
                self.marks,
                "<path class=\"band {}\" d=\"{path}Z\"/>",
                ink.class()
            );
        }
        self.name(ink, name);
    }

    /// A dot per point.
    pub(super) fn dots(&mut self, ink: Ink, name: &str, points: impl Iterator<Item = (f64, f64)>) {
        self.round("dots", ink, name, points);
    }

    /// A large dot per point, for the few that matter.
    pub(super) fn peaks(&mut self, ink: Ink, name: &str, points: impl Iterator<Item = (f64, f64)>) {
        self.round("peaks", ink, name, points);
    }

    fn round(
        &mut self,
        class: &str,
        ink: Ink,
        name: &str,
        points: impl Iterator<Item = (f64, f64)>,
    ) {
        let mut path = String::new();
        for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let (x, y) = self.at(x, y);
            let _ = write!(path, "M{x:.1} {y:.1}h0");
        }
        if !path.is_empty() {
            let _ = writeln!(
                self.marks,
                "<path class=\"{class} {}\" d=\"{path}\"/>",
                ink.class()
            );
        }
        self.name(ink, name);
    }

    /// A bar from the axis up for each (from, to, value).
    pub(super) fn bars(
        &mut self,
        ink: Ink,
        name: &str,
        bars: impl Iterator<Item = (f64, f64, f64)>,
    ) {
        let mut path = String::new();
        for (from, to, value) in bars {
            let ((left, bottom), (right, top)) = (self.at(from, self.y.low), self.at(to, value));
            let gap = ((right - left) * 0.08).min(1.0);
            let (left, right) = (left + gap, right - gap);
            let _ = write!(
                path,
                "M{left:.1} {bottom:.1}V{top:.1}H{right:.1}V{bottom:.1}Z"
            );
        }
        if !path.is_empty() {
            let _ = writeln!(
                self.marks,
                "<path class=\"bars {}\" d=\"{path}\"/>",
                ink.class()
            );
        }
        self.name(ink, name);
    }

    /// A dashed line from point to point.
    pub(super) fn guide(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (self.at(from.0, from.1), self.at(to.0, to.1));
        let _ = writeln!(
            self.marks,
            "<path class=\"guide\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>"
        );
    }

    /// A shade over the whole height for each (from, to).
    pub(super) fn shades(&mut self, name: &str, spans: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (from, to) in spans {
            let ((left, bottom), (right, top)) =
                (self.at(from, self.y.low), self.at(to, self.y.high));
            // What is short must still be seen.
            let right = right.max(left + 1.5);
            let _ = write!(
                path,
                "M{left:.1} {bottom:.1}V{top:.1}H{right:.1}V{bottom:.1}Z"
            );
        }
        if path.is_empty() {
            return;
        }
        let _ = writeln!(
            self.marks,
            "<path class=\"shade {}\" d=\"{path}\"/>",
            Ink::Baseline.class()
        );
        self.name(Ink::Baseline, name);
    }

    /// A dashed line across with a word above it.
    pub(super) fn level(&mut self, y: f64, word: &str) {
        self.guide((self.x.low, y), (self.x.high, y));
        let (left, at) = self.at(self.x.low, y);
        let _ = writeln!(
            self.marks,
            "<text class=\"word\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left + 5.0,
            at - 5.0,
            text(word)
        );
    }

    /// A dashed line upwards with a word beside it.
    pub(super) fn mark(&mut self, x: f64, word: &str) {
        self.guide((x, self.y.low), (x, self.y.high));
        let (at, top) = self.at(x, self.y.high);
        let (dx, anchor) = if self.x.place(x) > 0.7 {
            (-5.0, "end")
        } else {
            (5.0, "start")
        };
        let _ = writeln!(
            self.marks,
            "<text class=\"word\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            at + dx,
            top + 11.0,
            text(word)
        );
    }

    /// The SVG element, behind a legend that can be as long as it has to.
    pub(super) fn finish(self) -> String {
        let (bottom, right) = (self.height - BOTTOM, WIDTH - RIGHT);
        let mut svg = String::new();
        if !self.legend.is_empty() {
            svg.push_str("<p class=\"legend\">");
            for (ink, name) in &self.legend {
                let _ = write!(
                    svg,
                    "<span class=\"{}\">{}</span> ",
                    ink.class(),
                    text(name)
                );
            }
            svg.push_str("</p>\n");
        }
        let _ = writeln!(
            svg,
            "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {}\">",
            text(&self.title),
            self.height
        );
        let ticks = self.y.ticks();
        for &tick in &ticks {
            let (_, y) = self.at(self.x.low, tick);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                self.y.tick_label(tick, &ticks)
            );
        }
        let ticks = self.x.ticks();
        for &tick in &ticks {
            let (x, _) = self.at(tick, self.y.low);
            let _ = writeln!(
                svg,
                "<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 17.0,
                self.x.tick_label(tick, &ticks)
            );
        }
        svg.push_str(&self.marks);
        let middle = (TOP + bottom) / 2.0;
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(12 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (LEFT + right) / 2.0,
            self.height - 6.0,
            text(&self.x.label),
            text(&fitting(&self.y.label, bottom - TOP))
        );
        svg.push_str("</svg>\n");
        svg
    }
}

/// As much of a label as so many pixels have room for.
fn fitting(label: &str, pixels: f64) -> Cow<'_, str> {
    const LETTER: f64 = 7.0;
    let room = (pixels / LETTER) as usize;
    match label.chars().count() > room {
        true => {
            let start: String = label.chars().take(room.saturating_sub(1)).collect();
            format!("{}…", start.trim_end()).into()
        }
        false => label.into(),
    }
}

/// Shares of values in equal steps from `low` to `high`; what lies outside counts in the first and last.
pub(super) fn histogram(
    values: &[f32],
    (low, high): (f64, f64),
    bins: usize,
) -> Vec<(f64, f64, f64)> {
    let width = (high - low) / bins as f64;
    let mut counts = vec![0usize; bins];
    for &value in values {
        let bin = ((f64::from(value) - low) / width).floor();
        counts[bin.clamp(0.0, (bins - 1) as f64) as usize] += 1;
    }
    let bar = |(k, &count): (usize, &usize)| {
        let from = low + k as f64 * width;
        (
            from,
            from + width,
            count as f64 / values.len().max(1) as f64,
        )
    };
    counts.iter().enumerate().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            Axis::new("", 0.0, 10.0).ticks(),
            [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        );
        assert_eq!(
            Axis::log("", [0.01, 100.0].into_iter()).ticks(),
            [0.01, 0.1, 1.0, 10.0, 100.0]
        );
        let narrow = Axis::log("", [1.0, 4.0].into_iter());
        assert_eq!(narrow.ticks(), [1.0, 2.0]);
        assert_eq!(Axis::whole("", 1, 3).ticks(), [1.0, 2.0, 3.0]);
        let labels = |ticks: &[f64], log| -> Vec<String> {
            ticks
                .iter()
                .map(|&tick| tick_label(tick, ticks, log))
                .collect()
        };
        assert_eq!(labels(&[-0.5, 0.0, 0.5], false), ["−0.5", "0.0", "0.5"]);
        assert_eq!(labels(&[750.0, 800.0], false), ["750", "800"]);
        assert_eq!(
            labels(&[1e-5, 0.01, 0.1, 1.0, 10.0], true),
            ["1e−5", "0.01", "0.1", "1", "10"]
        );
    }

    #[test]
    fn a_histogram_counts_everything_once() {
        let bars = histogram(&[-2.0, 0.1, 0.2, 0.6, 9.0], (0.0, 1.0), 2);
        assert_eq!(bars, [(0.0, 0.5, 0.6), (0.5, 1.0, 0.4)]);
    }

    #[test]
    fn a_chart_of_nothing_is_still_a_chart() {
        let nothing = || std::iter::empty::<f64>();
        let mut chart = Chart::new("<", Axis::around("x", nothing()), Axis::log("y", nothing()));
        chart.line(Ink::Truth, "truth", [(f64::NAN, 1.0)].into_iter());
        let svg = chart.finish();
        assert!(
            svg.contains("<svg") && svg.contains("&lt;") && !svg.contains("NaN"),
            "{svg}"
        );
    }
}
