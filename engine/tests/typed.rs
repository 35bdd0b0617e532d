//! The typed door gives what the model's door gives.

mod arbitrary;

use arbitrary::{Choices, Spec};
use kinglet::format::{self, packed_rows};
use kinglet::typed::{
    Cell, CortexM0, CortexM4, CortexM55, GruCell, GruState, Layers, Layout, LstmCell, LstmState,
    Numbers, Portable, RnnCell, RnnReluCell, Sigmoid, State, W4A8, W8A8, W8A16,
};
use kinglet::{LoadError, Model, include_model};

static LSTM: &[u8] = include_model!("models/lstm_w8a8.kgl");
static LSTM_A16: &[u8] = include_model!("models/lstm_w8a16.kgl");
static GRU_W4: &[u8] = include_model!("models/gru_w4a8.kgl");
static ENCODER: &[u8] = include_model!("models/encoder_w8a16.kgl");
static DECODER: &[u8] = include_model!("models/decoder_w8a16.kgl");
static GRU: &[u8] = include_model!("models/gru_w8a8.kgl");
static RELU: &[u8] = include_model!("models/rnn_relu_w8a8.kgl");
static TOKENS: &[u8] = include_model!("models/tokens_w8a8.kgl");
static PUMP: &[u8] = include_model!("../../firmware-example/model/pump.kgl");
static PUMP_M4: &[u8] = include_model!("../../firmware-example/model/pump-cortex-m4.kgl");
static PUMP_M55: &[u8] = include_model!("../../firmware-example/model/pump-cortex-m55.kgl");

/// Compares 200 steps of a file with what the model's door gives.
fn same_as_model<const I: usize, const O: usize>(
    bytes: &[u8],
    mut step: impl FnMut(&[i16; I], &mut [i16; O]),
) {
    let model = Model::from_bytes(bytes).unwrap();
    let mut state = kinglet::State::<2048>::new();
    let mut net = model.bind(&mut state).unwrap();
    let mut random = 1u32;
    for number in 0..200 {
        let x = std::array::from_fn(|_| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            // Small samples, which leave gates open, and any at all.
            random as i16 >> if number % 2 == 0 { 8 } else { 0 }
        });
        let (mut found, mut want) = ([0; O], [0; O]);
        net.step_q(&x, &mut want);
        step(&x, &mut found);
        assert_eq!(found, want, "{} step {number}", model.header().name);
    }
}

#[test]
fn an_lstm_and_a_dense_layer_in_every_layout() -> Result<(), LoadError> {
    let mut layers = Layers::<W8A8>::open(LSTM)?;
    let (lstm, dense) = (layers.lstm::<5, 17>()?, layers.dense::<17, 2>()?);
    let (mut state, mut h) = (LstmState::new(), [0; 17]);
    same_as_model(LSTM, |x, y| {
        lstm.step_q(&mut state, x, &mut h);
        dense.apply_q(&h, y);
    });

    let mut layers = Layers::<W8A8>::open(PUMP)?;
    let (lstm, dense) = (layers.lstm::<6, 32>()?, layers.dense::<32, 1>()?);
    let (mut state, mut h) = (LstmState::new(), [0; 32]);
    same_as_model(PUMP, |x, y| {
        lstm.step_q(&mut state, x, &mut h);
        dense.apply_q(&h, y);
    });

    let mut layers = Layers::<W8A8, CortexM4>::open(PUMP_M4)?;
    let (lstm, dense) = (layers.lstm::<6, 32>()?, layers.dense::<32, 1>()?);
    let (mut state, mut h) = (LstmState::new(), [0; 32]);
    same_as_model(PUMP_M4, |x, y| {
        lstm.step_q(&mut state, x, &mut h);
        dense.apply_q(&h, y);
    });

    let mut layers = Layers::<W8A8, CortexM55>::open(PUMP_M55)?;
    let (lstm, dense) = (layers.lstm::<6, 32>()?, layers.dense::<32, 1>()?);
    let (mut state, mut h) = (LstmState::new(), [0; 32]);
    same_as_model(PUMP_M55, |x, y| {
        lstm.step_q(&mut state, x, &mut h);
        dense.apply_q(&h, y);
    });
    Ok(())
}

