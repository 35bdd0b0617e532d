//! Activations and state updates, in integers and in floats.

use super::draw::Random;
use super::*;
use crate::kernel::{CellQ, Curve, MAX_CELL_SHIFT, StateF};
use crate::num::Tables;

const CURVES: [Curve; 2] = [Curve::Tanh, Curve::Sigmoid];

impl Run {
    pub(super) fn every_argument(&mut self, table: &Kernels, tables: &Tables) -> Found {
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
                self.first::<i32>(shape, "y")?;
            }
        }
        Ok(())
    }

    pub(in crate::kernel) fn curve_q(&mut self, table: &Kernels) -> Found {
        for curve in CURVES {
            let (mut random, shape) = self.random();
            let tables = random.tables();
            self.output.fill::<i32>(&mut random, shape.panels);
            let z = self.input.panels(&mut random, shape.panels);
            Kernels::SCALAR.curve_q(curve, self.output.want(), z, tables);
            table.curve_q(curve, self.output.got(), z, tables);
            self.first::<i32>(shape, "y")?;
        }
        Ok(())
    }

    pub(in crate::kernel) fn update_q(&mut self, table: &Kernels) -> Found {
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
            self.first::<i32>(shape, "master")?;
            self.second::<i16>(shape, "y")?;
        }
        Ok(())
    }

    /// Every cell, an LSTM of any range.
    pub(super) fn cells(&self) -> [CellQ; 3] {
        let cell_shift = Random::new(self.seed).from(0, MAX_CELL_SHIFT as usize) as u8;
        [CellQ::Lstm { cell_shift }, CellQ::Gru, CellQ::Rnn]
    }

    pub(in crate::kernel) fn curve_f(&mut self, table: &Kernels) -> Found {
        for curve in CURVES {
            let (mut random, shape) = self.random();
            self.output.fill::<f32>(&mut random, shape.panels);
            Kernels::SCALAR.curve_f(curve, self.output.want());
            table.curve_f(curve, self.output.got());
            self.first::<f32>(shape, "z")?;
        }
        Ok(())
    }

    pub(in crate::kernel) fn update_f(&mut self, table: &Kernels) -> Found {
        let (mut random, shape) = self.random();
        self.output.fill::<f32>(&mut random, shape.panels);
        self.second_output.fill::<f32>(&mut random, shape.panels);
        let z = self.input.panels(&mut random, 4 * shape.panels);
        let (c, y) = (self.second_output.want(), self.output.want());
        Kernels::SCALAR.update_f(StateF::Lstm(c), y, z);
        let (c, y) = (self.second_output.got(), self.output.got());
        table.update_f(StateF::Lstm(c), y, z);
        self.first::<f32>(shape, "y")?;
        self.second::<f32>(shape, "state")?;
        let h = self.second_input.panels(&mut random, shape.panels);
        let z = self.input.panels(&mut random, 4 * shape.panels);
        Kernels::SCALAR.update_f(StateF::Gru(h), self.output.want(), z);
        table.update_f(StateF::Gru(h), self.output.got(), z);
        self.first::<f32>(shape, "y")
    }
}
