//! Elman network (1990): `h' = f(W_ih x + W_hh h + b)` with `f` = tanh, or max(0, ·) as PyTorch offers.
//!
//! In integers a rectified state is held below 4; the exporter scales the weights so that the values
//! met in calibration stay below 1.

use super::layer::{Cell, Numbers, UnitsQ};
use super::{Gates, Stream};
use crate::kernel::{CellF, CellQ, GateOrder, Kernels, Panel, update_tile};
use crate::num::saturate;
use core::ops::Range;

/// A plain recurrent unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rnn {
    pub(super) relu: bool,
}

impl Cell for Rnn {
    const ORDER: GateOrder = CellQ::Rnn.order();

    #[inline(always)]
    fn primitive(&self, _: u8) -> Option<CellQ> {
        (!self.relu).then_some(CellQ::Rnn)
    }

    #[inline(always)]
    fn primitive_f(&self) -> Option<CellF> {
        (!self.relu).then_some(CellF::Rnn)
    }

    fn update(
        &self,
        k: &Kernels,
        _: &Gates<'_>,
        stream: &mut Stream<'_>,
        tile: Range<usize>,
        z: &mut [Panel<f32>],
    ) {
        if let Some(cell) = self.primitive_f() {
            return update_tile(k, cell, tile, stream.c, stream.h, stream.y, z);
        }
        for (y, z) in stream.y[tile]
            .as_flattened_mut()
            .iter_mut()
            .zip(z.as_flattened())
        {
            *y = z.max(0.0);
        }
    }

    /// Of a rectified layer: the other is a primitive.
    fn update_q(&self, _: &Kernels, _: Numbers, units: UnitsQ<'_>, z: &mut [Panel<i16>]) {
        let master = units.master.as_flattened_mut().iter_mut();
        for (master, &z) in master.zip(z.as_flattened()) {
            *master = saturate::<14>(z.max(0) as i32) << 17;
        }
    }
}
