//! Rows as [`Layout::CortexM4`](kinglet::format::Layout) wants them; [`kinglet::kernel`] has the arithmetic.

use super::layout::{Sum, stages};
use crate::net::Cell;
use crate::quant::Rows;
use kinglet::format::{Format, Layout, RECORDS, packed_rows, pad};
use kinglet::kernel::{BLOCK, LANES, SHIFT_A8, SHIFT_A16};

/// The shift that packed rows must have.
pub(crate) fn shift(format: Format) -> u8 {
    if format.is_a8() { SHIFT_A8 } else { SHIFT_A16 }
}

/// A quantized layer: rows of `sums` sums with `hidden` units each.
pub(crate) struct Layer<'r> {
    pub cell: Cell,
    pub format: Format,
    pub inputs: usize,
    pub hidden: usize,
    pub rows: &'r Rows,
    /// In records of four rows, whatever the cell.
    pub records: bool,
}

/// A row of a record: its place in the rows, or a row of zeros behind the last unit.
type Place = Option<usize>;

impl Layer<'_> {
    fn place(&self, sum: usize, unit: usize) -> Place {
        (unit < self.hidden).then_some(sum * self.hidden + unit)
    }

    fn bias(&self, row: Place) -> i32 {
        row.map_or(0, |row| self.rows.bias[row])
    }

    fn x(&self, row: Place, column: usize) -> i8 {
        let row = row.map_or(&[][..], |row| &self.rows.x[row]);
        row.get(column).copied().unwrap_or(0)
    }

    fn h(&self, row: Place, column: usize) -> i8 {
        let row = row.map_or(&[][..], |row| &self.rows.h[row]);
        let column = state_column(self.format, self.records, column);
        row.get(column).copied().unwrap_or(0)
    }

    /// All records, one after the other.
    pub(crate) fn pack(&self) -> Vec<i32> {
        let mut words = Vec::new();
        let units = pad(self.hidden, LANES);
        let narrow = self.format == Format::W8A8;
        if self.records {
            let [sums] = stages(self.cell) else {
                return words;
            };
            for (sum, unit) in fours(sums, units) {
                let rows = [0, 1, 2, 3].map(|i| self.place(sum, unit + i));
                self.four(&mut words, rows, sums[sum]);
            }
            return words;
        }
        let all = Sum::both(0);
        match (self.cell, narrow) {
            (Cell::GruResetAfter, true) => {
                for unit in (0..units).step_by(2) {
                    self.gru_a8(&mut words, unit);
                }
            }
            (Cell::GruResetAfter, false) => {
                for unit in 0..units {
                    self.gru_a16(&mut words, unit);
                }
            }
            (Cell::Lstm, _) => {
                for unit in 0..units {
                    let rows = [0, 1, 2, 3].map(|gate| self.place(gate, unit));
                    self.four(&mut words, rows, all);
                }
            }
            _ => {
                for unit in (0..units).step_by(4) {
                    let rows = [0, 1, 2, 3].map(|i| self.place(0, unit + i));
                    self.four(&mut words, rows, all);
                }
            }
        }
        words
    }

    /// Four rows, over what their sum runs over.
    fn four(&self, words: &mut Vec<i32>, rows: [Place; 4], sum: Sum) {
        let of = |is_there: bool, columns: usize| if is_there { columns } else { 0 };
        let (x, h) = (of(sum.x, self.inputs), of(sum.h, self.hidden));
        match self.format {
            Format::W8A8 => {
                let pairs = [[rows[0], rows[1]], [rows[2], rows[3]]];
                words.extend(pairs.iter().flat_map(|&pair| self.start(pair)));
                self.pairs(words, &pairs, pad(x, 2), Self::x);
                self.pairs(words, &pairs, pad(h, LANES), Self::h);
            }
            Format::W4A8 => {
                words.extend(starts_w4(rows.map(|row| self.bias(row))));
                self.nibbles(words, rows, pad(x, 2), Self::x);
                self.nibbles(words, rows, pad(h, LANES), Self::h);
            }
            _ => {
                words.extend(rows.iter().map(|&row| self.bias(row)));
                self.quads(words, &rows, x, Self::x);
                self.quads(words, &rows, h, Self::h);
            }
        }
        words.extend(rows.iter().map(|&row| self.m(row)));
    }

    /// Sums of the engine's order: `n` over the input, `r`, `z`, `n` over the state.
    fn gru_a8(&self, words: &mut Vec<i32>, unit: usize) {
        let pair = |a, b| [a, b];
        let of = |sum, unit| self.place(sum, unit);
        let both = [
            pair(of(1, unit), of(2, unit)),
            pair(of(1, unit + 1), of(2, unit + 1)),
        ];
        let n_x = pair(of(0, unit), of(0, unit + 1));
        let n_h = pair(of(3, unit), of(3, unit + 1));
        let over_x = [both[0], both[1], n_x];
        words.extend(over_x.iter().flat_map(|&pair| self.start(pair)));
        self.pairs(words, &over_x, pad(self.inputs, 2), Self::x);
        words.extend(self.start(n_h));
        let over_h = [both[0], both[1], n_h];
        self.pairs(words, &over_h, pad(self.hidden, LANES), Self::h);
        let all = [both[0], both[1], n_x, n_h];
        words.extend(all.as_flattened().iter().map(|&row| self.m(row)));
    }

    fn gru_a16(&self, words: &mut Vec<i32>, unit: usize) {
        let [n_x, r, z, n_h] = [0, 1, 2, 3].map(|sum| self.place(sum, unit));
        words.extend([n_x, r, z].map(|row| self.bias(row)));
        self.quads(words, &[n_x, r, z], self.inputs, Self::x);
        words.push(self.bias(n_h));
        self.quads(words, &[r, z, n_h], self.hidden, Self::h);
        words.extend([n_x, r, z, n_h].map(|row| self.m(row)));
    }

    fn m(&self, row: Place) -> i32 {
        row.map_or(0, |row| self.rows.m[row])
    }

    /// Where the sums of a pair start: `256 B + A` and `A`.
    fn start(&self, [a, b]: [Place; 2]) -> [i32; 2] {
        let (a, b) = (self.bias(a), self.bias(b));
        [b.wrapping_mul(256).wrapping_add(a), a]
    }

    /// Pairs of rows, two columns a word.
    fn pairs(
        &self,
        words: &mut Vec<i32>,
        pairs: &[[Place; 2]],
        columns: usize,
        weight: fn(&Self, Place, usize) -> i8,
    ) {
        for column in (0..columns).step_by(2) {
            for &[a, b] in pairs {
                words.push(two_columns(column, |column| {
                    half_w8([a, b].map(|row| weight(self, row, column)))
                }));
            }
        }
    }

    /// Four rows of four bits, two columns a word.
    fn nibbles(
        &self,
        words: &mut Vec<i32>,
        rows: [Place; 4],
        columns: usize,
        weight: fn(&Self, Place, usize) -> i8,
    ) {
        for column in (0..columns).step_by(2) {
            words.push(two_columns(column, |column| {
                half_w4(rows.map(|row| weight(self, row, column)))
            }));
        }
    }

    /// Rows as they are, four columns a word: bytes 0, 2, 1, 3.
    fn quads(
        &self,
        words: &mut Vec<i32>,
        rows: &[Place],
        columns: usize,
        weight: fn(&Self, Place, usize) -> i8,
    ) {
        for column in (0..columns).step_by(BLOCK) {
            for &row in rows {
                let bytes = [0, 2, 1, 3].map(|i| weight(self, row, column + i) as u8);
                words.push(i32::from_le_bytes(bytes));
            }
        }
    }
}

