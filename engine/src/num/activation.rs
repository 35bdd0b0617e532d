//! tanh and sigmoid of a Q3.12 number by table: 256 or 512 segments with linear interpolation.
//!
//! A segment is one word, `value << 16 | delta`, so that a lookup is one load: with the segment's
//! number from the top bits of `z` and the fraction from the rest,
//! `y = entry + (delta · fraction << bits)` in Q31. The delta that stays in the low half of the entry
//! is part of the definition: it is below a sixteenth of a Q15 step, and masking it would cost an
//! instruction. Firmware has `delta · segment` taken off each entry (*tilted*): then the whole of `z` is multiplied by
//! the delta, and there is no fraction to mask. Each chord is shifted by half its sagitta, which halves the error at the middle.
//!
//! Measured over all 65,536 inputs against f64 (test `tables_stay_within_their_stated_error`).
//! The tables are evaluated by the compiler, in software floating point: the same on every host.

/// Tables for one precision. There are the two of this module, and no others: kernels look up as many entries as
/// `bits` count without a test, and some have the same entries in another order.
///
/// ```compile_fail
/// use kinglet::num::Tables;
/// static ZEROS: [i32; 256] = [0; 256];
/// let tables = Tables { bits: 8, tanh: &ZEROS, sigmoid: &ZEROS };
/// ```
#[derive(Debug)]
pub struct Tables {
    bits: u32,
    tanh: &'static [i32],
    sigmoid: &'static [i32],
}

static TANH_256: [i32; 256] = table(true);
static SIGMOID_256: [i32; 256] = table(false);
static TANH_512: [i32; 512] = table(true);
static SIGMOID_512: [i32; 512] = table(false);

/// Tables of `A8` layers: 2 KiB; maximum error 6.5 (tanh) and 1.3 (sigmoid) in units of 2^-15.
// A constant, so that its number of bits is one in every crate: the other tables are then not linked.
pub const SEGMENTS_256: Tables = Tables::new(8, &TANH_256, &SIGMOID_256);

/// Tables of `A16` layers: 4 KiB; maximum error 2.1 (tanh) and 0.7 (sigmoid) in units of 2^-15.
pub const SEGMENTS_512: Tables = Tables::new(9, &TANH_512, &SIGMOID_512);

impl Tables {
    const fn new(bits: u32, tanh: &'static [i32], sigmoid: &'static [i32]) -> Self {
        assert!(bits < 16 && tanh.len() == 1 << bits && sigmoid.len() == 1 << bits);
        Tables {
            bits,
            tanh,
            sigmoid,
        }
    }

    /// log2 of the number of segments.
    #[inline(always)]
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// Entries for tanh, `2^bits` of them, indexed by the top bits of `z` as an unsigned number.
    #[inline(always)]
    pub const fn tanh_entries(&self) -> &'static [i32] {
        self.tanh
    }

    /// Entries for the logistic function.
    #[inline(always)]
    pub const fn sigmoid_entries(&self) -> &'static [i32] {
        self.sigmoid
    }

    /// tanh of `z` (2^-12), in Q31.
    #[inline(always)]
    pub fn tanh(&self, z: i16) -> i32 {
        // SAFETY: as many entries as `new` asked for.
        unsafe { interpolate(self.tanh, self.bits, z) }
    }

    /// Logistic function of `z` (2^-12), in Q31.
    #[inline(always)]
    pub fn sigmoid(&self, z: i16) -> i32 {
        // SAFETY: as many entries as `new` asked for.
        unsafe { interpolate(self.sigmoid, self.bits, z) }
    }
}

/// # Safety
/// There are `2^bits` entries, and fewer than 16 bits.
#[inline(always)]
unsafe fn interpolate(entries: &[i32], bits: u32, z: i16) -> i32 {
    // SAFETY: the top bits of a number are below `2^bits`.
    let entry = unsafe { *entries.get_unchecked((z as u16 >> (16 - bits)) as usize) };
    let delta = entry as i16 as i32;
    let mask = if TILTED { -1 } else { (1 << (16 - bits)) - 1 };
    entry.wrapping_add((delta * (z as i32 & mask)) << bits)
}

