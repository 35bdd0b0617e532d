//! `kinglet verify`.

use super::print_json;
use anyhow::{Result, bail};
use kinglet::kernel::Kernels;
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::model_file::{ModelFile, format_name};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;

/// Run the steps with known results that every model file carries, with every kernel table of this CPU
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  kinglet verify pump.kgl

Prints a digest of the outputs and the final state of the file's test steps, per table. The digest of an integer model is the same on
every machine: firmware has it from `Model::self_test`, and the firmware example prints it in the line `test`. A float model's may differ
from table to table, as some round a multiplication and an addition once; its outputs then agree with the file's within a thousandth.")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let steps = model.header().test.steps;
    if steps == 0 {
        bail!(
            "{}: there are no test steps in it; export it again",
            args.model.display()
        );
    }
    let mut failed = 0;
    let mut tables = Vec::new();
    for kernels in Kernels::available() {
        let mut state = AlignedBytes::zeroed(model.state_len());
        let runner = AnyRunner::bind(&model, &mut state)?;
        let name = kernels.name();
        match runner.with_kernels(kernels).self_test() {
            Ok(digest) => tables.push((name, Ok(digest.to_string()))),
            Err(failure) => {
                failed += 1;
                tables.push((name, Err(failure.to_string())));
            }
        }
    }
    let (path, format) = (args.model.display().to_string(), format_name(&model));
    if args.json {
        let table = |(name, result): (_, Result<String, String>)| match result {
            Ok(digest) => json!({ "kernels": name, "digest": digest }),
            Err(failure) => json!({ "kernels": name, "failure": failure }),
        };
        let tables: Vec<_> = tables.into_iter().map(table).collect();
        print_json(&json!({ "model": path, "format": format, "steps": steps, "tables": tables }))?;
    } else {
        let mut out = io::stdout().lock();
        writeln!(out, "{path}: {format} model, {steps} test steps")?;
        for (name, result) in tables {
            match result {
                Ok(digest) => writeln!(out, "{name:<8}  {digest}  ok")?,
                Err(failure) => writeln!(out, "{name:<8}  FAILED    {failure}")?,
            }
        }
    }
    if failed > 0 {
        bail!(
            "{}: {failed} of {} kernel tables do not give the results in the file; if none does, the file was \
             made for another engine version: export it again; if some do, this is a bug in the others",
            args.model.display(),
            Kernels::available().count()
        );
    }
    Ok(())
}
