//! Training by hand-written back-propagation through time.
//!
//! [`pass`] runs a few sequences forward and backward, [`fit`](fn@fit) turns the gradients of many such
//! shards into steps, [`evaluate`](fn@evaluate) says how good the result is, and [`FloatRunner`] is the
//! network written out plainly, which everything faster is compared with.

mod baseline;
mod batches;
mod checkpoint;
mod continued;
pub mod ctc;
mod error;
mod evaluate;
mod fit;
pub mod gemm;
pub mod init;
pub(crate) mod least_squares;
pub mod loss;
pub mod optimiser;
pub mod pair;
pub mod params;
pub mod pass;
mod plan;
mod progress;
mod quantized;
pub mod real;
mod runner;
mod step;
pub(crate) mod vectorise;
mod window;

pub use self::baseline::{Baseline, baselines, nearest_text, rule_wins};
pub use self::checkpoint::{CheckpointError, is_checkpoint};
pub use self::continued::{network_for, pair_for};
pub use self::error::FitError;
pub use self::evaluate::{
    ClassMetrics, LastValue, Majority, Metrics, Predictor, QuantileMetrics, TokenMetrics,
    TranscriptMetrics, ValueMetrics, evaluate, evaluate_parts,
};
pub(crate) use self::evaluate::{Score, known};
pub use self::fit::{fit, fit_from, fit_on, fit_pair_quantized, fit_quantized};
pub use self::plan::{LANE_WINDOWS, SHARD, lanes};
pub use self::progress::{Fitted, Options, Progress};
pub use self::runner::{FloatPredictor, FloatRunner, generate};
pub use self::window::{Seen, run_window};
