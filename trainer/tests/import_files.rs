//! Files of other frameworks, made by the scripts in `tests/importing`: what they become, and that the engine computes what the
//! framework did. `KINGLET_IMPORTING` names a folder with files made anew, of other seeds and newer versions (`.ci/importing`).

mod shown;

use kinglet::Model;
use kinglet::format::Format;
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{TestInputs, export};
use kinglet_trainer::import::{Imported, read};
use kinglet_trainer::package::{Input, Output, Restore};
use kinglet_trainer::train::Predictor;
use serde::Deserialize;
use shown::{options, structure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    std::env::var_os("KINGLET_IMPORTING").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/importing"),
        PathBuf::from,
    )
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

/// Asserts that the proof holds and the engine gives what the framework gave, to the last bits or to what the proof allows.
#[track_caller]
fn computes(imported: &Imported, case: &Case, name: &str) {
    let proof = imported.prove().unwrap_or_else(|e| panic!("{name}: {e:#}"));
    let spread = proof.layers.last().map_or(0.0, |layer| layer.spread);
    let allowed = (proof.allowed * spread) as f32;
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
                difference < allowed.max(2e-6 + 1e-5 * expected.abs()),
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

#[test]
fn samples_are_added_to_answers_after_the_network() {
    let path = folder().join("onnx/join_sides.onnx");
    let restores = |flags: &str| -> Vec<Restore> {
        let imported = read(&path, &options(flags)).unwrap();
        imported.prove().unwrap();
        let Output::Values(targets) = imported.package.output else {
            panic!("values expected");
        };
        targets.into_iter().map(|target| target.restore).collect()
    };
    let added = [0, 1, 2].map(|column| Restore::AddTo { column });
    assert_eq!(restores(""), added);
    // Samples in other units are not those that the network adds.
    assert_eq!(restores("--input-mean 5"), [Restore::None; 3]);
}

#[test]
fn a_normalisation_that_comes_first_is_the_models_own() {
    let cases = cases("keras.json");
    let imported = read(&folder().join("keras/far.keras"), &options("")).unwrap();
    let Input::Features(features) = &imported.package.input else {
        panic!("features expected");
    };
    let found: Vec<_> = features.iter().map(|f| (f.offset, f.scale)).collect();
    assert_eq!(found, [(101_325.0, 0.2), (20.0, 1.0 / 3.0), (0.5, 10.0)]);
    // So it is exact in f16 too.
    let package = &imported.package;
    let file = export(package, Format::F16, None, &TestInputs::synthetic(package)).unwrap();
    let model = Model::from_bytes(&file.bytes).unwrap();
    let mut predictor = EnginePredictor::new(&model);
    let mut y = vec![0.0; model.outputs()];
    let Case { x, y: expected } = &cases["far"];
    for (x, expected) in x.iter().zip(expected) {
        predictor.step(x, &mut y);
        for (y, expected) in y.iter().zip(expected) {
            assert!((y - expected).abs() < 5e-3, "{y}, expected {expected}");
        }
    }
    // What was given besides comes before it.
    let flags = "--input-mean 5,0,0 --input-std 2,1,1";
    let imported = read(&folder().join("keras/far.keras"), &options(flags)).unwrap();
    let Input::Features(features) = &imported.package.input else {
        panic!("features expected");
    };
    assert_eq!((features[0].offset, features[0].scale), (202_655.0, 0.1));
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
            ("gru_last", "", "gru 3>4, dense 4>4 relu, dense 4>2"),
            ("embedding", "", "embedding 7x3, lstm 3>4, dense 4>7"),
            ("both", "", "both lstm 3>4, dense 8>2"),
            ("stream_lstm", "", "lstm 3>4, lstm 4>4, dense 4>2 sigmoid"),
            ("stream_gru", "", "gru 3>4, dense 4>2 sigmoid"),
        ] {
            agrees(&cases, (&format!("onnx/{file}_{how}.onnx"), flags, net));
        }
    }
    agrees(
        &cases,
        ("onnx/rnn_script.onnx", "", "rnn-relu 3>4, dense 4>1"),
    );
    for (file, net) in [
        ("single", "gru 1>4, dense 4>2"),
        ("piece", "gru 3>4, dense 4>2"),
        ("rows_script", "gru 3>4, dense 4>6"),
        ("rows_dynamo", "gru 3>4, dense 4>6"),
        ("latest_unbind_script", "lstm 3>4, dense 4>2"),
        ("latest_unbind_dynamo", "lstm 3>4, dense 4>2"),
        ("latest_chunk_script", "lstm 3>4, dense 4>2"),
        ("latest_chunk_dynamo", "lstm 3>4, dense 4>2"),
        ("latest_view_script", "lstm 3>4, dense 4>2"),
        ("latest_view_dynamo", "lstm 3>4, dense 4>2"),
        ("normed_script", "lstm 3>4, dense 4>2"),
        ("part_added", "gru 3>4, dense 4>2"),
        (
            "part_half",
            "keep 4, gru 4>4, dense 4>2, keep 2, append 0, dense 6>2, add 1",
        ),
        (
            "part_gated",
            "gru 3>4, dense 4>4, keep 4, dense 4>2 sigmoid, keep 2, append 0, dense 6>2, multiply 1",
        ),
        (
            "part_beside",
            "gru 3>4, dense 4>3, keep 3, dense 3>1 sigmoid, keep 1, append 0, dense 4>2, prepend 1",
        ),
    ] {
        agrees(&cases, (&format!("onnx/{file}.onnx"), "", net));
    }
}

#[test]
fn what_convolutions_saw_to_come_and_is_cut_off_was_never_there() {
    let cases = cases("onnx.json");
    let net = "conv 3 9>3 relu, conv 3 9>3 relu, lstm 3>4, dense 4>5 softmax";
    for how in ["script", "dynamo"] {
        agrees(&cases, (&format!("onnx/chomped_{how}.onnx"), "", net));
    }
    noted(
        "onnx/chomped_script.onnx",
        &["LogSoftmax: the model gives the softmax"],
    );
}

#[test]
fn what_stands_in_the_way_is_named_and_not_how_it_was_read() {
    for (file, parts) in [
        (
            "along_batch",
            ["[batch_size, seq_len, 3]", "batch_first=True"],
        ),
        ("last_of_batch", ["(Gather)", "needs batch_first=True"]),
        (
            "first_sample",
            ["(Gather)", "one sample of a sequence, and not the last"],
        ),
        (
            "turned_around",
            ["(Slice)", "turns the samples of a sequence around"],
        ),
        ("one_step", ["one sample at a time", "no states"]),
        ("tail", ["(Slice)", "3 of 6 samples of a sequence"]),
        ("same_pool", ["(Conv)", "still to come (padding \"same\")"]),
        ("category", ["(Cast)", "a category in a column"]),
        ("no_cell", ["no recurrent layer", "have at least one"]),
        (
            "rows_turned",
            ["(Reshape)", "`/Transpose` (Transpose) turns the rows"],
        ),
        ("lists", ["(GatherND)", "torch.index_select"]),
        ("narrow", ["(Concat): shapes", "proj_size"]),
        ("expand_learnt", ["(LSTM)", "a state that was trained"]),
        ("faded_state", ["(Mul)", "changes a state"]),
        (
            "group_of_all",
            ["(InstanceNormalization)", "normalises are all samples"],
        ),
        (
            "mean_so_far",
            [
                "(ReduceMean)",
                "the mean or the sum of a sequence of open length",
            ],
        ),
    ] {
        refused(&format!("onnx/form_{file}.onnx"), "", &parts);
    }
}

