//! What eight bits do to states, taken back by the weights that see them.
//!
//! A state within ±1 becomes an integer of 2^-7, at most 127: a unit at 1, as gates that are open for long make it, is read as 0.992. That is no error that
//! has a mean of zero, and it is larger than that of rounding. What a unit's state is for the integer that stands for it is nearly a line, `h ≈ a q + b`, by least
//! squares over data; `a` goes into the weights over the unit and `b` into where their sums start.
//!
//! Of the pair of g2p-en, where a unit is at 1 in 7 % of the steps, states in eight bits by themselves make 94 of 4,000 words others; with the lines it is 64.

use super::{Formats, Ranges};
use crate::net::{Cell, Layer, Network, Recurrent};

/// Squared error of eight bits in parts of that of rounding alone, from which on a layer's states are worth it.
const WORTH: f64 = 1.1;
/// LSB of the integers.
const LSB: f64 = 1.0 / 128.0;
/// Squared error of rounding.
const ROUNDING: f64 = LSB * LSB / 12.0;

/// Sums over the states of a unit and over the integers that stand for them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Narrowed {
    count: f64,
    state: f64,
    integer: f64,
    squares: f64,
    products: f64,
    errors: f64,
}

impl Narrowed {
    pub(super) fn meet(&mut self, h: f32) {
        // As the engine has it: the nearest integer, saturated.
        let q = kinglet::num::narrow((h * 4096.0).round() as i16);
        let (h, q) = (f64::from(h), f64::from(q) * LSB);
        self.count += 1.0;
        self.state += h;
        self.integer += q;
        self.squares += q * q;
        self.products += h * q;
        self.errors += (h - q) * (h - q);
    }

    /// `a` and `b`; of a unit that hardly moves `a` is near 1.
    fn line(&self) -> [f64; 2] {
        let count = self.count.max(1.0);
        let [state, integer] = [self.state, self.integer].map(|sum| sum / count);
        let variance = self.squares / count - integer * integer + ROUNDING;
        let covariance = self.products / count - state * integer + ROUNDING;
        let a = covariance / variance;
        [a, state - a * integer]
    }
}

/// Weights over states in eight bits make up for what these cut, where that is worth it.
pub(super) fn take_back_states(net: &mut Network, ranges: &Ranges, formats: &Formats) {
    let lines: Vec<Option<Vec<[f64; 2]>>> =
        ranges.layers.iter().map(|l| lines(&l.narrowed)).collect();
    for k in 0..net.layers.len() {
        let Layer::Recurrent(r) = &mut net.layers[k] else {
            continue;
        };
        if !formats.of(k).is_a8() {
            continue;
        }
        if let (Some(lines), Some(rows)) = (&lines[k], rows_over_state(r)) {
            add(&mut r.w_hh[..rows * r.hidden], &mut r.b_hh, lines);
        }
        if let Some(Some(lines)) = k.checked_sub(1).map(|below| &lines[below])
            && r.cell != Cell::FastGrnn
        {
            add(&mut r.w_ih, &mut r.b_ih, lines);
        }
    }
}

/// Rows over the state as it is; none where it is brought to another scale.
fn rows_over_state(r: &Recurrent) -> Option<usize> {
    match r.cell {
        // The candidate sees what the reset gate leaves.
        Cell::GruResetBefore | Cell::GruHardResetBefore => Some(2 * r.hidden),
        Cell::RnnTanh
        | Cell::Lstm
        | Cell::LstmCoupled
        | Cell::LstmPeephole
        | Cell::LstmHard
        | Cell::GruResetAfter
        | Cell::GruHardResetAfter => Some(r.b_hh.len()),
        _ => None,
    }
}

fn lines(units: &[Narrowed]) -> Option<Vec<[f64; 2]>> {
    let met: f64 = units.iter().map(|unit| unit.count).sum();
    let errors: f64 = units.iter().map(|unit| unit.errors).sum();
    let worth = errors > WORTH * ROUNDING * met;
    worth.then(|| units.iter().map(Narrowed::line).collect())
}

fn add(weights: &mut [f32], bias: &mut [f32], lines: &[[f64; 2]]) {
    for (row, bias) in weights.chunks_exact_mut(lines.len()).zip(bias) {
        let mut start = f64::from(*bias);
        for (w, [a, b]) in row.iter_mut().zip(lines) {
            start += f64::from(*w) * b;
            *w = (f64::from(*w) * a) as f32;
        }
        *bias = start as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_at_one_is_read_as_one_on_the_line() {
        // At 1 in half of the steps, and at -0.5, which integers hold.
        let (mut unit, mut exact) = (Narrowed::default(), Narrowed::default());
        for _ in 0..100 {
            unit.meet(1.0);
            unit.meet(-0.5);
            exact.meet(0.25);
            exact.meet(-0.5);
        }
        let [a, b] = unit.line();
        let read = |q: f64| a * q + b;
        assert!((read(127.0 / 128.0) - 1.0).abs() < 1e-4, "{a}, {b}");
        assert!((read(-0.5) + 0.5).abs() < 1e-4, "{a}, {b}");
        let [a, b] = exact.line();
        assert!((a - 1.0).abs() < 1e-9 && b.abs() < 1e-9, "{a}, {b}");
        // Only where more than rounding is lost.
        assert!(lines(&[unit]).is_some() && lines(&[exact]).is_none());
        assert!(lines(&[]).is_none());
    }

    #[test]
    fn sums_over_lines_are_those_over_states() {
        let (mut weights, mut bias) = ([2.0, -1.0], [0.5]);
        add(&mut weights, &mut bias, &[[1.25, 0.5], [1.0, 0.0]]);
        assert_eq!((weights, bias), ([2.5, -1.0], [1.5]));
    }
}
