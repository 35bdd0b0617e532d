//! The layers of a model file, row by row, in whatever layout the file is: what generated code is made of.
//!
//! Rows lie as one reads them, `[unit][sum][column]`, without the padding of panels. That padding must be zero, as the
//! exporter writes it; a file where it is not would compute something else, and is refused.

use crate::file::{Sum, packed, stages, unpack, unpack_nibbles};
use anyhow::{Context, Result, bail, ensure};
use kinglet::Model;
use kinglet::format::{
    Activation, Cell, Combine, ConvShape, Feature, Format, Input, Layer, Layout, LoadError, Output,
    RECORDS, SLOW, Target, Tensors, pad,
};
use kinglet::kernel::{BLOCK, LANES};

/// Numbers of a tensor, as they are stored in generated code.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Numbers {
    F32(Vec<f32>),
    /// Bits of half floats.
    F16(Vec<u16>),
    I8(Vec<i8>),
    /// From −8 to 7, to be stored two in a byte.
    I4(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
}

/// Rows that are summed up together, `sums` of them for each unit.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) sums: &'static [Sum],
    /// `[unit][sum with an input][input]`
    pub(super) x: Numbers,
    /// `[unit][sum with a state][hidden]`
    pub(super) h: Numbers,
    /// `[unit][sum]`
    pub(super) bias: Numbers,
    /// `[unit][sum]`; empty of float layers.
    pub(super) m: Vec<i32>,
}

impl Rows {
    /// Sums over the input, sums over the state, and all.
    pub(super) fn counts(&self) -> [usize; 3] {
        counts(self.sums)
    }
}

fn counts(sums: &[Sum]) -> [usize; 3] {
    let of = |has: fn(&&Sum) -> bool| sums.iter().filter(has).count();
    [of(|sum| sum.x), of(|sum| sum.h), sums.len()]
}

/// A recurrent layer.
#[derive(Debug, Clone)]
pub(super) struct Recurrent {
    pub(super) format: Format,
    pub(super) cell: Cell,
    pub(super) inputs: usize,
    pub(super) hidden: usize,
    /// Of requantization.
    pub(super) shift: u8,
    pub(super) cell_shift: u8,
    pub(super) slow: bool,
    pub(super) stages: Vec<Rows>,
    /// A FastGRNN's `b_n − b_z` per unit, peepholes `[unit][i, f, o]`.
    pub(super) extra: Option<Numbers>,
    /// A FastGRNN's ζ and ν.
    pub(super) mix: Option<Numbers>,
}

impl Recurrent {
    /// All tensors but multipliers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &Numbers> {
        let rows = self.stages.iter();
        let rows = rows.flat_map(|rows| [&rows.x, &rows.h, &rows.bias]);
        rows.chain(&self.extra).chain(&self.mix)
    }
}

/// A dense layer.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    pub(super) format: Format,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) activation: Activation,
    pub(super) shift: u8,
    pub(super) frac: i8,
    pub(super) w: Numbers,
    pub(super) bias: Numbers,
    pub(super) m: Vec<i32>,
}

/// A convolution: a dense layer over what is seen at a position.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    pub(super) shape: ConvShape,
    pub(super) dense: Dense,
}

/// A normalisation of so many numbers.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    pub(super) format: Format,
    pub(super) width: usize,
    pub(super) gamma: Numbers,
    pub(super) beta: Numbers,
    pub(super) epsilon: Epsilon,
}

/// What arrives, with what the layer that is the `with`-th of its kind has kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Join {
    pub(super) format: Format,
    pub(super) width: usize,
    pub(super) kept: usize,
    pub(super) with: usize,
    pub(super) how: Combine,
}

