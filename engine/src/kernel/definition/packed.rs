//! Whole layers over rows packed for Cortex-M4, and their definition in plain Rust: a file packed for that
//! CPU runs everywhere, with the bytes of the portable file, only slower than it.
//!
//! A layer is a list of records of words; a record has the biases, the weights and the multipliers of four
//! to six rows, in the order in which one walk consumes them. Its inputs are words of two columns.
//!
//! Cells that are no [`CellQ`], and all of weights of four bits, have records of four rows, whose pre-activations go to an update of
//! their own: the rows of a panel of units as panels have them, the first four units of the first sum, then the others, then the next
//! sum, and so panel for panel. Of a GRU all records of the sum over the input alone come first, with columns of that alone, and all of
//! the sum over the state alone last.
//!
//! `A8` rows are packed in pairs (*borrow packing*): a 16-bit half of a word holds `256 b + a` for the
//! weights `a`, `b` of two rows in one column. `SMLAD` on the words sums `R = 256 B + A` over two columns at
//! a time, `SXTB16` and `SMLAD` sum `A`, and the difference is `256 B`: one unpacking for four weights.
//! Sums are scaled by [`SHIFT_A8`] = 8 bits, so `256 B` is what requantization wants, and `R − A = B << 8`
//! holds modulo 2^32 whatever the numbers are: nothing needs to be proved.
//!
//! `A16` rows lie as they are, four columns a word: bytes 0 and 2 (`SXTB16`) belong to the first two columns,
//! bytes 1 and 3 (`SXTB16` rotated by 8) to the next two.
//!
//! Of `W4A8` rows a 16-bit half has one column of four rows, `4096 c + 256 b + 16 d + a`: `c` as it is, `a`, `b` and `d` as
//! `w + 8`, so that masks are enough to take them apart. Four `SMLAD` on the word, its upper bytes, its lower nibbles and its lowest
//! nibbles sum `R = 256 U + V`, `U = 16 C + B`, `256 B + A` and `A`: three unpackings for eight weights. Of `A`, `B` and `D` eight
//! times the sum of all columns is taken away again.

use super::cells::{gru_unit, lstm_unit};
use crate::kernel::{CellQ, Columns, Panel, Units};
use crate::num::{SEGMENTS_256, SEGMENTS_512, mulhi_round, narrow, saturate16, shift_round};

/// Requantization shift of packed `A8` layers.
pub const SHIFT_A8: u8 = 8;
/// Requantization shift of packed `A16` layers.
pub const SHIFT_A16: u8 = 0;

impl Units<'_> {
    fn publish(&mut self, unit: usize, y: i16) {
        self.y[unit] = y;
        if let Some(h) = &mut self.h {
            h[unit] = narrow(y);
        }
    }
}

impl Columns<'_> {
    /// The state's columns from `h`.
    fn widen(&mut self, h: &[i8]) {
        let words = self.words[self.x..].as_chunks_mut().0;
        for (words, h) in words.iter_mut().zip(h.as_chunks::<4>().0) {
            let word = i32::from_le_bytes(h.map(|h| h as u8));
            *words = [sxtb16(word), sxtb16(word.rotate_right(8))];
        }
    }
}

/// What follows one upon the other in a packed layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) words: usize,
    pub(crate) units: usize,
}

impl CellQ {
    /// A record over so many words of columns: of an LSTM a unit's `i, f, g, o`; of an RNN four units; of a GRU a unit, or
    /// in `A8` two: `r, z` of either, then `n` of both.
    #[inline(always)]
    pub(crate) const fn record(self, a8: bool, columns: usize) -> Record {
        let (words, units) = match self {
            CellQ::Lstm { .. } => (FourRows::W8A8.record(columns), 1),
            CellQ::Rnn => (FourRows::W8A8.record(columns), FOUR),
            CellQ::Gru if a8 => (16 + 3 * columns, 2),
            CellQ::Gru => (8 + 3 * columns / 2, 1),
        };
        Record { words, units }
    }
}

/// Rows of a record of an LSTM or RNN, and of all records whose units are not updated with them.
pub(crate) const FOUR: usize = 4;

/// Numbers of a record of four rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FourRows {
    /// Weights of eight bits, columns in units of 2^-7.
    W8A8,
    /// Weights of eight bits, columns in units of 2^-12.
    W8A16,
    /// Weights of four bits, columns in units of 2^-7.
    W4A8,
}

