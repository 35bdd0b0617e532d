//! Convolutions against PyTorch (`convolution/make.py`), and a network with normalisations and joins: the float network, and the engine in
//! every format, layout and kernel table, step by step.

mod tables;

use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet::kernel::Kernels;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export_for, package, parts};
use kinglet_trainer::net::{
    Activation, Cell, Combine, Conv, ConvShape, Dense, Join, Layer, Network, Norm, Pool, PoolKind,
    Recurrent,
};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::train::FloatRunner;
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;
use tables::alike;

/// And what an answer may differ by, in parts of the largest.
const FORMATS: [(Format, f32); 5] = [
    (Format::F32, 1e-5),
    (Format::F16, 0.003),
    (Format::W8A16, 0.02),
    (Format::W8A8, 0.05),
    (Format::W4A8, 0.5),
];
const LAYOUTS: [Layout; 4] = [
    Layout::Portable,
    Layout::CortexM4,
    Layout::CortexM55,
    Layout::CortexM0,
];

struct Golden {
    package: Package,
    x: Vec<f32>,
    y: Vec<f32>,
}

fn all() -> [Golden; 3] {
    let causal = [
        (ConvShape::causal(3, 5, 2), Activation::Tanh),
        (ConvShape::causal(8, 3, 1), Activation::Relu),
    ];
    let frame = ConvShape {
        rows: 24,
        kernel: 8,
        stride: 4,
        before: 3,
        after: 3,
        past: false,
        mirror: true,
        ..ConvShape::causal(1, 8, 1)
    };
    assert_eq!(frame.positions(), 6);
    let behind = ConvShape {
        rows: 6,
        stride: 2,
        before: 1,
        after: 1,
        past: false,
        ..ConvShape::causal(5, 3, 1)
    };
    let spectral = [(frame, Activation::Magnitude), (behind, Activation::Relu)];
    let convolved = [golden("causal", causal), golden("spectral", spectral)];
    let [causal, spectral] = convolved;
    [causal, spectral, normalised()]
}

/// Drawn, with the float network's own answers, which importers compare with those of others (`import_files.rs`).
fn normalised() -> Golden {
    let plan = [
        LayerPlan::Dense(9, Activation::Identity),
        LayerPlan::Recurrent(Cell::Lstm, 7),
        LayerPlan::Dense(2, Activation::Identity),
    ];
    let mut rng = Rng::new(8);
    let mut net = network(6, &plan, &mut rng);
    let last = network(9, &plan[2..], &mut rng);
    net.layers.truncate(2);
    let mask = LayerPlan::Dense(9, Activation::Sigmoid);
    net.layers.extend(network(13, &[mask], &mut rng).layers);
    for (at, width) in [(2, 7), (1, 9), (0, 6)] {
        let norm = Norm {
            gamma: (0..width).map(|_| 1.0 + 0.3 * rng.normal()).collect(),
            beta: (0..width).map(|_| 0.3 * rng.normal()).collect(),
            epsilon: 1e-4,
        };
        net.layers.insert(at, Layer::Norm(norm));
    }
    let join = |width, kept, with, how| {
        Layer::Join(Join {
            width,
            kept,
            with,
            how,
        })
    };
    // From the end to the beginning: the mask's product with the dense layer's outputs, what is normalised first beside the state.
    net.layers.push(join(9, 9, 1, Combine::Multiply));
    net.layers.insert(5, join(7, 6, 0, Combine::Append));
    net.layers.insert(2, Layer::Keep(9));
    net.layers.insert(1, Layer::Keep(6));
    net.layers.extend(last.layers);
    let x: Vec<f32> = (0..60 * 6).map(|_| 20.0 * rng.normal()).collect();
    let mut runner = FloatRunner::new(&net);
    let steps = x.chunks_exact(6);
    let y = steps.flat_map(|x| runner.step(x).to_vec()).collect();
    Golden {
        package: Package::of_numbers("normalised", net),
        x,
        y,
    }
}

