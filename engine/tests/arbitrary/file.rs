//! A file in memory that can be changed.

use super::Choices;
use kinglet::Model;
use kinglet::format::{LoadError, PREAMBLE_LEN, Preamble, file_crc};

/// Sixteen bytes where they belong; a `u128` starts at multiples of eight on some targets.
#[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(16))]
struct Block([u8; 16]);

/// Bytes in memory, aligned as models and states must be.
#[derive(Clone)]
pub struct File {
    blocks: Vec<Block>,
    len: usize,
}

impl File {
    pub fn new(bytes: &[u8]) -> Self {
        let mut file = File::zeroed(bytes.len());
        file.bytes().copy_from_slice(bytes);
        file
    }

    pub fn zeroed(len: usize) -> Self {
        File {
            blocks: vec![Block([0; 16]); len.div_ceil(16)],
            len,
        }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }

    pub fn view(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }

    /// Makes the checksum right for what the file now holds.
    pub fn sign(&mut self) {
        let crc = file_crc(self.bytes());
        self.bytes()[28..32].copy_from_slice(&crc.to_le_bytes());
    }

    pub fn load(&self) -> Result<Model<'_>, LoadError> {
        Model::from_bytes(self.view())
    }
}

/// One to four edits of single bytes or of words of two or four, each in one part of the file, which has a right preamble.
pub fn mutate(file: &mut File, any: &mut Choices<'_>) {
    let Ok(preamble) = Preamble::read(file.view()) else {
        return;
    };
    let header_end = PREAMBLE_LEN + preamble.header_len;
    let len = file.len;
    for _ in 0..any.below(4) + 1 {
        let range = match any.below(8) {
            0 => 8..32,
            1..=4 => PREAMBLE_LEN..header_end,
            _ => header_end..len,
        };
        if range.is_empty() {
            continue;
        }
        let at = range.start + any.below(range.len());
        let width = any.one_of(&[1, 1, 2, 4]).min(range.end - at);
        let byte = edge(any);
        for place in &mut file.bytes()[at..at + width] {
            *place = if width > 1 {
                edge(any)
            } else {
                match any.below(3) {
                    0 => byte,
                    1 => place.wrapping_add(1),
                    _ => place.wrapping_sub(1),
                }
            };
        }
    }
}

fn edge(any: &mut Choices<'_>) -> u8 {
    let byte = any.below(256) as u8;
    any.one_of(&[0, 1, 0x7f, 0x80, 0xff, byte])
}
