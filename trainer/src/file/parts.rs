//! Where the bytes of a model file go, and the scales inside.

use super::layout::{Sum, stages};
use super::packed;
use crate::quant::input_frac;
use kinglet::Model;
use kinglet::format::{self as engine, ALIGN, Format, Layer, Layout, LoadError, Tensors, pad};
use kinglet::kernel::LANES;

/// Bytes of a model file by purpose. They sum up to the file's length.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// Preamble, header, names.
    pub head: usize,
    /// Offsets and scales of inputs and outputs.
    pub normalisation: usize,
    /// In the order of the header.
    pub layers: Vec<LayerPart>,
    /// Steps with known results.
    pub tests: usize,
}

/// A layer's share.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPart {
    /// Weights, biases and multipliers, with padding.
    pub bytes: usize,
    /// Numbers of the network, without padding: weights, and one bias per sum.
    pub parameters: usize,
    /// Smallest and largest scale of an integer row: what one step of a weight stands for.
    pub weight_scale: Option<(f32, f32)>,
}

/// Walks over the tensors of a model file.
///
/// # Errors
/// If the bytes are no model.
pub fn parts(bytes: &[u8]) -> Result<Parts, LoadError> {
    let model = Model::from_bytes(bytes)?;
    let (header, head) = (model.header(), model.preamble().payload_offset);
    let mut walk = Walk {
        tensors: Tensors::new(&bytes[head..]),
        taken: 0,
        scales: Vec::new(),
    };
    if let engine::Input::Features { count, .. } = header.input {
        walk.take::<engine::Feature>(count as usize)?;
    }
    if let engine::Output::Values { count, .. } = header.output {
        walk.take::<engine::Target>(count as usize)?;
    }
    let normalisation = walk.taken;
    let mut layers = Vec::new();
    for layer in &header.layers {
        let before = walk.taken;
        let parameters = walk.layer(layer, model.preamble().layout)?;
        let scales = std::mem::take(&mut walk.scales);
        layers.push(LayerPart {
            bytes: walk.taken - before,
            parameters,
            weight_scale: scales
                .into_iter()
                .map(|s| (s, s))
                .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))),
        });
    }
    Ok(Parts {
        head,
        normalisation,
        layers,
        tests: bytes.len() - head - walk.taken,
    })
}

struct Walk<'a> {
    tensors: Tensors<'a>,
    taken: usize,
    /// Of the integer rows of the current layer.
    scales: Vec<f32>,
}

