//! From a float model file back to a package, so that it can be quantized.

use super::layout::{Sum, stages, unpack};
use crate::data::Written;
use crate::net::{
    Activation, Bidirectional, Cell, Conv, Dense, Embedding, Join, Layer, Network, Norm, Recurrent,
    extra,
};
use crate::package::{Alarm, Feature, Input, Output, Package, Restore, Shape, Target, Transform};
use crate::transcript::BLANK;
use anyhow::{Context, Result, bail};
use half::f16;
use kinglet::Model;
use kinglet::format::{self as engine, Format, LoadError, PREAMBLE_LEN, Tensors};
use kinglet::kernel::LANES;

/// The package inside the bytes of a float model.
///
/// # Errors
/// If the bytes are no model, or an integer one, whose float weights are gone.
pub fn package(bytes: &[u8]) -> Result<Package> {
    let model = Model::from_bytes(bytes)?;
    if model.is_integer() {
        bail!(
            "the model is {} already; quantize the f32 model that it was made from, which `kinglet train` writes beside it as NAME.f32.kgl",
            model.format().name()
        );
    }
    let offset = model.preamble().payload_offset;
    let mut reader = Reader {
        tensors: Tensors::new(&bytes[offset.max(PREAMBLE_LEN)..]),
        format: model.format(),
        keeps: Vec::new(),
    };
    let mut package = reader.package(&model).context("the model's tensors")?;
    package.written = Written::in_model(bytes).unwrap_or_default();
    Ok(package)
}

struct Reader<'a> {
    tensors: Tensors<'a>,
    format: Format,
    /// Widths that are kept so far.
    keeps: Vec<usize>,
}

/// Names and units of a list in a header.
fn names(list: &str) -> impl Iterator<Item = (String, String)> + '_ {
    list.split('\0').map(|name| {
        let (name, unit) = name.split_once('\u{1}').unwrap_or((name, ""));
        (name.to_owned(), unit.to_owned())
    })
}

