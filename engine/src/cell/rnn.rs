//! Elman network (1990): `h' = f(W_ih x + W_hh h + b)` with `f` = tanh, or max(0, ·) as PyTorch offers.
//!
//! In integers a rectified state is held below 4; the exporter scales the weights so that the values
//! met in calibration stay below 1.

use super::packed::{Packed, Record};
use super::{GATES, GateOrder, Gates, GatesQ, Spec, Stream, TILE, tables, tiles};
use crate::format::{Format, LoadError, Tensors, attempt};
use crate::kernel::{Inputs, Kernels, LANES, LayerState, MAX_PANELS, Panel};
use crate::num::saturate;

const ORDER: GateOrder = GateOrder::new(1, 1, 1);

#[derive(Debug, Clone, Copy)]
enum Weights<'a> {
    Float(Gates<'a>),
    Integer(GatesQ<'a>),
    Packed(Packed<'a>),
}

/// A plain recurrent layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rnn<'a> {
    format: Format,
    pub(super) hidden: usize,
    relu: bool,
    weights: Weights<'a>,
}

impl<'a> Rnn<'a> {
    #[inline(always)]
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        spec: Spec,
        relu: bool,
    ) -> Result<Self, LoadError> {
        let weights = if spec.is_packed() && !relu {
            Weights::Packed(attempt!(Packed::take(t, spec, Record::Rnn)))
        } else if spec.format.is_integer() {
            Weights::Integer(attempt!(GatesQ::take(t, ORDER, spec)))
        } else {
            Weights::Float(attempt!(Gates::take(t, ORDER, spec)))
        };
        Ok(Rnn {
            format: spec.format,
            hidden: spec.hidden,
            relu,
            weights,
        })
    }

    /// One step in f32; the new state also goes to `y`.
    pub(crate) fn step(&self, k: &Kernels, x: &[f32], h: &mut [f32], y: &mut [Panel<f32>]) {
        let Weights::Float(gates) = &self.weights else {
            return;
        };
        let mut sums = [[0.0; LANES]; GATES * TILE];
        for tile in tiles(y.len()) {
            let z = gates.sums(k, &tile, x, &h[..self.hidden], &mut sums);
            self.activate(k, z);
            y[tile].copy_from_slice(z);
        }
        h.copy_from_slice(y.as_flattened());
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
        let gates = match &self.weights {
            Weights::Integer(gates) => gates,
            Weights::Packed(rows) => {
                return rows.step(k, Record::Rnn, x, state, (work, 0));
            }
            Weights::Float(_) => return,
        };
        let columns = self.format.columns(self.hidden);
        let gates = &gates.rows(state.units(), [x.columns(), columns]);
        if !self.relu {
            return k.rnn_step_q(&mut state, gates, x, tables(self.format));
        }
        let mut space = [[0; LANES]; MAX_PANELS];
        let (master, old, _) = state.parts(columns);
        for tile in tiles(master.len()) {
            let z = gates.preactivations(k, &tile, x, old, &mut space);
            let master = master[tile].as_flattened_mut().iter_mut();
            for (master, &z) in master.zip(z.as_flattened()) {
                *master = saturate::<14>(z.max(0) as i32) << 17;
            }
        }
        state.publish_master();
    }

    fn activate(&self, k: &Kernels, z: &mut [Panel<f32>]) {
        if self.relu {
            for z in z.as_flattened_mut() {
                *z = z.max(0.0);
            }
        } else {
            k.tanh_f32(z);
        }
    }

    /// Whether [`Self::step_batch`] or [`Self::step_batch_q`] does this layer.
    pub(crate) fn in_batch(&self) -> bool {
        match self.weights {
            Weights::Float(_) => true,
            Weights::Integer(_) => !self.relu,
            Weights::Packed(_) => false,
        }
    }

    /// [`Self::step`] of several streams, but for the state as a matrix input.
    pub(crate) fn step_batch(&self, k: &Kernels, streams: &mut [Stream<'_>]) {
        if let Weights::Float(gates) = &self.weights {
            gates.step_batch(k, self.hidden, streams, |stream, tile, z| {
                self.activate(k, z);
                stream.y[tile].copy_from_slice(z);
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
        if let Weights::Integer(gates) = &self.weights {
            let (Some(state), Some(first)) = (states.first(), x.first()) else {
                return;
            };
            let columns = self.format.columns(self.hidden);
            let gates = gates.rows(state.units(), [first.columns(), columns]);
            k.rnn_batch_q(states, &gates, x, tables(self.format));
        }
    }
}
