//! What a model may take of a machine: flash, RAM and instructions, as options and task files say it.

use crate::cost::Core;

/// Limits; what is none has no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    /// Bytes of the file.
    pub flash: Option<usize>,
    /// Bytes of a stream's state and of its window.
    pub ram: Option<usize>,
    /// Instructions of a step on the core.
    pub cycles: Option<usize>,
    /// Where instructions are counted.
    pub core: Option<&'static Core>,
}

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Bytes of the file.
    pub flash: usize,
    /// Bytes of a stream's state, and of the samples that its windows keep.
    pub ram: usize,
    /// Instructions of a step on the budget's core, if it names one.
    pub cycles: Option<f64>,
}

impl Budget {
    /// Whether a model keeps to it.
    pub fn allows(&self, cost: Cost) -> bool {
        self.flash.is_none_or(|most| cost.flash <= most)
            && self.ram.is_none_or(|most| cost.ram <= most)
            && match (self.cycles, cost.cycles) {
                (Some(most), Some(cycles)) => cycles <= most as f64,
                _ => true,
            }
    }
}

/// `4096`, `4K` or `1M`, in bytes.
///
/// # Errors
/// With what was expected.
pub fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is no size; expected bytes, as \"16384\", \"16K\" or \"1M\"");
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches('B').trim_end_matches('I');
    let (digits, unit) = match digits.as_bytes().last() {
        Some(b'K') => (&digits[..digits.len() - 1], 1024.0),
        Some(b'M') => (&digits[..digits.len() - 1], 1024.0 * 1024.0),
        Some(b'G') => (&digits[..digits.len() - 1], 1024.0 * 1024.0 * 1024.0),
        _ => (digits, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    let bytes = number * unit;
    if !(1.0..=1e15).contains(&bytes) {
        return Err(wrong());
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("16k"), Ok(16_384));
        assert_eq!(bytes("1.5KiB"), Ok(1536));
        for wrong in ["", "K", "-1", "4T", "1e400", "6q"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_limit_counts() {
        let budget = Budget {
            flash: Some(100),
            ram: Some(10),
            cycles: Some(1000),
            core: Core::named("cortex-m4"),
        };
        let cost = |flash, ram, cycles| Cost {
            flash,
            ram,
            cycles: Some(cycles),
        };
        assert!(budget.allows(cost(100, 10, 1000.0)));
        for over in [
            cost(101, 10, 1000.0),
            cost(100, 11, 1000.0),
            cost(100, 10, 1000.5),
        ] {
            assert!(!budget.allows(over), "{over:?}");
        }
    }
}
