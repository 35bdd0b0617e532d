//! The loop on the host, once for every table of kernels this CPU can run.

use kinglet::Model;
use kinglet::kernel::Kernels;
use std::process::ExitCode;
use std::time::Instant;
use stream::{Meter, States};

struct Stopwatch;

impl Meter for Stopwatch {
    const UNIT: &'static str = "ns";

    fn cost(&mut self, work: impl FnOnce()) -> u32 {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as u32
    }
}

pub fn main() -> ExitCode {
    // Floats may differ between tables by rounding.
    let integer = Model::from_bytes(stream::MODEL).is_ok_and(|model| model.is_integer());
    let mut first = None;
    for kernels in Kernels::available() {
        let mut text = String::new();
        let result = stream::run(&mut States::new(), kernels, &mut Stopwatch, &mut text);
        print!("{text}");
        match result {
            Ok(report) if *first.get_or_insert(report.digest) == report.digest => {}
            Ok(_) if kernels.fused() && !integer => {}
            Ok(_) => {
                eprintln!("error: the digest of {} differs", kernels.name());
                return ExitCode::FAILURE;
            }
            Err(e) => {
                eprintln!("error: {e}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
