//! `kinglet quantize`.

use super::calibrate::Calibration;
use super::model_file::ModelFile;
use super::samples::CsvOptions;
use super::{Target, calibrate, mixed, say, say_notes, usage, writable};
use anyhow::{Context, Result};
use clap::ValueEnum;
use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet_trainer::file::{TestInputs, package, save};
use kinglet_trainer::quant::Ranges;
use kinglet_trainer::quant::mixed::{Budget, search};
use kinglet_trainer::report::cores::{CORES, Core};
use kinglet_trainer::task::bytes;
use std::path::PathBuf;

/// Turn a float model into an integer one (or f16), calibrated on real data
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet quantize pump.kgl --precision w8a8 --calibrate train.csv --out pump-w8a8.kgl
  kinglet quantize pump.kgl --precision w8a8 --for cortex-m4 --calibrate train.csv --out pump-m4.kgl
  kinglet quantize pump.kgl --precision w8a16 --calibrate train.csv --delimiter ';' --out pump-w8a16.kgl
  kinglet quantize pump.kgl --precision mixed --max-flash 6K --calibrate train.csv --out pump-6k.kgl
  kinglet quantize pump.kgl --precision mixed --core cortex-m4 --max-cycles 9000 --curve curve.csv --calibrate train.csv --out pump-m4.kgl

The data is raw, as for `predict`: a few thousand rows that look like those to come. Prints file and state
sizes before and after, and how far the network's outputs moved over the data.

`mixed` gives every layer the format of its own that makes the outputs err least within a budget: w4a8, w8a8 or w8a16 (the gates of a
layer share it), a dense layer w4a8 or w8a8. The trade-off is printed: of all that was tried, what is not beaten in flash, cycles and
error at once. Cycles are estimated from counted instructions, one a cycle.")]
pub struct Args {
    /// A float model
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// Number format to make
    #[arg(long, value_enum)]
    precision: QuantizedPrecision,

    /// CPU that the weights are laid out for
    #[arg(
        long = "for",
        value_enum,
        value_name = "CPU",
        default_value = "portable"
    )]
    target: Target,

    /// Raw samples, from which the integer formats take their ranges
    #[arg(long, value_name = "DATA.csv")]
    calibrate: PathBuf,

    /// Most bytes of the file, as 16384 or 16K (with `mixed`)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_flash: Option<usize>,

    /// Most instructions of a step on the core (with `mixed`)
    #[arg(long, value_name = "N", requires = "core")]
    max_cycles: Option<usize>,

    /// Core to estimate cycles for (with `mixed`); its layout is taken unless `--for` names another
    #[arg(long, value_name = "CORE", value_parser = core)]
    core: Option<&'static Core>,

    /// Write the trade-off as a table too (with `mixed`)
    #[arg(long, value_name = "FILE.csv")]
    curve: Option<PathBuf>,

    /// Where the model goes
    #[arg(long, value_name = "MODEL.kgl")]
    out: PathBuf,

    #[command(flatten)]
    csv: CsvOptions,
}

/// What a float model can become.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum QuantizedPrecision {
    /// Weights in 16-bit float, arithmetic in 32-bit
    F16,
    /// Weights in 8 bits, activations in 16: integers only
    W8a16,
    /// Weights and activations in 8 bits: integers only
    W8a8,
    /// As w8a8, with weights in 4 bits: half the flash, less accurate
    W4a8,
    /// For every layer the integer format that a budget of flash or cycles allows
    Mixed,
}

impl QuantizedPrecision {
    /// None where it is searched for.
    fn format(self) -> Option<Format> {
        match self {
            QuantizedPrecision::F16 => Some(Format::F16),
            QuantizedPrecision::W8a16 => Some(Format::W8A16),
            QuantizedPrecision::W8a8 => Some(Format::W8A8),
            QuantizedPrecision::W4a8 => Some(Format::W4A8),
            QuantizedPrecision::Mixed => None,
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    writable(&args.out)?;
    let core = args.core;
    match args.precision.format() {
        Some(_) => {
            let given = [
                ("--max-flash", args.max_flash.is_some()),
                ("--max-cycles", args.max_cycles.is_some()),
                ("--core", args.core.is_some()),
                ("--curve", args.curve.is_some()),
            ];
            if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
                return Err(usage(format!("{option} goes with --precision mixed")));
            }
        }
        None if args.max_flash.is_none() && args.max_cycles.is_none() => {
            return Err(usage(
                "--precision mixed needs a budget: --max-flash SIZE, or --core CORE and --max-cycles N",
            ));
        }
        None => {}
    }
    if let Some(curve) = &args.curve {
        writable(curve)?;
    }
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let package = package(&file.bytes).with_context(|| args.model.display().to_string())?;
    let Calibration { streams, probes } = calibrate::read(&args.calibrate, &model, &args.csv)?;
    let mut layout = args.target.layout();
    let exported = match args.precision.format() {
        Some(format) => calibrate::calibrated(&package, format, layout, &streams)?,
        None => {
            if let (Layout::Portable, Some(core)) = (layout, core) {
                layout = core.layout();
            }
            let budget = Budget {
                flash: args.max_flash,
                cycles: args.max_cycles,
                core,
            };
            let ranges = Ranges::measure(&package.net, &streams);
            let tests = TestInputs::from_stream(&streams[0], package.net.input_width());
            let mixed = search(&package, &ranges, layout, &tests, &probes, &budget)?;
            mixed::print(&mixed, &package, core)?;
            if let Some(path) = &args.curve {
                save(path, &mixed::to_csv(&mixed)?)?;
            }
            mixed.exported
        }
    };
    say_notes(&exported.notes);
    let sizes = [file.bytes.len(), exported.bytes.len()];
    calibrate::compare(
        &model,
        sizes,
        &Model::from_bytes(&exported.bytes)?,
        &streams,
    )?;
    save(&args.out, &exported.bytes)?;
    say(&format!("{}: written", args.out.display()));
    if let Some(path) = &args.curve {
        say(&format!("{}: written", path.display()));
    }
    Ok(())
}

fn size(text: &str) -> Result<usize, String> {
    bytes(text).ok_or_else(|| "expected bytes, as 16384, 16K or 1M".to_owned())
}

fn core(key: &str) -> Result<&'static Core, String> {
    Core::named(key).ok_or_else(|| {
        let known: Vec<String> = CORES.iter().map(Core::key).collect();
        format!(
            "the cores with counted instructions are {}",
            known.join(", ")
        )
    })
}
