//! Rows as loggers leave them, as a user meets them: gaps, times, labels and tables that others write. What is passed over is told, and
//! what would be another number is refused.

mod desk;

use desk::Desk;
use std::fmt::Write;

/// A task over one file.
fn task(file: &str, format: &str, series: &str) -> String {
    format!(
        "name = \"site\"\n[csv]\nfile = \"{file}\"\n[csv.format]\n{format}\n[series]\n{series}\n[shape]\nkind = \"many-to-many\"\nwindow = 8\n\
         [network]\ncell = \"gru\"\nhidden = [4]\n[train]\nepochs = 2\nlearning_rate = 0.02\n[output]\nprecision = \"f32\"\n"
    )
}

const X: &str = "features = [\"x\"]\ntargets = [\"x\"]";
const ALARM: &str = "[anomaly]\nsmoothing = 0.2\n";

fn wave(k: usize) -> f64 {
    let x = 50.0 + 30.0 * (k as f64 / 4.0).sin();
    (x * 1e3).round() / 1e3
}

impl Desk {
    fn trains(&self, name: &str, task: &str) -> String {
        self.write(&format!("{name}.toml"), task);
        let command = format!("train {name}.toml --out {name}.kgl --quiet");
        self.succeeds(&command).err
    }

    fn json(&self, arguments: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }
}

/// Two models of the same numbers, of which one holds, and rows with gaps.
fn with_gaps() -> Desk {
    let desk = Desk::new();
    let (mut full, mut gaps) = (String::from("x\n"), String::from("x\n"));
    for k in 0..600 {
        let _ = writeln!(full, "{}", wave(k));
        match k % 5 {
            2 | 3 => gaps += "NA\n",
            _ => {
                let _ = writeln!(gaps, "{}", wave(k));
            }
        }
    }
    desk.write("full.csv", full);
    desk.write("gaps.csv", &gaps);
    desk.write("marks.csv", gaps.replace("NA", "-999"));
    desk.trains("plain", &(task("full.csv", "", X) + ALARM));
    desk.trains("hold", &(task("full.csv", "missing = \"hold\"", X) + ALARM));
    desk
}

#[test]
fn a_gap_is_no_truth_whoever_asked_to_hold() {
    let desk = with_gaps();
    let figures = |models: &str| {
        let json = desk.json(&format!("backtest {models} --data gaps.csv --json"));
        (json["value"]["new"].clone(), json["alarms"]["new"].clone())
    };
    // The networks are the same, and so is what is measured.
    let both = figures("hold.kgl hold.kgl");
    assert_eq!(figures("plain.kgl hold.kgl"), both);
    assert_eq!(figures("plain.kgl plain.kgl --missing hold"), both);
    let ran = desk.succeeds("backtest plain.kgl hold.kgl --data gaps.csv");
    let words = "answers (40.07 %) are not measured, as column \"x\" has no number there";
    assert!(ran.err.contains(words), "{}", ran.err);
    // Nor does it say what is odd; and that it is filled is told.
    let plain = desk.succeeds("predict plain.kgl --csv gaps.csv --missing hold");
    let hold = desk.succeeds("predict hold.kgl --csv gaps.csv");
    assert_eq!(plain.out, hold.out);
    for err in [plain.err, hold.err] {
        let words = "240 of 600 rows (40.0 %) have no \"x\" and take the one before them";
        assert!(err.contains(words), "{err}");
    }
}

#[test]
fn models_of_tables_that_are_written_otherwise_are_not_compared_unasked() {
    let desk = with_gaps();
    let format = "missing = \"hold\"\nmissing_values = [\"-999\"]";
    desk.trains("marks", &(task("marks.csv", format, X) + ALARM));
    for pair in ["hold.kgl marks.kgl", "marks.kgl hold.kgl"] {
        desk.fails_after_notes(
            &format!("backtest {pair} --data marks.csv"),
            2,
            &["missing_values is [", "(--missing-values)"],
        );
        let said = format!("backtest {pair} --data marks.csv --missing-values=-999 --json");
        assert!(desk.json(&said)["value"]["old"].as_f64().unwrap() < 50.0);
    }
}

