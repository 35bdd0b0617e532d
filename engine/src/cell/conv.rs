//! Convolution: `y_p = f(W x_p + b)` at each position `p`, where `x_p` are the rows that are seen there, one after the other.
//!
//! So it is a dense layer applied at several places, and that is what it is made of: the rows of a few positions are
//! gathered into the scratch, edges and all, where they are contiguous and aligned, and no kernel has to know of any of this. To
//! copy them costs one load and store for as many multiplications as there are filters, and a weight is loaded once for all of them. Rows of the past lie in the state,
//! as integers if the layer is one, the oldest first; they move on once a step. So do the answers of a streaming convolution that are
//! pooled over time; where there is no answer the layers behind it do not step.

use super::dense::{Dense, DenseSpec, TOGETHER};
use super::panels;
use crate::format::{Activation, ConvShape, LoadError, Pool, PoolKind, Tensors, attempt};
use crate::kernel::{Kernels, LANES};
use crate::num::magnitude_q;

/// A convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conv<'a> {
    shape: ConvShape,
    dense: Dense<'a>,
    filters: usize,
    magnitude: bool,
}

/// What a step reads and writes.
pub(crate) struct Rows<'s, T> {
    /// The sample.
    pub(crate) x: &'s [T],
    /// Rows of the samples before.
    pub(crate) past: &'s mut [T],
    /// Answers that the next one may be made of.
    pub(crate) answers: &'s mut [T],
    /// Of [`Pool::due`](crate::format::Pool::due).
    pub(crate) count: &'s mut i32,
    /// [`Conv::work`] elements, or more.
    pub(crate) work: &'s mut [T],
    /// The outputs.
    pub(crate) y: &'s mut [T],
}

/// What a convolution does with numbers besides products.
trait Number: Copy + Default + PartialOrd {
    fn magnitude(re: Self, im: Self) -> Self;

    /// Of so many numbers.
    fn mean(numbers: impl Iterator<Item = Self>, count: u16) -> Self;
}

impl Number for f32 {
    fn magnitude(re: f32, im: f32) -> f32 {
        libm::sqrtf(re * re + im * im)
    }

    fn mean(numbers: impl Iterator<Item = f32>, count: u16) -> f32 {
        numbers.fold(0.0, |sum, x| sum + x) / count as f32
    }
}

impl Number for i16 {
    #[inline(always)]
    fn magnitude(re: i16, im: i16) -> i16 {
        magnitude_q(re, im)
    }

    fn mean(numbers: impl Iterator<Item = i16>, count: u16) -> i16 {
        // Counted from the lowest, so that the division rounds down.
        const LOWEST: i32 = i16::MIN as i32;
        let sum = numbers.fold(0u32, |sum, x| sum.wrapping_add((x as i32 - LOWEST) as u32));
        let nearest = sum.wrapping_add(count as u32 / 2).checked_div(count as u32);
        (nearest.unwrap_or(0) as i32 + LOWEST) as i16
    }
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
            filters: spec.outputs,
            magnitude: matches!(spec.activation, Activation::Magnitude),
            dense: attempt!(Dense::take(t, spec)),
        })
    }

    /// Elements of scratch, as files count them: what is seen at a position, and once more as many numbers as there are filters.
    pub(crate) const fn work(&self) -> usize {
        self.dense.columns() + panels(self.filters) * LANES
    }

    /// Elements of the past.
    pub(crate) const fn remembered(&self) -> usize {
        self.shape.remembered()
    }

    /// Elements of answers that the next one may be made of.
    pub(crate) const fn answers(&self) -> usize {
        match self.shape.pool() {
            Some(pool) => pool.remembered(self.outputs()),
            None => 0,
        }
    }

    /// There is not an answer at every sample.
    pub(crate) const fn is_pooled(&self) -> bool {
        self.shape.pool().is_some()
    }

    /// Numbers at a position.
    const fn outputs(&self) -> usize {
        if self.magnitude {
            self.filters / 2
        } else {
            self.filters
        }
    }

    /// In f32; whether there is an answer.
    pub(crate) fn apply(&self, k: &Kernels, rows: Rows<'_, f32>) -> bool {
        self.positions(rows, |taps, _, give| self.dense.each(k, taps, give))
    }

    /// In integers; whether there is an answer.
    #[inline(always)]
    pub(crate) fn apply_q(&self, k: &Kernels, rows: Rows<'_, i16>) -> bool {
        self.positions(rows, |taps, count, give| {
            self.dense.each_q(k, taps, count, give)
        })
    }

    /// Every position, then the sample becomes the past; then what several answers give. The product is of what is seen at so many
    /// positions, as that of a dense layer of as many inputs.
    #[inline(always)]
    fn positions<T: Number>(
        &self,
        rows: Rows<'_, T>,
        product: impl Fn(&[T], usize, &mut dyn FnMut(usize, usize, &[T])),
    ) -> bool {
        let Rows {
            x,
            past,
            answers,
            count,
            work,
            y,
        } = rows;
        let x = &x[..self.shape.inputs()];
        let outputs = self.outputs();
        let pool = self.shape.pool();
        let due = pool.is_none_or(|pool| pool.due(count));
        // What nobody asks for is not computed.
        let positions = if due || !answers.is_empty() {
            self.shape.positions()
        } else {
            0
        };
        let columns = self.dense.columns();
        // As many positions as there is room for; behind it may be what others keep.
        let work = &mut work[..self.work()];
        let most = (work.len() / columns.max(1)).clamp(1, TOGETHER);
        for (part, y) in y[..positions * outputs]
            .chunks_mut(most * outputs)
            .enumerate()
        {
            let together = y.len() / outputs;
            let taps = &mut work[..together * columns];
            for (at, taps) in taps.chunks_exact_mut(columns).enumerate() {
                self.shape.gather(part * most + at, x, past, taps);
            }
            product(taps, together, &mut |at, first, numbers| {
                let y = &mut y[at * outputs..][..outputs];
                self.put(y, first, numbers);
            });
        }
        self.shape.remember(x, past);
        if let Some(pool) = pool
            && !answers.is_empty()
        {
            let y = &mut y[..outputs];
            let kept = answers.len() - outputs;
            answers.copy_within(outputs.., 0);
            answers[kept..].copy_from_slice(y);
            if due {
                pooled(pool, answers, y);
            }
        }
        due
    }

    /// Outputs of the filters from one on, of a magnitude all real parts before the imaginary ones; what is behind the last filter fills a panel.
    #[inline(never)]
    fn put<T: Number>(&self, y: &mut [T], first: usize, numbers: &[T]) {
        let outputs = y.len();
        let real = outputs.saturating_sub(first).min(numbers.len());
        let (numbers, others) = numbers.split_at(real);
        if real > 0 {
            y[first..][..real].copy_from_slice(numbers);
        }
        if self.magnitude {
            let parts = y[(first + real).saturating_sub(outputs)..]
                .iter_mut()
                .zip(others);
            parts.for_each(|(re, &im)| *re = T::magnitude(*re, im));
        }
    }
}

/// Of answers one after the other, what becomes of them.
#[inline(always)]
fn pooled<T: Number>(pool: Pool, answers: &[T], y: &mut [T]) {
    let outputs = y.len();
    for (unit, y) in y.iter_mut().enumerate() {
        let numbers = answers.iter().copied().skip(unit).step_by(outputs);
        *y = match pool.kind {
            PoolKind::Max => numbers.fold(*y, |most, x| if x > most { x } else { most }),
            PoolKind::Mean => T::mean(numbers, pool.kernel),
        };
    }
}
