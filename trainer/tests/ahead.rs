//! Many steps ahead: the quantiles of paths, against those of a process that are known by hand.

mod desk;

use desk::{Desk, Ran};
use std::fmt::Write;

/// `x ← 0.9 x + e`, where e has mean 0 and deviation 1.
fn process(rows: usize) -> String {
    let mut table = String::from("t,x\n");
    let (mut x, mut noise) = (0.0, 7u32);
    let mut uniform = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(noise >> 8) / f64::from(1 << 24)
    };
    for t in 0..rows {
        // Twelve uniform ones are nearly normal.
        x = 0.9 * x + (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        writeln!(table, "{t},{x:.4}").unwrap();
    }
    table
}

const TASK: &str = r#"
name = "ar"
[csv]
file = "ar.csv"
[series]
features = ["x"]
targets = ["x"]
[shape]
kind = "many-to-many"
window = 32
[network]
cell = "gru"
hidden = [4]
[train]
learning_rate = 0.02
schedule = "cosine"
batch = 4
epochs = 30
[output]
precision = "w8a8"
"#;

/// The numbers of the columns in a line that is `back` lines before the end.
fn columns(table: &str, names: [&str; 3], back: usize) -> [f64; 3] {
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let line: Vec<&str> = table.lines().rev().nth(back).unwrap().split(',').collect();
    names.map(|name| {
        let place = header.iter().position(|field| *field == name).unwrap();
        line[place].parse().unwrap()
    })
}

#[test]
fn paths_spread_as_the_process_does() {
    let desk = Desk::new();
    desk.write("ar.csv", process(4000));
    let last: f64 = process(4000)
        .lines()
        .last()
        .unwrap()
        .split(',')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    for (quantiles, said) in [
        ("", "errors on these rows"),
        ("quantiles = [0.1, 0.5, 0.9]\n[shape]", "own quantiles"),
    ] {
        let task = match quantiles {
            "" => TASK.to_owned(),
            keys => TASK.replace("[shape]", keys),
        };
        desk.write("ar.toml", task);
        desk.ok("train ar.toml --out ar.kgl --force --quiet");
        let ahead = "predict ar.kgl --csv ar.csv --ahead 12 --paths 4000";
        let Ran {
            out: table,
            err: notes,
            ..
        } = desk.succeeds(ahead);
        assert!(notes.contains(said), "{notes}");
        assert_eq!(table.lines().count(), 1 + 4000 + 12);
        assert_eq!(desk.ok(ahead), table);
        for line in 1..=12 {
            // The answer to the last row is about one row ahead.
            let steps = f64::from(line) + 1.0;
            let deviation = ((1.0 - 0.81f64.powf(steps)) / (1.0 - 0.81)).sqrt();
            let [low, middle, high] =
                columns(&table, ["x_q10", "x_q50", "x_q90"], 12 - line as usize);
            // Of a normal distribution 80 % lie within 1.2816 deviations.
            let spread = (high - low) / (2.0 * 1.2816 * deviation);
            assert!(
                (spread - 1.0).abs() < 0.15,
                "{said}, {steps} ahead: {spread}"
            );
            let mean = last * 0.9f64.powf(steps);
            assert!(
                (middle - mean).abs() < 0.35 * deviation,
                "{said}, {steps}: {middle}, {mean}"
            );
        }
    }
    // Without paths the middle is fed back, and what is around it is that of one step.
    let table = desk.ok("predict ar.kgl --csv ar.csv --ahead 12");
    let [low, _, high] = columns(&table, ["x_q10", "x_q50", "x_q90"], 0);
    assert!(high - low < 1.3 * 2.0 * 1.2816, "{low} {high}");

    desk.write("ar.toml", TASK);
    desk.ok("train ar.toml --out ar.kgl --force --quiet");
    let table =
        desk.ok("predict ar.kgl --csv ar.csv --ahead 2 --paths 100 --quantiles 0.25,0.75 --json");
    let lines: Vec<serde_json::Value> = table
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines[0]["x_q25"].is_null() && lines[4001]["x_q25"].is_number(),
        "{}",
        lines[4001]
    );
    assert!(lines[4001]["x_q25"].as_f64() < lines[4001]["x_q75"].as_f64());
    desk.ok("report ar.toml --model ar.f32.kgl --ahead 8 --out ar.html");
    let page = desk.text("ar.html");
    assert!(page.contains("Fan of x") && page.contains("errors on the validation part"));
    // How much of what came lay within 80 % of the paths, one, four and eight rows ahead.
    let table = page.split("came within 80 % of the paths").nth(1).unwrap();
    let rows: Vec<&str> = table.split("<tr><td>").skip(1).take(3).collect();
    for (row, steps) in rows.iter().zip(["1", "4", "8"]) {
        let mut cells = row
            .split("</td>")
            .map(|cell| cell.trim_start_matches("<td>"));
        assert_eq!(cells.next(), Some(steps));
        let within: f64 = cells
            .next()
            .unwrap()
            .trim_end_matches(" %")
            .parse()
            .unwrap();
        assert!((60.0..=97.5).contains(&within), "{row}");
    }
    for (arguments, words) in [
        ("--paths 100", "--ahead"),
        (
            "--ahead 2 --paths 100 --quantiles 10,90",
            "above 0 and below 1",
        ),
        ("--ahead 2 --quantiles 0.5", "--paths"),
    ] {
        let predict = format!("predict ar.kgl --csv ar.csv {arguments}");
        desk.fails_after_notes(&predict, 2, &[words]);
    }
    desk.write("one.csv", "t,x\n0,1\n");
    let predict = "predict ar.kgl --csv one.csv --ahead 2 --paths 100";
    desk.fails_after_notes(predict, 1, &["give more rows"]);
}
