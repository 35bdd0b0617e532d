//! Streams stepped together give what they give alone, bit for bit: outputs and states.

use kinglet::format::Input;
use kinglet::kernel::Kernels;
use kinglet::{BindError, Model, State, include_model};

static ALL: [&[u8]; 27] = [
    include_model!("models/lstm_w8a8.kgl"),
    include_model!("models/lstm_w8a16.kgl"),
    include_model!("models/gru_w8a8.kgl"),
    include_model!("models/gru_before_w8a8.kgl"),
    include_model!("models/rnn_relu_w8a8.kgl"),
    include_model!("models/mixed_f32.kgl"),
    include_model!("models/mixed_f16.kgl"),
    include_model!("models/tokens_w8a8.kgl"),
    include_model!("models/encoder_w8a16.kgl"),
    include_model!("models/window_f32.kgl"),
    include_model!("models/lstm_w4a8.kgl"),
    include_model!("models/lstm_each.kgl"),
    include_model!("models/gru_w4a8.kgl"),
    include_model!("models/fastgrnn_w8a8.kgl"),
    include_model!("models/lstm_coupled_w8a8.kgl"),
    include_model!("models/lstm_peephole_w8a8.kgl"),
    include_model!("models/mingru_w8a8.kgl"),
    include_model!("models/mingru_tanh_w8a8.kgl"),
    include_model!("models/gru_relu_w8a8.kgl"),
    include_model!("models/lstm_relu_w8a8.kgl"),
    include_model!("models/lstm_hard_w8a8.kgl"),
    include_model!("models/gru_hard_w8a8.kgl"),
    include_model!("models/gru_hard_before_w8a8.kgl"),
    include_model!("models/mingru_hard_w8a8.kgl"),
    include_model!("models/pooled_w8a8.kgl"),
    include_model!("models/words_w8a8.kgl"),
    include_model!("../../firmware-example/model/pump.kgl"),
];
static LSTM: &[u8] = ALL[0];

type States = Vec<State<2048>>;

fn states(streams: usize) -> States {
    vec![State::new(); streams]
}

/// Readings that differ from stream to stream and step to step; now and then one is missing.
fn reading(stream: usize, step: usize, i: usize) -> f32 {
    match (stream * 31 + step * 7 + i * 3) % 43 {
        42 => f32::NAN,
        n => (n % 11) as f32 * 0.3 - 1.5,
    }
}

/// All samples of a step, one after the other, and the numbers of as many tokens.
fn samples(model: &Model<'_>, streams: usize, step: usize) -> (Vec<f32>, Vec<usize>) {
    let inputs = model.inputs();
    let readings = (0..streams * inputs).map(|n| reading(n / inputs, step, n % inputs));
    // One number more than there are tokens, for what is none.
    let tokens = (0..streams).map(|stream| (stream * 5 + step * 3) % (inputs + 1));
    (readings.collect(), tokens.collect())
}

fn bits(outputs: &[f32]) -> Vec<u32> {
    outputs.iter().map(|y| y.to_bits()).collect()
}

#[test]
fn streams_give_together_what_they_give_alone() {
    for bytes in ALL {
        let model = Model::from_bytes(bytes).unwrap();
        let takes_tokens = matches!(model.header().input, Input::Tokens { .. });
        let name = model.header().name;
        for kernels in Kernels::available() {
            for streams in [0, 1, 2, 3, 5, 16, 17, 35] {
                let (mut together, mut alone) = (states(streams), states(streams));
                let mut y = vec![0.0; streams * model.outputs()];
                let mut want = y.clone();
                for step in 0..8 {
                    let (x, tokens) = samples(&model, streams, step);
                    let mut batch = model.bind_batch(&mut together).unwrap();
                    batch = batch.with_kernels(kernels);
                    match step % 2 {
                        _ if takes_tokens => batch.step_batch_tokens(&tokens, &mut y),
                        0 => batch.step_batch(&x, &mut y),
                        _ => batch.step_batch_raw(&x, &mut y),
                    }
                    for stream in 0..streams {
                        let runner = model.bind(&mut alone[stream]).unwrap();
                        let mut runner = runner.with_kernels(kernels);
                        let x = &x[stream * model.inputs()..][..model.inputs()];
                        let want = &mut want[stream * model.outputs()..][..model.outputs()];
                        match step % 2 {
                            _ if takes_tokens => runner.step_token(tokens[stream], want),
                            0 => runner.step(x, want),
                            _ => runner.step_raw(x, want),
                        }
                        assert_eq!(
                            batch.stream(stream).layer_state(),
                            runner.layer_state(),
                            "{name} {}: stream {stream} of {streams}, step {step}",
                            kernels.name()
                        );
                    }
                    assert_eq!(
                        bits(&y),
                        bits(&want),
                        "{name} {}: {streams} streams, step {step}",
                        kernels.name()
                    );
                }
            }
        }
    }
}

