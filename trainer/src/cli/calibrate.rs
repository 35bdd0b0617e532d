//! Calibration: what a network is given and what it answers over real data, in float and quantized.

use super::csv_options::CsvOptions;
use super::samples::{Sample, Samples};
use super::say;
use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kinglet::format::{Feature, FeatureTransform, Format, Layer, Layout, Shape};
use kinglet::{Model, num};
use kinglet_trainer::beyond::{Beyond, seen};
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::fidelity::{Difference, Fidelity, MOST};
use kinglet_trainer::file::{AlignedBytes, Exported, TestInputs, export_for};
use kinglet_trainer::model_file::{format_name, input_names, output_names};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::mixed::{PROBED, Probe};
use kinglet_trainer::quant::watch::watch;
use kinglet_trainer::quant::{Ranges, Stream, cut_tails, kept_in};
use kinglet_trainer::task::Precision;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Steps to calibrate with at the most; beyond that, windows are taken evenly from all of the data.
const STEPS: usize = 500_000;
/// And multiplications: seconds, of a network as wide as thousands of units too.
const MACS: usize = 8_000_000_000;
/// Fewer steps show little.
const FEW: usize = 40;
/// But always so many steps.
const FEWEST: usize = 1000;
/// Outputs that are shown one by one; of more, the worst.
const MOST_SHOWN: usize = 16;
/// Pieces of a series that is too long to be taken whole.
const PIECES: usize = 8;

/// The rows of a CSV file, cut where the state starts anew in use: at every exact window, else nowhere.
pub struct Calibration {
    /// The network's inputs, normalised by the engine.
    pub streams: Vec<Stream>,
    /// Fewer of them, raw.
    pub probes: Vec<Probe>,
    /// The same rows raw, and where each stream lies among them; none of texts and tokens.
    raw: Vec<f32>,
    windows: Vec<Range<usize>>,
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
        raw: Vec::new(),
        windows: Vec::new(),
    }
}

/// A value so far from the middle of its column that it may be a fault.
fn wild(mut column: Vec<f32>) -> Option<f32> {
    const FAR: f32 = 100.0;
    let count = column.len();
    let least = column.iter().copied().min_by(f32::total_cmp)?;
    let most = column.iter().copied().max_by(f32::total_cmp)?;
    // Not sorted: it may be a long column.
    let middle = *column.select_nth_unstable_by(count / 2, f32::total_cmp).1;
    let distance = |x: f32| (x - middle).abs();
    column.iter_mut().for_each(|x| *x = distance(*x));
    let usual = *column
        .select_nth_unstable_by(count * 99 / 100, f32::total_cmp)
        .1;
    let far = |x: &f32| distance(*x) > FAR * usual && usual > 0.0;
    [least, most].into_iter().find(far)
}

