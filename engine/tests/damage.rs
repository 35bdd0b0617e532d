//! What is wrong in a file is found when it is loaded. A file that loads can be stepped, whatever is in it,
//! and every kernel table computes the same from it.

mod arbitrary;

use arbitrary::{Choices, File, drive, mutate};
use kinglet::format::{
    Activation, Cell, Format, Header, Input, Layer, Layers, LoadError, MAX_LAYERS, Output,
    PREAMBLE_LEN, Preamble, Shape, pad,
};
use kinglet::kernel::Kernels;
use kinglet::{Model, include_model};

static LSTM: &[u8] = include_model!("models/lstm_w8a8.kgl");
static MIXED: &[u8] = include_model!("models/mixed_f32.kgl");
static TOKENS: &[u8] = include_model!("models/tokens_w8a8.kgl");
static WINDOW: &[u8] = include_model!("models/window_f32.kgl");
static MODELS: [&[u8]; 22] = [
    LSTM,
    MIXED,
    TOKENS,
    WINDOW,
    include_model!("models/mixed_f16.kgl"),
    include_model!("models/lstm_w8a16.kgl"),
    include_model!("models/gru_w8a8.kgl"),
    include_model!("models/gru_before_w8a8.kgl"),
    include_model!("models/gru_m55_w8a8.kgl"),
    include_model!("models/rnn_relu_w8a8.kgl"),
    include_model!("models/lstm_w4a8.kgl"),
    include_model!("models/lstm_each.kgl"),
    include_model!("models/gru_w4a8.kgl"),
    include_model!("models/gru_before_w4a8.kgl"),
    include_model!("models/encoder_w8a16.kgl"),
    include_model!("models/decoder_w8a16.kgl"),
    include_model!("models/fastgrnn_w8a8.kgl"),
    include_model!("models/lstm_coupled_w8a8.kgl"),
    include_model!("models/lstm_peephole_w8a8.kgl"),
    include_model!("models/mingru_w8a8.kgl"),
    include_model!("models/mingru_tanh_w8a8.kgl"),
    BIDIRECTIONAL,
];

static BIDIRECTIONAL: &[u8] = include_model!("models/bidirectional_w8a8.kgl");

/// The same file with bytes of the preamble replaced and the checksum made right.
fn with_bytes(file: &[u8], at: usize, bytes: &[u8]) -> LoadError {
    let mut file = File::new(file);
    file.bytes()[at..at + bytes.len()].copy_from_slice(bytes);
    file.sign();
    file.load().map(|_| ()).unwrap_err()
}

/// One more layer before the one with a number.
fn insert(header: &mut Header<'_>, number: usize, layer: Layer) {
    let mut layers = header.layers.to_vec();
    layers.insert(number, layer);
    header.layers = layers.into_iter().collect();
}

