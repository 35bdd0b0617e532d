//! Transcripts: the loss against PyTorch, and a model that is trained, rounded, asked and told about as a user would.

mod desk;

use desk::Desk;
use kinglet_trainer::net::{Activation, Layer};
use kinglet_trainer::train::ctc::{BEYOND, NOTHING};
use kinglet_trainer::train::init::{LayerPlan, Rng, expect_blanks, network};
use kinglet_trainer::train::loss::{Loss, Objective};
use serde::Deserialize;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A case of `ctc/make.py`.
#[derive(Deserialize)]
struct Case {
    lengths: Vec<usize>,
    transcripts: Vec<Vec<usize>>,
    classes: usize,
    logits: Vec<f64>,
    loss: f64,
    every: usize,
    gradient: Vec<f64>,
}

#[test]
fn loss_and_gradient_are_those_of_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ctc/golden.json");
    let cases: Vec<Case> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let (lanes, width) = (case.lengths.len(), case.classes);
        let mut p = case.logits.clone();
        for row in p.chunks_exact_mut(width) {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter_mut().for_each(|x| *x = x.exp() / sum);
        }
        let mut goal = vec![f64::from(NOTHING); p.len() / width];
        for (lane, (steps, tokens)) in case.lengths.iter().zip(&case.transcripts).enumerate() {
            for (t, goal) in goal.iter_mut().skip(lane).step_by(lanes).enumerate() {
                if let Some(&token) = tokens.get(t) {
                    *goal = token as f64;
                }
                if t >= *steps {
                    *goal = f64::from(BEYOND);
                }
            }
        }
        let ctc = Objective::from(Loss::Ctc);
        let loss = ctc.value(&p, &goal, (lanes, width));
        assert!(
            (loss / case.loss - 1.0).abs() < 1e-10,
            "{loss} {}",
            case.loss
        );
        let mut dy = vec![0.0; p.len()];
        ctc.gradient((&p, &goal), (lanes, width), 1.0, &mut dy);
        for (k, expected) in case.gradient.iter().enumerate() {
            let found = dy[k * case.every];
            assert!((found - expected).abs() < 1e-9, "{k}: {found} {expected}");
        }
    }
}

#[test]
fn a_fresh_network_expects_as_many_blanks_as_there_are() {
    let plan = [LayerPlan::Dense(4, Activation::Softmax)];
    let mut net = network(2, &plan, &mut Rng::new(1));
    let Layer::Dense(last) = &mut net.layers[0] else {
        unreachable!()
    };
    last.bias.fill(0.0);
    expect_blanks(&mut net, 200, 30);
    let Layer::Dense(last) = &net.layers[0] else {
        unreachable!()
    };
    let all: f32 = last.bias.iter().map(|b| b.exp()).sum();
    let p: Vec<f32> = last.bias.iter().map(|b| b.exp() / all).collect();
    for (p, expected) in p.iter().zip([0.85, 0.05, 0.05, 0.05]) {
        assert!((p - expected).abs() < 1e-6, "{p} {expected}");
    }
}

/// Three signs that a sensor of two axes draws, one to five in a sheet, at any speed and with pauses of any length between them.
fn signs(sheets: usize) -> String {
    let mut state = 7u32;
    let mut draw = |n: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % n
    };
    let mut csv = String::from("sheet,x,y,signs\n");
    for sheet in 0..sheets {
        let said: Vec<u32> = (0..1 + draw(5)).map(|_| draw(3)).collect();
        let text: String = said
            .iter()
            .map(|&sign| ["up", "down", "round"][sign as usize])
            .collect::<Vec<_>>()
            .join(" ");
        let pause = |csv: &mut String, draw: &mut dyn FnMut(u32) -> u32| {
            for _ in 0..2 + draw(5) {
                let noise = [draw(100), draw(100)].map(|n| f64::from(n) / 500.0 - 0.1);
                writeln!(csv, "s{sheet},{:.3},{:.3},{text}", noise[0], noise[1]).unwrap();
            }
        };
        pause(&mut csv, &mut draw);
        for sign in said {
            let steps = 4 + draw(5);
            for t in 0..steps {
                let turn = f64::from(t) / f64::from(steps) * std::f64::consts::TAU;
                let [x, y] = match sign {
                    0 => [0.0, (turn / 2.0).sin()],
                    1 => [0.0, -(turn / 2.0).sin()],
                    _ => [turn.sin(), 1.0 - turn.cos()],
                };
                let noise = [draw(100), draw(100)].map(|n| f64::from(n) / 500.0 - 0.1);
                writeln!(
                    csv,
                    "s{sheet},{:.3},{:.3},{text}",
                    x + noise[0],
                    y + noise[1]
                )
                .unwrap();
            }
            pause(&mut csv, &mut draw);
        }
    }
    csv
}

