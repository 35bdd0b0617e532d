//! Cortex-M boards of QEMU. SysTick counts emulated time, and under `-icount shift=7` every instruction takes
//! 2^7 ns of it: at two ticks or more it is counted exactly.

use cortex_m_rt::{ExceptionFrame, entry, exception};
use semihosting::eprintln;
use semihosting::process::ExitCode;

/// Picoseconds of a tick, which the board decides.
const TICK: u64 = match u64::from_str_radix(env!("TICK_PS"), 10) {
    Ok(number) => number,
    Err(_) => panic!("build.rs gives a number"),
};
const INSTRUCTION: u64 = 128_000;
const MAX_TICKS: u32 = 0x00ff_ffff;
/// Control, reload value and current value of SysTick, the same on every Cortex-M.
const SYST_CSR: *mut u32 = 0xe000_e010 as *mut u32;
const SYST_RVR: *mut u32 = 0xe000_e014 as *mut u32;
const SYST_CVR: *mut u32 = 0xe000_e018 as *mut u32;

fn start() {
    // SAFETY: registers of the core, which nothing else here uses; no interrupt is enabled.
    unsafe {
        SYST_RVR.write_volatile(MAX_TICKS);
        SYST_CVR.write_volatile(0);
        // Enabled, by the core's clock.
        SYST_CSR.write_volatile(0b101);
    }
}

/// Instructions of some work, up to five million.
#[inline(never)]
pub fn count(work: impl FnOnce()) -> u32 {
    // SAFETY: reading this register has no effect.
    let ticks = || unsafe { SYST_CVR.read_volatile() };
    let before = ticks();
    work();
    let ticks = before.wrapping_sub(ticks()) & MAX_TICKS;
    ((ticks as u64 * TICK + INSTRUCTION / 2) / INSTRUCTION) as u32
}

#[entry]
fn main() -> ! {
    start();
    crate::steps::run().exit_process()
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    eprintln!("error: hard fault at {:#010x}", frame.pc());
    ExitCode::FAILURE.exit_process()
}
