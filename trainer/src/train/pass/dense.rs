//! `y = φ(W x + b)` for every row of a pass: forward one product, backward two.
//!
//! Softmax is a last layer and is trained with cross-entropy, whose gradient at the sums is
//! `p − onehot`; the loss hands over that gradient, so here softmax's own derivative is 1.

use super::super::gemm::{Matrix, MatrixMut};
use super::super::loss::LEAST;
use super::super::real::Real;
use super::{Given, Pass, Size, add_row_sums, fill_rows};
use crate::net::{Activation, Dense};

pub struct DensePass<T> {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    y: Vec<T>,
    dz: Vec<T>,
}

impl<T: Real> DensePass<T> {
    pub fn new(dense: &Dense, max: Size) -> Self {
        DensePass {
            inputs: dense.inputs,
            outputs: dense.outputs,
            activation: dense.activation,
            y: vec![T::ZERO; max.rows() * dense.outputs],
            dz: vec![T::ZERO; max.rows() * dense.outputs],
        }
    }
}

fn softmax<T: Real>(row: &mut [T]) {
    let max = row
        .iter()
        .copied()
        .fold(row[0], |m, x| if x > m { x } else { m });
    let mut sum = T::ZERO;
    for x in row.iter_mut() {
        *x = T::from_f64((*x - max).to_f64().exp());
        sum += *x;
    }
    for x in row.iter_mut() {
        *x = *x / sum;
    }
}

impl<T: Real> Pass<T> for DensePass<T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        let (weight, bias) = p.split_at(self.outputs * self.inputs);
        let rows = size.rows();
        let y = &mut self.y[..rows * self.outputs];
        fill_rows(y, bias);
        T::gemm(
            Matrix::new(x, rows, self.inputs),
            Matrix::new(weight, self.outputs, self.inputs).t(),
            T::ONE,
            MatrixMut::new(y, rows, self.outputs),
        );
        match self.activation {
            // A magnitude is its convolution's business.
            Activation::Identity | Activation::Magnitude => {}
            Activation::Relu => y.iter_mut().for_each(|y| {
                if *y < T::ZERO {
                    *y = T::ZERO;
                }
            }),
            Activation::Tanh => y.iter_mut().for_each(|y| *y = y.tanh()),
            Activation::Sigmoid => y.iter_mut().for_each(|y| *y = y.sigmoid()),
            Activation::Elu => y.iter_mut().for_each(|y| *y = elu(*y)),
            Activation::Softmax => y.chunks_exact_mut(self.outputs).for_each(softmax),
        }
    }

    fn follow(&mut self, _p: &[T], _x: &[T], given: Given<'_, T>, _size: Size) {
        let y = &mut self.y[..given.output.len()];
        y.copy_from_slice(given.output);
        if self.activation == Activation::Softmax {
            // Zero in Q15 is anything below its LSB: the loss is to see the middle of that, not a logarithm of nothing.
            let least = T::from_f64(f64::from(LEAST));
            y.iter_mut()
                .filter(|p| **p < least)
                .for_each(|p| *p = least);
        }
    }

    fn output(&self, size: Size) -> &[T] {
        &self.y[..size.rows() * self.outputs]
    }

    fn backward(
        &mut self,
        p: &[T],
        x: &[T],
        dy: &[T],
        g: &mut [T],
        dx: Option<&mut [T]>,
        size: Size,
    ) {
        let weights = self.outputs * self.inputs;
        let (g_weight, g_bias) = g.split_at_mut(weights);
        let rows = size.rows();
        let dz = &mut self.dz[..rows * self.outputs];
        for ((dz, &dy), &y) in dz.iter_mut().zip(dy).zip(&self.y) {
            *dz = match self.activation {
                Activation::Identity | Activation::Softmax | Activation::Magnitude => dy,
                Activation::Relu if y > T::ZERO => dy,
                Activation::Relu => T::ZERO,
                Activation::Tanh => dy * (T::ONE - y * y),
                Activation::Sigmoid => dy * y * (T::ONE - y),
                Activation::Elu if y > T::ZERO => dy,
                Activation::Elu => dy * (y + T::ONE),
            };
        }
        T::gemm(
            Matrix::new(dz, rows, self.outputs).t(),
            Matrix::new(x, rows, self.inputs),
            T::ONE,
            MatrixMut::new(g_weight, self.outputs, self.inputs),
        );
        add_row_sums(dz, g_bias);
        if let Some(dx) = dx {
            T::gemm(
                Matrix::new(dz, rows, self.outputs),
                Matrix::new(&p[..weights], self.outputs, self.inputs),
                T::ZERO,
                MatrixMut::new(dx, rows, self.inputs),
            );
        }
    }
}

/// `e^z − 1` is `2 t / (1 − t)` for `t = tanh(z / 2)`, without a difference of near numbers.
fn elu<T: Real>(z: T) -> T {
    if z > T::ZERO {
        return z;
    }
    let t = (z * T::from_f64(0.5)).tanh();
    (t + t) / (T::ONE - t)
}

#[cfg(test)]
mod tests {
    use super::super::super::loss::{Loss, Objective};
    use super::*;

    #[test]
    fn an_engine_that_answers_zero_has_a_bounded_loss() {
        let dense = Dense {
            inputs: 1,
            outputs: 2,
            activation: Activation::Softmax,
            weight: vec![0.0; 2],
            bias: vec![0.0; 2],
        };
        let size = Size { steps: 1, lanes: 1 };
        let mut pass = DensePass::new(&dense, size);
        let given = Given {
            output: &[0.0f32, 1.0],
            cell: &[],
        };
        pass.follow(&[], &[], given, size);
        let loss = Objective::from(Loss::CrossEntropy).value(pass.output(size), &[0.0], (1, 2));
        assert_eq!(loss, 16.0 * std::f64::consts::LN_2);
    }
}
