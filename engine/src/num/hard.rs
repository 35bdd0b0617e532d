//! A gate of three straight lines.

/// `min(1, max(0, z/4 + 1/2))`.
#[inline(always)]
pub fn hard_gate(z: f32) -> f32 {
    (z * 0.25 + 0.5).clamp(0.0, 1.0)
}

/// The same of a pre-activation (2^-12) as a gate (2^-31), where 1 is the largest number.
#[inline(always)]
pub fn hard_gate_q(z: i16) -> i32 {
    let gate = (z as i32 + (1 << 13)).clamp(0, 1 << 14);
    (gate << 17).wrapping_sub(gate >> 14)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_the_floats() {
        for z in i16::MIN..=i16::MAX {
            let exact = f64::from(hard_gate(f32::from(z) / 4096.0)) * 2f64.powi(31);
            assert_eq!(
                f64::from(hard_gate_q(z)),
                exact.min(f64::from(i32::MAX)),
                "{z}"
            );
        }
    }
}