#[test]
fn two_layers_of_each_format() -> Result<(), LoadError> {
    let mut layers = Layers::<W8A16>::open(LSTM_A16)?;
    let (first, second) = (layers.lstm::<7, 13>()?, layers.lstm::<13, 13>()?);
    let dense = layers.dense::<13, 3>()?;
    let (mut one, mut two) = (LstmState::new(), LstmState::new());
    let (mut h, mut h2) = ([0; 13], [0; 13]);
    same_as_model(LSTM_A16, |x, y| {
        first.step_q(&mut one, x, &mut h);
        second.step_q(&mut two, &h, &mut h2);
        dense.apply_q(&h2, y);
    });

    let mut layers = Layers::<W8A16>::open(ENCODER)?;
    let (first, second) = (layers.lstm::<3, 6>()?, layers.lstm::<6, 6>()?);
    let (mut one, mut two) = (LstmState::new(), LstmState::new());
    let mut h = [0; 6];
    same_as_model(ENCODER, |x, y| {
        first.step_q(&mut one, x, &mut h);
        second.step_q(&mut two, &h, y);
    });

    let mut layers = Layers::<W8A16>::open(DECODER)?;
    let (first, second) = (layers.lstm::<2, 6>()?, layers.lstm::<6, 6>()?);
    let dense = layers.dense::<6, 2>()?;
    let (mut one, mut two) = (LstmState::new(), LstmState::new());
    let (mut h, mut h2) = ([0; 6], [0; 6]);
    same_as_model(DECODER, |x, y| {
        first.step_q(&mut one, x, &mut h);
        second.step_q(&mut two, &h, &mut h2);
        dense.apply_q(&h2, y);
    });

    let mut layers = Layers::<W8A8>::open(GRU)?;
    let (first, second) = (layers.gru::<7, 13>()?, layers.gru::<13, 13>()?);
    let dense = layers.dense::<13, 3>()?;
    let (mut one, mut two) = (GruState::new(), GruState::new());
    let (mut h, mut h2) = ([0; 13], [0; 13]);
    same_as_model(GRU, |x, y| {
        first.step_q(&mut one, x, &mut h);
        second.step_q(&mut two, &h, &mut h2);
        dense.apply_q(&h2, y);
    });

    let mut layers = Layers::<W4A8>::open(GRU_W4)?;
    let (first, second) = (layers.gru::<7, 13>()?, layers.gru::<13, 13>()?);
    let dense = layers.dense::<13, 3>()?;
    let (mut one, mut two) = (GruState::new(), GruState::new());
    let (mut h, mut h2) = ([0; 13], [0; 13]);
    same_as_model(GRU_W4, |x, y| {
        first.step_q(&mut one, x, &mut h);
        second.step_q(&mut two, &h, &mut h2);
        dense.apply_q(&h2, y);
    });

    let mut layers = Layers::<W8A8>::open(RELU)?;
    let first = layers.recurrent::<RnnReluCell, 7, 13>()?;
    let second = layers.recurrent::<RnnReluCell, 13, 13>()?;
    let dense = layers.dense::<13, 3>()?;
    let (mut one, mut two) = (State::new(), State::new());
    let (mut h, mut h2) = ([0; 13], [0; 13]);
    same_as_model(RELU, |x, y| {
        first.step_q(&mut one, x, &mut h);
        second.step_q(&mut two, &h, &mut h2);
        dense.apply_q(&h2, y);
    });
    Ok(())
}

