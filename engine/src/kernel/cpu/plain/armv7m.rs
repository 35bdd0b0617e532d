//! Armv7-M: the sums in `r4` to `r11`, two weights in `r12` and `lr`, an input in `r0`. Four-bit weights have two inputs, the
//! other in the place of their end, `r3`.

use crate::kernel::Panel;
use core::arch::global_asm;

pub(super) const NAME: &str = "armv7-m";

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

panel! {
    i8_a8 = kinglet_i8_a8(i8);
    i8_a16 = kinglet_i8_a16(i16);
    u8_a8 = kinglet_u8_a8(i8);
    u8_a16 = kinglet_u8_a16(i16);
    i4_a8 = kinglet_i4_a8(i8);
    i4_a16 = kinglet_i4_a16(i16);
}
