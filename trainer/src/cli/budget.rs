//! Sizes, ranges and cores on the command line.

use super::usage;
use anyhow::{Result, anyhow};
use kinglet_trainer::budget::{Budget, bytes};
use kinglet_trainer::cost::Core;
use kinglet_trainer::task::Task;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Most that a model may take.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct BudgetOptions {
    /// Most bytes of the model file, as 16384 or 16K
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_flash: Option<usize>,

    /// Most instructions of a step on the core, as `kinglet report` estimates them
    #[arg(long, value_name = "N")]
    max_cycles: Option<usize>,

    /// Core that instructions are counted for: cortex-m0plus, rv32imc, cortex-m3, cortex-m4 or cortex-m55; the
    /// weights are laid out for it if for no other CPU
    #[arg(long, value_name = "CORE", value_parser = Core::parse)]
    core: Option<&'static Core>,
}

impl BudgetOptions {
    /// The options, each in place of the task's key.
    pub fn over(self, task: Budget) -> Result<Budget> {
        let budget = Budget {
            flash: self.max_flash.or(task.flash),
            cycles: self.max_cycles.or(task.cycles),
            core: self.core.or(task.core),
            ..task
        };
        if budget.cycles.is_some() && budget.core.is_none() {
            return Err(usage(
                "--max-cycles needs the core that they are counted for: --core cortex-m4",
            ));
        }
        Ok(budget)
    }

    /// The same where a core is of no use without a limit.
    pub fn limited(self, task: Budget) -> Result<Budget> {
        let budget = self.over(task)?;
        match self.core.is_some() && budget.flash.is_none() && budget.cycles.is_none() {
            true => Err(usage(
                "--core is the one that a budget is for: add --max-cycles N or --max-flash SIZE",
            )),
            false => Ok(budget),
        }
    }

    /// The same for a search of formats, which needs a limit; without one the options say nothing.
    pub fn of_mixed(self, mixed: bool, task: Budget) -> Result<Budget> {
        let budget = self.over(task)?;
        if mixed && budget.flash.is_none() && budget.cycles.is_none() {
            return Err(usage(
                "--precision mixed needs a budget: --max-flash SIZE, or --core CORE and --max-cycles N",
            ));
        }
        let given = [
            ("--max-flash", self.max_flash.is_some()),
            ("--max-cycles", self.max_cycles.is_some()),
            ("--core", self.core.is_some()),
        ];
        match given.iter().find(|(_, given)| *given && !mixed) {
            Some((option, _)) => Err(usage(format!("{option} goes with --precision mixed"))),
            None => Ok(budget),
        }
    }
}

/// What a task's `[output]` allows.
pub fn budget_of(task: &Task) -> Result<Budget> {
    let budget = task.output.budget();
    budget.map_err(|(key, problem)| anyhow!("output.{key}: {problem}"))
}

/// `8..64`, both ends included, or one number.
pub fn range<T: FromStr + PartialOrd + Default + Copy>(
    text: &str,
) -> std::result::Result<RangeInclusive<T>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_two_ends_or_one() {
        assert_eq!(range::<usize>("8..64"), Ok(8..=64));
        assert_eq!(range::<usize>("8..=64"), Ok(8..=64));
        assert_eq!(range::<f64>("0.01"), Ok(0.01..=0.01));
        for wrong in ["", "0..8", "9..8", "a..b", "..8"] {
            assert!(range::<usize>(wrong).is_err(), "{wrong}");
        }
    }
}
