//! Where a convolution looks, as the file says it, and which of its answers go on; and what else firmware has with the feature `conv` only.

use super::Pool;
#[cfg(feature = "serde")]
use serde::{
    Serialize,
    ser::{SerializeStruct, Serializer},
};

/// What a convolution sees of a sample, which is `rows` rows of `channels` numbers, one row after the other. In front of them
/// are `before` rows more and behind them `after`; at position `p` the layer sees the rows `p · stride + j · dilation`,
/// for `j` below `kernel`, counted from the first of those in front.
///
/// A streaming convolution over samples has one row, `before` = `(kernel − 1) · dilation` and [`past`](Self::past): each
/// sample gives one answer, from itself and the samples before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Rows of a sample.
    pub rows: u16,
    /// Numbers in a row.
    pub channels: u16,
    /// Rows that are seen at a position.
    pub kernel: u16,
    /// Rows from one position to the next.
    pub stride: u16,
    /// Rows from one that is seen to the next one seen.
    pub dilation: u16,
    /// Rows in front of the first.
    pub before: u16,
    /// Rows behind the last.
    pub after: u16,
    /// The rows in front are the last ones of the samples before, zero at the start of a stream: they lie in the state.
    pub past: bool,
    /// The rows behind, and those in front unless they are of the past, are the sample's own, mirrored at its last and first row;
    /// otherwise they are zero.
    pub mirror: bool,
    /// What becomes of the answers of a streaming convolution, which has one row; where there is none each goes on to the next layer.
    pub pool: Option<Pool>,
}

/// A pool came after the first files: what is behind `past` says whether there is one, and is then followed by it.
#[cfg(feature = "serde")]
impl Serialize for ConvShape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields =
            serializer.serialize_struct("ConvShape", 9 + self.pool.is_some() as usize)?;
        fields.serialize_field("rows", &self.rows)?;
        fields.serialize_field("channels", &self.channels)?;
        fields.serialize_field("kernel", &self.kernel)?;
        fields.serialize_field("stride", &self.stride)?;
        fields.serialize_field("dilation", &self.dilation)?;
        fields.serialize_field("before", &self.before)?;
        fields.serialize_field("after", &self.after)?;
        fields.serialize_field("past", &self.past)?;
        let flags = self.mirror as u8 | (self.pool.is_some() as u8) << 1;
        fields.serialize_field("flags", &flags)?;
        if let Some(pool) = &self.pool {
            fields.serialize_field("pool", pool)?;
        }
        fields.end()
    }
}

impl ConvShape {
    /// One row a sample, which is seen together with those before.
    pub const fn causal(channels: u16, kernel: u16, dilation: u16) -> Self {
        ConvShape {
            rows: 1,
            channels,
            kernel,
            stride: 1,
            dilation,
            before: kernel.saturating_sub(1).saturating_mul(dilation),
            after: 0,
            past: true,
            mirror: false,
            pool: None,
        }
    }

    /// What becomes of its answers.
    pub const fn pool(&self) -> Option<Pool> {
        self.pool
    }

    /// Numbers in a sample.
    pub const fn inputs(&self) -> usize {
        self.rows as usize * self.channels as usize
    }

    /// Numbers that are seen at a position.
    pub const fn taps(&self) -> usize {
        self.kernel as usize * self.channels as usize
    }

    /// Numbers of the past.
    pub const fn remembered(&self) -> usize {
        if self.past {
            self.before as usize * self.channels as usize
        } else {
            0
        }
    }

    /// Samples before the first answer of the layers from here on, and from one to the next, where those behind it have such numbers.
    pub const fn answers(&self, behind: [usize; 2]) -> [usize; 2] {
        match self.pool {
            Some(pool) => pool.answers(behind),
            None => behind,
        }
    }

    /// What its past is made of: channels, rows of a sample, rows that are kept.
    pub(crate) const fn layout_of_past(&self) -> [usize; 3] {
        [
            self.channels as usize,
            self.rows as usize,
            self.before as usize,
        ]
    }

    /// Positions; 0 of a shape that has none.
    pub const fn positions(&self) -> usize {
        let all = self.before as usize + self.rows as usize + self.after as usize;
        let span = (self.kernel as usize).saturating_sub(1) * self.dilation as usize + 1;
        if self.stride == 0 || all < span {
            return 0;
        }
        (all - span) / self.stride as usize + 1
    }

