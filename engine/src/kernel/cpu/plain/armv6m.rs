//! Armv6-M multiplies in `r0` to `r7` only, but adds to all: five of the sums lie in `r8` to `r12`, three in `r5` to `r7`.
//!
//! Inputs are addressed from their end, by an offset in `r4` that counts up to zero.
//!
//! The functions are called with operands of their own choice: a compiler's call would save the five upper registers, two
//! instructions each and way, for every panel. It keeps `r6` and `r7` for itself, so the functions save those.

use crate::kernel::Panel;
use core::arch::{asm, global_asm};

pub(super) const NAME: &str = "armv6-m";

global_asm!(include_str!("armv6m.s"), options(raw));

unsafe extern "C" {
    fn kinglet_i8_a8();
    fn kinglet_i8_a16();
    fn kinglet_u8_a8();
    fn kinglet_u8_a16();
    fn kinglet_i4_a8();
    fn kinglet_i4_a16();
    fn kinglet_requant();
}

macro_rules! panel {
    ($($name:ident = $symbol:ident($number:ty);)+) => {
        $(/// # Safety
        /// The panel lies at `w`; columns are whole blocks, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            mut w: *const u8,
            x: &[$number],
        ) -> *const u8 {
            // SAFETY: reads as many blocks as there are of inputs.
            unsafe {
                asm!(
                    "bl {product}",
                    product = sym $symbol,
                    inout("r0") sums.as_mut_ptr() => _,
                    inout("r1") w,
                    inout("r2") x.as_ptr_range().end => _,
                    out("r3") _,
                    inout("r4") -(size_of_val(x) as i32) => _,
                    out("r5") _,
                    out("r8") _,
                    out("r9") _,
                    out("r10") _,
                    out("r11") _,
                    out("r12") _,
                    out("lr") _,
                );
            }
            w
        })+
    };
}

panel! {
    i8_a8 = kinglet_i8_a8(i8);
    i8_a16 = kinglet_i8_a16(i16);
    u8_a8 = kinglet_u8_a8(i8);
    u8_a16 = kinglet_u8_a16(i16);
}

macro_rules! panel_i4 {
    ($($name:ident = $symbol:ident($number:ty);)+) => {
        $(/// # Safety
        /// The panel lies at `w`; columns are whole double blocks, one at least.
        #[inline(always)]
        pub(super) unsafe fn $name(
            sums: &mut Panel<i32>,
            mut w: *const u8,
            x: &[$number],
        ) -> *const u8 {
            let x = x.as_ptr_range();
            // SAFETY: reads as many double blocks as there are of inputs.
            unsafe {
                asm!(
                    "bl {product}",
                    product = sym $symbol,
                    inout("r0") sums.as_mut_ptr() => _,
                    inout("r1") w,
                    inout("r2") x.start => _,
                    inout("r3") x.end => _,
                    out("r4") _,
                    out("r5") _,
                    out("r8") _,
                    out("r9") _,
                    out("r10") _,
                    out("r11") _,
                    out("r12") _,
                    out("lr") _,
                );
            }
            w
        })+
    };
}

panel_i4! {
    i4_a8 = kinglet_i4_a8(i8);
    i4_a16 = kinglet_i4_a16(i16);
}

/// A panel of pre-activations from its sums, which exceed what they should be.
#[inline(always)]
pub(super) fn requant(
    z: &mut Panel<i16>,
    sums: &Panel<i32>,
    m: &Panel<i32>,
    (excess, shift): (i32, u8),
) {
    // SAFETY: reads and writes these panels.
    unsafe {
        asm!(
            "bl {requant}",
            requant = sym kinglet_requant,
            in("r0") sums.as_ptr(),
            in("r1") m.as_ptr(),
            in("r2") z.as_mut_ptr(),
            inout("r3") excess.wrapping_neg() => _,
            inout("r4") (shift & 31) as u32 => _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("lr") _,
        );
    }
}
