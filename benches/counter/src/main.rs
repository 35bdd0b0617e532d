//! On a board of QEMU: the differential checker, then for every model the instructions of a step.
//!
//! Samples are random, over the whole of `i16`, and so is the state of every step: the count must not depend on them.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(all(target_os = "none", target_arch = "arm"))]
#[path = "cortex_m.rs"]
mod board;
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
#[path = "riscv.rs"]
mod board;
#[cfg(target_os = "none")]
mod net;
#[cfg(target_os = "none")]
mod row;
#[cfg(target_os = "none")]
mod steps;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("for QEMU: benches/counter/run.sh");
}
