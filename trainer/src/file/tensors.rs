//! The layers of a file: what the header says of each, and its tensors.

use super::doubts::is_slow;
use super::draft::{Draft, width};
use super::layout::{Sum, pack, pack_numbers, stages};
use super::packed;
use crate::net::{Activation, Bidirectional, Cell, Conv, Dense, Embedding, Layer, Norm, Recurrent};
use crate::quant::{
    LayerRange, Limits, Ranges, Row, Rows, Spread, input_frac, largest_weight, token_integer, watch,
};
use anyhow::{Context, Result, bail};
use kinglet::format::{self as engine, Format, Layout, MAX_LAYERS};
use kinglet::kernel::{BLOCK, MAX_CELL_SHIFT};
use std::ops::Range;

impl Draft<'_> {
    pub(super) fn layers(&mut self, layers: &[Layer], ranges: &Ranges) -> Result<()> {
        watch::begin(ranges.rounding(layers));
        for (at, layer) in layers.iter().enumerate() {
            self.format = self.formats.of(at);
            let first = at == 0;
            let behind_embedding = at == 1 && matches!(layers[0], Layer::Embedding(_));
            let spec = match layer {
                Layer::Embedding(e) => {
                    let kept = matches!(layers.get(1), Some(Layer::Keep(_)));
                    if kept && self.format.is_a8() {
                        // What is kept may have to stay in its scale, and eight bits hold no more than 1.
                        self.format = Format::W8A16;
                    }
                    self.embedding(e)
                }
                Layer::Recurrent(r) => {
                    let limits = self.limits(r, first, behind_embedding);
                    let slow = is_slow(self.package, layer, &ranges.layers[at], self.format);
                    self.recurrent(r, limits, &ranges.layers[at], slow)
                }
                Layer::Dense(d) => self.dense(d, at + 1 == layers.len(), &ranges.layers[at]),
                Layer::Conv(c) => self.conv(c, at + 1 == layers.len(), &ranges.layers[at]),
                Layer::Norm(n) => self.norm(n),
                Layer::Keep(_) | Layer::Join(_) => self.skip(layer),
                Layer::Bidirectional(b) => {
                    let limits = self.limits(&b.forward, first, behind_embedding);
                    self.bidirectional(b, limits, &ranges.layers[at])
                }
            };
            let spec = spec.with_context(|| format!("layer {at}"))?;
            if self.layers.push(spec).is_err() {
                bail!("more than {MAX_LAYERS} layers");
            }
        }
        Ok(())
    }

    fn limits(&self, r: &Recurrent, first: bool, behind_embedding: bool) -> Limits {
        let w = largest_weight(self.format);
        if self.format.is_a8() {
            // A sample within ±16; everything else is i8.
            Limits {
                w,
                x: if first && !behind_embedding {
                    2048
                } else {
                    128
                },
                h: 128,
            }
        } else {
            // ±1 is rounded to 2^12, and may be one more.
            let reach = (r.cell.reach() as i64) << 12;
            Limits {
                w,
                x: 1 << 15,
                h: reach.max(4097),
            }
        }
    }

    fn embedding(&mut self, e: &Embedding) -> Result<engine::Layer> {
        let format = self.format;
        let vocab = width("the number of tokens", e.vocab, engine::MAX_VOCAB)?;
        let dim = width("the embedding length", e.dim, engine::MAX_WIDTH)?;
        let columns = format.columns(e.dim);
        // One more row than tokens, of zeros, for what is no token.
        let mut table = vec![0.0; (e.vocab + 1) * columns];
        for (place, row) in table
            .chunks_exact_mut(columns)
            .zip(e.table.chunks_exact(e.dim))
        {
            place[..e.dim].copy_from_slice(row);
        }
        let integers = table.iter().map(|&w| token_integer(w, format));
        match format {
            Format::W8A8 | Format::W4A8 => {
                self.payload
                    .push(&integers.map(|w| w as i8).collect::<Vec<_>>());
            }
            Format::W8A16 => {
                self.payload
                    .push(&integers.map(|w| w as i16).collect::<Vec<_>>());
            }
            _ => self.payload.push_float(format, &table),
        }
        let lsb = 2f32.powi(-input_frac(format));
        let value = |&w: &f32| token_integer(w, format) * lsb;
        let layer = Layer::Embedding(Embedding {
            table: e.table.iter().map(value).collect(),
            ..*e
        });
        self.dequantized.push((layer, Vec::new()));
        Ok(engine::Layer::Embedding { format, vocab, dim })
    }

    fn recurrent(
        &mut self,
        r: &Recurrent,
        limits: Limits,
        range: &LayerRange,
        slow: bool,
    ) -> Result<engine::Layer> {
        let format = self.format;
        let inputs = width("the input width", r.inputs, engine::MAX_WIDTH)?;
        let hidden = width("the hidden size", r.hidden, engine::MAX_WIDTH)?;
        let (mut requant_shift, mut shift) = (0, 0);
        if format.is_integer() {
            requant_shift = self.recurrent_q(r, limits, range, slow)?;
            shift = cell_shift(range.cell, slow);
            self.extra_q(r, shift, slow);
            if slow {
                shift |= engine::SLOW;
            }
        } else {
            for sums in stages(r.cell) {
                self.float_stage(r, sums);
            }
            self.extra(r);
        }
        Ok(engine::Layer::Recurrent {
            format,
            cell: r.cell,
            inputs,
            hidden,
            requant_shift,
            cell_shift: shift,
        })
    }

    /// The first direction's tensors, then the second one's.
    fn bidirectional(
        &mut self,
        b: &Bidirectional,
        limits: Limits,
        range: &LayerRange,
    ) -> Result<engine::Layer> {
        let [forward, backward] = b.halves();
        let [of_forward, of_backward] = range.halves();
        let halves = [
            self.recurrent(forward, limits, &of_forward, false)?,
            self.recurrent(backward, limits, &of_backward, false)?,
        ];
        if let (
            Some((Layer::Recurrent(backward), second)),
            Some((Layer::Recurrent(forward), first)),
        ) = (self.dequantized.pop(), self.dequantized.pop())
        {
            let both = Layer::Bidirectional(Bidirectional { forward, backward });
            self.dequantized.push((both, [first, second].concat()));
        }
        let shifts = halves.map(|half| match half {
            engine::Layer::Recurrent {
                requant_shift,
                cell_shift,
                ..
            } => (requant_shift, cell_shift),
            _ => (0, 0),
        });
        // Both cells have one range, and so one shift.
        let (requant_shift, cell_shift) = (shifts.map(|half| half.0), shifts[0].1);
        Ok(engine::Layer::Bidirectional {
            format: self.format,
            cell: forward.cell,
            inputs: width("the input width", forward.inputs, engine::MAX_WIDTH)?,
            hidden: width("the hidden size", forward.hidden, engine::MAX_WIDTH / 2)?,
            requant_shift,
            cell_shift,
        })
    }

    /// What a float layer has behind its rows.
    fn extra(&mut self, r: &Recurrent) {
        match r.cell {
            Cell::FastGrnn => {
                self.payload
                    .push(&pack_numbers(r.hidden, 1, |unit, _| r.b_hh[unit]));
                self.payload.push(&r.mix());
            }
            Cell::LstmPeephole => {
                let peephole = |unit: usize, gate: usize| r.extra[gate * r.hidden + unit];
                self.payload.push(&pack_numbers(r.hidden, 3, peephole));
            }
            _ => {}
        }
    }

    /// What an integer layer has behind its rows, with what becomes of the numbers.
    fn extra_q(&mut self, r: &Recurrent, cell_shift: u8, slow: bool) {
        // Fraction bits of pre-activations.
        let frac = gate_frac(slow);
        let Some((Layer::Recurrent(values), _)) = self.dequantized.last_mut() else {
            return;
        };
        match r.cell {
            Cell::FastGrnn => {
                let one = 2f32.powi(frac);
                let apart = |unit: usize| {
                    let apart = (r.b_hh[unit] - r.b_ih[unit]) * one;
                    // Saturates.
                    apart.round() as i16
                };
                for unit in 0..r.hidden {
                    values.b_hh[unit] = values.b_ih[unit] + f32::from(apart(unit)) / one;
                }
                let [zeta, nu] = r.mix().map(f64::from);
                self.payload
                    .push(&pack_numbers(r.hidden, 1, |unit, _| apart(unit)));
                let (q31, q30) = (2f64.powi(31), 2f64.powi(30));
                let mix = [(zeta * q31).round() as i32, (nu * q30).round() as i32];
                self.payload.push(&mix);
            }
            Cell::LstmPeephole => {
                let one = 2f64.powi(5 + frac + i32::from(cell_shift));
                // Saturates: at 1024 with the largest cell.
                let rounded = |w: f32| (f64::from(w) * one).round() as i32;
                for w in &mut values.extra {
                    *w = (f64::from(rounded(*w)) / one) as f32;
                }
                let peephole = |unit: usize, gate: usize| rounded(r.extra[gate * r.hidden + unit]);
                self.payload.push(&pack_numbers(r.hidden, 3, peephole));
            }
            _ => {}
        }
    }

    fn float_stage(&mut self, r: &Recurrent, sums: &[Sum]) {
        let (x, h) = split(sums);
        let w_ih = pack(r.hidden, x.len(), r.inputs, 1, |unit, sum| {
            r.x_row(x[sum], unit)
        });
        let w_hh = pack(r.hidden, h.len(), r.hidden, 1, |unit, sum| {
            r.h_row(h[sum], unit)
        });
        let bias = pack_numbers(r.hidden, sums.len(), |unit, sum| {
            r.sum_bias(sums[sum], unit)
        });
        self.payload.push_float(self.format, &w_ih);
        self.payload.push_float(self.format, &w_hh);
        self.payload.push(&bias);
    }

    /// Integer weights of a recurrent layer, in panels.
    fn push_matrix<'r>(
        &mut self,
        (units, sums): (usize, usize),
        inputs: usize,
        row: impl Fn(usize, usize) -> &'r [i8],
    ) {
        let columns = self.format.columns(inputs);
        // Row after row is one block of all columns.
        let block = match self.layout {
            Layout::CortexM55 if self.format != Format::W4A8 => columns,
            _ => BLOCK,
        };
        let weights = pack(units, sums, columns, block, row);
        if self.layout == Layout::CortexM0 && self.format != Format::W4A8 {
            let offset: Vec<u8> = weights.iter().map(|&w| w as u8 ^ 0x80).collect();
            self.payload.push(&offset);
        } else {
            self.payload.push_int(self.format, &weights);
        }
    }

    fn recurrent_q(
        &mut self,
        r: &Recurrent,
        limits: Limits,
        range: &LayerRange,
        slow: bool,
    ) -> Result<u8> {
        // All rows of the layer together, since they share the shift.
        let sums: Vec<Sum> = stages(r.cell).concat();
        // Gates that see the same have one spread.
        let mut spreads: Vec<((usize, Range<usize>), Spread)> = Vec::new();
        let mut seen: Vec<Option<usize>> = Vec::new();
        for (stage, sums) in stages(r.cell).iter().enumerate() {
            for sum in sums.iter() {
                let first = if sum.x { 0 } else { r.inputs };
                let end = r.inputs + if sum.h { r.hidden } else { 0 };
                let place = (stage, first..end);
                seen.push(range.inputs.get(stage).map(|moments| {
                    let known = spreads.iter().position(|(seen, _)| *seen == place);
                    known.unwrap_or_else(|| {
                        spreads.push((place, moments.of(first..end)));
                        spreads.len() - 1
                    })
                }));
            }
        }
        let rows: Vec<Row<'_>> = sums
            .iter()
            .zip(&seen)
            .enumerate()
            .flat_map(|(number, (&sum, seen))| {
                let inputs = seen.map(|seen| &spreads[seen].1);
                (0..r.hidden).map(move |unit| Row {
                    x: r.x_row(sum, unit),
                    h: r.h_row(sum, unit),
                    bias: r.sum_bias(sum, unit),
                    inputs,
                    scale: range.scales.get(number * r.hidden + unit).copied(),
                })
            })
            .collect();
        let rows = Rows::quantize(&rows, input_frac(self.format), gate_frac(slow), limits)?;
        let layer = Layer::Recurrent(dequantized(r, &sums, &rows));
        self.dequantized.push((layer, rows.scale.clone()));
        let (cell, format) = (r.cell, self.format);
        let fits = rows.shift == packed::shift(format);
        let packed = engine::packed_rows(cell, format, slow, r.inputs, r.hidden)
            .filter(|packed| self.layout == Layout::CortexM4 && (fits || !packed.records));
        if let Some(packed) = packed {
            let layer = packed::Layer {
                cell,
                format,
                inputs: r.inputs,
                hidden: r.hidden,
                rows: &rows,
                records: packed.records,
            };
            if !fits {
                self.unpacked.push(format!(
                    "layer {} stays in the portable layout, as does the file: its sums or weights are too large to be packed",
                    self.layers.len()
                ));
            }
            self.payload.push(&layer.pack());
            return Ok(rows.shift | if packed.records { engine::RECORDS } else { 0 });
        }
        let mut before = 0;
        for stage in stages(r.cell) {
            let (x, h) = split(stage);
            let x_at = before;
            let h_at = before + stage.len() - h.len();
            let at = |from: usize, sum: usize, unit: usize| (from + sum) * r.hidden + unit;
            self.push_matrix((r.hidden, x.len()), r.inputs, |u, s| {
                &rows.x[at(x_at, s, u)]
            });
            self.push_matrix((r.hidden, h.len()), r.hidden, |u, s| {
                &rows.h[at(h_at, s, u)]
            });
            self.payload
                .push(&pack_numbers(r.hidden, stage.len(), |u, s| {
                    rows.bias[at(before, s, u)]
                }));
            self.payload
                .push(&pack_numbers(r.hidden, stage.len(), |u, s| {
                    rows.m[at(before, s, u)]
                }));
            before += stage.len();
        }
        Ok(rows.shift)
    }

    /// The tensors of its dense layer.
    fn conv(&mut self, c: &Conv, last: bool, range: &LayerRange) -> Result<engine::Layer> {
        let dense = self.dense(&c.dense, last, range)?;
        if let Some((Layer::Dense(dense), scales)) = self.dequantized.pop() {
            let conv = Conv { dense, ..*c };
            self.dequantized.push((Layer::Conv(conv), scales));
        }
        let engine::Layer::Dense {
            format,
            outputs: filters,
            activation,
            requant_shift,
            frac,
            ..
        } = dense
        else {
            return Ok(dense);
        };
        Ok(engine::Layer::Conv {
            format,
            shape: c.shape,
            filters,
            activation,
            requant_shift,
            frac,
        })
    }

    /// A layer without numbers of its own.
    fn skip(&mut self, layer: &Layer) -> Result<engine::Layer> {
        let format = self.format;
        if format.is_integer() {
            self.dequantized.push((layer.clone(), Vec::new()));
        }
        let numbers =
            |n: usize| width("the width of a skip", n, engine::MAX_WIDTH).map(engine::Width);
        Ok(match layer {
            Layer::Join(j) => engine::Layer::Join {
                format,
                width: numbers(j.width)?,
                with: j.with as u8,
                how: j.how,
            },
            layer => engine::Layer::Keep {
                format,
                width: numbers(layer.outputs())?,
            },
        })
    }

    fn norm(&mut self, n: &Norm) -> Result<engine::Layer> {
        let format = self.format;
        let numbers = width("the width of a normalisation", n.width(), engine::MAX_WIDTH)?;
        if format.is_integer() {
            // Either saturates: γ at ±64, β where no output can be.
            let gamma = n.gamma.iter().map(|&x| fixed(x, 25, i32::MAX));
            let gamma: Vec<i32> = gamma.collect();
            let beta = n.beta.iter().map(|&x| 4 * fixed(x, 15, (1 << 29) - 1));
            let beta: Vec<i32> = beta.collect();
            let squared = (n.width() as f64).powi(2);
            let epsilon = f64::from(n.epsilon) * squared * 2f64.powi(24);
            let real = |numbers: &[i32], frac: i32| {
                let numbers = numbers.iter();
                numbers.map(|&x| x as f32 * 2f32.powi(-frac)).collect()
            };
            let layer = Layer::Norm(Norm {
                gamma: real(&gamma, 25),
                beta: real(&beta, 17),
                ..*n
            });
            self.dequantized.push((layer, Vec::new()));
            let epsilon = epsilon.round().clamp(1.0, 2f64.powi(54) - 1.0) as u64;
            let ends = [epsilon as i32, (epsilon >> 32) as i32];
            self.payload.push(&[&gamma[..], &beta, &ends].concat());
        } else {
            let ends = [n.epsilon, 0.0];
            self.payload.push(&[&n.gamma[..], &n.beta, &ends].concat());
        }
        Ok(engine::Layer::Norm {
            format,
            width: engine::Width(numbers),
        })
    }

    fn dense(&mut self, d: &Dense, last: bool, range: &LayerRange) -> Result<engine::Layer> {
        let format = self.format;
        let inputs = width("the input width", d.inputs, engine::MAX_WIDTH)?;
        let outputs = width("the output width", d.outputs, engine::MAX_VOCAB)?;
        let row = |unit: usize| &d.weight[unit * d.inputs..(unit + 1) * d.inputs];
        let free = matches!(d.activation, Activation::Identity | Activation::Softmax);
        let scaled = format.is_integer() && last && free;
        let frac = if scaled {
            output_frac(range.output)
        } else {
            12
        };
        let mut requant_shift = 0;
        if format.is_integer() {
            let moments = range.inputs.first();
            let spread = moments.map(|moments| moments.of(0..d.inputs));
            let rows: Vec<Row<'_>> = (0..d.outputs)
                .map(|unit| Row {
                    x: row(unit),
                    h: &[],
                    bias: d.bias[unit],
                    inputs: spread.as_ref(),
                    scale: range.scales.get(unit).copied(),
                })
                .collect();
            let limits = Limits {
                w: largest_weight(format),
                x: 1 << 15,
                h: 0,
            };
            let rows = Rows::quantize(&rows, 12, frac, limits)?;
            let layer = Layer::Dense(Dense {
                weight: (0..d.outputs).flat_map(|row| rows.x_row(row)).collect(),
                bias: (0..d.outputs).map(|row| rows.bias(row)).collect(),
                ..*d
            });
            self.dequantized.push((layer, rows.scale.clone()));
            let columns = format.columns(d.inputs);
            let w = pack(d.outputs, 1, columns, BLOCK, |unit, _| &rows.x[unit][..]);
            self.payload.push_int(format, &w);
            self.payload
                .push(&pack_numbers(d.outputs, 1, |unit, _| rows.bias[unit]));
            self.payload
                .push(&pack_numbers(d.outputs, 1, |unit, _| rows.m[unit]));
            requant_shift = rows.shift;
        } else {
            self.payload.push_float(
                format,
                &pack(d.outputs, 1, d.inputs, 1, |unit, _| row(unit)),
            );
            self.payload
                .push(&pack_numbers(d.outputs, 1, |unit, _| d.bias[unit]));
        }
        let activation = d.activation;
        let frac = frac as i8;
        Ok(engine::Layer::Dense {
            format,
            inputs,
            outputs,
            activation,
            requant_shift,
            frac,
        })
    }
}