impl FourRows {
    /// Words of a record over so many words of columns.
    pub(crate) const fn record(self, columns: usize) -> usize {
        let weights = match self {
            FourRows::W4A8 => columns,
            FourRows::W8A8 | FourRows::W8A16 => 2 * columns,
        };
        2 * FOUR + weights
    }
}

/// Both halves of `a` by those of `b`, added to `sum`.
fn smlad(a: i32, b: i32, sum: i32) -> i32 {
    let low = a as i16 as i32 * b as i16 as i32;
    let high = (a >> 16) * (b >> 16);
    sum.wrapping_add(low).wrapping_add(high)
}

/// Bytes 0 and 2, widened to the halves of a word.
fn sxtb16(word: i32) -> i32 {
    word as i8 as i16 as u16 as i32 | ((word >> 16) as i8 as i32) << 16
}

/// Two rows, packed: `R` and `A`.
#[cfg_attr(any(one_table, small), inline(never))]
fn pair(sums: &mut [i32], word: i32, x: i32) {
    sums[0] = smlad(word, x, sums[0]);
    sums[1] = smlad(sxtb16(word), x, sums[1]);
}

/// Four columns of a row.
#[cfg_attr(any(one_table, small), inline(never))]
fn quad(sum: &mut i32, word: i32, x: &[i32]) {
    *sum = smlad(sxtb16(word), x[0], *sum);
    *sum = smlad(sxtb16(word.rotate_right(8)), x[1], *sum);
}

/// `A << 8` and `B << 8`.
fn unpack(sums: &[i32]) -> [i32; 2] {
    [sums[1] << SHIFT_A8, sums[0].wrapping_sub(sums[1])]
}

#[cfg_attr(any(one_table, small), inline(never))]
fn requant(sum: i32, m: i32) -> i16 {
    saturate16(mulhi_round(sum, m))
}

/// Pre-activations of a record of four rows over its columns.
type Four = fn(&[i32], &[i32]) -> [i16; FOUR];

/// Pre-activations of a record of four rows.
fn preactivations_a8(record: &[i32], columns: &[i32]) -> [i16; FOUR] {
    let (start, rest) = record.split_at(FOUR);
    let (weights, m) = rest.split_at(2 * columns.len());
    let mut sums: [i32; FOUR] = core::array::from_fn(|i| start[i]);
    for (words, &x) in weights.chunks_exact(2).zip(columns) {
        pair(&mut sums[..2], words[0], x);
        pair(&mut sums[2..], words[1], x);
    }
    let ([a, b], [c, d]) = (unpack(&sums[..2]), unpack(&sums[2..]));
    let sums = [a, b, c, d];
    core::array::from_fn(|row| requant(sums[row], m[row]))
}

/// As [`preactivations_a8`].
fn preactivations_a16(record: &[i32], columns: &[i32]) -> [i16; FOUR] {
    let (start, rest) = record.split_at(FOUR);
    let (weights, m) = rest.split_at(2 * columns.len());
    let mut sums: [i32; FOUR] = core::array::from_fn(|i| start[i]);
    for (words, x) in weights.chunks_exact(FOUR).zip(columns.chunks_exact(2)) {
        for (sum, &word) in sums.iter_mut().zip(words) {
            quad(sum, word, x);
        }
    }
    core::array::from_fn(|row| requant(sums[row], m[row]))
}

/// As [`preactivations_a8`].
fn preactivations_w4(record: &[i32], columns: &[i32]) -> [i16; FOUR] {
    let (start, rest) = record.split_at(FOUR);
    let (weights, m) = rest.split_at(columns.len());
    let mut sums: [i32; FOUR] = core::array::from_fn(|i| start[i]);
    let mut ones = 0;
    for (&word, &x) in weights.iter().zip(columns) {
        let parts = [
            word & 0x000f_000f,
            word & 0x0f0f_0f0f,
            sxtb16(word.rotate_right(8)),
            word,
        ];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum = smlad(part, x, *sum);
        }
        ones = smlad(0x0001_0001, x, ones);
    }
    let [a, ba, u, r] = sums;
    let eight = |sum: i32| sum.wrapping_sub(ones << 7) << 4;
    let b = ba.wrapping_sub(a).wrapping_sub(ones << 11);
    let c = (u << 4).wrapping_sub(ones << 7).wrapping_sub(b >> 4);
    let d = eight(r.wrapping_sub(u << 8).wrapping_sub(a));
    let sums = [eight(a << 4), b, c, d];
    core::array::from_fn(|row| requant(sums[row], m[row]))
}

