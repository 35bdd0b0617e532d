//! Calibration: what a network is given and what it answers over real data, in float and quantized.

use super::samples::{CsvOptions, Sample, Samples};
use super::{format_name, say};
use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kinglet::Model;
use kinglet::format::{Format, Layer, Layout, Shape};
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::file::{AlignedBytes, Exported, TestInputs, export_for};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::mixed::{PROBED, Probe};
use kinglet_trainer::quant::watch::watch;
use kinglet_trainer::quant::{Ranges, Stream};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Steps to calibrate with at the most; beyond that, windows are taken evenly from all of the data.
const STEPS: usize = 500_000;
/// And multiplications: seconds, of a network as wide as thousands of units too.
const MACS: usize = 8_000_000_000;
/// But always so many steps.
const FEWEST: usize = 1000;
/// Pieces of a series that is too long to be taken whole.
const PIECES: usize = 8;

/// The rows of a CSV file, cut where the state starts anew in use: at every exact window, else nowhere.
pub struct Calibration {
    /// The network's inputs, normalised by the engine.
    pub streams: Vec<Stream>,
    /// Fewer of them, raw.
    pub probes: Vec<Probe>,
}

/// Texts as they are, and as many of them as may be probed.
fn of_texts(texts: Vec<Vec<usize>>, last_only: bool) -> Calibration {
    let steps: usize = texts.iter().map(Vec::len).sum();
    let every = steps.div_ceil(PROBED).max(1);
    let probe = |text: &Vec<usize>| Probe {
        raw: text.iter().map(|&token| token as f32).collect(),
        counted: if last_only {
            text.len().saturating_sub(1)
        } else {
            0
        },
    };
    Calibration {
        probes: texts.iter().step_by(every).map(probe).collect(),
        streams: texts.into_iter().map(Stream::Tokens).collect(),
    }
}

