//! `kinglet quantize`.

use super::budget::BudgetOptions;
use super::calibrate::{Calibration, Compared};
use super::csv_options::CsvOptions;
use super::{
    calibrate, layout, mixed, precision, print_json, quantize_pair, say, say_notes, usage, writable,
};
use anyhow::{Context, Result};
use kinglet::format::{Format, Layout};
use kinglet_trainer::budget::Budget;
use kinglet_trainer::file::{TestInputs, package, save};
use kinglet_trainer::model_file::ModelFile;
use kinglet_trainer::quant::Ranges;
use kinglet_trainer::quant::mixed::search;
use kinglet_trainer::task::Precision;
use std::path::{Path, PathBuf};

/// Turn a float model into an integer one (or f16), calibrated on real data
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet quantize pump.kgl --precision w8a8 --calibrate train.csv --out pump-w8a8.kgl
  kinglet quantize pump.kgl --precision w8a8 --for cortex-m4 --calibrate train.csv --out pump-m4.kgl
  kinglet quantize pump.kgl --precision w8a16 --calibrate train.csv --delimiter ';' --out pump-w8a16.kgl
  kinglet quantize dates.encoder.kgl --decoder dates.decoder.kgl --precision w8a8 --calibrate pairs.csv --out dates-w8a8.kgl
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
    pub model: PathBuf,

    /// Number format to make
    #[arg(long, value_parser = precision(|all| all != Precision::One(Format::F32)))]
    pub precision: Precision,

    /// CPU that the weights are laid out for
    #[arg(
        long = "for",
        value_parser = layout(),
        value_name = "CPU",
        default_value = "portable"
    )]
    pub layout: Layout,

    /// The model is an encoder of texts, and this the float model of its decoder: both are quantized together, on texts in columns
    /// `source` and `target` of the data, and written as MODEL.encoder.kgl and MODEL.decoder.kgl
    #[arg(long, value_name = "DECODER.kgl")]
    decoder: Option<PathBuf>,

    /// Raw samples, from which the integer formats take their ranges
    #[arg(long, value_name = "DATA.csv")]
    pub calibrate: PathBuf,

    /// With `mixed`
    #[command(flatten)]
    budget: BudgetOptions,

    /// Write the trade-off as a table too (with `mixed`)
    #[arg(long, value_name = "FILE.csv")]
    curve: Option<PathBuf>,

    /// Where the model goes
    #[arg(long, value_name = "MODEL.kgl")]
    pub out: PathBuf,

    /// Write the model even where its outputs differ from those in f32 by more than 5 % of their spread
    #[arg(long)]
    pub force: bool,

    /// The result as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub csv: CsvOptions,
}

pub fn run(args: &Args) -> Result<()> {
    calibrate::tell_rounding();
    if let Some(decoder) = &args.decoder {
        return quantize_pair::run(args, decoder);
    }
    let inputs: [&Path; 2] = [&args.model, &args.calibrate];
    writable(&args.out, &inputs)?;
    let mixed = args.precision == Precision::Mixed;
    let budget = args.budget.of_mixed(mixed, Budget::default())?;
    if args.curve.is_some() && !mixed {
        return Err(usage("--curve goes with --precision mixed"));
    }
    if let Some(curve) = &args.curve {
        writable(curve, &inputs)?;
        if *curve == args.out {
            return Err(usage("--curve and --out are one file: give another name"));
        }
    }
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let package = package(&file.bytes).with_context(|| args.model.display().to_string())?;
    let calibration = calibrate::read(&args.calibrate, &model, &args.csv.of_model(&file))?;
    let Calibration {
        streams, probes, ..
    } = &calibration;
    let mut layout = args.layout;
    if let Some(core) = budget.core {
        layout = core.laid_out(layout).map_err(usage)?;
    }
    let mut curve = None;
    let exported = match args.precision.format() {
        Some(format) => calibrate::fitted(&package, (format, layout), &calibration)?,
        None => {
            let ranges = Ranges::measure(&package.net, streams);
            let tests = TestInputs::from_stream(&streams[0], package.net.input_width());
            let mixed = search(&package, &ranges, layout, &tests, probes, &budget)?;
            match args.json {
                true => curve = Some(mixed::json(&mixed)),
                false => mixed::print(&mixed, &package, budget.core)?,
            }
            if let Some(path) = &args.curve {
                save(path, &mixed::to_csv(&mixed)?)?;
            }
            mixed.exported
        }
    };
    say_notes(&exported.notes);
    let sizes = [file.bytes.len(), exported.bytes.len()];
    let compared = Compared::new(&model, sizes, &exported, &calibration)?;
    if args.json {
        let mut result = compared.json();
        result["formats"] = curve.into();
        print_json(&result)?;
    } else {
        compared.print()?;
    }
    compared.judge(args.force, &calibration, |format| {
        calibrate::fitted(&package, (format, layout), &calibration)
    })?;
    save(&args.out, &exported.bytes)?;
    say(&format!("{}: written", args.out.display()));
    if let Some(path) = &args.curve {
        say(&format!("{}: written", path.display()));
    }
    Ok(())
}
