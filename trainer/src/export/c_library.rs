//! The engine's C interface around a model: its sources as a crate, and the static libraries that Cargo makes of it.

use super::c_source::Meaning;
use super::c_source::around;
use super::packages::{
    Door, File, STREAM, UNPUBLISHED, firmware_features, header, microphone, of_samples, put,
    say_on_the_desk, sensor,
};
use anyhow::{Context, Result, bail, ensure};
use kinglet::Model;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A target that is this machine.
pub const HOST: &str = "host";

/// Header, sources of the library, the model file as an array, an example, and what the network is between.
///
/// # Errors
/// If this program was built without the sources.
pub fn c_library(name: &str, model: &Model<'_>, bytes: &[u8]) -> Result<Vec<File>> {
    ensure!(
        KINGLET_H.contains("kgl_model_open"),
        "this kinglet was built where links in the source tree were files, so it has no sources of the C library; take the folder engine/c \
         and `--to header`"
    );
    let around = around(bytes, model, name);
    let listens = around.as_ref().is_some_and(|around| around.listens);
    let meaning = around
        .as_ref()
        .map_or(Meaning::Plain, |around| of_samples(model, around.meaning));
    let sensor = match listens {
        true => microphone(name, model, (Door::Library, meaning)),
        false => sensor(name, model, (Door::Library, meaning)),
    };
    let include = match around {
        Some(_) => format!("#include \"{name}_around.h\"\n"),
        None => String::new(),
    };
    let with_window = match around.as_ref().map_or(0, |around| around.window_bytes) {
        0 => String::new(),
        bytes => format!(", {bytes} more for its window"),
    };
    let put = put(&name.to_uppercase(), model, listens);
    let fill = |text: &str| {
        text.replace("$STREAM", STREAM)
            .replace("$AROUND_H", &include)
            .replace(
                "$AROUND_C",
                if around.is_some() {
                    "$model_around.c "
                } else {
                    ""
                },
            )
            .replace("$SENSOR", &sensor)
            .replace("$SAY", say_on_the_desk(meaning))
            .replace("$PUT", &put)
            .replace("$UNPUBLISHED", UNPUBLISHED)
            .replace(
                "$STATE",
                &format!("{} bytes of RAM{with_window}", model.state_len()),
            )
            .replace("$MODEL", &name.to_uppercase())
            .replace("$model", name)
            .into_bytes()
    };
    let mut files = header(name, model, bytes);
    let texts = [
        ("kinglet.h", KINGLET_H.as_bytes().to_vec()),
        ("main.c", fill(MAIN)),
        ("README.md", fill(README)),
        ("library/Cargo.toml", manifest().into_bytes()),
        ("library/src/lib.rs", LIB.as_bytes().to_vec()),
        ("library/src/status.rs", STATUS.as_bytes().to_vec()),
    ];
    files.extend(texts.map(|(path, text)| (path.to_owned(), text)));
    if let Some(around) = around {
        files.push((format!("{name}_around.h"), around.header.into_bytes()));
        files.push((format!("{name}_around.c"), around.source.into_bytes()));
    }
    Ok(files)
}

/// The library's manifest where the engine is a crate of crates.io. What tests the library in its own place is left out.
fn manifest() -> String {
    let (before, tests) = MANIFEST
        .split_once("[dev-dependencies]")
        .unwrap_or((MANIFEST, ""));
    let behind = tests.find("\n[").map_or("", |at| &tests[at + 1..]);
    let version = concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"");
    format!("{before}{behind}").replace("path = \"..\"", version)
}

/// That a name may be one of a target of Rust's, or [`HOST`].
///
/// # Errors
/// If it is none.
fn check_target(target: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        !target.is_empty() && !target.starts_with(['-', '.']) && target.chars().all(plain),
        "no target of Rust's: {target:?}; for example thumbv7em-none-eabihf, or {HOST} for this machine"
    );
    Ok(())
}

/// That Rust is there with its part for a target, or for [`HOST`]: what is only known after everything was written else.
///
/// # Errors
/// If it is not, with what gets it.
pub fn check_rust(target: &str) -> Result<()> {
    check_target(target)?;
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let mut command = Command::new(&rustc);
    command.args(["--print", "target-libdir"]);
    if target != HOST {
        command.args(["--target", target]);
    }
    let asked = command.output().with_context(|| {
        let rustc = rustc.display();
        format!("cannot run {rustc}, with which the library is built; https://rustup.rs has it")
    })?;
    ensure!(
        asked.status.success(),
        "no target of Rust's: {target:?}; `rustc --print target-list` tells all of them"
    );
    let folder = String::from_utf8_lossy(&asked.stdout);
    ensure!(
        Path::new(folder.trim()).is_dir(),
        "Rust's part for {target} is not there; `rustup target add {target}` gets it"
    );
    Ok(())
}

