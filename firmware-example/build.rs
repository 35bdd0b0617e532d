//! Turns the held-out rows into a constant array, and lays out the memory of the emulated boards.
//!
//! The model is the one laid out for the target, where there is one. A row of `model/samples.csv` may have more columns than the model has features: they are found by name.
//! FIRMWARE_MODEL and FIRMWARE_SAMPLES are other files than those in `model/`.

use kinglet::Model;
use kinglet::format::{Header, Input, Output};
use std::fmt::Write;
use std::path::{Path, PathBuf, absolute};
use std::{env, fs, process};

/// Ends the build with a plain message.
fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    process::exit(1)
}

/// A file of the environment, from the folder where the build was started, or one beside this.
fn chosen(variable: &str, usual: &str) -> PathBuf {
    println!("cargo::rerun-if-env-changed={variable}");
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let path = env::var_os(variable).map_or(folder.join(usual), |given| {
        let given = PathBuf::from(given);
        if given.is_relative() {
            fail(&format!(
                "{variable}={}: give a path from the root, as $PWD/{}",
                given.display(),
                given.display()
            ));
        }
        given
    });
    println!("cargo::rerun-if-changed={}", path.display());
    absolute(path).unwrap_or_default()
}

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
    let model = chosen("FIRMWARE_MODEL", model(&target));
    write("samples.rs", &samples(&model));
    println!("cargo::rustc-env=MODEL={}", model.display());
    if let Some(board) = board(&target) {
        write("memory.x", board.memory);
        println!("cargo::rustc-env=TICK_PS={}", board.tick);
        println!("cargo::rustc-link-search={out}");
        if target.starts_with("riscv") {
            println!("cargo::rustc-link-arg-bins=-Tmemory.x");
        }
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
    }
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
fn samples(path: &Path) -> String {
    let name = path.display();
    let file = fs::read(path).unwrap_or_else(|e| fail(&format!("{name}: {e}")));
    // The engine wants the file at a multiple of 16 in memory.
    let mut room = vec![0; file.len() + 15];
    let start = room.as_ptr().align_offset(16);
    let bytes = &mut room[start..start + file.len()];
    bytes.copy_from_slice(&file);
    let model = Model::from_bytes(bytes).unwrap_or_else(|e| fail(&format!("{name}: {e}")));
    if !model.is_integer() {
        fail(&format!(
            "{name}: this example steps without floats, so it takes a model in w8a8, w8a16 or w4a8; make one with: kinglet \
             quantize {name} --precision w8a8 --calibrate DATA.csv --out MODEL.kgl"
        ));
    }
    if model.is_bidirectional() {
        fail(&format!(
            "{name}: a bidirectional model is run over whole windows (Model::bind_window), and this example steps"
        ));
    }
    let (names, is_tokens) = match model.header().input {
        Input::Features { names, .. } => (names, false),
        Input::Tokens { names, .. } => (names, true),
    };
    let names = without_units(names);
    let (answers, is_choice) = match model.header().output {
        Output::Values { names, .. } => (without_units(names), false),
        Output::Classes { names, .. } => (without_units(names), true),
        Output::NextToken { .. } => (names.clone(), true),
    };
    let gaps = gaps(bytes);
    let samples = chosen("FIRMWARE_SAMPLES", "model/samples.csv");
    let shown = samples.display();
    let text = fs::read_to_string(&samples).unwrap_or_else(|e| fail(&format!("{shown}: {e}")));
    let mut lines = text.lines();
    let header: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .collect();
    if header.len() == 1 && header[0].contains([';', '\t', '|']) {
        fail(&format!(
            "{shown}: this example reads commas between fields, and there are others in {:?}",
            header[0]
        ));
    }
    let columns: Vec<Source<'_>> = if is_tokens {
        vec![Source::of_tokens(&header, &names).unwrap_or_else(|e| fail(&format!("{shown}: {e}")))]
    } else {
        let of = names.iter().map(|&name| Source::of_feature(name, &header));
        let all: Result<_, _> = of.collect();
        all.unwrap_or_else(|e| fail(&format!("{shown}: {e}, which {name} needs")))
    };
    let (mut rows, mut count) = (String::new(), 0);
    for (line, row) in lines.enumerate() {
        let fields: Vec<&str> = row.split(',').map(str::trim).collect();
        let values = columns.iter().map(|column| column.value(&fields, &gaps));
        let values: Result<Vec<String>, String> = values.collect();
        let values = values.unwrap_or_else(|e| fail(&format!("{shown}:{}: {e}", line + 2)));
        writeln!(rows, "    [{}],", values.join(", ")).expect("a string takes all");
        count += 1;
    }
    if count == 0 {
        fail(&format!("{shown}: no rows below the header"));
    }
    let (inputs, outputs, width) = (model.inputs(), model.outputs(), columns.len());
    let answers: Vec<String> = (0..outputs)
        .map(|k| answers.get(k).copied().unwrap_or_default().to_owned())
        .collect();
    format!(
        "/// Numbers in a sample, or tokens in the alphabet.\npub const INPUTS: usize = {inputs};\n\
         /// Numbers in a prediction.\npub const OUTPUTS: usize = {outputs};\n\
         /// What each of them is called.\npub static NAMES: [&str; OUTPUTS] = {answers:?};\n\
         /// They are the probabilities of classes or tokens.\npub const CHOICE: bool = {is_choice};\n\
         /// A sample is the number of a token.\npub const TOKENS: bool = {is_tokens};\n\
         /// Numbers in a row of samples.\npub const WIDTH: usize = {width};\n\
         /// Held-out raw samples; NaN where one is missing.\npub static SAMPLES: [[f32; WIDTH]; {count}] = [\n{rows}];\n"
    )
}

