//! The voice detector `earshot`, whose network is read from the crate's weights, beside the crate itself.
//!
//! ```text
//! 40 mel bands of 3 frames ─ conv 16, relu ─ max of 3 ─ conv 16, relu ─ conv 16 ─ minGRU 64 ─ minGRU 64
//! both minGRUs ─ dense ─ voice
//! ```
//!
//! Convolutions go along the bands. The largest of three positions is taken here, between two models; all else is in them. Gates are
//! hard. The crate holds the minGRUs in integers (states of 2^-15, rounded down at every step) and all else in floats. Its equations are here
//! once more: rounded as there they must give its numbers, and not rounded those of the engine in f32, to within 1e-4.
//!
//! ```sh
//! cargo run -p kinglet-benches --example earshot -- weights.bin sound.raw
//! ```
//!
//! with the crate's file `src/weights.bin` and 16-bit samples at 16 kHz. With `--release` it tells how long a frame takes, and the crate's network.

use anyhow::{Context, Result, ensure};
use earshot::{DefaultPredictor, Detector, Predictor};
use kinglet::Model;
use kinglet::format::{Activation, Cell, Combine, ConvShape, Format};
use kinglet_benches::{ROUNDS, microseconds, part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::net::{Conv, Dense, Join, Layer, Network, Recurrent};
use kinglet_trainer::package::Package;
use kinglet_trainer::train::Predictor as _;
use std::cell::{self, RefCell};
use std::time::{Duration, Instant};

/// Samples of a frame.
const FRAME: usize = 256;
const BANDS: usize = 40;
const FRAMES: usize = 3;
const FILTERS: usize = 16;
const UNITS: usize = 64;
/// Positions of the first convolution, and how many are left of them.
const WIDE: usize = BANDS - 2;
const POOLED: usize = (WIDE - 3) / 2 + 1;

/// The weights, in the order of the file.
struct Weights<'w>(&'w [u8]);

impl Weights<'_> {
    fn bytes(&mut self, count: usize) -> Result<&[u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .context("the file ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>> {
        let words = self.bytes(4 * count)?.as_chunks().0.iter();
        Ok(words.map(|&word| f32::from_le_bytes(word)).collect())
    }

    /// Integers of 2^-9.
    fn ninths(&mut self, count: usize) -> Result<Vec<f32>> {
        let words = self.bytes(2 * count)?.as_chunks().0.iter();
        Ok(words
            .map(|&word| f32::from(i16::from_le_bytes(word)) / 512.0)
            .collect())
    }

    /// A filter for each channel, and sums over the channels: together one convolution, `[filter][row][channel]`.
    fn separable(&mut self, bias: bool) -> Result<(Vec<f32>, Vec<f32>)> {
        let rows = self.floats(3 * FILTERS)?;
        let sums = self.floats(FILTERS * FILTERS)?;
        let weight = (0..FILTERS * 3 * FILTERS).map(|k| {
            let (filter, row, channel) = (k / (3 * FILTERS), k / FILTERS % 3, k % FILTERS);
            sums[filter * FILTERS + channel] * rows[channel * 3 + row]
        });
        let weight = weight.collect();
        let bias = if bias {
            self.floats(FILTERS)?
        } else {
            vec![0.0; FILTERS]
        };
        Ok((weight, bias))
    }

    /// Candidates come first there, and a gate is four times its sum, held within 0 and 1.
    fn mingru(&mut self, inputs: usize) -> Result<Layer> {
        let mut w_ih = self.ninths(2 * UNITS * inputs)?;
        w_ih.rotate_left(UNITS * inputs);
        w_ih[..UNITS * inputs].iter_mut().for_each(|w| *w *= 16.0);
        let mut b_ih = vec![0.0; 2 * UNITS];
        b_ih[..UNITS].fill(-2.0);
        Ok(Layer::Recurrent(Recurrent {
            cell: Cell::MinGruHard,
            inputs,
            hidden: UNITS,
            w_ih,
            w_hh: Vec::new(),
            b_ih,
            b_hh: Vec::new(),
            extra: Vec::new(),
        }))
    }
}

