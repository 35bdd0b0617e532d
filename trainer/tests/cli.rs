//! The built binary, as a user runs it.

mod desk;
#[allow(dead_code, reason = "only the flags are needed here")]
mod shown;

use desk::{Desk, Ran};
use kinglet::format::{PREAMBLE_LEN, file_crc};
use safetensors::SafeTensors;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn engine_tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../engine/tests")
        .join(path)
}

impl Desk {
    /// Brings a golden network along as `NAME.safetensors` with `NAME.csv`.
    fn golden(&self, name: &str) -> Golden {
        let path = engine_tests("golden").join(format!("{name}.safetensors"));
        let bytes = fs::read(path).unwrap();
        self.write(&format!("{name}.safetensors"), &bytes);
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let flags = header.metadata().as_ref().unwrap()["import"].clone();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let rows = |name: &str| -> Vec<Vec<f32>> {
            let view = file.tensor(name).unwrap();
            let width = view.shape().get(1).copied().unwrap_or(1);
            let values = view.data().as_chunks().0.iter();
            let values: Vec<f32> = values.map(|b| f32::from_le_bytes(*b)).collect();
            values.chunks(width).map(<[f32]>::to_vec).collect()
        };
        let (inputs, outputs) = (rows("__input__"), rows("__output__"));
        let names: Vec<String> = if file.tensor("__input__").unwrap().shape().len() == 1 {
            vec!["token".into()]
        } else {
            (0..inputs[0].len()).map(|i| format!("x{i}")).collect()
        };
        let csv = format!("{}\n{}", names.join(","), lines(&inputs));
        self.write(&format!("{name}.csv"), csv);
        Golden {
            flags,
            inputs,
            outputs,
        }
    }

    /// A golden network as `NAME.kgl`.
    fn imported(&self, name: &str) -> Golden {
        let golden = self.golden(name);
        let flags = &golden.flags;
        self.ok(&format!(
            "import {name}.safetensors {flags} --out {name}.kgl"
        ));
        golden
    }
}

struct Golden {
    flags: String,
    inputs: Vec<Vec<f32>>,
    outputs: Vec<Vec<f32>>,
}

fn lines(rows: &[Vec<f32>]) -> String {
    let line = |row: &Vec<f32>| {
        let fields: Vec<String> = row.iter().map(f32::to_string).collect();
        fields.join(",") + "\n"
    };
    rows.iter().map(line).collect()
}

/// Header and numbers of a table.
fn table(text: &str) -> (&str, Vec<Vec<f32>>) {
    let (header, rows) = text.split_once('\n').unwrap();
    let row = |line: &str| line.split(',').map(|f| f.parse().unwrap()).collect();
    (header, rows.lines().map(row).collect())
}

#[test]
fn import_verify_predict_gives_pytorchs_outputs() {
    for name in [
        "lstm_2_7x13",
        "gru_1_5x17",
        "gru_before_3_3x5",
        "rnn_relu_2_7x13",
        "mixed_cells",
        "head_softmax",
        "embedding_gru",
        "embedding_lstm_softmax",
    ] {
        let desk = Desk::new();
        let golden = desk.imported(name);
        let verified = desk.ok(&format!("verify {name}.kgl"));
        assert!(verified.contains("f32 model, 24 test steps"), "{verified}");
        assert!(
            verified.contains("scalar") && !verified.contains("FAILED"),
            "{verified}"
        );
        let text = desk.ok(&format!("predict {name}.kgl --raw --csv {name}.csv"));
        let (_, outputs) = table(&text);
        assert_eq!(outputs.len(), golden.outputs.len(), "{name}");
        for (step, (found, want)) in outputs.iter().zip(&golden.outputs).enumerate() {
            for (k, (a, b)) in found.iter().zip(want).enumerate() {
                assert!(
                    (a - b).abs() < 1e-5,
                    "{name} step {step} output {k}: {a}, {b}"
                );
            }
        }
    }
}

#[test]
fn every_kernel_table_gives_the_same_bytes() {
    let desk = Desk::new();
    let flags = desk.golden("lstm_2_7x13").flags;
    desk.ok(&format!(
        "import lstm_2_7x13.safetensors {flags} --precision w8a8 --calibrate lstm_2_7x13.csv --out q.kgl"
    ));
    let best = desk.ok("predict q.kgl --csv lstm_2_7x13.csv");
    for kernels in kinglet::kernel::Kernels::available() {
        let name = kernels.name();
        let found = desk.ok(&format!(
            "predict q.kgl --csv lstm_2_7x13.csv --kernels {name}"
        ));
        assert_eq!(found, best, "{name}");
    }
    let ran = desk.run("predict q.kgl --csv lstm_2_7x13.csv --kernels abacus");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("scalar"), "{}", ran.err);
}

#[test]
fn mixed_precision_keeps_to_its_budget_and_shows_what_it_could_have() {
    let desk = Desk::new();
    desk.imported("lstm_2_7x13");
    let mixed =
        "quantize lstm_2_7x13.kgl --precision mixed --calibrate lstm_2_7x13.csv --out m.kgl";
    let text = desk.ok(&format!(
        "{mixed} --core cortex-m4 --max-flash 1M --curve curve.csv"
    ));
    let curve = fs::read_to_string(desk.path("curve.csv")).unwrap();
    let rows: Vec<Vec<&str>> = curve.lines().map(|row| row.split(',').collect()).collect();
    assert_eq!(
        rows[0],
        ["flash", "cycles", "rms_from_f32", "formats", "chosen"]
    );
    assert!(
        rows.len() > 4 && text.lines().count() == rows.len() + 6,
        "{text}"
    );
    let numbers = |k: usize| {
        rows[1..]
            .iter()
            .map(move |row| row[k].parse::<f64>().unwrap())
    };
    let (smallest, fastest) = (
        numbers(0).fold(f64::MAX, f64::min),
        numbers(1).fold(f64::MAX, f64::min),
    );
    assert_eq!(rows[1][3], "w4a8 w4a8 w4a8");
    assert_eq!(numbers(4).sum::<f64>(), 1.0);

    let budget = (smallest + numbers(0).fold(0.0, f64::max)) as usize / 2;
    desk.ok(&format!("{mixed} --max-flash {budget}"));
    assert!(fs::metadata(desk.path("m.kgl")).unwrap().len() as usize <= budget);
    assert!(desk.ok("inspect m.kgl").contains("format    mixed"));
    desk.ok("verify m.kgl");

    fs::remove_file(desk.path("m.kgl")).unwrap();
    for (options, code, words) in [
        ("", 2, &["--max-flash SIZE", "--max-cycles N"][..]),
        (
            "--max-flash 1000",
            1,
            &["too small", "the smallest model takes"],
        ),
        (
            &format!("--core cortex-m4 --max-cycles {}", fastest as usize - 1),
            1,
            &["too small", "the fastest model takes"],
        ),
        ("--max-cycles 9000", 2, &["--core"]),
        (
            "--core z80 --max-cycles 9000",
            2,
            &["cortex-m0plus", "rv32imc"],
        ),
        ("--max-flash 6q", 2, &["16K"]),
        (
            "--for cortex-m55 --core cortex-m4 --max-cycles 90000",
            2,
            &[
                "not what Cortex-M4 runs",
                "--for cortex-m4 for --core cortex-m4",
            ],
        ),
    ] {
        desk.fails(&format!("{mixed} {options}"), code, words);
    }
    let plain = mixed.replace("mixed", "w8a8");
    desk.fails(
        &format!("{plain} --max-flash 1M"),
        2,
        &["--precision mixed"],
    );
}

#[test]
fn quantize_shrinks_and_says_what_it_cost() {
    let desk = Desk::new();
    let golden = desk.imported("lstm_1_5x17");
    let quantize = |precision: &str, force: &str| {
        format!(
            "quantize lstm_1_5x17.kgl --precision {precision} --calibrate lstm_1_5x17.csv --out q.kgl{force}"
        )
    };
    // Four bits are held to what holds for the others.
    let cures = [
        "the outputs in w4a8 differ from those in f32 by 6.",
        "--precision w8a8",
        "--quantized-epochs",
        "--force",
    ];
    let refused = desk.run(&quantize("w4a8", ""));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        cures.iter().all(|cure| refused.err.contains(cure)),
        "{}",
        refused.err
    );
    assert!(!desk.files().contains(&"q.kgl".to_owned()));
    for (precision, bound, force) in [
        ("f16", 0.01, ""),
        ("w8a16", 0.03, ""),
        ("w4a8", 0.5, " --force"),
        ("w8a8", 0.1, ""),
    ] {
        let text = desk.ok(&quantize(precision, force));
        let rows: Vec<&str> = text.lines().collect();
        assert!(
            rows[0].contains("difference from f32 over 80 outputs"),
            "{text}"
        );
        assert!(
            rows[1].starts_with("f32 ") && rows[2].starts_with(precision),
            "{text}"
        );
        let size = |row: &str| -> usize { row.split_whitespace().nth(1).unwrap().parse().unwrap() };
        assert!(size(rows[2]) < size(rows[1]), "{text}");
        assert_eq!(size(rows[2]), desk.read("q.kgl").len(), "{text}");
        let rms = rows[2].split("RMS ").nth(1).unwrap();
        let rms: f32 = rms.split(' ').next().unwrap().parse().unwrap();
        let outputs = table(&desk.ok("predict q.kgl --csv lstm_1_5x17.csv")).1;
        let pairs = outputs
            .iter()
            .flatten()
            .zip(golden.outputs.iter().flatten());
        let error = pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>() / 80.0;
        assert!((rms - error.sqrt()).abs() < 1e-4, "{rms} {}", error.sqrt());
        assert!(rms < bound, "{text}");
    }
    desk.fails(
        "quantize q.kgl --precision w8a16 --calibrate lstm_1_5x17.csv --out again.kgl",
        1,
        &["w8a8 already", "quantize the f32 model"],
    );
}

#[test]
fn a_file_for_any_cpu_gives_the_same_predictions() {
    let desk = Desk::new();
    desk.imported("lstm_1_5x17");
    let layouts = [
        ("portable", "portable"),
        ("x86", "portable"),
        ("riscv32", "portable"),
        ("cortex-m0", "cortex-m0"),
        ("cortex-m33", "cortex-m4"),
        ("cortex-m4", "cortex-m4"),
        ("cortex-m55", "cortex-m55"),
    ];
    for precision in ["w8a8", "w8a16", "w4a8"] {
        let predictions = layouts.map(|(cpu, layout)| {
            desk.ok(&format!(
                "quantize lstm_1_5x17.kgl --precision {precision} --for {cpu} --calibrate lstm_1_5x17.csv --out q.kgl --force"
            ));
            let inspected = desk.ok("inspect q.kgl");
            assert!(inspected.contains(layout), "--for {cpu}: {inspected}");
            desk.ok("predict q.kgl --csv lstm_1_5x17.csv")
        });
        for (prediction, (cpu, _)) in predictions.iter().zip(layouts) {
            assert_eq!(*prediction, predictions[0], "{precision} --for {cpu}");
        }
    }
}

#[test]
fn standard_input_is_answered_line_by_line() {
    let desk = Desk::new();
    let golden = desk.imported("gru_1_5x17");
    let mut child = desk
        .command("predict gru_1_5x17.kgl --csv -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    writeln!(input, "x4,x3,x2,x1,x0").unwrap();
    assert_eq!(output.next().unwrap().unwrap(), "y0,y1");
    for (sample, want) in golden.inputs.iter().zip(&golden.outputs) {
        let reversed: Vec<f32> = sample.iter().rev().copied().collect();
        input.write_all(lines(&[reversed]).as_bytes()).unwrap();
        // The input is still open: this hangs if lines are held back.
        let line = output.next().unwrap().unwrap();
        for (a, b) in line.split(',').zip(want) {
            assert!(
                (a.parse::<f32>().unwrap() - b).abs() < 1e-5,
                "{line} {want:?}"
            );
        }
    }
    drop(input);
    assert!(output.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let desk = Desk::new();
    desk.imported("gru_1_5x17");
    let text = String::from_utf8(desk.read("gru_1_5x17.csv")).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    desk.write("long.csv", format!("{header}\n{}", rows.repeat(2000)));
    let mut child = desk
        .command("predict gru_1_5x17.kgl --csv long.csv")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn a_stream_in_two_parts_is_the_whole_stream() {
    let desk = Desk::new();
    let flags = desk.golden("gru_2_7x13").flags;
    desk.ok(&format!(
        "import gru_2_7x13.safetensors {flags} --precision w8a16 --calibrate gru_2_7x13.csv --out q.kgl"
    ));
    let text = String::from_utf8(desk.read("gru_2_7x13.csv")).unwrap();
    let all: Vec<&str> = text.lines().collect();
    desk.write("a.csv", all[..18].join("\n"));
    desk.write("b.csv", [&all[..1], &all[18..]].concat().join("\n"));
    let whole = desk.ok("predict q.kgl --csv gru_2_7x13.csv --state-out whole.bin");
    let a = desk.ok("predict q.kgl --csv a.csv --state-out half.bin");
    let b = desk.ok("predict q.kgl --csv b.csv --state-in half.bin --state-out end.bin");
    let (_, b) = b.split_once('\n').unwrap();
    assert_eq!(format!("{a}{b}"), whole);
    assert_eq!(desk.read("whole.bin"), desk.read("end.bin"));
    // 17 rows, of which every second is left out, so the first of the rest is, too.
    let whole = desk.ok("predict q.kgl --csv gru_2_7x13.csv --every 2");
    let a = desk.ok("predict q.kgl --csv a.csv --every 2 --state-out every.bin");
    let b = desk.ok("predict q.kgl --csv b.csv --every 2 --state-in every.bin");
    let (_, b) = b.split_once('\n').unwrap();
    assert_eq!(format!("{a}{b}"), whole);
    desk.fails(
        "predict q.kgl --csv b.csv --every 3 --state-in every.bin",
        1,
        &["saved with --every 2, now there is --every 3"],
    );

    // Worn flash: a bit in the middle of the state.
    let mut worn = desk.read("half.bin");
    let middle = worn.len() / 2;
    worn[middle] ^= 0x10;
    desk.write("worn.bin", worn);
    desk.fails(
        "predict q.kgl --csv b.csv --state-in worn.bin",
        1,
        &["worn.bin", "damaged"],
    );

    desk.imported("gru_1_5x17");
    desk.fails(
        "predict gru_1_5x17.kgl --csv gru_1_5x17.csv --state-in half.bin",
        1,
        &[
            "half.bin",
            "belongs to the model with checksum",
            "this very model",
        ],
    );
    desk.fails(
        "predict q.kgl --csv a.csv --state-in a.csv",
        1,
        &["a.csv", "not a saved kinglet state"],
    );
    desk.fails(
        "predict q.kgl --csv a.csv --state-in missing.bin",
        1,
        &["missing.bin: cannot be read"],
    );
}

#[test]
fn reset_every_starts_anew() {
    let desk = Desk::new();
    let golden = desk.imported("lstm_1_1x1");
    desk.write("one.csv", format!("x0\n{}", lines(&golden.inputs[..10])));
    desk.write(
        "twice.csv",
        format!(
            "x0\n{}",
            lines(&[&golden.inputs[..10], &golden.inputs[..10]].concat())
        ),
    );
    let one = desk.ok("predict lstm_1_1x1.kgl --csv one.csv");
    let twice = desk.ok("predict lstm_1_1x1.kgl --csv twice.csv --reset-every 10");
    let (_, rows) = one.split_once('\n').unwrap();
    assert_eq!(twice, format!("{one}{rows}"));
}

#[test]
fn answers_keep_columns_of_their_rows_and_come_as_json() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("steps.toml", TASK.replace("many-to-one", "many-to-many"));
    desk.ok("train steps.toml --out steps.kgl --quiet");
    let rows = pump(20);
    let (header, rows) = rows.split_once('\n').unwrap();
    let mut all = format!("unit,\"seen, by\",{header}\n");
    for (k, row) in rows.lines().enumerate() {
        all += &format!("{},\"Ann, Bo {k}\",{row}\n", ["a", "b"][k % 2]);
    }
    desk.write("all.csv", all);
    let plain = desk.ok("predict steps.kgl --csv all.csv --group unit");
    let kept = desk.ok("predict steps.kgl --csv all.csv --group unit --keep minute");
    assert_eq!(
        desk.ok("predict steps.kgl --csv all.csv --group unit --keep unit,minute"),
        kept
    );
    let minutes = kept
        .lines()
        .zip(plain.lines())
        .enumerate()
        .skip(1)
        .map(|(k, (kept, plain))| {
            let (unit, prediction) = plain.split_once(',').unwrap();
            assert_eq!(kept, format!("{unit},{},{prediction}", k - 1));
        });
    assert_eq!(minutes.count(), 20);
    // What is predicted and what was there do not share a name; a name with a comma is one name.
    let output = plain.lines().next().unwrap().strip_prefix("unit,").unwrap();
    let ran: Ran = desk
        .command("predict steps.kgl --csv all.csv --json --keep")
        .arg(format!("{output},seen, by"))
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let alone = desk.ok("predict steps.kgl --csv all.csv");
    let (_, numbers) = table(&alone);
    for (k, (line, number)) in ran.out.lines().zip(&numbers).enumerate() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["seen, by"], format!("Ann, Bo {k}"));
        let predicted = object[format!("predicted {output}")].as_f64().unwrap();
        assert_eq!(predicted as f32, number[0], "{line}");
        assert!(object[output].is_string(), "{line}");
    }
    assert_eq!(ran.out.lines().count(), 20);
    desk.fails(
        "predict steps.kgl --csv all.csv --keep minuet",
        2,
        &["--keep: no column \"minuet\"", "did you mean \"minute\""],
    );

    let model = fs::read(engine_tests("models/tokens_w8a8.kgl")).unwrap();
    desk.write("tokens.kgl", model);
    desk.write("tokens.csv", "trial,token\n1,0\n1,2\n");
    let out = desk.ok("predict tokens.kgl --csv tokens.csv --keep token");
    let firsts: Vec<&str> = out
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(firsts, ["token", "0", "2"]);
}

