//! A model that watches a stream: trained, exported and run by the engine's detector, it is calm where nothing is wrong
//! and raises an alarm where something is.

use kinglet::format::Format;
use kinglet::{Detector, Model, SlidingWindow};
use kinglet_trainer::anomaly::{alarm, alarms};
use kinglet_trainer::data::csv::{self, Table};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export, package};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::{FloatPredictor, Options, fit};
use std::fmt::Write;
use std::ops::{ControlFlow, Range};

const FORMATS: [Format; 5] = [
    Format::F32,
    Format::F16,
    Format::W8A16,
    Format::W8A8,
    Format::W4A8,
];
const ROWS: usize = 900;
/// The wave stands still at a zero crossing.
const STUCK: Range<usize> = 777..800;

fn wave(row: usize) -> f32 {
    let row = if STUCK.contains(&row) {
        STUCK.start
    } else {
        row
    };
    // Not quite regular, so that some error is normal.
    (row as f32 * 0.4).sin() + (row * 37 % 19) as f32 * 0.005
}

/// Seconds since 1970, from the beginning of 2026; a row per hour.
fn time(row: usize) -> String {
    (1_767_225_600 + row * 3600).to_string()
}

#[test]
fn a_stuck_sensor_is_an_alarm_on_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let labels = format!(
        "{{\"wave.csv\": {{\"windows\": [[\"{}\", \"{}\"]]}}}}",
        time(STUCK.start),
        time(STUCK.end + 20)
    );
    std::fs::write(folder.path().join("labels.json"), labels).unwrap();
    let task = "name = \"wave\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"x\"]\ntargets = [\"x\"]\n\
                split = { rows = [500, 200, 200] }\n[shape]\nkind = \"many-to-one\"\nwindow = 8\n\
                [network]\ncell = \"gru\"\nhidden = [8]\n[train]\nlearning_rate = 0.02\nepochs = 8\n\
                [anomaly]\nsmoothing = 0.3\n\
                labels = { file = \"labels.json\", key = \"wave.csv\", time = \"hour\" }\n";
    let task = Task::parse(task, &folder.path().join("t.toml")).unwrap();
    let mut csv = String::from("hour,x\n");
    for row in 0..ROWS {
        writeln!(csv, "{},{}", time(row), wave(row)).unwrap();
    }
    let table = Table::from_reader(csv.as_bytes(), "wave.csv", &csv::Format::default()).unwrap();
    let data = Dataset::from_table(&task, &table).unwrap();
    let fitted = fit(&task, &data, &Options::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let rule = task.anomaly.as_ref().unwrap();
    let float = alarm(rule, &data, &mut FloatPredictor::new(&fitted.package)).unwrap();
    let watching = Package {
        alarm: Some(float),
        ..fitted.package
    };
    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&watching.net, &streams);
    let tests = TestInputs::from_stream(&streams[0], 1);
    for format in FORMATS {
        let name = format.name();
        let bytes = export(&watching, format, Some(&ranges), &tests)
            .unwrap()
            .bytes;
        let model = Model::from_bytes(&bytes).unwrap();
        assert_eq!(model.header().threshold, Some(float.threshold), "{name}");
        assert_eq!(model.smoothing(), Some(0.3), "{name}");
        let own = alarm(rule, &data, &mut EnginePredictor::new(&model)).unwrap();
        let found = alarms(own, &data, Part::Test, &mut EnginePredictor::new(&model)).unwrap();
        assert_eq!((found.hit, found.false_episodes), (vec![true], 0), "{name}");

        // The same as a device does it, with the threshold of this format.
        let watching = Package {
            alarm: Some(own),
            ..watching.clone()
        };
        let bytes = export(&watching, format, Some(&ranges), &tests)
            .unwrap()
            .bytes;
        let model = Model::from_bytes(&bytes).unwrap();
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut net = model.bind_bytes(&mut state).unwrap();
        let shape = model.header().shape;
        let kept = vec![0.0; SlidingWindow::needed(shape, 1)];
        let mut windows = SlidingWindow::new(shape, 1, kept).unwrap();
        let mut detector = Detector::new(&model).unwrap();
        let mut prediction = [f32::NAN];
        let mut alarmed = Vec::new();
        for row in 0..ROWS {
            let sample = [wave(row)];
            let verdict = detector.compare(&prediction, &sample);
            if row < 8 {
                assert_eq!((verdict.score, verdict.alarm), (0.0, false));
            }
            // The training part may be odder than the validation part.
            if verdict.alarm && row >= 500 {
                alarmed.push(row);
            }
            windows.push(&mut net, &sample, &mut prediction);
        }
        let first = alarmed.first().copied().unwrap_or(0);
        assert!(
            (STUCK.start..STUCK.end).contains(&first),
            "{name}: {alarmed:?}"
        );
        // A sample that is missing changes nothing.
        let before = detector.compare(&[0.0], &[f32::NAN]);
        assert_eq!(detector.compare(&[f32::NAN], &[1.0]), before);
    }
    // What a float file says can be exported again.
    let bytes = export(&watching, Format::F32, None, &tests).unwrap().bytes;
    assert_eq!(package(&bytes).unwrap().alarm, Some(float));
}