#[test]
fn columns_of_several_rates_are_held_from_where_all_are_known() {
    let desk = Desk::new();
    let mut rows = String::from("fast,slow\n");
    for k in 0..900 {
        let fast = match k % 2 {
            0 => String::new(),
            _ => wave(k).to_string(),
        };
        let slow = match k % 10 {
            0 => wave(k / 3).to_string(),
            _ => String::new(),
        };
        let _ = writeln!(rows, "{fast},{slow}");
    }
    desk.write("wide.csv", &rows);
    let series = "features = [\"fast\", \"slow\"]\ntargets = [\"fast\"]";
    let err = desk.trains("wide", &task("wide.csv", "missing = \"hold\"", series));
    assert!(
        err.contains("1 of 900 rows (0.1 %) at the beginning"),
        "{err}"
    );
    assert!(
        err.contains("810 of 899 rows (90.1 %) have no \"slow\""),
        "{err}"
    );
    // A stream that begins with a gap and a model that does not hold by itself.
    let (_, rest) = rows.split_once('\n').unwrap();
    desk.write(
        "full.csv",
        format!("fast,slow\n{}", "1,2\n3,5\n2,4\n".repeat(200)),
    );
    desk.trains("whole", &task("full.csv", "", series));
    let ran = desk.run_on(
        "predict whole.kgl --csv - --missing hold",
        format!("fast,slow\n{rest}"),
    );
    assert!(
        ran.err.contains("no earlier row has one to hold") && ran.err.contains("--on-error skip"),
        "{}",
        ran.err
    );
    let skips = "predict whole.kgl --csv - --missing hold --on-error skip";
    let ran = desk.run_on(skips, format!("fast,slow\n{rest}"));
    assert_eq!(
        (ran.code, ran.out.lines().count()),
        (Some(0), 1),
        "{}",
        ran.err
    );
}

#[test]
fn every_takes_the_first_of_the_last_rows_too() {
    let desk = Desk::new();
    let mut rows = String::from("m,x\n");
    for k in 0..400 {
        let _ = writeln!(rows, "{},{}", ["a", "b"][k / 200], wave(k));
    }
    // A group of 17 rows has nine of every two, which a window and its horizon are.
    (0..17).for_each(|k| {
        let _ = writeln!(rows, "c,{}", wave(k));
    });
    desk.write("x.csv", rows);
    let series =
        format!("{X}\ngroup = \"m\"\nevery = 2\nsplit = {{ per_group = [0.5, 0.1, 0.2] }}");
    let err = desk.trains("every", &task("x.csv", "", &series));
    assert!(!err.contains("are not used; pad"), "{err}");
    // What no part takes is told.
    assert!(
        err.contains("rows (19.") || err.contains("rows (20."),
        "{err}"
    );
    assert!(
        err.contains("the fractions of the split add up to less than 1"),
        "{err}"
    );
}

#[test]
fn another_delimiter_may_be_another_country() {
    let desk = Desk::new();
    let mut rows = String::from("x;y\n");
    for k in 0..300 {
        let _ = writeln!(
            rows,
            "{};1.{:03},5",
            wave(k).to_string().replace('.', ","),
            k
        );
    }
    desk.write("de.csv", &rows);
    let format = "delimiter = \";\"\ndecimal = \",\"\nthousands = \".\"";
    let series = "features = [\"x\", \"y\"]\ntargets = [\"x\"]";
    desk.trains("de", &task("de.csv", format, series));
    let stream = "x,y\n50.130,19.870\n51.250,19.875\n";
    let ran = desk.run_on("predict de.kgl --csv -", stream);
    assert_eq!((ran.code, &ran.out[..]), (Some(2), ""), "{}", ran.err);
    assert!(
        ran.err
            .contains("--decimal , --thousands ., or --decimal ."),
        "{}",
        ran.err
    );
    let ran = desk.run_on("predict de.kgl --csv - --decimal .", stream);
    assert_eq!(
        (ran.code, ran.out.lines().count()),
        (Some(0), 3),
        "{}",
        ran.err
    );
    let tabs = rows.replace(';', "\t");
    let ran = desk.run_on("predict de.kgl --csv - --decimal , --thousands .", tabs);
    assert_eq!(
        ran.out,
        desk.ok("predict de.kgl --csv de.csv"),
        "{}",
        ran.err
    );
}

