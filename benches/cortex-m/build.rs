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
    let mut largest = 16;
    // Without the script there is nothing to measure: the checker alone.
    if let Ok(folder) = env::var("KINGLET_MODELS") {
        println!("cargo::rerun-if-changed={folder}");
        let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
        let mut paths: Vec<_> = files
            .map(|file| file.expect("a readable folder").path())
            .collect();
        paths.sort();
        for path in paths {
            let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            largest = largest.max(kinglet::state_len(&bytes));
            let name = path.file_stem().expect("a file").to_string_lossy();
            writeln!(
                models,
                "    (\"{name}\", kinglet::include_model!({path:?})),"
            )
            .expect("a string takes all");
        }
    }
    write(
        "models.rs",
        &format!(
            "/// Bytes of the largest state.\npub const STATE: usize = {largest};\n\
             /// Names and files.\npub static MODELS: &[(&str, &[u8])] = &[\n{models}];\n"
        ),
    );
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let (flash, ram, tick) = match target.as_str() {
        // mps2-an385, mps2-an386: 25 MHz
        t if t.starts_with("thumbv7") || t.starts_with("thumbv6m") => (0, 0x2000_0000, 40_000),
        // mps2-an505: 20 MHz
        t if t.starts_with("thumbv8m.main") => (0x1000_0000, 0x3800_0000, 50_000),
        _ => return,
    };
    write(
        "memory.x",
        &format!(
            "MEMORY {{\nFLASH : ORIGIN = {flash:#x}, LENGTH = 4M\nRAM : ORIGIN = {ram:#x}, LENGTH = 4M\n}}\n"
        ),
    );
    println!("cargo::rustc-env=TICK_PS={tick}");
    println!("cargo::rustc-link-search={out}");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}
