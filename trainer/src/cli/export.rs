//! `kinglet export`.

use super::{say, say_notes};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use kinglet::format::crc32;
use kinglet_trainer::export::{
    CSource, File, HOST, LONGEST, Platform, build_library, c_library, c_name, c_source, check_rust,
    header, package, rust,
};
use kinglet_trainer::model_file::ModelFile;
use kinglet_trainer::save::{save, writable};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Write a model as source code for where there is no Rust
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kinglet export pump.kgl --to c-source --out pump          (pump.c and pump.h, which need no library)
  kinglet export pump.kgl --to c-source --out src --name flow
  kinglet export pump.kgl --to c --out pump --target thumbv7em-none-eabihf --target host
                                                            (the engine's own kernels, as a static library for each target)
  kinglet export pump.kgl --to arduino --out pump           (a library with an example that reads simulated sensors)

The C computes the bytes that the engine computes: NAME_self_test() runs the test steps of the model file and must return
NAME_DIGEST.")]
pub struct Args {
    #[arg(value_name = "MODEL.kgl")]
    model: PathBuf,

    /// What to write
    #[arg(long, value_enum)]
    to: To,

    /// Folder for the files; it is made if it does not exist. What holds the model is written anew, manifests and examples that somebody has changed are not
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,

    /// What all names begin with, in place of the model's own name
    #[arg(long)]
    name: Option<String>,

    /// Of `--to c`: a target of Rust's that the library is built for by cargo, into FOLDER/lib/TARGET; `host` is this machine. May be
    /// given several times
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// The engine's C interface with this model: kinglet.h, the model as an array, an example
    C,
    /// One C99 file and its header, which need no library
    CSource,
    /// The same as an Arduino library
    Arduino,
    /// The same as a Zephyr module
    Zephyr,
    /// The same as an ESP-IDF component
    EspIdf,
    /// The same as a PlatformIO library
    #[value(name = "platformio")]
    PlatformIo,
    /// A crate whose compiler loads the model, for the Rust engine
    Rust,
    /// The model file as an aligned array in C
    Header,
}

/// Makes the folder, unless it is there.
fn make_folder(folder: &Path) -> Result<()> {
    let shown = folder.display();
    if folder.is_dir() {
        return Ok(());
    }
    if folder.exists() {
        bail!("cannot write into {shown}: it is a file; give another name");
    }
    let within = folder
        .parent()
        .filter(|within| !within.as_os_str().is_empty());
    if let Some(within) = within
        && !within.is_dir()
    {
        let within = within.display();
        bail!("cannot make the folder {shown}: there is no folder {within}; create it first");
    }
    fs::create_dir(folder).with_context(|| format!("cannot make the folder {shown}"))
}

pub fn run(args: &Args) -> Result<()> {
    if !args.target.is_empty() && !matches!(args.to, To::C) {
        bail!(
            "--target is for `--to c`, whose library is built; what this writes is source code for every target"
        );
    }
    args.target
        .iter()
        .try_for_each(|target| check_rust(target))?;
    let file = ModelFile::read(&args.model)?;
    let model = file.model()?;
    let shown = || args.model.display().to_string();
    let wanted = args.name.as_deref().unwrap_or(model.header().name);
    let name = c_name(wanted).with_context(shown)?;
    let long = wanted.chars().count();
    if long > LONGEST && args.name.is_some() {
        bail!(
            "--name {wanted}: {long} characters, and C tells apart what is made of the first {LONGEST}: give a shorter one"
        );
    }
    if long > LONGEST {
        say(&format!(
            "note: the model's name, {wanted:?}, is cut to {name}, as C tells apart what is made of the first {LONGEST} characters; --name gives another"
        ));
    }
    let code = || -> Result<CSource> {
        let code = c_source(&file.bytes, &model, &name).with_context(shown)?;
        say_notes(&code.notes);
        say(&format!(
            "{} bytes of weights, {}",
            code.weight_bytes, code.ram
        ));
        Ok(code)
    };
    let platform = |platform| anyhow::Ok(package(platform, &code()?, &model));
    let files: Vec<File> = match args.to {
        To::CSource => {
            let code = code()?;
            vec![
                (format!("{name}.h"), code.header.into_bytes()),
                (format!("{name}.c"), code.source.into_bytes()),
            ]
        }
        To::Arduino => platform(Platform::Arduino)?,
        To::Zephyr => platform(Platform::Zephyr)?,
        To::EspIdf => platform(Platform::EspIdf)?,
        To::PlatformIo => platform(Platform::PlatformIo)?,
        To::Rust => rust(&name, &model, &file.bytes),
        To::Header => header(&name, &model, &file.bytes),
        To::C => c_library(&name, &model, &file.bytes)?,
    };
    make_folder(&args.out)?;
    // Their build systems name no sources, and take what lies there.
    if matches!(args.to, To::Arduino | To::PlatformIo) {
        let others = others(&args.out, &files)?;
        if !others.is_empty() {
            say_notes(&[format!(
                "{}: of an export under another name, and compiled too; delete what this one replaces",
                others.join(", ")
            )]);
        }
    }
    let record_path = args.out.join(RECORD);
    let mut record = Record::read(&record_path)?;
    let mut kept = Vec::new();
    for (file, bytes) in &files {
        let path = args.out.join(file);
        kept.push(stays(&path, bytes, record.0.get(file).copied(), &name)?);
        if path.parent().is_some_and(Path::is_dir) {
            writable(&path, &[&args.model])?;
        }
    }
    let write = |path: &Path, bytes: &[u8]| -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        save(path, bytes)?;
        Ok(writeln!(io::stdout(), "{}", path.display())?)
    };
    for ((file, bytes), kept) in files.into_iter().zip(kept) {
        if let Some(note) = kept {
            say_notes(&[note]);
            continue;
        }
        write(&args.out.join(&file), &bytes)?;
        if !is_generated(&bytes) {
            record.0.insert(file, crc32(&bytes));
        }
    }
    if !record.0.is_empty() {
        save(&record_path, record.text().as_bytes())?;
    }
    for target in &args.target {
        say(&format!("building the library for {target}"));
        let (name, bytes) = build_library(&args.out, target, &model)?;
        write(&args.out.join(name), &bytes)?;
    }
    if matches!(args.to, To::C) && args.target.is_empty() {
        say_notes(&[format!(
            "the library is not built; `--target {HOST}` builds it for this machine, `--target thumbv7em-none-eabihf` for a Cortex-M4F"
        )]);
    }
    Ok(())
}

