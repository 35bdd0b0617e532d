//! Words and the same backwards.

use super::{Pair, below};
use crate::train::init::Rng;

/// Three to six letters from a to f.
pub fn draw(rng: &mut Rng) -> Pair {
    let length = 3 + below(rng, 4);
    let word: String = (0..length)
        .map(|_| char::from(b'a' + below(rng, 6) as u8))
        .collect();
    let reversed = word.chars().rev().collect();
    (word, reversed)
}
