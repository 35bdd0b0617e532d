//! Sizes, ranges and cores on the command line.

use clap::ValueEnum;
use kinglet::format::Layout;
use kinglet_trainer::report::cores;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// `4096`, `4K` or `1M`, in bytes.
pub fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || "expected bytes, such as 4096, 4K or 1M".to_string();
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches('B').trim_end_matches('I');
    let (digits, unit) = match digits.as_bytes().last() {
        Some(b'K') => (&digits[..digits.len() - 1], 1024.0),
        Some(b'M') => (&digits[..digits.len() - 1], 1024.0 * 1024.0),
        _ => (digits, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    let bytes = number * unit;
    if !(1.0..=1e15).contains(&bytes) {
        return Err(wrong());
    }
    Ok(bytes as usize)
}

/// `8..64`, both ends included, or one number.
pub fn range<T: FromStr + PartialOrd + Default + Copy>(
    text: &str,
) -> Result<RangeInclusive<T>, String> {
    let wrong = || "expected two numbers above 0 as in 8..64, the smaller first".to_string();
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| {
        text.trim()
            .trim_start_matches('=')
            .parse::<T>()
            .map_err(|_| wrong())
    };
    let (low, high) = (number(low)?, number(high)?);
    if low > T::default() && low <= high {
        Ok(low..=high)
    } else {
        Err(wrong())
    }
}

/// A core whose instructions are counted
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Core {
    /// Cortex-M0 and M0+
    #[value(alias = "cortex-m0plus")]
    CortexM0,
    /// RISC-V without vectors
    #[value(alias = "riscv32")]
    Rv32imc,
    /// Cortex-M3
    CortexM3,
    /// Cortex-M4, M7 and M33 with DSP instructions
    #[value(aliases = ["cortex-m7", "cortex-m33"])]
    CortexM4,
    /// Cortex-M55 and M85 with Helium
    #[value(alias = "cortex-m85")]
    CortexM55,
}

impl Core {
    /// Its counts.
    pub fn counts(self) -> &'static cores::Core {
        &cores::CORES[match self {
            Core::CortexM0 => 0,
            Core::Rv32imc => 1,
            Core::CortexM3 => 2,
            Core::CortexM4 => 3,
            Core::CortexM55 => 4,
        }]
    }

    /// The layout that its kernels want.
    pub fn layout(self) -> Layout {
        match self {
            Core::CortexM0 => Layout::CortexM0,
            Core::Rv32imc | Core::CortexM3 => Layout::Portable,
            Core::CortexM4 => Layout::CortexM4,
            Core::CortexM55 => Layout::CortexM55,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("16K"), Ok(16_384));
        assert_eq!(bytes("1.5KiB"), Ok(1536));
        for wrong in ["", "K", "-1", "4G", "1e400"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_have_two_ends_or_one() {
        assert_eq!(range::<usize>("8..64"), Ok(8..=64));
        assert_eq!(range::<usize>("8..=64"), Ok(8..=64));
        assert_eq!(range::<f64>("0.01"), Ok(0.01..=0.01));
        for wrong in ["", "0..8", "9..8", "a..b", "..8"] {
            assert!(range::<usize>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cores_are_where_their_counts_are() {
        for core in Core::value_variants() {
            let name = core.to_possible_value().unwrap().get_name().to_lowercase();
            assert!(
                core.counts().name.to_lowercase().starts_with(&name),
                "{name}"
            );
        }
    }
}
