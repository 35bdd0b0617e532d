//! The command line, which the Python wheel brings too: one file per subcommand.
//!
//! Results go to standard output, everything else to standard error. The exit code is 0, 1 for a failure,
//! 2 for wrong use. Files appear whole or not at all.

// It panics where a pipe is closed or a disk is full.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod backtest;
mod budget;
mod calibrate;
mod chat;
mod csv_options;
mod demo;
mod export;
mod folds;
mod generate;
mod help;
mod import;
mod init;
mod inspect;
mod live;
mod mixed;
mod names;
mod pair;
mod predict;
mod progress;
mod quantize;
mod quantize_pair;
mod report;
mod said;
mod samples;
mod streams;
mod texts;
mod train;
mod tune;
mod verify;
mod wav;

use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use kinglet::format::{Format, Layout};
use kinglet::kernel::Kernels;
use kinglet_trainer::causes::InOneLine;
use kinglet_trainer::save::writable;
use kinglet_trainer::task::Precision;
use serde::Serialize;
use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Trains, quantizes and runs recurrent networks for the kinglet engine
#[derive(Parser)]
#[command(name = "kinglet", version, about, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Examples:
  kinglet demo
  kinglet init pump.csv
  kinglet train pump.toml --out pump.kgl
  kinglet tune pump.toml --hidden 8..64 --max-flash 8K --out small.toml
  kinglet report pump.toml --model pump.f32.kgl --with pump.kgl --out report.html
  kinglet import lstm.safetensors --out lstm.kgl
  kinglet quantize lstm.kgl --precision w8a8 --calibrate train.csv --out lstm-w8a8.kgl
  kinglet verify lstm-w8a8.kgl
  kinglet predict lstm-w8a8.kgl --csv test.csv > predictions.csv

New here? `kinglet help start`. Every key of a task file: `kinglet help task`. An error message: `kinglet help errors`.
Exit code: 0, 1 for a failure, 2 for wrong use.";

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Train(train::Args),
    Tune(tune::Args),
    Import(import::Args),
    Quantize(quantize::Args),
    Report(report::Args),
    Predict(predict::Args),
    Backtest(backtest::Args),
    Generate(generate::Args),
    Translate(pair::Args),
    Chat(chat::Args),
    Export(export::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Help(help::Args),
}

/// What the program `kinglet` does.
pub fn main() -> ExitCode {
    run_with(env::args_os()).into()
}

/// The same with these arguments, the first of which is what the program is called; gives the exit code. Standard output has
/// been written out when it returns.
pub fn run_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        // Its own message does not say which.
        Err(shown) if shown.kind() == clap::error::ErrorKind::InvalidUtf8 => {
            let strange = arguments.iter().filter(|text| text.to_str().is_none());
            let strange: Vec<String> = strange.map(|text| format!("{text:?}")).collect();
            say(&format!(
                "error: {}: not UTF-8; on the command line only the names of files may be anything else",
                strange.join(" or ")
            ));
            return shown.exit_code() as u8;
        }
        Err(shown) => {
            // Help that nobody reads, as of `| head`.
            let _ = shown.print();
            return shown.exit_code() as u8;
        }
    };
    let done = run(cli).and_then(|()| Ok(io::stdout().flush()?));
    match done {
        Ok(()) => 0,
        // Whoever read our output has seen enough (`| head`).
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            // Files are named where they are written.
            let full = |e: &io::Error| e.kind() == ErrorKind::StorageFull;
            let alone = error.chain().count() == 1 && error.downcast_ref().is_some_and(full);
            let place = if alone {
                "the standard output cannot be written: "
            } else {
                ""
            };
            say(&format!("error: {place}{}", InOneLine(&error)));
            match error.chain().any(|cause| cause.is::<Usage>()) {
                true => 2,
                false => 1,
            }
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Init(args)) => init::run(&args),
        Some(Command::Train(args)) => train::run(&args),
        Some(Command::Tune(args)) => tune::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Quantize(args)) => quantize::run(&args),
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Predict(args)) => predict::run(&args),
        Some(Command::Backtest(args)) => backtest::run(&args),
        Some(Command::Generate(args)) => generate::run(&args),
        Some(Command::Translate(args)) => pair::run(&args),
        Some(Command::Chat(args)) => chat::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Inspect(args)) => inspect::run(&args),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Help(args)) => help::run(&args),
        // Set where `cargo run` starts it in the repository.
        None if env::var_os("KINGLET_WITHOUT_COMMAND").is_some_and(|c| c == "demo") => {
            demo::run(&demo::Args::default())
        }
        None => help::run(&help::Args::default()),
    }
}

