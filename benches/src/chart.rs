//! The README's chart: nanoseconds per LSTM step over the shapes, Kinglet and its peers, from a file of results that
//! `peers/run.sh` wrote.

use anyhow::{Context, Result, anyhow};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;
use std::{fs, iter};

const SIZE: (i32, i32) = (900, 500);
/// Edges of the plot.
const LEFT: i32 = 62;
const RIGHT: i32 = 706;
const TOP: i32 = 52;
const BOTTOM: i32 = 446;
/// Between two labels at the right.
const LINE: i32 = 19;

/// A colour on white, and what stands for it on black.
struct Ink(RGBColor, &'static str);

const PAPER: Ink = Ink(WHITE, "#0D1117");
const TEXT: Ink = Ink(RGBColor(0x1f, 0x23, 0x28), "#E6EDF3");
const FAINT: Ink = Ink(RGBColor(0x65, 0x6d, 0x76), "#9198A1");
const GRID: Ink = Ink(RGBColor(0xe1, 0xe4, 0xe8), "#2A313C");
const OURS: Ink = Ink(RGBColor(0xc8, 0x4b, 0x0a), "#FF8F4A");
const PEERS: [Ink; 9] = [
    Ink(RGBColor(0x1f, 0x6f, 0xb4), "#6CB6FF"),
    Ink(RGBColor(0x0b, 0x7a, 0x75), "#4FD1C5"),
    Ink(RGBColor(0x8a, 0x4f, 0xbf), "#C297FF"),
    Ink(RGBColor(0x4d, 0x7c, 0x0f), "#A3D65C"),
    Ink(RGBColor(0xb0, 0x2a, 0x6b), "#FF8AC2"),
    Ink(RGBColor(0x8a, 0x6d, 0x0b), "#E3C250"),
    Ink(RGBColor(0x57, 0x60, 0x6a), "#AEB7C2"),
    Ink(RGBColor(0xa4, 0x1e, 0x22), "#FF7B72"),
    Ink(RGBColor(0x39, 0x3f, 0xa6), "#A5ADFF"),
];

/// One line of the chart.
struct Series {
    name: String,
    ns: Vec<f64>,
}

impl Series {
    fn is_ours(&self) -> bool {
        self.name.starts_with("Kinglet")
    }
}

/// What the file's table of LSTM steps says of Kinglet in w8a8 (floats in and out) and f32, and of the peers.
fn read(results: &str) -> Result<(Vec<String>, Vec<Series>)> {
    let (_, lstm) = results
        .split_once("## LSTM\n")
        .context("no heading `## LSTM`")?;
    let mut rows = lstm
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim));
    let shapes = rows.next().context("no table")?.skip(1);
    let shapes = shapes.map(str::to_owned).collect();
    let mut series = Vec::new();
    for mut row in rows.skip(1) {
        let name = row.next().unwrap_or_default();
        let name = match name.split_once(", ") {
            _ if name.starts_with("**") => continue,
            Some((_, "integers in and out")) => continue,
            // As w8a8 at this scale.
            Some(("Kinglet w8a16", _)) => continue,
            Some((name, _)) => name,
            None => name,
        };
        // `3,838 (45.2×)`
        let number = |cell: &str| cell.split(' ').next()?.replace(',', "").parse().ok();
        let ns = row.map(number).collect::<Option<Vec<f64>>>();
        let ns = ns.with_context(|| format!("{name}: not numbers"))?;
        series.push(Series {
            name: name.to_owned(),
            ns,
        });
    }
    Ok((shapes, series))
}

