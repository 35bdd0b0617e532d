//! Armv7-M and Armv7E-M: the same functions over different instructions.
//!
//! Armv7-M has the sums in `r4` to `r11`, two weights in `r12` and `lr`, an input in `r0`. Four-bit weights have two inputs, the
//! other in the place of their end, `r3`.
//!
//! On Armv7E-M `SMLAD` adds two products of halves. Four rows at a time, since inputs are paired once for all of them.
//!
//! `SXTB16` makes halves of the even bytes of a word, and of the odd ones. A word of four-bit weights has eight columns. Masked by
//! `0x000f_000f` it is columns 0 and 2, from 8 bits further up 1 and 3, from 4 bits 4 and 6, from 12 bits 5 and 7; the shift is a part of
//! the `AND`.
//!
//! The sums are in `r0` to `r3`, pairs of inputs in `r4` to `r7`, a word and its part in `r8` and `r9`, the mask in `r10`; `r12` walks the
//! inputs up to `r11`, and `lr` the weights. Words may lie at any address, so there is no `LDM` of them.

use crate::kernel::Panel;
use core::arch::global_asm;

pub(super) const NAME: &str = if cfg!(cortex_m_dsp) {
    "armv7e-m"
} else {
    "armv7-m"
};

#[cfg(cortex_m_dsp)]
global_asm!(
    env!("KINGLET_ASM_CPU"),
    include_str!("armv7em.s"),
    options(raw)
);
#[cfg(not(cortex_m_dsp))]
global_asm!(include_str!("armv7m.s"), options(raw));

macro_rules! panel {
    ($($name:ident = $symbol:ident($number:ty);)+) => {
        unsafe extern "C" {
            $(fn $symbol(
                sums: *mut i32,
                w: *const u8,
                x: *const $number,
                end: *const $number,
            ) -> *const u8;)+
        }
        $(/// # Safety
        /// The panel lies at `w`; columns are whole blocks, double ones of four bits, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            w: *const u8,
            x: &[$number],
        ) -> *const u8 {
            let x = x.as_ptr_range();
            // SAFETY: reads as many blocks as there are of inputs.
            unsafe { $symbol(sums.as_mut_ptr(), w, x.start, x.end) }
        })+
    };
}

// Elsewhere these are `paired`.
#[cfg(not(cortex_m_dsp))]
panel! {
    i8_a8 = kinglet_i8_a8(i8);
    i8_a16 = kinglet_i8_a16(i16);
}

panel! {
    u8_a8 = kinglet_u8_a8(i8);
    u8_a16 = kinglet_u8_a16(i16);
    i4_a8 = kinglet_i4_a8(i8);
    i4_a16 = kinglet_i4_a16(i16);
}
