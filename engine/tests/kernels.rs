//! Every table of this CPU against the definition.

use kinglet::check::check;
use kinglet::kernel::{
    CellQ, Curve, FloatMatrix, GateOrder, GateRows, Hidden, Inputs, IntMatrix, Kernels, LANES,
    LayerState, Panels, Streams,
};
use kinglet::num::{SEGMENTS_256, SEGMENTS_512};

/// Random steps of every seed. Other machines than this one are emulated, where one takes twenty times as long.
const ROUNDS: u32 = if cfg!(target_arch = "x86_64") {
    1500
} else {
    200
};

#[test]
fn every_table_equals_scalar() {
    for table in Kernels::available() {
        for seed in [1, 0x5eed_0000, u32::MAX] {
            match check(table, ROUNDS, seed) {
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

/// Random bytes and numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn from(&mut self, first: usize, last: usize) -> usize {
        first + self.next() as usize % (last - first + 1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn panels(&mut self, count: usize, bits: u32) -> Vec<[i32; LANES]> {
        let number = |_| self.next() as i32 >> (32 - bits);
        (0..count * LANES)
            .map(number)
            .collect::<Vec<_>>()
            .as_chunks()
            .0
            .to_vec()
    }
}

/// Larger layers and more streams than the checker has, which must fit a small machine: some tables do those in another way.
#[test]
fn many_streams_of_large_layers_are_the_same_on_every_table() {
    let cells = [
        (CellQ::Lstm { cell_shift: 1 }, [4, 4, 4]),
        (CellQ::Gru, [3, 3, 4]),
        (CellQ::Rnn, [1, 1, 1]),
    ];
    let mut random = Random(7);
    for ((cell, [ih, hh, stride]), kind) in cells
        .into_iter()
        .flat_map(|cell| (0..5).map(move |kind| (cell, kind)))
    {
        // Weights of four bits, and what has 16 bits: as models have them.
        let (four, wide_x, wide_h) = [
            (false, false, false),
            (false, true, false),
            (false, true, true),
            (true, false, false),
            (true, true, false),
        ][kind];
        for _ in 0..3 {
            let (units, x, streams) = (
                random.from(8, 22),
                random.from(1, 20) * 8,
                random.from(6, 70),
            );
            let h = units * LANES;
            let bytes =
                |panels: usize, columns: usize| panels * LANES * columns / if four { 2 } else { 1 };
            let (w_ih, w_hh) = (
                random.bytes(bytes(units * ih, x)),
                random.bytes(bytes(units * hh, h)),
            );
            let matrix = |w| match four {
                true => IntMatrix::I4(w),
                false => IntMatrix::I8(bytemuck::cast_slice(w)),
            };
            let (bias, m) = (
                random.panels(units * stride, 20),
                random.panels(units * stride, 28),
            );
            let order = GateOrder::new(ih, hh, stride);
            let gates = GateRows::new(
                order,
                units,
                (matrix(&w_ih), x),
                (matrix(&w_hh), h),
                (&bias, &m),
                3,
            );
            let inputs: Vec<Vec<i16>> = (0..streams)
                .map(|_| (0..x).map(|_| random.next() as i16).collect())
                .collect();
            let inputs: Vec<Inputs<'_>> = (inputs.iter())
                .map(|input| match wide_x {
                    true => Inputs::I16(input),
                    false => Inputs::I8(&bytemuck::cast_slice(input)[..x]),
                })
                .collect();
            let master = random.panels(units * streams, 30);
            let state: Vec<i16> = (0..h * streams).map(|_| random.next() as i16).collect();
            let step = |table: &Kernels| {
                let (mut master, mut state) = (master.clone(), state.clone());
                let mut y = vec![[0; LANES]; units * streams];
                let mut states: Vec<LayerState<'_>> = (master.chunks_mut(units))
                    .zip(state.chunks_mut(h))
                    .zip(y.chunks_mut(units))
                    .map(|((master, h16), y)| {
                        let hidden = match wide_h {
                            true => Hidden::I16(h16),
                            false => Hidden::I8(&mut bytemuck::cast_slice_mut(h16)[..h]),
                        };
                        LayerState::new(master, hidden, y)
                    })
                    .collect();
                let tables = if wide_h { &SEGMENTS_512 } else { &SEGMENTS_256 };
                table.step_q(cell, &mut states, &gates, &inputs, tables);
                drop(states);
                (master, state, y)
            };
            let want = step(&Kernels::SCALAR);
            for table in Kernels::available() {
                let name = table.name();
                assert!(
                    step(table) == want,
                    "{name}: {cell:?}, kind {kind}, {units} panels, {x} inputs, {streams} streams"
                );
            }
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
