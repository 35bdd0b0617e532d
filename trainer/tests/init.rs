//! `kinglet init` on tables of several kinds: what it takes for what, and that what it writes trains and predicts.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Runs the command in `folder`; standard output and error.
fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_kinglet"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8(text).unwrap())
}

/// What `init` said about a file of this name and content, and the task that it wrote.
fn init(folder: &TempDir, name: &str, content: &str, more: &[&str]) -> (String, String) {
    fs::write(folder.path().join(name), content).unwrap();
    let (ok, said) = run(
        folder.path(),
        &[&["init", name, "--out", "task.toml", "--force"], more].concat(),
    );
    assert!(ok, "{name}: {said}");
    assert!(said.lines().count() <= 15, "{said}");
    (
        said,
        fs::read_to_string(folder.path().join("task.toml")).unwrap(),
    )
}

/// The three commands as a user types them: `predict` with the options that `init` printed.
fn trains_and_predicts(folder: &TempDir, said: &str, lines: usize) {
    let command = |verb: &str| {
        let words = format!("kinglet {verb}");
        let line = said.lines().find(|l| l.contains(&words));
        let line = line.unwrap_or_else(|| panic!("no {words} in {said}"));
        let binary = format!("{} {verb}", env!("CARGO_BIN_EXE_kinglet"));
        line.trim().replacen(&words, &binary, 1)
    };
    let shell = |line: &str| {
        let ran = Command::new("sh")
            .args(["-c", line])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{line}: {err}");
        String::from_utf8(ran.stdout).unwrap()
    };
    // Few epochs: whether it learns is another question.
    let task = folder.path().join("task.toml");
    let text = fs::read_to_string(&task).unwrap();
    let epochs = text.lines().find(|l| l.starts_with("epochs = ")).unwrap();
    fs::write(&task, text.replace(epochs, "epochs = 2")).unwrap();
    let trained = shell(&format!("{} --quiet", command("train")));
    assert!(trained.contains("w8a16"), "{trained}");
    let predicted = shell(&command("predict"));
    assert_eq!(predicted.lines().count(), lines, "{predicted}");
    assert!(!predicted.contains("NaN"), "{predicted}");
}

/// Something that goes up and down.
fn wave(k: usize, period: f64) -> f64 {
    (k as f64 / period * std::f64::consts::TAU).sin() + 0.1 * ((k * 7919 % 101) as f64 / 50.0 - 1.0)
}

#[test]
fn a_series_with_times_gaps_and_a_category() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("No,stamp,mode,flow,serial,heat\n");
    for k in 0..600 {
        let flow = if k % 50 == 20 {
            String::new()
        } else {
            format!("{:.3}", wave(k, 24.0))
        };
        let (day, hour) = (1 + k / 24, k % 24);
        let _ = writeln!(
            csv,
            "{k},2026-03-{day:02} {hour:02}:00,{},{flow},A7,{:.3}",
            ["auto", "hand"][k / 40 % 2],
            20.0 + wave(k, 90.0)
        );
    }
    let (said, task) = init(&folder, "plant.csv", &csv, &[]);
    for words in [
        "600 rows of 6 columns, commas",
        "stamp, every 1 hour, 25 days in all",
        "in flow (2.0 %); a gap repeats the number before",
        "mode, flow, heat; from the time: hour_sin(stamp), hour_cos(stamp)",
        "No (counts rows), serial (always the same)",
        "heat (the last column of numbers that varies), one row ahead, which is 1 hour",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(
        task.contains("{ column = \"mode\", categories = [\"auto\", \"hand\"] }"),
        "{task}"
    );
    assert!(task.contains("missing = \"hold\""), "{task}");
    trains_and_predicts(&folder, &said, 601);
}

