//! What a number format cannot hold is told by the commands, and refused where the answers would be others.

use safetensors::{Dtype, tensor::TensorView};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn kinglet(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinglet"));
    command
        .current_dir(folder)
        .args(arguments.split_whitespace());
    command.output().unwrap()
}

fn ok(folder: &Path, arguments: &str) -> (String, String) {
    let output = kinglet(folder, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments}: {err}");
    (out, err)
}

fn refused(folder: &Path, arguments: &str, words: &[&str]) {
    let output = kinglet(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
}

/// An LSTM of one input and two units; one of its weights over the state is as given.
fn state_dict(folder: &Path, weight: f32) {
    let wave = |n: usize| (0..n).map(|k| (k as f32 * 1.3).sin() * 0.7);
    let mut w_hh: Vec<f32> = wave(16).collect();
    w_hh[3] = weight;
    write(
        folder,
        [
            ("weight_ih_l0", vec![8, 1], wave(8).collect()),
            ("weight_hh_l0", vec![8, 2], w_hh),
            ("bias_ih_l0", vec![8], wave(8).collect()),
            ("bias_hh_l0", vec![8], vec![0.0; 8]),
        ],
    );
}

fn write(folder: &Path, tensors: [(&str, Vec<usize>, Vec<f32>); 4]) {
    let bytes = tensors.map(|(name, shape, values): (_, _, Vec<f32>)| {
        let bytes: Vec<u8> = values.iter().flat_map(|w| w.to_le_bytes()).collect();
        (name, shape, bytes)
    });
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    fs::write(
        folder.join("net.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
}

/// Rows of one column, about zero and of about one, times `scale`.
fn samples(folder: &Path, name: &str, scale: f32) {
    let rows = (0..400).map(|k| format!("{}\n", scale * (k as f32 * 0.37).sin()));
    fs::write(
        folder.join(name),
        format!("x0\n{}", rows.collect::<String>()),
    )
    .unwrap();
}

#[test]
fn weights_beyond_f16_are_refused_or_forced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    state_dict(folder, 2e5);
    samples(folder, "x.csv", 1.0);
    let import = "import net.safetensors --precision f16 --out m.kgl";
    refused(
        folder,
        import,
        &["1 (4.17 %) weights up to 200000 do not fit f16", "--force"],
    );
    assert!(!folder.join("m.kgl").exists());
    let (_, err) = ok(folder, &format!("{import} --force"));
    assert!(
        err.contains("warning: layer 0: 1 (4.17 %)") && err.contains("not measured"),
        "{err}"
    );
    // With data the answers decide.
    let with_data = format!("{import} --calibrate x.csv");
    refused(
        folder,
        &with_data,
        &["% of their spread", "do not fit f16", "--force"],
    );
    let (out, _) = ok(folder, &format!("{with_data} --force"));
    assert!(out.contains("% of the spread"), "{out}");
}

#[test]
fn a_candidate_whose_part_from_the_state_reaches_far_is_held_or_its_cut_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A GRU whose reset gates let through a fiftieth of a large number.
    let wave = |n: usize| (0..n).map(|k| (k as f32 * 1.3).sin() * 0.7);
    samples(folder, "x.csv", 1.0);
    let import = "import net.safetensors --precision w8a16 --calibrate x.csv --out m.kgl --force";
    let cut = "of the pre-activations of its gates lie beyond ±16";
    for (part, is_cut) in [(12.0, false), (20.0, true)] {
        write(
            folder,
            [
                ("weight_ih_l0", vec![6, 1], wave(6).collect()),
                ("weight_hh_l0", vec![6, 2], wave(12).collect()),
                ("bias_ih_l0", vec![6], vec![-4.0, -4.0, 0.0, 0.0, 0.0, 0.0]),
                ("bias_hh_l0", vec![6], vec![0.0, 0.0, 0.0, 0.0, part, 0.0]),
            ],
        );
        let (_, err) = ok(folder, import);
        let slow = "layer 0 is slow: what input and state give to its candidates reaches beyond ±8";
        assert!(err.contains(slow), "{err}");
        assert_eq!(err.contains(cut), is_cut, "{err}");
    }
}

#[test]
fn outputs_are_compared_one_by_one_and_inputs_beyond_the_range_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    state_dict(folder, 0.5);
    // As large as a raw sensor value.
    samples(folder, "x.csv", 300.0);
    samples(folder, "later.csv", 9000.0);
    let (out, err) = ok(
        folder,
        "import net.safetensors --precision w8a16 --calibrate x.csv --out m.kgl",
    );
    assert!(
        out.contains("  y0: RMS ") && out.contains("  y1: RMS "),
        "{out}"
    );
    assert!(!err.contains("warning: x0"), "{err}");
    let (_, err) = ok(folder, "predict m.kgl --csv x.csv");
    assert!(!err.contains("beyond"), "{err}");
    let (_, err) = ok(folder, "predict m.kgl --csv later.csv");
    assert!(
        err.contains("warning: x0: ") && err.contains("of 400 values"),
        "{err}"
    );
}

