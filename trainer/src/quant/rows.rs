//! Rows of a matrix as integer weights, an i32 bias and an i32 multiplier.
//!
//! With weights `w ≈ scale · q`, inputs `x = 2^-frac · u` and `sum = bias_q + Σ q u`, the engine computes
//! `z = (sum · 2^shift · m + 2^31) >> 32` in units of `2^-out_frac`, so `m = scale · 2^(out_frac − frac + 32 − shift)`.
//!
//! In eight bits the largest weight of a row sets its scale. In four bits a row has fifteen values: there it pays to
//! clip its few large weights for a finer scale of the many small ones, by as much as makes the squared error least.

use super::Limits;
use anyhow::{Result, bail};
use kinglet::kernel::SHIFT_A8;

/// A row in float: its weights over input and state, and where its sum starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub x: &'a [f32],
    pub h: &'a [f32],
    pub bias: f32,
}

impl Row<'_> {
    fn weights(&self) -> impl Iterator<Item = f32> {
        self.x.iter().chain(self.h).copied()
    }

    fn largest(&self) -> f64 {
        self.weights().fold(0f32, |max, w| max.max(w.abs())) as f64
    }

    /// What one step of a weight stands for.
    fn scale(&self, limit: i8) -> f64 {
        let whole = self.largest() / f64::from(limit);
        if limit == 127 {
            return whole;
        }
        // From half of the largest weight up to all of it.
        let clipped = (0..=20).map(|step| whole * (0.5 + f64::from(step) / 40.0));
        let error = |scale: f64| -> f64 {
            let error = |w: f32| f64::from(w) - round(w, scale, limit) * scale;
            self.weights().map(|w| error(w).powi(2)).sum()
        };
        clipped
            .min_by(|&a, &b| error(a).total_cmp(&error(b)))
            .unwrap_or(whole)
    }
}

/// The integer weight.
fn round(w: f32, scale: f64, limit: i8) -> f64 {
    let limit = f64::from(limit);
    (f64::from(w) / scale).round().clamp(-limit, limit)
}

/// Rows with one shift in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub x: Vec<Vec<i8>>,
    pub h: Vec<Vec<i8>>,
    pub bias: Vec<i32>,
    pub m: Vec<i32>,
    pub scale: Vec<f32>,
    pub shift: u8,
    /// log2 of 1 / LSB of the matrix inputs.
    frac: i32,
}

/// Below this a row's multiplier would have too few digits.
const MIN_SCALE: f64 = 1e-6;

impl Rows {
    /// Quantizes rows whose inputs have `frac` fraction bits and stay within `limits`, for pre-activations
    /// with `out_frac` fraction bits.
    pub(crate) fn quantize(
        rows: &[Row<'_>],
        frac: i32,
        out_frac: i32,
        limits: Limits,
    ) -> Result<Rows> {
        let mut scales: Vec<f64> = Vec::with_capacity(rows.len());
        for row in rows {
            if !row.largest().is_finite() || !row.bias.is_finite() {
                bail!("a weight or bias is not finite: the network has diverged");
            }
            scales.push(row.scale(limits.w).max(MIN_SCALE));
        }
        // Packed rows want this shift. It costs the multipliers eight bits of about thirty, which moves
        // a pre-activation by a quarter of its LSB at the most.
        let mut preferred = if frac == 7 { SHIFT_A8 as i32 } else { 0 };
        loop {
            let largest = scales.iter().copied().fold(0.0, f64::max);
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
            for (row, scale) in rows.iter().zip(&mut scales) {
                let weight = |w: &f32| round(*w, *scale, limits.w) as i8;
                let x: Vec<i8> = row.x.iter().map(weight).collect();
                let h: Vec<i8> = row.h.iter().map(weight).collect();
                let bias = (row.bias as f64 / *scale * 2f64.powi(frac)).round();
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
                    *scale *= 1.5;
                    overflows = true;
                    continue;
                }
                quantized
                    .m
                    .push((*scale * 2f64.powi(exponent - shift)).round() as i32);
                quantized.bias.push(bias as i32);
                quantized.scale.push(*scale as f32);
                quantized.x.push(x);
                quantized.h.push(h);
            }
            if !overflows {
                return Ok(quantized);
            }
            preferred = 0;
            if scales.iter().any(|&scale| scale > 1e12) {
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
            .map(|&w| self.scale[row] * f32::from(w))
            .collect()
    }

    /// Weights of a row over the state.
    pub(crate) fn h_row(&self, row: usize) -> Vec<f32> {
        self.h[row]
            .iter()
            .map(|&w| self.scale[row] * f32::from(w))
            .collect()
    }

    /// Where a row's sum starts.
    pub(crate) fn bias(&self, row: usize) -> f32 {
        self.bias[row] as f32 * self.scale[row] * 2f32.powi(-self.frac)
    }
}

#[cfg(test)]
mod tests {
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
            },
            Row {
                x: &[30.0, -4.0],
                h: &[3.0, 1.0],
                bias: -20.0,
            },
            Row {
                x: &[0.0, 0.0],
                h: &[0.0, 0.0],
                bias: 2.0,
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
        });
        let limits = Limits { w: 7, ..LIMITS };
        let q = Rows::quantize(&[uneven, even], 7, 12, limits).unwrap();
        assert!(q.scale[0] < 0.9 / 7.0, "{}", q.scale[0]);
        assert_eq!((q.x[0][100], q.x[1][0], q.x[1][1]), (7, 7, -7));
        assert!(q.x.iter().flatten().all(|w| (-7..=7).contains(w)));
        let error = |scale: f32| -> f32 {
            let rounded = |w: f32| (w / scale).round().clamp(-7.0, 7.0) * scale;
            w.iter().map(|&w| (w - rounded(w)).powi(2)).sum()
        };
        assert!(error(q.scale[0]) < error(1.0 / 7.0));
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
            },
            Row {
                x: &[0.01],
                h: &[],
                bias: 1e5,
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