#[test]
fn decimal_commas_marks_for_no_value_and_columns_without_a_name() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("Date;Time;CO(GT);T;;\n");
    for k in 0..480 {
        let comma = |x: f64| format!("{x:.2}").replace('.', ",");
        let gas = if k % 40 > 36 {
            "-200".into()
        } else {
            comma(3.0 + wave(k, 24.0))
        };
        let (day, hour) = (1 + k / 24, k % 24);
        let _ = writeln!(
            csv,
            "{day:02}/03/2004;{hour:02}.00.00;{gas};{};;",
            comma(15.0 + wave(k, 60.0))
        );
    }
    let (said, task) = init(&folder, "air.csv", &csv, &["--target", "CO(GT)"]);
    assert!(
        said.contains("decimal commas; -200 stands for no value"),
        "{said}"
    );
    assert!(said.contains("in CO(GT) (7.5 %)"), "{said}");
    // A day is not the step: the time of day stands apart.
    assert!(said.contains("Date, which rows share"), "{said}");
    assert!(said.contains("one row ahead\n"), "{said}");
    assert!(
        task.contains("decimal = \",\"") && task.contains("missing_values = [\"-200\"]"),
        "{task}"
    );
    trains_and_predicts(&folder, &said, 481);
}

#[test]
fn machines_mixed_by_time_with_a_label() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("time;machine;x;state\n");
    for k in 0..900 {
        let (t, machine) = (k / 3, k % 3);
        let state = ["idle", "run"][(t / 30 + machine) % 2];
        let x = wave(t + machine, 17.0) + if state == "run" { 2.0 } else { 0.0 };
        let _ = writeln!(
            csv,
            "{}/03/2026 {:02}:{:02};m{machine};{x:.4};{state}",
            1 + t / 1440,
            t / 60 % 24,
            t % 60
        );
    }
    let (said, task) = init(&folder, "machines.csv", &csv, &[]);
    for words in [
        "semicolons",
        "time, every 1 minute",
        "machine: 3 of them, mixed with each other",
        "state (by its name): 2 classes, idle, run",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(
        task.contains("split = { per_group = [0.7, 0.1, 0.2] }"),
        "{task}"
    );
    assert!(
        task.contains("group = \"machine\"") && task.contains("time = \"%d/%m/%Y %H:%M\""),
        "{task}"
    );
    // Instead of the label the number, which was asked for.
    let (said, _) = init(&folder, "machines.csv", &csv, &["--target", "x"]);
    assert!(said.contains("x (as asked for), one row ahead"), "{said}");
    trains_and_predicts(&folder, &said, 901);
}

#[test]
fn a_file_without_names_or_times() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..400)
        .map(|k| format!("{:.3},{:.3}\n", wave(k, 20.0), wave(k, 33.0)))
        .collect();
    let (said, task) = init(&folder, "bare.csv", &rows, &[]);
    assert!(
        said.contains("no names, so columns are called 1, 2")
            && said.contains("2 (the last column"),
        "{said}"
    );
    assert!(task.contains("header = \"none\""), "{task}");
    trains_and_predicts(&folder, &said, 401);
}

#[test]
fn engines_that_run_to_failure() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("unit,cycle,heat\n");
    for unit in 0..12 {
        for cycle in 0..40 + unit {
            let _ = writeln!(
                csv,
                "{unit},{cycle},{:.3}",
                wave(cycle, 9.0) + cycle as f64 * 0.1
            );
        }
    }
    let (said, task) = init(
        &folder,
        "engines.csv",
        &csv,
        &["--target", "remaining(cycle)"],
    );
    assert!(
        said.contains("unit: 12 of them, each from a state of its own"),
        "{said}"
    );
    assert!(
        said.contains("how much of cycle remains to the end of the group"),
        "{said}"
    );
    assert!(task.contains("split = { groups = [9, 1, 2] }"), "{task}");
    trains_and_predicts(&folder, &said, 1 + (0..12).map(|u| 40 + u).sum::<usize>());
}

