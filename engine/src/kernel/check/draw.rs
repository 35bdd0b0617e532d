//! Numbers for inputs and outputs, between random bytes and at any misalignment.

use super::report::Value;
use super::{MARGIN, OFFSET};
use crate::kernel::{LANES, Panel};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables};
use bytemuck::Pod;
use half::f16;

/// Numbers by counting and scrambling (MurmurHash3's finalizer): any seed will do, 32-bit operations only.
pub(super) struct Random {
    state: u32,
    /// No float is extreme.
    pub(super) moderate: bool,
}

impl Random {
    pub(super) fn new(seed: u32) -> Self {
        Random {
            state: seed,
            moderate: false,
        }
    }

    pub(super) fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9);
        let mut x = self.state;
        x = (x ^ x >> 16).wrapping_mul(0x85eb_ca6b);
        x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae35);
        x ^ x >> 16
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        ((self.next() as u64 * end as u64) >> 32) as usize
    }

    pub(super) fn from(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    pub(super) fn tables(&mut self) -> &'static Tables {
        [&SEGMENTS_256, &SEGMENTS_512][self.below(2)]
    }
}

/// How the numbers of one input are drawn.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    /// Over the type's range, or for floats of the size that networks have.
    Usual,
    /// From [`Number::EXTREMES`].
    Extreme,
    /// Now and then an extreme one.
    Mixed,
    /// Any bits.
    Bits,
}

/// An element of an input or output.
pub(super) trait Number: Pod {
    const FLOAT: bool = false;
    const EXTREMES: &'static [Self];
    fn usual(random: u32) -> Self;
    fn bits(random: u32) -> Self;
    fn same(self, other: Self) -> bool;
    fn value(self) -> Value;

    /// The same, or a float that is not further away.
    fn near(self, other: Self, _error: f32) -> bool {
        self.same(other)
    }

    fn draw(random: &mut Random, draw: Draw) -> Self {
        match draw {
            Draw::Usual => Self::usual(random.next()),
            Draw::Bits => Self::bits(random.next()),
            Draw::Mixed if random.below(32) > 0 => Self::usual(random.next()),
            Draw::Extreme | Draw::Mixed => Self::EXTREMES[random.below(Self::EXTREMES.len())],
        }
    }
}

/// An integer: its extremes, and a usual one of 32 random bits.
macro_rules! integer {
    ($number:ty, $extremes:expr, $random:ident => $usual:expr) => {
        impl Number for $number {
            const EXTREMES: &'static [$number] = &$extremes;
            fn usual($random: u32) -> $number {
                $usual
            }
            fn bits(random: u32) -> $number {
                random as $number
            }
            fn same(self, other: $number) -> bool {
                self == other
            }
            fn value(self) -> Value {
                Value::Int(self as i32)
            }
        }
    };
}

// Two weights of four bits, or one of eight.
integer!(u8, [0x00, 0x01, 0x0f, 0x7f, 0x80, 0x81, 0xf0, 0xff], random => (random >> 24) as u8);
integer!(i8, [-128, -127, -1, 0, 1, 127], random => (random >> 24) as i8);
integer!(i16, [i16::MIN, i16::MIN + 1, -1, 0, 1, i16::MAX - 1, i16::MAX], random => (random >> 16) as i16);
// Of any magnitude, since a uniform one would nearly always saturate.
integer!(i32, [
    i32::MIN,
    i32::MIN + 1,
    -(1 << 30) - 1,
    -(1 << 30),
    -(1 << 16),
    -1,
    0,
    1,
    1 << 15,
    (1 << 30) - 1,
    1 << 30,
    i32::MAX - 1,
    i32::MAX,
], random => (random as i32) >> (random % 24));

impl Number for f32 {
    const FLOAT: bool = true;
    const EXTREMES: &'static [f32] = &[
        0.0,
        -0.0,
        f32::from_bits(1),
        -f32::from_bits(0x007f_ffff),
        f32::MIN_POSITIVE,
        -1e-20,
        1.0,
        -1.0,
        crate::num::float::TANH_CLAMP,
        -2.0 * crate::num::float::TANH_CLAMP,
        16.1,
        -1e18,
        3e38,
        f32::MIN,
        f32::MAX,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    fn usual(random: u32) -> f32 {
        (random as i32) as f32 / (1 << 28) as f32
    }
    fn bits(random: u32) -> f32 {
        f32::from_bits(random)
    }
    fn same(self, other: f32) -> bool {
        self.to_bits() == other.to_bits() || self.is_nan() && other.is_nan()
    }
    fn near(self, other: f32, error: f32) -> bool {
        self.same(other) || (self - other).abs() <= error * self.abs().max(1.0) && error > 0.0
    }
    fn value(self) -> Value {
        Value::Float(self)
    }
}

