//! The least that a step can take: its int8 weights read once through the dot-product instruction that the table's
//! products use, and nothing else. No inputs, no bias, no activation, no state; the sums are kept.

use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::net::Cell;

/// Reads weights.
pub type Stream = fn(&AlignedBytes);

/// As many bytes as a layer has int8 weights with their padding, rounded up to whole cache lines.
pub fn weights(cell: Cell, (inputs, hidden): (usize, usize)) -> AlignedBytes {
    let units = hidden.next_multiple_of(8);
    let of_input = cell.products() * inputs.next_multiple_of(4);
    let of_state = cell.state_products() * hidden.next_multiple_of(4);
    AlignedBytes::zeroed((units * (of_input + of_state)).next_multiple_of(64))
}

/// What reads weights as the table of this name does, which this CPU runs; none for tables without a
/// dot-product instruction.
pub fn stream(table: &str) -> Option<Stream> {
    #[cfg(target_arch = "x86_64")]
    match table {
        // SAFETY: the CPU runs the table, so it has the instructions.
        "avx2" => return Some(|w| unsafe { x86::avx2(w) }),
        // SAFETY: as above.
        "avxvnni" => return Some(|w| unsafe { x86::avxvnni(w) }),
        // SAFETY: as above.
        "avx512vnni" | "avx512vbmi" | "amx-int8" => return Some(|w| unsafe { x86::avx512vnni(w) }),
        _ => {}
    }
    let _ = table;
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;
    use std::hint::black_box;

    /// A function that reads `$bytes` at a time, in eight chains of sums: a product does not wait for the one before.
    macro_rules! stream {
        ($name:ident, $features:literal, $bytes:literal, $zero:ident, $load:ident, $dot:ident) => {
            #[target_feature(enable = $features)]
            pub fn $name(weights: &[u8]) {
                let mut sums = [$zero(); 8];
                let (rounds, rest) = weights.as_chunks::<$bytes>().0.as_chunks::<8>();
                for weights in rounds {
                    for (sum, w) in sums.iter_mut().zip(weights) {
                        // SAFETY: as many bytes as are loaded.
                        *sum = $dot(*sum, unsafe { $load(w.as_ptr().cast()) });
                    }
                }
                for (sum, w) in sums.iter_mut().zip(rest) {
                    // SAFETY: as above.
                    *sum = $dot(*sum, unsafe { $load(w.as_ptr().cast()) });
                }
                black_box(sums);
            }
        };
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn pairs(sum: __m256i, w: __m128i) -> __m256i {
        let product = _mm256_madd_epi16(_mm256_cvtepi8_epi16(w), _mm256_set1_epi16(3));
        _mm256_add_epi32(sum, product)
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    fn fours_256(sum: __m256i, w: __m256i) -> __m256i {
        _mm256_dpbusd_avx_epi32(sum, _mm256_set1_epi8(3), w)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn fours_512(sum: __m512i, w: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(3), w)
    }

    stream!(
        avx2,
        "avx2",
        16,
        _mm256_setzero_si256,
        _mm_loadu_si128,
        pairs
    );
    stream!(
        avxvnni,
        "avx2,avxvnni",
        32,
        _mm256_setzero_si256,
        _mm256_loadu_si256,
        fours_256
    );
    stream!(
        avx512vnni,
        "avx512f,avx512vnni",
        64,
        _mm512_setzero_si512,
        _mm512_loadu_si512,
        fours_512
    );
}
