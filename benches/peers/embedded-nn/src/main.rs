//! embedded-nn's quantized LSTM, 8-bit weights and activations; it has no other cell.
//!
//! Its gates take Q3.12 and its activations are s8 with a step of 2^-7 here; weights have one scale, their largest magnitude.
//! Version 0.2.3 is numerically wrong whatever the scales: it maps a sigmoid's 0 to 1 onto 0.5 to 1, so that gates never close,
//! and overwrites a unit's state before the other units have read it.

use anyhow::Result;
use embedded_nn::recurrent::{LstmGateParams, lstm_step_s8_s16};
use embedded_nn::types::{Activation, PerTensorQuantParams};
use peer::{Layer, Net, Variants, serve};
use std::path::Path;

const STEP: f32 = 1.0 / 128.0;

struct EmbeddedNn {
    samples: Vec<Vec<i8>>,
    hidden: Vec<i8>,
    cell: Vec<i16>,
    w_ih: Vec<i8>,
    w_hh: Vec<i8>,
    bias: Vec<i32>,
    gates: LstmGateParams,
    output: PerTensorQuantParams,
}

impl Net for EmbeddedNn {
    fn reset(&mut self) {
        self.hidden.fill(0);
        self.cell.fill(0);
    }

    fn step(&mut self, sample: usize) {
        lstm_step_s8_s16(
            &self.samples[sample],
            &mut self.hidden,
            &mut self.cell,
            &self.w_ih,
            &self.w_hh,
            &self.bias,
            &self.gates,
            i16::MAX,
            &self.output,
            0,
            &Activation::int8_unconstrained(),
        )
        .expect("a step");
    }

    fn output(&self) -> Vec<f32> {
        self.hidden.iter().map(|&h| f32::from(h) * STEP).collect()
    }
}

/// A factor as Q31 in [0.5, 1) and a power of two, as CMSIS-NN writes it.
fn requantization(factor: f64) -> (i32, i32) {
    let shift = factor.log2().floor() as i32 + 1;
    let multiplier = (factor * 2f64.powi(31 - shift)).round();
    (multiplier.min(f64::from(i32::MAX)) as i32, shift)
}

fn open(layer: &Layer, _: &Path) -> Result<Variants> {
    if layer.cell != "lstm" {
        return Ok(vec![]);
    }
    let weights = layer.w_ih.iter().chain(&layer.w_hh);
    let scale = weights.fold(0f32, |max, w| max.max(w.abs())) / 127.0;
    let quantize = |w: &[f32]| w.iter().map(|w| (w / scale).round() as i8).collect();
    let bias = layer.b_ih.iter().zip(&layer.b_hh);
    let bias = bias.map(|(i, h)| ((i + h) / (scale * STEP)).round() as i32);
    let (multiplier, shift) = requantization(f64::from(scale * STEP) * 4096.0);
    let (to_s8, to_s8_shift) = requantization(2f64.powi(7 - 15));
    let net = EmbeddedNn {
        samples: layer
            .samples()
            .map(|x| x.iter().map(|x| (x / STEP).round() as i8).collect())
            .collect(),
        hidden: vec![0; layer.hidden],
        cell: vec![0; layer.hidden],
        w_ih: quantize(&layer.w_ih),
        w_hh: quantize(&layer.w_hh),
        bias: bias.collect(),
        gates: LstmGateParams {
            input_offset: 0,
            hidden_offset: 0,
            multiplier,
            shift,
        },
        output: PerTensorQuantParams::new(to_s8, to_s8_shift),
    };
    Ok(vec![("s8", Box::new(net))])
}

fn main() -> Result<()> {
    serve(open)
}
