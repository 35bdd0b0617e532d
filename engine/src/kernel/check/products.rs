//! Matrices: products, and gates from them.

use super::draw::{Number, Random, draw};
use super::*;
use crate::kernel::{FloatMatrix, GateOrder, GateRows, IntMatrix, MAX_PANELS, Streams};
use half::f16;

impl Run {
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
    pub(in crate::kernel) fn product(&mut self, table: &Kernels) -> Found {
        for stored in STORED {
            self.product_of::<i8>(table, stored, |x| Inputs::I8(x))?;
            self.product_of::<i16>(table, stored, |x| Inputs::I16(x))?;
        }
        Ok(())
    }

    fn product_of<X: Number>(
        &mut self,
        table: &Kernels,
        stored: Stored,
        inputs: fn(&[X]) -> Inputs<'_>,
    ) -> Found {
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
        self.first::<i32>(shape, "sums")
    }

    /// Every kind of weights by every kind of inputs, some of each.
    pub(in crate::kernel) fn products(&mut self, table: &Kernels) -> Found {
        for (stored, count) in STORED
            .into_iter()
            .flat_map(|stored| [(stored, 1), (stored, 2), (stored, STREAMS)])
        {
            self.products_of::<i8>(table, stored, |x| Inputs::I8(x), count)?;
            self.products_of::<i16>(table, stored, |x| Inputs::I16(x), count)?;
        }
        Ok(())
    }

    fn products_of<X: Number>(
        &mut self,
        table: &Kernels,
        stored: Stored,
        inputs: fn(&[X]) -> Inputs<'_>,
        count: usize,
    ) -> Found {
        let (mut random, mut shape) = self.random();
        let Stored {
            block,
            in_a_byte,
            matrix,
        } = stored;
        shape.panels = random.from(1, PANELS / count);
        let rows = shape.panels * LANES;
        let fit = (INT_COLUMNS * in_a_byte).min(WEIGHTS * in_a_byte / rows);
        let fit = fit.min(FLOAT_COLUMNS * 4 / size_of::<X>() / count);
        shape.columns = random.from(1, fit / block) * block;
        self.output.fill::<i32>(&mut random, count * shape.panels);
        let w = self
            .input
            .numbers(&mut random, rows * shape.columns / in_a_byte);
        let x = self
            .second_input
            .numbers(&mut random, count * shape.columns);
        let (w, x) = (matrix(w), inputs(x));
        Kernels::SCALAR.products(self.output.want(), w, x, count);
        table.products(self.output.got(), w, x, count);
        self.first::<i32>(shape, "sums")
    }

    /// Every kind of weights, for one stream and for several.
    pub(in crate::kernel) fn float_product(&mut self, table: &Kernels) -> Found {
        for streams in [1, STREAMS] {
            self.float_product_of::<f32>(table, |w| FloatMatrix::F32(w), streams)?;
            self.float_product_of::<f16>(table, |w| FloatMatrix::F16(w), streams)?;
        }
        Ok(())
    }

    /// The streams' inputs overlap.
    fn float_product_of<W: Number>(
        &mut self,
        table: &Kernels,
        matrix: fn(&[W]) -> FloatMatrix<'_>,
        max_streams: usize,
    ) -> Found {
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
        self.first::<f32>(shape, "sums")
    }

    /// −0 + w · 1 is w, also for zeros of either sign.
    pub(super) fn every_f16(&mut self, table: &Kernels) -> Found {
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
            self.first::<f32>(shape, "sums")?;
        }
        Ok(())
    }

    pub(in crate::kernel) fn gates_q(&mut self, table: &Kernels) -> Found {
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
        self.first::<i16>(shape, "z")
    }

    pub(in crate::kernel) fn requant(&mut self, table: &Kernels) -> Found {
        let (mut random, shape) = self.random();
        let shift = random.below(32) as u8;
        self.output.fill::<i16>(&mut random, shape.panels);
        let sums = self.input.panels(&mut random, shape.panels);
        let m = self.second_input.panels(&mut random, shape.panels);
        Kernels::SCALAR.requant(self.output.want(), sums, m, shift);
        table.requant(self.output.got(), sums, m, shift);
        self.first::<i16>(shape, "z")
    }
}

/// How the weights of an integer layer lie.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    /// Columns that come together.
    pub(super) block: usize,
    /// Weights.
    pub(super) in_a_byte: usize,
    pub(super) matrix: fn(&[u8]) -> IntMatrix<'_>,
}

pub(super) const STORED: [Stored; 4] = {
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
