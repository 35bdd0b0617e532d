//! Gated recurrent unit that resets before the product (Cho et al. 2014):
//!
//! ```text
//! r = σ(W_ir x + W_hr h + b_r)
//! z = σ(W_iz x + W_hz h + b_z)
//! n = tanh(W_in x + W_hn (r ⊙ h) + b_n), or max(0, ·) of that
//! h' = n + z ⊙ (h − n)
//! ```
//!
//! `r` must be known for all units before `n` of any: a pass for `r, z`, another for `n`. So it is the one cell whose step is
//! not a walk over tiles, and whose streams do not step together.
//!
//! With rectified candidates a state is a mean of numbers from 0 on. In integers it is held below 4; the exporter scales weights so
//! that the values met in calibration stay inside. Gates may be hard.

use super::gru::OfGru;
use super::layer::{Cell, Numbers, UnitsQ};
use super::{AnyGates, GATES, Gates, Spec, Stream, TILE, each_unit, tiles};
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::{
    Curve, GateOrder, GateRows, Inputs, Kernels, LANES, LayerState, Panel, blend, mix,
};
use crate::num::{mulhi_round, narrow, saturate, shift_round, slow};
use core::slice::{from_mut, from_ref};

/// A GRU that resets before the product: `r, z` are its gates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GruBefore<'a> {
    candidate: AnyGates<'a>,
    functions: OfGru,
}

/// Scratch, in words: per padded unit the update gate, and `r ⊙ h` as an output and as a matrix input.
pub(crate) const fn work(format: Format, padded_hidden: usize) -> usize {
    match format {
        Format::W8A8 | Format::W4A8 => padded_hidden * 5 / 4,
        Format::W8A16 => padded_hidden,
        Format::F32 | Format::F16 => padded_hidden * 2,
    }
}

impl<'a> GruBefore<'a> {
    /// Tensors: the candidate's rows.
    #[inline(always)]
    pub(super) const fn take(
        t: &mut Tensors<'a>,
        spec: Spec,
        functions: OfGru,
    ) -> Result<Self, LoadError> {
        let order = GateOrder::new(1, 1, 1);
        let candidate = attempt!(AnyGates::take(t, order, spec));
        Ok(GruBefore {
            candidate,
            functions,
        })
    }
}

impl Cell for GruBefore<'_> {
    const ORDER: GateOrder = GateOrder::new(2, 2, 2);
    const TOGETHER: bool = false;

    fn update_q(&self, _: &Kernels, _: Numbers, _: UnitsQ<'_>, _: &mut [Panel<i16>]) {}

    fn step(
        &self,
        k: &Kernels,
        hidden: usize,
        gates: &Gates<'_>,
        stream: &mut Stream<'_>,
        work: &mut [i32],
    ) {
        let AnyGates::Float(candidate) = &self.candidate else {
            return;
        };
        let mut sums = [[0.0; LANES]; GATES * TILE];
        let Stream { x, h, y, .. } = stream;
        let work: &mut [f32] = bytemuck::cast_slice_mut(work);
        let work = work.as_chunks_mut().0;
        let (update, rest) = work.split_at_mut(h.len());
        let reset = &mut rest[..h.len()];
        for tile in tiles(h.len()) {
            let old = &h.as_flattened()[..hidden];
            let z = gates.sums(k, &tile, x, old, &mut sums);
            self.functions.gates(k, z);
            for (panel, z) in tile.zip(z.as_chunks().0) {
                let [r, z] = z;
                update[panel] = *z;
                reset[panel] = core::array::from_fn(|unit| r[unit] * h[panel][unit]);
            }
        }
        for tile in tiles(h.len()) {
            let reset = &reset.as_flattened()[..hidden];
            let n = candidate.sums(k, &tile, x, reset, &mut sums);
            self.functions.candidates(k, n);
            for (panel, n) in tile.zip(n) {
                let (z, h) = (&update[panel], &h[panel]);
                y[panel] = core::array::from_fn(|u| n[u] + z[u] * (h[u] - n[u]));
            }
        }
    }
}

impl GruBefore<'_> {
    /// A step in integers.
    #[inline(never)]
    pub(super) fn step_q(
        &self,
        k: &Kernels,
        numbers: Numbers,
        gates: &GateRows<'_>,
        x: Inputs<'_>,
        state: &mut LayerState<'_>,
        work: &mut [i32],
    ) {
        let AnyGates::Integer(candidate) = &self.candidate else {
            return;
        };
        let Numbers {
            format,
            columns,
            tables,
            slow,
            ..
        } = numbers;
        let functions = self.functions;
        let (master, old, _) = state.parts(columns);
        let units = master.len() * LANES;
        let (of_gates, narrowed) = work.split_at_mut(units);
        let of_gates: &mut [i16] = bytemuck::cast_slice_mut(of_gates);
        let (update, reset) = of_gates.as_chunks_mut().0.split_at_mut(master.len());
        let mut gate = [[0; LANES]; TILE];
        gates.each_tile(k, x, old, |tile, z| {
            let start = tile.start;
            for (panel, z) in tile.zip(z.as_chunks().0) {
                let [r, z] = z;
                update[panel] = *z;
                let gate = &mut gate[panel - start];
                let r = if slow { &r.map(slow::double) } else { r };
                functions.gates_q(k, from_mut(gate), from_ref(r), tables);
                each_unit(&mut reset[panel], |u, _| {
                    shift_round(mulhi_round(gate[u], master[panel][u]), 16) as i16
                });
            }
        });
        let reset = if format.is_a8() {
            let narrowed: &mut [i8] = bytemuck::cast_slice_mut(&mut narrowed[..units / 4]);
            for (narrowed, &y) in narrowed.iter_mut().zip(reset.as_flattened()) {
                *narrowed = narrow(y);
            }
            Inputs::I8(&narrowed[..columns])
        } else {
            Inputs::I16(&reset.as_flattened()[..columns])
        };
        let rectified = functions.is_relu();
        candidate.each_tile(k, x, reset, |tile, n| {
            let mut candidate = [[0; LANES]; TILE];
            let mut gate = [[0; LANES]; TILE];
            let candidate = &mut candidate[..n.len()];
            if slow {
                n.as_flattened_mut()
                    .iter_mut()
                    .for_each(|n| *n = slow::double(*n));
            }
            if rectified {
                for (candidate, &n) in candidate
                    .as_flattened_mut()
                    .iter_mut()
                    .zip(n.as_flattened())
                {
                    *candidate = saturate::<14>(n.max(0) as i32) << 17;
                }
            } else {
                k.curve_q(Curve::Tanh, candidate, n, tables);
            }
            if slow {
                let units = master[tile.clone()].iter_mut().zip(candidate);
                for ((h, n), z) in units.zip(&update[tile]) {
                    each_unit(h, |u, h| {
                        let go = if rectified {
                            slow::go_to
                        } else {
                            slow::approach
                        };
                        go(h, slow::gate(z[u])[1], n[u])
                    });
                }
                return;
            }
            functions.gates_q(k, &mut gate[..n.len()], &update[tile.clone()], tables);
            for ((h, n), z) in master[tile].iter_mut().zip(candidate).zip(gate) {
                let mix = if rectified { mix } else { blend };
                each_unit(h, |u, h| mix(h, z[u], n[u]));
            }
        });
        state.publish_master();
    }
}
