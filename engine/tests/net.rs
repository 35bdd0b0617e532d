//! What the compiler loads gives what is loaded at run time.

use kinglet::kernel::Kernels;
use kinglet::{
    Embedded, Model, Net, Runner, SlidingWindow, State, include_model, state_len, window_len,
};

/// A type for each file.
macro_rules! models {
    ($($name:ident $path:literal;)*) => {$(
        struct $name;

        impl Embedded for $name {
            const FILE: &'static [u8] = include_model!($path);
            type State = State<{ state_len(Self::FILE) }>;
        }
    )*};
}

models! {
    Lstm "models/lstm_w8a8.kgl";
    LstmA16 "models/lstm_w8a16.kgl";
    LstmW4 "models/lstm_w4a8.kgl";
    LstmEach "models/lstm_each.kgl";
    Coupled "models/lstm_coupled_w8a8.kgl";
    Peephole "models/lstm_peephole_w8a8.kgl";
    Gru "models/gru_w8a8.kgl";
    GruW4 "models/gru_w4a8.kgl";
    GruM55 "models/gru_m55_w8a8.kgl";
    GruBefore "models/gru_before_w8a8.kgl";
    GruBeforeW4 "models/gru_before_w4a8.kgl";
    GruRelu "models/gru_relu_w8a8.kgl";
    LstmRelu "models/lstm_relu_w8a8.kgl";
    LstmHard "models/lstm_hard_w8a8.kgl";
    GruHard "models/gru_hard_w8a8.kgl";
    GruHardBefore "models/gru_hard_before_w8a8.kgl";
    MinGruHard "models/mingru_hard_w8a8.kgl";
    Pooled "models/pooled_w8a8.kgl";
    FastGrnn "models/fastgrnn_w8a8.kgl";
    MinGru "models/mingru_w8a8.kgl";
    MinGruTanh "models/mingru_tanh_w8a8.kgl";
    Relu "models/rnn_relu_w8a8.kgl";
    Encoder "models/encoder_w8a16.kgl";
    Decoder "models/decoder_w8a16.kgl";
    MixedF16 "models/mixed_f16.kgl";
    MixedF32 "models/mixed_f32.kgl";
    WindowF32 "models/window_f32.kgl";
    Tokens "models/tokens_w8a8.kgl";
    TokensW4 "models/tokens_w4a8.kgl";
    Words "models/words_w8a8.kgl";
    Pump "../../firmware-example/model/pump.kgl";
    PumpM4 "../../firmware-example/model/pump-cortex-m4.kgl";
    PumpM55 "../../firmware-example/model/pump-cortex-m55.kgl";
}

/// xorshift32 (Marsaglia 2003).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// Calls `step` 200 times with what it compares, a runner of the same file.
fn beside<M: Embedded>(mut step: impl FnMut(&mut Net<M>, &mut Runner<'_, '_>, &mut Random)) {
    let model = Model::from_bytes(M::FILE).unwrap();
    let mut bytes = [State::<8192>::new()];
    let mut runner = model.bind(&mut bytes[0]).unwrap();
    let mut net = Net::<M>::new();
    let mut random = Random(1);
    for number in 0..200 {
        step(&mut net, &mut runner, &mut random);
        let name = model.header().name;
        assert_eq!(
            net.layer_state(),
            runner.layer_state(),
            "{name} step {number}"
        );
        if number == 150 {
            net.reset();
            runner.reset();
        }
    }
    let mut saved = vec![0; Net::<M>::SAVED];
    net.save(&mut saved).unwrap();
    runner.reset();
    runner.restore(&saved).unwrap();
    assert_eq!(net.layer_state(), runner.layer_state());
}

/// Small samples, which leave gates open, and any at all.
fn integers<const I: usize>(random: &mut Random) -> [i16; I] {
    let shift = if random.next() & 1 == 0 { 8 } else { 0 };
    std::array::from_fn(|_| random.next() as i16 >> shift)
}

fn step_q<M: Embedded, const I: usize, const O: usize>() {
    beside::<M>(|net, runner, random| {
        let x = integers::<I>(random);
        let (mut found, mut want) = ([0; O], [0; O]);
        net.step_q(&x, &mut found);
        runner.step_q(&x, &mut want);
        assert_eq!(found, want);
    });
}

