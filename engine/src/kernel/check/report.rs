//! What a check gives: how much was equal, or the first difference.

use crate::kernel::Panels;
use core::fmt;

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

/// The first difference. [`check`](super::check()) with one round and this seed finds it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mismatch {
    /// Name of the table.
    pub table: &'static str,
    /// The primitive that differs.
    pub primitive: &'static str,
    /// What it was run on.
    pub shape: Shape,
    /// Which of its outputs, as the method of [`Kernels`](crate::kernel::Kernels) names it.
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
