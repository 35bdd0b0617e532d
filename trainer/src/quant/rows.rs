//! Rows of a matrix as integer weights, an i32 bias and an i32 multiplier.
//!
//! With weights `w ≈ scale · q`, inputs `x = 2^-frac · u` and `sum = bias_q + Σ q u`, the engine computes
//! `z = (sum · 2^shift · m + 2^31) >> 32` in units of `2^-out_frac`, so `m = scale · 2^(out_frac − frac + 32 − shift)`.
//!
//! Where a weight goes among the integers is decided by what it does to the sum, not by how near it is. With [`Moments`] of
//! the row's inputs the error of a row is known for any choice: its mean goes into the bias, its variance is `dᵀ C d` for
//! the differences `d` of the weights. For a range of scales, down to half of what the largest weight asks for, rounding one weight
//! after the other and coordinate descent find weights whose errors cancel, and the best scale is taken. That makes the
//! error of a network's outputs two to three times less than the nearest integers do (demo, RMS difference from f32 over the test part:
//! 0.054 to 0.033 °C in w8a8, 0.045 to 0.017 in w8a16, 0.55 to 0.26 in w4a8). The parts by themselves, in w4a8: clipping by
//! `dᵀ C d` alone changes little, correcting the bias brings 10 %, descent the rest. A second correction of the output's bias, by running the
//! engine, was not worth it: of the squared error that is left, the mean makes 2 to 4 %.
//!
//! Without moments a row is rounded to the nearest integers. In eight bits its largest weight then sets the scale; in
//! four bits, where a row has fifteen values, the few large weights are clipped by as much as makes the squared differences
//! least.
//!
//! [`Moments`]: super::Moments

use super::Limits;
use super::descent::{round_at, round_rows};
use super::moments::{Spread, dot};
use anyhow::{Result, bail};
use kinglet::kernel::SHIFT_A8;

/// A row in float: its weights over input and state, where its sum starts, and what its inputs are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub x: &'a [f32],
    pub h: &'a [f32],
    pub bias: f32,
    /// None: all inputs count alike.
    pub inputs: Option<&'a Spread>,
    /// What one step of a weight stands for, where that is settled.
    pub scale: Option<f64>,
}

impl Row<'_> {
    pub(super) fn weights(&self) -> Vec<f64> {
        self.x
            .iter()
            .chain(self.h)
            .copied()
            .map(f64::from)
            .collect()
    }

    pub(super) fn largest(&self) -> f64 {
        self.weights().iter().fold(0.0, |max, w| w.abs().max(max))
    }

    fn differences(&self, scale: f64, integers: &[f64]) -> Vec<f64> {
        let pairs = integers.iter().zip(self.weights());
        pairs.map(|(q, w)| q * scale - w).collect()
    }

    /// Where the sum starts so that these integers err by nothing in the mean.
    fn start(&self, scale: f64, integers: &[f64]) -> f64 {
        let mean = |inputs: &Spread| dot(&inputs.mean, &self.differences(scale, integers));
        f64::from(self.bias) - self.inputs.map_or(0.0, mean)
    }
}

/// Rows with one shift in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub x: Vec<Vec<i8>>,
    pub h: Vec<Vec<i8>>,
    pub bias: Vec<i32>,
    pub m: Vec<i32>,
    pub scale: Vec<f64>,
    pub shift: u8,
    /// log2 of 1 / LSB of the matrix inputs.
    frac: i32,
}

/// Below this a row's multiplier would have too few digits.
pub(super) const MIN_SCALE: f64 = 1e-6;

