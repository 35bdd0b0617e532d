//! The golden files of `engine/tests/golden`, imported: structure, numbers, and what they compute.

mod shown;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use kinglet_trainer::import::read;
use kinglet_trainer::net::{Activation, Cell, Layer, Network};
use kinglet_trainer::package::{Input, Output, Package, Shape};
use safetensors::{Dtype, SafeTensors};
use shown::{options, structure};

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/golden")
}

struct Golden {
    name: String,
    package: Package,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

fn golden_files() -> Vec<Golden> {
    let mut paths: Vec<PathBuf> = fs::read_dir(golden_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    paths.sort();
    paths.iter().map(|path| golden(path)).collect()
}

fn golden(path: &Path) -> Golden {
    let bytes = fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let flags = &header.metadata().as_ref().unwrap()["import"];
    let tensors = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), Dtype::F32, "{name}");
            let values = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b));
            (name.to_owned(), (view.shape().to_vec(), values.collect()))
        })
        .collect();
    Golden {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        package: read(path, &options(flags)).unwrap().package,
        tensors,
    }
}

#[test]
fn import_reads_every_golden_file() {
    let mut expected: BTreeMap<String, String> = [
        ("embedding_gru", "embedding 11x3, gru 3>7, dense 7>11"),
        (
            "embedding_lstm_softmax",
            "embedding 4x3, lstm 3>5, lstm 5>5, dense 5>4 softmax",
        ),
        ("embedding_order", "embedding 7x5, gru 5>5, dense 5>7"),
        ("head_sigmoid", "lstm 2>6, dense 6>3 sigmoid"),
        ("head_softmax", "gru 5>9, dense 9>6 softmax"),
        ("head_tanh", "rnn 4>6, dense 6>3 tanh"),
        (
            "linear_first_elu",
            "dense 4>7 elu, lstm 7>6, dense 6>5 elu, dense 5>2",
        ),
        ("mixed_cells", "lstm 3>6, gru 6>4, rnn 4>7, dense 7>2"),
        ("mlp_relu", "lstm 3>5, dense 5>8 relu, dense 8>2"),
        (
            "mlp_tanh_sigmoid",
            "gru 3>5, dense 5>6 tanh, dense 6>1 sigmoid",
        ),
        ("no_bias_gru", "gru 3>5, gru 5>5, dense 5>2"),
        ("no_bias_lstm", "lstm 3>5, lstm 5>5, dense 5>2"),
        ("no_bias_rnn", "rnn 3>5, rnn 5>5, dense 5>2"),
        ("same_size_order", "lstm 5>5, lstm 5>5, dense 5>1"),
        ("pair_decoder", "lstm 2>6, lstm 6>6, dense 6>2"),
        ("pair_encoder", "lstm 3>6, lstm 6>6"),
    ]
    .map(|(name, layers)| (name.to_owned(), layers.to_owned()))
    .into();
    for (file, cell) in [
        ("rnn_tanh", "rnn"),
        ("rnn_relu", "rnn-relu"),
        ("lstm", "lstm"),
        ("gru", "gru"),
        ("gru_before", "gru-reset-before"),
    ] {
        for (layers, i, h, o) in [(1, 1, 1, 1), (1, 5, 17, 2), (2, 7, 13, 3), (3, 3, 5, 2)] {
            let mut net = format!("{cell} {i}>{h}");
            for _ in 1..layers {
                net += &format!(", {cell} {h}>{h}");
            }
            expected.insert(
                format!("{file}_{layers}_{i}x{h}"),
                format!("{net}, dense {h}>{o}"),
            );
        }
    }

    let found: BTreeMap<String, String> = golden_files()
        .into_iter()
        .map(|g| (g.name, structure(&g.package.net)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn import_keeps_every_number_in_its_place() {
    let g = golden(&golden_dir().join("mixed_cells.safetensors"));
    let raw = |name: &str| g.tensors[name].1.clone();
    let [
        Layer::Recurrent(lstm),
        Layer::Recurrent(gru),
        _,
        Layer::Dense(fc),
    ] = &g.package.net.layers[..]
    else {
        panic!("{}", structure(&g.package.net));
    };
    assert_eq!(lstm.w_ih, raw("model.lstm1.weight_ih_l0"));
    assert_eq!(lstm.w_hh, raw("model.lstm1.weight_hh_l0"));
    assert_eq!(lstm.b_ih, raw("model.lstm1.bias_ih_l0"));
    assert_eq!(lstm.b_hh, raw("model.lstm1.bias_hh_l0"));
    assert_eq!(gru.b_hh, raw("model.gru2.bias_hh_l0"));
    assert_eq!(fc.weight, raw("model.fc.weight"));
    assert_eq!(fc.bias, raw("model.fc.bias"));

    let g = golden(&golden_dir().join("no_bias_gru.safetensors"));
    let Layer::Recurrent(second) = &g.package.net.layers[1] else {
        panic!()
    };
    assert_eq!(second.w_ih, g.tensors["rnn.weight_ih_l1"].1);
    assert_eq!(
        (&second.b_ih, &second.b_hh),
        (&vec![0.0; 15], &vec![0.0; 15])
    );
}

#[test]
fn import_names_inputs_and_outputs() {
    let g = golden(&golden_dir().join("lstm_1_5x17.safetensors"));
    assert_eq!(
        (g.package.name.as_str(), g.package.shape),
        ("lstm_1_5x17", Shape::EveryStep)
    );
    let Input::Features(x) = &g.package.input else {
        panic!()
    };
    let names: Vec<_> = x.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["x0", "x1", "x2", "x3", "x4"]);
    assert!(x.iter().all(|f| (f.offset, f.scale) == (0.0, 1.0)));
    let Output::Values(y) = &g.package.output else {
        panic!()
    };
    assert_eq!(
        y.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        ["y0", "y1"]
    );
    assert!(y.iter().all(|t| (t.offset, t.scale) == (0.0, 1.0)));

    let g = golden(&golden_dir().join("embedding_lstm_softmax.safetensors"));
    assert_eq!(
        g.package.input,
        Input::Tokens(["0", "1", "2", "3"].map(String::from).into())
    );
    assert_eq!(g.package.output, Output::NextToken);

    let g = golden(&golden_dir().join("head_softmax.safetensors"));
    let classes = ["y0", "y1", "y2", "y3", "y4", "y5"].map(String::from);
    assert_eq!(g.package.output, Output::Classes(classes.into()));

    // Without a head the hidden state is the output.
    let g = golden(&golden_dir().join("pair_encoder.safetensors"));
    assert!(matches!(&g.package.output, Output::Values(y) if y.len() == 6));
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// The network in f64, one equation a line, straight from the docs of `net`: shows that what was
/// imported is what PyTorch ran, without an engine in between.
mod reference {
    use super::*;

    pub type State = Vec<(Vec<f64>, Vec<f64>)>;

    fn affine(w: &[f32], x: &[f64], b: &[f32]) -> Vec<f64> {
        let dot = |row: &[f32]| {
            row.iter()
                .zip(x)
                .map(|(w, x)| f64::from(*w) * x)
                .sum::<f64>()
        };
        w.chunks(x.len())
            .zip(b)
            .map(|(row, b)| dot(row) + f64::from(*b))
            .collect()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    pub fn zero(net: &Network) -> State {
        let width = |l: &Layer| {
            if let Layer::Recurrent(r) = l {
                r.hidden
            } else {
                0
            }
        };
        net.layers
            .iter()
            .map(|l| (vec![0.0; width(l)], vec![0.0; width(l)]))
            .collect()
    }

    /// Output, and h of the last cell.
    pub fn step(net: &Network, state: &mut State, mut x: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let mut hidden = Vec::new();
        for (layer, (h, c)) in net.layers.iter().zip(state) {
            x = match layer {
                Layer::Embedding(e) => {
                    let row = x[0] as usize * e.dim;
                    e.table[row..row + e.dim]
                        .iter()
                        .map(|v| f64::from(*v))
                        .collect()
                }
                Layer::Dense(d) => {
                    let z = affine(&d.weight, &x, &d.bias);
                    let sum: f64 = z.iter().map(|z| z.exp()).sum();
                    let activate = |z: f64| match d.activation {
                        Activation::Identity => z,
                        Activation::Relu => z.max(0.0),
                        Activation::Tanh => z.tanh(),
                        Activation::Sigmoid => sigmoid(z),
                        Activation::Elu if z > 0.0 => z,
                        Activation::Elu => z.exp_m1(),
                        Activation::Softmax => z.exp() / sum,
                        Activation::Magnitude => unreachable!("of a convolution only"),
                    };
                    z.into_iter().map(activate).collect()
                }
                Layer::Bidirectional(_)
                | Layer::Conv(_)
                | Layer::Norm(_)
                | Layer::Keep(_)
                | Layer::Join(_) => {
                    unreachable!("not stepped here")
                }
                Layer::Recurrent(r) => {
                    let n = r.hidden;
                    let a = affine(&r.w_ih, &x, &r.b_ih);
                    let b = affine(&r.w_hh, h, &r.b_hh);
                    let z = |gate: usize, u: usize| a[gate * n + u] + b[gate * n + u];
                    let reset: Vec<f64> = (0..n).map(|u| sigmoid(z(0, u)) * h[u]).collect();
                    let before = match r.cell {
                        Cell::GruResetBefore => {
                            affine(&r.w_hh[2 * n * n..], &reset, &r.b_hh[2 * n..])
                        }
                        _ => Vec::new(),
                    };
                    for u in 0..n {
                        h[u] = match r.cell {
                            Cell::RnnTanh => z(0, u).tanh(),
                            Cell::RnnRelu => z(0, u).max(0.0),
                            Cell::Lstm => {
                                c[u] = sigmoid(z(1, u)) * c[u] + sigmoid(z(0, u)) * z(2, u).tanh();
                                sigmoid(z(3, u)) * c[u].tanh()
                            }
                            Cell::FastGrnn
                            | Cell::LstmCoupled
                            | Cell::LstmPeephole
                            | Cell::GruReluResetBefore
                            | Cell::GruReluResetAfter
                            | Cell::LstmRelu
                            | Cell::LstmHard
                            | Cell::GruHardResetAfter
                            | Cell::GruHardResetBefore
                            | Cell::MinGruHard
                            | Cell::MinGru
                            | Cell::MinGruTanh => {
                                unreachable!("PyTorch has none")
                            }
                            Cell::GruResetAfter | Cell::GruResetBefore => {
                                let hn = match r.cell {
                                    Cell::GruResetBefore => before[u],
                                    _ => sigmoid(z(0, u)) * b[2 * n + u],
                                };
                                let new = (a[2 * n + u] + hn).tanh();
                                new + sigmoid(z(1, u)) * (h[u] - new)
                            }
                        };
                    }
                    hidden = h.clone();
                    h.clone()
                }
            };
        }
        (x, hidden)
    }
}

#[test]
fn imported_networks_compute_what_pytorch_did() {
    for g in golden_files() {
        let net = &g.package.net;
        let (shape, input) = &g.tensors["__input__"];
        let width = shape.get(1).copied().unwrap_or(1);
        let mut state = reference::zero(net);
        if g.name == "pair_decoder" {
            let encoder = golden(&golden_dir().join("pair_encoder.safetensors"));
            let part = |name: &str| {
                encoder.tensors[name]
                    .1
                    .chunks(6)
                    .map(to_f64)
                    .collect::<Vec<_>>()
            };
            for (layer, (h, c)) in part("__h_n__").into_iter().zip(part("__c_n__")).enumerate() {
                state[layer] = (h, c);
            }
        }
        for (t, x) in input.chunks(width).enumerate() {
            let (y, h) = reference::step(net, &mut state, to_f64(x));
            for (name, found) in [("__output__", &y), ("__hidden__", &h)] {
                let row = &g.tensors[name].1[t * found.len()..][..found.len()];
                for (i, (found, expected)) in found.iter().zip(row).enumerate() {
                    let error = (found - f64::from(*expected)).abs();
                    assert!(
                        error < 3e-7 * f64::from(expected.abs().max(1.0)),
                        "{} {name}[{t}, {i}]: {found}, PyTorch has {expected}",
                        g.name
                    );
                }
            }
        }
    }
}

#[test]
fn an_interpreter_beside_the_engine_agrees_on_every_file_and_notices_one_changed_weight() {
    for file in fs::read_dir(golden_dir()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let flags = &header.metadata().as_ref().unwrap()["import"];
        let mut imported = read(&path, &options(flags)).unwrap();
        let proof = imported.prove().unwrap();
        let share = proof.layers.last().unwrap().share();
        assert!(share < 2e-5, "{}: {share}", path.display());

        let changed = imported
            .package
            .net
            .layers
            .iter_mut()
            .find_map(|layer| match layer {
                Layer::Recurrent(r) => Some(&mut r.b_ih[0]),
                _ => None,
            });
        *changed.unwrap() += 0.05;
        let message = imported.prove().unwrap_err().to_string();
        assert!(message.contains("not understood"), "{message}");
    }
}
