//! Shapes of tasks on made-up data: a row by itself, a wave that goes on from one value, a label for every frame, and
//! pairs that are trained on together in integers.

use kinglet::format::{Format, Layout};
use kinglet::{Model, SlidingWindow};
use kinglet_trainer::data::csv::{self, Table};
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export};
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::pair::{Pair, evaluate_pair};
use kinglet_trainer::train::{Fitted, Options, evaluate, fit, fit_pair_quantized};
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;

/// Trains a task on a table and gives its data and the file in each format.
fn trained(task: &str, table: &str, formats: &[Format]) -> (Dataset, Vec<AlignedBytes>) {
    let task = Task::parse(task, Path::new("t.toml")).unwrap();
    let table = Table::from_reader(table.as_bytes(), "t.csv", &csv::Format::default()).unwrap();
    let data = Dataset::from_table(&task, &table).unwrap();
    let progress = &mut |_: &_| ControlFlow::Continue(());
    let fitted = fit(&task, &data, &Options::default(), progress).unwrap();
    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&fitted.package.net, &streams);
    let tests = TestInputs::from_stream(&streams[0], data.inputs());
    let export = |&format| {
        let exported = export(&fitted.package, format, Some(&ranges), &tests);
        exported.unwrap().bytes
    };
    let files = formats.iter().map(export).collect();
    (data, files)
}

#[test]
fn one_to_one_learns_a_product_without_memory() {
    let mut table = String::from("a,b,product\n");
    for row in 0..800 {
        let (a, b) = (
            (row * 37 % 101) as f32 / 50.0 - 1.0,
            (row * 53 % 97) as f32 / 48.0 - 1.0,
        );
        writeln!(table, "{a},{b},{}", a * b).unwrap();
    }
    let task = "name = \"product\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"a\", \"b\"]\ntargets = [\"product\"]\n\
                [shape]\nkind = \"one-to-one\"\n[network]\nhidden = []\n\
                dense = [{ units = 16, activation = \"tanh\" }]\n[train]\nlearning_rate = 0.02\nepochs = 60\n";
    let formats = [Format::F32, Format::W8A16, Format::W8A8];
    let (data, files) = trained(task, &table, &formats);
    for (file, format) in files.iter().zip(formats) {
        let model = Model::from_bytes(file).unwrap();
        // The products spread by a third.
        let rmse = evaluate(&data, Part::Test, &mut EnginePredictor::new(&model))
            .headline()
            .1;
        assert!(rmse < 0.06, "{}: {rmse}", format.name());
        // Every row stands for itself.
        let shape = model.header().shape;
        let mut windows = SlidingWindow::new(shape, 2, [0.0; 0]).unwrap();
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut net = model.bind_bytes(&mut state).unwrap();
        let mut answers = [[0.0]; 3];
        for (x, y) in [[0.5, -0.5], [1.0, 1.0], [0.5, -0.5]]
            .iter()
            .zip(&mut answers)
        {
            assert!(windows.push(&mut net, x, y));
        }
        assert_eq!(answers[0], answers[2]);
    }
    let needs = task.replace("one-to-one\"", "many-to-one\"\nwindow = 1");
    let error = Task::parse(&needs, Path::new("t.toml")).unwrap_err();
    assert!(error.to_string().contains("network.hidden"), "{error}");
}

#[test]
fn a_wave_goes_on_from_where_it_is_let_go() {
    let wave = |row: usize| (row as f32 * 0.3).sin();
    let mut table = String::from("x\n");
    (0..600).for_each(|row| writeln!(table, "{}", wave(row)).unwrap());
    let task = "name = \"wave\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"x\"]\ntargets = [\"x\"]\n\
                [shape]\nkind = \"many-to-many\"\nwindow = 40\nhop = 4\n[network]\ncell = \"gru\"\nhidden = [16]\n\
                [train]\nlearning_rate = 0.01\nschedule = \"cosine\"\nepochs = 40\nbatch = 16\n";
    let (_, files) = trained(task, &table, &[Format::F32, Format::W8A16]);
    for file in &files {
        let model = Model::from_bytes(file).unwrap();
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut net = model.bind_bytes(&mut state).unwrap();
        let mut y = [0.0];
        (0..60).for_each(|row| net.step(&[wave(row)], &mut y));
        // Two turns more, of its own answers only.
        let mut x = y;
        let mut worst = (y[0] - wave(60)).abs();
        net.forecast(&mut x, &mut y, 42, |step, y| {
            worst = worst.max((y[0] - wave(61 + step)).abs());
        });
        assert!(worst < 0.25, "{}: {worst}", model.format().name());
    }
}

