//! `net.onnx.toml` beside `net.onnx`: what flags would say at every import of it.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use super::ImportOptions;

/// The flags of these names, with underscores.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Beside {
    names: Vec<String>,
    units: Vec<String>,
    output_names: Vec<String>,
    output_units: Vec<String>,
    input_mean: Vec<f32>,
    input_std: Vec<f32>,
    sample_rate: Option<u32>,
}

/// Where that file lies, whether it is there or not.
pub fn side_file(network: &Path) -> PathBuf {
    let mut name = network.as_os_str().to_owned();
    name.push(".toml");
    name.into()
}

/// The path of another file that a network's own one names, which lies in its folder or below.
///
/// # Errors
/// If it leads elsewhere: a network must not read what its user would not have given it.
pub(super) fn named_file(folder: &Path, location: &str) -> Result<PathBuf> {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    let inside = Path::new(location).components().all(plain)
        && !location.contains('\\')
        && !location.contains(':');
    ensure!(
        inside,
        "its data lie in {location:?}, which is outside of the model's folder: such a file is not opened"
    );
    let path = folder.join(location);
    let at = path.display();
    let real = [folder, &path].map(|p| {
        let p = if p.as_os_str().is_empty() {
            Path::new(".")
        } else {
            p
        };
        p.canonicalize()
    });
    let [Ok(home), Ok(real)] = real else {
        bail!("its data lie in {at}, which cannot be read: put the file beside the model")
    };
    ensure!(
        real.starts_with(&home),
        "its data lie in {at}, which leads out of the model's folder: such a file is not opened"
    );
    Ok(path)
}

/// The options, and what the file beside the network adds to them, which is told.
///
/// # Errors
/// If it cannot be read, or says again what a flag says.
pub(super) fn with_beside(
    path: &Path,
    options: &ImportOptions,
) -> Result<(ImportOptions, Option<String>)> {
    let name = side_file(path);
    let shown = name.display();
    let mut all = options.clone();
    let text = match std::fs::read_to_string(&name) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((all, None)),
        Err(error) => return Err(error).with_context(|| format!("{shown}: cannot be read")),
    };
    let beside: Beside = toml::from_str(&text)
        .map_err(|error| anyhow!("{shown}, which says what flags would, {error}"))?;
    let mut said = Said {
        file: shown.to_string(),
        flags: Vec::new(),
    };
    said.put("names", beside.names, &mut all.names)?;
    said.put("units", beside.units, &mut all.units)?;
    said.put("output-names", beside.output_names, &mut all.output_names)?;
    said.put("output-units", beside.output_units, &mut all.output_units)?;
    said.put("input-mean", beside.input_mean, &mut all.input_mean)?;
    said.put("input-std", beside.input_std, &mut all.input_std)?;
    said.put("sample-rate", beside.sample_rate, &mut all.sample_rate)?;
    let note = format!("{} says: {}", said.file, said.flags.join(", "));
    Ok((all, Some(note)))
}

/// What a file says.
struct Said {
    file: String,
    flags: Vec<&'static str>,
}

impl Said {
    /// Something that is there goes where a flag would have put it.
    fn put<T: Default + PartialEq>(
        &mut self,
        flag: &'static str,
        found: T,
        option: &mut T,
    ) -> Result<()> {
        let nothing = T::default();
        if found == nothing {
            return Ok(());
        }
        ensure!(
            *option == nothing,
            "{} says what --{flag} says: leave one of them out",
            self.file
        );
        self.flags.push(flag);
        *option = found;
        Ok(())
    }
}
