//! Any model that a file can hold, and all that can be done with it: for tests that look for what nobody thought of.
//! The fuzz targets share it.
#![allow(dead_code, unused_imports, reason = "each test takes a part of it")]

mod drive;
mod file;
mod model;

pub use drive::drive;
pub use file::{File, mutate};
pub use model::Spec;

/// Where choices come from: bytes, as long as there are some, then a generator that the bytes have seeded.
pub struct Choices<'a> {
    bytes: &'a [u8],
    state: u64,
}

impl<'a> Choices<'a> {
    pub fn seeded(seed: u64) -> Self {
        Choices {
            bytes: &[],
            state: seed,
        }
    }

    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        let seed = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Choices { bytes, state: seed }
    }

    /// From 0 to `end`, which is left out.
    pub fn below(&mut self, end: usize) -> usize {
        if end <= 256
            && let Some((&first, rest)) = self.bytes.split_first()
        {
            self.bytes = rest;
            return usize::from(first) % end;
        }
        ((u64::from(self.word()) * end as u64) >> 32) as usize
    }

    pub fn word(&mut self) -> u32 {
        self.state = self
            .state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.state >> 32) as u32
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub fn bool(&mut self) -> bool {
        self.below(2) == 1
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
