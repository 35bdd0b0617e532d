//! Stable rustc never sets `target_feature = "dsp"` or `"mve"` on Thumb nor `"neon"` on ARMv7 nor `"v"` on RISC-V, and
//! has no name for conditional moves, so the target's name and `-C target-cpu` have to tell.

use std::env;

/// The features that are cells.
const CELLS: &[&str] = &[
    "rnn",
    "lstm",
    "gru",
    "gru-reset-before",
    "fastgrnn",
    "lstm-coupled",
    "lstm-peephole",
    "mingru",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(cortex_m_dsp, cortex_m_helium)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // Of `-C name=value`, in one argument or two.
    let option = |name: &'static str| {
        let arguments = flags.split('\u{1f}');
        arguments.filter_map(move |argument| {
            let argument = (argument.strip_prefix("-C"))
                .or(argument.strip_prefix("--codegen="))
                .unwrap_or(argument);
            argument.strip_prefix(name)?.strip_prefix('=')
        })
    };
    let cpu = option("target-cpu").next_back().unwrap_or_default();
    // What is said last of a feature holds, before what its CPU has.
    let feature = |name: &str, of_cpus: &[&str]| {
        let said = option("target-feature").flat_map(|list| list.split(','));
        let mut said = said.filter_map(|word| match word.split_at_checked(1)? {
            ("+", it) if it == name => Some(true),
            ("-", it) if it == name => Some(false),
            _ => None,
        });
        said.next_back().unwrap_or(of_cpus.contains(&cpu))
    };
    let main = target.starts_with("thumbv8m.main");
    let helium = main && feature("mve", &["cortex-m52", "cortex-m55", "cortex-m85"]);
    if helium {
        println!("cargo::rustc-cfg=cortex_m_helium");
    }
    let dsp = helium
        || target.starts_with("thumbv7em")
        || main
            && feature(
                "dsp",
                &["cortex-m33", "cortex-m52", "cortex-m55", "cortex-m85"],
            );
    if dsp {
        println!("cargo::rustc-cfg=cortex_m_dsp");
        // Assembler on its own is read for the target without its CPU, once a whole program is optimised together.
        let cpu = match (main, helium) {
            (true, true) => ".cpu cortex-m55",
            (true, false) => ".cpu cortex-m33",
            (false, _) => "",
        };
        println!("cargo::rustc-env=KINGLET_ASM_CPU={cpu}");
    }
    println!("cargo::rustc-check-cfg=cfg(no_conditional_moves)");
    let without = ["thumbv6m", "thumbv8m.base", "riscv"];
    if without.iter().any(|name| target.starts_with(name)) {
        println!("cargo::rustc-cfg=no_conditional_moves");
    }

    println!("cargo::rustc-check-cfg=cfg(has_amx)");
    // A process asks its system for the registers.
    let is =
        |name: &str, value| env::var(format!("CARGO_CFG_TARGET_{name}")).as_deref() == Ok(value);
    if is("ARCH", "x86_64") && is("OS", "linux") && env::var_os("CARGO_FEATURE_STD").is_some() {
        println!("cargo::rustc-cfg=has_amx");
    }

    // What firmware may leave out. Headers that can be written are those of the desk.
    let firmware = env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none")
        && env::var_os("CARGO_FEATURE_SERDE").is_none();
    let there = |feature: &str| {
        let name = feature.to_uppercase().replace('-', "_");
        !firmware || env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };
    println!(
        "cargo::rustc-check-cfg=cfg(conv, gru_relu, lstm_relu, hard_gates, w8a16, w4a8, long_memory)"
    );
    for feature in [
        "conv",
        "gru-relu",
        "lstm-relu",
        "hard-gates",
        "w8a16",
        "w4a8",
        "long-memory",
    ] {
        if there(feature) {
            println!("cargo::rustc-cfg={}", feature.replace('-', "_"));
        }
    }
    // Cells and formats whose packed rows are in records of four.
    println!("cargo::rustc-check-cfg=cfg(records)");
    let recorded = [
        "rnn",
        "w4a8",
        "lstm-relu",
        "hard-gates",
        "long-memory",
        "fastgrnn",
        "lstm-coupled",
        "lstm-peephole",
        "mingru",
    ];
    if recorded.into_iter().any(there) {
        println!("cargo::rustc-cfg=records");
    }
    println!("cargo::rustc-check-cfg=cfg(cells_left_out)");
    println!("cargo::rustc-check-cfg=cfg(cell, values(any()))");
    for cell in CELLS {
        if there(cell) {
            println!("cargo::rustc-cfg=cell=\"{cell}\"");
        } else {
            println!("cargo::rustc-cfg=cells_left_out");
        }
    }

    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    println!("cargo::rustc-check-cfg=cfg(armv7_neon)");
    let armv7_neon = arch == "arm" && (feature("neon", &[]) || target.starts_with("thumbv7neon"));
    if armv7_neon {
        println!("cargo::rustc-cfg=armv7_neon");
    }
    // Where `wide` becomes vector instructions.
    println!("cargo::rustc-check-cfg=cfg(wide_vectors)");
    let vectors = match arch.as_str() {
        "x86_64" | "x86" | "aarch64" => true,
        "wasm32" => features.split(',').any(|feature| feature == "simd128"),
        _ => armv7_neon,
    };
    if vectors {
        println!("cargo::rustc-cfg=wide_vectors");
    }

    // A table for vectors, and whether whatever runs this build has them.
    println!("cargo::rustc-check-cfg=cfg(rvv, target_rvv)");
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if arch == "riscv64" && os != "none" {
        println!("cargo::rustc-cfg=rvv");
        if feature("v", &[]) {
            println!("cargo::rustc-cfg=target_rvv");
        }
    }

    println!("cargo::rustc-check-cfg=cfg(has_sve)");
    // Its assembler is for ELF, addresses of 64 bits, and inputs in the order of their bytes.
    let assembled = is("OS", "linux") && is("POINTER_WIDTH", "64") && is("ENDIAN", "little");
    if arch == "aarch64" && features.split(',').any(|feature| feature == "neon") && assembled {
        println!("cargo::rustc-cfg=has_sve");
    }

    // Firmware has one table, unless it is there to compare several.
    println!("cargo::rustc-check-cfg=cfg(one_table)");
    let one_table = os == "none" && env::var_os("CARGO_FEATURE_CHECK").is_none();
    if one_table {
        println!("cargo::rustc-cfg=one_table");
    }

    println!("cargo::rustc-check-cfg=cfg(armv6m, no_simd)");
    let armv6m = target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base");
    if armv6m {
        println!("cargo::rustc-cfg=armv6m");
    }
    let armv7m = target.starts_with("thumbv7m") || target.starts_with("thumbv8m.main") && !dsp;
    let riscv = arch == "riscv32" && features.split(',').any(|feature| feature == "m");
    if armv6m || armv7m || riscv {
        println!("cargo::rustc-cfg=no_simd");
    }
    // Built for size, or to be loaded before its first step: what is there more than once for speed is there once.
    println!("cargo::rustc-check-cfg=cfg(small)");
    if arch == "wasm32" || matches!(env::var("OPT_LEVEL").as_deref(), Ok("s" | "z")) {
        println!("cargo::rustc-cfg=small");
    }

    // One table, whose steps go from panel to panel of units.
    println!("cargo::rustc-check-cfg=cfg(one_walk)");
    if one_table && !helium && (dsp || armv6m || armv7m || riscv) {
        println!("cargo::rustc-cfg=one_walk");
    }
}