#[test]
fn a_state_that_is_later_or_long_before_is_told() {
    let desk = Desk::new();
    let rows = |range: std::ops::Range<usize>| {
        let rows = range.map(|k| format!("{},{}\n", 1_772_323_200 + 60 * k + k % 2, wave(k)));
        format!("t,x\n{}", rows.collect::<String>())
    };
    desk.write("all.csv", rows(0..400));
    let series = "features = [\"x\", \"elapsed(t)\"]\ntargets = [\"x\"]";
    desk.trains("clocked", &task("all.csv", "", series));
    for (name, range) in [
        ("a", 0..100),
        ("b", 100..150),
        ("again", 90..120),
        ("late", 300..330),
    ] {
        desk.write(&format!("{name}.csv"), rows(range));
    }
    desk.ok("predict clocked.kgl --csv a.csv --state-out s.bin");
    let says = |name: &str| {
        let ran = desk.succeeds(&format!(
            "predict clocked.kgl --csv {name}.csv --state-in s.bin"
        ));
        ran.err
    };
    assert_eq!(says("b"), "");
    let again = says("again");
    assert!(
        again.contains(
            "10 rows, first in line 2, are not later than those that the saved state has seen"
        ),
        "{again}"
    );
    assert!(!again.contains("sort the file"), "{again}");
    let late = says("late");
    assert!(
        late.contains("s lie between the saved state and line 2, and 6"),
        "{late}"
    );
}

#[test]
fn clocks_that_are_set_back_are_told_as_that() {
    let desk = Desk::new();
    let mut rows = String::from("time,x\n");
    let mut at = |day: usize, minute: usize, k: usize| {
        let _ = writeln!(
            rows,
            "2026-10-{day:02} {:02}:{:02},{}",
            minute / 60,
            minute % 60,
            wave(k)
        );
    };
    for (k, minute) in (0..180)
        .step_by(10)
        .chain((120..1440).step_by(10))
        .enumerate()
    {
        at(25, minute, k);
    }
    for (k, minute) in (0..1440).step_by(10).enumerate() {
        at(26, minute, k);
    }
    desk.write("fall.csv", rows);
    let says = "clocks are set back at the end of summer time";
    let said = desk.succeeds("init fall.csv --out fall.toml");
    assert!(
        said.out.contains(says) && !said.out.contains("sort the file if"),
        "{}",
        said.out
    );
    let ran = desk.succeeds("train fall.toml --out fall.kgl --quiet");
    assert!(ran.err.contains(says), "{}", ran.err);
    // A name of a zone tells nothing.
    let zoned = task("fall.csv", "time = \"%Y-%m-%d %H:%M %Z\"", X);
    desk.write("zone.toml", zoned);
    desk.fails("train zone.toml --out zone.kgl --quiet", 1, &["%Z", "%z"]);
    desk.fails(
        "predict fall.kgl --csv fall.csv --time-format %Y%Z",
        2,
        &["%Z", "%z"],
    );
}

