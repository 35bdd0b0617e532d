//! What `cargo test` checks elsewhere, as a WebAssembly module without a standard library: every table against
//! the scalar one, the test vectors of every model, and the digest of the firmware's loop.
//!
//! `run.sh` builds it with and without `simd128` and runs both in Node.

#![cfg(target_family = "wasm")]
#![no_std]

use core::fmt::{self, Write};
use kinglet::check::check;
use kinglet::kernel::Kernels;
use kinglet::{Model, State, include_model};
use stream::{Meter, States};

static MODELS: [&[u8]; 16] = [
    include_model!("../../models/decoder_w8a16.kgl"),
    include_model!("../../models/encoder_w8a16.kgl"),
    include_model!("../../models/gru_before_w4a8.kgl"),
    include_model!("../../models/gru_before_w8a8.kgl"),
    include_model!("../../models/gru_m55_w8a8.kgl"),
    include_model!("../../models/gru_w4a8.kgl"),
    include_model!("../../models/gru_w8a8.kgl"),
    include_model!("../../models/lstm_w4a8.kgl"),
    include_model!("../../models/lstm_w8a16.kgl"),
    include_model!("../../models/lstm_w8a8.kgl"),
    include_model!("../../models/mixed_f16.kgl"),
    include_model!("../../models/mixed_f32.kgl"),
    include_model!("../../models/rnn_relu_w8a8.kgl"),
    include_model!("../../models/tokens_w4a8.kgl"),
    include_model!("../../models/tokens_w8a8.kgl"),
    include_model!("../../models/window_f32.kgl"),
];

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    fn print(text: *const u8, len: usize);
}

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: `run.mjs` reads so many bytes, before it returns.
        unsafe { print(text.as_ptr(), text.len()) };
        Ok(())
    }
}

struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

impl Meter for Nowhere {
    const UNIT: &'static str = "";

    fn cost(&mut self, work: impl FnOnce()) -> u32 {
        work();
        0
    }
}

/// Runs all, and panics at the first difference: a trap in Node.
#[unsafe(no_mangle)]
pub extern "C" fn run() {
    for kernels in Kernels::available() {
        for seed in [1, 0x5eed_0000, u32::MAX] {
            match check(kernels, 1500, seed) {
                Ok(checked) => say(format_args!("{checked}")),
                Err(mismatch) => panic!("{mismatch}"),
            }
        }
        for bytes in MODELS {
            let model = Model::from_bytes(bytes).expect("a whole file");
            let mut state = State::<2048>::new();
            let mut runner = model.bind(&mut state).expect("room for the state");
            runner = runner.with_kernels(kernels);
            let name = model.header().name;
            match model.self_test(&mut runner) {
                Ok(digest) => say(format_args!("{name} by {}: {digest}", kernels.name())),
                Err(failure) => panic!("{name} by {}: {failure}", kernels.name()),
            }
        }
        match stream::run(&mut States::new(), kernels, &mut Nowhere, &mut Nowhere) {
            Ok(report) => {
                say(format_args!("table   {}", kernels.name()));
                say(format_args!("digest  {:08x}", report.digest));
            }
            Err(failure) => panic!("{failure}"),
        }
    }
}

fn say(line: fmt::Arguments<'_>) {
    // The console never fails.
    let _ = writeln!(Console, "{line}");
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say(format_args!("{info}"));
    core::arch::wasm32::unreachable()
}
