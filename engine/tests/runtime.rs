//! The engine as a user meets it, on small model files that a test of the trainer keeps current.

use kinglet::format::{Layer, Shape};
use kinglet::kernel::Kernels;
use kinglet::{
    BindError, Digest, LoadError, Model, Runner, SlidingWindow, State, StateError, argmax,
    include_model, state_len,
};

static LSTM: &[u8] = include_model!("models/lstm_w8a8.kgl");
static WINDOW: &[u8] = include_model!("models/window_f32.kgl");
static TOKENS: &[u8] = include_model!("models/tokens_w8a8.kgl");
static ENCODER: &[u8] = include_model!("models/encoder_w8a16.kgl");
static DECODER: &[u8] = include_model!("models/decoder_w8a16.kgl");

static ALL: [&[u8]; 17] = [
    LSTM,
    WINDOW,
    TOKENS,
    ENCODER,
    DECODER,
    include_model!("models/lstm_w8a16.kgl"),
    include_model!("models/gru_w8a8.kgl"),
    include_model!("models/gru_before_w8a8.kgl"),
    include_model!("models/gru_m55_w8a8.kgl"),
    include_model!("models/rnn_relu_w8a8.kgl"),
    include_model!("models/lstm_w4a8.kgl"),
    include_model!("models/lstm_each.kgl"),
    include_model!("models/gru_w4a8.kgl"),
    include_model!("models/gru_before_w4a8.kgl"),
    include_model!("models/tokens_w4a8.kgl"),
    include_model!("models/mixed_f32.kgl"),
    include_model!("models/mixed_f16.kgl"),
];

/// A sample that differs from step to step.
fn sample(step: usize, x: &mut [f32]) {
    for (i, x) in x.iter_mut().enumerate() {
        *x = ((step * 7 + i * 3) % 11) as f32 * 0.3 - 1.5;
    }
}

fn steps(runner: &mut Runner<'_, '_>, range: std::ops::Range<usize>) -> Vec<Vec<f32>> {
    let mut x = vec![0.0; runner.model().inputs()];
    let mut y = vec![0.0; runner.model().outputs()];
    range
        .map(|step| {
            sample(step, &mut x);
            runner.step(&x, &mut y);
            y.clone()
        })
        .collect()
}

#[test]
fn every_model_passes_its_own_test_with_every_table() {
    for bytes in ALL {
        let model = Model::from_bytes(bytes).unwrap();
        for kernels in Kernels::available() {
            let mut state = State::<2048>::new();
            let mut runner = model.bind(&mut state).unwrap().with_kernels(kernels);
            let digest = model.self_test(&mut runner);
            let digest = digest.map(Digest::value);
            let same = digest == Ok(model.header().test.digest);
            // Floats of a fused table are right but for rounding.
            let rounds = kernels.fused() && !model.is_integer() && digest.is_ok();
            assert!(
                same || rounds,
                "{} {} with {}: {digest:?}",
                model.header().name,
                model.format().name(),
                kernels.name()
            );
        }
    }
}

#[test]
fn a_state_has_the_size_known_at_compile_time() {
    let model = Model::from_bytes(LSTM).unwrap();
    let mut state = State::<{ state_len(LSTM) }>::new();
    assert_eq!(size_of_val(&state), model.state_len().next_multiple_of(16));
    assert!(model.bind(&mut state).is_ok());
    let mut small = State::<{ state_len(LSTM) - 16 }>::new();
    let (need, have) = (model.state_len(), model.state_len() - 16);
    assert_eq!(
        model.bind(&mut small).err(),
        Some(BindError::TooSmall { need, have })
    );
}

