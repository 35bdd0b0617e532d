//! The page of an encoder and a decoder: what they say to texts that they have not learnt from, in every number format,
//! and for each of the two what the page of one network has.

use super::bleu::bleu;
use super::chart::{Axis, Chart, Ink};
use super::cores::{Conditions, cores};
use super::headline::Headline;
use super::history::{Epoch, learning};
use super::html::{Table, count, figure, number, paragraph, percent, section, text};
use super::inside::{self, Stepped};
use super::measure::part;
use super::memory::{kib, memory};
use super::{FORMATS, Figure, Made, Page, document, fits, integers, notes_of};
use crate::data::vocabulary::{Unit, Vocabulary};
use crate::data::{Dataset, Part};
use crate::escape::escape;
use crate::file::AlignedBytes;
use crate::package::{Input, Package};
use crate::task::Task;
use crate::train::Metrics;
use crate::train::pair::{Pair, Source, evaluate_pair, read_on, translate};
use anyhow::{Context, Result, ensure};
use kinglet::Model;
use kinglet::format::{Format, Layout};
use std::collections::BTreeMap;

/// Translations that are shown; those with a mistake come first, and take half of the places at the most.
const SHOWN: usize = 24;
/// Titles of the two.
const SIDES: [&str; 2] = ["Encoder", "Decoder"];

/// What a page is about.
#[derive(Debug)]
pub struct PairSubject<'a> {
    /// What was to be learnt.
    pub task: &'a Task,
    /// Reads, in float.
    pub encoder: &'a Package,
    /// Answers, in float.
    pub decoder: &'a Package,
    /// Their task's data.
    pub data: &'a Dataset,
    /// How they were trained; may be empty.
    pub history: &'a [Epoch],
    /// Model files for the same task by name, encoder and decoder, measured as they are.
    pub others: Vec<(String, [AlignedBytes; 2])>,
    /// For times and energies.
    pub conditions: Conditions,
}

/// A pair of files, run over the part.
struct Run {
    name: String,
    /// Token numbers, pair by pair.
    said: Vec<Vec<usize>>,
    /// How sure it was of each.
    probabilities: Vec<f64>,
    metrics: Metrics,
    /// Share of the texts without a mistake.
    right: f64,
}

