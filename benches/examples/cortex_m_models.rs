//! Writes the models that `benches/cortex-m/run.sh` measures into a folder.

use kinglet::format::{Format, Layout};
use kinglet_benches::{CELLS, feature, samples, target};
use kinglet_trainer::file::{TestInputs, export_for, save};
use kinglet_trainer::net::{Cell, Embedding, Layer, Network};
use kinglet_trainer::package::{Input, Output, Package, Shape};
use kinglet_trainer::quant::{Ranges, Stream};
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use std::path::Path;

const SHAPES: [(usize, usize); 7] = [
    (1, 8),
    (3, 16),
    (7, 32),
    (6, 64),
    (16, 64),
    (64, 128),
    (256, 256),
];
/// Where other formats and layouts are measured.
const FEW: [(usize, usize); 2] = [(7, 32), (64, 128)];
/// From here on the input comes from an embedding: sums over so many raw inputs up to ±16 are not proved to fit.
const EMBEDDED: usize = 128;
const VOCAB: usize = 16;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder to write to");
    for (name, cell) in CELLS {
        for shape in SHAPES {
            for format in [Format::W8A8, Format::W8A16] {
                for layout in [Layout::CortexM4, Layout::Portable] {
                    let packed = layout == Layout::CortexM4;
                    let few = FEW.contains(&shape);
                    if !(packed && format == Format::W8A8 && (cell == Cell::Lstm || shape.1 < 256)
                        || few)
                    {
                        continue;
                    }
                    let layout_name = if packed { "m4" } else { "portable" };
                    let (inputs, hidden) = shape;
                    let number = SHAPES.iter().position(|s| *s == shape).unwrap_or(0);
                    let file = format!(
                        "{name}-{}-{layout_name}-{number}-{inputs}x{hidden}.kgl",
                        format.name()
                    );
                    let path = Path::new(&folder).join(file);
                    save(&path, &model(cell, shape, format, layout)?)?;
                }
            }
        }
    }
    Ok(())
}

fn model(
    cell: Cell,
    (inputs, hidden): (usize, usize),
    format: Format,
    layout: Layout,
) -> anyhow::Result<Vec<u8>> {
    let mut rng = Rng::new(hidden as u64);
    let mut net = network(inputs, &[LayerPlan::Recurrent(cell, hidden)], &mut rng);
    for layer in &mut net.layers {
        if let Layer::Recurrent(r) = layer {
            let largest = r
                .w_ih
                .iter()
                .chain(&r.w_hh)
                .fold(0f32, |max, w| max.max(w.abs()));
            // Uniform at first; training leaves few large weights and many small ones.
            for w in r.w_ih.iter_mut().chain(&mut r.w_hh) {
                *w *= (*w / largest).powi(2) * 3.0;
            }
        }
    }
    let (input, stream) = if inputs >= EMBEDDED {
        let table = samples(inputs, VOCAB);
        net = Network {
            layers: [Layer::Embedding(Embedding {
                vocab: VOCAB,
                dim: inputs,
                table,
            })]
            .into_iter()
            .chain(net.layers)
            .collect(),
        };
        let tokens = (0..VOCAB).map(|token| format!("t{token}"));
        (
            Input::Tokens(tokens.collect()),
            Stream::Tokens((0..64).map(|i| i * 7 % VOCAB).collect()),
        )
    } else {
        let features = (0..inputs).map(feature);
        (
            Input::Features(features.collect()),
            Stream::Samples(samples(inputs, 64)),
        )
    };
    let ranges = Ranges::measure(&net, [&stream]);
    let tests = TestInputs::from_stream(&stream, net.input_width());
    let package = Package {
        name: "bench".to_owned(),
        net,
        input,
        output: Output::Values((0..hidden).map(target).collect()),
        shape: Shape::EveryStep,
    };
    let exported = export_for(layout, &package, format, Some(&ranges), &tests)?;
    anyhow::ensure!(
        exported.notes.is_empty(),
        "{inputs}x{hidden}: {:?}",
        exported.notes
    );
    Ok(exported.bytes.to_vec())
}
