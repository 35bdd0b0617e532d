//! Integer models beside their f32 original, over 100,000 steps and over 1,000,000: the error must not grow.
//!
//! An error that stays in the state adds up, step by step; one that is forgotten does not. So what is compared is
//! the error over the last steps with that over as many first ones.
//! `cargo test --release -p kinglet-trainer --test drift -- --ignored --nocapture` prints a table.

#[allow(dead_code, reason = "only the flags are needed here")]
mod shown;

use kinglet::format::Format;
use kinglet::{Model, Runner};
use kinglet_trainer::file::{AlignedBytes, TestInputs, export};
use kinglet_trainer::import::read;
use kinglet_trainer::net::{Cell, Layer};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use std::path::Path;

/// Golden networks of PyTorch, and one of each cell that PyTorch does not have.
const NETWORKS: [&str; 13] = [
    "rnn_tanh_1_5x17",
    "rnn_relu_1_5x17",
    "lstm_1_5x17",
    "lstm_2_7x13",
    "gru_1_5x17",
    "gru_2_7x13",
    "gru_before_1_5x17",
    "gru_before_2_7x13",
    "lstm_coupled",
    "lstm_peephole",
    "fastgrnn",
    "mingru",
    "mingru_tanh",
];
/// With the largest error of all steps, in parts of the outputs' spread.
const FORMATS: [(Format, f64); 3] = [
    (Format::W8A16, 0.02),
    (Format::W8A8, 0.08),
    (Format::W4A8, 0.25),
];
/// Steps that the ranges are measured on.
const CALIBRATION: usize = 20_000;

fn package(name: &str) -> Package {
    let cell = match name {
        "lstm_coupled" => Cell::LstmCoupled,
        "lstm_peephole" => Cell::LstmPeephole,
        "fastgrnn" => Cell::FastGrnn,
        "mingru" => Cell::MinGru,
        "mingru_tanh" => Cell::MinGruTanh,
        _ => return golden(name),
    };
    let mut package = golden("lstm_1_5x17");
    let mut made = network(5, &[LayerPlan::Recurrent(cell, 17)], &mut Rng::new(1));
    std::mem::swap(&mut package.net.layers[0], &mut made.layers[0]);
    package
}

fn golden(name: &str) -> Package {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/golden");
    let flags = match name {
        name if name.starts_with("rnn_tanh") => "--ignore __ --nonlinearity tanh",
        name if name.starts_with("rnn_relu") => "--ignore __ --nonlinearity relu",
        name if name.starts_with("gru_before") => "--ignore __ --gru-reset before",
        _ => "--ignore __",
    };
    let path = folder.join(name).with_extension("safetensors");
    read(&path, &shown::options(flags)).unwrap().package
}

/// Cells that can remember for tens of thousands of steps.
const SLOW: [(Cell, &str); 8] = [
    (Cell::Lstm, "LSTM"),
    (Cell::LstmCoupled, "LSTM with coupled gates"),
    (Cell::LstmPeephole, "LSTM with peepholes"),
    (Cell::GruResetAfter, "GRU"),
    (Cell::GruResetBefore, "GRU with reset before the product"),
    (Cell::FastGrnn, "FastGRNN"),
    (Cell::MinGru, "minGRU"),
    (Cell::MinGruTanh, "minGRU with tanh"),
];
/// Their largest errors.
const SLOW_FORMATS: [(Format, f64); 2] = [(Format::W8A16, 0.05), (Format::W8A8, 0.10)];

/// A layer whose units forget a thirty thousandth of their state in a step.
fn slow(cell: Cell) -> Package {
    let mut package = golden("lstm_1_5x17");
    let mut made = network(5, &[LayerPlan::Recurrent(cell, 17)], &mut Rng::new(2));
    let Layer::Recurrent(r) = &mut made.layers[0] else {
        unreachable!()
    };
    // Where gate and candidate share a sum it is the candidate's size, and ν no more than what is forgotten.
    let of_input = if cell == Cell::FastGrnn { 1.0 } else { 0.02 };
    if cell == Cell::FastGrnn {
        r.set_mix([0.9, 1e-5]);
    }
    let mut set = |gate: usize, bias: f32| {
        for row in gate * 17..(gate + 1) * 17 {
            r.b_ih[row] = bias;
            r.w_ih[row * 5..(row + 1) * 5]
                .iter_mut()
                .for_each(|w| *w *= of_input);
        }
        let state_rows = r.b_hh.len();
        for row in (gate * 17..(gate + 1) * 17).take_while(|row| *row < state_rows) {
            r.b_hh[row] = 0.0;
            r.w_hh[row * 17..(row + 1) * 17]
                .iter_mut()
                .for_each(|w| *w *= 0.02);
        }
    };
    // σ(10.31) = 1 − 1 / 30,000.
    match cell {
        Cell::Lstm | Cell::LstmPeephole => {
            set(0, -9.5);
            set(1, 10.31);
        }
        Cell::LstmCoupled | Cell::FastGrnn => set(0, 10.31),
        Cell::MinGru | Cell::MinGruTanh => set(0, -10.31),
        _ => set(1, 10.31),
    }
    if cell == Cell::LstmPeephole {
        r.extra.iter_mut().for_each(|p| *p *= 0.02);
    }
    std::mem::swap(&mut package.net.layers[0], &mut made.layers[0]);
    package
}

