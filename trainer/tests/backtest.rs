//! `kinglet backtest`, as a user runs it: what it says of a device is what `kinglet predict` says of its rows.

mod desk;

use desk::{Desk, Ran};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RowAccessor;
use parquet::schema::parser::parse_message_type;
use std::fs;
use std::fs::File;
use std::sync::Arc;

const TASK: &str = "name = \"wave\"\n[csv]\nfile = \"wave.csv\"\n[series]\nfeatures = [\"x\"]\ntargets = [\"x\"]\ngroup = \"device\"\n\
    [shape]\nkind = \"many-to-many\"\nwindow = 16\n[network]\ncell = \"gru\"\nhidden = [4]\n[train]\nepochs = 3\n\
    learning_rate = 0.02\n[anomaly]\nsmoothing = 0.2\n[output]\nprecision = \"w8a8\"\n";
const DEVICES: usize = 3;
const STEPS: usize = 200;

/// A device's wave, and on the second device a bump.
fn x(device: usize, t: usize) -> f64 {
    let t = t as f64;
    let bump = if device == 1 && t > 60.0 && t < 90.0 {
        2.0
    } else {
        0.0
    };
    let x = f64::sin(t / (6 + device) as f64) + 0.1 * f64::sin(1.7 * t) + bump;
    (x * 1e4).round() / 1e4
}

/// A folder with a model in f32 and in w8a8.
fn trained() -> Desk {
    let desk = Desk::new();
    let mut rows = String::from("device,x\n");
    for device in 0..DEVICES {
        for t in 0..400 {
            let x = if device == 1 { x(0, t) } else { x(device, t) };
            rows += &format!("d{device},{x}\n");
        }
    }
    desk.write("wave.csv", rows);
    desk.write("wave.toml", TASK);
    desk.ok("train wave.toml --out wave.kgl --quiet");
    desk
}

impl Desk {
    /// Rows of all devices in turns, from `from` up to `to`.
    fn csv(&self, name: &str, from: usize, to: usize) {
        let mut rows = String::from("t,device,x\n");
        for t in from..to {
            (0..DEVICES).for_each(|d| rows += &format!("{t},d{d},{}\n", x(d, t)));
        }
        self.write(name, rows);
    }

    /// The same as Parquet, in row groups of 100 steps.
    fn parquet(&self, name: &str, from: usize, to: usize) {
        self.parquet_in(name, from, to, ("MILLIS", 1));
    }

    /// The same with times in another unit, so many to a millisecond.
    fn parquet_in(&self, name: &str, from: usize, to: usize, (unit, many): (&str, i64)) {
        let schema = format!(
            "message rows {{ required int64 t (TIMESTAMP({unit}, true)); required binary device (STRING); optional double x; }}"
        );
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let file = File::create(self.path(name)).unwrap();
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
        for start in (from..to).step_by(100) {
            let rows = (start..to.min(start + 100)).flat_map(|t| (0..DEVICES).map(move |d| (t, d)));
            let rows: Vec<(usize, usize)> = rows.collect();
            let mut group = writer.next_row_group().unwrap();
            let times: Vec<i64> = rows.iter().map(|row| row.0 as i64 * many).collect();
            let names: Vec<ByteArray> = rows
                .iter()
                .map(|row| format!("d{}", row.1).as_str().into())
                .collect();
            let values: Vec<f64> = rows.iter().map(|row| x(row.1, row.0)).collect();
            let levels = vec![1; rows.len()];
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<Int64Type>()
                .write_batch(&times, None, None)
                .unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&names, None, None)
                .unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<DoubleType>()
                .write_batch(&values, Some(&levels), None)
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
    }

    /// The table of devices, as text.
    fn devices(&self, name: &str) -> Vec<String> {
        let file = File::open(self.path(name)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().to_string())
            .collect()
    }
}

/// What `predict` says of a model: prediction, score and alarm of every row of a device.
fn predicted(desk: &Desk, model: &str, device: usize) -> Vec<(f64, bool)> {
    let out = desk.ok(&format!("predict {model} --csv fleet.csv"));
    let of = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let mine = fields[0] == format!("d{device}");
        mine.then(|| (fields[1].parse().unwrap(), fields[3] == "1"))
    };
    out.lines().skip(1).filter_map(of).collect()
}

