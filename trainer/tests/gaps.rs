//! A model that fills gaps gives the same bytes for a sample with NaN as for one where its user repeated the last
//! value: in every format, step by step, over windows and in batches.

use kinglet::format::{Format, Shape as Windows};
use kinglet::{Model, SlidingWindow, State};
use kinglet_trainer::file::{AlignedBytes, TestInputs, export};
use kinglet_trainer::net::Cell;
use kinglet_trainer::package::{
    Feature, Input, Output, Package, Restore, Shape, Target, Transform,
};
use kinglet_trainer::train::init::{LayerPlan, Rng, network};
use kinglet_trainer::train::{FloatPredictor, Predictor};

const FORMATS: [Format; 5] = [
    Format::F32,
    Format::F16,
    Format::W8A16,
    Format::W8A8,
    Format::W4A8,
];
const NAN: f32 = f32::NAN;

fn feature(name: &str, hold: bool, transform: Transform) -> Feature {
    Feature {
        name: name.into(),
        unit: String::new(),
        hold,
        transform,
        offset: 0.0,
        scale: 1.0,
    }
}

/// A value, its change, its mask, and a column that holds nothing.
fn package() -> Package {
    let plan = [
        LayerPlan::Recurrent(Cell::Lstm, 6),
        LayerPlan::Dense(1, kinglet_trainer::net::Activation::Identity),
    ];
    Package {
        name: "gaps".into(),
        net: network(4, &plan, &mut Rng::new(3)),
        input: Input::Features(vec![
            feature("x", true, Transform::None),
            feature("y", true, Transform::Difference { column: 1 }),
            feature("missing(x)", true, Transform::Missing { column: 0 }),
            feature("z", false, Transform::None),
        ]),
        output: Output::Values(vec![Target {
            name: "x".into(),
            unit: String::new(),
            scale: 1.0,
            offset: 0.0,
            restore: Restore::AddTo { column: 0 },
            feeds: Some(0),
        }]),
        shape: Shape::EveryStep,
        alarm: None,
        written: Default::default(),
    }
}

/// Samples with gaps, and as the model should take them.
const SAMPLES: [([f32; 4], [f32; 4]); 7] = [
    ([1.0, 0.5, 0.0, 0.1], [1.0, 0.5, 0.0, 0.1]),
    ([NAN, 0.7, 0.0, 0.2], [1.0, 0.7, 1.0, 0.2]),
    ([NAN, NAN, 0.0, 0.3], [1.0, 0.7, 1.0, 0.3]),
    ([0.4, NAN, 0.0, NAN], [0.4, 0.7, 0.0, 0.0]),
    ([0.3, -0.2, 1.0, 0.1], [0.3, -0.2, 1.0, 0.1]),
    ([NAN, -0.4, NAN, 0.1], [0.3, -0.4, 1.0, 0.1]),
    ([0.9, NAN, 0.0, 0.2], [0.9, -0.4, 0.0, 0.2]),
];

fn exported(package: &Package, format: Format) -> AlignedBytes {
    let tests = TestInputs::synthetic(package);
    export(package, format, None, &tests).unwrap().bytes
}

/// Outputs of a stream of windows.
fn outputs(model: &Model<'_>, shape: Windows, samples: &[[f32; 4]]) -> Vec<f32> {
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut runner = model.bind_bytes(&mut state).unwrap();
    let kept = vec![0.0; SlidingWindow::needed(shape, 4)];
    let mut windows = SlidingWindow::new(shape, 4, kept).unwrap();
    let mut y = [0.0];
    let mut push = |x: &[f32; 4]| windows.push(&mut runner, x, &mut y).then_some(y[0]);
    samples.iter().filter_map(&mut push).collect()
}

#[test]
fn a_gap_is_the_last_value_in_every_format_and_window() {
    let package = package();
    let with_gaps = SAMPLES.map(|s| s.0);
    let filled = SAMPLES.map(|s| s.1);
    let exact = |window, hop| Windows::Window {
        window,
        hop,
        exact: true,
    };
    // Windows that overlap, that stand side by side, and that leave samples out.
    let shapes = [Windows::EveryStep, exact(3, 1), exact(2, 2), exact(2, 4)];
    for format in FORMATS {
        let bytes = exported(&package, format);
        let model = Model::from_bytes(&bytes).unwrap();
        assert!(model.holds());
        for shape in shapes {
            let found = outputs(&model, shape, &with_gaps);
            let want = outputs(&model, shape, &filled);
            assert_eq!(found, want, "{} {shape:?}", format.name());
            assert!(found.len() >= 2 && found.iter().all(|y| y.is_finite()));
        }
    }
}

#[test]
fn a_batch_and_the_float_network_fill_gaps_alike() {
    let package = package();
    let bytes = exported(&package, Format::F32);
    let model = Model::from_bytes(&bytes).unwrap();
    let alone = outputs(&model, Windows::EveryStep, &SAMPLES.map(|s| s.0));
    let mut states = [State::<1024>::new(), State::new()];
    let mut batch = model.bind_batch(&mut states).unwrap();
    let mut float = FloatPredictor::new(&package);
    for (step, (x, _)) in SAMPLES.iter().enumerate() {
        let mut y = [0.0; 2];
        batch.step_batch(&[*x, *x].concat(), &mut y);
        assert_eq!(y, [alone[step]; 2], "step {step}");
        // A NaN that nothing stands in for enters as 0 on the device; here it would spread.
        let z = if x[3].is_nan() { 0.0 } else { x[3] };
        float.step(&[x[0], x[1], x[2], z], &mut y[..1]);
        assert!((y[0] - alone[step]).abs() < 1e-5, "step {step}: {y:?}");
    }
}

#[test]
fn before_the_first_value_a_gap_is_the_middle_of_its_column() {
    let package = package();
    let bytes = exported(&package, Format::W8A8);
    let model = Model::from_bytes(&bytes).unwrap();
    let found = outputs(
        &model,
        Windows::EveryStep,
        &[[NAN, 0.5, 0.0, 0.1], SAMPLES[0].0],
    );
    let want = outputs(
        &model,
        Windows::EveryStep,
        &[[0.0, 0.5, 1.0, 0.1], SAMPLES[0].0],
    );
    // What is relative to a value that never came is not known.
    assert!(found[0].is_nan());
    assert_eq!(found[1], want[1]);
}
