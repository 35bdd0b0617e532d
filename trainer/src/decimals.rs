//! Metrics as people read them.

/// So many places behind the point; in scientific notation where these would show hardly a digit, or far too many.
///
/// ```
/// # use kinglet_trainer::decimals::decimals;
/// assert_eq!(decimals(0.2931, 5), "0.29310");
/// assert_eq!(decimals(3.2e-32, 5), "3.2000e-32");
/// ```
pub fn decimals(value: f64, places: usize) -> String {
    let least = 10f64.powi(1 - places as i32);
    match value == 0.0 || !value.is_finite() || (least..1e9).contains(&value.abs()) {
        true => format!("{value:.places$}"),
        false => format!("{value:.4e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::decimals;

    #[test]
    fn small_and_large_numbers_keep_their_digits() {
        let shown = |value| decimals(value, 4);
        assert_eq!(shown(0.0), "0.0000");
        assert_eq!(shown(0.0015), "0.0015");
        assert_eq!(shown(0.000_98), "9.8000e-4");
        assert_eq!(shown(-123_456.789), "-123456.7890");
        assert_eq!(shown(2.5e30), "2.5000e30");
        assert_eq!(shown(f64::NAN), "NaN");
    }
}
