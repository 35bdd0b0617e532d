//! All that can be done with a model, in a row. Nothing of it may panic; what is the same by two ways must be equal; and
//! the digest is that of all outputs and states, so that kernel tables can be compared. One NaN is like another.

use super::{Choices, File};
use kinglet::format::{Input, Shape};
use kinglet::kernel::Kernels;
use kinglet::{
    Detector, Digest, Model, Runner, SlidingWindow, StepInput, WindowInput, WindowRunner, Windowed,
};

/// Floats that a window may keep; a file may ask for gigabytes.
const MOST_KEPT: usize = 1 << 16;

/// Outputs on their way into the digest.
struct Outputs(Digest);

impl Outputs {
    fn floats(&mut self, y: &[f32]) {
        for y in y {
            self.0.add_f32(&[if y.is_nan() { f32::NAN } else { *y }]);
        }
    }
}

fn bits(y: &[f32]) -> Vec<u32> {
    let canonical = |y: &f32| if y.is_nan() { f32::NAN } else { *y }.to_bits();
    y.iter().map(canonical).collect()
}

fn reading(any: &mut Choices<'_>) -> f32 {
    let small = any.below(2001) as f32 * 0.002 - 2.0;
    any.one_of(&[
        small,
        small,
        small,
        100.0 * small,
        0.5,
        -1e30,
        f32::NAN,
        f32::INFINITY,
        -0.0,
        1e-40,
    ])
}

fn integer(any: &mut Choices<'_>) -> i16 {
    let word = any.word() as i16;
    any.one_of(&[word, word >> 6, i16::MIN, i16::MAX, 77, 0])
}

fn many<T>(any: &mut Choices<'_>, n: usize, one: impl Fn(&mut Choices<'_>) -> T) -> Vec<T> {
    (0..n).map(|_| one(any)).collect()
}

/// A number that is a token, or one that is none.
fn token(any: &mut Choices<'_>, tokens: usize) -> usize {
    let valid = any.below(tokens);
    any.one_of(&[valid, valid, valid, tokens, usize::MAX])
}

fn takes_tokens(model: &Model<'_>) -> bool {
    matches!(model.header().input, Input::Tokens { .. })
}

/// Drives a model in every way that it has; the same seed does the same on every table.
pub fn drive(model: &Model<'_>, table: &'static Kernels, seed: u64) -> u32 {
    let any = &mut Choices::seeded(seed);
    let mut out = Outputs(Digest::new());
    let mut room = File::zeroed(model.state_len());
    describe(model);
    if model.is_bidirectional() {
        assert!(model.bind_bytes(room.bytes()).is_err());
        let net = model.bind_window_bytes(room.bytes()).unwrap();
        let mut net = net.with_kernels(table);
        // May report a difference, since weights and test vectors are random.
        let _ = net.self_test();
        window(&mut net, any, &mut out);
        if !takes_tokens(model) {
            sliding(model, &mut net, any, &mut out);
        }
    } else {
        assert!(model.bind_window_bytes(room.bytes()).is_err());
        let net = model.bind_bytes(room.bytes()).unwrap();
        let mut net = net.with_kernels(table);
        let _ = model.self_test(&mut net);
        assert!(net.layer_state().iter().all(|&byte| byte == 0));
        for _ in 0..3 {
            step(&mut net, any, &mut out);
        }
        saved(model, table, any, &mut out);
        fed_back(&mut net, any, &mut out);
        batch(model, table, any, &mut out);
        if !takes_tokens(model) {
            sliding(model, &mut net, any, &mut out);
            net.reset();
        }
        // A state that is not this model's is no reason to panic either.
        any_state(model, table, any, &mut out);
    }
    out.0.value()
}

/// What needs no state.
fn describe(model: &Model<'_>) {
    assert!(model.macs() < usize::MAX && model.saved_len() > 0);
    for i in 0..model.inputs().min(4) {
        let affine = model.input_affine(i, 0.01);
        let apply = |x| affine.map(|affine| model.clamp_input(affine.apply(x)));
        let _ = (apply(i32::MIN), apply(i32::MAX), apply(0));
    }
    for i in 0..model.outputs().min(4) {
        let affine = model.output_affine(i, 0.01);
        let _ = affine.map(|affine| affine.apply(i32::from(i16::MIN)));
    }
}

