//! The golden networks of PyTorch, exported and run by the engine.

#[allow(dead_code, reason = "only the flags are needed here")]
mod shown;
mod tables;

use kinglet::format::{Format, Layout};
use kinglet::kernel::Kernels;
use kinglet::{Model, Runner};
use kinglet_trainer::file::{self, AlignedBytes, TestInputs, export, export_for};
use kinglet_trainer::import::read;
use kinglet_trainer::net::Layer;
use kinglet_trainer::package::{Input, Output, Package};
use kinglet_trainer::quant::{Formats, Ranges, Stream};
use safetensors::SafeTensors;
use shown::options;
use std::fs;
use std::path::{Path, PathBuf};
use tables::alike;

const FORMATS: [Format; 5] = [
    Format::F32,
    Format::F16,
    Format::W8A16,
    Format::W8A8,
    Format::W4A8,
];

const LAYOUTS: [Layout; 4] = [
    Layout::Portable,
    Layout::CortexM4,
    Layout::CortexM55,
    Layout::CortexM0,
];

struct Golden {
    name: String,
    package: Package,
    input: Vec<f32>,
    output: Vec<f32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/golden")
}

impl Golden {
    fn all() -> Vec<Golden> {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .collect();
        paths.sort();
        assert!(
            paths.len() >= 35,
            "golden files are missing: {}",
            paths.len()
        );
        paths.iter().map(|path| Golden::read(path)).collect()
    }

    fn read(path: &Path) -> Golden {
        let bytes = fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let flags = &header.metadata().as_ref().unwrap()["import"];
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |name: &str| -> Vec<f32> {
            let view = file.tensor(name).unwrap();
            view.data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect()
        };
        Golden {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            package: read(path, &options(flags)).unwrap().package,
            input: floats("__input__"),
            output: floats("__output__"),
        }
    }

    fn stream(&self) -> Stream {
        match self.package.input {
            Input::Features(_) => Stream::Samples(self.input.clone()),
            Input::Tokens(_) => Stream::Tokens(self.input.iter().map(|&t| t as usize).collect()),
        }
    }

    /// The engine's outputs at every step.
    fn run(&self, runner: &mut Runner<'_, '_>) -> Vec<f32> {
        let model = runner.model();
        let mut y = vec![0.0; model.outputs()];
        let mut all = Vec::new();
        match self.stream() {
            Stream::Samples(samples) => {
                for sample in samples.chunks_exact(model.inputs()) {
                    runner.step(sample, &mut y);
                    all.extend_from_slice(&y);
                }
            }
            Stream::Tokens(tokens) => {
                for token in tokens {
                    runner.step_token(token, &mut y);
                    all.extend_from_slice(&y);
                }
            }
        }
        all
    }

    fn export(&self, format: impl Into<Formats>) -> AlignedBytes {
        let formats = format.into();
        let ranges = Ranges::measure(&self.package.net, [&self.stream()]);
        let tests = TestInputs::from_stream(&self.stream(), self.package.net.input_width());
        let exported = export(&self.package, formats.clone(), Some(&ranges), &tests);
        exported
            .unwrap_or_else(|e| panic!("{} {formats:?}: {e:#}", self.name))
            .bytes
    }

    /// As [`Self::export`], packed.
    fn export_for(&self, layout: Layout, format: Format) -> AlignedBytes {
        let ranges = Ranges::measure(&self.package.net, [&self.stream()]);
        let tests = TestInputs::from_stream(&self.stream(), self.package.net.input_width());
        let exported = export_for(layout, &self.package, format, Some(&ranges), &tests).unwrap();
        let bridged = self.name == "linear_first_elu" && format.is_a8();
        assert_eq!(
            exported.notes.len(),
            usize::from(bridged),
            "{:?}",
            exported.notes
        );
        exported.bytes
    }

    /// The same from every table of this machine, floats but for rounding, or the test fails.
    fn run_every_table(&self, bytes: &[u8]) -> Vec<f32> {
        let model = Model::from_bytes(bytes).unwrap();
        let mut first: Option<(Vec<f32>, Vec<u8>)> = None;
        for kernels in Kernels::available() {
            let mut state = AlignedBytes::zeroed(model.state_len());
            let mut runner = model.bind_bytes(&mut state).unwrap().with_kernels(kernels);
            self.seed(&mut runner, model.format());
            let result = (self.run(&mut runner), runner.layer_state().to_vec());
            match &first {
                None => first = Some(result),
                Some(first) => {
                    let (want, found) = ((&*first.0, &first.1), (&*result.0, &result.1));
                    assert!(
                        alike(kernels, &model, want, found),
                        "{}: {} differs from scalar",
                        self.name,
                        kernels.name()
                    );
                }
            }
        }
        first.unwrap().0
    }

    /// A decoder starts from its encoder's final states.
    fn seed(&self, decoder: &mut Runner<'_, '_>, format: Format) {
        if self.name != "pair_decoder" {
            return;
        }
        let encoder = Golden::read(&folder().join("pair_encoder.safetensors"));
        let bytes = encoder.export(format);
        let model = Model::from_bytes(&bytes).unwrap();
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut runner = model.bind_bytes(&mut state).unwrap();
        encoder.run(&mut runner);
        decoder.seed_from(&runner).unwrap();
    }

