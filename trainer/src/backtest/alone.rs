//! What a back-test could reach at most: the models' steps alone, from samples that lie in memory. They are measured between
//! the chunks of rows, as the speed of a machine that others use too changes from second to second.

use std::time::{Duration, Instant};

use anyhow::Result;
use kinglet::Model;
use kinglet::format::Feature;

use super::together::Bytes;
use super::{Pair, TOGETHER};
use crate::file::AlignedBytes;

/// How long each time.
const LASTING: Duration = Duration::from_millis(100);

/// Steps by [`step_batch`](kinglet::Batch::step_batch) on all cores.
pub struct Alone<'p, 'a> {
    pair: &'p Pair<'a>,
    steps: u64,
    /// All the time that was measured.
    pub elapsed: Duration,
}

impl<'p, 'a> Alone<'p, 'a> {
    /// Before the first.
    pub fn new(pair: &'p Pair<'a>) -> Self {
        Alone {
            pair,
            steps: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// Steps both models for a while.
    ///
    /// # Errors
    /// If a model takes tokens.
    pub fn measure(&mut self) -> Result<()> {
        let pair = self.pair;
        let start = Instant::now();
        let steps = rayon::broadcast(|_| -> Result<u64> {
            let mut steps = 0;
            let states = |k: usize| {
                let state = |_| AlignedBytes::zeroed(pair.models[k].state_len());
                (0..TOGETHER).map(state).collect::<Vec<_>>()
            };
            let mut states = [states(0), states(1)];
            let mut states = states
                .each_mut()
                .map(|all| all.iter_mut().map(Bytes).collect::<Vec<_>>());
            let x = [0, 1].map(|k| samples(pair.models[k]));
            let mut y = [0, 1].map(|k| vec![0.0; TOGETHER * pair.models[k].outputs()]);
            while start.elapsed() < LASTING {
                for k in 0..2 {
                    let mut batch = pair.models[k].bind_batch(&mut states[k])?;
                    for _ in 0..64 {
                        batch.step_batch(&x[k], &mut y[k]);
                    }
                }
                steps += 2 * 64 * TOGETHER as u64;
            }
            Ok(steps)
        });
        for steps in steps {
            self.steps += steps?;
        }
        self.elapsed += start.elapsed();
        Ok(())
    }

    /// Of both models.
    pub fn steps_per_second(&self) -> f64 {
        self.steps as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Samples about where a model expects them.
fn samples(model: &Model<'_>) -> Vec<f32> {
    let features = model.features();
    let sample = |stream: usize| {
        let nth = move |(k, feature): (usize, &Feature)| {
            let unit = ((stream * 7 + k * 3) % 11) as f32 / 5.0 - 1.0;
            feature.offset + unit / feature.scale
        };
        features.iter().enumerate().map(nth)
    };
    (0..TOGETHER).flat_map(sample).collect()
}
