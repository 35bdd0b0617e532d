//! Pairs whose encoder takes numbers: a row, or the rows of a group, become a text.

mod desk;

use desk::Desk;

const TASK: &str = r#"
name = "valve"
[pairs]
files = { train = "rows.csv", valid = "rows.csv", test = "rows.csv" }
features = ["flow", "heat"]
dense = [{ units = 8 }]
vocabulary = { min_count = 1 }
[shape]
kind = "next-token"
window = 6
[network]
cell = "gru"
hidden = [16]
embedding = 6
[train]
learning_rate = 0.02
batch = 8
epochs = 80
[output]
precision = "w8a8"
"#;

/// A file of such a row of an answer's table, in which all three parts are right.
#[track_caller]
fn is_right(table: &str, format: &str) {
    let row = table.lines().find(|line| line.starts_with(format)).unwrap();
    assert_eq!(row.matches("1.00000").count(), 3, "{table}");
}

/// Of raw values that are far from those of a network.
fn said_of(flow: f32, heat: f32) -> String {
    let flow = if flow > 250.0 {
        "flows fast"
    } else {
        "hardly flows"
    };
    let heat = if heat > 0.03 { "and is hot" } else { "" };
    format!("{flow} {heat}").trim().to_owned()
}

/// Rows, and what is said of each.
fn rows() -> (String, Vec<String>) {
    let (mut rows, mut said) = ("flow,heat,target\n".to_owned(), Vec::new());
    for k in 0..40 {
        let flow = 200.0 + 100.0 * (k % 2) as f32 + k as f32 / 4.0;
        let heat = 0.02 + 0.02 * (k / 2 % 2) as f32;
        said.push(said_of(flow, heat));
        rows += &format!("{flow},{heat},{}\n", said[k]);
    }
    (rows, said)
}

#[test]
fn a_row_of_numbers_becomes_a_text() {
    let desk = Desk::new();
    let (rows, said) = rows();
    desk.write("rows.csv", &rows);
    let pair = "valve.encoder.kgl valve.decoder.kgl";
    for cell in ["lstm", "gru"] {
        desk.write("valve.toml", TASK.replace("gru", cell));
        let trained = desk.ok("train valve.toml --quantized-epochs 2 --out valve.kgl");
        for format in ["f32", "w8a8 rounded", "w8a8  "] {
            is_right(&trained, format);
        }
        let told = desk.ok(&format!("translate {pair} --csv rows.csv"));
        assert_eq!(told.lines().collect::<Vec<_>>(), said, "{cell}");
    }
    for side in ["encoder", "decoder"] {
        desk.ok(&format!("verify valve.{side}.kgl"));
    }
    desk.ok("report valve.toml --model valve.f32.kgl --with valve.kgl --out valve.html");
    let page = desk.text("valve.html");
    assert!(page.contains("samples of 2 numbers") && page.contains("BLEU"));

    let told = |arguments: &str| format!("translate {pair} {arguments}");
    desk.fails_after_notes(&told("--lines rows.csv"), 2, &["tokens"]);
    desk.fails_after_notes(&format!("chat {pair}"), 2, &["tokens"]);
    desk.fails_after_notes(&told(""), 2, &["--lines"]);
    desk.write("other.csv", "flow,cold\n1,2\n");
    desk.fails_after_notes(&told("--csv other.csv"), 1, &["heat"]);
    desk.write("other.csv", "flow,heat\n200,0.02\n201\n");
    desk.fails_after_notes(&told("--csv other.csv"), 1, &["other.csv:3: 1 fields"]);
    desk.write("other.csv", "flow,heat\n200,warm\n");
    desk.fails_after_notes(&told("--csv other.csv"), 1, &["other.csv:2: column"]);
}

