//! Dates as people write them, and in ISO 8601.

use super::{Pair, below};
use crate::train::init::Rng;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `3 Nov 2026` or `November 3, 2026`, and `2026-11-03`.
pub fn draw(rng: &mut Rng) -> Pair {
    let (year, month, day) = (1970 + below(rng, 80), below(rng, 12), 1 + below(rng, 28));
    let name = MONTHS[month];
    let text = match below(rng, 4) {
        0 => format!("{day} {} {year}", &name[..3]),
        1 => format!("{day} {name} {year}"),
        2 => format!("{name} {day}, {year}"),
        _ => format!("{} {day}, {year}", &name[..3]),
    };
    (text, format!("{year}-{:02}-{day:02}", month + 1))
}