/// Slow and fast waves with noise, as a sensor gives them, within about ±2.
struct Signal {
    /// How many times slower the waves are.
    slower: f64,
    noise: u32,
    step: usize,
    sample: Vec<f32>,
}

impl Signal {
    fn new(width: usize, slower: f64) -> Self {
        Signal {
            slower,
            noise: 1,
            step: 0,
            sample: vec![0.0; width],
        }
    }

    fn next(&mut self) -> &[f32] {
        for (channel, x) in self.sample.iter_mut().enumerate() {
            self.noise = self
                .noise
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            let white = (self.noise >> 8) as f64 / (1 << 24) as f64 - 0.5;
            let phase = self.step as f64 * (0.003 + 0.002 * channel as f64) / self.slower;
            *x = (phase.sin() + 0.4 * (17.0 * phase).sin() + 0.6 * white) as f32;
        }
        self.step += 1;
        &self.sample
    }
}

/// Root of the mean square.
#[derive(Debug, Clone, Copy, Default)]
struct Rms {
    squares: f64,
    count: usize,
}

impl Rms {
    fn add(&mut self, value: f64) {
        self.squares += value * value;
        self.count += 1;
    }

    fn value(self) -> f64 {
        (self.squares / self.count as f64).sqrt()
    }
}

/// Errors over the first 10,000 steps, the last, and all of them.
#[derive(Debug, Clone, Copy, Default)]
struct Errors {
    first: Rms,
    last: Rms,
    whole: Rms,
}

/// Steps all formats side by side; checks and prints their errors.
fn drift(steps: usize) {
    let ends = ENDS;
    println!("| network | format | all {steps} steps | first {ends} | last {ends} |");
    println!("|---|---|---|---|---|");
    for name in NETWORKS {
        let shown = format!("`{name}`");
        run(&shown, &package(name), steps, (1.0, CALIBRATION), &FORMATS);
    }
    for (cell, name) in SLOW {
        // The state starts at zero, where it has no error yet; by then it has gone once around.
        let name = format!("{name}, 30,000 steps");
        run(&name, &slow(cell), steps, (40.0, 100_000), &SLOW_FORMATS);
    }
}

/// Steps at the beginning and at the end that are compared.
const ENDS: usize = 10_000;

fn run(
    name: &str,
    package: &Package,
    steps: usize,
    (slower, calibration): (f64, usize),
    tried: &[(Format, f64)],
) {
    let ends = ENDS;
    let width = package.net.input_width();
    let mut signal = Signal::new(width, slower);
    let calibration = (0..calibration).flat_map(|_| signal.next().to_vec());
    let calibration = Stream::Samples(calibration.collect());
    let ranges = Ranges::measure(&package.net, [&calibration]);
    let tests = TestInputs::synthetic(package);
    let formats = [Format::F32]
        .into_iter()
        .chain(tried.iter().map(|(f, _)| *f));
    let files = formats.map(|format| {
        let exported = export(package, format, Some(&ranges), &tests);
        exported.unwrap().bytes
    });
    let files: Vec<AlignedBytes> = files.collect();
    let models = files.iter().map(|file| Model::from_bytes(file).unwrap());
    let models: Vec<Model<'_>> = models.collect();
    let states = models.iter().map(|m| AlignedBytes::zeroed(m.state_len()));
    let mut states: Vec<AlignedBytes> = states.collect();
    let pairs = models.iter().zip(&mut states);
    let runners = pairs.map(|(model, state)| model.bind_bytes(state).unwrap());
    let mut runners: Vec<Runner<'_, '_>> = runners.collect();

    let mut errors = vec![Errors::default(); tried.len()];
    let outputs = models[0].outputs();
    let (mut float, mut y) = (vec![0.0; outputs], vec![0.0; outputs]);
    // Of the float outputs: sum and sum of squares.
    let (mut sum, mut squares) = (0.0, Rms::default());
    let mut signal = Signal::new(width, slower);
    for step in 0..steps {
        let sample = signal.next();
        runners[0].step_raw(sample, &mut float);
        for &y in &float {
            sum += f64::from(y);
            squares.add(f64::from(y));
        }
        for (runner, errors) in runners[1..].iter_mut().zip(&mut errors) {
            runner.step_raw(sample, &mut y);
            for (&a, &b) in float.iter().zip(&y) {
                let error = f64::from(a) - f64::from(b);
                errors.whole.add(error);
                if step < ends {
                    errors.first.add(error);
                } else if step >= steps - ends {
                    errors.last.add(error);
                }
            }
        }
    }
    let mean = sum / squares.count as f64;
    let spread = (squares.value().powi(2) - mean * mean).sqrt();
    for ((format, bound), errors) in tried.iter().zip(errors) {
        let [whole, first, last] =
            [errors.whole, errors.first, errors.last].map(|rms| rms.value() / spread);
        let percent = [whole, first, last].map(|share| format!("{:.2} %", 100.0 * share));
        println!("| {name} | `{}` | {} |", format.name(), percent.join(" | "));
        let case = format!("{name} {}", format.name());
        let grows = slower == 1.0 && last > 1.2 * first;
        assert!(!grows, "{case}: {first} grew to {last}");
        assert!(whole <= *bound, "{case}: {whole} of the spread");
    }
}

#[test]
fn integer_models_do_not_drift_from_f32() {
    drift(100_000);
}

#[test]
#[ignore = "half a minute in debug: run with --release"]
fn integer_models_do_not_drift_from_f32_over_a_million_steps() {
    drift(1_000_000);
}
