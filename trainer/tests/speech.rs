//! Speech: digits, and a word that wakes, of voices that training has not heard, in every format.
//!
//! `trainer/tasks/speech/make.sh` makes the data with espeak-ng and sox, so this runs only when asked for:
//! `cargo test --release -p kinglet-trainer --test speech -- --ignored`.

use std::ops::ControlFlow;
use std::path::Path;

use kinglet::Model;
use kinglet::format::Format;
use kinglet_trainer::alarm::alarm;
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{TestInputs, export};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::spotting::Wakes;
use kinglet_trainer::task::Task;
use kinglet_trainer::train::{Options, evaluate, fit, fit_quantized};

/// The data of a task, and its network in float with the ranges of what it sees.
fn trained(name: &str) -> (Task, Dataset, Package, Ranges) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tasks")
        .join(name);
    let task = Task::load(&path).unwrap();
    let data = Dataset::load(&task).unwrap_or_else(|e| panic!("{e}"));
    let fitted = fit(&task, &data, &Options::default(), &mut |_| {
        ControlFlow::Continue(())
    });
    let float = fitted.unwrap().package;
    let ranges = Ranges::measure(&float.net, &Stream::of_dataset(&data));
    (task, data, float, ranges)
}

/// What `measure` finds with the engine in a format.
fn in_engine<T>(
    package: &Package,
    (format, ranges): (Format, &Ranges),
    measure: impl FnOnce(&mut EnginePredictor<'_>) -> T,
) -> T {
    let tests = TestInputs::synthetic(package);
    let file = export(package, format, Some(ranges), &tests).unwrap();
    let model = Model::from_bytes(&file.bytes).unwrap();
    measure(&mut EnginePredictor::new(&model))
}

/// Mistakes, of all digits that are said in the test part.
fn error_rate(data: &Dataset, package: &Package, format: Format, ranges: &Ranges) -> f64 {
    in_engine(package, (format, ranges), |engine| {
        let heard = evaluate(data, Part::Test, engine);
        println!("{}: {heard}", format.name());
        heard.headline().1
    })
}

#[test]
#[ignore = "hears what trainer/tasks/speech/make.sh makes"]
fn digits_of_unseen_voices_are_heard_in_every_format() {
    let (task, data, float, ranges) = trained("speech.toml");
    let rate = error_rate(&data, &float, Format::F32, &ranges);
    assert!(rate <= 0.05, "{rate}");
    for (format, lost) in [(Format::W8A8, 0.02), (Format::W4A8, 0.04)] {
        let (options, how) = (Options::default(), (format, &ranges));
        let mut go_on = |_: &_| ControlFlow::Continue(());
        let (fitted, ranges) =
            fit_quantized(&float, how, &task, &data, &options, &mut go_on).unwrap();
        let rounded = error_rate(&data, &fitted.package, format, &ranges);
        let kept = (1.0 - rounded) / (1.0 - rate);
        assert!(kept >= 1.0 - lost, "{}: {rounded} of {rate}", format.name());
    }
}

#[test]
#[ignore = "hears what trainer/tasks/speech/make.sh makes"]
fn a_word_of_unseen_voices_wakes_in_every_format() {
    let (task, data, float, ranges) = trained("keyword.toml");
    let woken = |format: Format| {
        in_engine(&float, (format, &ranges), |engine| {
            let alarm = alarm(&task, &data, engine).unwrap().unwrap();
            let wakes = Wakes::over(&data, Part::Test, engine, ("kinglet", alarm)).unwrap();
            println!("{}: above {}: {wakes}", format.name(), alarm.threshold);
            assert!(wakes.hours > 2.0 && wakes.hourly() <= 1.0, "{wakes}");
            wakes.share()
        })
    };
    let share = woken(Format::F32);
    assert!(share >= 0.95, "{share}");
    for (format, lost) in [(Format::W8A8, 0.02), (Format::W4A8, 0.04)] {
        let found = woken(format);
        let kept = found / share;
        assert!(
            found >= 0.95 && kept >= 1.0 - lost,
            "{}: {found} of {share}",
            format.name()
        );
    }
}
