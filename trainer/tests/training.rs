//! Training as a whole: it learns, it is the same whatever the number of threads, and the passes
//! compute what the plain runner computes.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use kinglet::Model;
use kinglet::format::Format as Numbers;
use kinglet_trainer::data::csv::{Format, OnError, Table};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::engine::{AnyRunner, EnginePredictor};
use kinglet_trainer::file::{AlignedBytes, TestInputs, export};
use kinglet_trainer::package::Output;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::{Task, TaskError};
use kinglet_trainer::train::init::Rng;
use kinglet_trainer::train::{
    FitError, Fitted, FloatPredictor, LastValue, Metrics, Options, Predictor, evaluate, fit,
    fit_quantized, generate,
};

const CELLS: [&str; 11] = [
    "rnn",
    "rnn-relu",
    "lstm",
    "gru",
    "gru-reset-before",
    "fastgrnn",
    "lstm-coupled",
    "lstm-peephole",
    "gru-relu",
    "mingru",
    "mingru-tanh",
];

/// A slow wave and a fast one; the second column is the first one's next change, noisily.
fn waves(task: &str) -> (Task, Dataset) {
    let task = Task::parse(task, Path::new("waves.toml")).unwrap();
    let table = Table::from_reader(wave_rows().as_bytes(), "waves.csv", &Format::default());
    let data = Dataset::from_table(&task, &table.unwrap()).unwrap();
    (task, data)
}

fn wave_rows() -> String {
    let mut csv = String::from("a,b\n");
    for t in 0..600 {
        let t = t as f64;
        let noise = (t * 12.9898).sin() * 43758.5453 % 1.0;
        writeln!(
            csv,
            "{},{}",
            (t / 9.0).sin() + (t / 2.3).sin(),
            (t / 9.0).cos() + 0.1 * noise
        )
        .unwrap();
    }
    csv
}

fn wave_task(cell: &str, kind: &str, more: &str) -> String {
    format!(
        "name = \"waves\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"a\", \"b\"]\ntargets = [\"a\"]\n\
         [shape]\nkind = \"{kind}\"\nwindow = 12\n{more}\n[network]\ncell = \"{cell}\"\nhidden = [6, 5]\n\
         dense = [{{ units = 7, activation = \"tanh\" }}]\n\
         [train]\nepochs = 15\nlearning_rate = 0.01\nbatch = 50\nschedule = \"cosine\"\n"
    )
}

