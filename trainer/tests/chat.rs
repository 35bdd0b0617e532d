//! `kinglet chat`: the state goes on from turn to turn, and what is not understood is forgotten.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TASK: &str = r#"
name = "turns"
[pairs]
files = { train = "pairs.csv", valid = "pairs.csv", test = "pairs.csv" }
vocabulary = { min_count = 1 }
[shape]
kind = "next-token"
window = 8
[network]
cell = "lstm"
hidden = [16]
embedding = 6
[train]
learning_rate = 0.02
batch = 4
epochs = 150
[output]
precision = "w8a8"
"#;

/// The empty target: nothing is to be said where nothing came before.
const PAIRS: &str = "source,target
start pump,on pump
start fan,on fan
start pump stop,off pump
start fan stop,off fan
start pump stop start fan,on fan
start fan stop start pump,on pump
stop,
pump,
fan,
";

fn kinglet(folder: &Path, arguments: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kinglet"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_conversation_is_remembered_until_an_empty_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("turns.toml"), TASK).unwrap();
    std::fs::write(folder.join("pairs.csv"), PAIRS).unwrap();
    let trained = kinglet(folder, "train turns.toml --out turns.kgl", "");
    let text = String::from_utf8(trained.stdout).unwrap();
    let row = text.lines().find(|line| line.starts_with("w8a8")).unwrap();
    assert_eq!(row.matches("1.00000").count(), 3, "{text}");
    let naive = text.lines().find(|line| line.starts_with("nearest text"));
    assert!(naive.is_some(), "{text}");

    let chat = "chat turns.encoder.kgl turns.decoder.kgl";
    let said = |arguments: &str, input: &str| -> Vec<String> {
        let ran = kinglet(folder, &format!("{chat} {arguments}"), input);
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{error}");
        let out = String::from_utf8(ran.stdout).unwrap();
        out.lines().map(str::to_owned).collect()
    };
    assert_eq!(
        said("", "start pump\nstop\n\nstart fan\nstop\n"),
        ["on pump", "off pump", "on fan", "off fan"]
    );
    // "stop" alone means nothing; read on from it, "start fan" would be "stop start fan", which no pair has.
    assert_eq!(
        said("", "stop\nstart fan\nstop\n\nstop\n"),
        ["not understood", "on fan", "off fan", "not understood"]
    );
    let rows = said("--probabilities", "start fan\n");
    let (answer, probability) = rows[0].split_once('\t').unwrap();
    let probability: f64 = probability.parse().unwrap();
    assert!(
        answer == "on fan" && (0.8..=1.0).contains(&probability),
        "{rows:?}"
    );
    assert_eq!(said("--threshold 1", "start fan\n"), ["not understood"]);

    for (arguments, code, word) in [
        (&*format!("{chat} --threshold 2"), 2, "from 0 to 1"),
        ("chat turns.decoder.kgl turns.encoder.kgl", 2, "[pairs]"),
        (
            "chat turns.encoder.kgl turns.f32.decoder.kgl",
            1,
            "is not the decoder of",
        ),
    ] {
        let ran = kinglet(folder, arguments, "start fan\n");
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(
            ran.status.code() == Some(code) && error.contains(word),
            "{error}"
        );
    }
}
