//! Each primitive on every table. Matrix products have the shape of an LSTM's product with its state,
//! `4 hidden × hidden`; the others work on one layer's units.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use kinglet::check::check;
use kinglet::kernel::{
    CellQ, Curve, FloatMatrix, Inputs, IntMatrix, Kernels, LANES, Panel, Panels, StateF, Streams,
};
use kinglet::num::SEGMENTS_256;
use kinglet_benches::SHAPES;
use kinglet_trainer::train::init::Rng;
use std::any::TypeId;
use std::hint::black_box;
use std::time::Duration;

/// Times one primitive on every table, after comparing its result with the scalar one.
fn bench<T: Clone + PartialEq + Default + 'static>(
    c: &mut Criterion,
    primitive: &str,
    (hidden, elements): (usize, usize),
    output: &[Panel<T>],
    mut run: impl FnMut(&Kernels, &mut [Panel<T>]),
) {
    let mut result = |table| {
        let mut output = output.to_vec();
        run(table, &mut output);
        output
    };
    let want = result(&Kernels::SCALAR);
    let zero = |panel: &Panel<T>| panel.iter().all(|x| *x == T::default());
    assert!(!want.iter().all(zero), "{primitive} gives zeros");
    let mut group = c.benchmark_group(primitive);
    group.throughput(Throughput::Elements(elements as u64));
    // Floats of a fused table differ by rounding; `kernels` has checked by how much.
    let floats = TypeId::of::<T>() == TypeId::of::<f32>();
    for table in Kernels::available() {
        assert!(
            result(table) == want || floats && table.fused(),
            "{primitive} of {} differs",
            table.name()
        );
    }
    for table in Kernels::available() {
        group.bench_function(BenchmarkId::new(table.name(), hidden), |b| {
            let mut output = output.to_vec();
            b.iter(|| run(table, black_box(&mut output)));
        });
    }
}

fn integers<T>(rng: &mut Rng, len: usize, cast: fn(u64) -> T) -> Vec<T> {
    (0..len).map(|_| cast(rng.next_u64() >> 16)).collect()
}

/// Uniform within ±`limit`.
fn floats(rng: &mut Rng, len: usize, limit: f32) -> Vec<f32> {
    (0..len)
        .map(|_| (2.0 * rng.uniform() - 1.0) * limit)
        .collect()
}

fn panels<T: Copy>(numbers: &[T]) -> &[Panel<T>] {
    numbers.as_chunks::<LANES>().0
}

fn products(c: &mut Criterion, hidden: usize) {
    let rng = &mut Rng::new(1);
    let macs = 4 * hidden * hidden;
    let shape = (hidden, macs);
    let panels = Panels::DENSE;

    let w = floats(rng, macs, 0.1);
    let x = floats(rng, hidden, 1.0);
    let sums = vec![[0.0; LANES]; 4 * hidden / LANES];
    bench(c, "gemv_f32", shape, &sums, |k, sums| {
        k.float_product(sums, FloatMatrix::F32(&w), Streams::new(&[&x], 0), panels)
    });
    let w: Vec<f16> = w.iter().map(|&w| f16::from_f32(w)).collect();
    bench(c, "gemv_f16", shape, &sums, |k, sums| {
        k.float_product(sums, FloatMatrix::F16(&w), Streams::new(&[&x], 0), panels)
    });

    let w = integers(rng, macs, |x| x as i8);
    let x = integers(rng, hidden, |x| x as i8);
    let sums = vec![[0; LANES]; 4 * hidden / LANES];
    bench(c, "gemv_a8", shape, &sums, |k, sums| {
        k.product(sums, IntMatrix::I8(&w), Inputs::I8(&x), panels)
    });
    let x = integers(rng, hidden, |x| x as i16);
    bench(c, "gemv_a16", shape, &sums, |k, sums| {
        k.product(sums, IntMatrix::I8(&w), Inputs::I16(&x), panels)
    });

    let w = integers(rng, macs / 2, |x| x as u8);
    bench(c, "gemv_w4a16", shape, &sums, |k, sums| {
        k.product(sums, IntMatrix::I4(&w), Inputs::I16(&x), panels)
    });
    let x = integers(rng, hidden, |x| x as i8);
    bench(c, "gemv_w4a8", shape, &sums, |k, sums| {
        k.product(sums, IntMatrix::I4(&w), Inputs::I8(&x), panels)
    });
}

fn functions(c: &mut Criterion, hidden: usize) {
    let rng = &mut Rng::new(2);
    let shape = (hidden, hidden);
    let z = integers(rng, 4 * hidden, |x| x as i16);
    let z = panels(&z);
    let units = hidden / LANES;
    let tables = &SEGMENTS_256;

    let sums = integers(rng, hidden, |x| x as i32 >> 8);
    let m = integers(rng, hidden, |x| (x as i32).abs());
    let mut narrow = vec![[0; LANES]; units];
    bench(c, "requant", shape, &narrow, |k, z| {
        k.requant(z, panels(&sums), panels(&m), 2)
    });
    let wide = vec![[0; LANES]; units];
    bench(c, "tanh_q", shape, &wide, |k, y| {
        k.curve_q(Curve::Tanh, y, &z[..units], tables)
    });
    bench(c, "sigmoid_q", shape, &wide, |k, y| {
        k.curve_q(Curve::Sigmoid, y, &z[..units], tables)
    });
    let lstm = CellQ::Lstm { cell_shift: 0 };
    bench(c, "lstm_q", shape, &wide, |k, cell| {
        k.update_q(lstm, cell, &mut narrow, z, tables)
    });
    bench(c, "gru_q", shape, &wide, |k, h| {
        k.update_q(CellQ::Gru, h, &mut narrow, z, tables)
    });

    let z = floats(rng, 4 * hidden, 4.0);
    let z = panels(&z);
    bench(c, "tanh_f32", shape, &z[..units], |k, z| {
        k.curve_f(Curve::Tanh, z)
    });
    bench(c, "sigmoid_f32", shape, &z[..units], |k, z| {
        k.curve_f(Curve::Sigmoid, z)
    });
    let mut h = vec![[0.5; LANES]; units];
    let zeros = vec![[0.0; LANES]; units];
    bench(c, "lstm_f32", shape, &zeros, |k, cell| {
        k.update_f(StateF::Lstm(cell), &mut h, z)
    });
    bench(c, "gru_f32", shape, &zeros, |k, next| {
        k.update_f(StateF::Gru(&h), next, z)
    });
}

fn kernels(c: &mut Criterion) {
    for table in Kernels::available() {
        if let Err(mismatch) = check(table, 200, 1) {
            panic!("{mismatch}");
        }
    }
    let mut sizes = SHAPES.map(|(_, hidden)| hidden).to_vec();
    sizes.dedup();
    for &hidden in &sizes {
        products(c, hidden);
    }
    for &hidden in &sizes {
        functions(c, hidden);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    targets = kernels
}
criterion_main!(benches);