fn conv(shape: ConvShape, (weight, bias): (Vec<f32>, Vec<f32>), activation: Activation) -> Layer {
    Layer::Conv(Conv {
        dense: Dense {
            inputs: shape.taps(),
            outputs: FILTERS,
            weight,
            bias,
            activation,
        },
        shape,
    })
}

/// Every second position of three, of rows beside one another.
fn every_second(rows: usize, after: u16) -> ConvShape {
    ConvShape {
        rows: rows as u16,
        stride: 2,
        before: 1,
        after,
        ..ConvShape::causal(FILTERS as u16, 3, 1)
    }
}

/// What scales the bands; and the two models, and of the second one its convolutions alone.
fn parts(weights: &[u8]) -> Result<(Vec<f32>, [Package; 3])> {
    let mut file = Weights(weights);
    let scale = file.floats(BANDS)?;
    // A filter over bands and frames, and what each channel makes of it.
    let (kernel, factors, bias) = (
        file.floats(9)?,
        file.floats(FILTERS)?,
        file.floats(FILTERS)?,
    );
    let weight = (0..FILTERS * 9).map(|k| {
        let (filter, band, frame) = (k / 9, k / 3 % 3, k % 3);
        factors[filter] * kernel[frame * 3 + band]
    });
    let first = ConvShape {
        rows: BANDS as u16,
        past: false,
        before: 0,
        ..ConvShape::causal(FRAMES as u16, 3, 1)
    };
    let ears = vec![conv(first, (weight.collect(), bias), Activation::Relu)];
    let second = ConvShape {
        past: false,
        ..every_second(POOLED, 0)
    };
    let third = ConvShape {
        past: false,
        ..every_second(POOLED / 2, 1)
    };
    let second = conv(second, file.separable(true)?, Activation::Relu);
    let third = conv(third, file.separable(false)?, Activation::Identity);
    let inputs = FILTERS * (POOLED / 2).div_ceil(2);
    let grus = [file.mingru(inputs)?, file.mingru(UNITS)?];
    let weight = file.ninths(2 * UNITS)?;
    ensure!(file.0.is_empty(), "the file goes on behind its last layer");
    let [one, two] = grus;
    let both = Join {
        width: UNITS,
        kept: UNITS,
        with: 0,
        how: Combine::Prepend,
    };
    let voice = Dense {
        inputs: 2 * UNITS,
        outputs: 1,
        weight,
        bias: vec![0.0],
        activation: Activation::Sigmoid,
    };
    let mind = vec![
        second,
        third,
        one,
        Layer::Keep(UNITS),
        two,
        Layer::Join(both),
        Layer::Dense(voice),
    ];
    let part = |layers| Package::of_numbers("earshot", Network { layers });
    let between = mind[..2].to_vec();
    Ok((scale, [part(ears), part(mind), part(between)]))
}

/// The crate's own ears: what its network would be given.
struct Ears<'e> {
    scale: &'e [f32],
    heard: &'e RefCell<Vec<Vec<f32>>>,
}

impl Predictor for Ears<'_> {
    fn reset(&mut self) {}

    fn normalize(&self, features: &mut [f32]) {
        let power = features.iter().map(|x| x * x).sum::<f32>() / features.len() as f32;
        let scale = self.scale.iter();
        features
            .iter_mut()
            .zip(scale)
            .for_each(|(x, scale)| *x = scale * *x * power.sqrt().recip());
    }

    fn predict(&mut self, features: &[f32], _: &mut [f32]) -> f32 {
        // Band after band, as rows of a sample lie.
        let bands = (0..BANDS)
            .flat_map(|band| (0..FRAMES).map(move |frame| features[frame * BANDS + band]));
        self.heard.borrow_mut().push(bands.collect());
        0.0
    }
}

/// The crate's network, and how long it takes.
struct Timed<'t> {
    network: DefaultPredictor,
    elapsed: &'t cell::Cell<Duration>,
}