/// Reads a CSV file.
pub fn read(path: &Path, float: &Model<'_>, options: &CsvOptions) -> Result<Calibration> {
    let mut samples = Samples::open(path, float, options, false)?;
    let (mut raw, mut tokens, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let width = float.inputs();
    let rows = |raw: &[f32], tokens: &[usize]| tokens.len().max(raw.len() / width);
    // A group's rows stand together from here on, in the order of their first rows.
    let mut groups: Vec<(Vec<f32>, Vec<usize>)> = Vec::new();
    let mut places = HashMap::new();
    while samples.next()? {
        let group = samples.group().unwrap_or("");
        let place = match places.get(group) {
            Some(&place) => place,
            None => {
                groups.push(Default::default());
                places.insert(group.to_owned(), groups.len() - 1);
                groups.len() - 1
            }
        };
        let (raw, tokens) = &mut groups[place];
        match samples.current() {
            Sample::Features(x) => raw.extend_from_slice(x),
            Sample::Token(token) => tokens.push(token),
            Sample::EndOfText if raw.is_empty() => texts.push(std::mem::take(tokens)),
            // What comes next has nothing before it.
            Sample::EndOfText => {
                places.remove(group);
            }
        }
    }
    samples.tell();
    let mut beyond = Beyond::new(float);
    for (raw, _) in &groups {
        let rows = raw.chunks_exact(width);
        rows.for_each(|row| beyond.meet(row));
    }
    let notes = beyond.notes();
    notes.iter().for_each(|note| say(&format!("note: {note}")));
    let mut begins = Vec::new();
    for (of_raw, of_tokens) in groups {
        begins.push(rows(&raw, &tokens));
        raw.extend(of_raw);
        tokens.extend(of_tokens);
    }
    let exact = matches!(float.header().shape, Shape::Window { exact: true, .. });
    if !texts.is_empty() {
        return Ok(of_texts(texts, exact));
    }
    for (k, (name, _)) in input_names(float).into_iter().enumerate() {
        let column = raw.iter().skip(k).step_by(width).copied();
        if let Some(value) = wild(column.filter(|x| x.is_finite()).collect()) {
            say(&format!(
                "note: {}: {name} is {value} in one row or a few, a hundred times as far from the middle as in 99 of 100: take it out if it is a fault, as \
                 integers make room for it",
                path.display()
            ));
        }
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
    let ends = begins.iter().skip(1).copied().chain([rows]);
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
    if taken < FEW {
        say(&format!(
            "warning: {}: {taken} samples are few to calibrate with: what goes beyond what these show is cut later, and how far the integers differ is \
             measured over them too; give some hundred of what the model meets in use",
            path.display()
        ));
    }
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
    let streams: Vec<Stream> = windows.iter().map(stream).collect();
    tell_stillness(path, float, &streams);
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
    Ok(Calibration {
        streams,
        probes,
        raw,
        windows,
    })
}

/// Tells of inputs that move less over these streams than they did when the model was normalised to a spread of one: the integers
/// are fitted to what is seen, and cut what goes beyond.
fn tell_stillness(path: &Path, float: &Model<'_>, streams: &[Stream]) {
    const STILL: f64 = 0.2;
    let width = float.inputs();
    for (k, (name, _)) in input_names(float).into_iter().enumerate() {
        // Without a scale nothing says what is much; zeros and ones are as they are.
        if float.features().get(k).is_none_or(|f| f.scale == 1.0) {
            continue;
        }
        let values = streams.iter().flat_map(|stream| match stream {
            Stream::Samples(x) => x.chunks_exact(width),
            Stream::Tokens(_) => [].chunks_exact(width),
        });
        let values = values.map(|sample| f64::from(sample[k]));
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for x in values.filter(|x| x.is_finite()) {
            count += 1.0;
            sum += x;
            squares += x * x;
        }
        let spread = (squares / count - (sum / count).powi(2)).max(0.0).sqrt();
        if spread < STILL {
            say(&format!(
                "warning: {}: {name} moves by {:.0} % of what it did where the model was trained: integers are fitted to what they see here and cut what goes \
                 beyond, without a word later; calibrate with data that moves as in use",
                path.display(),
                100.0 * spread
            ));
        }
    }
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
    let ranges = (!streams.is_empty()).then(|| Ranges::measure(&package.net, streams));
    export_for(
        layout,
        package,
        format,
        ranges.as_ref(),
        &TestInputs::of(package, streams),
    )
}

/// The same from data, with as much of heavy tails cut as the answers bear.
pub fn fitted(
    package: &Package,
    (format, layout): (Format, Layout),
    calibration: &Calibration,
) -> Result<Exported> {
    let package = &mut package.clone();
    package.written.seen = match format.is_integer() {
        true => seen(
            package,
            calibration.raw.chunks_exact(package.net.input_width()),
        ),
        false => Vec::new(),
    };
    let mut ranges = Ranges::measure(&package.net, &calibration.streams);
    let tests = TestInputs::of(package, &calibration.streams);
    let how = (&format.into(), layout);
    let instead = cut_tails(package, how, &mut ranges, &tests, &calibration.probes)?;
    let format = say_instead(format, instead);
    export_for(layout, package, format, Some(&ranges), &tests)
}

/// The format to take, which is told where it is another than the one that was asked for.
pub fn say_instead(format: Format, instead: Option<Format>) -> Format {
    if let Some(instead) = instead {
        say(&format!("note: {}", kept_in(format, instead)));
    }
    instead.unwrap_or(format)
}

impl Calibration {
    /// A model's answers in their units where they count: all, or the last of every window.
    fn answers(&self, model: &Model<'_>) -> Result<Vec<f32>> {
        let exact = matches!(model.header().shape, Shape::Window { exact: true, .. });
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut runner = AnyRunner::bind(model, &mut state)?;
        let mut y = vec![0.0; model.outputs()];
        let mut all = Vec::new();
        for (k, stream) in self.streams.iter().enumerate() {
            runner.reset();
            let raw = || {
                let window = &self.windows[k];
                &self.raw[window.start * model.inputs()..window.end * model.inputs()]
            };
            let runner = match &mut runner {
                AnyRunner::Steps(runner) => runner,
                AnyRunner::Windows(runner) => {
                    match stream {
                        Stream::Samples(_) => runner.run(raw(), &mut y),
                        Stream::Tokens(tokens) => runner.run_tokens(tokens, &mut y),
                    }
                    all.extend_from_slice(&y);
                    continue;
                }
            };
            let mut keep = |last: bool, y: &[f32]| {
                if last || !exact {
                    all.extend_from_slice(y);
                }
            };
            match stream {
                Stream::Samples(_) => {
                    let samples = raw().chunks_exact(model.inputs());
                    let steps = samples.len();
                    for (step, sample) in samples.enumerate() {
                        runner.step(sample, &mut y);
                        keep(step + 1 == steps, &y);
                    }
                }
                Stream::Tokens(tokens) => {
                    for (step, &token) in tokens.iter().enumerate() {
                        runner.step_token(token, &mut y);
                        keep(step + 1 == tokens.len(), &y);
                    }
                }
            }
        }
        Ok(all)
    }

    /// The input whose values lie the farthest from where the model's normalisation has its middle, if that is far, and how many times its
    /// spread: half of them do at least.
    fn far(&self, model: &Model<'_>) -> Option<(usize, f64)> {
        const FAR: f64 = 20.0;
        let plain = |feature: &Feature| feature.tag() == FeatureTransform::None as u32;
        let width = model.inputs();
        let streams = self.streams.iter().filter_map(|stream| match stream {
            Stream::Samples(x) => Some(x),
            Stream::Tokens(_) => None,
        });
        let all: Vec<&[f32]> = streams.flat_map(|x| x.chunks_exact(width)).collect();
        let features = model.features().iter().enumerate();
        let median = |k: usize| {
            let mut sizes: Vec<f32> = all.iter().map(|x| x[k].abs()).collect();
            let middle = sizes.len() / 2;
            let (_, median, _) = (!sizes.is_empty())
                .then(|| sizes.select_nth_unstable_by(middle, f32::total_cmp))?;
            Some((k, f64::from(*median)))
        };
        let far = features.filter(|(_, feature)| plain(feature));
        let far = far.filter_map(|(k, _)| median(k)).filter(|(_, x)| *x > FAR);
        far.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// For every feature the share of its values that an integer model cuts.
    fn cut(&self, model: &Model<'_>) -> Result<Vec<(usize, usize)>> {
        let width = model.inputs();
        let mut cut = vec![(0, 0); model.features().len()];
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut runner = AnyRunner::bind(model, &mut state)?;
        let (low, high) = num::input_limits(model.input_frac());
        let lsb = 2f32.powi(-i32::from(model.input_frac()));
        let [low, high] = [low, high].map(|limit| (f32::from(limit) + 0.5) * lsb);
        // Tokens are whole numbers in any format.
        let windows = self
            .windows
            .iter()
            .filter(|_| model.is_integer() && !self.raw.is_empty());
        for window in windows {
            runner.reset();
            for sample in self.raw[window.start * width..window.end * width].chunks_exact(width) {
                let mut k = 0;
                runner.normalise(sample, |u| {
                    cut[k].0 += usize::from(u < low || u >= high);
                    cut[k].1 += 1;
                    k += 1;
                });
            }
        }
        Ok(cut)
    }
}

/// A model before and after: sizes, how far the answers moved over the calibration data, and what the format cannot hold.
pub struct Compared<'m> {
    before: &'m Model<'m>,
    after: Model<'m>,
    /// Bytes of the files.
    sizes: [usize; 2],
    fidelity: Fidelity,
    /// What the model before answers.
    answers: Vec<f32>,
    doubts: Vec<String>,
}

impl<'m> Compared<'m> {
    pub fn new(
        before: &'m Model<'m>,
        sizes: [usize; 2],
        exported: &'m Exported,
        calibration: &Calibration,
    ) -> Result<Self> {
        let after = Model::from_bytes(&exported.bytes)?;
        let [a, b] = [before, &after].map(|model| calibration.answers(model));
        let answers = a?;
        let fidelity = Fidelity::between(before, &answers, &b?);
        let mut doubts = exported.doubts.clone();
        let cut = calibration.cut(&after)?;
        let names = input_names(before);
        let names = names.iter().map(|name| name.0);
        for (name, (cut, all)) in names.zip(cut).filter(|(_, (cut, _))| *cut > 0) {
            let share = 100.0 * cut as f64 / all as f64;
            doubts.push(format!(
                "{name}: {cut} of its values ({share:.2} %) lie beyond what {} holds of it, and are cut",
                format_name(&after)
            ));
        }
        Ok(Compared {
            before,
            after,
            sizes,
            fidelity,
            answers,
            doubts,
        })
    }

    pub fn print(&self) -> Result<()> {
        let (fidelity, models) = (&self.fidelity, [self.before, &self.after]);
        let names = models.map(format_name);
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "format  file bytes  state bytes  difference from {} over {} outputs",
            names[0], fidelity.count
        )?;
        for (k, model) in models.into_iter().enumerate() {
            let (name, size, state) = (names[k], self.sizes[k], model.state_len());
            write!(out, "{name:<6}  {size:>10}  {state:>11}  ")?;
            let Difference {
                rms, max, spread, ..
            } = fidelity.all;
            if k == 0 {
                writeln!(
                    out,
                    "the outputs spread by {spread:.6} (standard deviation)"
                )?;
            } else {
                let share = 100.0 * fidelity.share();
                let whole = match fidelity.all.is_constant() {
                    true => "the size of outputs that never change",
                    false => "the spread",
                };
                writeln!(out, "RMS {rms:.6} ({share:.2} % of {whole}), max {max:.6}")?;
            }
        }
        if self.sizes[1] > self.sizes[0] {
            say(&format!(
                "note: in {} the file is larger than in {}: what integers need beside eight bits for a weight is more than these save, in a network this small",
                names[1], names[0]
            ));
        }
        if let Some(other) = fidelity.other_classes {
            let share = 100.0 * other as f64 / (fidelity.count / self.before.outputs()) as f64;
            writeln!(
                out,
                "  the likeliest class is another one in {other} answers ({share:.2} %)"
            )?;
        }
        let labels = labels(self.before);
        if fidelity.each.len() > 1 || labels.iter().any(|label| label.ends_with(']')) {
            // Of a layer that is an output by itself there are thousands.
            let mut each: Vec<_> = labels.iter().zip(&fidelity.each).collect();
            if each.len() > MOST_SHOWN {
                each.sort_by(|a, b| b.1.share().total_cmp(&a.1.share()));
                each.truncate(MOST_SHOWN);
                let (shown, all) = (each.len(), labels.len());
                writeln!(
                    out,
                    "  the worst {shown} of {all} outputs (--json has all):"
                )?;
            }
            for (label, one) in each {
                let share = 100.0 * one.share();
                let of = match one.spread > 0.0 {
                    true => format!("{share:.2} % of its spread of {}", short(one.spread)),
                    false => "it does not change here".into(),
                };
                writeln!(
                    out,
                    "  {label}: RMS {}, max {} ({of})",
                    short(one.rms),
                    short(one.max)
                )?;
            }
        }
        Ok(())
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let model = |model: &Model<'_>, size: usize| json!({ "format": format_name(model), "file_bytes": size, "state_bytes": model.state_len() });
        let difference = |one: &Difference, share: f64| json!({ "rms": one.rms, "max": one.max, "spread": one.spread, "share": share });
        let outputs = output_names(self.before);
        let each = outputs
            .iter()
            .zip(&self.fidelity.each)
            .map(|((name, unit), one)| {
                let mut value = difference(one, one.share());
                (value["name"], value["unit"]) = (json!(name), json!(unit));
                value
            });
        json!({
            "before": model(self.before, self.sizes[0]),
            "after": model(&self.after, self.sizes[1]),
            "outputs_compared": self.fidelity.count,
            "difference": difference(&self.fidelity.all, self.fidelity.share()),
            "outputs": each.collect::<Vec<_>>(),
            "other_classes": self.fidelity.other_classes,
            "warnings": self.doubts,
        })
    }

    /// Says what the format cannot hold, and refuses a model whose answers are others, unless it is forced through. What is advised
    /// instead of it has been tried, if this is how.
    pub fn judge(
        &self,
        force: bool,
        calibration: &Calibration,
        other: impl FnOnce(Format) -> Result<Exported>,
    ) -> Result<()> {
        let share = self.fidelity.share();
        let name = format_name(&self.after);
        // Wider inputs are nearer as a rule, but not where the weights over them fill their eight bits.
        let next = [(Format::W8A8, Format::W8A16), (Format::W8A16, Format::W8A8)];
        let next = next.into_iter().find(|(own, _)| own.name() == name);
        let tried = |(_, next): (Format, Format)| -> Result<String> {
            let exported = other(next)?;
            let model = Model::from_bytes(&exported.bytes)?;
            let found = calibration.answers(&model)?;
            let differs = Fidelity::between(self.before, &self.answers, &found).share();
            let next = next.name();
            Ok(match differs <= MOST {
                true => format!(
                    "--precision {next} (its outputs differ by {:.2} %)",
                    100.0 * differs
                ),
                false => format!(
                    "--precision f32 (in {next} they differ by {:.1} %)",
                    100.0 * differs
                ),
            })
        };
        let next = next.filter(|_| share > MOST && !force);
        let instead = next.map(tried).transpose()?;
        if share > MOST {
            self.tell_data(calibration)?;
        }
        judged(&self.after, share, &self.doubts, force, instead)
    }

    /// Where it may be the data that is not what the network was made for.
    fn tell_data(&self, calibration: &Calibration) -> Result<()> {
        let all = &self.fidelity.all;
        let far = calibration.far(self.before);
        let names = input_names(self.before);
        let largest = self.answers.iter().fold(0f32, |most, y| most.max(y.abs()));
        let as_it_is = |k: usize| {
            let feature = &self.before.features()[k];
            (feature.offset, feature.scale) == (0.0, 1.0)
        };
        if let Some((k, middle)) = far.filter(|(k, _)| as_it_is(*k)) {
            say(&format!(
                "note: the values of {} have a size of {middle:.0} in the middle, and enter the model as they are: if it was trained with a normalisation, \
                 it needs that too (import --input-mean --input-std)",
                names[k].0
            ));
        } else if let Some((k, mean)) = far {
            say(&format!(
                "note: the calibration data may not be in the units that the model takes: {} lies {mean:.0} times its spread from the middle that the \
                 model was normalised with",
                names[k].0
            ));
        } else if all.spread > 0.0 && all.spread * 100.0 < f64::from(largest) {
            say(&format!(
                "note: over the calibration data the outputs hardly change: they spread by {}, around values of {}; what they are to tell apart may \
                 not be in it, or its numbers are not in the units that the model takes",
                short(all.spread),
                short(largest.into())
            ));
        }
        Ok(())
    }
}

/// Says what a format cannot hold of a network, and refuses a model that answers something else.
pub fn judge(model: &Model<'_>, share: f64, doubts: &[String], force: bool) -> Result<()> {
    judged(model, share, doubts, force, None)
}

fn judged(
    model: &Model<'_>,
    share: f64,
    doubts: &[String],
    force: bool,
    instead: Option<String>,
) -> Result<()> {
    let name = format_name(model);
    doubts
        .iter()
        .for_each(|doubt| say(&format!("warning: {doubt}")));
    if share <= MOST || force {
        return Ok(());
    }
    let reason = match doubts {
        [] => String::new(),
        [doubt] => format!(" ({doubt})"),
        _ => ", maybe for what the warnings say".to_owned(),
    };
    let usual = if name == Format::W8A8.name() {
        "--precision w8a16 or f32"
    } else if name == Format::W4A8.name() {
        "--precision w8a8, train it through its integers (`kinglet train --quantized-epochs 20`)"
    } else if name == Precision::Mixed.name() {
        "a larger --max-flash or --max-cycles"
    } else {
        "--precision f32"
    };
    let instead = instead.unwrap_or_else(|| usual.to_owned());
    bail!(
        "the outputs in {name} differ from those in f32 by {:.1} % of their spread, more than {:.0} %{reason}: \
         try {instead}, or write it all the same with --force",
        100.0 * share,
        100.0 * MOST
    )
}

/// Without data nothing is known but what the weights say.
pub fn judge_unmeasured(format: Format, exported: &Exported, force: bool) -> Result<()> {
    if format == Format::F32 {
        return Ok(());
    }
    exported
        .doubts
        .iter()
        .for_each(|doubt| say(&format!("warning: {doubt}")));
    say(&format!(
        "note: not measured: how far the outputs in {} differ from those in f32, and whether inputs, cells and outputs \
         stay within its ranges; give --calibrate DATA.csv",
        format.name()
    ));
    match exported.doubts.first() {
        Some(doubt) if !force => bail!(
            "{doubt}: give --calibrate DATA.csv to measure what that does, take another --precision, or write it all the \
             same with --force"
        ),
        _ => Ok(()),
    }
}

/// Four digits.
fn short(x: f64) -> String {
    let digits = 3 - x.abs().max(1e-12).log10().floor() as i32;
    format!("{x:.*}", digits.clamp(0, 9) as usize)
}

/// Names with their units in brackets.
fn labels(model: &Model<'_>) -> Vec<String> {
    let label = |(name, unit): &(&str, &str)| match *unit {
        "" => (*name).to_owned(),
        unit => format!("{name} [{unit}]"),
    };
    output_names(model).iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::wild;

    #[test]
    fn one_value_far_from_the_others_is_found() {
        let mut column: Vec<f32> = (0..1000).map(|k| (k % 7) as f32).collect();
        assert_eq!(wild(column.clone()), None);
        column[500] = -9999.0;
        assert_eq!(wild(column), Some(-9999.0));
        assert_eq!(wild(vec![1.0; 50]), None);
        assert_eq!(wild(Vec::new()), None);
    }
}
