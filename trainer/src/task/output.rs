//! `[output]`: in which number format a model is written, and what a search for formats may take.

use kinglet::format::Format;
use serde::{Deserialize, Deserializer};

use super::names::choice;
use crate::budget::{Budget, bytes};
use crate::cost::Core;

/// What is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputTask {
    /// Number format of the exported model; f32 where the task says none.
    pub precision: Option<Precision>,
    /// Most bytes of a `mixed` model's file, as "16384", "16K" or "1M".
    pub max_flash: Option<String>,
    /// Most instructions that a step of a `mixed` model takes on `core`, by the estimate of
    /// [`report`](crate::report).
    pub max_cycles: Option<usize>,
    /// The core that instructions are counted for, as "cortex-m4"; a `mixed` model has its layout.
    pub core: Option<String>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// One for all layers.
    One(Format),
    /// An integer format for every layer: what errs least within `max_flash` and `max_cycles`.
    Mixed,
}

impl Default for Precision {
    fn default() -> Self {
        Precision::One(Format::F32)
    }
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 6] = [
        Precision::One(Format::F32),
        Precision::One(Format::F16),
        Precision::One(Format::W8A16),
        Precision::One(Format::W8A8),
        Precision::One(Format::W4A8),
        Precision::Mixed,
    ];

    /// As a task file and the command line write it.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::One(format) => format.name(),
            Precision::Mixed => "mixed",
        }
    }

    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|precision| precision.name() == name)
    }

    /// The format; none where every layer's is searched for.
    pub fn format(self) -> Option<Format> {
        match self {
            Precision::One(format) => Some(format),
            Precision::Mixed => None,
        }
    }
}

impl<'de> Deserialize<'de> for Precision {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const NAMES: &[&str; 6] = &{
            let mut names = [""; 6];
            let mut k = 0;
            while k < 6 {
                names[k] = Precision::ALL[k].name();
                k += 1;
            }
            names
        };
        choice(from, "precision", NAMES).map(|k| Precision::ALL[k])
    }
}
