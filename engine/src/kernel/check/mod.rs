//! The differential checker: every primitive of a table against [`Kernels::SCALAR`], bit for bit.
//!
//! A round draws a shape for each primitive, 1 to 6 panels with every grouping, 1 to 6 streams and up to 17 blocks
//! of columns (any column count up to 70 for floats), fills the inputs with random or extreme
//! numbers at any misalignment, and runs both tables on equal outputs that lie between random
//! bytes. Then all of both buffers must be equal: a wrong value, a write beside the output and a read
//! beside the input show alike. Besides the rounds, activations see all 65,536 arguments with
//! both table sizes, and the f16 product all 65,536 weights.
//!
//! The same code runs in tests, fuzz targets and firmware. It needs no heap; on the stack are 7.2 KiB
//! of buffers, checked at compile time, and the frames around them. A NaN equals any NaN: which one
//! an operation gives is not defined, in Rust or between CPUs.

use super::table::{Table, check_each};
use super::{
    BLOCK, CellQ, Columns, Curve, FloatMatrix, GateOrder, GateRows, Hidden, Inputs, IntMatrix,
    Kernels, LANES, LayerState, MAX_CELL_SHIFT, MAX_PANELS, Panel, Panels, Record, StateF, Streams,
    Units,
};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables};
use bytemuck::Pod;
use core::fmt;
use half::f16;

/// Most panels of a matrix or a state.
const PANELS: usize = 6;
/// Most panels in a row of a matrix, and most panels from one group to the next.
const GROUP: usize = 4;
/// Most columns of an integer matrix.
const INT_COLUMNS: usize = 17 * BLOCK;
/// Most columns of a float matrix; fewer where the weights would not fit their buffer.
const FLOAT_COLUMNS: usize = 70;
/// Most streams of a batch.
const STREAMS: usize = 6;
/// Most panels of the states of a batch.
const BATCH: usize = 2 * PANELS;
/// Slices start up to this many elements behind a multiple of 64 bytes.
const OFFSET: usize = 15;
/// Bytes of the largest input: an integer matrix.
const WEIGHTS: usize = PANELS * LANES * INT_COLUMNS;
/// Bytes of the largest output: sums with gaps, and a panel that no group reaches.
const SUMS: usize = ((PANELS - 1) * GROUP + 2) * LANES * 4;
/// Bytes ahead of an output, besides its offset.
const MARGIN: usize = 64;

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Name of the table.
    pub table: &'static str,
    /// Numbers that were equal.
    pub values: u64,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked { table, values } = self;
        write!(f, "{table} equals scalar: {values} values")
    }
}

/// The first difference. [`check`] with one round and this seed finds it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mismatch {
    /// Name of the table.
    pub table: &'static str,
    /// The primitive that differs.
    pub primitive: &'static str,
    /// What it was run on.
    pub shape: Shape,
    /// Which of its outputs, as the method of [`Kernels`] names it.
    pub output: &'static str,
    /// Element of the output. Below 0 or from the output's length on it lies beside the output,
    /// where nothing may be written.
    pub index: isize,
    /// The scalar table's value.
    pub want: Value,
    /// The checked table's value.
    pub got: Value,
    /// Seed of the round.
    pub seed: u32,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch {
            table,
            primitive,
            shape,
            output,
            index,
            want,
            got,
            seed,
        } = self;
        write!(
            f,
            "{table}: {primitive} of {shape}: {output}[{index}] is {got}, {want} in the scalar table (seed {seed})"
        )
    }
}

impl core::error::Error for Mismatch {}

/// What a primitive was run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Panels of the matrix, or of the state.
    pub panels: usize,
    /// Columns of the matrix; 0 for what has none.
    pub columns: usize,
    /// Where the matrix adds into the sums.
    pub placed: Panels,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panels", self.panels)?;
        if self.columns > 0 {
            let Panels { group, stride } = self.placed;
            write!(
                f,
                " of {} columns, groups of {group} in {stride}",
                self.columns
            )?;
        }
        Ok(())
    }
}

/// A number of an output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Of an integer output.
    Int(i32),
    /// Of a float output.
    Float(f32),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:e} (0x{:08x})", value.to_bits()),
        }
    }
}

/// Compares all primitives of a table with the scalar ones: once over all arguments of activations
/// and f16 weights, then `rounds` times over random shapes and numbers.
///
/// # Errors
/// The first difference.
pub fn check(table: &Kernels, rounds: u32, seed: u32) -> Result<Checked, Mismatch> {
    let name = table.name();
    let Table {
        float_product,
        curve_q,
        ..
    } = *table.table();
    let one = *Kernels::SCALAR.table();
    let float_product = Kernels::of(Table {
        float_product,
        ..one
    });
    let curve_q = Kernels::of(Table { curve_q, ..one });
    let mut run = Run::new(name, seed);
    for tables in [&SEGMENTS_256, &SEGMENTS_512] {
        run.every_argument("curve_q", &curve_q, tables)?;
    }
    run.every_f16("float_product", &float_product)?;
    for round in 0..rounds {
        run.seed = seed.wrapping_add(round);
        check_each(&mut run, table.table())?;
    }
    Ok(Checked {
        table: name,
        values: run.values,
    })
}

