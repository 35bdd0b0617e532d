//! candle's own cells, one `step` per sample. It has no tanh RNN.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_nn::rnn::{GRU, GRUConfig, LSTM, LSTMConfig, RNN};
use peer::{Layer, Net, Variants, serve};
use std::collections::HashMap;
use std::path::Path;

struct Candle<R: RNN> {
    rnn: R,
    state: R::State,
    samples: Vec<Tensor>,
    hidden: fn(&R::State) -> &Tensor,
}

impl<R: RNN> Net for Candle<R> {
    fn reset(&mut self) {
        self.state = self.rnn.zero_state(1).expect("a state");
    }

    fn step(&mut self, sample: usize) {
        self.state = self
            .rnn
            .step(&self.samples[sample], &self.state)
            .expect("a step");
    }

    fn output(&self) -> Vec<f32> {
        let hidden = (self.hidden)(&self.state).flatten_all();
        hidden.and_then(|h| h.to_vec1()).expect("floats")
    }
}

fn open(layer: &Layer, _: &Path) -> Result<Variants> {
    let (inputs, hidden, rows) = (layer.inputs, layer.hidden, layer.gates() * layer.hidden);
    let tensor = |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu);
    let weights = HashMap::from([
        (
            "weight_ih_l0".to_owned(),
            tensor(&layer.w_ih, &[rows, inputs])?,
        ),
        (
            "weight_hh_l0".to_owned(),
            tensor(&layer.w_hh, &[rows, hidden])?,
        ),
        ("bias_ih_l0".to_owned(), tensor(&layer.b_ih, &[rows])?),
        ("bias_hh_l0".to_owned(), tensor(&layer.b_hh, &[rows])?),
    ]);
    let weights = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    let samples: Result<Vec<Tensor>, _> =
        layer.samples().map(|x| tensor(x, &[1, inputs])).collect();
    let samples = samples?;
    let net: Box<dyn Net> = match layer.cell.as_str() {
        "lstm" => {
            let rnn = LSTM::new(inputs, hidden, LSTMConfig::default(), weights)?;
            Box::new(Candle {
                state: rnn.zero_state(1)?,
                rnn,
                samples,
                hidden: |s| s.h(),
            })
        }
        "gru" => {
            let rnn = GRU::new(inputs, hidden, GRUConfig::default(), weights)?;
            Box::new(Candle {
                state: rnn.zero_state(1)?,
                rnn,
                samples,
                hidden: |s| s.h(),
            })
        }
        _ => return Ok(vec![]),
    };
    Ok(vec![("f32", net)])
}

fn main() -> Result<()> {
    serve(open)
}