/// Wrong use that the argument parser cannot see.
#[derive(Debug)]
struct Usage(String);

impl Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|c| c.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// A line on standard error; nobody may be listening.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A result for programs.
fn print_json(value: &impl Serialize) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Notes that an export left.
fn say_notes(notes: &[String]) {
    for note in notes {
        say(&format!("note: {note}"));
    }
}

/// Number format of a model file, one of some, each with its description in the help.
fn precision(allowed: impl Fn(Precision) -> bool) -> impl TypedValueParser<Value = Precision> {
    let allowed = Precision::ALL
        .into_iter()
        .filter(|&precision| allowed(precision));
    let values = allowed.map(|precision| {
        let help = match precision {
            Precision::One(Format::F32) => "Weights and activations in 32-bit float",
            Precision::One(Format::F16) => "Weights in 16-bit float, arithmetic in 32-bit",
            Precision::One(Format::W8A16) => "Weights in 8 bits, activations in 16: integers only",
            Precision::One(Format::W8A8) => "Weights and activations in 8 bits: integers only",
            Precision::One(Format::W4A8) => {
                "As w8a8, with weights in 4 bits: half the flash, less accurate"
            }
            Precision::Mixed => {
                "For every layer the integer format that a budget of flash or cycles allows"
            }
        };
        PossibleValue::new(precision.name()).help(help)
    });
    PossibleValuesParser::new(values.collect::<Vec<_>>())
        .try_map(|name| Precision::named(&name).ok_or("no such number format"))
}

/// CPU that an integer model's weights are laid out for.
fn layout() -> impl TypedValueParser<Value = Layout> {
    const LAYOUTS: [(Layout, &[&str], &str); 4] = [
        (
            Layout::Portable,
            &["x86", "aarch64", "armv7", "cortex-m3", "riscv32", "wasm"],
            "Any; the fastest layout for x86, aarch64, armv7, cortex-m3, riscv32 and wasm, which are names for it too",
        ),
        (
            Layout::CortexM0,
            &["cortex-m0plus"],
            "Cortex-M0 and M0+; runs on others too, with the same results",
        ),
        (
            Layout::CortexM4,
            &["cortex-m7", "cortex-m33"],
            "Cortex-M4, M7 and M33 with DSP instructions; runs on others too, slowly, with the same results",
        ),
        (
            Layout::CortexM55,
            &["cortex-m85"],
            "Cortex-M55 and M85 with Helium; runs on others too, slowly, with the same results",
        ),
    ];
    let value = |&(layout, aliases, help): &(Layout, &'static [&'static str], &'static str)| {
        PossibleValue::new(layout.name())
            .aliases(aliases)
            .help(help)
    };
    let values: Vec<PossibleValue> = LAYOUTS.iter().map(value).collect();
    PossibleValuesParser::new(values).try_map(|name| {
        let called = |(layout, aliases, _): &&(Layout, &[&str], &str)| {
            layout.name() == name || aliases.contains(&&*name)
        };
        let found = LAYOUTS.iter().find(called);
        found.map(|found| found.0).ok_or("no such CPU")
    })
}

/// The names of the tables that this CPU can run.
fn kernel_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Kernels::available().map(Kernels::name))
}

fn kernels(name: Option<&str>) -> &'static Kernels {
    let named = name.and_then(|name| Kernels::available().find(|k| k.name() == name));
    named.unwrap_or_else(Kernels::detect)
}
