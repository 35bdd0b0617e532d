//! `[output]`: in which number format a model is written, and what a search for formats may take.

use kinglet::format::Format;
use serde::Deserialize;

use crate::budget::{Budget, bytes};
use crate::report::cores::Core;

/// What is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputTask {
    /// Number format of the exported model.
    pub precision: Precision,
    /// Most bytes of a `mixed` model's file, as "16384", "16K" or "1M".
    pub max_flash: Option<String>,
    /// Most instructions that a step of a `mixed` model takes on `core`, by the estimate of
    /// [`report`](crate::report).
    pub max_cycles: Option<usize>,
    /// The core that instructions are counted for, as "cortex-m4"; a `mixed` model has its layout.
    pub core: Option<String>,
}

impl Default for OutputTask {
    fn default() -> Self {
        OutputTask {
            precision: Precision::F32,
            max_flash: None,
            max_cycles: None,
            core: None,
        }
    }
}

impl OutputTask {
    /// What a `mixed` model may take.
    ///
    /// # Errors
    /// The key whose value cannot be used, and why.
    pub fn budget(&self) -> Result<Budget, (&'static str, String)> {
        let flash = self.max_flash.as_deref().map(bytes).transpose();
        let core = self.core.as_deref().map(Core::parse).transpose();
        Ok(Budget {
            flash: flash.map_err(|problem| ("max_flash", problem))?,
            cycles: self.max_cycles,
            core: core.map_err(|problem| ("core", problem))?,
            ..Budget::default()
        })
    }
}

/// Number format of a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit float.
    F32,
    /// 16-bit float weights.
    F16,
    /// 8-bit weights, 8-bit activations.
    W8a8,
    /// As w8a8, with weights in 4 bits.
    W4a8,
    /// 8-bit weights, 16-bit activations.
    W8a16,
    /// An integer format for every layer: what errs least within `max_flash` and `max_cycles`.
    Mixed,
}

impl Precision {
    /// As task files and options write it.
    pub fn name(self) -> &'static str {
        self.format().map_or("mixed", Format::name)
    }

    /// The format; none where every layer's is searched for.
    pub fn format(self) -> Option<Format> {
        match self {
            Precision::F32 => Some(Format::F32),
            Precision::F16 => Some(Format::F16),
            Precision::W8a8 => Some(Format::W8A8),
            Precision::W4a8 => Some(Format::W4A8),
            Precision::W8a16 => Some(Format::W8A16),
            Precision::Mixed => None,
        }
    }
}
