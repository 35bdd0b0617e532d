//! Writes the models that `benches/counter/run.sh` measures: `counter_models LAYOUT FOLDER`.
//!
//! Every cell at every shape in w8a8 and the layout; at a few shapes also in w8a16, in the portable layout, and in
//! w4a8, which has no other but that of Cortex-M4. The cells that are built from the same parts at three shapes, and LSTMs over windows from both ends.

use anyhow::Context;
use kinglet::format::{Format, Layout};
use kinglet_benches::{CELLS, samples};
use kinglet_trainer::file::{TestInputs, export_for, save};
use kinglet_trainer::net::{Cell, Embedding, Layer, Network};
use kinglet_trainer::package::{Input, Package, Shape};
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
const LAYOUTS: [(&str, Layout); 4] = [
    ("portable", Layout::Portable),
    ("cortex-m0", Layout::CortexM0),
    ("cortex-m4", Layout::CortexM4),
    ("cortex-m55", Layout::CortexM55),
];
/// Where other formats and layouts are measured.
const FEW: [(usize, usize); 2] = [(7, 32), (64, 128)];
/// Cells of which fewer shapes tell enough.
const MORE_CELLS: [(&str, Cell); 4] = [
    ("fastgrnn", Cell::FastGrnn),
    ("lstm-coupled", Cell::LstmCoupled),
    ("lstm-peephole", Cell::LstmPeephole),
    ("mingru", Cell::MinGru),
];
const MORE_SHAPES: [(usize, usize); 3] = [(3, 16), (7, 32), (16, 64)];
/// In w8a8, where products count more than units.
const WIDE: (usize, usize) = (64, 128);
/// Of a bidirectional layer; its row is of a whole window.
const BIDIRECTIONAL: [(usize, usize); 2] = [(3, 16), (7, 32)];
const WINDOW: usize = 4;
/// From here on the input comes from an embedding: sums over so many raw inputs up to ±16 are not proved to fit.
const EMBEDDED: usize = 128;
const VOCAB: usize = 16;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [layout_name, folder] = &arguments[..] else {
        anyhow::bail!("usage: counter_models LAYOUT FOLDER");
    };
    let found = LAYOUTS.iter().find(|(name, _)| name == layout_name);
    let &(_, asked) = found.context("no such layout")?;
    let mut number = 0;
    let mut write =
        |cell_name: &str, plan: LayerPlan, shape, format: Format, (layout_name, layout)| {
            let (inputs, hidden) = shape;
            let name = format!(
                "{cell_name} | {} | {layout_name} | {inputs}, {hidden}",
                format.name()
            );
            // By number: the order in which they are measured.
            let path = Path::new(folder).join(format!("{number:02}.kgl"));
            number += 1;
            save(&path, &model(name, plan, shape, format, layout)?)?;
            anyhow::Ok(())
        };
    for (cell_name, cell) in CELLS {
        for format in [Format::W8A8, Format::W8A16, Format::W4A8] {
            for (layout_name, layout) in LAYOUTS
                .into_iter()
                .filter(|(_, l)| [asked, Layout::Portable].contains(l))
                .filter(|(_, l)| format != Format::W4A8 || has_w4(*l))
            {
                for shape in SHAPES {
                    let all = format == Format::W8A8 && layout == asked;
                    if !all && !FEW.contains(&shape) {
                        continue;
                    }
                    let plan = LayerPlan::Recurrent(cell, shape.1);
                    write(cell_name, plan, shape, format, (layout_name, layout))?;
                }
            }
        }
    }
    let portable = ("portable", Layout::Portable);
    let asked = (layout_name.as_str(), asked);
    let of_w4 = if has_w4(asked.1) { asked } else { portable };
    for (cell_name, cell) in MORE_CELLS {
        for (format, layout) in [
            (Format::W8A8, asked),
            (Format::W8A16, asked),
            (Format::W4A8, of_w4),
        ] {
            let wide = (format == Format::W8A8).then_some(WIDE);
            for shape in MORE_SHAPES.into_iter().chain(wide) {
                let plan = LayerPlan::Recurrent(cell, shape.1);
                write(cell_name, plan, shape, format, layout)?;
            }
        }
    }
    for shape in BIDIRECTIONAL {
        let plan = LayerPlan::Bidirectional(Cell::Lstm, shape.1);
        write("bidirectional lstm", plan, shape, Format::W8A8, asked)?;
    }
    Ok(())
}

/// Weights of four bits are laid out for it.
fn has_w4(layout: Layout) -> bool {
    [Layout::Portable, Layout::CortexM4].contains(&layout)
}

fn model(
    name: String,
    plan: LayerPlan,
    (inputs, hidden): (usize, usize),
    format: Format,
    layout: Layout,
) -> anyhow::Result<Vec<u8>> {
    let mut rng = Rng::new(hidden as u64);
    let mut net = network(inputs, &[plan], &mut rng);
    for layer in &mut net.layers {
        let recurrent = match layer {
            Layer::Recurrent(r) => vec![r],
            Layer::Bidirectional(b) => vec![&mut b.forward, &mut b.backward],
            _ => Vec::new(),
        };
        for r in recurrent {
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
    let (tokens, stream) = if inputs >= EMBEDDED {
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
            Some(tokens.collect()),
            Stream::Tokens((0..64).map(|i| i * 7 % VOCAB).collect()),
        )
    } else {
        (None, Stream::Samples(samples(inputs, 64)))
    };
    let shape = match net.is_bidirectional() {
        true => Shape::Window {
            window: WINDOW,
            hop: WINDOW,
            exact: true,
        },
        false => Shape::EveryStep,
    };
    let ranges = Ranges::measure(&net, [&stream]);
    let tests = TestInputs::from_stream(&stream, net.input_width());
    let mut package = Package {
        shape,
        ..Package::of_numbers(name, net)
    };
    if let Some(tokens) = tokens {
        package.input = Input::Tokens(tokens);
    }
    let exported = export_for(layout, &package, format, Some(&ranges), &tests)?;
    anyhow::ensure!(
        exported.notes.is_empty(),
        "{inputs}x{hidden}: {:?}",
        exported.notes
    );
    Ok(exported.bytes.to_vec())
}
