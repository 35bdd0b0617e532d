//! `callgrind.sh`'s program: writes models to a folder, or runs steps of one of them where callgrind counts.
//!
//! `callgrind FOLDER` writes; `callgrind FILE TABLE` steps, and prints the multiplications of a step.

use kinglet::format::Format;
use kinglet::kernel::Kernels;
use kinglet::{Model, Runner};
use kinglet_benches::{CELLS, SHAPES, model, samples};
use kinglet_trainer::file::{AlignedBytes, save};
use std::env;
use std::hint::black_box;
use std::path::Path;

/// Counted together.
const STEPS: usize = 100;

/// What callgrind counts, by this name.
#[inline(never)]
#[unsafe(no_mangle)]
fn counted_steps(net: &mut Runner<'_, '_>, samples: &[i16], output: &mut [i16]) {
    for sample in samples.chunks_exact(samples.len() / STEPS) {
        net.step_q(black_box(sample), output);
    }
}

fn write(folder: &Path) -> anyhow::Result<()> {
    for (name, cell) in CELLS {
        for (number, (inputs, hidden)) in SHAPES.into_iter().enumerate() {
            for format in [Format::W8A16, Format::W8A8] {
                let file = format!("{name}-{}-{number}-{inputs}x{hidden}.kgl", format.name());
                save(&folder.join(file), &model(cell, (inputs, hidden), format))?;
            }
        }
    }
    Ok(())
}

fn run(file: &str, table: &str) -> anyhow::Result<()> {
    let bytes = AlignedBytes::read(Path::new(file))?;
    let model = Model::from_bytes(&bytes)?;
    let table = Kernels::available().find(|k| k.name() == table);
    let table = table.ok_or_else(|| anyhow::anyhow!("no such table here"))?;
    let mut state = AlignedBytes::zeroed(model.state_len());
    let net = model
        .bind_bytes(&mut state)
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut net = net.with_kernels(table);
    let mut x = vec![0; STEPS * model.inputs()];
    model.quantize_input(&samples(model.inputs(), STEPS), &mut x);
    let mut y = vec![0; model.outputs()];
    counted_steps(&mut net, &x, &mut y);
    println!("{}", model.macs());
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [folder] => write(Path::new(folder)),
        [file, table] => run(file, table),
        _ => anyhow::bail!("FOLDER, or FILE TABLE"),
    }
}