#[test]
fn states_of_zero_and_joined_ones_squares_and_residuals() {
    let cases = cases("onnx.json");
    for (file, net) in [
        ("expand", "lstm 3>4, dense 4>2"),
        ("repeat", "lstm 3>4, dense 4>2"),
        ("joined_state", "lstm 3>4, dense 4>2"),
        ("square", "lstm 3>4, keep 4, multiply 0, dense 4>2"),
        (
            "residual",
            "keep 3, dense 3>4, keep 4, append 0, dense 7>3, conv 3 9>4 relu, add 1, dense 4>4 relu, lstm 4>4, dense 4>2",
        ),
    ] {
        agrees(&cases, (&format!("onnx/form_{file}.onnx"), "", net));
    }
}

#[test]
fn all_samples_together_and_directions_that_are_added_up() {
    let cases = cases("onnx.json");
    let (sums, largest) = (
        "lstm 3>4, rnn-relu 4>4, dense 4>2",
        "lstm 3>4, rnn-relu 4>8, dense 8>2",
    );
    for (file, net) in [
        ("mean", sums),
        ("sum", sums),
        ("pooled", sums),
        ("largest", largest),
        ("ends_added", "both lstm 3>4, dense 8>2"),
        ("halves_added", "both lstm 3>4, both gru 8>3, dense 6>2"),
    ] {
        for how in ["", "_dynamo"] {
            agrees(&cases, (&format!("onnx/form_{file}{how}.onnx"), "", net));
        }
    }
    agrees(&cases, ("onnx/form_largest_so_far.onnx", "", largest));
    noted(
        "onnx/form_largest_so_far.onnx",
        &["the largest of all samples", "where the state is reset"],
    );
}

#[test]
fn what_a_file_has_in_rows_or_pieces_is_told() {
    noted(
        "onnx/rows_script.onnx",
        &["[1, 3, 2] in the file", "side by side"],
    );
    noted("keras/rows.keras", &["[3,2] in the file", "side by side"]);
    noted(
        "keras/shared.keras",
        &["(Dense): it is called several times", "(GRU): it is called"],
    );
    noted(
        "onnx/piece.onnx",
        &["8 samples at a time", "at every 8th as the file does"],
    );
}

#[track_caller]
fn noted(file: &str, parts: &[&str]) {
    let imported = read(&folder().join(file), &options("")).unwrap();
    let notes = imported.notes.join("; ");
    for part in parts {
        assert!(notes.contains(part), "no {part:?} in: {notes}");
    }
}

#[test]
fn convolutions_over_time_and_within_a_frame() {
    let cases = cases("convolution.json");
    for (file, net) in [
        (
            "onnx/causal_script.onnx",
            "conv 3 9>6 tanh, conv 2 12>4 relu, gru 4>5, dense 5>2",
        ),
        (
            "onnx/causal_dynamo.onnx",
            "conv 3 9>6 tanh, conv 2 12>4 relu, gru 4>5, dense 5>2",
        ),
        (
            "onnx/spectral_script.onnx",
            "conv 8 8>10 magnitude, conv 3 15>6 relu, lstm 6>5, dense 5>1 sigmoid",
        ),
    ] {
        agrees(&cases, (file, "", net));
    }
}

#[test]
fn layer_normalisations_however_they_are_written() {
    let cases = cases("norm.json");
    let written_out = "dense 3>8, norm 8, lstm 8>5, norm 5, dense 5>2";
    for (file, net) in [
        ("onnx/norm.onnx", "norm 5, lstm 5>6, norm 6, dense 6>2"),
        ("onnx/norm_torch.onnx", written_out),
        ("onnx/norm_square.onnx", written_out),
        ("onnx/norm_inverse.onnx", written_out),
        (
            "keras/layer_norm.keras",
            "dense 3>4, norm 4, gru 4>5, norm 5, dense 5>2",
        ),
        (
            "keras/layer_norm_plain.keras",
            "dense 3>4, norm 4, gru 4>5, norm 5, dense 5>2",
        ),
        ("pytorch/norm_dict.npz", "lstm 3>6, norm 6, dense 6>2"),
    ] {
        agrees(&cases, (file, "", net));
    }
    for (file, parts) in [
        (
            "onnx/norm_time.onnx",
            &["(ReduceMean)", "a sequence of open length"][..],
        ),
        (
            "onnx/norm_rms.onnx",
            &["(Sqrt)", "only within a layer normalisation"],
        ),
        (
            "keras/layer_norm_rms.keras",
            &["(LayerNormalization)", "attribute `rms_scaling`"],
        ),
    ] {
        refused(file, "", parts);
    }
}

#[test]
fn what_earlier_layers_gave_is_joined() {
    let cases = cases("norm.json");
    for (file, net) in [
        (
            "onnx/join_mask.onnx",
            "dense 3>6, keep 6, norm 6, lstm 6>5, dense 5>6 sigmoid, multiply 0, dense 6>2",
        ),
        (
            "onnx/join_sides.onnx",
            "keep 3, lstm 3>4, keep 4, lstm 4>4, add 1, prepend 0, append 1, dense 11>3",
        ),
        (
            "keras/joined.keras",
            "keep 3, gru 3>4, keep 4, dense 4>4 sigmoid, multiply 1, prepend 0, append 1, dense 11>2",
        ),
    ] {
        agrees(&cases, (file, "", net));
    }
    agrees(
        &cases,
        (
            "onnx/join_branches.onnx",
            "",
            "keep 3, dense 3>4 tanh, keep 4, append 0, dense 7>4 sigmoid, multiply 1, lstm 4>4",
        ),
    );
}

#[test]
fn cells_that_are_written_out() {
    let written = cases("norm.json");
    let cell = |name: String, cell: &str| {
        let net = format!("{cell} 3>4, dense 4>2");
        agrees(&written, (&format!("onnx/{name}.onnx"), "", &net));
    };
    cell("unrolled".to_owned(), "lstm");
    cell("unrolled_rnn".to_owned(), "rnn-relu");
    for number in 0..3 {
        cell(format!("unrolled_lstm_{number}"), "lstm");
    }
    for number in 0..8 {
        let kind = if number < 4 {
            "gru"
        } else {
            "gru-reset-before"
        };
        cell(format!("unrolled_gru_{number}"), kind);
    }
    let exported = cases("onnx.json");
    for kind in ["lstm", "gru", "rnn"] {
        let net = format!("dense 5>3 relu, {kind} 3>4, {kind} 4>4, dense 4>2");
        for how in ["", "_dynamo"] {
            agrees(
                &exported,
                (&format!("onnx/cells_{kind}{how}.onnx"), "", &net),
            );
        }
    }
}