    /// Where the numbers of the `tap`-th row that is seen at a position lie.
    #[inline(always)]
    pub fn source(&self, position: usize, tap: usize) -> Source {
        let [rows, before] = [self.rows as usize, self.before as usize];
        let at = position * self.stride as usize + tap * self.dilation as usize;
        let Some(row) = at.checked_sub(before) else {
            return match (self.past, self.mirror) {
                (true, _) => Source::Past(at),
                (false, true) => Source::Sample(before - at),
                (false, false) => Source::Zero,
            };
        };
        match row.checked_sub(rows) {
            None => Source::Sample(row),
            // There are as many rows before the last.
            Some(behind) if self.mirror => Source::Sample(rows.saturating_sub(2 + behind)),
            Some(_) => Source::Zero,
        }
    }
}

impl ConvShape {
    /// The rows that are seen at a position, one after the other: of the sample `x`, and of the `past`, which has
    /// [`remembered`](Self::remembered) numbers, the oldest row first.
    ///
    /// # Panics
    /// If there are fewer numbers, or no channels.
    #[inline(always)]
    pub fn gather<T: Copy + Default>(&self, position: usize, x: &[T], past: &[T], taps: &mut [T]) {
        let channels = self.channels as usize;
        let (mut tap, kernel) = (0, self.kernel as usize);
        while tap < kernel {
            let run = self.run(position, tap).min(kernel - tap);
            let place = &mut taps[tap * channels..][..run * channels];
            match self.source(position, tap) {
                Source::Past(row) => place.copy_from_slice(&past[row * channels..][..place.len()]),
                Source::Sample(row) => place.copy_from_slice(&x[row * channels..][..place.len()]),
                Source::Zero => place.fill(T::default()),
            }
            tap += run;
        }
    }

    /// How many rows from the `tap`-th on, or more than are seen, lie one after the other.
    #[inline(always)]
    fn run(&self, position: usize, tap: usize) -> usize {
        let [rows, before] = [self.rows as usize, self.before as usize];
        let at = position * self.stride as usize + tap;
        match (self.dilation, at.checked_sub(before)) {
            (1, None) if self.past || !self.mirror => before - at,
            (1, Some(row)) if row < rows => rows - row,
            (1, Some(_)) if !self.mirror => usize::MAX,
            _ => 1,
        }
    }

    /// The sample becomes the newest of the past.
    #[inline(always)]
    pub fn remember<T: Copy>(&self, x: &[T], past: &mut [T]) {
        let kept = past.len().saturating_sub(x.len());
        past.copy_within(past.len() - kept.., 0);
        let newest = &mut past[kept..];
        newest.copy_from_slice(&x[x.len() - newest.len()..]);
    }
}

/// Numbers of a sample that a normalisation goes over, or that are kept or joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub struct Width(pub u16);

impl Width {
    /// How many.
    pub const fn get(&self) -> usize {
        self.0 as usize
    }
}

/// A row that a convolution sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Of the past, counted from the oldest.
    Past(usize),
    /// Of the sample.
    Sample(usize),
    /// Zeros.
    Zero,
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn seen(shape: ConvShape, position: usize) -> Vec<Source> {
        let taps = 0..shape.kernel as usize;
        taps.map(|tap| shape.source(position, tap)).collect()
    }

    #[test]
    fn a_causal_shape_sees_the_past_and_one_row() {
        use Source::{Past, Sample};
        let shape = ConvShape::causal(5, 3, 2);
        assert_eq!((shape.positions(), shape.remembered()), (1, 20));
        assert_eq!(seen(shape, 0), [Past(0), Past(2), Sample(0)]);
    }

    #[test]
    fn edges_are_zero_or_mirrored_without_the_edge_itself() {
        use Source::{Sample, Zero};
        let mut shape = ConvShape {
            rows: 4,
            kernel: 3,
            before: 1,
            after: 2,
            stride: 2,
            past: false,
            ..ConvShape::causal(1, 3, 1)
        };
        assert_eq!(shape.positions(), 3);
        assert_eq!(seen(shape, 0), [Zero, Sample(0), Sample(1)]);
        assert_eq!(seen(shape, 2), [Sample(3), Zero, Zero]);
        shape.mirror = true;
        assert_eq!(seen(shape, 0), [Sample(1), Sample(0), Sample(1)]);
        assert_eq!(seen(shape, 2), [Sample(3), Sample(2), Sample(1)]);
    }
}
