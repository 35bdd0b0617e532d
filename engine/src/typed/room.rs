//! Arrays whose length is a sum of sizes that are types, which Rust cannot write as a length.

use crate::format::pad;
use crate::kernel::LANES;
use bytemuck::Pod;
#[cfg(cortex_m_dsp)]
use core::arch::asm;
use core::mem::MaybeUninit;

/// `A + B + REST` numbers, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(4))]
pub(super) struct Room<T, const A: usize, const B: usize = 0, const REST: usize = { LANES - 1 }> {
    a: [T; A],
    b: [T; B],
    rest: [T; REST],
}

impl<T: Pod, const A: usize, const B: usize, const REST: usize> Room<T, A, B, REST> {
    #[inline(always)]
    pub(super) fn zeroed() -> Self {
        Room {
            a: [T::zeroed(); A],
            b: [T::zeroed(); B],
            rest: [T::zeroed(); REST],
        }
    }

    /// For what is written before it is read: any numbers, in firmware for which zeros would cost a tenth of a small layer's step.
    #[inline(always)]
    pub(super) fn anything(room: &mut MaybeUninit<Self>) -> &mut Self {
        #[cfg(not(cortex_m_dsp))]
        return room.write(Self::zeroed());
        // SAFETY: for all that the compiler knows the assembly has written the numbers, and any bytes are numbers.
        #[cfg(cortex_m_dsp)]
        unsafe {
            asm!("/* {} */", in(reg) room.as_mut_ptr(), options(nostack, preserves_flags));
            room.assume_init_mut()
        }
    }

    #[inline(always)]
    pub(super) fn all(&mut self) -> &mut [T] {
        // SAFETY: arrays of one type in the order of declaration, so nothing lies between them.
        unsafe { core::slice::from_raw_parts_mut((&raw mut *self).cast(), A + B + REST) }
    }

    #[inline(always)]
    pub(super) fn first(&mut self) -> &mut [T; A] {
        &mut self.a
    }

    /// As many whole panels as `A` numbers take.
    #[inline(always)]
    pub(super) fn panels(&mut self) -> &mut [T] {
        &mut self.all()[..pad(A, LANES)]
    }
}

impl<const A: usize, const B: usize, const REST: usize> Room<i16, A, B, REST> {
    /// As words, without the last number if their count is odd.
    #[inline(always)]
    pub(super) fn words(&mut self) -> &mut [i32] {
        let len = (A + B + REST) / 2;
        // SAFETY: the alignment is 4, and any bytes are words.
        unsafe { core::slice::from_raw_parts_mut((&raw mut *self).cast(), len) }
    }
}
