//! The loop of a device: a sample arrives, the network steps, a prediction leaves.
//!
//! Two streams share one model in flash. The first is stepped with [`kinglet::Runner::step`], raw numbers in and
//! predictions in their unit out. The second gets the same samples quantized and is stepped with
//! [`kinglet::Runner::step_q`], which has no float instruction: its outputs and final state make the digest that is
//! the same on every CPU, and its instructions are counted. Both must end in the same state.

#![no_std]

use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use kinglet::format::Shape;
use kinglet::kernel::Kernels;
use kinglet::{BindError, Digest, LoadError, Model, Runner, State, StateError, TestFailure};

pub mod generate;

pub mod listen;

/// `INPUTS`, `OUTPUTS`, `NAMES`, `CHOICE`, `TOKENS`, `WIDTH` and `SAMPLES`, from the model and its samples.
#[allow(clippy::approx_constant, reason = "measurements may look like 2.718")]
mod samples {
    include!(concat!(env!("OUT_DIR"), "/samples.rs"));
}

pub use samples::{CHOICE, INPUTS, NAMES, OUTPUTS, SAMPLES, TOKENS, WIDTH};

/// The model file, aligned.
pub static MODEL: &[u8] = kinglet::include_model!(env!("MODEL"));

/// The memory of a stream; its size is read from the file at compile time.
pub type PumpState = State<{ kinglet::state_len(MODEL) }>;

/// The memory of both streams, as a static of the device.
#[derive(Debug, Clone)]
pub struct States {
    raw: PumpState,
    quantized: PumpState,
}

impl States {
    /// The start of both.
    pub const fn new() -> Self {
        States {
            raw: PumpState::new(),
            quantized: PumpState::new(),
        }
    }
}

impl Default for States {
    fn default() -> Self {
        Self::new()
    }
}

/// What a board measures a step with.
pub trait Meter {
    /// What [`Self::cost`] counts.
    const UNIT: &'static str;

    /// Does the work and says what it cost.
    fn cost(&mut self, work: impl FnOnce()) -> u32;
}

/// Steps on noise after those on samples: they lead to extreme inputs and states, and must cost the same.
const RANDOM_STEPS: usize = 1000;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// CRC-32 of all integer outputs and the final state.
    pub digest: u32,
    /// Cost of the cheapest step.
    pub least: u32,
    /// Cost of the dearest step; the same number where instructions are counted.
    pub most: u32,
    /// Not every sample has an answer: steps with one cost more than those without.
    pub rare: bool,
}

