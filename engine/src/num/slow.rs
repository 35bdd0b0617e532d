//! Gates of slow layers, which keep what they know for tens of thousands of steps.
//!
//! A cell that forgets the share `1 − f` in a step remembers for `1 / (1 − f)` steps, so it is the relative accuracy of
//! `1 − f = σ(−z)` that counts. The tables of [`super::Tables`] end at ±8 and are within half a unit of 2^-15, good for a few
//! hundred steps. Here pre-activations are Q4.11, up to ±16, and a table of 256 segments has `σ(−|z|)` in Q31:
//! within 0.15 % of its value up to |z| = 12 and 0.6 % up to 16, where a memory is nine million steps long. States are
//! moved by their share in 64 bits and rounded once.

use super::activation::exp;
use super::saturate::{saturate, sign_mask};

/// Segments of a sixteenth.
const SEGMENTS: usize = 256;

/// `σ(−k / 16)` in Q31.
static TAIL: [i32; SEGMENTS + 1] = {
    let mut entries = [0; SEGMENTS + 1];
    let mut k = 0;
    while k <= SEGMENTS {
        let e = exp(-(k as f64) / 16.0);
        entries[k] = (e / (1.0 + e) * 2_147_483_648.0 + 0.5) as i32;
        k += 1;
    }
    entries
};

/// `σ(−k / 16)` in Q31 for `k` from 0 to 256: the table of slow gates, for implementations elsewhere.
pub const fn slow_tail() -> &'static [i32; SEGMENTS + 1] {
    &TAIL
}

/// `σ(z)` and `1 − σ(z)` of a Q4.11 number, in Q31: their sum is 2^31.
#[cfg_attr(one_table, inline(never))]
#[cfg_attr(not(one_table), inline(always))]
pub(crate) fn gate(z: i16) -> [i32; 2] {
    // A negative number is taken half a unit nearer to zero, which leaves no -2^15.
    let magnitude = (z ^ (z >> 15)) as usize & 0x7fff;
    let [left, right] = [TAIL[magnitude >> 7], TAIL[(magnitude >> 7) + 1]];
    // The first segment is the longest: 2^25 · 127 is below 2^32.
    let step = ((left - right) as u32 * (magnitude as u32 & 127)) >> 7;
    let small = left - step as i32;
    let large = i32::MAX - (small - 1);
    let exchange = (small ^ large) & sign_mask(z as i32);
    [large ^ exchange, small ^ exchange]
}

/// A Q4.11 pre-activation as the tables take it, saturated at ±8.
#[inline(always)]
pub(crate) fn double(z: i16) -> i16 {
    saturate::<15>((z as i32) << 1) as i16
}

/// `f c + i g`: gates in Q31, the cell in units of 2^-(27 − `cell_shift`).
// Products of 64 bits are long where registers have 32.
#[cfg_attr(one_table, inline(never))]
#[cfg_attr(not(one_table), inline(always))]
pub(crate) fn accumulate(c: i32, f: i32, i: i32, g: i32, cell_shift: u8) -> i32 {
    let kept = f as i64 * c as i64;
    let new = (i as i64 * g as i64) >> (4 + cell_shift as u32);
    // Below 2^30 + 2^27.
    saturate::<30>(((kept + new + (1 << 30)) >> 31) as i32)
}

/// `h + share (n − h)`: the share in Q31, the state in Q29, what it goes to in Q31.
// Products of 64 bits are long where registers have 32.
#[cfg_attr(one_table, inline(never))]
#[cfg_attr(not(one_table), inline(always))]
pub(crate) fn approach(h: i32, share: i32, n: i32) -> i32 {
    go_to(h, share, n >> 2)
}

/// [`approach`] with what it goes to in Q29.
#[inline(always)]
pub(crate) fn go_to(h: i32, share: i32, n: i32) -> i32 {
    let way = share as i64 * (n as i64 - h as i64);
    h.wrapping_add(((way + (1 << 30)) >> 31) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gate_leaves_is_accurate_relative_to_itself() {
        for z in i16::MIN..=i16::MAX {
            let x = f64::from(z) / 2048.0;
            let [kept, left] = gate(z).map(f64::from);
            assert_eq!(kept + left, 2f64.powi(31), "{x}");
            for (found, z) in [(kept, x), (left, -x)] {
                let exact = 2f64.powi(31) / (1.0 + libm::exp(-z));
                let bound = if x.abs() < 12.0 { 0.0015 } else { 0.006 };
                assert!(
                    (found / exact - 1.0).abs() < bound,
                    "{z}: {found} for {exact}"
                );
            }
        }
    }

    #[test]
    fn a_cell_decays_with_its_time_constant() {
        // f = σ(10.3): 29,733 steps.
        let z = (10.3 * 2048.0) as i16;
        let [f, share] = gate(z);
        let exact = 1.0 - 1.0 / (1.0 + libm::exp(10.3));
        let want = libm::pow(exact, 30_000.0);
        for shift in [0, 3, 7] {
            let one = 1 << 29;
            let (mut c, mut h) = (one, one);
            for _ in 0..30_000 {
                c = accumulate(c, f, 0, 0, shift);
                h = approach(h, share, 0);
            }
            for end in [c, h] {
                let end = f64::from(end) / f64::from(one);
                assert!((end / want - 1.0).abs() < 0.01, "{end} for {want}");
            }
        }
        // What flows in by steps of a few units is not lost.
        let mut c = 0;
        for _ in 0..30_000 {
            c = accumulate(c, f, i32::MAX - f, i32::MAX, 0);
        }
        let end = f64::from(c) / f64::from(1 << 27);
        assert!((end / (1.0 - want) - 1.0).abs() < 0.01, "{end}");
    }

    #[test]
    fn nothing_overflows_at_the_ends() {
        for c in [-(1 << 30), (1 << 30) - 1] {
            for g in [i32::MIN, i32::MAX] {
                for z in [i16::MIN, i16::MAX] {
                    let [kept, left] = gate(z);
                    for shift in 0..=7 {
                        assert!(
                            (-(1 << 30)..1 << 30).contains(&accumulate(c, kept, kept, g, shift))
                        );
                    }
                    assert!(approach(c >> 1, left, g).unsigned_abs() <= 1 << 29);
                }
            }
        }
    }
}
