//! Which memory, and which linker scripts: they follow from the chip, which is a feature.

use std::{env, fs, path::PathBuf};

const CHIPS: [&str; 6] = [
    "rp2040", "rp2350", "stm32f4", "stm32h7", "nrf52840", "esp32c3",
];

fn main() {
    let chosen =
        |chip: &&str| env::var_os(format!("CARGO_FEATURE_{}", chip.to_uppercase())).is_some();
    let chips: Vec<&str> = CHIPS.into_iter().filter(chosen).collect();
    let [chip] = chips[..] else {
        println!(
            "cargo::error=take one chip: `cargo {}` (they are in .cargo/config.toml)",
            CHIPS.join("`, `cargo ")
        );
        return;
    };
    println!("cargo::rerun-if-changed=memory");
    // An embassy-stm32 brings its own; esp-hal does, too.
    if let Ok(memory) = fs::read(format!("memory/{chip}.x")) {
        let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
        fs::write(out.join("memory.x"), memory).unwrap();
        println!("cargo::rustc-link-search={}", out.display());
    }
    let scripts: &[&str] = match chip {
        "esp32c3" => &["linkall.x", "defmt.x"],
        "rp2040" => &["link.x", "link-rp.x", "defmt.x"],
        _ => &["link.x", "defmt.x"],
    };
    for script in scripts {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    if chip != "esp32c3" {
        // A vector table at an address that is no multiple of 64 KB.
        println!("cargo::rustc-link-arg-bins=--nmagic");
    }
}