#[test]
fn channels_before_positions_and_groups_of_one() {
    let cases = cases("onnx.json");
    let conv = "conv 4 4>4";
    for (file, net) in [
        (
            "channels_first",
            format!("{conv} relu, dense 20>4, gru 4>4, dense 4>2"),
        ),
        (
            "places_first",
            format!("{conv} relu, dense 20>4, gru 4>4, dense 4>2"),
        ),
        ("channels_cell", format!("{conv} tanh, gru 20>4, dense 4>2")),
        (
            "channels_relu",
            format!("{conv}, dense 20>20 relu, gru 20>4, dense 4>2"),
        ),
        (
            "one_group",
            "dense 16>4, norm 4, gru 4>4, dense 4>2".to_owned(),
        ),
    ] {
        for how in ["", "_dynamo"] {
            agrees(&cases, (&format!("onnx/frame_{file}{how}.onnx"), "", &net));
        }
    }
}

#[test]
fn samples_before_are_kept_by_convolutions() {
    let cases = cases("onnx.json");
    for (file, net) in [
        ("kept", "conv 3 9>4 relu, gru 4>4, dense 4>2"),
        (
            "ring",
            "conv 3 9>4 tanh, conv 3 12>4 relu, gru 4>4, dense 4>2",
        ),
    ] {
        for how in ["", "_dynamo"] {
            agrees(&cases, (&format!("onnx/conv_{file}{how}.onnx"), "", net));
        }
    }
    let net = "conv 3 9>4 relu, gru 4>4, dense 4>2";
    for file in [
        "conv_channels_first",
        "form_channels_first",
        "form_channels_first_dynamo",
    ] {
        agrees(&cases, (&format!("onnx/{file}.onnx"), "", net));
    }
}

#[test]
fn weights_in_integers_are_real_numbers() {
    let cases = cases("norm.json");
    agrees(&cases, ("onnx/integers.onnx", "", "lstm 3>4, dense 4>2"));
    noted("onnx/integers.onnx", &["integers with a scale"]);
    refused(
        "onnx/rounded.onnx",
        "",
        &["(QuantizeLinear)", "before it was quantized"],
    );
}

#[test]
fn last_states_side_by_side() {
    let cases = cases("heads.json");
    let two = "lstm 3>4, keep 4, lstm 4>4, prepend 0, dense 8>2";
    let both = "both lstm 3>2, both lstm 4>2, dense 4>2";
    let again = "gru 3>4, keep 4, append 0, dense 8>2";
    for (file, net) in [
        ("two", two),
        ("two_dynamo", two),
        ("both_two", both),
        ("both_two_dynamo", both),
        ("both_turned", "both gru 3>4, dense 8>2"),
        ("output_and_state", again),
        ("output_and_state_dynamo", again),
        ("states_alone", "gru 3>4, keep 4, gru 4>4, prepend 0"),
        ("stacked", "gru 3>4, keep 4, gru 4>4, prepend 0, dense 8>2"),
    ] {
        agrees(&cases, (&format!("onnx/head_{file}.onnx"), "", net));
    }
    for (file, parts) in [
        (
            "both_all",
            ["`/Concat` (Concat)", "only the two of the last layer"],
        ),
        (
            "memory",
            ["`/Concat` (Concat)", "the cells of an LSTM (c_n)"],
        ),
        (
            "both_stacked",
            ["`/Reshape` (Reshape)", "torch.cat([h_n[-2], h_n[-1]], 1)"],
        ),
    ] {
        refused(&format!("onnx/head_{file}.onnx"), "", &parts);
    }
}

#[test]
fn shapes_that_change_nothing() {
    let cases = cases("heads.json");
    let one = "gru 3>4, dense 4>1";
    let two = "gru 3>4, dense 4>2";
    let rows = "dense 3>3, gru 3>4, dense 4>1";
    for (file, net) in [
        ("head_rows", rows),
        ("head_rows_dynamo", rows),
        ("head_squeezed", one),
        ("head_flat", one),
        ("head_flat_window", one),
        ("head_list", "gru 3>4, dense 4>1 sigmoid"),
        ("head_there_and_back", one),
        ("head_last_flat", "gru 3>4, dense 4>2 softmax"),
        ("head_last_step", two),
    ] {
        agrees(&cases, (&format!("onnx/{file}.onnx"), "", net));
    }
    refused(
        "onnx/head_fixed.onnx",
        "",
        &["`/Reshape` (Reshape)", "[1, 7, 2]", "write -1 for it"],
    );
}

#[test]
fn activations_that_end_are_relus() {
    let cases = cases("heads.json");
    let two = "dense 3>5 relu, dense 5>5 relu, dense 5>5, gru 5>4, dense 4>2 relu, dense 2>2 relu, dense 2>2";
    let one = "dense 3>5 relu, dense 5>5, gru 5>4, dense 4>2 relu, dense 2>2";
    for (file, net) in [
        ("relu6", two),
        ("hardtanh", two),
        (
            "swish",
            "dense 3>5, keep 5, dense 5>5 sigmoid, multiply 0, gru 5>4, dense 4>2",
        ),
        (
            "shared",
            "dense 3>2, keep 2, dense 2>2 relu, dense 2>2 relu, dense 2>2, append 0, gru 4>4, dense 4>2",
        ),
        ("least", one),
        ("most", one),
        ("elu", "dense 3>5 elu, gru 5>4, dense 4>2 elu"),
    ] {
        agrees(&cases, (&format!("onnx/head_{file}.onnx"), "", net));
    }
    refused(
        "onnx/head_selu.onnx",
        "",
        &[
            "`/Selu` (Selu)",
            "by way of TensorFlow",
            "model.save(\"net.keras\")",
        ],
    );
}

#[test]
fn slopes_and_kernels_of_one_axis() {
    let cases = cases("heads.json");
    for (file, net) in [
        (
            "slopes",
            "conv 2 6>10 relu, dense 10>5, gru 5>4, dense 4>8 relu, dense 8>4, dense 4>2",
        ),
        ("one_axis", "conv 2 6>5, gru 5>4, dense 4>2"),
    ] {
        agrees(&cases, (&format!("onnx/head_{file}.onnx"), "", net));
    }
    for (file, parts) in [
        ("two_axes", ["(Conv)", "a kernel over two axes, 3 × 3"]),
        ("several_rows", ["(Conv)", "along an axis of several"]),
    ] {
        refused(&format!("onnx/head_{file}.onnx"), "", &parts);
    }
}