impl Rows {
    /// Quantizes rows whose inputs have `frac` fraction bits and stay within `limits`, for pre-activations
    /// with `out_frac` fraction bits.
    pub(crate) fn quantize(
        rows: &[Row<'_>],
        frac: i32,
        out_frac: i32,
        limits: Limits,
    ) -> Result<Rows> {
        let finite = |row: &Row<'_>| row.largest().is_finite() && row.bias.is_finite();
        if !rows.iter().all(finite) {
            bail!("a weight or bias is not finite: the network has diverged");
        }
        let mut rounded = round_rows(rows, limits.w);
        // Packed rows want this shift. It costs the multipliers eight bits of about thirty, which moves
        // a pre-activation by a quarter of its LSB at the most.
        let mut preferred = if frac == 7 { SHIFT_A8 as i32 } else { 0 };
        loop {
            let largest = rounded.iter().map(|row| row.scale).fold(0.0, f64::max);
            let exponent = out_frac - frac + 32;
            let shift = (0..=31)
                .find(|shift| largest * 2f64.powi(exponent - shift) < (i32::MAX - 1) as f64);
            let Some(shift) = shift else {
                bail!(
                    "weights up to {:.0} are too large for integer rows",
                    largest * f64::from(limits.w)
                );
            };
            let shift = shift.max(preferred);
            let mut quantized = Rows {
                shift: shift as u8,
                frac,
                ..Rows::default()
            };
            let mut overflows = false;
            for (row, rounded) in rows.iter().zip(&mut rounded) {
                let (scale, integers) = (rounded.scale, &rounded.integers);
                let start = row.start(scale, integers);
                let mut x: Vec<i8> = integers.iter().map(|&q| q as i8).collect();
                let h = x.split_off(row.x.len());
                let bias = (start / scale * 2f64.powi(frac)).round();
                let reach = |w: &[i8], limit: i64| {
                    w.iter().map(|&w| (w as i64).abs() * limit).sum::<i64>() as f64
                };
                let worst = bias.abs() + reach(&x, limits.x) + reach(&h, limits.h);
                if worst * 2f64.powi(shift) >= i32::MAX as f64 {
                    if preferred > 0 {
                        overflows = true;
                        break;
                    }
                    // A coarser row has a smaller sum for the same value.
                    *rounded = round_at(row, limits.w, scale * 1.5);
                    overflows = true;
                    continue;
                }
                quantized
                    .m
                    .push((scale * 2f64.powi(exponent - shift)).round() as i32);
                quantized.bias.push(bias as i32);
                quantized.scale.push(scale);
                quantized.x.push(x);
                quantized.h.push(h);
            }
            if !overflows {
                return Ok(quantized);
            }
            preferred = 0;
            if rounded.iter().any(|row| row.scale > 1e12) {
                bail!("no scale keeps the sums of a layer below 2^31");
            }
        }
    }
}

/// What the integers stand for.
impl Rows {
    /// Weights of a row over the input.
    pub(crate) fn x_row(&self, row: usize) -> Vec<f32> {
        self.x[row]
            .iter()
            .map(|&w| self.scale[row] as f32 * f32::from(w))
            .collect()
    }

    /// Weights of a row over the state.
    pub(crate) fn h_row(&self, row: usize) -> Vec<f32> {
        self.h[row]
            .iter()
            .map(|&w| self.scale[row] as f32 * f32::from(w))
            .collect()
    }