#[test]
fn a_device_has_the_figures_of_a_prediction() {
    let desk = trained();
    desk.csv("fleet.csv", 0, STEPS);
    desk.ok("backtest wave.f32.kgl wave.kgl --data fleet.csv --time t --out devices.parquet --report page.html");
    let file = File::open(desk.path("devices.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), DEVICES);
    for (device, row) in rows.iter().enumerate() {
        assert_eq!(row.get_string(0).unwrap(), &format!("d{device}"));
        assert_eq!(row.get_long(1).unwrap(), STEPS as i64);
        let both = ["wave.f32.kgl", "wave.kgl"].map(|model| predicted(&desk, model, device));
        for (k, said) in both.iter().enumerate() {
            let squares = (1..STEPS).map(|t| (said[t - 1].0 - x(device, t)).powi(2));
            let rmse = (squares.sum::<f64>() / (STEPS - 1) as f64).sqrt();
            let found = row.get_double(4 + k).unwrap();
            assert!(
                (found / rmse - 1.0).abs() < 1e-5,
                "{device} {k}: {found} for {rmse}"
            );
            let begins = (0..STEPS).filter(|&t| said[t].1 && (t == 0 || !said[t - 1].1));
            assert_eq!(
                row.get_long(6 + k).unwrap(),
                begins.count() as i64,
                "{device} {k}"
            );
        }
        let differ = (0..STEPS).filter(|&t| both[0][t].0 != both[1][t].0);
        assert_eq!(row.get_long(12).unwrap(), differ.count() as i64);
        assert_eq!(row.get_string(15).unwrap(), "0");
    }
    // The bump is an alarm for both models, which neither gains nor loses.
    assert!(rows[1].get_long(6).unwrap() > 0);
    let page = desk.text("page.html");
    roxmltree::Document::parse_with_options(
        &page,
        roxmltree::ParsingOptions {
            allow_dtd: true,
            ..Default::default()
        },
    )
    .unwrap();
    assert!(page.contains("wave.f32.kgl") && page.contains("d1"));
}

#[test]
fn files_and_formats_cut_a_fleet_anywhere() {
    let desk = trained();
    desk.csv("fleet.csv", 0, STEPS);
    for (from, to, n) in [(0, 70, 0), (70, 133, 1), (133, STEPS, 2)] {
        desk.csv(&format!("part-{n}.csv"), from, to);
        desk.parquet(&format!("part-{n}.parquet"), from, to);
    }
    let mut tables = Vec::new();
    for (data, text) in [
        ("fleet.csv", true),
        ("part-*.csv", true),
        ("part-*.parquet", false),
    ] {
        let Ran { err, .. } = desk.succeeds(&format!(
            "backtest wave.f32.kgl wave.kgl --data {data} --out devices.parquet"
        ));
        assert_eq!(err.contains("are read as text"), text, "{data}: {err}");
        tables.push(desk.devices("devices.parquet"));
    }
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[0], tables[2]);
    let out = desk.ok("backtest wave.kgl wave.kgl --data part-*.parquet --time t --json");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&json["rows"], &json["differing"]),
        (&600.into(), &0.into())
    );
    // A file per device is called by its name.
    for device in 0..DEVICES {
        let rows: String = (0..STEPS).map(|t| format!("{}\n", x(device, t))).collect();
        desk.write(&format!("d{device}.csv"), format!("x\n{rows}"));
    }
    desk.ok(
        "backtest wave.f32.kgl wave.kgl --group  --data d0.csv d1.csv d2.csv --out devices.parquet"
            .replace("--group ", "--group=")
            .as_str(),
    );
    assert_eq!(desk.devices("devices.parquet"), tables[0]);
    // Of one name, in another folder: another device.
    fs::create_dir(desk.path("later")).unwrap();
    desk.write("later/d0.csv", "x\n0.5\n");
    let out = desk.ok("backtest wave.f32.kgl wave.kgl --group= --data d0.csv later/d0.csv --json");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["devices"], 2, "{out}");
}

