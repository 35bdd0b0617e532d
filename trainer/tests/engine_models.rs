//! The small model files of `engine/tests/models`: what the engine's own tests run on every target.
//!
//! They are exported from golden networks and must not change by accident: whoever flashed a model
//! expects the next engine to read it. `KINGLET_BLESS=1 cargo test -p kinglet-trainer --test engine_models`
//! writes them anew after a deliberate change of the format.

#[allow(dead_code, reason = "only the flags are needed here")]
mod shown;

use kinglet::format::{Format, Layout};
use kinglet_trainer::file::{TestInputs, export_for};
use kinglet_trainer::import::read;
use kinglet_trainer::net::{Activation, Conv, ConvShape, Dense, Embedding, Layer, Pool, PoolKind};
use kinglet_trainer::package::{Input, Output, Package, Restore, Shape, Transform};
use kinglet_trainer::quant::{Formats, Ranges, Stream};
use safetensors::SafeTensors;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../engine/tests")
        .join(name)
}

/// A golden network with its input as calibration.
fn golden(name: &str) -> (Package, Stream) {
    let path = folder("golden").join(name).with_extension("safetensors");
    let bytes = fs::read(&path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let flags = &header.metadata().as_ref().unwrap()["import"];
    let package = read(&path, &shown::options(flags)).unwrap().package;
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("__input__").unwrap();
    let input: Vec<f32> = view
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    let stream = match package.input {
        Input::Features(_) => Stream::Samples(input),
        Input::Tokens(_) => Stream::Tokens(input.iter().map(|&t| t as usize).collect()),
    };
    (package, stream)
}

fn check(file: &str, name: &str, formats: impl Into<Formats>, edit: impl Fn(&mut Package)) {
    check_for(Layout::Portable, file, name, formats, edit);
}

fn check_for(
    layout: Layout,
    file: &str,
    name: &str,
    formats: impl Into<Formats>,
    edit: impl Fn(&mut Package),
) {
    let (mut package, mut stream) = golden(name);
    edit(&mut package);
    if let (Input::Tokens(tokens), Stream::Samples(samples)) = (&package.input, &stream) {
        stream = Stream::Tokens((0..samples.len()).map(|t| t * t % tokens.len()).collect());
    }
    let mut ranges = Ranges::measure(&package.net, [&stream]);
    // Weights to the nearest integers: how they are rounded by calibration may become better, these files stay.
    ranges
        .layers
        .iter_mut()
        .for_each(|layer| layer.inputs.clear());
    let tests = TestInputs::from_stream(&stream, package.net.input_width());
    let bytes = export_for(layout, &package, formats, Some(&ranges), &tests)
        .unwrap()
        .bytes;
    let path = folder("models").join(file).with_extension("kgl");
    if std::env::var_os("KINGLET_BLESS").is_some() {
        fs::write(&path, &bytes[..]).unwrap();
    }
    let stored = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        stored == bytes[..],
        "{file}: the export differs from the file"
    );
}

/// With two convolutions in front, of whose answers a third goes on.
fn pooled(package: &mut Package) {
    let pools = [(PoolKind::Max, 2, 2, 1), (PoolKind::Mean, 3, 4, 3)];
    for (kind, kernel, first, every) in pools {
        let pool = Pool {
            kind,
            kernel,
            first,
            every,
        };
        let shape = ConvShape {
            pool: Some(pool),
            ..ConvShape::causal(7, 2, 1)
        };
        let weight = |at: usize| (at * 5 % 11) as f32 / 16.0 - 0.3;
        let dense = Dense {
            inputs: shape.taps(),
            outputs: 7,
            weight: (0..shape.taps() * 7).map(weight).collect(),
            bias: vec![0.1; 7],
            activation: Activation::Tanh,
        };
        let conv = Layer::Conv(Conv { shape, dense });
        package.net.layers.insert(0, conv);
    }
}

