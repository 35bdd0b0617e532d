//! The task files on real data: at least as good as a small PyTorch network, and quantized hardly worse.
//!
//! The data sets lie beside the repository (`../shared/data`), not in it, so these tests run only when asked
//! for: `cargo test --release -p kinglet-trainer --test real_data -- --ignored`.

use kinglet::format::{Format, Layout};
use kinglet::{Model, Sampler, argmax};
use kinglet_trainer::anomaly::{alarm, alarms};
use kinglet_trainer::data::vocabulary::Vocabulary;
use kinglet_trainer::data::{Dataset, Part, Written};
use kinglet_trainer::draw::{Drawing, Likeness};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{AlignedBytes, TestInputs, export};
use kinglet_trainer::package::Input;
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::pair::{Pair, Read, evaluate_pair, translate};
use kinglet_trainer::train::{
    Fitted, FloatPredictor, Metrics, Options, Predictor, evaluate, fit, fit_quantized, generate,
};
use std::ops::ControlFlow;
use std::path::Path;

const SEEDS: [u64; 3] = [1, 2, 3];
const FORMATS: [Format; 3] = [Format::F32, Format::W8A16, Format::W8A8];

fn load(name: &str) -> (Task, Dataset) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tasks")
        .join(name)
        .with_extension("toml");
    let task = Task::load(&path).unwrap();
    let data = Dataset::load(&task).unwrap_or_else(|e| panic!("{e}"));
    (task, data)
}