/// How the files begin that hold a model, or the engine's header and the sources of its C library. They are written anew each time; manifests and examples are
/// there to be changed, and then stay.
const GENERATED: [&[u8]; 7] = [
    b"/* The network \"",
    b"/* What stands before",
    b"/* A kinglet model file",
    b"/* The engine for quantized recurrent networks",
    b"//! The engine from C: `kinglet.h`",
    b"//! What a call came to.\n\nuse core::ffi",
    b"KINGLET\x1a",
];

fn is_generated(bytes: &[u8]) -> bool {
    GENERATED.iter().any(|mark| bytes.starts_with(mark))
}

/// Files of other models in the folders of these, with the folder.
fn others(out: &Path, files: &[File]) -> Result<Vec<String>> {
    let folders: BTreeSet<&Path> = files
        .iter()
        .filter(|(_, bytes)| is_generated(bytes))
        .filter_map(|(file, _)| Path::new(file).parent())
        .collect();
    let mut found = Vec::new();
    for folder in folders {
        let within = out.join(folder);
        if !within.is_dir() {
            continue;
        }
        let unread = || format!("cannot look into {}", within.display());
        for entry in fs::read_dir(&within).with_context(unread)? {
            let file = folder.join(entry.with_context(unread)?.file_name());
            let ours = files.iter().any(|(own, _)| Path::new(own) == file);
            let ending = file
                .extension()
                .is_some_and(|ending| ending == "c" || ending == "h");
            if !ours && ending && fs::read(out.join(&file)).is_ok_and(|bytes| is_generated(&bytes))
            {
                found.push(file.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Beside what is exported.
const RECORD: &str = ".kinglet-export";

/// Checksums of the manifests and examples that were written into a folder: one that has it still was changed by nobody, and is written anew
/// for another model.
struct Record(BTreeMap<String, u32>);

impl Record {
    fn read(path: &Path) -> Result<Record> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        // What is no line of it tells of no file, which then stays.
        let of = |line: &str| {
            let (crc, file) = line.split_once("  ")?;
            Some((file.to_owned(), u32::from_str_radix(crc, 16).ok()?))
        };
        Ok(Record(
            String::from_utf8_lossy(&text)
                .lines()
                .filter_map(of)
                .collect(),
        ))
    }

    fn text(&self) -> String {
        let lines = self.0.iter();
        lines
            .map(|(file, crc)| format!("{crc:08x}  {file}\n"))
            .collect()
    }
}

/// Why a file that is there stays as it is, if it does.
///
/// # Errors
/// If one that is not ours has the name of a generated one.
fn stays(path: &Path, bytes: &[u8], written: Option<u32>, name: &str) -> Result<Option<String>> {
    let shown = path.display();
    let before = match fs::read(path) {
        Ok(before) => before,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {shown}, which is there"));
        }
    };
    if is_generated(bytes) && !is_generated(&before) {
        bail!(
            "{shown} is there and was not written by `kinglet export`; give another --name or --out"
        );
    }
    if before == bytes || is_generated(bytes) || written == Some(crc32(&before)) {
        return Ok(None);
    }
    let (there, new) = (functions(&before, name), functions(bytes, name));
    let lacks: Vec<&str> = new.difference(&there).map(|word| &**word).collect();
    let door = match lacks.is_empty() {
        true => String::new(),
        false => format!(
            "; it may be for another model, as it lacks {}, which this one's example calls",
            lacks.join(", ")
        ),
    };
    Ok(Some(format!(
        "{shown} was there and stays as it is, other than what would be written; delete it to have it anew{door}"
    )))
}

/// The functions of a model and of the library that a text calls.
fn functions(text: &[u8], name: &str) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(text);
    let model = format!("{name}_");
    let calls = text.match_indices('(').filter_map(|(at, _)| {
        let before = &text[..at];
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let word = &before[before.trim_end_matches(is_part).len()..];
        (word.starts_with(&model) || word.starts_with("kgl_")).then(|| format!("{word}()"))
    });
    calls.collect()
}
