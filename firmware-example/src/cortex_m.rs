//! Cortex-M boards of QEMU: instructions as [`systick`] counts them, rounded to the nearest.

use crate::firmware::{self, Image};
use crate::systick::{self, INSTRUCTION, TICK};
use core::arch::asm;
use core::ptr;
use cortex_m_rt::{ExceptionFrame, STACK_PAINT_VALUE, entry, exception};
use semihosting::process::ExitCode;
use stream::{Meter, States};

/// SysTick as a counter of instructions.
pub struct Counter {
    /// Instructions of measuring nothing.
    empty: u32,
}

impl Counter {
    pub fn start() -> Self {
        systick::start();
        let mut counter = Counter { empty: 0 };
        counter.empty = counter.cost(|| ());
        counter
    }
}

impl Meter for Counter {
    const UNIT: &'static str = "instructions";

    #[inline(never)]
    fn cost(&mut self, work: impl FnOnce()) -> u32 {
        let ticks = systick::ticks(work);
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