/// The numbers of `--json` are those of the text.
#[test]
fn results_come_as_json() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    let json = |arguments: &str| -> serde_json::Value {
        serde_json::from_str(&desk.ok(arguments)).unwrap()
    };
    let text = desk.ok("train pump.toml --out pump.kgl --quiet");
    let trained = json("train pump.toml --out pump.kgl --quiet --json");
    let rows = [&trained["rules"], &trained["models"]].map(|rows| rows.as_array().unwrap());
    assert_eq!(trained["models"][1]["name"], "w8a16");
    for row in rows.into_iter().flatten() {
        let shown = text
            .lines()
            .find(|line| line.starts_with(row["name"].as_str().unwrap()));
        for part in ["train", "valid", "test"] {
            let rmse = row[part]["values"][0]["rmse"].as_f64().unwrap();
            assert!(
                shown.unwrap().contains(&format!("  {rmse:>9.5}")),
                "{row}: {shown:?}"
            );
        }
    }
    let size = |name: &str| desk.read(name).len();
    assert_eq!(trained["models"][1]["file_bytes"], size("pump.kgl"));
    assert_eq!(trained["files"][0], "pump.f32.kgl");

    let quantize = "quantize pump.f32.kgl --precision w8a8 --calibrate pump.csv --out q.kgl";
    let text = desk.ok(quantize);
    let made = json(&format!("{quantize} --json"));
    let difference = &made["difference"];
    let (rms, share) = (
        difference["rms"].as_f64().unwrap(),
        difference["share"].as_f64().unwrap(),
    );
    let shown = format!("RMS {rms:.6} ({:.2} % of the spread)", 100.0 * share);
    assert!(text.contains(&shown), "{shown}: {text}");
    assert_eq!(made["after"]["file_bytes"], size("q.kgl"));

    let page = json("report pump.toml --model pump.f32.kgl --with pump.kgl --out page.html --json");
    let figures = page["figures"].as_array().unwrap();
    let named = |name: &str| {
        figures
            .iter()
            .find(|figure| figure["name"] == name)
            .unwrap()
    };
    assert_eq!(named("w8a16")["metrics"], named("pump.kgl")["metrics"]);
    assert_eq!(named("w8a16")["metrics"], trained["models"][1]["test"]);
    assert_eq!(named("f32")["metrics"], trained["models"][0]["test"]);
    assert_eq!(
        (&page["part"], &named("f32")["from_f32"]),
        (&"test".into(), &0.0.into())
    );
}

/// The heat follows a plan that is known beforehand, and by nothing else can it be told.
#[test]
fn what_is_known_ahead_enters_as_it_is_in_the_row_that_is_predicted() {
    let desk = Desk::new();
    let plan = |k: u64| (k * k * 7919 + k * 31) % 101;
    let row = |unit: &str, k: u64| format!("{unit},{},{:.2}\n", plan(k), 3.0 * plan(k) as f64);
    let mut rows = String::from("unit,plan,heat\n");
    for k in 0..300 {
        rows += &row("a", k);
        rows += &row("b", k + 1000);
    }
    desk.write("k.csv", &rows);
    let task = |known: &str| {
        format!(
            "name = \"k\"\n[csv]\nfile = \"k.csv\"\n[series]\ngroup = \"unit\"\nfeatures = [\"heat\", {{ column = \"plan\"{known} }}]\n\
             targets = [\"heat\"]\n[shape]\nkind = \"many-to-many\"\nwindow = 12\nhorizon = 3\n[network]\ncell = \"gru\"\nhidden = [12]\n\
             [train]\nepochs = 40\nbatch = 4\nlearning_rate = 0.01\n[output]\nprecision = \"w8a16\"\n"
        )
    };
    let error = |known: &str| -> f64 {
        desk.write("k.toml", task(known));
        let trained = desk.ok("train k.toml --out k.kgl --quiet --json");
        let trained: serde_json::Value = serde_json::from_str(&trained).unwrap();
        trained["models"][1]["test"]["values"][0]["rmse"]
            .as_f64()
            .unwrap()
    };
    let (without, with) = (error(""), error(", known = true"));
    // The plan's spread is 29, three times of which is the heat's.
    assert!(without > 60.0 && with < 15.0, "{without} {with}");
    assert!(desk.ok("inspect k.kgl").contains("plan+3"));

    // `predict` reads ahead: the last three rows of every group wait for what is not there.
    let ran = desk.run("predict k.kgl --csv k.csv --group unit --keep heat");
    assert!(
        ran.err
            .contains("6 rows have no answer, as what is known 3 rows ahead"),
        "{}",
        ran.err
    );
    let own: Vec<&str> = ran.out.lines().collect();
    assert_eq!(own.len(), 1 + 2 * 297);
    let first: Vec<&str> = own[1].split(',').collect();
    assert_eq!(first[..2], ["a", &format!("{:.2}", 3.0 * plan(0) as f64)]);
    // A table, or a device, that has the plan's values beside the row.
    let mut given = String::from("unit,heat,plan+3\n");
    for k in 0..297 {
        given += &format!(
            "a,{:.2},{}\nb,{:.2},{}\n",
            3.0 * plan(k) as f64,
            plan(k + 3),
            3.0 * plan(k + 1000) as f64,
            plan(k + 1003)
        );
    }
    desk.write("given.csv", given);
    assert_eq!(
        desk.ok("predict k.kgl --csv given.csv --group unit --keep heat"),
        ran.out
    );
    // What is only planned has no heat yet.
    let cut: Vec<&str> = rows.lines().take(1 + 2 * 100).collect();
    let ahead = (100..103).map(|k| format!("a,{},\nb,{},\n", plan(k), plan(k + 1000)));
    desk.write(
        "cut.csv",
        cut.join("\n") + "\n" + &ahead.collect::<String>(),
    );
    let cut = desk.ok("predict k.kgl --csv cut.csv --group unit --keep heat");
    assert!(cut.lines().eq(own[..=200].iter().copied()), "{cut}");

    desk.write(
        "k.toml",
        task(", known = true").replace("horizon = 3", "horizon = 0"),
    );
    desk.fails(
        "train k.toml --out k.kgl",
        1,
        &["k.toml:6", "nothing ahead is predicted"],
    );
}

#[test]
fn text_among_numbers_is_answered_with_what_it_may_be() {
    let desk = Desk::new();
    let wind = |k: usize| ["north", "south"][k % 2];
    let rows = |k: usize| format!("2026-03-01 {:02}:00,{},{k}\n", k % 24, wind(k));
    let rows: String = (0..300).map(rows).collect();
    desk.write("w.csv", format!("at,wind,x\n{rows}"));
    for (column, words) in [
        (
            "wind",
            "{ column = \"wind\", categories = [\"north\", \"…\"] }",
        ),
        ("at", "hour_sin(at), weekday_sin(at) or elapsed(at)"),
    ] {
        let task = TASK
            .replace("pump.csv", "w.csv")
            .replace("\"load\"", &format!("{column:?}"));
        desk.write("w.toml", task.replace("temperature", "x"));
        desk.fails("train w.toml --out w.kgl --quiet", 1, &["w.csv:2", words]);
    }
}

#[test]
fn groups_in_one_file_are_predicted_as_files_of_their_own() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    desk.ok("train pump.toml --out pump.kgl --quiet");
    let steps = TASK.replace("many-to-one", "many-to-many");
    desk.write("steps.toml", steps);
    desk.ok("train steps.toml --out steps.kgl --quiet");
    // Each is as in a file of its own, however their rows are mixed.
    let rows = pump(60);
    let (header, rows) = rows.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    let blocks = |row: usize| if (17..42).contains(&row) { "b" } else { "a" };
    let mixed = |row: usize| ["a", "b", "a", "c"][row % 4];
    let orders: [&dyn Fn(usize) -> &'static str; 2] = [&blocks, &mixed];
    for model in ["pump.kgl", "steps.kgl"] {
        for order in orders {
            let grouped = rows.iter().enumerate().map(|(k, row)| (order(k), *row));
            let grouped: Vec<(&str, &str)> = grouped.collect();
            let mut all = format!("unit,{header}\n");
            for (name, row) in &grouped {
                all += &format!("{name},{row}\n");
            }
            desk.write("all.csv", all);
            let together = desk.ok(&format!("predict {model} --csv all.csv --group unit"));
            for group in ["a", "b", "c"] {
                let of = grouped.iter().filter(|(name, _)| *name == group);
                let of: Vec<&str> = of.map(|(_, row)| *row).collect();
                if of.is_empty() {
                    continue;
                }
                desk.write("one.csv", format!("{header}\n{}\n", of.join("\n")));
                let alone = desk.ok(&format!("predict {model} --csv one.csv"));
                let mine = together
                    .lines()
                    .filter_map(|line| line.strip_prefix(group)?.strip_prefix(','));
                assert!(mine.eq(alone.lines().skip(1)), "{model} {group}");
            }
            // Calibration cuts its streams there too.
            desk.ok(&format!(
                "quantize {} --precision w8a8 --calibrate all.csv --group unit --out q.kgl",
                model.replace(".kgl", ".f32.kgl")
            ));
            // A stream per group in the saved state, whatever the other file begins with.
            let lines: Vec<&str> = together.lines().collect();
            let text = String::from_utf8(desk.read("all.csv")).unwrap();
            let (first, rest): (Vec<&str>, Vec<&str>) = (
                text.lines().take(24).collect(),
                text.lines().take(1).chain(text.lines().skip(24)).collect(),
            );
            desk.write("first.csv", first.join("\n"));
            desk.write("rest.csv", rest.join("\n"));
            let first = desk.ok(&format!(
                "predict {model} --csv first.csv --group unit --state-out s.bin"
            ));
            let rest = desk.ok(&format!(
                "predict {model} --csv rest.csv --group unit --state-in s.bin --state-out s.bin"
            ));
            let parts: Vec<&str> = first.lines().chain(rest.lines().skip(1)).collect();
            assert_eq!(parts, lines, "{model}");
        }
    }
    desk.write("new.csv", format!("unit,{header}\nz,{}\n", rows[0]));
    let ran = desk.run("predict steps.kgl --csv new.csv --group unit --state-in s.bin");
    assert!(
        ran.err
            .contains("1 of 1 groups are not in the saved state and started anew: \"z\""),
        "{}",
        ran.err
    );
    desk.fails(
        "predict steps.kgl --csv new.csv --state-in s.bin",
        1,
        &["saved with --group unit", "add it"],
    );
    for (options, code, words) in [
        (
            "--csv all.csv --group trial",
            1,
            &["no column \"trial\"", "unit, minute, load"][..],
        ),
        ("--lines all.csv --group unit", 2, &["--csv"]),
    ] {
        desk.fails(&format!("predict pump.kgl {options}"), code, words);
    }

    let model = fs::read(engine_tests("models/tokens_w8a8.kgl")).unwrap();
    desk.write("tokens.kgl", model);
    desk.write("tokens.csv", "trial,token\n1,0\n1,2\n2,0\n2,1\n");
    let out = desk.ok("predict tokens.kgl --csv tokens.csv --group trial");
    let lines: Vec<&str> = out.lines().skip(1).collect();
    assert_eq!(lines[0].strip_prefix("1,"), lines[2].strip_prefix("2,"));
}

#[test]
fn a_model_of_windows_answers_once_per_window() {
    let desk = Desk::new();
    let model = fs::read(engine_tests("models/window_f32.kgl")).unwrap();
    desk.write("w.kgl", model);
    let prices: Vec<Vec<f32>> = (0..9).map(|i| vec![100.0 + ((i * 5) % 7) as f32]).collect();
    desk.write("prices.csv", format!("x0\n{}", lines(&prices)));
    let (_, windows) = table(&desk.ok("predict w.kgl --csv prices.csv")).to_owned_rows();
    assert_eq!(windows.len(), 3);
    for (k, window) in windows.iter().enumerate() {
        desk.write(
            "part.csv",
            format!("x0\n{}", lines(&prices[2 * k..2 * k + 4])),
        );
        let steps = desk.ok("predict w.kgl --csv part.csv --every-step");
        assert_eq!(table(&steps).1.last(), Some(window), "window {k}");
    }
    // A state that is saved inside a window goes on in it.
    let whole = desk.ok("predict w.kgl --csv prices.csv");
    for cut in 1..9 {
        desk.write("a.csv", format!("x0\n{}", lines(&prices[..cut])));
        desk.write("b.csv", format!("x0\n{}", lines(&prices[cut..])));
        let a = desk.ok("predict w.kgl --csv a.csv --state-out s.bin");
        let b = desk.ok("predict w.kgl --csv b.csv --state-in s.bin");
        let (_, b) = b.split_once('\n').unwrap();
        assert_eq!(format!("{a}{b}"), whole, "cut at {cut}");
    }
    let model = fs::read(engine_tests("models/bidirectional_w8a8.kgl")).unwrap();
    desk.write("both.kgl", model);
    let rows: Vec<Vec<f32>> = (0..23)
        .map(|i| {
            (0..3)
                .map(|k| ((i * 7 + k * 5) % 11) as f32 / 8.0)
                .collect()
        })
        .collect();
    desk.write("rows.csv", lines(&rows));
    let all = desk.ok("predict both.kgl --csv rows.csv");
    for cut in 1..23 {
        desk.write("c.csv", lines(&rows[..cut]));
        desk.write("d.csv", lines(&rows[cut..]));
        let a = desk.ok("predict both.kgl --csv c.csv --state-out both.bin");
        let b = desk.ok("predict both.kgl --csv d.csv --state-in both.bin");
        let (_, b) = b.split_once('\n').unwrap();
        assert_eq!(format!("{a}{b}"), all, "cut at {cut}");
    }
    desk.fails_after_notes(
        "predict w.kgl --csv a.csv --state-in s.bin --every-step",
        1,
        &["s.bin", "saved with no option, now there is --every-step"],
    );
    desk.fails(
        "predict w.kgl --csv prices.csv --ahead 3",
        2,
        &["every 2 samples", "--every-step"],
    );
    // What that costs: 1 LSTM unit of one input and a dense layer, four steps at once, and four samples kept.
    let json: serde_json::Value = serde_json::from_str(&desk.ok("inspect w.kgl --json")).unwrap();
    let macs = json["macs"].as_u64().unwrap();
    assert_eq!(json["answer"]["steps"], 4);
    assert_eq!(json["answer"]["macs"], 4 * macs);
    assert_eq!(json["answer"]["window_bytes"], 16);
    let text = desk.ok("inspect w.kgl");
    assert!(
        text.contains(&format!("{} MACs per answer: 4 steps of {macs}", 4 * macs)),
        "{text}"
    );
    assert!(
        text.contains("16 more for the samples of the window"),
        "{text}"
    );
    let note = desk.run("predict w.kgl --csv prices.csv --every-step").err;
    assert!(
        note.contains("windows of 4 samples from a zero state"),
        "{note}"
    );
    assert_eq!(desk.run("predict w.kgl --csv prices.csv").err, "");
    // A forecast is its own predictions fed back.
    let (_, ahead) =
        table(&desk.ok("predict w.kgl --csv prices.csv --every-step --ahead 3")).to_owned_rows();
    assert_eq!(ahead.len(), 12);
    let fed = [&prices[..], &ahead[8..11]].concat();
    desk.write("fed.csv", format!("x0\n{}", lines(&fed)));
    assert_eq!(
        table(&desk.ok("predict w.kgl --csv fed.csv --every-step")).1,
        ahead
    );
}

