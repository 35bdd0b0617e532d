//! What a step takes on microcontrollers, by [`crate::cost`].

use super::html::{Table, count, number, paragraph, section, titled};
use crate::cost::{CORES, FORMATS};
use crate::net::Network;

/// The conditions that times and energies are for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// In Hz.
    pub clock: f64,
    /// Of the running core, in W.
    pub power: Option<f64>,
}

impl Default for Conditions {
    /// A clock that all these cores reach.
    fn default() -> Self {
        Conditions {
            clock: 48e6,
            power: None,
        }
    }
}

/// A number with the prefix that makes it readable: seconds, joules, hertz, watts.
fn si(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 7] = [
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
    ];
    let fits = PREFIXES.iter().find(|(size, _)| value >= *size);
    let (size, prefix) = fits.unwrap_or(&PREFIXES[6]);
    format!("{} {prefix}{unit}", number(value / size))
}

/// The same without zeros at the end, for what a person chose.
fn chosen(value: f64, unit: &str) -> String {
    let shown = si(value, unit);
    let (digits, unit) = shown.split_once(' ').unwrap_or((&shown, ""));
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    format!("{digits} {unit}")
}

/// Instructions, time and energy of networks by their titles, with the multiplications of a step, and of the steps of an
/// answer.
pub(super) fn cores(
    networks: &[(&'static str, &Network, usize)],
    answer: usize,
    conditions: Conditions,
) -> String {
    let tables: Vec<_> = networks
        .iter()
        .filter_map(|&(title, net, macs)| {
            Some((title, of_network(net, (macs, answer), conditions)?))
        })
        .collect();
    let body = if tables.is_empty() {
        paragraph("No core has counts for a cell of this network.")
    } else {
        paragraph(
            "Estimates for one step of integers. They come from instructions counted in an emulator for networks of one \
             layer, which they give back within 3 %; of other networks in QEMU they were off by up to 15 %, of dense layers without \
             a cell by up to 19 %, and pools are not in them. The time is that of one instruction per clock. A real core takes more: loads, branches and \
             wait states of the flash. Formats that are missing have not been counted.",
        ) + &titled(tables.into_iter())
            + &match conditions.power {
                Some(_) => String::new(),
                None => paragraph("With --power 20mW the table has the energy of a step too."),
            }
    };
    section("cores", "On a microcontroller", &body)
}

/// A row per core and format, if any is counted.
fn of_network(
    net: &Network,
    (macs, answer): (usize, usize),
    conditions: Conditions,
) -> Option<String> {
    let time = format!("at {}", chosen(conditions.clock, "Hz"));
    let power = conditions
        .power
        .map(|power| format!("at {}", chosen(power, "W")));
    let mut head = vec!["core", "layout", "format", "instructions", "per MAC", &time];
    head.extend(power.as_deref());
    let (of_answer, its_time) = ("of an answer", format!("its time {time}"));
    if answer > 1 {
        head.extend([of_answer, &its_time]);
    }
    let mut table = Table::new(&head);
    let mut counted = false;
    for core in &CORES {
        for format in FORMATS {
            let Some(instructions) = core.instructions(net, format) else {
                continue;
            };
            counted = true;
            let seconds = instructions / conditions.clock;
            let mut row = vec![
                core.name.to_owned(),
                core.layout.to_owned(),
                format.name().to_owned(),
                count(instructions.round() as usize),
                number(instructions / macs as f64),
                si(seconds, "s"),
            ];
            row.extend(conditions.power.map(|power| si(seconds * power, "J")));
            if answer > 1 {
                let steps = answer as f64;
                row.push(count((steps * instructions).round() as usize));
                row.push(si(steps * seconds, "s"));
            }
            table.row(&row);
        }
    }
    counted.then(|| table.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_readable_prefixes() {
        assert_eq!(chosen(48e6, "Hz"), "48 MHz");
        assert_eq!(chosen(0.02, "W"), "20 mW");
        assert_eq!(si(0.00014, "s"), "140.0 µs");
        assert_eq!(si(2.8e-6, "J"), "2.800 µJ");
    }
}
