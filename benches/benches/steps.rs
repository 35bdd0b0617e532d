//! Whole steps of one recurrent layer, one step per call with the state carried: each cell, format and shape,
//! on every table. The last table is what a model uses by itself. Beside them the roofline of each.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kinglet::format::Format;
use kinglet::kernel::Kernels;
use kinglet::{Model, Runner};
use kinglet_benches::{CELLS, FORMATS, SHAPES, model, roofline, samples};
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::net::Cell;
use std::cell::LazyCell;
use std::hint::black_box;
use std::time::Duration;

/// A stream that starts over after this many samples.
const STEPS: usize = 64;

/// What a step takes and gives, in the model's own numbers.
enum Stream {
    Float { x: Vec<f32>, y: Vec<f32> },
    Integer { x: Vec<i16>, y: Vec<i16> },
}

impl Stream {
    fn new(model: &Model<'_>) -> Self {
        let x = samples(model.inputs(), STEPS);
        if model.is_integer() {
            let one = f32::from(model.input_frac()).exp2();
            Stream::Integer {
                x: x.iter().map(|x| (x * one).round() as i16).collect(),
                y: vec![0; model.outputs()],
            }
        } else {
            let y = vec![0.0; model.outputs()];
            Stream::Float { x, y }
        }
    }

    fn step(&mut self, net: &mut Runner<'_, '_>, number: usize) {
        let inputs = net.model().inputs();
        let sample = number % STEPS * inputs..(number % STEPS + 1) * inputs;
        match self {
            Stream::Float { x, y } => net.step_raw(&x[sample], y),
            Stream::Integer { x, y } => net.step_q(&x[sample], y),
        }
    }

    /// The last output as numbers that are equal only if its bits are.
    fn output(&self) -> Vec<u32> {
        match self {
            Stream::Float { y, .. } => y.iter().map(|y| y.to_bits()).collect(),
            Stream::Integer { y, .. } => y.iter().map(|&y| y as u16 as u32).collect(),
        }
    }
}

/// Output of each of the first steps, and the state after them.
fn results(model: &Model<'_>, table: &'static Kernels) -> (Vec<Vec<u32>>, Vec<u8>) {
    let mut state = AlignedBytes::zeroed(model.state_len());
    let mut net = model.bind_bytes(&mut state).unwrap().with_kernels(table);
    let mut stream = Stream::new(model);
    let mut outputs = Vec::new();
    for number in 0..2 * STEPS {
        stream.step(&mut net, number);
        outputs.push(stream.output());
    }
    (outputs, net.layer_state().to_vec())
}

/// Whether a table gives what the scalar one does: floats of a fused table within 1e-5.
fn equal(model: &Model<'_>, table: &'static Kernels, want: &(Vec<Vec<u32>>, Vec<u8>)) -> bool {
    let found = results(model, table);
    if !table.fused() || model.is_integer() {
        return found == *want;
    }
    let near = |(a, b): (&u32, &u32)| (f32::from_bits(*a) - f32::from_bits(*b)).abs() < 1e-5;
    let (found, want) = (found.0.iter().flatten(), want.0.iter().flatten());
    found.zip(want).all(near)
}

/// A model's file, and what it gives on the scalar table.
struct Fixture {
    file: AlignedBytes,
    want: (Vec<Vec<u32>>, Vec<u8>),
}

impl Fixture {
    fn new(cell: Cell, shape: (usize, usize), format: Format) -> Self {
        let file = model(cell, shape, format);
        let want = {
            let model = Model::from_bytes(&file).unwrap();
            assert_eq!(model.macs(), macs(cell, shape));
            results(&model, &Kernels::SCALAR)
        };
        assert!(want.0.iter().all(|y| y.iter().any(|&y| y != 0)));
        Fixture { file, want }
    }
}

fn macs(cell: Cell, (inputs, hidden): (usize, usize)) -> usize {
    cell.products() * hidden * (inputs + hidden)
}

/// The weights of each shape alone, as the table reads them.
fn rooflines(c: &mut Criterion) {
    for (name, cell) in CELLS {
        let mut group = c.benchmark_group(format!("{name}_roofline"));
        for (inputs, hidden) in SHAPES {
            let weights = roofline::weights(cell, (inputs, hidden));
            group.throughput(Throughput::Bytes(weights.len() as u64));
            for table in Kernels::available() {
                if let Some(stream) = roofline::stream(table.name()) {
                    let id = BenchmarkId::new(table.name(), format!("{inputs}x{hidden}"));
                    group.bench_function(id, |b| b.iter(|| stream(black_box(&weights))));
                }
            }
        }
    }
}

/// What a benchmark needs is made when the first one that the filter lets pass asks for it.
fn steps(c: &mut Criterion) {
    for (name, cell) in CELLS {
        for format in FORMATS {
            let mut group = c.benchmark_group(format!("{name}_{}", format.name()));
            for shape in SHAPES {
                let fixture = LazyCell::new(|| Fixture::new(cell, shape, format));
                let id = format!("{}x{}", shape.0, shape.1);
                group.throughput(Throughput::Elements(macs(cell, shape) as u64));
                for table in Kernels::available() {
                    group.bench_function(BenchmarkId::new(table.name(), &id), |b| {
                        let model = Model::from_bytes(&fixture.file).unwrap();
                        let equal = equal(&model, table, &fixture.want);
                        assert!(equal, "{} differs from scalar: {name} {id}", table.name());
                        let mut state = AlignedBytes::zeroed(model.state_len());
                        let mut net = model.bind_bytes(&mut state).unwrap().with_kernels(table);
                        let mut stream = Stream::new(&model);
                        let mut number = 0;
                        b.iter(|| {
                            stream.step(black_box(&mut net), number);
                            black_box(&stream);
                            number += 1;
                        });
                    });
                }
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    targets = steps, rooflines
}
criterion_main!(benches);
