//! Number formats of the integer path, and the one rounding rule.
//!
//! | quantity | type | value of 1.0 |
//! |---|---|---|
//! | weight | `i8`, in `W4A8` four bits | 1 / row scale |
//! | matrix input, `A8` layers | `i8`, the first layer's sample `i16` | 2^7 |
//! | matrix input, `A16` layers | `i16` | 2^12 |
//! | accumulator | `i32` | 1 / (row scale · input LSB) |
//! | pre-activation `z` | `i16` | 2^12, saturated at ±8 |
//! | pre-activation of a slow layer | `i16` | 2^11, saturated at ±16 |
//! | gate (tanh, sigmoid) | `i32` | 2^31 |
//! | LSTM cell `c` | `i32` | 2^(27 − `cell_shift`), clamped at ±8 · 2^`cell_shift` |
//! | GRU, RNN master state `h` | `i32` | 2^29 |
//! | a layer's output | `i16` | 2^12 |
//!
//! Every product of two 32-bit numbers is rounded by [`mulhi_round`]. It is one instruction where it
//! matters (Armv7E-M `SMMULR`, Helium `VRMULH`), and `hi + (lo >> 31)` elsewhere. Gates are kept in
//! Q31 although the tables know 16 bits of them: the interpolated bits come for free, and the rounded
//! high product then needs no other format. Shifts to a coarser format round half up, except where
//! the result only indexes an activation table.

mod activation;
pub(crate) mod float;
mod hard;
mod inverse_root;
mod magnitude;
mod saturate;
pub(crate) mod slow;

pub use activation::{SEGMENTS_256, SEGMENTS_512, Tables};
pub(crate) use float::{elu, elu_q, power_of_two};
pub use float::{input_limits, quantize, sigmoid, softmax, softmax_q15, tanh};
pub use hard::{hard_gate, hard_gate_q};
pub(crate) use inverse_root::InverseRoot;
pub(crate) use magnitude::magnitude_q;
pub(crate) use saturate::saturate;
pub use saturate::saturate16;
pub use slow::slow_tail;

/// `(a · b + 2^31) >> 32`: the rounded high half of the 64-bit product, which is an instruction of this CPU.
#[cfg(cortex_m_dsp)]
#[inline(always)]
pub fn mulhi_round(mut a: i32, b: i32) -> i32 {
    // SAFETY: registers only.
    unsafe {
        core::arch::asm!(
            "smmulr {a}, {a}, {b}",
            a = inout(reg) a,
            b = in(reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    a
}

/// `(a · b + 2^31) >> 32`: the rounded high half of the 64-bit product.
#[cfg(not(any(armv6m, cortex_m_dsp)))]
#[inline(always)]
pub fn mulhi_round(a: i32, b: i32) -> i32 {
    let product = a as i64 * b as i64;
    if cfg!(target_pointer_width = "32") {
        // Two halves are two registers there.
        (product >> 32) as i32 + (product as u32 >> 31) as i32
    } else {
        ((product + (1 << 31)) >> 32) as i32
    }
}

/// `(a · b + 2^31) >> 32`: the rounded high half of the 64-bit product, of which this CPU multiplies the lower
/// half only. With `a = 2^16 a1 + a0`, `b = 2^16 b1 + b0`:
///
/// ```text
/// t = a1 b0 + (a0 b0 >> 16)
/// u = a0 b1 + (t mod 2^16)        its bit 15 rounds
/// a1 b1 + (t >> 16) + (u >> 16)
/// ```
#[cfg(armv6m)]
#[inline(always)]
pub fn mulhi_round(mut a: i32, b: i32) -> i32 {
    // SAFETY: registers only.
    unsafe {
        core::arch::asm!(
            "uxth {a0}, {a}",
            "asrs {a}, {a}, #16",
            "uxth {b0}, {b}",
            "asrs {b}, {b}, #16",
            "mov {low}, {a0}",
            "muls {low}, {b0}, {low}",
            "muls {a0}, {b}, {a0}",
            "muls {b0}, {a}, {b0}",
            "muls {a}, {b}, {a}",
            "lsrs {low}, {low}, #16",
            "adds {b0}, {b0}, {low}",
            "uxth {b}, {b0}",
            "adds {a0}, {a0}, {b}",
            "asrs {b0}, {b0}, #16",
            // The last bit out becomes the carry.
            "asrs {a0}, {a0}, #16",
            "adcs {a}, {a}, {a0}",
            "adds {a}, {a}, {b0}",
            a = inout(reg) a,
            b = inout(reg) b => _,
            a0 = out(reg) _,
            b0 = out(reg) _,
            low = out(reg) _,
            options(pure, nomem, nostack),
        );
    }
    a
}

/// `x · 2^-shift`, rounded half up, for shifts of 1 to 31; of numbers within half of `2^shift` of the largest `i32` the sum wraps.
#[inline(always)]
pub const fn shift_round(x: i32, shift: u32) -> i32 {
    x.wrapping_add(1 << (shift - 1)) >> shift
}

/// A layer output (2^-12) as the matrix input of an `A8` layer (2^-7).
#[inline(always)]
pub fn narrow(y: i16) -> i8 {
    saturate::<7>(shift_round(y as i32, 5)) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mulhi_round_is_the_rounded_high_half() {
        for (a, b, want) in [
            (-(1 << 30), 2, 0),
            (-(1 << 30) - 1, 2, -1),
            (i32::MIN, i32::MIN, 1 << 30),
            (i32::MAX, i32::MAX, (1 << 30) - 1),
            (1 << 16, 1 << 15, 1),
            (1 << 16, (1 << 15) - 1, 0),
            (-(1 << 16), 1 << 15, 0),
        ] {
            assert_eq!(mulhi_round(a, b), want, "{a} · {b}");
            let low = a.wrapping_mul(b) as u32;
            let high = ((a as i64 * b as i64) >> 32) as i32;
            assert_eq!(mulhi_round(a, b), high + (low >> 31) as i32, "{a} · {b}");
        }
    }

    #[test]
    fn narrow_rounds_and_saturates() {
        assert_eq!(narrow(4096), 127);
        assert_eq!(narrow(-4096), -128);
        assert_eq!(narrow(16), 1);
        assert_eq!(narrow(15), 0);
        assert_eq!(narrow(-16), 0);
        assert_eq!(narrow(-17), -1);
        assert_eq!(narrow(i16::MIN), -128);
        assert_eq!(narrow(i16::MAX), 127);
    }
}
