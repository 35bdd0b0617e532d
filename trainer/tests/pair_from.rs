//! `train --from ENCODER --decoder DECODER`: a pair that is there already goes on in its own tokens, whatever other data shows of them.

mod desk;

use desk::Desk;
use kinglet::format::Format;
use kinglet_trainer::data::Dataset;
use kinglet_trainer::file::{TestInputs, export, package};
use kinglet_trainer::package::{Input, Package};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::{CheckpointError, FitError, Options, fit_on, pair_for};
use serde_json::Value;
use std::fmt::Write;
use std::ops::ControlFlow;

/// Words and the same backwards.
const TASK: &str = r#"
name = "words"
[pairs]
made = { kind = "reversal", pairs = [300, 60, 60] }
vocabulary = { unit = "characters" }
[shape]
kind = "next-token"
window = 8
[network]
cell = "gru"
hidden = [20]
embedding = 8
[train]
learning_rate = 0.02
schedule = "cosine"
epochs = 30
"#;

const FILES: &str =
    "files = { train = \"pairs.csv\", valid = \"valid.csv\", test = \"valid.csv\" }";
const MADE: &str = "made = { kind = \"reversal\", pairs = [300, 60, 60] }";
const PAIR: &str = "--from words.encoder.kgl --decoder words.decoder.kgl";

/// Words of so few letters that a vocabulary of them would be another one.
fn few_letters(first: usize) -> String {
    let mut rows = "source,target\n".to_owned();
    for k in first..first + 60 {
        let letters: Vec<u8> = (0..3 + k % 3)
            .map(|t| b"edca"[(k * 7 + t * (3 + k / 4)) % 4])
            .collect();
        let word = String::from_utf8(letters).unwrap();
        let said: String = word.chars().rev().collect();
        writeln!(rows, "{word},{said}").unwrap();
    }
    rows
}

/// With a trained pair, and with other words than it was trained on.
fn desk() -> (Desk, Value) {
    let desk = Desk::new();
    desk.write("words.toml", TASK);
    let trained = json(&desk, "train words.toml --precision f32 --out words.kgl");
    desk.write("pairs.csv", few_letters(0));
    desk.write("valid.csv", few_letters(100));
    desk.write("few.toml", TASK.replace(MADE, FILES));
    let still = TASK.replace("epochs = 30", "epochs = 0");
    desk.write("made.toml", &still);
    desk.write("still.toml", still.replace(MADE, FILES));
    (desk, trained)
}

#[track_caller]
fn json(desk: &Desk, arguments: &str) -> Value {
    let out = desk.ok(&format!("{arguments} --quiet --json"));
    serde_json::from_str(&out).unwrap()
}

/// Changes the names of a model's tokens.
fn rename(desk: &Desk, from: &str, to: &str, change: impl Fn(&mut Vec<String>)) {
    let mut model = package(&desk.read(from)).unwrap();
    if let Input::Tokens(names) = &mut model.input {
        change(names);
    }
    let tests = TestInputs::of(&model, &[]);
    let exported = export(&model, Format::F32, None, &tests).unwrap();
    desk.write(to, &exported.bytes[..]);
}

#[test]
fn a_pair_goes_on_in_its_own_tokens() {
    let (desk, trained) = desk();
    let loss = |result: &Value| result["valid_loss"].as_f64().unwrap();
    // On the data that it was trained on it is what it was.
    let same = json(
        &desk,
        &format!("train made.toml {PAIR} --precision f32 --out same.kgl"),
    );
    assert!(
        (loss(&same) - loss(&trained)).abs() < 1e-6,
        "{same} {trained}"
    );
    assert_eq!(same["models"][1]["valid"], trained["models"][1]["valid"]);

    // Four letters in another order: tokens of their own would be read as others.
    let start = json(
        &desk,
        &format!("train still.toml {PAIR} --precision f32 --out start.kgl"),
    );
    assert_eq!(start["best_epoch"], 0);
    desk.write("lines.txt", "aced\ndeaf\nface\ncafe\nabcdef\n");
    let said = |pair: &str| {
        desk.ok(&format!(
            "translate {pair}.encoder.kgl {pair}.decoder.kgl --lines lines.txt"
        ))
    };
    assert_eq!(said("start"), said("words"));

    // With steps it becomes better, also through integers only.
    let on = json(
        &desk,
        &format!("train few.toml {PAIR} --precision f32 --out on.kgl"),
    );
    assert!(loss(&on) < 0.5 * loss(&start), "{start} {on}");
    for (task, epochs) in [("few", 32), ("still", 2)] {
        let line = format!(
            "train {task}.toml {PAIR} --precision w8a8 --quantized-epochs 2 --out q.kgl --force"
        );
        let quantized = json(&desk, &line);
        let right = |name: &str| {
            let rows = quantized["models"].as_array().unwrap();
            let row = rows.iter().find(|row| row["name"] == name).unwrap();
            row["valid"].as_f64().unwrap()
        };
        assert!(right("w8a8") >= right("w8a8 rounded"), "{quantized}");
        let history = desk.text("q.history.csv");
        assert_eq!(history.lines().count(), 1 + epochs, "{history}");
        for side in ["encoder", "decoder"] {
            let seen = desk.ok(&format!("inspect q.{side}.kgl"));
            assert!(seen.contains("w8a8") && seen.contains("gru"), "{seen}");
            desk.ok(&format!("verify q.{side}.kgl"));
        }
    }
    assert!(!desk.files().iter().any(|file| file.contains("checkpoint")));
}