/// Words of the rows of a layer, which may be slow, in a file of this layout; none if they lie in panels.
pub(crate) fn words(
    (layout, cell, format): (Layout, Cell, Format),
    slow: bool,
    requant_shift: u8,
    [inputs, hidden]: [usize; 2],
) -> Option<usize> {
    let packed = packed_rows(cell, format, slow, inputs, hidden)?;
    let says_so = requant_shift & RECORDS != 0;
    (layout == Layout::CortexM4 && packed.records == says_so).then_some(packed.words)
}

/// The sum and the first unit of each record of four rows, in their order.
fn fours(sums: &[Sum], units: usize) -> Vec<(usize, usize)> {
    let mut fours = Vec::new();
    let mut first = 0;
    // All that run over the same, panel for panel.
    for run in sums.chunk_by(|a, b| (a.x, a.h) == (b.x, b.h)) {
        let run = first..first + run.len();
        first = run.end;
        for unit in (0..units).step_by(LANES) {
            fours.extend(run.clone().flat_map(|sum| [(sum, unit), (sum, unit + 4)]));
        }
    }
    fours
}

/// Where the sums of four rows of four bits start, of these biases.
fn starts_w4([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    let times = |n: i32, by: i32| n.wrapping_mul(by);
    let upper = times(c, 16).wrapping_add(b);
    [
        a,
        times(b, 256).wrapping_add(a),
        upper,
        times(upper, 256).wrapping_add(times(d, 16)).wrapping_add(a),
    ]
}

/// The biases that [`starts_w4`] had; of the second the upper eight bits are gone, of the others four, as they are from what
/// requantization shifts.
fn biases_w4([a, both, upper, all]: [i32; 4]) -> [i32; 4] {
    let b = both.wrapping_sub(a) >> 8;
    [
        a,
        b,
        upper.wrapping_sub(b) >> 4,
        all.wrapping_sub(upper << 8).wrapping_sub(a) >> 4,
    ]
}

/// A word of a column and the next one, each a half of it.
fn two_columns(column: usize, half: impl Fn(usize) -> i32) -> i32 {
    half(column) as u16 as i32 | half(column + 1) << 16
}

/// A column of two rows of eight bits.
fn half_w8([a, b]: [i8; 2]) -> i32 {
    256 * i32::from(b) + i32::from(a)
}

/// The weights that [`half_w8`] had, in front of others.
fn weights_w8(half: i16) -> [i8; 4] {
    let a = half as i8;
    let b = (i32::from(half) - i32::from(a)) >> 8;
    [a, b as i8, 0, 0]
}

/// A column of four rows of four bits.
fn half_w4(weights: [i8; 4]) -> i32 {
    let [a, b, c, d] = weights.map(i32::from);
    4096 * c + 256 * (b + 8) + 16 * (d + 8) + (a + 8)
}

/// The weights that [`half_w4`] had.
fn weights_w4(half: i16) -> [i8; 4] {
    let nibble = |shift: u32| (half >> shift & 15) as i8 - 8;
    [nibble(0), nibble(8), (half >> 12) as i8, nibble(4)]
}

/// State columns in the order of their words: 0, 2, 1, 3 where the kernel widens them.
fn state_column(format: Format, records: bool, column: usize) -> usize {
    if format == Format::W8A8 && !records {
        column / BLOCK * BLOCK + [0, 2, 1, 3][column % BLOCK]
    } else {
        column
    }
}

/// A layer's rows as they were before [`Layer::pack`], with those of padding: the row of a sum's unit is
/// `sum * units + unit`, where `units` are whole panels. Columns of padding are there too.
pub(crate) struct Unpacked {
    pub units: usize,
    pub x: Vec<Vec<i8>>,
    pub h: Vec<Vec<i8>>,
    pub bias: Vec<i32>,
    pub m: Vec<i32>,
}

/// The rows of a layer of `sums` sums, in records of four rows whatever the cell, or not.
pub(crate) fn unpack(
    (cell, format, in_fours): (Cell, Format, bool),
    [inputs, hidden, sums]: [usize; 3],
    words: &[i32],
) -> Unpacked {
    let narrow = format == Format::W8A8;
    let [x_unit, h_unit] = if format.is_a8() {
        [2, LANES]
    } else {
        [BLOCK; 2]
    };
    let units = pad(hidden, LANES);
    let mut records = Records {
        words,
        format,
        in_fours,
        rows: Unpacked {
            units,
            x: vec![vec![0; pad(inputs, x_unit)]; sums * units],
            h: vec![vec![0; pad(hidden, h_unit)]; sums * units],
            bias: vec![0; sums * units],
            m: vec![0; sums * units],
        },
    };
    let row = |sum: usize, unit: usize| sum * units + unit;
    match cell {
        _ if in_fours => {
            let stage = stages(cell).concat();
            for (sum, unit) in fours(&stage, units) {
                records.four([0, 1, 2, 3].map(|i| row(sum, unit + i)), stage[sum]);
            }
        }
        Cell::GruResetAfter => {
            let step = if narrow { 2 } else { 1 };
            for unit in (0..units).step_by(step) {
                let of = |sum| (unit..unit + step).map(move |unit| row(sum, unit));
                let both: Vec<usize> = (unit..unit + step)
                    .flat_map(|u| [row(1, u), row(2, u)])
                    .collect();
                let (n_x, n_h): (Vec<usize>, Vec<usize>) = (of(0).collect(), of(3).collect());
                // Pairs of units have `n` behind the gates over the input too.
                let over_x = if narrow {
                    [&both[..], &n_x].concat()
                } else {
                    [&n_x[..], &both].concat()
                };
                records.starts(&over_x);
                records.weights(&over_x, Side::X);
                records.starts(&n_h);
                records.weights(&[&both[..], &n_h].concat(), Side::H);
                records.multipliers(&[&over_x[..], &n_h].concat());
            }
        }
        Cell::Lstm => {
            for unit in 0..units {
                records.four([0, 1, 2, 3].map(|gate| row(gate, unit)), Sum::both(0));
            }
        }
        _ => {
            for unit in (0..units).step_by(4) {
                records.four([0, 1, 2, 3].map(|i| row(0, unit + i)), Sum::both(0));
            }
        }
    }
    records.rows
}

#[derive(Clone, Copy)]
enum Side {
    X,
    H,
}

/// The words that are left, and the rows found so far.
struct Records<'w> {
    words: &'w [i32],
    format: Format,
    /// Four rows each, whatever the cell.
    in_fours: bool,
    rows: Unpacked,
}