#[test]
fn steps_of_a_large_counter_are_those_of_a_small_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let metrics = ["small", "large"].map(|name| {
        let start = if name == "large" { 1_800_000_000u64 } else { 0 };
        let mut counter = start;
        let mut text = "wh\n".to_owned();
        for row in 0..400u64 {
            counter += 10 + (row * 7) % 5;
            text += &format!("{counter}\n");
        }
        fs::write(folder.join(format!("{name}.csv")), text).unwrap();
        let task = |feature: &str| {
            format!(
                "name = \"meter\"\n[csv]\nfile = \"{name}.csv\"\n[series]\nfeatures = [{feature}]\ntargets = [{feature}]\n\
                 [shape]\nkind = \"many-to-one\"\nwindow = 8\n[network]\ncell = \"gru\"\nhidden = [4]\n[train]\nepochs = 2\nbatch = 16\n"
            )
        };
        fs::write(folder.join(format!("{name}.toml")), task("\"diff(wh)\"")).unwrap();
        let raw = task("{ column = \"wh\", transform = \"difference\" }");
        fs::write(folder.join(format!("{name}-raw.toml")), raw).unwrap();
        let (out, err) = ok(folder, &format!("train {name}.toml --out {name}.kgl --quiet"));
        assert!(!err.contains("rounded away"), "{err}");
        let (raw, err) = ok(folder, &format!("train {name}-raw.toml --out {name}-raw.kgl --quiet"));
        let exact = "they are taken in 64 bits: it enters as diff(wh)";
        assert_eq!(err.contains(exact), name == "large", "{err}");
        let f32 = raw.lines().find(|line| line.starts_with("f32")).unwrap();
        let rmse: f64 = f32.split_whitespace().nth(3).unwrap().parse().unwrap();
        // The steps go from 10 to 14.
        assert!(rmse < 2.5, "{raw}");
        let (predictions, _) = ok(folder, &format!("predict {name}.kgl --csv {name}.csv"));
        let rows = out.lines().filter(|line| line.starts_with("f32") || line.starts_with("RMSE"));
        (rows.map(str::to_owned).collect::<Vec<_>>(), predictions)
    });
    assert!(!metrics[0].0.is_empty());
    assert_eq!(metrics[0], metrics[1]);
    // A model of levels that met small ones only is given large ones.
    let (_, err) = ok(folder, "predict small-raw.kgl --csv large.csv");
    assert!(
        err.contains("wh: 400 of 400 values") && err.contains("train a model of diff(wh)"),
        "{err}"
    );
    // Of a gap the step is 0, and the next one has the whole way, in training as in use.
    fs::write(
        folder.join("gap.csv"),
        "wh\n1800000000\n1800000012\n\n1800000036\n",
    )
    .unwrap();
    fs::write(folder.join("steps.csv"), "diff(wh)\n0\n12\n0\n24\n").unwrap();
    for model in ["large.kgl", "large-raw.kgl"] {
        let streamed = |csv: &str| {
            ok(
                folder,
                &format!("predict {model} --every-step --missing hold --csv {csv}"),
            )
            .0
        };
        assert_eq!(streamed("gap.csv"), streamed("steps.csv"));
    }
}
