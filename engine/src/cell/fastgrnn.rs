//! FastGRNN (Kusupati et al. 2018): gate and candidate share their matrices, so it has a third of a GRU's weights.
//!
//! ```text
//! a = W x + U h
//! z = σ(a + b_z)      h' = (ζ (1 − z) + ν) ⊙ n + z ⊙ h
//! n = tanh(a + b_n)
//! ```
//!
//! ζ and ν are two numbers between 0 and 1, the same for all units. What ν adds in every step lets a state leave
//! ±1. In integers it is held within ±2; the exporter scales ζ, ν and weights so that the values met in
//! calibration stay below 1.
//!
//! There the candidate's pre-activation is the gate's plus `b_n − b_z`, both 2^-12: a unit has one sum and one
//! requantization. The gate's has been saturated at ±8 by then, which moves `n` by 0.0007 at the most while the
//! biases are no more than 4 apart. Where the layer is slow both are 2^-11 and end at ±16, and the state is rounded once.

use super::layer::{Cell, Numbers, SHARE, SHARES, UnitsQ, curve_q, with_tables};
use super::{Gates, Spec, Stream, TILE, each_unit, panels};
use crate::format::{LoadError, Tensors, attempt};
use crate::kernel::{Curve, GateOrder, Kernels, LANES, Panel};
use crate::num::slow::gate;
use crate::num::{mulhi_round, saturate, saturate16};
use core::ops::Range;
use core::slice::{from_mut, from_ref};

/// 1.0 of ν in integers; of ζ twice that.
const ONE: i32 = 1 << 30;

/// A FastGRNN unit: what its candidate has besides the sums.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FastGrnn<'a> {
    Float {
        /// `b_n`.
        bias: &'a [Panel<f32>],
        /// ζ, ν.
        mix: [f32; 2],
    },
    Integer {
        /// `b_n − b_z` (2^-12, if slow 2^-11).
        bias: &'a [Panel<i16>],
        /// ζ in Q31, ν in Q30.
        mix: [i32; 2],
    },
}

/// ζ or ν lies outside its range.
const fn outside(index: usize) -> LoadError {
    LoadError::Value {
        what: "zeta or nu of a fastgrnn:",
        index,
    }
}

impl<'a> FastGrnn<'a> {
    /// Tensors: the candidate's bias, ζ and ν.
    #[inline(always)]
    pub(super) const fn take(t: &mut Tensors<'a>, spec: Spec) -> Result<Self, LoadError> {
        let units = panels(spec.hidden);
        if spec.format.is_integer() {
            let bias = attempt!(t.take(units));
            let &[zeta, nu] = attempt!(t.take::<i32>(2)) else {
                return Err(outside(0));
            };
            let [zeta_inside, nu_inside] = [zeta >= 0, 0 <= nu && nu <= ONE];
            if !(zeta_inside && nu_inside) {
                return Err(outside(zeta_inside as usize));
            }
            let mix = [zeta, nu];
            Ok(FastGrnn::Integer { bias, mix })
        } else {
            let bias = attempt!(t.take(units));
            let &[zeta, nu] = attempt!(t.take::<f32>(2)) else {
                return Err(outside(0));
            };
            let [zeta_inside, nu_inside] = [0.0 <= zeta && zeta <= 1.0, 0.0 <= nu && nu <= 1.0];
            if !(zeta_inside && nu_inside) {
                return Err(outside(zeta_inside as usize));
            }
            let mix = [zeta, nu];
            Ok(FastGrnn::Float { bias, mix })
        }
    }
}

impl Cell for FastGrnn<'_> {
    const ORDER: GateOrder = GateOrder::new(1, 1, 1);

    fn update(
        &self,
        k: &Kernels,
        gates: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        let FastGrnn::Float { bias, mix } = self else {
            return;
        };
        let [zeta, nu] = mix;
        let mut candidate = [[0.0; LANES]; TILE];
        let n = &mut candidate[..z.len()];
        let biases = gates.bias()[tile.clone()].iter().zip(&bias[tile.clone()]);
        for ((n, z), (b_z, b_n)) in n.iter_mut().zip(&*z).zip(biases) {
            *n = core::array::from_fn(|u| z[u] + (b_n[u] - b_z[u]));
        }
        k.curve_f(Curve::Sigmoid, z);
        k.curve_f(Curve::Tanh, n);
        for (panel, (z, n)) in tile.zip(z.iter().zip(n)) {
            let h = &stream.h[panel];
            stream.y[panel] =
                core::array::from_fn(|u| (zeta * (1.0 - z[u]) + nu) * n[u] + z[u] * h[u]);
        }
    }

    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let FastGrnn::Integer { bias, mix } = self else {
            return;
        };
        let bias = &bias[units.tile.clone()];
        with_tables!(numbers, (slow, tables) => {
            units.each_sum(z, bias, |h, a, bias| {
                let (mut z, mut n) = ([[0; SHARE]; SHARES], [[0; SHARE]; SHARES]);
                let (z, n) = (&mut z[..a.len()], &mut n[..a.len()]);
                if slow {
                    for (((h, a), bias), n) in h.iter_mut().zip(a).zip(bias).zip(n) {
                        let mut sums = *a;
                        each_unit(&mut sums, |u, a| {
                            saturate16((a as i32 + bias[u] as i32) << 1)
                        });
                        curve_q(k, Curve::Tanh, from_mut(n), from_ref(&sums), tables);
                        each_unit(h, |u, h| update_slow(h, gate(a[u]), n[u], *mix));
                    }
                    return;
                }
                curve_q(k, Curve::Sigmoid, z, a, tables);
                for (a, bias) in a.iter_mut().zip(bias) {
                    each_unit(a, |u, a| saturate16(a as i32 + bias[u] as i32));
                }
                curve_q(k, Curve::Tanh, n, a, tables);
                for ((h, z), n) in h.iter_mut().zip(z).zip(n) {
                    each_unit(h, |u, h| update(h, z[u], n[u], *mix));
                }
            });
        });
    }
}

/// `(ζ (1 − z) + ν) n + z h`: gates `z`, `n` in Q31, state in Q29. The sum of the two products stays below 2^31.
fn update(h: i32, z: i32, n: i32, [zeta, nu]: [i32; 2]) -> i32 {
    let share = mulhi_round(zeta, i32::MAX - z).wrapping_add(nu);
    let kept = mulhi_round(z, h).wrapping_mul(2);
    saturate::<30>(kept.wrapping_add(mulhi_round(share, n)))
}

/// [`update`] with `z` and `1 − z` in Q31. Below 3, before it is held within ±2.
fn update_slow(h: i32, [z, left]: [i32; 2], n: i32, [zeta, nu]: [i32; 2]) -> i32 {
    let share = ((zeta as i64 * left as i64) >> 31) + 2 * nu as i64;
    let sum = share * (n >> 2) as i64 + z as i64 * h as i64;
    saturate::<30>(((sum + (1 << 30)) >> 31) as i32)
}
