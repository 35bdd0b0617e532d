//! The tensors of a file, one after the other.

use super::doubts::LARGEST_F16;
use super::layout::pack_nibbles;
use bytemuck::{NoUninit, cast_slice};
use half::f16;
use kinglet::format::{ALIGN, Format, pad};
use std::ops::Range;

/// Tensors one after the other, each from a multiple of 16.
#[derive(Debug, Clone, Default)]
pub(super) struct Payload {
    pub(super) bytes: Vec<u8>,
    /// Where the largest tensor lies.
    pub(super) largest: Range<usize>,
}

impl Payload {
    pub(super) fn push<T: NoUninit>(&mut self, tensor: &[T]) {
        let start = pad(self.bytes.len(), ALIGN);
        self.bytes.resize(start, 0);
        self.bytes.extend_from_slice(cast_slice(tensor));
        if self.bytes.len() - start > self.largest.len() {
            self.largest = start..self.bytes.len();
        }
    }

    /// Integer weights, in the width of the format.
    pub(super) fn push_int(&mut self, format: Format, tensor: &[i8]) {
        if format == Format::W4A8 {
            self.push(&pack_nibbles(tensor));
        } else {
            self.push(tensor);
        }
    }

    /// Float weights, in the width of the format.
    pub(super) fn push_float(&mut self, format: Format, tensor: &[f32]) {
        if format == Format::F16 {
            self.push(
                &tensor
                    .iter()
                    .map(|&w| f16::from_f32(w.clamp(-LARGEST_F16, LARGEST_F16)).to_bits())
                    .collect::<Vec<u16>>(),
            );
        } else {
            self.push(tensor);
        }
    }
}