trait OwnedRows {
    fn to_owned_rows(self) -> (String, Vec<Vec<f32>>);
}

impl OwnedRows for (&str, Vec<Vec<f32>>) {
    fn to_owned_rows(self) -> (String, Vec<Vec<f32>>) {
        (self.0.to_owned(), self.1)
    }
}

#[test]
fn classes_come_with_the_best_ones_name() {
    let desk = Desk::new();
    desk.imported("head_softmax");
    let text = desk.ok("predict head_softmax.kgl --csv head_softmax.csv");
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("class,y0,y1,y2,y3,y4,y5"));
    for row in rows {
        let (class, scores) = row.split_once(',').unwrap();
        let scores: Vec<f32> = scores.split(',').map(|s| s.parse().unwrap()).collect();
        let best: usize = class.strip_prefix('y').unwrap().parse().unwrap();
        assert!(scores.iter().all(|&s| s <= scores[best]), "{row}");
    }
}

#[test]
fn a_language_model_reads_names_numbers_and_text_and_generates() {
    let desk = Desk::new();
    let golden = desk.golden("embedding_lstm_softmax");
    desk.write("names.txt", "h\ne\nl\no\n");
    let flags = &golden.flags;
    desk.ok(&format!(
        "import embedding_lstm_softmax.safetensors {flags} --tokens names.txt --out hello.kgl"
    ));
    let text: String = golden
        .inputs
        .iter()
        .map(|t| "helo".as_bytes()[t[0] as usize] as char)
        .collect();
    let names: Vec<String> = text.chars().map(String::from).collect();
    desk.write(
        "names.csv",
        format!("step,token\n0,{}\n", names.join("\n0,")),
    );
    desk.write("text.txt", format!("{text}\n"));
    let by_name = desk.ok("predict hello.kgl --csv names.csv");
    assert_eq!(by_name.lines().next(), Some("h,e,l,o"));
    assert_eq!(
        desk.ok("predict hello.kgl --csv embedding_lstm_softmax.csv"),
        by_name
    );
    assert_eq!(desk.ok("predict hello.kgl --text text.txt"), by_name);

    let likeliest = desk.ok("generate hello.kgl --prompt hel --length 20");
    assert_eq!(likeliest.trim_end().len(), 23, "{likeliest}");
    assert!(likeliest.starts_with("hel"));
    // Every token is the best after those before it.
    desk.write("text.txt", likeliest.trim_end());
    let (_, scores) = table(&desk.ok("predict hello.kgl --text text.txt")).to_owned_rows();
    for (step, next) in likeliest.trim_end().char_indices().skip(3) {
        let scores = &scores[step - 1];
        let best = kinglet::argmax(scores);
        assert_eq!("helo".as_bytes()[best] as char, next, "{step} {scores:?}");
    }
    let wild = "generate hello.kgl --prompt hel --length 200 --temperature 1 --seed";
    assert_eq!(desk.ok(&format!("{wild} 5")), desk.ok(&format!("{wild} 5")));
    assert_ne!(desk.ok(&format!("{wild} 5")), desk.ok(&format!("{wild} 6")));

    desk.fails(
        "generate hello.kgl --prompt hex",
        2,
        &["\"x\"", "h, e, l, o"],
    );
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let mut command = desk.command("generate hello.kgl --prompt");
        let ran = command.arg(std::ffi::OsStr::from_bytes(b"h\xe9")).output();
        let (code, said) = ran.map(|ran| (ran.status.code(), ran.stderr)).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(
            code == Some(2) && said.contains("\"h\\xE9\": not UTF-8"),
            "{said}"
        );
    }
    desk.write("text.txt", "hello\nhe");
    desk.fails(
        "predict hello.kgl --text text.txt",
        1,
        &["text.txt:1: column 6", "no token"],
    );
    desk.write("bad.csv", "token\nh\nq\n");
    desk.fails(
        "predict hello.kgl --csv bad.csv",
        1,
        &["bad.csv:3", "\"q\" is no token"],
    );
    desk.write("bad.csv", "token\nh\n4\n");
    desk.fails(
        "predict hello.kgl --csv bad.csv",
        1,
        &["bad.csv:3", "\"4\" is no token"],
    );
    desk.imported("gru_1_5x17");
    desk.fails(
        "generate gru_1_5x17.kgl --prompt x",
        2,
        &["does not predict the next token"],
    );
    desk.fails(
        "predict gru_1_5x17.kgl --text text.txt",
        2,
        &["takes 5 numbers"],
    );
}

#[test]
fn columns_are_found_by_name_or_by_position_where_names_cannot_tell() {
    let desk = Desk::new();
    let golden = desk.imported("lstm_1_5x17");
    let want = desk.ok("predict lstm_1_5x17.kgl --csv lstm_1_5x17.csv");
    let rows = lines(&golden.inputs);
    desk.write("bare.csv", &rows);
    assert_eq!(desk.ok("predict lstm_1_5x17.kgl --csv bare.csv"), want);
    desk.write("named.csv", format!("a,b,c,d,e\n{rows}"));
    assert_eq!(desk.ok("predict lstm_1_5x17.kgl --csv named.csv"), want);
    let shuffled: Vec<Vec<f32>> = golden
        .inputs
        .iter()
        .map(|x| vec![9.0, x[4], x[0], x[2], x[1], x[3]])
        .collect();
    desk.write(
        "more.csv",
        format!("# remark\nno,e,a,c,b,d\n{}", lines(&shuffled)).replace(',', ";"),
    );
    let columns = "--columns a,b,c,d,e --delimiter ; --comment #";
    assert_eq!(
        desk.ok(&format!("predict lstm_1_5x17.kgl --csv more.csv {columns}")),
        want
    );

    let predict = "predict lstm_1_5x17.kgl --csv";
    desk.write("more.csv", lines(&shuffled));
    desk.fails(
        &format!("{predict} more.csv"),
        1,
        &[
            "more.csv: 6 columns without a header",
            "x0, x1",
            "--columns",
        ],
    );
    desk.write("some.csv", format!("x0,x1,x2,x3,y\n{rows}"));
    desk.fails(
        &format!("{predict} some.csv"),
        1,
        &["some.csv", "no column \"x4\"", "x0, x1, x2, x3, y"],
    );
    desk.fails(
        &format!("{predict} named.csv --columns a,b"),
        2,
        &["names 2 columns", "takes 5"],
    );
    desk.fails(
        &format!("{predict} named.csv --columns a,b,c,d,f"),
        1,
        &["no column \"f\""],
    );
}

#[test]
fn a_first_line_that_may_be_a_header_is_asked_about() {
    let desk = Desk::new();
    let golden = desk.imported("lstm_1_5x17");
    let want = desk.ok("predict lstm_1_5x17.kgl --csv lstm_1_5x17.csv");
    let rows = lines(&golden.inputs);
    let predict = "predict lstm_1_5x17.kgl --csv pandas.csv";
    desk.write("pandas.csv", format!("0,1,2,3,4\n{rows}"));
    desk.fails(predict, 2, &["0,1,2,3,4", "--header first-line"]);
    assert_eq!(desk.ok(&format!("{predict} --header first-line")), want);
    let all = desk.ok(&format!("{predict} --header none"));
    assert_eq!(all.lines().count(), want.lines().count() + 1);
    for numbers in [
        "100,200,300,400,500",
        "0.0,1.0,2.0,3.0,4.0",
        "2026,2025,2024,2023,2022",
    ] {
        desk.write("pandas.csv", format!("{numbers}\n{rows}"));
        desk.fails(predict, 2, &[numbers, "--header first-line"]);
    }
    // A row of nothing but gaps is a row, and so is one that begins with a gap.
    desk.write("pandas.csv", format!("NA,?,null,,NaN\n{rows}"));
    let held = format!("{predict} --missing hold");
    desk.fails(
        &held,
        1,
        &["pandas.csv:1", "no earlier row has one to hold"],
    );
    desk.write("pandas.csv", ",1,NA,4.5,5\n1,2,3,4,5\n");
    desk.fails(predict, 1, &["pandas.csv:1", "missing"]);
}

