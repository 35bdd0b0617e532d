//! The differential checker: every primitive of a table against [`Kernels::SCALAR`], bit for bit. Floats of a
//! [fused](Kernels::fused) table may differ by 1e-3 in sums of up to 70 products of numbers below 8, by 3e-6 in
//! activations and updates, and by 3e-5 after a whole step; such a table sees floats of that size only.
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

mod cells;
mod draw;
mod products;
mod report;
mod steps;
#[cfg(test)]
mod tests;

pub use report::{Checked, Mismatch, Shape, Value};

use super::table::{Table, check_each};
use super::{BLOCK, Inputs, Kernels, LANES, Panel, Panels};
use crate::num::{SEGMENTS_256, SEGMENTS_512};
use draw::{Bytes, Compared, Number, Outputs, Random};

/// What a comparison finds.
type Found = Result<(), Mismatch>;

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
    let mut run = Run::new(table, seed);
    run.primitive = "curve_q";
    for tables in [&SEGMENTS_256, &SEGMENTS_512] {
        run.every_argument(&curve_q, tables)?;
    }
    run.primitive = "float_product";
    run.every_f16(&float_product)?;
    for round in 0..rounds {
        run.seed = seed.wrapping_add(round);
        check_each(&mut run, table.table())?;
    }
    Ok(Checked {
        table: name,
        values: run.values,
    })
}

const INPUT: usize = (WEIGHTS + OFFSET * 4).next_multiple_of(64);
const SECOND_INPUT: usize = (FLOAT_COLUMNS * 4 + OFFSET * 4).next_multiple_of(64);
const OUTPUT: usize = (MARGIN + OFFSET * 4 + SUMS + 32).next_multiple_of(64);
const SECOND_OUTPUT: usize = (MARGIN + OFFSET * 4 + PANELS * LANES * 4 + 32).next_multiple_of(64);
const THIRD_OUTPUT: usize = (MARGIN + OFFSET * 2 + BATCH * LANES * 2 + 32).next_multiple_of(64);

/// How far the sums of a fused table may be from the scalar table's.
const SUM_ERROR: f32 = 1e-3;
/// How far its activations and states may be.
const CURVE_ERROR: f32 = 3e-6;

/// How far its states may be after a step whose sums are of up to 200 products below 1.
const STEP_ERROR: f32 = 3e-5;

pub(super) struct Run {
    table: &'static str,
    fused: bool,
    pub(super) primitive: &'static str,
    seed: u32,
    values: u64,
    input: Bytes<INPUT>,
    second_input: Bytes<SECOND_INPUT>,
    output: Outputs<OUTPUT>,
    second_output: Outputs<SECOND_OUTPUT>,
    third_output: Outputs<THIRD_OUTPUT>,
}

// The promise in the module's documentation.
const _: () = assert!(size_of::<Run>() <= 7360);

impl Run {
    fn new(table: &Kernels, seed: u32) -> Self {
        Run {
            table: table.name(),
            fused: table.fused(),
            primitive: "",
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
        let mut random = Random::new(self.seed);
        random.moderate = self.fused;
        let shape = Shape {
            panels: random.from(1, PANELS),
            columns: 0,
            placed: Panels::DENSE,
        };
        (random, shape)
    }

    fn equal(&mut self, shape: Shape, output: &'static str, compared: Compared) -> Found {
        let Run {
            table,
            primitive,
            seed,
            ..
        } = *self;
        let (index, want, got) = match compared {
            Ok(values) => {
                self.values += values;
                return Ok(());
            }
            Err(difference) => difference,
        };
        Err(Mismatch {
            table,
            primitive,
            shape,
            output,
            index,
            want,
            got,
            seed,
        })
    }

    fn first<T: Number>(&mut self, shape: Shape, output: &'static str) -> Found {
        let compared = self.output.compare::<T>(self.error());
        self.equal(shape, output, compared)
    }

    fn second<T: Number>(&mut self, shape: Shape, output: &'static str) -> Found {
        let compared = self.second_output.compare::<T>(self.error());
        self.equal(shape, output, compared)
    }

    fn third<T: Number>(&mut self, shape: Shape, output: &'static str) -> Found {
        let compared = self.third_output.compare::<T>(self.error());
        self.equal(shape, output, compared)
    }

    /// How far floats may differ.
    fn error(&self) -> f32 {
        match (self.fused, self.primitive) {
            (false, _) => 0.0,
            (true, "float_product") => SUM_ERROR,
            (true, "step_f") => STEP_ERROR,
            (true, _) => CURVE_ERROR,
        }
    }
}
