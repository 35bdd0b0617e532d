//! Seconds per epoch of 200 batches of 64: LSTM and GRU over 7 columns with a dense head.
//!
//! `cargo run --release -p kinglet-trainer --example train_speed -- lstm256`; all without a name

use std::error::Error;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;

use kinglet_trainer::data::Dataset;
use kinglet_trainer::data::csv::{Format, Table};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::init::Rng;
use kinglet_trainer::train::{Options, fit};

fn main() -> Result<(), Box<dyn Error>> {
    let only = std::env::args().nth(1);
    for (cell, hidden, window) in [
        ("lstm", 8, 64),
        ("lstm", 32, 64),
        ("lstm", 128, 64),
        ("lstm", 256, 64),
        ("gru", 64, 120),
    ]
    .into_iter()
    .filter(|(cell, hidden, _)| {
        only.as_ref()
            .is_none_or(|name| *name == format!("{cell}{hidden}"))
    }) {
        let task = Task::parse(
            &format!(
                "name = \"speed\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]\n\
                 targets = [\"a\"]\nsplit = {{ rows = [{}, 1, 0] }}\n[shape]\nkind = \"many-to-one\"\nwindow = {window}\n\
                 [network]\ncell = \"{cell}\"\nhidden = [{hidden}]\n[train]\nepochs = 3\n",
                12_800 + window
            ),
            Path::new("speed.toml"),
        )?;
        let mut rng = Rng::new(1);
        let mut csv = String::from("a,b,c,d,e,f,g\n");
        for _ in 0..12_801 + window {
            let row: Vec<String> = (0..7).map(|_| rng.normal().to_string()).collect();
            writeln!(csv, "{}", row.join(","))?;
        }
        let table = Table::from_reader(csv.as_bytes(), "speed", &Format::default())?;
        let data = Dataset::from_table(&task, &table)?;
        for threads in [1, 2] {
            let options = Options {
                threads: Some(threads),
                ..Options::default()
            };
            let fitted = fit(&task, &data, &options, &mut |_| ControlFlow::Continue(()))?;
            let ends: Vec<f64> = fitted.history.iter().map(|p| p.seconds).collect();
            let best = ends.windows(2).map(|w| w[1] - w[0]).fold(ends[0], f64::min);
            println!(
                "{cell} 7->{hidden}, {window} steps, {threads} threads: {best:.3} s per epoch"
            );
        }
    }
    Ok(())
}