fn step<M: Embedded, const I: usize, const O: usize>() {
    beside::<M>(|net, runner, random| {
        let x: [f32; I] = std::array::from_fn(|_| match random.next() {
            n if n % 16 == 0 => f32::NAN,
            n => (n % 2000) as f32 / 1000.0 + 0.001,
        });
        let (mut found, mut want) = ([0.0; O], [0.0; O]);
        net.step(&x, &mut found);
        runner.step(&x, &mut want);
        assert_eq!(found.map(f32::to_bits), want.map(f32::to_bits));
    });
}

fn step_token<M: Embedded, const O: usize>() {
    beside::<M>(|net, runner, random| {
        // A number that is no token, too.
        let token = random.next() as usize % (Net::<M>::INPUTS + 2);
        let (mut found, mut want) = ([0.0; O], [0.0; O]);
        net.step_token(token, &mut found);
        runner.step_token(token, &mut want);
        assert_eq!(found, want);
    });
}

#[test]
fn every_cell_and_layout_in_integers() {
    step_q::<Lstm, 5, 2>();
    step_q::<LstmA16, 7, 3>();
    step_q::<LstmW4, 7, 3>();
    step_q::<Coupled, 3, 8>();
    step_q::<Peephole, 3, 8>();
    step_q::<Gru, 7, 3>();
    step_q::<GruW4, 7, 3>();
    step_q::<GruM55, 7, 3>();
    step_q::<GruBefore, 7, 3>();
    step_q::<GruBeforeW4, 5, 2>();
    step_q::<GruRelu, 3, 8>();
    step_q::<LstmRelu, 3, 8>();
    step_q::<LstmHard, 3, 8>();
    step_q::<GruHard, 3, 8>();
    step_q::<GruHardBefore, 3, 8>();
    step_q::<MinGruHard, 3, 8>();
    step_q::<Pooled, 7, 3>();
    step_q::<FastGrnn, 3, 8>();
    step_q::<MinGru, 3, 8>();
    step_q::<MinGruTanh, 3, 8>();
    step_q::<Relu, 7, 3>();
    step_q::<Encoder, 3, 6>();
    step_q::<Decoder, 2, 2>();
    step_q::<Pump, 6, 1>();
    step_q::<PumpM4, 6, 1>();
    step_q::<PumpM55, 6, 1>();
}

#[test]
fn raw_samples_with_gaps() {
    step::<Lstm, 5, 2>();
    step::<LstmEach, 7, 3>();
    step::<Pump, 6, 1>();
    step::<MixedF16, 3, 2>();
    step::<MixedF32, 3, 2>();
    step::<WindowF32, 1, 1>();
}

#[test]
fn tokens() {
    step_token::<Tokens, 4>();
    step_token::<TokensW4, 4>();
    step_token::<Words, 4>();
}

#[test]
fn windows() {
    const FLOATS: usize = window_len(WindowF32::FILE);
    let model = Net::<WindowF32>::model();
    let mut state = State::<{ state_len(WindowF32::FILE) }>::new();
    let mut runner = model.bind(&mut state).unwrap();
    let mut net = Net::<WindowF32>::new();
    let shape = model.header().shape;
    let windows = || SlidingWindow::new(shape, model.inputs(), [0.0; FLOATS]).unwrap();
    let (mut of_net, mut of_runner) = (windows(), windows());
    let mut ended = 0;
    for step in 0..60 {
        let x = [(step % 7) as f32 / 7.0];
        let (mut found, mut want) = ([0.0], [0.0]);
        let now = of_net.push(&mut net, &x, &mut found);
        assert_eq!(now, of_runner.push(&mut runner, &x, &mut want));
        assert_eq!(found, want, "step {step}");
        ended += now as u32;
    }
    assert!(ended > 2, "{ended} windows");
}

#[test]
fn a_model_that_the_compiler_loaded_is_a_model() {
    let model = Net::<Pump>::model();
    let mut state = State::<{ state_len(Pump::FILE) }>::new();
    let mut runner = model.bind(&mut state).unwrap();
    for kernels in Kernels::available() {
        runner = runner.with_kernels(kernels);
        model.self_test(&mut runner).unwrap();
    }
    assert_eq!(size_of::<Net<Pump>>(), state_len(Pump::FILE));
}
