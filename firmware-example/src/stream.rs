//! The loop of a device: a sample arrives, the network steps, a prediction leaves.
//!
//! Two streams share one model in flash. The first is stepped with [`kinglet::Runner::step`], raw numbers in and
//! predictions in their unit out. The second gets the same samples quantized and is stepped with
//! [`kinglet::Runner::step_q`], which has no float instruction: its outputs and final state make the digest that is
//! the same on every CPU, and its instructions are counted. Both must end in the same state.

#![no_std]

use core::fmt::{self, Write};
use kinglet::format::FeatureTransform;
use kinglet::kernel::Kernels;
use kinglet::{BindError, Digest, LoadError, Model, State, TestFailure};

/// `INPUTS`, `OUTPUTS` and `SAMPLES`, from the files in `model/`.
#[allow(clippy::approx_constant, reason = "measurements may look like 2.718")]
mod samples {
    include!(concat!(env!("OUT_DIR"), "/samples.rs"));
}

pub use samples::{INPUTS, OUTPUTS, SAMPLES};

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
    /// A transform of the samples needs floats or a memory: only [`kinglet::Runner::step`] has them.
    Transform {
        /// The feature.
        index: usize,
    },
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
            // Its own message may hold floats, whose formatting takes 20 KB.
            Failure::Test(_) => f.write_str("the file's test vectors give other results here"),
            Failure::Transform { index } => {
                write!(
                    f,
                    "feature {index} has a transform, which step_q leaves to its caller"
                )
            }
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
    let model = Model::from_bytes(MODEL).map_err(Failure::Load)?;
    for (index, feature) in model.features().iter().enumerate() {
        if feature.transform != FeatureTransform::None as u32 {
            return Err(Failure::Transform { index });
        }
    }
    let mut raw = model.bind(&mut states.raw).map_err(Failure::Bind)?;
    let quantized = model.bind(&mut states.quantized).map_err(Failure::Bind)?;
    let mut quantized = quantized.with_kernels(kernels);
    model.self_test(&mut quantized).map_err(Failure::Test)?;
    raw.reset();

    let mut digest = Digest::new();
    let (mut least, mut most) = (u32::MAX, 0);
    let (mut prediction, mut output) = ([0.0; OUTPUTS], [0; OUTPUTS]);
    for (step, sample) in SAMPLES.iter().enumerate() {
        raw.step(sample, &mut prediction);
        if step % 50 == 49 {
            writeln!(
                text,
                "step {:3}  prediction {}",
                step + 1,
                Hundredths(prediction[0])
            )?;
        }

        let sample = quantize(&model, sample);
        let cost = meter.cost(|| quantized.step_q(&sample, &mut output));
        (least, most) = (least.min(cost), most.max(cost));
        digest.add_i16(&output);
    }
    digest.add_bytes(quantized.layer_state());
    if quantized.layer_state() != raw.layer_state() {
        return Err(Failure::Streams);
    }
    let mut random = 1u32;
    for _ in 0..RANDOM_STEPS {
        let sample = core::array::from_fn::<_, INPUTS, _>(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            model.clamp_input(random as i32 >> 16)
        });
        let cost = meter.cost(|| quantized.step_q(&sample, &mut output));
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
    })
}

/// A raw sample as [`kinglet::Runner::step`] quantizes it.
fn quantize(model: &Model<'_>, sample: &[f32; INPUTS]) -> [i16; INPUTS] {
    let mut normalised = *sample;
    for (x, feature) in normalised.iter_mut().zip(model.features()) {
        *x = (*x - feature.offset) * feature.scale;
    }
    let mut quantized = [0; INPUTS];
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
