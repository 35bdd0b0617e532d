//! burn's own modules on its plain CPU backend (`flex`), a sequence of one step per call.

use anyhow::Result;
use burn::module::Param;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{GateController, Lstm, LstmConfig, LstmState, Rnn, RnnConfig, RnnState};
use burn::tensor::{Device, Tensor, TensorData};
use peer::{Layer, Net, Variants, serve};
use std::path::Path;

enum Module {
    Lstm(Lstm, Option<LstmState<2>>),
    Gru(Gru, Option<Tensor<2>>),
    Rnn(Rnn, Option<RnnState<2>>),
}

struct Burn {
    module: Module,
    samples: Vec<Tensor<3>>,
}

impl Net for Burn {
    fn reset(&mut self) {
        match &mut self.module {
            Module::Lstm(_, state) => *state = None,
            Module::Gru(_, state) => *state = None,
            Module::Rnn(_, state) => *state = None,
        }
    }

    fn step(&mut self, sample: usize) {
        let x = self.samples[sample].clone();
        match &mut self.module {
            Module::Lstm(lstm, state) => *state = Some(lstm.forward(x, state.take()).1),
            Module::Gru(gru, state) => *state = Some(gru.forward(x, state.take()).squeeze_dim(1)),
            Module::Rnn(rnn, state) => *state = Some(rnn.forward(x, state.take()).1),
        }
    }

    fn output(&self) -> Vec<f32> {
        let hidden = match &self.module {
            Module::Lstm(_, state) => state.as_ref().map(|s| &s.hidden),
            Module::Gru(_, state) => state.as_ref(),
            Module::Rnn(_, state) => state.as_ref().map(|s| &s.hidden),
        };
        let data = hidden.expect("a step").to_data();
        data.try_to_vec().expect("floats")
    }
}

/// Gives a gate its rows of the stacked weights; burn stores a product's weights transposed.
fn fill(gate: &mut GateController, layer: &Layer, number: usize, device: &Device) {
    let rows = number * layer.hidden..(number + 1) * layer.hidden;
    let product = |weights: &[f32], columns: usize| {
        let rows = weights[rows.start * columns..rows.end * columns].to_vec();
        let data = TensorData::new(rows, [layer.hidden, columns]);
        Param::from_tensor(Tensor::<2>::from_data(data, device).transpose())
    };
    let bias = |bias: &[f32]| {
        let data = TensorData::new(bias[rows.clone()].to_vec(), [layer.hidden]);
        Some(Param::from_tensor(Tensor::<1>::from_data(data, device)))
    };
    gate.input_transform.weight = product(&layer.w_ih, layer.inputs);
    gate.hidden_transform.weight = product(&layer.w_hh, layer.hidden);
    gate.input_transform.bias = bias(&layer.b_ih);
    gate.hidden_transform.bias = bias(&layer.b_hh);
}

fn open(layer: &Layer, _: &Path) -> Result<Variants> {
    let device = Device::default();
    let (inputs, hidden) = (layer.inputs, layer.hidden);
    let module = match layer.cell.as_str() {
        "lstm" => {
            let mut lstm = LstmConfig::new(inputs, hidden, true).init(&device);
            fill(&mut lstm.input_gate, layer, 0, &device);
            fill(
                lstm.forget_gate.as_mut().expect("not coupled"),
                layer,
                1,
                &device,
            );
            fill(&mut lstm.cell_gate, layer, 2, &device);
            fill(&mut lstm.output_gate, layer, 3, &device);
            Module::Lstm(lstm, None)
        }
        "gru" => {
            let mut gru = GruConfig::new(inputs, hidden, true).init(&device);
            fill(&mut gru.reset_gate, layer, 0, &device);
            fill(&mut gru.update_gate, layer, 1, &device);
            fill(&mut gru.new_gate, layer, 2, &device);
            Module::Gru(gru, None)
        }
        _ => {
            let mut rnn = RnnConfig::new(inputs, hidden, true).init(&device);
            fill(&mut rnn.gate, layer, 0, &device);
            Module::Rnn(rnn, None)
        }
    };
    let sample =
        |x: &[f32]| Tensor::<3>::from_data(TensorData::new(x.to_vec(), [1, 1, inputs]), &device);
    let samples = layer.samples().map(sample).collect();
    Ok(vec![("f32", Box::new(Burn { module, samples }))])
}

fn main() -> Result<()> {
    serve(open)
}
