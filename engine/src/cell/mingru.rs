//! minGRU (Feng et al. 2024, "Were RNNs all we needed?"): a GRU whose gate and candidate see the input alone, so that a step
//! has no product with the state.
//!
//! ```text
//! z = σ(W_z x + b_z)
//! n = W_n x + b_n, or tanh of that
//! h' = (1 − z) ⊙ h + z ⊙ n
//! ```
//!
//! The sums of a panel of units lie side by side: `z, n`. A state is a mean of candidates. In integers it is held within ±2
//! (Q29); where candidates are linear the exporter scales them so that the values met in calibration stay inside.

use super::functions::Functions;
use super::layer::{Cell, Numbers, SHARE, UnitsQ, with_tables};
use super::{Gates, Stream, each_unit};
use crate::kernel::{Curve, GateOrder, Kernels, Panel};
use crate::num::slow::{double, gate, go_to};
use crate::num::{Tables, mulhi_round, saturate};
use core::ops::Range;
use core::slice::{from_mut, from_ref};

/// A minGRU unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MinGru {
    /// The candidate is a tanh.
    pub(super) tanh: bool,
    pub(super) functions: Functions<false, { cfg!(hard_gates) }>,
}

impl Cell for MinGru {
    const ORDER: GateOrder = GateOrder::new(2, 0, 2);

    fn update(
        &self,
        k: &Kernels,
        _: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        for (panel, [z, n]) in tile.zip(z.as_chunks_mut::<2>().0) {
            self.functions.gates(k, from_mut(z));
            if self.tanh {
                k.curve_f(Curve::Tanh, from_mut(n));
            }
            let h = &stream.h[panel];
            stream.y[panel] = core::array::from_fn(|u| h[u] + z[u] * (n[u] - h[u]));
        }
    }

    fn update_q(&self, k: &Kernels, numbers: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        with_tables!(numbers, (slow, tables) => {
            for panel in units.panels(z) {
                panel.each(|_, h, _, [z, n]| {
                    if slow {
                        return each_unit(h, |u, h| {
                            let n = self.candidate(double(n[u]), tables);
                            go_to(h, gate(z[u])[0], n)
                        });
                    }
                    let mut share = [0; SHARE];
                    self.functions.gates_q(k, from_mut(&mut share), from_ref(z), tables);
                    // Both lie within ±2: their difference is a number of Q29 too.
                    each_unit(h, |u, h| {
                        let way = self.candidate(n[u], tables).wrapping_sub(h);
                        h.wrapping_add(mulhi_round(share[u], way).wrapping_mul(2))
                    });
                });
            }
        });
    }
}

impl MinGru {
    /// A unit's candidate (Q29).
    #[inline(always)]
    fn candidate(&self, n: i16, tables: &Tables) -> i32 {
        if self.tanh {
            tables.tanh(n) >> 2
        } else {
            saturate::<13>(n as i32) << 17
        }
    }
}