#[test]
fn a_live_stream_outlives_broken_lines() {
    let desk = Desk::new();
    let golden = desk.imported("lstm_1_5x17");
    let rows: Vec<String> = lines(&golden.inputs).lines().map(String::from).collect();
    let header = "x0,x1,x2,x3,x4";
    let broken = [
        header,
        &rows[0],
        "1,2",
        header,
        &rows[1],
        "1,2,3,4,\"5",
        &rows[2],
        "1,2,warm,4,5",
        &rows[3],
    ];
    desk.write("good.csv", format!("{header}\n{}\n", rows[..4].join("\n")));
    let want = desk.ok("predict lstm_1_5x17.kgl --csv good.csv --state-out good.bin");
    let stream = |options: &str| {
        let mut child = desk
            .command(&format!(
                "predict lstm_1_5x17.kgl --csv - --state-out s.bin {options}"
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(broken.join("\n").as_bytes()).unwrap();
        drop(input);
        Ran::from(child.wait_with_output().unwrap())
    };
    let ran = stream("--on-error skip");
    assert_eq!((ran.code, &ran.out), (Some(0), &want), "{}", ran.err);
    assert_eq!(desk.read("s.bin"), desk.read("good.bin"));
    for words in [
        "skipped (1): standard input:3: 2 fields where 5",
        "skipped (2): standard input:4: the header line again",
        "skipped (3): standard input:6: a quotation mark opens a field here",
        "skipped (4): standard input:8: column \"x2\": \"warm\"",
        "4 of 8 rows were skipped (50.00 %)",
    ] {
        assert!(ran.err.contains(words), "{words:?} is not in {}", ran.err);
    }
    let ran = stream("");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err
            .contains("s.bin: written, after the last row that was answered")
    );
    assert!(
        ran.err.contains("error: standard input:3: 2 fields"),
        "{}",
        ran.err
    );
    desk.write("one.csv", format!("{header}\n{}\n", rows[0]));
    desk.ok("predict lstm_1_5x17.kgl --csv one.csv --state-out one.bin");
    assert_eq!(desk.read("s.bin"), desk.read("one.bin"));
}

#[cfg(unix)]
#[test]
fn a_signal_or_a_closed_pipe_leaves_the_state_of_the_last_whole_row() {
    let desk = Desk::new();
    let golden = desk.imported("lstm_1_5x17");
    let header = "x0,x1,x2,x3,x4";
    let rows = lines(&golden.inputs[..3]);
    desk.write("good.csv", format!("{header}\n{rows}"));
    desk.ok("predict lstm_1_5x17.kgl --csv good.csv --state-out good.bin");
    for signal in ["INT", "TERM"] {
        let mut child = desk
            .command("predict lstm_1_5x17.kgl --csv - --state-out s.bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        // Half a row is on its way.
        write!(input, "{header}\n{rows}1,2,3").unwrap();
        for _ in 0..4 {
            output.next().unwrap().unwrap();
        }
        let kill = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(child.id().to_string())
            .status();
        assert!(kill.unwrap().success());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{signal}: {}", ran.err);
        assert!(
            ran.err.contains("stopped by a signal after 3 rows"),
            "{}",
            ran.err
        );
        assert_eq!(desk.read("s.bin"), desk.read("good.bin"), "{signal}");
    }
    let mut child = desk
        .command("predict lstm_1_5x17.kgl --csv - --state-out pipe.bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // The program may be gone before all is written.
    let _ = input.write_all(format!("{header}\n{rows}").as_bytes());
    drop(input);
    child.wait().unwrap();
    assert!(desk.files().iter().any(|file| file.ends_with("pipe.bin")));
}

#[test]
fn everything_that_looks_back_is_saved() {
    let desk = Desk::new();
    let mut all = String::from("t,y\n");
    for k in 0..160u64 {
        let t = 1_467_331_200 + 60 * k + 7 * k * k % 50;
        let y = if k % 11 == 5 {
            String::new()
        } else {
            format!("{:.3}", (k as f64 / 6.0).sin())
        };
        all += &format!("{t},{y}\n");
    }
    desk.write("all.csv", &all);
    let task = "name = \"decay\"\n[csv]\nfile = \"all.csv\"\nformat = { missing = \"hold\" }\n\
        [series]\nfeatures = [{ column = \"y\", transform = \"difference\" }, \"missing(y)\", \"elapsed(t)\"]\n\
        targets = [\"y\"]\n[shape]\nkind = \"KIND\"\nwindow = 9\n[network]\ncell = \"gru\"\nhidden = [4]\n\
        [train]\nepochs = 1\n[anomaly]\nsmoothing = 0.1\n";
    for kind in ["many-to-many", "many-to-one"] {
        desk.write("t.toml", task.replace("KIND", kind));
        desk.ok("train t.toml --out m.kgl --quiet");
        let whole = desk.ok("predict m.kgl --csv all.csv");
        let lines: Vec<&str> = all.lines().collect();
        for cut in [3, 7, 8, 80] {
            desk.write("a.csv", lines[..cut].join("\n"));
            desk.write("b.csv", [&lines[..1], &lines[cut..]].concat().join("\n"));
            let a = desk.ok("predict m.kgl --csv a.csv --state-out s.bin");
            let b = desk.ok("predict m.kgl --csv b.csv --state-in s.bin");
            let (_, b) = b.split_once('\n').unwrap();
            assert_eq!(format!("{a}{b}"), whole, "{kind}, cut at {cut}");
        }
    }
    // Every byte of a saved state counts.
    let good = desk.read("s.bin");
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        desk.write("bad.bin", bad);
        let ran = desk.fails(
            "predict m.kgl --csv b.csv --state-in bad.bin",
            1,
            &["bad.bin"],
        );
        assert_eq!(ran.out, "", "byte {at}");
    }
}

#[test]
fn computed_features_are_never_taken_as_they_stand() {
    let desk = Desk::new();
    let mut rows = String::from("t,y\n");
    for k in 0..48 {
        rows += &format!("2016-07-{:02} {:02}:00,{}\n", 1 + k / 24, k % 24, k % 24);
    }
    desk.write("clock.csv", &rows);
    let task = "name = \"clock\"\n[csv]\nfile = \"clock.csv\"\n[series]\nfeatures = [\"hour_sin(t)\", \"hour_cos(t)\"]\n\
        targets = [\"y\"]\n[shape]\nkind = \"one-to-one\"\n[network]\nhidden = []\ndense = [{ units = 4 }]\n[train]\nepochs = 1\n";
    desk.write("t.toml", task);
    desk.ok("train t.toml --out m.kgl --quiet");
    let want = desk.ok("predict m.kgl --csv clock.csv");
    let compact = rows
        .replace("2016-07-", "201607")
        .replace(":00", "")
        .replace(' ', "");
    desk.write("compact.csv", compact);
    assert_eq!(desk.ok("predict m.kgl --csv compact.csv"), want);
    let days = (0..48).map(|k| format!("{:.6},{}\n", 42_552.0 + f64::from(k) / 24.0, k % 24));
    desk.write("days.csv", format!("t,y\n{}", days.collect::<String>()));
    desk.fails(
        "predict m.kgl --csv days.csv",
        1,
        &["days.csv:2", "day of a spreadsheet", "excel"],
    );
    assert_eq!(
        desk.ok("predict m.kgl --csv days.csv --time-format excel"),
        want
    );
    desk.write("bare.csv", "1467331200,0\n1467334800,1\n");
    desk.fails(
        "predict m.kgl --csv bare.csv",
        1,
        &["hour_sin(t) is computed from a column \"t\"", "header line"],
    );
    desk.write(
        "other.csv",
        rows.replace("t,y", "when, exactly,y")
            .replacen("when, exactly", "\"when, exactly\"", 1),
    );
    desk.fails(
        "predict m.kgl --csv other.csv --columns y,y",
        2,
        &["hour_sin(t)", "computed"],
    );
    let named = desk
        .command("predict m.kgl --csv other.csv")
        .args([
            "--columns",
            "\"hour_sin(when, exactly)\",\"hour_cos(when, exactly)\"",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(named.stdout).unwrap(), want);
}

#[test]
fn nothing_is_written_over_what_is_read_or_no_file() {
    let desk = Desk::new();
    desk.imported("lstm_1_5x17");
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    for name in ["outside.onnx", "outside.data"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/importing/onnx");
        desk.write(name, fs::read(path.join(name)).unwrap());
    }
    for (out, words) in [
        ("pump.csv", "which is read"),
        ("pump.toml", "which is read"),
        ("/dev/null", "device or pipe"),
        ("/dev/stdout", "device or pipe"),
        ("new/", "it is a folder"),
    ] {
        desk.fails(&format!("train pump.toml --out {out}"), 1, &[out, words]);
    }
    for (command, out) in [
        ("import lstm_1_5x17.safetensors", "lstm_1_5x17.safetensors"),
        // What says beside a network what flags would, whether it is there yet or not.
        (
            "import lstm_1_5x17.safetensors",
            "lstm_1_5x17.safetensors.toml",
        ),
        (
            "import lstm_1_5x17.safetensors",
            "./lstm_1_5x17.safetensors.toml",
        ),
        ("import outside.onnx", "outside.data"),
        (
            "quantize lstm_1_5x17.kgl --precision w8a8 --calibrate lstm_1_5x17.csv",
            "lstm_1_5x17.csv",
        ),
        ("tune pump.toml --hidden 4..8", "pump.csv"),
        (
            "report pump.toml --model lstm_1_5x17.kgl",
            "lstm_1_5x17.kgl",
        ),
    ] {
        desk.fails(
            &format!("{command} --out {out}"),
            1,
            &[out, "which is read"],
        );
    }
    desk.fails(
        "predict lstm_1_5x17.kgl --csv lstm_1_5x17.csv --state-out lstm_1_5x17.csv",
        1,
        &["which is read"],
    );
    desk.ok("train pump.toml --out m.v1 --quiet");
    desk.ok("train pump.toml --out m.v2 --quiet");
    let files = desk.files();
    let there = |name: &str| files.iter().any(|file| file.ends_with(name));
    assert!(there("m.v1.history.csv") && there("m.v2.history.csv"));
}

#[test]
fn what_is_joined_beyond_its_range_is_told_by_layer() {
    let desk = Desk::new();
    let file = "tests/importing/onnx/head_minus_end.onnx";
    let network = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    desk.write("net.onnx", network);
    // Rare and far beyond the spread.
    let row = |k: usize| match k % 100 {
        99 => "30,-30,30\n".to_owned(),
        _ => format!("{:.2},{:.2},0.1\n", (k as f32).sin(), (k as f32).cos()),
    };
    let rows: String = (0..400).map(row).collect();
    desk.write("rare.csv", format!("x0,x1,x2\n{rows}"));
    let ran =
        desk.run("import net.onnx --precision w8a8 --calibrate rare.csv --force --out net.kgl");
    for part in [
        "warning: layer 0 (it keeps what goes in): what is kept or joined reaches",
        "(it adds what layer 0 keeps): what is kept or joined reaches",
        "is cut at ±8, in w8a16 as in w8a8: take --precision f32 or f16",
        "1 is `/rnn/GRU`",
    ] {
        assert!(ran.err.contains(part), "no {part:?} in: {}", ran.err);
    }
}

#[test]
fn bad_rows_are_named_by_line_and_column() {
    let desk = Desk::new();
    desk.imported("lstm_1_5x17");
    let predict = "predict lstm_1_5x17.kgl --csv bad.csv";
    for (rows, words) in [
        ("1,2,3,4,5\n1,2,3\n", &["bad.csv:3", "3 fields where 5"][..]),
        (
            "1,2,3,4,5\n1,2,3,4,5,6\n",
            &["bad.csv:3", "6 fields where 5"],
        ),
        (
            "1,2,warm,4,5\n",
            &[
                "bad.csv:2",
                "column \"x2\"",
                "\"warm\" is not a finite number",
            ],
        ),
        ("1,2,3,inf,5\n", &["bad.csv:2", "column \"x3\"", "\"inf\""]),
        (
            "1,2,3,4,5\n1,2,3,4,NaN\n",
            &[
                "bad.csv:3",
                "column \"x4\"",
                "missing (NaN)",
                "--missing hold",
            ],
        ),
        ("1,,3,4,5\n", &["bad.csv:2", "column \"x1\"", "missing"]),
    ] {
        desk.write("bad.csv", format!("x0,x1,x2,x3,x4\n{rows}"));
        let ran = desk.fails(predict, 1, words);
        // The rows before it were answered.
        let good = rows.lines().count();
        assert_eq!(ran.out.lines().count(), good, "{rows:?}");
        let quantize = "quantize lstm_1_5x17.kgl --precision w8a8 --calibrate bad.csv --out q.kgl";
        desk.fails(quantize, 1, words);
    }
    desk.write("bad.csv", "x0,x1,x2,x3,x4\n1,2,3,4,5\n,2,3,4,5\n");
    let held = desk.ok(&format!("{predict} --missing hold"));
    desk.write("bad.csv", "x0,x1,x2,x3,x4\n1,2,3,4,5\n1,2,3,4,5\n");
    assert_eq!(desk.ok(predict), held);
    desk.write("bad.csv", "");
    desk.fails(predict, 1, &["bad.csv", "no data rows"]);
    desk.write("bad.csv", "x0,x1,x2,x3,x4\n");
    desk.fails(
        "quantize lstm_1_5x17.kgl --precision w8a8 --calibrate bad.csv --out q.kgl",
        1,
        &["bad.csv", "no rows"],
    );
    desk.write("bad.csv", [0xff, 0xfe, b'\n', 0xff]);
    desk.fails(predict, 1, &["bad.csv"]);
}

#[test]
fn missing_files_and_folders_are_named() {
    let desk = Desk::new();
    desk.imported("lstm_1_5x17");
    for (arguments, words) in [
        (
            "predict lstm_1_5x17.kgl --csv none.csv",
            &["none.csv: cannot be read", "No such file"][..],
        ),
        (
            "predict none.kgl --csv lstm_1_5x17.csv",
            &["none.kgl: cannot be read"],
        ),
        ("inspect none.kgl", &["none.kgl: cannot be read"]),
        ("verify none.kgl", &["none.kgl: cannot be read"]),
        (
            "import none.safetensors --out a.kgl",
            &["none.safetensors: cannot be read"],
        ),
        (
            "import lstm_1_5x17.safetensors --ignore __ --out no/folder/a.kgl",
            &[
                "cannot write no/folder/a.kgl",
                "no folder no/folder",
                "create it",
            ],
        ),
        (
            "quantize lstm_1_5x17.kgl --precision w8a8 --calibrate lstm_1_5x17.csv --out no/a.kgl",
            &["cannot write no/a.kgl", "create it"],
        ),
        (
            "quantize lstm_1_5x17.kgl --precision w8a8 --calibrate none.csv --out a.kgl",
            &["none.csv: cannot be read"],
        ),
        (
            "predict lstm_1_5x17.kgl --csv lstm_1_5x17.csv --state-out no/s.bin",
            &["cannot write no/s.bin"],
        ),
        (
            "import lstm_1_5x17.safetensors --ignore __ --out .",
            &["it is a folder"],
        ),
        ("predict lstm_1_5x17.kgl --csv .", &[".: cannot be read"]),
    ] {
        desk.fails(arguments, 1, words);
    }
}

#[test]
fn wrong_use_is_exit_code_2() {
    let desk = Desk::new();
    desk.imported("lstm_1_5x17");
    for arguments in [
        "predict",
        "predict lstm_1_5x17.kgl",
        "predict lstm_1_5x17.kgl --csv a --text b",
        "predict lstm_1_5x17.kgl --csv lstm_1_5x17.csv --reset-every 0",
        "predict lstm_1_5x17.kgl --csv lstm_1_5x17.csv --raw --ahead 2",
        "predict lstm_1_5x17.kgl --csv lstm_1_5x17.csv --ahead 2",
        "quantize lstm_1_5x17.kgl --precision f32 --calibrate lstm_1_5x17.csv --out q.kgl",
        "quantize lstm_1_5x17.kgl --precision w8a8 --out q.kgl",
        "import lstm_1_5x17.safetensors --columns a --out q.kgl",
        "fly",
    ] {
        desk.fails(arguments, 2, &[]);
    }
    let help = desk.ok("--help");
    assert!(
        help.contains("Usage: kinglet") && help.contains("Examples:"),
        "{help}"
    );
    for command in [
        "demo", "train", "import", "quantize", "report", "predict", "generate", "export",
        "inspect", "verify",
    ] {
        let help = desk.ok(&format!("{command} --help"));
        assert!(help.contains(&format!("kinglet {command} ")), "{help}");
        assert!(help.contains("Example"), "{help}");
    }
}

#[test]
fn an_export_replaces_models_and_leaves_what_was_changed_by_hand() {
    let desk = Desk::new();
    desk.imported("gru_1_5x17");
    let export = |to: &str| format!("export gru_1_5x17.kgl --to {to} --name pump --out out");
    desk.ok(&export("c"));
    desk.write("out/main.c", b"int mine;");
    desk.write(
        "out/pump_model.h",
        b"/* A kinglet model file of last year */",
    );
    let ran = desk.run(&export("c"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("note: out/main.c was there") && !ran.err.contains("README"),
        "{ran:?}"
    );
    assert_eq!(desk.read("out/main.c"), b"int mine;");
    assert!(desk.read("out/pump_model.h").len() > 1000);
    assert!(
        ran.err
            .contains("it may be for another model, as it lacks kgl_model_open(), "),
        "{ran:?}"
    );
    // What nobody changed is made for the next model, which says so where somebody has.
    desk.imported("lstm_1_1x1");
    let other = "export lstm_1_1x1.kgl --to arduino --name pump --out arduino";
    desk.ok("export gru_1_5x17.kgl --to arduino --name pump --out arduino");
    let about = desk.read("arduino/README.md");
    let ran = desk.run(other);
    assert!(ran.code == Some(0) && !ran.err.contains("stays"), "{ran:?}");
    assert_ne!(desk.read("arduino/README.md"), about);
    desk.write("arduino/README.md", b"mine");
    desk.ok(other);
    assert_eq!(desk.read("arduino/README.md"), b"mine");
    // What is compiled beside the next model is told.
    let ran = desk.succeeds(&other.replace("pump", "flow"));
    assert!(
        ran.err
            .contains("src/pump.c, src/pump.h: of an export under another name"),
        "{ran:?}"
    );
    // A file of theirs that happens to be called as one of ours would be.
    desk.write("out/pump_model.h", b"int mine;");
    desk.fails(
        &export("header"),
        1,
        &["out/pump_model.h is there and was not written by `kinglet export`"],
    );
    assert_eq!(desk.read("out/pump_model.h"), b"int mine;");
}

/// That libraries are built is tested in `engine/c/tests/run.sh`.
#[test]
fn libraries_are_for_targets_and_for_the_c_interface_alone() {
    let desk = Desk::new();
    desk.imported("gru_1_5x17");
    desk.fails(
        "export gru_1_5x17.kgl --to c-source --out source --target host",
        1,
        &["--target is for `--to c`"],
    );
    assert!(!desk.path("source").exists());
    for target in ["../x", "a/b", ".."] {
        desk.fails(
            &format!("export gru_1_5x17.kgl --to c --out c --target {target}"),
            1,
            &["no target of Rust's", target],
        );
    }
    desk.fails(
        "export gru_1_5x17.kgl --to c --out c --target nosuch",
        1,
        &["no target of Rust's: \"nosuch\""],
    );
    assert!(!desk.path("c").exists());
}

#[test]
fn a_crate_that_would_replace_its_model_is_not_begun() {
    let desk = Desk::new();
    desk.imported("gru_1_5x17");
    desk.ok("export gru_1_5x17.kgl --to rust --name pump --out crate");
    let model = desk.read("crate/src/pump.kgl");
    fs::remove_file(desk.path("crate/Cargo.toml")).unwrap();
    desk.fails(
        "export crate/src/pump.kgl --to rust --name pump --out crate",
        1,
        &["crate/src/pump.kgl, which is read"],
    );
    assert!(!desk.path("crate/Cargo.toml").exists());
    assert_eq!(desk.read("crate/src/pump.kgl"), model);
}

#[test]
fn damaged_models_are_refused_by_every_command() {
    let desk = Desk::new();
    desk.imported("gru_1_5x17");
    let whole = desk.read("gru_1_5x17.kgl");
    let check = |bytes: &[u8], words: &[&str]| {
        desk.write("bad.kgl", bytes);
        for arguments in [
            "inspect bad.kgl",
            "verify bad.kgl",
            "predict bad.kgl --csv gru_1_5x17.csv",
            "generate bad.kgl --prompt a",
            "quantize bad.kgl --precision w8a8 --calibrate gru_1_5x17.csv --out q.kgl",
        ] {
            desk.fails(arguments, 1, &[&["bad.kgl"], words].concat());
        }
    };
    check(&[], &["cut short: 64 bytes expected, 0 found"]);
    check(
        &whole[..whole.len() - 1],
        &["cut short", "copy the file again"],
    );
    check(&[&whole[..], &[0]].concat(), &["too long"]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    check(&flipped, &["damaged: checksum", "copy the file again"]);
    let mut newer = whole.clone();
    newer[8] = 99;
    check(&newer, &["file version 99", "reads version 1"]);
    check(&[b'x'; 100], &["not a kinglet model"]);
    check(
        &desk.read("gru_1_5x17.safetensors"),
        &["not a kinglet model", "kinglet import"],
    );
}

#[test]
fn verify_says_what_differs() {
    let desk = Desk::new();
    desk.imported("gru_1_5x17");
    let mut bytes = desk.read("gru_1_5x17.kgl");
    // The file ends with the test outputs.
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&0.5f32.to_le_bytes());
    let crc = file_crc(&bytes);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    assert!(bytes.len() > PREAMBLE_LEN);
    desk.write("bad.kgl", bytes);
    let ran = desk.fails("verify bad.kgl", 1, &["bad.kgl", "export it again"]);
    for kernels in kinglet::kernel::Kernels::available() {
        let row = ran
            .out
            .lines()
            .find(|l| l.starts_with(kernels.name()))
            .unwrap();
        assert!(
            row.contains("FAILED") && row.contains("output 1 of step 23 is "),
            "{row}"
        );
        assert!(row.ends_with("0.5 expected"), "{row}");
    }
}

#[test]
fn inspect_adds_up() {
    let desk = Desk::new();
    let flags = desk.golden("mixed_cells").flags;
    for precision in ["f32", "f16", "w8a16", "w8a8", "w4a8"] {
        desk.ok(&format!(
            "import mixed_cells.safetensors {flags} --precision {precision} --calibrate mixed_cells.csv --force --out m.kgl"
        ));
        let json: serde_json::Value =
            serde_json::from_str(&desk.ok("inspect m.kgl --json")).unwrap();
        let layers = json["layers"].as_array().unwrap();
        let sum = |key: &str| layers.iter().map(|l| l[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum("macs"), json["macs"], "{json}");
        // LSTM 3>6, GRU 6>4, RNN 4>7, dense 7>2.
        assert_eq!(sum("macs"), 4 * 6 * 9 + 3 * 4 * 10 + 7 * 11 + 14);
        assert_eq!(sum("parameters"), sum("macs") + 24 + 16 + 7 + 2);
        let rest = ["header_bytes", "normalisation_bytes", "test_bytes"]
            .map(|k| json[k].as_u64().unwrap());
        let flash = desk.read("m.kgl").len() as u64;
        assert_eq!(sum("flash_bytes") + rest.iter().sum::<u64>(), flash);
        assert_eq!(json["flash_bytes"], flash);
        assert_eq!(json["format"], precision);
        let integer = precision.starts_with('w');
        for layer in layers {
            assert_eq!(layer["weight_scale"].is_array(), integer, "{layer}");
            if integer {
                // A weight of ±1 at the most takes ±127 steps, or ±7.
                let steps = if precision == "w4a8" { 7.0 } else { 127.0 };
                let scale = layer["weight_scale"][1].as_f64().unwrap();
                assert!((0.01..6.4).contains(&(scale * steps)), "{layer}");
            }
        }
        let text = desk.ok("inspect m.kgl");
        for word in [
            precision,
            "lstm",
            "gru ",
            "rnn ",
            "dense identity",
            "x0",
            "y1",
            "CRC",
        ] {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        assert!(
            desk.ok("verify m.kgl")
                .contains(json["test_digest"].as_str().unwrap())
        );
    }
}

/// Three machines in one European file, whose sensors write -999 where they have nothing.
fn european(rows: usize) -> String {
    let comma = |x: f64| format!("{x:.2}").replace('.', ",");
    let mut text = String::from("Maschine;Last;Temperatur\n");
    let mut temperature = [40.0f64; 3];
    for row in 0..rows {
        let machine = row % 3;
        let load = 50.0 + 30.0 * ((row as f64 * 0.05).sin() + (row * 7 % 11) as f64 * 0.05);
        temperature[machine] += 0.1 * (load - temperature[machine]);
        let load = match row % 37 {
            0 if row > 2 => "-999".into(),
            _ => comma(load),
        };
        let name = ["A", "B", "C"][machine];
        text += &format!("{name};{load};{}\n", comma(temperature[machine]));
    }
    text
}

const EUROPEAN: &str = r#"
name = "presses"
[csv]
file = "presses.csv"
[csv.format]
delimiter = ";"
decimal = ","
missing = "hold"
missing_values = ["-999"]
[series]
group = "Maschine"
features = [{ column = "Last" }, { column = "Temperatur" }]
targets = [{ column = "Temperatur", transform = "difference" }]
[shape]
kind = "many-to-many"
window = 16
[network]
cell = "gru"
hidden = [6]
[train]
epochs = 3
"#;

#[test]
fn a_model_knows_how_its_data_was_written() {
    let desk = Desk::new();
    desk.write("presses.csv", european(600));
    desk.write("presses.toml", EUROPEAN);
    desk.ok("train presses.toml --out m.kgl --precision w8a8 --quiet");
    let alone = desk.ok("predict m.kgl --csv presses.csv");
    let told = "--group Maschine --delimiter ; --decimal , --missing hold --missing-values=-999";
    assert_eq!(
        alone,
        desk.ok(&format!("predict m.kgl --csv presses.csv {told}"))
    );
    assert!(alone.starts_with("Maschine,Temperatur\nA,"), "{alone}");
    // What is said on the command line holds, also that there are no groups.
    let plain = desk.ok("predict m.kgl --csv presses.csv --group= ");
    assert!(plain.starts_with("Temperatur\n"), "{plain}");
    // The same numbers as others write them.
    let other = european(600).replace(',', ".").replace(';', ",");
    desk.write("other.csv", &other);
    assert_eq!(alone, desk.ok("predict m.kgl --csv other.csv --decimal ."));
    desk.write("tabs.csv", other.replace(',', "\t"));
    assert_eq!(alone, desk.ok("predict m.kgl --csv tabs.csv --decimal ."));
    desk.write("none.csv", format!("{}\n", other.lines().next().unwrap()));
    let ran = desk.run("predict m.kgl --csv none.csv");
    assert!(ran.err.contains("none.csv: no rows"), "{}", ran.err);
    // It goes on into a quantized file.
    desk.ok("quantize m.f32.kgl --precision w8a8 --calibrate presses.csv --out q.kgl");
    let lines = |text: &str| text.lines().count();
    assert_eq!(
        lines(&desk.ok("predict q.kgl --csv presses.csv")),
        lines(&alone)
    );
    let shown = desk.ok("inspect q.kgl");
    for word in ["Maschine", "decimal", "-999"] {
        assert!(shown.contains(word), "{shown}");
    }
    // Before the first number of a column there is nothing to hold, in every stream, and that is told.
    let mut gaps: Vec<String> = european(300).lines().map(str::to_owned).collect();
    gaps[1] = "A;-999;".into();
    gaps[3] = "C;50,0;".into();
    gaps[4] = "A;50,0;40,0".into();
    desk.write("gaps.csv", gaps.join("\n"));
    let ran = desk.run("predict m.kgl --csv gaps.csv");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let rows: Vec<&str> = ran.out.lines().collect();
    assert_eq!((rows[1], rows[3], rows.len()), ("A,NaN", "C,NaN", 301));
    assert!(!rows[4].contains("NaN"), "{}", rows[4]);
    for word in [
        "of 300 rows, 3 numbers are missing",
        "(Last: 1, Temperatur: 2)",
        "2 of the answers are NaN",
    ] {
        assert!(ran.err.contains(word), "{}", ran.err);
    }
    let json = desk.run("predict m.kgl --csv gaps.csv --json");
    assert_eq!((json.err, json.out.matches(":null}").count()), (ran.err, 2));
    // Without the column there is one stream, and that is told.
    let ungrouped: Vec<&str> = other
        .lines()
        .map(|line| line.split_once(',').unwrap().1)
        .collect();
    desk.write("one.csv", ungrouped.join("\n"));
    let ran = desk.run("predict m.kgl --csv one.csv --decimal .");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("no column \"Maschine\""), "{}", ran.err);
    // Rows from the newest to the oldest.
    let turned = |text: &str| {
        let (header, rows) = text.split_once('\n').unwrap();
        let rows: Vec<&str> = rows.lines().rev().collect();
        format!("{header}\n{}\n", rows.join("\n"))
    };
    desk.write("turned.csv", turned(&european(600)));
    assert_eq!(
        alone,
        desk.ok("predict m.kgl --csv turned.csv --newest-first")
    );
    desk.write(
        "turned.toml",
        EUROPEAN
            .replace("presses.csv", "turned.csv")
            .replace("missing = ", "newest_first = true\nmissing = "),
    );
    desk.ok("train turned.toml --out t.kgl --precision w8a8 --quiet");
    assert_eq!(alone, desk.ok("predict t.kgl --csv turned.csv"));
}

#[test]
fn broken_rows_of_training_data_are_left_out_on_request() {
    let desk = Desk::new();
    let mut rows: Vec<String> = european(600).lines().map(String::from).collect();
    desk.write("presses.toml", EUROPEAN);
    desk.write("presses.csv", rows.join("\n"));
    // Without the first line, which has the seconds.
    let figures = |out: &str| out.split_once('\n').unwrap().1.to_owned();
    let whole = figures(&desk.ok("train presses.toml --out m.kgl --quiet"));
    // A header between two rows is no row, and nothing is missing there.
    rows.insert(200, "Maschine;Last;Temperatur".into());
    desk.write("presses.csv", rows.join("\n"));
    assert_eq!(
        figures(&desk.ok("train presses.toml --out m.kgl --quiet --on-error skip")),
        whole
    );
    rows.insert(301, "B;12,5".into());
    rows.insert(100, "A;oops;40,0".into());
    desk.write("presses.csv", rows.join("\n"));
    desk.fails(
        "train presses.toml --out m.kgl --quiet",
        1,
        &["presses.csv:202", "--on-error skip"],
    );
    let train = "train presses.toml --out m.kgl --quiet --on-error skip";
    let ran = desk.run(train);
    // What stood apart is not joined: whose row is torn nobody knows, so it ends a piece of all three.
    let skipping = figures(&ran.out);
    assert_ne!(skipping, whole);
    for words in [
        "rows are left out in 4 places inside of it",
        "2 of 603 rows are broken and left out (0.33 %), the first: presses.csv:202: the header line again",
        "1 of 601 rows are broken and left out (0.17 %), the first: presses.csv:101: column \"Last\": \"oops\"",
    ] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    // The model knows that too.
    let ran = desk.run("predict m.kgl --csv presses.csv");
    assert!(
        ran.err.contains(
            "3 of 603 rows were skipped (0.50 %); what looks back went on behind them as if they had not been there"
        ),
        "{}",
        ran.err
    );
    desk.write("whole.csv", european(600));
    assert_eq!(ran.out, desk.ok("predict m.kgl --csv whole.csv"));
    desk.fails_after_notes(
        "predict m.kgl --csv presses.csv --on-error stop",
        1,
        &["presses.csv:101"],
    );
    let task = EUROPEAN.replace("decimal", "on_error = \"skip\"\ndecimal");
    desk.write("presses.toml", &task);
    assert_eq!(
        figures(&desk.ok("train presses.toml --out m.kgl --quiet")),
        skipping
    );
    // Where nothing is left, what is wrong is an error.
    desk.write("presses.csv", "Maschine;Last;Temperatur\nA;x;1\nB;y;2\n");
    desk.fails(
        "train presses.toml --out m.kgl --quiet",
        1,
        &["presses.csv:2", "\"x\" is not a finite number"],
    );
}

/// A pump that follows its load a little later.
fn pump(rows: usize) -> String {
    let mut csv = String::from("minute,load,temperature\n");
    let mut temperature = 40.0f64;
    for minute in 0..rows {
        let load = (minute as f64 * 0.21).sin() + 0.5 * (minute as f64 * 0.043).cos();
        temperature += 0.1 * (40.0 + 8.0 * load - temperature);
        csv += &format!("{minute},{load:.4},{temperature:.4}\n");
    }
    csv
}

const TASK: &str = r#"
name = "pump"
[csv]
file = "pump.csv"
[series]
features = [
    "load",
    { column = "temperature", unit = "degC", transform = "difference" },
]
targets = [{ column = "temperature", unit = "degC", transform = "difference" }]
split = { rows = [200, 50, 50] }
[shape]
kind = "many-to-one"
window = 8
[network]
cell = "gru"
hidden = [8]
[train]
learning_rate = 0.01
epochs = 15
[output]
precision = "w8a16"
"#;

#[test]
fn train_reports_what_predict_gives() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    let ran = desk.run("train pump.toml --out pump.kgl");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    // No terminal, no bar.
    assert_eq!(
        ran.err,
        "pump.f32.kgl: written\npump.kgl: written\npump.history.csv: written\n"
    );
    let row = |name: &str| -> Vec<f32> {
        let row = ran.out.lines().find(|line| line.starts_with(name));
        let fields = row
            .unwrap_or_else(|| panic!("{name}: {}", ran.out))
            .split_whitespace();
        fields.filter_map(|f| f.parse().ok()).collect()
    };
    let naive = row("last value")[2];
    for (name, file) in [("f32", "pump.f32.kgl"), ("w8a16", "pump.kgl")] {
        let row = row(name);
        let (rmse, size) = (row[2], row[3] as usize);
        assert!(rmse < 0.6 * naive, "{}", ran.out);
        assert_eq!(size, desk.read(file).len());
        assert!(desk.ok(&format!("verify {file}")).contains(name));
        // Windows end at rows 7 to 299 and predict the row behind; rows 250 to 299 are the test part.
        let (_, outputs) =
            table(&desk.ok(&format!("predict {file} --csv pump.csv"))).to_owned_rows();
        assert_eq!(outputs.len(), 293);
        let truth = table(&pump(300)).1;
        let errors = (250..300).map(|r| outputs[r - 8][0] - truth[r][2]);
        let found = (errors.map(|e| e * e).sum::<f32>() / 50.0).sqrt();
        assert!((found - rmse).abs() < 2e-5, "{name}: {found} {rmse}");
    }
    // Again, and the bytes are the same; another format on the command line wins.
    let bytes = desk.read("pump.f32.kgl");
    desk.ok("train pump.toml --out again.kgl --precision f32 --quiet --data pump.csv");
    assert_eq!(desk.read("again.kgl"), bytes);
    assert!(!desk.files().contains(&"again.f32.kgl".into()));
    // Beyond the last row: load stays, temperature goes on.
    let ahead = desk.run("predict pump.kgl --csv pump.csv --ahead 5");
    assert_eq!(ahead.out.lines().count(), 1 + 293 + 5, "{}", ahead.err);
    assert_eq!(
        ahead.err,
        "note: --ahead holds what is not predicted at its last value: load\n"
    );
}

/// The column `name` of a history, without the first line.
fn losses(history: &str, name: &str) -> Vec<f64> {
    let mut lines = history.lines().map(|line| line.split(','));
    let place = lines.next().unwrap().position(|n| n == name).unwrap();
    let value = |mut line: std::str::Split<'_, char>| line.nth(place).unwrap().parse().unwrap();
    lines.map(value).collect()
}

#[test]
fn training_goes_on_from_a_model_in_whatever_units_the_new_data_has() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    desk.ok("train pump.toml --precision f32 --quiet --out first.kgl");
    // Other rows, of another mean and spread, and steps too small to change anything.
    let tail: Vec<String> = pump(700).lines().map(str::to_owned).collect();
    let louder = |line: &String| -> String {
        let fields: Vec<f64> = line.split(',').map(|f| f.parse().unwrap()).collect();
        format!("{},{},{}", fields[0], 3.0 * fields[1] + 1.0, fields[2])
    };
    let rows: Vec<String> = tail[401..].iter().map(louder).collect();
    desk.write("later.csv", format!("{}\n{}\n", tail[0], rows.join("\n")));
    let still = TASK
        .replace("0.01", "1e-12")
        .replace("epochs = 15", "epochs = 1");
    desk.write("still.toml", &still);
    desk.ok(
        "train still.toml --data later.csv --from first.kgl --precision f32 --quiet --out same.kgl",
    );
    let answers = |model: &str| {
        let out = desk.ok(&format!("predict {model} --csv pump.csv"));
        table(&out).to_owned_rows().1
    };
    let (first, same) = (answers("first.kgl"), answers("same.kgl"));
    assert_eq!(first.len(), 293);
    for (a, b) in first.iter().flatten().zip(same.iter().flatten()) {
        assert!((a - b).abs() < 2e-4, "{a} {b}");
    }
    assert_ne!(desk.read("first.kgl"), desk.read("same.kgl"));
    // With real steps it becomes better than it was, also through integers.
    desk.ok("train pump.toml --from first.kgl --quantized-epochs 2 --quiet --out on.kgl");
    let history = |name: &str| String::from_utf8(desk.read(name)).unwrap();
    let valid = |name: &str| losses(&history(name), "valid_loss");
    let (before, after) = (valid("first.history.csv"), valid("on.history.csv"));
    let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(after[0] < 0.5 * before[0], "{before:?} {after:?}");
    assert!(least(&after) < least(&before), "{before:?} {after:?}");
    assert!(desk.ok("inspect on.kgl").contains("w8a16"));

    desk.write(
        "wide.toml",
        TASK.replace("    \"load\",\n", "    \"load\", \"minute\",\n"),
    );
    desk.fails(
        "train wide.toml --from first.kgl --out out.kgl",
        1,
        &["--from first.kgl", "the model has 2 inputs (load, temperature), and the task 3 (load, minute, temperature)"],
    );
    desk.write("turned.toml", TASK.replace("\"load\"", "\"minute\""));
    desk.fails(
        "train turned.toml --from first.kgl --out out.kgl",
        1,
        &["input 1 is \"load\" in the model and \"minute\" in the task"],
    );
    desk.fails(
        "train pump.toml --from on.kgl --out out.kgl",
        1,
        &["--from on.kgl", "w8a16 already"],
    );
    desk.fails(
        "train pump.toml --from pump.csv --out out.kgl",
        1,
        &["pump.csv: not a kinglet model"],
    );
    desk.fails(
        "train pump.toml --from first.kgl --folds 3 --out out.kgl",
        2,
        &["--from", "folds"],
    );
    desk.fails(
        "train pump.toml --from first.kgl --out first.kgl",
        1,
        &["first.kgl"],
    );
}

#[test]
fn an_imported_network_is_trained_on_by_the_order_of_its_inputs() {
    let desk = Desk::new();
    let network =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/importing/onnx/lstm_script.onnx");
    desk.write("net.onnx", fs::read(network).unwrap());
    desk.ok("import net.onnx --out net.kgl");
    let row = |t: usize| {
        let t = t as f64;
        format!(
            "{:.4},{:.4},{:.4}\n",
            (t * 0.2).sin(),
            (t * 0.31).cos(),
            100.0 + (t * 0.17).sin()
        )
    };
    desk.write(
        "data.csv",
        format!("a,b,c\n{}", (0..300).map(row).collect::<String>()),
    );
    let task = |targets: &str| {
        format!(
            "name = \"abc\"\n[csv]\nfile = \"data.csv\"\n[series]\nfeatures = [\"a\", \"b\", \"c\"]\ntargets = [{targets}]\n\
             split = {{ rows = [200, 50, 50] }}\n[shape]\nkind = \"many-to-many\"\nwindow = 16\n[network]\ncell = \"gru\"\nhidden = [8]\n\
             [train]\nlearning_rate = 0.01\nepochs = 3\n[output]\nprecision = \"w8a8\"\n"
        )
    };
    desk.write("task.toml", task("{ column = \"a\" }, { column = \"b\" }"));
    desk.ok("train task.toml --from net.kgl --quantized-epochs 2 --quiet --force --out on.kgl");
    let seen = desk.ok("inspect on.kgl");
    assert!(seen.contains("lstm") && !seen.contains("gru"), "{seen}");
    let (names, rows) = table(&desk.ok("predict on.kgl --csv data.csv")).to_owned_rows();
    assert_eq!((names.as_str(), rows.len()), ("a,b", 300));
    desk.write("one.toml", task("{ column = \"a\" }"));
    desk.fails(
        "train one.toml --from net.kgl --out out.kgl",
        1,
        &["the model has 2 outputs (y0, y1), and the task 1 (a)"],
    );
}

#[test]
fn a_classifier_is_trained_against_the_majority() {
    let desk = Desk::new();
    let mut csv = String::from("t0,t1,t2,t3,label\n");
    for row in 0..120 {
        let up = row % 3 == 0;
        let step = if up { 0.5 } else { -0.5 };
        let start = f64::from(row % 7) * 0.1;
        let at = |t: i32| start + step * f64::from(t);
        csv += &format!(
            "{},{},{},{},{}\n",
            at(0),
            at(1),
            at(2),
            at(3),
            if up { "up" } else { "down" }
        );
    }
    desk.write("ramps.csv", csv);
    let task = r#"
name = "ramps"
[csv]
file = "ramps.csv"
[sequences]
steps = ["t0", "t3"]
feature = "x"
label = { column = "label", classes = [{ name = "rising", labels = ["up"] }, { name = "falling", labels = ["down"] }] }
[shape]
kind = "many-to-one"
[network]
cell = "lstm"
hidden = [6]
[train]
learning_rate = 0.02
epochs = 40
"#;
    desk.write("ramps.toml", task);
    let text = desk.ok("train ramps.toml --out ramps.kgl");
    let majority = text.lines().find(|l| l.starts_with("majority")).unwrap();
    assert!(majority.contains("0.66667"), "{text}");
    let float = text.lines().find(|l| l.starts_with("f32")).unwrap();
    assert!(float.contains("1.00000"), "{text}");
    desk.write("ramp.csv", "x\n0.1\n0.6\n1.1\n1.6\n0.1\n-0.4\n-0.9\n-1.4\n");
    let classes = desk.ok("predict ramps.kgl --csv ramp.csv");
    let classes: Vec<&str> = classes
        .lines()
        .map(|l| l.split(',').next().unwrap())
        .collect();
    assert_eq!(classes, ["class", "rising", "falling"]);
}

/// Two adjectives, each negated or not: the order of words decides, so counting them is not enough.
#[test]
fn weights_that_do_not_fit_the_classes_are_refused() {
    let desk = Desk::new();
    for (weights, words) in [
        ("[1]", "1 weights for 2 classes"),
        ("[1, -1]", "every weight must be positive"),
        ("\"fair\"", "expected \"balanced\" or a list"),
    ] {
        desk.write(
            "rare.toml",
            format!(
                "name = \"rare\"\n[csv]\nfile = \"rare.csv\"\n[series]\nfeatures = [\"x\"]\n\
                 label = {{ column = \"label\", classes = [{{ name = \"usual\", labels = [\"0\"] }}, {{ name = \"rare\", labels = [\"1\"] }}] }}\n\
                 [shape]\nkind = \"many-to-one\"\nwindow = 1\n[network]\nhidden = [4]\n[train]\nclass_weights = {weights}\n"
            ),
        );
        desk.fails(
            "train rare.toml --out rare.kgl",
            1,
            &[words, "class_weights"],
        );
    }
}

#[test]
fn a_back_test_has_a_figure_for_every_fold_and_what_they_mean() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(420));
    desk.write(
        "pump.toml",
        "name = \"pump\"\n[csv]\nfile = \"pump.csv\"\n[series]\nfeatures = [\"temperature\", \"load\"]\n\
         targets = [\"temperature\"]\n[shape]\nkind = \"many-to-one\"\nwindow = 4\n\
         [network]\ncell = \"rnn\"\nhidden = [4]\n[train]\nepochs = 3\n",
    );
    let text = desk.ok("train pump.toml --folds 3 --out pump.kgl --quiet");
    let row = |name: &str| -> Vec<f64> {
        let table = text.split("back-test, RMSE").nth(1).unwrap();
        let line = table.lines().find(|l| l.starts_with(name)).unwrap();
        line[name.len()..]
            .split_whitespace()
            .map(|v| v.parse().unwrap())
            .collect()
    };
    for name in ["last value", "f32"] {
        let figures = row(name);
        let (folds, summary) = figures.split_at(3);
        let mean = folds.iter().sum::<f64>() / 3.0;
        let spread = (folds.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        assert!(
            (summary[0] - mean).abs() < 1e-4 && (summary[1] - spread).abs() < 1e-4,
            "{text}"
        );
        // The model that is written is the last fold's.
        let line = text.lines().find(|l| l.starts_with(name)).unwrap();
        let test: Vec<f64> = line[name.len()..]
            .split_whitespace()
            .filter_map(|v| v.parse().ok())
            .collect();
        assert_eq!(test[2], folds[2], "{text}");
    }
    // A task's own words for it, and the same model.
    let first = desk.read("pump.kgl");
    let task = String::from_utf8(desk.read("pump.toml")).unwrap();
    desk.write(
        "pump.toml",
        task.replace("[shape]", "split = { folds = 3 }\n[shape]"),
    );
    assert!(
        desk.ok("train pump.toml --out pump.kgl --quiet")
            .contains("back-test, RMSE")
    );
    assert_eq!(desk.read("pump.kgl"), first);
    desk.fails(
        "train pump.toml --folds 1 --out a.kgl",
        1,
        &["folds is from 2 to 100"],
    );
    desk.write("short.csv", pump(12));
    desk.fails(
        "train pump.toml --data short.csv --folds 9 --out a.kgl",
        1,
        &["fold 1 of 9: short.csv"],
    );
}

#[test]
fn streaming_is_measured_and_trained_for() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    let text = desk.ok("train pump.toml --precision f32 --out window.kgl --quiet");
    // GRU 2>8 and a dense layer; eight samples of two floats.
    let macs = 3 * 8 * 10 + 8;
    let words = format!(
        "an answer takes 8 steps of {macs} MACs: {}, and 64 bytes of RAM",
        8 * macs
    );
    assert!(text.contains(&words), "{text}");
    let after = |text: &str, word: &str| -> f32 {
        let rest = text
            .split(word)
            .nth(1)
            .unwrap_or_else(|| panic!("{word}: {text}"));
        rest.split_whitespace()
            .next()
            .unwrap()
            .trim_end_matches([',', ';'])
            .parse()
            .unwrap()
    };
    let streamed = after(&text, "other numbers: RMSE ");
    // It is what `predict --every-step` gives from the first row on: the test part is rows 250 to 299.
    let outputs = table(&desk.ok("predict window.kgl --csv pump.csv --every-step")).1;
    let truth = table(&pump(300)).1;
    let errors = (250..300).map(|r| outputs[r - 1][0] - truth[r][2]);
    let found = (errors.map(|e| e * e).sum::<f32>() / 50.0).sqrt();
    assert!((found - streamed).abs() < 2e-5, "{found} {streamed}");
    // A model that streams has a step per answer, and no such words.
    let text = desk.ok("train pump.toml --streaming --precision f32 --out stream.kgl --quiet");
    assert!(
        !text.contains("an answer takes") && !text.contains("streamed"),
        "{text}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&desk.ok("inspect stream.kgl --json")).unwrap();
    assert_eq!(
        (&json["shape"], &json["answer"]["steps"]),
        (&"every-step".into(), &1.into())
    );
    assert_eq!(
        desk.run("predict stream.kgl --csv pump.csv --every-step")
            .err,
        ""
    );
    desk.write(
        "one.toml",
        TASK.replace("window = 8", "")
            .replace("many-to-one", "one-to-one"),
    );
    desk.fails(
        "train one.toml --streaming --out a.kgl",
        1,
        &["only a [series] with windows"],
    );
}

/// The sum of the last twelve rows, learnt in windows of eight: from a reset on it is enough to add up.
#[test]
fn a_running_state_that_is_worse_than_windows_is_told() {
    let desk = Desk::new();
    let mut random = 1u64;
    let x: Vec<f64> = std::iter::repeat_with(|| {
        random = (random * 1_103_515_245 + 12_345) % (1 << 31);
        random as f64 / f64::from(1u32 << 31)
    })
    .take(600)
    .collect();
    let sum = |t: usize| x[t.saturating_sub(11)..=t].iter().sum::<f64>();
    let rows = (0..600).map(|t| format!("{:.4},{:.4}\n", x[t], sum(t)));
    desk.write("sum.csv", "x,y\n".to_owned() + &rows.collect::<String>());
    let task = "name = \"sum\"\n[csv]\nfile = \"sum.csv\"\n[series]\nfeatures = [\"x\"]\ntargets = [\"y\"]\n[shape]\nkind = \"many-to-many\"\n\
                window = 8\nhorizon = 0\n[network]\ncell = \"lstm\"\nhidden = [4]\n[train]\nepochs = 60\nlearning_rate = 0.02\nbatch = 4\n";
    desk.write("sum.toml", task);
    let text = desk.ok("train sum.toml --precision f32 --out sum.kgl --quiet");
    assert!(text.contains("it gives other numbers: RMSE"), "{text}");
    desk.write(
        "carried.toml",
        task.replace("horizon = 0", "horizon = 0\nstateful = true")
            .replace("batch = 4", "batch = 64"),
    );
    let ran = desk.run("train carried.toml --precision f32 --out sum.kgl --quiet");
    assert!(!ran.out.contains("other numbers"), "{}", ran.out);
    let told = "run through as 3 streams side by side, and not as the 64 of train.batch";
    assert!(ran.err.contains(told), "{}", ran.err);
    desk.write("far.toml", task.replace("horizon = 0", "horizon = 5"));
    desk.fails(
        "report far.toml --model sum.kgl --out sum.html",
        1,
        &["the model was made for the row itself, and the task predicts 5 rows ahead"],
    );
}

fn reviews(from: usize, count: usize) -> String {
    let adjectives = [("good", 1), ("fine", 1), ("bad", 0), ("poor", 0)];
    let mut text = String::from("label\ttext\n");
    for k in from..from + count {
        let (adjective, positive) = adjectives[k % 4];
        let negated = k / 4 % 2;
        let start = ["a film that is", "it is", "the \"story\" was", "ending"][k / 8 % 4];
        let not = ["", " not"][negated];
        let end = [" really", " , I think", ""][k / 32 % 3];
        text += &format!("{}\t{start}{not} {adjective}{end}\n", positive ^ negated);
    }
    text
}

const REVIEWS: &str = r#"
name = "reviews"
[documents]
files = { train = "train.tsv", valid = "valid.tsv", test = "test.tsv" }
format = { delimiter = "\t" }
text = "text"
label = { column = "label", classes = [{ name = "negative", labels = ["0"] }, { name = "positive", labels = ["1"] }] }
vocabulary = { lowercase = true }
[shape]
kind = "many-to-one"
window = 8
[network]
cell = "gru"
hidden = [8]
embedding = 8
[train]
learning_rate = 0.02
batch = 24
epochs = 30
word_dropout = 0.02
[output]
precision = "w8a8"
"#;

#[test]
fn texts_are_judged_as_a_whole_and_line_by_line_as_in_training() {
    let desk = Desk::new();
    for (name, from, count) in [("train", 0, 96), ("valid", 1, 40), ("test", 2, 40)] {
        desk.write(&format!("{name}.tsv"), reviews(from, count));
    }
    desk.write("reviews.toml", REVIEWS);
    let text = desk.ok("train reviews.toml --out reviews.kgl");
    let row = |name: &str| text.lines().find(|l| l.starts_with(name)).unwrap();
    assert!(row("naive Bayes").contains("0.5"), "{text}");
    for format in ["f32", "w8a8"] {
        assert_eq!(row(format).matches("1.00000").count(), 3, "{text}");
    }
    desk.write(
        "lines.txt",
        "It is GOOD\nit is not good , surely\n\nending poor\n",
    );
    let answers = desk.ok("predict reviews.kgl --lines lines.txt");
    let classes: Vec<&str> = answers
        .lines()
        .map(|l| l.split(',').next().unwrap())
        .collect();
    assert_eq!(
        [classes[1], classes[2], classes[4]],
        ["positive", "negative", "negative"]
    );
    assert_eq!(classes.len(), 5);
    // A column of texts is read as lines are.
    let tsv = "predict reviews.kgl --delimiter \\t --csv test.tsv";
    let column = desk.ok(tsv);
    let test = String::from_utf8(desk.read("test.tsv")).unwrap();
    let lines: Vec<&str> = test.lines().skip(1).map(|l| &l[2..]).collect();
    desk.write("test.txt", lines.join("\n"));
    assert_eq!(desk.ok("predict reviews.kgl --lines test.txt"), column);
    desk.ok("quantize reviews.f32.kgl --precision w4a8 --calibrate train.tsv --delimiter \\t --out small.kgl");
    desk.ok("verify small.kgl");
    desk.ok("report reviews.toml --model reviews.f32.kgl --with reviews.kgl --out reviews.html");
    let page = String::from_utf8(desk.read("reviews.html")).unwrap();
    assert!(
        page.contains("naive Bayes") && page.contains("after a text of up to 8"),
        "{page}"
    );
    // What says nothing about texts is not passed over.
    for (arguments, words) in [
        ("--lines lines.txt --group a", ["--group", "a line each"]),
        (
            "--lines lines.txt --delimiter ;",
            ["--delimiter", "lines.txt"],
        ),
        (
            "--csv test.tsv --delimiter \\t --every 2",
            ["--every", "a column of texts"],
        ),
        (
            "--csv test.tsv --delimiter \\t --missing hold",
            ["--missing", "test.tsv"],
        ),
    ] {
        desk.fails(&format!("predict reviews.kgl {arguments}"), 2, &words);
    }
    desk.fails(
        "predict reviews.kgl --text lines.txt",
        2,
        &["--lines", "--every-step"],
    );
    desk.fails(
        "predict reviews.kgl --csv test.tsv --columns words --delimiter \\t",
        1,
        &["words", "label, text"],
    );
}

const PAIRS: &str = r#"
name = "words"
[pairs]
files = { train = "pairs.csv", valid = "pairs.csv", test = "pairs.csv" }
vocabulary = { unit = "characters", min_count = 1 }
[shape]
kind = "next-token"
window = 8
[network]
cell = "CELL"
hidden = [24]
embedding = 6
[train]
learning_rate = 0.02
batch = 16
epochs = 120
[output]
precision = "w8a8"
"#;

#[test]
fn an_encoder_and_a_decoder_translate_what_they_were_trained_on() {
    for cell in ["gru", "lstm"] {
        let desk = Desk::new();
        let words = [
            ("one", "uno"),
            ("two", "dos"),
            ("three", "tres"),
            ("four", "cuatro"),
            ("five", "cinco"),
        ];
        let rows: Vec<String> = words.iter().map(|(a, b)| format!("{a},{b}")).collect();
        desk.write("pairs.csv", format!("source,target\n{}\n", rows.join("\n")));
        desk.write("words.toml", PAIRS.replace("CELL", cell));
        let text = desk.ok("train words.toml --out words.kgl --quantized-epochs 2");
        for format in ["f32", "w8a8 rounded", "w8a8  "] {
            let row = text.lines().find(|l| l.starts_with(format)).unwrap();
            assert_eq!(row.matches("1.00000").count(), 3, "{cell}: {text}");
        }
        for side in ["encoder", "decoder", "f32.encoder", "f32.decoder"] {
            desk.ok(&format!("verify words.{side}.kgl"));
            desk.ok(&format!("inspect words.{side}.kgl"));
        }
        let read: Vec<&str> = words.iter().map(|w| w.0).collect();
        desk.write("read.txt", read.join("\n"));
        let said = desk.ok("translate words.encoder.kgl words.decoder.kgl --lines read.txt");
        let expected: Vec<&str> = words.iter().map(|w| w.1).collect();
        assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{cell}");
        desk.fails(
            "translate words.encoder.kgl words.decoder.kgl --lines read.txt --group x",
            2,
            &["--group", "a line each"],
        );
        desk.fails(
            "translate words.decoder.kgl words.encoder.kgl --lines read.txt",
            2,
            &["[pairs]"],
        );
        desk.fails(
            "report words.toml --model words.encoder.kgl --out words.html",
            1,
            &["two models of a pair", "words.encoder.encoder.kgl"],
        );
        desk.ok("report words.toml --model words.f32.kgl --with words.kgl --out words.html");
        let page = String::from_utf8(desk.read("words.html")).unwrap();
        assert!(
            page.contains("<td>words.kgl</td><td>100.0 %</td>"),
            "{page}"
        );
    }
}

#[test]
fn a_task_may_give_a_budget_of_flash_or_cycles() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    let task = TASK.split("[output]").next().unwrap();
    let train = "train pump.toml --out pump.kgl --quiet";
    for (output, words) in [
        (
            "precision = \"mixed\"",
            &["output.precision", "max_flash = \"16K\""][..],
        ),
        (
            "precision = \"mixed\"\nmax_flash = \"6q\"",
            &["output.max_flash", "16K"],
        ),
        ("max_flash = \"6K\"", &["output.max_flash", "mixed"]),
        (
            "precision = \"w8a8\"\nmax_cycles = 9000",
            &["output.max_cycles", "mixed"],
        ),
        ("core = \"cortex-m4\"", &["output.core", "mixed"]),
        (
            "precision = \"mixed\"\nmax_cycles = 9000",
            &["output.max_cycles", "core = \"cortex-m4\""],
        ),
        (
            "precision = \"mixed\"\nmax_cycles = 9000\ncore = \"z80\"",
            &["output.core", "z80", "cortex-m0plus, rv32imc"],
        ),
        (
            "precision = \"mixed\"\ncore = \"cortex-m4\"",
            &["output.precision", "needs a budget"],
        ),
    ] {
        desk.write("pump.toml", format!("{task}\n[output]\n{output}\n"));
        desk.fails(train, 1, words);
    }
    // The network is trained by then, and its checkpoint stays.
    let output = "precision = \"mixed\"\nmax_flash = \"100\"";
    desk.write("pump.toml", format!("{task}\n[output]\n{output}\n"));
    let ran = desk.run(train);
    assert!(ran.err.contains("the smallest model takes"), "{ran:?}");
    let output = "precision = \"mixed\"\nmax_flash = \"8K\"";
    desk.write("pump.toml", format!("{task}\n[output]\n{output}\n"));
    let text = desk.ok(&format!("{train} --quantized-epochs 2"));
    assert!(
        text.contains("chosen") && text.contains("mixed rounded"),
        "{text}"
    );
    desk.ok("verify pump.kgl");

    // The command line comes first, key by key.
    let output = "precision = \"mixed\"\ncore = \"cortex-m4\"\nmax_cycles = 100";
    desk.write("pump.toml", format!("{task}\n[output]\n{output}\n"));
    let ran = desk.run(train);
    assert!(ran.err.contains("the fastest model takes"), "{ran:?}");
    let text = desk.ok(&format!("{train} --max-cycles 9000"));
    assert!(text.contains("Cortex-M4"), "{text}");
    assert!(desk.ok("inspect pump.kgl").contains("cortex-m4"));
    desk.write("pump.toml", task);
    desk.ok(&format!("{train} --precision mixed --max-flash 8K"));
    for (options, words) in [
        ("--precision mixed", &["--max-flash SIZE"][..]),
        ("--precision mixed --max-cycles 9000", &["--core cortex-m4"]),
        ("--max-flash 8K", &["--precision mixed"]),
    ] {
        desk.fails(&format!("{train} {options}"), 2, words);
    }
}

#[test]
fn report_makes_one_page_of_a_task_and_its_models() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    desk.ok("train pump.toml --out pump.kgl --quiet --precision w8a8 --quantized-epochs 2");
    let history = String::from_utf8(desk.read("pump.history.csv")).unwrap();
    assert!(
        history
            .starts_with("phase,epoch,train_loss,valid_loss,best,learning_rate,seconds\nfloat,1,"),
        "{history}"
    );
    assert_eq!(history.lines().count(), 1 + 15 + 2);

    let report = "report pump.toml --model pump.f32.kgl";
    let ran = desk.run(&format!(
        "{report} --with pump.kgl --clock 64MHz --power 20mW --out page.html"
    ));
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            Some(0),
            "page.html: written; the figures at its top are for pump.kgl, the first of --with\n"
        )
    );
    let page = String::from_utf8(desk.read("page.html")).unwrap();
    for word in [
        "15 epochs",
        "Through the engine&#39;s integers: 2 epochs",
        "<td>pump.kgl</td>",
        "<td>w4a8</td>",
        "at 64 MHz",
    ] {
        assert!(page.contains(word), "{word}");
    }
    desk.fails(
        "train pump.toml --out q.kgl --precision f16 --quantized-epochs 2",
        2,
        &["--quantized-epochs", "f16 has none"],
    );
    desk.ok("train pump.toml --out other.kgl --quiet --precision f32");
    fs::remove_file(desk.path("other.history.csv")).unwrap();
    let ran = desk.run("report pump.toml --model other.kgl --out page.html");
    assert_eq!(
        ran.err,
        "note: no learning curves: there is no other.history.csv\npage.html: written; the figures at its top are for w8a16, the task's precision\n"
    );

    desk.imported("lstm_1_5x17");
    desk.write("bad.csv", "a,b\n1,2\n");
    for (arguments, code, words) in [
        (
            format!("{report} --out no/p.html"),
            1,
            &["cannot write no/p.html"][..],
        ),
        (
            "report pump.toml --model none.kgl --out p.html".into(),
            1,
            &["none.kgl: cannot be read"],
        ),
        (
            "report pump.toml --model pump.kgl --out p.html".into(),
            1,
            &[
                "pump.kgl: the model is w8a8 already",
                "f32 model that it was made from",
            ],
        ),
        (
            format!("{report} --with pump.csv --out p.html"),
            1,
            &["pump.csv: ", "expected a file written by `kinglet train`"],
        ),
        (
            "report pump.toml --model lstm_1_5x17.kgl --history pump.history.csv --out p.html"
                .into(),
            1,
            &["the model was not made for this task", "load, temperature"],
        ),
        (
            format!("{report} --with lstm_1_5x17.kgl --out p.html"),
            1,
            &["lstm_1_5x17.kgl: takes 5 inputs and gives 2 outputs; the task has 2 and 1"],
        ),
        (
            format!("{report} --history bad.csv --out p.html"),
            1,
            &["bad.csv: not a training history", "missing field"],
        ),
        (
            format!("{report} --data none.csv --out p.html"),
            1,
            &["none.csv: cannot read"],
        ),
        (
            format!("{report} --core cortex-m4 --out p.html"),
            2,
            &["--core", "--max-cycles"],
        ),
        (
            format!("{report} --clock 64 --out p.html"),
            2,
            &["such as 48MHz"],
        ),
        (
            format!("{report} --power 20MHz --out p.html"),
            2,
            &["such as 20mW"],
        ),
    ] {
        desk.fails(&arguments, code, words);
    }
}

