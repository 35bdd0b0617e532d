//! Kinglet's side of `training.sh`: one epoch for each line of standard input, answered by its seconds and its mean loss.
//!
//! `peer-training FILE CELL HIDDEN STEPS THREADS` first writes the fresh network, the normalised rows, their goals and the
//! windows' first rows to FILE, for the other side to start from, and answers `ready`.

use anyhow::{Context, Result, bail, ensure};
use kinglet_trainer::data::csv::{Format, Table};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::net::{Activation, Layer, Network};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::init::{Rng, network};
use kinglet_trainer::train::{Options, fit_from};
use std::fmt::Write;
use std::io::{self, BufRead};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

/// Per epoch.
const BATCHES: usize = 200;
const BATCH: usize = 64;
const INPUTS: usize = 7;
/// Of the order of the windows; the other side shuffles with the same generator.
const SEED: u64 = 7;

fn task(cell: &str, hidden: usize, steps: usize) -> Result<Task> {
    let text = format!(
        r#"
        name = "speed"
        [csv]
        file = ""
        [series]
        features = ["a", "b", "c", "d", "e", "f", "g"]
        targets = ["a"]
        split = {{ rows = [{rows}, 1, 0] }}
        [shape]
        kind = "many-to-one"
        window = {steps}
        [network]
        cell = "{cell}"
        hidden = [{hidden}]
        [train]
        batch = {BATCH}
        clip = 0.0
        epochs = 1000
        "#,
        rows = BATCHES * BATCH + steps
    );
    Ok(Task::parse(&text, Path::new("speed.toml"))?)
}

/// Waves of seven periods with noise: something to learn, and something that cannot be.
fn table(rows: usize) -> Result<Table> {
    let mut rng = Rng::new(1);
    let mut csv = String::from("a,b,c,d,e,f,g\n");
    for row in 0..rows {
        let wave = |column: usize| (row as f32 / (5.0 + 3.0 * column as f32)).sin();
        let values: Vec<String> = (0..INPUTS)
            .map(|column| wave(column) + wave((column + 1) % INPUTS) + 0.3 * rng.normal())
            .map(|value| value.to_string())
            .collect();
        writeln!(csv, "{}", values.join(","))?;
    }
    Ok(Table::from_reader(
        csv.as_bytes(),
        "waves",
        &Format::default(),
    )?)
}

/// As little-endian f32: the layers' parameters, `rows × INPUTS` values, `rows` goals, BATCHES · BATCH first rows.
fn write(path: &Path, net: &Network, data: &Dataset, rows: usize) -> Result<()> {
    let mut values: Vec<f32> = Vec::new();
    for layer in &net.layers {
        match layer {
            Layer::Recurrent(r) => {
                values.extend([&r.w_ih, &r.w_hh, &r.b_ih, &r.b_hh].into_iter().flatten())
            }
            Layer::Dense(d) => values.extend(d.weight.iter().chain(&d.bias)),
            _ => bail!("not compared"),
        }
    }
    (0..rows).for_each(|row| values.extend(data.input_row(0, row)));
    (0..rows).for_each(|row| values.extend(data.goal_row(row)));
    values.extend(data.windows(Part::Train).iter().map(|&start| start as f32));
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, cell, hidden, steps, threads] = arguments.as_slice() else {
        bail!("FILE CELL HIDDEN STEPS THREADS");
    };
    let (hidden, steps) = (hidden.parse()?, steps.parse()?);
    let task = task(cell, hidden, steps)?;
    let rows = BATCHES * BATCH + steps;
    let data = Dataset::from_table(&task, &table(rows + 1)?)?;
    let windows = data.windows(Part::Train).len();
    ensure!(windows == BATCHES * BATCH, "{windows} windows");
    let plan = task.plan(data.outputs(), Activation::Identity);
    let net = network(data.inputs(), &plan, &mut Rng::new(1));
    write(Path::new(file), &net, &data, rows)?;
    println!("ready");

    let mut lines = io::stdin().lock().lines();
    if lines.next().is_none() {
        return Ok(());
    }
    let options = Options {
        threads: Some(threads.parse()?),
        ..Options::default()
    };
    let mut start = Instant::now();
    fit_from(
        net,
        &task,
        &data,
        &options,
        &mut |progress| {
            println!("{} {}", start.elapsed().as_secs_f64(), progress.train_loss);
            let more = lines.next().is_some();
            start = Instant::now();
            if more {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
        &mut Rng::new(SEED),
    )?;
    Ok(())
}
