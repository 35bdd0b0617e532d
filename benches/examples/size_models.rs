//! Writes the models that `firmware-example/sizes/run.sh` measures images with: `size_models LAYOUT FOLDER`.

use kinglet::format::{Format, Layout};
use kinglet_benches::{feature, samples, target};
use kinglet_trainer::file::{TestInputs, export_for, save};
use kinglet_trainer::net::{Activation, Cell};
use kinglet_trainer::package::{Input, Output, Package, Shape};
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
    let features = || Input::Features((0..INPUTS).map(feature).collect());
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
        write(folder, layout, name, INPUTS, &plan, features(), measured())?;
    }
    let tokens = (0..VOCAB).map(|token| format!("t{token}"));
    let plan = [
        LayerPlan::Embedding(INPUTS),
        LayerPlan::Recurrent(Cell::Lstm, HIDDEN),
        head,
    ];
    let text = Stream::Tokens((0..64).map(|i| i * 7 % VOCAB).collect());
    let input = Input::Tokens(tokens.collect());
    write(folder, layout, "tokens", VOCAB, &plan, input, text)
}

fn write(
    folder: &str,
    layout: Layout,
    name: &str,
    width: usize,
    plan: &[LayerPlan],
    input: Input,
    stream: Stream,
) -> anyhow::Result<()> {
    let net = network(width, plan, &mut Rng::new(1));
    let ranges = Ranges::measure(&net, [&stream]);
    let tests = TestInputs::from_stream(&stream, width);
    let package = Package {
        name: name.to_owned(),
        input,
        output: Output::Values((0..net.output_width()).map(target).collect()),
        net,
        shape: Shape::EveryStep,
        alarm: None,
        written: Default::default(),
    };
    let exported = export_for(layout, &package, Format::W8A8, Some(&ranges), &tests)?;
    anyhow::ensure!(exported.notes.is_empty(), "{name}: {:?}", exported.notes);
    let path = Path::new(folder).join(format!("{name}.kgl"));
    save(&path, &exported.bytes)
}
