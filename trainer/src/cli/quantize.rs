//! `kinglet quantize`.

use super::model_file::ModelFile;
use super::samples::CsvOptions;
use super::{Precision, Target, calibrate, say, say_notes, writable};
use anyhow::{Context, Result};
use clap::ValueEnum;
use kinglet::Model;
use kinglet_trainer::file::{package, save};
use std::path::PathBuf;

/// Turn a float model into an integer one (or f16), calibrated on real data
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet quantize pump.kgl --precision w8a8 --calibrate train.csv --out pump-w8a8.kgl
  kinglet quantize pump.kgl --precision w8a8 --for cortex-m4 --calibrate train.csv --out pump-m4.kgl
  kinglet quantize pump.kgl --precision w8a16 --calibrate train.csv --delimiter ';' --out pump-w8a16.kgl

The data is raw, as for `predict`: a few thousand rows that look like those to come. Prints file and state
sizes before and after, and how far the network's outputs moved over the data.")]
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
}

impl QuantizedPrecision {
    fn precision(self) -> Precision {
        match self {
            QuantizedPrecision::F16 => Precision::F16,
            QuantizedPrecision::W8a16 => Precision::W8a16,
            QuantizedPrecision::W8a8 => Precision::W8a8,
            QuantizedPrecision::W4a8 => Precision::W4a8,
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    writable(&args.out)?;
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let package = package(&file.bytes).with_context(|| args.model.display().to_string())?;
    let streams = calibrate::streams(&args.calibrate, &model, &args.csv)?;
    let format = args.precision.precision().format();
    let exported = calibrate::calibrated(&package, format, args.target.layout(), &streams)?;
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
    Ok(())
}