#[test]
fn bad_tasks_are_refused_before_training() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    for (from, to, words) in [
        (
            "hidden = [8]",
            "hiden = [8]",
            &["t.toml", "hiden", "hidden"][..],
        ),
        (
            "file = \"pump.csv\"",
            "file = \"none.csv\"",
            &["none.csv", "cannot read", "No such file"],
        ),
        (
            "\"load\",",
            "\"lode\",",
            &[
                "pump.csv",
                "no column \"lode\"",
                "minute, load, temperature",
            ],
        ),
        ("window = 8", "window = 400", &["window of 400", "300 rows"]),
        ("[200, 50, 50]", "[250, 0, 50]", &["valid part", "0 rows"]),
        (
            "[200, 50, 50]",
            "[200, 90, 50]",
            &["takes 340 rows", "has 300"],
        ),
    ] {
        assert!(TASK.contains(from), "{from}");
        desk.write("t.toml", TASK.replace(from, to));
        desk.fails("train t.toml --out t.kgl", 1, words);
    }
    desk.write("t.toml", TASK);
    for (from, to, words) in [
        ("\n9,", "\n9,1,", "4 fields where 3"),
        ("\n9,", "\n9,warm\n", "2 fields where 3"),
    ] {
        desk.write("bad.csv", pump(300).replace(from, to));
        desk.fails(
            "train t.toml --data bad.csv --out t.kgl",
            1,
            &["bad.csv:11", words],
        );
    }
    let constant: String = pump(300)
        .lines()
        .map(|l| match l.split(',').collect::<Vec<_>>()[..] {
            [minute, "load", t] => format!("{minute},load,{t}\n"),
            [minute, _, t] => format!("{minute},1,{t}\n"),
            _ => unreachable!(),
        })
        .collect();
    desk.write("bad.csv", constant);
    desk.fails(
        "train t.toml --data bad.csv --out t.kgl",
        1,
        &["\"load\" is constant (1)", "remove it"],
    );
    desk.fails(
        "train t.toml --out no/t.kgl",
        1,
        &["cannot write no/t.kgl", "create it"],
    );
    desk.fails(
        "train none.toml --out t.kgl",
        1,
        &["none.toml", "cannot read the task file"],
    );
    desk.fails("train t.toml", 2, &["--out"]);
}

