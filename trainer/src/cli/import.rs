//! `kinglet import`.

use super::calibrate::Compared;
use super::csv_options::CsvOptions;
use super::{calibrate, layout, precision, say, say_notes, writable};
use anyhow::{Context, Result};
use clap::builder::TypedValueParser;
use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet_trainer::file::save;
use kinglet_trainer::import::{ImportOptions, MOST, Proof, read, side_file};
use kinglet_trainer::quant::Stream;
use kinglet_trainer::task::Precision;
use std::path::{Path, PathBuf};

/// Make a model file of a network trained elsewhere: ONNX, Keras, TensorFlow Lite, PyTorch, RTNeural, Neural Amp Modeler
#[derive(clap::Args)]
#[command(after_help = "\
Files: ONNX (.onnx), Keras (.keras, .h5), TensorFlow Lite (.tflite), a PyTorch state dict (.safetensors, .pt, .pth, .ckpt, .npz, .json),
RTNeural's JSON, Neural Amp Modeler's LSTMs (.nam). At every import the file's network runs in an interpreter beside the engine, and the largest
differences are printed; a model that differs is not written.

Examples:
  kinglet import net.onnx --out net.kgl
  kinglet import net.keras --precision w8a8 --calibrate train.csv --out net.kgl
  kinglet import net.onnx --names temp,load --units °C,kN --input-mean 21.5,0.4 --input-std 3.2,0.25 --out net.kgl
  kinglet import lstm.safetensors --out lstm.kgl
  kinglet import rnn.pt --nonlinearity tanh --out rnn.kgl
  kinglet import chars.safetensors --tokens alphabet.txt --predicts next-token --out chars.kgl

Without --names the inputs of the model are called x0, x1, ...; without --input-mean and --input-std they enter as they are, and so
does the calibration data.")]
pub struct Args {
    /// The network
    #[arg(value_name = "FILE")]
    state: PathBuf,

    /// Where the model goes
    #[arg(long, value_name = "MODEL.kgl")]
    out: PathBuf,

    /// Number format of the model
    #[arg(long, default_value = "f32", value_parser = precision(|all| all != Precision::Mixed).try_map(single))]
    precision: Format,

    /// CPU that the weights are laid out for
    #[arg(
        long = "for",
        value_parser = layout(),
        value_name = "CPU",
        default_value = "portable"
    )]
    layout: Layout,

    /// Samples in the units of the model's inputs, from which the integer formats take their ranges:
    /// columns by the inputs' names or all by position; for an embedding a column `token`, or a text a row if the model answers whole texts
    #[arg(long, value_name = "DATA.csv")]
    calibrate: Option<PathBuf>,

    /// Write the model even where its outputs differ from those in f32 by more than 5 % of their spread
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    options: ImportOptions,

    #[command(flatten)]
    csv: CsvOptions,
}

/// What all layers can have.
fn single(precision: Precision) -> Result<Format, &'static str> {
    precision
        .format()
        .ok_or("`kinglet quantize` searches for the formats of an f32 model")
}

/// Samples as the network takes them.
fn sequences(streams: &[Stream], width: usize) -> Vec<Vec<Vec<f32>>> {
    let sequence = |stream: &Stream| match stream {
        Stream::Samples(values) => values.chunks(width).map(<[f32]>::to_vec).collect(),
        Stream::Tokens(tokens) => tokens.iter().map(|&token| vec![token as f32]).collect(),
    };
    streams.iter().map(sequence).collect()
}

/// The largest difference of every layer, in parts of the spread of its outputs.
fn tell(proof: &Proof, which: &str) {
    for layer in &proof.layers {
        say(&format!(
            "layer {}: differs by at most {:.1e} of its spread",
            layer.name,
            layer.share()
        ));
    }
    say(&format!(
        "proof: {} {which} through the file's network and the engine's in f32: equal to within {:.0e} of the outputs' spread",
        proof.samples, proof.allowed
    ));
    let flat = proof.layers.last().filter(|layer| layer.is_flat());
    if let Some(layer) = flat {
        say_notes(&[format!(
            "the outputs hardly change over these samples (by {:.0e}, of {:.0e}), so the comparison says little of layer {}: \
             --calibrate compares on samples of your own",
            layer.spread, layer.largest, layer.name
        )]);
    }
    if proof.allowed > MOST {
        say_notes(&[format!(
            "the network makes more of rounding than others, as one does that forgets little in a step or changes its outputs with the last bits of samples and weights, so {MOST:.0e} cannot be asked of it"
        )]);
    }
}

pub fn run(args: &Args) -> Result<()> {
    if args.calibrate.is_none() {
        args.csv.without("--calibrate")?;
    }
    let beside = side_file(&args.state);
    let inputs = [
        Some(&args.state),
        Some(&beside),
        args.calibrate.as_ref(),
        args.options.tokens.as_ref(),
    ];
    let inputs: Vec<&Path> = inputs.into_iter().flatten().map(PathBuf::as_path).collect();
    writable(&args.out, &inputs)?;
    calibrate::tell_rounding();
    let imported = read(&args.state, &args.options)?;
    let weights: Vec<&Path> = imported.weight_files.iter().map(PathBuf::as_path).collect();
    writable(&args.out, &weights)?;
    imported
        .notes
        .iter()
        .for_each(|note| say(&format!("note: {note}")));
    tell(&imported.prove()?, "random samples");
    let package = &imported.package;
    let float = calibrate::calibrated(package, Format::F32, Layout::Portable, &[])?;
    let model = Model::from_bytes(&float.bytes)?;
    let calibration = match &args.calibrate {
        Some(path) => Some(calibrate::read(path, &model, &args.csv)?),
        None => None,
    };
    if let (Some(path), Some(found)) = (&args.calibrate, &calibration) {
        let given = sequences(&found.streams, package.net.input_width());
        let proof = imported
            .prove_on(given)
            .with_context(|| format!("on the samples of {}", path.display()))?;
        tell(&proof, &format!("samples of {}", path.display()));
    }
    let layout = args.layout;
    let exported = match &calibration {
        Some(found) => calibrate::fitted(package, (args.precision, layout), found)?,
        None => calibrate::calibrated(package, args.precision, layout, &[])?,
    };
    say_notes(&exported.notes);
    if !exported.doubts.is_empty() {
        let names = imported.layer_names();
        let names: Vec<String> = names.map(|(k, name)| format!("{k} is `{name}`")).collect();
        say_notes(&[format!("layers by their numbers: {}", names.join(", "))]);
    }
    match &calibration {
        Some(calibration) if args.precision != Format::F32 => {
            let sizes = [float.bytes.len(), exported.bytes.len()];
            let compared = Compared::new(&model, sizes, &exported, calibration)?;
            compared.print()?;
            compared.judge(args.force, calibration, |format| {
                calibrate::fitted(package, (format, layout), calibration)
            })?;
        }
        Some(_) => {}
        None => calibrate::judge_unmeasured(args.precision, &exported, args.force)?,
    }
    save(&args.out, &exported.bytes)?;
    say(&format!(
        "{}: {} bytes, {}",
        args.out.display(),
        exported.bytes.len(),
        args.precision.name()
    ));
    Ok(())
}