/// The names of a header, whose units stand behind them.
fn without_units(names: &str) -> Vec<&str> {
    names
        .split('\0')
        .map(|name| name.split('\u{1}').next().unwrap_or_default())
        .collect()
}

/// What stands for no value in the data that the model was trained on: behind the header a model file has what `kinglet train` was
/// told of it, in TOML.
fn gaps(model: &[u8]) -> Vec<String> {
    let header = || {
        let (_, tail) = Header::in_file(model).ok()?;
        std::str::from_utf8(tail.data).ok()
    };
    let words = header().unwrap_or_default();
    let list = words
        .lines()
        .find_map(|line| line.strip_prefix("missing_values = "));
    // Every second piece stands between quotes.
    let pieces = list.unwrap_or_default().split('"');
    pieces.skip(1).step_by(2).map(String::from).collect()
}

/// Where a number of a sample comes from.
enum Source<'a> {
    /// A column of numbers; a gap is NaN, which a model that fills gaps takes.
    Number(usize),
    /// 1 where a column holds a text.
    Category(usize, &'a str),
    /// The engine fills it in.
    Missing,
    /// A column of the names of tokens, or of their numbers.
    Token(usize, Vec<&'a str>),
}

impl<'a> Source<'a> {
    fn of_feature(name: &'a str, header: &[&str]) -> Result<Self, String> {
        let place = |name: &str| header.iter().position(|column| *column == name);
        if let Some(at) = place(name) {
            return Ok(Source::Number(at));
        }
        if name.starts_with("missing(") {
            return Ok(Source::Missing);
        }
        if let Some((column, text)) = name.rsplit_once('=')
            && let Some(at) = place(column)
        {
            return Ok(Source::Category(at, text));
        }
        let computed = match name.contains(['(', '+']) {
            true => " with its computed values",
            false => "",
        };
        Err(format!("no column {name:?}{computed}"))
    }

    fn of_tokens(header: &[&str], names: &[&'a str]) -> Result<Self, String> {
        let at = header.iter().position(|column| *column == "token");
        let at = at.ok_or("no column \"token\" with names or numbers of tokens")?;
        Ok(Source::Token(at, names.to_vec()))
    }

    /// As Rust writes the number.
    fn value(&self, fields: &[&str], gaps: &[String]) -> Result<String, String> {
        let field = |at: usize| {
            let lacking = || format!("there is no column {}", at + 1);
            fields.get(at).copied().ok_or_else(lacking)
        };
        match self {
            Source::Number(at) => {
                let text = field(*at)?;
                let number: Result<f32, _> = text.parse();
                let is_gap = |gap: &String| gap == text || number.is_ok() && gap.parse() == number;
                if gaps.iter().any(is_gap) || ["", "na", "nan"].contains(&&*text.to_lowercase()) {
                    return Ok("f32::NAN".into());
                }
                let number =
                    number.map_err(|_| format!("{text:?} in column {} is no number", at + 1))?;
                Ok(format!("{number:?}"))
            }
            Source::Category(at, text) => {
                Ok(if field(*at)? == *text { "1.0" } else { "0.0" }.into())
            }
            Source::Missing => Ok("0.0".into()),
            Source::Token(at, names) => {
                let text = field(*at)?;
                let named = names.iter().position(|name| *name == text);
                let number = || text.parse().ok().filter(|&n: &usize| n < names.len());
                let token = named.or_else(number);
                let token = token.ok_or_else(|| format!("{text:?} is no token of the model"))?;
                Ok(format!("{token}.0"))
            }
        }
    }
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
