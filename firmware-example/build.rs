//! Turns the held-out rows into a constant array, and lays out the memory of the emulated boards.
//!
//! The model is the one laid out for the target, where there is one. A row of `model/samples.csv` may have more columns than the model has features: they are found by name.

use kinglet::Model;
use kinglet::format::Input;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const SAMPLES: &str = "model/samples.csv";

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |name: &str, text: &str| {
        fs::write(Path::new(&out).join(name), text).unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    let mut target = env::var("TARGET").expect("cargo sets TARGET");
    // No targets of their own, but other boards.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    for cpu in ["cortex-m7", "cortex-m33", "cortex-m55"] {
        if flags.contains(&format!("target-cpu={cpu}")) {
            target = cpu.to_owned();
        }
    }
    let model = model(&target);
    write("samples.rs", &samples(model));
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::rustc-env=MODEL={folder}/{model}");
    if let Some(board) = board(&target) {
        write("memory.x", board.memory);
        println!("cargo::rustc-env=TICK_PS={}", board.tick);
        println!("cargo::rustc-link-search={out}");
        if target.starts_with("riscv") {
            println!("cargo::rustc-link-arg-bins=-Tmemory.x");
        }
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
    }
    println!("cargo::rerun-if-changed={model}");
    println!("cargo::rerun-if-changed={SAMPLES}");
    println!("cargo::rerun-if-changed=build.rs");
}

/// The same network in each; results are the same bytes.
fn model(target: &str) -> &'static str {
    match target {
        "thumbv7em-none-eabihf" | "cortex-m7" | "cortex-m33" => "model/pump-cortex-m4.kgl",
        "cortex-m55" => "model/pump-cortex-m55.kgl",
        _ => "model/pump.kgl",
    }
}

/// The samples as Rust source, and the model's widths.
fn samples(path: &str) -> String {
    let file = fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    // The engine wants the file at a multiple of 16 in memory.
    let mut room = vec![0; file.len() + 15];
    let start = room.as_ptr().align_offset(16);
    let bytes = &mut room[start..start + file.len()];
    bytes.copy_from_slice(&file);
    let model = Model::from_bytes(bytes).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert!(
        model.is_integer(),
        "{path}: a model in w8a8, w8a16 or w4a8 is needed, for steps without floats"
    );
    let Input::Features { names, .. } = model.header().input else {
        panic!("{path}: a model of features is needed, this one takes tokens");
    };
    let text = fs::read_to_string(SAMPLES).unwrap_or_else(|e| panic!("{SAMPLES}: {e}"));
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let columns: Vec<usize> = names
        .split('\0')
        .map(|name| {
            let name = name.split('\u{1}').next().unwrap_or_default();
            let column = header.iter().position(|column| column.trim() == name);
            column.unwrap_or_else(|| panic!("{SAMPLES}: no column {name:?}, which {path} needs"))
        })
        .collect();
    let mut rows = String::new();
    let mut count = 0;
    for (line, row) in lines.enumerate() {
        let fields: Vec<&str> = row.split(',').collect();
        let values: Vec<f32> = columns
            .iter()
            .map(|&column| {
                let value = fields
                    .get(column)
                    .and_then(|field| field.trim().parse().ok());
                value.unwrap_or_else(|| {
                    panic!(
                        "{SAMPLES} line {}: no number in column {}",
                        line + 2,
                        column + 1
                    )
                })
            })
            .collect();
        writeln!(rows, "    {values:?},").expect("a string takes all");
        count += 1;
    }
    let (inputs, outputs) = (model.inputs(), model.outputs());
    format!(
        "/// Numbers in a sample.\npub const INPUTS: usize = {inputs};\n\
         /// Numbers in a prediction.\npub const OUTPUTS: usize = {outputs};\n\
         /// Held-out raw samples.\npub static SAMPLES: [[f32; INPUTS]; {count}] = [\n{rows}];\n"
    )
}

/// A board of QEMU.
struct Board {
    memory: &'static str,
    /// Picoseconds of a tick of SysTick.
    tick: u32,
}

/// The board that stands for a target; none for a host.
fn board(target: &str) -> Option<Board> {
    let (memory, tick) = match target {
        // microbit: 16 MHz
        "thumbv6m-none-eabi" => (
            "MEMORY {\n\
             FLASH : ORIGIN = 0x00000000, LENGTH = 256K\n\
             RAM : ORIGIN = 0x20000000, LENGTH = 16K\n}\n",
            62_500,
        ),
        // mps2-an385, mps2-an386, mps2-an500: 25 MHz
        "thumbv7m-none-eabi" | "thumbv7em-none-eabihf" | "cortex-m7" => (
            "MEMORY {\n\
             FLASH : ORIGIN = 0x00000000, LENGTH = 4M\n\
             RAM : ORIGIN = 0x20000000, LENGTH = 4M\n}\n",
            40_000,
        ),
        // mps2-an505: 20 MHz
        "thumbv8m.main-none-eabihf" | "cortex-m33" => (
            "MEMORY {\n\
             FLASH : ORIGIN = 0x10000000, LENGTH = 4M\n\
             RAM : ORIGIN = 0x38000000, LENGTH = 4M\n}\n",
            50_000,
        ),
        // mps3-an547: 32 MHz
        "cortex-m55" => (
            "MEMORY {\n\
             FLASH : ORIGIN = 0x00000000, LENGTH = 512K\n\
             RAM : ORIGIN = 0x20000000, LENGTH = 512K\n}\n",
            31_250,
        ),
        // virt, started without a loader: everything is in its RAM
        "riscv32imac-unknown-none-elf" => (
            "MEMORY {\n\
             FLASH : ORIGIN = 0x80000000, LENGTH = 4M\n\
             RAM : ORIGIN = 0x80400000, LENGTH = 4M\n}\n\
             REGION_ALIAS(\"REGION_TEXT\", FLASH);\n\
             REGION_ALIAS(\"REGION_RODATA\", FLASH);\n\
             REGION_ALIAS(\"REGION_DATA\", RAM);\n\
             REGION_ALIAS(\"REGION_BSS\", RAM);\n\
             REGION_ALIAS(\"REGION_HEAP\", RAM);\n\
             REGION_ALIAS(\"REGION_STACK\", RAM);\n",
            0,
        ),
        _ => return None,
    };
    Some(Board { memory, tick })
}
