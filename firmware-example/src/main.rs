//! On a board (`cargo run --release` in this folder: a Cortex-M4 in QEMU) the firmware, on the host the
//! simulator. Both run the loop of [`stream`]; `README.md` has the commands.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(all(target_os = "none", target_arch = "arm"))]
#[path = "cortex_m.rs"]
mod board;
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
#[path = "riscv.rs"]
mod board;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod firmware;
#[cfg(not(target_os = "none"))]
mod simulator;
#[cfg(all(target_os = "none", target_arch = "arm"))]
mod systick;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    simulator::main()
}