#[test]
fn a_sequence_in_each_row() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("class");
    (0..20).for_each(|t| write!(csv, ",t{t}").unwrap());
    for k in 0..60 {
        let _ = write!(csv, "\n{}", 1 + k % 2);
        (0..20).for_each(|t| write!(csv, ",{:.3}", wave(t + k * 3, [5.0, 11.0][k % 2])).unwrap());
    }
    csv.push('\n');
    let (said, task) = init(&folder, "beats.csv", &csv, &[]);
    assert!(
        said.contains("a sequence each: 20 steps, t0 to t19"),
        "{said}"
    );
    assert!(said.contains("class: 2 classes, 1, 2"), "{said}");
    assert!(task.contains("steps = [\"t0\", \"t19\"]"), "{task}");
    // A line of outputs for every sequence.
    trains_and_predicts(&folder, &said, 61);
}

#[test]
fn prices_without_dates_stand_newest_first() {
    let folder = TempDir::new().unwrap();
    let close = |day: usize| 100.0 + day as f64 * 0.2 + wave(day, 30.0);
    let row = |day: usize| format!("{:.3},{:.3}\n", close(day - 1) + 0.01, close(day));
    let rows: String = (1..200).rev().map(row).collect();
    let (said, task) = init(
        &folder,
        "prices.csv",
        &format!("# from somewhere\n# Open,Close\n{rows}"),
        &[],
    );
    assert!(said.contains("the newest row comes first"), "{said}");
    assert!(task.contains("newest_first = true"), "{task}");
    assert!(
        said.contains("predict task.kgl --csv prices.csv\n"),
        "{said}"
    );
    trains_and_predicts(&folder, &said, 200);
}

#[test]
fn labelled_texts_and_running_text() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("review\tsentiment\n");
    for k in 0..120 {
        let word = ["splendid", "dreadful"][k % 2];
        let _ = writeln!(
            csv,
            "a {word} film, number {k} of all that I have seen\t{}",
            ["good", "bad"][k % 2]
        );
    }
    let (said, task) = init(&folder, "reviews.tsv", &csv, &[]);
    assert!(
        said.contains("a text each, in the column review, read by words"),
        "{said}"
    );
    assert!(task.contains("file = \"reviews.tsv\""), "{task}");
    trains_and_predicts(&folder, &said, 121);

    let poem = "The wind was a torrent of darkness among the gusty trees.\n".repeat(20);
    let (said, task) = init(&folder, "poem.txt", &poem, &[]);
    assert!(
        said.contains("the next character") && task.contains("kind = \"next-token\""),
        "{said}"
    );
    assert!(
        said.contains("generate task.kgl --prompt 'The wind was' --temperature 0.7\n"),
        "{said}"
    );
    let task = fs::read_to_string(folder.path().join("task.toml")).unwrap();
    let epochs = task.lines().find(|l| l.starts_with("epochs = ")).unwrap();
    fs::write(
        folder.path().join("task.toml"),
        task.replace(epochs, "epochs = 2"),
    )
    .unwrap();
    for line in [
        "train task.toml --out m.kgl --quiet",
        "generate m.kgl --length 9 --prompt The",
        // Neither is a table.
        "quantize m.f32.kgl --precision w8a8 --calibrate poem.txt --out q.kgl",
    ] {
        let (ok, said) = run(folder.path(), &line.split_whitespace().collect::<Vec<_>>());
        assert!(ok, "{line}: {said}");
    }
}

