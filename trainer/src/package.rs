//! Everything that goes into a model file besides the numbers of the network: how a raw sample
//! becomes the network's input, and what its output means.

use crate::data::Written;
use crate::net::Network;

/// A network together with what a prediction needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// Short name, shown by `kinglet inspect`.
    pub name: String,
    /// The network in float.
    pub net: Network,
    /// What one step takes.
    pub input: Input,
    /// What one step gives.
    pub output: Output,
    /// When an output counts.
    pub shape: Shape,
    /// When a stream is odd, for a model that watches one.
    pub alarm: Option<Alarm>,
    /// How the data was written that it was trained on.
    pub written: Written,
}

impl Package {
    /// A network that takes numbers `x0`, `x1`, … as they are, and gives `y0`, `y1`, … at every step.
    pub fn of_numbers(name: impl Into<String>, net: Network) -> Self {
        let features = (0..net.input_width()).map(|k| Feature::plain(format!("x{k}")));
        let targets = (0..net.output_width()).map(|k| Target::plain(format!("y{k}")));
        Package {
            name: name.into(),
            input: Input::Features(features.collect()),
            output: Output::Values(targets.collect()),
            shape: Shape::EveryStep,
            alarm: None,
            written: Written::default(),
            net,
        }
    }
}

/// When the smoothed absolute error of a model's predictions is an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// Weight of the newest error in the exponential mean, above 0 and at most 1.
    pub smoothing: f32,
    /// More than this is an alarm.
    pub threshold: f32,
}

impl Alarm {
    /// The one in a model file.
    pub fn of_model(model: &kinglet::Model<'_>) -> Option<Self> {
        Some(Alarm {
            smoothing: model.smoothing()?,
            threshold: model.header().threshold?,
        })
    }
}

/// What one step takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A vector of measurements.
    Features(Vec<Feature>),
    /// One token; its number is its place in this list.
    Tokens(Vec<String>),
}

/// One measured column: raw value `x` enters the network as `(transform(x) − offset) · scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Column name.
    pub name: String,
    /// Unit of the raw value, or empty.
    pub unit: String,
    /// A raw value that is NaN is the stream's last one; before anything else.
    pub hold: bool,
    /// Applied first.
    pub transform: Transform,
    /// Subtracted.
    pub offset: f32,
    /// Multiplied.
    pub scale: f32,
}

impl Feature {
    /// A number that enters the network as it is.
    pub fn plain(name: impl Into<String>) -> Self {
        Feature {
            name: name.into(),
            unit: String::new(),
            hold: false,
            transform: Transform::None,
            offset: 0.0,
            scale: 1.0,
        }
    }
}

/// What happens to a raw value before it is scaled. The columns named here are indices into the
/// feature list; the previous sample is the one given to the step before (after a reset: the
/// sample itself, so differences start at 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// `x`.
    None,
    /// `ln x`.
    Log,
    /// `x − previous[column]`.
    Difference {
        /// Whose previous value is subtracted.
        column: usize,
    },
    /// `ln(x / previous[column])`.
    LogRatio {
        /// By whose previous value it is divided.
        column: usize,
    },
    /// `x`, which is 1 where the raw value of another column is missing.
    Missing {
        /// Which.
        column: usize,
    },
}

/// What one step gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Numbers in the unit of a column.
    Values(Vec<Target>),
    /// One score per class.
    Classes(Vec<String>),
    /// One score for no token, the [blank](crate::transcript::BLANK), and one per token of transcripts, whose places nobody knows.
    Transcript(Vec<String>),
    /// One score per token of the input alphabet (a language model).
    NextToken,
}

/// One predicted number: the network's `y` means `restore(y · scale + offset)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What is predicted.
    pub name: String,
    /// Unit, or empty.
    pub unit: String,
    /// Multiplied first.
    pub scale: f32,
    /// Added.
    pub offset: f32,
    /// Applied last.
    pub restore: Restore,
    /// The input feature that this output is a later value of, so that a forecast can be fed back.
    pub feeds: Option<usize>,
}

impl Target {
    /// A number as the network gives it.
    pub fn plain(name: impl Into<String>) -> Self {
        Target {
            name: name.into(),
            unit: String::new(),
            scale: 1.0,
            offset: 0.0,
            restore: Restore::None,
            feeds: None,
        }
    }

    /// The name of a column so many rows ahead, where a model predicts it at several.
    pub fn at_horizon(column: &str, horizon: usize) -> String {
        format!("{column}+{horizon}")
    }

    /// The name of a quantile: `y_q10`, or `y_q2.5`.
    pub fn at_quantile(name: &str, quantile: f64) -> String {
        // A hundred times 0.07 is not quite 7.
        let percent = (quantile * 1e8).round() / 1e6;
        format!("{name}_q{percent}")
    }

    /// Of a quantile's name the target, and the share below it.
    pub fn quantile_of(name: &str) -> Option<(&str, f64)> {
        let (target, percent) = name.rsplit_once("_q")?;
        Some((target, percent.parse::<f64>().ok()? / 100.0))
    }

    /// The name without the quantile.
    pub fn of_quantile(&self) -> &str {
        without_quantile(&self.name)
    }

    /// The column that is predicted, whatever the horizon and the quantile.
    pub fn column(&self) -> &str {
        Self::parts(&self.name).0
    }

    /// Of an output's name the column that is predicted, and how many rows ahead where the name says it.
    pub fn parts(name: &str) -> (&str, Option<usize>) {
        let name = without_quantile(name);
        let split = name.rsplit_once('+');
        match split.and_then(|(column, horizon)| Some((column, horizon.parse().ok()?))) {
            Some((column, horizon)) => (column, Some(horizon)),
            None => (name, None),
        }
    }
}

fn without_quantile(name: &str) -> &str {
    Target::quantile_of(name).map_or(name, |(target, _)| target)
}

/// Inverse of the target's transform, relative to the current raw sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// `v`.
    None,
    /// `exp v`.
    Exp,
    /// `current[column] + v`.
    AddTo {
        /// Index of the input feature.
        column: usize,
    },
    /// `current[column] · exp v`.
    TimesExp {
        /// Index of the input feature.
        column: usize,
    },
}

/// When an output counts, and when the state starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Many-to-many: an output after every step, the state runs on.
    EveryStep,
    /// Many-to-one: an output after the last of `window` samples.
    Window {
        /// Samples per output.
        window: usize,
        /// Samples from one window's start to the next one's.
        hop: usize,
        /// True: the state starts at zero for every window, as in training, so overlapping windows
        /// are computed anew. False: the state runs on, and a window only says when to look.
        exact: bool,
    },
}
