//! `kinglet init`.

use super::{say, usage, writable};
use anyhow::Result;
use kinglet_trainer::file::save;
use kinglet_trainer::init::{propose, shell_word};
use std::io::{self, Write};
use std::path::PathBuf;

/// Look at a data file and write a task file that trains on it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet init pump.csv
  kinglet init pump.csv --target temperature --out bearing.toml
  kinglet init engines.csv --target 'remaining(cycle)'
  kinglet train pump.toml --out pump.kgl          (what it wrote trains as it is)

Guesses what separates the fields, the column of times and how they are written, groups, gaps, categories, labels, the sampling interval,
what to predict and from how much; asks nothing, and says what it took for what. Every guess stands in the task file with a comment:
change what is wrong there. Reads CSV with any separator, packed by gzip or not, Parquet, plain text and CoNLL-U.")]
pub struct Args {
    /// The data
    #[arg(value_name = "DATA.csv")]
    data: PathBuf,

    /// Column to predict, of numbers or labels; 'remaining(COLUMN)' is how much of it is left to the end of a group [default: one that is called so, else the
    /// last that varies]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,

    /// Where the task file goes [default: DATA.toml in this folder]
    #[arg(long, value_name = "TASK.toml")]
    out: Option<PathBuf>,

    /// Replace a task file that is there
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let name = args.data.file_name().unwrap_or_default().to_string_lossy();
    let stem = name
        .split('.')
        .next()
        .filter(|s| !s.is_empty())
        .unwrap_or("task");
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| format!("{stem}.toml").into());
    writable(&out, &[&args.data])?;
    if out.exists() && !args.force {
        return Err(usage(format!(
            "{}: is there already; give another name with --out, or --force to replace it",
            out.display()
        )));
    }
    let proposal = propose(&args.data, args.target.as_deref(), &out)?;
    save(&out, proposal.toml.as_bytes())?;
    let mut told = io::stdout().lock();
    for (what, text) in &proposal.told {
        writeln!(told, "{what:<9} {text}")?;
    }
    let task = shell_word(&out.display().to_string());
    let model = shell_word(&out.with_extension("kgl").display().to_string());
    say(&format!(
        "{task}: written; change it where it is wrong, and go on with"
    ));
    say(&format!("  kinglet train {task} --out {model}"));
    say(&format!(
        "  {}",
        proposal.predict.replacen("MODEL", &model, 1)
    ));
    Ok(())
}
