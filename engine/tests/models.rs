//! Every valid model runs: random layers, sizes, formats, layouts, inputs and outputs, on every kernel table.

mod arbitrary;

use arbitrary::{Choices, Spec, drive};
use kinglet::format::{Cell, Format, Layer, Layout};
use kinglet::kernel::Kernels;

/// Drives a model on every table; in integers all give the same bytes.
fn every_table(name: &str, spec: &Spec, seed: u64) {
    let file = spec.build(&mut Choices::seeded(seed));
    let model = file.load().unwrap();
    let want = drive(&model, &Kernels::SCALAR, seed);
    for table in Kernels::available().skip(1) {
        let got = drive(&model, table, seed);
        if model.is_integer() {
            let (layout, header) = (spec.layout, model.header());
            assert_eq!(
                got,
                want,
                "{name} on {}: {layout:?} {header:?}",
                table.name()
            );
        }
    }
}

#[test]
fn any_model_runs_on_every_table_with_the_same_bytes() {
    for seed in 0..1500 {
        let spec = Spec::any(&mut Choices::seeded(seed));
        println!("seed {seed}: {:?} {:?}", spec.layout, spec.header);
        every_table(&format!("seed {seed}"), &spec, seed);
    }
}

#[test]
fn an_embedding_may_be_wider_than_all_that_follows() {
    for format in [
        Format::F32,
        Format::F16,
        Format::W8A8,
        Format::W8A16,
        Format::W4A8,
    ] {
        for (dim, hidden) in [(64, 8), (64, 1), (9, 8), (8, 1)] {
            let embedding = Layer::Embedding {
                format,
                vocab: 5,
                dim,
            };
            let recurrent = Layer::Recurrent {
                format,
                cell: Cell::Lstm,
                inputs: dim,
                hidden,
                requant_shift: 0,
                cell_shift: 0,
            };
            let spec = Spec::plain(Layout::Portable, &[embedding, recurrent]);
            every_table(format.name(), &spec, 1);
        }
    }
}
