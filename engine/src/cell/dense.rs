//! Dense layer: `y = f(W x + b)`.
//!
//! In integers its inputs are always `i16` (2^-12), also in `W8A8` and `W4A8` models: the layer is small, and a
//! state rounded to 2^-7 would put its rounding straight into the prediction. Sums become `i16` with
//! `frac` fraction bits (12 before a table); the outputs of tanh, sigmoid and softmax at the end are Q15.

use super::{FloatMatrix, IntForm, panels, take_int, tiles};
#[cfg(not(cortex_m_dsp))]
use super::{TILE as ONE, tiles as parts};
use crate::format::{Activation, Format, LoadError, Tensors, attempt};
use crate::kernel::{Curve, Inputs, IntMatrix, Kernels, LANES, Panel, Panels, Streams};
use crate::num::{SEGMENTS_512, elu, elu_q, saturate16, shift_round, softmax, softmax_q15};
use core::ops::Range;

/// Inputs that are multiplied together at the most, so that a weight is loaded once for them.
pub(crate) const TOGETHER: usize = 2;
/// Panels of each that are computed together.
const SPAN: usize = 8;
/// Panels of one input that are: more, where it is brought into another form for them.
#[cfg(cortex_m_dsp)]
const ONE: usize = SPAN;
#[cfg(cortex_m_dsp)]
use spans as parts;

#[derive(Debug, Clone, Copy)]
enum Weights<'a> {
    Float {
        w: FloatMatrix<'a>,
        bias: &'a [Panel<f32>],
    },
    Integer {
        w: IntMatrix<'a>,
        bias: &'a [Panel<i32>],
        m: &'a [Panel<i32>],
    },
}

/// A dense layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dense<'a> {
    inputs: usize,
    /// Columns that the inputs take in the matrix.
    columns: usize,
    outputs: usize,
    activation: Activation,
    requant_shift: u8,
    frac: i8,
    last: bool,
    weights: Weights<'a>,
}

/// Sizes of a dense layer, as the header has them.
pub(crate) struct DenseSpec {
    pub(crate) format: Format,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Activation,
    pub(crate) requant_shift: u8,
    pub(crate) frac: i8,
    pub(crate) last: bool,
}

impl<'a> Dense<'a> {
    /// Tensors: weights, bias and, for integers, row multipliers.
    pub(crate) const fn take(t: &mut Tensors<'a>, spec: DenseSpec) -> Result<Self, LoadError> {
        let DenseSpec {
            format,
            inputs,
            outputs,
            activation,
            requant_shift,
            frac,
            last,
        } = spec;
        if requant_shift > 31 {
            let (what, found) = ("requantization shift", requant_shift as usize);
            return Err(LoadError::Size {
                what,
                found,
                max: 31,
            });
        }
        // Floats have no use for them, but they are asked for all the same.
        let free = !format.is_integer()
            || last && matches!(activation, Activation::Identity | Activation::Softmax);
        let [least, most] = if free { [-16, 15] } else { [12, 12] };
        if frac < least || frac > most {
            return Err(LoadError::Value {
                what: "fraction bits of dense layer",
                index: 0,
            });
        }
        let rows = panels(outputs);
        let weights = if format.is_integer() {
            Weights::Integer {
                w: attempt!(take_int(
                    t,
                    IntForm::dense(format),
                    rows * LANES * format.columns(inputs),
                )),
                bias: attempt!(t.take(rows)),
                m: attempt!(t.take(rows)),
            }
        } else {
            Weights::Float {
                w: attempt!(FloatMatrix::take(t, format, rows * LANES * inputs)),
                bias: attempt!(t.take(rows)),
            }
        };
        Ok(Dense {
            inputs,
            columns: format.columns(inputs),
            outputs,
            activation,
            // As it was found to be.
            requant_shift: requant_shift & 31,
            frac,
            last,
            weights,
        })
    }

    /// Columns that the inputs take in the matrix.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// In f32.
    pub(crate) fn apply(&self, k: &Kernels, x: &[f32], y: &mut [Panel<f32>]) {
        let x = [&x[..self.inputs]];
        for tile in tiles(y.len()) {
            self.tile(k, Streams::new(&x, 0), &tile, &mut y[tile.clone()]);
        }
        if self.activation == Activation::Softmax {
            softmax(&mut y.as_flattened_mut()[..self.outputs]);
        }
    }

    /// As [`Self::each_q`].
    pub(crate) fn each(&self, k: &Kernels, x: &[f32], mut give: impl FnMut(usize, usize, &[f32])) {
        let Weights::Float { bias, .. } = &self.weights else {
            return;
        };
        let (first, second) = x.split_at(self.columns);
        let both = [first, second];
        let inputs = &both[..TOGETHER - second.is_empty() as usize];
        let count = inputs.len();
        let mut y = [[0.0; LANES]; TOGETHER * SPAN];
        for tile in spans(bias.len()) {
            let y = &mut y[..count * tile.len()];
            let streams = Streams::new(inputs, tile.len());
            self.tile(k, streams, &tile, y);
            for (at, y) in y.chunks_exact(tile.len()).enumerate() {
                give(at, tile.start * LANES, y.as_flattened());
            }
        }
    }

