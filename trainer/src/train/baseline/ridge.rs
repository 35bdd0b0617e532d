//! Linear regression on the last samples, as the network gets them: `(XᵀX + λI) w = Xᵀ y`, centred, with the λ that is best on
//! the validation part (Hoerl, Kennard 1970). What it cannot do is what a network is for.

use std::collections::VecDeque;

use crate::data::normalise::{hold, normalise, restore};
use crate::data::{Dataset, Part};
use crate::package::{Feature, Input, Output, Target};
use crate::train::evaluate::Predictor;
use crate::train::least_squares::solve;

/// Most coefficients of an output: with more the solution takes longer than the network.
const COEFFICIENTS: usize = 256;
/// Rows that it is fitted on.
const ROWS: usize = 20_000;
/// Strengths to choose from.
const LAMBDAS: [f64; 6] = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0];

/// A fitted regression.
pub(super) struct Ridge {
    features: Vec<Feature>,
    targets: Vec<Target>,
    /// Numbers that it looks at.
    inputs: usize,
    /// For every output the weight of each of them.
    weights: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
    /// The last samples, normalised.
    seen: VecDeque<f32>,
    held: Vec<f32>,
    previous: Vec<f32>,
}

/// Rows of inputs and of goals.
struct Rows {
    inputs: Vec<Vec<f32>>,
    goals: Vec<Vec<f32>>,
}

impl Rows {
    /// Of a part: the last numbers before every output, and what it should be.
    fn of(data: &Dataset, part: Part, inputs: usize) -> Self {
        let places: Vec<_> = data
            .sequences(part)
            .flat_map(|sequence| {
                let counted = (0..sequence.steps()).filter(move |&t| sequence.counts(t));
                counted.map(move |t| (sequence, t))
            })
            .filter(|&(_, t)| (t + 1) * data.input_width() >= inputs)
            .collect();
        let every = places.len().div_ceil(ROWS).max(1);
        let mut rows = Rows {
            inputs: Vec::new(),
            goals: Vec::new(),
        };
        for &(sequence, t) in places.iter().step_by(every) {
            let samples = t + 1 - inputs / data.input_width()..=t;
            let sample = samples.flat_map(|t| sequence.normalised(t).to_vec());
            rows.inputs.push(sample.collect());
            let goal = data.goal_row(sequence.first_row() + t);
            rows.goals.push(goal.to_vec());
        }
        rows
    }
}

impl Ridge {
    /// None for labels and tokens, and where there are fewer rows than coefficients.
    pub(super) fn fit(data: &Dataset) -> Option<Self> {
        let (Input::Features(features), Output::Values(targets)) = (data.input(), data.output())
        else {
            return None;
        };
        let samples = data.window().min(COEFFICIENTS / features.len()).max(1);
        let inputs = samples * features.len();
        let train = Rows::of(data, Part::Train, inputs);
        if train.inputs.len() <= inputs || inputs > 2 * COEFFICIENTS {
            return None;
        }
        let valid = Rows::of(data, Part::Valid, inputs);
        let moments = Moments::of(&train);
        let fits = LAMBDAS.iter().filter_map(|&lambda| {
            let weights = solve(&moments.square, lambda, &moments.cross)?;
            let mut ridge = Ridge {
                features: features.clone(),
                targets: targets.clone(),
                inputs,
                intercepts: moments.intercepts(&weights),
                weights,
                seen: VecDeque::new(),
                held: Vec::new(),
                previous: Vec::new(),
            };
            let error = ridge.squares(&valid);
            ridge.reset();
            Some((error, ridge))
        });
        let best = fits.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(best.1)
    }

    /// Samples that it looks at.
    pub(super) fn samples(&self) -> usize {
        self.inputs / self.features.len()
    }

    fn output(&self, k: usize, x: impl Iterator<Item = f32>) -> f64 {
        let terms = self.weights[k].iter().zip(x);
        self.intercepts[k] + terms.map(|(w, x)| w * f64::from(x)).sum::<f64>()
    }

    fn squares(&self, rows: &Rows) -> f64 {
        let of_row = |(x, goals): (&Vec<f32>, &Vec<f32>)| {
            let goals = goals.iter().enumerate();
            goals
                .map(|(k, &goal)| (self.output(k, x.iter().copied()) - f64::from(goal)).powi(2))
                .sum::<f64>()
        };
        rows.inputs.iter().zip(&rows.goals).map(of_row).sum()
    }
}

impl Predictor for Ridge {
    fn reset(&mut self) {
        self.seen.clear();
        self.held.clear();
        self.previous.clear();
    }

