//! `net.onnx.toml` beside `net.onnx`: what flags would say at every import of it.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
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

/// The options, and what the file beside the network adds to them, which is told.
///
/// # Errors
/// If it cannot be read, or says again what a flag says.
pub(super) fn with_beside(
    path: &Path,
    options: &ImportOptions,
) -> Result<(ImportOptions, Option<String>)> {
    let mut name = path.as_os_str().to_owned();
    name.push(".toml");
    let shown = Path::new(&name).display();
    let mut all = options.clone();
    let text = match std::fs::read_to_string(&name) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((all, None)),
        Err(error) => return Err(error).with_context(|| format!("{shown}: cannot be read")),
    };
    let beside: Beside = toml::from_str(&text)
        .map_err(|error| anyhow!("{shown}, which says what flags would, {error}"))?;
    let mut said = Vec::new();
    let mut take = |flag: &'static str, given: bool, is_flag: bool| -> Result<bool> {
        ensure!(
            !(given && is_flag),
            "{shown} says what --{flag} says: leave one of them out"
        );
        said.extend(given.then_some(flag));
        Ok(given)
    };
    let lists = [
        ("names", beside.names, &mut all.names),
        ("units", beside.units, &mut all.units),
        ("output-names", beside.output_names, &mut all.output_names),
        ("output-units", beside.output_units, &mut all.output_units),
    ];
    for (flag, list, option) in lists {
        if take(flag, !list.is_empty(), !option.is_empty())? {
            *option = list;
        }
    }
    let numbers = [
        ("input-mean", beside.input_mean, &mut all.input_mean),
        ("input-std", beside.input_std, &mut all.input_std),
    ];
    for (flag, list, option) in numbers {
        if take(flag, !list.is_empty(), !option.is_empty())? {
            *option = list;
        }
    }
    let (rate, flag) = (beside.sample_rate, all.sample_rate);
    if take("sample-rate", rate.is_some(), flag.is_some())? {
        all.sample_rate = rate;
    }
    let said = said.join(", ");
    Ok((all, Some(format!("{shown} says: {said}"))))
}
