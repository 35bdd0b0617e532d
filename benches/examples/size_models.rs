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
    for (name, cell, dense) in [
        ("lstm", Cell::Lstm, false),
        ("lstm-dense", Cell::Lstm, true),
        ("gru-dense", Cell::GruResetAfter, true),
        ("rnn-dense", Cell::RnnTanh, true),
    ] {
        let mut plan = vec![LayerPlan::Recurrent(cell, HIDDEN)];
        plan.extend(dense.then_some(LayerPlan::Dense(1, Activation::Identity)));
        let net = network(INPUTS, &plan, &mut Rng::new(1));
        let stream = Stream::Samples(samples(INPUTS, 64));
        let ranges = Ranges::measure(&net, [&stream]);
        let tests = TestInputs::from_stream(&stream, INPUTS);
        let package = Package {
            name: name.to_owned(),
            input: Input::Features((0..INPUTS).map(feature).collect()),
            output: Output::Values((0..net.output_width()).map(target).collect()),
            net,
            shape: Shape::EveryStep,
            alarm: None,
        };
        let exported = export_for(layout, &package, Format::W8A8, Some(&ranges), &tests)?;
        anyhow::ensure!(exported.notes.is_empty(), "{name}: {:?}", exported.notes);
        let path = Path::new(folder).join(format!("{name}.kgl"));
        save(&path, &exported.bytes)?;
    }
    Ok(())
}
