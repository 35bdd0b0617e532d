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

    pub(crate) const fn is_log(self) -> bool {
        matches!(self, Self::Log | Self::LogRatio)
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
    pub(crate) const fn is_exp(self) -> bool {
        matches!(self, Self::Exp | Self::TimesExp)
    }

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
#[derive(Debug, Clone, Copy)]
pub struct Tensors<'a> {
    payload: &'a [u8],
    /// Where the next tensor is: at a multiple of [`ALIGN`], or behind the last one.
    at: usize,
    /// Bytes that the payload starts behind a multiple of [`ALIGN`] in memory.
    remainder: usize,
}

impl<'a> Tensors<'a> {
    /// Starts at the first tensor.
    pub fn new(payload: &'a [u8]) -> Self {
        Tensors {
            payload,
            at: 0,
            remainder: payload.as_ptr() as usize % ALIGN,
        }
    }

    /// As [`Self::new`], in a constant, where an address is not yet a number.
    ///
    /// # Safety
    /// The payload starts at a multiple of [`ALIGN`] in memory.
    pub(crate) const unsafe fn aligned(payload: &'a [u8]) -> Self {
        Tensors {
            payload,
            at: 0,
            remainder: 0,
        }
    }

    /// The next tensor, of `len` elements. No copy.
    ///
    /// # Errors
    /// If it does not lie in the payload, or the payload not at a multiple of [`ALIGN`].
    pub const fn take<T: AnyBitPattern>(&mut self, len: usize) -> Result<&'a [T], LoadError> {
        const { assert!(align_of::<T>() <= ALIGN && size_of::<T>() > 0) };
        let bytes = attempt!(self.bytes(len, size_of::<T>()));
        if bytes.is_empty() {
            return Ok(&[]);
        }
        // SAFETY: any bytes are elements, and these are `len` of them. `bytes` found them at a multiple of `ALIGN`.
        Ok(unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), len) })
    }

    /// The bytes of the next tensor, which start at a multiple of [`ALIGN`] if there are any.
    const fn bytes(&mut self, len: usize, size: usize) -> Result<&'a [u8], LoadError> {
        if self.remainder != 0 {
            return Err(LoadError::Misaligned {
                need: ALIGN,
                remainder: self.remainder,
            });
        }
        let have = self.payload.len();
        let end = match len.checked_mul(size) {
            Some(bytes) => self.at.checked_add(bytes),
            None => None,
        };
        let Some(end) = end else {
            let need = usize::MAX;
            return Err(LoadError::Payload { need, have });
        };
        if let Some((taken, _)) = self.payload.split_at_checked(end)
            && let Some((_, tensor)) = taken.split_at_checked(self.at)
        {
            self.at = match end.checked_next_multiple_of(ALIGN) {
                Some(next) if next <= have => next,
                // The last tensor may end without padding.
                _ => have,
            };
            return Ok(tensor);
        }
        Err(LoadError::Payload { need: end, have })
    }

    /// An error unless all of the payload was taken.
    ///
    /// # Errors
    /// [`LoadError::Payload`], if there is more.
    pub const fn finish(self) -> Result<(), LoadError> {
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
