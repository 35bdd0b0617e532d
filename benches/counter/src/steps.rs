//! Checks the tables, then counts the instructions of every model's steps.

use crate::board::count;
use crate::row::Row;
use kinglet::Model;
use kinglet::check::check;
use kinglet::format::Input;
use kinglet::kernel::Kernels;
use semihosting::process::ExitCode;
use semihosting::{eprintln, println};

mod models {
    include!(concat!(env!("OUT_DIR"), "/models.rs"));
}

/// Rounds of the checker.
const ROUNDS: u32 = 300;

/// Room for any state here, in words.
const STATE: usize = 1024;
#[repr(C, align(16))]
struct Memory([u32; STATE]);

/// Steps of a model.
fn measure(model: &Model<'_>, memory: &mut [u32; STATE], empty: u32) -> Result<(), &'static str> {
    let tokens = matches!(model.header().input, Input::Tokens { .. });
    let (mut x, mut y) = ([0; 256], [0; 256]);
    let x = &mut x[..if tokens { 0 } else { model.inputs() }];
    let y = &mut y[..model.outputs()];
    let words = model.state_len().div_ceil(4);
    let memory = memory.get_mut(..words).ok_or("needs more memory")?;
    {
        memory.fill(0);
        let state = bytemuck::cast_slice_mut(memory);
        let mut net = model.bind_bytes(state).map_err(|_| "does not bind")?;
        model.self_test(&mut net).map_err(|_| "fails its test")?;
    }
    let row = Row {
        name: &model.header().name,
        macs: model.macs() as u32,
        state: model.state_len(),
    };
    row.measure(|samples, mut states, digest| {
        for (at, word) in memory.iter_mut().enumerate() {
            let random = states.next();
            // What is behind that says whose state it is.
            if at < model.persistent_len() / 4 {
                *word = random;
            }
        }
        let state = bytemuck::cast_slice_mut(memory);
        let mut net = model.bind_bytes(state).expect("it has been bound");
        x.iter_mut().for_each(|x| *x = samples.next() as i16);
        let token = samples.next() as usize % model.inputs();
        let cost = count(|| {
            if tokens {
                net.step_token_q(token, y);
            } else {
                net.step_q(x, y);
            }
        });
        digest.add_i16(y);
        digest.add_bytes(net.layer_state());
        cost - empty
    })
}

/// Windows of a bidirectional model.
fn measure_windows(
    model: &Model<'_>,
    memory: &mut [u32; STATE],
    empty: u32,
) -> Result<(), &'static str> {
    let (mut x, mut y) = ([0; 256], [0; 256]);
    let y = &mut y[..model.outputs()];
    let words = model.state_len().div_ceil(4);
    let memory = memory.get_mut(..words).ok_or("needs more memory")?;
    memory.fill(0);
    let state = bytemuck::cast_slice_mut(memory);
    let mut net = model
        .bind_window_bytes(state)
        .map_err(|_| "does not bind")?;
    net.self_test().map_err(|_| "fails its test")?;
    let window = net.window();
    let x = &mut x[..window * model.inputs()];
    let row = Row {
        name: &model.header().name,
        macs: (window * model.macs()) as u32,
        state: model.state_len(),
    };
    row.measure(|samples, mut states, digest| {
        memory.iter_mut().for_each(|word| *word = states.next());
        let state = bytemuck::cast_slice_mut(memory);
        let mut net = model.bind_window_bytes(state).expect("it has been bound");
        x.iter_mut().for_each(|x| *x = samples.next() as i16);
        let cost = count(|| net.run_q(x, y));
        digest.add_i16(y);
        cost - empty
    })
}

/// A file's steps.
fn measure_file(
    file: &'static [u8],
    memory: &mut [u32; STATE],
    empty: u32,
) -> Result<(), &'static str> {
    let model = Model::from_bytes(file).map_err(|_| "does not load")?;
    if model.is_bidirectional() {
        return measure_windows(&model, memory, empty);
    }
    measure(&model, memory, empty)
}

/// All of it.
pub fn run() -> ExitCode {
    let empty = count(|| ());
    let mut code = ExitCode::SUCCESS;
    for table in Kernels::available() {
        match check(table, ROUNDS, 1) {
            Ok(checked) => println!("{checked}"),
            Err(mismatch) => {
                eprintln!("error: {mismatch}");
                code = ExitCode::FAILURE;
            }
        }
    }
    let mut memory = Memory([0; STATE]);
    for (number, file) in models::MODELS.iter().enumerate() {
        if let Err(e) = measure_file(file, &mut memory.0, empty) {
            eprintln!("error: model {number} {e}");
            code = ExitCode::FAILURE;
        }
        let net = models::NETS.iter().find(|(of, _)| *of == number);
        if let Some(Err(e)) = net.map(|(_, measure)| measure(empty)) {
            eprintln!("error: model {number} as a net {e}");
            code = ExitCode::FAILURE;
        }
    }
    code
}
