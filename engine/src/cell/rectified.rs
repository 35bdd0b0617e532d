//! Whether a cell has `max(0, ·)` for its tanh.

use crate::format::LoadError;

/// It has, or not. Where firmware leaves that out, it is `THERE` that says so, and nothing is asked in a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rectified<const THERE: bool>(bool);

impl<const THERE: bool> Rectified<THERE> {
    /// With tanh.
    pub(super) const NO: Self = Rectified(false);

    /// With `max(0, ·)`, by the feature of this name.
    pub(super) const fn by(name: &'static str) -> Result<Self, LoadError> {
        if THERE {
            Ok(Rectified(true))
        } else {
            Err(LoadError::Feature { name })
        }
    }

    /// With `max(0, ·)`.
    #[inline(always)]
    pub(super) const fn get(self) -> bool {
        THERE && self.0
    }
}
