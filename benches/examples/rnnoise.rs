//! RNNoise's network, whose layers are no chain, beside the crate `nnnoiseless` that its weights come with.
//!
//! ```text
//! features (42) ─ dense ─ GRU 24 ─ dense ─ voice
//! dense, GRU 24, features ─ GRU 48
//! GRU 24, GRU 48, features ─ GRU 96 ─ dense ─ gains (22)
//! ```
//!
//! Every part that is a chain is a model of its own; what several of them get is put together here. GRUs reset before the product,
//! and their candidates are rectified. What surrounds the network is the crate's, but for the way back from gains to sound, which it
//! keeps to itself.
//!
//! ```sh
//! cargo run -p kinglet-benches --example rnnoise -- weights.rnn sound.raw
//! ```
//!
//! with the crate's file `src/weights.rnn` and 16-bit samples at 48 kHz. In f32 voices and sound must be the crate's to within 1e-4,
//! in w8a16 and w8a8 it is told how far they are. With `--release` also how long the networks take for a frame, and the crate.

use anyhow::{Context, Result, ensure};
use kinglet::Model;
use kinglet::format::{Activation, Cell, Format};
use kinglet_benches::{microseconds, part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::net::{Dense, Layer, Network, Recurrent};
use kinglet_trainer::package::Package;
use kinglet_trainer::train::Predictor;
use nnnoiseless::{DenoiseFeatures, DenoiseState, EBAND_5MS, FRAME_SIZE, NB_BANDS, RnnModel};
use std::f32::consts::PI;

/// Bytes that stand for 1/256 each.
struct Weights<'w>(&'w [u8]);

impl Weights<'_> {
    fn bytes(&mut self, count: usize) -> Result<Vec<f32>> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .context("the file ends early")?;
        self.0 = rest;
        Ok(taken.iter().map(|&b| f32::from(b as i8)).collect())
    }

    /// Numbers of a matrix that lies input after input, as rows.
    fn matrix(&mut self, rows: usize, columns: usize) -> Result<Vec<f32>> {
        let bytes = self.bytes(rows * columns)?;
        let at = |k: usize| bytes[k % columns * rows + k / columns] / 256.0;
        Ok((0..rows * columns).map(at).collect())
    }

    fn sizes(&mut self) -> Result<(usize, usize, usize)> {
        let sizes = self.bytes(3)?;
        Ok((sizes[0] as usize, sizes[1] as usize, sizes[2] as usize))
    }

    fn dense(&mut self) -> Result<Layer> {
        let (inputs, outputs, activation) = self.sizes()?;
        let functions = [Activation::Tanh, Activation::Sigmoid, Activation::Relu];
        Ok(Layer::Dense(Dense {
            inputs,
            outputs,
            weight: self.matrix(outputs, inputs)?,
            bias: self.matrix(outputs, 1)?,
            activation: *functions.get(activation).context("no such activation")?,
        }))
    }

    fn gru(&mut self) -> Result<Layer> {
        let (inputs, hidden, activation) = self.sizes()?;
        ensure!(activation == 2, "a GRU whose candidate is not rectified");
        // Here the update gate comes first.
        let exchanged = |mut rows: Vec<f32>| {
            let block = rows.len() / 3;
            let (update, rest) = rows.split_at_mut(block);
            update.swap_with_slice(&mut rest[..block]);
            rows
        };
        Ok(Layer::Recurrent(Recurrent {
            cell: Cell::GruReluResetBefore,
            inputs,
            hidden,
            w_ih: exchanged(self.matrix(3 * hidden, inputs)?),
            w_hh: exchanged(self.matrix(3 * hidden, hidden)?),
            b_ih: exchanged(self.matrix(3 * hidden, 1)?),
            b_hh: vec![0.0; 3 * hidden],
            extra: Vec::new(),
        }))
    }
}

/// The parts: dense; GRU 24; voice; GRU 48; gains.
fn parts(weights: &[u8]) -> Result<[Package; 5]> {
    let mut file = Weights(weights);
    let (dense, first) = (file.dense()?, file.gru()?);
    let (second, third) = (file.gru()?, file.gru()?);
    let (gains, voice) = (file.dense()?, file.dense()?);
    ensure!(file.0.is_empty(), "the file goes on behind its last layer");
    let part = |layers: Vec<Layer>| Package::of_numbers("rnnoise", Network { layers });
    let chains = [
        vec![dense],
        vec![first],
        vec![voice],
        vec![second],
        vec![third, gains],
    ];
    Ok(chains.map(part))
}

