//! Writes the models that `firmware-example/sizes/run.sh` measures images with: `size_models LAYOUT FOLDER`.

use kinglet::format::{Format, Layout};
use kinglet_benches::samples;
use kinglet_trainer::file::{TestInputs, export_for, save};
use kinglet_trainer::net::{Activation, Cell};
use kinglet_trainer::package::{Input, Package};
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use std::path::Path;

const INPUTS: usize = 7;
const HIDDEN: usize = 32;
const VOCAB: usize = 16;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [layout, folder] = &arguments[..] else {
        anyhow::bail!("usage: size_models LAYOUT FOLDER");
    };
    let layout = match layout.as_str() {
        "portable" => Layout::Portable,
        "cortex-m0" => Layout::CortexM0,
        "cortex-m4" => Layout::CortexM4,
        other => anyhow::bail!("no layout {other}"),
    };
    let head = LayerPlan::Dense(1, Activation::Identity);
    let measured = || Stream::Samples(samples(INPUTS, 64));
    for (name, plan) in [
        ("lstm", vec![LayerPlan::Recurrent(Cell::Lstm, HIDDEN)]),
        (
            "lstm-dense",
            vec![LayerPlan::Recurrent(Cell::Lstm, HIDDEN), head],
        ),
        (
            "gru-dense",
            vec![LayerPlan::Recurrent(Cell::GruResetAfter, HIDDEN), head],
        ),
        (
            "rnn-dense",
            vec![LayerPlan::Recurrent(Cell::RnnTanh, HIDDEN), head],
        ),
    ] {
        write(folder, layout, name, (INPUTS, &plan), None, measured())?;
    }
    let tokens = (0..VOCAB).map(|token| format!("t{token}"));
    let plan = [
        LayerPlan::Embedding(INPUTS),
        LayerPlan::Recurrent(Cell::Lstm, HIDDEN),
        head,
    ];
    let text = Stream::Tokens((0..64).map(|i| i * 7 % VOCAB).collect());
    let tokens = Some(tokens.collect());
    write(folder, layout, "tokens", (VOCAB, &plan), tokens, text)
}

fn write(
    folder: &str,
    layout: Layout,
    name: &str,
    (width, plan): (usize, &[LayerPlan]),
    tokens: Option<Vec<String>>,
    stream: Stream,
) -> anyhow::Result<()> {
    let net = network(width, plan, &mut Rng::new(1));
    let ranges = Ranges::measure(&net, [&stream]);
    let tests = TestInputs::from_stream(&stream, width);
    let mut package = Package::of_numbers(name, net);
    if let Some(tokens) = tokens {
        package.input = Input::Tokens(tokens);
    }
    let exported = export_for(layout, &package, Format::W8A8, Some(&ranges), &tests)?;
    anyhow::ensure!(exported.notes.is_empty(), "{name}: {:?}", exported.notes);
    let path = Path::new(folder).join(format!("{name}.kgl"));
    save(&path, &exported.bytes)
}