    fn step(&mut self, raw: &[f32], out: &mut [f32]) {
        hold(&self.features, raw, &mut self.held);
        if self.previous.is_empty() {
            self.previous.clone_from(&self.held);
        }
        let mut sample = vec![0.0; self.features.len()];
        normalise(&self.features, &self.held, &self.previous, &mut sample);
        self.previous.clone_from(&self.held);
        // Before there are enough, the first one stands for those that are missing.
        loop {
            self.seen.extend(&sample);
            if self.seen.len() >= self.inputs {
                break;
            }
        }
        self.seen.drain(..self.seen.len() - self.inputs);
        for (k, out) in out.iter_mut().enumerate() {
            *out = self.output(k, self.seen.iter().copied()) as f32;
        }
        restore(&self.targets, &self.held, out);
    }
}

/// Means, and the products of what is left without them.
struct Moments {
    of_inputs: Vec<f64>,
    of_goals: Vec<f64>,
    /// `[inputs, inputs]`
    square: Vec<f64>,
    /// `[outputs, inputs]`
    cross: Vec<Vec<f64>>,
}

impl Moments {
    fn of(rows: &Rows) -> Self {
        let (of_inputs, of_goals) = (means(&rows.inputs), means(&rows.goals));
        let centred = |rows: &[Vec<f32>], means: &[f64]| -> Vec<f64> {
            let row = |row: &Vec<f32>| -> Vec<f64> {
                let pairs = row.iter().zip(means);
                pairs.map(|(&x, mean)| f64::from(x) - mean).collect()
            };
            rows.iter().flat_map(row).collect()
        };
        let x = centred(&rows.inputs, &of_inputs);
        let y = centred(&rows.goals, &of_goals);
        let (count, inputs, outputs) = (rows.inputs.len(), of_inputs.len(), of_goals.len());
        let mut square = vec![0.0; inputs * inputs];
        let mut cross = vec![vec![0.0; inputs]; outputs];
        for row in 0..count {
            let x = &x[row * inputs..][..inputs];
            let y = &y[row * outputs..][..outputs];
            for (i, &a) in x.iter().enumerate() {
                // The lower half says everything.
                let line = &mut square[i * inputs..][..=i];
                line.iter_mut().zip(x).for_each(|(sum, b)| *sum += a * b);
            }
            for (cross, y) in cross.iter_mut().zip(y) {
                cross.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * y);
            }
        }
        Moments {
            of_inputs,
            of_goals,
            square,
            cross,
        }
    }

    fn intercepts(&self, weights: &[Vec<f64>]) -> Vec<f64> {
        let of = |(weights, mean): (&Vec<f64>, &f64)| {
            let terms = weights.iter().zip(&self.of_inputs);
            mean - terms.map(|(w, x)| w * x).sum::<f64>()
        };
        weights.iter().zip(&self.of_goals).map(of).collect()
    }
}

fn means(rows: &[Vec<f32>]) -> Vec<f64> {
    let mut sums = vec![0.0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        sums.iter_mut()
            .zip(row)
            .for_each(|(s, &x)| *s += f64::from(x));
    }
    sums.iter().map(|sum| sum / rows.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.9.1: `Ridge(alpha=1.0).fit(X, Y)` and `alpha=100`.
    #[test]
    fn coefficients_are_those_of_scikit_learn() {
        let x = [
            [1.0, 2.0, -1.0],
            [0.5, -1.0, 3.0],
            [2.0, 0.0, 0.5],
            [-1.5, 1.0, 1.0],
            [3.0, -2.0, 0.0],
        ];
        let y = [
            [1.0, -2.0],
            [2.5, 0.0],
            [-1.0, 4.0],
            [0.5, 1.5],
            [3.0, -0.5],
        ];
        let rows = Rows {
            inputs: x.iter().map(|row| row.to_vec()).collect(),
            goals: y.iter().map(|row| row.to_vec()).collect(),
        };
        let moments = Moments::of(&rows);
        for (lambda, expected, intercepts) in GOLDEN {
            let weights = solve(&moments.square, lambda, &moments.cross).unwrap();
            for (k, expected) in expected.iter().enumerate() {
                for (weight, expected) in weights[k].iter().zip(expected) {
                    assert!(
                        (weight - expected).abs() < 1e-7,
                        "{lambda}: {weight} {expected}"
                    );
                }
            }
            for (intercept, expected) in moments.intercepts(&weights).iter().zip(intercepts) {
                assert!((intercept - expected).abs() < 1e-7, "{lambda}: {intercept}");
            }
        }
    }

    type Golden = (f64, [[f64; 3]; 2], [f64; 2]);

    const GOLDEN: [Golden; 2] = [
        (
            1.0,
            [
                [-0.129179795, -0.642748247, -0.073787987],
                [0.070027442, 0.043551174, 0.389724566],
            ],
            [1.380831385, 0.257165362],
        ),
        (
            100.0,
            [
                [0.020207642, -0.052721347, 0.019851483],
                [-0.006459839, -0.012877127, 0.030568769],
            ],
            [1.16589632, 0.585061701],
        ),
    ];
}
