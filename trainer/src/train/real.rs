//! The number type of a backward pass: `f32` to train, `f64` to check.
//!
//! Finite differences need more digits than `f32` has, so the passes are generic and the gradient
//! tests run the very code that trains. In `f32`, tanh is a rational function (degree 13 over 6, as
//! in Eigen): multiplications and one division, which the compiler turns into vector code, where a
//! call of `f32::tanh` would cost ten times as much and keep the whole gate loop scalar. Its error
//! is below 5e-7 over the real line. σ(x) is ½ + ½ tanh(x/2).

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use super::gemm::{Matrix, MatrixMut};

/// A floating-point type that can be trained in.
pub trait Real:
    Copy
    + Default
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// Rounds to this type.
    fn from_f64(x: f64) -> Self;
    /// Widens.
    fn to_f64(self) -> f64;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Logistic function.
    fn sigmoid(self) -> Self;
    /// `c = a b + beta c`.
    fn gemm(a: Matrix<'_, Self>, b: Matrix<'_, Self>, beta: Self, c: MatrixMut<'_, Self>);
}

/// Where tanh is 1 to the last bit of an `f32`.
const TANH_LIMIT: f32 = 7.905_311;

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;

    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn tanh(self) -> f32 {
        // Not `clamp`, which would hide a NaN's branch from the vectoriser.
        let x = if self > TANH_LIMIT { TANH_LIMIT } else { self };
        let x = if x < -TANH_LIMIT { -TANH_LIMIT } else { x };
        let s = x * x;
        let p = -2.760_768_5e-16;
        let p = p * s + 2.000_188e-13;
        let p = p * s + -8.604_672e-11;
        let p = p * s + 5.122_297e-8;
        let p = p * s + 1.485_722_4e-5;
        let p = p * s + 6.372_619e-4;
        let p = p * s + 4.893_525e-3;
        let q = 1.198_258_4e-6;
        let q = q * s + 1.185_347_1e-4;
        let q = q * s + 2.268_434_6e-3;
        let q = q * s + 4.893_525e-3;
        x * p / q
    }

    #[inline(always)]
    fn sigmoid(self) -> f32 {
        0.5 + 0.5 * Real::tanh(0.5 * self)
    }

    fn gemm(a: Matrix<'_, f32>, b: Matrix<'_, f32>, beta: f32, c: MatrixMut<'_, f32>) {
        super::gemm::sgemm(a, b, beta, c);
    }
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    fn from_f64(x: f64) -> f64 {
        x
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn tanh(self) -> f64 {
        f64::tanh(self)
    }

    fn sigmoid(self) -> f64 {
        1.0 / (1.0 + (-self).exp())
    }

    fn gemm(a: Matrix<'_, f64>, b: Matrix<'_, f64>, beta: f64, c: MatrixMut<'_, f64>) {
        super::gemm::dgemm(a, b, beta, c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_tanh_and_sigmoid_are_within_5e_7() {
        let (mut tanh, mut sigmoid) = (0.0f64, 0.0f64);
        for i in -200_000..=200_000 {
            let x = i as f32 * 1e-4;
            tanh = tanh.max((f64::from(Real::tanh(x)) - f64::from(x).tanh()).abs());
            sigmoid = sigmoid.max((f64::from(x.sigmoid()) - f64::from(x).sigmoid()).abs());
        }
        assert!(tanh < 5e-7, "tanh: max error {tanh:e}");
        assert!(sigmoid < 5e-7, "sigmoid: max error {sigmoid:e}");
    }
}
