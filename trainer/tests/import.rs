//! State dicts made here: what is read, what is asked for, what is refused.

mod shown;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use kinglet_trainer::import::read;
use kinglet_trainer::net::{Cell, Layer};
use kinglet_trainer::package::{Input, Package};
use safetensors::{Dtype, tensor::TensorView};
use shown::{options, structure};

/// A state dict to write: names with shapes, filled with small distinct numbers.
#[derive(Default)]
struct Dict {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    metadata: HashMap<String, String>,
}

impl Dict {
    fn of(tensors: &[(&str, &[usize])]) -> Self {
        tensors
            .iter()
            .fold(Dict::default(), |dict, (name, shape)| dict.and(name, shape))
    }

    fn and(mut self, name: &str, shape: &[usize]) -> Self {
        let seed = self.tensors.len() as f32;
        let values = (0..shape.iter().product::<usize>()).map(|i| seed + i as f32 / 64.0);
        let bytes = values.flat_map(f32::to_le_bytes).collect();
        self.tensors
            .insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
        self
    }

    fn raw(mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Self {
        self.tensors
            .insert(name.to_owned(), (dtype, shape.to_vec(), bytes));
        self
    }

    fn alias(mut self, removed: &str, kept: &str) -> Self {
        self.metadata.insert(removed.to_owned(), kept.to_owned());
        self
    }

    /// A recurrent layer with biases; `suffix` is `_l0` and the like.
    fn cell(self, prefix: &str, suffix: &str, gates: usize, inputs: usize, hidden: usize) -> Self {
        let rows = gates * hidden;
        self.and(&format!("{prefix}weight_ih{suffix}"), &[rows, inputs])
            .and(&format!("{prefix}weight_hh{suffix}"), &[rows, hidden])
            .and(&format!("{prefix}bias_ih{suffix}"), &[rows])
            .and(&format!("{prefix}bias_hh{suffix}"), &[rows])
    }

    fn linear(self, prefix: &str, inputs: usize, outputs: usize) -> Self {
        self.and(&format!("{prefix}.weight"), &[outputs, inputs])
            .and(&format!("{prefix}.bias"), &[outputs])
    }

    /// An nn.BatchNorm1d: mean, variance, weight and bias.
    fn norm(self, prefix: &str, width: usize) -> Self {
        ["running_mean", "running_var", "weight", "bias"]
            .iter()
            .fold(self, |dict, part| {
                dict.and(&format!("{prefix}.{part}"), &[width])
            })
    }

    fn bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (
                name.clone(),
                TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
            )
        });
        safetensors::serialize(views, Some(self.metadata.clone())).unwrap()
    }

    fn import(&self, flags: &str) -> Result<Package, String> {
        import_bytes(&self.bytes(), flags)
    }

    fn structure(&self, flags: &str) -> String {
        structure(&self.import(flags).unwrap().net)
    }

    /// The message, without the path that it begins with.
    fn error(&self, flags: &str) -> String {
        self.import(flags)
            .expect_err("the import should have been refused")
    }
}

/// A file of this test run.
fn scratch(extension: &str, bytes: &[u8]) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("import-{number}.{extension}"));
    fs::write(&path, bytes).unwrap();
    path
}

fn import_bytes(bytes: &[u8], flags: &str) -> Result<Package, String> {
    let path = scratch("safetensors", bytes);
    let result = read(&path, &options(flags)).map(|imported| imported.package);
    fs::remove_file(&path).unwrap();
    result.map_err(|e| {
        let message = e.to_string();
        let start = format!("{}: ", path.display());
        message
            .strip_prefix(&start)
            .unwrap_or_else(|| panic!("no path: {message}"))
            .to_owned()
    })
}

/// Asserts that a message has all these parts.
#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn any_prefix_will_do() {
    for prefix in ["", "rnn.", "module.model.0.", "_orig_mod.enc."] {
        let dict = Dict::default()
            .cell(prefix, "_l0", 4, 3, 5)
            .linear("out", 5, 2);
        assert_eq!(dict.structure(""), "lstm 3>5, dense 5>2", "{prefix}");
    }
    // nn.Sequential numbers its modules.
    let dict = Dict::default()
        .cell("0.", "_l0", 3, 3, 5)
        .linear("1.0", 5, 4)
        .linear("1.2", 4, 1);
    assert_eq!(
        dict.structure("--between tanh"),
        "gru 3>5, dense 5>4 tanh, dense 4>1"
    );
    assert_eq!(
        dict.structure("--between none"),
        "gru 3>5, dense 5>4, dense 4>1"
    );
}