    /// Some panels of each of the streams, one behind the other.
    fn tile(&self, k: &Kernels, x: Streams<'_>, tile: &Range<usize>, y: &mut [Panel<f32>]) {
        let Weights::Float { w, bias } = &self.weights else {
            return;
        };
        for y in y.chunks_exact_mut(tile.len()) {
            y.copy_from_slice(&bias[tile.clone()]);
        }
        w.multiply(k, y, tile, x, Panels::DENSE);
        match self.activation {
            // A magnitude is its convolution's business.
            Activation::Identity | Activation::Softmax | Activation::Magnitude => {}
            Activation::Relu => each(y, |y| y.max(0.0)),
            Activation::Tanh => k.curve_f(Curve::Tanh, y),
            Activation::Sigmoid => k.curve_f(Curve::Sigmoid, y),
            Activation::Elu if cfg!(conv) => each(y, elu),
            Activation::Elu => {}
        }
    }

    /// In integers.
    #[inline(always)]
    pub(crate) fn apply_q(&self, k: &Kernels, x: &[i16], y: &mut [Panel<i16>]) {
        let Weights::Integer { w, bias, m } = &self.weights else {
            return;
        };
        let x = &x[..self.columns];
        let mut sums = [[0; LANES]; ONE];
        for tile in parts(y.len()) {
            let sums = &mut sums[..tile.len()];
            sums.copy_from_slice(&bias[tile.clone()]);
            let w = w.part(Panels::DENSE.weights(&tile, x.len()));
            k.product(sums, w, Inputs::I16(x), Panels::DENSE);
            self.finish(k, sums, &m[tile.clone()], &mut y[tile]);
        }
        if self.activation == Activation::Softmax {
            softmax_q15(&mut y.as_flattened_mut()[..self.outputs], self.frac);
        }
    }

    /// In integers, of up to [`TOGETHER`] inputs of so many [`columns`](Self::columns), one behind the other: gives, part by part, which of
    /// them, the first of these outputs, and the outputs, of which the last ones fill a panel. Without a softmax.
    #[inline(always)]
    pub(crate) fn each_q(
        &self,
        k: &Kernels,
        x: &[i16],
        count: usize,
        mut give: impl FnMut(usize, usize, &[i16]),
    ) {
        let Weights::Integer { w, bias, m } = &self.weights else {
            return;
        };
        let mut sums = [[0; LANES]; TOGETHER * SPAN];
        let mut y = [[0; LANES]; SPAN];
        for tile in spans(bias.len()) {
            let sums = &mut sums[..count * tile.len()];
            for sums in sums.chunks_exact_mut(tile.len()) {
                sums.copy_from_slice(&bias[tile.clone()]);
            }
            let w = w.part(Panels::DENSE.weights(&tile, self.columns));
            k.products(sums, w, Inputs::I16(x), count);
            let y = &mut y[..tile.len()];
            for (at, sums) in sums.chunks_exact_mut(tile.len()).enumerate() {
                self.finish(k, sums, &m[tile.clone()], y);
                give(at, tile.start * LANES, y.as_flattened());
            }
        }
    }

    /// From sums to outputs, without a softmax.
    #[cfg_attr(one_table, inline(always))]
    #[cfg_attr(not(one_table), inline(never))]
    fn finish(&self, k: &Kernels, sums: &mut [Panel<i32>], m: &[Panel<i32>], y: &mut [Panel<i16>]) {
        k.requant(y, sums, m, self.requant_shift);
        match self.activation {
            // A magnitude is its convolution's business.
            Activation::Identity | Activation::Softmax | Activation::Magnitude => {}
            Activation::Relu => each(y, |y| y.max(0)),
            Activation::Tanh => k.curve_q(Curve::Tanh, sums, y, &SEGMENTS_512),
            Activation::Sigmoid => k.curve_q(Curve::Sigmoid, sums, y, &SEGMENTS_512),
            Activation::Elu if cfg!(conv) => each(y, elu_q),
            Activation::Elu => {}
        }
        if matches!(self.activation, Activation::Tanh | Activation::Sigmoid) {
            // Q31 to Q15 at the end of the network, to 2^-12 inside it.
            let shift = if self.last { 16 } else { 19 };
            for (y, &gate) in y.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                *y = saturate16(shift_round(gate >> 1, shift - 1));
            }
        }
    }
}

/// Ranges of panels.
#[cfg_attr(cortex_m_dsp, inline(always))]
fn spans(panels: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..panels).step_by(SPAN);
    starts.map(move |start| start..(start + SPAN).min(panels))
}

/// A function of every number.
#[inline(always)]
fn each<T: Copy>(y: &mut [Panel<T>], function: impl Fn(T) -> T) {
    for y in y.as_flattened_mut() {
        *y = function(*y);
    }
}
