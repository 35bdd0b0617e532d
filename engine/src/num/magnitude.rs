//! The length of a pair of numbers, in integers.

/// `√(a² + b²)`, rounded to the nearest and at most 32767: a bit of the root at a time, so that its instruction count does not
/// depend on the numbers.
pub(crate) fn magnitude_q(a: i16, b: i16) -> i16 {
    let square = |x: i16| (x as i32 * x as i32) as u32;
    let mut rest = square(a) + square(b);
    let (mut root, mut bit) = (0u32, 1u32 << 30);
    while bit != 0 {
        let less = rest.wrapping_sub(root + bit);
        // All ones where the bit is in the root; nothing here reaches 2^31 but the first sum, whose root has the first bit.
        let fits = ((rest >= root + bit) as u32).wrapping_neg();
        rest = (less & fits) | (rest & !fits);
        root = (root >> 1) + (bit & fits);
        bit >>= 2;
    }
    // What is left is above the root where half of the next number is exceeded.
    root += (rest > root) as u32;
    root.min(32767) as i16
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
        }
    }
}
