//! What every board does: check its meter, run the loop, exit with what QEMU passes on.

use crate::board::{self, Counter};
use crate::console::Console;
use kinglet::kernel::Kernels;
use semihosting::io;
use semihosting::process::ExitCode;
use semihosting::{eprintln, println};
use stream::{MODEL, Meter, SAMPLES, States};

/// Runs the loop in the states given.
pub fn main(states: &mut States) -> ExitCode {
    let mut counter = Counter::start();
    // Two instructions a round; what comes before and after is the same code both times.
    let [short, long] = [1000, 3000].map(|n| counter.cost(|| board::rounds(n)));
    let counted = long.wrapping_sub(short);
    if counted != 4000 {
        eprintln!("error: 4000 instructions counted as {counted}");
        return ExitCode::FAILURE;
    }
    let Ok(stdout) = io::stdout() else {
        return ExitCode::FAILURE;
    };
    let report = stream::run(
        states,
        Kernels::detect(),
        &mut counter,
        &mut Console(stdout),
    );
    let report = match report {
        Ok(report) => report,
        Err(e) => {
            eprintln!("error: {e}");
            return ExitCode::FAILURE;
        }
    };
    let image = board::image();
    println!(
        "flash   {} = {} text + {} rodata ({} of them the model, {} the samples) + {} data",
        image.text + image.rodata + image.data,
        image.text,
        image.rodata,
        MODEL.len(),
        size_of_val(&SAMPLES),
        image.data,
    );
    let fixed = image.data + image.bss;
    println!(
        "ram     {fixed} static ({} of them two states)",
        size_of::<States>()
    );
    if let Some(stack) = image.stack {
        println!("stack   {stack} at most");
    }
    if report.least != report.most && !report.rare {
        eprintln!("error: the number of instructions depends on the data");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Bytes of the image.
pub struct Image {
    pub text: usize,
    pub rodata: usize,
    pub data: usize,
    pub bss: usize,
    /// What the stack has needed so far, where the start-up code paints it.
    pub stack: Option<usize>,
}
