//! Encoder and decoder: one network reads a text, the other starts from the state that it is left in and gives another
//! text, token by token, each from the one before (Sutskever et al. 2014). Trained together: the decoder is shown what it
//! should have said so far, and its gradient goes on through the state into the encoder. In training they are one list of
//! layers, the decoder's first; in use they are two model files, joined by [`Runner::seed_from`].

use anyhow::{Context, Result, ensure};
use kinglet::format::{Format, Layout};
use kinglet::{Model, Runner, StateError, argmax};

use super::evaluate::Score;
use super::runner::FloatRunner;
use crate::data::{Dataset, Part, Sequence};
use crate::file::{AlignedBytes, Exported, TestInputs, export_for};
use crate::net::{Activation, Layer, Network};
use crate::package::{Input, Package};
use crate::quant::{Ranges, Stream};
use crate::train::Metrics;

/// Begins and ends what a decoder gives.
const END: usize = 0;
/// Pairs to calibrate with at the most.
const PAIRS: usize = 1000;

/// Decoder and encoder of a network that was trained as a pair.
pub(super) fn split_pair(net: &Network) -> [Network; 2] {
    let softmax =
        |layer: &Layer| matches!(layer, Layer::Dense(d) if d.activation == Activation::Softmax);
    let end = net.layers.iter().position(softmax).map_or(0, |at| at + 1);
    let (decoder, encoder) = net.layers.split_at(end);
    [decoder, encoder].map(|layers| Network {
        layers: layers.to_vec(),
    })
}

/// An error unless a decoder can start from the state that an encoder is left in.
pub(super) fn have_the_same_states(encoder: &Package, decoder: &Package) -> Result<()> {
    let states = |net: &Network| -> Vec<_> {
        let layers = net.layers.iter().filter_map(|layer| match layer {
            Layer::Recurrent(r) => Some((r.cell, r.hidden)),
            _ => None,
        });
        layers.collect()
    };
    ensure!(
        states(&encoder.net) == states(&decoder.net),
        "{} and {} are no pair: their recurrent layers differ in number, cell or width",
        encoder.name,
        decoder.name
    );
    Ok(())
}

/// A trained pair with what belongs to it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Reads.
    pub encoder: Package,
    /// Answers.
    pub decoder: Package,
    /// Of encoder and decoder.
    pub(crate) ranges: [Ranges; 2],
    tests: [TestInputs; 2],
}

impl Pair {
    /// Of a trained network; `None` if the data has no pairs. Calibrates both on the training part, the decoder from
    /// the states that the encoder leaves.
    pub fn new(package: &Package, data: &Dataset) -> Option<Self> {
        let source = data.source()?;
        let [decoder, encoder] = split_pair(&package.net);
        let mut encoder = source.package(encoder);
        let mut decoder = data.package(decoder);
        encoder.name += "-encoder";
        decoder.name += "-decoder";
        Self::join(encoder, decoder, data).ok()
    }

    /// Of two networks that were trained on such data, as [`Pair::new`].
    ///
    /// # Errors
    /// If the data has no pairs, or a state of the encoder has no place in the decoder.
    ///
    /// # Panics
    /// If a network has another vocabulary than the data.
    pub fn join(encoder: Package, decoder: Package, data: &Dataset) -> Result<Self> {
        let source = data.source().context("the data has no pairs")?;
        let [read, said]: [Vec<Stream>; 2] = [source, data].map(|data| {
            let sequences = data.sequences(Part::Train).take(PAIRS);
            sequences.map(|sequence| Stream::of(&sequence)).collect()
        });
        Self::calibrated(encoder, decoder, [&read, &said])
    }

    /// Of two networks by themselves and texts: what is read, and what should be said to it, both as tokens and without an end.
    ///
    /// # Errors
    /// If a state of the encoder has no place in the decoder.
    pub fn of_texts(encoder: Package, decoder: Package, texts: &[[Vec<usize>; 2]]) -> Result<Self> {
        let every = texts.len().div_ceil(PAIRS).max(1);
        let streams = |stream: fn(&[Vec<usize>; 2]) -> Vec<usize>| -> Vec<Stream> {
            let texts = texts.iter().step_by(every).map(stream);
            texts.map(Stream::Tokens).collect()
        };
        let read = streams(|[read, _]| read.clone());
        let said = streams(|[_, said]| begun(said));
        Self::calibrated(encoder, decoder, [&read, &said])
    }

