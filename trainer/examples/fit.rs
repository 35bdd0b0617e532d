//! Trains a task file over several seeds and prints the metrics, in float and of the engine in every
//! format: for choosing configurations, and for what a format costs.
//!
//! `cargo run --release -p kinglet-trainer --example fit -- trainer/tasks/ett.toml 1 2 3`
//!
//! Choose by the valid column; the test column is for the report.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use kinglet::Model;
use kinglet::format::Format;
use kinglet_trainer::data::{Dataset, Part};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::file::{TestInputs, export};
use kinglet_trainer::package::{Input, Output};
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::task::Task;
use kinglet_trainer::train::{FloatPredictor, Options, baselines, evaluate, fit, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: fit TASK.toml [SEED]...")?;
    let mut task = Task::load(Path::new(&path))?;
    let data = Dataset::load(&task)?;
    for (name, mut rule) in baselines(&task, &data) {
        for part in [Part::Valid, Part::Test] {
            let metrics = evaluate(&data, part, &mut *rule);
            println!("{name}, {}: {metrics}", part.name());
        }
    }
    let mut seeds: Vec<u64> = arguments.map(|s| s.parse()).collect::<Result<_, _>>()?;
    if seeds.is_empty() {
        seeds.push(task.train.seed);
    }
    let mut tests = Vec::new();
    for seed in seeds {
        task.train.seed = seed;
        let fitted = fit(&task, &data, &Options::default(), &mut |_| {
            ControlFlow::Continue(())
        })?;
        let last = fitted.history[fitted.history.len() - 1];
        let mut predictor = FloatPredictor::new(&fitted.package);
        let valid = evaluate(&data, Part::Valid, &mut predictor);
        let test = evaluate(&data, Part::Test, &mut predictor);
        println!(
            "seed {seed}: epoch {} of {}, valid loss {:.5}, {:.1} s | valid: {valid} | test: {test}",
            fitted.best_epoch, last.epoch, fitted.valid_loss, last.seconds
        );
        if let (Output::NextToken, Input::Tokens(tokens)) = (data.output(), data.input()) {
            let first = data
                .sequences(Part::Train)
                .next()
                .map_or(0, |s| s.raw(0)[0] as usize);
            let answer = generate(&mut predictor, tokens.len(), &[first], data.window());
            let text: String = answer.iter().map(|&t| tokens[t].as_str()).collect();
            println!("  generates {text:?}");
        }
        let float = test.headline().1;
        tests.push(float);
        let streams = Stream::of_dataset(&data);
        let ranges = Ranges::measure(&fitted.package.net, &streams);
        let steps = TestInputs::from_stream(&streams[0], data.inputs());
        for format in [Format::F32, Format::F16, Format::W8A16, Format::W8A8] {
            let file = export(&fitted.package, format, Some(&ranges), &steps)?;
            let model = Model::from_bytes(&file.bytes)?;
            let test = evaluate(&data, Part::Test, &mut EnginePredictor::new(&model));
            let change = 100.0 * (test.headline().1 / float - 1.0);
            println!("  {:6} {test} ({change:+.2} %)", format.name());
        }
    }
    tests.sort_by(f64::total_cmp);
    println!("test median {:.4}", tests[tests.len() / 2]);
    Ok(())
}
