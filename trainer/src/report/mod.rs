//! A network on one page: what it learnt, what it says about data it has not learnt from, what each number format
//! costs, and what it takes of a microcontroller.
//!
//! Every number format is exported in memory, calibrated on the training part, and stepped by the engine, so the page
//! shows what a device computes. The page is one HTML file with inline SVG: no script, nothing to fetch.

mod alarms;
mod bleu;
mod chart;
pub mod cores;
mod drawn;
mod fan;
mod fleet;
mod headline;
pub mod history;
mod html;
mod inside;
mod measure;
mod memory;
mod mixed;
mod pair;
mod precisions;
mod predictions;
mod setup;
mod stretch;
mod times;
mod transcripts;
mod wakes;

use self::cores::{Conditions, cores};
pub use self::fleet::{FleetSubject, page_of_fleet};
use self::headline::Headline;
use self::history::{Epoch, learning};
use self::html::{count, number, paragraph, section, text};
use self::inside::Stepped;
use self::measure::{Measured, Run, measure, part};
use self::memory::kib;
pub use self::pair::{PairSubject, page_of_pair};
use self::predictions::smaller_is_better;
use self::stretch::Shown;
pub use self::stretch::Stretch;
use crate::alarm::alarm;
use crate::answer::Answer;
use crate::budget::Budget;
use crate::data::{Dataset, Part};
use crate::draw::Drawing;
use crate::engine::EnginePredictor;
use crate::escape::escape;
use crate::file::{AlignedBytes, TestInputs, export};
use crate::made_for::{MadeFor, Unlike};
use crate::package::{Alarm, Input, Output, Package, Shape};
use crate::quant::mixed::Probe;
use crate::quant::{Ranges, Stream, cut_tails, kept_in};
use crate::task::{Precision, Task};
use crate::train::{Metrics, Predictor, baselines};
use anyhow::{Context, Result, bail, ensure};
use kinglet::Model;
use kinglet::format::{Format, Layout};
use serde::Serialize;
use std::borrow::Cow;

/// What a page is about.
#[derive(Debug)]
pub struct Subject<'a> {
    /// What was to be learnt.
    pub task: &'a Task,
    /// The network in float.
    pub package: &'a Package,
    /// Its task's data.
    pub data: &'a Dataset,
    /// How it was trained; may be empty.
    pub history: &'a [Epoch],
    /// Model files for the same task by name, measured as they are.
    pub others: Vec<(String, AlignedBytes)>,
    /// For times and energies.
    pub conditions: Conditions,
    /// What is drawn of the predicted values.
    pub stretch: Stretch,
    /// What a search of formats layer by layer may take, where there is to be one.
    pub budget: Option<Budget>,
}

/// A page and the figures that stand on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// HTML text, which is well-formed XML too.
    pub html: String,
    /// The model that the figures at its top are for, and why it.
    pub headline: String,
    /// The part of the data that was measured: `test`, or `valid` where there is none.
    pub part: &'static str,
    /// Every number format, the models given beside it, and rules that need no network.
    pub figures: Vec<Figure>,
    /// What is not as the task has it.
    pub notes: Vec<String>,
}

/// What a model or a rule reaches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// A number format, the name of a file, or a rule.
    pub name: String,
    /// On the part.
    pub metrics: Metrics,
    /// Of a pair: share of the texts without a mistake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_mistake: Option<f64>,
    /// Bytes of a model file; of a pair, of both.
    pub file_bytes: Option<usize>,
    /// Bytes of a stream's state.
    pub state_bytes: Option<usize>,
    /// Difference of a network's outputs from those in f32 (RMS): in parts of the spread of the true values, or share of the
    /// probability that lies on another answer.
    pub from_f32: Option<f64>,
}

/// A model file on the page.
struct Made {
    name: String,
    bytes: AlignedBytes,
}