/// Numbers by counting and scrambling (MurmurHash3's finalizer): any seed will do, 32-bit operations only.
pub(super) struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9);
        let mut x = self.0;
        x = (x ^ x >> 16).wrapping_mul(0x85eb_ca6b);
        x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae35);
        x ^ x >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() as u64 * end as u64) >> 32) as usize
    }

    fn from(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    fn tables(&mut self) -> &'static Tables {
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
    const EXTREMES: &'static [Self];
    fn usual(random: u32) -> Self;
    fn bits(random: u32) -> Self;
    fn same(self, other: Self) -> bool;
    fn value(self) -> Value;

    fn draw(random: &mut Random, draw: Draw) -> Self {
        match draw {
            Draw::Usual => Self::usual(random.next()),
            Draw::Bits => Self::bits(random.next()),
            Draw::Mixed if random.below(32) > 0 => Self::usual(random.next()),
            Draw::Extreme | Draw::Mixed => Self::EXTREMES[random.below(Self::EXTREMES.len())],
        }
    }
}

/// Two weights of four bits, or one of eight.
impl Number for u8 {
    const EXTREMES: &'static [u8] = &[0x00, 0x01, 0x0f, 0x7f, 0x80, 0x81, 0xf0, 0xff];
    fn usual(random: u32) -> u8 {
        (random >> 24) as u8
    }
    fn bits(random: u32) -> u8 {
        random as u8
    }
    fn same(self, other: u8) -> bool {
        self == other
    }
    fn value(self) -> Value {
        Value::Int(self as i32)
    }
}

impl Number for i8 {
    const EXTREMES: &'static [i8] = &[-128, -127, -1, 0, 1, 127];
    fn usual(random: u32) -> i8 {
        (random >> 24) as i8
    }
    fn bits(random: u32) -> i8 {
        random as i8
    }
    fn same(self, other: i8) -> bool {
        self == other
    }
    fn value(self) -> Value {
        Value::Int(self as i32)
    }
}

impl Number for i16 {
    const EXTREMES: &'static [i16] = &[i16::MIN, i16::MIN + 1, -1, 0, 1, i16::MAX - 1, i16::MAX];
    fn usual(random: u32) -> i16 {
        (random >> 16) as i16
    }
    fn bits(random: u32) -> i16 {
        random as i16
    }
    fn same(self, other: i16) -> bool {
        self == other
    }
    fn value(self) -> Value {
        Value::Int(self as i32)
    }
}

impl Number for i32 {
    const EXTREMES: &'static [i32] = &[
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
    ];
    /// Of any magnitude, since a uniform one would nearly always saturate.
    fn usual(random: u32) -> i32 {
        (random as i32) >> (random % 24)
    }
    fn bits(random: u32) -> i32 {
        random as i32
    }
    fn same(self, other: i32) -> bool {
        self == other
    }
    fn value(self) -> Value {
        Value::Int(self)
    }
}

impl Number for f32 {
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
    fn value(self) -> Value {
        Value::Float(self)
    }
}

impl Number for f16 {
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
struct Bytes<const N: usize>([u8; N]);

impl<const N: usize> Bytes<N> {
    fn scramble(&mut self, random: &mut Random) {
        for chunk in self.0.chunks_mut(4) {
            chunk.copy_from_slice(&random.next().to_ne_bytes()[..chunk.len()]);
        }
    }

    /// `len` numbers at a random offset between random bytes.
    fn numbers<T: Number>(&mut self, random: &mut Random, len: usize) -> &mut [T] {
        self.scramble(random);
        let start = random.from(0, OFFSET) * size_of::<T>();
        let numbers = bytemuck::cast_slice_mut(&mut self.0[start..start + len * size_of::<T>()]);
        draw(random, numbers);
        numbers
    }

