use std::fmt::Write;
use std::path::Path;

use super::*;
use crate::data::csv::Format;
use crate::package::{Restore, Transform};
use crate::task::Split;

fn load(csv: &str, task: &str) -> Result<Dataset, DataError> {
    let task = Task::parse(task, Path::new("t.toml")).unwrap();
    let table = Table::from_reader(csv.as_bytes(), "pump.csv", &Format::default())?;
    Dataset::from_table(&task, &table)
}

/// `keys` go into `[series]`, `shape` into `[shape]`.
fn series(keys: &str, shape: &str) -> String {
    format!(
        "name = \"t\"\n[csv]\nfile = \"pump.csv\"\n[series]\n{keys}\n[shape]\n{shape}\n\
         [network]\ncell = \"rnn\"\nhidden = [2]\n"
    )
}

/// Rows `t, t²` for t = 1, 2, ….
fn squares(rows: usize) -> String {
    let mut csv = String::from("a,b\n");
    for t in 1..=rows {
        writeln!(csv, "{t},{}", t * t).unwrap();
    }
    csv
}

#[test]
fn a_window_belongs_to_the_part_of_its_target_row() {
    let keys = "features = [\"a\"]\ntargets = [\"b\"]\nsplit = { rows = [5, 3, 2] }";
    let shape = "kind = \"many-to-one\"\nwindow = 3\nhorizon = 2";
    let data = load(&squares(12), &series(keys, shape)).unwrap();
    // Target row = first row + 2 + 2.
    assert_eq!(data.windows(Part::Train), [0]);
    assert_eq!(data.windows(Part::Valid), [1, 2, 3]);
    assert_eq!(data.windows(Part::Test), [4, 5]);
    let test: Vec<f32> = data.sequences(Part::Test).map(|s| s.truth(2)[0]).collect();
    assert_eq!(test, [81.0, 100.0]);
    assert_eq!(data.sequences(Part::Test).next().unwrap().raw(0), [5.0]);
}

#[test]
fn normalisation_sees_the_training_part_only() {
    let keys = "features = [\"a\"]\ntargets = [\"a\"]\nnormalise = \"min-max\"\nsplit = { rows = [5, 3, 2] }";
    let data = load(
        &squares(10),
        &series(keys, "kind = \"many-to-one\"\nwindow = 1"),
    )
    .unwrap();
    let Input::Features(features) = data.input() else {
        panic!("features expected");
    };
    // Row 0 has no row before it and is left out: 2 to 5.
    assert_eq!((features[0].offset, features[0].scale), (2.0, 1.0 / 3.0));
}

#[test]
fn differences_start_at_zero_after_a_reset() {
    let keys = "features = [\"a\", { column = \"b\", transform = \"difference\", normalise = \"none\" }]\n\
                targets = [{ column = \"b\", transform = \"difference\" }]\nsplit = { rows = [6, 2, 2] }";
    let data = load(
        &squares(10),
        &series(keys, "kind = \"many-to-one\"\nwindow = 2"),
    )
    .unwrap();
    let window = data.sequences(Part::Valid).next().unwrap();
    assert_eq!(window.normalised(0)[1], 0.0);
    assert_eq!(window.normalised(1)[1], 11.0);
    let Output::Values(targets) = data.output() else {
        panic!("values expected");
    };
    assert_eq!(targets[0].restore, Restore::AddTo { column: 1 });
    assert_eq!(targets[0].feeds, Some(1));
    let Input::Features(features) = data.input() else {
        panic!("features expected");
    };
    assert_eq!(features[1].transform, Transform::Difference { column: 1 });
    // The goal restores to the truth.
    let goal = data.goal_row(5)[0] * targets[0].scale + targets[0].offset + 36.0;
    assert!((goal - 49.0).abs() < 1e-4, "{goal}");
}

#[test]
fn many_to_many_windows_cover_a_part_and_streams_lead_in() {
    let keys = "features = [\"a\"]\ntargets = [\"b\"]\nsplit = { rows = [10, 6, 4] }";
    let shape = "kind = \"many-to-many\"\nwindow = 4";
    let data = load(&squares(20), &series(keys, shape)).unwrap();
    // Outputs at rows 0..=8 have their targets in the training part.
    assert_eq!(data.windows(Part::Train), [0, 4, 5]);
    assert!(data.pieces(Part::Valid).eq(std::iter::once(9..15)));
    let stream = data.sequences(Part::Valid).next().unwrap();
    assert_eq!(stream.steps(), 10);
    assert!(!stream.counts(3) && stream.counts(4));
    assert_eq!((stream.raw(4)[0], stream.truth(4)[0]), (10.0, 121.0));
    // A device has been running since the first row.
    let running = data.running(Part::Test).next().unwrap();
    assert_eq!((running.first_row(), running.steps()), (0, 19));
    assert!(!running.counts(14) && running.counts(15));
    assert_eq!((running.raw(15)[0], running.truth(15)[0]), (16.0, 289.0));
    let windows = data.in_windows();
    let firsts = windows.sequences(Part::Train).map(|s| s.first_row());
    assert!(firsts.eq([0, 4, 5]));
}

