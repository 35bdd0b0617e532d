//! LSTM whose input gate is what the forget gate leaves (Greff et al. 2017): three products instead of four.
//!
//! ```text
//! f = σ(W_if x + W_hf h + b_f)      c' = f ⊙ c + (1 − f) ⊙ g
//! g = tanh(W_ig x + W_hg h + b_g)   h' = o ⊙ tanh(c')
//! o = σ(W_io x + W_ho h + b_o)
//! ```
//!
//! The gates of a panel of units lie side by side: `f, g, o`. A cell is a mean of candidates and never leaves ±1,
//! so in integers it is Q29 as a GRU's state, and blended as that one.

use super::layer::{Cell, Numbers, UnitsQ};
use super::{Gates, Stream, each_unit};
use crate::kernel::{Curve, GateOrder, Kernels, LANES, Panel, blend};
use crate::num::slow::{approach, double, gate};
use crate::num::{mulhi_round, shift_round};
use core::ops::Range;

/// An LSTM unit with coupled gates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coupled;

impl Cell for Coupled {
    const ORDER: GateOrder = GateOrder::new(3, 3, 3);
    const CELL: bool = true;

    fn update(
        &self,
        k: &Kernels,
        _: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        for (panel, z) in tile.zip(z.as_chunks_mut::<3>().0) {
            let [f, g, o] = z;
            k.curve_f(Curve::Sigmoid, core::slice::from_mut(f));
            k.curve_f(Curve::Tanh, core::slice::from_mut(g));
            k.curve_f(Curve::Sigmoid, core::slice::from_mut(o));
            let c = &mut stream.c[panel];
            *c = core::array::from_fn(|u| g[u] + f[u] * (c[u] - g[u]));
            let mut t = *c;
            k.curve_f(Curve::Tanh, core::slice::from_mut(&mut t));
            stream.y[panel] = core::array::from_fn(|u| o[u] * t[u]);
        }
    }

    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let tables = numbers.tables;
        let units = units.master.iter_mut().zip(units.y);
        for ((c, y), z) in units.zip(z.as_chunks_mut::<3>().0) {
            let mut gates = [[0; LANES]; 3];
            let [f, g, o] = &mut gates;
            if numbers.slow {
                z[1..]
                    .as_flattened_mut()
                    .iter_mut()
                    .for_each(|z| *z = double(*z));
            } else {
                k.curve_q(Curve::Sigmoid, core::slice::from_mut(f), &z[..1], tables);
            }
            k.curve_q(Curve::Tanh, core::slice::from_mut(g), &z[1..2], tables);
            k.curve_q(Curve::Sigmoid, core::slice::from_mut(o), &z[2..], tables);
            each_unit(c, |u, c| {
                if numbers.slow {
                    approach(c, gate(z[0][u])[1], g[u])
                } else {
                    blend(c, f[u], g[u])
                }
            });
            // Q29 to 2^-12.
            z[0] = c.map(|c| (c >> 17) as i16);
            let mut t = [[0; LANES]];
            k.curve_q(Curve::Tanh, &mut t, &z[..1], tables);
            each_unit(y, |u, _| shift_round(mulhi_round(o[u], t[0][u]), 18) as i16);
        }
    }
}
