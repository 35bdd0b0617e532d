//! The float network over a whole window, layer by layer: what a bidirectional network needs in place of steps.

use super::step::{LayerState, step_conv, step_dense, step_norm, step_recurrent};
use crate::net::{Layer, Network, Recurrent};

/// What a layer took and gave at a sample of the window.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its place in the network.
    pub layer: usize,
    /// Which sample.
    pub sample: usize,
    /// Its input.
    pub x: &'a [f32],
    /// Its state before.
    pub state: &'a [f32],
    /// Its output; of a bidirectional layer one direction's.
    pub y: &'a [f32],
    /// Which direction.
    pub half: usize,
    /// Its cells, where it has some.
    pub cell: &'a [f32],
}

/// Runs a network over the inputs of a window, all states zero at first; gives the last output. `watch` sees every layer.
///
/// # Panics
/// If an input is shorter than the first layer's, or a token outside its table.
pub fn run_window(
    net: &Network,
    window: Vec<Vec<f32>>,
    mut watch: impl FnMut(Seen<'_>),
) -> Vec<f32> {
    let mut rows = window;
    let last = net
        .layers
        .iter()
        .rposition(|layer| matches!(layer, Layer::Bidirectional(_)));
    for (k, layer) in net.layers.iter().enumerate() {
        let direction = |r: &Recurrent, half: usize, watch: &mut dyn FnMut(Seen<'_>)| {
            let mut state = LayerState::new(r);
            let mut outputs = vec![Vec::new(); rows.len()];
            for step in 0..rows.len() {
                let t = if half == 0 {
                    step
                } else {
                    rows.len() - 1 - step
                };
                let before = state.y.clone();
                step_recurrent(r, &rows[t], &mut state);
                watch(Seen {
                    layer: k,
                    sample: t,
                    x: &rows[t],
                    state: &before,
                    y: &state.y,
                    half,
                    cell: if r.cell.has_cell() { &state.c } else { &[] },
                });
                outputs[t] = state.y.clone();
            }
            (outputs, state.y)
        };
        rows = match layer {
            Layer::Embedding(e) => {
                let row = |x: &Vec<f32>| {
                    let at = x[0] as usize * e.dim;
                    e.table[at..at + e.dim].to_vec()
                };
                rows.iter().map(row).collect()
            }
            Layer::Recurrent(r) => direction(r, 0, &mut watch).0,
            Layer::Bidirectional(b) => {
                let (forward, first) = direction(&b.forward, 0, &mut watch);
                let (backward, second) = direction(&b.backward, 1, &mut watch);
                if last == Some(k) {
                    vec![[first, second].concat()]
                } else {
                    let pairs = forward.into_iter().zip(backward);
                    pairs.map(|(a, b)| [a, b].concat()).collect()
                }
            }
            // No network that the engine runs has one of these beside a bidirectional layer.
            Layer::Conv(c) => {
                let mut state = LayerState::of_conv(c);
                let mut row = |x: &Vec<f32>| step_conv(c, x, &mut state).then(|| state.y.clone());
                rows.iter().filter_map(&mut row).collect()
            }
            Layer::Keep(_) | Layer::Join(_) => rows,
            Layer::Norm(n) => {
                let row = |x: &Vec<f32>| {
                    let mut y = vec![0.0; n.width()];
                    step_norm(n, x, &mut y);
                    y
                };
                rows.iter().map(row).collect()
            }
            Layer::Dense(d) => {
                let mut row = |x: &Vec<f32>| {
                    let mut y = vec![0.0; d.outputs];
                    step_dense(d, x, &mut y);
                    watch(Seen {
                        layer: k,
                        sample: 0,
                        x,
                        state: &[],
                        y: &y,
                        half: 0,
                        cell: &[],
                    });
                    y
                };
                rows.iter().map(&mut row).collect()
            }
        };
    }
    rows.pop().unwrap_or_default()
}
