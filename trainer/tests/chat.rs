//! `kinglet chat`: the state goes on from turn to turn, and what is not understood is forgotten.

mod desk;

use desk::Desk;

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

#[test]
fn a_conversation_is_remembered_until_an_empty_line() {
    let desk = Desk::new();
    desk.write("turns.toml", TASK);
    desk.write("pairs.csv", PAIRS);
    let text = desk.ok("train turns.toml --out turns.kgl");
    let row = text.lines().find(|line| line.starts_with("w8a8")).unwrap();
    assert_eq!(row.matches("1.00000").count(), 3, "{text}");
    let naive = text.lines().find(|line| line.starts_with("nearest text"));
    assert!(naive.is_some(), "{text}");

    let chat = "chat turns.encoder.kgl turns.decoder.kgl";
    let said = |arguments: &str, input: &str| -> Vec<String> {
        let ran = desk.run_on(&format!("{chat} {arguments}"), input);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out.lines().map(str::to_owned).collect()
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
        // Before anything is said.
        let ran = desk.run_on(arguments, "");
        assert!(ran.code == Some(code) && ran.err.contains(word), "{ran:?}");
    }
}
