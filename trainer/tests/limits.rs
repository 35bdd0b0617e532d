//! What a number format cannot hold is told by the commands, and refused where the answers would be others.

mod desk;

use desk::{Desk, Ran};
use safetensors::{Dtype, tensor::TensorView};

/// An LSTM of one input and two units; one of its weights over the state is as given.
fn state_dict(desk: &Desk, weight: f32) {
    let wave = |n: usize| (0..n).map(|k| (k as f32 * 1.3).sin() * 0.7);
    let mut w_hh: Vec<f32> = wave(16).collect();
    w_hh[3] = weight;
    write(
        desk,
        [
            ("weight_ih_l0", vec![8, 1], wave(8).collect()),
            ("weight_hh_l0", vec![8, 2], w_hh),
            ("bias_ih_l0", vec![8], wave(8).collect()),
            ("bias_hh_l0", vec![8], vec![0.0; 8]),
        ],
    );
}

fn write(desk: &Desk, tensors: [(&str, Vec<usize>, Vec<f32>); 4]) {
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
    desk.write(
        "net.safetensors",
        safetensors::serialize(views, None).unwrap(),
    );
}

/// Rows of one column, about zero and of about one, times `scale`.
fn samples(desk: &Desk, name: &str, scale: f32) {
    let rows = (0..400).map(|k| format!("{}\n", scale * (k as f32 * 0.37).sin()));
    desk.write(name, format!("x0\n{}", rows.collect::<String>()));
}

#[test]
fn weights_beyond_f16_are_refused_or_forced() {
    let desk = Desk::new();
    state_dict(&desk, 2e5);
    samples(&desk, "x.csv", 1.0);
    let import = "import net.safetensors --precision f16 --out m.kgl";
    desk.fails_after_notes(
        import,
        1,
        &["1 (4.17 %) weights up to 200000 do not fit f16", "--force"],
    );
    assert!(!desk.path("m.kgl").exists());
    let Ran { err, .. } = desk.succeeds(&format!("{import} --force"));
    assert!(
        err.contains("warning: layer 0: 1 (4.17 %)") && err.contains("not measured"),
        "{err}"
    );
    // With data the answers decide.
    let with_data = format!("{import} --calibrate x.csv");
    desk.fails_after_notes(
        &with_data,
        1,
        &["% of their spread", "do not fit f16", "--force"],
    );
    let out = desk.ok(&format!("{with_data} --force"));
    assert!(out.contains("% of the spread"), "{out}");
}

#[test]
fn a_candidate_whose_part_from_the_state_reaches_far_is_held_or_its_cut_is_told() {
    let desk = Desk::new();
    // A GRU whose reset gates let through a fiftieth of a large number.
    let wave = |n: usize| (0..n).map(|k| (k as f32 * 1.3).sin() * 0.7);
    samples(&desk, "x.csv", 1.0);
    let import = "import net.safetensors --precision w8a16 --calibrate x.csv --out m.kgl --force";
    let cut = "of the pre-activations of its gates lie beyond ±16";
    for (part, is_cut) in [(12.0, false), (20.0, true)] {
        write(
            &desk,
            [
                ("weight_ih_l0", vec![6, 1], wave(6).collect()),
                ("weight_hh_l0", vec![6, 2], wave(12).collect()),
                ("bias_ih_l0", vec![6], vec![-4.0, -4.0, 0.0, 0.0, 0.0, 0.0]),
                ("bias_hh_l0", vec![6], vec![0.0, 0.0, 0.0, 0.0, part, 0.0]),
            ],
        );
        let Ran { err, .. } = desk.succeeds(import);
        let slow = "layer 0 is slow: what input and state give to its candidates reaches beyond ±8";
        assert!(err.contains(slow), "{err}");
        assert_eq!(err.contains(cut), is_cut, "{err}");
    }
}