fn golden(name: &str, convs: [(ConvShape, Activation); 2]) -> Golden {
    let path = format!("tests/convolution/{name}.safetensors");
    let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let values = file.tensor(name).unwrap().data().as_chunks().0.iter();
        values.map(|b| f32::from_le_bytes(*b)).collect()
    };
    let dense = |w: &str, b: &str, activation| {
        let (weight, bias) = (floats(w), floats(b));
        Dense {
            inputs: weight.len() / bias.len(),
            outputs: bias.len(),
            weight,
            bias,
            activation,
        }
    };
    let mut layers: Vec<Layer> = Vec::new();
    for (number, (shape, activation)) in convs.into_iter().enumerate() {
        let [w, b] = ["w", "b"].map(|part| format!("conv{number}.{part}"));
        let dense = dense(&w, &b, activation);
        layers.push(Layer::Conv(Conv { shape, dense }));
    }
    let hidden = file.tensor("lstm.w_hh").unwrap().shape()[1];
    layers.push(Layer::Recurrent(Recurrent {
        cell: Cell::Lstm,
        inputs: layers[1].outputs(),
        hidden,
        w_ih: floats("lstm.w_ih"),
        w_hh: floats("lstm.w_hh"),
        b_ih: floats("lstm.b_ih"),
        b_hh: floats("lstm.b_hh"),
        extra: Vec::new(),
    }));
    layers.push(Layer::Dense(dense(
        "head.w",
        "head.b",
        Activation::Identity,
    )));
    Golden {
        package: Package::of_numbers(name, Network { layers }),
        x: floats("x"),
        y: floats("y"),
    }
}

impl Golden {
    fn export(&self, layout: Layout, format: Format) -> AlignedBytes {
        let stream = Stream::Samples(self.x.clone());
        let ranges = Ranges::measure(&self.package.net, [&stream]);
        let tests = TestInputs::from_stream(&stream, self.package.net.input_width());
        let exported = export_for(layout, &self.package, format, Some(&ranges), &tests);
        exported.unwrap().bytes
    }

    /// Of the last outputs.
    fn error(&self, outputs: &[f32]) -> f32 {
        let wanted = &self.y[self.y.len() - outputs.len()..];
        let largest = self.y.iter().fold(0f32, |max, y| max.max(y.abs()));
        let pairs = outputs.iter().zip(wanted);
        pairs.fold(0f32, |max, (a, b)| max.max((a - b).abs())) / largest
    }
}

/// All outputs, which are the same from every table of this machine, floats but for rounding; from a stream that is saved and
/// goes on elsewhere half way; and from streams that are stepped together.
fn run_every_table(bytes: &[u8], samples: &[f32]) -> Vec<f32> {
    let model = Model::from_bytes(bytes).unwrap();
    let width = model.inputs();
    let half = samples.len() / width / 2;
    let mut first: Option<(Vec<f32>, Vec<u8>)> = None;
    for kernels in Kernels::available() {
        let mut states = [0, 1].map(|_| AlignedBytes::zeroed(model.state_len()));
        let [before, after] = &mut states;
        let mut runner = model.bind_bytes(before).unwrap().with_kernels(kernels);
        model.self_test(&mut runner).unwrap();
        let mut y = vec![0.0; model.outputs()];
        let mut all = Vec::new();
        for (step, sample) in samples.chunks_exact(width).enumerate() {
            if step == half {
                let mut saved = vec![0; model.saved_len()];
                runner.save(&mut saved).unwrap();
                runner = model.bind_bytes(after).unwrap().with_kernels(kernels);
                runner.restore(&saved).unwrap();
            }
            runner.step(sample, &mut y);
            all.extend_from_slice(&y);
        }
        let result = (all, runner.layer_state().to_vec());
        let first = first.get_or_insert_with(|| result.clone());
        let (want, found) = ((&*first.0, &first.1), (&*result.0, &result.1));
        assert!(alike(kernels, &model, want, found), "{}", kernels.name());

        let mut states = vec![AlignedBytes::zeroed(model.state_len()); 5];
        let mut states: Vec<&mut [u8]> = states.iter_mut().map(|state| &mut state[..]).collect();
        let mut batch = model.bind_batch(&mut states).unwrap().with_kernels(kernels);
        let mut together = vec![0.0; 5 * model.outputs()];
        for (sample, want) in samples
            .chunks_exact(width)
            .zip(result.0.chunks_exact(model.outputs()))
        {
            batch.step_batch(&sample.repeat(5), &mut together);
            assert_eq!(together, want.repeat(5), "{} in a batch", kernels.name());
        }
    }
    first.unwrap().0
}

#[test]
fn the_float_network_matches_at_every_step() {
    for golden in all() {
        let mut runner = FloatRunner::new(&golden.package.net);
        let steps = golden.x.chunks_exact(golden.package.net.input_width());
        let outputs: Vec<f32> = steps.flat_map(|x| runner.step(x).to_vec()).collect();
        let error = golden.error(&outputs);
        assert!(error <= 2e-6, "{}: {error:e}", golden.package.name);
    }
}

#[test]
fn every_format_and_layout_stays_near_the_original() {
    for golden in all() {
        for (format, bound) in FORMATS {
            let name = format!("{} {}", golden.package.name, format.name());
            let want = run_every_table(&golden.export(Layout::Portable, format), &golden.x);
            let error = golden.error(&want);
            println!("{name} {error:.6}");
            assert!(error < bound, "{name}: {error}");
            for layout in LAYOUTS.into_iter().filter(|_| format.is_integer()) {
                let found = run_every_table(&golden.export(layout, format), &golden.x);
                assert!(found == want, "{name} {}", layout.name());
            }
        }
    }
}

