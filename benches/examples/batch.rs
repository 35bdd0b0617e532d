//! Whole steps of 16 and 64 streams in one call beside single steps: `cargo run --release -p kinglet-benches --example
//! batch [NAMES] [TABLE]`, where a name is like `lstm_w8a8`, and a table one of this CPU's, the fastest unless it is named. Single steps and batches are timed in turn, in many short runs, and
//! the best of each counts, so that neighbours on the machine disturb the ratio least. A cell of the table is the
//! nanoseconds of a single step, then per stream and step of a batch with the ratio to that.

use kinglet::Model;
use kinglet::kernel::Kernels;
use kinglet_benches::{CELLS, FORMATS, SHAPES, model, samples};
use kinglet_trainer::file::AlignedBytes;
use std::env;
use std::hint::black_box;
use std::time::Instant;

const STREAMS: [usize; 3] = [1, 16, 64];
const RUNS: usize = 40;
/// Multiplications in a run, about 50 µs.
const RUN: usize = 2_000_000;

/// Nanoseconds per stream and step, for each number of streams.
fn best(model: &Model<'_>, table: &'static Kernels) -> [f64; STREAMS.len()] {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let most = STREAMS[STREAMS.len() - 1];
    let x = samples(inputs, most);
    let mut q = vec![0; x.len()];
    model.quantize_input(&x, &mut q);
    let (mut y, mut y_q) = (vec![0.0; most * outputs], vec![0; most * outputs]);
    let mut memory = vec![AlignedBytes::zeroed(model.state_len()); most];
    let mut states: Vec<&mut [u8]> = memory.iter_mut().map(|state| &mut state[..]).collect();
    let mut best = [f64::INFINITY; STREAMS.len()];
    for _ in 0..RUNS {
        for (streams, best) in STREAMS.into_iter().zip(&mut best) {
            let steps = (RUN / (model.macs() + 2000) / streams).max(1);
            let (samples, results) = (streams * inputs, streams * outputs);
            let start = Instant::now();
            if streams == 1 {
                let mut net = model.bind_bytes(states[0]).expect("a whole state");
                net = net.with_kernels(table);
                for _ in 0..steps {
                    match model.is_integer() {
                        true => net.step_q(black_box(&q[..samples]), &mut y_q[..results]),
                        false => net.step_raw(black_box(&x[..samples]), &mut y[..results]),
                    }
                }
            } else {
                let states = &mut states[..streams];
                let mut batch = model.bind_batch(states).expect("whole states");
                batch = batch.with_kernels(table);
                for _ in 0..steps {
                    match model.is_integer() {
                        true => batch.step_batch_q(black_box(&q[..samples]), &mut y_q[..results]),
                        false => batch.step_batch_raw(black_box(&x[..samples]), &mut y[..results]),
                    }
                }
            }
            let ns = start.elapsed().as_nanos() as f64 / (steps * streams) as f64;
            *best = best.min(ns);
        }
    }
    black_box((y, y_q));
    best
}

fn main() {
    let mut names: Vec<String> = env::args().skip(1).collect();
    let table = Kernels::available().find(|table| names.iter().any(|name| name == table.name()));
    let table = table.unwrap_or(Kernels::detect());
    names.retain(|name| name != table.name());
    let shapes = SHAPES.map(|(inputs, hidden)| format!("{inputs}x{hidden}"));
    println!(
        "| streams | {} |\n|---|{}",
        shapes.join(" | "),
        "---|".repeat(shapes.len())
    );
    for (cell, kind) in CELLS {
        for format in FORMATS {
            let name = format!("{cell}_{}", format.name());
            if !names.is_empty() && !names.contains(&name) {
                continue;
            }
            let results = SHAPES.map(|shape| {
                let file = model(kind, shape, format);
                best(&Model::from_bytes(&file).expect("an exported file"), table)
            });
            for (n, streams) in STREAMS.into_iter().enumerate() {
                let cell = |best: &[f64; STREAMS.len()]| match n {
                    0 => format!("{:.0}", best[0]),
                    _ => format!("{:.0} ({:.2})", best[n], best[0] / best[n]),
                };
                let row: Vec<String> = results.iter().map(cell).collect();
                println!("| {name} {streams} | {} |", row.join(" | "));
            }
        }
    }
}