impl Records<'_> {
    fn word(&mut self) -> i32 {
        let (word, rest) = self
            .words
            .split_first()
            .map_or((0, self.words), |(w, r)| (*w, r));
        self.words = rest;
        word
    }

    fn four(&mut self, rows: [usize; 4], sum: Sum) {
        self.starts(&rows);
        if sum.x {
            self.weights(&rows, Side::X);
        }
        if sum.h {
            self.weights(&rows, Side::H);
        }
        self.multipliers(&rows);
    }

    fn starts(&mut self, rows: &[usize]) {
        if self.format == Format::W4A8 {
            for four in rows.chunks_exact(4) {
                let starts = [(); 4].map(|()| self.word());
                for (&row, bias) in four.iter().zip(biases_w4(starts)) {
                    self.rows.bias[row] = bias;
                }
            }
            return;
        }
        if self.format != Format::W8A8 {
            for &row in rows {
                self.rows.bias[row] = self.word();
            }
            return;
        }
        for pair in rows.chunks_exact(2) {
            let (both, a) = (self.word(), self.word());
            self.rows.bias[pair[0]] = a;
            // The upper eight bits are gone, as they are from what requantization shifts.
            self.rows.bias[pair[1]] = both.wrapping_sub(a) >> 8;
        }
    }

    fn multipliers(&mut self, rows: &[usize]) {
        for &row in rows {
            self.rows.m[row] = self.word();
        }
    }

    fn weights(&mut self, rows: &[usize], side: Side) {
        let columns = match side {
            Side::X => self.rows.x[0].len(),
            Side::H => self.rows.h[0].len(),
        };
        if self.format.is_a8() {
            let (together, weights): (usize, fn(i16) -> [i8; 4]) = match self.format {
                Format::W4A8 => (4, weights_w4),
                _ => (2, weights_w8),
            };
            for column in (0..columns).step_by(2) {
                for rows in rows.chunks_exact(together) {
                    let word = self.word();
                    for (column, half) in [(column, word as i16), (column + 1, (word >> 16) as i16)]
                    {
                        let column = match side {
                            Side::X => column,
                            Side::H => state_column(self.format, self.in_fours, column),
                        };
                        for (&row, weight) in rows.iter().zip(weights(half)) {
                            self.put(side, row, column, weight);
                        }
                    }
                }
            }
        } else {
            for column in (0..columns).step_by(BLOCK) {
                for &row in rows {
                    let bytes = self.word().to_le_bytes();
                    for (byte, i) in bytes.into_iter().zip([0, 2, 1, 3]) {
                        self.put(side, row, column + i, byte as i8);
                    }
                }
            }
        }
    }

    fn put(&mut self, side: Side, row: usize, column: usize, weight: i8) {
        let rows = match side {
            Side::X => &mut self.rows.x,
            Side::H => &mut self.rows.h,
        };
        rows[row][column] = weight;
    }
}
