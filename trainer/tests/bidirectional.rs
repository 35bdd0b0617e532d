//! Bidirectional networks: PyTorch's outputs for whole windows, in every format, layout and kernel table, and what such
//! a model refuses.

#[allow(dead_code, reason = "only the flags are needed here")]
mod shown;
mod tables;

use kinglet::format::{Format, Layout, Shape as Windows};
use kinglet::kernel::Kernels;
use kinglet::{BindError, Model, SlidingWindow};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export_for, package, parts};
use kinglet_trainer::import::read;
use kinglet_trainer::net::{Cell, Layer};
use kinglet_trainer::package::{Package, Shape, Transform};
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use kinglet_trainer::train::{FloatPredictor, Predictor, run_window};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;
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
    window: usize,
    /// Windows one after the other.
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Golden {
    fn all() -> Vec<Golden> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bidirectional");
        let files = fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .collect();
        paths.sort();
        assert_eq!(paths.len(), 4);
        paths.iter().map(|path| Golden::read(path)).collect()
    }

    fn read(path: &Path) -> Golden {
        let bytes = fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let flags = &header.metadata().as_ref().unwrap()["import"];
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |name: &str| -> Vec<f32> {
            let view = file.tensor(name).unwrap();
            let values = view.data().as_chunks().0.iter();
            values.map(|b| f32::from_le_bytes(*b)).collect()
        };
        let package = read(path, &shown::options(flags)).unwrap().package;
        let Shape::Window { window, exact, .. } = package.shape else {
            panic!("{}: no window", path.display());
        };
        assert!(exact && window == file.tensor("__input__").unwrap().shape()[1]);
        Golden {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            package,
            window,
            input: floats("__input__"),
            output: floats("__output__"),
        }
    }

    fn windows(&self) -> impl Iterator<Item = &[f32]> {
        let inputs = self.package.net.input_width();
        self.input.chunks_exact(self.window * inputs)
    }

    fn export(&self, layout: Layout, format: Format) -> AlignedBytes {
        let streams: Vec<_> = self.windows().map(|x| Stream::Samples(x.into())).collect();
        let ranges = Ranges::measure(&self.package.net, &streams);
        let tests = TestInputs::from_stream(&streams[0], self.package.net.input_width());
        let exported = export_for(layout, &self.package, format, Some(&ranges), &tests);
        let exported = exported.unwrap_or_else(|e| panic!("{} {e:#}", self.name));
        assert_eq!(exported.notes, Vec::<String>::new(), "{}", self.name);
        exported.bytes
    }

    fn largest_error(&self, outputs: &[f32]) -> f32 {
        assert_eq!(outputs.len(), self.output.len(), "{}", self.name);
        let pairs = outputs.iter().zip(&self.output);
        pairs.fold(0.0, |max, (a, b)| max.max((a - b).abs()))
    }

    /// All outputs, which are the same from every table of this machine.
    fn run_every_table(&self, bytes: &[u8]) -> Vec<f32> {
        let model = Model::from_bytes(bytes).unwrap();
        let mut first: Option<Vec<f32>> = None;
        for kernels in Kernels::available() {
            let mut state = AlignedBytes::zeroed(model.state_len());
            let runner = model.bind_window_bytes(&mut state).unwrap();
            let mut runner = runner.with_kernels(kernels);
            let mut y = vec![0.0; model.outputs()];
            let mut all = Vec::new();
            for window in self.windows() {
                runner.run(window, &mut y);
                all.extend_from_slice(&y);
            }
            let first = first.get_or_insert_with(|| all.clone());
            assert!(
                alike(kernels, &model, (first, ()), (&all, ())),
                "{}: {}",
                self.name,
                kernels.name()
            );
        }
        first.unwrap()
    }
}

