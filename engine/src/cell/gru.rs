//! Gated recurrent unit, in the two forms that are in use:
//!
//! ```text
//! r = σ(W_ir x + W_hr h + b_r)
//! z = σ(W_iz x + W_hz h + b_z)
//! n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))     reset after the product: PyTorch, Keras, cuDNN
//! n = tanh(W_in x + W_hn (r ⊙ h) + b_n)             reset before it: Cho et al. 2014
//! h' = n + z ⊙ (h − n)
//! ```
//!
//! After the product, the input's and the state's part of `n` need sums of their own: a panel of units
//! has four sums, `n_x, r, z, n_h`; the input's matrix fills the first three, the state's matrix the last
//! three. Before it, `r` must be known for all units before `n` of any: a pass for `r, z`, another for `n`.

use super::packed::{Packed, Record};
use super::{GATES, GateOrder, Gates, GatesQ, Spec, Stream, TILE, tables, tiles};
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::{Inputs, Kernels, LANES, LayerState, MAX_PANELS, Panel, blend};
use crate::num::{mulhi_round, narrow, saturate16, shift_round, slow};

const AFTER: GateOrder = GateOrder::new(3, 3, 4);
const RESET_UPDATE: GateOrder = GateOrder::new(2, 2, 2);
const CANDIDATE: GateOrder = GateOrder::new(1, 1, 1);

