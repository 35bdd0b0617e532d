//! Products with weights of eight bits where numbers are multiplied as they are.

use super::panel;
use crate::kernel::{Inputs, IntMatrix, Panel};

/// Nothing is made of inputs that would need room.
pub(super) struct Room;

impl Room {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Room
    }

    #[inline(always)]
    pub(super) fn rest(&mut self) {}
}

/// What panels of a matrix are multiplied with.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a>(Inputs<'a>);

impl<'a> Operand<'a> {
    /// For this matrix.
    #[inline(always)]
    pub(super) fn new(_: IntMatrix<'_>, x: Inputs<'a>, (): &mut ()) -> Self {
        Operand(x)
    }

    /// Inputs for other weights.
    #[inline(always)]
    pub(super) fn other(&self) -> Inputs<'a> {
        self.0
    }

    /// Adds the product of the next panel to its sums, and gives the panel's end. Weights are of eight bits.
    ///
    /// # Safety
    /// It lies at `w`; columns are whole blocks, one at least.
    #[inline(always)]
    pub(super) unsafe fn add(&self, sums: &mut Panel<i32>, w: *const u8) -> *const u8 {
        // SAFETY: the caller's.
        unsafe {
            match self.0 {
                Inputs::I8(x) => panel::i8_a8(sums, w, x),
                Inputs::I16(x) => panel::i8_a16(sums, w, x),
            }
        }
    }
}
