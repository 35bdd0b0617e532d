//! A model file in memory, and what to do if it is none.

use crate::file::AlignedBytes;
use crate::filekind::{self, Kind};
use crate::transcript::BLANK;
use anyhow::{Context, Result, anyhow};
use kinglet::format::{Activation, Input, Layer, Output, Shape, TargetRestore};
use kinglet::{LoadError, Model};
use std::path::{Path, PathBuf};

/// The bytes of a file that should hold a model.
#[derive(Debug)]
pub struct ModelFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its content.
    pub bytes: AlignedBytes,
}

impl ModelFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = AlignedBytes::read(path);
        Ok(ModelFile {
            path: path.to_owned(),
            bytes: bytes.with_context(|| format!("{}: cannot be read", path.display()))?,
        })
    }

    /// The model in it.
    ///
    /// # Errors
    /// If there is none, with what the file is and what to do.
    pub fn model(&self) -> Result<Model<'_>> {
        Model::from_bytes(&self.bytes).map_err(|error| {
            let kind = filekind::of(&self.bytes);
            if let (LoadError::NotAModel, Some(kind)) = (&error, kind) {
                let (path, Kind { name, as_model, .. }) = (self.path.display(), kind);
                return anyhow!("{path}: not a kinglet model but {name}; {as_model}");
            }
            let remedy = match error {
                LoadError::NotAModel => {
                    "; expected a file written by `kinglet train`, `import` or `quantize`"
                }
                LoadError::Version { .. } | LoadError::Layout { .. } => {
                    "; export the model again, or use the kinglet that wrote it"
                }
                _ => "; copy the file again from where it was made, or export it again",
            };
            anyhow!("{}: {error}{remedy}", self.path.display())
        })
    }
}

/// A model's number format, or "mixed".
pub fn format_name(model: &Model<'_>) -> &'static str {
    let layers = &model.header().layers;
    let same = layers.iter().all(|layer| layer.format() == model.format());
    if same { model.format().name() } else { "mixed" }
}

/// Tokens of a text that a model reads at the most, if it says something about a whole text.
pub fn text_length(model: &Model<'_>) -> Option<usize> {
    match (model.header().input, model.header().shape) {
        (Input::Tokens { .. }, Shape::Window { window, .. }) => Some(window as usize),
        _ => None,
    }
}

/// Names and units of the inputs, or the tokens (without units).
pub fn input_names<'a>(model: &Model<'a>) -> Vec<(&'a str, &'a str)> {
    match model.header().input {
        Input::Features { names, .. } => split(names),
        Input::Tokens { names, .. } => names.split('\0').map(|name| (name, "")).collect(),
    }
}

/// Names and units of the outputs; classes and tokens have no units.
pub fn output_names<'a>(model: &Model<'a>) -> Vec<(&'a str, &'a str)> {
    match model.header().output {
        Output::Values { names, .. } => split(names),
        Output::Classes { names, .. } => names.split('\0').map(|name| (name, "")).collect(),
        Output::NextToken { .. } => input_names(model),
    }
}

fn split(names: &str) -> Vec<(&str, &str)> {
    let names = names.split('\0');
    names
        .map(|name| name.split_once('\u{1}').unwrap_or((name, "")))
        .collect()
}

/// The least and the largest number of each output that an integer model has, where that is a sum, which is cut there. None where it is something
/// else, or goes on from the sample.
pub fn output_ends(model: &Model<'_>) -> Vec<Option<[f32; 2]>> {
    let sums = match model.header().layers.last() {
        Some(Layer::Dense { activation, .. }) => *activation == Activation::Identity,
        _ => false,
    };
    let lsb = 2f32.powi(-i32::from(model.output_frac()));
    let ends = |restore: u32, scale: f32, offset: f32| {
        let plain = restore == TargetRestore::None as u32;
        let ends = [i16::MIN, i16::MAX].map(|q| f32::from(q) * lsb * scale + offset);
        let sorted = [ends[0].min(ends[1]), ends[0].max(ends[1])];
        (sums && plain && model.is_integer()).then_some(sorted)
    };
    let targets = model.targets();
    match targets.len() == model.outputs() {
        true => (targets.iter())
            .map(|target| ends(target.restore, target.scale, target.offset))
            .collect(),
        false => vec![ends(0, 1.0, 0.0); model.outputs()],
    }
}

/// Whether it says tokens somewhere along a stream, and nothing at other steps.
pub fn is_of_transcripts(model: &Model<'_>) -> bool {
    match model.header().output {
        Output::Classes { names, .. } => names.split('\0').next() == Some(BLANK),
        _ => false,
    }
}
