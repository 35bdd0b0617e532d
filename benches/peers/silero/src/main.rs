//! One frame of Silero VAD, 512 samples at 16 kHz, by those who run it: ONNX Runtime (its C API, the states bound back and forth), the
//! crate `rustvani-vad` (the network of version 5, of the same size), and Kinglet in several formats. Each takes a turn of a few frames,
//! again and again, in one process and on one thread; told is the least time of a frame in any turn, and the median.
//!
//! `../silero.sh` makes what it needs: `peer-silero NETWORK.onnx MODEL.kgl...`

use anyhow::{Context, Result, ensure};
use kinglet::{Model, Runner};
use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use rustvani_vad::SileroVad;
use std::time::Instant;
use std::{env, fs};

/// New samples of a frame, and those of the frame before that are seen with them.
const NEW: usize = 512;
const SEEN: usize = 576;
/// Frames of a turn, an even number: the states of ONNX Runtime end where they started.
const FRAMES: usize = 50;
const TURNS: usize = 80;

/// Some frame after another; a turn goes through all of them.
type Turn<'a> = Box<dyn FnMut() + 'a>;

fn onnx_runtime(
    environment: &Environment,
    file: &str,
    frames: &[Vec<f32>],
) -> Result<Turn<'static>> {
    let mut session = Session::builder(environment)?
        .with_intra_threads(1)
        .and_then(|b| b.with_inter_threads(1))
        .map_err(|e| anyhow::anyhow!("{e}"))?
        .commit_from_file(file)?;
    let state = || Tensor::<f32>::new(&Allocator::default(), [1usize, 1, 128]);
    let mut states = [[state()?, state()?], [state()?, state()?]];
    for tensor in states.iter_mut().flatten() {
        tensor.extract_tensor_mut().1.fill(0.0);
    }
    let mut answer = Tensor::<f32>::new(&Allocator::default(), [1usize])?;
    let mut bindings: Vec<IoBinding> = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let x = Tensor::from_array(([1usize, SEEN], frame.clone()))?;
        let mut binding = session.create_binding()?;
        binding.bind_input("input", &x)?;
        let [even, odd] = &mut states;
        let (before, after) = if number % 2 == 0 {
            (even, odd)
        } else {
            (odd, even)
        };
        for (k, (name, next)) in [("h", "hn"), ("c", "cn")].into_iter().enumerate() {
            binding.bind_input(name, &before[k])?;
            binding.bind_output(next, &mut after[k])?;
        }
        binding.bind_output("speech_probs", &mut answer)?;
        bindings.push(binding);
    }
    Ok(Box::new(move || {
        let _kept = (&states, &answer);
        for binding in &bindings {
            let run = ort::api().RunWithBinding;
            // SAFETY: session and binding are alive, the binding was made for this session, and keeps all tensors alive.
            let status = unsafe { run(session.ptr_mut(), std::ptr::null(), binding.ptr()) };
            assert!(status.0.is_null(), "a frame failed");
        }
    }))
}

fn rustvani(frames: &[Vec<f32>]) -> Result<Turn<'static>> {
    let vad = SileroVad::new().map_err(|e| anyhow::anyhow!(e))?;
    let frames: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| {
            let new = frame[SEEN - NEW..].iter();
            new.flat_map(|x| ((x * 32767.0) as i16).to_le_bytes())
                .collect()
        })
        .collect();
    Ok(Box::new(move || {
        for frame in &frames {
            std::hint::black_box(vad.infer(frame).expect("a frame of the right length"));
        }
    }))
}

fn kinglet<'a>(
    model: &'a Model<'a>,
    state: &'a mut [u8],
    frames: &'a [Vec<f32>],
) -> Result<Turn<'a>> {
    ensure!(
        model.inputs() == SEEN,
        "a model of {} inputs, expected {SEEN}",
        model.inputs()
    );
    let mut runner: Runner<'_, '_> = model.bind_bytes(state)?;
    Ok(Box::new(move || {
        let mut answer = [0.0];
        for frame in frames {
            runner.step_raw(frame, &mut answer);
            std::hint::black_box(&answer);
        }
    }))
}

/// Memory for a file or a state, as aligned as both want it.
fn aligned(bytes: usize) -> Vec<u128> {
    vec![0; bytes.div_ceil(16)]
}

fn bytes_of(words: &mut [u128], bytes: usize) -> &mut [u8] {
    &mut bytemuck::cast_slice_mut(words)[..bytes]
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [network, models @ ..] = &arguments[..] else {
        anyhow::bail!("expected NETWORK.onnx MODEL.kgl...");
    };
    // Loud enough to be no silence; what is in a frame does not change what is computed.
    let mut seed = 1u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32 * 0.2 - 0.1
    };
    let frames: Vec<Vec<f32>> = (0..FRAMES)
        .map(|_| (0..SEEN).map(|_| noise()).collect())
        .collect();
    let environment = ort::init().build().context("ONNX Runtime")?;

    let mut files = Vec::new();
    for path in models {
        let file = fs::read(path).with_context(|| path.clone())?;
        let mut words = aligned(file.len());
        bytes_of(&mut words, file.len()).copy_from_slice(&file);
        files.push((words, file.len()));
    }
    let loaded: Vec<Model<'_>> = files
        .iter_mut()
        .map(|(words, len)| Model::from_bytes(bytes_of(words, *len)))
        .collect::<Result<_, _>>()?;
    let mut states: Vec<Vec<u128>> = loaded
        .iter()
        .map(|model| aligned(model.state_len()))
        .collect();
    let mut turns: Vec<(String, Turn<'_>)> = vec![
        (
            "ONNX Runtime f32".to_owned(),
            onnx_runtime(&environment, network, &frames)?,
        ),
        ("rustvani-vad f32".to_owned(), rustvani(&frames)?),
    ];
    for (model, state) in loaded.iter().zip(&mut states) {
        let format = model.header().layers[model.header().layers.len() - 1].format();
        let state = bytes_of(state, model.state_len());
        turns.push((
            format!("Kinglet {}", format.name()),
            kinglet(model, state, &frames)?,
        ));
    }
    let mut times = vec![Vec::new(); turns.len()];
    for _ in 0..TURNS {
        for ((_, turn), times) in turns.iter_mut().zip(&mut times) {
            let start = Instant::now();
            turn();
            times.push(start.elapsed().as_nanos() as f64 / FRAMES as f64 / 1000.0);
        }
    }
    println!("| Silero VAD, µs a frame | least | median |\n|---|---|---|");
    for ((name, _), mut times) in turns.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!(
            "| {name} | {:.1} | {:.1} |",
            times[0],
            times[times.len() / 2]
        );
    }
    Ok(())
}