impl<'a> Walk<'a> {
    fn take<T: bytemuck::AnyBitPattern>(&mut self, len: usize) -> Result<&'a [T], LoadError> {
        self.taken += pad(len * size_of::<T>(), ALIGN);
        self.tensors.take(len)
    }

    fn weights(&mut self, format: Format, len: usize) -> Result<(), LoadError> {
        match format {
            Format::F32 => drop(self.take::<f32>(len)?),
            Format::F16 => drop(self.take::<u16>(len)?),
            Format::W8A8 | Format::W8A16 => drop(self.take::<i8>(len)?),
            Format::W4A8 => drop(self.take::<u8>(len / 2)?),
        }
        Ok(())
    }

    /// Biases, and the multipliers of integer rows, of which a power of two makes scales.
    fn rows(&mut self, format: Format, len: usize, exponent: i32) -> Result<(), LoadError> {
        self.take::<i32>(len)?;
        if format.is_integer() {
            let multipliers = self.take::<i32>(len)?.iter().filter(|m| **m > 0);
            let scales = multipliers.map(|&m| (f64::from(m) * 2f64.powi(exponent)) as f32);
            self.scales.extend(scales);
        }
        Ok(())
    }

    /// Numbers of one direction of a layer.
    fn recurrent(
        &mut self,
        (cell, format, layout): (engine::Cell, Format, Layout),
        (inputs, hidden): (u16, u16),
        (requant_shift, slow): (u8, bool),
    ) -> Result<usize, LoadError> {
        let columns = |n: usize| format.columns(n);
        let shift = requant_shift & !engine::RECORDS;
        let exponent = input_frac(format) - 12 - 32 + i32::from(shift);
        let (inputs, hidden) = (inputs as usize, hidden as usize);
        let padded = pad(hidden, LANES);
        let mut parameters = 0;
        let packed = packed::words(
            (layout, cell, format),
            slow,
            requant_shift,
            [inputs, hidden],
        );
        if let Some(words) = packed {
            self.take::<i32>(words)?;
        }
        for sums in stages(cell) {
            let count = |of: fn(&Sum) -> bool| sums.iter().filter(|sum| of(sum)).count();
            let (x, h) = (count(|sum| sum.x), count(|sum| sum.h));
            parameters += hidden * (x * inputs + h * hidden + sums.len());
            if packed.is_some() {
                continue;
            }
            self.weights(format, padded * x * columns(inputs))?;
            self.weights(format, padded * h * columns(hidden))?;
            self.rows(format, padded * sums.len(), exponent)?;
        }
        match cell {
            engine::Cell::FastGrnn => {
                parameters += hidden + 2;
                if format.is_integer() {
                    self.take::<i16>(padded)?;
                } else {
                    self.take::<f32>(padded)?;
                }
                self.take::<i32>(2)?;
            }
            engine::Cell::LstmPeephole => {
                parameters += 3 * hidden;
                self.take::<i32>(3 * padded)?;
            }
            _ => {}
        }
        Ok(parameters)
    }

    /// Numbers of a dense layer.
    fn dense(
        &mut self,
        (format, inputs, outputs): (Format, usize, u16),
        requant_shift: u8,
        frac: i8,
    ) -> Result<usize, LoadError> {
        let outputs = outputs as usize;
        let padded = pad(outputs, LANES);
        self.weights(format, padded * format.columns(inputs))?;
        let exponent = 12 - i32::from(frac) - 32 + i32::from(requant_shift);
        self.rows(format, padded, exponent)?;
        Ok((inputs + 1) * outputs)
    }

    /// Numbers of a layer.
    fn layer(&mut self, layer: &Layer, layout: Layout) -> Result<usize, LoadError> {
        let format = layer.format();
        let columns = |n: usize| format.columns(n);
        let (_, slow) = layer.cell_shift();
        Ok(match *layer {
            Layer::Embedding { vocab, dim, .. } => {
                let (vocab, dim) = (vocab as usize, dim as usize);
                let len = (vocab + 1) * columns(dim);
                match format {
                    Format::W8A16 => drop(self.take::<i16>(len)?),
                    Format::W4A8 => drop(self.take::<i8>(len)?),
                    _ => self.weights(format, len)?,
                }
                vocab * dim
            }
            Layer::Recurrent {
                cell,
                inputs,
                hidden,
                requant_shift,
                ..
            } => self.recurrent(
                (cell, format, layout),
                (inputs, hidden),
                (requant_shift, slow),
            )?,
            Layer::Bidirectional {
                cell,
                inputs,
                hidden,
                requant_shift,
                ..
            } => {
                let mut parameters = 0;
                for shift in requant_shift {
                    parameters +=
                        self.recurrent((cell, format, layout), (inputs, hidden), (shift, slow))?;
                }
                parameters
            }
            Layer::Dense {
                inputs,
                outputs,
                requant_shift,
                frac,
                ..
            } => self.dense((format, inputs.into(), outputs), requant_shift, frac)?,
            Layer::Conv {
                shape,
                filters,
                requant_shift,
                frac,
                ..
            } => self.dense((format, shape.taps(), filters), requant_shift, frac)?,
            Layer::Norm { width, .. } => {
                // γ, β and ε are words in all formats.
                self.take::<u32>(2 * width.get() + 2)?;
                2 * width.get()
            }
            Layer::Keep { .. } | Layer::Join { .. } => 0,
        })
    }
}