#[test]
fn the_float_network_and_the_engine_match_pytorch() {
    for golden in Golden::all() {
        let inputs = golden.package.net.input_width();
        let float = golden.windows().flat_map(|window| {
            let rows = window.chunks_exact(inputs).map(<[f32]>::to_vec).collect();
            run_window(&golden.package.net, rows, |_| ())
        });
        let error = golden.largest_error(&float.collect::<Vec<_>>());
        assert!(error < 3e-6, "{}: {error:e}", golden.name);
        for (format, bound) in FORMATS.into_iter().zip([1e-5, 0.005, 0.02, 0.05, 0.5]) {
            let bytes = golden.export(Layout::Portable, format);
            let error = golden.largest_error(&golden.run_every_table(&bytes));
            println!("{} {} {error:.6}", format.name(), golden.name);
            assert!(error < bound, "{} {}: {error}", golden.name, format.name());
        }
    }
}

#[test]
fn layouts_differ_in_bytes_only() {
    for golden in Golden::all() {
        for format in [Format::W8A8, Format::W8A16, Format::W4A8] {
            let want = golden.run_every_table(&golden.export(Layout::Portable, format));
            for layout in LAYOUTS {
                let found = golden.run_every_table(&golden.export(layout, format));
                assert!(found == want, "{} {}", golden.name, layout.name());
            }
        }
    }
}

#[test]
fn every_cell_runs_from_both_ends() {
    let golden = Golden::all().remove(1);
    assert_eq!(golden.name, "lstm");
    for cell in [
        Cell::RnnRelu,
        Cell::GruResetBefore,
        Cell::GruReluResetBefore,
        Cell::FastGrnn,
        Cell::LstmCoupled,
        Cell::LstmPeephole,
        Cell::LstmRelu,
        Cell::LstmHard,
        Cell::GruHardResetAfter,
        Cell::GruHardResetBefore,
        Cell::MinGruHard,
        Cell::GruReluResetAfter,
        Cell::MinGru,
        Cell::MinGruTanh,
    ] {
        let mut golden = Golden {
            name: format!("{cell:?}"),
            package: golden.package.clone(),
            window: golden.window,
            input: golden.input.clone(),
            output: Vec::new(),
        };
        let plan = [
            LayerPlan::Bidirectional(cell, 9),
            LayerPlan::Bidirectional(cell, 4),
        ];
        let head = golden.package.net.layers.pop().unwrap();
        golden.package.net = network(3, &plan, &mut Rng::new(1));
        golden.package.net.layers.push(head);
        golden.output = golden
            .windows()
            .flat_map(|window| {
                let rows = window.chunks_exact(3).map(<[f32]>::to_vec).collect();
                run_window(&golden.package.net, rows, |_| ())
            })
            .collect();
        for (format, bound) in FORMATS.into_iter().zip([1e-5, 0.005, 0.05, 0.05, 0.3]) {
            let bytes = golden.export(Layout::Portable, format);
            let error = golden.largest_error(&golden.run_every_table(&bytes));
            assert!(error < bound, "{cell:?} {}: {error}", format.name());
        }
    }
}

#[test]
fn such_a_model_cannot_be_stepped() {
    let golden = Golden::all().remove(0);
    let bytes = golden.export(Layout::Portable, Format::W8A8);
    let model = Model::from_bytes(&bytes).unwrap();
    assert!(model.is_bidirectional());
    let mut state = AlignedBytes::zeroed(model.state_len());
    let error = model.bind_bytes(&mut state).unwrap_err();
    assert_eq!(error, BindError::Bidirectional);
    assert_eq!(
        error.to_string(),
        "the model is bidirectional: it takes whole windows and cannot be stepped"
    );
    let mut states = [AlignedBytes::zeroed(model.state_len())];
    let mut states: Vec<&mut [u8]> = states.iter_mut().map(|state| &mut state[..]).collect();
    assert!(model.bind_batch(&mut states).is_err());
    let short = model.state_len() - 16;
    assert!(matches!(
        model.bind_window_bytes(&mut state[..short]),
        Err(BindError::TooSmall { .. })
    ));
}