fn train(task: &Task, data: &Dataset, threads: usize) -> Fitted {
    let options = Options {
        threads: Some(threads),
        ..Options::default()
    };
    fit(task, data, &options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn rmse(metrics: Metrics) -> f64 {
    match metrics {
        Metrics::Values(values) => values[0].rmse,
        other => panic!("values expected: {other}"),
    }
}

#[test]
fn every_cell_learns_and_beats_the_last_value() {
    for cell in CELLS {
        for (kind, more) in [
            ("many-to-one", ""),
            ("many-to-many", "hop = 2"),
            ("many-to-many", "stateful = true"),
        ] {
            let (mut task, data) = waves(&wave_task(cell, kind, more));
            task.train.epochs = 60;
            if task.shape.stateful {
                // Streams side by side make few steps per epoch.
                task.train.batch = 4;
            }
            let fitted = train(&task, &data, 2);
            let (first, last) = (fitted.history[0], fitted.history[fitted.history.len() - 1]);
            assert!(
                last.train_loss < 0.2 * first.train_loss,
                "{cell} {kind} {more}: {} then {}",
                first.train_loss,
                last.train_loss
            );
            if cell.starts_with("mingru") && more == "hop = 2" {
                // Gates that do not see the state average and do not swing: the first answers of a window, which
                // count here, are too early for that.
                continue;
            }
            let net = rmse(evaluate(
                &data,
                Part::Test,
                &mut FloatPredictor::new(&fitted.package),
            ));
            let naive = rmse(evaluate(
                &data,
                Part::Test,
                &mut LastValue::new(&data).unwrap(),
            ));
            assert!(
                net < 0.7 * naive,
                "{cell} {kind} {more}: {net}, last value {naive}"
            );
        }
    }
}

/// Rows that are left out cut the training part into pieces of many lengths.
#[test]
fn a_carried_state_learns_from_pieces() {
    let (mut task, whole) = waves(&wave_task("gru", "many-to-many", "stateful = true"));
    task.train.epochs = 40;
    task.train.batch = 4;
    let rows = wave_rows();
    let torn = rows.lines().enumerate().map(|(k, line)| match k {
        40 | 131 | 400 => "torn\n".into(),
        _ => format!("{line}\n"),
    });
    let skip = Format {
        on_error: OnError::Skip,
        ..Format::default()
    };
    let torn = torn.collect::<String>();
    let table = Table::from_reader(torn.as_bytes(), "torn.csv", &skip).unwrap();
    let data = Dataset::from_table(&task, &table).unwrap();
    assert_eq!(data.pieces(Part::Train).count(), 4);
    let loss = |data: &Dataset| {
        let fitted = train(&task, data, 2);
        fitted.history[fitted.history.len() - 1].valid_loss
    };
    let (torn, whole) = (loss(&data), loss(&whole));
    assert!(
        torn < 1.5 * whole + 0.01,
        "{torn} in pieces, {whole} in one"
    );
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for cell in CELLS {
        for more in ["", "stateful = true"] {
            let kind = if more.is_empty() {
                "many-to-one"
            } else {
                "many-to-many"
            };
            let (mut task, data) = waves(&wave_task(cell, kind, more));
            task.train.epochs = 3;
            task.train.batch = 40;
            let one = train(&task, &data, 1);
            for threads in [2, 3] {
                let other = train(&task, &data, threads);
                assert_eq!(
                    one.package, other.package,
                    "{cell} {more}, {threads} threads"
                );
            }
            task.train.seed = 2;
            assert_ne!(
                one.package,
                train(&task, &data, 1).package,
                "{cell} {more}: another seed"
            );
        }
    }
}

/// The validation loss comes from the fast passes, the RMSE from the plain runner over raw samples.
#[test]
fn passes_and_runner_agree() {
    for cell in CELLS {
        let (mut task, data) = waves(&wave_task(cell, "many-to-one", ""));
        task.train.epochs = 2;
        let fitted = train(&task, &data, 1);
        let Output::Values(targets) = &fitted.package.output else {
            panic!("values expected");
        };
        let from_loss = fitted.valid_loss.sqrt() * f64::from(targets[0].scale);
        let from_runner = rmse(evaluate(
            &data,
            Part::Valid,
            &mut FloatPredictor::new(&fitted.package),
        ));
        let error = (from_loss - from_runner).abs() / from_runner;
        assert!(error < 1e-5, "{cell}: {from_loss} and {from_runner}");
    }
}

#[test]
fn training_can_be_stopped_and_keeps_the_best() {
    let (task, data) = waves(&wave_task("gru", "many-to-one", ""));
    let fitted = fit(&task, &data, &Options::default(), &mut |p| {
        if p.epoch == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert!(fitted.cancelled);
    assert_eq!(fitted.history.len(), 3);
    let best = fitted
        .history
        .iter()
        .map(|p| p.valid_loss)
        .fold(f64::INFINITY, f64::min);
    assert_eq!(
        (
            fitted.valid_loss,
            fitted.history[fitted.best_epoch - 1].valid_loss
        ),
        (best, best)
    );

    let cancel = AtomicBool::new(false);
    let options = Options {
        threads: Some(1),
        cancel: Some(&cancel),
        ..Options::default()
    };
    let fitted = fit(&task, &data, &options, &mut |_| {
        cancel.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert_eq!(fitted.unwrap().history.len(), 1);
    let fitted = fit(&task, &data, &options, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(fitted, Err(FitError::Cancelled)));
}

#[test]
fn a_stopped_training_goes_on_to_the_same_bits() {
    let (task, data) = waves(&wave_task("gru", "many-to-many", ""));
    let whole = train(&task, &data, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waves.checkpoint");
    let options = Options {
        threads: Some(1),
        checkpoint: Some(&path),
        resume: true,
        ..Options::default()
    };
    let until = |epoch| {
        fit(
            &task,
            &data,
            &options,
            &mut |now| match now.epoch == epoch {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            },
        )
    };
    assert!(until(4).unwrap().cancelled);
    assert!(until(9).unwrap().cancelled);
    let resumed = until(usize::MAX).unwrap();
    assert_eq!(resumed.package.net, whole.package.net);
    assert_eq!(resumed.best_epoch, whole.best_epoch);
    assert_eq!(resumed.history.len(), whole.history.len());
    // It is over: resuming trains nothing and gives the same again.
    let again = fit(&task, &data, &options, &mut |_| panic!("no epoch is left")).unwrap();
    assert_eq!(again.package.net, whole.package.net);

    // In the middle of an epoch too: it is trained anew.
    std::fs::remove_file(&path).unwrap();
    let cancel = AtomicBool::new(false);
    let stoppable = Options {
        cancel: Some(&cancel),
        ..options
    };
    let stopped = fit(&task, &data, &stoppable, &mut |now| {
        // Told between two epochs, it is seen in the next one.
        cancel.store(now.epoch == 3, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert_eq!(stopped.unwrap().history.len(), 3);
    let resumed = until(usize::MAX).unwrap();
    assert_eq!(resumed.package.net, whole.package.net);

    let (other, _) = waves(&wave_task("gru", "many-to-many", "hop = 5"));
    let error = fit(&other, &data, &options, &mut |_| ControlFlow::Continue(()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("belongs to another training"), "{error}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = fit(&task, &data, &options, &mut |_| ControlFlow::Continue(()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let large = wave_task("lstm", "many-to-one", "");
    let small = large.replace("batch = 50", "batch = 10\naccumulate = 5");
    let [large, small] = [large, small].map(|text| {
        let (task, data) = waves(&text);
        train(&task, &data, 1)
    });
    // Not the same bits: the sums are in another order.
    for (a, b) in large.history.iter().zip(&small.history) {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-3 * a.abs();
        assert!(close(a.valid_loss, b.valid_loss), "{a:?}, {b:?}");
    }
}

#[test]
fn early_stopping_ends_after_patience() {
    let (mut task, data) = waves(&wave_task("rnn", "many-to-one", ""));
    task.train.patience = 2;
    task.train.epochs = 500;
    task.train.learning_rate = 0.03;
    let fitted = train(&task, &data, 2);
    assert!(fitted.history.len() < 500, "never stopped");
    assert_eq!(fitted.history.len(), fitted.best_epoch + 2);
}

#[test]
fn a_loss_that_explodes_is_an_error() {
    let (mut task, data) = waves(&wave_task("rnn-relu", "many-to-one", ""));
    task.train.learning_rate = 1e30;
    task.train.clip = 0.0;
    let error = fit(&task, &data, &Options::default(), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(error, Err(FitError::Diverged { .. })), "{error:?}");
}

#[test]
fn hello_is_learned_by_heart() {
    let task = Task::load(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tasks/hello.toml")
            .as_path(),
    )
    .unwrap();
    let data = Dataset::load(&task).unwrap();
    let fitted = train(&task, &data, 1);
    let answer = generate(&mut FloatPredictor::new(&fitted.package), 4, &[1], 4);
    let word: String = answer.iter().map(|&t| ["e", "h", "l", "o"][t]).collect();
    assert_eq!(word, "hello");
}

#[test]
fn every_task_file_is_valid() -> Result<(), TaskError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "toml") {
            Task::load(&path)?;
        }
    }
    Ok(())
}

/// Mean squared error over the validation windows, in the network's units, by the engine from the file.
fn engine_loss(model: &Model<'_>, data: &Dataset, counted: usize) -> f64 {
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = AnyRunner::bind(model, &mut state).unwrap();
    let mut y = vec![0.0; model.outputs()];
    let (mut sum, mut count) = (0.0, 0);
    for &start in data.windows(Part::Valid) {
        let runner = match &mut runner {
            AnyRunner::Steps(runner) => runner,
            AnyRunner::Windows(runner) => {
                let rows = (0..data.window()).flat_map(|t| data.input_row(start, t));
                runner.run_raw(&rows.copied().collect::<Vec<_>>(), &mut y);
                for (y, goal) in y.iter().zip(data.goal_row(start + data.window() - 1)) {
                    sum += f64::from(y - goal).powi(2);
                    count += 1;
                }
                continue;
            }
        };
        runner.reset();
        for t in 0..data.window() {
            runner.step_raw(data.input_row(start, t), &mut y);
            if t + counted >= data.window() {
                for (y, goal) in y.iter().zip(data.goal_row(start + t)) {
                    sum += f64::from(y - goal).powi(2);
                    count += 1;
                }
            }
        }
    }
    sum / count as f64
}

#[test]
fn both_directions_learn_with_any_number_of_threads() {
    for cell in ["lstm", "gru", "fastgrnn", "mingru"] {
        let (mut task, data) = waves(&wave_task(cell, "many-to-one", ""));
        task.network.bidirectional = true;
        task.train.epochs = 3;
        task.train.batch = 40;
        let one = train(&task, &data, 1);
        assert_eq!(one.package, train(&task, &data, 3).package, "{cell}");
        task.train.epochs = 60;
        task.train.batch = 50;
        let fitted = train(&task, &data, 2);
        let mut predictor = FloatPredictor::new(&fitted.package);
        let net = rmse(evaluate(&data, Part::Test, &mut predictor));
        let naive = &mut LastValue::new(&data).unwrap();
        let naive = rmse(evaluate(&data, Part::Test, naive));
        assert!(net < 0.7 * naive, "{cell}: {net}, last value {naive}");
        let Output::Values(targets) = &fitted.package.output else {
            panic!("values expected");
        };
        let from_loss = fitted.valid_loss.sqrt() * f64::from(targets[0].scale);
        let from_runner = rmse(evaluate(&data, Part::Valid, &mut predictor));
        let error = (from_loss - from_runner).abs() / from_runner;
        assert!(error < 1e-5, "{cell}: {from_loss} and {from_runner}");
    }
}

#[test]
fn the_quantized_loss_is_that_of_the_exported_model() {
    let kinds = ["many-to-one", "many-to-many"].iter().cycle();
    let one_direction = CELLS.into_iter().zip(kinds).map(|case| (case, false));
    let both = CELLS.map(|cell| ((cell, &"many-to-one"), true));
    for ((cell, kind), bidirectional) in one_direction.chain(both) {
        let (mut task, data) = waves(&wave_task(cell, kind, ""));
        task.network.bidirectional = bidirectional;
        let counted = if *kind == "many-to-one" {
            1
        } else {
            data.window()
        };
        task.train.epochs = 3;
        task.train.quantized.epochs = 2;
        let float = train(&task, &data, 2);
        let streams = Stream::of_dataset(&data);
        let ranges = Ranges::measure(&float.package.net, &streams);
        let tests = TestInputs::from_stream(&streams[0], data.inputs());
        for format in [Numbers::W8A8, Numbers::W8A16, Numbers::W4A8] {
            let (trained, ranges) = fit_quantized(
                &float.package,
                (format, &ranges),
                &task,
                &data,
                &Options::default(),
                &mut |_| ControlFlow::Continue(()),
            )
            .unwrap();
            let file = export(&trained.package, format, Some(&ranges), &tests).unwrap();
            let model = Model::from_bytes(&file.bytes).unwrap();
            let loss = engine_loss(&model, &data, counted);
            let difference = (loss - trained.valid_loss).abs() / loss;
            assert!(
                difference < 1e-9,
                "{cell} {}: {loss} by the engine, {} in training",
                format.name(),
                trained.valid_loss
            );
        }
    }
}

/// By the metric, which the engine measures along the series; the loss is of windows, and may say otherwise.
#[test]
fn training_on_in_integers_is_never_worse_by_the_metric() {
    for kind in ["many-to-many", "many-to-one"] {
        for rate in [0.001, 0.03] {
            let (mut task, data) = waves(&wave_task("gru", kind, ""));
            task.train.epochs = 4;
            task.train.quantized.learning_rate = Some(rate);
            let float = train(&task, &data, 2);
            let streams = Stream::of_dataset(&data);
            let ranges = Ranges::measure(&float.package.net, &streams);
            let tests = TestInputs::from_stream(&streams[0], data.inputs());
            let mut errors = Vec::new();
            for epochs in [0, 6] {
                task.train.quantized.epochs = epochs;
                let (trained, ranges) = fit_quantized(
                    &float.package,
                    (Numbers::W4A8, &ranges),
                    &task,
                    &data,
                    &Options::default(),
                    &mut |_| ControlFlow::Continue(()),
                )
                .unwrap();
                let file = export(&trained.package, Numbers::W4A8, Some(&ranges), &tests).unwrap();
                let model = Model::from_bytes(&file.bytes).unwrap();
                let mut engine = EnginePredictor::new(&model);
                errors.push(evaluate(&data, Part::Valid, &mut engine).error());
            }
            println!("{kind}, {rate}: {errors:?}");
            assert!(errors[1] <= errors[0], "{kind}, {rate}: {errors:?}");
        }
    }
}

#[test]
fn training_on_in_four_bits_beats_rounding_to_them() {
    for cell in ["lstm", "gru"] {
        let (mut task, data) = waves(&wave_task(cell, "many-to-many", ""));
        task.network.hidden = vec![16];
        task.train.epochs = 60;
        task.train.quantized.epochs = 15;
        let float = train(&task, &data, 2);
        let ranges = Ranges::measure(&float.package.net, &Stream::of_dataset(&data));
        let mut losses = Vec::new();
        let (trained, _) = fit_quantized(
            &float.package,
            (Numbers::W4A8, &ranges),
            &task,
            &data,
            &Options::default(),
            &mut |now| {
                losses.push(now.valid_loss);
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        let none = {
            task.train.quantized.epochs = 0;
            let options = Options::default();
            let rounded = (Numbers::W4A8, &ranges);
            let go_on = &mut |_: &_| ControlFlow::Continue(());
            fit_quantized(&float.package, rounded, &task, &data, &options, go_on)
                .unwrap()
                .0
        };
        let first = none.valid_loss;
        println!(
            "{cell}: float {:.5}, rounded {first:.5}, trained {:.5}",
            float.valid_loss, trained.valid_loss
        );
        assert!(
            trained.valid_loss < first && trained.valid_loss < 1.02 * float.valid_loss,
            "{cell}: {losses:?} from {first}"
        );
    }
}

/// One row in twelve is of another class, and one standard deviation away.
#[test]
fn balanced_weights_find_a_rare_class() {
    let mut rng = Rng::new(11);
    let mut csv = String::from("x,label\n");
    for t in 0..1200 {
        let rare = t % 12 == 5;
        let shift = if rare { 1.0 } else { 0.0 };
        writeln!(csv, "{},{}", rng.normal() + shift, u8::from(rare)).unwrap();
    }
    let recall = |weights: &str| {
        let task = format!(
            "name = \"rare\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"x\"]\n\
             label = {{ column = \"label\", classes = [{{ name = \"usual\", labels = [\"0\"] }}, {{ name = \"rare\", labels = [\"1\"] }}] }}\n\
             [shape]\nkind = \"one-to-one\"\n[network]\ncell = \"rnn\"\nhidden = [3]\n\
             [train]\nepochs = 20\nlearning_rate = 0.02\n{weights}\n"
        );
        let task = Task::parse(&task, Path::new("rare.toml")).unwrap();
        let table = Table::from_reader(csv.as_bytes(), "rare.csv", &Format::default()).unwrap();
        let data = Dataset::from_table(&task, &table).unwrap();
        let fitted = train(&task, &data, 1);
        let metrics = evaluate(&data, Part::Test, &mut FloatPredictor::new(&fitted.package));
        let Metrics::Classes(classes) = metrics else {
            panic!("classes expected");
        };
        let [_, rare] = &classes.confusion[..] else {
            panic!("two classes expected");
        };
        rare[1] as f64 / (rare[0] + rare[1]) as f64
    };
    assert!(recall("") < 0.2);
    // Of two normal distributions one apart, 69 % lie on their own side of the middle.
    let balanced = recall("class_weights = \"balanced\"");
    assert!((0.45..0.9).contains(&balanced), "{balanced}");
    // Eleven to one is what balances them.
    assert_eq!(recall("class_weights = [1, 11]"), balanced);
}

/// A level with noise that is wide in every other stretch of 40 rows, told by the second column: uniform, so the quantiles of
/// what comes are known exactly: at 0.1 and 0.9 the noise is 0.8 times its width below and above the level.
fn noisy() -> String {
    let mut rng = Rng::new(5);
    let mut csv = String::from("x,wide\n");
    for t in 0..2400 {
        // What the next row's noise is, this row says.
        let width = |t: usize| if (t / 40).is_multiple_of(2) { 0.5 } else { 2.0 };
        let noise = 2.0 * rng.uniform() - 1.0;
        writeln!(csv, "{},{}", 10.0 + width(t) * noise, width(t + 1)).unwrap();
    }
    csv
}

#[test]
fn intervals_hold_what_they_say_from_training_to_the_device() {
    const TASK: &str = "name = \"noisy\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"x\", \"wide\"]\ntargets = [\"x\"]\n\
                quantiles = [0.1, 0.5, 0.9]\n[shape]\nkind = \"many-to-one\"\nwindow = 2\n\
                [network]\ncell = \"gru\"\nhidden = [6]\n\
                [train]\nepochs = 30\nlearning_rate = 0.02\nschedule = \"cosine\"\nquantized = { epochs = 3 }\n";
    let task = Task::parse(TASK, Path::new("noisy.toml")).unwrap();
    let table = Table::from_reader(noisy().as_bytes(), "noisy.csv", &Format::default()).unwrap();
    let data = Dataset::from_table(&task, &table).unwrap();
    let Output::Values(targets) = data.output() else {
        panic!("values expected");
    };
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["x_q10", "x_q50", "x_q90"]);
    // Fed back is the middle.
    let feeds: Vec<_> = targets.iter().map(|target| target.feeds).collect();
    assert_eq!(feeds, [None, Some(0), None]);
    let fitted = train(&task, &data, 2);
    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&fitted.package.net, &streams);
    let tests = TestInputs::from_stream(&streams[0], data.inputs());
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let options = Options::default();
    let (trained, learned) = fit_quantized(
        &fitted.package,
        (Numbers::W8A8, &ranges),
        &task,
        &data,
        &options,
        go_on,
    )
    .unwrap();
    // The best there is: quantiles of a uniform noise of half-width w cost 0.09 w, 0.25 w and 0.09 w.
    let best = (0.09 + 0.25 + 0.09) / 3.0 * (0.5 + 2.0) / 2.0;
    for (format, package, ranges) in [
        (Numbers::F32, &fitted.package, &ranges),
        (Numbers::W8A8, &fitted.package, &ranges),
        (Numbers::W8A8, &trained.package, &learned),
    ] {
        let exported = export(package, format, Some(ranges), &tests).unwrap();
        let model = Model::from_bytes(&exported.bytes).unwrap();
        let metrics = evaluate(&data, Part::Test, &mut EnginePredictor::new(&model));
        let Metrics::Quantiles(metrics) = &metrics else {
            panic!("quantiles expected: {metrics}");
        };
        let m = &metrics[0];
        assert!((0.72..0.88).contains(&m.inside), "{format:?} {m}");
        assert!(m.pinball < 1.12 * best, "{format:?} {m}, best {best}");
        assert!((m.width - 1.6 * 1.25).abs() < 0.4, "{format:?} {m}");
        assert!(m.crossed < 0.01, "{format:?} {m}");
    }
    // The interval is as wide as the noise that comes.
    let mut out = vec![0.0; 3];
    let mut widths = [Vec::new(), Vec::new()];
    let mut network = FloatPredictor::new(&fitted.package);
    for sequence in data.sequences(Part::Test) {
        network.reset();
        (0..sequence.steps()).for_each(|t| network.step(sequence.raw(t), &mut out));
        let wide = sequence.raw(sequence.steps() - 1)[1] > 1.0;
        widths[usize::from(wide)].push(out[2] - out[0]);
    }
    let mean = |widths: &[f32]| widths.iter().sum::<f32>() / widths.len() as f32;
    let [narrow, wide] = widths.each_ref().map(|widths| mean(widths));
    assert!(
        (narrow - 0.8).abs() < 0.3 && (wide - 3.2).abs() < 0.6,
        "{narrow} {wide}"
    );
    for (from, to, words) in [
        ("[0.1, 0.5, 0.9]", "[0.5, 0.1]", "from low to high"),
        ("[0.1, 0.5, 0.9]", "[0.0, 0.5]", "above 0 and below 1"),
        (
            "epochs = 30",
            "epochs = 30\nloss = \"mse\"",
            "pinball is the loss of quantiles",
        ),
    ] {
        let task = TASK.replace(from, to);
        let error = Task::parse(&task, Path::new("t.toml"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