fn train(task: &mut Task, data: &Dataset, seed: u64) -> Fitted {
    task.train.seed = seed;
    fit(task, data, &Options::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

/// Runs `check` with the engine in every format.
fn in_every_format(
    fitted: &Fitted,
    data: &Dataset,
    mut check: impl FnMut(Format, &mut dyn Predictor),
) {
    let streams = Stream::of_dataset(data);
    let ranges = Ranges::measure(&fitted.package.net, &streams);
    let tests = TestInputs::from_stream(&streams[0], data.inputs());
    for format in FORMATS {
        let file = export(&fitted.package, format, Some(&ranges), &tests).unwrap();
        let model = Model::from_bytes(&file.bytes).unwrap();
        check(format, &mut EnginePredictor::new(&model));
    }
}

/// Medians over the seeds of the headline metric on the test part, per format.
fn medians(name: &str) -> [f64; 3] {
    let (mut task, data) = load(name);
    let mut found = [const { Vec::new() }; 3];
    for seed in SEEDS {
        let fitted = train(&mut task, &data, seed);
        let mut place = found.iter_mut();
        in_every_format(&fitted, &data, |_, engine| {
            place
                .next()
                .unwrap()
                .push(evaluate(&data, Part::Test, engine).headline().1);
        });
    }
    println!("{name}: {found:.4?}");
    found.map(|mut metrics| {
        metrics.sort_by(f64::total_cmp);
        metrics[metrics.len() / 2]
    })
}

/// RMSE: what PyTorch reached, and what the integer formats may add.
fn check_rmse(name: &str, pytorch: f64) {
    let [float, a16, a8] = medians(name);
    assert!(float <= pytorch, "{name}: f32 {float}, PyTorch {pytorch}");
    assert!(a16 <= 1.005 * float, "{name}: w8a16 {a16}, f32 {float}");
    assert!(a8 <= 1.02 * float, "{name}: w8a8 {a8}, f32 {float}");
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn stock_by_log_return_is_as_good_as_pytorch() {
    check_rmse("stock", 7.40);
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn stock_by_price_is_as_good_as_pytorch_in_every_format() {
    // The prices of the test part lie outside the training range, where rounded weights extrapolate with
    // a slightly different slope: integers cost 2 to 5 % here, and stay far below the bar all the same.
    for (format, rmse) in FORMATS.iter().zip(medians("stock-direct")) {
        assert!(rmse <= 9.35, "{}: {rmse}", format.name());
    }
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn ett_is_as_good_as_pytorch() {
    check_rmse("ett", 0.5925);
}

/// RMSE and mean absolute error of the float network on the test part; one seed, because training takes long.
fn errors(name: &str) -> (f64, f64) {
    let (mut task, data) = load(name);
    let fitted = train(&mut task, &data, 1);
    let Metrics::Values(values) =
        evaluate(&data, Part::Test, &mut FloatPredictor::new(&fitted.package))
    else {
        panic!("{name} predicts numbers")
    };
    println!("{name}: {values:.4?}");
    (values[0].rmse, values[0].mae)
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn air_is_as_good_as_pytorch() {
    let (rmse, mae) = errors("air");
    assert!(rmse <= 20.85 && mae <= 11.46, "{rmse} {mae}");
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn turbofan_is_as_good_as_pytorch() {
    let (mut task, data) = load("turbofan");
    let fitted = train(&mut task, &data, 1);
    let engines = data.sequences(Part::Test).count();
    assert_eq!(engines, 100);
    let Metrics::Values(values) =
        evaluate(&data, Part::Test, &mut FloatPredictor::new(&fitted.package))
    else {
        panic!("a number of cycles")
    };
    assert!(
        values[0].rmse <= 16.02 && values[0].phm <= Some(687.0),
        "{values:?}"
    );
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn machine_is_as_good_as_pytorch() {
    let (mut task, data) = load("machine");
    let fitted = train(&mut task, &data, 1);
    let mut network = FloatPredictor::new(&fitted.package);
    let alarm = alarm(task.anomaly.as_ref().unwrap(), &data, &mut network).unwrap();
    let found = alarms(alarm, &data, Part::Test, &mut network).unwrap();
    println!("{found}");
    assert_eq!(found.hit, [false, true]);
    assert!(found.false_episodes <= 4 && found.rmse_outside <= 0.9704);
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn activity_is_as_good_as_pytorch() {
    let (mut task, data) = load("activity");
    let windows = Part::ALL.map(|part| data.windows(part).len());
    assert_eq!(windows, [3228, 570, 989]);
    let fitted = train(&mut task, &data, 1);
    let Metrics::Classes(classes) =
        evaluate(&data, Part::Test, &mut FloatPredictor::new(&fitted.package))
    else {
        panic!("an activity")
    };
    println!(
        "{} {} {:?}",
        classes.accuracy, classes.macro_f1, classes.by_group
    );
    assert!(classes.accuracy >= 0.7371 && classes.macro_f1 >= 0.7063);
    // By trial PyTorch's network reached 0.904; this one stays below.
    assert!(classes.by_group >= Some(0.85));
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn ett_a_day_ahead_is_as_good_as_pytorch() {
    let (rmse, _) = errors("ett-day");
    assert!(rmse <= 2.27, "{rmse}");
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn sunspots_and_temperatures_are_as_good_as_pytorch() {
    let (sunspots, temperature) = (errors("sunspots").0, errors("min-temperature").0);
    assert!(sunspots <= 18.26, "{sunspots}");
    assert!(temperature <= 2.217, "{temperature}");
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn ecg_is_as_good_as_pytorch() {
    let [float, a16, a8] = medians("ecg5000");
    assert!(float >= 0.908, "f32 {float}");
    assert!(a16 >= 0.995 * float, "w8a16 {a16}, f32 {float}");
    assert!(a8 >= 0.98 * float, "w8a8 {a8}, f32 {float}");
}

/// Accuracy: what PyTorch reached, and what the integer formats may cost.
fn check_accuracy(name: &str, pytorch: f64) {
    let [float, a16, a8] = medians(name);
    assert!(float >= pytorch, "{name}: f32 {float}, PyTorch {pytorch}");
    assert!(a16 >= 0.995 * float, "{name}: w8a16 {a16}, f32 {float}");
    assert!(a8 >= 0.98 * float, "{name}: w8a8 {a8}, f32 {float}");
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn sentiment_is_as_good_as_pytorch() {
    check_accuracy("sentiment-en", 0.7338);
    check_accuracy("sentiment-ko", 0.7581);
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn tags_are_as_good_as_pytorchs() {
    check_accuracy("pos", 0.8462);
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn shakespeare_is_foreseen_as_well_as_by_pytorch() {
    let (mut task, data) = load("shakespeare");
    let fitted = train(&mut task, &data, 1);
    let mut bits = Vec::new();
    in_every_format(&fitted, &data, |_, engine| {
        bits.push(evaluate(&data, Part::Test, engine).headline().1);
    });
    println!("shakespeare: {bits:.4?}");
    assert!(bits[0] <= 2.594, "{bits:?}");
    assert!(bits.iter().all(|&b| b <= 1.02 * bits[0]), "{bits:?}");
}

/// A network that was trained on, in float and through integers.
fn trained_on(name: &str) -> (Dataset, Vec<(Format, AlignedBytes)>) {
    let (mut task, data) = load(name);
    let float = train(&mut task, &data, 1).package;
    let streams = Stream::of_dataset(&data);
    let ranges = Ranges::measure(&float.net, &streams);
    let tests = TestInputs::from_stream(&streams[0], data.inputs());
    let mut files = vec![(
        Format::F32,
        export(&float, Format::F32, None, &tests).unwrap().bytes,
    )];
    for format in [Format::W8A8, Format::W4A8] {
        let (options, how) = (Options::default(), (format, &ranges));
        let mut go_on = |_: &_| ControlFlow::Continue(());
        let (fitted, settled) =
            fit_quantized(&float, how, &task, &data, &options, &mut go_on).unwrap();
        let file = export(&fitted.package, format, Some(&settled), &tests).unwrap();
        files.push((format, file.bytes));
    }
    (data, files)
}

/// `trainer/tasks/data.sh digits` makes the data.
#[test]
#[ignore = "reads data that trainer/tasks/data.sh makes"]
fn digits_that_are_drawn_are_recognised() {
    let (mut task, data) = load("digits");
    let fitted = train(&mut task, &data, 1);
    let tests = TestInputs::synthetic(&fitted.package);
    let judge = export(&fitted.package, Format::F32, None, &tests)
        .unwrap()
        .bytes;
    let judge = Model::from_bytes(&judge).unwrap();
    let accuracy = evaluate(&data, Part::Test, &mut EnginePredictor::new(&judge))
        .headline()
        .1;
    assert!(accuracy >= 0.95, "of the judge {accuracy}");
    let mut state = AlignedBytes::zeroed(judge.state_len());
    let mut judge = judge.bind_bytes(&mut state).unwrap();

    let (_, files) = trained_on("digits-drawn");
    let recognised = files.iter().map(|(_, file)| {
        let model = Model::from_bytes(file).unwrap();
        let drawing = Drawing::of(&model, &Written::in_model(file).unwrap()).unwrap();
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut runner = model.bind_bytes(&mut state).unwrap();
        let mut sampler = Sampler::new(0.7, 1);
        let right = (0..2000).filter(|k| {
            let drawn = drawing.sequence(&mut runner, &mut sampler, k % 10, 8);
            let mut scores = [0.0; 10];
            judge.reset();
            drawn.chunks(8).for_each(|row| judge.step(row, &mut scores));
            drawn.len() == 64 && argmax(&scores) == k % 10
        });
        right.count() as f64 / 2000.0
    });
    let recognised: Vec<f64> = recognised.collect();
    println!("digits-drawn: recognised {recognised:.4?}");
    assert!(recognised[0] >= 0.85, "{recognised:?}");
    assert!(recognised[1] >= 0.98 * recognised[0], "{recognised:?}");
    assert!(recognised[2] >= 0.96 * recognised[0], "{recognised:?}");
}

fn moves_as_real_ones(name: &str) {
    let (data, files) = trained_on(name);
    for (format, file) in &files {
        let model = Model::from_bytes(file).unwrap();
        let drawing = Drawing::of(&model, &Written::in_model(file).unwrap()).unwrap();
        let mut state = AlignedBytes::zeroed(model.state_len());
        let mut runner = model.bind_bytes(&mut state).unwrap();
        let by = (&mut runner, &mut Sampler::new(1.0, 1));
        let pairs = drawing.beside_real(&data, Part::Test, 1000, by);
        for (k, column) in drawing.columns.iter().enumerate() {
            let likeness = Likeness::of(&pairs, (k, drawing.columns.len()));
            let gaps = [likeness.variance_gap(), likeness.spectrum_gap()];
            println!("{name} {} {}: {gaps:.3?}", format.name(), column.name);
            assert!(
                gaps.iter().all(|&gap| gap <= 0.2),
                "{} {}: {likeness:?}",
                format.name(),
                column.name
            );
        }
    }
}

/// `trainer/tasks/data.sh dance` makes the data.
#[test]
#[ignore = "reads data that trainer/tasks/data.sh makes"]
fn a_skeleton_dances_as_the_real_one() {
    moves_as_real_ones("dance");
}

#[test]
#[ignore = "reads the data sets beside the repository"]
fn a_wrist_moves_as_real_ones() {
    moves_as_real_ones("motion");
}

/// Made up from a seed, so it needs no files; but it takes its time.
#[test]
#[ignore = "trains for some minutes"]
fn pairs_are_translated_in_integers_nearly_as_in_float() {
    for (name, need) in [
        ("reversal", 0.95),
        ("dates", 0.95),
        ("stories", 0.95),
        ("commands", 0.98),
        ("captions", 0.95),
        ("video", 0.95),
    ] {
        let (mut task, data) = load(name);
        let fitted = train(&mut task, &data, 1);
        let pair = Pair::new(&fitted.package, &data).unwrap();
        let right = FORMATS.map(|format| {
            let files = pair.export(Layout::Portable, format).unwrap();
            let [encoder, decoder] = &files;
            let models = [encoder, decoder].map(|file| Model::from_bytes(&file.bytes).unwrap());
            if name == "commands" {
                nothing_is_said_to_strangers(&data, [&models[0], &models[1]]);
            }
            evaluate_pair(&data, Part::Test, [&models[0], &models[1]])
                .unwrap()
                .1
        });
        println!("{name}: without a mistake {right:.4?}");
        assert!(right[0] >= need, "{name}: {right:?}");
        assert!(
            right.iter().all(|&r| r >= right[0] - 0.02),
            "{name}: {right:?}"
        );
    }
}

/// Sentences that are no command, which nobody made up from a seed.
fn nothing_is_said_to_strangers(data: &Dataset, models: [&Model<'_>; 2]) {
    const SENTENCES: [&str; 24] = [
        "i like my coffee black",
        "where did you put my keys",
        "the weather is nice today",
        "play some music please",
        "what time is it",
        "how many planets are there",
        "the pump is made of steel",
        "my fan club meets on friday",
        "paint the valve red",
        "is it going to rain tomorrow",
        "tell me a joke",
        "where is the nearest station",
        "set the table for dinner",
        "turn left at the corner",
        "stop talking so much",
        "good food is hard to find",
        "see the doctor at nine",
        "percent",
        "the the the",
        "pump fan lamp",
        "now please",
        "turn the volume of the radio up",
        "the heater in the office is broken",
        "run away with me",
    ];
    let Some(Input::Tokens(names)) = data.source().map(Dataset::input) else {
        panic!("commands are texts")
    };
    let vocabulary = Vocabulary::new(names);
    let mut states = models.map(|model| AlignedBytes::zeroed(model.state_len()));
    let [a, b] = &mut states;
    let mut encoder = models[0].bind_bytes(a).unwrap();
    let mut decoder = models[1].bind_bytes(b).unwrap();
    // As `kinglet chat` has it.
    let threshold = 0.5;
    let answered = SENTENCES.iter().filter(|sentence| {
        let tokens = vocabulary.tokens(sentence).unwrap();
        let read = Read::Tokens(&tokens);
        let answer = translate(&mut encoder, &mut decoder, read, 10).unwrap();
        !answer.tokens.is_empty() && answer.probability >= threshold
    });
    let answered: Vec<_> = answered.collect();
    assert!(answered.len() <= 1, "{answered:?}");
}

/// What the network says from the first token on, in every format: what it was to learn by heart.
fn is_known_by_heart(name: &str, separator: &str) {
    let (mut task, data) = load(name);
    let text = task.text().and_then(|t| t.text.clone()).unwrap();
    let text: Vec<&str> = match separator {
        "" => text.split("").filter(|c| !c.is_empty()).collect(),
        _ => text.split_whitespace().collect(),
    };
    for seed in [1, 2, 3] {
        let fitted = train(&mut task, &data, seed);
        let Input::Tokens(tokens) = data.input() else {
            panic!("{name}: not of tokens")
        };
        let first = tokens.iter().position(|t| t == text[0]).unwrap();
        in_every_format(&fitted, &data, |format, engine| {
            let answer = generate(engine, tokens.len(), &[first], text.len() - 1);
            let answer: Vec<&str> = answer.iter().map(|&t| tokens[t].as_str()).collect();
            let (answer, text) = (answer.join(separator), text.join(separator));
            assert_eq!(answer, text, "{} seed {seed}", format.name());
        });
    }
}

#[test]
fn hello_is_spelt_in_every_format() {
    is_known_by_heart("hello", "");
}

#[test]
fn a_melody_is_played_from_its_first_note_in_every_format() {
    is_known_by_heart("melody", " ");
}