/// Samples as they arrive, windows that overlap or lie side by side, transforms that look back.
#[test]
fn sliding_windows_give_what_whole_windows_give() {
    for mut golden in Golden::all() {
        let kinglet_trainer::package::Input::Features(features) = &mut golden.package.input else {
            panic!("features expected");
        };
        features[0].transform = Transform::Difference { column: 0 };
        for hop in [1, 3, golden.window, golden.window + 2] {
            golden.package.shape = Shape::Window {
                window: golden.window,
                hop,
                exact: true,
            };
            let bytes = golden.export(Layout::Portable, Format::W8A8);
            let model = Model::from_bytes(&bytes).unwrap();
            let (shape, inputs) = (model.header().shape, model.inputs());
            assert!(matches!(shape, Windows::Window { exact: true, .. }));
            let mut states = [0, 1].map(|_| AlignedBytes::zeroed(model.state_len()));
            let [a, b] = &mut states;
            let mut whole = model.bind_window_bytes(b).unwrap();
            let kept = vec![0.0; SlidingWindow::needed(shape, inputs)];
            let mut windows = SlidingWindow::new(shape, inputs, kept).unwrap();
            let (mut y, mut want) = (vec![0.0; model.outputs()], vec![0.0; model.outputs()]);
            let mut answers = 0;
            for (t, sample) in golden.input.chunks_exact(inputs).enumerate() {
                // A runner may be made for every sample, as where many streams share a model.
                let mut sliding = model.bind_window_bytes(a).unwrap();
                let complete = windows.push(&mut sliding, sample, &mut y);
                let end = t + 1;
                let due = end >= golden.window && (end - golden.window).is_multiple_of(hop);
                assert_eq!(complete, due, "{} hop {hop}, sample {t}", golden.name);
                if complete {
                    let start = (end - golden.window) * inputs;
                    whole.run(&golden.input[start..end * inputs], &mut want);
                    assert_eq!(y, want, "{} hop {hop}, sample {t}", golden.name);
                    answers += 1;
                }
            }
            assert!(answers > 1, "{} hop {hop}", golden.name);
        }
    }
}

#[test]
fn predictors_answer_at_the_end_of_a_window() {
    for golden in Golden::all() {
        let bytes = golden.export(Layout::Portable, Format::F32);
        let model = Model::from_bytes(&bytes).unwrap();
        let (inputs, outputs) = (model.inputs(), model.outputs());
        let mut predictors: [Box<dyn Predictor>; 2] = [
            Box::new(EnginePredictor::new(&model)),
            Box::new(FloatPredictor::new(&golden.package)),
        ];
        for predictor in &mut predictors {
            let (mut y, mut all) = (vec![0.0; outputs], Vec::new());
            for window in golden.windows() {
                predictor.reset();
                for sample in window.chunks_exact(inputs) {
                    predictor.step(sample, &mut y);
                }
                all.extend_from_slice(&y);
            }
            let error = golden.largest_error(&all);
            assert!(error < 1e-5, "{}: {error:e}", golden.name);
        }
    }
}

#[test]
fn a_file_gives_its_network_back_and_its_parts_sum_up() {
    for golden in Golden::all() {
        let bytes = golden.export(Layout::Portable, Format::F32);
        let read = package(&bytes).unwrap();
        assert_eq!(read.shape, golden.package.shape, "{}", golden.name);
        for (read, layer) in read.net.layers.iter().zip(&golden.package.net.layers) {
            let (Layer::Bidirectional(read), Layer::Bidirectional(layer)) = (read, layer) else {
                continue;
            };
            for (read, half) in read.halves().into_iter().zip(layer.halves()) {
                assert_eq!(read.w_ih, half.w_ih, "{}", golden.name);
                assert_eq!(read.w_hh, half.w_hh, "{}", golden.name);
            }
        }
        for format in FORMATS {
            let bytes = golden.export(Layout::Portable, format);
            let parts = parts(&bytes).unwrap();
            let layers: usize = parts.layers.iter().map(|layer| layer.bytes).sum();
            let sum = parts.head + parts.normalisation + layers + parts.tests;
            assert_eq!(sum, bytes.len(), "{} {}", golden.name, format.name());
        }
    }
}
