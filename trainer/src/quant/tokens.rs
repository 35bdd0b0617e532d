//! What eight bits do to the numbers of tokens, taken back by the weights behind them.
//!
//! A token's vector `e` becomes `ê`, and a row `w` of the next layer gives `w · ê` for `w · e`. There are no more such errors than tokens, often fewer
//! than numbers in a vector, so the row `w + Δ` with `Δ · ê ≈ w · (e − ê)` for all of them hardly differs from `w`: least squares over the tokens, with a
//! penalty on `Δ`. As `w` stands before it, one matrix `X` serves all rows: `Δ = w X`.
//!
//! Of the pair of g2p-en (29 and 74 tokens, 256 numbers each) the weights change by 0.4 % and the sums of tokens are those of f32 to 2e-5. Vectors in
//! eight bits by themselves would make 54 of 4,000 words others, and after it none.

use super::{Formats, input_frac};
use crate::net::{Embedding, Layer, Network};
use crate::train::least_squares::solve;
use kinglet::format::Format;

/// Tokens for each number of a vector, beyond which too little can be taken back: a part in so many.
const MOST: usize = 8;
/// Penalty in parts of the mean square of a number, summed up over the tokens.
const PENALTY: f64 = 1e-3;

/// The integer that a number of a token becomes.
pub(crate) fn token_integer(w: f32, format: Format) -> f32 {
    let frac = input_frac(format);
    let limit = if frac == 7 { 128.0 } else { 32768.0 };
    (w * 2f32.powi(frac)).round().clamp(-limit, limit - 1.0)
}

/// Weights over the vectors of tokens make up for the rounding of these, where they have eight bits.
pub(super) fn take_back_tokens(net: &mut Network, formats: &Formats) {
    let format = formats.of(0);
    let [Layer::Embedding(embedding), behind, ..] = &mut net.layers[..] else {
        return;
    };
    if !format.is_a8() || embedding.vocab > MOST * embedding.dim {
        return;
    }
    let Some(given) = taken_from(embedding, format) else {
        return;
    };
    match behind {
        Layer::Recurrent(r) => add(&mut r.w_ih, &given),
        Layer::Bidirectional(b) => {
            add(&mut b.forward.w_ih, &given);
            add(&mut b.backward.w_ih, &given);
        }
        Layer::Dense(d) => add(&mut d.weight, &given),
        // Places of a sample share their weights, and others have none.
        Layer::Conv(_) | Layer::Norm(_) | Layer::Keep(_) | Layer::Join(_) | Layer::Embedding(_) => {
        }
    }
}

/// `X`: of each number of a vector what it gives to the weights over all.
fn taken_from(embedding: &Embedding, format: Format) -> Option<Vec<Vec<f64>>> {
    let dim = embedding.dim;
    let lsb = 2f32.powi(-input_frac(format));
    let mut square = vec![0.0; dim * dim];
    let mut cross = vec![vec![0.0; dim]; dim];
    for vector in embedding.table.chunks_exact(dim) {
        let held = vector
            .iter()
            .map(|&w| f64::from(token_integer(w, format) * lsb));
        let held: Vec<f64> = held.collect();
        for (i, (&w, &rounded)) in vector.iter().zip(&held).enumerate() {
            let line = &mut square[i * dim..][..=i];
            line.iter_mut()
                .zip(&held)
                .for_each(|(sum, x)| *sum += rounded * x);
            let lost = f64::from(w) - rounded;
            let line = cross[i].iter_mut();
            line.zip(&held).for_each(|(sum, x)| *sum += lost * x);
        }
    }
    let mean = square.iter().step_by(dim + 1).sum::<f64>() / dim as f64;
    solve(&square, PENALTY * mean, &cross)
}

fn add(weights: &mut [f32], given: &[Vec<f64>]) {
    for row in weights.chunks_exact_mut(given.len()) {
        let mut changed: Vec<f64> = row.iter().map(|&w| f64::from(w)).collect();
        for (&w, given) in row.iter().zip(given) {
            let w = f64::from(w);
            changed
                .iter_mut()
                .zip(given)
                .for_each(|(sum, x)| *sum += w * x);
        }
        row.iter_mut()
            .zip(changed)
            .for_each(|(w, sum)| *w = sum as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Activation, Dense};
    use crate::train::init::Rng;

    #[test]
    fn sums_of_rounded_tokens_are_those_of_the_tokens() {
        let (vocab, dim, outputs) = (7, 24, 5);
        let mut rng = Rng::new(3);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| 0.3 * rng.normal()).collect() };
        let table = draw(vocab * dim);
        let dense = Dense {
            inputs: dim,
            outputs,
            weight: draw(outputs * dim),
            bias: vec![0.0; outputs],
            activation: Activation::Identity,
        };
        let rounded = |w: &f32| token_integer(*w, Format::W8A8) / 128.0;
        let rounded: Vec<f32> = table.iter().map(rounded).collect();
        let mut net = Network {
            layers: vec![
                Layer::Embedding(Embedding {
                    vocab,
                    dim,
                    table: table.clone(),
                }),
                Layer::Dense(dense.clone()),
            ],
        };
        take_back_tokens(&mut net, &Format::W8A16.into());
        assert_eq!(net.layers[1], Layer::Dense(dense.clone()));
        take_back_tokens(&mut net, &Format::W8A8.into());
        let Layer::Dense(changed) = &net.layers[1] else {
            unreachable!()
        };
        let sums = |weight: &[f32], table: &[f32]| -> Vec<f32> {
            let dot = |w: &[f32], e: &[f32]| w.iter().zip(e).map(|(w, e)| w * e).sum::<f32>();
            let of = |e| weight.chunks_exact(dim).map(move |w| dot(w, e));
            table.chunks_exact(dim).flat_map(of).collect()
        };
        let want = sums(&dense.weight, &table);
        let [before, after] = [&dense, changed].map(|dense| {
            let found = sums(&dense.weight, &rounded);
            let errors = found.iter().zip(&want).map(|(a, b)| (a - b).abs());
            errors.fold(0.0, f32::max)
        });
        assert!(before > 1e-3 && after < 0.05 * before, "{before}, {after}");
        let moved = changed
            .weight
            .iter()
            .zip(&dense.weight)
            .map(|(a, b)| (a - b).abs());
        assert!(moved.fold(0.0, f32::max) < 0.01);
    }
}
