//! Inputs and outputs of any offset and scale: the integers answer as the float network does, and sixteen bits never worse
//! than eight.

use kinglet::Model;
use kinglet::format::{Format, Layout};
use kinglet_trainer::engine::EnginePredictor;
use kinglet_trainer::fidelity::Fidelity;
use kinglet_trainer::file::{Exported, TestInputs, export};
use kinglet_trainer::net::{Activation, Cell, Combine, Dense, Join, Layer};
use kinglet_trainer::package::Package;
use kinglet_trainer::quant::mixed::Probe;
use kinglet_trainer::quant::{Ranges, Stream, cut_tails};
use kinglet_trainer::train::Predictor;
use kinglet_trainer::train::init::{LayerPlan, Rng, network};

const STEPS: usize = 2000;

/// A network for inputs about 0 that vary by 1; behind it a linear head.
fn package(cell: Cell, inputs: usize) -> Package {
    let plan = [
        LayerPlan::Recurrent(cell, 12),
        LayerPlan::Dense(2, Activation::Identity),
    ];
    Package::of_numbers("scales", network(inputs, &plan, &mut Rng::new(5)))
}

/// The same network for inputs that are `offset + scale` times as large: its weights say so, as in a state dict that
/// was trained on raw units.
fn for_raw(package: &Package, scale: f32, offset: f32) -> Package {
    let mut raw = package.clone();
    let Layer::Recurrent(r) = &mut raw.net.layers[0] else {
        unreachable!()
    };
    for (row, bias) in r.w_ih.chunks_exact_mut(r.inputs).zip(&mut r.b_ih) {
        for w in row {
            *w /= scale;
            *bias -= *w * offset;
        }
    }
    raw
}

fn waves(inputs: usize) -> Vec<f32> {
    let mut rng = Rng::new(9);
    let value = |at: usize| {
        let (t, k) = ((at / inputs) as f32, (at % inputs) as f32);
        (t * (0.01 + 0.05 * k)).sin() + 0.4 * rng.normal()
    };
    (0..STEPS * inputs).map(value).collect()
}

fn exported(package: &Package, samples: &[f32], format: Format) -> Exported {
    let stream = Stream::Samples(samples.to_vec());
    let mut ranges = Ranges::measure(&package.net, [&stream]);
    let tests = TestInputs::from_stream(&stream, package.net.input_width());
    let probe = Probe {
        raw: samples.to_vec(),
        counted: 0,
    };
    let how = (&format.into(), Layout::Portable);
    let instead = cut_tails(package, how, &mut ranges, &tests, &[probe]).unwrap();
    export(package, instead.unwrap_or(format), Some(&ranges), &tests).unwrap()
}

fn answers(model: &Model<'_>, samples: &[f32]) -> Vec<f32> {
    let mut predictor = EnginePredictor::new(model);
    let mut y = vec![0.0; model.outputs()];
    let rows = samples.chunks_exact(model.inputs());
    rows.flat_map(|sample| {
        predictor.step(sample, &mut y);
        y.clone()
    })
    .collect()
}

/// Errors in parts of the spread: f16, w8a16, w8a8.
fn errors(package: &Package, samples: &[f32]) -> [f64; 3] {
    let float = exported(package, samples, Format::F32);
    let float = Model::from_bytes(&float.bytes).unwrap();
    let truth = answers(&float, samples);
    [Format::F16, Format::W8A16, Format::W8A8].map(|format| {
        let file = exported(package, samples, format);
        let model = Model::from_bytes(&file.bytes).unwrap();
        Fidelity::between(&float, &truth, &answers(&model, samples)).share()
    })
}

#[test]
fn inputs_of_any_scale_and_offset_are_held_as_well_as_those_about_one() {
    for cell in [Cell::Lstm, Cell::GruResetBefore] {
        let normal = package(cell, 3);
        let samples = waves(3);
        for (scale, offset) in [
            (1.0, 0.0),
            (1e-6, 0.0),
            (0.01, 0.0),
            (30.0, 0.0),
            (1e5, 0.0),
            (1.0, 1000.0),
            (5.0, -300.0),
        ] {
            let raw: Vec<f32> = samples.iter().map(|x| offset + scale * x).collect();
            let [f16, a16, a8] = errors(&for_raw(&normal, scale, offset), &raw);
            let case = format!("{cell:?}, {offset} + {scale} x: {f16} {a16} {a8}");
            assert!(a16 < 0.015 && a8 < 0.03 && f16 < 0.01, "{case}");
            assert!(a16 <= a8, "{case}");
        }
    }
}

