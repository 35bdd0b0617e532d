//! Whole steps: layers of gate rows, for one stream and for several, and packed layers.

use super::draw::{Number, draw};
use super::products::{STORED, Stored};
use super::*;
use crate::kernel::{
    CellF, CellQ, Columns, FOUR, FloatMatrix, FloatState, FourRows, GateRows, Gates, Hidden,
    LayerState, Record, Units,
};
use half::f16;

impl Run {
    /// A step of every cell, for one stream and for several.
    pub(in crate::kernel) fn step_q(&mut self, table: &Kernels) -> Found {
        for cell in self.cells() {
            self.step_of(table, cell, 1)?;
            self.step_of(table, cell, STREAMS)?;
        }
        Ok(())
    }

    /// A layer of gate rows, for up to `max_streams`. The shape is that of the state's matrix for one gate.
    fn step_of(&mut self, table: &Kernels, cell: CellQ, max_streams: usize) -> Found {
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
        self.first::<i32>(shape, "master")?;
        self.second::<i16>(shape, "y")?;
        if wide {
            self.third::<i16>(shape, "h")
        } else {
            self.third::<i8>(shape, "h")
        }
    }

    /// A step of every cell in floats, however its weights are stored, in either direction.
    pub(in crate::kernel) fn step_f(&mut self, table: &Kernels) -> Found {
        for cell in [CellF::Lstm, CellF::Gru, CellF::Rnn] {
            // Pre-activations of some size, not all saturated.
            self.step_f_of::<f32>(table, cell, |w| w / 64.0, |w| FloatMatrix::F32(w))?;
            self.step_f_of::<f16>(table, cell, |w| w, |w| FloatMatrix::F16(w))?;
        }
        Ok(())
    }

    fn step_f_of<W: Number>(
        &mut self,
        table: &Kernels,
        cell: CellF,
        scale: fn(W) -> W,
        matrix: fn(&[W]) -> FloatMatrix<'_>,
    ) -> Found {
        let (mut random, mut shape) = self.random();
        let [ih, hh, stride] = cell.order().panels();
        let units = shape.panels;
        let fit = WEIGHTS / size_of::<W>() / (units * ih.max(hh) * LANES);
        let columns = random.from(1, (units * LANES).min(FLOAT_COLUMNS).min(fit - 1));
        let x = random.from(1, (fit - columns).min(FLOAT_COLUMNS));
        shape.columns = columns;
        let weights = units * LANES * (ih * x + hh * columns);
        let w = self.input.numbers::<W>(&mut random, weights);
        w.iter_mut().for_each(|w| *w = scale(*w));
        let (w_ih, w_hh) = w.split_at(units * ih * LANES * x);
        // Sums start at what also are inputs: a second large buffer would be for them alone.
        let numbers: &[f32] = self.second_input.numbers(&mut random, FLOAT_COLUMNS);
        let mut bias = [[0.0; LANES]; GROUP * PANELS];
        for (bias, &number) in bias
            .as_flattened_mut()
            .iter_mut()
            .zip(numbers.iter().cycle())
        {
            *bias = number;
        }
        let (w_ih, w_hh) = ((matrix(w_ih), x), (matrix(w_hh), columns));
        let gates = Gates::new(cell.order(), units, w_ih, w_hh, &bias[..units * stride]);
        let cells = if cell == CellF::Lstm { units } else { 0 };
        let back = random.below(2) == 0;
        self.output.fill::<f32>(&mut random, units + cells);
        self.second_output.fill::<f32>(&mut random, units);
        let x = &numbers[..x];
        let (c, h) = self.output.want().split_at_mut(cells);
        let state = FloatState::new(c, h, self.second_output.want(), back);
        Kernels::SCALAR.step_f(cell, state, &gates, x);
        let (c, h) = self.output.got().split_at_mut(cells);
        let state = FloatState::new(c, h, self.second_output.got(), back);
        table.step_f(cell, state, &gates, x);
        self.first::<f32>(shape, "state")?;
        self.second::<f32>(shape, "y")
    }

    /// A layer of packed rows: whole words of any content, so also rows that no exporter would write.
    pub(in crate::kernel) fn packed(&mut self, table: &Kernels) -> Found {
        for cell in self.cells() {
            self.packed_of(table, cell, true)?;
            self.packed_of(table, cell, false)?;
        }
        Ok(())
    }

    /// Packed rows without units.
    pub(in crate::kernel) fn records(&mut self, table: &Kernels) -> Found {
        for form in [FourRows::W8A8, FourRows::W8A16, FourRows::W4A8] {
            let (mut random, mut shape) = self.random();
            let unit = if form == FourRows::W8A16 { 2 } else { 1 };
            shape.columns = random.from(1, INT_COLUMNS / 4 / unit) * unit;
            let record = form.record(shape.columns);
            shape.panels = random.from(1, (WEIGHTS / 4 / record / 2).clamp(1, PANELS));
            let count = shape.panels * LANES / FOUR;
            self.output.fill::<i16>(&mut random, shape.panels);
            let rows = self.input.numbers(&mut random, count * record);
            let words: &[i32] = self.second_input.numbers(&mut random, shape.columns);
            Kernels::SCALAR.records(self.output.want(), rows, words, form);
            table.records(self.output.got(), rows, words, form);
            self.first::<i16>(shape, "z")?;
        }
        Ok(())
    }

    fn packed_of(&mut self, table: &Kernels, cell: CellQ, a8: bool) -> Found {
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
        self.first::<i32>(shape, "master")?;
        self.second::<i16>(shape, "y")?;
        self.third::<i8>(shape, "h")
    }
}

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
