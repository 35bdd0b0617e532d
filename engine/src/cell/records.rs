//! Layers whose rows are packed for Cortex-M4 in records of four, and whose units are updated from pre-activations as
//! everywhere: cells without a primitive of their own there.

use super::packed::{PackedRows, check_shift, copy, no_records, packed_rows, widen, work, x_words};
use super::{GATES, Recurrent, Spec, panels};
use crate::format::{Layout, LoadError, Tensors, attempt};
use crate::kernel::{FOUR, Inputs, Kernels, LANES, Panel, four};
use core::ops::Range;

/// Rows in records of four, whose units have an update of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Records<'a> {
    rows: &'a [i32],
    /// Panels of units, and the sums of a unit.
    panels: usize,
    sums: usize,
    /// Words of two columns that input and state take.
    x: usize,
    words: usize,
    a8: bool,
}

/// Panels of units whose pre-activations are computed together: kernel and update are called once for so many.
const TOGETHER: usize = 4;

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
        let rows = match packed_rows(cell, format, slow, inputs, hidden) {
            Some(PackedRows {
                words,
                records: true,
            }) if matches!(layout, Layout::CortexM4) => attempt!(t.take(words)),
            _ => return Err(no_records(spec)),
        };
        attempt!(check_shift(spec));
        let [sums, _, _] = Recurrent::order(cell).panels();
        Ok(Records {
            rows,
            panels: panels(hidden),
            sums,
            x: x_words(format, inputs),
            words: work(spec),
            a8: format.is_a8(),
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
        let mut z = [[0; LANES]; TOGETHER * GATES];
        let panel_words = self.sums * (LANES / FOUR) * four(words.len());
        let (mut rows, mut panel) = (self.rows, 0);
        while !rows.is_empty() {
            // All that are left, where those are fewer.
            let panels = TOGETHER.min(self.panels - panel);
            let (now, rest) = rows.split_at(panels * panel_words);
            rows = rest;
            let z = &mut z[..panels * self.sums];
            k.records(z, now, words, self.a8);
            update(panel..panel + panels, z);
            panel += panels;
        }
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