#[test]
fn true_and_false_are_labels_however_they_are_written() {
    let desk = Desk::new();
    let rows = |on: &str, off: &str| {
        let row = |k: usize| {
            let on = if (k / 20).is_multiple_of(2) { on } else { off };
            format!("{},{on},{on}\n", wave(k))
        };
        format!("x,pump,odd\n{}", (0..400).map(row).collect::<String>())
    };
    desk.write("pandas.csv", rows("True", "False"));
    desk.write("arrow.csv", rows("true", "false"));
    let classes = "label = { column = \"odd\", classes = [{ name = \"ok\", labels = [\"False\"] }, { name = \"odd\", labels = [\"True\"] }] }";
    let series = format!(
        "features = [\"x\", {{ column = \"pump\", categories = [\"True\", \"False\"] }}]\n{classes}"
    );
    let said = |file: &str| {
        desk.trains("m", &task(file, "", &series));
        (
            desk.ok("predict m.kgl --csv pandas.csv"),
            desk.ok("predict m.kgl --csv arrow.csv"),
        )
    };
    let (a, b) = said("pandas.csv");
    assert_eq!((&a, &b), (&b, &a));
    assert_eq!(said("arrow.csv"), (a, b));
    // The labels of an anomaly too; an empty field is no label.
    let anomaly = "[anomaly]\nsmoothing = 0.2\nlabels = { column = \"odd\" }\n";
    let numbers = task("pandas.csv", "", X) + anomaly;
    let err = desk.trains("a", &numbers);
    assert!(!err.contains("neither"), "{err}");
    desk.write(
        "empty.csv",
        desk.text("pandas.csv").replacen(",False\n", ",\n", 1),
    );
    desk.write("a.toml", numbers.replace("pandas.csv", "empty.csv"));
    desk.fails_after_notes(
        "train a.toml --out e.kgl --quiet",
        1,
        &["neither 0 or false"],
    );
}

#[test]
fn a_column_of_other_labels_than_the_classes_is_told_so() {
    let desk = Desk::new();
    let row = |k: usize| format!("{},{}\n", wave(k), usize::from(wave(k) > 50.0));
    desk.write(
        "m.csv",
        format!("x,mode\n{}", (0..400).map(row).collect::<String>()),
    );
    let classes = "[{ name = \"lo\", labels = [\"0\"] }, { name = \"hi\", labels = [\"1\"] }]";
    let series =
        format!("features = [\"x\"]\nlabel = {{ column = \"mode\", classes = {classes} }}");
    desk.trains("m", &task("m.csv", "", &series));
    let ran = desk.succeeds("backtest m.kgl m.kgl --data m.csv --truth mode");
    assert!(
        ran.err
            .contains("none of the classes lo, hi, by whose names the model file knows them"),
        "{}",
        ran.err
    );
}

#[test]
fn init_decides_from_the_rows_that_remain() {
    let desk = Desk::new();
    let mut rows = String::from("time,x,y\n");
    for k in 0..400 {
        let _ = writeln!(
            rows,
            "2026-03-{:02} {:02}:00,{},{}",
            1 + k / 24,
            k % 24,
            wave(k),
            wave(k / 2)
        );
    }
    desk.write("plain.csv", &rows);
    rows += "Total,20000,20000\n";
    desk.write("total.csv", rows);
    let of = |name: &str| {
        desk.ok(&format!("init {name}.csv --out {name}.toml"));
        let text = desk.text(&format!("{name}.toml"));
        let (_, text) = text.split_once("[series]").unwrap();
        text.to_owned()
    };
    assert_eq!(of("total"), of("plain"));
}

#[test]
fn init_leaves_out_its_own_choice_where_that_is_constant() {
    let desk = Desk::new();
    let mut rows = String::from("id,v,t\n");
    for k in 0..600 {
        let t = 1_772_323_200 + 600 * k;
        let x = wave(k);
        let _ = writeln!(rows, "a,{x},{t}\nb,{},{t}", 100.0 - x);
        if k % 7 == 0 {
            let _ = writeln!(rows, "c,{},{t}", ["off", "on"][k % 2]);
        }
    }
    desk.write("mini.csv", rows);
    desk.ok("init mini.csv --out mini.toml");
}

