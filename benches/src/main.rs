//! `cargo run -p kinglet-benches` prints what criterion measured last as tables of nanoseconds, and the instructions per
//! multiplication that `results/` knows. `cargo run -p kinglet-benches -- chart FILE` draws the peers' results in FILE.

mod chart;
mod counts;

use kinglet::format::Format;
use kinglet::kernel::Kernels;
use kinglet_benches::{CELLS, FORMATS, SHAPES};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Nanoseconds per call in the best of criterion's samples, which neighbours on the machine disturb least.
fn best(folder: &Path, group: &str, table: &str, id: &str) -> Option<f64> {
    let file = folder
        .join(group)
        .join(table)
        .join(id)
        .join("new/sample.json");
    let text = fs::read_to_string(file).unwrap_or_default();
    let sample: Sample = serde_json::from_str(&text).unwrap_or_default();
    let calls = sample.times.iter().zip(&sample.iters);
    calls.map(|(ns, calls)| ns / calls).min_by(f64::total_cmp)
}

/// With a digit behind the point where it matters; a dash for what was not measured.
fn cell(number: Option<f64>) -> String {
    match number {
        Some(number) if number < 99.5 => format!("{number:.1}"),
        Some(number) => format!("{number:.0}"),
        None => "–".to_owned(),
    }
}

/// Calls and nanoseconds of each sample.
#[derive(Default, serde::Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

fn print(folder: &Path, group: &str, ids: &[String]) {
    for table in Kernels::available().map(Kernels::name) {
        let row: Vec<String> = ids
            .iter()
            .map(|id| cell(best(folder, group, table, id)))
            .collect();
        print_row(&format!("{group} {table}"), &row);
    }
}

fn print_row(name: &str, row: &[String]) {
    if row.iter().any(|cell| cell != "–") {
        println!("| {name} | {} |", row.join(" | "));
    }
}

/// Billions of multiplications a second, and the roofline's share of a step in percent.
fn print_throughput(folder: &Path, shapes: &[String]) {
    for (name, cell_kind) in CELLS {
        for format in FORMATS {
            let group = format!("{name}_{}", format.name());
            for table in Kernels::available().map(Kernels::name) {
                let row = SHAPES.iter().zip(shapes).map(|(&(inputs, hidden), id)| {
                    let macs = cell_kind.products() * hidden * (inputs + hidden);
                    let ns = best(folder, &group, table, id)?;
                    Some((macs as f64 / ns, ns, id))
                });
                let row: Vec<_> = row.collect();
                let speed = row.iter().map(|row| cell(row.map(|(speed, ..)| speed)));
                print_row(
                    &format!("{group} {table}, GMAC/s"),
                    &speed.collect::<Vec<_>>(),
                );
                if !matches!(format, Format::W8A8 | Format::W8A16) {
                    continue;
                }
                let share = row.iter().map(|row| {
                    let (_, ns, id) = (*row)?;
                    let least = best(folder, &format!("{name}_roofline"), table, id)?;
                    Some(100.0 * least / ns)
                });
                let share: Vec<_> = share.map(cell).collect();
                print_row(&format!("{group} {table}, % of roofline"), &share);
            }
        }
    }
}

fn head(first: &str, ids: &[String]) {
    println!("\n| {first} | {} |", ids.join(" | "));
    println!("|---|{}", "---|".repeat(ids.len()));
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => report(),
        [chart, file] if chart == "chart" => chart::draw(Path::new(file)),
        _ => anyhow::bail!("nothing, or chart FILE"),
    }
}

fn report() -> anyhow::Result<()> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let folder = target.join("criterion");
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(": ").nth(1))
            .unwrap_or("?")
            .to_owned()
    };
    println!(
        "{}, family {} model {}",
        field("model name"),
        field("cpu family"),
        field("model\t")
    );
    if let Ok(rustc) = Command::new("rustc").arg("-V").output() {
        print!("{}", String::from_utf8_lossy(&rustc.stdout));
    }
    let shapes = SHAPES.map(|(inputs, hidden)| format!("{inputs}x{hidden}"));
    head("ns per step", &shapes);
    for (cell, _) in CELLS {
        for format in FORMATS {
            print(&folder, &format!("{cell}_{}", format.name()), &shapes);
        }
        print(&folder, &format!("{cell}_roofline"), &shapes);
    }
    head("throughput", &shapes);
    print_throughput(&folder, &shapes);
    let mut sizes = SHAPES.map(|(_, hidden)| hidden.to_string()).to_vec();
    sizes.dedup();
    head("ns per call, units", &sizes);
    for primitive in [
        "gemv_f32",
        "gemv_f16",
        "gemv_a8",
        "gemv_a16",
        "gemv_w4a8",
        "gemv_w4a16",
        "requant",
        "tanh_q",
        "sigmoid_q",
        "lstm_q",
        "gru_q",
        "tanh_f32",
        "sigmoid_f32",
        "lstm_f32",
        "gru_f32",
    ] {
        print(&folder, primitive, &sizes);
    }
    counts::print(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results"))?;
    Ok(())
}
