//! Numbers that loggers write where they have none, as -999, and others that are as far away and come again and again, as the -127 and 85 of
//! a DS18B20.

use std::collections::HashSet;

/// A number of that kind at an end of a column, away from all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sentinel {
    /// The number.
    pub value: f64,
    /// Rows that hold it.
    pub count: usize,
    /// From where to where the others reach.
    pub others: (f64, f64),
    /// It is one that loggers write, and not only far away.
    pub is_usual: bool,
}

impl Sentinel {
    /// What it does to a column, in so large a share of its rows.
    pub fn told(&self, share: &str) -> String {
        let [value, a, b] = [self.value, self.others.0, self.others.1].map(|x| x as f32);
        format!(
            "holds {value} in {share} and is from {a} to {b} elsewhere; if {value} means that nothing was measured, set missing_values = \
             [\"{value}\"] in the format (--missing-values={value})"
        )
    }
}

/// Distance from the others, in parts of the range that they take, of a number that comes again and again.
const APART: f64 = 0.2;
/// So often it has to come, unless it is as far away as the others reach.
const AGAIN: usize = 3;
/// Different numbers among the others, beside which a number that loggers do not write as a rule is no level of a few.
const MANY: usize = 20;
/// More of them are values.
const MOST: usize = 4;

/// What are such numbers in a column; NaN is nothing. Behind one there may be another.
pub fn sentinels(values: impl Iterator<Item = f64> + Clone) -> Vec<Sentinel> {
    let mut found: Vec<Sentinel> = Vec::new();
    loop {
        let known: Vec<f64> = found.iter().map(|found| found.value).collect();
        let rest = values.clone().filter(|x| !x.is_nan() && !known.contains(x));
        let more = outermost(rest);
        if more.is_empty() || found.len() >= MOST {
            return found;
        }
        found.extend(more);
    }
}

/// At the two ends.
fn outermost(there: impl Iterator<Item = f64> + Clone) -> Vec<Sentinel> {
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        })
    };
    let (low, high) = ends(&mut there.clone());
    let of = |value: f64| {
        let others = || there.clone().filter(|&x| x != value);
        let (a, b) = ends(&mut others());
        let count = there.clone().filter(|&x| x == value).count();
        let (range, apart) = (b - a, (a - value).max(value - b));
        let are_many = || {
            let mut different = HashSet::new();
            others().any(|x| different.insert(x.to_bits()) && different.len() >= MANY)
        };
        let is_usual = is_usual(value);
        let odd = match is_usual {
            true => apart > range || apart > APART * range && count >= AGAIN,
            false => apart > range && count >= AGAIN && are_many(),
        };
        (range > 0.0 && odd).then_some(Sentinel {
            value,
            count,
            others: (a, b),
            is_usual,
        })
    };
    let ends = [low, high].into_iter().filter(|x| x.is_finite());
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
        // Unless it is very far away and comes again.
        assert_eq!(of(&[-12_700.0, -12_700.0]), []);
        let values: Vec<f64> = of(&[-12_700.0, -12_700.0, -12_700.0, 8500.0, 8500.0, 8500.0])
            .iter()
            .map(|found| (found.value, found.is_usual))
            .map(|(value, is_usual)| if is_usual { f64::NAN } else { value })
            .collect();
        assert_eq!(values, [-12_700.0, 8500.0]);
        // A level of a few.
        let switch = [0.0, 0.5, 1.0, 100.0].repeat(30);
        assert_eq!(sentinels(switch.into_iter()), []);
    }
}