#[test]
fn what_tune_finds_trains_as_printed() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..300)
        .map(|k| format!("{:.3}\n", wave(k, 20.0)))
        .collect();
    fs::create_dir(folder.path().join("tasks")).unwrap();
    fs::write(folder.path().join("x.csv"), format!("x\n{rows}")).unwrap();
    let task = "# mine\nname = \"t\"\ncsv = { file = \"other.csv\" }\nseries = { features = [\"x\"], targets = [\"x\"] }\n\
        shape = { kind = \"many-to-many\", window = 8 }\nnetwork = { hidden = [8] }\ntrain = { epochs = 2 }\n";
    fs::write(folder.path().join("tasks/t.toml"), task).unwrap();
    let found = |options: &str, words: &[&str]| {
        let _ = fs::remove_file(folder.path().join("best.trials.csv"));
        let line = format!(
            "tune tasks/t.toml --data x.csv --hidden 4..8 --trials 2 --out best.toml {options}"
        );
        let (ok, said) = run(folder.path(), &line.split_whitespace().collect::<Vec<_>>());
        assert!(ok, "{said}");
        let best = fs::read_to_string(folder.path().join("best.toml")).unwrap();
        for word in words {
            assert!(best.contains(word), "{word:?} is not in {best}");
        }
        let (_, command) = said.split_once("train it with: ").unwrap();
        let command = command
            .trim()
            .replacen("kinglet", env!("CARGO_BIN_EXE_kinglet"), 1);
        let ran = Command::new("sh")
            .args(["-c", &command])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8(ran.stdout).unwrap()
    };
    let words = [
        "# Found by `kinglet tune` in w8a8, at most 4096 bytes of flash: RMSE",
        "# mine",
        "file = \"x.csv\"",
        "precision = \"w8a8\"",
    ];
    let trained = found("--precision w8a8 --max-flash 4K", &words);
    assert!(trained.contains("\nw8a8"), "{trained}");
    let words = ["precision = \"mixed\"", "max_flash = \"3000\""];
    let trained = found("--precision mixed --max-flash 3000", &words);
    assert!(trained.contains("formats of the layers"), "{trained}");
    let (ok, said) = run(
        folder.path(),
        &[
            "tune",
            "tasks/t.toml",
            "--data",
            "x.csv",
            "--hidden",
            "4..8",
            "--trials",
            "1",
            "--out",
            "j.toml",
            "--json",
        ],
    );
    assert!(
        ok && said.contains("\"precision\": \"f32\"") && said.contains("\"flash_bytes\""),
        "{said}"
    );
}

