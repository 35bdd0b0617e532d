//! `h' = φ(W_ih x + b_ih + W_hh h + b_hh)`, φ = tanh or max(0, ·).
//!
//! Backward `dz = dh ⊙ φ'(z)`, where φ' follows from the output alone (1 − h², or h > 0).

use super::{Gradients, Unit, UnitMath};
use crate::train::real::Real;

pub struct Rnn<const RELU: bool>;

impl<const RELU: bool, T: Real> UnitMath<T> for Rnn<RELU> {
    const SUMS: usize = 1;
    const FROM_OUTPUT: bool = true;

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let z = unit.z[0];
        unit.h = if !RELU {
            z.tanh()
        } else if z > T::ZERO {
            z
        } else {
            T::ZERO
        };
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let h = unit.h;
        unit.z[0] = if !RELU {
            d.h * (T::ONE - h * h)
        } else if h > T::ZERO {
            d.h
        } else {
            T::ZERO
        };
    }
}