/// The page of an encoder and a decoder.
///
/// # Errors
/// If the models are not for this data or no pair, or a network cannot be exported in f32.
pub fn page_of_pair(subject: &PairSubject<'_>) -> Result<Page> {
    let data = subject.data;
    let source = data.source().context("the task has no pairs")?;
    fits(subject.encoder, source)?;
    fits(subject.decoder, data)?;
    let pair = &Pair::join(subject.encoder.clone(), subject.decoder.clone(), data)?;
    let (made, notes) = in_every_format(pair, subject)?;
    let part = part(data);
    let truths = texts(data, part, |sequence, t| sequence.truth(t)[0]);
    let reads: Vec<Source> = source
        .sequences(part)
        .map(|sequence| Source::of(&sequence, source.input()))
        .collect();
    let runs: Vec<Run> = made[0]
        .iter()
        .zip(&made[1])
        .map(|(encoder, decoder)| {
            let name = &encoder.name;
            run(name, data, part, [&encoder.bytes, &decoder.bytes], &reads)
                .with_context(|| name.clone())
        })
        .collect::<Result<_>>()?;
    let others = made[0].len() - subject.others.len();
    let headline = Headline::of(&made[0], others, subject.task.output.precision);
    let device = headline.place;
    let bytes = [0, 1].map(|side: usize| &made[side][device].bytes);
    let (encoder, decoder) = (Model::from_bytes(bytes[0])?, Model::from_bytes(bytes[1])?);

    let name = pair.encoder.name.trim_end_matches("-encoder");
    let mut body = overview(
        name,
        (data, part),
        &runs[device],
        &headline,
        [&encoder, &decoder],
        bytes,
    );
    body += &learning(subject.history);
    body += &translations(data, &reads, &truths, &runs[device]);
    body += &sureness(&truths, &runs[device]);
    body += &precisions(&runs, &reads, &truths, &made);
    let [of_encoder, of_decoder] = &pair.ranges;
    body += &inside::weights(&[
        (SIDES[0], &pair.encoder, of_encoder),
        (SIDES[1], &pair.decoder, of_decoder),
    ]);
    let integers = integers(&made[0][..others], device)
        .map(|k| [0, 1].map(|side: usize| &made[side][k].bytes));
    let integers = integers.map(|bytes| {
        let model = |side: usize| Model::from_bytes(bytes[side]);
        Ok((model(0)?.is_integer() && model(1)?.is_integer()).then_some(bytes))
    });
    let integers: Vec<_> = integers.collect::<Result<_>>()?;
    body += &match integers.into_iter().flatten().next() {
        Some(bytes) => activations(pair, data, part, bytes, &reads)?,
        None => {
            let none = paragraph("The networks have no integer format: see the notes.");
            inside::activations(vec![("", none)])
        }
    };
    let nets = [&pair.encoder.net, &pair.decoder.net];
    body += &memory(&[(SIDES[0], nets[0], &made[0]), (SIDES[1], nets[1], &made[1])])?;
    let (read, said) = (
        Model::from_bytes(&made[0][0].bytes)?,
        Model::from_bytes(&made[1][0].bytes)?,
    );
    body += &cores(
        &[
            ("Encoder, for a token that is read", nets[0], read.macs()),
            ("Decoder, for a token that is said", nets[1], said.macs()),
        ],
        1,
        subject.conditions,
    );
    let figure = |(k, run): (usize, &Run)| {
        let files = made.iter().filter_map(|side| side.get(k));
        let state = |made: &Made| Ok(Model::from_bytes(&made.bytes)?.state_len());
        let states = files.clone().map(state).collect::<Result<Vec<_>>>()?;
        Ok(Figure {
            name: run.name.clone(),
            metrics: run.metrics.clone(),
            without_mistake: Some(run.right),
            file_bytes: Some(files.map(|made| made.bytes.len()).sum()),
            state_bytes: Some(states.iter().sum()),
            from_f32: None,
        })
    };
    Ok(Page {
        html: document(name, &(body + &notes_of(&notes))),
        headline: headline.to_string(),
        part: part.name(),
        notes: Vec::new(),
        figures: runs.iter().enumerate().map(figure).collect::<Result<_>>()?,
    })
}

/// The files of encoders and of decoders, f32 first, and what should be known about them.
fn in_every_format(
    pair: &Pair,
    subject: &PairSubject<'_>,
) -> Result<([Vec<Made>; 2], Vec<String>)> {
    let (mut made, mut notes) = ([Vec::new(), Vec::new()], Vec::new());
    let mut add = |name: &str, files: [AlignedBytes; 2]| {
        for (made, bytes) in made.iter_mut().zip(files) {
            let name = name.to_owned();
            made.push(Made { name, bytes });
        }
    };
    for format in FORMATS {
        let name = format.name();
        match pair.export(Layout::Portable, format) {
            Ok(files) => {
                let all = files.iter().flat_map(|file| &file.notes);
                notes.extend(all.map(|note| format!("{name}: {note}")));
                add(name, files.map(|file| file.bytes));
            }
            Err(error) if format == Format::F32 => return Err(error),
            Err(error) => notes.push(format!("{name}: not exported: {error:#}")),
        }
    }
    let data = [subject.data.source(), Some(subject.data)];
    for (name, files) in &subject.others {
        for (bytes, data) in files.iter().zip(data.into_iter().flatten()) {
            let model = Model::from_bytes(bytes).with_context(|| name.clone())?;
            ensure!(
                model.inputs() == data.inputs() && model.outputs() == data.outputs(),
                "{name}: takes {} tokens and gives {} outputs; the task has {} and {}",
                model.inputs(),
                model.outputs(),
                data.inputs(),
                data.outputs()
            );
        }
        add(name, files.clone());
    }
    Ok((made, notes))
}