#[test]
fn rows_can_be_sequences() {
    let task = "name = \"t\"\n[csv]\nfile = \"\"\n[sequences]\nsteps = [\"t0\", \"t2\"]\nfeature = \"ecg\"\n\
                label = { column = \"kind\", classes = [{ name = \"n\", labels = [\"1\"] }, { name = \"a\", labels = [\"2\", \"3\"] }] }\n\
                split = { column = \"part\" }\n[shape]\nkind = \"many-to-one\"\n\
                [network]\ncell = \"rnn\"\nhidden = [2]\n";
    let csv = "part,kind,t0,t1,t2\ntrain,1,1,2,3\nvalid,3,4,5,6\ntest,2,7,8,9\ntrain,2,3,2,1\n";
    let data = load(csv, task).unwrap();
    assert_eq!(data.window(), 3);
    assert_eq!(data.windows(Part::Train), [0, 9]);
    let test = data.sequences(Part::Test).next().unwrap();
    assert_eq!((test.raw(2)[0], test.truth(2)[0]), (9.0, 1.0));
    assert!(test.counts(2) && !test.counts(1));
    let error = load(&csv.replace("valid,3", "valid,4"), task).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pump.csv:3: column \"kind\": \"4\" is none of 1, 2, 3; add it in the task file"
    );
    let error = load(&csv.replace("test,", "tset,"), task)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("pump.csv:4: column \"part\": \"tset\" is none of train, valid, test"),
        "{error}"
    );
}

/// Steps of 1.28 on top of 3e9, where 32 bits count by 256, and a target that is another column.
#[test]
fn a_difference_is_exact_for_what_is_known_in_the_same_row() {
    let mut csv = "wh,b\n".to_owned();
    for t in 0..60 {
        writeln!(
            csv,
            "{:.2},{}",
            3e9 + f64::from(t) * 1.28 + f64::from(t % 3),
            t % 5
        )
        .unwrap();
    }
    let keys = "features = [{ column = \"wh\", transform = \"difference\" }]\ntargets = [\"b\"]";
    let shape = "kind = \"many-to-one\"\nwindow = 4\nhorizon = 0";
    let data = load(&csv, &series(keys, shape)).unwrap();
    let Input::Features(features) = data.input() else {
        panic!("features expected");
    };
    assert_eq!(features[0].name, "diff(wh)");
    assert!((data.sequences(Part::Train).next().unwrap().raw(1)[0] - 2.28).abs() < 1e-6);
}

/// Neighbours of 2^53, whose differences numbers of 64 bits with a point round.
#[test]
fn steps_of_whole_numbers_are_exact_whatever_their_size() {
    let mut csv = "wh,b\n".to_owned();
    for t in 0u64..60 {
        writeln!(csv, "{},{}", (1 << 53) + 1 + 3 * t + t % 2, t % 5).unwrap();
    }
    let keys = "features = [\"diff(wh)\"]\ntargets = [\"b\"]";
    let data = load(&csv, &series(keys, "kind = \"many-to-one\"\nwindow = 4")).unwrap();
    let first = data.sequences(Part::Train).next().unwrap();
    assert!((1..4).map(|t| first.raw(t)[0]).eq([4.0, 2.0, 4.0]));
    assert!(!data.notes().iter().any(|note| note.contains("2^53")));
    let half = load(
        &csv.replacen("5,", "5.5,", 1),
        &series(keys, "kind = \"many-to-one\"\nwindow = 4"),
    )
    .unwrap();
    assert!(half.notes().iter().any(|note| note.contains("2^53")));
}

#[test]
fn what_is_too_long_for_the_rows_is_named() {
    let keys = "features = [\"a\"]\ntargets = [\"b\"]";
    let shape = |window: usize, horizon: usize| {
        format!("kind = \"many-to-one\"\nwindow = {window}\nhorizon = {horizon}")
    };
    let error = |window, horizon| {
        let task = series(keys, &shape(window, horizon));
        load(&squares(60), &task).unwrap_err().to_string()
    };
    assert!(error(4, 70).contains("shorten the horizon or bring more data"));
    assert!(error(70, 1).contains("shorten shape.window or bring more data"));
    assert!(error(4, 50).contains("42 rows, and a window of 4 with horizon 50"));
    assert!(error(4, 50).ends_with("change split, or make the horizon smaller"));

    let season = series(&format!("{keys}\nseason = 60"), &shape(4, 1));
    let notes = load(&squares(60), &season).unwrap().notes().to_vec();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("season = 60: no row has another")),
        "{notes:?}"
    );

    let task = Task::parse(&series(keys, &shape(4, 1)), Path::new("t.toml")).unwrap();
    let table =
        |csv: &str, name| Table::from_reader(csv.as_bytes(), name, &Format::default()).unwrap();
    let mut all = table(&squares(60), "pump.csv");
    all.append_test(&table(&squares(3), "short.csv"));
    let data = Dataset::from_table(&task, &all).unwrap();
    let note = "short.csv: its 3 rows are fewer than the 5 of a window and its horizon";
    assert!(
        data.notes().iter().any(|told| told.starts_with(note)),
        "{:?}",
        data.notes()
    );
}

#[test]
fn a_row_without_a_label_has_no_truth() {
    let mut csv = "a,b\n".to_owned();
    for t in 0..60 {
        writeln!(csv, "{},{}", t * 7 % 13, ["ok", "", "fault"][t / 2 % 3]).unwrap();
    }
    let keys = "features = [\"a\"]\nlabel = { column = \"b\", classes = [{ name = \"ok\", labels = [\"ok\"] }, \
                { name = \"fault\", labels = [\"fault\"] }] }";
    let shape = |kind| format!("kind = \"{kind}\"\nwindow = 3\nhorizon = 0");
    let every = load(&csv, &series(keys, &shape("many-to-many"))).unwrap();
    assert!(every.goal_row(2)[0].is_nan() && every.goal_row(4)[0] == 1.0);
    assert_eq!(every.class_counts(Part::Train).iter().sum::<usize>(), 28);
    let note = |note: &String| note.contains("20 of 60 rows (33.3 %) have no \"b\"");
    assert!(every.notes().iter().any(note), "{:?}", every.notes());
    let windows = load(&csv, &series(keys, &shape("many-to-one"))).unwrap();
    assert!(windows.sequences(Part::Train).all(|s| s.counts(2)));
}

