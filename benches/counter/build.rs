//! Lists the models to measure, and lays out the memory of the emulated board.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=KINGLET_MODELS");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |name: &str, text: &str| {
        fs::write(Path::new(&out).join(name), text).unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    let mut models = String::new();
    // Without the script there is nothing to measure: the checker alone.
    if let Ok(folder) = env::var("KINGLET_MODELS") {
        println!("cargo::rerun-if-changed={folder}");
        let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
        let mut paths: Vec<_> = files
            .map(|file| file.expect("a readable folder").path())
            .collect();
        paths.sort();
        for path in paths {
            writeln!(models, "    kinglet::include_model!({path:?}),").expect("a string takes all");
        }
    }
    write(
        "models.rs",
        &format!("pub static MODELS: &[&[u8]] = &[\n{models}];\n"),
    );
    let target = env::var("TARGET").expect("cargo sets TARGET");
    println!("cargo::rustc-check-cfg=cfg(armv6m)");
    if target.starts_with("thumbv6m") {
        println!("cargo::rustc-cfg=armv6m");
    }
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