/// What every part was given, one step after the other.
type Given = [Vec<f32>; 5];

/// Gives voice and gains of every frame of features, and what every part was given.
fn run(files: &[AlignedBytes], frames: &[Vec<f32>]) -> Result<(Vec<Vec<f32>>, Given)> {
    let models = files.iter().map(|bytes| Model::from_bytes(bytes));
    let models: Vec<Model<'_>> = models.collect::<Result<_, _>>()?;
    let mut parts: Vec<EnginePredictor<'_>> = models.iter().map(EnginePredictor::new).collect();
    let mut given: Given = Default::default();
    let answers = frames.iter().map(|features| {
        let mut step = |part: usize, x: &[f32]| {
            given[part].extend_from_slice(x);
            let mut y = vec![0.0; models[part].outputs()];
            parts[part].step(x, &mut y);
            y
        };
        let dense = step(0, features);
        let first = step(1, &dense);
        let voice = step(2, &first);
        let second = step(3, &[&dense[..], &first, features].concat());
        let gains = step(4, &[&first[..], &second, features].concat());
        [voice, gains].concat()
    });
    Ok((answers.collect(), given))
}

/// From gains to sound, as the crate does it.
struct Synthesis {
    last: [f32; NB_BANDS],
    window: Vec<f32>,
    overlap: Vec<f32>,
    cosines: Vec<f32>,
}

impl Synthesis {
    const WINDOW: usize = 2 * FRAME_SIZE;

    fn new() -> Self {
        let window = (0..Self::WINDOW).map(|i| {
            let sine = (PI * (i as f32 + 0.5) / Self::WINDOW as f32).sin();
            (0.5 * PI * sine * sine).sin()
        });
        let turn = |i: usize| (2.0 * PI * i as f32 / Self::WINDOW as f32).cos();
        Synthesis {
            last: [0.0; NB_BANDS],
            window: window.collect(),
            overlap: vec![0.0; FRAME_SIZE],
            cosines: (0..Self::WINDOW).map(turn).collect(),
        }
    }

