//! ONNX Runtime by its C API: the library of the Python package, one prepared binding of inputs and outputs per sample.
//! The state goes back and forth between two tensors, so a step copies nothing.

use anyhow::{Context, Result, ensure};
use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use peer::{Layer, Net, SAMPLES, Variants, serve};
use std::path::Path;

struct OnnxRuntime {
    session: Session,
    bindings: Vec<IoBinding>,
    /// State before even and before odd samples; hidden first.
    states: [Vec<Tensor<f32>>; 2],
}

impl Net for OnnxRuntime {
    fn reset(&mut self) {
        for tensor in self.states.iter_mut().flatten() {
            tensor.extract_tensor_mut().1.fill(0.0);
        }
    }

    fn step(&mut self, sample: usize) {
        let binding = &self.bindings[sample];
        let run = ort::api().RunWithBinding;
        // SAFETY: session and binding are alive, the binding was made for this session, and keeps all tensors alive.
        let status = unsafe { run(self.session.ptr_mut(), std::ptr::null(), binding.ptr()) };
        assert!(status.0.is_null(), "a step failed");
    }

    fn output(&self) -> Vec<f32> {
        // After an even number of steps.
        self.states[0][0].extract_tensor().1.to_vec()
    }
}

fn net(environment: &Environment, layer: &Layer, file: &Path) -> Result<OnnxRuntime> {
    let session = Session::builder(environment)?
        .with_intra_threads(1)
        .and_then(|b| b.with_inter_threads(1))
        .map_err(|e| anyhow::anyhow!("{e}"))?
        .commit_from_file(file)?;
    let names: &[(&str, &str)] = match layer.cell.as_str() {
        "lstm" => &[("h", "h_next"), ("c", "c_next")],
        _ => &[("h", "h_next")],
    };
    let zero = |_: &(&str, &str)| Tensor::<f32>::new(&Allocator::default(), [1, 1, layer.hidden]);
    let state = || names.iter().map(zero).collect::<Result<Vec<_>, _>>();
    let mut states = [state()?, state()?];
    let mut bindings = Vec::new();
    for (number, x) in layer.samples().enumerate() {
        let x = Tensor::from_array(([1, 1, layer.inputs], x.to_vec()))?;
        let mut binding = session.create_binding()?;
        binding.bind_input("x", &x)?;
        let [even, odd] = &mut states;
        let (before, after) = if number % 2 == 0 {
            (even, odd)
        } else {
            (odd, even)
        };
        for (i, (name, next)) in names.iter().enumerate() {
            binding.bind_input(*name, &before[i])?;
            binding.bind_output(*next, &mut after[i])?;
        }
        bindings.push(binding);
    }
    ensure!(SAMPLES % 2 == 0, "the state ends where it started");
    let mut net = OnnxRuntime {
        session,
        bindings,
        states,
    };
    net.reset();
    Ok(net)
}

fn main() -> Result<()> {
    let environment = ort::init().build().context("ONNX Runtime")?;
    serve(|layer, folder| {
        let mut variants = Variants::new();
        for (name, end) in [("f32", ".onnx"), ("dynamic-int8", ".int8.onnx")] {
            let file = folder.join(layer.stem() + end);
            if file.exists() {
                variants.push((name, Box::new(net(&environment, layer, &file)?)));
            }
        }
        Ok(variants)
    })
}
