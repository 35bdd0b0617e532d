//! Convolution: `y_p = f(W x_p + b)` at each position `p`, where `x_p` are the rows that are seen there, one after the other.
//!
//! So it is a dense layer applied at several places, and that is what it is made of: the rows of a position are
//! gathered into the scratch, edges and all, where they are contiguous and aligned, and no kernel has to know of any of this. To
//! copy them costs one load and store for as many multiplications as there are filters. Rows of the past lie in the state,
//! as integers if the layer is one, the oldest first; they move on once a step.

use super::dense::{Dense, DenseSpec};
use super::panels;
use crate::format::{Activation, ConvShape, LoadError, Tensors, attempt};
use crate::kernel::{Kernels, LANES, Panel};
use crate::num::magnitude_q;

/// A convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conv<'a> {
    shape: ConvShape,
    dense: Dense<'a>,
    /// Elements of scratch for what is seen at a position.
    columns: usize,
    filters: usize,
    magnitude: bool,
}

/// What a step reads and writes.
pub(crate) struct Rows<'s, T> {
    /// The sample.
    pub(crate) x: &'s [T],
    /// Rows of the samples before.
    pub(crate) past: &'s mut [T],
    /// [`Conv::work`] elements, or more.
    pub(crate) work: &'s mut [T],
    /// The outputs.
    pub(crate) y: &'s mut [T],
}

impl<'a> Conv<'a> {
    /// Tensors: those of a dense layer with the numbers at a position as its inputs.
    pub(crate) const fn take(
        t: &mut Tensors<'a>,
        shape: ConvShape,
        spec: DenseSpec,
    ) -> Result<Self, LoadError> {
        Ok(Conv {
            shape,
            columns: spec.format.columns(spec.inputs),
            filters: spec.outputs,
            magnitude: matches!(spec.activation, Activation::Magnitude),
            dense: attempt!(Dense::take(t, spec)),
        })
    }

    /// Elements of scratch.
    pub(crate) const fn work(&self) -> usize {
        self.columns + panels(self.filters) * LANES
    }

    /// Elements of the past.
    pub(crate) const fn remembered(&self) -> usize {
        self.shape.remembered()
    }

    /// In f32.
    pub(crate) fn apply(&self, k: &Kernels, rows: Rows<'_, f32>) {
        let product = |taps: &[f32], sums: &mut [f32]| {
            self.dense.apply(k, taps, sums.as_chunks_mut().0);
        };
        self.each(rows, product, |re, im| libm::sqrtf(re * re + im * im));
    }

    /// In integers.
    #[inline(always)]
    pub(crate) fn apply_q(&self, k: &Kernels, rows: Rows<'_, i16>) {
        let product = |taps: &[i16], sums: &mut [i16]| {
            let y: &mut [Panel<i16>] = sums.as_chunks_mut().0;
            self.dense.apply_q(k, taps, y);
        };
        self.each(rows, product, magnitude_q);
    }

    /// Every position, then the sample becomes the past.
    #[inline(always)]
    fn each<T: Copy + Default>(
        &self,
        rows: Rows<'_, T>,
        product: impl Fn(&[T], &mut [T]),
        magnitude: impl Fn(T, T) -> T,
    ) {
        let Rows { x, past, work, y } = rows;
        let x = &x[..self.shape.inputs()];
        let (taps, work) = work.split_at_mut(self.columns);
        let sums = &mut work[..panels(self.filters) * LANES];
        let outputs = if self.magnitude {
            self.filters / 2
        } else {
            self.filters
        };
        for (position, y) in y
            .chunks_exact_mut(outputs)
            .take(self.shape.positions())
            .enumerate()
        {
            self.shape.gather(position, x, past, taps);
            product(taps, sums);
            if self.magnitude {
                let (re, im) = sums.split_at_mut(outputs);
                for (re, &mut im) in re.iter_mut().zip(im) {
                    *re = magnitude(*re, im);
                }
            }
            y.copy_from_slice(&sums[..outputs]);
        }
        self.shape.remember(x, past);
    }
}