#[test]
fn unusable_data_says_what_to_do() {
    let shape = "kind = \"many-to-one\"\nwindow = 4";
    let good = "features = [\"a\"]\ntargets = [\"b\"]";
    let log = "features = [{ column = \"a\", transform = \"log\" }]\ntargets = [\"b\"]";
    let cases = [
        (
            squares(3),
            good,
            "pump.csv: 3 rows are fewer than a window of 4 with horizon 1",
        ),
        (
            squares(5),
            good,
            "pump.csv: the train part has no window: 3 rows",
        ),
        (
            squares(9),
            "features = [\"a\"]\ntargets = [\"b\"]\nsplit = { rows = [9, 9, 9] }",
            "pump.csv: the split takes 27 rows and the file has 9",
        ),
        (
            squares(9),
            "features = [\"a\"]\ntargets = [\"b\"]\nsplit = { rows = [9, 0, 0] }",
            "pump.csv: the valid part has no window: 0 rows",
        ),
        (
            "a,b\n".to_string() + &"1,2\n".repeat(30),
            good,
            "pump.csv: column \"a\" is constant (1) over the training part",
        ),
        (
            "a,b\n".to_string() + &"1,2\n2,2\n".repeat(30),
            good,
            "pump.csv: column \"b\" is constant (2) over the training part; nothing can be learnt of it: predict another column",
        ),
        (
            (1..60).fold("a,b\n".to_string(), |csv, t| {
                csv + &format!("{},{t}\n", 1e5 + f64::from(t % 7) / 1e4)
            }),
            good,
            "pump.csv: column \"a\" varies over the training part, but not in 32 bits: its values reach 1.000e5, where 32 bits \
             count by 0.0078125, and its steps are of about 2.4140e-4: they are rounded away; take them as the column diff(a)",
        ),
        (
            squares(30).replace("\n7,", "\n-7,"),
            log,
            "pump.csv:8: column \"a\": the logarithm of -7 is not defined",
        ),
        (
            squares(30),
            "features = [\"a\"]\ntargets = [{ column = \"b\", transform = \"difference\" }]",
            "pump.csv: the features (a target relative to now must be one): no column \"b\"; the columns are a",
        ),
    ];
    for (csv, keys, expected) in cases {
        let error = load(&csv, &series(keys, shape)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{keys}: {error}");
    }
}

/// A task over columns of any kind, with gaps repeated.
fn gaps(features: &str, split: &str) -> String {
    format!(
        "name = \"t\"\n[csv]\nfile = \"\"\nformat = {{ missing = \"hold\" }}\n[series]\n\
         features = {features}\ntargets = [\"x\"]\nnormalise = \"none\"\nsplit = {split}\n\
         [shape]\nkind = \"many-to-one\"\nwindow = 1\n[network]\ncell = \"rnn\"\nhidden = [2]\n"
    )
}

fn load_gaps(csv: &str, task: &str) -> Result<Dataset, DataError> {
    let task = Task::parse(task, Path::new("t.toml")).unwrap();
    let format = task.csv.as_ref().unwrap().format.clone();
    let table = Table::from_reader(csv.as_bytes(), "air.csv", &format)?;
    Dataset::from_table(&task, &table)
}

#[test]
fn gaps_are_held_masked_and_timed() {
    let csv = "date,x,wind\n\
               2020-01-01 00:00,NA,N\n2020-01-01 01:00,2,N\n2020-01-01 03:00,,S\n\
               2020-01-01 04:00,4,NA\n2020-01-01 05:00,5,S\n2020-01-01 05:30,NA,N\n";
    let features = "[\"x\", \"missing(x)\", \"elapsed(date)\", { column = \"wind\", categories = [\"N\", \"S\"] }]";
    let data = load_gaps(csv, &gaps(features, "{ rows = [3, 1, 1] }")).unwrap();
    // The first row has nothing to hold and is gone, so the second has no row before it.
    let rows: Vec<&[f32]> = (0..5).map(|row| data.inner_row(row)).collect();
    assert_eq!(
        rows,
        [
            &[2.0, 0.0, 0.0, 1.0, 0.0],
            &[2.0, 1.0, 7200.0, 0.0, 1.0],
            &[4.0, 0.0, 3600.0, 0.0, 1.0],
            &[5.0, 0.0, 3600.0, 0.0, 1.0],
            &[5.0, 1.0, 1800.0, 1.0, 0.0],
        ]
    );
    let Input::Features(features) = data.input() else {
        panic!("features expected");
    };
    let names: Vec<&str> = features.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        ["x", "missing(x)", "elapsed(date)", "wind=N", "wind=S"]
    );
    let error = load_gaps(
        &csv.replace("05:00,5,S", "05:00,5,W"),
        &gaps(
            "[\"x\", { column = \"wind\", categories = [\"N\", \"S\"] }]",
            "\"none\"",
        ),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "air.csv:6: column \"wind=N\": \"W\" is none of N, S; add it in the task file"
    );
}

