//! Cells that PyTorch does not have, against what others compute (`cells/make.py`): the float network, and the engine in
//! every format, layout and kernel table.

mod tables;

use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet::kernel::Kernels;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export_for, package, parts};
use kinglet_trainer::net::{Activation, Cell, Dense, Layer, Network, Recurrent, extra};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::train::FloatRunner;
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
    layer: Recurrent,
    input: Vec<f32>,
    hidden: Vec<f32>,
    /// Of the last step.
    cell: Option<Vec<f32>>,
}

impl Golden {
    fn all() -> Vec<Golden> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cells");
        let files = fs::read_dir(folder).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .collect();
        paths.sort();
        assert!(paths.len() >= 17, "golden files are missing");
        paths.iter().map(|path| Golden::read(path)).collect()
    }

    fn read(path: &Path) -> Golden {
        let bytes = fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |name: &str| -> Option<Vec<f32>> {
            let view = file.tensor(name).ok()?;
            let values = view.data().as_chunks().0.iter();
            Some(values.map(|b| f32::from_le_bytes(*b)).collect())
        };
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let cell = match &name {
            name if name.starts_with("fastgrnn") => Cell::FastGrnn,
            name if name.starts_with("lstm_coupled") => Cell::LstmCoupled,
            name if name.starts_with("lstm_relu") => Cell::LstmRelu,
            name if name.starts_with("lstm_hard") => Cell::LstmHard,
            name if name.starts_with("gru_hard_before") => Cell::GruHardResetBefore,
            name if name.starts_with("gru_hard") => Cell::GruHardResetAfter,
            name if name.starts_with("mingru_hard") => Cell::MinGruHard,
            name if name.starts_with("gru_relu") => Cell::GruReluResetBefore,
            name if name.starts_with("mingru_tanh") => Cell::MinGruTanh,
            name if name.starts_with("mingru") => Cell::MinGru,
            _ => Cell::LstmPeephole,
        };
        let layer = Recurrent {
            cell,
            inputs: file.tensor("w_ih").unwrap().shape()[1],
            hidden: file.tensor("hidden").unwrap().shape()[1],
            w_ih: floats("w_ih").unwrap(),
            w_hh: floats("w_hh").unwrap_or_default(),
            b_ih: floats("b_ih").unwrap(),
            b_hh: floats("b_hh").unwrap_or_default(),
            extra: floats("extra").unwrap_or_default(),
        };
        assert_eq!(layer.extra.len(), extra(cell, layer.hidden), "{name}");
        Golden {
            name,
            layer,
            input: floats("input").unwrap(),
            hidden: floats("hidden").unwrap(),
            cell: floats("cell"),
        }
    }

    /// The layer, and a dense one that gives its state as it is.
    fn package(&self) -> Package {
        let hidden = self.layer.hidden;
        let mut weight = vec![0.0; hidden * hidden];
        weight.iter_mut().step_by(hidden + 1).for_each(|w| *w = 1.0);
        let dense = Dense {
            inputs: hidden,
            outputs: hidden,
            weight,
            bias: vec![0.0; hidden],
            activation: Activation::Identity,
        };
        let layers = vec![Layer::Recurrent(self.layer.clone()), Layer::Dense(dense)];
        Package::of_numbers(&self.name[..], Network { layers })
    }

    fn export(&self, layout: Layout, format: Format) -> AlignedBytes {
        let (package, stream) = (self.package(), Stream::Samples(self.input.clone()));
        let ranges = Ranges::measure(&package.net, [&stream]);
        let tests = TestInputs::from_stream(&stream, self.layer.inputs);
        let exported = export_for(layout, &package, format, Some(&ranges), &tests);
        let exported = exported.unwrap_or_else(|e| panic!("{} {e:#}", self.name));
        assert_eq!(exported.notes, Vec::<String>::new(), "{}", self.name);
        exported.bytes
    }

    fn largest_error(&self, outputs: &[f32]) -> f32 {
        assert_eq!(outputs.len(), self.hidden.len(), "{}", self.name);
        let pairs = outputs.iter().zip(&self.hidden);
        let error = pairs.fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        // Of the largest state, where that leaves 1.
        let scale = self.hidden.iter().fold(1f32, |max, h| max.max(h.abs()));
        error / scale
    }
}

/// All outputs, which are the same from every table of this machine, floats but for rounding.
fn run_every_table(bytes: &[u8], samples: &[f32]) -> Vec<f32> {
    let model = Model::from_bytes(bytes).unwrap();
    let mut first: Option<(Vec<f32>, Vec<u8>)> = None;
    for kernels in Kernels::available() {
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut runner = model.bind_bytes(&mut state).unwrap().with_kernels(kernels);
        let mut y = vec![0.0; model.outputs()];
        let mut all = Vec::new();
        for sample in samples.chunks_exact(model.inputs()) {
            runner.step(sample, &mut y);
            all.extend_from_slice(&y);
        }
        let result = (all, runner.layer_state().to_vec());
        let first = first.get_or_insert_with(|| result.clone());
        let (want, found) = ((&*first.0, &first.1), (&*result.0, &result.1));
        assert!(alike(kernels, &model, want, found), "{}", kernels.name());
    }
    first.unwrap().0
}

