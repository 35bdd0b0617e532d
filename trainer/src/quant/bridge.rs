//! Linear layers in front of cells in eight bits that read what cannot be brought to another scale.
//!
//! Such a cell reads what lies within ±1. What reaches further is divided, and the cell's weights multiplied (see [`rescale`](super::rescale())); a sum
//! with an earlier value cannot be, as what it adds has one scale, nor what is kept for such a sum, nor an ELU, which bends where it does. There a linear
//! layer goes in between, that gives every number as it is, and is divided.
//!
//! Of two GRUs of 8 units, each added to what it reads, the outputs in w8a8 err by 0.9 % of their spread with it, in place of 12.8 %:
//! nearly all of that was what the cells did not see.

use super::rescale::takers_in_scale;
use super::{Formats, LayerRange, Ranges};
use crate::net::{Activation, Dense, Layer, Network};
use kinglet::format::MAX_LAYERS;

/// Puts the layers in, as far as a network may have more; the numbers that they got.
pub(crate) fn bridge(net: &mut Network, ranges: &mut Ranges, formats: &mut Formats) -> Vec<usize> {
    let mut bridges = Vec::new();
    let mut k = 1;
    while k < net.layers.len() && net.layers.len() < MAX_LAYERS {
        if is_cut(net, ranges, formats, k) {
            let below = &ranges.layers[k - 1];
            let range = LayerRange {
                output: below.output,
                outputs: below.outputs.clone(),
                ..LayerRange::default()
            };
            let layer = Layer::Dense(as_it_is(below.outputs.len()));
            net.layers.insert(k, layer);
            ranges.layers.insert(k, range);
            if let Formats::Each(each) = formats {
                each.insert(k, each[k]);
            }
            bridges.push(k);
            k += 1;
        }
        k += 1;
    }
    bridges
}

/// The cells of a layer in eight bits do not see all of what the layer before gives.
pub(crate) fn is_cut(net: &Network, ranges: &Ranges, formats: &Formats, k: usize) -> bool {
    let cells = matches!(net.layers[k], Layer::Recurrent(_) | Layer::Bidirectional(_));
    if !cells || !formats.of(k).is_a8() || ranges.layers[k - 1].output <= 1.0 {
        return false;
    }
    let from = match net.layers[k - 1] {
        Layer::Keep(_) => k.checked_sub(2),
        _ => Some(k - 1),
    };
    from.is_none_or(|from| takers_in_scale(&net.layers, from).is_none())
}

fn as_it_is(width: usize) -> Dense {
    let mut weight = vec![0.0; width * width];
    weight.iter_mut().step_by(width + 1).for_each(|w| *w = 1.0);
    Dense {
        inputs: width,
        outputs: width,
        weight,
        bias: vec![0.0; width],
        activation: Activation::Identity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Cell, Combine, Join, Recurrent};
    use kinglet::format::Format;

    /// A layer as it is with an activation, and what it reaches.
    fn dense(width: usize, activation: Activation, reach: f32) -> (Layer, f32) {
        let dense = Dense {
            activation,
            ..as_it_is(width)
        };
        (Layer::Dense(dense), reach)
    }

    fn gru(width: usize) -> (Layer, f32) {
        let r = Recurrent {
            cell: Cell::GruResetAfter,
            inputs: width,
            hidden: width,
            w_ih: vec![0.1; 3 * width * width],
            w_hh: vec![0.1; 3 * width * width],
            b_ih: vec![0.0; 3 * width],
            b_hh: vec![0.0; 3 * width],
            extra: Vec::new(),
        };
        (Layer::Recurrent(r), 1.0)
    }

    fn bridges(layers: Vec<(Layer, f32)>, format: Format) -> Vec<usize> {
        let mut formats = format.into();
        let range = |(layer, reach): &(Layer, f32)| LayerRange {
            output: *reach,
            outputs: vec![*reach; layer.outputs()],
            ..LayerRange::default()
        };
        let mut ranges = Ranges::bound(&Network {
            layers: layers.iter().map(|(layer, _)| layer.clone()).collect(),
        });
        ranges.layers = layers.iter().map(range).collect();
        let layers = layers.into_iter().map(|(layer, _)| layer);
        let mut net = Network {
            layers: layers.collect(),
        };
        let count = net.layers.len();
        let bridges = bridge(&mut net, &mut ranges, &mut formats);
        assert_eq!(net.layers.len(), count + bridges.len());
        assert_eq!(ranges.layers.len(), net.layers.len());
        bridges
    }

    #[test]
    fn what_cannot_be_divided_gets_a_layer_that_can() {
        let n = 3;
        let sum = || {
            let join = Join {
                width: n,
                kept: n,
                with: 0,
                how: Combine::Add,
            };
            vec![
                dense(n, Activation::Identity, 3.0),
                (Layer::Keep(n), 3.0),
                gru(n),
                (Layer::Join(join), 4.0),
                gru(n),
            ]
        };
        assert_eq!(bridges(sum(), Format::W8A8), [2, 5]);
        assert!(bridges(sum(), Format::W8A16).is_empty());
        let bent = |reach| vec![dense(n, Activation::Elu, reach), gru(n)];
        assert_eq!(bridges(bent(1.5), Format::W4A8), [1]);
        assert!(bridges(bent(0.9), Format::W4A8).is_empty());
        // A relu is divided itself.
        let relu = vec![dense(n, Activation::Relu, 3.0), gru(n)];
        assert!(bridges(relu, Format::W8A8).is_empty());
    }
}
