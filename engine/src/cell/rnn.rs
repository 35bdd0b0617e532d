//! Elman network (1990): `h' = f(W_ih x + W_hh h + b)` with `f` = tanh, or max(0, ·) as PyTorch offers.
//!
//! In integers a rectified state is held below 4; the exporter scales the weights so that the values
//! met in calibration stay below 1.

use super::layer::{Cell, Numbers, UnitsQ, walk_q};
use super::packed::Record;
use super::{Gates, Stream};
use crate::kernel::{GateOrder, GateRows, Inputs, Kernels, LayerState, Panel};
use crate::num::saturate;
use core::ops::Range;

/// A plain recurrent unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rnn {
    pub(super) relu: bool,
}

impl Cell for Rnn {
    const ORDER: GateOrder = GateOrder::new(1, 1, 1);
    const RECORD: Option<Record> = Some(Record::Rnn);

    fn update(
        &self,
        k: &Kernels,
        _: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        if self.relu {
            for z in z.as_flattened_mut() {
                *z = z.max(0.0);
            }
        } else {
            k.tanh_f32(z);
        }
        stream.y[tile].copy_from_slice(z);
    }

    /// Of a rectified layer: the other is a primitive.
    fn update_q(&self, _: &Kernels, _: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let master = units.master.as_flattened_mut().iter_mut();
        for (master, &z) in master.zip(z.as_flattened()) {
            *master = saturate::<14>(z.max(0) as i32) << 17;
        }
    }

    #[inline(always)]
    fn step_q(
        &self,
        k: &Kernels,
        numbers: Numbers,
        gates: &GateRows<'_>,
        x: Inputs<'_>,
        state: &mut LayerState<'_>,
        _: &mut [i32],
    ) {
        if self.relu {
            walk_q(self, k, numbers, gates, x, state);
        } else {
            k.rnn_step_q(state, gates, x, numbers.tables);
        }
    }

    fn batch_q(
        &self,
        k: &Kernels,
        numbers: Numbers,
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        states: &mut [LayerState<'_>],
    ) {
        if !self.relu {
            return k.rnn_batch_q(states, gates, x, numbers.tables);
        }
        for (state, &x) in states.iter_mut().zip(x) {
            walk_q(self, k, numbers, gates, x, state);
        }
    }
}
