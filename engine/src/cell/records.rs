//! Layers whose rows are packed for Cortex-M4 in records of four, and whose units are updated from pre-activations as
//! everywhere: cells without a primitive of their own there, and all of weights of four bits.

use super::packed::{
    PackedRows, check_shift, copy, four_rows, no_records, packed_rows, record_words, widen,
};
use super::{GATES, Recurrent, Spec, panels};
use crate::format::{Layout, LoadError, Tensors, attempt};
use crate::kernel::{FOUR, FourRows, GateOrder, Inputs, Kernels, LANES, Panel};
use core::ops::Range;

/// Rows in records of four, whose units have an update of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Records<'a> {
    rows: &'a [i32],
    /// Panels of units.
    panels: usize,
    /// Words of two columns that input and state take.
    x: usize,
    words: usize,
    order: GateOrder,
    form: FourRows,
}

/// Panels of units whose pre-activations are computed together: the kernel is called once for so many.
const TOGETHER: usize = if cfg!(small) { 1 } else { 4 };

impl<'a> Records<'a> {
    /// Tensor: the records.
    pub(super) const fn take(t: &mut Tensors<'a>, spec: Spec) -> Result<Self, LoadError> {
        let Spec {
            cell,
            format,
            layout,
            inputs,
            hidden,
            slow,
            ..
        } = spec;
        let packed = packed_rows(cell, format, slow, inputs, hidden);
        let (rows, form) = match (packed, four_rows(cell, format)) {
            (
                Some(PackedRows {
                    words,
                    records: true,
                }),
                Some(form),
            ) if matches!(layout, Layout::CortexM4) => (attempt!(t.take(words)), form),
            _ => return Err(no_records(spec)),
        };
        attempt!(check_shift(spec));
        let (x, words) = record_words(cell, format, inputs, hidden);
        Ok(Records {
            rows,
            panels: panels(hidden),
            x,
            words,
            order: Recurrent::order(cell),
            form,
        })
    }

    /// Pre-activations of all units, some panels of units at a time.
    #[inline(always)]
    pub(super) fn each_tile(
        &self,
        k: &Kernels,
        x: Inputs<'_>,
        h: Inputs<'_>,
        work: &mut [i32],
        mut update: impl FnMut(Range<usize>, &mut [Panel<i16>]),
    ) {
        let words = &mut work[..self.words];
        let (x_words, h_words) = words.split_at_mut(self.x);
        for (words, columns) in [(x_words, x), (h_words, h)] {
            fill(words, columns);
        }
        let [_, _, sums] = self.order.panels();
        let runs = self.order.runs(self.x, self.words);
        let whole = runs.into_iter().find(|&[run, _, _]| run == sums);
        let Some([_, from, to]) = whole.filter(|_| cfg!(not(small))) else {
            return self.each_of_runs(k, runs, words, update);
        };
        let words = &words[from..to];
        let mut z = [[0; LANES]; TOGETHER * GATES];
        let (mut rows, mut panel) = (self.rows, 0);
        while !rows.is_empty() {
            // All that are left, where those are fewer.
            let panels = TOGETHER.min(self.panels - panel);
            let (now, rest) = rows.split_at(panels * self.of_panel(sums, words.len()));
            rows = rest;
            let z = &mut z[..panels * sums];
            k.records(z, now, words, self.form);
            update(panel..panel + panels, z);
            panel += panels;
        }
    }

    /// The same of sums that do not all see the same columns, and of all where size counts: run after run of several panels, whose units
    /// are then updated panel by panel.
    #[inline(never)]
    fn each_of_runs(
        &self,
        k: &Kernels,
        runs: [[usize; 3]; 3],
        words: &[i32],
        mut update: impl FnMut(Range<usize>, &mut [Panel<i16>]),
    ) {
        let mut z = [[0; LANES]; TOGETHER * GATES];
        let mut start = 0;
        while start < self.panels {
            let panels = TOGETHER.min(self.panels - start);
            let tile = start..start + panels;
            let (mut rows, mut left) = (self.rows, &mut z[..]);
            for [sums, from, to] in runs.into_iter().filter(|run| run[0] > 0) {
                let (words, of_panel) = (&words[from..to], self.of_panel(sums, to - from));
                let (run, others) = rows.split_at(self.panels * of_panel);
                let (z, rest) = left.split_at_mut(panels * sums);
                let run = &run[tile.start * of_panel..tile.end * of_panel];
                k.records(z, run, words, self.form);
                (rows, left) = (others, rest);
            }
            start += panels;
            if TOGETHER == 1 {
                update(tile, &mut z[..self.order.panels()[2]]);
                continue;
            }
            for (unit, panel) in tile.enumerate() {
                let mut of_unit = [[0; LANES]; GATES];
                let mut first = 0;
                for [sums, _, _] in runs {
                    let from = panels * first + unit * sums;
                    of_unit[first..first + sums].copy_from_slice(&z[from..from + sums]);
                    first += sums;
                }
                update(panel..panel + 1, &mut of_unit[..first]);
            }
        }
    }

    /// Words of the records of so many sums of a panel of units.
    #[inline(always)]
    fn of_panel(&self, sums: usize, words: usize) -> usize {
        sums * (LANES / FOUR) * self.form.record(words)
    }
}

/// Columns as words of two.
#[cfg_attr(one_walk, inline(never))]
fn fill(words: &mut [i32], columns: Inputs<'_>) {
    match columns {
        Inputs::I8(columns) => widen(words, columns),
        Inputs::I16(columns) => copy(words, columns),
    }
}
