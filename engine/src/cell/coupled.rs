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

use super::layer::{Cell, Numbers, SHARE, UnitsQ, curve_q, with_tables};
use super::lstm::output;
use super::{Gates, Stream, each_unit};
use crate::kernel::{Curve, GateOrder, Kernels, Panel, blend};
use crate::num::slow::{approach, double, gate};
use core::ops::Range;
use core::slice::{from_mut, from_ref};

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
            k.curve_f(Curve::Sigmoid, from_mut(f));
            k.curve_f(Curve::Tanh, from_mut(g));
            k.curve_f(Curve::Sigmoid, from_mut(o));
            let c = &mut stream.c[panel];
            *c = core::array::from_fn(|u| g[u] + f[u] * (c[u] - g[u]));
            let mut t = *c;
            k.curve_f(Curve::Tanh, from_mut(&mut t));
            stream.y[panel] = core::array::from_fn(|u| o[u] * t[u]);
        }
    }

    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        with_tables!(numbers, (slow, tables) => {
            for panel in units.panels(z) {
                panel.each(|_, c, y, [f, g, o]| {
                    let (mut gates, mut curve) = ([0; SHARE], [0; SHARE]);
                    let (mut g, mut o) = (*g, *o);
                    if slow {
                        [g, o] = [g, o].map(|z| z.map(double));
                    } else {
                        curve_q(k, Curve::Sigmoid, from_mut(&mut gates), from_ref(f), tables);
                    }
                    curve_q(k, Curve::Tanh, from_mut(&mut curve), from_ref(&g), tables);
                    each_unit(c, |u, c| {
                        if slow {
                            approach(c, gate(f[u])[1], curve[u])
                        } else {
                            blend(c, gates[u], curve[u])
                        }
                    });
                    curve_q(k, Curve::Sigmoid, from_mut(&mut gates), from_ref(&o), tables);
                    // Q29 to 2^-12.
                    each_unit(y, |u, _| (c[u] >> 17) as i16);
                    curve_q(k, Curve::Tanh, from_mut(&mut curve), from_ref(y), tables);
                    each_unit(y, |u, _| output(gates[u], curve[u]));
                });
            }
        });
    }
}