#[test]
fn what_nobody_measured_is_not_learnt_and_not_counted() {
    let csv = "x\n1\n\n3\n\n\n6\n7\n8\n";
    let data = load_gaps(csv, &gaps("[\"x\"]", "{ rows = [5, 2, 1] }")).unwrap();
    // The output at a row is about the next one, of which the third and sixth are known here.
    assert_eq!(data.windows(Part::Train), [1]);
    assert_eq!(data.windows(Part::Valid), [4, 5]);
    assert_eq!(sequences(&data, Part::Train), [(vec![1.0], 3.0)]);
    assert!(
        data.notes()
            .iter()
            .any(|note| note.contains("3 of 8 rows (37.5 %) have no \"x\"")),
        "{:?}",
        data.notes()
    );
    // Where every step answers the rows stay, for the state, and these answers do not count.
    let task = gaps("[\"x\"]", "{ rows = [5, 2, 1] }").replace("to-one", "to-many");
    let data = load_gaps(csv, &task).unwrap();
    let [stream] = &data.sequences(Part::Train).collect::<Vec<_>>()[..] else {
        panic!("one stream expected");
    };
    let counted: Vec<usize> = (0..stream.steps()).filter(|&t| stream.counts(t)).collect();
    assert_eq!((stream.steps(), counted), (4, vec![1]));
    let loss = crate::train::loss::Objective::from(crate::train::loss::Loss::Mse);
    let goals: Vec<f32> = (0..4).map(|row| data.goal_row(row)[0]).collect();
    assert_eq!(loss.value(&[0.0; 4], &goals, (1, 1)), 9.0);
}

#[test]
fn a_class_that_training_never_sees_is_told() {
    let task = "name = \"t\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"x\"]\nnormalise = \"none\"\nsplit = { rows = [3, 2, 2] }\n\
                label = { column = \"state\", classes = [{ name = \"good\", labels = [\"g\"] }, { name = \"bad\", labels = [\"b\"] }] }\n\
                [shape]\nkind = \"many-to-one\"\nwindow = 1\n[network]\ncell = \"rnn\"\nhidden = [2]\n";
    let data = load_gaps("x,state\n1,g\n2,g\n3,g\n4,b\n5,g\n6,b\n7,g\n", task).unwrap();
    let [note] = data.notes() else {
        panic!("{:?}", data.notes());
    };
    assert!(note.starts_with("class \"bad\" has nothing in the training part"));
}

/// A row per number, in equal parts of all but the last two rows, which are the validation and the test part.
fn notes_of(csv: &str, keys: &str, format: &str, horizon: usize) -> String {
    let rows = csv.lines().count() - 3;
    let task = format!(
        "name = \"t\"\n[csv]\nfile = \"\"\nformat = {{ {format} }}\n[series]\nsplit = {{ rows = [{rows}, 1, 1] }}\nnormalise = \"none\"\n{keys}\n\
         [shape]\nkind = \"many-to-many\"\nwindow = 1\nhorizon = {horizon}\n[network]\ncell = \"rnn\"\nhidden = [2]\n"
    );
    load_gaps(csv, &task).unwrap().notes().join("\n")
}

#[test]
fn classes_that_other_parts_lack_are_told() {
    let mut csv = String::from("x,state\n");
    (0..9).for_each(|row| writeln!(csv, "{row},{}", if row == 3 { "b" } else { "g" }).unwrap());
    let label = "features = [\"x\"]\nlabel = { column = \"state\", classes = [{ name = \"good\", labels = [\"g\"] }, { name = \"bad\", labels = [\"b\"] }] }";
    let notes = notes_of(&csv, label, "", 0);
    assert!(
        notes.contains("nothing in the valid part is of the class \"bad\""),
        "{notes}"
    );
    assert!(
        notes.contains("nothing in the test part is of the class \"bad\""),
        "{notes}"
    );
}

#[test]
fn what_fills_gaps_or_marks_them_is_told_of_inputs_and_of_targets() {
    let mut csv = String::from("x,y\n");
    for row in 0..60 {
        let x = if row % 3 == 1 {
            String::new()
        } else {
            row.to_string()
        };
        let y = if (20..30).contains(&row) {
            -999
        } else {
            row % 10
        };
        writeln!(csv, "{x},{y}").unwrap();
    }
    let notes = notes_of(
        &csv,
        "features = [\"x\"]\ntargets = [\"y\"]",
        "missing = \"hold\"",
        0,
    );
    assert!(
        notes.contains("20 of 60 rows (33.3 %) have no \"x\" and take the one before them"),
        "{notes}"
    );
    assert!(
        notes.contains("column \"y\" holds -999 in 10 of 58 rows"),
        "{notes}"
    );
    assert!(!notes.contains("in the same row"), "{notes}");
    let notes = notes_of(&csv, "features = [\"y\"]\ntargets = [\"y\"]", "", 0);
    assert!(
        notes.contains("column \"y\" is an input and, in the same row, what is to be found"),
        "{notes}"
    );
    assert!(
        !notes_of(&csv, "features = [\"y\"]\ntargets = [\"y\"]", "", 1).contains("in the same row")
    );
}

#[test]
fn categories_that_training_lacks_and_rows_without_a_group_are_told() {
    let csv = "x,m,g\n1,a,A\n2,b,A\n3,a,\n4,b,A\n5,c,A\n6,c,A\n";
    let keys = "features = [\"x\", { column = \"m\", categories = [\"a\", \"b\", \"c\"] }]\ntargets = [\"x\"]";
    let notes = notes_of(csv, keys, "", 0);
    assert!(
        notes.contains("no row of the training part has \"c\" in column \"m\""),
        "{notes}"
    );
    assert!(!notes.contains("has \"a\""), "{notes}");
    let notes = notes_of(csv, &format!("group = \"g\"\n{keys}"), "", 0);
    assert!(
        notes.contains("1 of 6 rows (16.7 %) have no \"g\" and are taken for one group"),
        "{notes}"
    );
}

#[test]
fn dates_without_a_clock_have_an_order_too() {
    let mut csv = String::from("Date,x\n");
    (1..29)
        .rev()
        .for_each(|day| writeln!(csv, "2026-02-{day:02},{day}").unwrap());
    for keys in ["", "time = \"Date\"\n"] {
        let notes = notes_of(
            &csv,
            &format!("{keys}features = [\"x\"]\ntargets = [\"x\"]"),
            "",
            1,
        );
        assert!(
            notes.contains("column \"Date\": the time goes back in 27 of 28 rows"),
            "{notes}"
        );
    }
}

