//! A network after quantization, for training to learn from.

use super::AlignedBytes;
use super::draft::Draft;
use super::test_steps::TestInputs;
use crate::net::{Layer, Network};
use crate::package::{Input, Package};
use crate::quant::{Formats, Ranges};
use crate::train::params::{flatten, row_places, unflatten};
use anyhow::Result;
use kinglet::format::Layout;

/// A network after quantization.
pub(crate) struct Quantized {
    /// Its file, without test steps.
    pub bytes: AlignedBytes,
    /// Its weights in float, each a multiple of its row's scale.
    pub net: Network,
    /// These scales, layer by layer.
    pub scales: Vec<Vec<f64>>,
}

/// Quantizes with these ranges as they are, for training to learn from the result: what [`export`]
/// makes of settled ranges.
///
/// # Errors
/// As [`export`].
pub(crate) fn quantized(
    package: &Package,
    formats: &Formats,
    ranges: &Ranges,
) -> Result<Quantized> {
    let mut draft = Draft::new(Layout::Portable, package, formats)?;
    draft.layers(&package.net.layers, ranges)?;
    let none = match package.input {
        Input::Features(_) => TestInputs::Samples(Vec::new()),
        Input::Tokens(_) => TestInputs::Tokens(Vec::new()),
    };
    let bytes = draft.file(&none, &[], 0)?;
    let (layers, scales) = draft.dequantized.into_iter().unzip();
    Ok(Quantized {
        bytes,
        net: Network { layers },
        scales,
    })
}

impl Quantized {
    /// The float weights that are nearest to those of `net` and still round to these integers. A weight that was rounded
    /// to its farther side comes to lie just inside, so training can turn it with a small step, either way.
    pub(crate) fn within_reach(&self, net: &Network) -> Network {
        let mut near = self.net.clone();
        let (mut flat, float): (Vec<f32>, Vec<f32>) = (flatten(&near), flatten(net));
        let layers = row_places(net).into_iter().zip(&self.scales);
        for (row, &scale) in layers.flat_map(|(rows, scales)| rows.into_iter().zip(scales)) {
            for weights in row {
                approach(&mut flat[weights.clone()], &float[weights], scale);
            }
        }
        unflatten(&flat, &mut near);
        for (near, float) in near.layers.iter_mut().zip(&net.layers) {
            // Rounded to the nearest anyway.
            if let (Layer::Embedding(near), Layer::Embedding(float)) = (near, float) {
                near.table.clone_from(&float.table);
            }
        }
        near
    }
}

/// Moves weights from their integers towards what they were, by less than half a step.
fn approach(near: &mut [f32], float: &[f32], scale: f64) {
    let reach = 0.45 * scale as f32;
    for (near, float) in near.iter_mut().zip(float) {
        *near += (float - *near).clamp(-reach, reach);
    }
}