const TASK: &str = "name = \"signs\"\n[csv]\nfile = \"signs.csv\"\n[series]\nfeatures = [\"x\", \"y\"]\ngroup = \"sheet\"\n\
    transcript = { column = \"signs\" }\nsplit = { groups = [160, 20, 40] }\n[shape]\nkind = \"many-to-many\"\n\
    [network]\ncell = \"gru\"\nhidden = [16]\n[train]\nepochs = 30\nlearning_rate = 0.01\nschedule = \"cosine\"\nbatch = 16\n\
    [train.quantized]\nepochs = 3\n";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("signs.csv", signs(220));
    desk.write("signs.toml", TASK);
    desk
}

/// Lines of two columns below a header.
fn pairs(csv: &str) -> Vec<(&str, &str)> {
    csv.lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .collect()
}

#[test]
fn signs_are_heard_in_every_format_at_once_and_as_they_come() {
    let desk = desk();
    let told = desk.ok("train signs.toml --precision w8a8 --out signs.kgl");
    for expected in ["token error rate", "commonest transcript"] {
        assert!(told.contains(expected), "{told}");
    }

    // What was said in the test part, of which there are 40 sheets.
    let csv = signs(220);
    let mut said: Vec<(String, String)> = Vec::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if said.last().is_none_or(|(sheet, _)| sheet != fields[0]) {
            said.push((fields[0].to_owned(), fields[3].to_owned()));
        }
    }
    let right = |csv: &str| {
        let heard = pairs(csv);
        assert_eq!(heard.len(), 220);
        let same = heard.iter().zip(&said).skip(180);
        same.filter(|(heard, said)| **heard == (&said.0[..], &said.1[..]))
            .count()
    };
    let whole = desk.ok("predict signs.kgl --csv signs.csv");
    assert!(whole.starts_with("sheet,transcript\n"), "{whole}");
    let greedy = right(&whole);
    assert!(greedy >= 36, "{greedy} of 40");
    let beam = right(&desk.ok("predict signs.kgl --csv signs.csv --beam 6"));
    assert!(beam + 1 >= greedy, "{beam} {greedy}");
    let rounded =
        "quantize signs.f32.kgl --precision w4a8 --calibrate signs.csv --force --out w4.kgl";
    let ran = desk.succeeds(rounded);
    let told = ran.out + &ran.err;
    assert!(
        told.contains("the likeliest class is another one in"),
        "{told}"
    );
    let rounded = right(&desk.ok("predict w4.kgl --csv signs.csv"));
    assert!(rounded >= 25, "{rounded} of 40");

    // A token a line, and together they are the transcripts.
    let live = desk.run_on("predict signs.kgl --csv - --json", &csv);
    assert_eq!(live.code, Some(0), "{}", live.err);
    let mut tokens: Vec<(String, Vec<String>)> = Vec::new();
    let mut before = (String::new(), 0);
    for line in live.out.lines() {
        let token: serde_json::Value = serde_json::from_str(line).unwrap();
        let sheet = token["sheet"].as_str().unwrap().to_owned();
        let row = token["row"].as_u64().unwrap();
        assert!(before.0 != sheet || before.1 < row, "{line}");
        before = (sheet.clone(), row);
        if tokens.last().is_none_or(|(last, _)| *last != sheet) {
            tokens.push((sheet, Vec::new()));
        }
        let text = token["token"].as_str().unwrap().to_owned();
        tokens.last_mut().unwrap().1.push(text);
    }
    let joined: Vec<(String, String)> = tokens
        .into_iter()
        .map(|(sheet, t)| (sheet, t.join(" ")))
        .collect();
    let spoken: Vec<(&str, &str)> = pairs(&whole)
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .collect();
    assert_eq!(joined.len(), spoken.len());
    for ((sheet, text), whole) in joined.iter().zip(spoken) {
        assert_eq!((&sheet[..], &text[..]), whole);
    }

    desk.ok("report signs.toml --model signs.f32.kgl --with signs.kgl --out signs.html");
    let page = desk.text("signs.html");
    for expected in [
        "Transcripts",
        "token error rate",
        "commonest transcript",
        "nobody said",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let inspected = desk.ok("inspect signs.kgl");
    assert!(
        inspected.contains("transcripts of down round up"),
        "{inspected}"
    );
    desk.ok("verify signs.kgl");

    let refused = [
        ("predict signs.kgl --csv - --beam 4", "at the end only"),
        (
            "predict signs.kgl --csv signs.csv --state-out s.bin",
            "--state-in",
        ),
        ("predict signs.kgl --csv signs.csv --keep x", "--keep"),
        (
            "backtest signs.kgl w4.kgl --data signs.csv",
            "kinglet report",
        ),
    ];
    for (arguments, words) in refused {
        let ran = desk.run(arguments);
        assert!(
            ran.code != Some(0) && ran.err.contains(words),
            "{arguments}: {}",
            ran.err
        );
    }
}