impl Reader<'_> {
    fn package(&mut self, model: &Model<'_>) -> Result<Package, LoadError> {
        let header = model.header();
        let input = match header.input {
            engine::Input::Features { count, names: list } => {
                self.tensors.take::<engine::Feature>(count as usize)?;
                let features = names(list).zip(model.features());
                Input::Features(
                    features
                        .map(|((name, unit), f)| feature(name, unit, f))
                        .collect(),
                )
            }
            engine::Input::Tokens { names, .. } => {
                Input::Tokens(names.split('\0').map(str::to_owned).collect())
            }
        };
        let output = match header.output {
            engine::Output::Values { count, names: list } => {
                self.tensors.take::<engine::Target>(count as usize)?;
                let targets = names(list).zip(model.targets());
                Output::Values(
                    targets
                        .map(|((name, unit), t)| target(name, unit, t))
                        .collect(),
                )
            }
            engine::Output::Classes { names, .. } => {
                let classes: Vec<String> = names.split('\0').map(str::to_owned).collect();
                match classes.first().is_some_and(|first| first == BLANK) {
                    true => Output::Transcript(classes),
                    false => Output::Classes(classes),
                }
            }
            engine::Output::NextToken { .. } => Output::NextToken,
        };
        let layers = header.layers.iter().map(|layer| self.layer(layer));
        Ok(Package {
            name: header.name.to_owned(),
            written: Written::default(),
            net: Network {
                layers: layers.collect::<Result<_, _>>()?,
            },
            input,
            output,
            alarm: Alarm::of_model(model),
            shape: match header.shape {
                engine::Shape::EveryStep => Shape::EveryStep,
                engine::Shape::Window { window, hop, exact } => Shape::Window {
                    window: window as usize,
                    hop: hop as usize,
                    exact,
                },
            },
        })
    }

    fn floats(&mut self, len: usize) -> Result<Vec<f32>, LoadError> {
        if self.format == Format::F16 {
            let bits = self.tensors.take::<u16>(len)?;
            Ok(bits
                .iter()
                .map(|&bits| f16::from_bits(bits).to_f32())
                .collect())
        } else {
            Ok(self.tensors.take::<f32>(len)?.to_vec())
        }
    }

    fn layer(&mut self, layer: &engine::Layer) -> Result<Layer, LoadError> {
        Ok(match *layer {
            engine::Layer::Embedding { vocab, dim, .. } => {
                let (vocab, dim) = (vocab as usize, dim as usize);
                let mut table = self.floats((vocab + 1) * dim)?;
                table.truncate(vocab * dim);
                Layer::Embedding(Embedding { vocab, dim, table })
            }
            engine::Layer::Recurrent {
                cell,
                inputs,
                hidden,
                ..
            } => Layer::Recurrent(self.recurrent(cell, inputs, hidden)?),
            engine::Layer::Bidirectional {
                cell,
                inputs,
                hidden,
                ..
            } => Layer::Bidirectional(Bidirectional {
                forward: self.recurrent(cell, inputs, hidden)?,
                backward: self.recurrent(cell, inputs, hidden)?,
            }),
            engine::Layer::Dense {
                inputs,
                outputs,
                activation,
                ..
            } => Layer::Dense(self.dense([inputs.into(), outputs.into()], activation)?),
            engine::Layer::Conv {
                shape,
                filters,
                activation,
                ..
            } => Layer::Conv(Conv {
                shape,
                dense: self.dense([shape.taps(), filters.into()], activation)?,
            }),
            engine::Layer::Norm { width, .. } => {
                let n = width.get();
                let terms = self.tensors.take::<f32>(2 * n + 2)?;
                Layer::Norm(Norm {
                    gamma: terms[..n].to_vec(),
                    beta: terms[n..2 * n].to_vec(),
                    epsilon: terms[2 * n],
                })
            }
            engine::Layer::Keep { width, .. } => {
                self.keeps.push(width.get());
                Layer::Keep(width.get())
            }
            engine::Layer::Join {
                width, with, how, ..
            } => Layer::Join(Join {
                width: width.get(),
                kept: self.keeps.get(usize::from(with)).copied().unwrap_or(0),
                with: with.into(),
                how,
            }),
        })
    }

    fn dense(
        &mut self,
        [inputs, outputs]: [usize; 2],
        activation: Activation,
    ) -> Result<Dense, LoadError> {
        let padded = outputs.next_multiple_of(LANES);
        let packed = self.floats(padded * inputs)?;
        let mut weight = vec![0.0; outputs * inputs];
        unpack(&packed, [outputs, 1], [inputs, 1], |unit, _, column, w| {
            weight[unit * inputs + column] = w;
        });
        let bias = self.tensors.take::<f32>(padded)?[..outputs].to_vec();
        Ok(Dense {
            inputs,
            outputs,
            weight,
            bias,
            activation,
        })
    }

    fn recurrent(&mut self, cell: Cell, inputs: u16, hidden: u16) -> Result<Recurrent, LoadError> {
        let (inputs, hidden) = (inputs as usize, hidden as usize);
        let [rows, state_rows] = [cell.products(), cell.state_products()].map(|n| n * hidden);
        let mut recurrent = Recurrent {
            cell,
            inputs,
            hidden,
            w_ih: vec![0.0; rows * inputs],
            w_hh: vec![0.0; state_rows * hidden],
            b_ih: vec![0.0; rows],
            b_hh: vec![0.0; state_rows],
            extra: vec![0.0; extra(cell, hidden)],
        };
        for sums in stages(cell) {
            self.stage(&mut recurrent, sums)?;
        }
        self.extra(&mut recurrent)?;
        Ok(recurrent)
    }

    fn stage(&mut self, r: &mut Recurrent, sums: &[Sum]) -> Result<(), LoadError> {
        let (inputs, hidden) = (r.inputs, r.hidden);
        let padded = hidden.next_multiple_of(LANES);
        let x: Vec<Sum> = sums.iter().copied().filter(|sum| sum.x).collect();
        let h: Vec<Sum> = sums.iter().copied().filter(|sum| sum.h).collect();
        let w_ih = self.floats(padded * x.len() * inputs)?;
        unpack(
            &w_ih,
            [hidden, x.len()],
            [inputs, 1],
            |unit, sum, column, w| {
                r.w_ih[(x[sum].gate * hidden + unit) * inputs + column] = w;
            },
        );
        let w_hh = self.floats(padded * h.len() * hidden)?;
        unpack(
            &w_hh,
            [hidden, h.len()],
            [hidden, 1],
            |unit, sum, column, w| {
                r.w_hh[(h[sum].gate * hidden + unit) * hidden + column] = w;
            },
        );
        let bias = self.tensors.take::<f32>(padded * sums.len())?;
        unpack(bias, [hidden, sums.len()], [1, 1], |unit, sum, _, b| {
            // Where both biases were added up the sum is kept as the input's.
            let sum = sums[sum];
            let side = if sum.x { &mut r.b_ih } else { &mut r.b_hh };
            side[sum.gate * hidden + unit] = b;
        });
        Ok(())
    }
}

impl Reader<'_> {
    /// What a cell has behind its rows.
    fn extra(&mut self, r: &mut Recurrent) -> Result<(), LoadError> {
        let padded = r.hidden.next_multiple_of(LANES);
        match r.cell {
            Cell::FastGrnn => {
                let bias = self.tensors.take::<f32>(padded)?;
                r.b_hh.copy_from_slice(&bias[..r.hidden]);
                let mix = self.tensors.take::<f32>(2)?;
                r.set_mix([mix[0], mix[1]]);
            }
            Cell::LstmPeephole => {
                let peepholes = self.tensors.take::<f32>(3 * padded)?;
                unpack(peepholes, [r.hidden, 3], [1, 1], |unit, gate, _, w| {
                    r.extra[gate * r.hidden + unit] = w;
                });
            }
            _ => {}
        }
        Ok(())
    }
}

fn feature(name: String, unit: String, f: &engine::Feature) -> Feature {
    let column = f.column as usize;
    let transform = match f.tag() {
        1 => Transform::Log,
        2 => Transform::Difference { column },
        3 => Transform::LogRatio { column },
        4 => Transform::Missing { column },
        _ => Transform::None,
    };
    Feature {
        name,
        unit,
        hold: f.holds(),
        transform,
        offset: f.offset,
        scale: f.scale,
    }
}

fn target(name: String, unit: String, t: &engine::Target) -> Target {
    let column = t.column as usize;
    let restore = match t.restore {
        1 => Restore::Exp,
        2 => Restore::AddTo { column },
        3 => Restore::TimesExp { column },
        _ => Restore::None,
    };
    let feeds = (t.feeds != u32::MAX).then_some(t.feeds as usize);
    Target {
        name,
        unit,
        scale: t.scale,
        offset: t.offset,
        restore,
        feeds,
    }
}