/// A step by every door that the model has.
fn step(net: &mut Runner<'_, '_>, any: &mut Choices<'_>, out: &mut Outputs) {
    let model = net.model();
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let (mut y, mut q) = (vec![0.0; outputs], vec![0; outputs]);
    if takes_tokens(model) {
        let token = token(any, inputs);
        net.step_token(token, &mut y);
        out.floats(&y);
        if model.is_integer() {
            net.step_token_q(token, &mut q);
            net.step_watched(StepInput::Token(token), |step| out.0.add_i16(step.output));
        }
    } else {
        let x = many(any, inputs, reading);
        net.step(&x, &mut y);
        out.floats(&y);
        net.step_raw(&x, &mut y);
        out.floats(&y);
        let mut normalised = Vec::new();
        net.normalise(&x, |value| normalised.push(value));
        out.floats(&normalised);
        if model.is_integer() {
            net.step_q(&many(any, inputs, integer), &mut q);
            net.step_watched(StepInput::Sample(&x), |step| out.0.add_i16(step.output));
        }
        if let Some(mut detector) = Detector::new(model) {
            out.floats(&[detector.compare(&y, &x).score]);
        }
    }
    out.0.add_i16(&q);
    state(net, out);
}

fn state(net: &Runner<'_, '_>, out: &mut Outputs) {
    if net.model().is_integer() {
        out.0.add_bytes(net.layer_state());
    }
}