#[test]
fn a_broken_row_ends_its_device_alone_and_is_told() {
    let desk = trained();
    desk.csv("fleet.csv", 0, STEPS);
    let rows = desk.text("fleet.csv");
    let mut lines: Vec<String> = rows.lines().map(String::from).collect();
    lines[98] = "32,d2,oops".into();
    // Of an earlier time.
    lines[150] = "3,d0,0.5".into();
    desk.write("broken.csv", lines.join("\n") + "\n");
    let command = "backtest wave.f32.kgl wave.kgl --data broken.csv --time t --json";
    let Ran { out, err, .. } = desk.succeeds(command);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        err.contains("device \"d2\": broken.csv:99: column \"x\": \"oops\""),
        "{err}"
    );
    assert!(
        err.contains("device \"d0\": broken.csv:151: is not later"),
        "{err}"
    );
    assert!(err.contains("2 of 3 devices have broken rows"), "{err}");
    assert_eq!(json["devices_broken"], 2);
    let left = json["rows_left_out"].as_u64().unwrap();
    assert_eq!(json["rows"].as_u64().unwrap() + left, 600);
    assert!(left > 300, "{left}");
    let out = desk.ok(&format!("{command} --on-error skip"));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&json["rows"], &json["rows_left_out"]),
        (&598.into(), &2.into())
    );
}

#[test]
fn times_in_several_units_are_compared() {
    let desk = trained();
    desk.parquet("part-0.parquet", 0, 70);
    desk.parquet_in("part-1.parquet", 70, 133, ("NANOS", 1_000_000));
    desk.parquet_in("part-2.parquet", 133, STEPS, ("MICROS", 1000));
    let command = "backtest wave.f32.kgl wave.kgl --data part-*.parquet --time t --json";
    let json: serde_json::Value = serde_json::from_str(&desk.ok(command)).unwrap();
    assert_eq!(
        (&json["rows"], &json["rows_left_out"]),
        (&600.into(), &0.into())
    );
    // The last rows once more.
    desk.parquet_in("part-3.parquet", STEPS - 10, STEPS, ("NANOS", 1_000_000));
    let ran = desk.succeeds(command);
    assert!(
        ran.err.contains("is not later") && ran.err.contains("and 30 rows"),
        "{}",
        ran.err
    );
}

#[test]
fn what_is_right_and_no_number_is_told() {
    let desk = trained();
    desk.csv("fleet.csv", 0, STEPS);
    let ran =
        desk.succeeds("backtest wave.f32.kgl wave.kgl --data fleet.csv --truth device --horizon 1");
    let words = "no metric: column \"device\" has no number for any of the 597 answers";
    assert!(ran.err.contains(words), "{}", ran.err);
}

#[test]
fn a_sample_that_no_answer_foretold_leaves_the_score_as_it_is() {
    let desk = trained();
    let windows = TASK.replace(
        "\"many-to-many\"\nwindow = 16",
        "\"many-to-one\"\nwindow = 6\nhop = 6",
    );
    desk.write("windows.toml", windows);
    desk.ok("train windows.toml --out windows.kgl --quiet");
    // No row behind the last window.
    desk.csv("fleet.csv", 0, STEPS / 6 * 6);
    let out = desk.ok("predict windows.kgl --csv fleet.csv");
    let of_one: Vec<Vec<f64>> = (out.lines().filter_map(|line| line.strip_prefix("d1,")))
        .map(|line| line.split(',').map(|x| x.parse().unwrap()).collect())
        .collect();
    assert_eq!(of_one.len(), STEPS / 6);
    let mut score = 0.0;
    for (k, said) in of_one.iter().enumerate() {
        assert!(
            (said[1] - score).abs() < 1e-4,
            "{k}: {} for {score}",
            said[1]
        );
        score += 0.2 * ((x(1, 6 * (k + 1)) - said[0]).abs() - score);
    }
    let alarms: u64 = (0..DEVICES)
        .map(|device| predicted(&desk, "windows.kgl", device))
        .map(|said| {
            (0..said.len())
                .filter(|&k| said[k].1 && (k == 0 || !said[k - 1].1))
                .count() as u64
        })
        .sum();
    let out = desk.ok("backtest windows.kgl windows.kgl --data fleet.csv --json");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["alarms"]["old"], alarms, "{out}");
}

#[test]
fn rows_without_a_device_are_told() {
    let desk = trained();
    desk.csv("fleet.csv", 0, STEPS);
    let rows = desk.text("fleet.csv").replace(",d1,", ",,");
    desk.write("fleet.csv", rows);
    let ran = desk.succeeds("backtest wave.f32.kgl wave.kgl --data fleet.csv --time t");
    let words = format!(
        "{STEPS} of {} rows (33.33 %) name no device",
        STEPS * DEVICES
    );
    assert!(ran.err.contains(&words), "{}", ran.err);
}