/// Builds the library of an exported folder for a target of Rust's, or for [`HOST`], with what the model needs; gives its name in the
/// folder and its bytes.
///
/// # Errors
/// If Cargo is not there, or cannot build it, for which it has said why.
pub fn build_library(folder: &Path, target: &str, model: &Model<'_>) -> Result<File> {
    check_target(target)?;
    let built = tempfile::tempdir().context("cannot make a temporary folder")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&cargo);
    command.args(["build", "--quiet", "--manifest-path"]);
    command.arg(folder.join("library").join("Cargo.toml"));
    command.arg("--target-dir").arg(built.path());
    let mut made = built.path().to_owned();
    if target != HOST {
        command.args(["--target", target]);
        made.push(target);
    }
    let profile = if target.contains("-none-") {
        "small"
    } else {
        "release"
    };
    command.args(["--profile", profile]);
    made.push(profile);
    for feature in firmware_features(model) {
        command.args(["--features", feature]);
    }
    if let Some(engine) = engine_beside() {
        let patch = format!(
            "patch.crates-io.kinglet.path={:?}",
            engine.display().to_string()
        );
        command.args(["--config", &patch]);
    }
    let shown = cargo.display();
    let status = command.status().with_context(|| {
        format!("cannot run {shown}, which builds the library; https://rustup.rs has it")
    })?;
    if !status.success() {
        let part = match target {
            HOST => String::new(),
            target => format!(
                " Is Rust's part for that target there? `rustup target add {target}` gets it."
            ),
        };
        let beside = match engine_beside() {
            Some(engine) => format!(
                " It was built with the engine at {}; if that has changed since this program was built, build this program again.",
                engine.display()
            ),
            None => String::new(),
        };
        bail!(
            "{shown} did not build the library for {target}; what it said stands above.{part}{beside}"
        );
    }
    for name in ["libkinglet_c.a", "kinglet_c.lib"] {
        let path = made.join(name);
        if path.is_file() {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            return Ok((format!("lib/{target}/{name}"), bytes));
        }
    }
    bail!("{shown} left no library for {target}")
}

/// The engine in the source tree that this program was built in, if it is still there: it is the one that belongs to the sources.
fn engine_beside() -> Option<PathBuf> {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine");
    let engine = engine.canonicalize().ok()?;
    engine.join("Cargo.toml").is_file().then_some(engine)
}

/// As cbindgen makes it of `engine/c`.
const KINGLET_H: &str = include_str!("c/kinglet.h");
const LIB: &str = include_str!("c/lib.rs");
const STATUS: &str = include_str!("c/status.rs");
// Under another name: a folder with a `Cargo.toml` would be left out of the published crate.
const MANIFEST: &str = include_str!("c/manifest.toml");

const MAIN: &str = "#include \"kinglet.h\"
#include \"$model_model.h\"
$AROUND_H#include <stdio.h>

static kgl_model model;
$SENSOR
int main(void)
{
    uint32_t digest = 0;
    kgl_status status = kgl_model_open(&model, KGL_ABI, $model_model, $MODEL_MODEL_SIZE);
    if (status == KGL_OK) {
        status = kgl_reset(&model, stream, sizeof stream);
    }
    if (status == KGL_OK) {
        status = kgl_self_test(&model, stream, sizeof stream, &digest);
    }
    if (status != KGL_OK) {
        printf(\"%s\\n\", kgl_strerror(status));
        return 1;
    }
    printf(\"digest %08lx\\n\", (unsigned long)digest);
$STREAM    return 0;
}
";

const README: &str = "# $model with the engine's C library

`$model_model.h` is the model, a constant array; `kinglet.h` explains every function. A stream takes $STATE, an opened model one `kgl_model`, 2.1 KB on 32-bit machines.
`library` has the sources of the static library; `kinglet export … --to c --target T` builds it into `lib/T`, or in that folder:

    cargo build --release                                          # for this machine: target/release/libkinglet_c.a
    cargo build --profile small --target thumbv7em-none-eabihf     # for a Cortex-M4F or M7: target/thumbv7em-none-eabihf/small/libkinglet_c.a

Other targets: `thumbv6m-none-eabi` (M0), `thumbv7m-none-eabi` (M3), `thumbv8m.main-none-eabihf` (M33), `riscv32imc-unknown-none-elf`; `rustup target add` gets them.
$UNPUBLISHED
The example on this machine: `cc -O2 main.c $AROUND_Clib/host/libkinglet_c.a -lpthread -ldl -lm -o example && ./example`. $PUT
";