    /// By what the encoder reads and the decoder is shown.
    fn calibrated(
        encoder: Package,
        decoder: Package,
        [read, said]: [&[Stream]; 2],
    ) -> Result<Self> {
        have_the_same_states(&encoder, &decoder)?;
        let of_encoder = Ranges::measure(&encoder.net, read);
        let mut reader = FloatRunner::new(&encoder.net);
        let of_decoder = Ranges::measure_from(&decoder.net, said, |k, runner| {
            reader.reset();
            for x in read[k].steps(&encoder.net) {
                reader.step(&x);
            }
            runner.seed_from(&reader);
        });
        let mut ranges = [of_encoder, of_decoder];
        // A state goes from one network into the other, so both must hold it in the same range, and be slow if one is.
        let [a, b] = &mut ranges;
        let recurrent = |(layer, range)| matches!(layer, &Layer::Recurrent(_)).then_some(range);
        let a = encoder.net.layers.iter().zip(&mut a.layers);
        let b = decoder.net.layers.iter().zip(&mut b.layers);
        for (a, b) in a.filter_map(recurrent).zip(b.filter_map(recurrent)) {
            a.hold_with(b);
        }
        let tests = [(&encoder, read), (&decoder, said)];
        let tests = tests.map(|(package, streams)| TestInputs::of(package, streams));
        Ok(Pair {
            encoder,
            decoder,
            ranges,
            tests,
        })
    }

    /// The files of encoder and decoder.
    ///
    /// # Errors
    /// If weights cannot be represented.
    pub fn export(&self, layout: Layout, format: Format) -> Result<[Exported; 2]> {
        let [of_encoder, of_decoder] = &self.ranges;
        let [read, said] = &self.tests;
        Ok([
            export_for(layout, &self.encoder, format, Some(of_encoder), read)?,
            export_for(layout, &self.decoder, format, Some(of_decoder), said)?,
        ])
    }
}

/// What a decoder says, and how likely that is by its own account: the product of the probabilities of its tokens and of
/// the end, which is 0 where it did not come to an end.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Without the end.
    pub tokens: Vec<usize>,
    /// From 0 to 1.
    pub probability: f64,
}

/// What a decoder says to what its encoder reads, which begins anew: `longest` tokens at the most, always the likeliest.
///
/// # Errors
/// If the two are no pair.
pub fn translate(
    encoder: &mut Runner<'_, '_>,
    decoder: &mut Runner<'_, '_>,
    read: Read<'_>,
    longest: usize,
) -> Result<Answer, StateError> {
    encoder.reset();
    read_on(encoder, read);
    answer(encoder, decoder, longest)
}

/// What a decoder says to all that its encoder has read since a reset: `longest` tokens at the most, always the likeliest.
///
/// # Errors
/// If the two are no pair.
pub fn answer(
    encoder: &Runner<'_, '_>,
    decoder: &mut Runner<'_, '_>,
    longest: usize,
) -> Result<Answer, StateError> {
    decoder.seed_from(encoder)?;
    let mut scores = vec![0.0; decoder.model().outputs()];
    let mut answer = Answer {
        tokens: Vec::new(),
        probability: 1.0,
    };
    let mut token = END;
    for _ in 0..=longest {
        decoder.step_token(token, &mut scores);
        token = argmax(&scores);
        answer.probability *= f64::from(scores[token]);
        if token == END {
            return Ok(answer);
        }
        answer.tokens.push(token);
    }
    answer.tokens.truncate(longest);
    answer.probability = 0.0;
    Ok(answer)
}

/// What an encoder reads.
#[derive(Debug, Clone, Copy)]
pub enum Read<'a> {
    /// Of a text.
    Tokens(&'a [usize]),
    /// In original units, one behind the other.
    Samples(&'a [f32]),
}

/// Lets an encoder read on, from the state that it is in.
pub fn read_on(encoder: &mut Runner<'_, '_>, read: Read<'_>) {
    let mut states = vec![0.0; encoder.model().outputs()];
    match read {
        Read::Tokens(tokens) => {
            for &token in tokens {
                encoder.step_token(token, &mut states);
            }
        }
        Read::Samples(samples) => {
            for sample in samples.chunks_exact(encoder.model().inputs()) {
                encoder.step(sample, &mut states);
            }
        }
    }
}

/// What an encoder reads, as a model takes it.
pub(crate) enum Source {
    Tokens(Vec<usize>),
    Samples(Vec<f32>),
}

impl Source {
    pub(crate) fn of(sequence: &Sequence<'_>, input: &Input) -> Self {
        let raw = (0..sequence.steps()).flat_map(|t| sequence.raw(t).iter().copied());
        match input {
            Input::Tokens(_) => Source::Tokens(raw.map(|token| token as usize).collect()),
            Input::Features(_) => Source::Samples(raw.collect()),
        }
    }

    pub(crate) fn input(&self) -> Read<'_> {
        match self {
            Source::Tokens(tokens) => Read::Tokens(tokens),
            Source::Samples(samples) => Read::Samples(samples),
        }
    }
}