impl Number for f16 {
    const FLOAT: bool = true;
    const EXTREMES: &'static [f16] = &[
        f16::ZERO,
        f16::NEG_ZERO,
        f16::MIN_POSITIVE_SUBNORMAL,
        f16::MAX_SUBNORMAL,
        f16::from_bits(0x83ff),
        f16::MIN_POSITIVE,
        f16::ONE,
        f16::MIN,
        f16::MAX,
        f16::INFINITY,
        f16::NAN,
    ];
    fn usual(random: u32) -> f16 {
        // Magnitude 2^-14 to 2.
        f16::from_bits((random >> 16) as u16 & 0xbfff)
    }
    fn bits(random: u32) -> f16 {
        f16::from_bits(random as u16)
    }
    fn same(self, other: f16) -> bool {
        self.to_bits() == other.to_bits()
    }
    fn value(self) -> Value {
        Value::Float(self.to_f32_const())
    }
}

#[repr(C, align(64))]
pub(super) struct Bytes<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Bytes<N> {
    pub(super) fn scramble(&mut self, random: &mut Random) {
        for chunk in self.0.chunks_mut(4) {
            chunk.copy_from_slice(&random.next().to_ne_bytes()[..chunk.len()]);
        }
    }

    /// `len` numbers at a random offset between random bytes.
    pub(super) fn numbers<T: Number>(&mut self, random: &mut Random, len: usize) -> &mut [T] {
        self.scramble(random);
        let start = random.from(0, OFFSET) * size_of::<T>();
        let numbers = bytemuck::cast_slice_mut(&mut self.0[start..start + len * size_of::<T>()]);
        draw(random, numbers);
        numbers
    }

    pub(super) fn panels<T: Number>(&mut self, random: &mut Random, panels: usize) -> &[Panel<T>] {
        self.numbers(random, panels * LANES).as_chunks().0
    }
}

pub(super) fn draw<T: Number>(random: &mut Random, numbers: &mut [T]) {
    // Mostly usual: one infinity among the inputs of a float product hides everything else.
    let draw = match random.below(8) {
        _ if T::FLOAT && random.moderate => Draw::Usual,
        0 => Draw::Extreme,
        1 => Draw::Mixed,
        2 => Draw::Bits,
        _ => Draw::Usual,
    };
    for number in numbers {
        *number = T::draw(random, draw);
    }
}

/// Equal buffers for the two tables.
pub(super) struct Outputs<const N: usize> {
    want: Bytes<N>,
    pub(super) got: Bytes<N>,
    /// First byte of the output.
    pub(super) start: usize,
    pub(super) len: usize,
}

impl<const N: usize> Outputs<N> {
    pub(super) const NEW: Self = Outputs {
        want: Bytes([0; N]),
        got: Bytes([0; N]),
        start: 0,
        len: 0,
    };

    /// Draws the numbers that the output holds before, between random bytes.
    pub(super) fn fill<T: Number>(&mut self, random: &mut Random, panels: usize) {
        self.want.scramble(random);
        self.start = MARGIN + random.from(0, OFFSET) * size_of::<T>();
        self.len = panels * LANES * size_of::<T>();
        let Outputs {
            want,
            got,
            start,
            len,
        } = self;
        draw::<T>(
            random,
            bytemuck::cast_slice_mut(&mut want.0[*start..][..*len]),
        );
        got.0 = want.0;
    }

    pub(super) fn set<T: Number>(&mut self, value: T) {
        let Outputs { start, len, .. } = *self;
        bytemuck::cast_slice_mut(&mut self.want.0[start..][..len]).fill(value);
        self.got.0 = self.want.0;
    }

    pub(super) fn want<T: Number>(&mut self) -> &mut [Panel<T>] {
        bytemuck::cast_slice_mut(&mut self.want.0[self.start..][..self.len])
    }

    pub(super) fn got<T: Number>(&mut self) -> &mut [Panel<T>] {
        bytemuck::cast_slice_mut(&mut self.got.0[self.start..][..self.len])
    }

    /// How many numbers are equal, or place and values of the first difference, wherever it lies in the buffers. In the
    /// output itself floats may differ by `error`.
    pub(super) fn compare<T: Number>(&self, error: f32) -> Compared {
        let (want, got): (&[T], &[T]) = (
            bytemuck::cast_slice(&self.want.0),
            bytemuck::cast_slice(&self.got.0),
        );
        let (start, len) = (self.start / size_of::<T>(), self.len / size_of::<T>());
        let output = start..start + len;
        let mut differences = want
            .iter()
            .zip(got)
            .enumerate()
            .filter(|(at, (want, got))| {
                let error = if output.contains(at) { error } else { 0.0 };
                !want.near(**got, error)
            });
        match differences.next() {
            None => Ok(len as u64),
            Some((at, (want, got))) => {
                Err((at as isize - start as isize, want.value(), got.value()))
            }
        }
    }
}

/// Numbers that are equal; or the place of a difference, and both values.
pub(super) type Compared = Result<u64, (isize, Value, Value)>;