#[test]
fn the_float_network_matches_at_every_step() {
    for golden in Golden::all() {
        let package = golden.package();
        let mut runner = FloatRunner::new(&package.net);
        let mut outputs = Vec::new();
        for x in golden.input.chunks_exact(golden.layer.inputs) {
            outputs.extend_from_slice(runner.step(x));
        }
        let error = golden.largest_error(&outputs);
        assert!(error <= 2e-6, "{}: {error:e}", golden.name);
        if let (Some(want), Some(cell)) = (&golden.cell, runner.layer_cell(0)) {
            let pairs = want.iter().zip(cell);
            let error = pairs.fold(0f32, |max, (a, b)| max.max((a - b).abs()));
            assert!(error <= 2e-6, "{}: cell {error:e}", golden.name);
        }
    }
}

#[test]
fn every_format_stays_near_the_others() {
    for (format, bound) in FORMATS.into_iter().zip([1e-5, 0.003, 0.02, 0.05, 0.5]) {
        for golden in Golden::all() {
            let bytes = golden.export(Layout::Portable, format);
            let outputs = run_every_table(&bytes, &golden.input);
            let error = golden.largest_error(&outputs);
            println!("{} {} {error:.6}", format.name(), golden.name);
            assert!(error < bound, "{} {}: {error}", format.name(), golden.name);
        }
    }
}

#[test]
fn layouts_differ_in_bytes_only() {
    for format in [Format::W8A8, Format::W8A16, Format::W4A8] {
        for golden in Golden::all() {
            let portable = golden.export(Layout::Portable, format);
            let want = run_every_table(&portable, &golden.input);
            for layout in LAYOUTS {
                let bytes = golden.export(layout, format);
                let found = run_every_table(&bytes, &golden.input);
                assert!(found == want, "{} {}", golden.name, layout.name());
            }
        }
    }
}

#[test]
fn a_float_file_gives_its_network_back() {
    for golden in Golden::all() {
        let bytes = golden.export(Layout::Portable, Format::F32);
        let read = package(&bytes).unwrap();
        let Layer::Recurrent(layer) = &read.net.layers[0] else {
            panic!("{}: no recurrent layer", golden.name);
        };
        assert_eq!(layer.w_ih, golden.layer.w_ih, "{}", golden.name);
        assert_eq!(layer.w_hh, golden.layer.w_hh, "{}", golden.name);
        for (a, b) in layer.extra.iter().zip(&golden.layer.extra) {
            // Zeta and nu go through a logistic function and back.
            assert!((a - b).abs() < 1e-5, "{}: {a} for {b}", golden.name);
        }
        let outputs = run_every_table(&bytes, &golden.input);
        assert!(golden.largest_error(&outputs) <= 1e-5, "{}", golden.name);
    }
}

/// What FastGRNN is for: a third of a GRU's bytes. A minGRU has even fewer where inputs are few.
#[test]
fn parts_sum_up_and_small_cells_are_small() {
    let mut sizes = Vec::new();
    for golden in Golden::all() {
        for format in FORMATS {
            let bytes = golden.export(Layout::Portable, format);
            let parts = parts(&bytes).unwrap();
            let layers: usize = parts.layers.iter().map(|layer| layer.bytes).sum();
            let sum = parts.head + parts.normalisation + layers + parts.tests;
            assert_eq!(sum, bytes.len(), "{} {}", golden.name, format.name());
            if format == Format::W8A8 && golden.name.ends_with("5x17") {
                sizes.push((golden.layer.cell, parts.layers[0].bytes));
            }
        }
    }
    let size = |cell| sizes.iter().find(|(of, _)| *of == cell).unwrap().1;
    let (small, coupled) = (size(Cell::FastGrnn), size(Cell::LstmCoupled));
    assert!(5 * small < 2 * coupled, "{small} and {coupled} bytes");
    let least = size(Cell::MinGru);
    assert!(least < small, "{least} and {small} bytes");
}

/// As those of `engine_models.rs`, which says how to write them anew.
#[test]
fn engine_test_models_of_these_cells_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/models");
    for golden in Golden::all() {
        let Some(cell) = golden.name.strip_suffix("_3x8") else {
            continue;
        };
        let bytes = golden.export(Layout::Portable, Format::W8A8);
        let path = folder.join(format!("{cell}_w8a8.kgl"));
        if std::env::var_os("KINGLET_BLESS").is_some() {
            fs::write(&path, &bytes[..]).unwrap();
        }
        let stored = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(stored == bytes[..], "{cell}: the export differs");
    }
}
