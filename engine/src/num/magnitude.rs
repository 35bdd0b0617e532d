//! The length of a pair of numbers, in integers.

/// `√(a² + b²)`, rounded to the nearest and at most 32767, in as many instructions for any numbers.
pub(crate) fn magnitude_q(a: i16, b: i16) -> i16 {
    let square = |x: i16| (x as i32 * x as i32) as u32;
    let square = square(a) + square(b);
    let root = if cfg!(armv6m) {
        root_by_bits(square)
    } else {
        root_by_division(square)
    };
    // What is left is above the root where half of the next number is exceeded.
    let nearest = root + (square - root * root > root) as u32;
    nearest.min(32767) as i16
}

/// Whole part of the root of what is at most 2^31: a bit at a time.
fn root_by_bits(square: u32) -> u32 {
    let (mut rest, mut root, mut bit) = (square, 0u32, 1u32 << 30);
    while bit != 0 {
        let less = rest.wrapping_sub(root + bit);
        // All ones where the bit is in the root; nothing here reaches 2^31 but the first sum, whose root has the first bit.
        let fits = ((rest >= root + bit) as u32).wrapping_neg();
        rest = (less & fits) | (rest & !fits);
        root = (root >> 1) + (bit & fits);
        bit >>= 2;
    }
    root
}

/// The same where a CPU divides: Newton's method. The first root, `(2^k + square / 2^k) / 2` with the nearest `2^k`, is at most 7 % too
/// large, the next 0.2 % and the last one, rounded down, 1.
fn root_by_division(square: u32) -> u32 {
    let some = square | 1;
    let k = (32 - some.leading_zeros()) / 2;
    let better = |root: u32| (root + some.checked_div(root).unwrap_or(0)) / 2;
    let root = better(better((1 << k) / 2 + (some >> k) / 2 + 1));
    root - (root * root > square) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_the_nearest_numbers() {
        let mut seed = 1u32;
        let mut draw = || {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 16) as i16 >> (seed & 15)
        };
        for n in 0..100_000 {
            let (a, b) = match n {
                0 => (i16::MIN, i16::MIN),
                1 => (i16::MAX, 0),
                2 => (0, 0),
                3 => (0, i16::MIN),
                4 => (3, -4),
                _ => (draw(), draw()),
            };
            let exact = (a as f64).hypot(b as f64);
            let want = (exact + 0.5).floor().min(32767.0) as i16;
            assert_eq!(magnitude_q(a, b), want, "{a}, {b}");
            let square = (a as i32 * a as i32) as u32 + (b as i32 * b as i32) as u32;
            assert_eq!(root_by_bits(square), root_by_division(square), "{a}, {b}");
        }
    }
}