#[test]
fn a_state_may_live_in_a_static() {
    use std::sync::Mutex;
    static STATE: Mutex<State<{ state_len(LSTM) }>> = Mutex::new(State::new());
    let model = Model::from_bytes(LSTM).unwrap();
    let mut state = STATE.lock().unwrap();
    let mut runner = model.bind(&mut state).unwrap();
    let first = steps(&mut runner, 0..3);
    // A state that was bound before goes on where it was.
    let mut runner = model.bind(&mut state).unwrap();
    let rest = steps(&mut runner, 3..6);
    runner.reset();
    assert_eq!([first, rest].concat(), steps(&mut runner, 0..6));
}

#[test]
fn streams_that_share_a_model_do_not_touch_each_other() {
    let model = Model::from_bytes(LSTM).unwrap();
    let (mut a, mut b) = (State::<512>::new(), State::<512>::new());
    let alone = steps(&mut model.bind(&mut State::<512>::new()).unwrap(), 0..20);
    let (mut a, mut b) = (model.bind(&mut a).unwrap(), model.bind(&mut b).unwrap());
    for (step, alone) in alone.iter().enumerate() {
        assert_eq!(steps(&mut a, step..step + 1)[0], *alone);
        steps(&mut b, 5 * step..5 * step + 1);
    }
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    for bytes in [LSTM, WINDOW] {
        let model = Model::from_bytes(bytes).unwrap();
        let mut state = State::<512>::new();
        let mut runner = model.bind(&mut state).unwrap();
        let whole = steps(&mut runner, 1..30);
        runner.reset();
        steps(&mut runner, 1..15);
        let mut saved = [0; 512];
        let len = runner.save(&mut saved).unwrap();
        assert_eq!(len, model.saved_len());

        let mut other = State::<512>::new();
        let mut runner = model.bind(&mut other).unwrap();
        runner.restore(&saved[..len]).unwrap();
        assert_eq!(steps(&mut runner, 15..30), whole[14..]);
    }
}

#[test]
fn a_state_of_another_model_is_refused_and_changes_nothing() {
    let (one, other) = (
        Model::from_bytes(LSTM).unwrap(),
        Model::from_bytes(WINDOW).unwrap(),
    );
    let mut saved = [0; 512];
    let len = one
        .bind(&mut State::<512>::new())
        .unwrap()
        .save(&mut saved)
        .unwrap();
    let mut state = State::<512>::new();
    let mut runner = other.bind(&mut state).unwrap();
    let (saved_crc, this) = (one.preamble().crc, other.preamble().crc);
    let refused = runner.restore(&saved[..len]);
    assert_eq!(
        refused,
        Err(StateError::OtherModel {
            saved: saved_crc,
            this
        })
    );
    assert_eq!(runner.restore(&saved[1..]), Err(StateError::NotAState));
    assert!(matches!(
        runner.restore(&saved[..6]),
        Err(StateError::Length { have: 6, .. })
    ));
    assert!(matches!(
        runner.save(&mut [0; 4]),
        Err(StateError::Length { have: 4, .. })
    ));
    assert!(runner.layer_state().iter().all(|&byte| byte == 0));
}

/// A saved state of a model, after some steps.
fn saved_state(model: &Model<'_>) -> Vec<u8> {
    let mut state = State::<2048>::new();
    let mut runner = model.bind(&mut state).unwrap();
    steps(&mut runner, 1..9);
    let mut saved = vec![0; model.saved_len()];
    assert_eq!(runner.save(&mut saved), Ok(saved.len()));
    saved
}

#[test]
fn a_changed_bit_in_a_saved_state_is_refused_and_changes_nothing() {
    for bytes in [LSTM, WINDOW] {
        let model = Model::from_bytes(bytes).unwrap();
        let saved = saved_state(&model);
        let mut state = State::<512>::new();
        let mut runner = model.bind(&mut state).unwrap();
        for bit in 0..8 * saved.len() {
            let mut changed = saved.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let refused = runner.restore(&changed).unwrap_err();
            let named = match bit / 8 {
                0..4 => matches!(refused, StateError::NotAState),
                _ => matches!(refused, StateError::Checksum { .. }),
            };
            assert!(named, "bit {bit}: {refused}");
        }
        for len in 0..saved.len() {
            assert!(runner.restore(&saved[..len]).is_err(), "{len} bytes");
        }
        assert!(matches!(
            runner.restore(&[&saved[..], &[0]].concat()),
            Err(StateError::Length { .. })
        ));
        assert!(runner.layer_state().iter().all(|&byte| byte == 0));
    }
}

