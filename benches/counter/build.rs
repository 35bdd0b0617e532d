//! Lists the models to measure, and lays out the memory of the emulated board.

use kinglet::format::{Cell, Format, Header, Layer, Layout, Preamble};
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// Inputs and units of a file that is one layer in w8a8, laid out for Cortex-M0 or M4.
fn small_layer(path: &Path) -> Option<(u16, u16)> {
    let file = fs::read(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let preamble = Preamble::read(&file).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let (header, _) = Header::in_file(&file).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    match (preamble.layout, &header.layers[..]) {
        (
            Layout::CortexM0 | Layout::CortexM4,
            &[
                Layer::Recurrent {
                    format: Format::W8A8,
                    cell: Cell::Lstm | Cell::GruResetAfter | Cell::RnnTanh,
                    inputs,
                    hidden,
                    ..
                },
            ],
        ) => Some((inputs, hidden)),
        _ => None,
    }
}

fn main() {
    println!("cargo::rerun-if-env-changed=KINGLET_MODELS");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |name: &str, text: &str| {
        fs::write(Path::new(&out).join(name), text).unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    let (mut models, mut nets, mut types) = (String::new(), String::new(), String::new());
    // Without the script there is nothing to measure: the checker alone.
    if let Ok(folder) = env::var("KINGLET_MODELS") {
        println!("cargo::rerun-if-changed={folder}");
        let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
        let mut paths: Vec<_> = files
            .map(|file| file.expect("a readable folder").path())
            .collect();
        paths.sort();
        for (number, path) in paths.iter().enumerate() {
            writeln!(models, "    <N{number} as kinglet::Embedded>::FILE,")
                .expect("a string takes all");
            writeln!(
                types,
                "pub struct N{number};\nimpl kinglet::Embedded for N{number} {{\n    \
                 const FILE: &'static [u8] = kinglet::include_model!({path:?});\n    \
                 type State = kinglet::State<{{ kinglet::state_len(Self::FILE) }}>;\n}}"
            )
            .expect("a string takes all");
            if let Some((inputs, hidden)) = small_layer(path) {
                writeln!(
                    nets,
                    "    ({number}, crate::net::measure::<N{number}, {inputs}, {hidden}>),"
                )
                .expect("a string takes all");
            }
        }
    }
    write(
        "models.rs",
        &format!(
            "{types}pub static MODELS: &[&[u8]] = &[\n{models}];\n\
             /// Those that the compiler loads too.\n\
             pub static NETS: &[(usize, fn(u32) -> Result<(), &'static str>)] = &[\n{nets}];\n"
        ),
    );
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let (flash, ram, tick): (u32, u32, u32) = match target.as_str() {
        // mps2-an385, mps2-an386: 25 MHz
        t if t.starts_with("thumbv7") || t.starts_with("thumbv6m") => (0, 0x2000_0000, 40_000),
        // mps3-an547: 32 MHz
        t if t.starts_with("thumbv8m.main") => (0, 0x2000_0000, 31_250),
        // virt, started without a loader: everything is in its RAM
        t if t.starts_with("riscv32") => (0x8000_0000, 0x8040_0000, 0),
        _ => return,
    };
    let mut memory = format!(
        "MEMORY {{\nFLASH : ORIGIN = {flash:#x}, LENGTH = 4M\nRAM : ORIGIN = {ram:#x}, LENGTH = 4M\n}}\n"
    );
    if target.starts_with("riscv") {
        for (region, place) in [
            ("TEXT", "FLASH"),
            ("RODATA", "FLASH"),
            ("DATA", "RAM"),
            ("BSS", "RAM"),
            ("HEAP", "RAM"),
            ("STACK", "RAM"),
        ] {
            writeln!(memory, "REGION_ALIAS(\"REGION_{region}\", {place});")
                .expect("a string takes all");
        }
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    if target.starts_with("thumbv8m.main") {
        // Code and data memory are small; the models go to the secure alias of the DRAM.
        memory = "MEMORY {\nFLASH : ORIGIN = 0, LENGTH = 512K\nRAM : ORIGIN = 0x20000000, LENGTH = 512K\n\
                  DRAM : ORIGIN = 0x70000000, LENGTH = 16M\n}\n\
                  SECTIONS {\n.models : { *(.rodata.*models*) } > DRAM\n}\n"
            .to_owned();
    }
    write("memory.x", &memory);
    println!("cargo::rustc-env=TICK_PS={tick}");
    println!("cargo::rustc-link-search={out}");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}