    fn panels<T: Number>(&mut self, random: &mut Random, panels: usize) -> &[Panel<T>] {
        self.numbers(random, panels * LANES).as_chunks().0
    }
}

fn draw<T: Number>(random: &mut Random, numbers: &mut [T]) {
    // Mostly usual: one infinity among the inputs of a float product hides everything else.
    let draw = match random.below(8) {
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
struct Outputs<const N: usize> {
    want: Bytes<N>,
    got: Bytes<N>,
    /// First byte of the output.
    start: usize,
    len: usize,
}

impl<const N: usize> Outputs<N> {
    const NEW: Self = Outputs {
        want: Bytes([0; N]),
        got: Bytes([0; N]),
        start: 0,
        len: 0,
    };

    /// Draws the numbers that the output holds before, between random bytes.
    fn fill<T: Number>(&mut self, random: &mut Random, panels: usize) {
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

    fn set<T: Number>(&mut self, value: T) {
        let Outputs { start, len, .. } = *self;
        bytemuck::cast_slice_mut(&mut self.want.0[start..][..len]).fill(value);
        self.got.0 = self.want.0;
    }

    fn want<T: Number>(&mut self) -> &mut [Panel<T>] {
        bytemuck::cast_slice_mut(&mut self.want.0[self.start..][..self.len])
    }

    fn got<T: Number>(&mut self) -> &mut [Panel<T>] {
        bytemuck::cast_slice_mut(&mut self.got.0[self.start..][..self.len])
    }

    /// Place and values of the first difference, wherever it lies in the buffers.
    fn difference<T: Number>(&self) -> Option<(isize, Value, Value)> {
        let (want, got): (&[T], &[T]) = (
            bytemuck::cast_slice(&self.want.0),
            bytemuck::cast_slice(&self.got.0),
        );
        let start = (self.start / size_of::<T>()) as isize;
        want.iter()
            .zip(got)
            .position(|(want, got)| !want.same(*got))
            .map(|at| (at as isize - start, want[at].value(), got[at].value()))
    }
}

const INPUT: usize = (WEIGHTS + OFFSET * 4).next_multiple_of(64);
const SECOND_INPUT: usize = (FLOAT_COLUMNS * 4 + OFFSET * 4).next_multiple_of(64);
const OUTPUT: usize = (MARGIN + OFFSET * 4 + SUMS + 32).next_multiple_of(64);
const SECOND_OUTPUT: usize = (MARGIN + OFFSET * 4 + PANELS * LANES * 4 + 32).next_multiple_of(64);
const THIRD_OUTPUT: usize = (MARGIN + OFFSET * 2 + BATCH * LANES * 2 + 32).next_multiple_of(64);

pub(super) struct Run {
    table: &'static str,
    seed: u32,
    values: u64,
    input: Bytes<INPUT>,
    second_input: Bytes<SECOND_INPUT>,
    output: Outputs<OUTPUT>,
    second_output: Outputs<SECOND_OUTPUT>,
    third_output: Outputs<THIRD_OUTPUT>,
}

// The promise in the module's documentation.
const _: () = assert!(size_of::<Run>() <= 7296);

const CURVES: [Curve; 2] = [Curve::Tanh, Curve::Sigmoid];

impl Run {
    fn new(table: &'static str, seed: u32) -> Self {
        Run {
            table,
            seed,
            values: 0,
            input: Bytes([0; INPUT]),
            second_input: Bytes([0; SECOND_INPUT]),
            output: Outputs::NEW,
            second_output: Outputs::NEW,
            third_output: Outputs::NEW,
        }
    }

    /// Every primitive of a round starts from the round's seed, so that one can be run alone.
    fn random(&self) -> (Random, Shape) {
        let mut random = Random(self.seed);
        let shape = Shape {
            panels: random.from(1, PANELS),
            columns: 0,
            placed: Panels::DENSE,
        };
        (random, shape)
    }

    fn compare<const N: usize, T: Number>(
        &self,
        primitive: &'static str,
        shape: Shape,
        (output, outputs): (&'static str, &Outputs<N>),
    ) -> Result<u64, Mismatch> {
        match outputs.difference::<T>() {
            None => Ok((outputs.len / size_of::<T>()) as u64),
            Some((index, want, got)) => Err(Mismatch {
                table: self.table,
                primitive,
                shape,
                output,
                index,
                want,
                got,
                seed: self.seed,
            }),
        }
    }

    fn first<T: Number>(
        &mut self,
        primitive: &'static str,
        shape: Shape,
        output: &'static str,
    ) -> Result<(), Mismatch> {
        self.values += self.compare::<_, T>(primitive, shape, (output, &self.output))?;
        Ok(())
    }

    fn third<T: Number>(
        &mut self,
        primitive: &'static str,
        shape: Shape,
        output: &'static str,
    ) -> Result<(), Mismatch> {
        self.values += self.compare::<_, T>(primitive, shape, (output, &self.third_output))?;
        Ok(())
    }

    fn second<T: Number>(
        &mut self,
        primitive: &'static str,
        shape: Shape,
        output: &'static str,
    ) -> Result<(), Mismatch> {
        self.values += self.compare::<_, T>(primitive, shape, (output, &self.second_output))?;
        Ok(())
    }

    /// Where a matrix adds into sums, and so many of them.
    fn placed(random: &mut Random, shape: &mut Shape) -> usize {
        let group = random.from(1, GROUP);
        let groups = random.from(1, PANELS / group);
        let stride = random.from(group, GROUP);
        shape.panels = group * groups;
        shape.placed = Panels::new(group, stride);
        (groups - 1) * stride + group + random.below(2)
    }

    /// Every kind of weights by every kind of inputs.
    pub(super) fn product(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        for stored in STORED {
            self.product_of::<i8>(primitive, table, stored, |x| Inputs::I8(x))?;
            self.product_of::<i16>(primitive, table, stored, |x| Inputs::I16(x))?;
        }
        Ok(())
    }

    fn product_of<X: Number>(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
        stored: Stored,
        inputs: fn(&[X]) -> Inputs<'_>,
    ) -> Result<(), Mismatch> {
        let (mut random, mut shape) = self.random();
        let sums = Self::placed(&mut random, &mut shape);
        let Stored {
            block,
            in_a_byte,
            matrix,
        } = stored;
        let rows = shape.panels * LANES;
        let fit = (INT_COLUMNS * in_a_byte).min(WEIGHTS * in_a_byte / rows);
        shape.columns = random.from(1, fit / block) * block;
        self.output.fill::<i32>(&mut random, sums);
        let w = self
            .input
            .numbers(&mut random, rows * shape.columns / in_a_byte);
        let x = self.second_input.numbers(&mut random, shape.columns);
        let (w, x, placed) = (matrix(w), inputs(x), shape.placed);
        Kernels::SCALAR.product(self.output.want(), w, x, placed);
        table.product(self.output.got(), w, x, placed);
        self.first::<i32>(primitive, shape, "sums")
    }

    /// Every kind of weights, for one stream and for several.
    pub(super) fn float_product(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        for streams in [1, STREAMS] {
            self.float_product_of::<f32>(primitive, table, |w| FloatMatrix::F32(w), streams)?;
            self.float_product_of::<f16>(primitive, table, |w| FloatMatrix::F16(w), streams)?;
        }
        Ok(())
    }

    /// The streams' inputs overlap.
    fn float_product_of<W: Number>(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
        matrix: fn(&[W]) -> FloatMatrix<'_>,
        max_streams: usize,
    ) -> Result<(), Mismatch> {
        let (mut random, mut shape) = self.random();
        let pitch = Self::placed(&mut random, &mut shape);
        let rows = shape.panels * LANES;
        let columns = random.from(1, FLOAT_COLUMNS.min(WEIGHTS / size_of::<W>() / rows));
        shape.columns = columns;
        let streams = (SUMS / size_of::<Panel<f32>>() / pitch).min(max_streams);
        let streams = random.from(1, streams);
        self.output.fill::<f32>(&mut random, streams * pitch);
        let w = matrix(self.input.numbers(&mut random, rows * columns));
        let inputs = self.second_input.numbers(&mut random, FLOAT_COLUMNS);
        let mut x: [&[f32]; STREAMS] = [&[]; STREAMS];
        for x in &mut x {
            *x = &inputs[random.from(0, FLOAT_COLUMNS - columns)..][..columns];
        }
        let streams = Streams::new(&x[..streams], pitch);
        Kernels::SCALAR.float_product(self.output.want(), w, streams, shape.placed);
        table.float_product(self.output.got(), w, streams, shape.placed);
        self.first::<f32>(primitive, shape, "sums")
    }

    /// −0 + w · 1 is w, also for zeros of either sign.
    fn every_f16(&mut self, primitive: &'static str, table: &Kernels) -> Result<(), Mismatch> {
        let (mut random, mut shape) = self.random();
        (shape.panels, shape.columns) = (4, 1);
        self.output.fill::<f32>(&mut random, shape.panels);
        let batch = shape.panels * LANES;
        for first in (0..=u16::MAX).step_by(batch) {
            self.output.set(-0.0_f32);
            let w = self.input.numbers(&mut random, batch);
            for (w, bits) in w.iter_mut().zip(first..=u16::MAX) {
                *w = f16::from_bits(bits);
            }
            let (w, one) = (FloatMatrix::F16(w), Streams::new(&[&[1.0]], 0));
            Kernels::SCALAR.float_product(self.output.want(), w, one, Panels::DENSE);
            table.float_product(self.output.got(), w, one, Panels::DENSE);
            self.first::<f32>(primitive, shape, "sums")?;
        }
        Ok(())
    }

    fn every_argument(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
        tables: &Tables,
    ) -> Result<(), Mismatch> {
        let (mut random, mut shape) = self.random();
        shape.panels = 4;
        let batch = shape.panels * LANES;
        self.output.fill::<i32>(&mut random, shape.panels);
        for curve in CURVES {
            for first in (i16::MIN..=i16::MAX).step_by(batch) {
                let z = self.input.numbers(&mut random, batch);
                for (z, argument) in z.iter_mut().zip(first..=i16::MAX) {
                    *z = argument;
                }
                let z = z.as_chunks().0;
                Kernels::SCALAR.curve_q(curve, self.output.want(), z, tables);
                table.curve_q(curve, self.output.got(), z, tables);
                self.first::<i32>(primitive, shape, "y")?;
            }
        }
        Ok(())
    }

    pub(super) fn curve_q(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        for curve in CURVES {
            let (mut random, shape) = self.random();
            let tables = random.tables();
            self.output.fill::<i32>(&mut random, shape.panels);
            let z = self.input.panels(&mut random, shape.panels);
            Kernels::SCALAR.curve_q(curve, self.output.want(), z, tables);
            table.curve_q(curve, self.output.got(), z, tables);
            self.first::<i32>(primitive, shape, "y")?;
        }
        Ok(())
    }

    pub(super) fn gates_q(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        let (mut random, mut shape) = self.random();
        let stride = random.from(1, GROUP);
        let units = random.from(1, MAX_PANELS / stride);
        let (ih, hh) = (random.from(1, stride), random.from(0, stride));
        let rows = units * (ih + hh) * LANES;
        let Stored {
            block,
            in_a_byte,
            matrix,
        } = STORED[random.below(STORED.len())];
        let fit = INT_COLUMNS.min(WEIGHTS * in_a_byte / rows) / block;
        let (x, h) = (random.from(1, fit) * block, random.from(1, fit) * block);
        shape.panels = units * stride;
        shape.columns = x + h;
        self.output.fill::<i16>(&mut random, shape.panels);
        let mut numbers = [[[0; LANES]; MAX_PANELS]; 2];
        numbers
            .iter_mut()
            .for_each(|n| draw::<i32>(&mut random, n.as_flattened_mut()));
        let w = self
            .input
            .numbers(&mut random, rows * block * fit / in_a_byte);
        let (w_ih, w_hh) = w.split_at(units * ih * LANES * x / in_a_byte);
        let w_hh = &w_hh[..units * hh * LANES * h / in_a_byte];
        let order = GateOrder::new(ih, hh, stride);
        let numbers = (&numbers[0][..shape.panels], &numbers[1][..shape.panels]);
        let (w_ih, w_hh) = ((matrix(w_ih), x), (matrix(w_hh), h));
        let shift = random.below(32) as u8;
        let gates = GateRows::new(order, units, w_ih, w_hh, numbers, shift);
        let inputs = self.second_input.numbers::<i16>(&mut random, x + h);
        let (x, h) = inputs.split_at(x);
        // The lower halves of the same bytes, where the inputs are i8.
        let inputs = |wide, inputs| match inputs {
            inputs if wide => Inputs::I16(inputs),
            inputs => Inputs::I8(&bytemuck::cast_slice(inputs)[..inputs.len()]),
        };
        let (x, h) = (
            inputs(random.below(2) == 0, x),
            inputs(random.below(2) == 0, h),
        );
        Kernels::SCALAR.gates_q(self.output.want(), gates, x, h);
        table.gates_q(self.output.got(), gates, x, h);
        self.first::<i16>(primitive, shape, "z")
    }

    pub(super) fn requant(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        let (mut random, shape) = self.random();
        let shift = random.below(32) as u8;
        self.output.fill::<i16>(&mut random, shape.panels);
        let sums = self.input.panels(&mut random, shape.panels);
        let m = self.second_input.panels(&mut random, shape.panels);
        Kernels::SCALAR.requant(self.output.want(), sums, m, shift);
        table.requant(self.output.got(), sums, m, shift);
        self.first::<i16>(primitive, shape, "z")
    }

    pub(super) fn update_q(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        for cell in self.cells() {
            let (mut random, shape) = self.random();
            let tables = random.tables();
            let [_, _, stride] = cell.order().panels();
            self.output.fill::<i32>(&mut random, shape.panels);
            self.second_output.fill::<i16>(&mut random, shape.panels);
            let z = self.input.panels(&mut random, stride * shape.panels);
            let (master, y) = (self.output.want(), self.second_output.want());
            Kernels::SCALAR.update_q(cell, master, y, z, tables);
            let (master, y) = (self.output.got(), self.second_output.got());
            table.update_q(cell, master, y, z, tables);
            self.first::<i32>(primitive, shape, "master")?;
            self.second::<i16>(primitive, shape, "y")?;
        }
        Ok(())
    }

    /// Every cell, an LSTM of any range.
    fn cells(&self) -> [CellQ; 3] {
        let cell_shift = Random(self.seed).from(0, MAX_CELL_SHIFT as usize) as u8;
        [CellQ::Lstm { cell_shift }, CellQ::Gru, CellQ::Rnn]
    }

    /// A step of every cell, for one stream and for several.
    pub(super) fn step_q(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        for cell in self.cells() {
            self.step_of(primitive, table, cell, 1)?;
            self.step_of(primitive, table, cell, STREAMS)?;
        }
        Ok(())
    }

    /// A layer of gate rows, for up to `max_streams`. The shape is that of the state's matrix for one gate.
    fn step_of(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
        cell: CellQ,
        max_streams: usize,
    ) -> Result<(), Mismatch> {
        let (mut random, mut shape) = self.random();
        let tables = random.tables();
        let order = cell.order();
        let [ih, hh, stride] = order.panels();
        let units = shape.panels;
        let streams = random.from(1, max_streams.min(BATCH / units));
        let rows = units * stride * LANES;
        let weights = units * (ih + hh) * LANES;
        let Stored {
            block,
            in_a_byte,
            matrix,
        } = STORED[random.below(STORED.len())];
        let fit = ((WEIGHTS - 8 * rows) * in_a_byte / weights).min(INT_COLUMNS) / block;
        let x = random.from(1, fit) * block;
        let columns = random.from(1, fit.min(units * LANES / block)) * block;
        shape.columns = columns;
        self.output.fill::<i32>(&mut random, streams * units);
        self.second_output.fill::<i16>(&mut random, streams * units);
        let numbers = self.input.numbers::<i32>(&mut random, WEIGHTS / 4);
        let (numbers, w) = numbers.split_at_mut(2 * rows);
        let (bias, m) = numbers.as_chunks().0.split_at(rows / LANES);
        let w: &mut [u8] = bytemuck::cast_slice_mut(w);
        draw(&mut random, w);
        let (w_ih, w_hh) = w.split_at(units * ih * LANES * x / in_a_byte);
        let w_hh = &w_hh[..units * hh * LANES * columns / in_a_byte];
        let (w_ih, w_hh) = ((matrix(w_ih), x), (matrix(w_hh), columns));
        let shift = random.below(32) as u8;
        let gates = GateRows::new(order, units, w_ih, w_hh, (bias, m), shift);
        // The streams' inputs overlap.
        let inputs: &[i16] = self.second_input.numbers(&mut random, INT_COLUMNS);
        let wide = random.below(2) == 0;
        let x: [Inputs<'_>; STREAMS] = core::array::from_fn(|_| {
            let at = random.from(0, INT_COLUMNS - x);
            if wide {
                Inputs::I16(&inputs[at..][..x])
            } else {
                Inputs::I8(&bytemuck::cast_slice(inputs)[at..][..x])
            }
        });
        let x = &x[..streams];
        let wide = random.below(2) == 0;
        if wide {
            self.third_output.fill::<i16>(&mut random, streams * units);
        } else {
            self.third_output.fill::<i8>(&mut random, streams * units);
        }
        let master = self.output.want().chunks_mut(units);
        let (h, y) = (self.third_output.want(), self.second_output.want());
        let states = &mut layer_states(master, h, wide, y)[..streams];
        Kernels::SCALAR.step_q(cell, states, &gates, x, tables);
        let master = self.output.got().chunks_mut(units);
        let (h, y) = (self.third_output.got(), self.second_output.got());
        let states = &mut layer_states(master, h, wide, y)[..streams];
        table.step_q(cell, states, &gates, x, tables);
        self.first::<i32>(primitive, shape, "master")?;
        self.second::<i16>(primitive, shape, "y")?;
        if wide {
            self.third::<i16>(primitive, shape, "h")
        } else {
            self.third::<i8>(primitive, shape, "h")
        }
    }

    /// A layer of packed rows: whole words of any content, so also rows that no exporter would write.
    pub(super) fn packed(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        for cell in self.cells() {
            self.packed_of(primitive, table, cell, true)?;
            self.packed_of(primitive, table, cell, false)?;
        }
        Ok(())
    }

    fn packed_of(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
        cell: CellQ,
        a8: bool,
    ) -> Result<(), Mismatch> {
        let (mut random, mut shape) = self.random();
        // Words of two columns, the state's in blocks of eight columns.
        let state = random.from(1, PANELS) * 4;
        let x = random.from(1, INT_COLUMNS / 4 - PANELS * 2) * 2;
        shape.columns = x + state;
        let Record {
            words: record,
            units,
        } = cell.record(a8, shape.columns);
        let count = random
            .from(1, WEIGHTS / 4 / record)
            .min(PANELS * LANES / units);
        shape.panels = (count * units).div_ceil(LANES);
        self.output.fill::<i32>(&mut random, shape.panels);
        self.second_output.fill::<i16>(&mut random, shape.panels);
        let narrow = shape.panels.max(state / 4);
        self.third_output.fill::<i8>(&mut random, narrow);
        let rows = self.input.numbers(&mut random, count * record);
        let words = self.second_input.numbers(&mut random, shape.columns);
        let want = &mut Units::new(
            self.output.want().as_flattened_mut(),
            self.second_output.want().as_flattened_mut(),
            a8.then_some(self.third_output.want().as_flattened_mut()),
        );
        let columns = &mut Columns::new(words, x);
        Kernels::SCALAR.packed(cell, want, rows, columns);
        let got = &mut Units::new(
            self.output.got().as_flattened_mut(),
            self.second_output.got().as_flattened_mut(),
            a8.then_some(self.third_output.got().as_flattened_mut()),
        );
        table.packed(cell, got, rows, &mut Columns::new(words, x));
        self.first::<i32>(primitive, shape, "master")?;
        self.second::<i16>(primitive, shape, "y")?;
        self.third::<i8>(primitive, shape, "h")
    }

    pub(super) fn curve_f(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        for curve in CURVES {
            let (mut random, shape) = self.random();
            self.output.fill::<f32>(&mut random, shape.panels);
            Kernels::SCALAR.curve_f(curve, self.output.want());
            table.curve_f(curve, self.output.got());
            self.first::<f32>(primitive, shape, "z")?;
        }
        Ok(())
    }

    pub(super) fn update_f(
        &mut self,
        primitive: &'static str,
        table: &Kernels,
    ) -> Result<(), Mismatch> {
        let (mut random, shape) = self.random();
        self.output.fill::<f32>(&mut random, shape.panels);
        self.second_output.fill::<f32>(&mut random, shape.panels);
        let z = self.input.panels(&mut random, 4 * shape.panels);
        let (c, y) = (self.second_output.want(), self.output.want());
        Kernels::SCALAR.update_f(StateF::Lstm(c), y, z);
        let (c, y) = (self.second_output.got(), self.output.got());
        table.update_f(StateF::Lstm(c), y, z);
        self.first::<f32>(primitive, shape, "y")?;
        self.second::<f32>(primitive, shape, "state")?;
        let h = self.second_input.panels(&mut random, shape.panels);
        let z = self.input.panels(&mut random, 4 * shape.panels);
        Kernels::SCALAR.update_f(StateF::Gru(h), self.output.want(), z);
        table.update_f(StateF::Gru(h), self.output.got(), z);
        self.first::<f32>(primitive, shape, "y")
    }
}

/// How the weights of an integer layer lie.
#[derive(Clone, Copy)]
struct Stored {
    /// Columns that come together.
    block: usize,
    /// Weights.
    in_a_byte: usize,
    matrix: fn(&[u8]) -> IntMatrix<'_>,
}

const STORED: [Stored; 4] = {
    const fn of(block: usize, in_a_byte: usize, matrix: fn(&[u8]) -> IntMatrix<'_>) -> Stored {
        Stored {
            block,
            in_a_byte,
            matrix,
        }
    }
    [
        of(BLOCK, 1, |bytes| IntMatrix::I8(bytemuck::cast_slice(bytes))),
        of(BLOCK, 1, |bytes| IntMatrix::U8(bytes)),
        of(BLOCK, 1, |bytes| {
            IntMatrix::Rows(bytemuck::cast_slice(bytes))
        }),
        of(2 * BLOCK, 2, |bytes| IntMatrix::I4(bytes)),
    ]
};

/// The states of all streams, and empty ones behind them.
fn layer_states<'s>(
    mut masters: core::slice::ChunksMut<'s, Panel<i32>>,
    h: &'s mut [Panel<i8>],
    wide: bool,
    y: &'s mut [Panel<i16>],
) -> [LayerState<'s>; STREAMS] {
    let streams = masters.len();
    let (mut h, mut y) = (
        h.chunks_mut(h.len() / streams),
        y.chunks_mut(y.len() / streams),
    );
    core::array::from_fn(|_| {
        let h = match h.next() {
            Some(bytes) if wide => Hidden::I16(bytemuck::cast_slice_mut(bytes)),
            bytes => Hidden::I8(bytes.unwrap_or_default().as_flattened_mut()),
        };
        let master = masters.next().unwrap_or_default();
        LayerState::new(master, h, y.next().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    const SCALAR: Kernels = Kernels::SCALAR;

    #[test]
    fn scalar_equals_itself() {
        let checked = check(&SCALAR, 50, 1).unwrap();
        assert_eq!(checked.table, "scalar");
        // The sweeps alone are 2 · 2 · 65,536 activations and 65,536 weights.
        assert!(checked.values > 5 * 65536 + 50 * 15 * 8, "{checked}");
    }

    /// A sabotaged copy of a primitive: right but for one rare case.
    macro_rules! sabotage {
        ($field:ident($first:ident: $first_type:ty $(, $arg:ident: $type:ty)*) $wrong:block) => {{
            fn $field($first: $first_type $(, $arg: $type)*) {
                SCALAR.$field($first $(, $arg)*);
                $wrong
            }
            let mismatch = check(&Kernels::of(Table { name: "sabotaged", $field, ..*SCALAR.table() }), 2000, 7).unwrap_err();
            assert_eq!(mismatch.table, "sabotaged");
            assert_eq!(mismatch.primitive, stringify!($field));
            // One round with the seed reported is enough to see it again.
            let table = Kernels::of(Table { name: "sabotaged", $field, ..*SCALAR.table() });
            let again = check(&table, 1, mismatch.seed).unwrap_err();
            assert_eq!(again.to_string(), mismatch.to_string());
            mismatch
        }};
    }

    #[test]
    fn a_wrong_matrix_product_is_found() {
        type Sums<'a, T> = &'a mut [Panel<T>];
        let found = sabotage!(product(sums: Sums<'_, i32>, _w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
            if x.columns() == 68 {
                sums[0][7] ^= 1;
            }
        });
        assert_eq!((found.shape.columns, found.index), (68, 7));
        sabotage!(product(sums: Sums<'_, i32>, _w: IntMatrix<'_>, _x: Inputs<'_>, p: Panels) {
            // A gap that belongs to another matrix.
            if p.group < p.stride && sums.len() > p.group {
                sums[p.group][0] = 0;
            }
        });
        sabotage!(product(sums: Sums<'_, i32>, w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
            // An unsigned weight.
            if let (IntMatrix::Rows(&[-128, ..]), Inputs::I16(x)) = (w, x) {
                sums[0][0] += 256 * x[0] as i32;
            }
        });
        sabotage!(product(sums: Sums<'_, i32>, w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
            // A product that does not fit in eight bits.
            if let (IntMatrix::I4(&[w, ..]), Inputs::I8(&[-128, ..])) = (w, x) {
                sums[0][0] += (w & 15 == 15) as i32;
            }
        });
        sabotage!(product(sums: Sums<'_, i32>, w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
            // A column too few.
            if let (IntMatrix::I4(_), Inputs::I16(x)) = (w, x) && x.len() == 17 * 8 {
                sums[0][3] -= x[135] as i32 | 1;
            }
        });
        sabotage!(float_product(sums: Sums<'_, f32>, w: FloatMatrix<'_>, s: Streams<'_>, _p: Panels) {
            // Another order of summation.
            if let (FloatMatrix::F32(w), [x]) = (w, s.x) && x.len() > 16 {
                sums[0][0] -= w[0] * x[0];
                sums[0][0] += w[0] * x[0];
            }
        });
        let found = sabotage!(float_product(sums: Sums<'_, f32>, w: FloatMatrix<'_>, _s: Streams<'_>, _p: Panels) {
            // One subnormal flushed to zero.
            if let FloatMatrix::F16(w) = w && w[0].to_bits() == 0x0020 {
                sums[0][0] = 0.0;
            }
        });
        assert_eq!(found.want, Value::Float(f32::from_bits(0x3600_0000)));
    }

    #[test]
    fn a_stream_with_the_input_of_another_is_found() {
        fn step_q(
            _: &Kernels,
            cell: CellQ,
            states: &mut [LayerState<'_>],
            gates: &GateRows<'_>,
            x: &[Inputs<'_>],
            tables: &Tables,
        ) {
            for state in states {
                SCALAR.step_q(cell, core::slice::from_mut(state), gates, &x[..1], tables);
            }
        }
        let table = Kernels::of(Table {
            step_q,
            ..*SCALAR.table()
        });
        let found = check(&table, 2000, 7).unwrap_err();
        assert_eq!((found.primitive, found.output), ("step_q", "master"));
    }

    #[test]
    fn a_stream_with_the_sums_of_another_is_found() {
        fn float_product(sums: &mut [Panel<f32>], w: FloatMatrix<'_>, s: Streams<'_>, p: Panels) {
            let others = s.x.len() - 1;
            let sums_of_last = &mut sums[others * s.pitch..];
            SCALAR.float_product(sums_of_last, w, Streams::new(&s.x[..1], 0), p);
            SCALAR.float_product(sums, w, Streams::new(&s.x[..others], s.pitch), p);
        }
        let found = check(
            &Kernels::of(Table {
                float_product,
                ..*SCALAR.table()
            }),
            2000,
            7,
        )
        .unwrap_err();
        assert_eq!((found.primitive, found.output), ("float_product", "sums"));
    }

    #[test]
    fn wrong_gates_are_found() {
        fn gates_q(
            _: &Kernels,
            z: &mut [Panel<i16>],
            g: GateRows<'_>,
            x: Inputs<'_>,
            h: Inputs<'_>,
        ) {
            SCALAR.gates_q(z, g, x, h);
            z[0][5] = z[0][5].wrapping_add((g.order.panels()[2] == 4) as i16);
        }
        let found = check(
            &Kernels::of(Table {
                gates_q,
                ..*SCALAR.table()
            }),
            2000,
            7,
        )
        .unwrap_err();
        assert_eq!(found.primitive, "gates_q");
        assert_eq!((found.output, found.index), ("z", 5));
    }

    #[test]
    fn a_wrong_requantization_or_activation_is_found() {
        let found = sabotage!(requant(z: &mut [Panel<i16>], s: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
            // No rounding.
            let product = (s[0][3].wrapping_shl(shift as u32) as i64 * m[0][3] as i64) >> 32;
            z[0][3] = product.clamp(-32768, 32767) as i16;
        });
        assert_eq!(found.index, 3);
        let found = sabotage!(curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
            for (y, z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
                *y += (curve == Curve::Tanh && *z == -12345 && tables.bits() == 9) as i32;
            }
        });
        assert_eq!(found.output, "y");
        sabotage!(curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], _t: &Tables) {
            for (y, z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
                *y -= (curve == Curve::Sigmoid && *z == i16::MAX) as i32;
            }
        });
        sabotage!(curve_f(curve: Curve, z: &mut [Panel<f32>]) {
            for z in z.as_flattened_mut().iter_mut().filter(|z| **z == 0.0) {
                *z = if curve == Curve::Tanh { 0.0 } else { *z };
            }
        });
        sabotage!(curve_f(curve: Curve, z: &mut [Panel<f32>]) {
            for z in z.as_flattened_mut().iter_mut().filter(|z| z.is_nan()) {
                *z = if curve == Curve::Sigmoid { 1.0 } else { *z };
            }
        });
    }

    #[test]
    fn a_wrong_cell_is_found() {
        type Out<'a, T> = &'a mut [Panel<T>];
        let found = sabotage!(update_q(cell: CellQ, c: Out<'_, i32>, y: Out<'_, i16>, _z: &[Panel<i16>], _t: &Tables) {
            if cell == (CellQ::Lstm { cell_shift: MAX_CELL_SHIFT }) && c[0][0] == -(1 << 30) {
                y[0][5] += 1;
            }
        });
        assert_eq!((found.output, found.index), ("y", 5));
        sabotage!(update_q(cell: CellQ, h: Out<'_, i32>, _y: Out<'_, i16>, z: &[Panel<i16>], _t: &Tables) {
            h[0][0] ^= (cell == CellQ::Gru && z[1][0] == i16::MIN) as i32;
        });
        fn update_f(state: StateF<'_>, y: Out<'_, f32>, z: &[Panel<f32>]) {
            // A state that no network has.
            let small = matches!(&state, StateF::Gru(h) if h[0][0].is_subnormal());
            SCALAR.update_f(state, y, z);
            if small {
                y[0][0] += 1e-7;
            }
        }
        let table = Table {
            update_f,
            ..*SCALAR.table()
        };
        let found = check(&Kernels::of(table), 2000, 7).unwrap_err();
        assert_eq!(
            (found.primitive, found.output, found.index),
            ("update_f", "y", 0)
        );
    }

    #[test]
    fn a_wrong_step_is_found() {
        fn step_q(
            _: &Kernels,
            cell: CellQ,
            states: &mut [LayerState<'_>],
            gates: &GateRows<'_>,
            x: &[Inputs<'_>],
            tables: &Tables,
        ) {
            SCALAR.step_q(cell, states, gates, x, tables);
            // A state that is published in part.
            if let (CellQ::Gru, Hidden::I8(h), 5) = (cell, &mut states[0].h, gates.units) {
                h[39] ^= 1;
            }
        }
        let found = check(
            &Kernels::of(Table {
                step_q,
                ..*SCALAR.table()
            }),
            2000,
            7,
        )
        .unwrap_err();
        assert_eq!(found.primitive, "step_q");
        assert_eq!((found.output, found.index), ("h", 39));
    }

    #[test]
    fn a_write_beside_the_output_is_found() {
        let mut outputs = Outputs::<SECOND_OUTPUT>::NEW;
        outputs.fill::<i16>(&mut Random(3), 2);
        assert_eq!(outputs.difference::<i16>(), None);
        let before = outputs.start - 2;
        outputs.got.0[before] ^= 1;
        assert_eq!(outputs.difference::<i16>().unwrap().0, -1);
        outputs.got.0[before] ^= 1;
        let after = outputs.start + outputs.len;
        outputs.got.0[after] ^= 1;
        assert_eq!(outputs.difference::<i16>().unwrap().0, 16);
    }

    #[test]
    fn a_mismatch_names_everything() {
        let mismatch = Mismatch {
            table: "wide",
            primitive: "gemv_f32",
            shape: Shape {
                panels: 3,
                columns: 17,
                placed: Panels::new(3, 4),
            },
            output: "sums",
            index: 9,
            want: Value::Float(-0.0),
            got: Value::Float(0.5),
            seed: 11,
        };
        assert_eq!(
            mismatch.to_string(),
            "wide: gemv_f32 of 3 panels of 17 columns, groups of 3 in 4: sums[9] is 5e-1 \
             (0x3f000000), -0e0 (0x80000000) in the scalar table (seed 11)"
        );
    }
}