/// Why a run ended early.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Failure {
    /// The file is damaged.
    Load(LoadError),
    /// The state does not fit the model.
    Bind(BindError),
    /// The file's test vectors give other results here.
    Test(TestFailure),
    /// Encoder and decoder do not belong together.
    Pair(StateError),
    /// The two streams ended in different states.
    Streams,
    /// The text could not be written.
    Text(fmt::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Load(e) => e.fmt(f),
            Failure::Bind(e) => e.fmt(f),
            Failure::Pair(e) => e.fmt(f),
            // Its own message may hold floats, whose formatting takes 20 KB.
            Failure::Test(_) => f.write_str("the file's test vectors give other results here"),
            Failure::Streams => f.write_str("step and step_q ended in different states"),
            Failure::Text(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

impl From<fmt::Error> for Failure {
    fn from(e: fmt::Error) -> Self {
        Failure::Text(e)
    }
}

/// Steps through all samples, writes some predictions and the result.
///
/// # Errors
/// See [`Failure`].
pub fn run<M: Meter>(
    states: &mut States,
    kernels: &'static Kernels,
    meter: &mut M,
    text: &mut impl Write,
) -> Result<Report, Failure> {
    let mut place = MaybeUninit::uninit();
    let model = Model::from_bytes_in(MODEL, &mut place).map_err(Failure::Load)?;
    let mut raw = model.bind(&mut states.raw).map_err(Failure::Bind)?;
    let quantized = model.bind(&mut states.quantized).map_err(Failure::Bind)?;
    let mut quantized = quantized.with_kernels(kernels);
    let test = model.self_test(&mut quantized).map_err(Failure::Test)?;
    writeln!(text, "test    {test}")?;
    raw.reset();
    // A network that answers at the end of a window starts anew with each.
    let window = match model.header().shape {
        Shape::Window {
            window,
            exact: true,
            ..
        } => window as usize,
        _ => 0,
    };

    let mut digest = Digest::new();
    let (mut least, mut most) = (u32::MAX, 0);
    let (mut prediction, mut output) = ([0.0; OUTPUTS], [0; OUTPUTS]);
    for (step, sample) in SAMPLES.iter().enumerate() {
        if window > 0 && step % window == 0 {
            raw.reset();
            quantized.reset();
        }
        if TOKENS {
            raw.step_token(token(sample), &mut prediction);
        } else {
            raw.step(sample, &mut prediction);
        }
        let is_shown = match window {
            0 => step % 50 == 49,
            window => (step + 1) % window == 0,
        };
        if is_shown {
            write_answer(step + 1, &prediction, text)?;
        }

        let cost = if TOKENS {
            let token = token(sample);
            meter.cost(|| quantized.step_token_q(token, &mut output))
        } else {
            let sample = quantize(model, &mut quantized, sample);
            meter.cost(|| quantized.step_q(&sample, &mut output))
        };
        (least, most) = (least.min(cost), most.max(cost));
        digest.add_i16(&output);
    }
    digest.add_bytes(quantized.layer_state());
    if quantized.layer_state() != raw.layer_state() {
        return Err(Failure::Streams);
    }
    let mut random = 1u32;
    for _ in 0..RANDOM_STEPS {
        let sample = core::array::from_fn::<_, WIDTH, _>(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            model.clamp_input(random as i32 >> 16)
        });
        let cost = if TOKENS {
            let token = (random >> 16) as usize % INPUTS;
            meter.cost(|| quantized.step_token_q(token, &mut output))
        } else {
            meter.cost(|| quantized.step_q(&sample, &mut output))
        };
        (least, most) = (least.min(cost), most.max(cost));
    }
    writeln!(text, "steps   {}", SAMPLES.len())?;
    writeln!(text, "table   {}", kernels.name())?;
    writeln!(text, "digest  {digest}")?;
    writeln!(text, "step_q  {least} to {most} {}", M::UNIT)?;
    Ok(Report {
        digest: digest.value(),
        least,
        most,
        rare: model.answers() != [0, 1],
    })
}

/// The number that is predicted, all of several by their names, or of classes and tokens the likeliest.
fn write_answer(step: usize, prediction: &[f32; OUTPUTS], text: &mut impl Write) -> fmt::Result {
    if CHOICE {
        let (mut best, mut most) = (0, prediction[0]);
        for (k, &p) in prediction.iter().enumerate() {
            if p > most {
                (best, most) = (k, p);
            }
        }
        let most = Hundredths(most);
        writeln!(text, "step {step:3}  likeliest {} {most}", NAMES[best])
    } else if OUTPUTS == 1 {
        writeln!(
            text,
            "step {step:3}  prediction {}",
            Hundredths(prediction[0])
        )
    } else {
        write!(text, "step {step:3}")?;
        for (name, &value) in NAMES.iter().zip(prediction) {
            write!(text, "  {name} {}", Hundredths(value))?;
        }
        writeln!(text)
    }
}

/// The number of the token that stands for a sample.
fn token(sample: &[f32; WIDTH]) -> usize {
    sample[0] as usize
}

/// A raw sample as [`kinglet::Runner::step`] fills, transforms and quantizes it.
fn quantize(model: &Model<'_>, net: &mut Runner<'_, '_>, sample: &[f32; WIDTH]) -> [i16; WIDTH] {
    let (mut normalised, mut at) = ([0.0; WIDTH], 0);
    net.normalise(sample, |value| {
        normalised[at] = value;
        at += 1;
    });
    let mut quantized = [0; WIDTH];
    model.quantize_input(&normalised, &mut quantized);
    quantized
}

/// Two decimals, by integers: the formatting of floats takes 20 KB.
struct Hundredths(f32);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.0 < 0.0 { -0.5 } else { 0.5 };
        let n = (self.0 * 100.0 + half) as i32;
        let sign = if n < 0 { "-" } else { "" };
        write!(
            f,
            "{sign}{}.{:02}",
            n.unsigned_abs() / 100,
            n.unsigned_abs() % 100
        )
    }
}