#[test]
fn a_part_may_be_several_texts_of_a_column() {
    let csv = "year,x\n2010,1\n2011,2\n2012,3\n2013,4\n2014,5\n";
    let split = "{ column = { name = \"year\", train = [\"2010\", \"2011\", \"2012\"], valid = \"2013\", test = \"2014\" } }";
    let data = load_gaps(csv, &gaps("[\"x\"]", split)).unwrap();
    assert_eq!(data.windows(Part::Train), [0, 1]);
    assert_eq!(data.windows(Part::Valid), [2]);
    assert_eq!(data.windows(Part::Test), [3]);
}

/// Three machines of six, three and two rows.
const MACHINES: &str = "m,cycle,x\nA,1,10\nA,2,11\nA,3,12\nA,4,13\nA,5,14\nA,6,15\n\
                        B,1,20\nB,2,21\nB,3,22\nC,1,30\nC,2,31\n";

fn machines(keys: &str, shape: &str) -> Dataset {
    let keys = format!("features = [\"x\"]\ngroup = \"m\"\nnormalise = \"none\"\n{keys}");
    load(MACHINES, &series(&keys, shape)).unwrap()
}

/// The raw samples of each sequence of a part, and its truth.
fn sequences(data: &Dataset, part: Part) -> Vec<(Vec<f32>, f32)> {
    let sequence = |s: Sequence<'_>| {
        let last = s.steps() - 1;
        ((0..=last).map(|t| s.raw(t)[0]).collect(), s.truth(last)[0])
    };
    data.sequences(part).map(sequence).collect()
}

#[test]
fn short_groups_are_in_no_part() {
    // Every step answers, and of C's two rows no window can be made.
    let keys = "targets = [\"x\"]\nsplit = { groups = [1, 1, 1] }\n";
    let data = machines(keys, "kind = \"many-to-many\"\nwindow = 2\nhorizon = 1");
    assert_eq!(data.sequences(Part::Test).count(), 0);
    assert!(data.notes()[0].contains("1 of 3 groups (33.3 %) have fewer"));
}

#[test]
fn windows_stay_in_their_group_and_short_groups_repeat_a_row() {
    let keys =
        "targets = [{ column = \"remaining(cycle)\", cap = 2 }]\nsplit = { groups = [1, 1, 1] }\n";
    let shape = "kind = \"many-to-one\"\nwindow = 3\nhorizon = 0";
    for (pad, c) in [
        ("pad = \"front\"", vec![(vec![30.0, 30.0, 31.0], 0.0)]),
        ("pad = \"back\"", vec![(vec![30.0, 31.0, 31.0], 0.0)]),
        ("", vec![]),
    ] {
        let data = machines(&format!("{keys}{pad}"), shape);
        let life: Vec<f32> = sequences(&data, Part::Train).iter().map(|s| s.1).collect();
        assert_eq!(life, [2.0, 2.0, 1.0, 0.0]);
        assert_eq!(
            sequences(&data, Part::Valid),
            [(vec![20.0, 21.0, 22.0], 0.0)]
        );
        assert_eq!(sequences(&data, Part::Test), c, "{pad}");
    }
    // Every second row: A has 10, 12, 14, and B 20 and 22.
    let keys = format!("{keys}every = 2\npad = \"back\"");
    let data = machines(&keys, "kind = \"many-to-one\"\nwindow = 2\nhorizon = 0");
    assert_eq!(
        sequences(&data, Part::Train),
        [(vec![10.0, 12.0], 2.0), (vec![12.0, 14.0], 0.0)]
    );
    assert_eq!(sequences(&data, Part::Valid), [(vec![20.0, 22.0], 0.0)]);
}

#[test]
fn groups_take_turns_and_begin_again() {
    let csv: String = (0..7).map(|g| format!("g{g},{g}\n")).collect();
    let keys = "features = [\"x\"]\ntargets = [\"x\"]\ngroup = \"g\"\nnormalise = \"none\"\nsplit = { turns = [2, 1, 1] }\n";
    let task = series(keys, "kind = \"many-to-one\"\nwindow = 1\nhorizon = 0");
    let data = load(&format!("g,x\n{csv}"), &task).unwrap();
    let of = |part| -> Vec<f32> { sequences(&data, part).iter().map(|s| s.1).collect() };
    assert_eq!(
        Part::ALL.map(of),
        [vec![0.0, 1.0, 4.0, 5.0], vec![2.0, 6.0], vec![3.0]]
    );
}

#[test]
fn several_horizons_are_several_outputs() {
    let keys = "targets = [\"x\"]\nsplit = { rows = [4, 2, 5] }\n";
    let shape = "kind = \"many-to-one\"\nwindow = 1\nhorizons = [1, 2]";
    let data = machines(keys, shape);
    let Output::Values(targets) = data.output() else {
        panic!("values expected");
    };
    let names: Vec<&str> = targets.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["x+1", "x+2"]);
    assert_eq!((targets[0].feeds, targets[1].feeds), (Some(0), None));
    assert_eq!(targets[1].column(), "x");
    // Both targets of a window are rows of the same part and group.
    let both = |part| -> Vec<Vec<f32>> {
        let sequences = data.sequences(part);
        sequences.map(|s| s.truth(0).to_vec()).collect()
    };
    assert_eq!(both(Part::Train), [[11.0, 12.0], [12.0, 13.0]]);
    assert_eq!(both(Part::Valid), [[14.0, 15.0]]);
    assert_eq!(both(Part::Test), [[21.0, 22.0]]);
}

