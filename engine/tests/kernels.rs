//! Every table of this CPU against the definition.

use kinglet::check::check;
use kinglet::kernel::{Curve, FloatMatrix, Kernels, LANES, Panels, Streams};

#[test]
fn every_table_equals_scalar() {
    for table in Kernels::available() {
        for seed in [1, 0x5eed_0000, u32::MAX] {
            match check(table, 1500, seed) {
                Ok(checked) => println!("{checked}"),
                Err(mismatch) => panic!("{mismatch}"),
            }
        }
    }
}

/// Where fused floats are not compared with the scalar table's: what is no number stays none, and what is large ends at the ends.
#[test]
fn floats_beyond_all_bounds_are_the_same_on_every_table() {
    for table in Kernels::available() {
        let name = table.name();
        let ends = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            1e30,
            -1e30,
            0.0,
            -0.0,
            1e-38,
        ];
        let [mut tanh, mut sigmoid] = [[ends; 3]; 2];
        table.curve_f(Curve::Tanh, &mut tanh);
        table.curve_f(Curve::Sigmoid, &mut sigmoid);
        for (tanh, sigmoid) in tanh.iter().zip(&sigmoid) {
            assert!(tanh[0].is_nan() && sigmoid[0].is_nan(), "{name}");
            let want = [1.0, -1.0, 1.0, -1.0, 0.0, 0.0, 0.0];
            for ((t, s), want) in tanh.iter().zip(sigmoid).skip(1).zip(want) {
                assert!((t - want).abs() < 1e-6, "{name}: tanh {t}, {want}");
                assert!((s - (want + 1.0) / 2.0).abs() < 1e-6, "{name}: sigmoid {s}");
            }
        }
        // A poisoned input reaches every row, and only its own stream; an infinite one is no NaN.
        for columns in 1..40 {
            let w = vec![0.5; 3 * LANES * columns];
            let mut inputs = vec![vec![1.0; columns]; 3];
            inputs[1][columns - 1] = f32::NAN;
            inputs[2][columns / 2] = f32::INFINITY;
            let x: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let mut sums = [[0.0; LANES]; 9];
            table.float_product(
                &mut sums,
                FloatMatrix::F32(&w),
                Streams::new(&x, 3),
                Panels::DENSE,
            );
            let all = |stream: usize, what: fn(f32) -> bool| {
                sums[3 * stream..][..3]
                    .as_flattened()
                    .iter()
                    .all(|&y| what(y))
            };
            assert!(all(0, f32::is_finite), "{name}, {columns} columns");
            assert!(all(1, f32::is_nan), "{name}, {columns} columns");
            assert!(all(2, f32::is_infinite), "{name}, {columns} columns");
        }
    }
}

/// `KINGLET_TABLES` names what must be there where a test knows its CPU: a table that is not found is not checked.
#[test]
fn tables_are_those_the_environment_names() {
    if let Ok(names) = std::env::var("KINGLET_TABLES") {
        let found: Vec<_> = Kernels::available().map(Kernels::name).collect();
        assert_eq!(found, names.split(' ').collect::<Vec<_>>());
    }
}