#[test]
fn a_changed_bit_in_a_saved_window_is_refused() {
    static BIDIRECTIONAL: &[u8] = include_model!("models/bidirectional_w8a8.kgl");
    let model = Model::from_bytes(BIDIRECTIONAL).unwrap();
    let mut state = State::<{ state_len(BIDIRECTIONAL) }>::new();
    let mut runner = model.bind_window(&mut state).unwrap();
    let (window, inputs) = (runner.window(), model.inputs());
    // Windows that do not overlap are kept by the runner.
    let shape = Shape::Window {
        window: window as u32,
        hop: window as u32,
        exact: true,
    };
    let windows = || SlidingWindow::new(shape, inputs, [0.0; 0]).unwrap();
    let mut first = windows();
    let mut output = vec![0.0; model.outputs()];
    let mut x = vec![0.0; inputs];
    for step in 0..window - 1 {
        sample(step, &mut x);
        assert!(!first.push(&mut runner, &x, &mut output));
    }
    let first_place = first.place();
    let mut saved = vec![0; runner.saved_len()];
    assert_eq!(runner.save(&mut saved), Ok(saved.len()));
    let mut state = State::<{ state_len(BIDIRECTIONAL) }>::new();
    let mut other = model.bind_window(&mut state).unwrap();
    for bit in 0..8 * saved.len() {
        let mut changed = saved.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(other.restore(&changed).is_err(), "bit {bit}");
    }
    assert_eq!(other.restore(&saved), Ok(()));
    sample(window, &mut x);
    let mut same = output.clone();
    assert!(first.push(&mut runner, &x, &mut output));
    let mut second = windows();
    assert!(second.restore(first_place, &[]));
    assert!(second.push(&mut other, &x, &mut same));
    assert_eq!(output, same);
}

/// The same saved state with another word and a right checksum, as whoever edits it would write it.
fn with_word(saved: &[u8], at: usize, word: f32) -> Vec<u8> {
    let mut saved = saved.to_vec();
    saved[at..at + 4].copy_from_slice(&word.to_le_bytes());
    let crc = kinglet::format::crc32(&[&saved[..8], &saved[12..]].concat());
    saved[8..12].copy_from_slice(&crc.to_le_bytes());
    saved
}

#[test]
fn a_state_that_is_no_number_is_neither_saved_nor_restored() {
    let model = Model::from_bytes(WINDOW).unwrap();
    let mut saved = saved_state(&model);
    let last = saved.len() - 4;
    let index = model
        .bind(&mut State::<512>::new())
        .unwrap()
        .layer_state()
        .len()
        / 4
        - 1;
    let mut state = State::<512>::new();
    let mut runner = model.bind(&mut state).unwrap();
    for number in [f32::NAN, -f32::NAN] {
        assert_eq!(
            runner.restore(&with_word(&saved, last, number)),
            Err(StateError::NotANumber { index })
        );
    }
    assert_eq!(runner.restore(&with_word(&saved, last, 0.25)), Ok(()));
    // A previous sample may be missing.
    assert_eq!(runner.restore(&with_word(&saved, 16, f32::NAN)), Ok(()));
    let persistent = model.persistent_len();
    state.as_mut()[persistent - 4..persistent].copy_from_slice(&f32::NAN.to_le_bytes());
    let runner = model.bind(&mut state).unwrap();
    assert_eq!(
        runner.save(&mut saved),
        Err(StateError::NotANumber { index })
    );
}

