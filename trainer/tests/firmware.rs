//! The firmware example with models of every kind, on the host: it takes them, and its digest of the test steps is that of
//! `kinglet verify`.

mod desk;

use desk::Desk;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Builds and runs the example for the host.
fn firmware(desk: &Desk, model: &str) -> (bool, String) {
    let ran = Command::new(env!("CARGO"))
        .args(["run", "-q", "-p", "firmware-example"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("FIRMWARE_MODEL", desk.path(model))
        .env("FIRMWARE_SAMPLES", desk.path("samples.csv"))
        .output()
        .unwrap();
    let text = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8(text).unwrap())
}

/// Trains a task on samples and runs the model as firmware; what that printed.
fn runs(name: &str, samples: &str, task: &str) -> String {
    let desk = Desk::new();
    desk.write("samples.csv", samples);
    let rest = "[train]\nepochs = 1\n[output]\nprecision = \"w8a16\"\n";
    desk.write("t.toml", format!("name = \"{name}\"\n{task}{rest}"));
    desk.ok("train t.toml --quiet --out m.kgl");
    let (ok, said) = firmware(&desk, "m.kgl");
    assert!(ok, "{name}: {said}");
    let of_firmware: Vec<&str> = said
        .lines()
        .filter_map(|l| l.strip_prefix("test    "))
        .collect();
    let verified = desk.ok("verify m.kgl");
    let of_verify: Vec<&str> = verified
        .lines()
        .filter_map(|l| l.strip_suffix("  ok"))
        .collect();
    assert!(!of_verify.is_empty(), "{verified}");
    assert_eq!(of_firmware.len(), of_verify.len(), "{said}");
    for (firmware, verify) in of_firmware.iter().zip(of_verify) {
        assert!(
            verify.ends_with(firmware),
            "{name}: {firmware} is not {verify}"
        );
    }
    said
}

#[test]
#[ignore = "builds the firmware example once per model"]
fn the_firmware_example_takes_every_kind_of_model() {
    let mut rows = String::from("x,mode,level\n");
    for k in 0..400 {
        let x = if k % 31 == 7 {
            String::new()
        } else {
            format!("{:.3}", (k as f64 / 9.0).sin())
        };
        writeln!(
            rows,
            "{x},{},{:.2}",
            ["on", "off"][k / 25 % 2],
            100.0 + k as f64 * 0.5 + (k % 7) as f64 * 0.1
        )
        .unwrap();
    }
    let series = "[csv]\nfile = \"samples.csv\"\nformat = { missing = \"hold\" }\n[series]\n\
        features = [\"x\", \"missing(x)\", { column = \"mode\", categories = [\"on\", \"off\"] }, { column = \"level\", transform = \"difference\" }]\n\
        targets = [\"x\"]\n[network]\nhidden = [8]\n";
    let shape = |kind: &str| format!("{series}[shape]\nkind = \"{kind}\"\nwindow = 12\n");
    runs(
        "gaps, categories and differences",
        &rows,
        &shape("many-to-many"),
    );
    let quantiles = shape("many-to-one").replace("targets", "quantiles = [0.1, 0.9]\ntargets");
    let said = runs("windows and an interval", &rows, &quantiles);
    let answer = said.lines().find(|line| line.starts_with("step  12  "));
    let answer = answer.unwrap_or_else(|| panic!("{said}"));
    assert!(
        answer.contains("  x_q10 ") && answer.contains("  x_q90 "),
        "{answer}"
    );
    let hello = "[text]\ntext = \"hello\"\nsplit = \"none\"\n[shape]\nkind = \"next-token\"\nwindow = 4\n\
        [network]\nhidden = [8]\nembedding = 4\n";
    let letters: String = "hello"
        .repeat(12)
        .chars()
        .map(|c| format!("{c}\n"))
        .collect();
    let said = runs("tokens", &format!("token\n{letters}"), hello);
    let likeliest = |line: &str| {
        ["h", "e", "l", "o"]
            .iter()
            .any(|l| line.contains(&format!("  likeliest {l} ")))
    };
    assert!(said.lines().any(likeliest), "{said}");
}

/// A device tells and draws what the commands do with the same models.
#[test]
#[ignore = "builds the firmware example"]
fn the_firmware_example_tells_and_draws_as_the_desk_does() {
    let ran = Command::new(env!("CARGO"))
        .args(["run", "-q", "-p", "firmware-example", "--bin", "generates"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let text = String::from_utf8(ran.stdout).unwrap();
    let said = |by: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(by));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    let desk = Desk::new();
    for model in ["told.encoder.kgl", "told.decoder.kgl", "signs.kgl"] {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/model");
        fs::copy(models.join(model), desk.path(model)).unwrap();
    }
    desk.write(
        "measured.csv",
        "flow,heat\n0,2\n10,1\n1,52\n11,54\n2.5,3.5\n8.5,49\n",
    );
    let told = desk.ok("translate told.encoder.kgl told.decoder.kgl --csv measured.csv");
    assert_eq!(said("told "), told.lines().collect::<Vec<_>>());
    let drawn = desk.ok("generate signs.kgl --count 20 --temperature 0.7 --seed 7");
    assert_eq!(said("drawn "), drawn.lines().skip(1).collect::<Vec<_>>());
}

#[test]
#[ignore = "builds the firmware example once per model"]
fn what_the_firmware_example_cannot_take_is_said_plainly() {
    let desk = Desk::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/model/pump.kgl");
    fs::copy(model, desk.path("pump.kgl")).unwrap();
    desk.write("samples.csv", "load\n1\n");
    let (ok, said) = firmware(&desk, "pump.kgl");
    assert!(
        !ok && said.contains("samples.csv: no column \"current\""),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    let (ok, said) = firmware(&desk, "none.kgl");
    assert!(!ok && said.contains("none.kgl: No such file"), "{said}");
}