#[test]
fn what_was_read_stands_beside_every_token() {
    let desk = Desk::new();
    let (rows, said) = rows();
    desk.write("rows.csv", &rows);
    let task = TASK.replace("[shape]", "joined = 10\n[shape]");
    let pair = "valve.encoder.kgl valve.decoder.kgl";
    for format in ["w8a8", "w4a8"] {
        desk.write("valve.toml", task.replace("w8a8", format));
        let trained = desk.ok("train valve.toml --quantized-epochs 4 --out valve.kgl");
        is_right(&trained, "f32");
        is_right(&trained, &format!("{format}  "));
        for kernels in ["", "--kernels scalar"] {
            let told = desk.ok(&format!("translate {pair} --csv rows.csv {kernels}"));
            assert_eq!(told.lines().collect::<Vec<_>>(), said, "{format} {kernels}");
        }
        for side in ["encoder", "decoder"] {
            desk.ok(&format!("verify valve.{side}.kgl"));
            // 6 of a token, 10 of what was read.
            let shown = desk.ok(&format!("inspect valve.{side}.kgl"));
            assert!(
                shown.contains("mingru-tanh") && shown.contains("16"),
                "{shown}"
            );
        }
    }
    desk.write("valve.toml", task.replace("joined = 10", "joined = 0"));
    desk.fails_after_notes(
        "train valve.toml --out valve.kgl",
        1,
        &["joined", "at least 1"],
    );
}

#[test]
fn the_rows_of_a_group_become_one_text() {
    let desk = Desk::new();
    let (mut rows, mut said) = ("clip;flow;heat;target\n".to_owned(), Vec::new());
    for k in 0..40 {
        // It rises or falls, and only the order of the rows tells.
        let (rises, long) = (k % 2 == 0, 3 + k % 3);
        said.push(if rises { "opens" } else { "closes" });
        for t in 0..long {
            let flow = if rises { t } else { long - 1 - t };
            // The text stands in one row of the group.
            let target = if t == 1 { said[k] } else { "" };
            rows += &format!("c{k};{flow};{};{target}\n", k / 2 % 2);
        }
    }
    desk.write("rows.csv", &rows);
    let task = TASK.replace(
        "[shape]",
        "group = \"clip\"\nformat = { delimiter = \";\" }\n[shape]",
    );
    desk.write("valve.toml", &task);
    is_right(&desk.ok("train valve.toml --out valve.kgl"), "w8a8");

    // The model knows how a file is written, and how its rows belong together.
    let pair = "valve.encoder.kgl valve.decoder.kgl";
    let told = desk.ok(&format!("translate {pair} --csv rows.csv"));
    assert_eq!(told.lines().collect::<Vec<_>>(), said);
    desk.write("alone.csv", "flow;heat\n3;0\n2;0\n1;0\n0;0\n");
    let told = desk.ok(&format!("translate {pair} --csv alone.csv"));
    assert_eq!(told, "closes\n");
    desk.write("apart.csv", "clip;flow;heat\na;0;0\nb;0;0\na;1;0\n");
    desk.fails_after_notes(
        &format!("translate {pair} --csv apart.csv"),
        1,
        &["row 3: \"a\" comes again"],
    );

    let two = rows.replace("c0;0;0;", "c0;0;0;closes");
    desk.write("rows.csv", &two);
    desk.fails_after_notes("train valve.toml --out valve.kgl", 1, &["rows.csv:3: column \"target\": \"opens\", where line 2 of the same group has \"closes\""]);
}

#[test]
fn what_cannot_be_learnt_is_told_with_its_place() {
    let desk = Desk::new();
    let train = |task: &str, rows: &str, words: &str| {
        desk.write("rows.csv", rows);
        desk.write("valve.toml", task);
        desk.fails_after_notes("train valve.toml --out valve.kgl", 1, &[words]);
    };
    let (rows, _) = rows();
    train(TASK, &rows.replace("heat", "cold"), "no column \"heat\"");
    train(
        TASK,
        &rows.replace(",target", ",told"),
        "no column \"target\"",
    );
    train(
        TASK,
        "flow,heat,target\n1,2,a\n1,2\n",
        "rows.csv:3: 2 fields",
    );
    train(
        TASK,
        "flow,heat,target\n1,2,a\n1,,b\n",
        "rows.csv:3: column \"heat\"",
    );
    train(
        TASK,
        "flow,heat,target\n1,2,a\n2,2,b\n",
        "column \"heat\" is constant (2)",
    );
    train(
        TASK,
        "flow,heat,target\n1,2,\n2,3,\n",
        "column \"target\" is empty in all 2 pairs",
    );
    let with = |line: &str| TASK.replace("dense =", &format!("{line}\ndense ="));
    let held = with("format = { missing = \"hold\" }");
    train(&held, &rows, "every row is a sequence of its own");
    let made = with("made = { kind = \"scenes\", pairs = [9, 9, 9] }");
    train(&made, &rows, "what is made up has its own");
    let texts = TASK.replace("features = [\"flow\", \"heat\"]", "");
    train(&texts, &rows, "texts have an embedding");
}
