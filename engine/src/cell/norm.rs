//! Layer normalisation: `y_k = (x_k − μ) / √(σ² + ε) · γ_k + β_k`, with the mean `μ` and the variance `σ²` of the numbers of
//! one sample.
//!
//! In integers nothing is divided. With `n` numbers, `d_k = n x_k − Σx` and `v = n Σx² − (Σx)²` are `n` times what stands above and
//! below the line, exact in 32 and 64 bits, and `ε` is an integer beside `v`. One inverse root serves all numbers. So with `x` and `y` at
//! 2^-12 the only roundings are those of the inverse root (2^-27 of it), of `γ` (2^-25), of `β` and of the product with `γ` (2^-15 each),
//! and the last one: a result is within 0.65 of its LSB of the real number, for the same integers that enter.
//!
//! It takes a few instructions for each number where a matrix takes hundreds, so all tables share this code.

use crate::format::{Format, LoadError, Tensors, Width, attempt};
use crate::num::{InverseRoot, mulhi_round, saturate16, shift_round};

/// `n² ε` is below this, as is `v`: 2^12 numbers twice, and squares of 2^30.
const MOST: u64 = 1 << 54;

/// A normalisation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm<'a> {
    width: Width,
    /// γ, β and ε, of which the last two words are: in floats `f32`, and a zero; in integers γ at 2^-25, β at 2^-17, so that any number fits
    /// a sum (the last two bits are not used), and `n² ε` at 2^-24, the lower half first.
    words: &'a [u32],
}

impl<'a> Norm<'a> {
    /// One tensor.
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        format: Format,
        width: Width,
    ) -> Result<Self, LoadError> {
        let words: &[u32] = attempt!(t.take(2 * width.get() + 2));
        let Some((_, &[low, high])) = words.split_last_chunk() else {
            return Err(LoadError::Header);
        };
        let epsilon = f32::from_bits(low);
        let valid = if format.is_integer() {
            (low | high) != 0 && (high as u64) < (MOST >> 32)
        } else {
            epsilon > 0.0 && epsilon.is_finite()
        };
        if !valid {
            return Err(LoadError::Value {
                what: "epsilon of a normalisation:",
                index: 0,
            });
        }
        Ok(Norm { width, words })
    }

    /// γ, β and ε.
    #[inline(always)]
    fn terms(&self) -> [&'a [u32]; 3] {
        let (gamma, rest) = self.words.split_at(self.width().min(self.words.len()));
        let (beta, epsilon) = rest.split_at(self.width().min(rest.len()));
        [gamma, beta, epsilon]
    }

    /// Numbers that it takes and gives.
    pub(crate) const fn width(&self) -> usize {
        self.width.get()
    }

    /// In f32.
    pub(crate) fn apply(&self, x: &[f32], y: &mut [f32]) {
        let ([gamma, beta, epsilon], Some(x)) = (self.terms(), x.get(..self.width())) else {
            return;
        };
        let epsilon = epsilon.first().map_or(0.0, |&bits| f32::from_bits(bits));
        let n = self.width() as f32;
        let mean = sum(x.iter().copied()) / n;
        let squares = x.iter().map(|x| (x - mean) * (x - mean));
        let scale = 1.0 / libm::sqrtf(sum(squares) / n + epsilon);
        for ((y, x), (&gamma, &beta)) in y.iter_mut().zip(x).zip(gamma.iter().zip(beta)) {
            *y = scaled((x - mean) * scale, gamma, beta);
        }
    }

    /// In integers.
    pub(crate) fn apply_q(&self, x: &[i16], y: &mut [i16]) {
        let ([gamma, beta, &[low, high, ..]], Some(x)) = (self.terms(), x.get(..self.width()))
        else {
            return;
        };
        let epsilon = u64::from(high) << 32 | u64::from(low);
        let n = self.width() as i32;
        let (mut sum, mut squares) = (0i32, 0u64);
        for &x in x {
            let x = i32::from(x);
            sum += x;
            squares += u64::from((x * x) as u32);
        }
        let variance = n as u64 * squares - (i64::from(sum) * i64::from(sum)) as u64;
        let root = InverseRoot::of(variance + epsilon);
        for ((y, &x), (&gamma, &beta)) in y.iter_mut().zip(x).zip(gamma.iter().zip(beta)) {
            *y = scaled_q(
                root.times(n * i32::from(x) - sum),
                gamma as i32,
                beta as i32,
            );
        }
    }
}

// Where every byte is loaded before the first step these are calls: what LLVM makes of the loops otherwise is several times as long.
#[cfg_attr(target_arch = "wasm32", inline(never))]
fn scaled(x: f32, gamma: u32, beta: u32) -> f32 {
    x * f32::from_bits(gamma) + f32::from_bits(beta)
}

#[cfg_attr(target_arch = "wasm32", inline(never))]
fn scaled_q(x: i32, gamma: i32, beta: i32) -> i16 {
    // From 2^-22 and 2^-25 to 2^-15; neither part exceeds 2^29.
    let sum = mulhi_round(x, gamma) + (beta >> 2);
    saturate16(shift_round(sum, 3))
}

/// From +0 on, as generated code adds up.
fn sum(numbers: impl Iterator<Item = f32>) -> f32 {
    numbers.fold(0.0, |sum, x| sum + x)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// In f64, from the same integers.
    fn exact(x: &[i16], k: usize, [gamma, beta, epsilon]: [f64; 3]) -> f64 {
        let n = x.len() as f64;
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x) / 4096.0).collect();
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        (x[k] - mean) / (variance + epsilon).sqrt() * gamma + beta
    }

    #[test]
    fn integers_are_within_0_65_lsb_of_the_real_numbers() {
        let mut seed = 3u32;
        let mut draw = || {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 16) as i16
        };
        for turn in 0..400 {
            let n = [1, 2, 3, 7, 8, 31, 128, 513, 4096][turn % 9];
            let small = turn / 9 % 15;
            let mut x: Vec<i16> = (0..n).map(|_| draw() >> small).collect();
            match turn % 23 {
                0 => x.fill(draw()),
                1 => {
                    x.fill(-32768);
                    x[n / 2] = 32767;
                }
                2 => x.iter_mut().step_by(2).for_each(|x| *x = i16::MIN),
                _ => {}
            }
            let number = |bits: u32, draw: i16| i32::from(draw) << bits;
            let gamma: Vec<i32> = (0..n)
                .map(|_| number(10 + turn as u32 % 5, draw()))
                .collect();
            let beta: Vec<i32> = (0..n).map(|_| number(3, draw()) & !3).collect();
            let epsilon = [1, 168 * (n * n) as u64, 1 << 40][turn % 3];
            let mut words: Vec<u32> = gamma.iter().chain(&beta).map(|&x| x as u32).collect();
            words.extend([epsilon as u32, (epsilon >> 32) as u32]);
            let norm = Norm {
                width: Width(n as u16),
                words: &words,
            };
            let mut y = std::vec![0; n];
            norm.apply_q(&x, &mut y);
            let real = epsilon as f64 / (n * n) as f64 / f64::from(1 << 24);
            for k in 0..n {
                let terms = [
                    f64::from(gamma[k]) / f64::from(1 << 25),
                    f64::from(beta[k]) / f64::from(1 << 17),
                    real,
                ];
                let want = (exact(&x, k, terms) * 4096.0).clamp(-32768.0, 32767.0);
                let error = (f64::from(y[k]) - want).abs();
                assert!(
                    error <= 0.65,
                    "{n} numbers, turn {turn}, {k}: {} and {want}",
                    y[k]
                );
            }
        }
    }
}