    /// Where a row's sum starts.
    pub(crate) fn bias(&self, row: usize) -> f32 {
        (f64::from(self.bias[row]) * self.scale[row] * 2f64.powi(-self.frac)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::super::Moments;
    use super::*;

    const LIMITS: Limits = Limits {
        w: 127,
        x: 2048,
        h: 128,
    };

    /// Value that the engine's arithmetic gives a row for inputs in LSBs.
    fn value(rows: &Rows, row: usize, x: &[i32], h: &[i32]) -> f64 {
        let dot = |w: &[i8], u: &[i32]| {
            w.iter()
                .zip(u)
                .map(|(&w, &u)| w as i64 * u as i64)
                .sum::<i64>()
        };
        let sum = rows.bias[row] as i64 + dot(&rows.x[row], x) + dot(&rows.h[row], h);
        let sum = i32::try_from(sum << rows.shift).unwrap();
        kinglet::num::mulhi_round(sum, rows.m[row]) as f64 / 4096.0
    }

    #[test]
    fn quantized_rows_compute_the_float_sum() {
        let rows = [
            Row {
                x: &[0.5, -0.25],
                h: &[0.125, 0.9],
                bias: 0.3,
                inputs: None,
                scale: None,
            },
            Row {
                x: &[30.0, -4.0],
                h: &[3.0, 1.0],
                bias: -20.0,
                inputs: None,
                scale: None,
            },
            Row {
                x: &[0.0, 0.0],
                h: &[0.0, 0.0],
                bias: 2.0,
                inputs: None,
                scale: None,
            },
        ];
        let q = Rows::quantize(&rows, 7, 12, LIMITS).unwrap();
        let (x, h) = ([100, -64], [127, -20]);
        for (i, row) in rows.iter().enumerate() {
            let dot = |w: &[f32], u: &[i32]| {
                w.iter()
                    .zip(u)
                    .map(|(w, u)| w * *u as f32 / 128.0)
                    .sum::<f32>()
            };
            let exact = (row.bias + dot(row.x, &x) + dot(row.h, &h)) as f64;
            let largest = row.x.iter().chain(row.h).fold(0f32, |m, w| m.max(w.abs())) as f64;
            let got = value(&q, i, &x, &h);
            assert!(
                (got - exact).abs() < 0.01 * largest + 1e-3,
                "row {i}: {got} for {exact}"
            );
        }
    }

    #[test]
    fn clipping_makes_four_bit_rows_finer() {
        // One large weight among many small ones, and equal weights, which gain nothing.
        let mut w = [0.1, -0.12, 0.08, 0.11, -0.09].repeat(20);
        w.push(1.0);
        let [uneven, even] = [&w[..], &[0.5, -0.5]].map(|x| Row {
            x,
            h: &[],
            bias: 0.0,
            inputs: None,
            scale: None,
        });
        let limits = Limits { w: 7, ..LIMITS };
        let q = Rows::quantize(&[uneven, even], 7, 12, limits).unwrap();
        assert!(q.scale[0] < 0.9 / 7.0, "{}", q.scale[0]);
        assert_eq!((q.x[0][100], q.x[1][0], q.x[1][1]), (7, 7, -7));
        assert!(q.x.iter().flatten().all(|w| (-7..=7).contains(w)));
        let error = |scale: f64| -> f32 {
            let scale = scale as f32;
            let rounded = |w: f32| (w / scale).round().clamp(-7.0, 7.0) * scale;
            w.iter().map(|&w| (w - rounded(w)).powi(2)).sum()
        };
        assert!(error(q.scale[0]) < error(1.0 / 7.0));
    }

    /// Inputs that vary together, and not about zero: what nearest integers are bad at.
    #[test]
    fn known_inputs_make_errors_small_and_their_mean_nothing() {
        const WIDTH: usize = 24;
        let mut noise = 7u32;
        let mut white = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let weights: Vec<f32> = (0..10 * WIDTH).map(|_| white()).collect();
        let mut moments = Moments::new(WIDTH);
        let mut samples = Vec::new();
        for _ in 0..500 {
            let common = 0.3 + white();
            let sample: Vec<f32> = (0..WIDTH).map(|_| common + 0.2 * white()).collect();
            moments.meet(&sample);
            samples.push(sample);
        }
        moments.settle();
        let spread = moments.of(0..WIDTH);
        for w in [127, 7] {
            // Mean and root of the mean square over samples, the latter over rows too.
            let [nearest, descended] = [None, Some(&spread)].map(|inputs| {
                let rows = weights.chunks_exact(WIDTH);
                let rows: Vec<Row<'_>> = rows.map(|row| row_of(row, inputs)).collect();
                let q = Rows::quantize(&rows, 12, 12, Limits { w, ..LIMITS }).unwrap();
                let (mut worst, mut squares) = (0f64, 0.0);
                for (k, row) in rows.iter().enumerate() {
                    let values = [q.x_row(k), q.h_row(k)].concat();
                    let errors = samples.iter().map(|sample| {
                        let terms = values.iter().zip(row.weights()).zip(sample);
                        let sum: f64 = terms
                            .map(|((&q, w), &u)| (f64::from(q) - w) * f64::from(u))
                            .sum();
                        sum + f64::from(q.bias(k) - row.bias)
                    });
                    let errors: Vec<f64> = errors.collect();
                    worst = worst.max(errors.iter().sum::<f64>().abs() / 500.0);
                    squares += dot(&errors, &errors);
                }
                (worst, (squares / 5000.0).sqrt())
            });
            assert!(
                descended.1 < 0.5 * nearest.1,
                "{w}: {nearest:?} {descended:?}"
            );
            assert!(descended.0 < 0.01 * nearest.1, "{w}: {descended:?}");
        }
    }

    fn row_of<'a>(weights: &'a [f32], inputs: Option<&'a Spread>) -> Row<'a> {
        Row {
            x: &weights[..10],
            h: &weights[10..],
            bias: 0.2,
            inputs,
            scale: None,
        }
    }

    #[test]
    fn a_settled_scale_is_kept() {
        let row = Row {
            x: &[0.5, -3.0],
            h: &[],
            bias: 0.0,
            inputs: None,
            scale: Some(0.01),
        };
        let q = Rows::quantize(&[row], 7, 12, LIMITS).unwrap();
        assert_eq!((q.scale[0], &q.x[0][..]), (0.01, &[50, -127][..]));
    }

    #[test]
    fn no_row_overflows_at_its_extremes() {
        let wide: Vec<f32> = (0..4000)
            .map(|i| if i % 2 == 0 { 2.0 } else { -2.0 })
            .collect();
        let rows = [
            Row {
                x: &wide,
                h: &wide,
                bias: 5000.0,
                inputs: None,
                scale: None,
            },
            Row {
                x: &[0.01],
                h: &[],
                bias: 1e5,
                inputs: None,
                scale: None,
            },
        ];
        let q = Rows::quantize(&rows, 7, 12, LIMITS).unwrap();
        for row in 0..2 {
            let reach: i64 = q.x[row]
                .iter()
                .map(|&w| (w as i64).abs() * 2048)
                .sum::<i64>()
                + q.h[row]
                    .iter()
                    .map(|&w| (w as i64).abs() * 128)
                    .sum::<i64>()
                + (q.bias[row] as i64).abs();
            assert!(reach << q.shift < i32::MAX as i64, "row {row}: {reach}");
        }
    }
}
