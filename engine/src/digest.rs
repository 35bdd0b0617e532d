//! A CRC-32 over results: two machines that agree on eight hex digits computed the same bytes.

use crate::format::crc32_update;
use core::fmt;

/// Running digest of outputs and states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    crc: u32,
}

impl Digest {
    /// Of nothing yet.
    pub const fn new() -> Self {
        Digest { crc: !0 }
    }

    /// Takes in integer outputs, little endian.
    pub fn add_i16(&mut self, values: &[i16]) {
        for value in values {
            self.add_bytes(&value.to_le_bytes());
        }
    }

    /// Takes in float outputs by their bits, little endian.
    pub fn add_f32(&mut self, values: &[f32]) {
        for value in values {
            self.add_bytes(&value.to_le_bytes());
        }
    }

    /// Takes in bytes.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        self.crc = crc32_update(self.crc, bytes);
    }

    /// The eight hex digits as a number.
    pub const fn value(self) -> u32 {
        !self.crc
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.value())
    }
}