/// Entries hold what a chord is at zero, not where its segment begins.
const TILTED: bool = cfg!(any(cortex_m_dsp, no_simd));

const fn table<const N: usize>(tanh: bool) -> [i32; N] {
    let mut entries = [0; N];
    let width = 16.0 / N as f64;
    let mut i = 0;
    while i < N {
        // The upper half of the indices are the negative numbers.
        let place = if i < N / 2 {
            i as i32
        } else {
            i as i32 - N as i32
        };
        let segment = if TILTED { place } else { 0 };
        let place = place as f64;
        let left = function(tanh, place * width);
        let middle = function(tanh, (place + 0.5) * width);
        let right = function(tanh, (place + 1.0) * width);
        let sagitta = middle - (left + right) / 2.0;
        let value = round_q15(left + sagitta / 2.0);
        let delta = round_q15(right + sagitta / 2.0) - value;
        entries[i] = (value << 16 | delta).wrapping_sub((delta * segment) << 16);
        i += 1;
    }
    entries
}

const fn round_q15(x: f64) -> i32 {
    let scaled = x * 32768.0;
    let rounded = if scaled < 0.0 {
        (scaled - 0.5) as i32
    } else {
        (scaled + 0.5) as i32
    };
    if rounded > 32767 { 32767 } else { rounded }
}

const fn function(tanh: bool, x: f64) -> f64 {
    if tanh {
        2.0 / (1.0 + exp(-2.0 * x)) - 1.0
    } else {
        1.0 / (1.0 + exp(-x))
    }
}

/// e^x for |x| ≤ 16, to about 1e-14: Taylor series of x/64, squared six times.
pub(super) const fn exp(x: f64) -> f64 {
    let small = x / 64.0;
    let mut sum = 1.0;
    let mut n = 14;
    while n > 0 {
        sum = 1.0 + sum * small / n as f64;
        n -= 1;
    }
    let mut squarings = 6;
    while squarings > 0 {
        sum *= sum;
        squarings -= 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::println;

    fn max_error(lookup: impl Fn(i16) -> i32, exact: impl Fn(f64) -> f64) -> f64 {
        (i16::MIN..=i16::MAX)
            .map(|z| (lookup(z) as f64 / 65536.0 - exact(z as f64 / 4096.0) * 32768.0).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn tables_stay_within_their_stated_error() {
        for (tables, tanh_bound, sigmoid_bound) in
            [(&SEGMENTS_256, 6.5, 1.3), (&SEGMENTS_512, 2.1, 0.7)]
        {
            let tanh = max_error(|z| tables.tanh(z), f64::tanh);
            let sigmoid = max_error(|z| tables.sigmoid(z), |x| 1.0 / (1.0 + (-x).exp()));
            println!(
                "{} segments: tanh {tanh:.2}, sigmoid {sigmoid:.2}",
                1 << tables.bits
            );
            assert!(tanh <= tanh_bound, "tanh, {} bits: {tanh}", tables.bits);
            assert!(
                sigmoid <= sigmoid_bound,
                "sigmoid, {} bits: {sigmoid}",
                tables.bits
            );
        }
    }

    #[test]
    fn tables_never_decrease() {
        for tables in [&SEGMENTS_256, &SEGMENTS_512] {
            for z in i16::MIN..i16::MAX {
                assert!(tables.sigmoid(z) >= 0, "sigmoid({z})");
                // A kink of one Q15 step between segments is allowed: the chords are fitted apart.
                let (now, next) = (tables.tanh(z) as i64, tables.tanh(z + 1) as i64);
                assert!(next >= now - (14 << 16), "tanh({z})");
            }
        }
    }
}