    fn largest_error(&self, outputs: &[f32]) -> f32 {
        assert_eq!(outputs.len(), self.output.len(), "{}", self.name);
        outputs
            .iter()
            .zip(&self.output)
            .fold(0.0, |max, (a, b)| max.max((a - b).abs()))
    }

    fn output_scale(&self) -> f32 {
        self.output
            .iter()
            .fold(0f32, |max, y| max.max(y.abs()))
            .max(1.0)
    }
}

#[test]
fn f32_matches_pytorch_at_every_step() {
    for golden in Golden::all() {
        let error = golden.largest_error(&golden.run_every_table(&golden.export(Format::F32)));
        assert!(error <= 1e-5, "{}: {error:e}", golden.name);
    }
}

#[test]
fn every_format_stays_near_pytorch() {
    for (format, bound) in [
        (Format::F16, 0.01),
        (Format::W8A16, 0.06),
        (Format::W8A8, 0.15),
        (Format::W4A8, 0.6),
    ] {
        let mut worst = (0f32, String::new());
        for golden in Golden::all() {
            let outputs = golden.run_every_table(&golden.export(format));
            let error = golden.largest_error(&outputs) / golden.output_scale();
            println!("{} {} {error:.5}", format.name(), golden.name);
            if error > worst.0 {
                worst = (error, golden.name);
            }
        }
        assert!(worst.0 < bound, "{}: {worst:?}", format.name());
    }
}

/// Formats in turn, so that every pair of them meets between two layers; an embedding has that of the layer behind it.
#[test]
fn layers_of_different_formats_compute_the_same_bytes_everywhere() {
    const INTEGERS: [Format; 3] = [Format::W8A8, Format::W8A16, Format::W4A8];
    let mut mixed = 0;
    for golden in Golden::all() {
        // A decoder takes the state of an encoder in the same formats.
        if golden.name == "pair_decoder" {
            continue;
        }
        let layers = golden.package.net.layers.len();
        let embeds = matches!(golden.package.net.layers[0], Layer::Embedding(_)) as usize;
        for (first, step) in [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)] {
            let format = |layer: usize| INTEGERS[(first + step * layer.max(embeds)) % 3];
            let formats: Vec<Format> = (0..layers).map(format).collect();
            mixed += formats.iter().any(|format| *format != formats[0]) as usize;
            let bytes = golden.export(Formats::Each(formats.clone()));
            let model = Model::from_bytes(&bytes).unwrap();
            let mut found: Vec<Format> = model.header().layers.iter().map(|l| l.format()).collect();
            // Cells in eight bits behind an ELU have a linear layer of their format before them.
            if golden.name == "linear_first_elu" && formats[1].is_a8() {
                assert_eq!(found.remove(1), formats[1]);
            }
            assert_eq!(found, formats, "{}", golden.name);
            let outputs = golden.run_every_table(&bytes);
            let error = golden.largest_error(&outputs) / golden.output_scale();
            assert!(error < 0.6, "{} {formats:?}: {error}", golden.name);
        }
    }
    assert!(mixed > 100, "{mixed}");
}

#[test]
fn a_float_file_gives_its_package_back() {
    for golden in Golden::all() {
        let bytes = golden.export(Format::F32);
        let mut package = file::package(&bytes).unwrap();
        let again = export(
            &package,
            Format::F32,
            None,
            &TestInputs::from_stream(&golden.stream(), golden.package.net.input_width()),
        );
        let again = again.unwrap().bytes;
        let differs = (32..bytes.len()).find(|&at| again.get(at) != bytes.get(at));
        assert_eq!(
            (differs, again.len()),
            (None, bytes.len()),
            "{}",
            golden.name
        );
        // Biases come back added up.
        package.net = golden.package.net.clone();
        assert_eq!(package, golden.package, "{}", golden.name);
    }
}

#[test]
fn every_layout_computes_the_same_bytes() {
    for golden in Golden::all() {
        for format in [Format::W8A8, Format::W8A16, Format::W4A8] {
            let [portable, others @ ..] = LAYOUTS.map(|layout| {
                let bytes = golden.export_for(layout, format);
                let model = Model::from_bytes(&bytes).unwrap();
                let mut state = AlignedBytes::zeroed(model.state_len());
                let mut runner = model.bind_bytes(&mut state).unwrap();
                let digest = model.self_test(&mut runner).unwrap();
                assert_eq!(model.preamble().layout, layout, "{}", golden.name);
                let outputs = golden.run(&mut runner);
                (digest.value(), outputs, runner.layer_state().to_vec())
            });
            for (other, layout) in others.iter().zip(&LAYOUTS[1..]) {
                let name = format!("{} {} {layout:?}", golden.name, format.name());
                assert_eq!(portable.0, other.0, "{name}: digest");
                assert!(portable.1 == other.1, "{name}: outputs");
                assert!(portable.2 == other.2, "{name}: states");
            }
        }
    }
}