impl Join {
    pub(super) fn outputs(&self) -> usize {
        self.how.outputs(self.width, self.kept)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Epsilon {
    Float(f32),
    /// As the engine adds it to the square of all that it divides.
    Integer(u64),
}

/// An embedding: `[token][dim]`.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    pub(super) format: Format,
    pub(super) vocab: usize,
    pub(super) dim: usize,
    pub(super) table: Numbers,
}

#[derive(Debug, Clone)]
pub(super) enum PortableLayer {
    Embedding(Embedding),
    Recurrent(Recurrent),
    /// From the first sample of a window on, and from the last.
    Bidirectional([Recurrent; 2]),
    Dense(Dense),
    Conv(Conv),
    Norm(Norm),
    /// So many numbers.
    Keep(usize),
    Join(Join),
}

/// What is in the payload of a file.
#[derive(Debug, Clone)]
pub(super) struct Portable {
    pub(super) layers: Vec<PortableLayer>,
    /// Inputs of the test steps, as the network sees them.
    pub(super) tests: Numbers,
}

/// The layers of a model that was loaded from these bytes.
///
/// # Errors
/// What generated code does not do, by name.
pub(super) fn read(bytes: &[u8], model: &Model<'_>) -> Result<Portable> {
    let header = model.header();
    let mut reader = Reader {
        tensors: Tensors::new(&bytes[model.preamble().payload_offset..]),
        layout: model.preamble().layout,
        format: model.format(),
        padding: false,
        keeps: Vec::new(),
    };
    if let Input::Features { count, .. } = header.input {
        reader.take::<Feature>(count.into())?;
    }
    if let Output::Values { count, .. } = header.output {
        reader.take::<Target>(count.into())?;
    }
    let mut layers = Vec::new();
    for (index, layer) in header.layers.iter().enumerate() {
        let context = || format!("layer {}", index + 1);
        layers.push(reader.layer(layer).with_context(context)?);
        ensure!(
            !reader.padding,
            "layer {}: its padding is not zero, so the file was not written by kinglet; export the model again",
            index + 1
        );
    }
    let (steps, inputs) = (header.test.steps.into(), model.inputs());
    let tests = match header.input {
        Input::Tokens { .. } => Numbers::I32(
            (reader.take::<u16>(steps)?.iter())
                .map(|&token| token.into())
                .collect(),
        ),
        Input::Features { .. } if model.is_integer() => {
            Numbers::I16(reader.take(steps * inputs)?.to_vec())
        }
        Input::Features { .. } => Numbers::F32(reader.take(steps * inputs)?.to_vec()),
    };
    Ok(Portable { layers, tests })
}

struct Reader<'a> {
    tensors: Tensors<'a>,
    layout: Layout,
    /// Of the current layer.
    format: Format,
    /// A weight or a bias of padding is not zero.
    padding: bool,
    /// Widths that are kept so far.
    keeps: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn take<T: bytemuck::AnyBitPattern>(&mut self, len: usize) -> Result<&'a [T], LoadError> {
        self.tensors.take(len)
    }

    fn layer(&mut self, layer: &Layer) -> Result<PortableLayer> {
        self.format = layer.format();
        Ok(match *layer {
            Layer::Embedding { format, vocab, dim } => {
                let (vocab, dim) = (vocab as usize, dim as usize);
                let [rows, columns] = [vocab + 1, format.columns(dim)];
                let table = match format {
                    Format::F32 => Numbers::F32(self.rows([rows, 1, dim], columns)?),
                    Format::F16 => Numbers::F16(self.rows([rows, 1, dim], columns)?),
                    Format::W8A8 | Format::W4A8 => Numbers::I8(self.rows([rows, 1, dim], columns)?),
                    Format::W8A16 => Numbers::I16(self.rows([rows, 1, dim], columns)?),
                };
                PortableLayer::Embedding(Embedding {
                    format,
                    vocab,
                    dim,
                    table,
                })
            }
            Layer::Recurrent {
                format,
                cell,
                inputs,
                hidden,
                requant_shift,
                cell_shift,
            } => PortableLayer::Recurrent(self.recurrent(
                (format, cell, [inputs, hidden]),
                (requant_shift, cell_shift),
            )?),
            Layer::Dense {
                format,
                inputs,
                outputs,
                activation,
                requant_shift,
                frac,
            } => {
                let (inputs, outputs) = (inputs as usize, outputs as usize);
                let of = (format, activation);
                PortableLayer::Dense(self.dense(of, [inputs, outputs], (requant_shift, frac))?)
            }
            Layer::Conv {
                format,
                shape,
                filters,
                activation,
                requant_shift,
                frac,
            } => PortableLayer::Conv(Conv {
                shape,
                dense: self.dense(
                    (format, activation),
                    [shape.taps(), filters.into()],
                    (requant_shift, frac),
                )?,
            }),
            Layer::Norm { format, width } => {
                let width = width.get();
                let words: &[u32] = self.take(2 * width + 2)?;
                let integer = format.is_integer();
                let numbers = |words: &[u32]| match integer {
                    true => Numbers::I32(words.iter().map(|&x| x as i32).collect()),
                    false => Numbers::F32(words.iter().map(|&x| f32::from_bits(x)).collect()),
                };
                let [low, high] = [words[2 * width], words[2 * width + 1]];
                PortableLayer::Norm(Norm {
                    format,
                    width,
                    gamma: numbers(&words[..width]),
                    beta: numbers(&words[width..2 * width]),
                    epsilon: match integer {
                        true => Epsilon::Integer(u64::from(high) << 32 | u64::from(low)),
                        false => Epsilon::Float(f32::from_bits(low)),
                    },
                })
            }
            Layer::Keep { width, .. } => {
                self.keeps.push(width.get());
                PortableLayer::Keep(width.get())
            }
            Layer::Join {
                format,
                width,
                with,
                how,
            } => PortableLayer::Join(Join {
                format,
                width: width.get(),
                kept: self.keeps.get(usize::from(with)).copied().unwrap_or(0),
                with: with.into(),
                how,
            }),
            Layer::Bidirectional {
                format,
                cell,
                inputs,
                hidden,
                requant_shift: [forward, backward],
                cell_shift,
            } => {
                let spec = (format, cell, [inputs, hidden]);
                PortableLayer::Bidirectional([
                    self.recurrent(spec, (forward, cell_shift))?,
                    self.recurrent(spec, (backward, cell_shift))?,
                ])
            }
        })
    }

    fn dense(
        &mut self,
        (format, activation): (Format, Activation),
        [inputs, outputs]: [usize; 2],
        (shift, frac): (u8, i8),
    ) -> Result<Dense> {
        Ok(Dense {
            format,
            inputs,
            outputs,
            activation,
            shift,
            frac,
            w: self.weights([outputs, 1, inputs], Layout::Portable)?,
            bias: self.biases(outputs, 1)?,
            m: self.multipliers(outputs, 1)?,
        })
    }

    fn recurrent(
        &mut self,
        (format, cell, [inputs, hidden]): (Format, Cell, [u16; 2]),
        (shift, cell_shift): (u8, u8),
    ) -> Result<Recurrent> {
        let (inputs, hidden) = (inputs.into(), hidden.into());
        let slow = cell_shift & SLOW != 0;
        let mut layer = Recurrent {
            format,
            cell,
            inputs,
            hidden,
            shift: shift & !RECORDS,
            cell_shift: cell_shift & !SLOW,
            slow,
            stages: Vec::new(),
            extra: None,
            mix: None,
        };
        let words = packed::words((self.layout, cell, format), slow, shift, [inputs, hidden]);
        let in_fours = shift & RECORDS != 0;
        for &sums in stages(cell) {
            let [x, h, all] = counts(sums);
            layer.stages.push(match words {
                Some(words) => self.packed(&layer, in_fours, sums, words)?,
                None => Rows {
                    sums,
                    x: self.weights([hidden, x, inputs], self.layout)?,
                    h: self.weights([hidden, h, hidden], self.layout)?,
                    bias: self.biases(hidden, all)?,
                    m: self.multipliers(hidden, all)?,
                },
            });
        }
        match cell {
            Cell::FastGrnn if format.is_integer() => {
                let bias: &[i16] = self.take(pad(hidden, LANES))?;
                layer.extra = Some(Numbers::I16(self.panels(bias, [hidden, 1, 1], [1, 1])));
                layer.mix = Some(Numbers::I32(self.take(2)?.to_vec()));
            }
            Cell::FastGrnn => {
                let bias: &[f32] = self.take(pad(hidden, LANES))?;
                let candidate = self.panels(bias, [hidden, 1, 1], [1, 1]);
                let Some(Rows {
                    bias: Numbers::F32(gate),
                    ..
                }) = layer.stages.first()
                else {
                    bail!("its bias is missing");
                };
                let apart = candidate.iter().zip(gate).map(|(n, z)| n - z).collect();
                layer.extra = Some(Numbers::F32(apart));
                layer.mix = Some(Numbers::F32(self.take(2)?.to_vec()));
            }
            Cell::LstmPeephole => layer.extra = Some(self.biases(hidden, 3)?),
            _ => {}
        }
        Ok(layer)
    }

    /// Rows in panels, `[units, sums, columns]`, of which `within` are the columns and those of a block in the file.
    fn panels<T: Copy + Default + PartialEq>(
        &mut self,
        packed: &[T],
        [units, sums, columns]: [usize; 3],
        within: [usize; 2],
    ) -> Vec<T> {
        let mut rows = vec![T::default(); units * sums * columns];
        let padding = &mut self.padding;
        unpack(
            packed,
            [pad(units, LANES), sums],
            within,
            |unit, sum, column, w| {
                if unit < units && column < columns {
                    rows[(unit * sums + sum) * columns + column] = w;
                } else {
                    *padding |= w != T::default();
                }
            },
        );
        rows
    }

    /// Rows one after the other, with columns of padding, and the last one nothing but that.
    fn rows<T: bytemuck::AnyBitPattern + PartialEq + Default>(
        &mut self,
        [rows, _, columns]: [usize; 3],
        within: usize,
    ) -> Result<Vec<T>, LoadError> {
        let all: &[T] = self.take(rows * within)?;
        let kept = (rows - 1) * within;
        let is_padding = |at: usize| at >= kept || at % within >= columns;
        let mut real = Vec::with_capacity((rows - 1) * columns);
        for (at, &w) in all.iter().enumerate() {
            if is_padding(at) {
                self.padding |= w != T::default();
            } else {
                real.push(w);
            }
        }
        Ok(real)
    }

    /// Weights of a matrix in panels.
    fn weights(&mut self, shape: [usize; 3], layout: Layout) -> Result<Numbers, LoadError> {
        let [units, sums, columns] = shape;
        let wide = self.format.columns(columns);
        let len = pad(units, LANES) * sums * wide;
        Ok(match self.format {
            Format::F32 => {
                let packed: &[f32] = self.take(len)?;
                Numbers::F32(self.panels(packed, shape, [wide, 1]))
            }
            Format::F16 => {
                let packed: &[u16] = self.take(len)?;
                Numbers::F16(self.panels(packed, shape, [wide, 1]))
            }
            Format::W4A8 => {
                let packed = unpack_nibbles(self.take(len / 2)?);
                Numbers::I4(self.panels(&packed, shape, [wide, BLOCK]))
            }
            Format::W8A8 | Format::W8A16 => {
                let packed: &[u8] = self.take(len)?;
                let flip = if layout == Layout::CortexM0 { 0x80 } else { 0 };
                let packed: Vec<i8> = packed.iter().map(|&w| (w ^ flip) as i8).collect();
                let block = if layout == Layout::CortexM55 {
                    wide
                } else {
                    BLOCK
                };
                Numbers::I8(self.panels(&packed, shape, [wide, block]))
            }
        })
    }

    /// A number per unit and sum.
    fn biases(&mut self, units: usize, sums: usize) -> Result<Numbers, LoadError> {
        let (len, shape) = (pad(units, LANES) * sums, [units, sums, 1]);
        Ok(if self.format.is_integer() {
            let packed: &[i32] = self.take(len)?;
            Numbers::I32(self.panels(packed, shape, [1, 1]))
        } else {
            let packed: &[f32] = self.take(len)?;
            Numbers::F32(self.panels(packed, shape, [1, 1]))
        })
    }

    fn multipliers(&mut self, units: usize, sums: usize) -> Result<Vec<i32>, LoadError> {
        if !self.format.is_integer() {
            return Ok(Vec::new());
        }
        let packed: &[i32] = self.take(pad(units, LANES) * sums)?;
        Ok(self.panels(packed, [units, sums, 1], [1, 1]))
    }

    /// Rows packed for a Cortex-M4.
    fn packed(
        &mut self,
        layer: &Recurrent,
        in_fours: bool,
        sums: &'static [Sum],
        words: usize,
    ) -> Result<Rows> {
        let [inputs, hidden] = [layer.inputs, layer.hidden];
        let [_, _, all] = counts(sums);
        let shape = [inputs, hidden, all];
        let form = (layer.cell, layer.format, in_fours);
        let rows = packed::unpack(form, shape, self.take(words)?);
        let of = |has: fn(&Sum) -> bool| -> Vec<usize> {
            (0..all).filter(|&sum| has(&sums[sum])).collect()
        };
        let x = self.unpacked(&rows.x, rows.units, &of(|sum| sum.x), [hidden, inputs]);
        let h = self.unpacked(&rows.h, rows.units, &of(|sum| sum.h), [hidden, hidden]);
        let mut numbers = |numbers: &[i32]| {
            let at = |unit: usize| (0..all).map(move |sum| numbers[sum * rows.units + unit]);
            self.padding |= (hidden..rows.units).flat_map(at).any(|number| number != 0);
            (0..hidden).flat_map(at).collect::<Vec<i32>>()
        };
        let bias = Numbers::I32(numbers(&rows.bias));
        let m = numbers(&rows.m);
        let weights = match layer.format {
            Format::W4A8 => Numbers::I4,
            _ => Numbers::I8,
        };
        Ok(Rows {
            sums,
            x: weights(x),
            h: weights(h),
            bias,
            m,
        })
    }

    /// Rows `[sum][unit]` of some sums, as `[unit][sum]`.
    fn unpacked(
        &mut self,
        rows: &[Vec<i8>],
        units: usize,
        sums: &[usize],
        [hidden, columns]: [usize; 2],
    ) -> Vec<i8> {
        let mut real = Vec::with_capacity(hidden * sums.len() * columns);
        for unit in 0..units {
            for &sum in sums {
                let row = &rows[sum * units + unit];
                let kept = if unit < hidden { columns } else { 0 };
                real.extend_from_slice(&row[..kept]);
                self.padding |= row[kept..].iter().any(|&w| w != 0);
            }
        }
        real
    }
}