#[test]
fn flags_that_say_nothing_are_told() {
    let dict = Dict::default()
        .cell("rnn.", "_l0", 3, 3, 5)
        .linear("out", 5, 2);
    let path = scratch("safetensors", &dict.bytes());
    let flags = "--conv causal --after-conv tanh --between relu --batch-norm after --nonlinearity relu --zero-state";
    let notes = read(&path, &options(flags)).unwrap().notes.join("\n");
    for flag in flags.split(' ').filter(|word| word.starts_with("--")) {
        says(&notes, &[&format!("{flag} says nothing here")]);
    }
    fs::remove_file(&path).unwrap();
    says(
        &dict.error("--ignore foo"),
        &["--ignore foo: no tensor's name begins so"],
    );
}

#[test]
fn cell_classes_are_read_like_layers() {
    let dict = Dict::default()
        .cell("a.", "", 4, 3, 5)
        .cell("b.", "", 3, 5, 4);
    assert_eq!(dict.structure(""), "lstm 3>5, gru 5>4");
}

#[test]
fn ten_layers_are_read_in_numeric_order() {
    let mut dict = Dict::default();
    for layer in 0..11 {
        dict = dict.cell("rnn.", &format!("_l{layer}"), 1, 2, 2);
    }
    let package = dict.import("--nonlinearity relu").unwrap();
    let first = |l: &Layer| {
        if let Layer::Recurrent(r) = l {
            r.w_ih[0]
        } else {
            panic!()
        }
    };
    let firsts: Vec<f32> = package.net.layers.iter().map(first).collect();
    assert_eq!(firsts, (0..11).map(|l| 4.0 * l as f32).collect::<Vec<_>>());
}