#[test]
fn what_tf2onnx_makes_of_keras() {
    let cases = cases("keras_to_onnx.json");
    for (file, net) in [
        ("both", "both lstm 3>4, dense 8>2"),
        (
            "conv",
            "conv 3 9>4 relu max 2 from 3 every 2, lstm 4>5, dense 5>2 elu",
        ),
        (
            "causal",
            "conv 3 9>4 relu, gru 4>5, dense 5>2 relu, dense 2>2 relu, dense 2>2",
        ),
        ("hard", "lstm-hard 3>5, dense 5>2 relu, dense 2>2 relu"),
        ("tokens", "embedding 7x4, lstm 4>5, dense 5>1 sigmoid"),
    ] {
        agrees(&cases, (&format!("onnx/of_keras_{file}.onnx"), "", net));
    }
}

#[test]
fn differences_and_branches() {
    let cases = cases("heads.json");
    for (file, net) in [
        ("minus", "keep 3, gru 3>3, dense 3>3, add 0, dense 3>3"),
        ("from", "keep 3, gru 3>3, dense 3>3, add 0, dense 3>3"),
        ("minus_end", "keep 3, gru 3>3, dense 3>3, add 0, dense 3>3"),
        (
            "beside_last",
            "keep 3, gru 3>4, keep 4, append 0, dense 7>3, lstm 3>5, prepend 1, dense 9>2",
        ),
        (
            "sum",
            "keep 3, gru 3>4, keep 4, append 0, dense 7>3, gru 3>4, add 1, dense 4>2",
        ),
        (
            "gate",
            "gru 3>4, keep 4, dense 4>5 tanh, keep 5, append 0, dense 9>5 sigmoid, multiply 1, dense 5>2",
        ),
        (
            "conv_beside",
            "keep 3, gru 3>4, keep 4, append 0, dense 7>3, conv 2 6>4 relu, prepend 1, dense 8>2",
        ),
    ] {
        agrees(&cases, (&format!("onnx/head_{file}.onnx"), "", net));
    }
    for (file, parts) in [
        ("rates", &["`/b/GRU` (GRU)", "has fewer answers"][..]),
        (
            "both_beside",
            &["`/b/GRU` (GRU)", "beside a bidirectional layer"],
        ),
        ("several", &["`a`, `b`", "--output NAME takes one"]),
        (
            "same",
            &[
                "`/layer/Conv` (Conv)",
                "1 samples that are still to come",
                "nn.functional.pad(x, (2, 0))",
            ],
        ),
        (
            "padded_pool",
            &["`/layer/MaxPool` (MaxPool)", "[1, 1]", "padding=0"],
        ),
    ] {
        refused(&format!("onnx/head_{file}.onnx"), "", parts);
    }
    agrees(
        &cases,
        ("onnx/head_several.onnx", "--output a", "gru 3>4, dense 4>2"),
    );
}

/// What another file holds of the weights is named, so that it is not written over.
#[test]
fn weights_beside_the_network_are_read_and_named() {
    let path = folder().join("onnx/outside.onnx");
    let imported = read(&path, &options("")).unwrap();
    assert_eq!(imported.weight_files, [folder().join("onnx/outside.data")]);
    computes(&imported, &cases("heads.json")["head_squeezed"], "outside");
}

#[test]
fn a_coupled_gate_is_the_one_that_onnx_runtime_couples() {
    let cases = cases("coupled.json");
    agrees(&cases, ("onnx/coupled.onnx", "", "lstm-coupled 2>3"));
}

