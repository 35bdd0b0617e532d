//! The definition of every primitive: plain loops, no tricks.
//!
//! Sums wrap. A file from the exporter cannot overflow (it proves so from the weights), and for any
//! other file wrapping is the same everywhere and never a panic.

pub(super) mod cells;
pub(super) mod packed;
pub(super) mod products;
pub(super) mod steps;

use super::table::Table;
use cells::*;
use products::*;

pub(super) const SCALAR: Table = Table {
    name: "scalar",
    fused: false,
    float_product,
    product,
    products,
    gates_q: steps::gates,
    requant,
    curve_q,
    update_q,
    step_q: steps::step_q,
    step_f: steps::step_f,
    packed: packed::packed,
    records: packed::records,
    curve_f,
    update_f,
};