/// Reads a CSV file.
pub fn read(path: &Path, float: &Model<'_>, options: &CsvOptions) -> Result<Calibration> {
    let mut samples = Samples::open(path, float, options, false)?;
    let (mut raw, mut tokens, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let width = float.inputs();
    let rows = |raw: &[f32], tokens: &[usize]| tokens.len().max(raw.len() / width);
    let mut begins = vec![0];
    while let Some(sample) = samples.next()? {
        match sample {
            Sample::Features(x) => raw.extend_from_slice(x),
            Sample::Token(token) => tokens.push(token),
            Sample::EndOfText => texts.push(std::mem::take(&mut tokens)),
            Sample::NewGroup => begins.push(rows(&raw, &tokens)),
        }
    }
    let exact = matches!(float.header().shape, Shape::Window { exact: true, .. });
    if !texts.is_empty() {
        return Ok(of_texts(texts, exact));
    }
    if float.holds() {
        // Windows are cut from these rows, and what stands in for a gap may lie before the window.
        for at in width..raw.len() {
            let begins = begins.binary_search(&(at / width)).is_ok();
            if !begins && raw[at].is_nan() && float.features()[at % width].holds() {
                raw[at] = raw[at - width];
            }
        }
    }
    let rows = rows(&raw, &tokens);
    if rows == 0 {
        bail!("{}: no rows; expected at least one sample", path.display());
    }
    let ends = begins[1..].iter().copied().chain([rows]);
    let groups = begins.iter().copied().zip(ends);
    let windows: Vec<Range<usize>> = match float.header().shape {
        Shape::Window {
            window,
            hop,
            exact: true,
        } => {
            let (window, hop) = (window as usize, hop as usize);
            let longest = groups.clone().map(|(begin, end)| end - begin).max();
            let longest = longest.unwrap_or(0);
            let starts = |(begin, end): (usize, usize)| {
                (begin..(end + 1).saturating_sub(window)).step_by(hop)
            };
            let windows = groups.flat_map(starts).map(|start| start..start + window);
            let windows: Vec<_> = windows.collect();
            if windows.is_empty() {
                bail!(
                    "{}: {longest} rows are fewer than one window of {window}; bring more data",
                    path.display()
                );
            }
            windows
        }
        _ => groups.map(|(begin, end)| begin..end).collect(),
    };
    let macs: usize = float.header().layers.iter().map(Layer::macs).sum();
    let most = (MACS / macs.max(1)).clamp(FEWEST, STEPS);
    let all: usize = windows.iter().map(Range::len).sum();
    let windows: Vec<Range<usize>> = if exact || all <= most {
        windows
    } else {
        let piece = (most / PIECES).max(1);
        let cut = |window: Range<usize>| {
            let end = window.end;
            let starts = window.step_by(piece);
            starts.map(move |start| start..(start + piece).min(end))
        };
        windows.into_iter().flat_map(cut).collect()
    };
    let length = (all / windows.len()).max(1);
    let every = windows.len().div_ceil((most / length).max(1));
    let windows: Vec<Range<usize>> = windows.into_iter().step_by(every).collect();
    let taken: usize = windows.iter().map(Range::len).sum();
    if taken < all {
        say(&format!(
            "note: {taken} of {all} steps of {} are calibrated with, taken evenly",
            path.display()
        ));
    }
    let mut state = AlignedBytes::zeroed(float.state_len());
    let mut runner = AnyRunner::bind(float, &mut state)?;
    let stream = |window: &Range<usize>| {
        if !tokens.is_empty() {
            return Stream::Tokens(tokens[window.clone()].to_vec());
        }
        runner.reset();
        let mut normalised = Vec::with_capacity(window.len() * width);
        for sample in raw[window.start * width..window.end * width].chunks_exact(width) {
            runner.normalise(sample, |x| normalised.push(x));
        }
        Stream::Samples(normalised)
    };
    let streams = windows.iter().map(stream).collect();
    let fewer = windows.len().div_ceil((PROBED / length).max(1));
    let probe = |window: &Range<usize>| {
        let (start, steps) = (window.start, window.len().min(PROBED));
        Probe {
            raw: match tokens.is_empty() {
                true => raw[start * width..(start + steps) * width].to_vec(),
                false => tokens[start..start + steps]
                    .iter()
                    .map(|&t| t as f32)
                    .collect(),
            },
            counted: if exact { steps - 1 } else { 0 },
        }
    };
    let probes = windows.iter().step_by(fewer).map(probe).collect();
    Ok(Calibration { streams, probes })
}

/// How far the rounding has come, where it takes long: on a terminal as a bar, else at every tenth.
pub fn tell_rounding() {
    let bar = ProgressBar::new(1000);
    if let Ok(style) =
        ProgressStyle::with_template("rounding weights [{bar:20}] {percent} %, {eta} left")
    {
        bar.set_style(style);
    }
    let told = AtomicUsize::new(usize::MAX);
    watch(move |share| {
        let tenth = (share * 10.0) as usize;
        if !bar.is_hidden() {
            bar.set_position((share * 1000.0) as u64);
            if share >= 1.0 {
                bar.finish_and_clear();
            }
        } else if told.swap(tenth, Ordering::Relaxed) != tenth {
            say(&format!("rounding weights: {} %", tenth * 10));
        }
    });
}

/// Exports a package, calibrated if there are streams.
pub fn calibrated(
    package: &Package,
    format: Format,
    layout: Layout,
    streams: &[Stream],
) -> Result<Exported> {
    let ranges = Ranges::measure(&package.net, streams);
    let tests = match streams.first() {
        Some(stream) => TestInputs::from_stream(stream, package.net.input_width()),
        None => TestInputs::synthetic(package),
    };
    let ranges = (!streams.is_empty()).then_some(&ranges);
    export_for(layout, package, format, ranges, &tests)
}

/// The network's outputs where they count: all, or the last of every window.
fn outputs(model: &Model<'_>, streams: &[Stream]) -> Result<Vec<f32>> {
    let exact = matches!(model.header().shape, Shape::Window { exact: true, .. });
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = AnyRunner::bind(model, &mut state)?;
    let mut y = vec![0.0; model.outputs()];
    let mut all = Vec::new();
    for stream in streams {
        runner.reset();
        let steps = match stream {
            Stream::Samples(x) => x.len() / model.inputs(),
            Stream::Tokens(tokens) => tokens.len(),
        };
        let runner = match &mut runner {
            AnyRunner::Steps(runner) => runner,
            AnyRunner::Windows(runner) => {
                match stream {
                    Stream::Samples(x) => runner.run_raw(x, &mut y),
                    Stream::Tokens(tokens) => runner.run_tokens(tokens, &mut y),
                }
                all.extend_from_slice(&y);
                continue;
            }
        };
        for step in 0..steps {
            match stream {
                Stream::Samples(x) => {
                    runner.step_raw(&x[step * model.inputs()..][..model.inputs()], &mut y);
                }
                Stream::Tokens(tokens) => runner.step_token(tokens[step], &mut y),
            }
            if !exact || step + 1 == steps {
                all.extend_from_slice(&y);
            }
        }
    }
    Ok(all)
}

/// Prints sizes before and after, and how far the outputs of the network moved over the calibration data.
pub fn compare(
    before: &Model<'_>,
    sizes: [usize; 2],
    after: &Model<'_>,
    streams: &[Stream],
) -> Result<()> {
    let (a, b) = (outputs(before, streams)?, outputs(after, streams)?);
    let count = a.len() as f64;
    let mean = a.iter().map(|&y| f64::from(y)).sum::<f64>() / count;
    let (mut spread, mut squares, mut max) = (0.0, 0.0, 0f64);
    for (&a, &b) in a.iter().zip(&b) {
        let difference = f64::from(b) - f64::from(a);
        spread += (f64::from(a) - mean).powi(2);
        squares += difference * difference;
        max = max.max(difference.abs());
    }
    let (spread, rms) = ((spread / count).sqrt(), (squares / count).sqrt());
    let names = [format_name(before), format_name(after)];
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "format  file bytes  state bytes  difference from {} over {} outputs",
        names[0],
        a.len()
    )?;
    for (k, model) in [before, after].into_iter().enumerate() {
        let (name, size, state) = (names[k], sizes[k], model.state_len());
        write!(out, "{name:<6}  {size:>10}  {state:>11}  ")?;
        if k == 0 {
            writeln!(
                out,
                "the outputs spread by {spread:.6} (standard deviation)"
            )?;
        } else {
            let share = if spread > 0.0 {
                rms / spread * 100.0
            } else {
                0.0
            };
            writeln!(
                out,
                "RMS {rms:.6} ({share:.2} % of the spread), max {max:.6}"
            )?;
        }
    }
    Ok(())
}