#[test]
fn init_tells_what_it_passes_over_or_doubts() {
    let desk = Desk::new();
    let mut rows = String::from("time,,x,temp\n");
    for k in 0..400 {
        let temp = match k {
            k if k % 40 == 7 => "-127".to_owned(),
            k if k % 40 == 8 => "85".to_owned(),
            k => (20.0 + wave(k) / 30.0).to_string(),
        };
        let _ = writeln!(
            rows,
            "2026-03-{:02} {:02}:00,{},{},{temp}",
            1 + k / 24,
            k % 24,
            wave(k * 3),
            wave(k)
        );
    }
    desk.write("odd.csv", rows);
    let said = desk.ok("init odd.csv --out odd.toml");
    for words in [
        "column 2 (no name)",
        "temp holds -127 in 10 of 400 rows (2.5 %)",
        "temp holds 85 in 10 of 400 rows (2.5 %)",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let ran = desk.succeeds("train odd.toml --out odd.kgl --quiet");
    assert!(
        ran.err.contains("missing_values = [\"-127\"]"),
        "{}",
        ran.err
    );
    let mut rows = String::from("time,variable,value\n");
    for k in 0..300 {
        let _ = writeln!(
            rows,
            "2026-03-{:02} {:02}:00,load,{}",
            1 + k / 24,
            k % 24,
            wave(k)
        );
        if k % 3 == 0 {
            let _ = writeln!(
                rows,
                "2026-03-{:02} {:02}:00,flow,{}",
                1 + k / 24,
                k % 24,
                wave(k) / 9.0
            );
        }
    }
    desk.write("long.csv", rows);
    let said = desk.ok("init long.csv --out long.toml");
    assert!(
        said.contains("a row for each value of a variable"),
        "{said}"
    );
}

#[test]
fn tables_that_others_write_are_known() {
    let desk = Desk::new();
    desk.write(
        "a.lvm",
        "LabVIEW Measurement\t\nSeparator\tTab\n***End_of_Header***\t\nX_Value\tload\n0.0\t50.1\n",
    );
    desk.write("b.dat", "\"TOA5\",\"CR1000X\",\"x\"\n\"TIMESTAMP\",\"load\",\"temp\"\n\"TS\",\"kW\",\"C\"\n\"\",\"Avg\",\"Smp\"\n");
    desk.write("c.lp", "pump,host=a load=50.13,flow=11.953 1772323200000000000\npump,host=a load=51.1 1772323800000000000\n");
    for (file, words) in [
        ("a.lvm", "sed -n '/^X_Value/,$p'"),
        ("b.dat", "sed '1d;3,4d'"),
        ("c.lp", "line protocol"),
    ] {
        desk.fails(&format!("init {file} --out t.toml"), 1, &[file, words]);
    }
}

#[test]
fn columns_that_were_joined_are_missed_as_that() {
    let desk = Desk::new();
    let row = |k: usize| format!("{},{}\n", k / 40, wave(k));
    desk.write(
        "x.csv",
        format!("day,x\n{}", (0..400).map(row).collect::<String>()),
    );
    let plan = |day: usize| format!("{day},{}\n", day * 7 % 5);
    desk.write(
        "plan.csv",
        format!("day,load\n{}", (0..10).map(plan).collect::<String>()),
    );
    let series = "features = [\"x\", \"load\"]\ntargets = [\"x\"]";
    let joined = task("x.csv", "", series);
    let file = "file = \"x.csv\"\n";
    let joined = joined.replace(
        file,
        &format!("{file}join = {{ file = \"plan.csv\", on = \"day\" }}\n"),
    );
    desk.trains("joined", &joined);
    let words = [
        "no column \"load\"",
        "was joined with plan.csv by the column \"day\"",
    ];
    desk.fails("predict joined.kgl --csv x.csv", 1, &words);
}