/// A layer of `H` units over `I` inputs with random weights, and two outputs, by both doors.
fn same_as_random<C: Cell, F: Numbers, L: Layout, const I: usize, const H: usize>() {
    let packed =
        L::LAYOUT == format::Layout::CortexM4 && packed_rows(C::CELL, F::FORMAT, I, H).is_some();
    let requant_shift = if packed && F::FORMAT.is_a8() { 8 } else { 0 };
    let recurrent = format::Layer::Recurrent {
        format: F::FORMAT,
        cell: C::CELL,
        inputs: I as u16,
        hidden: H as u16,
        requant_shift,
        cell_shift: 1,
    };
    let dense = format::Layer::Dense {
        format: F::FORMAT,
        inputs: H as u16,
        outputs: 2,
        activation: format::Activation::Identity,
        requant_shift: 3,
        frac: 10,
    };
    let spec = Spec::plain(L::LAYOUT, &[recurrent, dense]);
    let file = spec.build(&mut Choices::seeded(7));
    let mut layers = Layers::<F, L>::open(file.view()).unwrap();
    let recurrent = layers.recurrent::<C, I, H>().unwrap();
    let dense = layers.dense::<H, 2>().unwrap();
    let (mut state, mut h) = (State::<C, H, F>::new(), [0; H]);
    same_as_model(file.view(), |x, y| {
        recurrent.step_q(&mut state, x, &mut h);
        dense.apply_q(&h, y);
    });
}

#[test]
fn every_cell_format_and_layout() {
    // Whole blocks: random weights give a meaning to columns of padding.
    macro_rules! all {
        ($($cell:ident)*) => {$(
            all!($cell: W8A8 W8A16 W4A8);
        )*};
        ($cell:ident: $($format:ident)*) => {$(
            same_as_random::<$cell, $format, Portable, 8, 16>();
            same_as_random::<$cell, $format, CortexM4, 8, 16>();
            same_as_random::<$cell, $format, CortexM55, 16, 8>();
            same_as_random::<$cell, $format, CortexM0, 16, 8>();
        )*};
    }
    all!(LstmCell GruCell RnnCell RnnReluCell);
}

#[test]
fn what_is_not_in_the_file_is_named() {
    fn portable<T>(
        bytes: &'static [u8],
        layer: impl Fn(&mut Layers<'static, W8A8, Portable>) -> Result<T, LoadError>,
    ) -> String {
        let mut layers = Layers::open(bytes).unwrap();
        match layer(&mut layers) {
            Ok(_) => String::new(),
            Err(e) => e.to_string(),
        }
    }
    let lstm = |bytes| portable(bytes, |layers| layers.lstm::<5, 17>());
    assert_eq!(lstm(LSTM), "");
    assert_eq!(lstm(GRU), "layer 0: cell is gru, lstm was asked for");
    assert_eq!(
        lstm(LSTM_A16),
        "layer 0: format is w8a16, w8a8 was asked for"
    );
    assert_eq!(
        lstm(TOKENS),
        "layer 0: kind is embedding, lstm was asked for"
    );
    assert_eq!(lstm(PUMP), "layer 0: input width is 6, 5 would fit");
    let layout = "layer 0: layout is cortex-m4, portable was asked for";
    assert_eq!(lstm(PUMP_M4), layout);
    let hidden = portable(LSTM, |layers| layers.lstm::<5, 16>());
    assert_eq!(hidden, "layer 0: hidden size is 17, 16 would fit");
    let dense = portable(LSTM, |layers| layers.dense::<17, 2>());
    assert_eq!(dense, "layer 0: kind is recurrent, dense was asked for");
    let sigmoid = portable(LSTM, |layers| {
        layers.lstm::<5, 17>()?;
        layers.dense_with::<Sigmoid, 17, 2>()
    });
    assert_eq!(
        sigmoid,
        "layer 1: activation is identity, sigmoid was asked for"
    );
    let third = portable(LSTM, |layers| {
        layers.lstm::<5, 17>()?;
        layers.dense::<17, 2>()?;
        layers.dense::<2, 2>()
    });
    assert_eq!(third, "layer 2: number of layers is 2, 3 would fit");
}

#[test]
fn damage_is_found_when_a_file_is_opened() {
    let mut bytes = LSTM.to_vec();
    let len = bytes.len();
    bytes.resize(len + 16, 0);
    let start = bytes.as_ptr().align_offset(16);
    for at in (0..len).step_by(7) {
        let bytes = &mut bytes[start..start + len];
        bytes.copy_from_slice(LSTM);
        bytes[at] ^= 1;
        assert!(Layers::<W8A8>::open(bytes).is_err(), "byte {at}");
    }
}

#[test]
fn a_state_is_small() {
    assert!(size_of::<LstmState<32>>() <= 212);
    assert!(size_of::<GruState<32>>() <= 212);
}
