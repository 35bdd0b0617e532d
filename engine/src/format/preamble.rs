//! The first 64 bytes.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `KINGLET` and 0x1a |
//! | 8 | 2 | file version |
//! | 10 | 2 | weight layout |
//! | 12 | 4 | header length |
//! | 16 | 4 | payload offset, a multiple of 16 |
//! | 20 | 4 | payload length |
//! | 24 | 4 | state length |
//! | 28 | 4 | CRC-32 (IEEE) of everything before and after this field |
//! | 32 | 32 | zeros |

use super::{ALIGN, LoadError};

const MAGIC: [u8; 8] = *b"KINGLET\x1a";
/// The file version written and read here.
pub const VERSION: u16 = 1;
/// Length of the preamble.
pub const PREAMBLE_LEN: usize = 64;
const CRC_AT: usize = 28;

/// How weights lie in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Panels of eight rows, blocks of four columns: runs everywhere.
    Portable,
    /// Rows of recurrent layers packed for Cortex-M with DSP instructions, in integer formats;
    /// everything else as in the portable layout: [`packed_rows`](crate::format::packed_rows) tells which. Runs everywhere, on
    /// other CPUs slower than the portable layout.
    CortexM4,
    /// Int8 rows of recurrent layers one after the other inside their panels, for Helium, which multiplies along
    /// rows; everything else as in the portable layout. Runs everywhere, on other CPUs slower than the portable layout.
    CortexM55,
    /// The weights of recurrent layers in eight-bit formats stored as `w + 128`, for Cortex-M0 and M0+, which load
    /// unsigned bytes more cheaply; everything else as in the portable layout. Runs everywhere, on CPUs with
    /// SIMD slower than the portable layout.
    CortexM0,
}

impl Layout {
    /// As the command line writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Layout::Portable => "portable",
            Layout::CortexM4 => "cortex-m4",
            Layout::CortexM55 => "cortex-m55",
            Layout::CortexM0 => "cortex-m0",
        }
    }

    const fn tag(self) -> u16 {
        match self {
            Layout::Portable => 0,
            Layout::CortexM4 => 1,
            Layout::CortexM55 => 2,
            Layout::CortexM0 => 3,
        }
    }
}

/// The fixed part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// How weights lie in the payload.
    pub layout: Layout,
    /// Bytes of the header, which follows the preamble.
    pub header_len: usize,
    /// Where the tensors start.
    pub payload_offset: usize,
    /// Bytes of all tensors.
    pub payload_len: usize,
    /// Bytes of a [`State`](crate::State) for this model.
    pub state_len: usize,
    /// Checksum of the rest of the file.
    pub crc: u32,
}

impl Preamble {
    /// Of no file.
    pub(crate) const BLANK: Preamble = Preamble {
        layout: Layout::Portable,
        header_len: 0,
        payload_offset: 0,
        payload_len: 0,
        state_len: 0,
        crc: 0,
    };

    /// Reads and checks the fixed part against the length of the file. The checksum is not computed.
    #[inline]
    pub const fn read(bytes: &[u8]) -> Result<Preamble, LoadError> {
        if bytes.len() < PREAMBLE_LEN {
            return Err(LoadError::Truncated {
                need: PREAMBLE_LEN,
                have: bytes.len(),
            });
        }
        let mut i = 0;
        while i < MAGIC.len() {
            if bytes[i] != MAGIC[i] {
                return Err(LoadError::NotAModel);
            }
            i += 1;
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(LoadError::Version {
                found: version,
                supported: VERSION,
            });
        }
        let layout = match u16::from_le_bytes([bytes[10], bytes[11]]) {
            0 => Layout::Portable,
            1 => Layout::CortexM4,
            2 => Layout::CortexM55,
            3 => Layout::CortexM0,
            found => return Err(LoadError::Layout { found }),
        };
        let preamble = Preamble {
            layout,
            header_len: u32_at(bytes, 12),
            payload_offset: u32_at(bytes, 16),
            payload_len: u32_at(bytes, 20),
            state_len: u32_at(bytes, 24),
            crc: u32_at(bytes, CRC_AT) as u32,
        };
        let need = match preamble.payload_offset.checked_add(preamble.payload_len) {
            Some(need) => need,
            None => {
                return Err(LoadError::Truncated {
                    need: usize::MAX,
                    have: bytes.len(),
                });
            }
        };
        if bytes.len() < need {
            return Err(LoadError::Truncated {
                need,
                have: bytes.len(),
            });
        }
        if bytes.len() > need {
            return Err(LoadError::TrailingBytes {
                need,
                have: bytes.len(),
            });
        }
        let header_end = PREAMBLE_LEN.saturating_add(preamble.header_len);
        if header_end > preamble.payload_offset || !preamble.payload_offset.is_multiple_of(ALIGN) {
            return Err(LoadError::Header);
        }
        Ok(preamble)
    }