#[test]
fn labels_in_a_file_beside_the_data_are_joined() {
    let folder = TempDir::new().unwrap();
    let mut samples = String::from("trial,x,y,z\n");
    let mut trials = String::from("trial,movement,who,split\n");
    for trial in 0..30 {
        let fast = trial % 2;
        for k in 0..40 {
            let x = wave(k + trial, [20.0, 5.0][fast]);
            let _ = writeln!(samples, "{trial},{x:.3},{:.3},{:.3}", x * 0.5, wave(k, 9.0));
        }
        let part = ["train", "train", "train", "valid", "test"][trial / 6];
        let _ = writeln!(
            trials,
            "{trial},{},p{},{part}",
            ["slow", "fast"][fast],
            trial % 3
        );
    }
    fs::write(folder.path().join("trials.csv"), &trials).unwrap();
    let (said, task) = init(&folder, "samples.csv", &samples, &["--target", "movement"]);
    for words in [
        "1,200 rows of 4 columns",
        "trials.csv lies beside it and has movement for each trial: joined",
        "movement (as asked for): 2 classes, fast, slow",
        "as the column split says",
        "who (one for each trial, from trials.csv)",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(
        task.contains("join = { file = \"trials.csv\", on = \"trial\" }"),
        "{task}"
    );
    trains_and_predicts(&folder, &said, 1 + 1200);
    // By its name it is found without being asked for.
    let named = trials.replace("movement", "activity");
    fs::write(folder.path().join("trials.csv"), &named).unwrap();
    let said = init(&folder, "samples.csv", &samples, &[]).0;
    assert!(
        said.contains("activity (from trials.csv): 2 classes"),
        "{said}"
    );
    // A trial without a label is told, and not left out in silence.
    let short: String = named
        .lines()
        .take(29)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(folder.path().join("trials.csv"), short).unwrap();
    let (said, task) = init(&folder, "samples.csv", &samples, &[]);
    assert!(
        said.contains("has no row for 2 of the 30 values of trial"),
        "{said}"
    );
    assert!(!task.contains("join"), "{task}");
}

#[test]
fn dates_that_do_not_exist_and_a_target_by_its_place_are_told() {
    let folder = TempDir::new().unwrap();
    let rows = |second: &str| -> String {
        let row = |k: usize| {
            let day = if k.is_multiple_of(2) {
                "2026-01-05"
            } else {
                second
            };
            format!("{day},{:.3},{:.3}\n", wave(k, 30.0), wave(k, 17.0))
        };
        (0..200).map(row).collect()
    };
    let csv = format!("day,flow,heat\n{}", rows("2026-02-30"));
    let said = init(&folder, "days.csv", &csv, &[]).0;
    for words in [
        "day holds times, of which 100 of 200 (50.0 %) do not exist, such as \"2026-02-30\" (lines 3, 5, 7, 9, …)",
        "day (times that do not exist)",
        "heat (the last column of numbers that varies), one row ahead; none is called a target, so it may be another: --target flow",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let task = folder.path().join("task.toml");
    let text = fs::read_to_string(&task).unwrap();
    fs::write(
        &task,
        text.replace("\"flow\",", "\"flow\", \"weekday_sin(day)\","),
    )
    .unwrap();
    let (ok, said) = run(
        folder.path(),
        &["train", "task.toml", "--out", "m.kgl", "--quiet"],
    );
    assert!(
        !ok && said.contains("days.csv:3: column \"weekday_sin(day)\": \"2026-02-30\" is a day or time that does not exist"),
        "{said}"
    );
    let csv = csv
        .replace("flow", "CO(GT)")
        .replace("2026-02-30", "2026-01-06");
    let said = init(&folder, "air.csv", &csv, &[]).0;
    assert!(
        said.contains("CO(GT) (by its name), one row ahead"),
        "{said}"
    );
}

#[test]
fn units_below_the_names_are_no_row_for_any_command() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..300)
        .map(|k| format!("{:.3},{:.3}\n", wave(k, 30.0), wave(k, 17.0)))
        .collect();
    let said = init(&folder, "flow.csv", &format!("flow,heat\n{rows}"), &[]).0;
    trains_and_predicts(&folder, &said, 1 + 300);
    let path = folder.path().join("flow.csv");
    fs::write(&path, format!("flow,heat\nm3/h,°C\n{rows}")).unwrap();
    for command in [
        &["train", "task.toml", "--out", "m.kgl"][..],
        &["predict", "task.kgl", "--csv", "flow.csv"],
        &[
            "quantize",
            "task.f32.kgl",
            "--precision",
            "w8a8",
            "--calibrate",
            "flow.csv",
            "--out",
            "q.kgl",
        ],
    ] {
        let (ok, said) = run(folder.path(), command);
        assert!(
            !ok && said.contains("flow.csv:2: \"m3/h\", \"°C\" stand where numbers belong")
                && said.contains("skip = 1 in the format, or as broken (--on-error skip)"),
            "{command:?}: {said}"
        );
    }
    let skips = [
        "predict",
        "task.kgl",
        "--csv",
        "flow.csv",
        "--on-error",
        "skip",
    ];
    let (ok, said) = run(folder.path(), &skips);
    assert!(ok && said.contains("1 of 301 rows"), "{said}");
    // A word among numbers is a field to repair.
    fs::write(&path, format!("flow,heat\n1.5,oops\n{rows}")).unwrap();
    let (ok, said) = run(folder.path(), &["predict", "task.kgl", "--csv", "flow.csv"]);
    assert!(
        !ok && said.contains("\"oops\" is not a finite number"),
        "{said}"
    );
}

#[test]
fn rows_that_nobody_labelled_are_no_class() {
    let folder = TempDir::new().unwrap();
    let mut rows = "t,a,label\n".to_owned();
    for k in 0..600 {
        let label = ["ok", "", "fault"][(k / 40) % 3];
        let minutes = 10 * k;
        let (day, hour, minute) = (1 + minutes / 1440, minutes / 60 % 24, minutes % 60);
        let a = 50.0 + wave(k, 17.0);
        writeln!(
            rows,
            "2026-01-{day:02} {hour:02}:{minute:02}:00,{a:.2},{label}"
        )
        .unwrap();
    }
    let (said, task) = init(&folder, "lab.csv", &rows, &[]);
    assert!(said.contains("2 classes, fault, ok"), "{said}");
    assert!(said.contains("no label  33.3 % of the rows"), "{said}");
    assert!(!task.contains("none"), "{task}");
    trains_and_predicts(&folder, &said, 601);
}

