//! tract on the ONNX model of one step, optimised, as a runnable plan that is reused.

use anyhow::Result;
use peer::{Layer, Net, Variants, serve};
use std::path::Path;
use std::sync::Arc;
use tract_onnx::prelude::*;

struct Tract {
    state: TypedSimpleState,
    samples: Vec<TValue>,
    carried: Vec<TValue>,
    zero: Vec<TValue>,
}

impl Net for Tract {
    fn reset(&mut self) {
        self.carried = self.zero.clone();
    }

    fn step(&mut self, sample: usize) {
        let mut inputs = tvec![self.samples[sample].clone()];
        inputs.extend(self.carried.drain(..));
        let outputs = self.state.run(inputs).expect("a step");
        self.carried.extend(outputs);
    }

    fn output(&self) -> Vec<f32> {
        let hidden = self.carried[0].to_plain_array_view::<f32>();
        hidden.expect("floats").iter().copied().collect()
    }
}

fn open(layer: &Layer, folder: &Path) -> Result<Variants> {
    let model = tract_onnx::onnx().model_for_path(folder.join(layer.stem() + ".onnx"))?;
    let plan: Arc<TypedSimplePlan> = model.into_optimized()?.into_runnable()?;
    let zero: TValue = Tensor::zero::<f32>(&[1, 1, layer.hidden])?.into();
    let samples = layer
        .samples()
        .map(|x| Ok(Tensor::from_shape(&[1, 1, layer.inputs], x)?.into()))
        .collect::<Result<_>>()?;
    let zero = vec![zero; if layer.cell == "lstm" { 2 } else { 1 }];
    let net = Tract {
        state: plan.spawn()?,
        samples,
        carried: zero.clone(),
        zero,
    };
    Ok(vec![("f32", Box::new(net))])
}

fn main() -> Result<()> {
    serve(open)
}