#[test]
fn what_cannot_be_heard_is_refused_with_a_cure() {
    let desk = desk();
    let fails = |task: &str, csv: &str, words: &str| {
        desk.write("t.toml", task);
        desk.write("signs.csv", csv);
        let ran = desk.run("train t.toml --out t.kgl");
        assert!(
            ran.code != Some(0) && ran.err.contains(words),
            "{words}: {}",
            ran.err
        );
    };
    let csv = signs(220);
    let without = |key: &str, other: &str| {
        assert!(TASK.contains(key));
        TASK.replace(key, other)
    };
    let alone =
        without("group = \"sheet\"\n", "").replace("split = { groups = [160, 20, 40] }\n", "");
    fails(&alone, &csv, ": series.group: is missing");
    fails(
        &without(
            "{ groups = [160, 20, 40] }",
            "{ per_group = [0.7, 0.1, 0.2] }",
        ),
        &csv,
        "in one part as a whole",
    );
    fails(
        &without("\"many-to-many\"", "\"many-to-one\"\nwindow = 4"),
        &csv,
        "a transcript is heard along the rows",
    );
    fails(
        &without("batch = 16", "batch = 16\nloss = \"mse\""),
        &csv,
        "ctc is the loss of transcripts",
    );
    fails(
        &without("[160, 20, 40]", "[220, 0, 0]"),
        &csv,
        "the valid part has no group that can be used",
    );
    let (head, rest) = csv.split_at(csv.find("\ns0,").unwrap() + 1);
    let end = rest.find('\n').unwrap();
    let text = rest[..end].rsplit(',').next().unwrap();
    let other = format!("{head}{} left{}", &rest[..end], &rest[end..]);
    fails(
        TASK,
        &other,
        &format!("signs.csv:3: column \"signs\": \"{text}\", where the rows"),
    );
    let (mut before, mut unknown) = (String::new(), String::new());
    for line in csv.lines() {
        let sheet = line.split(',').next().unwrap_or("");
        before = sheet.to_owned();
        unknown += line;
        unknown += if sheet == "s219" { " left\n" } else { "\n" };
    }
    assert_eq!(before, "s219");
    fails(
        TASK,
        &unknown,
        "\"left\" is in no transcript of the training part",
    );
}