impl Predictor for Timed<'_> {
    fn reset(&mut self) {
        self.network.reset();
    }

    fn normalize(&self, features: &mut [f32]) {
        self.network.normalize(features);
    }

    fn predict(&mut self, features: &[f32], buffer: &mut [f32]) -> f32 {
        let start = Instant::now();
        let voice = self.network.predict(features, buffer);
        self.elapsed.set(self.elapsed.get() + start.elapsed());
        voice
    }
}

/// Microseconds that the crate's network takes for a frame, in the quickest of some rounds.
fn microseconds_of_crate(samples: &[i16]) -> f64 {
    let round = |_| {
        let elapsed = cell::Cell::new(Duration::ZERO);
        let mut detector = Detector::new(Timed {
            network: DefaultPredictor::new(),
            elapsed: &elapsed,
        });
        let frames = samples.chunks_exact(FRAME);
        let count = frames.len() as f64;
        frames.for_each(|frame| {
            detector.predict_i16(frame);
        });
        1e6 * elapsed.get().as_secs_f64() / count
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// The crate's minGRUs and what is behind them, with its integers or without, from what the convolutions give: 2^-24 is 1 in a sum.
fn original(weights: &[u8], given: &[Vec<f32>], rounded: bool) -> Result<Vec<f32>> {
    let words = weights
        .as_chunks()
        .0
        .iter()
        .map(|&word| f64::from(i16::from_le_bytes(word)));
    let words: Vec<f64> = words.collect();
    let inputs = given.first().map_or(0, Vec::len);
    let (grus, voice) = words[words.len() - 2 * UNITS * (inputs + UNITS + 1)..]
        .split_at(2 * UNITS * (inputs + UNITS));
    let (one, two) = grus.split_at(2 * UNITS * inputs);
    let whole = |x: f64| if rounded { x.round() } else { x };
    let down = |x: f64| if rounded { x.floor() } else { x };
    let step = |x: &[f64], h: &mut [f64], w: &[f64]| {
        let sum = |row: usize| {
            x.iter()
                .zip(&w[row * x.len()..])
                .map(|(x, w)| x * w)
                .sum::<f64>()
        };
        for (unit, h) in h.iter_mut().enumerate() {
            const ONE: f64 = 16_777_215.0;
            let gate = (4.0 * sum(UNITS + unit)).clamp(0.0, ONE);
            let mixed = (ONE - gate) * *h * 512.0 + gate * sum(unit);
            *h = down(mixed / 2f64.powi(33)).clamp(-32768.0, 32767.0);
        }
    };
    let mut states = [[0.0; UNITS]; 2];
    let voices = given.iter().map(|x| {
        let x: Vec<f64> = x
            .iter()
            .map(|&x| whole(f64::from(x) * 32768.0).clamp(-32768.0, 32767.0))
            .collect();
        let [first, second] = &mut states;
        step(&x, first, one);
        step(first, second, two);
        let sum = states
            .as_flattened()
            .iter()
            .zip(voice)
            .map(|(h, w)| h * w)
            .sum::<f64>();
        (1.0 / (1.0 + (-sum / 2f64.powi(24)).exp())) as f32
    });
    Ok(voices.collect())
}

/// How far the farthest of two numbers are apart.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// The largest of three positions, at every second one.
fn largest(x: &[f32]) -> Vec<f32> {
    let at = |position: usize, filter: usize| x[position * FILTERS + filter];
    let of = |k: usize| {
        let (position, filter) = (2 * (k / FILTERS), k % FILTERS);
        (1..3).fold(at(position, filter), |most, n| {
            most.max(at(position + n, filter))
        })
    };
    (0..POOLED * FILTERS).map(of).collect()
}

/// The answers of two models, one behind the other, and what either was given.
fn run(files: &[AlignedBytes], heard: &[Vec<f32>]) -> Result<(Vec<f32>, [Vec<f32>; 2])> {
    let models = files.iter().map(|bytes| Model::from_bytes(bytes));
    let models: Vec<Model<'_>> = models.collect::<Result<_, _>>()?;
    let mut networks: Vec<EnginePredictor<'_>> = models.iter().map(EnginePredictor::new).collect();
    let (mut given, mut voices) = ([Vec::new(), Vec::new()], Vec::new());
    for frame in heard {
        let mut step = |part: usize, x: &[f32]| {
            given[part].extend_from_slice(x);
            let mut y = vec![0.0; models[part].outputs()];
            networks[part].step(x, &mut y);
            y
        };
        let wide = step(0, frame);
        voices.extend(step(1, &largest(&wide)));
    }
    Ok((voices, given))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, sound] = &arguments[..] else {
        anyhow::bail!("usage: earshot weights.bin sound.raw");
    };
    let weights = std::fs::read(weights).with_context(|| weights.clone())?;
    let sound = std::fs::read(sound).with_context(|| sound.clone())?;
    let samples = sound.as_chunks().0.iter();
    let samples: Vec<i16> = samples.map(|&sample| i16::from_le_bytes(sample)).collect();
    let (scale, packages) = parts(&weights)?;
    let heard = RefCell::new(Vec::new());
    let mut ears = Detector::new(Ears {
        scale: &scale,
        heard: &heard,
    });
    let mut detector = Detector::new(DefaultPredictor::new());
    let frames = samples.chunks_exact(FRAME);
    let expected: Vec<f32> = frames
        .map(|frame| {
            ears.predict_i16(frame);
            detector.predict_i16(frame)
        })
        .collect();
    let heard = heard.into_inner();
    ensure!(
        !heard.is_empty(),
        "{sound_len} bytes are no frame",
        sound_len = sound.len()
    );
    let (models, between) = packages.split_at(2);
    let float = |package| part(package, Format::F32, None);
    let (sums, _) = run(&[float(&models[0])?, float(&between[0])?], &heard)?;
    let width = between[0].net.output_width();
    let sums: Vec<Vec<f32>> = sums.chunks_exact(width).map(<[f32]>::to_vec).collect();
    let [integers, exact] = [true, false].map(|rounded| original(&weights, &sums, rounded));
    let (integers, exact) = (integers?, exact?);
    let most = apart(&integers, &expected);
    println!(
        "the crate's equations: within {most:.1e} of the crate as it rounds, within {:.1e} without rounding",
        apart(&exact, &expected)
    );
    ensure!(most <= 1e-4, "these are not its equations");
    if !cfg!(debug_assertions) {
        println!(
            "the crate's network: {:.2} µs a frame",
            microseconds_of_crate(&samples)
        );
    }

    let mut given: Option<[Vec<f32>; 2]> = None;
    for format in [Format::F32, Format::W8A16, Format::W8A8] {
        let files = models.iter().enumerate().map(|(at, package)| {
            let given = given.as_ref().map(|given| &given[at][..]);
            part(package, format, given)
        });
        let files: Vec<AlignedBytes> = files.collect::<Result<_>>()?;
        let (voices, seen) = run(&files, &heard)?;
        given.get_or_insert(seen);
        let most = apart(&voices, &exact);
        let pairs = voices.iter().zip(&expected);
        let same = pairs.filter(|(a, b)| (**a >= 0.5) == (**b >= 0.5)).count() as f64
            / voices.len() as f64;
        println!(
            "{}: {} frames; voice within {most:.1e} of the equations, {:.1e} of the crate; its decision in {:.2} %",
            format.name(),
            voices.len(),
            apart(&voices, &expected),
            100.0 * same
        );
        ensure!(
            format != Format::F32 || most <= 1e-4,
            "further from the equations than 1e-4"
        );
        ensure!(same >= 0.99, "other decisions than the crate's");
        if !cfg!(debug_assertions) {
            let mut answered = Ok(());
            let time = microseconds(heard.len(), || answered = run(&files, &heard).map(drop));
            answered?;
            println!("{}: {time:.2} µs a frame", format.name());
        }
    }
    Ok(())
}
