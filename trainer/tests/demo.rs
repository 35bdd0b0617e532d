//! The demo, small: the files are whole and the numbers in the table are theirs.

use kinglet::Model;
use kinglet_trainer::demo::{DemoOptions, run};
use kinglet_trainer::file::AlignedBytes;
use std::fs;

#[test]
fn demo_trains_quantizes_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/folder");
    let options = DemoOptions {
        rows: 6000,
        epochs: 6,
        ..DemoOptions::new(&out)
    };
    let mut stages = 0;
    let report = run(options, &mut |_| stages += 1).unwrap();
    assert_eq!(stages, 1 + 6 + 3);

    let names: Vec<&str> = report.lines.iter().map(|line| line.name).collect();
    assert_eq!(names, ["last value", "f32", "w8a16", "w8a8"]);
    let [baseline, float, a16, a8] = [0, 1, 2, 3].map(|i| report.lines[i].rmse);
    assert!(float < 0.9 * baseline, "{report}");
    assert!((a16 / float - 1.0).abs() < 0.005, "{report}");
    assert!((a8 / float - 1.0).abs() < 0.02, "{report}");

    for line in &report.lines[1..] {
        let path = out.join(format!("pump-{}.kgl", line.name));
        let bytes = AlignedBytes::read(&path).unwrap();
        let model = Model::from_bytes(&bytes).unwrap();
        assert_eq!(
            (bytes.len(), model.state_len()),
            (line.model_bytes, line.state_bytes)
        );
        assert_eq!(model.macs(), 4 * 32 * (6 + 32) + 32);
    }
    let table = fs::read_to_string(out.join("predictions.csv")).unwrap();
    assert!(
        table.starts_with("minute,outcome,last_value,f32,w8a16,w8a8\n0,"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 1 + report.steps);
    assert_eq!(
        fs::read_to_string(out.join("held-out.csv"))
            .unwrap()
            .lines()
            .count(),
        1 + report.steps
    );
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains(&format!("{a8:.3} degC")), "{a8}");
    assert!(
        fs::read_to_string(out.join("forecast.svg"))
            .unwrap()
            .ends_with("</svg>\n")
    );
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = |name: &str, seed| {
        let out = folder.path().join(name);
        run(
            DemoOptions {
                rows: 3000,
                epochs: 1,
                seed,
                ..DemoOptions::new(&out)
            },
            &mut |_| (),
        )
        .unwrap();
        fs::read(out.join("pump-w8a8.kgl")).unwrap()
    };
    let first = model("a", 5);
    assert!(first == model("b", 5));
    assert!(first != model("c", 6));
}