#[test]
fn node_tests_of_the_onnx_package() {
    let cases = cases("node_tests.json");
    for (name, flags, net) in [
        ("lstm_defaults", "", "lstm 2>3"),
        ("lstm_with_initial_bias", "", "lstm 3>4"),
        ("lstm_with_peepholes", "", "lstm-peephole 4>3"),
        ("lstm_batchwise", "", "lstm 2>7"),
        ("lstm_bidirectional", "--window 3", "both lstm 2>3"),
        ("gru_defaults", "", "gru-reset-before 2>5"),
        ("gru_with_initial_bias", "", "gru-reset-before 3>3"),
        ("gru_batchwise", "", "gru-reset-before 2>6"),
        (
            "gru_bidirectional",
            "--window 3 --output Y_h",
            "both gru-reset-before 2>5",
        ),
        ("simple_rnn_defaults", "", "rnn 2>4"),
        ("simple_rnn_with_initial_bias", "", "rnn 3>5"),
        ("simple_rnn_batchwise", "", "rnn 2>4"),
        ("gru_seq_length", "", "gru-reset-before 3>5"),
        ("rnn_seq_length", "", "rnn 3>5"),
        ("simple_rnn_bidirectional", "--window 3", "both rnn 2>4"),
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
    assert_eq!(cases.len(), 18, "every node test is named here");
}

/// Of what layers they are is drawn too.
#[test]
fn random_networks_of_onnx_runtime() {
    let cases = cases("onnx_runtime.json");
    for (name, case) in &cases {
        let path = folder().join(format!("onnx/{name}.onnx"));
        let imported = read(&path, &options("")).unwrap_or_else(|e| panic!("{e:#}"));
        computes(&imported, case, name);
    }
    assert!(cases.len() >= 6);
}

#[test]
fn state_dicts_in_every_container_and_form() {
    let cases = cases("pytorch.json");
    let gru = "gru 3>4, dense 4>2";
    for (file, flags, net) in [
        ("zip.pt", "", gru),
        ("pickle.pth", "", gru),
        ("arrays.npz", "", gru),
        ("packed.npz", "", gru),
        ("lists.json", "", gru),
        ("lightning.ckpt", "", gru),
        ("copies.pt", "--part ema", gru),
        ("cell.pt", "", gru),
        ("projected.pt", "", "lstm 3>5, dense 5>4, dense 4>2"),
        ("weight_norm_old.pt", "", "lstm 3>4, dense 4>2"),
        ("weight_norm_new.pt", "", "lstm 3>4, dense 4>2"),
        (
            "norm_behind_cells.pt",
            "--order first,inner,second,outer,head",
            "gru 3>4, lstm 4>5, dense 5>2",
        ),
    ] {
        agrees(&cases, (&format!("pytorch/{file}"), flags, net));
    }
    let behind = read(&folder().join("pytorch/norm_behind_cells.pt"), &options(""));
    let notes = behind.unwrap().notes.join("; ");
    assert!(
        notes.contains("`num_batches_tracked` (2 tensors)")
            && notes.contains("`log_sigma` is a number alone")
            && notes.contains("outer (nn.BatchNorm1d) is taken to stand right behind the cells"),
        "{notes}"
    );
    refused(
        "pytorch/copies.pt",
        "",
        &["`model` and `ema`", "--part model"],
    );
    let left_out = read(&folder().join("pytorch/lightning.ckpt"), &options(""))
        .unwrap()
        .notes;
    assert!(
        left_out.iter().any(|n| n.contains("`optimizer_states`")),
        "{left_out:?}"
    );
}

#[test]
fn both_files_of_keras() {
    let cases = cases("keras.json");
    for (file, net) in [
        ("lstm.keras", "lstm 3>5, lstm 5>4, dense 4>2 softmax"),
        ("lstm.h5", "lstm 3>5, lstm 5>4, dense 4>2 softmax"),
        ("gru.keras", "dense 3>3 relu, gru 3>4, dense 4>2 sigmoid"),
        ("gru_before.keras", "gru-reset-before 3>4, dense 4>1"),
        ("cell.keras", "rnn-relu 3>4, dense 4>2 tanh"),
        ("embedding.keras", "embedding 7x3, lstm 3>4, dense 4>7"),
        ("both.keras", "both lstm 3>4, dense 8>2"),
        ("both.h5", "both lstm 3>4, dense 8>2"),
        ("functional.keras", "lstm 3>4, dense 4>2"),
        ("lstm_relu.keras", "lstm-relu 3>5, lstm-relu 5>4, dense 4>2"),
        ("gru_relu.keras", "gru-relu 3>5, gru-relu 5>4, dense 4>2"),
        ("lstm_hard.keras", "lstm-hard 3>5, lstm-hard 5>4, dense 4>2"),
        (
            "gru_hard.keras",
            "gru-hard 3>5, gru-hard-reset-before 5>4, dense 4>2",
        ),
        (
            "bent.keras",
            "conv 3 9>12 relu, dense 12>6, lstm 6>4, dense 4>8 relu, dense 8>4, dense 4>10 relu, dense 10>5, dense 5>2",
        ),
        ("keras_2.keras", "lstm-hard 3>5, gru-hard 5>4, dense 4>2"),
        ("adapted.keras", "gru 3>5, dense 5>2"),
        ("given.keras", "lstm 3>4, dense 4>1"),
        (
            "channels.keras",
            "conv 3 9>6 relu, conv 2 12>6, dense 6>4 tanh, gru 4>4, dense 4>2",
        ),
        ("far.keras", "keep 3, gru 3>4, append 0, dense 7>2"),
        (
            "rescaled.keras",
            "keep 3, gru 3>3, keep 3, append 0, dense 6>3, lstm 3>3, add 1, dense 3>2",
        ),
        (
            "functions.keras",
            "lstm 3>4, dense 4>8 relu, dense 8>4, dense 4>6 relu, dense 6>3, dense 3>2",
        ),
        (
            "slopes.keras",
            "dense 3>8 relu, dense 8>4, gru 4>4, dense 4>2",
        ),
        ("one_by_one.keras", "gru 1>3, dense 3>2"),
        (
            "places.keras",
            "lstm 3>4, lstm 4>4, dense 4>4 tanh, dense 4>4, dense 4>4 relu, dense 4>2",
        ),
        ("skip.keras", "keep 3, lstm 3>3, add 0, dense 3>1"),
        (
            "get_item.keras",
            "lstm 3>4, keep 4, gru 4>3, prepend 0, dense 7>2",
        ),
        (
            "nested.keras",
            "dense 3>3 tanh, lstm 3>4, gru 4>3, dense 3>2",
        ),
        ("nested.h5", "dense 3>3 tanh, lstm 3>4, gru 4>3, dense 3>2"),
        (
            "silu.keras",
            "dense 3>3, keep 3, dense 3>3 sigmoid, multiply 0, lstm 3>4, dense 4>2",
        ),
        ("same_shape.keras", "lstm 3>4, dense 4>2"),
        ("rows.keras", "gru 3>4, dense 4>6"),
        (
            "own_name.keras",
            "dense 3>3 tanh, dense 3>3, lstm 3>4, dense 4>2",
        ),
        (
            "own_name.h5",
            "dense 3>3 tanh, dense 3>3, lstm 3>4, dense 4>2",
        ),
        ("flattened.keras", "lstm 3>2, rnn-relu 2>14, dense 14>2"),
        (
            "ends.keras",
            "dense 3>4 relu, dense 4>4 relu, dense 4>4, lstm 4>4, dense 4>3 relu, dense 3>3 relu, dense 3>3 relu, dense 3>3 relu, dense 3>3, \
             dense 3>2 relu, dense 2>2 relu, dense 2>2",
        ),
        ("elu.keras", "dense 3>3 elu, lstm 3>4, dense 4>2"),
        (
            "branches.keras",
            "keep 3, gru 3>4, keep 4, append 0, dense 7>3, lstm 3>4, dense 4>4, add 1, dense 4>2",
        ),
    ] {
        agrees(&cases, (&format!("keras/{file}"), "", net));
    }
    refused(
        "keras/gelu.keras",
        "",
        &["activation `gelu`", "train with one"],
    );
    for (file, net) in [
        ("mean_of_all", "lstm 3>4, rnn-relu 4>4, dense 4>2"),
        ("max_of_all", "lstm 3>4, rnn-relu 4>8, dense 8>2"),
        ("mean_of_both", "both gru 3>4, both rnn-relu 8>4, dense 8>2"),
        ("max_of_both", "both gru 3>4, both rnn-relu 8>8, dense 16>2"),
        (
            "mean_of_convs",
            "conv 3 9>4 relu max 1 from 2 every 1, conv 2 8>5 relu max 1 from 1 every 2, rnn-relu 5>5, dense 5>2 softmax",
        ),
        (
            "shared",
            "keep 3, gru 3>3, dense 3>3 tanh, gru 3>3, dense 3>3, add 0, dense 3>3 tanh",
        ),
        ("both_sum", "both lstm 3>4, dense 8>2"),
        ("both_ave", "both lstm 3>4, dense 8>2"),
        (
            "both_added",
            "both lstm 3>4, both gru 8>3, both rnn-relu 6>3, dense 6>3",
        ),
    ] {
        agrees(&cases, (&format!("keras/{file}.keras"), "", net));
    }
    for (file, parts) in [
        ("both_mul", ["(Bidirectional)", "`merge_mode`: \"mul\""]),
        (
            "masked",
            ["(Masking)", "isinstance(layer, keras.layers.Masking)"],
        ),
        ("mask_zero", ["(Embedding)", ".mask_zero = False"]),
        ("repeated", ["(RepeatVector)", "save two models"]),
        ("state", ["(Dense)", "a state that `lstm"]),
        ("turned", ["(GetItem)", "it turns the samples"]),
        (
            "own_class",
            ["(Dense)", "a class of the user's own (Dense)"],
        ),
        (
            "own_class_inside",
            ["(TimeDistributed)", "a class of the user's own (Dense)"],
        ),
        ("cells", ["(RNN)", "write a layer for each"]),
        ("lambda", ["(Lambda)", "a function of Python"]),
        ("two", ["--output NAME", "`p`, `q`"]),
    ] {
        refused(&format!("keras/{file}.keras"), "", &parts);
    }
    let two = "dense 3>3 tanh, gru 3>4, dense 4>2";
    agrees(&cases, ("keras/two.keras", "--output q", two));
    let mixed = read(&folder().join("keras/mixed.keras"), &options("")).unwrap();
    let notes = mixed.notes.join("; ");
    assert!(
        notes.contains("Keras computes it in mixed_bfloat16"),
        "{notes}"
    );
    let conv = "conv 3 9>6 relu, dense 6>4, conv 2 8>4 tanh, lstm 4>4, dense 4>2";
    for file in ["keras/conv.keras", "keras/conv.h5"] {
        agrees(&cases, (file, "", conv));
    }
    for (file, net) in [
        (
            "valid",
            "conv 3 9>2 max 1 from 2 every 1, lstm 2>2, dense 2>1",
        ),
        (
            "pooled",
            "conv 3 9>6 relu max 2 from 3 every 2, conv 2 12>4 max 1 from 1 every 2, conv 1 4>4 mean 2 from 1 every 1, \
             lstm 4>4, dense 4>2",
        ),
        (
            "pooled_stream",
            "conv 1 3>3 mean 2 from 1 every 2, conv 2 6>4 tanh max 3 from 3 every 2, gru 4>4, dense 4>2",
        ),
    ] {
        agrees(&cases, (&format!("keras/{file}.keras"), "", net));
    }
}

/// Of how many convolutions, and which, is drawn too.
#[test]
fn random_networks_of_keras() {
    let cases = cases("keras.json");
    let drawn = cases.iter().filter(|(name, _)| name.starts_with("random"));
    let mut count = 0;
    for (name, case) in drawn {
        let path = folder().join(format!("keras/{name}.keras"));
        let imported = read(&path, &options("")).unwrap_or_else(|e| panic!("{e:#}"));
        computes(&imported, case, name);
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn convolutions_of_a_state_dict_are_what_the_flags_say() {
    let cases = cases("pytorch.json");
    let net = "conv 3 9>6 relu, conv 2 12>4 relu, lstm 4>4, dense 4>2";
    for place in ["before", "after"] {
        let file = format!("pytorch/conv_norm_{place}.pt");
        let flags = format!("--conv causal:2,causal --after-conv relu --batch-norm {place}");
        agrees(&cases, (&file, &flags, net));
    }
    let file = "pytorch/conv_norm_before.pt";
    let all = "`first` (Conv1d 3 → 6, kernel 3), `second` (Conv1d 3 → 4, kernel 2)";
    for (flags, parts) in [
        (
            "",
            &[
                "3 things are open",
                all,
                "1. there are",
                "give --conv causal",
                "give --after-conv relu, elu, tanh",
                "3. a state dict does not say whether `norm`",
            ][..],
        ),
        ("--conv causal", &["give --after-conv relu, elu, tanh"]),
        (
            "--conv causal --after-conv relu",
            &[
                "`norm` (BatchNorm1d 6)",
                "give --batch-norm before or after",
            ],
        ),
        (
            "--conv causal,causal,causal --after-conv relu",
            &["--conv: 3 of them, expected one or 2"],
        ),
        (
            "--conv same --after-conv relu --batch-norm before",
            &["`first`", "samples that are still to come"],
        ),
    ] {
        refused(file, flags, parts);
    }
}

#[test]
fn a_tensor_is_renamed_by_a_flag() {
    let file = folder().join("pytorch/lists.json");
    let text = fs::read_to_string(file)
        .unwrap()
        .replace("rnn.weight_ih_l0", "w_input");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("renamed.json");
    fs::write(&path, text).unwrap();
    let message = read(&path, &options("")).unwrap_err().to_string();
    assert!(
        message.contains("`rnn.weight_ih_l0` is missing") || message.contains("`w_input`"),
        "{message}"
    );
    let package = read(&path, &options("--rename w_input=rnn.weight_ih_l0"))
        .unwrap()
        .package;
    assert_eq!(structure(&package.net), "gru 3>4, dense 4>2");
}

/// Names, units, what is subtracted and by what is multiplied.
fn features(imported: &Imported) -> Vec<(&str, &str, f32, f32)> {
    let Input::Features(features) = &imported.package.input else {
        panic!()
    };
    features
        .iter()
        .map(|f| (f.name.as_str(), f.unit.as_str(), f.offset, f.scale))
        .collect()
}

#[test]
fn a_file_beside_the_network_says_what_flags_would() {
    let folder_of_tests = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder_of_tests.join("beside.pt");
    let beside = folder_of_tests.join("beside.pt.toml");
    fs::copy(folder().join("pytorch/zip.pt"), &path).unwrap();
    let text = "names = [\"a\", \"b\", \"c\"]\nunits = [\"V\"]\ninput_mean = [1, -2, 3]\nsample_rate = 16000\n";
    fs::write(&beside, text).unwrap();
    let imported = read(&path, &options("--input-std 2,4,0.5")).unwrap();
    assert!(imported.notes[0].ends_with("says: names, units, input-mean, sample-rate"));
    assert_eq!(imported.package.written.rate, Some(16_000));
    let wanted = [
        ("a", "V", 1.0, 0.5),
        ("b", "V", -2.0, 0.25),
        ("c", "V", 3.0, 2.0),
    ];
    assert_eq!(features(&imported), wanted);
    let refused = |text: &str, flags: &str| {
        fs::write(&beside, text).unwrap();
        format!("{:#}", read(&path, &options(flags)).err().unwrap())
    };
    let message = refused(text, "--sample-rate 8000");
    assert!(
        message.contains("beside.pt.toml says what --sample-rate says"),
        "{message}"
    );
    let message = refused("name = \"a\"\n", "");
    assert!(message.contains("unknown field `name`"), "{message}");
    fs::remove_file(&beside).unwrap();
}

#[test]
fn inputs_have_the_names_and_the_normalisation_of_flags() {
    let file = folder().join("pytorch/zip.pt");
    let flags = "--names a,b,c --units V,,°C --input-mean 1,-2,3 --input-std 2,4,0.5 --output-names up,down --output-units m/s";
    let imported = read(&file, &options(flags)).unwrap();
    let want = [
        ("a", "V", 1.0, 0.5),
        ("b", "", -2.0, 0.25),
        ("c", "°C", 3.0, 2.0),
    ];
    assert_eq!(features(&imported), want);
    let Output::Values(targets) = &imported.package.output else {
        panic!()
    };
    let found = targets.iter().map(|t| (&t.name[..], &t.unit[..]));
    assert_eq!(found.collect::<Vec<_>>(), [("up", "m/s"), ("down", "m/s")]);
    // In raw units the model gives what PyTorch gave for normalised ones.
    let mut case = cases("pytorch.json").remove("zip").unwrap();
    for x in &mut case.x {
        *x = vec![x[0] * 2.0 + 1.0, x[1] * 4.0 - 2.0, x[2] * 0.5 + 3.0];
    }
    computes(&imported, &case, "zip.pt in raw units");
    for (flags, part) in [
        ("--names a,b", "2 names, expected 3"),
        ("--names a,b,a", "\"a\" is there twice"),
        ("--input-mean 1,2", "2 numbers, expected one or 3"),
        ("--units V,A", "--units: 2 units, expected one or 3"),
        (
            "--predicts classes --output-units V",
            "--output-units is for values",
        ),
        ("--input-std 0", "above 0"),
    ] {
        refused("pytorch/zip.pt", flags, &[part]);
    }
}

#[test]
fn fused_operators_of_tensorflow_lite() {
    let cases = cases("tflite.json");
    for (file, net) in [
        ("last", "lstm 3>4, dense 4>2 softmax"),
        ("flat", "lstm 3>4, rnn-relu 4>24, dense 24>2 sigmoid"),
        ("stream", "lstm 3>4, dense 4>2 tanh"),
        ("coupled", "lstm-coupled 3>4, dense 4>2"),
        ("peephole", "lstm-peephole 3>4, dense 4>2"),
        ("projection", "lstm 3>4, dense 4>2, dense 2>2"),
        ("major", "lstm 3>4, dense 4>2"),
        ("open", "lstm 3>4, dense 4>2"),
        ("rnn", "rnn 3>4, dense 4>3 relu, dense 3>2"),
        ("rnn_relu", "rnn-relu 3>4, dense 4>3 relu, dense 3>2"),
        ("rounded", "embedding 7x3, lstm 3>4, dense 4>3"),
        (
            "float_tokens",
            "embedding 7x3, lstm 3>4, dense 4>5 relu, dense 5>5 relu, dense 5>5, dense 5>4 relu, dense 4>4 relu, dense 4>4, dense 4>2",
        ),
    ] {
        agrees(&cases, (&format!("tflite/{file}.tflite"), "", net));
    }
    refused(
        "tflite/norm.tflite",
        "",
        &[
            "`unidirectional_sequence_lstm 0`",
            "layer normalisation within the cell",
        ],
    );
    refused(
        "tflite/conv.tflite",
        "",
        &["`conv_2d 0` (CONV_2D)", "the engine has no layer for it"],
    );
    for (file, parts) in [
        ("unpacked", ["(UNPACK)", "import the .keras or .h5 file"]),
        (
            "reversed",
            ["(REVERSE_V2)", "import the .keras or .h5 file"],
        ),
        (
            "variable",
            ["(READ_VARIABLE)", "states that are kept in variables"],
        ),
    ] {
        refused(&format!("tflite/{file}.tflite"), "", &parts);
    }
    refused(
        "tflite/last.tflite",
        "--head relu",
        &["--head is for state dicts"],
    );
    let notes = |file: &str| {
        read(&folder().join(file), &options(""))
            .unwrap()
            .notes
            .join("; ")
    };
    let rounded = notes("tflite/rounded.tflite");
    assert!(
        rounded.contains("12 of ") && rounded.contains("integers with a scale"),
        "{rounded}"
    );
    let (window, stream) = (notes("tflite/last.tflite"), notes("tflite/stream.tflite"));
    // In six samples no cell can reach 10.
    assert!(
        window.contains("every sequence begins with zeros") && !window.contains("cuts cells"),
        "{window}"
    );
    assert!(stream.contains("cuts cells at ±10"), "{stream}");
    let flat = notes("tflite/flat.tflite");
    assert!(
        flat.contains("all 6 samples of a sequence") && flat.contains("24 units, 672 weights"),
        "{flat}"
    );
}

/// Two layers of RTNeural's form: y = tanh(2 x − 1), whose numbers one can check by hand after the LSTM.
#[test]
fn layers_of_rtneural_and_its_skips() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let lstm = r#"{"type": "lstm", "activation": "", "shape": [null, null, 1], "weights": [[[1, 2, 3, 4]], [[0, 0, 0, 0]], [0, 1, 0, 1]]}"#;
    let dense = r#"{"type": "dense", "activation": "tanh", "weights": [[[2]], [-1]]}"#;
    let file = |skip: &str| {
        format!(r#"{{"in_shape": [null, null, 1], {skip} "layers": [{lstm}, {dense}]}}"#)
    };
    let path = folder.join("rtneural.json");
    fs::write(&path, file("")).unwrap();
    let imported = read(&path, &options("")).unwrap();
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let (mut c, mut y) = (0.0, Vec::new());
    for x in [0.5f32, -0.25] {
        c = sigmoid(2.0 * x + 1.0) * c + sigmoid(x) * (3.0 * x).tanh();
        let h = sigmoid(4.0 * x + 1.0) * c.tanh();
        y.push(vec![(2.0 * h - 1.0).tanh()]);
    }
    let x = vec![vec![0.5], vec![-0.25]];
    let case = Case {
        x: x.clone(),
        y: y.clone(),
    };
    computes(&imported, &case, "rtneural.json");
    fs::write(&path, file(r#""in_skip": 1,"#)).unwrap();
    let skipping = read(&path, &options("")).unwrap();
    let y = y.iter().zip(&x).map(|(y, x)| vec![y[0] + x[0]]).collect();
    computes(&skipping, &Case { x, y }, "rtneural.json with in_skip");
    fs::write(&path, file(r#""in_skip": 0.5,"#)).unwrap();
    let message = read(&path, &options("")).unwrap_err().to_string();
    assert!(message.contains("`in_skip`: expected 0, or 1"), "{message}");
}

/// Of an amplifier with a knob the sound alone is added.
#[test]
fn a_skip_adds_the_first_input() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let lstm = r#"{"type": "lstm", "weights": [[[1, 2, 3, 4], [4, 3, 2, 1]], [[0, 1, 0, 1]], [0, 1, 0, 1]]}"#;
    let dense = r#"{"type": "dense", "weights": [[[2]], [-1]]}"#;
    let rtneural = |skip: u8| {
        format!(
            r#"{{"in_shape": [null, null, 2], "in_skip": {skip}, "layers": [{lstm}, {dense}]}}"#
        )
    };
    let guitarml = |skip: u8| {
        format!(
            r#"{{"model_data": {{"skip": {skip}}}, "state_dict": {{"rec.weight_ih_l0": [[1, 4], [2, 3], [3, 2], [4, 1]],
            "rec.weight_hh_l0": [[0], [1], [0], [1]], "rec.bias_ih_l0": [0, 1, 0, 1], "rec.bias_hh_l0": [0, 0, 0, 0],
            "lin.weight": [[2]], "lin.bias": [-1]}}}}"#
        )
    };
    let x = [vec![0.5, 0.25], vec![-0.25, 0.75], vec![0.125, -1.0]];
    let answers = |name: &str, text: String| -> Vec<f32> {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        let imported = read(&path, &options("")).unwrap_or_else(|e| panic!("{e:#}"));
        imported.prove().unwrap();
        let package = &imported.package;
        let file = export(package, Format::F32, None, &TestInputs::synthetic(package)).unwrap();
        let model = Model::from_bytes(&file.bytes).unwrap();
        let mut predictor = EnginePredictor::new(&model);
        let mut y = [0.0];
        x.iter()
            .map(|x| {
                predictor.step(x, &mut y);
                y[0]
            })
            .collect()
    };
    let without = answers("plain_rt.json", rtneural(0));
    for (found, what) in [
        (answers("skip_rt.json", rtneural(1)), "in_skip"),
        (answers("skip_gm.json", guitarml(1)), "skip"),
    ] {
        for ((found, y), x) in found.iter().zip(&without).zip(&x) {
            assert!((found - y - x[0]).abs() < 1e-6, "{what}: {found}");
        }
    }
}

#[test]
fn a_model_of_neural_amp_modeler() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lstm.nam");
    // One unit: rows i, f, g, o of [w, u], biases, h and c at the start, head and its bias.
    let file = |start: &str| {
        format!(
            r#"{{"version": "0.5.4", "architecture": "LSTM", "config": {{"input_size": 1, "hidden_size": 1, "num_layers": 1}},
            "weights": [1, 0, 2, 0, 3, 0, 4, 0, 0, 1, 0, 1, {start}, 2, -1], "sample_rate": 48000}}"#
        )
    };
    fs::write(&path, file("0, 0")).unwrap();
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let x = 0.5f32;
    let c = sigmoid(x) * (3.0 * x).tanh();
    let y = 2.0 * sigmoid(4.0 * x + 1.0) * c.tanh() - 1.0;
    let case = Case {
        x: vec![vec![x]],
        y: vec![vec![y]],
    };
    computes(&read(&path, &options("")).unwrap(), &case, "lstm.nam");
    fs::write(&path, file("0.5, 0")).unwrap();
    let message = read(&path, &options("")).unwrap_err().to_string();
    assert!(
        message.contains("trained state (up to 0.500)") && message.contains("--zero-state"),
        "{message}"
    );
    let imported = read(&path, &options("--zero-state")).unwrap();
    assert!(imported.notes.iter().any(|n| n.contains("--zero-state")));
    computes(&imported, &case, "lstm.nam with --zero-state");
}