#[test]
fn a_test_file_and_joined_columns_make_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("train.csv", MACHINES);
    write(
        "test.csv",
        "m,cycle,x\n1,1,40\n1,2,41\n2,1,50\n2,2,51\n2,3,52\n",
    );
    write("left.csv", "m,rul\n1,7\n2,9\n");
    let task = "name = \"t\"\n[csv]\nfile = \"train.csv\"\n\
                [csv.test]\nfile = \"test.csv\"\njoin = { file = \"left.csv\", on = \"m\" }\n\
                [series]\nfeatures = [\"x\"]\ngroup = \"m\"\ntest_last = true\n\
                targets = [{ column = \"remaining(cycle)\", after = \"rul\" }]\nsplit = { groups = [1, 2, 0] }\n\
                [shape]\nkind = \"many-to-one\"\nwindow = 2\nhorizon = 0\n\
                [network]\ncell = \"rnn\"\nhidden = [2]\n";
    let load = |task: &str| {
        let task = Task::parse(task, &folder.path().join("t.toml")).unwrap();
        Dataset::load(&task)
    };
    let data = load(task).unwrap();
    assert_eq!(
        sequences(&data, Part::Test),
        [(vec![40.0, 41.0], 7.0), (vec![51.0, 52.0], 9.0)]
    );
    assert_eq!(sequences(&data, Part::Valid).len(), 3);
    let other = "m,cycle,X\n1,1,40\n1,2,41\n";
    let whole = std::fs::read_to_string(folder.path().join("test.csv")).unwrap();
    write("test.csv", other);
    let error = load(task).unwrap_err().to_string();
    assert!(
        error.contains("test.csv: no column \"x\"; did you mean \"X\"?"),
        "{error}"
    );
    write("test.csv", &whole);
    let both = task.replace("groups = [1, 2, 0]", "groups = [1, 1, 1]");
    let data = load(&both).unwrap();
    assert!(
        data.notes()
            .iter()
            .any(|note| note.contains("the test part is 2 rows of") && note.contains("and 5 of")),
        "{:?}",
        data.notes()
    );
    write("left.csv", "m,rul\n1,7\n");
    let error = load(task).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "test.csv:4: column \"m\": \"2\" has no row in the joined file; repair one of the files"
        ),
        "{error}"
    );
    write("left.csv", "m,rul\n1,7\n2,soon\n");
    let error = load(task).unwrap_err().to_string();
    assert!(
        error.contains("test.csv:6: column \"rul\": \"soon\" is not a finite number"),
        "{error}"
    );
}

/// Windows of one sample, nothing ahead: a row's part is where its window is.
const ROWS: &str = "kind = \"many-to-one\"\nwindow = 1\nhorizon = 0";

#[test]
fn every_group_has_its_past_in_training_and_its_future_in_the_test_part() {
    // 6, 3 and 2 rows of 0.5, 0.25, 0.25.
    let keys = "targets = [\"x\"]\nsplit = { per_group = [0.5, 0.25, 0.25] }\n";
    let data = machines(keys, ROWS);
    let of = |part| -> Vec<f32> { sequences(&data, part).iter().map(|s| s.1).collect() };
    assert_eq!(of(Part::Train), [10.0, 11.0, 12.0, 20.0, 30.0]);
    assert_eq!(of(Part::Valid), [13.0, 21.0]);
    assert_eq!(of(Part::Test), [14.0, 15.0, 22.0, 31.0]);
    // It is what happens where nothing is said: 0.7, 0.1 and 0.2.
    let mut csv = String::from("m,x\n");
    for row in 0..30 {
        writeln!(csv, "{},{row}", row / 10).unwrap();
    }
    let keys = "features = [\"x\"]\ntargets = [\"x\"]\ngroup = \"m\"";
    let data = load(&csv, &series(keys, ROWS)).unwrap();
    assert_eq!(data.windows(Part::Valid), [7, 17, 27]);
    assert_eq!(data.windows(Part::Test), [8, 9, 18, 19, 28, 29]);
    let data = load(&csv, &series(&keys.replace("\ngroup = \"m\"", ""), ROWS)).unwrap();
    assert_eq!(data.windows(Part::Valid), [21, 22, 23]);
}

/// `TimeSeriesSplit(n_splits=…)` of scikit-learn, with an eighth of what it trains on set apart.
#[test]
fn folds_roll_as_those_of_scikit_learn() {
    let tests: [(usize, usize, &[Range<usize>]); 2] = [
        (23, 5, &[8..11, 11..14, 14..17, 17..20, 20..23][..]),
        (12, 3, &[3..6, 6..9, 9..12][..]),
    ];
    for (rows, folds, tests) in tests {
        let keys = "features = [\"a\"]\ntargets = [\"a\"]\nnormalise = \"none\"\n";
        let task = series(&format!("{keys}split = {{ folds = {folds} }}"), ROWS);
        let task = Task::parse(&task, Path::new("t.toml")).unwrap();
        assert_eq!(task.folds(), Some(folds));
        let csv = squares(rows);
        let table = Table::from_reader(csv.as_bytes(), "t.csv", &Format::default()).unwrap();
        let of = |task: &Task| {
            Part::ALL.map(|p| {
                Dataset::from_table(task, &table)
                    .unwrap()
                    .windows(p)
                    .to_vec()
            })
        };
        for (fold, test) in (1..).zip(tests) {
            let task = task
                .clone()
                .with_split(Split::Fold { fold, of: folds })
                .unwrap();
            let [train, valid, found] = of(&task);
            let apart = test.start - test.start.div_ceil(8);
            assert_eq!(train, (0..apart).collect::<Vec<_>>());
            assert_eq!(valid, (apart..test.start).collect::<Vec<_>>());
            assert_eq!(found, test.clone().collect::<Vec<_>>());
        }
        let last = Split::Fold {
            fold: folds,
            of: folds,
        };
        assert_eq!(of(&task), of(&task.clone().with_split(last).unwrap()));
    }
}