/// A restored state goes on as the saved one did. Two streams take the same steps, so that what lies in their scratch is the
/// same too: random weights give a meaning to columns of padding.
fn saved(model: &Model<'_>, table: &'static Kernels, any: &mut Choices<'_>, out: &mut Outputs) {
    let (seed, then) = (any.word().into(), any.word().into());
    let mut rooms = [0; 2].map(|_| File::zeroed(model.state_len()));
    let [mut one, mut other] = rooms.each_mut().map(|room| {
        let net = model.bind_bytes(room.bytes()).unwrap();
        let mut net = net.with_kernels(table);
        step(&mut net, &mut Choices::seeded(seed), out);
        net
    });
    let mut bytes = vec![0; model.saved_len()];
    match one.save(&mut bytes) {
        Ok(len) => assert_eq!(len, bytes.len()),
        // Of a float model, whose weights may be anything.
        Err(e) => return assert!(!model.is_integer(), "{e}"),
    }
    other.reset();
    assert!(other.layer_state().iter().all(|&byte| byte == 0));
    let bit = any.below(8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
    assert!(other.restore(&bytes).is_err(), "bit {bit} changed");
    bytes[bit / 8] ^= 1 << (bit % 8);
    assert_eq!(other.restore(&bytes), Ok(()));
    let [want, got] = [&mut one, &mut other].map(|net| {
        let mut new = Outputs(Digest::new());
        step(net, &mut Choices::seeded(then), &mut new);
        new.0.value()
    });
    assert_eq!(got, want, "a restored state goes on otherwise");
    out.0.add_bytes(&want.to_le_bytes());
}

/// Outputs become inputs.
fn fed_back(net: &mut Runner<'_, '_>, any: &mut Choices<'_>, out: &mut Outputs) {
    let model = net.model();
    let mut y = vec![0.0; model.outputs()];
    if takes_tokens(model) {
        net.generate(0, &mut y, 3, |scores| {
            out.floats(scores);
            kinglet::argmax(scores)
        });
    } else {
        let mut x = many(any, model.inputs(), reading);
        net.forecast(&mut x, &mut y, 2, |_, y| out.floats(y));
    }
}

/// Streams give together what they give alone.
fn batch(model: &Model<'_>, table: &'static Kernels, any: &mut Choices<'_>, out: &mut Outputs) {
    let streams = any.one_of(&[1, 2, 3, 5, 17]);
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let mut rooms = vec![File::zeroed(model.state_len()); streams];
    let mut states: Vec<&mut [u8]> = rooms.iter_mut().map(File::bytes).collect();
    let mut batch = model.bind_batch(&mut states).unwrap().with_kernels(table);
    let mut room = File::zeroed(model.state_len());
    let (mut y, mut q) = (vec![0.0; streams * outputs], vec![0; streams * outputs]);
    let tokens = many(any, streams, |any| token(any, inputs));
    let x = many(any, streams * inputs, reading);
    let x_q = many(any, streams * inputs, integer);
    for _ in 0..2 {
        if takes_tokens(model) {
            batch.step_batch_tokens(&tokens, &mut y);
        } else {
            batch.step_batch(&x, &mut y);
            batch.step_batch_raw(&x, &mut y);
            if model.is_integer() {
                batch.step_batch_q(&x_q, &mut q);
            }
        }
    }
    for stream in [0, streams - 1] {
        room.bytes().fill(0);
        let mut net = model.bind_bytes(room.bytes()).unwrap().with_kernels(table);
        let (mut alone, mut alone_q) = (vec![0.0; outputs], vec![0; outputs]);
        for _ in 0..2 {
            if takes_tokens(model) {
                net.step_token(tokens[stream], &mut alone);
            } else {
                let place = stream * inputs..(stream + 1) * inputs;
                net.step(&x[place.clone()], &mut alone);
                net.step_raw(&x[place.clone()], &mut alone);
                if model.is_integer() {
                    net.step_q(&x_q[place], &mut alone_q);
                }
            }
        }
        let place = stream * outputs..(stream + 1) * outputs;
        assert_eq!(bits(&y[place.clone()]), bits(&alone), "stream {stream}");
        assert_eq!(q[place], alone_q, "stream {stream}");
        let bound = batch.stream(stream);
        if model.is_integer() {
            assert_eq!(bound.layer_state(), net.layer_state(), "stream {stream}");
        }
    }
    out.floats(&y);
    out.0.add_i16(&q);
}

/// Samples one by one, where the file says when a window ends.
fn sliding(model: &Model<'_>, net: &mut impl Windowed, any: &mut Choices<'_>, out: &mut Outputs) {
    let shape = model.header().shape;
    let needed = SlidingWindow::needed(shape, model.inputs());
    if needed > MOST_KEPT {
        return;
    }
    let buffer = vec![0.0; needed];
    let mut windows = SlidingWindow::new(shape, model.inputs(), buffer).unwrap();
    windows.reset(net);
    let mut y = vec![0.0; model.outputs()];
    let steps = match shape {
        Shape::EveryStep => 2,
        Shape::Window { window, hop, .. } => (window.min(20) + hop.min(20)) as usize + 1,
    };
    for _ in 0..steps {
        if windows.push(net, &many(any, model.inputs(), reading), &mut y) {
            out.floats(&y);
        }
    }
}

/// Whole windows by every door.
fn window(net: &mut WindowRunner<'_, '_>, any: &mut Choices<'_>, out: &mut Outputs) {
    let model = net.model();
    let (samples, inputs) = (net.window(), model.inputs());
    if samples * inputs > MOST_KEPT {
        return;
    }
    let (mut y, mut q) = (vec![0.0; model.outputs()], vec![0; model.outputs()]);
    let mut watched = Digest::new();
    if takes_tokens(model) {
        let tokens = many(any, samples, |any| token(any, inputs));
        net.run_tokens(&tokens, &mut y);
        if model.is_integer() {
            net.run_tokens_q(&tokens, &mut q);
            net.run_watched(WindowInput::Tokens(&tokens), |at| {
                watched.add_i16(at.step.output);
            });
        }
    } else {
        let x = many(any, samples * inputs, reading);
        net.run_raw(&x, &mut y);
        out.floats(&y);
        net.run(&x, &mut y);
        if model.is_integer() {
            net.run_q(&many(any, samples * inputs, integer), &mut q);
            net.run_watched(WindowInput::Samples(&x), |at| {
                watched.add_i16(at.step.output);
            });
        }
        net.normalise(&x[..inputs], |_| ());
    }
    out.floats(&y);
    out.0.add_i16(&q);
    out.0.add_bytes(&watched.value().to_le_bytes());
    net.add_output(&mut out.0);
    net.reset();
}

/// Steps from random states. The scratch keeps the mark that a step left, else the state would not be taken.
fn any_state(model: &Model<'_>, table: &'static Kernels, any: &mut Choices<'_>, out: &mut Outputs) {
    let mut room = File::zeroed(model.state_len());
    let mut net = model.bind_bytes(room.bytes()).unwrap().with_kernels(table);
    step(&mut net, any, out);
    for byte in &mut room.bytes()[..model.persistent_len()] {
        *byte = any.word() as u8;
    }
    let mut net = model.bind_bytes(room.bytes()).unwrap().with_kernels(table);
    step(&mut net, any, out);
}