#[test]
fn demo_ends_with_models_that_verify_and_predict() {
    let desk = Desk::new();
    let table = desk.ok("demo --out pump --rows 3000 --epochs 2");
    for line in [
        "last value",
        "f32",
        "w8a16",
        "w8a8",
        "wrote pump/forecast.svg",
        "wrote pump/report.html",
    ] {
        assert!(table.contains(line), "{table}");
    }
    desk.ok("verify pump/pump-w8a8.kgl");
    let lines = desk.ok("predict pump/pump-w8a8.kgl --csv pump/held-out.csv");
    assert_eq!(lines.lines().next(), Some("temperature"));
    assert_eq!(lines.lines().count(), 1 + 600, "{lines}");
    desk.fails("demo --rows 10", 2, &["2000"]);
}

#[test]
fn rows_that_are_sequences_and_words_with_tags_are_read_as_in_training() {
    let desk = Desk::new();
    // Up or down, over eight steps; the first two are not looked at.
    let row = |k: usize| {
        let sign = if k.is_multiple_of(2) { 1.0 } else { -1.0 };
        let step = |t: usize| format!("{:.2}", sign * t as f64 * 0.2 + (k * 7 % 5) as f64 * 0.05);
        let steps: Vec<String> = (0..8).map(step).collect();
        format!("{k},{},{}\n", ["up", "down"][k % 2], steps.join(","))
    };
    let rows: String = (0..120).map(row).collect();
    let header = "id,label,t0,t1,t2,t3,t4,t5,t6,t7\n";
    desk.write("rows.csv", format!("{header}{rows}"));
    desk.write(
        "rows.toml",
        "name = \"ways\"\ncsv = { file = \"rows.csv\" }\n\
         sequences = { steps = [\"t0\", \"t7\"], feature = { column = \"x\" }, label = { column = \"label\", classes = [{ name = \"up\", labels = [\"up\"] }, \
         { name = \"down\", labels = [\"down\"] }] } }\n\
         shape = { kind = \"many-to-one\", window = 6 }\nnetwork = { hidden = [6] }\ntrain = { epochs = 15, learning_rate = 0.02 }\n",
    );
    desk.ok("train rows.toml --out m.kgl --precision w8a8 --quiet");
    let out = desk.ok("predict m.kgl --csv rows.csv --keep label");
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 121, "{out}");
    let right = lines[1..].iter().filter(|line| line[0] == line[1]).count();
    assert!(right > 110, "{right} of 120");
    // The same as step by step.
    let steps: String = (0..120)
        .flat_map(|k| {
            row(k)
                .trim()
                .split(',')
                .skip(4)
                .map(|x| format!("{x}\n"))
                .collect::<Vec<_>>()
        })
        .collect();
    desk.write("steps.csv", format!("x\n{steps}"));
    let stepped = desk.ok("predict m.kgl --csv steps.csv --reset-every 6 --columns x");
    let plain = desk.ok("predict m.kgl --csv rows.csv");
    assert_eq!(plain, stepped);
    desk.ok("quantize m.f32.kgl --precision w8a16 --calibrate rows.csv --out q.kgl");
    // The steps are known by their names, wherever they stand; a row that lacks one is another sequence.
    let turned: String = (0..120)
        .map(|k| {
            let line = row(k);
            let fields: Vec<&str> = line.trim().split(',').collect();
            let steps: Vec<&str> = fields[2..].iter().rev().copied().collect();
            format!("{},99\n", steps.join(","))
        })
        .collect();
    desk.write(
        "turned.csv",
        format!("t7,t6,t5,t4,t3,t2,t1,t0,t8\n{turned}"),
    );
    let ran = desk.succeeds("predict m.kgl --csv turned.csv");
    assert_eq!(plain, ran.out);
    let note = "\"t8\" behind the last of the 6 steps that the model looks at, \"t7\", is left out";
    assert!(ran.err.contains(note), "{}", ran.err);
    desk.write(
        "short.csv",
        format!("{}{rows}", header.replace("t5", "five")),
    );
    desk.fails(
        "predict m.kgl --csv short.csv",
        1,
        &["a sequence of 6 steps, in the columns \"t2\" to \"t7\": \"t5\" is missing; nor is there a column \"x\""],
    );

    let sentence = "# one\n1\tthe\t_\tDET\n2-3\tsheepdog\t_\t_\n2\tsheep\t_\tNOUN\n3\tdog\t_\tNOUN\n4\truns\t_\tVERB\n\n";
    for part in ["train", "dev", "test"] {
        desk.write(&format!("{part}.conllu"), sentence.repeat(30));
    }
    desk.write(
        "tags.toml",
        "name = \"tags\"\ntagged = { files = { train = \"train.conllu\", valid = \"dev.conllu\", test = \"test.conllu\" } }\n\
         shape = { kind = \"many-to-many\", window = 8 }\nnetwork = { embedding = 4, hidden = [6] }\ntrain = { epochs = 2 }\n",
    );
    desk.ok("train tags.toml --out t.kgl --quiet");
    let tagged = desk.ok("predict t.kgl --csv test.conllu");
    desk.write("words.txt", "the sheep dog runs\n".repeat(30));
    assert_eq!(tagged, desk.ok("predict t.kgl --lines words.txt"));
    desk.ok("quantize t.kgl --precision w8a8 --calibrate test.conllu --out q.kgl");
}