/// A mask over the samples, and a dense layer of an answer beside them.
#[test]
fn samples_that_are_kept_may_reach_far() {
    let masked = |how: Combine, scale: f32| {
        let mut package = for_raw(&package(Cell::GruResetBefore, 2), scale, 0.0);
        let layers = &mut package.net.layers;
        let Some(Layer::Dense(dense)) = layers.last_mut() else {
            unreachable!()
        };
        dense.activation = Activation::Sigmoid;
        layers.insert(0, Layer::Keep(2));
        layers.push(Layer::Join(Join {
            width: 2,
            kept: 2,
            with: 0,
            how,
        }));
        if how == Combine::Append {
            layers.push(Layer::Dense(Dense {
                inputs: 4,
                outputs: 2,
                weight: vec![
                    1.0,
                    -0.5,
                    0.6 / scale,
                    0.4 / scale,
                    0.7,
                    1.0,
                    -0.8 / scale,
                    0.5 / scale,
                ],
                bias: vec![0.5, -0.5],
                activation: Activation::Identity,
            }));
        }
        package
    };
    for how in [Combine::Multiply, Combine::Append] {
        for scale in [1.0, 40.0] {
            let samples: Vec<f32> = waves(2).iter().map(|x| scale * x).collect();
            let [_, a16, a8] = errors(&masked(how, scale), &samples);
            assert!(a16 < 0.01 && a8 < 0.04, "{how:?} {scale}: {a16} {a8}");
        }
    }
}

#[test]
fn one_input_of_a_small_scale_takes_no_digits_from_the_rest() {
    let normal = package(Cell::Lstm, 3);
    let samples = waves(3);
    let [_, alike, _] = errors(&normal, &samples);
    for scale in [0.3, 0.15, 0.05] {
        let Layer::Recurrent(mut r) = normal.net.layers[0].clone() else {
            unreachable!()
        };
        r.w_ih.iter_mut().step_by(3).for_each(|w| *w /= scale);
        let mut package = normal.clone();
        package.net.layers[0] = Layer::Recurrent(r);
        let mut raw = samples.clone();
        raw.iter_mut().step_by(3).for_each(|x| *x *= scale);
        let [_, a16, a8] = errors(&package, &raw);
        assert!(
            a16 < 1.5 * alike && a16 <= a8,
            "{scale}: {a16} {a8}, {alike}"
        );
    }
}

/// A frame of a signal, which a dense layer encodes: a few samples reach farther than the others, and all are louder elsewhere.
#[test]
fn a_frame_of_a_signal_keeps_its_digits_and_has_room_above_what_was_met() {
    const FRAME: usize = 24;
    let plan = [
        LayerPlan::Dense(16, Activation::Identity),
        LayerPlan::Recurrent(Cell::Lstm, 12),
        LayerPlan::Dense(2, Activation::Identity),
    ];
    let mut net = network(FRAME, &plan, &mut Rng::new(5));
    let Layer::Dense(encoder) = &mut net.layers[0] else {
        unreachable!()
    };
    encoder.weight.iter_mut().for_each(|w| *w *= 30.0);
    let package = Package::of_numbers("frames", net);
    let quiet: Vec<f32> = waves(FRAME).iter().map(|x| 0.04 * x).collect();
    let mut samples = quiet.clone();
    for step in (0..STEPS).step_by(400) {
        samples[step * FRAME + step / 400 % 3] = 0.26;
    }
    let float = exported(&package, &samples, Format::F32);
    let float = Model::from_bytes(&float.bytes).unwrap();
    // In eight bits what the encoder gives has no such room.
    for (format, loud, frames) in [
        (Format::W8A16, 1.0, &samples),
        (Format::W8A16, 1.9, &samples),
        (Format::W8A8, 1.0, &samples),
        (Format::W8A8, 1.0, &quiet),
    ] {
        let file = exported(&package, &samples, format);
        let model = Model::from_bytes(&file.bytes).unwrap();
        let frames: Vec<f32> = frames.iter().map(|x| loud * x).collect();
        let truth = answers(&float, &frames);
        let share = Fidelity::between(&float, &truth, &answers(&model, &frames)).share();
        assert!(share < 0.015, "{}, {loud}: {share}", format.name());
    }
}

#[test]
fn heavy_tails_and_spikes_do_not_spoil_the_rest() {
    let package = package(Cell::Lstm, 2);
    let mut rng = Rng::new(4);
    let mut tails = waves(2);
    for x in &mut tails {
        // The quotient of two normal numbers has a tail without a variance.
        *x = 0.5 * rng.normal() / rng.normal().abs().max(0.01);
    }
    let mut spike = waves(2);
    spike[STEPS] = 1e4;
    for (what, samples) in [("tails", tails), ("spike", spike)] {
        let [_, a16, a8] = errors(&package, &samples);
        assert!(a16 < 0.05 && a8 < 0.05, "{what}: {a16} {a8}");
    }
}