#[test]
fn every_frame_of_a_signal_gets_its_label() {
    // Fast and slow beats take turns; a single sample does not tell which it is.
    let slow = |row: usize| (row / 75).is_multiple_of(2);
    let mut table = String::from("x,beat\n");
    for row in 0..3000 {
        let pace = if slow(row) { 0.3 } else { 1.1 };
        let beat = if slow(row) { "slow" } else { "fast" };
        writeln!(table, "{},{beat}", (row as f32 * pace).sin()).unwrap();
    }
    let task = "name = \"beats\"\n[csv]\nfile = \"\"\n[series]\nfeatures = [\"x\"]\n\
                label = { column = \"beat\", classes = [\
                { name = \"slow\", labels = [\"slow\"] }, { name = \"fast\", labels = [\"fast\"] }] }\n\
                [shape]\nkind = \"many-to-many\"\nwindow = 50\nhop = 25\nhorizon = 0\n\
                [network]\ncell = \"gru\"\nhidden = [8]\n\
                [train]\nlearning_rate = 0.02\nschedule = \"cosine\"\nepochs = 25\nbatch = 16\n";
    let (data, files) = trained(task, &table, &[Format::F32, Format::W8A8]);
    for file in &files {
        let model = Model::from_bytes(file).unwrap();
        let metrics = evaluate(&data, Part::Test, &mut EnginePredictor::new(&model));
        let (name, accuracy) = metrics.headline();
        assert_eq!(name, "accuracy");
        // A few frames after each turn cannot be known yet.
        assert!(accuracy > 0.9, "{}: {accuracy}", model.format().name());
    }
}

/// Words backwards, and a pair trained on them in float.
fn reversals(cell: &str, epochs: [usize; 2]) -> (Task, Dataset, Fitted) {
    let task = format!(
        "name = \"words\"\n[pairs]\nmade = {{ kind = \"reversal\", pairs = [300, 60, 60] }}\n\
         vocabulary = {{ unit = \"characters\" }}\n[shape]\nkind = \"next-token\"\nwindow = 8\n\
         [network]\ncell = \"{cell}\"\nhidden = [12, 10]\nembedding = 5\n\
         [train]\nlearning_rate = 0.02\nschedule = \"cosine\"\nepochs = {}\nquantized = {{ epochs = {} }}\n",
        epochs[0], epochs[1]
    );
    let task = Task::parse(&task, Path::new("t.toml")).unwrap();
    let data = Dataset::load(&task).unwrap();
    let progress = &mut |_: &_| ControlFlow::Continue(());
    let fitted = fit(&task, &data, &Options::default(), progress).unwrap();
    (task, data, fitted)
}

/// Of the validation part by the files of a pair: mean of −ln p of the next tokens, and the share of texts without a mistake.
fn of_files(pair: &Pair, format: Format, data: &Dataset) -> (f64, f64) {
    let files = pair.export(Layout::Portable, format).unwrap();
    let [encoder, decoder] = [0, 1].map(|k: usize| Model::from_bytes(&files[k].bytes).unwrap());
    let (metrics, right) = evaluate_pair(data, Part::Valid, [&encoder, &decoder]).unwrap();
    (metrics.headline().1 * 2f64.ln(), right)
}

#[test]
fn a_pair_is_trained_on_through_the_integers_that_its_files_compute() {
    let cells = [
        "lstm",
        "lstm-coupled",
        "lstm-peephole",
        "gru",
        "gru-reset-before",
        "rnn",
    ];
    for cell in cells {
        let (task, data, fitted) = reversals(cell, [2, 2]);
        let float = Pair::new(&fitted.package, &data).unwrap();
        for format in [Format::W8A16, Format::W8A8, Format::W4A8] {
            let go_on = &mut |_: &_| ControlFlow::Continue(());
            let options = Options::default();
            let trained = fit_pair_quantized(&float, format, &task, &data, &options, go_on);
            let (trained, pair) = trained.unwrap();
            assert_eq!(trained.history.len(), 2);
            let (loss, _) = of_files(&pair, format, &data);
            assert!(
                (loss - trained.valid_loss).abs() < 1e-9 * loss,
                "{cell} {}: {loss} by the files, {} in training",
                format.name(),
                trained.valid_loss
            );
        }
    }
}

#[test]
fn a_pair_in_four_bits_gains_by_training_on() {
    let (mut task, data, fitted) = reversals("gru", [60, 20]);
    let float = Pair::new(&fitted.package, &data).unwrap();
    let [rounded, trained] = [0, 20].map(|epochs| {
        task.train.quantized.epochs = epochs;
        let go_on = &mut |_: &_| ControlFlow::Continue(());
        let options = Options::default();
        let trained = fit_pair_quantized(&float, Format::W4A8, &task, &data, &options, go_on);
        of_files(&trained.unwrap().1, Format::W4A8, &data)
    });
    // Of what rounding lost.
    let lost = [rounded, trained].map(|(loss, _)| loss - fitted.valid_loss);
    assert!(
        lost[1] < 0.75 * lost[0] && trained.1 > rounded.1,
        "float {}, rounded {rounded:?}, trained {trained:?}",
        fitted.valid_loss
    );
}