/// Steps so large that the weights end in chaos, where rounding is another answer.
const CHAOS: &str = r#"
name = "chaos"
csv = { file = "pump.csv" }
series = { features = ["load", "temperature"], targets = ["temperature"] }
shape = { kind = "many-to-many", window = 16 }
network = { cell = "rnn", hidden = [12, 12] }
train = { epochs = 2, learning_rate = 1.0, clip = 0.0 }
"#;

#[test]
fn integers_that_answer_something_else_are_refused_wherever_they_come_from() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(600));
    desk.write("chaos.toml", CHAOS);
    let pairs = "name = \"chaos\"\npairs = { made = { kind = \"reversal\", pairs = [200, 50, 50] }, vocabulary = { unit = \"characters\" } }\n\
        shape = { kind = \"next-token\", window = 8 }\nnetwork = { cell = \"gru\", hidden = [16, 16], embedding = 8 }\n\
        train = { epochs = 2, learning_rate = 1.0, clip = 0.0 }\n";
    desk.write("pairs.toml", pairs);
    for (train, written, left_out) in [
        ("chaos.toml", "m.f32.kgl", "m.kgl"),
        ("chaos.toml --precision w4a8", "m.f32.kgl", "m.kgl"),
        ("pairs.toml", "m.f32.decoder.kgl", "m.decoder.kgl"),
    ] {
        let precision = if train.contains("precision") {
            ""
        } else {
            "--precision w8a8"
        };
        let line = format!("train {train} {precision} --out m.kgl --quiet");
        let ran = desk.run(&line);
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        let words = "of their spread, more than 5 %";
        assert!(
            ran.err.contains(words) && ran.err.contains("--force"),
            "{line}: {}",
            ran.err
        );
        let files = desk.files();
        let has = |name: &str| files.iter().any(|file| file.ends_with(name));
        // The float model is as it was trained.
        assert!(has(written) && !has(left_out), "{line}: {files:?}");
        desk.ok(&format!("{line} --force"));
        assert!(
            desk.files().iter().any(|file| file.ends_with(left_out)),
            "{line}"
        );
        for file in desk.files().iter().filter(|file| file.ends_with("kgl")) {
            fs::remove_file(desk.path(file)).unwrap();
        }
    }
    // What was trained on through its integers gives answers of its own: they need only be as right as those in f32.
    let trained = desk
        .ok("train chaos.toml --precision w4a8 --quantized-epochs 1 --out m.kgl --quiet --json");
    let trained: serde_json::Value = serde_json::from_str(&trained).unwrap();
    let valid = |k: usize| {
        let rmse = &trained["models"][k]["valid"]["values"][0]["rmse"];
        rmse.as_f64().unwrap()
    };
    assert!(valid(2) <= 1.05 * valid(0), "{trained}");
    // Where only one of a pair is slow, both are.
    desk.write("slow.toml", pairs.replace("0.5", "3.0"));
    desk.ok("train slow.toml --precision w8a8 --out s.kgl --quiet --force");
    let tune = "tune chaos.toml --precision w8a8 --trials 2 --hidden 12..13";
    let refused = desk.run(&format!("{tune} --out a.toml"));
    let all = refused.out + &refused.err;
    assert!(all.contains("does not answer as in f32"), "{all}");
    let forced = desk.ok(&format!("{tune} --out b.toml --force"));
    assert!(!forced.contains("no use"), "{forced}");
}

/// A field of a row without names may happen to be what a column is called.
#[test]
fn a_first_row_that_holds_the_number_of_a_column_is_no_header() {
    let desk = Desk::new();
    let rows: String = (0..60)
        .map(|k| format!("{},{}\n", ["on", "off"][k % 2], k % 7 + 2))
        .collect();
    desk.write("h.csv", &rows);
    desk.write(
        "h.toml",
        "name = \"h\"\ncsv = { file = \"h.csv\", format = { header = \"none\" } }\nseries = { features = [\"2\"], targets = [\"2\"] }\n\
         shape = { kind = \"many-to-many\", window = 4 }\nnetwork = { cell = \"rnn\", hidden = [2] }\ntrain = { epochs = 1 }\n",
    );
    desk.ok("train h.toml --out h.kgl --quiet");
    assert!(rows.starts_with("on,2\n"));
    let answers = desk.ok("predict h.kgl --csv h.csv");
    assert_eq!(answers.lines().count(), 1 + 60, "{answers}");
    // A line that counts the columns may be either.
    desk.write("counted.csv", format!("1,2\n{rows}"));
    desk.fails(
        "predict h.kgl --csv counted.csv",
        2,
        &["counted.csv", "--header first-line or --header none"],
    );
}

