//! Import flags from text, and networks as text.

use clap::Parser;
use kinglet_trainer::import::ImportOptions;
use kinglet_trainer::net::{Activation, Dense, Layer, Network, Recurrent};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: ImportOptions,
}

/// Flags as they are written on the command line.
pub fn options(flags: &str) -> ImportOptions {
    Line::try_parse_from(["import"].into_iter().chain(flags.split_whitespace()))
        .unwrap()
        .options
}

fn recurrent(r: &Recurrent) -> String {
    let [rows, of_state] = [r.cell.products(), r.cell.state_products()].map(|n| n * r.hidden);
    assert_eq!(r.w_ih.len(), rows * r.inputs);
    assert_eq!(r.w_hh.len(), of_state * r.hidden);
    assert_eq!((r.b_ih.len(), r.b_hh.len()), (rows, of_state));
    format!("{} {}>{}", r.cell.name(), r.inputs, r.hidden)
}

/// One line per network: what was read, in order.
pub fn structure(net: &Network) -> String {
    let layer = |layer: &Layer| match layer {
        Layer::Bidirectional(b) => {
            let [forward, backward] = b.halves().map(recurrent);
            assert_eq!(forward, backward);
            format!("both {forward}")
        }
        Layer::Embedding(e) => {
            assert_eq!(e.table.len(), e.vocab * e.dim);
            format!("embedding {}x{}", e.vocab, e.dim)
        }
        Layer::Recurrent(r) => recurrent(r),
        Layer::Conv(c) => {
            let pool = c.shape.pool.map(|pool| {
                let (kind, kernel) = (pool.kind.name(), pool.kernel);
                format!(" {kind} {kernel} from {} every {}", pool.first, pool.every)
            });
            let dense = dense(&c.dense);
            format!(
                "conv {} {dense}{}",
                c.shape.kernel,
                pool.unwrap_or_default()
            )
        }
        Layer::Norm(n) => format!("norm {}", n.width()),
        Layer::Keep(width) => format!("keep {width}"),
        Layer::Join(j) => format!("{} {}", j.how.name(), j.with),
        Layer::Dense(d) => format!("dense {}", dense(d)),
    };
    net.layers.iter().map(layer).collect::<Vec<_>>().join(", ")
}

fn dense(d: &Dense) -> String {
    assert_eq!(
        (d.weight.len(), d.bias.len()),
        (d.outputs * d.inputs, d.outputs)
    );
    let activation = match d.activation {
        Activation::Identity => "",
        Activation::Relu => " relu",
        Activation::Tanh => " tanh",
        Activation::Sigmoid => " sigmoid",
        Activation::Softmax => " softmax",
        Activation::Magnitude => " magnitude",
        Activation::Elu => " elu",
    };
    format!("{}>{}{activation}", d.inputs, d.outputs)
}
