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
    gemv_f32,
    gemv_f16,
    gemv_a8,
    gemv_a16,
    gemv_u8a8,
    gemv_u8a16,
    gemv_w4a8,
    gemv_w4a16,
    gemv_rows_a8,
    gemv_rows_a16,
    gates_q: steps::gates,
    requant,
    tanh_q,
    sigmoid_q,
    lstm_q,
    gru_q,
    lstm_step_q: steps::lstm,
    gru_step_q: steps::gru,
    rnn_step_q: steps::rnn,
    lstm_batch_q: steps::lstm_batch,
    gru_batch_q: steps::gru_batch,
    rnn_batch_q: steps::rnn_batch,
    gemm_f32,
    gemm_f16,
    lstm_a8: packed::lstm_a8,
    lstm_a16: packed::lstm_a16,
    gru_a8: packed::gru_a8,
    gru_a16: packed::gru_a16,
    rnn_a8: packed::rnn_a8,
    rnn_a16: packed::rnn_a16,
    tanh_f32,
    sigmoid_f32,
    lstm_f32,
    gru_f32,
};