/// With a convolution behind the embedding.
fn convolved(package: &mut Package) {
    let width = package.net.layers[0].outputs();
    let shape = ConvShape::causal(width as u16, 2, 1);
    let weight = |at: usize| (at * 5 % 11) as f32 / 8.0 - 0.6;
    let dense = Dense {
        inputs: shape.taps(),
        outputs: width,
        weight: (0..shape.taps() * width).map(weight).collect(),
        bias: vec![0.1; width],
        activation: Activation::Relu,
    };
    let conv = Layer::Conv(Conv { shape, dense });
    package.net.layers.insert(1, conv);
}

#[test]
fn engine_test_models_are_current() {
    let as_it_is = |_: &mut Package| {};
    check("lstm_w8a8", "lstm_1_5x17", Format::W8A8, as_it_is);
    check("lstm_w8a16", "lstm_2_7x13", Format::W8A16, as_it_is);
    check("lstm_w4a8", "lstm_2_7x13", Format::W4A8, as_it_is);
    check("gru_w4a8", "gru_2_7x13", Format::W4A8, as_it_is);
    check(
        "gru_before_w4a8",
        "gru_before_1_5x17",
        Format::W4A8,
        as_it_is,
    );
    check(
        "tokens_w4a8",
        "embedding_lstm_softmax",
        Format::W4A8,
        as_it_is,
    );
    check("gru_w8a8", "gru_2_7x13", Format::W8A8, as_it_is);
    let each = vec![Format::W8A16, Format::W4A8, Format::W8A8];
    check("lstm_each", "lstm_2_7x13", Formats::Each(each), as_it_is);
    check_for(
        Layout::CortexM55,
        "gru_m55_w8a8",
        "gru_2_7x13",
        Format::W8A8,
        as_it_is,
    );
    check(
        "gru_before_w8a8",
        "gru_before_2_7x13",
        Format::W8A8,
        as_it_is,
    );
    check("pooled_w8a8", "gru_2_7x13", Format::W8A8, pooled);
    check("rnn_relu_w8a8", "rnn_relu_2_7x13", Format::W8A8, as_it_is);
    check("mixed_f32", "mixed_cells", Format::F32, as_it_is);
    check("mixed_f16", "mixed_cells", Format::F16, as_it_is);
    check(
        "tokens_w8a8",
        "embedding_lstm_softmax",
        Format::W8A8,
        as_it_is,
    );
    check(
        "words_w8a8",
        "embedding_lstm_softmax",
        Format::W8A8,
        convolved,
    );
    check("encoder_w8a16", "pair_encoder", Format::W8A16, as_it_is);
    check("decoder_w8a16", "pair_decoder", Format::W8A16, as_it_is);
    check(
        "bidirectional_w8a8",
        "../../../trainer/tests/bidirectional/lstm",
        Format::W8A8,
        as_it_is,
    );
    check(
        "sentence_w8a8",
        "../../../trainer/tests/bidirectional/lstm",
        Format::W8A8,
        |package| {
            let (vocab, dim) = (5, package.net.input_width());
            let table = (0..vocab * dim).map(|k| (k as f32).sin()).collect();
            let embedding = Embedding { vocab, dim, table };
            package.net.layers.insert(0, Layer::Embedding(embedding));
            package.input = Input::Tokens(["a", "b", "c", "d", "e"].map(String::from).to_vec());
        },
    );
    check("window_f32", "lstm_1_1x1", Format::F32, |package| {
        package.shape = Shape::Window {
            window: 4,
            hop: 2,
            exact: true,
        };
        let Input::Features(features) = &mut package.input else {
            unreachable!()
        };
        features[0].transform = Transform::LogRatio { column: 0 };
        features[0].scale = 50.0;
        let Output::Values(targets) = &mut package.output else {
            unreachable!()
        };
        targets[0].restore = Restore::TimesExp { column: 0 };
        targets[0].scale = 0.02;
        targets[0].feeds = Some(0);
    });
}
