//! The payload: tensors in the order that the header implies.
//!
//! 1. a [`Feature`] per input, if the input is features
//! 2. a [`Target`] per output, if the output is values
//! 3. the tensors of each layer, in the order in which its file in [`crate::cell`] takes them
//! 4. the inputs, then the outputs of the test vectors

use super::{ALIGN, LoadError};
use bytemuck::{AnyBitPattern, Pod, Zeroable};

/// The next multiple of `unit`.
pub const fn pad(n: usize, unit: usize) -> usize {
    n.next_multiple_of(unit)
}

/// Normalisation of one measured column: `(transform(x) − offset) · scale`.
///
/// A feature may [hold](Self::holds): a raw value that is NaN is then replaced by the stream's last one before
/// anything else, for transforms and for predictions relative to it.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Feature {
    /// A [`FeatureTransform`] as a number, plus [`Feature::HOLD`].
    pub transform: u32,
    /// Whose previous value the transform refers to.
    pub column: u32,
    /// Subtracted.
    pub offset: f32,
    /// Multiplied.
    pub scale: f32,
}

impl Feature {
    /// Added to the transform of a feature that holds.
    pub const HOLD: u32 = 1 << 8;

    /// A raw value that is NaN is the stream's last one.
    pub const fn holds(&self) -> bool {
        self.transform & Self::HOLD != 0
    }

    /// The [`FeatureTransform`] as a number.
    pub const fn tag(&self) -> u32 {
        self.transform & !Self::HOLD
    }
}

/// What happens to a raw value first. "Previous" is the sample of the step before; after a reset it
/// is the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum FeatureTransform {
    /// `x`
    None = 0,
    /// `ln x`
    Log = 1,
    /// `x − previous[column]`
    Difference = 2,
    /// `ln(x / previous[column])`
    LogRatio = 3,
    /// 1 if the raw value of `column` is NaN, else `x`: a mask that the engine sets where the caller did not.
    Missing = 4,
}

impl FeatureTransform {
    pub(crate) const fn from_tag(tag: u32) -> Option<Self> {
        match tag {
            0 => Some(Self::None),
            1 => Some(Self::Log),
            2 => Some(Self::Difference),
            3 => Some(Self::LogRatio),
            4 => Some(Self::Missing),
            _ => None,
        }
    }

    /// Needs the sample of the step before.
    pub(crate) const fn looks_back(self) -> bool {
        matches!(self, Self::Difference | Self::LogRatio)
    }
}

/// Meaning of one output: `restore(y · scale + offset)`.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Target {
    /// A [`TargetRestore`] as a number.
    pub restore: u32,
    /// The input that the restoring refers to.
    pub column: u32,
    /// The input that this output is a later value of; `u32::MAX` for none.
    pub feeds: u32,
    /// Multiplied.
    pub scale: f32,
    /// Added.
    pub offset: f32,
}

/// Inverse of a target's transform, relative to the current sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum TargetRestore {
    /// `v`
    None = 0,
    /// `exp v`
    Exp = 1,
    /// `current[column] + v`
    AddTo = 2,
    /// `current[column] · exp v`
    TimesExp = 3,
}

impl TargetRestore {
    pub(crate) const fn from_tag(tag: u32) -> Option<Self> {
        match tag {
            0 => Some(Self::None),
            1 => Some(Self::Exp),
            2 => Some(Self::AddTo),
            3 => Some(Self::TimesExp),
            _ => None,
        }
    }
}

/// A walk over the payload.
#[derive(Debug, Clone)]
pub struct Tensors<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Tensors<'a> {
    /// Starts at the first tensor.
    pub fn new(payload: &'a [u8]) -> Self {
        Tensors { payload, at: 0 }
    }

    /// The next tensor, of `len` elements. No copy.
    pub fn take<T: AnyBitPattern>(&mut self, len: usize) -> Result<&'a [T], LoadError> {
        let too_short = |need| LoadError::Payload {
            need,
            have: self.payload.len(),
        };
        let bytes = len
            .checked_mul(size_of::<T>())
            .ok_or(too_short(usize::MAX))?;
        let end = self.at.checked_add(bytes).ok_or(too_short(usize::MAX))?;
        let tensor = self.payload.get(self.at..end).ok_or(too_short(end))?;
        // The last tensor may end without padding.
        self.at = pad(end, ALIGN).min(self.payload.len().max(end));
        bytemuck::try_cast_slice(tensor).map_err(|_| LoadError::Misaligned {
            need: ALIGN,
            remainder: tensor.as_ptr() as usize % ALIGN,
        })
    }

    /// An error unless all of the payload was taken.
    pub fn finish(self) -> Result<(), LoadError> {
        if self.at == self.payload.len() {
            Ok(())
        } else {
            Err(LoadError::Payload {
                need: self.at,
                have: self.payload.len(),
            })
        }
    }
}
