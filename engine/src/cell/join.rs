//! Skips: what arrives at one place of the chain is kept until the end of the step, and joined with what arrives at another.
//!
//! So a model with branches that meet again is a list of layers all the same, without indices of buffers, and a model
//! without any pays nothing. What is kept lies at the end of the layers' scratch. In integers all of it is at 2^-12: sums saturate,
//! products are rounded half up and saturate.

use crate::format::{Combine, Width};
use crate::num::{saturate16, shift_round};
use bytemuck::Pod;

/// What is kept of a sample, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    width: Width,
    /// Words from its first one to the end of the scratch.
    back: usize,
    words: usize,
}

impl Keep {
    /// `back` are the words of those that were kept before.
    pub(crate) const fn new(width: Width, words: usize, back: usize) -> Self {
        Keep {
            width,
            back: back + words,
            words,
        }
    }

    /// Words of scratch that it needs, with all that was kept before.
    pub(crate) const fn back(&self) -> usize {
        self.back
    }

    /// Numbers of it.
    pub(crate) const fn width(&self) -> usize {
        self.width.get()
    }

    fn place<'s>(&self, work: &'s mut [i32]) -> &'s mut [i32] {
        let from = work.len().saturating_sub(self.back);
        let (_, kept) = work.split_at_mut(from);
        kept.split_at_mut(self.words.min(kept.len())).0
    }

    /// Keeps what is in a buffer.
    pub(crate) fn keep(&self, x: &[i32], work: &mut [i32]) {
        let place = self.place(work).iter_mut();
        place.zip(x).for_each(|(kept, &x)| *kept = x);
    }
}

/// What arrives, with what was kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Join {
    pub(crate) width: Width,
    pub(crate) keep: Keep,
    pub(crate) how: Combine,
}

impl Join {
    /// Numbers that it gives.
    pub(crate) const fn outputs(&self) -> usize {
        self.how.outputs(self.width.get(), self.keep.width())
    }

    /// In f32.
    pub(crate) fn apply(&self, x: &[i32], work: &mut [i32], y: &mut [i32]) {
        self.each::<f32>(x, work, y, combined);
    }

    /// In integers.
    pub(crate) fn apply_q(&self, x: &[i32], work: &mut [i32], y: &mut [i32]) {
        self.each::<i16>(x, work, y, combined_q);
    }

    #[inline(always)]
    fn each<T: Pod>(
        &self,
        x: &[i32],
        work: &mut [i32],
        y: &mut [i32],
        combine: impl Fn(T, T, bool) -> T,
    ) {
        let kept: &[T] = bytemuck::cast_slice(self.keep.place(work));
        let (x, y): (&[T], &mut [T]) = (bytemuck::cast_slice(x), bytemuck::cast_slice_mut(y));
        let (x, kept) = (first(x, self.width.get()), first(kept, self.keep.width()));
        let [front, back] = match self.how {
            Combine::Prepend => [kept, x],
            _ => [x, kept],
        };
        if matches!(self.how, Combine::Add | Combine::Multiply) {
            let multiply = matches!(self.how, Combine::Multiply);
            for (y, (&a, &b)) in y.iter_mut().zip(front.iter().zip(back)) {
                *y = combine(a, b, multiply);
            }
            return;
        }
        let (y, behind) = y.split_at_mut(front.len().min(y.len()));
        copy(y, front);
        copy(behind, back);
    }
}

fn first<T>(numbers: &[T], len: usize) -> &[T] {
    numbers.split_at(len.min(numbers.len())).0
}

fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
}

// As in [`super::norm`].
#[cfg_attr(target_arch = "wasm32", inline(never))]
fn combined(a: f32, b: f32, multiply: bool) -> f32 {
    if multiply { a * b } else { a + b }
}

#[cfg_attr(target_arch = "wasm32", inline(never))]
fn combined_q(a: i16, b: i16, multiply: bool) -> i16 {
    let (a, b) = (i32::from(a), i32::from(b));
    saturate16(if multiply {
        shift_round(a * b, 12)
    } else {
        a + b
    })
}