/// Token numbers of every sequence of a part.
fn texts(
    data: &Dataset,
    part: Part,
    token: impl Fn(&crate::data::Sequence<'_>, usize) -> f32,
) -> Vec<Vec<usize>> {
    let sequences = data.sequences(part);
    let tokens = sequences.map(|s| (0..s.steps()).map(|t| token(&s, t) as usize).collect());
    tokens.collect()
}

fn run(name: &str, data: &Dataset, part: Part, files: [&[u8]; 2], reads: &[Source]) -> Result<Run> {
    let (encoder, decoder) = (Model::from_bytes(files[0])?, Model::from_bytes(files[1])?);
    let (metrics, right) = evaluate_pair(data, part, [&encoder, &decoder])?;
    let mut states = [&encoder, &decoder].map(|model| AlignedBytes::zeroed(model.state_len()));
    let [a, b] = &mut states;
    let (mut reader, mut speaker) = (encoder.bind_bytes(a)?, decoder.bind_bytes(b)?);
    let (mut said, mut probabilities) = (Vec::new(), Vec::new());
    for read in reads {
        let answer = translate(&mut reader, &mut speaker, read.input(), data.window())?;
        said.push(answer.tokens);
        probabilities.push(answer.probability);
    }
    Ok(Run {
        name: name.to_owned(),
        said,
        probabilities,
        metrics,
        right,
    })
}

fn overview(
    name: &str,
    (data, part): (&Dataset, Part),
    run: &Run,
    headline: &Headline,
    models: [&Model<'_>; 2],
    bytes: [&AlignedBytes; 2],
) -> String {
    let tokens = |package: Option<&Dataset>| count(package.map_or(0, Dataset::inputs));
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"quiet\">{}</p>\n",
        text(name),
        text(&format!(
            "From {}: a text, out of {} tokens. {} texts of the {} part are measured.",
            match data.source().map(Dataset::input) {
                Some(Input::Features(features)) => format!("samples of {} numbers", features.len()),
                _ => format!(
                    "a text of up to {} out of {} tokens",
                    data.window(),
                    tokens(data.source())
                ),
            },
            tokens(Some(data)),
            count(run.said.len()),
            part.name()
        ))
    );
    if part == Part::Test && data.windows(Part::Test) == data.windows(Part::Train) {
        body += "<p class=\"warn\">Nothing is held out: all figures are for data that was learnt by heart.</p>\n";
    } else if part != Part::Test {
        body += "<p class=\"warn\">The data has no test part: all figures are for the validation part, which chose the epoch.</p>\n";
    }
    let [encoder, decoder] = models;
    let tiles = [
        (
            percent(run.right),
            format!("of the texts without a mistake, {} part", part.name()),
        ),
        (
            kib(bytes[0].len() + bytes[1].len()),
            "of flash for both models".into(),
        ),
        (
            kib(encoder.state_len() + decoder.state_len()),
            "of RAM for both states".into(),
        ),
        (
            count(encoder.macs() + decoder.macs()),
            "MACs for a token read and one said".into(),
        ),
    ];
    body += "<div class=\"tiles\">\n";
    for (value, name) in tiles {
        body += &format!(
            "<div><b>{}</b><span>{}</span></div>\n",
            text(&value),
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

/// Whether what was said is what should have been, without the end.
fn is_right(said: &[usize], truth: &[usize]) -> bool {
    truth.split_last().is_some_and(|(_, truth)| truth == said)
}

/// A text of tokens as people read it.
fn spelt(tokens: &[usize], input: &Input) -> String {
    let Input::Tokens(names) = input else {
        return String::new();
    };
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    let separator = match Vocabulary::new(&refs).unit() {
        Unit::Characters => "",
        Unit::Words => " ",
    };
    let tokens = tokens.iter().filter_map(|&token| names.get(token));
    let tokens: Vec<String> = tokens.map(|name| escape(name)).collect();
    tokens.join(separator)
}

/// The numbers of a sequence of samples, the first of it where it is long.
fn measured(samples: &[f32], width: usize) -> String {
    const NUMBERS: usize = 16;
    let rows = samples
        .chunks(width.max(1))
        .take(NUMBERS.div_ceil(width.max(1)));
    let row = |row: &[f32]| {
        let numbers: Vec<String> = row.iter().map(|&x| number(x.into())).collect();
        numbers.join(" ")
    };
    let shown: Vec<String> = rows.map(row).collect();
    let more = if shown.len() * width < samples.len() {
        "; …"
    } else {
        ""
    };
    shown.join("; ") + more
}

fn translations(data: &Dataset, reads: &[Source], truths: &[Vec<usize>], run: &Run) -> String {
    let Some(source) = data.source() else {
        return String::new();
    };
    let all = 0..run.said.len();
    let (right, wrong): (Vec<usize>, Vec<usize>) =
        all.partition(|&k| is_right(&run.said[k], &truths[k]));
    let mistakes = wrong.len().min(SHOWN / 2);
    let shown = wrong[..mistakes]
        .iter()
        .chain(right.iter().take(SHOWN - mistakes));
    let said = format!("said, {}", run.name);
    let mut table = Table::new(&["read", "should be said", &said, ""]);
    for &k in shown {
        let truth = truths[k].split_last().map_or(&[][..], |(_, truth)| truth);
        let verdict = match is_right(&run.said[k], &truths[k]) {
            true => "",
            false => "wrong",
        };
        table.row(&[
            match &reads[k] {
                Source::Tokens(tokens) => spelt(tokens, source.input()),
                Source::Samples(samples) => measured(samples, source.inputs()),
            },
            spelt(truth, data.input()),
            spelt(&run.said[k], data.input()),
            verdict.to_owned(),
        ]);
    }
    let body = paragraph(&format!(
        "{}: {} of {} texts without a mistake. Left alone the decoder says the likeliest token, and goes on from it; a \
         mistake early in a text leads to more.{}",
        run.name,
        count(right.len()),
        count(run.said.len()),
        match mistakes {
            0 => "",
            _ => " Those with a mistake come first.",
        }
    ));
    section("predictions", "Translations", &(body + &table.finish()))
}

/// What a threshold on the answer's probability does, which `kinglet chat` and a device may set.
fn sureness(truths: &[Vec<usize>], run: &Run) -> String {
    const THRESHOLDS: [f64; 7] = [0.0, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99];
    let says_nothing = |k: &usize| truths[*k].len() == 1;
    let (empty, full): (Vec<usize>, Vec<usize>) = (0..truths.len()).partition(says_nothing);
    let mut head = vec!["threshold", "answered", "of these right"];
    if !empty.is_empty() {
        head.push("answered where nothing is to be said");
    }
    let mut table = Table::new(&head);
    for threshold in THRESHOLDS {
        let answers = |k: &&usize| !run.said[**k].is_empty() && run.probabilities[**k] >= threshold;
        let share = |count: usize, of: usize| match of {
            0 => "–".to_owned(),
            _ => percent(count as f64 / of as f64),
        };
        let answered: Vec<&usize> = full.iter().filter(answers).collect();
        let right = answered
            .iter()
            .filter(|&&&k| is_right(&run.said[k], &truths[k]));
        let mut row = vec![
            number(threshold),
            share(answered.len(), full.len()),
            share(right.count(), answered.len()),
        ];
        if !empty.is_empty() {
            row.push(share(empty.iter().filter(answers).count(), empty.len()));
        }
        table.row(&row);
    }
    let body = paragraph(&format!(
        "{}: how probable an answer is by the decoder's own account, the product over its tokens and the end. An answer below the \
         threshold is better not given.",
        run.name
    ));
    section("sureness", "How sure it is", &(body + &table.finish()))
}

fn precisions(
    runs: &[Run],
    reads: &[Source],
    truths: &[Vec<usize>],
    made: &[Vec<Made>; 2],
) -> String {
    let mut table = Table::new(&[
        "format",
        "texts without a mistake",
        "BLEU",
        "next tokens right",
        "bits per token",
        "said as in f32",
        "bytes of both models",
    ]);
    for (k, run) in runs.iter().enumerate() {
        let (bits, accuracy) = match &run.metrics {
            Metrics::Tokens(tokens) => (tokens.bits, tokens.accuracy),
            _ => (f64::NAN, f64::NAN),
        };
        let same = run.said.iter().zip(&runs[0].said);
        let same = same.filter(|(a, b)| a == b).count();
        table.row(&[
            run.name.clone(),
            percent(run.right),
            number(bleu(run.said.iter().zip(truths).map(|(said, truth)| {
                // Without the end.
                (&said[..], &truth[..truth.len() - 1])
            }))),
            percent(accuracy),
            number(bits),
            percent(same as f64 / run.said.len() as f64),
            count(made[0][k].bytes.len() + made[1][k].bytes.len()),
        ]);
    }
    let body = paragraph(
        "Every row was computed by the engine from the bytes of two model files, the decoder's state beginning as the encoder \
         leaves its own, so it is what a device gives. Next tokens and bits are those after the right ones. BLEU counts the \
         runs of one to four tokens that are right (Papineni et al. 2002), from 0 to 1.",
    ) + &table.finish();

    let mut lengths: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (k, read) in reads.iter().enumerate() {
        let steps = match read {
            Source::Tokens(tokens) => tokens.len(),
            Source::Samples(samples) => samples.len(),
        };
        lengths.entry(steps).or_default().push(k);
    }
    let (Some(first), Some(last)) = (lengths.keys().next(), lengths.keys().last()) else {
        return section("precisions", "Precisions", &body);
    };
    if first == last {
        return section("precisions", "Precisions", &body);
    }
    let x = Axis::whole("tokens read", *first, *last);
    let share = |run: &Run, texts: &[usize]| {
        let right = texts
            .iter()
            .filter(|&&k| is_right(&run.said[k], &truths[k]));
        100.0 * right.count() as f64 / texts.len() as f64
    };
    let curve = |run| -> Vec<(f64, f64)> {
        let lengths = lengths.iter();
        lengths
            .map(|(length, of)| (*length as f64, share(run, of)))
            .collect()
    };
    let shares = runs.iter().flat_map(curve).map(|point| point.1);
    let lowest = shares.fold(100.0, f64::min);
    let y = Axis::new("without a mistake, %", (lowest - 5.0).max(0.0), 101.0);
    let mut chart = Chart::new("Texts without a mistake by their length", x, y).height(220.0);
    for (n, run) in runs.iter().enumerate() {
        chart.line(Ink::Series(n), &run.name, curve(run).into_iter());
    }
    let shown = figure(
        &chart.finish(),
        "Texts without a mistake, by the number of tokens that are read; lines on one another are as good.",
    );
    section("precisions", "Precisions", &(body + &shown))
}

fn activations(
    pair: &Pair,
    data: &Dataset,
    part: Part,
    bytes: [&AlignedBytes; 2],
    reads: &[Source],
) -> Result<String> {
    let source = data.source().context("the task has no pairs")?;
    let of_encoder = Stepped {
        package: &pair.encoder,
        data: source,
        part,
        bytes: bytes[0],
    };
    let of_decoder = Stepped {
        package: &pair.decoder,
        data,
        part,
        bytes: bytes[1],
    };
    let of_encoder = of_encoder.activations(|_, _| Ok(()))?;
    let encoder = Model::from_bytes(bytes[0])?;
    let mut state = AlignedBytes::zeroed(encoder.state_len());
    let mut reader = encoder.bind_bytes(&mut state)?;
    let of_decoder = of_decoder.activations(|k, decoder| {
        reader.reset();
        read_on(&mut reader, reads[k].input());
        Ok(decoder.seed_from(&reader)?)
    })?;
    Ok(inside::activations(vec![
        (SIDES[0], of_encoder),
        (SIDES[1], of_decoder),
    ]))
}
