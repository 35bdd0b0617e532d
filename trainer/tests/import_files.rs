//! Files of other frameworks, made by the scripts in `tests/importing`: what they become, and that the engine computes what the
//! framework did.

mod shown;

use kinglet::Model;
use kinglet::format::Format;
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{TestInputs, export};
use kinglet_trainer::import::{Imported, read};
use kinglet_trainer::train::Predictor;
use serde::Deserialize;
use shown::{options, structure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/importing")
}

/// Samples and the answers of a framework, of which the last ones are known.
#[derive(Deserialize)]
struct Case {
    x: Vec<Vec<f32>>,
    y: Vec<Vec<f32>>,
}

fn cases(name: &str) -> BTreeMap<String, Case> {
    serde_json::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

/// Asserts that the proof holds and the engine gives what the framework gave.
#[track_caller]
fn computes(imported: &Imported, case: &Case, name: &str) {
    let proof = imported.prove().unwrap_or_else(|e| panic!("{name}: {e:#}"));
    assert!(
        proof.layers.iter().all(|l| l.share() < 1e-4),
        "{name}: {proof:?}"
    );
    let package = &imported.package;
    let file = export(package, Format::F32, None, &TestInputs::synthetic(package)).unwrap();
    let model = Model::from_bytes(&file.bytes).unwrap();
    let mut predictor = EnginePredictor::new(&model);
    let mut y = vec![0.0; model.outputs()];
    let first = case.x.len() - case.y.len();
    for (t, x) in case.x.iter().enumerate() {
        predictor.step(x, &mut y);
        let Some(expected) = t.checked_sub(first).map(|k| &case.y[k]) else {
            continue;
        };
        assert_eq!(y.len(), expected.len(), "{name}");
        for (found, expected) in y.iter().zip(expected) {
            let difference = (found - expected).abs();
            assert!(
                difference < 2e-6 + 1e-5 * expected.abs(),
                "{name}, sample {t}: {found}, expected {expected}"
            );
        }
    }
}

#[track_caller]
fn agrees(cases: &BTreeMap<String, Case>, (file, flags, net): (&str, &str, &str)) {
    let path = folder().join(file);
    let imported = read(&path, &options(flags)).unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(structure(&imported.package.net), net, "{file}");
    let name = path.file_stem().unwrap().to_str().unwrap();
    computes(&imported, &cases[name], file);
}

#[track_caller]
fn refused(file: &str, flags: &str, parts: &[&str]) {
    let message = read(&folder().join(file), &options(flags))
        .unwrap_err()
        .to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn onnx_of_both_exporters_of_pytorch() {
    let cases = cases("onnx.json");
    for how in ["script", "dynamo"] {
        for (file, flags, net) in [
            ("lstm", "", "lstm 3>5, lstm 5>5, dense 5>2"),
            ("gru_last", "", "gru-after 3>4, dense 4>4 relu, dense 4>2"),
            ("embedding", "", "embedding 7x3, lstm 3>4, dense 4>7"),
            ("both", "", "both lstm 3>4, dense 8>2"),
            ("stream_lstm", "", "lstm 3>4, lstm 4>4, dense 4>2 sigmoid"),
            ("stream_gru", "", "gru-after 3>4, dense 4>2 sigmoid"),
        ] {
            agrees(&cases, (&format!("onnx/{file}_{how}.onnx"), flags, net));
        }
    }
    agrees(&cases, ("onnx/rnn_script.onnx", "", "relu 3>4, dense 4>1"));
}

#[test]
fn node_tests_of_the_onnx_package() {
    let cases = cases("onnx.json");
    for (name, flags, net) in [
        ("lstm_defaults", "", "lstm 2>3"),
        ("lstm_with_initial_bias", "", "lstm 3>4"),
        ("lstm_with_peepholes", "", "lstm-peephole 4>3"),
        ("lstm_batchwise", "", "lstm 2>7"),
        ("lstm_bidirectional", "--window 3", "both lstm 2>3"),
        ("gru_defaults", "", "gru-before 2>5"),
        ("gru_with_initial_bias", "", "gru-before 3>3"),
        ("gru_batchwise", "", "gru-before 2>6"),
        (
            "gru_bidirectional",
            "--window 3 --output Y_h",
            "both gru-before 2>5",
        ),
        ("simple_rnn_defaults", "", "tanh 2>4"),
        ("simple_rnn_with_initial_bias", "", "tanh 3>5"),
        ("simple_rnn_batchwise", "", "tanh 2>4"),
        ("gru_seq_length", "", "gru-before 3>5"),
        ("rnn_seq_length", "", "tanh 3>5"),
        ("simple_rnn_bidirectional", "--window 3", "both tanh 2>4"),
    ] {
        agrees(&cases, (&format!("onnx/node_{name}.onnx"), flags, net));
    }
    for name in ["lstm_reverse", "gru_reverse", "simple_rnn_reverse"] {
        refused(
            &format!("onnx/node_{name}.onnx"),
            "",
            &["attribute `direction`: reverse", "reverse the samples"],
        );
    }
    let listed = cases
        .keys()
        .filter(|name| name.starts_with("node_"))
        .count();
    assert_eq!(listed, 18, "every node test is named here");
}