#[test]
fn what_cannot_be_learned_is_said_and_nothing_is_written() {
    let folder = TempDir::new().unwrap();
    let cases = [
        ("a,b\n1,x\n1,x\n", "", "nothing to predict"),
        (
            "a,b\n1,2\n3,4\n5,1\n",
            "--target=c",
            "no column \"c\"; the columns are a, b",
        ),
        ("a,b\n1,2\n1,4\n1,3\n", "--target=a", "never changes"),
        ("just a few words\n", "", "too few to learn from"),
    ];
    for (content, option, words) in cases {
        fs::write(folder.path().join("x.csv"), content).unwrap();
        let mut arguments = vec!["init", "x.csv"];
        arguments.extend(Some(option).filter(|o| !o.is_empty()));
        let (ok, said) = run(folder.path(), &arguments);
        assert!(!ok && said.contains(words), "{content:?}: {said}");
        assert!(!folder.path().join("x.toml").exists());
    }
    // A task file that somebody has edited is not replaced.
    fs::write(folder.path().join("x.toml"), "mine").unwrap();
    let (ok, said) = run(folder.path(), &["init", "x.csv"]);
    assert!(!ok && said.contains("--force to replace it"), "{said}");
}

#[test]
fn marks_between_thousands_many_classes_and_names_that_stand_twice() {
    let folder = TempDir::new().unwrap();
    let table = |header: &str, row: &dyn Fn(f64, f64) -> String| {
        let rows = (0..200).map(|k| row(2.0 + 1.5 * wave(k, 24.0), wave(k, 17.0)));
        format!("{header}\n{}", rows.collect::<String>())
    };
    // 3,502.25 and 502.25, at most one mark.
    let english = |x: f64| {
        let (thousands, rest) = ((x as u32), (x - x.floor()) * 1000.0);
        match thousands {
            0 => format!("{rest:.2}"),
            _ => format!("{thousands},{rest:06.2}"),
        }
    };
    let german = |x: f64| {
        english(x)
            .replace(',', "_")
            .replace('.', ",")
            .replace('_', ".")
    };
    let csv = table("flow;level", &|a, b| format!("{};{b:.2}\n", english(a)));
    let (said, task) = init(&folder, "en.csv", &csv, &[]);
    assert!(said.contains("; , between thousands"), "{said}");
    assert!(said.contains("inputs    flow, level"), "{said}");
    assert!(task.contains("thousands = \",\""), "{task}");
    trains_and_predicts(&folder, &said, 201);
    let csv = table("flow;level", &|a, b| {
        format!("{};{}\n", german(a), format!("{b:.2}").replace('.', ","))
    });
    let (said, task) = init(&folder, "de.csv", &csv, &[]);
    assert!(
        said.contains("decimal commas; . between thousands"),
        "{said}"
    );
    assert!(
        task.contains("decimal = \",\"") && task.contains("thousands = \".\""),
        "{task}"
    );
    trains_and_predicts(&folder, &said, 201);
    // Between commas a comma in quotes is between thousands.
    let csv = table("flow,level", &|a, b| format!("\"{}\",{b:.2}\n", english(a)));
    let (said, _) = init(&folder, "quoted.csv", &csv, &[]);
    assert!(said.contains("; , between thousands"), "{said}");
    // More classes than are guessed, if they are asked for.
    let rows: String = (0..400)
        .map(|k| format!("{},part-{}\n", k % 40, k % 40))
        .collect();
    let (said, _) = init(
        &folder,
        "parts.csv",
        &format!("code,part\n{rows}"),
        &["--target", "part"],
    );
    assert!(said.contains("part (as asked for): 40 classes"), "{said}");
    trains_and_predicts(&folder, &said, 401);
    let csv = table("flow,level,flow", &|a, b| format!("{a:.2},{b:.2},{a:.1}\n"));
    let (said, _) = init(&folder, "twice.csv", &csv, &[]);
    assert!(
        said.contains("left out, as more than one is called so: flow"),
        "{said}"
    );
}

