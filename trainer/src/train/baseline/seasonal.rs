//! "As it was a season ago": where a series repeats itself, by day, week or year, this is what a network has to beat.
//!
//! The season is given, or found on the training part as the lag at which the series differs least from itself: of the mean
//! squares `e(s)` of `x(t) − x(t − s)` the deepest valley behind a hill that is half as high again. A series that only
//! wanders has none, and neither has one that does not come again. Of a season and its multiples it is the shortest.

use std::collections::BTreeMap;

use crate::data::{Dataset, Part, Sequence};
use crate::train::evaluate::{LastValue, Now, Predictor};

/// Rows that lags are compared at.
const ROWS: usize = 2_000;
/// Longest season that is looked for, in rows.
const LONGEST: usize = 10_000;
/// A valley is at most so high, relative to the hill before it.
const DEPTH: f64 = 2.0 / 3.0;

/// The value of the same moment of the last season that is known.
pub(super) struct Seasonal<'d> {
    data: &'d Dataset,
    /// For every output where it is, and how many rows before the last sample the value lies.
    places: Vec<(Now, usize)>,
    /// Of columns that are steps the sum up to every row.
    levels: BTreeMap<usize, Vec<f64>>,
    /// Of the next sample; none where nobody said.
    row: Option<usize>,
}

impl<'d> Seasonal<'d> {
    /// For outputs so many rows ahead. None where a target has no current value, or no row one a season before it.
    pub(super) fn new(data: &'d Dataset, season: usize, horizons: &[usize]) -> Option<Self> {
        let last = LastValue::new(data)?;
        if data.longest() <= season {
            return None;
        }
        let now = last.places().iter();
        let back = |horizon: usize| horizon.div_ceil(season).max(1) * season - horizon;
        let places = now.clone().zip(horizons).map(|(&now, &h)| (now, back(h)));
        let steps = now.filter_map(|now| match *now {
            Now::Value(_) => None,
            Now::Steps(column) => Some(column),
        });
        Some(Seasonal {
            data,
            places: places.collect(),
            levels: steps.map(|column| (column, data.summed(column))).collect(),
            row: None,
        })
    }
}

impl Predictor for Seasonal<'_> {
    fn reset(&mut self) {
        self.row = None;
    }

    fn begin(&mut self, sequence: &Sequence<'_>) {
        self.row = Some(sequence.first_row());
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        for (out, &(now, back)) in out.iter_mut().zip(&self.places) {
            // In a group's first season there is only the last value.
            let known = self.row.and_then(|row| self.data.earlier(row, back));
            *out = match now {
                Now::Value(column) => known.unwrap_or(raw)[column],
                Now::Steps(column) => match (self.row, known) {
                    (Some(row), Some(_)) => {
                        let levels = &self.levels[&column];
                        (levels[row - back] - levels[row]) as f32
                    }
                    _ => 0.0,
                },
            };
        }
        self.row = self.row.map(|row| row + 1);
    }
}

/// The season of a column over the training part, in rows.
pub(super) fn season(data: &Dataset, now: Now) -> Option<usize> {
    let counted = |sequence: Sequence<'_>| {
        let first = sequence.first_row();
        let steps = 0..sequence.steps();
        let counted: Vec<usize> = steps.filter(|&t| sequence.counts(t)).collect();
        counted.into_iter().map(move |t| first + t)
    };
    let rows: Vec<usize> = data.sequences(Part::Train).flat_map(counted).collect();
    let levels = match now {
        Now::Value(_) => Vec::new(),
        Now::Steps(column) => data.summed(column),
    };
    let value = |row: usize, sample: &[f32]| match levels.get(row) {
        Some(&level) => level,
        None => f64::from(sample[now.column()]),
    };
    let every = rows.len().div_ceil(ROWS).max(1);
    let differs = |lag: usize| {
        let (mut sum, mut count) = (0.0, 0);
        for &row in rows.iter().step_by(every) {
            if let (Some(now), Some(then)) = (data.earlier(row, 0), data.earlier(row, lag)) {
                sum += (value(row, now) - value(row - lag, then)).powi(2);
                count += 1;
            }
        }
        (2 * every * count >= rows.len()).then(|| sum / f64::from(count as u32))
    };
    let longest = (rows.len() / 2).min(LONGEST);
    let curve: Vec<f64> = (1..=longest).map_while(differs).collect();
    let mut hill = 0f64;
    let mut valleys = Vec::new();
    for (k, &here) in curve.iter().enumerate() {
        let next = curve.get(k + 1).copied().unwrap_or(f64::NEG_INFINITY);
        if k > 0 && here < curve[k - 1] && here <= next && here <= DEPTH * hill {
            valleys.push((k + 1, here));
        }
        hill = hill.max(here);
    }
    // What is a season comes again: where the curve is too short to show that, or does not, it was a chance.
    let again = |&(lag, _): &(usize, f64)| {
        let slack = lag.div_ceil(20);
        let second = (2 * lag).saturating_sub(slack + 1)..(2 * lag + slack).min(curve.len());
        let seen = 2 * lag <= curve.len();
        seen && curve[second].iter().any(|&there| there <= DEPTH * hill)
    };
    valleys.retain(again);
    let deepest = valleys.iter().map(|v| v.1).fold(f64::INFINITY, f64::min);
    let floor = deepest + 0.05 * hill;
    valleys.into_iter().find(|v| v.1 <= floor).map(|v| v.0)
}