    /// The fixed part, the header and the payload of a whole file of the right length. The checksum is not computed.
    pub(crate) const fn split(bytes: &[u8]) -> Result<(Preamble, &[u8], &[u8]), LoadError> {
        let preamble = attempt!(Preamble::read(bytes));
        if let Some((head, payload)) = bytes.split_at_checked(preamble.payload_offset)
            && let Some((_, rest)) = head.split_at_checked(PREAMBLE_LEN)
            && let Some((header, _)) = rest.split_at_checked(preamble.header_len)
        {
            return Ok((preamble, header, payload));
        }
        Err(LoadError::Header)
    }

    /// An error unless the checksum is that of the file.
    pub(crate) const fn check(&self, file: &[u8]) -> Result<(), LoadError> {
        let computed = file_crc(file);
        if computed != self.crc {
            return Err(LoadError::Checksum {
                stored: self.crc,
                computed,
            });
        }
        Ok(())
    }

    /// The 64 bytes of this preamble.
    pub fn write(&self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.layout.tag().to_le_bytes());
        let numbers = [
            self.header_len,
            self.payload_offset,
            self.payload_len,
            self.state_len,
        ];
        for (place, number) in bytes[12..28].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&(number as u32).to_le_bytes());
        }
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }
}

const fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// Bytes of a [`State`](crate::State) for a model: `State::<{ state_len(MODEL) }>`.
///
/// # Panics
/// If the bytes are no model of the right length; in a constant that is a compile error. The whole
/// file is checked by [`Model::from_bytes`](crate::Model::from_bytes).
pub const fn state_len(model: &[u8]) -> usize {
    match Preamble::read(model) {
        Ok(preamble) => preamble.state_len,
        Err(LoadError::NotAModel) => panic!("not a kinglet model"),
        Err(LoadError::Version { .. }) => panic!("a kinglet model of another file version"),
        Err(_) => panic!("a damaged kinglet model"),
    }
}

/// Checksum that belongs into the preamble of these bytes.
///
/// # Panics
/// If there are fewer than 64 bytes.
pub const fn file_crc(bytes: &[u8]) -> u32 {
    let (before, rest) = bytes.split_at(CRC_AT);
    let (_, after) = rest.split_at(4);
    !crc32_update(crc32_update(!0, before), after)
}

/// CRC-32 (IEEE 802.3, as in zip and PNG).
pub const fn crc32(bytes: &[u8]) -> u32 {
    !crc32_update(!0, bytes)
}

/// Continues a CRC-32 whose running value starts at `!0` and is inverted at the end. A table of 16
/// words: half a byte at a time is fast enough for a check at start-up, and 64 bytes of flash.
#[inline(never)]
pub const fn crc32_update(mut crc: u32, mut bytes: &[u8]) -> u32 {
    const NIBBLES: [u32; 16] = {
        let mut table = [0; 16];
        let mut i = 0;
        while i < 16 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 4 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ 0xedb8_8320
                } else {
                    crc >> 1
                };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    while let Some((&byte, rest)) = bytes.split_first() {
        crc = NIBBLES[((crc ^ byte as u32) & 15) as usize] ^ crc >> 4;
        crc = NIBBLES[((crc ^ (byte >> 4) as u32) & 15) as usize] ^ crc >> 4;
        bytes = rest;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_matches_the_check_value_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn preamble_survives_a_round_trip() {
        let preamble = Preamble {
            layout: Layout::Portable,
            header_len: 10,
            payload_offset: 80,
            payload_len: 16,
            state_len: 32,
            crc: 0xdead_beef,
        };
        let mut file = [0; 96];
        file[..64].copy_from_slice(&preamble.write());
        assert_eq!(Preamble::read(&file), Ok(preamble));
        assert_eq!(
            Preamble::read(&file[..95]),
            Err(LoadError::Truncated { need: 96, have: 95 })
        );
    }
}
