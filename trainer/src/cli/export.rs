//! `kinglet export`.

use super::model_file::ModelFile;
use super::{say, say_notes};
use anyhow::{Context, Result};
use clap::ValueEnum;
use kinglet_trainer::export::{c_name, c_source};
use kinglet_trainer::save::{save, writable};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Write a model as source code for where there is no Rust
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet export pump.kgl --to c-source --out pump          (pump.c and pump.h, which need no library)
  kinglet export pump.kgl --to c-source --out src --name flow

The C computes the bytes that the engine computes: NAME_self_test() runs the test steps of the model file and must return
NAME_DIGEST.")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// What to write
    #[arg(long, value_enum)]
    to: To,

    /// Folder for the files; it is made if it does not exist
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,

    /// What all names begin with, in place of the model's own name
    #[arg(long)]
    name: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// One C99 file and its header, which need no library
    CSource,
}

pub fn run(args: &Args) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let shown = || args.model.display().to_string();
    let name = c_name(args.name.as_deref().unwrap_or(model.header().name)).with_context(shown)?;
    let files = match args.to {
        To::CSource => {
            let code = c_source(&file.bytes, &model, &name).with_context(shown)?;
            say_notes(&code.notes);
            say(&format!(
                "{} bytes of weights, {} bytes of RAM for each stream",
                code.weight_bytes, code.state_bytes
            ));
            vec![
                (format!("{name}.h"), code.header),
                (format!("{name}.c"), code.source),
            ]
        }
    };
    if !args.out.is_dir() {
        fs::create_dir(&args.out)
            .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    }
    let paths = files.iter().map(|(name, _)| args.out.join(name));
    for path in paths {
        writable(&path, &[&args.model])?;
    }
    let mut out = io::stdout().lock();
    for (name, text) in files {
        let path = args.out.join(name);
        save(&path, text.as_bytes())?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