/// Large weights over inputs with a tail would leave few digits to the weights over the state.
#[test]
fn weights_over_heavy_tails_have_the_bits_that_they_need() {
    let mut package = package(Cell::Lstm, 3);
    let Layer::Recurrent(r) = &mut package.net.layers[0] else {
        unreachable!()
    };
    r.w_ih.iter_mut().for_each(|w| *w *= 6.0);
    let mut rng = Rng::new(3);
    let lognormal = (0..STEPS * 3).map(|_| 0.1 * (1.5 * rng.normal()).exp());
    let samples: Vec<f32> = lognormal.collect();
    let stream = Stream::Samples(samples.clone());
    let mut ranges = Ranges::measure(&package.net, [&stream]);
    let tests = TestInputs::from_stream(&stream, 3);
    let probe = Probe {
        raw: samples.clone(),
        counted: 0,
    };
    let how = (&Format::W8A16.into(), Layout::Portable);
    let instead = cut_tails(&package, how, &mut ranges, &tests, &[probe]).unwrap();
    assert!(instead.is_none() && ranges.fine);
    let float = export(&package, Format::F32, Some(&ranges), &tests).unwrap();
    let float = Model::from_bytes(&float.bytes).unwrap();
    let truth = answers(&float, &samples);
    let [fine, plain] = [true, false].map(|fine| {
        let ranges = Ranges {
            fine,
            ..ranges.clone()
        };
        let file = export(&package, Format::W8A16, Some(&ranges), &tests).unwrap();
        assert_eq!(
            file.notes.iter().any(|note| note.contains("every input")),
            fine
        );
        let model = Model::from_bytes(&file.bytes).unwrap();
        Fidelity::between(&float, &truth, &answers(&model, &samples)).share()
    });
    assert!(2.0 * fine < plain, "{fine} {plain}");
}

/// Inputs of eight bits reach ±16 and those of sixteen ±8, so of the heaviest tails eight bits may be taken where sixteen were
/// asked for.
#[test]
fn sixteen_bits_are_no_worse_than_eight_whatever_the_tails() {
    let mut worse = Vec::new();
    for seed in 1..9 {
        let cell = [
            Cell::Lstm,
            Cell::GruResetAfter,
            Cell::GruResetBefore,
            Cell::RnnTanh,
        ][seed % 4];
        let package = package(cell, 2);
        let mut rng = Rng::new(seed as u64);
        let mut of = |draw: &mut dyn FnMut(&mut Rng) -> f32| -> Vec<f32> {
            (0..STEPS * 2).map(|_| draw(&mut rng)).collect()
        };
        let quotient = of(&mut |rng| 0.5 * rng.normal() / rng.normal().abs().max(0.01));
        let lognormal = of(&mut |rng| 0.1 * (1.5 * rng.normal()).exp());
        let student = of(&mut |rng| {
            let squares: f32 = (0..3).map(|_| rng.normal().powi(2)).sum();
            rng.normal() / (squares / 3.0).sqrt()
        });
        let bursts = of(&mut |rng| rng.normal() * if rng.normal() > 2.5 { 40.0 } else { 1.0 });
        for (what, samples) in [
            ("quotient", quotient),
            ("lognormal", lognormal),
            ("student", student),
            ("bursts", bursts),
        ] {
            let [_, a16, a8] = errors(&package, &samples);
            if a16 > a8 {
                worse.push(format!("{cell:?}, seed {seed}, {what}: {a16} {a8}"));
            }
        }
    }
    assert!(worse.is_empty(), "{worse:#?}");
}

#[test]
fn constant_inputs_are_in_the_biases() {
    let package = package(Cell::GruResetAfter, 3);
    let mut samples = waves(3);
    samples
        .iter_mut()
        .skip(1)
        .step_by(3)
        .for_each(|x| *x = 0.3003);
    let [f16, a16, a8] = errors(&package, &samples);
    assert!(f16 < 0.01 && a16 < 0.015 && a8 < 0.03, "{f16} {a16} {a8}");
    // A column of nothing changes nothing.
    samples.iter_mut().skip(1).step_by(3).for_each(|x| *x = 0.0);
    let [_, a16, a8] = errors(&package, &samples);
    assert!(a16 < 0.015 && a8 < 0.03, "{a16} {a8}");
}

#[test]
fn outputs_may_be_tiny_large_or_far_from_zero() {
    let normal = package(Cell::Lstm, 2);
    let samples = waves(2);
    for (scale, offset) in [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4)] {
        let mut scaled = normal.clone();
        let Some(Layer::Dense(head)) = scaled.net.layers.last_mut() else {
            unreachable!()
        };
        head.weight.iter_mut().for_each(|w| *w *= scale);
        head.bias.iter_mut().for_each(|b| *b = *b * scale + offset);
        let [f16, a16, a8] = errors(&scaled, &samples);
        let case = format!("{offset} + {scale} y: {f16} {a16} {a8}");
        assert!(f16 < 0.01 && a16 < 0.02 && a8 < 0.03, "{case}");
    }
}

#[test]
fn what_f16_cannot_hold_is_told() {
    let mut package = package(Cell::Lstm, 2);
    let samples = waves(2);
    assert_eq!(exported(&package, &samples, Format::F16).doubts, [""; 0]);
    let Layer::Recurrent(r) = &mut package.net.layers[0] else {
        unreachable!()
    };
    r.w_hh[7] = 1e5;
    let doubts = exported(&package, &samples, Format::F16).doubts;
    assert!(
        doubts[0].contains("1 (0.15 %) weights up to 100000 do not fit f16"),
        "{doubts:?}"
    );
}