#[test]
fn marks_in_text_weeks_and_what_excel_writes_above_a_table() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("sep=;\nweek;level\n");
    for k in 0..300 {
        let level = match k {
            _ if k % 29 == 3 => "#N/A".into(),
            _ if k % 31 == 4 => "Error".into(),
            _ => format!("{:.2}", 3.0 + wave(k, 26.0)).replace('-', "\u{2212}"),
        };
        let (year, week) = (2020 + k / 52, 1 + k % 52);
        let _ = writeln!(csv, "{year}-W{week:02};{level}");
    }
    let (said, task) = init(&folder, "weekly.csv", &csv, &[]);
    assert!(said.contains("#N/A, Error stand for no value"), "{said}");
    assert!(said.contains("week, every 1 week"), "{said}");
    assert!(
        task.contains("missing_values = [\"#N/A\", \"Error\"]"),
        "{task}"
    );
    trains_and_predicts(&folder, &said, 301);
}

#[test]
fn what_is_no_table_of_numbers_is_said_with_what_it_is() {
    let folder = TempDir::new().unwrap();
    let rows = |row: &dyn Fn(usize) -> String| (0..60).map(|k| row(k) + "\n").collect::<String>();
    let units = format!("t,x\n{}", rows(&|k| format!("{k},{} kW", k * 7 % 59)));
    let below = format!(
        "Station 12\n\nt,x\n{}",
        rows(&|k| format!("{k},{}", k * 7 % 59))
    );
    let two_above = format!(
        "Logger;v2\nSite;A\n\nt;x;y\n{}",
        rows(&|k| format!("{k};{};{}", k * 7 % 59, k * 5 % 59))
    );
    let row_of_units = format!(
        "x,y\nkW,°C\n{}",
        rows(&|k| format!("{},{}", k * 7 % 59, k * 5 % 59)).repeat(4)
    );
    let twice = format!(
        "x,x\n{}",
        rows(&|k| format!("{},{}", k * 7 % 59, k * 5 % 59))
    );
    let signs = format!(
        "x,y\n{}",
        rows(&|k| format!("{},{}.5 °C", k * 7 % 59, k * 5 % 59))
    );
    let zeros = format!(
        "x,y\n{}",
        rows(&|k| format!("{k},{}", if k == 7 { "\0\0" } else { "1" }))
    );
    let large = format!(
        "x\n{}",
        rows(&|k| format!("{}", 30_000_000_000u64 + k as u64 % 3))
    );
    let mut mixed = b"name,x\n".to_vec();
    for k in 0..60 {
        let name: &[u8] = if k < 30 { b"caf\xe9" } else { b"caf\xc3\xa9" };
        mixed.extend([name, format!(",{}\n", k * 7 % 59).as_bytes()].concat());
    }
    for (name, content, expected) in [
        (
            "units.csv",
            units.as_bytes(),
            "x holds texts, such as \"0 kW\". Numbers stand alone",
        ),
        (
            "below.csv",
            below.as_bytes(),
            "the table begins in line 3, and what stands above it is no part of it",
        ),
        (
            "two.csv",
            two_above.as_bytes(),
            "the table begins in line 4, and what stands above it is no part of it",
        ),
        (
            "row.csv",
            row_of_units.as_bytes(),
            "row.csv:2: \"kW\", \"°C\" stand below the names and above the numbers, and are no row; remove them: sed 2d row.csv",
        ),
        (
            "twice.csv",
            twice.as_bytes(),
            "left out are columns of one name: x; rename all but one of each",
        ),
        (
            "zeros.csv",
            zeros.as_bytes(),
            "there are zero bytes among the text, first in line 9, as a logger leaves them that lost its power; remove them: tr",
        ),
        (
            "large.csv",
            large.as_bytes(),
            "as { column = \"x\", transform = \"difference\" } in a task file their changes are learned",
        ),
        (
            "mixed.csv",
            &mixed,
            "mixed.csv:32: UTF-8, and not windows-1252",
        ),
        ("empty.csv", b"\n", "empty.csv: is empty"),
        (
            "pointer.csv",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
            "git lfs pull",
        ),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        let (ok, said) = run(folder.path(), &["init", name, "--out", "none.toml"]);
        assert!(!ok && said.contains(expected), "{name}: {said}");
        assert!(!folder.path().join("none.toml").exists(), "{name}");
    }
    // Where others can be learned from, the column is left out and called what it is.
    let said = init(&folder, "signs.csv", &signs, &[]).0;
    assert!(
        said.contains("y (texts, such as \"0.5 °C\": numbers stand alone)"),
        "{said}"
    );
    let (ok, said) = run(
        folder.path(),
        &["init", "signs.csv", "--target", "y", "--out", "none.toml"],
    );
    assert!(
        !ok && said.contains("numbers with units or signs; remove them"),
        "{said}"
    );
    // Some of a column are plain, as gains are beside losses; and a clock was set back once.
    let rows: String = (0..400)
        .map(|k| {
            let y = wave(k, 13.0);
            let owed = if y < 0.0 {
                format!("({:.2})", -y)
            } else {
                format!("{y:.2}")
            };
            let minute = k - k / 300;
            format!(
                "2026-03-01T{:02}:{:02},{owed},\"$1,{:03}.50\",{y:.3}\n",
                minute / 60,
                minute % 60,
                k
            )
        })
        .collect();
    let said = init(
        &folder,
        "signs.csv",
        &format!("t,profit,price,y\n{rows}"),
        &[],
    )
    .0;
    for expected in [
        "such as \"(0.",
        "such as \"$1,000.50\": numbers stand alone",
        "0.3 % of the rows are not later than the row before",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_header_that_counts_its_columns_is_that_of_training_for_predict_too() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..80)
        .map(|k| format!("{:.3},{:.3},{}\n", wave(k, 13.0), wave(k, 29.0), k % 7))
        .collect();
    let said = init(&folder, "pandas.csv", &format!("0,1,2\n{rows}"), &[]).0;
    trains_and_predicts(&folder, &said, 1 + 80);
}