#[test]
fn what_an_imported_pair_has_no_token_for_is_told_by_line() {
    let (desk, _) = desk();
    rename(&desk, "words.encoder.kgl", "enc.kgl", |names| {
        names[0] = "%".into();
    });
    rename(&desk, "words.decoder.kgl", "dec.kgl", |names| {
        names[0] = "$".into();
    });
    let train = "train still.toml --precision f32 --quiet --out out.kgl";
    desk.ok(&format!("{train} --from enc.kgl --decoder dec.kgl"));
    let valid = few_letters(100);
    let wrong = |row: &str| desk.write("valid.csv", format!("{valid}{row}\n"));
    for (row, words) in [
        (
            "ace!,eca",
            [
                "valid.csv:62: column \"source\": \"!\" is no token of the encoder; expected one of %, ",
                "write \"ace!\" in these",
            ],
        ),
        (
            "ace,e-a",
            [
                "valid.csv:62: column \"target\": \"-\" is no token of the decoder; expected one of $, ",
                "take the pair out",
            ],
        ),
        (
            ",eca",
            ["valid.csv:62: column \"source\"", "nothing to read"],
        ),
    ] {
        wrong(row);
        let files = "--from enc.kgl --decoder dec.kgl";
        desk.fails(
            &format!("train still.toml {files} --precision f32 --out no.kgl"),
            1,
            &words,
        );
    }
    // One that was trained here says nothing for it, as it was trained to, and reads it as unknown.
    wrong("ace!,e-a");
    let ran = desk.succeeds(&format!("{train} {PAIR}"));
    let note =
        "valid part: 1 words or characters that the decoder cannot say are left out of answers";
    assert!(ran.err.contains(note), "{}", ran.err);
}

#[test]
fn what_is_no_pair_of_the_task_is_refused() {
    let (desk, _) = desk();
    desk.write(
        "wide.toml",
        TASK.replace("[20]", "[24]")
            .replace("epochs = 30", "epochs = 1"),
    );
    desk.ok("train wide.toml --precision f32 --quiet --out wide.kgl");
    desk.ok("train wide.toml --precision w8a8 --quiet --force --out small.kgl");
    desk.write(
        "one.toml",
        "name = \"one\"\n[text]\ntext = \"abcabcabcabcabcabcabc\"\n[shape]\nkind = \"next-token\"\nwindow = 2\n\
         [network]\nhidden = [4]\nembedding = 2\n",
    );
    let pair = |encoder: &str, decoder: &str| {
        format!("few.toml --from {encoder}.encoder.kgl --decoder {decoder}.decoder.kgl")
    };
    let swapped = "few.toml --from words.decoder.kgl --decoder words.encoder.kgl";
    let cases: [(&str, i32, &[&str]); 9] = [
        ("few.toml --decoder words.decoder.kgl", 2, &["--from"]),
        (
            "few.toml --from words.encoder.kgl",
            2,
            &["[pairs]", "--decoder DECODER.kgl"],
        ),
        (
            &format!("one.toml {PAIR}"),
            2,
            &["--decoder is for a task with [pairs]"],
        ),
        (
            &pair("words", "wide"),
            1,
            &[
                "--from words.encoder.kgl --decoder wide.decoder.kgl: ",
                "words-encoder and words-decoder are no pair: their recurrent layers differ",
            ],
        ),
        (
            swapped,
            1,
            &["the decoder: the model ends with a recurrent layer"],
        ),
        (
            &pair("small", "words"),
            1,
            &["--from small.encoder.kgl: the model is w8a8 already"],
        ),
        (
            &pair("words", "small"),
            1,
            &["--decoder small.decoder.kgl: the model is w8a8 already"],
        ),
        (
            &format!(
                "{} --from pairs.csv --decoder words.decoder.kgl",
                "few.toml"
            ),
            1,
            &["pairs.csv: not a kinglet model"],
        ),
        (
            "made.toml",
            1,
            &["train.epochs = 0 leaves a new network as it is", "--from"],
        ),
    ];
    for (arguments, code, words) in cases {
        desk.fails(&format!("train {arguments} --out out.kgl"), code, words);
    }
    // Neither model is written over.
    desk.fails(
        &format!("train few.toml {PAIR} --precision f32 --out words.kgl"),
        1,
        &["cannot write words.encoder.kgl", "which is read"],
    );
    desk.fails(
        "train few.toml --from words.encoder.kgl --decoder small.f32.decoder.kgl --precision w8a8 --out small.kgl",
        1,
        &["cannot write small.f32.decoder.kgl", "which is read"],
    );
}