#[test]
fn outputs_are_compared_one_by_one_and_inputs_beyond_the_range_are_counted() {
    let desk = Desk::new();
    state_dict(&desk, 0.5);
    // As large as a raw sensor value.
    samples(&desk, "x.csv", 300.0);
    samples(&desk, "later.csv", 9000.0);
    let Ran { out, err, .. } =
        desk.succeeds("import net.safetensors --precision w8a16 --calibrate x.csv --out m.kgl");
    assert!(
        out.contains("  y0: RMS ") && out.contains("  y1: RMS "),
        "{out}"
    );
    assert!(!err.contains("warning: x0"), "{err}");
    let Ran { err, .. } = desk.succeeds("predict m.kgl --csv x.csv");
    assert!(!err.contains("beyond"), "{err}");
    let Ran { err, .. } = desk.succeeds("predict m.kgl --csv later.csv");
    assert!(
        err.contains("warning: x0: ") && err.contains("of 400 values"),
        "{err}"
    );
}

#[test]
fn steps_of_a_large_counter_are_those_of_a_small_one() {
    let desk = Desk::new();
    let metrics = ["small", "large"].map(|name| {
        let start = if name == "large" { 1_800_000_000u64 } else { 0 };
        let mut counter = start;
        let mut text = "wh\n".to_owned();
        for row in 0..400u64 {
            counter += 10 + (row * 7) % 5;
            text += &format!("{counter}\n");
        }
        desk.write(&format!("{name}.csv"), text);
        let task = |feature: &str| {
            format!(
                "name = \"meter\"\n[csv]\nfile = \"{name}.csv\"\n[series]\nfeatures = [{feature}]\ntargets = [{feature}]\n\
                 [shape]\nkind = \"many-to-one\"\nwindow = 8\n[network]\ncell = \"gru\"\nhidden = [4]\n[train]\nepochs = 2\nbatch = 16\n"
            )
        };
        desk.write(&format!("{name}.toml"), task("\"diff(wh)\""));
        let raw = task("{ column = \"wh\", transform = \"difference\" }");
        desk.write(&format!("{name}-raw.toml"), raw);
        let Ran { out, err, .. } = desk.succeeds(&format!("train {name}.toml --out {name}.kgl --quiet"));
        assert!(!err.contains("rounded away"), "{err}");
        let Ran { out: raw, err, .. } = desk.succeeds(&format!("train {name}-raw.toml --out {name}-raw.kgl --quiet"));
        let exact = "they are taken in 64 bits: it enters as diff(wh)";
        assert_eq!(err.contains(exact), name == "large", "{err}");
        let f32 = raw.lines().find(|line| line.starts_with("f32")).unwrap();
        let rmse: f64 = f32.split_whitespace().nth(3).unwrap().parse().unwrap();
        // The steps go from 10 to 14.
        assert!(rmse < 2.5, "{raw}");
        let predictions = desk.ok(&format!("predict {name}.kgl --csv {name}.csv"));
        let rows = out.lines().filter(|line| line.starts_with("f32") || line.starts_with("RMSE"));
        (rows.map(str::to_owned).collect::<Vec<_>>(), predictions)
    });
    assert!(!metrics[0].0.is_empty());
    assert_eq!(metrics[0], metrics[1]);
    // A model of levels that met small ones only is given large ones.
    let Ran { err, .. } = desk.succeeds("predict small-raw.kgl --csv large.csv");
    assert!(
        err.contains("wh: 400 of 400 values") && err.contains("train a model of diff(wh)"),
        "{err}"
    );
    // Of a gap the step is 0, and the next one has the whole way, in training as in use.
    desk.write("gap.csv", "wh\n1800000000\n1800000012\n\n1800000036\n");
    desk.write("steps.csv", "diff(wh)\n0\n12\n0\n24\n");
    for model in ["large.kgl", "large-raw.kgl"] {
        let streamed = |csv: &str| {
            desk.ok(&format!(
                "predict {model} --every-step --missing hold --csv {csv}"
            ))
        };
        assert_eq!(streamed("gap.csv"), streamed("steps.csv"));
    }
}