#[test]
fn what_rises_evenly_by_a_fraction_is_no_input() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("t,x,y\n");
    for k in 0..500 {
        let _ = writeln!(
            csv,
            "{:.3},{:.4},{:.4}",
            0.01 * k as f64,
            wave(k, 40.0),
            wave(k + 3, 40.0)
        );
    }
    let (said, task) = init(&folder, "scope.csv", &csv, &[]);
    assert!(said.contains("left out  t (counts rows)"), "{said}");
    assert!(!task.contains("\"t\""), "{task}");
    trains_and_predicts(&folder, &said, 501);
}

#[test]
fn broken_rows_are_left_out_and_told() {
    let folder = TempDir::new().unwrap();
    let mut csv = String::from("x,y\n");
    for k in 0..500 {
        let _ = writeln!(csv, "{:.4},{:.4}", wave(k, 40.0), wave(k + 3, 40.0));
        csv += if k == 200 { "x,y\n" } else { "" };
    }
    let (said, task) = init(&folder, "again.csv", &csv, &[]);
    assert!(
        said.contains("1 of 501 rows are broken and left out (0.20 %)"),
        "{said}"
    );
    assert!(task.contains("on_error = \"skip\""), "{task}");
    trains_and_predicts(&folder, &said, 501);
}

#[test]
fn columns_that_blanks_align_are_no_prose() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..99)
        .map(|k| format!("{:9.3} {k:5}\n", wave(k, 9.0)))
        .collect();
    fs::write(
        folder.path().join("aligned.csv"),
        format!("    x     y\n{rows}"),
    )
    .unwrap();
    let (ok, said) = run(folder.path(), &["init", "aligned.csv"]);
    assert!(!ok && said.contains("tr -s ' '"), "{said}");
}