/// Gates `nx, r, z, nh` of two units of a GRU.
fn gru_a8(record: &[i32], (x, h): (&[i32], &[i32])) -> [[i16; 4]; 2] {
    // r, z of either unit, n over the input, n over the state.
    let mut sums = [0; 8];
    let (start, rest) = record.split_at(6);
    let (x_rows, rest) = rest.split_at(3 * x.len());
    let (n_start, rest) = rest.split_at(2);
    let (h_rows, m) = rest.split_at(3 * h.len());
    sums[..6].copy_from_slice(start);
    sums[6..].copy_from_slice(n_start);
    for (n, rows, columns) in [(4, x_rows, x), (6, h_rows, h)] {
        for (words, &x) in rows.chunks_exact(3).zip(columns) {
            pair(&mut sums[..2], words[0], x);
            pair(&mut sums[2..4], words[1], x);
            pair(&mut sums[n..n + 2], words[2], x);
        }
    }
    let mut z = [0; 8];
    for (z, sums) in z.chunks_exact_mut(2).zip(sums.chunks_exact(2)) {
        z.copy_from_slice(&unpack(sums));
    }
    let z: [i16; 8] = core::array::from_fn(|row| requant(z[row], m[row]));
    [[z[4], z[0], z[1], z[6]], [z[5], z[2], z[3], z[7]]]
}

/// Gates `nx, r, z, nh` of a unit of a GRU.
fn gru_a16(record: &[i32], (x, h): (&[i32], &[i32])) -> [i16; 4] {
    let (start, rest) = record.split_at(3);
    let (x_rows, rest) = rest.split_at(3 * x.len() / 2);
    let (n_start, rest) = rest.split_at(1);
    let (h_rows, m) = rest.split_at(3 * h.len() / 2);
    let mut sums = [start[0], start[1], start[2], n_start[0]];
    for (first, rows, columns) in [(0, x_rows, x), (1, h_rows, h)] {
        for (words, x) in rows.chunks_exact(3).zip(columns.chunks_exact(2)) {
            for (sum, &word) in sums[first..].iter_mut().zip(words) {
                quad(sum, word, x);
            }
        }
    }
    core::array::from_fn(|row| requant(sums[row], m[row]))
}

/// Pre-activations of records of four rows.
pub(in crate::kernel) fn records(
    z: &mut [Panel<i16>],
    rows: &[i32],
    columns: &[i32],
    form: FourRows,
) {
    let preactivations = match form {
        FourRows::W4A8 if cfg!(w4a8) => preactivations_w4 as Four,
        FourRows::W8A16 if cfg!(w8a16) => preactivations_a16 as Four,
        _ => preactivations_a8 as Four,
    };
    let records = rows.chunks_exact(form.record(columns.len()));
    for (z, record) in z.as_flattened_mut().chunks_exact_mut(FOUR).zip(records) {
        z.copy_from_slice(&preactivations(record, columns));
    }
}

/// A step of a packed layer.
pub(in crate::kernel) fn packed(
    cell: CellQ,
    units: &mut Units<'_>,
    rows: &[i32],
    columns: &mut Columns<'_>,
) {
    let a8 = units.h.is_some();
    if let Some(h) = &units.h {
        columns.widen(h);
    }
    let (preactivations, tables) = match a8 {
        true => (preactivations_a8 as Four, &SEGMENTS_256),
        false => (preactivations_a16 as Four, &SEGMENTS_512),
    };
    let Record { words, units: step } = cell.record(a8, columns.words.len());
    for (n, record) in rows.chunks_exact(words).enumerate() {
        let first = n * step;
        match cell {
            CellQ::Lstm { cell_shift } => {
                let z = preactivations(record, columns.words);
                let y = lstm_unit(&mut units.master[first], z, tables, cell_shift);
                units.publish(first, y);
            }
            CellQ::Rnn => {
                for (unit, z) in (first..).zip(preactivations(record, columns.words)) {
                    units.master[unit] = tables.tanh(z) >> 2;
                    units.publish(unit, shift_round(units.master[unit], 17) as i16);
                }
            }
            CellQ::Gru => {
                let columns = columns.words.split_at(columns.x);
                let [one, two] = match a8 {
                    true => gru_a8(record, columns),
                    false => [gru_a16(record, columns); 2],
                };
                for (unit, z) in (first..first + step).zip([one, two]) {
                    gru_unit(&mut units.master[unit], z, tables);
                    units.publish(unit, shift_round(units.master[unit], 17) as i16);
                }
            }
        }
    }
}