#[test]
fn a_file_that_cannot_be_read_may_be_left_out_wherever_it_stands() {
    let desk = trained();
    desk.csv("fleet.csv", 0, STEPS);
    desk.write("a-empty.csv", "");
    desk.write("b-other.csv", "device,z\nd0,1\n");
    desk.write("c-cut.parquet", "PAR1cut");
    for file in ["a-empty.csv", "b-other.csv", "c-cut.parquet"] {
        for files in [format!("{file} fleet.csv"), format!("fleet.csv {file}")] {
            let command = format!("backtest wave.f32.kgl wave.kgl --data {files} --json");
            let ran = desk.run(&command);
            assert!(
                ran.code == Some(1)
                    && ran.err.contains(file)
                    && ran.err.contains("--on-error skip goes on"),
                "{files}: {}",
                ran.err
            );
            let Ran { out, err, .. } = desk.succeeds(&format!("{command} --on-error skip"));
            let json: serde_json::Value = serde_json::from_str(&out).unwrap();
            let found = (&json["devices"], &json["files_unreadable"]);
            assert_eq!(found, (&DEVICES.into(), &1.into()), "{files}: {err}");
            assert!(err.contains("1 of 2 files could not be read"), "{err}");
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let desk = trained();
    desk.csv("fleet.csv", 0, STEPS);
    desk.write(
        "other.toml",
        TASK.replace("targets = [\"x\"]", "targets = [\"y\"]")
            .replace("[anomaly]\nsmoothing = 0.2\n", ""),
    );
    let with_y = desk.text("wave.csv");
    let with_y = with_y.replace("device,x", "device,x,y");
    let with_y: Vec<String> = with_y
        .lines()
        .enumerate()
        .map(|(k, line)| {
            if k == 0 {
                line.into()
            } else {
                format!("{line},{k}")
            }
        })
        .collect();
    desk.write("wave.csv", with_y.join("\n") + "\n");
    desk.ok("train other.toml --out other.kgl --quiet");
    desk.fails_after_notes(
        "backtest wave.kgl other.kgl --data fleet.csv",
        1,
        &["the answers cannot be compared"],
    );
    desk.fails_after_notes(
        "backtest wave.kgl wave.kgl --data none-*.csv",
        1,
        &["there is no file none-*.csv"],
    );
    desk.fails_after_notes("backtest wave.kgl wave.kgl --data .", 2, &["is a folder"]);
    desk.fails_after_notes(
        "backtest wave.kgl wave.kgl --data fleet.csv --time clock",
        1,
        &["clock"],
    );
    desk.fails_after_notes(
        "backtest wave.kgl wave.kgl --data fleet.csv --out fleet.csv",
        1,
        &["which is read"],
    );
    desk.fails_after_notes(
        "backtest wave.kgl wave.kgl --data fleet.csv --truth x --horizon 0",
        2,
        &["add --horizon"],
    );
    desk.write("bad.parquet", "PAR1 and nothing else");
    desk.fails_after_notes(
        "backtest wave.kgl wave.kgl --data bad.parquet",
        1,
        &["bad.parquet"],
    );
}

#[test]
fn models_that_look_at_other_rows_have_no_measure_in_common() {
    let desk = trained();
    let far = TASK.replace("window = 16", "window = 16\nhorizon = 8");
    let far = far.replace("[anomaly]\nsmoothing = 0.2\n", "");
    desk.write("far.toml", far);
    desk.ok("train far.toml --out far.kgl --quiet");
    desk.csv("fleet.csv", 0, STEPS);
    for pair in ["far.f32.kgl wave.f32.kgl", "wave.f32.kgl far.f32.kgl"] {
        let out = desk.run(&format!("backtest {pair} --data fleet.csv --time t"));
        assert!(!out.out.contains("RMSE"), "{}", out.out);
        let said = "note: no metric: wave.f32.kgl predicts the next row of an input, and far.f32.kgl looks at another row";
        assert!(out.err.contains(said), "{}", out.err);
        desk.fails(
            &format!("backtest {pair} --data fleet.csv --time t --truth x"),
            2,
            &["--horizon N measures both by the row N later"],
        );
    }
}
