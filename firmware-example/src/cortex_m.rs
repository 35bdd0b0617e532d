//! Cortex-M boards of QEMU. SysTick counts emulated time, and under `-icount shift=7` every instruction
//! takes 2^7 ns of it, so that instructions are `ticks · tick / 128 ns`, rounded to the nearest.

use crate::firmware::{self, Image};
use core::arch::asm;
use core::ptr;
use cortex_m_rt::{ExceptionFrame, STACK_PAINT_VALUE, entry, exception};
use semihosting::process::ExitCode;
use stream::{Meter, States};

/// Picoseconds of a tick, which the board decides.
const TICK: u64 = match u64::from_str_radix(env!("TICK_PS"), 10) {
    Ok(tick) => tick,
    Err(_) => panic!("TICK_PS is a number"),
};
/// Picoseconds of an instruction. At two ticks or more it is counted exactly.
const INSTRUCTION: u64 = 128_000;
const MAX_TICKS: u32 = 0x00ff_ffff;

/// Control, reload value and current value of SysTick, the same on every Cortex-M.
const SYST_CSR: *mut u32 = 0xe000_e010 as *mut u32;
const SYST_RVR: *mut u32 = 0xe000_e014 as *mut u32;
const SYST_CVR: *mut u32 = 0xe000_e018 as *mut u32;

/// SysTick as a counter of instructions.
pub struct Counter {
    /// Instructions of measuring nothing.
    empty: u32,
}

impl Counter {
    pub fn start() -> Self {
        // SAFETY: registers of the core, which nothing else here uses; no interrupt is enabled.
        unsafe {
            SYST_RVR.write_volatile(MAX_TICKS);
            SYST_CVR.write_volatile(0);
            // Enabled, by the core's clock.
            SYST_CSR.write_volatile(0b101);
        }
        let mut counter = Counter { empty: 0 };
        counter.empty = counter.cost(|| ());
        counter
    }
}

/// Counts down from [`MAX_TICKS`], again and again.
fn ticks() -> u32 {
    // SAFETY: reading this register has no effect.
    unsafe { SYST_CVR.read_volatile() }
}

impl Meter for Counter {
    const UNIT: &'static str = "instructions";

    #[inline(never)]
    fn cost(&mut self, work: impl FnOnce()) -> u32 {
        let before = ticks();
        work();
        let ticks = before.wrapping_sub(ticks()) & MAX_TICKS;
        let instructions = (ticks as u64 * TICK + INSTRUCTION / 2) / INSTRUCTION;
        (instructions as u32).saturating_sub(self.empty)
    }
}

/// Executes two instructions `n` times.
pub fn rounds(n: u32) {
    // SAFETY: counts a register down to zero.
    unsafe {
        asm!("2:", "subs {n}, {n}, #1", "bne 2b", n = inout(reg) n => _, options(nomem, nostack));
    }
}

/// Sizes from the linker's marks; the stack by the paint that is left.
pub fn image() -> Image {
    unsafe extern "C" {
        static __stext: u32;
        static __etext: u32;
        static __srodata: u32;
        static __erodata: u32;
        static __sdata: u32;
        static __edata: u32;
        static __sbss: u32;
        static __ebss: u32;
        static _stack_end: u32;
        static _stack_start: u32;
    }
    let between = |start: *const u32, end: *const u32| end as usize - start as usize;
    let mut low = &raw const _stack_end;
    let top = &raw const _stack_start;
    // SAFETY: from the end of the statics to the end of RAM, all of it painted before main.
    while low < top && unsafe { ptr::read_volatile(low) } == STACK_PAINT_VALUE {
        low = low.wrapping_add(1);
    }
    Image {
        text: between(&raw const __stext, &raw const __etext),
        rodata: between(&raw const __srodata, &raw const __erodata),
        data: between(&raw const __sdata, &raw const __edata),
        bss: between(&raw const __sbss, &raw const __ebss),
        stack: Some(between(low, top)),
    }
}

#[entry]
fn main() -> ! {
    static mut STATES: States = States::new();
    firmware::main(STATES).exit_process()
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    semihosting::eprintln!("error: hard fault at {:#010x}", frame.pc());
    ExitCode::FAILURE.exit_process()
}