#[derive(Debug, Clone, Copy)]
enum Weights<'a> {
    After(Gates<'a>),
    Before {
        reset_update: Gates<'a>,
        candidate: Gates<'a>,
    },
    AfterQ(GatesQ<'a>),
    AfterSlow(GatesQ<'a>),
    AfterPacked(Packed<'a>),
    BeforeQ {
        reset_update: GatesQ<'a>,
        candidate: GatesQ<'a>,
    },
    BeforeSlow {
        reset_update: GatesQ<'a>,
        candidate: GatesQ<'a>,
    },
}

/// A GRU layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gru<'a> {
    format: Format,
    pub(super) hidden: usize,
    weights: Weights<'a>,
}

/// Scratch that the reset-before form needs, in words: per padded unit the update gate, and `r ⊙ h` as
/// an output and as a matrix input.
pub(crate) const fn work(format: Format, padded_hidden: usize) -> usize {
    match format {
        Format::W8A8 | Format::W4A8 => padded_hidden * 5 / 4,
        Format::W8A16 => padded_hidden,
        Format::F32 | Format::F16 => padded_hidden * 2,
    }
}

impl<'a> Gru<'a> {
    #[inline(always)]
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        spec: Spec,
        reset_after: bool,
    ) -> Result<Self, LoadError> {
        let weights = match (spec.format.is_integer(), reset_after) {
            (false, true) => Weights::After(attempt!(Gates::take(t, AFTER, spec))),
            (false, false) => Weights::Before {
                reset_update: attempt!(Gates::take(t, RESET_UPDATE, spec)),
                candidate: attempt!(Gates::take(t, CANDIDATE, spec)),
            },
            (true, true) if spec.is_packed() => {
                Weights::AfterPacked(attempt!(Packed::take(t, spec, Record::Gru)))
            }
            (true, true) if spec.slow => Weights::AfterSlow(attempt!(GatesQ::take(t, AFTER, spec))),
            (true, true) => Weights::AfterQ(attempt!(GatesQ::take(t, AFTER, spec))),
            (true, false) => {
                let reset_update = attempt!(GatesQ::take(t, RESET_UPDATE, spec));
                let candidate = attempt!(GatesQ::take(t, CANDIDATE, spec));
                if spec.slow {
                    Weights::BeforeSlow {
                        reset_update,
                        candidate,
                    }
                } else {
                    Weights::BeforeQ {
                        reset_update,
                        candidate,
                    }
                }
            }
        };
        Ok(Gru {
            format: spec.format,
            hidden: spec.hidden,
            weights,
        })
    }

    /// One step in f32; the new state also goes to `y`.
    pub(crate) fn step(
        &self,
        k: &Kernels,
        x: &[f32],
        h: &mut [Panel<f32>],
        y: &mut [Panel<f32>],
        work: &mut [i32],
    ) {
        let mut sums = [[0.0; LANES]; GATES * TILE];
        match &self.weights {
            Weights::After(gates) => {
                for tile in tiles(h.len()) {
                    let z = gates.sums(k, &tile, x, &h.as_flattened()[..self.hidden], &mut sums);
                    k.gru_f32(&mut y[tile.clone()], &h[tile], z);
                }
            }
            Weights::Before {
                reset_update,
                candidate,
            } => {
                let work: &mut [f32] = bytemuck::cast_slice_mut(work);
                let work = work.as_chunks_mut().0;
                let (update, rest) = work.split_at_mut(h.len());
                let reset = &mut rest[..h.len()];
                for tile in tiles(h.len()) {
                    let old = &h.as_flattened()[..self.hidden];
                    let z = reset_update.sums(k, &tile, x, old, &mut sums);
                    k.sigmoid_f32(z);
                    for (panel, z) in tile.zip(z.as_chunks().0) {
                        let [r, z] = z;
                        update[panel] = *z;
                        reset[panel] = core::array::from_fn(|unit| r[unit] * h[panel][unit]);
                    }
                }
                for tile in tiles(h.len()) {
                    let reset = &reset.as_flattened()[..self.hidden];
                    let n = candidate.sums(k, &tile, x, reset, &mut sums);
                    k.tanh_f32(n);
                    for (panel, n) in tile.zip(n) {
                        let (z, h) = (&update[panel], &h[panel]);
                        y[panel] = core::array::from_fn(|u| n[u] + z[u] * (h[u] - n[u]));
                    }
                }
            }
            _ => return,
        }
        h.copy_from_slice(y);
    }

    /// One step in integers: `master` is the state in Q29, `y` its 2^-12 rounding.
    #[inline(always)]
    pub(crate) fn step_q(
        &self,
        k: &Kernels,
        x: Inputs<'_>,
        mut state: LayerState<'_>,
        work: &mut [i32],
    ) {
        if let Weights::AfterPacked(rows) = &self.weights {
            return rows.step(k, Record::Gru, x, state, (work, 0));
        }
        let tables = tables(self.format);
        let columns = self.format.columns(self.hidden);
        match &self.weights {
            Weights::AfterQ(gates) => {
                let gates = &gates.rows(state.units(), [x.columns(), columns]);
                k.gru_step_q(&mut state, gates, x, tables);
            }
            Weights::BeforeQ {
                reset_update,
                candidate,
            } => {
                let gates = (reset_update, candidate);
                self.step_before::<false>(gates, k, x, state, work);
            }
            Weights::BeforeSlow {
                reset_update,
                candidate,
            } => {
                let gates = (reset_update, candidate);
                self.step_before::<true>(gates, k, x, state, work);
            }
            Weights::AfterSlow(gates) => self.step_slow(gates, k, x, state),
            Weights::After(_) | Weights::Before { .. } | Weights::AfterPacked(_) => {}
        }
    }

    /// [`Self::step_q`] with gates up to ±16 (2^-11), reset after the product.
    fn step_slow(&self, gates: &GatesQ<'_>, k: &Kernels, x: Inputs<'_>, mut state: LayerState<'_>) {
        let tables = tables(self.format);
        let columns = self.format.columns(self.hidden);
        let gates = gates.rows(state.units(), [x.columns(), columns]);
        let (master, old, _) = state.parts(columns);
        let mut space = [[0; LANES]; MAX_PANELS];
        for tile in tiles(master.len()) {
            let z = gates.preactivations(k, &tile, x, old, &mut space);
            for (panel, [n_x, r, z, n_h]) in tile.zip(z.as_chunks::<4>().0) {
                let master = &mut master[panel];
                *master = core::array::from_fn(|u| {
                    let r = tables.sigmoid(slow::double(r[u]));
                    // The high product of a Q31 gate is half the product: a pre-activation of 2^-12.
                    let reset = mulhi_round(r, (n_h[u] as i32) << 2);
                    let n = tables.tanh(saturate16(((n_x[u] as i32) << 1) + reset));
                    slow::approach(master[u], slow::gate(z[u])[1], n)
                });
            }
        }
        state.publish_master();
    }

    /// [`Self::step_q`] of a layer that resets before the product.
    fn step_before<const SLOW: bool>(
        &self,
        (reset_update, candidate): (&GatesQ<'a>, &GatesQ<'a>),
        k: &Kernels,
        x: Inputs<'_>,
        mut state: LayerState<'_>,
        work: &mut [i32],
    ) {
        let (tables, columns) = (tables(self.format), self.format.columns(self.hidden));
        let rows = |gates: &GatesQ<'a>| gates.rows(state.units(), [x.columns(), columns]);
        let (reset_update, candidate) = (rows(reset_update), rows(candidate));
        let (master, old, _) = state.parts(columns);
        let mut space = [[0; LANES]; MAX_PANELS];
        let units = master.len() * LANES;
        let (gates, narrowed) = work.split_at_mut(units);
        let gates: &mut [i16] = bytemuck::cast_slice_mut(gates);
        let (update, reset) = gates.as_chunks_mut().0.split_at_mut(master.len());
        let mut gate = [[0; LANES]; TILE];
        for tile in tiles(master.len()) {
            let z = reset_update.preactivations(k, &tile, x, old, &mut space);
            let start = tile.start;
            for (panel, z) in tile.zip(z.as_chunks().0) {
                let [r, z] = z;
                update[panel] = *z;
                let gate = &mut gate[panel - start];
                let r = if SLOW { &r.map(slow::double) } else { r };
                k.sigmoid_q(
                    core::slice::from_mut(gate),
                    core::slice::from_ref(r),
                    tables,
                );
                reset[panel] = core::array::from_fn(|u| {
                    shift_round(mulhi_round(gate[u], master[panel][u]), 16) as i16
                });
            }
        }
        let reset = if self.format.is_a8() {
            let narrowed: &mut [i8] = bytemuck::cast_slice_mut(&mut narrowed[..units / 4]);
            for (narrowed, &y) in narrowed.iter_mut().zip(reset.as_flattened()) {
                *narrowed = narrow(y);
            }
            Inputs::I8(&narrowed[..columns])
        } else {
            Inputs::I16(&reset.as_flattened()[..columns])
        };
        for tile in tiles(master.len()) {
            let n = candidate.preactivations(k, &tile, x, reset, &mut space);
            let mut candidate = [[0; LANES]; TILE];
            let mut gate = [[0; LANES]; TILE];
            if SLOW {
                n.as_flattened_mut()
                    .iter_mut()
                    .for_each(|n| *n = slow::double(*n));
            }
            k.tanh_q(&mut candidate[..n.len()], n, tables);
            if SLOW {
                let units = master[tile.clone()].iter_mut().zip(candidate);
                for ((h, n), z) in units.zip(&update[tile]) {
                    *h = core::array::from_fn(|u| slow::approach(h[u], slow::gate(z[u])[1], n[u]));
                }
                continue;
            }
            k.sigmoid_q(&mut gate[..n.len()], &update[tile.clone()], tables);
            for ((h, n), z) in master[tile].iter_mut().zip(candidate).zip(gate) {
                *h = core::array::from_fn(|u| blend(h[u], z[u], n[u]));
            }
        }
        state.publish_master();
    }

    /// Whether [`Self::step_batch`] or [`Self::step_batch_q`] does this layer.
    pub(crate) fn in_batch(&self) -> bool {
        matches!(self.weights, Weights::After(_) | Weights::AfterQ(_))
    }

    /// [`Self::step`] of several streams, but for the state as a matrix input.
    pub(crate) fn step_batch(&self, k: &Kernels, streams: &mut [Stream<'_>]) {
        if let Weights::After(gates) = &self.weights {
            gates.step_batch(k, self.hidden, streams, |stream, tile, z| {
                k.gru_f32(&mut stream.y[tile.clone()], &stream.h[tile], z);
            });
        }
    }

    /// [`Self::step_q`] of several streams.
    pub(crate) fn step_batch_q(
        &self,
        k: &Kernels,
        x: &[Inputs<'_>],
        states: &mut [LayerState<'_>],
    ) {
        if let Weights::AfterQ(gates) = &self.weights {
            let (Some(state), Some(first)) = (states.first(), x.first()) else {
                return;
            };
            let columns = self.format.columns(self.hidden);
            let gates = gates.rows(state.units(), [first.columns(), columns]);
            k.gru_batch_q(states, &gates, x, tables(self.format));
        }
    }
}