#[test]
fn a_date_splits_the_rows_of_every_group() {
    let mut csv = String::from("m,when,x\n");
    for machine in ["A", "B"] {
        for day in 1..=10 {
            writeln!(csv, "{machine},2026-03-{day:02} 12:00,{day}").unwrap();
        }
    }
    let keys = |split: &str| {
        series(
            &format!(
                "features = [\"x\"]\ntargets = [\"x\"]\nnormalise = \"none\"\ngroup = \"m\"\nsplit = {split}"
            ),
            ROWS,
        )
    };
    let days = |split: &str| {
        let data = load(&csv, &keys(split)).unwrap();
        Part::ALL.map(|part| {
            sequences(&data, part)
                .iter()
                .map(|s| s.1)
                .collect::<Vec<f32>>()
        })
    };
    let [train, valid, test] = days("{ before = [\"2026-03-04\", \"2026-03-09\"] }");
    assert_eq!(train, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    assert_eq!(valid, [4.0, 5.0, 6.0, 7.0, 8.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(test, [9.0, 10.0, 9.0, 10.0]);
    let [train, valid, test] = days("{ before = \"2026-03-09\" }");
    assert_eq!((train.len(), valid, test.len()), (14, vec![8.0, 8.0], 4));
    // A date with an offset is an instant: these rows are an hour ahead of UTC.
    csv = csv.replace(" 12:00", " 12:00+01:00");
    for (before, tested) in [
        ("12:00+01:00", 4),
        ("12:30+01:00", 2),
        ("11:00Z", 4),
        ("11:30Z", 2),
        ("12:00", 4),
    ] {
        let split = format!("{{ before = \"2026-03-09T{before}\" }}");
        let data = load(&csv, &keys(&split)).unwrap();
        assert_eq!(sequences(&data, Part::Test).len(), tested, "{before}");
    }
    csv = csv.replace("+01:00", "");
    let error = |text: &str| load(&csv, text).unwrap_err().to_string();
    assert_eq!(
        error(&keys("{ before = \"2027-01-01\" }")),
        "pump.csv: split.before leaves no row for the test part: the times in column \"when\" are from 2026-03-01 12:00 to \
         2026-03-10 12:00; choose a date between them, or name another column of times (time = \"…\" in [series])"
    );
    assert!(error(&keys("{ before = \"1999-01-01\" }")).contains("no row for the train part"));
    let named = keys("{ before = \"2026-03-09\" }\ntime = \"m\"");
    assert!(error(&named).contains("pump.csv:2: column \"m\": \"A\" is not a time"));
    let csv = csv.replace("2026-03-", "").replace(" 12:00", "");
    let error = load(&csv, &keys("{ before = \"2026-03-09\" }")).unwrap_err();
    assert!(
        error.to_string().contains("no column holds times"),
        "{error}"
    );
}

#[test]
fn splits_that_make_no_sense_are_refused() {
    for (split, words) in [
        (
            "{ per_group = [0.7, 0.1, 0.2] }",
            "there are no groups to split",
        ),
        (
            "{ fractions = [0.7, -0.1, 0.2] }",
            "must be positive and sum to at most 1",
        ),
        ("{ before = \"soon\" }", "is not a time such as"),
        (
            "{ before = [\"2026-03-09\", \"2026-03-04\"] }",
            "the date on which the test part begins",
        ),
        (
            "{ before = [\"2026-03-01\", \"2026-03-02\", \"2026-03-03\"] }",
            "the date on which",
        ),
        ("{ folds = 1 }", "folds is from 2 to 100"),
        ("{ rows = [0, 1, 1] }", "the training part has no rows"),
    ] {
        let keys = format!("features = [\"a\"]\ntargets = [\"a\"]\nsplit = {split}");
        let error = Task::parse(&series(&keys, ROWS), Path::new("t.toml")).unwrap_err();
        assert!(error.to_string().contains(words), "{split}: {error}");
        assert!(
            error.to_string().contains("series.split"),
            "{split}: {error}"
        );
    }
}

#[test]
fn runs_of_ones_in_a_column_are_labelled_windows() {
    let task = |labels: &str| {
        let keys = "features = [\"x\"]\ntargets = [\"x\"]\nsplit = \"none\"\nnormalise = \"none\"";
        series(keys, "kind = \"many-to-one\"\nwindow = 1")
            + &format!("[anomaly]\nsmoothing = 0.1\nlabels = {labels}\n")
    };
    let csv = "x,odd\n1,0\n2,1\n3,1\n4,0.0\n5,1.0\n6,0\n";
    let data = load(csv, &task("{ column = \"odd\" }")).unwrap();
    let events: Vec<usize> = data.sequences(Part::Test).map(|s| s.event(0)).collect();
    // Of the row that is predicted.
    assert_eq!(events, [1, 1, 0, 2, 0]);
    let error = load(
        &csv.replace("4,0.0", "4,maybe"),
        &task("{ column = \"odd\" }"),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with(
            "pump.csv:5: column \"odd\": \"maybe\" is neither 0 or false (nothing is wrong) nor 1 or true"
        ),
        "{error}"
    );
    for labels in [
        "{ column = \"odd\", key = \"a\" }",
        "{ file = \"a.json\" }",
        "{}",
    ] {
        let error = Task::parse(&task(labels), Path::new("t.toml")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("anomaly.labels: expected { column"),
            "{error}"
        );
    }
}

#[test]
fn nothing_reaches_across_rows_that_were_left_out() {
    let load = |csv: &str, shape: &str| {
        let keys = "features = [\"a\"]\ntargets = [\"b\"]\nsplit = { rows = [12, 4, 3] }";
        let task = Task::parse(&series(keys, shape), Path::new("t.toml")).unwrap();
        let format = Format {
            on_error: crate::data::csv::OnError::Skip,
            ..Format::default()
        };
        let table = Table::from_reader(csv.as_bytes(), "pump.csv", &format).unwrap();
        Dataset::from_table(&task, &table).unwrap()
    };
    let window = "kind = \"many-to-one\"\nwindow = 3";
    // The tenth of twenty rows, torn or no number.
    for broken in ["10", "oops,100"] {
        let csv = squares(20).replace("10,100", broken);
        let data = load(&csv, window);
        // A window and the row behind it are of the nine rows before, or of the ten behind.
        assert_eq!(data.windows(Part::Train), [0, 1, 2, 3, 4, 5]);
        assert_eq!(data.windows(Part::Valid), [9, 10, 11, 12]);
        assert_eq!(data.windows(Part::Test), [13, 14, 15]);
        assert!(data.earlier(8, 1).is_some() && data.earlier(9, 1).is_none());
        let told = data
            .notes()
            .iter()
            .any(|note| note.contains("left out in 1 places"));
        assert!(told, "{:?}", data.notes());
        let data = load(&csv, "kind = \"many-to-many\"\nwindow = 3");
        let pieces = data
            .sequences(Part::Train)
            .map(|s| (s.raw(0)[0], s.steps()));
        // Of the second piece the first two rows have their targets in the training part.
        assert_eq!(pieces.collect::<Vec<_>>(), [(1.0, 8), (11.0, 2)]);
    }
    // Between two parts of a file that was put together nothing is missing.
    let whole = load(&squares(19), window);
    let again = load(&squares(19).replace("10,100", "a,b\n10,100"), window);
    assert_eq!(again.windows(Part::Train), whole.windows(Part::Train));
}

#[test]
fn rows_whose_label_or_part_is_none_are_left_out_too() {
    let load = |csv: &str, task: &str| {
        let task = Task::parse(task, Path::new("t.toml")).unwrap();
        let format = Format {
            on_error: crate::data::csv::OnError::Skip,
            ..Format::default()
        };
        let table = Table::from_reader(csv.as_bytes(), "pump.csv", &format).unwrap();
        Dataset::from_table(&task, &table)
    };
    let told = |data: &Dataset, begin: &str| {
        let told = data.notes().iter().any(|note| note.starts_with(begin));
        assert!(told, "{begin}: {:?}", data.notes());
    };
    let classes =
        "classes = [{ name = \"n\", labels = [\"0\"] }, { name = \"a\", labels = [\"1\"] }]";
    let rows = |label: &dyn Fn(usize) -> &'static str, at: &str| {
        let rows = (0..40).map(|k| format!("2026-01-01 00:{k:02},{},{}\n", k * 7 % 11, label(k)));
        let csv: String = rows.collect();
        format!("t,x,y\n{}", csv.replacen("2026-01-01 00:30", at, 1))
    };
    let shape = "kind = \"many-to-many\"\nwindow = 3\nhorizon = 0";
    let labelled = series(
        &format!("features = [\"x\"]\nlabel = {{ column = \"y\", {classes} }}\ntime = \"t\""),
        shape,
    );
    let label = |k: usize| if k == 10 { "?!" } else { ["0", "1"][k % 2] };
    let data = load(&rows(&label, "2026-01-01 00:30"), &labelled).unwrap();
    told(
        &data,
        "pump.csv: 1 of 40 rows are broken and left out (2.50 %), the first: pump.csv:12: column \"y\": \"?!\" is none of 0, 1",
    );
    // A time that is none, beside it.
    let data = load(&rows(&label, "noon"), &labelled).unwrap();
    told(
        &data,
        "pump.csv: 2 of 40 rows are broken and left out (5.00 %)",
    );

    let parted = series(
        "features = [\"x\"]\ntargets = [\"x\"]\nsplit = { column = \"y\" }",
        "kind = \"many-to-many\"\nwindow = 3",
    );
    let part = |k: usize| match k {
        5 => "tset",
        0..20 => "train",
        20..30 => "valid",
        _ => "test",
    };
    let data = load(&rows(&part, "2026-01-01 00:30"), &parted).unwrap();
    told(&data, "pump.csv: 1 of 40 rows are broken and left out");

    let marked = series(
        "features = [\"x\"]\ntargets = [\"x\"]",
        "kind = \"many-to-many\"\nwindow = 3",
    ) + "[anomaly]\nsmoothing = 0.1\nlabels = { column = \"y\" }\n";
    let mark = |k: usize| if k == 7 { "2" } else { ["0", "1"][k / 36] };
    let data = load(&rows(&mark, "2026-01-01 00:30"), &marked).unwrap();
    told(&data, "pump.csv: 1 of 40 rows are broken and left out");

    let sequences = format!(
        "name = \"t\"\n[csv]\nfile = \"\"\n[sequences]\nsteps = [\"t0\", \"t1\"]\nfeature = \"x\"\nlabel = {{ column = \"y\", {classes} }}\n\
         [shape]\nkind = \"many-to-one\"\n[network]\ncell = \"rnn\"\nhidden = [2]\n"
    );
    let lines = (0..20).map(|k| format!("{},{k},{}\n", if k == 4 { "x" } else { "0" }, k * k));
    let csv = format!("y,t0,t1\n{}", lines.collect::<String>());
    let data = load(&csv, &sequences).unwrap();
    told(&data, "pump.csv: 1 of 20 rows are broken and left out");
}