#[test]
fn every_float_type_is_converted() {
    let values = [0.5f32, -1.25, 3.0, -0.0625];
    let f64s = values
        .iter()
        .flat_map(|v| f64::from(*v).to_le_bytes())
        .collect();
    let f16s = values
        .iter()
        .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
        .collect();
    let bf16s = values
        .iter()
        .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
        .collect();
    for (dtype, bytes) in [(Dtype::F64, f64s), (Dtype::F16, f16s), (Dtype::BF16, bf16s)] {
        let dict = Dict::of(&[("weight_ih_l0", &[4, 1]), ("weight_hh_l0", &[4, 1])]).raw(
            "weight_ih_l0",
            dtype,
            &[4, 1],
            bytes,
        );
        let package = dict.import("").unwrap();
        let Layer::Recurrent(r) = &package.net.layers[0] else {
            panic!()
        };
        assert_eq!(
            (r.cell, &r.w_ih[..]),
            (Cell::Lstm, &values[..]),
            "{dtype:?}"
        );
    }
    let dict = Dict::of(&[("weight_ih_l0", &[4, 1]), ("weight_hh_l0", &[4, 1])]).raw(
        "weight_ih_l0",
        Dtype::I8,
        &[4, 1],
        vec![0; 4],
    );
    says(
        &dict.error(""),
        &["`weight_ih_l0`", "I8", "expected F32", "model.float()"],
    );
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for (value, shown) in [(f64::NAN, "NaN"), (1e300, "inf")] {
        let bytes = [1.0, 2.0, value, 4.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let dict = Dict::default().and("weight_ih_l0", &[4, 1]).raw(
            "weight_hh_l0",
            Dtype::F64,
            &[4, 1],
            bytes,
        );
        says(&dict.error(""), &["`weight_hh_l0`", shown, "index 2"]);
    }
}

#[test]
fn a_tied_output_layer_is_read_from_the_metadata() {
    let dict = Dict::default()
        .and("embed.weight", &[9, 6])
        .cell("rnn.", "_l0", 4, 6, 6)
        .and("out.bias", &[9])
        .alias("out.weight", "embed.weight");
    let package = dict.import("").unwrap();
    assert_eq!(
        structure(&package.net),
        "embedding 9x6, lstm 6>6, dense 6>9"
    );
    let [Layer::Embedding(e), _, Layer::Dense(d)] = &package.net.layers[..] else {
        panic!()
    };
    assert_eq!(e.table, d.weight);

    // Without a bias either matrix could be the embedding, but they are the same.
    let dict = Dict::default()
        .and("embed.weight", &[9, 6])
        .cell("rnn.", "_l0", 3, 6, 6)
        .alias("out.weight", "embed.weight");
    assert_eq!(dict.structure(""), "embedding 9x6, gru 6>6, dense 6>9");
}

#[test]
fn an_embedding_may_be_the_head_too() {
    let dict = Dict::default()
        .and("emb.weight", &[20, 8])
        .cell("rnn.", "_l0", 4, 8, 8);
    says(&dict.error(""), &["(tied), --order emb,rnn,emb"]);
    let net = "embedding 20x8, lstm 8>8, dense 8>20";
    assert_eq!(dict.structure("--order emb,rnn,emb"), net);
    assert_eq!(
        dict.structure("--order emb,rnn,emb --predicts next-token"),
        net
    );
    for order in ["emb,rnn,rnn", "rnn,emb,emb", "emb,rnn,emb,emb"] {
        says(
            &dict.error(&format!("--order {order}")),
            &["is there twice"],
        );
    }
}

#[test]
fn a_network_in_parts_is_read_by_its_index() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import-parts");
    fs::create_dir_all(&folder).unwrap();
    let names = [1, 2].map(|k| format!("model-0000{k}-of-00002.safetensors"));
    let cell = Dict::default().cell("rnn.", "_l0", 4, 3, 5);
    let head = Dict::default().linear("fc", 5, 2);
    fs::write(folder.join(&names[0]), cell.bytes()).unwrap();
    fs::write(folder.join(&names[1]), head.bytes()).unwrap();
    let index = |head_in: &str, more: &str| {
        let places = (cell.tensors.keys().map(|name| (name, &*names[0])))
            .chain(head.tensors.keys().map(|name| (name, head_in)));
        let places = places.map(|(name, file)| format!("{name:?}: {file:?}"));
        let places = places.collect::<Vec<_>>().join(", ");
        let path = folder.join("model.safetensors.index.json");
        fs::write(&path, format!("{{\"weight_map\": {{{places}{more}}}}}")).unwrap();
        read(&path, &options(""))
    };
    let whole = index(&names[1], "").unwrap();
    assert_eq!(structure(&whole.package.net), "lstm 3>5, dense 5>2");
    assert_eq!(
        whole.weight_files,
        names.clone().map(|name| folder.join(name))
    );
    let none = format!(", \"none\": {:?}", names[0]);
    for (head_in, more, part) in [
        ("../model.safetensors", "", "outside of the model's folder"),
        ("/model.safetensors", "", "outside of the model's folder"),
        ("model.safetensors", "", "which cannot be read"),
        (&*names[0], "", "has no tensor `fc.bias`"),
        (&*names[1], &*none, "has no tensor `none`"),
    ] {
        says(&index(head_in, more).unwrap_err().to_string(), &[part]);
    }
    let one = read(&folder.join(&names[0]), &options("")).unwrap_err();
    says(&one.to_string(), &["one of 2 parts", "name the index"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn copies_are_parts_of_which_one_is_taken() {
    let copy = |dict: Dict, part: &str| {
        dict.cell(&format!("{part}.rnn."), "_l0", 4, 5, 5)
            .linear(&format!("{part}.fc"), 5, 6)
    };
    let of = |parts: [&str; 2]| parts.into_iter().fold(Dict::default(), copy);
    for parts in [
        ["state_dict", "best_state_dict"],
        ["state_dict.model", "state_dict.ema.ma_model"],
        ["net", "target_net"],
        ["model", "ema"],
    ] {
        says(&of(parts).error(""), &["several copies", "--part"]);
    }
    let nested = of(["state_dict.model", "state_dict.ema.ma_model"]);
    for part in ["model", "state_dict.model", "ema", "ma_model"] {
        let net = nested.structure(&format!("--part {part}"));
        assert_eq!(net, "lstm 5>5, dense 5>6", "{part}");
    }
    says(
        &nested.error("--part other"),
        &["no tensor's name begins with `other.`"],
    );
    says(
        &of(["a.model", "b.model"]).error("--part model"),
        &["a.model. or b.model."],
    );
    let two = Dict::default()
        .cell("G.rnn.", "_l0", 4, 3, 5)
        .linear("G.fc", 5, 2)
        .cell("D.rnn.", "_l0", 4, 7, 6)
        .linear("D.fc", 6, 1);
    says(
        &two.error(""),
        &["do not fit together", "the parts `D`, `G`"],
    );
    assert_eq!(two.structure("--part D"), "lstm 7>6, dense 6>1");
    // Layers one behind the other are none.
    let stacked =
        Dict::default()
            .cell("layers.0.rnn.", "_l0", 4, 5, 5)
            .cell("layers.1.rnn.", "_l0", 4, 5, 5);
    says(&stacked.error(""), &["--order"]);
}

#[test]
fn a_trained_state_is_named() {
    let dict = Dict::default()
        .cell("rnn.", "_l0", 4, 3, 5)
        .and("h0", &[1, 1, 5]);
    says(&dict.error(""), &["`h0`", "cannot be held"]);
}

#[test]
fn what_a_state_dict_leaves_open_is_asked_for() {
    let rnn = Dict::default()
        .cell("rnn.", "_l0", 1, 3, 5)
        .linear("fc", 5, 2);
    says(
        &rnn.error(""),
        &[
            "`rnn.weight_hh_l0`",
            "[5, 5]",
            "--nonlinearity tanh or relu",
        ],
    );

    let mlp = Dict::default()
        .cell("rnn.", "_l0", 4, 3, 5)
        .linear("a", 5, 6)
        .linear("b", 6, 2);
    says(
        &mlp.error(""),
        &[
            "what stands behind `a` (Linear 5 → 6), which other layers follow",
            "--between relu, elu, tanh or none",
        ],
    );

    let same = Dict::default()
        .cell("first.", "_l0", 4, 5, 5)
        .cell("after.", "_l0", 4, 5, 5)
        .linear("fc", 5, 1);
    says(
        &same.error(""),
        &[
            "several orders",
            "--order after,first,fc",
            "--order first,after,fc",
        ],
    );
    let package = same.import("--order first,after,fc").unwrap();
    let Layer::Recurrent(r) = &package.net.layers[0] else {
        panic!()
    };
    assert_eq!(r.w_ih[0], 0.0, "`first` was made first");

    // All at once.
    let open = Dict::default()
        .cell("first.", "_l0", 1, 5, 5)
        .cell("after.", "_l0", 1, 5, 5)
        .linear("a", 5, 6)
        .linear("b", 6, 2);
    says(
        &open.error(""),
        &[
            "4 things are open",
            "\n  1. tensor `after.weight_hh_l0`",
            "\n  2. tensor `first.weight_hh_l0`",
            "\n  3. the modules fit together in several orders",
            "\n  4. a state dict does not say what stands behind `a`",
        ],
    );
    assert_eq!(
        open.structure("--nonlinearity tanh --order first,after,a,b --between relu"),
        "rnn 5>5, rnn 5>5, dense 5>6 relu, dense 6>2"
    );

    // An embedding or a linear layer without bias: the sizes fit both.
    let table = Dict::default()
        .and("embed.weight", &[7, 5])
        .cell("rnn.", "_l0", 3, 5, 5)
        .and("out.weight", &[7, 5]);
    says(
        &table.error(""),
        &[
            "several orders",
            "--order embed,rnn,out",
            "--order out,rnn,embed",
        ],
    );
    let nameless = Dict::default()
        .cell("", "_l0", 3, 5, 5)
        .and("table.weight", &[5, 5]);
    says(&nameless.error(""), &["--order .,table", "--order table,."]);
    assert_eq!(nameless.structure("--order .,table"), "gru 5>5, dense 5>5");
    assert_eq!(
        nameless.structure("--order table,."),
        "embedding 5x5, gru 5>5"
    );
}

#[test]
fn what_a_state_dict_may_lack_is_named() {
    let dict = Dict::default()
        .and("conv.weight", &[4, 3, 3])
        .cell("a.", "_l0", 4, 4, 5)
        .and("norm.weight", &[5])
        .and("norm.bias", &[5])
        .cell("b.", "_l0", 4, 5, 6)
        .linear("fc", 6, 2);
    let path = scratch("safetensors", &dict.bytes());
    let flags = "--conv valid --after-conv relu --order conv,a,norm,b,fc --head tanh";
    says(
        &read(&path, &options(flags)).unwrap().notes.join("; "),
        &[
            "no pooling is taken to stand between the convolutions and the cells",
            "no activation, residual or normalisation between them",
            "no pooling over time, no attention",
            "nn.BatchNorm1d(track_running_stats=False)",
        ],
    );
    let counted = Dict::of(&[
        ("obs.running_mean", &[3]),
        ("obs.running_var", &[3]),
        ("obs.count", &[]),
    ])
    .cell("rnn.", "_l0", 4, 3, 5);
    says(
        &counted.error(""),
        &[
            "`obs` counts its samples",
            "±5",
            "--ignore obs",
            "--input-mean",
        ],
    );
    assert_eq!(counted.structure("--ignore obs"), "lstm 3>5");
}

#[test]
fn a_wrong_order_is_explained() {
    let dict = Dict::default()
        .and("embed.weight", &[7, 3])
        .cell("a.", "_l0", 4, 3, 5)
        .cell("b.", "_l0", 4, 5, 4)
        .linear("fc", 4, 2);
    assert_eq!(
        dict.structure(""),
        "embedding 7x3, lstm 3>5, lstm 5>4, dense 4>2"
    );
    for (order, parts) in [
        ("embed,a,b", ["`fc` (Linear 4 → 2)", "--ignore"]),
        ("embed,a,b,fc,x", ["no module `x`", "`a` (LSTM 3 → 5)"]),
        ("embed,a,a,b,fc", ["`a` is there twice", "each module once"]),
        (
            "embed,b,a,fc",
            ["tensor `b.weight_ih_l0`: shape [16, 5]", "expected [16, 3]"],
        ),
        (
            "embed,a,fc,b",
            ["tensor `fc.weight`: shape [2, 4]", "expected [2, 5]"],
        ),
        (
            "fc,embed,a,b",
            ["tensor `embed.weight`: shape [7, 3]", "expected [7, 2]"],
        ),
        (
            "embed,fc,a,b",
            ["tensor `fc.weight`: shape [2, 4]", "expected [2, 3]"],
        ),
        ("embed", ["`a` (LSTM 3 → 5) is not in it", "--ignore"]),
    ] {
        says(
            &dict.error(&format!("--order {order}")),
            &["--order: ", parts[0], parts[1]],
        );
    }
}

#[test]
fn modules_that_do_not_fit_are_named_with_both_shapes() {
    let dict = Dict::default()
        .cell("rnn.", "_l0", 4, 3, 5)
        .linear("fc", 7, 2);
    says(
        &dict.error(""),
        &[
            "after `rnn` (LSTM 3 → 5)",
            "tensor `fc.weight`: shape [2, 7], expected [2, 5]",
        ],
    );
}

#[test]
fn a_linear_layer_stands_before_a_cell_where_nothing_else_fits() {
    let first = Dict::default()
        .linear("in", 3, 4)
        .cell("rnn.", "_l0", 4, 4, 5)
        .linear("out", 5, 2);
    says(
        &first.error(""),
        &["what stands behind `in` (Linear 3 → 4)", "--between relu"],
    );
    assert_eq!(
        first.structure("--between elu --head sigmoid"),
        "dense 3>4 elu, lstm 4>5, dense 5>2 sigmoid"
    );
    let path = scratch("safetensors", &first.bytes());
    let notes = read(&path, &options("--between tanh")).unwrap().notes;
    says(
        &notes.join("; "),
        &["`in` (Linear 3 → 4) stands before a cell"],
    );
    // Where both orders take as many inputs nobody knows, else the usual one is it.
    let square = Dict::default()
        .cell("rnn.", "_l0", 4, 6, 6)
        .linear("in", 6, 6)
        .linear("out", 6, 1);
    says(
        &square.error("--between relu"),
        &["--order rnn,in,out", "--order in,rnn,out"],
    );
    assert_eq!(
        square.structure("--order in,rnn,out --between relu"),
        "dense 6>6 relu, lstm 6>6, dense 6>1"
    );
    // Without a bias, as before a normalisation.
    let plain = Dict::default()
        .and("in.weight", &[6, 3])
        .norm("norm", 6)
        .cell("rnn.", "_l0", 3, 6, 5);
    assert_eq!(
        plain.structure("--between relu --batch-norm before"),
        "dense 3>6 relu, gru 6>5"
    );
    let two = Dict::default()
        .and("in.weight", &[6, 3])
        .and("on.weight", &[7, 6])
        .cell("rnn.", "_l0", 3, 7, 5);
    assert_eq!(
        two.structure("--between none"),
        "dense 3>6, dense 6>7, gru 7>5"
    );
    // Nor where the one order takes as many inputs as the other gives outputs.
    let turned = Dict::default()
        .cell("rnn.", "_l0", 4, 16, 8)
        .linear("in", 8, 16);
    says(&turned.error(""), &["--order rnn,in or --order in,rnn"]);
    assert_eq!(
        turned.structure("--order in,rnn --between relu"),
        "dense 8>16 relu, lstm 16>8"
    );
    // Where the linear layer narrows it is taken for an answer, which is told.
    let narrow = Dict::default()
        .cell("rnn.", "_l0", 4, 3, 8)
        .linear("out", 8, 3);
    assert_eq!(narrow.structure(""), "lstm 3>8, dense 8>3");
    let path = scratch("safetensors", &narrow.bytes());
    says(
        &read(&path, &options("")).unwrap().notes.join("; "),
        &["would fit before them too", "--order out,..."],
    );
    // A cell is not given one number of several, which is what a single answer looks like.
    let one = Dict::default()
        .cell("rnn.", "_l0", 4, 1, 8)
        .linear("out", 8, 1);
    assert_eq!(one.structure(""), "lstm 1>8, dense 8>1");
    assert_eq!(
        one.structure("--order out,rnn --between none"),
        "dense 8>1, lstm 1>8"
    );
    // Between two cells, and behind an embedding.
    let between = Dict::default()
        .and("embed.weight", &[9, 3])
        .linear("in", 3, 6)
        .cell("a.", "_l0", 3, 6, 5)
        .linear("middle", 5, 7)
        .cell("b.", "_l0", 3, 7, 4);
    assert_eq!(
        between.structure("--between relu"),
        "embedding 9x3, dense 3>6 relu, gru 6>5, dense 5>7 relu, gru 7>4"
    );
    says(
        &between.error("--between relu --head tanh"),
        &["--head needs an nn.Linear behind the cells"],
    );
}

#[test]
fn what_a_convolution_pads_with_zeros_may_have_an_offset() {
    let dict = Dict::default()
        .norm("norm", 3)
        .and("conv.weight", &[6, 3, 2])
        .and("conv.bias", &[6])
        .cell("rnn.", "_l0", 3, 6, 5);
    // The model's own normalisation does it to samples.
    assert_eq!(
        dict.structure("--conv causal --after-conv relu"),
        "conv 2 6>6 relu, gru 6>5"
    );
    // Nothing is padded.
    assert_eq!(
        dict.structure("--conv valid --after-conv relu"),
        "conv 2 6>6 relu max 1 from 1 every 1, gru 6>5"
    );
}

#[test]
fn a_batch_norm_stands_first_or_behind_a_linear_layer() {
    let dict = || {
        Dict::default()
            .norm("norm", 3)
            .cell("rnn.", "_l0", 3, 3, 5)
            .linear("a", 5, 6)
            .linear("b", 6, 2)
    };
    let first = dict();
    assert_eq!(
        first.structure("--between tanh"),
        "gru 3>5, dense 5>6 tanh, dense 6>2"
    );
    // Before the activation it is part of the layer, behind it of the next one.
    let both = dict().norm("inner", 6);
    says(
        &both.error("--between tanh"),
        &[
            "whether `inner` (BatchNorm1d 6) stands before the activation behind `a` (Linear 5 → 6) or after it",
            "--batch-norm before or after",
        ],
    );
    let [before, after] = ["before", "after"].map(|place| {
        let package = both.import(&format!("--between tanh --batch-norm {place}"));
        package.unwrap().net.layers
    });
    let [_, Layer::Dense(a), Layer::Dense(b)] = &before[..] else {
        panic!("{before:?}")
    };
    let [_, Layer::Dense(other_a), Layer::Dense(other_b)] = &after[..] else {
        panic!("{after:?}")
    };
    assert!(a != other_a && b != other_b);
    // So it is with a layer norm, and each layer may have its own.
    let layer_norms = Dict::default()
        .cell("rnn.", "_l0", 3, 3, 5)
        .linear("a", 5, 6)
        .and("a_norm.weight", &[6])
        .and("a_norm.bias", &[6])
        .linear("b", 6, 7)
        .and("b_norm.weight", &[7])
        .and("b_norm.bias", &[7])
        .linear("c", 7, 2);
    says(
        &layer_norms.error("--between tanh,relu"),
        &[
            "`a_norm` (LayerNorm 6)",
            "`b_norm` (LayerNorm 7)",
            "for all or one for each",
        ],
    );
    says(
        &layer_norms.error("--between tanh,relu,relu --batch-norm before"),
        &[
            "3 of them, expected one or 2",
            "`a` (Linear 5 → 6), `b` (Linear 6 → 7)",
        ],
    );
    assert_eq!(
        layer_norms.structure("--between tanh,none --batch-norm after"),
        "gru 3>5, dense 5>6 tanh, norm 6, dense 6>7, norm 7, dense 7>2"
    );
    // Where the cells take as many numbers as they give, a state dict does not say.
    let open = Dict::default()
        .norm("norm", 5)
        .cell("rnn.", "_l0", 3, 5, 5)
        .linear("out", 5, 2);
    says(
        &open.error(""),
        &["--order norm,rnn,out", "--order rnn,norm,out"],
    );
}

#[test]
fn what_cannot_run_is_refused() {
    let reverse = Dict::default()
        .cell("rnn.", "_l0", 4, 3, 5)
        .cell("rnn.", "_l0_reverse", 4, 3, 5);
    says(
        &reverse.error(""),
        &["bidirectional", "whole window", "--window N"],
    );
    says(&reverse.structure("--window 7"), &["both lstm 3>5"]);
    let missing = Dict::default()
        .cell("rnn.", "_l0", 4, 3, 5)
        .cell("rnn.", "_l0_reverse", 4, 3, 5)
        .cell("rnn.", "_l1", 4, 10, 5);
    says(
        &missing.error("--window 7"),
        &["`rnn.weight_ih_l1_reverse` is missing", "not whole"],
    );
    let mixed = reverse.cell("second.", "_l0", 4, 10, 6);
    says(
        &mixed.error("--window 7"),
        &["bidirectional", "train all of them alike"],
    );

    let projected = Dict::of(&[
        ("weight_ih_l0", &[20, 3]),
        ("weight_hh_l0", &[20, 2]),
        ("weight_hr_l0", &[2, 5]),
    ]);
    assert_eq!(projected.structure(""), "lstm 3>5, dense 5>2");
    let other = projected.and("weight_hr_l0", &[5, 2]);
    says(
        &other.error(""),
        &["`weight_hr_l0`: shape [5, 2], expected [2, 5]", "proj_size"],
    );

    let other = Dict::of(&[("weight_ih_l0", &[10, 3]), ("weight_hh_l0", &[10, 5])]);
    says(
        &other.error(""),
        &[
            "`weight_hh_l0`",
            "[10, 5]",
            "expected 5 (RNN), 15 (GRU) or 20 (LSTM)",
        ],
    );

    let vector = Dict::of(&[("weight_ih_l0", &[20]), ("weight_hh_l0", &[20, 5])]);
    says(
        &vector.error(""),
        &["`weight_ih_l0`: shape [20], expected [20, inputs]"],
    );

    let rows = Dict::of(&[("weight_ih_l0", &[15, 3]), ("weight_hh_l0", &[20, 5])]);
    says(
        &rows.error(""),
        &[
            "`weight_ih_l0`: shape [15, 3], expected [20, 3]",
            "`weight_hh_l0`",
        ],
    );

    let empty = Dict::of(&[("weight_ih_l0", &[0, 3]), ("weight_hh_l0", &[0, 0])]);
    says(&empty.error(""), &["shape [0, 0]", "no empty dimension"]);

    let none = Dict::default().linear("fc", 3, 2);
    says(
        &none.error(""),
        &["no nn.RNN, nn.LSTM or nn.GRU", "`fc.weight`"],
    );
}

#[test]
fn a_state_dict_with_holes_is_refused() {
    let lstm = || Dict::default().cell("rnn.", "_l0", 4, 3, 5);
    for name in [
        "rnn.weight_ih_l0",
        "rnn.weight_hh_l0",
        "rnn.bias_ih_l0",
        "rnn.bias_hh_l0",
    ] {
        let mut dict = lstm();
        dict.tensors.remove(name);
        says(
            &dict.error(""),
            &[&format!("tensor `{name}` is missing"), "not whole"],
        );
    }
    let gap = lstm().cell("rnn.", "_l2", 4, 5, 5);
    says(
        &gap.error(""),
        &["no layer 1 in `rnn`", "`rnn.weight_hh_l2`"],
    );
    let wide = lstm().cell("rnn.", "_l1", 4, 6, 5);
    says(
        &wide.error(""),
        &["`rnn.weight_ih_l1`: shape [20, 6], expected [20, 5]"],
    );
    let kind = lstm().cell("rnn.", "_l1", 3, 5, 5);
    says(
        &kind.error(""),
        &["`rnn.weight_hh_l1`: shape [15, 5], expected [4 × 5, 5]"],
    );
    let bias = lstm().and("fc.weight", &[2, 5]).and("fc.bias", &[3]);
    says(
        &bias.error(""),
        &["`fc.bias`: shape [3], expected [2]", "`fc.weight`"],
    );
}

#[test]
fn what_a_normalisation_beside_a_loop_is_of_is_asked() {
    for norm in ["", "running_mean"] {
        let of = |suffix: &str| {
            let dict = Dict::default()
                .cell("rnn.", suffix, 4, 3, 5)
                .linear("head", 5, 2);
            match norm {
                "" => dict.and("ln.weight", &[5]).and("ln.bias", &[5]),
                _ => dict.norm("ln", 5),
            }
        };
        // An nn.LSTMCell.
        says(
            &of("").error(""),
            &[
                "`rnn` (LSTM 3 → 5) stands in a loop of its own",
                "or its gates or the state",
                "--order rnn,ln,head says the first",
            ],
        );
        let flags = "--order rnn,ln,head";
        assert_eq!(of("").structure(flags), of("_l0").structure(""));
    }
}

#[test]
fn unknown_tensors_are_refused_unless_ignored() {
    let dict = Dict::default()
        .cell("rnn.", "_l0", 4, 3, 5)
        .and("scaler.gain", &[5])
        .and("scaler.shift", &[5])
        .and("tied.bias", &[5])
        .and("rnn.weight_ih_l00", &[20, 3]);
    says(
        &dict.error(""),
        &[
            "`scaler.gain` [5], ",
            "`scaler.shift` [5]",
            "`tied.bias` [5]",
            "`rnn.weight_ih_l00` [20, 3]",
        ],
    );
    says(
        &dict.error("--ignore scaler. --ignore rnn.weight_ih_l00"),
        &["`tied.bias` [5]; if"],
    );
    let flags = "--ignore scaler --ignore tied --ignore rnn.weight_ih_l00";
    assert_eq!(dict.structure(flags), "lstm 3>5");

    // One half of an encoder and decoder.
    let both = Dict::default()
        .cell("encoder.", "_l0", 4, 3, 5)
        .cell("decoder.", "_l0", 4, 2, 5);
    assert_eq!(both.structure("--ignore decoder."), "lstm 3>5");
    assert_eq!(both.structure("--ignore encoder."), "lstm 2>5");
    says(
        &both.error("--ignore encoder --ignore decoder"),
        &["no tensor in it"],
    );
}

#[test]
fn tokens_are_named_by_a_file() {
    let dict = Dict::default()
        .and("embed.weight", &[4, 3])
        .cell("rnn.", "_l0", 3, 3, 6);
    let with = |text: &str| {
        let path = scratch("txt", text.as_bytes());
        let result = dict.import(&format!("--tokens {}", path.display()));
        fs::remove_file(path).unwrap();
        result
    };
    let Input::Tokens(tokens) = with("h\n \n\\n\n\\\\\n").unwrap().input else {
        panic!()
    };
    assert_eq!(tokens, ["h", " ", "\n", "\\"]);
    says(&with("h\ne\nl\n").unwrap_err(), &["3 lines, expected 4"]);
    says(
        &with("h\ne\nl\nh\n").unwrap_err(),
        &["line 4", "\"h\"", "line 1"],
    );
    says(
        &with("h\ne\n\\x\no\n").unwrap_err(),
        &["line 3", "backslash"],
    );
    says(
        &dict.error("--tokens does-not-exist"),
        &["--tokens does-not-exist: cannot be read"],
    );

    let features = Dict::default().cell("rnn.", "_l0", 3, 3, 6);
    says(
        &features.error("--tokens any"),
        &["--tokens", "nn.Embedding", "there is none"],
    );
}

#[test]
fn flags_that_need_what_is_not_there_are_refused() {
    let bare = Dict::default().cell("rnn.", "_l0", 3, 3, 6);
    says(
        &bare.error("--head softmax"),
        &["--head needs an nn.Linear"],
    );
    says(
        &bare.error("--predicts next-token"),
        &["needs an nn.Embedding"],
    );
    let tokens = Dict::default()
        .and("embed.weight", &[4, 3])
        .cell("rnn.", "_l0", 3, 3, 6);
    says(
        &tokens.error("--predicts next-token"),
        &["4 tokens", "6 outputs"],
    );
}

#[test]
fn other_files_are_refused() {
    says(
        &import_bytes(b"PK\x03\x04 and model/data.pkl", "").unwrap_err(),
        &["not a whole ZIP archive"],
    );
    says(
        &import_bytes(b"PK\x03\x04 and so on", "").unwrap_err(),
        &["not a whole ZIP archive"],
    );
    says(&import_bytes(b"", "").unwrap_err(), &["the file is empty"]);
    says(
        &import_bytes(b"x0,x1\n1.0,2.0\n", "").unwrap_err(),
        &["no file of a network that is known; expected safetensors"],
    );
    let whole = Dict::default().cell("rnn.", "_l0", 3, 3, 6).bytes();
    for length in 1..whole.len() {
        says(
            &import_bytes(&whole[..length], "").unwrap_err(),
            &["not a whole safetensors file"],
        );
    }
    let missing = read(Path::new("does-not-exist"), &options(""))
        .unwrap_err()
        .to_string();
    says(&missing, &["does-not-exist: cannot be read"]);
}