/// The page of a network.
///
/// # Errors
/// If a model is not one for this data, or the network cannot be exported in f32.
pub fn page(subject: &Subject<'_>) -> Result<Page> {
    let package = subject.package;
    fits(package, subject.data)?;
    let mut told = made_for("", MadeFor::of(package), subject.data)?;
    let data = if subject.data.input() == &package.input {
        Cow::Borrowed(subject.data)
    } else {
        Cow::Owned(subject.data.clone().normalised_as(&package.input))
    };
    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&package.net, &streams);
    let tests = TestInputs::of(package, &streams);
    let watches = |package: &Package, model: &Model<'_>| {
        let alarm = alarm(subject.task, &data, &mut EnginePredictor::new(model)).ok()??;
        Some(Package {
            alarm: Some(alarm),
            ..package.clone()
        })
    };
    let probes = Probe::of_dataset(&data, Part::Train);
    let calibrated = (&ranges, &tests, &probes[..]);
    let (mut made, notes) = in_every_format(package, calibrated, &watches)?;
    let formats = made.len();
    let searched = match &subject.budget {
        Some(budget) => Some(mixed::search_within(
            budget,
            (package, &ranges, &tests),
            &data,
            &watches,
        )?),
        None => None,
    };
    let found = searched.map(|(found, bytes)| {
        made.push(Made {
            name: Precision::Mixed.name().to_owned(),
            bytes,
        });
        found
    });
    let others = made.len();
    for (name, bytes) in &subject.others {
        let (name, bytes) = (name.clone(), bytes.clone());
        made.push(Made { name, bytes });
    }
    let models: Vec<Model<'_>> = made
        .iter()
        .map(|made| Model::from_bytes(&made.bytes).with_context(|| made.name.clone()))
        .collect::<Result<_>>()?;
    for (made, model) in made.iter().zip(&models) {
        ensure!(
            model.inputs() == data.inputs() && model.outputs() == data.outputs(),
            "{}: takes {} inputs and gives {} outputs; the task has {} and {}",
            made.name,
            model.inputs(),
            model.outputs(),
            data.inputs(),
            data.outputs()
        );
    }
    for (made, model) in made.iter().zip(&models).skip(others) {
        let of_file = MadeFor::of_model(&made.bytes, model);
        told.extend(made_for(&format!("{}: ", made.name), of_file, &data)?);
    }

    let headline = Headline::of(&made, others, subject.task.output.precision);
    let device = headline.place;
    let mut predictors: Vec<(String, Box<dyn Predictor + '_>)> = Vec::new();
    for (made, model) in made.iter().zip(&models) {
        predictors.push((made.name.clone(), Box::new(EnginePredictor::new(model))));
    }
    predictors.extend(baselines(subject.task, &data));
    let measured = measure(&data, part(&data), &mut predictors);
    let error = |k: &usize| measured.runs[*k].metrics.error();
    let rules = made.len()..measured.runs.len();
    let baseline = rules.min_by(|a, b| error(a).total_cmp(&error(b)));
    let stretch = &subject.stretch;
    let shown = match data.output() {
        Output::Values(_) => stretch.shown(&data, &measured)?,
        _ => {
            let asked = [&stretch.group, &stretch.from, &stretch.to];
            ensure!(
                asked.iter().all(|asked| asked.is_none()),
                "--group, --from and --to choose what is drawn of predicted numbers, and this task predicts classes or tokens"
            );
            Shown::nothing()
        }
    };

    let set_up: Vec<usize> = [Some(0), Some(device).filter(|&k| k > 0), baseline]
        .into_iter()
        .flatten()
        .collect();
    let set_up = predictors
        .iter_mut()
        .enumerate()
        .filter(|(k, _)| set_up.contains(k));
    let mut set_up: Vec<(&str, &mut (dyn Predictor + '_))> = set_up
        .map(|(_, (name, predictor))| (name.as_str(), &mut **predictor as _))
        .collect();
    let setup = setup::setup(subject.task, &data, &mut set_up);
    drop(set_up);
    drop(predictors);

    let mut body = overview(
        package,
        &data,
        &measured,
        (&headline, baseline),
        &models[device],
        made[device].bytes.len(),
    );
    body += &setup;
    body += &learning(subject.history);
    let run = &measured.runs[device];
    let old = baseline.map(|k| &measured.runs[k]);
    body += &predictions::predictions(&data, &measured, run, old, &shown);
    if stretch.ahead > 0 {
        let model = (&made[device].name[..], &models[device]);
        body += &fan::fan((&*data, measured.part), model, stretch.ahead)?;
    }
    if let Some(drawing) = Drawing::of(&models[device], &package.written) {
        let model = (&made[device].name[..], &models[device]);
        let of = (&*data, measured.part);
        body += &drawn::drawn(subject.task, of, &drawing, model)?;
    }
    if let Some(wake) = &subject.task.wake {
        let of = (&*data, measured.part);
        body += &wakes::wakes(&wake.word, of, &made, &models, device);
    } else if models.iter().any(|model| Alarm::of_model(model).is_some()) {
        body += &alarms::alarms(&data, &measured, &made, &models, (device, stretch))?;
    }
    body += &precisions::precisions(&data, &measured, made.len());
    if let (Some(budget), Some(found)) = (&subject.budget, &found) {
        let network = (package, &ranges, &tests);
        body += &mixed::mixed(network, &data, &measured, &made[..formats], (budget, found))?;
    }
    body += &inside::weights(&[("", package, &ranges)]);
    // Of this network: a model that was given may have other layers.
    let integers = integers(&made[..others], device).find(|&k| models[k].is_integer());
    let seen = match integers {
        Some(k) => {
            let stepped = Stepped {
                package,
                data: &data,
                part: measured.part,
                bytes: &made[k].bytes,
            };
            stepped.activations(|_, _| Ok(()))?
        }
        None => paragraph("The network has no integer format: see the notes."),
    };
    body += &inside::activations(vec![("", seen)]);
    body += &memory::memory(&[("", &package.net, &made)])?;
    let answer = Answer::of(&models[0]).steps;
    body += &cores(
        &[("", &package.net, models[0].macs())],
        answer,
        subject.conditions,
    );
    let figure = |(k, run): (usize, &Run)| Figure {
        name: run.name.clone(),
        metrics: run.metrics.clone(),
        without_mistake: None,
        file_bytes: made.get(k).map(|made| made.bytes.len()),
        state_bytes: models.get(k).map(Model::state_len),
        from_f32: models.get(k).map(|_| run.rms_gap()),
    };
    Ok(Page {
        html: document(
            &package.name,
            &(body + &notes_of(&[&told[..], &notes].concat())),
        ),
        notes: told,
        headline: headline.to_string(),
        part: measured.part.name(),
        figures: measured.runs.iter().enumerate().map(figure).collect(),
    })
}

/// Where what the layers give may be looked at: in the model at `device`, or in 8 bits.
fn integers(made: &[Made], device: usize) -> impl Iterator<Item = usize> {
    let usual = made
        .iter()
        .position(|made| made.name == Format::W8A8.name());
    let device = Some(device).filter(|&k| k < made.len());
    device.into_iter().chain(usual)
}

/// What should be known about the exported models, if anything.
fn notes_of(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let notes: String = notes.iter().map(|note| paragraph(note)).collect();
    section("notes", "Notes", &notes)
}

/// The whole page.
fn document(name: &str, body: &str) -> String {
    let name = text(name);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{name}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n{body}<footer>kinglet {}</footer>\n</body>\n</html>\n",
        include_str!("style.css"),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The formats of the page.
const FORMATS: [Format; 5] = [
    Format::F32,
    Format::F16,
    Format::W8A16,
    Format::W8A8,
    Format::W4A8,
];

/// The model files, f32 first, and what should be known about them. `watches` gives the package with the alarm that
/// follows from the forecasts of its file.
fn in_every_format(
    package: &Package,
    (ranges, tests, probes): (&Ranges, &TestInputs, &[Probe]),
    watches: &impl Fn(&Package, &Model<'_>) -> Option<Package>,
) -> Result<(Vec<Made>, Vec<String>)> {
    let (mut made, mut notes) = (Vec::new(), Vec::new());
    for format in FORMATS {
        let name = format.name().to_owned();
        let mut ranges = ranges.clone();
        let how = (&format.into(), Layout::Portable);
        let cut = cut_tails(package, how, &mut ranges, tests, probes);
        let instead = cut.as_ref().ok().copied().flatten();
        notes.extend(instead.map(|taken| format!("{name}: {}", kept_in(format, taken))));
        let taken = instead.unwrap_or(format);
        let write = |package: &Package| export(package, taken, Some(&ranges), tests);
        let exported = cut.and_then(|_| write(package)).and_then(|draft| {
            let watching = watches(package, &Model::from_bytes(&draft.bytes)?);
            watching.as_ref().map_or(Ok(draft), write)
        });
        match exported {
            Ok(exported) => {
                notes.extend(exported.notes.iter().map(|note| format!("{name}: {note}")));
                let bytes = exported.bytes;
                made.push(Made { name, bytes });
            }
            Err(error) if format == Format::F32 => return Err(error),
            Err(error) => notes.push(format!("{name}: not exported: {error:#}")),
        }
    }
    Ok((made, notes))
}

/// Names in a message.
const LISTED: usize = 40;

/// What may not be as the data has it; an error where it is not.
fn made_for(begin: &str, model: MadeFor, data: &Dataset) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for unlike in model.unlike(data) {
        match unlike {
            Unlike::Other(words) => bail!(
                "{begin}{words}: its figures would be of another question; give the task that it was trained by"
            ),
            Unlike::Told(words) => told.push(format!("{begin}{words}")),
        }
    }
    Ok(told)
}

/// Whether names are those of the data; the normalisation may be another.
fn fits(package: &Package, data: &Dataset) -> Result<()> {
    let inputs = |input: &Input| match input {
        Input::Features(features) => features.iter().map(|f| f.name.clone()).collect(),
        Input::Tokens(tokens) => tokens.clone(),
    };
    let outputs = |output: &Output| match output {
        Output::Values(targets) => targets.iter().map(|t| t.name.clone()).collect(),
        Output::Classes(classes) | Output::Transcript(classes) => classes.clone(),
        Output::NextToken => vec!["the next token".to_owned()],
    };
    let listed = |names: Vec<String>| {
        let shown: Vec<String> = names.iter().take(LISTED).map(|n| escape(n)).collect();
        match names.len() - shown.len() {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    for (side, found, expected) in [
        ("inputs", inputs(&package.input), inputs(data.input())),
        ("outputs", outputs(&package.output), outputs(data.output())),
    ] {
        ensure!(
            found == expected,
            "the model was not made for this task: its {side} are {}, the task's are {}",
            listed(found),
            listed(expected)
        );
    }
    Ok(())
}

fn overview(
    package: &Package,
    data: &Dataset,
    measured: &Measured,
    (headline, baseline): (&Headline, Option<usize>),
    model: &Model<'_>,
    bytes: usize,
) -> String {
    let part = measured.part;
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"quiet\">{}</p>\n",
        text(&package.name),
        text(&task(data, measured))
    );
    let run = &measured.runs[headline.place];
    let (metric, value) = run.metrics.headline();
    let metric = match data.output() {
        Output::Values(targets) if targets.len() > 1 => {
            let name = match data.quantiles() {
                [] => &targets[0].name,
                _ => targets[0].of_quantile(),
            };
            format!("{metric} of {name}")
        }
        _ => metric.to_owned(),
    };
    if part == Part::Test && data.windows(Part::Test) == data.windows(Part::Train) {
        body += "<p class=\"warn\">Nothing is held out: all figures are for data that was learnt by heart.</p>\n";
    } else if part != Part::Test {
        body += "<p class=\"warn\">The data has no test part: all figures are for the validation part, which chose the epoch.</p>\n";
    }
    if let Some(old) = baseline.map(|k| &measured.runs[k]) {
        let rule = old.metrics.headline().1;
        let wins = if smaller_is_better(data) {
            value < rule
        } else {
            value > rule
        };
        body += &if wins {
            let gain = if smaller_is_better(data) {
                format!("{:.1} % less", (1.0 - value / rule) * 100.0)
            } else {
                format!("{:.1} points more", (value - rule) * 100.0)
            };
            paragraph(&format!(
                "In {} the network's {metric} is {}, against {} of the rule “{}”: {gain}.",
                run.name,
                number(value),
                number(rule),
                old.name
            ))
        } else {
            format!(
                "<p class=\"warn\"><b>The rule “{}” is as good as this network or better:</b> {} {} against {}. \
                 As it is, the network is not worth its flash.</p>\n",
                text(&old.name),
                text(&metric),
                number(rule),
                number(value)
            )
        };
    }
    let unit = match data.output() {
        Output::Values(targets) => targets.first().map_or("", |target| &target.unit),
        _ => "",
    };
    let answer = Answer::of(model);
    let tiles = [
        (
            format!("{} {unit}", number(value)),
            format!("{metric}, {} part", part.name()),
        ),
        (kib(bytes), "of flash for the model".into()),
        (
            kib(model.state_len() + answer.buffer),
            match answer.buffer {
                0 => "of RAM per stream".into(),
                bytes => format!("of RAM per stream, {} of it for the window", kib(bytes)),
            },
        ),
        (
            count(answer.steps * model.macs()),
            match answer.steps {
                1 => "MACs per step".into(),
                steps => format!("MACs per answer: {steps} steps of {}", count(model.macs())),
            },
        ),
    ];
    body += "<div class=\"tiles\">\n";
    for (value, name) in tiles {
        body += &format!(
            "<div><b>{}</b><span>{}</span></div>\n",
            text(value.trim()),
            text(&name)
        );
    }
    body += "</div>\n";
    body += &format!(
        "<p class=\"quiet\">The figures above are for {}; they are computed as a device computes them.</p>\n",
        text(&headline.to_string())
    );
    body
}

/// What is counted where the answer is: to a transcript every sample adds, but is no answer by itself.
fn counted(data: &Dataset) -> &'static str {
    match data.output() {
        Output::Transcript(_) => "samples",
        _ => "outputs",
    }
}

/// What goes in and what comes out, in a sentence.
fn task(data: &Dataset, measured: &Measured) -> String {
    const NAMED: usize = 12;
    let some = |names: &[String]| match names.len() {
        0..=NAMED => names.join(", "),
        many => format!("{} and {} more", names[..NAMED].join(", "), many - NAMED),
    };
    let input = match data.input() {
        Input::Features(features) => {
            let names: Vec<String> = features.iter().map(|f| f.name.clone()).collect();
            some(&names)
        }
        Input::Tokens(tokens) => format!("one of {} tokens", count(tokens.len())),
    };
    let output = match data.output() {
        Output::Values(targets) => {
            let names: Vec<String> = targets.iter().map(|t| t.name.clone()).collect();
            some(&names)
        }
        Output::Classes(classes) => format!("one of {}", some(classes)),
        Output::Transcript(tokens) => format!("transcripts of {}", some(&tokens[1..])),
        Output::NextToken => "the next token".into(),
    };
    let when = match data.shape() {
        Shape::Window { window, .. } if data.lengths_differ() => {
            format!("after a text of up to {window}")
        }
        Shape::EveryStep => "after every sample".to_owned(),
        Shape::Window { window, .. } => format!("after {window} samples"),
    };
    format!(
        "From {input}: {output}, {when}. {} {} of the {} part are measured.",
        count(measured.steps(data)),
        counted(data),
        measured.part.name()
    )
}
