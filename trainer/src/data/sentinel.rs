//! Numbers that loggers write where they have none, as -999.

/// A number of that kind at an end of a column, away from all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sentinel {
    /// The number.
    pub value: f64,
    /// Rows that hold it.
    pub count: usize,
    /// From where to where the others reach.
    pub others: (f64, f64),
}

/// Distance from the others, in parts of the range that they take, of a number that comes again and again.
const APART: f64 = 0.2;
/// So often it has to come, unless it is as far away as the others reach.
const AGAIN: usize = 3;

/// What is such a number in a column; NaN is nothing.
pub fn sentinels(values: impl Iterator<Item = f64> + Clone) -> Vec<Sentinel> {
    let there = values.filter(|x| !x.is_nan());
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        })
    };
    let (low, high) = ends(&mut there.clone());
    let of = |value: f64| {
        let (a, b) = ends(&mut there.clone().filter(|&x| x != value));
        let count = there.clone().filter(|&x| x == value).count();
        let (range, apart) = (b - a, (a - value).max(value - b));
        let odd = apart > range || apart > APART * range && count >= AGAIN;
        (range > 0.0 && odd).then_some(Sentinel {
            value,
            count,
            others: (a, b),
        })
    };
    let ends = [low, high].into_iter().filter(|&x| is_usual(x));
    ends.filter_map(of).collect()
}

/// Loggers write nines, or the ends of 16 bits.
fn is_usual(x: f64) -> bool {
    const OTHERS: [f64; 4] = [-200.0, 65_535.0, 32_767.0, -32_768.0];
    // The shortest digits of columns in 32 bits too.
    let digits = (x as f32).abs().to_string();
    let nines = digits.len() > 1 && digits.bytes().all(|b| b == b'9' || b == b'.');
    nines || OTHERS.contains(&x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_comes_again_away_from_the_others_is_one() {
        let of = |odd: &[f64]| {
            let usual = (0..100).map(|k| 500.0 + 30.0 * f64::from(k));
            sentinels(usual.chain(odd.iter().copied()))
        };
        let found = of(&[-200.0, -200.0, -200.0]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].value, found[0].count), (-200.0, 3));
        assert_eq!(found[0].others, (500.0, 3470.0));
        // Once it may be a value, unless it is very far away; and so may a round number.
        assert_eq!(of(&[-200.0]), []);
        assert_eq!(of(&[-9999.0]).len(), 1);
        assert_eq!(of(&[-300.0, -300.0, -300.0]), []);
        assert_eq!(of(&[3999.0, 3999.0, 3999.0]), []);
    }
}