#[test]
fn another_pair_goes_on_from_no_checkpoint() {
    let (desk, _) = desk();
    let mut task = Task::load(&desk.path("still.toml")).unwrap();
    task.train.epochs = 0;
    let models = ["encoder", "decoder"]
        .map(|side| package(&desk.read(&format!("words.{side}.kgl"))).unwrap());
    let checkpoint = desk.path("checkpoint");
    let trained = |[encoder, decoder]: [&Package; 2]| {
        let data = Dataset::load_for_pair(&task, [encoder, decoder]).unwrap();
        let (net, notes) = pair_for([encoder, decoder], &data).unwrap();
        assert!(notes.is_empty());
        let options = Options {
            checkpoint: Some(&checkpoint),
            resume: true,
            ..Options::default()
        };
        fit_on(net, &task, &data, &options, &mut |_| {
            ControlFlow::Continue(())
        })
    };
    let [encoder, decoder] = &models;
    let first = trained([encoder, decoder]).unwrap();
    assert_eq!(trained([encoder, decoder]).unwrap().package, first.package);
    let mut other = encoder.clone();
    if let Some(kinglet_trainer::net::Layer::Embedding(e)) = other.net.layers.first_mut() {
        e.table[0] += 0.5;
    }
    let error = trained([&other, decoder]).unwrap_err();
    assert!(
        matches!(error, FitError::Checkpoint(CheckpointError::Other { .. })),
        "{error}"
    );
}

#[test]
fn an_encoder_of_numbers_goes_on_in_whatever_units_the_new_data_has() {
    let desk = Desk::new();
    let task = "name = \"valve\"\n[pairs]\nfiles = { train = \"rows.csv\", valid = \"rows.csv\", test = \"rows.csv\" }\n\
        features = [\"flow\", \"heat\"]\ndense = [{ units = 8 }]\nvocabulary = { min_count = 1 }\n[shape]\nkind = \"next-token\"\nwindow = 6\n\
        [network]\ncell = \"lstm\"\nhidden = [12]\nembedding = 6\n[train]\nlearning_rate = 0.02\nbatch = 8\nepochs = 60\n";
    let rows = |shift: f64| {
        let mut rows = "flow,heat,target\n".to_owned();
        for k in 0..40 {
            let fast = k % 2 == 1;
            let flow = 200.0 + if fast { shift } else { 0.0 } + f64::from(k) / 4.0;
            let heat = 0.02 + 0.02 * f64::from(k / 2 % 2);
            let said = if fast { "flows fast" } else { "hardly flows" };
            let heated = if heat > 0.03 { " and is hot" } else { "" };
            writeln!(rows, "{flow},{heat},{said}{heated}").unwrap();
        }
        rows
    };
    desk.write("valve.toml", task);
    desk.write("rows.csv", rows(100.0));
    desk.write("first.csv", rows(100.0));
    desk.ok("train valve.toml --precision f32 --quiet --out valve.kgl");
    desk.write("rows.csv", rows(300.0));
    desk.write("still.toml", task.replace("epochs = 60", "epochs = 0"));
    let pair = "--from valve.encoder.kgl --decoder valve.decoder.kgl";
    desk.ok(&format!(
        "train still.toml {pair} --precision f32 --quiet --out same.kgl"
    ));
    let said = |pair: &str| {
        desk.ok(&format!(
            "translate {pair}.encoder.kgl {pair}.decoder.kgl --csv first.csv"
        ))
    };
    assert_eq!(said("same"), said("valve"));
    assert_ne!(
        desk.read("same.encoder.kgl"),
        desk.read("valve.encoder.kgl")
    );

    desk.write(
        "turned.toml",
        task.replace("\"flow\", \"heat\"", "\"heat\", \"flow\""),
    );
    desk.fails(
        &format!("train turned.toml {pair} --out out.kgl"),
        1,
        &["the encoder: input 1 is \"flow\" in the model and \"heat\" in the task"],
    );
    desk.write(
        "texts.toml",
        TASK.replace(MADE, "made = { kind = \"dates\", pairs = [20, 5, 5] }"),
    );
    desk.fails_after_notes(
        &format!("train texts.toml {pair} --out out.kgl"),
        1,
        &["the encoder: the model takes 2 measurements, and the task"],
    );
}