#[test]
fn a_file_gives_its_network_back_and_its_parts_sum_up() {
    for golden in all() {
        let bytes = golden.export(Layout::Portable, Format::F32);
        let read = package(&bytes).unwrap();
        assert_eq!(read.net.layers[..2], golden.package.net.layers[..2]);
        let model = Model::from_bytes(&bytes).unwrap();
        assert_eq!(model.macs(), golden.package.net.macs());
        for (format, _) in FORMATS {
            let bytes = golden.export(Layout::Portable, format);
            let parts = parts(&bytes).unwrap();
            let layers: usize = parts.layers.iter().map(|layer| layer.bytes).sum();
            let sum = parts.head + parts.normalisation + layers + parts.tests;
            assert_eq!(sum, bytes.len(), "{}", format.name());
        }
    }
}

/// The causal network with what a stride, a pool and a missing padding leave of its answers.
fn pooled() -> Vec<Golden> {
    let pool = |kind, kernel, first, every| Pool {
        kind,
        kernel,
        first,
        every,
    };
    let pools = [
        [Some(Pool::stride(8, 1)), Some(pool(PoolKind::Max, 3, 2, 2))],
        [Some(pool(PoolKind::Mean, 4, 3, 3)), None],
        [
            Some(Pool::stride(0, 2)),
            Some(pool(PoolKind::Mean, 2, 4, 1)),
        ],
        [None, Some(pool(PoolKind::Max, 5, 6, 7))],
    ];
    let with = |pools: [Option<Pool>; 2]| {
        let [mut golden, ..] = all();
        for (layer, pool) in golden.package.net.layers.iter_mut().zip(pools) {
            if let Layer::Conv(conv) = layer {
                conv.shape.pool = pool;
            }
        }
        // What the float network gives, by plain loops; that Keras gives the same is what the importing tests show.
        let mut runner = FloatRunner::new(&golden.package.net);
        let steps = golden.x.chunks_exact(golden.package.net.input_width());
        golden.y = steps.flat_map(|x| runner.step(x).to_vec()).collect();
        golden
    };
    pools.into_iter().map(with).collect()
}

#[test]
fn pooled_answers_are_those_of_the_float_network_in_every_format_and_table() {
    for golden in pooled() {
        let width = golden.package.net.output_width();
        let [first, every] = golden.package.net.answers();
        for (format, bound) in FORMATS {
            let bytes = golden.export(Layout::Portable, format);
            let found = run_every_table(&bytes, &golden.x);
            let error = golden.error(&found[first * width..]);
            println!("{} from {first} every {every}: {error:.6}", format.name());
            assert!(error < bound, "{}: {error}", format.name());
            let model = Model::from_bytes(&bytes).unwrap();
            assert_eq!(model.answers(), [first, every]);
            if format == Format::F32 {
                assert_eq!(package(&bytes).unwrap().net.answers(), [first, every]);
            }
            let mut state = AlignedBytes::zeroed(model.state_len());
            let mut runner = model.bind_bytes(&mut state).unwrap();
            let mut last = vec![0.0; width];
            for (t, x) in golden.x.chunks_exact(model.inputs()).enumerate() {
                let mut y = vec![0.0; width];
                runner.step(x, &mut y);
                let due = t >= first && (t - first).is_multiple_of(every);
                assert_eq!(runner.answered(), due, "sample {t}");
                assert!(due || t == 0 || y == last, "sample {t}");
                last = y;
            }
        }
    }
}

#[test]
fn pools_that_cannot_be_are_refused() {
    let [mut golden, ..] = all();
    let Layer::Conv(conv) = &mut golden.package.net.layers[0] else {
        panic!()
    };
    for (pool, part) in [
        (
            Pool {
                kernel: 0,
                ..Pool::stride(0, 1)
            },
            "answers of a pool",
        ),
        (
            Pool {
                kernel: 3,
                ..Pool::stride(1, 1)
            },
            "first answer",
        ),
        (Pool::stride(0, 0), "from one answer"),
        (Pool::stride(u16::MAX, 1), "first answer"),
    ] {
        conv.shape.pool = Some(pool);
        let package = Package::of_numbers(
            "pooled",
            Network {
                layers: vec![Layer::Conv(conv.clone())],
            },
        );
        let refused = export_for(
            Layout::Portable,
            &package,
            Format::F32,
            None,
            &TestInputs::synthetic(&package),
        );
        let message = format!("{:#}", refused.unwrap_err());
        assert!(message.contains(part), "{message}");
    }
}
