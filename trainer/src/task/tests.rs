use super::*;

const GOOD: &str = r#"
name = "pump"
[csv]
file = "pump.csv"
[series]
features = ["a", { column = "b", transform = "difference" }]
targets = ["a"]
[shape]
kind = "many-to-one"
window = 8
[network]
cell = "gru"
hidden = [4, 4]
[train]
batch = 8
"#;

fn parse(text: &str) -> Result<Task, TaskError> {
    Task::parse(text, Path::new("tasks/pump.toml"))
}

#[test]
fn defaults_are_filled_in() {
    let task = parse(GOOD).unwrap();
    assert_eq!(task.loss(), Loss::Mse);
    assert_eq!(task.shape.horizon, 1);
    assert_eq!(
        task.series().unwrap().split(),
        Split::Fractions([0.7, 0.1, 0.2])
    );
    assert_eq!(task.data_path(), Some(PathBuf::from("tasks/pump.csv")));
    let other = task.with_data(Some(Path::new("x.csv")));
    assert_eq!(other.data_path(), Some(PathBuf::from("x.csv")));
}

#[test]
fn errors_name_file_line_key_and_remedy() {
    let cases = [
        (
            "window = 8",
            "",
            "tasks/pump.toml:8: shape.window: is missing",
        ),
        (
            "window = 8",
            "window = 8\nhop = 0",
            "tasks/pump.toml:11: shape.hop: must be at least 1",
        ),
        (
            "window = 8",
            "window = 8\nstateful = true",
            "tasks/pump.toml:11: shape.stateful: windows",
        ),
        (
            "batch = 8",
            "batch = 0",
            "tasks/pump.toml:15: train.batch: is from 1",
        ),
        (
            "batch = 8",
            "learning_rate = -1.0",
            "tasks/pump.toml:15: train.learning_rate",
        ),
        (
            "batch = 8",
            "loss = \"cross-entropy\"",
            "tasks/pump.toml:15: train.loss",
        ),
        (
            "[4, 4]",
            "[]",
            "tasks/pump.toml:13: network.hidden: expected one width",
        ),
        (
            "[4, 4]",
            "[1,1,1,1,1,1,1,1,1,1,1,1]",
            "tasks/pump.toml:13: network.hidden: 13 layers",
        ),
        (
            "targets = [\"a\"]",
            "",
            "tasks/pump.toml:5: series.targets: nothing to predict",
        ),
        (
            "[\"a\", {",
            "[\"b\", {",
            "tasks/pump.toml:6: series.features: \"b\" stands there twice",
        ),
        (
            "targets = [\"a\"]",
            "targets = [\"a\", \"a\"]",
            "tasks/pump.toml:7: series.targets: \"a\" stands there twice",
        ),
        (
            "window = 8",
            "window = 8\nhorizon = 6\nhorizons = [1, 2]",
            "tasks/pump.toml:11: shape.horizon: horizons says how far ahead too",
        ),
        (
            "[csv]\nfile = \"pump.csv\"",
            "",
            "tasks/pump.toml:4: series.csv: needs a [csv]",
        ),
        (
            "targets = [\"a\"]",
            "targets = [\"a\"]\nsplit = { fractions = [0.9, 0.9, 0.0] }",
            "tasks/pump.toml:8: series.split",
        ),
        (
            "targets = [\"a\"]",
            "targets = [{ column = \"a\", transform = \"difference\", against = \"z\" }]",
            "tasks/pump.toml:7: series.targets: against = \"z\"",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        // Where the key is gone, its section is named: the line shifts with the text removed.
        let (place, message) = expected.split_once(": ").unwrap();
        assert!(error.contains(message), "{to:?}: {error}");
        if !to.is_empty() {
            assert!(error.starts_with(place), "{to:?}: {error}");
        }
    }
}

#[test]
fn toml_errors_carry_line_and_column_and_say_what_belongs_there() {
    let cases = [
        (
            "window = 8",
            "windows = 8",
            ":10:1: unknown key \"windows\"; did you mean \"window\"? The keys here are kind, window",
        ),
        (
            "window = 8",
            "window = \"8\"",
            ":10:10: the text \"8\" stands where a whole number, not below 0, is expected",
        ),
        (
            "cell = \"gru\"",
            "cell = \"grue\"",
            ":12:8: unknown choice \"grue\"; did you mean \"gru\"? The choices are rnn, ",
        ),
        (
            "hidden = [4, 4]",
            "",
            ": the key \"hidden\" is missing in this table",
        ),
        (
            "[\"a\", {",
            "[7, {",
            "7 stands where a column name or a table",
        ),
        (
            "transform = \"difference\"",
            "transfrom = \"difference\"",
            "unknown key \"transfrom\"; did you mean \"transform\"?",
        ),
        (
            "targets = [\"a\"]",
            "targets = [\"a\"]\nsplit = { rows = [1, 2] }",
            "2 values stand where a list of 3 values is expected",
        ),
        ("batch = 8", "batch = ", ":15:9: "),
        (
            "batch = 8",
            "batch = -8",
            ":15:9: -8 stands where a whole number",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{to:?}: {error}");
        assert!(error.starts_with("tasks/pump.toml:"), "{error}");
        for rust in ["usize", "f32", "struct", "field", "variant"] {
            assert!(!error.contains(rust), "{error}");
        }
    }
}

#[test]
fn decomposed_letters_are_composed_and_errors_stand_where_they_do() {
    let text = GOOD.replacen("[\"a\", {", "[\"caf\u{65}\u{301}\", {", 1);
    let task = parse(&text).unwrap();
    let series = task.series().unwrap();
    assert_eq!(series.features[0].column, "caf\u{e9}");
    // Behind letters that become shorter, in a line of its own and in the same one.
    for (from, to, expected) in [
        ("batch = 8", "batch = -8", ":15:9: -8 stands"),
        (
            "{ column = ",
            "{ colu = ",
            "unknown key \"colu\"; did you mean \"column\"?",
        ),
    ] {
        let error = parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