#[test]
fn the_state_of_a_model_with_other_layers_is_not_bound() {
    let models = ALL.map(|bytes| Model::from_bytes(bytes).unwrap());
    let recurrent = |model: &Model<'_>| -> Vec<String> {
        let layers = model.header().layers.iter();
        layers
            .filter_map(|layer| match *layer {
                Layer::Recurrent {
                    format,
                    cell,
                    inputs,
                    hidden,
                    ..
                } => Some(format!("{format:?} {cell:?} {inputs} {hidden}")),
                _ => None,
            })
            .collect()
    };
    let mut refused = 0;
    for one in &models {
        for other in &models {
            let mut state = State::<2048>::new();
            let mut net = one.bind(&mut state).unwrap();
            // Scratch and states that are not zero.
            let (tokens, mut y) = (one.features().is_empty(), vec![0.0; one.outputs()]);
            for _ in 0..3 {
                match tokens {
                    true => net.step_token(1, &mut y),
                    false => net.step(&vec![0.7; one.inputs()], &mut y),
                }
            }
            // Its own state is taken again, and a state made anew by anyone.
            assert!(one.bind(&mut state).is_ok());
            let bound = other.bind(&mut state).map(|_| ());
            if recurrent(one) == recurrent(other) {
                assert_eq!(bound, Ok(()), "{}", one.header().name);
            } else {
                refused += 1;
                let names = (one.header().name, other.header().name);
                assert_eq!(bound, Err(BindError::OtherModel), "{names:?}");
            }
            state.as_mut().fill(0);
            assert!(other.bind(&mut state).is_ok());
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn integer_steps_are_the_float_door_without_the_floats() {
    let model = Model::from_bytes(LSTM).unwrap();
    let (mut a, mut b) = (State::<512>::new(), State::<512>::new());
    let (mut a, mut b) = (model.bind(&mut a).unwrap(), model.bind(&mut b).unwrap());
    let (mut x, mut y) = ([0.0; 5], [0.0; 2]);
    let (mut xq, mut yq) = ([0; 5], [0; 2]);
    for step in 0..50 {
        sample(step, &mut x);
        a.step_raw(&x, &mut y);
        model.quantize_input(&x, &mut xq);
        b.step_q(&xq, &mut yq);
        let lsb = 2f32.powi(-i32::from(model.output_frac()));
        assert_eq!(y, yq.map(|q| f32::from(q) * lsb), "step {step}");
    }
    assert_eq!(a.layer_state(), b.layer_state());
}

#[test]
fn values_that_are_not_finite_enter_as_the_middle_of_their_column() {
    let model = Model::from_bytes(LSTM).unwrap();
    let (mut a, mut b) = (State::<512>::new(), State::<512>::new());
    let (mut a, mut b) = (model.bind(&mut a).unwrap(), model.bind(&mut b).unwrap());
    let (mut y, mut z) = ([0.0; 2], [0.0; 2]);
    a.step(
        &[f32::NAN, 1.0, f32::INFINITY, 0.5, f32::NEG_INFINITY],
        &mut y,
    );
    b.step(&[0.0, 1.0, 0.0, 0.5, 0.0], &mut z);
    assert_eq!(y, z);
}

/// A window's output, by hand: a reset and its samples.
fn window_by_hand(model: &Model<'_>, prices: &[f32]) -> f32 {
    let mut state = State::<512>::new();
    let mut runner = model.bind(&mut state).unwrap();
    let mut y = [0.0];
    for price in prices {
        runner.step(&[*price], &mut y);
    }
    y[0]
}

/// Where windows of this shape end, and their outputs.
fn windows(shape: Shape, prices: &[f32]) -> Vec<(usize, f32)> {
    let model = Model::from_bytes(WINDOW).unwrap();
    let mut kept = vec![0.0; SlidingWindow::needed(shape, 1)];
    let mut windows = SlidingWindow::new(shape, 1, &mut kept[..]).unwrap();
    let mut state = State::<512>::new();
    let mut runner = model.bind(&mut state).unwrap();
    let mut y = [0.0];
    let mut take = |price: &f32| windows.push(&mut runner, &[*price], &mut y).then_some(y[0]);
    let outputs = prices.iter().map(&mut take).enumerate();
    outputs.filter_map(|(at, y)| Some((at, y?))).collect()
}

#[test]
fn an_exact_window_is_a_reset_and_its_samples() {
    let model = Model::from_bytes(WINDOW).unwrap();
    let file_shape = model.header().shape;
    assert_eq!(SlidingWindow::needed(file_shape, 1), 4);
    assert!(SlidingWindow::new(file_shape, 1, [0.0; 3]).is_err());
    let prices: Vec<f32> = (0..20).map(|i| 100.0 + ((i * 5) % 7) as f32).collect();
    for (hop, ends) in [
        (2, vec![3, 5, 7, 9, 11, 13, 15, 17, 19]),
        (4, vec![3, 7, 11, 15, 19]),
        (7, vec![3, 10, 17]),
    ] {
        let shape = Shape::Window {
            window: 4,
            hop,
            exact: true,
        };
        let found = windows(shape, &prices);
        let by_hand: Vec<(usize, f32)> = ends
            .into_iter()
            .map(|at| (at, window_by_hand(&model, &prices[at - 3..=at])))
            .collect();
        assert_eq!(found, by_hand, "hop {hop}");
    }
}

#[test]
fn a_running_window_only_says_when_to_look() {
    let model = Model::from_bytes(WINDOW).unwrap();
    let prices: Vec<f32> = (0..20).map(|i| 100.0 + ((i * 5) % 7) as f32).collect();
    let shape = Shape::Window {
        window: 4,
        hop: 3,
        exact: false,
    };
    let by_hand: Vec<(usize, f32)> = [3, 6, 9, 12, 15, 18]
        .into_iter()
        .map(|at| (at, window_by_hand(&model, &prices[..=at])))
        .collect();
    assert_eq!(windows(shape, &prices), by_hand);
}

#[test]
fn a_forecast_feeds_its_outputs_back() {
    let model = Model::from_bytes(WINDOW).unwrap();
    let mut state = State::<512>::new();
    let mut runner = model.bind(&mut state).unwrap();
    let (mut x, mut y) = ([100.0], [0.0]);
    let mut forecast = Vec::new();
    runner.forecast(&mut x, &mut y, 5, |_, y| forecast.push(y[0]));
    assert_eq!(x[0], forecast[4]);

    runner.reset();
    let mut now = 100.0;
    for predicted in forecast {
        runner.step(&[now], &mut y);
        assert_eq!(y[0], predicted);
        now = predicted;
    }
}

#[test]
fn generation_feeds_the_chosen_tokens_back() {
    let model = Model::from_bytes(TOKENS).unwrap();
    let mut state = State::<512>::new();
    let mut runner = model.bind(&mut state).unwrap();
    let mut scores = [0.0; 4];
    let mut chosen = Vec::new();
    runner.generate(2, &mut scores, 10, |scores| {
        assert!(
            (scores.iter().sum::<f32>() - 1.0).abs() < 1e-3,
            "{scores:?}"
        );
        chosen.push(argmax(scores));
        argmax(scores)
    });
    runner.reset();
    let mut token = 2;
    for next in chosen {
        runner.step_token(token, &mut scores);
        assert_eq!(argmax(&scores), next);
        token = next;
    }
    assert_eq!(model.token("3"), Some(3));
    assert_eq!(model.token("9"), None);
    // What is no token enters as a vector of zeros: an answer, not a panic.
    runner.step_token(1000, &mut scores);
    assert!(
        (scores.iter().sum::<f32>() - 1.0).abs() < 1e-3,
        "{scores:?}"
    );
}

#[test]
fn a_decoder_starts_from_its_encoder() {
    let (encoder, decoder) = (
        Model::from_bytes(ENCODER).unwrap(),
        Model::from_bytes(DECODER).unwrap(),
    );
    let (mut e, mut d) = (State::<1024>::new(), State::<1024>::new());
    let mut e = encoder.bind(&mut e).unwrap();
    let mut d = decoder.bind(&mut d).unwrap();
    steps(&mut e, 0..12);
    d.seed_from(&e).unwrap();
    assert_eq!(d.layer_state(), e.layer_state());

    let other = Model::from_bytes(LSTM).unwrap();
    let mut other_state = State::<512>::new();
    let mut other = other.bind(&mut other_state).unwrap();
    assert_eq!(other.seed_from(&e), Err(StateError::Layer { index: 0 }));
}

#[test]
fn a_damaged_file_is_refused_with_the_numbers() {
    #[repr(align(16))]
    struct Copy([u8; 8192]);
    let mut copy = Copy([0; 8192]);
    copy.0[..LSTM.len()].copy_from_slice(LSTM);
    let len = LSTM.len();
    assert!(Model::from_bytes(&copy.0[..len]).is_ok());
    for cut in 0..len {
        assert!(Model::from_bytes(&copy.0[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(
        Model::from_bytes(&copy.0[..len - 1]).unwrap_err(),
        LoadError::Truncated {
            need: len,
            have: len - 1
        }
    );
    assert_eq!(
        Model::from_bytes(&copy.0[..len + 2]).unwrap_err(),
        LoadError::TrailingBytes {
            need: len,
            have: len + 2
        }
    );
    for byte in 0..len {
        copy.0[byte] ^= 1 << (byte % 8);
        assert!(
            Model::from_bytes(&copy.0[..len]).is_err(),
            "bit flipped in byte {byte}"
        );
        copy.0[byte] ^= 1 << (byte % 8);
    }
    copy.0.copy_within(..len, 4);
    assert_eq!(
        Model::from_bytes(&copy.0[4..len + 4]).unwrap_err(),
        LoadError::Misaligned {
            need: 16,
            remainder: 4
        }
    );
}

#[test]
fn integer_readings_need_no_float() {
    static PUMP: &[u8] = include_model!("../../firmware-example/model/pump.kgl");
    let model = Model::from_bytes(PUMP).unwrap();
    let (mut a, mut b) = (State::<512>::new(), State::<512>::new());
    let (mut a, mut b) = (model.bind(&mut a).unwrap(), model.bind(&mut b).unwrap());
    // Readings in hundredths of a unit.
    let inputs: Vec<_> = (0..6)
        .map(|i| model.input_affine(i, 0.01).unwrap())
        .collect();
    let output = model.output_affine(0, 0.001).unwrap();
    for step in 0..200 {
        let readings: [i32; 6] = std::array::from_fn(|i| {
            [6000, 1500, 7000, 400, 220, 4100][i] + (step * (i as i32 + 3)) % 97
        });
        let (mut y, mut q) = ([0.0], [0]);
        a.step(&readings.map(|r| r as f32 * 0.01), &mut y);
        let x: [i16; 6] = std::array::from_fn(|i| model.clamp_input(inputs[i].apply(readings[i])));
        b.step_q(&x, &mut q);
        let temperature = readings[5] as f32 * 0.01 + output.apply(q[0].into()) as f32 * 0.001;
        assert!(
            (temperature - y[0]).abs() < 0.05,
            "step {step}: {temperature}, {}",
            y[0]
        );
    }
    assert!(model.input_affine(6, 1.0).is_none() && model.output_affine(1, 1.0).is_none());
}

#[test]
#[should_panic(expected = "sample for a model of tokens")]
fn a_sample_for_a_model_of_tokens_is_a_mistake() {
    let model = Model::from_bytes(TOKENS).unwrap();
    let mut state = State::<512>::new();
    model.bind(&mut state).unwrap().step_q(&[0; 4], &mut [0; 4]);
}