    fn frame(&mut self, features: &mut DenoiseFeatures, gains: Option<&[f32]>) -> Vec<f32> {
        if let Some(gains) = gains {
            let mut bands: [f32; NB_BANDS] = core::array::from_fn(|band| gains[band]);
            features.pitch_filter(&bands);
            for (gain, last) in bands.iter_mut().zip(&mut self.last) {
                *gain = gain.max(0.6 * *last);
                *last = *gain;
            }
            let mut of_bins = [0.0; FRAME_SIZE + 1];
            for (ends, gains) in EBAND_5MS.windows(2).zip(bands.windows(2)) {
                let [from, to] = [4 * ends[0], 4 * ends[1]];
                for (k, gain) in of_bins[from..to].iter_mut().enumerate() {
                    let part = k as f32 / (to - from) as f32;
                    *gain = (1.0 - part) * gains[0] + part * gains[1];
                }
            }
            features.x *= &of_bins[..];
        }
        // A sum of cosines and sines, the last one alone at half the rate.
        let bins = features.x.get_frequency_bins();
        let sound: Vec<f32> = (0..Self::WINDOW)
            .map(|n| {
                let each = bins.iter().enumerate().map(|(k, bin)| {
                    let angle = (k + 1) * n % Self::WINDOW;
                    let sine = self.cosines[(angle + 3 * Self::WINDOW / 4) % Self::WINDOW];
                    let both = bin.re * self.cosines[angle] - bin.im * sine;
                    if k + 1 == FRAME_SIZE {
                        0.5 * both
                    } else {
                        both
                    }
                });
                (each.sum::<f32>() + 0.5 * features.x.get_offset()) * self.window[n]
            })
            .collect();
        let (now, next) = sound.split_at(FRAME_SIZE);
        let out = now.iter().zip(&self.overlap).map(|(a, b)| a + b);
        let out = out.collect();
        self.overlap = next.to_vec();
        out
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, sound] = &arguments[..] else {
        anyhow::bail!("usage: rnnoise weights.rnn sound.raw");
    };
    let weights = std::fs::read(weights).with_context(|| weights.clone())?;
    let sound = std::fs::read(sound).with_context(|| sound.clone())?;
    let samples = sound.as_chunks().0.iter();
    let samples: Vec<f32> = samples.map(|b| f32::from(i16::from_le_bytes(*b))).collect();
    let model = RnnModel::from_bytes(&weights).context("the crate cannot read these weights")?;
    let mut original = DenoiseState::from_model(model);
    let mut features = DenoiseFeatures::new();
    // Of every frame what it sounds like, what the crate makes of it, and its features if it is not silent.
    let (mut voices, mut sounds, mut frames, mut analysed) = (vec![], vec![], vec![], vec![]);
    for frame in samples.chunks_exact(FRAME_SIZE) {
        let mut out = vec![0.0; FRAME_SIZE];
        let voice = original.process_frame(&mut out, frame);
        features.shift_and_filter_input(frame);
        let silent = features.compute_frame_features();
        if !silent {
            frames.push(features.features().to_vec());
            voices.push(voice);
        }
        analysed.push((features.clone(), silent));
        sounds.extend(out);
    }
    ensure!(!frames.is_empty(), "nothing but silence");
    if !cfg!(debug_assertions) {
        let all = samples.len() / FRAME_SIZE;
        let mut out = vec![0.0; FRAME_SIZE];
        let whole = microseconds(all, || {
            for frame in samples.chunks_exact(FRAME_SIZE) {
                original.process_frame(&mut out, frame);
            }
        });
        let mut features = DenoiseFeatures::new();
        let analysis = microseconds(all, || {
            for frame in samples.chunks_exact(FRAME_SIZE) {
                features.shift_and_filter_input(frame);
                features.compute_frame_features();
            }
        });
        println!(
            "the crate: {whole:.2} µs a frame, {:.2} without what it looks at in the sound: its network, and the way back to sound",
            whole - analysis
        );
    }
    let loud = sounds.iter().fold(0f32, |m, s| m.max(s.abs()));
    let packages = parts(&weights)?;
    let mut given: Option<Given> = None;
    for format in [Format::F32, Format::W8A16, Format::W8A8] {
        let files = packages.iter().enumerate().map(|(at, package)| {
            let given = given.as_ref().map(|given| &given[at][..]);
            part(package, format, given)
        });
        let files: Vec<AlignedBytes> = files.collect::<Result<_>>()?;
        let (answers, seen) = run(&files, &frames)?;
        given.get_or_insert(seen);
        let mut synthesis = Synthesis::new();
        let mut heard = answers.iter();
        let mut found = Vec::new();
        for (features, silent) in &mut analysed.clone() {
            let answer = if *silent { None } else { heard.next() };
            found.extend(synthesis.frame(features, answer.map(|answer| &answer[1..])));
        }
        let pairs = answers.iter().zip(&voices);
        let voice = pairs.fold(0f32, |m, (answer, voice)| m.max((answer[0] - voice).abs()));
        let pairs = found.iter().zip(&sounds);
        let (mut most, mut power, mut error) = (0f32, 0.0, 0.0);
        for (found, wanted) in pairs {
            most = most.max((found - wanted).abs() / loud);
            power += f64::from(wanted * wanted);
            error += f64::from(found - wanted).powi(2);
        }
        let bytes: usize = files.iter().map(|file| file.len()).sum();
        println!(
            "{}: {} frames, {bytes} bytes; voice differs by at most {voice:.1e}, sound by {most:.1e} of its largest sample and in all by {:.1} dB",
            format.name(),
            frames.len(),
            10.0 * (error / power).log10()
        );
        ensure!(
            format != Format::F32 || (voice <= 1e-4 && most <= 1e-4),
            "further from the crate than 1e-4"
        );
        if !cfg!(debug_assertions) {
            let mut answered = Ok(());
            let time = microseconds(frames.len(), || answered = run(&files, &frames).map(drop));
            answered?;
            println!("{}: {time:.2} µs a frame", format.name());
        }
    }
    Ok(())
}