/// The nearest integer at 2^-`frac` within ± `most`.
fn fixed(x: f32, frac: i32, most: i32) -> i32 {
    let most = f64::from(most);
    (f64::from(x) * 2f64.powi(frac)).round().clamp(-most, most) as i32
}

/// A layer with the values of its rows, which lie sum by sum.
fn dequantized(r: &Recurrent, sums: &[Sum], rows: &Rows) -> Recurrent {
    let mut values = r.clone();
    values.b_ih.fill(0.0);
    values.b_hh.fill(0.0);
    for (number, sum) in sums.iter().enumerate() {
        for unit in 0..r.hidden {
            let (row, to) = (number * r.hidden + unit, sum.gate * r.hidden + unit);
            if sum.x {
                let place = &mut values.w_ih[to * r.inputs..(to + 1) * r.inputs];
                place.copy_from_slice(&rows.x_row(row));
            }
            if sum.h {
                let place = &mut values.w_hh[to * r.hidden..(to + 1) * r.hidden];
                place.copy_from_slice(&rows.h_row(row));
            }
            // Where both biases are added up the sum is kept as the input's.
            let side = if sum.x {
                &mut values.b_ih
            } else {
                &mut values.b_hh
            };
            side[to] = rows.bias(row);
        }
    }
    values
}

/// Sums over the input, and sums over the state.
fn split(sums: &[Sum]) -> (Vec<Sum>, Vec<Sum>) {
    (
        sums.iter().copied().filter(|sum| sum.x).collect(),
        sums.iter().copied().filter(|sum| sum.h).collect(),
    )
}

/// Smallest range of an LSTM's cell that leaves a quarter above what was met.
fn cell_shift(range: f32, slow: bool) -> u8 {
    let fits = |shift: &u8| range * 1.25 < 8.0 * (1u32 << shift) as f32;
    let most = if slow { 7 } else { MAX_CELL_SHIFT };
    (0..=most).find(fits).unwrap_or(most)
}

/// Fraction bits of the gates' pre-activations.
fn gate_frac(slow: bool) -> i32 {
    if slow { 11 } else { 12 }
}

/// Fraction bits of an output that reaches `range`: half as much again fits.
fn output_frac(range: f32) -> i32 {
    let room = (32767.0 / (range.max(1e-6) * 1.5)).log2().floor() as i32;
    room.clamp(-16, 15)
}
