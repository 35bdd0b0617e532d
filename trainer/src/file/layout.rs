//! From PyTorch's row-major gate matrices to the engine's panels, and back.
//!
//! A recurrent layer is one or two *stages*; a stage computes several *sums* per unit, each over the
//! input, the state or both. A panel holds one sum of eight units.

use crate::net::{Cell, Recurrent};
use kinglet::format::Reset;
use kinglet::kernel::{BLOCK, LANES};

/// One sum of a unit: which of PyTorch's gates its weights come from, and what it runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Row block in `w_ih`, `w_hh` and the biases.
    pub gate: usize,
    /// Has weights for the input.
    pub x: bool,
    /// Has weights for the state.
    pub h: bool,
}

impl Sum {
    pub(super) const fn both(gate: usize) -> Sum {
        Sum {
            gate,
            x: true,
            h: true,
        }
    }

    const fn of_input(gate: usize) -> Sum {
        Sum {
            gate,
            x: true,
            h: false,
        }
    }
}

type Stages = &'static [&'static [Sum]];

const ONE: Stages = &[&[Sum::both(0)]];
const TWO_OF_INPUT: Stages = &[&[Sum::of_input(0), Sum::of_input(1)]];
const THREE: Stages = &[&[Sum::both(0), Sum::both(1), Sum::both(2)]];
const FOUR: Stages = &[&[Sum::both(0), Sum::both(1), Sum::both(2), Sum::both(3)]];
const GRU_RESET_AFTER: Stages = &[&[
    Sum::of_input(2),
    Sum::both(0),
    Sum::both(1),
    Sum {
        gate: 2,
        x: false,
        h: true,
    },
]];
const GRU_RESET_BEFORE: Stages = &[&[Sum::both(0), Sum::both(1)], &[Sum::both(2)]];

/// The stages of a cell, with their sums in the engine's order.
pub(crate) fn stages(cell: Cell) -> Stages {
    match cell.resets() {
        Some(Reset::After) => GRU_RESET_AFTER,
        Some(Reset::Before) => GRU_RESET_BEFORE,
        // One sum a gate.
        None => match (cell.products(), cell.state_products()) {
            (1, _) => ONE,
            (2, _) => TWO_OF_INPUT,
            (3, _) => THREE,
            _ => FOUR,
        },
    }
}

impl Recurrent {
    /// Weights of a sum over the input; empty if it has none.
    pub(crate) fn x_row(&self, sum: Sum, unit: usize) -> &[f32] {
        let row = (sum.gate * self.hidden + unit) * self.inputs;
        if sum.x {
            &self.w_ih[row..row + self.inputs]
        } else {
            &[]
        }
    }

    /// Weights of a sum over the state; empty if it has none.
    pub(crate) fn h_row(&self, sum: Sum, unit: usize) -> &[f32] {
        let row = (sum.gate * self.hidden + unit) * self.hidden;
        if sum.h {
            &self.w_hh[row..row + self.hidden]
        } else {
            &[]
        }
    }

    /// What a sum starts at.
    pub(crate) fn sum_bias(&self, sum: Sum, unit: usize) -> f32 {
        let row = sum.gate * self.hidden + unit;
        let x = if sum.x { self.b_ih[row] } else { 0.0 };
        // A FastGRNN's second bias is the candidate's, behind the sum.
        let own = sum.h && self.cell != Cell::FastGrnn;
        let h = if own { self.b_hh[row] } else { 0.0 };
        x + h
    }
}

/// Packs rows into panels: `[panel of units][sum][block of columns][8 units][columns of a block]`.
/// `row(unit, sum)` may be shorter than `columns`; what it lacks is zero, as are the units past the last.
pub(crate) fn pack<'a, T: Copy + Default + 'a>(
    units: usize,
    sums: usize,
    columns: usize,
    block: usize,
    row: impl Fn(usize, usize) -> &'a [T],
) -> Vec<T> {
    let mut packed = Vec::with_capacity(units.next_multiple_of(LANES) * sums * columns);
    for panel in (0..units).step_by(LANES) {
        for sum in 0..sums {
            let rows: [&[T]; LANES] = std::array::from_fn(|lane| {
                if panel + lane < units {
                    row(panel + lane, sum)
                } else {
                    &[]
                }
            });
            for start in (0..columns).step_by(block) {
                for row in rows {
                    let value = |column| row.get(column).copied().unwrap_or_default();
                    packed.extend((start..start + block).map(value));
                }
            }
        }
    }
    packed
}

/// Weights of four bits as `w + 8`, two in a byte: of every two blocks the first has the lower halves, the second the
/// upper ones.
pub(crate) fn pack_nibbles(weights: &[i8]) -> Vec<u8> {
    const BLOCK_OF_PANEL: usize = LANES * BLOCK;
    let nibble = |w: i8| (w + 8) as u8;
    let mut packed = Vec::with_capacity(weights.len() / 2);
    for blocks in weights.chunks_exact(2 * BLOCK_OF_PANEL) {
        let (even, odd) = blocks.split_at(BLOCK_OF_PANEL);
        let bytes = even.iter().zip(odd);
        packed.extend(bytes.map(|(&low, &high)| nibble(low) | nibble(high) << 4));
    }
    packed
}

/// Packs one number per unit and sum.
pub(crate) fn pack_numbers<T: Copy + Default>(
    units: usize,
    sums: usize,
    number: impl Fn(usize, usize) -> T,
) -> Vec<T> {
    let mut packed = Vec::with_capacity(units.next_multiple_of(LANES) * sums);
    for panel in (0..units).step_by(LANES) {
        for sum in 0..sums {
            packed.extend((panel..panel + LANES).map(|unit| {
                if unit < units {
                    number(unit, sum)
                } else {
                    T::default()
                }
            }));
        }
    }
    packed
}

/// The weights that [`pack_nibbles`] packed.
pub(crate) fn unpack_nibbles(packed: &[u8]) -> Vec<i8> {
    let nibble = |bits: u8| (bits & 15) as i8 - 8;
    let mut weights = Vec::with_capacity(2 * packed.len());
    for bytes in packed.chunks(LANES * BLOCK) {
        weights.extend(bytes.iter().map(|&byte| nibble(byte)));
        weights.extend(bytes.iter().map(|&byte| nibble(byte >> 4)));
    }
    weights
}

/// Reads panels that [`pack`] made: `store(unit, sum, column, value)` for every weight of a real unit.
pub(crate) fn unpack<T: Copy>(
    packed: &[T],
    [units, sums]: [usize; 2],
    [columns, block]: [usize; 2],
    mut store: impl FnMut(usize, usize, usize, T),
) {
    for (panel, weights) in packed.chunks_exact(columns * LANES).enumerate() {
        let (first, sum) = (panel / sums * LANES, panel % sums);
        for (start, lanes) in (0..columns)
            .step_by(block)
            .zip(weights.chunks_exact(block * LANES))
        {
            for (unit, row) in (first..units).zip(lanes.chunks_exact(block)) {
                for (column, &value) in (start..).zip(row) {
                    store(unit, sum, column, value);
                }
            }
        }
    }
}