#[test]
fn integer_streams_need_no_float() {
    for bytes in ALL {
        let model = Model::from_bytes(bytes).unwrap();
        if !model.is_integer() || matches!(model.header().input, Input::Tokens { .. }) {
            continue;
        }
        const STREAMS: usize = 19;
        let (mut together, mut alone) = (states(STREAMS), states(STREAMS));
        let mut batch = model.bind_batch(&mut together).unwrap();
        let mut y = vec![0; STREAMS * model.outputs()];
        let mut want = y.clone();
        for step in 0..20 {
            let (x, _) = samples(&model, STREAMS, step);
            let mut q = vec![0; x.len()];
            model.quantize_input(&x, &mut q);
            batch.step_batch_q(&q, &mut y);
            let outputs = want.chunks_exact_mut(model.outputs());
            for ((state, x), want) in alone.iter_mut().zip(q.chunks(model.inputs())).zip(outputs) {
                model.bind(state).unwrap().step_q(x, want);
            }
            assert_eq!(y, want, "{} step {step}", model.header().name);
        }
    }
}

#[test]
fn a_stream_may_leave_and_come_back() {
    let model = Model::from_bytes(LSTM).unwrap();
    let (mut together, mut alone) = (states(5), State::<2048>::new());
    let mut batch = model.bind_batch(&mut together).unwrap();
    assert_eq!(batch.streams(), 5);
    let mut runner = model.bind(&mut alone).unwrap();
    let (mut y, mut want, mut other) = ([0.0; 10], [0.0; 2], [0.0; 2]);
    for step in 0..30 {
        let (x, _) = samples(&model, 5, step);
        if step == 10 {
            batch.stream(3).reset();
            runner.reset();
        }
        if step % 3 == 0 {
            batch.stream(3).step(&x[..5], &mut other);
            runner.step(&x[..5], &mut want);
            assert_eq!(other, want);
        }
        batch.step_batch(&x, &mut y);
        runner.step(&x[15..20], &mut want);
        assert_eq!(y[6..8], want, "step {step}");
    }
    let mut saved = vec![0; model.saved_len()];
    batch.stream(3).save(&mut saved).unwrap();
    batch.stream(0).restore(&saved).unwrap();
    let (x, _) = samples(&model, 1, 99);
    batch.step_batch(&x.repeat(5), &mut y);
    assert_eq!(y[0..2], y[6..8]);
    assert_ne!(y[0..2], y[2..4]);
}

#[test]
fn states_may_lie_anywhere() {
    let model = Model::from_bytes(LSTM).unwrap();
    let (mut a, mut b) = (State::<512>::new(), State::<2048>::new());
    let mut lent: [&mut [u8]; 2] = [a.as_mut(), b.as_mut()];
    let mut batch = model.bind_batch(&mut lent).unwrap();
    let mut y = [0.0; 4];
    batch.step_batch(&[0.25; 10], &mut y);
    assert_eq!(y[..2], y[2..]);
    assert!(y != [0.0; 4]);
}

#[test]
fn every_state_of_a_batch_is_checked() {
    let model = Model::from_bytes(LSTM).unwrap();
    let (mut a, mut b) = (State::<512>::new(), State::<512>::new());
    let need = model.state_len();
    let mut short: [&mut [u8]; 2] = [a.as_mut(), &mut b.as_mut()[..need - 1]];
    assert_eq!(
        model.bind_batch(&mut short).err(),
        Some(BindError::TooSmall {
            need,
            have: need - 1
        })
    );
}

#[test]
#[should_panic(expected = "length of the samples")]
fn a_sample_too_few_is_a_mistake() {
    let model = Model::from_bytes(LSTM).unwrap();
    let mut states = states(3);
    let mut batch = model.bind_batch(&mut states).unwrap();
    batch.step_batch(&[0.0; 10], &mut [0.0; 6]);
}