/// Every file cut short and with single bytes changed: an answer or a reason, never a panic.
#[test]
fn damaged_files_are_refused_without_a_panic() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("damaged");
    fs::create_dir_all(&scratch).unwrap();
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut tried = 0;
    for kind in ["onnx", "pytorch", "keras", "tflite"] {
        for file in fs::read_dir(folder().join(kind)).unwrap() {
            let path = file.unwrap().path();
            let whole = fs::read(&path).unwrap();
            let damaged = scratch.join(path.file_name().unwrap());
            for turn in 0..40 {
                let mut bytes = whole.clone();
                match turn % 4 {
                    0 => bytes.truncate(random(whole.len())),
                    _ => {
                        for _ in 0..=turn % 3 {
                            bytes[random(whole.len())] = [0, 0xff, 0x80, 0x7f][random(4)];
                        }
                    }
                }
                fs::write(&damaged, &bytes).unwrap();
                if let Ok(imported) = read(&damaged, &options("")) {
                    let _ = imported.prove();
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

/// Models that nobody here made, beside the repository: `cargo test -p kinglet-trainer --test import_files -- --ignored`.
#[test]
#[ignore = "reads the models beside the repository"]
fn rtneurals_test_models_and_an_amplifier() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    for (name, flags) in [("lstm_1d", ""), ("gru_torch", "--order gru,gru2,dense")] {
        let column = |end: &str| -> Vec<Vec<f32>> {
            let text =
                fs::read_to_string(folder.join(format!("rtneural/{name}_{end}.csv"))).unwrap();
            text.lines()
                .map(|line| vec![line.trim().parse().unwrap()])
                .collect()
        };
        let imported = read(
            &folder.join(format!("rtneural/{name}.json")),
            &options(flags),
        )
        .unwrap();
        let case = Case {
            x: column("x"),
            y: column("y"),
        };
        computes(&imported, &case, name);
    }
    let amplifier = folder.join("nam/lstm.nam");
    assert!(
        read(&amplifier, &options(""))
            .unwrap_err()
            .to_string()
            .contains("--zero-state")
    );
    read(&amplifier, &options("--zero-state"))
        .unwrap()
        .prove()
        .unwrap();
}

/// What `tests/importing/tflm.py` draws.
fn pictures(count: usize) -> Vec<Vec<Vec<u8>>> {
    let mut state = 1u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut picture = || {
        let blocks: Vec<[u8; 7]> = (0..7).map(|_| std::array::from_fn(|_| byte())).collect();
        let bright = |b: u8| if b < 128 { 0 } else { b };
        let row = |y: usize| (0..28).map(|x| bright(blocks[y / 4][x / 4])).collect();
        (0..28).map(row).collect()
    };
    (0..count).map(|_| picture()).collect()
}

/// The class of what an integer model says is that of the interpreter which rounds all it computes.
#[test]
#[ignore = "reads the models beside the repository"]
fn the_example_of_tensorflow_lite_micro() {
    #[derive(Deserialize)]
    struct Expected {
        real: Vec<Vec<f32>>,
        classes: Vec<usize>,
    }
    let text = fs::read_to_string(folder().join("tflm.json")).unwrap();
    let expected: Expected = serde_json::from_str(&text).unwrap();
    let pictures = pictures(expected.classes.len());
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    let answers = |file: &str, count: usize| -> Vec<Vec<f32>> {
        let imported = read(&models.join(file), &options("")).unwrap();
        imported.prove().unwrap();
        let package = &imported.package;
        let file = export(package, Format::F32, None, &TestInputs::synthetic(package)).unwrap();
        let model = Model::from_bytes(&file.bytes).unwrap();
        let mut predictor = EnginePredictor::new(&model);
        let mut y = vec![0.0; model.outputs()];
        let mut answer = |picture: &Vec<Vec<u8>>| {
            predictor.reset();
            for row in picture {
                let row: Vec<f32> = row.iter().map(|&b| f32::from(b) / 255.0).collect();
                predictor.step(&row, &mut y);
            }
            y.clone()
        };
        pictures[..count].iter().map(&mut answer).collect()
    };
    let real = answers("trained_lstm.tflite", expected.real.len());
    for (found, expected) in real.iter().flatten().zip(expected.real.iter().flatten()) {
        assert!(
            (found - expected).abs() < 1e-4,
            "{found}, expected {expected}"
        );
    }
    let found = answers("trained_lstm_int8.tflite", pictures.len());
    let class = |y: &Vec<f32>| (0..y.len()).max_by(|&a, &b| y[a].total_cmp(&y[b])).unwrap();
    let same = (found.iter().map(class).zip(&expected.classes)).filter(|(a, b)| a == *b);
    let same = same.count();
    println!("{same} of {} classes are the same", pictures.len());
    assert!(
        same * 100 >= pictures.len() * 99,
        "{same} of {}",
        pictures.len()
    );
}
