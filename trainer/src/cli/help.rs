//! `kinglet help`: of a command, or a page of the documentation.

use super::{Cli, usage};
use anyhow::Result;
use clap::CommandFactory;
use kinglet_trainer::nearest::nearest;
use std::io::{self, Write};

/// The pages of `docs/`, by the word that asks for them.
const PAGES: [(&str, &str, &str); 10] = [
    (
        "start",
        "From a CSV file to a microcontroller in ten minutes",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/start.md")),
    ),
    (
        "task",
        "The task file: every key",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/task.md")),
    ),
    (
        "shapes",
        "Five shapes of a task: what goes in, what comes out",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/shapes.md")),
    ),
    (
        "streaming",
        "Windows and streaming",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/streaming.md")),
    ),
    (
        "formats",
        "Number formats",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/formats.md")),
    ),
    (
        "anywhere",
        "Take it anywhere: C and what is made of it",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/anywhere.md")),
    ),
    (
        "fleet",
        "A fleet: an old and a new model over what many devices recorded",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/fleet.md")),
    ),
    (
        "importing",
        "Models from PyTorch",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/importing.md")),
    ),
    (
        "reading-reports",
        "The report explained",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/report.md")),
    ),
    (
        "errors",
        "Troubleshooting by error message",
        include_str!(concat!(env!("KINGLET_GUIDE"), "/errors.md")),
    ),
];

/// Explain a command, or print a page of the documentation: start, task, shapes, streaming, formats, anywhere, fleet, importing, reading-reports, errors
#[derive(Default, clap::Args)]
#[command(after_help = "\
Examples:
  kinglet help train
  kinglet help task | less      (every key of a task file)
  kinglet help errors           (what to do about an error message)")]
pub struct Args {
    /// A command or a page
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut cli = Cli::command();
    cli.build();
    let Some(topic) = &args.topic else {
        write!(out, "{}", cli.render_long_help())?;
        return Ok(());
    };
    if let Some((_, _, page)) = PAGES.iter().find(|page| page.0 == topic) {
        out.write_all(page.as_bytes())?;
        return Ok(());
    }
    if let Some(command) = cli.find_subcommand_mut(topic) {
        write!(out, "{}", command.render_long_help())?;
        return Ok(());
    }
    let known: Vec<&str> = cli
        .get_subcommands()
        .map(clap::Command::get_name)
        .chain(PAGES.map(|p| p.0))
        .collect();
    let meant = nearest(topic, known.iter().copied())
        .map_or(String::new(), |name| format!("; did you mean {name:?}?"));
    let pages: Vec<String> = PAGES
        .iter()
        .map(|(word, title, _)| format!("  {word:<16} {title}"))
        .collect();
    Err(usage(format!(
        "there is no command and no page {topic:?}{meant} The commands are in `kinglet help`, the pages:\n{}",
        pages.join("\n")
    )))
}