/// Draws the results in a Markdown file as an SVG file beside it.
pub fn draw(results: &Path) -> Result<()> {
    let text = fs::read_to_string(results).with_context(|| results.display().to_string())?;
    let (shapes, series) = read(&text).with_context(|| results.display().to_string())?;
    let mut svg = String::new();
    {
        let size = (SIZE.0 as u32, SIZE.1 as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        lines(&area, &shapes, &series).map_err(|e| anyhow!("cannot draw: {e}"))?;
    }
    let path = results.with_extension("svg");
    fs::write(&path, both_modes(&svg)).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(())
}

/// The same picture in dark colours where the reader's system asks for them.
fn both_modes(svg: &str) -> String {
    let inks = [PAPER, TEXT, FAINT, GRID, OURS].into_iter().chain(PEERS);
    let rules = inks.map(|Ink(RGBColor(r, g, b), dark)| {
        let light = format!("#{r:02X}{g:02X}{b:02X}");
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
    });
    let style = format!(
        "<style>@media (prefers-color-scheme:dark){{{}}}</style>\n",
        rules.collect::<String>()
    );
    let (head, rest) = svg.split_at(svg.find('\n').map_or(0, |at| at + 1));
    format!("{head}{style}{rest}")
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn lines(
    area: &Area<'_>,
    shapes: &[String],
    series: &[Series],
) -> Result<(), Box<dyn std::error::Error>> {
    let all = || series.iter().flat_map(|s| &s.ns);
    let decade = |ns: f64| ns.log10();
    let low = decade(all().copied().fold(f64::MAX, f64::min)).floor();
    let high = decade(all().copied().fold(0.0, f64::max)).ceil();
    let x = |at: usize| LEFT + 24 + (RIGHT - LEFT - 48) * at as i32 / (shapes.len() as i32 - 1);
    let y = |ns: f64| BOTTOM - (f64::from(BOTTOM - TOP) * (decade(ns) - low) / (high - low)) as i32;
    let font = |size, ink: &Ink, h, v| {
        let font = ("sans-serif", size).into_font().color(&ink.0);
        font.pos(Pos::new(h, v))
    };

    area.fill(&PAPER.0)?;
    let title = "One LSTM step, batch 1, one thread: time per step";
    let style = font(17, &TEXT, HPos::Left, VPos::Top);
    area.draw(&Text::new(title, (16, 14), style))?;
    for power in low as i32..=high as i32 {
        let ns = 10f64.powi(power);
        let label = match power {
            ..3 => format!("{ns} ns"),
            3..6 => format!("{} µs", ns / 1e3),
            _ => format!("{} ms", ns / 1e6),
        };
        area.draw(&PathElement::new([(LEFT, y(ns)), (RIGHT, y(ns))], GRID.0))?;
        let style = font(13, &FAINT, HPos::Right, VPos::Center);
        area.draw(&Text::new(label, (LEFT - 8, y(ns)), style))?;
    }
    for (at, shape) in shapes.iter().enumerate() {
        let style = font(13, &FAINT, HPos::Center, VPos::Top);
        area.draw(&Text::new(
            shape.replace(", ", " → "),
            (x(at), BOTTOM + 10),
            style,
        ))?;
    }
    let style = font(13, &FAINT, HPos::Center, VPos::Top);
    let middle = (LEFT + RIGHT) / 2;
    area.draw(&Text::new(
        "inputs → hidden units",
        (middle, BOTTOM + 30),
        style,
    ))?;

    let (ours, peers): (Vec<_>, Vec<_>) = series.iter().partition(|line| line.is_ours());
    let peers = peers.into_iter().zip(PEERS.iter().cycle());
    // Last, on top.
    let ours = ours.into_iter().zip(iter::repeat(&OURS));
    let mut labels = Vec::new();
    for (line, ink) in peers.chain(ours) {
        let mut points = line.ns.iter().enumerate().map(|(at, &ns)| (x(at), y(ns)));
        if line.is_ours() && line.name.ends_with("f32") {
            let style = ink.0.stroke_width(2);
            area.draw(&DashedPathElement::new(points.clone(), 5, 4, style))?;
        } else {
            let width = if line.is_ours() { 3 } else { 2 };
            let style = ink.0.stroke_width(width);
            area.draw(&PathElement::new(points.clone().collect::<Vec<_>>(), style))?;
            for point in points.clone() {
                area.draw(&Circle::new(point, width + 1, ink.0.filled()))?;
            }
        }
        labels.push((points.next_back().map_or(0, |end| end.1), line, ink));
    }

    labels.sort_by_key(|label| label.0);
    let places = spread(labels.iter().map(|label| label.0));
    for ((from, line, ink), at) in labels.into_iter().zip(places) {
        let edge = x(shapes.len() - 1);
        let pointer = [(edge + 8, from), (edge + 24, at)];
        area.draw(&PathElement::new(pointer, GRID.0))?;
        let size = if line.is_ours() { 15 } else { 14 };
        let style = font(size, ink, HPos::Left, VPos::Center);
        area.draw(&Text::new(line.name.as_str(), (edge + 29, at), style))?;
    }
    area.present()?;
    Ok(())
}

/// Heights that keep labels a line apart, near where they belong; from top to bottom.
fn spread(wanted: impl Iterator<Item = i32>) -> Vec<i32> {
    // Runs of labels that touch: their number and the sum of the heights at which their first would stand.
    let mut runs: Vec<(i32, i32)> = Vec::new();
    let top = |(count, sum): (i32, i32)| sum / count;
    for wanted in wanted {
        runs.push((1, wanted));
        while let [.., above, below] = runs[..]
            && top(above) + above.0 * LINE > top(below)
        {
            runs.pop();
            runs.pop();
            runs.push((
                above.0 + below.0,
                above.1 + below.1 - below.0 * above.0 * LINE,
            ));
        }
    }
    let places =
        |run: (i32, i32)| iter::successors(Some(top(run)), |y| Some(y + LINE)).take(run.0 as usize);
    runs.into_iter().flat_map(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_a_line_apart_around_their_places() {
        assert_eq!(spread([10, 100, 100].into_iter()), [10, 90, 109]);
        assert_eq!(spread([10, 90, 100, 105].into_iter()), [10, 79, 98, 117]);
    }

    #[test]
    fn results_are_read_from_their_table() {
        let text = "## LSTM\n\n| ns per step | 1, 8 | 3, 16 |\n|---|---|---|\n| Kinglet w8a8, integers in and out | 1 | 2 |\n\
                    | tract f32 | 44.5 (2.1×) | 3,838 (45.2×) |\n| **ratio** | 2× | 3× |\n";
        let (shapes, series) = read(text).unwrap();
        assert_eq!(shapes, ["1, 8", "3, 16"]);
        assert_eq!(series.len(), 1);
        assert_eq!(
            (series[0].name.as_str(), &series[0].ns[..]),
            ("tract f32", &[44.5, 3838.0][..])
        );
    }
}
