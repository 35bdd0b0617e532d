//! Which answers of a streaming convolution go on, and how several become one.

#[cfg(feature = "serde")]
use serde::Serialize;

/// Several answers of a streaming convolution, of neighbouring samples, become one, or are left out. The layers behind it step
/// only when there is one.
///
/// A stride of `s` over time is [`Pool::stride`]; a convolution that sees no zeros in front of a stream (Keras' `valid`) waits with its first
/// answer until its kernel is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub struct Pool {
    /// What becomes of them.
    pub kind: PoolKind,
    /// Answers that become one, the newest among them: 1 if they are only left out.
    pub kernel: u16,
    /// Samples before the one at which there is the first, from a reset on; at least `kernel − 1`.
    pub first: u16,
    /// Samples from one to the next, at least 1.
    pub every: u16,
}

/// How several numbers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub enum PoolKind {
    /// The largest.
    Max,
    /// Their mean; of integers rounded to the nearest, upwards if there are two.
    Mean,
}

impl PoolKind {
    /// All of them, in the order of their numbers in a file.
    pub const ALL: &'static [PoolKind] = &[PoolKind::Max, PoolKind::Mean];

    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            PoolKind::Max => "max",
            PoolKind::Mean => "mean",
        }
    }
}

impl Pool {
    /// Every answer from the one on that comes after `first` samples and more.
    pub const fn stride(first: u16, every: u16) -> Self {
        Pool {
            kind: PoolKind::Max,
            kernel: 1,
            first,
            every,
        }
    }

    /// Numbers that are remembered, of answers of so many.
    pub const fn remembered(&self, width: usize) -> usize {
        if self.kernel > 1 {
            self.kernel as usize * width
        } else {
            0
        }
    }

    /// Samples before the first answer of what is behind, and from one to the next, where that has such numbers.
    pub const fn answers(&self, [first, every]: [usize; 2]) -> [usize; 2] {
        let (before, each) = (self.first as usize, self.every as usize);
        [
            before.saturating_add(each.saturating_mul(first)),
            each.saturating_mul(every),
        ]
    }

    /// Whether there is an answer at the next sample. `count` is 0 at the start of a stream.
    #[inline(always)]
    pub fn due(&self, count: &mut i32) -> bool {
        let (first, every) = (self.first as i32, self.every as i32);
        let due = *count == first || *count >= first + every;
        *count = if due {
            first + 1
        } else {
            count.wrapping_add(1)
        };
        due
    }
}