/// How good a pair of models is on a part: the decoder's next tokens after the right ones, and the share of texts that it
/// gives without a mistake when left alone.
///
/// # Errors
/// If the two are no pair.
pub fn evaluate_pair(
    data: &Dataset,
    part: Part,
    models: [&Model<'_>; 2],
) -> Result<(Metrics, f64)> {
    let mut scores = vec![0.0; data.outputs()];
    let mut score = Score::new(data);
    let (mut right, mut all) = (0, 0);
    each_pair(data, part, models, |encoder, decoder, source, target| {
        let truth = (0..target.steps()).map(|t| target.truth(t)[0] as usize);
        let said = translate(encoder, decoder, source, data.window())?;
        all += 1;
        right += usize::from(truth.eq(said.tokens.into_iter().chain([END])));
        decoder.seed_from(encoder)?;
        for t in 0..target.steps() {
            decoder.step_token(target.raw(t)[0] as usize, &mut scores);
            score.add(&scores, target.truth(t));
        }
        Ok(())
    })?;
    Ok((score.metrics(data.output()), right as f64 / f64::from(all)))
}

/// The decoder's scores of all next tokens after the right ones, of so many steps at the most.
///
/// # Errors
/// If the two are no pair.
pub(crate) fn answers_of_pair(
    models: [&Model<'_>; 2],
    pairs: impl Iterator<Item = (Source, Vec<usize>)>,
    most: usize,
) -> Result<Vec<f32>> {
    let mut scores = vec![0.0; models[1].outputs()];
    let (mut all, mut steps) = (Vec::new(), 0);
    with_runners(models, |encoder, decoder| {
        for (source, shown) in pairs {
            if steps >= most {
                break;
            }
            encoder.reset();
            read_on(encoder, source.input());
            decoder.seed_from(encoder)?;
            for &token in &shown {
                decoder.step_token(token, &mut scores);
                all.extend_from_slice(&scores);
            }
            steps += shown.len();
        }
        Ok(all)
    })
}

/// What a part of a data set has encoders read, and what it then shows their decoders.
pub(crate) fn pairs_of(data: &Dataset, part: Part) -> impl Iterator<Item = (Source, Vec<usize>)> {
    let sources = data.source().into_iter();
    sources.flat_map(move |source| {
        let pairs = source.sequences(part).zip(data.sequences(part));
        pairs.map(|(read, target)| {
            let shown = (0..target.steps()).map(|t| target.raw(t)[0] as usize);
            (Source::of(&read, source.input()), shown.collect())
        })
    })
}

/// What a pair says to each of these texts: so many tokens at the most.
///
/// # Errors
/// If the two are no pair.
pub fn translate_all<'t>(
    models: [&Model<'_>; 2],
    texts: impl Iterator<Item = &'t [usize]>,
    longest: usize,
) -> Result<Vec<Vec<usize>>> {
    with_runners(models, |encoder, decoder| {
        let said = |text| translate(encoder, decoder, Read::Tokens(text), longest);
        let said = texts.map(said).map(|said| Ok(said?.tokens));
        said.collect()
    })
}

/// What a decoder is shown that should say this.
pub(crate) fn begun(said: &[usize]) -> Vec<usize> {
    [&[END], said].concat()
}

/// Both models, a text to read and what should be said, for every pair of texts.
fn each_pair(
    data: &Dataset,
    part: Part,
    models: [&Model<'_>; 2],
    mut with: impl FnMut(
        &mut Runner<'_, '_>,
        &mut Runner<'_, '_>,
        Read<'_>,
        &Sequence<'_>,
    ) -> Result<()>,
) -> Result<()> {
    let Some(source) = data.source() else {
        return Ok(());
    };
    with_runners(models, |encoder, decoder| {
        for (read, target) in source.sequences(part).zip(data.sequences(part)) {
            let read = Source::of(&read, source.input());
            with(encoder, decoder, read.input(), &target)?;
        }
        Ok(())
    })
}

/// Encoder and decoder, to be run.
fn with_runners<T>(
    models: [&Model<'_>; 2],
    work: impl FnOnce(&mut Runner<'_, '_>, &mut Runner<'_, '_>) -> Result<T>,
) -> Result<T> {
    let [encoder, decoder] = models;
    let mut states = models.map(|model| AlignedBytes::zeroed(model.state_len()));
    let [a, b] = &mut states;
    let (mut encoder, mut decoder) = (encoder.bind_bytes(a)?, decoder.bind_bytes(b)?);
    work(&mut encoder, &mut decoder)
}
