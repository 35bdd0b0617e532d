//! On a Cortex-M of QEMU: the differential checker, then for every model the instructions of a step.
//!
//! SysTick counts emulated time, and under `-icount shift=7` every instruction takes 2^7 ns of it. Samples are
//! random, over the whole of `i16`, and so is the state that a model starts from: the count must not depend on them.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
mod board;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("for QEMU: benches/cortex-m/run.sh");
}