/// The same tensors under an edited header.
fn with_header(file: &[u8], edit: impl FnOnce(&mut Header<'_>)) -> Result<(), LoadError> {
    let model = Model::from_bytes(file).unwrap();
    let mut header = *model.header();
    edit(&mut header);
    let mut space = [0; 4096];
    let encoded = postcard::to_slice(&header, &mut space).unwrap();
    let payload = &file[model.preamble().payload_offset..];
    let payload_offset = pad(PREAMBLE_LEN + encoded.len(), 16);
    let preamble = Preamble {
        header_len: encoded.len(),
        payload_offset,
        ..*model.preamble()
    };
    let mut bytes = vec![0; payload_offset + payload.len()];
    bytes[..PREAMBLE_LEN].copy_from_slice(&preamble.write());
    bytes[PREAMBLE_LEN..PREAMBLE_LEN + encoded.len()].copy_from_slice(encoded);
    bytes[payload_offset..].copy_from_slice(payload);
    let mut file = File::new(&bytes);
    file.sign();
    file.load().map(|_| ())
}

/// The same tensors under the same header with something behind it.
fn with_tail(file: &[u8], tail: &[u8]) -> Result<Option<f32>, LoadError> {
    let preamble = *Model::from_bytes(file).unwrap().preamble();
    let header = &file[PREAMBLE_LEN..PREAMBLE_LEN + preamble.header_len];
    let payload = &file[preamble.payload_offset..];
    let preamble = Preamble {
        header_len: header.len() + tail.len(),
        payload_offset: pad(PREAMBLE_LEN + header.len() + tail.len(), 16),
        ..preamble
    };
    let mut bytes = vec![0; preamble.payload_offset];
    bytes[..PREAMBLE_LEN].copy_from_slice(&preamble.write());
    let behind = PREAMBLE_LEN + header.len();
    bytes[PREAMBLE_LEN..behind].copy_from_slice(header);
    bytes[behind..behind + tail.len()].copy_from_slice(tail);
    bytes.extend_from_slice(payload);
    let mut file = File::new(&bytes);
    file.sign();
    file.load().map(|model| model.smoothing())
}

#[test]
fn a_tail_of_the_header_is_checked_and_may_be_longer_than_known() {
    let some = |smoothing: f32| {
        let mut tail = vec![1];
        tail.extend_from_slice(&smoothing.to_le_bytes());
        tail
    };
    for model in MODELS {
        assert_eq!(with_tail(model, &[]), Ok(None));
        assert_eq!(with_tail(model, &some(0.25)), Ok(Some(0.25)));
        let longer = [some(1.0), vec![7, 8, 9]].concat();
        assert_eq!(with_tail(model, &longer), Ok(Some(1.0)));
        for wrong in [0.0, -1.0, 1.5, f32::NAN, f32::INFINITY] {
            let error = LoadError::Value {
                what: "smoothing",
                index: 0,
            };
            assert_eq!(with_tail(model, &some(wrong)), Err(error), "{wrong}");
        }
        assert_eq!(with_tail(model, &some(0.5)[..3]), Err(LoadError::Header));
        assert_eq!(with_tail(model, &[2]), Err(LoadError::Header));
    }
}

#[test]
fn fraction_bits_are_checked_in_floats_too() {
    for frac in [-17, i8::MIN, 16] {
        let refused = with_header(MIXED, |header| {
            let last = header.layers.len() - 1;
            let Layer::Dense { frac: place, .. } = &mut header.layers[last] else {
                unreachable!()
            };
            *place = frac;
        });
        let error = LoadError::Value {
            what: "fraction bits of dense layer",
            index: 0,
        };
        assert_eq!(refused, Err(error), "{frac}");
    }
}

#[test]
fn truncation_at_every_byte_is_an_error() {
    for model in MODELS {
        let mut file = File::new(model);
        for have in 0..model.len() {
            let error = Model::from_bytes(&file.bytes()[..have]).unwrap_err();
            let need = if have < PREAMBLE_LEN {
                PREAMBLE_LEN
            } else {
                model.len()
            };
            assert_eq!(error, LoadError::Truncated { need, have });
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    for (number, model) in MODELS[..4].iter().enumerate() {
        let mut file = File::new(model);
        for bit in 0..8 * model.len() {
            file.bytes()[bit / 8] ^= 1 << (bit % 8);
            assert!(file.load().is_err(), "model {number}, bit {bit}");
            file.bytes()[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(file.load().is_ok());
    }
}

#[test]
fn a_wrong_preamble_is_named() {
    let len = LSTM.len();
    let preamble = *Model::from_bytes(LSTM).unwrap().preamble();
    assert_eq!(with_bytes(LSTM, 0, b"k"), LoadError::NotAModel);
    assert_eq!(
        with_bytes(LSTM, 8, &[2, 1]),
        LoadError::Version {
            found: 0x102,
            supported: 1
        }
    );
    assert_eq!(with_bytes(LSTM, 10, &[9]), LoadError::Layout { found: 9 });
    // A header that reaches into the tensors, and tensors that start askew.
    let header_len = (preamble.payload_offset - PREAMBLE_LEN + 1) as u32;
    assert_eq!(
        with_bytes(LSTM, 12, &header_len.to_le_bytes()),
        LoadError::Header
    );
    assert_eq!(
        with_bytes(LSTM, 12, &u32::MAX.to_le_bytes()),
        LoadError::Header
    );
    let (offset, payload) = (preamble.payload_offset as u32, preamble.payload_len as u32);
    let mut skewed = (offset + 8).to_le_bytes().to_vec();
    skewed.extend((payload - 8).to_le_bytes());
    assert_eq!(with_bytes(LSTM, 16, &skewed), LoadError::Header);
    assert_eq!(
        with_bytes(LSTM, 20, &(payload + 4).to_le_bytes()),
        LoadError::Truncated {
            need: len + 4,
            have: len
        }
    );
    assert_eq!(
        with_bytes(LSTM, 20, &(payload - 4).to_le_bytes()),
        LoadError::TrailingBytes {
            need: len - 4,
            have: len
        }
    );
    let need = preamble.state_len;
    for stored in [0, need - 1, need + 16] {
        assert_eq!(
            with_bytes(LSTM, 24, &(stored as u32).to_le_bytes()),
            LoadError::StateSize { stored, need }
        );
    }
}

#[test]
fn a_wrong_size_in_the_header_is_named() {
    assert_eq!(with_header(LSTM, |_| ()), Ok(()));
    let (_, hidden) = match Model::from_bytes(LSTM).unwrap().header().layers[0] {
        Layer::Recurrent { inputs, hidden, .. } => (inputs as usize, hidden as usize),
        _ => unreachable!(),
    };
    let set = |model, layer: usize, edit: fn(&mut Layer)| {
        with_header(model, |header| edit(&mut header.layers[layer])).unwrap_err()
    };
    let size = |what, found, max| LoadError::Size { what, found, max };
    assert_eq!(
        set(LSTM, 0, |layer| {
            let Layer::Recurrent { hidden, .. } = layer else {
                unreachable!()
            };
            *hidden = 0;
        }),
        size("hidden size", 0, 4096)
    );
    assert_eq!(
        set(LSTM, 0, |layer| {
            let Layer::Recurrent { inputs, .. } = layer else {
                unreachable!()
            };
            *inputs = 5000;
        }),
        size("layer input", 5000, 4096)
    );
    assert_eq!(
        set(LSTM, 0, |layer| {
            let Layer::Recurrent { inputs, .. } = layer else {
                unreachable!()
            };
            *inputs += 1;
        }),
        LoadError::Mismatch {
            layer: 0,
            what: "input width",
            found: 6,
            need: 5
        }
    );
    assert!(matches!(
        set(LSTM, 0, |layer| {
            let Layer::Recurrent { hidden, .. } = layer else {
                unreachable!()
            };
            *hidden = 4096;
        }),
        LoadError::Payload { .. }
    ));
    assert_eq!(
        set(LSTM, 0, |layer| {
            let Layer::Recurrent { requant_shift, .. } = layer else {
                unreachable!()
            };
            *requant_shift = 32;
        }),
        size("requantization shift", 32, 31)
    );
    assert_eq!(
        set(LSTM, 0, |layer| {
            let Layer::Recurrent { cell_shift, .. } = layer else {
                unreachable!()
            };
            *cell_shift = 5;
        }),
        size("cell shift", 5, 4)
    );
    assert_eq!(
        set(TOKENS, 0, |layer| {
            let Layer::Embedding { vocab, .. } = layer else {
                unreachable!()
            };
            *vocab = 0;
        }),
        size("number of tokens", 0, 32768)
    );
    assert_eq!(
        with_header(LSTM, |header| header.layers = Layers::new()).unwrap_err(),
        size("number of layers", 0, MAX_LAYERS)
    );
    assert_eq!(
        with_header(WINDOW, |header| {
            header.shape = Shape::Window {
                window: 4,
                hop: 0,
                exact: true,
            };
        })
        .unwrap_err(),
        size("hop", 0, 1 << 24)
    );
    assert_eq!(
        with_header(LSTM, |header| {
            let Input::Features { count, .. } = &mut header.input else {
                unreachable!()
            };
            *count += 1;
        })
        .unwrap_err(),
        LoadError::Value {
            what: "number of input names",
            index: 0
        }
    );
    assert_eq!(
        with_header(LSTM, |header| {
            header.output = Output::Classes {
                count: 1,
                names: "one",
            };
        })
        .unwrap_err(),
        LoadError::Mismatch {
            layer: Model::from_bytes(LSTM).unwrap().header().layers.len() - 1,
            what: "output width",
            found: Model::from_bytes(LSTM).unwrap().outputs(),
            need: 1
        }
    );
    // One number format for the whole model; a softmax at the end or nowhere.
    assert_eq!(
        with_header(LSTM, |header| {
            let mix = Layer::Dense {
                format: Format::F32,
                inputs: hidden as u16,
                outputs: 1,
                activation: Activation::Identity,
                requant_shift: 0,
                frac: 12,
            };
            insert(header, 1, mix);
        })
        .unwrap_err(),
        LoadError::Value {
            what: "number format of layer",
            index: 1
        }
    );
    assert_eq!(
        with_header(LSTM, |header| {
            let softmax = Layer::Dense {
                format: Format::W8A8,
                inputs: 5,
                outputs: 5,
                activation: Activation::Softmax,
                requant_shift: 0,
                frac: 12,
            };
            insert(header, 0, softmax);
        })
        .unwrap_err(),
        LoadError::Mismatch {
            layer: 0,
            what: "place of a softmax",
            found: 0,
            need: 2
        }
    );
}

#[test]
fn a_bidirectional_model_needs_whole_windows() {
    let shaped = |shape| with_header(BIDIRECTIONAL, |header| header.shape = shape);
    let windows = |window, exact| {
        let hop = 1;
        shaped(Shape::Window { window, hop, exact })
    };
    let shape = LoadError::Value {
        what: "shape of a bidirectional model:",
        index: 0,
    };
    assert_eq!(shaped(Shape::EveryStep), Err(shape));
    assert_eq!(windows(5, false), Err(shape));
    assert_eq!(
        windows(16385, true),
        Err(LoadError::Size {
            what: "window of a bidirectional model",
            found: 16385,
            max: 16384
        })
    );
    let steps = Model::from_bytes(BIDIRECTIONAL)
        .unwrap()
        .header()
        .test
        .steps;
    assert_eq!(
        windows(u32::from(steps) + 1, true),
        Err(LoadError::Value {
            what: "number of test steps:",
            index: steps.into()
        })
    );
    let repeated = with_header(BIDIRECTIONAL, |header| {
        let Layer::Bidirectional { hidden, .. } = header.layers[0] else {
            unreachable!()
        };
        let one_direction = Layer::Recurrent {
            format: Format::W8A8,
            cell: Cell::Lstm,
            inputs: 2 * hidden,
            hidden,
            requant_shift: 0,
            cell_shift: 0,
        };
        insert(header, 1, one_direction);
    });
    assert_eq!(
        repeated,
        Err(LoadError::Value {
            what: "one direction only in layer",
            index: 1
        })
    );
}

#[test]
fn a_mutated_file_with_a_right_checksum_is_refused_or_runs() {
    let mut any = Choices::seeded(0x6b67_6c00);
    let (mut refused, mut ran) = (0, 0);
    for round in 0..20_000 {
        let number = any.below(MODELS.len());
        let mut file = File::new(MODELS[number]);
        mutate(&mut file, &mut any);
        file.sign();
        let Ok(model) = file.load() else {
            refused += 1;
            continue;
        };
        ran += 1;
        let want = drive(&model, &Kernels::SCALAR, round);
        for table in Kernels::available().skip(1) {
            let got = drive(&model, table, round);
            if table.fused() && !model.is_integer() {
                continue;
            }
            assert_eq!(
                got,
                want,
                "{} differs: model {number}, round {round}",
                table.name()
            );
        }
    }
    // Both happen often, else the mutations are of no use.
    println!("{refused} refused, {ran} ran");
    assert!(
        refused > 4_000 && ran > 4_000,
        "{refused} refused, {ran} ran"
    );
}

#[test]
fn a_model_in_memory_of_the_callers_is_the_same() {
    use std::mem::MaybeUninit;
    let mut place = MaybeUninit::uninit();
    for file in MODELS {
        // A file that ends too early leaves the place for the next one.
        let short = &file[..file.len() - 16];
        let error = Model::from_bytes(short).unwrap_err();
        assert_eq!(Model::from_bytes_in(short, &mut place).unwrap_err(), error);
        let model = Model::from_bytes_in(file, &mut place).unwrap();
        let moved = Model::from_bytes(file).unwrap();
        assert_eq!(format!("{model:?}"), format!("{moved:?}"));
    }
}