/// Where another format errs less than the one that was asked for, `tune` says so; the search goes on from a journal that has it.
#[test]
fn tune_tells_where_it_took_another_format() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(300));
    desk.write("pump.toml", TASK);
    let tune = "tune pump.toml --precision w8a16 --hidden 3..4 --trials 2 --out best.toml";
    let ran = desk.run(tune);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!ran.err.contains("the model is in"), "{}", ran.err);
    let journal = String::from_utf8(desk.read("best.trials.csv")).unwrap();
    assert!(journal.contains(",w8a16,"), "{journal}");
    desk.write("best.trials.csv", journal.replace(",w8a16,", ",w8a8,"));
    let ran = desk.run(tune);
    assert!(
        ran.err
            .contains("errs less than w8a16: the model is in w8a8"),
        "{}",
        ran.err
    );
    assert!(ran.out.contains(" in w8a8; "), "{}", ran.out);
}

#[test]
fn data_in_place_of_a_task_leads_to_init() {
    let desk = Desk::new();
    desk.write("pump.csv", pump(60));
    desk.write("pump.bin", [0xff, 0xfe, 0x00, 0x41]);
    for line in [
        "train pump.csv --out m.kgl",
        "train pump.bin --out m.kgl",
        "tune pump.csv --hidden 4..8 --out best.toml",
    ] {
        let file = line.split(' ').nth(1).unwrap();
        desk.fails(
            line,
            1,
            &["not a task file", &format!("`kinglet init {file}`")],
        );
    }
    // What is misspelt in a task of another name is still told.
    desk.write("pump.task", TASK.replace("name", "nam"));
    desk.fails("train pump.task --out m.kgl", 1, &["unknown key \"nam\""]);
}

#[test]
fn an_imported_convolution_is_trained_on_in_the_units_of_the_data() {
    let desk = Desk::new();
    let network =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/importing/onnx/causal_script.onnx");
    desk.write("net.onnx", fs::read(network).unwrap());
    desk.ok("import net.onnx --names a,b,c --out net.kgl");
    let row = |t: usize| {
        let t = t as f64;
        format!(
            "{:.4},{:.4},{:.4}\n",
            0.8 + (t * 0.2).sin(),
            (t * 0.31).cos(),
            2.0 * (t * 0.17).sin() - 1.5
        )
    };
    desk.write(
        "data.csv",
        format!("a,b,c\n{}", (0..300).map(row).collect::<String>()),
    );
    let task = |rate: f64| {
        format!(
            "name = \"abc\"\n[csv]\nfile = \"data.csv\"\n[series]\nfeatures = [\"a\", \"b\", \"c\"]\ntargets = [{{ column = \"a\" }}, {{ column = \"b\" }}]\n\
             split = {{ rows = [200, 50, 50] }}\n[shape]\nkind = \"many-to-many\"\nwindow = 16\n[network]\ncell = \"gru\"\nhidden = [8]\n\
             [train]\nlearning_rate = {rate}\nepochs = 3\n[output]\nprecision = \"w8a8\"\n"
        )
    };
    // Steps that change nothing leave the network that came: behind what its first samples looked back to, its answers are the same.
    desk.write("still.toml", task(1e-9));
    let told = desk.run("train still.toml --from net.kgl --precision f32 --quiet --out same.kgl");
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.err.contains("looks back 4 samples"), "{}", told.err);
    let answers = |model: &str| {
        let out = desk.ok(&format!("predict {model} --csv data.csv"));
        table(&out).to_owned_rows().1
    };
    let (came, same) = (answers("net.kgl"), answers("same.kgl"));
    for (a, b) in came
        .iter()
        .zip(&same)
        .skip(100)
        .flat_map(|(a, b)| a.iter().zip(b))
    {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    desk.write("task.toml", task(0.01));
    desk.ok("train task.toml --from net.kgl --quantized-epochs 4 --quiet --force --out on.kgl");
    let seen = desk.ok("inspect on.kgl");
    assert!(seen.contains("conv") && seen.contains("w8a8"), "{seen}");
    let valid = losses(
        &String::from_utf8(desk.read("on.history.csv")).unwrap(),
        "valid_loss",
    );
    let least = valid.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least < 0.95 * valid[0], "{valid:?}");

    // A frame that is padded with zeros cannot have its mean taken away.
    let spectral =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/importing/onnx/spectral_script.onnx");
    desk.write("frames.onnx", fs::read(spectral).unwrap());
    desk.ok("import frames.onnx --out frames.kgl");
    let seen = desk.ok("inspect frames.kgl");
    assert!(seen.contains("input     x0 to x11, 12 alike: "), "{seen}");
    let names: Vec<String> = (0..12).map(|k| format!("x{k}")).collect();
    let frames: String = (0..300usize)
        .map(|t| {
            let at = |k: usize| format!("{:.4}", ((t * 12 + k) as f64 * 0.4).sin() + k as f64);
            (0..12).map(at).collect::<Vec<_>>().join(",") + "\n"
        })
        .collect();
    desk.write("frames.csv", format!("{}\n{frames}", names.join(",")));
    let features = names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>();
    let task = task(0.01)
        .replace("data.csv", "frames.csv")
        .replace("\"a\", \"b\", \"c\"", &features.join(", "))
        .replace(
            "{ column = \"a\" }, { column = \"b\" }",
            "{ column = \"x0\" }",
        );
    desk.write("frames.toml", task);
    desk.fails(
        "train frames.toml --from frames.kgl --out out.kgl",
        1,
        &[
            "convolution over the numbers of a sample",
            "`normalise = \"none\"`",
        ],
    );
}

#[test]
fn convolutions_with_strides_and_pools_are_trained_and_trained_on() {
    let desk = Desk::new();
    let row = |t: usize| {
        let t = t as f64;
        let [a, b] = [(t * 0.2).sin(), (t * 0.31).cos()];
        format!("{a:.4},{b:.4},{:.4}\n", a * b)
    };
    desk.write(
        "data.csv",
        format!("a,b,c\n{}", (0..400).map(row).collect::<String>()),
    );
    let task = |window: usize, conv: &str, rate: f64| {
        format!(
            "name = \"abc\"\n[csv]\nfile = \"data.csv\"\n[series]\nfeatures = [\"a\", \"b\", \"c\"]\ntargets = [{{ column = \"a\" }}, {{ column = \"b\" }}]\n\
             split = {{ rows = [280, 60, 60] }}\n[shape]\nkind = \"many-to-one\"\nwindow = {window}\n[network]\nconv = [{conv}]\nhidden = [8]\n\
             [train]\nlearning_rate = {rate}\nepochs = 12\nbatch = 16\n[output]\nprecision = \"w8a8\"\n"
        )
    };
    let conv = "{ filters = 6, kernel = 3, pool = 2 }, { filters = 6, kernel = 2, stride = 2 }, { filters = 4, kernel = 2, pool = 2, pool_kind = \"mean\" }";
    desk.write("task.toml", task(24, conv, 0.03));
    desk.ok("train task.toml --quantized-epochs 3 --quiet --force --out rare.kgl");
    let seen = desk.ok("inspect rare.kgl");
    assert!(
        seen.contains("max of 2 every 2 from 1") && seen.contains("mean of 2 every 2 from 1"),
        "{seen}"
    );
    let history = String::from_utf8(desk.read("rare.history.csv")).unwrap();
    let valid = losses(&history, "valid_loss");
    let least = valid.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least < 0.8 * valid[0], "{valid:?}");
    let answers = desk.ok("predict rare.kgl --csv data.csv");
    assert_eq!(answers.lines().count(), 1 + 400 - 23, "{answers}");

    // Steps that change nothing leave an imported network as it came, but for what its convolutions see before the windows.
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/importing/keras/pooled.keras");
    desk.write("net.keras", fs::read(network).unwrap());
    desk.ok("import net.keras --names a,b,c --out net.kgl");
    desk.write("still.toml", task(24, "", 1e-9));
    desk.ok("train still.toml --from net.kgl --precision f32 --quiet --force --out same.kgl");
    let table_of = |model: &str| {
        let out = desk.ok(&format!("predict {model} --csv data.csv"));
        table(&out).to_owned_rows().1
    };
    let (came, same) = (table_of("net.kgl"), table_of("same.kgl"));
    assert_eq!(came.len(), 400 - 23);
    for (a, b) in came.iter().flatten().zip(same.iter().flatten()) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }

    let both = "{ filters = 6, kernel = 3, pool = 2, stride = 2 }";
    for (window, conv, part) in [
        (7, conv, "first answer comes with sample 8"),
        (24, both, "a stride and a pool in one convolution"),
    ] {
        desk.write("bad.toml", task(window, conv, 0.01));
        desk.fails("train bad.toml --out bad.kgl", 1, &[part]);
    }
    let every = task(24, conv, 0.01).replace("many-to-one", "many-to-many");
    desk.write("bad.toml", every);
    desk.fails("train bad.toml --out bad.kgl", 1, &["only for many-to-one"]);
}

#[test]
fn a_recording_goes_through_a_model_as_a_table_does() {
    use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
    let desk = Desk::new();
    desk.write(
        "amp.json",
        r#"{"rnn.weight_ih_l0": [[0.9]], "rnn.weight_hh_l0": [[0.4]], "rnn.bias_ih_l0": [0.1], "rnn.bias_hh_l0": [0.0],
            "head.weight": [[1.4]], "head.bias": [0.05]}"#,
    );
    desk.ok("import amp.json --nonlinearity tanh --order rnn,head --out amp.kgl");
    let wave: Vec<f64> = (0..2000)
        .map(|t| 0.9 * (f64::from(t) * 0.07).sin())
        .collect();
    let spec = |channels, bits, sample_format| WavSpec {
        channels,
        sample_rate: 44_100,
        bits_per_sample: bits,
        sample_format,
    };
    let record = |name: &str, spec: WavSpec| {
        let mut writer = WavWriter::create(desk.path(name), spec).unwrap();
        for x in wave.iter().flat_map(|x| vec![x; spec.channels.into()]) {
            match spec.sample_format {
                SampleFormat::Float => writer.write_sample(*x as f32).unwrap(),
                SampleFormat::Int => {
                    let full = 2f64.powi(i32::from(spec.bits_per_sample) - 1);
                    writer.write_sample((x * full) as i32).unwrap();
                }
            }
        }
        writer.finalize().unwrap();
    };
    for (bits, format) in [
        (8, SampleFormat::Int),
        (16, SampleFormat::Int),
        (24, SampleFormat::Int),
        (32, SampleFormat::Int),
        (32, SampleFormat::Float),
    ] {
        let spec = spec(1, bits, format);
        record("in.wav", spec);
        let full = 2f64.powi(i32::from(bits) - 1);
        let read = |name: &str| -> Vec<f64> {
            let mut reader = WavReader::open(desk.path(name)).unwrap();
            assert_eq!(reader.spec(), spec);
            match format {
                SampleFormat::Float => reader.samples::<f32>().map(|x| x.unwrap().into()).collect(),
                SampleFormat::Int => {
                    let whole = reader.samples::<i32>();
                    whole.map(|x| f64::from(x.unwrap()) / full).collect()
                }
            }
        };
        let told = desk.run("predict amp.kgl --wav in.wav --out out.wav");
        assert_eq!(told.code, Some(0), "{}", told.err);
        let told = told.err;
        assert!(told.contains("44100 samples a second"), "{told}");
        let rows: String = read("in.wav").iter().map(|x| format!("{x}\n")).collect();
        desk.write("in.csv", format!("x0\n{rows}"));
        let (_, expected) = table(&desk.ok("predict amp.kgl --csv in.csv")).to_owned_rows();
        let found = read("out.wav");
        assert_eq!(found.len(), expected.len());
        let half = match format {
            SampleFormat::Float => 0.0,
            SampleFormat::Int => 0.5 / full,
        };
        let beyond = expected.iter().filter(|y| y[0].abs() > 1.0).count();
        assert!(beyond > 0, "the network is loud enough");
        assert!(told.contains("lie beyond full scale"), "{told}");
        for (found, expected) in found.iter().zip(&expected) {
            let y = f64::from(expected[0]);
            let expected = match format {
                SampleFormat::Float => y,
                SampleFormat::Int => y.clamp(-1.0, 1.0 - 1.0 / full),
            };
            assert!(
                (found - expected).abs() <= half + 1e-6,
                "{bits} bits: {found}, expected {expected}"
            );
        }
    }
    desk.ok(
        "import amp.json --nonlinearity tanh --order rnn,head --sample-rate 48000 --out fast.kgl",
    );
    desk.fails(
        "predict fast.kgl --wav in.wav --out out.wav",
        1,
        &[
            "in.wav: 44100 samples a second, and the network was trained on 48000",
            "sox IN.wav -r 48000 OUT.wav",
        ],
    );
    record("stereo.wav", spec(2, 16, SampleFormat::Int));
    desk.fails(
        "predict amp.kgl --wav stereo.wav --out out.wav",
        1,
        &["stereo.wav: 2 channels, and the model has 1 input", "remix"],
    );
    let whole = desk.read("in.wav");
    desk.write("cut.wav", &whole[..whole.len() - 7]);
    desk.fails_after_notes(
        "predict amp.kgl --wav cut.wav --out new.wav",
        1,
        &["cut.wav: not a whole WAV file"],
    );
    assert!(!desk.path("new.wav").exists());
    desk.fails("predict amp.kgl --wav in.wav", 2, &["--out"]);
    desk.fails(
        "predict amp.kgl --wav in.wav --out in.wav",
        1,
        &["which is read"],
    );
    desk.fails(
        "predict amp.kgl --wav in.wav --out out.wav --columns a",
        2,
        &["--columns"],
    );
    desk.fails(
        "predict amp.kgl --wav in.csv --out out.wav",
        1,
        &["in.csv: not a whole WAV"],
    );
}

#[test]
fn a_text_too_short_for_a_network_from_both_ends_is_told() {
    let desk = Desk::new();
    let matrix = |rows: usize, columns: usize| {
        let number = |k: usize| format!("{:.1}", ((k * 7 + rows) % 11) as f32 / 10.0 - 0.5);
        let row = |r: usize| {
            let numbers = (0..columns).map(|c| number(r * columns + c));
            format!("[{}]", numbers.collect::<Vec<_>>().join(","))
        };
        format!("[{}]", (0..rows).map(row).collect::<Vec<_>>().join(","))
    };
    let vector = |n: usize| matrix(1, n).replace("[[", "[").replace("]]", "]");
    let mut tensors = vec![
        format!("\"embed.weight\": {}", matrix(11, 2)),
        format!("\"fc.weight\": {}", matrix(1, 4)),
        format!("\"fc.bias\": {}", vector(1)),
    ];
    for end in ["", "_reverse"] {
        tensors.push(format!("\"rnn.weight_ih_l0{end}\": {}", matrix(8, 2)));
        tensors.push(format!("\"rnn.weight_hh_l0{end}\": {}", matrix(8, 2)));
        tensors.push(format!("\"rnn.bias_ih_l0{end}\": {}", vector(8)));
        tensors.push(format!("\"rnn.bias_hh_l0{end}\": {}", vector(8)));
    }
    desk.write("both.json", format!("{{{}}}", tensors.join(",")));
    let ran = desk.succeeds("import both.json --window 3 --ignore fc.bias --out both.kgl");
    let left_out = "--ignore leaves out `fc.bias`: the model is a network without what is left out";
    assert!(ran.err.contains(left_out), "{}", ran.err);
    desk.succeeds("import both.json --window 3 --out both.kgl");
    desk.write("short.csv", "text\n0 1 2\n3 4\n4 3 2 1\n");
    let short = [
        "short.csv:3",
        "a text of 2 words",
        "reads 3 at once",
        "--on-error skip",
    ];
    let quantize = "quantize both.kgl --precision w8a8 --calibrate short.csv --force --out q.kgl";
    desk.fails(quantize, 1, &short);
    desk.succeeds(&format!("{quantize} --on-error skip"));
    let said = desk.succeeds("predict both.kgl --csv short.csv --on-error skip");
    assert_eq!(said.out.lines().count(), 1 + 2, "{}", said.out);
    // Tokens one a row are no texts.
    desk.write("tokens.csv", "token\n0\n1\n2\n3\n");
    let alone = ["its only column is called \"token\"", "--columns token"];
    desk.fails("predict both.kgl --csv tokens.csv", 1, &alone);
}