#[test]
fn every_byte_of_a_file_has_a_purpose() {
    for golden in Golden::all() {
        for format in FORMATS {
            for layout in LAYOUTS {
                let bytes = golden.export_for(layout, format);
                let parts = file::parts(&bytes).unwrap();
                let layers: usize = parts.layers.iter().map(|layer| layer.bytes).sum();
                assert_eq!(
                    parts.head + parts.normalisation + layers + parts.tests,
                    bytes.len()
                );
                // 24 steps of test inputs and outputs, and nothing of the layers, are what is left.
                let model = Model::from_bytes(&bytes).unwrap();
                let element = if format.is_integer() { 2 } else { 4 };
                let input = match golden.package.input {
                    Input::Features(_) => element * model.inputs(),
                    Input::Tokens(_) => 2,
                };
                let tests = (24 * input).next_multiple_of(16) + 24 * element * model.outputs();
                assert_eq!(parts.tests, tests, "{} {}", golden.name, format.name());
            }
        }
    }
}

#[test]
fn tokens_without_an_embedding_are_one_hot() {
    let golden = Golden::read(&folder().join("lstm_1_5x17.safetensors"));
    let mut tokens = golden.package.clone();
    tokens.input = Input::Tokens(["a", "b", "c", "d", "e"].map(String::from).to_vec());
    let ranges = Ranges::measure(&golden.package.net, [&golden.stream()]);
    for format in FORMATS {
        let file = |package| {
            let tests = TestInputs::synthetic(package);
            export(package, format, Some(&ranges), &tests)
                .unwrap()
                .bytes
        };
        let (by_token, by_sample) = (file(&tokens), file(&golden.package));
        let models = [&by_token, &by_sample].map(|bytes| Model::from_bytes(bytes).unwrap());
        let mut states = [0, 1].map(|i| AlignedBytes::zeroed(models[i].state_len()));
        let [a, b] = &mut states;
        let mut a = models[0].bind_bytes(a).unwrap();
        let mut b = models[1].bind_bytes(b).unwrap();
        let (mut y, mut z) = ([0.0; 2], [0.0; 2]);
        for step in 0..20 {
            let token = step * 3 % 5;
            a.step_token(token, &mut y);
            b.step_raw(
                &std::array::from_fn::<_, 5, _>(|i| (i == token) as u8 as f32),
                &mut z,
            );
            assert_eq!(y, z, "{} step {step}", format.name());
        }
        // What is no token is no number of the vector.
        a.step_token(7, &mut y);
        b.step_raw(&[0.0; 5], &mut z);
        assert_eq!(y, z, "{}", format.name());
    }
}

#[test]
fn eight_layers_of_any_mix_run() {
    use kinglet_trainer::net::{Activation, Cell};
    use kinglet_trainer::train::FloatRunner;
    use kinglet_trainer::train::init::{LayerPlan, Rng, network};
    let cells = [
        Cell::Lstm,
        Cell::GruResetAfter,
        Cell::RnnTanh,
        Cell::GruResetBefore,
        Cell::RnnRelu,
        Cell::LstmPeephole,
        Cell::FastGrnn,
        Cell::LstmCoupled,
        Cell::MinGru,
        Cell::MinGruTanh,
        Cell::GruReluResetBefore,
    ];
    let sizes = [9, 4, 12, 7, 8, 16, 3, 10, 9, 5, 6];
    let recurrent = cells
        .iter()
        .zip(sizes)
        .map(|(&cell, size)| LayerPlan::Recurrent(cell, size));
    let plan: Vec<_> = recurrent
        .chain([LayerPlan::Dense(5, Activation::Identity)])
        .collect();
    let mut package = Golden::read(&folder().join("lstm_1_5x17.safetensors")).package;
    package.net = network(5, &plan, &mut Rng::new(3));
    let Output::Values(targets) = &mut package.output else {
        panic!()
    };
    targets.resize(5, targets[0].clone());
    let samples: Vec<f32> = (0..60 * 5)
        .map(|i| ((i * 7 % 23) as f32 - 11.0) / 6.0)
        .collect();
    let stream = Stream::Samples(samples.clone());
    let ranges = Ranges::measure(&package.net, [&stream]);
    let tests = TestInputs::from_stream(&stream, 5);
    for (format, bound) in [
        (Format::F32, 1e-5),
        (Format::W8A16, 0.02),
        (Format::W8A8, 0.03),
        (Format::W4A8, 0.3),
    ] {
        for layout in LAYOUTS {
            let bytes = export_for(layout, &package, format, Some(&ranges), &tests)
                .unwrap()
                .bytes;
            let model = Model::from_bytes(&bytes).unwrap();
            let mut state = AlignedBytes::zeroed(model.state_len());
            let mut runner = model.bind_bytes(&mut state).unwrap();
            let mut exact = FloatRunner::new(&package.net);
            let mut y = [0.0; 5];
            for (step, x) in samples.chunks_exact(5).enumerate() {
                runner.step(x, &mut y);
                for (y, exact) in y.iter().zip(exact.step(x)) {
                    let error = (y - exact).abs();
                    assert!(error <= bound, "{} step {step}: {error}", format.name());
                }
            }
        }
    }
}
